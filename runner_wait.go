package scheduler

// taskWait is what the task of a runner waits for: what parking is to the members of a
// group.
type taskWait struct {
	y      Yield
	rounds uint64 // steps to be let pass before y is due by rounds
	waiter waiter // for the event of y
	woken  uint32 // the last generation of waiter whose event was set
}

func (w *taskWait) init(owner waker) { w.waiter.owner = owner }

// park has the task wait for what it yielded.
func (w *taskWait) park(y Yield, clock timeSource) {
	w.woken = 0
	w.y = y.absolute(clock)
	w.rounds = y.rounds()
	switch {
	case y.event != nil:
		w.waiter.wait(y.event)
	case w.waiter.event != nil:
		w.waiter.leave()
	}
}

// end says that the task has ended.
func (w *taskWait) end() {
	w.waiter.leave()
	w.y = Done
}

// event returns the event that the task waits for, or nil.
func (w *taskWait) event() *Event { return w.y.event }

// wake keeps that the event of a wait was set, and reports whether that wait is not over.
func (w *taskWait) wake(generation uint32) bool {
	if generation != w.waiter.generation {
		return false
	}
	w.woken = generation
	return true
}

// makeDue has the task be due as if its event had been set.
func (w *taskWait) makeDue() { w.woken = w.waiter.generation }

// isWoken reports whether the event that the task waits for was set.
func (w *taskWait) isWoken() bool { return w.y.event != nil && w.woken == w.waiter.generation }

// isDueNow reports whether it is time for a step whatever the clock says, and counts the
// round.
func (w *taskWait) isDueNow() bool {
	if w.rounds > 0 { // 1 for Next
		if w.rounds--; w.rounds == 0 {
			return true
		}
	}
	return w.isWoken()
}

// countsRounds reports whether the task waits for steps to be made.
func (w *taskWait) countsRounds() bool { return w.rounds > 0 }

// time returns the instant that the task waits for, or never.
func (w *taskWait) time() int64 {
	if w.y.code&yieldAt == 0 {
		return never
	}
	return w.y.at
}

// due returns what makes the task due, with its times and rounds, and an event in the
// place of its own.
func (w *taskWait) due(e *Event) Yield {
	const kept = yieldNext | yieldAt | yieldClaims | yieldServes | yieldEnding | yieldFailed
	due := Yield{event: e, at: w.y.at, code: w.y.code&kept | yieldEvent}
	if w.countsRounds() {
		due.code |= yieldNext // rounds are counted by steps
	}
	return due
}
