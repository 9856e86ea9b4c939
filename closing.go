package scheduler

import "sync/atomic"

// Closer is a [Task] whose Close may have to wait for a call. Drivers ask all such
// tasks to end before they wait for the first, and step other tasks meanwhile.
//
// Drivers look for Closer, [Thrower] and [Stopper] through wrappers that have a
// method Unwrap() Task.
type Closer interface {
	Task

	// BeginClose asks a task that has started and not ended to end. It runs on the
	// driving goroutine, does not block, and runs none of the code that Close would
	// run. It returns an event that is set once Close will not wait, or nil if it
	// will not wait now. Only BeginClose and Close are called afterwards. Close
	// alone, without it, waits.
	//
	// A group with services ([Ready]) ends in parts: its event is set when one of
	// them can be ended. Another BeginClose ends that part as Close would, and
	// returns the event of the next one, or nil.
	BeginClose() *Event
}

// Ending returns the Yield of a task that is ending and waits only for e. In answer
// to a [*Timeout] without grace it keeps the task from being closed: the task is
// stepped once more when e is set, and the result of that step is its answer.
func Ending(e *Event) Yield {
	if e == nil {
		panic("scheduler: Ending: nil event")
	}
	y := On(e)
	y.code |= yieldEnding
	return y
}

// beginClose asks a task to end. It returns nil if Close will not wait.
func beginClose(task Task) *Event {
	if c, ok := lookFor[Closer](task); ok {
		return c.BeginClose()
	}
	return nil
}

// endPart is called when e is set, which beginClose has returned. If there is more to
// be waited for, it returns the event of that, else nil.
func endPart(task Task, e *Event) *Event {
	if !e.has(hasParts) {
		return nil
	}
	return beginClose(task)
}

// lookFor returns the task, or the first one inside it by Unwrap, that is a T.
func lookFor[T Task](task Task) (t T, ok bool) {
	for {
		if t, ok = task.(T); ok {
			return t, true
		}
		w, wraps := task.(interface{ Unwrap() Task })
		if !wraps {
			return t, false
		}
		task = w.Unwrap()
	}
}

// allOf returns an event that is set once each of the given ones has been, and
// nil for none.
func allOf(events []*Event) *Event {
	switch len(events) {
	case 0:
		return nil
	case 1:
		return events[0]
	}
	all := &countdown{waits: make([]countdownWait, len(events))}
	all.left.Store(int32(len(events)))
	for i, e := range events {
		w := &all.waits[i]
		w.all, w.waiter.owner = all, w
		w.waiter.wait(e)
	}
	return &all.event
}

// countdown sets its event when the last of the events that it waits for is set.
type countdown struct {
	event Event
	left  atomic.Int32
	waits []countdownWait
}

// countdownWait is the wait for one of them.
type countdownWait struct {
	all    *countdown
	waiter waiter
	woken  atomic.Bool // an event that is set while the wait is linked wakes it twice
}

func (w *countdownWait) run() *wakes { return nil }

func (w *countdownWait) wake(int32, uint32) *Event {
	if !w.woken.Swap(true) && w.all.left.Add(-1) == 0 {
		return &w.all.event
	}
	return nil
}
