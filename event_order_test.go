package scheduler_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// All that wait for an event are due in the same round, in key order, from
// whichever goroutine it is set, and whatever groups and runners they are in.
func TestEvent_Set_is_seen_in_one_round(t *testing.T) {
	const waiters = 19
	shapes := map[string]func(wait func(i int) scheduler.Task, busy scheduler.Task) scheduler.Task{
		"one group": func(wait func(i int) scheduler.Task, busy scheduler.Task) scheduler.Task {
			tasks := []scheduler.Task{busy}
			for i := range waiters {
				tasks = append(tasks, wait(i))
			}
			return scheduler.All(tasks...)
		},
		"groups in a group": func(wait func(i int) scheduler.Task, busy scheduler.Task) scheduler.Task {
			tasks := []scheduler.Task{busy}
			for i := range waiters {
				switch i % 3 {
				case 0:
					tasks = append(tasks, wait(i))
				case 1:
					tasks = append(tasks, scheduler.All(scheduler.All(wait(i))))
				default:
					tasks = append(tasks, scheduler.Sequence(scheduler.Subrun(scheduler.NewTaskRunner(scheduler.All(wait(i)), nil))))
				}
			}
			return scheduler.All(tasks...)
		},
	}
	for name, shape := range shapes {
		for _, several := range []bool{false, true} {
			t.Run(fmt.Sprint(name, several), func(t *testing.T) {
				for range 300 {
					event, never := new(scheduler.Event), new(scheduler.Event)
					var order, rounds []int
					round, woken := 0, 0
					wait := func(i int) scheduler.Task {
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							y := scheduler.On(event)
							if several && i%2 == 0 {
								y = scheduler.On(never, event)
							}
							if err := co.Yield(y); err != nil {
								return err
							}
							order, rounds, woken = append(order, i), append(rounds, round), woken+1
							return nil
						})
					}
					busy := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
						if round++; round == 1 {
							go event.Set()
						}
						runtime.Gosched()
						if woken == waiters {
							return scheduler.Done, nil
						}
						return scheduler.Next, nil
					})
					require.NoError(t, scheduler.Run(t.Context(), shape(wait, busy), nil))
					require.True(t, slices.IsSorted(order), "%v in rounds %v", order, rounds)
					require.Len(t, slices.Compact(rounds), 1)
				}
			})
		}
	}
}

// A group that is driven without a runner is no different.
func TestEvent_Set_of_a_bare_group(t *testing.T) {
	event := new(scheduler.Event)
	g := scheduler.All(
		scheduler.All(scheduler.Pause(scheduler.On(event))), scheduler.Pause(scheduler.On(event)),
		scheduler.Func(func(context.Context) error { event.Set(); return nil }),
	)
	y, err := g.Step(t.Context())
	require.NoError(t, err)
	require.True(t, y.Ready())
	y, err = g.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, scheduler.Done, y)
}

// Events of several runs.
func TestEvent_Set_wakes_several_runs(t *testing.T) {
	event := new(scheduler.Event)
	runners := make([]*scheduler.TaskRunner, 5)
	for i := range runners {
		runners[i] = scheduler.NewTaskRunner(scheduler.All(scheduler.Pause(scheduler.On(event)), scheduler.Pause(scheduler.On(event))), nil)
		require.NoError(t, runners[i].Start(t.Context(), 0))
		require.False(t, runners[i].Due().Ready())
	}
	event.Set()
	for _, r := range runners {
		require.True(t, r.Due().Ready())
		done, err := r.Step(t.Context())
		require.True(t, done)
		require.NoError(t, err)
	}
}
