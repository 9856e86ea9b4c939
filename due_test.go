package scheduler_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// lingering returns a group of two nodes, of which b alone has a grace and wants
// every round.
func lingering(t *testing.T, a, b scheduler.Task) *scheduler.DependencyTaskGroup[string] {
	t.Helper()
	return newGroup(t, "a b", byKey(map[string]scheduler.Task{"a": a, "b": b}), &scheduler.GroupOptions[string]{
		GraceFor: byKey(map[string]time.Duration{"b": time.Minute}),
	})
}

// A member that was woken and is closed before its turn leaves nothing behind that
// would cut short the pause before the next round.
func TestTaskRunner_Due_after_a_woken_member_was_closed(t *testing.T) {
	t.Parallel()
	insides := map[string]func(task scheduler.Task) scheduler.Task{
		"alone":       func(task scheduler.Task) scheduler.Task { return task },
		"in a group":  func(task scheduler.Task) scheduler.Task { return lingering(t, task, &fakeTask{}) },
		"in All":      func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		"in a runner": func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
		"wrapped":     func(task scheduler.Task) scheduler.Task { return struct{ scheduler.Task }{task} },
		"in Sequence": func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
		"in Wrap": func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		},
	}
	arounds := map[string]func(task scheduler.Task) scheduler.Task{
		"alone": insides["alone"], "in a runner": insides["in a runner"], "in Sequence": insides["in Sequence"],
	}
	for inside, wrap := range insides {
		for around, wrapAll := range arounds {
			t.Run("a "+inside+", all "+around, func(t *testing.T) {
				t.Parallel()
				event := new(scheduler.Event)
				b := &fakeTask{
					step: func(context.Context) (scheduler.Yield, error) {
						event.Set()
						return scheduler.Next, nil
					},
					stop: func(context.Context, error) {},
				}
				group := lingering(t, wrap(scheduler.Pause(scheduler.On(event))), b)
				r := startRunner(t, wrapAll(group), &scheduler.RunnerOptions{Clock: newClock()})
				require.True(t, r.Due().Ready(), "a was woken")

				r.Interrupt(errors.New("broken"))
				require.True(t, r.Due().Ready())
				mustStep(t, t.Context(), r)
				require.Equal(t, scheduler.StateCancelled, group.State("a"))
				require.Equal(t, scheduler.StateRunning, group.State("b"))
				require.Equal(t, 1, r.Due().Rounds())
				require.False(t, r.Due().Ready(), "a is not there any more")
				require.NoError(t, r.Cancel())
			})
		}
	}
}

// What else the group was called for is not forgotten with the wakes of its members.
func TestTaskRunner_Due_after_a_woken_member_was_closed_and_the_group_called(t *testing.T) {
	t.Parallel()
	event := new(scheduler.Event)
	group := lingering(t, scheduler.Pause(scheduler.On(event)), &fakeTask{step: forever, stop: func(context.Context, error) {}})
	r := startRunner(t, group, &scheduler.RunnerOptions{Clock: newClock()})
	event.Set()
	group.Drain()
	r.Interrupt(errors.New("broken"))
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateCancelled, group.State("a"))
	require.True(t, r.Due().Ready())
	require.NoError(t, r.Cancel())
}

// A woken member that continues within its grace has its step at once.
func TestTaskRunner_Due_after_a_woken_member_was_told(t *testing.T) {
	t.Parallel()
	event := new(scheduler.Event)
	group := lingering(t, &fakeTask{}, &fakeTask{yields: []scheduler.Yield{scheduler.On(event)}, stop: func(context.Context, error) {}})
	r := startRunner(t, group, &scheduler.RunnerOptions{Clock: newClock()})
	event.Set()
	r.Interrupt(errSpace)
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateRunning, group.State("b"))
	require.True(t, r.Due().Ready())
	_, err := r.Step(t.Context())
	require.ErrorIs(t, err, errSpace)
}

// A group inside that is called does not cut short the pause before a round in which
// it has its turn anyway: here since its grace has passed in its own step.
func TestTaskRunner_Due_of_a_group_inside_whose_turn_has_come(t *testing.T) {
	t.Parallel()
	clock := newClock()
	inner := newGroup(t, "x", func(string) scheduler.Task {
		steps := 0
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if steps++; steps == 2 {
				clock.Advance(time.Hour)
				return scheduler.On(new(scheduler.Event)), nil
			}
			return scheduler.Next, nil
		})
	}, nil)
	outer := newGroup(t, "a b", byKey(map[string]scheduler.Task{
		"a": inner,
		"b": scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) { return scheduler.Yield{}, errSpace }),
	}), &scheduler.GroupOptions[string]{Grace: time.Minute})
	r := startRunner(t, outer, &scheduler.RunnerOptions{Clock: clock})
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateRunning, outer.State("a"), "closed in the next round")

	inner.Drain()
	require.Equal(t, 1, r.Due().Rounds())
	require.False(t, r.Due().Ready())
	r.CancelAfter(time.Minute)
	require.True(t, r.Due().Ready(), "a call of the runner itself counts")
	require.NoError(t, r.Cancel())
}

// A group that is stepped by hand is not due either for wakes of members that were
// closed since, at whatever depth.
func TestDependencyTaskGroup_Step_by_hand_after_a_woken_member_was_closed(t *testing.T) {
	t.Parallel()
	insides := map[string]func(task scheduler.Task) scheduler.Task{
		"alone":       func(task scheduler.Task) scheduler.Task { return task },
		"in a group":  func(task scheduler.Task) scheduler.Task { return lingering(t, task, &fakeTask{}) },
		"in a runner": func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
		"in a group in All": func(task scheduler.Task) scheduler.Task {
			return scheduler.All(lingering(t, task, &fakeTask{}))
		},
	}
	for name, wrap := range insides {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := scheduler.WithClock(t.Context(), newClock())
			event, fails := new(scheduler.Event), false
			b := &fakeTask{
				step: func(context.Context) (scheduler.Yield, error) {
					event.Set()
					return scheduler.Next, nil
				},
				stop: func(context.Context, error) {},
			}
			c := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if fails {
					return scheduler.Yield{}, errSpace
				}
				return scheduler.Next, nil
			})
			deaf := &fakeTask{step: forever, stop: func(context.Context, error) {}}
			newOf := func(last scheduler.Task) *scheduler.DependencyTaskGroup[string] {
				return newGroup(t, "a b c", byKey(map[string]scheduler.Task{
					"a": wrap(scheduler.Pause(scheduler.On(event))), "b": b, "c": last,
				}), &scheduler.GroupOptions[string]{GraceFor: byKey(map[string]time.Duration{"b": time.Minute})})
			}
			requireDue := func(y scheduler.Yield, err error, ready bool) {
				t.Helper()
				require.NoError(t, err)
				require.Equal(t, 1, y.Rounds())
				require.Equal(t, ready, y.Ready())
			}

			group := newOf(deaf)
			y, err := group.Step(ctx)
			requireDue(y, err, true)
			y, err = group.Throw(ctx, errBoom)
			require.Equal(t, scheduler.StateCancelled, group.State("a"))
			requireDue(y, err, false)
			require.NoError(t, group.Close())

			// The step in which it is woken closes it as well.
			event.Reset()
			group = newOf(c)
			fails = true
			y, err = group.Step(ctx)
			require.Equal(t, scheduler.StateCancelled, group.State("a"))
			requireDue(y, err, false)
			require.ErrorIs(t, group.Close(), errSpace)

			// What it is called for otherwise counts.
			event.Reset()
			group = newOf(deaf)
			y, err = group.Step(ctx)
			requireDue(y, err, true)
			group.Drain()
			y, err = group.Throw(ctx, errBoom)
			requireDue(y, err, true)
			require.NoError(t, group.Close())
		})
	}
}
