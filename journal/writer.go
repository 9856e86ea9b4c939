package journal

import (
	"database/sql"
	"strings"
	"sync"

	"github.com/steptask/scheduler"
)

// batch is what was recorded between two flushes. All that wait for one of its
// records wait for one event.
type batch struct {
	records []Record
	wanted  bool            // something waits for it on the driving goroutine
	done    scheduler.Event // set on the driving goroutine
	written chan struct{}   // closed by the writer, for the goroutines of calls
	err     error           // read after done or written
}

// endedBatch is that of records which come too late.
var endedBatch = func() *batch {
	b := &batch{written: make(chan struct{}), err: scheduler.ErrEnded}
	close(b.written)
	b.done.Set()
	return b
}()

// writer writes records on a goroutine of its own. add and flush never wait for
// the disk; what is flushed while a commit is under way goes into the next one, all
// together.
type writer struct {
	log *log

	mu      sync.Mutex
	changed *sync.Cond // flushed, closed
	seq     int64      // of the last record
	open    *batch     // what was recorded since the last flush; nil: nothing
	flushed []*batch
	written []*batch // and not published yet
	err     error    // of the first commit that failed: nothing is written after it
	closed  bool
	begun   bool

	news scheduler.Event // set when publish has something to do that matters now
	gone sync.WaitGroup  // the goroutine

	commits int
}

func newWriter(log *log, seq int64) *writer {
	w := &writer{log: log, seq: seq}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// add takes a record and returns the batch that has it. What a call records that was
// left behind by a run which has ended is not taken: its batch is endedBatch.
func (w *writer) add(r Record) *batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return endedBatch
	}
	if w.open == nil {
		w.open = &batch{written: make(chan struct{})}
	}
	w.seq++
	r.Seq = w.seq
	w.open.records = append(w.open.records, r)
	return w.open
}

// want says that somebody waits for the batch on the driving goroutine.
func (w *writer) want(b *batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-b.written:
		w.news.Set() // the writer did not know
	default:
		b.wanted = true
	}
}

// flush hands over what was added.
func (w *writer) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handOver()
}

// handOver is flush. The caller holds w.mu.
func (w *writer) handOver() {
	if w.open == nil {
		return
	}
	w.flushed = append(w.flushed, w.open)
	w.open = nil
	w.begin()
	w.changed.Signal()
}

// ended reports whether the run has let go of the file.
func (w *writer) ended() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

// begin starts the goroutine, once. The caller holds w.mu.
func (w *writer) begin() {
	if !w.begun {
		w.begun = true
		w.gone.Go(w.loop)
	}
}

// take returns what was committed since it was last called, and the error after
// which nothing is.
//
// It is called on the driving goroutine, which then sets the events of all of them
// between two rounds of the group: so what waits for several batches that were
// committed together goes on in the same round, whenever that was.
func (w *writer) take() ([]*batch, error) {
	w.news.Reset()
	w.mu.Lock()
	defer w.mu.Unlock()
	batches := w.written
	w.written = nil
	return batches, w.err
}

// close flushes, waits for the disk and ends the goroutine.
func (w *writer) close() error {
	w.mu.Lock()
	w.handOver()
	w.closed = true
	w.changed.Signal()
	w.mu.Unlock()
	w.gone.Wait()
	return w.err
}

func (w *writer) loop() {
	for {
		w.mu.Lock()
		for len(w.flushed) == 0 && !w.closed {
			w.changed.Wait()
		}
		batches, err := w.flushed, w.err
		w.flushed = nil
		w.mu.Unlock()
		if len(batches) == 0 {
			return
		}
		if err == nil {
			err = w.commit(batches)
		}
		w.mu.Lock()
		w.err = err
		tell := err != nil
		for _, b := range batches {
			tell = tell || b.wanted
			b.err = err
			close(b.written)
		}
		w.written = append(w.written, batches...)
		w.mu.Unlock()
		if tell {
			w.news.Set()
		}
	}
}

// commit writes batches in one transaction, and waits while another process has
// one under way.
func (w *writer) commit(batches []*batch) error {
	for {
		err := w.tryCommit(batches)
		if err == nil {
			w.commits++
		}
		if !isBusy(err) {
			return w.log.journal.fail(err)
		}
	}
}

func (w *writer) tryCommit(batches []*batch) error {
	tx, err := w.log.journal.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := w.log.journal.place.check(); err != nil {
		return err
	}
	if err := w.log.checkEpoch(tx); err != nil {
		return err
	}
	in := inserter{tx: tx, journal: w.log.journal, run: w.log.id}
	for _, b := range batches {
		for i := range b.records {
			if err := in.add(&b.records[i]); err != nil {
				return err
			}
		}
	}
	if err := in.flush(); err != nil {
		return err
	}
	if r := last(batches); r.Kind == KindFinish {
		if err := w.log.finish(tx, r); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func last(batches []*batch) *Record {
	records := batches[len(batches)-1].records
	return &records[len(records)-1]
}

// rowsMax is how many records one statement inserts. The driver looks for each
// argument from the beginning, so many more take longer again.
const (
	rowsMax = 16
	columns = 8
)

// inserter inserts records many at a time, which takes two thirds of the time.
type inserter struct {
	tx      *sql.Tx
	journal *Journal
	run     int64
	args    []any
}

func (in *inserter) add(r *Record) error {
	data := r.Data
	if data == nil {
		data = []byte{}
	}
	in.args = append(in.args, in.run, r.Seq, r.path, int(r.Kind), r.Attempt, r.Step, data, int64(r.sum()))
	if len(in.args) < rowsMax*columns {
		return nil
	}
	_, err := in.tx.Stmt(in.journal.insert).Exec(in.args...)
	in.args = in.args[:0]
	return err
}

func (in *inserter) flush() error {
	one := in.tx.Stmt(in.journal.one)
	for ; len(in.args) > 0; in.args = in.args[columns:] {
		if _, err := one.Exec(in.args[:columns]...); err != nil {
			return err
		}
	}
	return nil
}

func insertSQL(rows int) string {
	return `INSERT INTO record(run, seq, node, kind, attempt, step, data, sum) VALUES ` +
		strings.TrimSuffix(strings.Repeat("(?,?,?,?,?,?,?,?),", rows), ",")
}
