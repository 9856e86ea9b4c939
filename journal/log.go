package journal

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// log is a run that is open: as the file has it, and what is on its way there.
type log struct {
	journal *Journal
	name    string
	id      int64  // 0: not in the file yet
	nonce   string // makes idempotency keys the run's own
	epoch   int64
	lock    *fileLock
	w       *writer

	rollback bool // the run is being rolled back, or was

	mu     sync.Mutex // guards what follows, and the nodes
	nodes  map[string]*node
	graphs map[string]*filedGraph // by path of the group
}

// openLog takes the run for this process and reads it. The file is unchanged until
// begin. The caller closes the log.
func openLog(j *Journal, name string) (*log, error) {
	l := &log{journal: j, name: name, nodes: map[string]*node{}, graphs: map[string]*filedGraph{}}
	err := j.enter(l, false)
	if err != nil {
		return nil, err
	}
	if l.lock, err = acquire(j.lockPath(name)); err != nil {
		j.leave(l)
		if errors.Is(err, errLocked) {
			return nil, &HeldError{Run: name, Owner: j.ownerOf(name)}
		}
		return nil, j.fail(err)
	}
	seq, err := l.read()
	if err != nil {
		return nil, errors.Join(j.fail(err), l.close())
	}
	l.w = newWriter(l, seq)
	return l, nil
}

// lockDigits is the length of what the file of a lock has of its run.
const lockDigits = 16

// lockPath returns the file that is locked while the run is open.
func (j *Journal) lockPath(run string) string {
	sum := sha256.Sum256([]byte(run))
	return filepath.FromSlash(j.path) + "." + hex.EncodeToString(sum[:lockDigits/2]) + ".lock"
}

func (j *Journal) ownerOf(run string) (owner string) {
	if err := j.db.QueryRow(`SELECT owner FROM run WHERE name = ?`, run).Scan(&owner); err != nil {
		return "" // it is about to become known
	}
	return owner
}

// self is what a file calls this process.
func self() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	return fmt.Sprintf("process %d (%s) on %s", os.Getpid(), filepath.Base(os.Args[0]), host)
}

// close lets go of the run. It waits for what was flushed.
func (l *log) close() error {
	if !l.journal.leave(l) {
		return nil
	}
	var err error
	if l.w != nil {
		err = l.w.close()
	}
	return errors.Join(err, l.lock.release())
}

// read reads what was recorded, and returns the number of the last record.
func (l *log) read() (seq int64, err error) {
	err = l.journal.db.QueryRow(`SELECT id, nonce, epoch, rollback FROM run WHERE name = ?`, l.name).
		Scan(&l.id, &l.nonce, &l.epoch, &l.rollback)
	if errors.Is(err, sql.ErrNoRows) {
		l.nonce = rand.Text()
		return 0, nil
	}
	if err == nil {
		err = l.journal.records(l.id, func(r *Record) { l.fold(r); seq = r.Seq })
	}
	return seq, err
}

// records reads the records of a run in order, and looks for damage.
func (j *Journal) records(run int64, each func(*Record)) error {
	rows, err := j.db.Query(`SELECT seq, node, kind, attempt, step, data, sum FROM record WHERE run = ? ORDER BY seq`, run)
	if err != nil {
		return err
	}
	defer rows.Close()
	for seq := int64(1); rows.Next(); seq++ {
		var r Record
		var kind, attempt, sum int64 // what Scan has a short way for
		if err := rows.Scan(&r.Seq, &r.path, &kind, &attempt, &r.Step, &r.Data, &sum); err != nil {
			return fmt.Errorf("%w: record %d: %w", ErrCorrupt, seq, err)
		}
		r.Kind, r.Attempt = Kind(kind), int(attempt)
		if r.Seq != seq || int64(r.sum()) != sum {
			return fmt.Errorf("%w: record %d", ErrCorrupt, seq)
		}
		if r.Kind > KindReady {
			return fmt.Errorf("%w: record %d", ErrNewer, seq)
		}
		each(&r)
	}
	return rows.Err()
}

// fold takes a record of an earlier process into account. A node's steps stay known
// from one attempt to the next.
func (l *log) fold(r *Record) {
	switch r.Kind {
	case KindGroup:
		l.graphs[r.path] = &filedGraph{base: graph(r.Data)}
	case KindAdd:
		if g := l.graphs[r.path]; g != nil {
			g.add(string(r.Data))
		}
	case KindStart:
		l.node(r.path).begin(r.Attempt)
	case KindStep:
		l.node(r.path).remember(r.Step, r.Data)
	case KindEnd:
		n := l.node(r.path)
		n.state, n.result = nodeEnded, r.Data
	case KindReady:
		n := l.node(r.path)
		n.ready, n.result = true, r.Data
	case KindFailure:
		l.node(r.path).ready = false
	case KindFinish: // for readers of the history
	}
}

// node returns the node of that path, which may be new. The caller holds l.mu or
// is the only one yet.
func (l *log) node(path string) *node {
	n := l.nodes[path]
	if n == nil {
		n = &node{log: l, path: path}
		l.nodes[path] = n
	}
	return n
}

// begin makes the run this process's own in the file. Whoever wrote before is
// fenced off.
func (l *log) begin(nodes int, rollback bool) error {
	tx, err := l.journal.db.Begin()
	if err != nil {
		return l.journal.fail(err)
	}
	defer tx.Rollback()
	if err := l.journal.place.check(); err != nil {
		return l.journal.fail(err)
	}
	if l.id == 0 {
		result, err := tx.Exec(`INSERT INTO run(name, nonce, epoch, owner, begun) VALUES (?, ?, 0, '', ?)`,
			l.name, l.nonce, l.journal.now().UnixMilli())
		if err != nil {
			return l.journal.fail(err)
		}
		if l.id, err = result.LastInsertId(); err != nil {
			return l.journal.fail(err)
		}
	} else if err := l.checkEpoch(tx); err != nil {
		return l.journal.fail(err)
	}
	l.epoch++
	_, err = tx.Exec(`UPDATE run SET epoch = ?, owner = ?, nodes = ?, rollback = ?, state = ?, error = '', ended = 0 WHERE id = ?`,
		l.epoch, self(), nodes, rollback, RunUnfinished, l.id)
	if err == nil {
		err = tx.Commit()
	}
	return l.journal.fail(err)
}

// checkEpoch makes sure that nobody else has taken the run over.
func (l *log) checkEpoch(tx *sql.Tx) error {
	var epoch int64
	err := tx.Stmt(l.journal.epochOf).QueryRow(l.id).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) || err == nil && epoch != l.epoch {
		return fmt.Errorf("run %q: %w", l.name, ErrFenced)
	}
	return err
}

// finish says in the list of runs how the run has ended.
func (l *log) finish(tx *sql.Tx, end *Record) error {
	state := RunSucceeded
	if len(end.Data) > 0 {
		state = RunFailed
	}
	_, err := tx.Exec(`UPDATE run SET state = ?, error = ?, ended = ? WHERE id = ?`,
		state, string(end.Data), l.journal.now().UnixMilli(), l.id)
	return err
}
