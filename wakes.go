package scheduler

import (
	"sync"
	"sync/atomic"
)

// waker is what an Event wakes: a group, a runner, or an event made of several.
type waker interface {
	// run returns where the wakes of the run that it is part of are entered, or
	// nil: it is woken at once, on the goroutine of Set.
	run() *wakes

	// wake says that the event of a waiter was set, with the slot and the generation
	// that the waiter had when it was linked. It holds no lock. It returns an
	// event that is to be set for it, or nil.
	wake(slot int32, generation uint32) *Event
}

// wakeup is that the event which a waiter waits for was set.
type wakeup struct {
	owner      waker
	slot       int32
	generation uint32
}

// wakes are the wakeups of a run that it has not looked at yet. They come from any
// goroutine, and are delivered before the run's next step. So all that wait for
// one event are due in the same round, whatever groups they are in.
type wakes struct {
	some  atomic.Bool
	owner interface{ signal() } // the outermost runner or group

	mu    sync.Mutex
	list  []wakeup // guarded by mu
	spare []wakeup // the other half of a pair of buffers
}

// setting is held for reading from the moment that an event is set until all that
// wait for it are entered, so that no run takes in some of them and not the others.
var setting sync.RWMutex

// enterAll enters wakeups into their runs.
func enterAll(list []wakeup) {
	for len(list) > 0 {
		run, n := list[0].owner.run(), 1
		for n < len(list) && list[n].owner.run() == run {
			n++
		}
		if run != nil {
			run.mu.Lock()
			run.list = append(run.list, list[:n]...)
			run.some.Store(true)
			run.mu.Unlock()
		}
		list = list[n:]
	}
}

// signalAll tells the runs of wakeups that were entered, and wakes what belongs to
// no run.
func signalAll(list []wakeup) {
	var last *wakes
	for i := range list {
		w := &list[i]
		run := w.owner.run()
		switch {
		case run == nil:
			if e := w.owner.wake(w.slot, w.generation); e != nil {
				e.Set()
			}
		case run != last:
			last = run
			run.owner.signal()
		}
	}
}

// arePending reports whether there are any.
func (w *wakes) arePending() bool { return w.some.Load() }

// deliver is called by the outermost runner or group, between two steps. What
// groups and runners inside are woken for goes outwards from there.
func (w *wakes) deliver() {
	for w.some.Load() {
		setting.Lock()
		setting.Unlock() //nolint:staticcheck // What is being set is entered now.
		w.mu.Lock()
		list := w.list
		w.list, w.spare = w.spare[:0], nil
		w.some.Store(false)
		w.mu.Unlock()
		w.spare = wakeAll(list)
	}
}

// wakeOf wakes those that wait for an event, which was marked, between two steps.
func (w *wakes) wakeOf(e *Event) { w.spare = wakeAll(e.takeWaiters(w.spare[:0])) }

// wakeAll wakes the owners of wakeups, and those that wait for the events of groups and
// runners that are due by that. It returns the list, empty.
func wakeAll(list []wakeup) []wakeup {
	for i := 0; i < len(list); i++ {
		e := list[i].owner.wake(list[i].slot, list[i].generation)
		if e != nil && e.mark() {
			list = e.takeWaiters(list)
		}
	}
	clear(list)
	return list[:0]
}

// signal makes the engine the owner of the wakes of a run, if it is the outermost.
func (g *engine) signal() { g.parking.signal() }

// deliver takes in the wakes of the run, if the engine is the outermost.
func (g *engine) deliver() {
	if g.pool != nil {
		g.pool.wakes.deliver()
	}
}

// dropWakes takes the group's event back if it makes nobody due. That of an outermost
// group is set for each wake of the run.
func (g *engine) dropWakes() {
	if !g.parking.isSignalled() {
		return
	}
	g.deliver()
	g.parking.dropWakes()
	if g.pool != nil && g.pool.wakes.arePending() {
		// Not covered: another has come meanwhile.
		g.signal()
	}
}
