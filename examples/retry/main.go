// Command retry repeats a failing operation with the backoff of
// github.com/cenkalti/backoff, which fits scheduler.Retry as it is.
//
// What you learn: how long to wait, and when to give up, is somebody else's
// well-kept code; here it is a value to be passed on.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func main() {
	clock := schedulertest.NewClock(time.Time{}) // a demonstration needs no real time
	if err := upload(clock, 4); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var errBusy = errors.New("busy")

// upload succeeds with the given attempt; it is tried ten times at most.
func upload(clock scheduler.Clock, succeeds int) error {
	start := clock.Now()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = time.Second
	pauses.RandomizationFactor = 0 // for the sake of the same output each time
	return scheduler.Run(context.Background(), scheduler.Retry(pauses, func(attempt int, _ error) scheduler.Task {
		if attempt > 10 {
			return nil // enough
		}
		return scheduler.Func(func(context.Context) error {
			fmt.Println("attempt", attempt, "after", clock.Now().Sub(start))
			if attempt < succeeds {
				return errBusy
			}
			return nil
		})
	}), &scheduler.RunnerOptions{Clock: clock})
}
