package template

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// function is an intrinsic function. An older template that has a map with the
// function's name as its only key means just that map.
type function struct {
	since string
	check func(arg *Value) string // what is wrong with the argument's form; nil: any form
	eval  func(ev *evaluator, arg *Value) (any, error)
}

var functions map[string]function

// init breaks the circle of functions that compute their arguments, which may
// be calls again.
func init() {
	functions = map[string]function{
		"get_resource": {"2013-05-23", nil, getResource},
		"get_attr":     {"2013-05-23", listOf(1, "the name of a resource and an attribute"), getAttr},
		"get_param":    {"2013-05-23", nameOrPath, getParam},
		"get_file":     {"2013-05-23", nil, getFile},

		"str_replace":         {"2013-05-23", keys("template", "params"), strReplace(false, false)},
		"str_replace_strict":  {"2017-02-24", keys("template", "params"), strReplace(true, false)},
		"str_replace_vstrict": {"2017-09-01", keys("template", "params"), strReplace(true, true)},
		"str_split":           {"2015-10-15", listOf(2, "a delimiter, a string and perhaps an index"), strSplit},
		"list_join":           {"2013-05-23", listOf(2, "a delimiter and lists"), listJoin},
		"list_concat":         {"2017-02-24", listOf(1, "lists"), listConcat(false)},
		"list_concat_unique":  {"2017-02-24", listOf(1, "lists"), listConcat(true)},
		"filter":              {"2018-03-02", listOf(2, "values and a list"), filter},
		"map_merge":           {"2016-04-08", listOf(1, "maps"), mapMerge},
		"map_replace":         {"2016-10-14", listOf(2, "a map, and keys or values to replace"), mapReplace},
		"repeat":              {"2015-04-30", repeatForm, repeat},
		"digest":              {"2015-04-30", listOf(2, "an algorithm and a value"), digest},
		"make_url":            {"2017-09-01", nil, makeURL},

		"if":       {"2016-10-14", listOf(2, "a condition, a value and perhaps another value"), ifThenElse},
		"equals":   {"2016-10-14", listOf(2, "two values"), equals},
		"not":      {"2016-10-14", nil, not},
		"and":      {"2016-10-14", listOf(2, "conditions"), junction(false)},
		"or":       {"2016-10-14", listOf(2, "conditions"), junction(true)},
		"contains": {"2018-03-02", listOf(2, "a value and a list"), contains},

		"Fn::Select":      {"2013-05-23", listOf(2, "an index and a list"), fnSelect},
		"yaql":            {"2016-10-14", nil, unsupported},
		"resource_facade": {"2013-05-23", nil, unsupported},
	}
}

// Forms of arguments.

func listOf(n int, what string) func(*Value) string {
	return func(arg *Value) string {
		if arg.kind != listKind || len(arg.list) < n {
			return "needs a list: " + what
		}
		return ""
	}
}

func keys(names ...string) func(*Value) string {
	return func(arg *Value) string {
		for _, name := range names {
			if arg.get(name) == nil {
				return "needs a map with " + strings.Join(names, " and ")
			}
		}
		return ""
	}
}

func repeatForm(arg *Value) string {
	if each := arg.get("for_each"); arg.get("template") != nil && each != nil && each.kind == mapKind {
		return ""
	}
	return "needs a map with for_each, itself a map of lists, and template"
}

func nameOrPath(arg *Value) string {
	if _, ok := arg.text(); ok || arg.kind == callKind || arg.kind == listKind && len(arg.list) > 0 {
		return ""
	}
	return "needs the name of a parameter, or a list of a name and a path"
}

// References.

func getResource(ev *evaluator, arg *Value) (any, error) {
	name, err := ev.value(arg)
	if err != nil {
		return nil, err
	}
	return ev.reference(Text(name), func() (any, error) { return ev.env.Resource(Text(name)) })
}

func getAttr(ev *evaluator, arg *Value) (any, error) {
	path, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	name, attribute := Text(path[0]), ""
	path = path[1:]
	if len(path) > 0 {
		attribute, path = Text(path[0]), path[1:]
	}
	return ev.reference(name, func() (any, error) {
		v, err := ev.env.Attribute(name, attribute)
		return index(v, path), err
	})
}

// reference asks for a resource. One whose condition does not hold is nil.
func (ev *evaluator) reference(name string, ask func() (any, error)) (any, error) {
	switch {
	case ev.stack.enabled[name] == nil && ev.stack.declared[name] != nil:
		return nil, nil
	case ev.stack.enabled[name] == nil:
		return nil, fmt.Errorf("there is no resource %q", name)
	case ev.env == nil:
		return nil, errNoResources
	}
	return ask()
}

func getParam(ev *evaluator, arg *Value) (any, error) {
	v, err := ev.value(arg)
	if err != nil {
		return nil, err
	}
	path, isPath := v.([]any)
	if !isPath {
		path = []any{v}
	}
	got, known := ev.stack.parameters[Text(path[0])]
	if !known {
		return nil, fmt.Errorf("there is no parameter %q", Text(path[0]))
	}
	return index(got, path[1:]), nil
}

func getFile(ev *evaluator, arg *Value) (any, error) {
	name, err := ev.value(arg)
	if err != nil {
		return nil, err
	}
	if ev.stack.options.ReadFile == nil {
		return nil, errors.New("no files can be read here")
	}
	b, err := ev.stack.options.ReadFile(Text(name))
	return string(b), err
}

// Strings.

func strReplace(strict, valuesToo bool) func(*evaluator, *Value) (any, error) {
	return func(ev *evaluator, arg *Value) (any, error) {
		tmpl, err := ev.value(arg.get("template"))
		if err != nil {
			return nil, err
		}
		v, err := ev.value(arg.get("params"))
		if err != nil {
			return nil, err
		}
		params, err := asMap(v)
		if err != nil {
			return nil, err
		}
		text := Text(tmpl)
		for _, k := range slices.Sorted(maps.Keys(params)) {
			switch {
			case strict && !strings.Contains(text, k):
				return nil, fmt.Errorf("%q does not occur in the template", k)
			case valuesToo && Text(params[k]) == "":
				return nil, fmt.Errorf("%q has no value", k)
			}
		}
		return substitute(text, params), nil
	}
}

func strSplit(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	var parts []any
	for part := range strings.SplitSeq(Text(args[1]), Text(args[0])) {
		parts = append(parts, part)
	}
	if len(args) < 3 {
		return parts, nil
	}
	i, err := strconv.Atoi(Text(args[2]))
	if err != nil || i < 0 || i >= len(parts) {
		return nil, fmt.Errorf("index %s of %d parts", Text(args[2]), len(parts))
	}
	return parts[i], nil
}

// Lists and maps.

func listJoin(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	var parts []string
	for _, a := range args[1:] {
		list, err := asList(a)
		if err != nil {
			return nil, err
		}
		for _, item := range list {
			parts = append(parts, Text(item))
		}
	}
	return strings.Join(parts, Text(args[0])), nil
}

func listConcat(unique bool) func(*evaluator, *Value) (any, error) {
	return func(ev *evaluator, arg *Value) (any, error) {
		args, err := ev.values(arg.list)
		if err != nil {
			return nil, err
		}
		all := []any{}
		seen := map[string]bool{}
		for _, a := range args {
			list, err := asList(a)
			if err != nil {
				return nil, err
			}
			for _, item := range list {
				if text := Text(item); !unique || !seen[text] {
					seen[text] = true
					all = append(all, item)
				}
			}
		}
		return all, nil
	}
}

func filter(ev *evaluator, arg *Value) (any, error) {
	lists, err := ev.lists(arg)
	if err != nil {
		return nil, err
	}
	drop := map[string]bool{}
	for _, v := range lists[0] {
		drop[Text(v)] = true
	}
	return slices.DeleteFunc(slices.Clone(lists[1]), func(v any) bool { return drop[Text(v)] }), nil
}

// lists computes an argument that is a list of lists.
func (ev *evaluator) lists(arg *Value) ([][]any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	lists := make([][]any, len(args))
	for i, a := range args {
		if lists[i], err = asList(a); err != nil {
			return nil, err
		}
	}
	return lists, nil
}

// maps computes an argument that is a list of maps.
func (ev *evaluator) maps(arg *Value) ([]map[string]any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	list := make([]map[string]any, len(args))
	for i, a := range args {
		if list[i], err = asMap(a); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func mapMerge(ev *evaluator, arg *Value) (any, error) {
	list, err := ev.maps(arg)
	if err != nil {
		return nil, err
	}
	all := map[string]any{}
	for _, m := range list {
		maps.Copy(all, m)
	}
	return all, nil
}

func mapReplace(ev *evaluator, arg *Value) (any, error) {
	list, err := ev.maps(arg)
	if err != nil {
		return nil, err
	}
	newKeys, err := asMap(list[1]["keys"])
	if err != nil {
		return nil, err
	}
	newValues, err := asMap(list[1]["values"])
	if err != nil {
		return nil, err
	}
	replaced := map[string]any{}
	for k, v := range list[0] {
		if nk, ok := newKeys[k]; ok {
			k = Text(nk)
		}
		if nv, ok := newValues[Text(v)]; ok {
			v = nv
		}
		replaced[k] = v
	}
	return replaced, nil
}

func repeat(ev *evaluator, arg *Value) (any, error) {
	items, err := ev.expand(arg)
	if err != nil {
		return nil, err
	}
	return ev.values(items)
}

func fnSelect(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	return index(args[1], args[:1]), nil
}

// Conditions.

func ifThenElse(ev *evaluator, arg *Value) (any, error) {
	chosen, err := ev.choose(arg)
	if err != nil || chosen == nil {
		return nil, err
	}
	return ev.value(chosen)
}

func equals(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	return Text(args[0]) == Text(args[1]), nil
}

func not(ev *evaluator, arg *Value) (any, error) {
	holds, err := ev.holds(arg)
	return !holds, err
}

func junction(decisive bool) func(*evaluator, *Value) (any, error) {
	return func(ev *evaluator, arg *Value) (any, error) {
		for _, c := range arg.list {
			holds, err := ev.holds(c)
			if err != nil || holds == decisive {
				return holds, err
			}
		}
		return !decisive, nil
	}
}

func contains(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	if text, ok := args[1].(string); ok {
		return strings.Contains(text, Text(args[0])), nil
	}
	list, err := asList(args[1])
	return slices.ContainsFunc(list, func(v any) bool { return Text(v) == Text(args[0]) }), err
}

// Others.

func digest(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	algorithms := map[string]func() hash.Hash{
		"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224,
		"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	}
	newHash, known := algorithms[strings.ToLower(Text(args[0]))]
	if !known {
		return nil, fmt.Errorf("unknown algorithm %q", Text(args[0]))
	}
	h := newHash()
	h.Write([]byte(Text(args[1])))
	return hex.EncodeToString(h.Sum(nil)), nil
}

func makeURL(ev *evaluator, arg *Value) (any, error) {
	v, err := ev.value(arg)
	if err != nil {
		return nil, err
	}
	parts, err := asMap(v)
	if err != nil {
		return nil, err
	}
	u := url.URL{
		Scheme: Text(parts["scheme"]), Host: Text(parts["host"]),
		Path: Text(parts["path"]), Fragment: Text(parts["fragment"]),
	}
	if strings.Contains(u.Host, ":") && !strings.HasPrefix(u.Host, "[") {
		u.Host = "[" + u.Host + "]" // an IPv6 address
	}
	if port := Text(parts["port"]); port != "" {
		u.Host += ":" + port
	}
	if name := Text(parts["username"]); name != "" {
		u.User = url.User(name)
		if password := Text(parts["password"]); password != "" {
			u.User = url.UserPassword(name, password)
		}
	}
	query, err := asMap(parts["query"])
	if err != nil {
		return nil, err
	}
	values := url.Values{}
	for k, v := range query {
		values.Set(k, Text(v))
	}
	u.RawQuery = values.Encode()
	return u.String(), nil
}

func unsupported(*evaluator, *Value) (any, error) {
	return nil, errors.New("not supported outside a simulation")
}
