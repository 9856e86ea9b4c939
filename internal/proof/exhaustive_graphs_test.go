package proof_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// allGraphs returns every acyclic graph of n labelled nodes, as what each
// requires: 1, 3, 25, 543.
func allGraphs(n int) [][][]int {
	type edge struct{ from, to int }
	var edges []edge
	for from := range n {
		for to := range n {
			if from != to {
				edges = append(edges, edge{from, to})
			}
		}
	}
	var graphs [][][]int
	for set := range 1 << len(edges) {
		requires := make([][]int, n)
		for i, e := range edges {
			if set>>i&1 == 1 {
				requires[e.from] = append(requires[e.from], e.to)
			}
		}
		if isAcyclic(requires) {
			graphs = append(graphs, requires)
		}
	}
	return graphs
}

// isAcyclic takes nodes away that require nothing that is left.
func isAcyclic(requires [][]int) bool {
	gone := make([]bool, len(requires))
	for range requires {
		for k := range requires {
			free := true
			for _, q := range requires[k] {
				free = free && gone[q]
			}
			gone[k] = gone[k] || free
		}
	}
	for _, g := range gone {
		if !g {
			return false
		}
	}
	return true
}

func TestAllGraphs(t *testing.T) {
	t.Parallel()
	for n, count := range []int{1, 1, 3, 25, 543} {
		require.Len(t, allGraphs(n), count)
	}
	require.Equal(t, "[[[] []] [[1] []] [[] [0]]]", strings.ReplaceAll(fmt.Sprint(allGraphs(2)), "nil", ""))
}

// growingGraphs returns every graph of n nodes in which each requires earlier ones.
func growingGraphs(n int) (graphs [][][]int) {
	for _, requires := range allGraphs(n) {
		grows := true
		for k, required := range requires {
			for _, q := range required {
				grows = grows && q < k
			}
		}
		if grows {
			graphs = append(graphs, requires)
		}
	}
	return graphs
}
