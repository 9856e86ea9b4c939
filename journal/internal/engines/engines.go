package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// survives is what may die without a loss.
type survives string

const (
	process survives = "process"
	machine survives = "machine"
)

// engine is a way to walk a graph durably.
type engine struct {
	name     string
	survives survives
	walk     func(ctx context.Context, dir string, g graph) (time.Duration, error)
}

// engines begins with the two that others are compared with, like with like.
var engines = []engine{
	{"journal, Full", machine, journaled(journal.Full)},
	{"journal, Normal", process, journaled(journal.Normal)},
	{"snapshot a transition, synced", machine, snapshots(true)},
	{"snapshot a transition", process, snapshots(false)},
	{"DBOS Transact, synchronous=FULL", machine, dbosWalk("FULL")},
	{"DBOS Transact, its default", process, dbosWalk("NORMAL")},
	{"go-workflows, its default", machine, goWorkflows("full")},
	{"go-workflows, synchronous=NORMAL", process, goWorkflows("normal")},
}

func noop(context.Context) error { return nil }

func journaled(sync journal.Synchronous) func(context.Context, string, graph) (time.Duration, error) {
	return func(ctx context.Context, dir string, g graph) (time.Duration, error) {
		j, err := journal.Open(filepath.Join(dir, "journal.db"), &journal.Options{Synchronous: sync})
		if err != nil {
			return 0, err
		}
		deps := g.dependencies()
		start := time.Now()
		r, err := journal.NewGroup(j, "x", deps, func(*journal.Node[string]) scheduler.Task { return scheduler.Func(noop) }, nil)
		if err == nil {
			err = scheduler.Run(ctx, r, nil)
		}
		took := time.Since(start)
		return took, errors.Join(err, j.Close())
	}
}

// snapshots is what a program without the journal does: it writes what the group
// says of itself at each change of a node's state.
func snapshots(sync bool) func(context.Context, string, graph) (time.Duration, error) {
	return func(ctx context.Context, dir string, g graph) (time.Duration, error) {
		deps, path := g.dependencies(), filepath.Join(dir, "state.json")
		start := time.Now()
		var group *scheduler.DependencyTaskGroup[string]
		var runner *scheduler.TaskRunner
		group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task { return scheduler.Func(noop) },
			&scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(scheduler.Record) {
				if err := save(path, group.Snapshot(), sync); err != nil {
					runner.Stop(err)
				}
			})})
		if err != nil {
			return 0, err
		}
		runner = scheduler.NewTaskRunner(group, nil)
		err = runner.Run(ctx)
		return time.Since(start), err
	}
}

func save(path string, s scheduler.Snapshot[string], sync bool) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
