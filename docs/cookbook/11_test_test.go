package main

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// rollOut is what is tested: it looks again each minute, for an hour at most. healthy
// looks at memory and does not block; for a call that may, use Poll.
func rollOut(healthy func() bool) scheduler.Task {
	ask := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for !healthy() {
			if err := co.Yield(scheduler.After(time.Minute)); err != nil {
				return err
			}
		}
		return nil
	})
	return scheduler.WithTimeout(time.Hour, scheduler.Named("roll-out", ask))
}

// A simulated clock: an hour passes in microseconds.
func TestRollOut_times_out(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	asked := 0
	task := rollOut(func() bool { asked++; return false })

	err := scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: clock})

	require.EqualError(t, err, "roll-out: timed out after 1h0m0s")
	require.Equal(t, 61, asked)
	require.Equal(t, time.Hour, clock.Slept().Round(time.Second))
}

// A driver: the test looks between two steps.
func TestRollOut_waits_for_health(t *testing.T) {
	healthy := false
	d := schedulertest.NewDriver(t, rollOut(func() bool { return healthy }), nil)

	require.False(t, d.Step())
	require.True(t, d.Parked())

	healthy = true
	require.False(t, d.Step(), "not due yet: nobody has asked again")
	d.Clock.Advance(time.Minute)
	require.True(t, d.Step())
	require.NoError(t, d.Err())
}

// A recorder: the whole run as text, the same each time.
func TestSite_skips_what_requires_a_failure(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	recorder := schedulertest.NewRecorder(clock)
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		if name == "network" {
			return scheduler.Func(func(context.Context) error { return errQuota })
		}
		return scheduler.Pause(scheduler.After(3 * time.Second))
	}, &scheduler.GroupOptions[string]{AggregateErrors: true, Observer: recorder})
	require.NoError(t, err)

	require.Error(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))

	require.Equal(t, `0s 1 network: pending -> running
0s 1 network: running -> failed: no more quota
0s 1 server: pending -> skipped
0s 1 dns: pending -> skipped
0s 1 volume: pending -> running
0s 1 bucket: pending -> running
3s 2 volume: running -> succeeded
3s 2 bucket: running -> succeeded
`, recorder.String())
}

// A bubble: calls that block have simulated time too, and the clock puts them in order.
func TestCreating_in_a_bubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{}).InBubble(synctest.Wait)
		create := creating(newCloud(), sayTo(t.Output()))

		require.NoError(t, scheduler.Run(t.Context(), create("volume"), &scheduler.RunnerOptions{Clock: clock}))

		require.Equal(t, 4*time.Second, clock.Elapsed().Truncate(time.Second), "two pauses")
	})
}

// Explore: the orders and faults that nobody thought of.
func TestEnsure_explored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		schedulertest.Explore(t, &schedulertest.ExploreOptions{Bubble: synctest.Wait}, oneServer)
	})
}

// oneServer is one life of a server: it is created once, whatever happens.
func oneServer(w *schedulertest.World) error {
	there := 0     // in the cloud
	begun := false // on disk
	find := func(ctx context.Context) (int, error) {
		n := 0
		if err := w.Do(ctx, "find server", func() error { n = there; return nil }); err != nil {
			return 0, err
		}
		return n, nil
	}
	create := func(ctx context.Context) error {
		return w.Do(ctx, "create server", func() error { there++; return nil })
	}
	ensure := func() scheduler.Task { // what is tested
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if begun { // by a process that has crashed, or lost the answer
				if n, err := scheduler.Call(co, find); n > 0 || err != nil {
					return err
				}
			}
			w.Save("begun", func() { begun = true })
			return co.Await(scheduler.Blocking(create))
		})
	}
	w.Always("one server", func() error {
		if there > 1 {
			return fmt.Errorf("there are %d", there)
		}
		return nil
	})
	for range 3 { // whether it fails, is stopped, or crashes: again
		_ = w.Run("ensure", ensure())
	}
	w.Settle()
	w.Calm()
	if err := w.Run("ensure", ensure()); err != nil || there == 0 {
		return fmt.Errorf("in the end there are %d: %w", there, err)
	}
	return nil
}
