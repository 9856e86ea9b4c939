package benchmarks_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/floor"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/library"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
	"github.com/steptask/scheduler/benchmarks/internal/peer"
)

var sizes = []int{100, 1_000, 10_000, 100_000, 1_000_000}

// bench measures what of makes, when this benchmark is chosen and not before.
func bench(b *testing.B, name string, of func() measure.Work) {
	b.Run(name, func(b *testing.B) {
		w := of()
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			run := w.Ready()
			b.StartTimer()
			run()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*w.Units), "ns/unit")
	})
}

// everySize calls f for all shapes in all sizes, but for graphs of many millions
// of edges.
func everySize(most int, f func(name string, of func() *graph.Graph)) {
	for _, shape := range graph.Shapes {
		for _, n := range sizes {
			if n <= most && (shape.Name != "dense" || n <= 100_000) {
				f(fmt.Sprintf("shape=%s/n=%d", shape.Name, n), func() *graph.Graph { return shape.Make(n) })
			}
		}
	}
}

func BenchmarkRun(b *testing.B) {
	everySize(1_000_000, func(name string, of func() *graph.Graph) {
		for _, reverse := range []bool{false, true} {
			way := map[bool]string{false: "forward", true: "reverse"}[reverse]
			bench(b, name+"/keys=int/way="+way, func() measure.Work { return runOf(of(), (*graph.Graph).Numbers, reverse) })
			bench(b, name+"/keys=string/way="+way, func() measure.Work { return runOf(of(), (*graph.Graph).Names, reverse) })
		}
		bench(b, name+"/floor=kahn", func() measure.Work { return floor.Kahn(of(), false) })
	})
}

func runOf[K comparable](g *graph.Graph, keys func(*graph.Graph) []K, reverse bool) measure.Work {
	return library.Run(g, keys(g), library.Steps[K](1), &scheduler.GroupOptions[K]{Reverse: reverse})
}

func BenchmarkMake(b *testing.B) {
	everySize(1_000_000, func(name string, of func() *graph.Graph) {
		bench(b, name+"/way=forward", func() measure.Work { g := of(); return library.Make(g, g.Numbers(), false) })
		bench(b, name+"/way=reverse", func() measure.Work { g := of(); return library.Make(g, g.Numbers(), true) })
	})
}

func BenchmarkBuild(b *testing.B) {
	everySize(1_000_000, func(name string, of func() *graph.Graph) {
		bench(b, name+"/keys=int", func() measure.Work { g := of(); return library.Build(g, g.Numbers()) })
		bench(b, name+"/keys=string", func() measure.Work { g := of(); return library.Build(g, g.Names()) })
		bench(b, name+"/floor=map", func() measure.Work { g := of(); return floor.FillMap(g, g.Names()) })
	})
}

func BenchmarkTask(b *testing.B) {
	nothing := func(context.Context) error { return nil }
	for _, n := range sizes {
		for kind, task := range map[string]library.Task[int]{
			"steps-1":   library.Steps[int](1),
			"steps-10":  library.Steps[int](10),
			"coroutine": library.Coroutines[int](3),
			"blocking":  library.Calls[int](nothing),
		} {
			bench(b, fmt.Sprintf("task=%s/n=%d", kind, n), func() measure.Work {
				g := graph.Layered(n)
				return library.Run(g, g.Numbers(), task, nil)
			})
		}
		bench(b, fmt.Sprintf("floor=passes-10/n=%d", n), func() measure.Work { return floor.Passes(n, 10) })
		bench(b, fmt.Sprintf("floor=pull/n=%d", n), func() measure.Work { return floor.PullWhole(n) })
		bench(b, fmt.Sprintf("floor=goroutines/n=%d", n), func() measure.Work { return floor.Goroutines(graph.Layered(n)) })
	}
}

func BenchmarkRound(b *testing.B) {
	for _, how := range []library.Parking{library.Timers, library.Turns, library.Events} {
		for _, n := range append([]int{10}, sizes...) {
			for _, due := range []int{0, 10} {
				bench(b, fmt.Sprintf("parked=%s/n=%d/due=%d", how, n, due), func() measure.Work {
					return library.Parked(how, n, due, 1000)
				})
			}
		}
	}
}

func BenchmarkPeers(b *testing.B) {
	nothing := func(string) error { return nil }
	everySize(10_000, func(name string, of func() *graph.Graph) {
		bench(b, name+"/by=scheduler", func() measure.Work { return library.Whole(of().Nodes(), nothing) })
		for _, p := range peer.All {
			g := of()
			if p.Most == 0 || g.N+len(g.Required) <= p.Most {
				bench(b, name+"/by="+p.Name, func() measure.Work { return p.Work(g.Nodes(), nothing) })
			}
		}
	})
}

func BenchmarkStd(b *testing.B) {
	var g *graph.Graph
	std := func() *graph.Graph {
		if g == nil {
			var err error
			if g, err = graph.Std(b.Context(), false); err != nil {
				b.Fatal(err)
			}
		}
		return g
	}
	nothing := func(string) error { return nil }
	bench(b, "replay", func() measure.Work { _, w := library.Replay(std(), nil); return w })
	bench(b, "by=scheduler", func() measure.Work { return library.Whole(std().Nodes(), nothing) })
	bench(b, "by="+peer.All[0].Name, func() measure.Work { return peer.All[0].Work(std().Nodes(), nothing) })
}
