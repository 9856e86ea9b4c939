package porting

import (
	"context"
	"iter"
	"time"

	"github.com/steptask/scheduler"
)

// retryUntilTimeout keeps its name, so that plans hardly change. It takes the name
// of the node for the text of its Timeout.
func retryUntilTimeout(name string, every, limit time.Duration, task func() scheduler.Task) scheduler.Task {
	again := scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.After(every) })
	retry := scheduler.Retry(again, func(int, error) scheduler.Task { return task() })
	return scheduler.WithTimeout(limit, scheduler.Named(name, retry))
}

// flowAfter brings the same cluster up.
func flowAfter(ctx context.Context, w world) error {
	call := func(name string) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return w.call(ctx, name) })
	}
	deps := scheduler.NewDependencies[string]()
	tasks := map[string]func() scheduler.Task{}
	skipped := map[string]bool{"dns": true}
	add := func(name string, task func() scheduler.Task, requires ...string) string {
		deps.Add(name, requires...)
		tasks[name] = task
		return name
	}
	network := add("network", func() scheduler.Task { return call("network") })
	etcd := add("etcd", func() scheduler.Task {
		return retryUntilTimeout("etcd", 5*time.Second, time.Minute, func() scheduler.Task { return call("etcd") })
	}, network)
	dns := add("dns", func() scheduler.Task { return call("dns") }, network)
	add("api server", func() scheduler.Task {
		return scheduler.Sequence(call("certificates"), call("api server"))
	}, etcd, dns)

	ended := 0
	group, err := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return tasks[name]()
	}, &scheduler.GroupOptions[string]{
		AggregateErrors: true,
		When: func(name string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			for _, state := range required {
				if state != scheduler.StateSucceeded {
					return scheduler.Skip
				}
			}
			if skipped[name] {
				return scheduler.Pass // those after it start
			}
			return scheduler.Usual
		},
		Observer: scheduler.ObserverFunc(func(r scheduler.Record) { // on one goroutine
			if r.To == scheduler.StateSucceeded {
				ended++
				w.say("%d%%", 100*ended/r.Group().Len())
			}
		}),
	})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, group, nil)
}
