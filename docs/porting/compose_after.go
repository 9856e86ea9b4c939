package porting

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/steptask/scheduler"
)

// composeAfter keeps a project up until ctx ends, and then ends it in reverse.
func composeAfter(ctx context.Context, w world) error {
	group, err := scheduler.NewDependencyTaskGroup(scheduler.DependenciesOf(project), func(name string) scheduler.Task {
		return service(name, w)
	}, &scheduler.GroupOptions[string]{
		Limit:    2, // of those that are on their way up; services that are ready do not count
		KeepOpen: true,
		Grace:    10 * time.Second,
		OnError: func(name string, err error) scheduler.Disposition {
			if name == "cache" {
				w.say("warning: %s: %v", name, err)
				return scheduler.IgnoreError
			}
			return scheduler.StopGroup
		},
		When: func(name string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			for r, state := range required {
				if state.Ended() && state != scheduler.StateSucceeded && !optional[[2]string{name, r}] {
					return scheduler.Skip
				}
			}
			return scheduler.Usual
		},
	})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, &scheduler.RunnerOptions{Grace: 10 * time.Second})
}

// service starts a service, is ready when the service is, and stops it on notice.
// A job is a service that those after it need to have ended.
func service(name string, w world) scheduler.Task {
	call := func(what string) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return w.call(ctx, what+" "+name) })
	}
	check := scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
		if cause := scheduler.StopCause(ctx); cause != nil {
			return false, cause
		}
		err := w.call(ctx, "check "+name)
		if errors.Is(err, errNotYet) {
			return false, nil
		}
		return err == nil, err
	})
	if name == "migrate" {
		return scheduler.Sequence(call("start"), check)
	}
	live := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Await(check); err != nil {
			return err
		}
		co.Ready()
		if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
			return err
		}
		return co.StopCause()
	})
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Await(call("start")); err != nil {
			return err
		}
		return co.Await(scheduler.Finally(live, call("stop")))
	})
}

// composeDown stops a project that another process has left running.
func composeDown(ctx context.Context, w world) error {
	stop := func(ctx context.Context, name string) error { return w.call(ctx, "stop "+name) }
	return scheduler.Walk(ctx, scheduler.DependenciesOf(project), stop, &scheduler.GroupOptions[string]{
		Reverse: true, AggregateErrors: true, Limit: 2,
	})
}
