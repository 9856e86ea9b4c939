package scheduler

import (
	"context"
	"slices"
)

// claimQueue is the part of a group that knows who waits for shared Limiters,
// and who holds what of them. Nodes that claim the same wait for it together: the
// class has one place in line, for the lowest rank among them.
type claimQueue struct {
	classes    map[Claim][]*class // by the first claim
	inOrder    []*class
	classOf    []*class   // by position; nil: not asked yet
	waiting    []*class   // those that have nodes waiting
	intervalAt int64      // when one of them can start at the earliest, or never
	recheck    bool       // something was given back
	holding    *holding   // of the node that is starting
	held       []*holding // by slot
	around     []*holding // what the nodes around the group hold, nearest first
	claimTree  *claimTree // shared by the outermost group and all inside
}

// class is the nodes of a group that claim the same.
type class struct {
	ticket *ticket
	nodes  []int32 // waiting, by rank: a heap
	open   bool    // it is its turn: one of its nodes is among the ready ones
}

// noClaims is the class of nodes that claim nothing.
var noClaims = &class{}

// claim gets what a node claims, and reports whether it is to be started now.
// Otherwise it waits in its class, or has failed.
func (g *engine) claim(ctx context.Context, p, rank int32) bool {
	c, err := g.classFor(p)
	switch {
	case err != nil:
		g.handle(ctx, p, nil, err)
		return false
	case c == noClaims:
		return true
	}
	if len(c.nodes) == 0 || c.open {
		c.open = false
		h, at := c.ticket.take(g, p, g.claimTime(c))
		if h != nil {
			g.holding, g.recheck = h, true
			if len(c.nodes) == 0 {
				g.leaveLine(c)
			}
			return true
		}
		g.intervalAt = min(g.intervalAt, at)
	}
	if len(c.nodes) == 0 {
		g.waiting = append(g.waiting, c)
		g.claimTree.add(c.ticket)
	}
	c.push(rank)
	return false
}

// claimTime reads the clock if a claim depends on it.
func (g *engine) claimTime(c *class) int64 {
	for _, claim := range c.ticket.claims {
		if claim.Limiter.opts.Interval > 0 {
			return instantOf(g.clock)
		}
	}
	return never
}

// classFor returns the class of a node, asking for its claims the first time.
func (g *engine) classFor(p int32) (*class, error) {
	if g.classOf == nil {
		g.classOf = make([]*class, g.nodes.len())
		g.classes = map[Claim][]*class{}
	}
	if c := g.classOf[p]; c != nil {
		return c, nil
	}
	merged, err := mergeClaims(g.opts.Claims(p))
	if err != nil {
		return nil, err
	}
	c := noClaims
	if len(merged) > 0 {
		c = g.classWith(merged)
	}
	g.classOf[p] = c
	return c, nil
}

func (g *engine) classWith(merged []Claim) *class {
	for _, c := range g.classes[merged[0]] {
		if slices.Equal(c.ticket.claims, merged) {
			return c
		}
	}
	c := &class{}
	c.ticket = &ticket{
		claims: merged,
		around: g.around,
		wake:   g.parking.event.Set,
		who:    func() string { return g.pathOf(g.starter.nodeAt(c.nodes[0])) },
	}
	g.classes[merged[0]] = append(g.classes[merged[0]], c)
	g.inOrder = append(g.inOrder, c)
	return c
}

// serve puts the first node of each class whose turn has come among those that
// are ready. It returns the first word of the ready set that has one.
func (g *engine) serve() int {
	g.recheck = false
	g.intervalAt = never
	first := g.nodes.len()
	for _, c := range slices.Clone(g.waiting) {
		if c.open {
			continue
		}
		if at := c.ticket.turn(g.claimTime(c)); at != past {
			g.intervalAt = min(g.intervalAt, at)
			continue
		}
		rank := c.pop()
		c.open = true
		g.starter.ready.Add(rank)
		first = min(first, int(rank>>6))
		if len(c.nodes) == 0 {
			g.leaveLine(c)
		}
	}
	return first
}

// leaveLine takes a class without waiting nodes off the list of those that
// have some. Its ticket keeps its place until it is used, or given up.
func (g *engine) leaveLine(c *class) {
	if i := slices.Index(g.waiting, c); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.claimTree.remove(c.ticket)
	}
}

// leaveLines gives all places in line up: nothing more starts.
func (g *engine) leaveLines() {
	for _, c := range g.inOrder {
		c.ticket.leave()
		g.claimTree.remove(c.ticket)
	}
	g.waiting, g.intervalAt = nil, never
}

// giveBack gives back what the node holds that is starting, if it does not run on.
func (g *engine) giveBack() {
	if h := g.holding; h != nil {
		g.holding, g.recheck = nil, true
		h.release()
	}
}

// giveBackOf gives back what the member in a slot holds.
func (g *engine) giveBackOf(slot int32) {
	if h := g.held[slot]; h != nil {
		g.held[slot], g.recheck = nil, true
		h.release()
	}
}

// holdInSlot makes what the starting node holds that of the slot, of so many.
func (g *engine) holdInSlot(slot int32, slots int) {
	if int(slot) >= len(g.held) {
		g.held = extended(g.held, slots)
	}
	g.held[slot], g.holding = g.holding, nil
}

// pauseLines lets others pass while the group is full: what runs here may need
// what is kept for those that wait.
func (g *engine) pauseLines() {
	for _, c := range g.inOrder {
		c.ticket.pause()
	}
}

// nextInterval returns when a Limiter's Interval lets a node start, or never.
func (g *engine) nextInterval() int64 {
	if len(g.waiting) == 0 || g.isFull() {
		return never
	}
	return g.intervalAt
}

// waitsForClaims reports whether all that could go on in the group waits for
// claims, here or in groups inside.
func (g *engine) waitsForClaims() bool {
	return len(g.waiting)+g.parking.forClaims > 0 &&
		g.parking.forClaims == g.nodes.count(StateRunning) &&
		g.deadlines.none() &&
		g.nextInterval() == never &&
		(g.starter.ready.Empty() || g.isFull())
}

// checkDeadlock fails an outermost group that can never go on.
func (g *engine) checkDeadlock() {
	if g.outer != nil || !g.waitsForClaims() || g.parking.event.IsSet() {
		return
	}
	if err := g.claimTree.deadlock(); err != nil {
		g.failures.add(failure{err: err, node: noNode})
		g.closeAll()
		g.cancelPending()
	}
}

// holdings returns what a running node and those around it hold.
func (g *engine) holdings(p int32) []*holding {
	own := g.holding
	if slot := g.nodes.slot(p); slot != noSlot {
		own = nil
		if g.held != nil {
			own = g.held[slot]
		}
	}
	if own == nil {
		return g.around
	}
	return append([]*holding{own}, g.around...)
}

func (c *class) push(rank int32) {
	c.nodes = append(c.nodes, rank)
	for i := len(c.nodes) - 1; i > 0; {
		up := (i - 1) / 2
		if c.nodes[up] <= c.nodes[i] {
			break
		}
		c.nodes[up], c.nodes[i] = c.nodes[i], c.nodes[up]
		i = up
	}
}

func (c *class) pop() int32 {
	first, last := c.nodes[0], len(c.nodes)-1
	c.nodes[0] = c.nodes[last]
	c.nodes = c.nodes[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < last && c.nodes[down+1] < c.nodes[down] {
			down++
		}
		if down >= last || c.nodes[i] <= c.nodes[down] {
			return first
		}
		c.nodes[down], c.nodes[i] = c.nodes[i], c.nodes[down]
		i = down
	}
}
