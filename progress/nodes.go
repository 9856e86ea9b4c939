package progress

import (
	"container/list"
	"fmt"
	"slices"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/steptask/scheduler"
)

// node is what is known of a node until it has ended.
type node struct {
	name     string // its path
	note     string
	state    scheduler.State
	began    time.Time
	estimate time.Duration
	place    *list.Element // among the running ones
}

// nodes are those of all groups. The lock of their Progress guards them.
type nodes struct {
	groups   *list.List         // those that have not ended, in the order of their begin
	running  *list.List         // in the order of their start
	byPath   map[string][]*node // the running ones; several groups may have the same paths
	failed   []string           // the first few
	counts   [scheduler.StateSkipped + 1]int
	all      int           // how many there are and were
	width    int           // of the longest name
	expected time.Duration // the sum of estimates, and of those that have ended
	done     time.Duration
	first    time.Time // of the first change
	over     bool      // nothing more will happen
}

// namesMax is how many names are listed of what failed or waits, at most.
const namesMax = 20

func (ns *nodes) init() {
	ns.byPath = map[string][]*node{}
	ns.groups, ns.running = list.New(), list.New()
}

// begin adds the nodes of a group.
func (ns *nodes) begin(g *group) {
	g.place = ns.groups.PushBack(g)
	for _, n := range g.nodes {
		if n != nil {
			ns.add(n)
		}
	}
}

// add adds a node that waits.
func (ns *nodes) add(n *node) {
	ns.all++
	ns.counts[n.state]++
	ns.expected += n.estimate
	ns.width = max(ns.width, runewidth.StringWidth(clean(n.name)))
}

// end forgets a group. Nodes that have not ended, as after a drain, do not wait
// any more.
func (ns *nodes) end(g *group) {
	for _, n := range g.nodes {
		if n != nil {
			ns.finish(n, scheduler.StateCancelled)
		}
	}
	g.nodes = nil
	ns.groups.Remove(g.place)
}

// change follows a change of a node.
func (ns *nodes) change(n *node, r scheduler.Record) {
	if ns.first.IsZero() {
		ns.first = r.Time()
	}
	switch {
	case r.To == scheduler.StateRunning:
		ns.set(n, r.To)
		n.began = r.Time()
		n.place = ns.running.PushBack(n)
		ns.byPath[n.name] = append(ns.byPath[n.name], n)
	case r.To.Ended():
		ns.finish(n, r.To)
	default:
		ns.set(n, r.To)
	}
}

func (ns *nodes) set(n *node, s scheduler.State) {
	ns.counts[n.state]--
	n.state = s
	ns.counts[n.state]++
}

// finish ends a node.
func (ns *nodes) finish(n *node, s scheduler.State) {
	ns.set(n, s)
	ns.done += n.estimate
	if isFailure(s) && len(ns.failed) < namesMax {
		ns.failed = append(ns.failed, n.name)
	}
	if n.place == nil {
		return // it never ran
	}
	ns.running.Remove(n.place)
	same := slices.DeleteFunc(ns.byPath[n.name], func(other *node) bool { return other == n })
	if ns.byPath[n.name] = same; len(same) == 0 {
		delete(ns.byPath, n.name)
	}
}

// latest returns the running node with a path, and of several the one that
// started last; nil if there is none.
func (ns *nodes) latest(path string) *node {
	same := ns.byPath[path]
	if len(same) == 0 {
		return nil
	}
	return same[len(same)-1]
}

func isFailure(s scheduler.State) bool {
	return s == scheduler.StateFailed || s == scheduler.StateTimedOut
}

// firstWaiting returns the names of the first few that wait.
func (ns *nodes) firstWaiting() []string {
	var names []string
	for e := ns.groups.Front(); e != nil && len(names) < namesMax; e = e.Next() {
		names = e.Value.(*group).appendWaiting(names)
	}
	return names
}

// ended returns how many have ended.
func (ns *nodes) ended() int {
	left := ns.counts[scheduler.StatePending] + ns.counts[scheduler.StateRunning] +
		ns.counts[scheduler.StateReady] + ns.counts[scheduler.StateClosing]
	return ns.all - left
}

// failures returns how many have failed.
func (ns *nodes) failures() int {
	return ns.counts[scheduler.StateFailed] + ns.counts[scheduler.StateTimedOut]
}

// left returns about how long the rest will take, if what is left goes as fast as
// what is done did; 0 if nobody can tell.
func (ns *nodes) left(now time.Time) time.Duration {
	done, all := float64(ns.ended()), float64(ns.all)
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
		what += ": " + cleanLines(fmt.Sprint(t.Err)) // its Error may panic
	}
	return fmt.Sprintf("%7.3fs  %s  %s", t.Time().Sub(ns.first).Seconds(), runewidth.FillRight(clean(n.name), ns.width), what)
}
