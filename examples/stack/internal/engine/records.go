package engine

import (
	"context"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/state"
)

// records returns what is recorded now.
func (e *Engine) records(ctx context.Context) (map[string]state.Record, error) {
	if e.store == nil {
		return e.simulated, nil
	}
	return e.store.Records(ctx)
}

// left returns what is there, complete or not.
func (e *Engine) left(ctx context.Context) ([]state.Record, error) {
	records, err := e.records(ctx)
	if err != nil {
		return nil, err
	}
	var list []state.Record
	listed := map[string]bool{}
	add := func(deps *scheduler.Dependencies[string]) {
		for name := range deps.All() {
			if rec, there := records[name]; there && !listed[name] && !e.forgotten[name] {
				listed[name] = true
				list = append(list, rec)
			}
		}
	}
	if e.deps != nil {
		add(e.deps)
	}
	add(dependencies(records)) // those of another template, if it was refused
	return list, nil
}

// recorder keeps records in the state file.
type recorder struct{ store *state.Store }

func (r recorder) Save(co *scheduler.Coroutine, rec state.Record) error {
	_, err := scheduler.Call(co, func(ctx context.Context) (any, error) { return nil, r.store.Save(ctx, rec) })
	return err
}

func (r recorder) Delete(co *scheduler.Coroutine, name string) error {
	_, err := scheduler.Call(co, func(ctx context.Context) (any, error) { return nil, r.store.Delete(ctx, name) })
	return err
}

// memory keeps records for a simulation, which leaves no file behind.
type memory map[string]state.Record

func (m memory) Save(_ *scheduler.Coroutine, rec state.Record) error {
	m[rec.Name] = rec
	return nil
}

func (m memory) Delete(_ *scheduler.Coroutine, name string) error {
	delete(m, name)
	return nil
}
