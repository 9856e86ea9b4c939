package model

import "slices"

// Group is a task made of a task for each node of a graph. Make it with
// NewGroup.
type Group struct {
	opts  Options
	nodes []*node // in key order
	byKey []*node

	round     int
	begun     bool
	ended     bool
	signal    bool // a round is wanted though nobody is due
	signalAt  int  // the step in which it was: it is seen after that
	draining  bool
	cutShort  bool // what a Drain had left was cancelled
	cancelled bool // what was pending
	closed    bool // the input
	asked     bool // it was asked to end at once
	parts     bool // and ends part by part
	busy      int  // calls under way
	inRound   bool
	current   *node   // whose code is running
	panicked  *node   // whose code did
	said      bool    // the group has said that its own node is ready
	over      bool    // it is being closed: nothing that is pending matters
	orders    []*node // that are to be carried out
	inside    *stake  // the nearest that is had around the group
	places    []*place
	again     []*place // that are to ask again, in that order
	full      bool     // nothing can start for the Limit, which places have given way for
	inherited int64    // the grace of the nearest runner that has one
	stopping  bool     // nothing new starts
	graced    bool     // the running members were asked for their graces in this step
	notice    *Notice  // what members are told
	first     *Notice  // what they were told before a final one
	final     *Notice  // as services are told it
	notNeeded *Notice  // of services
	cause     error    // of a Stop of the whole run
	thrown    error    // the last one
	timedOut  *Timeout
	failures  []failure
}

// NewGroup returns a group of a graph without cycles.
func NewGroup(opts Options) *Group {
	nodes := make([]node, len(opts.Requires))
	g := &Group{opts: opts, nodes: make([]*node, 0, len(nodes)), byKey: make([]*node, 0, len(nodes))}
	for k := range nodes {
		n := &nodes[k]
		n.key, n.state = k, Pending
		g.byKey = append(g.byKey, n)
	}
	for k, requires := range opts.Requires {
		for _, q := range requires {
			from, to := g.byKey[k], g.byKey[q]
			if opts.Reverse {
				from, to = to, from
			}
			from.requires = append(from.requires, to)
		}
	}
	// Key order: again and again the first node, in order of entry, of which all
	// that it requires is out already.
	for len(g.nodes) < len(g.byKey) {
		for _, n := range g.byKey {
			if !slices.Contains(g.nodes, n) && each(n.requires, func(q *node) bool { return slices.Contains(g.nodes, q) }) {
				g.nodes = append(g.nodes, n)
				break
			}
		}
	}
	for _, n := range g.nodes {
		if opts.Completed != nil && opts.Completed(n.key) {
			n.state, n.before = Succeeded, true
		}
	}
	if opts.Priority != nil {
		for _, n := range g.nodes {
			n.urgency = opts.Priority(n.key)
		}
	}
	for _, n := range slices.Backward(g.nodes) {
		for _, q := range n.requires {
			q.urgency = max(q.urgency, n.urgency)
		}
		if opts.Estimate != nil {
			n.path += max(opts.Estimate(n.key), 0)
			for _, q := range n.requires {
				q.path = max(q.path, n.path)
			}
		}
	}
	return g
}

// Task is the group as a task.
func (g *Group) Task() Task {
	return Task{Step: g.step, Throw: g.throw, Stop: g.stop, Close: g.close, BeginClose: g.beginClose}
}

// State returns where a node stands.
func (g *Group) State(k int) State { return g.byKey[k].state }

// Len returns the number of nodes.
func (g *Group) Len() int { return len(g.byKey) }

// Started reports whether a node was started.
func (g *Group) Started(k int) bool { return g.byKey[k].started }

// step is a round: a step for each running member that is due, then a start for
// each node that is ready. Who is due by its yield is settled as the round
// begins; a deadline that passes meanwhile counts if the step is still to come.
func (g *Group) step() (Yield, error) {
	if g.ended {
		return Yield{}, ErrEnded
	}
	if !g.begun {
		g.begun = true
		g.inherited = g.opts.Clock.grace()
		g.inside = g.opts.Clock.held()
		for _, n := range g.nodes {
			if n.before && g.opts.Observe != nil {
				g.opts.Observe(n.key, Pending, Succeeded, nil)
			}
		}
		if n := g.opts.Clock.notice(); n != nil {
			g.heed(n)
		}
	}
	g.enter()
	defer g.leave()
	defer g.unwind()
	g.graced = false
	g.makeRound()
	return g.answer()
}

// enter says that code of members may run until leave is called.
func (g *Group) enter() {
	g.opts.Clock.enter(around{group: g})
	g.busy++
}

func (g *Group) leave() {
	g.busy--
	g.opts.Clock.leave()
}

// running returns the running members, and the services among them, in key order.
func (g *Group) running() []*node { return g.inState(isRunning) }

// active returns those that are closing as well.
func (g *Group) active() []*node { return g.inState(isActive) }

func (g *Group) inState(is func(State) bool) []*node {
	nodes := make([]*node, 0, len(g.nodes))
	for _, n := range g.nodes {
		if is(n.state) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (g *Group) set(n *node, to State, err error) {
	from := n.state
	n.state = to
	if to > Closing {
		g.release(n)
	}
	if n.service && to != Ready {
		n.freed = to == Succeeded // who requires a service that fails waits for that again
	}
	if g.opts.Observe != nil {
		g.opts.Observe(n.key, from, to, err)
	}
	if from == Pending {
		g.withdraw(n)
	}
	if to == Closing { // a service that closes frees nobody
		for _, q := range g.nodes {
			if !g.mayStart(q) {
				g.withdraw(q)
			}
		}
	}
}

// answer is what a step returns: the result when nothing is left to be done.
func (g *Group) answer() (Yield, error) {
	g.retire()
	g.checkDeadlock()
	running, pending := g.active(), g.count(Pending)
	if len(running) == 0 && (pending == 0 || g.draining) && !g.waitsForNodes() {
		g.ended = true
		if err := g.result(); err != nil {
			return Yield{}, err
		}
		return Yield{Done: true}, nil
	}
	// Never a number of rounds: whoever waits for some is counted for here.
	forClaims := g.waitsForClaims()
	y := Yield{Ending: g.cancelled && len(g.running()) == 0, Claims: forClaims, Serves: forClaims}
	earliest := func(at int64) {
		if at != 0 && (y.At == 0 || at < y.At) {
			y.At = at
		}
	}
	for _, p := range g.places {
		earliest(g.startOf(p))
	}
	for _, n := range running {
		if n.byRound != 0 || n.due {
			y.Rounds = 1
		}
		if !n.due {
			earliest(n.yield.At)
			if n.deadline.kind != none {
				earliest(n.deadline.at + 1)
			}
		}
	}
	y.Ready = g.isCalled
	return y, nil
}

// isCalled reports whether the group is due by an event, or by call.
func (g *Group) isCalled() bool {
	c := g.opts.Clock
	return g.signal && (len(c.around) == 0 || g.signalAt != c.steps) || slices.ContainsFunc(g.nodes, (*node).isWoken)
}

func (g *Group) count(s State) int {
	count := 0
	for _, n := range g.nodes {
		if n.state == s {
			count++
		}
	}
	return count
}

// stop hands a notice on. The group goes on starting, unless the whole run ends.
func (g *Group) stop(n *Notice) {
	if g.ended || !g.begun {
		return
	}
	g.enter()
	defer g.leave()
	defer g.unwind()
	g.heed(n)
	g.notify(n)
	g.retire()
	g.wake()
}

// Drain starts nothing more; what is left stays pending.
func (g *Group) Drain() {
	if !g.ended && !g.stopping {
		g.draining, g.stopping = true, true
		g.leaveLine()
		g.wake()
	}
}

// wake wants a round though nobody may be due.
func (g *Group) wake() {
	if !g.signal {
		g.signal, g.signalAt = true, g.opts.Clock.steps
	}
}

// wakeFrom wakes the group unless it is in a round of its own.
func (g *Group) wakeFrom() {
	if g.begun && !g.ended && g.busy == 0 {
		g.wake()
	}
}
