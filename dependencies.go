package scheduler

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"github.com/steptask/scheduler/internal/digraph"
	"github.com/steptask/scheduler/internal/index"
)

// Dependencies is a graph of nodes that require one another. Wherever the graph
// leaves a choice, the order in which the nodes were entered decides. The zero
// Dependencies is empty and ready for use. It must not be copied after its first use.
//
// A group uses the graph as it is when the group is made. Any number of groups can be
// made of it, in both directions.
//
// Add must not run concurrently with any other method; the others may run
// concurrently. An unknown key requires nothing and nothing requires it. A key that
// cannot be compared panics, as in a map; a NaN is a new node in each edge. Sequences
// show the graph as it is when a loop begins, and can be used again.
//
// After an Add, the first call other than Len, Contains and Nodes takes a pass over
// the whole graph. So add everything first, then ask.
type Dependencies[K comparable] struct {
	// What was added last, and is not in index and edges yet: many keys are
	// numbered faster together than one by one.
	added batch[K]

	index *index.Index[K] // nil: nothing was asked or added yet

	edges edgeSet // by entry number

	// Guards taking over what was added, after which the above is only read, and
	// what was computed from it; except in Add, which nothing overlaps.
	mu    sync.Mutex
	kept  bool                        // there is something to drop
	plans [2]*plan[K]                 // by direction; on a cycle only with the keys before it
	cycle *CircularDependencyError[K] // only if there is one
}

// direction is a way to walk the graph, and a place in Dependencies.graphs and
// plans.
type direction int

const (
	forwards  direction = iota // edges lead from required to requirer
	backwards                  // edges lead from requirer to required
)

func directionOf(reverse bool) direction {
	if reverse {
		return backwards
	}
	return forwards
}

// NewDependencies returns an empty graph.
func NewDependencies[K comparable]() *Dependencies[K] { return &Dependencies[K]{} }

// must panics for nil: Dependencies are made by NewDependencies.
func (d *Dependencies[K]) must() {
	if d == nil {
		panic("scheduler: nil Dependencies; use NewDependencies")
	}
}

// Add records that requirer requires each of required. It enters the nodes that are
// new, those required before the requirer. Without required nodes it only enters
// requirer. Adding an edge again has no effect. A cycle is refused by
// [Dependencies.Validate] and when a group is made. For a key that is not comparable, in
// an interface, Add panics and enters nothing. Beyond 2³¹-1 nodes or edges Add, or the
// first call after it, panics.
func (d *Dependencies[K]) Add(requirer K, required ...K) {
	d.change()
	if len(required) > 1 {
		mustCompare(required)
	}
	if len(required) == 0 {
		d.reserve(1)
		d.added.alone |= 1 << d.added.enter(d.index.Hash(requirer))
	}
	for _, k := range required {
		d.reserve(2)
		d.added.connect(d.index, requirer, k)
	}
	if d.index.Len() < index.Cached { // a batch would be most of the memory of a small graph
		d.settle()
	}
}

// mustCompare panics if a key is not comparable, as == does.
func mustCompare[K comparable](keys []K) {
	for i := range keys {
		a, b := keys[i], keys[i]
		_ = a == b
	}
}

// change makes ready for a change: what was computed before is dropped, and the
// index replaced where a plan may be reading it.
func (d *Dependencies[K]) change() {
	d.must()
	if d.index == nil {
		d.index = new(index.Index[K])
	}
	if d.kept {
		d.kept = false
		d.index = d.index.Clone()
		d.edges.change()
		d.plans, d.cycle = [2]*plan[K]{}, nil
	}
}

// batch is a list of keys and of edges between them.
type batch[K comparable] struct {
	keys     []index.Hashed[K]
	edges    []edge
	requirer uint8  // of the last edge
	alone    uint32 // bit by place of the key: it was added without requirements
}

// edge is an edge by place of its ends among the keys of a batch.
type edge struct{ requirer, required uint8 }

func (b *batch[K]) enter(k index.Hashed[K]) uint8 {
	b.keys = append(b.keys, k)
	return uint8(len(b.keys) - 1)
}

// connect enters an edge and its ends. Its requirer mostly is that of the edge
// before, which saves every other look-up.
func (b *batch[K]) connect(x *index.Index[K], requirer, required K) {
	to := x.Hash(required)
	var from index.Hashed[K]
	isAnother := len(b.edges) == 0 || b.keys[b.requirer].Key != requirer
	if isAnother {
		from = x.Hash(requirer) // if this panics, nothing has been entered
	}
	place := b.enter(to)
	if isAnother {
		b.requirer = b.enter(from)
	}
	b.edges = append(b.edges, edge{b.requirer, place})
}

// reserve makes room for n more keys in the batch.
func (d *Dependencies[K]) reserve(n int) {
	if len(d.added.keys)+n > index.Batch {
		d.settle()
	}
}

// settle numbers the keys of the batch and takes its edges over.
func (d *Dependencies[K]) settle() {
	var numbers [index.Batch]int32
	d.index.EnterAll(d.added.keys, &numbers)
	for _, e := range d.added.edges {
		d.edges.connect(numbers[e.requirer], numbers[e.required])
	}
	for alone := d.added.alone; alone != 0; alone &= alone - 1 {
		d.edges.declare(numbers[bits.TrailingZeros32(alone)])
	}
	d.added.alone = 0
	clear(d.added.keys) // they may hold on to memory
	d.added.keys, d.added.edges = d.added.keys[:0], d.added.edges[:0]
}

// settled returns the index with all nodes that were added.
func (d *Dependencies[K]) settled() *index.Index[K] {
	d.must()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settledLocked()
}

func (d *Dependencies[K]) settledLocked() *index.Index[K] {
	if d.index == nil {
		d.index = new(index.Index[K])
	}
	if len(d.added.keys) > 0 {
		d.settle()
	}
	return d.index
}

// Len returns the number of nodes.
func (d *Dependencies[K]) Len() int { return d.settled().Len() }

// Contains reports whether k has been entered.
func (d *Dependencies[K]) Contains(k K) bool {
	_, ok := d.settled().Find(k)
	return ok
}

// keys returns the nodes by entry number.
func (d *Dependencies[K]) keys() []K { return d.settled().Keys() }

// Nodes yields the nodes in order of entry.
func (d *Dependencies[K]) Nodes() iter.Seq[K] {
	return func(yield func(K) bool) { slices.Values(d.keys())(yield) }
}

// All yields the nodes in topological order, the key order of a group: repeatedly the
// earliest-added node whose requirements have all been yielded. It ends when a cycle
// leaves no such node.
func (d *Dependencies[K]) All() iter.Seq[K] {
	return func(yield func(K) bool) { slices.Values(d.walk(forwards).keys)(yield) }
}

// Backward yields the nodes in the key order of a reverse group: repeatedly the
// earliest-added node whose requirers have all been yielded, which is in general not
// the reverse of [Dependencies.All]. It ends at a cycle as All does.
func (d *Dependencies[K]) Backward() iter.Seq[K] {
	return func(yield func(K) bool) { slices.Values(d.walk(backwards).keys)(yield) }
}

// Requires yields the nodes that k requires directly, in the order of Add.
func (d *Dependencies[K]) Requires(k K) iter.Seq[K] { return d.neighbours(k, backwards) }

// RequiredBy yields the nodes that require k directly, in the order of Add.
func (d *Dependencies[K]) RequiredBy(k K) iter.Seq[K] { return d.neighbours(k, forwards) }

func (d *Dependencies[K]) neighbours(k K, way direction) iter.Seq[K] {
	return func(yield func(K) bool) {
		number, ok := d.settled().Find(k)
		if !ok {
			return
		}
		keys := d.keys()
		for _, next := range d.graph(way).Row(number) {
			if !yield(keys[next]) {
				return
			}
		}
	}
}

// Leaves yields the nodes that require nothing, in order of entry.
func (d *Dependencies[K]) Leaves() iter.Seq[K] {
	return d.where(func(g *digraph.Graph, number int32) bool { return g.Degree[number] == 0 })
}

// Roots yields the nodes that no node requires, in order of entry.
func (d *Dependencies[K]) Roots() iter.Seq[K] {
	return d.where(func(g *digraph.Graph, number int32) bool { return len(g.Row(number)) == 0 })
}

// Undeclared yields the nodes that are required but were never the requirer of an
// Add, in order of entry: the names in a file that are used but not defined.
func (d *Dependencies[K]) Undeclared() iter.Seq[K] {
	return func(yield func(K) bool) {
		g := d.graph(forwards)
		for number, k := range d.keys() {
			if g.Degree[number] == 0 && !d.edges.isAlone(int32(number)) && !yield(k) {
				return
			}
		}
	}
}

// where gives the nodes that match in the graph as it is walked forwards.
func (d *Dependencies[K]) where(match func(g *digraph.Graph, number int32) bool) iter.Seq[K] {
	return func(yield func(K) bool) {
		g := d.graph(forwards)
		for number, k := range d.keys() {
			if match(g, int32(number)) && !yield(k) {
				return
			}
		}
	}
}

// Edges yields each edge once, as requirer and required, by requirer in order of entry.
func (d *Dependencies[K]) Edges() iter.Seq2[K, K] {
	return func(yield func(requirer, required K) bool) {
		g, keys := d.graph(backwards), d.keys()
		for number, requirer := range keys {
			for _, required := range g.Row(int32(number)) {
				if !yield(requirer, keys[required]) {
					return
				}
			}
		}
	}
}

// String returns a line for each node in order of entry, such as "web -> db, cache".
func (d *Dependencies[K]) String() string {
	keys := d.keys()
	return graphText(d.graph(backwards), func(number int32) any { return keys[number] })
}

// graphText is String for nodes that are known by number.
func graphText(g *digraph.Graph, key func(number int32) any) string {
	var b strings.Builder
	for number := range int32(g.Len()) {
		if number > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprint(&b, key(number))
		sep := " -> "
		for _, required := range g.Row(number) {
			b.WriteString(sep)
			fmt.Fprint(&b, key(required))
			sep = ", "
		}
	}
	return b.String()
}

// Validate returns nil if the graph has no cycle, and otherwise a
// [*CircularDependencyError]. It takes linear time, except in large graphs with many
// cycles and no short one.
func (d *Dependencies[K]) Validate() error {
	if d == nil {
		return &OptionError{Option: "deps", Reason: "nil Dependencies"}
	}
	_, err := d.plan(false)
	return err
}

// graph returns the edges by the node they lead from when walked that way.
func (d *Dependencies[K]) graph(way direction) *digraph.Graph {
	d.must()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.graphLocked(way)
}

func (d *Dependencies[K]) graphLocked(way direction) *digraph.Graph {
	nodes := d.settledLocked().Len()
	d.kept = true
	return d.edges.graph(way, nodes)
}
