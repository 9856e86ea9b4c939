package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, asked := time.Now(), 0
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Poll(2*time.Second, func(context.Context) (bool, error) {
			asked++
			sleep(time.Second)
			return asked == 3, nil
		}), nil))
		require.Equal(t, 3, asked)
		require.Equal(t, 7*time.Second, time.Since(start), "three calls and two pauses")

		err := scheduler.Run(t.Context(), scheduler.Poll(time.Second, func(context.Context) (bool, error) {
			return true, errSpace
		}), nil)
		require.Equal(t, errSpace, err)
	})
}

func TestPoll_ends(t *testing.T) {
	for _, during := range []string{"a call", "a pause"} {
		inBubble(t, "by a timeout during "+during, func(t *testing.T) {
			start := time.Now()
			var cause error
			task := scheduler.Poll(10*time.Second, func(ctx context.Context) (bool, error) {
				if during == "a call" {
					<-ctx.Done()
					cause = context.Cause(ctx)
					return false, ctx.Err()
				}
				return false, nil
			})
			err := scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Timeout: 3 * time.Second})
			timeout := asError[*scheduler.Timeout](t, err)
			require.Equal(t, 3*time.Second, time.Since(start).Truncate(time.Second))
			if during == "a call" {
				require.Equal(t, timeout, cause)
			}
		})
		inBubble(t, "by close during "+during, func(t *testing.T) {
			task := scheduler.Poll(10*time.Second, func(ctx context.Context) (bool, error) {
				if during == "a call" {
					<-ctx.Done()
					return false, ctx.Err()
				}
				return false, nil
			})
			r := startRunner(t, task, nil)
			synctest.Wait()
			mustStep(t, t.Context(), r)
			require.NoError(t, r.Cancel())
		})
	}
	inBubble(t, "by its own end after notice", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		told := false
		err := scheduler.Run(ctx, scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
			<-scheduler.Stopping(ctx)
			told = true
			return true, nil
		}), &scheduler.RunnerOptions{Grace: time.Minute})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, told)
	})
}

func TestRetry(t *testing.T) {
	busy := errors.New("busy")
	for _, tt := range []struct {
		name    string
		backoff time.Duration
		task    func(attempt int, last error) scheduler.Task
		err     error
		took    time.Duration
	}{
		{"until one succeeds", 2 * time.Second, func(attempt int, _ error) scheduler.Task {
			if attempt == 3 {
				return lasting(1, nil)
			}
			return lasting(1, busy)
		}, nil, 7 * time.Second},
		{"until there is no other task", time.Second, func(attempt int, last error) scheduler.Task {
			if attempt == 3 {
				return nil
			}
			return lasting(1, errors.Join(busy, last))
		}, busy, 4 * time.Second},
		{"until the backoff gives up", -1, func(int, error) scheduler.Task { return lasting(1, busy) }, busy, time.Second},
		{"no attempt at all", 0, func(int, error) scheduler.Task { return nil }, scheduler.ErrNilTask, 0},
		{"not of a task that is to be skipped", 0, func(int, error) scheduler.Task {
			return lasting(1, scheduler.ErrSkip)
		}, scheduler.ErrSkip, time.Second},
		{"of a failure beside a wish to be skipped", 0, func(attempt int, _ error) scheduler.Task {
			if attempt == 2 {
				return lasting(1, nil)
			}
			return lasting(1, errors.Join(busy, scheduler.ErrSkip))
		}, nil, 2 * time.Second},
		{"of one with a limit of its own", time.Second, func(attempt int, _ error) scheduler.Task {
			if attempt == 3 {
				return nil
			}
			return scheduler.NewTaskRunner(lasting(9, nil), nil).AsTask(time.Second)
		}, context.DeadlineExceeded, 4 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			attempts := 0
			d := schedulertest.NewDriver(t, scheduler.Retry(constant(tt.backoff), func(attempt int, last error) scheduler.Task {
				attempts++
				require.Equal(t, attempts, attempt)
				require.Equal(t, attempt > 1, last != nil)
				if attempts > 5 {
					return nil
				}
				return tt.task(attempt, last)
			}), nil)
			start := d.Clock.Now()
			require.ErrorIs(t, d.RunToEnd(), tt.err)
			require.Equal(t, tt.took, d.Clock.Now().Sub(start).Truncate(time.Second))
		})
	}
}

func TestRetry_ends(t *testing.T) {
	endless := func() scheduler.Task {
		return scheduler.Retry(constant(time.Second), func(int, error) scheduler.Task { return lasting(2, errSpace) })
	}
	t.Run("with what is thrown in, not with another attempt", func(t *testing.T) {
		d := schedulertest.NewDriver(t, endless(), nil)
		d.Step()
		d.Runner.Interrupt(context.Canceled)
		require.ErrorIs(t, d.RunToEnd(), context.Canceled)
	})
	t.Run("with a timeout during a pause", func(t *testing.T) {
		d := schedulertest.NewDriver(t, endless(), &scheduler.RunnerOptions{Timeout: 2500 * time.Millisecond})
		err := d.RunToEnd()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errSpace, "and says what was tried last")
	})
	t.Run("with a notice during a pause", func(t *testing.T) {
		d := schedulertest.NewDriver(t, endless(), &scheduler.RunnerOptions{Grace: time.Minute})
		d.StepUntil(func() bool { return d.Parked() && d.Runner.Started() })
		d.StepUntil(func() bool { return d.Clock.Now().Sub(schedulertest.NewClock(time.Time{}).Now()) >= 2*time.Second })
		d.Runner.Stop(context.Canceled)
		before := d.Clock.Now()
		err := d.RunToEnd()
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errSpace)
		require.Equal(t, before, d.Clock.Now(), "at once")
	})
	t.Run("with a notice during an attempt, after that", func(t *testing.T) {
		d := schedulertest.NewDriver(t, endless(), &scheduler.RunnerOptions{Grace: time.Minute})
		d.Step()
		d.Runner.Stop(context.Canceled)
		require.ErrorIs(t, d.RunToEnd(), errSpace)
		require.Equal(t, 2*time.Second, d.Clock.Now().Sub(schedulertest.NewClock(time.Time{}).Now()))
	})
	t.Run("when it is closed", func(t *testing.T) {
		d := schedulertest.NewDriver(t, endless(), nil)
		d.Step()
		require.NoError(t, d.Runner.Cancel())
	})
}

func TestSequence(t *testing.T) {
	var log []string
	note := func(name string, err error) scheduler.Task {
		return scheduler.Func(func(context.Context) error { log = append(log, name); return err })
	}
	require.NoError(t, scheduler.Run(t.Context(), scheduler.Sequence(), nil))
	require.NoError(t, scheduler.Run(t.Context(), scheduler.Sequence(note("a", nil), note("b", nil)), nil))
	require.Equal(t, errSpace, scheduler.Run(t.Context(), scheduler.Sequence(note("c", nil), note("d", errSpace), note("e", nil)), nil))
	require.Equal(t, []string{"a", "b", "c", "d"}, log)
	require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.Sequence(nil), nil), scheduler.ErrNilTask)
}

func TestFinally(t *testing.T) {
	failure := errors.New("clean-up failed")
	for _, tt := range []struct {
		name    string
		task    scheduler.Task
		cleanup error
		opts    scheduler.RunnerOptions
		cancel  bool
		cleaned bool
		errs    []error
	}{
		{name: "after success", task: lasting(1, nil), cleaned: true},
		{name: "after failure", task: lasting(1, errSpace), cleaned: true, errs: []error{errSpace}},
		{name: "and fails too", task: lasting(1, errSpace), cleanup: failure, cleaned: true, errs: []error{errSpace, failure}},
		{name: "and fails alone", task: lasting(1, nil), cleanup: failure, cleaned: true, errs: []error{failure}},
		{
			name: "after a Timeout, within the grace", task: lasting(9, nil), cleaned: true,
			opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Minute}, errs: []error{context.DeadlineExceeded},
		},
		{
			name: "cut off after a Timeout without grace", task: lasting(9, nil),
			opts: scheduler.RunnerOptions{Timeout: time.Second}, errs: []error{context.DeadlineExceeded},
		},
		{name: "not after Close", task: lasting(9, nil), cancel: true, errs: []error{scheduler.ErrCancelled}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cleaned := false
			d := schedulertest.NewDriver(t, scheduler.Finally(tt.task, scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.After(time.Second)); err != nil {
					return err
				}
				cleaned = true
				return tt.cleanup
			})), &tt.opts)
			d.Step()
			if tt.cancel {
				require.NoError(t, d.Runner.Cancel())
			}
			err := d.RunToEnd()
			require.Equal(t, tt.cleaned, cleaned)
			if tt.errs == nil {
				require.NoError(t, err)
			}
			for _, want := range tt.errs {
				require.ErrorIs(t, err, want)
			}
		})
	}
}

// After a stop the clean-up has what is left of the grace, and is not itself
// asked to end.
func TestFinally_after_Stop(t *testing.T) {
	told := false
	cleanup := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := co.Yield(scheduler.After(5 * time.Second))
		told = errors.Is(err, scheduler.ErrClosed)
		return err
	})
	task := untilStopped(func(cause error) error { return fmt.Errorf("gave up: %w", cause) })
	d := schedulertest.NewDriver(t, scheduler.Finally(task, cleanup), &scheduler.RunnerOptions{Grace: time.Minute})
	d.Step()
	d.Runner.Stop(errSpace)
	require.EqualError(t, d.RunToEnd(), "no space", "the notice with more words is the notice")
	require.False(t, told)
}

func TestRetry_pauses_and_attempts(t *testing.T) {
	t.Parallel()
	t.Run("no pause is not the end", func(t *testing.T) {
		attempts := 0
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Retry(&backOffs{}, func(attempt int, _ error) scheduler.Task {
			attempts = attempt
			return scheduler.Func(func(context.Context) error {
				if attempt < 3 {
					return errOops
				}
				return nil
			})
		}), nil))
		require.Equal(t, 3, attempts)
	})
	t.Run("after notice nobody asks for a pause", func(t *testing.T) {
		b := &backOffs{pause: time.Hour}
		steps := 0
		r := startRunner(t, scheduler.Retry(b, func(int, error) scheduler.Task {
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if steps++; steps == 2 {
					return scheduler.Yield{}, errOops
				}
				return scheduler.Next, nil
			})
		}), &scheduler.RunnerOptions{Grace: time.Hour})
		r.Stop(errOther)
		done, err := r.Step(t.Context())
		require.True(t, done)
		require.ErrorIs(t, err, errOops)
		require.Zero(t, b.asked)
	})
	t.Run("an error that was thrown in and handled is over", func(t *testing.T) {
		attempts := 0
		r := startRunner(t, scheduler.Retry(&backOffs{}, func(attempt int, _ error) scheduler.Task {
			attempts = attempt
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_ = co.Yield(scheduler.Next) // it is handled here
				if attempt < 3 {
					return errOops
				}
				return nil
			})
		}), nil)
		r.Interrupt(errOther)
		require.NoError(t, r.RunToCompletion(t.Context(), 0))
		require.Equal(t, 3, attempts)
	})
}

// listError is an error that cannot be compared, as validators have it.
type listError []string

func (e listError) Error() string { return strings.Join(e, ", ") }

// An error that cannot be compared is known by what it holds: Retry sees it come
// out again, and joining it with itself does not repeat it.
func TestRetry_of_an_error_that_cannot_be_compared(t *testing.T) {
	for name, out := range map[string]func(err error) error{
		"as it is": func(err error) error { return err },
		"wrapped":  func(err error) error { return fmt.Errorf("while it paused: %w", err) },
	} {
		t.Run(name, func(t *testing.T) {
			attempts := 0
			r := startRunner(t, scheduler.Retry(constant(0), func(int, error) scheduler.Task {
				attempts++
				return scheduler.Wrap(func(co *scheduler.Coroutine) error { return out(co.Yield(scheduler.Rounds(3))) })
			}), nil)
			thrown := listError{"name is missing", "size is negative"}
			r.Interrupt(thrown)
			require.EqualError(t, r.RunToCompletion(t.Context(), 0), out(thrown).Error())
			require.Equal(t, 1, attempts)
		})
	}
	err := listError{"name is missing"}
	fails := func(context.Context) error { return err }
	require.EqualError(t, scheduler.Run(t.Context(), scheduler.Finally(scheduler.Func(fails), scheduler.Func(fails)), nil), "name is missing")
}

// After its time limit a Sequence begins nothing more, also if the task under way
// finishes within the grace; one that cleans up after the Timeout does its work.
func TestSequence_after_its_limit(t *testing.T) {
	t.Parallel()
	began := ""
	note := func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { began += name; return nil })
	}
	slow := func() scheduler.Task { return scheduler.All(scheduler.Pause(scheduler.After(15 * time.Second))) }
	for name, body := range map[string]func() scheduler.Task{
		"group":  slow,
		"nested": func() scheduler.Task { return scheduler.Sequence(slow()) },
	} {
		t.Run(name, func(t *testing.T) {
			began = ""
			task := scheduler.Finally(scheduler.Sequence(body(), note("next")), scheduler.Sequence(note("clean"), note("up")))
			err := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Timeout: 10 * time.Second, Grace: 30 * time.Second}).RunToEnd()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, "cleanup", began)

			began = ""
			group := newGroup(t, "a b:a", func(k string) scheduler.Task {
				if k == "a" {
					return scheduler.Sequence(body(), note("next"))
				}
				return note("dependent")
			}, &scheduler.GroupOptions[string]{Timeout: byKey(map[string]time.Duration{"a": 10 * time.Second}), Grace: 30 * time.Second})
			err = schedulertest.NewDriver(t, group, nil).RunToEnd()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Empty(t, began)
			require.Equal(t, scheduler.StateTimedOut, group.State("a"))
		})
	}
}

func TestFirst(t *testing.T) {
	failing := func(name string, seconds int, err error) scheduler.Task {
		return scheduler.Named(name, lasting(seconds, err))
	}
	skip := func() scheduler.Task { return lasting(1, scheduler.ErrSkip) }
	for _, tt := range []struct {
		name  string
		tasks []scheduler.Task
		err   string
		is    error
		took  time.Duration
	}{
		{"one", []scheduler.Task{lasting(1, nil)}, "", nil, 1},
		{"the first to succeed", []scheduler.Task{lasting(9, nil), lasting(2, nil), lasting(3, nil)}, "", nil, 2},
		{"in their first step", []scheduler.Task{lasting(0, nil), lasting(9, nil)}, "", nil, 0},
		{"a failure decides nothing", []scheduler.Task{lasting(1, errBoom), lasting(2, nil), lasting(3, nil)}, "", nil, 2},
		{"nor does a skip", []scheduler.Task{skip(), lasting(2, nil)}, "", nil, 2},
		{"all fail", []scheduler.Task{failing("x", 2, errBoom), failing("y", 1, errOops)}, "2 tasks failed:\n- y: oops\n- x: boom", errOops, 2},
		{"the only one fails", []scheduler.Task{failing("x", 2, errBoom)}, "1 task failed:\n- x: boom", errBoom, 2},
		{"one fails, one skips", []scheduler.Task{skip(), failing("x", 2, errBoom)}, "1 task failed:\n- x: boom", errBoom, 2},
		{"all skip", []scheduler.Task{skip(), skip()}, "scheduler: skip: all tasks of a First", scheduler.ErrSkip, 1},
		{"none", nil, "scheduler: First: no tasks", nil, 0},
		{"a nil one", []scheduler.Task{lasting(0, nil), nil}, "scheduler: nil task: number 1 of a First", scheduler.ErrNilTask, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := newClock()
			start := clock.Now()
			err := scheduler.Run(t.Context(), scheduler.First(tt.tasks...), &scheduler.RunnerOptions{Clock: clock})
			if tt.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tt.err)
			}
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			}
			require.Equal(t, tt.took*time.Second, clock.Now().Sub(start))
		})
	}
	require.Equal(t, "First", scheduler.TaskDescription(scheduler.First(lasting0)))
	require.Equal(t, "First", scheduler.TaskDescription(scheduler.First()))
}

// What has not started when one succeeds never does.
// Those that have not won are told once, and their grace is asked for once.
func TestFirst_tells_the_others_once(t *testing.T) {
	told, asked := 0, 0
	loser := &fakeTask{
		step: func(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil },
		stop: func(context.Context, error) { told++ },
	}
	task := scheduler.First(loser.task(), scheduler.Pause(scheduler.Rounds(3)))
	g := newGroup(t, "first", func(string) scheduler.Task { return task }, &scheduler.GroupOptions[string]{
		GraceFor: func(string) time.Duration { asked++; return time.Minute },
	})
	ctx := scheduler.WithClock(t.Context(), newClock())
	for range 10 {
		mustStep(t, ctx, g)
	}
	require.Equal(t, 10, loser.steps)
	require.Equal(t, []int{1, 1}, []int{told, asked})
	require.Len(t, task.(interface{ Errors() []error }).Errors(), 1, "what they were told with")
	require.NoError(t, g.Close())
}

func TestFirst_startsNoMore(t *testing.T) {
	other := &fakeTask{}
	require.NoError(t, scheduler.Run(t.Context(), scheduler.First(lasting0, other), nil))
	require.Zero(t, other.steps)
}

func TestFirst_others(t *testing.T) {
	for _, tt := range []struct {
		name  string
		grace time.Duration
		loser error // what the other one makes of the notice
		took  time.Duration
	}{
		{"are closed without a grace", 0, nil, 1},
		{"have the grace", time.Minute, nil, 2},
		{"may fail in it", time.Minute, errBoom, 2},
		{"are closed after it", 500 * time.Millisecond, nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock, closed := newClock(), 0
			start := clock.Now()
			var cause error
			var stopped scheduler.Event
			other := (&fakeTask{
				step: func(context.Context) (scheduler.Yield, error) {
					if !stopped.IsSet() {
						return scheduler.On(&stopped), nil
					}
					if clock.Now().Sub(start) < 2*time.Second {
						return scheduler.At(start.Add(2 * time.Second)), nil
					}
					return scheduler.Done, tt.loser
				},
				stop:  func(_ context.Context, c error) { cause = c; stopped.Set() },
				close: func() error { closed++; return nil },
			}).task()
			o := &notesObserver{}
			group := newGroup(t, "a", func(string) scheduler.Task { return scheduler.First(other, lasting(1, nil)) },
				&scheduler.GroupOptions[string]{Grace: tt.grace, Observer: selective{scheduler.KindsOf(scheduler.NodeChanged), func(r scheduler.Record) {
					if r.To.Ended() {
						o.add("%s %s", r.Path(), r.To)
					}
				}}})
			require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock, Grace: tt.grace}))
			if tt.grace > 0 {
				require.ErrorIs(t, cause, scheduler.ErrNotNeeded)
				require.True(t, scheduler.Interrupted(cause))
			}
			told := o.take()
			switch {
			case tt.loser != nil:
				require.Equal(t, "a/1 succeeded, a/0 failed, a succeeded", told)
			case closed == 1:
				require.Equal(t, "a/1 succeeded, a/0 cancelled, a succeeded", told)
			default:
				require.Equal(t, "a/1 succeeded, a/0 succeeded, a succeeded", told)
			}
			require.GreaterOrEqual(t, clock.Now().Sub(start), tt.took*time.Second)
		})
	}
}

// How a First ends from outside.
func TestFirst_ends(t *testing.T) {
	fails := func() scheduler.Task { return scheduler.Func(func(context.Context) error { return errBoom }) }
	stubborn := func() scheduler.Task { return (&fakeTask{step: forever}).task() }
	t.Run("by a Timeout", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.First(lasting(1, errBoom), lasting(99, nil))
		}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }})
		err := schedulertest.NewDriver(t, group, nil).RunToEnd()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errBoom, "what had failed before is not lost")
		require.Equal(t, scheduler.StateTimedOut, group.State("a"))
	})
	t.Run("by a Timeout with a grace in which one succeeds", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.First(untilStopped(func(c error) error { return c }), untilStopped(func(error) error { return nil }))
		}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Second }, Grace: time.Second})
		require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	})
	t.Run("by a stop", func(t *testing.T) {
		r := startRunner(t, scheduler.First(untilStopped(func(c error) error { return c }), stubborn()),
			&scheduler.RunnerOptions{Grace: time.Second, Clock: newClock(), Wait: time.Second})
		r.Stop(errOther)
		require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errOther)
	})
	t.Run("by a kill", func(t *testing.T) {
		r := startRunner(t, scheduler.First(fails(), stubborn()), nil)
		r.Kill()
		_, err := r.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrCancelled)
		require.ErrorIs(t, err, errBoom)
	})
	t.Run("by a close after one has won", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.First(fails(), &fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}}, lasting(1, nil))
		}, &scheduler.GroupOptions[string]{Grace: time.Hour})
		d := schedulertest.NewDriver(t, group, nil)
		d.StepUntil(func() bool { return d.Clock.Now().Second() > 0 })
		require.Equal(t, scheduler.StateRunning, group.State("a"))
		require.NoError(t, d.Runner.Cancel())
		require.Empty(t, group.Errors())
	})
	t.Run("by an error that is thrown in", func(t *testing.T) {
		r := startRunner(t, scheduler.First(stubborn(), stubborn()), nil)
		r.Interrupt(errOops)
		_, err := r.Step(t.Context())
		require.ErrorIs(t, err, errOops)
	})
	t.Run("before its start", func(t *testing.T) {
		_, err := throwIn(t.Context(), scheduler.First(stubborn()), errOops)
		require.Equal(t, errOops, err)
	})
}

// Calls of those that have not won are ended, and waited for without holding others up.
func TestFirst_ofCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ask := func(d time.Duration) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					sleep(time.Second) // it takes a while
					return ctx.Err()
				case <-time.After(d):
					return nil
				}
			})
		}
		require.NoError(t, scheduler.Run(t.Context(), scheduler.First(ask(time.Hour), ask(time.Minute), ask(2*time.Minute)), nil))
		require.Equal(t, time.Minute+time.Second, time.Since(start))
	})
}

// A First, and a task with a limit, are the same whatever they are held in.
func TestFirst_composition(t *testing.T) {
	for name, make := range holdersOf("itself", "wrapper", "plain wrapper", "First", "Named", "AsTask", "Subrun", "Retry", "Sequence behind another", "Finally", "All", "WithTimeout", "Wrap") {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				name  string
				grace time.Duration
				task  func() scheduler.Task
				is    error
				took  time.Duration
			}{
				{"won", 0, func() scheduler.Task { return scheduler.First(lasting(9, nil), lasting(1, nil)) }, nil, time.Second},
				{"lost", 0, func() scheduler.Task { return scheduler.First(lasting(1, errOops), lasting(2, errBoom)) }, errBoom, 2 * time.Second},
				{"in time", 0, func() scheduler.Task { return scheduler.WithTimeout(2*time.Second, lasting(1, nil)) }, nil, time.Second},
				{"too late", 0, func() scheduler.Task { return scheduler.WithTimeout(time.Second, lasting(9, nil)) }, context.DeadlineExceeded, time.Second},
				{"of both", 0, func() scheduler.Task {
					return scheduler.First(scheduler.WithTimeout(time.Second, lasting(9, nil)), lasting(2, nil))
				}, nil, 2 * time.Second},
				{"all too late", 0, func() scheduler.Task {
					return scheduler.First(scheduler.WithTimeout(time.Second, lasting(9, nil)), scheduler.WithTimeout(2*time.Second, lasting(9, nil)))
				}, context.DeadlineExceeded, 2 * time.Second},
			} {
				t.Run(tt.name, func(t *testing.T) {
					clock := newClock()
					start := clock.Now()
					group := newGroup(t, "a", func(string) scheduler.Task { return make(tt.task()) }, nil)
					err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock})
					if tt.is == nil {
						require.NoError(t, err)
					} else {
						require.ErrorIs(t, err, tt.is)
					}
					require.Equal(t, tt.took, clock.Now().Sub(start).Round(time.Second))
				})
			}
		})
	}
}

func TestWithTimeout(t *testing.T) {
	swallows := func(d time.Duration) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_ = co.Yield(scheduler.After(time.Hour))
			return co.Yield(scheduler.After(d))
		})
	}
	for _, tt := range []struct {
		name  string
		limit time.Duration
		opts  scheduler.GroupOptions[string]
		grace time.Duration // of the runner
		task  scheduler.Task
		is    error
		took  time.Duration
	}{
		{"none", 0, scheduler.GroupOptions[string]{}, 0, lasting(9, nil), nil, 9 * time.Second},
		{"passed at once", -1, scheduler.GroupOptions[string]{}, 0, lasting(9, nil), context.DeadlineExceeded, 0},
		{"one further out", time.Hour, scheduler.GroupOptions[string]{
			Timeout: func(string) time.Duration { return time.Second },
		}, 0, lasting(9, nil), context.DeadlineExceeded, time.Second},
		{"swallowed, without a grace", time.Second, scheduler.GroupOptions[string]{}, 0, swallows(time.Second), context.DeadlineExceeded, time.Second},
		{"with the grace of the group", time.Second, scheduler.GroupOptions[string]{Grace: 5 * time.Second}, 0, swallows(time.Second), context.DeadlineExceeded, 2 * time.Second},
		{"with that of the node", time.Second, scheduler.GroupOptions[string]{
			GraceFor: func(string) time.Duration { return 3 * time.Second },
		}, time.Hour, swallows(10 * time.Second), context.DeadlineExceeded, 4 * time.Second},
		{"with that of the runner", time.Second, scheduler.GroupOptions[string]{}, 5 * time.Second, swallows(2 * time.Second), context.DeadlineExceeded, 3 * time.Second},
		{"without the runner's", time.Second, scheduler.GroupOptions[string]{Grace: scheduler.NoGrace}, 5 * time.Second, swallows(2 * time.Second), context.DeadlineExceeded, time.Second},
		{"another error", time.Second, scheduler.GroupOptions[string]{}, 0, scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_ = co.Yield(scheduler.After(time.Hour))
			return errBoom
		}), errBoom, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := newClock()
			start := clock.Now()
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.WithTimeout(tt.limit, scheduler.Named("inside", tt.task))
			}, &tt.opts)
			err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock, Grace: tt.grace})
			if tt.is == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tt.is)
			}
			require.Equal(t, tt.took, clock.Now().Sub(start).Round(100*time.Millisecond))
		})
	}
	t.Run("outside of a group", func(t *testing.T) {
		for grace, want := range map[time.Duration]time.Duration{0: 1, 9 * time.Second: 3} {
			clock := newClock()
			start := clock.Now()
			err := scheduler.Run(t.Context(), scheduler.WithTimeout(time.Second, scheduler.Named("n", swallows(2*time.Second))),
				&scheduler.RunnerOptions{Clock: clock, Grace: grace})
			require.EqualError(t, err, "n: timed out after 1s")
			require.Equal(t, want*time.Second, clock.Now().Sub(start).Round(time.Second))
		}
		task := scheduler.WithTimeout(time.Second, lasting(1, nil))
		y, err := task.Step(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, scheduler.Done, y)
		require.NoError(t, task.Close())
	})
	t.Run("groups inside do not inherit the grace of the node", func(t *testing.T) {
		for _, limit := range []time.Duration{0, time.Hour} {
			clock := newClock()
			start := clock.Now()
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.WithTimeout(limit, newGroup(t, "fails goes", func(k string) scheduler.Task {
					if k == "fails" {
						return lasting(1, errBoom)
					}
					return lasting(9, nil)
				}, nil))
			}, &scheduler.GroupOptions[string]{Grace: time.Minute})
			require.ErrorIs(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}), errBoom)
			require.Equal(t, time.Second, clock.Now().Sub(start))
		}
	})
	t.Run("its error", func(t *testing.T) {
		err := schedulertest.NewDriver(t, scheduler.WithTimeout(time.Second, lasting(9, nil)), nil).RunToEnd()
		require.True(t, scheduler.Interrupted(err))
		require.Contains(t, fmt.Sprint(err), "timed out after 1s")
	})
	t.Run("notice within it", func(t *testing.T) {
		r := startRunner(t, scheduler.WithTimeout(time.Hour, untilStopped(func(c error) error { return c })),
			&scheduler.RunnerOptions{Grace: time.Minute})
		r.Stop(errOther)
		require.Equal(t, errOther, r.RunToCompletion(t.Context(), 0))
	})
}

// The grace of a part is that of the nearest node or runner around it.
func TestFirst_WithTimeout_nearestGrace(t *testing.T) {
	parts := map[string]func() scheduler.Task{ // both go on for 20 s after the first
		"First": func() scheduler.Task {
			return scheduler.First(lasting(1, nil), scheduler.Wrap(func(co *scheduler.Coroutine) error {
				return co.Yield(scheduler.After(21 * time.Second))
			}))
		},
		"WithTimeout": func() scheduler.Task {
			return scheduler.WithTimeout(time.Second, scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_ = co.Yield(scheduler.After(time.Hour))
				return co.Yield(scheduler.After(20 * time.Second))
			}))
		},
	}
	subrun := func(grace time.Duration) func(scheduler.Task) scheduler.Task {
		return func(task scheduler.Task) scheduler.Task {
			return scheduler.Subrun(scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Grace: grace}))
		}
	}
	none := func(task scheduler.Task) scheduler.Task { return task }
	forNode := func(string) time.Duration { return 0 }
	for _, tt := range []struct {
		name   string
		run    time.Duration
		opts   scheduler.GroupOptions[string]
		around func(scheduler.Task) scheduler.Task
		want   time.Duration
	}{
		{"none", 0, scheduler.GroupOptions[string]{}, none, 0},
		{"of the run", 5 * time.Second, scheduler.GroupOptions[string]{}, none, 5 * time.Second},
		{"the node's, and not that of the run", 5 * time.Second, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, none, 3 * time.Second},
		{"the node has none", 5 * time.Second, scheduler.GroupOptions[string]{GraceFor: forNode}, none, 0},
		{"the group has none", 5 * time.Second, scheduler.GroupOptions[string]{Grace: scheduler.NoGrace}, none, 0},
		{"of a runner in the node", 0, scheduler.GroupOptions[string]{}, subrun(4 * time.Second), 4 * time.Second},
		{"of that, and not the node's", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, subrun(4 * time.Second), 4 * time.Second},
		{"that has none", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, subrun(scheduler.NoGrace), 0},
		{"that says nothing", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, subrun(0), 3 * time.Second},
		{"behind a Shield", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, scheduler.Shield, 3 * time.Second},
		{"in a coroutine", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		}, 3 * time.Second},
		{"within another limit", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, func(task scheduler.Task) scheduler.Task {
			return scheduler.WithTimeout(time.Hour, task)
		}, 3 * time.Second},
	} {
		for name, part := range parts {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				clock := newClock()
				start := clock.Now()
				opts := tt.opts
				group := newGroup(t, "a", func(string) scheduler.Task { return tt.around(part()) }, &opts)
				_ = scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock, Grace: tt.run})
				require.Equal(t, time.Second+tt.want, clock.Now().Sub(start).Round(time.Millisecond))
			})
		}
	}
}

// Those that have lost begin nothing new in their grace, at any depth.
func TestFirst_losersBeginNothing(t *testing.T) {
	began := 0
	part := func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			began++
			return co.Yield(scheduler.After(2 * time.Second))
		})
	}
	clock := newClock()
	start := clock.Now()
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.First(
			lasting(1, nil),
			scheduler.Sequence(part(""), part("")),
			newGroup(t, "x y:x", part, nil),
			scheduler.All(newGroup(t, "x y:x", part, nil)),
		)
	}, &scheduler.GroupOptions[string]{Grace: time.Minute})
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, 3, began)
	require.Equal(t, 2*time.Second, clock.Now().Sub(start))
}

// Nor do they if an error was thrown into the First before one has won: that they were
// told of that error is not why they have to end.
func TestFirst_losersBeginNothing_afterAThrow(t *testing.T) {
	second := &fakeTask{}
	r := scheduler.NewTaskRunner(scheduler.First(
		scheduler.Sequence(lasting(2, nil), second),
		lasting(1, nil),
	), &scheduler.RunnerOptions{Clock: newClock(), Grace: time.Minute})
	require.NoError(t, r.Start(t.Context(), 0))
	r.Interrupt(errOops)
	require.NoError(t, r.RunToCompletion(t.Context(), 0))
	require.Zero(t, second.steps)
}

// What closing the tasks of an All or a First fails with is an error of Cancel.
func TestTaskRunner_Cancel_ofAll(t *testing.T) {
	for name, combine := range map[string]func(...scheduler.Task) scheduler.Task{"All": scheduler.All, "First": scheduler.First} {
		t.Run(name, func(t *testing.T) {
			r := startRunner(t, combine(&fakeTask{yields: []scheduler.Yield{scheduler.Next}, close: func() error { return errOops }}), nil)
			require.ErrorIs(t, r.Cancel(), errOops)
			require.ErrorIs(t, r.Err(), errOops)
		})
	}
}

// A limit can pass around a runner that has ended before.
func TestWithTimeout_ofARunnerThatHasEnded(t *testing.T) {
	r := scheduler.NewTaskRunner(lasting(1, nil), nil)
	require.NoError(t, r.Cancel())
	group := newGroup(t, "a", func(string) scheduler.Task { return scheduler.WithTimeout(-1, r.AsTask(0)) }, nil)
	require.EqualError(t, scheduler.Run(t.Context(), group, nil), "a: timed out before it started")
}

// A Timeout inside a node is named after the node, unless the user has given a name.
func TestWithTimeout_names_the_node(t *testing.T) {
	t.Parallel()
	anHour := func(context.Context) (scheduler.Yield, error) { return scheduler.After(time.Hour), nil }
	limited := func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Minute, task) }
	waits := func(co *scheduler.Coroutine) error { return co.Yield(scheduler.After(time.Hour)) }
	retries := func() scheduler.Task {
		return scheduler.Retry(constant(time.Second), func(int, error) scheduler.Task { return scheduler.Wrap(waits) })
	}
	hour := func() scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }
	for name, tt := range map[string]struct {
		task scheduler.Task
		want string
	}{
		"Retry":           {limited(retries()), "etcd: timed out after 1m0s"},
		"Wrap":            {limited(scheduler.Wrap(waits)), "etcd: timed out after 1m0s"},
		"Sequence":        {limited(scheduler.Sequence(hour())), "etcd: timed out after 1m0s"},
		"Finally":         {limited(scheduler.Finally(hour(), hour())), "etcd: timed out after 1m0s"},
		"StepFunc":        {limited(scheduler.StepFunc(anHour)), "etcd: timed out after 1m0s"},
		"Shield":          {limited(scheduler.Shield(retries())), "etcd: timed out after 1m0s"},
		"Claiming":        {limited(scheduler.Claiming(nil, retries())), "etcd: timed out after 1m0s"},
		"All":             {limited(scheduler.All(hour())), "etcd: timed out after 1m0s"},
		"First":           {limited(scheduler.First(hour())), "etcd: timed out after 1m0s"},
		"a wrapper":       {limited(wrapping{retries()}), "etcd: timed out after 1m0s"},
		"a limit in one":  {limited(scheduler.WithTimeout(time.Hour, retries())), "etcd: timed out after 1m0s"},
		"a group":         {limited(newGroup(t, "a", hours, nil)), "etcd: timed out after 1m0s"},
		"Subrun":          {scheduler.Subrun(scheduler.NewTaskRunner(retries(), &scheduler.RunnerOptions{Timeout: time.Minute})), "etcd: timed out after 1m0s"},
		"AsTask":          {scheduler.NewTaskRunner(retries(), nil).AsTask(time.Minute), "etcd: timed out after 1m0s"},
		"in a Wrap":       {scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(limited(retries())) }), "etcd: timed out after 1m0s"},
		"in a node of it": {newGroup(t, "a", func(string) scheduler.Task { return limited(retries()) }, nil), "etcd: a: timed out after 1m0s"},
		"in an All":       {scheduler.All(limited(retries())), "etcd: Retry: timed out after 1m0s"},
		"Named":           {limited(scheduler.Named("probe", retries())), "etcd: probe: timed out after 1m0s"},
		"Shield of Named": {limited(scheduler.Shield(scheduler.Named("probe", retries()))), "etcd: probe: timed out after 1m0s"},
		"a named runner": {scheduler.Subrun(scheduler.NewTaskRunner(retries(), &scheduler.RunnerOptions{
			Name: "probe", Timeout: time.Minute,
		})), "etcd: probe: timed out after 1m0s"},
		"a named group": {limited(newGroup(t, "a", hours, &scheduler.GroupOptions[string]{Name: "site"})), "etcd: site: timed out after 1m0s"},
		"a String":      {limited((&fakeTask{name: "probe", step: anHour}).task()), "etcd: probe: timed out after 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			group := newGroup(t, "etcd", func(string) scheduler.Task { return tt.task }, nil)
			require.EqualError(t, schedulertest.NewDriver(t, group, nil).RunToEnd(), tt.want)
		})
	}
	t.Run("outside of a node", func(t *testing.T) {
		require.EqualError(t, schedulertest.NewDriver(t, limited(retries()), nil).RunToEnd(), "Retry: timed out after 1m0s")
	})
}

func TestRetry_errorsThatSayMore(t *testing.T) {
	for _, tt := range []struct {
		name     string
		backoff  scheduler.BackOff
		err      error
		attempts int
		took     time.Duration
	}{
		{"nothing", constant(time.Second), errBoom, 4, 4 * time.Second},
		{"permanent", constant(time.Second), scheduler.Permanent(errBoom), 1, 0},
		{"permanent inside", constant(time.Second), fmt.Errorf("creating: %w", scheduler.Permanent(errBoom)), 1, 0},
		{"not permanent after all", constant(time.Second), permanence{errBoom, false}, 4, 4 * time.Second},
		{"permanent by a method of its own", constant(time.Second), permanence{errBoom, true}, 1, 0},
		{"when to come back", constant(time.Second), scheduler.RetryAfter(errBoom, time.Minute), 4, 4 * time.Minute},
		{"to come back at once", constant(time.Second), scheduler.RetryAfter(errBoom, -1), 4, 0},
		{"when, inside", constant(time.Second), fmt.Errorf("creating: %w", scheduler.RetryAfter(errBoom, time.Minute)), 4, 4 * time.Minute},
		{"when, but the back-off has had enough", constant(-1), scheduler.RetryAfter(errBoom, time.Minute), 1, 0},
		{"permanent and when", constant(time.Second), scheduler.Permanent(scheduler.RetryAfter(errBoom, time.Minute)), 1, 0},
		{"when, to a function", scheduler.BackOffFunc(func(int, error) scheduler.Yield {
			return scheduler.Next
		}), scheduler.RetryAfter(errBoom, time.Minute), 4, 4 * time.Minute},
		{"permanent, to a function", scheduler.BackOffFunc(func(int, error) scheduler.Yield {
			return scheduler.Next
		}), scheduler.Permanent(errBoom), 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock, attempts := newClock(), 0
			start := clock.Now()
			err := scheduler.Run(t.Context(), scheduler.Retry(tt.backoff, func(attempt int, _ error) scheduler.Task {
				if attempt == 5 {
					return nil
				}
				attempts = attempt
				return lasting(0, tt.err)
			}), &scheduler.RunnerOptions{Clock: clock})
			require.Equal(t, tt.err, err, "as it came")
			require.Equal(t, tt.attempts, attempts)
			require.Equal(t, tt.took, clock.Now().Sub(start))
		})
	}
	require.NoError(t, scheduler.Permanent(nil))
	require.NoError(t, scheduler.RetryAfter(nil, time.Second))
	require.EqualError(t, scheduler.Permanent(errBoom), "boom")
	require.EqualError(t, scheduler.RetryAfter(errBoom, time.Second), "boom")
}

// permanence is an error that says by itself whether it is permanent.
type permanence struct {
	error
	is bool
}

func (p permanence) Permanent() bool { return p.is }
func (p permanence) Unwrap() error   { return p.error }

func TestRetry_function(t *testing.T) {
	t.Run("an event or a time", func(t *testing.T) {
		clock := newClock()
		var gotOn scheduler.Event
		var told []string
		start := clock.Now()
		again := scheduler.BackOffFunc(func(attempt int, err error) scheduler.Yield {
			told = append(told, fmt.Sprint(attempt, " ", err, " ", clock.Now().Sub(start)))
			gotOn.Reset()
			return scheduler.On(&gotOn).Or(scheduler.After(10 * time.Second))
		})
		group := newGroup(t, "tries other", func(k string) scheduler.Task {
			if k == "tries" {
				return scheduler.Retry(again, func(attempt int, _ error) scheduler.Task {
					if attempt == 4 {
						return lasting(0, nil)
					}
					return lasting(0, errBoom)
				})
			}
			return scheduler.Sequence(
				scheduler.Pause(scheduler.After(13*time.Second)),
				scheduler.Func(func(context.Context) error { gotOn.Set(); return nil }))
		}, nil)
		require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
		require.Equal(t, []string{"1 boom 0s", "2 boom 10s", "3 boom 13s"}, told)
		require.Equal(t, 23*time.Second, clock.Now().Sub(start))
	})
	t.Run("that has had enough", func(t *testing.T) {
		require.Equal(t, errBoom, scheduler.Run(t.Context(), scheduler.Retry(
			scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.Done.Or(scheduler.Next) }),
			func(int, error) scheduler.Task { return lasting(0, errBoom) }), nil))
	})
	t.Run("that says nothing", func(t *testing.T) {
		err := scheduler.Run(t.Context(), scheduler.Retry(
			scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.Yield{} }),
			func(int, error) scheduler.Task { return lasting(0, errBoom) }), nil)
		require.ErrorIs(t, err, scheduler.ErrNoYield)
		require.ErrorIs(t, err, errBoom)
		require.ErrorContains(t, err, "a BackOffFunc")
	})
	t.Run("as a BackOff for others", func(t *testing.T) {
		for _, tt := range []struct {
			y    scheduler.Yield
			want time.Duration
		}{
			{scheduler.Done, -1},
			{scheduler.After(time.Second), time.Second},
			{scheduler.After(-time.Second), 0},
			{scheduler.Next, 0},
			{scheduler.After(time.Second).Or(scheduler.Next), 0},
		} {
			f := scheduler.BackOffFunc(func(attempt int, err error) scheduler.Yield {
				require.Zero(t, attempt)
				require.NoError(t, err)
				return tt.y
			})
			require.Equal(t, tt.want, f.NextBackOff())
		}
	})
}

// The Timeout of a part of an attempt says nothing of the attempts before: what they
// failed with decides no more, and is not kept.
func TestRetry_attemptsThatTimeOut(t *testing.T) {
	for name, limited := range map[string]func(task scheduler.Task) scheduler.Task{
		"WithTimeout": func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Second, task) },
		"Subrun": func(task scheduler.Task) scheduler.Task {
			return scheduler.Subrun(scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Timeout: time.Second}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			start := clock.Now()
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.Retry(constant(time.Second), func(attempt int, _ error) scheduler.Task {
					switch attempt {
					case 1:
						return lasting(0, scheduler.RetryAfter(errBoom, time.Minute))
					case 100:
						return nil
					}
					return limited(scheduler.Named("part", lasting(9, nil)))
				})
			}, nil)
			err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock})
			require.EqualError(t, err, "a: part: timed out after 1s")
			require.NotErrorIs(t, err, errBoom)
			require.Nil(t, errors.Unwrap(asError[*scheduler.Timeout](t, err)), "not the one before, and so on")
			require.Equal(t, time.Minute+(98+98)*time.Second, clock.Now().Sub(start).Truncate(time.Second))
			require.Equal(t, 99, group.ExplainNode("a").Notes.Attempt)
		})
	}
	t.Run("of attempts inside", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Retry(constant(-1), func(int, error) scheduler.Task {
				return scheduler.WithTimeout(5*time.Second, scheduler.Named("part", scheduler.Retry(constant(2*time.Second), func(int, error) scheduler.Task {
					return lasting(0, errBoom)
				})))
			})
		}, nil)
		err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: newClock()})
		require.EqualError(t, err, "a: part: timed out after 5s: attempt 3: boom")
		require.ErrorIs(t, err, errBoom)
	})
}

// What a Retry has noted is of itself, and ends with it.
func TestRetry_notes(t *testing.T) {
	busy, inner := errors.New("busy"), errors.New("inner")
	o := newNotesObserver()
	opts := &scheduler.GroupOptions[string]{Observer: o, AggregateErrors: true}
	group := newGroup(t, "a", func(string) scheduler.Task {
		failing := func(times int, err error) scheduler.Task {
			return scheduler.Retry(constant(time.Second), func(attempt int, _ error) scheduler.Task {
				if attempt > times {
					return lasting(1, nil)
				}
				return lasting(0, err)
			})
		}
		return scheduler.Sequence(
			failing(0, nil),
			scheduler.Retry(constant(time.Second), func(attempt int, _ error) scheduler.Task {
				if attempt == 3 {
					return nil
				}
				return scheduler.Sequence(failing(1, inner), lasting(1, busy))
			}),
		)
	}, opts)
	d := schedulertest.NewDriver(t, group, nil)
	notes := map[time.Duration]string{}
	start := d.Clock.Now()
	d.StepUntil(func() bool {
		notes[d.Clock.Now().Sub(start)] = group.ExplainNode("a").Notes.String()
		return d.Runner.Done()
	})
	require.Equal(t, errors.Join(busy).Error(), scheduler.Causes(d.Err())[0].Error())
	require.Equal(t, "a node retrying: attempt 1: inner, a node retrying: attempt 1: busy, "+
		"a node retrying: attempt 1: inner, a node retrying: attempt 2: busy", o.take())
	require.Equal(t, map[time.Duration]string{
		0:               "",
		1 * time.Second: "attempt 1: inner",
		2 * time.Second: "attempt 1: inner",
		3 * time.Second: "", // the one inside has succeeded
		4 * time.Second: "attempt 1: busy",
		5 * time.Second: "attempt 1: inner",
		6 * time.Second: "attempt 1: inner",
		7 * time.Second: "attempt 1: busy", // and gives back what was noted before
		8 * time.Second: "attempt 2: busy",
		9 * time.Second: "attempt 2: busy",
	}, notes)
	require.Equal(t, scheduler.Notes{Attempt: 2, Last: busy}, group.ExplainNode("a").Notes, "of a node that has failed they stay")
	require.Equal(t, "a: failed since round "+fmt.Sprint(group.ExplainNode("a").Since)+", a: busy", group.ExplainNode("a").String())
}

func TestRetryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got int
		var err error
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				calls := 0
				fn := func(context.Context) (int, error) {
					if calls++; calls%3 != 0 {
						return calls, errBoom
					}
					return calls, nil
				}
				if got, err = scheduler.RetryCall(co, constant(time.Second), fn); err != nil {
					return err
				}
				require.Equal(t, 3, got)
				got, err = scheduler.RetryCall(co, constant(-1), fn)
				return err
			})
		}, nil)
		require.ErrorIs(t, scheduler.Run(t.Context(), group, nil), errBoom)
		require.Equal(t, errBoom, err)
		require.Equal(t, 4, got, "the value also beside an error")
	})
}

func TestPollCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		asked := 0
		o := newNotesObserver()
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				v, err := scheduler.PollCall(co, time.Minute, func(ctx context.Context) (string, bool, error) {
					asked++
					scheduler.Note(ctx, fmt.Sprint("state ", asked))
					return fmt.Sprint("v", asked), asked == 3, nil
				})
				require.NoError(t, err)
				require.Equal(t, "v3", v)
				require.Equal(t, 2*time.Minute, time.Since(start))
				v, err = scheduler.PollCall(co, time.Minute, func(context.Context) (string, bool, error) {
					return "lost", true, errBoom
				})
				require.Empty(t, v)
				return err
			})
		}, &scheduler.GroupOptions[string]{Observer: o})
		r := scheduler.NewTaskRunner(group, nil)
		for _, at := range []time.Duration{30 * time.Second, 90 * time.Second} {
			time.AfterFunc(at, func() { r.Post(func() { o.add("%s", group.ExplainNode("a")) }) })
		}
		require.EqualError(t, r.Run(t.Context()), "a: boom")
		told := o.take()
		require.Contains(t, told, "state 1, asked once")
		require.Contains(t, told, "state 2, asked 2 times")
		require.Zero(t, group.ExplainNode("a").Notes.Asked, "it came to an end")
	})
}

// A call of PollCall that is left behind gives no value, and is known by the function.
func TestPollCall_abandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		var v int
		err := scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) (err error) {
			v, err = scheduler.PollCall(co, time.Second, func(context.Context) (int, bool, error) {
				<-let
				return 1, true, nil
			})
			return err
		}), &scheduler.RunnerOptions{Timeout: time.Second, Abandon: time.Second})
		lost := asError[*scheduler.AbandonedError](t, err)
		require.Contains(t, lost.Task, "TestPollCall_abandoned")
		require.Zero(t, v)
		close(let)
	})
}

// What the tasks of All fail with beside the first one is in its result, since nobody
// can ask All for its Errors. That a task gives its notice back is no failure.
func TestAll_keeps_every_failure(t *testing.T) {
	failsWhenClosed := func() scheduler.Task {
		return scheduler.Named("closed", scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(time.Hour)); !errors.Is(err, scheduler.ErrClosed) {
				return err
			}
			return errSpace
		}))
	}
	fails := func(seconds int, err error) scheduler.Task { return scheduler.Named("fails", lasting(seconds, err)) }
	cleansUpAfter := func() scheduler.Task {
		return scheduler.Finally(lasting(1, errSpace), scheduler.Pause(scheduler.After(time.Hour)))
	}
	says := func() scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			return fmt.Errorf("stopped: %w", co.StopCause())
		})
	}
	kill := func(r *scheduler.TaskRunner) { time.AfterFunc(3*time.Second, r.Kill) }
	for name, tt := range map[string]struct {
		task scheduler.Task
		opts scheduler.RunnerOptions
		end  func(r *scheduler.TaskRunner)
		want string
	}{
		"closed by a failure": {
			task: scheduler.All(fails(1, errOops), failsWhenClosed()),
			want: "fails: oops\nclosed: no space",
		},
		"closed in the clean-up after a failure": {
			task: scheduler.All(fails(3, errOops), cleansUpAfter()),
			want: "fails: oops\nFinally: no space",
		},
		"fails later, within the grace": {
			task: scheduler.All(fails(1, errOops), fails(2, errSpace), fails(3, errOther)),
			opts: scheduler.RunnerOptions{Grace: time.Minute},
			want: "fails: oops\nfails: no space\nfails: other",
		},
		"killed": {
			task: scheduler.All(failsWhenClosed()), end: kill,
			want: "scheduler: cancelled\nclosed: no space",
		},
		"killed in the clean-up": {
			task: scheduler.All(cleansUpAfter()), end: kill,
			want: "scheduler: cancelled\nFinally: no space",
		},
		"All in All": {
			task: scheduler.All(scheduler.All(cleansUpAfter())), end: kill,
			want: "scheduler: cancelled\nAll: Finally: no space",
		},
		"timed out": {
			task: scheduler.All(failsWhenClosed()), opts: scheduler.RunnerOptions{Timeout: time.Second},
			want: "All: timed out after 1s\nclosed: no space",
		},
		"First": {
			task: scheduler.First(failsWhenClosed()), opts: scheduler.RunnerOptions{Timeout: time.Second},
			want: "First: timed out after 1s\nclosed: no space",
		},
		"the notice": {
			task: scheduler.All(fails(1, errOops), says()), opts: scheduler.RunnerOptions{Grace: time.Minute},
			want: "fails: oops",
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			r := scheduler.NewTaskRunner(tt.task, &tt.opts)
			if tt.end != nil {
				tt.end(r)
			}
			require.EqualError(t, r.Run(t.Context()), tt.want)
		})
	}
	t.Run("in a group, as if it were not there", func(t *testing.T) {
		for _, task := range []func() scheduler.Task{
			failsWhenClosed,
			func() scheduler.Task { return scheduler.All(failsWhenClosed()) },
			func() scheduler.Task { return scheduler.All(scheduler.All(failsWhenClosed())) },
		} {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup(t, "a b", func(k string) scheduler.Task {
					if k == "b" {
						return lasting(1, errOops)
					}
					return task()
				}, nil)
				require.EqualError(t, scheduler.Run(t.Context(), g, nil), "b: oops")
				require.ErrorIs(t, errors.Join(g.Errors()...), errSpace)
				require.ErrorIs(t, g.Err("a"), errSpace)
			})
		}
	})
}

func TestAll(t *testing.T) {
	t.Parallel()
	t.Run("side by side", func(t *testing.T) {
		clock := newClock()
		rec := schedulertest.NewRecorder(clock)
		tasks := []scheduler.Task{
			rec.Task("a", scheduler.Pause(scheduler.After(2*time.Second))),
			rec.Task("b", scheduler.Pause(scheduler.After(time.Second))),
		}
		all := scheduler.All(tasks...)
		clear(tasks) // it has a copy of its own
		require.Equal(t, "All", scheduler.TaskDescription(all))
		require.NoError(t, scheduler.Run(t.Context(), all, &scheduler.RunnerOptions{Clock: clock}))
		require.Equal(t, "0s a.step = after 2s\n0s b.step = after 1s\n1s b.step = done\n2s a.step = done\n", rec.String())
	})
	t.Run("first failure closes the others that have begun", func(t *testing.T) {
		other, last := &fakeTask{step: forever}, &fakeTask{}
		err := scheduler.Run(t.Context(), scheduler.All(other, failsWith(errBoom), last), nil)
		task := asError[*scheduler.TaskError](t, err)
		require.Equal(t, 1, task.Key)
		require.Equal(t, errBoom, task.Err)
		require.Equal(t, 1, other.closes)
		require.Zero(t, last.steps+last.closes)
	})
	t.Run("of a nil task", func(t *testing.T) {
		require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.All(nil), nil), scheduler.ErrNilTask)
	})
	t.Run("of none", func(t *testing.T) {
		require.Equal(t, scheduler.Done, mustStep(t, t.Context(), scheduler.All()))
	})
}

// An error thrown into a task that has ended comes back, and not the one it ended with.
func TestThrow_into_a_task_that_has_ended(t *testing.T) {
	fails := func() scheduler.Task { return scheduler.Func(func(context.Context) error { return errOops }) }
	for name, task := range map[string]scheduler.Task{
		"Blocking":    scheduler.Blocking(func(context.Context) error { return errOops }),
		"Wrap":        scheduler.Wrap(func(*scheduler.Coroutine) error { return errOops }),
		"group":       newGroup(t, "a", func(string) scheduler.Task { return fails() }, nil),
		"All":         scheduler.All(fails()),
		"Subrun":      scheduler.Subrun(scheduler.NewTaskRunner(fails(), nil)),
		"AsTask":      scheduler.NewTaskRunner(fails(), nil).AsTask(0),
		"Reserve":     scheduler.Reserve(0, fails()),
		"WithTimeout": scheduler.WithTimeout(time.Hour, fails()),
	} {
		inBubble(t, name, func(t *testing.T) {
			for {
				if _, err := task.Step(t.Context()); err != nil {
					require.ErrorIs(t, err, errOops)
					break
				}
				synctest.Wait()
			}
			y, err := throwIn(t.Context(), task, errOther)
			require.Equal(t, scheduler.Yield{}, y)
			require.Equal(t, errOther, err)
		})
	}
}

// renamedError is another error of the same kind.
type renamedError struct{ of error }

func (e renamedError) Error() string        { return "renamed" }
func (e renamedError) Is(target error) bool { return target == e.of }

// Retry makes no attempt after one that has ended with the error that was thrown in, in
// whatever words.
func TestRetry_of_an_answer_of_the_same_kind(t *testing.T) {
	attempts := 0
	r := startRunner(t, scheduler.Retry(constant(0), func(int, error) scheduler.Task {
		attempts++
		return &fakeTask{step: forever, throw: func(_ context.Context, err error) (scheduler.Yield, error) {
			return scheduler.Yield{}, renamedError{err}
		}}
	}), nil)
	r.Interrupt(errOops)
	_, err := r.Step(t.Context())
	require.Equal(t, renamedError{errOops}, err)
	require.Equal(t, 1, attempts)
}
