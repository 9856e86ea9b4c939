package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/state"
)

// Down deletes all that is recorded of the stack, in reverse. It needs no
// template: the records say what there is and what requires what.
func (e *Engine) Down(ctx context.Context) (*Report, error) {
	if err := e.load(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	return e.delete(ctx, func(name string) bool { return !e.resources[name].Recorded })
}

// Rollback deletes what Up has started, what is half made too, over the same
// dependencies in reverse; and what earlier runs had completed.
func (e *Engine) Rollback(ctx context.Context) (*Report, error) {
	if err := e.load(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	return e.delete(ctx, func(name string) bool { return !e.created.Started(name) && !e.resources[name].Recorded })
}

// delete deletes all resources but those that are gone, requirers before what
// they require. One that cannot be deleted keeps what it requires, and nothing
// else.
func (e *Engine) delete(ctx context.Context, gone func(name string) bool) (*Report, error) {
	group, err := scheduler.NewDependencyTaskGroup(e.deps, e.destroy, &scheduler.GroupOptions[string]{
		Name:            "delete",
		Reverse:         true,
		AggregateErrors: true,
		Completed:       gone,
		Observer:        e.observer(),
	})
	if err != nil {
		return nil, err
	}
	items := e.items(func(name string) bool { return !gone(name) })
	slices.Reverse(items)
	err = e.run(ctx, "delete", group, items, &scheduler.RunnerOptions{})
	report := e.report(group, err)
	report.Left, err = e.left(context.WithoutCancel(ctx))
	return report, err
}

// load takes what is known of the resources from the state file. It knows more
// than the tasks of a creation that were cut off could tell.
func (e *Engine) load(ctx context.Context) error {
	records, err := e.records(ctx)
	if err != nil {
		return err
	}
	if e.deps == nil {
		e.deps = dependencies(records)
	}
	for _, r := range e.resources {
		r.Recorded = false
	}
	kindOf := Types(e.opts.Simulate)
	for name, rec := range records {
		kind := e.kinds[name]
		if kind == nil {
			kind = kindOf(rec.Type)
		}
		if kind == nil {
			return fmt.Errorf("%s: the type %s is not known any more", name, rec.Type)
		}
		e.resources[name] = &resource.Resource{
			Name: name, Type: rec.Type, Requires: rec.Requires, Props: rec.Properties, Data: rec.Data, Recorded: true,
			Kind: kind, Host: e.host,
		}
	}
	return nil
}

// dependencies are those of the resources that there are records of.
func dependencies(records map[string]state.Record) *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for _, name := range slices.Sorted(maps.Keys(records)) {
		deps.Add(name)
		for _, required := range records[name].Requires {
			if _, there := records[required]; there {
				deps.Add(name, required)
			}
		}
	}
	return deps
}

// destroy returns the task that deletes a resource.
func (e *Engine) destroy(name string) scheduler.Task {
	r := e.resources[name]
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := e.destroySteps(co, r)
		switch {
		case err == nil:
			r.Recorded = false
			return e.forget(co, r)
		case errors.Is(err, scheduler.ErrClosed):
			return err
		}
		return joined(err, e.unlessFull(e.host.Recorder.Save(co, r.Record(state.DeleteFailed, err.Error()))))
	})
}

func (e *Engine) destroySteps(co *scheduler.Coroutine, r *resource.Resource) error {
	if !r.Recorded {
		return nil // it failed before there was anything
	}
	if err := e.unlessFull(e.host.Recorder.Save(co, r.Record(state.Deleting, ""))); err != nil {
		return err
	}
	if err := e.failAt(r.Name, StepDelete); err != nil {
		return err
	}
	if r.Kind.Delete == nil {
		return nil
	}
	return r.Kind.Delete(co, r)
}

// forget drops the record of a resource that is gone. Without room on the disk
// to do that it is forgotten here: to delete it a second time does no harm.
func (e *Engine) forget(co *scheduler.Coroutine, r *resource.Resource) error {
	err := e.host.Recorder.Delete(co, r.Name)
	if state.IsFull(err) && state.GiveReserve(StatePath(e.opts.Dir, e.opts.Name)) {
		err = e.host.Recorder.Delete(co, r.Name)
	}
	if state.IsFull(err) {
		e.forgotten[r.Name] = true
		return nil
	}
	return err
}

// unlessFull drops the error of a disk that is full: a deletion makes room, and
// goes on without being written down.
func (e *Engine) unlessFull(err error) error {
	if !state.IsFull(err) {
		return err
	}
	state.GiveReserve(StatePath(e.opts.Dir, e.opts.Name))
	return nil
}
