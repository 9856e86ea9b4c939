package model

import "slices"

// ends is how a closing member ends.
type ends struct {
	kind    kind  // closeTimedOut: it has failed; closeCancel: its grace has passed; none: at once
	failed  error // with what it has failed already, or which Timeout it had before
	failure int   // which of the failures that is
	ignored bool  // and it is ignored
	answers bool  // its answer to a Timeout is still to come
	wait    *Wait // for its end, or that of a part; nil: none is left
}

// stopAll ends the starting, and lets each running member go on for its grace
// or closes it.
func (g *Group) stopAll(cause error) {
	g.cancelPending()
	if g.graced {
		return // in this step
	}
	g.graced = true
	g.keep(asNotice(cause))
	for _, n := range g.running() {
		if !isRunning(n.state) {
			continue // a panic has ended it
		}
		grace := g.graceOf(n)
		switch {
		case n.isHidden() && grace > 0: // it is told when nothing needs it any more
			if g.opts.OwnGrace {
				n.closeLast, n.stopBy = false, grace
			} else {
				n.stopBy = earliest(n.stopBy, g.opts.Clock.Now+grace)
			}
		case n.isHidden():
			n.closeLast = true
		case grace > 0:
			g.grant(n, grace)
			g.tell(n, g.notice)
		default:
			g.cutOff(n)
		}
	}
}

// cancelPending ends the starting.
func (g *Group) cancelPending() {
	if g.draining && !g.cancelled && g.count(Pending) > 0 {
		g.cutShort = true
	}
	g.stopping, g.cancelled = true, true
	g.leaveLine()
	for _, n := range g.nodes {
		if n.state == Pending {
			g.set(n, Cancelled, nil)
		}
	}
}

func (g *Group) graceOf(n *node) int64 {
	if g.opts.Grace == nil {
		return g.inherited
	}
	return g.opts.Grace(n.key)
}

// grant gives a running member a grace from now on, at the end of which it is closed.
func (g *Group) grant(n *node, grace int64) {
	end := closeCancel
	if n.deadline.kind == closeTimedOut {
		end = closeTimedOut // it has its end already, now it only comes earlier
	}
	if at := g.opts.Clock.Now + grace; n.deadline.kind == throwTimeout && at >= n.deadline.at {
		n.graceEnd = earliest(n.graceEnd, at)
	} else {
		n.deadline.offer(at, end)
	}
}

// keep remembers a notice: the first one, and a final one after that.
func (g *Group) keep(n *Notice) {
	if g.notice == nil {
		g.notice = n
	} else if n.Final && !g.notice.Final {
		g.first, g.notice = g.notice, n
	}
}

// heed is what a notice from outside does to the group itself.
func (g *Group) heed(n *Notice) {
	g.keep(n)
	if n.Final && g.cause == nil {
		g.cause = n
		g.cancelPending()
	}
}

func (g *Group) notify(n *Notice) {
	g.keep(n)
	for _, n := range g.running() {
		if isRunning(n.state) && !n.isHidden() { // a panic may have stopped the group
			g.tell(n, g.notice)
		}
	}
}

// tell gives a member notice, once, and once more if it is final.
func (g *Group) tell(n *node, notice *Notice) {
	if n.task.Stop != nil && (!n.told || notice.Final && !n.halted) {
		n.told, n.halted = true, notice.Final
		_, err := g.recovered(n, func() (Yield, error) {
			n.task.Stop(notice)
			return Yield{}, nil
		})
		if err != nil {
			g.fail(n, err)
		}
	}
}

// noticeHere is the notice that the member has whose code is running.
func (g *Group) noticeHere() *Notice {
	switch n := g.current; {
	case n == nil:
		return nil
	case n.isOrdered():
		return n.order.notice
	case n.unneeded:
		return g.notNeeded
	case n.service && g.notice != nil:
		return g.finalNotice()
	}
	return g.notice
}

// isNoticeOf returns what tells whether an error is what a member was told.
func (g *Group) isNoticeOf(m *node) func(err error) bool {
	return func(err error) bool {
		n, ok := err.(*Notice) //nolint:errorlint // That very one.
		return ok && (n == g.notice || n == g.first || m.service && n == g.final ||
			m.unneeded && n == g.notNeeded || m.isOrdered() && n == m.order.notice)
	}
}

// expire steps a member after its deadline.
func (g *Group) expire(n *node) {
	t := &Timeout{Notes: n.notes}
	switch n.deadline.kind {
	case closeCancel:
		g.endGrace(n)
		return
	case throwTimeout:
		grace := max(g.graceOf(n), 0)
		if n.graceEnd != 0 { // it was granted one before, which this does not prolong
			grace = min(grace, max(n.graceEnd-g.opts.Clock.Now, 0))
		}
		if n.task.Throw == nil {
			break
		}
		t.Grace, n.expired = grace, true
		y, err := g.call(n, func() (Yield, error) { return n.task.Throw(t) })
		switch {
		case err == nil && y.isZero():
			g.failAndClose(n, ErrNoYield)
			return
		case err != nil || y.Done:
			g.settle(n, y, err)
			return
		case grace > 0 && !y.Failed:
			n.deadline, n.timedOut = deadline{earliest(g.opts.Clock.Now+grace, n.graceEnd), closeTimedOut}, t
			g.settle(n, y, nil)
			return
		case y.Ending:
			g.failClosing(n, &Wait{Ready: y.Ready}, t, true)
			return
		}
	case none:
	case closeTimedOut:
		t = n.timedOut
	}
	g.failAndClose(n, t)
}

// failAndClose ends a member that has failed and not ended.
func (g *Group) failAndClose(n *node, failed error) {
	if wait := g.askTask(n, n.task.beginClose); wait != nil {
		g.failClosing(n, wait, failed, false)
		return
	}
	g.fail(n, join(failed, g.closeTask(n)))
}

// failClosing lets a member that has failed end by itself. What the failure asks for
// is done at once, but what may start all the same starts when it has ended.
func (g *Group) failClosing(n *node, wait *Wait, failed error, answers bool) {
	at := len(g.failures)
	failed = n.withOrder(failed)
	g.note(n, failed, failure{})
	g.putInClosing(n, wait, ends{kind: closeTimedOut, failed: failed, failure: at, answers: answers})
	n.ends.ignored = g.react(n, at, failed)
}

// putInClosing lets a member wait for its end.
func (g *Group) putInClosing(n *node, wait *Wait, e ends) {
	n.deadline, n.byRound, n.due = deadline{}, 0, false
	n.ends = e
	n.waitForEnd(wait)
	if c := g.opts.Clock; wait != nil { // it begins to wait: it is due in the next step at the earliest
		began := c.steps
		n.yield.Ready = func() bool { return (len(c.around) == 0 || c.steps != began) && wait.Ready() }
	}
	g.set(n, Closing, e.failed)
}

func (n *node) waitForEnd(wait *Wait) {
	n.ends.wait, n.yield, n.due = wait, Yield{}, false
	if wait != nil {
		n.yield = ending(wait)
	}
}

// endGrace closes a member at the end of its grace. An error of this close is a
// failure like any other.
func (g *Group) endGrace(n *node) {
	if wait := g.askTask(n, n.task.beginClose); wait != nil {
		g.putInClosing(n, wait, ends{kind: closeCancel})
		return
	}
	g.endCutOff(n, g.closeTask(n))
}

// endCutOff ends a member that was closed at the end of its grace.
func (g *Group) endCutOff(n *node, err error) {
	switch own := without(err, g.isNoticeOf(n)); {
	case n.isOrdered():
		g.endOrdered(n, own)
		return
	case own != nil:
		g.handle(n, err, g.isInside(err))
		return
	case n.unneeded:
		g.succeed(n)
		return
	}
	if err != nil {
		g.note(n, err, failure{aside: true})
	}
	g.set(n, Cancelled, err)
}

// endClosing ends a closing member that can be ended without waiting.
func (g *Group) endClosing(n *node) {
	if n.ends.answers {
		y, err := g.call(n, n.task.step)
		switch {
		case err == nil && y.Ending:
			n.waitForEnd(&Wait{Ready: y.Ready})
			return
		case err == nil && !y.Done: // it continues after the Timeout
			n.ends.answers = false
			if n.waitForEnd(g.askTask(n, n.task.beginClose)); n.ends.wait != nil {
				return
			}
		default:
			g.endClosed(n, err)
			g.ask()
			return
		}
	} else if n.waitForEnd(g.askTask(n, func() *Wait { return n.task.endPart(n.ends.wait) })); n.ends.wait != nil {
		return
	}
	if err := g.closeTask(n); n.ends.kind == closeCancel {
		g.endCutOff(n, err)
	} else {
		g.endClosed(n, err)
		g.ask()
	}
}

// endClosed ends a member that was closed; nothing is left to be decided.
func (g *Group) endClosed(n *node, err error) {
	e := n.ends
	inside := err != nil && says(err, isResult)
	switch {
	case e.kind == closeTimedOut:
		err = join(e.failed, err)
		f := &g.failures[e.failure]
		first := slices.IndexFunc(g.failures, func(f failure) bool { return !f.aside && !f.inside })
		f.inside = f.inside || inside && !f.aside && e.failure != first
		f.err = &TaskError{Key: n.key, Err: err}
		g.set(n, failedState(err), err)
		n.freed = e.ignored
	case n.isOrdered():
		g.endOrderedAtOnce(n, join(e.failed, without(err, g.isNoticeOf(n))))
	case e.failed == nil && n.unneeded && isNothing(err, g.isNoticeOf(n)):
		g.set(n, Succeeded, nil)
	case e.kind == closeCancel && err != nil && !isOnly(err, g.isNoticeOf(n)):
		g.note(n, err, failure{inside: inside})
		g.set(n, failedState(err), err)
	default:
		if err = join(e.failed, err); err != nil {
			aside := !inside && e.failed == nil // a Timeout is a failure, though the node might still have handled it
			g.note(n, err, failure{aside: aside, inside: inside, closed: aside && !isOnly(err, g.isNoticeOf(n))})
		}
		g.set(n, Cancelled, err)
	}
}

// cutOff closes a running member at once. An error of that is only kept, but for
// what nodes of the member had failed with before.
func (g *Group) cutOff(n *node) {
	if g.beginCutOff(n) == nil {
		n.ends = ends{failed: n.timeoutBefore()}
		g.endClosed(n, g.closeTask(n))
	}
}

// beginCutOff asks a running member to end, and lets it wait for that if it has to.
func (g *Group) beginCutOff(n *node) *Wait {
	wait := g.askTask(n, n.task.beginClose)
	if wait != nil {
		g.putInClosing(n, wait, ends{failed: n.timeoutBefore()})
	}
	return wait
}

// timeoutBefore is the Timeout after which a member went on, which is not to be
// forgotten.
func (n *node) timeoutBefore() error {
	if n.deadline.kind == closeTimedOut {
		return n.timedOut
	}
	return nil
}

// cutOffAll closes the running members, and after them the services that nothing
// needs any more.
func (g *Group) cutOffAll() {
	for _, n := range g.inState(func(s State) bool { return s == Running }) {
		g.cutOff(n)
	}
	g.closeServices(g.cutOff)
}
