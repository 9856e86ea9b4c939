package scheduler_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// blocks returns a task that yields once and whose second step takes d.
func blocks(d time.Duration) scheduler.Task {
	first := true
	return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		if first {
			first = false
			return scheduler.Next, nil
		}
		sleep(d)
		return scheduler.Done, nil
	})
}

// A step that does not return is reported while it runs, once, with its node, however
// the task is held.
func TestWatchdog(t *testing.T) {
	for as := range held(func() scheduler.Task { return blocks(0) }) {
		t.Run(as, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stuck []scheduler.StuckStep
				began := time.Now()
				g := groupOf(t, "fine web", func(k string) scheduler.Task {
					if k == "fine" {
						return scheduler.Pause(scheduler.After(time.Minute))
					}
					return held(func() scheduler.Task { return blocks(10 * time.Second) })[as]
				}, nil)
				err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
					After: 2 * time.Second,
					Report: func(s scheduler.StuckStep) {
						require.Equal(t, 2*time.Second, time.Since(began))
						stuck = append(stuck, s)
					},
				}})
				require.NoError(t, err)
				require.Len(t, stuck, 1)
				require.Regexp(t, "^web", stuck[0].Path)
				require.Equal(t, 2*time.Second, stuck[0].For)
				require.Equal(t, time.Minute, time.Since(began))
				if as == "bare" || as == "All" { // a coroutine has a goroutine of its own
					require.Contains(t, string(stuck[0].Stack), "watchdog_test.go")
				}
			})
		})
	}
}

// Each step of a node is a sign of life, and each that does not return is reported.
func TestWatchdog_signs_of_life(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var paths []string
		g := groupOf(t, "a b c d", func(k string) scheduler.Task {
			return blocks(map[string]time.Duration{"a": 3, "b": 1, "c": 1, "d": 4}[k] * time.Second)
		}, nil)
		r := scheduler.NewTaskRunner(g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
			After: 2 * time.Second, Report: func(s scheduler.StuckStep) { paths = append(paths, s.Path) },
		}})
		require.NoError(t, r.Run(t.Context()))
		require.Equal(t, []string{"a", "d"}, paths)
	})
	t.Run("no step, no report", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			require.NoError(t, scheduler.Run(t.Context(), scheduler.Pause(scheduler.After(time.Hour)), &scheduler.RunnerOptions{
				Watchdog: scheduler.Watchdog{After: time.Second, Report: func(scheduler.StuckStep) { t.Error("reported") }},
			}))
		})
	})
	t.Run("outside of a group", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var stuck []scheduler.StuckStep
			require.NoError(t, scheduler.Run(t.Context(), blocks(time.Minute), &scheduler.RunnerOptions{
				Watchdog: scheduler.Watchdog{After: time.Second, Report: func(s scheduler.StuckStep) { stuck = append(stuck, s) }},
			}))
			require.Len(t, stuck, 1)
			require.Empty(t, stuck[0].Path)
		})
	})
	t.Run("RecoverPanics", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var paths []string
			g := groupOf(t, "a b", func(k string) scheduler.Task {
				if k == "b" {
					return blocks(3 * time.Second)
				}
				return scheduler.Func(func(context.Context) error { panic("no") })
			}, &scheduler.GroupOptions[string]{RecoverPanics: true, OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError }})
			_ = scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
				After: 2 * time.Second, Report: func(s scheduler.StuckStep) { paths = append(paths, s.Path) },
			}})
			require.Equal(t, []string{"b"}, paths)
		})
	})
}

// The end of a step waits for the report of it, which may take longer, and which may
// end the run.
func TestWatchdog_is_waited_for(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		reports := 0
		var r *scheduler.TaskRunner
		r = scheduler.NewTaskRunner(scheduler.Sequence(blocks(3*time.Second), hours("")), &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
			After: 2 * time.Second, Report: func(scheduler.StuckStep) {
				sleep(5 * time.Second)
				reports++
				r.Kill()
			},
		}})
		require.ErrorIs(t, r.Run(t.Context()), scheduler.ErrCancelled)
		require.Equal(t, 1, reports)
		require.Equal(t, 7*time.Second, time.Since(began))
	})
	t.Run("while others go on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var paths []string
			g := groupOf(t, "a b", func(string) scheduler.Task { return blocks(8 * time.Second) }, nil)
			require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
				After: 2 * time.Second, Report: func(s scheduler.StuckStep) {
					sleep(7 * time.Second) // until a step of the next node
					paths = append(paths, s.Path)
				},
			}}))
			require.Equal(t, []string{"a", "b"}, paths)
		})
	})
}

func TestWatchdog_misuse(t *testing.T) {
	report := func(scheduler.StuckStep) {}
	on := scheduler.Watchdog{After: 1, Report: report}
	task := func() scheduler.Task { return scheduler.Pause(scheduler.Next) }
	clock := newClock()
	for want, err := range map[string]error{
		"After is 0s, and has to be above 0":                              scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{Report: report}}),
		"After is -1ns, and has to be above 0":                            scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{After: -1}}),
		"nil Report":                                                      scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{After: 1}}),
		"needs the system's clock, and the run has another":               scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Watchdog: on, Clock: clock}),
		"needs the system's clock, and the run has another ":              scheduler.Run(scheduler.WithClock(t.Context(), clock), task(), &scheduler.RunnerOptions{Watchdog: on}),
		"is for the outermost runner, and this one is inside another run": scheduler.Run(t.Context(), scheduler.Subrun(scheduler.NewTaskRunner(task(), &scheduler.RunnerOptions{Watchdog: on})), nil),
	} {
		var e *scheduler.OptionError
		require.ErrorAs(t, err, &e)
		require.Equal(t, "RunnerOptions.Watchdog", e.Option)
		require.Equal(t, want[:len(e.Reason)], e.Reason)
	}
}

func ExampleWatchdog() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("web", "db")
	reported := make(chan struct{})
	group, _ := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			if name == "web" {
				<-reported // blocks the step, where it should use Blocking
			}
			return nil
		})
	}, nil)
	err := scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
		After: 300 * time.Millisecond,
		Report: func(s scheduler.StuckStep) {
			fmt.Println("a step of", s.Path, "does not return")
			close(reported)
		},
	}})
	fmt.Println(err)
	// Output:
	// a step of web does not return
	// <nil>
}
