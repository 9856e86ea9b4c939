package comingfrom

import (
	"context"

	"github.com/steptask/scheduler"
)

// walkerAfter says the same in options.
func walkerAfter(ctx context.Context, create func(ctx context.Context, name string) error) error {
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return create(ctx, name) })
	}, &scheduler.GroupOptions[string]{Limit: 3, AggregateErrors: true})
	if err != nil {
		return err // in a cycle: its path
	}
	return scheduler.Run(ctx, group, nil)
}
