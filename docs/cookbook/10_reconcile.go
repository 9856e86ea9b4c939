package main

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
)

// controller brings a site to what its graph says, as often as it is called.
type controller struct {
	cloud   *cloud
	say     say
	enqueue func() // from any goroutine: call reconcile
	runner  *scheduler.TaskRunner
}

// reconcile makes one step and does not block. It reports whether the site is as
// it should be, and if not, after how long to call it again: below zero, when
// enqueue was called.
func (c *controller) reconcile(ctx context.Context) (done bool, again time.Duration, err error) {
	if c.runner == nil {
		err = c.begin(ctx)
	} else {
		_, err = c.runner.Step(ctx)
	}
	if err != nil || c.runner.Done() {
		c.runner = nil // the next call begins with what is missing then
		return err == nil, 0, err
	}
	if wait, ok := c.runner.Due().In(time.Now()); ok {
		return false, wait, nil
	}
	return false, -1, nil
}

// begin starts a run for what is missing.
func (c *controller) begin(ctx context.Context) error {
	group, err := scheduler.NewDependencyTaskGroup(site(), creating(c.cloud, c.say), &scheduler.GroupOptions[string]{
		Completed: c.cloud.isReady, // what is there is the state: nothing is stored
	})
	if err != nil {
		return err
	}
	c.runner = scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{Wake: c.enqueue})
	return c.runner.Start(ctx, 0)
}

// close ends what is under way.
func (c *controller) close() error {
	if c.runner == nil {
		return nil
	}
	return c.runner.Cancel()
}

// reconcileLoop is a work queue for one object. Somebody deletes the server when
// all is well.
func reconcileLoop(ctx context.Context, cloud *cloud, say say) error {
	queue := make(chan struct{}, 1)
	c := &controller{cloud: cloud, say: say, enqueue: func() {
		select {
		case queue <- struct{}{}:
		default: // it is in the queue already
		}
	}}
	c.enqueue()
	for drift := true; ; {
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), c.close())
		case <-queue:
		}
		done, again, err := c.reconcile(ctx)
		switch {
		case err != nil:
			return err
		case done && !drift:
			say("all is well again")
			return nil
		case done:
			say("all is well, and somebody deletes the server")
			if err := cloud.delete(ctx, "server"); err != nil {
				return err
			}
			drift = false
			c.enqueue()
		case again >= 0:
			time.AfterFunc(again, c.enqueue)
		}
	}
}
