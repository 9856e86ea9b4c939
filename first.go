package scheduler

import (
	"context"
	"errors"
	"time"
)

// ErrNotNeeded is the cause of a notice after [First] has been won by another task,
// or when all nodes that require a [Ready] one have ended.
var ErrNotNeeded = errors.New("scheduler: not needed any more")

// First returns a [Task] that runs tasks concurrently until one of them succeeds. The
// others then get a notice with [ErrNotNeeded] and the grace of the nearest node or
// runner, or are closed if there is none; those that have not started never do. First
// succeeds when all have ended, whatever the others failed with.
//
// If none succeeds, the result is an [*ExceptionGroup] of the failures, or [ErrSkip]
// if all tasks skipped themselves. A timeout, a stop and a close reach all tasks, as
// in a group with AggregateErrors whose keys are the numbers of the tasks. Without
// tasks First fails with an [*OptionError].
func First(tasks ...Task) Task {
	if len(tasks) == 0 {
		return failing("First", &OptionError{Option: "First", Reason: "no tasks"})
	}
	if refused := nilAmong("First", "a First", tasks); refused != nil {
		return refused
	}
	f := &first{}
	f.DependencyTaskGroup = sideBySide("First", tasks, &GroupOptions[int]{AggregateErrors: true}, func() bool {
		return f.Count(StateSucceeded) > 0
	})
	return f
}

// failing returns a task with a name that fails with err.
func failing(name string, err error) Task {
	return Named(name, Func(func(context.Context) error { return err }))
}

// first is a group that is stopped when one of its nodes has succeeded.
type first struct {
	*DependencyTaskGroup[int]
	begun, won, over bool
}

func (f *first) Step(ctx context.Context) (Yield, error) {
	if !f.begun && ctx != nil {
		f.begun, f.engine.opts.Grace = true, NoGrace
		if grace := graceAround(ctx); grace > 0 {
			f.engine.opts.Grace = grace
		}
	}
	y, err := f.DependencyTaskGroup.Step(ctx)
	return f.decide(ctx, y, err)
}

func (f *first) Throw(ctx context.Context, err error) (Yield, error) {
	y, err := f.DependencyTaskGroup.Throw(ctx, err)
	return f.decide(ctx, y, err)
}

// Close closes those that run. What they had failed with is of no interest once one
// has won.
func (f *first) Close() error {
	err := f.DependencyTaskGroup.Close()
	f.over = true
	if f.won {
		return nil
	}
	return err
}

// decide stops the others once one has won, and makes that the outcome.
func (f *first) decide(ctx context.Context, y Yield, err error) (Yield, error) {
	if f.over {
		return y, err // of a group that has ended
	}
	ended := err != nil || y.code&yieldDone != 0
	if f.Count(StateSucceeded) > 0 && !f.won {
		f.won = true
		if !ended {
			y, err = f.DependencyTaskGroup.Throw(ctx, &StopError{Cause: ErrNotNeeded, final: true})
			ended = err != nil
		}
	}
	f.over = ended
	switch {
	case ended && f.won:
		return Done, nil
	case ended && err == nil:
		return Yield{}, &namedError{"all tasks of a First", ErrSkip}
	}
	return y, err
}

// WithTimeout returns a [Task] that runs task with a time limit, counted from its
// first step. Then a [*Timeout] is thrown into task, which may continue for the grace
// of the nearest node or runner. The Timeout is the error of the task even if task
// swallows it, and what task answers, or fails with later, is joined to it.
//
// The grace is that of the first step. Limits further out stay in force.
func WithTimeout(limit time.Duration, task Task) Task {
	mustHaveTask(task, "WithTimeout")
	r := NewTaskRunner(task, &RunnerOptions{Timeout: limit})
	return &withTimeout{subrun{runnerTask: runnerTask{r: r}}}
}

// withTimeout is a Subrun whose runner has the grace of what is around it.
type withTimeout struct{ subrun }

func (t *withTimeout) Step(ctx context.Context) (Yield, error) {
	if !t.owns {
		t.r.lent = graceAround(ctx)
	}
	return t.subrun.Step(ctx)
}

// graceAround returns the grace of what is being stepped in ctx: of the nearest
// node or runner that has one, or says that there is none.
func graceAround(ctx context.Context) time.Duration {
	for s := scopeOf(ctx); s != nil; s = s.outer {
		switch m := s.maker.(type) {
		case *engine:
			if m.current != noNode {
				return max(m.graceOf(m.current), 0)
			}
		case *TaskRunner:
			if m.opts.Grace != 0 {
				return m.grace()
			}
		}
	}
	return 0
}
