package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/steptask/scheduler/internal/bitset"
)

// This file is about which node of a group starts next.

// starting is the part of a group that it stands on.
type starting struct {
	// Pending nodes of which all that they require is done, by rank, unless
	// they wait in a class. Rank is position, or with Estimate the place in
	// the order of the longest remaining path. Either way what a node frees
	// has a higher rank.
	ready  *bitset.Set
	ranks  []int32 // rank by position; nil: the same
	byRank []int32 // position by rank

	// With Claims. Nodes that claim the same wait for it together: the class
	// has one place in line, for the lowest rank among them.
	classes    map[Claim][]*class // by the first claim
	inOrder    []*class
	classOf    []*class   // by position; nil: not asked yet
	waiting    []*class   // those that have nodes waiting
	intervalAt int64      // when one of them can start at the earliest, or never
	recheck    bool       // something was given back
	holding    *holding   // of the node that is starting or ending, without a slot
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

// rankBy orders nodes by the longest remaining path.
func (g *DependencyTaskGroup[K]) rankBy(estimate func(K) time.Duration) {
	n := len(g.plan.keys)
	remaining := make([]int64, n)
	g.byRank = make([]int32, n)
	for p := n - 1; p >= 0; p-- {
		g.byRank[p] = int32(p)
		for _, q := range g.frees(int32(p)) {
			remaining[p] = max(remaining[p], remaining[q])
		}
		remaining[p] = later(remaining[p], max(estimate(g.plan.keys[p]), 0))
	}
	slices.SortFunc(g.byRank, func(a, b int32) int {
		return cmp.Or(cmp.Compare(remaining[b], remaining[a]), cmp.Compare(a, b))
	})
	g.ranks = make([]int32, n)
	for r, p := range g.byRank {
		g.ranks[p] = int32(r)
	}
}

func (g *DependencyTaskGroup[K]) rankOf(p int32) int32 {
	if g.ranks == nil {
		return p
	}
	return g.ranks[p]
}

func (g *DependencyTaskGroup[K]) nodeAt(rank int32) int32 {
	if g.byRank == nil {
		return rank
	}
	return g.byRank[rank]
}

// isFull reports whether the Limit is reached.
func (g *DependencyTaskGroup[K]) isFull() bool {
	return g.opts.Limit > 0 && g.counts[StateRunning] >= g.opts.Limit
}

// startReady is the start pass: each node that is ready is started, lowest rank
// first. It reports whether it got to the end before its budget did.
//
// What a node frees has a higher rank, so one sweep upwards finds all that
// become ready on the way; only what was waiting for claims can come from
// behind.
func (g *DependencyTaskGroup[K]) startReady(ctx context.Context) bool {
	completed := g.sweep(ctx)
	if g.isFull() {
		for _, c := range g.inOrder {
			c.ticket.pause() // what runs here may need what is kept for it
		}
	}
	return completed
}

func (g *DependencyTaskGroup[K]) sweep(ctx context.Context) bool {
	g.intervalAt = never
	if len(g.waiting) > 0 && !g.isFull() {
		g.serve()
	}
	plain := g.startsPlainly()
	for w := g.ready.NextWord(0); w >= 0; w = g.ready.NextWord(w) {
		if plain {
			g.startPlainly(ctx, w)
		}
		for word := g.ready.Word(w); word != 0; word = g.ready.Word(w) {
			rank := int32(w<<6 | bits.TrailingZeros64(word))
			if g.stopping || g.isFull() {
				return true
			}
			if g.opts.Budget > 0 && g.budget == 0 {
				return false
			}
			g.ready.Drop(rank)
			p := g.nodeAt(rank)
			if g.opts.Claims != nil && !g.claim(ctx, p, rank) {
				continue
			}
			g.budget--
			g.start(ctx, p)
			if g.recheck && len(g.waiting) > 0 && !g.isFull() {
				if first := g.serve(); first < w {
					g.ready.Leave(w)
					w = first
				}
			}
		}
		g.ready.Leave(w)
	}
	return true
}

// startsPlainly reports whether nothing is asked and nobody told at a start.
func (g *DependencyTaskGroup[K]) startsPlainly() bool {
	o := &g.opts
	return o.Timeout == nil && o.Context == nil && o.Claims == nil &&
		!o.RecoverPanics && o.SlowStep == 0 && o.Budget == 0 && o.Limit == 0
}

// startPlainly is start for such a group, for all ready nodes of a word and in
// one piece: a large group of short tasks spends most of its time here.
func (g *DependencyTaskGroup[K]) startPlainly(ctx context.Context, w int) {
	// Of slices that are known to be as long as each other only the first is checked.
	n := uint(len(g.state))
	state, since, cell, keys := g.state[:n], g.since[:n], g.cell[:n], g.plan.keys[:n]
	start, to := g.plan.start[:n+1], g.plan.to
	words, told := g.ready.Words(), g.opts.Observer != nil
	for words[w] != 0 && !g.stopping {
		p := int32(w<<6 | bits.TrailingZeros64(words[w]))
		i := uint(p)
		words[w] &= words[w] - 1 // as Drop does
		state[i] = StateRunning | hasStarted
		since[i] = int32(g.round)
		cell[i] = noNode
		g.counts[StatePending]--
		g.counts[StateRunning]++
		if told {
			g.observe(p, StatePending, StateRunning, nil, nil)
		}
		g.current = p
		task := g.task(keys[i])
		if task == nil {
			g.current = noNode
			g.handle(ctx, p, nil, ErrNilTask)
			continue
		}
		y, err := task.Step(ctx)
		g.current = noNode
		if y.code != yieldDone || err != nil {
			g.started(ctx, p, task, y, err, limitAt{}, nil)
			continue
		}
		state[i] = StateSucceeded | hasStarted
		g.counts[StateRunning]--
		g.counts[StateSucceeded]++
		if told {
			g.observe(p, StateRunning, StateSucceeded, task, nil)
		}
		for _, q := range to[start[i]:start[i+1]] {
			if cell[q]--; cell[q] == 0 && state[q] == StatePending {
				if int(q>>6) == w { // marked above until Leave
					words[w] |= 1 << (q & 63)
				} else {
					g.ready.Add(q)
				}
			}
		}
	}
}

// start makes a node's task and gives it its first step. Many tasks end in
// that: they get no slot.
func (g *DependencyTaskGroup[K]) start(ctx context.Context, p int32) {
	g.state[p] |= hasStarted
	g.cell[p] = noNode // before anybody is told, who may ask for more
	g.set(p, StateRunning, nil, nil)
	limit := g.limitOf(p)
	if limit.span < 0 {
		g.giveBack()
		g.handle(ctx, p, nil, &Timeout{Task: fmt.Sprint(g.plan.keys[p]), Limit: limit.span, at: limit.at})
		return
	}
	var values context.Context
	if g.opts.Context != nil {
		g.current = p
		values = g.opts.Context(ctx, g.plan.keys[p])
		ctx = &memberScope{Context: ctx, values: values}
	}
	var task Task
	var y Yield
	var err error
	if g.opts.RecoverPanics {
		y, err = g.call(p, func() (y Yield, err error) {
			task, y, err = g.begin(ctx, p)
			return y, err
		})
	} else {
		g.current = p
		task, y, err = g.begin(ctx, p)
		g.current = noNode
	}
	g.started(ctx, p, task, y, err, limit, values)
}

// started does what the answer of a first step asks for.
func (g *DependencyTaskGroup[K]) started(
	ctx context.Context, p int32, task Task, y Yield, err error, limit limitAt, values context.Context,
) {
	switch {
	case y.code == yieldDone && err == nil:
		g.giveBack()
		g.succeed(p, task)
	case err != nil:
		g.giveBack()
		g.handle(ctx, p, task, err)
	default:
		g.occupy(p, task, limit, values)
		g.settle(ctx, p, y, nil)
		if g.notice != nil && g.cell[p] != noNode {
			g.tell(ctx, p, g.notice)
		}
	}
}

// begin makes the task and steps it.
func (g *DependencyTaskGroup[K]) begin(ctx context.Context, p int32) (Task, Yield, error) {
	task := g.task(g.plan.keys[p])
	if task == nil {
		return nil, Yield{}, ErrNilTask
	}
	if g.opts.SlowStep > 0 {
		defer g.timeStep(p, task)()
	}
	y, err := task.Step(ctx)
	return task, y, err
}

// limitOf returns the node's own deadline, with a span of 0 if it has none.
func (g *DependencyTaskGroup[K]) limitOf(p int32) limitAt {
	if g.opts.Timeout == nil {
		return limitAt{}
	}
	span := g.opts.Timeout(g.plan.keys[p])
	if span == 0 {
		return limitAt{}
	}
	return limitAt{at: later(instantOf(g.clock), span), span: span}
}

// timeStep measures a step, from the call on to that of what it returns.
func (g *DependencyTaskGroup[K]) timeStep(p int32, task Task) func() {
	from := instantOf(g.clock)
	return func() {
		took := time.Duration(instantOf(g.clock) - from)
		if took > g.opts.SlowStep {
			g.opts.Observer.(SlowStepObserver).ObserveSlowStep(SlowStep{
				Path: g.pathOf(p), Task: TaskDescription(task), Took: took,
			})
		}
	}
}

// claim gets what a node claims, and reports whether it is to be started now.
// Otherwise it waits in its class, or has failed.
func (g *DependencyTaskGroup[K]) claim(ctx context.Context, p, rank int32) bool {
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
func (g *DependencyTaskGroup[K]) claimTime(c *class) int64 {
	for _, claim := range c.ticket.claims {
		if claim.Limiter.opts.Interval > 0 {
			return instantOf(g.clock)
		}
	}
	return never
}

// classFor returns the class of a node, asking for its claims the first time.
func (g *DependencyTaskGroup[K]) classFor(p int32) (*class, error) {
	if g.classOf == nil {
		g.classOf = make([]*class, len(g.state))
		g.classes = map[Claim][]*class{}
	}
	if c := g.classOf[p]; c != nil {
		return c, nil
	}
	merged, err := mergeClaims(g.opts.Claims(g.plan.keys[p]))
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

func (g *DependencyTaskGroup[K]) classWith(merged []Claim) *class {
	for _, c := range g.classes[merged[0]] {
		if slices.Equal(c.ticket.claims, merged) {
			return c
		}
	}
	c := &class{}
	c.ticket = &ticket{
		claims: merged,
		around: g.around,
		wake:   g.event.Set,
		who:    func() string { return g.pathOf(g.nodeAt(c.nodes[0])) },
	}
	g.classes[merged[0]] = append(g.classes[merged[0]], c)
	g.inOrder = append(g.inOrder, c)
	return c
}

// serve puts the first node of each class whose turn has come among those that
// are ready. It returns the first word of the ready set that has one.
func (g *DependencyTaskGroup[K]) serve() int {
	g.recheck = false
	g.intervalAt = never
	first := len(g.state)
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
		g.ready.Add(rank)
		first = min(first, int(rank>>6))
		if len(c.nodes) == 0 {
			g.leaveLine(c)
		}
	}
	return first
}

// leaveLine takes a class without waiting nodes off the list of those that
// have some. Its ticket keeps its place until it is used, or given up.
func (g *DependencyTaskGroup[K]) leaveLine(c *class) {
	if i := slices.Index(g.waiting, c); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.claimTree.remove(c.ticket)
	}
}

// leaveLines gives all places in line up: nothing more starts.
func (g *DependencyTaskGroup[K]) leaveLines() {
	for _, c := range g.inOrder {
		c.ticket.leave()
		g.claimTree.remove(c.ticket)
	}
	g.waiting, g.intervalAt = nil, never
}

// giveBack gives back what the node holds that has just ended.
func (g *DependencyTaskGroup[K]) giveBack() {
	if h := g.holding; h != nil {
		g.holding, g.recheck = nil, true
		h.release()
	}
}

// nextInterval returns when a Limiter's Interval lets a node start, or never.
func (g *DependencyTaskGroup[K]) nextInterval() int64 {
	if len(g.waiting) == 0 || g.isFull() {
		return never
	}
	return g.intervalAt
}

// waitsForClaims reports whether all that could go on in the group waits for
// claims, here or in groups inside.
func (g *DependencyTaskGroup[K]) waitsForClaims() bool {
	return len(g.waiting)+g.byClaims > 0 &&
		g.byClaims == g.counts[StateRunning] &&
		g.timeouts|g.graces == 0 &&
		g.nextInterval() == never &&
		(g.ready.Empty() || g.isFull())
}

// checkDeadlock fails an outermost group that can never go on.
func (g *DependencyTaskGroup[K]) checkDeadlock() {
	if g.outer != nil || !g.waitsForClaims() || g.event.IsSet() {
		return
	}
	if err := g.claimTree.deadlock(); err != nil {
		g.note(failure{err: err, node: noNode})
		g.closeAll()
		g.cancelPending()
	}
}

func (g *DependencyTaskGroup[K]) tree() *claimTree { return g.claimTree }

// holdings returns what a running node and those around it hold.
func (g *DependencyTaskGroup[K]) holdings(p int32) []*holding {
	own := g.holding
	if slot := g.cell[p]; slot != noNode {
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
