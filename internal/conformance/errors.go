package conformance

import (
	"strings"

	"github.com/steptask/scheduler"
)

// name gives the string of the format for an error: FORMAT.md, section 2. It
// looks from the outside in, past what says where an error came from, and of
// joined errors takes the first, the main one.
func (p *replay) name(err error) string {
	if name := p.find(err); name != "" {
		return name
	}
	return "unknown: " + err.Error()
}

// find is name, or "" if no error of the format is in err. It is errors.As for
// all of them at once, to find the outermost.
func (p *replay) find(err error) string {
	switch err {
	case scheduler.ErrStarted: //nolint:errorlint // The unwrapping follows below.
		return "AlreadyStarted"
	case scheduler.ErrNotStarted:
		return "NotStarted"
	case scheduler.ErrCancelled:
		return "AlreadyCancelled"
	case scheduler.ErrIgnoredClose:
		return "IgnoredExit"
	}
	switch err := err.(type) { //nolint:errorlint // As above.
	case *recordedError:
		return err.text
	case *scheduler.CircularDependencyError[string]:
		return "CircularDependency"
	case *scheduler.Timeout:
		return "Timeout(" + p.runnerOf(err) + ")"
	case *scheduler.ExceptionGroup:
		names := make([]string, len(err.Errors))
		for i, member := range err.Errors {
			names[i] = p.name(member)
		}
		return "Group[" + strings.Join(names, ",") + "]"
	case interface{ Unwrap() error }:
		return p.find(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, branch := range err.Unwrap() {
			if name := p.find(branch); name != "" {
				return name
			}
		}
	}
	return ""
}

func (p *replay) runnerOf(timeout *scheduler.Timeout) string {
	for id, runner := range p.runners {
		if timeout.Of(runner) {
			return id
		}
	}
	return "?"
}
