package scheduler

import (
	"context"

	"github.com/steptask/scheduler/internal/wheel"
)

// This file is about where a group's running members wait until they are due.

// occupy gives a member a slot.
func (g *engine) occupy(p int32, task Task, limit limitAt, values context.Context) {
	slot := g.free
	if slot == noNode {
		slot = g.newSlot()
	} else {
		g.free = g.slots[slot].node
	}
	m := &g.slots[slot]
	g.tasks[slot] = task
	m.node, m.kind, m.flags = p, noDeadline, 0
	g.cell[p] = slot
	if limit.span != 0 {
		m.kind = throwTimeout
		*g.deadline(slot) = limit
		g.timeouts++
		g.deadlines.Add(later(limit.at, 1), uint32(slot))
	}
	if g.opts.Context != nil {
		g.contexts[slot].values = values
	}
	if g.opts.Claims != nil {
		g.held[slot], g.holding = g.holding, nil
	}
}

// newSlot adds a slot.
func (g *engine) newSlot() int32 {
	n := len(g.slots)
	if n == cap(g.slots) {
		g.grow()
	}
	g.slots, g.tasks = g.slots[:n+1], g.tasks[:n+1]
	return int32(n)
}

// grow makes room. All that is ready now may want a slot in this very pass, and
// doubling again and again would cost more than all their steps.
func (g *engine) grow() {
	n := len(g.slots)
	more := min(max(1+g.ready.Len(), n/2, 4), len(g.state)-n)
	if g.opts.Limit > 0 {
		more = min(more, max(g.opts.Limit-n, 1))
	}
	slots, tasks := make([]member, n, n+more), make([]Task, n, n+more)
	copy(slots, g.slots)
	copy(tasks, g.tasks)
	g.slots, g.tasks = slots, tasks
	if g.opts.Context != nil {
		g.contexts = extend(g.contexts, cap(slots))
	}
	if g.opts.Claims != nil {
		g.held = extend(g.held, cap(slots))
	}
}

// extend makes a table by slot as long as the slots will be before they grow again.
func extend[T any](table []T, slots int) []T {
	return append(table, make([]T, slots-len(table))...)
}

// release takes a member's slot back and returns its task. What the member holds
// is kept for giveBack.
func (g *engine) release(p int32) Task {
	slot := g.cell[p]
	m := &g.slots[slot]
	task := g.tasks[slot]
	g.uncount(m)
	g.unpark(m)
	g.unwait(slot)
	g.tasks[slot] = nil
	m.node = g.free
	g.free = slot
	endTurn(g.byRound, slot)
	endTurn(g.byTime, slot)
	g.cell[p] = noNode
	g.due.Remove(p)
	if g.opts.Context != nil {
		g.contexts[slot] = memberContext{}
	}
	if g.opts.Claims != nil {
		g.holding, g.held[slot] = g.held[slot], nil
	}
	return task
}

// park lets a member wait for what it yielded.
func (g *engine) park(p int32, y Yield) {
	slot := g.cell[p]
	m := &g.slots[slot]
	g.due.Remove(p)
	if int(slot) < len(g.byTime) {
		g.byTime[slot].at = none
	}
	if rounds := y.rounds(); rounds > 0 {
		g.byRounds++
		m.flags |= parkedByRounds
		g.parkUntil(&g.byRound, &g.rounds, slot, int64(g.round)+int64(rounds))
	}
	if y = y.absolute(g.clock); y.code&yieldAt != 0 {
		g.parkUntil(&g.byTime, &g.timers, slot, min(y.at, none-1))
	}
	const timed = yieldNext | yieldRounds | yieldAt
	if y.code&yieldClaims != 0 && y.code&timed == 0 {
		g.byClaims++
		m.flags |= parkedByClaims
	}
	if y.event != nil {
		g.await(slot, y.event)
	} else {
		g.unwait(slot)
	}
}

// await lets the member in the slot wait for an event.
func (g *engine) await(slot int32, e *Event) {
	if int(slot) >= len(g.waiters) {
		g.waiters = extend(g.waiters, cap(g.slots))
	}
	w := g.waiters[slot]
	if w == nil {
		w = g.newWaiter()
		w.owner, w.slot = g, slot
		g.waiters[slot] = w
	}
	w.wait(e)
}

// newWaiter makes waiters by the dozen: where one member waits, most do.
func (g *engine) newWaiter() *waiter {
	if len(g.unused) == 0 {
		g.unused = make([]waiter, min(cap(g.slots), 32))
	}
	w := &g.unused[0]
	g.unused = g.unused[1:]
	return w
}

// unwait ends its waiting for an event, if it does.
func (g *engine) unwait(slot int32) {
	if w := g.waiter(slot); w != nil {
		w.leave()
	}
}

// waiter returns what the member in the slot waits for events with, or nil.
func (g *engine) waiter(slot int32) *waiter {
	if int(slot) >= len(g.waiters) {
		return nil
	}
	return g.waiters[slot]
}

// parkUntil lets the member in the slot wait for a round or a time.
func (g *engine) parkUntil(turns *[]turnAt, w *wheel.Wheel, slot int32, at int64) {
	if n := len(*turns); int(slot) >= n {
		*turns = extend(*turns, cap(g.slots))
		for i := range (*turns)[n:] {
			(*turns)[n+i] = turnAt{none, none}
		}
	}
	t := &(*turns)[slot]
	t.at = at
	if at < t.key {
		t.key = at
		w.Add(at, uint32(slot))
	}
}

// endTurn makes void what is left in the wheel for a member that ends.
func endTurn(turns []turnAt, slot int32) {
	if int(slot) < len(turns) { // it may be a slot that is newer
		turns[slot] = turnAt{none, none}
	}
}

// timeOf returns what the member in the slot waits for by these turns, or none.
func timeOf(turns []turnAt, slot int32) int64 {
	if int(slot) >= len(turns) {
		return none
	}
	return turns[slot].at
}

// deadline returns the place for the deadline of the member in the slot.
func (g *engine) deadline(slot int32) *limitAt {
	if int(slot) >= len(g.limits) {
		g.limits = extend(g.limits, cap(g.slots))
	}
	return &g.limits[slot]
}

// unpark makes the counts right when a member becomes due or ends.
func (g *engine) unpark(m *member) {
	if m.flags&parkedByRounds != 0 {
		m.flags &^= parkedByRounds
		g.byRounds--
	}
	if m.flags&parkedByClaims != 0 {
		m.flags &^= parkedByClaims
		g.byClaims--
	}
}

// makeDue ends a member's parking.
func (g *engine) makeDue(slot int32) {
	m := &g.slots[slot]
	g.unpark(m)
	g.due.Add(m.node)
}

// makeDueEarly ends a member's parking before the event that it may wait for as
// well: set later, that would cut short the pause before a round that nobody in
// the group waits for.
func (g *engine) makeDueEarly(slot int32) {
	g.unwait(slot)
	g.makeDue(slot)
}

// parked reports whether there is a member in the slot that is not due.
func (g *engine) parked(slot int32) bool {
	return g.tasks[slot] != nil && !g.due.Has(g.slots[slot].node)
}

// wake makes the group a waker: the event that a member waits for was set.
func (g *engine) wake(slot int32, turn uint32) {
	g.mu.Lock()
	if g.inbox == nil {
		g.inbox = make([]wakeup, 0, 16)
	}
	g.inbox = append(g.inbox, wakeup{slot, turn})
	g.mu.Unlock()
	g.event.Set()
}

// collect begins a round: it finds the members that have become due.
func (g *engine) collect() {
	g.round++
	if g.event.set.Load() {
		g.event.Reset() // before a look into the inbox
		g.collectEvents()
	}
	if g.rounds.Len() > 0 {
		g.collectRounds()
	}
	if g.timers.Len()+g.deadlines.Len() > 0 || g.opts.Observer != nil {
		g.now = instantOf(g.clock)
		g.collectTimers()
		g.expireLimits()
	}
}

func (g *engine) collectEvents() {
	g.mu.Lock()
	g.inbox, g.woken = g.woken[:0], g.inbox
	g.mu.Unlock()
	for _, w := range g.woken {
		// One that waits for something else by now has another turn.
		if wait := g.waiter(w.slot); g.parked(w.slot) && wait != nil && wait.turn == w.turn {
			g.makeDue(w.slot)
		}
	}
}

func (g *engine) collectRounds() {
	g.popped = g.rounds.Advance(int64(g.round), g.popped[:0])
	for _, e := range g.popped {
		m, t := &g.slots[e.Item], &g.byRound[e.Item]
		if t.key != e.Key {
			continue
		}
		t.key = none
		switch {
		case m.flags&parkedByRounds == 0:
		case t.at <= int64(g.round):
			g.makeDueEarly(int32(e.Item))
		default:
			t.key = t.at
			g.rounds.Add(t.at, e.Item)
		}
	}
}

func (g *engine) collectTimers() {
	g.popped = g.timers.Advance(g.now, g.popped[:0])
	for _, e := range g.popped {
		t := &g.byTime[e.Item]
		if t.key != e.Key {
			continue
		}
		t.key = none
		switch {
		case !g.parked(int32(e.Item)) || t.at == none:
		case t.at <= g.now:
			g.makeDueEarly(int32(e.Item))
		default:
			t.key = t.at
			g.timers.Add(t.at, e.Item)
		}
	}
}

// expireLimits makes due whose deadline has passed: it has its turn in this
// round if that is still to come.
func (g *engine) expireLimits() {
	g.popped = g.deadlines.Advance(g.now, g.popped[:0])
	for _, e := range g.popped {
		if g.checkLimit(e) {
			g.makeDueEarly(int32(e.Item))
		}
	}
}

// checkLimit reports whether an entry of the deadlines still stands for one.
func (g *engine) checkLimit(e wheel.Entry) bool {
	return g.slots[e.Item].kind != noDeadline && later(g.limits[e.Item].at, 1) == e.Key
}

// nextLimit returns the instant from which on the earliest deadline has passed.
func (g *engine) nextLimit() int64 {
	if g.deadlines.Len() == 0 {
		return never
	}
	if at, ok := g.deadlines.Min(g.isLimit); ok {
		return at
	}
	return never
}

// nextTimer returns the earliest time that a parked member waits for.
func (g *engine) nextTimer() int64 {
	for g.timers.Len() > 0 {
		at, ok := g.timers.Min(g.isTimer)
		if len(g.rearm) == 0 {
			if ok {
				return at
			}
			break
		}
		// Some were in the wheel too early, for a time that they have put off.
		for _, slot := range g.rearm {
			t := &g.byTime[slot]
			t.key = t.at
			g.timers.Add(t.at, uint32(slot))
		}
		g.rearm = g.rearm[:0]
	}
	return never
}

// checkTimer reports whether an entry of the timers is for the time that its
// member waits for. One that is early is kept for later.
func (g *engine) checkTimer(e wheel.Entry) bool {
	t := &g.byTime[e.Item]
	switch {
	case t.key != e.Key:
		return false
	case t.at == e.Key && g.parked(int32(e.Item)):
		return true
	}
	t.key = none
	if t.at != none && g.parked(int32(e.Item)) {
		g.rearm = append(g.rearm, int32(e.Item))
	}
	return false
}

// memberScope is the context of a member's step: with the values that
// GroupOptions.Context gave, and the end of the step's.
type memberScope struct {
	context.Context
	values context.Context
}

func (c *memberScope) Value(key any) any {
	if key == (scopeKey{}) {
		return c.Context.Value(key)
	}
	return c.values.Value(key)
}

func (c *memberScope) String() string { return "scheduler.member" }

// contextOf returns the context for a step of the member in the slot.
func (g *engine) contextOf(ctx context.Context, slot int32) context.Context {
	if g.opts.Context == nil {
		return ctx
	}
	c := &g.contexts[slot]
	if c.joined == nil || !same(ctx, c.step) {
		c.step = ctx
		c.joined = &memberScope{Context: ctx, values: c.values}
	}
	return c.joined
}
