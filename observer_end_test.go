package scheduler_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// What Observers are told while a group ends, and what becomes of the group if one
// of them panics then.

// An Observer that panics when it hears of the end of a group which ends by a panic
// does not keep that from the others.
func TestObserver_that_panics_at_the_end_of_a_panic(t *testing.T) {
	ends := 0
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { panic(errBoom) })
	}, &scheduler.GroupOptions[string]{Observer: scheduler.Observers(
		kindObserver{scheduler.GroupEnded, func() { panic(errPanic) }},
		kindObserver{scheduler.GroupEnded, func() { ends++ }},
	)})
	panicOf(t, func() { _, _ = group.Step(t.Context()) })
	require.Equal(t, 1, ends)
	require.ErrorIs(t, group.Err("a"), scheduler.ErrAborted)
	_, err := group.Step(t.Context())
	require.ErrorIs(t, err, scheduler.ErrEnded)
}

// A task that is closing when an Observer panics about a step of it is closed all
// the same, and has timed out.
func TestObserver_that_panics_about_a_closing_task(t *testing.T) {
	for name, answer := range map[string]struct {
		y      scheduler.Yield
		err    error
		closes int
	}{
		"ends":    {scheduler.Done, nil, 0},
		"fails":   {scheduler.Next, errOops, 0},
		"goes on": {scheduler.Next, nil, 1},
		"waits":   {scheduler.Ending(new(scheduler.Event)), nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked scheduler.Event
			task := &fakeTask{throw: always(scheduler.Ending(&asked), nil)}
			task.step = func(context.Context) (scheduler.Yield, error) {
				if task.steps == 1 {
					return scheduler.After(time.Hour), nil
				}
				return answer.y, answer.err
			}
			group := newGroup(t, "a", func(string) scheduler.Task { return task }, &scheduler.GroupOptions[string]{
				Timeout: func(string) time.Duration { return time.Second },
				Observer: kindObserver{scheduler.NodeStepped, func() {
					if task.steps == 2 {
						panic(errPanic)
					}
				}},
			})
			clock := newClock()
			ctx := scheduler.WithClock(t.Context(), clock)
			mustStep(t, ctx, group)
			clock.Advance(2 * time.Second)
			mustStep(t, ctx, group)
			asked.Set()
			panicOf(t, func() { _, _ = group.Step(ctx) })
			require.Equal(t, scheduler.StateTimedOut, group.State("a"))
			require.ErrorIs(t, group.Err("a"), context.DeadlineExceeded)
			if answer.err != nil {
				require.ErrorIs(t, group.Err("a"), answer.err)
			}
			require.Equal(t, answer.closes, task.closes)
		})
	}
}

// Nobody hears that a task is closing still which has ended since that was to be
// told.
func TestObserver_still_closing_no_more(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		told := 0
		group := newGroup(t, "slow deaf", func(k string) scheduler.Task {
			if k == "deaf" {
				return deafFor(1800*time.Millisecond, nil)
			}
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if time.Since(began) > 1500*time.Millisecond {
					sleep(time.Second) // while the time to tell it comes
				}
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			Timeout:         byKey(map[string]time.Duration{"deaf": time.Second}),
			Observer:        kindObserver{scheduler.NodeStillClosing, func() { told++ }},
		})
		r := startRunner(t, group, nil)
		sleep(1001 * time.Millisecond)
		mustStep(t, t.Context(), r)
		require.Equal(t, scheduler.StateClosing, group.State("deaf"))
		sleep(850 * time.Millisecond)
		mustStep(t, t.Context(), r)
		require.Equal(t, scheduler.StateTimedOut, group.State("deaf"))
		mustStep(t, t.Context(), r)
		require.Zero(t, told)
		_ = r.Cancel()
	})
}

// What a panic of the clock ends is told without asking the clock again.
func TestRecord_Now_after_a_panic_of_the_clock(t *testing.T) {
	t.Parallel()
	clock := &panickingClock{Clock: schedulertest.NewClock(time.Time{})}
	var kinds []scheduler.Kind
	var last time.Time
	watch := selective{scheduler.AllKinds, func(r scheduler.Record) { kinds, last = append(kinds, r.Kind), r.Now() }}
	group, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			clock.broken = true
			return scheduler.After(time.Second), nil
		})
	}, &scheduler.GroupOptions[string]{Observer: watch})
	require.NoError(t, err)
	began := clock.Now()
	require.Panics(t, func() {
		_ = scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock})
	})
	require.Equal(t, 1, clock.asked)
	require.Equal(t, scheduler.GroupEnded, kinds[len(kinds)-1])
	require.True(t, began.Equal(last))
}

// panickingClock panics once it is broken.
type panickingClock struct {
	scheduler.Clock
	broken bool
	asked  int
}

func (c *panickingClock) Now() time.Time {
	if c.broken {
		c.asked++
		panic("the clock is broken")
	}
	return c.Clock.Now()
}

// Many Observers are told apart in time that grows with their number, in the order
// in which they were given.
func TestObservers_of_very_many(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var told []int
	var all []scheduler.Observer
	for i := range n {
		all = append(all, &selective{scheduler.KindsOf(scheduler.GroupEnded), func(scheduler.Record) { told = append(told, i) }})
	}
	joined := scheduler.Observers(all...)
	group, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[string]{Observer: scheduler.Observers(joined, all[3], joined)})
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	require.Len(t, told, n, "each once")
	require.IsIncreasing(t, told)
}
