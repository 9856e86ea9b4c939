package scheduler

import (
	"context"
	"sync/atomic"

	"github.com/steptask/scheduler/internal/claims"
	"github.com/steptask/scheduler/internal/digraph"
)

// engine is a group without its keys: it knows nodes by position, so it is compiled once
// for all types of keys. docs/architecture.md has the whole picture.
//
// This file has the way of a node. It is pending until all that it requires is done (free
// counts that, in nodes). Then makeReady puts it into starter. The start pass
// (startpass.go) takes it from there when it is its turn, perhaps once it has what it
// claims (claimQueue), and start gives it its first step. If that does not end it, it has
// a slot (parking), and the running pass (round.go) steps it in each round in which it is
// due, or sees that its time has passed (deadlines). apply does what a step asks for: the
// node is parked, has succeeded, or has failed. A failure is kept (failures) and may stop
// the group (ending): see stopping.go.
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

	phase      phase
	busy       bool
	inRound    bool
	aborted    bool  // a panic or a Goexit is ending it
	serves     bool  // it keeps its services for the group around: see Ready
	isNumbered bool  // keys are only numbers, those of All
	tellsAll   bool  // in its result, since nobody can ask for its Errors
	remembers  bool  // more of nodes than states and slots, so that their ends take more: see forget
	current    int32 // the node whose code is running, or noNode
	expiring   expiry

	watchers watchers
	runner   atomic.Pointer[TaskRunner] // the outermost one that drives it, or nil
	shell    any                        // the *DependencyTaskGroup

	paths map[int32]string // of nodes, for the watchdog
}

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
	g.remembers = g.opts.When != nil || g.opts.Claims != nil
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
	for w := range g.nodes.words() {
		switch ready := g.nodes.readyIn(w); {
		case ready == 0:
		case g.conditions.areUsed():
			g.conditions.addWord(w, ready)
		default:
			g.starter.addWord(w, ready)
		}
	}
}

// completeAhead makes a node succeed that is ready, before the group has begun.
func (g *engine) completeAhead(p int32) {
	g.starter.remove(g.starter.rankOf(p))
	g.nodes.start(p, 0)
	g.nodes.change(p, StateSucceeded, 0)
	g.freeRow(g.graph.frees(p))
}

// Step makes a round: see [DependencyTaskGroup.Step].
func (g *engine) Step(ctx context.Context) (y Yield, err error) {
	if g.isAsleep() {
		g.panicAsleep("scheduler: DependencyTaskGroup.Step")
	}
	switch {
	case g.phase == phaseEnded:
		return Yield{}, &namedError{g.String(), ErrEnded}
	case ctx == nil:
		return Yield{}, checkContext(ctx)
	case g.graph.begun == nil:
		return Yield{}, errZeroGroup
	case !g.hasBegun():
		if err := g.checkClock(ctx); err != nil {
			g.phase = phaseEnded
			return Yield{}, err
		}
	}
	g.exclusively("Step", func() {
		ctx := g.enter(ctx)
		g.makeRound(ctx)
		y, err = g.stepResult(ctx)
	})
	return y, err
}

// checkClock returns an error for a clock by which the group cannot run.
func (g *engine) checkClock(ctx context.Context) error {
	if g.opts.Abandon > 0 && !isSystemClock(clockOf(ctx)) {
		return &OptionError{Option: "GroupOptions.Abandon", Reason: errAbandonClock.Reason}
	}
	return checkClockOf(ctx)
}

// makeRound makes a round, or as much of it as the budget allows.
func (g *engine) makeRound(ctx context.Context) {
	g.inRound = true
	g.obey(ctx)
	if g.pass == newRound {
		g.beginRound()
		g.pass, g.at = runningPass, 0
	}
	if g.pass == runningPass && g.stepDue(ctx) {
		g.pass = startPass
		g.obey(ctx)
	}
	if g.pass == startPass && g.startReady(ctx) {
		g.pass = newRound
	}
	g.inRound = false
	g.obey(ctx)
}

// beginRound finds the members that have become due.
func (g *engine) beginRound() {
	g.round++
	g.services.forgetEnded()
	if g.parking.takeCall() {
		g.takeReadyCalls()
	}
	g.parking.beginRound(g.round)
	if g.parking.hasTimes() || g.deadlines.some() || g.watchers.areEager() {
		g.now = instantOf(g.clock)
		g.parking.takeTimes(g.now)
		g.findExpired()
		g.tellRound()
		if g.watchers.want(NodeNoted) {
			g.tellNotes()
		}
	}
}

// start makes a node's task and gives it its first step. Many tasks end in
// that: they get no slot.
func (g *engine) start(ctx context.Context, p int32) {
	g.nodes.start(p, g.round) // before anybody is told, who may ask for more
	if g.watchers.want(NodeChanged) {
		g.tellChange(p, StatePending, StateRunning, nil, nil)
	}
	t := &terms{limit: g.limitOf(p)}
	if t.limit.span < 0 {
		g.holdings.release()
		g.handle(ctx, p, nil, &Timeout{Task: g.nameOf(p), Limit: t.limit.span, at: t.limit.at})
		return
	}
	g.startLimit = never
	if t.limit.span != 0 {
		g.startLimit = t.limit.at
	}
	if g.opts.Context != nil {
		g.current = p
		t.values = g.opts.Context(ctx, p)
		if t.values == nil {
			g.current = noNode
			g.holdings.release()
			g.handle(ctx, p, nil, &OptionError{Option: "GroupOptions.Context", Reason: "returned a nil Context"})
			return
		}
		ctx = &memberScope{Context: ctx, values: t.values}
	}
	var task Task
	from := g.stepBegins()
	y, err := g.call(p, func() (y Yield, err error) {
		task, y, err = g.makeAndStep(ctx, p)
		return y, err
	})
	if from != never {
		g.tellStep(p, task, from, answer{y, err, t.values})
	}
	g.applyFirst(ctx, p, task, y, err, t)
}

// makeAndStep makes a node's task and steps it.
func (g *engine) makeAndStep(ctx context.Context, p int32) (Task, Yield, error) {
	task := g.task(p)
	if task == nil {
		return nil, Yield{}, ErrNilTask
	}
	y, err := task.Step(ctx)
	return task, y, err
}

// applyFirst does what the answer of a first step asks for. In groups without options
// for starts the node has no terms.
func (g *engine) applyFirst(ctx context.Context, p int32, task Task, y Yield, err error, t *terms) {
	g.current = noNode
	switch {
	case y.code == yieldDone && err == nil:
		g.holdings.release()
		g.succeed(p, task)
	case err != nil:
		g.holdings.release()
		g.handle(ctx, p, task, err)
	default:
		g.occupy(p, task, t)
		g.apply(ctx, p, y, nil)
		if g.services.takeFirst(p) && g.nodes.state(p) == StateRunning {
			g.becomeReady(p)
		}
		if n := g.ending.given(); n != nil && g.nodes.slot(p) != noSlot && !g.services.hidesNotices(p) {
			g.notify(ctx, p, n)
		}
	}
}

// apply does what the answer of a member that has a slot asks for.
func (g *engine) apply(ctx context.Context, p int32, y Yield, err error) {
	switch {
	case err != nil && g.parking.has(g.nodes.slot(p), isClosing):
		g.answerClosing(ctx, p, err)
	case err != nil:
		g.fail(ctx, p, err)
	case y.code == yieldNext: // and nothing besides that might come earlier
		g.parking.next(p)
	case y.code&yieldDone != 0 && g.parking.has(g.nodes.slot(p), isClosing):
		g.endClosing(ctx, p)
	case y.code&yieldDone != 0:
		g.succeed(p, g.vacate(p))
	case y.code == 0:
		g.failAndClose(ctx, p, ErrNoYield)
	default:
		g.parking.park(g.nodes.slot(p), y, g.round, g.clock)
	}
}

// succeed ends a node whose task is complete, and frees what waits for it.
func (g *engine) succeed(p int32, task Task) {
	g.set(p, StateSucceeded, task, nil)
	g.notes.forget(p)
	g.free(p)
}

// free counts a node as done for those that require it. One of them that is done
// already, since GroupOptions.Completed named it, may free others in turn.
//
// With When that is so for each node that has ended, whichever way. One that was
// ready before has done it then, but for what was added since.
func (g *engine) free(p int32) {
	switch {
	case !g.remembers:
		g.freeRow(g.graph.frees(p))
	case g.services.has(p):
		g.freeAgain(p)
	default:
		g.release(p)
		g.askWhen()
	}
}

// release is free, but for asking When of those that it makes askable.
func (g *engine) release(p int32) {
	g.freeRow(g.graph.frees(p))
	g.freeRow(g.graph.takeWaiting(p))
}

func (g *engine) freeRow(row []int32) {
	for _, q := range row {
		if g.nodes.requirementDone(q) {
			g.makeReady(q)
		}
	}
}

// makeReady does what is to be done once all that a node requires is done.
func (g *engine) makeReady(p int32) {
	switch g.nodes.state(p) {
	case StatePending:
		if g.conditions.areUsed() && !g.conditions.wants(p) {
			g.conditions.add(p)
		} else {
			g.starter.add(p)
		}
	case StateSucceeded:
		g.release(p)
	default: // skipped or cancelled meanwhile
	}
}

// set changes a node's state, and tells the Observers.
func (g *engine) set(p int32, to State, task Task, err error) {
	from := g.nodes.change(p, to, g.round)
	if g.remembers {
		g.forget(p, from, to)
	}
	if g.watchers.want(NodeChanged) {
		g.tellChange(p, from, to, task, err)
	}
}

// forget has the parts drop what they know of a node that has changed. Most groups have
// nothing of that kind.
func (g *engine) forget(p int32, from, to State) {
	if g.services.demand.isCounted() && to.Ended() && (from != StatePending || !g.services.isOver) {
		g.services.demand.end(p, g)
	}
	g.claims.forget(p)
	if to.Ended() {
		g.deadlines.forget(p)
		g.orders.forget(p)
		g.services.leave(p, from == StateClosing)
	}
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
