// Package limits has what the library is held to: a table of ratios, each
// measured against a floor or a peer within one run.
package limits

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/floor"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/growth"
	"github.com/steptask/scheduler/benchmarks/internal/library"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
	"github.com/steptask/scheduler/benchmarks/internal/peer"
	"github.com/steptask/scheduler/benchmarks/internal/textsize"
)

// Row is a promise: what is measured is at most Limit.
type Row struct {
	Name  string
	Limit float64
	Exact bool // Limit is a count, of allocations or bytes, that no noise moves

	// Known is what is measured today where that is far beyond Limit, else 0. The
	// check says that the limit is missed, and fails only beyond Known.
	Known float64

	Measure func(reps int) Result
}

// Missed reports whether a value that is beyond the limit is known to be.
func (r *Row) Missed(value float64, quick bool) bool {
	known := Row{Limit: r.Known}
	return r.Broken(value, quick) && !known.Broken(value, quick)
}

// Result is what was measured for a row.
type Result struct {
	Value  float64
	Detail string // what the value was made of
}

// Most is the limit that counts: in a quick run twice that of the row, since
// machines are noisy, but for what can be counted.
func (r *Row) Most(quick bool) float64 {
	if quick && !r.Exact {
		return 2 * r.Limit
	}
	return r.Limit
}

// Broken reports whether a value is beyond the limit. What is no number is.
func (r *Row) Broken(value float64, quick bool) bool { return !(value <= r.Most(quick)) }

// Rows returns all limits, measured with graphs of n nodes where the size is
// not that of the row: what is promised is promised for a million.
func Rows(n int) []Row {
	size := Power(n)
	return slices.Concat(
		each("run prepared / bare Kahn", 1.3, forward, func(g shape) ratio {
			return ratio{run(g.make(n), nil), kahn(g.make(n), false)}
		}),
		each("ns a node, "+size+" / 1e3", 1.25, forward, func(g shape) ratio {
			return ratio{run(g.make(n), nil), many(run(g.make(1000), nil), 1000)}
		}),
		each("run, reverse / forward", 1.25, slices.Concat(forward, []shape{random}), func(g shape) ratio {
			made := g.make(n)
			return ratio{run(made, &scheduler.GroupOptions[int]{Reverse: true}), run(made, nil)}
		}),
		one("ten-step tasks, wide, "+size+" / ten bare passes", 2.75, func() ratio {
			return ratio{tenSteps(graph.Wide(n)), func() measure.Work { return floor.Passes(n, 10) }}
		}),

		one("step of 10,000 running / bare loop", 2.5, func() ratio { return ratio{rounds(nil), loop} }),
		count("step of 10,000 running, allocations a round", 0, "", func() float64 {
			return allocs(rounds(nil)) * running
		}),
		one("step of 10,000 with Timeout / bare loop", 3.5, func() ratio { return ratio{rounds(hour), loop} }),
		count("step of 10,000 with Timeout, allocations a round", 0, "", func() float64 {
			return allocs(rounds(hour)) * running
		}),

		parkings("round, the same 10 due of "+size+" parked / of those 10", 1.75, func(how library.Parking) ratio {
			return ratio{parked(how, n, 10), parked(how, 10, 10)}
		}),
		parkings("round, none due of "+size+" parked / of 10", 1.3, func(how library.Parking) ratio {
			return ratio{parked(how, n, 0), parked(how, 10, 0)}
		}),

		count("bytes a node, pending (3 edges)", 32, "B", func() float64 {
			pending, _ := library.Memory(graph.Layered(n), scheduler.Done, nil)
			return pending
		}),
		count("bytes a node, done (3 edges)", 32, "B", func() float64 {
			_, done := library.Memory(graph.Layered(n), scheduler.Done, nil)
			return done
		}),
		count("bytes a node, running", 80, "B", func() float64 { return memoryStarted(n, scheduler.Next, nil) }),
		count("bytes a node, running with a deadline", 112, "B", func() float64 { return memoryStarted(n, scheduler.Next, hour) }),
		count("bytes a node, running with a timer", 112, "B", func() float64 {
			return memoryStarted(n, scheduler.After(time.Hour), nil)
		}),
		count("machine code for one more type of key", 15<<10, "B", func() float64 {
			size, err := textsize.OfKey()
			if err != nil {
				fmt.Fprintln(os.Stderr, "limits:", err)
				return math.NaN()
			}
			return float64(size)
		}),
		counts("allocations a node beside the task's own", 0.001, forward, func(g shape) float64 {
			return allocs(run(g.make(n), nil)) - 1
		}),

		// In a quick run too: with 1e5 edges, pages that are touched for the first
		// time count more than the edges.
		builds(min(10*n, 1_000_000), "Dependencies of 1e6 edges / map of both ends", 1.0),
		each("make, entries in order / run", 0.3, forward, func(g shape) ratio {
			made := g.make(n)
			return ratio{makeGroup(made), run(made, nil)}
		}),
		each("make, other entry order / bare Kahn as entered", 2.5, unordered, func(g shape) ratio {
			made := g.make(n)
			return ratio{makeGroup(made), kahn(made, false)}
		}),

		one("coroutine step / bare iter.Pull, 1", 1.4, func() ratio { return coroutineSteps(1) }),
		one("coroutine step / bare iter.Pull, 1,000", 1.4, func() ratio { return coroutineSteps(1000) }),
		one("coroutine create, two steps, finish, in a run / bare iter.Pull", 1.3, func() ratio {
			return ratio{
				func() measure.Work { return library.CoroutineRun(20_000) },
				func() measure.Work { return floor.PullWhole(20_000) },
			}
		}),
		one("step eight Wraps deep / one deep, step child", 1.5, func() ratio { return nested(true) }),
		one("step eight Wraps deep / one deep, coroutine", 1.5, func() ratio { return nested(false) }),

		one("round trip, Event there, channel back / two channels", 1.75, func() ratio {
			return ratio{
				func() measure.Work { return library.RoundTrips(20_000) },
				func() measure.Work { return floor.RoundTrips(20_000) },
			}
		}),
		one("100,000 Blocking calls of 1 ms, Limit 1,000 / errgroup", 1.05, func() ratio {
			return calls(func() { time.Sleep(time.Millisecond) }) //nolint:forbidigo // what is measured
		}),
		one("100,000 Blocking calls that return at once / errgroup", 1.0, func() ratio { return calls(func() {}) }),
		count("allocations a Blocking call", 2, "", func() float64 { return allocs(atOnce) }),
		count("bytes a Blocking call", 128, "B", func() float64 { return bytes(atOnce) }),
		known(3.5, one("build and run 10 Blocking nodes / a goroutine and a channel each", 1.2, func() ratio {
			nodes := graph.Wide(10).Nodes()
			return ratio{
				many(func() measure.Work { return library.WholeCalls(nodes, nothing) }, 2000),
				many(func() measure.Work { return peer.Goroutines.Work(nodes, nothing) }, 2000),
			}
		})),

		walks("chain", graph.Chain, "fastest peer", 1.0, peer.Graphs),
		walks("layered", graph.Layered, "fastest peer", 1.0, peer.Graphs),
		walks("wide", graph.Wide, "errgroup", 1.1, peer.Graphs[:1]),

		wholes("build and run 1,000 string nodes / fastest peer", 0.5),
		each("observer that counts / none", 1.6, forward, func(g shape) ratio {
			made := g.make(n)
			return ratio{run(made, library.Observed[int]()), run(made, nil)}
		}),
		counts("observer, allocations a node beside the task's own", 0.001, forward, func(g shape) float64 {
			return allocs(run(g.make(n), library.Observed[int]())) - 1
		}),
		// A million at any rate: a collection of nothing takes its time too.
		one("runtime.GC, 1e6 pending / 1e6 live tasks", 0.25, func() ratio {
			const n = 1_000_000
			return ratio{
				func() measure.Work { return floor.Collect(func() any { return library.PendingGroup(n) }) },
				func() measure.Work { return floor.Collect(func() any { return library.LiveTasks(n) }) },
			}
		}),
	)
}

// Reported returns what is measured beside the limits and has none: memory that is
// cold costs what it costs, and outside of a run nothing is left to take over.
func Reported(n int) []Row {
	others := func(how library.Parking) func() ratio {
		return func() ratio { return ratio{parkedOthers(how, n), parkedOthers(how, 20)} }
	}
	name := "round, ten others due of " + Power(n) + " parked / the same ten: "
	return slices.Concat(
		one(name+"timers", math.Inf(1), others(library.Timers)),
		one(name+"rounds", math.Inf(1), others(library.Turns)),
		one("coroutine create, two steps, finish, outside of a run / bare iter.Pull", math.Inf(1), func() ratio {
			return ratio{
				func() measure.Work { return library.CoroutineWhole(20_000) },
				func() measure.Work { return floor.PullWhole(20_000) },
			}
		}),
	)
}

// Growth returns the rows of package growth: ten times the size takes so many times
// as long, at most.
func Growth() []Row {
	var rows []Row
	for _, row := range growth.Rows() {
		rows = append(rows, Row{Name: "growth: " + row.Name, Limit: row.Most(), Measure: func(reps int) Result {
			g := row.Measure(min(reps, 5))
			return Result{g.Times, fmt.Sprintf("%s at %s, %s at %s", Nanoseconds(g.Small), Power(row.N), Nanoseconds(g.Large), Power(10*row.N))}
		}})
	}
	return rows
}

func parkedOthers(how library.Parking, n int) maker {
	return func() measure.Work { return library.ParkedOthers(how, n, 10_000) }
}

// maker makes what is to be timed, when a row is measured and not before.
type maker = func() measure.Work

// ratio is a row's value: the time of a unit of measured to that of floor.
type ratio struct{ measured, floor maker }

func (r ratio) take(reps int) Result {
	series := measure.Interleave(reps, r.measured(), r.floor())
	return Result{series[0].Ratio(series[1]), detail(series[0], series[1])}
}

func detail(measured, floor measure.Series) string {
	return fmt.Sprintf("%s / %s", Nanoseconds(measured.Median().Nanoseconds), Nanoseconds(floor.Median().Nanoseconds))
}

// Power writes a size: 1e6 for a power of ten from a thousand on.
func Power(n int) string {
	for p, zeros := 1000, 3; p <= n; p, zeros = p*10, zeros+1 {
		if p == n {
			return fmt.Sprintf("1e%d", zeros)
		}
	}
	return strconv.Itoa(n)
}

// Nanoseconds writes a time with three digits.
func Nanoseconds(ns float64) string {
	switch {
	case ns >= 1e6:
		return fmt.Sprintf("%.3g ms", ns/1e6)
	case ns >= 1e4:
		return fmt.Sprintf("%.3g µs", ns/1e3)
	case ns >= 100:
		return fmt.Sprintf("%.0f ns", ns)
	}
	return fmt.Sprintf("%.3g ns", ns)
}

// shape is a graph in some entry order.
type shape struct {
	name string
	make func(n int) *graph.Graph
}

var (
	forward   = []shape{{"wide", graph.Wide}, {"chain", graph.Chain}, {"layered", graph.Layered}}
	random    = shape{"random", graph.Random}
	unordered = []shape{
		{"chain down", func(n int) *graph.Graph { return graph.Chain(n).Turned() }},
		{"layered down", func(n int) *graph.Graph { return graph.Layered(n).Turned() }},
		{"layered shuffled", func(n int) *graph.Graph { return graph.Layered(n).Shuffled() }},
		{"random shuffled", func(n int) *graph.Graph { return graph.Random(n).Shuffled() }},
	}
)

// known marks rows as beyond their limit.
func known(value float64, rows []Row) []Row {
	for i := range rows {
		rows[i].Known = value
	}
	return rows
}

func one(name string, limit float64, of func() ratio) []Row {
	return []Row{{Name: name, Limit: limit, Measure: func(reps int) Result { return of().take(reps) }}}
}

func each(name string, limit float64, shapes []shape, of func(g shape) ratio) []Row {
	var rows []Row
	for _, g := range shapes {
		rows = append(rows, one(name+": "+g.name, limit, func() ratio { return of(g) })...)
	}
	return rows
}

func parkings(name string, limit float64, of func(how library.Parking) ratio) []Row {
	var rows []Row
	for _, how := range []library.Parking{library.Timers, library.Turns, library.Events} {
		rows = append(rows, one(name+": "+string(how), limit, func() ratio { return of(how) })...)
	}
	return rows
}

func count(name string, limit float64, unit string, of func() float64) []Row {
	return []Row{{Name: name, Limit: limit, Exact: true, Measure: func(int) Result {
		return Result{of(), unit}
	}}}
}

func counts(name string, limit float64, shapes []shape, of func(g shape) float64) []Row {
	var rows []Row
	for _, g := range shapes {
		rows = append(rows, count(name+": "+g.name, limit, "", func() float64 { return of(g) })...)
	}
	return rows
}

func run(g *graph.Graph, opts *scheduler.GroupOptions[int]) maker {
	return func() measure.Work { return library.Run(g, g.Numbers(), library.Steps[int](1), opts) }
}

func tenSteps(g *graph.Graph) maker {
	return func() measure.Work { return library.Run(g, g.Numbers(), library.Steps[int](10), nil) }
}

func kahn(g *graph.Graph, reverse bool) maker {
	return func() measure.Work { return floor.Kahn(g, reverse) }
}

func makeGroup(g *graph.Graph) maker {
	return func() measure.Work { return library.Make(g, g.Numbers(), false) }
}

// many makes a sample of so many runs.
func many(of maker, runs int) maker {
	return func() measure.Work {
		w := of()
		w.Runs = runs
		return w
	}
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

// allocs returns the allocations of a unit. The least of some counts is what the
// work itself makes: the runtime allocates now and then for itself.
func allocs(of maker) float64 {
	w := of()
	least := math.Inf(1)
	for range 3 {
		least = min(least, w.Take().Allocs)
	}
	return least
}

// bytes returns the memory that is allocated for a unit, as allocs does.
func bytes(of maker) float64 {
	w := of()
	least := math.Inf(1)
	for range 3 {
		least = min(least, w.Take().Bytes)
	}
	return least
}

// atOnce is calls that return at once.
func atOnce() measure.Work {
	return library.BlockingCalls(100_000, 1000, func(context.Context) error { return nil })
}

func memoryStarted(n int, y scheduler.Yield, opts *scheduler.GroupOptions[int]) float64 {
	_, started := library.Memory(graph.Wide(n), y, opts)
	return started
}

// builds are the rows about building Dependencies.
func builds(edges int, name string, limit float64) []Row {
	shapes := []shape{
		{"chain", graph.Chain},
		{"layered", graph.Layered},
		{"layered, edges shuffled", func(n int) *graph.Graph { return graph.Layered(n).EdgesShuffled() }},
	}
	of := func(g shape) *graph.Graph {
		n := edges + 1
		if g.name != "chain" {
			n = edges/3 + 1001 // three edges a node, but for the first layer
		}
		return g.make(n).FirstEdges(edges)
	}
	rows := each(name+", string keys", limit, shapes, func(g shape) ratio {
		made := of(g)
		return buildRatio(made, made.Names())
	})
	return append(rows, each(name+", int keys", limit, shapes, func(g shape) ratio {
		made := of(g)
		return buildRatio(made, made.Numbers())
	})...)
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

// wholes compares with whichever peer is fastest here and now.
func wholes(name string, limit float64) []Row {
	var rows []Row
	for _, g := range forward {
		rows = append(rows, Row{Name: name + ": " + g.name, Limit: limit, Measure: func(reps int) Result {
			return againstPeers(g.make(1000).Nodes(), reps)
		}})
	}
	return rows
}

// walks compares Walk with others that run a graph of calls that do nothing, built
// included.
func walks(shape string, of func(n int) *graph.Graph, name string, limit float64, peers []peer.Peer) []Row {
	var rows []Row
	for _, n := range []int{10, 1_000, 10_000} {
		known := 0.0
		if n == 10 {
			known = 6
		}
		rows = append(rows, Row{
			Known: known,
			Name:  fmt.Sprintf("Walk of %d calls that do nothing / %s: %s", n, name, shape),
			Limit: limit,
			Measure: func(reps int) Result {
				nodes := of(n).Nodes()
				works := []measure.Work{library.Walk(nodes, nothing)}
				var names []string
				for _, p := range peers {
					works, names = append(works, p.Work(nodes, nothing)), append(names, p.Name)
				}
				for i := range works {
					works[i].Runs = 20_000 / n
				}
				return worst(measure.Interleave(reps, works...), names)
			},
		})
	}
	return rows
}

func nothing(string) error { return nil }

func againstPeers(nodes []graph.Node, reps int) Result {
	works := []measure.Work{library.Whole(nodes, nothing)}
	var names []string
	first := math.Inf(1)
	for _, p := range peer.All { // one that is hopeless takes its time only once
		w := p.Work(nodes, nothing)
		w.Take()
		ns := w.Take().Nanoseconds
		if first = min(first, ns); ns < 4*first {
			works, names = append(works, w), append(names, p.Name)
		}
	}
	for i := range works {
		works[i].Runs = 100
	}
	return worst(measure.Interleave(reps, works...), names)
}

// worst is the highest ratio of the first series to one of the others.
func worst(series []measure.Series, names []string) Result {
	worst := Result{}
	for i, s := range series[1:] {
		if r := series[0].Ratio(s); r > worst.Value {
			worst = Result{r, detail(series[0], s) + ", " + names[i]}
		}
	}
	return worst
}
