package scheduler

import "slices"

// Snapshot says how far a run has come, so that a later one can continue or roll
// back. It can be marshaled to JSON if K can. The nodes of each field are in key
// order.
type Snapshot[K comparable] struct {
	// Completed are the nodes that are done, with the services that were told that
	// nobody needs them any more, also while they still end: a run that continues does
	// not start them again.
	Completed []K `json:"completed"`
	// Started are the nodes that were started and are not done: they may have made
	// something in part.
	Started []K `json:"started"`
	// Passed are the nodes that [GroupOptions.When] let pass: done for a run that
	// continues, with nothing to roll back.
	Passed []K `json:"passed,omitempty"`
	// Ignored are those of Started whose failure was ignored. A run that continues
	// tries them again.
	Ignored []K `json:"ignored,omitempty"`
}

// Snapshot returns how far the group has come.
func (g *DependencyTaskGroup[K]) Snapshot() Snapshot[K] {
	g.must("scheduler: DependencyTaskGroup.Snapshot of nil")
	s := Snapshot[K]{Completed: []K{}, Started: []K{}}
	for p, k := range g.keys() {
		p, n := int32(p), &g.engine.nodes
		done := n.state(p) == StateSucceeded || !n.state(p).Ended() && g.engine.services.isUnneeded(p)
		switch {
		case done && n.has(p, countsAsDone):
			s.Passed = append(s.Passed, k)
		case done:
			s.Completed = append(s.Completed, k)
		case n.has(p, hasStarted):
			s.Started = append(s.Started, k)
			if n.has(p, countsAsDone) {
				s.Ignored = append(s.Ignored, k)
			}
		}
	}
	return s
}

// After returns the snapshot of a run that continued from an earlier one by Resume.
// Nodes that the earlier run had started and this one has not completed count as
// started, and those that it had passed count as passed.
func (s Snapshot[K]) After(earlier Snapshot[K]) Snapshot[K] {
	both := Snapshot[K]{
		Completed: append([]K{}, s.Completed...), Started: append([]K{}, s.Started...),
		Passed: slices.Concat(s.Passed, earlier.Passed), Ignored: slices.Clone(s.Ignored),
	}
	known := setOf(s.Completed, s.Started, both.Passed)
	for _, k := range slices.Concat(earlier.Completed, earlier.Started) {
		if !known[k] {
			both.Started = append(both.Started, k)
			known[k] = true
		}
	}
	passed := setOf(earlier.Passed) // to this run they were completed
	both.Completed = slices.DeleteFunc(both.Completed, func(k K) bool { return passed[k] })
	return both
}

// Resume returns a function for [GroupOptions.Completed] with which a group of the
// same dependencies runs the nodes that are not completed.
func (s Snapshot[K]) Resume() func(K) bool {
	completed := setOf(s.Completed, s.Passed)
	return func(k K) bool { return completed[k] }
}

// RollBack returns a function for [GroupOptions.Completed] with which a reverse group
// of the same dependencies runs the nodes that were started, and no others.
func (s Snapshot[K]) RollBack() func(K) bool {
	started := setOf(s.Completed, s.Started)
	return func(k K) bool { return !started[k] }
}

// setOf returns the keys of some lists.
func setOf[K comparable](lists ...[]K) map[K]bool {
	set := map[K]bool{}
	for _, keys := range lists {
		for _, k := range keys {
			set[k] = true
		}
	}
	return set
}
