package scheduler

import (
	"context"
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
	if g.pass != newRound {
		return false // in the middle of a round, which Budget has cut short
	}
	if g.nodes.count(StateReady) == 0 {
		return false
	}
	idle := g.nodes.active() == 0 && (g.nodes.count(StatePending) == 0 || g.services.isOver)
	if g.waitsForNodes() || g.servesOuter() {
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
	g.services.eachUnneeded(why, false, g.nodes.len(), g, func(p int32) { g.retireOne(ctx, p) })
	return !g.services.demand.isCounted()
}

// retireOne asks a service to end, or closes it.
func (g *engine) retireOne(ctx context.Context, p int32) {
	of := g.services.of(p)
	switch n := g.ending.given(); {
	case g.phase >= phaseStopping && (of.closeLast || n == nil):
		g.close(p)
	case g.phase >= phaseStopping:
		var left time.Duration
		if of.stopBy != never {
			if left = time.Duration(of.stopBy - instantOf(g.clock)); left < 0 {
				g.cutOff(ctx, p)
				return
			}
			g.grant(p, left)
		}
		if of.grace > 0 {
			left = of.grace
		}
		g.stopMember(ctx, p, g.services.finalOf(n), left)
	default:
		of.unneeded = true
		g.stopOne(ctx, p, g.services.noNeed())
	}
}

// closeServices closes the services that nothing needs any more, in a group that
// closes all: the last one first. Those that are needed by a member that takes time
// to end come later.
func (g *engine) closeServices(end func(p int32)) {
	if !g.services.some() {
		return
	}
	g.services.closeLast()
	g.services.eachUnneeded(sweptEnding, true, g.nodes.len(), g, end)
}

// required makes the engine, with hasEnded and isServing, the group of a demand.
func (g *engine) required(p int32) []int32 { return g.graph.required(p) }

func (g *engine) hasEnded(p int32) bool {
	state := g.nodes.state(p)
	return state.Ended() || state == StatePending && g.services.isOver
}

func (g *engine) isServing(p int32) bool { return g.nodes.state(p) == StateReady }
