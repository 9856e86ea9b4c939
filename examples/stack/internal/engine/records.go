package engine

import (
	"context"
	"maps"
	"slices"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/journal"
)

// run returns what there is of the stack now.
func (e *Engine) run(ctx context.Context) (run state.Run, err error) {
	if e.store == nil {
		run.Records = maps.Clone(e.simulated)
	} else if run, err = e.store.Run(ctx); err != nil {
		return run, err
	}
	for name := range e.deleted {
		delete(run.Records, name)
	}
	return run, nil
}

// left returns what is there, complete or not, in the order of the dependencies.
func (e *Engine) left(ctx context.Context) ([]state.Record, error) {
	run, err := e.run(ctx)
	if err != nil {
		return nil, err
	}
	var list []state.Record
	if e.deps != nil {
		for name := range e.deps.All() {
			if rec, there := run.Records[name]; there {
				list = append(list, rec)
				delete(run.Records, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(run.Records)) { // of another template, if it was refused
		list = append(list, run.Records[name])
	}
	return list, nil
}

// recorder writes to the journal.
type recorder struct{}

func (recorder) Step(
	co *scheduler.Coroutine, _ *resource.Resource, step string, fn func(ctx context.Context) (state.Known, error),
) (state.Known, error) {
	known, err := journal.Step(co, step, fn)
	if err == nil {
		err = journal.Sync(co)
	}
	return known, err
}

// memory keeps the records of a simulation, which leaves no file behind.
type memory map[string]state.Record

func (m memory) Step(
	co *scheduler.Coroutine, r *resource.Resource, _ string, fn func(ctx context.Context) (state.Known, error),
) (state.Known, error) {
	known, err := fn(co.Context())
	if err == nil {
		m.set(r, state.Creating, nil)
	}
	return known, err
}

// set keeps what a task has come to.
func (m memory) set(r *resource.Resource, status state.Status, err error) {
	rec := state.Record{Name: r.Name, Known: r.Known(), Status: status, Complete: r.Complete}
	if err != nil {
		rec.Reason = err.Error()
	}
	m[r.Name] = rec
}

func (m memory) has(name string) bool {
	_, ok := m[name]
	return ok
}
