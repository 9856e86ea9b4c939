package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/journal"
)

// Down deletes all that there is of the stack, in reverse: what is half made too. It needs
// no template: the journal says what there is and what requires what.
func (e *Engine) Down(ctx context.Context) (*Report, error) {
	report, err := e.delete(ctx, e.rollback)
	for isFull(report, err) && state.GiveReserve(StatePath(e.opts.Dir, e.opts.Name)) {
		report, err = e.delete(ctx, e.rollback)
	}
	if isFull(report, err) {
		// A deletion makes room. Without any to record it, it is done all the same: to
		// delete something a second time does no harm.
		report, err = e.delete(ctx, e.unrecorded)
	}
	if err == nil && e.hasStrangers() {
		report.Strange = filepath.Join(e.opts.Dir, e.opts.Name)
	}
	return report, err
}

func isFull(report *Report, err error) bool {
	return state.IsFull(err) || report != nil && state.IsFull(report.Err)
}

// groupFunc makes a group, and the task that runs it.
type groupFunc func(run string, opts *scheduler.GroupOptions[string]) (scheduler.Task, *group, error)

type group = scheduler.DependencyTaskGroup[string]

// delete deletes all resources, requirers before what they require. One that cannot be
// deleted keeps what it requires, and nothing else.
func (e *Engine) delete(ctx context.Context, newGroup groupFunc) (*Report, error) {
	run, err := e.load(context.WithoutCancel(ctx))
	if err != nil || e.deps == nil {
		return &Report{}, err
	}
	isGone := func(name string) bool { return !e.resources[name].Recorded }
	opts := scheduler.GroupOptions[string]{
		Name:            "delete",
		AggregateErrors: true,
		Completed:       isGone,
		Observer:        e.observer(),
	}
	task, group, err := newGroup(run.Name, &opts)
	if err != nil {
		return nil, err
	}
	items := e.items(func(name string) bool { return !isGone(name) })
	slices.Reverse(items)
	err = e.drive(ctx, "delete", task, items, &scheduler.RunnerOptions{})
	report := e.report(group, err)
	report.Left, err = e.left(context.WithoutCancel(ctx))
	return report, err
}

// rollback is the group that deletes the resources and records that.
func (e *Engine) rollback(run string, opts *scheduler.GroupOptions[string]) (scheduler.Task, *group, error) {
	if e.store == nil {
		return e.unrecorded(run, opts)
	}
	back, err := journal.NewRollback(e.store.Journal(), run, e.deps, func(n *journal.Node[string]) scheduler.Task {
		return e.destroy(n.Key())
	}, &journal.GroupOptions[string]{Group: *opts})
	if err != nil {
		return nil, nil, err
	}
	return back, back.DependencyTaskGroup, nil
}

// unrecorded is the same group without a journal.
func (e *Engine) unrecorded(_ string, opts *scheduler.GroupOptions[string]) (scheduler.Task, *group, error) {
	opts.Reverse = true
	group, err := scheduler.NewDependencyTaskGroup(e.deps, e.destroy, opts)
	return group, group, err
}

// load takes what is known of the resources from the journal. It knows more than the
// tasks of a creation that were cut off could tell.
func (e *Engine) load(ctx context.Context) (state.Run, error) {
	run, err := e.run(ctx)
	if err != nil {
		return run, err
	}
	if e.deps == nil && run.Name != "" {
		if e.deps, err = journal.Dependencies[string](ctx, e.store.Journal(), run.Name); err != nil {
			return run, err
		}
		for name := range e.deps.All() {
			e.resources[name] = &resource.Resource{Name: name}
		}
	}
	for _, r := range e.resources {
		r.Recorded = false
	}
	kindOf := Types(e.opts.Simulate)
	for name, rec := range run.Records {
		kind := e.kinds[name]
		if kind == nil {
			kind = kindOf(rec.Type)
		}
		if kind == nil {
			return run, fmt.Errorf("%s: unknown type %s", name, rec.Type)
		}
		e.resources[name] = &resource.Resource{
			Name: name, Type: rec.Type, Props: resource.Props(rec.Properties), Data: rec.Data,
			Recorded: true, Complete: rec.Complete, Kind: kind, Host: e.host,
		}
	}
	return run, nil
}

// destroy returns the task that deletes a resource.
func (e *Engine) destroy(name string) scheduler.Task {
	r := e.resources[name]
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := e.destroySteps(co, r)
		switch {
		case err == nil:
			r.Recorded = false
			e.deleted[name] = true
		case e.store == nil && !errors.Is(err, scheduler.ErrClosed):
			e.simulated.set(r, state.DeleteFailed, err)
		}
		return err
	})
}

func (e *Engine) destroySteps(co *scheduler.Coroutine, r *resource.Resource) error {
	if e.store == nil {
		e.simulated.set(r, state.Deleting, nil)
	}
	if err := e.failAt(r.Name, StepDelete); err != nil {
		return err
	}
	if r.Kind.Delete == nil {
		return nil
	}
	return r.Kind.Delete(co, r)
}
