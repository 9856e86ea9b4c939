package model

import "slices"

// Claiming runs a task while it has what it claims.
func Claiming(clock *Clock, claims []Claim, task Task) Task {
	c := &claiming{clock: clock, task: task, news: Event{Clock: clock}}
	c.stake = &stake{claims: claims, tell: c.news.Set}
	return Task{Step: c.step, Throw: c.throw, Stop: c.stop, Close: c.close, BeginClose: c.beginClose}
}

type claiming struct {
	clock  *Clock
	task   Task
	stake  *stake
	asked  bool
	news   Event
	notice *Notice // that came before the task has started
}

// step waits for the claims, and then steps the task.
func (c *claiming) step() (Yield, error) {
	if !c.asked {
		c.asked = true
		c.stake.inside = c.clock.held()
		c.stake.outside = each(c.clock.around, func(of around) bool { return of.group == nil })
		c.clock.line.ask(c.stake)
	}
	if c.stake.begun {
		return c.inside(c.task.step)
	}
	c.news.Reset()
	if !c.stake.has || !c.clock.line.isFirst(c.stake) {
		return Yield{Ready: On(&c.news), Claims: true}, nil
	}
	if at := c.stake.startsAt(); at > c.clock.Now {
		return Yield{Ready: On(&c.news), At: at}, nil
	}
	c.clock.line.begin(c.stake, c.clock.Now)
	y, err := c.inside(c.task.step)
	if c.notice != nil && err == nil && !y.Done {
		c.tell()
	}
	return y, err
}

// inside has the task called. Once it has ended what it had is given back.
func (c *claiming) inside(call func() (Yield, error)) (Yield, error) {
	ended := true
	defer func() {
		if ended {
			c.clock.line.leave(c.stake)
		}
	}()
	c.enter()
	defer c.clock.leave()
	y, err := call()
	ended = err != nil || y.Done
	return y, err
}

func (c *claiming) enter() { c.clock.enter(around{held: c.stake}) }

// throw ends the waiting, or throws into the task.
func (c *claiming) throw(err error) (Yield, error) {
	if !c.stake.begun {
		c.clock.line.leave(c.stake)
		return Yield{}, err
	}
	return c.inside(func() (Yield, error) { return c.task.throw(err) })
}

// stop passes a notice on, at once or when the task has started.
func (c *claiming) stop(n *Notice) {
	if c.notice == nil || n.Final && !c.notice.Final {
		c.notice = n
	}
	if c.stake.begun {
		c.tell()
	}
}

func (c *claiming) tell() {
	if c.task.Stop != nil {
		_, _ = c.inside(func() (Yield, error) {
			c.task.Stop(c.notice)
			return Yield{}, nil
		})
	}
}

// close ends the waiting, or the task.
func (c *claiming) close() error {
	defer c.clock.line.leave(c.stake)
	if !c.stake.begun {
		return nil
	}
	return c.task.Close()
}

func (c *claiming) beginClose() (w *Wait) {
	if c.stake.begun {
		_, _ = c.inside(func() (Yield, error) {
			w = c.task.beginClose()
			return Yield{}, nil
		})
	}
	return w
}

// held is what the code has that is being stepped, or the nearest around it has.
func (c *Clock) held() *stake {
	for _, of := range slices.Backward(c.around) {
		switch g := of.group; {
		case of.held != nil && len(of.held.claims) > 0:
			return of.held
		case g != nil && g.current != nil && g.current.held != nil:
			return g.current.held
		}
	}
	return nil
}

// waitsForClaims reports whether all that could go on in the group waits for claims, here
// or inside. A service that nothing has asked to end goes on for as long as it is needed.
func (g *Group) waitsForClaims() bool {
	waiting := 0
	for _, p := range g.places {
		waiting += len(p.waits)
		if g.startOf(p) != 0 {
			return false
		}
	}
	for _, n := range g.active() {
		isForClaims := n.yield.Claims && (n.yield.Serves || n.yield.At == 0 && n.yield.Rounds == 0)
		serves := n.state == Ready && n.isHidden()
		switch {
		case n.deadline.kind != none:
			return false
		case isForClaims:
			waiting++
		case !serves:
			return false
		}
	}
	return waiting > 0 && g.nextReady() == nil
}

// isCalledSoon is isCalled as it will be after the step.
func (g *Group) isCalledSoon() bool {
	c := g.opts.Clock
	around := c.around
	c.around = nil
	defer func() { c.around = around }()
	return g.isCalled()
}

// checkDeadlock fails the outermost group if it can never go on.
func (g *Group) checkDeadlock() {
	c := g.opts.Clock
	for _, of := range c.around {
		if of.group != nil && of.group != g {
			return
		}
	}
	if !g.waitsForClaims() || g.isCalledSoon() || !c.line.isDead() {
		return
	}
	g.failures = append(g.failures, failure{err: ErrDeadlock})
	g.cutOffAll()
	g.cancelPending()
}
