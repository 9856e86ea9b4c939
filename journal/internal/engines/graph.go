package main

import (
	"fmt"

	"github.com/steptask/scheduler"
)

// graph is what each engine walks: keys in topological order.
type graph struct {
	name     string
	keys     []string
	requires map[string][]string
}

// layered returns a graph of layers: a node requires two of the layer before.
func layered(layers, width int) graph {
	g := graph{name: fmt.Sprintf("%d nodes, %d wide", layers*width, width), requires: map[string][]string{}}
	for i := range layers * width {
		k := key(i)
		g.keys = append(g.keys, k)
		if before := (i/width - 1) * width; before >= 0 {
			g.requires[k] = append(g.requires[k], key(before+i%width))
			if width > 1 {
				g.requires[k] = append(g.requires[k], key(before+(i+1)%width))
			}
		}
	}
	return g
}

func wide(n int) graph {
	g := layered(1, n)
	g.name = fmt.Sprintf("%d nodes, all at once", n)
	return g
}

func chain(n int) graph {
	g := layered(n, 1)
	g.name = fmt.Sprintf("%d nodes, one after the other", n)
	return g
}

func key(i int) string { return fmt.Sprintf("n%06d", i) }

// dependencies returns the graph as the scheduler has it.
func (g graph) dependencies() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for _, k := range g.keys {
		deps.Add(k)
		deps.Add(k, g.requires[k]...)
	}
	return deps
}
