package schedulertest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// A task that waits for a day is tested in no time.
func ExampleClock() {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	start := clock.Now()
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		return co.Yield(scheduler.After(24 * time.Hour))
	})
	err := scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock})
	fmt.Println(err, clock.Now().Sub(start), clock.Pauses())
	// Output: <nil> 24h0m0s [24h0m0s]
}

// Between the steps of a task a test looks at what it has done. In a test t is
// the *testing.T.
func ExampleDriver() {
	var t schedulertest.TestingT = &fakeT{}
	attempts := 0
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for attempts = 1; attempts < 4; attempts++ {
			if err := co.Yield(scheduler.After(10 * time.Second)); err != nil {
				return err
			}
		}
		return nil
	})
	d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Name: "retry", Timeout: 25 * time.Second})
	d.Step()
	fmt.Println(attempts, d.Parked())
	d.Clock.Advance(10 * time.Second)
	fmt.Println(attempts, d.Parked())
	d.Step()
	fmt.Println(attempts, d.Parked())
	fmt.Println(d.RunToEnd())
	// Output:
	// 1 true
	// 1 false
	// 2 true
	// retry: timed out after 25s
}

// What happens in a group, and in which order, compared as text.
func ExampleRecorder() {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	rec := schedulertest.NewRecorder(clock)
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "disk", "net")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
		if k == "disk" {
			return scheduler.Pause(scheduler.After(3 * time.Second))
		}
		return scheduler.Func(func(context.Context) error { return nil })
	}, &scheduler.GroupOptions[string]{Observer: rec})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock})
	fmt.Print(rec)
	fmt.Println(err)
	// Output:
	// 0s 1 disk: pending -> running
	// 0s 1 net: pending -> running
	// 0s 1 net: running -> succeeded
	// 3s 2 disk: running -> succeeded
	// 3s 2 server: pending -> running
	// 3s 2 server: running -> succeeded
	// <nil>
}

// Which task was stepped when, and what it answered.
func ExampleRecorder_Task() {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	rec := schedulertest.NewRecorder(clock)
	task := scheduler.All(
		rec.Task("slow", scheduler.Pause(scheduler.After(2*time.Second))),
		rec.Task("fast", scheduler.Pause(scheduler.Next)),
	)
	err := scheduler.Run(context.Background(), task, &scheduler.RunnerOptions{Clock: clock})
	fmt.Print(rec)
	fmt.Println(err)
	// Output:
	// 0s slow.step = after 2s
	// 0s fast.step = next
	// 0s fast.step = done
	// 2s slow.step = done
	// <nil>
}

// A call lets simulated time pass by Sleep. A test may give the clock InBubble as well.
func ExampleSleep() {
	clock := schedulertest.NewClock(time.Time{})
	err := scheduler.Run(context.Background(), scheduler.Blocking(func(ctx context.Context) error {
		return schedulertest.Sleep(ctx, 2*time.Hour) // a slow API
	}), &scheduler.RunnerOptions{Name: "ask", Clock: clock, Timeout: time.Hour})
	fmt.Println(err, "/", clock.Elapsed())
	// Output: ask: timed out after 1h0m0s / 1h0m0s
}

// An engine that does not look whether an earlier process has made the server already. In
// a test t is the *testing.T, in a bubble of testing/synctest, and Bubble is synctest.Wait.
func ExampleExplore() {
	var t fakeT
	schedulertest.Explore(&t, nil, func(w *schedulertest.World) error {
		servers := 0 // in the cloud
		done := false
		up := func() scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				err := co.Await(scheduler.Blocking(func(ctx context.Context) error {
					return w.Do(ctx, "create server", func() error { servers++; return nil })
				}))
				if err == nil {
					w.Save("server", func() { done = true })
				}
				return err
			})
		}
		w.Always("one server", func() error {
			if servers > 1 {
				return fmt.Errorf("there are %d", servers)
			}
			return nil
		})
		_ = w.Run("up", up())
		if !done {
			_ = w.Run("up again", up())
		}
		return nil
	})
	fmt.Println(t.failures[0])
	// Output:
	// schedule 5 of 1000 fails; 8 choices, shrunk to 1 in 11 runs
	// one server: there are 2
	//     0s  up begins
	//     1s  create server: done
	//     1s  ** crash
	//     1s  up ends: schedulertest: the process crashed
	//     1s  up again begins
	//     2s  create server: done
	// replay: schedulertest.ExploreOptions{Replay: "when create server took effect, is not answered=1"}
}
