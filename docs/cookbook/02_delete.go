package main

import (
	"context"

	"github.com/steptask/scheduler"
)

// deleteInReverse deletes a site as far as it can be deleted.
func deleteInReverse(ctx context.Context, cloud *cloud, say say) error {
	cloud.fail("bucket", errInUse)

	group, err := scheduler.NewDependencyTaskGroup(site(), deleting(cloud, say), &scheduler.GroupOptions[string]{
		Reverse:         true,
		AggregateErrors: true,
	})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}

// deleting returns the function that makes the task of each node.
func deleting(cloud *cloud, say say) func(name string) scheduler.Task {
	return func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			say("delete %s", name)
			err := co.Await(scheduler.Blocking(func(ctx context.Context) error {
				return cloud.delete(ctx, name)
			}))
			if err == nil {
				say("%s is gone", name)
			}
			return err
		})
	}
}
