package temporal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
)

// Graph is a dependency graph as data, for a workflow's input. It must not be changed
// while it is used.
type Graph struct {
	Nodes []Node `json:"nodes"`
}

// Node is a node of a [Graph]. For [Walk], the function given to it decides what the
// node does. [GraphWorkflow] uses whichever of Activity, Workflow, Timer, Signal and
// Graph is set; a node without any of them succeeds at once.
type Node struct {
	Key      string   `json:"key"`
	Requires []string `json:"requires,omitempty"` // keys of nodes, in any order

	Activity string          `json:"activity,omitempty"` // the type of an activity
	Workflow string          `json:"workflow,omitempty"` // the type of a child workflow
	Timer    time.Duration   `json:"timer,omitempty"`    // in nanoseconds
	Signal   string          `json:"signal,omitempty"`   // the name of a signal
	Graph    *Graph          `json:"graph,omitempty"`    // a child workflow of its own
	Queue    string          `json:"queue,omitempty"`    // the task queue; by default the workflow's
	Timeout  time.Duration   `json:"timeout,omitempty"`  // of an attempt of the activity, in nanoseconds
	Input    json.RawMessage `json:"input,omitempty"`
}

// Hash identifies the graph. A different order of nodes, or of a node's requirements,
// is a different graph.
func (g Graph) Hash() (string, error) {
	text, err := encode(g)
	if err != nil {
		return "", fmt.Errorf("temporal: graph: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Dependencies returns the graph's edges, with the nodes in the order of Nodes. It
// fails if two nodes have the same key, or a node requires a key that no node has.
func (g Graph) Dependencies() (*scheduler.Dependencies[string], error) {
	index, err := g.index()
	if err != nil {
		return nil, err
	}
	return g.dependencies(index, nil)
}

// index returns the places of the nodes by key.
func (g Graph) index() (map[string]int, error) {
	index := make(map[string]int, len(g.Nodes))
	for i, n := range g.Nodes {
		if _, ok := index[n.Key]; ok {
			return nil, fmt.Errorf("temporal: graph: two nodes %q", n.Key)
		}
		index[n.Key] = i
	}
	return index, nil
}

// dependencies leaves out what has failed in an earlier run.
func (g Graph) dependencies(index map[string]int, leftOut Bitmap) (*scheduler.Dependencies[string], error) {
	deps := scheduler.NewDependencies[string]()
	for i, n := range g.Nodes {
		if leftOut.Has(i) {
			continue
		}
		deps.Add(n.Key)
		for _, k := range n.Requires {
			j, ok := index[k]
			if !ok {
				return nil, fmt.Errorf("temporal: graph: %q requires %q, which is no node", n.Key, k)
			}
			if !leftOut.Has(j) {
				deps.Add(n.Key, k)
			}
		}
	}
	return deps, nil
}

// Split divides a graph of ten thousand nodes or more into a graph of subgraphs, each
// run by a child workflow with its own history. Connected nodes stay together. Small
// components share a child, up to most nodes; a larger one has a child of its own,
// which continues as new. The nodes' keys are subgraph-0, subgraph-1 and so on.
func (g Graph) Split(most int) (Graph, error) {
	index, err := g.index()
	if err != nil {
		return Graph{}, err
	}
	piece := make([]int, len(g.Nodes)) // union-find
	for i := range piece {
		piece[i] = i
	}
	find := func(i int) int {
		for piece[i] != i {
			piece[i] = piece[piece[i]]
			i = piece[i]
		}
		return i
	}
	size := make([]int, len(g.Nodes))
	for i, n := range g.Nodes {
		for _, k := range n.Requires {
			j, ok := index[k]
			if !ok {
				return Graph{}, fmt.Errorf("temporal: graph: %q requires %q, which is no node", n.Key, k)
			}
			a, b := find(i), find(j)
			piece[max(a, b)] = min(a, b)
		}
	}
	for i := range g.Nodes {
		size[find(i)]++
	}
	return g.pack(find, size, most), nil
}

// pack puts pieces, known by their first node, into subgraphs.
func (g Graph) pack(find func(int) int, size []int, most int) Graph {
	var parts []*Graph
	in := make(map[int]*Graph, len(size))
	var last *Graph
	room := 0
	for i := range g.Nodes {
		root := find(i)
		part := in[root]
		if part == nil {
			if last == nil || size[root] > room {
				last, room = &Graph{}, most
				parts = append(parts, last)
			}
			part = last
			in[root] = part
			room -= size[root]
		}
		part.Nodes = append(part.Nodes, g.Nodes[i])
	}
	var whole Graph
	for i, part := range parts {
		whole.Nodes = append(whole.Nodes, Node{Key: fmt.Sprintf("subgraph-%d", i), Graph: part})
	}
	return whole
}

// Bitmap is a set of nodes, one bit for each place in [Graph.Nodes].
type Bitmap []byte

// Has reports whether node i is in the set.
func (b Bitmap) Has(i int) bool { return i >= 0 && i>>3 < len(b) && b[i>>3]>>(i&7)&1 != 0 }

// add returns b with node i.
func (b Bitmap) add(i int) Bitmap {
	for i>>3 >= len(b) {
		b = append(b, 0)
	}
	b[i>>3] |= 1 << (i & 7)
	return b
}

// encode is json.Marshal, which sorts the keys of maps.
//
//workflowcheck:ignore (it follows package reflect into the allocator)
func encode(v any) ([]byte, error) { return json.Marshal(v) }

// decode is json.Unmarshal.
//
//workflowcheck:ignore (as encode)
func decode(text []byte, v any) error { return json.Unmarshal(text, v) }
