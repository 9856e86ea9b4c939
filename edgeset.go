package scheduler

import (
	"math"

	"github.com/steptask/scheduler/internal/digraph"
)

// edgeSet is Dependencies without their keys: nodes are known by entry number. So
// what is computed from a graph is compiled once for all types of keys.
type edgeSet struct {
	// The edges in the order in which they were added; an edge added twice is in
	// here twice.
	list digraph.Edges // forwards

	// Which nodes were added without requirements: those that require something
	// are known by that.
	alone []uint64

	// Whether some edge leads from its required node up to its requirer, or down;
	// for a node that requires itself both are set. As long as all lead the same
	// way, the order of entry is the order of that walk.
	up, down bool

	graphs [2]*digraph.Graph // by direction
}

// walkOrder is how a graph is walked in one direction. Nodes are known by position,
// that is by their place in the promised key order. So what a node frees always
// comes after it, and a walk goes through memory in one direction.
type walkOrder struct {
	graph    *digraph.Graph // by position: from a node to those that it frees; nil on a cycle
	position []int32        // from entry number to position, -1 on or after a cycle; nil if they are the same
}

// connect adds an edge.
func (e *edgeSet) connect(requirer, required int32) {
	if e.list.Len() == math.MaxInt32 {
		// Not covered: it would take 16 GB.
		panic("scheduler: more than 2147483647 dependencies")
	}
	e.list.Add(required, requirer)
	if required <= requirer {
		e.up = true
	}
	if required >= requirer {
		e.down = true
	}
}

// declare notes that a node was added without requirements.
func (e *edgeSet) declare(number int32) {
	word := int(number) / 64
	if word >= len(e.alone) {
		e.alone = append(e.alone, make([]uint64, word+1-len(e.alone))...)
	}
	e.alone[word] |= 1 << (number % 64)
}

// isAlone reports whether a node was added without requirements.
func (e *edgeSet) isAlone(number int32) bool {
	word := int(number) / 64
	return word < len(e.alone) && e.alone[word]>>(number%64)&1 != 0
}

// change drops what was computed.
func (e *edgeSet) change() { e.graphs = [2]*digraph.Graph{} }

// graph returns the edges by the node they lead from when walked that way. Inlined it would
// be compiled for each type of key.
//
//go:noinline
func (e *edgeSet) graph(way direction, nodes int) *digraph.Graph {
	if e.graphs[way] == nil {
		e.graphs[way] = e.list.Graph(nodes, way == backwards)
	}
	return e.graphs[way]
}

// walk computes the order of a walk, which plans keep. If the order of entry is not that, nodes are
// numbered anew: that costs a few times what a single walk does but makes it, and
// each further one, that much faster.
func (e *edgeSet) walk(way direction, nodes int) walkOrder {
	w := walkOrder{graph: e.graph(way, nodes)}
	against := e.down
	if way == backwards {
		against = e.up
	}
	if against {
		w.graph, w.position = w.graph.Sort()
	}
	return w
}
