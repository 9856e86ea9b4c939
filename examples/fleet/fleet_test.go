package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFleet_runs_all_and_keeps_failures_apart(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	start := clock.Now()
	fleet := New(clock)
	for i := range 1000 {
		fleet.Add(fmt.Sprint(i), stack(i))
	}
	errs := fleet.Run(t.Context())
	require.Len(t, errs, 2)
	require.EqualError(t, errs["0"], "server: no more quota")
	require.EqualError(t, errs["500"], "server: no more quota")
	require.Equal(t, 21*time.Second, clock.Now().Sub(start), "as long as the longest, not as all")
}

func TestFleet_steps_only_what_is_due(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	fleet := New(clock)
	steps := 0
	for i := range 100 {
		fleet.Add(fmt.Sprint(i), scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if steps++; steps > 100 {
				return scheduler.Done, nil
			}
			return scheduler.After(time.Duration(1+i) * time.Second), nil
		}))
	}
	require.Empty(t, fleet.Run(t.Context()))
	require.Equal(t, 200, steps)
}

func TestFleet_is_woken_by_calls_and_ends_with_its_context(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock systemClock
		start := time.Now()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("closing time"))
		defer cancel()
		fleet := New(clock)
		for i := range 10 {
			fleet.Add(fmt.Sprint("call ", i), scheduler.Blocking(func(context.Context) error {
				time.Sleep(time.Duration(i) * time.Second) //nolint:forbidigo // in a bubble
				return nil
			}))
		}
		fleet.Add("endless", scheduler.Pause(scheduler.On(new(scheduler.Event))))
		errs := fleet.Run(ctx)
		require.Len(t, errs, 1)
		require.EqualError(t, errs["endless"], "closing time")
		require.Equal(t, time.Minute, time.Since(start))
	})
}

// systemClock is a Clock of real time, or a bubble's.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Wait(until time.Time, wake <-chan struct{}) {
	if until.IsZero() {
		<-wake
		return
	}
	select {
	case <-wake:
	case <-time.After(time.Until(until)):
	}
}
