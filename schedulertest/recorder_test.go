package schedulertest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestRecorder_of_nested_groups(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	clock.Advance(time.Hour) // times count from the making of the recorder
	rec := schedulertest.NewRecorder(clock)

	group := func(name string, task func(string) scheduler.Task, edges ...[2]string) scheduler.Task {
		deps := scheduler.NewDependencies[string]()
		for _, edge := range edges {
			deps.Add(edge[0], edge[1])
		}
		g, err := scheduler.NewDependencyTaskGroup(deps, task, &scheduler.GroupOptions[string]{
			Name: name, AggregateErrors: true, Observer: rec,
		})
		require.NoError(t, err)
		return g
	}
	inner := group("inner", func(k string) scheduler.Task {
		if k == "disk" {
			return scheduler.Pause(scheduler.After(time.Second))
		}
		return scheduler.Func(func(context.Context) error { return errors.Join(errBoom, errBoom) })
	}, [2]string{"server", "disk"})
	outer := group("outer", func(k string) scheduler.Task {
		if k == "stack" {
			return inner
		}
		return scheduler.Pause(scheduler.Next)
	}, [2]string{"dns", "stack"}, [2]string{"stack", "net"})
	require.Error(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, `0s 1 net: pending -> running
0s 2 net: running -> succeeded
0s 2 stack: pending -> running
0s 1 stack/disk: pending -> running
1s 2 stack/disk: running -> succeeded
1s 2 stack/server: pending -> running
1s 2 stack/server: running -> failed: boom; boom
1s 3 stack: running -> failed: 1 task failed:; - server: boom;   boom
1s 3 dns: pending -> skipped
`, rec.String())

	require.Len(t, rec.Lines(), 9)
	rec.Lines()[0] = ""
	require.Equal(t, "0s 1 net: pending -> running", rec.Lines()[0], "the lines are a copy")
	rec.Reset()
	require.Empty(t, rec.Lines())
	require.Empty(t, rec.String())
}

// bare has neither Throw nor Stop.
type bare struct{ steps }

// full has both.
type full struct {
	steps
	answer error
}

func (f *full) Throw(context.Context, error) (scheduler.Yield, error) {
	return scheduler.After(time.Second), f.answer
}

func (*full) Stop(context.Context, error) {}

func TestRecorder_Task(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		task scheduler.Task
		opts scheduler.RunnerOptions
		act  func(d *schedulertest.Driver)
		want string
		err  string
	}{
		"runs to its end": {
			task: &bare{steps{yields: []scheduler.Yield{scheduler.Next, scheduler.After(time.Minute)}}},
			want: "0s x.step = next\n0s x.step = after 1m0s\n1m0s x.step = done\n",
		},
		"fails": {
			task: scheduler.Func(func(context.Context) error { return errBoom }),
			want: "0s x.step = boom\n",
			err:  "boom",
		},
		"without Throw, thrown into": {
			task: &bare{steps{yields: []scheduler.Yield{scheduler.Next}}},
			act:  func(d *schedulertest.Driver) { d.Runner.Interrupt(errBoom) },
			want: "0s x.step = next\n0s x.close = done\n",
			err:  "boom",
		},
		"without Throw, thrown into, close fails": {
			task: &bare{steps{yields: []scheduler.Yield{scheduler.Next}, closes: errors.New("stuck")}},
			act:  func(d *schedulertest.Driver) { d.Runner.Interrupt(errBoom) },
			want: "0s x.step = next\n0s x.close = stuck\n",
			err:  "boom\nstuck",
		},
		"with Throw, goes on": {
			task: &full{steps: steps{yields: []scheduler.Yield{scheduler.Next}}},
			act:  func(d *schedulertest.Driver) { d.Runner.Interrupt(errBoom) },
			want: "0s x.step = next\n0s x.throw(boom) = after 1s\n1s x.step = done\n",
		},
		"with Throw, fails": {
			task: &full{steps: steps{yields: []scheduler.Yield{scheduler.Next}}, answer: errBoom},
			opts: scheduler.RunnerOptions{Timeout: time.Second, Wait: 2 * time.Second},
			want: "0s x.step = next\n1.000000001s x.throw(steps: timed out after 1s) = boom\n",
			err:  "steps: timed out after 1s\nboom",
		},
		"with Stop, stopped": {
			task: &full{steps: steps{yields: []scheduler.Yield{scheduler.After(time.Hour)}}},
			opts: scheduler.RunnerOptions{Grace: time.Minute},
			act:  func(d *schedulertest.Driver) { d.Runner.Stop(errBoom) },
			want: "0s x.step = after 1h0m0s\n0s x.stop(boom) = ok\n1m0.000000001s x.close = done\n",
			err:  "boom",
		},
		"without Stop, stopped": {
			task: &bare{steps{yields: []scheduler.Yield{scheduler.After(time.Hour)}}},
			opts: scheduler.RunnerOptions{Grace: time.Minute},
			act:  func(d *schedulertest.Driver) { d.Runner.Stop(errBoom) },
			want: "0s x.step = after 1h0m0s\n1m0.000000001s x.close = done\n",
			err:  "boom",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := schedulertest.NewClock(time.Time{}).Alone()
			rec := schedulertest.NewRecorder(clock)
			opts := c.opts
			opts.Clock = clock
			task := rec.Task("x", c.task)
			require.Equal(t, scheduler.TaskDescription(c.task), scheduler.TaskDescription(task))
			_, stops := c.task.(scheduler.Stopper)
			_, recordedStops := task.(scheduler.Stopper)
			require.Equal(t, stops, recordedStops)
			d := schedulertest.NewDriver(t, task, &opts)
			d.Step()
			if c.act != nil {
				c.act(d)
			}
			err := d.RunToEnd()
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.err)
			}
			require.Equal(t, c.want, rec.String())
		})
	}
}

// wrapper is around a task, and is none of what it may be.
type wrapper struct{ scheduler.Task }

func (w wrapper) Unwrap() scheduler.Task { return w.Task }

func (w wrapper) String() string { return scheduler.TaskDescription(w.Task) }

// A task that is recorded, or in a wrapper, or both, gives the run that it gives
// alone.
func TestRecorder_Task_changes_nothing(t *testing.T) {
	t.Parallel()
	type wrapping func(rec *schedulertest.Recorder, name string, task scheduler.Task) scheduler.Task
	wrappings := map[string]wrapping{
		"alone":    func(_ *schedulertest.Recorder, _ string, task scheduler.Task) scheduler.Task { return task },
		"recorded": (*schedulertest.Recorder).Task,
		"recorded in a wrapper": func(rec *schedulertest.Recorder, name string, task scheduler.Task) scheduler.Task {
			return wrapper{rec.Task(name, task)}
		},
		"wrapper recorded": func(rec *schedulertest.Recorder, name string, task scheduler.Task) scheduler.Task {
			return rec.Task(name, wrapper{task})
		},
		"recorded twice": func(rec *schedulertest.Recorder, name string, task scheduler.Task) scheduler.Task {
			return rec.Task(name, rec.Task(name, task))
		},
	}
	group := func(tasks map[string]scheduler.Task, o *scheduler.GroupOptions[string]) scheduler.Task {
		deps := scheduler.NewDependencies[string]()
		for _, k := range slices.Sorted(maps.Keys(tasks)) {
			deps.Add(k)
		}
		g, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task { return tasks[k] }, o)
		require.NoError(t, err)
		return g
	}
	// Of two calls that are closed, one ends when the other has heard of it.
	pair := func(wrap func(string, scheduler.Task) scheduler.Task, bad scheduler.Task) map[string]scheduler.Task {
		gone := make(chan struct{})
		return map[string]scheduler.Task{
			"bad": bad,
			"reader": wrap("reader", scheduler.Blocking(func(context.Context) error {
				<-gone
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				return nil
			})),
			"writer": wrap("writer", scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				close(gone)
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				return ctx.Err()
			})),
		}
	}
	boom := scheduler.Func(func(context.Context) error { return errBoom })
	for name, run := range map[string]func(ctx context.Context, wrap func(string, scheduler.Task) scheduler.Task) error{
		"calls are closed together": func(ctx context.Context, wrap func(string, scheduler.Task) scheduler.Task) error {
			return scheduler.Run(ctx, group(pair(wrap, boom), nil), nil)
		},
		"in a group inside": func(ctx context.Context, wrap func(string, scheduler.Task) scheduler.Task) error {
			inner := wrap("inner", group(pair(wrap, scheduler.Pause(scheduler.After(time.Hour))), nil))
			return scheduler.Run(ctx, group(map[string]scheduler.Task{"bad": boom, "inner": inner}, nil), nil)
		},
		"in a coroutine, at a time limit": func(ctx context.Context, wrap func(string, scheduler.Task) scheduler.Task) error {
			return scheduler.Run(ctx, wrap("co", scheduler.Wrap(func(co *scheduler.Coroutine) error {
				return co.Await(wrap("all", group(pair(wrap, scheduler.Pause(scheduler.After(time.Hour))), nil)))
			})), &scheduler.RunnerOptions{Timeout: time.Minute})
		},
		"a stop with grace": func(ctx context.Context, wrap func(string, scheduler.Task) scheduler.Task) error {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Second, func() { cancel(errBoom) })
			return scheduler.Run(ctx, wrap("co", scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
					return err
				}
				return co.Yield(scheduler.After(time.Second))
			})), &scheduler.RunnerOptions{Grace: time.Minute})
		},
		"a limit that the task answers": func(ctx context.Context, wrap func(string, scheduler.Task) scheduler.Task) error {
			return scheduler.Run(ctx, wrap("co", scheduler.Wrap(func(co *scheduler.Coroutine) error {
				err := co.Yield(scheduler.After(time.Hour))
				return errors.Join(err, errBoom)
			})), &scheduler.RunnerOptions{Timeout: time.Minute})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type result struct {
				text string
				took time.Duration
			}
			results := map[string]result{}
			for how, wrap := range wrappings {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					rec := schedulertest.NewRecorder(schedulertest.NewClock(time.Time{}))
					err := run(t.Context(), func(name string, task scheduler.Task) scheduler.Task { return wrap(rec, name, task) })
					results[how] = result{fmt.Sprint(err), time.Since(start)}
				})
			}
			for how, r := range results {
				require.Equal(t, results["alone"], r, how)
			}
		})
	}
}

func TestRecorder_Task_that_panics(t *testing.T) {
	t.Parallel()
	rec := schedulertest.NewRecorder(schedulertest.NewClock(time.Time{}))
	task := rec.Task("x", scheduler.Func(func(context.Context) error { panic("no") }))
	require.PanicsWithValue(t, "no", func() { _, _ = task.Step(t.Context()) })
	require.Equal(t, "0s x.step = panic\n", rec.String())
}

// What nodes say about themselves is recorded when it is told.
func TestRecorder_notes(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	rec := schedulertest.NewRecorder(clock)
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
		return scheduler.Retry(seconds(2), func(attempt int, _ error) scheduler.Task {
			return scheduler.Func(func(ctx context.Context) error {
				scheduler.Note(ctx, "uploading")
				if attempt == 1 {
					return errors.Join(errBoom, errBoom)
				}
				return nil
			})
		})
	}, &scheduler.GroupOptions[string]{Observer: rec})
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, `0s 1 a: pending -> running
0s 1 a: note: uploading
0s 1 a: attempt 1: boom; boom
2s 2 a: note: uploading
2s 2 a: running -> succeeded
`, rec.String())
}

type seconds int

func (s seconds) NextBackOff() time.Duration { return time.Duration(s) * time.Second }

// What is nil is refused with a sentence.
func TestNil(t *testing.T) {
	var ctx context.Context
	require.PanicsWithValue(t, "schedulertest: NewRecorder: nil Clock", func() { schedulertest.NewRecorder(nil) })
	require.PanicsWithValue(t, "schedulertest: Sleep: nil Context", func() { _ = schedulertest.Sleep(ctx, time.Second) })
}
