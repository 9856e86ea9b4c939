package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// This file is about nodes that are added to a group while it runs.

// Errors that an [*AddError] is.
var (
	// ErrInputClosed says that the group takes no more nodes.
	ErrInputClosed = errors.New("scheduler: the group takes no more nodes")

	// ErrNodeExists says that the group has the node already.
	ErrNodeExists = errors.New("scheduler: the node is in the group already")

	// ErrNodeUnknown says that the group has no such node to be required.
	ErrNodeUnknown = errors.New("scheduler: the required node is not in the group")
)

// AddError says which node [DependencyTaskGroup.Add] has not added, and why.
// errors.Is finds [ErrInputClosed], [ErrNodeExists] or [ErrNodeUnknown] in it, and
// none of them if Add was called where it must not be.
//
// After a stop of the group it also wraps the notice, or [ErrClosed] if there was
// none: [Interrupted] reports true, and a node that returns it is cancelled and not
// failed.
type AddError struct {
	Key    any // the node that was to be added
	Reason string

	is   error
	stop error // the notice, or ErrClosed; nil: the group was not stopped
}

// Error names the node and the reason.
func (e *AddError) Error() string { return fmt.Sprintf("scheduler: %v not added: %s", e.Key, e.Reason) }

// Unwrap returns the notice or ErrClosed after a stop of the group, else what the
// error is, or nil.
func (e *AddError) Unwrap() error {
	if e.stop != nil {
		return e.stop
	}
	return e.is
}

// Is reports whether the error is target.
func (e *AddError) Is(target error) bool { return e.is == target }

// Add adds a new node, after all others in key order, to a group with KeepOpen. It
// takes effect at once: added in a step of a member, the node starts in the same
// round if what it requires is done, and it is skipped if something that it requires
// has failed, was skipped or was cancelled.
//
// The node waits for the end of a service that was asked to end, and stays pending in
// a group that is draining. Add calls Completed and Estimate. Where Limit or Claims
// make nodes wait, added nodes come last, in the order in which they were added.
//
// Add may be called between two steps, in those of members of any group of the run,
// or by [TaskRunner.Post]. It returns an [*AddError], and the group is unchanged, if
// k is in the group (to give it more edges, run a group inside it) or a required node
// is not, without KeepOpen or in Reverse, after [DependencyTaskGroup.CloseInput], a
// stop or the end of the group, and in an Observer, OnError, When, Completed or
// Estimate.
//
// It takes time in proportion to the required nodes, and the first Add in proportion
// to the graph. A node that has ended keeps its key, its error, and some 50 bytes;
// 20 more until its time limit has passed.
func (g *DependencyTaskGroup[K]) Add(k K, required ...K) error {
	g.must("scheduler: DependencyTaskGroup.Add of nil")
	e := &g.engine
	if g.plan == nil {
		return &OptionError{Option: "DependencyTaskGroup", Reason: "zero value; use NewDependencyTaskGroup"}
	}
	if refused := e.refusal(); refused != nil {
		refused.Key = k
		return refused
	}
	if _, ok := g.plan.find(k); ok {
		return &AddError{Key: k, Reason: "it is in the group already, and edges into it cannot be added; run a group inside it", is: ErrNodeExists}
	}
	needs := e.input.noNeeds()
	for _, r := range required {
		q, ok := g.plan.find(r)
		if !ok {
			return &AddError{Key: k, Reason: fmt.Sprintf("it requires %v, which is not in the group", r), is: ErrNodeUnknown}
		}
		needs = append(needs, q)
	}
	needs = e.input.sorted(needs)
	if !e.graph.hasGrown() {
		g.plan = g.plan.own()
		e.graph.grow()
		e.remembers = true
	}
	n := newNode{needs: needs}
	e.input.ask(func() { n.completed, n.estimate = g.input.askOf(k) })
	g.plan.enter(k)
	e.add(n)
	return nil
}

// CloseInput ends a group with KeepOpen once all its nodes have ended: no more nodes
// will be added. Called again, or without KeepOpen, it does nothing.
func (g *DependencyTaskGroup[K]) CloseInput() {
	g.in("scheduler: DependencyTaskGroup.CloseInput of nil").closeInput()
}

// Dependencies returns a copy of the group's graph with all nodes that were added,
// entered in key order. It takes time in proportion to the graph.
func (g *DependencyTaskGroup[K]) Dependencies() *Dependencies[K] {
	g.must("scheduler: DependencyTaskGroup.Dependencies of nil")
	deps := NewDependencies[K]()
	deps.change()
	if g.plan == nil {
		return deps
	}
	for p, k := range g.plan.keys {
		deps.index.Enter(k)
		deps.edges.declare(int32(p))
	}
	for p := range int32(len(g.plan.keys)) {
		for _, q := range g.engine.graph.required(p) {
			if g.engine.opts.Reverse {
				deps.edges.connect(q, p)
			} else {
				deps.edges.connect(p, q)
			}
		}
	}
	return deps
}

// inputOptions are the options that Add asks.
type inputOptions[K comparable] struct {
	completed func(K) bool
	estimate  func(K) time.Duration
}

func (o *inputOptions[K]) askOf(k K) (completed bool, estimate time.Duration) {
	if o.completed != nil {
		completed = o.completed(k)
	}
	if o.estimate != nil {
		estimate = max(o.estimate(k), 0)
	}
	return completed, estimate
}

// input is how nodes come into a group while it runs.
type input struct {
	opened  bool    // by the options
	closed  bool    // no more come
	asking  bool    // a function of the options is called that decides about nodes
	scratch []int32 // of noNeeds
}

// open says that nodes may come, isOpen reports whether more may, and close says that no
// more do, and reports whether that is new.
func (i *input) open()        { i.opened = true }
func (i *input) isOpen() bool { return i.opened && !i.closed }

func (i *input) close() bool {
	wasClosed := i.closed
	i.closed = true
	return !wasClosed
}

// isAsking reports whether a function that decides about nodes is called.
func (i *input) isAsking() bool { return i.asking }

// noNeeds returns an empty list for what a node requires, and sorted the list in ascending
// order, each once. It is good until the next node comes.
func (i *input) noNeeds() []int32 { return i.scratch[:0] }

func (i *input) sorted(needs []int32) []int32 {
	slices.Sort(needs)
	i.scratch = slices.Compact(needs)
	return i.scratch
}

// ask calls a function of the options that decides about nodes: none can be added
// meanwhile.
func (i *input) ask(decide func()) {
	around := i.asking
	i.asking = true
	defer func() { i.asking = around }()
	decide()
}

// isOpen reports whether the group waits for more nodes: not when it was stopped,
// or was told to end.
func (g *engine) isOpen() bool {
	return g.input.isOpen() && g.phase <= phaseRunning && g.phase != phaseFreshDrained
}

// waitsForNodes reports whether the group goes on although nothing is left to be
// done.
func (g *engine) waitsForNodes() bool { return g.isOpen() && g.ending.given() == nil }

// wasCutOpen reports whether the end came before all nodes were there.
func (g *engine) wasCutOpen() bool { return g.input.isOpen() && g.phase != phaseDraining }

func (g *engine) closeInput() {
	if g.input.close() && !g.busy {
		g.parking.call() // it may have nothing left to do
	}
}

// refusal says why no node can be added now, and which error that is; or "".
func (g *engine) refusal() *AddError {
	switch {
	case !g.opts.KeepOpen:
		return &AddError{Reason: "the group is without KeepOpen", is: ErrInputClosed}
	case g.opts.Reverse:
		return &AddError{Reason: "the group goes in reverse", is: ErrInputClosed}
	case !g.input.isOpen():
		return &AddError{Reason: "CloseInput was called", is: ErrInputClosed}
	case g.phase == phaseEnded:
		return &AddError{Reason: "the group has ended", is: ErrInputClosed}
	case g.watchers.hasTold(GroupStopping) || g.watchers.hasTold(GroupClosing):
		return &AddError{Reason: "the group was stopped", is: ErrInputClosed, stop: g.ending.reason()}
	case g.watchers.isTelling():
		return &AddError{Reason: "Add was called by an Observer"}
	case g.input.isAsking():
		return &AddError{Reason: "Add was called by a function of the group's options"}
	}
	return nil
}

// newNode is what is known of a node that is added.
type newNode struct {
	needs     []int32 // in ascending order
	completed bool
	estimate  time.Duration
}

// add makes a node of the next position, and does with it what the nodes that it
// requires ask for.
func (g *engine) add(n newNode) {
	g.services.forget()
	p := g.nodes.append(g.round)
	g.parking.grow(g.nodes.len())
	g.starter.grow(g.nodes.len(), n.estimate)
	g.conditions.grow(g.nodes.len())
	g.graph.add(n.needs)
	lost, failure := false, 0 // the index of the earliest one for which the node is lost
	for _, q := range n.needs {
		switch i, is := g.standing(q); is {
		case waitedFor:
			g.graph.wait(q, p)
			g.nodes.wait(p)
		case isLost:
			if !lost || i < failure {
				failure = i
			}
			lost = true
		case isDone:
			if g.nodes.state(q) == StateReady {
				g.services.require(q, p, g.isPending)
			}
		}
	}
	switch {
	case n.completed:
		g.nodes.change(p, StateSucceeded, g.round)
		if lost {
			g.nodes.wait(p) // for what never comes
		}
	case lost:
		g.nodes.change(p, StateSkipped, g.round)
	case g.nodes.isReady(p):
		g.makeReady(p)
	}
	if lost {
		g.failures.skipFor(p, g.nodes.len(), failure)
	}
	if !g.busy {
		if g.hasBegun() {
			g.parking.call()
		}
		g.readClock()
	}
	g.tellAdded(p)
	if g.busy {
		g.askWhen() // else in the next start pass
	}
}

// tellAdded tells of a node that was added, and what became of it at once.
func (g *engine) tellAdded(p int32) {
	g.insideCode(func() {
		g.tell(NodeAdded, p, nil)
		if to := g.nodes.state(p); to != StatePending && g.watchers.want(NodeChanged) {
			g.tellChange(p, StatePending, to, nil, nil)
		}
	})
}

// standing is what a node is for one that is added and requires it.
type standing uint8

const (
	waitedFor standing = iota
	isDone
	isLost
)

// standing says what a node is for one that is added now. Of one that is lost it
// returns the index of the failure for which it is.
func (g *engine) standing(q int32) (failure int, is standing) {
	switch s := g.nodes.state(q); {
	case s == StateReady && g.isEnding(q):
		return 0, waitedFor
	case g.nodes.isFreeing(q) && (g.nodes.isDone(q) || g.conditions.areUsed()):
		return 0, isDone
	case g.conditions.areUsed():
		return 0, waitedFor
	case s == StateSucceeded && !g.failures.isSkipped(q): // named by Completed, and waits itself
		return 0, waitedFor
	case s.Ended() || s == StateClosing && g.hasFailedClosing(q):
		return g.failures.indexOf(q), isLost
	}
	return 0, waitedFor
}

// isEnding reports whether a ready node was asked to end, so that what is added waits
// for what becomes of it.
func (g *engine) isEnding(q int32) bool { return g.services.of(q).released || g.orders.has(q) }

// hasFailedClosing reports whether a node that is closing has failed, and the failure has
// been dealt with, so that those that required it are skipped.
func (g *engine) hasFailedClosing(q int32) bool {
	return g.parking.task(g.nodes.slot(q)).(*closingTask).isLost()
}
