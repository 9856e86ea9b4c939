package scheduler

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// walker is the loop of Walk. The goroutine of Run drives and sleeps, and each call
// has to wake it at its end. In a walk the goroutine that has ended a call drives
// the runner itself and makes the next call: where one node follows the other, no
// goroutine waits for another. One drives at a time.
//
// A goroutine that makes the runner due drives it, or finds another at it, which
// looks again when it has let go. None makes a call while the runner is due without
// sending for another goroutine. The one of Walk itself sleeps until a time has
// come, the context has ended, or something else than a call made the runner due.
type walker struct {
	r       *TaskRunner
	workers *workers
	loop    *alarm

	// returned are the calls whose functions have returned since the last step, linked
	// by next: who drives next tells the group.
	returned atomic.Pointer[call]

	next  atomic.Int64 // the instant when a step is due, whatever happens; of the last step
	asked atomic.Bool  // a step is to be made, whatever is due
	over  atomic.Bool

	driving  sync.Mutex // guards the runner, and what follows; nobody waits for it
	ctx      context.Context
	result   error
	panicked *PanicError
	exited   bool // a function of the options has called runtime.Goexit
}

// walk runs the runner to its end, as its Run does. begun is nil, or called after the first
// step of a walk that goes on, whether its context has ended or not.
func (r *TaskRunner) walk(ctx context.Context, begun func()) error {
	if begun == nil {
		if err := r.checkRun(ctx, 0); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	w := &walker{r: r, workers: &r.pool.workers, loop: newAlarm(ctx), ctx: ctx}
	w.workers.walker = w
	defer w.loop.stop()
	r.loop.Store(w.loop)
	defer r.loop.Store(nil)
	defer signalAtEnd(ctx, w.ask)()

	w.driving.Lock()
	w.step(true)
	if begun != nil {
		begun()
	}
	for !w.over.Load() {
		w.workers.send()
		w.sleep()
	}
	switch {
	case w.panicked != nil:
		panic(w.panicked)
	case w.exited:
		runtime.Goexit()
	}
	return r.late(ctx, w.result)
}

// sleep waits for a time or a signal, and sees to it that a step is made then. If
// another goroutine drives it waits for that: it may take long, when a panic closes
// the calls.
func (w *walker) sleep() {
	if w.loop.set(w.r.clock.(*systemClock), w.next.Load()) {
		<-w.loop.wake
	}
	w.asked.Store(true)
	if !w.drive(true) && w.asked.Load() && !w.over.Load() {
		<-w.loop.wake
	}
}

// ask has a step be made. A signal alone could be lost to sleep, which waits for that of
// another step.
func (w *walker) ask() {
	w.asked.Store(true)
	w.loop.signal()
}

// work makes calls, and drives. arrives is as in take.
func (w *walker) work(arrives bool) {
	returned, hasRoom := false, false
	defer func() {
		if !returned { // the call has ended its goroutine
			go w.work(false)
		}
	}()
	for ; ; arrives = false {
		if c := w.workers.take(arrives); c != nil {
			c.run(w)
			continue
		}
		if !hasRoom && w.isDue() {
			makeRoom(0)
			hasRoom = true
		}
		if !w.drive(false) {
			break
		}
	}
	returned = true
}

// makeRoom makes the stack of a goroutine as large as a step needs it. In the middle
// of a step, where all that is on the stack has to be moved, it takes as long as some
// calls.
//
//go:noinline
func makeRoom(at int) byte {
	var room [4 << 10]byte
	return room[at]
}

// isDue reports whether a step is to be made. What came at the end of a step may be known
// by nothing but its list: the runner may have taken its event back.
func (w *walker) isDue() bool {
	r := w.r
	return (w.returned.Load() != nil || r.event.set.Load() || w.asked.Load() ||
		r.pool.wakes.arePending() || r.posts.some.Load()) && !w.over.Load()
}

// isDriven reports whether a goroutine drives, which looks once more when it has let go.
func (w *walker) isDriven() bool {
	if !w.driving.TryLock() {
		return true
	}
	w.driving.Unlock()
	return false
}

// returns says that the function of a call has returned. The goroutine looks at the
// runner next.
func (w *walker) returns(c *call) {
	c.done.mark() // who waits for it is woken by who drives
	for {
		c.next = w.returned.Load()
		if w.returned.CompareAndSwap(c.next, c) {
			return
		}
	}
}

// tellReturned makes the nodes due whose calls have returned.
func (w *walker) tellReturned() {
	c := w.returned.Swap(nil)
	if c == nil {
		return
	}
	for c != nil {
		if c.done.has(hadWaiter) {
			w.r.pool.wakes.wakeOf(&c.done)
		}
		scopeOf(c.step).group.callReturned(c.node)
		c, c.next = c.next, nil
	}
	w.r.makeDue()
}

// drive makes steps while the runner is due, unless another goroutine does. It
// reports whether it has made one. first says that the goroutine is that of Walk.
func (w *walker) drive(first bool) (stepped bool) {
	for w.isDue() && w.driving.TryLock() {
		w.step(first)
		stepped = true
	}
	return stepped
}

// step makes a step and lets go of the runner. It ends the walk if the runner has
// ended, or if the step panics, and wakes the goroutine of Walk if that has to know.
func (w *walker) step(first bool) {
	returned, asked := false, w.asked.Load() && w.asked.Swap(false)
	defer func() {
		if !returned {
			w.abort(recover())
		}
		wake := asked || w.over.Load()
		if next, before := w.r.nextTime(), w.next.Load(); next != before {
			w.next.Store(next)
			wake = wake || next < before
		}
		w.driving.Unlock()
		if wake && !first {
			w.loop.signal()
		}
	}()
	switch r := w.r; {
	case w.over.Load():
		// Not covered: another has ended the walk since isDue was asked.
	case !r.started:
		w.result = r.Start(w.ctx, 0)
	default:
		w.tellReturned()
		w.ctx = r.stopAtEnd(w.ctx)
		_, w.result = r.Step(w.ctx)
	}
	if w.r.hasEnded() {
		w.over.Store(true)
	}
	returned = true
}

// abort ends the walk because of a panic, or of a Goexit if v is nil: both go up
// from Walk.
func (w *walker) abort(v any) {
	defer w.over.Store(true) // last: the goroutine of Walk reads the rest after it
	switch v := v.(type) {
	case nil:
		w.exited = true
	case *PanicError:
		w.panicked = v
	default:
		w.panicked = &PanicError{Value: v, Stack: debug.Stack(), goesUp: true}
	}
}
