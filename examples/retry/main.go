// Command retry repeats a failing operation with the back-off of
// github.com/cenkalti/backoff.
//
// What you learn: how long to wait, and when to give up, is somebody else's
// well-kept code. Its back-offs fit scheduler.Retry as they are. What its errors
// say, by backoff.Permanent and backoff.RetryAfter, is known to its own types only,
// so that a function of ten lines, saying, looks for them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: retry    repeats operations that fail, by simulated time") }
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	clock := schedulertest.NewClock(time.Time{}) // a demonstration needs no real time
	if err := upload(clock, 4); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(create(clock, errBusy, backoff.RetryAfter(60), errBusy, nil))
	fmt.Println(create(clock, errBusy, backoff.Permanent(errQuota)))
}

var (
	errBusy  = errors.New("busy")
	errQuota = errors.New("no quota left")
)

// pauses are 1 s, 1.5 s, 2.25 s, and so on.
func pauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = time.Second
	b.RandomizationFactor = 0 // for the sake of the same output each time
	return b
}

// upload succeeds with the given attempt; it is tried ten times at most.
func upload(clock scheduler.Clock, succeeds int) error {
	start := clock.Now()
	return scheduler.Run(context.Background(), scheduler.Retry(pauses(), func(attempt int, _ error) scheduler.Task {
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

// create makes as many attempts as it takes, each of which ends with the next of
// the errors, and returns the number of what it has made.
func create(clock scheduler.Clock, errs ...error) (id int, err error) {
	start, calls := clock.Now(), 0
	err = scheduler.Run(context.Background(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
		id, err = scheduler.RetryCall(co, saying(pauses()), func(context.Context) (int, error) {
			fmt.Println("call", calls+1, "after", clock.Now().Sub(start))
			calls++
			return calls, errs[calls-1]
		})
		return err
	}), &scheduler.RunnerOptions{Clock: clock})
	return id, err
}

// saying returns b as a back-off that heeds what errors of its package say.
func saying(b backoff.BackOff) scheduler.BackOffFunc {
	return func(_ int, err error) scheduler.Yield {
		var permanent *backoff.PermanentError
		pause := b.NextBackOff()
		if pause == backoff.Stop || errors.As(err, &permanent) {
			return scheduler.Done
		}
		if later, ok := errors.AsType[*backoff.RetryAfterError](err); ok {
			pause = later.Duration
			b.Reset()
		}
		return scheduler.After(pause)
	}
}
