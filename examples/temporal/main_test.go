package main

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/steptask/scheduler/temporal"
)

// The workflow creates what the template says, what is required first. Time
// passes at once.
func TestTemplate(t *testing.T) {
	graph, err := readTemplate(file)
	if err != nil {
		t.Fatal(err)
	}
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // the machine may be busy
	register(env, env)
	var order []string
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		order = append(order, info.ActivityID)
	})
	for i := range graph.Nodes { // no need to wait
		graph.Nodes[i].Input = []byte(`{"type":"Test","properties":{"takes":"0s"}}`)
	}
	env.ExecuteWorkflow(temporal.GraphType, temporal.GraphInput{Run: temporal.Run{Graph: graph}})
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if len(order) != len(graph.Nodes) {
		t.Fatalf("created %v", order)
	}
	for _, n := range graph.Nodes {
		for _, k := range n.Requires {
			if slices.Index(order, k) > slices.Index(order, n.Key) {
				t.Errorf("%s before %s, which it requires: %v", n.Key, k, order)
			}
		}
	}
}
