package model

import "slices"

// Retries is a task that makes a task and runs it, and after a failure pauses and
// makes another one, until one succeeds.
type Retries struct {
	Clock *Clock
	// Pause is how long the next pause is; a negative one ends the attempts.
	Pause func() int64
	// Make returns the task of an attempt, of which the first is 1; nil ends them.
	Make func(attempt int, last error) *Task

	attempt int
	task    *Task // of the attempt that runs; nil in a pause
	last    error // with what the attempts before have failed
	before  Notes // of its node
	notice  *Notice
	stopped Event // a notice has come
	thrown  []error
	late    bool // its own time is over
}

// Permanent is an error after which there is no further attempt.
type Permanent struct{ Err error }

func (e *Permanent) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *Permanent) Unwrap() error { return e.Err }

// RetryAfter is an error that says how long the pause after it is.
type RetryAfter struct {
	Err   error
	Pause int64
}

func (e *RetryAfter) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *RetryAfter) Unwrap() error { return e.Err }

// Retry returns them as a task.
func Retry(r *Retries) Task {
	r.stopped.Clock = r.Clock
	return Task{Step: r.step, Throw: r.throw, Stop: r.stop, Close: r.close, BeginClose: r.beginClose}
}

func (r *Retries) step() (Yield, error) {
	switch {
	case r.attempt == 0:
		r.notice = r.Clock.notice()
		r.before = r.Clock.notesNow()
		return r.begin()
	case r.task != nil:
		return r.settle(r.task.step())
	case r.notice != nil: // it has ended the pause
		return Yield{}, join(r.notice, r.last)
	}
	return r.begin()
}

// begin makes the next attempt.
func (r *Retries) begin() (Yield, error) {
	r.attempt++
	if r.task = r.Make(r.attempt, r.last); r.task == nil {
		if r.attempt == 1 {
			return Yield{}, ErrNilTask
		}
		return Yield{}, r.last
	}
	return r.settle(r.task.step())
}

// settle does what the answer of an attempt asks for.
func (r *Retries) settle(y Yield, err error) (Yield, error) {
	if err == nil {
		if y.Done && r.last != nil {
			r.note(r.before.Attempt, r.before.Last)
		}
		return y, nil
	}
	r.task = nil
	if r.late || r.notice != nil || isOnlyTheError(err, ErrSkip) || r.comesOutAgain(err) {
		return Yield{}, r.result(err)
	}
	r.note(r.attempt, err)
	pause := r.Pause()
	if pause < 0 || says(err, isPermanent) {
		return Yield{}, err
	}
	says(err, func(err error) bool {
		after, ok := err.(*RetryAfter) //nolint:errorlint // One level at a time.
		if ok {
			pause = after.Pause
		}
		return ok
	})
	r.last = err
	return Yield{At: r.Clock.Now + pause, Ready: On(&r.stopped)}, nil
}

// note tells the node which attempt has failed last, and with what.
func (r *Retries) note(attempt int, last error) {
	if n := r.Clock.notes(); n != nil {
		n.Attempt, n.Last = attempt, last
	}
}

func isPermanent(err error) bool {
	_, ok := err.(*Permanent) //nolint:errorlint // One level at a time.
	return ok
}

func isOnlyTheError(err, target error) bool {
	return isOnly(err, func(err error) bool { return err == target }) //nolint:errorlint // That very one.
}

// comesOutAgain reports whether an error is one that was thrown in.
func (r *Retries) comesOutAgain(err error) bool {
	return says(err, func(err error) bool { return slices.Contains(r.thrown, err) })
}

// result is what it ends with after err: that which only means that it had to end does
// not hide the failure before.
func (r *Retries) result(err error) error {
	if isInterrupted(err) {
		return join(err, r.last)
	}
	return err
}

// isInterrupted reports whether an error only means that a task had to end.
func isInterrupted(err error) bool {
	return isOnly(err, func(err error) bool {
		switch err.(type) { //nolint:errorlint // One level at a time.
		case *Timeout, *Notice:
			return true
		}
		return err == ErrClosed //nolint:errorlint // That very one.
	})
}

// throw throws an error into the attempt. In a pause it is the error of the task.
func (r *Retries) throw(err error) (Yield, error) {
	if _, ok := err.(*Timeout); ok { //nolint:errorlint // That very type.
		r.late = true
	}
	if r.task == nil {
		return Yield{}, join(err, r.last)
	}
	r.thrown = append(r.thrown, err)
	return r.settle(r.task.throw(err))
}

func (r *Retries) stop(n *Notice) {
	if r.notice == nil || n.Final && !r.notice.Final {
		r.notice = n
	}
	r.stopped.Set()
	if r.task != nil && r.task.Stop != nil {
		r.task.Stop(n)
	}
}

func (r *Retries) beginClose() *Wait {
	if r.task == nil {
		return nil
	}
	return r.task.beginClose()
}

// close closes the attempt. What the one before has failed with is not forgotten.
func (r *Retries) close() error {
	err := ErrClosed
	if r.task != nil {
		err = join(err, r.task.Close())
	}
	return without(r.result(err), func(err error) bool { return err == ErrClosed }) //nolint:errorlint // That very one.
}
