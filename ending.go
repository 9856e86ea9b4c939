package scheduler

import "time"

// groupEnding is what a group has been told about its end.
type groupEnding struct {
	notice   *StopError    // what running members, and those that start, are told
	first    *StopError    // what they were told before, if a final notice came after it
	cause    error         // of a stop of the whole run
	thrown   error         // the last error thrown in
	timedOut *Timeout      // thrown in
	grace    time.Duration // of members without one of their own
	graced   bool          // all that run have what grace they get
	asked    bool          // and were asked for in this step
	drained  bool          // pending nodes were cancelled that a Drain had left
	blame    int32         // the node whose failure stopped the group, or noNode
}

func (e *groupEnding) init() { e.blame = noNode }

// begin sets the grace of members without one of their own, which usualGrace returns.
func (e *groupEnding) begin(grace time.Duration) { e.grace = grace }
func (e *groupEnding) usualGrace() time.Duration { return e.grace }

// beginStep begins a step of the group.
func (e *groupEnding) beginStep() { e.asked = false }

// throw keeps an error that was thrown into the group, and returns the Timeout that it
// is, if it is one.
func (e *groupEnding) throw(thrown error) (t *Timeout, ok bool) {
	t, ok = asTimeout(thrown)
	if ok {
		e.timedOut = t
	} else {
		e.thrown = thrown
	}
	return t, ok
}

// blameOn keeps which node's failure stops the group, and blamed returns it, or noNode.
func (e *groupEnding) blameOn(p int32) { e.blame = p }
func (e *groupEnding) blamed() int32   { return e.blame }

// cancelDrained says that pending nodes are cancelled that a Drain had left.
func (e *groupEnding) cancelDrained() { e.drained = true }

// given returns the notice that running members, and those that start, are told, or nil.
func (e *groupEnding) given() *StopError { return e.notice }

// reason returns that notice, or ErrClosed if the group is being closed without one.
func (e *groupEnding) reason() error {
	if e.notice != nil {
		return e.notice
	}
	return ErrClosed
}

// notify keeps the notice, and returns the one that members are to be told: the
// first, unless a final one comes after it.
func (e *groupEnding) notify(n *StopError) *StopError {
	if counts := e.notice.followedBy(n); counts != e.notice {
		e.first, e.notice = e.notice, counts
	}
	return e.notice
}

// stopRun keeps the first notice of a stop of the whole run, and reports whether it
// was that.
func (e *groupEnding) stopRun(n *StopError) bool {
	if !n.final || e.cause != nil {
		return false
	}
	e.cause = n
	return true
}

// withoutNotice returns what an error says beside the notices of the group, and those
// that one of its members was given besides; nil if nothing.
func (e *groupEnding) withoutNotice(err error, own [2]*StopError) error {
	return dropAll(err, func(err error) bool {
		n, _ := err.(*StopError) //nolint:errorlint // One level at a time.
		return n != nil && (n == e.notice || n == e.first || n == own[0] || n == own[1])
	})
}

// asksGraces reports whether a failure asks for graces: the first one always,
// a later one if they may differ, once in each step.
func (e *groupEnding) asksGraces(differ bool) bool {
	if e.graced && (!differ || e.asked) {
		return false
	}
	e.graced, e.asked = true, true
	return true
}

// result is the group's error, by what failed and by which nodes are left: some
// cancelled, or never added, some pending. What failed inside of a member that was
// closed is joined to it.
func (e *groupEnding) result(failed *failures, aggregates, cancelled, pending bool) error {
	err := join(join(e.thrown, failed.before()), failed.inside())
	if aggregates {
		err = failed.group()
	}
	switch {
	case e.isTimedOut(cancelled):
		err = join(e.timedOut, err)
	case err == nil && cancelled && e.cause != nil:
		err = e.cause
	case err == nil && cancelled && e.notice != nil:
		err = e.notice
	}
	if pending || e.drained {
		err = join(err, ErrDrained)
	}
	return err
}

// isTimedOut reports whether a Timeout that was thrown in is the result: without a
// grace always, else if some node did not end within that.
func (e *groupEnding) isTimedOut(cancelled bool) bool {
	return e.timedOut != nil && (cancelled || e.timedOut.grace == 0)
}
