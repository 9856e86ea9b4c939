package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

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

// A database is there for as long as something needs it: the tests start when it is
// ready, and it ends when they have.
func ExampleReady() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("migrate", "database")
	deps.Add("test", "migrate")
	task := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if name != "database" {
				fmt.Println(name)
				return nil
			}
			fmt.Println("database is up")
			co.Ready()
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			fmt.Println("database ends:", co.StopCause())
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, task, &scheduler.GroupOptions[string]{Grace: time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	// Output:
	// database is up
	// migrate
	// test
	// database ends: scheduler: not needed any more
	// <nil>
}

// One node is taken out of a run, with what depends on it.
func ExampleDependencyTaskGroup_SkipNode() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("deploy", "build")
	deps.Add("announce", "deploy")
	var group *scheduler.DependencyTaskGroup[string]
	task := func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println(name)
			group.SkipNode("announce", errors.New("a release candidate"))
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, task, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scheduler.Run(context.Background(), group, nil))
	fmt.Println(group.State("announce"), group.Err("announce"))
	// Output:
	// build
	// deploy
	// <nil>
	// skipped announce: a release candidate
}
