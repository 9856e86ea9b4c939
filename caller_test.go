package scheduler_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

var _ scheduler.Caller = (*lastFirst)(nil)

// The clock decides when calls are made, and in which order they end.
func TestCaller_makes_the_calls(t *testing.T) {
	t.Parallel()
	for name, call := range asCall {
		t.Run(name, func(t *testing.T) {
			clock := newLastFirst()
			recorder := schedulertest.NewRecorder(clock)
			deps := scheduler.NewDependencies[string]()
			for _, k := range []string{"a", "b", "c"} {
				deps.Add(k)
			}
			group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
				return call(func(ctx context.Context) error {
					_, limited := ctx.Deadline()
					require.False(t, limited, "nothing of simulated time is known to the context")
					if k == "b" {
						return errOops
					}
					return nil
				})
			}, &scheduler.GroupOptions[string]{AggregateErrors: true, Observer: recorder})
			require.NoError(t, err)
			err = scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock, Timeout: 4 * time.Hour})
			require.ErrorIs(t, err, errOops)
			require.Equal(t, []string{"a", "b", "c"}, clock.paths)
			require.Equal(t, `0s 1 a: pending -> running
0s 1 b: pending -> running
0s 1 c: pending -> running
1h0m0s 2 c: running -> succeeded
2h0m0s 3 b: running -> failed: oops
3h0m0s 4 a: running -> succeeded
`, recorder.String())
		})
	}
}

// A panic and a Goexit come out as they do without a Caller.
func TestCaller_outcomes(t *testing.T) {
	t.Parallel()
	opts := &scheduler.RunnerOptions{Clock: newLastFirst()}
	require.NoError(t, scheduler.Run(t.Context(), scheduler.Blocking(func(context.Context) error { return nil }), opts))
	require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.Blocking(func(context.Context) error {
		runtime.Goexit()
		return nil
	}), opts), scheduler.ErrGoexit)
	p, ok := panicOf(t, func() {
		_ = scheduler.Run(t.Context(), scheduler.Blocking(func(context.Context) error { panic(errOops) }), opts)
	}).(*scheduler.PanicError)
	require.True(t, ok)
	require.Equal(t, errOops, p.Value)
}

// A task that is closed has the clock end its call; no event need be set for it.
func TestCaller_Await(t *testing.T) {
	t.Parallel()
	clock := newLastFirst()
	var cause error
	task := scheduler.Fetch(func(ctx context.Context) (string, error) {
		cause = context.Cause(ctx)
		return "id", ctx.Err()
	}, func(id string, err error) error {
		require.Equal(t, "id", id)
		return err
	})
	ctx := scheduler.WithClock(t.Context(), clock)
	mustStep(t, ctx, task)
	require.Equal(t, "", clock.paths[0], "it is in no group")
	require.Contains(t, clock.calls[0].String(), "TestCaller_Await")
	require.NoError(t, task.Close())
	require.Equal(t, 1, clock.awaited)
	require.ErrorIs(t, cause, scheduler.ErrClosed)
	require.NoError(t, task.Close())
	require.Equal(t, 1, clock.awaited)
}

// An Await that returns too early holds nothing up but the closing itself.
func TestCaller_Await_early(t *testing.T) {
	t.Parallel()
	clock := &earlyCaller{newLastFirst()}
	ended := false
	task := scheduler.Blocking(func(ctx context.Context) error {
		<-ctx.Done()
		ended = true
		return errors.Join(ctx.Err(), errOops)
	})
	mustStep(t, scheduler.WithClock(t.Context(), clock), task)
	require.ErrorIs(t, task.Close(), errOops)
	require.True(t, ended)
}

// earlyCaller makes calls at once, and waits for none.
type earlyCaller struct{ *lastFirst }

func (c *earlyCaller) Call(call *scheduler.PendingCall) { go c.make(call) }
func (c *earlyCaller) Await(*scheduler.PendingCall)     {}
