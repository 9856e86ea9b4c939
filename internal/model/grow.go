package model

import "slices"

// Add adds a node, which is the last in key order, to those that are there. It is
// lost at once if something that it requires is.
func (g *Group) Add(requires []int) error {
	switch {
	case !g.opts.KeepOpen || g.opts.Reverse || g.closed || g.ended:
		return ErrInputClosed
	case g.asked || g.cancelled:
		if g.notice != nil {
			return g.notice // which says why
		}
		return ErrClosed
	}
	n := &node{key: len(g.byKey), state: Pending, late: true}
	for _, q := range requires {
		q := g.byKey[q]
		n.requires = append(n.requires, q)
		if q.state == Ready && (q.released || q.order != nil) {
			n.awaits = append(n.awaits, q)
		}
	}
	g.nodes, g.byKey = append(g.nodes, n), append(g.byKey, n)
	g.wakeFrom()
	switch {
	case g.opts.Completed != nil && g.opts.Completed(n.key):
		n.before = true
		if !g.begun {
			n.state = Succeeded // to be told when it begins
		} else {
			g.set(n, Succeeded, nil)
		}
	case g.opts.When != nil:
		if g.busy > 0 {
			g.ask() // else in the next round, before anything starts
		}
	case slices.ContainsFunc(n.requires, (*node).isLost):
		g.set(n, Skipped, nil)
	}
	return nil
}

// CloseInput says that no more nodes come.
func (g *Group) CloseInput() {
	if !g.closed {
		g.closed = true
		g.wakeFrom()
	}
}

// waitsForNodes reports whether the group goes on although nothing is left.
func (g *Group) waitsForNodes() bool {
	return g.opts.KeepOpen && !g.closed && !g.stopping && g.notice == nil
}
