// Package model is the semantics of runners and groups as a plain program: a
// specification that can be read, and run beside the real thing.
//
// It is written from the words of package scheduler and of the records' notes,
// not from its code, of which it uses nothing. It cares for nothing but being
// plain: every question is answered by a look at all there is. Tests compare
// whole runs of the two.
//
// A group is in group.go and round.go, what its nodes end with in failure.go, how
// they are made to end in ending.go and closing.go, panics in panic.go; Retry is in
// retry.go, First and All in sidebyside.go, WithTimeout in timeout.go, Claiming in
// claiming.go, claims of nodes in claims.go, the line for a Limiter in limiter.go, Poll in
// poll.go.
//
// Left out, because they change nothing that is said here or have tests of
// their own: Limiters without a capacity, budgets, panics in the functions of options,
// coroutines, and calls that block, but for those of a Poll.
package model

import "slices"

// Task is a resumable unit of work.
type Task struct {
	Step  func() (Yield, error)
	Close func() error

	// Throw handles an error at the point of the yield. Without it the task is
	// closed and the error propagates.
	Throw func(err error) (Yield, error)

	// Stop gives notice; without it the task gets none.
	Stop func(n *Notice)

	// BeginClose asks the task to end, and returns for how long Close would wait;
	// nil is not at all, and without it Close never waits.
	BeginClose func() *Wait
}

// Wait is for how long the end of a task would wait.
type Wait struct {
	Ready func() bool // it does not wait any more
	Parts bool        // but for what can be ended by then BeginClose is to be called again
}

// beginClose asks a task to end.
func (t *Task) beginClose() *Wait {
	if t.BeginClose == nil {
		return nil
	}
	return t.BeginClose()
}

// endPart is called when a wait is over. It returns the next one, if there is one.
func (t *Task) endPart(w *Wait) *Wait {
	if !w.Parts {
		return nil
	}
	if w = t.beginClose(); w != nil && !w.Parts && w.Ready() {
		return nil
	}
	return w
}

// ending is the yield of a task that ends already, and only waits.
func ending(w *Wait) Yield { return Yield{Ready: w.Ready, Ending: true} }

// allOf is when all of them are over; nil for none.
func allOf(waits []*Wait) *Wait {
	if len(waits) == 0 {
		return nil
	}
	return &Wait{Ready: func() bool {
		return !slices.ContainsFunc(waits, func(w *Wait) bool { return !w.Ready() })
	}}
}

// Shield keeps the notice of a stop from a task.
func Shield(clock *Clock, task Task) Task {
	at := &task
	behind := func(do func() (Yield, error)) (Yield, error) {
		clock.enter(around{shield: true})
		defer clock.leave()
		return do()
	}
	return Task{
		Step: func() (Yield, error) { return behind(at.step) },
		Throw: func(err error) (Yield, error) {
			return behind(func() (Yield, error) { return at.throw(err) })
		},
		Close:      func() error { return at.Close() },
		BeginClose: at.beginClose,
	}
}

// Notice is why a task is asked to end. Each stop has its own.
type Notice struct {
	Cause error
	Final bool // the whole run is stopped: nothing new starts at any depth
}

// asNotice is a notice with a cause, or the cause itself if it is one.
func asNotice(cause error) *Notice {
	if n, ok := cause.(*Notice); ok { //nolint:errorlint // That very one.
		return n
	}
	return &Notice{cause, false}
}

func (n *Notice) Error() string { return n.Cause.Error() }

// Unwrap returns the cause.
func (n *Notice) Unwrap() error { return n.Cause }

// Yield is what a step returns: that the task is done, or when it wants its next
// step: when the earliest of the other fields is due. The zero Yield says
// nothing and is an error.
type Yield struct {
	Done   bool
	Rounds int         // the n-th step from now on; 0 is none
	At     int64       // a time; 0 is none
	Ready  func() bool // an event; nil is none

	Ending bool // it ends already, and waits for the event alone
	Failed bool // besides: it has failed, whatever grace it has

	Claims bool // all that it waits for is claims
	Serves bool // besides: its times and rounds are those of services, which go on for ever
}

func (y Yield) isZero() bool { return !y.Done && y.Rounds == 0 && y.At == 0 && y.Ready == nil }

// step steps a task. One that yields nothing is closed and fails.
func (t *Task) step() (Yield, error) { return t.answered(t.Step()) }

// throw throws err into a task. One that cannot be thrown into is closed.
func (t *Task) throw(err error) (Yield, error) {
	if t.Throw == nil {
		return t.fail(err)
	}
	return t.answered(t.Throw(err))
}

func (t *Task) answered(y Yield, err error) (Yield, error) {
	if err == nil && y.isZero() {
		return t.fail(ErrNoYield)
	}
	return y, err
}

// fail closes a task that has failed. If that would wait, its end takes its place.
func (t *Task) fail(err error) (Yield, error) {
	task := *t
	wait := task.beginClose()
	end := func() error { return join(err, task.Close()) }
	if wait == nil {
		return Yield{}, end()
	}
	step := func() (Yield, error) {
		if wait = task.endPart(wait); wait != nil {
			return ending(wait), nil
		}
		return Yield{}, end()
	}
	*t = Task{Step: step, Close: end, BeginClose: task.BeginClose}
	return Yield{Ready: wait.Ready, Ending: true, Failed: true}, nil
}
