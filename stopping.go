package scheduler

import (
	"context"
	"slices"
	"time"
)

// This file is about how the nodes of a group fail, are skipped, stopped and
// closed.

// fail ends a running member that failed.
func (g *engine) fail(ctx context.Context, p int32, err error) {
	task := g.vacate(p)
	own := g.withoutNotice(p, err)
	switch {
	case g.orders.isCarriedOut(p):
		g.endOrdered(ctx, p, task, own)
	case own == nil && g.services.isUnneeded(p):
		g.succeed(p, task)
	case own == nil && g.phase != phaseRunning:
		g.endWith(p, StateCancelled, task, err, failure{kept: true})
		if g.conditions.areUsed() { // draining: When is still asked
			g.free(p)
		}
	default:
		g.handleAs(ctx, p, task, err, g.failures.isLaterResult(err))
	}
}

// withoutNotice returns what an error of a member says beside the notices that it
// was given, or nil.
func (g *engine) withoutNotice(p int32, err error) error {
	var own [2]*StopError
	if g.orders.isCarriedOut(p) {
		own[0] = g.orders.of(p).notice
	}
	notNeeded, final := g.services.notices(p)
	own[1] = final
	if notNeeded != nil {
		own[0] = notNeeded
	}
	return g.ending.withoutNotice(err, own)
}

// handle does what a failure asks for. The node has no slot any more.
func (g *engine) handle(ctx context.Context, p int32, task Task, err error) {
	g.handleAs(ctx, p, task, err, false)
}

// handleAs is handle. inside says that the failure is that of nodes inside of the
// node: it is not forgotten even if the group has failed already.
func (g *engine) handleAs(ctx context.Context, p int32, task Task, err error, inside bool) {
	if drop(err, ErrSkip) == nil {
		g.skip(p, task, err)
		return
	}
	i := g.endWith(p, failedState(err), task, err, failure{inside: inside})
	if g.react(ctx, p, i, err) {
		g.free(p)
	}
}

// endWith ends a node in a state, with an error that is kept, as how says. It returns the
// index of the failure.
func (g *engine) endWith(p int32, to State, task Task, err error, how failure) int {
	how.err, how.node = g.taskError(p, task, err), p
	i := g.failures.add(how)
	g.set(p, to, task, err)
	return i
}

// failedState returns the state of a node that failed with err.
func failedState(err error) State {
	if _, ok := find[*Timeout](err); ok {
		return StateTimedOut
	}
	return StateFailed
}

// react does with the group what a failure asks for that was kept as the i-th. It
// reports whether the failure is ignored, so that the node counts as done once it
// has ended.
func (g *engine) react(ctx context.Context, p int32, i int, err error) (ignored bool) {
	switch g.disposition(p, err) {
	case SkipDependents:
		g.skipDependents(p)
	case IgnoreError:
		g.failures.keepOnly(i)
		g.nodes.add(p, countsAsDone)
		return true
	default:
		g.stop(ctx, g.failures.errOf(i), p)
	}
	return false
}

// disposition asks what becomes of the group.
func (g *engine) disposition(p int32, err error) (d Disposition) {
	switch {
	case g.opts.AggregateErrors:
		return SkipDependents
	case g.opts.OnError != nil:
		g.input.ask(func() { g.asking(p, func() { d = g.opts.OnError(p, err) }) })
		return d
	}
	return StopGroup
}

func (g *engine) taskError(p int32, task Task, err error) *TaskError {
	e := &TaskError{Key: g.key(p), Err: err, isNumber: g.isNumbered}
	if task != nil {
		e.Task = TaskDescription(task)
	}
	return e
}

// skipDependents ends all nodes that wait for p, directly or not, in key order,
// for the failure that was added last. On the way it passes through those that
// are done beforehand and would have freed others only after p.
//
// With When nobody is lost before it was asked.
func (g *engine) skipDependents(p int32) {
	if g.conditions.areUsed() {
		if g.nodes.state(p).Ended() {
			g.free(p)
		}
		return
	}
	found := g.skipRow(nil, g.addedTo(p))
	for next := -1; next < len(found); next++ {
		from := p
		if next >= 0 {
			from = found[next]
		}
		found = g.skipRow(found, g.graph.frees(from))
		found = g.skipRow(found, g.graph.takeWaiting(from))
	}
	slices.Sort(found)
	for _, q := range found {
		if g.nodes.state(q) != StatePending {
			continue
		}
		if g.nodes.isReady(q) { // by a service
			g.withdraw(q)
		}
		g.set(q, StateSkipped, nil, nil)
	}
}

// skipRow appends those nodes of a row to found that are lost by the last failure,
// and by none before it.
func (g *engine) skipRow(found, row []int32) []int32 {
	for _, q := range row {
		pending := g.nodes.state(q) == StatePending
		if (pending || g.nodes.state(q) == StateSucceeded && !g.nodes.isFreeing(q)) && g.failures.skip(q, g.nodes.len()) {
			found = append(found, q)
		}
	}
	return found
}

// stop ends the starting and lets each running member go on for its grace, or
// closes it. by is the node that failed, or noNode.
func (g *engine) stop(ctx context.Context, cause error, by int32) {
	if g.phase < phaseStopping {
		g.ending.blameOn(by)
	}
	g.tellStopping(cause)
	g.cancelPending()
	n := asNotice(cause, false)
	if !g.ending.asksGraces(g.opts.GraceFor != nil) {
		if n.final {
			g.notifyAll(ctx, n)
		}
		return
	}
	n = g.ending.notify(n)
	for _, p := range g.parking.members() {
		if g.parking.has(g.nodes.slot(p), isClosing) {
			continue
		}
		g.nodes.add(p, wasStopped)
		grace := g.graceOf(p)
		switch {
		case g.services.hidesNotices(p): // it is told, or closed, when nothing needs it any more
			g.services.of(p).grant(grace, g.opts.GraceFor != nil, instantOf(g.clock))
		case grace > 0:
			g.stopMember(ctx, p, n, grace)
		default:
			g.close(p)
		}
	}
}

// stopMember asks a running member to end, with a grace from now on, or, if that is 0,
// with none of its own.
func (g *engine) stopMember(ctx context.Context, p int32, n *StopError, grace time.Duration) {
	if grace > 0 {
		g.grant(p, grace)
	}
	g.tellNotice(p, n, grace)
	g.notify(ctx, p, n)
}

// stopOne asks a single running member to end, or closes it if it has no grace.
func (g *engine) stopOne(ctx context.Context, p int32, n *StopError) {
	switch grace := g.graceOf(p); {
	case grace > 0:
		g.stopMember(ctx, p, n, grace)
	case g.timeoutBefore(p) != nil: // it ends for that
		g.expire(ctx, p)
	default:
		g.cutOff(ctx, p)
	}
}

// grant offers a member a grace from now on.
func (g *engine) grant(p int32, grace time.Duration) {
	g.deadlines.grant(g.nodes.slot(p), g.parking.capacity(), closeCancel, later(instantOf(g.clock), grace))
}

// notifyAll gives notice to all running members, but for those that end meanwhile: see
// notify.
func (g *engine) notifyAll(ctx context.Context, cause error) {
	n := g.ending.notify(asNotice(cause, false))
	for _, p := range g.parking.members() {
		if slot := g.nodes.slot(p); slot != noSlot && !g.parking.has(slot, isClosing) {
			g.nodes.add(p, wasStopped)
			if !g.services.hidesNotices(p) {
				g.stopMember(ctx, p, n, 0)
			}
		}
	}
}

// notify gives a running member notice, once, and once more if it is final. If
// Stop panics and RecoverPanics makes an error of that, the member has failed,
// which may close any other member.
func (g *engine) notify(ctx context.Context, p int32, n *StopError) {
	slot := g.nodes.slot(p)
	s, ok := lookFor[Stopper](g.parking.task(slot))
	given := hasNotice
	if n.final {
		given = hasFinalNotice
	}
	if !ok || g.parking.has(slot, given) {
		return
	}
	g.parking.add(slot, given|hasNotice)
	inner := g.contexts.of(ctx, slot)
	_, err := g.call(p, func() (Yield, error) {
		s.Stop(inner, n)
		return Next, nil
	})
	if err != nil {
		g.fail(ctx, p, err)
	}
}

// cancelPending ends the starting.
func (g *engine) cancelPending() {
	wasDraining := g.phase == phaseDraining
	g.phase = max(g.phase, phaseStopping)
	g.services.end()
	g.claims.leave()
	if g.nodes.count(StatePending) == 0 {
		return
	}
	if wasDraining {
		g.ending.cancelDrained()
	}
	for p := range int32(g.nodes.len()) {
		if g.nodes.state(p) == StatePending {
			g.set(p, StateCancelled, nil, nil)
		}
	}
}
