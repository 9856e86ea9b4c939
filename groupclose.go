package scheduler

// This file is about how a group is closed: at once, or in parts, none of which waits.

// Close is [DependencyTaskGroup.Close].
func (g *engine) Close() error {
	if g.isAsleep() {
		g.panicAsleep("scheduler: DependencyTaskGroup.Close")
	}
	if !g.hasBegun() {
		g.phase = phaseEnded
		return nil
	}
	g.exclusively("Close", func() {
		g.readClock()
		g.tellClosing()
		g.services.beginClose()
		g.closeAll()
		g.end(ErrCancelled)
	})
	err := g.failures.beforeClose()
	if g.tellsAll {
		err = join(err, g.failures.ofClose())
	}
	return err
}

// BeginClose is [DependencyTaskGroup.BeginClose].
func (g *engine) BeginClose() (e *Event) {
	if g.isAsleep() {
		g.panicAsleep("scheduler: DependencyTaskGroup.BeginClose")
	}
	if !g.hasBegun() {
		return nil
	}
	g.exclusively("BeginClose", func() {
		g.readClock()
		switch {
		case !g.parking.endsInParts():
			e = g.firstPart()
		case g.parking.isSignalled():
			e = g.nextPart()
		default:
			e = g.parking.endInParts()
		}
	})
	return e
}

// firstPart asks all members to end. None of them is ended yet.
func (g *engine) firstPart() *Event {
	g.tellClosing()
	g.services.beginClose()
	for _, p := range g.parking.members() {
		switch slot := g.nodes.slot(p); {
		case g.parking.has(slot, isClosing):
			g.waitForPart(p, g.askToClose(p))
		case g.nodes.state(p) != StateReady:
			_ = g.beginClosing(p)
		}
	}
	needed := g.nodes.count(StateReady)
	g.closeServices(func(p int32) {
		needed--
		_ = g.beginClosing(p)
	})
	return g.whenToClose(needed)
}

// nextPart ends the members that can be ended without waiting, and asks the services to
// end that nothing needs any more then.
func (g *engine) nextPart() *Event {
	g.conditions.end()
	g.deliver()
	g.parking.takeCall()
	g.parking.takeWakeups()
	for again := true; again; {
		again = false
		g.beginCloseAll()
		for _, p := range g.parking.members() {
			if slot := g.nodes.slot(p); g.parking.has(slot, isClosing) && g.parking.isDue(p) && g.endMemberPart(p) {
				again = true
			}
		}
	}
	return g.whenToClose(g.nodes.count(StateReady))
}

// endMemberPart ends a closing member, or a part of it, and reports whether it has ended.
func (g *engine) endMemberPart(p int32) bool {
	c := g.parking.task(g.nodes.slot(p)).(*closingTask)
	_, err := g.call(p, func() (Yield, error) {
		c.waits = endPart(c.task, c.waits)
		return Done, nil
	})
	if err != nil {
		c.answerWith(err)
	} else if c.waits != nil {
		g.waitForPart(p, c.waits)
		return false
	}
	_, err = g.finishClosing(p)
	g.endClosed(p, c, err)
	return true
}

// waitForPart has a closing member wait for e, or, if that is nil, for nothing.
func (g *engine) waitForPart(p int32, e *Event) {
	if slot := g.nodes.slot(p); e == nil {
		g.parking.makeDueEarly(slot)
	} else {
		g.parking.park(slot, On(e), g.round, g.clock)
	}
}

// whenToClose returns an event that is set when Close will not wait, or, if that would
// come too late, when the next part can be ended: for services that are still needed, of
// which there are so many, and those in groups inside. It is nil if Close will not wait
// now.
func (g *engine) whenToClose(needed int) *Event {
	var waits []*Event
	inParts, wait := needed > 0 || g.parking.endsInParts(), needed
	for _, p := range g.parking.members() {
		slot := g.nodes.slot(p)
		if !g.parking.has(slot, isClosing) || g.parking.isDue(p) {
			continue
		}
		wait++
		e := g.parking.task(slot).(*closingTask).waits
		waits = append(waits, e)
		inParts = inParts || e.has(hasParts)
	}
	if !inParts || g.nodes.members() == 0 {
		return allOf(waits)
	}
	g.dropWakes()
	if wait < g.nodes.members() { // the others can be ended
		g.parking.call()
	}
	return g.parking.endInParts()
}

// beginCloseAll closes the running members, in key order, but for those that would
// have to be waited for: they are closing then.
func (g *engine) beginCloseAll() {
	for _, p := range g.parking.members() {
		if !g.parking.has(g.nodes.slot(p), isClosing) && g.nodes.state(p) != StateReady {
			g.close(p)
		}
	}
	g.closeServices(g.close)
}

// closeAll closes the running members, and waits for those that take time once all
// have been asked. If one of them panics, unwind closes the others.
func (g *engine) closeAll() {
	g.conditions.end()
	for len(g.parking.members()) > 0 {
		g.beginCloseAll() // services last, once what needs them has ended
		for _, p := range g.parking.members() {
			if g.parking.has(g.nodes.slot(p), isClosing) {
				c, err := g.finishClosing(p)
				g.endClosed(p, c, err)
			}
		}
	}
}
