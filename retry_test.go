package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

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
	require.Panics(t, func() {
		scheduler.Retry(scheduler.BackOffFunc(nil), func(int, error) scheduler.Task { return nil })
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
	require.Panics(t, func() {
		_ = scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := scheduler.PollCall[int](co, time.Second, nil)
			return err
		}), nil)
	})
	require.Panics(t, func() {
		_ = scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := scheduler.RetryCall[int](co, constant(0), nil)
			return err
		}), nil)
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
