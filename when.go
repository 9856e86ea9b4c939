package scheduler

import (
	"iter"

	"github.com/steptask/scheduler/internal/bitset"
)

// Verdict is what becomes of a node: see [GroupOptions.When].
type Verdict uint8

const (
	// Usual is Start if all that the node requires is done, or ready, or failed and
	// was ignored, and Skip otherwise. Any unknown value counts as Usual.
	Usual Verdict = iota
	// Start starts the node, whatever became of what it requires.
	Start
	// Skip skips the node, with [ErrCondition]. The nodes that require it are asked
	// in turn.
	Skip
	// Pass does not start the node, which counts as done and has succeeded.
	Pass
)

// ErrCondition is the error of a node that [GroupOptions.When] skipped. It is an
// [ErrSkip] for errors.Is.
var ErrCondition error = conditionError{}

type conditionError struct{}

func (conditionError) Error() string { return "scheduler: skipped by its condition" }

func (conditionError) Is(target error) bool { return target == ErrSkip }

// conditions is what When was asked, and is to be asked.
type conditions struct {
	*asked      // nil: there is no When
	over   bool // the group is being closed: nothing is asked any more
}

type asked struct {
	due    bitset.Set // nodes of which it is to be asked
	wanted bitset.Set // nodes that it wants to start; they may have
}

// init makes conditions for n nodes.
func (c *conditions) init(n int) { c.asked = &asked{bitset.New(n), bitset.New(n)} }

// grow makes room for n nodes.
func (c *conditions) grow(n int) {
	if c.areUsed() {
		c.due.Grow(n)
		c.wanted.Grow(n)
	}
}

// areUsed reports whether there is a When.
func (c *conditions) areUsed() bool { return c.asked != nil }

// areDue reports whether When is to be asked of any node.
func (c *conditions) areDue() bool { return c.areUsed() && !c.due.Empty() }

// add has When asked of a node, and withdraw has not.
func (c *conditions) add(p int32) { c.due.Add(p) }

func (c *conditions) addWord(w int, nodes uint64) { c.due.AddWord(w, nodes) }

func (c *conditions) withdraw(p int32) {
	if c.areUsed() {
		c.due.Remove(p)
	}
}

// want keeps that a node is to start, wants reports it, and forget has When asked of it
// again: what it requires has changed.
func (c *conditions) want(p int32)       { c.wanted.Add(p) }
func (c *conditions) wants(p int32) bool { return c.wanted.Has(p) }
func (c *conditions) forget(p int32)     { c.wanted.Remove(p) }

// end has When asked of nothing any more.
func (c *conditions) end() { c.over = true }

// takeFirst takes out the first node in key order, or returns noNode.
func (c *conditions) takeFirst() int32 {
	p := c.due.Next(0)
	if p >= 0 {
		c.due.Remove(p)
		return p
	}
	return noNode
}

// askWhen asks When of all nodes of which it can be asked, in key order. What that
// ends may make more of them askable: they come later in key order.
func (g *engine) askWhen() {
	if !g.conditions.areUsed() {
		return
	}
	for !g.conditions.over {
		p := g.conditions.takeFirst()
		if p == noNode {
			return
		}
		if g.nodes.state(p) == StatePending {
			g.decide(p)
		}
	}
}

// decide asks When of a node and does what it says.
func (g *engine) decide(p int32) {
	switch g.verdict(p) {
	case Start:
		g.conditions.want(p)
		g.starter.add(p)
	case Pass:
		g.nodes.add(p, countsAsDone)
		g.set(p, StateSucceeded, nil, nil)
		g.release(p)
	case Skip:
		g.skip(p, nil, ErrCondition)
	default:
		if !g.hasLost(p) {
			g.conditions.want(p)
			g.starter.add(p)
			return
		}
		g.blame(p)
		g.set(p, StateSkipped, nil, nil)
		g.release(p)
	}
}

// verdict asks When of a node. A panic out of it is one of the node.
func (g *engine) verdict(p int32) Verdict {
	around := g.current
	g.current = p
	completed := false
	defer func() {
		if completed || around != noNode { // else the panic is one of the node
			g.current = around
		}
		if !completed && around != noNode { // one of the member that adds the node
			g.conditions.add(p)
		}
	}()
	var v Verdict
	g.input.ask(func() { v = g.opts.When(p, g.requirements(p)) })
	completed = true
	return v
}

// requirements returns what a node requires, with the states.
func (g *engine) requirements(p int32) iter.Seq2[int32, State] {
	return func(yield func(int32, State) bool) {
		for _, q := range g.graph.required(p) {
			if !yield(q, g.nodes.state(q)) {
				return
			}
		}
	}
}

// hasLost reports whether something that a node requires will never be done.
func (g *engine) hasLost(p int32) bool {
	for _, q := range g.graph.required(p) {
		if !g.nodes.isDone(q) {
			return true
		}
	}
	return false
}

// blame notes that a node is lost for the earliest failure that something has which
// it requires.
func (g *engine) blame(p int32) {
	first := -1
	for _, q := range g.graph.required(p) {
		if i := g.failures.indexOf(q); !g.nodes.isDone(q) && i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	g.failures.skipFor(p, g.nodes.len(), first)
}
