package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/examples/stack/internal/state"
)

// down deletes a stack. While an up drives it, that one is asked to do it; if
// it dies on the way, down goes on itself.
func down(ctx context.Context, args []string) error {
	signals := catchInterrupts()
	var s settings
	f := s.flags("down")
	s.progressFlag(f)
	if err := s.parse(f, args); err != nil {
		return err
	}
	progress, err := s.view(nil)
	if err != nil {
		return err
	}
	path := engine.StatePath(s.dir, s.name)
	asked := false
	for ; state.Exists(path); asked = true {
		e, err := engine.Open(ctx, engine.Options{Name: s.name, Dir: s.dir, View: progress, Deleting: true})
		var held *state.HeldError
		switch {
		case err == nil:
			return closed(e, finish(ctx, signals, e.Down))
		case !errors.As(err, &held):
			return err
		case !asked:
			fmt.Printf("Asking process %d, which drives the stack, to delete it.\n", held.Owner.PID)
			if err := held.Owner.Interrupt(); err != nil {
				return err
			}
		}
		waiting, end := signals.phase(ctx)
		err = scheduler.Run(waiting, untilReleased(held.Owner, path), nil)
		end()
		if err != nil {
			return err
		}
	}
	if asked {
		fmt.Printf("The stack %q is gone.\n", s.name)
	} else {
		fmt.Printf("Nothing to delete: there is no stack %q.\n", s.name)
	}
	return engine.CleanUp(s.dir) // of what an up that was killed at once had begun
}

// untilReleased returns a task that waits until a process gives up a stack: it
// ends, or removes the state file.
func untilReleased(owner process.ID, path string) scheduler.Task {
	const every = 50 * time.Millisecond
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for owner.Alive() && state.Exists(path) {
			if err := co.Yield(scheduler.After(every)); err != nil {
				return err
			}
		}
		return nil
	})
}
