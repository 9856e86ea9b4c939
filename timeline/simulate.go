package timeline

import (
	"context"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// Simulate returns how long a run of deps would take if each node took as long as
// took returns; zero or less is done at once. Of opts, which may be nil, it uses the
// options that influence the result: Reverse, Limit, Claims, Priority, Estimate and
// Completed. It runs the library itself on a simulated clock, so these options act as
// they do in a real run, and takes as long as a run of tasks that do nothing.
//
// Claims must be on Limiters that no other run uses; otherwise Simulate panics.
//
// Errors are those of [scheduler.NewDependencyTaskGroup], and a
// [*scheduler.DeadlockError] if claims can never be met.
func Simulate[K comparable](
	deps *scheduler.Dependencies[K], took func(K) time.Duration, opts *scheduler.GroupOptions[K],
) (time.Duration, error) {
	if took == nil {
		return 0, &scheduler.OptionError{Option: "took", Reason: "nil function"}
	}
	return simulate(deps, func(k K) scheduler.Task { return work(took(k)) }, opts)
}

// simulate returns how long a run of tasks takes that do nothing but wait.
func simulate[K comparable](
	deps *scheduler.Dependencies[K], task func(K) scheduler.Task, opts *scheduler.GroupOptions[K],
) (time.Duration, error) {
	group, err := scheduler.NewDependencyTaskGroup(deps, task, simulated(opts))
	if err != nil {
		return 0, err
	}
	clock := schedulertest.NewClock(time.Time{}).Alone()
	began := clock.Now()
	err = scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock})
	return clock.Now().Sub(began), err
}

// work takes as long as d.
func work(d time.Duration) scheduler.Task {
	if d > 0 {
		return scheduler.Pause(scheduler.After(d))
	}
	return nothing
}

// service is ready after up, and takes as long as down to end.
func service(up, down time.Duration) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Yield(scheduler.After(up)); err != nil {
			return err
		}
		co.Ready()
		if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
			return err
		}
		return co.Yield(scheduler.After(down))
	})
}

var nothing = scheduler.Func(func(context.Context) error { return nil })

// simulated returns the options that a simulation heeds.
func simulated[K comparable](opts *scheduler.GroupOptions[K]) *scheduler.GroupOptions[K] {
	if opts == nil {
		return nil
	}
	o := &scheduler.GroupOptions[K]{
		Name: opts.Name, Reverse: opts.Reverse, Limit: opts.Limit, Claims: opts.Claims, Completed: opts.Completed,
		Grace: scheduler.NoLimit, // services end in their own time
	}
	if o.Limit != 0 || o.Claims != nil { // it is an error without
		o.Priority, o.Estimate = opts.Priority, opts.Estimate
	}
	return o
}
