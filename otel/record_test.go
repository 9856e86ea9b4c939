package otel_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/otel"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// record is a run under a simulated clock, and what came out of it.
type record struct {
	t        *testing.T
	clock    *schedulertest.Clock
	began    time.Time
	spans    *tracetest.InMemoryExporter
	tracer   trace.Tracer
	reader   *sdkmetric.ManualReader
	observer *otel.Observer
}

func newRecord(t *testing.T) *record {
	t.Helper()
	r := &record{
		t: t, clock: schedulertest.NewClock(time.Time{}).Alone(),
		spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader(),
	}
	r.began = r.clock.Now()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans))
	r.tracer = traces.Tracer("test")
	var err error
	r.observer, err = otel.New(&otel.Options{
		TracerProvider: traces,
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader)),
	})
	require.NoError(t, err)
	return r
}

// group makes a group that is observed, before any Observer that it has; the
// tasks are by key.
func (r *record) group(
	deps *scheduler.Dependencies[string], tasks map[string]func() scheduler.Task, opts *scheduler.GroupOptions[string],
) *scheduler.DependencyTaskGroup[string] {
	r.t.Helper()
	observed := scheduler.GroupOptions[string]{}
	if opts != nil {
		observed = *opts
	}
	observed.Observer = scheduler.Observers(r.observer, observed.Observer)
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task { return tasks[k]() }, &observed)
	require.NoError(r.t, err)
	return group
}

// run runs a task below a span called "run", and returns its error.
func (r *record) run(task scheduler.Task, opts *scheduler.RunnerOptions) error {
	r.t.Helper()
	if opts == nil {
		opts = &scheduler.RunnerOptions{}
	}
	opts.Clock = r.clock
	ctx, span := r.tracer.Start(r.t.Context(), "run", trace.WithTimestamp(r.clock.Now()))
	defer func() { span.End(trace.WithTimestamp(r.clock.Now())) }()
	return scheduler.Run(ctx, task, opts)
}

// trace returns the spans as text, as a tree in the order in which they began.
func (r *record) trace() string {
	spans := r.spans.GetSpans()
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	names := map[trace.SpanID]string{}
	for _, s := range spans {
		names[s.SpanContext.SpanID()] = nameOf(s)
	}
	var b strings.Builder
	var write func(parent trace.SpanID, indent string)
	write = func(parent trace.SpanID, indent string) {
		for _, s := range spans {
			if s.Parent.SpanID() != parent {
				continue
			}
			fmt.Fprintf(&b, "%s%s %v-%v%s\n", indent, nameOf(s), s.StartTime.Sub(r.began), s.EndTime.Sub(r.began), r.details(s, names))
			for _, e := range s.Events {
				fmt.Fprintf(&b, "%s  ! %v %s%s\n", indent, e.Time.Sub(r.began), e.Name, values(e.Attributes))
			}
			write(s.SpanContext.SpanID(), indent+"  ")
		}
	}
	write(trace.SpanID{}, "")
	return strings.ReplaceAll(b.String(), "\n- ", " ") // of lists of errors
}

// nameOf returns the name of the group or the key of the node that a span is of.
func nameOf(s tracetest.SpanStub) string {
	attributes := map[attribute.Key]string{}
	for _, a := range s.Attributes {
		attributes[a.Key] = a.Value.String()
	}
	switch s.Name {
	case "scheduler.group":
		return attributes["scheduler.group.name"]
	case "scheduler.node":
		return attributes["scheduler.node.key"]
	}
	return s.Name
}

func (r *record) details(s tracetest.SpanStub, names map[trace.SpanID]string) string {
	var b strings.Builder
	for _, a := range s.Attributes {
		if a.Key == "scheduler.node.state" || a.Key == "error.type" {
			fmt.Fprintf(&b, " %s", a.Value.String())
		}
	}
	if s.Status.Code != codes.Unset {
		fmt.Fprintf(&b, " %v: %s", s.Status.Code, s.Status.Description)
	}
	for i, l := range s.Links {
		require.Equal(r.t, names[l.SpanContext.SpanID()], l.Attributes[0].Value.AsString())
		fmt.Fprintf(&b, " %s%s", []string{"<- ", ""}[min(i, 1)], names[l.SpanContext.SpanID()])
	}
	return b.String()
}

// values writes attributes without the names; the message says enough of an
// exception.
func values(attributes []attribute.KeyValue) string {
	var b strings.Builder
	for _, a := range attributes {
		if a.Key != "exception.type" {
			fmt.Fprintf(&b, " %s", a.Value.String())
		}
	}
	return b.String()
}

// metric returns the points of one instrument as text, a line each: sums as
// numbers, histograms as count and sum.
func (r *record) metric(name string) []string {
	r.t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(r.t, r.reader.Collect(context.Background(), &all))
	var lines []string
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					lines = append(lines, fmt.Sprintf("%d%s", p.Value, values(p.Attributes.ToSlice())))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					lines = append(lines, fmt.Sprintf("%d, %vs%s", p.Count, p.Sum, values(p.Attributes.ToSlice())))
				}
			default:
				r.t.Fatalf("%s is a %T", name, m.Data)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// takes is a task called "work" that takes a while and then ends with err. Asked
// to stop it goes on.
func takes(d time.Duration, err error) func() scheduler.Task {
	return func() scheduler.Task {
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if e := co.Yield(scheduler.After(d)); e != nil {
				return e
			}
			return err
		})
		return scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Name: "work"}).AsTask(0)
	}
}
