// Package growth shows how the cost of each exported operation of the library grows
// with the size of what it works on.
package growth

import (
	"slices"

	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// Limit is how many times as long ten times the size may take.
const Limit = 13

// Row is something that is done with exported operations at two sizes.
type Row struct {
	Name string // with what n counts
	Uses string // the exported operations whose cost this is, with spaces between them
	N    int    // the smaller size; the larger one is ten times that
	// Ready makes one run of size n ready.
	Ready func(n int) (run func())
	// Constant says that the cost must not grow: a round costs what is due.
	Constant bool
	// Depth says that n is how deep things are in one another. What begins looks
	// for notices and limits in all that is around it, so ten times the depth takes
	// a little more than that.
	Depth bool
}

// Growth is what was measured for a row.
type Growth struct {
	Small, Large           float64 // nanoseconds
	SmallBytes, LargeBytes float64 // allocated
	Times                  float64 // how many times as long the large one takes
}

// Rows returns all rows.
func Rows() []Row {
	return slices.Concat(graphs(), reading(), groups(), ends(), tasks(), claims(), rounds(), small())
}

// Most is how many times as long ten times the size may take.
func (r *Row) Most() float64 {
	switch {
	case r.Constant:
		return 2
	case r.Depth:
		return 2 * Limit
	}
	return Limit
}

// Measure measures the two sizes in turn.
func (r *Row) Measure(reps int) Growth {
	work := func(n, runs int) measure.Work {
		return measure.Work{Units: 1, Runs: runs, Ready: func() func() { return r.Ready(n) }}
	}
	s := measure.Interleave(reps, work(r.N, 5), work(10*r.N, 1))
	few, many := s[0].Median(), s[1].Median()
	return Growth{
		Small: few.Nanoseconds, Large: many.Nanoseconds,
		SmallBytes: few.Bytes, LargeBytes: many.Bytes,
		Times: s[1].Ratio(s[0]),
	}
}

// must is for what cannot fail here.
func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
