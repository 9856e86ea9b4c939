package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors of the package itself, for errors.Is.
var (
	// ErrStarted is returned when a runner is started a second time.
	ErrStarted = errors.New("scheduler: already started")

	// ErrNotStarted is returned by a step of a runner that was not started.
	ErrNotStarted = errors.New("scheduler: not started")

	// ErrCancelled is returned when a cancelled runner is started, and is the cause
	// of a stop without one.
	ErrCancelled = errors.New("scheduler: cancelled")

	// ErrEnded is returned by a step of a task that has ended.
	ErrEnded = errors.New("scheduler: already ended")

	// ErrClosed is returned by a coroutine's Yield and Await when it is being closed,
	// and it must then return: see [Wrap]. It is also the cause of the context of a
	// call that is being closed, and matches [context.Canceled].
	ErrClosed error = closedError{}

	// ErrIgnoredClose is returned by Close of a coroutine that yielded while being
	// closed.
	ErrIgnoredClose = errors.New("scheduler: coroutine yielded while being closed, and was ended by force")

	// ErrNoYield fails a task whose step returned the zero Yield and no error.
	ErrNoYield = errors.New("scheduler: step returned no Yield and no error; return Done to end the task")

	// ErrSkip is returned by a task, possibly wrapped, to skip itself and its
	// dependents. This is not a failure.
	ErrSkip = errors.New("scheduler: skip")

	// ErrDrained is the result of a group that was drained with nodes left to start, or
	// joined to it.
	ErrDrained = errors.New("scheduler: drained")

	// ErrNilTask is the error of a node, an Await, or a combination that is given a
	// nil Task. None of the tasks of the combination is started.
	ErrNilTask = errors.New("scheduler: nil task")

	// ErrAborted is the outcome of a runner whose task panicked or called
	// runtime.Goexit.
	ErrAborted = errors.New("scheduler: task panicked or ended its goroutine")

	// ErrGoexit is the error of a call that called runtime.Goexit, as
	// testing.T.FailNow does.
	ErrGoexit = errors.New("scheduler: call ended its goroutine with runtime.Goexit")
)

type closedError struct{}

func (closedError) Error() string { return "scheduler: closed" }

func (closedError) Is(target error) bool { return target == context.Canceled }

// namedError names the runner or task that refused a call.
type namedError struct {
	name string
	err  error
}

func (e *namedError) Error() string { return e.err.Error() + ": " + e.name }
func (e *namedError) Unwrap() error { return e.err }

// ExceptionGroup holds the errors of several tasks in order of occurrence. An
// aggregating group returns one whenever a node has failed, even for a single error.
type ExceptionGroup struct {
	Errors []error
}

// exceptionsListed is how many errors the text of an ExceptionGroup has.
const exceptionsListed = 20

// Error lists the errors, one per line: the first 20, and the number of the others.
func (g *ExceptionGroup) Error() string {
	if g == nil {
		return "0 tasks failed"
	}
	var b strings.Builder
	b.WriteString(g.heading())
	for i, err := range g.Errors {
		if i == exceptionsListed {
			fmt.Fprintf(&b, "\n- and %d more", len(g.Errors)-i)
			break
		}
		b.WriteString("\n- ")
		b.WriteString(strings.ReplaceAll(fmt.Sprint(err), "\n", "\n  "))
	}
	return b.String()
}

// heading counts the tasks that failed, and those that were closed with an error.
func (g *ExceptionGroup) heading() string {
	closed := 0
	for _, err := range g.Errors {
		if e, ok := err.(*TaskError); ok && e.isClosed { //nolint:errorlint // The node's own.
			closed++
		}
	}
	switch failed := len(g.Errors) - closed; {
	case closed == 0:
		return countOf(failed) + " failed:"
	case failed == 0:
		return countOf(closed) + " closed:"
	default:
		return fmt.Sprintf("%s failed, %d closed:", countOf(failed), closed)
	}
}

// countOf returns a number of tasks as text.
func countOf(n int) string {
	if n == 1 {
		return "1 task"
	}
	return fmt.Sprintf("%d tasks", n)
}

// Unwrap returns the errors.
func (g *ExceptionGroup) Unwrap() []error {
	if g == nil { // of Subgroup, in the guise of an error
		return nil
	}
	return g.Errors
}

// Split divides the errors into those that match and the others, each in order; a
// half without errors is nil. A nested ExceptionGroup that does not match as a whole
// is divided too, and each part keeps its place and its node.
func (g *ExceptionGroup) Split(match func(error) bool) (matching, rest *ExceptionGroup) {
	mustHaveFunc(match == nil, "ExceptionGroup.Split")
	if g == nil {
		return nil, nil
	}
	var yes, no []error
	for _, err := range g.Errors {
		y, n := split(err, match)
		if y != nil {
			yes = append(yes, y)
		}
		if n != nil {
			no = append(no, n)
		}
	}
	return groupOf(yes), groupOf(no)
}

// Subgroup returns the matching half of [ExceptionGroup.Split].
func (g *ExceptionGroup) Subgroup(match func(error) bool) *ExceptionGroup {
	matching, _ := g.Split(match)
	return matching
}

func groupOf(errs []error) *ExceptionGroup {
	if len(errs) == 0 {
		return nil
	}
	return &ExceptionGroup{Errors: errs}
}

func split(err error, match func(error) bool) (yes, no error) {
	if match(err) {
		return err, nil
	}
	return divide(err, match)
}

// divide divides an error that does not match as a whole. What all of matches,
// or nothing of, stays the error that it is.
func divide(err error, match func(error) bool) (yes, no error) {
	switch e := err.(type) { //nolint:errorlint // The structure is divided level by level, what is wrapped otherwise stays whole.
	case *closedGroup:
		return divide(e.failed, match)
	case *ExceptionGroup:
		yes, no := e.Split(match)
		switch {
		case no == nil && yes != nil:
			return e, nil
		case yes == nil:
			return nil, e
		}
		return yes, no
	case *TaskError:
		if e == nil {
			break
		}
		yes, no := divide(e.Err, match)
		switch {
		case no == nil:
			return e, nil
		case yes == nil:
			return nil, e
		}
		return e.with(yes), e.with(no)
	}
	return nil, err
}

// orNil keeps a nil pointer from becoming an error that is not nil.
func orNil(g *ExceptionGroup) error {
	if g == nil {
		return nil
	}
	return g
}

// TaskError is the error of a node of a group.
type TaskError struct {
	Key  any    // the node
	Task string // the [TaskDescription] of its task
	Err  error

	isNumber bool // Key is only a number, that of a task of All
	ofClose  bool // and the task failed when it was closed, which is not to stop what is around
	isClosed bool // the node is cancelled and not failed: this came when its task was closed
}

// Error returns the key and the error; of a task of [All], its description and the
// error. A prefix that the error's text has already is not repeated.
func (e *TaskError) Error() string {
	name := fmt.Sprint(e.Key)
	if e.isNumber && e.Task != "" {
		name = e.Task
	}
	text := fmt.Sprint(e.Err)
	if strings.HasPrefix(text, name+": ") && !isOfNode(e.Err) {
		return text
	}
	return name + ": " + text
}

// isOfNode reports whether the text of an error begins with the key of a node.
func isOfNode(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if all := branches(joined); len(all) > 0 {
			err = all[0]
		}
	}
	if _, ok := err.(*Timeout); ok { //nolint:errorlint // What is inside it comes later in the text.
		return false
	}
	_, ok := find[*TaskError](err)
	return ok
}

// with returns the same of another error.
func (e *TaskError) with(err error) *TaskError {
	of := *e
	of.Err = err
	return &of
}

// Unwrap returns the task's own error.
func (e *TaskError) Unwrap() error { return e.Err }

// Causes returns the errors that tasks failed with, in order, without the [TaskError]
// and [ExceptionGroup] around them. A joined error is taken apart.
func Causes(err error) []error {
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case nil:
		return nil
	case *TaskError:
		if e == nil {
			break
		}
		return Causes(e.Err)
	case *closedGroup:
		return Causes(e.failed)
	case *LateError:
		if e == nil {
			break
		}
		return Causes(e.Err)
	case interface{ Unwrap() []error }:
		var causes []error
		for _, branch := range branches(e) {
			causes = append(causes, Causes(branch)...)
		}
		if causes != nil {
			return causes
		}
	}
	return []error{err}
}

// OptionError reports an invalid option or argument.
type OptionError struct {
	Option string // such as GroupOptions.Budget
	Reason string
}

// Error names the option and the reason.
func (e *OptionError) Error() string { return "scheduler: " + e.Option + ": " + e.Reason }

// NestedRunError is returned by a blocking run that was called inside a step of
// another run, which it would block. Use [Coroutine.Await] or [Subrun] instead, or
// make the run inside [Blocking].
type NestedRunError struct {
	Outer string // the run whose step made the call
	Inner string // the run that was refused
}

// Error names both runs.
func (e *NestedRunError) Error() string {
	return fmt.Sprintf("scheduler: blocking run of %s inside a step of %s", e.Inner, e.Outer)
}

// Interrupted reports whether err only means that a task has to end: it is an
// [ErrClosed], a [*Timeout] or a [*StopError], and no failure is joined to it. A task
// checks it before it handles an error or tries again.
func Interrupted(err error) bool {
	return err != nil && dropAll(err, func(e error) bool {
		switch e.(type) { //nolint:errorlint // One level at a time.
		case *StopError, *Timeout, closedError:
			return true
		}
		return false
	}) == nil
}

// checkContext returns an OptionError for a nil context.
func checkContext(ctx context.Context) error {
	if ctx == nil {
		return &OptionError{Option: "ctx", Reason: "nil Context"}
	}
	return nil
}

// mustHave panics for a nil context, with the name of the function that got it.
func mustHave(ctx context.Context, name string) {
	if ctx == nil {
		panic("scheduler: " + name + ": nil Context")
	}
}

// mustHaveFunc panics for a function that is nil, with the name of the function that
// got it.
func mustHaveFunc(isNil bool, name string) {
	if isNil {
		panic("scheduler: " + name + ": nil function")
	}
}

// checkDuration returns an OptionError for a negative duration.
func checkDuration(option string, d time.Duration) error {
	if d < 0 {
		return &OptionError{Option: option, Reason: "negative duration " + d.String()}
	}
	return nil
}
