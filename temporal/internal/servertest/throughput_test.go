package servertest_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler/temporal"
	"github.com/steptask/scheduler/temporal/internal/flows"
)

var throughput = flag.Bool("throughput", false, "measure nodes a second, which takes minutes")

// TestThroughput writes the table of docs/temporal.md.
func TestThroughput(t *testing.T) {
	if !*throughput {
		t.Skip("measures, and checks nothing: -throughput")
	}
	queue := startHere(t, shared)
	chain := grid(100, 1, "Work")
	for _, test := range []struct {
		name  string
		nodes int
		flow  any
		args  []any
	}{
		{"wide, 1,000", 1000, temporal.GraphType, []any{input(grid(1, 1000, "Work"), temporal.Settings{})}},
		{"wide, 3,000", 3000, temporal.GraphType, []any{input(grid(1, 3000, "Work"), temporal.Settings{})}},
		{"layered, 100 of width 10", 100, temporal.GraphType, []any{input(grid(10, 10, "Work"), temporal.Settings{})}},
		{"layered, 1,000 of width 50", 1000, temporal.GraphType, []any{input(grid(20, 50, "Work"), temporal.Settings{})}},
		{"layered, 3,000 of width 100", 3000, temporal.GraphType, []any{input(grid(30, 100, "Work"), temporal.Settings{})}},
		{"chain, 100", 100, temporal.GraphType, []any{input(chain, temporal.Settings{})}},
		{"local, wide, 1,000", 1000, flows.Local, []any{1000, 1000}},
		{"local, layered, 1,000 of width 50", 1000, flows.Local, []any{1000, 50}},
		{"local, chain, 100", 100, flows.Local, []any{100, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			id := fmt.Sprintf("%s-%d", queue, start.UnixNano())
			run := beginAs(t, shared, id, queue, test.flow, test.args...)
			require.NoError(t, finish(t, shared, run, nil))
			took := time.Since(start)
			h := events(t, shared, run.GetID(), run.GetRunID())
			start = time.Now()
			r := worker.NewWorkflowReplayer()
			flows.RegisterWorkflows(r)
			require.NoError(t, r.ReplayWorkflowHistoryWithOptions(quiet, h, worker.ReplayWorkflowHistoryOptions{
				OriginalExecution: workflow.Execution{ID: id},
			}))
			t.Logf("| %s | %.2f s | %.0f | %d in the first run | %v |", test.name, took.Seconds(), float64(test.nodes)/took.Seconds(),
				len(h.Events), time.Since(start).Round(time.Millisecond))
		})
	}
}
