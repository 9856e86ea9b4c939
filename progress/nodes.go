package progress

import (
	"container/list"
	"fmt"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/steptask/scheduler"
)

// id is what a node is known by.
type id struct {
	group *group // nil: it was told of by Expect and Observe
	key   any
}

// node is what is known of one.
type node struct {
	name     string // its path, as soon as that is known
	note     string
	state    scheduler.State
	began    time.Time
	estimate time.Duration
	place    *list.Element // among the running ones
}

// nodes are all of them. The lock of their Progress guards them.
type nodes struct {
	byID     map[id]*node
	byName   map[string]*node // the running ones
	order    []*node          // as they were expected
	waiting  int              // where the first that waits is in it, or before that
	running  *list.List       // in the order of their start
	failed   []string         // the first few
	counts   [scheduler.StateSkipped + 1]int
	width    int           // of the longest name
	expected time.Duration // the sum of estimates, and of those that have ended
	done     time.Duration
	first    time.Time // of the first transition
	over     bool      // nothing more will happen
}

// namesMax is how many names are listed of what failed or waits, at most.
const namesMax = 20

func (ns *nodes) init() {
	ns.byID, ns.byName = map[id]*node{}, map[string]*node{}
	ns.running = list.New()
}

func (ns *nodes) expect(i id, estimate time.Duration) *node {
	if n := ns.byID[i]; n != nil {
		return n
	}
	n := &node{name: fmt.Sprint(i.key), state: scheduler.StatePending, estimate: max(estimate, 0)}
	ns.expected += n.estimate
	ns.byID[i] = n
	ns.order = append(ns.order, n)
	ns.counts[n.state]++
	ns.width = max(ns.width, runewidth.StringWidth(clean(n.name)))
	return n
}

func (ns *nodes) observe(i id, t scheduler.Record) *node {
	n := ns.expect(i, 0) // it is there, unless nobody told
	if ns.first.IsZero() {
		ns.first = t.Time()
	}
	ns.counts[n.state]--
	n.state = t.To
	ns.counts[n.state]++
	switch {
	case t.To == scheduler.StateRunning:
		n.name, n.began = t.Path(), t.Time()
		n.place = ns.running.PushBack(n)
		ns.byName[n.name] = n
		return n
	case !t.To.Ended():
		return n
	case n.place != nil:
		ns.running.Remove(n.place)
		n.place, n.note = nil, ""
		delete(ns.byName, n.name)
	}
	ns.done += n.estimate
	if isFailure(t.To) && len(ns.failed) < namesMax {
		ns.failed = append(ns.failed, n.name)
	}
	return n
}

func isFailure(s scheduler.State) bool {
	return s == scheduler.StateFailed || s == scheduler.StateTimedOut
}

// firstWaiting returns the names of the first few that wait.
func (ns *nodes) firstWaiting() []string {
	var names []string
	for i := ns.waiting; i < len(ns.order) && len(names) < namesMax; i++ {
		if ns.order[i].state == scheduler.StatePending {
			names = append(names, ns.order[i].name)
		} else if i == ns.waiting {
			ns.waiting++
		}
	}
	return names
}

// ended returns how many have ended.
func (ns *nodes) ended() int {
	left := ns.counts[scheduler.StatePending] + ns.counts[scheduler.StateRunning] + ns.counts[scheduler.StateClosing]
	return len(ns.order) - left
}

// failures returns how many have failed.
func (ns *nodes) failures() int {
	return ns.counts[scheduler.StateFailed] + ns.counts[scheduler.StateTimedOut]
}

// left returns about how long the rest will take, if what is left goes as fast as
// what is done did; 0 if nobody can tell.
func (ns *nodes) left(now time.Time) time.Duration {
	done, all := float64(ns.ended()), float64(len(ns.order))
	if ns.expected > 0 {
		done, all = ns.done.Seconds(), ns.expected.Seconds()
		for e := ns.running.Front(); e != nil; e = e.Next() {
			n := e.Value.(*node)
			done += min(now.Sub(n.began), n.estimate).Seconds()
		}
	}
	if done <= 0 || ns.over {
		return 0
	}
	return time.Duration(float64(now.Sub(ns.first)) * (all - done) / done)
}

// line is what is written by default when a node starts and when it ends; the
// counts tell of those that end without a start.
func (ns *nodes) line(n *node, t scheduler.Record) string {
	what := t.To.String()
	switch {
	case t.To == scheduler.StateRunning:
	case t.To == scheduler.StateClosing:
		return ""
	case t.From != scheduler.StatePending:
		what += fmt.Sprintf(" (%v)", t.Time().Sub(n.began).Round(time.Millisecond))
	case !isFailure(t.To):
		return ""
	}
	if t.Err != nil {
		what += ": " + cleanLines(t.Err.Error())
	}
	return fmt.Sprintf("%7.3fs  %s  %s", t.Time().Sub(ns.first).Seconds(), runewidth.FillRight(clean(n.name), ns.width), what)
}
