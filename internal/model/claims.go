package model

import "slices"

// This file is about nodes that claim something of Limiters.

// place is that of the nodes of a group that claim the same, in the line.
type place struct {
	claims []Claim
	stake  *stake  // nil: it is in no line
	waits  []*node // for their turn
	next   *node   // whose turn it is; nil: nobody's
}

// claim has a node get what it claims, and reports whether it has.
func (g *Group) claim(n *node) bool {
	if g.opts.Claims == nil {
		return true
	}
	if !n.asked {
		n.asked, n.place = true, g.placeFor(g.opts.Claims(n.key))
	}
	p := n.place
	if p == nil {
		return true
	}
	if p.next == nil && (len(p.waits) > 0 || !g.askFor(p)) {
		p.waits = append(p.waits, n)
		return false
	}
	if p.next = nil; !g.isDue(p) {
		p.waits = append(p.waits, n)
		return false
	}
	n.held, p.stake = p.stake, nil
	g.opts.Clock.line.begin(n.held, g.opts.Clock.Now)
	if len(p.waits) > 0 {
		g.again = append(g.again, p)
	}
	return true
}

// placeFor returns the place for nodes with these claims, or nil for none.
func (g *Group) placeFor(claims []Claim) *place {
	if len(claims) == 0 {
		return nil
	}
	for _, p := range g.places {
		if slices.Equal(p.claims, claims) {
			return p
		}
	}
	p := &place{claims: claims}
	g.places = append(g.places, p)
	return p
}

// askFor puts a place behind all others in line, unless it is there, and reports whether it
// is served.
func (g *Group) askFor(p *place) bool {
	if p.stake == nil {
		s := &stake{inside: g.inside, claims: p.claims, tell: func() {}}
		s.isFull = g.isFull
		s.giveWay = func() {
			p.stake = nil
			g.again = append(g.again, p)
		}
		p.stake = s
		g.opts.Clock.line.ask(s)
		s.tell = g.wake
	}
	return p.stake.has
}

// isFull reports whether the group can start nothing for its Limit, until a node ends.
func (g *Group) isFull() bool { return g.full && g.hasLimit() }

// serve gives their turn to the most urgent nodes of the places that are served.
func (g *Group) serve() {
	if g.hasLimit() {
		return
	}
	g.full = false
	again := g.again
	g.again = nil
	for _, p := range again {
		if len(p.waits) > 0 && p.next == nil {
			g.askFor(p)
		}
	}
	for _, p := range g.places {
		if len(p.waits) > 0 && p.next == nil && g.isDue(p) {
			p.next = g.mostUrgent(func(n *node) bool { return slices.Contains(p.waits, n) })
			p.waits = except(p.waits, p.next)
		}
	}
}

// isDue reports whether a place is served, and no interval is in the way.
func (g *Group) isDue(p *place) bool {
	c := g.opts.Clock
	return p.stake != nil && p.stake.has && c.line.isFirst(p.stake) && p.stake.startsAt() <= c.Now
}

// startOf is when an interval lets a node start for which a place is served; 0 for none.
func (g *Group) startOf(p *place) int64 {
	if len(p.waits) == 0 || p.next != nil || p.stake == nil || !p.stake.has || !g.opts.Clock.line.isFirst(p.stake) {
		return 0
	}
	return p.stake.startsAt()
}

// giveWay has the places give up what they were served, since nothing can start. A node
// that is alone in its place asks again when it can start, the others when something can.
func (g *Group) giveWay() {
	if !g.hasLimit() || !slices.ContainsFunc(g.places, func(p *place) bool { return p.isUsed() }) {
		return
	}
	g.full = true
	for _, p := range g.places {
		if p.next != nil && len(p.waits) > 0 {
			p.waits = append(p.waits, p.next)
		}
		p.next = nil
	}
	g.opts.Clock.line.makeWay()
}

func (p *place) isUsed() bool { return len(p.waits) > 0 || p.next != nil }

// withdraw takes back that a pending node waits, if it does. If it was the last one, its
// place is free.
func (g *Group) withdraw(n *node) {
	p := n.place
	if p == nil || n.held != nil {
		return
	}
	p.waits = except(p.waits, n)
	if p.next == n {
		p.next = nil
	}
	if !p.isUsed() && p.stake != nil {
		s := p.stake
		p.stake = nil
		g.opts.Clock.line.leave(s)
	}
}

// leaveLine gives up all places.
func (g *Group) leaveLine() {
	var left []*stake
	for _, p := range g.places {
		if p.stake != nil {
			left = append(left, p.stake)
		}
		*p = place{claims: p.claims}
	}
	g.again = nil
	g.opts.Clock.line.leave(left...)
}

// release gives back what a node has.
func (g *Group) release(n *node) {
	if s := n.held; s != nil {
		n.held = nil
		g.opts.Clock.line.leave(s)
	}
}

// isWaiting reports whether a node waits for what it claims, and has not its turn.
func (n *node) isWaiting() bool { return n.place != nil && slices.Contains(n.place.waits, n) }
