package porting

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
)

// createAndWait holds a place of the API for the request, and none while it polls.
func createAndWait(api *scheduler.Limiter, name string, w world) scheduler.Task {
	create := scheduler.Blocking(func(ctx context.Context) error { return w.call(ctx, "start "+name) })
	check := scheduler.Poll(10*time.Second, func(ctx context.Context) (bool, error) {
		err := w.call(ctx, "check "+name)
		if errors.Is(err, errNotYet) {
			return false, nil
		}
		return err == nil, err
	})
	return scheduler.Sequence(
		scheduler.Claiming([]scheduler.Claim{{Limiter: api, Weight: 1}}, create),
		check,
	)
}
