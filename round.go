package scheduler

import (
	"context"
	"math/bits"
	"runtime/debug"
)

// This file is about a round of a group, its running pass, and what becomes of a
// member's answer.

// pass is where a step of the group stopped for its budget.
type pass uint8

const (
	newRound pass = iota
	runningPass
	startPass
)

// makeRound makes a round, or as much of it as the budget allows.
func (g *engine) makeRound(ctx context.Context) {
	g.inRound = true
	g.obey(ctx)
	if g.pass == newRound {
		g.beginRound()
		g.pass, g.at = runningPass, 0
	}
	if g.pass == runningPass && g.stepDue(ctx) {
		g.pass = startPass
		g.obey(ctx)
	}
	if g.pass == startPass && g.startReady(ctx) {
		g.pass = newRound
	}
	g.inRound = false
	g.obey(ctx)
}

// beginRound finds the members that have become due.
func (g *engine) beginRound() {
	g.round++
	g.services.forgetEnded()
	if g.parking.takeCall() {
		g.takeReadyCalls()
	}
	g.parking.beginRound(g.round)
	if g.parking.hasTimes() || g.deadlines.some() || g.watchers.areEager() {
		g.now = instantOf(g.clock)
		g.parking.takeTimes(g.now)
		g.findExpired()
		g.tellRound()
		if g.watchers.want(NodeNoted) {
			g.tellNotes()
		}
	}
}

// findExpired makes members due whose deadline has passed: they are looked after
// in this round if their place in key order is still to come.
func (g *engine) findExpired() {
	for _, e := range g.deadlines.passed(g.now) {
		g.parking.makeDueEarly(int32(e.Item))
	}
}

// stepDue is the running pass: a step for each running member that is due, in
// key order. It reports whether it got to the end before its budget did.
//
// This is the hot loop: a group spends most of its time here. It copies a word
// of the set of who is due, so a member that wants the next round costs the
// look at its bit, its slot, the call, and one comparison; nothing is written.
func (g *engine) stepDue(ctx context.Context) bool {
	direct := g.opts.Budget == 0 && g.watchdog() == nil && !g.opts.RecoverPanics && g.opts.Context == nil && !g.timesSteps()
	// No member gets a slot in this pass, so these stay as they are.
	due, tasks, slots := &g.parking.due, g.parking.tasks, g.nodes.cells
	for w := due.NextWord(int(g.at >> 6)); w >= 0; w = due.NextWord(w + 1) {
		word := due.Word(w)
		if w == int(g.at>>6) {
			word &= ^uint64(0) << (g.at & 63)
		}
		for word != 0 {
			p := int32(w<<6 | bits.TrailingZeros64(word))
			word &= word - 1
			slot := slots[p]
			if direct && (g.deadlines.none() || !g.deadlines.mayHavePassed(slot, g.now)) {
				g.current = p
				y, err := tasks[slot].Step(ctx)
				if y.code == yieldNext && err == nil && !g.deadlines.haveGraces() {
					continue
				}
				g.current = noNode
				g.apply(ctx, p, y, err)
			} else {
				g.current = noNode
				if g.opts.Budget > 0 {
					if g.budget == 0 {
						g.at = p
						return false
					}
					g.budget--
				}
				g.stepMember(ctx, p)
			}
			// A failure may have closed members that come later, and a grace
			// that ran out meanwhile made some due. (A set that another member
			// caused is for the next round.)
			if g.deadlines.haveGraces() {
				g.now = instantOf(g.clock)
				g.findExpired()
			}
			if word = 0; p&63 != 63 {
				word = due.Word(w) & (^uint64(0) << (p&63 + 1))
			}
		}
	}
	g.current = noNode
	return true
}

// stepMember steps a member that needs more care than the hot loop takes.
func (g *engine) stepMember(ctx context.Context, p int32) {
	slot := g.nodes.slot(p)
	if d := g.deadlines.of(slot); d.kind != noDeadline {
		now := g.now
		if d.kind != throwTimeout {
			now = instantOf(g.clock) // a grace is looked at anew each time
		}
		if now > d.at {
			g.expire(ctx, p)
			return
		}
	}
	ctx, task := g.contexts.of(ctx, slot), g.parking.task(slot)
	from := g.stepBegins()
	y, err := g.call(p, func() (Yield, error) { return task.Step(ctx) })
	if from != never {
		g.tellStep(p, task, from, answer{y, err, nil})
	}
	g.apply(ctx, p, y, err)
}

// call runs a member's code; what panics is known by current.
func (g *engine) call(p int32, code func() (Yield, error)) (y Yield, err error) {
	g.current = p
	if d := g.watchdog(); d != nil {
		defer d.at(g.watchedPath(p))()
	}
	if g.opts.RecoverPanics {
		y, err = g.recovered(code)
	} else {
		y, err = code()
	}
	g.current = noNode
	return y, err
}

// recovered turns a panic of a member into an error. One of an Observer, which
// was told about a group inside the member, is no member's: it goes up.
func (g *engine) recovered(code func() (Yield, error)) (Yield, error) {
	return recovered(code, g.watchers.havePanicked)
}

// recovered turns a panic into an error, unless it is to go up.
func recovered(code func() (Yield, error), goesUp func() bool) (y Yield, err error) {
	defer func() {
		if goesUp() {
			return
		}
		if v := recover(); v != nil {
			p := PanicError{Value: v, Stack: debug.Stack()}
			if up, ok := v.(*PanicError); ok {
				p = *up
				p.goesUp = false
			}
			failed := p.failed
			p.failed = nil
			y, err = Yield{}, join(&p, failed)
		}
	}()
	return code()
}

// apply does what the answer of a member that has a slot asks for.
func (g *engine) apply(ctx context.Context, p int32, y Yield, err error) {
	switch {
	case err != nil && g.parking.has(g.nodes.slot(p), isClosing):
		g.answerClosing(ctx, p, err)
	case err != nil:
		g.fail(ctx, p, err)
	case y.code == yieldNext: // and nothing besides that might come earlier
		g.parking.next(p)
	case y.code&yieldDone != 0 && g.parking.has(g.nodes.slot(p), isClosing):
		g.endClosing(ctx, p)
	case y.code&yieldDone != 0:
		task := g.taskOf(p)
		g.vacate(p)
		g.succeed(p, task)
	case y.code == 0:
		g.failAndClose(ctx, p, ErrNoYield)
	default:
		g.parking.park(g.nodes.slot(p), y, g.round, g.clock)
	}
}

// succeed ends a node whose task is complete, and frees what waits for it.
func (g *engine) succeed(p int32, task Task) {
	g.set(p, StateSucceeded, task, nil)
	g.notes.forget(p)
	g.free(p)
}

// free counts a node as done for those that require it. One of them that is done
// already, since GroupOptions.Completed named it, may free others in turn.
//
// With When that is so for each node that has ended, whichever way. One that was
// ready before has done it then, but for what was added since.
func (g *engine) free(p int32) {
	if g.services.has(p) {
		g.freeAgain(p)
		return
	}
	g.release(p)
	g.askWhen()
}

// release is free, but for asking When of those that it makes askable.
func (g *engine) release(p int32) {
	g.freeRow(g.graph.frees(p))
	g.freeRow(g.graph.takeWaiting(p))
}

func (g *engine) freeRow(row []int32) {
	for _, q := range row {
		if g.nodes.requirementDone(q) {
			g.makeReady(q)
		}
	}
}

// makeReady does what is to be done once all that a node requires is done.
func (g *engine) makeReady(p int32) {
	switch g.nodes.state(p) {
	case StatePending:
		if g.conditions.areUsed() {
			g.conditions.add(p)
		} else {
			g.starter.add(p)
		}
	case StateSucceeded:
		g.release(p)
	default: // skipped or cancelled meanwhile
	}
}
