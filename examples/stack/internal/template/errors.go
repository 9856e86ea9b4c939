package template

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Error is something wrong in a template, at its place.
type Error struct {
	File     string
	Line     int    // 0: the file as a whole
	Resource string // "": not in a resource
	Message  string
}

func (e *Error) Error() string {
	at := e.File
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Resource != "" {
		return fmt.Sprintf("%s: resource %q: %s", at, e.Resource, e.Message)
	}
	return fmt.Sprintf("%s: %s", at, e.Message)
}

// errorList gathers the errors of one file, so that a user sees all of them
// at once.
type errorList struct {
	file string
	list []*Error
}

func (l *errorList) add(line int, resource, format string, args ...any) {
	l.list = append(l.list, &Error{l.file, line, resource, fmt.Sprintf(format, args...)})
}

// err returns the errors joined, in the order of the file; nil for none.
func (l *errorList) err() error {
	slices.SortStableFunc(l.list, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	l.list = slices.CompactFunc(l.list, func(a, b *Error) bool { return *a == *b })
	joined := make([]error, len(l.list))
	for i, e := range l.list {
		joined[i] = e
	}
	return errors.Join(joined...)
}
