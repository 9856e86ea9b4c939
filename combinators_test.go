package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, asked := time.Now(), 0
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Poll(2*time.Second, func(context.Context) (bool, error) {
			asked++
			time.Sleep(time.Second) //nolint:forbidigo // in a bubble
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
		t.Run("by a timeout during "+during, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
		})
		t.Run("by close during "+during, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
		})
	}
	t.Run("by its own end after notice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
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

func TestCombinators_panic_without_arguments(t *testing.T) {
	for name, call := range map[string]func(){
		"Poll":  func() { scheduler.Poll(time.Second, nil) },
		"Retry": func() { scheduler.Retry(nil, nil) },
		"Retry without tasks": func() {
			scheduler.Retry(constant(0), nil)
		},
	} {
		require.Panics(t, call, name)
	}
}

// Polls that are closed together end side by side.
func TestPoll_closed_together(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func() scheduler.Task {
			return scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
				<-ctx.Done()
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				return false, nil
			})
		}
		r := startRunner(t, scheduler.All(slow(), slow(), slow()), nil)
		start := time.Now()
		require.NoError(t, r.Cancel())
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestRetry_pauses_and_attempts(t *testing.T) {
	t.Parallel()
	t.Run("each argument is needed", func(t *testing.T) {
		require.PanicsWithValue(t, "scheduler: Retry: nil argument", func() { scheduler.Retry(&backOffs{}, nil) })
		require.PanicsWithValue(t, "scheduler: Retry: nil argument", func() {
			scheduler.Retry(nil, func(int, error) scheduler.Task { return nil })
		})
	})
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
		r := scheduler.NewTaskRunner(scheduler.Retry(b, func(int, error) scheduler.Task {
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if steps++; steps == 2 {
					return scheduler.Yield{}, errOops
				}
				return scheduler.Next, nil
			})
		}), &scheduler.RunnerOptions{Grace: time.Hour})
		require.NoError(t, r.Start(t.Context(), 0))
		r.Stop(errOther)
		done, err := r.Step(t.Context())
		require.True(t, done)
		require.ErrorIs(t, err, errOops)
		require.Zero(t, b.asked)
	})
	t.Run("an error that was thrown in and handled is over", func(t *testing.T) {
		attempts := 0
		r := scheduler.NewTaskRunner(scheduler.Retry(&backOffs{}, func(attempt int, _ error) scheduler.Task {
			attempts = attempt
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_ = co.Yield(scheduler.Next) // it is handled here
				if attempt < 3 {
					return errOops
				}
				return nil
			})
		}), nil)
		require.NoError(t, r.Start(t.Context(), 0))
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
