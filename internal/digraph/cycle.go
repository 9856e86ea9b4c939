package digraph

import "slices"

// ShortestCycle returns the nodes of a shortest cycle in the order of its
// edges, from its smallest node on, or nil if there is no cycle. Which of
// several shortest ones depends on the edges alone, not on their order.
//
// It takes a breadth-first search from a node, which gives the shortest cycle
// through that node, then drops the node and all that is on no cycle any more,
// and goes on with the next. In the worst case that is a search for each node;
// see tangle for what keeps it away from that.
func (g *Graph) ShortestCycle() []int32 {
	t := newTangle(g)
	var best []int32
	for i := int32(0); t.left > 0 && len(best) != 1; i++ {
		if !t.alive[i] {
			continue
		}
		if cycle := t.search(i, len(best)); cycle != nil {
			best = cycle
		}
		t.drop(i)
		if t.thorough && t.left > 0 {
			t.cut(len(best))
		}
	}
	return fromSmallest(best)
}

// fromSmallest turns a cycle so that it begins with its smallest node.
func fromSmallest(cycle []int32) []int32 {
	first := 0
	for at, i := range cycle {
		if i < cycle[first] {
			first = at
		}
	}
	return append(cycle[first:len(cycle):len(cycle)], cycle[:first]...)
}

// tangle is what is left of a graph while a shortest cycle is looked for: the
// nodes that may be on one shorter than the best so far.
//
// Two things keep the searches few and short. A search ends where a cycle could
// only be as long as the best so far. And now and then a search is a thorough
// one, which goes through all that is left and so gives a distance d to each
// node. Call d(i)+1-d(j) the slack of an edge from i to j: it is never
// negative, and a cycle's slacks add up to its length. So an edge whose slack
// is not below the best length so far is on no shorter cycle and is cut. One
// wrong edge across a million well layered nodes then costs a few passes over
// them, whichever node comes first.
type tangle struct {
	out, in *Graph
	alive   []bool
	left    int // how many nodes are alive

	inDegree, outDegree []int32 // edges from and to nodes alive
	dropped             []int32 // nodes whose neighbours are yet to be told

	depth    []int32 // by node: distance in the last search plus one; 0 is not reached
	parent   []int32 // by node reached: where from
	queue    []int32 // the nodes reached by the last search
	thorough bool    // the last search was a thorough one
	spent    int     // what the searches since the last thorough one have cost
}

func newTangle(g *Graph) *tangle {
	n := g.Len()
	t := &tangle{alive: make([]bool, n), left: n, depth: make([]int32, n), parent: make([]int32, n)}
	for i := range t.alive {
		t.alive[i] = true
	}
	in := g.Transpose()
	// Transposed twice, so that the rows are in order: the answer must not
	// depend on the order in which edges were given.
	t.link(in.Transpose(), in)
	t.spent = t.cost()
	return t
}

// cost is what a thorough search and the cut after it cost, in nodes and edges
// looked at.
func (t *tangle) cost() int { return len(t.alive) + len(t.out.To) }

// link sets the edges and drops what is on no cycle.
func (t *tangle) link(out, in *Graph) {
	t.out, t.in = out, in
	t.inDegree = append(t.inDegree[:0], out.Degree...)
	t.outDegree = append(t.outDegree[:0], in.Degree...)
	for i, alive := range t.alive {
		if alive && (t.inDegree[i] == 0 || t.outDegree[i] == 0) {
			t.drop(int32(i))
		}
	}
}

// drop takes node i out, and with it all that is then on no cycle: what nothing
// leads to and what leads nowhere.
func (t *tangle) drop(i int32) {
	if !t.alive[i] {
		return
	}
	t.alive[i] = false
	t.left--
	t.dropped = append(t.dropped[:0], i)
	for len(t.dropped) > 0 {
		i := t.dropped[len(t.dropped)-1]
		t.dropped = t.dropped[:len(t.dropped)-1]
		t.release(t.out.Row(i), t.inDegree)
		t.release(t.in.Row(i), t.outDegree)
	}
}

// release takes one edge from each of the nodes and drops those without any.
func (t *tangle) release(nodes, degree []int32) {
	for _, j := range nodes {
		if degree[j]--; degree[j] == 0 && t.alive[j] {
			t.alive[j] = false
			t.left--
			t.dropped = append(t.dropped, j)
		}
	}
}

// search returns a shortest cycle through node start if it is shorter than
// limit; 0 is no limit. It is a thorough one if those before have cost as much,
// so that the thorough ones never cost more than the others.
func (t *tangle) search(start int32, limit int) []int32 {
	for _, i := range t.queue {
		t.depth[i] = 0
	}
	t.thorough = t.spent >= t.cost()
	t.queue = append(t.queue[:0], start)
	t.depth[start] = 1
	var cycle []int32
	for at := 0; at < len(t.queue); at++ {
		i := t.queue[at]
		if limit > 0 && int(t.depth[i]) >= limit && !t.thorough {
			break
		}
		row := t.out.Row(i)
		t.spent += len(row)
		for _, j := range row {
			switch {
			case j == start:
				if cycle == nil && (limit == 0 || int(t.depth[i]) < limit) {
					cycle = t.path(i)
				}
			case t.alive[j] && t.depth[j] == 0:
				t.depth[j] = t.depth[i] + 1
				t.parent[j] = i
				t.queue = append(t.queue, j)
			}
		}
		if cycle != nil && !t.thorough {
			break
		}
	}
	if t.thorough {
		t.spent = 0
	}
	return cycle
}

// path returns the nodes from the start of the search to node i.
func (t *tangle) path(i int32) []int32 {
	path := make([]int32, t.depth[i])
	for at := len(path) - 1; at >= 0; at-- {
		path[at] = i
		i = t.parent[i]
	}
	return path
}

// cut takes out the edges whose slack says that they are on no cycle shorter
// than limit, and those between what the search has reached and what not. It
// needs the distances of a thorough search.
func (t *tangle) cut(limit int) {
	var edges Edges
	for i, alive := range t.alive {
		if !alive {
			continue
		}
		for _, j := range t.out.Row(int32(i)) {
			if t.alive[j] && t.keeps(int32(i), j, limit) {
				edges.Add(int32(i), j)
			}
		}
	}
	// Both ways round from the one list, which is in order of both ends.
	t.link(edges.Graph(len(t.alive), false), edges.Graph(len(t.alive), true))
}

func (t *tangle) keeps(i, j int32, limit int) bool {
	if t.depth[i] == 0 || t.depth[j] == 0 {
		return t.depth[i] == t.depth[j]
	}
	return limit == 0 || int(t.depth[i]+1-t.depth[j]) < limit
}

// Cycles returns a number for each node: 0 if it is on no cycle, else one that
// it has in common with exactly those nodes with which it is on a cycle. So an
// edge is on a cycle if both its ends have the same number and that is not 0.
func (g *Graph) Cycles() []int32 {
	in := g.Transpose()
	number := make([]int32, g.Len())
	assigned := make([]bool, g.Len())
	order := g.finished()
	last := int32(0)
	var found []int32
	// Going against the edges from the node that was finished last reaches
	// just the nodes that it is on a cycle with (Kosaraju and Sharir).
	for _, i := range slices.Backward(order) {
		if assigned[i] {
			continue
		}
		assigned[i] = true
		found = append(found[:0], i)
		loop := false
		for next := 0; next < len(found); next++ {
			for _, j := range in.Row(found[next]) {
				loop = loop || j == found[next]
				if !assigned[j] {
					assigned[j] = true
					found = append(found, j)
				}
			}
		}
		if len(found) == 1 && !loop {
			continue
		}
		last++
		for _, i := range found {
			number[i] = last
		}
	}
	return number
}

// finished returns the nodes in the order in which a depth-first search leaves
// them.
func (g *Graph) finished() []int32 {
	order := make([]int32, 0, g.Len())
	seen := make([]bool, g.Len())
	next := append([]int32(nil), g.Start[:g.Len()]...) // by node: its first edge not yet taken
	var path []int32
	for root := range seen {
		if seen[root] {
			continue
		}
		seen[root] = true
		path = append(path, int32(root))
		for len(path) > 0 {
			i := path[len(path)-1]
			if next[i] == g.Start[i+1] {
				order = append(order, i)
				path = path[:len(path)-1]
				continue
			}
			j := g.To[next[i]]
			next[i]++
			if !seen[j] {
				seen[j] = true
				path = append(path, j)
			}
		}
	}
	return order
}
