package temporal_test

import (
	"testing"

	"github.com/steptask/scheduler/internal/misuse"
	"github.com/steptask/scheduler/temporal"
)

func TestMisuse_of_everything(t *testing.T) {
	misuse.Package{
		Name: "temporal", Dir: ".",
		Functions: map[string]any{
			"Activity": temporal.Activity[int], "Await": temporal.Await[int], "ChildWorkflow": temporal.ChildWorkflow[int],
			"Context": temporal.Context, "Drive": temporal.Drive, "FailedCount": temporal.FailedCount,
			"FailedNodes": temporal.FailedNodes, "Future": temporal.Future[int], "GraphWorkflow": temporal.GraphWorkflow,
			"LocalActivity": temporal.LocalActivity[int], "Log": temporal.Log, "Quiet": temporal.Quiet,
			"Register": temporal.Register, "Signal": temporal.Signal[int], "Timer": temporal.Timer, "Walk": temporal.Walk,
			"WorkerOptions": temporal.WorkerOptions,
		},
		Types: []any{temporal.Bitmap(nil), temporal.Call[int]{}, temporal.Graph{}},
	}.Try(t)
}
