package main

import (
	"context"
	"errors"

	"github.com/steptask/scheduler"
)

// rollBack creates a site, or leaves nothing of it behind.
func rollBack(ctx context.Context, cloud *cloud, say say) error {
	cloud.fail("server", errQuota)

	deps := site()
	up, err := scheduler.NewDependencyTaskGroup(deps, creating(cloud, say), nil)
	if err != nil {
		return err
	}
	failure := scheduler.Run(ctx, up, nil)
	if failure == nil {
		return nil
	}
	say("roll back, because of %v", failure)
	down, err := scheduler.NewDependencyTaskGroup(deps, deleting(cloud, say), &scheduler.GroupOptions[string]{
		Reverse:         true,
		AggregateErrors: true,
		Completed:       up.Snapshot().RollBack(), // what was never started has nothing to undo
	})
	if err != nil {
		return err
	}
	// If it was the end of ctx that failed us, the roll-back still has to run.
	return errors.Join(failure, scheduler.Run(context.WithoutCancel(ctx), down, nil))
}
