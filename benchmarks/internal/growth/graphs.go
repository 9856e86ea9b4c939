package growth

import (
	"context"
	"io"
	"iter"

	"github.com/steptask/scheduler"
)

// layered has nodes of a few requirements each: a hundred in a layer.
func layered(n int) *scheduler.Dependencies[int] {
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
		for j := 1; j <= 3 && i >= 100; j++ {
			deps.Add(i, i-100+(i*j)%100)
		}
	}
	return deps
}

func chain(n int) *scheduler.Dependencies[int] {
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	for i := range n - 1 {
		deps.Add(i+1, i)
	}
	return deps
}

// star has one node that requires all others, and one that they all require.
func star(n int) *scheduler.Dependencies[int] {
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i+2, 1)
		deps.Add(0, i+2)
	}
	return deps
}

func wide(n int) *scheduler.Dependencies[int] {
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
	}
	return deps
}

// on gives a graph to an operation. What is worked out once and kept is made
// beforehand.
func on(shape func(n int) *scheduler.Dependencies[int], op func(deps *scheduler.Dependencies[int], n int)) func(n int) func() {
	return func(n int) func() {
		deps := shape(n)
		check(deps.Validate())
		return func() { op(deps, n) }
	}
}

func drain[T any](seq iter.Seq[T]) {
	for range seq {
	}
}

func graphs() []Row {
	type deps = scheduler.Dependencies[int]
	return []Row{
		{Name: "enter n nodes in layers, and sort", Uses: "NewDependencies Dependencies.Add Dependencies.Validate", N: 10_000, Ready: func(n int) func() {
			return func() { check(layered(n).Validate()) }
		}},
		{Name: "enter n nodes around a hub, and sort", Uses: "Dependencies.Add", N: 10_000, Ready: func(n int) func() {
			return func() { check(star(n).Validate()) }
		}},
		{Name: "enter a map of n nodes", Uses: "DependenciesOf", N: 1000, Ready: func(n int) func() {
			m := map[int][]int{}
			for i := range n {
				m[i] = []int{max(i-1, 0), max(i-7, 0)}[:min(i, 2)]
			}
			return func() { scheduler.DependenciesOf(m) }
		}},
		{Name: "translate n nodes", Uses: "Translate", N: 1000, Ready: on(layered, func(d *deps, _ int) {
			scheduler.Translate(d, func(i int) int64 { return int64(i) })
		})},
		{Name: "all n nodes in order", Uses: "Dependencies.All Dependencies.Backward", N: 1000, Ready: on(layered, func(d *deps, _ int) {
			drain(d.All())
			drain(d.Backward())
		})},
		{
			Name: "all edges and nodes of n", Uses: "Dependencies.Edges Dependencies.Nodes Dependencies.Leaves Dependencies.Roots Dependencies.Undeclared Dependencies.Len",
			N: 10_000, Ready: on(layered, func(d *deps, _ int) {
				for range d.Edges() {
				}
				drain(d.Nodes())
				drain(d.Leaves())
				drain(d.Roots())
				drain(d.Undeclared())
				d.Len()
			}),
		},
		{Name: "ask each of n nodes", Uses: "Dependencies.Contains Dependencies.Requires Dependencies.RequiredBy", N: 1000, Ready: on(layered, func(d *deps, n int) {
			for i := range n {
				d.Contains(i)
				drain(d.Requires(i))
				drain(d.RequiredBy(i))
			}
		})},
		{Name: "ask a hub of n", Uses: "Dependencies.Requires Dependencies.RequiredBy", N: 10_000, Ready: on(star, func(d *deps, _ int) {
			drain(d.Requires(0))
			drain(d.RequiredBy(1))
		})},
		{Name: "a part of n nodes", Uses: "Dependencies.Closure Dependencies.Subset Dependencies.From", N: 10_000, Ready: on(layered, func(d *deps, n int) {
			d.Closure(n - 1)
			d.From(0)
			d.Subset(func(i int) bool { return i%2 == 0 })
		})},
		{Name: "draw n nodes", Uses: "Dependencies.String Dependencies.WriteDOT Dependencies.WriteMermaid", N: 1000, Ready: on(layered, func(d *deps, _ int) {
			_ = d.String()
			check(d.WriteDOT(io.Discard))
			check(d.WriteMermaid(io.Discard))
		})},
		{Name: "find a cycle of n", Uses: "Dependencies.Validate CircularDependencyError.Error CircularDependencyError.Is", N: 10_000, Ready: func(n int) func() {
			d := chain(n)
			d.Add(0, n-1)
			return func() {
				err := d.Validate().(*scheduler.CircularDependencyError[int]) //nolint:errorlint,forcetypeassert // that very one
				_ = err.Error()
				err.Is(scheduler.ErrCircularDependency)
			}
		}},
		{Name: "walk n nodes", Uses: "Walk", N: 1000, Ready: on(layered, func(d *deps, _ int) {
			check(scheduler.Walk(context.Background(), d, func(context.Context, int) error { return nil }, nil))
		})},
	}
}
