package scheduler

import (
	"context"
	"iter"
	"time"
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

	// Grace is how long running tasks may continue after a failure, or an error
	// thrown into the group, has stopped it, and how long a task that continues
	// after its own Timeout has left. 0 takes over the Grace of the nearest
	// runner that has one ([RunnerOptions.Grace]); without any, and with
	// [NoGrace], tasks are closed at once.
	Grace time.Duration

	// GraceFor is the same for each node. It is asked when the group
	// stops, and again in each later step in which a node fails, for every
	// node that is running then, in key order. Zero or less means no grace.
	GraceFor func(k K) time.Duration

	// OnError decides, for each node that fails, what becomes of the group. It
	// is asked when the failure happens. The result is that of AggregateErrors:
	// an [*ExceptionGroup], without the failures that were ignored.
	OnError func(k K, err error) Disposition

	// When decides what becomes of a node. It is asked once all that the node
	// requires has ended, whichever way, or is ready: at that moment, in key
	// order, before Limit and Claims; of a node that requires nothing in the
	// first step. required has what it requires in the walked direction, with the
	// states, in key order. A node of which When is not asked, because the group
	// was stopped before, is cancelled. With When a node is skipped only when all
	// that it requires has ended, not with the first failure among it, and one
	// that Completed names counts as done whatever becomes of what it requires. A
	// panic goes up as one of the node.
	When func(k K, required iter.Seq2[K, State]) Verdict

	// Timeout is a time limit for each node, counted from its start; 0 is
	// none, and a negative one is over at once. A node that exceeds it fails
	// with the [*Timeout], unless its task answers that with an error of its
	// own, or by succeeding: then so does the node.
	Timeout func(k K) time.Duration

	// Limit is the largest number of members that have started and not ended.
	// The nodes of a group inside count for that group alone.
	Limit int

	// Claims returns what k holds of shared Limiters from its start to its
	// end. It is asked once, when all that k requires is done. A node whose
	// claims cannot be met waits in line, in the order that [Limiter] says;
	// nodes with other claims may start before it. Weights on the same Limiter
	// are added up. A claim that is invalid, or above every capacity that the
	// Limiter has had, fails the node with an [*OptionError]. If all that could
	// go on waits for claims that can never be met, the outermost group fails
	// with a [*DeadlockError].
	Claims func(k K) []Claim

	// Priority says which nodes start first where Limit or Claims keep nodes
	// waiting: those with the highest one, and with Estimate as well, of those
	// with the same priority the one with the longest remaining path. What a
	// node requires, directly or not, counts as at least as urgent as the node
	// itself. It is asked once for each node when the group is made. Claims keep
	// their own order between groups: see [Limiter].
	Priority func(k K) int

	// Estimate returns how long k will take. Where Limit or Claims keep nodes
	// waiting, the one with the longest remaining path, by the sum of
	// estimates along it, starts first. It is asked once for each node when
	// the group is made; what is negative counts as 0.
	Estimate func(k K) time.Duration

	// KeepOpen makes a group to which nodes can be added while it runs, by
	// [DependencyTaskGroup.Add]. When it has nothing left to do it waits for more,
	// until [DependencyTaskGroup.CloseInput] is called: its Yield is then that of a
	// task which waits for an event, with no time. Nobody notices if none can come
	// any more. Once the group was given notice, or is draining, it no longer
	// waits. If it ends under notice with its input open, the notice is its result
	// even if all its nodes have succeeded.
	KeepOpen bool

	// Completed says that a node counts as done and is never started, as when
	// a run is resumed, or rolled back. Nodes that require it still wait for
	// what it requires itself. It is asked once for each node, in key order,
	// when the group is made.
	Completed func(k K) bool

	// Budget is the largest number of members' steps in one step of the group,
	// which then goes on at that place, at once, with the next one. It changes
	// neither the order nor what counts as a round.
	Budget int

	// SlowStep is how long a step of a member may take, by the run's clock,
	// before the Observer is told of it by a record of kind [SlowStep]: it
	// holds everything else up.
	SlowStep time.Duration

	// Context returns the context for the steps of a node: a place for spans
	// and loggers. It is asked once, when k starts. Only its values count, its
	// end does not: it should be made from ctx with context.WithValue.
	Context func(ctx context.Context, k K) context.Context

	// EndCalls and Abandon say how calls inside ([Blocking] and its kin) end, as
	// [RunnerOptions.EndCalls] and [RunnerOptions.Abandon] do. Without them it is
	// as the runners around the group say.
	EndCalls bool
	Abandon  time.Duration

	// RecoverPanics turns a panic of a member into a [*PanicError] of its
	// node. By default it goes up through the group's step, after the other
	// members have been closed.
	RecoverPanics bool

	// Observer is told of every change of a node's state.
	Observer Observer
}

// DependencyTaskGroup is a [Task] that runs one task for each node of a dependency
// graph. A node starts when everything it requires is done. Running members are
// stepped in turn.
//
// One step of the group is a round: each running member that is due gets one
// step; then each node that is ready is started, which includes its first step.
// A member that completes in its first step frees the nodes that waited for it in
// the same round. Both passes go in key order: the topological order of the
// walked direction, ties by order of entry.
//
// The first failure stops the group: nothing new starts, pending nodes are
// cancelled, and running members have their grace and get notice if they are a
// [Stopper], or are closed. The group's error is the last error that was thrown
// into it, joined with the first failure, which is a [*TaskError]; without the one it
// is the other. Later failures are in Errors only, unless they are of nodes of a
// group inside, about which nobody else can ask. With AggregateErrors a
// failure only skips the nodes that depend on it, directly or not, and the result
// is an [*ExceptionGroup] of all failures in order of occurrence, even if there
// is only one. In either mode [DependencyTaskGroup.Errors] has everything.
//
// An error thrown into the group stops it as a failure does, in either mode. A
// [*Timeout] closes all members at once, unless whoever throws it gives a grace
// ([RunnerOptions.Grace]); it is the result, joined with what had failed before.
// What nodes of a group inside had failed with is never lost: it is joined to the
// result of the group around, whatever ended the group inside.
//
// A step never waits for a member to end. A member that has to end and takes time
// for it, because it has a call that has not returned, is [StateClosing]: it keeps
// its place in Limit and its claims, and everything else continues. That its time
// has passed is a failure at once; what the task returns later is joined to it.
//
// A group can be run once. Like any Task it is for one goroutine at a time, the
// one that drives it; between two steps, or inside those of its members, it can
// be asked for its nodes' states. A panic of a member goes up with its stack as
// it is, after the other members have been closed.
type DependencyTaskGroup[K comparable] struct {
	engine engine
	plan   *plan[K]
	input  *inputOptions[K] // nil: it is not KeepOpen
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
	switch {
	case deps == nil:
		return nil, &OptionError{Option: "deps", Reason: "nil Dependencies"}
	case task == nil:
		return nil, &OptionError{Option: "task", Reason: "nil function"}
	}
	if opts == nil {
		opts = &GroupOptions[K]{}
	}
	g := &DependencyTaskGroup[K]{}
	key := func(p int32) K { return g.plan.keys[p] }
	byPosition(&g.engine.opts, opts, key)
	if err := checkOptions(&g.engine.opts); err != nil {
		return nil, err
	}
	var err error
	if g.plan, err = deps.plan(opts.Reverse); err != nil {
		return nil, err
	}
	keys := g.plan.keys
	g.engine.task = func(p int32) Task { return task(keys[p]) }
	g.engine.direct = func(ctx context.Context, w int) { startDirectly(ctx, &g.engine, w, keys, task) }
	g.engine.key = func(p int32) any { return keys[p] }
	if opts.KeepOpen {
		g.input = &inputOptions[K]{opts.Completed, opts.Estimate}
		g.engine.task = func(p int32) Task { return task(g.plan.keys[p]) }
		g.engine.key = func(p int32) any { return g.plan.keys[p] }
	}
	g.engine.shell = g
	g.engine.init(g.plan.walkOrder)
	return g, nil
}

// Step makes one round: see [DependencyTaskGroup]. The Yield reports when Step
// should next be called: in the next round of the group's driver, if a member
// waits for that; at the earliest time that a member waits for or is limited to;
// and when the group's event is set, which happens when the event of a member is.
// A group that has ended returns [ErrEnded].
func (g *DependencyTaskGroup[K]) Step(ctx context.Context) (Yield, error) { return g.engine.Step(ctx) }

// Throw handles an error thrown into the group; see [DependencyTaskGroup]. No
// member is stepped, and none gets to see the error other than as the cause of
// a notice. It panics if ctx or err is nil.
func (g *DependencyTaskGroup[K]) Throw(ctx context.Context, err error) (Yield, error) {
	return g.engine.Throw(ctx, err)
}

// Stop hands the notice on to the running members, and to those that start later.
// If it comes from the failure of a node in a group around, the group continues to
// start nodes until its own end. If the whole run is stopped, by [TaskRunner.Stop]
// or the end of its context, nothing more starts, and a group that is left
// unfinished fails with the notice. It panics if ctx is nil.
func (g *DependencyTaskGroup[K]) Stop(ctx context.Context, cause error) { g.engine.Stop(ctx, cause) }

// Drain starts nothing more and lets what runs come to its end. If nodes are
// left then, they stay pending, and [ErrDrained] is the group's result, or joined
// to it: [DependencyTaskGroup.Snapshot] has what a later group needs to continue.
// Groups inside continue to their own end. Drain is for the driving goroutine,
// between two steps or inside those of its members, and may be called by an
// [Observer].
func (g *DependencyTaskGroup[K]) Drain() { g.engine.Drain() }

// Close closes the running members in key order and ends the group. Those whose
// end takes time, such as [Blocking] calls, are all asked first and waited for
// last. Close returns what nodes had failed with before, so that it is not lost
// with the group, and what calls inside ([Blocking] and its kin) failed with when
// they were closed: nil or an [*ExceptionGroup]. Errors of the members' own Close
// are kept in Errors only.
func (g *DependencyTaskGroup[K]) Close() error { return g.engine.Close() }

// BeginClose asks all running members to end, and runs no code of their Close.
// The event is set once Close will not wait.
func (g *DependencyTaskGroup[K]) BeginClose() *Event { return g.engine.BeginClose() }

// inside returns the engine of the group that a task is.
func (g *DependencyTaskGroup[K]) inside() *engine { return &g.engine }

// byPosition sets the options for nodes that are known by position.
func byPosition[K comparable](b *options, o *GroupOptions[K], key func(int32) K) {
	*b = options{
		Name: o.Name, Reverse: o.Reverse, AggregateErrors: o.AggregateErrors, Grace: o.Grace, Limit: o.Limit,
		Budget: o.Budget, SlowStep: o.SlowStep, RecoverPanics: o.RecoverPanics, EndCalls: o.EndCalls, Abandon: o.Abandon,
		Observer: o.Observer, KeepOpen: o.KeepOpen,
	}
	b.GraceFor, b.Timeout, b.Estimate = ofNode(o.GraceFor, key), ofNode(o.Timeout, key), ofNode(o.Estimate, key)
	b.Priority = ofNode(o.Priority, key)
	b.Claims, b.Completed = ofNode(o.Claims, key), ofNode(o.Completed, key)
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

// ofNode returns f as a function of the node's position. Inlined it would be
// compiled for each option and type of key.
//
//go:noinline
func ofNode[K, V any](f func(K) V, key func(int32) K) func(int32) V {
	if f == nil {
		return nil
	}
	return func(p int32) V { return f(key(p)) }
}

// withKeysOf returns nodes and their states for nodes that are known by key.
func withKeysOf[K any](nodes iter.Seq2[int32, State], key func(int32) K) iter.Seq2[K, State] {
	return func(yield func(K, State) bool) {
		for p, s := range nodes {
			if !yield(key(p), s) {
				return
			}
		}
	}
}

// Disposition is what becomes of a group after a failure.
type Disposition uint8

const (
	// StopGroup stops the group: nothing new starts, and what runs is closed,
	// or has its grace. It is what any other value counts as, too.
	StopGroup Disposition = iota + 1
	// SkipDependents skips what depends on the node, directly or not.
	SkipDependents
	// IgnoreError lets what depends on the node start as if it were done. The
	// error is kept in Errors.
	IgnoreError
)
