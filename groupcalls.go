package scheduler

import "context"

// This file is about what the driver of a group asks of it, steps aside, and what a step
// answers.

var errZeroGroup = &OptionError{Option: "DependencyTaskGroup", Reason: "zero value; use NewDependencyTaskGroup"}

// hasBegun reports whether there was a step, and is more to come.
func (g *engine) hasBegun() bool { return g.phase >= phaseRunning && g.phase < phaseEnded }

// Throw is [DependencyTaskGroup.Throw].
func (g *engine) Throw(ctx context.Context, thrown error) (y Yield, err error) {
	if g.isAsleep() {
		g.panicAsleep("scheduler: DependencyTaskGroup.Throw")
	}
	switch {
	case ctx == nil:
		panic("scheduler: DependencyTaskGroup.Throw into " + g.String() + ": nil Context")
	case thrown == nil:
		panic("scheduler: DependencyTaskGroup.Throw into " + g.String() + ": nil error")
	}
	if !g.hasBegun() {
		g.phase = phaseEnded
		return Yield{}, thrown
	}
	g.exclusively("Throw", func() {
		ctx := g.enter(ctx)
		g.readClock()
		t, ok := g.ending.throw(thrown)
		g.failures.add(failure{err: thrown, node: noNode, thrown: true, kept: ok})
		g.tellStopping(thrown)
		switch {
		case !ok:
			g.stop(ctx, thrown, noNode)
		case t.grace > 0:
			g.cancelPending()
			g.notifyAll(ctx, &StopError{Cause: thrown, final: true}) // groups inside start no more either
		default:
			_ = g.ending.notify(asNotice(t, false)) // calls look for why they are closed
			g.beginCloseAll()
			g.cancelPending()
		}
		y, err = g.stepResult(ctx)
	})
	return y, err
}

// Stop is [DependencyTaskGroup.Stop].
func (g *engine) Stop(ctx context.Context, cause error) {
	if g.isAsleep() {
		g.panicAsleep("scheduler: DependencyTaskGroup.Stop")
	}
	if ctx == nil {
		panic("scheduler: DependencyTaskGroup.Stop of " + g.String() + ": nil Context")
	}
	if !g.hasBegun() {
		return
	}
	g.exclusively("Stop", func() {
		ctx := g.enter(ctx)
		g.readClock()
		n := asNotice(cause, false)
		if !n.final {
			g.tell(GroupNoticed, noNode, n)
		}
		g.haltBy(n)
		g.notifyAll(ctx, n)
		g.retire(ctx)
		g.parking.call() // it may have nothing left to do
	})
}

// Drain is [DependencyTaskGroup.Drain].
func (g *engine) Drain() {
	switch g.phase {
	case phaseFresh:
		g.phase = phaseFreshDrained
	case phaseRunning:
		g.phase = phaseDraining
		g.services.end()
		g.claims.leave()
		g.tellDraining()
		g.parking.call() // it may have nothing left to do
	default:
	}
}

// stepResult is what a step returns: the group's result once nothing is left to
// be done.
func (g *engine) stepResult(ctx context.Context) (Yield, error) {
	g.retire(ctx)
	g.tellLateDrain()
	g.dropWakes()
	g.checkDeadlock()
	if !g.isOver() {
		y := g.nextStep()
		g.keepDue(y)
		return y, nil
	}
	aggregates := g.opts.AggregateErrors || g.opts.OnError != nil
	err := g.ending.result(&g.failures, aggregates,
		g.nodes.count(StateCancelled) > 0 || g.wasCutOpen(), g.nodes.count(StatePending) > 0)
	if g.tellsAll {
		if !aggregates {
			err = join(err, g.failures.later())
		}
		err = join(err, g.failures.ofClose())
	}
	g.end(err)
	if err != nil {
		return Yield{}, err
	}
	return Done, nil
}

// isOver reports whether nothing is left to be done.
func (g *engine) isOver() bool {
	return g.nodes.members() == 0 && (g.nodes.count(StatePending) == 0 || g.phase == phaseDraining) && !g.waitsForNodes()
}

// nextStep says when the next step is worth making.
func (g *engine) nextStep() Yield {
	y := g.parking.waiting()
	if g.conditions.areDue() && g.phase == phaseRunning {
		y.code |= yieldNext // a panic has come between
	}
	if g.waitsForClaims() {
		y.code |= yieldClaims | yieldServes
	}
	if at := min(g.parking.nextTime(), g.deadlines.next(), g.claims.nextTime()); at != never {
		y.at = at
		y.code |= yieldAt
	}
	if g.phase == phaseStopping && g.nodes.count(StateRunning)+g.nodes.count(StateReady) == 0 {
		y.code |= yieldEnding
	}
	if g.pass != newRound { // cut short by the budget
		y.at = past
		y.code |= yieldAt
	}
	return y
}

// callReturned makes the node due whose call has returned: what a walker does in the
// place of the call's event.
func (g *engine) callReturned(p int32) {
	if slot := g.nodes.slot(p); slot != noSlot {
		g.parking.makeDueEarly(slot)
	}
}
