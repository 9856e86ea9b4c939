package scheduler

import (
	"sync"
	"sync/atomic"
)

// Event is a latch that tasks wait for with [On]. Once set it stays set until
// [Event.Reset], so it does not matter which comes first, the wait or the Set. The
// zero Event is ready for use and not set. It must not be copied after its first use.
//
// Any goroutine may call Set, repeatedly and concurrently. The other methods are for
// the goroutine that drives the run.
type Event struct {
	set   atomic.Bool
	marks atomic.Uint32

	mu    sync.Mutex
	first *waiter // who waits, the newest first; guarded by mu

	of *sources // of an event that On made of several; else nil
}

// The marks of an event, which stay.
const (
	hadWaiter uint32 = 1 << iota // somebody has waited, once: else there is nobody to wake
	hasParts                     // of BeginClose, which is to be called again when it is set
)

func (e *Event) has(mark uint32) bool { return e.marks.Load()&mark != 0 }

// sources are what an event of several is made of: it is set while one of them
// is, and waits for each of them while somebody waits for it.
type sources struct {
	events []*Event // never changed
	links  []waiter // one for each event; guarded by the mu of the event of several
}

// waiter is a place in an event's list of those who wait for it.
type waiter struct {
	// The owner's: read and written by it alone, or before linking.
	owner waker
	slot  int32
	event *Event // what it waits for, or waited for last

	// Guarded by event.mu.
	linked     bool
	generation uint32 // tells this wait from earlier ones; changes only while not linked
	prev, next *waiter
}

// Set sets the event and wakes all tasks that wait for it. It does not block and runs
// no task code: each driver steps the woken tasks in its next round, all in the same
// one and in key order, even if they are in several groups.
func (e *Event) Set() {
	if e == nil {
		panicNil("Event.Set")
	}
	setting.RLock()
	if !e.mark() {
		setting.RUnlock()
		return
	}
	list := spareList.Swap(nil)
	if list == nil {
		list = new([]wakeup)
	}
	*list = e.takeWaiters((*list)[:0])
	enterAll(*list)
	setting.RUnlock()
	signalAll(*list)
	clear(*list)
	if cap(*list) <= 1<<10 { // else its memory is worth more than its making
		spareList.Store(list)
	}
}

// spareList is a list that Set has no use for at the moment. Of several calls at
// once only one finds it.
var spareList atomic.Pointer[[]wakeup]

// mark sets the event, and reports whether there may be something to wake. Of
// several calls at once one wakes all: who begins to wait looks at set itself.
func (e *Event) mark() bool { return !e.set.Swap(true) && e.has(hadWaiter) }

// IsSet reports whether the event is set.
func (e *Event) IsSet() bool {
	if e == nil {
		panicNil("Event.IsSet")
	}
	if e.set.Load() {
		return true
	}
	if e.of == nil {
		return false
	}
	for _, source := range e.of.events {
		if source.IsSet() {
			return true
		}
	}
	return false
}

// Reset clears the event. Tasks that an earlier Set has woken still get their step.
func (e *Event) Reset() {
	if e == nil {
		panicNil("Event.Reset")
	}
	// Swap, not Store: what was written before a Set is to be seen after this,
	// also if another had set the event already.
	e.set.Swap(false)
}

// takeWaiters takes all waiters out of the event, and adds their wakeups to the
// list. In the place of an event made of several, it adds those of its waiters.
func (e *Event) takeWaiters(list []wakeup) []wakeup {
	next := len(list)
	list = e.unlinkAll(list)
	for ; next < len(list); next++ {
		if several, ok := list[next].owner.(*Event); ok {
			list = several.unlinkAll(list)
		}
	}
	return list
}

func (e *Event) unlinkAll(list []wakeup) []wakeup {
	e.mu.Lock()
	defer e.mu.Unlock()
	for w := e.first; w != nil; w = e.first {
		list = append(list, wakeup{w.owner, w.slot, w.generation})
		e.unlink(w)
	}
	return list
}

// An event of several is a waker: one of its sources was set. Its waiters have
// been taken with those of the source.
func (e *Event) run() *wakes               { return nil }
func (e *Event) wake(int32, uint32) *Event { return nil }

// wait makes w wait for e, and for nothing else. If e is set already, w is
// woken at once.
func (w *waiter) wait(e *Event) {
	if w.event != e {
		w.leave()
		w.event = e
	}
	e.mu.Lock()
	if w.linked {
		e.mu.Unlock()
		return
	}
	e.link(w)
	e.mu.Unlock()
	// Looked at after linking: a Set before it is seen here, a later one finds
	// w in the list. Being woken by both is harmless.
	if e.IsSet() {
		w.leave()
		one := [1]wakeup{{w.owner, w.slot, w.generation}}
		enterAll(one[:])
		signalAll(one[:])
	}
}

// leave makes w wait for nothing. Wakes that are under way have an old generation.
func (w *waiter) leave() {
	e := w.event
	if e == nil { // not in a list, so nobody else looks at its generation
		w.generation++
		return
	}
	e.mu.Lock()
	if w.linked {
		e.unlink(w)
	}
	w.generation++
	e.mu.Unlock()
	w.event = nil
}

// link puts w in front. The caller holds e.mu.
func (e *Event) link(w *waiter) {
	if !e.has(hadWaiter) {
		e.marks.Or(hadWaiter)
	}
	if e.first == nil && e.of != nil {
		e.linkSources()
	}
	w.generation++
	w.linked = true
	w.prev, w.next = nil, e.first
	if e.first != nil {
		e.first.prev = w
	}
	e.first = w
}

// unlink takes w out. The caller holds e.mu.
func (e *Event) unlink(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		e.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.linked, w.prev, w.next = false, nil, nil
	if e.first == nil && e.of != nil {
		for i := range e.of.links {
			e.of.links[i].leave()
		}
	}
}

// linkSources makes an event of several wait for each of them. The caller holds
// e.mu and goes on to the sources' locks, never the other way round. It looks
// at IsSet itself once it has let go of e.mu.
func (e *Event) linkSources() {
	if e.of.links == nil {
		e.of.links = make([]waiter, len(e.of.events))
	}
	for i, source := range e.of.events {
		w := &e.of.links[i]
		w.owner, w.event = e, source
		source.mu.Lock()
		if !w.linked {
			source.link(w)
		}
		source.mu.Unlock()
	}
}

// anyOf returns an event that is set while one of the events is.
func anyOf(events []*Event) *Event { return &Event{of: &sources{events: events}} }
