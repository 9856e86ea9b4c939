package schedulertest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// exploreBoth runs a scenario outside of a bubble and in one, and returns what the failures say.
func exploreBoth(t *testing.T, o schedulertest.ExploreOptions, scenario func(w *schedulertest.World) error) (outside, inside string) {
	t.Helper()
	var f, g explored
	schedulertest.Explore(&f, &o, scenario)
	synctest.Test(t, func(*testing.T) {
		o.Bubble = synctest.Wait
		schedulertest.Explore(&g, &o, scenario)
	})
	return f.text, g.text
}

// A sleeper whose context ends is woken by the World, so that the order is the same each time.
func TestWorld_order_at_one_moment(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	text, _ := exploreBoth(t, schedulertest.ExploreOptions{Runs: 200}, func(w *schedulertest.World) error {
		var order []string
		deps := scheduler.NewDependencies[string]()
		for _, k := range []string{"a", "b", "c"} {
			deps.Add(k)
		}
		g, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				err := schedulertest.Sleep(ctx, -1)
				order = append(order, k)
				return err
			})
		}, nil)
		if err != nil {
			return err
		}
		_ = w.Process("up", func(ctx context.Context) error {
			return scheduler.Run(ctx, g, &scheduler.RunnerOptions{Timeout: time.Minute})
		})
		seen[strings.Join(order, "")]++
		return nil
	})
	require.Empty(t, text)
	require.Len(t, seen, 6, "each order comes up: %v", seen)
}

// A call that ends its goroutine, or panics, ends as it does in any run.
func TestWorld_calls_that_do_not_return(t *testing.T) {
	t.Parallel()
	outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 50}, func(w *schedulertest.World) error {
		err := w.Run("up", scheduler.Blocking(func(ctx context.Context) error {
			defer runtime.Goexit()
			return w.Do(ctx, "ask", func() error { return nil })
		}))
		if err == nil {
			return errors.New("nil after a Goexit")
		}
		return nil
	})
	require.Empty(t, outside)
	require.Empty(t, inside)
	outside, inside = exploreBoth(t, schedulertest.ExploreOptions{Runs: 50}, func(w *schedulertest.World) error {
		return w.Run("up", scheduler.Blocking(func(ctx context.Context) error {
			_ = w.Do(ctx, "ask", func() error { return nil })
			panic("oops")
		}))
	})
	for _, text := range []string{outside, inside} {
		require.Contains(t, text, "up panics: ")
		require.Contains(t, text, "oops")
	}
}

// A hang without a time limit ends after an hour: otherwise every engine waits for ever.
func TestWorld_hangs_end(t *testing.T) {
	t.Parallel()
	hung := 0
	text, _ := exploreBoth(t, schedulertest.ExploreOptions{Runs: 200}, func(w *schedulertest.World) error {
		start := w.Now()
		err := w.Process("up", func(ctx context.Context) error {
			return w.Do(ctx, "ask", func() error { return nil })
		})
		if w.Now().Sub(start) >= time.Hour && errors.Is(err, schedulertest.ErrFault) {
			hung++
		}
		return nil
	})
	require.Empty(t, text)
	require.NotZero(t, hung)
}

// A wait that nothing can end fails, and says what waits.
func TestWorld_waits_for_ever(t *testing.T) {
	t.Parallel()
	text, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 1}, func(w *schedulertest.World) error {
		var event scheduler.Event
		deps := scheduler.NewDependencies[string]()
		deps.Add("a", "b")
		g, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
			return scheduler.All(scheduler.Pause(scheduler.On(&event)),
				scheduler.Blocking(func(ctx context.Context) error { return schedulertest.Sleep(ctx, -1) }))
		}, nil)
		if err != nil {
			return err
		}
		return w.Run("up", g)
	})
	require.Contains(t, text, "up waits for ever\n\tup waits for an event\n\tb/1: schedulertest_test.TestWorld_waits_for_ever.func1.1.1 sleeps until its context ends\n")
	require.Contains(t, text, "a: pending since round 0, requires b\n")
	require.Equal(t, text, inside)
}

// Without Late nothing takes effect after the end of a request; with it, it may.
func TestWorld_Late(t *testing.T) {
	t.Parallel()
	scenario := func(w *schedulertest.World) error {
		over := false
		w.Always("in time", func() error { return nil })
		_ = w.Run("up", scheduler.Blocking(func(ctx context.Context) error {
			defer func() { over = true }()
			return w.Do(ctx, "ask", func() error {
				if over {
					w.Always("late", func() error { return errors.New("it is late") })
				}
				return nil
			})
		}))
		w.Settle()
		return nil
	}
	outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 500}, scenario)
	require.Empty(t, outside+inside)
	outside, inside = exploreBoth(t, schedulertest.ExploreOptions{Runs: 500, Late: true}, scenario)
	require.Contains(t, outside, "takes effect late")
	require.Equal(t, outside, inside)
}

// After Calm there are no faults.
func TestWorld_Calm(t *testing.T) {
	t.Parallel()
	outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 300}, func(w *schedulertest.World) error {
		_ = w.Run("up", scheduler.Blocking(func(ctx context.Context) error {
			return w.Do(ctx, "ask", func() error { return nil })
		}))
		w.Settle()
		w.Calm()
		return w.Run("down", scheduler.Blocking(func(ctx context.Context) error {
			return w.Do(ctx, "ask", func() error { return nil })
		}))
	})
	require.Empty(t, outside+inside)
}

// What a process does after its crash has no effect, and its Save writes nothing.
func TestWorld_Save(t *testing.T) {
	t.Parallel()
	crashes := 0
	outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 300}, func(w *schedulertest.World) error {
		var disk []string
		var memory []string
		asked := 0
		err := w.Run("up", scheduler.Wrap(func(co *scheduler.Coroutine) error {
			for i := range 3 {
				_, _ = scheduler.Call(co, func(ctx context.Context) (int, error) {
					return 0, w.Do(ctx, "ask", func() error { asked++; return nil })
				})
				text := fmt.Sprint(i)
				w.Save(text, func() { disk = append(disk, text) })
				memory = append(memory, text)
			}
			return nil
		}))
		if errors.Is(err, schedulertest.ErrCrashed) {
			crashes++
			w.Settle()
			if len(disk) > asked+1 || !slices.Equal(disk, memory[:len(disk)]) {
				return fmt.Errorf("disk has %v, memory %v", disk, memory)
			}
		}
		return nil
	})
	require.Empty(t, outside+inside)
	require.NotZero(t, crashes)
}

// A run inside a call is a part of the process.
func TestWorld_runs_inside_calls(t *testing.T) {
	t.Parallel()
	ended := map[string]int{}
	outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 400}, func(w *schedulertest.World) error {
		ask := func(ctx context.Context) error { return w.Do(ctx, "ask", func() error { return nil }) }
		err := w.Run("up", scheduler.Blocking(func(ctx context.Context) error {
			return scheduler.Run(ctx, scheduler.Sequence(scheduler.Blocking(ask), scheduler.Pause(scheduler.After(time.Second)),
				scheduler.Blocking(ask)), &scheduler.RunnerOptions{Grace: time.Minute})
		}))
		ended[fmt.Sprint(err)]++
		return nil
	})
	require.Empty(t, outside+inside)
	require.Greater(t, len(ended), 4, ended)
}

// World.Run is for the scenario.
func TestWorld_Run_inside_a_process(t *testing.T) {
	t.Parallel()
	outside, _ := exploreBoth(t, schedulertest.ExploreOptions{Runs: 1}, func(w *schedulertest.World) error {
		return w.Process("up", func(context.Context) error {
			return w.Run("inner", scheduler.Func(func(context.Context) error { return nil }))
		})
	})
	require.Contains(t, outside, "World.Run inside a process of the World")
}

// Events from outside come in any order.
func TestWorld_Later(t *testing.T) {
	t.Parallel()
	orders := map[string]bool{}
	outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 100}, func(w *schedulertest.World) error {
		var events [3]scheduler.Event
		var order string
		var tasks []scheduler.Task
		for i := range events {
			w.Later(fmt.Sprint("event ", i), func() { events[i].Set() })
			tasks = append(tasks, scheduler.Sequence(scheduler.Pause(scheduler.On(&events[i])), scheduler.Func(func(context.Context) error {
				order += fmt.Sprint(i)
				return nil
			})))
		}
		_ = w.Run("up", scheduler.All(tasks...))
		w.Settle()
		orders[order] = true
		return nil
	})
	require.Empty(t, outside+inside)
	require.Greater(t, len(orders), 5)
}

// A fake that waits for its context, or by package time, needs the bubble: there it goes as in
// production, and outside of it the test fails with its name.
func TestWorld_fakes_that_wait_for_something_else(t *testing.T) {
	schedulertest.SetWatchdog(t, 50*time.Millisecond)
	scenario := func(w *schedulertest.World) error {
		start := w.Now()
		err := w.Process("up", func(ctx context.Context) error {
			return scheduler.Run(ctx, scheduler.Blocking(func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble, but for the first
				<-ctx.Done()
				return ctx.Err()
			}), nil)
		})
		if took := w.Now().Sub(start); took > time.Minute || took < time.Minute && errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("it took %v: %w", took, err)
		}
		return nil
	}
	var f, g explored
	synctest.Test(t, func(*testing.T) {
		schedulertest.Explore(&g, &schedulertest.ExploreOptions{Runs: 100, Bubble: synctest.Wait}, scenario)
	})
	require.Empty(t, g.text)
	release := make(chan struct{})
	var left sync.WaitGroup
	left.Add(1)
	schedulertest.Explore(&f, &schedulertest.ExploreOptions{Runs: 1}, func(w *schedulertest.World) error {
		return w.Process("up", func(context.Context) error { defer left.Done(); <-release; return nil })
	})
	require.Contains(t, f.text, "a call is under way: up neither returns nor sleeps")
	close(release)
	left.Wait()
}

// A deadline of the code's own is in the time of the bubble.
func TestWorld_deadlines_in_a_bubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		schedulertest.Explore(&explored{}, &schedulertest.ExploreOptions{Runs: 300, Bubble: synctest.Wait}, func(w *schedulertest.World) error {
			start := w.Now()
			_ = w.Run("ask", scheduler.Blocking(func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
				defer cancel()
				return w.Do(ctx, "ask", func() error { return nil })
			}))
			require.LessOrEqual(t, w.Now().Sub(start), 70*time.Second, "30, or deaf for 40 after its effect")
			return nil
		})
	})
}

// What is left behind by a process fails the schedule.
func TestWorld_calls_left_behind(t *testing.T) {
	t.Parallel()
	outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 1}, func(w *schedulertest.World) error {
		return w.Process("up", func(ctx context.Context) error {
			task := scheduler.Blocking(func(ctx context.Context) error { return schedulertest.Sleep(ctx, -1) })
			_, err := task.Step(ctx)
			return err // and nobody closes it
		})
	})
	require.Contains(t, outside, "calls are left behind:\n\tschedulertest_test.TestWorld_calls_left_behind")
	require.Equal(t, outside, inside)
}

// Scenarios that panic, end their goroutine, never end, or explore nothing.
func TestExplore_bad_scenarios(t *testing.T) {
	t.Parallel()
	for want, scenario := range map[string]func(w *schedulertest.World) error{
		"the scenario panics: oops":            func(*schedulertest.World) error { panic("oops") },
		"the scenario has ended its goroutine": func(*schedulertest.World) error { runtime.Goexit(); return nil },
		"Explore has explored nothing":         func(*schedulertest.World) error { return nil },
		"the context is not that of a process": func(w *schedulertest.World) error { return w.Do(context.Background(), "ask", nil) },
		"no end after 20000 moves": func(w *schedulertest.World) error {
			return w.Run("up", scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil }))
		},
		"up has ended its goroutine": func(w *schedulertest.World) error {
			return w.Process("up", func(context.Context) error { runtime.Goexit(); return nil })
		},
		"schedule 1 of 1 fails; 0 choices, shrunk": func(*schedulertest.World) error { return errBoom },
	} {
		outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 1}, scenario)
		require.Contains(t, outside, want)
		require.Contains(t, inside, want)
	}
}

// A budget of time is one of real time, in a bubble as well.
func TestExplore_For(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := schedulertest.Explore(&explored{}, &schedulertest.ExploreOptions{For: 50 * time.Millisecond, Bubble: synctest.Wait}, lifecycle(""))
		require.NotZero(t, c.Schedules)
	})
	c := schedulertest.Explore(&explored{}, &schedulertest.ExploreOptions{For: 1}, lifecycle(""))
	require.NotZero(t, c.Schedules, "time has passed before the first")
	c = schedulertest.Explore(&explored{}, &schedulertest.ExploreOptions{For: time.Hour, Runs: 3}, lifecycle(""))
	require.Equal(t, 3, c.Schedules)
}

// The coverage says what came up.
func TestExplore_coverage(t *testing.T) {
	t.Parallel()
	f := &explored{}
	c := schedulertest.Explore(f, &schedulertest.ExploreOptions{Runs: 100}, func(w *schedulertest.World) error {
		w.Choose("coin", 2, 0.5)
		w.Choose("never", 3, 0)
		return nil
	})
	require.Equal(t, "coin", c.Choices[0].Label)
	require.Len(t, c.Choices[0].Values, 2)
	require.Equal(t, 100, c.Choices[0].Values[0]+c.Choices[0].Values[1])
	require.Equal(t, []int{100}, c.Choices[1].Values)
	require.True(t, strings.HasPrefix(f.log, "100 schedules, 1 different stories, 2 kinds of choices\n  coin: "), f.log)
}
