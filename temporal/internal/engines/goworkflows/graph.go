package goworkflows

import "fmt"

// Graph is what to run in which order: the input of the workflow.
type Graph struct {
	Nodes    []Node `json:"nodes"`
	Attempts int    `json:"attempts"` // that each activity has, 1 or more
}

// Node is a node of a Graph.
type Node struct {
	Key      string   `json:"key"`
	Requires []string `json:"requires,omitempty"` // keys of earlier nodes
}

// Grid returns a graph of layers, each of that width: the same that servertest
// measures. A node requires two of the layer before, if that has as many.
func Grid(layers, width int) Graph {
	g := Graph{Attempts: 1}
	for i := range layers * width {
		n := Node{Key: key(i)}
		if before := (i/width - 1) * width; before >= 0 {
			n.Requires = append(n.Requires, key(before+i%width))
			if width > 1 {
				n.Requires = append(n.Requires, key(before+(i+1)%width))
			}
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g
}

func key(i int) string { return fmt.Sprintf("n%d", i) }
