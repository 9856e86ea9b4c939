package scheduler

import (
	"context"
	"time"
)

// Walk calls fn for each node of deps, once fn has returned nil for all nodes that it
// requires, and concurrently where the graph allows it. It returns when all calls
// have returned, however long they take, except for those that Abandon has left
// behind.
//
// The first error of fn is the result, as a [*TaskError], unless AggregateErrors or
// OnError say otherwise. No further calls are made then, and the contexts of the
// others end, with a [*StopError] around the *TaskError as their cause; what they fail
// with for reasons of their own, however late, is joined to the result. The end of ctx
// stops the walk in the same way; the result is its cause, joined with the errors of
// the calls that it ended. A call that returns nil has succeeded even if it comes
// late, unless its own Timeout has passed. The error of a walk that ends late is a
// [*LateError].
//
// Calls run on several goroutines, so fn must lock what they share. All of
// [GroupOptions] applies except KeepOpen; its functions run one at a time, on
// goroutines of the walk. Grace and GraceFor only say how long after a failure a call
// that returns nil has still succeeded: they delay neither the end of contexts nor
// that of the walk. A panic of fn propagates after all other calls have returned.
//
// Before any call, Walk returns a [*CircularDependencyError] if deps has a cycle, an
// [*OptionError] if ctx or fn is nil or an option is invalid, and a [*NestedRunError]
// inside a step of a run.
func Walk[K comparable](
	ctx context.Context, deps *Dependencies[K], fn func(ctx context.Context, k K) error, opts *GroupOptions[K],
) error {
	if fn == nil {
		return &OptionError{Option: "fn", Reason: "nil function"}
	}
	if err := checkContext(ctx); err != nil {
		return err
	}
	var o GroupOptions[K]
	if opts != nil {
		o = *opts
	}
	if o.KeepOpen {
		return &OptionError{Option: "GroupOptions.KeepOpen", Reason: "not for Walk, whose functions cannot add nodes; use a DependencyTaskGroup"}
	}
	calls := &walkCalls[K]{fn: fn}
	if deps == nil || !isPlain(&o) || !canBeFast(ctx) {
		return calls.walk(ctx, deps, &o, nil)
	}
	plan, err := deps.plan(o.Reverse)
	if err != nil {
		return err
	}
	f := calls.fast(plan, o.Limit)
	if f.run(ctx) {
		return nil
	}
	return calls.walk(ctx, plan.dependencies(directionOf(o.Reverse)), &o, f) // fn may have added to deps
}

// isPlain reports whether a walk with the options can be a fastWalk: they are valid, and
// nobody asks, tells or measures anything when nodes start and succeed.
func isPlain[K comparable](o *GroupOptions[K]) bool {
	return o.Timeout == nil && o.When == nil && o.Claims == nil && o.Context == nil && o.Completed == nil &&
		o.Priority == nil && o.Estimate == nil && o.Observer == nil && o.GraceFor == nil &&
		o.Grace == 0 && o.SlowStep == 0 && o.Abandon == 0 && o.Budget == 0 &&
		o.Limit >= 0 && (o.OnError == nil || !o.AggregateErrors)
}

// walk makes the calls as a group. It goes on with a fastWalk that is over, unless that is
// nil.
func (w *walkCalls[K]) walk(ctx context.Context, deps *Dependencies[K], o *GroupOptions[K], f *fastWalk) error {
	setGraces(o)
	task := w.next
	var begun func()
	if f != nil {
		task = func(k K) Task {
			if c := f.nextTaken(); c != nil {
				return c
			}
			return w.next(k)
		}
	}
	g, err := NewDependencyTaskGroup(deps, task, o)
	if err != nil {
		return err
	}
	g.engine.tellsAll = true
	if f == nil {
		w.left = g.Len()
	} else {
		f.handOver(&g.engine)
		begun = func() { f.handOverRest(&g.engine) }
	}
	err = walkGroup(ctx, g, &RunnerOptions{Name: o.Name, Grace: NoLimit, EndCalls: true}, begun)
	if contains(err, context.Cause(ctx)) { // which is nil before the end of ctx
		err = withHit(err, g)
	}
	return err
}

// setGraces sets the graces of calls, which are waited for in any case. Without one they
// would be closed at once, where a failure does not count.
func setGraces[K comparable](o *GroupOptions[K]) {
	switch graceFor := o.GraceFor; {
	case graceFor != nil:
		o.GraceFor = func(k K) time.Duration { return max(graceFor(k), 1) }
	case o.Grace == 0:
		o.Grace = NoLimit
	case o.Grace == NoGrace:
		o.Grace = 1
	}
}

// walkGroup runs a group of calls. begun is nil, or called after the first round of a walk
// that goes on.
func walkGroup(ctx context.Context, g Task, opts *RunnerOptions, begun func()) error {
	if !usesSystemClock(ctx) {
		return Run(ctx, g, opts) // other clocks wait in their own way
	}
	return NewTaskRunner(g, opts).walk(ctx, begun)
}

// withHit returns the result of a walk whose context has ended, joined with the
// errors of the calls that ended with it, in key order.
func withHit[K comparable](result error, g *DependencyTaskGroup[K]) error {
	if late, ok := result.(*LateError); ok { //nolint:errorlint // As walk has made it.
		late.Err = withHit(late.Err, g)
		return late
	}
	parts := []error{result}
	for k, state := range g.All() {
		if err := g.Err(k); state == StateCancelled && err != nil {
			parts = append(parts, err)
		}
	}
	return joinedOf(parts)
}

// walkCalls makes the calls of a Walk, some at a time: with an allocation for each,
// memory is most of what a call costs that does nothing.
type walkCalls[K comparable] struct {
	fn    func(ctx context.Context, k K) error
	left  int           // nodes that no block is for
	block []walkCall[K] // not used yet
}

// blockOfCalls is how many calls are made at a time: not so many that it matters how
// long the last of them keeps the others.
const blockOfCalls = 64

// fast returns a fastWalk that makes the calls.
func (w *walkCalls[K]) fast(plan *plan[K], limit int) *fastWalk {
	w.left = len(plan.keys)
	return newFastWalk(plan.graph, limit, func(p int32) Task { return w.next(plan.keys[p]) })
}

func (w *walkCalls[K]) next(k K) Task {
	if len(w.block) == 0 {
		n := min(max(w.left, 1), blockOfCalls)
		w.left -= n
		w.block = make([]walkCall[K], n)
	}
	c := &w.block[0]
	w.block = w.block[1:]
	c.fn, c.key, c.body = w.fn, k, c
	return &c.call
}

// walkCall is the function of a Walk for one node.
type walkCall[K comparable] struct {
	call
	fn  func(ctx context.Context, k K) error
	key K
}

func (w *walkCall[K]) run(ctx context.Context) error { return w.fn(ctx, w.key) }
func (w *walkCall[K]) then(err error) error          { return err }
func (w *walkCall[K]) lose(err error) error          { return err }
func (w *walkCall[K]) String() string                { return funcName(w.fn) }
