package scheduler_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/conformance"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// countedClock counts what is asked of it.
type countedClock struct {
	*schedulertest.Clock
	reads, waits int
}

func (c *countedClock) Now() time.Time {
	c.reads++
	return c.Clock.Now()
}

func (c *countedClock) Wait(until time.Time, wake <-chan struct{}) {
	c.waits++
	c.Clock.Wait(until, wake)
}

// calls is what a call did: the code of the task that it ran, by the method, and
// what it asked of the clock.
type calls struct {
	steps, stops, closes int
	waited, read         bool
}

// TestWhat_blocks is the table in doc.go, a subtest for each row.
func TestWhat_blocks(t *testing.T) {
	t.Parallel()
	hour := scheduler.After(time.Hour)
	var clock *countedClock
	var task *fakeTask
	var runner *scheduler.TaskRunner
	start := func(t *testing.T, yield scheduler.Yield) {
		clock = &countedClock{Clock: schedulertest.NewClock(time.Time{})}
		task = &fakeTask{yields: []scheduler.Yield{yield, yield}}
		runner = startRunner(t, task, &scheduler.RunnerOptions{Clock: clock, Grace: time.Minute})
	}
	// does returns what a call did.
	does := func(call func()) calls {
		task.steps, task.causes, task.closes = 0, nil, 0
		clock.reads, clock.waits = 0, 0
		call()
		return calls{task.steps, len(task.causes), task.closes, clock.waits > 0, clock.reads > 0}
	}
	t.Run("Run, TaskRunner.Run, RunToCompletion", func(t *testing.T) {
		start(t, hour)
		whole := calls{steps: 3, waited: true, read: true}
		require.Equal(t, whole, does(func() {
			require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: clock}))
		}))
		require.Equal(t, whole, does(func() {
			r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: clock})
			require.NoError(t, r.RunWith(t.Context(), 0, 0))
		}))
		require.Equal(t, whole, does(func() { require.NoError(t, runner.RunToCompletion(t.Context(), 0)) }))
	})
	t.Run("TaskRunner.Start; Step", func(t *testing.T) {
		for _, yield := range []scheduler.Yield{scheduler.Next, hour} {
			start(t, yield)
			reads := yield == hour
			step := calls{steps: 1, read: reads}
			require.Equal(t, calls{steps: 1, read: true}, does(func() {
				startRunner(t, task, &scheduler.RunnerOptions{Clock: clock})
			}))
			clock.Advance(time.Hour)
			require.Equal(t, step, does(func() {
				done := mustStep(t, t.Context(), runner)
				require.False(t, done)
			}))
		}
	})
	t.Run("TaskRunner.Cancel, Close of tasks", func(t *testing.T) {
		start(t, hour)
		require.Equal(t, calls{closes: 1}, does(func() { require.NoError(t, runner.Cancel()) }))
		start(t, hour)
		group := scheduler.All(task)
		mustStep(t, scheduler.WithClock(t.Context(), clock), group)
		require.Equal(t, calls{closes: 1}, does(func() { require.NoError(t, group.Close()) }))
	})
	t.Run("TaskRunner.Stop, CancelAfter", func(t *testing.T) {
		start(t, hour)
		require.Equal(t, calls{read: true}, does(func() { runner.CancelAfter(time.Second) }))
		require.Equal(t, calls{read: true}, does(func() { runner.Stop(nil) }))
	})
	t.Run("TaskRunner.Due, Interrupt", func(t *testing.T) {
		start(t, hour)
		require.Equal(t, calls{}, does(func() { runner.Interrupt(errOops) }))
		require.Equal(t, calls{}, does(func() { require.True(t, runner.Due().Ready()) }))
	})
	t.Run("Event.Set", func(t *testing.T) {
		var event scheduler.Event
		start(t, scheduler.On(&event))
		require.Equal(t, calls{}, does(event.Set))
		require.True(t, runner.Due().Ready())
	})
	t.Run("NewDependencyTaskGroup", func(t *testing.T) {
		start(t, hour)
		var asked []string
		require.Equal(t, calls{}, does(func() {
			_ = newGroup(t, "b:a", func(k string) scheduler.Task {
				asked = append(asked, "task of "+k)
				return task
			}, &scheduler.GroupOptions[string]{
				Limit: 1,
				Completed: func(k string) bool {
					asked = append(asked, "completed "+k)
					return false
				},
				Estimate: func(k string) time.Duration {
					asked = append(asked, "estimate of "+k)
					return 0
				},
				Priority: func(k string) int {
					asked = append(asked, "priority of "+k)
					return 0
				},
				Timeout: func(k string) time.Duration {
					asked = append(asked, "timeout of "+k)
					return 0
				},
			})
		}))
		require.ElementsMatch(t, []string{"completed a", "completed b", "estimate of a", "estimate of b", "priority of a", "priority of b"}, asked)
	})
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A program that imports only the root package links none of what stands beside
// it, nothing of other modules, and none of the heavy parts of the standard
// library.
func TestImports(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{.Standard}}", ".")
	cmd.Env = append(cmd.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	const module = "github.com/steptask/scheduler"
	heavy := []string{
		"crypto/tls", "database/sql", "embed", "expvar", "flag", "html", "html/template", "net", "net/http",
		"os/exec", "os/signal", "plugin", "runtime/pprof", "runtime/trace", "testing", "text/template",
	}
	var ours []string
	for line := range strings.Lines(string(out)) {
		path, standard, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case path == module || strings.HasPrefix(path, module+"/"):
			ours = append(ours, strings.TrimPrefix(path, module))
		default:
			require.Equal(t, "true", standard, path)
			require.False(t, slices.Contains(heavy, path) || strings.HasPrefix(path, "testing/"), path)
		}
	}
	slices.Sort(ours)
	require.Equal(t, []string{
		"", "/internal/bitset", "/internal/claims", "/internal/coro", "/internal/digraph", "/internal/firstfit", "/internal/index", "/internal/minheap", "/internal/wheel",
	}, ours)
}

// collector counts which of the things given to it are still reachable.
type collector struct {
	t       *testing.T
	tracked int64
	gone    *atomic.Int64
}

func newCollector(t *testing.T) *collector { return &collector{t, 0, new(atomic.Int64)} }

// heavy is something to be tracked, which no other allocation shares.
type heavy struct {
	fakeTask
	_ [1 << 10]byte
}

func (c *collector) task(step func(ctx context.Context) (scheduler.Yield, error)) *heavy {
	h := &heavy{fakeTask: fakeTask{step: step}}
	c.tracked++
	runtime.AddCleanup(h, func(gone *atomic.Int64) { gone.Add(1) }, c.gone)
	return h
}

// want says how many are left once all garbage is collected.
func (c *collector) want(left int64) {
	c.t.Helper()
	for range 100 {
		if runtime.GC(); c.tracked-c.gone.Load() <= left {
			break
		}
		runtime.Gosched()
	}
	require.Equal(c.t, left, c.tracked-c.gone.Load(), "tasks that are still reachable")
}

// After a run nothing of its tasks hangs on the group, the runner, or an event.
func TestGroup_keeps_nothing_of_its_tasks(t *testing.T) {
	type key struct{}
	const n = 50
	var events [n]scheduler.Event
	tests := []struct {
		name string
		opts scheduler.GroupOptions[int]
		run  func(t *testing.T, r *scheduler.TaskRunner)
		last scheduler.Yield // of the last member's second step
	}{
		{name: "success", last: scheduler.Done},
		{name: "failure"},
		{name: "failure in the grace", opts: scheduler.GroupOptions[int]{Grace: time.Second}},
		{name: "aggregate", opts: scheduler.GroupOptions[int]{AggregateErrors: true}},
		{name: "with limits", opts: scheduler.GroupOptions[int]{Timeout: func(int) time.Duration { return time.Minute }}},
		{name: "with contexts", last: scheduler.Done, opts: scheduler.GroupOptions[int]{
			Context: func(ctx context.Context, k int) context.Context {
				return context.WithValue(ctx, key{}, &heavy{})
			},
		}},
		{name: "observed", opts: scheduler.GroupOptions[int]{
			Observer: scheduler.ObserverFunc(func(tr scheduler.Record) { _ = tr.Task() }),
		}},
		{name: "cancelled", run: func(t *testing.T, r *scheduler.TaskRunner) {
			require.NoError(t, r.Start(t.Context(), 0))
			require.NoError(t, r.Cancel())
		}},
		{name: "interrupted", run: func(t *testing.T, r *scheduler.TaskRunner) {
			require.NoError(t, r.Start(t.Context(), 0))
			r.Interrupt(errOops)
			require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errOops)
		}},
		{name: "timed out", run: func(t *testing.T, r *scheduler.TaskRunner) {
			require.ErrorIs(t, r.RunWith(t.Context(), time.Nanosecond, time.Second), context.DeadlineExceeded)
		}},
		{name: "panic", run: func(t *testing.T, r *scheduler.TaskRunner) {
			panicOf(t, func() { _ = r.RunWith(t.Context(), 0, 0) })
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newCollector(t)
			deps := numbers(n)
			g := groupOver(t, deps, func(i int) scheduler.Task {
				steps := 0
				return c.task(func(context.Context) (scheduler.Yield, error) {
					if steps++; steps > 1 {
						switch {
						case i < n-1 || test.last == scheduler.Done:
							return scheduler.Done, nil
						case test.name == "panic":
							panic(errOops)
						}
						return scheduler.Yield{}, errOops
					}
					return []scheduler.Yield{
						scheduler.Next, scheduler.Rounds(2), scheduler.After(time.Second),
						scheduler.On(&events[i]).Or(scheduler.After(time.Second)),
						scheduler.On(&events[i], &events[0]).Or(scheduler.Rounds(3)),
					}[i%5], nil
				})
			}, &test.opts)
			r := scheduler.NewTaskRunner(g, &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Unix(0, 0))})
			if test.run != nil {
				test.run(t, r)
			} else {
				err := r.RunWith(t.Context(), 0, 0)
				require.Equal(t, test.last != scheduler.Done, err != nil)
			}
			require.True(t, r.Done())
			require.Equal(t, int64(n), c.tracked)
			c.want(0)
			runtime.KeepAlive(g)
			runtime.KeepAlive(r)
			runtime.KeepAlive(&events)
		})
	}
}

// What a node's function returned is dropped when the node ends, not later.
func TestGroup_drops_a_task_when_it_ends(t *testing.T) {
	c := newCollector(t)
	deps := numbers(10)
	g := groupOver(t, deps, func(i int) scheduler.Task {
		steps := 0
		return c.task(func(context.Context) (scheduler.Yield, error) {
			if steps++; steps > i {
				return scheduler.Done, nil
			}
			return scheduler.Next, nil
		})
	}, nil)
	for i := range 10 {
		mustStep(t, t.Context(), g)
		c.want(int64(9 - i))
	}
	runtime.KeepAlive(g)
}

func TestTaskRunner_keeps_nothing_of_its_task(t *testing.T) {
	c := newCollector(t)
	var event scheduler.Event
	r := startRunner(t, c.task(func(context.Context) (scheduler.Yield, error) {
		return scheduler.On(&event), nil
	}), nil)
	c.want(1)
	require.NoError(t, r.Cancel())
	c.want(0)
	runtime.KeepAlive(r)
	runtime.KeepAlive(&event)
}

// A Wrap drops a subtask, and its own function, when they end.
func TestWrap_keeps_nothing_of_its_subtasks(t *testing.T) {
	c := newCollector(t)
	done := func(context.Context) (scheduler.Yield, error) { return scheduler.Done, nil }
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for range 3 {
			if err := co.Await(c.task(done)); err != nil {
				return err
			}
			if err := co.Await(scheduler.All(c.task(done), c.task(nil), c.task(func(context.Context) (scheduler.Yield, error) {
				return scheduler.Yield{}, errOops
			}))); err == nil {
				return errOther
			}
		}
		return co.Yield(scheduler.Next)
	})
	mustStep(t, t.Context(), task)
	require.Equal(t, int64(12), c.tracked)
	c.want(0)
	require.NoError(t, task.Close())
	runtime.KeepAlive(task)
}

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
		g := newGroup(t, "a b", func(string) scheduler.Task { return step(y) },
			&scheduler.GroupOptions[string]{Context: func(ctx context.Context, k string) context.Context {
				return context.WithValue(ctx, contextKey{}, k)
			}})
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

// TestRecords performs the recorded runs of the original and compares everything
// that can be seen from outside. SCHEDULER_RECORDS names another folder of
// records; to perform one scenario alone put its line into a folder of its own.
func TestRecords(t *testing.T) {
	folder := cmp.Or(os.Getenv("SCHEDULER_RECORDS"), "internal/conformance/testdata/records")
	tally, err := conformance.Run(folder, func(scenario, where string) {
		t.Errorf("%s%s", scenario, where)
	})
	require.NoError(t, err)
	fmt.Println(tally) // not t.Log: nothing may stand before it
}
