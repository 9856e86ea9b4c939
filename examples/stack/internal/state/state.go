// Package state keeps what is known about a stack's resources in a small SQLite
// file: enough to delete them all, or to go on creating, when the program that
// made them is gone.
//
// The rule is: write first, act then. A record in progress says that the thing
// may or may not be there, and what it would be known by.
package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/examples/stack/internal/template"

	_ "modernc.org/sqlite" // the driver, pure Go
)

// Status is where a resource is in its life, named as in Heat.
type Status string

// The states of a resource. One that is deleted has no record.
const (
	Creating     Status = "CREATE_IN_PROGRESS"
	Created      Status = "CREATE_COMPLETE"
	CreateFailed Status = "CREATE_FAILED"
	CheckFailed  Status = "CHECK_FAILED" // it was complete, and is not well any more
	Deleting     Status = "DELETE_IN_PROGRESS"
	DeleteFailed Status = "DELETE_FAILED"
)

// Record is what is known of a resource.
type Record struct {
	Name       string
	Type       string
	Status     Status
	Requires   []string       // the resources it was made after: it is deleted before them
	Properties map[string]any // as they were when it was made
	Data       map[string]any // what it is known by: a path, a pid, a port
	Reason     string         // of a failure
}

// Stack is what is known of the stack as a whole.
type Stack struct {
	Template string // the file, or a name for the one built in
	Digest   string // of all that the stack is made from: files and parameters
}

// Store is the file of one stack. It is safe for concurrent use.
type Store struct {
	path string
	db   *sql.DB
}

const schema = `
CREATE TABLE IF NOT EXISTS stack (
	id INTEGER PRIMARY KEY CHECK (id = 1), template TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS directory (
	path TEXT PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS owner (
	id INTEGER PRIMARY KEY CHECK (id = 1), pid INTEGER NOT NULL, start TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS resource (
	name TEXT PRIMARY KEY, type TEXT NOT NULL, status TEXT NOT NULL, requires TEXT NOT NULL,
	properties TEXT NOT NULL, data TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS signal (
	handle TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, data TEXT NOT NULL,
	PRIMARY KEY (handle, id)
);`

// Open opens the file of a stack, and makes it if need be. It has the values of
// hidden parameters, so that only its owner may read it. A file at path that is
// not a stack's is left as it is.
func Open(path string) (*Store, error) {
	s := &Store{path: path}
	made, err := s.begin()
	if err == nil {
		err = s.open()
	}
	switch {
	case err == nil:
		return s, nil
	case made: // just now, so that nothing is in it
		err = errors.Join(err, s.Remove())
	case s.db != nil:
		err = errors.Join(err, s.db.Close())
	}
	return nil, s.wrong(err)
}

func (s *Store) open() (err error) {
	// A write ahead log without a sync at each commit outlives the death of
	// any program, which is what the store is for. It may lose its last
	// moments if the machine dies, but then so do processes and ports.
	s.db, err = s.connect("busy_timeout(10000)", "journal_mode(wal)", "synchronous(normal)")
	if err == nil {
		_, err = s.db.Exec(schema)
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

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Remove closes the file and removes it: when nothing of the stack is left.
func (s *Store) Remove() error {
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
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

// Stack returns what was saved by SetStack; false if nothing was.
func (s *Store) Stack(ctx context.Context) (st Stack, known bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT template, digest FROM stack`).Scan(&st.Template, &st.Digest)
	if errors.Is(err, sql.ErrNoRows) {
		return st, false, nil
	}
	return st, err == nil, s.wrong(err)
}

// SetStack saves what the stack is made from.
func (s *Store) SetStack(ctx context.Context, st Stack) error {
	return s.exec(ctx, `REPLACE INTO stack VALUES (1, ?, ?)`, st.Template, st.Digest)
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

// Save writes a record, in place of what was there under its name.
func (s *Store) Save(ctx context.Context, r Record) error {
	return s.exec(ctx, `REPLACE INTO resource VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.Name, r.Type, r.Status, encode(r.Requires), template.JSON(r.Properties), template.JSON(r.Data), r.Reason)
}

// Delete drops a record and the signals of the resource: nothing of it is left.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.exec(ctx, `DELETE FROM signal WHERE handle = ?`, name); err != nil {
		return err
	}
	return s.exec(ctx, `DELETE FROM resource WHERE name = ?`, name)
}

// Records returns all records, by name.
func (s *Store) Records(ctx context.Context) (map[string]Record, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, type, status, requires, properties, data, reason FROM resource`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	records := map[string]Record{}
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, err
		}
		records[r.Name] = r
	}
	return records, rows.Err()
}

func scanRecord(rows *sql.Rows) (Record, error) {
	var r Record
	var requires, properties, data string
	err := rows.Scan(&r.Name, &r.Type, &r.Status, &requires, &properties, &data, &r.Reason)
	if err == nil {
		err = json.Unmarshal([]byte(requires), &r.Requires)
	}
	if err == nil {
		r.Properties, err = decode(properties)
	}
	if err == nil {
		r.Data, err = decode(data)
	}
	return r, err
}

// decode reads a map that was written as a template writes it: numbers come
// back as what they were.
func decode(text string) (map[string]any, error) {
	v, err := template.ParseJSON(text)
	m, _ := v.(map[string]any)
	return m, err
}

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

// encode gives v as JSON. Everything that is kept here has a JSON form.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
