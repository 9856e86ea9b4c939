package scheduler

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"runtime/debug"
)

// This file is about a round of a group: the running pass, the start pass, and
// what becomes of a member's answer.

// pass is where a step of the group stopped for its budget.
type pass uint8

const (
	newRound pass = iota
	runningPass
	startPass
)

// makeRound makes a round, or as much of it as the budget allows.
func (g *engine) makeRound(ctx context.Context) {
	if g.pass == newRound {
		g.beginRound()
		g.pass, g.at = runningPass, 0
	}
	if g.pass == runningPass && g.stepDue(ctx) {
		g.pass = startPass
	}
	if g.pass == startPass && g.startReady(ctx) {
		g.pass = newRound
	}
}

// beginRound finds the members that have become due.
func (g *engine) beginRound() {
	g.round++
	g.parking.beginRound(g.round)
	if g.parking.hasTimes() || g.deadlines.wheel.Len() > 0 || g.watchers.wanted != 0 {
		g.now = instantOf(g.clock)
		g.parking.takeTimes(g.now)
		g.findExpired()
		g.tellRound()
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
	direct := g.opts.Budget == 0 && !g.opts.RecoverPanics && g.opts.Context == nil && !g.timesSteps()
	// No member gets a slot in this pass, so these stay as they are.
	due, tasks, slots := g.parking.due, g.parking.tasks, g.nodes.cells
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
					if g.deadlines.graced == 0 {
						continue
					}
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
			if g.deadlines.graced > 0 {
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
	return recovered(code, &g.watchers.failed)
}

// recovered turns a panic into an error, unless passes is set by then.
func recovered(code func() (Yield, error), passes *bool) (y Yield, err error) {
	defer func() {
		if *passes {
			return
		}
		if v := recover(); v != nil {
			p := PanicError{Value: v, Stack: debug.Stack()}
			if up, ok := v.(*PanicError); ok {
				p = *up
				p.goesUp = false
			}
			y, err = Yield{}, &p
		}
	}()
	return code()
}

// apply does what the answer of a member that has a slot asks for.
func (g *engine) apply(ctx context.Context, p int32, y Yield, err error) {
	switch {
	case err != nil:
		g.fail(ctx, p, err)
	case y.code == yieldNext: // and nothing besides that might come earlier
		g.parking.due.Add(p)
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
	g.free(p)
}

// free counts a node as done for those that require it. One of them that is done
// already, since GroupOptions.Completed named it, may free others in turn.
func (g *engine) free(p int32) {
	for _, q := range g.graph.Row(p) {
		if g.nodes.requirementDone(q) {
			g.makeReady(q)
		}
	}
}

// makeReady does what is to be done once all that a node requires is done.
func (g *engine) makeReady(p int32) {
	switch g.nodes.state(p) {
	case StatePending:
		g.starter.add(p)
	case StateSucceeded:
		g.free(p)
	default: // skipped or cancelled meanwhile
	}
}

// isFull reports whether the Limit is reached.
func (g *engine) isFull() bool {
	return g.opts.Limit > 0 && g.nodes.active() >= g.opts.Limit
}

// startReady is the start pass: each node that is ready is started, lowest rank
// first. It reports whether it got to the end before its budget did.
//
// What a node frees has a higher rank, so one sweep upwards finds all that
// become ready on the way; only what was waiting for claims can come from
// behind.
func (g *engine) startReady(ctx context.Context) bool {
	completed := g.sweep(ctx)
	if g.isFull() {
		g.claims.setFull()
	}
	return completed
}

func (g *engine) sweep(ctx context.Context) bool {
	if (g.claims.hasNews() || g.claims.hasTimes()) && !g.isFull() {
		g.serveClaims()
	}
	direct, ready := g.startsDirectly(), g.starter.ready
	for w := ready.NextWord(0); w >= 0; w = ready.NextWord(w) {
		if direct {
			g.direct(ctx, w)
		}
		for word := ready.Word(w); word != 0; word = ready.Word(w) {
			rank := int32(w<<6 | bits.TrailingZeros64(word))
			if g.phase != phaseRunning || g.isFull() {
				return true
			}
			if g.opts.Budget > 0 && g.budget == 0 {
				return false
			}
			ready.Drop(rank)
			p := g.starter.nodeAt(rank)
			if g.opts.Claims != nil && !g.claim(ctx, p, rank) {
				continue
			}
			g.budget--
			g.start(ctx, p)
			if g.claims.hasNews() && !g.isFull() {
				if first := g.serveClaims(); first < w {
					ready.Leave(w)
					w = first
				}
			}
		}
		ready.Leave(w)
	}
	return true
}

// startsDirectly reports whether nothing is asked at a start, and the number of the
// round fits into the tables.
func (g *engine) startsDirectly() bool {
	o := &g.opts
	return g.round <= math.MaxInt32 && o.Timeout == nil && o.Context == nil && o.Claims == nil &&
		!o.RecoverPanics && !g.timesSteps() && o.Budget == 0 && o.Limit == 0
}

// startDirectly is start for such a group, for all ready nodes of a word and in
// one piece: a large group of short tasks spends most of its time here. So it
// works on the tables of nodes themselves, and is compiled for each type of key: a
// call through a function of positions would be a tenth of what a node costs.
func startDirectly[K comparable](ctx context.Context, g *engine, w int, keys []K, task func(K) Task) {
	// Of slices that are known to be as long as each other only the first is checked.
	n := uint(len(g.nodes.states))
	states, since, cells, keys := g.nodes.states[:n], g.nodes.since[:n], g.nodes.cells[:n], keys[:n]
	start, to := g.graph.Start[:n+1], g.graph.To
	words, told := g.starter.ready.Words(), g.watchers.want(NodeChanged)
	for words[w] != 0 && g.phase == phaseRunning {
		p := int32(w<<6 | bits.TrailingZeros64(words[w]))
		i := uint(p)
		words[w] &= words[w] - 1 // as Drop does
		states[i] = StateRunning | hasStarted
		since[i] = int32(g.round)
		cells[i] = noSlot
		g.nodes.counts[StatePending]--
		g.nodes.counts[StateRunning]++
		if told {
			g.tellChange(p, StatePending, StateRunning, nil, nil)
		}
		g.current = p
		task := task(keys[i])
		if task == nil {
			g.applyOther(ctx, p, nil, Yield{}, ErrNilTask)
			continue
		}
		y, err := task.Step(ctx)
		if y.code != yieldDone || err != nil {
			g.applyOther(ctx, p, task, y, err)
			continue
		}
		g.current = noNode
		states[i] = StateSucceeded | hasStarted
		g.nodes.counts[StateRunning]--
		g.nodes.counts[StateSucceeded]++
		if told {
			g.tellChange(p, StateRunning, StateSucceeded, task, nil)
		}
		for _, q := range to[start[i]:start[i+1]] {
			if cells[q]--; cells[q] != 0 {
				continue
			}
			switch {
			case states[q] != StatePending:
				g.makeReady(q)
			case int(q>>6) == w: // marked above until Leave
				words[w] |= 1 << (q & 63)
			default:
				g.starter.ready.Add(q)
			}
		}
	}
}

// applyOther does what the answer to startDirectly asks for that is not Done alone.
//
//go:noinline
func (g *engine) applyOther(ctx context.Context, p int32, task Task, y Yield, err error) {
	g.current = noNode
	g.applyFirst(ctx, p, task, y, err, deadline{}, nil)
}

// start makes a node's task and gives it its first step. Many tasks end in
// that: they get no slot.
func (g *engine) start(ctx context.Context, p int32) {
	g.nodes.start(p, g.round) // before anybody is told, who may ask for more
	if g.watchers.want(NodeChanged) {
		g.tellChange(p, StatePending, StateRunning, nil, nil)
	}
	limit := g.limitOf(p)
	if limit.span < 0 {
		g.claims.release()
		g.handle(ctx, p, nil, &Timeout{Task: fmt.Sprint(g.key(p)), Limit: limit.span, at: limit.at})
		return
	}
	g.startLimit = never
	if limit.span != 0 {
		g.startLimit = limit.at
	}
	var values context.Context
	if g.opts.Context != nil {
		g.current = p
		values = g.opts.Context(ctx, p)
		ctx = &memberScope{Context: ctx, values: values}
	}
	var task Task
	from := g.stepBegins()
	y, err := g.call(p, func() (y Yield, err error) {
		task, y, err = g.makeAndStep(ctx, p)
		return y, err
	})
	if from != never {
		g.tellStep(p, task, from, answer{y, err, values})
	}
	g.applyFirst(ctx, p, task, y, err, limit, values)
}

// makeAndStep makes a node's task and steps it.
func (g *engine) makeAndStep(ctx context.Context, p int32) (Task, Yield, error) {
	task := g.task(p)
	if task == nil {
		return nil, Yield{}, ErrNilTask
	}
	y, err := task.Step(ctx)
	return task, y, err
}

// applyFirst does what the answer of a first step asks for.
func (g *engine) applyFirst(
	ctx context.Context, p int32, task Task, y Yield, err error, limit deadline, values context.Context,
) {
	switch {
	case y.code == yieldDone && err == nil:
		g.claims.release()
		g.succeed(p, task)
	case err != nil:
		g.claims.release()
		g.handle(ctx, p, task, err)
	default:
		g.occupy(p, task, limit, values)
		g.apply(ctx, p, y, nil)
		if g.ending.notice != nil && g.nodes.slot(p) != noSlot {
			g.notify(ctx, p, g.ending.notice)
		}
	}
}

// limitOf returns the node's own deadline, with a span of 0 if it has none.
func (g *engine) limitOf(p int32) deadline {
	if g.opts.Timeout == nil {
		return deadline{}
	}
	span := g.opts.Timeout(p)
	if span == 0 {
		return deadline{}
	}
	return deadline{at: later(instantOf(g.clock), span), span: span}
}

// occupy gives a node a slot.
func (g *engine) occupy(p int32, task Task, limit deadline, values context.Context) {
	slot := g.parking.occupy(p, task, g.slotsWanted)
	g.nodes.setSlot(p, slot)
	room := g.parking.capacity()
	if limit.span != 0 {
		g.deadlines.limit(slot, room, limit.at, limit.span)
	}
	if g.opts.Context != nil {
		g.contexts.set(slot, room, values)
	}
	if g.opts.Claims != nil {
		g.claims.occupy(slot, room)
	}
}

// slotsWanted returns how many slots to add to the ones there are: all that is
// ready now may want one in this very pass.
func (g *engine) slotsWanted(slots int) int {
	more := min(max(1+g.starter.ready.Len(), slots/2, 4), g.nodes.len()-slots)
	if g.opts.Limit > 0 {
		more = min(more, max(g.opts.Limit-slots, 1))
	}
	return more
}

// vacate takes back the slot of a member that has ended, and what it holds.
func (g *engine) vacate(p int32) {
	slot := g.nodes.slot(p)
	g.parking.release(slot)
	g.deadlines.clear(slot)
	g.contexts.clear(slot)
	g.nodes.setSlot(p, noSlot)
	if g.opts.Claims != nil {
		g.claims.vacate(slot)
	}
}
