package scheduler

import (
	"context"
	"fmt"
	"reflect"
	"time"
)

// endPhase says how far the end of a runner's task has come, if it takes time.
type endPhase uint8

const (
	inForce   endPhase = iota
	answering          // a Timeout without grace was thrown; the task's answer comes when its event is set
	closing            // the task was asked to end; it is closed when its event is set
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
	case r.done || r.phase != inForce:
		return
	case !r.started:
		r.end(ErrCancelled)
		return
	}
	if r.cause == nil {
		if cause == nil {
			cause = ErrCancelled
		}
		r.cause = cause
		r.notice = &StopError{Cause: cause, final: true, deadline: deadline}
		r.untold = r.grace() > 0
	}
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
	if r.done {
		return nil
	}
	defer r.event.Set() // who drives it by AsTask may wait for that alone
	err := r.cancel()
	r.runLastPosted()
	return dropOfNodes(err)
}

func (r *TaskRunner) cancel() error {
	task, entered := r.task, r.entered
	// Whatever Close does:
	r.end(join(join(join(ErrCancelled, r.cause), join(r.err, r.failed)), r.takeThrown()))
	if !entered {
		return nil
	}
	err := task.Close()
	r.err = join(r.err, err)
	return err
}

// CancelAfter lets the task continue for grace, without a notice. The first Step
// after that closes it, and returns true and the error of Close. An earlier deadline
// stays in force. A runner that was not started is cancelled at once.
func (r *TaskRunner) CancelAfter(grace time.Duration) {
	r.must("CancelAfter")
	r.mustNotSleep("CancelAfter")
	switch {
	case r.done || r.phase != inForce:
		return
	case !r.started:
		r.end(ErrCancelled)
		return
	}
	r.offerCancel(later(instant(r.now()), grace), grace)
}

func (r *TaskRunner) offerCancel(at int64, grace time.Duration) {
	r.closeBy = min(r.closeBy, at)
	r.deadline.offer(at, grace, closeCancel)
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

// tell gives the task the notice, once.
func (r *TaskRunner) tell(ctx context.Context) {
	r.untold = false
	if s, ok := lookFor[Stopper](r.task); ok {
		r.inside = true
		s.Stop(ctx, r.notice)
		r.inside = false
	}
}

// throw throws err into the task, whether it is parked or not. A task that was
// never entered cannot handle it: no code of it runs.
func (r *TaskRunner) throw(ctx context.Context, err error) (Yield, error) {
	if !r.entered {
		return Yield{}, err
	}
	r.inside, r.throwing = true, err
	y, err := throwInto(ctx, &r.task, err)
	r.inside, r.throwing = false, nil
	return y, err
}

// expire is the step of a task whose deadline has passed.
func (r *TaskRunner) expire(ctx context.Context) (Yield, error) {
	switch {
	case r.deadline.isLimit():
		return r.timeOut(ctx)
	case r.err != nil: // its Timeout, after which it had a grace
		r.throwing = r.err
		return r.beginClose(r.err)
	case r.cutWith != nil:
		return r.beginClose(r.cutWith)
	case r.cause == nil: // by CancelAfter
		r.err = ErrCancelled
	}
	return r.beginClose(nil)
}

// timeOut throws a Timeout into the task, and gives it its grace.
func (r *TaskRunner) timeOut(ctx context.Context) (Yield, error) {
	t := &Timeout{
		Task: r.nameIn(ctx), Limit: r.deadline.span, Notes: notesAround(ctx).since(r.before),
		runner: r, at: r.deadline.at, grace: r.grace(),
	}
	if t.grace > 0 { // what the task does in answer is to find it
		r.grantAfterTimeout(t.grace)
	}
	y, err := r.throw(ctx, t)
	switch {
	case err != nil:
		r.keepTimeout(err, t)
		return y, err
	case y.code&yieldEnding != 0 && (t.grace == 0 || y.code&yieldFailed != 0):
		r.phase, r.failed = answering, t
		return Ending(y.event), nil // times do not count any more, such as its own limits
	case y.code&yieldDone != 0:
		r.err = t // the task has swallowed it
		return y, nil
	case t.grace == 0:
		r.err, r.throwing = t, t
		return r.beginClose(nil)
	}
	r.err = t
	r.grantAfterTimeout(t.grace)
	return y, nil
}

// keepTimeout remembers the Timeout that the task has answered with an error, unless that
// says it.
func (r *TaskRunner) keepTimeout(answer, timeout error) {
	if !says(answer, func(e error) bool { return e == timeout }) { //nolint:errorlint // That very one.
		r.err = timeout
	}
}

// timeoutBefore returns the Timeout after which a task that has not ended goes on or
// ends, or nil.
func (r *TaskRunner) timeoutBefore() error {
	if r.done {
		return nil
	}
	for _, err := range []error{r.err, r.failed} {
		if t, ok := err.(*Timeout); ok { //nolint:errorlint // Its own.
			return t
		}
	}
	return nil
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

// grantAfterTimeout puts the grace in the place of the task's limit.
func (r *TaskRunner) grantAfterTimeout(grace time.Duration) {
	at := min(later(instant(r.now()), grace), r.closeBy)
	r.deadline = deadline{at: at, span: grace, kind: closeTimedOut}
}

// beginClose closes the task, or asks it to end if that takes time. The runner
// then fails with failed; nil: with what Close returns. No code of a task that was
// never entered runs.
func (r *TaskRunner) beginClose(failed error) (Yield, error) {
	if !r.entered {
		return Done, failed
	}
	r.failed = failed
	r.inside = true
	e := beginClose(r.task)
	r.inside = false
	if e == nil {
		return r.close()
	}
	r.phase = closing
	return Ending(e), nil
}

func (r *TaskRunner) close() (Yield, error) {
	r.inside = true
	err := r.task.Close()
	r.inside = false
	return Done, join(r.failed, err)
}

// stepEnding is stepIfDue for a task whose end takes time.
func (r *TaskRunner) stepEnding(ctx context.Context) (y Yield, due bool, err error) {
	r.thrown.Store(nil) // too late
	r.isKilled = r.killed.Load()
	if !r.wait.isWoken() {
		return Yield{}, false, nil
	}
	r.inside = true
	if r.phase == closing {
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
	switch {
	case err != nil:
		r.keepTimeout(err, r.failed)
		return y, true, err
	case y.code&yieldEnding != 0:
		return Ending(y.event), true, nil
	}
	r.err = r.failed // the Timeout, which the task has swallowed
	if y.code&yieldDone == 0 {
		y, err = r.beginClose(nil)
	}
	return y, true, err
}
