package otel

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the instruments of a group.
type metrics struct {
	group    metric.MeasurementOption // its name, for those that have nothing else
	name     attribute.KeyValue
	nodes    metric.Int64UpDownCounter
	ended    metric.Int64Counter
	duration metric.Float64Histogram
	step     metric.Float64Histogram
	lateness metric.Float64Histogram
}

// Boundaries of the histograms, in seconds: nodes take from milliseconds to a
// day, steps should take microseconds.
var (
	nodeBounds = metric.WithExplicitBucketBoundaries(0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
	stepBounds = metric.WithExplicitBucketBoundaries(1e-6, 1e-5, 1e-4, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
)

func newMetrics(meter metric.Meter, group string) (*metrics, error) {
	m := &metrics{name: groupName.String(group)}
	m.group = metric.WithAttributeSet(attribute.NewSet(m.name))
	var errs [5]error
	m.nodes, errs[0] = meter.Int64UpDownCounter("scheduler.node.count", metric.WithUnit("{node}"),
		metric.WithDescription("Nodes that wait or run."))
	m.ended, errs[1] = meter.Int64Counter("scheduler.node.ended", metric.WithUnit("{node}"),
		metric.WithDescription("Nodes that have ended."))
	m.duration, errs[2] = meter.Float64Histogram("scheduler.node.duration", metric.WithUnit("s"), nodeBounds,
		metric.WithDescription("Time from the start of a node to its end."))
	m.step, errs[3] = meter.Float64Histogram("scheduler.step.duration", metric.WithUnit("s"), stepBounds,
		metric.WithDescription("Time that one step of a node took, while nothing else went on."))
	m.lateness, errs[4] = meter.Float64Histogram("scheduler.round.lateness", metric.WithUnit("s"), stepBounds,
		metric.WithDescription("Time between when a group was to be stepped and when it was."))
	return m, errors.Join(errs[:]...)
}

// wantsSteps reports whether anybody wants the time of each step.
func (m *metrics) wantsSteps() bool { return m.step.Enabled(context.Background()) }

// count adds to the number of nodes that wait, or run.
func (m *metrics) count(ctx context.Context, s scheduler.State, n int) {
	if n != 0 {
		m.nodes.Add(ctx, int64(n), metric.WithAttributes(m.name, nodeState.String(s.String())))
	}
}

func (m *metrics) transition(ctx context.Context, t scheduler.Record) {
	m.count(ctx, t.From, -1)
	if !t.To.Ended() {
		m.count(ctx, t.To, 1)
		return
	}
	m.ended.Add(ctx, 1, m.outcome(t))
}

// outcome are the attributes of how a node ended.
func (m *metrics) outcome(t scheduler.Record) metric.MeasurementOption {
	attributes := []attribute.KeyValue{m.name, nodeState.String(t.To.String())}
	if isFailure(t.To) {
		attributes = append(attributes, errorType(t.Err))
	}
	return metric.WithAttributes(attributes...)
}

func (m *metrics) took(ctx context.Context, t scheduler.Record, d time.Duration) {
	m.duration.Record(ctx, d.Seconds(), m.outcome(t))
}

func (m *metrics) stepTook(ctx context.Context, d time.Duration) {
	m.step.Record(ctx, d.Seconds(), m.group)
}

func (m *metrics) late(ctx context.Context, d time.Duration) {
	m.lateness.Record(ctx, d.Seconds(), m.group)
}
