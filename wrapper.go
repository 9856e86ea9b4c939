package scheduler

import (
	"context"
	"errors"

	"github.com/steptask/scheduler/internal/coro"
)

// Wrap returns a Task that runs fn as a coroutine. In fn, [Coroutine.Yield] ends the
// step, and [Coroutine.Await] runs a subtask as part of this task:
//
//	scheduler.Wrap(func(co *scheduler.Coroutine) error {
//		if err := co.Await(create); err != nil {
//			return err
//		}
//		return co.Yield(scheduler.After(time.Second))
//	})
//
// fn starts with the first step. It runs while the driver steps the task, and never
// at the same time as other tasks of the run, so it may share variables with them
// without locks. It must not block. The functions that it gives to [Call],
// [Blocking], [Fetch] or [Poll] run on other goroutines: these get copies, and
// return their results.
//
// An error thrown into the task is returned by Yield, or given to the awaited
// subtask. When the task is closed, the subtask is closed first; then Yield or Await
// returns [ErrClosed] and fn must return. Close returns its error with ErrClosed
// removed. If fn yields again instead, it is unwound by force, its deferred calls
// run, and Close returns [ErrIgnoredClose].
//
// A panic in fn propagates from Step as a [*PanicError] with the original stack.
// runtime.Goexit, which testing.T.FailNow calls, ends the driving goroutine. If the
// driving goroutine is locked to an OS thread, it must be so for all steps. A
// suspended coroutine takes about 4 kB.
//
// Wrap panics if fn is nil.
func Wrap(fn func(co *Coroutine) error) Task {
	if fn == nil {
		panic("scheduler: Wrap: nil function")
	}
	return &coroutine{Coroutine{fn: fn}}
}

// Coroutine is the argument of a function given to [Wrap]. Only that function may
// call its methods, and only while it runs; elsewhere they panic.
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

// combinator says which task of ours a coroutine is, whose function has no name that
// means anything to a reader.
type combinator uint8

const (
	isWrap combinator = iota // a function of the user's
	isRetry
	isSequence
	isFinally
)

func (c combinator) String() string { return [...]string{"Wrap", "Retry", "Sequence", "Finally"}[c] }

// told is what a coroutine was told from outside.
type told struct {
	stop     Event      // set once the task is asked to stop
	notice   *StopError // nil before; a final one takes the place of another
	throwing error      // the last error thrown in
	ctx      scopeCache
}

// notify keeps the notice of a stop.
func (t *told) notify(n *StopError) {
	if t.notice == nil || n.final && !t.notice.final {
		t.notice = n
	}
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
func (t *told) limitHere() int64       { return never }
func (t *told) thrownHere() error      { return nil }

// coroutine is the Task side of a Coroutine, hidden from fn.
//
// The coroutines that await one another form a chain, linked from the innermost
// outwards. Only the outermost one is driven; it gives each step to the
// innermost, or to that one's subtask. So depth costs nothing in a step.
type coroutine struct{ co Coroutine }

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
// same step, and the function continues in the step in which the subtask ends.
// Errors thrown into the task go to the subtask, and Await returns the result. If
// the task is closed, the subtask is closed first, and Await returns [ErrClosed],
// joined with the error of that Close.
func (co *Coroutine) Await(task Task) error {
	if task == nil {
		return ErrNilTask
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

// Stopping returns an event that is set once the task has been asked to stop. Wait
// for it together with something else, or check it with IsSet.
func (co *Coroutine) Stopping() *Event {
	co.check("Stopping")
	return &co.top.tell().stop
}

// StopCause returns the notice given to the task, a [*StopError], or nil if it has
// not been asked to stop. A task that returns it, possibly wrapped, is cancelled and
// not failed.
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
	if t := co.top.told; t != nil && t.notice != nil && (n == nil || t.notice.final) {
		return t.notice
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

// Call runs fn on another goroutine, as [Blocking] does, and returns its results;
// the value counts even if there is an error. The task is parked until fn returns.
// fn must not touch what tasks share: give it copies.
func Call[T any](co *Coroutine, fn func(ctx context.Context) (T, error)) (T, error) {
	if co == nil {
		panic("scheduler: Call: nil Coroutine")
	}
	mustHaveFunc(fn == nil, "Call")
	var value T
	err := co.Await(Fetch(fn, func(v T, err error) error {
		value = v
		return err
	}))
	return value, err
}

// body is what is inside the coroutine.
type body Coroutine

func (b *body) Run() { b.passed = b.fn((*Coroutine)(b)) }

// resume runs the function to its next yield and reports whether it goes on.
func (co *Coroutine) resume(passed error) bool {
	co.passed = passed
	if !co.coro.Started() {
		co.coro.Init(stacksOf(co.top.ctx), (*body)(co))
	}
	alive := co.coro.Resume()
	co.checkPanic()
	return alive
}

// checkPanic lets a panic that left the function go on here.
func (co *Coroutine) checkPanic() {
	if p := co.coro.Panic(); p != nil {
		panic(&PanicError{Value: p.Value, Stack: p.Stack, goesUp: true})
	}
}

// Step gives the step to the innermost function or its subtask.
func (c *coroutine) Step(ctx context.Context) (Yield, error) {
	co := &c.co
	if co.leaf == nil {
		if err := c.enter(ctx); err != nil {
			return Yield{}, err
		}
	}
	if co.told != nil && co.told.notice != nil {
		ctx = co.told.scoped(ctx)
	}
	co.ctx, co.stepping = ctx, true
	defer c.unwind()
	leaf := co.leaf
	if leaf.child != nil {
		y, err := stepTask(ctx, &leaf.child)
		if err == nil && y.code&yieldDone == 0 {
			co.stepping = false
			return y, nil
		}
		leaf.child = nil
		return c.advance(leaf, err)
	}
	// This is advance without its frames: see coro.Suspending.
	if !leaf.coro.Started() {
		leaf.coro.Init(stacksOf(ctx), (*body)(leaf))
	}
	leaf.passed = nil
	alive := leaf.coro.Resume()
	if alive && leaf.child == nil && leaf.yield.code != 0 {
		co.stepping = false
		return leaf.yield, nil
	}
	leaf.checkPanic()
	return c.proceed(leaf, alive)
}

// enter makes c the outermost of a chain of one.
func (c *coroutine) enter(ctx context.Context) error {
	if c.co.top != nil {
		return &namedError{c.String(), ErrEnded} // or inside another chain, which drives it
	}
	c.co.top, c.co.leaf = &c.co, &c.co
	if n := noticeOf(ctx); n != nil {
		c.co.tell().notify(n)
	}
	return nil
}

// Throw throws into the innermost subtask, whose answer travels outwards.
func (c *coroutine) Throw(ctx context.Context, err error) (Yield, error) {
	co := &c.co
	if co.leaf == nil {
		co.top = co         // it can be used once
		return Yield{}, err // never entered: no code of it runs
	}
	co.tell().throwing = err
	if co.told.notice != nil {
		ctx = co.told.scoped(ctx)
	}
	co.ctx, co.stepping = ctx, true
	defer c.unwind()
	leaf := co.leaf
	if leaf.child != nil {
		var y Yield
		y, err = throwInto(ctx, &leaf.child, err)
		if err == nil && y.code&yieldDone == 0 {
			co.stepping = false
			return y, nil
		}
		leaf.child = nil
	}
	return c.advance(leaf, err)
}

// advance resumes co, and goes on until something yields.
func (c *coroutine) advance(co *Coroutine, err error) (Yield, error) {
	return c.proceed(co, co.resume(err))
}

// proceed goes on from where co came to, until something yields: it begins the
// subtasks that are awaited and hands the end of each to who awaited it. This
// loop is what takes the place of recursion.
func (c *coroutine) proceed(co *Coroutine, alive bool) (Yield, error) {
	top := &c.co
	for {
		var err error
		switch child := co.child; {
		case !alive:
			err = co.passed
			top.leaf = co.outer
			if co == top {
				top.stepping = false
				return Done, err
			}
			co = co.outer
		case child == nil:
			if co.yield.code == 0 && co != top {
				// Awaited, it fails like any other task.
				top.leaf = co.outer
				err = join(ErrNoYield, co.close(nil))
				co = co.outer
				break
			}
			top.stepping = false
			return co.yield, nil
		default:
			if inner, ok := child.(*coroutine); ok {
				co.child = nil
				inner.co.outer, inner.co.top = co, top
				co = &inner.co
				top.leaf = co
				break
			}
			y, e := stepTask(top.ctx, &co.child)
			if e == nil && y.code&yieldDone == 0 {
				top.stepping = false
				return y, nil
			}
			co.child, err = nil, e
		}
		alive = co.resume(err)
	}
}

// unwind closes the functions that a panic or a Goexit, of a subtask or of one
// of them, would leave suspended.
func (c *coroutine) unwind() {
	if !c.co.stepping {
		return
	}
	c.co.stepping = false
	if c.co.leaf != nil {
		c.co.leaf.child = nil // it is what panicked
	}
	_ = c.Close() // The panic is on its way up already.
}

// Close closes the subtask and then the functions, innermost first.
func (c *coroutine) Close() error {
	co := c.co.leaf
	c.co.leaf = nil
	if co == nil {
		c.co.top = &c.co // it can be used once
		return nil
	}
	var err error
	if child := co.child; child != nil {
		co.child = nil
		err = c.closeChild(child, co)
	}
	return c.closeFrom(co, err)
}

// closeChild closes the subtask of co; if that panics, the functions too.
func (c *coroutine) closeChild(child Task, co *Coroutine) error {
	completed := false
	defer func() {
		if !completed {
			_ = c.closeFrom(co, nil)
		}
	}()
	err := child.Close()
	completed = true
	return err
}

// closeFrom closes co and those that await it; err is from what co awaited.
func (c *coroutine) closeFrom(co *Coroutine, err error) error {
	var this *Coroutine
	defer func() {
		if co != nil { // a panic or Goexit in one of them
			_ = c.closeFrom(co, nil)
		}
	}()
	defer func() {
		// One of a subtask that it answered with leaves it suspended. (Apart from
		// the above, since what it has deferred may call Goexit.)
		if this.coro.Suspended() {
			this.coro.Kill()
		}
	}()
	for co != nil {
		this = co
		co = co.outer
		err = this.close(err)
	}
	return err
}

// close tells the function that it is being closed, and ends it.
func (co *Coroutine) close(childErr error) error {
	if !co.coro.Suspended() {
		return childErr // it is what panicked
	}
	co.closing = true
	reason := ErrClosed
	if childErr != nil {
		reason = &closeError{childErr}
	}
	for co.resume(reason) {
		child := co.child
		co.child = nil
		if childErr == nil || child == nil {
			return co.kill(childErr)
		}
		// A subtask that failed to close is an error like any other: the
		// function may answer it with a subtask that ends at once (recorded
		// behaviour).
		var y Yield
		if y, reason = stepTask(co.top.ctx, &child); reason == nil && y.code&yieldDone == 0 {
			return co.kill(join(childErr, child.Close()))
		}
	}
	return dropClosed(co.passed)
}

// kill ends a function that goes on after it was told that it is closed.
func (co *Coroutine) kill(err error) error {
	co.coro.Kill()
	co.checkPanic()
	return join(ErrIgnoredClose, err)
}

// BeginClose asks the subtask to end; the functions are ended by Close.
func (c *coroutine) BeginClose() *Event {
	co := c.co.leaf
	if co == nil || co.child == nil {
		return nil
	}
	return beginClose(co.child)
}

// Stop sets the event of Stopping, keeps the cause, and hands the notice to the subtask.
func (c *coroutine) Stop(ctx context.Context, cause error) {
	notice := asNotice(cause, false)
	c.co.tell().notify(notice)
	if co := c.co.leaf; co != nil && co.child != nil {
		if s, ok := lookFor[Stopper](co.child); ok {
			c.co.stepping = true
			defer c.unwind()
			s.Stop(ctx, notice)
			c.co.stepping = false
		}
	}
}

// String returns the name of the user's function, or of the combinator.
func (c *coroutine) String() string {
	if c.co.is != isWrap {
		return c.co.is.String()
	}
	return funcName(c.co.fn)
}

// timeout returns the Timeout that was thrown into the coroutine last, if nothing
// else was thrown in after it, or nil.
func (co *Coroutine) timeout() *Timeout {
	if co.top.told == nil {
		return nil
	}
	t, _ := co.top.told.throwing.(*Timeout) //nolint:errorlint // That very one.
	return t
}

// isFinal reports whether an error of a subtask is the end of the coroutine too.
func (co *Coroutine) isFinal(err error) bool {
	if co.closing || errors.Is(err, ErrSkip) || co.notice() != nil {
		return true
	}
	if co.top.told == nil || co.top.told.throwing == nil {
		return false
	}
	return co.timeout() != nil || errors.Is(err, co.top.told.throwing) || contains(err, co.top.told.throwing)
}
