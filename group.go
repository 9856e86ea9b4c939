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
	"github.com/steptask/scheduler/internal/wheel"
)

// GroupOptions are the options of a [DependencyTaskGroup]. The zero value of
// each field means that it is off. Functions are called on the driving
// goroutine.
type GroupOptions[K comparable] struct {
	// Name is what errors and logs call the group.
	Name string

	// Reverse walks the dependencies the other way: requirers before what they
	// require, the order of deletion.
	Reverse bool

	// AggregateErrors goes on after a failure with all that does not depend on
	// what failed, and reports all errors at the end.
	AggregateErrors bool

	// ErrorWaitTime is the grace: how long running tasks may go on after a
	// failure, or an error thrown into the group, stopped it. Without it they
	// are closed at once. It is also what a task that goes on after its own
	// Timeout has left.
	ErrorWaitTime time.Duration

	// ErrorWaitTimeFor is the same for each node. It is asked when the group
	// stops, and again at each further failure, for every node that is
	// running then, in key order; what is not above 0 is no grace.
	ErrorWaitTimeFor func(k K) time.Duration

	// Timeout is a time limit for each node, counted from its start; 0 is
	// none, and a negative one is over at once. A node that exceeds it fails.
	Timeout func(k K) time.Duration

	// Completed says that a node counts as done and is never started, as when
	// a run is resumed, or rolled back. It is asked once for each node, in key
	// order, when the group is made.
	Completed func(k K) bool

	// Budget is the largest number of members' steps in one step of the group,
	// which then goes on at that place, at once, with the next one. It changes
	// neither the order nor what counts as a round.
	Budget int

	// Context returns the context for the steps of a node: a place for spans
	// and loggers. It is asked once, when k starts. Only its values count, its
	// end does not: it should be made from ctx with context.WithValue.
	Context func(ctx context.Context, k K) context.Context

	// RecoverPanics turns a panic of a member into a [*PanicError] of its
	// node. By default it goes up through the group's step, after the other
	// members have been closed.
	RecoverPanics bool

	// Observer is told of every change of a node's state.
	Observer Observer
}

// DependencyTaskGroup is a Task made of a task for each node of a graph of
// dependencies. A node is started when all that it requires is done. Running
// members are stepped in turn.
//
// One step of the group is a round: each running member that is due gets one
// step; then each node that is ready is started, which includes its first step.
// A member that is complete after its first step frees what waited for it in
// the same round. Both passes go in key order: the topological order of the
// walked direction, ties by order of entry. (Recorded behaviour, with the
// reverse order mended.)
//
// The first failure stops the group: nothing new starts, and running members
// are closed, or have their grace and get notice if they are a [Stopper]. The
// group's error is then the last error that was thrown into it, else the first
// failure, as a [*TaskError]. With AggregateErrors a failure only skips what
// depends on it, directly or not, and the result is an [*ExceptionGroup] of all
// failures in order of occurrence, also of a single one. Either way
// [DependencyTaskGroup.Errors] has everything.
//
// An error thrown into the group stops it as a failure does, in either mode. A
// [*Timeout] closes all members at once, unless who throws it gives a grace
// ([RunnerOptions.Grace]), and is the result.
//
// A group can be run once. Like any Task it is for one goroutine at a time, the
// one that drives it; between two steps, or inside those of its members, it can
// be asked for its nodes' states. A panic of a member goes up with its stack as
// it is, after the other members have been closed.
type DependencyTaskGroup[K comparable] struct {
	opts GroupOptions[K]
	task func(K) Task
	plan *plan[K]

	// Nodes are known by position in the plan. What belongs to a node is thin,
	// and without pointers for the collector to look at.
	state []State // with hasStarted
	// Pending: how many required nodes are not done. Running: its slot.
	cell   []int32
	ready  *bitset.Set // pending, and all that it requires is done
	due    *bitset.Set // running, and to be stepped in the next round, or this one
	counts [StateSkipped + 1]int

	// What belongs to a running member is in a slot, taken when its first step
	// has not ended it.
	slots    []member
	free     int32 // first free slot, linked by node; noNode
	contexts []memberContext

	// A member that is not due is parked: found by the round, the time or the
	// event that it waits for.
	rounds    wheel.Wheel // keys: rounds
	timers    wheel.Wheel // keys: instants
	deadlines wheel.Wheel // keys: instants. Of members that are due, too
	byRounds  int         // members parked for rounds
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

	clock     Clock
	ctx       scopeCache
	outer     enclosing // the group that this one is a member of, or nil
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
	stopping  bool  // nothing new starts
	graced    bool  // all that run have what grace they get
	cause     error // of a Stop that ended the starting
	notice    error // what running members, and those that start, are told
	thrown    error // the last one
	timedOut  *Timeout
	failures  []failure
	skips     []int32 // by node: 1 + the index of the failure that it was skipped for
	subject   Task    // whose transition is being observed
}

// hasStarted is kept in the state of a node beside it.
const hasStarted State = 1 << 7

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

// member is what belongs to a running node: 80 bytes.
type member struct {
	task  Task
	wait  *waiter // made when it first waits for an event
	limit deadlineAt
	// When it wants to be stepped, while it is parked, and under which key it
	// is in the wheel. A member that puts its time off again and again is in
	// the wheel once: it is put back when it comes out early.
	time, timeKey   int64
	round, roundKey int64
	node            int32 // noNode-linked list while free
	kind            deadlineKind
	flags           memberFlags
}

// deadlineAt is a deadline without its kind, which is kept apart for its size.
type deadlineAt struct {
	at   int64
	span time.Duration
}

type memberFlags uint8

const (
	parkedByRounds memberFlags = 1 << iota
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
}

// enclosing is the part of a group that its members' groups ask.
type enclosing interface {
	member() int32
	pathOf(node int32) string
}

// NewDependencyTaskGroup makes a group of a task for each node of deps. The
// group keeps its own view of deps: later changes do not show in it. task is
// called for a node when it starts, and not before.
//
// It returns a [*CircularDependencyError] if deps has a cycle, and an
// [*OptionError] if deps or task is nil or an option is out of range. nil
// options are the defaults. Making a group takes time in proportion to the
// graph; another one of the same graph and direction takes much less.
func NewDependencyTaskGroup[K comparable](
	deps *Dependencies[K], task func(K) Task, opts *GroupOptions[K],
) (*DependencyTaskGroup[K], error) {
	if opts == nil {
		opts = &GroupOptions[K]{}
	}
	if err := opts.check(deps, task != nil); err != nil {
		return nil, err
	}
	plan, err := deps.plan(opts.Reverse)
	if err != nil {
		return nil, err
	}
	n := len(plan.keys)
	g := &DependencyTaskGroup[K]{
		opts:    *opts,
		task:    task,
		plan:    plan,
		state:   make([]State, n),
		cell:    make([]int32, n),
		ready:   bitset.New(n),
		due:     bitset.New(n),
		free:    noNode,
		current: noNode,
	}
	g.isTimer, g.isLimit = g.checkTimer, g.checkLimit
	copy(g.cell, plan.degree)
	for p := range g.state {
		g.state[p] = StatePending
	}
	g.counts[StatePending] = n
	g.complete()
	return g, nil
}

func (o *GroupOptions[K]) check(deps *Dependencies[K], hasTask bool) error {
	switch {
	case deps == nil:
		return &OptionError{Option: "deps", Reason: "nil Dependencies"}
	case !hasTask:
		return &OptionError{Option: "task", Reason: "nil function"}
	case o.Budget < 0:
		return &OptionError{Option: "GroupOptions.Budget", Reason: fmt.Sprintf("negative number %d", o.Budget)}
	case o.ErrorWaitTime != 0 && o.ErrorWaitTimeFor != nil:
		return &OptionError{Option: "GroupOptions.ErrorWaitTime", Reason: "given beside ErrorWaitTimeFor"}
	}
	return checkDuration("GroupOptions.ErrorWaitTime", o.ErrorWaitTime)
}

// complete marks what counts as done, and finds what is ready to start.
func (g *DependencyTaskGroup[K]) complete() {
	if g.opts.Completed != nil {
		for p, k := range g.plan.keys {
			if g.opts.Completed(k) {
				g.mark(int32(p), StateSucceeded)
				for _, q := range g.frees(int32(p)) {
					g.cell[q]--
				}
			}
		}
	}
	for p, state := range g.state {
		if state == StatePending && g.cell[p] == 0 {
			g.ready.Add(int32(p))
		}
	}
}

// frees returns what waits for the node.
func (g *DependencyTaskGroup[K]) frees(p int32) []int32 {
	return g.plan.to[g.plan.start[p]:g.plan.start[p+1]]
}

// Step is one round: see [DependencyTaskGroup]. The Yield says when the next
// one is worth making: in the next round of whoever drives the group, if a
// member waits for that; at the earliest time that a member waits for, or is
// limited to; and on an event of the group's, which is set when that of a member
// is. A group that has ended returns [ErrEnded].
func (g *DependencyTaskGroup[K]) Step(ctx context.Context) (Yield, error) {
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

// Throw handles an error thrown into the group; see [DependencyTaskGroup]. No
// member is stepped, and none gets to see the error other than as the cause of
// a notice.
func (g *DependencyTaskGroup[K]) Throw(ctx context.Context, err error) (Yield, error) {
	if g.ended || !g.begun {
		g.ended = true
		return Yield{}, err
	}
	ctx = g.enter(ctx, "Throw")
	defer g.leave()
	t, ok := err.(*Timeout) //nolint:errorlint // That type itself: what wraps one is an ordinary error.
	g.failures = append(g.failures, failure{err: err, node: noNode, aside: ok})
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

// Stop hands the notice on to the running members, and to those that start
// later. The group goes on starting them (recorded behaviour), unless it is the
// whole run that is stopped, by [TaskRunner.Stop] or the end of its context:
// then nothing more starts, and a group that is left unfinished fails with
// cause.
func (g *DependencyTaskGroup[K]) Stop(ctx context.Context, cause error) {
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

// Close closes the running members in key order and ends the group. Those whose
// end takes time, such as [Blocking] calls, are all told first and waited for
// last. Errors of their Close are kept in Errors; Close returns nil (recorded
// behaviour).
func (g *DependencyTaskGroup[K]) Close() error {
	if g.ended || !g.begun {
		g.ended = true
		return nil
	}
	g.guard("Close")
	defer g.leave()
	g.closeAll()
	g.end()
	g.busy = false
	return nil
}

// enter begins a call that runs members' code.
func (g *DependencyTaskGroup[K]) enter(ctx context.Context, method string) context.Context {
	g.guard(method)
	s := scopeOf(ctx)
	if !g.begun {
		g.begun = true
		g.clock = clockOf(ctx)
		if s != nil && s.group != nil {
			g.outer, g.outerNode = s.group, s.group.member()
		}
	}
	g.budget = g.opts.Budget
	return g.ctx.derive(ctx, func() scope {
		inner := scope{clock: g.clock, driver: g}
		if s != nil {
			inner = *s
		}
		if inner.driver == nil {
			inner.driver = g
		}
		inner.clock, inner.group = g.clock, g
		return inner
	})
}

func (g *DependencyTaskGroup[K]) guard(method string) {
	if g.busy {
		panic("scheduler: DependencyTaskGroup." + method + " of " + g.String() + " called during a step")
	}
	g.busy = true
}

// leave ends a call that runs members' code. A call that comes to its end has
// put busy back; else a panic or a Goexit is on its way up, and ends the group.
func (g *DependencyTaskGroup[K]) leave() {
	if !g.busy {
		return
	}
	if g.observing {
		g.opts.Observer = nil
	}
	defer func() { g.busy = false }()
	defer g.end() // whatever the others do when they are closed
	if p := g.current; p != noNode {
		g.abort(p)
	}
	g.closeAll()
}

// abort ends a member out of whose code a panic or a Goexit came.
func (g *DependencyTaskGroup[K]) abort(p int32) {
	g.current = noNode
	if g.cell[p] != noNode {
		g.release(p)
	}
	g.failures = append(g.failures, failure{err: g.taskError(p, nil, ErrAborted), node: p})
	g.set(p, StateFailed, nil, ErrAborted)
}

// answer is what a step returns: the result once nothing is left to be done.
func (g *DependencyTaskGroup[K]) answer() (Yield, error) {
	g.busy = false
	if g.counts[StatePending]+g.counts[StateRunning] > 0 {
		return g.yield(), nil
	}
	g.end()
	if err := g.result(); err != nil {
		return Yield{}, err
	}
	return Done, nil
}

// yield says when the next step is worth making.
func (g *DependencyTaskGroup[K]) yield() Yield {
	y := Yield{event: &g.event, code: yieldEvent}
	if g.byRounds > 0 || !g.due.Empty() {
		y.code |= yieldNext
	}
	if at := min(g.nextTimer(), g.nextLimit()); at != never {
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
func (g *DependencyTaskGroup[K]) result() error {
	unfinished := g.counts[StateCancelled] > 0
	switch {
	case g.timedOut != nil && (unfinished || g.timedOut.grace == 0):
		return g.timedOut
	case g.opts.AggregateErrors:
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
	if unfinished {
		return g.cause
	}
	return nil
}

// reported returns the errors that are the result of an aggregating group.
func (g *DependencyTaskGroup[K]) reported() error {
	var errs []error
	for _, f := range g.failures {
		if !f.aside {
			errs = append(errs, f.err)
		}
	}
	return orNil(groupOf(errs))
}

// end forgets all that a run needs. What can be asked afterwards stays.
func (g *DependencyTaskGroup[K]) end() {
	g.cancelPending()
	g.ended = true
	g.task, g.opts.Context = nil, nil
	g.slots, g.contexts = nil, nil
	g.rounds, g.timers, g.deadlines = wheel.Wheel{}, wheel.Wheel{}, wheel.Wheel{}
	g.ctx = scopeCache{}
}

// stepDue is the running pass: a step for each running member that is due, in
// key order. It reports whether it got to the end before its budget did.
//
// This is the hot loop: a group spends most of its time here. It copies a word
// of the set of who is due, so a member that wants the next round costs the
// look at its bit, its slot, the call, and one comparison; nothing is written.
func (g *DependencyTaskGroup[K]) stepDue(ctx context.Context) bool {
	careful := g.opts.Budget > 0 || g.opts.RecoverPanics || g.opts.Context != nil
	for w := g.due.NextWord(int(g.at >> 6)); w >= 0; w = g.due.NextWord(w + 1) {
		word := g.due.Word(w)
		if w == int(g.at>>6) {
			word &= ^uint64(0) << (g.at & 63)
		}
		for word != 0 {
			p := int32(w<<6 | bits.TrailingZeros64(word))
			word &= word - 1
			m := &g.slots[g.cell[p]]
			if !careful && (m.kind == noDeadline || m.kind == throwTimeout && g.now <= m.limit.at) {
				g.current = p
				y, err := m.task.Step(ctx)
				if y.code == yieldNext && err == nil {
					if g.graces == 0 {
						continue
					}
				}
				g.current = noNode
				g.settle(ctx, p, y, err)
			} else {
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
				g.now = instant(g.clock.Now())
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

// attempt is a turn of a member that needs more care than the hot loop takes.
func (g *DependencyTaskGroup[K]) attempt(ctx context.Context, p int32) {
	slot := g.cell[p]
	m := &g.slots[slot]
	if m.kind != noDeadline {
		now := g.now
		if m.kind != throwTimeout {
			now = instant(g.clock.Now()) // a grace is looked at anew each time
		}
		if now > m.limit.at {
			g.expire(ctx, p)
			return
		}
	}
	ctx = g.contextOf(ctx, slot)
	y, err := g.call(p, func() (Yield, error) { return m.task.Step(ctx) })
	g.settle(ctx, p, y, err)
}

// call runs a member's code; what panics is known by current.
func (g *DependencyTaskGroup[K]) call(p int32, code func() (Yield, error)) (y Yield, err error) {
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
func (g *DependencyTaskGroup[K]) settle(ctx context.Context, p int32, y Yield, err error) {
	switch {
	case err != nil:
		g.fail(ctx, p, err)
	case y.code&yieldNext != 0:
		g.due.Add(p)
	case y.code&yieldDone != 0:
		task := g.release(p)
		g.succeed(p, task)
	case y.code == 0:
		g.fail(ctx, p, join(ErrNoYield, g.closeTask(p, g.slots[g.cell[p]].task)))
	default:
		g.park(p, y)
	}
}

// startReady is the start pass: each node that is ready is started, in key
// order. It reports whether it got to the end before its budget did.
//
// What a node frees comes after it in key order, so one sweep upwards finds all
// that become ready on the way.
func (g *DependencyTaskGroup[K]) startReady(ctx context.Context) bool {
	for w := g.ready.NextWord(0); w >= 0; w = g.ready.NextWord(w) {
		for word := g.ready.Word(w); word != 0; word = g.ready.Word(w) {
			if g.stopping {
				return true
			}
			if g.opts.Budget > 0 {
				if g.budget == 0 {
					return false
				}
				g.budget--
			}
			p := int32(w<<6 | bits.TrailingZeros64(word))
			g.ready.Remove(p)
			g.start(ctx, p)
		}
	}
	return true
}

// start makes a node's task and gives it its first step. Many tasks end in
// that: they get no slot.
func (g *DependencyTaskGroup[K]) start(ctx context.Context, p int32) {
	g.state[p] |= hasStarted
	g.set(p, StateRunning, nil, nil)
	g.cell[p] = noNode
	limit := g.limitOf(p)
	if limit.span < 0 {
		g.fail(ctx, p, &Timeout{Task: fmt.Sprint(g.plan.keys[p]), Limit: limit.span, at: limit.at})
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
	switch {
	case y == Done && err == nil:
		g.succeed(p, task)
	case err != nil:
		g.failed(ctx, p, task, err)
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
	y, err := task.Step(ctx)
	return task, y, err
}

// limitOf returns the node's own deadline, with a span of 0 if it has none.
func (g *DependencyTaskGroup[K]) limitOf(p int32) deadlineAt {
	if g.opts.Timeout == nil {
		return deadlineAt{}
	}
	span := g.opts.Timeout(g.plan.keys[p])
	if span == 0 {
		return deadlineAt{}
	}
	return deadlineAt{at: later(instant(g.clock.Now()), span), span: span}
}

// succeed ends a node whose task is complete, and frees what waits for it.
func (g *DependencyTaskGroup[K]) succeed(p int32, task Task) {
	g.set(p, StateSucceeded, task, nil)
	for _, q := range g.frees(p) {
		g.cell[q]--
		if g.cell[q] == 0 && g.state[q] == StatePending {
			g.ready.Add(q)
		}
	}
}

// fail ends a running member that failed.
func (g *DependencyTaskGroup[K]) fail(ctx context.Context, p int32, err error) {
	var task Task
	if slot := g.cell[p]; slot != noNode {
		told := g.slots[slot].flags&hasNotice != 0
		task = g.release(p)
		if told && errors.Is(err, g.notice) {
			g.failures = append(g.failures, failure{err: g.taskError(p, task, err), node: p, aside: true})
			g.set(p, StateCancelled, task, err)
			return
		}
	}
	g.failed(ctx, p, task, err)
}

// failed does what a failure asks for.
func (g *DependencyTaskGroup[K]) failed(ctx context.Context, p int32, task Task, err error) {
	state := StateFailed
	if t := (*Timeout)(nil); errors.As(err, &t) {
		state = StateTimedOut
	}
	e := g.taskError(p, task, err)
	g.failures = append(g.failures, failure{err: e, node: p})
	g.set(p, state, task, err)
	if g.opts.AggregateErrors {
		g.skip(p)
	} else {
		g.stop(ctx, e)
	}
}

func (g *DependencyTaskGroup[K]) taskError(p int32, task Task, err error) *TaskError {
	e := &TaskError{Key: g.plan.keys[p], Err: err}
	if task != nil {
		e.Task = TaskDescription(task)
	}
	return e
}

// skip ends all nodes that wait for p, directly or not, in key order.
func (g *DependencyTaskGroup[K]) skip(p int32) {
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
func (g *DependencyTaskGroup[K]) stop(ctx context.Context, cause error) {
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
		if grace := g.graceOf(p); grace > 0 {
			g.grant(p, closeCancel, grace)
			g.tell(ctx, p, cause)
		} else if askToClose(g.slots[g.cell[p]].task) {
			slow = append(slow, p)
		} else {
			g.close(p)
		}
	}
	for _, p := range slow {
		g.close(p)
	}
}

// notify gives notice to all running members.
func (g *DependencyTaskGroup[K]) notify(ctx context.Context, cause error) {
	if g.notice == nil {
		g.notice = cause
	}
	for _, p := range g.members() {
		g.tell(ctx, p, cause)
	}
}

// tell gives a running member notice, once.
func (g *DependencyTaskGroup[K]) tell(ctx context.Context, p int32, cause error) {
	m := &g.slots[g.cell[p]]
	s, ok := m.task.(Stopper)
	if !ok || m.flags&hasNotice != 0 {
		return
	}
	m.flags |= hasNotice
	ctx = g.contextOf(ctx, g.cell[p])
	g.current = p
	s.Stop(ctx, cause)
	g.current = noNode
}

// graceOf returns how long a member may go on.
func (g *DependencyTaskGroup[K]) graceOf(p int32) time.Duration {
	if g.opts.ErrorWaitTimeFor != nil {
		return g.opts.ErrorWaitTimeFor(g.plan.keys[p])
	}
	return g.opts.ErrorWaitTime
}

// grant offers a member a deadline that ends with kind.
func (g *DependencyTaskGroup[K]) grant(p int32, kind deadlineKind, span time.Duration) {
	m := &g.slots[g.cell[p]]
	at := later(instant(g.clock.Now()), span)
	if m.kind != noDeadline && at >= m.limit.at {
		return
	}
	g.uncount(m)
	m.kind, m.limit = kind, deadlineAt{at: at, span: span}
	g.graces++
	g.deadlines.Add(later(at, 1), uint32(g.cell[p]))
}

// uncount takes a member's deadline out of the counts.
func (g *DependencyTaskGroup[K]) uncount(m *member) {
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
func (g *DependencyTaskGroup[K]) expire(ctx context.Context, p int32) {
	m := &g.slots[g.cell[p]]
	if m.kind == closeCancel {
		g.close(p)
		return
	}
	t := &Timeout{Task: TaskDescription(m.task), Limit: m.limit.span, at: m.limit.at}
	if m.kind == throwTimeout {
		t.grace = max(g.graceOf(p), 0)
		ctx := g.contextOf(ctx, g.cell[p])
		y, err := g.call(p, func() (Yield, error) { return throwInto(ctx, m.task, t) })
		if err != nil || y.code&yieldDone != 0 {
			g.settle(ctx, p, y, err)
			return
		}
		if t.grace > 0 {
			limit := m.limit.span
			g.uncount(m)
			g.grant(p, closeTimedOut, t.grace)
			m.limit.span = limit // what the Timeout is to say at last
			g.settle(ctx, p, y, nil)
			return
		}
	}
	g.fail(ctx, p, join(t, g.closeTask(p, m.task)))
}

// close cuts a running member off.
func (g *DependencyTaskGroup[K]) close(p int32) {
	task := g.release(p)
	err := g.closeTask(p, task)
	if err != nil {
		g.failures = append(g.failures, failure{err: g.taskError(p, task, err), node: p, aside: true})
	}
	g.set(p, StateCancelled, task, err)
}

func (g *DependencyTaskGroup[K]) closeTask(p int32, task Task) error {
	_, err := g.call(p, func() (Yield, error) { return Done, task.Close() })
	return err
}

// closeAll closes the running members, also those left by one that panics.
func (g *DependencyTaskGroup[K]) closeAll() {
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
		if askToClose(g.slots[g.cell[p]].task) {
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

func (g *DependencyTaskGroup[K]) askToClose() bool {
	slow := false
	for _, p := range g.members() {
		slow = askToClose(g.slots[g.cell[p]].task) || slow
	}
	return slow
}

// cancelPending ends the starting.
func (g *DependencyTaskGroup[K]) cancelPending() {
	if g.stopping {
		return
	}
	g.stopping = true
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
func (g *DependencyTaskGroup[K]) members() []int32 {
	var found []int32
	for i := range g.slots {
		if g.slots[i].task != nil {
			found = append(found, g.slots[i].node)
		}
	}
	slices.Sort(found)
	return found
}

// set changes a node's state.
func (g *DependencyTaskGroup[K]) set(p int32, to State, task Task, err error) {
	from := g.mark(p, to)
	if g.opts.Observer != nil {
		g.observe(p, from, to, task, err)
	}
}

// mark is set without the Observer. It returns the state before.
func (g *DependencyTaskGroup[K]) mark(p int32, to State) State {
	state := g.state[p]
	from := state &^ hasStarted
	g.state[p] = to | state&hasStarted
	g.counts[from]--
	g.counts[to]++
	return from
}

func (g *DependencyTaskGroup[K]) observe(p int32, from, to State, task Task, err error) {
	g.subject, g.observing = task, true
	g.opts.Observer.Observe(Transition{From: from, To: to, Err: err, group: g, node: p, at: g.now})
	g.subject, g.observing = nil, false
}
