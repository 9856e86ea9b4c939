package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// Every kind of task that drives others hands the notice on.
func TestStop_is_forwarded(t *testing.T) {
	for name, wrap := range holdersOf("itself", "Wrap", "AsTask", "All", "Sequence", "Finally", "Retry") {
		t.Run(name, func(t *testing.T) {
			told := false
			task := wrap(untilStopped(func(error) error { told = true; return nil }))
			d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Grace: time.Minute})
			d.Step()
			require.True(t, d.Parked())
			d.Runner.Stop(errSpace)
			require.ErrorIs(t, d.RunToEnd(), errSpace)
			require.True(t, told)
			require.Zero(t, d.Clock.Now().Sub(schedulertest.NewClock(time.Time{}).Now()), "at once, without the grace")
		})
	}
}

// A second, harder stop shortens the first.
func TestStop_second_one_shortens(t *testing.T) {
	for name, harder := range map[string]func(d *schedulertest.Driver){
		"CancelAfter": func(d *schedulertest.Driver) { d.Runner.CancelAfter(time.Second) },
		"Cancel":      func(d *schedulertest.Driver) { require.NoError(t, d.Runner.Cancel()) },
		"Kill, from anywhere": func(d *schedulertest.Driver) {
			done := make(chan struct{})
			go func() { d.Runner.Kill(); close(done) }()
			<-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			closed := false
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				defer func() { closed = true }()
				return co.Yield(scheduler.After(time.Hour))
			})
			d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Grace: time.Minute})
			d.Step()
			d.Runner.Stop(errSpace)
			start := d.Clock.Now()
			harder(d)
			require.Error(t, d.RunToEnd())
			require.True(t, closed)
			require.Less(t, d.Clock.Now().Sub(start), 2*time.Second)
		})
	}
}

// Within the grace of a stopped run nothing new starts, at any depth.
func TestStop_of_a_run_starts_nothing_new_at_any_depth(t *testing.T) {
	var log []string
	leaf := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			log = append(log, name)
			return co.Yield(scheduler.After(10 * time.Second))
		})
	}
	inner := newGroup(t, "y:x", func(k string) scheduler.Task { return leaf("inner " + k) }, nil)
	outer := newGroup(t, "b:a", func(k string) scheduler.Task {
		if k == "a" {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(inner) })
		}
		return leaf("outer " + k)
	}, nil)
	d := schedulertest.NewDriver(t, outer, &scheduler.RunnerOptions{Grace: time.Minute})
	d.Step()
	d.Runner.Stop(errSpace)
	require.ErrorIs(t, d.RunToEnd(), errSpace)
	require.Equal(t, []string{"inner x"}, log)
	require.Equal(t, scheduler.StateSucceeded, inner.State("x"))
	require.Equal(t, scheduler.StateCancelled, inner.State("y"))
	require.Equal(t, scheduler.StateCancelled, outer.State("b"))
}

// A notice comes in the context of the run.
func TestStop_has_the_clock_of_the_run(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{})
	var noticed time.Time
	r := startRunner(t, &fakeTask{
		yields: []scheduler.Yield{scheduler.After(time.Hour), scheduler.After(time.Hour)},
		stop:   func(ctx context.Context, _ error) { noticed = scheduler.Now(ctx) },
	}, &scheduler.RunnerOptions{Clock: clock, Grace: time.Hour})
	r.Stop(nil)
	mustStep(t, t.Context(), r)
	require.Equal(t, clock.Now(), noticed)
	require.NoError(t, r.Cancel())
}

func TestTaskRunner_timeout(t *testing.T) {
	t.Parallel()
	const limit, grace = 10 * time.Second, 3 * time.Second
	for name, c := range map[string]struct {
		task   scheduler.Task
		grace  time.Duration
		result string // of the run
		err    string // Err
		after  time.Duration
	}{
		"without Throw": {
			task: (&fakeTask{step: forever}).task(), result: "Timeout", err: "Timeout", after: limit,
		},
		"without Throw, close fails": {
			task:   (&fakeTask{step: forever, close: func() error { return errBoom }}).task(),
			result: "Timeout+boom", err: "Timeout+boom", after: limit,
		},
		"passed on": {
			task: (&fakeTask{step: forever, throw: passOn}).task(), result: "Timeout", err: "Timeout", after: limit,
		},
		"answered by another error": {
			task:   (&fakeTask{step: forever, throw: always(scheduler.Yield{}, errOther)}).task(),
			result: "other", err: "Timeout+other", after: limit,
		},
		"answered by ending": {
			task:   (&fakeTask{step: forever, throw: always(scheduler.Done, nil)}).task(),
			result: "nil", err: "Timeout", after: limit,
		},
		"answered by going on": {
			task:   (&fakeTask{step: forever, throw: always(scheduler.Next, nil)}).task(),
			result: "nil", err: "Timeout", after: limit,
		},
		"answered by going on, close fails": {
			task: (&fakeTask{
				step: forever, close: func() error { return errBoom },
				throw: always(scheduler.Next, nil),
			}).task(),
			result: "boom", err: "Timeout+boom", after: limit,
		},
		"answered by the zero Yield": {
			task:   (&fakeTask{step: forever, throw: always(scheduler.Yield{}, nil)}).task(),
			result: scheduler.ErrNoYield.Error(), err: "Timeout", after: limit,
		},
		"grace, passed on": {
			task: (&fakeTask{step: forever, throw: passOn}).task(), grace: grace, result: "Timeout", err: "Timeout", after: limit,
		},
		"grace, goes on for ever": {
			task:  (&fakeTask{step: forever, throw: always(scheduler.Next, nil)}).task(),
			grace: grace, result: "Timeout", err: "Timeout", after: limit + grace + time.Second,
		},
		"grace, goes on parked for ever": {
			task:  (&fakeTask{step: forever, throw: always(scheduler.On(new(scheduler.Event)), nil)}).task(),
			grace: grace, result: "Timeout", err: "Timeout", after: limit + grace,
		},
		"grace, close fails": {
			task: (&fakeTask{
				step: forever, close: func() error { return errBoom },
				throw: always(scheduler.On(new(scheduler.Event)), nil),
			}).task(),
			grace: grace, result: "Timeout+boom", err: "Timeout+boom", after: limit + grace,
		},
		"grace, ends in it": {
			task: scheduler.Wrap(func(co *scheduler.Coroutine) error {
				for {
					if err := co.Yield(scheduler.Next); err != nil {
						return co.Yield(scheduler.After(time.Second))
					}
				}
			}),
			grace: grace, result: "nil", err: "Timeout", after: limit + time.Second,
		},
		"grace, fails in it": {
			task: scheduler.Wrap(func(co *scheduler.Coroutine) error {
				for {
					if err := co.Yield(scheduler.Next); err != nil {
						return errors.Join(co.Yield(scheduler.After(time.Second)), errBoom)
					}
				}
			}),
			grace: grace, result: "boom", err: "Timeout+boom", after: limit + time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			start := clock.Now()
			r := scheduler.NewTaskRunner(c.task, &scheduler.RunnerOptions{Grace: c.grace, Clock: clock})
			require.Equal(t, c.result, short(r.RunWith(t.Context(), limit, time.Second)))
			require.Equal(t, c.err, short(r.Err()))
			// A deadline has passed when the clock reads strictly more.
			require.WithinDuration(t, start.Add(c.after), clock.Now(), time.Second)
			require.True(t, clock.Now().After(start.Add(c.after-time.Second)))
		})
	}
}

func TestTaskRunner_timeout_is_over(t *testing.T) {
	t.Parallel()
	t.Run("strictly after its time", func(t *testing.T) {
		task := &fakeTask{step: forever}
		d := schedulertest.NewDriver(t, task.task(), &scheduler.RunnerOptions{Timeout: time.Second})
		d.Step()
		d.Clock.Advance(time.Second)
		require.False(t, d.Step())
		d.Clock.Advance(1)
		require.True(t, d.Step())
		require.Equal(t, "fake: timed out after 1s", d.Err().Error())
		require.Equal(t, 2, task.steps)
		require.Equal(t, 1, task.closes)
	})
	t.Run("not if the task ends late", func(t *testing.T) {
		clock := newClock()
		r := scheduler.NewTaskRunner(scheduler.Func(func(context.Context) error {
			clock.Advance(time.Hour)
			return nil
		}), &scheduler.RunnerOptions{Clock: clock})
		require.NoError(t, r.Start(t.Context(), time.Second))
		require.NoError(t, r.Err())
	})
	t.Run("before the first line if negative", func(t *testing.T) {
		for _, opts := range []*scheduler.RunnerOptions{nil, {Timeout: time.Hour}, {Timeout: -time.Second}} {
			task := &fakeTask{}
			r := scheduler.NewTaskRunner(task, opts)
			err := r.RunWith(t.Context(), -1, 0)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Zero(t, task.steps)
			require.Empty(t, task.thrown)
			require.Zero(t, task.closes)
		}
	})
	t.Run("for a parked task, which its own deadline wakes", func(t *testing.T) {
		task := &fakeTask{yields: []scheduler.Yield{scheduler.On(new(scheduler.Event))}}
		clock := newClock()
		start := clock.Now()
		err := scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Timeout: time.Minute, Clock: clock})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute+1, clock.Now().Sub(start))
		require.Equal(t, 1, task.steps)
	})
	t.Run("while rounds are counted", func(t *testing.T) {
		d := schedulertest.NewDriver(t, &fakeTask{yields: []scheduler.Yield{scheduler.Rounds(100)}}, &scheduler.RunnerOptions{Timeout: time.Second})
		d.Step()
		d.Clock.Advance(time.Second + 1)
		require.True(t, d.Step())
		require.ErrorIs(t, d.Err(), context.DeadlineExceeded)
	})
	t.Run("at the earlier of two limits", func(t *testing.T) {
		for _, limits := range [][2]time.Duration{{time.Second, time.Hour}, {time.Hour, time.Second}} {
			clock := newClock()
			r := scheduler.NewTaskRunner(&fakeTask{step: forever}, &scheduler.RunnerOptions{Timeout: limits[0], Clock: clock})
			timeout := asError[*scheduler.Timeout](t, r.RunWith(t.Context(), limits[1], time.Minute))
			require.Equal(t, time.Second, timeout.Limit)
			require.True(t, timeout.Of(r))
		}
	})
}

func TestTaskRunner_deadlines_only_come_nearer(t *testing.T) {
	t.Parallel()
	parked := []scheduler.Yield{scheduler.On(new(scheduler.Event))}
	t.Run("CancelAfter before the timeout", func(t *testing.T) {
		task := &fakeTask{yields: parked}
		d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Timeout: time.Hour})
		d.Step()
		d.Runner.CancelAfter(time.Minute)
		d.Runner.CancelAfter(2 * time.Minute) // later: the first stays in force
		start := d.Clock.Now()
		require.ErrorIs(t, d.RunToEnd(), scheduler.ErrCancelled)
		require.Equal(t, time.Minute+1, d.Clock.Now().Sub(start))
		require.Empty(t, task.thrown)
		require.Equal(t, 1, task.closes)
	})
	t.Run("CancelAfter whose close fails", func(t *testing.T) {
		task := &fakeTask{yields: parked, close: func() error { return errBoom }}
		r := startRunner(t, task, nil)
		r.CancelAfter(-1)
		done, err := r.Step(t.Context())
		require.True(t, done)
		require.Equal(t, "boom", short(err))
		require.Equal(t, "ErrCancelled+boom", short(r.Err()))
	})
	t.Run("CancelAfter beside an earlier timeout with a grace", func(t *testing.T) {
		task := &fakeTask{yields: parked, throw: always(parked[0], nil)}
		d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Timeout: time.Minute, Grace: time.Hour})
		d.Step()
		d.Runner.CancelAfter(2 * time.Minute)
		start := d.Clock.Now()
		require.Equal(t, "Timeout", short(d.RunToEnd()))
		require.Equal(t, 2*time.Minute+1, d.Clock.Now().Sub(start), "the grace of the timeout does not put the cancellation off")
		require.Len(t, task.thrown, 1)
	})
	t.Run("Stop beside an earlier timeout", func(t *testing.T) {
		task := &fakeTask{yields: parked, throw: always(parked[0], nil)}
		d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Timeout: 50 * time.Second, Grace: time.Minute})
		d.Step()
		d.Runner.Stop(errOther)
		start := d.Clock.Now()
		require.Equal(t, "Timeout+other", short(d.RunToEnd()))
		require.Equal(t, time.Minute+1, d.Clock.Now().Sub(start), "it is closed when the grace of Stop is over")
		require.Equal(t, []error{errOther}, task.causes)
	})
	t.Run("Stop in the grace of a timeout", func(t *testing.T) {
		task := &fakeTask{yields: parked, throw: always(scheduler.On(new(scheduler.Event)), nil)}
		d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Timeout: time.Minute, Grace: time.Hour})
		d.Step()
		d.StepUntil(func() bool { return len(task.thrown) > 0 })
		d.Runner.CancelAfter(time.Second)
		require.Equal(t, "Timeout", short(d.RunToEnd()), "a timeout that was given a grace is not lost")
	})
}

func TestTaskRunner_Stop(t *testing.T) {
	t.Parallel()
	t.Run("gives notice and a grace", func(t *testing.T) {
		task := &fakeTask{step: forever}
		d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Grace: time.Minute})
		d.Step()
		d.Runner.Stop(errBoom)
		d.Runner.Stop(errOther) // the first cause counts
		require.Empty(t, task.causes, "it runs no task's code")
		require.True(t, d.Runner.Due().Ready())
		d.Step()
		require.Equal(t, []error{errBoom}, task.causes)
		require.Equal(t, 2, task.steps)
		d.Step()
		require.Len(t, task.causes, 1, "notice is given once")
		d.Clock.Advance(time.Minute + 1)
		require.True(t, d.Step())
		require.Equal(t, errBoom, d.Err())
		require.Equal(t, 1, task.closes)
	})
	t.Run("without grace closes at once", func(t *testing.T) {
		task := &fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}}
		d := schedulertest.NewDriver(t, task, nil)
		d.Step()
		d.Runner.Stop(nil)
		require.Zero(t, task.closes, "it runs no task's code")
		require.True(t, d.Step())
		require.Equal(t, scheduler.ErrCancelled, d.Err(), "nil stands for ErrCancelled")
		require.Empty(t, task.causes)
		require.Equal(t, 1, task.closes)
	})
	t.Run("fails with cause also if the task is complete", func(t *testing.T) {
		var d *schedulertest.Driver
		d = schedulertest.NewDriver(t, scheduler.Func(func(context.Context) error {
			d.Runner.Stop(errBoom)
			return nil
		}), nil)
		require.True(t, d.Step())
		require.Equal(t, errBoom, d.Err())
	})
	t.Run("joins the cause with what failed meanwhile", func(t *testing.T) {
		task := &fakeTask{step: forever, close: func() error { return errOther }}
		d := schedulertest.NewDriver(t, task, nil)
		d.Step()
		d.Runner.Stop(errBoom)
		require.Equal(t, "boom+other", short(d.RunToEnd()))
		require.EqualError(t, d.Err(), "boom\nother")
	})
	t.Run("whose notice panics", func(t *testing.T) {
		task := &fakeTask{
			step: forever,
			stop: func(context.Context, error) { panic("no") },
		}
		r := startRunner(t, task, &scheduler.RunnerOptions{Grace: 1})
		r.Stop(nil)
		require.PanicsWithValue(t, "no", func() { _, _ = r.Step(t.Context()) })
		require.Equal(t, scheduler.ErrAborted, r.Err())
	})
}

// A runner that has ended is asked for nothing more, and does not wake its owner.
func TestTaskRunner_told_after_its_end(t *testing.T) {
	for name, tell := range map[string]func(r *scheduler.TaskRunner){
		"Stop":        func(r *scheduler.TaskRunner) { r.Stop(errSpace) },
		"CancelAfter": func(r *scheduler.TaskRunner) { r.CancelAfter(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			wakes := 0
			r := startRunner(t, &fakeTask{}, &scheduler.RunnerOptions{Clock: newClock(), Wake: func() { wakes++ }})
			require.True(t, r.Done())
			tell(r)
			require.Zero(t, wakes)
			require.NoError(t, r.Err())
			require.Equal(t, scheduler.Done, r.Due())
		})
	}
}

// A task of a runner that was not started hears of no stop.
func TestTaskRunner_AsTask_stopped_before_its_first_step(t *testing.T) {
	f := &fakeTask{stop: func(context.Context, error) {}}
	for _, task := range []scheduler.Task{scheduler.NewTaskRunner(f, nil).AsTask(0), scheduler.Subrun(scheduler.NewTaskRunner(f, nil))} {
		task.(scheduler.Stopper).Stop(t.Context(), errSpace)
		require.Empty(t, f.causes)
	}
}

func TestTaskRunner_Cancel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		close  func() error
		result string
		err    string
	}{
		"closes": {nil, "nil", "ErrCancelled"},
		"whose close fails has ended all the same": {func() error { return errBoom }, "boom", "ErrCancelled+boom"},
	} {
		t.Run(name, func(t *testing.T) {
			task := &fakeTask{step: forever, close: c.close}
			r := startRunner(t, task, nil)
			require.Equal(t, c.result, short(r.Cancel()))
			require.Equal(t, c.err, short(r.Err()))
			require.Equal(t, 1, task.closes)
			require.NoError(t, r.Cancel())
			require.Equal(t, 1, task.closes)
		})
	}
}

func TestTaskRunner_Cancel_after_an_attempt_of_a_group(t *testing.T) {
	t.Parallel()
	retry := scheduler.Retry(constant(time.Hour), func(int, error) scheduler.Task {
		return newGroup(t, "a", func(string) scheduler.Task { return scheduler.Func(func(context.Context) error { return errBoom }) }, nil)
	})
	r := startRunner(t, retry, nil)
	require.NoError(t, r.Cancel(), "failures of nodes before are in Err only")
	require.Equal(t, "ErrCancelled+boom", short(r.Err()))
}

func TestWithTimeout_closed_after_its_limit(t *testing.T) {
	t.Parallel()
	for name, limited := range map[string]func(task scheduler.Task) scheduler.Task{
		"WithTimeout": func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Second, task) },
		"Subrun": func(task scheduler.Task) scheduler.Task {
			return scheduler.Subrun(scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Hour}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			late := false
			goesOn := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				late = co.Yield(scheduler.After(time.Minute)) != nil
				return co.Yield(scheduler.After(time.Minute))
			})
			d := schedulertest.NewDriver(t, limited(goesOn), &scheduler.RunnerOptions{Grace: time.Hour})
			d.StepUntil(func() bool { return late })
			require.Equal(t, "Timeout", short(d.Runner.Cancel()), "it has failed with that, swallowed or not")
		})
	}
}

func TestRetry_interrupted_after_its_limit(t *testing.T) {
	t.Parallel()
	attempts, late := 0, false
	retry := scheduler.Retry(constant(0), func(int, error) scheduler.Task {
		attempts++
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			late = co.Yield(scheduler.After(time.Minute)) != nil
			_ = co.Yield(scheduler.After(time.Minute)) // the Interrupt
			return errBoom
		})
	})
	d := schedulertest.NewDriver(t, retry, &scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Hour})
	d.StepUntil(func() bool { return late })
	d.Runner.Interrupt(errors.New("interrupted"))
	require.ErrorIs(t, d.RunToEnd(), errBoom)
	require.Equal(t, 1, attempts, "its own time is over, whatever else is thrown in then")
}

func TestTaskRunner_Interrupt(t *testing.T) {
	t.Parallel()
	parked := []scheduler.Yield{scheduler.After(time.Hour), scheduler.Next}
	t.Run("reaches a parked task in place of the step", func(t *testing.T) {
		task := &fakeTask{yields: parked, throw: always(scheduler.Rounds(2), nil)}
		d := schedulertest.NewDriver(t, task, nil)
		d.Step()
		d.Runner.Interrupt(errBoom)
		d.Runner.Interrupt(errOther)
		require.True(t, d.Runner.Due().Ready())
		d.Step()
		require.Equal(t, []error{errOther}, task.thrown, "the last one wins")
		require.Equal(t, 1, task.steps)
		d.Step()
		require.Equal(t, 1, task.steps, "the answer says when it wants its next step")
		d.Step()
		require.Equal(t, 2, task.steps)
	})
	t.Run("comes before a deadline that has passed", func(t *testing.T) {
		task := &fakeTask{yields: parked, throw: always(scheduler.Next, nil)}
		d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Timeout: time.Second})
		d.Step()
		d.Clock.Advance(time.Minute)
		d.Runner.Interrupt(errBoom)
		require.False(t, d.Step())
		require.Equal(t, []error{errBoom}, task.thrown)
		require.True(t, d.Step())
		require.ErrorIs(t, d.Err(), context.DeadlineExceeded)
	})
	t.Run("before the start no code of the task runs", func(t *testing.T) {
		task := &fakeTask{}
		r := scheduler.NewTaskRunner(task, nil)
		r.Interrupt(errBoom)
		require.Equal(t, errBoom, r.Start(t.Context(), 0))
		require.Zero(t, task.steps)
		require.Empty(t, task.thrown)
		require.True(t, r.Done())
	})
	t.Run("Kill closes the task", func(t *testing.T) {
		for _, closing := range []error{nil, errBoom} {
			task := &fakeTask{yields: parked, close: func() error { return closing }}
			d := schedulertest.NewDriver(t, task, nil)
			d.Step()
			d.Runner.Kill()
			done, err := d.Runner.Step(t.Context())
			require.True(t, done)
			require.ErrorIs(t, err, scheduler.ErrCancelled)
			require.Equal(t, err, d.Err())
			require.Equal(t, closing != nil, errors.Is(d.Err(), errBoom))
			require.Empty(t, task.thrown)
			require.Equal(t, 1, task.closes)
		}
		task := &fakeTask{}
		r := scheduler.NewTaskRunner(task, nil)
		r.Kill()
		require.Equal(t, scheduler.ErrCancelled, r.RunWith(t.Context(), 0, 0), "one that was not started never ran")
		require.Equal(t, scheduler.ErrCancelled, r.Err())
		require.Zero(t, task.steps)
		require.Zero(t, task.closes)
	})
	inBubble(t, "from many goroutines", func(t *testing.T) {
		task := &fakeTask{step: func(context.Context) (scheduler.Yield, error) {
			return scheduler.On(new(scheduler.Event)), nil
		}}
		woken := make(chan struct{}, 100)
		r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Wake: func() { woken <- struct{}{} }})
		var interrupts sync.WaitGroup
		for range 8 {
			interrupts.Go(func() {
				sleep(time.Minute)
				r.Interrupt(errBoom)
			})
		}
		start := time.Now()
		require.Equal(t, errBoom, r.RunWith(t.Context(), 0, time.Hour))
		require.Equal(t, time.Minute, time.Since(start), "it wakes a sleeping run at once")
		interrupts.Wait()
		require.Len(t, woken, 8, "Wake is called for each")
	})
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	clock := newClock()
	runner := scheduler.NewTaskRunner(&fakeTask{}, &scheduler.RunnerOptions{Name: "disk", Clock: clock})
	timeout := scheduler.NewTimeout(runner, time.Minute)

	require.Equal(t, "disk: timed out after 1m0s", timeout.Error())
	require.Equal(t, "disk", timeout.Task)
	require.Equal(t, time.Minute, timeout.Limit)
	require.True(t, timeout.Timeout())
	var err error = timeout
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, context.Canceled)
	var netError interface{ Timeout() bool }
	require.ErrorAs(t, err, &netError)
	require.NotErrorIs(t, err, net.ErrClosed)

	require.True(t, timeout.Of(runner))
	require.False(t, timeout.Of(scheduler.NewTaskRunner(&fakeTask{}, nil)))
	require.False(t, timeout.Of(nil))
	require.False(t, (&scheduler.Timeout{}).Of(nil))
	require.False(t, (&scheduler.Timeout{}).Expired())

	require.False(t, timeout.Expired())
	clock.Advance(time.Minute)
	require.False(t, timeout.Expired(), "the clock must read strictly more")
	clock.Advance(1)
	require.True(t, timeout.Expired())

	require.True(t, scheduler.NewTimeout(runner, -1).Expired())
	require.False(t, scheduler.NewTimeout(runner, math.MaxInt64).Expired(), "the end of the scale, not an overflow")
}

func TestTimeout_of_a_runner_without_a_clock(t *testing.T) {
	t.Parallel()
	runner := scheduler.NewTaskRunner(&fakeTask{}, nil)
	require.True(t, scheduler.NewTimeout(runner, -time.Hour).Expired(), "by the system's clock")
	require.False(t, scheduler.NewTimeout(runner, time.Hour).Expired())
}

// Times are reckoned with alike long before 1970 and long after.
func TestTimeout_in_any_year(t *testing.T) {
	t.Parallel()
	for _, year := range []int{1700, 1969, 1970, 2250} {
		clock := schedulertest.NewClock(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)).Alone()
		begin := clock.Now()
		var ends []time.Duration
		group := newGroup(t, "a b", func(k string) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				defer func() { ends = append(ends, clock.Now().Sub(begin).Truncate(time.Millisecond)) }()
				_ = co.Yield(scheduler.After(time.Hour))
				pauses := map[string]time.Duration{"a": 2 * time.Second, "b": time.Hour}
				return co.Yield(scheduler.After(pauses[k]))
			})
		}, &scheduler.GroupOptions[string]{
			Timeout: func(string) time.Duration { return time.Second }, Grace: 3 * time.Second,
			OnError: func(string, error) scheduler.Disposition { return scheduler.SkipDependents },
		})
		err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock})
		require.Equal(t, []time.Duration{3 * time.Second, 4 * time.Second}, ends, year)
		require.Equal(t, scheduler.StateSucceeded, group.State("a"))
		require.Equal(t, scheduler.StateTimedOut, group.State("b"))
		_ = asError[*scheduler.Timeout](t, err)
	}
}

// funcTask and typeTask are tasks without a name of their own.
type (
	funcTask func(ctx context.Context) (scheduler.Yield, error)
	typeTask struct{ funcTask }
)

func (f funcTask) Step(ctx context.Context) (scheduler.Yield, error) { return f(ctx) }
func (f funcTask) Close() error                                      { return nil }

// A Timeout has the name of a type, and that of the node in place of a function's.
func TestTimeout_of_a_runner_inside_a_node(t *testing.T) {
	t.Parallel()
	groupOf := func(name string) scheduler.Task {
		return newGroup(t, "x", func(string) scheduler.Task { return funcTask(forever) }, &scheduler.GroupOptions[string]{Name: name})
	}
	for _, tt := range []struct {
		task scheduler.Task
		want string
	}{
		{funcTask(forever), "node"},
		{scheduler.StepFunc(forever), "node"},
		{wrapping{funcTask(forever)}, "node"},
		{scheduler.All(funcTask(forever)), "node"},
		{groupOf(""), "node"},
		{groupOf("site"), "site"},
		{typeTask{forever}, "scheduler_test.typeTask"},
		{wrapping{typeTask{forever}}, "scheduler_test.wrapping"},
		{&fakeTask{step: forever}, "fake"},
	} {
		group := newGroup(t, "node", func(string) scheduler.Task {
			return scheduler.Subrun(scheduler.NewTaskRunner(tt.task, &scheduler.RunnerOptions{Timeout: time.Second}))
		}, nil)
		err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: newClock(), Wait: time.Second})
		require.Equal(t, tt.want, asError[*scheduler.Timeout](t, err).Task, "%T", tt.task)
	}
}

// A call that begins in answer to a Timeout has what is left: the grace, or nothing.
func TestTimeout_calls_in_answer(t *testing.T) {
	const limit, late, grace = time.Second, 5 * time.Second, 10 * time.Second
	for name, tt := range map[string]struct {
		grace time.Duration
		at    time.Duration // the deadline of the call
	}{"without a grace": {0, limit}, "with a grace": {grace, late + grace}} {
		for where, drive := range map[string]func(task scheduler.Task) scheduler.Task{
			"runner": func(task scheduler.Task) scheduler.Task {
				return scheduler.Subrun(scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Timeout: limit, Grace: tt.grace}))
			},
			"group": func(task scheduler.Task) scheduler.Task {
				return newGroup(t, "a", func(string) scheduler.Task { return task }, &scheduler.GroupOptions[string]{
					Timeout: func(string) time.Duration { return limit }, Grace: tt.grace,
				})
			},
		} {
			inBubble(t, name+", "+where, func(t *testing.T) {
				begin := time.Now()
				var ended bool
				var at time.Time
				r := startRunner(t, drive(scheduler.Wrap(func(co *scheduler.Coroutine) error {
					err := co.Yield(scheduler.After(time.Hour))
					_ = co.Await(scheduler.Blocking(func(ctx context.Context) error {
						at, _ = ctx.Deadline()
						synctest.Wait() // until the driver has closed what has begun too late
						ended = ctx.Err() != nil
						return nil
					}))
					return err
				})), nil)
				sleep(late)
				err := r.RunToCompletion(t.Context(), 0)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, tt.grace == 0, ended)
				require.Equal(t, tt.at, at.Sub(begin).Truncate(time.Millisecond))
			})
		}
	}
}

// Something from outside that comes during a step is not lost with it.
func TestTaskRunner_told_during_its_own_step(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(r *scheduler.TaskRunner){
		"Interrupt": func(r *scheduler.TaskRunner) { r.Interrupt(errBoom) },
		"Kill":      (*scheduler.TaskRunner).Kill,
		"Stop":      func(r *scheduler.TaskRunner) { r.Stop(errBoom) },
	} {
		t.Run(name, func(t *testing.T) {
			var r *scheduler.TaskRunner
			task := &fakeTask{}
			task.step = func(context.Context) (scheduler.Yield, error) {
				tell(r)
				return scheduler.After(time.Hour), nil
			}
			r = scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: newClock(), Grace: time.Minute})
			require.NoError(t, r.Start(t.Context(), 0))
			require.True(t, r.Due().Ready())
			require.NoError(t, r.Cancel())
		})
	}
}

func TestTimeout_Error_of_no_time(t *testing.T) {
	t.Parallel()
	require.EqualError(t, &scheduler.Timeout{Task: "web"}, "web: timed out after 0s")
	require.EqualError(t, &scheduler.Timeout{Task: "web", Limit: -1}, "web: timed out before it started")
}

func TestTimeout_Trigger(t *testing.T) {
	t.Parallel()
	failing := func() error { return errBoom }
	for name, c := range map[string]struct {
		task   *fakeTask
		want   string
		closes int
	}{
		"without Throw":               {&fakeTask{}, "Timeout", 1},
		"without Throw, close fails":  {&fakeTask{close: failing}, "Timeout+boom", 1},
		"passed on":                   {&fakeTask{throw: passOn}, "Timeout", 0},
		"answered by an error":        {&fakeTask{throw: always(scheduler.Yield{}, errOther)}, "other", 0},
		"answered by ending":          {&fakeTask{throw: always(scheduler.Done, nil)}, "nil", 0},
		"answered by going on":        {&fakeTask{throw: always(scheduler.Next, nil)}, "nil", 1},
		"answered by going on, fails": {&fakeTask{close: failing, throw: always(scheduler.Next, nil)}, "boom", 1},
	} {
		t.Run(name, func(t *testing.T) {
			runner := scheduler.NewTaskRunner(&fakeTask{}, nil)
			require.Equal(t, c.want, short(scheduler.NewTimeout(runner, 0).Trigger(t.Context(), c.task.task())))
			require.Equal(t, c.task.throw != nil, len(c.task.thrown) == 1)
			require.Equal(t, c.closes, c.task.closes)
		})
	}
}

func TestTimedCancel(t *testing.T) {
	t.Parallel()
	clock := newClock()
	task := &fakeTask{close: func() error { return errBoom }}
	runner := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: clock})
	cancel := scheduler.NewTimedCancel(runner, time.Minute)
	require.Equal(t, time.Minute, cancel.Grace)
	require.False(t, cancel.Expired())
	clock.Advance(time.Minute)
	require.False(t, cancel.Expired(), "the clock must read strictly more")
	clock.Advance(1)
	require.True(t, cancel.Expired())
	require.Equal(t, errBoom, cancel.Trigger(t.Context(), task))
	require.Empty(t, task.thrown)
	require.False(t, (&scheduler.TimedCancel{}).Expired())
}

// A Timeout says whose time was over, also out of the depth of a run.
func TestTimeout_Of_nested_runners(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		inner, outer time.Duration
		want         string
	}{
		{time.Second, time.Minute, "inner: timed out after 1s"},
		{time.Minute, time.Second, "outer: timed out after 1s"},
	} {
		inner := scheduler.NewTaskRunner(&fakeTask{step: forever}, &scheduler.RunnerOptions{Name: "inner"})
		outer := scheduler.NewTaskRunner(inner.AsTask(c.inner), &scheduler.RunnerOptions{Name: "outer", Clock: newClock()})
		err := outer.RunWith(t.Context(), c.outer, time.Hour)
		require.EqualError(t, err, c.want)
		timeout := asError[*scheduler.Timeout](t, err)
		require.Equal(t, c.inner < c.outer, timeout.Of(inner))
		require.Equal(t, c.inner > c.outer, timeout.Of(outer))
		require.Equal(t, err, inner.Err())
	}
}

// The outer grace reaches the inner task by way of the answer.
func TestTimeout_grace_of_an_outer_runner(t *testing.T) {
	t.Parallel()
	task := &fakeTask{step: forever, throw: always(scheduler.After(time.Second), nil)}
	task.step = func(context.Context) (scheduler.Yield, error) {
		if len(task.thrown) > 0 {
			return scheduler.Done, nil
		}
		return scheduler.Next, nil
	}
	inner := scheduler.NewTaskRunner(task, nil)
	d := schedulertest.NewDriver(t, inner.AsTask(0), &scheduler.RunnerOptions{Timeout: time.Minute, Grace: time.Minute, Wait: time.Second})
	require.ErrorIs(t, d.RunToEnd(), context.DeadlineExceeded, "Err has what was swallowed")
	require.NoError(t, inner.Err())
	require.Zero(t, task.closes)
}

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
			inBubble(t, name+" "+how, func(t *testing.T) {
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
		}
	}
}

// While a task is closing nothing is thrown into it, and a second end neither
// changes the first nor makes the loop spin.
func TestTaskRunner_closing_ignores_later_orders(t *testing.T) {
	inBubble(t, "Stop and CancelAfter", func(t *testing.T) {
		var wakes atomic.Int32 // called on the goroutine of the call as well
		r := startRunner(t, scheduler.Blocking(stubborn(2*time.Second)), &scheduler.RunnerOptions{
			Timeout: time.Second, Grace: time.Minute, Wake: func() { wakes.Add(1) },
		})
		sleep(2 * time.Second)
		mustStep(t, t.Context(), r) // the Timeout
		r.Kill()
		mustStep(t, t.Context(), r)
		wakes.Store(0)
		r.Stop(errOops)
		r.CancelAfter(0)
		require.Zero(t, wakes.Load())
		require.False(t, r.Due().Ready())
		sleep(3 * time.Second)
		done, err := r.Step(t.Context())
		require.True(t, done)
		require.NotErrorIs(t, err, errOops)
		wakes.Store(0)
		r.Stop(errOops)
		r.CancelAfter(0)
		require.Zero(t, wakes.Load(), "it has ended")
		require.NotErrorIs(t, r.Err(), errOops)
	})
	inBubble(t, "Interrupt, within a grace", func(t *testing.T) {
		r := scheduler.NewTaskRunner(struct{ scheduler.Task }{deafFor(3*time.Second, nil)},
			&scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Minute})
		time.AfterFunc(2*time.Second, func() { r.Interrupt(errOops) })
		plain := scheduler.NewTaskRunner(plainTask{deafFor(3*time.Second, nil)},
			&scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Minute})
		time.AfterFunc(5*time.Second, func() { plain.Interrupt(errOops) })
		for _, r := range []*scheduler.TaskRunner{r, plain} {
			err := r.Run(t.Context())
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, errOops)
		}
	})
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

// plainTask has what a Task needs, and can say what its Close would wait for.
type plainTask struct{ task scheduler.Task }

func (p plainTask) Step(ctx context.Context) (scheduler.Yield, error) { return p.task.Step(ctx) }
func (p plainTask) Close() error                                      { return p.task.Close() }
func (p plainTask) BeginClose() *scheduler.Event {
	return p.task.(scheduler.Closer).BeginClose()
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
	r := startRunner(t, scheduler.Wrap(func(co *scheduler.Coroutine) error {
		_ = co.Yield(scheduler.After(time.Hour))
		return httpError{500}
	}), nil)
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
}

// What a Subrun that is closed has to tell the task around it is not in the outcome of its
// runner alone.
func TestSubrun_closed_before_it_could_tell(t *testing.T) {
	var ends scheduler.Event
	for name, tt := range map[string]struct {
		opts scheduler.RunnerOptions
		do   func(r *scheduler.TaskRunner, step func())
		want error
	}{
		"nothing":     {do: func(*scheduler.TaskRunner, func()) {}},
		"interrupted": {do: func(r *scheduler.TaskRunner, _ func()) { r.Interrupt(errOops) }, want: errOops},
		"interrupted and killed": {do: func(r *scheduler.TaskRunner, step func()) {
			r.Interrupt(errOops)
			r.Kill()
			step()
		}, want: errOops},
		"stopped": {opts: scheduler.RunnerOptions{Grace: time.Hour}, do: func(r *scheduler.TaskRunner, step func()) {
			r.Stop(errOops)
			step()
		}},
		"cancelled after a grace": {do: func(r *scheduler.TaskRunner, step func()) {
			r.CancelAfter(-1)
			step()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			task := closer{&fakeTask{step: forever}, func() *scheduler.Event { return &ends }}
			inner := scheduler.NewTaskRunner(task, &tt.opts)
			outer := startRunner(t, scheduler.Subrun(inner), &scheduler.RunnerOptions{Clock: newClock()})
			tt.do(inner, func() { require.False(t, mustStep(t, t.Context(), outer)) })
			require.Equal(t, tt.want, outer.Cancel())
			require.ErrorIs(t, inner.Err(), scheduler.ErrCancelled)
			require.Equal(t, tt.want != nil || name == "stopped", errors.Is(inner.Err(), errOops))
		})
	}
}

// An Interrupt of a Subrun that comes too late, because the run is ended before the next
// step, is in the outermost result and in the Errors of all groups around, once.
func TestSubrun_interrupted_before_the_end(t *testing.T) {
	type ends func(r *scheduler.TaskRunner, cancel context.CancelCauseFunc)
	tasks := map[string]func() scheduler.Task{
		"parked":    func() scheduler.Task { return &fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}} },
		"call":      func() scheduler.Task { return deafFor(time.Hour, errSpace) },
		"coroutine": func() scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) },
		"group": func() scheduler.Task {
			return scheduler.All(deafFor(time.Hour, nil), scheduler.Pause(scheduler.Rounds(3)))
		},
	}
	for name, end := range map[string]ends{
		"Kill":    func(r *scheduler.TaskRunner, _ context.CancelCauseFunc) { r.Kill() },
		"Stop":    func(r *scheduler.TaskRunner, _ context.CancelCauseFunc) { r.Stop(errOther) },
		"context": func(_ *scheduler.TaskRunner, cancel context.CancelCauseFunc) { cancel(errOther) },
	} {
		for hold, put := range holdersOf("itself", "wrapper", "plain wrapper", "Named", "Wrap", "AsTask", "Subrun", "Retry", "Sequence",
			"Finally", "All", "First", "Shield", "Claiming", "WithTimeout", "Reserve", "All in All") {
			inBubble(t, name+"/"+hold, func(t *testing.T) {
				for what, task := range tasks {
					for depth := range 3 {
						inner := scheduler.NewTaskRunner(task(), nil)
						held := put(scheduler.Subrun(inner))
						var groups []*scheduler.DependencyTaskGroup[string]
						for range depth {
							task := held
							groups = append(groups, newGroup(t, "a", func(string) scheduler.Task { return task }, nil))
							held = groups[len(groups)-1]
						}
						r := scheduler.NewTaskRunner(held, nil)
						ctx, cancel := context.WithCancelCause(t.Context())
						time.AfterFunc(time.Second, func() {
							r.Post(func() { // before a step
								inner.Interrupt(errOops)
								end(r, cancel)
							})
						})
						err := r.Run(ctx)
						cancel(nil)
						said := []error{err}
						for _, g := range groups {
							said = append(said, errors.Join(g.Errors()...))
						}
						for _, err := range said {
							require.ErrorIs(t, err, errOops, "%s %d", what, depth)
							require.Equal(t, 1, strings.Count(err.Error(), errOops.Error()), "%s %d: %v", what, depth, err)
							require.Equal(t, what == "call", errors.Is(err, errSpace), "%s %d: %v", what, depth, err)
						}
					}
				}
			})
		}
	}
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

// Who ends is not closed as well, and an error counts whatever comes with it.
func TestRunner_does_not_close_what_ends_after_its_Timeout(t *testing.T) {
	var e scheduler.Event
	for name, tt := range map[string]struct {
		thrown, step scheduler.Yield
		fails        [2]bool
	}{
		"fails at once, though it says that it is ending": {thrown: scheduler.Ending(&e), fails: [2]bool{true, false}},
		"is done": {thrown: scheduler.Ending(&e), step: scheduler.Done},
		"fails, though it says that it is ending": {thrown: scheduler.Ending(&e), step: scheduler.Ending(&e), fails: [2]bool{false, true}},
		"fails, though it says that it goes on":   {thrown: scheduler.Ending(&e), step: scheduler.Next, fails: [2]bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			e.Reset()
			clock := newClock()
			fails := func(fails bool) error {
				if fails {
					return errOops
				}
				return nil
			}
			task := &fakeTask{
				throw: func(context.Context, error) (scheduler.Yield, error) { return tt.thrown, fails(tt.fails[0]) },
			}
			task.step = func(context.Context) (scheduler.Yield, error) {
				if task.steps == 1 {
					return scheduler.After(time.Hour), nil
				}
				return tt.step, fails(tt.fails[1])
			}
			r := startRunner(t, task, &scheduler.RunnerOptions{Timeout: time.Second, Clock: clock})
			clock.Advance(2 * time.Second)
			done, err := r.Step(t.Context())
			require.Equal(t, tt.fails[0], done)
			if !done {
				e.Set()
				done, err = r.Step(t.Context())
			}
			require.True(t, done)
			require.Equal(t, fails(tt.fails[0] || tt.fails[1]), err)
			require.ErrorAs(t, r.Err(), new(*scheduler.Timeout))
			require.Zero(t, task.closes)
		})
	}
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
	mustStep(t, t.Context(), r)
	r.Stop(errOther)
	mustStep(t, t.Context(), r)
	require.Empty(t, inner.causes)
	closed.Set()
	done, err := r.Step(t.Context())
	require.True(t, done)
	require.ErrorIs(t, err, errOther)
	require.ErrorIs(t, err, scheduler.ErrCancelled)
}

// A second end adds to the first.
func TestTaskRunner_Kill_and_Cancel_after_another_end(t *testing.T) {
	const second = time.Second
	cancelled := scheduler.ErrCancelled.Error()
	firsts := map[string]struct {
		timeout time.Duration
		do      func(r *scheduler.TaskRunner, step func())
		want    string
	}{
		"nothing":               {want: cancelled},
		"Stop":                  {do: func(r *scheduler.TaskRunner, step func()) { r.Stop(errOops); step() }, want: cancelled + "\noops"},
		"Stop, not told yet":    {do: func(r *scheduler.TaskRunner, _ func()) { r.Stop(errOops) }, want: cancelled + "\noops"},
		"Timeout":               {timeout: second, want: cancelled + "\nr: timed out after 1s"},
		"Timeout and Stop":      {timeout: second, do: func(r *scheduler.TaskRunner, _ func()) { r.Stop(errOops) }, want: cancelled + "\noops\nr: timed out after 1s"},
		"Interrupt":             {do: func(r *scheduler.TaskRunner, step func()) { r.Interrupt(errOops); step() }, want: cancelled},
		"Interrupt, not thrown": {do: func(r *scheduler.TaskRunner, _ func()) { r.Interrupt(errOops) }, want: cancelled + "\noops"},
		"Timeout, and Interrupt, not thrown": {
			timeout: second, do: func(r *scheduler.TaskRunner, _ func()) { r.Interrupt(errOops) }, want: cancelled + "\nr: timed out after 1s\noops",
		},
	}
	for hold, put := range holdersOf("itself", "renamed", "Sequence", "Finally", "Retry", "All", "Subrun") {
		for name, first := range firsts {
			if name == "Interrupt" && (hold == "All" || hold == "Retry") {
				continue // they stop, or do not try again
			}
			for _, end := range []string{"Kill", "Cancel"} {
				inBubble(t, hold+"/"+name+"/"+end, func(t *testing.T) {
					task := put(scheduler.Wrap(func(co *scheduler.Coroutine) error {
						for {
							if err := co.Yield(scheduler.After(10 * second)); errors.Is(err, scheduler.ErrClosed) {
								return err
							}
						}
					}))
					r := startRunner(t, task, &scheduler.RunnerOptions{Name: "r", Timeout: first.timeout, Grace: time.Minute})
					step := func() {
						done, err := r.Step(t.Context())
						require.False(t, done)
						require.NoError(t, err)
					}
					sleep(2 * second)
					step()
					if first.do != nil {
						first.do(r, step)
					}
					if end == "Cancel" {
						require.NoError(t, r.Cancel())
					} else {
						r.Kill()
						done, err := r.Step(t.Context())
						require.True(t, done)
						require.EqualError(t, err, first.want)
					}
					require.EqualError(t, r.Err(), first.want)
				})
			}
		}
	}
}

// The contexts of calls end with the notice if any runner around them says so.
func TestRunnerOptions_EndCalls_of_a_runner_inside_another(t *testing.T) {
	type options = scheduler.RunnerOptions
	for name, tt := range map[string]struct{ outer, inner options }{
		"of the inner one": {inner: options{EndCalls: true}},
		"of the outer one": {outer: options{EndCalls: true}, inner: options{Timeout: time.Hour}},
	} {
		inBubble(t, name, func(t *testing.T) {
			begin := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(time.Second, cancel)
			var ended time.Duration
			inner := scheduler.NewTaskRunner(scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				ended = time.Since(begin)
				return nil
			}), &tt.inner)
			tt.outer.Grace = time.Minute
			_ = scheduler.Run(ctx, scheduler.Subrun(inner), &tt.outer)
			require.Equal(t, time.Second, ended)
		})
	}
}

// What has not had its first step is not asked to end.
func TestSubrun_BeginClose_before_the_first_step(t *testing.T) {
	t.Parallel()
	var closed scheduler.Event
	for _, as := range []func(r *scheduler.TaskRunner) scheduler.Task{
		scheduler.Subrun, func(r *scheduler.TaskRunner) scheduler.Task { return r.AsTask(0) },
	} {
		task := as(scheduler.NewTaskRunner(slowCloser{&fakeTask{}, &closed}, nil))
		require.Nil(t, task.(scheduler.Closer).BeginClose())
		require.NoError(t, task.Close())
		require.Nil(t, task.(scheduler.Closer).BeginClose(), "it has ended")
	}
}
