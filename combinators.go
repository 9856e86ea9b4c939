package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Poll returns a Task that asks every so often whether something is ready, and
// is done when it is. ready is called as the function of [Blocking] is, so it may
// block; between two calls the task is parked. Its error is the task's. It
// panics if ready is nil. The task can be run once.
//
// The notice of a stop goes to each call, under way or later ([Stopping]); the task
// itself continues for its grace, since what it waits for may be about to end.
func Poll(every time.Duration, ready func(ctx context.Context) (bool, error)) Task {
	if ready == nil {
		panic("scheduler: Poll: nil function")
	}
	p := &poll{every: every, name: funcName(ready)}
	p.fetch = func() Task {
		return Fetch(ready, func(isReady bool, err error) error {
			p.isReady = isReady
			return err
		})
	}
	return p
}

// poll is a machine of its own, not a coroutine: there may be very many.
type poll struct {
	every   time.Duration
	name    string
	fetch   func() Task
	call    Task       // nil between two calls
	notice  *StopError // nil before
	isReady bool
	over    bool
}

func (p *poll) Step(ctx context.Context) (Yield, error) {
	if p.over {
		return Yield{}, fmt.Errorf("%w: %s", ErrEnded, p.name)
	}
	if p.call != nil {
		return p.answer(stepTask(ctx, p.call))
	}
	p.call = p.fetch()
	y, err := stepTask(ctx, p.call)
	if p.notice != nil {
		p.tell(ctx)
	}
	return p.answer(y, err)
}

// answer turns the outcome of a step of the call into one of the task.
func (p *poll) answer(y Yield, err error) (Yield, error) {
	switch {
	case err != nil:
		p.over = true
		return Yield{}, err
	case y.code&yieldDone == 0:
		return y, nil
	case p.isReady:
		p.over = true
		return Done, nil
	}
	p.call = nil
	return After(p.every), nil
}

// Throw ends the call that is under way; the error comes out when it has ended.
func (p *poll) Throw(ctx context.Context, err error) (Yield, error) {
	if p.call == nil {
		p.over = true
		return Yield{}, err
	}
	return p.answer(throwInto(ctx, p.call, err))
}

func (p *poll) Close() error {
	p.over = true
	if p.call == nil {
		return nil
	}
	return p.call.Close()
}

// BeginClose asks the call that is under way to end.
func (p *poll) BeginClose() *Event {
	if p.call == nil {
		return nil
	}
	return beginClose(p.call)
}

// Stop gives notice to the call that is under way, and to those that follow.
func (p *poll) Stop(ctx context.Context, cause error) {
	if p.notice == nil {
		p.notice = asNotice(cause, false)
	}
	if p.call != nil {
		p.tell(ctx)
	}
}

func (p *poll) tell(ctx context.Context) {
	if s, ok := lookFor[Stopper](p.call); ok {
		s.Stop(ctx, p.notice)
	}
}

func (p *poll) String() string { return p.name }

// BackOff says how long [Retry] waits before the next attempt; a negative
// duration ends the attempts. The backoffs of github.com/cenkalti/backoff are
// such.
type BackOff interface {
	NextBackOff() time.Duration
}

// Retry returns a Task that makes a task and drives it, and makes another one
// after a pause if it failed, until one succeeds. task is called with the
// number of the attempt, from 1 on, and the error of the one before. If it
// returns nil, or backoff ends the attempts, the result is the last error. A
// task can be used only once, so each attempt needs a new one.
//
// An attempt is the last one if the task was asked to stop, exceeded its own
// time limit, or is being closed; if an error that was thrown into it comes out
// again; or if it fails with [ErrSkip]. If its error is only that it had to end
// (see [Interrupted]), the error of the attempt before is joined with it. Notice
// goes to the attempt under way and ends a pause. Retry panics if an argument is
// nil.
func Retry(backoff BackOff, task func(attempt int, last error) Task) Task {
	if backoff == nil || task == nil {
		panic("scheduler: Retry: nil argument")
	}
	return Wrap(func(co *Coroutine) error {
		r := retry{co: co}
		for attempt := 1; ; attempt++ {
			done, err := r.attempt(task(attempt, r.last))
			if done {
				return err
			}
			pause := backoff.NextBackOff()
			if pause < 0 {
				return r.last
			}
			if err := co.Yield(After(pause).Or(On(co.Stopping()))); err != nil {
				return join(err, r.last)
			}
			if n := co.notice(); n != nil {
				return join(n, r.last)
			}
		}
	})
}

// retry is the state of a Retry.
type retry struct {
	co   *Coroutine
	task Task  // of the last attempt
	last error // with what that failed
}

// attempt makes one, and reports whether it is the last; err is then the result.
func (r *retry) attempt(task Task) (done bool, err error) {
	switch {
	case task == nil && r.task == nil:
		return true, ErrNilTask
	case task == nil:
		return true, r.last
	case isSameTask(task, r.task):
		return true, join(&namedError{TaskDescription(task) + ", by Retry", ErrStarted}, r.last)
	}
	err = r.co.Await(task)
	if err != nil && !r.co.isFinal(err) {
		r.task, r.last = task, err
		return false, nil
	}
	if Interrupted(err) {
		err = join(err, r.last)
	}
	return true, err
}

// isSameTask reports whether two tasks are the very same one, which it cannot
// know of functions.
func isSameTask(a, b Task) (same bool) {
	defer func() { _ = recover() }()
	return a == b
}

// timeout returns the Timeout that was thrown into the coroutine last, if nothing
// else was thrown in after it, or nil.
func (co *Coroutine) timeout() *Timeout {
	if co.top.told == nil {
		return nil
	}
	t, _ := co.top.told.throwing.(*Timeout) //nolint:errorlint // That very one.
	return t
}

// isFinal reports whether an error of a subtask is the end of the coroutine too.
func (co *Coroutine) isFinal(err error) bool {
	if co.closing || errors.Is(err, ErrSkip) || co.notice() != nil {
		return true
	}
	if co.top.told == nil || co.top.told.throwing == nil {
		return false
	}
	return co.timeout() != nil || errors.Is(err, co.top.told.throwing) || contains(err, co.top.told.throwing)
}

// All returns a Task that drives the given ones side by side, without a graph:
// a group whose nodes are their numbers. The first failure closes the others
// and is the result, as a [*TaskError]. What a group needs options for takes a
// [DependencyTaskGroup].
func All(tasks ...Task) Task {
	tasks = slices.Clone(tasks)
	deps := NewDependencies[int]()
	for i := range tasks {
		deps.Add(i)
	}
	take := func(i int) Task {
		task := tasks[i]
		tasks[i] = nil // the group drops it when it has ended
		return task
	}
	g, err := NewDependencyTaskGroup(deps, take, &GroupOptions[int]{Name: "All"})
	if err != nil {
		// Not covered: a graph without edges has no cycle, and the options are good.
		panic("scheduler: internal error: " + err.Error() + "; please report")
	}
	return g
}

// Sequence returns a Task that drives the given ones one after the other, up to
// the first that fails. That one's error is the result. When the run, or the node
// that the Sequence is part of, is stopped, it begins none of the tasks that are
// left, and ends with the notice. When a [*Timeout] was thrown into it, it begins
// none either, even if the one under way has finished in its grace, and ends with
// the Timeout. With a nil Task among them it begins none and
// fails with [ErrNilTask].
func Sequence(tasks ...Task) Task {
	return Wrap(func(co *Coroutine) error {
		if i := slices.Index(tasks, nil); i >= 0 {
			return &namedError{fmt.Sprintf("number %d of a Sequence", i), ErrNilTask}
		}
		before := co.timeout() // of a Sequence that cleans up after one
		for _, task := range tasks {
			if n := co.notice(); n != nil && n.final {
				return n
			}
			if t := co.timeout(); t != before {
				return t
			}
			if err := co.Await(task); err != nil {
				return err
			}
		}
		return nil
	})
}

// Finally returns a Task that drives task to its end and then cleanup, whatever
// came of task: it succeeded, failed, or ended by an error thrown in, such as a
// [*Timeout], or because it was asked to stop. In the last two cases cleanup has
// what is left of the grace, behind a [Shield]; without a grace it gets only as
// far as its first yield. [Reserve] keeps a part of the grace for it. The result
// is the error of task, joined with that of cleanup.
//
// After a Close there is no step left for cleanup: it does not run. What must be
// undone even then belongs in a roll-back, for which a group knows what was
// started. If either is nil it begins neither and fails with [ErrNilTask].
func Finally(task, cleanup Task) Task {
	return Wrap(func(co *Coroutine) error {
		switch {
		case task == nil:
			return &namedError{"the task of a Finally", ErrNilTask}
		case cleanup == nil:
			return &namedError{"the cleanup of a Finally", ErrNilTask}
		}
		err := co.Await(task)
		if co.closing {
			return err
		}
		return join(err, co.Await(Shield(cleanup)))
	})
}
