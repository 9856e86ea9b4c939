package main

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/steptask/scheduler"
)

// retryWithBackoff creates a site in a cloud that has a bad day.
func retryWithBackoff(ctx context.Context, cloud *cloud, say say) error {
	cloud.fail("network", errBusy, errBusy)
	cloud.fail("bucket", errQuota)

	create := creating(cloud, say)
	retrying := func(name string) scheduler.Task {
		pauses := backoff.NewExponentialBackOff()
		pauses.InitialInterval = time.Second
		pauses.RandomizationFactor = 0 // so that this page is true; leave it as it is
		return scheduler.Retry(pauses, func(attempt int, last error) scheduler.Task {
			if attempt > 5 || errors.Is(last, errQuota) {
				return nil // enough, or hopeless: last is the result
			}
			if last != nil {
				say("attempt %d at %s, after: %v", attempt, name, last)
			}
			// Each attempt has a time limit of its own.
			return scheduler.WithTimeout(10*time.Second, create(name))
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(site(), retrying, &scheduler.GroupOptions[string]{
		AggregateErrors: true,
	})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}
