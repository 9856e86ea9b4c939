package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/steptask/scheduler"
)

// Group is a [scheduler.DependencyTaskGroup] that a [Page] shows while it runs.
// It is used like one, and is for the driving goroutine like one: the page asks
// it why a node does not go on only between two of its steps, for at most as
// long as [scheduler.DependencyTaskGroup.ExplainNode] takes.
//
// Step, Throw, Stop, Drain and Close must be called on the Group, and not on the
// group inside of it.
type Group[K comparable] struct {
	*scheduler.DependencyTaskGroup[K]

	task    Wrapped[K] // what is around the group, if anything is
	run     *run       // nil: nobody shows it
	numbers map[K]int32
	keys    []K
	begun   bool
	seen    bool                 // the first change of a node
	skipped *scheduler.TaskError // what the last node was skipped for
	because *failure

	// Whoever calls the group has put a value into turn: the driving goroutine,
	// or a viewer who asks.
	turn   chan struct{}
	inside bool // the driving goroutine has; only it looks
	outer  context.Context
	ctx    context.Context // outer, with the run for groups inside
}

var (
	_ scheduler.Thrower = (*Group[int])(nil)
	_ scheduler.Stopper = (*Group[int])(nil)
)

// Wrapped is a task around a group, which it steps, throws into, stops, drains
// and closes: the group of [github.com/steptask/scheduler/otel], or one of your
// own.
type Wrapped[K comparable] interface {
	scheduler.Task
	scheduler.Thrower
	scheduler.Stopper
	Drain()
	// Unwrap returns the group inside.
	Unwrap() *scheduler.DependencyTaskGroup[K]
}

// NewGroup makes a group as [scheduler.NewDependencyTaskGroup] does, with the
// same arguments and errors, and shows it on the page from its first step on. A
// group inside of another one is shown below it if its steps get the context of
// those of the other. opts.Observer is told of everything as ever. A nil page
// shows nothing.
//
// It takes time and memory in proportion to the graph. What the page then costs
// the driving goroutine is about a microsecond for each change of a node's
// state, and the texts of errors.
func NewGroup[K comparable](
	p *Page, deps *scheduler.Dependencies[K], task func(K) scheduler.Task, opts *scheduler.GroupOptions[K],
) (*Group[K], error) {
	return NewGroupFunc(p, deps, opts, func(opts *scheduler.GroupOptions[K]) (core[K], error) {
		inner, err := scheduler.NewDependencyTaskGroup(deps, task, opts)
		return core[K]{inner}, err
	})
}

// core is a group with nothing around it.
type core[K comparable] struct {
	*scheduler.DependencyTaskGroup[K]
}

// Unwrap returns the group.
func (c core[K]) Unwrap() *scheduler.DependencyTaskGroup[K] { return c.DependencyTaskGroup }

// NewGroupFunc is [NewGroup] of a group that something else has to make, since it
// puts more around it. It calls newGroup once, which has to make the group of deps
// and of the options that it is given: opts, with the page as an Observer. Its
// error is that of NewGroupFunc.
func NewGroupFunc[K comparable, G Wrapped[K]](
	p *Page, deps *scheduler.Dependencies[K], opts *scheduler.GroupOptions[K],
	newGroup func(opts *scheduler.GroupOptions[K]) (G, error),
) (*Group[K], error) {
	var o scheduler.GroupOptions[K]
	if opts != nil {
		o = *opts
	}
	g := &Group[K]{turn: make(chan struct{}, 1)}
	if p != nil {
		o.Observer = scheduler.Observers((*observer[K])(g), o.Observer)
	}
	task, err := newGroup(&o)
	if err != nil {
		return nil, err
	}
	g.DependencyTaskGroup, g.task = task.Unwrap(), task
	if p != nil {
		g.show(p, deps, &o)
	}
	return g, nil
}

// show takes the graph for the page.
func (g *Group[K]) show(p *Page, deps *scheduler.Dependencies[K], opts *scheduler.GroupOptions[K]) {
	g.run = &run{page: p, name: g.String(), reverse: opts.Reverse, textLeft: textKept, explain: g.explain}
	g.run.graph, g.numbers = newGraph(g.DependencyTaskGroup, deps, opts)
	for k, state := range g.All() {
		g.keys = append(g.keys, k)
		g.run.counts[state]++
	}
}

// Step is that of the group.
func (g *Group[K]) Step(ctx context.Context) (scheduler.Yield, error) {
	return g.call(ctx, g.task.Step)
}

// Throw is that of the group.
func (g *Group[K]) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	return g.call(ctx, func(ctx context.Context) (scheduler.Yield, error) {
		return g.task.Throw(ctx, err)
	})
}

// Stop is that of the group.
func (g *Group[K]) Stop(ctx context.Context, cause error) {
	if !g.begun {
		g.task.Stop(ctx, cause)
		return
	}
	_, _ = g.call(ctx, func(ctx context.Context) (scheduler.Yield, error) {
		g.task.Stop(ctx, cause)
		return scheduler.Next, nil
	})
}

// Drain is that of the group.
func (g *Group[K]) Drain() {
	if g.run != nil {
		defer g.take()()
	}
	g.task.Drain()
}

// Close is that of the group.
func (g *Group[K]) Close() error {
	if !g.begun {
		return g.task.Close()
	}
	defer g.take()()
	defer g.run.page.end(g.run, 0, nil, scheduler.StateCancelled.String())
	return g.task.Close()
}

// call makes a call that runs members' code, and looks whether the group has
// ended in it. A panic ends it too.
func (g *Group[K]) call(
	ctx context.Context, step func(context.Context) (scheduler.Yield, error),
) (y scheduler.Yield, err error) {
	if g.run == nil {
		return step(ctx)
	}
	defer g.take()()
	if !g.begun {
		g.begun = true
		g.run.parent, _ = ctx.Value(runKey{}).(*run)
		g.run.page.begin(g.run, scheduler.Now(ctx))
	}
	y, err = scheduler.Yield{}, scheduler.ErrAborted
	defer func() { g.settle(ctx, y, err) }()
	y, err = step(g.inner(ctx))
	return y, err
}

// take takes the group. A call from inside of one, as that of Drain by a member,
// has it already.
func (g *Group[K]) take() (release func()) {
	if g.inside {
		return func() {}
	}
	g.turn <- struct{}{}
	g.inside = true
	return func() {
		g.inside = false
		<-g.turn
	}
}

type runKey struct{}

// inner returns the context for the group: the same one for the same ctx, for
// the group does not like to make a new one for each of its steps.
func (g *Group[K]) inner(ctx context.Context) context.Context {
	if g.ctx == nil || !same(ctx, g.outer) {
		g.outer, g.ctx = ctx, context.WithValue(ctx, runKey{}, g.run)
	}
	return g.ctx
}

// same compares contexts. Those of a type that == panics for are not the same.
func same(a, b context.Context) (equal bool) {
	defer func() { _ = recover() }()
	return a == b
}

// settle sees whether the group has ended.
func (g *Group[K]) settle(ctx context.Context, y scheduler.Yield, err error) {
	if y != scheduler.Done && err == nil {
		return
	}
	var f *failure
	if err != nil {
		f = newFailure(err, textMax)
	}
	g.correct()
	g.run.page.end(g.run, scheduler.Now(ctx).UnixNano(), f, g.status(err))
	g.outer, g.ctx = nil, nil
}

// correct writes down what the observer was not told, since a panic, perhaps its
// own, came in between.
func (g *Group[K]) correct() {
	states := g.run.states()
	for k, state := range g.All() {
		if was := states[g.numbers[k]].state; was != state {
			g.run.record(change{at: g.run.last, node: g.numbers[k], round: int32(g.Rounds()), state: state}, was)
		}
	}
}

// status says in a word how the group ended.
func (g *Group[K]) status(err error) string {
	var timeout *scheduler.Timeout
	switch {
	case err == nil:
		return scheduler.StateSucceeded.String()
	case g.Count(scheduler.StateFailed)+g.Count(scheduler.StateTimedOut) > 0:
		return scheduler.StateFailed.String()
	case errors.As(err, &timeout):
		return scheduler.StateTimedOut.String()
	case errors.Is(err, scheduler.ErrDrained):
		return "drained"
	case g.Count(scheduler.StateCancelled) > 0:
		return scheduler.StateCancelled.String()
	}
	return scheduler.StateFailed.String()
}

// observer is a Group as the Observer of the group inside.
type observer[K comparable] Group[K]

// ObserveGroup watches the group that it is made for, and not those inside it.
func (o *observer[K]) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if of, ok := scheduler.Group[K](begun.Group()); !ok || of != o.DependencyTaskGroup {
		return nil
	}
	return o
}

// Wants returns the kinds that the page shows.
func (o *observer[K]) Wants() scheduler.Kinds {
	return scheduler.KindsOf(scheduler.NodeChanged, scheduler.SlowStep)
}

// Observe writes down a change of a node, or a slow step.
func (o *observer[K]) Observe(t scheduler.Record) {
	g := (*Group[K])(o)
	if t.Kind == scheduler.SlowStep {
		g.run.recordSlow(slowStep{Path: cut(t.Path(), textMax), Task: cut(t.Task(), textMax), Took: ms(int64(t.Took()))})
		return
	}
	if t.From == scheduler.StatePending && t.To == scheduler.StateSucceeded {
		return // it did not run: it was completed beforehand
	}
	k, _ := t.Key().(K)
	c := change{at: t.Time().UnixNano(), node: g.numbers[k], round: int32(t.Round()), state: t.To}
	switch {
	case t.Err != nil:
		c.err = g.describe(t.Err)
	case t.To == scheduler.StateSkipped:
		c.err = g.reason(k)
	}
	if !g.seen {
		g.seen = true
		g.run.setPath(strings.TrimSuffix(strings.TrimSuffix(t.Path(), fmt.Sprint(k)), "/"))
	}
	g.run.record(c, t.From)
}

// describe describes an error, as long as there is room for its text.
func (g *Group[K]) describe(err error) *failure {
	f := newFailure(err, g.run.textLeft)
	g.run.textLeft -= f.size()
	return f
}

// reason returns why a node is skipped. It is one failure for all its victims.
func (g *Group[K]) reason(k K) *failure {
	err, ok := g.Err(k).(*scheduler.TaskError) //nolint:errorlint // What is compared is the very one.
	if !ok {
		return nil
	}
	if err != g.skipped {
		g.skipped, g.because = err, g.describe(err)
	}
	return g.because
}

// explanation is what a group says of a node.
type explanation struct {
	Text   string `json:"text"`
	Inside string `json:"inside,omitempty"` // what the group says that the node runs
}

const (
	patience  = 100 * time.Millisecond // for the end of a step
	insideMax = 16 << 10               // bytes
)

// explain asks the group, between two steps of it. If there is a step that does
// not end, or ctx does, it says false.
func (g *Group[K]) explain(ctx context.Context, node int32) (e explanation, ok bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-timer.C:
		return e, false
	case <-ctx.Done():
		return e, false
	}
	// A String or Error method may panic: that is to harm the page only.
	defer func() {
		if v := recover(); v != nil {
			e, ok = explanation{Text: fmt.Sprintf("a panic: %v", v)}, true
		}
	}()
	x := g.ExplainNode(g.keys[node])
	e.Text = cut(x.String(), textMax)
	if inside, ok := x.Inside.(io.WriterTo); ok {
		var b bytes.Buffer
		_, _ = inside.WriteTo(&b) // a Buffer takes everything
		e.Inside = cut(b.String(), insideMax)
	}
	return e, true
}
