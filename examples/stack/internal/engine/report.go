package engine

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/journal"
)

// Report says what became of the resources.
type Report struct {
	Err       error          // of the run; nil: all went well
	Failed    []Failure      // in order of occurrence
	Cancelled []string       // were running, and closed or stopped
	Unstarted []string       // would have been next
	Skipped   []Skip         // require something that failed
	Left      []state.Record // what is there now
	Strange   string         // the stack's directory, if files stay in it that the stack did not make
}

// Failure is the failure of a resource.
type Failure struct {
	Name string
	Err  error
}

// Skip is a resource that was not started because of others.
type Skip struct {
	Name    string
	Because []string // what failed
}

// report asks the group about each of its nodes.
func (e *Engine) report(group *scheduler.DependencyTaskGroup[string], err error) *Report {
	r := &Report{Err: err}
	if err == nil {
		return r
	}
	for _, err := range group.Errors() {
		var te *scheduler.TaskError
		if !errors.As(err, &te) {
			continue
		}
		switch name := keyOf(te); {
		case !isFailure(group.State(name)):
		case errors.Is(te, resource.ErrStopped) || isOfJournal(te):
			r.Cancelled = append(r.Cancelled, name)
		default:
			r.Failed = append(r.Failed, Failure{name, te.Err})
		}
	}
	because := e.dependents(r.Failed)
	for name, s := range group.All() {
		switch {
		case s == scheduler.StateSkipped:
			r.Skipped = append(r.Skipped, Skip{name, []string{keyOf(group.Err(name))}})
		case s == scheduler.StateCancelled && group.Started(name):
			r.Cancelled = append(r.Cancelled, name)
		case s == scheduler.StateCancelled && len(because[name]) > 0:
			r.Skipped = append(r.Skipped, Skip{name, because[name]})
		case s == scheduler.StateCancelled:
			r.Unstarted = append(r.Unstarted, name)
		}
	}
	return r
}

// dependents returns for each resource which of the failed ones it requires,
// directly or not.
func (e *Engine) dependents(failed []Failure) map[string][]string {
	because := map[string][]string{}
	for _, f := range failed {
		for name := range e.deps.From(f.Name).All() {
			because[name] = append(because[name], f.Name)
		}
	}
	return because
}

// keyOf returns the node of a task's error.
func keyOf(err error) string {
	var te *scheduler.TaskError
	if !errors.As(err, &te) {
		return ""
	}
	return fmt.Sprint(te.Key)
}

func isOfJournal(err error) bool {
	_, ok := errors.AsType[*journal.FileError](err)
	return ok
}

func isFailure(s scheduler.State) bool {
	return s == scheduler.StateFailed || s == scheduler.StateTimedOut
}

// WriteFailure tells what a failed run came to.
func (r *Report) WriteFailure(w io.Writer) {
	var b strings.Builder
	if file, ok := errors.AsType[*journal.FileError](r.Err); ok { // it ends everything, and is said once
		fmt.Fprintf(&b, "  failed       %v\n", file)
	}
	var timeout *scheduler.Timeout
	if errors.As(r.Err, &timeout) && len(r.Failed) == 0 {
		fmt.Fprintf(&b, "  timed out    after %v\n", timeout.Limit)
	}
	for _, f := range r.Failed {
		fmt.Fprintf(&b, "  failed       %s: %s\n", f.Name, indent(f.Err.Error()))
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "  skipped      %s, because of %s\n", s.Name, strings.Join(s.Because, ", "))
	}
	writeNames(&b, "cancelled", r.Cancelled)
	writeNames(&b, "not started", r.Unstarted)
	if state.IsFull(r.Err) {
		fmt.Fprintln(&b, state.FullAdvice)
	}
	io.WriteString(w, b.String())
}

// WriteLeft tells what is there now.
func (r *Report) WriteLeft(w io.Writer) {
	switch {
	case len(r.Left) == 0 && r.Strange != "":
		fmt.Fprintf(w, "Nothing of the stack is left behind. Files that it did not create stay in %s.\n", r.Strange)
		return
	case len(r.Left) == 0:
		fmt.Fprintln(w, "Nothing is left behind.")
		return
	}
	fmt.Fprintln(w, "Left behind:")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, rec := range r.Left {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", rec.Name, rec.Type, rec.Status)
	}
	table.Flush() //nolint:errcheck // as with fmt: there is nobody else to tell
}

func writeNames(b *strings.Builder, what string, names []string) {
	if len(names) > 0 {
		fmt.Fprintf(b, "  %-12s %s\n", what, strings.Join(names, ", "))
	}
}

// indent puts further lines of a text under its first one.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n               ") }
