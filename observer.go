package scheduler

import "time"

// State is where a node of a group stands.
type State uint8

// A node begins as pending. It ends in one of the five states from
// StateSucceeded on and then stays there.
const (
	// StatePending is that of a node that has not started yet.
	StatePending State = iota + 1
	// StateRunning is that of a node whose task has started and not ended.
	StateRunning
	// StateClosing is that of a node which has to end now, because its time or
	// its grace has passed or the group is being closed, and whose task has
	// not ended yet: it has a call that has not returned.
	StateClosing
	// StateSucceeded is that of a node whose task is complete, or which
	// [GroupOptions.Completed] says is done.
	StateSucceeded
	// StateFailed is that of a node whose task ended with an error.
	StateFailed
	// StateTimedOut is that of a node that failed because its time was over.
	StateTimedOut
	// StateCancelled is that of a node which was not started, was closed, or
	// ended because it was asked to, after the group was stopped.
	StateCancelled
	// StateSkipped is that of a node which was not started because something
	// that it requires failed.
	StateSkipped
)

var stateNames = [...]string{"unknown", "pending", "running", "closing", "succeeded", "failed", "timed out", "cancelled", "skipped"}

// String returns the state in lower case; "unknown" for the zero State.
func (s State) String() string {
	if int(s) >= len(stateNames) {
		return stateNames[0]
	}
	return stateNames[s]
}

// Ended reports whether a node in this state stays in it.
func (s State) Ended() bool { return s >= StateSucceeded }

// Observer is told of every change of state of a group's nodes, those that are
// skipped or cancelled without a start too: what logs, progress displays,
// traces and metrics are made of.
//
// Observe is called on the driving goroutine, in the middle of a round, and
// holds everything up: it must be quick and must not step, throw into or close
// anything. [TaskRunner.Stop], [DependencyTaskGroup.Drain] and
// [DependencyTaskGroup.Snapshot] are allowed. A group without an Observer pays
// nothing for it.
type Observer interface {
	Observe(t Transition)
}

// ObserverFunc is a function as an [Observer].
type ObserverFunc func(t Transition)

// Observe calls f.
func (f ObserverFunc) Observe(t Transition) { f(t) }

// SlowStepObserver is an Observer that is warned when a step takes too long:
// see [GroupOptions.SlowStep].
type SlowStepObserver interface {
	Observer
	ObserveSlowStep(s SlowStep)
}

// SlowStep is a step of a member that held everything else up.
type SlowStep struct {
	Path string // the keys that lead from the outermost group to the node
	Task string // what [TaskDescription] calls its task
	Took time.Duration
}

// Transition is a change of a node's state. What takes time to find out is a
// method; methods must not be called after Observe has returned.
type Transition struct {
	Err      error // with StateFailed, StateTimedOut and, if Close failed, StateCancelled
	group    *engine
	at       int64
	node     int32
	From, To State
}

// Key returns the node's key.
func (t Transition) Key() any { return t.group.key(t.node) }

// Task returns what [TaskDescription] calls the node's task; "" as long as there
// is none: of a node that starts, or was never started.
func (t Transition) Task() string { return t.group.subjectName() }

// Path returns the keys that lead from the outermost group to this node, with
// slashes between them.
func (t Transition) Path() string { return t.group.pathOf(t.node) }

// Group returns the name of the group.
func (t Transition) Group() string { return t.group.String() }

// Round returns the number of the group's round, from 1 on.
func (t Transition) Round() int { return t.group.round }

// Time returns, by the run's clock, when the round began, or the call that stops
// or closes the group.
func (t Transition) Time() time.Time { return time.Unix(0, t.at) }

// Observers returns an Observer that tells each of observers, in that order; nil
// ones are left out. It is a [SlowStepObserver] if one of them is, and warns
// those that are. Of a single one it returns that one, and of none nil, for
// which a group pays nothing.
func Observers(observers ...Observer) Observer {
	var all observerList
	var slow slowStepList
	for _, o := range observers {
		if o == nil {
			continue
		}
		all = append(all, o)
		if s, ok := o.(SlowStepObserver); ok {
			slow.warned = append(slow.warned, s)
		}
	}
	switch {
	case len(all) == 0:
		return nil
	case len(all) == 1:
		return all[0]
	case len(slow.warned) == 0:
		return all
	}
	slow.observerList = all
	return slow
}

type observerList []Observer

func (l observerList) Observe(t Transition) {
	for _, o := range l {
		o.Observe(t)
	}
}

// slowStepList is a list some of which are warned of slow steps.
type slowStepList struct {
	observerList
	warned []SlowStepObserver
}

func (l slowStepList) ObserveSlowStep(s SlowStep) {
	for _, o := range l.warned {
		o.ObserveSlowStep(s)
	}
}
