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
	"github.com/steptask/scheduler/schedulertest"
)

// heldCalls are ways in which a task can hold a call.
func heldCalls(fn func(ctx context.Context) error) map[string]scheduler.Task {
	m := map[string]scheduler.Task{}
	for name, call := range asCall {
		m[name] = call(fn)
	}
	m["Poll"] = scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) { return true, fn(ctx) })
	m["Subrun in Wrap"] = scheduler.Sequence(scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Blocking(fn), nil)))
	m["renamed"] = renamed{scheduler.Sequence(renamed{scheduler.Blocking(fn), "inner"}), "outer"}
	return m
}

// A call that ignores its context holds up no step: the runner is closing until
// it has returned.
func TestTaskRunner_Step_does_not_wait_for_a_call(t *testing.T) {
	deaf := func(context.Context) error { sleep(time.Second); return errOops }
	for name := range heldCalls(deaf) {
		for how, end := range map[string]func(r *scheduler.TaskRunner){
			"timeout": func(*scheduler.TaskRunner) {},
			"stop":    func(r *scheduler.TaskRunner) { r.Stop(errOther) },
			"kill":    func(r *scheduler.TaskRunner) { r.Kill() },
			"after":   func(r *scheduler.TaskRunner) { r.CancelAfter(0) },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := startRunner(t, heldCalls(deaf)[name], &scheduler.RunnerOptions{Timeout: 100 * time.Millisecond})
					begin := time.Now()
					end(r)
					done := false
					for !done {
						require.LessOrEqual(t, time.Since(begin), time.Second+10*time.Millisecond)
						before := time.Now()
						done, _ = r.Step(t.Context())
						require.Equal(t, before, time.Now())
						sleep(10 * time.Millisecond)
						synctest.Wait()
					}
					require.GreaterOrEqual(t, time.Since(begin), time.Second)
					require.Error(t, r.Err())
				})
			})
		}
	}
}

// While a task is closing nothing is thrown into it, and a second end neither
// changes the first nor makes the loop spin.
func TestTaskRunner_closing_ignores_later_orders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rounds := 0
		r := scheduler.NewTaskRunner(scheduler.Blocking(stubborn(2*time.Second)), &scheduler.RunnerOptions{
			Timeout:  time.Second,
			Progress: func(context.Context) error { rounds++; return nil },
		})
		time.AfterFunc(1200*time.Millisecond, func() { r.Interrupt(errOops) })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1600*time.Millisecond, cancel)
		begin := time.Now()
		err := r.Run(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, errOops)
		require.Equal(t, 3*time.Second, time.Since(begin).Truncate(time.Millisecond))
		require.Less(t, rounds, 10)
	})
}

// Kill ends a run from any goroutine, and keeps what went wrong before.
func TestTaskRunner_Kill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := false
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			defer func() { closed = true }()
			for errors.Is(co.Yield(scheduler.After(time.Hour)), errOther) {
			}
			return errOops
		})
		r := scheduler.NewTaskRunner(scheduler.Sequence(task), &scheduler.RunnerOptions{Grace: time.Hour})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errSpace) })
		time.AfterFunc(2*time.Second, r.Kill)
		begin := time.Now()
		err := r.Run(ctx)
		require.ErrorIs(t, err, scheduler.ErrCancelled)
		require.ErrorIs(t, err, errSpace, "the cause of the stop before")
		require.ErrorIs(t, err, errOops, "the error of the close")
		require.Equal(t, 2*time.Second, time.Since(begin))
		require.True(t, closed)
		r.Kill()
		require.Equal(t, err, r.Err())
	})
	t.Run("of a task that ends by itself", func(t *testing.T) {
		r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.Next), nil)
		require.NoError(t, r.Run(t.Context()))
		r.Kill()
		require.NoError(t, r.Err())
	})
	t.Run("inside another run", func(t *testing.T) {
		inner := scheduler.NewTaskRunner(scheduler.Pause(scheduler.After(time.Hour)), nil)
		kill := scheduler.Func(func(context.Context) error { inner.Kill(); return nil })
		err := scheduler.Run(t.Context(), scheduler.All(scheduler.Subrun(inner), kill), nil)
		require.ErrorIs(t, err, scheduler.ErrCancelled)
		require.EqualError(t, err, "Pause(after 1h0m0s): scheduler: cancelled")
	})
}

// Run never calls a run that timed out a success, whatever the task made of that.
func TestRun_reports_a_swallowed_timeout(t *testing.T) {
	swallow := func() scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_ = co.Yield(scheduler.After(time.Hour))
			_ = co.Yield(scheduler.After(time.Minute))
			return nil
		})
	}
	for _, grace := range []time.Duration{0, time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			opts := &scheduler.RunnerOptions{Timeout: time.Minute, Grace: grace}
			require.ErrorIs(t, scheduler.Run(t.Context(), swallow(), opts), context.DeadlineExceeded)
			require.ErrorIs(t, scheduler.NewTaskRunner(swallow(), opts).Run(t.Context()), context.DeadlineExceeded)
			require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.Subrun(scheduler.NewTaskRunner(swallow(), opts)), nil),
				context.DeadlineExceeded)
		})
	}
}

// A runner that Run drives is busy for all other goroutines.
func TestTaskRunner_is_busy_while_Run_sleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		event := new(scheduler.Event)
		r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.On(event)), &scheduler.RunnerOptions{Name: "it"})
		done := make(chan error)
		go func() { done <- r.Run(context.Background()) }()
		synctest.Wait()
		require.PanicsWithValue(t, "scheduler: TaskRunner.Cancel of it called while Run drives it", func() { _ = r.Cancel() })
		require.PanicsWithValue(t, "scheduler: TaskRunner.Step of it called while Run drives it", func() { _, _ = r.Step(t.Context()) })
		event.Set()
		require.NoError(t, <-done)
	})
}

// Whatever panics in the loop, the task is closed, and the panic goes up.
func TestTaskRunner_closes_the_task_if_Progress_panics(t *testing.T) {
	for _, how := range []string{"Run", "AsTask", "Subrun", "group"} {
		t.Run(how, func(t *testing.T) {
			closed := false
			inner := scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
				defer func() { closed = true }()
				return co.Yield(scheduler.Next)
			}), &scheduler.RunnerOptions{Progress: func(context.Context) error { panic("progress") }})
			require.Panics(t, func() {
				switch how {
				case "Run":
					_ = inner.Run(t.Context())
				case "AsTask":
					_ = scheduler.Run(t.Context(), inner.AsTask(0), nil)
				case "Subrun":
					_ = scheduler.Run(t.Context(), scheduler.Subrun(inner), nil)
				default:
					_ = scheduler.Run(t.Context(), scheduler.All(scheduler.Sequence(scheduler.Subrun(inner))), nil)
				}
			})
			require.True(t, closed)
			require.Equal(t, scheduler.ErrAborted, inner.Err())
		})
	}
}

// brokenClock panics when it is asked for the n-th time.
type brokenClock struct {
	n     int
	waits bool
}

func (c *brokenClock) Now() time.Time {
	if c.n--; c.n < 0 && !c.waits {
		panic("clock")
	}
	return time.Unix(1, 0)
}

func (c *brokenClock) Wait(time.Time, <-chan struct{}) {
	if c.waits {
		panic("clock")
	}
}

func TestTaskRunner_closes_the_task_if_the_Clock_panics(t *testing.T) {
	for n := range 8 {
		for _, waits := range []bool{false, true} {
			opened, closed := 0, 0
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				opened++
				defer func() { closed++ }()
				return co.Yield(scheduler.After(time.Hour))
			})
			require.PanicsWithValue(t, "clock", func() {
				_ = scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{
					Timeout: time.Minute, Clock: &brokenClock{n: n, waits: waits},
				})
			})
			require.Equal(t, opened, closed, "%d %v", n, waits)
		}
	}
}

// Only the very same error is left out of a join; two of a kind are two.
func TestErrors_of_a_kind_are_kept(t *testing.T) {
	r := scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
		_ = co.Yield(scheduler.After(time.Hour))
		return httpError{500}
	}), nil)
	require.NoError(t, r.Start(t.Context(), 0))
	r.Stop(httpError{409})
	_, err := r.Step(t.Context())
	require.EqualError(t, err, "status 409\nstatus 500")
}

type httpError struct{ status int }

func (e httpError) Error() string { return fmt.Sprint("status ", e.status) }

func (e httpError) Is(target error) bool { _, ok := target.(httpError); return ok }

// A runner of Subrun has one user, and a failed end is the task's.
func TestSubrun(t *testing.T) {
	make := func() *scheduler.TaskRunner {
		return scheduler.NewTaskRunner(scheduler.Pause(scheduler.After(time.Hour)), &scheduler.RunnerOptions{Name: "inner"})
	}
	t.Run("a second user", func(t *testing.T) {
		r := make()
		err := scheduler.Run(t.Context(), scheduler.All(scheduler.Subrun(r), scheduler.Subrun(r)), nil)
		require.ErrorIs(t, err, scheduler.ErrStarted)
		require.EqualError(t, err, "inner: scheduler: already started: inner")
	})
	t.Run("one that was started before", func(t *testing.T) {
		r := make()
		require.NoError(t, r.Start(t.Context(), 0))
		require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.Subrun(r), nil), scheduler.ErrStarted)
		require.False(t, r.Done())
		require.NoError(t, r.Cancel())
	})
	t.Run("cancelled before and meanwhile", func(t *testing.T) {
		r := make()
		require.NoError(t, r.Cancel())
		require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.Subrun(r), nil), scheduler.ErrCancelled)
		r = make()
		cancel := scheduler.Func(func(context.Context) error { return r.Cancel() })
		require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.All(scheduler.Subrun(r), cancel), nil), scheduler.ErrCancelled)
	})
	t.Run("success", func(t *testing.T) {
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Pause(scheduler.Next), nil)), nil))
	})
	t.Run("thrown into before its first step", func(t *testing.T) {
		task := &fakeTask{step: forever}
		r := scheduler.NewTaskRunner(task, nil)
		throw := func() error { _, err := throwIn(t.Context(), scheduler.Subrun(r), errOops); return err }
		require.Equal(t, errOops, throw())
		require.False(t, r.Started())
		require.NoError(t, r.Start(t.Context(), 0))
		require.Equal(t, errOops, throw())
		require.Empty(t, task.thrown, "the runner is not its own")
		require.False(t, r.Done())
		require.NoError(t, r.Cancel())
	})
	require.PanicsWithValue(t, "scheduler: Subrun: nil TaskRunner", func() { scheduler.Subrun(nil) })
}

// A task that is ending after its Timeout waits for its event alone, even if what
// it yields has a time as well: the limit of a runner inside.
func TestRunner_ending_waits_for_its_event(t *testing.T) {
	clock := newClock()
	var e scheduler.Event
	steps := 0
	task := &fakeTask{
		step: func(context.Context) (scheduler.Yield, error) {
			if steps++; steps == 1 {
				return scheduler.After(time.Hour), nil
			}
			require.True(t, e.IsSet())
			return scheduler.Done, nil
		},
		throw: func(context.Context, error) (scheduler.Yield, error) { return scheduler.Ending(&e), nil },
	}
	inner := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Timeout: 2 * time.Second})
	d := schedulertest.NewDriver(t, inner.AsTask(0), &scheduler.RunnerOptions{Timeout: time.Second, Clock: clock})
	d.Step()
	clock.Advance(3 * time.Second) // both limits have passed
	for range 3 {
		d.Step()
		_, timed := d.Runner.Due().Time()
		require.False(t, timed, "a loop would spin")
	}
	e.Set()
	require.ErrorIs(t, d.RunToEnd(), context.DeadlineExceeded)
	require.Equal(t, 2, steps)
}

// One that then goes on in place of ending is closed, and has timed out.
func TestRunner_closes_a_task_that_goes_on_in_its_end(t *testing.T) {
	clock := newClock()
	var e scheduler.Event
	task := &fakeTask{
		step:  func(context.Context) (scheduler.Yield, error) { return scheduler.After(time.Hour), nil },
		throw: func(context.Context, error) (scheduler.Yield, error) { return scheduler.Ending(&e), nil },
		close: func() error { return errSpace },
	}
	r := startRunner(t, task, &scheduler.RunnerOptions{Timeout: time.Second, Clock: clock})
	clock.Advance(2 * time.Second)
	require.False(t, mustStep(t, t.Context(), r))
	require.Zero(t, task.closes)
	e.Set()
	done, err := r.Step(t.Context())
	require.True(t, done)
	require.Equal(t, errSpace, err)
	require.Equal(t, 1, task.closes)
	require.ErrorIs(t, r.Err(), context.DeadlineExceeded)
	require.ErrorIs(t, r.Err(), errSpace)
}

// A runner whose task is being closed gives it no notice any more, whoever asks.
func TestSubrun_of_a_closing_task_hands_no_notice_on(t *testing.T) {
	var closed scheduler.Event
	inner := &fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}}
	sub := scheduler.NewTaskRunner(closer{inner, func() *scheduler.Event { return &closed }}, nil)
	r := startRunner(t, scheduler.Subrun(sub), &scheduler.RunnerOptions{Grace: time.Minute})
	sub.Kill()
	_, err := r.Step(t.Context())
	require.NoError(t, err)
	r.Stop(errOther)
	_, err = r.Step(t.Context())
	require.NoError(t, err)
	require.Empty(t, inner.causes)
	closed.Set()
	done, err := r.Step(t.Context())
	require.True(t, done)
	require.ErrorIs(t, err, errOther)
	require.ErrorIs(t, err, scheduler.ErrCancelled)
}
