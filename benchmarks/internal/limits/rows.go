package limits

import (
	"fmt"
	"math"

	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/library"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
	"github.com/steptask/scheduler/benchmarks/internal/peer"
)

// maker makes what is to be timed, when a row is measured and not before.
type maker = func() measure.Work

// ratio is a row whose value is the time of measured, divided by that of floor, both for
// one unit.
type ratio struct{ measured, floor maker }

func (r ratio) take(reps int) Result {
	series := measure.Interleave(reps, r.measured(), r.floor())
	return Result{series[0].Ratio(series[1]), detail(series[0], series[1])}
}

func detail(measured, floor measure.Series) string {
	return fmt.Sprintf("%s / %s", Nanoseconds(measured.Median().Nanoseconds), Nanoseconds(floor.Median().Nanoseconds))
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
			known = 2 // where other runs are open in the process; by themselves they are within their limits
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
