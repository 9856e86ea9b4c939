package model

import (
	"errors"
	"slices"
)

// State is where a node stands.
type State int

// The states, in the order of package scheduler.
const (
	Pending State = iota + 1
	Running
	Ready
	Closing // told to end at once, and not ended
	Succeeded
	Failed
	TimedOut
	Cancelled
	Skipped
)

// Disposition is what becomes of a group after a failure.
type Disposition int

// The dispositions, in the order of package scheduler.
const (
	StopGroup Disposition = iota + 1
	SkipDependents
	IgnoreError
)

// Verdict is what When says of a node.
type Verdict int

// The verdicts, in the order of package scheduler.
const (
	Usual Verdict = iota
	Start
	Skip
	Pass
)

// Options say what a group is made of. Keys are 0, 1, ... in order of entry.
type Options struct {
	Clock     *Clock
	Requires  [][]int // by key
	Task      func(k int) Task
	Reverse   bool
	Aggregate bool
	Grace     func(k int) int64 // asked whenever the group stops; nil is that of the nearest runner
	OwnGrace  bool              // Grace differs by node: a service has its own from its notice on
	OnError   func(k int, err error) Disposition
	Timeout   func(k int) int64 // 0 is none
	Limit     int
	Priority  func(k int) int
	Estimate  func(k int) int64
	Completed func(k int) bool
	When      func(k int, required []State) Verdict
	KeepOpen  bool
	Observe   func(k int, from, to State, err error)
}

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
	cancelled bool // what was pending
	closed    bool // the input
	asked     bool // it was asked to end at once
	busy      int  // calls under way
	inRound   bool
	current   *node   // whose code is running
	said      bool    // the group has said that its own node is ready
	over      bool    // it is being closed: nothing that is pending matters
	orders    []*node // that are to be carried out
	inherited int64   // the grace of the nearest runner that has one
	stopping  bool    // nothing new starts
	graced    bool    // the running members were asked for their graces in this step
	notice    *Notice // what members are told
	first     *Notice // what they were told before a final one
	final     *Notice // as services are told it
	notNeeded *Notice // of services
	cause     error   // of a Stop of the whole run
	thrown    error   // the last one
	timedOut  *Timeout
	failures  []failure
}

type node struct {
	key      int
	requires []*node // in the walked direction
	awaits   []*node // of those the services that were to end when it was added
	state    State
	started  bool
	freed    bool // done, or its failure is ignored: what requires it may start
	before   bool // it was done beforehand: it frees once all that it requires does
	wanted   bool // When said that it starts
	late     bool // it was added while the group was there
	urgency  int  // its own priority, or that of the most urgent node that waits for it
	path     int64

	// While it runs.
	task     Task
	yield    Yield
	byRound  int  // the round in which it is due; 0 is none
	turn     bool // it is due
	told     bool // it had a notice
	halted   bool // and a final one
	deadline deadline
	graceEnd int64 // of a grace that comes after its own limit; 0 is none
	ends     ends

	// If it is a service, or was told to end alone.
	service   bool  // it has said Ready
	said      bool  // in its first step, which is not over
	first     bool  // it is in its first step
	released  bool  // it was asked to end
	unneeded  bool  // because nothing needs it any more
	closeLast bool  // a stop has left it no grace
	stopBy    int64 // the end of the grace that it has by a stop, or with OwnGrace how long; 0 is none
	order     *order
	expired   bool // its own time is over
	inside    bool // there are services in groups inside of it
}

// ends is how a closing member ends.
type ends struct {
	kind    kind  // closeTimedOut: it has failed; closeCancel: its grace has passed; none: at once
	failed  error // with what it has failed already, or which Timeout it had before
	failure int   // which of the failures that is
	ignored bool  // and it is ignored
	answers bool  // its answer to a Timeout is still to come
}

type failure struct {
	err    error
	inside bool // of nodes inside of a member, which nobody else can ask about
	thrown bool // from outside
	aside  bool // kept, but no part of the result
	skip   bool // a wish to be skipped: nothing went wrong
}

// NewGroup returns a group of a graph without cycles.
func NewGroup(opts Options) *Group {
	g := &Group{opts: opts}
	for k := range opts.Requires {
		g.byKey = append(g.byKey, &node{key: k, state: Pending})
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

func each(nodes []*node, ok func(*node) bool) bool {
	return !slices.ContainsFunc(nodes, func(n *node) bool { return !ok(n) })
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

// Errors returns everything that went wrong.
func (g *Group) Errors() []error {
	var errs []error
	for _, f := range g.failures {
		if !f.skip {
			errs = append(errs, f.err)
		}
	}
	return errs
}

// step is a round: a step for each running member that is due, then a start for
// each node that is ready. Who is due by its yield is settled as the round
// begins; a deadline that passes meanwhile counts if the turn is still to come.
func (g *Group) step() (Yield, error) {
	if g.ended {
		return Yield{}, ErrEnded
	}
	if !g.begun {
		g.begun = true
		g.inherited = g.opts.Clock.grace()
		for _, n := range g.nodes {
			if n.before && g.opts.Observe != nil {
				g.opts.Observe(n.key, Pending, Succeeded, nil)
			}
		}
		if n := g.opts.Clock.notice(); n != nil {
			g.heed(n)
		}
	}
	defer g.enter()()
	g.signal, g.graced = false, false
	g.makeRound()
	return g.answer()
}

// enter says that code of members may run until leave is called.
func (g *Group) enter() (leave func()) {
	out := g.opts.Clock.enterGroup(g)
	g.busy++
	return func() {
		g.busy--
		out()
	}
}

func (g *Group) makeRound() {
	g.inRound = true
	g.obey()
	g.round++
	now := g.opts.Clock.Now
	for _, n := range g.active() {
		n.turn = n.turn || n.isDue(g.round, now)
	}
	for _, n := range g.nodes {
		if !n.isMember() || !n.turn {
			continue
		}
		n.turn, n.yield = false, Yield{}
		g.takeTurn(n, now)
		// The clock is read once a round, but for graces.
		if slices.ContainsFunc(g.running(), (*node).hasGrace) {
			now = g.opts.Clock.Now
			for _, n := range g.running() {
				if n.deadline.passed(now) {
					n.turn = true
				}
			}
		}
	}
	g.obey()
	g.ask()
	for n := g.nextReady(); n != nil; n = g.nextReady() {
		g.start(n)
	}
	g.inRound = false
	g.obey()
}

// running returns the running members, and the services among them, in key order.
func (g *Group) running() []*node {
	return g.inState(func(s State) bool { return s == Running || s == Ready })
}

// active returns those that are closing as well.
func (g *Group) active() []*node {
	return g.inState(func(s State) bool { return s == Running || s == Ready || s == Closing })
}

// isMember reports whether a node has started and not ended.
func (n *node) isMember() bool { return n.state == Running || n.state == Ready || n.state == Closing }

func (g *Group) inState(is func(State) bool) []*node {
	var nodes []*node
	for _, n := range g.nodes {
		if is(n.state) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// isWoken reports whether a member is due, in the next round, for its event.
func (n *node) isWoken() bool {
	return n.isMember() && !n.turn && n.yield.Ready != nil && n.yield.Ready()
}

// frees reports whether a node is done for those that require it.
func (n *node) frees() bool { return n.freed || n.before && each(n.requires, (*node).frees) }

// isFreedBy reports whether a node is done for n. A service that was asked to end before
// n was added is so when it has ended.
func (n *node) isFreedBy(q *node) bool { return q.frees() && n.needsNoEndOf(q) }

func (n *node) needsNoEndOf(q *node) bool { return q.state > Closing || !slices.Contains(n.awaits, q) }

func (n *node) hasGrace() bool { return n.deadline.kind > throwTimeout }

func (n *node) isDue(round int, now int64) bool {
	y := n.yield
	return n.byRound != 0 && round >= n.byRound ||
		y.At != 0 && now >= y.At ||
		y.Ready != nil && y.Ready() ||
		n.deadline.passed(now)
}

func (g *Group) takeTurn(n *node, now int64) {
	if n.state == Closing {
		g.endClosing(n)
		return
	}
	if n.deadline.passed(now) {
		g.expire(n)
		return
	}
	g.stepMember(n)
}

// stepMember steps a running member. One that yields nothing has failed.
func (g *Group) stepMember(n *node) {
	y, err := g.call(n, n.task.Step)
	if err == nil && y.isZero() {
		g.failAndClose(n, ErrNoYield)
		return
	}
	g.settle(n, y, err)
}

// failAndClose ends a member that has failed and not ended.
func (g *Group) failAndClose(n *node, failed error) {
	if ready := n.task.beginClose(); ready != nil {
		g.failClosing(n, ready, failed, false)
		return
	}
	g.fail(n, join(failed, n.task.Close()))
}

// settle does what the answer of a member asks for.
func (g *Group) settle(n *node, y Yield, err error) {
	switch {
	case err != nil:
		g.fail(n, err)
	case y.Done:
		g.succeed(n)
	default:
		n.yield, n.byRound = y, 0
		if y.Rounds > 0 {
			n.byRound = g.round + y.Rounds
		}
	}
}

// nextReady returns the node to start next: the first one in key order, or the most
// urgent one, or with estimates the one with the longest remaining path.
func (g *Group) nextReady() *node {
	if g.stopping || g.opts.Limit > 0 && g.places() >= g.opts.Limit {
		return nil
	}
	var next *node
	for _, n := range g.nodes {
		if n.state == Pending && n.order == nil && (n.wanted || g.opts.When == nil && each(n.requires, n.isFreedBy)) &&
			(next == nil || !n.late && n.urgency > next.urgency ||
				!n.late && n.urgency == next.urgency && n.path > next.path) {
			next = n
		}
	}
	return next
}

// start makes the task and gives it its first step.
func (g *Group) start(n *node) {
	n.started = true
	g.set(n, Running, nil)
	if g.opts.Timeout != nil {
		switch limit := g.opts.Timeout(n.key); {
		case limit < 0: // over at once: no code runs
			g.fail(n, &Timeout{})
			return
		case limit > 0:
			n.deadline.offer(g.opts.Clock.Now+limit, throwTimeout)
		}
	}
	n.task = g.opts.Task(n.key)
	n.first = true
	g.stepMember(n)
	n.first = false
	if n.said && n.state == Running {
		g.becomeReady(n)
	}
	if n.state == Running && g.notice != nil {
		g.tell(n, g.notice)
	}
}

// fail ends a member that failed.
func (g *Group) fail(n *node, err error) {
	own := without(err, g.isNoticeOf(n))
	switch {
	case n.isOrdered():
		g.endOrdered(n, own)
		return
	case own == nil && n.unneeded:
		g.succeed(n)
		return
	case own == nil && g.stopping: // it ended because it was asked to
		g.note(n, err, failure{aside: true})
		g.set(n, Cancelled, err)
		return
	}
	// Of a group that has failed already the first failure is the result, but not
	// even then what nodes of groups inside have failed with is forgotten.
	g.handle(n, err, g.stopping && g.isInside(err))
}

// isInside reports whether an error is one of nodes inside of a member, beside an
// earlier failure.
func (g *Group) isInside(err error) bool {
	return says(err, isOfNode) &&
		slices.ContainsFunc(g.failures, func(f failure) bool { return !f.aside && !f.inside && !f.thrown })
}

// handle does what a failure asks for. inside says that it is that of nodes inside of
// a member.
func (g *Group) handle(n *node, err error, inside bool) {
	if isOnly(err, func(err error) bool { return err == ErrSkip }) { //nolint:errorlint // That very one.
		g.note(n, err, failure{aside: true, skip: true})
		g.set(n, Skipped, err)
		g.skip(n)
		return
	}
	at := len(g.failures)
	g.note(n, err, failure{inside: inside})
	g.set(n, failedState(err), err)
	if g.react(n, at, err) {
		n.freed = true
		g.ask()
	}
}

// react does what becomes of the group after a failure, and reports whether it is
// ignored.
func (g *Group) react(n *node, at int, err error) (ignored bool) {
	disposition := StopGroup
	switch {
	case g.opts.Aggregate:
		disposition = SkipDependents
	case g.opts.OnError != nil:
		disposition = g.opts.OnError(n.key, err)
	}
	switch disposition {
	case SkipDependents:
		g.skip(n)
	case IgnoreError:
		g.failures[at].aside = true
		g.reconsider(n)
		return true
	default:
		g.stopAll(g.failures[at].err)
	}
	return false
}

func (g *Group) note(n *node, err error, f failure) {
	f.err = &TaskError{Key: n.key, Err: err}
	g.failures = append(g.failures, f)
}

// ask asks When of all of which it can be asked, in key order.
func (g *Group) ask() {
	if g.opts.When == nil {
		return
	}
	for _, n := range g.nodes {
		if n.state != Pending || n.wanted || n.order != nil || !each(n.requires, n.isOverFor) {
			continue
		}
		var states []State
		for _, q := range g.nodes {
			if slices.Contains(n.requires, q) {
				states = append(states, q.state)
			}
		}
		verdict := g.opts.When(n.key, states)
		if verdict == Usual {
			if n.wanted = each(n.requires, func(q *node) bool { return q.freed || q.before }); n.wanted {
				continue
			}
			g.set(n, Skipped, nil)
			continue
		}
		switch verdict {
		case Usual: // dealt with
		case Start:
			n.wanted = true
		case Pass:
			n.freed = true
			g.set(n, Succeeded, nil)
		case Skip:
			g.note(n, ErrCondition, failure{aside: true, skip: true})
			g.set(n, Skipped, ErrCondition)
		}
	}
}

// isOver reports whether those that require a node need not wait for it any more.
func (n *node) isOver() bool {
	return n.state == Ready || n.state > Closing && (!n.before || each(n.requires, (*node).isOver))
}

// isOverFor reports whether n need not wait for a node any more.
func (n *node) isOverFor(q *node) bool { return q.isOver() && n.needsNoEndOf(q) }

// skip ends all that waits for n, directly or not, in key order.
func (g *Group) skip(n *node) {
	if g.opts.When != nil {
		g.reconsider(n)
		g.ask()
		return
	}
	lost := []*node{n}
	for _, q := range g.nodes {
		if !slices.ContainsFunc(q.requires, func(r *node) bool { return slices.Contains(lost, r) }) {
			continue
		}
		if q.before {
			lost = append(lost, q) // it will never free what waits for it
		} else if q.state == Pending {
			lost = append(lost, q)
			g.set(q, Skipped, nil)
		}
	}
}

// stopAll ends the starting, and lets each running member go on for its grace
// or closes it.
func (g *Group) stopAll(cause error) {
	g.cancelPending()
	if g.graced {
		return // in this step
	}
	g.graced = true
	g.keep(&Notice{cause, false})
	for _, n := range g.running() {
		grace := g.graceOf(n)
		switch {
		case n.isHidden() && grace > 0: // it is told when nothing needs it any more
			if g.opts.OwnGrace {
				n.closeLast, n.stopBy = false, grace
			} else {
				n.stopBy = earliest(n.stopBy, g.opts.Clock.Now+grace)
			}
		case n.isHidden():
			n.closeLast = true
		case grace > 0:
			g.grant(n, grace)
			g.tell(n, g.notice)
		default:
			g.cutOff(n)
		}
	}
}

// grant gives a running member a grace from now on, at the end of which it is closed.
func (g *Group) grant(n *node, grace int64) {
	end := closeCancel
	if n.deadline.kind == closeTimedOut {
		end = closeTimedOut // it has its end already, now it only comes earlier
	}
	if at := g.opts.Clock.Now + grace; n.deadline.kind == throwTimeout && at >= n.deadline.at {
		n.graceEnd = earliest(n.graceEnd, at)
	} else {
		n.deadline.offer(at, end)
	}
}

// earliest returns the earlier one of two times, of which 0 is none.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (g *Group) graceOf(n *node) int64 {
	if g.opts.Grace == nil {
		return g.inherited
	}
	return g.opts.Grace(n.key)
}

// tell gives a member notice, once, and once more if it is final.
func (g *Group) tell(n *node, notice *Notice) {
	if n.task.Stop != nil && (!n.told || notice.Final && !n.halted) {
		n.told, n.halted = true, notice.Final
		n.task.Stop(notice)
	}
}

// keep remembers a notice: the first one, and a final one after that.
func (g *Group) keep(n *Notice) {
	if g.notice == nil {
		g.notice = n
	} else if n.Final && !g.notice.Final {
		g.first, g.notice = g.notice, n
	}
}

// heed is what a notice from outside does to the group itself.
func (g *Group) heed(n *Notice) {
	g.keep(n)
	if n.Final && g.cause == nil {
		g.cause = n
		g.cancelPending()
	}
}

// isNoticeOf returns what tells whether an error is what a member was told.
func (g *Group) isNoticeOf(m *node) func(err error) bool {
	return func(err error) bool {
		n, ok := err.(*Notice) //nolint:errorlint // That very one.
		return ok && (n == g.notice || n == g.first || m.service && n == g.final ||
			m.unneeded && n == g.notNeeded || m.isOrdered() && n == m.order.notice)
	}
}

// expire is the turn of a member after its deadline.
func (g *Group) expire(n *node) {
	t := &Timeout{}
	switch n.deadline.kind {
	case closeCancel:
		g.endGrace(n)
		return
	case throwTimeout:
		grace := max(g.graceOf(n), 0)
		if n.graceEnd != 0 { // it was granted one before, which this does not prolong
			grace = min(grace, max(n.graceEnd-g.opts.Clock.Now, 0))
		}
		if n.task.Throw == nil {
			break
		}
		t.Grace, n.expired = grace, true
		y, err := g.call(n, func() (Yield, error) { return n.task.Throw(t) })
		switch {
		case err == nil && y.isZero():
			g.failAndClose(n, ErrNoYield)
			return
		case err != nil || y.Done:
			g.settle(n, y, err)
			return
		case grace > 0 && !y.Failed:
			n.deadline = deadline{earliest(g.opts.Clock.Now+grace, n.graceEnd), closeTimedOut}
			g.settle(n, y, nil)
			return
		case y.Ending:
			g.failClosing(n, y.Ready, t, true)
			return
		}
	case none, closeTimedOut:
	}
	g.failAndClose(n, t)
}

// endGrace closes a member at the end of its grace. An error of this close is a
// failure like any other.
func (g *Group) endGrace(n *node) {
	if ready := n.task.beginClose(); ready != nil {
		g.putInClosing(n, ready, ends{kind: closeCancel})
		return
	}
	g.endCutOff(n, n.task.Close())
}

// endCutOff ends a member that was closed at the end of its grace.
func (g *Group) endCutOff(n *node, err error) {
	switch own := without(err, g.isNoticeOf(n)); {
	case n.isOrdered():
		g.endOrdered(n, own)
		return
	case own != nil:
		g.handle(n, err, g.isInside(err))
		return
	case n.unneeded:
		g.succeed(n)
		return
	}
	if err != nil {
		g.note(n, err, failure{aside: true})
	}
	g.set(n, Cancelled, err)
}

// failClosing lets a member that has failed end by itself. What the failure asks for
// is done at once, but what may start all the same starts when it has ended.
func (g *Group) failClosing(n *node, ready func() bool, failed error, answers bool) {
	at := len(g.failures)
	g.note(n, failed, failure{})
	g.putInClosing(n, ready, ends{kind: closeTimedOut, failed: failed, failure: at, answers: answers})
	n.ends.ignored = g.react(n, at, failed)
}

// putInClosing lets a member wait for its end.
func (g *Group) putInClosing(n *node, ready func() bool, e ends) {
	n.deadline, n.yield, n.byRound, n.turn = deadline{}, ending(ready), 0, false
	n.ends = e
	g.set(n, Closing, e.failed)
}

// endClosing is the turn of a closing member: it can be ended without waiting.
func (g *Group) endClosing(n *node) {
	if n.ends.answers {
		y, err := n.task.step()
		switch {
		case err == nil && y.Ending:
			n.yield = ending(y.Ready)
			return
		case err == nil && !y.Done: // it continues after the Timeout
			n.ends.answers = false
			if ready := n.task.beginClose(); ready != nil {
				n.yield = ending(ready)
				return
			}
		default:
			g.endClosed(n, err)
			g.ask()
			return
		}
	}
	if n.inside { // what they were needed by has ended by now
		if ready := n.task.beginClose(); ready != nil && !ready() {
			n.yield = ending(ready)
			return
		}
	}
	if err := n.task.Close(); n.ends.kind == closeCancel {
		g.endCutOff(n, err)
	} else {
		g.endClosed(n, err)
		g.ask()
	}
}

// endClosed ends a member that was closed; nothing is left to be decided.
func (g *Group) endClosed(n *node, err error) {
	e := n.ends
	inside := err != nil && says(err, isOfNode)
	switch {
	case e.kind == closeTimedOut:
		err = join(e.failed, err)
		f := &g.failures[e.failure]
		first := slices.IndexFunc(g.failures, func(f failure) bool { return !f.aside && !f.inside })
		f.inside = f.inside || inside && !f.aside && e.failure != first
		f.err = &TaskError{Key: n.key, Err: err}
		g.set(n, failedState(err), err)
		n.freed = e.ignored
	case n.isOrdered():
		g.endOrderedAtOnce(n, join(e.failed, without(err, g.isNoticeOf(n))))
	case e.failed == nil && n.unneeded && isNothing(err, g.isNoticeOf(n)):
		g.set(n, Succeeded, nil)
	case e.kind == closeCancel && err != nil && !isOnly(err, g.isNoticeOf(n)):
		g.note(n, err, failure{inside: inside})
		g.set(n, failedState(err), err)
	default:
		if err = join(e.failed, err); err != nil {
			g.note(n, err, failure{aside: !inside, inside: inside})
		}
		g.set(n, Cancelled, err)
	}
}

// failedState is the state of a node that failed with err.
func failedState(err error) State {
	if t := (*Timeout)(nil); errors.As(err, &t) {
		return TimedOut
	}
	return Failed
}

// cutOff closes a running member at once. An error of that is only kept, but for
// what nodes of the member had failed with before.
func (g *Group) cutOff(n *node) {
	if g.beginCutOff(n) == nil {
		n.ends = ends{failed: n.timeoutBefore()}
		g.endClosed(n, n.task.Close())
	}
}

// beginCutOff asks a running member to end, and lets it wait for that if it has to.
func (g *Group) beginCutOff(n *node) (ready func() bool) {
	if ready = n.task.beginClose(); ready != nil {
		g.putInClosing(n, ready, ends{failed: n.timeoutBefore()})
	}
	return ready
}

// timeoutBefore is the Timeout after which a member went on, which is not to be
// forgotten.
func (n *node) timeoutBefore() error {
	if n.deadline.kind == closeTimedOut {
		return &Timeout{}
	}
	return nil
}

// cutOffAll closes the running members, and after them the services that nothing
// needs any more.
func (g *Group) cutOffAll() {
	for _, n := range g.inState(func(s State) bool { return s == Running }) {
		g.cutOff(n)
	}
	g.closeServices(g.cutOff)
}

// beginClose asks all members to end.
func (g *Group) beginClose() func() bool {
	if g.ended || !g.begun {
		return nil
	}
	g.asked = true
	var waits []func() bool
	ask := func(n *node) {
		var ready func() bool
		if n.state == Closing {
			n.ends.answers = false
			ready = n.task.beginClose()
		} else {
			ready = g.beginCutOff(n)
		}
		if ready != nil {
			waits = append(waits, ready)
		}
	}
	for _, n := range g.inState(func(s State) bool { return s == Running || s == Closing }) {
		ask(n)
	}
	g.closeServices(ask)
	return allOf(waits)
}

// cancelPending ends the starting.
func (g *Group) cancelPending() {
	g.stopping, g.cancelled = true, true
	for _, n := range g.nodes {
		if n.state == Pending {
			g.set(n, Cancelled, nil)
		}
	}
}

func (g *Group) set(n *node, to State, err error) {
	from := n.state
	n.state = to
	if n.service && to != Ready {
		n.freed = to == Succeeded // who requires a service that fails waits for that again
	}
	if g.opts.Observe != nil {
		g.opts.Observe(n.key, from, to, err)
	}
}

// answer is what a step returns: the result when nothing is left to be done.
func (g *Group) answer() (Yield, error) {
	g.retire()
	running, pending := g.active(), g.count(Pending)
	if len(running) == 0 && (pending == 0 || g.draining) && !g.waitsForNodes() {
		g.ended = true
		if err := g.result(); err != nil {
			return Yield{}, err
		}
		return Yield{Done: true}, nil
	}
	// Never a number of rounds: whoever waits for some is counted for here.
	y := Yield{Ending: g.cancelled && len(g.running()) == 0}
	earliest := func(at int64) {
		if at != 0 && (y.At == 0 || at < y.At) {
			y.At = at
		}
	}
	for _, n := range running {
		if n.byRound != 0 || n.turn {
			y.Rounds = 1
		}
		if !n.turn {
			earliest(n.yield.At)
			if n.deadline.kind != none {
				earliest(n.deadline.at + 1)
			}
		}
	}
	y.Ready = func() bool {
		c := g.opts.Clock
		return g.signal && (len(c.around) == 0 || g.signalAt != c.steps) || slices.ContainsFunc(g.nodes, (*node).isWoken)
	}
	return y, nil
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

// result is the group's error.
func (g *Group) result() error {
	unfinished := g.count(Cancelled) > 0 || g.opts.KeepOpen && !g.closed && (g.cancelled || !g.draining)
	timedOut := g.timedOut != nil && (unfinished || g.timedOut.Grace == 0)
	var err error
	if g.opts.Aggregate || g.opts.OnError != nil {
		err = all(g.failures, func(f failure) bool { return !f.aside })
	} else {
		if g.thrown != nil && !timedOut {
			err = g.thrown
			if i := slices.IndexFunc(g.failures, func(f failure) bool { return !f.aside && !f.inside && !f.thrown }); i >= 0 {
				err = join(err, g.failures[i].err)
			}
		} else if i := slices.IndexFunc(g.failures, func(f failure) bool { return !f.aside && !f.inside }); i >= 0 {
			err = g.failures[i].err
		}
		err = join(err, joined(g.failures, func(f failure) bool { return f.inside })) // not to be forgotten
	}
	switch {
	case timedOut:
		err = join(g.timedOut, err)
	case err == nil && unfinished && g.cause != nil:
		err = g.cause
	case err == nil && unfinished && g.notice != nil:
		err = g.notice
	}
	if g.count(Pending) > 0 {
		err = join(err, ErrDrained)
	}
	return err
}

// all returns those of the failures that match as one error, or nil.
func all(failures []failure, match func(failure) bool) error {
	if errs := those(failures, match); errs != nil {
		return &ExceptionGroup{errs}
	}
	return nil
}

// joined is all as one joined error, or the only one as it is.
func joined(failures []failure, match func(failure) bool) error {
	errs := those(failures, match)
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

func those(failures []failure, match func(failure) bool) (errs []error) {
	for _, f := range failures {
		if match(f) {
			errs = append(errs, f.err)
		}
	}
	return errs
}

// throw stops the group as a failure does, in either mode; but a Timeout, that
// very type, closes all at once, unless it comes with a grace.
func (g *Group) throw(err error) (Yield, error) {
	if g.ended || !g.begun {
		g.ended = true
		return Yield{}, err
	}
	defer g.enter()()
	g.graced = false
	t, isTimeout := err.(*Timeout) //nolint:errorlint // That very type.
	g.failures = append(g.failures, failure{err: err, aside: isTimeout, thrown: true})
	switch {
	case !isTimeout:
		g.thrown = err
		g.stopAll(err)
	case t.Grace > 0:
		g.timedOut = t
		g.cancelPending()
		g.notify(&Notice{err, false})
	default:
		g.timedOut = t
		g.cutOffAll()
		g.cancelPending()
	}
	return g.answer()
}

// stop hands a notice on. The group goes on starting, unless the whole run ends.
func (g *Group) stop(n *Notice) {
	if g.ended || !g.begun {
		return
	}
	defer g.enter()()
	g.heed(n)
	g.notify(n)
	g.retire()
	g.wake()
}

func (g *Group) notify(n *Notice) {
	g.keep(n)
	for _, n := range g.running() {
		if !n.isHidden() {
			g.tell(n, g.notice)
		}
	}
}

// Drain starts nothing more; what is left stays pending.
func (g *Group) Drain() {
	if !g.ended && !g.stopping {
		g.draining, g.stopping = true, true
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

// Add adds a node, which is the last in key order, to those that are there. It is
// lost at once if something that it requires is.
func (g *Group) Add(requires []int) error {
	if !g.opts.KeepOpen || g.opts.Reverse || g.closed || g.asked || g.ended || g.cancelled {
		return ErrInputClosed
	}
	n := &node{key: len(g.byKey), state: Pending, late: true}
	for _, q := range requires {
		q := g.byKey[q]
		n.requires = append(n.requires, q)
		if q.state == Ready && (q.released || q.order != nil) {
			n.awaits = append(n.awaits, q)
		}
	}
	g.nodes, g.byKey = append(g.nodes, n), append(g.byKey, n)
	g.wakeFrom()
	switch {
	case g.opts.Completed != nil && g.opts.Completed(n.key):
		n.before = true
		if !g.begun {
			n.state = Succeeded // to be told when it begins
		} else {
			g.set(n, Succeeded, nil)
		}
	case g.opts.When != nil:
		if g.busy > 0 {
			g.ask() // else in the next round, before anything starts
		}
	case slices.ContainsFunc(n.requires, (*node).isLost):
		g.set(n, Skipped, nil)
	}
	return nil
}

// isLost reports whether a node will never be done.
func (n *node) isLost() bool {
	if n.before {
		return slices.ContainsFunc(n.requires, (*node).isLost)
	}
	hasFailed := n.state == Closing && n.ends.kind == closeTimedOut && !n.ends.ignored
	return hasFailed || n.state >= Failed && !n.freed
}

// CloseInput says that no more nodes come.
func (g *Group) CloseInput() {
	if !g.closed {
		g.closed = true
		g.wakeFrom()
	}
}

// waitsForNodes reports whether the group goes on although nothing is left.
func (g *Group) waitsForNodes() bool {
	return g.opts.KeepOpen && !g.closed && !g.stopping && g.notice == nil
}

// close closes the running members, in key order. Its error is what nodes had
// failed with before.
func (g *Group) close() error {
	if g.ended || !g.begun {
		g.ended = true
		return nil
	}
	for len(g.active()) > 0 {
		g.cutOffAll() // services last, when what needs them has ended
		for _, n := range g.inState(func(s State) bool { return s == Closing }) {
			g.endClosed(n, n.task.Close()) // all were asked
		}
	}
	if !g.draining {
		g.cancelPending()
	}
	g.ended = true
	return all(g.failures, func(f failure) bool { return !f.aside && !f.thrown })
}
