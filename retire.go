package scheduler

import (
	"context"
	"slices"
	"time"
)

// This file is about how services end: when nothing needs them any more, the last
// one first.

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

// countOpen makes the table of who is still needed.
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

// hidesNotices reports whether a node is a service that is still needed, so that no
// notice is for it yet.
func (g *engine) hidesNotices(p int32) bool {
	return g.services.has(p) && !g.services.of[p].released
}
