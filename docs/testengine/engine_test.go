package testengine_test

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
)

// cloud is what the engine talks to.
type cloud interface {
	Create(ctx context.Context, name string) (id string, err error)
	Find(ctx context.Context, name string) (ids []string, err error)
	Delete(ctx context.Context, id string) error
}

// record is what the engine keeps of a resource, for the time after a crash.
type record struct {
	Begun bool
	ID    string // once it is complete
}

// engine creates and deletes a server on a network.
type engine struct {
	cloud cloud
	disk  map[string]record
	save  func(name string, r record) // writes to disk, and returns when it is there
}

func (e *engine) deps() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	return deps
}

func (e *engine) up() (*scheduler.DependencyTaskGroup[string], error) {
	return scheduler.NewDependencyTaskGroup(e.deps(), e.create, &scheduler.GroupOptions[string]{
		Completed: func(name string) bool { return e.disk[name].ID != "" },
		Timeout:   func(string) time.Duration { return 10 * time.Minute },
	})
}

func (e *engine) create(name string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if e.disk[name].Begun { // by a process that has crashed, or was stopped
			ids, err := scheduler.Call(co, func(ctx context.Context) ([]string, error) { return e.cloud.Find(ctx, name) })
			if err != nil {
				return err
			}
			if len(ids) > 0 {
				e.save(name, record{Begun: true, ID: ids[0]})
				return nil
			}
		}
		e.save(name, record{Begun: true})
		id, err := scheduler.Call(co, func(ctx context.Context) (string, error) { return e.cloud.Create(ctx, name) })
		if err == nil {
			e.save(name, record{Begun: true, ID: id})
		}
		return err
	})
}

func (e *engine) down() (*scheduler.DependencyTaskGroup[string], error) {
	return scheduler.NewDependencyTaskGroup(e.deps(), e.remove, &scheduler.GroupOptions[string]{
		Reverse:   true,
		Completed: func(name string) bool { return !e.disk[name].Begun },
	})
}

func (e *engine) remove(name string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		ids, err := scheduler.Call(co, func(ctx context.Context) ([]string, error) { return e.cloud.Find(ctx, name) })
		for _, id := range ids {
			err = errors.Join(err, co.Await(scheduler.Blocking(func(ctx context.Context) error { return e.cloud.Delete(ctx, id) })))
		}
		if err == nil {
			e.save(name, record{})
		}
		return err
	})
}
