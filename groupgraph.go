package scheduler

import "github.com/steptask/scheduler/internal/digraph"

// groupGraph is the graph of a group in the walked direction: the one that it began with,
// which is shared with other groups and stays as it is, and what was added to that.
type groupGraph struct {
	begun *digraph.Graph // from a node to those that it frees
	added *growth        // nil: nothing was added yet
}

// rows are the rows of the beginning in one piece: that of a node is to from its start
// up to the next one.
func (g *groupGraph) rows() (start, to []int32) { return g.begun.Start, g.begun.To }

// frees returns the nodes of the beginning that require a node, in key order. Those that
// were added are in waiting while they wait for it.
func (g *groupGraph) frees(p int32) []int32 {
	if g.wasAdded(p) {
		return nil
	}
	return g.begun.Row(p)
}

// isRequired reports, to any goroutine, whether nodes of the beginning require a node.
func (g *groupGraph) isRequired(p int32) bool {
	return int(p) < g.begun.Len() && len(g.begun.Row(p)) > 0
}

// required returns what a node requires, in key order.
func (g *groupGraph) required(p int32) []int32 {
	if g.wasAdded(p) {
		return g.added.required(p)
	}
	return g.begun.Turned().Row(p)
}

// waiting returns the added nodes that wait for a node, in key order.
func (g *groupGraph) waiting(q int32) []int32 {
	if g.added == nil {
		return nil
	}
	return g.added.waiting(q)
}

// takeWaiting returns the same, and forgets them: the node has ended, or is lost.
func (g *groupGraph) takeWaiting(q int32) []int32 {
	if g.added == nil {
		return nil
	}
	return g.added.take(q)
}

// waits reports whether an added node waits for another.
func (g *groupGraph) waits(q, p int32) bool { return g.wasAdded(p) && g.added.waits(q, p) }

// wasAdded reports whether a node was added to the graph, and hasGrown whether any was.
func (g *groupGraph) wasAdded(p int32) bool { return g.added != nil && p >= g.added.first }
func (g *groupGraph) hasGrown() bool        { return g.added != nil }

// grow makes the graph ready for the first node that is added.
func (g *groupGraph) grow() { g.added = newGrowth(g.begun.Len()) }

// add adds the next node, and wait an edge from a node to an added one that waits for it.
func (g *groupGraph) add(needs []int32) { g.added.add(needs) }
func (g *groupGraph) wait(q, p int32)   { g.added.wait(q, p) }
