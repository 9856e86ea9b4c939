package journal

import (
	"fmt"
	"strings"

	"github.com/steptask/scheduler"
)

// growth is what a group has to which nodes can be added.
type growth[K comparable] struct {
	taken    map[string]bool // path elements
	restored map[K]string    // lines of nodes that were added before, and not again yet
	redo     func(*Node[K]) bool
}

// grow returns the graph with the nodes that the file says were added.
func (m groupMaker[K]) grow(g *Group[K], deps *scheduler.Dependencies[K], elements map[K]string) (
	*scheduler.Dependencies[K], map[K]string, error,
) {
	g.growth = &growth[K]{taken: make(map[string]bool, len(elements)), restored: map[K]string{}}
	m.log.mu.Lock()
	filed := m.log.graphs[m.path]
	m.log.mu.Unlock()
	if filed != nil && !g.changed && len(filed.added) > 0 {
		whole := scheduler.NewDependencies[K]()
		for k := range deps.Nodes() {
			whole.Add(k)
		}
		for k := range deps.Nodes() {
			for q := range deps.Requires(k) {
				whole.Add(k, q)
			}
		}
		if err := addTo(whole, m.log.name, filed.added); err != nil {
			return nil, nil, err
		}
		_, all, err := graphOf(m.log.name, whole)
		if err != nil {
			return nil, nil, err
		}
		for k, element := range all {
			if line, added := filed.lines[element]; added {
				g.growth.restored[k] = line
			}
		}
		deps, elements = whole, all
	}
	for _, element := range elements {
		g.growth.taken[element] = true
	}
	return deps, elements, nil
}

// Add adds a node, as [scheduler.DependencyTaskGroup.Add] does, and records it. When
// the run is opened again, the node is in the group from the beginning; adding it
// again, with the same requirements, does nothing. If the key cannot be written as
// JSON, or its JSON is that of another key, the error is a [*ValueError].
func (g *Group[K]) Add(k K, required ...K) error {
	if g == nil {
		return errNoGroup
	}
	if g.growth == nil {
		return g.DependencyTaskGroup.Add(k, required...) // refuses it
	}
	part, err := element(k)
	if err != nil {
		return &ValueError{Run: g.log.name, What: fmt.Sprintf("key %v", k), Err: err}
	}
	line := g.lineOf(part, required)
	if before, restored := g.growth.restored[k]; restored && before == line {
		delete(g.growth.restored, k)
		return nil
	}
	if g.nodes[k] != nil {
		return g.DependencyTaskGroup.Add(k, required...) // refuses it
	}
	if g.growth.taken[part] {
		return &ValueError{Run: g.log.name, What: fmt.Sprintf("key %v", k), Err: errTwins}
	}
	n := g.enter(k, part)
	switch {
	case n.own.ready:
		n.service = serviceNeeded
	case g.growth.redo != nil && n.own.state == nodeEnded:
		n.redo = g.growth.redo(n)
	}
	if err := g.DependencyTaskGroup.Add(k, required...); err != nil {
		g.leave(k)
		return err
	}
	g.growth.taken[part] = true
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	g.log.graphs[g.path].add(line)
	g.log.w.add(Record{Kind: KindAdd, Data: []byte(line), path: g.path})
	return nil
}

// lineOf returns the line of a node. What is not in the group is refused later.
func (g *Group[K]) lineOf(part string, required []K) string {
	var elements []string
	for _, q := range required {
		if n := g.nodes[q]; n != nil {
			elements = append(elements, strings.TrimPrefix(n.own.path[len(g.path):], "/"))
		}
	}
	return lineOf(part, elements)
}

func (g *Group[K]) enter(k K, part string) *Node[K] {
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	n := &Node[K]{key: k, group: g, own: g.log.node(join(g.path, part))}
	n.made = n.own
	g.nodes[k] = n
	return n
}

func (g *Group[K]) leave(k K) {
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	delete(g.nodes, k)
}
