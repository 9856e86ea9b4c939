package scheduler_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// A posted function runs inside the pause: it is no step, no round, and no end of
// the pause.
func TestTaskRunner_Post_is_no_step(t *testing.T) {
	for name, held := range map[string]func(scheduler.Task) (scheduler.Task, *scheduler.TaskRunner){
		"bare": func(task scheduler.Task) (scheduler.Task, *scheduler.TaskRunner) { return task, nil },
		"inside": func(task scheduler.Task) (scheduler.Task, *scheduler.TaskRunner) {
			inner := scheduler.NewTaskRunner(task, nil)
			return scheduler.All(scheduler.Sequence(scheduler.Subrun(inner))), inner
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var steps []time.Duration
				begin := time.Now()
				task, r := held(scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
					steps = append(steps, time.Since(begin))
					if len(steps) == 4 {
						return scheduler.Done, nil
					}
					return scheduler.Next, nil
				}))
				rounds := 0
				outer := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{
					Wait: time.Minute, Progress: func(context.Context) error { rounds++; return nil },
				})
				if r == nil {
					r = outer
				}
				var posted []time.Duration
				var order []int
				for i := range 2 {
					require.True(t, r.Post(func() { order = append(order, i) }), "before the start")
				}
				for i := range 100 {
					time.AfterFunc(time.Duration(i)*time.Second, func() {
						r.Post(func() { posted = append(posted, time.Since(begin)) })
					})
				}
				require.NoError(t, outer.Run(t.Context()))
				require.Equal(t, []int{0, 1}, order)
				require.Equal(t, []time.Duration{0, 0, time.Minute, 2 * time.Minute}, steps)
				require.Equal(t, 3, rounds)
				require.Len(t, posted, 100)
				for i, at := range posted {
					require.Equal(t, time.Duration(i)*time.Second, at)
				}
				require.False(t, r.Post(func() {}), "it has ended")
			})
		})
	}
}

// What a posted function does takes effect at once.
func TestTaskRunner_Post_of_an_end(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(r *scheduler.TaskRunner, g *scheduler.DependencyTaskGroup[string])
		want error
	}{
		"Drain":  {func(_ *scheduler.TaskRunner, g *scheduler.DependencyTaskGroup[string]) { g.Drain() }, scheduler.ErrDrained},
		"Stop":   {func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { r.Stop(errOops) }, errOops},
		"Kill":   {func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { r.Kill() }, scheduler.ErrCancelled},
		"Cancel": {func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { _ = r.Cancel() }, scheduler.ErrCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := groupOf(t, "b:a", func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }, nil)
				r := scheduler.NewTaskRunner(g, nil)
				time.AfterFunc(time.Second, func() { r.Post(func() { c.do(r, g) }) })
				begin := time.Now()
				require.ErrorIs(t, r.Run(t.Context()), c.want)
				if name == "Drain" {
					require.Equal(t, time.Hour, time.Since(begin))
				} else {
					require.Equal(t, time.Second, time.Since(begin))
				}
			})
		})
	}
}

// While the runner is closing posted functions run, and those left at the end too.
func TestTaskRunner_Post_while_closing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := scheduler.NewTaskRunner(scheduler.Blocking(stubborn(10*time.Second)), &scheduler.RunnerOptions{Timeout: time.Second})
		var at []time.Duration
		begin := time.Now()
		note := func() { at = append(at, time.Since(begin).Truncate(time.Second)) }
		for _, d := range []time.Duration{500 * time.Millisecond, 5 * time.Second} {
			time.AfterFunc(d, func() { require.True(t, r.Post(note)) })
		}
		require.ErrorIs(t, r.Run(t.Context()), context.DeadlineExceeded)
		require.Equal(t, []time.Duration{0, 5 * time.Second}, at)
	})
	r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.Next), nil)
	called := false
	task := scheduler.Func(func(context.Context) error { r.Post(func() { called = true }); return nil })
	r = scheduler.NewTaskRunner(task, nil)
	require.NoError(t, r.Run(t.Context()))
	require.True(t, called, "in the last step")
}

func TestTaskRunner_Post_panics(t *testing.T) {
	closed := false
	r := scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
		defer func() { closed = true }()
		return co.Yield(scheduler.On(new(scheduler.Event)))
	}), nil)
	go r.Post(func() { panic("posted") })
	require.PanicsWithValue(t, "posted", func() { _ = r.Run(t.Context()) })
	require.True(t, closed || !r.Started())
	require.Panics(t, func() { r.Post(nil) })
}

// An owner's loop is told by Wake, and calls RunPosted.
func TestTaskRunner_RunPosted(t *testing.T) {
	wakes := 0
	r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.Rounds(2)), &scheduler.RunnerOptions{Wake: func() { wakes++ }})
	require.NoError(t, r.Start(t.Context(), 0))
	calls := 0
	require.True(t, r.Post(func() { calls++ }))
	require.Equal(t, 1, wakes)
	require.False(t, r.Due().Ready())
	r.RunPosted()
	require.Equal(t, 1, calls)
	require.True(t, r.Post(func() { calls++ }))
	done, err := r.Step(t.Context())
	require.False(t, done)
	require.NoError(t, err)
	require.Equal(t, 2, calls)
	require.NoError(t, r.Cancel())
	require.False(t, r.Post(func() { calls++ }))
	require.Equal(t, 2, calls)
}

// askingClock calls a function the first time that it is asked.
type askingClock struct {
	*schedulertest.Clock
	first func()
}

func (c *askingClock) Now() time.Time {
	if f := c.first; f != nil {
		c.first = nil
		f()
	}
	return c.Clock.Now()
}

// What was posted to a runner in the midst of its start is not left until its task
// becomes due.
func TestTaskRunner_Post_while_it_starts_inside_another(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var posted scheduler.Event
		clock := &askingClock{Clock: newClock()}
		inner := scheduler.NewTaskRunner(scheduler.Pause(scheduler.On(&posted)), &scheduler.RunnerOptions{Clock: clock})
		clock.first = func() { require.True(t, inner.Post(posted.Set)) }
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Subrun(inner), nil))
		require.True(t, posted.IsSet())
	})
}

// From many goroutines each function that was accepted is called once.
func TestTaskRunner_Post_from_many_goroutines(t *testing.T) {
	for range 50 {
		r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.Rounds(20)), nil)
		var posting sync.WaitGroup
		called, accepted := 0, make(chan bool, 300)
		for range 3 {
			posting.Go(func() {
				for range 100 {
					accepted <- r.Post(func() { called++ })
				}
			})
		}
		require.NoError(t, r.Run(t.Context()))
		posting.Wait()
		close(accepted)
		want := 0
		for ok := range accepted {
			if ok {
				want++
			}
		}
		require.Equal(t, want, called)
	}
}
