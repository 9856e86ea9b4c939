package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
	"github.com/steptask/scheduler/otel"
	"github.com/steptask/scheduler/progress"
	"github.com/steptask/scheduler/timeline"
)

var printWatching = flag.Bool("watching", false, "measure what each watcher costs, and print the table of docs/watching.md")

// measured is a watcher whose cost is measured.
type measured struct {
	name string
	make func() scheduler.Observer
}

func allMeasured(t testing.TB) []measured {
	traces := func(o otel.Options) scheduler.Observer {
		observer, err := otel.New(&o)
		require.NoError(t, err)
		return observer
	}
	logTo := func(level slog.Level) scheduler.Observer {
		return scheduler.NewLogObserver(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level})))
	}
	meters := func() *sdkmetric.MeterProvider {
		return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	}
	return []measured{
		{"nothing", func() scheduler.Observer { return nil }},
		{"`otel` without a provider", func() scheduler.Observer { return traces(otel.Options{}) }},
		{"`ObserverFunc` that does nothing", func() scheduler.Observer { return scheduler.ObserverFunc(func(scheduler.Record) {}) }},
		{"`LogObserver` at info", func() scheduler.Observer { return logTo(slog.LevelInfo) }},
		{"`inspect`, the page", func() scheduler.Observer { return inspect.New(nil) }},
		{"`progress`, without lines", func() scheduler.Observer {
			return progress.New(io.Discard, &progress.Options{Line: func(scheduler.Record) string { return "" }})
		}},
		{"`timeline.Recorder`", func() scheduler.Observer { return timeline.NewRecorder() }},
		{"`progress`, a line for each change", func() scheduler.Observer { return progress.New(io.Discard, nil) }},
		{"`otel`, metrics", func() scheduler.Observer { return traces(otel.Options{MeterProvider: meters()}) }},
		{"`otel`, spans that nobody exports", func() scheduler.Observer {
			return traces(otel.Options{TracerProvider: sdktrace.NewTracerProvider()})
		}},
		{"`LogObserver` at debug, as text", func() scheduler.Observer { return logTo(slog.LevelDebug) }},
	}
}

const nodesMeasured = 10_000

// walkWatched walks nodes side by side that end in their first step.
func walkWatched(t testing.TB, deps *scheduler.Dependencies[int], watch scheduler.Observer) {
	task := scheduler.Func(func(context.Context) error { return nil })
	group, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return task },
		&scheduler.GroupOptions[int]{Observer: watch})
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(context.Background(), group, nil))
}

func wideGraph(n int) *scheduler.Dependencies[int] {
	deps := scheduler.NewDependencies[int]()
	for k := range n {
		deps.Add(k)
	}
	return deps
}

// BenchmarkWatching is what each watcher costs a node, the group's share of its
// begin and end included.
func BenchmarkWatching(b *testing.B) {
	deps := wideGraph(nodesMeasured)
	for _, w := range allMeasured(b) {
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				walkWatched(b, deps, w.make())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/nodesMeasured, "ns/node")
		})
	}
}

// TestWatchingTable prints the table of docs/watching.md.
func TestWatchingTable(t *testing.T) {
	if !*printWatching {
		t.Skip("without -watching")
	}
	deps := wideGraph(nodesMeasured)
	fmt.Println("| watcher | ns a node | allocations a node | ns an idle round |\n|---|---:|---:|---:|")
	for _, w := range allMeasured(t) {
		node := fastest(20, nodesMeasured, func() { walkWatched(t, deps, w.make()) })
		allocs := testing.AllocsPerRun(3, func() { walkWatched(t, deps, w.make()) }) / nodesMeasured
		fmt.Printf("| %s | %s | %.1f | %.0f |\n", w.name, rounded(node), allocs, idleRound(t, w.make()))
	}
}

// idleRound measures a round in which one of 1,000 nodes is stepped and nothing
// changes.
func idleRound(t testing.TB, watch scheduler.Observer) float64 {
	const rounds = 20_000
	deps := scheduler.NewDependencies[int]()
	for k := range 1000 {
		deps.Add(k)
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
		if k == 0 {
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil })
		}
		return scheduler.Pause(scheduler.After(time.Hour))
	}, &scheduler.GroupOptions[int]{Observer: watch})
	require.NoError(t, err)
	ctx := context.Background()
	runner := scheduler.NewTaskRunner(group, nil)
	require.NoError(t, runner.Start(ctx, 0))
	ns := fastest(10, rounds, func() {
		for range rounds {
			_, _ = runner.Step(ctx)
		}
	})
	_ = runner.Cancel()
	return ns
}

// fastest returns the nanoseconds of one of n things, in the fastest of some runs.
func fastest(runs, n int, run func()) float64 {
	best := time.Hour
	for range runs {
		runtime.GC()
		began := time.Now()
		run()
		best = min(best, time.Since(began))
	}
	return float64(best.Nanoseconds()) / float64(n)
}

// rounded leaves two digits, and a comma for thousands.
func rounded(ns float64) string {
	unit := 1.0
	for ns/unit >= 100 {
		unit *= 10
	}
	n := int(ns/unit+0.5) * int(unit)
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
