package scheduler

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// Blocking returns a [Task] for a call that blocks, such as one of a cloud's SDK. Its
// first step calls fn on another goroutine; the task is parked until fn returns, and
// fn's error is the task's. fn must lock what it shares with tasks; [Fetch] and
// [Call] return results instead.
//
// The context of a call has the values of the step's context and ends when the call
// has to end. Err is then [context.DeadlineExceeded] if a time limit has passed, and
// [context.Canceled] otherwise; [context.Cause] is the [*Timeout], another error that
// was thrown in, the [*StopError] of a stop, or [ErrClosed]. A notice does not end
// it, unless EndCalls is set: see [Stopping] and [StopCause]. It does not end after
// fn has returned, so what fn leaves behind, such as the body of a response, can be
// used.
//
// Its deadline is the latest time at which it will end, as known when the call
// begins: a nanosecond after the earliest of the limits around the call, by the
// system's clock. A grace that follows the deadline of Run's context, or a Timeout
// around a group, is added. A step that takes long delays the end, and the grace after a
// limit that is seen late. Two limits do not count: a Timeout whose grace GraceFor
// decides, and the Timeout of a node that has become [Ready]. If other nodes require
// that node, it ends after them, and limits further out do not count either.
//
// The result of fn counts after a notice: nil is a success; the notice, or an error
// that only says that the context has ended, makes the task cancelled; anything else
// is a failure. After an error was thrown in, and once the task is being closed, the
// outcome stands, and fn's error is joined to it.
//
// Close ends the context and waits until fn has returned; BeginClose does not wait. A
// panic in fn propagates from the step as a [*PanicError]. runtime.Goexit fails the
// task with [ErrGoexit].
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
func (fn plainCall) lose(err error) error          { return err }
func (fn plainCall) String() string                { return funcName(fn) }

// Fetch is [Blocking] for a call with a result. After fn has returned, then is called
// with its results on the driving goroutine, where it needs no locks. The error of
// then is the task's.
//
// then is called exactly once, even if the task is closed or an error is thrown into
// it, so that no value is lost: err is then [ErrClosed] or that error, joined with
// fn's own. A [*Timeout] is the task's error whatever then returns. then is not
// called if fn panics.
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

// lose leaves the value alone: the call may still be writing it.
func (f *fetchCall[T]) lose(err error) error {
	var zero T
	return f.got(zero, err)
}

func (f *fetchCall[T]) String() string { return funcName(f.fn) }

// Stopping returns a channel that is closed when the task of ctx, the context of a
// call, has been asked to stop. For another context it is nil, which blocks for ever.
func Stopping(ctx context.Context) <-chan struct{} {
	mustHave(ctx, "Stopping")
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
	lose(err error) error          // then, for a call that was left behind
	fmt.Stringer
}

// call is the Task of Blocking and Fetch. There may be very many, so that what
// most of them never need is made when it is first needed.
type call struct {
	body  callBody
	step  context.Context         // of its first step; nil before
	next  *call                   // in the queue of workers
	limit int64                   // of its context, without those of nodes, in nanoseconds since the epoch; 0: none
	end   atomic.Pointer[callEnd] // nil while nothing was told or asked
	done  Event                   // set when the function has returned

	// Written before done is set, and read after it.
	err      error // what the function returned, or its *PanicError
	panicked bool

	ends       bool  // its context ends with the notice
	over       bool  // its outcome was made known
	tellsNotes bool  // somebody wants to be told of its notes
	node       int32 // whose call it is, or noNode
}

// Step begins the call, and later looks whether it has ended.
func (c *call) Step(ctx context.Context) (Yield, error) {
	switch {
	case c.over:
		return Yield{}, &namedError{c.String(), ErrEnded}
	case c.step == nil:
		return c.begin(ctx), nil // also if it has ended: steps do not hang on its speed
	case c.isAhead():
		return On(&c.done), nil
	case !c.done.IsSet():
		return c.waiting(), nil
	}
	return c.answer(c.finish(c.thrown()))
}

// begin has the function called, and returns what the call yields. What it begins under is
// looked up here, on the driving goroutine.
func (c *call) begin(ctx context.Context) Yield {
	c.step = ctx
	s := scopeOf(ctx)
	c.ends = s != nil && s.endCalls
	g, p := s.node()
	if c.node = p; g != nil {
		c.tellsNotes = g.watchers.want(NodeNoted)
	}
	at, limits := limitsOf(ctx, c.ends)
	if c.limit = at; limits.some() {
		c.told().limits = limits
	}
	if held := heldAround(s); held != nil {
		c.told().held = held
	}
	if a := newAbandonment(c, s); a != nil {
		c.told().abandonment = a
	}
	if n := noticeOf(ctx); n != nil {
		c.told().stop(n, c.ends)
	}
	switch caller := callerOf(s); {
	case caller != nil:
		c.beginBy(caller, s)
	case s != nil && s.pool != nil:
		s.pool.workers.begin(c)
		if c.isTold() {
			return Yield{code: yieldEvent}
		}
	default:
		go c.run(nil)
	}
	return On(&c.done)
}

// beginAhead begins the call of a node in a context that gets the scope of a group only
// later. The caller has its function run.
func (c *call) beginAhead(ctx *fastContext, p int32) {
	c.step, c.node, c.ends = ctx, p, true
}

// isAhead reports whether this is the first step of such a call.
func (c *call) isAhead() bool {
	ctx, ok := c.step.(*fastContext)
	return ok && ctx.scope.Load() == nil
}

// group returns the group that the call is made in, or nil.
func (c *call) group() *engine {
	if s := scopeOf(c.step); s != nil {
		return s.group
	}
	return nil
}

// isTold reports whether a walker will tell the group that the function has returned. Such
// a call does not wait for its event. One with Abandon does, since it may end without that.
func (c *call) isTold() bool {
	p := poolOf(c.step)
	return p != nil && p.workers.walker != nil && c.abandonment() == nil
}

// waiting is what a call yields that has not ended.
func (c *call) waiting() Yield {
	if c.thrown() != nil {
		return Ending(&c.done)
	}
	return On(&c.done)
}

// run makes the call, on the goroutine of a worker. w is the walker that it belongs to, or
// nil.
func (c *call) run(w *walker) {
	err, panicked := ErrGoexit, false
	defer func() {
		if err == ErrGoexit { //nolint:errorlint // That very one: it has not returned.
			panicked, err = caught(recover())
		}
		c.leave(err, panicked, w)
	}()
	if a := c.abandonment(); a != nil && !a.enter() {
		err = nil // it was left behind before it could begin
		return
	}
	err = c.body.run((*callContext)(c))
}

// caught returns what v, which was recovered from the function, makes of its error.
func caught(v any) (panicked bool, err error) {
	if v == nil {
		return false, ErrGoexit
	}
	return true, &PanicError{Value: v, Stack: debug.Stack(), goesUp: true}
}

// abandonment returns when the call is left behind, or nil.
func (c *call) abandonment() *abandonment {
	if e := c.end.Load(); e != nil {
		return e.abandonment
	}
	return nil
}

// leave makes known that the function has returned. w is as in run.
func (c *call) leave(err error, panicked bool, w *walker) {
	if a := c.abandonment(); a != nil && !a.leave() {
		return // it was left behind
	}
	c.err, c.panicked = err, panicked
	if e := c.end.Load(); e != nil {
		e.returns()
	}
	if w != nil {
		w.returns(c)
	} else {
		c.done.Set()
	}
	if e := c.end.Load(); e != nil { // after that: see wait
		e.leave()
	}
}

// wait blocks until the function has returned.
func (c *call) wait() {
	if c.done.IsSet() {
		return
	}
	e := c.told()
	if e.pending != nil {
		e.pending.caller.Await(e.pending.call)
	} else if p := poolOf(c.step); p != nil {
		p.workers.send()
	}
	left := e.waitFor()
	if !c.done.IsSet() { // looked at anew: leave may have missed that we wait
		<-left
	}
}

// thrown returns the last error thrown into the call, or nil.
func (c *call) thrown() error {
	if e := c.end.Load(); e != nil {
		return e.lastThrown()
	}
	return nil
}

// finish returns the outcome of a call that has returned. reason is the error that
// ended it early, or nil.
func (c *call) finish(reason error) error {
	if c.end.Load() != nil && c.node != noNode {
		scopeOf(c.step).group.takeNotes()
	}
	c.over = true
	if e := c.end.Load(); e != nil {
		c.noteLate(e)
	}
	if a := c.abandonment(); a != nil {
		if lost := a.lost(); lost != nil {
			a.tell(lost)
			return c.made(reason, c.body.lose(join(reason, lost)))
		}
	}
	if c.panicked {
		panic(c.err)
	}
	err := c.err
	if e := c.end.Load(); e != nil && err != nil {
		err = e.own(err)
	}
	return c.made(reason, c.body.then(join(reason, err)))
}

// made returns the outcome of a call of which then has made err.
func (c *call) made(reason, err error) error {
	if t, ok := asTimeout(reason); ok {
		err = join(t, err) // it was not for then to swallow
	}
	return err
}

// answer is what the last step returns.
func (c *call) answer(err error) (Yield, error) {
	if err != nil {
		return Yield{}, err
	}
	return Done, nil
}

// Throw ends the call's context. The call then has the grace of whoever threw.
func (c *call) Throw(_ context.Context, err error) (Yield, error) {
	if c.step == nil || c.over {
		c.over = true // it can be used once
		return Yield{}, err
	}
	c.told().throw(err)
	return c.waiting(), nil
}

// Close ends the call's context and waits for the function.
func (c *call) Close() error {
	if c.step == nil || c.over {
		c.over = true // it can be used once
		return nil
	}
	c.told().close()
	c.wait()
	reason := ErrClosed
	if t, ok := asTimeout(c.thrown()); ok && t.grace == 0 {
		reason = t // there was no step to answer it in
	}
	err := dropClosed(c.finish(reason))
	if s := scopeOf(c.step); s != nil && s.group != nil && err != nil && !Interrupted(err) {
		s.group.failures.keepOfMember(err)
	}
	return err
}

// BeginClose ends the call's context.
func (c *call) BeginClose() *Event {
	if c.step == nil || c.over {
		return nil
	}
	c.told().close()
	return &c.done
}

// Stop gives notice.
func (c *call) Stop(_ context.Context, cause error) { c.told().stop(asNotice(cause, false), c.ends) }

// String looks the name up when it is asked for: that takes longer than all the
// rest of a short call.
func (c *call) String() string { return c.body.String() }
