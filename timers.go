package scheduler

import "github.com/steptask/scheduler/internal/wheel"

// timers are the rounds, or the instants, that the parked members of a group wait
// for.
type timers struct {
	bySlot []timer     // made once a member waits in that way
	wheel  wheel.Wheel // keys: rounds, or instants
	popped []wheel.Entry
	early  []int32                // slots
	isLive func(wheel.Entry) bool // made when first needed, and once: no allocation in a round
}

// timer is what the member in a slot waits for, and the key under which it is in the
// wheel; either may be never. A member that puts its time off again and again is in
// the wheel once: it is put back when it comes out early.
type timer struct {
	at, key int64
}

// set lets the member in a slot, of so many, wait for a round or an instant.
func (t *timers) set(slot int32, slots int, at int64) {
	if n := len(t.bySlot); int(slot) >= n {
		t.bySlot = extended(t.bySlot, slots)
		for i := range t.bySlot[n:] {
			t.bySlot[n+i] = timer{never, never}
		}
	}
	has := &t.bySlot[slot]
	has.at = at
	if at < has.key {
		has.key = at
		t.wheel.Add(at, uint32(slot))
	}
}

// unset lets the member in a slot wait for none.
func (t *timers) unset(slot int32) {
	if int(slot) < len(t.bySlot) { // it may be a slot that is newer
		t.bySlot[slot].at = never
	}
}

// clear is unset for a member that ends: what is left of it in the wheel is void.
func (t *timers) clear(slot int32) {
	if int(slot) < len(t.bySlot) {
		t.bySlot[slot] = timer{never, never}
	}
}

// of returns what the member in a slot waits for, or never.
func (t *timers) of(slot int32) int64 {
	if int(slot) >= len(t.bySlot) {
		return never
	}
	return t.bySlot[slot].at
}

// some reports whether a member may be waiting.
func (t *timers) some() bool { return t.wheel.Len() > 0 }

// passed returns those for which it is time now, and has not been before. The result
// is good until the next call.
func (t *timers) passed(now int64) []wheel.Entry {
	t.popped = t.wheel.Advance(now, t.popped[:0])
	due := t.popped[:0]
	for _, e := range t.popped {
		has := &t.bySlot[e.Item]
		if has.key != e.Key {
			continue
		}
		has.key = never
		switch {
		case has.at == never:
		case has.at <= now:
			due = append(due, e)
		default:
			t.putBack(int32(e.Item))
		}
	}
	return due
}

// putBack enters a timer into the wheel that was there for an earlier time.
func (t *timers) putBack(slot int32) {
	has := &t.bySlot[slot]
	has.key = has.at
	t.wheel.Add(has.at, uint32(slot))
}

// next returns the earliest of what is waited for, or never.
func (t *timers) next() int64 {
	if !t.some() {
		return never
	}
	if t.isLive == nil {
		t.isLive = t.check
	}
	for {
		at, ok := t.wheel.Min(t.isLive)
		switch {
		case len(t.early) > 0: // which may come before it
		case ok:
			return at
		default:
			return never
		}
		for _, slot := range t.early {
			t.putBack(slot)
		}
		t.early = t.early[:0]
	}
}

// check reports whether an entry of the wheel is for the time that its member waits
// for. One that is early is kept for later.
func (t *timers) check(e wheel.Entry) bool {
	has := &t.bySlot[e.Item]
	switch {
	case has.key != e.Key:
		return false
	case has.at == e.Key:
		return true
	}
	has.key = never
	if has.at != never {
		t.early = append(t.early, int32(e.Item))
	}
	return false
}
