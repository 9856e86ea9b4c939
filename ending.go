package scheduler

// groupEnding is what a group has been told about its end.
type groupEnding struct {
	notice   error    // what running members, and those that start, are told
	cause    error    // of a stop of the whole run
	thrown   error    // the last error thrown in
	timedOut *Timeout // thrown in
	graced   bool     // all that run have what grace they get
	asked    bool     // and were asked for in this step
	blame    int32    // the node whose failure stopped the group, or noNode
}

func (e *groupEnding) init() { e.blame = noNode }

// notify remembers the first notice.
func (e *groupEnding) notify(cause error) {
	if e.notice == nil {
		e.notice = cause
	}
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
// cancelled, some pending.
func (e *groupEnding) result(failed *failures, aggregates, cancelled, pending bool) error {
	switch {
	case e.timedOut != nil && (cancelled || e.timedOut.grace == 0):
		return e.timedOut
	case aggregates:
		if all := failed.group(); all != nil {
			return all
		}
	case e.thrown != nil:
		return e.thrown
	default:
		if err := failed.first(); err != nil {
			return err
		}
	}
	switch {
	case cancelled && e.cause != nil:
		return e.cause
	case pending:
		return ErrDrained
	}
	return nil
}
