// Package digraph holds directed graphs of numbered nodes and what is asked of
// them: an order, a cycle. It knows nothing of keys. Nothing in it recurses, so
// a path may be as long as memory allows.
package digraph

import (
	"math/bits"

	"github.com/steptask/scheduler/internal/bitset"
)

// Graph is a directed graph in compressed rows: three flat slices that the
// collector does not look into. It is not changed once made.
type Graph struct {
	Start  []int32 // the edges from node i lead to To[Start[i]:Start[i+1]]
	To     []int32
	Degree []int32 // by node: how many edges lead to it
}

// New returns the graph with nodes 0 to n-1 and an edge from from[i] to to[i]
// for each i. An edge given twice is one edge. A node's edges keep the order in
// which they were given.
func New(n int, from, to []int32) *Graph {
	// A counting sort. A row's end is kept two places on while it is counted
	// and one place on while it is filled, and so ends up as the next row's
	// start, without a second slice for the cursors.
	start := make([]int32, n+2)
	for _, i := range from {
		start[i+2]++
	}
	for i := 2; i < len(start); i++ {
		start[i] += start[i-1]
	}
	rows := make([]int32, len(to))
	for e, i := range from {
		rows[start[i+1]] = to[e]
		start[i+1]++
	}
	g := &Graph{Start: start[:n+1], To: rows, Degree: make([]int32, n)}
	g.dropDuplicates()
	return g
}

// dropDuplicates closes the gaps that repeated edges leave, and counts degrees.
func (g *Graph) dropDuplicates() {
	stamp := make([]int32, g.Len()) // by node: the last row it was seen in, plus one
	kept := int32(0)
	for i := range stamp {
		row := g.Row(int32(i))
		g.Start[i] = kept
		for _, j := range row {
			if stamp[j] == int32(i)+1 {
				continue
			}
			stamp[j] = int32(i) + 1
			g.To[kept] = j
			kept++
			g.Degree[j]++
		}
	}
	g.Start[g.Len()] = kept
	g.To = g.To[:kept]
}

// Len returns the number of nodes.
func (g *Graph) Len() int { return len(g.Degree) }

// Row returns the nodes to which edges lead from node i.
func (g *Graph) Row(i int32) []int32 { return g.To[g.Start[i]:g.Start[i+1]] }

// Transpose returns the graph with every edge turned round. Its rows are in
// ascending order.
func (g *Graph) Transpose() *Graph {
	from := make([]int32, len(g.To))
	for i := range g.Degree {
		for e := g.Start[i]; e < g.Start[i+1]; e++ {
			from[e] = int32(i)
		}
	}
	return New(g.Len(), g.To, from)
}

// Sort puts the nodes in order: again and again comes the smallest node such
// that all nodes with an edge to it are out already. It returns the graph with
// the nodes renumbered to their places, what each place holds, and the place of
// each node. Every edge of the sorted graph leads to a higher number.
//
// If there is a cycle, order ends where no node is left that could come next,
// sorted is nil and place is of no use.
func (g *Graph) Sort() (sorted *Graph, order, place []int32) {
	n := g.Len()
	sorted = &Graph{Start: make([]int32, n+1), To: make([]int32, 0, len(g.To)), Degree: make([]int32, n)}
	order, place = make([]int32, 0, n), make([]int32, n)

	waits := make([]int32, n)
	copy(waits, g.Degree)
	ready := bitset.New(n)
	for i, w := range waits {
		if w == 0 {
			ready.Add(int32(i))
		}
	}
	// An order by priority is one chain of dependent cache misses. So each row
	// is copied while it is in the cache, and its nodes are translated below,
	// where the misses do not wait for each other: together they cost little
	// more than the order alone.
	for w := ready.NextWord(0); w >= 0; w = ready.NextWord(w) {
		i := int32(w<<6 | bits.TrailingZeros64(ready.Word(w)))
		ready.Remove(i)
		place[i] = int32(len(order))
		order = append(order, i)
		row := g.Row(i)
		sorted.To = append(sorted.To, row...)
		sorted.Start[len(order)] = int32(len(sorted.To))
		for _, j := range row {
			if waits[j]--; waits[j] == 0 {
				ready.Add(j)
				w = min(w, int(j)>>6)
			}
		}
	}
	if len(order) < n {
		return nil, order, nil
	}
	for e, j := range sorted.To {
		p := place[j]
		sorted.To[e] = p
		sorted.Degree[p]++
	}
	return sorted, order, place
}

// Reach returns, by node, whether a path leads to it from start, which counts
// as reached.
func (g *Graph) Reach(start int32) []bool {
	reached := make([]bool, g.Len())
	reached[start] = true
	found := []int32{start}
	for len(found) > 0 {
		i := found[len(found)-1]
		found = found[:len(found)-1]
		for _, j := range g.Row(i) {
			if !reached[j] {
				reached[j] = true
				found = append(found, j)
			}
		}
	}
	return reached
}
