package main

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/otel"
	"github.com/steptask/scheduler/progress"
	"github.com/steptask/scheduler/timeline"
)

// BenchmarkWatching is what each watcher costs a node, the group's share of its
// begin and end included: docs/watching.md has the results.
func BenchmarkWatching(b *testing.B) {
	const nodes = 10_000
	deps := scheduler.NewDependencies[int]()
	for k := range nodes {
		deps.Add(k)
	}
	task := scheduler.Func(func(context.Context) error { return nil })
	traces := func(provider *sdktrace.TracerProvider) scheduler.Observer {
		o := &otel.Options{}
		if provider != nil {
			o.TracerProvider = provider
		}
		observer, err := otel.New(o)
		require.NoError(b, err)
		return observer
	}
	logTo := func(level slog.Level) scheduler.Observer {
		return scheduler.NewLogObserver(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level})))
	}
	for _, c := range []struct {
		name  string
		watch func() scheduler.Observer
	}{
		{"nothing", func() scheduler.Observer { return nil }},
		{"ObserverFunc", func() scheduler.Observer { return scheduler.ObserverFunc(func(scheduler.Record) {}) }},
		{"log at info", func() scheduler.Observer { return logTo(slog.LevelInfo) }},
		{"log at debug", func() scheduler.Observer { return logTo(slog.LevelDebug) }},
		{"timeline", func() scheduler.Observer { return timeline.NewRecorder() }},
		{"progress", func() scheduler.Observer {
			return progress.New(io.Discard, &progress.Options{Line: func(scheduler.Record) string { return "" }})
		}},
		{"progress in lines", func() scheduler.Observer { return progress.New(io.Discard, nil) }},
		{"otel without a provider", func() scheduler.Observer { return traces(nil) }},
		{"otel, spans not exported", func() scheduler.Observer { return traces(sdktrace.NewTracerProvider()) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return task },
					&scheduler.GroupOptions[int]{Observer: c.watch()})
				require.NoError(b, err)
				require.NoError(b, scheduler.Run(b.Context(), g, nil))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/nodes, "ns/node")
		})
	}
}
