package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// TestTaskRunner_states holds the runner to the table in the comment of
// TaskRunner, written out: in each state, what each method returns, and after it
// whether the runner has started or ended, and Err.
func TestTaskRunner_states(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	type runner = scheduler.TaskRunner
	states := []struct {
		name  string
		reach func(t *testing.T, r *runner)
	}{
		{"new", func(*testing.T, *runner) {}},
		{"started", func(t *testing.T, r *runner) {
			require.NoError(t, r.Start(ctx, 0))
		}},
		{"stopped", func(t *testing.T, r *runner) {
			require.NoError(t, r.Start(ctx, 0))
			r.Stop(errOther)
		}},
		{"complete", func(t *testing.T, r *runner) {
			require.NoError(t, r.RunWith(ctx, 0, 0))
		}},
		{"failed", func(t *testing.T, r *runner) {
			require.NoError(t, r.Start(ctx, 0))
			r.Interrupt(errBoom)
			_, err := r.Step(ctx)
			require.Equal(t, errBoom, err)
		}},
		{"timed out", func(t *testing.T, r *runner) {
			require.Equal(t, "Timeout", short(r.Start(ctx, -1)))
		}},
		{"cancelled", func(t *testing.T, r *runner) {
			require.NoError(t, r.Start(ctx, 0))
			require.NoError(t, r.Cancel())
		}},
		{"never started", func(t *testing.T, r *runner) {
			require.NoError(t, r.Cancel())
		}},
	}
	step := func(done bool, err error) string { return fmt.Sprint(done, " ", short(err)) }
	events := []struct {
		name string
		do   func(r *runner) string
	}{
		{"Start", func(r *runner) string { return short(r.Start(ctx, 0)) }},
		{"Step", func(r *runner) string { return step(r.Step(ctx)) }},
		{"Run", func(r *runner) string { return short(r.RunWith(ctx, 0, 0)) }},
		{"RunToCompletion", func(r *runner) string { return short(r.RunToCompletion(ctx, 0)) }},
		{"AsTask", func(r *runner) string {
			y, err := r.AsTask(0).Step(ctx)
			return step(y == scheduler.Done, err)
		}},
		{"AsTask throw", func(r *runner) string {
			y, err := r.AsTask(0).(scheduler.Thrower).Throw(ctx, errBoom)
			return step(y == scheduler.Done, err)
		}},
		{"AsTask close", func(r *runner) string { return short(r.AsTask(0).Close()) }},
		{"Stop", func(r *runner) string { r.Stop(errOther); return "" }},
		{"Stop, Step", func(r *runner) string { r.Stop(errOther); return step(r.Step(ctx)) }},
		{"Cancel", func(r *runner) string { return short(r.Cancel()) }},
		{"CancelAfter", func(r *runner) string { r.CancelAfter(0); return "" }},
		{"CancelAfter, Step", func(r *runner) string { r.CancelAfter(-1); return step(r.Step(ctx)) }},
		{"Interrupt", func(r *runner) string { r.Interrupt(errBoom); return "" }},
		{"Interrupt, Step", func(r *runner) string { r.Interrupt(errBoom); return step(r.Step(ctx)) }},
	}
	want := map[string][]string{
		// in the order of events
		"new": {
			"nil; started; nil", "false ErrNotStarted; new; nil", "nil; ended; nil", "ErrNotStarted; new; nil",
			"false nil; started; nil", "false boom; new; nil", "nil; never started; ErrCancelled",
			"; never started; ErrCancelled", "true nil; never started; ErrCancelled", "nil; never started; ErrCancelled", "; never started; ErrCancelled", "true nil; never started; ErrCancelled",
			"; new; nil", "false ErrNotStarted; new; nil",
		},
		"started": {
			"ErrStarted; started; nil", "false nil; started; nil", "ErrStarted; started; nil", "nil; ended; nil",
			"false nil; started; nil", "false boom; ended; boom", "nil; ended; ErrCancelled",
			"; started; nil", "true other; ended; other", "nil; ended; ErrCancelled", "; started; nil", "true nil; ended; ErrCancelled",
			"; started; nil", "true boom; ended; boom",
		},
		"stopped": {
			"ErrStarted; started; nil", "true other; ended; other", "ErrStarted; started; nil", "other; ended; other",
			"false other; ended; other", "false boom+other; ended; boom+other", "nil; ended; ErrCancelled+other",
			"; started; nil", "true other; ended; other", "nil; ended; ErrCancelled+other", "; started; nil", "true other; ended; other",
			"; started; nil", "true boom+other; ended; boom+other",
		},
		"complete":      ended("nil"),
		"failed":        ended("boom"),
		"timed out":     ended("Timeout"),
		"cancelled":     ended("ErrCancelled"),
		"never started": neverStarted(),
	}
	for _, state := range states {
		require.Len(t, want[state.name], len(events))
		for i, event := range events {
			t.Run(state.name+"/"+event.name, func(t *testing.T) {
				task := &fakeTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Next, scheduler.Next}}
				r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: newClock()})
				state.reach(t, r)
				result := event.do(r)
				require.Equal(t, want[state.name][i], fmt.Sprintf("%s; %s; %s", result, phaseOf(r), short(r.Err())))
				require.Equal(t, r.Done(), r.Due() == scheduler.Done)
				if !r.Started() && !r.Done() {
					require.True(t, r.Due().Ready())
				}
				if !r.Done() {
					require.NoError(t, r.Cancel())
				}
			})
		}
	}
}

// phaseOf names what Started and Done say.
func phaseOf(r *scheduler.TaskRunner) string {
	switch {
	case r.Started() && r.Done():
		return "ended"
	case r.Done():
		return "never started"
	case r.Started():
		return "started"
	}
	return "new"
}

// ended is the row of a state in which the runner has ended: nothing changes it.
func ended(err string) []string {
	return row("ended; "+err,
		"ErrStarted", "true nil", "ErrStarted", "nil",
		"true nil", "false boom", "nil",
		"", "true nil", "nil", "", "true nil",
		"", "true nil")
}

// neverStarted is the row of a runner that was cancelled instead of started.
func neverStarted() []string {
	return row("never started; ErrCancelled",
		"ErrCancelled", "true nil", "ErrCancelled", "ErrNotStarted",
		"false ErrCancelled", "false boom", "nil",
		"", "true nil", "nil", "", "true nil",
		"", "true nil")
}

// row puts the state after an event, always the same, behind each result.
func row(after string, results ...string) []string {
	for i, result := range results {
		results[i] = result + "; " + after
	}
	return results
}

func TestTaskRunner_of_an_ended_task_drops_it(t *testing.T) {
	t.Parallel()
	task := &fakeTask{}
	r := scheduler.NewTaskRunner(task, nil)
	require.NoError(t, r.RunWith(t.Context(), 0, 0))
	require.True(t, mustStep(t, t.Context(), r))
	require.NoError(t, r.Cancel())
	require.Equal(t, 1, task.steps, "it is never called again")
	require.Zero(t, task.closes)
	require.Equal(t, "fake", r.String())
}

func TestNewTaskRunner_panics_for_bad_options(t *testing.T) {
	t.Parallel()
	task := &fakeTask{}
	for name, c := range map[string]struct {
		task scheduler.Task
		opts *scheduler.RunnerOptions
		want string
	}{
		"nil task":       {nil, nil, "scheduler: task: nil Task"},
		"negative wait":  {task, &scheduler.RunnerOptions{Wait: -1}, "scheduler: RunnerOptions.Wait: negative duration -1ns"},
		"negative grace": {task, &scheduler.RunnerOptions{Grace: -1}, "scheduler: RunnerOptions.Grace: negative duration -1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			option := asError[*scheduler.OptionError](t, scheduler.Run(t.Context(), c.task, c.opts))
			require.Equal(t, c.want, option.Error())
			require.PanicsWithError(t, c.want, func() { scheduler.NewTaskRunner(c.task, c.opts) })
		})
	}
	t.Run("negative wait of a run", func(t *testing.T) {
		r := scheduler.NewTaskRunner(task, nil)
		require.EqualError(t, r.RunWith(t.Context(), 0, -1), "scheduler: wait: negative duration -1ns")
		require.False(t, r.Started())
	})
}

func TestTaskRunner_steps(t *testing.T) {
	t.Parallel()
	task := &fakeTask{yields: []scheduler.Yield{
		scheduler.Next, scheduler.Rounds(3), scheduler.After(time.Second), scheduler.Rounds(2).Or(scheduler.After(time.Hour)),
	}}
	d := schedulertest.NewDriver(t, task, nil)
	steps := func(n int) {
		t.Helper()
		d.Step()
		require.Equal(t, n, task.steps)
	}
	steps(1)
	require.Equal(t, 1, d.Runner.Due().Rounds())
	steps(2)
	steps(2) // rounds without a step
	steps(2)
	require.Equal(t, 1, d.Runner.Due().Rounds(), "rounds are counted by steps")
	steps(3) // the third from the yield on
	at, timed := d.Runner.Due().Time()
	require.True(t, timed)
	require.Equal(t, time.Second, at.Sub(d.Clock.Now()), "a time is made absolute")
	require.Zero(t, d.Runner.Due().Rounds())
	steps(3)
	d.Clock.Advance(time.Second - 1)
	steps(3)
	d.Clock.Advance(1)
	steps(4)
	steps(4)
	steps(5)
	require.True(t, d.Runner.Done())
	require.Zero(t, task.closes)
}

func TestTaskRunner_Progress(t *testing.T) {
	t.Parallel()
	t.Run("is called before each step but the first", func(t *testing.T) {
		for _, how := range []string{"Run", "RunToCompletion", "AsTask"} {
			task := &fakeTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Next, scheduler.Next}}
			var at []int
			clock := newClock()
			r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{
				Clock: clock,
				Progress: func(ctx context.Context) error {
					require.Equal(t, clock.Now(), scheduler.Now(ctx))
					at = append(at, task.steps)
					return nil
				},
			})
			switch how {
			case "Run":
				require.NoError(t, r.RunWith(t.Context(), 0, 0))
				require.Equal(t, []int{1, 2, 3}, at, how)
			case "RunToCompletion":
				require.NoError(t, r.Start(t.Context(), 0))
				require.NoError(t, r.RunToCompletion(t.Context(), 0))
				require.Equal(t, []int{2, 3}, at, how)
			case "AsTask":
				require.NoError(t, scheduler.Run(t.Context(), r.AsTask(0), &scheduler.RunnerOptions{Clock: clock}))
				require.Equal(t, []int{1, 2, 3}, at, how)
			}
		}
	})
	t.Run("its error is thrown in place of the step", func(t *testing.T) {
		for _, asTask := range []bool{false, true} {
			task := &fakeTask{yields: []scheduler.Yield{scheduler.Rounds(100)}}
			r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{
				Progress: func(context.Context) error { return errBoom },
			})
			if asTask {
				require.Equal(t, errBoom, scheduler.Run(t.Context(), r.AsTask(0), nil))
			} else {
				require.Equal(t, errBoom, r.RunWith(t.Context(), 0, 0))
			}
			require.Equal(t, 1, task.steps)
			require.Equal(t, []error{errBoom}, task.thrown)
		}
	})
}

func TestTaskRunner_AsTask(t *testing.T) {
	t.Parallel()
	t.Run("has a deadline of its own", func(t *testing.T) {
		clock := newClock()
		inner := scheduler.NewTaskRunner(&fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}}, &scheduler.RunnerOptions{Name: "inner"})
		err := scheduler.Run(t.Context(), inner.AsTask(time.Minute), &scheduler.RunnerOptions{Clock: clock})
		require.EqualError(t, err, "inner: timed out after 1m0s")
		require.Equal(t, time.Minute+1, clock.Slept())
	})
	t.Run("of a started runner steps at once and only shortens its time", func(t *testing.T) {
		for limit, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: time.Minute} {
			clock := newClock()
			task := &fakeTask{yields: []scheduler.Yield{scheduler.Next, scheduler.On(new(scheduler.Event))}}
			r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: clock})
			require.NoError(t, r.Start(t.Context(), time.Minute))
			d := schedulertest.NewDriver(t, r.AsTask(limit), &scheduler.RunnerOptions{Clock: clock})
			d.Step()
			require.Equal(t, 2, task.steps)
			require.ErrorIs(t, d.RunToEnd(), context.DeadlineExceeded)
			require.Equal(t, want+1, clock.Slept())
		}
	})
	t.Run("is driven by events from outside", func(t *testing.T) {
		clock := newClock()
		inner := scheduler.NewTaskRunner(&fakeTask{yields: []scheduler.Yield{scheduler.On(new(scheduler.Event))}}, nil)
		d := schedulertest.NewDriver(t, inner.AsTask(0), &scheduler.RunnerOptions{Clock: clock})
		d.Step()
		require.True(t, d.Parked())
		inner.Interrupt(errBoom)
		require.False(t, d.Parked())
		require.Equal(t, errBoom, d.RunToEnd())
	})
	t.Run("passes on throw, stop and close", func(t *testing.T) {
		task := &fakeTask{step: forever, throw: always(scheduler.Next, nil)}
		inner := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Name: "inner"})
		d := schedulertest.NewDriver(t, inner.AsTask(0), &scheduler.RunnerOptions{Grace: time.Hour})
		require.Equal(t, "inner", d.Runner.String())
		d.Step()
		d.Runner.Interrupt(errBoom)
		d.Step()
		require.Equal(t, []error{errBoom}, task.thrown)
		d.Runner.Stop(errOther)
		d.Step()
		require.Equal(t, []error{errOther}, task.causes)
		require.NoError(t, d.Runner.Cancel())
		require.Equal(t, 1, task.closes)
		require.Equal(t, scheduler.ErrCancelled, inner.Err())
	})
	t.Run("ends if the runner was cancelled meanwhile", func(t *testing.T) {
		inner := scheduler.NewTaskRunner(&fakeTask{step: forever}, nil)
		d := schedulertest.NewDriver(t, inner.AsTask(0), nil)
		d.Step()
		require.NoError(t, inner.Cancel())
		require.True(t, d.Step())
		require.NoError(t, d.Err())
	})
	t.Run("with a clock of its own", func(t *testing.T) {
		own := schedulertest.NewClock(time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC))
		var read []time.Time
		look := func(ctx context.Context) (scheduler.Yield, error) {
			read = append(read, scheduler.Now(ctx))
			return scheduler.Next, nil
		}
		inner := scheduler.NewTaskRunner(&fakeTask{step: look},
			&scheduler.RunnerOptions{Clock: own})
		d := schedulertest.NewDriver(t, inner.AsTask(0), &scheduler.RunnerOptions{Grace: time.Hour})
		d.Step()
		d.Runner.Stop(nil)
		d.Step()
		require.Equal(t, []time.Time{own.Now(), own.Now()}, read)
	})
}

func TestTaskRunner_panics_if_methods_overlap(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]func(ctx context.Context, r *scheduler.TaskRunner){
		"Start":  func(ctx context.Context, r *scheduler.TaskRunner) { _ = r.Start(ctx, 0) },
		"Step":   func(ctx context.Context, r *scheduler.TaskRunner) { _, _ = r.Step(ctx) },
		"Cancel": func(_ context.Context, r *scheduler.TaskRunner) { _ = r.Cancel() },
	} {
		want := "scheduler: TaskRunner." + name + " of fake called during a step"
		t.Run(name, func(t *testing.T) {
			var r *scheduler.TaskRunner
			task := &fakeTask{step: func(ctx context.Context) (scheduler.Yield, error) {
				require.PanicsWithValue(t, want, func() { method(ctx, r) })
				require.Equal(t, want, panicOf(t, func() { method(ctx, r) }), "from another goroutine as well")
				return scheduler.Done, nil
			}}
			r = scheduler.NewTaskRunner(task, nil)
			require.NoError(t, r.Start(t.Context(), 0))
		})
	}
	t.Run("and can go on afterwards", func(t *testing.T) {
		var r *scheduler.TaskRunner
		task := &fakeTask{step: func(ctx context.Context) (scheduler.Yield, error) {
			_, err := r.Step(ctx)
			return scheduler.Done, err
		}}
		r = scheduler.NewTaskRunner(task, nil)
		require.Panics(t, func() { _ = r.Start(t.Context(), 0) })
		require.Equal(t, scheduler.ErrAborted, r.Err())
		require.NoError(t, r.Cancel())
		require.Zero(t, task.closes, "a task that panicked has ended")
	})
}

func TestTaskRunner_panic_of_the_task(t *testing.T) {
	t.Parallel()
	const value = "no more"
	panics := func() error { panic(value) }
	for name, c := range map[string]struct {
		task func() scheduler.Task
		call func(ctx context.Context, r *scheduler.TaskRunner)
		want error
	}{
		"in Step": {
			func() scheduler.Task {
				return &fakeTask{step: func(context.Context) (scheduler.Yield, error) { return scheduler.Next, panics() }}
			},
			func(ctx context.Context, r *scheduler.TaskRunner) { _ = r.Start(ctx, 0) }, scheduler.ErrAborted,
		},
		"in Throw": {
			func() scheduler.Task {
				return &fakeTask{step: forever, throw: func(context.Context, error) (scheduler.Yield, error) { return scheduler.Next, panics() }}
			},
			func(ctx context.Context, r *scheduler.TaskRunner) {
				r.Interrupt(errBoom)
				_, _ = r.Step(ctx)
			}, scheduler.ErrAborted,
		},
		"in Close by Cancel": {
			func() scheduler.Task { return &fakeTask{step: forever, close: panics} },
			func(_ context.Context, r *scheduler.TaskRunner) { _ = r.Cancel() }, scheduler.ErrCancelled,
		},
		"in Close by a step": {
			func() scheduler.Task { return &fakeTask{step: forever, close: panics} },
			func(ctx context.Context, r *scheduler.TaskRunner) {
				r.Stop(nil)
				_, _ = r.Step(ctx)
			}, scheduler.ErrAborted,
		},
		"in Close after the zero Yield": {
			func() scheduler.Task {
				return &fakeTask{yields: make([]scheduler.Yield, 1), close: panics}
			},
			func(ctx context.Context, r *scheduler.TaskRunner) { _ = r.Start(ctx, 0) }, scheduler.ErrAborted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			task := c.task()
			r := scheduler.NewTaskRunner(task, nil)
			if !strings.Contains(name, "Step") && !strings.Contains(name, "zero") {
				require.NoError(t, r.Start(t.Context(), 0))
			}
			forgotten := func() { t.Error("called after a panic has ended the run") }
			if strings.HasSuffix(name, "Cancel") { // a step calls it before
				require.True(t, r.Post(forgotten))
			}
			require.PanicsWithValue(t, value, func() { c.call(t.Context(), r) }, "it goes up as it is")
			require.False(t, r.Post(forgotten))
			require.True(t, r.Done())
			require.Equal(t, c.want, r.Err())
			require.True(t, mustStep(t, t.Context(), r))
			require.NoError(t, r.Cancel(), "the task is never called again")
		})
	}
	t.Run("out of Run", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		require.PanicsWithValue(t, value, func() {
			_ = scheduler.Run(ctx, scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if n++; n == 3 {
					_ = panics()
				}
				return scheduler.Next, nil
			}), nil)
		})
	})
}

func TestTaskRunner_Goexit_of_the_task(t *testing.T) {
	t.Parallel()
	r := scheduler.NewTaskRunner(scheduler.Func(func(context.Context) error {
		runtime.Goexit()
		return nil
	}), nil)
	returned := false
	var driver sync.WaitGroup
	driver.Go(func() {
		_ = r.RunWith(context.Background(), 0, 0)
		returned = true
	})
	driver.Wait()
	require.False(t, returned, "it ends the driving goroutine")
	require.Equal(t, scheduler.ErrAborted, r.Err())
}

func TestTaskRunner_zero_Yield(t *testing.T) {
	t.Parallel()
	task := &fakeTask{yields: []scheduler.Yield{scheduler.Next, {}}, close: func() error { return errBoom }}
	err := scheduler.Run(t.Context(), task, nil)
	require.ErrorIs(t, err, scheduler.ErrNoYield)
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, 1, task.closes)
}

// A loop of one's own needs Step, Due and Wake.
func TestTaskRunner_driven_by_another_loop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var event scheduler.Event
		task := &fakeTask{yields: []scheduler.Yield{
			scheduler.After(time.Minute), scheduler.Next, scheduler.On(&event), scheduler.On(&event).Or(scheduler.After(time.Hour)),
		}}
		wake := make(chan struct{}, 1)
		r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Wake: func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		}})
		start := time.Now()
		go func() {
			sleep(10 * time.Minute)
			event.Set()
		}()
		require.NoError(t, r.Start(t.Context(), 0))
		attempts := 0
		for !r.Done() {
			if due := r.Due(); due.Rounds() == 0 && !due.Ready() {
				var timer <-chan time.Time
				if at, ok := due.Time(); ok {
					timer = time.After(time.Until(at))
				}
				select {
				case <-wake:
				case <-timer:
				}
			}
			mustStep(t, t.Context(), r)
			attempts++
		}
		require.Equal(t, 10*time.Minute, time.Since(start))
		require.Equal(t, 5, task.steps)
		require.Less(t, attempts, 8)
	})
}

// Who drives a runner by AsTask is woken when it is cancelled, also if all that
// it waits for is an event that never comes.
func TestTaskRunner_Cancel_wakes_who_drives_AsTask(t *testing.T) {
	t.Parallel()
	var never scheduler.Event
	inner := scheduler.NewTaskRunner(scheduler.Pause(scheduler.On(&never)), nil)
	outer := startRunner(t, scheduler.All(inner.AsTask(0)), nil)
	require.False(t, outer.Due().Ready())
	require.NoError(t, inner.Cancel())
	require.True(t, outer.Due().Ready(), "nobody would ever look again")
	require.True(t, mustStep(t, t.Context(), outer))
}

// Progress is called for every resume, also if the runner has ended meanwhile,
// and its error then comes out.
func TestAsTask_Progress_after_the_end(t *testing.T) {
	calls := 0
	var fails error
	r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.Rounds(9)), &scheduler.RunnerOptions{
		Progress: func(context.Context) error { calls++; return fails },
	})
	for _, fails = range []error{nil, errSpace} {
		task := r.AsTask(0)
		y := mustStep(t, t.Context(), task)
		require.Equal(t, 1, y.Rounds())
		require.NoError(t, r.Cancel())
		calls = 0
		y, err := task.Step(t.Context())
		require.Equal(t, fails, err)
		require.Equal(t, fails == nil, y == scheduler.Done)
		require.Equal(t, 1, calls)
		r = scheduler.NewTaskRunner(scheduler.Pause(scheduler.Rounds(9)), &scheduler.RunnerOptions{
			Progress: func(context.Context) error { calls++; return fails },
		})
	}
}

// A Wait that ends early ends no pause.
func TestRun_goes_on_waiting_after_an_early_end(t *testing.T) {
	t.Parallel()
	clock := &earlyClock{Clock: schedulertest.NewClock(time.Time{})}
	began := clock.Now()
	err := scheduler.Run(t.Context(), scheduler.Pause(scheduler.Rounds(5)), &scheduler.RunnerOptions{Clock: clock, Wait: time.Second})
	require.NoError(t, err)
	require.Equal(t, 4*time.Second, clock.Now().Sub(began), "the first pause is none")
}

// A runner inside another says by Wake as well that its task has become due.
func TestTaskRunner_Wake_inside_another(t *testing.T) {
	var e scheduler.Event
	wakes := 0
	inner := scheduler.NewTaskRunner(scheduler.Pause(scheduler.On(&e)), &scheduler.RunnerOptions{Wake: func() { wakes++ }})
	r := startRunner(t, scheduler.Subrun(inner), nil)
	require.Zero(t, wakes)
	e.Set()
	require.True(t, r.Due().Ready())
	require.Equal(t, 1, wakes)
	require.True(t, mustStep(t, t.Context(), r))
	require.Equal(t, 1, wakes)
}

// The outermost runner is woken once for an event.
func TestTaskRunner_Wake_for_an_event(t *testing.T) {
	var e scheduler.Event
	wakes := 0
	r := startRunner(t, scheduler.Pause(scheduler.On(&e)), &scheduler.RunnerOptions{Wake: func() { wakes++ }})
	e.Set()
	require.True(t, r.Due().Ready())
	require.True(t, mustStep(t, t.Context(), r))
	require.Equal(t, 1, wakes)
}

// What a task does to its own runner in a step cuts no pause short.
func TestRun_pauses_though_a_task_limits_its_own_runner(t *testing.T) {
	t.Parallel()
	var r *scheduler.TaskRunner
	task := &fakeTask{}
	task.step = func(context.Context) (scheduler.Yield, error) {
		if task.steps == 3 {
			return scheduler.Done, nil
		}
		r.CancelAfter(time.Hour)
		return scheduler.Rounds(2), nil
	}
	clock := newClock()
	begin := clock.Now()
	r = scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: clock, Wait: time.Minute})
	require.NoError(t, r.Run(t.Context()))
	require.Equal(t, 3*time.Minute, clock.Now().Sub(begin), "the first pause is none")
}

// A Progress that ends the runner before it panics leaves it with its own end.
func TestAsTask_Progress_panics_after_the_end(t *testing.T) {
	var r *scheduler.TaskRunner
	task := &fakeTask{step: forever}
	r = scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Progress: func(context.Context) error {
		_ = r.Cancel()
		panic("progress")
	}})
	as := r.AsTask(0)
	mustStep(t, t.Context(), as)
	require.PanicsWithValue(t, "progress", func() { _, _ = as.Step(t.Context()) })
	require.Equal(t, scheduler.ErrCancelled, r.Err())
	require.Equal(t, 1, task.closes)
}

// A task that was not started is not told to end.
func TestAsTask_Stop_before_the_start(t *testing.T) {
	task := &fakeTask{}
	as := scheduler.NewTaskRunner(task, nil).AsTask(0)
	as.(scheduler.Stopper).Stop(t.Context(), errBoom)
	require.Empty(t, task.causes)
	require.NoError(t, as.Close())
	require.Zero(t, task.closes)
}

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
	inBubble(t, "by an event from another goroutine, at once", func(t *testing.T) {
		var event scheduler.Event
		task := &fakeTask{yields: []scheduler.Yield{scheduler.On(&event)}}
		start := time.Now()
		go func() {
			sleep(time.Minute)
			event.Set()
		}()
		require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Wait: time.Hour}))
		require.Equal(t, time.Minute, time.Since(start))
		require.Equal(t, 2, task.steps, "a parked task is not touched")
	})
	inBubble(t, "out of a pause between rounds", func(t *testing.T) {
		var event scheduler.Event
		task := &fakeTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Next.Or(scheduler.On(&event)), scheduler.Next.Or(scheduler.After(time.Second))}}
		start := time.Now()
		go func() {
			sleep(time.Minute)
			event.Set()
		}()
		require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Wait: time.Hour}))
		require.Equal(t, time.Minute+time.Second, time.Since(start), "an event and a time cut it short")
		require.Equal(t, 4, task.steps)
	})
	inBubble(t, "by its time although its event never comes", func(t *testing.T) {
		task := &fakeTask{yields: []scheduler.Yield{scheduler.On(new(scheduler.Event)).Or(scheduler.After(time.Minute))}}
		start := time.Now()
		require.NoError(t, scheduler.Run(t.Context(), task, nil))
		require.Equal(t, time.Minute, time.Since(start))
		require.Equal(t, 2, task.steps)
	})
	inBubble(t, "for nothing and sleeps on", func(t *testing.T) {
		var first, second scheduler.Event
		task := &fakeTask{yields: []scheduler.Yield{scheduler.On(&first), scheduler.On(&second)}}
		r := scheduler.NewTaskRunner(task, nil)
		start := time.Now()
		go func() {
			for range 10 { // only the first one means something
				sleep(time.Second)
				first.Set()
			}
			second.Set()
		}()
		require.NoError(t, r.RunWith(t.Context(), 0, 0))
		require.Equal(t, 10*time.Second, time.Since(start))
		require.Equal(t, 3, task.steps)
	})
}

func TestRun_context(t *testing.T) {
	t.Parallel()
	t.Run("that ended before: the task is not started", func(t *testing.T) {
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
	inBubble(t, "that ends while the run sleeps", func(t *testing.T) {
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
	t.Run("that ends: the result is joined with what failed", func(t *testing.T) {
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
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, scheduler.Run(ctx, &fakeTask{yields: []scheduler.Yield{scheduler.Next}}, nil))
		cancel()
	})
	t.Run("that has ended is no matter for Step", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := scheduler.NewTaskRunner(&fakeTask{yields: []scheduler.Yield{scheduler.Next}}, nil)
		require.NoError(t, r.Start(ctx, 0))
		require.True(t, mustStep(t, ctx, r))
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
		check(t, scheduler.Run(t.Context(), scheduler.Func(inner), &scheduler.RunnerOptions{Name: "outer"}), "outer")
	})
	t.Run("RunToCompletion", func(t *testing.T) {
		r := startRunner(t, &fakeTask{step: forever}, &scheduler.RunnerOptions{Name: "inner"})
		check(t, scheduler.Run(t.Context(), scheduler.Func(func(ctx context.Context) error {
			return r.RunToCompletion(ctx, 0)
		}), &scheduler.RunnerOptions{Name: "outer"}), "outer")
		require.NoError(t, r.Cancel())
	})
	t.Run("of a group that nobody runs", func(t *testing.T) {
		g := newGroup(t, "a", func(string) scheduler.Task { return scheduler.Func(inner) }, &scheduler.GroupOptions[string]{Name: "outer"})
		_, err := g.Step(t.Context())
		check(t, err, "outer")
	})
	t.Run("of a member of a group in a runner", func(t *testing.T) {
		check(t, scheduler.Run(t.Context(), scheduler.All(scheduler.Func(inner)), &scheduler.RunnerOptions{Name: "outer"}), "outer")
	})
	t.Run("the outermost, whatever clocks there are on the way", func(t *testing.T) {
		for _, ctx := range []context.Context{t.Context(), scheduler.WithClock(t.Context(), newClock())} {
			middle := scheduler.NewTaskRunner(scheduler.Func(inner), &scheduler.RunnerOptions{Name: "middle", Clock: newClock()})
			check(t, scheduler.NewTaskRunner(middle.AsTask(0), &scheduler.RunnerOptions{Name: "outer"}).RunWith(ctx, 0, 0), "outer")
		}
	})
	t.Run("but not inside a blocking call", func(t *testing.T) {
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Blocking(inner), &scheduler.RunnerOptions{Name: "outer"}))
	})
	t.Run("nor between steps", func(t *testing.T) {
		outer := startRunner(t, &fakeTask{yields: []scheduler.Yield{scheduler.Next}}, nil)
		require.NoError(t, inner(t.Context()))
		require.NoError(t, outer.RunToCompletion(t.Context(), 0))
	})
	t.Run("nor by hand", func(t *testing.T) {
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

// deep calls f with some more functions on the stack.
func deep(calls int, f func()) {
	if calls > 0 {
		deep(calls-1, f)
		return
	}
	f()
}

// A run without the context of the step around it is refused however deep it is, and
// one that only comes while another run is under way is not.
func TestRun_inside_a_step_is_refused_at_any_depth(t *testing.T) {
	t.Parallel()
	inner := func() error { return scheduler.Run(context.Background(), &fakeTask{}, nil) }
	require.NoError(t, scheduler.Run(t.Context(), scheduler.Func(func(context.Context) error {
		for calls := range 150 {
			var inside, beside error
			deep(calls, func() { inside = inner() })
			_ = asError[*scheduler.NestedRunError](t, inside)
			onGoroutine(func() { deep(calls, func() { beside = inner() }) })
			require.NoError(t, beside)
		}
		return nil
	}), nil))
}

// A run inside a call is an outermost one: its steps can be watched.
func TestWatchdog_of_a_run_inside_a_call(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Blocking(func(ctx context.Context) error {
			return scheduler.Run(ctx, &fakeTask{}, &scheduler.RunnerOptions{
				Watchdog: scheduler.Watchdog{After: time.Hour, Report: func(scheduler.StuckStep) {}},
			})
		}), nil))
	})
}

func TestNow(t *testing.T) {
	t.Parallel()
	inBubble(t, "outside a run is the system's", func(t *testing.T) {
		require.Equal(t, time.Now(), scheduler.Now(t.Context()))
	})
	t.Run("in a step is the run's", func(t *testing.T) {
		clock := newClock()
		require.NoError(t, scheduler.Run(t.Context(), scheduler.All(scheduler.Wrap(func(co *scheduler.Coroutine) error {
			require.Equal(t, clock.Now(), scheduler.Now(co.Context()))
			before := clock.Now()
			require.NoError(t, co.Yield(scheduler.At(scheduler.Now(co.Context()).Add(time.Hour))))
			require.Equal(t, before.Add(time.Hour), scheduler.Now(co.Context()))
			return nil
		})), &scheduler.RunnerOptions{Clock: clock}))
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
	g := groupOver(t, deps, func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }, nil)
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

// A runner inside of a run takes its clock as it is: whether that can be reckoned with was
// asked at the start of the run.
func TestWithClock_inside_of_a_run(t *testing.T) {
	t.Parallel()
	clock := newClock()
	r := startRunner(t, scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Yield(scheduler.Next); err != nil {
			return err
		}
		return co.Await(scheduler.Subrun(scheduler.NewTaskRunner(lasting0, nil)))
	}), &scheduler.RunnerOptions{Clock: clock})
	clock.Advance(schedulertest.NewClock(time.Date(2262, 6, 1, 0, 0, 0, 0, time.UTC)).Now().Sub(clock.Now()))
	require.True(t, mustStep(t, t.Context(), r))
}

// A runner that starts behind a decorator which is stepped by hand has the system's clock.
func TestRunner_without_a_run_around_it(t *testing.T) {
	t.Parallel()
	for name, around := range map[string]func(scheduler.Task) scheduler.Task{
		"Shield": scheduler.Shield,
		"Claiming": func(task scheduler.Task) scheduler.Task {
			return scheduler.Claiming([]scheduler.Claim{{Limiter: limiter(1), Weight: 1}}, task)
		},
	} {
		require.Equal(t, scheduler.Done, mustStep(t, t.Context(), around(scheduler.Subrun(scheduler.NewTaskRunner(lasting0, nil)))), name)
	}
}

// A runner needs nothing for its start but what it has.
func TestTaskRunner_starts_without_allocating(t *testing.T) {
	const n = 100
	runners := make([]*scheduler.TaskRunner, n+1)
	for i := range runners {
		runners[i] = scheduler.NewTaskRunner(scheduler.Pause(scheduler.Next), nil)
	}
	next, allocs := 0, 0.0
	mustStep(t, t.Context(), newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Func(func(ctx context.Context) error {
			allocs = testing.AllocsPerRun(n, func() {
				require.NoError(t, runners[next].Start(ctx, 0))
				next++
			})
			return nil
		})
	}, nil))
	require.Zero(t, allocs)
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
	inBubble(t, "keeps a bubble's time", func(t *testing.T) {
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
	inBubble(t, "waits for an event without a time", func(t *testing.T) {
		var e scheduler.Event
		time.AfterFunc(time.Hour, e.Set)
		start := time.Now()
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Pause(scheduler.On(&e)), nil))
		require.Equal(t, time.Hour, time.Since(start))
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
					sleep(time.Second)
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
			group := groupOver(t, deps, func(k string) scheduler.Task {
				return call(func(ctx context.Context) error {
					_, limited := ctx.Deadline()
					require.False(t, limited, "nothing of simulated time is known to the context")
					if k == "b" {
						return errOops
					}
					return nil
				})
			}, &scheduler.GroupOptions[string]{AggregateErrors: true, Observer: recorder})
			err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock, Timeout: 4 * time.Hour})
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
