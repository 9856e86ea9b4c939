package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/steptask/scheduler"
)

// resultsBetweenTasks hands on the ids of what was created.
func resultsBetweenTasks(ctx context.Context, cloud *cloud, say say) error {
	deps := site()
	ids := map[string]string{} // no lock: only code of tasks uses it

	create := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			var uses []string // ids of what the node requires: that is done by now
			for required := range deps.Requires(name) {
				uses = append(uses, ids[required])
			}
			id, err := scheduler.Call(co, func(ctx context.Context) (string, error) {
				// Another goroutine: it reads what was copied for it, and returns.
				if _, err := cloud.create(ctx, name); err != nil {
					return "", err
				}
				return fmt.Sprintf("%s(%s)", name, strings.Join(uses, ", ")), nil
			})
			if id != "" {
				ids[name] = id // also beside an error: what was made has to be known
				say("%s", id)
			}
			return err
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, create, nil)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}
