package inspect

import (
	"container/list"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/steptask/scheduler"
)

// run is a group on the page. It keeps neither the group nor its tasks.
type run struct {
	page       *Page
	family     *family
	parent     *run // the run of the group that this one is inside of, or nil
	parentNode int
	name, path string
	reverse    bool
	limit      int
	hasClaims  bool
	began      int64
	watching   weak.Pointer[watching] // nothing there: the group is gone

	// What the mutex of the page guards.
	id     int
	weight int
	place  *list.Element // among the runs
	serial uint64        // of the last change
	inside map[int][]int // ids of the runs of the groups that nodes run or ran

	mu        sync.Mutex // guards all below; never held for longer than a few microseconds
	told      bool       // the page knows of a change since the last look
	graph     graph
	nodes     []node
	moments   []moment
	updates   updates
	counts    [lastState + 1]int
	phase     string // what is going on; "": nothing special
	cause     *failure
	status    string // how it ended; "": it has not
	err       *failure
	ended     int64
	last      int64 // the latest time that is known of the run's clock
	lastWall  int64 // the time of the system at which the page last heard of the run
	sum       int64 // of how long nodes took that have succeeded, and how many
	sumOf     int64
	slow      []slowStep
	slowCount int
	room      int // bytes that are left for texts of errors
	forecast  cachedForecast
}

// lastState is the highest of the states.
const lastState = scheduler.StateSkipped

// node is where a node stands.
type node struct {
	err     *failure
	more    *more
	version uint64 // of its last change
	moment  int32  // its last one and 1; 0: none
	state   scheduler.State
}

// more is what only some nodes have.
type more struct {
	note    string   // what it last said of itself
	attempt int      // the one it is at
	retried *failure // why it made another attempt
	notice  *failure // why it was asked to end
	until   int64    // the end of its grace; 0: it has none
	trace   string   // the address of its trace

	abandoned *failure // a call of it was left behind
}

// moment is when a node came to a state.
type moment struct {
	at     int64
	before int32 // the node's moment before this one and 1; 0: none
	round  int32
	state  scheduler.State
}

// slowStep is a step that took longer than GroupOptions.SlowStep.
type slowStep struct {
	Path string  `json:"path"`
	Task string  `json:"task"`
	Took float64 `json:"took"`
}

const (
	slowStepsKept = 20
	textKept      = 4 << 20 // bytes, of all errors of a run
)

// newRun takes a group that begins.
func newRun(p *Page, begun scheduler.Record) *run {
	group := begun.Group()
	settings := group.Settings()
	r := &run{
		page: p, name: group.Name(), path: cut(group.Path(), textMax), reverse: settings.Reverse, limit: settings.Limit,
		hasClaims: settings.HasClaims, began: begun.Time().UnixNano(), room: textKept, graph: newGraph(group),
	}
	r.last, r.lastWall = r.began, time.Now().UnixNano()
	r.moments = make([]moment, 0, 2*r.graph.len())
	r.addNodes(group)
	return r
}

// addNodes adds what is kept of the nodes that are in the graph.
func (r *run) addNodes(group scheduler.GroupView) {
	r.nodes = slices.Grow(r.nodes, r.graph.len()-len(r.nodes))
	for i := len(r.nodes); i < r.graph.len(); i++ {
		r.nodes = append(r.nodes, node{state: group.State(i)})
		r.counts[group.State(i)]++
	}
}

// size is how many nodes there are. It is for the driving goroutine, and for the
// beginning.
func (r *run) size() int { return len(r.nodes) }

// update makes a change, and says so to the page unless it knows of one already
// that nobody has looked at.
func (r *run) update(at int64, change func()) {
	r.mu.Lock()
	change()
	r.last = max(r.last, at)
	first := !r.told
	if first {
		r.told, r.lastWall = true, time.Now().UnixNano()
	}
	r.mu.Unlock()
	if first {
		r.page.touch(r)
	}
}

// change follows a node to another state.
func (r *run) change(n int, to scheduler.State, at int64, round int, err *failure) {
	node := &r.nodes[n]
	if to == scheduler.StateSucceeded {
		if began := r.since(node, scheduler.StateRunning); began != 0 {
			r.sum += at - began
			r.sumOf++
		}
	}
	r.counts[node.state]--
	r.counts[to]++
	r.moments = append(r.moments, moment{at: at, before: node.moment, round: int32(round), state: to})
	node.moment, node.state, node.err = int32(len(r.moments)), to, err
	if m := node.more; m != nil && to.Ended() {
		m.until = 0
		if to == scheduler.StateSucceeded {
			m.note, m.attempt, m.retried = "", 0, nil
		}
	}
	r.updates.add(r.nodes, int32(n))
}

// note changes what only some nodes have.
func (r *run) note(n int, change func(*more)) {
	if r.nodes[n].more == nil {
		r.nodes[n].more = &more{}
	}
	change(r.nodes[n].more)
	r.updates.add(r.nodes, int32(n))
}

// since returns when a node came to a state, and 0 if it did not.
func (r *run) since(n *node, s scheduler.State) int64 {
	for i := n.moment; i != 0; i = r.moments[i-1].before {
		if m := &r.moments[i-1]; m.state == s {
			return m.at
		}
	}
	return 0
}

// started and endedAt are times of a node, and 0 if it has not.
func (r *run) started(n *node) int64 { return r.since(n, scheduler.StateRunning) }

func (r *run) endedAt(n *node) int64 {
	if n.moment == 0 || !n.state.Ended() {
		return 0
	}
	return r.moments[n.moment-1].at
}

// readyAt is when a service became ready, also of one that has ended.
func (r *run) readyAt(n *node) int64 { return r.since(n, scheduler.StateReady) }

// freedAt is when a node let those that require it start.
func (r *run) freedAt(n *node) int64 {
	if ready := r.readyAt(n); ready != 0 {
		return ready
	}
	return r.endedAt(n)
}

// addSlow counts a slow step and keeps the latest ones.
func (r *run) addSlow(s slowStep) {
	r.slowCount++
	kept := r.slow
	if len(kept) == slowStepsKept {
		kept = kept[1:]
	}
	r.slow = append(slices.Clip(kept), s) // a copy: others may be reading the old one
}

// finish ends the run; status says how.
func (r *run) finish(at int64, status string, err *failure) {
	r.ended, r.status, r.err, r.phase = max(at, r.last), status, err, ""
	r.updates.compact(r.nodes)
}

// lostStatus is that of a run whose group was dropped between two steps.
const lostStatus = "lost"

// lose ends the run of a group that nobody can step any more.
func (r *run) lose() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status != "" {
		return false
	}
	r.finish(r.last, lostStatus, nil)
	return true
}

// wentWell reports whether the run came to a good end.
func (r *run) wentWell() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status == scheduler.StateSucceeded.String()
}

// nowLocked returns the time of the run's clock, and whether that goes as the
// system's does.
func (r *run) nowLocked() (now int64, live bool) {
	switch wall := time.Now().UnixNano(); {
	case r.status != "":
		return r.ended, false
	case r.last-r.lastWall > clockSlack || r.lastWall-r.last > clockSlack:
		return r.last, false
	default:
		return max(wall, r.last), true
	}
}

// clockSlack is how far a clock that follows the system's may be from it: a
// record has the time at which its round began.
const clockSlack = int64(time.Minute)

// ms is an instant, or a length of time, as JSON has it.
func ms(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
