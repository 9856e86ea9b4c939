package scheduler

import "math"

// growth is the part of the graph of a group that was added to it. The part of the
// beginning stays as it is, shared with other groups.
//
// What a node requires is kept: flat, as the keys are. The way back, from a node to
// those that wait for it, is needed only until the node has ended. So that is a
// list of edges for each node that has not, in memory that others use after it.
type growth struct {
	first  int32   // nodes below are of the beginning
	needs  []int32 // what added nodes require, one node after the other
	starts []int32 // by added node: where its part of needs begins, and one more
	last   []int32 // by node: the last edge to those that wait for it, or noEdge
	edges  []waitEdge
	unused int32 // the first edge that can be used again, or noEdge
}

// waitEdge leads to an added node. The edges of a node are a ring: from the last
// one the way leads to the first.
type waitEdge struct{ to, next int32 }

const noEdge = int32(-1)

// newGrowth returns the growth of a graph of n nodes.
func newGrowth(n int) *growth {
	w := &growth{first: int32(n), starts: []int32{0}, last: make([]int32, n), unused: noEdge}
	for p := range w.last {
		w.last[p] = noEdge
	}
	return w
}

// add keeps what the next node requires.
func (w *growth) add(needs []int32) {
	if len(w.needs) > math.MaxInt32-len(needs) {
		// Not covered: it would take 8 GB.
		panic("scheduler: more than 2147483647 dependencies")
	}
	w.needs = append(w.needs, needs...)
	w.starts = append(w.starts, int32(len(w.needs)))
	w.last = append(w.last, noEdge)
}

// required returns what an added node requires.
func (w *growth) required(p int32) []int32 {
	return w.needs[w.starts[p-w.first]:w.starts[p-w.first+1]]
}

// wait adds an edge from a node to one that waits for it.
func (w *growth) wait(q, p int32) {
	e := w.unused
	if e == noEdge {
		e = int32(len(w.edges))
		w.edges = append(w.edges, waitEdge{})
	} else {
		w.unused = w.edges[e].next
	}
	w.edges[e] = waitEdge{to: p, next: e}
	if last := w.last[q]; last != noEdge {
		w.edges[e].next = w.edges[last].next
		w.edges[last].next = e
	}
	w.last[q] = e
}

// waiting returns the nodes that wait for one, in key order.
func (w *growth) waiting(p int32) []int32 {
	last := w.last[p]
	if last == noEdge {
		return nil
	}
	var found []int32
	for e := w.edges[last].next; ; e = w.edges[e].next {
		found = append(found, w.edges[e].to)
		if e == last {
			return found
		}
	}
}

// waits reports whether an added node waits for one that it requires, which may be a
// service that has freed others: all that were added since it was asked to end wait.
func (w *growth) waits(q, p int32) bool {
	last := w.last[q]
	return last != noEdge && w.edges[w.edges[last].next].to <= p
}

// take returns the same, and forgets the edges.
func (w *growth) take(p int32) []int32 {
	found := w.waiting(p)
	if found == nil {
		return nil
	}
	last := w.last[p]
	w.last[p] = noEdge
	first := w.edges[last].next
	w.edges[last].next = w.unused
	w.unused = first
	return found
}
