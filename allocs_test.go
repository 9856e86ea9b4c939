package scheduler_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// A step and a round cost no allocation, whoever is stepped and whatever it
// waits for. (Not parallel: other tests' allocations would count.)
func TestStep_does_not_allocate(t *testing.T) {
	for name, ctx := range map[string]context.Context{
		"Background":    context.Background(),
		"WithoutCancel": context.WithoutCancel(t.Context()), // that of a run whose context has ended
		"a pointer":     t.Context(),
	} {
		t.Run(name, func(t *testing.T) { testAllocs(ctx, t) })
	}
}

type contextKey struct{}

func testAllocs(ctx context.Context, t *testing.T) {
	t.Helper()
	event := new(scheduler.Event)
	both := scheduler.On(event, new(scheduler.Event)) // made once: On of several allocates
	step := func(y scheduler.Yield) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			event.Reset()
			return y, nil
		})
	}
	members := func(y scheduler.Yield) scheduler.Task {
		tasks := make([]scheduler.Task, 20)
		for i := range tasks {
			tasks[i] = step(y)
		}
		return scheduler.All(tasks...)
	}
	within := func(y scheduler.Yield) scheduler.Task {
		g, err := scheduler.NewDependencyTaskGroup(graph("a b"), func(string) scheduler.Task { return step(y) },
			&scheduler.GroupOptions[string]{Context: func(ctx context.Context, k string) context.Context {
				return context.WithValue(ctx, contextKey{}, k)
			}})
		require.NoError(t, err)
		return g
	}
	wrapped := func(y scheduler.Yield) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			return co.Await(scheduler.Wrap(func(co *scheduler.Coroutine) error {
				for {
					event.Reset()
					if err := co.Yield(y); err != nil {
						return err
					}
				}
			}))
		})
	}
	nested := func(y scheduler.Yield) scheduler.Task {
		return scheduler.All(scheduler.NewTaskRunner(scheduler.All(step(y)), nil).AsTask(time.Hour))
	}
	for name, make := range map[string]func(scheduler.Yield) scheduler.Task{
		"a task": step, "a coroutine in another": wrapped, "a group of 20": members,
		"a group with contexts": within, "a group in a runner in a group": nested,
	} {
		for _, y := range []scheduler.Yield{
			scheduler.Next, scheduler.Rounds(3), scheduler.After(time.Second), scheduler.On(event), both,
			scheduler.On(event).Or(scheduler.After(time.Second)),
		} {
			for _, limit := range []time.Duration{0, time.Hour} {
				clock := schedulertest.NewClock(time.Time{})
				r := scheduler.NewTaskRunner(make(y), &scheduler.RunnerOptions{Clock: clock, Wake: func() {}})
				require.NoError(t, r.Start(ctx, limit))
				round := func() {
					clock.Advance(time.Millisecond)
					event.Set()
					if _, err := r.Step(ctx); err != nil {
						t.Fatal(err)
					}
					_ = r.Due()
				}
				for range 150 { // until what grows has grown
					round()
				}
				require.Zero(t, testing.AllocsPerRun(100, round), "%s that yields %v, with limit %v", name, y, limit)
				require.NoError(t, r.Cancel())
			}
		}
	}
}
