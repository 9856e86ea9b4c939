package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver, in pure Go
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/steptask/scheduler"
)

// Synchronous determines what a committed record survives.
type Synchronous uint8

const (
	// Full survives a loss of power: each commit waits for the disk.
	Full Synchronous = iota
	// Normal survives the death of the process. If the machine dies, the last commits
	// may be lost. It is several times as fast as Full.
	Normal
)

// Options are the options of a [Journal].
type Options struct {
	// Synchronous is [Full] by default.
	Synchronous Synchronous
}

// Journal is an open file with any number of runs. It is safe for concurrent use, and
// several processes may have the same file open. It must be closed.
type Journal struct {
	path string
	db   *sql.DB // with one connection: SQLite has one writer anyway
	now  func() time.Time

	place place // read and written in transactions

	insert  *sql.Stmt // rowsMax records at once
	one     *sql.Stmt
	epochOf *sql.Stmt

	mu     sync.Mutex
	open   map[*log]bool // runs, and whether they have begun
	closed bool
}

// Open opens the file at path, or creates it with mode 0600. It migrates a file with an
// older schema. nil options are the defaults.
//
// The error is a [*FileError] that wraps [ErrNotJournal], [ErrNewer], [ErrCorrupt],
// [ErrReadOnly] or an error of the system. The file is then unchanged.
func Open(path string, opts *Options) (*Journal, error) {
	if opts == nil {
		opts = &Options{}
	}
	if opts.Synchronous > Normal {
		return nil, &scheduler.OptionError{Option: "Options.Synchronous", Reason: fmt.Sprintf("unknown value %d", opts.Synchronous)}
	}
	j, err := open(path, opts, nil)
	if err != nil {
		return nil, fileError(path, err)
	}
	return j, nil
}

// open is Open with further parameters for SQLite.
func open(path string, opts *Options, more url.Values) (*Journal, error) {
	path, err := canonical(path)
	if err != nil {
		return nil, err
	}
	pragmas := []string{"busy_timeout(10000)", "synchronous(normal)"}
	if opts.Synchronous == Full {
		pragmas = append(pragmas[:1], "synchronous(full)", "fullfsync(1)")
	}
	query := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	maps.Copy(query, more)
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	j := &Journal{path: path, db: db, place: placeOf(path), now: time.Now, open: map[*log]bool{}}
	if err := j.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return j, nil
}

// canonical returns the same path for the same file, whatever it was given as, and
// an error if that cannot be opened for writing.
func canonical(path string) (string, error) {
	if path == "" {
		return "", errors.New("empty path")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: not a regular file", ErrNotJournal) // before a device is read
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		_, missing := os.Stat(path)
		if missing == nil && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
			return "", fmt.Errorf("%w (%w)", ErrReadOnly, err)
		}
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/...
	}
	return path, nil
}

func (j *Journal) prepare() error {
	// A stranger's file stays as it is.
	if _, err := schemaOf(j.db); err != nil {
		return err
	}
	// Several that open a new file at once may find it locked while it becomes a
	// WAL file, and SQLite does not wait for that.
	_, err := j.db.Exec(`PRAGMA journal_mode = wal`)
	for end := time.Now().Add(10 * time.Second); isBusy(err) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // Only while another process makes the file.
		_, err = j.db.Exec(`PRAGMA journal_mode = wal`)
	}
	if err != nil {
		return err
	}
	if err := migrate(j.db); err != nil {
		return err
	}
	if j.insert, err = j.db.Prepare(insertSQL(rowsMax)); err != nil {
		return err
	}
	if j.one, err = j.db.Prepare(insertSQL(1)); err != nil {
		return err
	}
	j.epochOf, err = j.db.Prepare(`SELECT epoch FROM run WHERE id = ?`)
	return err
}

func isBusy(err error) bool {
	return hasCode(err, sqlitelib.SQLITE_BUSY) || hasCode(err, sqlitelib.SQLITE_LOCKED)
}

// check returns an error for a Journal that was not opened or is closed, and for a nil
// Context.
func (j *Journal) check(ctx context.Context) error {
	if err := j.checkOpened(); err != nil {
		return err
	}
	if ctx == nil {
		return errNilContext
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return j.fail(errJournalClosed)
	}
	return nil
}

// checkOpened returns an error for a nil Journal and a zero one.
func (j *Journal) checkOpened() error {
	switch {
	case j == nil:
		return &scheduler.OptionError{Option: "journal", Reason: "nil Journal"}
	case j.db == nil:
		return &scheduler.OptionError{Option: "journal", Reason: "zero Journal; use Open"}
	}
	return nil
}

var (
	errNilContext  = &scheduler.OptionError{Option: "ctx", Reason: "nil Context"}
	errNilFunction = &scheduler.OptionError{Option: "fn", Reason: "nil function"}
	errNoGroup     = &scheduler.OptionError{Option: "group", Reason: "nil or zero Group; use NewGroup or NewSubgroup"}
	errZeroRun     = &scheduler.OptionError{Option: "Run", Reason: "nil or zero value; use NewGroup"}
	errNotMade     = &scheduler.OptionError{Option: "node", Reason: "nil or zero Node; the group makes it"}
)

// Close closes the file, and with it runs that were never stepped. If other runs have not
// ended, it returns [ErrOpenRuns] and does nothing: run them to their end, or close them.
func (j *Journal) Close() error {
	if err := j.checkOpened(); err != nil {
		return err
	}
	idle, err := j.close()
	for _, l := range idle {
		err = errors.Join(err, l.close())
	}
	if idle == nil || err != nil {
		return err
	}
	return j.fail(j.db.Close())
}

// close makes the Journal closed, and returns the runs that are to be closed, or nil
// if there is nothing to do.
func (j *Journal) close() (idle []*log, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, nil
	}
	idle = []*log{}
	begun := 0
	for l, hasBegun := range j.open {
		if hasBegun {
			begun++
		} else {
			idle = append(idle, l)
		}
	}
	if begun > 0 {
		return nil, fmt.Errorf("%w (%d)", ErrOpenRuns, begun)
	}
	j.closed = true
	return idle, nil
}

// fail makes an error of the file one that names it.
func (j *Journal) fail(err error) error { return fileError(j.path, err) }

var errJournalClosed = errors.New("journal: already closed")

// enter notes an open run, and whether it has begun.
func (j *Journal) enter(l *log, begun bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return j.fail(errJournalClosed)
	}
	j.open[l] = begun
	return nil
}

// leave forgets an open run, and reports whether it was one.
func (j *Journal) leave(l *log) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, ok := j.open[l]
	delete(j.open, l)
	return ok
}
