package temporal_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/temporal"
	"github.com/steptask/scheduler/temporal/internal/flows"
)

// readHistory returns a recorded history and the ID of its workflow.
func readHistory(t *testing.T, name string) (*history.History, workflow.Execution) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "histories", name+".json"))
	require.NoError(t, err)
	h := &history.History{}
	require.NoError(t, protojson.Unmarshal(text, h))
	return h, workflow.Execution{ID: h.Events[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowId()}
}

func replay(t *testing.T, name string, register func(worker.WorkflowRegistry)) error {
	t.Helper()
	h, execution := readHistory(t, name)
	// On a busy machine no second is too long for a step.
	r, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DisableDeadlockDetection: true})
	require.NoError(t, err)
	register(r)
	// Children have the parent's ID in theirs, so the ID matters.
	return r.ReplayWorkflowHistoryWithOptions(quietLogger{}, h, worker.ReplayWorkflowHistoryOptions{OriginalExecution: execution})
}

// Histories that were recorded on a real server replay with the code of today:
// the order in which nodes start is a promise.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "histories", "*.json"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 12)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			require.NoError(t, replay(t, name, func(r worker.WorkflowRegistry) { flows.RegisterWorkflows(r) }))
		})
	}
}

func TestReplay_changed(t *testing.T) {
	t.Run("notices that two nodes of a graph from code have changed places", func(t *testing.T) {
		err := replay(t, "diamond", func(r worker.WorkflowRegistry) {
			r.RegisterWorkflowWithOptions(func(ctx workflow.Context, keys []string) error {
				keys[1], keys[2] = keys[2], keys[1]
				return flows.Diamond(ctx, keys)
			}, workflow.RegisterOptions{Name: "Diamond"})
		})
		require.ErrorContains(t, err, "TMPRL1100")
	})
	t.Run("notices another graph from data", func(t *testing.T) {
		err := replay(t, "layers-limit-0", func(r worker.WorkflowRegistry) {
			r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in temporal.GraphInput) error {
				slices.Reverse(in.Graph.Nodes[:2])
				return temporal.GraphWorkflow(ctx, in)
			}, workflow.RegisterOptions{Name: temporal.GraphType})
		})
		require.ErrorContains(t, err, "this run was begun with the graph")
	})
}

// An observer inside Quiet hears nothing of what is only replayed.
func TestQuiet(t *testing.T) {
	heard, quiet := 0, 0
	err := replay(t, "diamond", func(r worker.WorkflowRegistry) {
		r.RegisterWorkflowWithOptions(func(ctx workflow.Context, keys []string) error {
			o := temporal.Quiet(ctx, scheduler.ObserverFunc(func(scheduler.Record) { quiet++ }))
			return flows.DiamondOf(ctx, keys, scheduler.ObserverFunc(func(t scheduler.Record) {
				heard++
				o.Observe(t)
			}))
		}, workflow.RegisterOptions{Name: "Diamond"})
	})
	require.NoError(t, err)
	require.Equal(t, 8, heard)
	// The replayer counts the last workflow task, in which d ends, as new.
	require.LessOrEqual(t, quiet, 1)
}
