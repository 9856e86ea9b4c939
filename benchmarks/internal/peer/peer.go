// Package peer runs the graphs with what else there is for Go: modules that are
// used as their documentation shows, and never tuned against.
package peer

import (
	"sync"

	"github.com/creachadair/taskgroup"
	"github.com/heimdalr/dag"
	"github.com/sourcegraph/conc/pool"
	"golang.org/x/sync/errgroup"

	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// Peer is another way to run a graph.
type Peer struct {
	Name string
	Run  func(nodes []graph.Node, fn func(key string) error) error
	Most int // nodes beyond which it is not measured, for its time; 0 is none
}

// Work makes Run something to be timed.
func (p Peer) Work(nodes []graph.Node, fn func(key string) error) measure.Work {
	return measure.Work{Units: len(nodes), Parallel: true, Ready: func() func() {
		return func() {
			if err := p.Run(nodes, fn); err != nil {
				panic(err)
			}
		}
	}}
}

// All are the peers.
var All = []Peer{
	{"errgroup, levels", overLevels(func() group { return new(errgroup.Group) }), 0},
	{"conc, levels", overLevels(func() group { return pool.New().WithErrors() }), 0},
	{"taskgroup, levels", overLevels(func() group { return starter{taskgroup.New(nil)} }), 0},
	Goroutines,
	{"heimdalr/dag", flow, 1000},
}

// Graphs are those that are made for graphs of any size.
var Graphs = All[:4]

// Goroutines has a goroutine and a channel for each node.
var Goroutines = Peer{"goroutine a node", goroutines, 0}

// group is what errgroup, conc and taskgroup have in common.
type group interface {
	Go(f func() error)
	Wait() error
}

// starter makes a taskgroup.Group a group: its Task is a type of its own.
type starter struct{ *taskgroup.Group }

func (s starter) Go(f func() error) { s.Group.Go(f) }

// overLevels runs one level of the graph after the other, each in a group.
func overLevels(newGroup func() group) func([]graph.Node, func(string) error) error {
	return func(nodes []graph.Node, fn func(key string) error) error {
		waits := make(map[string]int, len(nodes))
		frees := make(map[string][]string)
		var level []string
		for _, n := range nodes {
			waits[n.Key] = len(n.Requires)
			for _, r := range n.Requires {
				frees[r] = append(frees[r], n.Key)
			}
			if len(n.Requires) == 0 {
				level = append(level, n.Key)
			}
		}
		for len(level) > 0 {
			g := newGroup()
			for _, k := range level {
				g.Go(func() error { return fn(k) })
			}
			if err := g.Wait(); err != nil {
				return err
			}
			var next []string
			for _, k := range level {
				for _, q := range frees[k] {
					if waits[q]--; waits[q] == 0 {
						next = append(next, q)
					}
				}
			}
			level = next
		}
		return nil
	}
}

// goroutines has a goroutine for each node, which waits for the channels of
// those that it requires.
func goroutines(nodes []graph.Node, fn func(key string) error) error {
	done := make(map[string]chan struct{}, len(nodes))
	for _, n := range nodes {
		done[n.Key] = make(chan struct{})
	}
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for _, n := range nodes {
		wg.Go(func() {
			for _, r := range n.Requires {
				<-done[r]
			}
			if err := fn(n.Key); err != nil {
				once.Do(func() { first = err })
			}
			close(done[n.Key])
		})
	}
	wg.Wait()
	return first
}

// flow is DescendantsFlow of heimdalr/dag, which starts from a single vertex.
func flow(nodes []graph.Node, fn func(key string) error) error {
	d := dag.NewDAG()
	const start = "start"
	if err := d.AddVertexByID(start, start); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := d.AddVertexByID(n.Key, n.Key); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if len(n.Requires) == 0 {
			if err := d.AddEdge(start, n.Key); err != nil {
				return err
			}
		}
		for _, r := range n.Requires {
			if err := d.AddEdge(r, n.Key); err != nil {
				return err
			}
		}
	}
	results, err := d.DescendantsFlow(start, nil, func(_ *dag.DAG, id string, _ []dag.FlowResult) (any, error) {
		if id == start {
			return nil, nil
		}
		return nil, fn(id)
	})
	for _, r := range results {
		if r.Error != nil {
			return r.Error
		}
	}
	return err
}

// Calls makes n calls of fn with errgroup, so many at a time.
func Calls(n, limit int, fn func() error) measure.Work {
	return measure.Work{Units: n, Parallel: true, Ready: func() func() {
		return func() {
			var g errgroup.Group
			g.SetLimit(limit)
			for range n {
				g.Go(fn)
			}
			if err := g.Wait(); err != nil {
				panic(err)
			}
		}
	}}
}
