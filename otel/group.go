package otel

import (
	"cmp"
	"context"
	"time"

	"github.com/steptask/scheduler"
	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scopeName is the name of the instrumentation.
const scopeName = "github.com/steptask/scheduler/otel"

// Options say where traces and metrics go. The zero value of each field stands
// for the global provider of package go.opentelemetry.io/otel.
type Options struct {
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
}

func (o *Options) tracer() trace.Tracer {
	provider := o.TracerProvider
	if provider == nil {
		provider = api.GetTracerProvider()
	}
	return provider.Tracer(scopeName, trace.WithSchemaURL(semconv.SchemaURL))
}

func (o *Options) meter() metric.Meter {
	provider := o.MeterProvider
	if provider == nil {
		provider = api.GetMeterProvider()
	}
	return provider.Meter(scopeName, metric.WithSchemaURL(semconv.SchemaURL))
}

// Group is a scheduler.DependencyTaskGroup that is traced and measured. It is
// made by [NewGroup], and run, asked and shared as that one is.
type Group[K comparable] struct {
	*scheduler.DependencyTaskGroup[K]

	opts    scheduler.GroupOptions[K] // as they were given
	deps    *scheduler.Dependencies[K]
	tracer  trace.Tracer
	metrics *metrics

	span    trace.Span              // nil before the first step
	first   context.Context         // what the first call was given: it has the clock
	outer   context.Context         // what the last one was given
	inner   context.Context         // the same with the span
	running map[K]*node             // by key
	spans   map[K]trace.SpanContext // of all nodes that have one
	due     time.Time               // when the next step is; zero: at no known time
	notice  error                   // of Stop: what starts later gets it too
	stopped bool                    // its running nodes were told
	graced  bool                    // and what grace they have
	ended   bool
}

// NewGroup makes a group as scheduler.NewDependencyTaskGroup does, with its
// errors and for the same arguments, that makes traces and metrics. Context,
// Observer, OnError and the other functions of opts work as ever: Context is
// asked with the node's span in ctx, and the Observer is told after the span has
// been started or ended. nil opts and o are the defaults.
func NewGroup[K comparable](
	deps *scheduler.Dependencies[K], task func(K) scheduler.Task, opts *scheduler.GroupOptions[K], o *Options,
) (*Group[K], error) {
	if opts == nil {
		opts = &scheduler.GroupOptions[K]{}
	}
	if o == nil {
		o = &Options{}
	}
	metrics, err := newMetrics(o.meter(), cmp.Or(opts.Name, "DependencyTaskGroup"))
	if err != nil {
		return nil, err
	}
	g := &Group[K]{
		opts: *opts, tracer: o.tracer(), metrics: metrics,
		running: map[K]*node{}, spans: map[K]trace.SpanContext{},
	}
	if g.DependencyTaskGroup, err = scheduler.NewDependencyTaskGroup(deps, task, g.instrumented()); err != nil {
		return nil, err
	}
	// The group keeps its own view of the graph, and so do we.
	g.deps = scheduler.Translate(deps, func(k K) K { return k })
	return g, nil
}

// instrumented returns the options with which the group is really made.
func (g *Group[K]) instrumented() *scheduler.GroupOptions[K] {
	opts := g.opts
	o := observer[K]{g}
	opts.Observer = scheduler.Observers(o, opts.Observer)
	opts.Context = o.context
	if opts.OnError != nil {
		opts.OnError = o.onError
	}
	if opts.GraceFor != nil {
		opts.GraceFor = o.graceFor
	}
	return &opts
}

// Step is one round; see scheduler.DependencyTaskGroup.Step. The first one
// starts the group's span.
func (g *Group[K]) Step(ctx context.Context) (scheduler.Yield, error) {
	if g.ended {
		return g.DependencyTaskGroup.Step(ctx)
	}
	ctx = g.enter(ctx)
	if now := g.now(); !g.due.IsZero() && !now.Before(g.due) {
		g.metrics.late(ctx, now.Sub(g.due))
	}
	return g.call(func() (scheduler.Yield, error) { return g.DependencyTaskGroup.Step(ctx) })
}

// Throw handles an error thrown into the group; see
// scheduler.DependencyTaskGroup.Throw.
func (g *Group[K]) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	if !g.isRunning() {
		g.ended = true
		return g.DependencyTaskGroup.Throw(ctx, err)
	}
	ctx = g.enter(ctx)
	wait := g.opts.Grace
	if _, ok := err.(*scheduler.Timeout); ok { //nolint:errorlint // As the group does: what wraps one is an ordinary error.
		wait = 0 // it brings its own
	}
	g.noteStop(err, wait)
	return g.call(func() (scheduler.Yield, error) { return g.DependencyTaskGroup.Throw(ctx, err) })
}

// Stop hands the notice on to the running nodes; see
// scheduler.DependencyTaskGroup.Stop.
func (g *Group[K]) Stop(ctx context.Context, cause error) {
	if !g.isRunning() {
		g.DependencyTaskGroup.Stop(ctx, cause)
		return
	}
	ctx = g.enter(ctx)
	g.notice = cause
	g.noteStop(cause, 0)
	_, _ = g.call(func() (scheduler.Yield, error) {
		g.DependencyTaskGroup.Stop(ctx, cause)
		return scheduler.Next, nil
	})
}

// Drain starts nothing more; see scheduler.DependencyTaskGroup.Drain.
func (g *Group[K]) Drain() {
	if g.isRunning() {
		g.event(g.span, drainEvent)
	}
	g.DependencyTaskGroup.Drain()
}

// Close closes the running nodes and ends the group; see
// scheduler.DependencyTaskGroup.Close.
func (g *Group[K]) Close() error {
	if !g.isRunning() {
		g.ended = true
		return g.DependencyTaskGroup.Close()
	}
	g.event(g.span, closeEvent)
	defer g.end(nil)
	return g.DependencyTaskGroup.Close()
}

// Unwrap returns the group inside, which must not be stepped, thrown into,
// stopped, drained or closed itself. By it inspect.NewGroupFunc can show the
// group.
func (g *Group[K]) Unwrap() *scheduler.DependencyTaskGroup[K] { return g.DependencyTaskGroup }

func (g *Group[K]) isRunning() bool { return g.span != nil && !g.ended }

// enter begins a call with a context: it puts the span into it, which the first
// call starts.
func (g *Group[K]) enter(ctx context.Context) context.Context {
	if g.span == nil {
		g.first, g.outer = ctx, ctx
		g.inner, g.span = g.tracer.Start(ctx, g.String(), trace.WithTimestamp(g.now()),
			trace.WithAttributes(groupName.String(g.String()), groupNodes.Int(g.Len())))
		g.metrics.count(ctx, scheduler.StatePending, g.Count(scheduler.StatePending))
	}
	if !same(ctx, g.outer) { // so that a loop which passes the same one has no new one in each round
		g.outer, g.inner = ctx, trace.ContextWithSpan(ctx, g.span)
	}
	return g.inner
}

// same compares contexts. Of those of a type that == panics for no two are the
// same.
func same(a, b context.Context) (equal bool) {
	defer func() { _ = recover() }()
	return a == b
}

// call makes a call that may end the group, also by a panic.
func (g *Group[K]) call(step func() (scheduler.Yield, error)) (scheduler.Yield, error) {
	returned := false
	defer func() {
		if !returned {
			g.end(scheduler.ErrAborted)
		}
	}()
	y, err := step()
	returned = true
	if err != nil || y == scheduler.Done {
		g.end(err)
		return y, err
	}
	g.due = time.Time{}
	if at, ok := y.Time(); ok {
		g.due = at
		if now := g.now(); at.Before(now) {
			g.due = now
		}
	}
	return y, nil
}

// end ends the span, and those of nodes that a panic has left behind.
func (g *Group[K]) end(err error) {
	g.ended = true
	for k, n := range g.running { // in any order: they end at the same time
		g.endSpan(n.span, err)
		delete(g.running, k)
		state := scheduler.StateRunning
		if n.closing {
			state = scheduler.StateClosing
		}
		g.metrics.count(g.inner, state, -1)
	}
	g.metrics.count(g.inner, scheduler.StatePending, -g.Count(scheduler.StatePending))
	if err == scheduler.ErrDrained { //nolint:errorlint // And nothing beside it.
		err = nil // it was asked to
	}
	g.endSpan(g.span, err)
	g.running, g.spans, g.deps = nil, nil, nil
}

// now returns the time of the run's clock.
func (g *Group[K]) now() time.Time { return scheduler.Now(g.first) }

func (g *Group[K]) event(span trace.Span, name string, attributes ...attribute.KeyValue) {
	span.AddEvent(name, trace.WithTimestamp(g.now()), trace.WithAttributes(attributes...))
}
