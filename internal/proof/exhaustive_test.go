package proof_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// This file leaves nothing to chance: all small graphs, with all outcomes of
// their nodes. What goes wrong in a large group usually does in a small one.

// exhaustiveOutcomes are the ways of a node: it ends at once, ends after a step,
// fails at its start, fails later, or parks for some time.
var exhaustiveOutcomes = []modelLeaf{
	{},
	{acts: []modelAct{{does: modelNext}}},
	{acts: []modelAct{{does: modelFails}}},
	{acts: []modelAct{{does: modelNext}, {does: modelFails}}, closeFails: true},
	{acts: []modelAct{{does: modelAfter, n: 3}}, stops: true},
}

// isReduced reports whether the largest graphs are left out: with the race
// detector and with -short.
func isReduced() bool { return exhaustiveReduced || testing.Short() }

// unlessReduced returns how many runs a test makes, given the number with the
// race detector.
func unlessReduced(all, reduced int) int {
	if exhaustiveReduced {
		return reduced
	}
	return all
}

// exhaustive compares runs with the model, in as many goroutines as there are
// processors, a graph at a time.
type exhaustive struct {
	t      *testing.T
	runs   atomic.Int64
	failed atomic.Bool
}

// exhaustiveWorker is one of the goroutines. It keeps the memory of its traces.
type exhaustiveWorker struct {
	*exhaustive
	cases         int
	deps          *scheduler.Dependencies[int]
	engine, model []byte
}

func (x *exhaustive) graphs(graphs [][][]int, each func(w *exhaustiveWorker, requires [][]int)) {
	var wg sync.WaitGroup
	todo := make(chan [][]int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			w := &exhaustiveWorker{exhaustive: x}
			for requires := range todo {
				if !x.failed.Load() {
					w.deps = modelDependencies(requires)
					each(w, requires)
				}
			}
		})
	}
	for _, requires := range graphs {
		todo <- requires
	}
	close(todo)
	wg.Wait()
}

// compare runs both sides. The engine's groups share deps, and so what is
// worked out of it once. With the race detector it takes one case of five: a run is on
// one goroutine, and there is little to see but that runs share nothing.
func (w *exhaustiveWorker) compare(run *modelRun) {
	if w.cases++; exhaustiveReduced && w.cases%5 != 0 {
		return
	}
	w.runs.Add(1)
	engine, model := newModelEngineOf(run, w.deps), newModelModel(run)
	engine.b, model.b = w.engine[:0], w.model[:0]
	w.engine, w.model = run.drive(engine), run.drive(model)
	if string(w.engine) != string(w.model) && w.failed.CompareAndSwap(false, true) {
		w.t.Errorf("the model:\n%s\nthe engine:\n%s\n%s", w.model, w.engine, run)
	}
}

// newModelEngineOf is newModelEngine for a run whose root is a group of deps.
func newModelEngineOf(run *modelRun, deps *scheduler.Dependencies[int]) *modelEngine {
	e := emptyModelEngine(run)
	e.runners = []*scheduler.TaskRunner{scheduler.NewTaskRunner(e.groupOf(run.root, deps), &scheduler.RunnerOptions{
		Name: "root", Clock: &e.clock, Grace: time.Duration(run.grace),
	})}
	return e
}

// eachOutcome calls each for every way to give n nodes outcomes.
func eachOutcome(outcomes []modelLeaf, n int, each func(nodes []*modelSpec)) {
	nodes := make([]*modelSpec, n)
	var give func(k int)
	give = func(k int) {
		if k == n {
			each(nodes)
			return
		}
		for i := range outcomes {
			nodes[k] = &modelSpec{id: k, leaf: &outcomes[i]}
			give(k + 1)
		}
	}
	give(0)
}

// exhaustGraphs calls each for every acyclic graph of smallest to largest nodes, or one less where
// that is reduced, with every combination of outcomes. It returns the number of runs that
// were compared.
func exhaustGraphs(t *testing.T, smallest, largest int, outcomes []modelLeaf, each func(w *exhaustiveWorker, requires [][]int, nodes []*modelSpec)) (runs int64) {
	t.Helper()
	if isReduced() {
		largest--
	}
	x := &exhaustive{t: t}
	for n := smallest; n <= largest; n++ {
		x.graphs(allGraphs(n), func(w *exhaustiveWorker, requires [][]int) {
			eachOutcome(outcomes, n, func(nodes []*modelSpec) { each(w, requires, nodes) })
		})
	}
	t.Logf("%d runs, all graphs of up to %d nodes, each as the model says", x.runs.Load(), largest)
	return x.runs.Load()
}

// TestExhaustive runs every acyclic graph of up to 4 labelled nodes, with every
// combination of outcomes, in both directions and modes, with and without
// grace. The whole trace is the model's: steps, closes, notices, changes of
// state, times, the result, all errors.
func TestExhaustive(t *testing.T) {
	t.Parallel()
	runs := exhaustGraphs(t, 0, 4, exhaustiveOutcomes, func(w *exhaustiveWorker, requires [][]int, nodes []*modelSpec) {
		for variant := range 8 {
			w.compare(&modelRun{wait: 1, root: &modelSpec{id: 9, group: &modelGroup{
				requires: requires, nodes: nodes,
				reverse: variant&1 != 0, aggregate: variant&2 != 0, grace: int64(variant&4) / 2,
			}}})
		}
	})
	if !isReduced() {
		require.EqualValues(t, 8*(1+5+3*25+25*125+543*625), runs)
	}
}

// TestExhaustive_when runs every acyclic graph of up to 3 nodes with every
// combination of three outcomes and of conditions, in both directions and modes.
func TestExhaustive_when(t *testing.T) {
	t.Parallel()
	outcomes := []modelLeaf{
		{},
		{acts: []modelAct{{does: modelNext}, {does: modelFails}}},
		{acts: []modelAct{{does: modelSkips}}},
	}
	exhaustGraphs(t, 0, 3, outcomes, func(w *exhaustiveWorker, requires [][]int, nodes []*modelSpec) {
		for variant := range 8 {
			n := len(nodes)
			conditions := make([]modelWhen, n)
			for set, more := 0, true; more; set++ {
				more = false
				for k, rest := 0, set; k < n; k, rest = k+1, rest/modelWhens {
					conditions[k] = modelWhen(rest % modelWhens)
					more = more || conditions[k] < modelWhen(modelWhens-1)
				}
				group := &modelGroup{
					requires: requires, nodes: nodes, when: conditions,
					reverse: variant&1 != 0, aggregate: variant&2 != 0,
				}
				if variant&4 != 0 {
					group.completed = make([]bool, n)
					for k := range n {
						group.completed[k] = k == set%n
					}
				}
				w.compare(&modelRun{wait: 1, root: &modelSpec{id: 9, group: group}})
			}
		}
	})
}

// TestExhaustive_outside is the same for graphs of up to 3 nodes and three
// outcomes, with something from outside before each step in turn: an error
// thrown in, a stop, a cancel, a drain, an event, a timeout.
func TestExhaustive_outside(t *testing.T) {
	t.Parallel()
	outcomes := []modelLeaf{
		{acts: []modelAct{{does: modelNext}}},
		{acts: []modelAct{{does: modelEvent}, {does: modelObeys}}, stops: true},
		{acts: []modelAct{{does: modelAfter, n: 3}, {does: modelRounds, n: 2}, {does: modelFails}}, throws: true},
	}
	exhaustGraphs(t, 0, 3, outcomes, func(w *exhaustiveWorker, requires [][]int, nodes []*modelSpec) {
		for variant := range 8 * 6 {
			group := &modelGroup{
				requires: requires, nodes: nodes,
				reverse: variant&1 != 0, aggregate: variant&2 != 0, grace: int64(variant&4) / 2,
			}
			what := []modelWhat{modelInterrupt, modelStop, modelKill, modelDrain, modelSet, modelEarly}[variant>>3]
			for step := 1; step <= 6; step++ {
				run := &modelRun{
					wait: 1, events: 1, root: &modelSpec{id: 9, group: group},
					ops: []modelOp{{step: step, what: what}, {step: 8, what: modelSet}},
				}
				if what == modelEarly {
					run.timeout = int64(step) // no event from outside: the run's time is over
				}
				w.compare(run)
			}
		}
	})
}

// TestExhaustive_closing is the same for nodes that take time to end: one that never
// ends until it is closed, and is deaf to that for a while; one that can be thrown
// into and says then that it ends already; beside one that ends. The run is stopped,
// killed, thrown into, cut off or left alone, with limits of the nodes and without,
// and with and without grace.
func TestExhaustive_closing(t *testing.T) {
	t.Parallel()
	outcomes := []modelLeaf{
		{acts: []modelAct{{does: modelAfter, n: 2}}},
		{acts: []modelAct{{does: modelEvent, n: 1}, {does: modelEvent, n: 1}, {does: modelFails}}, deaf: 2, stops: true, closeFails: true},
		{acts: []modelAct{{does: modelEvent, n: 1}, {does: modelEnding}, {does: modelFails}}, deaf: 1, throws: true},
	}
	exhaustGraphs(t, 0, 3, outcomes, func(w *exhaustiveWorker, requires [][]int, nodes []*modelSpec) {
		for variant := range 8 * 5 {
			group := &modelGroup{requires: requires, nodes: nodes, aggregate: variant&1 != 0, grace: int64(variant & 2)}
			if variant&4 != 0 {
				group.timeouts = []int64{1, 1, 1}[:len(nodes)]
			}
			what := []modelWhat{modelStop, modelKill, modelInterrupt, modelCancelAfter, modelEarly}[variant>>3]
			for step := 1; step <= 4; step++ {
				w.compare(&modelRun{
					wait: 1, events: 2, grace: group.grace, root: &modelSpec{id: 9, group: group},
					ops: []modelOp{{step: step, what: what}, {step: 6, what: modelSet}},
				})
			}
		}
	})
}
