package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// resume is killed in the middle of a run, and goes on in a second one.
func resume(ctx context.Context, cloud *cloud, say say) error {
	dir, err := os.MkdirTemp("", "cookbook")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "site.db")

	// A process that dies: it ends at once, and nothing is cleaned up.
	killed, kill := context.WithTimeoutCause(ctx, 3*time.Second, errors.New("killed"))
	defer kill()
	say("first process: %v", up(killed, cloud, file, say))
	return up(ctx, cloud, file, say)
}

// up creates what the file does not know as done.
func up(ctx context.Context, cloud *cloud, file string, say say) error {
	j, err := journal.Open(file, nil)
	if err != nil {
		return err
	}
	defer func() { _ = j.Close() }()
	run, err := journal.NewGroup(j, "site", site(), func(n *journal.Node[string]) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			say("%s, attempt %d", n.Key(), n.Attempt())
			id, err := journal.Step(co, "create", func(ctx context.Context) (string, error) {
				return cloud.create(ctx, n.Key()) // blocks; is not called again once it has succeeded
			})
			if err != nil {
				return err
			}
			err = co.Await(scheduler.Poll(2*time.Second, func(ctx context.Context) (bool, error) {
				return cloud.ready(ctx, id)
			}))
			if err != nil {
				return err
			}
			say("%s is ready", id)
			return n.SetResult(id) // for journal.Result, in nodes that require it
		})
	}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = run.Close() }() // if ctx has ended, Run does not begin it
	return scheduler.Run(ctx, run, nil)
}
