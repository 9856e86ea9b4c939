// Package measure times pieces of work side by side.
//
// Machines are noisy, and a neighbour moves absolute times by a factor of two.
// So what is compared is measured in turn, again and again within one run, and
// what is told is the median of the ratios. Where the system tells it, time is
// that of the processor. The collector is off while the
// clock runs and collects before each sample: whoever makes more garbage is
// given that part of its cost for free, which favours no one but the peers.
package measure

import (
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// Work is something to be timed.
type Work struct {
	// Units is what one run handles: nodes, steps, edges. Times are told for
	// one of them.
	Units int

	// Ready makes one run ready, outside of the time that is measured.
	Ready func() (run func())

	// Parallel says that the work is meant to use several processors, or to
	// wait: its time is that of the wall.
	Parallel bool

	// Runs is how many runs make a sample, for those too short for the clock
	// or whose place in the cache matters; 0 is one. Each has its own Ready.
	Runs int

	// Close, if it is not nil, ends what is left after the last sample. A run that stays
	// open has each later one look for itself on the stack.
	Close func()
}

// Sample is what one unit of work took.
type Sample struct {
	Nanoseconds float64
	Allocs      float64
	Bytes       float64
}

// Take measures a sample. Allocations are those of all goroutines.
func (w Work) Take() Sample {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	if w.Runs <= 1 {
		run := w.Ready()
		runtime.GC()
		elapsed, allocs, bytes := w.counted(run)
		return w.per(elapsed, allocs, bytes)
	}
	runtime.GC()
	var total time.Duration
	for range w.Runs {
		run := w.Ready()
		total += w.timed(run)
	}
	// Apart, because counting takes away what the allocator has at hand.
	_, allocs, bytes := w.counted(w.Ready())
	return w.per(total/time.Duration(w.Runs), allocs, bytes)
}

func (w Work) timed(run func()) time.Duration {
	if w.Parallel {
		start := time.Now()
		run()
		return time.Since(start)
	}
	start := processorTime()
	run()
	return processorTime() - start
}

func (w Work) counted(run func()) (elapsed time.Duration, allocs, bytes uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	elapsed = w.timed(run)
	runtime.ReadMemStats(&after)
	return elapsed, after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

func (w Work) per(elapsed time.Duration, allocs, bytes uint64) Sample {
	n := float64(w.Units)
	return Sample{float64(elapsed.Nanoseconds()) / n, float64(allocs) / n, float64(bytes) / n}
}

// Series are the samples of one piece of work in the order they were taken.
type Series []Sample

// Interleave takes n samples of each piece of work, in turn, the first always
// followed by the others and every second time the other way round, after one
// of each that does not count.
func Interleave(n int, works ...Work) []Series {
	all := make([]Series, len(works))
	for rep := -1; rep < n; rep++ {
		for i := range works {
			if rep%2 == 0 {
				i = len(works) - 1 - i
			}
			if s := works[i].Take(); rep >= 0 {
				all[i] = append(all[i], s)
			}
		}
	}
	for _, w := range works {
		if w.Close != nil {
			w.Close()
		}
	}
	return all
}

// Median returns the median of each measure.
func (s Series) Median() Sample {
	return Sample{
		s.median(func(s Sample) float64 { return s.Nanoseconds }),
		s.median(func(s Sample) float64 { return s.Allocs }),
		s.median(func(s Sample) float64 { return s.Bytes }),
	}
}

func (s Series) median(of func(Sample) float64) float64 {
	values := make([]float64, len(s))
	for i := range s {
		values[i] = of(s[i])
	}
	return Median(values)
}

// Ratio returns the median of the ratios of the times of s and base, sample by
// sample.
func (s Series) Ratio(base Series) float64 {
	ratios := make([]float64, len(s))
	for i := range s {
		ratios[i] = s[i].Nanoseconds / base[i].Nanoseconds
	}
	return Median(ratios)
}

// Median returns the median of the values, which it sorts; 0 for none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 0 {
		return (values[mid-1] + values[mid]) / 2
	}
	return values[mid]
}

// Heap returns the bytes of live objects.
func Heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
