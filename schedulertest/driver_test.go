package schedulertest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

var errBoom = errors.New("boom")

// steps is a task that yields each entry in turn and then is done.
type steps struct {
	yields []scheduler.Yield
	n      int
	closes error
}

func (s *steps) Step(context.Context) (scheduler.Yield, error) {
	if s.n++; s.n > len(s.yields) {
		return scheduler.Done, nil
	}
	return s.yields[s.n-1], nil
}

func (s *steps) Close() error { return s.closes }

func (s *steps) String() string { return "steps" }

// testOf performs test on a TestingT of its own and returns how it failed.
func testOf(test func(t schedulertest.TestingT)) []string {
	t := &fakeT{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range t.cleanups {
				f()
			}
		}()
		test(t)
	}()
	<-done
	return t.failures
}

type fakeT struct {
	failures []string
	cleanups []func()
}

func (t *fakeT) Helper() {}

func (t *fakeT) Errorf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

func (t *fakeT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *fakeT) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func TestDriver_Step(t *testing.T) {
	t.Parallel()
	task := &steps{yields: []scheduler.Yield{scheduler.Next, scheduler.After(time.Minute)}}
	d := schedulertest.NewDriver(t, task, nil)
	require.False(t, d.Runner.Started())
	require.False(t, d.Parked())
	require.False(t, d.Step())
	require.False(t, d.Parked())
	require.False(t, d.Step())
	require.True(t, d.Parked())
	require.False(t, d.Step())
	require.Equal(t, 2, task.n, "a task that is not due is left alone")
	d.Clock.Advance(time.Minute)
	require.False(t, d.Parked())
	require.True(t, d.Step())
	require.False(t, d.Parked())
	require.NoError(t, d.Err())
	require.Empty(t, d.Clock.Pauses())
}

func TestDriver_Step_keeps_the_error(t *testing.T) {
	t.Parallel()
	fail := scheduler.Func(func(context.Context) error { return errBoom })
	d := schedulertest.NewDriver(t, fail, nil)
	require.True(t, d.Step())
	require.Equal(t, errBoom, d.Err())

	d = schedulertest.NewDriver(t, scheduler.Wrap(func(co *scheduler.Coroutine) error { return errors.Join(co.Yield(scheduler.Next), errBoom) }), nil)
	require.False(t, d.Step())
	require.True(t, d.Step())
	require.ErrorIs(t, d.Err(), errBoom)
}

func TestDriver_StepUntil(t *testing.T) {
	t.Parallel()
	event := new(scheduler.Event)
	task := &steps{yields: []scheduler.Yield{
		scheduler.Next, scheduler.Rounds(3), scheduler.After(time.Hour), scheduler.On(event).Or(scheduler.After(time.Hour)),
	}}
	d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Wait: time.Second})
	start := d.Clock.Now()
	until := func(n int, after time.Duration) {
		t.Helper()
		d.StepUntil(func() bool { return task.n == n })
		require.Equal(t, after, d.Clock.Now().Sub(start))
	}
	until(0, 0)
	until(1, 0)
	until(2, time.Second)
	event.Set() // nobody waits for it yet
	until(3, 4*time.Second)
	until(4, time.Hour+4*time.Second)
	until(5, time.Hour+4*time.Second)
	require.True(t, d.Runner.Done())
}

func TestDriver_RunToEnd(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC))
	woken := 0
	d := schedulertest.NewDriver(t, &steps{yields: []scheduler.Yield{scheduler.After(time.Hour), scheduler.Rounds(3)}},
		&scheduler.RunnerOptions{Clock: clock, Wait: time.Minute, Timeout: 2 * time.Hour, Wake: func() { woken++ }})
	require.Same(t, clock, d.Clock)
	d.Step()
	d.Runner.CancelAfter(time.Hour + time.Minute)
	require.Equal(t, 1, woken)
	require.ErrorIs(t, d.RunToEnd(), scheduler.ErrCancelled)
	require.Equal(t, time.Hour+time.Minute+1, clock.Slept(), "a wake that is left from before shortens nothing")
	require.ErrorIs(t, d.RunToEnd(), scheduler.ErrCancelled, "an ended task just says so")
}

func TestDriver_waits_for_other_goroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := schedulertest.NewDriver(t, scheduler.Blocking(func(context.Context) error {
			time.Sleep(time.Hour) //nolint:forbidigo // in a bubble
			return errBoom
		}), nil)
		require.Equal(t, errBoom, d.RunToEnd())
	})
}

func TestDriver_WithContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	d := schedulertest.NewDriver(t, scheduler.Func(func(ctx context.Context) error {
		require.Equal(t, "v", ctx.Value(key{}))
		return nil
	}), nil).WithContext(context.WithValue(t.Context(), key{}, "v"))
	require.True(t, d.Step())
}

func TestDriver_fails_the_test(t *testing.T) {
	t.Parallel()
	forever := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil })
	for name, c := range map[string]struct {
		test func(t schedulertest.TestingT)
		want []string
	}{
		"for a step after the end": {
			func(t schedulertest.TestingT) {
				d := schedulertest.NewDriver(t, &steps{}, nil)
				d.Step()
				d.Step()
			},
			[]string{"schedulertest: step of steps, which has ended"},
		},
		"for an end before its time": {
			func(t schedulertest.TestingT) {
				schedulertest.NewDriver(t, &steps{}, &scheduler.RunnerOptions{Timeout: -1}).StepUntil(func() bool { return false })
			},
			[]string{"schedulertest: steps ended before what StepUntil waited for, with error steps: timed out before it started"},
		},
		"for what never comes": {
			func(t schedulertest.TestingT) {
				schedulertest.NewDriver(t, forever, &scheduler.RunnerOptions{Name: "forever"}).StepUntil(func() bool { return false })
			},
			[]string{"schedulertest: StepUntil of forever: not there after 1000 steps"},
		},
		"for no end": {
			func(t schedulertest.TestingT) {
				_ = schedulertest.NewDriver(t, forever, &scheduler.RunnerOptions{Name: "forever"}).RunToEnd()
			},
			[]string{"schedulertest: RunToEnd of forever: no end after 1000 steps"},
		},
		"for an error of the close at its end": {
			func(t schedulertest.TestingT) {
				schedulertest.NewDriver(t, &steps{yields: []scheduler.Yield{scheduler.Next}, closes: errBoom}, nil).Step()
			},
			[]string{"schedulertest: closing steps at the end of the test: boom"},
		},
		"not for a task that is merely left": {
			func(t schedulertest.TestingT) {
				schedulertest.NewDriver(t, &steps{yields: []scheduler.Yield{scheduler.Next}}, nil).Step()
				schedulertest.NewDriver(t, &steps{}, nil)
			},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, testOf(c.test))
		})
	}
}
