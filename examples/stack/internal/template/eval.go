package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Env gives the references in a template their values.
type Env interface {
	// Resource returns what get_resource gives: what identifies the resource.
	Resource(name string) (any, error)
	// Attribute returns an attribute of a resource, or all of them as a map
	// for "".
	Attribute(name, attribute string) (any, error)
}

// Eval computes a value. env is asked for the resources that it refers to; it
// may be nil if there are none, see [Stack.Constant]. resource is what errors
// name.
func (s *Stack) Eval(resource string, v *Value, env Env) (any, error) {
	got, err := (&evaluator{stack: s, env: env}).value(v)
	if err != nil {
		return nil, &Error{s.Template.File, v.Line, resource, err.Error()}
	}
	return got, nil
}

// Output computes the value of an output.
func (s *Stack) Output(o *Output, env Env) (any, error) {
	return s.Eval("", o.value, env)
}

// Constant reports whether v refers to no resource.
func (s *Stack) Constant(v *Value) bool {
	w := &walker{stack: s, errs: &errorList{}}
	w.walk(v)
	return len(w.found) == 0
}

// Text returns v as str_replace puts it into a string: lists and maps as JSON.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case StandIn:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// evaluator computes values of one stack.
type evaluator struct {
	stack    *Stack
	env      Env
	deciding []string // the conditions that are being decided
}

var errNoResources = errors.New("a resource cannot be referred to here")

func (ev *evaluator) value(v *Value) (any, error) {
	switch v.kind {
	case listKind:
		return ev.values(v.list)
	case mapKind:
		m := make(map[string]any, len(v.entries))
		for _, e := range v.entries {
			got, err := ev.value(e.value)
			if err != nil {
				return nil, err
			}
			m[e.key] = got
		}
		return m, nil
	case callKind:
		got, err := functions[v.fn].eval(ev, v.arg)
		switch {
		case err == nil:
			return got, nil
		case ev.stack.options.StandIns && !errors.Is(err, errNoResources):
			return StandIn("<" + v.fn + ">"), nil
		}
		return nil, fmt.Errorf("%s: %w", v.fn, err)
	default:
		return v.scalar, nil
	}
}

func (ev *evaluator) values(list []*Value) ([]any, error) {
	got := make([]any, 0, len(list))
	for _, item := range list {
		g, err := ev.value(item)
		if err != nil {
			return nil, err
		}
		got = append(got, g)
	}
	return got, nil
}

// holds decides a condition: a literal, a name, or a function.
func (ev *evaluator) holds(v *Value) (bool, error) {
	if name, ok := v.text(); ok {
		return ev.stack.condition(name, ev.deciding)
	}
	got, err := ev.value(v)
	if err != nil {
		return false, err
	}
	if _, unknown := got.(StandIn); unknown {
		return true, nil // rather one resource too many in a simulation
	}
	b, err := boolean(got)
	if err != nil {
		return false, fmt.Errorf("not a condition: %w", err)
	}
	return b.(bool), nil
}

// choose returns the side of an if that its condition chooses; nil for none.
func (ev *evaluator) choose(arg *Value) (*Value, error) {
	holds, err := ev.holds(arg.list[0])
	switch {
	case err != nil:
		return nil, err
	case holds:
		return arg.list[1], nil
	case len(arg.list) > 2:
		return arg.list[2], nil
	}
	return nil, nil
}

// maxRepeat bounds what one repeat gives: lists multiply.
const maxRepeat = 10_000

// expand returns the items of a repeat, still to be computed.
func (ev *evaluator) expand(arg *Value) ([]*Value, error) {
	items := []*Value{arg.get("template")}
	for _, e := range arg.get("for_each").entries {
		got, err := ev.value(e.value)
		if err != nil {
			return nil, err
		}
		list, err := asList(got)
		if err != nil {
			return nil, err
		}
		if len(items)*len(list) > maxRepeat {
			return nil, fmt.Errorf("gives more than %d items", maxRepeat)
		}
		next := make([]*Value, 0, len(items)*len(list))
		for _, item := range items {
			for _, element := range list {
				next = append(next, item.replace(strings.NewReplacer(e.key, Text(element))))
			}
		}
		items = next
	}
	return items, nil
}

// index follows a path into lists and maps. What is not there is nil, as in
// Heat.
func index(v any, path []any) any {
	for _, step := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[Text(step)]
		case []any:
			i, err := strconv.Atoi(Text(step))
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		case StandIn:
			v = at + "." + StandIn(Text(step))
		default:
			return nil
		}
	}
	return v
}

// substitute replaces the keys of params in text, the longest first, and none
// in what was put in.
func substitute(text string, params map[string]any) string {
	keys := keysOf(params)
	slices.SortFunc(keys, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(keys))
	for _, k := range keys {
		if k != "" {
			pairs = append(pairs, k, Text(params[k]))
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func asList(v any) ([]any, error) {
	switch v := v.(type) {
	case []any:
		return v, nil
	case nil:
		return nil, nil
	}
	return nil, fmt.Errorf("%q is not a list", Text(v))
}

func asMap(v any) (map[string]any, error) {
	switch v := v.(type) {
	case map[string]any:
		return v, nil
	case nil:
		return nil, nil
	}
	return nil, fmt.Errorf("%q is not a map", Text(v))
}
