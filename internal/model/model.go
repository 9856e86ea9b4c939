// Package model is the semantics of runners and groups as a plain program: a
// specification that can be read, and run beside the real thing.
//
// It is written from the words of package scheduler and of the records' notes,
// not from its code, of which it uses nothing. It cares for nothing but being
// plain: every question is answered by a look at all there is. Tests compare
// whole runs of the two.
//
// Services and orders are in service.go.
//
// Left out, because they change nothing that is said here or have tests of
// their own: claims, budgets, panics, coroutines, and calls that block.
package model

import (
	"errors"
	"slices"
)

// Clock is the time of a run. It only moves when somebody moves it.
type Clock struct {
	Now    int64
	around []around // what is being stepped, the innermost last
	steps  int      // of the outermost
}

// around is what a runner or a group says to what is inside.
type around struct {
	notice func() *Notice
	grace  int64 // of a runner that has one; 0 is none
	shield bool  // no notice from further out gets in
	group  *Group
}

// enter says that what is stepped until leave is called is inside of something.
func (c *Clock) enter(notice func() *Notice, grace int64) (leave func()) {
	if len(c.around) == 0 {
		c.steps++
	}
	c.around = append(c.around, around{notice: notice, grace: grace})
	return func() { c.around = c.around[:len(c.around)-1] }
}

// enterGroup is enter for a group.
func (c *Clock) enterGroup(g *Group) (leave func()) {
	leave = c.enter(func() *Notice { return g.notice }, 0)
	c.around[len(c.around)-1].group = g
	return leave
}

// Ready says that the node whose code is running is ready; of the innermost group.
func (c *Clock) Ready() { c.readyAround(nil) }

// readyAround says so of the node that runs a group.
func (c *Clock) readyAround(inner *Group) {
	for _, of := range slices.Backward(c.around) {
		switch of.group {
		case nil:
		case inner:
			inner = nil
		default:
			if inner == nil {
				of.group.sayReady()
				return
			}
		}
	}
}

// notice is that under which something begins now: the innermost final one, else
// the innermost.
func (c *Clock) notice() *Notice {
	var first *Notice
	for _, of := range slices.Backward(c.around) {
		if of.shield {
			break
		}
		n := of.notice()
		if n != nil && n.Final {
			return n
		}
		if first == nil {
			first = n
		}
	}
	return first
}

// grace is that of the nearest runner that has one.
func (c *Clock) grace() int64 {
	for _, of := range slices.Backward(c.around) {
		if of.grace != 0 {
			return of.grace
		}
	}
	return 0
}

// Past is before any time that a Clock should show. What was due then is due
// without a look at the clock.
const Past = 1

// Task is a resumable unit of work.
type Task struct {
	Step  func() (Yield, error)
	Close func() error

	// Throw handles an error at the point of the yield. Without it the task is
	// closed and the error propagates.
	Throw func(err error) (Yield, error)

	// Stop gives notice; without it the task gets none.
	Stop func(n *Notice)

	// BeginClose asks the task to end, and returns what says when Close will not
	// wait; nil is now, and without it Close never waits.
	BeginClose func() (ready func() bool)
}

// beginClose asks a task to end.
func (t *Task) beginClose() (ready func() bool) {
	if t.BeginClose == nil {
		return nil
	}
	return t.BeginClose()
}

// ending is the yield of a task that ends already, and waits only until ready.
func ending(ready func() bool) Yield { return Yield{Ready: ready, Ending: true} }

// allOf is when all of them hold; nil for none.
func allOf(ready []func() bool) func() bool {
	if len(ready) == 0 {
		return nil
	}
	return func() bool {
		return !slices.ContainsFunc(ready, func(ready func() bool) bool { return !ready() })
	}
}

// Shield keeps the notice of a stop from a task.
func Shield(clock *Clock, task Task) Task {
	at := &task
	behind := func(do func() (Yield, error)) (Yield, error) {
		clock.around = append(clock.around, around{shield: true})
		defer func() { clock.around = clock.around[:len(clock.around)-1] }()
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
}

// Event is latched: set before or after somebody waits for it is the same.
// Whoever a Set woke gets its step, also if there was a Reset meanwhile. A Set in
// a step is seen after that step of the outermost runner or group: so all that wait
// for it are due in the same round.
type Event struct {
	Clock *Clock

	set    bool
	sets   int
	step   int // the step of the last Set
	before int // how many there were before that step
}

// Set wakes all who wait.
func (e *Event) Set() {
	if e.step != e.Clock.steps {
		e.step, e.before = e.Clock.steps, e.sets
	}
	e.set, e.sets = true, e.sets+1
}

// Reset takes the mark back.
func (e *Event) Reset() { e.set = false }

// seen is how often it was set, as far as this is seen yet.
func (e *Event) seen() int {
	if len(e.Clock.around) > 0 && e.step == e.Clock.steps {
		return e.before
	}
	return e.sets
}

// On returns what Yield.Ready is for a task that waits for e from now on.
func On(e *Event) func() bool {
	before, already := e.sets, e.set
	return func() bool { return already || e.seen() > before }
}

func (y Yield) isZero() bool { return !y.Done && y.Rounds == 0 && y.At == 0 && y.Ready == nil }

// The errors of package scheduler that a run of the model can meet.
var (
	ErrStarted    = errors.New("started")
	ErrNotStarted = errors.New("not started")
	ErrCancelled  = errors.New("cancelled")
	ErrEnded      = errors.New("ended")
	ErrNoYield    = errors.New("no yield")
	ErrSkip       = errors.New("skip")
	ErrDrained    = errors.New("drained")
	ErrCondition  = errors.New("skipped by its condition")

	ErrNotNeeded = errors.New("not needed any more")

	ErrInputClosed = errors.New("the group takes no more nodes")
)

// Timeout is thrown into a task whose time is over.
type Timeout struct {
	Grace int64 // how long a task that goes on after it has left
}

func (*Timeout) Error() string { return "timeout" }

// TaskError says which node an error came from.
type TaskError struct {
	Key int
	Err error
}

func (e *TaskError) Error() string { return e.Err.Error() }

// Unwrap returns the node's own error.
func (e *TaskError) Unwrap() error { return e.Err }

// ExceptionGroup is all errors of an aggregating group.
type ExceptionGroup struct{ Errors []error }

func (*ExceptionGroup) Error() string { return "exceptions" }

// Unwrap returns all the errors.
func (g *ExceptionGroup) Unwrap() []error { return g.Errors }

// join adds more behind err, unless one of them is part of the other.
func join(err, more error) error {
	switch {
	case more == nil:
		return err
	case err == nil:
		return more
	case says(err, func(e error) bool { return e == more }): //nolint:errorlint // The very same value.
		return err
	case says(more, func(e error) bool { return e == err }): //nolint:errorlint // The very same value.
		return more
	}
	return errors.Join(err, more)
}

// says reports whether an error, or one that it is made of, matches. The cause of a
// notice is why a task was to end, and nothing that it says.
func says(err error, match func(error) bool) bool {
	if match(err) {
		return true
	}
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case *Notice:
	case interface{ Unwrap() error }:
		return e.Unwrap() != nil && says(e.Unwrap(), match)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), func(err error) bool { return says(err, match) })
	}
	return false
}

// isOfNode reports whether an error is, or is made of, that of a node.
func isOfNode(err error) bool {
	_, ok := err.(*TaskError) //nolint:errorlint // One level at a time.
	return ok
}

// isNothing reports whether there is no error, or nothing in it but what matches.
func isNothing(err error, match func(error) bool) bool { return err == nil || isOnly(err, match) }

// isOnly reports whether err is made of nothing but what matches.
func isOnly(err error, match func(error) bool) bool {
	if match(err) {
		return true
	}
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case interface{ Unwrap() error }:
		return e.Unwrap() != nil && isOnly(e.Unwrap(), match)
	case interface{ Unwrap() []error }:
		errs := e.Unwrap()
		return len(errs) > 0 && !slices.ContainsFunc(errs, func(err error) bool { return !isOnly(err, match) })
	}
	return false
}

// without leaves out of an error, or of those that it joins, what is made of nothing
// but what matches.
func without(err error, match func(error) bool) error {
	if err == nil || isOnly(err, match) {
		return nil
	}
	var branches []error
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case interface{ Unwrap() []error }:
		branches = e.Unwrap()
	default:
		return err
	}
	var left []error
	changed := false
	for _, branch := range branches {
		kept := without(branch, match)
		changed = changed || kept != branch //nolint:errorlint // That very one.
		if kept != nil {
			left = append(left, kept)
		}
	}
	switch _, isGroup := err.(*ExceptionGroup); { //nolint:errorlint // One level at a time.
	case !changed:
		return err
	case len(left) == 1:
		return left[0]
	case isGroup:
		return &ExceptionGroup{left}
	}
	return errors.Join(left...)
}

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
	ready := task.beginClose()
	end := func() error { return join(err, task.Close()) }
	if ready == nil {
		return Yield{}, end()
	}
	*t = Task{Step: func() (Yield, error) { return Yield{}, end() }, Close: end, BeginClose: task.BeginClose}
	return Yield{Ready: ready, Ending: true, Failed: true}, nil
}

// deadline is a time and what happens after it. It has passed when the clock
// reads strictly more. Deadlines only come nearer: of two at the same time the
// older one stays.
type deadline struct {
	at   int64
	kind kind
}

type kind int

const (
	none          kind = iota
	throwTimeout       // the task's time is over: a Timeout is thrown in
	closeTimedOut      // it went on after that: it is closed and fails with the Timeout
	closeCancel        // its grace is over: it is closed
)

func (d *deadline) offer(at int64, k kind) {
	if d.kind == none || at < d.at {
		*d = deadline{at, k}
	}
}

func (d *deadline) passed(now int64) bool { return d.kind != none && now > d.at }
