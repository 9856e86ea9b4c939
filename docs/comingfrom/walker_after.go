package comingfrom

import (
	"context"

	"github.com/steptask/scheduler"
)

// walkerAfter does the same with options.
func walkerAfter(ctx context.Context, create func(ctx context.Context, name string) error) error {
	return scheduler.Walk(ctx, site(), create, &scheduler.GroupOptions[string]{Limit: 3, AggregateErrors: true})
}
