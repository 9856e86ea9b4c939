package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestNow(t *testing.T) {
	t.Parallel()
	t.Run("outside a run is the system's", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			require.Equal(t, time.Now(), scheduler.Now(t.Context()))
		})
	})
	t.Run("in a step is the run's", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		require.NoError(t, scheduler.Run(t.Context(), scheduler.All(scheduler.Wrap(func(co *scheduler.Coroutine) error {
			require.Equal(t, clock.Now(), scheduler.Now(co.Context()))
			before := clock.Now()
			require.NoError(t, co.Yield(scheduler.At(scheduler.Now(co.Context()).Add(time.Hour))))
			require.Equal(t, before.Add(time.Hour), scheduler.Now(co.Context()))
			return nil
		})), &scheduler.RunnerOptions{Clock: clock}))
	})
	t.Run("in a blocking call too", func(t *testing.T) {
		t.Parallel()
		clock := schedulertest.NewClock(time.Time{})
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Blocking(func(ctx context.Context) error {
			require.Equal(t, clock.Now(), scheduler.Now(ctx))
			return nil
		}), &scheduler.RunnerOptions{Clock: clock}))
	})
}

func TestWithClock(t *testing.T) {
	t.Parallel()
	outer, inner := newClock(), schedulertest.NewClock(time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC))
	ctx := scheduler.WithClock(t.Context(), outer)
	require.Equal(t, outer.Now(), scheduler.Now(ctx))
	ctx = scheduler.WithClock(ctx, inner)
	require.Equal(t, inner.Now(), scheduler.Now(ctx))
	type key struct{}
	require.Equal(t, inner.Now(), scheduler.Now(context.WithValue(ctx, key{}, 1)), "also from below")

	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	g, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }, nil)
	require.NoError(t, err)
	y := mustStep(t, ctx, g)
	at, timed := y.Time()
	require.True(t, timed)
	require.True(t, at.Equal(inner.Now().Add(time.Hour)), "a task without a runner takes its time from it")
	require.NoError(t, g.Close())

	r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.After(time.Hour)), nil)
	require.NoError(t, r.RunWith(ctx, 0, 0))
	require.Equal(t, time.Hour, inner.Slept(), "and so does a runner without one")

	r = scheduler.NewTaskRunner(scheduler.Pause(scheduler.After(time.Minute)), &scheduler.RunnerOptions{Clock: outer})
	require.NoError(t, r.RunWith(ctx, 0, 0))
	require.Equal(t, time.Minute, outer.Slept(), "one of its own comes first")

	require.NoError(t, scheduler.Run(t.Context(), scheduler.Func(func(ctx context.Context) error {
		ctx = scheduler.WithClock(ctx, inner)
		require.Equal(t, inner.Now(), scheduler.Now(ctx))
		var nested *scheduler.NestedRunError
		require.ErrorAs(t, scheduler.Run(ctx, &fakeTask{}, nil), &nested, "the rest stays as it is")
		return nil
	}), nil))
}

// A context of a type that cannot be compared only costs a bit more.
type sliceContext struct {
	context.Context
	_ []int
}

func TestContext_that_cannot_be_compared(t *testing.T) {
	t.Parallel()
	clock := newClock()
	ctx := sliceContext{Context: t.Context()}
	require.NoError(t, scheduler.Run(ctx, scheduler.Func(func(inner context.Context) error {
		require.Equal(t, fmt.Sprintf("%v.run", ctx), fmt.Sprint(inner), "logs say what it is made of")
		return nil
	}), nil))
	r := scheduler.NewTaskRunner(scheduler.All(&fakeTask{step: forever}), &scheduler.RunnerOptions{Clock: clock})
	require.NoError(t, r.Start(ctx, 0))
	for range 3 {
		mustStep(t, ctx, r)
	}
	require.NoError(t, r.Cancel())
}

// Times that are off the scale, which is some three centuries wide on either
// side of 1970, count as its end.
func TestClock_at_the_end_of_time(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		year  int
		limit time.Duration
		want  bool
	}{
		{1700, math.MinInt64, true},
		{1700, math.MaxInt64, false},
		{2250, math.MaxInt64, false},
		{2250, math.MinInt64, true},
		{9000, -1, true},
		{9000, time.Hour, false},
	} {
		clock := schedulertest.NewClock(time.Date(c.year, 1, 1, 0, 0, 0, 0, time.UTC))
		r := scheduler.NewTaskRunner(&fakeTask{}, &scheduler.RunnerOptions{Clock: clock})
		require.Equal(t, c.want, scheduler.NewTimeout(r, c.limit).Expired(), "%+v", c)
	}
}

func TestSystemClock(t *testing.T) {
	t.Parallel()
	t.Run("goes on and never back", func(t *testing.T) {
		t.Parallel()
		n := 0
		last := time.Time{}
		require.NoError(t, scheduler.Run(t.Context(), scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
			now := scheduler.Now(ctx)
			require.False(t, now.Before(last))
			require.NotContains(t, now.String(), "m=", "without a monotonic reading")
			last = now
			if n++; n == 1000 {
				return scheduler.Done, nil
			}
			return scheduler.Next, nil
		}), nil))
	})
	t.Run("keeps a bubble's time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			task := &fakeTask{yields: []scheduler.Yield{
				scheduler.After(24 * time.Hour),
				scheduler.At(start.Add(25 * time.Hour)),
				scheduler.At(start),
				scheduler.Next,
				scheduler.Next,
			}}
			require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Wait: time.Minute}))
			require.Equal(t, 25*time.Hour+2*time.Minute, time.Since(start))
		})
	})
	t.Run("waits for an event without a time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var e scheduler.Event
			time.AfterFunc(time.Hour, e.Set)
			start := time.Now()
			require.NoError(t, scheduler.Run(t.Context(), scheduler.Pause(scheduler.On(&e)), nil))
			require.Equal(t, time.Hour, time.Since(start))
		})
	})
}

// A clock may end its waits early, or late: whoever waits looks again.
// A timer that rings while it is being set: outside a bubble, where time passes.
func TestSystemClock_that_rings_at_once(t *testing.T) {
	t.Parallel()
	for span := range 10 {
		left := 100
		require.NoError(t, scheduler.Run(t.Context(), scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if left--; left == 0 {
				return scheduler.Done, nil
			}
			return scheduler.After(time.Duration(span) * time.Microsecond), nil
		}), nil))
	}
}

func TestClock_that_is_coarse(t *testing.T) {
	t.Parallel()
	early := &coarseClock{Clock: newClock(), most: time.Second}
	task := &fakeTask{yields: []scheduler.Yield{scheduler.After(10 * time.Second)}}
	require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: early}))
	require.Equal(t, 10*time.Second, early.Slept())
	require.Len(t, early.Pauses(), 10)
	require.Equal(t, 2, task.steps)

	late := &coarseClock{Clock: newClock(), more: time.Second}
	task = &fakeTask{yields: []scheduler.Yield{scheduler.After(10 * time.Second), scheduler.Next}}
	require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: late}))
	require.Equal(t, 12*time.Second, late.Slept())
	require.Equal(t, 3, task.steps)
}

type coarseClock struct {
	*schedulertest.Clock
	most, more time.Duration
}

func (c *coarseClock) Wait(until time.Time, wake <-chan struct{}) {
	if next := c.Now().Add(c.most); c.most > 0 && next.Before(until) {
		until = next
	}
	c.Clock.Wait(until.Add(c.more), wake)
}

// A run inside of a call waits by the same clock at the same time.
func TestRun_inside_of_a_call_shares_the_clock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		inner := scheduler.Blocking(func(ctx context.Context) error {
			return scheduler.Run(ctx, scheduler.Sequence(scheduler.Pause(scheduler.Next), lasting(1, nil),
				scheduler.Blocking(func(context.Context) error {
					time.Sleep(time.Second) //nolint:forbidigo // in a bubble
					return nil
				})), &scheduler.RunnerOptions{Timeout: time.Hour})
		})
		require.NoError(t, scheduler.Run(t.Context(), scheduler.All(inner, lasting(5, nil)), nil))
		require.Equal(t, 5*time.Second, time.Since(start))
	})
}

func TestNow_of_no_clock_is_the_systems(t *testing.T) {
	t.Parallel()
	before := time.Now()
	ctx := scheduler.WithClock(t.Context(), nil)
	require.False(t, scheduler.Now(ctx).Before(before))
	group := claiming(t, "a", nil, hours)
	mustStep(t, ctx, group)
	require.NoError(t, group.Close())
}

// Of two waits at once, a run's and that of a run in a call of its, neither takes
// the other's timer, also if it is not the first wait.
func TestSystemClock_waits_twice_at_once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var inner time.Duration
		err := scheduler.Run(t.Context(), scheduler.Sequence(
			scheduler.Pause(scheduler.After(time.Second)),
			scheduler.All(
				scheduler.Pause(scheduler.After(20*time.Second)),
				scheduler.Blocking(func(ctx context.Context) error {
					err := scheduler.Run(ctx, scheduler.Pause(scheduler.After(10*time.Second)), nil)
					inner = time.Since(began)
					return err
				}),
			),
		), nil)
		require.NoError(t, err)
		require.Equal(t, 11*time.Second, inner)
		require.Equal(t, 21*time.Second, time.Since(began))
	})
}

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
