package scheduler

import (
	"context"
	"sync/atomic"
	"time"
)

// callContext is a call as the context that its function gets: the values of the
// step's, the deadline of what limits it, and an end of its own.
type callContext call

// callKey is the key under which the context of a call has the call.
type callKey struct{}

// Deadline returns when the context will end at the latest. It is no timer: the
// context ends when the driver says so.
func (c *callContext) Deadline() (time.Time, bool) {
	if (*call)(c).servesAhead() {
		return time.Time{}, false
	}
	nano, outlasts := (*call)(c).limitNow()
	at, ok := c.stepEnd(outlasts)
	if nano == 0 {
		return at, ok
	}
	if limit := time.Unix(0, nano); !ok || limit.Before(at) {
		return limit, true
	}
	return at, true
}

// stepEnd returns when the context ends because of that of the step. At the deadline of
// Run's context the run is only stopped: the grace of its runner follows, unless the call
// ends with the notice. Nobody knows when the context of one that outlasts others ends.
func (c *callContext) stepEnd(outlasts bool) (time.Time, bool) {
	at, ok := c.step.Deadline()
	s := scopeOf(c.step)
	if !ok || s == nil {
		return at, ok
	}
	r, _ := s.driver.(*TaskRunner) // the outermost
	if r == nil {
		return at, true
	}
	limit, grace := r.stopOfRun()
	if !at.Equal(limit) {
		return at, true
	}
	switch {
	case outlasts:
		return time.Time{}, false
	case grace <= 0 || c.ends:
		return at, true
	}
	if isSystemClock(r.clock) {
		if end := wallLimit(later(instant(at), grace)); end != 0 {
			return time.Unix(0, end), true
		}
	}
	return time.Time{}, false
}

func (c *callContext) Done() <-chan struct{} { return (*call)(c).told().made().Done() }

func (c *callContext) Err() error {
	if e := c.end.Load(); e != nil {
		return e.ended()
	}
	return nil
}

func (c *callContext) Value(key any) any {
	switch key {
	case callKey{}:
		return (*call)(c)
	case scopeKey{}:
		return (*call)(c).scope()
	}
	if e := c.end.Load(); e != nil {
		return e.made().Value(key)
	}
	return context.WithoutCancel(c.step).Value(key)
}

func (c *callContext) String() string { return "scheduler.Blocking" }

// scope returns what the function may know of the run. A call is outside of the
// run's steps: it may block, also in a run of its own.
func (c *call) scope() *scope {
	s := &scope{clock: clockOf(c.step)}
	if e := c.end.Load(); e != nil {
		s.held = e.held
	}
	return s
}

// endSource is a context that ends by whatever error, which those that package
// context makes do not. Only the one that WithCancel makes of it is seen by others.
type endSource struct {
	context.Context
	err   error
	cause atomic.Pointer[context.Context] // ended: here context.Cause finds it
	child func()                          // ends the one that was made of it
}

func (s *endSource) end(err, cause error) {
	inner, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	s.cause.Store(&inner)
	s.err = err
	s.child()
}

// open is a channel that is never closed.
var open = make(chan struct{})

// Done is asked only by WithCancel, and before the end. AfterFunc tells of that.
func (s *endSource) Done() <-chan struct{} { return open }

func (s *endSource) AfterFunc(child func()) (stop func() bool) {
	s.child = child
	return func() bool { return false }
}

func (s *endSource) Err() error { return s.err }

func (s *endSource) Value(key any) any {
	if ended := s.cause.Load(); ended != nil {
		if v := (*ended).Value(key); v != nil {
			return v
		}
	}
	return s.Context.Value(key)
}
