package proof_test

import (
	"testing"
)

// This file leaves nothing to chance about tasks that are made of others, inside a node.

// TestExhaustive_sideBySide runs each First and each All of up to 3 tasks with every
// combination of outcomes, as a node beside one that fails, in each order, with each end of
// a run, with and without graces and a limit.
func TestExhaustive_sideBySide(t *testing.T) {
	t.Parallel()
	outcomes := []modelLeaf{
		{acts: []modelAct{{does: modelNext}}},
		{acts: []modelAct{{does: modelAfter, n: 1}, {does: modelFails}}, throws: true},
		{acts: []modelAct{{does: modelSkips}}},
		{acts: []modelAct{{does: modelEvent}, {does: modelObeys}}, stops: true, heeds: 1},
		{acts: []modelAct{{does: modelAfter, n: 3}, {does: modelAfter, n: 3}}, deaf: 1, closeFails: true},
	}
	beside := modelLeaf{acts: []modelAct{{does: modelAfter, n: 2}, {does: modelFails}}, stops: true}
	largest := 3
	if isReduced() {
		largest = 2
	}
	x := &exhaustive{t: t}
	x.graphs(allGraphs(2), func(w *exhaustiveWorker, requires [][]int) {
		for n := range largest + 1 {
			eachOutcome(outcomes, n, func(parts []*modelSpec) {
				for variant := range 16 {
					node := &modelSpec{id: 8, all: append([]*modelSpec{}, parts...)}
					if variant&1 != 0 {
						node.first, node.all = node.all, nil
					}
					group := &modelGroup{requires: requires, nodes: []*modelSpec{node, {id: 7, leaf: &beside}}}
					grace := int64(0)
					switch variant >> 1 & 3 {
					case 1:
						grace = 2
					case 2:
						group.grace = 2
					case 3:
						group.graces = []int64{1, 0}
					}
					if variant&8 != 0 {
						group.timeouts = []int64{1, 0}
					}
					w.eachOutside(grace, group)
				}
			})
		}
	})
	t.Logf("%d runs, each as the model says", x.runs.Load())
}

// eachOutside compares the runs of a group to which each thing happens from outside, at
// each of a few steps.
func (w *exhaustiveWorker) eachOutside(grace int64, group *modelGroup) {
	for _, what := range []modelWhat{modelEarly, modelStop, modelKill, modelInterrupt, modelCancel, modelSkipNode} {
		for step := 1; step <= 3; step++ {
			w.compare(&modelRun{
				wait: 1, events: 1, grace: grace, root: &modelSpec{id: 9, group: group},
				ops: []modelOp{{step: step, what: what}, {step: 6, what: modelSet}},
			})
			if what == modelEarly {
				break
			}
		}
	}
}

// TestExhaustive_claiming runs every way in which up to 3 tasks, of which some wait for
// others, claim some of a Limiter, one inside of what another has, with each end of a run
// and each change of the capacity.
func TestExhaustive_claiming(t *testing.T) {
	t.Parallel()
	exhaustClaims(t, modelAct{does: modelEvent}, func(w *exhaustiveWorker, requires [][]int, nodes []*modelSpec) {
		n := len(nodes)
		for set := range 4 << (2 * (n - 1)) {
			claiming := make([]*modelSpec, n)
			for k, node := range nodes { // weight 0 is inside of what another has
				claiming[k] = claimingSpec(set>>(2*k)&3, node)
			}
			for variant := range 2 {
				w.eachChange(&modelGroup{requires: requires, nodes: claiming, aggregate: variant == 1, grace: int64(2 * variant)})
			}
		}
	})
}

// TestExhaustive_claims runs every way in which up to 3 nodes claim some of a Limiter, one
// of them for a group inside that claims more, with each end of a run and each change of the
// capacity, and with a Limit and priorities.
func TestExhaustive_claims(t *testing.T) {
	t.Parallel()
	exhaustClaims(t, modelAct{ready: true, does: modelEvent}, func(w *exhaustiveWorker, requires [][]int, leaves []*modelSpec) {
		n := len(leaves)
		for set := range power(3, n) {
			group := modelGroup{requires: requires}
			for k, rest := 0, set; k < n; k, rest = k+1, rest/3 {
				node, weight := leaves[k], rest%3
				if weight == 0 {
					node, weight = claimingGroup(node), 1
				}
				group.nodes = append(group.nodes, node)
				group.claims = append(group.claims, []int{weight})
			}
			w.eachChange(&group)
			limited := group
			limited.limit, limited.grace, limited.aggregate = 1, 2, true
			limited.priorities = []int64{0, 1, 2}[:n]
			w.eachChange(&limited)
			if n < 3 {
				w.eachChange(&group, 2)
			}
		}
	})
}

// exhaustClaims calls each for every acyclic graph of up to 3 nodes, or 2 where that is
// reduced, with every combination of outcomes: to end after a while; to wait as said for an
// event or an order; and, in all but the largest graphs, to fail and be deaf to its close.
func exhaustClaims(t *testing.T, waits modelAct, each func(w *exhaustiveWorker, requires [][]int, leaves []*modelSpec)) {
	t.Helper()
	outcomes := []modelLeaf{
		{acts: []modelAct{{does: modelAfter, n: 1}}},
		{acts: []modelAct{waits, {does: modelObeys}}, stops: true, heeds: 1},
		{acts: []modelAct{{does: modelNext}, {does: modelFails}}, deaf: 1, closeFails: true},
	}
	largest := 3
	if isReduced() {
		largest = 2
	}
	x := &exhaustive{t: t}
	for n := 1; n <= largest; n++ {
		if n == largest {
			outcomes = outcomes[:2]
		}
		x.graphs(allGraphs(n), func(w *exhaustiveWorker, requires [][]int) {
			eachOutcome(outcomes, n, func(leaves []*modelSpec) { each(w, requires, leaves) })
		})
	}
	t.Logf("%d runs, all graphs of up to %d nodes, each as the model says", x.runs.Load(), largest)
}

func power(base, n int) int {
	p := 1
	for range n {
		p *= base
	}
	return p
}

// claimingGroup is a group of two nodes that claim some of the Limiter.
func claimingGroup(node *modelSpec) *modelSpec {
	return &modelSpec{id: 7, group: &modelGroup{requires: [][]int{nil, nil}, nodes: []*modelSpec{node, node}, claims: [][]int{{2}, {1}}}}
}

// claimingSpec is a node that claims some of the Limiter; 0 is one that first claims 1,
// and 1 more inside of that.
func claimingSpec(weight int, node *modelSpec) *modelSpec {
	if weight > 0 {
		return &modelSpec{claims: &modelClaiming{weights: []int{weight}, task: node}}
	}
	inner := &modelSpec{group: &modelGroup{requires: [][]int{nil, nil}, nodes: []*modelSpec{claimingSpec(2, node), claimingSpec(1, node)}}}
	return &modelSpec{claims: &modelClaiming{weights: []int{1}, task: inner}}
}

// eachChange compares the runs of a group that claims, to which each thing happens. The
// Limiter may have an Interval.
func (w *exhaustiveWorker) eachChange(group *modelGroup, intervals ...int64) {
	for _, op := range []modelOp{
		{what: modelEarly},
		{what: modelStop},
		{what: modelKill},
		{what: modelInterrupt},
		{what: modelCapacity, n: 0},
		{what: modelCapacity, n: 1},
		{what: modelCapacity, n: 2},
		{what: modelStopNode, n: 1},
	} {
		op.step = 1
		w.compare(&modelRun{
			wait: 1, events: 1, capacities: []int{3}, intervals: intervals, root: &modelSpec{id: 9, group: group},
			ops: []modelOp{op, {step: 5, what: modelSet}, {step: 6, what: modelCapacity, n: 3}},
		})
	}
}
