package scheduler

import (
	"context"

	"github.com/steptask/scheduler/internal/claims"
	"github.com/steptask/scheduler/internal/digraph"
)

// engine is a group without its keys: it knows nodes by position, so it is
// compiled once for all types of keys. docs/architecture.md has the whole
// picture.
//
// A node is pending until the nodes that it requires are done (nodes counts
// them), ready until it is its turn (starter), perhaps until it has what it claims
// (claimQueue), and is then started by the start pass (startpass.go). If its first
// step does not end it, it has a slot (parking), and each running pass steps it if
// it is due, or sees that its time has passed (deadlines). What its step returns
// is applied: it ends, or is parked. A failure is kept (failures) and may stop the
// group (ending).
//
// The life of an engine:
//
//	               Step                Throw              Stop             Drain         Close
//	fresh          first round         ended with it      nothing          freshDrained  ended
//	freshDrained   ends, ErrDrained    ended with it      nothing          nothing       ended
//	running        a round             stops, or ends     tells; may stop  draining      closes all, ended
//	draining       a round             stops, or ends     tells; may stop  nothing       closes all, ended
//	stopping       a round             stops, or ends     tells            nothing       closes all, ended
//	ended          ErrEnded            returns it         nothing          nothing       nothing
//
// Nothing starts but in running. Pending nodes stay so in draining, and there are
// none in stopping. A panic or a Goexit out of a member's code closes all and
// leads to ended.
type engine struct {
	opts   options
	task   func(p int32) Task
	direct func(ctx context.Context, w int) // startDirectly, with keys
	key    func(p int32) any                // for errors and observers
	graph  groupGraph                       // who requires whom

	nodes      nodes       // where each node stands
	starter    starter     // which one starts next
	conditions conditions  // of which When is to be asked
	parking    parking     // those that run, and who is due
	deadlines  deadlines   // their limits and graces
	contexts   contexts    // their contexts
	failures   failures    // what went wrong
	ending     groupEnding // what the group was told about its end
	claims     claimQueue  // who waits for shared Limiters
	holdings   holdings    // what those that run hold of them
	notes      notes       // what members have said about themselves
	services   services    // those that have said that they are ready
	orders     orders      // which nodes were told one by one to end
	input      input       // how nodes are added
	phase      phase

	clock     timeSource
	scope     scopeCache
	pool      *pool   // nil: this is not the outermost
	outer     *engine // the group that this one is a member of, or nil
	outerNode int32
	place     *claims.Holding // the nearest that is held around the group, or nil

	// The round under way.
	round      int
	pass       pass
	at         int32 // where the running pass continues
	budget     int   // steps left in this step
	now        int64 // the last reading of the clock
	startLimit int64 // of the node in its first step, or never

	busy     bool
	inRound  bool
	aborted  bool  // a panic or a Goexit is ending it
	serves   bool  // it keeps its services for the group around: see Ready
	current  int32 // the node whose code is running, or noNode
	expiring expiry

	watchers watchers
	runner   *TaskRunner // the outermost one that drives it, or nil
	shell    any         // the *DependencyTaskGroup

	paths map[int32]string // of nodes, for the watchdog

	isNumbered bool // keys are only numbers, those of All, and nobody can ask for its Errors
}

var errZeroGroup = &OptionError{Option: "DependencyTaskGroup", Reason: "zero value; use NewDependencyTaskGroup"}

type phase uint8

const (
	phaseFresh        phase = iota // there was no step yet
	phaseFreshDrained              // nor will one start anything
	phaseRunning
	phaseDraining // nothing new starts, what is left stays pending
	phaseStopping // nothing new starts, nothing is pending
	phaseEnded
)

// init makes an engine with options ready for its first step.
func (g *engine) init(graph *digraph.Graph) {
	g.graph.begun = graph
	n := graph.Len()
	g.nodes.init(graph.Degree)
	g.starter.init(n)
	g.parking.init(n)
	g.ending.init()
	g.services.init()
	g.watchers.init()
	if g.opts.KeepOpen {
		g.input.open()
	}
	g.startLimit = never
	g.current = noNode
	if g.opts.Priority != nil || g.opts.Estimate != nil {
		g.starter.rankBy(graph, g.opts.Priority, g.opts.Estimate)
	}
	g.complete()
}

// complete marks what counts as done, and finds what is ready to start. Done nodes
// come first, since they free others, in key order: one that waits for a node
// that is not done frees nothing yet.
func (g *engine) complete() {
	if g.opts.Completed != nil {
		for p := range int32(g.nodes.len()) {
			if g.opts.Completed(p) {
				g.nodes.change(p, StateSucceeded, 0)
			}
		}
		for p := range int32(g.nodes.len()) {
			if g.nodes.isFreeing(p) {
				for _, q := range g.graph.frees(p) {
					g.nodes.requirementDone(q)
				}
			}
		}
	}
	if g.opts.When != nil {
		g.conditions.init(g.nodes.len())
	}
	for p := range int32(g.nodes.len()) {
		if g.nodes.isReady(p) {
			g.makeReady(p)
		}
	}
}

// Step makes a round: see [DependencyTaskGroup.Step].
func (g *engine) Step(ctx context.Context) (y Yield, err error) {
	switch {
	case g.phase == phaseEnded:
		return Yield{}, &namedError{g.String(), ErrEnded}
	case ctx == nil:
		return Yield{}, checkContext(ctx)
	case g.graph.begun == nil:
		return Yield{}, errZeroGroup
	case g.opts.Abandon > 0 && !g.hasBegun() && !isSystemClock(clockOf(ctx)):
		g.phase = phaseEnded
		return Yield{}, &OptionError{Option: "GroupOptions.Abandon", Reason: errAbandonClock.Reason}
	}
	g.exclusively("Step", func() {
		ctx := g.enter(ctx)
		g.makeRound(ctx)
		y, err = g.stepResult(ctx)
	})
	return y, err
}

// Throw is [DependencyTaskGroup.Throw].
func (g *engine) Throw(ctx context.Context, thrown error) (y Yield, err error) {
	switch {
	case ctx == nil:
		panic("scheduler: DependencyTaskGroup.Throw into " + g.String() + ": nil Context")
	case thrown == nil:
		panic("scheduler: DependencyTaskGroup.Throw into " + g.String() + ": nil error")
	}
	if !g.hasBegun() {
		g.phase = phaseEnded
		return Yield{}, thrown
	}
	g.exclusively("Throw", func() {
		ctx := g.enter(ctx)
		g.readClock()
		t, ok := g.ending.throw(thrown)
		g.failures.add(failure{err: thrown, node: noNode, thrown: true, kept: ok})
		g.tellStopping(thrown)
		switch {
		case !ok:
			g.stop(ctx, thrown, noNode)
		case t.grace > 0:
			g.cancelPending()
			g.notifyAll(ctx, &StopError{Cause: thrown, final: true}) // groups inside start no more either
		default:
			_ = g.ending.notify(asNotice(t, false)) // calls look for why they are closed
			g.beginCloseAll()
			g.cancelPending()
		}
		y, err = g.stepResult(ctx)
	})
	return y, err
}

// Stop is [DependencyTaskGroup.Stop].
func (g *engine) Stop(ctx context.Context, cause error) {
	if ctx == nil {
		panic("scheduler: DependencyTaskGroup.Stop of " + g.String() + ": nil Context")
	}
	if !g.hasBegun() {
		return
	}
	g.exclusively("Stop", func() {
		ctx := g.enter(ctx)
		g.readClock()
		n := asNotice(cause, false)
		if !n.final {
			g.tell(GroupNoticed, noNode, n)
		}
		g.haltBy(n)
		g.notifyAll(ctx, n)
		g.retire(ctx)
		g.parking.call() // it may have nothing left to do
	})
}

// Drain is [DependencyTaskGroup.Drain].
func (g *engine) Drain() {
	switch g.phase {
	case phaseFresh:
		g.phase = phaseFreshDrained
	case phaseRunning:
		g.phase = phaseDraining
		g.services.end()
		g.claims.leave()
		g.tellDraining()
		g.parking.call() // it may have nothing left to do
	default:
	}
}

// hasBegun reports whether there was a step, and is more to come.
func (g *engine) hasBegun() bool { return g.phase >= phaseRunning && g.phase < phaseEnded }

// stepResult is what a step returns: the group's result once nothing is left to
// be done.
func (g *engine) stepResult(ctx context.Context) (Yield, error) {
	g.retire(ctx)
	g.tellLateDrain()
	g.dropWakes()
	g.checkDeadlock()
	if !g.isOver() {
		y := g.nextStep()
		g.keepDue(y)
		return y, nil
	}
	err := g.ending.result(&g.failures, g.opts.AggregateErrors || g.opts.OnError != nil,
		g.nodes.count(StateCancelled) > 0 || g.wasCutOpen(), g.nodes.count(StatePending) > 0)
	if g.isNumbered {
		if !g.opts.AggregateErrors {
			err = join(err, g.failures.later())
		}
		err = join(err, g.failures.ofClose())
	}
	g.end(err)
	if err != nil {
		return Yield{}, err
	}
	return Done, nil
}

// isOver reports whether nothing is left to be done.
func (g *engine) isOver() bool {
	return g.nodes.members() == 0 && (g.nodes.count(StatePending) == 0 || g.phase == phaseDraining) && !g.waitsForNodes()
}

// nextStep says when the next step is worth making.
func (g *engine) nextStep() Yield {
	y := g.parking.waiting()
	if g.conditions.areDue() && g.phase == phaseRunning {
		y.code |= yieldNext // a panic has come between
	}
	if g.waitsForClaims() {
		y.code |= yieldClaims | yieldServes
	}
	if at := min(g.parking.nextTime(), g.deadlines.next(), g.claims.nextTime()); at != never {
		y.at = at
		y.code |= yieldAt
	}
	if g.phase == phaseStopping && g.nodes.count(StateRunning)+g.nodes.count(StateReady) == 0 {
		y.code |= yieldEnding
	}
	if g.pass != newRound { // cut short by the budget
		y.at = past
		y.code |= yieldAt
	}
	return y
}

// end forgets all that a run needs. What can be asked afterwards stays. The
// Observers are told the result.
func (g *engine) end(result error) {
	g.endNodes()
	g.phase = phaseEnded
	g.tellEnd(result)
	g.task, g.direct, g.opts.Context = nil, nil, nil
	g.parking.end()
	g.deadlines.end()
	g.contexts = contexts{}
	g.claims.leave()
	g.holdings.end()
	g.scope = scopeCache{}
	if g.pool != nil {
		g.pool.close()
	}
}

// set changes a node's state, and tells the Observers.
func (g *engine) set(p int32, to State, task Task, err error) {
	from := g.nodes.change(p, to, g.round)
	if g.services.demand.isCounted() && to.Ended() && (from != StatePending || !g.services.isOver) {
		g.services.demand.end(p, g)
	}
	g.claims.forget(p)
	if to.Ended() {
		g.deadlines.forget(p)
		g.orders.forget(p)
		g.services.leave(p)
	}
	if g.watchers.want(NodeChanged) {
		g.tellChange(p, from, to, task, err)
	}
}

// taskOf returns the task of a member that has a slot, also of one that is closing.
func (g *engine) taskOf(p int32) Task {
	task := g.parking.task(g.nodes.slot(p))
	if c, ok := task.(*closingTask); ok {
		return c.task
	}
	return task
}
