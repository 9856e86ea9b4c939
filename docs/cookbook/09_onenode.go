package main

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
)

// giveUpNodes creates a site. After two seconds an operator gives up the volume and takes
// the bucket out. Everything else continues.
func giveUpNodes(ctx context.Context, cloud *cloud, say say) error {
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			say("create %s", name)
			err := co.Yield(scheduler.After(cloud.takes(name)).Or(scheduler.On(co.Stopping())))
			if err == nil {
				err = co.StopCause() // nil, unless this node was asked to end
			}
			return err
		})
	}, &scheduler.GroupOptions[string]{
		AggregateErrors: true, // a failure does not stop the group
		Grace:           10 * time.Second,
	})
	if err != nil {
		return err
	}
	runner := scheduler.NewTaskRunner(group, nil)
	time.AfterFunc(2*time.Second, func() { // on another goroutine, as in a handler of HTTP
		runner.Post(func() {
			group.StopNode("volume", errors.New("given up by an operator"))
			group.SkipNode("bucket", errors.New("not wanted any more"))
		})
	})
	err = runner.Run(ctx)
	for name, state := range group.All() {
		say("%s %s", name, state)
	}
	return err
}
