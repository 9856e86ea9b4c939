package comingfrom

import (
	"context"

	"github.com/steptask/scheduler"
)

// errgroupAfter creates each thing as soon as what it requires is there.
func errgroupAfter(ctx context.Context, create func(ctx context.Context, name string) error) error {
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return create(ctx, name) })
	}, &scheduler.GroupOptions[string]{Limit: 3})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}
