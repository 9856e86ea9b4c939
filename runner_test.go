package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

var errBoom = errors.New("boom")

// bareTask is a task without Throw and Stop. It yields the entries of yields in
// turn and then is done, unless onStep says something else.
type bareTask struct {
	yields  []scheduler.Yield
	onStep  func(ctx context.Context) (scheduler.Yield, error)
	onClose func() error

	steps, closes int
}

func (b *bareTask) Step(ctx context.Context) (scheduler.Yield, error) {
	b.steps++
	switch {
	case b.onStep != nil:
		return b.onStep(ctx)
	case b.steps > len(b.yields):
		return scheduler.Done, nil
	}
	return b.yields[b.steps-1], nil
}

func (b *bareTask) Close() error {
	b.closes++
	if b.onClose != nil {
		return b.onClose()
	}
	return nil
}

func (b *bareTask) String() string { return "bare" }

// throwerTask is one with Throw: by default it passes on what is thrown in.
type throwerTask struct {
	bareTask
	onThrow func(err error) (scheduler.Yield, error)
	thrown  []error
}

func (b *throwerTask) Throw(_ context.Context, err error) (scheduler.Yield, error) {
	b.thrown = append(b.thrown, err)
	if b.onThrow != nil {
		return b.onThrow(err)
	}
	return scheduler.Yield{}, err
}

// stopperTask is one with Stop too.
type stopperTask struct {
	throwerTask
	onStop func(ctx context.Context)
	causes []error
}

func (b *stopperTask) Stop(ctx context.Context, cause error) {
	b.causes = append(b.causes, cause)
	if b.onStop != nil {
		b.onStop(ctx)
	}
}

var (
	_ scheduler.Thrower = (*throwerTask)(nil)
	_ scheduler.Stopper = (*stopperTask)(nil)
)

// forever is a step that asks for the next round for ever.
func forever(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil }

// always returns a throw's answer that is always the same.
func always(y scheduler.Yield, err error) func(error) (scheduler.Yield, error) {
	return func(error) (scheduler.Yield, error) { return y, err }
}

// newClock returns a simulated clock on which a run that waits for ever fails
// the test in place of hanging it.
func newClock() *schedulertest.Clock { return schedulertest.NewClock(time.Time{}).Alone() }

// short names errors for tables.
func short(err error) string {
	var timeout *scheduler.Timeout
	var names []string
	add := func(is bool, name string) {
		if is {
			names = append(names, name)
		}
	}
	add(errors.Is(err, scheduler.ErrStarted), "ErrStarted")
	add(errors.Is(err, scheduler.ErrNotStarted), "ErrNotStarted")
	add(errors.Is(err, scheduler.ErrCancelled), "ErrCancelled")
	add(errors.Is(err, scheduler.ErrAborted), "ErrAborted")
	add(errors.As(err, &timeout), "Timeout")
	add(errors.Is(err, errBoom), "boom")
	add(errors.Is(err, errOther), "other")
	switch {
	case err == nil:
		return "nil"
	case names == nil:
		return err.Error()
	}
	return strings.Join(names, "+")
}

// TestTaskRunner_states holds the runner to the table in the comment of
// TaskRunner, written out: in each state, what each method returns, and the state
// after it: n(ew), s(tarted), d(one), and Err.
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
			require.NoError(t, r.Run(ctx, 0, 0))
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
		{"Run", func(r *runner) string { return short(r.Run(ctx, 0, 0)) }},
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
			"nil s nil", "false ErrNotStarted n nil", "nil sd nil", "ErrNotStarted n nil",
			"false nil s nil", "false boom n nil", "nil d ErrCancelled",
			" d ErrCancelled", "true nil d ErrCancelled", "nil d ErrCancelled", " d ErrCancelled", "true nil d ErrCancelled",
			" n nil", "false ErrNotStarted n nil",
		},
		"started": {
			"ErrStarted s nil", "false nil s nil", "ErrStarted s nil", "nil sd nil",
			"false nil s nil", "false boom sd boom", "nil sd ErrCancelled",
			" s nil", "true other sd other", "nil sd ErrCancelled", " s nil", "true nil sd ErrCancelled",
			" s nil", "true boom sd boom",
		},
		"stopped": {
			"ErrStarted s nil", "true other sd other", "ErrStarted s nil", "other sd other",
			"false other sd other", "false boom+other sd boom+other", "nil sd ErrCancelled",
			" s nil", "true other sd other", "nil sd ErrCancelled", " s nil", "true other sd other",
			" s nil", "true boom+other sd boom+other",
		},
		"complete":      ended("nil", "ErrStarted sd"),
		"failed":        ended("boom", "ErrStarted sd"),
		"timed out":     ended("Timeout", "ErrStarted sd"),
		"cancelled":     ended("ErrCancelled", "ErrStarted sd"),
		"never started": ended("ErrCancelled", "ErrCancelled d"),
	}
	for _, state := range states {
		require.Len(t, want[state.name], len(events))
		for i, event := range events {
			t.Run(state.name+"/"+event.name, func(t *testing.T) {
				t.Parallel()
				task := &throwerTask{bareTask: bareTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Next, scheduler.Next}}}
				r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: newClock()})
				state.reach(t, r)
				result := event.do(r)
				flags := ""
				if r.Started() {
					flags += "s"
				}
				if r.Done() {
					flags += "d"
				}
				if flags == "" {
					flags = "n"
				}
				require.Equal(t, want[state.name][i], fmt.Sprintf("%s %s %s", result, flags, short(r.Err())))
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

// ended is the row of a state in which the runner has ended: nothing changes it.
func ended(err, start string) []string {
	flags := start[strings.IndexByte(start, ' ')+1:]
	again := start[:strings.IndexByte(start, ' ')]
	run := "nil"
	asTask := "true nil"
	if flags == "d" { // never started: it never will be
		run, asTask = "ErrNotStarted", "false ErrCancelled"
	}
	results := []string{
		again, "true nil", again, run, asTask, "false boom", "nil",
		"", "true nil", "nil", "", "true nil", "", "true nil",
	}
	row := make([]string, len(results))
	for i, result := range results {
		row[i] = fmt.Sprintf("%s %s %s", result, flags, err)
	}
	return row
}

func TestTaskRunner_of_an_ended_task_drops_it(t *testing.T) {
	t.Parallel()
	task := &bareTask{}
	r := scheduler.NewTaskRunner(task, nil)
	require.NoError(t, r.Run(t.Context(), 0, 0))
	done, err := r.Step(t.Context())
	require.True(t, done)
	require.NoError(t, err)
	require.NoError(t, r.Cancel())
	require.Equal(t, 1, task.steps, "it is never called again")
	require.Zero(t, task.closes)
	require.Equal(t, "bare", r.String())
}

func TestNewTaskRunner_panics_for_bad_options(t *testing.T) {
	t.Parallel()
	task := &bareTask{}
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
			t.Parallel()
			var option *scheduler.OptionError
			require.ErrorAs(t, scheduler.Run(t.Context(), c.task, c.opts), &option)
			require.Equal(t, c.want, option.Error())
			require.PanicsWithError(t, c.want, func() { scheduler.NewTaskRunner(c.task, c.opts) })
		})
	}
	t.Run("negative wait of a run", func(t *testing.T) {
		t.Parallel()
		r := scheduler.NewTaskRunner(task, nil)
		require.EqualError(t, r.Run(t.Context(), 0, -1), "scheduler: wait: negative duration -1ns")
		require.False(t, r.Started())
	})
	t.Run("nil interrupt", func(t *testing.T) {
		t.Parallel()
		r := scheduler.NewTaskRunner(task, nil)
		require.PanicsWithValue(t, "scheduler: TaskRunner.Interrupt: nil error", func() { r.Interrupt(nil) })
	})
}

func TestTaskRunner_steps(t *testing.T) {
	t.Parallel()
	task := &bareTask{yields: []scheduler.Yield{
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
			task: &bareTask{onStep: forever}, result: "Timeout", err: "Timeout", after: limit,
		},
		"without Throw, close fails": {
			task:   &bareTask{onStep: forever, onClose: func() error { return errBoom }},
			result: "Timeout+boom", err: "Timeout+boom", after: limit,
		},
		"passed on": {
			task: &throwerTask{bareTask: bareTask{onStep: forever}}, result: "Timeout", err: "Timeout", after: limit,
		},
		"answered by another error": {
			task:   &throwerTask{bareTask: bareTask{onStep: forever}, onThrow: always(scheduler.Yield{}, errOther)},
			result: "other", err: "other", after: limit,
		},
		"answered by ending": {
			task:   &throwerTask{bareTask: bareTask{onStep: forever}, onThrow: always(scheduler.Done, nil)},
			result: "nil", err: "Timeout", after: limit,
		},
		"answered by going on": {
			task:   &throwerTask{bareTask: bareTask{onStep: forever}, onThrow: always(scheduler.Next, nil)},
			result: "nil", err: "Timeout", after: limit,
		},
		"answered by going on, close fails": {
			task: &throwerTask{
				bareTask: bareTask{onStep: forever, onClose: func() error { return errBoom }},
				onThrow:  always(scheduler.Next, nil),
			},
			result: "boom", err: "Timeout+boom", after: limit,
		},
		"answered by the zero Yield": {
			task:   &throwerTask{bareTask: bareTask{onStep: forever}, onThrow: always(scheduler.Yield{}, nil)},
			result: scheduler.ErrNoYield.Error(), err: scheduler.ErrNoYield.Error(), after: limit,
		},
		"grace, passed on": {
			task: &throwerTask{bareTask: bareTask{onStep: forever}}, grace: grace, result: "Timeout", err: "Timeout", after: limit,
		},
		"grace, goes on for ever": {
			task:  &throwerTask{bareTask: bareTask{onStep: forever}, onThrow: always(scheduler.Next, nil)},
			grace: grace, result: "Timeout", err: "Timeout", after: limit + grace + time.Second,
		},
		"grace, goes on parked for ever": {
			task:  &throwerTask{bareTask: bareTask{onStep: forever}, onThrow: always(scheduler.On(new(scheduler.Event)), nil)},
			grace: grace, result: "Timeout", err: "Timeout", after: limit + grace,
		},
		"grace, close fails": {
			task: &throwerTask{
				bareTask: bareTask{onStep: forever, onClose: func() error { return errBoom }},
				onThrow:  always(scheduler.On(new(scheduler.Event)), nil),
			},
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
			t.Parallel()
			clock := newClock()
			start := clock.Now()
			r := scheduler.NewTaskRunner(c.task, &scheduler.RunnerOptions{Grace: c.grace, Clock: clock})
			require.Equal(t, c.result, short(r.Run(t.Context(), limit, time.Second)))
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
		t.Parallel()
		task := &bareTask{onStep: forever}
		d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Timeout: time.Second})
		d.Step()
		d.Clock.Advance(time.Second)
		require.False(t, d.Step())
		d.Clock.Advance(1)
		require.True(t, d.Step())
		require.Equal(t, "bare: timed out after 1s", d.Err().Error())
		require.Equal(t, 2, task.steps)
		require.Equal(t, 1, task.closes)
	})
	t.Run("not if the task ends late", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		r := scheduler.NewTaskRunner(scheduler.Func(func(context.Context) error {
			clock.Advance(time.Hour)
			return nil
		}), &scheduler.RunnerOptions{Clock: clock})
		require.NoError(t, r.Start(t.Context(), time.Second))
		require.NoError(t, r.Err())
	})
	t.Run("before the first line if negative", func(t *testing.T) {
		t.Parallel()
		for _, opts := range []*scheduler.RunnerOptions{nil, {Timeout: time.Hour}, {Timeout: -time.Second}} {
			task := &throwerTask{}
			r := scheduler.NewTaskRunner(task, opts)
			err := r.Run(t.Context(), -1, 0)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Zero(t, task.steps)
			require.Empty(t, task.thrown)
			require.Zero(t, task.closes)
		}
	})
	t.Run("for a parked task, which its own deadline wakes", func(t *testing.T) {
		t.Parallel()
		task := &throwerTask{bareTask: bareTask{yields: []scheduler.Yield{scheduler.On(new(scheduler.Event))}}}
		clock := newClock()
		start := clock.Now()
		err := scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Timeout: time.Minute, Clock: clock})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute+1, clock.Now().Sub(start))
		require.Equal(t, 1, task.steps)
	})
	t.Run("while rounds are counted", func(t *testing.T) {
		t.Parallel()
		d := schedulertest.NewDriver(t, &bareTask{yields: []scheduler.Yield{scheduler.Rounds(100)}}, &scheduler.RunnerOptions{Timeout: time.Second})
		d.Step()
		d.Clock.Advance(time.Second + 1)
		require.True(t, d.Step())
		require.ErrorIs(t, d.Err(), context.DeadlineExceeded)
	})
	t.Run("at the earlier of two limits", func(t *testing.T) {
		t.Parallel()
		for _, limits := range [][2]time.Duration{{time.Second, time.Hour}, {time.Hour, time.Second}} {
			clock := newClock()
			r := scheduler.NewTaskRunner(&bareTask{onStep: forever}, &scheduler.RunnerOptions{Timeout: limits[0], Clock: clock})
			var timeout *scheduler.Timeout
			require.ErrorAs(t, r.Run(t.Context(), limits[1], time.Minute), &timeout)
			require.Equal(t, time.Second, timeout.Limit)
			require.True(t, timeout.Of(r))
		}
	})
}

func TestTaskRunner_deadlines_only_come_nearer(t *testing.T) {
	t.Parallel()
	parked := []scheduler.Yield{scheduler.On(new(scheduler.Event))}
	t.Run("CancelAfter before the timeout", func(t *testing.T) {
		t.Parallel()
		task := &throwerTask{bareTask: bareTask{yields: parked}}
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
		t.Parallel()
		task := &bareTask{yields: parked, onClose: func() error { return errBoom }}
		r := scheduler.NewTaskRunner(task, nil)
		require.NoError(t, r.Start(t.Context(), 0))
		r.CancelAfter(-1)
		done, err := r.Step(t.Context())
		require.True(t, done)
		require.Equal(t, "boom", short(err))
		require.Equal(t, "ErrCancelled+boom", short(r.Err()))
	})
	t.Run("CancelAfter beside an earlier timeout with a grace", func(t *testing.T) {
		t.Parallel()
		task := &throwerTask{bareTask: bareTask{yields: parked}, onThrow: always(parked[0], nil)}
		d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Timeout: time.Minute, Grace: time.Hour})
		d.Step()
		d.Runner.CancelAfter(2 * time.Minute)
		start := d.Clock.Now()
		require.Equal(t, "Timeout", short(d.RunToEnd()))
		require.Equal(t, 2*time.Minute+1, d.Clock.Now().Sub(start), "the grace of the timeout does not put the cancellation off")
		require.Len(t, task.thrown, 1)
	})
	t.Run("Stop beside an earlier timeout", func(t *testing.T) {
		t.Parallel()
		task := &stopperTask{throwerTask: throwerTask{bareTask: bareTask{yields: parked}, onThrow: always(parked[0], nil)}}
		d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Timeout: 50 * time.Second, Grace: time.Minute})
		d.Step()
		d.Runner.Stop(errOther)
		start := d.Clock.Now()
		require.Equal(t, "Timeout+other", short(d.RunToEnd()))
		require.Equal(t, time.Minute+1, d.Clock.Now().Sub(start), "it is closed when the grace of Stop is over")
		require.Equal(t, []error{errOther}, task.causes)
	})
	t.Run("Stop in the grace of a timeout", func(t *testing.T) {
		t.Parallel()
		task := &throwerTask{bareTask: bareTask{yields: parked}, onThrow: always(scheduler.On(new(scheduler.Event)), nil)}
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
		t.Parallel()
		task := &stopperTask{throwerTask: throwerTask{bareTask: bareTask{onStep: forever}}}
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
		t.Parallel()
		task := &stopperTask{throwerTask: throwerTask{bareTask: bareTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}}}}
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
		t.Parallel()
		var d *schedulertest.Driver
		d = schedulertest.NewDriver(t, scheduler.Func(func(context.Context) error {
			d.Runner.Stop(errBoom)
			return nil
		}), nil)
		require.True(t, d.Step())
		require.Equal(t, errBoom, d.Err())
	})
	t.Run("joins the cause with what failed meanwhile", func(t *testing.T) {
		t.Parallel()
		task := &bareTask{onStep: forever, onClose: func() error { return errOther }}
		d := schedulertest.NewDriver(t, task, nil)
		d.Step()
		d.Runner.Stop(errBoom)
		require.Equal(t, "boom+other", short(d.RunToEnd()))
		require.EqualError(t, d.Err(), "boom\nother")
	})
	t.Run("whose notice panics", func(t *testing.T) {
		t.Parallel()
		task := &stopperTask{
			throwerTask: throwerTask{bareTask: bareTask{onStep: forever}},
			onStop:      func(context.Context) { panic("no") },
		}
		r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Grace: 1})
		require.NoError(t, r.Start(t.Context(), 0))
		r.Stop(nil)
		require.PanicsWithValue(t, "no", func() { _, _ = r.Step(t.Context()) })
		require.Equal(t, scheduler.ErrAborted, r.Err())
	})
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
			t.Parallel()
			task := &bareTask{onStep: forever, onClose: c.close}
			r := scheduler.NewTaskRunner(task, nil)
			require.NoError(t, r.Start(t.Context(), 0))
			require.Equal(t, c.result, short(r.Cancel()))
			require.Equal(t, c.err, short(r.Err()))
			require.Equal(t, 1, task.closes)
			require.NoError(t, r.Cancel())
			require.Equal(t, 1, task.closes)
		})
	}
}

func TestTaskRunner_Interrupt(t *testing.T) {
	t.Parallel()
	parked := []scheduler.Yield{scheduler.After(time.Hour), scheduler.Next}
	t.Run("reaches a parked task in place of the step", func(t *testing.T) {
		t.Parallel()
		task := &throwerTask{bareTask: bareTask{yields: parked}, onThrow: always(scheduler.Rounds(2), nil)}
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
		t.Parallel()
		task := &throwerTask{bareTask: bareTask{yields: parked}, onThrow: always(scheduler.Next, nil)}
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
		t.Parallel()
		task := &throwerTask{}
		r := scheduler.NewTaskRunner(task, nil)
		r.Interrupt(errBoom)
		require.Equal(t, errBoom, r.Start(t.Context(), 0))
		require.Zero(t, task.steps)
		require.Empty(t, task.thrown)
		require.True(t, r.Done())
	})
	t.Run("with ErrClosed closes the task", func(t *testing.T) {
		t.Parallel()
		for _, closing := range []error{nil, errBoom} {
			task := &throwerTask{bareTask: bareTask{yields: parked, onClose: func() error { return closing }}}
			d := schedulertest.NewDriver(t, task, nil)
			d.Step()
			d.Runner.Interrupt(scheduler.ErrClosed)
			done, err := d.Runner.Step(t.Context())
			require.True(t, done)
			require.Equal(t, closing, err)
			require.ErrorIs(t, d.Err(), scheduler.ErrCancelled)
			require.Equal(t, closing != nil, errors.Is(d.Err(), errBoom))
			require.Empty(t, task.thrown)
			require.Equal(t, 1, task.closes)
		}
		task := &throwerTask{}
		r := scheduler.NewTaskRunner(task, nil)
		r.Interrupt(scheduler.ErrClosed)
		require.Equal(t, scheduler.ErrCancelled, r.Run(t.Context(), 0, 0), "one that was not started never ran")
		require.Equal(t, scheduler.ErrCancelled, r.Err())
		require.Zero(t, task.steps)
		require.Zero(t, task.closes)
	})
	t.Run("from many goroutines", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			task := &throwerTask{bareTask: bareTask{onStep: func(context.Context) (scheduler.Yield, error) {
				return scheduler.On(new(scheduler.Event)), nil
			}}}
			woken := make(chan struct{}, 100)
			r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Wake: func() { woken <- struct{}{} }})
			var interrupts sync.WaitGroup
			for range 8 {
				interrupts.Go(func() {
					time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
					r.Interrupt(errBoom)
				})
			}
			start := time.Now()
			require.Equal(t, errBoom, r.Run(t.Context(), 0, time.Hour))
			require.Equal(t, time.Minute, time.Since(start), "it wakes a sleeping run at once")
			interrupts.Wait()
			require.Len(t, woken, 8, "Wake is called for each")
		})
	})
}

func TestTaskRunner_Progress(t *testing.T) {
	t.Parallel()
	t.Run("is called before each step but the first", func(t *testing.T) {
		t.Parallel()
		for _, how := range []string{"Run", "RunToCompletion", "AsTask"} {
			task := &bareTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Next, scheduler.Next}}
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
				require.NoError(t, r.Run(t.Context(), 0, 0))
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
		t.Parallel()
		for _, asTask := range []bool{false, true} {
			task := &throwerTask{bareTask: bareTask{yields: []scheduler.Yield{scheduler.Rounds(100)}}}
			r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{
				Progress: func(context.Context) error { return errBoom },
			})
			if asTask {
				require.Equal(t, errBoom, scheduler.Run(t.Context(), r.AsTask(0), nil))
			} else {
				require.Equal(t, errBoom, r.Run(t.Context(), 0, 0))
			}
			require.Equal(t, 1, task.steps)
			require.Equal(t, []error{errBoom}, task.thrown)
		}
	})
}

func TestTaskRunner_AsTask(t *testing.T) {
	t.Parallel()
	t.Run("has a deadline of its own", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		inner := scheduler.NewTaskRunner(&bareTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}}, &scheduler.RunnerOptions{Name: "inner"})
		err := scheduler.Run(t.Context(), inner.AsTask(time.Minute), &scheduler.RunnerOptions{Clock: clock})
		require.EqualError(t, err, "inner: timed out after 1m0s")
		require.Equal(t, time.Minute+1, clock.Slept())
	})
	t.Run("of a started runner steps at once and only shortens its time", func(t *testing.T) {
		t.Parallel()
		for limit, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: time.Minute} {
			clock := newClock()
			task := &bareTask{yields: []scheduler.Yield{scheduler.Next, scheduler.On(new(scheduler.Event))}}
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
		t.Parallel()
		clock := newClock()
		inner := scheduler.NewTaskRunner(&throwerTask{bareTask: bareTask{yields: []scheduler.Yield{scheduler.On(new(scheduler.Event))}}}, nil)
		d := schedulertest.NewDriver(t, inner.AsTask(0), &scheduler.RunnerOptions{Clock: clock})
		d.Step()
		require.True(t, d.Parked())
		inner.Interrupt(errBoom)
		require.False(t, d.Parked())
		require.Equal(t, errBoom, d.RunToEnd())
	})
	t.Run("passes on throw, stop and close", func(t *testing.T) {
		t.Parallel()
		task := &stopperTask{throwerTask: throwerTask{bareTask: bareTask{onStep: forever}, onThrow: always(scheduler.Next, nil)}}
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
		t.Parallel()
		inner := scheduler.NewTaskRunner(&bareTask{onStep: forever}, nil)
		d := schedulertest.NewDriver(t, inner.AsTask(0), nil)
		d.Step()
		require.NoError(t, inner.Cancel())
		require.True(t, d.Step())
		require.NoError(t, d.Err())
	})
	t.Run("with a clock of its own", func(t *testing.T) {
		t.Parallel()
		own := schedulertest.NewClock(time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC))
		var read []time.Time
		look := func(ctx context.Context) (scheduler.Yield, error) {
			read = append(read, scheduler.Now(ctx))
			return scheduler.Next, nil
		}
		inner := scheduler.NewTaskRunner(&stopperTask{throwerTask: throwerTask{bareTask: bareTask{onStep: look}}},
			&scheduler.RunnerOptions{Clock: own})
		d := schedulertest.NewDriver(t, inner.AsTask(0), &scheduler.RunnerOptions{Grace: time.Hour})
		d.Step()
		d.Runner.Stop(nil)
		d.Step()
		require.Equal(t, []time.Time{own.Now(), own.Now()}, read)
	})
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
			t.Parallel()
			clock := newClock()
			require.NoError(t, scheduler.Run(t.Context(), &bareTask{yields: c.yields}, &scheduler.RunnerOptions{Clock: drained{clock}, Wait: c.wait}))
			require.Equal(t, c.want, clock.Pauses(), "the first pause after a round is zero")

			if c.yields == nil {
				return
			}
			clock = newClock()
			r := scheduler.NewTaskRunner(&bareTask{yields: c.yields}, &scheduler.RunnerOptions{Clock: drained{clock}})
			require.NoError(t, r.Start(t.Context(), 0))
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

// drained is a clock that does not care for wakes, so that a pause is one
// whether or not a wake is left from the step before.
type drained struct{ *schedulertest.Clock }

func (c drained) Wait(until time.Time, wake <-chan struct{}) {
	select {
	case <-wake:
	default:
	}
	c.Clock.Wait(until, wake)
}

func setEvent() *scheduler.Event {
	e := new(scheduler.Event)
	e.Set()
	return e
}

func TestRun_is_woken(t *testing.T) {
	t.Parallel()
	t.Run("by an event from another goroutine, at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var event scheduler.Event
			task := &bareTask{yields: []scheduler.Yield{scheduler.On(&event)}}
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
			task := &bareTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Next.Or(scheduler.On(&event)), scheduler.Next.Or(scheduler.After(time.Second))}}
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
			task := &bareTask{yields: []scheduler.Yield{scheduler.On(new(scheduler.Event)).Or(scheduler.After(time.Minute))}}
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
			task := &bareTask{yields: []scheduler.Yield{scheduler.On(&first), scheduler.On(&second)}}
			r := scheduler.NewTaskRunner(task, nil)
			start := time.Now()
			go func() {
				for range 10 { // only the first one means something
					time.Sleep(time.Second) //nolint:forbidigo // in a bubble
					first.Set()
				}
				second.Set()
			}()
			require.NoError(t, r.Run(t.Context(), 0, 0))
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
		task := &bareTask{}
		r := scheduler.NewTaskRunner(task, nil)
		require.Equal(t, errBoom, r.Run(ctx, 0, 0))
		require.False(t, r.Started())
		require.Zero(t, task.steps)
		require.Equal(t, errBoom, scheduler.Run(ctx, task, nil))
		require.NoError(t, r.Run(t.Context(), 0, 0), "and can be started yet")
	})
	t.Run("that ended before RunToCompletion: it is stopped before its next step", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		task := &stopperTask{}
		task.onStep = func(ctx context.Context) (scheduler.Yield, error) {
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
		task := &bareTask{onStep: func(context.Context) (scheduler.Yield, error) {
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
			task := &stopperTask{}
			task.onStep = func(ctx context.Context) (scheduler.Yield, error) {
				require.NoError(t, ctx.Err(), "later steps get a context that has not ended")
				require.Equal(t, "v", ctx.Value(key{}))
				if len(task.causes) == 0 {
					return scheduler.After(time.Hour), nil
				}
				return scheduler.After(time.Second), nil
			}
			task.onStop = func(ctx context.Context) { require.NoError(t, ctx.Err()) }
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
		require.NoError(t, scheduler.Run(ctx, &bareTask{yields: []scheduler.Yield{scheduler.Next}}, nil))
		cancel()
	})
	t.Run("that has ended is no matter for Step", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := scheduler.NewTaskRunner(&bareTask{yields: []scheduler.Yield{scheduler.Next}}, nil)
		require.NoError(t, r.Start(ctx, 0))
		done, err := r.Step(ctx)
		require.True(t, done)
		require.NoError(t, err)
	})
}

func TestTaskRunner_panics_if_methods_overlap(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]func(ctx context.Context, r *scheduler.TaskRunner){
		"Start":  func(ctx context.Context, r *scheduler.TaskRunner) { _ = r.Start(ctx, 0) },
		"Step":   func(ctx context.Context, r *scheduler.TaskRunner) { _, _ = r.Step(ctx) },
		"Cancel": func(_ context.Context, r *scheduler.TaskRunner) { _ = r.Cancel() },
	} {
		want := "scheduler: TaskRunner." + name + " of bare called during a step"
		t.Run("inside a step/"+name, func(t *testing.T) {
			t.Parallel()
			var r *scheduler.TaskRunner
			task := &bareTask{onStep: func(ctx context.Context) (scheduler.Yield, error) {
				require.PanicsWithValue(t, want, func() { method(ctx, r) })
				return scheduler.Done, nil
			}}
			r = scheduler.NewTaskRunner(task, nil)
			require.NoError(t, r.Start(t.Context(), 0))
		})
		t.Run("from another goroutine/"+name, func(t *testing.T) {
			t.Parallel()
			var r *scheduler.TaskRunner
			task := &bareTask{onStep: func(ctx context.Context) (scheduler.Yield, error) {
				var other sync.WaitGroup
				other.Go(func() {
					defer func() { require.Equal(t, want, recover()) }()
					method(ctx, r)
				})
				other.Wait()
				return scheduler.Done, nil
			}}
			r = scheduler.NewTaskRunner(task, nil)
			require.NoError(t, r.Start(t.Context(), 0))
		})
	}
	t.Run("and can go on afterwards", func(t *testing.T) {
		t.Parallel()
		var r *scheduler.TaskRunner
		task := &bareTask{onStep: func(ctx context.Context) (scheduler.Yield, error) {
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

func TestRun_inside_a_step_is_refused(t *testing.T) {
	t.Parallel()
	inner := func(ctx context.Context) error {
		return scheduler.Run(ctx, &bareTask{}, &scheduler.RunnerOptions{Name: "inner"})
	}
	check := func(t *testing.T, err error, outer string) {
		t.Helper()
		var nested *scheduler.NestedRunError
		require.ErrorAs(t, err, &nested)
		require.Equal(t, &scheduler.NestedRunError{Outer: outer, Inner: "inner"}, nested)
		require.Equal(t, "scheduler: blocking run of inner inside a step of "+outer, nested.Error())
	}
	t.Run("of a runner", func(t *testing.T) {
		t.Parallel()
		check(t, scheduler.Run(t.Context(), scheduler.Func(inner), &scheduler.RunnerOptions{Name: "outer"}), "outer")
	})
	t.Run("RunToCompletion", func(t *testing.T) {
		t.Parallel()
		r := scheduler.NewTaskRunner(&bareTask{onStep: forever}, &scheduler.RunnerOptions{Name: "inner"})
		require.NoError(t, r.Start(t.Context(), 0))
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
		outer := scheduler.NewTaskRunner(&bareTask{yields: []scheduler.Yield{scheduler.Next}}, nil)
		require.NoError(t, outer.Start(t.Context(), 0))
		require.NoError(t, inner(t.Context()))
		require.NoError(t, outer.RunToCompletion(t.Context(), 0))
	})
	t.Run("nor by hand", func(t *testing.T) {
		t.Parallel()
		r := scheduler.NewTaskRunner(&bareTask{yields: []scheduler.Yield{scheduler.Next}}, nil)
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
				return &bareTask{onStep: func(context.Context) (scheduler.Yield, error) { return scheduler.Next, panics() }}
			},
			func(ctx context.Context, r *scheduler.TaskRunner) { _ = r.Start(ctx, 0) }, scheduler.ErrAborted,
		},
		"in Throw": {
			func() scheduler.Task {
				return &throwerTask{bareTask: bareTask{onStep: forever}, onThrow: func(error) (scheduler.Yield, error) { return scheduler.Next, panics() }}
			},
			func(ctx context.Context, r *scheduler.TaskRunner) {
				r.Interrupt(errBoom)
				_, _ = r.Step(ctx)
			}, scheduler.ErrAborted,
		},
		"in Close by Cancel": {
			func() scheduler.Task { return &bareTask{onStep: forever, onClose: panics} },
			func(_ context.Context, r *scheduler.TaskRunner) { _ = r.Cancel() }, scheduler.ErrCancelled,
		},
		"in Close by a step": {
			func() scheduler.Task { return &bareTask{onStep: forever, onClose: panics} },
			func(ctx context.Context, r *scheduler.TaskRunner) {
				r.Stop(nil)
				_, _ = r.Step(ctx)
			}, scheduler.ErrAborted,
		},
		"in Close after the zero Yield": {
			func() scheduler.Task {
				return &bareTask{yields: make([]scheduler.Yield, 1), onClose: panics}
			},
			func(ctx context.Context, r *scheduler.TaskRunner) { _ = r.Start(ctx, 0) }, scheduler.ErrAborted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task := c.task()
			r := scheduler.NewTaskRunner(task, nil)
			if !strings.Contains(name, "Step") && !strings.Contains(name, "zero") {
				require.NoError(t, r.Start(t.Context(), 0))
			}
			require.PanicsWithValue(t, value, func() { c.call(t.Context(), r) }, "it goes up as it is")
			require.True(t, r.Done())
			require.Equal(t, c.want, r.Err())
			done, err := r.Step(t.Context())
			require.True(t, done)
			require.NoError(t, err)
			require.NoError(t, r.Cancel(), "the task is never called again")
		})
	}
	t.Run("out of Run", func(t *testing.T) {
		t.Parallel()
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
		_ = r.Run(context.Background(), 0, 0)
		returned = true
	})
	driver.Wait()
	require.False(t, returned, "it ends the driving goroutine")
	require.Equal(t, scheduler.ErrAborted, r.Err())
}

func TestTaskRunner_zero_Yield(t *testing.T) {
	t.Parallel()
	task := &bareTask{yields: []scheduler.Yield{scheduler.Next, {}}, onClose: func() error { return errBoom }}
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
		task := &bareTask{yields: []scheduler.Yield{
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
			time.Sleep(10 * time.Minute) //nolint:forbidigo // in a bubble
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
			_, err := r.Step(t.Context())
			require.NoError(t, err)
			attempts++
		}
		require.Equal(t, 10*time.Minute, time.Since(start))
		require.Equal(t, 5, task.steps)
		require.Less(t, attempts, 8)
	})
}
