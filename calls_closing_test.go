package scheduler_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// aroundCalls makes the kinds of task that hold a task.
var aroundCalls = map[string]func(task scheduler.Task) scheduler.Task{
	"bare":  func(task scheduler.Task) scheduler.Task { return task },
	"Await": func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
	"All":   func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
	"AsTask": func(task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(task, nil).AsTask(0)
	},
	"Finally": func(task scheduler.Task) scheduler.Task {
		return scheduler.Finally(task, scheduler.Func(func(context.Context) error { return nil }))
	},
	"wrapper": func(task scheduler.Task) scheduler.Task { return struct{ wrapping }{wrapping{task}} },
	"AsTask in a Wrap in a group": func(task scheduler.Task) scheduler.Task {
		return scheduler.All(scheduler.Sequence(scheduler.NewTaskRunner(task, nil).AsTask(0)))
	},
}

// wrapping is a wrapper that has no methods of its own.
type wrapping struct{ scheduler.Task }

func (w wrapping) Unwrap() scheduler.Task { return w.Task }

// deafKinds makes the tasks that call.
var deafKinds = map[string]func(fn func(ctx context.Context)) scheduler.Task{
	"Blocking": func(fn func(context.Context)) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { fn(ctx); return ctx.Err() })
	},
	"Fetch": func(fn func(context.Context)) scheduler.Task {
		return scheduler.Fetch(func(ctx context.Context) (int, error) { fn(ctx); return 0, ctx.Err() },
			func(_ int, err error) error { return err })
	},
	"Poll": func(fn func(context.Context)) scheduler.Task {
		return scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) { fn(ctx); return true, ctx.Err() })
	},
}

// Ten calls that ignore the end of their contexts for a second end together,
// however they are held and whatever ends them, and a node that wants a step every
// 50 ms gets it.
func TestBlocking_deaf_calls_end_side_by_side(t *testing.T) {
	const limit = 10 * time.Second
	ends := map[string]struct {
		opts   scheduler.GroupOptions[int]
		runner scheduler.RunnerOptions
	}{
		"own timeouts": {opts: scheduler.GroupOptions[int]{AggregateErrors: true, Timeout: func(k int) time.Duration {
			if k == 10 {
				return 0
			}
			return limit
		}}},
		"own timeouts with a grace": {opts: scheduler.GroupOptions[int]{AggregateErrors: true, Grace: time.Minute, Timeout: func(k int) time.Duration {
			if k == 10 {
				return 0
			}
			return limit
		}}},
		"timeout of the run": {runner: scheduler.RunnerOptions{Timeout: limit}},
	}
	for how, end := range ends {
		for kind, call := range deafKinds {
			for around, wrap := range aroundCalls {
				t.Run(how+"/"+kind+"/"+around, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						begin := time.Now()
						last, gap := begin, time.Duration(0)
						deps := scheduler.NewDependencies[int]()
						for k := range 11 {
							deps.Add(k)
						}
						g, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
							if k == 10 {
								return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
									gap, last = max(gap, time.Since(last)), time.Now()
									if time.Since(begin) > limit+3*time.Second {
										return scheduler.Done, nil
									}
									return scheduler.After(50 * time.Millisecond), nil
								})
							}
							return wrap(call(func(ctx context.Context) {
								<-ctx.Done()
								sleep(time.Second)
							}))
						}, &end.opts)
						require.NoError(t, err)
						var ended time.Time
						err = scheduler.Run(t.Context(), scheduler.Finally(g, scheduler.Func(func(context.Context) error { return nil })), &end.runner)
						ended = time.Now()
						require.ErrorIs(t, err, context.DeadlineExceeded)
						if how == "timeout of the run" {
							require.Equal(t, limit+time.Second+1, ended.Sub(begin))
							return
						}
						require.LessOrEqual(t, gap, 51*time.Millisecond)
						var all *scheduler.ExceptionGroup
						require.True(t, errors.As(err, &all))
						require.Len(t, all.Errors, 10)
					})
				})
			}
		}
	}
}
