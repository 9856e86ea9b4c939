package scheduler

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Clock is where a run gets its time from: by default the system's monotonic clock.
// Set it with [RunnerOptions.Clock] on the outermost runner. A Clock that several
// runs share must be safe for concurrent use. Package schedulertest has a simulated
// one.
type Clock interface {
	// Now returns the current time, on the driving goroutine, in the years from 1678
	// to 2262. It must not go backwards within a run.
	Now() time.Time

	// Wait blocks until the time until, or until something is received from wake. It
	// may return early or late, and returns at once if until has passed. After the
	// zero Time only wake ends the wait.
	Wait(until time.Time, wake <-chan struct{})
}

// Now returns the time of the clock of ctx's run, or the system's time outside of a
// run. Task code uses it instead of time.Now.
func Now(ctx context.Context) time.Time {
	mustHave(ctx, "Now")
	if s := scopeOf(ctx); s != nil && s.clock != nil {
		return s.clock.Now()
	}
	return time.Now() //workflowcheck:ignore (Temporal's linter: a run in a workflow has a Clock)
}

// timeSource is a [Clock], or the system's, for which a loop waits by itself.
type timeSource interface{ Now() time.Time }

// systemClock shows the wall time of its making, carried on by the monotonic
// clock: setting the machine's clock moves no deadline. Each outermost run
// makes its own, so that one made in a synctest bubble keeps the bubble's time.
type systemClock struct{ start time.Time }

// newSystemClock returns one that starts now.
//
//workflowcheck:ignore (Temporal's linter: a run in a workflow has a Clock)
func newSystemClock() *systemClock { return &systemClock{time.Now()} }

func (c *systemClock) Now() time.Time {
	// Round(0) drops the monotonic reading: all times of a run are then on one
	// scale, also those that a task made from a wall time for At.
	return c.start.Round(0).Add(time.Since(c.start))
}

// alarm is what a loop sleeps by: its channel, and the timer of the system's
// clock, which sends into that channel too. To receive from one channel takes
// half the time of a select of two.
//
// The timer is kept from one wait to the next. One that is set for an earlier
// time is left as it is: it then costs one look too many, once, where to set it
// anew would cost a run that is woken by events, with ever later deadlines
// behind them, more than all its steps.
type alarm struct {
	limit time.Time     // the deadline of Run's context; zero: none
	wake  chan struct{} // with room for one
	timer *time.Timer
	at    int64          // the instant that the timer is set for
	rang  atomic.Bool    // it is set no more
	calls sync.WaitGroup // of the timer's function
}

// newAlarm returns the alarm of a run in ctx.
//
//workflowcheck:ignore (Temporal's linter: a run in a workflow has a loop of its own)
func newAlarm(ctx context.Context) *alarm {
	limit, _ := ctx.Deadline()
	return &alarm{limit: limit, wake: make(chan struct{}, 1)}
}

// signal ends the wait, or the next one. Any goroutine may call it.
//
//workflowcheck:ignore (Temporal's linter: a run in a workflow has a loop of its own)
func (a *alarm) signal() {
	select {
	case a.wake <- struct{}{}:
	default: // the loop is going to look already
	}
}

// set makes the alarm ring at an instant, and reports whether the loop has to wait
// for that.
//
//workflowcheck:ignore (Temporal's linter: a run in a workflow has a loop of its own)
func (a *alarm) set(clock *systemClock, until int64) bool {
	switch {
	case until == past:
		return false
	case until == never, a.timer != nil && a.at <= until && !a.rang.Load():
		return true
	}
	now := instantOf(clock)
	if until <= now { // before the difference, which may be too large
		return false
	}
	d := time.Duration(until - now)
	a.at = until
	a.rang.Store(false)
	a.calls.Add(1) // before it can ring
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
	} else if a.timer.Reset(d) {
		a.calls.Done() // it will not ring twice
	}
	return true
}

func (a *alarm) ring() {
	a.rang.Store(true)
	a.signal()
	a.calls.Done()
}

// waitBy waits for an instant, or a signal, by a Clock.
func (a *alarm) waitBy(clock Clock, until int64) {
	var t time.Time
	switch until {
	case never:
	case past:
		t = clock.Now()
	default:
		t = time.Unix(0, until)
	}
	clock.Wait(t, a.wake)
}

// stop ends the timer, and leaves no goroutine.
func (a *alarm) stop() {
	if a.timer != nil && a.timer.Stop() {
		a.calls.Done()
	}
	a.calls.Wait()
}

// Inside, time is nanoseconds since the Unix epoch: comparing and storing it
// costs a word, and the collector does not look at it.
const (
	never = int64(1<<63 - 1)
	past  = int64(-1 << 63)
)

// instant gives t on the inner scale. Times beyond it, some three centuries
// away, count as the end of the scale.
func instant(t time.Time) int64 {
	switch sec := t.Unix(); {
	case sec > never/1e9-1:
		return never
	case sec < past/1e9+1:
		return past
	}
	return t.UnixNano()
}

// instantOf reads the time.
//
//workflowcheck:ignore (Temporal's linter: a run in a workflow has a Clock)
func instantOf(source timeSource) int64 {
	if c, ok := source.(*systemClock); ok { // in one addition, not three
		return c.start.UnixNano() + int64(time.Since(c.start))
	}
	return instant(source.Now())
}

// checkClock returns an OptionError for a clock with whose time nothing can be reckoned.
func checkClock(option string, clock timeSource) error {
	t := clock.Now()
	if at := instant(t); at != past && at != never {
		return nil
	}
	return &OptionError{Option: option, Reason: "shows " + t.UTC().Format(time.DateOnly) + "; the year must be from 1678 to 2262"}
}

// checkClockOf is checkClock of a clock that is given by WithClock, for what is outermost
// in ctx: a runner, or a group without one.
func checkClockOf(ctx context.Context) error {
	s := scopeOf(ctx)
	if s == nil || s.driver != nil || s.clock == nil {
		return nil
	}
	return checkClock("WithClock", s.clock)
}

// later returns t+d, or the end of the scale.
func later(t int64, d time.Duration) int64 {
	sum := t + int64(d)
	if d > 0 && sum < t {
		return never
	}
	if d < 0 && sum > t {
		return past
	}
	return sum
}

// isSystemClock reports whether times are those of the process.
func isSystemClock(source timeSource) bool {
	_, ok := source.(*systemClock)
	return ok
}
