package scheduler

import (
	"context"
	"math/bits"
)

// This file is about the running pass of a round, and how the code of members is called.

// pass is where a step of the group stopped for its budget.
type pass uint8

const (
	newRound pass = iota
	runningPass
	startPass
)

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
				if y.code == yieldNext && err == nil {
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
	if d := g.deadlines.of(slot); d.isSet() {
		now := g.now
		if !d.isLimit() {
			now = instantOf(g.clock) // a grace is looked at anew each time
		}
		if d.hasPassed(now) {
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

// asking calls a function of the options about a node: what panics is known by current.
func (g *engine) asking(p int32, ask func()) {
	around := g.current
	g.current = p
	ask()
	g.current = around
}

// recovered turns a panic of a member into an error. One of an Observer, which
// was told about a group inside the member, is no member's: it goes up.
func (g *engine) recovered(code func() (Yield, error)) (Yield, error) {
	return recovered(code, g.watchers.havePanicked)
}
