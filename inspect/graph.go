package inspect

import (
	"fmt"
	"slices"
	"time"

	"github.com/steptask/scheduler"
)

// graph is what does not change of a run. Nodes are known by number, in the key
// order of the group: what a node requires comes before it.
type graph struct {
	names     []string
	requires  [][]int32 // in the walked direction
	layer     []int32   // the longest way from a node that requires nothing
	completed []bool    // done beforehand
	estimates []int64   // nil: none were given
	limit     int       // 0: none
}

// newGraph takes the graph of a group that was just made.
func newGraph[K comparable](
	group *scheduler.DependencyTaskGroup[K], deps *scheduler.Dependencies[K], opts *scheduler.GroupOptions[K],
) (*graph, map[K]int32) {
	n := group.Len()
	g := &graph{
		names:     make([]string, 0, n),
		requires:  make([][]int32, n),
		layer:     make([]int32, n),
		completed: make([]bool, n),
		limit:     opts.Limit,
	}
	numbers := make(map[K]int32, n)
	for k, state := range group.All() {
		number := int32(len(g.names))
		numbers[k] = number
		g.names = append(g.names, fmt.Sprint(k))
		g.completed[number] = state.Ended()
		if opts.Estimate != nil {
			g.estimates = append(g.estimates, max(int64(opts.Estimate(k)), 0))
		}
	}
	for requirer, required := range deps.Edges() {
		from, to := numbers[requirer], numbers[required]
		if opts.Reverse {
			from, to = to, from
		}
		g.requires[from] = append(g.requires[from], to)
	}
	for node, requires := range g.requires {
		for _, q := range requires {
			g.layer[node] = max(g.layer[node], g.layer[q]+1)
		}
	}
	return g, numbers
}

// requiredBy returns the nodes that directly require a node.
func (g *graph) requiredBy(node int32) []int32 {
	var found []int32
	for other := node + 1; int(other) < len(g.names); other++ {
		if slices.Contains(g.requires[other], node) {
			found = append(found, other)
		}
	}
	return found
}

// ms is an instant, or a length of time, as JSON has it.
func ms(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
