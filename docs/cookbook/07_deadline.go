package main

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
)

// deadlineAroundPart gives the cache four seconds, and goes on without it.
func deadlineAroundPart(ctx context.Context, cloud *cloud, say say) error {
	deps := scheduler.NewDependencies[string]()
	deps.Add("cache", "cache-disk")
	deps.Add("warm-up", "cache")
	cache, err := scheduler.NewDependencyTaskGroup(deps, creating(cloud, say), nil)
	if err != nil {
		return err
	}
	site, err := scheduler.NewDependencyTaskGroup(site(), creating(cloud, say), nil)
	if err != nil {
		return err
	}
	deploy := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := co.Await(scheduler.WithTimeout(4*time.Second, scheduler.Named("the cache", cache)))
		if timeout, ok := errors.AsType[*scheduler.Timeout](err); ok && timeout.Task == "the cache" {
			say("go on without it: %v", err)
		} else if err != nil {
			return err
		}
		return co.Await(site)
	})
	return scheduler.Run(ctx, deploy, &scheduler.RunnerOptions{Name: "deploy", Timeout: time.Minute})
}
