package scheduler

import (
	"cmp"
	"slices"

	"github.com/steptask/scheduler/internal/digraph"
)

// This file is about Dependencies that are made of something else.

// DependenciesOf returns Dependencies with the graph that a map describes: each
// key is a node that requires those of its value. The order of entry does not
// depend on that of the map. The keys come first, sorted; then the nodes that are
// only required, as they are met in the values of the sorted keys.
//
// Keys of a type without an order are entered with [Dependencies.Add], in an
// order of the caller's choice.
func DependenciesOf[K cmp.Ordered](requires map[K][]K) *Dependencies[K] {
	type row struct {
		requirer K
		required []K
	}
	var rows []row
	for k, required := range requires {
		rows = append(rows, row{k, required})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.requirer, b.requirer) })
	deps := NewDependencies[K]()
	for _, r := range rows {
		deps.Add(r.requirer)
	}
	for _, r := range rows {
		if len(r.required) > 0 {
			deps.Add(r.requirer, r.required...)
		}
	}
	return deps
}

// From returns new Dependencies with the given nodes and all that require them,
// directly or indirectly: those that a change of the given ones affects. The order of
// entry stays, and so do the edges between these nodes; what else they require is
// left out. A key that has not been entered adds nothing. The time it takes is
// linear in the size of d, also where cycles or many paths lead to a node.
func (d *Dependencies[K]) From(keys ...K) *Dependencies[K] { return d.reach(forwards, keys) }

// Closure returns new Dependencies with the given nodes and all that they
// require, directly or indirectly: what has to run for the given ones to run. The
// order of entry stays, and so do the edges between these nodes; what else
// requires them is left out. A key that has not been entered adds nothing. The
// time it takes is linear in the size of d. Its mirror is [Dependencies.From].
func (d *Dependencies[K]) Closure(keys ...K) *Dependencies[K] { return d.reach(backwards, keys) }

// Subset returns new Dependencies with the nodes for which keep returns true, in
// the same order of entry, and the edges between them. Nothing takes the place of
// a node that is left out: of a -> b -> c without b, a and c are left and neither
// requires the other. keep is called once for each node, in order of entry.
func (d *Dependencies[K]) Subset(keep func(k K) bool) *Dependencies[K] {
	keys := d.keys()
	within := make([]bool, len(keys))
	for number, k := range keys {
		within[number] = keep(k)
	}
	return d.part(within)
}

// reach returns the part that can be reached from the given nodes.
func (d *Dependencies[K]) reach(way direction, keys []K) *Dependencies[K] {
	var starts []int32
	for _, k := range keys {
		if number, ok := d.settled().Find(k); ok {
			starts = append(starts, number)
		}
	}
	if starts == nil {
		return NewDependencies[K]()
	}
	return d.part(d.graph(way).Reach(starts...))
}

// part returns the nodes that are within, by entry number, and the edges between
// them.
func (d *Dependencies[K]) part(within []bool) *Dependencies[K] {
	part := NewDependencies[K]()
	part.change()
	numbers := make([]int32, len(within)) // by old entry number, the new one
	g := d.graph(forwards)
	for old, k := range d.keys() {
		if !within[old] {
			continue
		}
		numbers[old] = part.index.Enter(k)
		if d.isDeclared(g, int32(old)) {
			part.edges.declare(numbers[old])
		}
	}
	for required, requirer := range d.edges.list.All() {
		if within[required] && within[requirer] {
			part.edges.connect(numbers[requirer], numbers[required])
		}
	}
	return part
}

// isDeclared reports whether a node was the requirer of an Add.
func (d *Dependencies[K]) isDeclared(g *digraph.Graph, number int32) bool {
	return g.Degree[number] > 0 || d.edges.isAlone(number)
}

// Translate returns new Dependencies with f(k) in place of each node k of deps,
// in the same order of entry. Nodes that f gives the same key become one node
// with the edges of all of them, at the place of the first, which can give
// cycles. f is called once for each node, in order of entry.
func Translate[K, L comparable](deps *Dependencies[K], f func(K) L) *Dependencies[L] {
	translated := NewDependencies[L]()
	translated.change()
	keys := deps.keys()
	numbers := make([]int32, len(keys)) // by old entry number, the new one
	for old, k := range keys {
		numbers[old] = translated.index.Enter(f(k))
		if deps.edges.isAlone(int32(old)) {
			translated.edges.declare(numbers[old])
		}
	}
	for required, requirer := range deps.edges.list.All() {
		translated.edges.connect(numbers[requirer], numbers[required])
	}
	return translated
}
