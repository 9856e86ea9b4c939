package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/examples/stack/internal/template"
)

// Up creates the stack, or goes on creating it where an earlier run stopped.
// When ctx ends it stops. After a failure the report says what became of every
// resource, and [Engine.Rollback] can delete all of it again.
func (e *Engine) Up(ctx context.Context, plan *Plan, source state.Stack) (*Report, error) {
	e.use(plan)
	if err := e.resume(context.WithoutCancel(ctx), source); err != nil {
		return nil, err
	}
	created := func(name string) bool { return e.resumed[name] }
	opts := &scheduler.GroupOptions[string]{
		Name:      "create",
		Completed: created,
		Observer:  e.observer(),
	}
	if e.opts.Policy == Continue {
		opts.AggregateErrors = true
	} else {
		opts.Grace = e.opts.Grace
	}
	group, err := scheduler.NewDependencyTaskGroup(e.deps, e.create, opts)
	if err != nil {
		return nil, err
	}
	err = e.run(ctx, "create", group, e.items(func(name string) bool { return !created(name) }),
		&scheduler.RunnerOptions{Timeout: e.opts.Timeout, Grace: e.opts.Grace})
	e.created = group
	report := e.report(group, err)
	report.Left, err = e.left(context.WithoutCancel(ctx))
	return report, err
}

// use takes the resources from a plan.
func (e *Engine) use(plan *Plan) {
	e.stack, e.deps, e.kinds = plan.Stack, plan.Deps, plan.Kinds
	for _, declared := range plan.Stack.Resources {
		e.resources[declared.Name] = &resource.Resource{
			Name: declared.Name, Type: declared.Type, Requires: slices.Collect(plan.Deps.Requires(declared.Name)),
			Kind: plan.Kinds[declared.Name], Host: e.host,
		}
	}
}

// resume finds out what an earlier run left, and takes over what is complete.
func (e *Engine) resume(ctx context.Context, source state.Stack) error {
	records, err := e.records(ctx)
	if err != nil {
		return err
	}
	if err := e.sameSource(ctx, source, len(records) > 0); err != nil {
		return err
	}
	if err := e.makeRoot(ctx); err != nil {
		return err
	}
	for name := range e.deps.All() {
		rec, recorded := records[name]
		if !recorded {
			continue
		}
		r := e.resources[name]
		r.Recorded, r.Data, r.Props = true, rec.Data, rec.Properties
		if rec.Status == state.Deleting || rec.Status == state.DeleteFailed {
			return fmt.Errorf("%s: a delete did not finish: run down first", name)
		}
		if rec.Status == state.CheckFailed {
			e.note(name, "was not well (%s) and will be made again", rec.Reason)
			continue
		}
		if rec.Status != state.Created {
			continue
		}
		if r.Kind.Resume != nil {
			if err := r.Kind.Resume(r); err != nil {
				e.note(name, "is gone (%v) and will be made again", err)
				r.SetIncomplete()
				continue
			}
		}
		e.resumed[name] = true
	}
	return nil
}

// sameSource sees to it that a second up goes on with the same template, if
// there is anything to go on with.
func (e *Engine) sameSource(ctx context.Context, source state.Stack, begun bool) error {
	if e.store == nil {
		return nil
	}
	was, known, err := e.store.Stack(ctx)
	if err != nil {
		return err
	}
	if begun && known && was.Digest != source.Digest {
		return errors.New("the stack was begun with another template or other parameters: run down first")
	}
	return e.store.SetStack(ctx, source)
}

// create returns the task that creates a resource.
func (e *Engine) create(name string) scheduler.Task {
	r := e.resources[name]
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		err := e.createSteps(co, r)
		switch {
		case err == nil:
			r.Recorded = true
			r.SetComplete()
			return e.host.Recorder.Save(co, r.Record(state.Created, ""))
		case !r.Recorded || errors.Is(err, scheduler.ErrClosed):
			// Nothing is there, or the record says already that something may
			// be; a task that is being closed has no time to say more.
			return err
		}
		return joined(err, e.host.Recorder.Save(co, r.Record(state.CreateFailed, err.Error())))
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

// joined joins what failed with what failed in writing that down. That a disk is
// full is said once.
func joined(err, saving error) error {
	if state.IsFull(err) && state.IsFull(saving) {
		return err
	}
	return errors.Join(err, saving)
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
