package template

import (
	"fmt"

	"go.yaml.in/yaml/v4"
)

// Value is a part of a template as it was written: a scalar, a list, a map, or
// a call of an intrinsic function. Its references decide what it comes to: see
// [Stack.Eval].
type Value struct {
	Line int

	kind    kind
	scalar  any       // string, bool, int64, *big.Int, float64 or nil
	list    []*Value  // of a list
	entries []entry   // of a map, in the order of the file
	name    string    // of a call: the function's name
	fn      *function // of a call
	arg     *Value    // of a call
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

// replaceNames returns v with the variables of a repeat replaced in the
// arguments of references.
func (v *Value) replaceNames(r variables) *Value {
	refers := v.kind == callKind && v.fn.role.refers()
	return v.with(func(part *Value) *Value {
		if refers {
			return part.replace(r)
		}
		return part.replaceNames(r)
	})
}

// replace returns v with the names replaced in every string of it.
func (v *Value) replace(r variables) *Value {
	c := v.with(func(part *Value) *Value { return part.replace(r) })
	if s, ok := v.text(); ok {
		c.scalar = r.replace(s)
	}
	return c
}

// with returns a copy of v, with change applied to its parts.
func (v *Value) with(change func(*Value) *Value) *Value {
	c := *v
	c.list = make([]*Value, len(v.list))
	for i, item := range v.list {
		c.list[i] = change(item)
	}
	c.entries = make([]entry, len(v.entries))
	for i, e := range v.entries {
		c.entries[i] = entry{e.key, e.line, change(e.value)}
	}
	if v.arg != nil {
		c.arg = change(v.arg)
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
	version version
	count   int
	// overflow says which limit was passed: aliases of aliases multiply, and
	// one may contain itself.
	overflow string
}

// where is the place of a value: it decides which functions there are.
type where struct {
	resource string // what errors name; may be ""
	place    place
	depth    int
}

func (w where) deeper() where { w.depth++; return w }

// enter counts a value, and reports whether there is room for it.
func (r *reader) enter(at where) bool {
	r.count++
	switch {
	case r.overflow != "":
	case r.count > maxValues:
		r.overflow = fmt.Sprintf("too large, or too deep: more than %d values; an alias counts for what it stands for", maxValues)
	case at.depth > maxDepth:
		r.overflow = fmt.Sprintf("too large, or too deep: more than %d levels; an alias counts for what it stands for", maxDepth)
	}
	return r.overflow == ""
}

// value reads n.
func (r *reader) value(n *yaml.Node, at where) *Value {
	v := &Value{Line: n.Line}
	if !r.enter(at) {
		return v
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, at.deeper())
	case yaml.SequenceNode:
		v.kind = listKind
		for _, item := range n.Content {
			v.list = append(v.list, r.value(item, at.deeper()))
		}
	case yaml.MappingNode:
		pairs := r.pairs(n, at)
		if len(pairs) == 1 {
			if call := r.call(pairs[0], at); call != nil {
				return call
			}
		}
		v.kind = mapKind
		for _, p := range pairs {
			v.entries = append(v.entries, entry{p.key, p.line, r.value(p.node, at.deeper())})
		}
	default:
		v.scalar = scalar(n)
	}
	return v
}

// pair is a key of a mapping and the value that is still to be read.
type pair struct {
	key  string
	line int
	node *yaml.Node
}

// pairs returns the pairs of a mapping, "<<" merges included. What is given
// comes before what is merged.
func (r *reader) pairs(n *yaml.Node, at where) []pair {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var pairs []pair
	var merged []*yaml.Node
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, mergedNodes(node)...)
			continue
		}
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			r.errs.add(key.Line, at.resource, "a key must be a plain value")
		case lines[key.Value] > 0:
			r.errs.add(key.Line, at.resource, "%q is given twice, first in line %d", key.Value, lines[key.Value])
		default:
			lines[key.Value] = key.Line
			pairs = append(pairs, pair{key.Value, key.Line, node})
		}
	}
	for _, m := range merged {
		if !r.enter(at) {
			return nil
		}
		for _, p := range r.pairs(m, at.deeper()) {
			if lines[p.key] == 0 {
				lines[p.key] = p.line
				pairs = append(pairs, p)
			}
		}
	}
	return pairs
}

// mergedNodes returns the mappings that "<<" names: one, or a list of them.
func mergedNodes(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// call reads the only pair of a map if its key names a function; nil if not.
func (r *reader) call(p pair, at where) *Value {
	fn := lookUp(p.key, r.version, at.place)
	if fn == nil {
		if at.place == inCondition && lookUp(p.key, r.version, inValue) != nil {
			r.errs.add(p.line, at.resource, "%s: cannot be used in a condition", p.key)
		}
		return nil
	}
	v := &Value{Line: p.line, kind: callKind, name: p.key, fn: fn, arg: r.argument(fn, p.node, at.deeper())}
	if fn.check == nil || r.overflow != "" {
		return v
	}
	if msg := fn.check(v.arg); msg != "" {
		r.errs.add(p.line, at.resource, "%s: %s", p.key, msg)
	}
	return v
}

// argument reads the argument of a function. The first item of an if is a
// condition.
func (r *reader) argument(fn *function, n *yaml.Node, at where) *Value {
	list := n
	if list.Kind == yaml.AliasNode {
		list = list.Alias
	}
	if fn.role != branches || list.Kind != yaml.SequenceNode || len(list.Content) == 0 || !r.enter(at) {
		return r.value(n, at)
	}
	condition := at.deeper()
	condition.place = inCondition
	v := &Value{Line: list.Line, kind: listKind, list: []*Value{r.value(list.Content[0], condition)}}
	for _, item := range list.Content[1:] {
		v.list = append(v.list, r.value(item, at.deeper()))
	}
	return v
}
