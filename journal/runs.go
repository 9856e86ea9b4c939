package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// RunState is the state of a run, or of its roll-back.
type RunState uint8

const (
	// RunUnfinished is a run that is in progress, or whose process has died.
	RunUnfinished RunState = iota + 1
	// RunFailed is a run that has ended with an error. It can be resumed.
	RunFailed
	// RunSucceeded is a run whose nodes are all done.
	RunSucceeded
)

var runStateNames = [...]string{"unknown", "unfinished", "failed", "succeeded"}

// String returns the state in lower case; "unknown" for the zero RunState.
func (s RunState) String() string {
	if int(s) >= len(runStateNames) {
		return runStateNames[0]
	}
	return runStateNames[s]
}

// RunInfo describes a run.
type RunInfo struct {
	Name     string
	State    RunState // of the roll-back, if there is one
	Rollback bool     // a roll-back was begun
	Open     bool     // a process has it open
	Owner    string   // the process that has it open, or had it last
	Nodes    int      // of the run's graph
	Begun    time.Time
	Ended    time.Time // zero if it has not ended
	Err      string    // the error's text, with RunFailed
}

// Runs lists all runs, open or not, in the order in which they were created. It
// changes nothing, and ends after an error.
func (j *Journal) Runs(ctx context.Context) iter.Seq2[RunInfo, error] {
	return func(yield func(RunInfo, error) bool) {
		if err := j.check(ctx); err != nil {
			yield(RunInfo{}, err)
			return
		}
		// Read to the end first: the connection is the one that runs write with.
		runs, err := j.runs(ctx)
		for _, run := range runs {
			if !yield(run, nil) {
				return
			}
		}
		if err != nil {
			yield(RunInfo{}, j.fail(err))
		}
	}
}

// runs returns all runs.
func (j *Journal) runs(ctx context.Context) ([]RunInfo, error) {
	rows, err := j.db.QueryContext(ctx, `SELECT name, state, rollback, owner, nodes, begun, ended, error FROM run ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var runs []RunInfo
	for rows.Next() {
		var r RunInfo
		var begun, ended int64
		if err := rows.Scan(&r.Name, &r.State, &r.Rollback, &r.Owner, &r.Nodes, &begun, &ended, &r.Err); err != nil {
			return runs, err
		}
		r.Begun = time.UnixMilli(begun)
		if ended != 0 {
			r.Ended = time.UnixMilli(ended)
		}
		if r.Open, err = isLocked(j.lockPath(r.Name)); err != nil {
			return runs, err
		}
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

// Records lists the records of a run in order. It changes nothing. If there is no run
// of that name, it yields [ErrNoRun].
func (j *Journal) Records(ctx context.Context, run string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := j.check(ctx); err != nil {
			yield(Record{}, err)
			return
		}
		var id int64
		err := j.db.QueryRowContext(ctx, `SELECT id FROM run WHERE name = ?`, run).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			yield(Record{}, fmt.Errorf("%w: %q", ErrNoRun, run))
			return
		}
		var records []Record
		if err == nil {
			err = j.records(id, func(r *Record) { records = append(records, r.public()) })
		}
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(Record{}, j.fail(err))
		}
	}
}

// public fills in what is made of the path.
func (r Record) public() Record {
	r.Node = shown(r.path)
	r.Rollback = r.path == rollbackPath || strings.HasPrefix(r.path, rollbackPath+"/")
	return r
}

// Delete removes a run and its records. It returns [ErrHeld] if the run is open, and
// [ErrNoRun] if there is none of that name. The file does not shrink; later records
// use the space.
func (j *Journal) Delete(ctx context.Context, run string) error {
	if err := j.check(ctx); err != nil {
		return err
	}
	lock, err := acquire(j.lockPath(run))
	if errors.Is(err, errLocked) {
		return &HeldError{Run: run, Owner: j.ownerOf(run)}
	}
	if err != nil {
		return j.fail(err)
	}
	return errors.Join(j.delete(ctx, run), lock.release())
}

func (j *Journal) delete(ctx context.Context, run string) error {
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return j.fail(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `DELETE FROM record WHERE run = (SELECT id FROM run WHERE name = ?)`, run); err != nil {
		return j.fail(err)
	}
	result, err := tx.ExecContext(ctx, `DELETE FROM run WHERE name = ?`, run)
	if err != nil {
		return j.fail(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("%w: %q", ErrNoRun, run))
	}
	return j.fail(tx.Commit())
}

// Prune deletes runs that succeeded, or were rolled back completely, more than age
// ago, and returns their number. It keeps runs that are open, and those whose end
// lies in the future, as after the clock was set back.
func (j *Journal) Prune(ctx context.Context, age time.Duration) (int, error) {
	if err := j.check(ctx); err != nil {
		return 0, err
	}
	runs, err := j.runs(ctx)
	if err != nil {
		return 0, j.fail(err)
	}
	pruned := 0
	for _, run := range runs {
		if run.State != RunSucceeded || run.Open || j.now().Sub(run.Ended) <= max(age, 0) {
			continue
		}
		switch err := j.Delete(ctx, run.Name); {
		case err == nil:
			pruned++
		case !errors.Is(err, ErrHeld) && !errors.Is(err, ErrNoRun): // somebody was faster
			return pruned, err
		}
	}
	return pruned, nil
}
