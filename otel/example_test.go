package otel_test

import (
	"context"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/otel"
	"github.com/steptask/scheduler/schedulertest"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// A program sets the SDK up with an exporter of its own, and gives one Observer
// to all its groups.
func ExampleNew() {
	spans := tracetest.NewInMemoryExporter()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	observer, err := otel.New(&otel.Options{TracerProvider: traces})
	if err != nil {
		fmt.Println(err)
		return
	}

	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	create := func(string) scheduler.Task { return scheduler.Pause(scheduler.After(3 * time.Second)) }
	group, err := scheduler.NewDependencyTaskGroup(deps, create,
		&scheduler.GroupOptions[string]{Name: "create", Observer: observer})
	if err != nil {
		fmt.Println(err)
		return
	}
	clock := schedulertest.NewClock(time.Time{}) // the example needs no time
	if err := scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock}); err != nil {
		fmt.Println(err)
	}
	for _, s := range spans.GetSpans() {
		fmt.Println(s.Name, s.EndTime.Sub(s.StartTime), len(s.Links))
	}
	// Output:
	// scheduler.node 3s 0
	// scheduler.node 3s 1
	// scheduler.group 6s 0
}
