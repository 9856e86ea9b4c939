package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
)

// limit is a task with the time limit of its node, which ends once the node is ready.
// One runner keeps the limit, and is then left out; another one, inside it, keeps what
// the task waits for.
type limit struct {
	limited scheduler.Task // nil once the limit has ended
	inner   *limitedTask
	isReady func() bool
}

// limited returns the task with the node's time limit.
func (g *Group[K]) limited(task scheduler.Task, k K, o *scheduler.GroupOptions[K]) scheduler.Task {
	if o.Timeout == nil || task == nil {
		return task
	}
	span := o.Timeout(k)
	if span == 0 {
		return task
	}
	rest := scheduler.NewTaskRunner(task, nil)
	inner := &limitedTask{Task: scheduler.Subrun(rest), rest: rest}
	inner.limit = scheduler.NewTaskRunner(inner, &scheduler.RunnerOptions{
		Name: fmt.Sprint(k), Timeout: span, Grace: graceOf(k, o),
	})
	return &limit{
		limited: scheduler.Subrun(inner.limit),
		inner:   inner,
		isReady: func() bool { return g.State(k) == scheduler.StateReady },
	}
}

func graceOf[K comparable](k K, o *scheduler.GroupOptions[K]) time.Duration {
	if o.GraceFor != nil {
		return max(o.GraceFor(k), 0)
	}
	return o.Grace
}

// Step is a step of the task, with the limit for as long as it counts.
func (t *limit) Step(ctx context.Context) (scheduler.Yield, error) {
	if t.limited == nil {
		return t.Unwrap().Step(ctx)
	}
	if t.isOver() { // a call has said Ready since the last step
		return t.end()
	}
	y, err := t.limited.Step(ctx)
	if err == nil && y != scheduler.Done && t.isOver() {
		return t.end()
	}
	return y, err
}

// isOver reports whether the node is ready, and was so before its limit had passed.
func (t *limit) isOver() bool { return !t.inner.ending && t.isReady() }

// end lets go of the limit.
func (t *limit) end() (scheduler.Yield, error) {
	t.inner.released = true
	err := t.limited.Close() // which does not reach the task
	t.limited = nil
	return t.inner.rest.Due(), err
}

// Close closes the task.
func (t *limit) Close() error { return t.Unwrap().Close() }

// Unwrap returns what is stepped: whatever else a task may do is up to that.
func (t *limit) Unwrap() scheduler.Task {
	if t.limited == nil {
		return t.inner.Task
	}
	return t.limited
}

// String returns what the task is called.
func (t *limit) String() string { return t.inner.rest.String() }

// limitedTask is the task as the limit has it.
type limitedTask struct {
	scheduler.Task // of rest

	rest     *scheduler.TaskRunner // without the limit
	limit    *scheduler.TaskRunner
	ending   bool // the limit has passed, or the task was asked to end
	released bool // it goes on without the limit
}

// Throw throws err into the task.
func (t *limitedTask) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	if passed := (*scheduler.Timeout)(nil); errors.As(err, &passed) && passed.Of(t.limit) {
		t.ending = true
	}
	thrower, _ := lookFor[scheduler.Thrower](t.Task) // a runner is one
	return thrower.Throw(ctx, err)
}

// BeginClose asks the task to end.
func (t *limitedTask) BeginClose() *scheduler.Event {
	t.ending = true
	closer, _ := lookFor[scheduler.Closer](t.Task)
	return closer.BeginClose()
}

// Close closes the task, unless it goes on without the limit.
func (t *limitedTask) Close() error {
	if t.released {
		return nil
	}
	return t.Task.Close()
}

// Unwrap returns the task.
func (t *limitedTask) Unwrap() scheduler.Task { return t.Task }
