package scheduler

import (
	"fmt"
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
		b.WriteString(err.Error())
	}
	return b.String()
}

func (j *joinedErrors) Unwrap() []error { return j.errs }
