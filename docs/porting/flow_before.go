package porting

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// taskFn is a task of a flow, and the methods make others of it.
type taskFn func(ctx context.Context) error

func (t taskFn) retryUntilTimeout(every, limit time.Duration) taskFn {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		for {
			err := t(ctx)
			if err == nil {
				return nil
			}
			select {
			case <-time.After(every):
			case <-ctx.Done():
				return fmt.Errorf("%w, last error: %w", ctx.Err(), err)
			}
		}
	}
}

func (t taskFn) skipIf(skip bool) taskFn {
	if skip {
		return func(context.Context) error { return nil }
	}
	return t
}

func sequential(tasks ...taskFn) taskFn {
	return func(ctx context.Context) error {
		for _, t := range tasks {
			if err := t(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// flow is a graph of tasks whose edges can only lead to earlier ones.
type flow struct {
	tasks    map[string]taskFn
	requires map[string][]string
}

func (f *flow) add(name string, t taskFn, requires ...string) string {
	for _, r := range requires {
		if f.tasks[r] == nil {
			panic("unknown task " + r)
		}
	}
	f.tasks[name], f.requires[name] = t, requires
	return name
}

// run starts tasks as they become free, and tells how many have ended.
func (f *flow) run(ctx context.Context, progress func(ended, of int)) error {
	type result struct {
		name string
		err  error
	}
	var (
		results = make(chan result)
		begun   = map[string]bool{}
		done    = map[string]bool{}
		running int
		errs    []error
	)
	for {
		for name, t := range f.tasks { // in any order
			if ctx.Err() == nil && !begun[name] && all(f.requires[name], done) {
				begun[name] = true
				running++
				go func() { results <- result{name, t(ctx)} }()
			}
		}
		if running == 0 {
			return errors.Join(errs...)
		}
		r := <-results
		running--
		if r.err != nil {
			errs = append(errs, fmt.Errorf("task %q failed: %w", r.name, r.err))
			continue
		}
		done[r.name] = true
		progress(len(done), len(f.tasks))
	}
}

// flowBefore brings a cluster up.
func flowBefore(ctx context.Context, w world) error {
	call := func(name string) taskFn {
		return func(ctx context.Context) error { return w.call(ctx, name) }
	}
	f := flow{map[string]taskFn{}, map[string][]string{}}
	network := f.add("network", call("network"))
	etcd := f.add("etcd", call("etcd").retryUntilTimeout(5*time.Second, time.Minute), network)
	dns := f.add("dns", call("dns").skipIf(true), network)
	f.add("api server", sequential(call("certificates"), call("api server")), etcd, dns)
	return f.run(ctx, func(ended, of int) { w.say("%d%%", 100*ended/of) })
}
