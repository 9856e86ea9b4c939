package scheduler

import (
	"context"
	"time"
)

// This file is about how members end that do not end by themselves: by their
// limit, by the end of their grace, or at once; unwind.go is about panics.
//
// A member whose Close would have to wait is closing meanwhile: a closingTask
// stands in its slot, parked until Close will not wait. It keeps its slot and what
// it holds, and is neither stepped nor told anything more. What is known of its
// end is known at once: a Timeout is a failure from the moment it was thrown.

// expire does what is to be done with a member whose deadline has passed.
func (g *engine) expire(ctx context.Context, p int32) {
	slot := g.nodes.slot(p)
	kind := g.deadlines.of(slot).kind
	if kind == closeCancel {
		g.cutOff(ctx, p)
		return
	}
	t := g.timeoutOf(p)
	g.expiring = expiry{t, p}
	if kind != throwTimeout || !g.throwTimeout(ctx, p, t) {
		g.nodes.add(p, wasCutOff)
		g.failAndClose(ctx, p, t)
	}
	g.expiring = expiry{}
}

// expiry is the member whose time has passed, while that is seen to: its calls are to
// learn why they are closed.
type expiry struct {
	timeout *Timeout
	node    int32
}

// of returns the Timeout that ends a node at this moment, or nil.
func (e *expiry) of(p int32) *Timeout {
	if e.node != p {
		return nil
	}
	return e.timeout
}

// throwTimeout throws the Timeout of a member's own limit into it. It reports
// whether that is all: if not, the member has swallowed it, or cannot be thrown
// into, and is to be closed.
func (g *engine) throwTimeout(ctx context.Context, p int32, t *Timeout) bool {
	slot := g.nodes.slot(p)
	task, end := g.parking.task(slot), g.deadlines.graceEnd(slot)
	t.grace = g.graceUntil(p, end)
	thrower, ok := lookFor[Thrower](task)
	if !ok {
		return false
	}
	if t.grace > 0 { // what the task does in answer is to find it
		g.grantAfterTimeout(slot, t, end)
	}
	inner := g.contexts.of(ctx, slot)
	y, err := g.call(p, func() (Yield, error) { return thrower.Throw(inner, t) })
	switch {
	case err != nil || y.code&yieldDone != 0 || y.code == 0:
		g.apply(ctx, p, y, err)
	case t.grace > 0 && y.code&yieldFailed == 0:
		g.grantAfterTimeout(slot, t, end)
		g.apply(ctx, p, y, nil)
	case y.code&yieldEnding != 0:
		g.nodes.add(p, wasCutOff)
		g.failClosing(ctx, p, y.event, t, true)
	default:
		return false
	}
	return true
}

// grantAfterTimeout lets a member go on for the grace after its Timeout.
func (g *engine) grantAfterTimeout(slot int32, t *Timeout, end int64) {
	g.deadlines.goOn(slot, g.parking.capacity(), t, min(later(instantOf(g.clock), t.grace), end))
}

// graceUntil returns the grace of a member that ends at end at the latest.
func (g *engine) graceUntil(p int32, end int64) time.Duration {
	grace := max(g.graceOf(p), 0)
	if end != never {
		grace = min(grace, max(time.Duration(end-instantOf(g.clock)), 0))
	}
	return grace
}

// timeoutOf returns the Timeout of a member whose own limit has passed: one only, from
// when it is thrown until the member has ended.
func (g *engine) timeoutOf(p int32) *Timeout {
	slot := g.nodes.slot(p)
	if t := g.deadlines.afterTimeout(slot); t != nil {
		return t
	}
	limit := g.deadlines.of(slot)
	return &Timeout{Task: g.nameOf(p), Limit: limit.span, Notes: g.notesOf(p), at: limit.at}
}

// failAndClose ends a running member that has failed and not ended.
func (g *engine) failAndClose(ctx context.Context, p int32, failed error) {
	if e := g.askToClose(p); e != nil {
		g.failClosing(ctx, p, e, failed, false)
		return
	}
	g.fail(ctx, p, join(failed, g.closeTask(p, g.parking.task(g.nodes.slot(p)))))
}

// failClosing lets a member that has failed end by itself, and does at once what
// the failure asks for. e is set when it can be ended, or, if it is to answer a
// Timeout first, when it can do that.
func (g *engine) failClosing(ctx context.Context, p int32, e *Event, failed error, answers bool) {
	failed = g.orders.with(p, failed)
	c := &closingTask{task: g.taskOf(p), why: closingFailed, failed: failed, answers: answers}
	c.failure = g.failures.add(failure{err: g.taskError(p, c.task, failed), node: p})
	g.putInClosing(p, e, c)
	c.ignored = g.react(ctx, p, c.failure, failed)
}

// cutOff closes a member whose grace has passed. Unlike that of a close at once,
// an error of this is a failure like any other (recorded behaviour).
func (g *engine) cutOff(ctx context.Context, p int32) {
	g.nodes.add(p, wasCutOff)
	task := g.taskOf(p)
	if e := g.askToClose(p); e != nil {
		g.putInClosing(p, e, &closingTask{task: task, why: closingCutOff})
		return
	}
	err := g.closeTask(p, task)
	g.vacate(p)
	g.endCutOff(ctx, p, task, err, g.withoutNotice(p, err))
}

// endCutOff ends the node of a member that was closed after its grace, or by an
// order, or because nothing needs it. own is what its error says that counts.
func (g *engine) endCutOff(ctx context.Context, p int32, task Task, err, own error) {
	inside := g.failures.isLaterResult(err)
	switch {
	case g.orders.isCarriedOut(p):
		g.endOrdered(ctx, p, task, own)
	case own != nil:
		g.handleAs(ctx, p, task, err, inside)
	case g.services.isUnneeded(p):
		g.succeed(p, task)
	default:
		if err != nil {
			g.endWith(p, StateCancelled, task, err, failure{kept: true})
			return
		}
		g.set(p, StateCancelled, task, nil)
	}
}

// close closes a running member at once, or, if that would have to wait, puts it
// in closing.
func (g *engine) close(p int32) {
	if g.beginClosing(p) != nil {
		return
	}
	c := &closingTask{task: g.taskOf(p), failed: g.timeoutBefore(p)}
	err := g.closeTask(p, c)
	g.vacate(p) // and not before the task has really ended
	g.endClosed(p, c, err)
}

// beginClosing puts a member in closing if its Close would have to wait. It
// returns the event of that, or nil.
func (g *engine) beginClosing(p int32) *Event {
	g.nodes.add(p, wasStopped|wasCutOff)
	e := g.askToClose(p)
	if e != nil {
		g.putInClosing(p, e, &closingTask{task: g.taskOf(p), failed: g.timeoutBefore(p)})
	}
	return e
}

// timeoutBefore returns the Timeout after which a member continued within its
// grace, which is not to be forgotten, or nil.
func (g *engine) timeoutBefore(p int32) error {
	if t := g.deadlines.afterTimeout(g.nodes.slot(p)); t != nil {
		return t
	}
	return nil
}

// askToClose asks a member to end. If it panics, which RecoverPanics makes an
// error of, that is what closing it returns.
func (g *engine) askToClose(p int32) (e *Event) {
	if g.failures.ofAskOf(p) != nil {
		return nil
	}
	task := g.parking.task(g.nodes.slot(p))
	_, err := g.call(p, func() (Yield, error) {
		e = beginClose(task)
		return Done, nil
	})
	if err != nil {
		g.failures.keepOfAsk(p, err)
	}
	return e
}

// putInClosing puts c in the place of a member until e is set.
func (g *engine) putInClosing(p int32, e *Event, c *closingTask) {
	slot := g.nodes.slot(p)
	c.waits = e
	g.deadlines.clear(slot)
	g.parking.replace(slot, c, e, g.clock)
	g.parking.add(slot, isClosing)
	g.set(p, StateClosing, c.task, c.failed)
	if g.services.beginClosing(p) {
		g.takeBack(p)
	}
	g.remind(p, c, instantOf(g.clock), time.Second)
}

// endClosing ends a member that can be ended. An error that comes out of the end of
// its grace is a failure like any other.
func (g *engine) endClosing(ctx context.Context, p int32) {
	c, err := g.finishClosing(p)
	if c.why == closingCutOff {
		g.endCutOff(ctx, p, c.task, err, g.withoutNotice(p, err))
		return
	}
	g.endClosed(p, c, err)
}

// answerClosing ends a member that was to answer a Timeout and panicked: err is what
// RecoverPanics has made of that.
func (g *engine) answerClosing(ctx context.Context, p int32, err error) {
	c := g.parking.task(g.nodes.slot(p)).(*closingTask)
	c.answerWith(err)
	g.endClosing(ctx, p)
}

// finishClosing closes a member that is closing, which waits if it has to.
func (g *engine) finishClosing(p int32) (*closingTask, error) {
	c := g.parking.task(g.nodes.slot(p)).(*closingTask)
	c.endReminders()
	err := g.closeTask(p, c)
	g.vacate(p)
	return c, err
}

// endClosed ends the node of a member that was closed.
func (g *engine) endClosed(p int32, c *closingTask, err error) {
	switch {
	case c.why == closingFailed:
		if more := join(c.failed, err); more != c.failed { //nolint:errorlint // That very one.
			// A new one: calls may be reading the old one as the cause of their end.
			g.failures.amend(c.failure, g.taskError(p, c.task, more))
			c.failed = more
		}
		g.set(p, failedState(c.failed), c.task, c.failed)
		if c.ignored || g.conditions.areUsed() {
			g.free(p)
		}
	case g.orders.isCarriedOut(p):
		g.endOrderedAtOnce(p, c.task, join(c.failed, g.withoutNotice(p, err)))
	case g.services.isUnneeded(p) && g.withoutNotice(p, err) == nil: // a service has no limit that it could have failed with
		g.set(p, StateSucceeded, c.task, nil)
	case c.why == closingCutOff && g.withoutNotice(p, err) != nil: // nothing is left to be decided
		g.endWith(p, failedState(err), c.task, err, failure{inside: g.failures.isResult(err)})
	default:
		inside := g.failures.isResult(err)
		kept := !inside && c.failed == nil // a Timeout is a failure, though the node might still have handled it
		if err = join(c.failed, err); err != nil {
			e := g.taskError(p, c.task, err)
			e.ofClose, e.isClosed = g.tellsAll && kept, true
			g.failures.add(failure{err: e, node: p, kept: kept, inside: inside, closed: kept && g.withoutNotice(p, err) != nil})
		}
		g.set(p, StateCancelled, c.task, err)
	}
}

func (g *engine) closeTask(p int32, task Task) error {
	g.failures.beginClose()
	if err := g.failures.ofAskOf(p); err != nil {
		return err
	}
	_, err := g.call(p, func() (Yield, error) { return Done, task.Close() })
	return err
}
