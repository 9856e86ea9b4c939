package scheduler

import (
	"context"
	"time"
)

// This file is about what a group tells its Observers, and when.

// watch finds the Observers of a group in its first step, tells them that it
// begins, and which nodes have succeeded beforehand.
func (g *engine) watch() {
	var around *watchers
	if g.outer != nil {
		around = &g.outer.watchers
	}
	if g.opts.Observer == nil && !around.some() {
		return // most groups: nobody listens
	}
	g.now = instantOf(g.clock)
	g.watchers.watch(around, g.opts.Observer, g.record(GroupBegun, noNode, nil))
	if observers := g.watchers.contextObservers(); observers != nil {
		g.opts.Context = withContexts(g, observers, g.opts.Context)
	}
	if g.phase == phaseDraining {
		g.tellDraining()
	}
	if g.watchers.want(NodeChanged) {
		for p := range int32(g.nodes.len()) {
			if g.nodes.state(p) == StateSucceeded {
				g.tellChange(p, StatePending, StateSucceeded, nil, nil)
			}
		}
	}
}

func (g *engine) record(kind Kind, p int32, err error) Record {
	return Record{Kind: kind, Err: err, group: g, node: p, at: g.now}
}

// tellChange tells of a change of a node's state. In a large group of short tasks
// this is most of what an Observer costs, so the usual case is one call, and the
// record is made where the call wants it.
func (g *engine) tellChange(p int32, from, to State, task Task, err error) {
	if g.watchers.haveOnly() {
		g.watchers.tellOnly(Record{Kind: NodeChanged, Err: err, group: g, node: p, at: g.now, From: from, To: to}, task)
		return
	}
	r := g.record(NodeChanged, p, err)
	r.From, r.To = from, to
	g.watchers.tell(r, task, 0)
}

// tell tells of anything else.
func (g *engine) tell(kind Kind, p int32, err error) {
	g.watchers.tell(g.record(kind, p, err), nil, 0)
}

// tellStopping tells, once, why nothing more starts: before the nodes that this
// cancels.
func (g *engine) tellStopping(cause error) {
	if g.watchers.first(GroupStopping) {
		g.tell(GroupStopping, noNode, cause)
	}
}

// tellClosing tells, once, that the group is ended from outside.
func (g *engine) tellClosing() {
	g.watchers.forgetFailed() // a panic around this group may be why it is closed
	if g.watchers.first(GroupClosing) {
		g.tell(GroupClosing, noNode, nil)
	}
}

// tellDraining tells that nothing more starts. An Observer that has asked for it
// is told at the end of the step: not while it is being told something else.
func (g *engine) tellDraining() {
	if g.watchers.isTelling() {
		g.watchers.drainLater()
		return
	}
	if !g.busy {
		g.readClock()
	}
	if g.watchers.want(GroupDraining) {
		g.insideCode(func() { g.tell(GroupDraining, noNode, nil) })
	}
}

func (g *engine) tellLateDrain() {
	if g.watchers.takeDrain() {
		g.tell(GroupDraining, noNode, nil)
	}
}

// tellNotice tells that a running node is given notice, and what grace.
func (g *engine) tellNotice(p int32, n *StopError, grace time.Duration) {
	if g.watchers.want(NodeStopping) {
		g.watchers.tell(g.record(NodeStopping, p, n), g.taskOf(p), grace)
	}
}

// remind tells again and again, at doubling times, that a member is still closing.
// It is no step that does: the run would not be the same without an Observer. So
// it takes a timer of the process, and a runner that calls what is posted.
func (g *engine) remind(p int32, c *closingTask, since int64, pause time.Duration) {
	runner := g.runner.Load()
	if runner == nil || !g.watchers.want(NodeStillClosing) || !isSystemClock(g.clock) {
		return
	}
	c.reminder = time.AfterFunc(pause, func() {
		runner.Post(func() { g.tellStillClosing(p, c, since, pause) })
	})
}

func (g *engine) tellStillClosing(p int32, c *closingTask, since int64, pause time.Duration) {
	if g.nodes.state(p) != StateClosing {
		return // it has ended meanwhile
	}
	g.exclusively("Observe", func() {
		g.readClock()
		g.watchers.tell(g.record(NodeStillClosing, p, c.failed), c.task, time.Duration(g.now-since))
		g.remind(p, c, since, 2*pause)
	})
}

// timesSteps reports whether steps are to be measured.
func (g *engine) timesSteps() bool {
	return g.opts.SlowStep > 0 || g.watchers.want(NodeStepped)
}

// stepBegins reads the clock if a step is to be measured.
func (g *engine) stepBegins() int64 {
	if !g.timesSteps() {
		return never
	}
	return instantOf(g.clock)
}

// answer is that of a step, which is told before it is applied.
type answer struct {
	y      Yield
	err    error
	values context.Context // of the node's context, for a first step
}

// tellStep tells how long a step took that began at from.
func (g *engine) tellStep(p int32, task Task, from int64, a answer) {
	told := false
	defer func() {
		if !told {
			g.keepAnswer(p, task, a)
		}
	}()
	took := time.Duration(instantOf(g.clock) - from)
	g.watchers.tell(g.record(NodeStepped, p, nil), task, took)
	if g.opts.SlowStep > 0 && took > g.opts.SlowStep {
		g.watchers.tell(g.record(SlowStep, p, nil), task, took)
	}
	told = true
}

// keepAnswer keeps the answer of a step of which the telling has panicked. A task
// that has more to do is closed with the others, and one that has ended is not
// touched again.
func (g *engine) keepAnswer(p int32, task Task, a answer) {
	g.dropWatcher()
	if slot := g.nodes.slot(p); slot != noSlot && g.parking.has(slot, isClosing) {
		return // it knows its answer, and ends with the others
	}
	ended := a.err != nil || a.y.code&yieldDone != 0
	switch {
	case !ended && g.nodes.slot(p) == noSlot:
		g.occupy(p, task, &terms{values: a.values})
	case !ended:
	case g.nodes.slot(p) != noSlot:
		g.vacate(p)
	default:
		g.holdings.release()
	}
	if a.err != nil {
		g.endWith(p, failedState(a.err), task, a.err, failure{})
	} else if ended {
		g.set(p, StateSucceeded, task, nil)
	}
}

// keepDue keeps the time for which the next step is asked, for tellRound.
func (g *engine) keepDue(y Yield) {
	if !g.watchers.want(RoundBegun) {
		return
	}
	due := never
	if y.code&yieldAt != 0 {
		due = max(y.at, instantOf(g.clock))
	}
	g.watchers.expect(due)
}

// tellRound tells how late a round is that was asked for at a time.
func (g *engine) tellRound() {
	if !g.watchers.want(RoundBegun) {
		return
	}
	if late, ok := g.watchers.lateness(g.now); ok {
		g.watchers.tell(g.record(RoundBegun, noNode, nil), nil, late)
	}
}

// tellEnd tells that the group has ended.
func (g *engine) tellEnd(result error) {
	if !g.watchers.some() {
		return
	}
	if !g.aborted {
		g.now = instantOf(g.clock)
	}
	g.watchers.tellEnd(g.record(GroupEnded, noNode, result))
}

// dropWatcher takes the Observer off the list out of which a panic came, if it
// did, here and in the groups around. None of those takes it for the panic of a
// member.
func (g *engine) dropWatcher() {
	if !g.watchers.dropFailing() {
		return
	}
	for e := g; e != nil; e = e.outer {
		e.watchers.fail()
	}
}

// withContexts returns a function for the contexts of nodes that asks the given
// Observers, and then own, which may be nil.
func withContexts(
	g *engine, observers []ContextObserver, own func(context.Context, int32) context.Context,
) func(context.Context, int32) context.Context {
	return func(ctx context.Context, p int32) context.Context {
		r := g.record(NodeChanged, p, nil)
		r.From, r.To = StatePending, StateRunning
		for _, o := range observers {
			ctx = o.NodeContext(ctx, r)
		}
		if own != nil {
			ctx = own(ctx, p)
		}
		return ctx
	}
}
