package temporal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/steptask/scheduler/temporal"
)

// What tasks are made of ends in the same order, and with the same outcomes, in one process
// and in a workflow.
func TestOrder_of_combinators(t *testing.T) {
	graph := edges{
		{"first", nil},
		{"retried", nil},
		{"limited", nil},
		{"claiming", nil},
		{"also claiming", nil},
		{"finally", []string{"limited"}},
		{"skipped", []string{"first"}},
		{"all", []string{"retried", "claiming"}},
		{"nested", []string{"first"}},
		{"stopped", []string{"first"}},
		{"third claiming", nil},
		{"opens", []string{"stopped"}},
		{"unwanted", []string{"all"}},
		{"after unwanted", []string{"unwanted"}},
	}
	run := func(pause pause, trace *[]string) scheduler.Task {
		only := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
		did := func(what string) scheduler.Task {
			return scheduler.Func(func(context.Context) error { *trace = append(*trace, what); return nil })
		}
		var g *scheduler.DependencyTaskGroup[string]
		g = newGroup(t, graph, func(k string) scheduler.Task {
			switch k {
			case "first":
				return scheduler.First(pause("slow", time.Hour), scheduler.Sequence(pause("quick", 3*time.Second), did("quick")))
			case "retried":
				again := scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.After(7 * time.Second) })
				return scheduler.Retry(again, func(attempt int, _ error) scheduler.Task {
					if attempt < 3 {
						return scheduler.Func(func(context.Context) error { return errors.New("not yet") })
					}
					return did("third attempt")
				})
			case "limited":
				return scheduler.WithTimeout(11*time.Second, pause("too long", time.Hour))
			case "claiming", "also claiming", "third claiming":
				return scheduler.Claiming([]scheduler.Claim{{Limiter: only, Weight: 1}},
					scheduler.Sequence(pause(k, 13*time.Second), did(k+" holds it")))
			case "finally":
				return scheduler.Finally(pause(k, 2*time.Second), did("cleaned up"))
			case "all":
				return scheduler.All(pause("all 1", 5*time.Second), pause("all 2", 4*time.Second))
			case "nested":
				return newGroup(t, edges{{"in", nil}, {"after", []string{"in"}}}, func(in string) scheduler.Task {
					return pause(k+"/"+in, 6*time.Second)
				}, nil)
			case "stopped":
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					g.StopNode("nested", errors.New("enough"))
					return co.Yield(scheduler.After(time.Second))
				})
			case "opens": // while one of the three holds the only place
				return scheduler.Func(func(context.Context) error {
					only.SetCapacity(2)
					g.SkipNode("unwanted", nil)
					return nil
				})
			}
			return pause(k, time.Second)
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			Grace:           time.Minute,
			Observer: scheduler.ObserverFunc(func(r scheduler.Record) {
				*trace = append(*trace, r.Path()+" "+r.To.String())
			}),
		})
		return g
	}
	var here, there []string
	want := scheduler.Run(t.Context(), run(endsAtNotice, &here), &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})})
	env := newEnv(t)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		return temporal.Drive(ctx, run(inWorkflow, &there), temporal.Options{})
	})
	require.Equal(t, here, there)
	require.Error(t, want)
	require.NotEmpty(t, temporal.FailedNodes(env.GetWorkflowError()))
	require.Contains(t, there, "limited timed out")
	require.Contains(t, there, "after unwanted skipped")
}

// endsAtNotice takes a while as a Timer does, which a notice ends.
func endsAtNotice(_ string, d time.Duration) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Yield(scheduler.After(d).Or(scheduler.On(co.Stopping()))); err != nil {
			return err
		}
		return co.StopCause()
	})
}

// Calls, which take goroutines, are refused in a workflow, and not left without an answer.
func TestDrive_refuses_calls(t *testing.T) {
	call := func(context.Context) error { return nil }
	value := func(context.Context) (int, error) { return 1, nil }
	ask := func(context.Context) (bool, error) { return true, nil }
	askValue := func(context.Context) (int, bool, error) { return 1, true, nil }
	never := scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.Done })
	in := func(fn func(co *scheduler.Coroutine) error) scheduler.Task { return scheduler.Wrap(fn) }
	for what, task := range map[string]func() scheduler.Task{
		"Blocking": func() scheduler.Task { return scheduler.Blocking(call) },
		"Fetch":    func() scheduler.Task { return scheduler.Fetch(value, func(_ int, err error) error { return err }) },
		"Poll":     func() scheduler.Task { return scheduler.Poll(time.Second, ask) },
		"Call": func() scheduler.Task {
			return in(func(co *scheduler.Coroutine) error { _, err := scheduler.Call(co, value); return err })
		},
		"RetryCall": func() scheduler.Task {
			return in(func(co *scheduler.Coroutine) error { _, err := scheduler.RetryCall(co, never, value); return err })
		},
		"PollCall": func() scheduler.Task {
			return in(func(co *scheduler.Coroutine) error {
				_, err := scheduler.PollCall(co, time.Second, askValue)
				return err
			})
		},
		"Shield": func() scheduler.Task { return scheduler.Shield(scheduler.Blocking(call)) },
		"Subrun": func() scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Blocking(call), nil)) },
	} {
		t.Run(what, func(t *testing.T) {
			for recovers, where := range map[bool]string{false: "a", true: "outer/a"} {
				env := newEnv(t)
				env.ExecuteWorkflow(func(ctx workflow.Context) error {
					var g scheduler.Task = newGroup(t, edges{{"a", nil}}, func(string) scheduler.Task { return task() },
						&scheduler.GroupOptions[string]{RecoverPanics: recovers})
					if recovers {
						inner := g
						g = newGroup(t, edges{{"outer", nil}}, func(string) scheduler.Task { return inner }, nil)
					}
					return temporal.Drive(ctx, g, temporal.Options{})
				})
				require.ErrorContains(t, env.GetWorkflowError(), "temporal: the call ")
				require.ErrorContains(t, env.GetWorkflowError(), `of node "`+where+`" inside a workflow: make it an Activity`)
			}
		})
	}
}

// What needs a goroutine beside the run is refused in a workflow.
func TestDrive_refuses(t *testing.T) {
	for option, task := range map[string]scheduler.Task{
		"GroupOptions.Abandon": newGroup(t, edges{{"a", nil}}, func(string) scheduler.Task { return temporal.Timer("a", 1) },
			&scheduler.GroupOptions[string]{Abandon: time.Second}),
		"RunnerOptions.Abandon": scheduler.Subrun(scheduler.NewTaskRunner(temporal.Timer("a", 1), &scheduler.RunnerOptions{Abandon: time.Second})),
		"RunnerOptions.Watchdog": scheduler.Subrun(scheduler.NewTaskRunner(temporal.Timer("a", 1), &scheduler.RunnerOptions{
			Watchdog: scheduler.Watchdog{After: time.Second, Report: func(scheduler.StuckStep) {}},
		})),
	} {
		env := newEnv(t)
		var refused *scheduler.OptionError
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			err := temporal.Drive(ctx, task, temporal.Options{})
			require.ErrorAs(t, err, &refused, option)
			return err
		})
		require.Error(t, env.GetWorkflowError())
		require.Equal(t, option, refused.Option)
	}
}
