package scheduler

import (
	"time"

	"github.com/steptask/scheduler/internal/wheel"
)

// deadlines are the limits and graces of a group's running members, whether they
// are due or parked.
type deadlines struct {
	bySlot []deadline         // made once a member has one
	graces []int64            // by slot: the end of a grace that comes after the member's own limit; 0: none
	thrown map[int32]*Timeout // by slot: the one that a member in its grace has got
	wheel  wheel.Wheel        // keys: the instants from which on a deadline has passed
	popped []wheel.Entry
	isLive func(wheel.Entry) bool // made when first needed, and once: no allocation in a round

	seen map[int32]*nodeLimit // by node that has not ended: limits that calls have seen

	count  int // members with one
	graced int // members with a grace
}

// some reports whether passed may find a member.
func (d *deadlines) some() bool { return d.wheel.Len() > 0 }

// none reports whether no member has a deadline.
func (d *deadlines) none() bool { return d.count == 0 }

// haveGraces reports whether any member has one.
func (d *deadlines) haveGraces() bool { return d.graced > 0 }

// limit gives the member in a slot, of so many, its own limit.
func (d *deadlines) limit(slot int32, slots int, at int64, span time.Duration) {
	*d.place(slot, slots) = deadline{at: at, span: span, kind: throwTimeout}
	d.count++
	d.wheel.Add(later(at, 1), uint32(slot))
}

// grant offers the member in a slot, of so many, a grace that ends at an instant,
// as kind says. Deadlines only come nearer.
func (d *deadlines) grant(slot int32, slots int, kind deadlineKind, at int64) {
	has := d.place(slot, slots)
	switch {
	case has.kind == throwTimeout && at >= has.at: // to be kept after its Timeout
		if len(d.graces) <= int(slot) {
			d.graces = extended(d.graces, slots)
		}
		if end := d.graces[slot]; end == 0 || at < end {
			d.graces[slot] = at
		}
		return
	case has.kind != noDeadline && at >= has.at:
		return
	case has.kind == closeTimedOut:
		kind = closeTimedOut // it has its end already, now it only comes earlier
	}
	d.uncount(has)
	has.at, has.kind = at, kind
	d.count++
	d.graced++
	d.wheel.Add(later(at, 1), uint32(slot))
}

// graceEnd returns the end of a grace that the member in a slot was granted and
// that comes after its own limit, or never.
func (d *deadlines) graceEnd(slot int32) int64 {
	if int(slot) >= len(d.graces) || d.graces[slot] == 0 {
		return never
	}
	return d.graces[slot]
}

func (d *deadlines) place(slot int32, slots int) *deadline {
	if int(slot) >= len(d.bySlot) {
		d.bySlot = extended(d.bySlot, slots)
	}
	return &d.bySlot[slot]
}

// of returns the deadline of the member in a slot.
func (d *deadlines) of(slot int32) deadline {
	if int(slot) >= len(d.bySlot) {
		return deadline{}
	}
	return d.bySlot[slot]
}

// mayHavePassed reports whether a member's deadline is to be looked at, by a
// reading that may be some steps old: a grace is always, and while there is one
// the clock is read at each step.
func (d *deadlines) mayHavePassed(slot int32, now int64) bool {
	if int(slot) >= len(d.bySlot) {
		return d.graced > 0
	}
	has := &d.bySlot[slot]
	return d.graced > 0 || has.isSet() && has.hasPassed(now)
}

// goOn gives the member in a slot, of so many, a grace in the place of its own limit, whose
// Timeout is t; afterTimeout returns that, or nil.
func (d *deadlines) goOn(slot int32, slots int, t *Timeout, at int64) {
	d.clear(slot)
	d.grant(slot, slots, closeTimedOut, at)
	if d.thrown == nil {
		d.thrown = map[int32]*Timeout{}
	}
	d.thrown[slot] = t
}

func (d *deadlines) afterTimeout(slot int32) *Timeout { return d.thrown[slot] }

// clear ends the deadline of the member in a slot, if it has one.
func (d *deadlines) clear(slot int32) {
	if int(slot) < len(d.bySlot) {
		d.uncount(&d.bySlot[slot])
	}
	if d.thrown != nil {
		delete(d.thrown, slot)
	}
	if int(slot) < len(d.graces) {
		d.graces[slot] = 0
	}
}

// uncount makes a deadline none. Its span stays: a Timeout may still ask for it.
func (d *deadlines) uncount(has *deadline) {
	if !has.isSet() {
		return
	}
	d.count--
	if !has.isLimit() {
		d.graced--
	}
	has.kind = noDeadline
}

// passed returns the members whose deadline has passed since it was asked last.
// The result is good until the next call.
func (d *deadlines) passed(now int64) []wheel.Entry {
	d.popped = d.wheel.Advance(now, d.popped[:0])
	live := d.popped[:0]
	for _, e := range d.popped {
		if d.check(e) {
			live = append(live, e)
		}
	}
	return live
}

// check reports whether an entry of the wheel still stands for a deadline.
func (d *deadlines) check(e wheel.Entry) bool {
	has := &d.bySlot[e.Item]
	return has.isSet() && has.timer() == e.Key
}

// next returns the instant from which on the earliest deadline has passed, or
// never.
func (d *deadlines) next() int64 {
	if !d.some() {
		return never
	}
	if d.isLive == nil {
		d.isLive = d.check
	}
	if at, ok := d.wheel.Min(d.isLive); ok {
		return at
	}
	return never
}

// forget says that a node has ended: a call that was left behind keeps its limit by
// itself.
func (d *deadlines) forget(p int32) {
	if d.seen != nil {
		delete(d.seen, p)
	}
}

// seenOf returns the limit of a node as calls inside it see it, or nil if none has seen
// it, and see keeps it.
func (d *deadlines) seenOf(p int32) *nodeLimit { return d.seen[p] }

func (d *deadlines) see(p int32, l *nodeLimit) {
	if d.seen == nil {
		d.seen = map[int32]*nodeLimit{}
	}
	d.seen[p] = l
}

// nodeLimit is the time limit of a node, as the calls inside it see it: once the node is
// ready it counts no more.
type nodeLimit struct {
	group   *engine
	hidden  bool       // a Shield is between it and the next; never changed once calls have seen it
	at      int64      // in wall time
	noticed int64      // the same, with the grace that follows if a group inside makes it a notice; 0: unknown or never
	around  *nodeLimit // that of the next node further out that had one; never changed
}

// isOf reports whether it is that of a node of that group, of which there is one around a
// call. l may be nil.
func (l *nodeLimit) isOf(g *engine) bool { return l != nil && l.group == g }

// end returns when it ends a call, if it gives notice at first or not; 0: unknown or never.
func (l *nodeLimit) end(noticed bool) int64 {
	if noticed {
		return l.noticed
	}
	return l.at
}

// hide notes that there is a Shield around the node.
func (l *nodeLimit) hide() {
	if l != nil && !l.hidden {
		l.hidden = true
	}
}

// end lets go of everything.
func (d *deadlines) end() { *d = deadlines{} }
