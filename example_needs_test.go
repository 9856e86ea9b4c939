package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/steptask/scheduler"
)

// A node that cleans up is started whatever has failed, and one that is switched off
// passes, so that the order of what is behind it stays.
func ExampleGroupOptions_when() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("test", "build")
	deps.Add("scan", "build")
	deps.Add("deploy", "test", "scan")
	deps.Add("clean up", "deploy")
	job := func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println(name)
			if name == "test" {
				return errors.New("2 tests failed")
			}
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, job, &scheduler.GroupOptions[string]{
		AggregateErrors: true,
		When: func(name string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			switch name {
			case "scan": // it is switched off
				return scheduler.Pass
			case "clean up":
				return scheduler.Start
			}
			return scheduler.Usual
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	for o := range group.Outcomes() {
		fmt.Println(o.Key, o.State, "because of", o.Because)
	}
	// Output:
	// build
	// test
	// clean up
	// 1 task failed:
	// - test: 2 tests failed
	// test failed because of test
	// deploy skipped because of test
}
