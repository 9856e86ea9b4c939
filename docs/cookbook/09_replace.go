package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

var errReplaced = errors.New("replaced by a newer update")

// updater brings a site to the version that was submitted last.
type updater struct {
	cloud *cloud
	say   say
	has   map[string]int // the version of each node; only the driving goroutine uses it

	mu      sync.Mutex
	version int                   // guarded by mu: the version that is wanted
	runner  *scheduler.TaskRunner // guarded by mu: the update under way, or nil
}

// submit asks for a version. It may be called from any goroutine.
func (u *updater) submit(version int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.version = version
	if u.runner != nil {
		u.runner.Interrupt(errReplaced)
	}
}

// run returns when the site has the version that was submitted last.
func (u *updater) run(ctx context.Context) error {
	for reached := 0; ; {
		version, update, err := u.begin(reached)
		if update == nil {
			return err // nil: there is nothing newer
		}
		err = update.Run(ctx)
		switch {
		case err == nil:
			reached = version
		case errors.Is(err, errReplaced):
			u.say("%v: %v", update, err)
		default:
			return err
		}
	}
}

// begin returns a runner for the update to the version that is wanted now, or
// none if that is reached.
func (u *updater) begin(reached int) (int, *scheduler.TaskRunner, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	version := u.version
	if version == reached {
		return 0, nil, nil
	}
	group, err := scheduler.NewDependencyTaskGroup(site(), func(name string) scheduler.Task {
		return u.updateNode(name, version)
	}, &scheduler.GroupOptions[string]{
		Name:      fmt.Sprintf("update to version %d", version),
		Completed: func(name string) bool { return u.has[name] == version },
		Grace:     10 * time.Second, // what has begun comes to its end
	})
	if err != nil {
		return 0, nil, err
	}
	u.runner = scheduler.NewTaskRunner(group, nil)
	return version, u.runner, nil
}

func (u *updater) updateNode(name string, version int) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		u.say("update %s to version %d", name, version)
		err := co.Yield(scheduler.After(u.cloud.takes(name)))
		if err == nil {
			u.has[name] = version
			u.say("%s has version %d", name, version)
		}
		return err
	})
}

// replaceUpdate submits a second version while the first is being rolled out.
func replaceUpdate(ctx context.Context, cloud *cloud, say say) error {
	u := &updater{cloud: cloud, say: say, has: map[string]int{}}
	u.submit(1)
	time.AfterFunc(2*time.Second, func() { u.submit(2) })
	return u.run(ctx)
}
