package comingfrom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/steptask/scheduler"
)

var errQuota = errors.New("no more quota")

// polls is how many it takes; others take one.
var polls = map[string]int{"volume": 3, "server": 2, "bucket": 4}

func poll(co *scheduler.Coroutine, name string) error {
	for range max(1, polls[name]) {
		if err := co.Yield(scheduler.Next); err != nil {
			return err
		}
	}
	return nil
}

// heatAfter creates a site, and deletes it again.
func heatAfter(ctx context.Context, w io.Writer) error {
	create := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			fmt.Fprintln(w, "create", name)
			if err := poll(co, name); err != nil {
				return err
			}
			if name == "bucket" {
				return errQuota
			}
			fmt.Fprintln(w, name, "is ready")
			return nil
		})
	}
	remove := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			fmt.Fprintln(w, "delete", name)
			if err := poll(co, name); err != nil {
				return err
			}
			fmt.Fprintln(w, name, "is gone")
			return nil
		})
	}

	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("dns", "server")
	deps.Add("bucket")
	options := &scheduler.RunnerOptions{Wait: time.Second, Timeout: time.Minute}

	up, err := scheduler.NewDependencyTaskGroup(deps, create, nil)
	if err != nil {
		return err
	}
	if err := scheduler.Run(ctx, up, options); errors.Is(err, errQuota) {
		fmt.Fprintln(w, "error:", errQuota)
	} else if err != nil {
		return err
	}
	down, err := scheduler.NewDependencyTaskGroup(deps, remove, &scheduler.GroupOptions[string]{Reverse: true})
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, down, options)
}
