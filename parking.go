package scheduler

import (
	"context"
	"time"

	"github.com/steptask/scheduler/internal/wheel"
)

// This file is about where a group's running members wait until they are due.

// occupy gives a member a slot.
func (g *DependencyTaskGroup[K]) occupy(p int32, task Task, limit limitAt, values context.Context) {
	slot := g.free
	if slot == noNode {
		slot = g.grow()
	}
	m := &g.slots[slot]
	g.free = m.node
	g.tasks[slot] = task
	m.node, m.flags = p, 0
	m.time, m.timeKey = none, none
	m.kind, m.limit = noDeadline, limit.at
	g.cell[p] = slot
	if g.spans != nil {
		g.spans[slot] = limit.span
	}
	if limit.span != 0 {
		m.kind = throwTimeout
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

// grow makes room. All that is ready now may want a slot in this very pass, and
// doubling again and again would cost more than all their steps.
func (g *DependencyTaskGroup[K]) grow() int32 {
	first := int32(len(g.slots))
	more := min(max(1+g.ready.Len(), len(g.slots)/2, 4), len(g.state)-len(g.slots))
	if g.opts.Limit > 0 {
		more = min(more, max(g.opts.Limit-len(g.slots), 1))
	}
	slots, tasks := make([]member, len(g.slots)+more), make([]Task, len(g.slots)+more)
	copy(slots, g.slots)
	copy(tasks, g.tasks)
	g.slots, g.tasks = slots, tasks
	for i := int32(len(slots)) - 1; i >= first; i-- {
		slots[i].node = g.free
		g.free = i
	}
	if g.opts.Timeout != nil {
		g.spans = append(g.spans, make([]time.Duration, more)...)
	}
	if g.opts.Context != nil {
		g.contexts = append(g.contexts, make([]memberContext, more)...)
	}
	if g.opts.Claims != nil {
		g.held = append(g.held, make([]*holding, more)...)
	}
	return first
}

// release takes a member's slot back and returns its task. What the member holds
// is kept for giveBack.
func (g *DependencyTaskGroup[K]) release(p int32) Task {
	slot := g.cell[p]
	m := &g.slots[slot]
	task := g.tasks[slot]
	g.uncount(m)
	g.unpark(m)
	if m.wait != nil {
		m.wait.leave()
	}
	g.tasks[slot] = nil
	m.node = g.free
	m.timeKey = none                 // what is left in the wheels is void
	if int(slot) < len(g.parkedAt) { // it may be a slot that is newer
		g.parkedAt[slot].key = none
	}
	g.free = slot
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
func (g *DependencyTaskGroup[K]) park(p int32, y Yield) {
	slot := g.cell[p]
	m := &g.slots[slot]
	g.due.Remove(p)
	m.time = none
	if rounds := y.rounds(); rounds > 0 {
		g.byRounds++
		m.flags |= parkedByRounds
		g.parkForRounds(slot, rounds)
	}
	if y = y.absolute(g.clock); y.code&yieldAt != 0 {
		m.time = min(y.at, none-1)
		if m.time < m.timeKey {
			m.timeKey = m.time
			g.timers.Add(m.time, uint32(slot))
		}
	}
	const timed = yieldNext | yieldRounds | yieldAt
	if y.code&yieldClaims != 0 && y.code&timed == 0 {
		g.byClaims++
		m.flags |= parkedByClaims
	}
	switch {
	case y.event != nil:
		if m.wait == nil {
			m.wait = &waiter{owner: g, slot: slot}
		}
		m.wait.wait(y.event)
	case m.wait != nil:
		m.wait.leave()
	}
}

// parkForRounds lets the member in the slot wait for the n-th round from now.
func (g *DependencyTaskGroup[K]) parkForRounds(slot int32, n uint64) {
	for len(g.parkedAt) < len(g.slots) {
		g.parkedAt = append(g.parkedAt, roundsAt{key: none})
	}
	at := &g.parkedAt[slot]
	at.round = int64(g.round) + int64(n)
	if at.round < at.key {
		at.key = at.round
		g.rounds.Add(at.round, uint32(slot))
	}
}

// unpark makes the counts right when a member becomes due or ends.
func (g *DependencyTaskGroup[K]) unpark(m *member) {
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
func (g *DependencyTaskGroup[K]) makeDue(m *member) {
	g.unpark(m)
	g.due.Add(m.node)
}

// makeDueEarly ends a member's parking before the event that it may wait for as
// well: set later, that would cut short the pause before a round that nobody in
// the group waits for.
func (g *DependencyTaskGroup[K]) makeDueEarly(m *member) {
	if m.wait != nil {
		m.wait.leave()
	}
	g.makeDue(m)
}

// parked reports whether there is a member in the slot that is not due.
func (g *DependencyTaskGroup[K]) parked(slot int32) bool {
	return g.tasks[slot] != nil && !g.due.Has(g.slots[slot].node)
}

// wake makes the group a waker: the event that a member waits for was set.
func (g *DependencyTaskGroup[K]) wake(slot int32, turn uint32) {
	g.mu.Lock()
	g.inbox = append(g.inbox, wakeup{slot, turn})
	g.mu.Unlock()
	g.event.Set()
}

// collect begins a round: it finds the members that have become due.
func (g *DependencyTaskGroup[K]) collect() {
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

func (g *DependencyTaskGroup[K]) collectEvents() {
	g.mu.Lock()
	g.inbox, g.woken = g.woken[:0], g.inbox
	g.mu.Unlock()
	for _, w := range g.woken {
		// One that waits for something else by now has another turn.
		if m := &g.slots[w.slot]; g.parked(w.slot) && m.wait != nil && m.wait.turn == w.turn {
			g.makeDue(m)
		}
	}
}

func (g *DependencyTaskGroup[K]) collectRounds() {
	g.popped = g.rounds.Advance(int64(g.round), g.popped[:0])
	for _, e := range g.popped {
		m, at := &g.slots[e.Item], &g.parkedAt[e.Item]
		if at.key != e.Key {
			continue
		}
		at.key = none
		switch {
		case m.flags&parkedByRounds == 0:
		case at.round <= int64(g.round):
			g.makeDueEarly(m)
		default:
			at.key = at.round
			g.rounds.Add(at.round, e.Item)
		}
	}
}

func (g *DependencyTaskGroup[K]) collectTimers() {
	g.popped = g.timers.Advance(g.now, g.popped[:0])
	for _, e := range g.popped {
		m := &g.slots[e.Item]
		if m.timeKey != e.Key {
			continue
		}
		m.timeKey = none
		switch {
		case !g.parked(int32(e.Item)) || m.time == none:
		case m.time <= g.now:
			g.makeDueEarly(m)
		default:
			m.timeKey = m.time
			g.timers.Add(m.time, e.Item)
		}
	}
}

// expireLimits makes due whose deadline has passed: it has its turn in this
// round if that is still to come.
func (g *DependencyTaskGroup[K]) expireLimits() {
	g.popped = g.deadlines.Advance(g.now, g.popped[:0])
	for _, e := range g.popped {
		if m := &g.slots[e.Item]; g.checkLimit(e) && g.parked(int32(e.Item)) {
			g.makeDueEarly(m)
		}
	}
}

// checkLimit reports whether an entry of the deadlines still stands for one.
func (g *DependencyTaskGroup[K]) checkLimit(e wheel.Entry) bool {
	m := &g.slots[e.Item]
	return g.tasks[e.Item] != nil && m.kind != noDeadline && later(m.limit, 1) == e.Key
}

// nextLimit returns the instant from which on the earliest deadline has passed.
func (g *DependencyTaskGroup[K]) nextLimit() int64 {
	if g.deadlines.Len() == 0 {
		return never
	}
	if at, ok := g.deadlines.Min(g.isLimit); ok {
		return at
	}
	return never
}

// nextTimer returns the earliest time that a parked member waits for.
func (g *DependencyTaskGroup[K]) nextTimer() int64 {
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
			m := &g.slots[slot]
			m.timeKey = m.time
			g.timers.Add(m.time, uint32(slot))
		}
		g.rearm = g.rearm[:0]
	}
	return never
}

// checkTimer reports whether an entry of the timers is for the time that its
// member waits for. One that is early is kept for later.
func (g *DependencyTaskGroup[K]) checkTimer(e wheel.Entry) bool {
	m := &g.slots[e.Item]
	switch {
	case m.timeKey != e.Key:
		return false
	case m.time == e.Key && g.parked(int32(e.Item)):
		return true
	}
	m.timeKey = none
	if m.time != none && g.parked(int32(e.Item)) {
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
func (g *DependencyTaskGroup[K]) contextOf(ctx context.Context, slot int32) context.Context {
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
