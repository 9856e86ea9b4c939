package scheduler

import (
	"context"
	"slices"
)

// Ready makes the node of ctx, a step or a call, a service: the nodes that require it
// start, and it continues in [StateReady] while they need it. When all nodes that
// require it, directly or not, have ended, it gets a notice with [ErrNotNeeded] and
// its grace, or is closed if it has none. It has succeeded if it then returns nil or
// the notice, or is closed without an error.
//
// So services end in reverse order, also within the grace of a stop, which they
// share. One that no node requires runs until only services are left. A service gives
// back its place in Limit and keeps its claims; its Timeout no longer counts. If it
// fails or skips itself, pending nodes that require it are treated as after any
// failure; running ones continue unless the group stops.
//
// In a step Ready takes effect at once, unless a node ends with its first step; in a
// call in the next round. It does nothing outside of a group, and for a node that is
// ready, was asked to end, or whose Timeout has passed. A task that was asked to end
// before it was ready should return its notice: after nil a run that continues from a
// [Snapshot] does not start it again.
//
// A node that runs a group is ready when its own code says so. Only [All] and a group
// with KeepOpen are ready by themselves, when some of their nodes are and all others
// have ended; their services continue until the node gets its notice.
func Ready(ctx context.Context) {
	mustHave(ctx, "Ready")
	if s := scopeOf(ctx); s != nil && s.group != nil {
		s.group.sayReady()
		return
	}
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.sayReady()
	}
}

// Ready is [Ready] with the context of the current step.
func (co *Coroutine) Ready() {
	co.check("Ready")
	Ready(co.top.ctx)
}

// sayReady makes the node ready whose code is running.
func (g *engine) sayReady() {
	p := g.current
	switch {
	case p == noNode || g.nodes.state(p) != StateRunning:
	case g.nodes.slot(p) == noSlot:
		g.services.sayFirst(p) // it may end with this very step
	default:
		g.becomeReady(p)
	}
}

// becomeReady makes a running node ready, unless it has to end.
func (g *engine) becomeReady(p int32) {
	slot := g.nodes.slot(p)
	kind := g.deadlines.of(slot).kind
	isExpiring := g.expiring.of(p) != nil
	if g.phase == phaseStopping || kind == closeTimedOut || isExpiring || g.orders.has(p) {
		return
	}
	if kind == throwTimeout {
		g.deadlines.clear(slot)
	}
	g.remembers = true
	g.services.add(p, g.graph.waiting(p), len(g.graph.frees(p)) > 0) // before anybody is told or asked, who may panic
	g.set(p, StateReady, g.parking.task(slot), nil)
	g.claims.hasRoom()
	g.release(p)
	g.askWhen()
	g.services.demand.serve(p)
}

// sayReady says, from any goroutine, that the node of the call is ready.
func (c *call) sayReady() {
	if c.node == noNode {
		return
	}
	g := c.group()
	if g == nil {
		c.told().sayReady()
		c.step.(*fastContext).walk.stop()
		g = c.group() // if there is one by now, it may have missed that
	}
	if g != nil {
		g.readyByCall(c.node)
	}
}

// servesAhead reports whether the call has said that it is ready before there was a group,
// and others require it. It ends after those, whatever limits there are.
func (c *call) servesAhead() bool {
	return c.saidReady() && len(c.step.(*fastContext).walk.graph.Row(c.node)) > 0
}

func (g *engine) readyByCall(p int32) {
	g.services.sayByCall(p)
	g.wakeUp()
}

// takeReadyCalls makes the nodes ready of which a call has said so, in key order.
func (g *engine) takeReadyCalls() {
	said := g.services.saidByCalls()
	for _, p := range said {
		if g.nodes.state(p) == StateRunning {
			g.becomeReady(p)
		}
	}
	g.services.forgetCalls(len(said))
}

// servesOuter reports whether the group keeps its services for the one around, as
// All does.
func (g *engine) servesOuter() bool {
	return g.serves && g.outer != nil && g.ending.given() == nil
}

// sayReadyAround makes the node of the group around ready that runs this one.
func (g *engine) sayReadyAround() {
	if g.outer != nil && g.outer.current == g.outerNode {
		g.outer.sayReady()
	}
}

// takeBack has the pending nodes that a service has freed wait for its end.
func (g *engine) takeBack(p int32) {
	of := g.services.of(p)
	if of.takenBack != nil {
		return
	}
	for _, q := range slices.Concat(g.graph.frees(p), g.addedTo(p)) {
		if g.nodes.state(q) != StatePending {
			continue
		}
		if g.nodes.isReady(q) {
			g.withdraw(q)
		}
		g.nodes.wait(q)
		of.takenBack = append(of.takenBack, q)
	}
}

// addedTo returns the pending nodes that were added, require a service, and have been
// freed by it: nothing else leads to them.
func (g *engine) addedTo(p int32) []int32 {
	if !g.services.has(p) {
		return nil
	}
	return g.services.of(p).stillAdded(g.isPending)
}

func (g *engine) isPending(p int32) bool { return g.nodes.state(p) == StatePending }

// freeAgain is free for a service, which has freed all when it became ready. After a
// failure When is asked anew of those that have not started.
func (g *engine) freeAgain(p int32) {
	asksAnew := g.conditions.areUsed() && g.nodes.state(p) != StateSucceeded
	if asksAnew {
		g.takeBack(p)
	}
	taken := g.services.of(p).giveBack()
	if asksAnew {
		for _, q := range taken {
			g.conditions.forget(q)
		}
	}
	g.freeRow(taken)
	g.freeRow(g.graph.takeWaiting(p))
	g.askWhen()
}
