package model

import "slices"

// This file is about services.

// sayReady is said by the member whose code is running. In its first step it counts
// if that does not end it.
func (g *Group) sayReady() {
	n := g.current
	switch {
	case n == nil || n.state != Running:
	case n.first:
		n.said = true
	default:
		g.becomeReady(n)
	}
}

// becomeReady lets start what requires a member, unless that has to end.
func (g *Group) becomeReady(n *node) {
	if g.cancelled || n.halted || n.order != nil || n.expired {
		return
	}
	n.deadline = deadline{} // its own limit
	n.service = true
	g.set(n, Ready, nil)
	n.freed = true
	for _, q := range g.nodes { // what was done beforehand and frees others now has done so for good
		if q.before && q.frees() {
			q.before, q.freed = false, true
		}
	}
	g.ask()
}

// isHidden reports whether a member is a service that was not asked to end: no notice
// is for it.
func (n *node) isHidden() bool { return n.service && !n.released }

// hasLimit reports whether the Limit is reached.
func (g *Group) hasLimit() bool { return g.opts.Limit > 0 && g.taken() >= g.opts.Limit }

// taken returns how many places of the Limit are: none by services.
func (g *Group) taken() int {
	count := 0
	for _, n := range g.active() {
		if !n.service {
			count++
		}
	}
	return count
}

// isRequired reports whether a node is required by others, and isNeeded whether one
// of them, directly or not, has not ended.
func (g *Group) isRequired(n *node) bool {
	return slices.ContainsFunc(g.nodes, func(q *node) bool { return slices.Contains(q.requires, n) })
}

func (g *Group) isNeeded(n *node) bool {
	return slices.ContainsFunc(g.nodes, func(q *node) bool {
		if !slices.Contains(q.requires, n) {
			return false
		}
		hasEnded := q.state > Closing || q.state == Pending && (g.stopping || g.over)
		return !hasEnded || g.isNeeded(q)
	})
}

// retire asks those services to end that nothing needs any more, the last one in key
// order first.
func (g *Group) retire() {
	idle := g.count(Running)+g.count(Closing) == 0 && (g.count(Pending) == 0 || g.stopping)
	if !g.cancelled && (g.waitsForNodes() || g.servesAround()) {
		if idle && g.count(Ready) > 0 && !g.said {
			g.said = true
			g.opts.Clock.readyAround(g)
		}
		return
	}
	for {
		var last *node
		for _, n := range g.nodes {
			if n.state == Ready && !n.released && !g.isNeeded(n) && (idle || g.cancelled || g.isRequired(n)) {
				last = n
			}
		}
		if last == nil {
			return
		}
		last.released = true
		g.retireOne(last)
	}
}

// servesAround reports whether the services of the group are for a node around it.
func (g *Group) servesAround() bool {
	return g.opts.Serves && g.notice == nil && slices.ContainsFunc(g.opts.Clock.around, func(of around) bool {
		return of.group != nil && of.group != g
	})
}

func (g *Group) retireOne(n *node) {
	if !g.cancelled {
		n.unneeded = true
		if g.notNeeded == nil {
			g.notNeeded = &Notice{ErrNotNeeded, true}
		}
		g.askToEnd(n, g.graceOf(n), g.notNeeded)
		return
	}
	switch left := n.stopBy - g.opts.Clock.Now; {
	case n.closeLast || g.notice == nil:
		g.cutOff(n)
	case g.opts.OwnGrace && n.stopBy != 0: // from now on
		g.askToEnd(n, n.stopBy, g.finalNotice())
	case n.stopBy == 0: // it has what the runner gives
		g.tell(n, g.finalNotice())
	case left < 0:
		g.endGrace(n)
	default:
		g.grant(n, left)
		g.tell(n, g.finalNotice())
	}
}

// finalNotice is the group's notice as services are told it: to each of them it is a
// stop of its own.
func (g *Group) finalNotice() *Notice {
	switch {
	case g.notice.Final:
		return g.notice
	case g.final == nil:
		g.final = &Notice{g.notice.Cause, true}
	}
	return g.final
}

// askToEnd gives a member notice and a grace, or closes it if that is over.
func (g *Group) askToEnd(n *node, grace int64, notice *Notice) {
	switch {
	case grace > 0:
		g.grant(n, grace)
		g.tell(n, notice)
	case n.timedOut != nil: // it ends for that
		g.failAndClose(n, n.timedOut)
	default:
		g.endGrace(n)
	}
}

// closeServices ends the services that nothing needs any more, in a group that ends
// at once, the last one first.
func (g *Group) closeServices(end func(n *node)) {
	g.over = true
	for _, n := range g.nodes {
		n.closeLast = n.service
	}
	asked := map[*node]bool{}
	for {
		var last *node
		for _, n := range g.nodes {
			if n.state == Ready && !asked[n] && !g.isNeeded(n) {
				last = n
			}
		}
		if last == nil {
			return
		}
		asked[last] = true
		last.released = true
		end(last)
	}
}

// reconsider has When asked anew of those that a service has freed which has failed,
// and that have not started.
func (g *Group) reconsider(n *node) {
	if !n.service || g.opts.When == nil {
		return
	}
	for _, q := range g.nodes {
		if q.state == Pending && slices.Contains(q.requires, n) {
			q.wanted = false
			g.withdraw(q)
		}
	}
}
