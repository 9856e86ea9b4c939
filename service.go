package scheduler

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Ready makes the node of ctx a service: its state is [StateReady], the nodes that
// require it start, and it continues to run while they need it. When all nodes that
// require it, directly or not, have ended, it gets a notice with [ErrNotNeeded] and
// its grace, or is closed if it has none. So services end in reverse order, also
// within the grace of a stop, which they share; after a failure, the grace that
// GraceFor returns for a service counts from its own notice. ctx is the context of a
// step, or of a function given to [Blocking], [Fetch], [Call] or [Poll].
//
// A ready node gives back its place in Limit and keeps its claims, and its Timeout no
// longer counts. A service that no node requires runs until only ready nodes are
// left. After ErrNotNeeded a service succeeds if it returns nil or the notice, or is
// closed without an error. If a service fails or skips itself, pending nodes that
// require it are treated as after any failure; running ones continue unless the group
// stops.
//
// A node that runs a group is ready when its own code says so, and not because of
// nodes inside, with two exceptions. [All] is ready when some of its tasks are ready
// and all others have ended, and so is a group with KeepOpen. Their services continue
// until the node gets its notice.
//
// Ready does nothing outside of a group, and for a node that is ready already, that
// was asked to end, or whose Timeout has passed. In a step it takes effect at once,
// in the first step of a node if that does not end the node, and in a call in the
// next round of the group. In a call any goroutine may use it.
func Ready(ctx context.Context) {
	mustHave(ctx, "Ready")
	if s := scopeOf(ctx); s != nil && s.group != nil {
		s.group.sayReady()
		return
	}
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.sayReady()
	}
}

// Ready says that the node that the coroutine is part of is ready: see [Ready].
func (co *Coroutine) Ready() {
	co.check("Ready")
	Ready(co.top.ctx)
}

// services are the nodes that have said Ready.
type services struct {
	of      map[int32]*service // nil: there are none
	first   int32              // the node that said so in its first step, or noNode
	inside  map[int32]bool     // the nodes in whose groups there are some
	closing int                // how many of them are closing

	// Made when it first matters, and anew after what counts as ended has changed.
	open   []int32 // by node: how many of those that require it have not ended, or have such
	leaves []bool  // by node: nothing requires it
	freed  []int32 // of which open has become 0, and were not looked at since

	swept    sweepReason // what all of them were looked at for
	isOver   bool        // nothing starts any more: a pending node counts as ended
	saidSelf bool        // the group itself has told the one around that it is ready

	notNeeded *StopError // made when first given
	final     *StopError // the notice of the group as services get it

	mu    sync.Mutex
	calls []int32 // guarded by mu: nodes of which a call has said Ready
}

// service is what is known of one node.
type service struct {
	released  bool    // it was told to end, or is being closed: it hears of notices again
	unneeded  bool    // and that because nothing needs it
	closeLast bool    // it is to be closed, without notice, when its turn has come
	takenBack []int32 // the pending nodes that wait for its end, since it is closing
	stopBy    int64   // the end of the grace that a stop leaves it, if its turn comes before; or never

	grace time.Duration // of its own, from the notice on; 0: that of the group, until stopBy

	added []int32 // nodes that were added and require it, in key order; those that are not pending are dropped now and then
	drop  int     // at which length
}

// require keeps that an added node requires the service.
func (s *service) require(p int32, isPending func(int32) bool) {
	if len(s.added) >= s.drop {
		s.added = slices.DeleteFunc(s.added, func(q int32) bool { return !isPending(q) })
		s.drop = max(2*len(s.added), 16)
	}
	s.added = append(s.added, p)
}

type sweepReason uint8

const (
	notSwept sweepReason = iota
	sweptIdle
	sweptEnding
)

func (s *services) init() { s.first = noNode }

// has reports whether a node has said Ready, and so has freed what requires it.
func (s *services) has(p int32) bool { return s.of != nil && s.of[p] != nil }

// isUnneeded reports whether a node was told that nothing needs it.
func (s *services) isUnneeded(p int32) bool { return s.has(p) && s.of[p].unneeded }

// forget drops what was counted, because a node was added, or what counts as ended
// has changed.
func (s *services) forget() { s.open, s.freed, s.swept = nil, nil, notSwept }

// end says that nothing starts any more.
func (s *services) end() {
	if !s.isOver {
		s.isOver = true
		s.forget()
	}
}

// sayReady makes the node ready whose code is running.
func (g *engine) sayReady() {
	p := g.current
	switch {
	case p == noNode || g.nodes.state(p) != StateRunning:
	case g.nodes.slot(p) == noSlot:
		g.services.first = p // it may end with this very step
	default:
		g.becomeReady(p)
	}
}

// startedReady makes a node ready that said so in its first step.
func (g *engine) startedReady(p int32) {
	said := g.services.first == p
	g.services.first = noNode
	if said && g.nodes.slot(p) != noSlot && g.nodes.state(p) == StateRunning {
		g.becomeReady(p)
	}
}

// becomeReady makes a running node ready, unless it has to end.
func (g *engine) becomeReady(p int32) {
	slot := g.nodes.slot(p)
	kind := g.deadlines.of(slot).kind
	isExpiring := g.expiring.timeout != nil && g.expiring.node == p
	if g.phase == phaseStopping || kind == closeTimedOut || isExpiring || g.parking.has(slot, hasFinalNotice) || g.orders.has(p) {
		return
	}
	if kind == throwTimeout {
		g.deadlines.clear(slot)
	}
	if g.services.of == nil {
		g.services.of = map[int32]*service{}
	}
	of := &service{stopBy: never}
	if g.growth != nil {
		of.added = g.growth.waiting(p)
	}
	g.servesInside()
	g.services.of[p] = of // before anybody is told or asked, who may panic
	g.set(p, StateReady, g.parking.task(slot), nil)
	g.release(p)
	g.askWhen()
	if g.services.open != nil && g.services.open[p] == 0 {
		g.services.freed = append(g.services.freed, p)
	}
}

// servesInside notes in the groups around that there is a service inside.
func (g *engine) servesInside() {
	for outer, p := g.outer, g.outerNode; outer != nil && !outer.services.inside[p]; outer, p = outer.outer, outer.outerNode {
		if outer.services.inside == nil {
			outer.services.inside = map[int32]bool{}
		}
		outer.services.inside[p] = true
	}
}

// sayReady says, from any goroutine, that the node of the call is ready.
func (c *call) sayReady() {
	s := scopeOf(c.step)
	if s == nil || s.group == nil || c.node == noNode {
		return
	}
	c.told().ready.Store(true)
	s.group.readyByCall(c.node)
}

func (g *engine) readyByCall(p int32) {
	g.services.mu.Lock()
	g.services.calls = append(g.services.calls, p)
	g.services.mu.Unlock()
	g.wakeUp()
}

// takeReadyCalls makes the nodes ready of which a call has said so, in key order.
func (g *engine) takeReadyCalls() {
	g.services.mu.Lock()
	nodes := g.services.calls
	g.services.calls = nil
	g.services.mu.Unlock()
	slices.Sort(nodes)
	for _, p := range nodes {
		if g.nodes.state(p) == StateRunning {
			g.becomeReady(p)
		}
	}
}

// count makes the table of who is still needed.
func (g *engine) countOpen() {
	s, n := &g.services, g.nodes.len()
	s.open, s.leaves, s.freed = make([]int32, n), make([]bool, n), nil
	for p := int32(n) - 1; p >= 0; p-- { // what requires a node comes after it
		s.leaves[p] = true
	}
	for p := int32(n) - 1; p >= 0; p-- {
		over := s.open[p] == 0 && g.hasEnded(p)
		for _, q := range g.required(p) {
			s.leaves[q] = false
			if !over {
				s.open[q]++
			}
		}
		if s.open[p] == 0 && g.nodes.state(p) == StateReady {
			s.freed = append(s.freed, p)
		}
	}
}

// hasEnded reports whether a node needs nothing any more.
func (g *engine) hasEnded(p int32) bool {
	state := g.nodes.state(p)
	return state.Ended() || state == StatePending && g.services.isOver
}

// noteEnd counts a node that has ended for the services that it needed, and those
// that have ended before it and were kept open only by it.
func (g *engine) noteEnd(p int32) {
	s := &g.services
	for ended := []int32{p}; len(ended) > 0; {
		p, ended = ended[len(ended)-1], ended[:len(ended)-1]
		if s.open[p] != 0 {
			continue
		}
		for _, q := range g.required(p) {
			if s.open[q]--; s.open[q] != 0 {
				continue
			}
			switch {
			case g.nodes.state(q) == StateReady:
				s.freed = append(s.freed, q)
			case g.hasEnded(q):
				ended = append(ended, q)
			}
		}
	}
}

// retire tells the services to end that nothing needs any more, the last ones in key
// order first.
func (g *engine) retire(ctx context.Context) {
	for g.retireSome(ctx) { // the end of one may have stopped the group
	}
}

// retireSome is retire. It reports whether what counts as ended has changed meanwhile.
func (g *engine) retireSome(ctx context.Context) (again bool) {
	if g.pass != newRound && g.phase < phaseStopping {
		return false // in the middle of a round
	}
	if g.nodes.count(StateReady) == 0 {
		return false
	}
	idle := g.nodes.active() == 0 && (g.nodes.count(StatePending) == 0 || g.services.isOver)
	if g.phase < phaseStopping && (g.waitsForNodes() || g.servesOuter()) {
		if idle {
			g.sayReadyAround()
		}
		return false
	}
	why := notSwept
	switch {
	case g.phase >= phaseStopping:
		why = sweptEnding
	case idle:
		why = sweptIdle
	}
	g.eachUnneeded(why, false, func(p int32) { g.retireOne(ctx, p) })
	return g.services.open == nil
}

// servesOuter reports whether the group keeps its services for the one around, as
// All does.
func (g *engine) servesOuter() bool {
	return g.serves && g.outer != nil && g.ending.notice == nil
}

// sayReadyAround makes the node of the group around ready that runs this one.
func (g *engine) sayReadyAround() {
	if !g.services.saidSelf && g.outer != nil && g.outer.current == g.outerNode {
		g.services.saidSelf = true
		g.outer.sayReady()
	}
}

// eachUnneeded calls end for each service that nothing needs and that was not told
// yet, or for all of them, the last one in key order first. Those that nothing requires are among
// them if the group ends, for a reason.
func (g *engine) eachUnneeded(why sweepReason, all bool, end func(p int32)) {
	s := &g.services
	if s.open == nil {
		g.countOpen()
	}
	var found []int32
	if why > s.swept {
		s.swept = why
		for p := range s.of {
			if s.open[p] == 0 {
				found = append(found, p)
			}
		}
		slices.Sort(found)
	}
	for s.open != nil { // else the end of one has changed what counts as ended: see retire
		if len(s.freed) > 0 {
			found = append(found, s.freed...)
			s.freed = nil
			slices.Sort(found)
		}
		if len(found) == 0 {
			return
		}
		last := len(found) - 1
		p := found[last]
		found = found[:last]
		if of := s.of[p]; (all || !of.released) && s.open[p] == 0 && g.nodes.state(p) == StateReady && (why != notSwept || !s.leaves[p]) {
			of.released = true
			end(p)
		}
	}
}

// retireOne asks a service to end, or closes it.
func (g *engine) retireOne(ctx context.Context, p int32) {
	of, slot := g.services.of[p], g.nodes.slot(p)
	switch n := g.ending.notice; {
	case g.phase >= phaseStopping && (of.closeLast || n == nil):
		g.close(p)
	case g.phase >= phaseStopping:
		var left time.Duration
		if of.stopBy != never {
			if left = time.Duration(of.stopBy - instantOf(g.clock)); left < 0 {
				g.cutOff(ctx, p)
				return
			}
			g.grant(slot, closeCancel, left)
		}
		n = g.services.finalOf(n)
		if of.grace > 0 {
			left = of.grace
			g.grant(slot, closeCancel, left)
		}
		g.tellNotice(p, n, left)
		g.notify(ctx, p, n)
	default:
		of.unneeded = true
		grace := g.graceOf(p)
		if grace <= 0 {
			g.cutOff(ctx, p)
			return
		}
		g.grant(slot, closeCancel, grace)
		n := g.services.noNeed()
		g.tellNotice(p, n, grace)
		g.notify(ctx, p, n)
	}
}

// noNeed returns the notice of services that nothing needs.
func (s *services) noNeed() *StopError {
	if s.notNeeded == nil {
		s.notNeeded = &StopError{Cause: ErrNotNeeded, final: true}
	}
	return s.notNeeded
}

// finalOf returns the notice of the group as services get it: to each of them it is
// a stop of its own.
func (s *services) finalOf(n *StopError) *StopError {
	switch {
	case n.final:
		return n
	case s.final == nil || s.final.Cause != n.Cause: //nolint:errorlint // That very one.
		s.final = &StopError{Cause: n.Cause, final: true, deadline: n.deadline}
	}
	return s.final
}

// leave gives a service the grace of a stop, which ends it only when nothing needs it
// any more: one of its own counts from then on. Without one it is closed then.
func (s *service) leave(grace time.Duration, own bool, now int64) {
	switch {
	case grace <= 0:
		s.closeLast = true
	case own:
		s.closeLast, s.grace = false, grace
	default:
		s.stopBy = min(s.stopBy, later(now, grace))
	}
}

// closeServices closes the services that nothing needs any more, in a group that
// closes all: the last one first. Those that are needed by a member that takes time
// to end come later.
func (g *engine) closeServices(end func(p int32)) {
	if g.services.of == nil {
		return
	}
	g.services.end()
	for _, of := range g.services.of {
		of.closeLast = true
	}
	g.services.swept = notSwept
	g.eachUnneeded(sweptEnding, true, end)
}

// hidesNotices reports whether a node is a service that is still needed, so that no
// notice is for it yet.
func (g *engine) hidesNotices(p int32) bool {
	return g.services.has(p) && !g.services.of[p].released
}

// readyThatCount returns how many services are not to be left out where it matters
// whether anything in the group can go on: one that nothing has asked to end goes on
// for as long as it is needed, and so does not keep those from waiting for ever that
// wait for what it holds. One that waits for claims itself is among those that do.
func (g *engine) readyThatCount() int {
	count := 0
	for p, of := range g.services.of {
		if g.nodes.state(p) == StateReady && (of.released || g.parking.has(g.nodes.slot(p), parkedForClaims)) {
			count++
		}
	}
	return count
}

// addedTo returns the pending nodes that were added, require a service, and have been
// freed by it: nothing else leads to them.
func (g *engine) addedTo(p int32) []int32 {
	if !g.services.has(p) {
		return nil
	}
	of := g.services.of[p]
	of.added = slices.DeleteFunc(of.added, func(q int32) bool { return !g.isPending(q) })
	return of.added
}

func (g *engine) isPending(p int32) bool { return g.nodes.state(p) == StatePending }

// takeBack has the pending nodes that a service has freed wait for its end.
func (g *engine) takeBack(p int32) {
	of := g.services.of[p]
	if of.takenBack != nil {
		return
	}
	for _, q := range slices.Concat(g.row(p), g.addedTo(p)) {
		if g.nodes.state(q) != StatePending {
			continue
		}
		if g.nodes.isReady(q) {
			g.withdraw(q)
		}
		g.nodes.wait(q)
		of.takenBack = append(of.takenBack, q)
	}
}

// freeAgain is free for a service, which has freed all when it became ready. After a
// failure When is asked anew of those that have not started.
func (g *engine) freeAgain(p int32) {
	if g.conditions.areUsed() && g.nodes.state(p) != StateSucceeded {
		g.takeBack(p)
	}
	of := g.services.of[p]
	taken := of.takenBack
	of.takenBack = nil
	for _, q := range taken {
		if g.nodes.state(q) == StatePending && g.nodes.requirementDone(q) {
			g.makeReady(q)
		}
	}
	g.freeRow(g.takeAdded(p))
	g.askWhen()
}
