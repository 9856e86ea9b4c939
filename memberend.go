package scheduler

import (
	"context"
	"time"
)

// This file is about how members end that do not end by themselves: by their
// limit, by the end of their grace, at once, or by a panic.
//
// A member whose Close would have to wait is closing meanwhile: a closingTask
// stands in its slot, parked until Close will not wait. It keeps its slot and what
// it holds, and is neither stepped nor told anything more. What is known of its
// end is known at once: a Timeout is a failure from the moment it was thrown.

// closingTask stands in the slot of a member in StateClosing. So the hot loop
// needs no look at who is closing: its only step says that it can be ended.
type closingTask struct {
	task    Task
	why     closingReason
	failed  error // with what the member has failed already, or which Timeout it had before
	failure int   // which of the failures that is, with closingFailed
	ignored bool  // and it is ignored: what requires the node starts when it has ended
	serves  bool  // there are services in groups inside of it

	answers  bool // its answer to a Timeout is still to come: it is stepped for that
	answered bool // it has come, so there is nothing left to close
	answer   error

	reminder *time.Timer // of NodeStillClosing; nil: nobody wants to know
}

type closingReason uint8

const (
	closingAtOnce closingReason = iota // the group was stopped, or closed, and gave it no grace
	closingCutOff                      // its grace has passed
	closingFailed                      // it has failed already
)

// Step is called when the event is set that the member waits for.
func (c *closingTask) Step(ctx context.Context) (Yield, error) {
	if !c.answers {
		return c.askAgain(), nil
	}
	y, err := stepTask(ctx, &c.task)
	switch {
	case err == nil && y.code&yieldEnding != 0:
		return Ending(y.event), nil // times do not count any more, such as the limits of a runner
	case err == nil && y.code&yieldDone == 0: // it continues after the Timeout
		c.answers = false
		if e := beginClose(c.task); e != nil {
			return Ending(e), nil
		}
		return Done, nil
	}
	c.answered, c.answer = true, err
	return Done, nil
}

// askAgain asks the services inside to end that nothing needs any more by now.
func (c *closingTask) askAgain() Yield {
	if c.serves {
		if e := beginClose(c.task); e != nil && !e.IsSet() {
			return Ending(e)
		}
	}
	return Done
}

func (c *closingTask) Close() error {
	if c.answered {
		return c.answer
	}
	return c.task.Close()
}

// BeginClose asks once more.
func (c *closingTask) BeginClose() *Event {
	c.answers = false
	return beginClose(c.task)
}

func (c *closingTask) String() string { return TaskDescription(c.task) }

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
		g.grantAfterTimeout(slot, t.grace, end)
	}
	inner := g.contexts.of(ctx, slot)
	y, err := g.call(p, func() (Yield, error) { return thrower.Throw(inner, t) })
	switch {
	case err != nil || y.code&yieldDone != 0 || y.code == 0:
		g.apply(ctx, p, y, err)
	case t.grace > 0 && y.code&yieldFailed == 0:
		g.grantAfterTimeout(slot, t.grace, end)
		g.apply(ctx, p, y, nil)
	case y.code&yieldEnding != 0:
		g.nodes.add(p, wasCutOff)
		g.failClosing(ctx, p, y.event, t, true)
	default:
		return false
	}
	return true
}

// grantAfterTimeout puts the grace of a member in the place of its own limit.
func (g *engine) grantAfterTimeout(slot int32, grace time.Duration, end int64) {
	g.deadlines.clear(slot)
	g.deadlines.grant(slot, g.parking.capacity(), closeTimedOut, min(later(instantOf(g.clock), grace), end))
}

// graceUntil returns the grace of a member that ends at end at the latest.
func (g *engine) graceUntil(p int32, end int64) time.Duration {
	grace := max(g.graceOf(p), 0)
	if grace > 0 && end != never {
		grace = min(grace, max(time.Duration(end-instantOf(g.clock)), 0))
	}
	return grace
}

// timeoutOf returns the Timeout of a member whose own limit has passed.
func (g *engine) timeoutOf(p int32) *Timeout {
	limit := g.deadlines.of(g.nodes.slot(p))
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
			g.failures.add(failure{err: g.taskError(p, task, err), node: p, kept: true})
		}
		g.set(p, StateCancelled, task, err)
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
	slot := g.nodes.slot(p)
	if g.deadlines.of(slot).kind != closeTimedOut {
		return nil
	}
	return g.timeoutOf(p)
}

// askToClose asks a member to end. If it panics, which RecoverPanics makes an
// error of, Close will tell.
func (g *engine) askToClose(p int32) (e *Event) {
	task := g.parking.task(g.nodes.slot(p))
	_, _ = g.call(p, func() (Yield, error) {
		e = beginClose(task)
		return Done, nil
	})
	return e
}

// putInClosing puts c in the place of a member until e is set.
func (g *engine) putInClosing(p int32, e *Event, c *closingTask) {
	slot := g.nodes.slot(p)
	c.serves = g.services.inside[p]
	g.deadlines.clear(slot)
	g.parking.replace(slot, c, e, g.clock)
	g.parking.add(slot, isClosing)
	g.set(p, StateClosing, c.task, c.failed)
	if g.services.has(p) {
		g.services.closing++
		if g.phase < phaseStopping {
			g.takeBack(p)
		}
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
	c.answered, c.answer = true, err
	g.endClosing(ctx, p)
}

// finishClosing closes a member that is closing, which waits if it has to.
func (g *engine) finishClosing(p int32) (*closingTask, error) {
	c := g.parking.task(g.nodes.slot(p)).(*closingTask)
	if c.reminder != nil {
		c.reminder.Stop()
	}
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
	case c.failed == nil && g.services.isUnneeded(p) && g.withoutNotice(p, err) == nil:
		g.set(p, StateSucceeded, c.task, nil)
	case c.why == closingCutOff && err != nil && g.withoutNotice(p, err) != nil: // nothing is left to be decided
		g.failures.add(failure{err: g.taskError(p, c.task, err), node: p, inside: g.failures.isResult(err)})
		g.set(p, failedState(err), c.task, err)
	default:
		inside := g.failures.isResult(err)
		if err = join(c.failed, err); err != nil {
			g.failures.add(failure{err: g.taskError(p, c.task, err), node: p, kept: !inside, inside: inside})
		}
		g.set(p, StateCancelled, c.task, err)
	}
}

func (g *engine) closeTask(p int32, task Task) error {
	g.failures.ofCalls = nil
	_, err := g.call(p, func() (Yield, error) { return Done, task.Close() })
	return err
}

// beginCloseAll closes the running members, in key order, but for those that would
// have to be waited for: they are closing then.
func (g *engine) beginCloseAll() {
	for _, p := range g.parking.members() {
		slot := g.nodes.slot(p)
		if slot != noSlot && !g.parking.has(slot, isClosing) && g.nodes.state(p) != StateReady {
			g.close(p)
		}
	}
	g.closeServices(g.close)
}

// closeAll closes the running members, and waits for those that take time once all
// have been asked. If one of them panics, unwind closes the others.
func (g *engine) closeAll() {
	g.conditions.over = true
	for len(g.parking.members()) > 0 {
		g.beginCloseAll() // services last, once what needs them has ended
		for _, p := range g.parking.members() {
			if g.parking.has(g.nodes.slot(p), isClosing) {
				c, err := g.finishClosing(p)
				g.endClosed(p, c, err)
			}
		}
	}
}

// closeRest closes the running members while a panic or a Goexit is on its way
// up. Further panics are only kept: the first one says what happened.
func (g *engine) closeRest() {
	completed := false
	defer func() {
		if !completed { // one of them called Goexit
			g.closeRest()
		}
	}()
	g.abortCurrent(nil) // the Observer, if it panicked at the end of the one before
	for _, do := range []func(){g.abortStarting, g.beginCloseAll, g.closeAll} {
		for g.nodes.members() > 0 {
			if _, err := recovered(func() (Yield, error) { do(); return Done, nil }, func() bool { return false }); err == nil {
				break
			} else {
				g.abortCurrent(err)
			}
		}
	}
	completed = true
}

// abortCurrent ends the member out of whose code a panic or a Goexit came, and
// the Observer, if it came out of that. err is the panic, if it goes no further.
func (g *engine) abortCurrent(err error) {
	g.dropWatcher()
	if p := g.current; p != noNode {
		g.current = noNode
		switch s := g.nodes.state(p); {
		case s.Ended(): // it was the Observer who was told of its end
		case s == StatePending: // it was When, or the Observer who was told of its start
		default:
			g.abort(p, err)
		}
	}
	g.claims.release() // of a node that was starting
}

// abort ends a running node that left no answer.
func (g *engine) abort(p int32, err error) {
	if g.nodes.slot(p) != noSlot {
		g.vacate(p)
	}
	g.claims.release()
	err = join(ErrAborted, err)
	g.failures.add(failure{err: g.taskError(p, nil, err), node: p, aborts: true})
	g.set(p, StateFailed, nil, err)
}

// goingUp returns what goes up in the place of a panic that came out of a node and has
// ended the group, with what can be asked of nobody once the panic is recovered.
func (g *engine) goingUp(p int32, v any) *PanicError {
	up, failed := panicIn(g.key(p), v), g.failures.beforePanic()
	if up.failed != nil {
		failed = join(failed, g.taskError(p, nil, up.failed))
	}
	up.failed = failed
	return up
}

// unwind ends the group while a panic or a Goexit is on its way up.
func (g *engine) unwind() {
	g.watchers.aborted = true
	// Each of these may panic too, and the next must happen all the same.
	defer func() {
		g.dropWatcher()
		told := false
		defer func() {
			if !told { // an Observer has panicked: the others are to hear of the end
				g.end(ErrAborted)
			}
		}()
		g.end(ErrAborted)
		told = true
	}()
	defer func() {
		g.dropWatcher()
		g.endNodes()
	}()
	defer func() {
		g.dropWatcher()
		g.closeRest()
	}()
	defer func() {
		if g.phase == phaseRunning && g.nodes.count(StatePending) > 0 {
			g.tellStopping(ErrAborted)
		}
	}()
	g.abortCurrent(nil)
}

// abortStarting ends the node whose start came to nothing, by a panic in a function
// of GroupOptions or of an Observer. It has no task that could be closed, and the
// services that it requires are closed only after it.
func (g *engine) abortStarting() {
	for p := range int32(g.nodes.len()) {
		if g.nodes.state(p) == StateRunning && g.nodes.slot(p) == noSlot {
			g.abort(p, nil)
		}
	}
}

// endNodes ends the nodes that have not started; no other is left.
func (g *engine) endNodes() {
	if g.phase != phaseDraining && g.phase != phaseEnded {
		g.cancelPending()
	}
}
