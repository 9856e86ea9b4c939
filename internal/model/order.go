package model

// This file is about nodes that are told to end alone.

// order says of one node that it is to end.
type order struct {
	notice *Notice
	skips  bool
	done   bool // it was carried out
}

// StopNode asks one node to end, and fails it with cause.
func (g *Group) StopNode(k int, cause error) bool {
	return g.give(g.byKey[k], &order{notice: &Notice{cause, true}})
}

// SkipNode asks one node to end, and skips it with err.
func (g *Group) SkipNode(k int, err error) bool {
	return g.give(g.byKey[k], &order{notice: &Notice{err, true}, skips: true})
}

func (g *Group) give(n *node, o *order) bool {
	if g.ended || g.cancelled || n.order != nil || n.unneeded ||
		n.state != Pending && n.state != Running && n.state != Ready {
		return false
	}
	n.order = o
	g.orders = append(g.orders, n)
	g.withdraw(n)
	if g.begun && !g.inRound {
		g.wake()
	}
	return true
}

// isOrdered reports whether a node was told to end, or is closed, by an order.
func (n *node) isOrdered() bool { return n.order != nil && n.order.done }

// obey carries out the orders that have come.
func (g *Group) obey() {
	for len(g.orders) > 0 {
		n := g.orders[0]
		g.orders = g.orders[1:]
		n.order.done = true
		switch {
		case n.state == Pending:
			g.endOrdered(n, nil)
		case (n.state == Running || n.state == Ready) && !n.halted:
			n.released = true
			g.askToEnd(n, g.graceOf(n), n.order.notice)
		}
	}
}

// withOrder joins an error of a node with the cause of an order that fails it.
func (n *node) withOrder(err error) error {
	if !n.isOrdered() || n.order.skips {
		return err
	}
	return join(n.order.notice.Cause, err)
}

// endOrdered ends a node as its order says; err is what it had failed with besides.
func (g *Group) endOrdered(n *node, err error) {
	cause := n.order.notice.Cause
	switch {
	case !n.order.skips:
		g.handle(n, n.withOrder(err), false)
	case err != nil:
		g.handle(n, err, false)
	default:
		g.note(n, cause, failure{aside: true, skip: true})
		g.set(n, Skipped, cause)
		g.skip(n)
	}
}

// endOrderedAtOnce is endOrdered in a group that ends at once, so that nothing is left
// to be decided.
func (g *Group) endOrderedAtOnce(n *node, err error) {
	cause := n.order.notice.Cause
	err = n.withOrder(err)
	if err == nil {
		g.note(n, cause, failure{aside: true, skip: true})
		g.set(n, Skipped, cause)
		return
	}
	g.note(n, err, failure{})
	g.set(n, failedState(err), err)
}
