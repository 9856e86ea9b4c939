package inspect

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/steptask/scheduler"
)

// graph is what does not change of the nodes of a group. They are known by
// number, in key order: what a node requires comes before it. It only grows, so
// that a copy of it can be read without the mutex of the run.
type graph struct {
	names        []byte  // as JSON, one after the other
	nameEnds     []int   // by node
	edges        []int32 // what the nodes require in the walked direction, one after the other
	edgeEnds     []int   // by node
	layer        []int32 // the longest way from a node that requires nothing
	completed    []bool  // done beforehand
	estimates    []int64 // how long each will take; 0 if nobody knows
	hasEstimates bool    // of any
}

// newGraph takes the graph of a group.
func newGraph(group scheduler.GroupView) graph {
	n := group.Len()
	g := graph{
		names: make([]byte, 0, 8*n), nameEnds: make([]int, 0, n), edgeEnds: make([]int, 0, n),
		layer: make([]int32, 0, n), completed: make([]bool, 0, n),
	}
	g.grow(group)
	return g
}

// grow takes the nodes that the group has gained.
func (g *graph) grow(group scheduler.GroupView) {
	for node := g.len(); node < group.Len(); node++ {
		g.names = appendJSON(g.names, cut(fmt.Sprint(group.Key(node)), nameMax))
		g.nameEnds = append(g.nameEnds, len(g.names))
		layer := int32(0)
		for q := range group.Requires(node) {
			g.edges = append(g.edges, int32(q))
			layer = max(layer, g.layer[q]+1)
		}
		g.edgeEnds = append(g.edgeEnds, len(g.edges))
		g.layer = append(g.layer, layer)
		g.completed = append(g.completed, group.State(node) == scheduler.StateSucceeded)
		if estimate := group.Estimate(node); estimate > 0 || g.hasEstimates {
			g.estimate(node, int64(estimate))
		}
	}
}

// estimate keeps how long a node will take. Most groups do not say it of any.
func (g *graph) estimate(node int, ns int64) {
	g.hasEstimates = true
	g.estimates = append(g.estimates, make([]int64, node-len(g.estimates))...)
	g.estimates = append(g.estimates, max(ns, 0))
}

// nameMax is how many bytes of a name are shown.
const nameMax = 1 << 10

func (g *graph) len() int { return len(g.nameEnds) }

// name returns the name of a node, as JSON.
func (g *graph) name(node int32) json.RawMessage {
	from := 0
	if node > 0 {
		from = g.nameEnds[node-1]
	}
	return g.names[from:g.nameEnds[node]]
}

// requires returns the nodes that a node requires.
func (g *graph) requires(node int32) []int32 {
	from := 0
	if node > 0 {
		from = g.edgeEnds[node-1]
	}
	return g.edges[from:g.edgeEnds[node]]
}

// requiredBy returns the nodes that require a node.
func (g *graph) requiredBy(node int32) []int32 {
	var found []int32
	for other := node + 1; int(other) < g.len(); other++ {
		if slices.Contains(g.requires(other), node) {
			found = append(found, other)
		}
	}
	return found
}

// estimateOf returns how long a node will take.
func (g *graph) estimateOf(node int) int64 {
	if node < len(g.estimates) {
		return g.estimates[node]
	}
	return 0
}
