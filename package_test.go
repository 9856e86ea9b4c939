package scheduler_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/steptask/scheduler"
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
		runner = scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: clock, Grace: time.Minute})
		require.NoError(t, runner.Start(t.Context(), 0))
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
			require.NoError(t, r.Run(t.Context(), 0, 0))
		}))
		require.Equal(t, whole, does(func() { require.NoError(t, runner.RunToCompletion(t.Context(), 0)) }))
	})
	t.Run("TaskRunner.Start, Step", func(t *testing.T) {
		for _, yield := range []scheduler.Yield{scheduler.Next, hour} {
			start(t, yield)
			reads := yield == hour
			step := calls{steps: 1, read: reads}
			require.Equal(t, step, does(func() {
				r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Clock: clock})
				require.NoError(t, r.Start(t.Context(), 0))
			}))
			clock.Advance(time.Hour)
			require.Equal(t, step, does(func() {
				done, err := runner.Step(t.Context())
				require.NoError(t, err)
				require.False(t, done)
			}))
		}
	})
	t.Run("TaskRunner.Cancel, Close of tasks", func(t *testing.T) {
		start(t, hour)
		require.Equal(t, calls{closes: 1}, does(func() { require.NoError(t, runner.Cancel()) }))
		start(t, hour)
		group := scheduler.All(task)
		_, err := group.Step(scheduler.WithClock(t.Context(), clock))
		require.NoError(t, err)
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
			_, err := scheduler.NewDependencyTaskGroup(graph("b:a"), func(k string) scheduler.Task {
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
				Timeout: func(k string) time.Duration {
					asked = append(asked, "timeout of "+k)
					return 0
				},
			})
			require.NoError(t, err)
		}))
		require.ElementsMatch(t, []string{"completed a", "completed b", "estimate of a", "estimate of b"}, asked)
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
		"", "/internal/bitset", "/internal/coro", "/internal/digraph", "/internal/index", "/internal/wheel",
	}, ours)
}
