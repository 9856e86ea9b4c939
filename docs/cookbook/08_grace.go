package main

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
)

// cleanUpUnderGrace is asked to stop after five seconds, and has ten to end well.
func cleanUpUnderGrace(ctx context.Context, _ *cloud, say say) error {
	ctx, stop := context.WithTimeoutCause(ctx, 5*time.Second, errors.New("the machine goes down"))
	defer stop()

	// A coroutine looks at the notice where it can end.
	migrate := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for batch := 1; batch <= 10; batch++ {
			if err := co.Yield(scheduler.After(3 * time.Second)); err != nil {
				return err
			}
			say("batch %d is migrated", batch)
			if co.Stopping().IsSet() {
				return co.StopCause()
			}
		}
		return nil
	})
	// A call that blocks gets it as a channel.
	upload := scheduler.Blocking(func(ctx context.Context) error {
		select {
		case <-scheduler.Stopping(ctx):
			return errors.New("upload broken off")
		case <-ctx.Done(): // the grace is over
			return context.Cause(ctx)
		case <-time.After(time.Minute): // the upload
			return nil
		}
	})
	// And this runs whatever came of the upload.
	removeParts := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		say("remove the parts of the upload")
		if err := co.Yield(scheduler.After(2 * time.Second)); err != nil {
			return err
		}
		say("the parts are gone")
		return nil
	})

	tasks := map[string]scheduler.Task{"migrate": migrate, "upload": scheduler.Finally(upload, removeParts)}
	deps := scheduler.NewDependencies[string]()
	deps.Add("migrate")
	deps.Add("upload")
	deps.Add("report", "migrate", "upload") // never starts
	group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return tasks[name]
	}, &scheduler.GroupOptions[string]{Grace: 10 * time.Second})
	if err != nil {
		return err
	}
	err = scheduler.Run(ctx, group, &scheduler.RunnerOptions{Grace: 10 * time.Second})
	for name, state := range group.All() {
		say("%s: %v", name, state)
	}
	return err
}
