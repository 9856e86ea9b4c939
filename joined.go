package scheduler

import (
	"fmt"
	"reflect"
	"strings"
)

// joinedErrors is errors.Join for errors of which there may be very many: its text
// lists as many as that of an ExceptionGroup.
type joinedErrors struct{ errs []error }

// joinAll joins errors in order. One that is nil, or a part of an earlier one, is left
// out. It returns nil for none, and a single one as it is.
func joinAll(errs []error) error {
	var kept []error
	seen := map[error]struct{}{}
	for _, err := range errs {
		if err == nil || isIn(seen, err) {
			continue
		}
		kept = append(kept, err)
		addParts(seen, err)
	}
	return joinedOf(kept)
}

// joinedOf joins errors as they are.
func joinedOf(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return &joinedErrors{errs}
}

// isIn reports whether an error is in a set. One that cannot be compared never is.
func isIn(set map[error]struct{}, err error) bool {
	if !reflect.ValueOf(err).Comparable() {
		return false
	}
	_, ok := set[err]
	return ok
}

// addParts adds an error, and the errors inside it, to a set.
func addParts(set map[error]struct{}, err error) {
	if err == nil || isIn(set, err) {
		return
	}
	if reflect.ValueOf(err).Comparable() {
		set[err] = struct{}{}
	}
	switch e := err.(type) { //nolint:errorlint // One level at a time.
	case interface{ Unwrap() error }:
		addParts(set, e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, branch := range e.Unwrap() {
			addParts(set, branch)
		}
	}
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
		b.WriteString(err.Error())
	}
	return b.String()
}

func (j *joinedErrors) Unwrap() []error { return j.errs }
