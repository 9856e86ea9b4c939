package scheduler

import "sync"

// workers are the goroutines that make the calls of a run. A goroutine that has
// ended a call takes the next one that waits, and is gone if there is none: so
// nothing is left of them when the run is at its end.
//
// No call waits for another, though each may block for ever: as long as one
// waits, a goroutine is on its way that will look for it, beside those that
// make calls. It is the first that looks who sends for the next.
type workers struct {
	mu          sync.Mutex
	first, last *call // those that wait, linked by next
	coming      bool  // a goroutine is on its way

	walker *walker // of a Walk: its goroutines do more than calls
}

// begin has the call made. In a walk, a goroutine that has driven the group takes
// it, or sends for another.
func (w *workers) begin(c *call) {
	w.mu.Lock()
	if w.first == nil {
		w.first = c
	} else {
		w.last.next = c
	}
	w.last = c
	send := w.walker == nil && w.sendFor()
	w.mu.Unlock()
	if send {
		go w.run()
	}
}

// send sees to it that a goroutine is on its way if a call waits.
func (w *workers) send() {
	w.mu.Lock()
	send := w.sendFor()
	w.mu.Unlock()
	if send {
		go w.run()
	}
}

// sendFor reports whether a goroutine has to be sent for, and notes that it is. The
// caller holds w.mu.
func (w *workers) sendFor() bool {
	if w.coming || w.first == nil && (w.walker == nil || !w.walker.isDue()) {
		return false
	}
	w.coming = true
	return true
}

// run makes calls as long as some wait.
func (w *workers) run() {
	if w.walker != nil {
		w.walker.work(true)
		return
	}
	for c := w.take(true); c != nil; c = w.take(false) {
		c.run(nil)
	}
}

// take returns a call that waits, or nil. arrives says that the goroutine was on
// its way.
func (w *workers) take(arrives bool) *call {
	w.mu.Lock()
	if arrives {
		w.coming = false
	}
	c := w.first
	if c == nil {
		w.mu.Unlock()
		return nil
	}
	if w.first, c.next = c.next, nil; w.first == nil {
		w.last = nil // the run is not to keep the call
	}
	send := w.sendFor()
	w.mu.Unlock()
	if send {
		go w.run()
	}
	return c
}
