package scheduler

// State is the state of a node of a group. A node begins as pending, ends in one of
// the five states from [StateSucceeded] on, and then stays there.
type State uint8

// The states of a node.
const (
	// StatePending: the node has not started.
	StatePending State = iota + 1
	// StateRunning: its task has started and not ended.
	StateRunning
	// StateReady: it runs and has called [Ready], so the nodes that require it may start.
	StateReady
	// StateClosing: its time or grace has passed, or the group is being closed, and
	// its task has a call that has not returned.
	StateClosing
	// StateSucceeded: its task is done, or [GroupOptions.Completed] says so.
	StateSucceeded
	// StateFailed: its task ended with an error.
	StateFailed
	// StateTimedOut: it failed because its time limit has passed.
	StateTimedOut
	// StateCancelled: the group was stopped, and the node was not started, was
	// closed, or ended because of the notice.
	StateCancelled
	// StateSkipped: it skipped itself, [GroupOptions.When] skipped it, or something
	// that it requires has failed or was skipped.
	StateSkipped
)

var stateNames = [...]string{"unknown", "pending", "running", "ready", "closing", "succeeded", "failed", "timed out", "cancelled", "skipped"}

// String returns the state in lower case; "unknown" for the zero State.
func (s State) String() string {
	if int(s) >= len(stateNames) {
		return stateNames[0]
	}
	return stateNames[s]
}

// Ended reports whether a node in this state stays in it.
func (s State) Ended() bool { return s >= StateSucceeded }
