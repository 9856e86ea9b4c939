// Package digraph holds directed graphs of numbered nodes and what is asked of
// them: an order, a cycle. It knows nothing of keys. Nothing in it recurses, so
// a path may be as long as memory allows.
package digraph

import (
	"math/bits"
	"slices"
	"sync"
)

// Graph is a directed graph in compressed rows: three flat slices that the
// collector does not look into. It is not changed once made.
type Graph struct {
	Start  []int32 // the edges from node i lead to To[Start[i]:Start[i+1]]
	To     []int32
	Degree []int32 // by node: how many edges lead to it

	turn   sync.Once
	turned *Graph // made when it is asked for
}

// Graph returns the graph with nodes 0 to n-1 and the edges of a list, all turned round if
// turned is set. An edge given twice is one edge. A node's edges keep the order in which
// they were given.
func (e *Edges) Graph(n int, turned bool) *Graph {
	// A counting sort. A row's end is kept two places on while it is counted
	// and one place on while it is filled, and so ends up as the next row's
	// start, without a second slice for the cursors.
	table := make([]int32, n+2+n+e.len) // in one piece: a small graph is mostly its making
	start, degree, rows := table[:n+2], table[n+2:2*n+2], table[2*n+2:]
	for _, block := range e.blocks {
		for _, edge := range block {
			start[edge.turnedIf(turned).from+2]++
		}
	}
	for i := 2; i < len(start); i++ {
		start[i] += start[i-1]
	}
	for _, block := range e.blocks {
		for _, edge := range block {
			edge = edge.turnedIf(turned)
			rows[start[edge.from+1]] = edge.to
			start[edge.from+1]++
		}
	}
	g := &Graph{Start: start[: n+1 : n+1], To: rows, Degree: degree}
	g.dropDuplicates()
	return g
}

// dropDuplicates closes the gaps that repeated edges leave, and counts degrees.
func (g *Graph) dropDuplicates() {
	var stamp []int32 // by node: the last row it was seen in, plus one; nil: no row has two edges yet
	kept := int32(0)
	for i := range g.Degree {
		row := g.Row(int32(i))
		g.Start[i] = kept
		if len(row) > 1 && stamp == nil {
			stamp = make([]int32, g.Len())
		}
		for _, j := range row {
			if stamp != nil {
				if stamp[j] == int32(i)+1 {
					continue
				}
				stamp[j] = int32(i) + 1
			}
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

// Turned returns the graph with every edge turned round, which is made once. Its rows
// are in ascending order. It may be called from any goroutine.
func (g *Graph) Turned() *Graph {
	g.turn.Do(func() { g.turned = g.Transpose() })
	return g.turned
}

// Transpose returns a new graph with every edge turned round. Its rows are in
// ascending order.
func (g *Graph) Transpose() *Graph {
	n := g.Len()
	t := &Graph{Start: make([]int32, n+2), To: make([]int32, len(g.To)), Degree: make([]int32, n)}
	for i, degree := range g.Degree { // as above, with one place on for what is filled
		t.Start[i+2] = t.Start[i+1] + degree
	}
	for i := range g.Degree {
		row := g.Row(int32(i))
		t.Degree[i] = int32(len(row))
		for _, j := range row {
			t.To[t.Start[j+1]] = int32(i)
			t.Start[j+1]++
		}
	}
	t.Start = t.Start[: n+1 : n+1]
	return t
}

// Sort puts the nodes in order: again and again comes the smallest node such
// that all nodes with an edge to it are out already. It returns the place of
// each node, and the graph with the nodes renumbered to their places: every
// edge leads to a higher number then.
//
// If there is a cycle, it stops where no node is left that could come next: the
// nodes not out have a negative place, and sorted is nil.
func (g *Graph) Sort() (sorted *Graph, place []int32) {
	n := g.Len()
	sorted = &Graph{Start: make([]int32, n+1), To: make([]int32, len(g.To)), Degree: make([]int32, n)}
	nodes := make([]unsorted, n+1)
	nodes[n].start = g.Start[n]
	ready := newFront(n)
	for i, waits := range g.Degree {
		nodes[i] = unsorted{g.Start[i], ^waits}
		if waits == 0 {
			ready.put(int32(i>>6), 1<<(i&63))
		}
	}

	// An order by priority is one long chain of cache misses, each of which
	// has to wait for the one before. What takes part in it is laid out so
	// that a node has two of them, its number and its row; rows are asked for
	// as soon as it is known that they will be needed; and all that can be
	// done apart from it is kept apart.
	//
	// The ready nodes of the first word are in members, all others in ready.
	// A node that becomes ready is mostly in that word or near it, so there is
	// no need to begin at the top, as a heap does.
	word, members := ready.take(0)
	out, end := int32(0), int32(0)
	for members != 0 {
		i := word<<6 | int32(bits.TrailingZeros64(members))
		members &= members - 1
		nodes[i].place = out
		out++
		for _, j := range g.To[nodes[i].start:nodes[i+1].start] {
			sorted.To[end] = j // translated below
			end++
			place := nodes[j].place + 1
			nodes[j].place = place
			if place != allOut {
				continue
			}
			if at := nodes[j].start; at < nodes[j+1].start {
				_ = nodes[g.To[at]] // Asks for the row, and does not wait for it.
			}
			switch its, bit := j>>6, uint64(1)<<(j&63); {
			case its == word:
				members |= bit
			case its > word:
				ready.put(its, bit)
			default:
				if members != 0 {
					ready.put(word, members)
				}
				word, members = its, bit
			}
		}
		sorted.Start[out] = end
		if members == 0 {
			word, members = ready.take(word)
		}
	}

	place = make([]int32, n)
	for i := range place {
		place[i] = nodes[i].place
	}
	if int(out) < n {
		return nil, place
	}
	for e, j := range sorted.To {
		sorted.To[e] = nodes[j].place
	}
	for i, p := range place {
		sorted.Degree[p] = g.Degree[i]
	}
	return sorted, place
}

// unsorted is a node while the nodes are put in order.
type unsorted struct {
	start int32 // of its row
	place int32 // once it is out; before, ^w if it waits for w nodes
}

// allOut is the place of a node that waits for nothing any more.
const allOut = ^int32(0)

// Reach returns, by node, whether a path leads to it from one of the starts, which
// count as reached.
func (g *Graph) Reach(starts ...int32) []bool {
	reached := make([]bool, g.Len())
	for _, start := range starts {
		reached[start] = true
	}
	found := slices.Clone(starts)
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
