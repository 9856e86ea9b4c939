package scheduler

import (
	"context"
	"sync/atomic"
)

// Caller is a [Clock] that makes the calls of its runs itself, for a simulation or a
// workflow engine. Under any other clock a run starts a goroutine for each call.
type Caller interface {
	Clock

	// Call has a call made, and returns without waiting for it. It runs on the
	// driving goroutine.
	Call(call *PendingCall)

	// Await returns once [PendingCall.End] has been called for a call that is being
	// closed. It runs on the driving goroutine; no Wait comes meanwhile.
	Await(call *PendingCall)
}

// PendingCall is a call that a [Caller] has to make: call Run once, and after it has
// returned call End once. Any goroutine may call its methods, except for Path.
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
// called on the driving goroutine. ctx is the call's context, or one derived from it.
// A panic of the function comes out of a step of the task, not of Run. runtime.Goexit
// ends the goroutine of Run, so call End in a deferred function.
func (p *PendingCall) Run(ctx context.Context) {
	p.err = ErrGoexit
	defer func() {
		if p.err == ErrGoexit { //nolint:errorlint // That very one: it has not returned.
			p.panicked, p.err = caught(recover())
		}
	}()
	p.err = p.call.body.run(ctx)
}

// End makes the task of the call due, in the order in which calls are ended. It does
// not block. A second End does nothing.
func (p *PendingCall) End() {
	if !p.ended.Swap(true) {
		p.call.leave(p.err, p.panicked, nil)
	}
}

// Path returns the path of the call's node.
func (p *PendingCall) Path() string {
	if p.group == nil {
		return ""
	}
	return p.group.pathOf(p.node)
}

// WillWait reports whether the run's loop calls the Caller's Wait, as [Run] does. A
// loop of the program's own may never call it.
func (p *PendingCall) WillWait() bool {
	s := scopeOf(p.call.step)
	r, ok := s.driver.(*TaskRunner) // the outermost
	return ok && r.loop.Load() != nil
}

// String returns the name of the function.
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
	p := &PendingCall{call: c}
	p.group, p.node = s.node()
	c.told().pending = &clockCall{caller, p}
	caller.Call(p)
}

// clockCall is a call that a Caller makes.
type clockCall struct {
	caller Caller
	call   *PendingCall
}
