package model

import "slices"

func (g *Group) makeRound() {
	g.inRound = true
	g.obey()
	g.signal = false // the round sees all that has come before
	g.round++
	now := g.opts.Clock.Now
	for _, n := range g.active() {
		n.due = n.due || n.isDue(g.round, now)
	}
	for _, n := range g.nodes {
		if !n.isMember() || !n.due {
			continue
		}
		n.due, n.yield = false, Yield{}
		g.takeTurn(n, now)
		// The clock is read once a round, but for graces.
		if slices.ContainsFunc(g.nodes, (*node).hasGrace) {
			now = g.opts.Clock.Now
			for _, n := range g.running() {
				if n.deadline.passed(now) {
					n.due = true
				}
			}
		}
	}
	g.obey()
	g.ask()
	g.serve()
	for n := g.nextReady(); n != nil; n = g.nextReady() {
		if g.claim(n) {
			g.start(n)
			g.serve()
		}
	}
	g.giveWay()
	g.inRound = false
	g.obey()
}

func (g *Group) takeTurn(n *node, now int64) {
	if n.state == Closing {
		g.endClosing(n)
		return
	}
	if n.deadline.passed(now) {
		g.expire(n)
		return
	}
	g.stepMember(n)
}

// stepMember steps a running member. One that yields nothing has failed.
func (g *Group) stepMember(n *node) {
	y, err := g.call(n, n.task.Step)
	if err == nil && y.isZero() {
		g.failAndClose(n, ErrNoYield)
		return
	}
	g.settle(n, y, err)
}

// settle does what the answer of a member asks for.
func (g *Group) settle(n *node, y Yield, err error) {
	switch {
	case err != nil:
		g.fail(n, err)
	case y.Done:
		g.succeed(n)
	default:
		n.yield, n.byRound = y, 0
		if y.Rounds > 0 {
			n.byRound = g.round + y.Rounds
		}
	}
}

// nextReady returns the node to start next: the first one in key order, or the most
// urgent one, or with estimates the one with the longest remaining path.
func (g *Group) nextReady() *node {
	if g.stopping || g.hasLimit() {
		return nil
	}
	return g.mostUrgent(func(n *node) bool { return g.mayStart(n) && !n.isWaiting() })
}

// mayStart reports whether nothing but the Limit, or claims, keeps a node from starting.
func (g *Group) mayStart(n *node) bool {
	isFree := n.isFreedBy
	if g.opts.When != nil {
		isFree = func(q *node) bool { return n.wanted && n.isOverFor(q) }
	}
	return n.state == Pending && n.order == nil && each(n.requires, isFree) && (n.wanted || g.opts.When == nil)
}

// mostUrgent returns which of some nodes starts first, or nil.
func (g *Group) mostUrgent(is func(n *node) bool) *node {
	var next *node
	for _, n := range g.nodes {
		if is(n) && (next == nil || !n.late && n.urgency > next.urgency ||
			!n.late && n.urgency == next.urgency && n.path > next.path) {
			next = n
		}
	}
	return next
}

// start makes the task and gives it its first step.
func (g *Group) start(n *node) {
	n.started = true
	g.set(n, Running, nil)
	if g.opts.Timeout != nil {
		switch limit := g.opts.Timeout(n.key); {
		case limit < 0: // over at once: no code runs
			g.fail(n, &Timeout{})
			return
		case limit > 0:
			n.deadline.offer(g.opts.Clock.Now+limit, throwTimeout)
		}
	}
	n.task = g.opts.Task(n.key)
	n.first = true
	g.stepMember(n)
	n.first = false
	if n.said && n.state == Running {
		g.becomeReady(n)
	}
	if n.state == Running && g.notice != nil {
		g.tell(n, g.notice)
	}
}

// ask asks When of all of which it can be asked, in key order.
func (g *Group) ask() {
	if g.opts.When == nil {
		return
	}
	for _, n := range g.nodes {
		if n.state != Pending || n.wanted || n.order != nil || !each(n.requires, n.isOverFor) {
			continue
		}
		var states []State
		for _, q := range g.nodes {
			if slices.Contains(n.requires, q) {
				states = append(states, q.state)
			}
		}
		verdict := g.opts.When(n.key, states)
		if verdict == Usual {
			if n.wanted = each(n.requires, func(q *node) bool { return q.freed || q.before }); n.wanted {
				continue
			}
			g.set(n, Skipped, nil)
			continue
		}
		switch verdict {
		case Usual: // dealt with
		case Start:
			n.wanted = true
		case Pass:
			n.freed = true
			g.set(n, Succeeded, nil)
		case Skip:
			g.note(n, ErrCondition, failure{aside: true, skip: true})
			g.set(n, Skipped, ErrCondition)
		}
	}
}

// call runs code of a member.
func (g *Group) call(n *node, code func() (Yield, error)) (Yield, error) {
	around := g.current
	g.current = n
	defer func() { g.current = around }()
	return g.recovered(n, code)
}

// succeed ends a node that is complete.
func (g *Group) succeed(n *node) {
	n.freed = true
	g.set(n, Succeeded, nil)
	g.ask()
}
