package timeline

import (
	"slices"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// Span is the time for which a node ran, from its start to its end.
type Span struct {
	Group string // the name of its group
	Path  string // the keys that lead from the outermost group to the node
	Key   any
	Task  string          // its task, from scheduler.TaskDescription
	State scheduler.State // how it ended; StateRunning, or StateReady for a service, if it has not
	Err   error           // what it failed with
	Start time.Time
	End   time.Time       // if it has not ended: the time of the latest change of any node
	Notes scheduler.Notes // the notes it had set by its end

	// ReadySince is when it said scheduler.Ready, so that those that require it could
	// start; zero if it has not.
	ReadySince time.Time

	// Set by a Report.
	Ready time.Time // when everything that it requires was done; zero if not known
	Chain bool      // it is in the Report's Chain
}

// Took returns how long the node ran.
func (s Span) Took() time.Duration { return s.End.Sub(s.Start) }

// freed is when those that require it could start, if it succeeded.
func (s Span) freed() time.Time {
	if s.isService() {
		return s.ReadySince
	}
	return s.End
}

func (s Span) isService() bool { return !s.ReadySince.IsZero() }

// Recorder is a scheduler.Observer that records when each node ran, for any number of
// groups. Nodes that never start, or were completed beforehand, have no Span. The
// zero Recorder is empty and ready for use; it is safe for concurrent use. It grows
// with the number of nodes that start; [Recorder.Reset] empties it. A nil *Recorder
// records nothing.
type Recorder struct {
	mu     sync.Mutex
	spans  []Span
	last   time.Time
	resets int
}

var (
	_ scheduler.GroupObserver     = (*Recorder)(nil)
	_ scheduler.SelectiveObserver = (*group)(nil)
)

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder { return &Recorder{} }

// Observe does nothing: the group reports to the Observer that ObserveGroup returns.
func (r *Recorder) Observe(scheduler.Record) {}

// ObserveGroup begins to record a group. Groups call it.
func (r *Recorder) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if r == nil {
		return nil
	}
	view := begun.Group()
	return &group{recorder: r, name: view.Name(), open: make([]int32, view.Len())}
}

// group records one group.
type group struct {
	recorder *Recorder
	name     string
	open     []int32 // by node: the place of its span and 1, if it has not ended; 0: there is none
	resets   int     // those of the recorder since which open counts
}

// ObserveGroup begins to record a group inside this one.
func (g *group) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	return g.recorder.ObserveGroup(begun)
}

// Wants returns the set of changes of nodes.
func (g *group) Wants() scheduler.Kinds { return scheduler.KindsOf(scheduler.NodeChanged) }

// Observe keeps the time at which a node starts, is ready or ends.
func (g *group) Observe(t scheduler.Record) {
	n := t.Node()
	for n >= len(g.open) { // it was added
		g.open = append(g.open, 0)
	}
	var s Span // what asks the node is asked without the lock
	switch {
	case t.To == scheduler.StateRunning:
		s = Span{Group: g.name, Path: t.Path(), Key: t.Key(), State: t.To, Start: t.Time()}
	case t.To.Ended() && g.open[n] != 0:
		s = Span{Task: t.Task(), State: t.To, Err: t.Err, Notes: t.Notes(), End: t.Time()}
	}
	r := g.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = t.Time()
	if g.resets != r.resets {
		g.resets = r.resets
		clear(g.open)
	}
	switch {
	case t.To == scheduler.StateRunning:
		r.spans = append(r.spans, s)
		g.open[n] = int32(len(r.spans))
	case t.To == scheduler.StateReady && g.open[n] != 0:
		open := &r.spans[g.open[n]-1]
		open.State, open.ReadySince = t.To, r.last
	case t.To.Ended() && g.open[n] != 0:
		open := &r.spans[g.open[n]-1]
		open.Task, open.State, open.Err, open.Notes, open.End = s.Task, s.State, s.Err, s.Notes, s.End
		g.open[n] = 0
	}
}

// Spans returns the spans recorded so far, in the order in which the nodes started.
func (r *Recorder) Spans() []Span {
	if r == nil {
		return nil
	}
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

// Reset removes all spans. Nodes that are running now will not be recorded.
func (r *Recorder) Reset() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = nil
	r.resets++
}
