package schedulertest

import (
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/steptask/scheduler"
)

// Clock is a simulated [scheduler.Clock]: when a run would sleep until some time, it
// becomes that time at once. Make it with [NewClock].
//
// It knows the calls of its runs (scheduler.Blocking, Fetch, Call, Poll and Walk).
// Time stands still while one is running. Calls begin when the run has nothing else
// to do, one after another in the order in which the run asked for them, and those
// that end at the same time are answered in that order. In a call, [Sleep] lets
// simulated time pass. A run inside a call, with the context of the call, uses the
// same clock.
//
// If a call waits for anything else for ten seconds of real time, Wait panics with
// the name of the call and its stack, since a simulated clock cannot know when that
// wait will end. The panic ends the test binary. In a bubble of testing/synctest it can: see [Clock.InBubble].
//
// A limit has passed when the clock is beyond it: a run with a Timeout of an hour
// ends at 1h0m0.000000001s. [Clock.Elapsed] omits that nanosecond, so a test can
// compare it with the hour.
//
// It is safe for concurrent use. Between two runs, or inside a step, a test may
// advance it with [Clock.Advance].
type Clock struct {
	callSet

	// Guarded by mu.
	start  time.Time
	now    time.Time
	pauses []time.Duration
	alone  bool
	groups []io.WriterTo // that say what they wait for
	driven int           // drivers that look after the calls of runs by hand
}

var _ scheduler.Caller = (*Clock)(nil)

// NewClock returns a clock that shows start. The zero Time means midnight of 1
// January 2000, UTC.
func NewClock(start time.Time) *Clock {
	if start.IsZero() {
		start = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	c := &Clock{start: start, now: start}
	c.callSet = newCallSet(c.Now)
	return c
}

// Alone declares that only this goroutine and the calls of the run can wake it, and
// nothing outside, such as an Interrupt or an event set elsewhere. If the run then
// waits with nothing left that could wake it, Wait panics. Without Alone such a test
// hangs, except in a bubble of testing/synctest, which detects it. The panic names the
// calls, and what each node of the given groups waits for: their WriteTo is called.
// Alone returns the clock, and may be called again when a group has been made.
func (c *Clock) Alone(groups ...io.WriterTo) *Clock {
	c.must("Alone")
	for _, g := range groups {
		if isNil(g) {
			panic("schedulertest: Clock.Alone: nil group")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alone = true
	c.groups = append(c.groups, groups...)
	return c
}

// must panics for a clock that NewClock has not made.
func (c *Clock) must(method string) {
	if c == nil || c.clock == nil {
		panic("schedulertest: Clock." + method + ": nil or zero Clock; use NewClock")
	}
}

func mustHaveCall(p *scheduler.PendingCall, method string) {
	if p == nil {
		panic("schedulertest: Clock." + method + ": nil PendingCall")
	}
}

// isNil reports whether an argument is nil, or a nil pointer.
func isNil(v any) bool {
	return v == nil || reflect.ValueOf(v).Kind() == reflect.Pointer && reflect.ValueOf(v).IsNil()
}

// stuck says what is waited for when nothing is left that could end it.
func (c *Clock) stuck() string {
	var text strings.Builder
	text.WriteString("schedulertest: the run waits for an event, and nobody is left to set it" + c.list())
	c.mu.Lock()
	groups := slices.Clone(c.groups)
	c.mu.Unlock()
	for _, g := range groups {
		var b strings.Builder
		_, _ = g.WriteTo(&b) // never fails
		text.WriteString("\n" + strings.TrimSuffix(b.String(), "\n"))
	}
	return text.String()
}

// InBubble makes the clock follow the time of the bubble of testing/synctest in which
// it is used, so that calls may use package time and contexts with a deadline as in
// production. wait is synctest.Wait. Unlike the clock that runs have by default in a
// bubble, it begins and answers calls in order, so the test is the same each time.
//
//	clock := schedulertest.NewClock(time.Time{}).InBubble(synctest.Wait)
//
// The time given to NewClock is then ignored. InBubble returns the clock.
func (c *Clock) InBubble(wait func()) *Clock {
	c.must("InBubble")
	if wait == nil {
		panic("schedulertest: Clock.InBubble: nil function; give it synctest.Wait")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	turn := make(chan struct{}, 1) // of the bubble: who waits for it is at rest
	c.settle = func() {
		turn <- struct{}{} // synctest.Wait is for one goroutine at a time
		defer func() { <-turn }()
		wait()
	}
	c.start = c.shows()
	return c
}

// Now returns the simulated time.
func (c *Clock) Now() time.Time {
	c.must("Now")
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shows()
}

// shows is Now for who holds c.mu.
func (c *Clock) shows() time.Time {
	if c.settle != nil {
		return time.Now().Round(0)
	}
	return c.now
}

// Advance moves the clock forward by d, as if the work done meanwhile had taken that
// long. It wakes nothing: a run looks at the clock when it is stepped. It panics if d
// is negative.
func (c *Clock) Advance(d time.Duration) {
	c.must("Advance")
	if d < 0 {
		panic("schedulertest: Clock.Advance: negative duration " + d.String())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settle != nil {
		c.mu.Unlock()
		time.Sleep(d) //nolint:forbidigo // in a bubble
		c.mu.Lock()
	}
	c.now = c.now.Add(d)
	c.change()
}

// Call begins a call: see [scheduler.Caller]. Calls of a run that is stepped by hand,
// other than by a [Driver], begin at once and are answered when they end, as under
// the system's clock.
func (c *Clock) Call(p *scheduler.PendingCall) {
	c.must("Call")
	mustHaveCall(p, "Call")
	c.mu.Lock()
	isAttended := c.driven > 0
	c.mu.Unlock()
	if isAttended || p.WillWait() {
		c.add(p, begun, nil)
	} else {
		c.add(p, busy, nil).begin(true)
	}
}

// drive counts the drivers.
func (c *Clock) drive(change int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.driven += change
}

// Await lets time pass until a call that is being closed has ended. It panics if the
// call sleeps without end although its context has ended.
func (c *Clock) Await(call *scheduler.PendingCall) {
	c.must("Await")
	mustHaveCall(call, "Await")
	if awaited := c.of(call); awaited != nil {
		start := c.Now()
		c.attend(time.Time{}, nil, func() bool { return awaited.answered })
		c.paused(start, false)
	}
}

// Wait lets simulated time pass until the given time, or until something arrives in
// wake. Meanwhile it attends to running calls. If until is zero, and nothing is left
// that could happen by itself, it blocks in real time until something arrives in
// wake, unless the clock is [Clock.Alone].
func (c *Clock) Wait(until time.Time, wake <-chan struct{}) {
	c.must("Wait")
	start := c.Now()
	woken := c.attend(until, wake, nil)
	c.paused(start, !woken)
}

// paused notes a pause since a time, if there was one; also an empty one if asked for.
func (c *Clock) paused(since time.Time, evenEmpty bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pause := c.shows().Sub(since); pause > 0 || evenEmpty {
		c.pauses = append(c.pauses, pause)
	}
}

// Settle lets running calls continue until each has ended, sleeps or is blocked, and
// makes the tasks of ended calls due. No time passes. It is for tests that step a
// runner by hand; [Driver.Step] does it.
func (c *Clock) Settle() {
	c.must("Settle")
	c.attend(c.Now(), nil, nil)
}

// How long a clock waits in real time: for a call that continues before it lets the
// next one begin as well; for a call that neither returns nor sleeps before it says so.
// (Variables only for the tests of this package.)
var (
	patience = 100 * time.Millisecond
	watchdog = 10 * time.Second
)

// ticksEach is in how many parts patience is waited for: while the machine stops the whole
// program, only one of them passes.
const ticksEach = 10

// attend looks after the calls until something arrives in wake, over holds, or
// simulated time has come to until. It reports whether something arrived.
func (c *Clock) attend(until time.Time, wake <-chan struct{}, over func() bool) (woken bool) {
	for {
		if c.settle != nil {
			c.settle()
		}
		select {
		case <-wake:
			return true
		default:
		}
		c.mu.Lock()
		if over != nil && over() {
			c.mu.Unlock()
			return false
		}
		call, begins := c.next(c.shows())
		c.mu.Unlock()
		switch {
		case call != nil:
			call.begin(begins)
			c.rest(call, patience)
		case c.answer():
		default:
			if arrived, woken := c.pass(until, wake); arrived || woken {
				return woken
			}
		}
	}
}

// pass lets time pass when no call can go on now, up to what happens next. It
// reports whether that is the time until, or something in wake.
func (c *Clock) pass(until time.Time, wake <-chan struct{}) (arrived, woken bool) {
	c.mu.Lock()
	changed, stuck, now := c.nextChange(), c.busy(), c.shows()
	inBubble, alone := c.settle != nil, c.alone || wake == nil
	at, isCall := c.wakes()
	if !until.IsZero() && (!isCall || at.After(until)) { // calls go first
		at, isCall = until, false
	}
	if !inBubble && stuck == nil && at.After(now) {
		c.now = now.Add(at.Sub(now)) // in its own time zone
	}
	c.mu.Unlock()
	bounded := !at.IsZero()

	var ring <-chan time.Time
	switch {
	case stuck != nil && !inBubble:
		return false, stuck.waitFor(wake, changed, bounded)
	case bounded && (!inBubble || !at.After(now)):
		return !isCall, false
	case bounded:
		t := time.NewTimer(at.Sub(now))
		defer t.Stop()
		ring = t.C
	case alone && stuck == nil:
		panic(c.stuck())
	}
	return false, c.block(wake, changed, ring) == byWake
}

// Pauses returns the pauses so far, in order. A pause of zero is included: there is
// one between two rounds of a run that does not wait. A wait that was cut short by a
// wake is not a pause.
func (c *Clock) Pauses() []time.Duration {
	c.must("Pauses")
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pauses)
}

// Slept returns the sum of the pauses so far.
func (c *Clock) Slept() time.Duration {
	var sum time.Duration
	for _, pause := range c.Pauses() {
		sum += pause
	}
	return sum
}

// Elapsed returns how far the clock has advanced since it was made, rounded down to
// microseconds.
func (c *Clock) Elapsed() time.Duration {
	c.must("Elapsed")
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shows().Sub(c.start).Truncate(time.Microsecond)
}
