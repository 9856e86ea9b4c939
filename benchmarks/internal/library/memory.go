package library

import (
	"context"
	"runtime"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// Memory is what a group holds for each of its nodes, in bytes. The tasks
// themselves and the Dependencies are the user's and not counted, the edges as
// the group has them are.
func Memory(g *graph.Graph, y scheduler.Yield, opts *scheduler.GroupOptions[int]) (pending, started float64) {
	tasks := make([]waitingOther, g.N)
	for i := range tasks {
		tasks[i] = waitingOther{y, y}
	}
	deps := Dependencies(g, g.Numbers())
	before := measure.Heap()
	group := newGroup(deps, func(i int) scheduler.Task { return &tasks[i] }, opts)
	pending = float64(measure.Heap()-before) / float64(g.N)
	if _, err := group.Step(context.Background()); err != nil {
		panic(err)
	}
	started = float64(measure.Heap()-before) / float64(g.N)
	if err := group.Close(); err != nil {
		panic(err)
	}
	runtime.KeepAlive(deps)
	runtime.KeepAlive(tasks)
	return pending, started
}

// PendingGroup returns a group that has not started, of n nodes in layers.
func PendingGroup(n int) any {
	g := graph.Layered(n)
	return newGroup(Dependencies(g, g.Numbers()), Steps[int](1), nil)
}

// LiveTasks returns n tasks.
func LiveTasks(n int) any {
	tasks := make([]scheduler.Task, n)
	for i := range tasks {
		tasks[i] = &counter{1}
	}
	return tasks
}

// Replay runs a graph whose nodes take as long as they were recorded to, under
// a clock that jumps, with at most so many at a time if limit is above 0.
// Inside measured time only the engine works. It returns how long the run took by
// its own clock.
func Replay(g *graph.Graph, opts *scheduler.GroupOptions[int]) (makespan time.Duration, w measure.Work) {
	deps := Dependencies(g, g.Numbers())
	ready := func() (func(), *manual) {
		clock := &manual{now: time.Unix(1e9, 0)}
		group := newGroup(deps, func(i int) scheduler.Task {
			return scheduler.Pause(scheduler.After(g.Spans[i]))
		}, opts)
		return func() {
			if err := scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock}); err != nil {
				panic(err)
			}
		}, clock
	}
	run, clock := ready()
	run()
	makespan = clock.now.Sub(time.Unix(1e9, 0))
	return makespan, measure.Work{Units: g.N, Ready: func() func() { run, _ := ready(); return run }}
}
