package temporal

import (
	"context"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
)

// Call is a Task that is done by something outside of the workflow: an
// activity, a child workflow, a timer, a signal. It is parked until that has
// ended, and has its result then.
//
// A Call is used once, under [Drive]; anywhere else it fails with
// [ErrNotDriven]. Asked to stop, it asks what it has started to cancel, and goes
// on until that has ended: with the cause of the stop, if it was cancelled.
// Closed, it does not wait for that.
type Call[T any] struct {
	call
	value T
	then  func(T) error
}

// Value returns the result once the Call is complete; before, and if it failed,
// the zero value.
func (c *Call[T]) Value() T { return c.value }

// Then lets fn have the result when the Call is complete, on the driving
// goroutine; fn's error is the Call's. It returns c.
func (c *Call[T]) Then(fn func(T) error) *Call[T] {
	c.then = fn
	return c
}

// Await is [scheduler.Coroutine.Await] for a Call, with its result.
func Await[T any](co *scheduler.Coroutine, c *Call[T]) (T, error) {
	err := co.Await(c)
	return c.value, err
}

// newCall returns a Call of what begin starts.
func newCall[T any](kind, id string, begin func(ctx workflow.Context) workflow.Future) *Call[T] {
	c := &Call[T]{call: call{kind: kind, id: id, begin: begin}}
	c.finish = func(ctx workflow.Context, future workflow.Future) error {
		if err := future.Get(ctx, &c.value); err != nil {
			return err
		}
		if c.then == nil {
			return nil
		}
		return c.then(c.value)
	}
	return c
}

// DefaultHeartbeat is the HeartbeatTimeout of an activity that has none. An
// activity has to heartbeat more often than that: see [WorkerOptions].
const DefaultHeartbeat = 30 * time.Second

// Activity returns a Task that runs an activity, given as the function or its
// name. id becomes the ActivityID: it must be unique in the run, and should be
// the node's key. Replay compares IDs and types, but no arguments: with IDs of
// its own making the SDK would not notice that two nodes have changed places.
//
// The options are those of the SDK, which wants a StartToCloseTimeout or a
// ScheduleToCloseTimeout. Two are set here, so that a grace has a meaning:
// WaitForCancellation always, and HeartbeatTimeout if there is none, since an
// activity learns by its heartbeats that it is cancelled.
func Activity[T any](id string, opts workflow.ActivityOptions, activity any, args ...any) *Call[T] {
	opts.ActivityID = id
	opts.WaitForCancellation = true
	if opts.HeartbeatTimeout == 0 {
		opts.HeartbeatTimeout = DefaultHeartbeat
	}
	c := newCall[T]("activity", id, func(ctx workflow.Context) workflow.Future {
		return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, opts), activity, args...)
	})
	c.limited = true
	return c
}

// LocalActivity is Activity in the worker process that runs the workflow: for
// calls of a moment. It costs one event in place of three and no way over the
// server, but on replay some thirty times as much, and it is not seen to be
// another one when nodes have changed places.
func LocalActivity[T any](id string, opts workflow.LocalActivityOptions, activity any, args ...any) *Call[T] {
	c := newCall[T]("local activity", id, func(ctx workflow.Context) workflow.Future {
		return workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, opts), activity, args...)
	})
	c.limited = true
	return c
}

// ChildWorkflow returns a Task that runs a child workflow. Its WorkflowID, unless
// opts has one, is the parent's, a slash, and id with its slashes escaped as in a
// URL: so the child "db" of the child "web" is never taken for the child "web/db".
//
// WaitForCancellation is set, and the ParentClosePolicy, if opts has none, is to
// ask the child to cancel: it has its own grace.
func ChildWorkflow[T any](id string, opts workflow.ChildWorkflowOptions, child any, args ...any) *Call[T] {
	opts.WaitForCancellation = true
	if opts.ParentClosePolicy == enums.PARENT_CLOSE_POLICY_UNSPECIFIED {
		opts.ParentClosePolicy = enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL
	}
	c := newCall[T]("child workflow", id, func(ctx workflow.Context) workflow.Future {
		opts := opts
		if opts.WorkflowID == "" {
			opts.WorkflowID = workflow.GetInfo(ctx).WorkflowExecution.ID + "/" + escape.Replace(id)
		}
		return workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, opts), child, args...)
	})
	c.limited = true
	return c
}

// escape makes one segment of an ID; no two become the same.
var escape = strings.NewReplacer("%", "%25", "/", "%2F")

// Timer returns a Task that is complete when d has passed, with a timer of its
// own at the server which shows id. A Task that yields [scheduler.After] shares
// one timer with all others of the run: that costs less.
func Timer(id string, d time.Duration) *Call[struct{}] {
	c := newCall[struct{}]("timer", id, func(ctx workflow.Context) workflow.Future {
		return workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{Summary: id})
	})
	c.finish = func(ctx workflow.Context, future workflow.Future) error { return future.Get(ctx, nil) }
	return c
}

// Future returns a Task for anything that gives a Future. start is called when
// the task is; ending its context is to cancel what it started.
func Future[T any](id string, start func(ctx workflow.Context) workflow.Future) *Call[T] {
	return newCall[T]("future", id, start)
}

// call is what all Calls have in common. Its methods are those of a Task.
type call struct {
	kind, id string
	isSignal bool // others may have the same ID; there is no future
	limited  bool // counts for Options.Limit
	begin    func(ctx workflow.Context) workflow.Future
	look     func() bool // in place of a future
	finish   func(ctx workflow.Context, future workflow.Future) error

	d        *driver
	event    scheduler.Event // set when it was admitted, or is ready, or was stopped in line
	inLine   bool
	admitted bool
	begun    bool
	future   workflow.Future
	cancel   workflow.CancelFunc
	cause    error // of Stop
	closed   bool
}

func (c *call) isReady() bool {
	if c.look != nil {
		return c.look()
	}
	return c.future.IsReady()
}

// isOver reports whether nothing more is to be expected.
func (c *call) isOver() bool { return c.isSignal && (c.closed || c.cause != nil) }

// Step starts what the task is about, and later looks whether it has ended.
func (c *call) Step(ctx context.Context) (scheduler.Yield, error) {
	if c.d == nil {
		if c.d = driverOf(ctx); c.d == nil {
			return scheduler.Yield{}, ErrNotDriven
		}
		if !c.isSignal {
			if err := c.d.use(c.kind, c.id); err != nil {
				return scheduler.Yield{}, err
			}
		}
	}
	if !c.begun {
		if c.cause != nil {
			c.leave()
			return scheduler.Yield{}, c.cause
		}
		if !c.d.admit(c) {
			return scheduler.On(&c.event), nil
		}
		c.start()
	}
	if !c.event.IsSet() {
		return scheduler.On(&c.event), nil
	}
	if c.cause != nil && !c.isReady() { // a signal does not answer to a stop
		return scheduler.Yield{}, c.cause
	}
	err := c.finish(c.d.wf, c.future)
	switch {
	case err == nil:
		return scheduler.Done, nil
	case c.cause != nil && sdk.IsCanceledError(err):
		return scheduler.Yield{}, c.cause
	}
	return scheduler.Yield{}, err
}

// start begins what the task is about. Its events come by poll.
func (c *call) start() {
	c.begun = true
	c.event.Reset()
	var ctx workflow.Context
	ctx, c.cancel = workflow.WithCancel(c.d.wf)
	c.future = c.begin(ctx)
	c.d.pending = append(c.d.pending, c)
}

// leave gives up what a task holds that was not begun.
func (c *call) leave() {
	c.closed = true
	if c.admitted && !c.begun {
		c.admitted = false
		c.d.slots--
	}
}

// Stop asks for a cancellation.
func (c *call) Stop(_ context.Context, cause error) {
	c.cause = cause
	switch {
	case !c.begun || c.isSignal:
		c.event.Set()
	case !c.isReady():
		c.cancel()
	}
}

// Close lets go of what was started. Drive asks that to cancel, if the workflow
// is alive: Close may be called because it is not.
func (c *call) Close() error {
	if c.begun && !c.isSignal && !c.isReady() {
		c.d.cancels = append(c.d.cancels, c.cancel)
	}
	c.leave()
	return nil
}

// String says what it is.
func (c *call) String() string { return c.kind + " " + c.id }
