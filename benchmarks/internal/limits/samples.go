package limits

import (
	"context"
	"math"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/floor"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/library"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
	"github.com/steptask/scheduler/benchmarks/internal/peer"
)

func run(g *graph.Graph, opts *scheduler.GroupOptions[int]) maker {
	return func() measure.Work { return library.Run(g, g.Numbers(), library.Steps[int](1), opts) }
}

func makeGroup(g *graph.Graph) maker {
	return func() measure.Work { return library.Make(g, g.Numbers(), false) }
}

func tenSteps(g *graph.Graph) maker {
	return func() measure.Work { return library.Run(g, g.Numbers(), library.Steps[int](10), nil) }
}

func kahn(g *graph.Graph, reverse bool) maker {
	return func() measure.Work { return floor.Kahn(g, reverse) }
}

const (
	running    = 10_000
	roundsEach = 200
)

var hour = library.TimeLimit(time.Hour)

func rounds(opts *scheduler.GroupOptions[int]) maker {
	return func() measure.Work { return library.Rounds(running, roundsEach, opts) }
}

func loop() measure.Work { return floor.Loop(running, roundsEach) }

func parked(how library.Parking, n, due int) maker {
	return func() measure.Work { return library.Parked(how, n, due, 10_000) }
}

func parkedOthers(how library.Parking, n int) maker {
	return func() measure.Work { return library.ParkedOthers(how, n, 10_000) }
}

func memoryStarted(n int, y scheduler.Yield, opts *scheduler.GroupOptions[int]) float64 {
	_, started := library.Memory(graph.Wide(n), y, opts)
	return started
}

func buildRatio[K comparable](g *graph.Graph, keys []K) ratio {
	return ratio{
		func() measure.Work { return library.Build(g, keys) },
		func() measure.Work { return floor.FillMap(g, keys) },
	}
}

func coroutineSteps(n int) ratio {
	const steps = 200_000
	return ratio{
		func() measure.Work { w, _ := library.CoroutineSteps(n, steps/n); return w },
		func() measure.Work { w, _ := floor.PullSteps(n, steps/n); return w },
	}
}

func nested(stepChild bool) ratio {
	const steps = 100_000
	depth := func(d int) maker {
		return func() measure.Work { w, _ := library.Nested(d, steps, stepChild); return w }
	}
	return ratio{depth(8), depth(1)}
}

func calls(fn func()) ratio {
	const n, limit = 100_000, 1000
	return ratio{
		func() measure.Work {
			return library.BlockingCalls(n, limit, func(context.Context) error { fn(); return nil })
		},
		func() measure.Work { return peer.Calls(n, limit, func() error { fn(); return nil }) },
	}
}

// atOnce is calls that return at once.
func atOnce() measure.Work {
	return library.BlockingCalls(100_000, 1000, func(context.Context) error { return nil })
}

func nothing(string) error { return nil }

// many makes a sample of so many runs.
func many(of maker, runs int) maker {
	return func() measure.Work {
		w := of()
		w.Runs = runs
		return w
	}
}

// allocs returns the allocations of a unit, and bytes the memory that is allocated for it.
func allocs(of maker) float64 { return least(of, func(s measure.Sample) float64 { return s.Allocs }) }

func bytes(of maker) float64 { return least(of, func(s measure.Sample) float64 { return s.Bytes }) }

// least returns the least of some samples, which is what the work itself makes: the runtime
// allocates now and then for itself.
func least(of maker, what func(measure.Sample) float64) float64 {
	w := of()
	least := math.Inf(1)
	for range 3 {
		least = min(least, what(w.Take()))
	}
	return least
}
