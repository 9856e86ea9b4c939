package proof_test

import (
	"slices"
	"testing"

	"github.com/steptask/scheduler"
)

// exhaustiveServices are the ways of a node of which one is a service: it is ready at
// once and ends when it is told to; later, and continues for a while; it is deaf to
// notices and to its end; it fails while it is needed. The others are jobs.
var (
	exhaustiveServices = []modelLeaf{
		{acts: []modelAct{{ready: true, does: modelEvent}, {does: modelObeys}}, stops: true, heeds: 1},
		{acts: []modelAct{{does: modelNext}, {ready: true, does: modelEvent}, {does: modelAfter, n: 1}}, stops: true, heeds: 1},
		{acts: []modelAct{{ready: true, does: modelEvent, n: 1}, {does: modelEvent, n: 1}}, deaf: 2, closeFails: true},
		{acts: []modelAct{{ready: true, does: modelAfter, n: 1}, {does: modelFails}}},
	}
	exhaustiveJobs = []modelLeaf{
		{acts: []modelAct{{does: modelAfter, n: 2}}},
		{acts: []modelAct{{does: modelNext}, {does: modelFails}}, stops: true},
		{acts: []modelAct{{ready: true, does: modelEvent}, {does: modelObeys}}, stops: true, heeds: 1},
	}
)

// TestExhaustive_services runs every acyclic graph of up to 3 nodes of which the first or
// the last entered is a service, beside jobs and another service, with each end of a run, in
// each way to treat failures, with and without graces, a limit and a condition.
func TestExhaustive_services(t *testing.T) {
	t.Parallel()
	ends := []modelWhat{
		modelEarly, modelStop, modelKill, modelInterrupt, modelCancel, modelCancelAfter, modelDrain, modelStopNode, modelSkipNode,
	}
	exhaustGraphs(t, 1, 3, exhaustiveJobs, func(w *exhaustiveWorker, requires [][]int, nodes []*modelSpec) {
		for _, at := range slices.Compact([]int{0, len(nodes) - 1}) {
			for i := range exhaustiveServices {
				served := slices.Clone(nodes)
				served[at] = &modelSpec{id: at, leaf: &exhaustiveServices[i]}
				w.eachEnd(requires, served, at, ends)
			}
		}
	})
}

// eachEnd compares the runs of a group that end in each way.
func (w *exhaustiveWorker) eachEnd(requires [][]int, nodes []*modelSpec, service int, ends []modelWhat) {
	for variant := range 9 {
		group := &modelGroup{requires: requires, nodes: nodes}
		grace := int64(0) // of the runner
		switch variant % 3 {
		case 1:
			group.grace = 3
		case 2:
			grace = 2
		}
		switch variant / 3 {
		case 1:
			group.aggregate = true
		case 2:
			group.limit = 1
			for range nodes {
				group.onError = append(group.onError, scheduler.IgnoreError)
				group.when = append(group.when, whenUsual)
				group.timeouts = append(group.timeouts, 4)
			}
		}
		for _, what := range ends {
			for _, step := range []int{2, 4} {
				w.compare(&modelRun{
					wait: 1, events: 2, grace: grace, root: &modelSpec{id: 9, group: group},
					ops: []modelOp{{step: step, what: what, n: service}, {step: 9, what: modelSet}},
				})
				if what == modelEarly {
					break
				}
			}
		}
	}
}
