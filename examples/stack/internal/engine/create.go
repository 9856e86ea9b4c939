package engine

import (
	"context"
	"errors"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/steptask/scheduler/journal"
)

// Up creates the stack, or goes on creating it where an earlier run stopped. source says
// what the stack is made from. When ctx ends it stops. After a failure the report says what
// became of every resource, and [Engine.Down] can delete all of it again.
func (e *Engine) Up(ctx context.Context, plan *Plan, source string) (*Report, error) {
	e.use(plan)
	if err := e.resume(context.WithoutCancel(ctx), source); err != nil {
		return nil, err
	}
	opts := scheduler.GroupOptions[string]{Name: "create", Observer: e.observer()}
	if e.opts.Policy == Continue {
		opts.AggregateErrors = true
	} else {
		opts.Grace = e.opts.Grace
	}
	task, group, err := e.creation(source, &opts)
	if err != nil {
		return nil, err
	}
	if e.store != nil {
		if err := e.store.ForgetUnwell(context.WithoutCancel(ctx)); err != nil {
			return nil, errors.Join(err, task.Close())
		}
	}
	err = e.drive(ctx, "create", task, e.items(func(name string) bool { return !e.resumed[name] }),
		&scheduler.RunnerOptions{Timeout: e.opts.Timeout, Grace: e.opts.Grace})
	report := e.report(group, err)
	report.Left, err = e.left(context.WithoutCancel(ctx))
	return report, err
}

// use takes the resources from a plan.
func (e *Engine) use(plan *Plan) {
	e.stack, e.deps, e.kinds = plan.Stack, plan.Deps, plan.Kinds
	for _, declared := range plan.Stack.Resources {
		e.resources[declared.Name] = &resource.Resource{
			Name: declared.Name, Type: declared.Type, Kind: plan.Kinds[declared.Name], Host: e.host,
		}
	}
}

// resume finds out what an earlier run left. It has to be one of the same source.
func (e *Engine) resume(ctx context.Context, source string) error {
	run, err := e.run(ctx)
	if err != nil {
		return err
	}
	switch nothing := len(run.Records) == 0; {
	case run.Name == "":
	case nothing && (run.Name != source || run.Deleting):
		err = e.store.Journal().Delete(ctx, run.Name) // nothing had come of it, or is left
	case run.Name != source:
		err = errors.New("the stack was created from another template or with other parameters: run down first")
	}
	if err != nil {
		return err
	}
	if err := e.makeRoot(ctx); err != nil {
		return err
	}
	e.unwell = map[string]string{}
	for name, rec := range run.Records {
		r := e.resources[name]
		if r == nil {
			continue
		}
		r.Data, r.Props = rec.Data, resource.Props(rec.Properties)
		if rec.Status == state.CheckFailed {
			e.unwell[name] = rec.Reason
		}
	}
	return nil
}

// creation returns the group that creates the resources, and the task that runs it.
func (e *Engine) creation(source string, opts *scheduler.GroupOptions[string]) (scheduler.Task, *group, error) {
	if e.store == nil {
		group, err := scheduler.NewDependencyTaskGroup(e.deps, func(name string) scheduler.Task { return e.create(name, nil) }, opts)
		return group, group, err
	}
	run, err := journal.NewGroup(e.store.Journal(), source, e.deps, func(n *journal.Node[string]) scheduler.Task {
		return e.create(n.Key(), n.SetResult)
	}, &journal.GroupOptions[string]{
		Group:    *opts,
		Redo:     func(n *journal.Node[string]) bool { return e.isGone(n.Key()) },
		SyncEnds: true, // what is shown as complete stays complete
	})
	switch {
	case errors.Is(err, journal.ErrRollingBack):
		return nil, nil, errors.New("a delete did not finish: run down first")
	case err != nil:
		return nil, nil, err
	}
	return run, run.DependencyTaskGroup, nil
}

// isGone looks whether a resource that an earlier run completed is there, and takes it
// over.
func (e *Engine) isGone(name string) bool {
	r := e.resources[name]
	if reason, unwell := e.unwell[name]; unwell {
		e.note(name, "was unhealthy (%s) and will be created again", reason)
		return true
	}
	if r.Kind.Resume != nil {
		if err := r.Kind.Resume(r); err != nil {
			e.note(name, "is gone (%v) and will be created again", err)
			return true
		}
	}
	e.resumed[name] = true
	return false
}

// create returns the task that creates a resource. setResult takes what is to be kept of
// it; nil in a simulation.
func (e *Engine) create(name string, setResult func(v any) error) scheduler.Task {
	r := e.resources[name]
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := e.createSteps(co, r)
		r.Complete = err == nil
		switch {
		case setResult != nil && err == nil:
			return setResult(r.Known())
		case setResult != nil || errors.Is(err, scheduler.ErrClosed):
			return err
		case err == nil:
			e.simulated.set(r, state.Created, nil)
		case e.simulated.has(name):
			e.simulated.set(r, state.CreateFailed, err)
		}
		return err
	})
}

func (e *Engine) createSteps(co *scheduler.Coroutine, r *resource.Resource) error {
	if err := e.failAt(r.Name, StepBegin); err != nil {
		return err
	}
	props, err := e.properties(r)
	if err != nil {
		return err
	}
	r.Props = props
	if err := r.Kind.Create(co, r); err != nil {
		return err
	}
	if err := e.takeOutputs(r); err != nil {
		return err
	}
	return e.failAt(r.Name, StepMade)
}

// takeOutputs makes the outputs of a nested stack the attributes of what stands
// for it.
func (e *Engine) takeOutputs(r *resource.Resource) error {
	nested := e.stack.Nested(r.Name)
	if nested == nil {
		return nil
	}
	outputs := map[string]any{}
	for _, o := range nested.Outputs {
		v, err := nested.Output(o, e)
		if err != nil {
			return err
		}
		outputs[o.Name] = v
	}
	r.Set(outputs)
	return nil
}

// properties computes the properties of a resource: all that it refers to is
// complete by now.
func (e *Engine) properties(r *resource.Resource) (resource.Props, error) {
	props := resource.Props{}
	for name, v := range e.stack.Resource(r.Name).Properties {
		got, err := e.stack.Eval(r.Name, v, e)
		if err != nil {
			return nil, err
		}
		if err := r.Kind.Check(name, got); err != nil {
			return nil, &template.Error{File: e.stack.Resource(r.Name).File(), Line: v.Line, Resource: r.Name, Message: err.Error()}
		}
		props[name] = got
	}
	return props, nil
}

// Resource gives get_resource its value: an Engine is a [template.Env].
func (e *Engine) Resource(name string) (any, error) {
	if e.isStandIn(name) {
		return resource.StandInAttribute(name, ""), nil
	}
	return e.resources[name].Reference(), nil
}

// Attribute gives get_attr its value.
func (e *Engine) Attribute(name, attribute string) (any, error) {
	if e.isStandIn(name) {
		return resource.StandInAttribute(name, attribute), nil
	}
	return e.resources[name].Attribute(attribute)
}

// isStandIn: whatever is asked of a stand-in, it answers.
func (e *Engine) isStandIn(name string) bool {
	return e.opts.Simulate != nil && e.resources[name].Kind.AnyProps && e.stack.Nested(name) == nil
}
