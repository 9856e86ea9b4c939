package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// Commits returns how often a run has written.
func Commits[K comparable](r *Run[K]) int { return r.log.w.commits }

// LockPath returns the file that is locked while a run is open.
func LockPath(j *Journal, run string) string { return j.lockPath(run) }

// LockFile returns that file of an open run.
func LockFile[K comparable](r *Run[K]) *os.File { return r.log.lock.file }

// LimitPages makes the disk full once the file has so many pages.
func LimitPages(j *Journal, pages int) { mustExec(j, fmt.Sprintf("PRAGMA max_page_count = %d", pages)) }

// QueryOnly makes the file read-only.
func QueryOnly(j *Journal, on bool) { mustExec(j, fmt.Sprintf("PRAGMA query_only = %v", on)) }

func mustExec(j *Journal, statement string) {
	if _, err := j.db.Exec(statement); err != nil {
		panic(err)
	}
}

// SetClock sets the clock of a journal.
func SetClock(j *Journal, now func() time.Time) { j.now = now }

// HoldWrites keeps everybody from writing until release is called.
func HoldWrites(j *Journal) (release func()) {
	db, err := sql.Open("sqlite", j.path+"?_txlock=immediate")
	if err != nil {
		panic(err)
	}
	tx, err := db.Begin()
	if err != nil {
		panic(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			panic(err)
		}
	}
}
