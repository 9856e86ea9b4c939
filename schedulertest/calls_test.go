package schedulertest_test

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

// both runs a test by a simulated clock, and by one that goes by the time of a bubble.
func both(t *testing.T, test func(t *testing.T, clock *schedulertest.Clock)) {
	t.Helper()
	t.Run("simulated", func(t *testing.T) {
		t.Parallel()
		test(t, schedulertest.NewClock(time.Time{}))
	})
	t.Run("in a bubble", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			test(t, schedulertest.NewClock(time.Time{}).InBubble(synctest.Wait))
		})
	})
}

// calls runs functions as the calls of a group, named a, b and so on.
func calls(ctx context.Context, opts *scheduler.RunnerOptions, fns ...func(ctx context.Context) error) error {
	deps := scheduler.NewDependencies[string]()
	for i := range fns {
		deps.Add(string(rune('a' + i)))
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
		return scheduler.Blocking(fns[k[0]-'a'])
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, opts)
}

// The trap that there was: a call of a millisecond, under a limit of an hour.
func TestClock_stands_still_for_calls(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	require.NoError(t, calls(t.Context(), &scheduler.RunnerOptions{Clock: clock, Timeout: time.Hour}, func(context.Context) error {
		time.Sleep(time.Millisecond) //nolint:forbidigo // a call that takes real time
		return nil
	}))
	require.Zero(t, clock.Elapsed())
}

// Whatever the goroutines do, calls begin and are answered in order.
func TestClock_order_of_calls(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, clock *schedulertest.Clock) {
		for range 50 {
			var begun, answered []string
			deps := scheduler.NewDependencies[string]()
			for _, k := range []string{"a", "b", "c", "d"} {
				deps.Add(k)
			}
			group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
				return scheduler.Fetch(func(ctx context.Context) (string, error) {
					begun = append(begun, k) // no lock: one goes on at a time
					wait := map[string]time.Duration{"a": 2, "b": 1, "c": 2, "d": 0}[k]
					return k, schedulertest.Sleep(ctx, wait*time.Second)
				}, func(k string, err error) error {
					answered = append(answered, fmt.Sprint(k, clock.Elapsed()))
					return err
				})
			}, nil)
			require.NoError(t, err)
			start := clock.Elapsed()
			require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock, Timeout: time.Hour}))
			require.Equal(t, []string{"a", "b", "c", "d"}, begun)
			require.Equal(t, []string{
				fmt.Sprint("d", start), fmt.Sprint("b", start+time.Second), fmt.Sprint("a", start+2*time.Second), fmt.Sprint("c", start+2*time.Second),
			}, answered)
		}
	})
}

// A call that is at work holds up the next one, however slow the machine is; one that
// waits for somebody else's doing does so for a moment.
func TestClock_order_of_slow_calls(t *testing.T) {
	t.Parallel()
	order := func(first func(next <-chan struct{})) (ended []string) {
		next := make(chan struct{})
		require.NoError(t, calls(t.Context(), &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})},
			func(context.Context) error { first(next); ended = append(ended, "a"); return nil },
			func(context.Context) error { ended = append(ended, "b"); close(next); return nil },
		))
		return ended
	}
	work := func(<-chan struct{}) {
		for began := time.Now(); time.Since(began) < 350*time.Millisecond; {
			runtime.Gosched()
		}
	}
	require.Equal(t, []string{"a", "b"}, order(work))
	require.Equal(t, []string{"b", "a"}, order(func(next <-chan struct{}) { <-next }))
}

// A limit ends a call that sleeps, and Close waits in simulated time for one that is deaf.
func TestSleep_and_limits(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, clock *schedulertest.Clock) {
		err := calls(t.Context(), &scheduler.RunnerOptions{Clock: clock, Timeout: time.Hour}, func(ctx context.Context) error {
			err := schedulertest.Sleep(ctx, -1)
			require.Equal(t, time.Hour, clock.Elapsed())
			require.NoError(t, schedulertest.Sleep(context.WithoutCancel(ctx), 10*time.Minute))
			require.Equal(t, err, schedulertest.Sleep(ctx, time.Hour), "at once, since it has ended")
			return err
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 70*time.Minute, clock.Elapsed())
	})
}

// A result that comes at the very moment of the limit counts.
func TestSleep_until_the_limit(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, clock *schedulertest.Clock) {
		require.NoError(t, calls(t.Context(), &scheduler.RunnerOptions{Clock: clock, Timeout: time.Hour}, func(ctx context.Context) error {
			return schedulertest.Sleep(ctx, time.Hour)
		}))
		require.Equal(t, time.Hour, clock.Elapsed())
	})
}

// Elsewhere it is an ordinary sleep.
func TestSleep_outside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		require.NoError(t, schedulertest.Sleep(t.Context(), time.Hour))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errBoom)
		defer cancel()
		require.ErrorIs(t, schedulertest.Sleep(ctx, time.Hour), errBoom)
		require.ErrorIs(t, schedulertest.Sleep(ctx, -1), errBoom)
		require.Equal(t, time.Hour+time.Minute, time.Since(start))
	})
}

// A run inside a call goes by the same clock, and so do the calls of that.
func TestClock_runs_inside_calls(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, clock *schedulertest.Clock) {
		inner := func(ctx context.Context) error {
			err := scheduler.Run(ctx, scheduler.Sequence(
				scheduler.Pause(scheduler.After(time.Minute)),
				scheduler.Blocking(func(ctx context.Context) error { return schedulertest.Sleep(ctx, time.Minute) }),
			), nil)
			return errors.Join(err, scheduler.Run(ctx, scheduler.Blocking(func(ctx context.Context) error {
				return schedulertest.Sleep(ctx, -1) // closed after a minute, and then awaited
			}), &scheduler.RunnerOptions{Timeout: time.Minute}))
		}
		err := calls(t.Context(), &scheduler.RunnerOptions{Clock: clock}, inner, inner)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, scheduler.Causes(err), 2)
		require.Equal(t, 3*time.Minute, clock.Elapsed())
	})
}

// Panic and Goexit in a call come out, and leave the clock usable.
func TestClock_calls_that_do_not_return(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, clock *schedulertest.Clock) {
		opts := &scheduler.RunnerOptions{Clock: clock, Timeout: time.Hour}
		require.ErrorIs(t, calls(t.Context(), opts, func(ctx context.Context) error {
			defer runtime.Goexit()
			return schedulertest.Sleep(ctx, time.Second)
		}), scheduler.ErrGoexit)
		require.Panics(t, func() {
			_ = calls(t.Context(), opts, func(context.Context) error { panic("oops") },
				func(ctx context.Context) error { return schedulertest.Sleep(ctx, -1) })
		})
		require.NoError(t, calls(t.Context(), opts, func(context.Context) error { return nil }))
	})
}

// Calls that wait for one another are not one after the other then.
func TestClock_calls_that_meet(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, clock *schedulertest.Clock) {
		meet := make(chan struct{})
		require.NoError(t, calls(t.Context(), &scheduler.RunnerOptions{Clock: clock, Timeout: time.Hour},
			func(context.Context) error { meet <- struct{}{}; return nil },
			func(context.Context) error { <-meet; return nil }))
		require.Zero(t, clock.Elapsed())
	})
}

// In a bubble, package time, contexts with a deadline and the end of the call's
// context are all as in production.
func TestClock_in_a_bubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{}).InBubble(synctest.Wait)
		var mu sync.Mutex
		var ended []string
		say := func(text string) {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, fmt.Sprint(text, " ", clock.Elapsed()))
		}
		err := calls(t.Context(), &scheduler.RunnerOptions{Clock: clock, Timeout: time.Hour}, func(ctx context.Context) error {
			time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
			say("sleep")
			return nil
		}, func(ctx context.Context) error {
			<-ctx.Done()
			say("end")
			return nil
		}, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
			defer cancel()
			err := schedulertest.Sleep(ctx, -1)
			say("deadline")
			return err
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, []string{"sleep 1m0s", "deadline 2m0s", "end 1h0m0s"}, ended)
		clock.Advance(time.Minute)
		require.Equal(t, time.Hour+time.Minute, clock.Elapsed())
	})
}

// A call that waits for something else makes the run fail loudly, in real time.
func TestClock_watchdog(t *testing.T) {
	schedulertest.SetWatchdog(t, 50*time.Millisecond)
	clock := schedulertest.NewClock(time.Time{})
	message := func(fn func()) (text string) {
		defer func() { text = fmt.Sprint(recover()) }()
		fn()
		return ""
	}
	fake := func(ctx context.Context) error { <-ctx.Done(); return nil } // passes by the system's clock
	text := message(func() { _ = calls(t.Context(), &scheduler.RunnerOptions{Clock: clock, Timeout: time.Hour}, fake) })
	require.Contains(t, text, "schedulertest: a call is under way: a: schedulertest_test.TestClock_watchdog.func2 neither returns nor sleeps")
	require.Contains(t, text, "InBubble(synctest.Wait)")
	require.Contains(t, text, "calls_test.go:", "the stack")

	synctest.Test(t, func(t *testing.T) {
		text := message(func() { _ = calls(t.Context(), &scheduler.RunnerOptions{Clock: clock, Timeout: time.Hour}, fake) })
		require.Contains(t, text, "In a bubble give the clock InBubble(synctest.Wait).")
	})
}

// A wait that nothing can end says what waits.
func TestClock_waits_for_ever(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	defer func() {
		text := fmt.Sprint(recover())
		require.True(t, strings.HasPrefix(text, "schedulertest: the run waits for an event, and nobody is left to set it\n\ta: "), text)
		require.Contains(t, text, "sleeps until its context ends")
	}()
	_ = calls(t.Context(), &scheduler.RunnerOptions{Clock: clock}, func(ctx context.Context) error { return schedulertest.Sleep(ctx, -1) })
}

// A call that is deaf, and sleeps for ever, cannot be closed.
func TestClock_closes_for_ever(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{})
	over := make(chan struct{})
	ctx := scheduler.WithClock(t.Context(), clock)
	inner, cancel := context.WithCancel(t.Context())
	task := scheduler.Blocking(func(ctx context.Context) error {
		defer close(over)
		sleeping := context.WithValue(inner, key{}, ctx)
		return schedulertest.Sleep(&valuesOf{sleeping, ctx}, -1)
	})
	d := schedulertest.NewDriver(&fakeT{}, task, &scheduler.RunnerOptions{Clock: clock}).WithContext(ctx)
	d.Step()
	require.Panics(t, func() { _ = d.Runner.Cancel() })
	cancel()
	clock.Settle()
	<-over
}

type key struct{}

// valuesOf is a context with the values of another.
type valuesOf struct {
	context.Context
	values context.Context
}

func (c *valuesOf) Value(key any) any { return c.values.Value(key) }

// A driver looks after calls between its steps.
func TestDriver_looks_after_calls(t *testing.T) {
	t.Parallel()
	asked := 0
	d := schedulertest.NewDriver(t, scheduler.Poll(time.Minute, func(ctx context.Context) (bool, error) {
		asked++
		return asked == 3, schedulertest.Sleep(ctx, time.Second)
	}), &scheduler.RunnerOptions{Timeout: time.Hour})
	require.False(t, d.Step())
	require.True(t, d.Parked())
	require.False(t, d.Step(), "it sleeps")
	d.Clock.Advance(time.Second)
	require.False(t, d.Step(), "it has returned")
	require.Equal(t, 1, asked)
	require.NoError(t, d.RunToEnd())
	require.Equal(t, 2*time.Minute+3*time.Second, d.Clock.Elapsed())
}

// A loop of the program's own, which never waits by the clock, is woken as ever.
func TestClock_loops_by_hand(t *testing.T) {
	t.Parallel()
	woken := make(chan struct{}, 1)
	r := scheduler.NewTaskRunner(scheduler.Blocking(func(context.Context) error { return errBoom }), &scheduler.RunnerOptions{
		Clock: schedulertest.NewClock(time.Time{}), Wake: func() { woken <- struct{}{} },
	})
	require.NoError(t, r.Start(t.Context(), 0))
	<-woken
	_, err := r.Step(t.Context())
	require.ErrorIs(t, err, errBoom)
}
