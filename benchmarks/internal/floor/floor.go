// Package floor has what a bare program would do in place of the library: loops
// that give no guarantee at all, and stand for what the machine can do.
package floor

import (
	"iter"
	"runtime"
	"sync"

	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// Stepper is the least that a task can be: a step says whether it was the last.
// It returns a bool and nothing else, so that the floor does not pay for what
// the library's Yield holds.
type Stepper interface{ Step() bool }

// counter is a task of some steps, of the same size as the library's in these
// measurements.
type counter struct{ left int }

func (c *counter) Step() bool {
	c.left--
	return c.left == 0
}

func steps(n int) func(int) Stepper {
	return func(int) Stepper { return &counter{n} }
}

// Kahn walks the graph: it makes a node's task, a task of one step, calls it
// through an interface, and releases what waits for the node.
func Kahn(g *graph.Graph, reverse bool) measure.Work {
	rows, makeTask := g.Rows(reverse), steps(1)
	return measure.Work{Units: g.N, Ready: func() func() {
		degree := append([]int32(nil), rows.Degree...)
		queue := make([]int32, 0, g.N)
		for i, d := range degree {
			if d == 0 {
				queue = append(queue, int32(i))
			}
		}
		return func() {
			if walk(rows, degree, queue, makeTask) != g.N {
				panic("floor: not all nodes done")
			}
		}
	}}
}

//go:noinline
func walk(rows *graph.Rows, degree, queue []int32, makeTask func(int) Stepper) (done int) {
	for ; done < len(queue); done++ {
		i := queue[done]
		if !makeTask(int(i)).Step() {
			panic("floor: task of more than one step")
		}
		for _, j := range rows.To[rows.Start[i]:rows.Start[i+1]] {
			if degree[j]--; degree[j] == 0 {
				queue = append(queue, j)
			}
		}
	}
	return done
}

// Passes makes n tasks of k steps and passes over them k times; the first pass
// makes them.
func Passes(n, k int) measure.Work {
	makeTask := steps(k)
	return measure.Work{Units: n, Ready: func() func() {
		tasks := make([]Stepper, n)
		return func() {
			if makePass(tasks, makeTask) != 0 {
				panic("floor: done too early")
			}
			for range k - 2 {
				pass(tasks)
			}
			if pass(tasks) != n {
				panic("floor: not all tasks done")
			}
		}
	}}
}

//go:noinline
func makePass(tasks []Stepper, makeTask func(int) Stepper) (done int) {
	for i := range tasks {
		t := makeTask(i)
		tasks[i] = t
		if t.Step() {
			done++
		}
	}
	return done
}

//go:noinline
func pass(tasks []Stepper) (done int) {
	for _, t := range tasks {
		if t.Step() {
			done++
		}
	}
	return done
}

// Loop passes over n tasks that do not end, rounds times. A unit is a step.
func Loop(n, rounds int) measure.Work {
	tasks := make([]Stepper, n)
	for i := range tasks {
		tasks[i] = &counter{-1}
	}
	return measure.Work{Units: n * rounds, Ready: func() func() {
		return func() {
			for range rounds {
				if pass(tasks) != 0 {
					panic("floor: done")
				}
			}
		}
	}}
}

// PullSteps resumes n coroutines of iter.Pull in turn, rounds times. A unit is a
// step. stop ends them.
func PullSteps(n, rounds int) (w measure.Work, stop func()) {
	nexts, stops := make([]func() (bool, bool), n), make([]func(), n)
	for i := range nexts {
		nexts[i], stops[i] = iter.Pull(func(yield func(bool) bool) {
			for yield(false) {
			}
		})
		nexts[i]()
	}
	w = measure.Work{Units: n * rounds, Ready: func() func() {
		return func() {
			for range rounds {
				for _, next := range nexts {
					if done, ok := next(); done || !ok {
						panic("floor: coroutine ended")
					}
				}
			}
		}
	}}
	return w, func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// PullWhole makes coroutines of iter.Pull, n one after the other, and resumes
// each two times and to its end.
func PullWhole(n int) measure.Work {
	return measure.Work{Units: n, Ready: func() func() {
		return func() {
			for range n {
				pullWhole(2)
			}
		}
	}}
}

func pullWhole(steps int) {
	next, _ := iter.Pull(func(yield func(bool) bool) {
		for range steps {
			yield(false)
		}
	})
	for range steps {
		if _, ok := next(); !ok {
			panic("floor: coroutine ended")
		}
	}
	if _, ok := next(); ok {
		panic("floor: coroutine goes on")
	}
}

// Goroutines has a goroutine and a channel for each node, known by number.
func Goroutines(g *graph.Graph) measure.Work {
	rows := g.Rows(true)
	return measure.Work{Units: g.N, Parallel: true, Ready: func() func() {
		return func() {
			done := make([]chan struct{}, g.N)
			for i := range done {
				done[i] = make(chan struct{})
			}
			var wg sync.WaitGroup
			for i := range done {
				wg.Go(func() {
					for _, j := range rows.To[rows.Start[i]:rows.Start[i+1]] {
						<-done[j]
					}
					close(done[i])
				})
			}
			wg.Wait()
		}
	}}
}

// RoundTrips sends something to a goroutine by a channel and waits for its
// answer by another, n times.
func RoundTrips(n int) measure.Work {
	return measure.Work{Units: n, Parallel: true, Ready: func() func() {
		there, back := make(chan struct{}), make(chan struct{})
		return func() {
			go func() {
				for range there {
					back <- struct{}{}
				}
				close(back)
			}()
			for range n {
				there <- struct{}{}
				<-back
			}
			close(there)
			<-back
		}
	}}
}

// FillMap puts both ends of every edge into a map. A unit is an edge.
func FillMap[K comparable](g *graph.Graph, keys []K) measure.Work {
	return measure.Work{Units: len(g.Required), Ready: func() func() {
		return func() {
			m := make(map[K]int32)
			for e, required := range g.Required {
				m[keys[required]] = int32(e)
				m[keys[g.Requirer[e]]] = int32(e)
			}
			if len(m) > g.N {
				panic("floor: more keys than nodes")
			}
		}
	}}
}

// Collect runs the collector while something is live that make returns.
func Collect(make func() any) measure.Work {
	return measure.Work{Units: 1, Ready: func() func() {
		live := make()
		return func() {
			runtime.GC()
			runtime.KeepAlive(live)
		}
	}}
}
