// Package library has the library under measurement, doing what the floors and
// the peers do.
package library

import (
	"context"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// counter is a task of some steps. With none left it goes on for ever.
type counter struct{ left int }

func (c *counter) Step(context.Context) (scheduler.Yield, error) {
	c.left--
	if c.left == 0 {
		return scheduler.Done, nil
	}
	return scheduler.Next, nil
}

func (c *counter) Close() error { return nil }

// Task makes the task of a node.
type Task[K comparable] func(K) scheduler.Task

// Steps makes tasks of n steps.
func Steps[K comparable](n int) Task[K] {
	return func(K) scheduler.Task { return &counter{n} }
}

// Coroutines makes coroutines of n steps.
func Coroutines[K comparable](n int) Task[K] {
	return func(K) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			for range n - 1 {
				if err := co.Yield(scheduler.Next); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// Calls makes Blocking calls of fn.
func Calls[K comparable](fn func(ctx context.Context) error) Task[K] {
	return func(K) scheduler.Task { return scheduler.Blocking(fn) }
}

// Dependencies enters the nodes in order of number and then the edges.
func Dependencies[K comparable](g *graph.Graph, keys []K) *scheduler.Dependencies[K] {
	deps := scheduler.NewDependencies[K]()
	for _, k := range keys {
		deps.Add(k)
	}
	addEdges(deps, g, keys)
	return deps
}

func addEdges[K comparable](deps *scheduler.Dependencies[K], g *graph.Graph, keys []K) {
	for e, required := range g.Required {
		deps.Add(keys[g.Requirer[e]], keys[required])
	}
}

// settle makes Dependencies sort their edges by node, once: part of building
// them, and shared by all that is asked of them later.
func settle[K comparable](deps *scheduler.Dependencies[K], reverse bool) {
	if reverse {
		for range deps.Edges() {
			return
		}
	}
	for range deps.Leaves() {
		return
	}
}

// Build makes Dependencies of the edges. A unit is an edge.
func Build[K comparable](g *graph.Graph, keys []K) measure.Work {
	return measure.Work{Units: max(len(g.Required), 1), Ready: func() func() {
		return func() {
			deps := scheduler.NewDependencies[K]()
			addEdges(deps, g, keys)
			settle(deps, false)
			if deps.Len() > g.N {
				panic("library: more keys than nodes")
			}
		}
	}}
}

// Make makes a group of Dependencies that have sorted their edges, and know of
// no order.
func Make[K comparable](g *graph.Graph, keys []K, reverse bool) measure.Work {
	return measure.Work{Units: g.N, Ready: func() func() {
		deps := Dependencies(g, keys)
		settle(deps, reverse)
		return func() { newGroup(deps, Steps[K](1), &scheduler.GroupOptions[K]{Reverse: reverse}) }
	}}
}

// Run runs a group that was made outside of the measured time.
func Run[K comparable](g *graph.Graph, keys []K, task Task[K], opts *scheduler.GroupOptions[K]) measure.Work {
	deps := Dependencies(g, keys)
	return measure.Work{Units: g.N, Ready: func() func() {
		group := newGroup(deps, task, opts)
		return func() { drive(group) }
	}}
}

// Whole builds Dependencies from nodes as a program has them, makes a group and
// runs it with a plain function at each node.
func Whole(nodes []graph.Node, fn func(key string) error) measure.Work {
	return whole(nodes, func(k string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return fn(k) })
	})
}

// WholeCalls is Whole with a Blocking call at each node.
func WholeCalls(nodes []graph.Node, fn func(key string) error) measure.Work {
	return whole(nodes, func(k string) scheduler.Task {
		return scheduler.Blocking(func(context.Context) error { return fn(k) })
	})
}

func whole(nodes []graph.Node, task Task[string]) measure.Work {
	return measure.Work{Units: len(nodes), Parallel: true, Ready: func() func() {
		return func() {
			deps := scheduler.NewDependencies[string]()
			for i := range nodes {
				deps.Add(nodes[i].Key, nodes[i].Requires...)
			}
			run(newGroup(deps, task, nil))
		}
	}}
}

func newGroup[K comparable](
	deps *scheduler.Dependencies[K], task Task[K], opts *scheduler.GroupOptions[K],
) *scheduler.DependencyTaskGroup[K] {
	group, err := scheduler.NewDependencyTaskGroup(deps, task, opts)
	if err != nil {
		panic(err)
	}
	return group
}

// drive steps a group whose members never wait, to its end.
func drive(group scheduler.Task) { driveIn(context.Background(), group) }

func driveIn(ctx context.Context, task scheduler.Task) {
	for {
		y, err := task.Step(ctx)
		if err != nil {
			panic(err)
		}
		if y == scheduler.Done {
			return
		}
	}
}

// run runs a task as most programs do.
func run(task scheduler.Task) {
	if err := scheduler.Run(context.Background(), task, nil); err != nil {
		panic(err)
	}
}

// Observed is options with an observer that counts.
func Observed[K comparable]() *scheduler.GroupOptions[K] {
	return &scheduler.GroupOptions[K]{Observer: new(transitions)}
}

type transitions struct{ n int }

func (t *transitions) Observe(scheduler.Record) { t.n++ }

// Walk builds Dependencies from nodes as a program has them, and walks them.
func Walk(nodes []graph.Node, fn func(key string) error) measure.Work {
	return measure.Work{Units: len(nodes), Parallel: true, Ready: func() func() {
		return func() {
			err := scheduler.Walk(context.Background(), dependencies(nodes), func(_ context.Context, k string) error {
				return fn(k)
			}, nil)
			if err != nil {
				panic(err)
			}
		}
	}}
}

func dependencies(nodes []graph.Node) *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for i := range nodes {
		deps.Add(nodes[i].Key, nodes[i].Requires...)
	}
	return deps
}
