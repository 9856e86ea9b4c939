package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/steptask/scheduler/journal"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What a state file is known by: the application id in the head of an SQLite
// file, and where it is.
const (
	applicationID = 0x73746b31 // "stk1"
	idOffset      = 68
)

// reserveSize is how much room is kept on the disk for a deletion: with no room
// at all, SQLite cannot write down that something is gone.
const reserveSize = 256 << 10

// Exists reports whether there is something of a stack whose state is at path.
func Exists(path string) bool { return exists(path) || exists((&Store{path: path}).journalPath()) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// beside are the files beside the state file that belong to it, without the journal.
func (s *Store) beside() []string {
	return append([]string{s.reserve()}, sqliteFiles(s.path)...)
}

// sqliteFiles are what SQLite makes beside a file.
func sqliteFiles(path string) []string {
	return []string{path + "-journal", path + "-wal", path + "-shm"}
}

// journalPath is the path of the journal: "demo.journal" beside "demo.db".
func (s *Store) journalPath() string { return strings.TrimSuffix(s.path, ".db") + ".journal" }

func (s *Store) reserve() string { return s.path + "-reserve" }

// begin makes the file if there is none, or sees to it that the one there is a
// stack's.
func (s *Store) begin() (made bool, err error) {
	info, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := s.create(); err != nil {
			return false, err
		}
		made = true
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, errForeign
	case info.Size() > 0:
		return false, s.isOurs()
	}
	// It is empty: a program that was killed got no further.
	db, err := s.connect()
	if err != nil {
		return made, err
	}
	_, err = db.Exec(fmt.Sprintf(`PRAGMA application_id = %d`, applicationID))
	return made, errors.Join(err, db.Close())
}

var errForeign = errors.New("not the state of a stack; left unchanged")

func (s *Store) create() error {
	strangers := s.beside()
	if !exists(s.journalPath()) { // else somebody has removed the one file, and not the other
		strangers = append(strangers, sqliteFiles(s.journalPath())...)
	}
	for _, path := range strangers {
		if exists(path) {
			return fmt.Errorf("%s exists, and does not belong to the stack", path)
		}
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return err
	}
	return createFile(s.path, 0)
}

func createFile(path string, size int) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, size))
	return errors.Join(err, f.Close())
}

func (s *Store) isOurs() error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, idOffset+4)
	_, err = io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errForeign
	}
	if err == nil && binary.BigEndian.Uint32(head[idOffset:]) != applicationID {
		return errForeign
	}
	return err
}

// isOfThisForm refuses a state that an older version of this program has written, which
// had all records in this file.
func (s *Store) isOfThisForm() error {
	var old int
	err := s.db.QueryRow(`SELECT count(*) FROM sqlite_schema WHERE name = 'resource'`).Scan(&old)
	if err == nil && old > 0 {
		err = s.db.QueryRow(`SELECT count(*) FROM resource`).Scan(&old)
	}
	if err == nil && old > 0 {
		return errOldForm
	}
	return err
}

var errOldForm = errors.New(`written by an older version of this program, which had no journal. ` +
	`Delete the stack with "down" of that version, or end its processes, remove its files and then this one`)

// KeepReserve takes room on the disk that a deletion may need.
func (s *Store) KeepReserve() error {
	err := createFile(s.reserve(), reserveSize)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return s.wrong(err)
}

// GiveReserve gives the room back, so that a deletion has it, and reports
// whether there was any.
func GiveReserve(path string) bool {
	return os.Remove((&Store{path: path}).reserve()) == nil
}

// wrong says which file an error is about.
func (s *Store) wrong(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("state in %s: %w", s.path, err)
}

// FullAdvice says what can be done about a disk that is full.
const FullAdvice = `The disk is full. Free some room on it for another "up"; "down" needs none.`

// IsFull reports whether an error comes from a disk that is full.
func IsFull(err error) bool {
	if inDatabase, ok := errors.AsType[*sqlite.Error](err); ok {
		switch inDatabase.Code() {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC:
			return true
		}
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, journal.ErrFull)
}
