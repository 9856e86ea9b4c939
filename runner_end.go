package scheduler

import (
	"context"
	"fmt"
	"reflect"
	"time"
)

// Stop asks the task to end. With its next step a [Stopper] gets the notice, and
// nothing new starts at any depth, except behind [Shield]. When Grace has passed, the
// task is closed. The runner fails with cause, joined with what the task fails with;
// nil stands for [ErrCancelled], and of several causes the first counts. A runner
// that was not started is cancelled; one that is closing its task ignores Stop.
//
// Stop is for the driving goroutine, and panics on another one while Run sleeps:
// there end Run's context, or use Kill or Post.
func (r *TaskRunner) Stop(cause error) {
	r.must("Stop")
	r.mustNotSleep("Stop")
	r.stop(cause, false)
}

// mustNotSleep panics for a call from another goroutine, while the one that drives the
// runner sleeps in Run. By a Clock of somebody else's it may be that one, in Wait.
func (r *TaskRunner) mustNotSleep(method string) {
	if r.busy.Load() == sleeping && isSystemClock(r.clock) {
		panic("scheduler: TaskRunner." + method + " of " + r.opts.Name + " called while Run drives it")
	}
}

// stop is Stop. deadline says that the cause is the deadline of Run's context.
func (r *TaskRunner) stop(cause error, deadline bool) {
	switch {
	case !r.ending.isInForce():
		return
	case !r.started:
		r.neverStart()
		return
	}
	r.ending.stop(cause, deadline, r.grace() > 0)
	at := past // without grace, whatever the clock says
	if r.grace() > 0 {
		at = later(instant(r.now()), r.grace())
	}
	r.offerCancel(at, r.grace())
}

// Kill has the task closed now, without notice or grace, by the goroutine that drives
// the runner. Any goroutine may call Kill. The runner ends once the last call has
// returned, with [ErrCancelled], joined with the cause of an earlier Stop, the error of
// an Interrupt that has not been thrown yet, and what the task fails with. One that was
// not started fails with ErrCancelled when it is; one that has ended ignores Kill.
func (r *TaskRunner) Kill() {
	r.must("Kill")
	r.killed.Store(true)
	r.call()
}

// Cancel ends the runner now and returns the error of closing its task; failures of
// nodes before are in Err only. It waits for calls that have not returned. A runner
// that was not started can no longer be started; one that has ended ignores Cancel.
// Inside the task's own step, and on another goroutine while Run drives the runner,
// it panics: use [TaskRunner.Kill] there.
func (r *TaskRunner) Cancel() error {
	r.must("Cancel")
	r.enter("Cancel")
	defer r.leave()
	if r.hasEnded() {
		return nil
	}
	defer r.event.Set() // who drives it by AsTask may wait for that alone
	err := r.cancel()
	r.runLastPosted()
	return dropOfNodes(err)
}

func (r *TaskRunner) cancel() error {
	task, entered := r.task, r.entered
	r.ending.cancel(r.takeThrown()) // whatever Close does
	r.forget()
	if !entered {
		return nil
	}
	closed := false
	defer func() {
		if !closed {
			r.posts.close() // and forget them: a panic ends the run
		}
	}()
	err := task.Close()
	closed = true
	r.ending.closedWith(err)
	return err
}

// CancelAfter lets the task continue for grace, without a notice. The first Step
// after that closes it, and returns true and the error of Close. An earlier deadline
// stays in force. A runner that was not started is cancelled at once.
func (r *TaskRunner) CancelAfter(grace time.Duration) {
	r.must("CancelAfter")
	r.mustNotSleep("CancelAfter")
	switch {
	case !r.ending.isInForce():
		return
	case !r.started:
		r.neverStart()
		return
	}
	r.offerCancel(later(instant(r.now()), grace), grace)
}

// neverStart ends a runner that was not started.
func (r *TaskRunner) neverStart() {
	r.ending.end(ErrCancelled)
	r.forget()
}

func (r *TaskRunner) offerCancel(at int64, grace time.Duration) {
	r.deadline.cancel(at, grace)
	r.call()
}

// Interrupt throws err into the task in place of its next step, and wakes the driver.
// Any goroutine may call it. If it is called several times before that step, the last
// error counts. A runner that has ended or is closing its task ignores it. A second
// Interrupt does not extend the grace of a group that the first has stopped.
func (r *TaskRunner) Interrupt(err error) {
	r.must("Interrupt")
	if err == nil {
		panic("scheduler: TaskRunner.Interrupt of " + r.opts.Name + ": nil error")
	}
	r.thrown.Store(&err)
	r.call()
}

// takeThrown returns the error of an Interrupt that the task has not got yet, or nil.
func (r *TaskRunner) takeThrown() error {
	if err := r.thrown.Swap(nil); err != nil {
		return *err
	}
	return nil
}

// unsaid returns what would be in Err alone if the runner were cancelled now, apart from
// why: a Timeout that its task has not failed with, and the error of an Interrupt that it
// has not got.
func (r *TaskRunner) unsaid() error {
	if r.hasEnded() {
		return nil
	}
	err := r.ending.unsaid()
	if thrown := r.thrown.Load(); thrown != nil {
		err = join(err, *thrown)
	}
	return err
}

// tell gives the task the notice, once.
func (r *TaskRunner) tell(ctx context.Context) {
	notice := r.ending.tell()
	if s, ok := lookFor[Stopper](r.task); ok {
		r.inside = true
		s.Stop(ctx, notice)
		r.inside = false
	}
}

// throw throws err into the task, whether it is parked or not. A task that was
// never entered cannot handle it: no code of it runs.
func (r *TaskRunner) throw(ctx context.Context, err error) (Yield, error) {
	if !r.entered {
		return Yield{}, err
	}
	r.inside = true
	r.ending.endFor(err)
	y, err := throwInto(ctx, &r.task, err)
	r.ending.endFor(nil)
	r.inside = false
	return y, err
}

// expire is the step of a task whose deadline has passed.
func (r *TaskRunner) expire(ctx context.Context) (Yield, error) {
	if r.deadline.isLimit() {
		return r.timeOut(ctx)
	}
	r.ending.cutOff()
	return r.beginClose()
}

// timeOut throws a Timeout into the task, and gives it its grace.
func (r *TaskRunner) timeOut(ctx context.Context) (Yield, error) {
	t := &Timeout{
		Task: r.nameIn(ctx), Limit: r.deadline.span, Notes: notesAround(ctx).since(r.before),
		runner: r, at: r.deadline.at, grace: r.grace(),
	}
	if t.grace > 0 { // what the task does in answer is to find it
		r.deadline.grant(instant(r.now()), t.grace)
	}
	r.ending.timeOut(t)
	y, err := r.throw(ctx, t)
	if err == nil && y.code&yieldEnding != 0 && (t.grace == 0 || y.code&yieldFailed != 0) {
		r.ending.await()
		return Ending(y.event), nil // times do not count any more, such as its own limits
	}
	r.ending.answer(err)
	switch {
	case err != nil || y.code&yieldDone != 0:
		return y, err
	case t.grace == 0:
		r.ending.endFor(t)
		return r.beginClose()
	}
	r.deadline.grant(instant(r.now()), t.grace)
	return y, nil
}

// nameIn returns what a Timeout in ctx calls the runner: its name, or, if its task has
// none, the node around it.
func (r *TaskRunner) nameIn(ctx context.Context) string {
	if g, p := nodeAround(ctx); g != nil && r.isUnnamed() {
		return g.nameOf(p)
	}
	return r.opts.Name
}

// isUnnamed reports whether nothing but a function or a combinator gives it its name, or
// the task has ended and cannot be asked.
func (r *TaskRunner) isUnnamed() bool { return !r.isNamed && (r.task == nil || isUnnamed(r.task)) }

// isUnnamed reports whether the description of a task says nothing to a reader of
// errors: the name of a function, which is often a closure, or of a combinator.
func isUnnamed(task Task) bool {
	switch t := task.(type) {
	case *coroutine, *call, *poll:
		return true
	case *shield:
		return isUnnamed(t.task)
	case *claiming:
		return isUnnamed(t.task)
	case interface{ runs() *TaskRunner }:
		return t.runs().isUnnamed()
	case enclosed:
		g := t.inside()
		return g.opts.Name == "" || g.isNumbered
	case fmt.Stringer:
		return reflect.TypeOf(task).Kind() == reflect.Func
	case interface{ Unwrap() Task }:
		return isUnnamed(t.Unwrap())
	}
	return reflect.TypeOf(task).Kind() == reflect.Func
}

// beginClose closes the task, or asks it to end if that takes time. No code of a task
// that was never entered runs.
func (r *TaskRunner) beginClose() (Yield, error) {
	if !r.entered {
		return Done, r.ending.closed(nil)
	}
	r.inside = true
	e := beginClose(r.task)
	r.inside = false
	if e == nil {
		return r.close()
	}
	r.ending.beginClose()
	return Ending(e), nil
}

func (r *TaskRunner) close() (Yield, error) {
	r.inside = true
	err := r.task.Close()
	r.inside = false
	return Done, r.ending.closed(err)
}

// stepEnding is stepIfDue for a task whose end takes time.
func (r *TaskRunner) stepEnding(ctx context.Context) (y Yield, due bool, err error) {
	r.thrown.Store(nil) // too late
	if r.killed.Load() {
		r.ending.kill(nil)
	}
	if !r.wait.isWoken() {
		return Yield{}, false, nil
	}
	r.inside = true
	if r.ending.isClosing() {
		if e := endPart(r.task, r.wait.event()); e != nil {
			y = Ending(e)
		} else {
			y, err = r.close()
		}
		r.inside = false
		return y, true, err
	}
	y, err = stepTask(ctx, &r.task)
	r.inside = false
	if err == nil && y.code&yieldEnding != 0 {
		return Ending(y.event), true, nil
	}
	r.ending.answer(err)
	if err == nil && y.code&yieldDone == 0 {
		y, err = r.beginClose()
	}
	return y, true, err
}
