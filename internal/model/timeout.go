package model

// WithTimeout runs a task with a time limit of its own, after which it has the grace of
// what is around it.
func WithTimeout(clock *Clock, limit int64, task Task) Task {
	r := &Runner{Clock: clock, Task: task, Timeout: limit}
	timed := r.AsTask(0)
	inner := timed
	// The Timeout is its error, whatever the task makes of it.
	answer := func(y Yield, err error) (Yield, error) {
		if r.late != nil && (err != nil || y.Done) {
			return Yield{}, join(r.late, err)
		}
		return y, err
	}
	timed.Step = func() (Yield, error) {
		if !r.started {
			r.lent = clock.graceAround()
		}
		return answer(inner.Step())
	}
	timed.Throw = func(err error) (Yield, error) { return answer(inner.Throw(err)) }
	timed.Close = func() error {
		late := r.late
		if late == nil && !r.done && r.answers {
			late = r.failed // its answer does not come any more
		}
		err := inner.Close()
		switch {
		case late == nil:
		case err != nil && says(err, func(e error) bool { return e == late }): //nolint:errorlint // That very one.
			err = &ClosedError{err}
		default:
			err = join(&ClosedError{late}, err)
		}
		return err
	}
	return timed
}
