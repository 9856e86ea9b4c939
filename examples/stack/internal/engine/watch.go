package engine

import (
	"context"
	"errors"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
)

// Watch looks after the resources of a stack that is up, until ctx ends. When
// one is not well any more, the user and the record of the resource are told.
func (e *Engine) Watch(ctx context.Context) error {
	var tasks []scheduler.Task
	for name := range e.deps.All() {
		if r := e.resources[name]; r.Kind.Watch != nil {
			tasks = append(tasks, e.watch(r))
		}
	}
	err := scheduler.Run(ctx, scheduler.All(tasks...), &scheduler.RunnerOptions{Name: "watch " + e.opts.Name})
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	if err == nil {
		<-ctx.Done() // there is nothing to look after
	}
	return err
}

func (e *Engine) watch(r *resource.Resource) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		what, failed, err := r.Kind.Watch(co, r)
		if err != nil {
			return err
		}
		e.note(r.Name, "%s", what)
		if !failed {
			return nil
		}
		_, err = scheduler.Call(co, func(ctx context.Context) (any, error) { return nil, e.store.SetUnwell(ctx, r.Name, what) })
		if err == nil || errors.Is(err, scheduler.ErrClosed) {
			return err
		}
		e.note(r.Name, "%v", err) // the stack stays up
		return nil
	})
}
