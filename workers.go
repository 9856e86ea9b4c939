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
}

// begin has the call made.
func (w *workers) begin(c *call) {
	w.mu.Lock()
	if w.first == nil {
		w.first = c
	} else {
		w.last.next = c
	}
	w.last = c
	send := !w.coming
	w.coming = true
	w.mu.Unlock()
	if send {
		go w.run()
	}
}

// run makes calls as long as some wait.
func (w *workers) run() {
	for c := w.take(true); c != nil; c = w.take(false) {
		c.run()
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
	w.first, c.next = c.next, nil
	send := w.first != nil && !w.coming
	if send {
		w.coming = true
	}
	w.mu.Unlock()
	if send {
		go w.run()
	}
	return c
}
