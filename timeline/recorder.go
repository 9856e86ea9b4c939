package timeline

import (
	"slices"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// Span is the time that a node ran, from its start to its end.
type Span struct {
	Group string // the name of its group
	Path  string // the keys that lead from the outermost group to the node
	Key   any
	Task  string          // what scheduler.TaskDescription calls its task
	State scheduler.State // how it ended; StateRunning if it has not
	Err   error           // with what it failed
	Start time.Time
	End   time.Time       // of a node that has not ended: when the recorder last heard of any
	Notes scheduler.Notes // what it had said about itself by its end

	// What a Report finds out.
	Ready time.Time // when all that it requires was done; zero: not known
	Chain bool      // it is on the chain that made the run as long as it was
}

// Took returns how long the node ran.
func (s Span) Took() time.Duration { return s.End.Sub(s.Start) }

// Recorder is a [scheduler.Observer], of one group or of many at once, that
// keeps when each node ran. Nodes that never start leave nothing in it. The zero
// Recorder is empty and ready for use; it is safe for concurrent use. It grows
// with the number of nodes started: [Recorder.Reset] makes it empty again.
//
// Nodes that count as completed beforehand did not run and leave nothing.
type Recorder struct {
	mu    sync.Mutex
	spans []Span
	open  map[node]int // the spans of nodes that run
	last  time.Time
}

type node struct {
	group scheduler.GroupView
	node  int
}

var _ scheduler.SelectiveObserver = (*Recorder)(nil)

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder { return &Recorder{} }

// Wants returns the set of [scheduler.NodeChanged].
func (r *Recorder) Wants() scheduler.Kinds { return scheduler.KindsOf(scheduler.NodeChanged) }

// Observe keeps the time at which a node starts or ends.
func (r *Recorder) Observe(t scheduler.Record) {
	n := node{t.Group(), t.Node()}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = t.Time()
	if t.To == scheduler.StateRunning {
		if r.open == nil {
			r.open = map[node]int{}
		}
		r.open[n] = len(r.spans)
		r.spans = append(r.spans, Span{
			Group: t.Group().Name(), Path: t.Path(), Key: t.Key(),
			State: t.To, Start: t.Time(),
		})
		return
	}
	i, ok := r.open[n]
	if !ok || !t.To.Ended() {
		return
	}
	delete(r.open, n)
	s := &r.spans[i]
	s.Task, s.State, s.Err, s.End, s.Notes = t.Task(), t.To, t.Err, t.Time(), t.Notes()
}

// Spans returns what was recorded so far, in the order in which the nodes
// started.
func (r *Recorder) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	spans := slices.Clone(r.spans)
	for i := range spans {
		if spans[i].End.IsZero() {
			spans[i].End = r.last
		}
	}
	return spans
}

// Reset forgets everything; nodes that are running then leave nothing.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans, r.open = nil, nil
}
