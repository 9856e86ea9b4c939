package main

import (
	"context"
	"time"

	"github.com/steptask/scheduler"
)

// createWithPolling creates a site, side by side where its graph allows it.
func createWithPolling(ctx context.Context, cloud *cloud, say say) error {
	group, err := scheduler.NewDependencyTaskGroup(site(), creating(cloud, say), nil)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}

// creating returns the function that makes the task of each node.
func creating(cloud *cloud, say say) func(name string) scheduler.Task {
	return func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			say("create %s", name)
			id, err := scheduler.Call(co, func(ctx context.Context) (string, error) {
				return cloud.create(ctx, name) // blocks, on a goroutine of its own
			})
			if err != nil {
				return err
			}
			err = co.Await(scheduler.Poll(2*time.Second, func(ctx context.Context) (bool, error) {
				return cloud.ready(ctx, id)
			}))
			if err != nil {
				return err
			}
			say("%s is ready", id)
			return nil
		})
	}
}
