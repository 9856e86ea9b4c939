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
	s := Snapshot[K]{Completed: []K{}, Started: []K{}}
	for p, k := range g.plan.keys {
		switch n := &g.engine.nodes; {
		case n.state(int32(p)) == StateSucceeded:
			s.Completed = append(s.Completed, k)
		case n.has(int32(p), hasStarted):
			s.Started = append(s.Started, k)
		}
	}
	return s
}

// After returns the snapshot of a run that went on from an earlier one: what
// that had started, and this one has not completed, counts as started.
func (s Snapshot[K]) After(earlier Snapshot[K]) Snapshot[K] {
	known := s.set(true)
	started := append([]K{}, s.Started...)
	for _, k := range slices.Concat(earlier.Completed, earlier.Started) {
		if !known[k] {
			started = append(started, k)
			known[k] = true
		}
	}
	return Snapshot[K]{Completed: append([]K{}, s.Completed...), Started: started}
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
