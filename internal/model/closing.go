package model

import "slices"

// This file is about what ends a group from outside: errors thrown in, and its close.

// throw stops the group as a failure does, in either mode; but a Timeout, that
// very type, closes all at once, unless it comes with a grace.
func (g *Group) throw(err error) (Yield, error) {
	if g.ended || !g.begun {
		g.ended = true
		return Yield{}, err
	}
	g.enter()
	defer g.leave()
	defer g.unwind()
	g.graced = false
	t, isTimeout := err.(*Timeout) //nolint:errorlint // That very type.
	g.failures = append(g.failures, failure{err: err, aside: isTimeout, thrown: true})
	switch {
	case !isTimeout:
		g.thrown = err
		g.stopAll(err)
	case t.Grace > 0:
		g.timedOut = t
		g.cancelPending()
		g.notify(&Notice{err, true})
	default:
		g.timedOut = t
		g.keep(&Notice{err, false}) // it is given to nobody, and says why all are closed
		g.cutOffAll()
		g.cancelPending()
	}
	return g.answer()
}

// close closes the running members, in key order. Its error is what nodes had
// failed with before.
func (g *Group) close() error {
	if g.ended || !g.begun {
		g.ended = true
		return nil
	}
	g.enter()
	defer g.leave()
	defer g.unwind()
	g.closeAll()
	return join(all(g.failures, func(f failure) bool { return !f.aside && !f.thrown }), g.ofClose())
}

// closeAll closes what runs, and ends the group.
func (g *Group) closeAll() {
	for len(g.active()) > 0 {
		g.cutOffAll() // services last, when what needs them has ended
		for _, n := range g.inState(func(s State) bool { return s == Closing }) {
			g.endClosed(n, g.closeTask(n)) // all were asked
		}
	}
	if !g.draining {
		g.cancelPending()
	}
	g.ended = true
}

// beginClose asks all members to end. Services that are still needed by some are asked
// when those have ended: then it is called again, in parts.
func (g *Group) beginClose() *Wait {
	switch {
	case g.ended || !g.begun:
		return nil
	case !g.parts:
		g.asked = true
		return g.firstPart()
	case g.isCalled():
		g.enter()
		defer g.leave()
		defer g.unwind()
		g.signal = false
		return g.nextPart()
	}
	return g.whenToClose(0)
}

// firstPart asks those that can be asked now. None of them is ended yet.
func (g *Group) firstPart() *Wait {
	for _, n := range g.inState(func(s State) bool { return s == Running || s == Closing }) {
		switch {
		case n.state == Running:
			g.beginCutOff(n)
		case n.ends.answers || n.ends.wait != nil && !n.ends.wait.Parts:
			n.ends.answers = false
			n.waitForEnd(g.askTask(n, n.task.beginClose))
		}
	}
	needed := g.count(Ready)
	g.closeServices(func(n *node) {
		needed--
		g.beginCutOff(n)
	})
	return g.whenToClose(needed)
}

// nextPart ends the members that can be ended, and asks the services that nothing needs
// any more then.
func (g *Group) nextPart() *Wait {
	for _, n := range g.active() {
		n.due = n.due || n.isWoken()
	}
	for again := true; again; {
		again = false
		g.cutOffAll()
		for _, n := range g.inState(func(s State) bool { return s == Closing }) {
			if n.due && n.ends.wait != nil {
				n.waitForEnd(g.askTask(n, func() *Wait { return n.task.endPart(n.ends.wait) }))
			}
			if n.ends.wait == nil {
				g.endClosed(n, g.closeTask(n))
				again = true
			}
		}
	}
	return g.whenToClose(g.count(Ready))
}

// whenToClose is for how long a close would wait, or, if services are still needed, or
// some inside of members, the next part of it.
func (g *Group) whenToClose(needed int) *Wait {
	var waits []*Wait
	for _, n := range g.inState(func(s State) bool { return s == Closing }) {
		if n.ends.wait != nil {
			waits = append(waits, n.ends.wait)
		}
	}
	g.parts = g.parts || needed > 0 || slices.ContainsFunc(waits, func(w *Wait) bool { return w.Parts })
	if g.parts && len(g.active()) > 0 {
		if needed+len(waits) < len(g.active()) { // the others can be ended
			g.wake()
		}
		return &Wait{Ready: g.isCalled, Parts: true}
	}
	return allOf(waits)
}
