package digraph

import "iter"

// Edges is a list of edges, in the order in which they were added. The zero
// Edges is empty and ready for use.
//
// It is made of blocks, which stay where they are: a slice that grows would be
// copied again and again, and with many edges that is a fifth of the time it
// takes to enter them.
type Edges struct {
	blocks [][]edge
	len    int
}

type edge struct{ from, to int32 }

func (e edge) turnedIf(turned bool) edge {
	if turned {
		return edge{e.to, e.from}
	}
	return e
}

const (
	firstBlock = 16
	mostBlock  = 1 << 16
)

// Len returns how many edges were added.
func (e *Edges) Len() int { return e.len }

// Add adds an edge.
func (e *Edges) Add(from, to int32) {
	last := len(e.blocks) - 1
	if last < 0 || len(e.blocks[last]) == cap(e.blocks[last]) {
		e.blocks = append(e.blocks, make([]edge, 0, min(max(e.len, firstBlock), mostBlock)))
		last++
	}
	e.blocks[last] = append(e.blocks[last], edge{from, to})
	e.len++
}

// All gives the edges in order, from where they lead to where.
func (e *Edges) All() iter.Seq2[int32, int32] {
	return func(yield func(from, to int32) bool) {
		for _, block := range e.blocks {
			for _, edge := range block {
				if !yield(edge.from, edge.to) {
					// Not covered: all who ask want all.
					return
				}
			}
		}
	}
}
