package otel

import (
	"errors"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Names, attributes and events: the package comment says what they mean.
const (
	groupSpan = "scheduler.group"
	nodeSpan  = "scheduler.node"

	groupName  = attribute.Key("scheduler.group.name")
	groupPath  = attribute.Key("scheduler.group.path")
	groupNodes = attribute.Key("scheduler.group.nodes")
	nodeKey    = attribute.Key("scheduler.node.key")
	nodePath   = attribute.Key("scheduler.node.path")
	nodeState  = attribute.Key("scheduler.node.state")
	taskName   = attribute.Key("scheduler.task")
	causeKey   = attribute.Key("scheduler.cause")
	graceKey   = attribute.Key("scheduler.grace")
	attemptKey = attribute.Key("scheduler.attempt")
	noteKey    = attribute.Key("scheduler.note")

	stopEvent  = "scheduler.stop"
	graceEvent = "scheduler.grace"
	retryEvent = "scheduler.retry"
	drainEvent = "scheduler.drain"
	closeEvent = "scheduler.close"
	readyEvent = "scheduler.ready"
	noteEvent  = "scheduler.note"

	abandonEvent = "scheduler.abandon"
)

// node is what is kept of a node: more while it has a task, and little after
// that, since others link to it.
type node struct {
	live *live
	was  trace.SpanContext
}

// live is what is kept of a node that runs or is closing.
type live struct {
	span    trace.Span // nil: there is no provider of traces
	began   time.Time
	until   time.Time // the end of its grace; zero: it has none
	stopped bool      // it has the event
}

// startSpan starts the group's span. It reports whether there is a provider of
// traces: without one, what is called a span is the one around it again.
func (g *group) startSpan(r scheduler.Record) bool {
	around := r.Context()
	attributes := []attribute.KeyValue{
		groupName.String(r.Group().Name()), groupNodes.Int(r.Group().Len()),
	}
	if path := r.Path(); path != "" {
		attributes = append(attributes, groupPath.String(path))
	}
	ctx, span := g.observer.tracer.Start(around, groupSpan,
		trace.WithTimestamp(r.Now()), trace.WithAttributes(attributes...))
	if !span.IsRecording() && span.SpanContext().Equal(trace.SpanContextFromContext(around)) {
		g.ctx = around
		return false
	}
	g.ctx, g.span = ctx, span
	return true
}

// start starts a node's span, below that of the group.
func (g *group) start(n *node, r scheduler.Record) {
	n.live = &live{began: g.at}
	if g.span == nil {
		return
	}
	_, n.live.span = g.observer.tracer.Start(g.ctx, nodeSpan,
		trace.WithTimestamp(n.live.began),
		trace.WithLinks(g.links(r)...),
		trace.WithAttributes(
			groupName.String(r.Group().Name()), nodeKey.String(fmt.Sprint(r.Key())), nodePath.String(r.Path())),
	)
	n.was = n.live.span.SpanContext()
	if g.notice != nil && r.To == scheduler.StateRunning {
		n.live.stop(g.at, g.notice)
	}
}

// links are those to the nodes that a node requires, in key order. One that was
// completed beforehand has no span.
func (g *group) links(r scheduler.Record) []trace.Link {
	var links []trace.Link
	for q := range r.Group().Requires(r.Node()) {
		if was := g.nodes[q].was; was.IsValid() {
			links = append(links, trace.Link{
				SpanContext: was, Attributes: []attribute.KeyValue{nodeKey.String(fmt.Sprint(r.Group().Key(q)))},
			})
		}
	}
	return links
}

// ready notes that a node is ready: its span continues.
func (g *group) ready(n *node, r scheduler.Record) {
	if g.span != nil && n.live != nil {
		event(n.live.span, readyEvent, g.at)
	}
}

// close notes that a node ends as soon as its task has.
func (g *group) close(n *node, r scheduler.Record) {
	if g.span == nil || n.live == nil {
		return
	}
	var attributes []attribute.KeyValue
	if r.Err != nil {
		attributes = append(attributes, causeKey.String(textOf(r.Err)))
	}
	event(n.live.span, closeEvent, g.at, attributes...)
}

// finish ends a node's span.
func (g *group) finish(n *node, r scheduler.Record) {
	if g.span == nil || n.live == nil {
		return
	}
	span, err := n.live.span, r.Err
	span.SetAttributes(nodeState.String(r.To.String()), taskName.String(r.Task()))
	if err != nil && !isFailure(r.To) {
		span.RecordError(readable(err), trace.WithTimestamp(g.at))
		err = nil
	}
	g.endSpan(span, err)
}

// noteGroupStop notes, once, why the group is asked to end.
func (g *group) noteGroupStop(r scheduler.Record) {
	if !g.stopped {
		g.stopped = true
		g.groupEvent(stopEvent, causeKey.String(textOf(r.Err)))
	}
}

// noteStops notes for all running nodes that they are asked to end or closed.
func (g *group) noteStops(r scheduler.Record) {
	if g.span == nil {
		return
	}
	for i := range g.nodes {
		if n := g.nodes[i].live; n != nil {
			n.stop(g.at, r.Err)
		}
	}
}

// noteStop notes that a node is asked to end, and how long it may go on if that
// is less than it may already.
func (g *group) noteStop(r scheduler.Record) {
	n := g.nodes[r.Node()].live
	if g.span == nil || n == nil {
		return
	}
	n.stop(g.at, r.Err)
	grace := r.Took()
	until := g.at.Add(grace)
	if grace > 0 && (n.until.IsZero() || until.Before(n.until)) {
		n.until = until
		event(n.span, graceEvent, g.at, graceKey.Float64(grace.Seconds()))
	}
}

// stop notes, once, why a node is asked to end.
func (n *live) stop(at time.Time, cause error) {
	if !n.stopped {
		n.stopped = true
		event(n.span, stopEvent, at, causeKey.String(textOf(cause)))
	}
}

func (g *group) groupEvent(name string, attributes ...attribute.KeyValue) {
	if g.span != nil {
		event(g.span, name, g.at, attributes...)
	}
}

// nodeEvent is one of a node that runs.
func (g *group) nodeEvent(name string, r scheduler.Record, attributes ...attribute.KeyValue) {
	if n := g.nodes[r.Node()].live; g.span != nil && n != nil {
		event(n.span, name, g.at, attributes...)
	}
}

func event(span trace.Span, name string, at time.Time, attributes ...attribute.KeyValue) {
	span.AddEvent(name, trace.WithTimestamp(at), trace.WithAttributes(attributes...))
}

// endSpan ends a span, with the status that err makes.
func (g *group) endSpan(span trace.Span, err error) {
	if g.span == nil {
		return
	}
	at := trace.WithTimestamp(g.at)
	if err != nil {
		span.RecordError(readable(err), at)
		span.SetAttributes(errorType(err))
		span.SetStatus(codes.Error, textOf(err))
	}
	span.End(at)
}

func isFailure(s scheduler.State) bool {
	return s == scheduler.StateFailed || s == scheduler.StateTimedOut
}

// What follows asks errors that a user has made. Their methods may panic, which is no
// reason to end a run.

// textOf returns the text of an error, or what fmt makes of one that panics.
func textOf(err error) string { return fmt.Sprint(err) }

// readable returns err, or, if its Error panics, an error with the text that fmt makes
// of that.
func readable(err error) (e error) {
	defer func() {
		if recover() != nil {
			e = errors.New(textOf(err))
		}
	}()
	_ = err.Error()
	return err
}

// errorType is that of what went wrong in a node, not of how the group reports it.
func errorType(err error) (of attribute.KeyValue) {
	defer func() {
		if recover() != nil {
			of = semconv.ErrorType(readable(err))
		}
	}()
	if e := (*scheduler.TaskError)(nil); errors.As(err, &e) {
		return errorType(e.Err)
	}
	return semconv.ErrorType(err)
}
