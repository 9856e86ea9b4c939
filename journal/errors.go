package journal

import (
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// Errors that can be tested for with errors.Is.
var (
	// ErrHeld means that the run is open already, in this process or another.
	// The error is a [*HeldError].
	ErrHeld = errors.New("journal: the run is open elsewhere")

	// ErrFenced fails a run that another process has taken over, which can
	// happen only where file locks do not hold, as on some network file systems.
	ErrFenced = errors.New("journal: another process has taken the run over")

	// ErrGraphChanged means that the run was begun with another graph. The error
	// is a [*GraphError], which says what differs.
	ErrGraphChanged = errors.New("journal: the run was begun with another graph")

	// ErrRollingBack means that the run is being rolled back, or was: it can no
	// longer go forward.
	ErrRollingBack = errors.New("journal: the run is being rolled back")

	// ErrNoRun means that there is no run of that name.
	ErrNoRun = errors.New("journal: no such run")

	// ErrNoResult means that a node has recorded no result, or no step of that
	// name.
	ErrNoResult = errors.New("journal: no result")

	// ErrNoNode is returned by Step and StepIn outside the nodes of a [Run].
	ErrNoNode = errors.New("journal: not called in a node of a run")

	// ErrGroupRuns means that the group of that name inside the node is running.
	ErrGroupRuns = errors.New("journal: the group is running already")

	// ErrOpenRuns is returned by Close of a Journal that has open runs.
	ErrOpenRuns = errors.New("journal: there are open runs")

	// ErrNotJournal means that the file is not a journal.
	ErrNotJournal = errors.New("journal: the file is not a journal")

	// ErrNewer means that a newer version of this package wrote the file.
	ErrNewer = errors.New("journal: the file was written by a newer version")

	// ErrCorrupt means that the file is damaged.
	ErrCorrupt = errors.New("journal: the file is damaged")

	// ErrReadOnly means that the file cannot be written.
	ErrReadOnly = errors.New("journal: the file is read-only")

	// ErrGone means that the file, or the one with -wal after its name, was removed or
	// replaced while it was open. What was recorded since may be lost.
	ErrGone = errors.New("journal: the file was removed or replaced while it was open")

	// ErrFull means that there is no space left for the file to grow.
	ErrFull = errors.New("journal: no space left")
)

// HeldError reports which process has a run open. It matches [ErrHeld].
type HeldError struct {
	Run   string
	Owner string // host, process ID and program; "" if that is not known
}

// Error names the run and the process that has it open.
func (e *HeldError) Error() string {
	if e.Owner == "" {
		return fmt.Sprintf("journal: run %q is open elsewhere", e.Run)
	}
	return fmt.Sprintf("journal: run %q is open in %s", e.Run, e.Owner)
}

// Is reports whether target is [ErrHeld].
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// GraphError reports how a graph differs from the one that a run was begun with. It
// matches [ErrGraphChanged]. Nodes are written as in error messages: keys, with
// slashes between those of nested groups. All lists are sorted.
type GraphError struct {
	Run     string
	Group   string   // the path of a group inside a node; "" for the run's own
	Gone    []string // nodes that the run was begun with
	Added   []string // nodes that it was not begun with
	Changed []string // of both: requirements that are gone or new, such as "server no longer requires volume"
}

// Error lists the differences, at most ten of each kind.
func (e *GraphError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "journal: run %q", e.Run)
	if e.Group != "" {
		fmt.Fprintf(&b, ", group %s", e.Group)
	}
	b.WriteString(": the graph has changed")
	list := func(what string, items []string) {
		if len(items) == 0 {
			return
		}
		shown := items[:min(len(items), 10)]
		fmt.Fprintf(&b, "; %s%s", what, strings.Join(shown, ", "))
		if more := len(items) - len(shown); more > 0 {
			fmt.Fprintf(&b, " and %d more", more)
		}
	}
	list("gone: ", e.Gone)
	list("new: ", e.Added)
	list("", e.Changed)
	return b.String()
}

// Is reports whether target is [ErrGraphChanged].
func (e *GraphError) Is(target error) bool { return target == ErrGraphChanged }

// ValueError reports a key, result or step that could not be written as JSON, or read
// back as the requested type.
type ValueError struct {
	Run  string
	What string // such as "result of server", "step create of server", "key 7"
	Err  error
}

// Error names the run, the value and the reason.
func (e *ValueError) Error() string {
	return fmt.Sprintf("journal: run %q: %s: %v", e.Run, e.What, e.Err)
}

// Unwrap returns the reason.
func (e *ValueError) Unwrap() error { return e.Err }

// FileError is an error of the file itself: [ErrNotJournal], [ErrNewer],
// [ErrCorrupt], [ErrReadOnly], [ErrFull], [ErrGone], [ErrFenced] or an error of the
// system.
type FileError struct {
	Path string
	Err  error
}

// Error names the file and the reason.
func (e *FileError) Error() string {
	path := e.Path
	if path == "" {
		path = `""`
	}
	return fmt.Sprintf("journal %s: %s", path, strings.Replace(fmt.Sprint(e.Err), "journal: ", "", 1))
}

// Unwrap returns the reason.
func (e *FileError) Unwrap() error { return e.Err }

// fileError makes a FileError of what SQLite or the system says.
func fileError(path string, err error) error {
	if err == nil {
		return nil
	}
	if already := (*FileError)(nil); errors.As(err, &already) {
		return err
	}
	for _, kind := range []struct {
		code int
		err  error
	}{
		{sqlitelib.SQLITE_NOTADB, ErrNotJournal},
		{sqlitelib.SQLITE_CORRUPT, ErrCorrupt},
		{sqlitelib.SQLITE_READONLY, ErrReadOnly},
		{sqlitelib.SQLITE_FULL, ErrFull},
	} {
		if hasCode(err, kind.code) {
			err = fmt.Errorf("%w (%w)", kind.err, err)
		}
	}
	return &FileError{Path: path, Err: err}
}

// hasCode reports whether err is one of SQLite's with that primary code.
func hasCode(err error, code int) bool {
	e := (*sqlite.Error)(nil)
	return errors.As(err, &e) && e.Code()&0xff == code
}
