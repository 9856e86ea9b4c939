package main

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/steptask/scheduler"
)

// testBehindServices starts a database and a server, tests them, and ends them again.
// Whatever becomes of the tests, the logs are kept.
func testBehindServices(ctx context.Context, _ *cloud, say say) error {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "database")
	deps.Add("test", "server")
	deps.Add("publish", "test")
	deps.Add("keep logs", "test", "server")
	group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		switch name {
		case "database", "server":
			return service(name, say)
		}
		return job(name, say)
	}, &scheduler.GroupOptions[string]{
		AggregateErrors: true,
		Grace:           10 * time.Second,
		When: func(name string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			if name == "keep logs" {
				return scheduler.Start // also if the tests have failed
			}
			return scheduler.Usual
		},
	})
	if err != nil {
		return err
	}
	err = scheduler.Run(ctx, group, nil)
	say("database %s, publish %s", group.State("database"), group.State("publish"))
	return err
}

// service is ready after a second, and takes a second to end once it is told to.
func service(name string, say say) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Yield(scheduler.After(time.Second)); err != nil {
			return err
		}
		say("%s is ready", name)
		co.Ready()
		if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
			return err
		}
		say("%s: %v", name, co.StopCause())
		return co.Yield(scheduler.After(time.Second))
	})
}

func job(name string, say say) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		say("%s", name)
		if err := co.Yield(scheduler.After(2 * time.Second)); err != nil {
			return err
		}
		if name == "test" {
			return errors.New("2 tests failed")
		}
		return nil
	})
}
