package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// servicePlay is what tasks say of themselves, with the seconds since the start.
type servicePlay struct {
	clock *schedulertest.Clock
	start time.Time
	lines []string
}

func newServicePlay() *servicePlay {
	clock := newClock()
	return &servicePlay{clock: clock, start: clock.Now()}
}

func (d *servicePlay) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf("%ds ", int(d.clock.Now().Sub(d.start).Seconds()))+fmt.Sprintf(format, args...))
}

func (d *servicePlay) String() string { return strings.Join(d.lines, ", ") }

// service boots for a second, is ready, and takes a second to stop.
func (d *servicePlay) service(k string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		d.add("boot %s", k)
		if err := co.Yield(scheduler.After(time.Second)); err != nil {
			return err
		}
		d.add("%s ready", k)
		co.Ready()
		err := co.Yield(scheduler.On(co.Stopping()))
		if err == nil {
			d.add("%s told: %v", k, strings.TrimPrefix(co.StopCause().Error(), "scheduler: "))
			err = co.Yield(scheduler.After(time.Second))
		}
		d.add("%s ends: %v", k, err)
		return err
	})
}

func (d *servicePlay) job(k string, seconds int, fails error) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		d.add("%s", k)
		if err := co.Yield(scheduler.After(time.Duration(seconds) * time.Second)); err != nil {
			d.add("%s: %v", k, err)
			return err
		}
		d.add("%s done", k)
		return fails
	})
}

// mixed makes a service of a key that begins with S, and a job of three seconds of
// any other.
func (d *servicePlay) mixed(k string) scheduler.Task {
	if strings.HasPrefix(k, "S") {
		return d.service(k)
	}
	return d.job(k, 3, nil)
}

// serve runs a group to its end.
func (d *servicePlay) serve(
	t *testing.T, deps string, opts *scheduler.GroupOptions[string], run *scheduler.RunnerOptions, task func(k string) scheduler.Task,
) (*scheduler.DependencyTaskGroup[string], error) {
	t.Helper()
	group := newGroup(t, deps, task, opts)
	if run == nil {
		run = &scheduler.RunnerOptions{}
	}
	run.Clock = d.clock
	return group, scheduler.Run(t.Context(), group, run)
}

// What is a service already, or has to end, does not become one.
func TestReady_too_late(t *testing.T) {
	t.Parallel()
	t.Run("it is one", func(t *testing.T) {
		var log journal
		db := &fakeTask{}
		db.step = func(ctx context.Context) (scheduler.Yield, error) {
			scheduler.Ready(ctx)
			return scheduler.Next, nil
		}
		group := newGroup(t, "db slow app:db,slow", func(k string) scheduler.Task {
			log.add("%s", k)
			if k == "db" {
				return db.task()
			}
			return scheduler.Pause(scheduler.Rounds(5))
		}, &scheduler.GroupOptions[string]{Observer: newNotesObserver()})
		d := schedulertest.NewDriver(t, group, nil)
		for range 4 {
			d.Step()
		}
		require.Equal(t, "db, slow", log.take(), "app waits for both")
		require.NoError(t, d.RunToEnd())
	})
	t.Run("it has failed", func(t *testing.T) {
		released := new(scheduler.Event)
		group := newGroup(t, "db app:db", func(k string) scheduler.Task {
			require.Equal(t, "db", k)
			return closer{&fakeTask{step: func(ctx context.Context) (scheduler.Yield, error) {
				scheduler.Ready(ctx)
				return scheduler.Yield{}, nil
			}}, func() *scheduler.Event { return released }}
		}, &scheduler.GroupOptions[string]{OnError: func(string, error) scheduler.Disposition { return scheduler.SkipDependents }})
		d := schedulertest.NewDriver(t, group, nil)
		d.Step()
		require.Equal(t, scheduler.StateClosing, group.State("db"))
		require.Equal(t, scheduler.StateSkipped, group.State("app"))
		released.Set()
		require.ErrorIs(t, d.RunToEnd(), scheduler.ErrNoYield)
	})
	t.Run("it was asked to end", func(t *testing.T) {
		var group *scheduler.DependencyTaskGroup[string]
		group = newGroup(t, "db app:db", func(k string) scheduler.Task {
			require.Equal(t, "db", k)
			return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
				if group.StopNode(k, errBoom) {
					return scheduler.Next, nil
				}
				scheduler.Ready(ctx)
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{Grace: time.Minute})
		d := schedulertest.NewDriver(t, group, nil)
		for range 3 {
			d.Step()
			require.Equal(t, scheduler.StateRunning, group.State("db"))
		}
		require.NoError(t, d.Runner.Cancel())
	})
	for name, opts := range map[string]scheduler.GroupOptions[string]{
		"its Timeout is thrown":            {},
		"it has a grace after its Timeout": {Grace: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			opts.Timeout = func(string) time.Duration { return time.Second }
			var group *scheduler.DependencyTaskGroup[string]
			said := 0
			say := func(ctx context.Context) (scheduler.Yield, error) {
				scheduler.Ready(ctx)
				said++
				require.Equal(t, scheduler.StateRunning, group.State("db"))
				return scheduler.Next, nil
			}
			db := &fakeTask{throw: func(ctx context.Context, _ error) (scheduler.Yield, error) { return say(ctx) }}
			db.step = func(ctx context.Context) (scheduler.Yield, error) {
				if len(db.thrown) > 0 {
					return say(ctx)
				}
				return scheduler.Next, nil
			}
			group = newGroup(t, "db", func(string) scheduler.Task { return db.task() }, &opts)
			d := schedulertest.NewDriver(t, group, nil)
			d.Step()
			d.Clock.Advance(2 * time.Second)
			d.Step()
			require.Equal(t, 1, said)
			if opts.Grace > 0 {
				d.Step()
				require.Equal(t, 2, said)
			}
			require.NoError(t, d.Runner.Cancel())
		})
	}
	t.Run("the group stops", func(t *testing.T) {
		var group *scheduler.DependencyTaskGroup[string]
		db := readyTask(2)
		group = newGroup(t, "db bad", func(k string) scheduler.Task {
			if k == "bad" {
				return scheduler.Func(func(context.Context) error { return errBoom })
			}
			return db.task()
		}, &scheduler.GroupOptions[string]{Grace: time.Minute})
		d := schedulertest.NewDriver(t, group, nil)
		d.Step()
		require.Equal(t, scheduler.StateFailed, group.State("bad"))
		d.Step()
		require.Equal(t, 2, db.steps)
		require.Equal(t, scheduler.StateRunning, group.State("db"))
		require.NoError(t, d.Runner.Cancel())
	})
}

func TestReady_ends_in_reverse(t *testing.T) {
	for _, limit := range []int{0, 1} {
		d := newServicePlay()
		g, err := d.serve(t, "Sapp:Sdb test:Sapp", &scheduler.GroupOptions[string]{
			Grace: 5 * time.Second, Limit: limit,
			Timeout: func(string) time.Duration { return 4 * time.Second },
		}, nil, d.mixed)
		require.NoError(t, err)
		require.Equal(t, "0s boot Sdb, 1s Sdb ready, 1s boot Sapp, 2s Sapp ready, 2s test, 5s test done, "+
			"5s Sapp told: not needed any more, 6s Sapp ends: <nil>, "+
			"6s Sdb told: not needed any more, 7s Sdb ends: <nil>", d.String())
		require.Equal(t, 3, g.Count(scheduler.StateSucceeded))
		require.Empty(t, outcomes(g))
	}
}

func TestReady_for_those_behind_and_without_a_grace(t *testing.T) {
	d := newServicePlay()
	g, err := d.serve(t, "migrate:Sdb use:migrate other", nil, nil, d.mixed)
	require.NoError(t, err)
	require.Equal(t, "0s boot Sdb, 0s other, 1s Sdb ready, 1s migrate, 3s other done, 4s migrate done, 4s use, 7s use done, "+
		"7s Sdb ends: scheduler: closed", d.String())
	require.Equal(t, 4, g.Count(scheduler.StateSucceeded))
	require.Empty(t, g.Errors())
}

// A service that nothing requires lives until only services are left.
func TestReady_of_a_leaf(t *testing.T) {
	d := newServicePlay()
	g, err := d.serve(t, "Slog job Sapp:Sdb", nil, nil, d.mixed)
	require.NoError(t, err)
	require.Equal(t, "0s boot Slog, 0s job, 0s boot Sdb, 1s Slog ready, 1s Sdb ready, 1s boot Sapp, 2s Sapp ready, 3s job done, "+
		"3s Sapp ends: scheduler: closed, 3s Sdb ends: scheduler: closed, 3s Slog ends: scheduler: closed", d.String())
	require.Equal(t, 4, g.Count(scheduler.StateSucceeded))
}

// A stop reaches services in reverse, all within one grace; without one they are
// closed last, in reverse.
func TestReady_and_the_end_of_the_run(t *testing.T) {
	enough := errors.New("enough")
	run := func(grace time.Duration, end func(r *scheduler.TaskRunner, g *scheduler.DependencyTaskGroup[string])) (string, string, error) {
		d := newServicePlay()
		g := newGroup(t, "Sapp:Sdb job:Sapp Slog", func(k string) scheduler.Task {
			if k == "job" {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					d.add("job")
					err := co.Yield(scheduler.After(time.Hour).Or(scheduler.On(co.Stopping())))
					if err == nil {
						err = co.StopCause()
					}
					d.add("job: %v", err)
					return err
				})
			}
			return d.service(k)
		}, nil)
		r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock, Grace: grace})
		for g.State("job") != scheduler.StateRunning {
			if at, ok := r.Due().Time(); ok {
				d.clock.Advance(at.Sub(d.clock.Now()))
			}
			mustStep(t, t.Context(), r)
		}
		require.Equal(t, 3, g.Count(scheduler.StateReady))
		d.lines = nil
		end(r, g)
		_ = r.RunToCompletion(t.Context(), 0)
		return d.String(), endings(g), r.Err()
	}
	text, ends, err := run(10*time.Second, func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { r.Stop(enough) })
	require.Equal(t, enough, err)
	require.Equal(t, "2s job: enough, 2s Slog told: enough, 2s Sapp told: enough, 3s Sapp ends: <nil>, 3s Slog ends: <nil>, "+
		"3s Sdb told: enough, 4s Sdb ends: <nil>", text)
	require.Equal(t, " Sdb succeeded Sapp succeeded job cancelled Slog succeeded", ends)

	text, ends, err = run(1500*time.Millisecond, func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { r.Stop(enough) })
	require.Equal(t, enough, err)
	require.Equal(t, "2s job: enough, 2s Slog told: enough, 2s Sapp told: enough, 3s Sapp ends: <nil>, 3s Slog ends: <nil>, "+
		"3s Sdb told: enough, 3s Sdb ends: scheduler: closed", text)
	require.Equal(t, " Sdb cancelled Sapp succeeded job cancelled Slog succeeded", ends)

	closed := "2s job: scheduler: closed, 2s Slog ends: scheduler: closed, 2s Sapp ends: scheduler: closed, 2s Sdb ends: scheduler: closed"
	for _, end := range []func(*scheduler.TaskRunner, *scheduler.DependencyTaskGroup[string]){
		func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { r.Stop(enough) },
		func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { r.Kill() },
		func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { _ = r.Cancel() },
		func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { r.Interrupt(enough) },
		func(_ *scheduler.TaskRunner, g *scheduler.DependencyTaskGroup[string]) {
			require.True(t, g.StopNode("job", enough))
		},
	} {
		text, ends, err = run(0, end)
		require.Error(t, err)
		require.Equal(t, closed, text)
		require.Contains(t, []string{
			" Sdb cancelled Sapp cancelled job cancelled Slog cancelled", " Sdb cancelled Sapp cancelled job failed Slog cancelled",
		}, ends)
	}

	// A drain lets it come to its end.
	text, ends, err = run(0, func(_ *scheduler.TaskRunner, g *scheduler.DependencyTaskGroup[string]) { g.Drain() })
	require.NoError(t, err)
	require.Equal(t, "3602s job: <nil>, 3602s Slog ends: scheduler: closed, 3602s Sapp ends: scheduler: closed, 3602s Sdb ends: scheduler: closed", text)
	require.Equal(t, " Sdb succeeded Sapp succeeded job succeeded Slog succeeded", ends)
}

// After a failure each service has the grace that GraceFor says, from its own notice on,
// however long those before it take. Grace is one for all of them.
func TestReady_and_the_grace_of_each(t *testing.T) {
	takes := map[string]int{"Sdb": 4, "Scache": 1, "Sapp": 4, "Sweb": 4, "Slog": 1}
	run := func(opts *scheduler.GroupOptions[string], inside bool, fail ...string) string {
		d := newServicePlay()
		opts.KeepOpen = true
		task := func(k string) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if seconds := slices.Index(fail, k); !strings.HasPrefix(k, "S") {
					if err := co.Yield(scheduler.After(time.Duration(seconds) * time.Second)); err != nil || seconds < 0 {
						return err
					}
					return errSpace
				}
				co.Ready()
				err := co.Yield(scheduler.On(co.Stopping()))
				if err == nil {
					d.add("%s told", k)
					err = co.Yield(scheduler.After(time.Duration(takes[k]) * time.Second))
				}
				d.add("%s ends: %v", k, err)
				return err
			})
		}
		const deps = "Sapp:Sdb,Scache Sweb:Sapp Slog a b"
		var err error
		if inside {
			_, err = d.serve(t, "node", nil, nil, func(string) scheduler.Task { return newGroup(t, deps, task, opts) })
		} else {
			_, err = d.serve(t, deps, opts, nil, task)
		}
		require.ErrorIs(t, err, errSpace)
		return d.String()
	}
	each := func(k string) time.Duration {
		return map[string]time.Duration{"Sdb": 5 * time.Second, "Sapp": 3 * time.Second, "Sweb": 5 * time.Second}[k]
	}
	for _, inside := range []bool{false, true} {
		require.Equal(t, "1s Slog ends: scheduler: closed, 1s Sweb told, 5s Sweb ends: <nil>, 5s Sapp told, 8s Sapp ends: scheduler: closed, "+
			"8s Scache ends: scheduler: closed, 8s Sdb told, 12s Sdb ends: <nil>",
			run(&scheduler.GroupOptions[string]{GraceFor: each}, inside, "x", "a"))

		// Another failure asks for graces again: those that are not told yet have the
		// new one, from their notice on.
		asked := 0
		require.Equal(t, "1s Sweb told, 1s Slog told, 2s Slog ends: <nil>, 5s Sweb ends: <nil>, 5s Sapp told, 8s Sapp ends: scheduler: closed, "+
			"8s Sdb told, 8s Scache told, 9s Scache ends: <nil>, 11s Sdb ends: scheduler: closed",
			run(&scheduler.GroupOptions[string]{GraceFor: func(k string) time.Duration {
				if k == "Sdb" {
					asked++
				}
				if asked > 1 {
					return 3 * time.Second
				}
				return 5 * time.Second
			}}, inside, "x", "a", "b"))
		require.Equal(t, 2, asked)

		require.Equal(t, "1s Sweb told, 1s Slog told, 2s Slog ends: <nil>, 5s Sweb ends: <nil>, 5s Sapp told, 9s Sapp ends: <nil>, "+
			"9s Sdb told, 9s Scache told, 10s Scache ends: <nil>, 11s Sdb ends: scheduler: closed",
			run(&scheduler.GroupOptions[string]{Grace: 10 * time.Second}, inside, "x", "a"))
	}
}

// A service that fails: what is pending and requires it is treated as after any
// failure, what runs goes on unless the group stops.
func TestReady_and_then_a_failure(t *testing.T) {
	for what, want := range map[scheduler.Disposition]string{
		scheduler.StopGroup:      "0s a, 1s a: scheduler: closed| S failed a cancelled b cancelled c cancelled",
		scheduler.SkipDependents: "0s a, 3s a done| S failed a succeeded b skipped c skipped",
		scheduler.IgnoreError:    "0s a, 3s a done, 3s b, 6s b done, 6s c, 9s c done| S failed a succeeded b succeeded c succeeded",
	} {
		for _, claims := range []bool{false, true} {
			for _, when := range []bool{false, true} {
				d := newServicePlay()
				opts := &scheduler.GroupOptions[string]{
					Limit: 1, OnError: func(string, error) scheduler.Disposition { return what },
				}
				l := limiter(1)
				if claims {
					opts.Limit = 0
					opts.Claims = func(k string) []scheduler.Claim {
						if k == "S" {
							return nil
						}
						return []scheduler.Claim{{Limiter: l, Weight: 1}}
					}
				}
				if when {
					opts.When = conditions(nil)
				}
				g, _ := d.serve(t, "a:S b:S c:b", opts, nil, func(k string) scheduler.Task {
					if k == "S" {
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							co.Ready()
							if err := co.Yield(scheduler.After(time.Second)); err != nil {
								return err
							}
							return errSpace
						})
					}
					return d.job(k, 3, nil)
				})
				require.Equal(t, want, d.String()+"|"+endings(g), "%v claims %v when %v", what, claims, when)
				require.ErrorIs(t, g.Err("S"), errSpace)
				require.Zero(t, l.InUse()+l.Waiting())
			}
		}
	}
}

// A call may say that it is ready, also a poll; its context loses the limit of the
// node.
func TestReady_in_a_call(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var lines []string
		add := func(format string, args ...any) {
			lines = append(lines, fmt.Sprint(time.Since(began).Truncate(time.Second), " ", fmt.Sprintf(format, args...)))
		}
		g := newGroup(t, "test:db,web", func(k string) scheduler.Task {
			switch k {
			case "test":
				return scheduler.Func(func(ctx context.Context) error { add("test"); return nil })
			case "web":
				return scheduler.Blocking(func(ctx context.Context) error {
					scheduler.Ready(ctx)
					<-scheduler.Stopping(ctx)
					return nil
				})
			}
			return scheduler.Blocking(func(ctx context.Context) error {
				_, limited := ctx.Deadline()
				require.True(t, limited)
				sleep(2 * time.Second)
				scheduler.Ready(ctx)
				scheduler.Ready(ctx)
				_, limited = ctx.Deadline()
				require.False(t, limited)
				<-scheduler.Stopping(ctx)
				require.ErrorIs(t, scheduler.StopCause(ctx), scheduler.ErrNotNeeded)
				require.NoError(t, ctx.Err())
				sleep(4 * time.Second)
				add("db has ended")
				return nil
			})
		}, &scheduler.GroupOptions[string]{
			Grace: time.Minute, Timeout: func(string) time.Duration { return 3 * time.Second },
		})
		require.NoError(t, scheduler.Run(t.Context(), g, nil))
		require.Equal(t, []string{"2s test", "6s db has ended"}, lines)
		require.Equal(t, 3, g.Count(scheduler.StateSucceeded))
	})
}

// The claims of a service stay held: who waits for them in vain is told.
func TestReady_and_a_deadlock(t *testing.T) {
	d := newServicePlay()
	l := limiter(1)
	g, err := d.serve(t, "a:S", &scheduler.GroupOptions[string]{
		Claims: func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} },
	}, nil, d.mixed)
	require.ErrorAs(t, err, new(*scheduler.DeadlockError))
	require.ErrorContains(t, err, "S")
	require.Equal(t, " S cancelled a cancelled", endings(g))
	require.Zero(t, l.InUse()+l.Waiting())

	// One that is ending already gives them back.
	d = newServicePlay()
	_, err = d.serve(t, "b:S other", &scheduler.GroupOptions[string]{
		Grace: time.Minute, Claims: func(k string) []scheduler.Claim {
			if k == "b" {
				return nil
			}
			return []scheduler.Claim{{Limiter: l, Weight: 1}}
		},
	}, nil, d.mixed)
	require.NoError(t, err)
	require.Equal(t, "0s boot S, 1s S ready, 1s b, 4s b done, 4s S told: not needed any more, 5s S ends: <nil>, 5s other, 8s other done", d.String())
}

// A group that is open is ready when its services are.
func TestReady_of_an_open_group(t *testing.T) {
	d := newServicePlay()
	g, err := d.serve(t, "test:node", &scheduler.GroupOptions[string]{Grace: time.Minute}, nil, func(k string) scheduler.Task {
		if k == "test" {
			return d.job(k, 5, nil)
		}
		return newGroup(t, "S", d.service, &scheduler.GroupOptions[string]{KeepOpen: true})
	})
	require.NoError(t, err)
	require.Equal(t, "0s boot S, 1s S ready, 1s test, 6s test done, 6s S told: not needed any more, 7s S ends: <nil>", d.String())
	require.Equal(t, " node succeeded test succeeded", endings(g))
}

func TestReady_snapshot(t *testing.T) {
	const deps = "migrate:Sdb use:migrate Slog"
	d := newServicePlay()
	g := newGroup(t, deps, d.mixed, nil)
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
	until := func(k string, s scheduler.State) {
		for g.State(k) != s {
			if at, ok := r.Due().Time(); ok {
				d.clock.Advance(at.Sub(d.clock.Now()))
			}
			mustStep(t, t.Context(), r)
		}
	}
	until("use", scheduler.StateRunning)
	s := g.Snapshot()
	require.Equal(t, []string{"migrate"}, s.Completed)
	require.Equal(t, []string{"Sdb", "use", "Slog"}, s.Started)
	require.NoError(t, r.Cancel())

	d = newServicePlay()
	_, err := d.serve(t, deps, &scheduler.GroupOptions[string]{Completed: s.Resume()}, nil, d.mixed)
	require.NoError(t, err)
	require.Equal(t, "0s boot Sdb, 0s boot Slog, 1s Sdb ready, 1s Slog ready, 1s use, 4s use done, "+
		"4s Slog ends: scheduler: closed, 4s Sdb ends: scheduler: closed", d.String())
}

// Added nodes that a service has freed are lost with it, whether they were added
// before it was ready or after, and however many there were.
func TestReady_added(t *testing.T) {
	for name, when := range map[string]when{"": nil, "When": func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict {
		return scheduler.Usual
	}} {
		t.Run(name, func(t *testing.T) {
			var group *scheduler.DependencyTaskGroup[string]
			group = newGroup(t, "adds", func(k string) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					switch k {
					case "adds":
						require.NoError(t, group.Add("service"))
						require.NoError(t, group.Add("before", "service"))
						if err := co.Yield(scheduler.After(2 * time.Second)); err != nil {
							return err
						}
						for i := range 40 {
							require.NoError(t, group.Add(fmt.Sprint("short", i), "service"))
							if err := co.Yield(scheduler.Next); err != nil {
								return err
							}
						}
						for i := range 20 {
							require.NoError(t, group.Add(fmt.Sprint("after", i), "service", "before"))
						}
						group.CloseInput()
					case "service":
						if err := co.Yield(scheduler.After(time.Second)); err != nil {
							return err
						}
						co.Ready()
						if err := co.Yield(scheduler.After(10 * time.Second)); err != nil {
							return err
						}
						return errBoom
					case "before":
						return co.Yield(scheduler.After(time.Hour))
					}
					return nil
				})
			}, &scheduler.GroupOptions[string]{KeepOpen: true, AggregateErrors: true, Limit: 2, When: when})
			require.ErrorIs(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: newClock()}), errBoom)
			require.Equal(t, scheduler.StateFailed, group.State("service"))
			require.Equal(t, scheduler.StateSucceeded, group.State("before"), "it ran already")
			require.Equal(t, scheduler.StateSucceeded, group.State("short39"))
			require.Equal(t, 20, group.Count(scheduler.StateSkipped))
			require.Equal(t, 42, group.Count(scheduler.StateSucceeded))
		})
	}
}

// A service whose grace is over is not closed before what needs it has ended.
func TestReady_outlives_what_needs_it(t *testing.T) {
	enough := errors.New("enough")
	d := newServicePlay()
	g := newGroup(t, "job:S", func(k string) scheduler.Task {
		if k == "S" {
			return d.service(k)
		}
		return d.job(k, 3600, nil) // deaf to notices
	}, &scheduler.GroupOptions[string]{Grace: 5 * time.Second})
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
	for g.State("job") != scheduler.StateRunning {
		d.clock.Advance(time.Second)
		mustStep(t, t.Context(), r)
	}
	r.Interrupt(enough)
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), enough)
	require.Equal(t, "0s boot S, 1s S ready, 1s job, 6s job: scheduler: closed, 6s S ends: scheduler: closed", d.String())
	require.Equal(t, " S cancelled job cancelled", endings(g))
}

// failsToClose is ready at once, waits for ever, and fails when it is closed.
type failsToClose struct{ never scheduler.Event }

func (s *failsToClose) Step(ctx context.Context) (scheduler.Yield, error) {
	scheduler.Ready(ctx)
	return scheduler.On(&s.never), nil
}

func (s *failsToClose) Close() error { return errSpace }

// The end of one service may stop the group: the others are ended in the same step,
// also if nothing requires them.
func TestReady_whose_end_fails(t *testing.T) {
	for _, deps := range []string{"S2:S1", "S1 S2"} {
		t.Run(deps, func(t *testing.T) {
			d := newServicePlay()
			g, err := d.serve(t, deps, nil, nil, func(k string) scheduler.Task {
				if k == "S2" {
					return &failsToClose{}
				}
				return d.service(k)
			})
			require.ErrorIs(t, err, errSpace)
			require.Equal(t, "0s boot S1, 1s S1 ready, 1s S1 ends: scheduler: closed", d.String())
			require.Equal(t, " S1 cancelled S2 failed", endings(g))
		})
	}
}

// readyLate answers its Timeout by saying that it is ready.
type readyLate struct{ never scheduler.Event }

func (s *readyLate) Step(context.Context) (scheduler.Yield, error) {
	return scheduler.On(&s.never), nil
}

func (s *readyLate) Throw(ctx context.Context, _ error) (scheduler.Yield, error) {
	scheduler.Ready(ctx)
	return scheduler.On(&s.never), nil
}

func (s *readyLate) Close() error { return nil }

func TestReady_after_the_timeout(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Second} {
		d := newServicePlay()
		g, err := d.serve(t, "b:a", &scheduler.GroupOptions[string]{
			Grace: grace, Timeout: func(string) time.Duration { return time.Second },
		}, nil, func(string) scheduler.Task { return &readyLate{} })
		require.ErrorAs(t, err, new(*scheduler.Timeout))
		require.Equal(t, " a timed out b cancelled", endings(g))
	}
}

// Nodes may be added while services are counted: those that need one keep it.
func TestReady_and_nodes_added(t *testing.T) {
	d := newServicePlay()
	g := newGroup(t, "S job:S", d.mixed, &scheduler.GroupOptions[string]{KeepOpen: true})
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
	for at := 0; !r.Done() && at < 20; at++ {
		if at == 5 {
			require.Equal(t, scheduler.StateReady, g.State("S"), "%v %v", d, endings(g))
			require.NoError(t, g.Add("late", "S"))
			g.CloseInput()
		}
		_, _ = r.Step(t.Context())
		if at == 2 {
			require.Equal(t, scheduler.StateRunning, g.State("job"))
			g.Stop(scheduler.WithClock(t.Context(), d.clock), errSpace) // it continues, but waits for no more nodes
			require.NoError(t, g.Add("more", "S"))
		}
		d.clock.Advance(time.Second)
	}
	require.True(t, r.Done())
	require.NoError(t, r.Err())
	require.Regexp(t, "late done, [0-9]+s S ends: scheduler: closed$", d.String())
	require.Equal(t, 4, g.Count(scheduler.StateSucceeded))
}

// startsLate is ready at once, and runs another task ten seconds later; it cannot be told.
type startsLate struct {
	inner scheduler.Task
	ready bool
}

func (s *startsLate) Step(ctx context.Context) (scheduler.Yield, error) {
	if !s.ready {
		s.ready = true
		scheduler.Ready(ctx)
		return scheduler.After(10 * time.Second), nil
	}
	return s.inner.Step(ctx)
}

func (s *startsLate) Close() error { return s.inner.Close() }

// What begins in a service that was told to end begins under the notice of the service.
func TestReady_and_what_begins_in_it_after_its_notice(t *testing.T) {
	for _, fails := range []error{nil, errSpace} {
		for _, inside := range []string{"Wrap", "group"} {
			t.Run(fmt.Sprint(fails, " ", inside), func(t *testing.T) {
				d := newServicePlay()
				ran := false
				var told error
				inner := scheduler.Wrap(func(co *scheduler.Coroutine) error {
					told = co.StopCause()
					return nil
				})
				if inside == "group" {
					inner = newGroup(t, "a", func(string) scheduler.Task {
						return scheduler.Func(func(context.Context) error { ran = true; return nil })
					}, nil)
				}
				g, err := d.serve(t, "job:S", &scheduler.GroupOptions[string]{Grace: time.Minute}, nil, func(k string) scheduler.Task {
					if k == "S" {
						return &startsLate{inner: inner}
					}
					return d.job(k, 3, fails)
				})
				require.ErrorIs(t, err, fails)
				require.Equal(t, "0s job, 3s job done", d.String())
				cause, state := scheduler.ErrNotNeeded, scheduler.StateSucceeded
				if fails != nil {
					cause, state = fails, scheduler.StateCancelled
				}
				if inside == "group" {
					require.False(t, ran, "a final notice: nothing starts")
					require.Equal(t, state, g.State("S"))
					return
				}
				require.ErrorIs(t, told, cause)
				require.Equal(t, scheduler.StateSucceeded, g.State("S"))
			})
		}
	}
}

// Outside of a group Ready does nothing, in a call as in a step.
func TestReady_outside_of_a_group(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := false
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Sequence(
			scheduler.Func(func(ctx context.Context) error {
				scheduler.Ready(ctx)
				return nil
			}),
			scheduler.Blocking(func(ctx context.Context) error {
				scheduler.Ready(ctx)
				called = true
				return nil
			}),
		), nil))
		require.True(t, called)
	})
}

// With When, what a service had freed waits for its end while it is closing, and is
// asked of again once that has failed.
func TestReady_and_pending_nodes_while_it_closes(t *testing.T) {
	var closed scheduler.Event
	var asked []string
	g := newGroup(t, "S busy Ab:S", func(k string) scheduler.Task {
		switch k {
		case "S":
			return slowCloser{readyTask(1), &closed}
		case "busy":
			return readyTask(0)
		}
		return scheduler.Func(func(context.Context) error { return nil })
	}, &scheduler.GroupOptions[string]{When: conditions(&asked), Limit: 1, AggregateErrors: true})
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: newClock()})
	mustStep(t, t.Context(), r)
	require.Equal(t, []scheduler.State{scheduler.StateReady, scheduler.StateRunning, scheduler.StatePending},
		[]scheduler.State{g.State("S"), g.State("busy"), g.State("Ab")})
	require.True(t, g.StopNode("S", errSpace))
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateClosing, g.State("S"))
	closed.Set()
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateFailed, g.State("S"))
	require.Equal(t, []string{"S()", "busy()", "Ab(S ready)", "Ab(S failed)"}, asked)
	require.Equal(t, scheduler.StatePending, g.State("Ab"), "there is no place yet")
	require.True(t, g.StopNode("busy", errSpace))
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errSpace)
	require.Equal(t, scheduler.StateSucceeded, g.State("Ab"))
	require.Len(t, asked, 4)
}

// If the service ends without a failure, When is not asked again: it wanted the node.
func TestReady_asks_once_of_what_waits_for_a_place(t *testing.T) {
	t.Parallel()
	var closed scheduler.Event
	var asked []string
	g := newGroup(t, "S a:S", func(k string) scheduler.Task {
		if k == "S" {
			return slowCloser{readyTask(2), &closed}
		}
		return readyTask(0)
	}, &scheduler.GroupOptions[string]{When: conditions(&asked)})
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: newClock()})
	g.Drain()
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateClosing, g.State("S"))
	closed.Set()
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), scheduler.ErrDrained)
	require.Equal(t, scheduler.StateSucceeded, g.State("S"))
	require.Equal(t, scheduler.StatePending, g.State("a"))
	require.Equal(t, []string{"S()", "a(S ready)"}, asked)
}

// A service that is ended by an order in the very round in which nothing needs it any
// more is not looked for later, when another node becomes one.
func TestReady_ended_by_an_order_when_it_was_not_needed(t *testing.T) {
	t.Parallel()
	var g *scheduler.DependencyTaskGroup[string]
	g = newGroup(t, "S user:S next other", func(k string) scheduler.Task {
		user := &fakeTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Next}}
		switch k {
		case "S":
			return readyTask(1)
		case "next":
			return readyTask(4)
		case "other":
			return readyTask(0)
		}
		return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
			y, err := user.Step(ctx)
			if y == scheduler.Done {
				require.True(t, g.StopNode("S", errSpace))
			}
			return y, err
		})
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: newClock()})
	for range 3 {
		mustStep(t, t.Context(), r)
	}
	require.Equal(t, " S failed user succeeded next ready other running", endings(g))
	require.NoError(t, r.Cancel())
}

// A service that was told is not told again when only services are left.
func TestReady_is_told_once_that_it_is_not_needed(t *testing.T) {
	t.Parallel()
	var told journal
	g := newGroup(t, "S user:S other", func(k string) scheduler.Task {
		switch k {
		case "S":
			return readyTask(1)
		case "user":
			return scheduler.Pause(scheduler.Rounds(1))
		}
		return scheduler.Pause(scheduler.Rounds(3))
	}, &scheduler.GroupOptions[string]{Grace: time.Hour, Observer: kindsFunc{scheduler.KindsOf(scheduler.NodeStopping), func(r scheduler.Record) {
		told.add("%s in round %d", r.Path(), r.Round())
	}}})
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: newClock()})
	for range 4 {
		mustStep(t, t.Context(), r)
	}
	require.Equal(t, " S ready user succeeded other succeeded", endings(g))
	require.Equal(t, "S in round 2", told.take())
	require.NoError(t, r.Cancel())
}

// A leaf goes on while a node waits for its turn at a Limiter, and ends when nothing
// starts any more, though nodes are left.
func TestReady_of_a_leaf_beside_pending_nodes(t *testing.T) {
	t.Parallel()
	leaf := func() *fakeTask {
		f := readyTask(1)
		f.stop = func(context.Context, error) {}
		return f
	}
	l := limiter(1)
	holder := claiming(t, "holder", map[string][]scheduler.Claim{"holder": unit(l)}, hours)
	mustStep(t, t.Context(), holder)
	f := leaf()
	g := newGroup(t, "leaf waits", func(k string) scheduler.Task {
		if k == "leaf" {
			return f
		}
		return &fakeTask{}
	}, &scheduler.GroupOptions[string]{Grace: time.Hour, Claims: func(k string) []scheduler.Claim {
		return map[string][]scheduler.Claim{"waits": unit(l)}[k]
	}})
	for range 3 {
		mustStep(t, t.Context(), g)
	}
	require.Empty(t, f.causes)
	require.NoError(t, holder.Close())
	mustStep(t, t.Context(), g)
	require.Equal(t, []error{scheduler.ErrNotNeeded}, f.causes)
	require.NoError(t, g.Close())

	f = leaf()
	g = newGroup(t, "leaf first then:first", func(k string) scheduler.Task {
		if k == "leaf" {
			return f
		}
		return scheduler.Pause(scheduler.Rounds(2))
	}, &scheduler.GroupOptions[string]{Grace: time.Hour})
	mustStep(t, t.Context(), g)
	g.Drain()
	mustStep(t, t.Context(), g)
	require.Empty(t, f.causes)
	mustStep(t, t.Context(), g)
	require.Equal(t, " leaf ready first succeeded then pending", endings(g))
	require.Equal(t, []error{scheduler.ErrNotNeeded}, f.causes)
	require.NoError(t, g.Close())
}

// All says Ready for the node that has begun it, and not for one that steps it later.
func TestReady_of_All_that_another_node_goes_on_with(t *testing.T) {
	t.Parallel()
	all := scheduler.All(readyTask(2))
	var ready []bool
	var g *scheduler.DependencyTaskGroup[string]
	g = newGroup(t, "a b:a", func(k string) scheduler.Task {
		return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
			y, err := all.Step(ctx)
			if k == "a" {
				return scheduler.Done, err
			}
			ready = append(ready, g.State("b") == scheduler.StateReady)
			return y, err
		})
	}, nil)
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: newClock()})
	mustStep(t, t.Context(), r)
	require.Equal(t, []bool{false, false}, ready)
	require.NoError(t, r.Cancel())
	require.NoError(t, all.Close())
}

// A service that fails while nodes run that require it takes nothing from those, nor
// from what requires them and not it.
func TestReady_and_then_a_failure_beside_what_it_has_freed(t *testing.T) {
	t.Parallel()
	var g *scheduler.DependencyTaskGroup[string]
	g = newGroup(t, "S ended:S runs:S afterBoth:ended,runs", func(k string) scheduler.Task {
		switch k {
		case "S":
			return &fakeTask{step: func(ctx context.Context) (scheduler.Yield, error) {
				scheduler.Ready(ctx)
				if g.State("ended") == scheduler.StateSucceeded {
					return scheduler.Yield{}, errSpace
				}
				return scheduler.Next, nil
			}}
		case "runs":
			return scheduler.Pause(scheduler.Rounds(4))
		}
		return scheduler.Pause(scheduler.Rounds(1))
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	d := schedulertest.NewDriver(t, g, nil)
	for range 3 {
		d.Step()
	}
	require.Equal(t, " S failed ended succeeded runs running afterBoth pending", endings(g))
	require.NoError(t, g.Err("runs"))
	require.ErrorIs(t, d.RunToEnd(), errSpace)
	require.Equal(t, " S failed ended succeeded runs succeeded afterBoth succeeded", endings(g))
}

// A service that takes time to close has no place in Limit either.
func TestReady_gives_its_place_back_for_good(t *testing.T) {
	t.Parallel()
	var closed scheduler.Event
	g := newGroup(t, "S after", func(k string) scheduler.Task {
		if k == "S" {
			return slowCloser{readyTask(1), &closed}
		}
		return readyTask(0)
	}, &scheduler.GroupOptions[string]{Limit: 1, AggregateErrors: true, KeepOpen: true})
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: newClock()})
	require.Equal(t, scheduler.StateReady, g.State("S"))
	require.True(t, g.StopNode("after", errOops))
	require.NoError(t, g.Add("b"))
	require.True(t, g.StopNode("S", errSpace))
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateClosing, g.State("S"))
	require.Equal(t, scheduler.StateRunning, g.State("b"))
	require.NoError(t, g.Add("c"))
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StatePending, g.State("c"))
	closed.Set()
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateFailed, g.State("S"))
	require.Equal(t, scheduler.StatePending, g.State("c"), "its end gives no second one back")
	require.NoError(t, r.Cancel())
}

// ordered runs a group of "b:a c:b d e:d" of jobs of three seconds, and gives an
// order after a second.
func ordered(t *testing.T, opts *scheduler.GroupOptions[string], task func(*servicePlay, string) scheduler.Task,
	order func(g *scheduler.DependencyTaskGroup[string]),
) (text, ends string, g *scheduler.DependencyTaskGroup[string], err error) {
	t.Helper()
	d := newServicePlay()
	g = newGroup(t, "b:a c:b d e:d", func(k string) scheduler.Task { return task(d, k) }, opts)
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
	d.clock.Advance(time.Second)
	r.Post(func() { order(g) })
	err = r.RunToCompletion(t.Context(), 0)
	return d.String(), endings(g), g, err
}

func threeSeconds(d *servicePlay, k string) scheduler.Task { return d.job(k, 3, nil) }

// obedient ends with its notice a second after it.
func obedient(d *servicePlay, k string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		d.add("%s", k)
		err := co.Yield(scheduler.After(3 * time.Second).Or(scheduler.On(co.Stopping())))
		if err == nil && co.Stopping().IsSet() {
			d.add("%s told: %v", k, co.StopCause())
			if err = co.Yield(scheduler.After(time.Second)); err == nil {
				err = co.StopCause()
			}
		}
		d.add("%s: %v", k, err)
		return err
	})
}

func TestSkipNode(t *testing.T) {
	off := errors.New("switched off")
	aggregate := func() *scheduler.GroupOptions[string] { return &scheduler.GroupOptions[string]{AggregateErrors: true} }

	text, ends, g, err := ordered(t, aggregate(), threeSeconds, func(g *scheduler.DependencyTaskGroup[string]) {
		require.True(t, g.SkipNode("b", off))
		require.False(t, g.SkipNode("b", off), "it was told already")
		require.False(t, g.SkipNode("nobody", off))
		require.Equal(t, scheduler.StatePending, g.State("b"), "until the next step")
	})
	require.NoError(t, err)
	require.Equal(t, "0s a, 0s d, 3s a done, 3s d done, 3s e, 6s e done", text)
	require.Equal(t, " a succeeded b skipped c skipped d succeeded e succeeded", ends)
	require.ErrorIs(t, g.Err("c"), off)
	require.Equal(t, "b skipped: b: switched off\nc skipped: b: switched off because of b", outcomes(g))
	require.Empty(t, g.Errors())

	// One that runs is closed, or has its grace.
	text, ends, g, err = ordered(t, aggregate(), threeSeconds, func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.SkipNode("a", nil)) })
	require.NoError(t, err)
	require.Equal(t, "0s a, 0s d, 1s a: scheduler: closed, 3s d done, 3s e, 6s e done", text)
	require.Equal(t, " a skipped b skipped c skipped d succeeded e succeeded", ends)
	require.ErrorIs(t, g.Err("a"), scheduler.ErrSkip)

	graced := aggregate()
	graced.Grace = 5 * time.Second
	text, ends, _, err = ordered(t, graced, obedient, func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.SkipNode("a", off)) })
	require.NoError(t, err)
	require.Equal(t, "0s a, 0s d, 1s a told: switched off, 2s a: switched off, 3s d: <nil>, 3s e, 6s e: <nil>", text)
	require.Equal(t, " a skipped b skipped c skipped d succeeded e succeeded", ends)

	// One that finishes in its grace has succeeded, and one that fails has failed.
	_, ends, _, err = ordered(t, graced, threeSeconds, func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.SkipNode("a", off)) })
	require.NoError(t, err)
	require.Equal(t, " a succeeded b succeeded c succeeded d succeeded e succeeded", ends)
	_, ends, _, err = ordered(t, graced, func(d *servicePlay, k string) scheduler.Task {
		if k == "a" {
			return d.job(k, 3, errSpace)
		}
		return d.job(k, 3, nil)
	}, func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.SkipNode("a", off)) })
	require.ErrorIs(t, err, errSpace)
	require.Equal(t, " a failed b skipped c skipped d succeeded e succeeded", ends)
}

func TestStopNode(t *testing.T) {
	enough := errors.New("enough")
	for _, when := range []bool{false, true} {
		opts := func(what scheduler.Disposition) *scheduler.GroupOptions[string] {
			o := &scheduler.GroupOptions[string]{
				Grace: 5 * time.Second, OnError: func(string, error) scheduler.Disposition { return what },
			}
			if when {
				o.When = conditions(nil)
			}
			return o
		}
		stop := func(k string) func(g *scheduler.DependencyTaskGroup[string]) {
			return func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.StopNode(k, enough)) }
		}
		text, ends, g, err := ordered(t, opts(scheduler.SkipDependents), obedient, stop("b"))
		require.ErrorIs(t, err, enough)
		require.Equal(t, "0s a, 0s d, 3s a: <nil>, 3s d: <nil>, 3s e, 6s e: <nil>", text)
		require.Equal(t, " a succeeded b failed c skipped d succeeded e succeeded", ends)
		require.False(t, g.Started("b"))
		require.Equal(t, "b failed: b: enough\nc skipped: b: enough because of b", outcomes(g))

		text, ends, g, err = ordered(t, opts(scheduler.SkipDependents), obedient, stop("a"))
		require.ErrorIs(t, err, enough)
		require.Equal(t, "0s a, 0s d, 1s a told: enough, 2s a: enough, 3s d: <nil>, 3s e, 6s e: <nil>", text)
		require.Equal(t, " a failed b skipped c skipped d succeeded e succeeded", ends)
		require.Equal(t, "a", asError[*scheduler.TaskError](t, g.Err("a")).Key)

		_, ends, _, err = ordered(t, opts(scheduler.IgnoreError), obedient, stop("a"))
		require.NoError(t, err)
		require.Equal(t, " a failed b succeeded c succeeded d succeeded e succeeded", ends)

		_, ends, _, err = ordered(t, opts(scheduler.StopGroup), obedient, stop("b"))
		require.ErrorIs(t, err, enough)
		require.Equal(t, " a cancelled b failed c cancelled d cancelled e cancelled", ends)
	}

	// A nil cause is ErrCancelled, and one that ignores it is closed.
	text, ends, _, err := ordered(t, &scheduler.GroupOptions[string]{AggregateErrors: true, Grace: time.Second}, threeSeconds,
		func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.StopNode("a", nil)) })
	require.ErrorIs(t, err, scheduler.ErrCancelled)
	require.Equal(t, "0s a, 0s d, 2s a: scheduler: closed, 3s d done, 3s e, 6s e done", text)
	require.Equal(t, " a failed b skipped c skipped d succeeded e succeeded", ends)
}

// An order inside a step, of a node that would start in the same round, comes in
// time; also for one that waits for claims, and before the first step.
func TestStopNode_in_a_step(t *testing.T) {
	for _, claims := range []bool{false, true} {
		for _, first := range []bool{false, true} {
			var g *scheduler.DependencyTaskGroup[string]
			opts := &scheduler.GroupOptions[string]{AggregateErrors: true}
			l := limiter(1)
			if claims {
				opts.Claims = func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} }
			}
			started := ""
			g = newGroup(t, "a b c d", func(k string) scheduler.Task {
				started += k
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					if k == "a" && !first {
						require.True(t, g.StopNode("b", nil))
						require.True(t, g.SkipNode("c", nil))
						require.True(t, g.StopNode("a", nil), "itself")
					}
					return co.Yield(scheduler.Next)
				})
			}, opts)
			if first {
				require.True(t, g.StopNode("b", nil))
				require.True(t, g.SkipNode("c", nil))
			}
			err := scheduler.Run(t.Context(), g, alone())
			require.ErrorIs(t, err, scheduler.ErrCancelled)
			require.Equal(t, "ad", started)
			require.Equal(t, scheduler.StateFailed, g.State("b"))
			require.Equal(t, scheduler.StateSkipped, g.State("c"))
			require.Equal(t, first, g.State("a") == scheduler.StateSucceeded)
			require.False(t, g.StopNode("d", nil), "it has ended")
			require.Zero(t, l.InUse()+l.Waiting())
		}
	}
}

// A node that waits in line for a claim leaves it when it is told to end: those behind
// it are served, and nothing of it is kept.
func TestStopNode_in_line_for_claims(t *testing.T) {
	l := limiter(1)
	started := ""
	g := newGroup(t, "a b c", func(k string) scheduler.Task {
		started += k
		return scheduler.Pause(scheduler.After(time.Hour))
	}, &scheduler.GroupOptions[string]{AggregateErrors: true, Claims: func(k string) []scheduler.Claim {
		if k == "b" { // in a line of its own
			return []scheduler.Claim{{Limiter: l, Weight: 1}, {Limiter: limiter(9), Weight: 1}}
		}
		return []scheduler.Claim{{Limiter: l, Weight: 1}}
	}})
	driver := schedulertest.NewDriver(t, g, nil)
	driver.Step()
	require.Equal(t, "a", started)
	require.Equal(t, 2, l.Waiting())
	require.True(t, g.StopNode("b", nil))
	require.Equal(t, 1, l.Waiting(), "c")
	require.ErrorIs(t, driver.RunToEnd(), scheduler.ErrCancelled)
	require.Equal(t, "ac", started)
	require.Equal(t, scheduler.StateFailed, g.State("b"))
	require.Zero(t, l.InUse()+l.Waiting())
}

// A node whose turn in line has come, and which has not started yet for the budget,
// gives the turn up: to the next in line that claims the same, or to nobody.
func TestStopNode_whose_turn_in_line_has_come(t *testing.T) {
	for _, tc := range []struct{ nodes, started, behind string }{
		{nodes: "a b c", started: "ac", behind: "c"},
		{nodes: "a b", started: "a"},
	} {
		l := limiter(1)
		started := ""
		g := newGroup(t, tc.nodes, func(k string) scheduler.Task {
			started += k
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[string]{AggregateErrors: true, Budget: 1, Claims: units(l)})
		mustStep(t, t.Context(), g) // a starts
		mustStep(t, t.Context(), g) // the others ask
		require.Equal(t, 1, l.Waiting(), "all that claim the same, in one place")
		mustStep(t, t.Context(), g) // a ends, which uses the budget up
		require.Equal(t, scheduler.StateSucceeded, g.State("a"))
		require.Equal(t, "a", started)
		require.True(t, g.StopNode("b", nil))
		require.Equal(t, len(tc.behind), l.Waiting())

		var err error
		for range 9 {
			if _, err = g.Step(t.Context()); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, scheduler.ErrCancelled)
		require.Equal(t, tc.started, started)
		require.Equal(t, scheduler.StateFailed, g.State("b"))
		require.Zero(t, l.InUse()+l.Waiting())
	}
}

// What an order has asked to end ends as it says, also if the group is closed
// meanwhile.
func TestStopNode_and_then_the_end_of_the_run(t *testing.T) {
	enough := errors.New("enough")
	for _, skips := range []bool{false, true} {
		d := newServicePlay()
		g := newGroup(t, "a", func(k string) scheduler.Task { return d.job(k, 3, nil) }, &scheduler.GroupOptions[string]{Grace: time.Minute})
		r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
		if skips {
			require.True(t, g.SkipNode("a", enough))
		} else {
			require.True(t, g.StopNode("a", enough))
		}
		mustStep(t, t.Context(), r)
		_ = r.Cancel()
		require.ErrorIs(t, g.Err("a"), enough)
		require.Equal(t, skips, g.State("a") == scheduler.StateSkipped)
		require.Equal(t, !skips, g.State("a") == scheduler.StateFailed)
	}
}

// readyTask is a task that says Ready in one of its steps, and goes on for ever.
func readyTask(inStep int) *fakeTask {
	f := new(fakeTask)
	f.step = func(ctx context.Context) (scheduler.Yield, error) {
		if f.steps == inStep {
			scheduler.Ready(ctx)
		}
		return scheduler.Next, nil
	}
	return f
}

// A panic of what is asked, or told, as a service has become ready, or as what it
// frees starts, ends the run, and the service is closed like the others.
func TestReady_and_a_panic_at_what_it_frees(t *testing.T) {
	type key = string
	type options = scheduler.GroupOptions[key]
	at := func(k key) {
		if k == "d" {
			panicForTest("of " + k)
		}
	}
	changed := func(node key, to scheduler.State) func(o *options) {
		return func(o *options) {
			o.Observer = scheduler.ObserverFunc(func(r scheduler.Record) {
				if r.Kind == scheduler.NodeChanged && r.Key() == node && r.To == to {
					panicForTest("of an Observer")
				}
			})
		}
	}
	inReady := []string{"When", "Observer of Ready", "Observer of the verdict"} // called before Ready returns
	for name, set := range map[string]func(o *options){
		"When": func(o *options) {
			o.When = func(k key, _ iter.Seq2[key, scheduler.State]) scheduler.Verdict { at(k); return scheduler.Usual }
		},
		"Claims": func(o *options) {
			o.Claims = func(k key) []scheduler.Claim { at(k); return nil }
		},
		"Timeout": func(o *options) {
			o.Timeout = func(k key) time.Duration { at(k); return 0 }
		},
		"Context": func(o *options) {
			o.Context = func(ctx context.Context, k key) context.Context { at(k); return ctx }
		},
		"Observer of Ready":     changed("s", scheduler.StateReady),
		"Observer of the start": changed("d", scheduler.StateRunning),
		"Observer of the verdict": func(o *options) {
			changed("d", scheduler.StateSkipped)(o)
			o.When = func(k key, _ iter.Seq2[key, scheduler.State]) scheduler.Verdict {
				if k == "d" {
					return scheduler.Skip
				}
				return scheduler.Usual
			}
		},
	} {
		for _, recovers := range []bool{false, true} {
			for inStep := 1; inStep <= 2; inStep++ {
				t.Run(name, func(t *testing.T) {
					service, other := readyTask(inStep), &fakeTask{step: forever}
					o := &options{RecoverPanics: recovers}
					set(o)
					g := newGroup(t, "other s d:s e:d", func(k key) scheduler.Task {
						switch k {
						case "s":
							return service.task()
						case "other":
							return other.task()
						}
						return scheduler.Pause(scheduler.Next)
					}, o)
					ran, v := onGoroutine(func() { _ = scheduler.Run(t.Context(), g, nil) })
					isOwn := inStep == 2 && name == "When" // it goes through the step that says Ready
					require.Equal(t, isOwn && recovers, ran)
					if !ran {
						require.Contains(t, []any{"of d", "of an Observer"}, panickedWith(v))
					}
					closes := 1
					if inStep == 2 && slices.Contains(inReady, name) {
						closes = 0 // nothing more is called of a task out of whose step a panic came
					}
					require.Equal(t, closes, service.closes)
					require.Equal(t, 1, other.closes)
					for _, k := range []key{"other", "s", "d", "e"} {
						require.True(t, g.State(k).Ended(), k)
					}

					// The same in a group inside: there it is a panic of the node.
					service2, besides := readyTask(inStep), &fakeTask{step: forever}
					outer := newGroup(t, "besides in", func(k key) scheduler.Task {
						if k == "besides" {
							return besides.task()
						}
						return newGroup(t, "s d:s", func(k key) scheduler.Task {
							if k == "s" {
								return service2.task()
							}
							return scheduler.Pause(scheduler.Next)
						}, o)
					}, &options{RecoverPanics: true})
					_, panicked := onGoroutine(func() { _ = scheduler.Run(t.Context(), outer, nil) })
					require.Equal(t, o.Observer != nil, panicked != nil, "only that of an Observer goes up")
					require.Equal(t, closes, service2.closes)
					require.Equal(t, 1, besides.closes)
				})
			}
		}
	}
}

// Services, which do not count for Limit, take memory in proportion to their number.
func TestReady_of_many_under_a_limit(t *testing.T) {
	const n = 4000
	deps := numbers(n)
	g := groupOver(t, deps, func(int) scheduler.Task { return readyTask(1) },
		&scheduler.GroupOptions[int]{Limit: 1, KeepOpen: true})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := g.Step(t.Context())
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Equal(t, n, g.Count(scheduler.StateReady))
	perService := (after.TotalAlloc - before.TotalAlloc) / n
	t.Logf("%d bytes for each service", perService)
	require.Less(t, perService, uint64(4096))
	require.NoError(t, g.Close())
}

// A service that only added nodes require ends after those, too: limits further out say
// nothing of its end.
func TestReady_deadline_of_a_service_of_added_nodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *scheduler.DependencyTaskGroup[string]
		limited := true
		g = newGroup(t, "service", func(k string) scheduler.Task {
			if k != "service" {
				return lasting(1, nil)
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.Next); err != nil {
					return err
				}
				require.NoError(t, g.Add("added", "service"))
				co.Ready()
				return co.Await(scheduler.Blocking(func(ctx context.Context) error {
					_, limited = ctx.Deadline()
					return nil
				}))
			})
		}, &scheduler.GroupOptions[string]{KeepOpen: true})
		outer := newGroup(t, "node", func(string) scheduler.Task { return g }, &scheduler.GroupOptions[string]{
			Timeout: func(string) time.Duration { return time.Minute },
		})
		r := scheduler.NewTaskRunner(outer, nil)
		time.AfterFunc(10*time.Second, func() { r.Post(g.CloseInput) })
		require.NoError(t, r.Run(t.Context()))
		require.False(t, limited)
	})
}

// The call of an added node may say Ready, and ask for its deadline.
func TestReady_deadline_of_an_added_node(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := false
		var g *scheduler.DependencyTaskGroup[string]
		g = newGroup(t, "adds", func(k string) scheduler.Task {
			if k == "adds" {
				return scheduler.Func(func(context.Context) error {
					defer g.CloseInput()
					return g.Add("added")
				})
			}
			return scheduler.Blocking(func(ctx context.Context) error {
				scheduler.Ready(ctx)
				_, limited = ctx.Deadline()
				return nil
			})
		}, &scheduler.GroupOptions[string]{KeepOpen: true})
		require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Timeout: time.Minute}))
		require.True(t, limited)
	})
}

// A node that is to end while it is within the grace after its Timeout fails with that, and
// with the cause of the order, whether or not it has a grace for the order as well.
func TestStopNode_in_the_grace_after_a_Timeout(t *testing.T) {
	for name, tt := range map[string]struct {
		order func(g *scheduler.DependencyTaskGroup[string]) bool
		want  string
	}{
		"StopNode": {func(g *scheduler.DependencyTaskGroup[string]) bool { return g.StopNode("a", errOops) }, "a: oops\na: timed out after 1s"},
		"SkipNode": {func(g *scheduler.DependencyTaskGroup[string]) bool { return g.SkipNode("a", errOops) }, "a: timed out after 1s"},
	} {
		for _, isDeaf := range []bool{false, true} {
			for _, grace := range []time.Duration{time.Minute, time.Second, 0} {
				inBubble(t, fmt.Sprint(name, " deaf ", isDeaf, " grace ", grace), func(t *testing.T) {
					asked := 0
					g := newGroup(t, "a", func(string) scheduler.Task {
						if isDeaf {
							return scheduler.Blocking(func(context.Context) error {
								sleep(10 * time.Minute)
								return errOther
							})
						}
						wait := scheduler.After(time.Hour)
						return &fakeTask{yields: []scheduler.Yield{wait}, throw: always(wait, nil)}
					}, &scheduler.GroupOptions[string]{
						Timeout: func(string) time.Duration { return time.Second },
						GraceFor: func(string) time.Duration {
							if asked++; asked == 1 { // for the Timeout
								return time.Minute
							}
							return grace
						},
					})
					r := scheduler.NewTaskRunner(g, nil)
					time.AfterFunc(2*time.Second, func() { r.Post(func() { require.True(t, tt.order(g)) }) })
					began := time.Now()
					_ = r.Run(t.Context())
					took := time.Since(began).Truncate(time.Second)
					if isDeaf {
						require.EqualError(t, g.Err("a"), tt.want+"\nother")
						require.Equal(t, 10*time.Minute, took)
					} else {
						require.EqualError(t, r.Err(), tt.want)
						require.Equal(t, min(2*time.Second+grace, time.Minute+time.Second), took)
					}
					require.Equal(t, scheduler.StateTimedOut, g.State("a"))
				})
			}
		}
	}
}
