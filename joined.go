package scheduler

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// joinedErrors is errors.Join for errors of which there may be very many: its text
// lists as many as that of an ExceptionGroup.
type joinedErrors struct{ errs []error }

// joinedOf joins errors in order: nil for none, and a single one as it is.
func joinedOf(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return &joinedErrors{errs}
}

// Error has a line for each of the first errors, and the number of the others.
func (j *joinedErrors) Error() string {
	var b strings.Builder
	for i, err := range j.errs {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i == exceptionsListed {
			fmt.Fprintf(&b, "and %d more", len(j.errs)-i)
			break
		}
		b.WriteString(textOf(err))
	}
	return b.String()
}

func (j *joinedErrors) Unwrap() []error { return j.errs }

// join returns err with more added behind it. Unlike errors.Join it returns a
// single error as it is, and an error that is part of the other is not repeated.
// Only the very same value is one: two errors of the same kind are two. The cause of a
// notice is no part of what gives the notice back.
func join(err, more error) error {
	switch {
	case more == nil:
		return err
	case err == nil:
		return more
	case says(err, func(e error) bool { return isSame(e, more) }):
		return err
	case says(more, func(e error) bool { return isSame(e, err) }):
		return more
	}
	return errors.Join(err, more)
}

// says reports whether err or one of the errors inside it matches. What is inside of
// a notice is why a task was asked to end, and not what it failed with.
func says(err error, match func(error) bool) bool {
	if err == nil {
		return false
	}
	if match(err) {
		return true
	}
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case *StopError:
	case interface{ Unwrap() error }:
		return says(unwrapped(e), match)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(branches(e), func(branch error) bool { return says(branch, match) })
	}
	return false
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
		return contains(unwrapped(e), part)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(branches(e), func(branch error) bool { return contains(branch, part) })
	}
	return false
}

// closeError is an error from closing a subtask, as Await returns it: the
// coroutine learns both that it is being closed and what went wrong.
type closeError struct{ err error }

func (e *closeError) Error() string { return e.err.Error() }

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
	if match(err) {
		return nil
	}
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case *Timeout, *PanicError: // they say more than what they are about
	case interface{ Unwrap() error }:
		if inner := unwrapped(e); inner != nil && dropAll(inner, match) == nil {
			return nil
		}
	case interface{ Unwrap() []error }:
		return dropBranches(err, branches(e), match)
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
	return joinedOf(kept)
}

// What follows asks errors that a user has made. Their methods may panic, as those of a
// nil pointer in the guise of an error do: that is no reason to end a run.

// unwrapped returns what an error wraps, and branches what it joins: nothing if it
// panics.
func unwrapped(err interface{ Unwrap() error }) (inner error) {
	defer func() { _ = recover() }()
	return err.Unwrap()
}

func branches(err interface{ Unwrap() []error }) (inner []error) {
	defer func() { _ = recover() }()
	return err.Unwrap()
}

// find is errors.As, and is is errors.Is: they find nothing if an error panics.
func find[T any](err error) (found T, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	ok = errors.As(err, &found)
	return found, ok
}

func is(err, target error) bool {
	defer func() { _ = recover() }()
	return errors.Is(err, target)
}

// textOf returns the text of an error, or what fmt makes of one that panics.
func textOf(err error) string { return fmt.Sprint(err) }
