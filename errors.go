package scheduler

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Errors that say what the library itself has found. All can be tested for with
// errors.Is.
var (
	// ErrStarted is returned by the start of a runner that was started before.
	ErrStarted = errors.New("scheduler: already started")

	// ErrNotStarted is returned by a step of a runner that was not started.
	ErrNotStarted = errors.New("scheduler: not started")

	// ErrCancelled is returned by the start of a runner that was cancelled
	// before it was started, and is the cause of a stop that names none.
	ErrCancelled = errors.New("scheduler: cancelled")

	// ErrEnded is returned by a step of a task that can be run only once and
	// has ended.
	ErrEnded = errors.New("scheduler: already ended")

	// ErrClosed is what a coroutine's Yield and Await return when the
	// coroutine is being closed: it must return, and whatever wraps ErrClosed
	// is dropped from its error.
	//
	// It is the cause of the context of a call that is closed, so it is a
	// [context.Canceled] for errors.Is.
	ErrClosed error = closedError{}

	// ErrIgnoredClose is returned by Close when a coroutine yielded again
	// after it was told that it is being closed. It was ended by force.
	ErrIgnoredClose = errors.New("scheduler: coroutine went on after close and was ended by force")

	// ErrNoYield fails a task whose step returned the zero Yield and no error.
	ErrNoYield = errors.New("scheduler: step returned neither a yield nor an error")

	// ErrSkip says, as the error of a task or wrapped in one, that the task and
	// what depends on it are to be skipped, and that this is no failure.
	ErrSkip = errors.New("scheduler: skip")

	// ErrDrained is the result of a group that was drained before all its nodes
	// had started.
	ErrDrained = errors.New("scheduler: drained")

	// ErrNilTask fails a node whose function returned a nil Task, and an Await
	// of one.
	ErrNilTask = errors.New("scheduler: nil task")

	// ErrAborted is the outcome of a runner whose task panicked or called
	// runtime.Goexit: both go up through the step, which returns nothing.
	ErrAborted = errors.New("scheduler: task panicked or ended its goroutine")

	// ErrGoexit fails a blocking call that ended its goroutine with
	// runtime.Goexit, as testing.T.FailNow does.
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

// ExceptionGroup holds the errors of several tasks in the order in which they
// occurred. An aggregating group returns it whenever anything failed, also for
// a single error.
type ExceptionGroup struct {
	Errors []error
}

// exceptionsListed is how many errors the text of an ExceptionGroup has.
const exceptionsListed = 20

// Error lists the errors, one a line: the first 20, and how many more there are.
func (g *ExceptionGroup) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d ", len(g.Errors))
	if len(g.Errors) == 1 {
		b.WriteString("task failed:")
	} else {
		b.WriteString("tasks failed:")
	}
	for i, err := range g.Errors {
		if i == exceptionsListed {
			fmt.Fprintf(&b, "\n- and %d more", len(g.Errors)-i)
			break
		}
		b.WriteString("\n- ")
		b.WriteString(strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return b.String()
}

// Unwrap gives errors.Is and errors.As all the errors.
func (g *ExceptionGroup) Unwrap() []error { return g.Errors }

// Split divides the errors into those that match and the rest, both in order; a
// half without errors is nil. A nested ExceptionGroup that does not match as a
// whole is divided as well and keeps its place and, inside a [*TaskError], its
// key.
func (g *ExceptionGroup) Split(match func(error) bool) (matching, rest *ExceptionGroup) {
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
		yes, no := divide(e.Err, match)
		switch {
		case no == nil:
			return e, nil
		case yes == nil:
			return nil, e
		}
		return &TaskError{Key: e.Key, Task: e.Task, Err: yes}, &TaskError{Key: e.Key, Task: e.Task, Err: no}
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

// TaskError says which node of a group an error came from.
type TaskError struct {
	Key  any    // the node
	Task string // what [TaskDescription] calls its task
	Err  error
}

// Error returns the key and the error.
func (e *TaskError) Error() string { return fmt.Sprintf("%v: %v", e.Key, e.Err) }

// Unwrap returns the task's own error.
func (e *TaskError) Unwrap() error { return e.Err }

// Causes returns the errors that the members of groups failed with, in order and
// without the keys that [TaskError] and [ExceptionGroup] add to them. An error that
// is made of several by errors.Join is taken apart; any other is returned as it is.
func Causes(err error) []error {
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case nil:
		return nil
	case *TaskError:
		return Causes(e.Err)
	case *closedGroup:
		return Causes(e.failed)
	case interface{ Unwrap() []error }:
		var causes []error
		for _, branch := range e.Unwrap() {
			causes = append(causes, Causes(branch)...)
		}
		return causes
	}
	return []error{err}
}

// PanicError is a panic as an error: one that left a coroutine, a call that
// blocks, or a member of a group, whose own stack or place in the graph would not
// be seen otherwise. It goes up in the place of the value that panic was called
// with, or with [GroupOptions.RecoverPanics] is the error of the node.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // where, as formatted by runtime/debug.Stack
	Path  string // the keys of the nodes that it went up through, outermost first

	goesUp bool // it is a panic, and not the error of a node
}

// Error returns the panic's value. While it goes up as a panic, so that an uncaught
// one prints it, the text has the path too, and the place in the code outside of
// this package that panicked.
func (e *PanicError) Error() string {
	text := fmt.Sprintf("panic: %v", e.Value)
	if !e.goesUp {
		return text
	}
	if e.Path != "" {
		text += " in " + e.Path
	}
	if place := placeIn(string(e.Stack)); place != "" {
		text += " at " + place
	}
	return text
}

// String returns the text of Error and the stack.
func (e *PanicError) String() string { return fmt.Sprintf("%s\n\n%s", e.Error(), e.Stack) }

// panicIn returns what goes up in the place of a panic with a value that came out
// of a node. The stack is that of the caller, which is still that of the panic.
func panicIn(key any, v any) *PanicError {
	p, ok := v.(*PanicError)
	if !ok {
		return &PanicError{Value: v, Stack: debug.Stack(), Path: fmt.Sprint(key), goesUp: true}
	}
	inner := *p
	inner.Path, inner.goesUp = fmt.Sprint(key), true
	if p.Path != "" {
		inner.Path += "/" + p.Path
	}
	return &inner
}

// placeIn returns the function and the line of a stack that panicked: the first
// below the last call of panic that is neither of package runtime nor of this one.
func placeIn(stack string) string {
	if i := strings.LastIndex(stack, "\npanic("); i >= 0 {
		stack = stack[i+1:]
	}
	lines := strings.Split(stack, "\n")
	for i := 0; i+1 < len(lines); i++ {
		at, isPlace := strings.CutPrefix(lines[i+1], "\t")
		if !isPlace || isInside(lines[i]) {
			continue
		}
		name := lines[i][:max(strings.LastIndexByte(lines[i], '('), 0)]
		name = name[strings.LastIndexByte(name, '/')+1:]
		at, _, _ = strings.Cut(at, " ")
		return name + " (" + at[strings.LastIndexByte(at, '/')+1:] + ")"
	}
	return ""
}

// isInside reports whether a line of a stack is of the runtime or this package.
func isInside(line string) bool {
	for _, prefix := range []string{"panic(", "runtime.", "runtime/", "goroutine ", "github.com/steptask/scheduler.", "github.com/steptask/scheduler/internal/coro."} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// OptionError says which option, or other argument, a constructor could not
// take.
type OptionError struct {
	Option string // such as GroupOptions.Budget
	Reason string
}

// Error names the option and the reason.
func (e *OptionError) Error() string { return "scheduler: " + e.Option + ": " + e.Reason }

// NestedRunError is returned by a blocking run that was called from inside a
// step of another run, where it would stall everything else that the outer run
// drives. Drive the inner task with [Coroutine.Await] or [TaskRunner.AsTask]
// instead, or call it inside [Blocking].
type NestedRunError struct {
	Outer string // the run whose step made the call
	Inner string // the run that was refused
}

// Error names both runs.
func (e *NestedRunError) Error() string {
	return fmt.Sprintf("scheduler: blocking run of %s inside a step of %s", e.Inner, e.Outer)
}

// closeError is an error from closing a subtask, as Await returns it: the
// coroutine learns both that it is being closed and what went wrong.
type closeError struct{ err error }

func (e *closeError) Error() string   { return e.err.Error() }
func (e *closeError) Unwrap() []error { return []error{e.err, ErrClosed} }

// dropClosed returns err without ErrClosed.
func dropClosed(err error) error { return drop(err, ErrClosed) }

// drop returns err without what: nil if it is what or only adds words to it, and
// without those branches of a joined error.
func drop(err, what error) error {
	return dropAll(err, func(e error) bool { return isSame(e, what) })
}

// dropAll is drop of all that match.
func dropAll(err error, match func(error) bool) error {
	if err == nil || match(err) {
		return nil
	}
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case *Timeout: // it says more than what it is about
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil && dropAll(inner, match) == nil {
			return nil
		}
	case interface{ Unwrap() []error }:
		return dropBranches(err, e.Unwrap(), match)
	}
	return err
}

// dropBranches is dropAll of an error that joins branches.
func dropBranches(err error, branches []error, match func(error) bool) error {
	var kept []error
	changed := false
	for _, branch := range branches {
		left := dropAll(branch, match)
		changed = changed || !isSame(left, branch)
		if left != nil {
			kept = append(kept, left)
		}
	}
	switch {
	case !changed:
		return err
	case len(kept) == 1:
		return kept[0]
	}
	if _, ok := err.(*ExceptionGroup); ok { //nolint:errorlint // One level at a time.
		return orNil(groupOf(kept))
	}
	return errors.Join(kept...)
}

// Interrupted reports whether err only says that a task has to end: that it is
// being closed ([ErrClosed]), that its time has passed (a [*Timeout]), or that it
// was asked to stop (a [*StopError]). It is what a task checks before it swallows
// an error, or tries again. An error with a failure beside that is not one, and
// neither is nil.
func Interrupted(err error) bool {
	return err != nil && dropAll(err, func(e error) bool {
		switch e.(type) { //nolint:errorlint // One level at a time.
		case *StopError, *Timeout, closedError:
			return true
		}
		return false
	}) == nil
}

// join returns err with more added behind it. Unlike errors.Join it returns a
// single error as it is, and an error that is part of the other is not repeated.
// Only the very same value is one: two errors of the same kind are two.
func join(err, more error) error {
	switch {
	case more == nil:
		return err
	case err == nil:
		return more
	case contains(err, more):
		return err
	case contains(more, err):
		return more
	}
	return errors.Join(err, more)
}

// isSame reports whether two errors are the very same value. Two of a type that ==
// panics for, such as a slice of errors, are if they are deeply equal.
//
//workflowcheck:ignore (Temporal's linter takes reflect.DeepEqual for non-deterministic)
func isSame(a, b error) (equal bool) {
	defer func() {
		if recover() != nil {
			equal = reflect.DeepEqual(a, b)
		}
	}()
	return a == b //nolint:errorlint // That very value.
}

// contains reports whether part is err or one of the errors inside it.
func contains(err, part error) bool {
	if err == nil {
		return false
	}
	if isSame(err, part) {
		return true
	}
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case interface{ Unwrap() error }:
		return contains(e.Unwrap(), part)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), func(branch error) bool { return contains(branch, part) })
	}
	return false
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

// checkDuration returns an OptionError for a negative duration.
func checkDuration(option string, d time.Duration) error {
	if d < 0 {
		return &OptionError{Option: option, Reason: "negative duration " + d.String()}
	}
	return nil
}
