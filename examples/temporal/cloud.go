package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler/temporal"
)

// spec is the input of a node.
type spec struct {
	Type       string         `json:"type"`
	Properties map[string]any `json:"properties"`
}

// register tells a worker what it can do: to walk a graph, and to create what
// its nodes are.
func register(workflows worker.WorkflowRegistry, activities worker.ActivityRegistry) {
	workflows.RegisterWorkflowWithOptions(temporal.GraphWorkflow, workflow.RegisterOptions{Name: temporal.GraphType})
	activities.RegisterActivity(Create)
}

// Create creates a resource in a cloud that is not there, and returns its ID. It
// gets the IDs of the resources that it requires.
func Create(ctx context.Context, in temporal.NodeInput) (string, error) {
	var s spec
	if err := json.Unmarshal(in.Input, &s); err != nil {
		return "", err
	}
	ids := map[string]string{}
	for name, result := range in.Results {
		var id string
		if err := json.Unmarshal(result, &id); err != nil {
			return "", fmt.Errorf("the ID of %s: %w", name, err)
		}
		ids[name] = id
	}
	takes, _ := s.Properties["takes"].(string)
	delete(s.Properties, "takes")
	d, err := time.ParseDuration(takes)
	if err != nil {
		return "", err
	}
	properties, err := json.Marshal(resolve(s.Properties, ids))
	if err != nil {
		return "", err
	}
	attempt := activity.GetInfo(ctx).Attempt
	fmt.Printf("worker %d: %-8s begun, attempt %d: %s %s\n", os.Getpid(), in.Key, attempt, s.Type, properties)
	select {
	case <-time.After(d):
	case <-ctx.Done(): // the workflow was cancelled, or the server has given us up
		fmt.Printf("worker %d: %-8s undone\n", os.Getpid(), in.Key)
		return "", ctx.Err()
	}
	fmt.Printf("worker %d: %-8s done\n", os.Getpid(), in.Key)
	return fmt.Sprintf("%s-%s", s.Type, in.Key), nil
}
