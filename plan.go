package scheduler

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/steptask/scheduler/internal/digraph"
	"github.com/steptask/scheduler/internal/index"
)

// plan is a graph made ready to be walked in one direction. It does not change
// and is shared by all groups that are made from it, on whatever goroutine.
//
// Nodes are known by position, that is by their place in the promised key
// order. So what a node frees always comes after it, and a walk goes through
// memory in one direction.
type plan[K comparable] struct {
	keys  []K             // by position
	graph *digraph.Graph  // by position: from a node to those that it frees
	index *index.Index[K] // from key to entry number

	position []int32 // from entry number to position; nil if they are the same

	turned func() *digraph.Graph // the same edges by the node that waits; made when asked for
}

// plan returns the plan for a walk, or a *CircularDependencyError[K].
func (d *Dependencies[K]) plan(reverse bool) (*plan[K], error) {
	way := forwards
	if reverse {
		way = backwards
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.walkLocked(way)
	if len(p.keys) < d.index.Len() {
		return nil, d.cycleLocked()
	}
	return p, nil
}

// walk returns the plan for a walk, or, on a cycle, one that has no more than
// the keys before it.
func (d *Dependencies[K]) walk(way direction) *plan[K] {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.walkLocked(way)
}

func (d *Dependencies[K]) walkLocked(way direction) *plan[K] {
	if d.plans[way] == nil {
		g := d.graphLocked(way)
		against := d.down
		if way == backwards {
			against = d.up
		}
		if against {
			d.plans[way] = d.sortedPlan(g)
		} else {
			d.plans[way] = d.newPlan(d.index.Keys(), g, nil)
		}
	}
	return d.plans[way]
}

// sortedPlan renumbers the nodes to key order. That costs a few times what a
// single walk does but makes it, and each further one, that much faster.
func (d *Dependencies[K]) sortedPlan(g *digraph.Graph) *plan[K] {
	sorted, position := g.Sort()
	keys := make([]K, d.index.Len())
	out := 0
	for number, k := range d.index.Keys() {
		if p := position[number]; p >= 0 {
			keys[p] = k
			out++
		}
	}
	if sorted == nil {
		return &plan[K]{keys: keys[:out]}
	}
	return d.newPlan(keys, sorted, position)
}

func (d *Dependencies[K]) newPlan(keys []K, g *digraph.Graph, position []int32) *plan[K] {
	return &plan[K]{
		keys:     keys,
		graph:    g,
		index:    d.index,
		position: position,
		turned:   sync.OnceValue(g.Transpose),
	}
}

// find returns the position of k.
func (p *plan[K]) find(k K) (pos int32, ok bool) {
	pos, ok = p.index.Find(k)
	if ok && p.position != nil {
		pos = p.position[pos]
	}
	return pos, ok
}

// required returns the positions of what the node at pos waits for, in key
// order.
func (p *plan[K]) required(pos int32) []int32 { return p.turned().Row(pos) }

// ErrCircularDependency is what every [*CircularDependencyError] is, whatever
// its type of key.
var ErrCircularDependency = errors.New("scheduler: circular dependency")

// CircularDependencyError says that nodes require each other, so that none of
// them can ever be ready. errors.Is finds [ErrCircularDependency] in it.
type CircularDependencyError[K comparable] struct {
	// Path is one of the shortest cycles: each node requires the next one. It
	// begins, and ends, with that node of the cycle which was entered first.
	Path []K
}

// pathShown is the number of nodes from which on a cycle is shortened in the
// text of an error.
const pathShown = 12

// Error gives the path, with "a -> b" for a requires b. Of a long one only the
// first ten nodes and the last are given.
func (e *CircularDependencyError[K]) Error() string {
	var b strings.Builder
	b.WriteString("scheduler: circular dependency: ")
	for i, k := range e.Path {
		last := i == len(e.Path)-1
		if i >= pathShown-2 && len(e.Path) > pathShown && !last {
			continue
		}
		if last && len(e.Path) > pathShown {
			fmt.Fprintf(&b, " -> ... (%d more) ...", len(e.Path)-pathShown+1)
		}
		if i > 0 {
			b.WriteString(" -> ")
		}
		fmt.Fprint(&b, k)
	}
	return b.String()
}

// Is reports whether target is [ErrCircularDependency].
func (e *CircularDependencyError[K]) Is(target error) bool { return target == ErrCircularDependency }

// cycleLocked returns the error for a graph that has a cycle.
func (d *Dependencies[K]) cycleLocked() error {
	if d.cycle == nil {
		cycle, keys := d.graphLocked(backwards).ShortestCycle(), d.index.Keys()
		path := make([]K, 0, len(cycle)+1)
		for _, number := range cycle {
			path = append(path, keys[number])
		}
		d.cycle = &CircularDependencyError[K]{Path: append(path, path[0])}
	}
	return d.cycle
}
