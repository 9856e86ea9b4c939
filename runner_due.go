package scheduler

// Due returns when to call Step next: in the next round, at a time, or when an event
// is set, also by something from outside. Times are absolute, and include the
// runner's time limit and grace. Due is Done once the task has ended.
func (r *TaskRunner) Due() Yield {
	r.must("Due")
	switch {
	case r.done:
		return Done
	case !r.started:
		return now
	}
	r.deliver()
	r.dropWakes()
	due := Yield{event: &r.event, at: r.y.at, code: r.y.code&(yieldNext|yieldAt|yieldClaims|yieldServes|yieldEnding|yieldFailed) | yieldEvent}
	if r.rounds > 0 {
		due.code |= yieldNext // rounds are counted by steps
	}
	if r.phase == inForce && r.deadline.kind != noDeadline {
		due.at = earlierOf(due.at, due.code&yieldAt, r.deadline.timer(), yieldAt)
		due.code = due.code&^yieldServes | yieldAt
	}
	if r.isCalled() {
		due.at = past
		due.code = due.code&^yieldServes | yieldAt
	}
	return due
}

// due reports whether the task is to be stepped, and counts the round.
func (r *TaskRunner) due() bool {
	y := &r.y
	if y.code&yieldNext != 0 || !r.entered {
		return true
	}
	if r.rounds > 0 {
		if r.rounds--; r.rounds == 0 {
			return true
		}
	}
	return r.isWoken() || y.code&yieldAt != 0 && (y.at == past || instant(r.now()) >= y.at)
}

// isWoken reports whether the event that the task waits for was set.
func (r *TaskRunner) isWoken() bool { return r.y.event != nil && r.woken == r.waiter.generation }

// isCalled reports whether something from outside makes the task due.
func (r *TaskRunner) isCalled() bool {
	if r.phase == inForce && (r.untold || r.killed.Load() || r.thrown.Load() != nil) {
		return true
	}
	return r.isWoken()
}

// park notes when the task wants its next step.
func (r *TaskRunner) park(y Yield) {
	r.y = y.absolute(r.clock)
	r.rounds = y.rounds()
	switch {
	case y.event != nil:
		r.waiter.wait(y.event)
	case r.waiter.event != nil:
		r.waiter.leave()
	}
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
	if generation != r.waiter.generation {
		return nil
	}
	r.woken = generation
	if r.opts.Wake != nil && r.wakes != &r.pool.wakes { // the outermost has called it
		r.opts.Wake()
	}
	return &r.event
}

// deliver takes in the wakes of the run, between two steps of the outermost runner.
func (r *TaskRunner) deliver() {
	if w := &r.pool.wakes; r.wakes == w && w.some.Load() {
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
	if r.isCalled() || r.called.Load() || r.wakes == &r.pool.wakes && r.pool.wakes.some.Load() {
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
	if loop := r.loop.Load(); loop != nil && (w == nil || w.ending.Load() == 0) {
		loop.signal()
	}
	if r.opts.Wake != nil {
		r.opts.Wake()
	}
}
