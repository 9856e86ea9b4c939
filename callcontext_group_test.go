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

// The contexts of calls in groups: what limits a node, and what ends it.
func TestBlocking_context_in_a_group(t *testing.T) {
	type options = scheduler.GroupOptions[string]
	const second, minute = time.Second, time.Minute
	isFailure := func(err error) bool {
		stop, ok := err.(*scheduler.StopError) //nolint:errorlint // That very type.
		var e *scheduler.TaskError
		return ok && errors.As(stop.Cause, &e) && e.Key == "fails"
	}
	limit := func(d time.Duration) func(string) time.Duration {
		return func(k string) time.Duration {
			if k == "call" {
				return d
			}
			return 0
		}
	}
	for _, tt := range []struct {
		name     string
		opts     options
		runner   scheduler.RunnerOptions
		fails    error // of the other node, after a second
		err      error
		cause    func(error) bool
		after    time.Duration
		deadline time.Duration
		state    scheduler.State
	}{
		{
			name: "failure of another node", fails: errOops,
			err: context.Canceled, cause: isFailure, after: second, state: scheduler.StateCancelled,
		},
		{
			name: "failure of another node, with a grace", fails: errOops, opts: options{Grace: minute},
			err: context.Canceled, cause: isFailure, after: second + minute + 1, state: scheduler.StateCancelled,
		},
		{
			name: "failure of another node, EndCalls", fails: errOops, opts: options{Grace: minute, EndCalls: true},
			err: context.Canceled, cause: isFailure, after: second, state: scheduler.StateCancelled,
		},
		{
			name: "timeout of another node, EndCalls", fails: &scheduler.Timeout{Task: "x"}, opts: options{Grace: minute, EndCalls: true},
			err: context.Canceled, cause: isFailure, after: second, state: scheduler.StateCancelled,
		},
		{
			name: "own timeout", opts: options{Timeout: limit(minute)},
			err: context.DeadlineExceeded, cause: isTimeout, after: minute + 1, deadline: minute + 1, state: scheduler.StateTimedOut,
		},
		{
			name: "own timeout, with a grace", opts: options{Timeout: limit(minute), Grace: second},
			err: context.DeadlineExceeded, cause: isTimeout, after: minute + 1, deadline: minute + 1, state: scheduler.StateTimedOut,
		},
		{
			name: "timeout of the run", runner: scheduler.RunnerOptions{Timeout: minute},
			err: context.DeadlineExceeded, cause: func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
			after: minute + 1, deadline: minute + 1, state: scheduler.StateCancelled,
		},
		{
			name: "timeout of the run, with a grace", runner: scheduler.RunnerOptions{Timeout: minute, Grace: second},
			err: context.DeadlineExceeded, cause: func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
			after: minute + second + 2, deadline: minute + 1, state: scheduler.StateCancelled,
		},
		{
			name: "own timeout, after that of the run", runner: scheduler.RunnerOptions{Timeout: minute},
			opts: options{Timeout: limit(2 * minute)},
			err:  context.DeadlineExceeded, cause: func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
			after: minute + 1, deadline: minute + 1, state: scheduler.StateCancelled,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				var s seen
				var deadline time.Duration
				begin := time.Now()
				g, err := scheduler.NewDependencyTaskGroup(graph("call fails"), func(k string) scheduler.Task {
					if k == "fails" {
						if tt.fails == nil {
							return scheduler.Func(func(context.Context) error { return nil })
						}
						return scheduler.Blocking(func(context.Context) error { sleep(second); return tt.fails })
					}
					return call(func(ctx context.Context) error {
						if at, ok := ctx.Deadline(); ok {
							deadline = at.Sub(begin)
						}
						s = watch(ctx)
						return fmt.Errorf("pulling s0: %w", ctx.Err())
					})
				}, &tt.opts)
				require.NoError(t, err)
				result := scheduler.Run(t.Context(), g, &tt.runner)
				s.check(t, tt.err, tt.cause)
				require.Equal(t, tt.after, s.at.Sub(begin))
				require.Equal(t, tt.deadline, deadline)
				require.Error(t, result)
				require.Equal(t, tt.state, g.State("call"))
				// What it returned is not lost.
				require.ErrorContains(t, g.Err("call"), "pulling s0: "+tt.err.Error())
				require.ErrorContains(t, errors.Join(g.Errors()...), "pulling s0: "+tt.err.Error())
			})
		})
	}
}

// After a Timeout a late ErrSkip skips nothing.
func TestBlocking_ErrSkip_after_a_Timeout(t *testing.T) {
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		for _, grace := range []time.Duration{0, time.Minute} {
			g, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task {
				return call(func(ctx context.Context) error {
					<-ctx.Done()
					return scheduler.ErrSkip
				})
			}, &scheduler.GroupOptions[string]{Grace: grace, Timeout: func(string) time.Duration { return time.Second }})
			require.NoError(t, err)
			require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), context.DeadlineExceeded)
			require.Equal(t, scheduler.StateTimedOut, g.State("a"))
		}
	})
}

// What a call returns after the notice of a group counts.
func TestBlocking_results_after_the_notice_of_a_group(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fn    func(ctx context.Context) error
		ends  bool
		state scheduler.State
		text  string
	}{
		{"nil", func(context.Context) error { return nil }, false, scheduler.StateSucceeded, ""},
		{"the notice", scheduler.StopCause, false, scheduler.StateCancelled, "fails: oops"},
		{"own error", func(context.Context) error { return errOther }, false, scheduler.StateFailed, "other"},
		{"nil, EndCalls", func(context.Context) error { return nil }, true, scheduler.StateSucceeded, ""},
		{"Err, EndCalls", context.Context.Err, true, scheduler.StateCancelled, "context canceled"},
		{
			"Err with words, EndCalls", func(ctx context.Context) error { return fmt.Errorf("GET /: %w", ctx.Err()) },
			true, scheduler.StateCancelled, "GET /: context canceled",
		},
		{"own error, EndCalls", func(context.Context) error { return errOther }, true, scheduler.StateFailed, "other"},
		{
			"own deadline, EndCalls", func(context.Context) error { return context.DeadlineExceeded },
			true, scheduler.StateFailed, "context deadline exceeded",
		},
		{
			"own error beside Err, EndCalls", func(ctx context.Context) error { return errors.Join(ctx.Err(), errOther) },
			true, scheduler.StateFailed, "other",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				g, err := scheduler.NewDependencyTaskGroup(graph("call fails"), func(k string) scheduler.Task {
					if k == "fails" {
						return scheduler.Blocking(func(context.Context) error { sleep(time.Second); return errOops })
					}
					return call(func(ctx context.Context) error {
						<-scheduler.Stopping(ctx)
						return tt.fn(ctx)
					})
				}, &scheduler.GroupOptions[string]{Grace: time.Minute, EndCalls: tt.ends})
				require.NoError(t, err)
				require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), errOops)
				require.Equal(t, tt.state, g.State("call"))
				if tt.text == "" {
					require.NoError(t, g.Err("call"))
				} else {
					require.EqualError(t, g.Err("call"), "call: "+tt.text)
				}
			})
		})
	}
}

// A Poll that is closed between two calls has nothing to end.
func TestPoll_closed_between_calls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := scheduler.Poll(time.Minute, func(context.Context) (bool, error) { return false, nil })
		_, err := task.Step(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		_, err = task.Step(t.Context())
		require.NoError(t, err)
		require.Nil(t, task.(scheduler.Closer).BeginClose())
		require.NoError(t, task.Close())
		_, err = task.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrEnded)
	})
}

// The limit of a node is that of what its own steps begin: a context that was kept
// after such a step has none.
func TestBlocking_with_a_context_kept_after_the_step(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limited []bool
		begin := func(ctx context.Context) {
			mustStep(t, ctx, scheduler.Blocking(func(ctx context.Context) error {
				_, ok := ctx.Deadline()
				limited = append(limited, ok)
				return nil
			}))
			synctest.Wait()
		}
		var kept context.Context
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
				kept = ctx
				begin(ctx)
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Hour }})
		mustStep(t, t.Context(), group)
		begin(kept)
		require.Equal(t, []bool{true, false}, limited)
		require.NoError(t, group.Close())
	})
}
