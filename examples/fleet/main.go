package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: fleet    runs a thousand small stacks by simulated time") }
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	const stacks = 1000
	clock := schedulertest.NewClock(time.Time{}) // a demonstration needs no real time
	start := clock.Now()
	fleet := New(clock)
	for i := range stacks {
		fleet.Add(fmt.Sprintf("stack-%03d", i), stack(i))
	}
	errs := fleet.Run(context.Background())
	fmt.Printf("%d stacks in %v of simulated time, %d failed\n", stacks, clock.Now().Sub(start), len(errs))
	if errs["stack-500"] == nil {
		fmt.Fprintln(os.Stderr, "stack-500 should have failed")
		os.Exit(1)
	}
	fmt.Println("stack-500:", errs["stack-500"])
}

// stack is a small graph whose nodes take a while. One in 500 fails.
func stack(i int) scheduler.Task {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("dns", "server")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(node string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(time.Duration(1+i%7) * time.Second)); err != nil {
				return err
			}
			if i%500 == 0 && node == "server" {
				return errors.New("no more quota")
			}
			return nil
		})
	}, nil)
	if err != nil {
		return scheduler.Func(func(context.Context) error { return err })
	}
	return group
}
