package otel

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instruments are what is measured, of all groups of an Observer.
type instruments struct {
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

func newInstruments(meter metric.Meter) (*instruments, error) {
	i := &instruments{}
	var errs [5]error
	i.nodes, errs[0] = meter.Int64UpDownCounter("scheduler.node.count", metric.WithUnit("{node}"),
		metric.WithDescription("Nodes that wait, run or are closing."))
	i.ended, errs[1] = meter.Int64Counter("scheduler.node.ended", metric.WithUnit("{node}"),
		metric.WithDescription("Nodes that have ended."))
	i.duration, errs[2] = meter.Float64Histogram("scheduler.node.duration", metric.WithUnit("s"), nodeBounds,
		metric.WithDescription("Time from the start of a node to its end."))
	i.step, errs[3] = meter.Float64Histogram("scheduler.step.duration", metric.WithUnit("s"), stepBounds,
		metric.WithDescription("Time that one step of a node took, while nothing else went on."))
	i.lateness, errs[4] = meter.Float64Histogram("scheduler.round.lateness", metric.WithUnit("s"), stepBounds,
		metric.WithDescription("Time between when a group was to be stepped and when it was."))
	return i, errors.Join(errs[:]...)
}

// areEnabled reports whether anybody wants any of them.
func (i *instruments) areEnabled(ctx context.Context) bool {
	return i.nodes.Enabled(ctx) || i.ended.Enabled(ctx) || i.duration.Enabled(ctx) ||
		i.step.Enabled(ctx) || i.lateness.Enabled(ctx)
}

// metrics are those of one group.
type metrics struct {
	*instruments
	ctx    context.Context
	name   attribute.KeyValue
	group  metric.MeasurementOption // its name alone
	states [scheduler.StateSkipped + 1]metric.MeasurementOption
	counts [scheduler.StateSkipped + 1]int64 // what is added to the count of nodes now
}

func newMetrics(ctx context.Context, i *instruments, g scheduler.GroupView) *metrics {
	m := &metrics{instruments: i, ctx: ctx, name: groupName.String(g.Name())}
	m.group = metric.WithAttributeSet(attribute.NewSet(m.name))
	m.count(scheduler.StatePending, int64(g.Count(scheduler.StatePending)))
	return m
}

// in are the attributes of a state.
func (m *metrics) in(s scheduler.State) metric.MeasurementOption {
	if m.states[s] == nil {
		m.states[s] = metric.WithAttributeSet(attribute.NewSet(m.name, nodeState.String(s.String())))
	}
	return m.states[s]
}

// count adds to the number of nodes in a state.
func (m *metrics) count(s scheduler.State, n int64) {
	if n != 0 {
		m.counts[s] += n
		m.nodes.Add(m.ctx, n, m.in(s))
	}
}

// add counts a node that was added, unless it counts as completed.
func (m *metrics) add(r scheduler.Record) {
	if r.Group().State(r.Node()) != scheduler.StateSucceeded {
		m.count(scheduler.StatePending, 1)
	}
}

// change counts a change of a node at a time, and measures how long it took.
func (m *metrics) change(n *node, r scheduler.Record, at time.Time) {
	m.count(r.From, -1)
	if !r.To.Ended() {
		m.count(r.To, 1)
		return
	}
	outcome := m.in(r.To)
	if isFailure(r.To) {
		outcome = metric.WithAttributes(m.name, nodeState.String(r.To.String()), errorType(r.Err))
	}
	m.ended.Add(m.ctx, 1, outcome)
	if r.From != scheduler.StatePending && n.live != nil {
		m.duration.Record(m.ctx, at.Sub(n.live.began).Seconds(), outcome)
	}
}

func (m *metrics) stepTook(d time.Duration) { m.step.Record(m.ctx, d.Seconds(), m.group) }

func (m *metrics) late(d time.Duration) { m.lateness.Record(m.ctx, d.Seconds(), m.group) }

// end takes back what is counted still: nodes of a group that was drained, and
// changes that were not told because another Observer panicked.
func (m *metrics) end() {
	for s, n := range m.counts {
		m.count(scheduler.State(s), -n)
	}
}
