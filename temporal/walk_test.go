package temporal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/temporal"
)

// layers returns a graph of n layers, width nodes each, in which a node
// requires two of the layer before. Each is done by the activity.
func layers(n, width int, activity string) temporal.Graph {
	var g temporal.Graph
	for i := range n * width {
		node := temporal.Node{Key: fmt.Sprintf("n%d", i), Activity: activity}
		if layer := i / width; layer > 0 {
			before := (layer - 1) * width
			node.Requires = []string{fmt.Sprintf("n%d", before+i%width), fmt.Sprintf("n%d", before+(i+1)%width)}
		}
		g.Nodes = append(g.Nodes, node)
	}
	return g
}

func TestGraphWorkflow(t *testing.T) {
	t.Run("runs nodes of all kinds and hands results on", func(t *testing.T) {
		env := newEnv(t)
		var got temporal.NodeInput
		env.RegisterActivityWithOptions(func(_ context.Context, in temporal.NodeInput) error { got = in; return nil }, named("Last"))
		env.RegisterActivityWithOptions(func(context.Context, temporal.NodeInput) (map[string]int, error) {
			return map[string]int{"id": 7}, nil
		}, named("First"))
		env.RegisterWorkflowWithOptions(func(workflow.Context, temporal.NodeInput) (string, error) { return "w", nil },
			workflow.RegisterOptions{Name: "Child"})
		env.RegisterDelayedCallback(func() { env.SignalWorkflow("approve", "yes") }, time.Minute)
		env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{Run: temporal.Run{Graph: temporal.Graph{Nodes: []temporal.Node{
			{Key: "first", Activity: "First"},
			{Key: "child", Workflow: "Child", Requires: []string{"first"}},
			{Key: "approval", Signal: "approve", Requires: []string{"first"}},
			{Key: "pause", Timer: time.Hour},
			{Key: "sub", Graph: &temporal.Graph{Nodes: []temporal.Node{{Key: "inner", Activity: "First"}}}},
			{Key: "all", Requires: []string{"pause", "sub"}},
			{Key: "last", Activity: "Last", Requires: []string{"first", "child", "approval", "all"}, Input: json.RawMessage(`{"a":1}`)},
		}}}})
		require.NoError(t, env.GetWorkflowError())
		require.Equal(t, temporal.NodeInput{
			Key: "last", Input: json.RawMessage(`{"a":1}`),
			Results: map[string]json.RawMessage{
				"first": json.RawMessage(`{"id":7}`), "child": json.RawMessage(`"w"`), "approval": json.RawMessage(`"yes"`),
			},
		}, got)
	})
	t.Run("tells which node of a subgraph failed", func(t *testing.T) {
		env := newEnv(t)
		env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{Run: temporal.Run{Graph: temporal.Graph{Nodes: []temporal.Node{
			{Key: "sub", Graph: &temporal.Graph{Nodes: []temporal.Node{{Key: "inner", Activity: "Fail"}}}},
		}}}})
		nodes := temporal.FailedNodes(env.GetWorkflowError())
		require.Len(t, nodes, 1)
		require.Equal(t, "sub/inner", nodes[0].Node)
	})
	t.Run("refuses what is no graph", func(t *testing.T) {
		for _, g := range []temporal.Graph{
			{Nodes: []temporal.Node{{Key: "a"}, {Key: "a"}}},
			{Nodes: []temporal.Node{{Key: "a", Requires: []string{"b"}}}},
			{Nodes: []temporal.Node{{Key: "a", Requires: []string{"a"}}}},
		} {
			env := newEnv(t)
			env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{Run: temporal.Run{Graph: g}})
			require.Error(t, env.GetWorkflowError())
		}
	})
}

// countEvents lets the history grow, which the environment does not do itself.
func countEvents(env *testsuite.TestWorkflowEnvironment) {
	events := 0
	env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) {
		events += 3
		env.SetCurrentHistoryLength(events)
	})
}

// again runs a graph with all its runs, and returns how many there were and how
// it ended.
func again(t *testing.T, in temporal.GraphInput, each func(*testing.T, temporal.GraphInput)) (int, error) {
	t.Helper()
	for runs := 1; ; runs++ {
		env := newEnv(t)
		countEvents(env)
		env.RegisterActivityWithOptions(func(context.Context, temporal.NodeInput) (string, error) { return "result", nil }, named("Result"))
		env.ExecuteWorkflow(temporal.GraphType, in)
		err := env.GetWorkflowError()
		var next *workflow.ContinueAsNewError
		if !errors.As(err, &next) {
			return runs, err
		}
		in = temporal.GraphInput{}
		require.NoError(t, dataConverter.FromPayloads(next.Input, &in))
		if each != nil {
			each(t, in)
		}
	}
}

func TestWalk_continuesAsNew(t *testing.T) {
	t.Run("with what is completed", func(t *testing.T) {
		in := temporal.GraphInput{Run: temporal.Run{Graph: layers(10, 10, "Result")}, Settings: temporal.Settings{MaxHistory: 60}}
		before := 0
		runs, err := again(t, in, func(t *testing.T, in temporal.GraphInput) {
			completed := 0
			for i := range in.Graph.Nodes {
				if in.Checkpoint.Completed.Has(i) {
					completed++
				}
			}
			require.Greater(t, completed, before)
			before = completed
			require.NotEmpty(t, in.Checkpoint.Data)
		})
		require.NoError(t, err)
		require.Greater(t, runs, 2)
	})
	t.Run("with what has failed", func(t *testing.T) {
		g := layers(10, 10, "Result")
		g.Nodes[3].Activity, g.Nodes[95].Activity = "Fail", "Fail"
		in := temporal.GraphInput{
			Run: temporal.Run{Graph: g}, Settings: temporal.Settings{MaxHistory: 60, AggregateErrors: true},
		}
		runs, err := again(t, in, nil)
		require.Greater(t, runs, 1)
		var keys []string
		for _, n := range temporal.FailedNodes(err) {
			keys = append(keys, n.Node)
		}
		require.Equal(t, "n3", keys[0])
		require.LessOrEqual(t, len(keys), 2) // n95 is skipped, or not
	})
	t.Run("not when a failure is the end", func(t *testing.T) {
		for _, aggregate := range []bool{false, true} {
			g := layers(3, 10, "Fail")
			runs, err := again(t, temporal.GraphInput{
				Run: temporal.Run{Graph: g}, Settings: temporal.Settings{MaxHistory: 1, Limit: 1, AggregateErrors: aggregate},
			}, nil)
			require.NotEmpty(t, temporal.FailedNodes(err))
			require.NotErrorIs(t, err, scheduler.ErrDrained)
			if !aggregate {
				require.Equal(t, 1, runs)
				require.Equal(t, 1, temporal.FailedCount(err))
			}
		}
	})
	t.Run("never with another graph", func(t *testing.T) {
		g := layers(2, 2, "Work")
		hash, err := g.Hash()
		require.NoError(t, err)
		g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0]
		_, err = again(t, temporal.GraphInput{Run: temporal.Run{Graph: g, Checkpoint: &temporal.Checkpoint{Hash: hash}}}, nil)
		var app *sdk.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, temporal.GraphChanged, app.Type())
	})
}

func TestGraph_Split(t *testing.T) {
	var g temporal.Graph
	for i := range 10 { // five pairs
		n := temporal.Node{Key: fmt.Sprint(i)}
		if i >= 5 {
			n.Requires = []string{fmt.Sprint(i - 5)}
		}
		g.Nodes = append(g.Nodes, n)
	}
	split, err := g.Split(4)
	require.NoError(t, err)
	require.Len(t, split.Nodes, 3)
	nodes := 0
	for _, n := range split.Nodes {
		nodes += len(n.Graph.Nodes)
		require.LessOrEqual(t, len(n.Graph.Nodes), 4)
		_, err := n.Graph.Dependencies()
		require.NoError(t, err)
	}
	require.Equal(t, 10, nodes)
	_, err = temporal.Graph{Nodes: []temporal.Node{{Key: "a"}, {Key: "a"}}}.Split(1)
	require.Error(t, err)
	_, err = temporal.Graph{Nodes: []temporal.Node{{Key: "a", Requires: []string{"b"}}}}.Split(1)
	require.Error(t, err)
}

func TestGraph_Hash(t *testing.T) {
	g := layers(3, 3, "x")
	one, err := g.Hash()
	require.NoError(t, err)
	text, err := json.Marshal(g)
	require.NoError(t, err)
	var copied temporal.Graph
	require.NoError(t, json.Unmarshal(text, &copied))
	two, err := copied.Hash()
	require.NoError(t, err)
	require.Equal(t, one, two)
	_, err = temporal.Graph{Nodes: []temporal.Node{{Input: json.RawMessage("{")}}}.Hash()
	require.Error(t, err)
}
