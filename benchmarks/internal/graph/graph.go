// Package graph makes the graphs that are measured. The same call makes the
// same graph, everywhere and always.
package graph

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Graph is a graph of numbered nodes. Edge e says that node Requirer[e]
// requires node Required[e].
type Graph struct {
	Name     string
	N        int
	Requirer []int32
	Required []int32
	Spans    []time.Duration // how long each node takes, of a recorded run; else nil
}

// Shape is one of the ways to make a graph of about n nodes. Nodes are in
// topological order.
type Shape struct {
	Name string
	Make func(n int) *Graph
}

// Shapes are those that can be made in any size.
var Shapes = []Shape{
	{"wide", Wide},
	{"chain", Chain},
	{"layered", Layered},
	{"dense", Dense},
	{"random", Random},
	{"fan-in", FanIn},
}

func (g *Graph) edge(requirer, required int) {
	g.Requirer = append(g.Requirer, int32(requirer))
	g.Required = append(g.Required, int32(required))
}

// Wide has no edges.
func Wide(n int) *Graph { return &Graph{Name: "wide", N: n} }

// Chain is a single path.
func Chain(n int) *Graph {
	g := &Graph{Name: "chain", N: n}
	for i := 1; i < n; i++ {
		g.edge(i, i-1)
	}
	return g
}

// Layered has layers of a thousand nodes, fewer in a small graph. Each node
// requires three of the layer before.
func Layered(n int) *Graph {
	g := &Graph{Name: "layered", N: n}
	width := max(min(1000, n/10), 3)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := width; i < n; i++ {
		below := i/width*width - width
		a := rnd.IntN(width)
		for e := range 3 { // three that differ
			g.edge(i, below+(a+e*(width/3))%width)
		}
	}
	return g
}

// Dense has layers of 32 nodes that all require the whole layer before. With
// 1024 nodes it is 32 by 32.
func Dense(n int) *Graph {
	const width = 32
	n = max((n+width/2)/width, 1) * width
	g := &Graph{Name: "dense", N: n}
	for i := width; i < n; i++ {
		below := i/width*width - width
		for e := range width {
			g.edge(i, below+e)
		}
	}
	return g
}

// Random has edges from each node to up to three before it.
func Random(n int) *Graph {
	g := &Graph{Name: "random", N: n}
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := 1; i < n; i++ {
		a, b, c := rnd.IntN(i), rnd.IntN(i), rnd.IntN(i)
		g.edge(i, a)
		if b != a {
			g.edge(i, b)
		}
		if c != a && c != b {
			g.edge(i, c)
		}
	}
	return g
}

// FanIn has one node that requires all others.
func FanIn(n int) *Graph {
	g := &Graph{Name: "fan-in", N: n}
	for i := range n - 1 {
		g.edge(n-1, i)
	}
	return g
}

// renumbered gives node i the number to[i].
func (g *Graph) renumbered(name string, to func(i int32) int32) *Graph {
	r := &Graph{Name: g.Name + " " + name, N: g.N}
	for e := range g.Requirer {
		r.edge(int(to(g.Requirer[e])), int(to(g.Required[e])))
	}
	return r
}

// Turned has the nodes numbered in the opposite order, so that what is required
// comes last.
func (g *Graph) Turned() *Graph {
	return g.renumbered("turned", func(i int32) int32 { return int32(g.N) - 1 - i })
}

// Shuffled has the nodes numbered in no order at all.
func (g *Graph) Shuffled() *Graph {
	to := rand.New(rand.NewPCG(5, 6)).Perm(g.N)
	return g.renumbered("shuffled", func(i int32) int32 { return int32(to[i]) })
}

// EdgesShuffled has the same edges in no order at all.
func (g *Graph) EdgesShuffled() *Graph {
	r := g.renumbered("edges shuffled", func(i int32) int32 { return i })
	rand.New(rand.NewPCG(7, 8)).Shuffle(len(r.Requirer), func(a, b int) {
		r.Requirer[a], r.Requirer[b] = r.Requirer[b], r.Requirer[a]
		r.Required[a], r.Required[b] = r.Required[b], r.Required[a]
	})
	return r
}

// FirstEdges has only the first n edges and the nodes that are on them.
func (g *Graph) FirstEdges(n int) *Graph {
	r := &Graph{Name: g.Name, Requirer: g.Requirer[:n], Required: g.Required[:n]}
	for e := range n {
		r.N = max(r.N, int(max(g.Requirer[e], g.Required[e]))+1)
	}
	return r
}

// Numbers returns the nodes' keys as numbers.
func (g *Graph) Numbers() []int {
	keys := make([]int, g.N)
	for i := range keys {
		keys[i] = i
	}
	return keys
}

// Names returns the nodes' keys as strings.
func (g *Graph) Names() []string {
	keys := make([]string, g.N)
	for i := range keys {
		keys[i] = fmt.Sprintf("resource-%d", i)
	}
	return keys
}

// Rows are edges in compressed rows: from node i to To[Start[i]:Start[i+1]].
type Rows struct {
	Start, To []int32
	Degree    []int32 // how many edges lead to each node
}

// Rows returns the edges from what is required to the requirers, or the other
// way.
func (g *Graph) Rows(reverse bool) *Rows {
	from, to := g.Required, g.Requirer
	if reverse {
		from, to = to, from
	}
	r := &Rows{Start: make([]int32, g.N+1), To: make([]int32, len(to)), Degree: make([]int32, g.N)}
	for e := range from {
		r.Start[from[e]+1]++
		r.Degree[to[e]]++
	}
	for i := range g.N {
		r.Start[i+1] += r.Start[i]
	}
	next := append([]int32(nil), r.Start...)
	for e, i := range from {
		r.To[next[i]] = to[e]
		next[i]++
	}
	return r
}

// Node is a node as a program has it before it knows of any graph.
type Node struct {
	Key      string
	Requires []string
}

// Nodes returns the nodes by number.
func (g *Graph) Nodes() []Node {
	keys, rows := g.Names(), g.Rows(true)
	nodes := make([]Node, g.N)
	for i := range nodes {
		nodes[i].Key = keys[i]
		for _, j := range rows.To[rows.Start[i]:rows.Start[i+1]] {
			nodes[i].Requires = append(nodes[i].Requires, keys[j])
		}
	}
	return nodes
}

// Levels returns the length of the longest path to each node, in nodes before
// it, and the number of levels. The graph must be in topological order.
func (g *Graph) Levels() (level []int, n int) {
	level = make([]int, g.N)
	rows := g.Rows(false)
	for i := range g.N {
		for _, j := range rows.To[rows.Start[i]:rows.Start[i+1]] {
			level[j] = max(level[j], level[i]+1)
		}
		n = max(n, level[i]+1)
	}
	return level, n
}
