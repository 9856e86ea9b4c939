package template

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// join joins one list.
var join = function{check: items(2, 2, "a delimiter and one list"), eval: joinLists.eval}

// joinLists joins any number of lists to one string.
var joinLists = function{check: items(2, unlimited, "a delimiter and lists"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	var parts []string
	for _, a := range args[1:] {
		if a == "" {
			continue // nothing, in the words of other functions
		}
		list, err := asList(a)
		if err != nil {
			return nil, err
		}
		for _, item := range list {
			parts = append(parts, Text(item))
		}
	}
	return madeOf(strings.Join(parts, Text(args[0])), args), nil
}}

func listConcat(unique bool) function {
	return function{check: itemsOrCall(0, unlimited, "lists"), eval: func(ev *evaluator, arg *Value) (any, error) {
		args, err := ev.arguments(arg, 0)
		if err != nil {
			return nil, err
		}
		all := []any{}
		for _, a := range args {
			list, err := asList(a)
			if err != nil {
				return nil, err
			}
			for _, item := range list {
				if !unique || !has(all, item) {
					all = append(all, item)
				}
			}
		}
		return all, nil
	}}
}

var filter = function{check: items(2, 2, "values and a list"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil || isEmpty(args[1]) || isEmpty(args[0]) {
		return args[1], err
	}
	drop, err := asList(args[0])
	if err != nil {
		return nil, err
	}
	list, err := asList(args[1])
	if err != nil {
		return nil, err
	}
	kept := []any{}
	for _, item := range list {
		if !has(drop, item) {
			kept = append(kept, item)
		}
	}
	return kept, nil
}}

// maps computes an argument that is a list of maps.
func (ev *evaluator) maps(arg *Value, least int) ([]map[string]any, error) {
	args, err := ev.arguments(arg, least)
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

var mapMerge = function{check: itemsOrCall(0, unlimited, "maps"), eval: func(ev *evaluator, arg *Value) (any, error) {
	list, err := ev.maps(arg, 0)
	if err != nil {
		return nil, err
	}
	all := map[string]any{}
	for _, m := range list {
		maps.Copy(all, m)
	}
	return all, nil
}}

var mapReplace = function{
	check: itemsOrCall(2, 2, "a map, and keys or values to replace"),
	eval: func(ev *evaluator, arg *Value) (any, error) {
		list, err := ev.maps(arg, 2)
		if err != nil {
			return nil, err
		}
		for k := range list[1] {
			if k != "keys" && k != "values" {
				return nil, fmt.Errorf("unknown key %q: there are keys and values", k)
			}
		}
		newKeys, err := asMap(list[1]["keys"])
		if err != nil {
			return nil, err
		}
		newValues, err := asMap(list[1]["values"])
		if err != nil {
			return nil, err
		}
		return replaceIn(list[0], newKeys, newValues)
	},
}

func replaceIn(old, newKeys, newValues map[string]any) (any, error) {
	replaced := map[string]any{}
	for k, v := range old {
		key := k
		if nk := newKeys[k]; nk != nil {
			key = Text(nk)
		}
		_, taken := old[key]
		if _, twice := replaced[key]; twice || taken && key != k {
			return nil, fmt.Errorf("the key %q exists already", key)
		}
		replaced[key] = v
		for _, value := range sortedKeys(newValues) {
			if value == v || same(resolve(value), v) {
				replaced[key] = newValues[value]
			}
		}
	}
	return replaced, nil
}

// follow follows a path into lists and maps. found is false if it ends before.
func follow(v any, path []any) (_ any, found bool) {
	for _, step := range path {
		switch at := v.(type) {
		case map[string]any:
			if v, found = at[Text(step)]; !found {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(Text(step))
			if i < 0 {
				i += len(at)
			}
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			v = at[i]
		case string:
			i, err := strconv.Atoi(Text(step))
			if letters := []rune(at); err == nil && i >= 0 && i < len(letters) {
				v = string(letters[i])
				break
			}
			return nil, false
		case StandIn:
			v = at + "." + StandIn(Text(step))
		default:
			return nil, false
		}
	}
	return v, true
}

var fnSelect = function{check: items(2, 2, "an index and a list, or a key and a map"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	if text, ok := args[1].(string); ok && text != "" {
		if args[1], err = ParseJSON(text); err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
	}
	switch args[1].(type) {
	case []any:
		if _, err := strconv.Atoi(Text(args[0])); err != nil {
			return nil, fmt.Errorf("index %q is not a number", Text(args[0]))
		}
	case map[string]any, StandIn, nil:
	case string:
		return "", nil
	default:
		return nil, fmt.Errorf("%q is neither a list nor a map", Text(args[1]))
	}
	if v, found := follow(args[1], args[:1]); found {
		return v, nil
	}
	return "", nil
}}

// memberListToMap reads a list such as [".member.0.Name=a", ".member.0.Value=b"].
var memberListToMap = function{check: items(3, 3, "the names of key and value, and a list"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	members, err := asList(args[2])
	if err != nil {
		return nil, err
	}
	parts := map[int]map[string]any{}
	for _, member := range members {
		name, value, _ := strings.Cut(Text(member), "=")
		fields := strings.SplitN(name, ".", 4) // "", member, a number, a name
		if len(fields) < 4 || fields[0] != "" || fields[1] != "member" {
			continue
		}
		i, err := strconv.Atoi(fields[2])
		if err != nil {
			continue
		}
		if parts[i] == nil {
			parts[i] = map[string]any{}
		}
		parts[i][fields[3]] = value
	}
	all := map[string]any{}
	for _, i := range slices.Sorted(maps.Keys(parts)) {
		if key, ok := parts[i][Text(args[0])]; ok {
			if value, ok := parts[i][Text(args[1])]; ok {
				all[Text(key)] = value
			}
		}
	}
	return all, nil
}}

// inOrder returns the keys of m as the template has them, if it has them
// literally, or else in alphabetical order.
func inOrder(m map[string]any, written *Value) []string {
	if written == nil || written.kind != mapKind {
		return sortedKeys(m)
	}
	var keys []string
	for _, e := range written.entries {
		if _, there := m[e.key]; there {
			keys = append(keys, e.key)
		}
	}
	return keys
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
