package model

import "slices"

// Clock is the time of a run. It only moves when somebody moves it.
type Clock struct {
	Now    int64
	around []around // what is being stepped, the innermost last
	steps  int      // of the outermost
	line   line     // of those who claim something
}

// around is what is around some code: one of a runner, a group, a Shield and a Claiming.
type around struct {
	runner *Runner
	group  *Group
	shield bool   // no notice from further out gets in
	held   *stake // of the Claiming
}

// notice is the one that it has for what is inside.
func (of around) notice() *Notice {
	switch {
	case of.runner != nil:
		return of.runner.notice
	case of.group != nil:
		return of.group.noticeHere()
	}
	return nil
}

// grace is that of a runner that has one; 0 is none.
func (of around) grace() int64 {
	if of.runner == nil {
		return 0
	}
	return of.runner.Grace
}

// enter says that what is stepped until leave is called is inside of something.
func (c *Clock) enter(of around) {
	if len(c.around) == 0 && (of.runner != nil || of.group != nil) {
		c.steps++
	}
	c.around = append(c.around, of)
}

func (c *Clock) leave() { c.around = c.around[:len(c.around)-1] }

// Ready says that the node whose code is running is ready; of the innermost group.
func (c *Clock) Ready() { c.readyAround(nil) }

// readyAround says so of the node that runs a group.
func (c *Clock) readyAround(inner *Group) {
	for _, of := range slices.Backward(c.around) {
		switch of.group {
		case nil:
		case inner:
			inner = nil
		default:
			if inner == nil {
				of.group.sayReady()
				return
			}
		}
	}
}

// notice is that under which something begins now: the innermost final one, else
// the innermost.
func (c *Clock) notice() *Notice {
	var first *Notice
	for _, of := range slices.Backward(c.around) {
		if of.shield {
			break
		}
		if of.group != nil && of.group.current != nil && of.group.current.isHidden() {
			break // it will tell
		}
		n := of.notice()
		if n != nil && n.Final {
			return n
		}
		if first == nil {
			first = n
		}
	}
	return first
}

// grace is that of the nearest runner that has one.
func (c *Clock) grace() int64 {
	for _, of := range slices.Backward(c.around) {
		if grace := of.grace(); grace != 0 {
			return grace
		}
	}
	return 0
}

// graceAround is that of the nearest runner that has one, or node.
func (c *Clock) graceAround() int64 {
	for _, of := range slices.Backward(c.around) {
		switch grace := of.grace(); {
		case grace != 0:
			return grace
		case of.group != nil && of.group.current != nil:
			return max(of.group.graceOf(of.group.current), 0)
		}
	}
	return 0
}

// Past is before any time that a Clock should show. What was due then is due
// without a look at the clock.
const Past = 1

// Event is latched: set before or after somebody waits for it is the same.
// Whoever a Set woke gets its step, also if there was a Reset meanwhile. A Set in
// a step is seen after that step of the outermost runner or group: so all that wait
// for it are due in the same round.
type Event struct {
	Clock *Clock

	set    bool
	sets   int
	step   int // the step of the last Set
	before int // how many there were before that step
}

// Set wakes all who wait.
func (e *Event) Set() {
	if e.step != e.Clock.steps {
		e.step, e.before = e.Clock.steps, e.sets
	}
	e.set, e.sets = true, e.sets+1
}

// Reset takes the mark back.
func (e *Event) Reset() { e.set = false }

// seen is how often it was set, as far as this is seen yet.
func (e *Event) seen() int {
	if len(e.Clock.around) > 0 && e.step == e.Clock.steps {
		return e.before
	}
	return e.sets
}

// On returns what Yield.Ready is for a task that waits for e from now on.
func On(e *Event) func() bool {
	before, already := e.sets, e.set
	return func() bool { return already || e.seen() > before }
}
