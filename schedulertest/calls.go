package schedulertest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/steptask/scheduler"
)

// Sleep is [time.Sleep] for calls in a run with a simulated clock, and for functions
// that they call. It returns nil when d has passed by that clock, or the cause of ctx
// when ctx ends earlier. A negative d lasts until ctx ends. ctx must be made from the
// context of the call; with another context Sleep sleeps in real time.
//
// While all calls sleep, simulated time advances to when the first of them wakes.
func Sleep(ctx context.Context, d time.Duration) error {
	if ctx == nil {
		panic("schedulertest: Sleep: nil Context")
	}
	if c := callOf(ctx); c != nil {
		return c.sleep(ctx, d)
	}
	var ring <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		ring = t.C
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-ring:
		return nil
	}
}

// simCall is a call that is under way in simulated time: of a task, or a process of a
// World. It is the clock of the runs inside it: while such a run waits the call is
// parked, as by Sleep.
type simCall struct {
	set     *callSet
	pending *scheduler.PendingCall // nil for a process
	fn      func()                 // of a process
	name    string
	base    context.Context // that of the call
	knows   bool            // the run inside knows that it has ended
	does    string          // the request that it makes, or has made last
	process *process        // of a World, or nil

	goroutine atomic.Int64
	reported  atomic.Bool   // it was said that the call does not return
	resume    chan struct{} // with room for one: a parked call continues

	// Guarded by set.mu.
	state    callState
	until    time.Time       // of a parked call: when it continues; zero is no time
	ready    func() bool     // of a parked call: it continues once this holds; or nil
	wake     <-chan struct{} // of a parked call: it continues when something arrives; or nil
	awaits   bool            // a parked call waits for the end of another: a crash does not wake it
	answered bool
	alone    bool // nobody may look after it: it makes its end known by itself
}

type callState int

const (
	begun  callState = iota + 1 // its function has not been called
	busy                        // it runs, or is blocked by something the clock does not know
	parked                      // it sleeps
	ended                       // its function has returned, and the task is not due yet
)

type simCallKey struct{}

// callOf returns the call to which ctx belongs, or nil.
func callOf(ctx context.Context) *simCall {
	if ctx == nil {
		return nil
	}
	c, _ := ctx.Value(simCallKey{}).(*simCall)
	return c
}

// context returns that of the function.
func (c *simCall) context(outer context.Context) context.Context {
	c.base = outer
	return scheduler.WithClock(context.WithValue(outer, simCallKey{}, c), c)
}

// run calls the function, on a goroutine of its own.
func (c *simCall) run() {
	c.goroutine.Store(goroutineID())
	defer func() {
		c.setState(ended)
		if c.alone {
			c.set.answer()
		}
	}()
	if c.pending == nil {
		c.fn()
		return
	}
	c.pending.Run(c.context(c.pending.Context()))
}

func (c *simCall) setState(state callState) {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	c.state = state
	c.set.change()
}

func (c *simCall) sleep(ctx context.Context, d time.Duration) error {
	if c.isDead() {
		return ErrCrashed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var until time.Time
	if d >= 0 {
		until = c.Now().Add(d)
	}
	stop := c.set.watch(ctx)
	c.park(until, func() bool { return ctx.Err() != nil }, nil)
	stop()
	if c.isDead() {
		return ErrCrashed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// park lets the call rest until a time has come, ready holds, or something arrives
// in wake, which may be nil. It is for who looks after the calls to see that: if the
// goroutine of the call did, time might pass before it has said so.
func (c *simCall) park(until time.Time, ready func() bool, wake <-chan struct{}) {
	c.set.mu.Lock()
	c.state, c.until, c.ready, c.wake = parked, until, ready, wake
	c.set.change()
	c.set.mu.Unlock()
	<-c.resume
}

// Now, Wait, Call and Await make the call the clock of the runs inside it.

func (c *simCall) Now() time.Time { return c.set.time() }

func (c *simCall) Wait(until time.Time, wake <-chan struct{}) {
	if p := c.process; p != nil && p.main == c {
		p.point(c.name+" waits", 0.02)
	}
	c.leaveIfDead()
	c.park(until, c.mustKnow, wake)
	c.leaveIfDead()
	if c.mustKnow() {
		c.knows = true
		c.set.expect(wake)
		return
	}
	select {
	case <-wake:
	default:
	}
}

// mustKnow reports whether the context of the call has ended, and the run inside does
// not know it yet.
func (c *simCall) mustKnow() bool { return !c.knows && c.base != nil && c.base.Err() != nil }

func (c *simCall) Call(p *scheduler.PendingCall) {
	c.set.add(p, begun, c.process)
}

func (c *simCall) Await(p *scheduler.PendingCall) {
	awaited := c.set.of(p)
	if awaited == nil {
		return
	}
	c.awaits = true
	c.park(time.Time{}, func() bool { return awaited.answered }, nil)
	c.awaits = false
}

// isDead reports whether the process of the call has crashed.
func (c *simCall) isDead() bool { return c.process != nil && c.process.dead }

// leaveIfDead ends the goroutine of a run whose process has crashed: what the run has
// begun is closed on the way.
func (c *simCall) leaveIfDead() {
	if c.isDead() {
		runtime.Goexit()
	}
}

// label names what the call does, for the choices about it.
func (c *simCall) label() string {
	if c.does != "" {
		return c.does
	}
	return c.name
}

// String names the call for a person.
func (c *simCall) String() string { return c.name }

// isDue reports whether the call continues at a time, or begins. The caller holds
// set.mu.
func (c *simCall) isDue(now time.Time) bool {
	return c.state == begun || c.state == parked &&
		(!c.until.IsZero() && !c.until.After(now) || c.ready != nil && c.ready() || len(c.wake) > 0 || c.isDead() && !c.awaits)
}

// begin lets a call that next has returned continue.
func (c *simCall) begin(begins bool) {
	if begins {
		go c.run()
	} else {
		c.resume <- struct{}{}
	}
}

// stack returns where the call stands.
func (c *simCall) stack() string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for stack := range bytes.SplitSeq(buf, []byte("\n\n")) {
		if numberIn(stack) == c.goroutine.Load() {
			return string(stack)
		}
	}
	return "(its goroutine was not found)"
}

// isAtWork reports whether the goroutine of the call continues without anybody's doing:
// it runs, waits for a processor or the collector, or is in a system call. One that has
// not begun to run is at work.
func (c *simCall) isAtWork() bool {
	if c.goroutine.Load() == 0 {
		return true
	}
	state := stateIn(c.stack())
	return slices.ContainsFunc([]string{"running", "runnable", "preempted", "syscall", "GC "}, func(at string) bool {
		return strings.HasPrefix(state, at)
	})
}

// stateIn returns the beginning of a stack that says what its goroutine does.
func stateIn(stack string) string {
	line, _, _ := strings.Cut(stack, "\n")
	_, state, _ := strings.Cut(line, "[")
	return state
}

// waitFor waits in real time until something happens to a call, or arrives in wake,
// and reports whether it was that. It panics if neither comes; in a bubble of which
// the clock does not know, where time is not real, only if isLimited says that
// simulated time is what the run waits for besides.
func (c *simCall) waitFor(wake, changed <-chan struct{}, isLimited bool) (woken bool) {
	t := time.NewTimer(watchdog)
	defer t.Stop()
	switch c.set.block(wake, changed, t.C) {
	case byWake:
		return true
	case byChange:
		return false
	}
	if c.reported.Load() {
		panic("schedulertest: " + c.name + " still has not returned")
	}
	stack := c.stack()
	inBubble := strings.Contains(stack, "synctest bubble")
	if inBubble && !isLimited {
		return c.set.block(wake, changed, nil) == byWake
	}
	c.reported.Store(true)
	panic(c.complaint(inBubble))
}

// complaint says that the call neither returns nor sleeps.
func (c *simCall) complaint(inBubble bool) string {
	advice := "Wait by schedulertest.Sleep there, or test in a bubble of testing/synctest and say so: InBubble(synctest.Wait) of the clock, Bubble: synctest.Wait for Explore."
	if inBubble {
		advice = "In a bubble give the clock InBubble(synctest.Wait)."
	}
	return fmt.Sprintf("schedulertest: a call is under way: %s neither returns nor sleeps by schedulertest.Sleep, and simulated time stands still for it. %s It is here:\n%s",
		c, advice, c.stack())
}

// goroutineID returns the number by which stacks name this goroutine.
func goroutineID() int64 {
	var buf [64]byte
	return numberIn(buf[:runtime.Stack(buf[:], false)])
}

func numberIn(stack []byte) (id int64) {
	_, _ = fmt.Sscanf(string(stack[:min(len(stack), 40)]), "goroutine %d ", &id)
	return id
}
