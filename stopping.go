package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"
)

// This file is about how the nodes of a group fail, are skipped, stopped and
// closed.

// fail ends a running member that failed.
func (g *engine) fail(ctx context.Context, p int32, err error) {
	slot := g.nodes.slot(p)
	if slot == noSlot {
		g.handle(ctx, p, nil, err)
		return
	}
	task := g.parking.task(slot)
	g.vacate(p)
	if g.phase != phaseRunning && g.ending.isOnlyNotice(err) {
		g.failures.add(failure{err: g.taskError(p, task, err), node: p, kept: true})
		g.set(p, StateCancelled, task, err)
		return
	}
	g.handle(ctx, p, task, err)
}

// handle does what a failure asks for. The node has no slot any more.
func (g *engine) handle(ctx context.Context, p int32, task Task, err error) {
	if drop(err, ErrSkip) == nil {
		g.failures.add(failure{err: g.taskError(p, task, err), node: p, kept: true, isSkip: true})
		g.set(p, StateSkipped, task, err)
		g.skipDependents(p)
		return
	}
	state := StateFailed
	if t := (*Timeout)(nil); errors.As(err, &t) {
		state = StateTimedOut
	}
	e := g.taskError(p, task, err)
	i := g.failures.add(failure{err: e, node: p})
	g.set(p, state, task, err)
	switch g.disposition(p, err) {
	case SkipDependents:
		g.skipDependents(p)
	case IgnoreError:
		g.failures.keepOnly(i)
		g.free(p)
	default:
		g.stop(ctx, e, p)
	}
}

// disposition asks what becomes of the group.
func (g *engine) disposition(p int32, err error) Disposition {
	switch {
	case g.opts.AggregateErrors:
		return SkipDependents
	case g.opts.OnError != nil:
		return g.opts.OnError(p, err)
	}
	return StopGroup
}

func (g *engine) taskError(p int32, task Task, err error) *TaskError {
	e := &TaskError{Key: g.key(p), Err: err}
	if task != nil {
		e.Task = TaskDescription(task)
	}
	return e
}

// skipDependents ends all nodes that wait for p, directly or not, in key order,
// for the failure that was added last. On the way it passes through those that
// are done beforehand and would have freed others only after p.
func (g *engine) skipDependents(p int32) {
	var found []int32
	for next := -1; next < len(found); next++ {
		from := p
		if next >= 0 {
			from = found[next]
		}
		for _, q := range g.graph.Row(from) {
			pending := g.nodes.state(q) == StatePending
			if (pending || g.nodes.state(q) == StateSucceeded && !g.nodes.isFreeing(q)) && g.failures.skip(q, g.nodes.len()) {
				found = append(found, q)
			}
		}
	}
	slices.Sort(found)
	for _, q := range found {
		if g.nodes.state(q) == StatePending {
			g.set(q, StateSkipped, nil, nil)
		}
	}
}

// stop ends the starting and lets each running member go on for its grace, or
// closes it. by is the node that failed, or noNode.
func (g *engine) stop(ctx context.Context, cause error, by int32) {
	if g.phase < phaseStopping {
		g.ending.blame = by
	}
	g.cancelPending()
	if !g.ending.asksGraces(g.opts.ErrorWaitTimeFor != nil) {
		return
	}
	n := g.ending.notify(asNotice(cause, false))
	var slow []int32
	for _, p := range g.parking.members() {
		slot := g.nodes.slot(p)
		if slot == noSlot {
			continue // it ended meanwhile: see notify
		}
		g.nodes.add(p, wasStopped)
		if grace := g.graceOf(p); grace > 0 {
			g.grant(slot, closeCancel, grace)
			g.notify(ctx, p, n)
		} else if beginClose(g.taskOf(p)) != nil {
			slow = append(slow, p)
		} else {
			g.close(p)
		}
	}
	for _, p := range slow {
		if g.nodes.slot(p) != noSlot {
			g.close(p)
		}
	}
}

// grant offers a member a grace from now on.
func (g *engine) grant(slot int32, kind deadlineKind, grace time.Duration) {
	g.deadlines.grant(slot, g.parking.capacity(), kind, later(instantOf(g.clock), grace))
}

// notifyAll gives notice to all running members.
func (g *engine) notifyAll(ctx context.Context, cause error) {
	n := g.ending.notify(asNotice(cause, false))
	for _, p := range g.parking.members() {
		if g.nodes.slot(p) != noSlot {
			g.nodes.add(p, wasStopped)
			g.notify(ctx, p, n)
		}
	}
}

// notify gives a running member notice, once, and once more if it is final. A panic that RecoverPanics makes an
// error of is a failure, which may close any other member.
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

// expire does what is to be done with a member whose deadline has passed.
func (g *engine) expire(ctx context.Context, p int32) {
	slot := g.nodes.slot(p)
	task, kind := g.parking.task(slot), g.deadlines.of(slot).kind
	if kind == closeCancel {
		g.cutOff(ctx, p)
		return
	}
	t := g.timeoutOf(slot)
	if kind == throwTimeout {
		end := g.deadlines.graceEnd(slot)
		t.grace = g.graceUntil(p, end)
		if t.grace > 0 { // what the task does in answer is to find it
			g.grantAfterTimeout(slot, t.grace, end)
		}
		ctx := g.contexts.of(ctx, slot)
		y, err := g.call(p, func() (Yield, error) { return throwInto(ctx, task, t) })
		if err != nil || y.code&yieldDone != 0 {
			g.apply(ctx, p, y, err)
			return
		}
		if t.grace > 0 {
			g.grantAfterTimeout(slot, t.grace, end)
			g.apply(ctx, p, y, nil)
			return
		}
	}
	g.nodes.add(p, wasCutOff)
	g.fail(ctx, p, join(t, g.closeTask(p, task)))
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
func (g *engine) timeoutOf(slot int32) *Timeout {
	limit := g.deadlines.of(slot)
	return &Timeout{Task: TaskDescription(g.parking.task(slot)), Limit: limit.span, at: limit.at}
}

// cutOff closes a member whose grace is over. Unlike that of a close at once, an
// error of this is a failure like any other (recorded behaviour).
func (g *engine) cutOff(ctx context.Context, p int32) {
	g.nodes.add(p, wasCutOff)
	task := g.taskOf(p)
	err := g.closeTask(p, task)
	g.vacate(p)
	if err != nil {
		g.handle(ctx, p, task, err)
		return
	}
	g.set(p, StateCancelled, task, nil)
}

// close closes a running member at once.
func (g *engine) close(p int32) {
	g.nodes.add(p, wasStopped|wasCutOff)
	slot, task := g.nodes.slot(p), g.taskOf(p)
	var timeout error
	if g.deadlines.of(slot).kind == closeTimedOut {
		timeout = g.timeoutOf(slot) // it went on after that: not to be forgotten
	}
	err := join(timeout, g.closeTask(p, task))
	g.vacate(p) // and not before the task has really ended
	if err != nil {
		g.failures.add(failure{err: g.taskError(p, task, err), node: p, kept: true})
	}
	g.set(p, StateCancelled, task, err)
}

func (g *engine) closeTask(p int32, task Task) error {
	_, err := g.call(p, func() (Yield, error) { return Done, task.Close() })
	return err
}

// closeAll closes the running members. If one of them panics, unwind closes the
// others.
func (g *engine) closeAll() {
	var slow []int32
	for _, p := range g.parking.members() {
		if beginClose(g.taskOf(p)) != nil {
			slow = append(slow, p)
		} else {
			g.close(p)
		}
	}
	for _, p := range slow {
		g.close(p)
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
	ask := func(p int32) { beginClose(g.taskOf(p)) }
	for _, do := range []func(p int32){ask, g.close} {
		for _, p := range g.parking.members() {
			g.current = p
			_, err := recovered(func() (Yield, error) {
				do(p)
				return Done, nil
			})
			if err != nil {
				g.abortCurrent(err)
			}
			g.current = noNode
		}
	}
	completed = true
}

// abortCurrent ends the member out of whose code a panic or a Goexit came, and
// the Observer, if it came out of that. err is the panic, if it goes no further.
func (g *engine) abortCurrent(err error) {
	if g.observing {
		g.opts.Observer, g.observing = nil, false
	}
	if p := g.current; p != noNode {
		g.current = noNode
		if g.nodes.state(p) == StateRunning { // else it was the Observer who was told of its end
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
	g.failures.add(failure{err: g.taskError(p, nil, err), node: p})
	g.set(p, StateFailed, nil, err)
}
