// Package state keeps what is known about a stack: enough to delete all of it, or to go
// on creating, when the program that made it is gone.
//
// What was made, and what is about to be, is in a [journal]. What the journal has no
// place for is in a small SQLite file beside it: which process drives the stack, the
// signals that came, which directory is the stack's own, and what is not well any more.
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/journal"
)

// Store is what is known of one stack. It is safe for concurrent use.
type Store struct {
	path    string
	db      *sql.DB
	journal *journal.Journal
}

const schema = `
CREATE TABLE IF NOT EXISTS directory (
	path TEXT PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS owner (
	id INTEGER PRIMARY KEY CHECK (id = 1), pid INTEGER NOT NULL, start TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS unwell (
	name TEXT PRIMARY KEY, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS signal (
	handle TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, data TEXT NOT NULL,
	PRIMARY KEY (handle, id)
);`

// Open opens the files of a stack, and makes them if need be. They have the values of
// hidden parameters, so that only their owner may read them. A file in their place that
// is not a stack's is left as it is.
func Open(path string) (*Store, error) {
	s := &Store{path: path}
	hadJournal := exists(s.journalPath())
	made, err := s.begin()
	if err == nil {
		err = s.open()
	}
	switch {
	case err == nil:
		return s, nil
	case made && hadJournal: // which may be somebody else's
		err = errors.Join(err, s.Close(), s.removeFile())
	case made: // just now, so that nothing is in it
		err = errors.Join(err, s.Remove())
	default:
		err = errors.Join(err, s.Close())
	}
	return nil, s.wrong(err)
}

func (s *Store) open() (err error) {
	// A write ahead log without a sync at each commit outlives the death of any
	// program, which is what the store is for. It may lose its last moments if the
	// machine dies, but then so do processes and ports.
	s.db, err = s.connect("busy_timeout(10000)", "journal_mode(wal)", "synchronous(normal)")
	if err == nil {
		_, err = s.db.Exec(schema)
	}
	if err == nil {
		err = s.isOfThisForm()
	}
	if err == nil {
		s.journal, err = journal.Open(s.journalPath(), &journal.Options{Synchronous: journal.Normal})
	}
	return err
}

func (s *Store) connect(pragmas ...string) (*sql.DB, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: s.path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// Close closes the files.
func (s *Store) Close() error {
	var err error
	if s.journal != nil {
		err = s.journal.Close()
	}
	if s.db != nil {
		err = errors.Join(err, s.db.Close())
	}
	return err
}

// Remove closes the files and removes them: when nothing of the stack is left. The one
// by which a stack is known goes last.
func (s *Store) Remove() error {
	return errors.Join(s.Close(), journal.Remove(s.journalPath()), s.removeFile())
}

// removeFile removes the file beside the journal.
func (s *Store) removeFile() (err error) {
	for _, path := range append(s.beside(), s.path) {
		if e := os.Remove(path); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// HeldError says that another program drives the stack.
type HeldError struct{ Owner process.ID }

func (e *HeldError) Error() string {
	return fmt.Sprintf("the stack is in the hands of process %d", e.Owner.PID)
}

// Acquire makes this process the one that drives the stack. It fails with a
// [*HeldError] while another one does that is alive.
func (s *Store) Acquire(ctx context.Context) error {
	self, err := process.Self()
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.wrong(err)
	}
	defer tx.Rollback()
	var owner process.ID
	err = tx.QueryRowContext(ctx, `SELECT pid, start FROM owner`).Scan(&owner.PID, &owner.Start)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return s.wrong(err)
	case owner != self && owner.Alive():
		return &HeldError{owner}
	}
	if err := setOwner(ctx, tx, self); err != nil {
		return s.wrong(err)
	}
	return s.wrong(tx.Commit())
}

func setOwner(ctx context.Context, tx *sql.Tx, id process.ID) error {
	_, err := tx.ExecContext(ctx, `REPLACE INTO owner VALUES (1, ?, ?)`, id.PID, id.Start)
	return err
}

// Release ends what Acquire began.
func (s *Store) Release(ctx context.Context) error {
	return s.exec(ctx, `DELETE FROM owner WHERE pid = ?`, os.Getpid())
}

// OwnDirectory writes down that the directory at path is about to be made for
// the stack, and may go with it.
func (s *Store) OwnDirectory(ctx context.Context, path string) error {
	return s.exec(ctx, `REPLACE INTO directory VALUES (?)`, path)
}

// OwnsDirectory reports whether the directory at path was made for the stack.
func (s *Store) OwnsDirectory(ctx context.Context, path string) (owns bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT COUNT(*) > 0 FROM directory WHERE path = ?`, path).Scan(&owns)
	return owns, s.wrong(err)
}

// exec executes one statement.
func (s *Store) exec(ctx context.Context, statement string, args ...any) error {
	_, err := s.db.ExecContext(ctx, statement, args...)
	return s.wrong(err)
}

// SetUnwell writes down that a resource is not well any more, and why.
func (s *Store) SetUnwell(ctx context.Context, name, reason string) error {
	return s.exec(ctx, `REPLACE INTO unwell VALUES (?, ?)`, name, reason)
}

// Unwell returns which resources are not well any more, and why.
func (s *Store) Unwell(ctx context.Context) (map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, reason FROM unwell`)
	if err != nil {
		return nil, s.wrong(err)
	}
	defer rows.Close()
	unwell := map[string]string{}
	for rows.Next() {
		var name, reason string
		if err := rows.Scan(&name, &reason); err != nil {
			return nil, err
		}
		unwell[name] = reason
	}
	return unwell, s.wrong(rows.Err())
}

// ForgetUnwell is called when what is not well is about to be made again.
func (s *Store) ForgetUnwell(ctx context.Context) error { return s.exec(ctx, `DELETE FROM unwell`) }

// Signal is a message to a wait condition.
type Signal struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Reason string `json:"reason"`
	Data   string `json:"data"`
}

// AddSignal saves a signal to a handle. One with the same id replaces the
// earlier one.
func (s *Store) AddSignal(ctx context.Context, handle string, sig Signal) error {
	return s.exec(ctx, `REPLACE INTO signal VALUES (?, ?, ?, ?, ?)`, handle, sig.ID, sig.Status, sig.Reason, sig.Data)
}

// Signals returns the signals to a handle so far.
func (s *Store) Signals(ctx context.Context, handle string) ([]Signal, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, status, reason, data FROM signal WHERE handle = ? ORDER BY rowid`, handle)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Signal
	for rows.Next() {
		var sig Signal
		if err := rows.Scan(&sig.ID, &sig.Status, &sig.Reason, &sig.Data); err != nil {
			return nil, err
		}
		list = append(list, sig)
	}
	return list, rows.Err()
}
