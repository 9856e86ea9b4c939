package scheduler

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
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
	return &call{body: plainCall(fn)}
}

// plainCall is the function of Blocking.
type plainCall func(ctx context.Context) error

func (fn plainCall) run(ctx context.Context) error { return fn(ctx) }
func (fn plainCall) then(err error) error          { return err }
func (fn plainCall) String() string                { return funcName(fn) }

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
	t := new(struct {
		call
		fetchCall[T]
	})
	t.fetchCall = fetchCall[T]{fn: fn, got: then}
	t.body = &t.fetchCall
	return &t.call
}

// fetchCall is the functions of Fetch.
type fetchCall[T any] struct {
	fn    func(ctx context.Context) (T, error)
	got   func(value T, err error) error
	value T
}

func (f *fetchCall[T]) run(ctx context.Context) (err error) {
	f.value, err = f.fn(ctx)
	return err
}

func (f *fetchCall[T]) then(err error) error { return f.got(f.value, err) }
func (f *fetchCall[T]) String() string       { return funcName(f.fn) }

// Stopping returns a channel that is closed when the task to whose call ctx
// belongs has been asked to stop: the notice for functions given to [Blocking],
// [Fetch] and [Call]. For another context it is nil, which blocks for ever.
func Stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil {
		return nil
	}
	return c.told().stopping()
}

// callBody is what a call runs.
type callBody interface {
	run(ctx context.Context) error // on the goroutine of the call
	then(err error) error          // on the driving goroutine, when it has ended
	fmt.Stringer
}

// call is the Task of Blocking and Fetch. There may be very many, so that what
// most of them never need is made when it is first needed.
type call struct {
	body callBody
	step context.Context         // of its first step; nil before
	next *call                   // in the queue of workers
	end  atomic.Pointer[callEnd] // nil while nothing was told or asked
	done Event                   // set when the function has returned

	// Written before done is set, and read after it.
	err      error // what the function returned, or its *PanicError
	panicked bool
}

// Step begins the call, and later looks whether it has ended.
func (c *call) Step(ctx context.Context) (Yield, error) {
	if c.step == nil {
		c.step = ctx
		if p := poolOf(ctx); p != nil {
			p.workers.begin(c)
		} else {
			go c.run()
		}
		return On(&c.done), nil // also if it has ended: steps do not hang on its speed
	}
	switch {
	case c.done.IsSet():
		return c.finish(c.thrown())
	case c.thrown() != nil:
		return Ending(&c.done), nil
	}
	return On(&c.done), nil
}

// run makes the call, on the goroutine of a worker.
func (c *call) run() {
	err, panicked := ErrGoexit, false
	defer func() {
		if err == ErrGoexit { //nolint:errorlint // That very one: it has not returned.
			if v := recover(); v != nil {
				err, panicked = &PanicError{Value: v, Stack: debug.Stack()}, true
			}
		}
		c.leave(err, panicked)
	}()
	err = c.body.run((*callContext)(c))
}

// leave makes known that the function has returned.
func (c *call) leave(err error, panicked bool) {
	c.err, c.panicked = err, panicked
	c.done.Set()
	if e := c.end.Load(); e != nil { // after Set: see wait
		e.leave()
	}
}

// wait blocks until the function has returned.
func (c *call) wait() {
	if c.done.IsSet() {
		return
	}
	left := c.told().waitFor()
	if !c.done.IsSet() { // looked at anew: leave may have missed that we wait
		<-left
	}
}

// finish makes the outcome known. cause is why the call was ended early, or nil.
func (c *call) finish(cause error) (Yield, error) {
	if c.panicked {
		panic(c.err)
	}
	err := c.err
	if cause != nil {
		// That it was cancelled is only what we told it.
		err = join(cause, drop(err, context.Canceled))
	}
	if err = c.body.then(err); err != nil {
		return Yield{}, err
	}
	return Done, nil
}

// Throw ends the call's context. The call then has the grace of whoever threw.
func (c *call) Throw(_ context.Context, err error) (Yield, error) {
	c.told().cancel(err)
	return Ending(&c.done), nil // not swallowed
}

func (c *call) Close() error {
	c.told().cancel(ErrClosed)
	c.wait()
	cause := ErrClosed
	if t, ok := c.thrown().(*Timeout); ok && t.grace == 0 { //nolint:errorlint // That very one, as thrown.
		cause = t // it had no step to answer it
	}
	_, err := c.finish(cause)
	return dropClosed(err)
}

// BeginClose ends the call's context.
func (c *call) BeginClose() *Event {
	c.told().cancel(ErrClosed)
	return &c.done
}

// Stop closes the channel of Stopping.
func (c *call) Stop(_ context.Context, cause error) { c.told().stop(asNotice(cause, false)) }

// String looks the name up when it is asked for: that takes longer than all the
// rest of a short call.
func (c *call) String() string { return c.body.String() }
