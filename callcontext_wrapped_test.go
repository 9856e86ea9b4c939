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

// opaque is a decorator that knows Step and Close alone, and has no Unwrap.
type opaque struct{ task scheduler.Task }

func (o opaque) Step(ctx context.Context) (scheduler.Yield, error) { return o.task.Step(ctx) }
func (o opaque) Close() error                                      { return o.task.Close() }

// asking is one that hands the beginning of the end on besides.
type asking struct{ opaque }

func (a asking) BeginClose() *scheduler.Event { return a.task.(scheduler.Closer).BeginClose() }

// A call that an error cannot be thrown into is closed for it, and learns which one.
func TestBlocking_context_behind_a_decorator(t *testing.T) {
	deadline := func(t *testing.T, err, cause error) {
		t.Helper()
		require.Equal(t, context.DeadlineExceeded, err)
		require.IsType(t, (*scheduler.Timeout)(nil), cause)
	}
	group := func(task scheduler.Task, opts *scheduler.GroupOptions[string]) scheduler.Task {
		g, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task { return task }, opts)
		require.NoError(t, err)
		return g
	}
	limit := func(string) time.Duration { return time.Second }
	for name, tt := range map[string]struct {
		put  func(task scheduler.Task) scheduler.Task
		opts scheduler.RunnerOptions
		do   func(r *scheduler.TaskRunner)
		want func(t *testing.T, err, cause error)
	}{
		"limit of the runner": {opts: scheduler.RunnerOptions{Timeout: time.Second}, want: deadline},
		"limit of the runner, with a grace": {
			opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Second}, want: deadline,
		},
		"limit of the node": {
			put: func(task scheduler.Task) scheduler.Task {
				return group(task, &scheduler.GroupOptions[string]{Timeout: limit})
			},
			want: deadline,
		},
		"limit of the node around a group": {
			put: func(task scheduler.Task) scheduler.Task {
				return group(opaque{group(task, nil)}, &scheduler.GroupOptions[string]{Timeout: limit})
			},
			want: deadline,
		},
		"limit of an inner runner": {
			put: func(task scheduler.Task) scheduler.Task {
				return scheduler.All(scheduler.NewTaskRunner(scheduler.Sequence(task), nil).AsTask(time.Second))
			},
			want: deadline,
		},
		"limit of the node, within the grace of a failure inside": {
			put: func(task scheduler.Task) scheduler.Task {
				return group(scheduler.All(task, lasting(0, errOops)), &scheduler.GroupOptions[string]{Timeout: limit, Grace: scheduler.NoGrace})
			},
			opts: scheduler.RunnerOptions{Grace: time.Minute},
			want: deadline,
		},
		"end of the grace after the limit": {
			put: func(task scheduler.Task) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					return errors.Join(co.Yield(scheduler.On(new(scheduler.Event))), co.Await(task))
				})
			},
			opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Second}, want: deadline,
		},
		"error thrown in": {
			do: func(r *scheduler.TaskRunner) { r.Interrupt(errOops) },
			want: func(t *testing.T, err, cause error) {
				t.Helper()
				require.Equal(t, context.Canceled, err)
				require.Equal(t, errOops, cause)
			},
		},
		"kill in the grace after the limit": {
			put: func(task scheduler.Task) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					return errors.Join(co.Yield(scheduler.On(new(scheduler.Event))), co.Await(task))
				})
			},
			opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Hour},
			do:   func(r *scheduler.TaskRunner) { r.Kill() },
			want: func(t *testing.T, err, cause error) {
				t.Helper()
				require.Equal(t, context.Canceled, err)
				require.ErrorIs(t, cause, scheduler.ErrClosed)
			},
		},
		"a stop": {
			do: func(r *scheduler.TaskRunner) { r.Post(func() { r.Stop(errOops) }) },
			want: func(t *testing.T, err, cause error) {
				t.Helper()
				require.Equal(t, context.Canceled, err)
				require.IsType(t, (*scheduler.StopError)(nil), cause)
				require.ErrorIs(t, cause, errOops)
			},
		},
	} {
		for as, decorate := range map[string]func(scheduler.Task) scheduler.Task{
			"opaque": func(task scheduler.Task) scheduler.Task { return opaque{task} },
			"asking": func(task scheduler.Task) scheduler.Task { return asking{opaque{task}} },
		} {
			t.Run(name+"/"+as, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var err, cause, after error
					task := decorate(scheduler.Blocking(func(ctx context.Context) error {
						inner, cancel := context.WithCancel(ctx)
						defer cancel()
						<-inner.Done()
						err, cause, after = ctx.Err(), context.Cause(ctx), inner.Err()
						return nil
					}))
					if tt.put != nil {
						task = tt.put(task)
					}
					r := scheduler.NewTaskRunner(task, &tt.opts)
					if tt.do != nil {
						time.AfterFunc(2*time.Second, func() { tt.do(r) })
					}
					require.Error(t, r.Run(t.Context()))
					tt.want(t, err, cause)
					require.Equal(t, err, after)
				})
			})
		}
	}
}

// What is behind a Shield has the time that the limits leave it, not what is left
// until the end of Run's context.
func TestShield_has_no_deadline_of_the_run(t *testing.T) {
	ask := func(got *time.Duration) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			*got = 0
			if at, ok := ctx.Deadline(); ok {
				*got = time.Until(at)
			}
			return ctx.Err()
		})
	}
	for name, tt := range map[string]struct {
		task func(got *time.Duration) scheduler.Task
		opts scheduler.RunnerOptions
		want time.Duration
	}{
		"without a shield": {task: ask, want: time.Minute},
		"shield":           {task: func(got *time.Duration) scheduler.Task { return scheduler.Shield(ask(got)) }},
		"clean-up, before the end": {task: func(got *time.Duration) scheduler.Task {
			return scheduler.Finally(lasting(1, nil), scheduler.Sequence(ask(got)))
		}},
		"clean-up, after the end": {
			task: func(got *time.Duration) scheduler.Task {
				return scheduler.Finally(untilStopped(func(cause error) error { return cause }), ask(got))
			},
			opts: scheduler.RunnerOptions{Grace: time.Hour}, want: time.Hour + 1,
		},
		"limit of the runner": {
			task: func(got *time.Duration) scheduler.Task { return scheduler.Shield(scheduler.All(ask(got))) },
			opts: scheduler.RunnerOptions{Timeout: time.Hour}, want: time.Hour + 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				got := time.Duration(-1)
				_ = scheduler.Run(ctx, tt.task(&got), &tt.opts)
				require.Equal(t, tt.want, got)
			})
		})
	}
	t.Run("nor its end", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		task := scheduler.Shield(scheduler.Func(func(ctx context.Context) error { cancel(); return ctx.Err() }))
		_, err := task.Step(ctx)
		require.NoError(t, err)
	})
}
