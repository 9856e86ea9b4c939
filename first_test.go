package scheduler_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

func TestFirst(t *testing.T) {
	failing := func(name string, seconds int, err error) scheduler.Task {
		return scheduler.Named(name, lasting(seconds, err))
	}
	skip := func() scheduler.Task { return lasting(1, scheduler.ErrSkip) }
	for _, tt := range []struct {
		name  string
		tasks []scheduler.Task
		err   string
		is    error
		took  time.Duration
	}{
		{"one", []scheduler.Task{lasting(1, nil)}, "", nil, 1},
		{"the first to succeed", []scheduler.Task{lasting(9, nil), lasting(2, nil), lasting(3, nil)}, "", nil, 2},
		{"in their first step", []scheduler.Task{lasting(0, nil), lasting(9, nil)}, "", nil, 0},
		{"a failure decides nothing", []scheduler.Task{lasting(1, errBoom), lasting(2, nil), lasting(3, nil)}, "", nil, 2},
		{"nor does a skip", []scheduler.Task{skip(), lasting(2, nil)}, "", nil, 2},
		{"all fail", []scheduler.Task{failing("x", 2, errBoom), failing("y", 1, errOops)}, "2 tasks failed:\n- y: oops\n- x: boom", errOops, 2},
		{"the only one fails", []scheduler.Task{failing("x", 2, errBoom)}, "1 task failed:\n- x: boom", errBoom, 2},
		{"one fails, one skips", []scheduler.Task{skip(), failing("x", 2, errBoom)}, "1 task failed:\n- x: boom", errBoom, 2},
		{"all skip", []scheduler.Task{skip(), skip()}, "scheduler: skip: all tasks of a First", scheduler.ErrSkip, 1},
		{"none", nil, "scheduler: First: no tasks", nil, 0},
		{"a nil one", []scheduler.Task{lasting(0, nil), nil}, "scheduler: nil task: number 1 of a First", scheduler.ErrNilTask, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := newClock()
			start := clock.Now()
			err := scheduler.Run(t.Context(), scheduler.First(tt.tasks...), &scheduler.RunnerOptions{Clock: clock})
			if tt.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tt.err)
			}
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			}
			require.Equal(t, tt.took*time.Second, clock.Now().Sub(start))
		})
	}
	require.Equal(t, "First", scheduler.TaskDescription(scheduler.First(lasting0)))
	require.Equal(t, "First", scheduler.TaskDescription(scheduler.First()))
}

// What has not started when one succeeds never does.
func TestFirst_startsNoMore(t *testing.T) {
	other := &fakeTask{}
	require.NoError(t, scheduler.Run(t.Context(), scheduler.First(lasting0, other), nil))
	require.Zero(t, other.steps)
}

func TestFirst_others(t *testing.T) {
	for _, tt := range []struct {
		name  string
		grace time.Duration
		loser error // what the other one makes of the notice
		took  time.Duration
	}{
		{"are closed without a grace", 0, nil, 1},
		{"have the grace", time.Minute, nil, 2},
		{"may fail in it", time.Minute, errBoom, 2},
		{"are closed after it", 500 * time.Millisecond, nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock, closed := newClock(), 0
			start := clock.Now()
			var cause error
			var stopped scheduler.Event
			other := (&fakeTask{
				step: func(context.Context) (scheduler.Yield, error) {
					if !stopped.IsSet() {
						return scheduler.On(&stopped), nil
					}
					if clock.Now().Sub(start) < 2*time.Second {
						return scheduler.At(start.Add(2 * time.Second)), nil
					}
					return scheduler.Done, tt.loser
				},
				stop:  func(_ context.Context, c error) { cause = c; stopped.Set() },
				close: func() error { closed++; return nil },
			}).task()
			o := &notesObserver{}
			group := newGroup(t, "a", func(string) scheduler.Task { return scheduler.First(other, lasting(1, nil)) },
				&scheduler.GroupOptions[string]{Grace: tt.grace, Observer: selective{scheduler.KindsOf(scheduler.NodeChanged), func(r scheduler.Record) {
					if r.To.Ended() {
						o.add("%s %s", r.Path(), r.To)
					}
				}}})
			require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock, Grace: tt.grace}))
			if tt.grace > 0 {
				require.ErrorIs(t, cause, scheduler.ErrNotNeeded)
				require.True(t, scheduler.Interrupted(cause))
			}
			told := o.take()
			switch {
			case tt.loser != nil:
				require.Equal(t, "a/1 succeeded, a/0 failed, a succeeded", told)
			case closed == 1:
				require.Equal(t, "a/1 succeeded, a/0 cancelled, a succeeded", told)
			default:
				require.Equal(t, "a/1 succeeded, a/0 succeeded, a succeeded", told)
			}
			require.GreaterOrEqual(t, clock.Now().Sub(start), tt.took*time.Second)
		})
	}
}

// How a First ends from outside.
func TestFirst_ends(t *testing.T) {
	fails := func() scheduler.Task { return scheduler.Func(func(context.Context) error { return errBoom }) }
	stubborn := func() scheduler.Task { return (&fakeTask{step: forever}).task() }
	t.Run("by a Timeout", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.First(lasting(1, errBoom), lasting(99, nil))
		}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }})
		err := schedulertest.NewDriver(t, group, nil).RunToEnd()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errBoom, "what had failed before is not lost")
		require.Equal(t, scheduler.StateTimedOut, group.State("a"))
	})
	t.Run("by a Timeout with a grace in which one succeeds", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.First(untilStopped(func(c error) error { return c }), untilStopped(func(error) error { return nil }))
		}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Second }, Grace: time.Second})
		require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	})
	t.Run("by a stop", func(t *testing.T) {
		r := scheduler.NewTaskRunner(scheduler.First(untilStopped(func(c error) error { return c }), stubborn()),
			&scheduler.RunnerOptions{Grace: time.Second, Clock: newClock(), Wait: time.Second})
		require.NoError(t, r.Start(t.Context(), 0))
		r.Stop(errOther)
		require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errOther)
	})
	t.Run("by a kill", func(t *testing.T) {
		r := scheduler.NewTaskRunner(scheduler.First(fails(), stubborn()), nil)
		require.NoError(t, r.Start(t.Context(), 0))
		r.Kill()
		_, err := r.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrCancelled)
		require.ErrorIs(t, err, errBoom)
	})
	t.Run("by a close after one has won", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.First(fails(), &fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}}, lasting(1, nil))
		}, &scheduler.GroupOptions[string]{Grace: time.Hour})
		d := schedulertest.NewDriver(t, group, nil)
		d.StepUntil(func() bool { return d.Clock.Now().Second() > 0 })
		require.Equal(t, scheduler.StateRunning, group.State("a"))
		require.NoError(t, d.Runner.Cancel())
		require.Empty(t, group.Errors())
	})
	t.Run("by an error that is thrown in", func(t *testing.T) {
		r := scheduler.NewTaskRunner(scheduler.First(stubborn(), stubborn()), nil)
		require.NoError(t, r.Start(t.Context(), 0))
		r.Interrupt(errOops)
		_, err := r.Step(t.Context())
		require.ErrorIs(t, err, errOops)
	})
	t.Run("before its start", func(t *testing.T) {
		_, err := throwIn(t.Context(), scheduler.First(stubborn()), errOops)
		require.Equal(t, errOops, err)
	})
}

// Calls of those that have not won are ended, and waited for without holding others up.
func TestFirst_ofCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ask := func(d time.Duration) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					sleep(time.Second) // it takes a while
					return ctx.Err()
				case <-time.After(d):
					return nil
				}
			})
		}
		require.NoError(t, scheduler.Run(t.Context(), scheduler.First(ask(time.Hour), ask(time.Minute), ask(2*time.Minute)), nil))
		require.Equal(t, time.Minute+time.Second, time.Since(start))
	})
}

// A First, and a task with a limit, are the same whatever they are held in.
func TestFirst_composition(t *testing.T) {
	type wrapped struct{ scheduler.Task }
	for name, make := range map[string]func(scheduler.Task) scheduler.Task{
		"bare":     func(task scheduler.Task) scheduler.Task { return task },
		"wrapper":  func(task scheduler.Task) scheduler.Task { return &plainWrapper{task} },
		"embedded": func(task scheduler.Task) scheduler.Task { return scheduler.First(task) },
		"Named":    func(task scheduler.Task) scheduler.Task { return scheduler.Named("n", task) },
		"AsTask":   func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
		"Subrun":   func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) },
		"Retry": func(task scheduler.Task) scheduler.Task {
			return scheduler.Retry(constant(-1), func(int, error) scheduler.Task { return task })
		},
		"Sequence":    func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(lasting0, task) },
		"Finally":     func(task scheduler.Task) scheduler.Task { return scheduler.Finally(task, lasting0) },
		"All":         func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		"WithTimeout": func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Hour, task) },
		"Wrap": func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(wrapped{task}) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				name  string
				grace time.Duration
				task  func() scheduler.Task
				is    error
				took  time.Duration
			}{
				{"won", 0, func() scheduler.Task { return scheduler.First(lasting(9, nil), lasting(1, nil)) }, nil, time.Second},
				{"lost", 0, func() scheduler.Task { return scheduler.First(lasting(1, errOops), lasting(2, errBoom)) }, errBoom, 2 * time.Second},
				{"in time", 0, func() scheduler.Task { return scheduler.WithTimeout(2*time.Second, lasting(1, nil)) }, nil, time.Second},
				{"too late", 0, func() scheduler.Task { return scheduler.WithTimeout(time.Second, lasting(9, nil)) }, context.DeadlineExceeded, time.Second},
				{"of both", 0, func() scheduler.Task {
					return scheduler.First(scheduler.WithTimeout(time.Second, lasting(9, nil)), lasting(2, nil))
				}, nil, 2 * time.Second},
				{"all too late", 0, func() scheduler.Task {
					return scheduler.First(scheduler.WithTimeout(time.Second, lasting(9, nil)), scheduler.WithTimeout(2*time.Second, lasting(9, nil)))
				}, context.DeadlineExceeded, 2 * time.Second},
			} {
				t.Run(tt.name, func(t *testing.T) {
					clock := newClock()
					start := clock.Now()
					group := newGroup(t, "a", func(string) scheduler.Task { return make(tt.task()) }, nil)
					err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock})
					if tt.is == nil {
						require.NoError(t, err)
					} else {
						require.ErrorIs(t, err, tt.is)
					}
					require.Equal(t, tt.took, clock.Now().Sub(start).Round(time.Second))
				})
			}
		})
	}
}

// plainWrapper shows the task inside.
type plainWrapper struct{ scheduler.Task }

func (w *plainWrapper) Unwrap() scheduler.Task { return w.Task }

func TestWithTimeout(t *testing.T) {
	swallows := func(d time.Duration) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_ = co.Yield(scheduler.After(time.Hour))
			return co.Yield(scheduler.After(d))
		})
	}
	for _, tt := range []struct {
		name  string
		limit time.Duration
		opts  scheduler.GroupOptions[string]
		grace time.Duration // of the runner
		task  scheduler.Task
		is    error
		took  time.Duration
	}{
		{"none", 0, scheduler.GroupOptions[string]{}, 0, lasting(9, nil), nil, 9 * time.Second},
		{"passed at once", -1, scheduler.GroupOptions[string]{}, 0, lasting(9, nil), context.DeadlineExceeded, 0},
		{"one further out", time.Hour, scheduler.GroupOptions[string]{
			Timeout: func(string) time.Duration { return time.Second },
		}, 0, lasting(9, nil), context.DeadlineExceeded, time.Second},
		{"swallowed, without a grace", time.Second, scheduler.GroupOptions[string]{}, 0, swallows(time.Second), context.DeadlineExceeded, time.Second},
		{"with the grace of the group", time.Second, scheduler.GroupOptions[string]{Grace: 5 * time.Second}, 0, swallows(time.Second), context.DeadlineExceeded, 2 * time.Second},
		{"with that of the node", time.Second, scheduler.GroupOptions[string]{
			GraceFor: func(string) time.Duration { return 3 * time.Second },
		}, time.Hour, swallows(10 * time.Second), context.DeadlineExceeded, 4 * time.Second},
		{"with that of the runner", time.Second, scheduler.GroupOptions[string]{}, 5 * time.Second, swallows(2 * time.Second), context.DeadlineExceeded, 3 * time.Second},
		{"without the runner's", time.Second, scheduler.GroupOptions[string]{Grace: scheduler.NoGrace}, 5 * time.Second, swallows(2 * time.Second), context.DeadlineExceeded, time.Second},
		{"another error", time.Second, scheduler.GroupOptions[string]{}, 0, scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_ = co.Yield(scheduler.After(time.Hour))
			return errBoom
		}), errBoom, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := newClock()
			start := clock.Now()
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.WithTimeout(tt.limit, scheduler.Named("inside", tt.task))
			}, &tt.opts)
			err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock, Grace: tt.grace})
			if tt.is == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tt.is)
			}
			require.Equal(t, tt.took, clock.Now().Sub(start).Round(100*time.Millisecond))
		})
	}
	require.PanicsWithValue(t, "scheduler: WithTimeout: nil Task", func() { scheduler.WithTimeout(0, nil) })

	t.Run("outside of a group", func(t *testing.T) {
		for grace, want := range map[time.Duration]time.Duration{0: 1, 9 * time.Second: 3} {
			clock := newClock()
			start := clock.Now()
			err := scheduler.Run(t.Context(), scheduler.WithTimeout(time.Second, scheduler.Named("n", swallows(2*time.Second))),
				&scheduler.RunnerOptions{Clock: clock, Grace: grace})
			require.EqualError(t, err, "n: timed out after 1s")
			require.Equal(t, want*time.Second, clock.Now().Sub(start).Round(time.Second))
		}
		task := scheduler.WithTimeout(time.Second, lasting(1, nil))
		y, err := task.Step(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, scheduler.Done, y)
		require.NoError(t, task.Close())
	})
	t.Run("groups inside do not inherit the grace of the node", func(t *testing.T) {
		for _, limit := range []time.Duration{0, time.Hour} {
			clock := newClock()
			start := clock.Now()
			group := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.WithTimeout(limit, newGroup(t, "fails goes", func(k string) scheduler.Task {
					if k == "fails" {
						return lasting(1, errBoom)
					}
					return lasting(9, nil)
				}, nil))
			}, &scheduler.GroupOptions[string]{Grace: time.Minute})
			require.ErrorIs(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}), errBoom)
			require.Equal(t, time.Second, clock.Now().Sub(start))
		}
	})
	t.Run("its error", func(t *testing.T) {
		err := schedulertest.NewDriver(t, scheduler.WithTimeout(time.Second, lasting(9, nil)), nil).RunToEnd()
		require.True(t, scheduler.Interrupted(err))
		require.Contains(t, fmt.Sprint(err), "timed out after 1s")
	})
	t.Run("notice within it", func(t *testing.T) {
		r := scheduler.NewTaskRunner(scheduler.WithTimeout(time.Hour, untilStopped(func(c error) error { return c })),
			&scheduler.RunnerOptions{Grace: time.Minute})
		require.NoError(t, r.Start(t.Context(), 0))
		r.Stop(errOther)
		require.Equal(t, errOther, r.RunToCompletion(t.Context(), 0))
	})
}

// The grace of a part is that of the nearest node or runner around it.
func TestFirst_WithTimeout_nearestGrace(t *testing.T) {
	parts := map[string]func() scheduler.Task{ // both go on for 20 s after the first
		"First": func() scheduler.Task {
			return scheduler.First(lasting(1, nil), scheduler.Wrap(func(co *scheduler.Coroutine) error {
				return co.Yield(scheduler.After(21 * time.Second))
			}))
		},
		"WithTimeout": func() scheduler.Task {
			return scheduler.WithTimeout(time.Second, scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_ = co.Yield(scheduler.After(time.Hour))
				return co.Yield(scheduler.After(20 * time.Second))
			}))
		},
	}
	subrun := func(grace time.Duration) func(scheduler.Task) scheduler.Task {
		return func(task scheduler.Task) scheduler.Task {
			return scheduler.Subrun(scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Grace: grace}))
		}
	}
	none := func(task scheduler.Task) scheduler.Task { return task }
	forNode := func(string) time.Duration { return 0 }
	for _, tt := range []struct {
		name   string
		run    time.Duration
		opts   scheduler.GroupOptions[string]
		around func(scheduler.Task) scheduler.Task
		want   time.Duration
	}{
		{"none", 0, scheduler.GroupOptions[string]{}, none, 0},
		{"of the run", 5 * time.Second, scheduler.GroupOptions[string]{}, none, 5 * time.Second},
		{"the node's, and not that of the run", 5 * time.Second, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, none, 3 * time.Second},
		{"the node has none", 5 * time.Second, scheduler.GroupOptions[string]{GraceFor: forNode}, none, 0},
		{"the group has none", 5 * time.Second, scheduler.GroupOptions[string]{Grace: scheduler.NoGrace}, none, 0},
		{"of a runner in the node", 0, scheduler.GroupOptions[string]{}, subrun(4 * time.Second), 4 * time.Second},
		{"of that, and not the node's", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, subrun(4 * time.Second), 4 * time.Second},
		{"that has none", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, subrun(scheduler.NoGrace), 0},
		{"that says nothing", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, subrun(0), 3 * time.Second},
		{"behind a Shield", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, scheduler.Shield, 3 * time.Second},
		{"in a coroutine", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		}, 3 * time.Second},
		{"within another limit", 0, scheduler.GroupOptions[string]{Grace: 3 * time.Second}, func(task scheduler.Task) scheduler.Task {
			return scheduler.WithTimeout(time.Hour, task)
		}, 3 * time.Second},
	} {
		for name, part := range parts {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				clock := newClock()
				start := clock.Now()
				opts := tt.opts
				group := newGroup(t, "a", func(string) scheduler.Task { return tt.around(part()) }, &opts)
				_ = scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock, Grace: tt.run})
				require.Equal(t, time.Second+tt.want, clock.Now().Sub(start).Round(time.Millisecond))
			})
		}
	}
}

// Those that have lost begin nothing new in their grace, at any depth.
func TestFirst_losersBeginNothing(t *testing.T) {
	began := 0
	part := func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			began++
			return co.Yield(scheduler.After(2 * time.Second))
		})
	}
	clock := newClock()
	start := clock.Now()
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.First(
			lasting(1, nil),
			scheduler.Sequence(part(""), part("")),
			newGroup(t, "x y:x", part, nil),
			scheduler.All(newGroup(t, "x y:x", part, nil)),
		)
	}, &scheduler.GroupOptions[string]{Grace: time.Minute})
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, 3, began)
	require.Equal(t, 2*time.Second, clock.Now().Sub(start))
}

// A Timeout inside a node is named after the node, unless the user has given a name.
func TestWithTimeout_names_the_node(t *testing.T) {
	t.Parallel()
	anHour := func(context.Context) (scheduler.Yield, error) { return scheduler.After(time.Hour), nil }
	limited := func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Minute, task) }
	waits := func(co *scheduler.Coroutine) error { return co.Yield(scheduler.After(time.Hour)) }
	retries := func() scheduler.Task {
		return scheduler.Retry(constant(time.Second), func(int, error) scheduler.Task { return scheduler.Wrap(waits) })
	}
	hour := func() scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }
	for name, tt := range map[string]struct {
		task scheduler.Task
		want string
	}{
		"Retry":           {limited(retries()), "etcd: timed out after 1m0s"},
		"Wrap":            {limited(scheduler.Wrap(waits)), "etcd: timed out after 1m0s"},
		"Sequence":        {limited(scheduler.Sequence(hour())), "etcd: timed out after 1m0s"},
		"Finally":         {limited(scheduler.Finally(hour(), hour())), "etcd: timed out after 1m0s"},
		"StepFunc":        {limited(scheduler.StepFunc(anHour)), "etcd: timed out after 1m0s"},
		"Shield":          {limited(scheduler.Shield(retries())), "etcd: timed out after 1m0s"},
		"Claiming":        {limited(scheduler.Claiming(nil, retries())), "etcd: timed out after 1m0s"},
		"All":             {limited(scheduler.All(hour())), "etcd: timed out after 1m0s"},
		"First":           {limited(scheduler.First(hour())), "etcd: timed out after 1m0s"},
		"a wrapper":       {limited(wrapping{retries()}), "etcd: timed out after 1m0s"},
		"a limit in one":  {limited(scheduler.WithTimeout(time.Hour, retries())), "etcd: timed out after 1m0s"},
		"a group":         {limited(newGroup(t, "a", hours, nil)), "etcd: timed out after 1m0s"},
		"Subrun":          {scheduler.Subrun(scheduler.NewTaskRunner(retries(), &scheduler.RunnerOptions{Timeout: time.Minute})), "etcd: timed out after 1m0s"},
		"AsTask":          {scheduler.NewTaskRunner(retries(), nil).AsTask(time.Minute), "etcd: timed out after 1m0s"},
		"in a Wrap":       {scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(limited(retries())) }), "etcd: timed out after 1m0s"},
		"in a node of it": {newGroup(t, "a", func(string) scheduler.Task { return limited(retries()) }, nil), "etcd: a: timed out after 1m0s"},
		"in an All":       {scheduler.All(limited(retries())), "etcd: Retry: timed out after 1m0s"},
		"Named":           {limited(scheduler.Named("probe", retries())), "etcd: probe: timed out after 1m0s"},
		"Shield of Named": {limited(scheduler.Shield(scheduler.Named("probe", retries()))), "etcd: probe: timed out after 1m0s"},
		"a named runner": {scheduler.Subrun(scheduler.NewTaskRunner(retries(), &scheduler.RunnerOptions{
			Name: "probe", Timeout: time.Minute,
		})), "etcd: probe: timed out after 1m0s"},
		"a named group": {limited(newGroup(t, "a", hours, &scheduler.GroupOptions[string]{Name: "site"})), "etcd: site: timed out after 1m0s"},
		"a String":      {limited((&fakeTask{name: "probe", step: anHour}).task()), "etcd: probe: timed out after 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group := newGroup(t, "etcd", func(string) scheduler.Task { return tt.task }, nil)
			require.EqualError(t, schedulertest.NewDriver(t, group, nil).RunToEnd(), tt.want)
		})
	}
	t.Run("outside of a node", func(t *testing.T) {
		t.Parallel()
		require.EqualError(t, schedulertest.NewDriver(t, limited(retries()), nil).RunToEnd(), "Retry: timed out after 1m0s")
	})
}
