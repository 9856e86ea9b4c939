package scheduler

import (
	"context"
	"time"
)

// Kind is what a [Record] reports.
type Kind uint8

// The kinds of records.
const (
	// GroupBegun is the first record of a group, before its first round. The nodes
	// that Completed names have succeeded already; each is reported with NodeChanged
	// next.
	GroupBegun Kind = iota + 1

	// GroupNoticed: the group passes the notice Err on and keeps starting nodes.
	GroupNoticed

	// GroupStopping comes once, before pending nodes are cancelled: the group starts
	// nothing more because of Err.
	GroupStopping

	// GroupDraining: the group starts nothing more and lets running nodes finish.
	GroupDraining

	// GroupClosing comes once: the group is being closed from outside.
	GroupClosing

	// GroupEnded is the last record of a group, exactly once, however it ends. Err is
	// its result, after a panic [ErrAborted]; Took is the time since GroupBegun.
	GroupEnded

	// NodeChanged: a node went From one state To another. Err is its error, if one
	// came with it, but not that of the node that caused a skip.
	NodeChanged

	// NodeStopping: a running node was given the notice Err. Took is its grace; zero
	// means none of its own.
	NodeStopping

	// NodeStillClosing: a node has been in StateClosing for Took, because of Err if
	// it has failed: after one second, two more, four more, and so on, by the
	// system's clock.
	NodeStillClosing

	// NodeAbandoned: a call of a node was left behind. Err is its [*AbandonedError].
	NodeAbandoned

	// NodeNoted: a node has a new [Note]; see [Record.Notes].
	NodeNoted

	// NodeRetrying: an attempt of a [Retry] has failed with Err, and another one
	// follows. [Record.Notes] has its number.
	NodeRetrying

	// NodeAdded: a node was added after the group had begun. If it counts as done, or
	// is skipped at once, NodeChanged is next.
	NodeAdded

	// SlowStep: a step Took longer than [GroupOptions.SlowStep].
	SlowStep

	// NodeStepped: a step of a node has been made and Took this long. Like RoundBegun
	// it is only for a [SelectiveObserver] that wants it.
	NodeStepped

	// RoundBegun: a round that was due at a time came Took later.
	RoundBegun
)

var kindNames = [...]string{
	"unknown", "group begun", "group noticed", "group stopping", "group draining", "group closing", "group ended",
	"node changed", "node stopping", "node still closing", "node abandoned", "node noted", "node retrying",
	"node added", "slow step", "node stepped", "round begun",
}

// String returns the kind in lower case, such as "node changed".
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return kindNames[0]
	}
	return kindNames[k]
}

// Kinds is a set of kinds.
type Kinds uint32

// AllKinds has all kinds but [NodeStepped] and [RoundBegun], which cost something in
// every round.
const AllKinds = Kinds(1<<NodeStepped - 2)

// KindsOf returns the set of the given kinds.
func KindsOf(kinds ...Kind) Kinds {
	var s Kinds
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has reports whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// Record reports something that happened in a group. Its [Kind] says which of the
// fields and methods have something to say. A Record is a small value that may be
// kept, but its methods must be called before Observe returns, on that goroutine.
type Record struct {
	// A call passes these in registers. A further one would move all of them to
	// the stack, which costs more than all the rest of telling an Observer.
	Err      error
	group    *engine
	at       int64
	node     int32
	Kind     Kind
	From, To State
}

// Group returns the group in which it happened.
func (r Record) Group() GroupView { return GroupView{r.group} }

// Node returns the node's place in key order, from 0 on, or -1 for a record about the
// group itself.
func (r Record) Node() int { return int(r.node) }

// Key returns the node's key, or nil for a record about the group itself.
func (r Record) Key() any {
	if r.node == noNode {
		return nil
	}
	return r.in("Key").key(r.node)
}

// Path returns the path of the node; for a record about the group itself that of the
// node that runs the group, or "".
func (r Record) Path() string {
	if r.node == noNode {
		return r.Group().Path()
	}
	return r.in("Path").pathOf(r.node)
}

// Task returns what [TaskDescription] calls the node's task, or "" if it has none yet.
func (r Record) Task() string { return r.in("Task").watchers.subjectName() }

// Notes returns what the node has said about itself.
func (r Record) Notes() Notes {
	if r.node == noNode {
		return Notes{}
	}
	return r.in("Notes").notesOf(r.node)
}

// Took returns how long it took, as the kind says.
func (r Record) Took() time.Duration { return r.in("Took").watchers.subjectTook() }

// Round returns the number of the group's round; 0 is before the first.
func (r Record) Round() int { return r.in("Round").round }

// Time returns, by the run's clock, when the round began, or the call that stops or
// closes the group.
func (r Record) Time() time.Time { return time.Unix(0, r.at) }

// Now reads the run's clock. While a panic ends the group, it returns Time: the clock
// may be what panicked.
func (r Record) Now() time.Time {
	if r.in("Now").aborted {
		return r.Time()
	}
	return time.Unix(0, instantOf(r.in("Now").clock))
}

// Context returns the context of the group's current or last step. It has the values
// that the node around the group gave to its steps, such as trace identities.
func (r Record) Context() context.Context { return r.in("Context").scope.given() }
