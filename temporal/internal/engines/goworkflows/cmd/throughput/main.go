// Command throughput writes the rows of go-workflows in docs/temporal.md.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/steptask/scheduler/temporal/internal/engines/goworkflows"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "throughput:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	retried := goworkflows.Grid(1, 3000)
	retried.Attempts = 3
	for _, row := range []struct {
		name  string
		graph goworkflows.Graph
	}{
		{"wide, 1,000", goworkflows.Grid(1, 1000)},
		{"wide, 3,000", goworkflows.Grid(1, 3000)},
		{"layered, 100 of width 10", goworkflows.Grid(10, 10)},
		{"layered, 1,000 of width 50", goworkflows.Grid(20, 50)},
		{"layered, 3,000 of width 100", goworkflows.Grid(30, 100)},
		{"chain, 100", goworkflows.Grid(100, 1)},
		{"wide, 3,000, with three attempts", retried},
	} {
		took, events, err := measure(ctx, row.graph)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		fmt.Printf("| go-workflows, %s | %.2f s | %.0f | %d |\n",
			row.name, took.Seconds(), float64(len(row.graph.Nodes))/took.Seconds(), events)
	}
	return nil
}

// measure walks a graph with an engine of its own.
func measure(ctx context.Context, g goworkflows.Graph) (took time.Duration, events int, err error) {
	e, err := goworkflows.Start(func(_ context.Context, key string) (string, error) { return key, nil })
	if err != nil {
		return 0, 0, err
	}
	result, err := e.Walk(ctx, g)
	if err != nil {
		return 0, 0, err
	}
	return result.Took, result.Events, e.Close()
}
