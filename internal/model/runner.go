package model

// Runner drives one task.
type Runner struct {
	Clock    *Clock
	Task     Task
	Timeout  int64        // from the start on; 0 is none
	Grace    int64        // after Stop, and after the Timeout was thrown
	Progress func() error // before each step but the first, through AsTask

	started  bool
	entered  bool // the task had a step
	done     bool
	err      error
	cause    error   // of Stop
	notice   *Notice // of Stop, with a grace
	untold   bool    // it is still to be given
	thrown   error   // by Interrupt
	killed   bool
	isKilled bool // and the task had not ended
	signal   bool // something from outside is to be looked at
	yield    Yield
	rounds   int // steps to be let pass
	deadline deadline
	closeBy  int64 // the end of the grace of Stop or CancelAfter; 0 is none
	posted   []func()
	late     error // the Timeout after which the task went on
	lent     int64 // the grace of a WithTimeout, which nothing inside inherits
	before   Notes // of its node, at its start
	ends     bool  // the task ends, and takes time for that
	answers  bool  // and its answer to a Timeout is still to come
	failed   error // with what the runner fails then
	wait     *Wait // for its end; nil: it ends in answer to a Timeout
}

// Done reports whether the runner has ended.
func (r *Runner) Done() bool { return r.done }

// Err is how it ended, also what is not reported.
func (r *Runner) Err() error {
	if !r.done {
		return nil
	}
	return r.err
}

// Post has f called between two steps: before the next one, or when the runner ends.
// It returns false after that.
func (r *Runner) Post(f func()) bool {
	if r.done {
		return false
	}
	r.posted = append(r.posted, f)
	return true
}

func (r *Runner) runPosted() {
	posted := r.posted
	r.posted = nil
	for _, f := range posted {
		f()
	}
}

// Start makes the first step.
func (r *Runner) Start(timeout int64) error {
	r.runPosted()
	switch {
	case r.started:
		return ErrStarted
	case r.done:
		return ErrCancelled
	}
	r.started = true
	r.before = r.Clock.notesNow()
	r.offerTimeout(r.Timeout)
	r.offerTimeout(timeout)
	_, err := r.Step()
	return err
}

func (r *Runner) offerTimeout(limit int64) {
	if limit != 0 {
		r.deadline.offer(r.Clock.Now+limit, throwTimeout)
	}
}

// Step gives the task what comes first: notice of a stop; then an error from
// outside, or the end of its time, or a step if it is due.
func (r *Runner) Step() (done bool, err error) {
	r.runPosted()
	switch {
	case r.done:
		return true, nil
	case !r.started:
		return false, ErrNotStarted
	}
	r.Clock.enter(around{runner: r})
	defer r.Clock.leave()
	defer r.abort()
	r.signal = false
	if r.ends {
		return r.stepEnding()
	}
	if r.untold && r.entered && r.Task.Stop != nil {
		r.Task.Stop(r.notice)
	}
	r.untold = false
	var y Yield
	switch thrown := r.thrown; {
	case r.killed:
		r.isKilled = true
		r.thrown = nil
		y, err = r.beginClose(join(r.err, thrown))
	case thrown != nil:
		r.thrown = nil
		y, err = r.throw(thrown)
	case r.deadline.passed(r.Clock.Now):
		y, err = r.expire()
	case r.entered && !r.isDue():
		return false, nil
	default:
		r.entered = true
		y, err = r.Task.step()
	}
	return r.settle(y, err)
}

// settle keeps what the task yields, or ends the runner.
func (r *Runner) settle(y Yield, err error) (done bool, _ error) {
	if err == nil && !y.Done {
		r.yield, r.rounds = y, y.Rounds
		return false, nil
	}
	err = without(err, func(err error) bool { return r.notice != nil && err == error(r.notice) }) //nolint:errorlint // That very one.
	switch {
	case r.isKilled:
		err = join(join(ErrCancelled, r.cause), err)
	case r.cause != nil: // stopped: that is what it fails with
		err = join(r.cause, err)
	}
	r.done, r.err = true, join(r.err, err)
	return true, err
}

// beginClose closes the task, or asks it to end if that takes time. No code runs of
// one that never had a step.
func (r *Runner) beginClose(failed error) (Yield, error) {
	if !r.entered {
		return Yield{Done: true}, failed
	}
	if r.wait = r.Task.beginClose(); r.wait != nil {
		r.ends, r.answers, r.failed = true, false, failed
		return ending(r.wait), nil
	}
	return Yield{Done: true}, join(failed, r.Task.Close())
}

// stepEnding is a step while the task ends: only that counts, and a Kill in the
// result.
func (r *Runner) stepEnding() (done bool, err error) {
	r.thrown = nil
	r.isKilled = r.isKilled || r.killed
	if !r.yield.Ready() {
		return false, nil
	}
	if !r.answers {
		if r.wait = r.Task.endPart(r.wait); r.wait != nil {
			return r.settle(ending(r.wait), nil)
		}
		return r.settle(Yield{Done: true}, join(r.failed, r.Task.Close()))
	}
	y, err := r.Task.step()
	switch {
	case err != nil:
		r.keepTimeout(err, r.failed)
	case y.Ending:
		y = ending(&Wait{Ready: y.Ready})
	default: // it has swallowed the Timeout
		r.err, r.late = r.failed, r.failed
		if !y.Done {
			y, err = r.beginClose(nil)
		}
	}
	return r.settle(y, err)
}

// isDue counts the round.
func (r *Runner) isDue() bool {
	if r.rounds > 0 {
		r.rounds--
		if r.rounds == 0 {
			return true
		}
	}
	y := r.yield
	return y.At != 0 && r.Clock.Now >= y.At || y.Ready != nil && y.Ready()
}

// throw throws err into the task, whether it is due or not. No code runs of one
// that never had a step.
func (r *Runner) throw(err error) (Yield, error) {
	if !r.entered {
		return Yield{}, err
	}
	return r.Task.throw(err)
}

// expire is what happens after the deadline.
func (r *Runner) expire() (Yield, error) {
	if r.deadline.kind != throwTimeout {
		if r.err != nil { // the Timeout, after which it went on
			return r.beginClose(r.err)
		}
		if r.cause == nil {
			r.err = ErrCancelled
		}
		return r.beginClose(nil)
	}
	grace := max(r.Grace, r.lent)
	timeout := &Timeout{Grace: grace, Notes: r.Clock.notesNow().since(r.before)}
	y, err := r.throw(timeout)
	if err != nil { // its answer, which may be another error
		r.keepTimeout(err, timeout)
		return y, err
	}
	if y.Ending && (grace == 0 || y.Failed) {
		r.ends, r.answers, r.failed = true, true, timeout
		return ending(&Wait{Ready: y.Ready}), nil
	}
	r.err, r.late = timeout, timeout // swallowed, but remembered
	switch {
	case y.Done:
		return y, nil
	case grace == 0:
		return r.beginClose(nil)
	}
	r.deadline = deadline{r.Clock.Now + grace, closeTimedOut}
	if r.closeBy != 0 {
		r.deadline.at = min(r.deadline.at, r.closeBy)
	}
	return y, nil
}

// keepTimeout remembers the Timeout that the task has answered with another error.
func (r *Runner) keepTimeout(answer, timeout error) {
	if !says(answer, func(e error) bool { return e == timeout }) { //nolint:errorlint // That very one.
		r.err, r.late = timeout, timeout
	}
}

// Due is when the next Step is worth making.
func (r *Runner) Due() Yield {
	switch {
	case r.done:
		return Yield{Done: true}
	case !r.started:
		return Yield{Ready: func() bool { return true }}
	}
	due := Yield{At: r.yield.At, Ending: r.yield.Ending, Failed: r.yield.Failed, Claims: r.yield.Claims, Serves: r.yield.Serves}
	if r.rounds > 0 {
		due.Rounds = 1 // they are counted by steps
	}
	if d := r.deadline; !r.ends && d.kind != none {
		due.At, due.Serves = earliest(due.At, d.at+1), false
	}
	due.Ready = func() bool {
		called := !r.ends && (r.untold || r.killed || r.thrown != nil)
		return r.signal || called || r.yield.Ready != nil && r.yield.Ready()
	}
	return due
}

// Stop asks the task to end: notice, then Grace, then it is closed.
func (r *Runner) Stop(cause error) {
	switch {
	case r.done || r.ends:
		return
	case !r.started:
		r.done, r.err = true, ErrCancelled
		return
	}
	if r.cause == nil {
		if cause == nil {
			cause = ErrCancelled
		}
		r.cause = cause
		if r.Grace > 0 {
			r.notice, r.untold = &Notice{cause, true}, true
		}
	}
	if r.Grace > 0 {
		r.closeAfter(r.Grace)
		return
	}
	r.closeAfter(Past - r.Clock.Now) // whatever the clock says
}

// CancelAfter closes the task after a grace, without notice.
func (r *Runner) CancelAfter(grace int64) {
	switch {
	case r.done || r.ends:
		return
	case !r.started:
		r.done, r.err = true, ErrCancelled
		return
	}
	r.closeAfter(grace)
}

func (r *Runner) closeAfter(grace int64) {
	at := r.Clock.Now + grace
	if r.closeBy == 0 || at < r.closeBy {
		r.closeBy = at
	}
	r.deadline.offer(at, closeCancel)
	r.signal = true
}

// Cancel ends the runner now, whatever comes of Close.
func (r *Runner) Cancel() error {
	if r.done {
		return nil
	}
	r.err = join(join(join(ErrCancelled, r.cause), join(r.err, r.failed)), r.thrown)
	r.done, r.signal = true, true
	if !r.entered {
		r.runPosted()
		return nil
	}
	err := r.Task.Close()
	r.err = join(r.err, err)
	r.runPosted()
	return err
}

// CancelFromOutside is Cancel as one who does not drive the runner as a task sees
// it: that nodes, or a group, had failed before is no error of closing them.
func (r *Runner) CancelFromOutside() error {
	return without(r.Cancel(), func(err error) bool {
		return isOfNode(err) || err == ErrDeadlock //nolint:errorlint // That very one.
	})
}

// Kill closes the task at the next step.
func (r *Runner) Kill() { r.killed, r.signal = true, true }

// Interrupt throws err into the task at the next step; the last one wins.
func (r *Runner) Interrupt(err error) { r.thrown, r.signal = err, true }

// AsTask drives the runner as a task, with one more time limit.
func (r *Runner) AsTask(timeout int64) Task {
	begun, asked := false, false
	answer := func(err error) (Yield, error) {
		if err != nil {
			return Yield{}, err
		}
		return r.Due(), nil
	}
	step := func() (Yield, error) {
		_, err := r.Step()
		return answer(err)
	}
	throw := func(err error) (Yield, error) {
		if r.done || !r.started {
			return Yield{}, err
		}
		r.thrown = err
		return step()
	}
	return Task{
		Step: func() (Yield, error) {
			switch {
			case begun:
				if r.Progress != nil {
					if err := r.Progress(); err != nil {
						return throw(err)
					}
				}
			case !r.started:
				begun = true
				return answer(r.Start(timeout))
			default: // a started one is stepped at once
				begun = true
				if !r.done {
					r.offerTimeout(timeout)
				}
			}
			return step()
		},
		Throw: throw,
		Stop: func(n *Notice) {
			if !r.done && !r.ends && r.entered && r.Task.Stop != nil {
				defer r.abort()
				r.Task.Stop(n)
			}
		},
		Close: r.Cancel,
		BeginClose: func() *Wait {
			switch {
			case r.done || !r.entered:
				return nil
			case r.wait != nil && r.wait.Parts && !asked:
				asked = true
				return r.wait // it ends part by part already
			}
			defer r.abort()
			return r.Task.beginClose()
		},
	}
}
