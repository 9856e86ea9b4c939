package model

import "slices"

type node struct {
	key      int
	requires []*node // in the walked direction
	awaits   []*node // of those the services that were to end when it was added
	state    State
	started  bool
	freed    bool   // done, or its failure is ignored: what requires it may start
	before   bool   // it was done beforehand: it frees once all that it requires does
	wanted   bool   // When said that it starts
	late     bool   // it was added while the group was there
	asked    bool   // what it claims is known
	place    *place // where it waits for that; nil: it claims nothing
	held     *stake // what it has got
	urgency  int    // its own priority, or that of the most urgent node that waits for it
	path     int64

	// While it runs.
	task     Task
	yield    Yield
	byRound  int  // the round in which it is due; 0 is none
	due      bool // it is to be stepped in this round
	told     bool // it had a notice
	halted   bool // and a final one
	deadline deadline
	graceEnd int64 // of a grace that comes after its own limit; 0 is none
	ends     ends
	notes    Notes
	broken   error // of a panic when it was asked to end

	// If it is a service, or was told to end alone.
	service   bool  // it has said Ready
	said      bool  // in its first step, which is not over
	first     bool  // it is in its first step
	released  bool  // it was asked to end
	unneeded  bool  // because nothing needs it any more
	closeLast bool  // a stop has left it no grace
	stopBy    int64 // the end of the grace that it has by a stop, or with OwnGrace how long; 0 is none
	order     *order
	expired   bool     // its own time is over
	timedOut  *Timeout // the one that it has got, if it is in its grace
}

// isMember reports whether a node has started and not ended.
func (n *node) isMember() bool { return isActive(n.state) }

// isWoken reports whether a member is due, in the next round, for its event.
func (n *node) isWoken() bool {
	return n.isMember() && !n.due && n.yield.Ready != nil && n.yield.Ready()
}

func (n *node) isDue(round int, now int64) bool {
	y := n.yield
	return n.byRound != 0 && round >= n.byRound ||
		y.At != 0 && now >= y.At ||
		y.Ready != nil && y.Ready() ||
		n.deadline.passed(now)
}

func (n *node) hasGrace() bool { return isRunning(n.state) && n.deadline.kind > throwTimeout }

// frees reports whether a node is done for those that require it.
func (n *node) frees() bool { return n.freed || n.before && each(n.requires, (*node).frees) }

// isFreedBy reports whether a node is done for n. A service that was asked to end before
// n was added is so when it has ended.
func (n *node) isFreedBy(q *node) bool { return q.frees() && n.needsNoEndOf(q) }

// isOver reports whether those that require a node need not wait for it any more.
func (n *node) isOver() bool {
	return n.state == Ready || n.state > Closing && (!n.before || each(n.requires, (*node).isOver))
}

// isOverFor reports whether n need not wait for a node any more.
func (n *node) isOverFor(q *node) bool { return q.isOver() && n.needsNoEndOf(q) }

func (n *node) needsNoEndOf(q *node) bool { return q.state > Closing || !slices.Contains(n.awaits, q) }

// isLost reports whether a node will never be done.
func (n *node) isLost() bool {
	if n.before {
		return slices.ContainsFunc(n.requires, (*node).isLost)
	}
	hasFailed := n.state == Closing && n.ends.kind == closeTimedOut && !n.ends.ignored
	return hasFailed || n.state >= Failed && !n.freed
}

func each[T any](all []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(all, func(t T) bool { return !ok(t) })
}

// only returns those of which ok says so, and except all but one.
func only[T any](all []T, ok func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(t T) bool { return !ok(t) })
}

func except[T comparable](all []T, one T) []T {
	return only(all, func(t T) bool { return t != one })
}

// deadline is a time and what happens after it. It has passed when the clock
// reads strictly more. Deadlines only come nearer: of two at the same time the
// older one stays.
type deadline struct {
	at   int64
	kind kind
}

type kind int

const (
	none          kind = iota
	throwTimeout       // the task's time is over: a Timeout is thrown in
	closeTimedOut      // it went on after that: it is closed and fails with the Timeout
	closeCancel        // its grace is over: it is closed
)

func (d *deadline) offer(at int64, k kind) {
	if d.kind == none || at < d.at {
		*d = deadline{at, k}
	}
}

func (d *deadline) passed(now int64) bool { return d.kind != none && now > d.at }

// earliest returns the earlier one of two times, of which 0 is none.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
