package scheduler

import (
	"slices"
	"sync/atomic"

	"github.com/steptask/scheduler/internal/bitset"
)

// parking has the running members of a group that did not end in their first
// step, and knows which of them are due. One that is not due is parked: it is
// found again by the round, the time or the event that it waits for, and is not
// looked at before.
//
// Each member has a slot. Its task is in a table apart: a round of members that
// want the next one looks at nothing else.
type parking struct {
	tasks []Task // by slot; nil while it is free
	slots []member
	free  int32      // the first slot that was given back, linked by node, or noSlot
	due   bitset.Set // nodes to be stepped in the next round, or in this one

	rounds  timers
	times   timers
	waiters []*waiter // by slot; made once a member waits for an event
	unused  []waiter  // made beside those, and not in the table yet

	forRounds int // members parked for rounds
	forClaims int // members parked for nothing but claims

	wakes  *wakes      // of the run
	event  Event       // set when a member becomes due by an event, or by call
	called atomic.Bool // by call
	woken  []wokenSlot // for the next round
}

// wokenSlot is a member whose event was set, with the generation of its waiter.
type wokenSlot struct {
	slot       int32
	generation uint32
}

// member is what belongs to a running node, beside its task, in 8 bytes. What few
// members need is in tables of its own.
type member struct {
	node  int32 // the next free slot while it is free
	flags memberFlags
}

type memberFlags uint8

const (
	parkedForRounds memberFlags = 1 << iota
	parkedForClaims
	hasNotice      // it was told that the group, or it alone, is being stopped
	hasFinalNotice // and that it is the run, so that it starts nothing more
	isClosing      // a closingTask stands in its place
	hasParked      // it has waited, for more than the next round
)

func (k *parking) init(nodes int) {
	k.due = bitset.New(nodes)
	k.free = noSlot
}

// begin makes it that of a run, with its wakes.
func (k *parking) begin(w *wakes) { k.wakes = w }

// grow makes room for so many nodes.
func (k *parking) grow(nodes int) { k.due.Grow(nodes) }

// occupy gives a member a slot. There must be one: see isFull.
func (k *parking) occupy(p int32, task Task) int32 {
	slot := k.free
	if slot != noSlot {
		k.free = k.slots[slot].node
	} else {
		slot = int32(len(k.slots))
		k.slots, k.tasks = k.slots[:slot+1], k.tasks[:slot+1]
	}
	k.slots[slot] = member{node: p}
	k.tasks[slot] = task
	return slot
}

// isFull reports whether all slots are occupied, and addSlots makes more: as many as will
// be wanted soon, since doubling again and again would cost more than all the steps of a
// large group.
func (k *parking) isFull() bool { return k.free == noSlot && len(k.slots) == cap(k.slots) }

func (k *parking) addSlots(more int) {
	n := len(k.slots)
	slots, tasks := make([]member, n, n+more), make([]Task, n, n+more)
	copy(slots, k.slots)
	copy(tasks, k.tasks)
	k.slots, k.tasks = slots, tasks
}

// capacity returns how many slots there are before they grow again: how long
// tables by slot should be.
func (k *parking) capacity() int { return cap(k.slots) }

// extended returns a table by slot that is as long as the slots will be before
// they grow again.
func extended[T any](table []T, slots int) []T {
	return append(table, make([]T, slots-len(table))...)
}

// release takes a member's slot back, and returns its task.
func (k *parking) release(slot int32) Task {
	m, task := &k.slots[slot], k.tasks[slot]
	k.due.Remove(m.node)
	if m.flags&hasParked != 0 { // else nothing else knows of it
		k.unpark(slot)
		k.unwait(slot)
		k.rounds.clear(slot)
		k.times.clear(slot)
	}
	k.tasks[slot] = nil
	m.node = k.free
	k.free = slot
	return task
}

// task returns the task of the member in a slot.
func (k *parking) task(slot int32) Task { return k.tasks[slot] }

// has reports whether the member in a slot has a flag, and add gives it one.
func (k *parking) has(slot int32, flag memberFlags) bool { return k.slots[slot].flags&flag != 0 }
func (k *parking) add(slot int32, flag memberFlags)      { k.slots[slot].flags |= flag }

// members returns the nodes that have a slot, in key order.
func (k *parking) members() []int32 {
	var found []int32
	for slot, task := range k.tasks {
		if task != nil {
			found = append(found, k.slots[slot].node)
		}
	}
	slices.Sort(found)
	return found
}

// park lets a member wait for what it yielded in a round.
func (k *parking) park(slot int32, y Yield, round int, clock timeSource) {
	m := &k.slots[slot]
	m.flags |= hasParked
	k.due.Remove(m.node)
	if rounds := y.rounds(); rounds > 0 {
		k.forRounds++
		m.flags |= parkedForRounds
		k.rounds.set(slot, k.capacity(), int64(round)+int64(rounds))
	}
	if y = y.absolute(clock); y.code&yieldAt != 0 {
		k.times.set(slot, k.capacity(), min(y.at, never-1))
	}
	const timed = yieldNext | yieldRounds | yieldAt
	if y.code&yieldClaims != 0 && (y.code&timed == 0 || y.code&yieldServes != 0) {
		k.forClaims++
		m.flags |= parkedForClaims
	}
	if y.event != nil {
		k.await(slot, y.event)
	} else {
		k.unwait(slot)
	}
}

// next lets a member that is not parked wait for the next round, and isDue reports
// whether a node is to be stepped in it, or in this one.
func (k *parking) next(p int32)       { k.due.Add(p) }
func (k *parking) isDue(p int32) bool { return k.due.Has(p) }

// replace puts a task in the place of a member's, which waits for nothing but an
// event.
func (k *parking) replace(slot int32, task Task, e *Event, clock timeSource) {
	k.unpark(slot)
	k.tasks[slot] = task
	k.park(slot, Yield{event: e, code: yieldEvent}, 0, clock)
}

// await lets the member in a slot wait for an event.
func (k *parking) await(slot int32, e *Event) {
	if int(slot) >= len(k.waiters) {
		k.waiters = extended(k.waiters, k.capacity())
	}
	w := k.waiters[slot]
	if w == nil {
		w = k.newWaiter()
		w.owner, w.slot = k, slot
		k.waiters[slot] = w
	}
	w.wait(e)
}

// newWaiter makes waiters by the dozen: where one member waits, most do.
func (k *parking) newWaiter() *waiter {
	if len(k.unused) == 0 {
		k.unused = make([]waiter, min(k.capacity(), 32))
	}
	w := &k.unused[0]
	k.unused = k.unused[1:]
	return w
}

// unwait ends its waiting for an event, if it does.
func (k *parking) unwait(slot int32) {
	if w := k.waiter(slot); w != nil {
		w.leave()
	}
}

// waiter returns what the member in a slot waits for events with, or nil.
func (k *parking) waiter(slot int32) *waiter {
	if int(slot) >= len(k.waiters) {
		return nil
	}
	return k.waiters[slot]
}

// unpark ends a member's waiting for rounds, times and claims, since it becomes due
// or ends.
func (k *parking) unpark(slot int32) {
	k.rounds.unset(slot)
	k.times.unset(slot)
	m := &k.slots[slot]
	if m.flags&parkedForRounds != 0 {
		m.flags &^= parkedForRounds
		k.forRounds--
	}
	if m.flags&parkedForClaims != 0 {
		m.flags &^= parkedForClaims
		k.forClaims--
	}
}

// makeDue ends a member's parking because its event was set.
func (k *parking) makeDue(slot int32) {
	k.unpark(slot)
	k.due.Add(k.slots[slot].node)
}

// makeDueEarly ends a member's parking before the event that it may wait for as
// well: set later, that would cut short the pause before a round that nobody in
// the group waits for.
func (k *parking) makeDueEarly(slot int32) {
	k.unwait(slot)
	k.makeDue(slot)
}

// wantsRound reports whether a member waits for a round of its own accord.
func (k *parking) wantsRound() bool { return k.forRounds > 0 || !k.due.Empty() }

// waiting returns what the group waits for so that a member becomes due, times left aside.
func (k *parking) waiting() Yield {
	y := Yield{event: &k.event, code: yieldEvent}
	if k.wantsRound() {
		y.code |= yieldNext
	}
	return y
}

// countForClaims returns how many members wait for nothing but claims.
func (k *parking) countForClaims() int { return k.forClaims }

// run makes parking a waker.
func (k *parking) run() *wakes { return k.wakes }

// wake keeps that the event of a member was set for the next round. One that waits
// for something else by now has another generation.
func (k *parking) wake(slot int32, generation uint32) *Event {
	if w := k.waiter(slot); w == nil || w.generation != generation {
		return nil
	}
	k.woken = append(k.woken, wokenSlot{slot, generation})
	return &k.event
}

// call makes the group due for something that no member waits for. It may be
// called from any goroutine, once that something can be seen.
func (k *parking) call() {
	k.called.Store(true)
	k.event.Set()
}

// signal sets the group's event, and isSignalled reports whether it is set.
func (k *parking) signal()           { k.event.Set() }
func (k *parking) isSignalled() bool { return k.event.set.Load() }

// hasNews reports whether the event is set, or is by wakes of the run that were not
// delivered yet.
func (k *parking) hasNews() bool {
	k.wakes.deliver()
	return k.isSignalled()
}

// endInParts makes the event that of BeginClose in parts, and endsInParts reports whether
// it is.
func (k *parking) endInParts() *Event {
	k.event.marks.Or(hasParts)
	return &k.event
}

func (k *parking) endsInParts() bool { return k.event.has(hasParts) }

// takeCall reports whether the event was set since the last round. What it was set
// for is to be looked at after this, so that nothing is missed that comes meanwhile.
func (k *parking) takeCall() bool {
	if !k.isSignalled() {
		return false
	}
	k.called.Swap(false)
	k.event.Reset()
	return true
}

// beginRound finds the members that have become due by their events, or by the
// number of the round.
func (k *parking) beginRound(round int) {
	k.takeWakeups()
	if k.rounds.some() {
		k.takeTimers(&k.rounds, int64(round))
	}
}

func (k *parking) takeWakeups() {
	for _, w := range k.woken {
		if k.isWoken(w) {
			k.makeDue(w.slot)
		}
	}
	k.woken = k.woken[:0]
}

// isWoken reports whether a member still waits for the event that was set: one that
// has become due otherwise, or has ended, has another generation.
func (k *parking) isWoken(w wokenSlot) bool {
	return k.waiters[w.slot].generation == w.generation
}

// dropWakes takes the event back if it was set only for members that have ended
// since, or wait for something else: it would cut short the pause before a round
// that nobody waits for.
func (k *parking) dropWakes() {
	k.woken = slices.DeleteFunc(k.woken, func(w wokenSlot) bool { return !k.isWoken(w) })
	if len(k.woken) > 0 {
		return
	}
	k.event.Reset()
	if k.called.Load() { // perhaps meanwhile
		k.event.Set()
	}
}

// hasTimes reports whether takeTimes may find somebody.
func (k *parking) hasTimes() bool { return k.times.some() }

// takeTimes finds the members that have become due by the time.
func (k *parking) takeTimes(now int64) { k.takeTimers(&k.times, now) }

func (k *parking) takeTimers(t *timers, now int64) {
	for _, e := range t.passed(now) {
		k.makeDueEarly(int32(e.Item))
	}
}

// nextTime returns the earliest time that a parked member waits for, or never.
func (k *parking) nextTime() int64 { return k.times.next() }

// until says what the member in a slot waits for.
func (k *parking) until(slot int32, round int) (y Yield) {
	m := &k.slots[slot]
	if k.isDue(m.node) {
		return Next
	}
	if at := k.rounds.of(slot); at != never {
		y = y.Or(Rounds(int(at) - round))
	}
	if at := k.times.of(slot); at != never {
		y = y.Or(Yield{at: at, code: yieldAt})
	}
	if wait := k.waiter(slot); wait != nil && wait.event != nil {
		y = y.Or(Yield{event: wait.event, code: yieldEvent})
	}
	return y
}

// end lets go of everything. The event stays.
func (k *parking) end() {
	k.tasks, k.slots, k.waiters, k.unused, k.woken = nil, nil, nil, nil, nil
	k.rounds, k.times = timers{}, timers{}
}
