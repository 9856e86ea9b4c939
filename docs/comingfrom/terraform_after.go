package comingfrom

import (
	"context"

	"github.com/steptask/scheduler"
)

// terraformAfter walks Dependencies: one goroutine for each call under way.
func terraformAfter(ctx context.Context, create func(ctx context.Context, name string) error) error {
	deps := scheduler.DependenciesOf(requires)
	for _, name := range names {
		deps.Add(name)
	}
	return scheduler.Walk(ctx, deps, create, &scheduler.GroupOptions[string]{Limit: 3, AggregateErrors: true})
}
