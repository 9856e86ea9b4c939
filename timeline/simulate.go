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
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k K) scheduler.Task {
		if d := took(k); d > 0 {
			return scheduler.Pause(scheduler.After(d))
		}
		return nothing
	}, simulated(opts))
	if err != nil {
		return 0, err
	}
	clock := schedulertest.NewClock(time.Time{}).Alone()
	began := clock.Now()
	err = scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock})
	return clock.Now().Sub(began), err
}

var nothing = scheduler.Func(func(context.Context) error { return nil })

// simulated returns the options that a simulation heeds.
func simulated[K comparable](opts *scheduler.GroupOptions[K]) *scheduler.GroupOptions[K] {
	if opts == nil {
		return nil
	}
	o := &scheduler.GroupOptions[K]{
		Name: opts.Name, Reverse: opts.Reverse, Limit: opts.Limit, Claims: opts.Claims, Completed: opts.Completed,
	}
	if o.Limit != 0 || o.Claims != nil { // it is an error without
		o.Priority, o.Estimate = opts.Priority, opts.Estimate
	}
	return o
}
