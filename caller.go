package scheduler

import (
	"context"
	"sync/atomic"
)

// Caller is a [Clock] that makes the calls of its runs itself. A simulated clock can
// let time stand still for calls and decide in which order they end; a workflow engine
// can make them on coroutines of its own. Under any other clock a run starts a
// goroutine for each call.
type Caller interface {
	Clock

	// Call has a call made, and returns without waiting for it. It runs on the driving
	// goroutine, in the step that begins the call.
	Call(call *PendingCall)

	// Await returns once [PendingCall.End] has been called for the call, whose context
	// has ended. It runs on the driving goroutine, which closes the call; no Wait comes
	// meanwhile.
	Await(call *PendingCall)
}

// PendingCall is a call that a [Caller] has to make: call Run once, and after it has
// returned call End once. Its methods may be called from any goroutine, except for
// Path.
type PendingCall struct {
	call     *call
	group    *engine // nil outside of one
	node     int32
	err      error // of the function
	panicked bool
	ended    atomic.Bool
}

// Context returns the context of the call, as [Blocking] describes it.
func (p *PendingCall) Context() context.Context { return (*callContext)(p.call) }

// Run calls the function of the call and returns when it has returned. It must not be
// called on the driving goroutine. ctx is the call's context, or one derived from it. A
// panic of the function comes out of the step that answers the call, not of Run. If the
// function ends its goroutine by runtime.Goexit, nothing after Run is executed, so call
// End in a deferred function.
func (p *PendingCall) Run(ctx context.Context) {
	p.err = ErrGoexit
	defer func() {
		if p.err == ErrGoexit { //nolint:errorlint // That very one: it has not returned.
			p.panicked, p.err = caught(recover())
		}
	}()
	p.err = p.call.body.run(ctx)
}

// End makes the end of the call known: its task becomes due, in the order in which
// calls are ended. It does not block. A second End does nothing.
func (p *PendingCall) End() {
	if !p.ended.Swap(true) {
		p.call.leave(p.err, p.panicked)
	}
}

// Path returns the path of the call's node, or "" outside of a group. It is for the
// driving goroutine.
func (p *PendingCall) Path() string {
	if p.group == nil || p.node == noNode {
		return ""
	}
	return p.group.pathOf(p.node)
}

// WillWait reports whether the run's loop waits by the Caller, as [Run] does. A loop of
// the program's own, which steps the runner when it is woken, may never call Wait.
func (p *PendingCall) WillWait() bool {
	s := scopeOf(p.call.step)
	r, ok := s.driver.(*TaskRunner) // the outermost
	return ok && r.loop.Load() != nil
}

// String returns the name of the function that is called.
func (p *PendingCall) String() string { return p.call.String() }

// callerOf returns the clock of a scope if that makes calls itself, or nil.
func callerOf(s *scope) Caller {
	if s == nil {
		return nil
	}
	if _, ok := s.clock.(*systemClock); ok { // most runs: the dearer question is left out
		return nil
	}
	caller, _ := s.clock.(Caller)
	return caller
}

// beginBy has the function called by a Caller.
func (c *call) beginBy(caller Caller, s *scope) {
	p := &PendingCall{call: c, group: s.group, node: noNode}
	if p.group != nil {
		p.node = p.group.current
	}
	c.told().pending = &clockCall{caller, p}
	caller.Call(p)
}

// clockCall is a call that a Caller makes.
type clockCall struct {
	caller Caller
	call   *PendingCall
}
