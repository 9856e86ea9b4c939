package scheduler

import "context"

// StopError is the notice that a task should end, with the cause. All tasks that one
// stop reaches get the same pointer. See "What a notice does" in the package
// documentation.
type StopError struct {
	Cause error // the argument of Stop, the cause of Run's context, or the failure of another node

	// final is set if the stop is that of the run, or of the node itself, and
	// not the failure of another node: then nothing new starts, at any depth.
	final bool

	deadline bool // the deadline of Run's context has passed
}

// Error returns the text of the cause; without one that of [ErrCancelled].
func (e *StopError) Error() string {
	if e.Cause == nil {
		return ErrCancelled.Error()
	}
	return textOf(e.Cause)
}

// Unwrap returns the cause.
func (e *StopError) Unwrap() error { return e.Cause }

// asNotice returns the notice that a task is stopped with: cause itself if it is
// one, else a new one.
func asNotice(cause error, final bool) *StopError {
	if n, _ := cause.(*StopError); n != nil { //nolint:errorlint // That very one.
		return n
	}
	return &StopError{Cause: cause, final: final}
}

// followedBy returns the notice that counts once next has come as well, where nil is
// none: the first, unless a final one comes after it.
func (e *StopError) followedBy(next *StopError) *StopError {
	if e == nil || next != nil && next.final && !e.final {
		return next
	}
	return e
}

// StopCause returns the notice given to the task of ctx, a [*StopError], or nil if it
// has not been asked to stop. ctx is that of a step or a call. A task that begins
// after the notice has it too, except behind [Shield].
func StopCause(ctx context.Context) error {
	mustHave(ctx, "StopCause")
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.stopCause()
	}
	if n := noticeOf(ctx); n != nil {
		return n
	}
	return nil
}
