package proof_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExhaustive_growth runs every graph of up to 4 nodes in which each requires
// earlier ones, with the last nodes added while it runs: all at once or one by one,
// from outside before each step in turn, or by the first node in its steps. The
// whole trace is the model's.
func TestExhaustive_growth(t *testing.T) {
	t.Parallel()
	largest, outcomes := 4, exhaustiveOutcomes
	if isReduced() {
		largest = 3
	}
	x := &exhaustive{t: t}
	for n := 1; n <= largest; n++ {
		graphs := growingGraphs(n)
		require.Len(t, graphs, []int{1, 1, 2, 8, 64}[n])
		if n == 4 {
			outcomes = []modelLeaf{exhaustiveOutcomes[0], exhaustiveOutcomes[3], exhaustiveOutcomes[4]}
		}
		x.graphs(graphs, func(w *exhaustiveWorker, requires [][]int) {
			for first := range n {
				w.deps = modelDependencies(requires[:first])
				eachOutcome(outcomes, n, func(nodes []*modelSpec) {
					for variant := range 4 {
						w.compareGrowth(&modelGroup{
							requires: requires[:first], late: requires[first:], nodes: nodes, open: true,
							aggregate: variant&1 != 0, grace: int64(variant & 2),
						})
					}
				})
			}
		})
	}
	t.Logf("%d runs, all graphs of up to %d nodes, each as the model says", x.runs.Load(), largest)
}

// compareGrowth compares runs of a group to which its late nodes are added at
// different times.
func (w *exhaustiveWorker) compareGrowth(g *modelGroup) {
	late := len(g.late)
	for step := 1; step <= 3; step++ {
		for apart := range 2 { // all before the same step, or before one after the other
			run := &modelRun{wait: 1, root: &modelSpec{id: 9, group: g}}
			for i := range late + 1 { // the last one closes the input
				run.ops = append(run.ops, modelOp{step: step + apart*i, what: modelAdd})
			}
			w.compare(run)
		}
	}
	if len(g.requires) == 0 {
		return
	}
	adding := *g
	adding.nodes = append([]*modelSpec{}, g.nodes...)
	leaf := *g.nodes[0].leaf
	leaf.acts = nil
	for range late + 1 {
		leaf.acts = append(leaf.acts, modelAct{does: modelNext, adds: 1})
	}
	leaf.acts = append(leaf.acts, g.nodes[0].leaf.acts...)
	adding.nodes[0] = &modelSpec{id: 0, leaf: &leaf}
	w.compare(&modelRun{wait: 1, root: &modelSpec{id: 9, group: &adding}})
}
