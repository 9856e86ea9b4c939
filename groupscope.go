package scheduler

import "context"

// This file is about what a group finds around it when it begins, and what it says to
// what is inside.

// enter begins a call in which members are stepped, thrown into or told
// something. It returns the context for them.
func (g *engine) enter(ctx context.Context) context.Context {
	s := scopeOf(ctx)
	first := g.phase <= phaseFreshDrained
	if first {
		g.begin(ctx, s)
	}
	g.deliver()
	g.budget = g.opts.Budget
	g.ending.beginStep()
	g.claims.goOn()
	inner := g.scope.derive(ctx, func() scope {
		inner := within(s)
		if inner.driver == nil {
			inner.driver, inner.pool = g, g.pool
		}
		inner.clock, inner.group, inner.maker = g.clock, g, g
		inner.held = nil // g knows what its members hold
		inner.endCalls = inner.endCalls || g.opts.EndCalls
		if g.opts.Abandon > 0 {
			inner.abandon = g.opts.Abandon
		}
		return inner
	})
	if first {
		g.watch()
		g.heed(noticeOf(ctx))
	}
	return inner
}

// begin sets what counts from the first step on.
func (g *engine) begin(ctx context.Context, s *scope) {
	if g.phase == phaseFresh {
		g.phase = phaseRunning
	} else {
		g.phase = phaseDraining
	}
	g.clock = clockOf(ctx)
	grace := g.opts.Grace
	if grace == 0 && s != nil {
		grace = s.grace
	}
	g.ending.begin(grace)
	if s != nil && s.pool != nil {
		g.parking.begin(&s.pool.wakes)
	} else {
		g.pool = new(pool)
		g.pool.open(g)
		g.parking.begin(&g.pool.wakes)
	}
	if s != nil && s.group != nil {
		g.outer, g.outerNode = s.group, s.group.current
	}
	if s != nil {
		r, _ := s.driver.(*TaskRunner)
		g.runner.Store(r)
	}
	g.place = heldAround(s)
	g.claims.begin(g)
}

// heed makes a group begin under the notice that was given around it, if any.
func (g *engine) heed(n *StopError) {
	if n != nil {
		_ = g.ending.notify(n)
		g.haltBy(n)
	}
}

// haltBy ends the starting if the notice is final.
func (g *engine) haltBy(n *StopError) {
	if g.ending.stopRun(n) {
		g.tellStopping(n)
		g.cancelPending()
	}
}

// noticeHere makes the engine a maker of scopes.
func (g *engine) noticeHere() *StopError {
	n := g.ending.given()
	switch p := g.current; {
	case p == noNode:
	case g.orders.isCarriedOut(p):
		return g.orders.of(p).notice
	case g.services.isUnneeded(p):
		return g.services.noNeed()
	case g.services.has(p) && n != nil:
		return g.services.finalOf(n)
	}
	return n
}

func (g *engine) limitHere() int64 {
	d := g.deadlineHere()
	return d.end()
}

// deadlineHere returns the deadline of the node whose code is running.
func (g *engine) deadlineHere() deadline {
	if g.current == noNode {
		return deadline{}
	}
	if slot := g.nodes.slot(g.current); slot != noSlot {
		return g.deadlines.of(slot)
	}
	if g.startLimit == never {
		return deadline{}
	}
	return deadline{at: g.startLimit, kind: throwTimeout}
}

// graceAfterLimit returns when the grace is over that follows the node's own limit, or
// never if that is not known yet.
func (g *engine) graceAfterLimit() int64 {
	if g.opts.GraceFor != nil {
		return never
	}
	at, end := g.limitHere(), never
	if slot := g.nodes.slot(g.current); slot != noSlot {
		end = g.deadlines.graceEnd(slot)
	}
	if grace := g.graceOf(g.current); grace > 0 {
		return min(graceAfter(at, grace), end)
	}
	return at
}

// limitSeen sets a link to the node's own limit, which calls will see. It returns the
// next link, to be set to that of a node around; nil: it is known already.
func (g *engine) limitSeen(link **nodeLimit) (next **nodeLimit) {
	l := g.deadlines.seenOf(g.current)
	if l == nil {
		l = &nodeLimit{group: g, at: wallLimit(g.limitHere()), noticed: wallLimit(g.graceAfterLimit())}
		g.deadlines.see(g.current, l)
		g.remembers = true
		next = &l.around
	}
	if link != nil {
		*link = l
	}
	return next
}

// thrownHere returns the Timeout of the member whose code is running, while it is
// thrown into it or closes it.
func (g *engine) thrownHere() error {
	if t := g.expiring.of(g.current); t != nil {
		return t
	}
	return nil
}

// readClock reads the time for the Observers, if there are any. A round does that
// by itself.
func (g *engine) readClock() {
	if g.watchers.areEager() {
		g.now = instantOf(g.clock)
	}
}
