package scheduler

import (
	"context"
	"math"
	"math/bits"
	"time"
)

// This file is about the start pass of a round, what a node has to have for its start, and
// how it gets a slot.

// isFull reports whether the Limit is reached. A service has given its place back for
// good, also if it takes time to close.
func (g *engine) isFull() bool {
	return g.opts.Limit > 0 && g.nodes.active()-g.services.closing >= g.opts.Limit
}

// startReady is the start pass: each node that is ready is started, lowest rank
// first. It reports whether it got to the end before its budget did.
//
// What a node frees has a higher rank, so one sweep upwards finds all that
// become ready on the way; only what was waiting for claims can come from
// behind.
func (g *engine) startReady(ctx context.Context) bool {
	g.askWhen() // of what requires nothing, and what was added between two steps
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
	direct, ready := g.startsDirectly(), &g.starter.ready
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
			if (g.claims.hasNews() || g.claims.hasTimes()) && !g.isFull() {
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
	return g.round <= math.MaxInt32 && !g.services.demand.isCounted() && o.Timeout == nil && o.Context == nil && o.Claims == nil && o.When == nil && !o.KeepOpen &&
		!o.RecoverPanics && !g.timesSteps() && g.watchdog() == nil && o.Budget == 0 && o.Limit == 0
}

// startDirectly is start for such a group, for all ready nodes of a word and in
// one piece: a large group of short tasks spends most of its time here. So it
// works on the tables of nodes themselves, and is compiled for each type of key: a
// call through a function of positions would be a tenth of what a node costs.
func startDirectly[K comparable](ctx context.Context, g *engine, w int, keys []K, task func(K) Task) {
	// Of slices that are known to be as long as each other only the first is checked.
	n := uint(len(g.nodes.states))
	states, since, cells, keys := g.nodes.states[:n], g.nodes.since[:n], g.nodes.cells[:n], keys[:n]
	start, to := g.graph.rows()
	start = start[:n+1]
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
			g.applyFirst(ctx, p, nil, Yield{}, ErrNilTask, nil)
			continue
		}
		y, err := task.Step(ctx)
		if y.code != yieldDone || err != nil {
			g.applyFirst(ctx, p, task, y, err, nil)
			continue
		}
		g.current = noNode
		states[i] = StateSucceeded | hasStarted
		g.nodes.counts[StateRunning]--
		g.nodes.counts[StateSucceeded]++
		if told {
			g.tellChange(p, StateRunning, StateSucceeded, task, nil)
		}
		for e, end := start[i], start[i+1]; e < end; e++ {
			q := to[e]
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

// limitOf returns the node's own deadline, with a span of 0 if it has none.
func (g *engine) limitOf(p int32) deadline {
	if g.opts.Timeout == nil {
		return deadline{}
	}
	var span time.Duration
	g.asking(p, func() { span = g.opts.Timeout(p) })
	if span == 0 {
		return deadline{}
	}
	return deadline{at: later(instantOf(g.clock), span), span: span}
}

// terms are what the options say of a node when it starts.
type terms struct {
	limit  deadline        // its own; with a span of 0 it has none
	values context.Context // of its steps; nil: there is no GroupOptions.Context
}

// occupy gives a node a slot. In groups without such options it has no terms.
func (g *engine) occupy(p int32, task Task, t *terms) {
	if g.parking.isFull() {
		g.parking.addSlots(g.slotsWanted())
	}
	slot := g.parking.occupy(p, task)
	g.nodes.setSlot(p, slot)
	if t == nil {
		return
	}
	room := g.parking.capacity()
	if limit := &t.limit; limit.span != 0 {
		g.deadlines.limit(slot, room, limit.at, limit.span)
	}
	if g.opts.Context != nil {
		g.contexts.set(slot, room, t.values)
	}
	if g.opts.Claims != nil {
		g.holdings.occupy(slot, room)
	}
}

// slotsWanted returns how many slots to add to the ones there are: all that is
// ready now may want one in this very pass.
func (g *engine) slotsWanted() int {
	slots := g.parking.capacity()
	more := max(1+g.starter.len(), slots/2, 4)
	if !g.isOpen() {
		more = min(more, g.nodes.len()-slots)
	}
	if limit := g.opts.Limit; limit > slots {
		more = min(more, limit-slots)
	} else if limit > 0 { // services have slots beside the Limit
		more = min(more, max(slots/2, 4))
	}
	return more
}

// vacate takes back the slot of a member that has ended, and what it holds. It returns
// what stood in the slot: the task, or a closingTask.
func (g *engine) vacate(p int32) Task {
	slot := g.nodes.slot(p)
	task := g.parking.release(slot)
	g.deadlines.clear(slot)
	g.contexts.clear(slot)
	g.nodes.setSlot(p, noSlot)
	if g.opts.Claims != nil {
		if !g.services.has(p) {
			g.claims.hasRoom()
		}
		g.holdings.vacate(slot)
	}
	return task
}

// claim gets what a node claims, and reports whether it is to be started now.
// Otherwise it waits, or has failed.
func (g *engine) claim(ctx context.Context, p, rank int32) bool {
	var c *class
	var err error
	g.asking(p, func() { c, err = g.claims.classFor(p, g.nodes.len(), g.opts.Claims) })
	if err != nil {
		g.handle(ctx, p, nil, err)
		return false
	}
	if c == nil {
		return true
	}
	held := g.claims.take(c, p, rank, g.place, g.clock)
	g.holdings.start(held)
	return held != nil
}

// serveClaims makes those ready that have got what they wait for. It returns the
// first word of the ready set that has one.
func (g *engine) serveClaims() int {
	first := g.nodes.len()
	g.claims.serve(g.clock, func(rank int32) {
		g.starter.addRank(rank)
		first = min(first, int(rank>>6))
	})
	return first
}
