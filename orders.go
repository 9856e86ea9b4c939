package scheduler

import "context"

// StopNode asks one node to end, and fails it. A pending node fails with cause and is
// not started. A running or ready one gets a notice with cause and its grace, and is
// then closed; it fails with cause, joined with an error of its own, unless it ends
// with nil. What depends on it is treated as after any failure. A nil cause is
// [ErrCancelled].
//
// It takes effect at the end of the pass under way, or, between two steps, in the
// next one, which is due at once. It returns false, and nothing happens, for an
// unknown key, for a node that has ended, is closing, or has been asked to end, and
// after the group was stopped.
func (g *DependencyTaskGroup[K]) StopNode(k K, cause error) bool {
	g.must("scheduler: DependencyTaskGroup.StopNode of nil")
	p, ok := g.plan.find(k)
	if cause == nil {
		cause = ErrCancelled
	}
	return ok && g.engine.order(p, &order{notice: &StopError{Cause: cause, final: true}})
}

// SkipNode is like [DependencyTaskGroup.StopNode], but skips the node, with all that
// depends on it. A running or ready node is skipped with err if it ends with the
// notice or is closed; otherwise its own end counts. A nil err is [ErrSkip]; err
// never counts as a failure of the group.
func (g *DependencyTaskGroup[K]) SkipNode(k K, err error) bool {
	g.must("scheduler: DependencyTaskGroup.SkipNode of nil")
	p, ok := g.plan.find(k)
	if err == nil {
		err = ErrSkip
	}
	return ok && g.engine.order(p, &order{notice: &StopError{Cause: err, final: true}, skips: true})
}

// order says of one node that it is to end.
type order struct {
	node   int32
	notice *StopError
	skips  bool
	done   bool // it was carried out
}

// orders are those that a group has been given.
type orders struct {
	given   map[int32]*order // by node that has not ended; nil: there were none
	pending []*order         // that were not carried out yet
}

// has reports whether a node is to end by an order.
func (o *orders) has(p int32) bool { return o.given != nil && o.given[p] != nil }

// isCarriedOut reports whether a node was told to end, or is closed, by an order.
func (o *orders) isCarriedOut(p int32) bool { return o.has(p) && o.given[p].done }

// of returns the order of a node, or nil.
func (o *orders) of(p int32) *order { return o.given[p] }

// give keeps an order for a node, areCome reports whether there are some that were not
// carried out yet, and next takes out the first of those, or returns nil.
func (o *orders) give(p int32, given *order) {
	if o.given == nil {
		o.given = map[int32]*order{}
	}
	given.node = p
	o.given[p] = given
	o.pending = append(o.pending, given)
}

// forget says that a node has ended.
func (o *orders) forget(p int32) {
	if o.given != nil {
		delete(o.given, p)
	}
}

func (o *orders) areCome() bool { return len(o.pending) > 0 }

func (o *orders) next() *order {
	if !o.areCome() {
		return nil
	}
	next := o.pending[0]
	if o.pending = o.pending[1:]; len(o.pending) == 0 {
		o.pending = nil
	}
	next.done = true
	return next
}

// order takes an order, which is carried out between two passes. A pending node does
// not start meanwhile.
func (g *engine) order(p int32, o *order) bool {
	state := g.nodes.state(p)
	if g.phase >= phaseStopping || g.orders.has(p) || g.services.isUnneeded(p) ||
		state != StatePending && state != StateRunning && state != StateReady {
		return false
	}
	if state == StatePending {
		if g.nodes.isReady(p) {
			g.withdraw(p)
		}
		g.nodes.wait(p) // for what never comes
	}
	g.orders.give(p, o)
	g.remembers = true
	if !g.inRound {
		g.parking.call()
	}
	return true
}

// withdraw takes back that a pending node is ready to start, or is to be asked of.
func (g *engine) withdraw(p int32) {
	g.conditions.withdraw(p)
	rank := g.starter.rankOf(p)
	g.starter.remove(rank)
	g.claims.withdraw(p, rank)
}

// obey carries out the orders that have come.
func (g *engine) obey(ctx context.Context) {
	if g.orders.areCome() {
		g.carryOut(ctx)
	}
}

func (g *engine) carryOut(ctx context.Context) {
	for o := g.orders.next(); o != nil; o = g.orders.next() {
		switch state := g.nodes.state(o.node); {
		case state == StatePending:
			g.nodes.setSlot(o.node, noSlot)
			g.endOrdered(ctx, o.node, nil, nil)
		case (state == StateRunning || state == StateReady) && !g.parking.has(g.nodes.slot(o.node), hasFinalNotice):
			g.stopOrdered(ctx, o)
		}
	}
}

// stopOrdered asks a running node to end, or closes it.
func (g *engine) stopOrdered(ctx context.Context, o *order) {
	p := o.node
	g.services.release(p)
	g.stopOne(ctx, p, o.notice)
}

// with returns an error of a node, which may be nil, joined with the cause of an order that
// fails it.
func (o *orders) with(p int32, err error) error {
	if !o.isCarriedOut(p) || o.given[p].skips {
		return err
	}
	return join(o.given[p].notice.Cause, err)
}

// endOrdered ends a node, which has no slot any more, as its order says; err is what
// it had failed with besides.
func (g *engine) endOrdered(ctx context.Context, p int32, task Task, err error) {
	o := g.orders.of(p)
	switch {
	case !o.skips:
		g.handle(ctx, p, task, g.orders.with(p, err))
	case err != nil:
		g.handle(ctx, p, task, err)
	default:
		g.skip(p, task, o.notice.Cause)
	}
}

// endOrderedAtOnce is endOrdered in a group that ends at once, so that nothing is left
// to be decided.
func (g *engine) endOrderedAtOnce(p int32, task Task, err error) {
	o := g.orders.of(p)
	err = g.orders.with(p, err)
	if err == nil {
		g.endWith(p, StateSkipped, task, o.notice.Cause, failure{kept: true, isSkip: true})
		return
	}
	g.endWith(p, failedState(err), task, err, failure{})
}

// skip ends a node as skipped with err, and what depends on it.
func (g *engine) skip(p int32, task Task, err error) {
	g.endWith(p, StateSkipped, task, err, failure{kept: true, isSkip: true})
	g.skipDependents(p)
}
