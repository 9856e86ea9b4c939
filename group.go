package scheduler

import (
	"context"
	"iter"
	"time"
)

// GroupOptions are the options of a [DependencyTaskGroup]. A zero field is off.
// Functions are called on the driving goroutine; Completed, Priority and Estimate
// once for each node when the group is made.
type GroupOptions[K comparable] struct {
	// Name is the group's name in errors, logs and explanations.
	Name string

	// Reverse walks the graph from requirers to required nodes: the order of
	// deletion.
	Reverse bool

	// AggregateErrors lets a failure skip only the nodes that depend on it, and
	// reports all failures at the end.
	AggregateErrors bool

	// OnError decides after each failure, in place of AggregateErrors; err is without
	// the [*TaskError]. The result is an [*ExceptionGroup] without the ignored
	// failures.
	OnError func(k K, err error) Disposition

	// Grace is how long running tasks may continue after a failure or a thrown error
	// has stopped the group, and a task after its own Timeout. 0 inherits that of the
	// nearest runner. Without any, and with [NoGrace], tasks are closed at once.
	Grace time.Duration

	// GraceFor is the Grace of a node; zero or less means none. It is called for all
	// running nodes, in key order, when the group stops, and again in each later step
	// in which a node fails; for one node when that alone has to end, and when a
	// [WithTimeout] or [First] in it begins.
	GraceFor func(k K) time.Duration

	// Timeout is the time limit of a node from its start. The node fails with the
	// [*Timeout], unless its task handles it: then the task's result is the node's.
	Timeout func(k K) time.Duration

	// When decides whether a node starts. It is called once for each node, in key
	// order and before Limit and Claims, when everything that the node requires
	// (required, in key order) has ended or is ready, and again if a service among
	// that fails before the node has started; not after a stop. A panic is one of the
	// node. With When a node is skipped only once all that it requires has ended, and
	// a node that Completed names counts as done even if something that it requires
	// has failed.
	When func(k K, required iter.Seq2[K, State]) Verdict

	// Limit is the largest number of nodes that may run at the same time, without
	// those of groups inside. For a limit that changes use Claims.
	Limit int

	// Claims returns what a node holds of shared [Limiter]s from its start to its
	// end. It is called once, when all that the node requires is done. Weights on the
	// same Limiter are added up. Invalid claims, and claims above every capacity that
	// the Limiter has had, fail the node with an [*OptionError].
	Claims func(k K) []Claim

	// Priority decides which node starts first where Limit or Claims make nodes wait:
	// the highest, and among equal ones as Estimate says. A node is at least as
	// urgent as those that require it.
	Priority func(k K) int

	// Estimate is how long a node will take; negative means 0. Where nodes wait, the
	// one with the longest remaining path starts first.
	Estimate func(k K) time.Duration

	// KeepOpen allows [DependencyTaskGroup.Add]. A group with nothing to do then
	// waits for nodes, CloseInput, Drain or a stop. After a stop the notice is its
	// result, even if all nodes have succeeded.
	KeepOpen bool

	// Completed reports whether a node counts as done and never starts, to resume or
	// roll back a run: see [Snapshot]. Nodes that require it still wait for the nodes
	// that it requires itself. It is called in key order.
	Completed func(k K) bool

	// Budget is the largest number of nodes that one step of the group steps. The
	// next step continues there, and is due at once. Order and rounds do not change,
	// except that a group inside may see what an earlier step has set a round earlier.
	Budget int

	// SlowStep is the longest time that a step of a node may take, by the run's
	// clock, without a record of kind [SlowStep].
	SlowStep time.Duration

	// Context returns the context for the steps of a node, made from ctx with
	// context.WithValue: only its values count. It is called when the node starts.
	Context func(ctx context.Context, k K) context.Context

	// EndCalls is [RunnerOptions.EndCalls] for the calls inside the group.
	EndCalls bool

	// Abandon is [RunnerOptions.Abandon] for the calls inside the group. 0 inherits it.
	Abandon time.Duration

	// RecoverPanics makes a panic of a task the error of its node, a [*PanicError].
	RecoverPanics bool

	// Observer is told of everything that happens in the group and in groups inside
	// it.
	Observer Observer
}

// DependencyTaskGroup is a [Task] that runs one task for each node of a dependency
// graph. A node starts when everything that it requires is done. The first failure
// stops the group: no node starts any more, pending nodes are cancelled, and running
// ones get a notice and their grace, or are closed if they have none. With
// AggregateErrors a failure only skips the nodes that depend on it, directly or not.
//
// The result is the first failure, a [*TaskError], or with AggregateErrors an
// [*ExceptionGroup] of all failures in order of occurrence, even if there is only
// one. Failures of nodes in groups inside are joined to it, whatever ends the group
// inside.
//
// An error thrown into the group stops it in either mode and is the result, with the
// first failure joined. A [*Timeout] closes all tasks at once, unless the runner has
// a grace.
//
// A step of the group is a round. First each running node that is due gets one step;
// then each node that can start gets its first one. A node that ends frees its
// dependents in the same round. Both passes follow the key order: the topological
// order in the walked direction, with ties broken by the order of entry.
//
// A node that has to end, but has a call that has not returned, is [StateClosing]: it
// keeps its place in Limit and its claims, and everything else continues. A Timeout
// is a failure of the node at once; an error that the task returns later is joined to
// it.
//
// A group is run once. All methods but String are for the driving goroutine: between
// two steps, or in steps of its nodes. On another one they panic while Run sleeps. A
// panic of a task propagates after the other tasks have been closed.
type DependencyTaskGroup[K comparable] struct {
	engine engine
	plan   *plan[K]
	input  *inputOptions[K] // nil: it is not KeepOpen
}

// NewDependencyTaskGroup returns a group for the nodes of deps as they are now. task
// is called for a node when the node starts. The error is a
// [*CircularDependencyError] if deps has a cycle, and an [*OptionError] if deps or
// task is nil or an option is invalid. It takes time in proportion to the graph, and
// much less for a second group of the same graph and direction.
func NewDependencyTaskGroup[K comparable](
	deps *Dependencies[K], task func(K) Task, opts *GroupOptions[K],
) (*DependencyTaskGroup[K], error) {
	g := &DependencyTaskGroup[K]{}
	key := func(p int32) K { return g.plan.keys[p] }
	if opts != nil {
		byPosition(&g.engine.opts, opts, key)
	}
	if err := checkOptions(&g.engine.opts, deps == nil, task == nil); err != nil {
		return nil, err
	}
	var err error
	if g.plan, err = deps.plan(g.engine.opts.Reverse); err != nil {
		return nil, err
	}
	g.engine.task = func(p int32) Task { return task(key(p)) }
	g.engine.direct = func(ctx context.Context, w int) { startDirectly(ctx, &g.engine, w, g.plan.keys, task) }
	g.engine.key = func(p int32) any { return key(p) }
	if g.engine.opts.KeepOpen {
		g.input = &inputOptions[K]{opts.Completed, opts.Estimate}
	}
	g.engine.shell = g
	g.engine.init(g.plan.graph)
	return g, nil
}

// The methods of a Task look for nil by themselves, and not by must: they are just
// small enough to be inlined where a Task is called. If they were not, every type of
// key would bring the code of all methods of a group into a program.

// Step makes one round. The Yield reports when Step should next be called. A group
// that has ended returns [ErrEnded].
func (g *DependencyTaskGroup[K]) Step(ctx context.Context) (Yield, error) {
	if g == nil {
		panic("scheduler: DependencyTaskGroup.Step of nil")
	}
	return g.engine.Step(ctx)
}

// Throw handles an error thrown into the group. No node is stepped, and tasks see the
// error only as the cause of their notice.
func (g *DependencyTaskGroup[K]) Throw(ctx context.Context, err error) (Yield, error) {
	if g == nil {
		panic("scheduler: DependencyTaskGroup.Throw of nil")
	}
	return g.engine.Throw(ctx, err)
}

// Stop gives a notice to the running nodes, and to those that start later. After the
// failure of a node in a group around this one, nodes continue to start. After a stop
// of the run none does, and an unfinished group fails with the notice.
func (g *DependencyTaskGroup[K]) Stop(ctx context.Context, cause error) {
	if g == nil {
		panic("scheduler: DependencyTaskGroup.Stop of nil")
	}
	g.engine.Stop(ctx, cause)
}

// Drain starts no more nodes and lets the running ones, and groups inside, finish. If
// nodes are left, they stay pending unless something else stops the group, and
// [ErrDrained] is the group's result or joined to it; [DependencyTaskGroup.Snapshot] has
// what a later group needs to continue.
func (g *DependencyTaskGroup[K]) Drain() { g.in("scheduler: DependencyTaskGroup.Drain of nil").Drain() }

// Close closes the running members in key order and ends the group. Those whose end
// takes time, such as Blocking calls, are all asked first and waited for last. Close
// returns nil or an [*ExceptionGroup] of what nodes had failed with before, and calls
// when they were closed. A [*Timeout] after which a node was continuing is such a failure,
// and so is what a [Subrun] inside it had not returned yet. Other errors of the members'
// own Close are in Errors only.
func (g *DependencyTaskGroup[K]) Close() error {
	if g == nil {
		panic("scheduler: DependencyTaskGroup.Close of nil")
	}
	return g.engine.Close()
}

// BeginClose asks all running members to end: see [Closer].
func (g *DependencyTaskGroup[K]) BeginClose() *Event {
	if g == nil {
		panic("scheduler: DependencyTaskGroup.BeginClose of nil")
	}
	return g.engine.BeginClose()
}

// inside returns the engine of the group that a task is.
func (g *DependencyTaskGroup[K]) inside() *engine { return &g.engine }

// byPosition sets the options for nodes that are known by position.
func byPosition[K comparable](b *options, o *GroupOptions[K], key func(int32) K) {
	b.Name, b.Observer = o.Name, o.Observer
	b.Reverse, b.KeepOpen, b.AggregateErrors = o.Reverse, o.KeepOpen, o.AggregateErrors
	b.RecoverPanics, b.EndCalls = o.RecoverPanics, o.EndCalls
	b.Grace, b.SlowStep, b.Abandon = o.Grace, o.SlowStep, o.Abandon
	b.Limit, b.Budget = o.Limit, o.Budget
	b.GraceFor, b.Timeout, b.Estimate = durationOf(o.GraceFor, key), durationOf(o.Timeout, key), durationOf(o.Estimate, key)
	if f := o.Priority; f != nil {
		b.Priority = func(p int32) int { return f(key(p)) }
	}
	if f := o.Claims; f != nil {
		b.Claims = func(p int32) []Claim { return f(key(p)) }
	}
	if f := o.Completed; f != nil {
		b.Completed = func(p int32) bool { return f(key(p)) }
	}
	if f := o.OnError; f != nil {
		b.OnError = func(p int32, err error) Disposition { return f(key(p), err) }
	}
	if f := o.When; f != nil {
		b.When = func(p int32, required iter.Seq2[int32, State]) Verdict { return f(key(p), withKeysOf(required, key)) }
	}
	if f := o.Context; f != nil {
		b.Context = func(ctx context.Context, p int32) context.Context { return f(ctx, key(p)) }
	}
}

// durationOf returns f as a function of the node's position. Inlined it would be
// compiled for each option and type of key.
//
//go:noinline
func durationOf[K any](f func(K) time.Duration, key func(int32) K) func(int32) time.Duration {
	if f == nil {
		return nil
	}
	return func(p int32) time.Duration { return f(key(p)) }
}

// withKeysOf returns nodes and their states for nodes that are known by key.
func withKeysOf[K any](nodes iter.Seq2[int32, State], key func(int32) K) iter.Seq2[K, State] {
	return func(yield func(K, State) bool) {
		nodes(func(p int32, s State) bool { return yield(key(p), s) })
	}
}

// Disposition is what becomes of a group after a failure.
type Disposition uint8

const (
	// StopGroup stops the group, as a failure does without OnError. Any other value
	// counts as StopGroup.
	StopGroup Disposition = iota + 1
	// SkipDependents skips what depends on the node, directly or not.
	SkipDependents
	// IgnoreError lets what depends on the node start as if it were done. The error
	// is kept in Errors.
	IgnoreError
)
