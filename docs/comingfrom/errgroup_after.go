package comingfrom

import (
	"context"

	"github.com/steptask/scheduler"
)

// errgroupAfter creates each thing as soon as what it requires is there.
func errgroupAfter(ctx context.Context, create func(ctx context.Context, name string) error) error {
	return scheduler.Walk(ctx, site(), create, &scheduler.GroupOptions[string]{Limit: 3})
}
