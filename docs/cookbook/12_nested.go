package main

import (
	"context"

	"github.com/steptask/scheduler"
)

// nestedGroups creates two sites that share a network.
func nestedGroups(ctx context.Context, cloud *cloud, say say) error {
	cloud.fail("server-b", errQuota)

	deps := scheduler.NewDependencies[string]()
	deps.Add("site-a", "network")
	deps.Add("site-b", "network")
	deps.Add("load-balancer", "site-a", "site-b")

	observer := scheduler.ObserverFunc(func(t scheduler.Record) {
		if t.To.Ended() {
			say("%s is %v", t.Path(), t.To)
		}
	})
	inner := func(suffix string) scheduler.Task {
		deps := scheduler.NewDependencies[string]()
		deps.Add("server"+suffix, "volume"+suffix)
		group, err := scheduler.NewDependencyTaskGroup(deps, creating(cloud, say), nil)
		if err != nil {
			return scheduler.Func(func(context.Context) error { return err })
		}
		return group
	}
	outer, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		switch name {
		case "site-a":
			return inner("-a")
		case "site-b":
			return inner("-b")
		}
		return creating(cloud, say)(name)
	}, &scheduler.GroupOptions[string]{Observer: observer, AggregateErrors: true})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, outer, nil)
}
