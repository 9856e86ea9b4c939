package otel

import (
	"context"
	"time"

	"github.com/steptask/scheduler"
	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scopeName is the name of the instrumentation.
const scopeName = "github.com/steptask/scheduler/otel"

// Options are the options of an [Observer]. A nil provider is the global one of
// package go.opentelemetry.io/otel.
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

// Observer makes traces and metrics of the groups that have it as their
// scheduler.GroupOptions.Observer, and of the groups inside them. Any number of
// groups may share one, on any number of goroutines. It is made by [New] and needs no
// closing, since a group's spans end with the group. A nil *Observer observes nothing.
type Observer struct {
	tracer      trace.Tracer
	instruments *instruments
}

// New returns an Observer. nil options are the defaults. The error is one of a
// MeterProvider that cannot create the instruments.
func New(o *Options) (*Observer, error) {
	if o == nil {
		o = &Options{}
	}
	instruments, err := newInstruments(o.meter())
	if err != nil {
		return nil, err
	}
	return &Observer{tracer: o.tracer(), instruments: instruments}, nil
}

// Observe does nothing: the group reports to the Observer that ObserveGroup returns.
func (o *Observer) Observe(scheduler.Record) {}

// ObserveGroup starts the span of a group that begins, and returns the Observer for
// the rest of it, or nil if there is no provider of traces and none of metrics wants
// a measurement. Groups call it.
func (o *Observer) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if o == nil {
		return nil
	}
	if o.instruments == nil {
		panic("otel: Observer.ObserveGroup: zero Observer; use New")
	}
	g := &group{observer: o}
	isTraced := g.startSpan(begun)
	if !isTraced && !o.instruments.areEnabled(g.ctx) {
		return nil
	}
	g.nodes = make([]node, begun.Group().Len())
	g.metrics = newMetrics(g.ctx, o.instruments, begun.Group())
	if isTraced {
		return &tracedGroup{g}
	}
	return g
}

// group is the Observer of one group. It makes the metrics, and the spans if
// there is a provider of traces.
type group struct {
	observer *Observer
	metrics  *metrics
	ctx      context.Context // of the first step, with the span
	span     trace.Span      // nil: there is no provider of traces
	nodes    []node          // by number
	notice   error           // nodes that start later are given it too
	stopped  bool
	at       time.Time // of the record that is observed
}

// tracedGroup is a group whose nodes have spans in their contexts.
type tracedGroup struct{ *group }

// NodeContext puts the node's span into the context of its steps.
func (g *tracedGroup) NodeContext(ctx context.Context, started scheduler.Record) context.Context {
	if r := g.nodes[started.Node()].live; r != nil {
		return trace.ContextWithSpan(ctx, r.span)
	}
	return ctx
}

// ObserveGroup observes a group inside this one.
func (g *group) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	return g.observer.ObserveGroup(begun)
}

// Wants asks for each step, and each round, only if their times are measured.
func (g *group) Wants() scheduler.Kinds {
	wanted := scheduler.AllKinds &^ scheduler.KindsOf(scheduler.SlowStep, scheduler.NodeStillClosing)
	if g.span == nil {
		wanted &^= scheduler.KindsOf(scheduler.NodeNoted, scheduler.NodeRetrying, scheduler.NodeAbandoned)
	}
	if g.observer.instruments.step.Enabled(g.ctx) {
		wanted |= scheduler.KindsOf(scheduler.NodeStepped)
	}
	if g.observer.instruments.lateness.Enabled(g.ctx) {
		wanted |= scheduler.KindsOf(scheduler.RoundBegun)
	}
	return wanted
}

// Observe makes spans, events and metrics of a record.
func (g *group) Observe(r scheduler.Record) {
	switch r.Kind {
	case scheduler.NodeStepped:
		g.metrics.stepTook(r.Took())
		return
	case scheduler.RoundBegun:
		g.metrics.late(r.Took())
		return
	default:
		g.at = r.Now()
	}
	switch r.Kind {
	case scheduler.NodeAdded:
		g.nodes = append(g.nodes, node{})
		g.metrics.add(r)
	case scheduler.NodeChanged:
		g.change(r)
	case scheduler.NodeNoted:
		g.nodeEvent(noteEvent, r, noteKey.String(r.Notes().Text))
	case scheduler.NodeRetrying:
		g.nodeEvent(retryEvent, r, attemptKey.Int(r.Notes().Attempt+1), causeKey.String(textOf(r.Err)))
	case scheduler.NodeAbandoned:
		g.nodeEvent(abandonEvent, r, causeKey.String(textOf(r.Err)))
	case scheduler.NodeStopping:
		g.noteStop(r)
	case scheduler.GroupNoticed:
		g.notice = r.Err
		g.noteGroupStop(r)
	case scheduler.GroupStopping:
		g.noteGroupStop(r)
		g.noteStops(r)
	case scheduler.GroupDraining:
		g.groupEvent(drainEvent)
	case scheduler.GroupClosing:
		g.groupEvent(closeEvent)
	case scheduler.GroupEnded:
		g.end(r)
	default:
	}
}

// change follows a change of a node's state.
func (g *group) change(r scheduler.Record) {
	if r.From == scheduler.StatePending && r.To == scheduler.StateSucceeded {
		return // it did not run: it was completed beforehand
	}
	n := &g.nodes[r.Node()]
	switch {
	case r.To == scheduler.StateRunning:
		g.start(n, r)
	case r.To == scheduler.StateReady:
		g.ready(n, r)
	case r.To == scheduler.StateClosing:
		g.close(n, r)
	case n.live == nil && isFailure(r.To): // it failed before it was started
		g.start(n, r)
		fallthrough
	default:
		g.finish(n, r)
	}
	g.metrics.change(n, r, g.at)
	if r.To.Ended() {
		n.live = nil
	}
}

// end ends the span, and those of nodes of which the group has told no end.
func (g *group) end(r scheduler.Record) {
	for i := range g.nodes {
		if n := &g.nodes[i]; n.live != nil {
			g.endSpan(n.live.span, r.Err)
			n.live = nil
		}
	}
	err := r.Err
	if err == scheduler.ErrDrained || err == scheduler.ErrCancelled { //nolint:errorlint // Those very ones: what wraps one is a node's failure.
		err = nil // it was asked to
	}
	g.endSpan(g.span, err)
	g.metrics.end()
}
