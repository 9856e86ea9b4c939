package scheduler_test

import (
	"context"
	"errors"
	"math"
	"net"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

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
			t.Parallel()
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
		err := outer.Run(t.Context(), c.outer, time.Hour)
		require.EqualError(t, err, c.want)
		var timeout *scheduler.Timeout
		require.True(t, errors.As(err, &timeout))
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
