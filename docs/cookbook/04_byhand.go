package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/steptask/scheduler"
)

// resumeByHand is resume with a state file of its own.
func resumeByHand(ctx context.Context, cloud *cloud, say say) error {
	dir, err := os.MkdirTemp("", "cookbook")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	state := filepath.Join(dir, "site.json")

	// A process that dies: it ends at once, and nothing is cleaned up.
	killed, kill := context.WithTimeoutCause(ctx, 5*time.Second, errors.New("killed"))
	defer kill()
	say("first process: %v", upByHand(killed, cloud, state, say))

	text, err := os.ReadFile(state)
	if err != nil {
		return err
	}
	say("%s", text)
	return upByHand(ctx, cloud, state, say)
}

// upByHand creates what the state file does not know as completed.
func upByHand(ctx context.Context, cloud *cloud, state string, say say) error {
	earlier, err := load(state)
	if err != nil {
		return err
	}
	var group *scheduler.DependencyTaskGroup[string]
	var runner *scheduler.TaskRunner
	group, err = scheduler.NewDependencyTaskGroup(site(), creating(cloud, say), &scheduler.GroupOptions[string]{
		Completed: earlier.Resume(),
		Observer: scheduler.ObserverFunc(func(scheduler.Record) {
			// Also before each start: what is not on file was not begun.
			if err := save(state, group.Snapshot().After(earlier)); err != nil {
				runner.Stop(err) // without a record nothing more is to start
			}
		}),
	})
	if err != nil {
		return err
	}
	runner = scheduler.NewTaskRunner(group, nil)
	return runner.Run(ctx)
}

func load(path string) (s scheduler.Snapshot[string], err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil // the first run
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// save replaces the file: a crash leaves the old one or the new one.
func save(path string, s scheduler.Snapshot[string]) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
