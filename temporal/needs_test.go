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
			case "claiming", "also claiming":
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
