package porting

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
)

// kopsAfter tries a task again when another one has got on, or after ten seconds.
func kopsAfter(ctx context.Context, w world) error {
	var gotOn scheduler.Event // set for a moment: it wakes all that wait now
	again := scheduler.BackOffFunc(func(int, error) scheduler.Yield {
		return scheduler.On(&gotOn).Or(scheduler.After(10 * time.Second))
	})
	group, err := scheduler.NewDependencyTaskGroup(scheduler.DependenciesOf(cluster), func(name string) scheduler.Task {
		attempt := scheduler.Retry(again, func(int, error) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				err := w.call(ctx, name)
				if err != nil && !errors.Is(err, errTryAgainLater) {
					return scheduler.Permanent(err) // leave this out to repeat every error
				}
				return err
			})
		})
		return scheduler.Sequence(attempt, scheduler.Func(func(context.Context) error {
			gotOn.Set()
			gotOn.Reset()
			return nil
		}))
	}, &scheduler.GroupOptions[string]{
		AggregateErrors: true,
		Timeout:         func(string) time.Duration { return 10 * time.Minute },
	})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}
