package schedulertest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestNewClock(t *testing.T) {
	t.Parallel()
	require.Equal(t, "2000-01-01T00:00:00Z", schedulertest.NewClock(time.Time{}).Now().Format(time.RFC3339))
	start := time.Date(1990, time.May, 6, 7, 8, 9, 0, time.UTC)
	require.Equal(t, start, schedulertest.NewClock(start).Now())
}

func TestClock_Wait(t *testing.T) {
	t.Parallel()
	wake := make(chan struct{}, 1)
	clock := schedulertest.NewClock(time.Time{})
	start := clock.Now()
	until := start.Add(24 * time.Hour)

	clock.Wait(until, wake)
	require.Equal(t, until, clock.Now(), "it is the time at once")
	clock.Wait(start, wake)
	require.Equal(t, until, clock.Now(), "and never goes back")

	wake <- struct{}{}
	clock.Wait(until.Add(time.Hour), wake)
	require.Equal(t, until, clock.Now(), "what waits in wake comes first")
	require.Empty(t, wake, "and is taken")

	wake <- struct{}{}
	clock.Wait(time.Time{}, wake)
	require.Empty(t, wake)

	require.Equal(t, []time.Duration{24 * time.Hour, 0}, clock.Pauses())
	require.Equal(t, 24*time.Hour, clock.Slept())
	clock.Pauses()[0] = 0
	require.Equal(t, 24*time.Hour, clock.Slept(), "the record is a copy")
}

func TestClock_Wait_without_a_time_blocks_for_real(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{}, 1)
		time.AfterFunc(time.Hour, func() { wake <- struct{}{} })
		clock, start := schedulertest.NewClock(time.Time{}), time.Now()
		before := clock.Now()
		clock.Wait(time.Time{}, wake)
		require.Equal(t, time.Hour, time.Since(start))
		require.Equal(t, before, clock.Now())
		require.Empty(t, clock.Pauses())
	})
}

func TestClock_Advance(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{})
	start := clock.Now()
	clock.Advance(time.Minute)
	clock.Advance(0)
	require.Equal(t, time.Minute, clock.Now().Sub(start))
	require.Empty(t, clock.Pauses())
	require.PanicsWithValue(t, "schedulertest: Clock.Advance: negative duration -1ns", func() { clock.Advance(-1) })
}

// With its group the clock says which node waits for what.
func TestClock_Alone_explains_groups(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	event := new(scheduler.Event)
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
		return scheduler.Pause(scheduler.On(event))
	}, &scheduler.GroupOptions[string]{Name: "site"})
	require.NoError(t, err)
	clock := schedulertest.NewClock(time.Time{}).Alone(group)
	require.PanicsWithValue(t, `schedulertest: the run waits for an event, and nobody is left to set it
site: round 1, 1 pending, 1 running
  network: running since round 1, waits: event
  server: pending since round 0, requires network`, func() {
		_ = scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock})
	})
}

func TestClock_Alone_panics_if_the_run_waits_for_ever(t *testing.T) {
	t.Parallel()
	const want = "schedulertest: the run waits for an event, and nobody is left to set it"
	run := func(y scheduler.Yield) {
		clock := schedulertest.NewClock(time.Time{}).Alone()
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Pause(y), &scheduler.RunnerOptions{Clock: clock}))
	}
	event := new(scheduler.Event)
	require.PanicsWithValue(t, want, func() { run(scheduler.On(event)) })
	run(scheduler.On(event).Or(scheduler.After(time.Hour)))
	event.Set()
	run(scheduler.On(event))
}

// Calls take real time, which a clock knows nothing of; the pauses between them
// are its own.
func TestClock_with_Poll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin, calls := time.Now(), 0
		clock := schedulertest.NewClock(time.Time{})
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Poll(time.Minute, func(context.Context) (bool, error) {
			time.Sleep(time.Hour) //nolint:forbidigo // in a bubble
			calls++
			return calls == 3, nil
		}), &scheduler.RunnerOptions{Clock: clock}))
		require.Equal(t, 3*time.Hour, time.Since(begin))
		require.Equal(t, 2*time.Minute, clock.Slept())
	})
}

// The end of a context comes in real time too, unless a step itself ends it.
func TestClock_and_the_end_of_a_context(t *testing.T) {
	t.Parallel()
	run := func(ctx context.Context, task scheduler.Task) (slept time.Duration, err error) {
		clock := schedulertest.NewClock(time.Time{})
		err = scheduler.Run(ctx, task, &scheduler.RunnerOptions{Clock: clock})
		return clock.Slept(), err
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		slept, err := run(ctx, scheduler.Pause(scheduler.After(24*time.Hour)))
		require.NoError(t, err, "the simulated day is over first")
		require.Equal(t, 24*time.Hour, slept)

		begin := time.Now()
		var never scheduler.Event
		slept, err = run(ctx, scheduler.Pause(scheduler.On(&never)))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, slept)
		require.Equal(t, time.Minute, time.Since(begin))
	})
	ctx, cancel := context.WithCancel(t.Context())
	slept, err := run(ctx, scheduler.Wrap(func(co *scheduler.Coroutine) error {
		cancel()
		return co.Yield(scheduler.After(24 * time.Hour))
	}))
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, slept)
}
