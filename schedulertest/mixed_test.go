package schedulertest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// Runs on several goroutines may share a clock, with their calls.
func TestClock_shared_by_runs(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, clock *schedulertest.Clock) {
		var runs sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			runs.Go(func() {
				fn := func(ctx context.Context) error { return schedulertest.Sleep(ctx, time.Duration(i)*time.Minute) }
				errs[i] = calls(t.Context(), &scheduler.RunnerOptions{Clock: clock}, fn, fn, fn)
			})
		}
		runs.Wait()
		require.NoError(t, errors.Join(errs...))
	})
}

// Explore in tests that run in parallel, each by itself.
func TestExplore_in_parallel(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				schedulertest.Explore(t, &schedulertest.ExploreOptions{Bubble: synctest.Wait, Runs: 30, Seed: uint64(i)}, lifecycle(""))
			})
		})
	}
}

// What comes from other goroutines reaches a run that waits by the clock.
func TestClock_is_woken_from_outside(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *scheduler.TaskRunner){
		"Kill":      func(r *scheduler.TaskRunner) { r.Kill() },
		"Interrupt": func(r *scheduler.TaskRunner) { r.Interrupt(errBoom) },
		"Post":      func(r *scheduler.TaskRunner) { r.Post(func() { r.Stop(errBoom) }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, clock *schedulertest.Clock) {
				began := make(chan struct{})
				r := scheduler.NewTaskRunner(scheduler.Blocking(func(ctx context.Context) error {
					close(began)
					return schedulertest.Sleep(ctx, -1)
				}), &scheduler.RunnerOptions{Clock: clock})
				var ending sync.WaitGroup
				ending.Go(func() { <-began; end(r) })
				require.Error(t, r.Run(t.Context()))
				ending.Wait()
			})
		})
	}
}

// Everything else of the library that makes calls, by both clocks and in a World.
func TestCalls_of_all_kinds(t *testing.T) {
	t.Parallel()
	limiter := func() *scheduler.Limiter {
		return scheduler.NewLimiter(scheduler.LimiterOptions{Name: "one", Capacity: 1})
	}
	all := func(ask func(ctx context.Context) error) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			deps := scheduler.NewDependencies[string]()
			deps.Add("b", "a")
			walk := scheduler.Walk(ctx, deps, func(ctx context.Context, _ string) error { return ask(ctx) }, nil)
			one := []scheduler.Claim{{Limiter: limiter(), Weight: 1}}
			asked := 0
			return errors.Join(walk, scheduler.Run(ctx, scheduler.All(
				scheduler.Claiming(one, scheduler.Blocking(ask)),
				scheduler.Claiming(one, scheduler.Blocking(ask)),
				scheduler.Finally(scheduler.Blocking(ask), scheduler.Blocking(ask)),
				scheduler.Poll(time.Minute, func(ctx context.Context) (bool, error) {
					asked++
					return asked == 2, ask(ctx)
				}),
				scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Blocking(ask), &scheduler.RunnerOptions{Timeout: time.Hour})),
			), &scheduler.RunnerOptions{Grace: time.Minute}))
		}
	}
	both(t, func(t *testing.T, clock *schedulertest.Clock) {
		ask := func(ctx context.Context) error { return schedulertest.Sleep(ctx, time.Second) }
		require.NoError(t, all(ask)(scheduler.WithClock(t.Context(), clock)))
		require.Equal(t, 2*time.Second+time.Minute+2*time.Second, clock.Elapsed())
	})
	outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 300}, func(w *schedulertest.World) error {
		_ = w.Process("up", all(func(ctx context.Context) error { return w.Do(ctx, "ask", func() error { return nil }) }))
		return nil
	})
	require.Empty(t, outside+inside)
}

// A loop of the program's own may be a process: it waits for what it likes, in a bubble.
func TestWorld_loops_by_hand(t *testing.T) {
	t.Parallel()
	f := &explored{}
	synctest.Test(t, func(*testing.T) {
		schedulertest.Explore(f, &schedulertest.ExploreOptions{Bubble: synctest.Wait, Runs: 200}, func(w *schedulertest.World) error {
			_ = w.Process("loop", func(ctx context.Context) error {
				wake := make(chan struct{}, 1)
				r := scheduler.NewTaskRunner(scheduler.Blocking(func(ctx context.Context) error {
					return w.Do(ctx, "ask", func() error { return nil })
				}), &scheduler.RunnerOptions{Wake: func() {
					select {
					case wake <- struct{}{}:
					default:
					}
				}})
				err := r.Start(ctx, 0)
				for !r.Done() && err == nil {
					select {
					case <-ctx.Done():
						return r.Cancel()
					case <-wake:
						_, err = r.Step(ctx)
					}
				}
				return err
			})
			return nil
		})
	})
	require.Empty(t, f.text)
}

// An invariant that panics, and an effect that does, are told as failures.
func TestWorld_panics_of_fakes(t *testing.T) {
	t.Parallel()
	outside, inside := exploreBoth(t, schedulertest.ExploreOptions{Runs: 1}, func(w *schedulertest.World) error {
		w.Always("holds", func() error { panic("always") })
		return nil
	})
	require.Contains(t, outside, "the scenario panics: always")
	require.Equal(t, strings.Count(outside, "replay: "), strings.Count(inside, "replay: "))
	outside, inside = exploreBoth(t, schedulertest.ExploreOptions{Runs: 1}, func(w *schedulertest.World) error {
		return w.Process("up", func(ctx context.Context) error {
			return scheduler.Run(ctx, scheduler.Blocking(func(ctx context.Context) error {
				return w.Do(ctx, "ask", func() error { panic("effect") })
			}), nil)
		})
	})
	for _, text := range []string{outside, inside} {
		require.Contains(t, text, "up panics: ")
		require.Contains(t, text, "effect")
	}
	outside, inside = exploreBoth(t, schedulertest.ExploreOptions{Runs: 1}, func(w *schedulertest.World) error {
		asked := false
		w.Always("holds", func() error {
			if asked {
				panic("always")
			}
			return nil
		})
		return w.Process("up", func(ctx context.Context) error {
			return w.Do(ctx, "ask", func() error { asked = true; return nil })
		})
	})
	for _, text := range []string{outside, inside} {
		require.Contains(t, text, "panics: always")
	}
}
