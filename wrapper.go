package scheduler

import (
	"context"
)

// Wrap returns a [Task] that runs fn as a coroutine: [Coroutine.Yield] ends the step,
// and [Coroutine.Await] runs a subtask as part of this task.
//
// fn runs while the driver steps the task, and never at the same time as other tasks
// of the run, so it may share variables with them without locks. It must not block.
// Calls that it makes ([Call], [Blocking], [Fetch], [Poll]) run on other goroutines:
// give them copies, and let them return their results.
//
// An error thrown into the task is returned by Yield, or given to the awaited
// subtask. When the task is closed, the subtask is closed first; then Yield or Await
// returns [ErrClosed] and fn must return. Close returns its error with ErrClosed
// removed. If fn yields again instead, it is unwound by force, its deferred calls
// run, and Close returns [ErrIgnoredClose].
//
// A panic in fn propagates from Step as a [*PanicError]; runtime.Goexit ends the
// driving goroutine. If that is locked to an OS thread, it must be so for all steps.
// A suspended coroutine takes about 4 kB.
func Wrap(fn func(co *Coroutine) error) Task {
	if fn == nil {
		panic("scheduler: Wrap: nil function")
	}
	return &coroutine{Coroutine{fn: fn}}
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

// coroutine is the Task side of a Coroutine, hidden from fn.
//
// The coroutines that await one another form a chain, linked from the innermost
// outwards. Only the outermost one is driven; it gives each step to the
// innermost, or to that one's subtask. So depth costs nothing in a step.
type coroutine struct{ co Coroutine }

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
	if t, ok := asTimeout(err); ok {
		co.told.timedOut = t
	}
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
		// behaviour). A group starts nothing here.
		told := co.top.tell()
		told.notify(&StopError{Cause: ErrClosed, final: true})
		var y Yield
		if y, reason = stepTask(told.scoped(co.top.ctx), &child); reason == nil && y.code&yieldDone == 0 {
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
	if co == nil {
		return nil
	}
	c.co.stepping = true
	defer c.unwind()
	e := beginClose(co.child) // nil if there is no subtask
	c.co.stepping = false
	return e
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

// timeout returns the Timeout that was thrown into the coroutine last, or nil.
func (co *Coroutine) timeout() *Timeout {
	if co.top.told == nil {
		return nil
	}
	return co.top.told.timedOut
}

// isFinal reports whether an error of a subtask is the end of the coroutine too.
func (co *Coroutine) isFinal(err error) bool {
	if co.closing || drop(err, ErrSkip) == nil || co.notice() != nil {
		return true
	}
	if co.top.told == nil {
		return false
	}
	return co.timeout() != nil || is(err, co.top.told.throwing) || contains(err, co.top.told.throwing)
}
