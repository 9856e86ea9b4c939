package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/steptask/scheduler"
)

// nodeTask is the task of a node: it waits until the start is on disk, then it is
// the task that the user made. A state machine, since a coroutine would take 4 kB.
type nodeTask struct {
	node    *node
	make    func() scheduler.Task
	start   *batch         // while it waits
	inner   scheduler.Task // nil until then
	cause   error          // of a notice that came while it waited
	inStep  bool           // a step is under way, or was left by a panic
	syncEnd bool           // it ends once its success is on disk
	end     *batch         // while it waits for that
}

// Step records the start, and parks until that is on disk. Later it is a step of
// the inner task.
func (t *nodeTask) Step(ctx context.Context) (scheduler.Yield, error) {
	switch {
	case t.end != nil:
		return t.finish()
	case t.inner != nil:
		return t.step(ctx)
	case t.start == nil:
		if other := t.node.active; other != nil && !other.inStep {
			return scheduler.Yield{}, fmt.Errorf("%w: of %s", ErrGroupRuns, shown(t.node.path))
		}
		t.node.active = t
		t.start = t.node.start()
		t.node.log.w.want(t.start)
		return scheduler.On(&t.start.done), nil
	case !t.start.done.IsSet():
		return scheduler.On(&t.start.done), nil
	case t.start.err != nil:
		t.node.active = nil
		return scheduler.Yield{}, t.start.err
	}
	return t.begin(ctx)
}

// begin is the first step of the inner task.
func (t *nodeTask) begin(ctx context.Context) (scheduler.Yield, error) {
	t.start, t.inStep = nil, true
	if t.inner = t.make(); t.inner == nil {
		return t.settle(scheduler.Yield{}, scheduler.ErrNilTask)
	}
	y, err := t.step(ctx)
	if err == nil && y != scheduler.Done && t.cause != nil {
		t.Stop(ctx, t.cause)
	}
	return y, err
}

func (t *nodeTask) step(ctx context.Context) (scheduler.Yield, error) {
	t.inStep = true
	return t.settle(t.inner.Step(ctx))
}

// settle records how the task has ended, if it has.
func (t *nodeTask) settle(y scheduler.Yield, err error) (scheduler.Yield, error) {
	t.inStep = false
	switch {
	case err != nil:
		t.node.active = nil
		if !t.node.isReady() || !isNotice(err) { // a service that was asked to end has not failed
			t.node.fail(err)
		}
	case y == scheduler.Done:
		t.node.active = nil
		if end := t.node.end(); t.syncEnd {
			t.end = end
			t.node.log.w.want(end)
			return t.finish()
		}
	}
	return y, err
}

// isNotice reports whether err is a notice, and nothing else.
func isNotice(err error) bool {
	notice := (*scheduler.StopError)(nil)
	return scheduler.Interrupted(err) && errors.As(err, &notice)
}

// finish ends the task once its success is on disk.
func (t *nodeTask) finish() (scheduler.Yield, error) {
	switch {
	case !t.end.done.IsSet():
		return scheduler.On(&t.end.done), nil
	case t.end.err != nil:
		return scheduler.Yield{}, t.end.err
	}
	return scheduler.Done, nil
}

// Throw throws err into the inner task. By default nothing is swallowed. A task that
// has ended, and waits until that is on disk, has ended well.
func (t *nodeTask) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	if t.end != nil {
		return scheduler.Done, nil
	}
	if t.inner == nil {
		t.node.active = nil
		return scheduler.Yield{}, err
	}
	thrower, ok := lookFor[scheduler.Thrower](t.inner)
	if !ok {
		return t.settle(scheduler.Yield{}, errors.Join(err, t.inner.Close()))
	}
	t.inStep = true
	return t.settle(thrower.Throw(ctx, err))
}

// Stop hands the notice on: now, or once the inner task has begun.
func (t *nodeTask) Stop(ctx context.Context, cause error) {
	if t.inner == nil {
		t.cause = cause
		return
	}
	if t.end != nil {
		return
	}
	if s, ok := lookFor[scheduler.Stopper](t.inner); ok {
		s.Stop(ctx, cause)
	}
}

// BeginClose asks the inner task to end.
func (t *nodeTask) BeginClose() *scheduler.Event {
	if t.end != nil {
		return nil
	}
	if c, ok := lookFor[scheduler.Closer](t.inner); ok {
		return c.BeginClose()
	}
	return nil
}

// Close closes the inner task. The node stays started on file, so that it is run
// again, or rolled back.
func (t *nodeTask) Close() error {
	t.node.active = nil
	if t.inner == nil || t.end != nil {
		return nil
	}
	return t.inner.Close()
}

// Unwrap returns the inner task, for those who look for a group or the like.
func (t *nodeTask) Unwrap() scheduler.Task { return t.inner }

// String returns what the inner task is called.
func (t *nodeTask) String() string {
	if t.inner == nil {
		return "waits for the journal"
	}
	return scheduler.TaskDescription(t.inner)
}

// lookFor returns the task, or the first one inside it by Unwrap, that is a T: as
// drivers look.
func lookFor[T scheduler.Task](task scheduler.Task) (t T, ok bool) {
	for task != nil {
		if t, ok = task.(T); ok {
			return t, true
		}
		w, wraps := task.(interface{ Unwrap() scheduler.Task })
		if !wraps {
			break
		}
		task = w.Unwrap()
	}
	return t, false
}
