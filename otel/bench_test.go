package otel_test

import (
	"context"
	"testing"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/otel"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// BenchmarkObserver is what an Observer costs a node of a wide group whose tasks
// end in their first step.
func BenchmarkObserver(b *testing.B) {
	const nodes = 10_000
	deps := scheduler.NewDependencies[int]()
	for k := range nodes {
		deps.Add(k)
	}
	task := scheduler.Func(func(context.Context) error { return nil })
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	for _, c := range []struct {
		name string
		opts *otel.Options // nil: no Observer
	}{
		{"none", nil},
		{"no provider", &otel.Options{}},
		{"metrics", &otel.Options{MeterProvider: meters}},
		{"traces not sampled", &otel.Options{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))}},
		{"traces", &otel.Options{TracerProvider: sdktrace.NewTracerProvider()}},
		{"traces and metrics", &otel.Options{TracerProvider: sdktrace.NewTracerProvider(), MeterProvider: meters}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var observer scheduler.Observer
			if c.opts != nil {
				o, err := otel.New(c.opts)
				require.NoError(b, err)
				observer = o
			}
			b.ReportAllocs()
			for b.Loop() {
				g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return task },
					&scheduler.GroupOptions[int]{Observer: observer})
				require.NoError(b, err)
				require.NoError(b, scheduler.Run(b.Context(), g, nil))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/nodes, "ns/node")
		})
	}
}
