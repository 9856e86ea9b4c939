package schedulertest

import (
	"slices"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// Clock is a simulated [scheduler.Clock]: where a run would sleep until some
// time, it is that time at once. Make it with [NewClock].
//
// It is safe for concurrent use. Between two runs, or inside a step, a test may
// move it on with [Clock.Advance].
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	pauses []time.Duration
	alone  bool
}

var _ scheduler.Clock = (*Clock)(nil)

// NewClock returns a clock that shows start; the zero Time stands for midnight
// of 1 January 2000, UTC.
func NewClock(start time.Time) *Clock {
	if start.IsZero() {
		start = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	return &Clock{now: start}
}

// Alone declares that the run has this goroutine for itself: nothing outside of
// it, such as a Blocking call, an Interrupt or an event set elsewhere, will ever
// wake it. A run that waits with neither a time nor anything that has woken it
// already would then wait for ever: Wait panics in place of that. Without Alone
// no clock can know, and such a test hangs; in a bubble of testing/synctest the
// bubble finds out by itself.
//
// It returns the clock, for use behind NewClock.
func (c *Clock) Alone() *Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alone = true
	return c
}

// Now returns the simulated time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on by d, as if what happens meanwhile took that long.
// It wakes nobody: a run looks at the clock when it is stepped. It panics if d
// is negative.
func (c *Clock) Advance(d time.Duration) {
	if d < 0 {
		panic("schedulertest: Clock.Advance: negative duration " + d.String())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Wait makes it the time until, and returns at once. If something waits in wake
// it takes that instead, and no time passes. Without a time (zero) it blocks
// until something arrives in wake, for real, unless the clock is
// [Clock.Alone].
func (c *Clock) Wait(until time.Time, wake <-chan struct{}) {
	select {
	case <-wake:
		return
	default:
	}
	if until.IsZero() {
		if c.isAlone() {
			panic("schedulertest: the run waits for an event, and nobody is left to set it")
		}
		<-wake
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pause := max(0, until.Sub(c.now))
	c.pauses = append(c.pauses, pause)
	c.now = c.now.Add(pause)
}

func (c *Clock) isAlone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alone
}

// Pauses returns the pauses made so far, in order, those of zero included:
// between two rounds of a run that does not wait there is one of zero. Waits
// that something in wake ended are no pauses.
func (c *Clock) Pauses() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pauses)
}

// Slept returns the sum of the pauses made so far.
func (c *Clock) Slept() time.Duration {
	var sum time.Duration
	for _, pause := range c.Pauses() {
		sum += pause
	}
	return sum
}
