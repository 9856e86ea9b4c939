// Package limits has what the library is held to: a table of ratios, each
// measured against a floor or a peer within one run.
package limits

import (
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
		known(3, one("build and run 10 Blocking nodes / a goroutine and a channel each", 1.2, func() ratio {
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
