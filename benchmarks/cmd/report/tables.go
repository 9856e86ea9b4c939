package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/floor"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/growth"
	"github.com/steptask/scheduler/benchmarks/internal/library"
	"github.com/steptask/scheduler/benchmarks/internal/limits"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
	"github.com/steptask/scheduler/benchmarks/internal/peer"
	"github.com/steptask/scheduler/benchmarks/internal/scaling"
)

// limits compares all rows with their limits.
func (r *report) limits(context.Context) (*table, error) {
	t := &table{
		title: "Limits",
		note:  "Ratios are medians of interleaved runs; the times are those of a node, step, edge, round or call.",
		head:  []string{"what", "measured", "at most", "", "times"},
	}
	for _, row := range slices.Concat(limits.Rows(r.most()), limits.Reported(r.most())) {
		if !strings.Contains(row.Name, r.only) {
			continue
		}
		v := row.Measure(r.reps)
		most, verdict := number(row.Limit), "ok"
		switch {
		case math.IsInf(row.Limit, 1):
			most, verdict = "", "reported"
		case row.Missed(v.Value, false):
			verdict = "**missed**"
		case row.Broken(v.Value, false):
			verdict = "**broken**"
		}
		t.add(row.Name, number(v.Value), most, verdict, v.Detail)
	}
	return t, nil
}

// growth shows how the cost of each operation grows with its size.
func (r *report) growth(context.Context) (*table, error) {
	t := &table{
		title: "Growth",
		note: "Each exported operation at a size n and at ten times that. 10 × the size takes at most 13 × the time; a round that has " +
			"the same due takes as long, whatever waits.",
		head: []string{"what", "n", "time", "bytes", "time at 10 n", "bytes", "times as long", "at most"},
	}
	for _, row := range growth.Rows() {
		g := row.Measure(min(r.reps, 5))
		t.add(row.Name, limits.Power(row.N), limits.Nanoseconds(g.Small), number(g.SmallBytes),
			limits.Nanoseconds(g.Large), number(g.LargeBytes), number(g.Times), number(row.Most()))
	}
	return t, nil
}

// sizes are the sizes of graphs.
func (r *report) sizes() []int {
	if r.quick {
		return []int{10_000}
	}
	return []int{100, 1000, 10_000, 100_000, 1_000_000}
}

// often makes a sample of small work long enough to be timed.
func often(w measure.Work) measure.Work {
	w.Runs = max(100_000/w.Units, 1)
	return w
}

// shapes measures all shapes in all sizes.
func (r *report) shapes(context.Context) (*table, error) {
	t := &table{
		title: "Shapes and sizes",
		note: "Tasks of one step, int keys, forward. Nanoseconds a node, but for building, which is told for an edge. " +
			"The floor is a bare loop (Kahn's algorithm) that makes the same tasks and calls them through an interface.",
		head: []string{"shape", "nodes", "build, ns an edge", "make", "run", "allocs", "bytes", "floor", "run / floor"},
	}
	for _, shape := range graph.Shapes {
		for _, n := range r.sizes() {
			g := shape.Make(n)
			if len(g.Required) > 10_000_000 {
				continue // dense, and larger than anyone's
			}
			keys := g.Numbers()
			s := measure.Interleave(r.reps,
				often(library.Run(g, keys, library.Steps[int](1), nil)), often(floor.Kahn(g, false)),
				often(library.Make(g, keys, false)), often(library.Build(g, keys)))
			run := s[0].Median()
			build := "-"
			if len(g.Required) > 0 {
				build = number(s[3].Median().Nanoseconds)
			}
			t.add(shape.Name, limits.Power(g.N), build, number(s[2].Median().Nanoseconds), number(run.Nanoseconds),
				number(run.Allocs), number(run.Bytes), number(s[1].Median().Nanoseconds), number(s[0].Ratio(s[1])))
		}
	}
	return t, nil
}

// kinds measures the kinds of tasks.
func (r *report) kinds(context.Context) (*table, error) {
	n := 100_000
	if r.quick {
		n = 10_000
	}
	t := &table{
		title: "Kinds of tasks",
		note:  "Layers, " + limits.Power(n) + " nodes; what making the tasks takes is in it.",
		head:  []string{"task", "ns a node", "allocs", "bytes", "floor", "ratio"},
	}
	g := graph.Layered(n)
	keys := g.Numbers()
	nothing := func(context.Context) error { return nil }
	calls := library.Run(g, keys, library.Calls[int](nothing), nil)
	for _, row := range []struct {
		name        string
		work, floor measure.Work
		floorName   string
	}{
		{"one step", library.Run(g, keys, library.Steps[int](1), nil), floor.Kahn(g, false), "bare loop"},
		{"ten steps", library.Run(g, keys, library.Steps[int](10), nil), floor.Passes(n, 10), "ten passes over the tasks"},
		{"coroutine of three steps", library.Run(g, keys, library.Coroutines[int](3), nil), floor.PullWhole(n), "iter.Pull, made and run"},
		{"Blocking call", calls, floor.Goroutines(g), "goroutine and channel a node"},
	} {
		s := measure.Interleave(r.reps, row.work, row.floor)
		m := s[0].Median()
		t.add(row.name, number(m.Nanoseconds), number(m.Allocs), number(m.Bytes),
			fmt.Sprintf("%s (%s)", number(s[1].Median().Nanoseconds), row.floorName), number(s[0].Ratio(s[1])))
	}
	return t, nil
}

// keys measures types of keys, and directions.
func (r *report) keys(context.Context) (*table, error) {
	n := 1_000_000
	if r.quick {
		n = 100_000
	}
	t := &table{
		title: "Keys, directions and orders of entry",
		note: "Nanoseconds a node, " + limits.Power(n) + " nodes, tasks of one step. A graph entered in another order than that of the walk " +
			"is sorted when the first group is made of it; further groups of the same Dependencies share that.",
		head: []string{"graph", "keys", "direction", "make, first", "run"},
	}
	for _, g := range []*graph.Graph{graph.Chain(n), graph.Layered(n), graph.Random(n), graph.Layered(n).Shuffled()} {
		for _, reverse := range []bool{false, true} {
			keysRow(t, r.reps, g, "int", g.Numbers(), reverse)
			keysRow(t, r.reps, g, "string", g.Names(), reverse)
		}
	}
	return t, nil
}

func keysRow[K comparable](t *table, reps int, g *graph.Graph, name string, keys []K, reverse bool) {
	direction := "forward"
	if reverse {
		direction = "reverse"
	}
	s := measure.Interleave(reps, library.Make(g, keys, reverse),
		library.Run(g, keys, library.Steps[K](1), &scheduler.GroupOptions[K]{Reverse: reverse}))
	t.add(g.Name, name, direction, number(s[0].Median().Nanoseconds), number(s[1].Median().Nanoseconds))
}

// peers measures the peers on the same graphs.
func (r *report) peers(context.Context) (*table, error) {
	t := &table{
		title: "Peers",
		note: "Build a graph from string keys and run it, a function that does nothing at each node; nanoseconds a node, " +
			"by the wall clock: all but this library use all processors. In brackets, how many times what this library takes.",
		head: []string{"shape", "nodes", "scheduler", "allocs"},
	}
	for _, p := range peer.All {
		t.head = append(t.head, p.Name)
	}
	sizes := []int{100, 1000, 10_000}
	if r.quick {
		sizes = sizes[1:2]
	}
	for _, shape := range graph.Shapes {
		for _, n := range sizes {
			r.peersRow(t, shape.Make(n))
		}
	}
	return t, nil
}

func (r *report) peersRow(t *table, g *graph.Graph) {
	nodes := g.Nodes()
	nothing := func(string) error { return nil }
	works := []measure.Work{often(library.Whole(nodes, nothing))}
	var at [10]int // place of each peer in works
	for i, p := range peer.All {
		if p.Most == 0 || len(nodes)+len(g.Required) <= p.Most {
			at[i] = len(works)
			w := p.Work(nodes, nothing)
			if p.Most == 0 {
				w = often(w)
			}
			works = append(works, w)
		}
	}
	s := measure.Interleave(r.reps, works...)
	own := s[0].Median()
	cells := []string{g.Name, limits.Power(g.N), number(own.Nanoseconds), number(own.Allocs)}
	for i := range peer.All {
		if at[i] == 0 {
			cells = append(cells, "-")
			continue
		}
		theirs := s[at[i]]
		cells = append(cells, fmt.Sprintf("%s (%s×)", number(theirs.Median().Nanoseconds), number(1/s[0].Ratio(theirs))))
	}
	t.add(cells...)
}

// std runs Go's own build graph.
func (r *report) std(ctx context.Context) (*table, error) {
	g, err := graph.Std(ctx, !r.quick)
	if err != nil {
		return nil, err
	}
	level, levels := g.Levels()
	t := &table{
		title: "Go's own build of std",
		note: fmt.Sprintf("%d actions, %d edges, %d levels, as go build records them, with their real durations under a clock that jumps. "+
			"Makespan is what the build takes by that clock with so many actions at a time.", g.N, len(g.Required), levels),
		head: []string{"how", "at a time", "makespan", "ns an action"},
	}
	free, w := library.Replay(g, nil)
	t.add("when ready", "all", free.Round(time.Microsecond).String(), number(measure.Interleave(r.reps, often(w))[0].Median().Nanoseconds))
	longest := make([]time.Duration, levels)
	for i, span := range g.Spans {
		longest[level[i]] = max(longest[level[i]], span)
	}
	var barrier time.Duration
	for _, span := range longest {
		barrier += span
	}
	t.add("one level after the other", "all", barrier.Round(time.Microsecond).String(), "")
	for _, limit := range []int{2, 8} {
		for _, estimate := range []bool{false, true} {
			opts := &scheduler.GroupOptions[int]{Limit: limit}
			how := "key order"
			if estimate {
				opts.Estimate = func(i int) time.Duration { return g.Spans[i] }
				how = "longest remaining path first"
			}
			span, w := library.Replay(g, opts)
			t.add(how, fmt.Sprint(limit), span.Round(time.Microsecond).String(),
				number(measure.Interleave(r.reps, often(w))[0].Median().Nanoseconds))
		}
	}
	nodes := g.Nodes()
	nothing := func(string) error { return nil }
	s := measure.Interleave(r.reps, often(library.Whole(nodes, nothing)), often(peer.All[0].Work(nodes, nothing)))
	t.add("build and run, nothing to do", "", "", number(s[0].Median().Nanoseconds))
	t.add("the same, "+peer.All[0].Name, "", "", number(s[1].Median().Nanoseconds))
	return t, nil
}

// scaling shows where one goroutine stops being enough.
func (r *report) scaling(context.Context) (*table, error) {
	t := &table{
		title: "Where one goroutine stops being enough",
		note: "Steps that compute for so long, 100 ms of them in all: in steps on one goroutine, as Blocking calls, and on as " +
			"many runners as there are processors, each on its goroutine. Wall time against the bare work, and in brackets how late a " +
			"task got its step at worst that wanted one every millisecond. Last: each step written to disk before the next, which is the " +
			"least that a durable engine does.",
		head: []string{"a step computes for", "in steps", "Blocking calls", "several runners", "written down"},
	}
	spans := []time.Duration{10 * time.Microsecond, 100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond}
	if r.quick {
		spans = spans[1:3]
	}
	for _, span := range spans {
		cells := []string{span.String()}
		for _, way := range scaling.Ways {
			o := way(span, min(r.reps, 5))
			cell := number(o.Ratio) + "×"
			if o.Late > 0 {
				cell += fmt.Sprintf(" (%v)", o.Late.Round(10*time.Microsecond))
			}
			cells = append(cells, cell)
		}
		t.add(cells...)
	}
	return t, nil
}

// nodes is the table of the README: what most people ask first.
func (r *report) nodes(context.Context) (*table, error) {
	t := &table{head: []string{"1,000,000 nodes, one goroutine", "ns a node", "a bare loop", "ratio"}}
	for _, shape := range graph.Shapes[:3] {
		g := shape.Make(1_000_000)
		s := measure.Interleave(r.reps, library.Run(g, g.Numbers(), library.Steps[int](1), nil), floor.Kahn(g, false))
		t.add(shape.Name, number(s[0].Median().Nanoseconds), number(s[1].Median().Nanoseconds), number(s[0].Ratio(s[1])))
	}
	return t, nil
}
