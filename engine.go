package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/steptask/scheduler/internal/bitset"
	"github.com/steptask/scheduler/internal/digraph"
	"github.com/steptask/scheduler/internal/wheel"
)

// options are those of a group whose nodes are known by position.
type options = GroupOptions[int32]

// engine is a group without its keys. It knows nodes by position, which is their
// place in key order, so it is compiled once for all types of keys.
type engine struct {
	opts     options
	task     func(p int32) Task
	key      func(p int32) any // for errors and observers
	graph    *digraph.Graph    // from a node to those that it frees
	required func(p int32) []int32

	// Nodes are known by position in the plan. What belongs to a node is thin,
	// and without pointers for the collector to look at.
	state []State // with hasStarted
	// Pending: how many required nodes are not done. Running: its slot.
	cell   []int32
	due    *bitset.Set // running, and to be stepped in the next round, or this one
	counts [StateSkipped + 1]int
	since  []int32 // the round of the last change

	starting   // who starts next
	claimQueue // who waits for shared Limiters

	// What belongs to a running member is in a slot, taken when its first step
	// has not ended it. Its task is apart: a round of those that want the next
	// one looks at nothing else.
	tasks    []Task // by slot; nil while it is free
	slots    []member
	free     int32           // first slot that was given back, linked by node; noNode
	contexts []memberContext // by slot, with GroupOptions.Context
	limits   []limitAt       // by slot, with GroupOptions.Timeout, or once one has a grace
	byRound  []turnAt        // by slot, once one waits for rounds other than the next
	byTime   []turnAt        // by slot, once one waits for a time
	waiters  []*waiter       // by slot, once one waits for an event; made when it first does
	unused   []waiter        // made beside those, and not in the table yet

	// A member that is not due is parked: found by the round, the time or the
	// event that it waits for.
	rounds    wheel.Wheel // keys: rounds
	timers    wheel.Wheel // keys: instants
	deadlines wheel.Wheel // keys: instants. Of members that are due, too
	byRounds  int         // members parked for rounds
	byClaims  int         // members parked for nothing but claims
	timeouts  int         // members with a limit of their own
	graces    int         // members with a grace
	popped    []wheel.Entry
	rearm     []int32
	isTimer   func(wheel.Entry) bool // made once: no allocation in a round
	isLimit   func(wheel.Entry) bool

	event Event // set when a member becomes due by an event
	mu    sync.Mutex
	inbox []wakeup // guarded by mu
	woken []wakeup // the other half of a pair of buffers

	clock     timeSource
	ctx       scopeCache
	pool      pool    // in use if this is the outermost
	outer     *engine // the group that this one is a member of, or nil
	outerNode int32
	round     int
	now       int64 // the last reading in this round
	at        int32 // where the running pass goes on
	budget    int   // steps left in this step
	pass      pass
	current   int32 // the node whose code is running, or noNode

	begun     bool
	ended     bool
	busy      bool
	observing bool
	draining  bool  // what is left stays pending
	stopping  bool  // nothing new starts
	graced    bool  // all that run have what grace they get
	cause     error // of a Stop that ended the starting
	notice    error // what running members, and those that start, are told
	thrown    error // the last one
	timedOut  *Timeout
	failures  []failure
	failed    map[int32]int // by node: its first failure
	skips     []int32       // by node: 1 + the index of the failure that it was skipped for
	subject   Task          // whose transition is being observed
}

// These are kept in the state of a node beside it.
const (
	hasStarted State = 1 << (7 - iota)
	wasStopped       // it was running when the group was stopped
	wasCutOff        // it was closed

	onlyState = wasCutOff - 1
)

const noNode = int32(-1)

// none is the key of a wheel that a member is not in.
const none = never

// pass is where a step of the group stopped for its budget.
type pass uint8

const (
	newRound pass = iota
	runningPass
	startPass
)

// member is what belongs to a running node, beside its task, in 8 bytes. What few
// members need is in tables beside it, made when it is first needed.
type member struct {
	node  int32 // noNode-linked list while free
	kind  deadlineKind
	flags memberFlags
}

// turnAt is the round or time at which a parked member wants to be stepped, or
// none, and the key under which it is in the wheel, or none. A member that puts
// its turn off again and again is in the wheel once: it is put back when it comes
// out early.
type turnAt struct {
	at, key int64
}

// limitAt is the deadline of a member whose kind says that it has one. span is
// how long the node's own limit is: left from another member where the deadline
// never was one.
type limitAt struct {
	at   int64
	span time.Duration
}

type memberFlags uint8

const (
	parkedByRounds memberFlags = 1 << iota
	parkedByClaims
	hasNotice
)

// memberContext is what GroupOptions.Context made for a member, put together
// with the context of the step.
type memberContext struct {
	values context.Context
	step   context.Context
	joined context.Context
}

// wakeup says that the event which a member waits for was set.
type wakeup struct {
	slot int32
	turn uint32
}

// failure is an error and where it is from.
type failure struct {
	err   error
	node  int32 // noNode: thrown in
	aside bool  // kept, but no part of the result
	skip  bool  // a node's wish to be skipped: nothing went wrong
}

// init makes an engine with options and a graph ready for its first step.
func (g *engine) init() {
	n := len(g.graph.Degree)
	g.state = make([]State, n)
	g.cell = slices.Clone(g.graph.Degree)
	g.since = make([]int32, n)
	g.due, g.ready = bitset.New(n), bitset.New(n)
	g.free, g.current = noNode, noNode
	g.intervalAt = never
	g.isTimer, g.isLimit = g.checkTimer, g.checkLimit
	for p := range g.state {
		g.state[p] = StatePending
	}
	g.counts[StatePending] = n
	if g.opts.Estimate != nil {
		g.rankBy(g.opts.Estimate)
	}
	g.complete()
}

func checkOptions(o *options) error {
	switch {
	case o.Budget < 0:
		return &OptionError{Option: "GroupOptions.Budget", Reason: fmt.Sprintf("negative number %d", o.Budget)}
	case o.Limit < 0:
		return &OptionError{Option: "GroupOptions.Limit", Reason: fmt.Sprintf("negative number %d", o.Limit)}
	case o.ErrorWaitTime != 0 && o.ErrorWaitTimeFor != nil:
		return &OptionError{Option: "GroupOptions.ErrorWaitTime", Reason: "given beside ErrorWaitTimeFor"}
	case o.AggregateErrors && o.OnError != nil:
		return &OptionError{Option: "GroupOptions.AggregateErrors", Reason: "given beside OnError"}
	case o.Estimate != nil && o.Limit == 0 && o.Claims == nil:
		return &OptionError{Option: "GroupOptions.Estimate", Reason: "given without Limit or Claims, which it needs"}
	}
	if _, ok := o.Observer.(SlowStepObserver); !ok && o.SlowStep > 0 {
		return &OptionError{Option: "GroupOptions.SlowStep", Reason: "the Observer is no SlowStepObserver"}
	}
	if err := checkDuration("GroupOptions.SlowStep", o.SlowStep); err != nil {
		return err
	}
	return checkDuration("GroupOptions.ErrorWaitTime", o.ErrorWaitTime)
}

// complete marks what counts as done, and finds what is ready to start.
func (g *engine) complete() {
	if g.opts.Completed != nil {
		for p := range g.state {
			if g.opts.Completed(int32(p)) {
				g.mark(int32(p), StateSucceeded)
				for _, q := range g.frees(int32(p)) {
					g.cell[q]--
				}
			}
		}
	}
	for p, state := range g.state {
		if state == StatePending && g.cell[p] == 0 {
			g.ready.Add(g.rankOf(int32(p)))
		}
	}
}

// frees returns what waits for the node.
func (g *engine) frees(p int32) []int32 {
	return g.graph.Row(p)
}

// Step is [DependencyTaskGroup.Step].
func (g *engine) Step(ctx context.Context) (Yield, error) {
	if g.ended {
		return Yield{}, ErrEnded
	}
	ctx = g.enter(ctx, "Step")
	defer g.leave()
	if g.pass == newRound {
		g.collect()
		g.pass, g.at = runningPass, 0
	}
	if g.pass == runningPass && g.stepDue(ctx) {
		g.pass = startPass
	}
	if g.pass == startPass && g.startReady(ctx) {
		g.pass = newRound
	}
	return g.answer()
}

// Throw is [DependencyTaskGroup.Throw].
func (g *engine) Throw(ctx context.Context, err error) (Yield, error) {
	if g.ended || !g.begun {
		g.ended = true
		return Yield{}, err
	}
	ctx = g.enter(ctx, "Throw")
	defer g.leave()
	t, ok := err.(*Timeout) //nolint:errorlint // That type itself: what wraps one is an ordinary error.
	g.note(failure{err: err, node: noNode, aside: ok})
	switch {
	case !ok:
		g.thrown = err
		g.stop(ctx, err)
	case t.grace > 0:
		g.timedOut = t
		g.cancelPending()
		g.notify(ctx, err)
	default:
		g.timedOut = t
		g.closeAll()
		g.cancelPending()
	}
	return g.answer()
}

// Stop is [DependencyTaskGroup.Stop].
func (g *engine) Stop(ctx context.Context, cause error) {
	if g.ended || !g.begun {
		return
	}
	ctx = g.enter(ctx, "Stop")
	defer g.leave()
	if scopeOf(ctx).ending && g.cause == nil {
		g.cause = cause
		g.cancelPending()
	}
	g.notify(ctx, cause)
	g.event.Set() // it may have nothing left to do
	g.busy = false
}

// Drain is [DependencyTaskGroup.Drain].
func (g *engine) Drain() {
	if !g.ended && !g.stopping {
		g.draining, g.stopping = true, true
		g.leaveLines()
		g.event.Set() // it may have nothing left to do
	}
}

// Close is [DependencyTaskGroup.Close].
func (g *engine) Close() error {
	if g.ended || !g.begun {
		g.ended = true
		return nil
	}
	g.guard("Close")
	defer g.leave()
	g.readClock()
	g.closeAll()
	g.end()
	g.busy = false
	return nil
}

// enter begins a call that runs members' code.
func (g *engine) enter(ctx context.Context, method string) context.Context {
	g.guard(method)
	s := scopeOf(ctx)
	if !g.begun {
		g.begun = true
		g.clock = clockOf(ctx)
		g.claimTree = &claimTree{}
		if s != nil && s.group != nil {
			g.outer, g.outerNode = s.group, s.group.member()
			g.claimTree = g.outer.tree()
			g.around = g.outer.holdings(g.outerNode)
		}
	}
	g.budget = g.opts.Budget
	if method != "Step" {
		g.readClock() // a round does that by itself
	}
	return g.ctx.derive(ctx, func() scope {
		inner := scope{}
		if s != nil {
			inner = *s
		}
		if inner.driver == nil {
			inner.driver, inner.pool = g, &g.pool
		}
		inner.clock, inner.group = g.clock, g
		return inner
	})
}

// readClock reads the time for the Observer, if there is one.
func (g *engine) readClock() {
	if g.opts.Observer != nil {
		g.now = instantOf(g.clock)
	}
}

func (g *engine) guard(method string) {
	if g.busy {
		panic("scheduler: DependencyTaskGroup." + method + " of " + g.String() + " called during a step")
	}
	g.busy = true
}

// leave ends a call that runs members' code. A call that comes to its end has
// put busy back; else a panic or a Goexit is on its way up, and ends the group.
func (g *engine) leave() {
	if !g.busy {
		return
	}
	if g.observing {
		g.opts.Observer = nil
	}
	// Each of these may panic too, and the next must happen all the same.
	defer func() {
		g.opts.Observer = nil
		g.end()
		g.busy = false
	}()
	defer g.abandon()
	defer g.closeAll()
	if p := g.current; p != noNode {
		g.abort(p)
	}
}

// abort ends a member out of whose code a panic or a Goexit came.
func (g *engine) abort(p int32) {
	g.current = noNode
	if g.cell[p] != noNode {
		g.release(p)
	}
	g.giveBack()
	g.note(failure{err: g.taskError(p, nil, ErrAborted), node: p})
	g.set(p, StateFailed, nil, ErrAborted)
}

// abandon ends the nodes that have no running task. One that counts as running
// all the same was left so by a panic in a function of GroupOptions.
func (g *engine) abandon() {
	if !g.draining {
		g.cancelPending()
	}
	for p := range g.state {
		if g.counts[StateRunning] == 0 {
			return
		}
		if g.state[p]&onlyState == StateRunning {
			g.cell[p] = noNode
			g.abort(int32(p))
		}
	}
}

// answer is what a step returns: the result once nothing is left to be done.
func (g *engine) answer() (Yield, error) {
	g.checkDeadlock()
	g.busy = false
	if g.counts[StateRunning] > 0 || g.counts[StatePending] > 0 && !g.draining {
		return g.yield(), nil
	}
	g.end()
	if err := g.result(); err != nil {
		return Yield{}, err
	}
	return Done, nil
}

// yield says when the next step is worth making.
func (g *engine) yield() Yield {
	y := Yield{event: &g.event, code: yieldEvent}
	if g.byRounds > 0 || !g.due.Empty() {
		y.code |= yieldNext
	}
	if g.waitsForClaims() {
		y.code |= yieldClaims
	}
	if at := min(g.nextTimer(), g.nextLimit(), g.nextInterval()); at != never {
		y.at = at
		y.code |= yieldAt
	}
	if g.pass != newRound { // cut short by the budget
		y.at = past
		y.code |= yieldAt
	}
	return y
}

// result is the group's error.
func (g *engine) result() error {
	unfinished := g.counts[StateCancelled] > 0
	switch {
	case g.timedOut != nil && (unfinished || g.timedOut.grace == 0):
		return g.timedOut
	case g.opts.AggregateErrors || g.opts.OnError != nil:
		if all := g.reported(); all != nil {
			return all
		}
	case g.thrown != nil:
		return g.thrown
	default:
		for _, f := range g.failures {
			if !f.aside {
				return f.err
			}
		}
	}
	switch {
	case unfinished:
		return g.cause
	case g.counts[StatePending] > 0:
		return ErrDrained
	}
	return nil
}

// reported returns the errors that are the result of an aggregating group.
func (g *engine) reported() error {
	var errs []error
	for _, f := range g.failures {
		if !f.aside {
			errs = append(errs, f.err)
		}
	}
	return orNil(groupOf(errs))
}

// end forgets all that a run needs. What can be asked afterwards stays.
func (g *engine) end() {
	g.abandon()
	g.ended = true
	g.task, g.opts.Context = nil, nil
	g.tasks, g.slots, g.contexts, g.held, g.limits = nil, nil, nil, nil, nil
	g.byRound, g.byTime, g.waiters, g.unused = nil, nil, nil, nil
	g.leaveLines()
	g.rounds, g.timers, g.deadlines = wheel.Wheel{}, wheel.Wheel{}, wheel.Wheel{}
	g.ctx = scopeCache{}
	g.pool.close()
}

// stepDue is the running pass: a step for each running member that is due, in
// key order. It reports whether it got to the end before its budget did.
//
// This is the hot loop: a group spends most of its time here. It copies a word
// of the set of who is due, so a member that wants the next round costs the
// look at its bit, its slot, the call, and one comparison; nothing is written.
func (g *engine) stepDue(ctx context.Context) bool {
	careful := g.opts.Budget > 0 || g.opts.RecoverPanics || g.opts.Context != nil || g.opts.SlowStep > 0
	tasks, cell := g.tasks, g.cell // no member gets a slot in this pass
	for w := g.due.NextWord(int(g.at >> 6)); w >= 0; w = g.due.NextWord(w + 1) {
		word := g.due.Word(w)
		if w == int(g.at>>6) {
			word &= ^uint64(0) << (g.at & 63)
		}
		for word != 0 {
			p := int32(w<<6 | bits.TrailingZeros64(word))
			word &= word - 1
			slot := cell[p]
			if !careful && (g.timeouts|g.graces == 0 || !g.isLimited(slot)) {
				g.current = p
				y, err := tasks[slot].Step(ctx)
				if y.code == yieldNext && err == nil {
					if g.graces == 0 {
						continue
					}
				}
				g.current = noNode
				g.settle(ctx, p, y, err)
			} else {
				g.current = noNode
				if g.opts.Budget > 0 {
					if g.budget == 0 {
						g.at = p
						return false
					}
					g.budget--
				}
				g.attempt(ctx, p)
			}
			// A failure may have closed members that come later, and a grace
			// that ran out meanwhile made some due. (A set that another member
			// caused is for the next round.)
			if g.graces > 0 {
				g.now = instantOf(g.clock)
				g.expireLimits()
			}
			if word = 0; p&63 != 63 {
				word = g.due.Word(w) & (^uint64(0) << (p&63 + 1))
			}
		}
	}
	g.current = noNode
	return true
}

// isLimited reports whether a member has a deadline that is to be looked at.
func (g *engine) isLimited(slot int32) bool {
	kind := g.slots[slot].kind
	return kind != noDeadline && (kind != throwTimeout || g.now > g.limits[slot].at)
}

// attempt is a turn of a member that needs more care than the hot loop takes.
func (g *engine) attempt(ctx context.Context, p int32) {
	slot := g.cell[p]
	m := &g.slots[slot]
	if m.kind != noDeadline {
		now := g.now
		if m.kind != throwTimeout {
			now = instantOf(g.clock) // a grace is looked at anew each time
		}
		if now > g.limits[slot].at {
			g.expire(ctx, p)
			return
		}
	}
	ctx, task := g.contextOf(ctx, slot), g.tasks[slot]
	y, err := g.call(p, func() (Yield, error) {
		if g.opts.SlowStep > 0 {
			defer g.timeStep(p, task)()
		}
		return task.Step(ctx)
	})
	g.settle(ctx, p, y, err)
}

// call runs a member's code; what panics is known by current.
func (g *engine) call(p int32, code func() (Yield, error)) (y Yield, err error) {
	g.current = p
	if g.opts.RecoverPanics {
		y, err = recovered(code)
	} else {
		y, err = code()
	}
	g.current = noNode
	return y, err
}

// recovered turns a panic into an error.
func recovered(code func() (Yield, error)) (y Yield, err error) {
	defer func() {
		if v := recover(); v != nil {
			p, ok := v.(*PanicError)
			if !ok {
				p = &PanicError{Value: v, Stack: debug.Stack()}
			}
			y, err = Yield{}, p
		}
	}()
	return code()
}

// settle does what the answer of a running member asks for.
func (g *engine) settle(ctx context.Context, p int32, y Yield, err error) {
	switch {
	case err != nil:
		g.fail(ctx, p, err)
	case y.code == yieldNext: // and nothing besides that might come earlier
		g.due.Add(p)
	case y.code&yieldDone != 0:
		task := g.release(p)
		g.giveBack()
		g.succeed(p, task)
	case y.code == 0:
		g.fail(ctx, p, join(ErrNoYield, g.closeTask(p, g.tasks[g.cell[p]])))
	default:
		g.park(p, y)
	}
}

// succeed ends a node whose task is complete, and frees what waits for it.
func (g *engine) succeed(p int32, task Task) {
	g.set(p, StateSucceeded, task, nil)
	g.makeReady(p)
}

// makeReady makes ready what waited for p alone.
func (g *engine) makeReady(p int32) {
	for _, q := range g.frees(p) {
		g.cell[q]--
		if g.cell[q] == 0 && g.state[q] == StatePending {
			g.ready.Add(g.rankOf(q))
		}
	}
}

// fail ends a running member that failed.
func (g *engine) fail(ctx context.Context, p int32, err error) {
	var task Task
	if slot := g.cell[p]; slot != noNode {
		told := g.slots[slot].flags&hasNotice != 0
		task = g.release(p)
		g.giveBack()
		if told && g.stopping && errors.Is(err, g.notice) {
			g.note(failure{err: g.taskError(p, task, err), node: p, aside: true})
			g.set(p, StateCancelled, task, err)
			return
		}
	}
	g.handle(ctx, p, task, err)
}

// handle does what a failure asks for.
func (g *engine) handle(ctx context.Context, p int32, task Task, err error) {
	if errors.Is(err, ErrSkip) {
		g.note(failure{err: g.taskError(p, task, err), node: p, aside: true, skip: true})
		g.set(p, StateSkipped, task, err)
		g.skip(p)
		return
	}
	state := StateFailed
	if t := (*Timeout)(nil); errors.As(err, &t) {
		state = StateTimedOut
	}
	e := g.taskError(p, task, err)
	g.note(failure{err: e, node: p})
	g.set(p, state, task, err)
	switch g.disposition(p, err) {
	case SkipDependents:
		g.skip(p)
	case IgnoreError:
		g.failures[len(g.failures)-1].aside = true
		g.makeReady(p)
	default:
		g.stop(ctx, e)
	}
}

// disposition asks what becomes of the group.
func (g *engine) disposition(p int32, err error) Disposition {
	switch {
	case g.opts.AggregateErrors:
		return SkipDependents
	case g.opts.OnError != nil:
		return g.opts.OnError(p, err)
	}
	return StopGroup
}

// note keeps a failure.
func (g *engine) note(f failure) {
	if f.node != noNode {
		if g.failed == nil {
			g.failed = map[int32]int{}
		}
		if _, ok := g.failed[f.node]; !ok {
			g.failed[f.node] = len(g.failures)
		}
	}
	g.failures = append(g.failures, f)
}

func (g *engine) taskError(p int32, task Task, err error) *TaskError {
	e := &TaskError{Key: g.key(p), Err: err}
	if task != nil {
		e.Task = TaskDescription(task)
	}
	return e
}

// skip ends all nodes that wait for p, directly or not, in key order.
func (g *engine) skip(p int32) {
	if g.skips == nil {
		g.skips = make([]int32, len(g.state))
	}
	mark := int32(len(g.failures))
	var found []int32
	for next := -1; next < len(found); next++ {
		from := p
		if next >= 0 {
			from = found[next]
		}
		for _, q := range g.frees(from) {
			if g.state[q] == StatePending && g.skips[q] == 0 {
				g.skips[q] = mark
				found = append(found, q)
			}
		}
	}
	slices.Sort(found)
	for _, q := range found {
		g.set(q, StateSkipped, nil, nil)
	}
}

// stop ends the starting and lets each running member go on for its grace, or
// closes it. Deadlines only come nearer, so a fixed grace counts once.
func (g *engine) stop(ctx context.Context, cause error) {
	g.cancelPending()
	if g.graced && g.opts.ErrorWaitTimeFor == nil {
		return
	}
	g.graced = true
	if g.notice == nil {
		g.notice = cause
	}
	var slow []int32
	for _, p := range g.members() {
		if g.cell[p] == noNode {
			continue // it ended meanwhile: see tell
		}
		g.state[p] |= wasStopped
		if grace := g.graceOf(p); grace > 0 {
			g.grant(p, closeCancel, grace)
			g.tell(ctx, p, cause)
		} else if beginClose(g.tasks[g.cell[p]]) != nil {
			slow = append(slow, p)
		} else {
			g.close(p)
		}
	}
	for _, p := range slow {
		if g.cell[p] != noNode {
			g.close(p)
		}
	}
}

// notify gives notice to all running members.
func (g *engine) notify(ctx context.Context, cause error) {
	if g.notice == nil {
		g.notice = cause
	}
	for _, p := range g.members() {
		if g.cell[p] != noNode {
			g.state[p] |= wasStopped
			g.tell(ctx, p, cause)
		}
	}
}

// tell gives a running member notice, once. A panic that RecoverPanics makes an
// error of is a failure, which may close any other member.
func (g *engine) tell(ctx context.Context, p int32, cause error) {
	m := &g.slots[g.cell[p]]
	s, ok := lookFor[Stopper](g.tasks[g.cell[p]])
	if !ok || m.flags&hasNotice != 0 {
		return
	}
	m.flags |= hasNotice
	inner := g.contextOf(ctx, g.cell[p])
	_, err := g.call(p, func() (Yield, error) {
		s.Stop(inner, cause)
		return Next, nil
	})
	if err != nil {
		g.fail(ctx, p, err)
	}
}

// graceOf returns how long a member may go on.
func (g *engine) graceOf(p int32) time.Duration {
	if g.opts.ErrorWaitTimeFor != nil {
		return g.opts.ErrorWaitTimeFor(p)
	}
	return g.opts.ErrorWaitTime
}

// grant offers a member a deadline that ends with kind.
func (g *engine) grant(p int32, kind deadlineKind, span time.Duration) {
	slot := g.cell[p]
	m, limit := &g.slots[slot], g.deadline(slot)
	at := later(instantOf(g.clock), span)
	if m.kind != noDeadline && at >= limit.at {
		return
	}
	if m.kind == closeTimedOut {
		kind = closeTimedOut // it has its end already, now it only comes earlier
	}
	g.uncount(m)
	m.kind, limit.at = kind, at
	g.graces++
	g.deadlines.Add(later(at, 1), uint32(slot))
}

// uncount takes a member's deadline out of the counts.
func (g *engine) uncount(m *member) {
	switch m.kind {
	case noDeadline:
	case throwTimeout:
		g.timeouts--
	default:
		g.graces--
	}
	m.kind = noDeadline
}

// expire is the turn of a member whose deadline has passed.
func (g *engine) expire(ctx context.Context, p int32) {
	m, task := &g.slots[g.cell[p]], g.tasks[g.cell[p]]
	if m.kind == closeCancel {
		g.cutOff(ctx, p)
		return
	}
	t := g.timeoutOf(p)
	if m.kind == throwTimeout {
		t.grace = max(g.graceOf(p), 0)
		ctx := g.contextOf(ctx, g.cell[p])
		y, err := g.call(p, func() (Yield, error) { return throwInto(ctx, task, t) })
		if err != nil || y.code&yieldDone != 0 {
			g.settle(ctx, p, y, err)
			return
		}
		if t.grace > 0 {
			g.uncount(m)
			g.grant(p, closeTimedOut, t.grace)
			g.settle(ctx, p, y, nil)
			return
		}
	}
	g.state[p] |= wasCutOff
	g.fail(ctx, p, join(t, g.closeTask(p, task)))
}

// timeoutOf returns the Timeout of a member whose own limit has passed.
func (g *engine) timeoutOf(p int32) *Timeout {
	limit := g.limits[g.cell[p]]
	return &Timeout{Task: TaskDescription(g.tasks[g.cell[p]]), Limit: limit.span, at: limit.at}
}

// cutOff closes a member whose grace is over. Unlike that of a close at once, an
// error of this is a failure like any other (recorded behaviour).
func (g *engine) cutOff(ctx context.Context, p int32) {
	g.state[p] |= wasCutOff
	task := g.release(p)
	err := g.closeTask(p, task)
	g.giveBack()
	if err != nil {
		g.handle(ctx, p, task, err)
		return
	}
	g.set(p, StateCancelled, task, nil)
}

// close closes a running member at once.
func (g *engine) close(p int32) {
	g.state[p] |= wasStopped | wasCutOff
	var timeout error
	if g.slots[g.cell[p]].kind == closeTimedOut {
		timeout = g.timeoutOf(p) // it went on after that: not to be forgotten
	}
	task := g.release(p)
	err := join(timeout, g.closeTask(p, task))
	g.giveBack() // and not before the task has really ended
	if err != nil {
		g.note(failure{err: g.taskError(p, task, err), node: p, aside: true})
	}
	g.set(p, StateCancelled, task, err)
}

func (g *engine) closeTask(p int32, task Task) error {
	_, err := g.call(p, func() (Yield, error) { return Done, task.Close() })
	return err
}

// closeAll closes the running members, also those left by one that panics.
func (g *engine) closeAll() {
	completed := false
	defer func() {
		if !completed {
			if p := g.current; p != noNode {
				g.abort(p)
			}
			g.closeAll()
		}
	}()
	var slow []int32
	for _, p := range g.members() {
		if beginClose(g.tasks[g.cell[p]]) != nil {
			slow = append(slow, p)
		} else {
			g.close(p)
		}
	}
	for _, p := range slow {
		g.close(p)
	}
	completed = true
}

// BeginClose is [DependencyTaskGroup.BeginClose].
func (g *engine) BeginClose() *Event {
	var waits []*Event
	for _, p := range g.members() {
		if e := beginClose(g.tasks[g.cell[p]]); e != nil {
			waits = append(waits, e)
		}
	}
	return allOf(waits)
}

// cancelPending ends the starting.
func (g *engine) cancelPending() {
	g.stopping = true
	g.leaveLines()
	if g.counts[StatePending] == 0 {
		return
	}
	for p, state := range g.state {
		if state == StatePending {
			g.set(int32(p), StateCancelled, nil, nil)
		}
	}
}

// members returns the running members in key order.
func (g *engine) members() []int32 {
	var found []int32
	for i, task := range g.tasks {
		if task != nil {
			found = append(found, g.slots[i].node)
		}
	}
	slices.Sort(found)
	return found
}

// set changes a node's state.
func (g *engine) set(p int32, to State, task Task, err error) {
	from := g.mark(p, to)
	if g.opts.Observer != nil {
		g.observe(p, from, to, task, err)
	}
}

// mark is set without the Observer. It returns the state before.
func (g *engine) mark(p int32, to State) State {
	state := g.state[p]
	from := state & onlyState
	g.state[p] = to | state&^onlyState
	g.since[p] = int32(g.round)
	g.counts[from]--
	g.counts[to]++
	return from
}

func (g *engine) observe(p int32, from, to State, task Task, err error) {
	g.subject, g.observing = task, true
	g.opts.Observer.Observe(Transition{From: from, To: to, Err: err, group: g, node: p, at: g.now})
	g.subject, g.observing = nil, false
}
