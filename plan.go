package scheduler

import (
	"errors"
	"fmt"
	"strings"

	"github.com/steptask/scheduler/internal/index"
)

// plan is a graph made ready to be walked in one direction, with its keys. It does
// not change and is shared by all groups that are made from it, on whatever
// goroutine.
type plan[K comparable] struct {
	walkOrder

	keys  []K             // by position
	index *index.Index[K] // from key to entry number
}

// plan returns the plan for a walk, or a *CircularDependencyError[K].
func (d *Dependencies[K]) plan(reverse bool) (*plan[K], error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.walkLocked(directionOf(reverse))
	if len(p.keys) < d.index.Len() {
		return nil, d.cycleLocked()
	}
	return p, nil
}

// walk returns the plan for a walk, or, on a cycle, one that has no more than
// the keys before it.
func (d *Dependencies[K]) walk(way direction) *plan[K] {
	d.must()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.walkLocked(way)
}

func (d *Dependencies[K]) walkLocked(way direction) *plan[K] {
	nodes := d.settledLocked().Len()
	d.kept = true
	if d.plans[way] == nil {
		p := &plan[K]{walkOrder: d.edges.walk(way, nodes), keys: d.index.Keys(), index: d.index}
		if p.position != nil {
			p.keys = inOrder(p.keys, p.position)
		}
		d.plans[way] = p
	}
	return d.plans[way]
}

// inOrder returns the keys that have a position, by position.
func inOrder[K any](byNumber []K, position []int32) []K {
	keys := make([]K, len(byNumber))
	out := 0
	for number, k := range byNumber {
		if p := position[number]; p >= 0 {
			keys[p] = k
			out++
		}
	}
	return keys[:out]
}

// dependencies returns the graph of the plan, of which groups are made as long as nothing
// is added to it.
func (p *plan[K]) dependencies(way direction) *Dependencies[K] {
	d := &Dependencies[K]{index: p.index, kept: true}
	d.plans[way] = p
	return d
}

// find returns the position of k.
func (p *plan[K]) find(k K) (pos int32, ok bool) {
	if p == nil { // of a zero group
		return 0, false
	}
	pos, ok = p.index.Find(k)
	if ok && p.position != nil {
		pos = p.position[pos]
	}
	return pos, ok
}

// own returns a plan of the same walk for a group that adds to it. It is not shared,
// and numbers nodes by position.
func (p *plan[K]) own() *plan[K] {
	own := &plan[K]{walkOrder: walkOrder{graph: p.graph}, index: new(index.Index[K])}
	for _, k := range p.keys {
		own.index.Enter(k)
	}
	own.keys = own.index.Keys()
	return own
}

// enter adds a node to a plan that is not shared.
func (p *plan[K]) enter(k K) {
	p.index.Enter(k)
	p.keys = p.index.Keys()
}

// ErrCircularDependency is what every [*CircularDependencyError] is, whatever its
// type of key.
var ErrCircularDependency = errors.New("scheduler: circular dependency")

// CircularDependencyError says that nodes require each other, so that none of them can
// ever start. It is an [ErrCircularDependency].
type CircularDependencyError[K comparable] struct {
	// Path is one of the shortest cycles, always the same: each node requires the
	// next one. It begins, and ends, with the node of the cycle that was entered
	// first.
	Path []K
}

// pathShown is the number of nodes from which on a cycle is shortened in the
// text of an error.
const pathShown = 12

// Error gives the path, with "a -> b" for a requires b; of a long one the first ten
// nodes and the last.
func (e *CircularDependencyError[K]) Error() string {
	return cycleText(len(e.Path), func(i int) any { return e.Path[i] })
}

// cycleText is the text of an error with a path of n nodes.
func cycleText(n int, node func(i int) any) string {
	var b strings.Builder
	b.WriteString("scheduler: circular dependency: ")
	for i := range n {
		last := i == n-1
		if i >= pathShown-2 && n > pathShown && !last {
			continue
		}
		if last && n > pathShown {
			fmt.Fprintf(&b, " -> ... (%d more) ...", n-pathShown+1)
		}
		if i > 0 {
			b.WriteString(" -> ")
		}
		fmt.Fprint(&b, node(i))
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
