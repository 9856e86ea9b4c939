// Package violation has workflows that are not deterministic: workflowcheck has
// to find each of them.
package violation

import (
	"context"
	"time"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/temporal"
)

// Register registers the workflows: what is not registered is not checked.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflow(Blocks)
	r.RegisterWorkflow(ReadsClock)
	r.RegisterWorkflow(RangesOverMap)
}

// Blocks calls a part of the core that is not for workflows.
func Blocks(workflow.Context) error {
	return scheduler.Run(context.Background(), scheduler.Pause(scheduler.Next), nil)
}

// ReadsClock reads the machine's clock.
func ReadsClock(ctx workflow.Context) error {
	return temporal.Drive(ctx, scheduler.Pause(scheduler.At(time.Now())), temporal.Options{})
}

// RangesOverMap has an order of its own each time.
func RangesOverMap(ctx workflow.Context, delays map[string]time.Duration) error {
	var tasks []scheduler.Task
	for k, d := range delays {
		tasks = append(tasks, temporal.Timer(k, d))
	}
	return temporal.Drive(ctx, scheduler.All(tasks...), temporal.Options{})
}
