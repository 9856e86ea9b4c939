package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ifThenElse chooses between two values. Newer versions may leave out the
// second one: then nothing is chosen, and what the call stands in is left out.
func ifThenElse(least int) function {
	what := "a condition, a value and another value"
	if least == 2 {
		what = "a condition, a value and perhaps another value"
	}
	return function{role: branches, check: items(least, 3, what), eval: func(ev *evaluator, arg *Value) (any, error) {
		chosen, err := ev.choose(arg)
		if err != nil {
			return nil, err
		}
		if chosen == nil {
			return leftOut{}, nil
		}
		return ev.computed(chosen)
	}}
}

// leftOut is the value of what counts as if it were not in the template.
type leftOut struct{}

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
	return b, nil
}

var equals = function{check: items(2, 2, "two values"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	return same(args[0], args[1]), nil
}}

var not = function{eval: func(ev *evaluator, arg *Value) (any, error) {
	holds, err := ev.holds(arg)
	return !holds, err
}}

var fnNot = function{check: items(1, 1, "a condition"), eval: func(ev *evaluator, arg *Value) (any, error) {
	holds, err := ev.holds(arg.list[0])
	return !holds, err
}}

func junction(decisive bool) function {
	return function{check: items(2, unlimited, "conditions"), eval: func(ev *evaluator, arg *Value) (any, error) {
		for _, c := range arg.list {
			holds, err := ev.holds(c)
			if err != nil || holds == decisive {
				return holds, err
			}
		}
		return !decisive, nil
	}}
}

var contains = function{check: items(2, 2, "a value and a list"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	if text, ok := args[1].(string); ok {
		return strings.Contains(text, Text(args[0])), nil
	}
	list, err := asList(args[1])
	return has(list, args[0]), err
}}

// kindOfRepeat is what a version of repeat can do.
type kindOfRepeat int

const (
	overMaps         kindOfRepeat = 1 << iota // it takes the keys of a map for a list
	withPermutations                          // it knows the key permutations
)

func repeat(k kindOfRepeat) function {
	return function{role: repeats, repeat: k, check: repeatForm, eval: func(ev *evaluator, arg *Value) (any, error) {
		rounds, err := ev.rounds(k, arg)
		if err != nil {
			return nil, err
		}
		items := make([]any, 0, len(rounds))
		for _, round := range rounds {
			got, err := ev.value(arg.get("template").replaceNames(round))
			if err != nil {
				return nil, err
			}
			items = append(items, replaceStrings(got, round))
		}
		return items, nil
	}}
}

func repeatForm(arg *Value) string {
	each := arg.get("for_each")
	if arg.get("template") == nil || each == nil || each.kind != mapKind && each.kind != callKind {
		return "needs a map with for_each, itself a map of lists, and template"
	}
	return ""
}

// maxRepeat bounds what one repeat gives: lists multiply.
const maxRepeat = 10_000

// rounds returns for each item of a repeat what its variables are replaced by.
//
// As in Heat, the template is computed first, and the variables are replaced in
// what comes of it. Only in the names of what it refers to, where Heat has no
// variables, they are replaced before.
func (ev *evaluator) rounds(k kindOfRepeat, arg *Value) ([]variables, error) {
	permute := true
	if p := arg.get("permutations"); p != nil && k&withPermutations != 0 {
		var ok bool
		if permute, ok = p.scalar.(bool); !ok || p.kind != scalarKind {
			return nil, errors.New("permutations must be true or false")
		}
	}
	names, lists, err := ev.loops(k, arg.get("for_each"), permute)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 || slices.Contains(names, "") {
		return nil, errors.New("for_each needs variables, and each a name")
	}
	rows := [][]string{{}}
	if !permute && len(lists) > 0 {
		rows = make([][]string, len(lists[0]))
	}
	for i, list := range lists {
		switch {
		case !permute && len(list) != len(lists[0]):
			return nil, errors.New("without permutations all lists must be of the same length")
		case !permute:
			for j, item := range list {
				rows[j] = append(rows[j], names[i], item)
			}
		case len(rows)*len(list) > maxRepeat:
			return nil, fmt.Errorf("gives more than %d items", maxRepeat)
		default:
			next := make([][]string, 0, len(rows)*len(list))
			for _, row := range rows {
				for _, item := range list {
					next = append(next, append(slices.Clip(row), names[i], item))
				}
			}
			rows = next
		}
	}
	all := make([]variables, len(rows))
	for i, row := range rows {
		if all[i] = row; all[i].growth() > maxGrowth {
			return nil, fmt.Errorf("makes a text more than %d times as long", maxGrowth)
		}
	}
	return all, nil
}

// variables are names of a repeat, each followed by what replaces it. As in Heat
// they are replaced one after the other, so that one can be in the value of an
// earlier one.
type variables []string

// maxGrowth bounds how much longer a text becomes by that.
const maxGrowth = 10_000

func (v variables) growth() int {
	growth := 1
	for i := 0; i < len(v) && growth <= maxGrowth; i += 2 {
		growth *= max(1, (len(v[i+1])+len(v[i])-1)/len(v[i]))
	}
	return growth
}

func (v variables) replace(text string) string {
	for i := 0; i < len(v); i += 2 {
		text = strings.ReplaceAll(text, v[i], v[i+1])
	}
	return text
}

// loops returns the variables of a repeat in the order of the template, with
// what each goes through.
func (ev *evaluator) loops(k kindOfRepeat, each *Value, permute bool) (names []string, lists [][]string, err error) {
	values := map[string]any{}
	if each.kind == mapKind {
		for _, e := range each.entries {
			if values[e.key], err = ev.value(e.value); err != nil {
				return nil, nil, err
			}
			names = append(names, e.key)
		}
	} else {
		got, err := ev.value(each)
		if err != nil {
			return nil, nil, err
		}
		if values, err = asMap(got); err != nil {
			return nil, nil, fmt.Errorf("for_each: %w", err)
		}
		names = sortedKeys(values)
	}
	for _, name := range names {
		v := values[name]
		if m, isMap := v.(map[string]any); isMap && permute && k&overMaps != 0 {
			keys := []any{}
			for _, key := range inOrder(m, each.get(name)) {
				keys = append(keys, key)
			}
			v = keys
		}
		list, err := asList(v)
		if err != nil {
			return nil, nil, err
		}
		texts := make([]string, len(list))
		for i, item := range list {
			texts[i] = Text(item)
		}
		lists = append(lists, texts)
	}
	return names, lists, nil
}

// replaceStrings replaces names in every string of a value, in keys as well.
func replaceStrings(v any, r variables) any {
	switch v := v.(type) {
	case string:
		return r.replace(v)
	case StandIn:
		return StandIn(r.replace(string(v)))
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = replaceStrings(item, r)
		}
		return items
	case map[string]any:
		m := make(map[string]any, len(v))
		for _, k := range sortedKeys(v) {
			m[r.replace(k)] = replaceStrings(v[k], r)
		}
		return m
	}
	return v
}
