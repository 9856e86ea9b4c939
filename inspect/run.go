package inspect

import (
	"context"
	"slices"
	"time"

	"github.com/steptask/scheduler"
)

// run is a group on the page. Fields after the page are guarded by its mutex.
type run struct {
	graph   *graph // does not change
	name    string
	reverse bool
	parent  *run // the run of the group that this one is inside of, or nil
	page    *Page

	id       int
	path     string // of the node that the group is inside of
	began    int64
	ended    int64
	last     int64 // the latest time that is known of the run's clock
	lastWall int64 // the time at which it was known
	serial   uint64
	status   string // how it ended; "": it has not
	err      *failure
	counts   [scheduler.StateSkipped + 1]int
	// A node changes its state at most three times, so the log of all changes
	// is bounded. It only grows: who has copied the slice can read it without
	// the mutex.
	log       []change
	slow      []slowStep
	slowCount int
	textLeft  int       // bytes that are left for texts of errors
	explain   explainer // nil after the end
}

// change is a change of a node's state.
type change struct {
	at    int64
	err   *failure
	node  int32
	round int32
	state scheduler.State
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

// record adds a change of a node's state.
func (r *run) record(c change, from scheduler.State) {
	r.page.mu.Lock()
	defer r.page.mu.Unlock()
	r.counts[from]--
	r.counts[c.state]++
	r.log = append(r.log, c)
	r.page.touch(r, c.at)
}

// recordSlow counts a slow step and keeps the latest ones.
func (r *run) recordSlow(s slowStep) {
	r.page.mu.Lock()
	defer r.page.mu.Unlock()
	r.slowCount++
	kept := r.slow
	if len(kept) == slowStepsKept {
		kept = kept[1:]
	}
	r.slow = append(slices.Clip(kept), s) // a copy: others may be reading the old one
	r.page.touch(r, r.last)
}

// now returns the time of the run's clock, and whether that goes as the
// system's does. The page's mutex is held.
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
// transition has the time at which its round began.
const clockSlack = int64(time.Minute)

// setPath says which node the group is inside of.
func (r *run) setPath(path string) {
	r.page.mu.Lock()
	defer r.page.mu.Unlock()
	r.path = path
}

// explainer asks a group about a node; false: it could not be asked.
type explainer func(ctx context.Context, node int32) (explanation, bool)
