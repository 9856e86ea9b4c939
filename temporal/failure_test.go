package temporal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/temporal"
)

// blobMost is the server's limit for a failure and for an input.
const blobMost = 2 << 20

// requireFits expects that the server takes the error of a workflow.
func requireFits(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	var execution *sdk.WorkflowExecutionError
	require.ErrorAs(t, err, &execution)
	require.Less(t, sdk.GetDefaultFailureConverter().ErrorToFailure(errors.Unwrap(err)).Size(), blobMost)
}

// driveFailing drives a group of n nodes that all fail, and returns the error of
// the workflow.
func driveFailing(t *testing.T, n int, fail func(k string) error) error {
	t.Helper()
	env := newEnv(t)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		return temporal.Drive(ctx, newGroup(t, wide(n), func(k string) scheduler.Task {
			return scheduler.Func(func(context.Context) error { return fail(k) })
		}, &scheduler.GroupOptions[string]{AggregateErrors: true, Budget: 100}), temporal.Options{})
	})
	return env.GetWorkflowError()
}

func TestFailedNodes_bounded(t *testing.T) {
	t.Run("has all keys of 4,000 nodes, in order, and parts of their messages", func(t *testing.T) {
		err := driveFailing(t, 4000, func(k string) error {
			return sdk.NewNonRetryableApplicationError(k+": quota exceeded: "+strings.Repeat("the answer ", 50), "Quota", nil)
		})
		requireFits(t, err)
		nodes := temporal.FailedNodes(err)
		require.Len(t, nodes, 4000)
		require.Equal(t, 4000, temporal.FailedCount(err))
		for i, n := range nodes {
			require.Equal(t, fmt.Sprintf("n%03d", i), n.Node)
		}
		require.Contains(t, err.Error(), "4000 nodes, the first is n000")
		var app *sdk.ApplicationError
		require.ErrorAs(t, errors.Unwrap(errors.Unwrap(err)), &app)
		require.Equal(t, "Quota", app.Type())
	})
	t.Run("has the number of 30,000 nodes", func(t *testing.T) {
		err := driveFailing(t, 30_000, func(k string) error { return errors.New("no " + k) })
		requireFits(t, err)
		require.Equal(t, 30_000, temporal.FailedCount(err))
		require.NotEmpty(t, temporal.FailedNodes(err))
		require.Equal(t, "n000", temporal.FailedNodes(err)[0].Node)
	})
	t.Run("says how much of a message is missing", func(t *testing.T) {
		for name, text := range map[string]string{
			"ASCII": strings.Repeat("x", 5000), "characters of three bytes": strings.Repeat("€", 5000),
			"what JSON escapes": strings.Repeat("\x00<", 2500), "no UTF-8": strings.Repeat("\xff", 5000),
		} {
			t.Run(name, func(t *testing.T) {
				err := driveFailing(t, 2, func(k string) error { return errors.New(text) })
				requireFits(t, err)
				message := temporal.FailedNodes(err)[1].Message
				require.Less(t, len(message), 1100)
				require.Regexp(t, `\.\.\. \(\d+ bytes more\)$`, message)
			})
		}
	})
	t.Run("leaves short messages as they are", func(t *testing.T) {
		err := driveFailing(t, 100, func(k string) error { return errors.New("no room for " + k) })
		for _, n := range temporal.FailedNodes(err) {
			require.Equal(t, "no room for "+n.Node, n.Message)
		}
	})
	t.Run("keeps the types of a cause that is too large", func(t *testing.T) {
		err := driveFailing(t, 1, func(string) error {
			return sdk.NewApplicationErrorWithOptions("outer", "Outer", sdk.ApplicationErrorOptions{
				NonRetryable: true, Details: []any{strings.Repeat("d", 3<<20)},
				Cause: sdk.NewApplicationErrorWithOptions(strings.Repeat("m", 3<<20), "Inner", sdk.ApplicationErrorOptions{}),
			})
		})
		requireFits(t, err)
		var types []string
		for e := err; e != nil; e = errors.Unwrap(e) {
			if app, ok := e.(*sdk.ApplicationError); ok { //nolint:errorlint // each level
				types = append(types, app.Type())
			}
		}
		require.Equal(t, []string{temporal.NodeFailed, "Outer", "Inner"}, types)
		require.Equal(t, "n000", temporal.FailedNodes(err)[0].Node)
	})
	t.Run("cuts off a chain of causes", func(t *testing.T) {
		err := driveFailing(t, 1, func(string) error {
			err := errors.New("root")
			for i := range 200 {
				err = sdk.NewApplicationErrorWithCause(fmt.Sprint(i, strings.Repeat(" because", 1000)), "Level", err)
			}
			return err
		})
		requireFits(t, err)
		require.Equal(t, "n000", temporal.FailedNodes(err)[0].Node)
	})
	t.Run("bounds what no node has failed with", func(t *testing.T) {
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, scheduler.Func(func(context.Context) error {
				return sdk.NewApplicationError(strings.Repeat("x", 3<<20), "Long")
			}), temporal.Options{})
		})
		requireFits(t, env.GetWorkflowError())
		var app *sdk.ApplicationError
		require.ErrorAs(t, env.GetWorkflowError(), &app)
		require.Equal(t, "Long", app.Type())
	})
	t.Run("bounds graphs inside of graphs", func(t *testing.T) {
		inner := temporal.Graph{}
		for i := range 3000 {
			inner.Nodes = append(inner.Nodes, temporal.Node{Key: fmt.Sprintf("project-%d", i), Activity: "Fail"})
		}
		for depth := range 4 {
			graph := inner
			inner = temporal.Graph{Nodes: []temporal.Node{{Key: fmt.Sprint("level-", depth), Graph: &graph}}}
		}
		env := newEnv(t)
		env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{
			Run: temporal.Run{Graph: inner}, Settings: temporal.Settings{AggregateErrors: true},
		})
		err := env.GetWorkflowError()
		requireFits(t, err)
		require.Equal(t, 3000, temporal.FailedCount(err))
		require.Contains(t, temporal.FailedNodes(err)[0].Node, "level-3/level-2/level-1/level-0/project-")
	})
}

// What continues as new is bounded, too.
func TestCheckpoint_bounded(t *testing.T) {
	const n = 12_000
	failing := func() temporal.Graph { // the second half comes after the first
		var g temporal.Graph
		for i := range n {
			node := temporal.Node{Key: fmt.Sprintf("n%d-in-a-region-and-a-project-whose-names-are-long-ones", i)}
			if i >= n/2 {
				node.Requires = []string{"pause"}
			}
			g.Nodes = append(g.Nodes, node)
		}
		g.Nodes = append(g.Nodes, temporal.Node{Key: "pause", Timer: time.Hour})
		return g
	}
	flow := func(ctx workflow.Context, in temporal.Run) error {
		err := temporal.Walk(ctx, &in, func(n temporal.Node) scheduler.Task {
			if n.Timer > 0 {
				return temporal.Timer(n.Key, n.Timer)
			}
			return scheduler.Func(func(context.Context) error {
				return errors.New(n.Key + strings.Repeat(" failed", 300))
			})
		}, &scheduler.GroupOptions[string]{AggregateErrors: true, Budget: n}, temporal.Options{MaxHistory: 1})
		if errors.Is(err, scheduler.ErrDrained) {
			return workflow.NewContinueAsNewError(ctx, "Flow", in)
		}
		return err
	}
	in := temporal.Run{Graph: failing()}
	var err error
	runs := 0
	for in.Graph.Nodes != nil {
		runs++
		env := newEnv(t)
		env.RegisterWorkflowWithOptions(flow, workflow.RegisterOptions{Name: "Flow"})
		env.SetCurrentHistoryLength(runs % 2) // the second run comes to the end
		env.ExecuteWorkflow("Flow", in)
		err = env.GetWorkflowError()
		in = temporal.Run{}
		if again, ok := errors.AsType[*workflow.ContinueAsNewError](err); ok {
			require.Less(t, again.Input.Size(), blobMost)
			require.NoError(t, dataConverter.FromPayloads(again.Input, &in))
			require.Greater(t, in.Checkpoint.FailedMore, 0)
			require.Equal(t, n/2, len(in.Checkpoint.Failed)+in.Checkpoint.FailedMore)
		}
	}
	require.Equal(t, 2, runs)
	requireFits(t, err)
	require.Equal(t, n, temporal.FailedCount(err))
	require.Contains(t, temporal.FailedNodes(err)[0].Node, "n0-in")
}

// What cannot be left out is an error that says what takes the room, before the
// server would terminate the workflow.
func TestCheckpoint_tooLarge(t *testing.T) {
	requireTooLarge := func(t *testing.T, err error, contains string) {
		t.Helper()
		var app *sdk.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, temporal.CheckpointTooLarge, app.Type())
		require.True(t, app.NonRetryable())
		require.ErrorContains(t, err, contains)
	}
	t.Run("signals", func(t *testing.T) {
		env := newEnv(t)
		env.RegisterActivityWithOptions(func(context.Context, temporal.NodeInput) (string, error) { return "", nil }, named("Result"))
		countEvents(env)
		env.RegisterDelayedCallback(func() {
			for range 300 {
				env.SignalWorkflow("early", strings.Repeat("x", 10_000))
			}
		}, 0)
		env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{
			Run: temporal.Run{Graph: early("early")}, Settings: temporal.Settings{MaxHistory: 20},
		})
		requireTooLarge(t, env.GetWorkflowError(), "300 unread signals")
	})
	t.Run("results", func(t *testing.T) {
		env := newEnv(t)
		env.RegisterActivityWithOptions(func(context.Context, temporal.NodeInput) (string, error) {
			return strings.Repeat("x", 100_000), nil
		}, named("Result"))
		countEvents(env)
		g := layers(2, 30, "Result")
		g.Nodes[45].Requires = nil
		for _, n := range g.Nodes[:30] {
			g.Nodes[59].Requires = append(g.Nodes[59].Requires, n.Key)
		}
		env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{
			Run: temporal.Run{Graph: g}, Settings: temporal.Settings{MaxHistory: 80, Limit: 1},
		})
		requireTooLarge(t, env.GetWorkflowError(), "results 2")
	})
}

// The IDs of children, and of theirs, are all different.
func TestChildWorkflow_ID(t *testing.T) {
	env := newEnv(t)
	ids := map[string]int{}
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, in temporal.NodeInput) error {
		ids[workflow.GetInfo(ctx).WorkflowExecution.ID]++
		return workflow.Sleep(ctx, time.Hour)
	}, workflow.RegisterOptions{Name: "Child"})
	child := func(keys ...string) *temporal.Graph {
		var g temporal.Graph
		for _, k := range keys {
			g.Nodes = append(g.Nodes, temporal.Node{Key: k, Workflow: "Child"})
		}
		return &g
	}
	g := child("web/db", "web%2Fdb", "web%252Fdb", "a/b/c", "/", "%", "a//b")
	g.Nodes = append(g.Nodes,
		temporal.Node{Key: "web", Graph: child("db", "")},
		temporal.Node{Key: "a", Graph: child("b/c", "/b")},
		temporal.Node{Key: "a/b", Graph: child("c")},
		temporal.Node{Key: "", Graph: child("", "web")},
	)
	env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{Run: temporal.Run{Graph: *g}})
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, ids, 14)
	for id, n := range ids {
		require.Equal(t, 1, n, id)
	}
	require.Contains(t, ids, "default-test-workflow-id/web/db")
	require.Contains(t, ids, "default-test-workflow-id/web%2Fdb")
}

// wild is an error with a method that panics.
type wild string

func (w wild) Error() string { return w.of("Error") }
func (w wild) Is(error) bool { return w.of("Is") == "" }
func (w wild) As(any) bool   { return w.of("As") == "" }

func (w wild) of(method string) string {
	if string(w) == method {
		panic("in " + method)
	}
	return "wild"
}

// An error whose methods panic fails its node by name, whatever is around it.
func TestDrive_error_that_panics(t *testing.T) {
	for _, method := range []string{"Error", "Is", "As"} {
		for name, put := range map[string]func(scheduler.Task) scheduler.Task{
			"alone":   func(task scheduler.Task) scheduler.Task { return task },
			"wrapped": func(task scheduler.Task) scheduler.Task { return struct{ scheduler.Task }{task} },
			"Wrap": func(task scheduler.Task) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
			},
			"Subrun": func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) },
			"group": func(task scheduler.Task) scheduler.Task {
				return newGroup(t, wide(1), func(string) scheduler.Task { return task }, nil)
			},
		} {
			env := newEnv(t)
			env.ExecuteWorkflow(func(ctx workflow.Context) error {
				return temporal.Drive(ctx, newGroup(t, wide(2), func(string) scheduler.Task {
					return put(scheduler.Func(func(context.Context) error { return wild(method) }))
				}, &scheduler.GroupOptions[string]{AggregateErrors: true}), temporal.Options{})
			})
			nodes := temporal.FailedNodes(env.GetWorkflowError())
			require.Len(t, nodes, 2, "%s of %s", method, name)
			require.Regexp(t, "^n000", nodes[0].Node)
			require.Contains(t, nodes[0].Message, map[bool]string{true: "PANIC=Error method: in Error", false: "wild"}[method == "Error"])
		}
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return temporal.Drive(ctx, scheduler.Func(func(context.Context) error { return wild(method) }), temporal.Options{})
		})
		require.ErrorContains(t, env.GetWorkflowError(), map[bool]string{true: "PANIC=Error method: in Error", false: "wild"}[method == "Error"])
	}
}
