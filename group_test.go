package scheduler_test

import "time"

// handClock is a Clock that moves when it is told to.
type handClock struct{ now time.Time }

func (c *handClock) Now() time.Time { return c.now }

// Wait moves to the time waited for.
func (c *handClock) Wait(until time.Time, wake <-chan struct{}) {
	if until.IsZero() {
		<-wake
		return
	}
	if until.After(c.now) {
		c.now = until
	}
}

func (c *handClock) advance(d time.Duration) { c.now = c.now.Add(d) }
