package scheduler

// Due returns when to call Step next: in the next round, at a time, or when an event
// is set, also by something from outside. Times are absolute, and include the
// runner's time limit and grace. Due is Done once the task has ended.
func (r *TaskRunner) Due() Yield {
	r.must("Due")
	switch {
	case r.hasEnded():
		return Done
	case !r.started:
		return now
	}
	r.deliver()
	r.dropWakes()
	due := r.wait.due(&r.event)
	if r.ending.isInForce() && r.deadline.isSet() {
		due.at = earlierOf(due.at, due.code&yieldAt, r.deadline.timer(), yieldAt)
		due.code = due.code&^yieldServes | yieldAt
	}
	if r.isCalled() {
		due.at = past
		due.code = due.code&^yieldServes | yieldAt
	}
	return due
}

// nextTime returns when the clock makes the runner of a walk due: past if the next round
// does, and never if only something from outside does. That runner never waits for its
// task to close, when its deadline would not count: its grace has no end, and only its
// walk has it.
func (r *TaskRunner) nextTime() int64 {
	if r.wait.countsRounds() {
		return past
	}
	at := r.wait.time()
	if r.deadline.isSet() {
		at = min(at, r.deadline.timer())
	}
	return at
}

// due reports whether the task is to be stepped, and counts the round.
func (r *TaskRunner) due() bool {
	if !r.entered || r.wait.isDueNow() {
		return true
	}
	at := r.wait.time()
	return at != never && instant(r.now()) >= at
}

// makeDue makes the task due whose driver knows that it is.
func (r *TaskRunner) makeDue() {
	if r.ending.isInForce() { // else the end of its task is what is waited for
		r.wait.makeDue()
	}
}

// isCalled reports whether something from outside makes the task due.
func (r *TaskRunner) isCalled() bool {
	if r.ending.isInForce() && (r.ending.isUntold() || r.killed.Load() || r.thrown.Load() != nil) {
		return true
	}
	return r.wait.isWoken()
}

// park notes when the task wants its next step.
func (r *TaskRunner) park(y Yield) {
	r.wait.park(y, r.clock)
	r.deliver()
	if r.event.set.Load() {
		// Perhaps by an event that the task waited for before this step: set
		// meanwhile, it would cut the pause before the next one short.
		r.event.Reset()
		if r.isCalled() {
			r.event.Set()
		}
	}
}

// run makes the runner a waker.
func (r *TaskRunner) run() *wakes { return r.wakes }

// wake keeps that the event of the task was set, unless it waits for something else
// by now.
func (r *TaskRunner) wake(_ int32, generation uint32) *Event {
	if !r.wait.wake(generation) {
		return nil
	}
	if r.opts.Wake != nil && r.wakes != &r.pool.wakes { // the outermost has called it
		r.opts.Wake()
	}
	return &r.event
}

// deliver takes in the wakes of the run, between two steps of the outermost runner.
func (r *TaskRunner) deliver() {
	if w := &r.pool.wakes; w.arePending() {
		w.deliver()
	}
}

// dropWakes takes the event back if it was only for wakes that make nothing due which
// is waited for: those of a member that is due in the next round anyway.
func (r *TaskRunner) dropWakes() {
	if !r.event.set.Load() || r.called.Load() {
		return
	}
	r.event.Reset()
	if r.isCalled() || r.called.Load() || r.pool.wakes.arePending() {
		r.event.Set()
	}
}

// call makes the runner due from outside. It may be called from any goroutine, once
// what it is for can be seen.
func (r *TaskRunner) call() {
	r.called.Store(true)
	r.signal()
}

// signal tells the loop that drives the runner that it has become due.
func (r *TaskRunner) signal() {
	r.event.Set()
	w := r.pool.workers.walker
	if loop := r.loop.Load(); loop != nil && (w == nil || !w.isDriven()) {
		loop.signal()
	}
	if r.opts.Wake != nil {
		r.opts.Wake()
	}
}
