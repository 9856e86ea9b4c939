package scheduler

import (
	"fmt"
	"iter"
)

// This file is about what a group tells of itself.

// Len returns the number of nodes.
func (g *DependencyTaskGroup[K]) Len() int {
	const ofNil = "scheduler: DependencyTaskGroup.Len of nil"
	if g == nil {
		panic(ofNil)
	}
	return g.engine.size(ofNil) // small enough to be inlined: see in
}

func (g *engine) size(ofNil string) int { return g.awake(ofNil).nodes.len() }

// State returns the state of a node, or 0 for an unknown key.
func (g *DependencyTaskGroup[K]) State(k K) State {
	g.must("scheduler: DependencyTaskGroup.State of nil")
	p, ok := g.plan.find(k)
	if !ok {
		return 0
	}
	return g.engine.nodes.state(p)
}

// Started reports whether a node has been started; one that Completed named has not.
func (g *DependencyTaskGroup[K]) Started(k K) bool {
	g.must("scheduler: DependencyTaskGroup.Started of nil")
	p, ok := g.plan.find(k)
	return ok && g.engine.nodes.has(p, hasStarted)
}

// Count returns the number of nodes in a state.
func (g *DependencyTaskGroup[K]) Count(s State) int {
	return g.in("scheduler: DependencyTaskGroup.Count of nil").nodes.count(s)
}

// All returns the nodes with their states, in key order.
func (g *DependencyTaskGroup[K]) All() iter.Seq2[K, State] {
	g.must("scheduler: DependencyTaskGroup.All of nil")
	return func(yield func(K, State) bool) {
		for p, k := range g.keys() {
			if !yield(k, g.engine.nodes.state(int32(p))) {
				return
			}
		}
	}
}

// keys returns the keys by position; a zero group has none.
func (g *DependencyTaskGroup[K]) keys() []K {
	if g.plan == nil {
		return nil
	}
	return g.plan.keys
}

// Running returns the running nodes, in key order.
func (g *DependencyTaskGroup[K]) Running() iter.Seq[K] {
	g.must("scheduler: DependencyTaskGroup.Running of nil")
	return func(yield func(K) bool) {
		for k, state := range g.All() {
			if state == StateRunning && !yield(k) {
				return
			}
		}
	}
}

// WaitsFor yields the unfinished nodes that a pending node requires in the walked
// direction, in key order, and none for any other node. A node that Completed named
// is unfinished until its own requirements are done.
func (g *DependencyTaskGroup[K]) WaitsFor(k K) iter.Seq[K] {
	g.must("scheduler: DependencyTaskGroup.WaitsFor of nil")
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
		for _, q := range g.graph.required(p) {
			if (!g.nodes.isFreeing(q) || g.graph.waits(q, p)) && !yield(q) {
				return
			}
		}
	}
}

// Errors returns all errors in order of occurrence, whether or not they are part of
// the result: failures and errors of Close as [*TaskError], and those thrown into the
// group.
func (g *DependencyTaskGroup[K]) Errors() []error {
	return g.in("scheduler: DependencyTaskGroup.Errors of nil").failures.errors()
}

// Err returns why a node has not succeeded: the [*TaskError] with which it failed or
// was closed, or that of the node that caused its skip. It is nil for other nodes.
func (g *DependencyTaskGroup[K]) Err(k K) error {
	g.must("scheduler: DependencyTaskGroup.Err of nil")
	p, ok := g.plan.find(k)
	if !ok {
		return nil
	}
	return g.engine.errOf(p)
}

func (g *engine) errOf(p int32) error {
	if g.nodes.state(p) == StateSucceeded {
		return nil // perhaps done beforehand, whatever became of what it requires
	}
	f, _ := g.failures.of(p)
	return f.err
}

// Rounds returns the number of rounds so far, including the current one.
func (g *DependencyTaskGroup[K]) Rounds() int {
	return g.in("scheduler: DependencyTaskGroup.Rounds of nil").round
}

// String returns the group's name.
func (g *DependencyTaskGroup[K]) String() string {
	if g == nil { // any goroutine may print it
		panic("scheduler: DependencyTaskGroup.String of nil")
	}
	return g.engine.String()
}

// String makes the engine fit to be the driver of a scope.
func (g *engine) String() string {
	if g.opts.Name == "" {
		return "DependencyTaskGroup"
	}
	return g.opts.Name
}

// nameOf returns what texts call a node: its key, or the description of its task if
// the key is only a number.
func (g *engine) nameOf(p int32) string {
	if s := g.nodes.state(p); g.isNumbered && s != StatePending && !s.Ended() && g.nodes.slot(p) != noSlot {
		return TaskDescription(g.taskOf(p))
	}
	return fmt.Sprint(g.key(p))
}

// pathOf returns the keys from the outermost group to the node.
func (g *engine) pathOf(p int32) string {
	name := g.nameOf(p)
	if g.outer == nil {
		return name
	}
	return g.outer.pathOf(g.outerNode) + "/" + name
}

// Outcome is the end of a node that did not simply succeed.
type Outcome[K comparable] struct {
	Key   K
	State State
	// Err is as [DependencyTaskGroup.Err] has it, or with what the node asked to be
	// skipped.
	Err error
	// Because is the node whose failure caused the skip or the stop: the node itself
	// if it failed or skipped itself, or if the group was stopped from outside.
	Because K
	// Stopped reports that it was running when the group was stopped, CutOff that it
	// was then closed.
	Stopped, CutOff bool
}

// Outcomes yields the nodes that did not simply succeed: first those that failed, in
// order of occurrence; then, in key order, those that were skipped or cancelled, or
// were running when the group was stopped, even if they succeeded.
func (g *DependencyTaskGroup[K]) Outcomes() iter.Seq[Outcome[K]] {
	g.must("scheduler: DependencyTaskGroup.Outcomes of nil")
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
		for p := range g.failures.nodes() {
			if p != noNode && hasFailed(g.nodes.state(p)) && !yield(p) {
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
	case !hasFailed(s) && g.ending.blamed() != noNode:
		return g.ending.blamed()
	}
	return p
}
