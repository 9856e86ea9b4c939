package otel_test

import (
	"context"
	"testing"

	"github.com/steptask/scheduler/internal/randomrun"
	"github.com/steptask/scheduler/otel"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// TestObserver_random: a run that is traced is the same run as one that is not.
// Each span that was started ends, once, and no node counts as waiting or running
// in the end.
func TestObserver_random(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := newRecord(t)
		r.reader = sdkmetric.NewManualReader()
		spans := &spanCounter{started: map[string]int{}, ended: map[string]int{}}
		o, err := otel.New(&otel.Options{
			TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
			MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader)),
		})
		require.NoError(t, err)
		require.Equal(t, randomrun.Play(t, seed, nil), randomrun.Play(t, seed, o), "seed %d", seed)
		require.Equal(t, spans.started, spans.ended, "seed %d", seed)
		for _, line := range r.metric("scheduler.node.count") {
			require.Regexp(t, "^0 ", line, "seed %d", seed)
		}
	}
}

// spanCounter counts spans by id.
type spanCounter struct{ started, ended map[string]int }

func (c *spanCounter) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	c.started[s.Name()+" "+s.SpanContext().SpanID().String()]++
}

func (c *spanCounter) OnEnd(s sdktrace.ReadOnlySpan) {
	c.ended[s.Name()+" "+s.SpanContext().SpanID().String()]++
}

func (*spanCounter) Shutdown(context.Context) error   { return nil }
func (*spanCounter) ForceFlush(context.Context) error { return nil }
