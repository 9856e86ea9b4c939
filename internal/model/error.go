package model

import (
	"errors"
	"slices"
)

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

	ErrClosed  = errors.New("closed")
	ErrNilTask = errors.New("nil task")

	ErrInputClosed = errors.New("the group takes no more nodes")

	ErrAborted  = errors.New("task panicked or ended its goroutine")
	ErrDeadlock = errors.New("deadlock")

	ErrNoTasks = errors.New("no tasks")
)

// Timeout is thrown into a task whose time is over.
type Timeout struct {
	Grace int64 // how long a task that goes on after it has left
	Notes Notes // of the node, without attempts of a Retry around
}

func (*Timeout) Error() string { return "timeout" }

// Unwrap returns the error of the last attempt.
func (t *Timeout) Unwrap() error { return t.Notes.Last }

// TaskError says which node an error came from.
type TaskError struct {
	Key int
	Err error

	ofClose bool // its task was numbered, and had not failed before it was closed
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

// isOfNode reports whether an error is that with which a node had failed.
func isOfNode(err error) bool {
	e, ok := err.(*TaskError) //nolint:errorlint // One level at a time.
	return ok && !e.ofClose
}

// isResult reports whether an error belongs into a result, however it came about.
func isResult(err error) bool {
	_, ok := err.(*ClosedError) //nolint:errorlint // One level at a time.
	return ok || isOfNode(err)
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
	case *ClosedError:
		return &ClosedError{without(e.Err, match)}
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
