package scheduler

import (
	"context"
	"sync"
	"time"
)

// callContext is a call as the context that its function gets: the values of the
// step's, and an end of its own.
type callContext call

// callKey is the key under which the context of a call has the call.
type callKey struct{}

// callEnd is what a call was told, and what was asked of its context.
type callEnd struct {
	call *call

	mu      sync.Mutex
	cause   error           // why the context has ended; nil before
	thrown  error           // the last error thrown in
	inner   context.Context // made when first asked for, as is what follows
	cancels context.CancelCauseFunc
	notice  chan struct{}
	stopped *StopError    // the notice; nil before
	left    chan struct{} // closed when the function has returned
}

// told returns what the call was told.
func (c *call) told() *callEnd {
	if e := c.end.Load(); e != nil {
		return e
	}
	c.end.CompareAndSwap(nil, &callEnd{call: c})
	return c.end.Load()
}

// thrown returns the last error thrown into the call, or nil.
func (c *call) thrown() error {
	e := c.end.Load()
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.thrown
}

// cancel ends the call's context.
func (e *callEnd) cancel(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cause != ErrClosed { //nolint:errorlint // That very one.
		e.thrown = cause
	}
	if e.cause == nil {
		e.cause = cause
		if e.cancels != nil {
			e.cancels(cause)
		}
	}
}

// stopping returns the channel of Stopping.
func (e *callEnd) stopping() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.notice == nil {
		e.notice = make(chan struct{})
		if e.stopped != nil {
			close(e.notice)
		}
	}
	return e.notice
}

// stop gives notice. The first one counts.
func (e *callEnd) stop(notice *StopError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped != nil {
		return
	}
	e.stopped = notice
	if e.notice != nil {
		close(e.notice)
	}
}

// stopCause returns the notice, or nil.
func (c *call) stopCause() error {
	e := c.end.Load()
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped == nil {
		return nil
	}
	return e.stopped
}

// waitFor returns a channel that leave closes.
func (e *callEnd) waitFor() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left == nil {
		e.left = make(chan struct{})
	}
	return e.left
}

func (e *callEnd) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left != nil {
		close(e.left)
	}
}

// made returns the context of package context that ends with the call's.
func (e *callEnd) made() context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inner == nil {
		e.inner, e.cancels = context.WithCancelCause(context.WithoutCancel(e.call.step))
		if e.cause != nil {
			e.cancels(e.cause)
		}
	}
	return e.inner
}

func (e *callEnd) err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cause == nil {
		return nil
	}
	return context.Canceled
}

func (c *callContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *callContext) Done() <-chan struct{} { return (*call)(c).told().made().Done() }

func (c *callContext) Err() error {
	if e := c.end.Load(); e != nil {
		return e.err()
	}
	return nil
}

func (c *callContext) Value(key any) any {
	switch key {
	case callKey{}:
		return (*call)(c)
	case scopeKey{}:
		// A call is outside the run's steps: it may block, in a run of its
		// own too, and keeps only the clock.
		return &scope{clock: clockOf(c.step)}
	}
	if e := c.end.Load(); e != nil {
		return e.made().Value(key)
	}
	return context.WithoutCancel(c.step).Value(key)
}

func (c *callContext) String() string { return "scheduler.Blocking" }
