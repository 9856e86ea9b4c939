package scheduler_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

func TestRun_pauses(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		yields []scheduler.Yield
		wait   time.Duration
		want   []time.Duration
		resume []time.Duration // of RunToCompletion
	}{
		"between rounds":           {[]scheduler.Yield{scheduler.Next, scheduler.Next, scheduler.Next}, s, []time.Duration{0, s, s}, []time.Duration{s, s}},
		"none between rounds":      {[]scheduler.Yield{scheduler.Next, scheduler.Next}, 0, []time.Duration{0, 0}, []time.Duration{0}},
		"each of several rounds":   {[]scheduler.Yield{scheduler.Rounds(3)}, s, []time.Duration{0, s, s}, []time.Duration{s, s}},
		"until a time":             {[]scheduler.Yield{scheduler.After(10 * s), scheduler.After(20 * s)}, s, []time.Duration{10 * s, 20 * s}, []time.Duration{10 * s, 20 * s}},
		"cut short by a time":      {[]scheduler.Yield{scheduler.Next, scheduler.Rounds(5).Or(scheduler.After(3 * s))}, 2 * s, []time.Duration{0, 2 * s, 1 * s}, []time.Duration{2 * s, 1 * s}},
		"a time that is over":      {[]scheduler.Yield{scheduler.At(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)), scheduler.At(time.Time{}), scheduler.After(-s)}, s, []time.Duration{0, 0, 0}, []time.Duration{0, 0}},
		"an event that is set":     {[]scheduler.Yield{scheduler.On(setEvent()), scheduler.On(setEvent()).Or(scheduler.Next)}, s, []time.Duration{0, 0}, []time.Duration{0}},
		"a task that ends at once": {nil, s, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			require.NoError(t, scheduler.Run(t.Context(), &fakeTask{yields: c.yields}, &scheduler.RunnerOptions{Clock: drained{clock}, Wait: c.wait}))
			require.Equal(t, c.want, clock.Pauses(), "the first pause after a round is zero")

			if c.yields == nil {
				return
			}
			clock = newClock()
			r := startRunner(t, &fakeTask{yields: c.yields}, &scheduler.RunnerOptions{Clock: drained{clock}})
			if due := r.Due(); due.Rounds() == 0 {
				require.NoError(t, r.RunToCompletion(t.Context(), c.wait))
				require.Subset(t, clock.Pauses(), c.resume)
				return
			}
			require.NoError(t, r.RunToCompletion(t.Context(), c.wait))
			require.Equal(t, c.resume, clock.Pauses(), "the first step comes at once, before any pause")
		})
	}
}

func TestRun_is_woken(t *testing.T) {
	t.Parallel()
	t.Run("by an event from another goroutine, at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var event scheduler.Event
			task := &fakeTask{yields: []scheduler.Yield{scheduler.On(&event)}}
			start := time.Now()
			go func() {
				time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
				event.Set()
			}()
			require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Wait: time.Hour}))
			require.Equal(t, time.Minute, time.Since(start))
			require.Equal(t, 2, task.steps, "a parked task is not touched")
		})
	})
	t.Run("out of a pause between rounds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var event scheduler.Event
			task := &fakeTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Next.Or(scheduler.On(&event)), scheduler.Next.Or(scheduler.After(time.Second))}}
			start := time.Now()
			go func() {
				time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
				event.Set()
			}()
			require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Wait: time.Hour}))
			require.Equal(t, time.Minute+time.Second, time.Since(start), "an event and a time cut it short")
			require.Equal(t, 4, task.steps)
		})
	})
	t.Run("by its time although its event never comes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			task := &fakeTask{yields: []scheduler.Yield{scheduler.On(new(scheduler.Event)).Or(scheduler.After(time.Minute))}}
			start := time.Now()
			require.NoError(t, scheduler.Run(t.Context(), task, nil))
			require.Equal(t, time.Minute, time.Since(start))
			require.Equal(t, 2, task.steps)
		})
	})
	t.Run("for nothing and sleeps on", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var first, second scheduler.Event
			task := &fakeTask{yields: []scheduler.Yield{scheduler.On(&first), scheduler.On(&second)}}
			r := scheduler.NewTaskRunner(task, nil)
			start := time.Now()
			go func() {
				for range 10 { // only the first one means something
					time.Sleep(time.Second) //nolint:forbidigo // in a bubble
					first.Set()
				}
				second.Set()
			}()
			require.NoError(t, r.RunWith(t.Context(), 0, 0))
			require.Equal(t, 10*time.Second, time.Since(start))
			require.Equal(t, 3, task.steps)
		})
	})
}

func TestRun_context(t *testing.T) {
	t.Parallel()
	t.Run("that ended before: the task is not started", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errBoom)
		task := &fakeTask{}
		r := scheduler.NewTaskRunner(task, nil)
		require.Equal(t, errBoom, r.RunWith(ctx, 0, 0))
		require.False(t, r.Started())
		require.Zero(t, task.steps)
		require.Equal(t, errBoom, scheduler.Run(ctx, task, nil))
		require.NoError(t, r.RunWith(t.Context(), 0, 0), "and can be started yet")
	})
	t.Run("that ended before RunToCompletion: it is stopped before its next step", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		task := &fakeTask{}
		task.step = func(ctx context.Context) (scheduler.Yield, error) {
			require.NoError(t, ctx.Err())
			if len(task.causes) > 0 {
				return scheduler.Done, nil
			}
			return scheduler.Next, nil
		}
		r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Grace: time.Minute})
		require.NoError(t, r.Start(ctx, 0))
		cancel(errBoom)
		require.Equal(t, errBoom, r.RunToCompletion(ctx, 0))
		require.Equal(t, []error{errBoom}, task.causes)
		require.Zero(t, task.closes)
	})
	t.Run("that ends in a step: stopped before time passes", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		clock := newClock()
		start := clock.Now()
		task := &fakeTask{step: func(context.Context) (scheduler.Yield, error) {
			cancel(errBoom)
			return scheduler.After(time.Hour), nil
		}}
		require.Equal(t, errBoom, scheduler.Run(ctx, task, &scheduler.RunnerOptions{Clock: clock}))
		require.Equal(t, start, clock.Now())
		require.Equal(t, 1, task.closes)
	})
	t.Run("that ends while the run sleeps", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			type key struct{}
			ctx, cancel := context.WithTimeoutCause(context.WithValue(t.Context(), key{}, "v"), time.Minute, errBoom)
			defer cancel()
			task := &fakeTask{}
			task.step = func(ctx context.Context) (scheduler.Yield, error) {
				require.NoError(t, ctx.Err(), "later steps get a context that has not ended")
				require.Equal(t, "v", ctx.Value(key{}))
				if len(task.causes) == 0 {
					return scheduler.After(time.Hour), nil
				}
				return scheduler.After(time.Second), nil
			}
			task.stop = func(ctx context.Context, _ error) { require.NoError(t, ctx.Err()) }
			start := time.Now()
			err := scheduler.Run(ctx, task, &scheduler.RunnerOptions{Grace: 10 * time.Second})
			require.Equal(t, errBoom, err)
			require.Equal(t, time.Minute+10*time.Second+1, time.Since(start), "it has its grace")
			require.Equal(t, []error{errBoom}, task.causes)
			require.Equal(t, 1, task.closes)
		})
	})
	t.Run("that ends: the result is joined with what failed", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			cancel()
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			return errBoom
		})
		err := scheduler.Run(ctx, task, &scheduler.RunnerOptions{Grace: time.Second, Clock: newClock()})
		require.EqualError(t, err, "context canceled\nboom")
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errBoom)
	})
	t.Run("that ends after: nothing happens", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, scheduler.Run(ctx, &fakeTask{yields: []scheduler.Yield{scheduler.Next}}, nil))
		cancel()
	})
	t.Run("that has ended is no matter for Step", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := scheduler.NewTaskRunner(&fakeTask{yields: []scheduler.Yield{scheduler.Next}}, nil)
		require.NoError(t, r.Start(ctx, 0))
		done, err := r.Step(ctx)
		require.True(t, done)
		require.NoError(t, err)
	})
}

func TestRun_inside_a_step_is_refused(t *testing.T) {
	t.Parallel()
	inner := func(ctx context.Context) error {
		return scheduler.Run(ctx, &fakeTask{}, &scheduler.RunnerOptions{Name: "inner"})
	}
	check := func(t *testing.T, err error, outer string) {
		t.Helper()
		nested := asError[*scheduler.NestedRunError](t, err)
		require.Equal(t, &scheduler.NestedRunError{Outer: outer, Inner: "inner"}, nested)
		require.Equal(t, "scheduler: blocking run of inner inside a step of "+outer, nested.Error())
	}
	t.Run("of a runner", func(t *testing.T) {
		t.Parallel()
		check(t, scheduler.Run(t.Context(), scheduler.Func(inner), &scheduler.RunnerOptions{Name: "outer"}), "outer")
	})
	t.Run("RunToCompletion", func(t *testing.T) {
		t.Parallel()
		r := startRunner(t, &fakeTask{step: forever}, &scheduler.RunnerOptions{Name: "inner"})
		check(t, scheduler.Run(t.Context(), scheduler.Func(func(ctx context.Context) error {
			return r.RunToCompletion(ctx, 0)
		}), &scheduler.RunnerOptions{Name: "outer"}), "outer")
		require.NoError(t, r.Cancel())
	})
	t.Run("of a group that nobody runs", func(t *testing.T) {
		t.Parallel()
		deps := scheduler.NewDependencies[string]()
		deps.Add("a")
		g, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task { return scheduler.Func(inner) },
			&scheduler.GroupOptions[string]{Name: "outer"})
		require.NoError(t, err)
		_, err = g.Step(t.Context())
		check(t, err, "outer")
	})
	t.Run("of a member of a group in a runner", func(t *testing.T) {
		t.Parallel()
		check(t, scheduler.Run(t.Context(), scheduler.All(scheduler.Func(inner)), &scheduler.RunnerOptions{Name: "outer"}), "outer")
	})
	t.Run("but not inside a blocking call", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Blocking(inner), &scheduler.RunnerOptions{Name: "outer"}))
	})
	t.Run("nor between steps", func(t *testing.T) {
		t.Parallel()
		outer := startRunner(t, &fakeTask{yields: []scheduler.Yield{scheduler.Next}}, nil)
		require.NoError(t, inner(t.Context()))
		require.NoError(t, outer.RunToCompletion(t.Context(), 0))
	})
	t.Run("nor by hand", func(t *testing.T) {
		t.Parallel()
		r := scheduler.NewTaskRunner(&fakeTask{yields: []scheduler.Yield{scheduler.Next}}, nil)
		require.NoError(t, scheduler.Run(t.Context(), scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
			if !r.Started() {
				return scheduler.Next, r.Start(ctx, 0)
			}
			done, err := r.Step(ctx)
			require.True(t, done)
			return scheduler.Done, err
		}), nil))
	})
}
