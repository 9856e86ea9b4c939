package scheduler

import (
	"slices"
	"sync/atomic"

	"github.com/steptask/scheduler/internal/bitset"
	"github.com/steptask/scheduler/internal/wheel"
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

	// By slot, each made once a member waits in that way.
	byRound []alarmKey
	byTime  []alarmKey
	waiters []*waiter
	unused  []waiter // made beside those, and not in the table yet

	rounds    wheel.Wheel // keys: rounds
	times     wheel.Wheel // keys: instants
	forRounds int         // members parked for rounds
	forClaims int         // members parked for nothing but claims
	popped    []wheel.Entry
	early     []int32
	isTimer   func(wheel.Entry) bool // made when first needed, and once: no allocation in a round

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
)

// alarmKey is the round or time at which a parked member wants to be stepped, and
// the key under which it is in the wheel; either may be never. A member that puts
// its time off again and again is in the wheel once: it is put back when it comes
// out early.
type alarmKey struct {
	at, key int64
}

func (k *parking) init(nodes int) {
	k.due = bitset.New(nodes)
	k.free = noSlot
}

// occupy gives a member a slot. If there is none, room is made for as many as
// more says will be wanted soon: doubling again and again would cost more than all
// the steps of a large group.
func (k *parking) occupy(p int32, task Task, more func(slots int) int) int32 {
	slot := k.free
	if slot != noSlot {
		k.free = k.slots[slot].node
	} else {
		slot = int32(len(k.slots))
		if len(k.slots) == cap(k.slots) {
			k.grow(more(len(k.slots)))
		}
		k.slots, k.tasks = k.slots[:slot+1], k.tasks[:slot+1]
	}
	k.slots[slot] = member{node: p}
	k.tasks[slot] = task
	return slot
}

func (k *parking) grow(more int) {
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

// release takes a member's slot back.
func (k *parking) release(slot int32) {
	m := &k.slots[slot]
	k.due.Remove(m.node)
	k.unpark(m)
	k.unwait(slot)
	endAlarm(k.byRound, slot)
	endAlarm(k.byTime, slot)
	k.tasks[slot] = nil
	m.node = k.free
	k.free = slot
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
	k.due.Remove(m.node)
	if int(slot) < len(k.byTime) {
		k.byTime[slot].at = never
	}
	if rounds := y.rounds(); rounds > 0 {
		k.forRounds++
		m.flags |= parkedForRounds
		k.parkUntil(&k.byRound, &k.rounds, slot, int64(round)+int64(rounds))
	}
	if y = y.absolute(clock); y.code&yieldAt != 0 {
		k.parkUntil(&k.byTime, &k.times, slot, min(y.at, never-1))
	}
	const timed = yieldNext | yieldRounds | yieldAt
	if y.code&yieldClaims != 0 && y.code&timed == 0 {
		k.forClaims++
		m.flags |= parkedForClaims
	}
	if y.event != nil {
		k.await(slot, y.event)
	} else {
		k.unwait(slot)
	}
}

// replace puts a task in the place of a member's, which waits for nothing but an
// event.
func (k *parking) replace(slot int32, task Task, e *Event, clock timeSource) {
	k.unpark(&k.slots[slot])
	endAlarm(k.byRound, slot)
	endAlarm(k.byTime, slot)
	k.tasks[slot] = task
	k.park(slot, Yield{event: e, code: yieldEvent}, 0, clock)
}

// parkUntil lets the member in a slot wait for a round or a time.
func (k *parking) parkUntil(alarms *[]alarmKey, w *wheel.Wheel, slot int32, at int64) {
	if n := len(*alarms); int(slot) >= n {
		*alarms = extended(*alarms, k.capacity())
		for i := range (*alarms)[n:] {
			(*alarms)[n+i] = alarmKey{never, never}
		}
	}
	a := &(*alarms)[slot]
	a.at = at
	if at < a.key {
		a.key = at
		w.Add(at, uint32(slot))
	}
}

// endAlarm makes void what is left in the wheel for a member that ends.
func endAlarm(alarms []alarmKey, slot int32) {
	if int(slot) < len(alarms) { // it may be a slot that is newer
		alarms[slot] = alarmKey{never, never}
	}
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

// unpark makes the counts right when a member becomes due or ends.
func (k *parking) unpark(m *member) {
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
	m := &k.slots[slot]
	k.unpark(m)
	k.due.Add(m.node)
}

// makeDueEarly ends a member's parking before the event that it may wait for as
// well: set later, that would cut short the pause before a round that nobody in
// the group waits for.
func (k *parking) makeDueEarly(slot int32) {
	k.unwait(slot)
	k.makeDue(slot)
}

// isParked reports whether there is a member in a slot that is not due.
func (k *parking) isParked(slot int32) bool {
	return k.tasks[slot] != nil && !k.due.Has(k.slots[slot].node)
}

// wantsRound reports whether a member waits for a round of its own accord.
func (k *parking) wantsRound() bool { return k.forRounds > 0 || !k.due.Empty() }

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

// takeCall reports whether the event was set since the last round. What it was set
// for is to be looked at after this, so that nothing is missed that comes meanwhile.
func (k *parking) takeCall() bool {
	if !k.event.set.Load() {
		return false
	}
	k.called.Swap(false)
	k.event.Reset()
	return true
}

// beginRound finds the members that have become due by their events, or by the
// number of the round.
func (k *parking) beginRound(round int) {
	if len(k.woken) > 0 {
		k.takeWakeups()
	}
	if k.rounds.Len() > 0 {
		k.takeRounds(int64(round))
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

// isWoken reports whether a member still waits for the event that was set.
func (k *parking) isWoken(w wokenSlot) bool {
	wait := k.waiter(w.slot)
	return k.isParked(w.slot) && wait != nil && wait.generation == w.generation
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

func (k *parking) takeRounds(round int64) {
	k.popped = k.rounds.Advance(round, k.popped[:0])
	for _, e := range k.popped {
		m, a := &k.slots[e.Item], &k.byRound[e.Item]
		if a.key != e.Key {
			continue
		}
		a.key = never
		switch {
		case m.flags&parkedForRounds == 0:
		case a.at <= round:
			k.makeDueEarly(int32(e.Item))
		default:
			a.key = a.at
			k.rounds.Add(a.at, e.Item)
		}
	}
}

// hasTimes reports whether takeTimes may find somebody.
func (k *parking) hasTimes() bool { return k.times.Len() > 0 }

// takeTimes finds the members that have become due by the time.
func (k *parking) takeTimes(now int64) {
	k.popped = k.times.Advance(now, k.popped[:0])
	for _, e := range k.popped {
		a := &k.byTime[e.Item]
		if a.key != e.Key {
			continue
		}
		a.key = never
		switch {
		case !k.isParked(int32(e.Item)) || a.at == never:
		case a.at <= now:
			k.makeDueEarly(int32(e.Item))
		default:
			a.key = a.at
			k.times.Add(a.at, e.Item)
		}
	}
}

// nextTime returns the earliest time that a parked member waits for, or never.
func (k *parking) nextTime() int64 {
	if k.isTimer == nil && k.times.Len() > 0 {
		k.isTimer = k.checkTimer
	}
	for k.times.Len() > 0 {
		at, ok := k.times.Min(k.isTimer)
		if len(k.early) == 0 {
			if ok {
				return at
			}
			break
		}
		// Some were in the wheel too early, for a time that they have put off.
		for _, slot := range k.early {
			a := &k.byTime[slot]
			a.key = a.at
			k.times.Add(a.at, uint32(slot))
		}
		k.early = k.early[:0]
	}
	return never
}

// checkTimer reports whether an entry of times is for the time that its member
// waits for. One that is early is kept for later.
func (k *parking) checkTimer(e wheel.Entry) bool {
	a := &k.byTime[e.Item]
	switch {
	case a.key != e.Key:
		return false
	case a.at == e.Key && k.isParked(int32(e.Item)):
		return true
	}
	a.key = never
	if a.at != never && k.isParked(int32(e.Item)) {
		k.early = append(k.early, int32(e.Item))
	}
	return false
}

// until says what the member in a slot waits for.
func (k *parking) until(slot int32, round int) (y Yield) {
	m := &k.slots[slot]
	if k.due.Has(m.node) {
		return Next
	}
	if m.flags&parkedForRounds != 0 {
		y = y.Or(Rounds(int(k.byRound[slot].at) - round))
	}
	if int(slot) < len(k.byTime) && k.byTime[slot].at != never {
		y = y.Or(Yield{at: k.byTime[slot].at, code: yieldAt})
	}
	if wait := k.waiter(slot); wait != nil && wait.event != nil {
		y = y.Or(Yield{event: wait.event, code: yieldEvent})
	}
	return y
}

// end lets go of everything. The event stays.
func (k *parking) end() {
	k.tasks, k.slots, k.byRound, k.byTime, k.waiters, k.unused = nil, nil, nil, nil, nil, nil
	k.rounds, k.times = wheel.Wheel{}, wheel.Wheel{}
}
