package scheduler

import (
	"context"

	"github.com/steptask/scheduler/internal/coro"
)

// Coroutine is the argument of a function given to [Wrap]. Only that function may
// call its methods, and only while it runs; elsewhere they panic, or race with it.
type Coroutine struct {
	// What a step touches comes first.
	child    Task       // the subtask that is awaited: to be begun, after a resume; later unless it is a coroutine
	leaf     *Coroutine // innermost of the chain that awaits; kept by the outermost
	ctx      context.Context
	passed   error // what Yield or Await returns when the function is resumed; what it has returned
	yield    Yield // what the function yields
	coro     coro.Coro
	stepping bool // a Step or Throw is under way; kept by the outermost
	closing  bool // it was told that it is being closed
	is       combinator

	outer *Coroutine // who awaits this one; nil for the outermost
	top   *Coroutine // the outermost, which has ctx
	fn    func(*Coroutine) error
	told  *told // kept by the outermost; nil as long as there is nothing
}

// told is what a coroutine was told from outside.
type told struct {
	stop     Event      // set once the task is asked to stop
	notice   *StopError // nil before; a final one takes the place of another
	throwing error      // the last error thrown in
	timedOut *Timeout   // the last Timeout among them
	ctx      scopeCache
}

// notify keeps the notice of a stop.
func (t *told) notify(n *StopError) {
	t.notice = t.notice.followedBy(n)
	t.stop.Set()
}

// scoped returns the context for the steps after the notice, in which what begins
// finds it.
func (t *told) scoped(ctx context.Context) context.Context {
	return t.ctx.derive(ctx, func() scope {
		inner := within(scopeOf(ctx))
		inner.maker = t
		return inner
	})
}

// noticeHere makes it a maker of scopes.
func (t *told) noticeHere() *StopError { return t.notice }

func (t *told) limitHere() int64 { return never }

func (t *told) thrownHere() error { return nil }

// Yield ends the step. It returns nil once y is due, an error that was thrown into
// the task, or [ErrClosed] if the task is being closed. Yield panics if y is [Done]:
// return from the function to end the task.
func (co *Coroutine) Yield(y Yield) error {
	if y.code&yieldDone != 0 {
		panic("scheduler: Coroutine.Yield: Done; return from the function instead")
	}
	co.check("Yield")
	co.yield = y
	co.coro.Suspending()
	co.coro.Switch(struct{}{})
	co.coro.Resumed()
	return co.passed
}

// Await runs a subtask to its end and returns its error. The subtask starts in the
// same step, and the function continues in the step in which it ends. An error thrown
// into the task goes to the subtask. If the task is closed, the subtask is closed
// first, and Await returns [ErrClosed], joined with the error of that Close. If the
// subtask panics, Await returns ErrClosed for the clean-up, and the panic propagates
// from the step; the function cannot recover it.
func (co *Coroutine) Await(task Task) error {
	if isNil(task) {
		return errNil(task)
	}
	if c, ok := task.(*coroutine); ok && c.co.top != nil {
		return &namedError{c.String(), c.co.used()}
	}
	co.check("Await")
	co.child = task
	co.coro.Suspend()
	return co.passed
}

// used says what is wrong with beginning it once more.
func (co *Coroutine) used() error {
	if co.coro.Running() || co.coro.Suspended() {
		return ErrStarted
	}
	return ErrEnded
}

// check panics if the function is not running.
func (co *Coroutine) check(method string) {
	if co == nil || !co.coro.Running() {
		panic("scheduler: Coroutine." + method + " called outside its function")
	}
}

// Context returns the context of the current step.
func (co *Coroutine) Context() context.Context {
	co.check("Context")
	return co.top.ctx
}

// Stopping returns an event that is set once the task has been asked to stop.
func (co *Coroutine) Stopping() *Event {
	co.check("Stopping")
	return &co.top.tell().stop
}

// StopCause is [StopCause] with the context of the current step.
func (co *Coroutine) StopCause() error {
	co.check("StopCause")
	if n := co.notice(); n != nil {
		return n
	}
	return nil
}

// notice returns the notice under which what the function begins now begins.
func (co *Coroutine) notice() *StopError {
	n := noticeOf(co.top.ctx)
	if t := co.top.told; t != nil {
		return t.notice.followedBy(n)
	}
	return n
}

// tell makes what most tasks never need.
func (co *Coroutine) tell() *told {
	if co.told == nil {
		co.told = new(told)
	}
	return co.told
}

// mustHaveCoroutine panics for nil, with the name of the function that got it.
func mustHaveCoroutine(co *Coroutine, name string) {
	if co == nil {
		panic("scheduler: " + name + ": nil Coroutine")
	}
}

// Call is [Blocking] in a coroutine, with a result: it runs fn on another goroutine,
// parks the task until fn returns, and returns fn's results, the value even beside an
// error. Give fn copies of what tasks share.
func Call[T any](co *Coroutine, fn func(ctx context.Context) (T, error)) (T, error) {
	mustHaveCoroutine(co, "Call")
	mustHaveFunc(fn == nil, "Call")
	var value T
	err := co.Await(Fetch(fn, func(v T, err error) error {
		value = v
		return err
	}))
	return value, err
}
