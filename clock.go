package scheduler

import (
	"context"
	"sync/atomic"
	"time"
)

// Clock is where a run gets its time from. The default is the system's
// monotonic clock; package schedulertest has a simulated one, and a durable
// workflow engine supplies its own.
//
// Set it with [RunnerOptions.Clock] on the outermost runner: everything stepped
// below inherits it. A Clock that several runs share must be safe for
// concurrent use.
type Clock interface {
	// Now returns the current time. It must not go backwards within a run. It
	// is called on the driving goroutine.
	Now() time.Time

	// Wait blocks until the time until is reached or something is received
	// from wake, whichever comes first. The zero Time stands for no time at
	// all: only wake ends the wait. A time that is not in the future asks for
	// a pause of zero: Wait is called for it too, and returns at once.
	//
	// Wait may return early, and a coarse clock may return late: whoever waits
	// looks again. The end of a run's context arrives by wake.
	Wait(until time.Time, wake <-chan struct{})
}

// Now returns the time of the clock that drives the run to which ctx belongs:
// what a task's code reads in place of time.Now, so that it also runs under a
// simulated clock. Outside a run it is the system's time.
func Now(ctx context.Context) time.Time {
	if s := scopeOf(ctx); s != nil && s.clock != nil {
		return s.clock.Now()
	}
	return time.Now() //workflowcheck:ignore (Temporal's linter: a run in a workflow has a Clock)
}

// systemClock shows the wall time of its making, carried on by the monotonic
// clock: setting the machine's clock moves no deadline. Each outermost run
// makes its own, so that one made in a synctest bubble keeps the bubble's time.
type systemClock struct {
	start time.Time

	// The timer is kept from one wait to the next: a run that is woken by events
	// again and again, with the same deadline behind them, sets it once.
	waiting atomic.Bool // guards the two below
	timer   *time.Timer
	armed   time.Time // for when
}

// newSystemClock returns one that starts now.
//
//workflowcheck:ignore (Temporal's linter: a run in a workflow has a Clock)
func newSystemClock() Clock { return &systemClock{start: time.Now()} }

func (c *systemClock) Now() time.Time {
	// Round(0) drops the monotonic reading: all times of a run are then on one
	// scale, also those that a task made from a wall time for At.
	return c.start.Round(0).Add(time.Since(c.start))
}

func (c *systemClock) Wait(until time.Time, wake <-chan struct{}) {
	if until.IsZero() {
		<-wake
		return
	}
	if !c.waiting.CompareAndSwap(false, true) {
		c.waitApart(until, wake) // a run in a Blocking call, on its own goroutine
		return
	}
	defer c.waiting.Store(false)
	if !until.Equal(c.armed) {
		d := until.Sub(c.Now())
		if d <= 0 {
			return
		}
		if c.timer == nil {
			c.timer = time.NewTimer(d)
		} else {
			c.timer.Reset(d)
		}
		c.armed = until
	}
	select {
	case <-wake:
	case <-c.timer.C:
		c.armed = time.Time{}
	}
}

// waitApart is Wait with a timer of its own.
func (c *systemClock) waitApart(until time.Time, wake <-chan struct{}) {
	d := until.Sub(c.Now())
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	}
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
