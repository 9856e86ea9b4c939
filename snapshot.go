package scheduler

import "slices"

// Snapshot is what a run has come to, for a later one to go on from or to roll
// back: it can be stored, as JSON for one, if K can.
type Snapshot[K comparable] struct {
	// Completed are the nodes that are done, in key order.
	Completed []K `json:"completed"`
	// Started are the nodes that were started and are not done, in key order:
	// what they were to make may be there in part.
	Started []K `json:"started"`
}

// Snapshot returns what the group has come to. It may be called at any time on
// the driving goroutine, by an Observer as well, so that each change can be
// stored.
func (g *DependencyTaskGroup[K]) Snapshot() Snapshot[K] {
	var s Snapshot[K]
	for p, state := range g.engine.state {
		switch {
		case state&onlyState == StateSucceeded:
			s.Completed = append(s.Completed, g.plan.keys[p])
		case state&hasStarted != 0:
			s.Started = append(s.Started, g.plan.keys[p])
		}
	}
	return s
}

// After returns the snapshot of a run that went on from an earlier one: what
// that had started, and this one has not completed, counts as started.
func (s Snapshot[K]) After(earlier Snapshot[K]) Snapshot[K] {
	known := s.set(true)
	for _, k := range slices.Concat(earlier.Completed, earlier.Started) {
		if !known[k] {
			s.Started = append(slices.Clip(s.Started), k)
			known[k] = true
		}
	}
	return s
}

// Resume returns a function for [GroupOptions.Completed] by which a group of
// the same dependencies runs exactly the rest: all that is not completed, in the
// order that it would have had.
func (s Snapshot[K]) Resume() func(K) bool {
	completed := s.set(false)
	return func(k K) bool { return completed[k] }
}

// RollBack returns a function for [GroupOptions.Completed] by which a reverse
// group of the same dependencies undoes what was started, in part or wholly, and
// leaves out what never was.
func (s Snapshot[K]) RollBack() func(K) bool {
	started := s.set(true)
	return func(k K) bool { return !started[k] }
}

// set returns the completed nodes, and perhaps the started ones.
func (s Snapshot[K]) set(withStarted bool) map[K]bool {
	set := make(map[K]bool, len(s.Completed)+len(s.Started))
	for _, k := range s.Completed {
		set[k] = true
	}
	if withStarted {
		for _, k := range s.Started {
			set[k] = true
		}
	}
	return set
}
