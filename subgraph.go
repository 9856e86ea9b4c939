package scheduler

import (
	"cmp"
	"slices"

	"github.com/steptask/scheduler/internal/digraph"
)

// This file is about Dependencies that are made of something else.

// DependenciesOf returns the graph in which each key of a map requires the nodes in
// its value. The keys are entered sorted, and then the nodes that are only required,
// in the order of the sorted keys' values.
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
		deps.Add(r.requirer, r.required...)
	}
	return deps
}

// From returns a new graph of the given nodes and all nodes that require them,
// directly or not: those that a change of the given nodes affects. Otherwise it is
// like [Dependencies.Closure].
func (d *Dependencies[K]) From(keys ...K) *Dependencies[K] { return d.reach(forwards, keys) }

// Closure returns a new graph of the given nodes and all nodes that they require,
// directly or not, in the same order of entry. It ignores unknown keys, and takes
// linear time in the size of d.
func (d *Dependencies[K]) Closure(keys ...K) *Dependencies[K] { return d.reach(backwards, keys) }

// Subset returns a new graph of the nodes for which keep returns true, in the same
// order of entry, with the edges between them. Paths through other nodes are lost.
// keep is called once for each node, in order of entry.
func (d *Dependencies[K]) Subset(keep func(k K) bool) *Dependencies[K] {
	mustHaveFunc(keep == nil, "Dependencies.Subset")
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

// Translate returns a new graph with f(k) in place of each node k of deps, in the
// same order of entry. Nodes for which f returns the same key are merged at the place
// of the first, which can create cycles. f is called once for each node, in order of
// entry.
func Translate[K, L comparable](deps *Dependencies[K], f func(K) L) *Dependencies[L] {
	mustHaveFunc(f == nil, "Translate")
	translated := NewDependencies[L]()
	translated.change()
	keys := deps.keys()                 // which panics for nil
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
