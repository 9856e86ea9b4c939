package main

import (
	"context"
	"strings"

	"github.com/steptask/scheduler"
)

// limitVolumes makes two sites at a time, but no more than two volumes.
func limitVolumes(ctx context.Context, cloud *cloud, say say) error {
	volumes := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "volumes", Capacity: 2})
	claims := func(name string) []scheduler.Claim {
		if strings.HasPrefix(name, "volume") {
			return []scheduler.Claim{{Limiter: volumes, Weight: 1}}
		}
		return nil
	}
	var sites []scheduler.Task
	for _, nodes := range [][]string{
		{"volume-a1", "volume-a2", "network-a"},
		{"volume-b1", "network-b"},
	} {
		deps := scheduler.NewDependencies[string]()
		for _, name := range nodes {
			deps.Add(name)
		}
		group, err := scheduler.NewDependencyTaskGroup(deps, creating(cloud, say),
			&scheduler.GroupOptions[string]{Claims: claims})
		if err != nil {
			return err
		}
		sites = append(sites, group)
	}
	return scheduler.Run(ctx, scheduler.All(sites...), nil)
}
