package scheduler

import (
	"context"
	"runtime/debug"
	"sync"
	"time"
)

// Blocking turns a call that blocks, such as one of a cloud's SDK, into a Task.
// Its first step calls fn on a goroutine of its own; the task is parked until
// fn returns and then ends with fn's error.
//
// fn runs beside the tasks of the run and shares no state with them but what it
// locks itself: give its results to [Fetch] or [Call]. Its context has the
// values of the step's and never the step's end. It ends only if the task is
// closed, with the cause [ErrClosed], or if an error is thrown into the task,
// with that error as the cause; the task then fails with that error once fn has
// returned. The notice of a stop is the channel of [Stopping].
//
// Close ends fn's context and returns when fn has returned, so a task that is
// closed without grace stalls the run for as long as fn ignores its context.
// Where many are closed, all are told before the first is waited for. A timeout
// without grace does the same as Close.
//
// A panic in fn goes up from the step as a [*PanicError]; runtime.Goexit fails
// the task with [ErrGoexit]. Blocking panics if fn is nil.
func Blocking(fn func(ctx context.Context) error) Task {
	if fn == nil {
		panic("scheduler: Blocking: nil function")
	}
	return &call{fn: fn, given: fn}
}

// Fetch is [Blocking] for a call with a result. After fn has returned, then is
// called with its value and error on the driving goroutine, where it may change
// what tasks share without a lock; what it returns is the task's error. It is
// called exactly once, also when the task is closed or an error was thrown in,
// so that a value is never lost: err then is [ErrClosed], or that error, joined
// with fn's own. It is not called if fn panics.
func Fetch[T any](fn func(ctx context.Context) (T, error), then func(value T, err error) error) Task {
	if fn == nil || then == nil {
		panic("scheduler: Fetch: nil function")
	}
	var value T
	return &call{
		given: fn,
		fn: func(ctx context.Context) (err error) {
			value, err = fn(ctx)
			return err
		},
		then: func(err error) error { return then(value, err) },
	}
}

// Stopping returns a channel that is closed when the task to whose call ctx
// belongs has been asked to stop: the notice for functions given to [Blocking],
// [Fetch] and [Call]. For another context it is nil, which blocks for ever.
func Stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(callKey{}).(*callContext)
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopping()
}

// call is the Task of Blocking and Fetch.
type call struct {
	fn    func(ctx context.Context) error
	then  func(err error) error // nil: the error is the task's
	given any                   // the function as it was given, for its name

	ctx    callContext // its outer context is nil before the first step
	thrown error
	done   Event
	wg     sync.WaitGroup // the goroutine

	// Written by the goroutine, read after wg.
	err      error
	panicked *PanicError
}

// Step begins the call, and later looks whether it has ended.
func (c *call) Step(ctx context.Context) (Yield, error) {
	if c.ctx.outer == nil {
		c.ctx.outer = ctx
		c.wg.Add(1)
		go c.run()
		return On(&c.done), nil // also if it has ended: steps do not hang on its speed
	}
	if !c.done.IsSet() {
		return On(&c.done), nil
	}
	return c.end(c.thrown)
}

// run is the goroutine. Nothing of it is left once wg is done.
func (c *call) run() {
	returned := false
	defer func() {
		if !returned {
			if v := recover(); v != nil {
				c.panicked = &PanicError{Value: v, Stack: debug.Stack()}
			} else {
				c.err = ErrGoexit
			}
		}
		c.done.Set()
		c.wg.Done()
	}()
	c.err = c.fn(&c.ctx)
	returned = true
}

// end waits for the goroutine and makes the outcome known. cause is why the
// call was ended early, or nil.
func (c *call) end(cause error) (Yield, error) {
	c.wg.Wait()
	if c.panicked != nil {
		panic(c.panicked)
	}
	err := c.err
	if cause != nil {
		// That it was cancelled is only what we told it.
		err = join(cause, drop(err, context.Canceled))
	}
	if c.then != nil {
		err = c.then(err)
	}
	if err != nil {
		return Yield{}, err
	}
	return Done, nil
}

// Throw ends the call's context. The call then has the grace of whoever threw.
func (c *call) Throw(_ context.Context, err error) (Yield, error) {
	c.thrown = err
	c.ctx.cancel(err)
	if t, ok := err.(*Timeout); ok && t.grace == 0 { //nolint:errorlint // That very one, as thrown.
		// To yield would be to swallow it: we would be closed at once.
		return c.end(err)
	}
	return On(&c.done), nil
}

func (c *call) Close() error {
	c.ctx.cancel(ErrClosed)
	_, err := c.end(ErrClosed)
	return dropClosed(err)
}

// BeginClose ends the call's context.
func (c *call) BeginClose() *Event {
	c.ctx.cancel(ErrClosed)
	return &c.done
}

// Stop closes the channel of Stopping.
func (c *call) Stop(_ context.Context, cause error) { c.ctx.stop(asNotice(cause, false)) }

// String looks the name up when it is asked for: that takes longer than all the
// rest of a short call.
func (c *call) String() string { return funcName(c.given) }

// callContext is the context of a call: the values of the step's, and an end of
// its own. Most calls never ask for Done, so what that takes is made when it is
// first needed.
type callContext struct {
	outer context.Context

	mu      sync.Mutex
	inner   context.Context // nil as long as nobody asked, and it has not ended
	end     context.CancelCauseFunc
	notice  chan struct{}
	stopped *StopError
}

type callKey struct{}

// made returns the inner context. The caller holds c.mu.
func (c *callContext) made() context.Context {
	if c.inner == nil {
		c.inner, c.end = context.WithCancelCause(context.WithoutCancel(c.outer))
	}
	return c.inner
}

func (c *callContext) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made()
	c.end(cause)
}

// stopping returns the channel of Stopping. The caller holds c.mu.
func (c *callContext) stopping() chan struct{} {
	if c.notice == nil {
		c.notice = make(chan struct{})
	}
	return c.notice
}

func (c *callContext) stop(notice *StopError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped == nil {
		c.stopped = notice
		close(c.stopping())
	}
}

func (c *callContext) stopCause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped == nil {
		return nil
	}
	return c.stopped
}

func (c *callContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made().Done()
}

func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		return nil
	}
	return c.inner.Err()
}

func (c *callContext) Value(key any) any {
	switch key {
	case callKey{}:
		return c
	case scopeKey{}:
		// A call is outside the run's steps: it may block, in a run of its
		// own too, and keeps only the clock.
		return &scope{clock: clockOf(c.outer)}
	}
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	if inner == nil {
		inner = context.WithoutCancel(c.outer)
	}
	return inner.Value(key)
}

func (c *callContext) String() string { return "scheduler.Blocking" }
