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
	file   string
	list   []*Error
	nested []*Error // of the files of nested stacks
}

func (l *errorList) add(line int, resource, format string, args ...any) {
	l.list = append(l.list, &Error{l.file, line, resource, fmt.Sprintf(format, args...)})
}

// only replaces all errors by one about the file as a whole.
func (l *errorList) only(msg string) {
	l.list = []*Error{{l.file, 0, "", msg}}
}

// include appends the errors of another file.
func (l *errorList) include(other *errorList) {
	l.nested = append(append(l.nested, other.sorted()...), other.nested...)
}

// includeParsed appends what [Parse] found in another file, and reports whether
// err is that.
func (l *errorList) includeParsed(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return false
	}
	for _, one := range joined.Unwrap() {
		if e, ok := errors.AsType[*Error](one); ok {
			l.nested = append(l.nested, e)
		}
	}
	return true
}

func (l *errorList) empty() bool { return len(l.list)+len(l.nested) == 0 }

// sorted returns the errors in the order of the file, each once.
func (l *errorList) sorted() []*Error {
	slices.SortStableFunc(l.list, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return slices.CompactFunc(l.list, func(a, b *Error) bool { return *a == *b })
}

// err returns the errors joined; nil for none.
func (l *errorList) err() error {
	var joined []error
	for _, e := range append(l.sorted(), l.nested...) {
		joined = append(joined, e)
	}
	return errors.Join(joined...)
}
