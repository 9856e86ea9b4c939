package scheduler

import (
	"context"
	"time"
)

// Subrun returns a [Task] that starts the runner and runs it to its end, so that a
// part of a task has a time limit, a grace or a clock of its own. Closing it cancels
// the runner, and an error thrown into it is thrown into the runner's task. Close returns
// the error of closing that, and a [*Timeout] or the error of an Interrupt that nothing
// has returned yet.
//
// The result is that of [TaskRunner.Err]: an error if the runner was killed,
// cancelled or timed out, whatever its task made of that; or [ErrStarted] if it was
// started before.
func Subrun(r *TaskRunner) Task {
	if r == nil {
		panic("scheduler: Subrun: nil TaskRunner")
	}
	return &subrun{runnerTask: runnerTask{r: r}}
}

// subrun is the Task of Subrun.
type subrun struct {
	runnerTask
	group *engine // around it, or nil
	owns  bool    // it has started the runner
	over  bool    // it has ended
}

func (t *subrun) Step(ctx context.Context) (Yield, error) {
	switch {
	case t.over:
		return Yield{}, &namedError{t.String(), ErrEnded}
	case !t.owns:
		if err := t.begin(ctx); err != nil {
			return Yield{}, err
		}
	}
	y, err := t.runnerTask.Step(ctx)
	return t.ended(y, err)
}

func (t *subrun) begin(ctx context.Context) error {
	r := t.r
	switch {
	case r.started:
		return &namedError{r.opts.Name, ErrStarted}
	case r.hasEnded():
		return &namedError{r.opts.Name, ErrCancelled}
	}
	t.owns = true
	if s := scopeOf(ctx); s != nil {
		t.group = s.group
	}
	return nil
}

func (t *subrun) Throw(ctx context.Context, err error) (Yield, error) {
	if !t.owns || t.over {
		t.over = true
		return Yield{}, err
	}
	y, err := t.runnerTask.Throw(ctx, err)
	return t.ended(y, err)
}

func (t *subrun) Close() error {
	t.over = true
	if !t.owns {
		return nil
	}
	unsaid := t.r.unsaid() // a Close leaves nothing else of that
	err := join(unsaid, t.runnerTask.Close())
	if unsaid != nil && t.group != nil {
		t.group.failures.keepOfMember(unsaid)
	}
	return err
}

// ended makes what the runner does not report the error of the task.
func (t *subrun) ended(y Yield, err error) (Yield, error) {
	if t.over = t.r.hasEnded(); t.over && t.r.ending.result() != nil {
		return Yield{}, t.r.ending.result()
	}
	return y, err
}

// AsTask is like [Subrun], except that the runner may have been started, and that the
// task reports what Step reports: a runner that was cancelled, or whose task handled
// a timeout, is a success. timeout is one more time limit, from the first step on.
func (r *TaskRunner) AsTask(timeout time.Duration) Task {
	r.must("AsTask")
	return &runnerTask{r: r, timeout: timeout}
}

type runnerTask struct {
	r       *TaskRunner
	timeout time.Duration
	begun   bool
	asked   bool // to close
}

func (t *runnerTask) Step(ctx context.Context) (Yield, error) {
	r := t.r
	if !t.begun {
		t.begun = true
		if !r.started {
			return t.answer(r.Start(ctx, t.timeout))
		}
		if !r.hasEnded() {
			r.offerTimeout(t.timeout)
		}
	} else if r.opts.Progress != nil {
		if err := t.progress(ctx); err != nil {
			return t.Throw(ctx, err)
		}
	}
	_, err := r.Step(ctx)
	return t.answer(err)
}

// progress calls Progress. If that panics, the runner's task is closed.
func (t *runnerTask) progress(ctx context.Context) error {
	completed := false
	defer func() {
		if !completed && !t.r.hasEnded() {
			t.r.abort()
		}
	}()
	err := t.r.opts.Progress(ctx)
	completed = true
	return err
}

// answer turns the outcome of a step of the runner into one of the task.
func (t *runnerTask) answer(err error) (Yield, error) {
	if err != nil {
		return Yield{}, err
	}
	return t.r.Due(), nil
}

func (t *runnerTask) Throw(ctx context.Context, err error) (Yield, error) {
	if t.r.hasEnded() || !t.r.started {
		return Yield{}, err
	}
	t.r.thrown.Store(&err)
	_, err = t.r.Step(ctx)
	return t.answer(err)
}

func (t *runnerTask) Close() error {
	t.r.enter("Cancel")
	defer t.r.leave()
	if t.r.hasEnded() {
		return nil
	}
	err := t.r.cancel()
	t.r.runLastPosted()
	return err
}

// BeginClose asks the runner's task to end. It is nil once that has ended.
func (t *runnerTask) BeginClose() (e *Event) {
	switch r := t.r; {
	case !r.entered:
	case r.ending.isClosing() && !t.asked && r.wait.event().has(hasParts):
		t.asked = true
		e = r.wait.event() // it ends part by part already
	default:
		t.telling(func() { e = beginClose(r.task) })
	}
	return e
}

// telling has the runner's task told something. If it panics, the runner has ended.
func (t *runnerTask) telling(tell func()) {
	t.r.inside = true
	defer func() {
		if t.r.inside {
			t.r.abort()
		}
	}()
	tell()
	t.r.inside = false
}

// Stop hands the notice on, unless the task is being closed already. How long the
// task then has is up to the outer runner, which gave it.
func (t *runnerTask) Stop(ctx context.Context, cause error) {
	if s, ok := lookFor[Stopper](t.r.task); ok && t.r.entered && t.r.ending.isInForce() {
		t.telling(func() { s.Stop(t.r.scoped(ctx), cause) })
	}
}

func (t *runnerTask) runs() *TaskRunner { return t.r }
func (t *runnerTask) String() string    { return t.r.String() }
