package comingfrom

import (
	"context"

	"github.com/steptask/scheduler"
)

// terraformAfter walks Dependencies: one goroutine, and one for each call.
func terraformAfter(ctx context.Context, create func(ctx context.Context, name string) error) error {
	deps := scheduler.NewDependencies[string]()
	for _, name := range names {
		deps.Add(name, requires[name]...)
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return create(ctx, name) })
	}, &scheduler.GroupOptions[string]{Limit: 3, AggregateErrors: true})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}
