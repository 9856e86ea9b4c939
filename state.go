package scheduler

// State is where a node of a group stands.
type State uint8

// A node begins as pending. It ends in one of the five states from
// StateSucceeded on and then stays there.
const (
	// StatePending is that of a node that has not started yet.
	StatePending State = iota + 1
	// StateRunning is that of a node whose task has started and not ended.
	StateRunning
	// StateReady is that of a running node that has said [Ready]: those that
	// require it may start, and it continues as the service that they need.
	StateReady
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
