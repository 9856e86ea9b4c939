package temporal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/steptask/scheduler/temporal"
)

// What nodes say, their attempts, the first to win and limits of a part are told in
// the same order in one process and in a workflow.
func TestOrder_notes(t *testing.T) {
	group := func(pause func(string, time.Duration) scheduler.Task, trace *[]string) scheduler.Task {
		deps := scheduler.NewDependencies[string]()
		deps.Add("first", "retry")
		deps.Add("limited")
		g, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
			switch k {
			case "retry":
				return scheduler.Retry(eachSecond{}, func(attempt int, _ error) scheduler.Task {
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						co.Note("trying")
						if err := co.Await(pause(fmt.Sprint(k, attempt), time.Second)); err != nil {
							return err
						}
						if attempt < 3 {
							return scheduler.RetryAfter(errors.New("busy"), time.Minute)
						}
						return nil
					})
				})
			case "first":
				return scheduler.First(pause("slow", time.Hour), pause("fast", time.Minute))
			}
			return scheduler.WithTimeout(10*time.Second, scheduler.Named("part", pause(k, time.Hour)))
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			Observer: selective(func(r scheduler.Record) {
				*trace = append(*trace, r.Path()+" "+r.Kind.String()+" "+r.To.String()+" "+r.Notes().String())
			}),
		})
		require.NoError(t, err)
		return g
	}
	const want = "1 task failed:\n- limited: part: timed out after 10s"
	var inProcess, inWorkflow []string
	err := scheduler.Run(t.Context(), group(func(_ string, d time.Duration) scheduler.Task {
		return scheduler.Pause(scheduler.After(d))
	}, &inProcess), &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})})
	require.EqualError(t, err, want)
	env := newEnv(t)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		return temporal.Drive(ctx, group(func(id string, d time.Duration) scheduler.Task { return temporal.Timer(id, d) }, &inWorkflow), temporal.Options{})
	})
	require.ErrorContains(t, env.GetWorkflowError(), "timed out after 10s")
	require.Equal(t, inProcess, inWorkflow)
	require.Contains(t, inWorkflow, "retry node retrying unknown trying, attempt 2: busy")
}

type eachSecond struct{}

func (eachSecond) NextBackOff() time.Duration { return time.Second }

// selective is told of changes and notes.
type selective func(r scheduler.Record)

func (f selective) Wants() scheduler.Kinds {
	return scheduler.KindsOf(scheduler.NodeChanged, scheduler.NodeNoted, scheduler.NodeRetrying)
}
func (f selective) Observe(r scheduler.Record) { f(r) }

// The context of an activity belongs to no node: a note there does nothing.
func TestNote_in_an_activity(t *testing.T) {
	env := newEnv(t)
	activity := func(ctx context.Context) error {
		scheduler.Note(ctx, "nobody hears it")
		return nil
	}
	env.RegisterActivity(activity)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
		return workflow.ExecuteActivity(ctx, activity).Get(ctx, nil)
	})
	require.NoError(t, env.GetWorkflowError())
}
