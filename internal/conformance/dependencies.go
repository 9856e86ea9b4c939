package conformance

import (
	"cmp"
	"iter"
	"slices"

	"github.com/steptask/scheduler"
)

// answers asks a graph all queries of a scenario: FORMAT.md, section 7.
func (s *scenario) answers() *observation {
	graph := recordedGraph{graphOf(s.Edges)}
	seen := &observation{}
	for _, q := range s.Queries {
		seen.Answers = append(seen.Answers, newJSONLine(graph.answer(q)))
	}
	return seen
}

// graphOf adds edges as the format gives them.
func graphOf(edges [][2]*string) *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for _, edge := range edges {
		if edge[1] == nil {
			deps.Add(*edge[0])
		} else {
			deps.Add(*edge[0], *edge[1])
		}
	}
	return deps
}

// recordedGraph answers as the format wants it.
type recordedGraph struct {
	*scheduler.Dependencies[string]
}

// graphAnswer has the fields that the format gives the answer to a query.
type graphAnswer map[string]any

func (g recordedGraph) answer(q querySpec) graphAnswer {
	switch q.Q {
	case "nodes":
		return graphAnswer{"list": keysOf(g.Nodes())}
	case "order":
		return g.order(g.All())
	case "reverse_order":
		return g.order(g.Backward())
	case "leaves":
		return graphAnswer{"list": keysOf(g.Leaves())}
	case "roots":
		return graphAnswer{"list": keysOf(g.Roots())}
	case "edges":
		return graphAnswer{"edges": g.edges()}
	case "reverse_edges":
		return graphAnswer{"edges": g.reverseEdges()}
	case "translate":
		return g.translate(q.Map)
	}
	// The others fail for a key that is not known; ours give nothing for it.
	if !g.Contains(q.Key) {
		return graphAnswer{"error": "KeyError"}
	}
	switch q.Q {
	case "requires":
		return graphAnswer{"set": sortedKeys(g.Requires(q.Key))}
	case "required_by":
		return graphAnswer{"set": sortedKeys(g.RequiredBy(q.Key))}
	case "subgraph":
		above := recordedGraph{g.From(q.Key)}
		return graphAnswer{"edges": above.edges(), "set": sortedKeys(above.Nodes())}
	}
	panic("no query: " + q.Q)
}

// order is the part of an order up to a cycle, and the error if there is one.
func (g recordedGraph) order(keys iter.Seq[string]) graphAnswer {
	answer := graphAnswer{"list": keysOf(keys)}
	if err := g.Validate(); err != nil {
		answer["error"] = (&replay{}).name(err)
	}
	return answer
}

func (g recordedGraph) translate(names map[string]string) graphAnswer {
	translated := recordedGraph{scheduler.Translate(g.Dependencies, func(key string) string {
		return cmp.Or(names[key], key)
	})}
	return graphAnswer{
		"edges":  translated.edges(),
		"set":    sortedKeys(translated.Nodes()),
		"cyclic": translated.Validate() != nil,
	}
}

// edges are all pairs of requirer and required.
func (g recordedGraph) edges() [][2]*string { return g.pairs(g.Edges()) }

// reverseEdges are the edges of the reversed graph.
func (g recordedGraph) reverseEdges() [][2]*string {
	return g.pairs(func(yield func(string, string) bool) {
		for required := range g.Nodes() {
			for requirer := range g.RequiredBy(required) {
				if !yield(required, requirer) {
					return
				}
			}
		}
	})
}

// pairs sorts edges. A node without any makes a pair with nothing.
func (g recordedGraph) pairs(edges iter.Seq2[string, string]) [][2]*string {
	pairs := [][2]*string{} // not nil: no edges are an empty list, not null
	connected := map[string]bool{}
	for from, to := range edges {
		pairs = append(pairs, [2]*string{&from, &to})
		connected[from], connected[to] = true, true
	}
	for key := range g.Nodes() {
		if !connected[key] {
			pairs = append(pairs, [2]*string{&key, nil})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]*string) int {
		if order := cmp.Compare(*a[0], *b[0]); order != 0 {
			return order
		}
		return cmp.Compare(*a[1], *b[1]) // a node with two pairs has edges
	})
	return pairs
}

func keysOf(keys iter.Seq[string]) []string {
	return slices.AppendSeq([]string{}, keys) // not nil, as in pairs
}

func sortedKeys(keys iter.Seq[string]) []string {
	sorted := keysOf(keys)
	slices.Sort(sorted)
	return sorted
}
