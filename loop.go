package scheduler

import (
	"cmp"
	"context"
	"runtime"
	"time"
)

// Run starts task, drives it to its end, and returns its error. It blocks until then,
// sleeps while the task is parked, and pauses for opts.Wait between rounds.
//
// When ctx ends, the task is stopped: it gets the notice, has opts.Grace, and is then
// closed. The result is the cause of ctx, joined with what failed. It is never nil if
// the task timed out or was killed, whatever the task made of that: see
// [TaskRunner.Err]. A run that ends late returns a [*LateError]. With bad options the
// result is an [*OptionError], inside a step of another run a [*NestedRunError];
// nothing is started then.
func Run(ctx context.Context, task Task, opts *RunnerOptions) error {
	if opts == nil {
		opts = &RunnerOptions{}
	}
	if err := checkRunner(task, opts); err != nil {
		return err
	}
	return NewTaskRunner(task, opts).Run(ctx)
}

// Run is the function [Run] for the runner's task and options. If the runner cannot
// be started, the error is that of Start.
func (r *TaskRunner) Run(ctx context.Context) error {
	r.must("Run")
	err := r.RunWith(ctx, 0, 0)
	if all := r.Err(); err == nil || contains(all, err) { // else it was not started
		err = all
	}
	return r.late(ctx, err)
}

// RunWith calls Start with the timeout and then RunToCompletion, without a pause
// after the first step. If ctx has ended, the result is its cause, and the task is
// not started.
func (r *TaskRunner) RunWith(ctx context.Context, timeout, wait time.Duration) error {
	r.must("RunWith")
	if err := r.checkRun(ctx, wait); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return r.drive(ctx, "Run", 0, cmp.Or(wait, r.opts.Wait), func() (bool, error) {
		err := r.Start(ctx, timeout)
		return r.hasEnded(), err
	})
}

// RunToCompletion runs a started task to its end and returns its error. It blocks,
// and sleeps while the task is parked. The first step comes at once. wait is the
// longest pause between rounds; 0 stands for RunnerOptions.Wait. When ctx ends, the
// runner is stopped with its cause; later steps get a context that has not ended. A
// timeout that the task has handled is in Err only.
//
// Before any step, RunToCompletion returns [ErrNotStarted], an [*OptionError] for a
// negative wait, or a [*NestedRunError] as Run does.
func (r *TaskRunner) RunToCompletion(ctx context.Context, wait time.Duration) error {
	r.must("RunToCompletion")
	r.mustNotSleep("RunToCompletion")
	switch {
	case r.task == nil && !r.hasEnded():
		return errZeroRunner
	case !r.started:
		return &namedError{r.opts.Name, ErrNotStarted}
	}
	if err := r.checkRun(ctx, wait); err != nil {
		return err
	}
	wait = cmp.Or(wait, r.opts.Wait)
	ctx = r.stopAtEnd(ctx)
	return r.drive(ctx, "RunToCompletion", wait, wait, func() (bool, error) { return r.Step(ctx) })
}

func (r *TaskRunner) checkRun(ctx context.Context, wait time.Duration) error {
	if err := checkContext(ctx); err != nil {
		return err
	}
	if s := scopeOf(ctx); s != nil && s.driver != nil {
		return &NestedRunError{Outer: s.driver.String(), Inner: r.opts.Name}
	}
	if isInStep() {
		return &NestedRunError{Outer: "another run", Inner: r.opts.Name}
	}
	return checkDuration("wait", wait)
}

// isInStep reports whether the goroutine is inside a step of a run, whatever context
// it was given. The function of a coroutine is not, since it has a stack of its own.
// Where no run is under way, there is no need to look at the stack.
func isInStep() bool {
	if openRuns.Load() == 0 {
		return false
	}
	var pcs [32]uintptr
	for skip := 3; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		for _, pc := range pcs[:n] {
			if isStep(runtime.FuncForPC(pc - 1).Name()) { // "" if there is none
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}

// isStep reports whether a function is always there when a task is stepped.
func isStep(name string) bool {
	const path = "github.com/steptask/scheduler."
	return name == path+"(*TaskRunner).stepIfDue" || name == path+"(*engine).exclusively"
}

// stopAtEnd stops the runner if ctx has ended, and returns the context for the
// next step.
func (r *TaskRunner) stopAtEnd(ctx context.Context) context.Context {
	err := ctx.Err()
	if err == nil {
		return ctx
	}
	r.stop(context.Cause(ctx), err == context.DeadlineExceeded)
	return context.WithoutCancel(ctx)
}

// drive is the loop of Run and RunToCompletion. It needs Step, Due, Stop,
// Interrupt, Wake and a Clock, so anyone can write another.
func (r *TaskRunner) drive(ctx context.Context, method string, pause, wait time.Duration, first func() (bool, error)) error {
	r.enter(method) // a second loop is refused before it could end the run of the first
	r.leave()
	loop := newAlarm(ctx)
	defer loop.stop()
	around := r.loop.Swap(loop) // of a Run that this one is called by, between two steps
	defer r.loop.Store(around)
	defer signalAtEnd(ctx, loop.signal)()
	completed := false
	defer func() {
		if !completed && !r.hasEnded() { // a panic of Progress or the Clock
			r.abort()
			r.leave()
		}
	}()

	done, err := first()
	for ; !done && err == nil; pause = wait {
		until := r.until(ctx, pause)
		for over := false; !over; over = r.isOver(ctx, until) {
			r.sleep(loop, until)
			if r.posts.some.Load() {
				r.RunPosted()
				until = min(until, r.until(ctx, pause)) // the end of a round's pause stays
			}
		}
		ctx = r.stopAtEnd(ctx)
		if r.opts.Progress != nil {
			if e := r.opts.Progress(r.scoped(ctx)); e != nil {
				r.Interrupt(e)
			}
		}
		done, err = r.Step(ctx)
	}
	completed = true
	return err
}

// sleep waits once for the time or a wake. Meanwhile the runner is busy for
// everybody else.
func (r *TaskRunner) sleep(loop *alarm, until int64) {
	switch clock := r.clock.(type) {
	case *systemClock:
		if loop.set(clock, until) {
			r.busy.Store(sleeping)
			<-loop.wake
			r.busy.Store(idle)
		}
	case Clock:
		r.busy.Store(sleeping)
		loop.waitBy(clock, until)
		r.busy.Store(idle)
	}
}

// signalAtEnd calls signal when ctx ends. What it returns ends that, and leaves
// no goroutine.
func signalAtEnd(ctx context.Context, signal func()) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	signalled := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		signal()
		close(signalled)
	})
	return func() {
		if !cancel() {
			<-signalled
		}
	}
}

// until returns when the pause ends unless something happens; past is for none.
func (r *TaskRunner) until(ctx context.Context, wait time.Duration) int64 {
	due := r.Due()
	if r.hasEnded() || ctx.Err() != nil || due.Ready() { // the wake for it may still be on its way
		return past
	}
	at := never
	if due.code&yieldAt != 0 {
		at = due.at
	}
	if due.code&yieldNext != 0 {
		at = min(at, later(instantOf(r.clock), wait))
	}
	return at
}

// isOver reports whether a pause is: the wait may have been cut short by what
// the last step has seen to, or for no reason.
func (r *TaskRunner) isOver(ctx context.Context, until int64) bool {
	return until == past || ctx.Err() != nil || r.Due().Ready() ||
		until != never && instantOf(r.clock) >= until
}
