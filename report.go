package scheduler

import (
	"fmt"
	"iter"
)

// This file is about what a group tells of itself.

// Len returns the number of nodes.
func (g *DependencyTaskGroup[K]) Len() int { return g.engine.Len() }

func (g *engine) Len() int { return len(g.state) }

// State returns where a node stands; 0 for a key that is not in the group.
func (g *DependencyTaskGroup[K]) State(k K) State {
	p, ok := g.plan.find(k)
	if !ok {
		return 0
	}
	return g.engine.state[p] & onlyState
}

// Started reports whether a node was started, whatever became of it since. A
// node that counted as done beforehand was not; nor was a key that is not in
// the group.
func (g *DependencyTaskGroup[K]) Started(k K) bool {
	p, ok := g.plan.find(k)
	return ok && g.engine.state[p]&hasStarted != 0
}

// Count returns how many nodes are in a state.
func (g *DependencyTaskGroup[K]) Count(s State) int { return g.engine.Count(s) }

func (g *engine) Count(s State) int {
	if int(s) >= len(g.counts) {
		return 0
	}
	return g.counts[s]
}

// All returns the nodes with their states, in key order.
func (g *DependencyTaskGroup[K]) All() iter.Seq2[K, State] {
	return func(yield func(K, State) bool) {
		for p, k := range g.plan.keys {
			if !yield(k, g.engine.state[p]&onlyState) {
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
// any other node, and a key that is not in the group, there are none.
func (g *DependencyTaskGroup[K]) WaitsFor(k K) iter.Seq[K] {
	return func(yield func(K) bool) {
		p, ok := g.plan.find(k)
		if !ok || g.engine.state[p] != StatePending {
			return
		}
		for _, q := range g.plan.required(p) {
			if !(g.engine.state[q] & onlyState).Ended() && !yield(g.plan.keys[q]) {
				return
			}
		}
	}
}

// Errors returns everything that went wrong, in order of occurrence: failures
// and errors of Close as [*TaskError], and errors thrown in as they were. It
// includes what is no part of the group's result.
func (g *DependencyTaskGroup[K]) Errors() []error { return g.engine.Errors() }

func (g *engine) Errors() []error {
	var errs []error
	for _, f := range g.failures {
		if !f.skip {
			errs = append(errs, f.err)
		}
	}
	return errs
}

// Err returns why a node has not succeeded: the [*TaskError] with which it
// failed or was closed, or of the node because of which it was skipped. It is
// nil for all others.
func (g *DependencyTaskGroup[K]) Err(k K) error {
	p, ok := g.plan.find(k)
	if !ok {
		return nil
	}
	if g.engine.skips != nil && g.engine.skips[p] != 0 {
		return g.engine.failures[g.engine.skips[p]-1].err
	}
	if i, ok := g.engine.failed[p]; ok {
		return g.engine.failures[i].err
	}
	return nil
}

// Rounds returns the number of rounds made so far, the one under way included.
func (g *DependencyTaskGroup[K]) Rounds() int { return g.engine.Rounds() }

func (g *engine) Rounds() int { return g.round }

// String returns the group's name.
func (g *DependencyTaskGroup[K]) String() string { return g.engine.String() }

func (g *engine) String() string {
	if g.opts.Name == "" {
		return "DependencyTaskGroup"
	}
	return g.opts.Name
}

func (g *engine) taskOf() string {
	if g.subject == nil {
		return ""
	}
	return TaskDescription(g.subject)
}

// pathOf returns the keys from the outermost group to the node.
func (g *engine) pathOf(node int32) string {
	key := fmt.Sprint(g.key(node))
	if g.outer == nil {
		return key
	}
	return g.outer.pathOf(g.outerNode) + "/" + key
}

// member returns the node whose code is running.
func (g *engine) member() int32 { return g.current }

// Outcome is how a node ended that did not simply succeed.
type Outcome[K comparable] struct {
	Key   K
	State State
	// Err is the [*TaskError] with which the node failed, or asked to be
	// skipped, or was closed; for a node skipped because of another one, that
	// one's.
	Err error
	// Because is the node whose failure a skipped node owes it to; for a node
	// that asked for it, the node itself.
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
		for _, f := range g.engine.failures {
			if f.node == noNode {
				continue
			}
			if s := g.engine.state[f.node] & onlyState; s != StateFailed && s != StateTimedOut {
				continue
			}
			if !yield(g.outcome(f.node)) {
				return
			}
		}
		for p, state := range g.engine.state {
			switch s := state & onlyState; {
			case s == StateFailed || s == StateTimedOut || !s.Ended():
			case s == StateSucceeded && state&wasStopped == 0:
			case !yield(g.outcome(int32(p))):
				return
			}
		}
	}
}

func (g *DependencyTaskGroup[K]) outcome(p int32) Outcome[K] {
	k, state := g.plan.keys[p], g.engine.state[p]
	o := Outcome[K]{
		Key: k, State: state & onlyState, Err: g.Err(k),
		Stopped: state&wasStopped != 0, CutOff: state&wasCutOff != 0,
	}
	if o.State == StateSkipped {
		o.Because = k
		if g.engine.skips != nil && g.engine.skips[p] != 0 {
			o.Because = g.plan.keys[g.engine.failures[g.engine.skips[p]-1].node]
		}
	}
	return o
}
