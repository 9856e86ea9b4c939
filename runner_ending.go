package scheduler

// endPhase says how far the end of a runner has come.
type endPhase uint8

const (
	inForce   endPhase = iota // the task is stepped, told and thrown into
	answering                 // a Timeout without grace was thrown; the task's answer comes when its event is set
	closing                   // the task was asked to end; it is closed when its event is set
	ended
)

// runnerEnding is what a runner has been told about its end, how far that has come, and
// what becomes of it. It calls no code of the task.
type runnerEnding struct {
	phase   endPhase
	killed  bool       // by Kill, before the end
	untold  bool       // the task has not got the notice yet
	cause   error      // of Stop
	notice  *StopError // the same, as the task gets it
	cutWith error      // what the runner fails with if the end of a grace closes the task; nil: see cutOff
	reason  error      // for which it throws into the task, or closes it
	failed  error      // a Timeout that has no answer yet; what the runner fails with once the task is closed
	kept    error      // a Timeout, or ErrCancelled, that is in the outcome whatever the task fails with
	outcome error      // at the end
}

func (e *runnerEnding) isInForce() bool { return e.phase == inForce }
func (e *runnerEnding) isClosing() bool { return e.phase == closing }
func (e *runnerEnding) isOver() bool    { return e.phase == ended }

// stop keeps the first cause, and has the task told of it if it has a grace. deadline is
// as in StopError.
func (e *runnerEnding) stop(cause error, deadline, graced bool) {
	if e.cause != nil {
		return
	}
	if cause == nil {
		cause = ErrCancelled
	}
	e.cause = cause
	e.notice = &StopError{Cause: cause, final: true, deadline: deadline}
	e.untold = graced
}

// given returns the notice, or nil; isUntold reports whether the task is still to get it,
// and tell says that it gets it.
func (e *runnerEnding) given() *StopError { return e.notice }
func (e *runnerEnding) isUntold() bool    { return e.untold }
func (e *runnerEnding) tell() *StopError {
	e.untold = false
	return e.notice
}

// kill says that Kill was called. If it is that which closes the task, the runner fails
// with an error that was to be thrown in as well.
func (e *runnerEnding) kill(thrown error) {
	e.killed = true
	if e.phase == inForce {
		e.failed = join(e.kept, thrown)
	}
}

// endFor says for which error the task is thrown into or closed from now on, and
// endsFor returns it; nil: none.
func (e *runnerEnding) endFor(err error) { e.reason = err }
func (e *runnerEnding) endsFor() error   { return e.reason }

// timeOut says that a Timeout is thrown into the task, and await that the answer comes when
// the event of the task is set.
func (e *runnerEnding) timeOut(t *Timeout) { e.failed = t }
func (e *runnerEnding) await()             { e.phase = answering }

// answer says that the task has answered the Timeout with an error, or nil. It is kept,
// unless the error says it.
func (e *runnerEnding) answer(err error) {
	t := e.failed
	if !says(err, func(e error) bool { return e == t }) { //nolint:errorlint // That very one.
		e.kept = t
	}
	e.failed = nil
}

// cutOffWith sets what the runner fails with if the end of a grace closes the task. The
// first counts.
func (e *runnerEnding) cutOffWith(err error) {
	if e.cutWith == nil {
		e.cutWith = err
	}
}

// cutOff says that the end of a grace closes the task.
func (e *runnerEnding) cutOff() {
	switch {
	case e.kept != nil: // the Timeout, after which it had the grace
		e.reason, e.failed = e.kept, e.kept
	case e.cutWith != nil:
		e.failed = e.cutWith
	case e.cause == nil: // by CancelAfter
		e.kept = ErrCancelled
	}
}

// beginClose says that the task was asked to end, and ends when its event is set.
func (e *runnerEnding) beginClose() { e.phase = closing }

// closed returns what the runner fails with if closing its task returns err.
func (e *runnerEnding) closed(err error) error { return join(e.failed, err) }

// unsaid returns what would be in the outcome alone if the task were closed now, apart from
// why: a Timeout that it has not failed with, and what it was killed with.
func (e *runnerEnding) unsaid() error {
	kept := e.kept
	if kept == ErrCancelled { //nolint:errorlint // As cutOff has set it.
		kept = nil
	}
	if _, ok := e.failed.(*StopError); ok { //nolint:errorlint // As Reserve has given it.
		return kept
	}
	return join(kept, e.failed)
}

// finish ends the runner with the error that came out of its task, and returns what it
// fails with: after a stop the cause, and not the notice that was made of it. The
// outcome has what is not reported besides.
func (e *runnerEnding) finish(err error) error {
	if e.notice != nil {
		err = drop(err, e.notice)
	}
	switch {
	case e.killed:
		err = join(join(ErrCancelled, e.cause), err)
	case e.cause != nil:
		err = join(e.cause, err)
	}
	e.end(join(e.kept, err))
	return err
}

// cancel ends the runner before its task is closed. thrown was to be thrown in; closedWith
// adds the error of Close.
func (e *runnerEnding) cancel(thrown error) {
	e.end(join(join(join(ErrCancelled, e.cause), join(e.kept, e.failed)), thrown))
}

func (e *runnerEnding) closedWith(err error) { e.outcome = join(e.outcome, err) }

// end ends the runner, and result returns the outcome; nil before.
func (e *runnerEnding) end(outcome error) { e.phase, e.outcome = ended, outcome }
func (e *runnerEnding) result() error     { return e.outcome }
