package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// A volume takes too long. The error says what the node was waiting for.
func ExampleNote() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("volume")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			for state := "queued"; ; state = "building" {
				co.Note("volume is still " + state)
				if err := co.Yield(scheduler.After(time.Minute)); err != nil {
					return err
				}
			}
		})
	}, &scheduler.GroupOptions[string]{
		Timeout: func(string) time.Duration { return 10 * time.Minute },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	fmt.Println(scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock}))
	// Output: volume: timed out after 10m0s: volume is still building
}

// Try again when somebody has given something back, or after ten seconds.
func ExampleBackOffFunc() {
	var givenBack scheduler.Event
	again := scheduler.BackOffFunc(func(attempt int, err error) scheduler.Yield {
		fmt.Printf("attempt %d: %v\n", attempt, err)
		givenBack.Reset()
		return scheduler.On(&givenBack).Or(scheduler.After(10 * time.Second))
	})
	free := false
	task := scheduler.All(
		scheduler.Retry(again, func(int, error) scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				if !free {
					return errors.New("no quota left")
				}
				fmt.Println("created")
				return nil
			})
		}),
		scheduler.Sequence(scheduler.Pause(scheduler.After(13*time.Second)), scheduler.Func(func(context.Context) error {
			fmt.Println("given back")
			free = true
			givenBack.Set()
			return nil
		})),
	)
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	fmt.Println(scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock}))
	// Output:
	// attempt 1: no quota left
	// attempt 2: no quota left
	// given back
	// created
	// <nil>
}

func ExamplePermanent() {
	errMissing := errors.New("404 image not found")
	task := scheduler.Retry(everySecond{}, func(attempt int, _ error) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println("attempt", attempt)
			if attempt == 1 {
				return errors.New("503 try again")
			}
			return scheduler.Permanent(errMissing)
		})
	})
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	err := scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock})
	fmt.Println(err, errors.Is(err, errMissing))
	// Output:
	// attempt 1
	// attempt 2
	// 404 image not found true
}

type everySecond struct{}

func (everySecond) NextBackOff() time.Duration { return time.Second }

func ExampleRetryCall() {
	asked := 0
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		address, err := scheduler.RetryCall(co, noPause{}, func(context.Context) (string, error) {
			if asked++; asked < 3 {
				return "", errors.New("503 try again")
			}
			return "10.0.0.7", nil
		})
		fmt.Println(address, err)
		return err
	})
	fmt.Println(scheduler.Run(context.Background(), task, nil))
	// Output:
	// 10.0.0.7 <nil>
	// <nil>
}

type noPause struct{}

func (noPause) NextBackOff() time.Duration { return 0 }

func ExamplePollCall() {
	asked := 0
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		address, err := scheduler.PollCall(co, time.Millisecond, func(context.Context) (string, bool, error) {
			asked++
			return fmt.Sprint("10.0.0.", asked), asked == 3, nil
		})
		fmt.Println(address)
		return err
	})
	fmt.Println(scheduler.Run(context.Background(), task, nil))
	// Output:
	// 10.0.0.3
	// <nil>
}

// The nearest mirror that has the file wins.
func ExampleFirst() {
	from := func(mirror string, takes time.Duration, err error) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(takes)); err != nil {
				fmt.Println(mirror, "ends:", err)
				return err
			}
			fmt.Println(mirror, "answers:", err)
			return err
		})
	}
	task := scheduler.First(
		from("far", time.Minute, nil),
		from("broken", time.Second, errors.New("404 not found")),
		from("near", 2*time.Second, nil),
	)
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	fmt.Println(scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock}))
	// Output:
	// broken answers: 404 not found
	// near answers: <nil>
	// far ends: scheduler: closed
	// <nil>
}

func ExampleWithTimeout() {
	task := scheduler.Sequence(
		scheduler.WithTimeout(time.Minute, scheduler.Named("booting", scheduler.Pause(scheduler.After(50*time.Second)))),
		scheduler.WithTimeout(time.Minute, scheduler.Named("probing", scheduler.Pause(scheduler.After(time.Hour)))),
	)
	clock := schedulertest.NewClock(time.Time{}).Alone() // no real time passes
	err := scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock})
	fmt.Println(err, errors.Is(err, context.DeadlineExceeded))
	// Output: probing: timed out after 1m0s true
}

// A clean-up must not mistake its own end for a failure of the work.
func ExampleInterrupted() {
	for _, err := range []error{
		nil,
		errors.New("disk full"),
		scheduler.ErrClosed,
		fmt.Errorf("uploading: %w", &scheduler.StopError{}),
		errors.Join(&scheduler.StopError{}, errors.New("disk full")),
	} {
		fmt.Println(scheduler.Interrupted(err))
	}
	// Output:
	// false
	// false
	// true
	// true
	// false
}
