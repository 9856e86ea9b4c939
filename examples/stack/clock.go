package main

import "time"

// simulatedClock jumps to the next thing that is due: a simulation takes no
// time.
type simulatedClock struct{ now time.Time }

func newSimulatedClock() *simulatedClock { return &simulatedClock{now: time.Unix(0, 0)} }

func (c *simulatedClock) Now() time.Time { return c.now }

func (c *simulatedClock) Wait(until time.Time, wake <-chan struct{}) {
	if until.IsZero() {
		<-wake
		return
	}
	if until.After(c.now) {
		c.now = until
	}
}
