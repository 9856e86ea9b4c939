package main

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/temporal"
)

// Activities are what workers run: ordinary functions that may block. Create has
// to be idempotent, since it is tried again when a worker dies.
type Activities struct {
	Create func(ctx context.Context, name string) (id string, err error)
	Ready  func(ctx context.Context, id string) (bool, error)
}

// register makes the workflow and the activities known to a worker.
func register(r worker.Registry, a Activities) {
	r.RegisterWorkflow(Deploy)
	r.RegisterActivityWithOptions(a.Create, activity.RegisterOptions{Name: "Create"})
	r.RegisterActivityWithOptions(a.Ready, activity.RegisterOptions{Name: "Ready"})
}

// Deploy is a workflow that creates a site. Compare creating in recipe 1.
func Deploy(ctx workflow.Context) error {
	options := workflow.ActivityOptions{StartToCloseTimeout: time.Minute}
	create := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			id, err := temporal.Await(co, temporal.Activity[string](name+"/create", options, "Create", name))
			if err != nil {
				return err
			}
			for n := 1; ; n++ {
				ask := fmt.Sprintf("%s/ready-%d", name, n) // IDs are unique in a run
				ready, err := temporal.Await(co, temporal.Activity[bool](ask, options, "Ready", id))
				if ready || err != nil {
					return err
				}
				if err := co.Yield(scheduler.After(2 * time.Second)); err != nil { // a timer of the server's
					return err
				}
			}
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(site(), create, &scheduler.GroupOptions[string]{
		Name:     "site",
		Budget:   100,
		Observer: temporal.Quiet(ctx, temporal.Log(ctx)),
	})
	if err != nil {
		return err
	}
	return temporal.Drive(ctx, group, temporal.Options{Name: "site", Grace: time.Minute})
}
