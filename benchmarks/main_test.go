package benchmarks_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler/benchmarks/internal/floor"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/library"
	"github.com/steptask/scheduler/benchmarks/internal/limits"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
	"github.com/steptask/scheduler/benchmarks/internal/peer"
	"github.com/steptask/scheduler/benchmarks/internal/soak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Everything that is measured does its work at least once: each piece panics if
// it comes to another end than it should.
func TestWorks(t *testing.T) {
	g := graph.Layered(100)
	keys := g.Numbers()
	pulls, stopPulls := floor.PullSteps(3, 5)
	defer stopPulls()
	coroutines, stopCoroutines := library.CoroutineSteps(3, 5)
	defer stopCoroutines()
	deep, stopDeep := library.Nested(8, 5, true)
	defer stopDeep()
	call := func(context.Context) error { return nil }
	for name, w := range map[string]measure.Work{
		"kahn":              floor.Kahn(g, true),
		"passes":            floor.Passes(100, 10),
		"loop":              floor.Loop(10, 10),
		"pull steps":        pulls,
		"pull whole":        floor.PullWhole(3),
		"goroutines":        floor.Goroutines(g),
		"channels":          floor.RoundTrips(3),
		"map":               floor.FillMap(g, g.Names()),
		"collect":           floor.Collect(func() any { return library.PendingGroup(100) }),
		"build":             library.Build(g, keys),
		"make":              library.Make(g, keys, true),
		"run":               library.Run(g, keys, library.Steps[int](1), nil),
		"run in reverse":    library.Run(g, keys, library.Steps[int](3), &scheduler.GroupOptions[int]{Reverse: true}),
		"run coroutines":    library.Run(g, keys, library.Coroutines[int](3), library.Observed[int]()),
		"rounds":            library.Rounds(10, 5, library.TimeLimit(time.Hour)),
		"timers":            library.Parked(library.Timers, 100, 10, 5),
		"turns":             library.Parked(library.Turns, 100, 10, 5),
		"events":            library.Parked(library.Events, 100, 10, 5),
		"others":            library.ParkedOthers(library.Timers, 100, 30),
		"coroutine steps":   coroutines,
		"coroutines, whole": library.CoroutineWhole(3),
		"coroutines, a run": library.CoroutineRun(3),
		"walk":              library.Walk(g.Nodes(), func(string) error { return nil }),
		"whole calls":       library.WholeCalls(g.Nodes(), func(string) error { return nil }),
		"deep coroutines":   deep,
		"round trips":       library.RoundTrips(3),
		"Blocking calls":    library.BlockingCalls(10, 3, call),
		"errgroup calls":    peer.Calls(10, 3, func() error { return nil }),
	} {
		t.Run(name, func(*testing.T) {
			w.Take()
			w.Runs = 2
			w.Take()
		})
	}
}

func TestMemory_countsOnlyTheGroup(t *testing.T) {
	pending, running := library.Memory(graph.Wide(10_000), scheduler.Next, nil)
	require.Greater(t, pending, 5.0)
	require.Greater(t, running, pending)
	require.Less(t, running, 200.0)
}

// Peers and library run every node once, and after what it requires.
func TestWhole_inOrder(t *testing.T) {
	for _, shape := range graph.Shapes {
		g := shape.Make(96)
		nodes := g.Nodes()
		run := map[string]func(fn func(string) error) measure.Work{
			"scheduler": func(fn func(string) error) measure.Work { return library.Whole(nodes, fn) },
			"walk":      func(fn func(string) error) measure.Work { return library.Walk(nodes, fn) },
		}
		for _, p := range peer.All {
			run[p.Name] = func(fn func(string) error) measure.Work { return p.Work(nodes, fn) }
		}
		for name, work := range run {
			t.Run(shape.Name+"/"+name, func(t *testing.T) {
				var mu sync.Mutex
				place := map[string]int{}
				work(func(k string) error {
					mu.Lock()
					defer mu.Unlock()
					place[k] = len(place)
					return nil
				}).Ready()()
				require.Len(t, place, g.N)
				for _, n := range nodes {
					for _, r := range n.Requires {
						require.Less(t, place[r], place[n.Key])
					}
				}
			})
		}
	}
}

func TestShapes_areInTopologicalOrderWithoutDuplicates(t *testing.T) {
	for _, shape := range graph.Shapes {
		for _, n := range []int{1, 2, 100, 3000} {
			g := shape.Make(n)
			seen := map[[2]int32]bool{}
			for e := range g.Required {
				edge := [2]int32{g.Requirer[e], g.Required[e]}
				require.Less(t, edge[1], edge[0], shape.Name)
				require.Less(t, edge[0], int32(g.N), shape.Name)
				require.False(t, seen[edge], shape.Name)
				seen[edge] = true
			}
		}
	}
}

func TestStd_hasDurations(t *testing.T) {
	g, err := graph.Std(t.Context(), false)
	require.NoError(t, err)
	require.Greater(t, g.N, 300)
	require.Len(t, g.Spans, g.N)
	require.Greater(t, slices.Max(g.Spans), time.Duration(0))
	for e := range g.Required {
		require.Less(t, g.Required[e], g.Requirer[e])
	}
	span, _ := library.Replay(g, nil)
	one, _ := library.Replay(g, &scheduler.GroupOptions[int]{Limit: 1})
	require.GreaterOrEqual(t, span, slices.Max(g.Spans))
	require.Greater(t, one, span)
}

func TestMedianOfRatios(t *testing.T) {
	series := func(ns ...float64) measure.Series {
		var s measure.Series
		for _, v := range ns {
			s = append(s, measure.Sample{Nanoseconds: v})
		}
		return s
	}
	require.InDelta(t, 2.0, series(2, 40, 3).Ratio(series(1, 10, 3)), 1e-9)
	require.InDelta(t, 3.0, series(2, 40, 3).Median().Nanoseconds, 1e-9)
	require.InDelta(t, 1.5, measure.Median([]float64{2, 1}), 1e-9)
	require.Zero(t, measure.Median(nil))
}

func TestInterleave_takesTurns(t *testing.T) {
	var order []int
	work := func(i int) measure.Work {
		return measure.Work{Units: 1, Ready: func() func() { return func() { order = append(order, i) } }}
	}
	s := measure.Interleave(2, work(0), work(1))
	require.Len(t, s[0], 2)
	require.Equal(t, []int{0, 1, 1, 0, 0, 1}, order)
}

func TestRow_quickAllowsTwiceButForCounts(t *testing.T) {
	ratio := limits.Row{Limit: 1.5}
	count := limits.Row{Limit: 1.5, Exact: true}
	require.False(t, ratio.Broken(1.5, false))
	require.True(t, ratio.Broken(1.6, false))
	require.False(t, ratio.Broken(2.9, true))
	require.True(t, ratio.Broken(3.1, true))
	require.True(t, count.Broken(1.6, true))
	missed := limits.Row{Limit: 1.5, Known: 3}
	require.False(t, missed.Missed(1.4, false))
	require.True(t, missed.Missed(2.9, false))
	require.False(t, missed.Missed(3.1, false))
	require.True(t, missed.Missed(5.9, true))
	require.False(t, ratio.Missed(1.6, false))
	nan := 0.0
	require.True(t, ratio.Broken(nan/nan, true))
}

func TestRows_haveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range limits.Rows(1000) {
		require.False(t, seen[row.Name], row.Name)
		seen[row.Name] = true
		require.NotNil(t, row.Measure)
	}
}

func TestSoak_groupsEndAsTheyMay(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		synctest.Test(t, func(t *testing.T) { require.NoError(t, soak.Group(t.Context(), rnd)) })
	}
}
