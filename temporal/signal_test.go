package temporal_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/temporal"
)

// zlib is a converter whose payloads nobody else can read.
var zlib = converter.NewCodecDataConverter(
	dataConverter, converter.NewZlibCodec(converter.ZlibCodecOptions{AlwaysEncode: true}))

// early returns a graph of layers, and a node after them that waits for a signal.
func early(signal string) temporal.Graph {
	g := layers(4, 10, "Result")
	g.Nodes = append(g.Nodes, temporal.Node{Key: "last", Signal: signal, Requires: []string{"n30"}})
	return g
}

// nextRun runs a workflow until it continues as new, and reads what with.
func nextRun(t *testing.T, env *testsuite.TestWorkflowEnvironment, dc converter.DataConverter, next any, flow any, in any) {
	t.Helper()
	countEvents(env)
	env.ExecuteWorkflow(flow, in)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &again)
	require.NoError(t, dc.FromPayloads(again.Input, next))
}

// requireHandedOn sends two signals to the first run of a workflow, which waits for
// neither, and expects them in the second.
// Each is compared as what show makes of it.
func requireHandedOn[T any](t *testing.T, dc converter.DataConverter, show func(T) any, first, second any, want ...any) {
	t.Helper()
	var got []any
	flow := func(ctx workflow.Context, in temporal.Run) error {
		err := temporal.Walk(ctx, &in, func(n temporal.Node) scheduler.Task {
			if n.Signal == "" {
				return temporal.Activity[string](n.Key, quick, Echo, n.Key)
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				for range 2 {
					value, err := temporal.Await(co, temporal.Signal[T](n.Signal))
					if err != nil {
						return err
					}
					got = append(got, show(value))
				}
				return nil
			})
		}, nil, temporal.Options{MaxHistory: 20, Limit: 5})
		if errors.Is(err, scheduler.ErrDrained) {
			return workflow.NewContinueAsNewError(ctx, "Flow", in)
		}
		return err
	}
	newRun := func() *testsuite.TestWorkflowEnvironment {
		env := newEnv(t)
		env.SetDataConverter(dc)
		env.RegisterWorkflowWithOptions(flow, workflow.RegisterOptions{Name: "Flow"})
		return env
	}
	env := newRun()
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow("approve", first)
		env.SignalWorkflow("approve", second)
	}, 0)
	var next temporal.Run
	nextRun(t, env, dc, &next, "Flow", temporal.Run{Graph: early("approve")})
	require.Len(t, next.Checkpoint.Signals, 2)
	for {
		env := newRun()
		countEvents(env)
		env.ExecuteWorkflow("Flow", next)
		var again *workflow.ContinueAsNewError
		if !errors.As(env.GetWorkflowError(), &again) {
			require.NoError(t, env.GetWorkflowError())
			break
		}
		next = temporal.Run{}
		require.NoError(t, dc.FromPayloads(again.Input, &next))
	}
	require.Equal(t, want, got)
}

// What a signal carries is handed on as it is.
func TestSignal_handedOn(t *testing.T) {
	type point struct{ X, Y int }
	for name, dc := range map[string]converter.DataConverter{"plain": dataConverter, "codec": zlib} {
		t.Run(name, func(t *testing.T) {
			t.Run("text", func(t *testing.T) {
				requireHandedOn(t, dc, itself[string], "yes", "<no>", "yes", "<no>")
			})
			t.Run("number", func(t *testing.T) {
				requireHandedOn(t, dc, itself[int64], 1, int64(1<<62+1), int64(1), int64(1<<62+1))
			})
			t.Run("struct", func(t *testing.T) {
				requireHandedOn(t, dc, itself[point], point{1, 2}, &point{3, 4}, point{1, 2}, point{3, 4})
			})
			t.Run("nothing", func(t *testing.T) {
				requireHandedOn(t, dc, itself[string], nil, "", "", "")
			})
			t.Run("bytes", func(t *testing.T) {
				requireHandedOn(t, dc, itself[[]byte], []byte("\x00raw\xff"), []byte{0}, []byte("\x00raw\xff"), []byte{0})
			})
			t.Run("protobuf", func(t *testing.T) {
				requireHandedOn(t, dc, func(m *wrapperspb.StringValue) any { return m.GetValue() },
					wrapperspb.String("yes"), wrapperspb.String(""), "yes", "")
			})
		})
	}
	t.Run("what does not fit fails the node", func(t *testing.T) {
		env := newEnv(t)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			run := temporal.Run{Graph: temporal.Graph{Nodes: []temporal.Node{{Key: "a", Signal: "s"}}}}
			hash, err := run.Graph.Hash()
			if err != nil {
				return err
			}
			run.Checkpoint = &temporal.Checkpoint{Hash: hash, Signals: []temporal.UnreadSignal{{
				Name: "s", Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingJSON)}, Data: []byte("1"),
			}}}
			return temporal.Walk(ctx, &run, func(n temporal.Node) scheduler.Task {
				return temporal.Signal[string](n.Signal)
			}, nil, temporal.Options{})
		})
		require.Equal(t, "a", temporal.FailedNodes(env.GetWorkflowError())[0].Node)
	})
}

func itself[T any](v T) any { return v }

// Signals that came early, for different nodes, come to each in their order, before
// those that came later.
func TestSignal_order(t *testing.T) {
	env := newEnv(t)
	env.RegisterActivityWithOptions(func(context.Context, temporal.NodeInput) (string, error) { return "result", nil }, named("Result"))
	g := early("b")
	g.Nodes = append(g.Nodes,
		temporal.Node{Key: "again", Signal: "b", Requires: []string{"last"}},
		temporal.Node{Key: "other", Signal: "a", Requires: []string{"again"}},
		temporal.Node{Key: "late", Signal: "b", Requires: []string{"other"}},
		temporal.Node{Key: "all", Activity: "All", Requires: []string{"last", "again", "other", "late"}})
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow("b", 1)
		env.SignalWorkflow("a", 2)
		env.SignalWorkflow("b", 3)
	}, 0)
	var in temporal.GraphInput
	nextRun(t, env, dataConverter, &in, temporal.GraphType, temporal.GraphInput{
		Run: temporal.Run{Graph: g}, Settings: temporal.Settings{MaxHistory: 20},
	})
	in.MaxHistory = 0
	env = newEnv(t)
	env.RegisterActivityWithOptions(func(context.Context, temporal.NodeInput) (string, error) { return "result", nil }, named("Result"))
	var got map[string]json.RawMessage
	env.RegisterActivityWithOptions(func(_ context.Context, in temporal.NodeInput) error {
		got = in.Results
		return nil
	}, named("All"))
	env.RegisterDelayedCallback(func() { env.SignalWorkflow("b", 4) }, 0)
	env.ExecuteWorkflow(temporal.GraphType, in)
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, map[string]json.RawMessage{
		"last": json.RawMessage("1"), "again": json.RawMessage("3"), "other": json.RawMessage("2"), "late": json.RawMessage("4"),
	}, got)
}

// Results and signals that are not JSON come to an activity in their JSON form.
func TestGraphWorkflow_results(t *testing.T) {
	run := func(t *testing.T, value any) (map[string]json.RawMessage, error) {
		t.Helper()
		env := newEnv(t)
		var got map[string]json.RawMessage
		env.RegisterActivityWithOptions(func(_ context.Context, in temporal.NodeInput) error { got = in.Results; return nil }, named("Last"))
		env.RegisterActivityWithOptions(func(context.Context, temporal.NodeInput) (any, error) { return value, nil }, named("First"))
		env.RegisterWorkflowWithOptions(func(workflow.Context, temporal.NodeInput) (any, error) { return value, nil },
			workflow.RegisterOptions{Name: "Child"})
		env.RegisterDelayedCallback(func() { env.SignalWorkflow("s", value) }, time.Minute)
		env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{Run: temporal.Run{Graph: temporal.Graph{Nodes: []temporal.Node{
			{Key: "activity", Activity: "First"},
			{Key: "child", Workflow: "Child"},
			{Key: "signal", Signal: "s"},
			{Key: "last", Activity: "Last", Requires: []string{"activity", "child", "signal"}},
		}}}})
		return got, env.GetWorkflowError()
	}
	for name, test := range map[string]struct {
		value any
		want  string
	}{
		"json": {map[string]int{"a": 1}, `{"a":1}`}, "bytes": {[]byte{0, 255}, `"AP8="`}, "protobuf": {wrapperspb.Int32(7), "7"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := run(t, test.value)
			require.NoError(t, err)
			want := json.RawMessage(test.want)
			require.Equal(t, map[string]json.RawMessage{"activity": want, "child": want, "signal": want}, got)
		})
	}
	t.Run("nothing", func(t *testing.T) {
		got, err := run(t, nil)
		require.NoError(t, err)
		require.Empty(t, got)
	})
	t.Run("what has no JSON form", func(t *testing.T) {
		env := newEnv(t)
		env.RegisterActivityWithOptions(func(context.Context, temporal.NodeInput) (any, error) {
			return converter.NewRawValue(&common.Payload{
				Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingProto)},
			}), nil
		}, named("First"))
		env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{Run: temporal.Run{
			Graph: temporal.Graph{Nodes: []temporal.Node{{Key: "first", Activity: "First"}}},
		}})
		nodes := temporal.FailedNodes(env.GetWorkflowError())
		require.Len(t, nodes, 1)
		require.Contains(t, nodes[0].Message, `encoding "binary/protobuf"`)
	})
}
