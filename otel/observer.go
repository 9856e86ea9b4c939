package otel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Attributes and events: the package comment says what they mean.
const (
	groupName  = attribute.Key("scheduler.group.name")
	groupNodes = attribute.Key("scheduler.group.nodes")
	nodeKey    = attribute.Key("scheduler.node.key")
	nodePath   = attribute.Key("scheduler.node.path")
	nodeState  = attribute.Key("scheduler.node.state")
	taskName   = attribute.Key("scheduler.task")
	causeKey   = attribute.Key("scheduler.cause")
	graceKey   = attribute.Key("scheduler.grace")
	attemptKey = attribute.Key("scheduler.attempt")

	stopEvent  = "scheduler.stop"
	graceEvent = "scheduler.grace"
	retryEvent = "scheduler.retry"
	drainEvent = "scheduler.drain"
	closeEvent = "scheduler.close"
)

// node is what is kept of a node while it runs.
type node struct {
	span    trace.Span
	began   time.Time
	until   time.Time // the end of its grace; zero: it has none
	stopped bool      // it has the event
	closing bool
}

// observer is what a Group puts into its options.
type observer[K comparable] struct{ g *Group[K] }

// ObserveGroup watches the group that it is made for, and not those inside it.
func (o observer[K]) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if of, ok := scheduler.Group[K](begun.Group()); !ok || of != o.g.DependencyTaskGroup {
		return nil
	}
	return o
}

// Wants asks for the time of each step if anybody measures it.
func (o observer[K]) Wants() scheduler.Kinds {
	wanted := scheduler.KindsOf(scheduler.NodeChanged)
	if o.g.metrics.wantsSteps() {
		wanted |= scheduler.KindsOf(scheduler.NodeStepped)
	}
	return wanted
}

// Observe makes spans and metrics of a change of a node, and measures steps.
func (o observer[K]) Observe(t scheduler.Record) {
	g := o.g
	if t.Kind == scheduler.NodeStepped {
		g.metrics.stepTook(g.inner, t.Took())
		return
	}
	if t.From == scheduler.StatePending && t.To == scheduler.StateSucceeded {
		return // it did not run: it was completed beforehand
	}
	k, _ := t.Key().(K) // a nil key of an interface type is its zero value
	g.metrics.transition(g.inner, t)
	switch t.To {
	case scheduler.StateRunning:
		g.start(k, t)
	case scheduler.StateClosing:
		g.close(k, t)
	default:
		g.finish(k, t)
	}
}

// context puts the node's span into the context of its steps.
func (o observer[K]) context(ctx context.Context, k K) context.Context {
	ctx = trace.ContextWithSpan(ctx, o.g.running[k].span)
	if o.g.opts.Context != nil {
		return o.g.opts.Context(ctx, k)
	}
	return ctx
}

func (o observer[K]) onError(k K, err error) scheduler.Disposition {
	d := o.g.opts.OnError(k, err)
	if d != scheduler.SkipDependents && d != scheduler.IgnoreError {
		o.g.noteStop(err, o.g.opts.Grace)
	}
	return d
}

func (o observer[K]) graceFor(k K) time.Duration {
	wait := o.g.opts.GraceFor(k)
	if n := o.g.running[k]; n != nil {
		o.g.noteGrace(n, wait)
	}
	return wait
}

// start starts a node's span, below that of the group.
func (g *Group[K]) start(k K, t scheduler.Record) *node {
	name := fmt.Sprint(k)
	n := &node{began: g.now()}
	_, n.span = g.tracer.Start(g.inner, name,
		trace.WithTimestamp(n.began),
		trace.WithLinks(g.links(k)...),
		trace.WithAttributes(groupName.String(g.String()), nodeKey.String(name), nodePath.String(t.Path())),
	)
	g.running[k], g.spans[k] = n, n.span.SpanContext()
	if g.notice != nil {
		g.noteStopOf(n, g.notice, 0)
	}
	return n
}

// links are those to the nodes that k requires, in key order. One that counted
// as done beforehand has no span.
func (g *Group[K]) links(k K) []trace.Link {
	required := g.deps.Requires
	if g.opts.Reverse {
		required = g.deps.RequiredBy
	}
	var links []trace.Link
	for q := range required(k) {
		if span, ok := g.spans[q]; ok && span.IsValid() {
			links = append(links, trace.Link{
				SpanContext: span, Attributes: []attribute.KeyValue{nodeKey.String(fmt.Sprint(q))},
			})
		}
	}
	return links
}

// finish ends a node's span. A node that failed before it was started gets one.
func (g *Group[K]) finish(k K, t scheduler.Record) {
	failed := isFailure(t.To)
	n := g.running[k]
	if n == nil && failed {
		n = g.start(k, t)
	}
	if n == nil {
		return
	}
	delete(g.running, k)
	if t.From != scheduler.StatePending {
		g.metrics.took(g.inner, t, g.now().Sub(n.began))
	}
	n.span.SetAttributes(nodeState.String(t.To.String()), taskName.String(t.Task()))
	switch {
	case failed:
		g.endSpan(n.span, t.Err)
	case t.Err != nil:
		n.span.RecordError(t.Err, trace.WithTimestamp(g.now()))
		fallthrough
	default:
		g.endSpan(n.span, nil)
	}
	if failed {
		g.noteFailure(t.Err)
	}
}

// close notes that a node is closing. If it is for an error, it has failed.
func (g *Group[K]) close(k K, t scheduler.Record) {
	if n := g.running[k]; n != nil {
		n.closing = true
	}
	if t.Err != nil {
		g.noteFailure(t.Err)
	}
}

// noteFailure notes that the group is stopped, if a failure does that.
func (g *Group[K]) noteFailure(err error) {
	if !g.opts.AggregateErrors && g.opts.OnError == nil {
		g.noteStop(err, g.opts.Grace)
	}
}

// noteStop notes that running nodes are asked to end, or are going to be closed.
// As in the group itself, a fixed grace counts once.
func (g *Group[K]) noteStop(cause error, wait time.Duration) {
	if g.stopped && (wait <= 0 || g.graced) {
		return
	}
	if !g.stopped {
		g.event(g.span, stopEvent, causeKey.String(cause.Error()))
	}
	g.stopped, g.graced = true, wait > 0
	for _, n := range g.running { // in any order: each has a span of its own
		g.noteStopOf(n, cause, wait)
	}
}

func (g *Group[K]) noteStopOf(n *node, cause error, wait time.Duration) {
	if !n.stopped {
		n.stopped = true
		g.event(n.span, stopEvent, causeKey.String(cause.Error()))
	}
	g.noteGrace(n, wait)
}

// noteGrace notes that a node may go on for a while, if that ends earlier than
// what it may already.
func (g *Group[K]) noteGrace(n *node, wait time.Duration) {
	until := g.now().Add(wait)
	if wait <= 0 || !n.until.IsZero() && !until.Before(n.until) {
		return
	}
	n.until = until
	g.event(n.span, graceEvent, graceKey.Float64(wait.Seconds()))
}

// endSpan ends a span, with the status that err makes.
func (g *Group[K]) endSpan(span trace.Span, err error) {
	if err != nil {
		span.RecordError(err, trace.WithTimestamp(g.now()))
		span.SetAttributes(errorType(err))
		span.SetStatus(codes.Error, err.Error())
	}
	span.End(trace.WithTimestamp(g.now()))
}

func isFailure(s scheduler.State) bool {
	return s == scheduler.StateFailed || s == scheduler.StateTimedOut
}

// errorType is that of what went wrong in a node, not of how the group reports
// it.
func errorType(err error) attribute.KeyValue {
	if e := (*scheduler.TaskError)(nil); errors.As(err, &e) {
		return errorType(e.Err)
	}
	return semconv.ErrorType(err)
}
