package schedulertest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// callSet is the calls that are under way by one clock. One of them runs at a time,
// unless what it does takes long in real time.
type callSet struct {
	mu      sync.Mutex
	calls   []*simCall    // those that are not answered, in order of start
	gone    int           // so many of the first ones have ended
	changed chan struct{} // closed when something happens to a call; nil while nobody waits for that
	settle  func()        // synctest.Wait, or nil outside of a bubble
	clock   func() time.Time
}

func newCallSet(clock func() time.Time) callSet {
	return callSet{clock: clock}
}

func (s *callSet) time() time.Time { return s.clock() }

// change says that something has happened to a call. The caller holds s.mu.
func (s *callSet) change() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// nextChange returns what is closed by the next change. The caller holds s.mu.
func (s *callSet) nextChange() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// watch makes the end of ctx a change. Outside of a bubble ctx ends only by what a
// run or a call does, so that it is seen anyway.
func (s *callSet) watch(ctx context.Context) (stop func()) {
	if s.settle == nil {
		return func() {}
	}
	end := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.change()
	})
	return func() { end() }
}

// add takes a call in. One that is busy at once makes its end known by itself.
func (s *callSet) add(p *scheduler.PendingCall, state callState, of *process) *simCall {
	c := &simCall{set: s, pending: p, process: of, state: state, alone: state == busy, resume: make(chan struct{}, 1)}
	if c.name = p.String(); p.Path() != "" {
		c.name = p.Path() + ": " + c.name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	s.change()
	return c
}

// of returns the call for p, or nil if it was answered.
func (s *callSet) of(p *scheduler.PendingCall) *simCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.calls, func(c *simCall) bool { return c.pending == p }); i >= 0 {
		return s.calls[i]
	}
	return nil
}

// next returns the first call that continues at a time, or begins, and marks it as
// busy. The caller holds s.mu.
func (s *callSet) next(now time.Time) (c *simCall, begins bool) {
	for s.gone < len(s.calls) && s.calls[s.gone].state == ended {
		s.gone++ // else n calls would look at each other n times before they are answered
	}
	for _, c := range s.calls[s.gone:] {
		if c.isDue(now) {
			begins = c.state == begun
			c.state = busy
			return c, begins
		}
	}
	return nil, false
}

// wakes returns when the first call wakes by itself. The caller holds s.mu.
func (s *callSet) wakes() (at time.Time, ok bool) {
	for _, c := range s.calls {
		if c.state == parked && !c.until.IsZero() && (!ok || c.until.Before(at)) {
			at, ok = c.until, true
		}
	}
	return at, ok
}

// busy returns the first call that is busy, or nil. The caller holds s.mu.
func (s *callSet) busy() *simCall {
	for _, c := range s.calls {
		if c.state == busy {
			return c
		}
	}
	return nil
}

// rest waits until a call that continues has come to rest, or for some time if that
// cannot be known, and reports whether it rests. A call that is not blocked is at work,
// however long the machine lets it wait for its turn: it has until the watchdog barks.
func (s *callSet) rest(c *simCall, patience time.Duration) bool {
	if s.settle != nil {
		s.settle()
	}
	var tick <-chan time.Time
	for ticks := 0; ; {
		s.mu.Lock()
		state, changed := c.state, s.nextChange()
		s.mu.Unlock()
		if state != busy {
			return true
		}
		if s.settle != nil {
			return false
		}
		if tick == nil {
			t := time.NewTicker(patience / ticksEach)
			defer t.Stop()
			tick = t.C
		}
		select {
		case <-changed:
		case <-tick:
			ticks++
			isOver := time.Duration(ticks)*(patience/ticksEach) >= max(patience, watchdog)
			if isOver || ticks%ticksEach == 0 && !c.isAtWork() {
				return false
			}
		}
	}
}

// What has ended a block.
const (
	byWake = iota
	byChange
	byRing
)

// block waits in real time, or that of the bubble, for something in wake, a change, or
// ring. What arrives for a parked run inside a call is such a change.
func (s *callSet) block(wake, changed <-chan struct{}, ring <-chan time.Time) int {
	cases := []reflect.SelectCase{
		byWake:   {Dir: reflect.SelectRecv, Chan: reflect.ValueOf(wake)},
		byChange: {Dir: reflect.SelectRecv, Chan: reflect.ValueOf(changed)},
		byRing:   {Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ring)},
	}
	var sleepers []*simCall
	s.mu.Lock()
	for _, c := range s.calls {
		if c.state == parked && c.wake != nil {
			sleepers = append(sleepers, c)
			cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c.wake)})
		}
	}
	s.mu.Unlock()
	if len(sleepers) == 0 {
		select {
		case <-wake:
			return byWake
		case <-changed:
			return byChange
		case <-ring:
			return byRing
		}
	}
	by, _, _ := reflect.Select(cases)
	if by <= byRing {
		return by
	}
	c := sleepers[by-byRing-1]
	s.mu.Lock()
	isParked := c.state == parked
	if isParked {
		c.state = busy
	}
	s.mu.Unlock()
	if isParked {
		c.begin(false)
		s.rest(c, patience)
	}
	return byChange
}

// answer makes the tasks due whose calls have ended, in order of start, and reports
// whether there were any.
func (s *callSet) answer() bool {
	s.mu.Lock()
	var answered []*simCall
	s.calls = slices.DeleteFunc(s.calls, func(c *simCall) bool {
		if c.state == ended {
			answered = append(answered, c)
			c.answered = true
		}
		return c.state == ended
	})
	s.gone = 0
	s.mu.Unlock()
	for _, c := range answered {
		if c.pending != nil {
			c.pending.End()
		}
	}
	return len(answered) > 0
}

// list says what each call that is under way does, a line each.
func (s *callSet) list() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, c := range s.calls {
		what := ""
		switch c.state {
		case begun:
			what = "has not begun"
		case busy:
			what = "neither returns nor sleeps"
		case ended:
			what = "has returned"
		case parked:
			switch {
			case !c.until.IsZero():
				what = "sleeps until " + c.until.UTC().Format(time.DateTime)
			case c.wake != nil:
				what = "waits for an event"
			case c.awaits:
				what = "waits for the end of a call"
			default:
				what = "sleeps until its context ends"
			}
		}
		fmt.Fprintf(&b, "\n\t%s %s", c, what)
	}
	return b.String()
}

// expect receives from wake what package context has sent, or will send at once on
// another goroutine: otherwise it would come at any time.
func (s *callSet) expect(wake <-chan struct{}) {
	if s.settle != nil {
		select {
		case <-wake:
		default:
		}
		return
	}
	t := time.NewTicker(patience / ticksEach)
	defer t.Stop()
	for range ticksEach { // then the run has another context
		select {
		case <-wake:
			return
		case <-t.C:
		}
	}
}
