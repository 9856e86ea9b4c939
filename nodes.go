package scheduler

import (
	"math"
	"slices"
)

// nodes is where the nodes of a group stand. They are known by position, which
// is their place in key order. What belongs to a node is small and holds no
// pointers, so that the collector never looks at it.
type nodes struct {
	states []State // with nodeFlags
	// Before a node starts: how many of those that it requires are not done.
	// From its start on: its slot, or noSlot.
	cells  []int32
	since  []int32       // the round of the last change, or sinceLate
	late   map[int32]int // that round, where since has no room for it
	counts [StateSkipped + 1]int
}

// nodeFlags are kept in the state of a node, above the State itself.
type nodeFlags = State

const (
	hasStarted   nodeFlags = 1 << (7 - iota)
	wasStopped             // it was running when the group was stopped
	wasCutOff              // it was closed
	countsAsDone           // When let it pass, or its failure was ignored

	onlyState = countsAsDone - 1
)

const (
	noNode    = int32(-1)
	noSlot    = int32(-1)
	sinceLate = int32(-1)
)

// init makes all nodes pending. waits says how many others each one requires.
func (n *nodes) init(waits []int32) {
	n.states = slices.Repeat([]State{StatePending}, len(waits))
	table := make([]int32, 2*len(waits)) // in one piece: a small group is mostly its making
	n.cells, n.since = table[:len(waits):len(waits)], table[len(waits):]
	copy(n.cells, waits)
	n.counts[StatePending] = len(waits)
}

func (n *nodes) len() int { return len(n.states) }

// append adds a pending node that waits for nothing, and returns its position.
func (n *nodes) append(round int) int32 {
	p := int32(len(n.states))
	n.states = append(n.states, StatePending)
	n.cells = append(n.cells, 0)
	n.since = append(n.since, 0)
	n.changedIn(p, round)
	n.counts[StatePending]++
	return p
}

// wait makes a pending node wait for one more.
func (n *nodes) wait(p int32) { n.cells[p]++ }

// state returns where a node stands.
func (n *nodes) state(p int32) State { return n.states[p] & onlyState }

// has reports whether a node has a flag, and add gives it one.
func (n *nodes) has(p int32, flag nodeFlags) bool { return n.states[p]&flag != 0 }
func (n *nodes) add(p int32, flag nodeFlags)      { n.states[p] |= flag }

// count returns how many nodes are in a state.
func (n *nodes) count(s State) int {
	if int(s) >= len(n.counts) {
		return 0
	}
	return n.counts[s]
}

// active returns how many nodes have started and not ended,
// without services that are ready.
func (n *nodes) active() int { return n.counts[StateRunning] + n.counts[StateClosing] }

// members returns how many nodes have started and not ended.
func (n *nodes) members() int { return n.active() + n.counts[StateReady] }

// change puts a node into a state and returns the one before.
func (n *nodes) change(p int32, to State, round int) (from State) {
	state := n.states[p]
	from = state & onlyState
	n.states[p] = to | state&^onlyState
	n.changedIn(p, round)
	n.counts[from]--
	n.counts[to]++
	return from
}

func (n *nodes) changedIn(p int32, round int) {
	if round <= math.MaxInt32 {
		n.since[p] = int32(round)
		return
	}
	if n.late == nil {
		n.late = map[int32]int{}
	}
	n.since[p], n.late[p] = sinceLate, round
}

// sinceRound returns the round of a node's last change; 0 is before the first.
func (n *nodes) sinceRound(p int32) int {
	if n.since[p] == sinceLate {
		return n.late[p]
	}
	return int(n.since[p])
}

// start makes a pending node a running one without a slot.
func (n *nodes) start(p int32, round int) {
	n.add(p, hasStarted)
	n.cells[p] = noSlot
	n.change(p, StateRunning, round)
}

// requirementDone counts one of those that a node requires as done, and reports
// whether it was the last one.
func (n *nodes) requirementDone(p int32) bool {
	n.cells[p]--
	return n.cells[p] == 0
}

// isFreeing reports whether a node counts as done for those that require it: it
// is ready or has ended, and if [GroupOptions.Completed] named it, so has all that it
// requires itself.
func (n *nodes) isFreeing(p int32) bool {
	s := n.state(p)
	return s == StateReady || s.Ended() && n.cells[p] <= 0
}

// isDone reports whether a node is done or ready, or counts as that, for those that
// require it.
func (n *nodes) isDone(p int32) bool {
	s := n.state(p)
	return s == StateSucceeded || s == StateReady || n.has(p, countsAsDone)
}

// isReady reports whether a pending node waits for no other.
func (n *nodes) isReady(p int32) bool { return n.states[p] == StatePending && n.cells[p] == 0 }

// words returns how many words are needed for a bit of each node, and readyIn which nodes
// of a word are ready in that sense.
func (n *nodes) words() int { return (n.len() + 63) / 64 }

func (n *nodes) readyIn(w int) (ready uint64) {
	from, to := 64*w, min(64*w+64, n.len())
	states := n.states[from:to]
	for i, waits := range n.cells[from:to] {
		if waits == 0 && states[i] == StatePending {
			ready |= 1 << i
		}
	}
	return ready
}

// slot returns the slot of a node that has started, or noSlot.
func (n *nodes) slot(p int32) int32 { return n.cells[p] }

func (n *nodes) setSlot(p, slot int32) { n.cells[p] = slot }
