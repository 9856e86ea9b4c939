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

// Dependencies says which node requires which. Nodes are named by keys, and the
// order in which they are entered decides wherever the graph leaves a choice:
// nothing here depends on chance. The zero Dependencies is empty and ready for
// use; it must not be copied once used.
//
// A group is made from Dependencies as they are at that moment: what is added
// later does not show in it. Any number of groups can be made from the same
// Dependencies, in both directions.
//
// Add must not overlap with any other call. All other methods may be called
// from many goroutines at once. They never panic for a key that has not been
// entered; with an interface type for K, a key whose dynamic type is not
// comparable makes them panic, as it does with a map. A key that is not equal to
// itself, such as a floating-point NaN, is a new node with each edge and found by
// no query.
//
// A sequence shows the graph as it is when a loop over it begins, also if the
// loop's body adds to it, and can be used again.
//
// Len, Contains and Nodes cost nothing beyond what they give. The first of the
// other calls after an Add takes a pass over the whole graph, which is kept for
// those that follow: add first, ask then.
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

// NewDependencies returns Dependencies without nodes.
func NewDependencies[K comparable]() *Dependencies[K] { return &Dependencies[K]{} }

// Add notes that requirer requires each of required, and enters those of these
// nodes that are new. Without required it only enters requirer.
//
// Several required nodes are the same as an Add for each of them in turn, and
// each enters the required node before the requirer. An edge that is there
// already changes nothing. Nothing is refused: a node that requires itself, or
// any other cycle, is found by [Dependencies.Validate] and when a group is made.
//
// Groups made before are not affected. Add, or the first call after it, panics
// beyond 2³¹-1 nodes or edges.
func (d *Dependencies[K]) Add(requirer K, required ...K) {
	d.change()
	if len(required) == 0 {
		d.reserve(1)
		d.added.alone |= 1 << d.added.enter(d.index.Hash(requirer))
	}
	for _, k := range required {
		d.reserve(2)
		d.added.connect(d.index, requirer, k)
	}
}

// change makes ready for a change: what was computed before is dropped, and the
// index replaced where a plan may be reading it.
func (d *Dependencies[K]) change() {
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
	if b.keys == nil {
		b.keys = make([]index.Hashed[K], 0, index.Batch/2)
	}
	b.keys = append(b.keys, k)
	return uint8(len(b.keys) - 1)
}

// connect enters an edge and its ends. Its requirer mostly is that of the edge
// before, which saves every other look-up.
func (b *batch[K]) connect(x *index.Index[K], requirer, required K) {
	to := x.Hash(required)
	if len(b.edges) == 0 || b.keys[b.requirer].Key != requirer {
		from := x.Hash(requirer) // if this panics, nothing has been entered
		place := b.enter(to)
		b.requirer = b.enter(from)
		b.edges = append(b.edges, edge{b.requirer, place})
		return
	}
	b.edges = append(b.edges, edge{b.requirer, b.enter(to)})
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

// Nodes gives all nodes in order of entry.
func (d *Dependencies[K]) Nodes() iter.Seq[K] {
	return func(yield func(K) bool) { slices.Values(d.keys())(yield) }
}

// All gives all nodes in topological order, which is the key order of a group:
// again and again the first node, in order of entry, all of whose requirements
// have been given already. On a cycle it ends where no such node is left, which
// [Dependencies.Validate] tells from a complete order.
func (d *Dependencies[K]) All() iter.Seq[K] {
	return func(yield func(K) bool) { slices.Values(d.walk(forwards).keys)(yield) }
}

// Backward gives all nodes in the key order of a reverse group: again and again
// the first node, in order of entry, all of whose requirers have been given
// already. In general this is not the order of [Dependencies.All] read
// backwards. On a cycle it ends where no such node is left.
func (d *Dependencies[K]) Backward() iter.Seq[K] {
	return func(yield func(K) bool) { slices.Values(d.walk(backwards).keys)(yield) }
}

// Requires gives the nodes that k directly requires, in the order in which they
// were added to it: none for a leaf, and none if k has not been entered.
func (d *Dependencies[K]) Requires(k K) iter.Seq[K] { return d.neighbours(k, backwards) }

// RequiredBy gives the nodes that directly require k, in the order in which
// they were added: none for a root, and none if k has not been entered.
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

// Leaves gives the nodes that require nothing, in order of entry.
func (d *Dependencies[K]) Leaves() iter.Seq[K] {
	return d.where(func(g *digraph.Graph, number int32) bool { return g.Degree[number] == 0 })
}

// Roots gives the nodes that nothing requires, in order of entry.
func (d *Dependencies[K]) Roots() iter.Seq[K] {
	return d.where(func(g *digraph.Graph, number int32) bool { return len(g.Row(number)) == 0 })
}

// Undeclared gives the nodes that others require and that were never added
// themselves, in order of entry: no [Dependencies.Add] had one of them as the
// requirer. In a graph that is read from a file these are the names that nothing
// in it defines. The nodes of [DependenciesOf] are added by being keys of the map.
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

// Edges gives each edge once, as requirer and required: requirers in order of
// entry, and for each what it requires in the order of [Dependencies.Requires].
// A node without edges is not in it; [Dependencies.Nodes] has them all.
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

// String gives a line for each node in order of entry: the node, and after an
// arrow what it requires, in the order of [Dependencies.Requires].
//
//	db
//	web -> db, cache
//	cache
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

// Validate returns nil if the nodes can be put in order, and otherwise a
// [*CircularDependencyError] with one of the shortest cycles, which is the same
// one whenever the same nodes are entered in the same order with the same
// edges.
//
// It takes time linear in the size of the graph as long as there is no cycle,
// and in general also if there is one: only graphs made for it, large, dense in
// cycles and without a short one, take more.
func (d *Dependencies[K]) Validate() error {
	_, err := d.plan(false)
	return err
}

// graph returns the edges by the node they lead from when walked that way.
func (d *Dependencies[K]) graph(way direction) *digraph.Graph {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.graphLocked(way)
}

func (d *Dependencies[K]) graphLocked(way direction) *digraph.Graph {
	nodes := d.settledLocked().Len()
	d.kept = true
	return d.edges.graph(way, nodes)
}
