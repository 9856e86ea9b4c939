package template

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Value is a part of a template as it was written: a scalar, a list, a map, or
// a call of an intrinsic function. What it comes to is known when its
// references are: see [Stack.Eval].
type Value struct {
	Line int

	kind    kind
	scalar  any      // string, bool, int64, float64 or nil
	list    []*Value // of a list
	entries []entry  // of a map, in the order of the file
	fn      string   // of a call: the function's name
	arg     *Value   // of a call
}

type kind int

const (
	scalarKind kind = iota
	listKind
	mapKind
	callKind
)

type entry struct {
	key   string
	line  int
	value *Value
}

// text returns the string that v is, if it is one literally.
func (v *Value) text() (string, bool) {
	s, ok := v.scalar.(string)
	return s, ok && v.kind == scalarKind
}

// get returns the value of a key of the map v, or nil.
func (v *Value) get(key string) *Value {
	for _, e := range v.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// replace returns v with each of the names in every string of it replaced:
// how repeat fills in its template.
func (v *Value) replace(r *strings.Replacer) *Value {
	c := *v
	if s, ok := v.text(); ok {
		c.scalar = r.Replace(s)
	}
	c.list = make([]*Value, len(v.list))
	for i, item := range v.list {
		c.list[i] = item.replace(r)
	}
	c.entries = make([]entry, len(v.entries))
	for i, e := range v.entries {
		c.entries[i] = entry{r.Replace(e.key), e.line, e.value.replace(r)}
	}
	if v.arg != nil {
		c.arg = v.arg.replace(r)
	}
	return &c
}

// Limits on what a document may grow to by way of aliases.
const (
	maxValues = 50_000
	maxDepth  = 200
)

// reader turns YAML nodes into Values.
type reader struct {
	errs    *errorList
	version string // a date: which functions there are
	count   int
	// overflow is set when there are more values than can be meant: aliases of
	// aliases multiply, and one may contain itself.
	overflow bool
}

// value reads n. Where resource is not empty, errors name it.
func (r *reader) value(n *yaml.Node, resource string, depth int) *Value {
	r.count++
	v := &Value{Line: n.Line}
	if r.count > maxValues || depth > maxDepth {
		r.overflow = true
	}
	if r.overflow {
		return v
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, resource, depth+1)
	case yaml.SequenceNode:
		v.kind = listKind
		for _, item := range n.Content {
			v.list = append(v.list, r.value(item, resource, depth+1))
		}
	case yaml.MappingNode:
		v.kind = mapKind
		r.entries(v, n, resource, depth)
		r.call(v, resource)
	default:
		v.scalar = scalar(n)
	}
	return v
}

// entries reads the pairs of a mapping, "<<" merges included.
func (r *reader) entries(v *Value, n *yaml.Node, resource string, depth int) {
	var merged []*Value
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			m := r.value(node, resource, depth+1)
			merged = append(merged, m)
			merged = append(merged, m.list...)
			continue
		}
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			r.errs.add(key.Line, resource, "a key must be a plain value")
		case v.get(key.Value) != nil:
			r.errs.add(key.Line, resource, "%q is given twice", key.Value)
		default:
			v.entries = append(v.entries, entry{key.Value, key.Line, r.value(node, resource, depth+1)})
		}
	}
	for _, m := range merged {
		for _, e := range m.entries {
			if v.get(e.key) == nil {
				v.entries = append(v.entries, e)
			}
		}
	}
}

// call makes v a call if it is a map of one key that names a function.
func (r *reader) call(v *Value, resource string) {
	if len(v.entries) != 1 {
		return
	}
	e := v.entries[0]
	f, known := functions[e.key]
	if !known || r.version < f.since {
		return // to an older version it is a map like any other
	}
	*v = Value{Line: e.line, kind: callKind, fn: e.key, arg: e.value}
	if f.check == nil {
		return
	}
	if msg := f.check(e.value); msg != "" {
		r.errs.add(e.line, resource, "%s: %s", e.key, msg)
	}
}

// scalar reads a plain value. Dates stay as they are written, as in
// heat_template_version.
func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i
		}
	case "!!float":
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil {
			return f
		}
	}
	return n.Value
}
