// Command reconcile runs a group from a loop that somebody else owns, in the
// manner of a Kubernetes controller.
//
// What you learn: each call of Reconcile makes one step that does not block and
// returns when it wants to be called again, taken from the group's own yield;
// an event from outside calls it earlier; and between two processes nothing is
// kept but which nodes were completed.
package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// Result is what a controller returns to its work queue.
type Result struct {
	Done         bool
	Requeue      bool          // as soon as possible
	RequeueAfter time.Duration // 0: when Enqueue is called
}

// Store keeps what was completed, for each object. It outlives the process.
type Store struct {
	mu        sync.Mutex
	completed map[string]map[string]bool
}

// Completed returns a copy of what is known of an object.
func (s *Store) Completed(object string) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.completed[object])
}

// Complete notes that a node is done.
func (s *Store) Complete(object, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.completed == nil {
		s.completed = map[string]map[string]bool{}
	}
	if s.completed[object] == nil {
		s.completed[object] = map[string]bool{}
	}
	s.completed[object][node] = true
}

// Controller brings objects to their wanted state, a step at a time.
type Controller struct {
	Store   *Store
	Deps    *scheduler.Dependencies[string]
	Create  func(object, node string) scheduler.Task
	Enqueue func(object string) // from any goroutine: call Reconcile for the object
	Clock   scheduler.Clock     // nil: the system's

	running map[string]*scheduler.TaskRunner
}

// Reconcile makes one step for an object. It does not block. An error means that
// the object has failed; the next call begins with what is left to be done.
func (c *Controller) Reconcile(ctx context.Context, object string) (Result, error) {
	runner := c.running[object]
	if runner == nil {
		return c.begin(ctx, object)
	}
	return c.after(object, runner, func() error {
		_, err := runner.Step(ctx)
		return err
	})
}

// begin makes a group that goes on from what the store knows.
func (c *Controller) begin(ctx context.Context, object string) (Result, error) {
	completed := c.Store.Completed(object)
	group, err := scheduler.NewDependencyTaskGroup(c.Deps,
		func(node string) scheduler.Task { return c.Create(object, node) },
		&scheduler.GroupOptions[string]{
			Name:      object,
			Completed: func(node string) bool { return completed[node] },
			Observer: scheduler.ObserverFunc(func(t scheduler.Record) {
				if t.To == scheduler.StateSucceeded {
					c.Store.Complete(object, t.Key().(string))
				}
			}),
		})
	if err != nil {
		return Result{}, err
	}
	runner := scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{
		Clock: c.Clock,
		Wake:  func() { c.Enqueue(object) },
	})
	if c.running == nil {
		c.running = map[string]*scheduler.TaskRunner{}
	}
	c.running[object] = runner
	return c.after(object, runner, func() error { return runner.Start(ctx, 0) })
}

// after makes a step and says when the next one is due.
func (c *Controller) after(object string, runner *scheduler.TaskRunner, step func() error) (Result, error) {
	err := step()
	if runner.Done() {
		delete(c.running, object)
		return Result{Done: err == nil}, err
	}
	wait, ok := runner.Due().In(c.now())
	// Without either, Wake will call Enqueue.
	return Result{Requeue: ok && wait == 0, RequeueAfter: wait}, nil
}

func (c *Controller) now() time.Time {
	if c.Clock == nil {
		return time.Now()
	}
	return c.Clock.Now()
}

// Close ends what runs, as when the process ends in good order.
func (c *Controller) Close() error {
	for object, runner := range c.running {
		if err := runner.Cancel(); err != nil {
			return fmt.Errorf("%s: %w", object, err)
		}
		delete(c.running, object)
	}
	return nil
}
