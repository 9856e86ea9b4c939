package template

import (
	"fmt"
	"strings"
)

// function is an intrinsic function.
type function struct {
	role  role
	check func(arg *Value) string // what is wrong with the argument's form; nil: any form
	eval  func(ev *evaluator, arg *Value) (any, error)

	repeat kindOfRepeat // of a repeat
}

// role says what a function means to the dependencies: see walker.
type role int

const (
	computes            role = iota // it refers to nothing but what its argument does
	refersToResource                // its argument is the name of a resource
	refersToAttribute               // its argument begins with the name of a resource
	refersToParameter               // its argument is the name of a parameter, or begins with it
	refersToEither                  // its argument is the name of a resource or a parameter
	refersToFile                    // its argument is the name of a file
	refersToTheTemplate             // its argument names something else of the template
	branches                        // only the part that its condition chooses counts
	repeats                         // its template counts once for each item
)

func (r role) refers() bool { return r >= refersToResource && r <= refersToTheTemplate }

// place is where in a template a value is: it has functions of its own.
type place int

const (
	asData      place = iota // no functions: parameters, dependencies, mappings
	inValue                  // properties, metadata, outputs
	inCondition              // conditions, and the first argument of if
)

// rule says what a name means in a range of versions. In a version that no rule
// names, a map with that name as its only key is just that map.
type rule struct {
	place    place
	from, to version
	function
}

// functions are the functions by name. docs/functions.md has them as a table.
var functions map[string][]rule

// lookUp returns the function of that name, or nil.
func lookUp(name string, v version, p place) *function {
	rules := functions[name]
	for i := range rules {
		if rules[i].place == p && rules[i].from <= v && v <= rules[i].to {
			return &rules[i].function
		}
	}
	return nil
}

// init breaks the circle of functions that compute their arguments, which may
// be calls again.
func init() {
	functions = map[string][]rule{
		"get_resource": {hot(hot20130523, getResource)},
		"get_attr":     {{inValue, hot20130523, hot20150430, getAttr(2)}, hot(hot20151015, getAttr(1))},
		"get_param":    {hot(hot20130523, getParam), condition(hot20161014, getParam)},
		"get_file":     {hot(hot20130523, getFile)},
		"resource_facade": {hot(hot20130523,
			resourceFacade(map[string]string{"metadata": "metadata", "deletion_policy": "", "update_policy": ""}))},

		"str_replace":         {{inValue, hot20130523, hot20150430, strReplace(textOnly)}, hot(hot20151015, strReplace(0))},
		"str_replace_strict":  {hot(hot20170224, strReplace(mustOccur))},
		"str_replace_vstrict": {hot(hot20170901, strReplace(mustOccur|mustHaveValue))},
		"str_split":           {hot(hot20151015, strSplit)},
		"list_join":           {{inValue, hot20130523, hot20150430, join}, hot(hot20151015, joinLists)},
		"list_concat":         {hot(hot20170901, listConcat(false))},
		"list_concat_unique":  {hot(hot20170901, listConcat(true))},
		"filter":              {hot(hot20170224, filter)},
		"map_merge":           {hot(hot20160408, mapMerge)},
		"map_replace":         {hot(hot20161014, mapReplace)},
		"repeat": {
			{inValue, hot20150430, hot20160408, repeat(0)},
			{inValue, hot20161014, hot20170224, repeat(overMaps)},
			hot(hot20170901, repeat(overMaps|withPermutations)),
		},
		"digest":   {hot(hot20150430, digest)},
		"make_url": {hot(hot20170901, makeURL)},
		"yaql":     {hot(hot20161014, unsupported), condition(hot20170901, unsupported)},

		"if":       {{inValue, hot20161014, hot20180831, ifThenElse(3)}, hot(hot20210416, ifThenElse(2))},
		"contains": {hot(hot20170901, contains), condition(hot20170901, contains)},
		"equals":   {condition(hot20161014, equals)},
		"not":      {condition(hot20161014, not)},
		"and":      {condition(hot20161014, junction(false))},
		"or":       {condition(hot20161014, junction(true))},

		"Ref":                 {cfn(ref), aws(refParameter), first(ref), removed(hot20141016)},
		"Fn::GetAtt":          {cfn(fnGetAtt)},
		"Fn::FindInMap":       {cfn(findInMap), aws(findInMap)},
		"Fn::GetAZs":          {cfn(getAZs), first(getAZs), removed(hot20141016)},
		"Fn::Select":          {cfn(fnSelect), {inValue, hot20130523, hot20150430, fnSelect}, removed(hot20151015)},
		"Fn::Join":            {cfn(join), first(join), removed(hot20141016)},
		"Fn::Split":           {cfn(fnSplit), first(fnSplit), removed(hot20141016)},
		"Fn::Replace":         {cfn(fnReplace), first(fnReplace), removed(hot20141016)},
		"Fn::Base64":          {cfn(base64), first(base64), removed(hot20141016)},
		"Fn::MemberListToMap": {cfn(memberListToMap), first(memberListToMap), removed(hot20141016)},
		"Fn::ResourceFacade":  {cfn(fnResourceFacade), first(fnResourceFacade), removed(hot20141016)},
		"Fn::If":              {{inValue, aws20100909, aws20100909, ifThenElse(3)}},
		"Fn::Equals":          {aws(equals)},
		"Fn::Not":             {aws(fnNot)},
		"Fn::And":             {aws(junction(false))},
		"Fn::Or":              {aws(junction(true))},
	}
}

// hot is a function of HOT from a version on.
func hot(from version, f function) rule { return rule{inValue, from, lastHOT, f} }

// condition is a function of HOT's conditions from a version on.
func condition(from version, f function) rule { return rule{inCondition, from, lastHOT, f} }

// first is a function of CloudFormation that the first HOT has too.
func first(f function) rule { return rule{inValue, firstHOT, firstHOT, f} }

// cfn is a function of both versions of CloudFormation's language.
func cfn(f function) rule { return rule{inValue, firstCFN, lastCFN, f} }

// aws is a function of CloudFormation's conditions.
func aws(f function) rule { return rule{inCondition, aws20100909, aws20100909, f} }

// removed refuses a name that was a function in versions before.
func removed(in version) rule {
	since := ""
	for text, v := range versionKeys["heat_template_version"] {
		if v == in && text[0] == '2' {
			since = text
		}
	}
	return hot(in, function{check: func(*Value) string { return "not in this version of the language: removed in " + since }})
}

var unsupported = function{eval: func(*evaluator, *Value) (any, error) {
	return nil, errUnsupported
}}

// Forms of arguments.

// items wants a list of least to most items.
func items(least, most int, what string) func(*Value) string {
	return func(arg *Value) string {
		if arg.kind != listKind || len(arg.list) < least || len(arg.list) > most {
			return "needs a list: " + what
		}
		return ""
	}
}

const unlimited = 1 << 30 // as many items as there are

// itemsOrCall is items for functions whose argument may be a call that gives
// the list.
func itemsOrCall(least, most int, what string) func(*Value) string {
	check := items(least, most, what)
	return func(arg *Value) string {
		if arg.kind == callKind {
			return ""
		}
		return check(arg)
	}
}

// withKeys wants a map with these keys.
func withKeys(names ...string) func(*Value) string {
	return func(arg *Value) string {
		for _, name := range names {
			if arg.get(name) == nil {
				return "needs a map with " + strings.Join(names, " and ")
			}
		}
		return ""
	}
}

// arguments computes an argument that is a list, and checks how many there are
// in case it came from a call.
func (ev *evaluator) arguments(arg *Value, least int) ([]any, error) {
	v, err := ev.value(arg)
	if err != nil {
		return nil, err
	}
	list, err := asList(v)
	if err == nil && len(list) < least {
		err = fmt.Errorf("needs %d arguments, not %d", least, len(list))
	}
	return list, err
}
