package inspect

import (
	"slices"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// forecast is what made the run as long as it is, and what may remain of it.
type forecast struct {
	// Remaining is in milliseconds; nil if nothing can be said.
	Remaining *float64 `json:"remaining"`
	Basis     string   `json:"basis,omitempty"`
	// AtLeast is what is known to remain if Remaining is not.
	AtLeast float64 `json:"atLeast,omitempty"`
	// Overdue is how many nodes take longer than they should.
	Overdue int `json:"overdue,omitempty"`
	// Path is the longest path, from its first node on.
	Path []int32 `json:"path"`
}

// What Remaining is made of.
const (
	basisEstimate = "estimates" // GroupOptions.Estimate
	basisMean     = "mean"      // how long the nodes took that have succeeded
)

// cachedForecast is the last one of a run, for all viewers: it takes time in
// proportion to the graph, so it is not made for each change.
type cachedForecast struct {
	mu      sync.Mutex // held while one is made
	made    time.Time
	version uint64
	took    time.Duration
	last    *forecast
	finish  []int64 // room for the next one
}

const (
	forecastEvery = time.Second     // at most, while nodes change
	clockEvery    = 5 * time.Second // a forecast changes also when no node does
	forecastShare = 20              // the pause is at least that many times as long as the making
)

// forecastNow returns a forecast that is not older than it should be. Of a run
// that has ended it never changes.
func (r *run) forecastNow() *forecast {
	c := &r.forecast
	c.mu.Lock()
	defer c.mu.Unlock()
	r.mu.Lock()
	version, hasEnded := r.updates.version, r.status != ""
	r.mu.Unlock()
	age, began := time.Since(c.made), time.Now()
	pause := max(forecastEvery, forecastShare*c.took)
	switch {
	case c.last == nil, version != c.version && (hasEnded || age >= pause), !hasEnded && age >= max(clockEvery, pause),
		hasEnded && c.last.Remaining != nil:
	default:
		return c.last
	}
	c.last, c.version, c.made = r.makeForecast(), version, began
	c.took = time.Since(began)
	if hasEnded {
		c.finish = nil
	}
	return c.last
}

// makeForecast makes one, and holds the run up for no longer than it takes to go
// over some nodes at a time. What changes meanwhile may be in it or not.
func (r *run) makeForecast() *forecast {
	r.mu.Lock()
	g, hasEnded := r.graph, r.status != ""
	now, _ := r.nowLocked()
	w := work{graph: &g, now: now, last: -1, onlyRunning: r.phase != "" && r.phase != noticed, finish: r.forecast.finish[:0]}
	if !hasEnded {
		w.estimate, w.basis = r.estimatesLocked(&g)
	}
	r.mu.Unlock()
	if w.basis == basisMean {
		w.slack = w.estimate(0) // the half of all take longer than the mean
	}
	for from := 0; from < g.len(); from += lookMost {
		r.mu.Lock()
		for i := from; i < min(from+lookMost, g.len()); i++ {
			w.add(i, r)
		}
		r.mu.Unlock()
	}
	r.forecast.finish = w.finish
	f := &forecast{Path: r.pathTo(&g, w.last), Overdue: w.overdue, Basis: w.basis}
	if w.basis == "" {
		return f
	}
	left := w.longest
	if r.limit > 0 {
		left = max(left, w.sum/int64(r.limit))
	}
	if remaining := ms(left); w.overdue > 0 || r.hasClaims && w.pending > 0 {
		f.AtLeast = remaining // when an overdue node ends, or how many can have what they claim, nobody knows
	} else {
		f.Remaining = &remaining
	}
	return f
}

// lookMost is how many nodes are looked at without letting the run go on.
const lookMost = 1000

// estimatesLocked returns how long a node takes, and how that is known.
func (r *run) estimatesLocked(g *graph) (func(node int) int64, string) {
	if g.hasEstimates {
		return g.estimateOf, basisEstimate
	}
	if r.sumOf == 0 {
		return nil, ""
	}
	mean := r.sum / r.sumOf
	return func(int) int64 { return mean }, basisMean
}

// work is what goes over all nodes, in key order.
type work struct {
	graph       *graph
	now         int64
	estimate    func(node int) int64 // nil: nothing is known
	basis       string
	slack       int64   // how much longer than that a node may take before it is overdue
	onlyRunning bool    // what has not started will not start
	finish      []int64 // when each node that has not ended will have, from now on

	longest, sum     int64 // of the paths, of all nodes
	overdue, pending int

	last     int // the node that ended last, or runs for longest; a service was ready last
	lastAt   int64
	lastRuns bool
}

// add looks at the next node. The run's mutex is held.
func (w *work) add(i int, r *run) {
	n := &r.nodes[i]
	started, finish := r.started(n), int64(0)
	if w.estimate != nil && !n.state.Ended() && (n.state != scheduler.StatePending || !w.onlyRunning) {
		left := w.estimate(i)
		switch n.state {
		case scheduler.StatePending:
			w.pending++
		case scheduler.StateRunning, scheduler.StateClosing:
			left -= w.now - started
			if left < -w.slack {
				w.overdue++
			}
			left = max(left, 0)
		default: // it has done what the others wait for
			left = 0
		}
		for _, q := range w.graph.requires(int32(i)) {
			finish = max(finish, w.finish[q])
		}
		finish += left
		w.sum += left
		w.longest = max(w.longest, finish)
	}
	w.finish = append(w.finish, finish)
	if started == 0 {
		return
	}
	switch ended := r.freedAt(n); { // a service then ends because of the others
	case ended == 0 && (!w.lastRuns || started < w.lastAt):
		w.last, w.lastAt, w.lastRuns = i, started, true
	case ended != 0 && !w.lastRuns && (w.last < 0 || ended > w.lastAt):
		w.last, w.lastAt = i, ended
	}
}

// pathTo is the chain of nodes that made the run as long as it is: it leads to
// the last one from each node to the one of those it requires that let it start last.
func (r *run) pathTo(g *graph, last int) []int32 {
	path := []int32{}
	for last >= 0 {
		path = append(path, int32(last))
		next, nextFreed := -1, int64(-1)
		required := g.requires(int32(last))
		for from := 0; from < len(required); from += lookMost {
			r.mu.Lock()
			for _, q := range required[from:min(from+lookMost, len(required))] {
				n := &r.nodes[q]
				if freed := r.freedAt(n); freed > nextFreed && r.started(n) != 0 {
					next, nextFreed = int(q), freed
				}
			}
			r.mu.Unlock()
		}
		last = next
	}
	slices.Reverse(path)
	return path
}
