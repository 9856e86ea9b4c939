package scheduler

import (
	"fmt"
	"iter"
)

// This file is about what a group tells of itself.

// Len returns the number of nodes.
func (g *DependencyTaskGroup[K]) Len() int { return g.engine.nodes.len() }

// State returns where a node stands; 0 for a key that is not in the group.
func (g *DependencyTaskGroup[K]) State(k K) State {
	p, ok := g.plan.find(k)
	if !ok {
		return 0
	}
	return g.engine.nodes.state(p)
}

// Started reports whether a node was started, whatever became of it since. A
// node that counted as done beforehand was not; nor was a key that is not in
// the group.
func (g *DependencyTaskGroup[K]) Started(k K) bool {
	p, ok := g.plan.find(k)
	return ok && g.engine.nodes.has(p, hasStarted)
}

// Count returns how many nodes are in a state.
func (g *DependencyTaskGroup[K]) Count(s State) int { return g.engine.nodes.count(s) }

// All returns the nodes with their states, in key order.
func (g *DependencyTaskGroup[K]) All() iter.Seq2[K, State] {
	return func(yield func(K, State) bool) {
		for p, k := range g.plan.keys {
			if !yield(k, g.engine.nodes.state(int32(p))) {
				return
			}
		}
	}
}

// Running returns the running nodes, in key order.
func (g *DependencyTaskGroup[K]) Running() iter.Seq[K] {
	return func(yield func(K) bool) {
		for k, state := range g.All() {
			if state == StateRunning && !yield(k) {
				return
			}
		}
	}
}

// WaitsFor returns the nodes that a pending node is waiting for, in key order:
// those that it requires, in the walked direction, and that are not done. For
// any other node, and a key that is not in the group, there are none. A node
// that [GroupOptions.Completed] named is waited for until all that it requires
// itself is done.
func (g *DependencyTaskGroup[K]) WaitsFor(k K) iter.Seq[K] {
	return func(yield func(K) bool) {
		p, ok := g.plan.find(k)
		if !ok {
			return
		}
		for q := range g.engine.waitsFor(p) {
			if !yield(g.plan.keys[q]) {
				return
			}
		}
	}
}

// waitsFor returns what a pending node waits for.
func (g *engine) waitsFor(p int32) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		if g.nodes.state(p) != StatePending {
			return
		}
		for _, q := range g.required(p) {
			if !g.nodes.isFreeing(q) && !yield(q) {
				return
			}
		}
	}
}

// Errors returns everything that went wrong, in order of occurrence: failures
// and errors of Close as [*TaskError], and errors thrown in as they were. It
// includes what is no part of the group's result.
func (g *DependencyTaskGroup[K]) Errors() []error { return g.engine.failures.errors() }

// Err returns why a node has not succeeded: the [*TaskError] with which it
// failed or was closed, or of the node because of which it was skipped. It is
// nil for all others.
func (g *DependencyTaskGroup[K]) Err(k K) error {
	p, ok := g.plan.find(k)
	if !ok {
		return nil
	}
	return g.engine.errOf(p)
}

func (g *engine) errOf(p int32) error {
	if g.nodes.state(p) == StateSucceeded && !g.nodes.has(p, hasStarted) {
		return nil // done beforehand, whatever became of what it requires
	}
	f, _ := g.failures.of(p)
	return f.err
}

// Rounds returns the number of rounds made so far, the one under way included.
func (g *DependencyTaskGroup[K]) Rounds() int { return g.engine.round }

// String returns the group's name.
func (g *DependencyTaskGroup[K]) String() string { return g.engine.String() }

// String makes the engine fit to be the driver of a scope.
func (g *engine) String() string {
	if g.opts.Name == "" {
		return "DependencyTaskGroup"
	}
	return g.opts.Name
}

// pathOf returns the keys from the outermost group to the node.
func (g *engine) pathOf(p int32) string {
	key := fmt.Sprint(g.key(p))
	if g.outer == nil {
		return key
	}
	return g.outer.pathOf(g.outerNode) + "/" + key
}

// Outcome is how a node ended that did not simply succeed.
type Outcome[K comparable] struct {
	Key   K
	State State
	// Err is the [*TaskError] with which the node failed, or asked to be
	// skipped, or was closed; for a node skipped because of another one, that
	// one's.
	Err error
	// Because is the node that this one owes its state to: for a skipped node
	// the one whose failure it was skipped for, for a node that was running or
	// pending when the group was stopped the one whose failure stopped it. It is
	// the node itself if it failed or asked to be skipped, and if the group was
	// stopped from outside.
	Because K
	// Stopped says that it was running when the group was stopped. It ended
	// within its grace then, unless CutOff says that it was closed.
	Stopped, CutOff bool
}

// Outcomes returns how nodes ended that did not simply succeed: first those that
// failed, in order of occurrence, without the noise of their victims; then all
// others, in key order: skipped ones with the failure that they owe it to,
// cancelled ones, and those that were running when the group was stopped, even
// if they succeeded.
func (g *DependencyTaskGroup[K]) Outcomes() iter.Seq[Outcome[K]] {
	return func(yield func(Outcome[K]) bool) {
		for p := range g.engine.outcomes() {
			if !yield(g.outcome(p)) {
				return
			}
		}
	}
}

func (g *DependencyTaskGroup[K]) outcome(p int32) Outcome[K] {
	n := &g.engine.nodes
	return Outcome[K]{
		Key: g.plan.keys[p], State: n.state(p), Err: g.engine.errOf(p), Because: g.plan.keys[g.engine.because(p)],
		Stopped: n.has(p, wasStopped), CutOff: n.has(p, wasCutOff),
	}
}

// outcomes returns the nodes that Outcomes is about, in its order.
func (g *engine) outcomes() iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for _, f := range g.failures.list {
			if f.node != noNode && hasFailed(g.nodes.state(f.node)) && !yield(f.node) {
				return
			}
		}
		for p := range int32(g.nodes.len()) {
			switch s := g.nodes.state(p); {
			case hasFailed(s) || !s.Ended():
			case s == StateSucceeded && !g.nodes.has(p, wasStopped):
			case !yield(p):
				return
			}
		}
	}
}

func hasFailed(s State) bool { return s == StateFailed || s == StateTimedOut }

// because returns the node that a node owes its state to.
func (g *engine) because(p int32) int32 {
	switch s := g.nodes.state(p); {
	case s == StateSkipped:
		if f, ok := g.failures.of(p); ok {
			return f.node
		}
	case !hasFailed(s) && g.ending.blame != noNode:
		return g.ending.blame
	}
	return p
}
