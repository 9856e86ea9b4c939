package scheduler_test

import (
	"context"
	"errors"
	"fmt"
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

// What a call fails with when it is closed is in the result of the run and in Errors
// of the groups around, whatever closes it and whatever it is in.
func TestCall_fails_while_it_is_closed(t *testing.T) {
	wraps := map[string]func(task scheduler.Task) scheduler.Task{
		"itself":     func(task scheduler.Task) scheduler.Task { return task },
		"All":        func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		"All in All": func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.All(task)) },
		"Sequence":   func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
		"All in Finally": func(task scheduler.Task) scheduler.Task {
			return scheduler.Finally(scheduler.All(task), lasting(1, nil))
		},
		"All in Subrun": func(task scheduler.Task) scheduler.Task {
			return scheduler.Subrun(scheduler.NewTaskRunner(scheduler.All(task), nil))
		},
	}
	ends := map[string]func(r *scheduler.TaskRunner, cancel func()){
		"Kill":               func(r *scheduler.TaskRunner, _ func()) { r.Kill() },
		"Stop":               func(r *scheduler.TaskRunner, _ func()) { r.Post(func() { r.Stop(errOther) }) },
		"CancelAfter":        func(r *scheduler.TaskRunner, _ func()) { r.Post(func() { r.CancelAfter(0) }) },
		"end of the context": func(_ *scheduler.TaskRunner, cancel func()) { cancel() },
		"failure beside it":  func(*scheduler.TaskRunner, func()) {},
	}
	for wrap, put := range wraps {
		for end, do := range ends {
			for _, late := range []time.Duration{0, time.Hour} {
				t.Run(fmt.Sprint(end, ", ", wrap, ", late ", late), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						call := scheduler.Blocking(func(ctx context.Context) error {
							<-ctx.Done()
							time.Sleep(late) //nolint:forbidigo // in a bubble
							return fmt.Errorf("pulling: %w", errSpace)
						})
						g := groupOf(t, "a z", func(k string) scheduler.Task {
							switch {
							case k == "a":
								return put(call)
							case end == "failure beside it":
								return lasting(10, errOther)
							}
							return lasting(1, nil)
						}, nil)
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						r := scheduler.NewTaskRunner(g, nil)
						time.AfterFunc(10*time.Second, func() { do(r, cancel) })
						err := r.Run(ctx)
						require.ErrorIs(t, err, errSpace)
						require.ErrorIs(t, errors.Join(g.Errors()...), errSpace)
						require.Contains(t, texts(scheduler.Causes(err)), "pulling: "+errSpace.Error())
					})
				})
			}
		}
	}
}
