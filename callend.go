package scheduler

import (
	"context"
	"errors"
	"sync"

	"github.com/steptask/scheduler/internal/claims"
)

// callEnd is the part of a call that most calls never need: what it was told, and what
// was asked of its context. It is made when first needed.
type callEnd struct {
	call *call
	held *claims.Holding // what the node of the call holds; never changed

	limits      callLimits   // never changed
	abandonment *abandonment // nil: it is waited for without end; never changed
	pending     *clockCall   // nil: no Caller makes it; never changed

	mu      sync.Mutex
	notice  *StopError
	thrown  error // the last error thrown in
	note    string
	hasNote bool // which was not taken yet
	isReady bool // it has said so before there was a group

	// The end of the context, and why it has ended.
	err, cause error

	// By the system's clock; 0: not, or by another clock.
	endedAt, returnedAt int64

	// Made when first asked for.
	inner   context.Context
	release context.CancelFunc // of inner; it ends with the source
	source  endSource
	noticed chan struct{} // closed with the notice
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

// stop gives notice. The first one counts; ends says that the context ends
// with it.
func (e *callEnd) stop(notice *StopError, ends bool) {
	if a := e.abandonment; a != nil {
		if a.notice(); ends {
			a.mustEnd()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keep(notice, ends)
}

// keep keeps the notice. The caller holds e.mu, and may end the context before it unlocks
// it, so that the call sees both at once.
func (e *callEnd) keep(notice *StopError, ends bool) {
	if e.notice == nil {
		e.notice = notice
		if e.noticed != nil {
			close(e.noticed)
		}
	}
	if ends {
		e.cancel(e.notice)
	}
}

// throw ends the context with an error that is thrown into the call.
func (e *callEnd) throw(err error) {
	if t, ok := asTimeout(err); ok && e.abandonment != nil {
		if e.abandonment.notice(); t.grace == 0 {
			e.abandonment.mustEnd()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.thrown = err
	e.cancel(err)
}

// close ends the context because the call is being closed: with the error that its
// driver could not throw into it, or the notice of the stop that it is closed for, if
// there is one.
func (e *callEnd) close() {
	thrown, n := thrownOf(e.call.step), noticeOf(e.call.step)
	ends := n != nil && contains(n, thrown) // not with e.mu: it calls Unwrap methods of users
	if a := e.abandonment; a != nil {
		a.mustEnd()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n != nil {
		e.keep(n, ends)
	}
	switch {
	case thrown != nil:
		e.cancel(thrown)
	case e.notice != nil:
		e.cancel(e.notice)
	default:
		e.cancel(ErrClosed)
	}
}

// cancel ends the context. The caller holds e.mu. Only package context runs in
// it: nobody who derives a context gets to see the lock.
func (e *callEnd) cancel(cause error) {
	if e.err != nil {
		return
	}
	e.err, e.cause = context.Canceled, cause
	e.ends()
	if isDeadline(cause) {
		e.err = context.DeadlineExceeded
	}
	if e.inner != nil {
		e.source.end(e.err, e.cause)
	}
}

// isDeadline reports whether a call is told to end because the time of itself, or
// of what is around it, has passed: by that very error, not by one that wraps
// that of another node.
func isDeadline(cause error) bool {
	switch e := cause.(type) { //nolint:errorlint // See above.
	case *Timeout:
		return true
	case *StopError:
		return e != nil && (e.deadline || isDeadline(e.Cause))
	}
	return false
}

// ended returns the error of the context.
func (e *callEnd) ended() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// lastThrown returns the last error thrown in.
func (e *callEnd) lastThrown() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.thrown
}

// own returns what err, which is the function's, says beside what the call was
// told. Words around what it was told are kept.
func (e *callEnd) own(err error) error {
	e.mu.Lock()
	ended, cause, notice, thrown := e.err, e.cause, e.notice, e.thrown
	e.mu.Unlock() // the text of an error may ask for the context
	if ended == nil {
		return err
	}
	onlyTold := dropAll(err, func(e error) bool { return isSame(e, ended) || isSame(e, cause) }) == nil
	if onlyTold && notice != nil && thrown == nil {
		if own := strip(err, cause); own != nil { // such as the errors of a Walk inside, which has heard of the end too
			err = own
		}
		return &toldError{err, notice}
	}
	return strip(strip(err, ended), cause)
}

// strip returns err without what, and without those branches of a joined error that
// are it. Unlike drop it keeps what adds words.
func strip(err, what error) error {
	if isSame(err, what) {
		return nil
	}
	e, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	all := branches(e)
	if !isJoined(err, all) {
		return err
	}
	var kept []error
	for _, branch := range all {
		if branch = strip(branch, what); branch != nil {
			kept = append(kept, branch)
		}
	}
	if len(kept) == len(all) {
		return err
	}
	return joinedOf(kept)
}

// isJoined reports whether an error joins branches and has no words of its own.
func isJoined(err error, branches []error) bool {
	if _, ok := err.(*joinedErrors); ok { //nolint:errorlint // That very type.
		return true
	}
	return textOf(errors.Join(branches...)) == textOf(err)
}

// toldError is the error of a call that only says that its context has ended,
// after a notice: it counts as the notice does.
type toldError struct {
	err    error
	notice *StopError
}

func (e *toldError) Error() string { return textOf(e.err) }

// Unwrap returns the notice, and nothing beside it: see drop.
func (e *toldError) Unwrap() error { return e.notice }

// Is reports whether the call's own error is target.
func (e *toldError) Is(target error) bool { return errors.Is(e.err, target) }

// As looks for target in the call's own error.
func (e *toldError) As(target any) bool { return errors.As(e.err, target) }

// sayReady keeps that the call has said so before there was a group.
func (e *callEnd) sayReady() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.isReady = true
}

// saidReady reports whether it has.
func (c *call) saidReady() bool {
	e := c.end.Load()
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.isReady
}

// stopping returns the channel of Stopping.
func (e *callEnd) stopping() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.noticed == nil {
		e.noticed = make(chan struct{})
		if e.notice != nil {
			close(e.noticed)
		}
	}
	return e.noticed
}

// stopCause returns the notice, or nil.
func (c *call) stopCause() error {
	e := c.end.Load()
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.notice == nil {
		return nil
	}
	return e.notice
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

// made returns the context of package context that ends with the call's. Contexts
// that are made from the call's are children of it.
func (e *callEnd) made() context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inner == nil {
		e.source.Context = context.WithoutCancel(e.call.step)
		e.inner, e.release = context.WithCancel(&e.source)
		if e.err != nil {
			e.source.end(e.err, e.cause)
		}
	}
	return e.inner
}
