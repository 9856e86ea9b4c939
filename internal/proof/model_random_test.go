package proof_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

var (
	modelCases   = flag.Int("model.cases", unlessReduced(20_000, 2000), "random runs of TestModel_random")
	modelSeed    = flag.Uint64("model.seed", 0, "replay one random run of TestModel_random")
	modelChoices = flag.String("model.choices", "", "replay the run of TestModel_random with these choices")
)

// randomModelRun makes a run with everything that the model knows.
func randomModelRun(c *choices) *modelRun {
	run := &modelRun{events: 1 + c.pick(2), wait: int64(c.pick(3))}
	run.services = c.one(2)
	run.combinators = c.one(2)
	run.panics = c.one(4)
	if c.one(3) {
		for range 1 + c.pick(2) {
			run.capacities = append(run.capacities, 1+c.pick(3))
		}
		if c.one(3) {
			for range run.capacities {
				run.intervals = append(run.intervals, int64(c.pick(4)))
			}
		}
	}
	run.root = run.spec(c, 3)
	run.timeout = modelSpan(c, 3)
	run.grace = int64(c.pick(3) * c.pick(5))
	for range c.pick(4) {
		run.ops = append(run.ops, modelOp{step: 1 + c.pick(12), what: modelWhat(c.pick(modelWhats)), n: c.pick(6)})
	}
	return run
}

// modelSpan is a time limit: usually none, seldom a negative one.
func modelSpan(c *choices, n int) int64 {
	if !c.one(n) {
		return 0
	}
	return int64(c.pick(12)) - 1
}

func (run *modelRun) spec(c *choices, depth int) *modelSpec {
	run.specs++
	spec := &modelSpec{id: run.specs}
	kinds := 1
	if depth > 0 {
		kinds = 5
		if run.combinators {
			kinds = 9
		}
	}
	if run.combinators && c.one(8) {
		spec.poll = run.pollSpec(c)
		return spec
	}
	if depth > 0 && len(run.capacities) > 0 && c.one(2) {
		spec.claims = &modelClaiming{weights: run.weights(c), task: run.spec(c, depth-c.pick(2))}
		return spec
	}
	switch kind := c.pick(kinds); {
	case kind == 1 || kind == 2 || depth == 3 && kind == 0:
		spec.group = run.groupSpec(c, depth-1)
	case kind == 5:
		spec.retry = run.retrySpec(c, depth-1)
	case kind == 6:
		spec.timed = &modelTimed{task: run.spec(c, depth-1), limit: modelSpan(c, 1)}
	case kind == 7:
		spec.first = run.specsOf(c, depth-1)
	case kind == 8:
		spec.all = run.specsOf(c, depth-1)
	case kind == 4:
		spec.shield = run.spec(c, depth-1)
	case kind == 3:
		spec.runner = &modelRunner{
			task: run.spec(c, depth-1), timeout: modelSpan(c, 3), asTask: modelSpan(c, 3),
			grace: int64(c.pick(3) * c.pick(5)), progressFails: c.pick(2) * c.pick(6),
		}
	default:
		spec.leaf = run.leafSpec(c)
	}
	return spec
}

func (run *modelRun) pollSpec(c *choices) *modelPoll {
	p := &modelPoll{every: int64(c.pick(4)), value: c.one(3)}
	for range c.pick(4) {
		p.calls = append(p.calls, modelCall{takes: 1 + int64(c.pick(4)), ready: c.one(4), fails: c.one(6)})
	}
	return p
}

// weights are what somebody claims of each Limiter.
func (run *modelRun) weights(c *choices) []int {
	weights := make([]int, len(run.capacities))
	for i, capacity := range run.capacities {
		weights[i] = c.pick(capacity + 1)
	}
	return weights
}

func (run *modelRun) specsOf(c *choices, depth int) []*modelSpec {
	specs := []*modelSpec{}
	for range c.pick(4) {
		specs = append(specs, run.spec(c, depth))
	}
	return specs
}

func (run *modelRun) retrySpec(c *choices, depth int) *modelRetry {
	r := &modelRetry{}
	for range c.pick(4) {
		r.tasks = append(r.tasks, run.spec(c, depth))
	}
	for range c.pick(4) {
		r.pauses = append(r.pauses, int64(c.pick(5)))
	}
	return r
}

func (run *modelRun) leafSpec(c *choices) *modelLeaf {
	leaf := &modelLeaf{throws: c.one(2), stops: c.one(2), closeFails: c.one(8)}
	if c.one(4) {
		leaf.deaf = int64(c.pick(8))
	}
	leaf.stopFails = run.panics && c.one(6)
	leaf.breaks = run.panics && c.one(8)
	kinds := modelPlainKinds
	if run.combinators {
		kinds = modelKinds
	}
	for range c.pick(5) {
		act := modelAct{does: modelDoes(c.pick(kinds)), n: c.pick(5)}
		if run.panics && c.one(10) {
			act.does = modelPanics
		}
		if c.one(6) {
			act.takes = int64(c.pick(4))
		}
		if c.one(5) {
			act.touch = c.pick(2*run.events) - run.events
			if act.touch >= 0 {
				act.touch++
			}
		}
		if c.one(4) {
			act.adds = 1 + c.pick(3)
		}
		act.notes = c.one(8)
		act.ready = run.services && c.one(4)
		if (run.services || len(run.capacities) > 0) && c.one(12) {
			act.order = c.pick(31) - 15
		}
		if len(run.capacities) > 0 && c.one(12) {
			act.capacity = 1 + c.pick(8)
		}
		leaf.acts = append(leaf.acts, act)
	}
	return leaf
}

func (run *modelRun) groupSpec(c *choices, depth int) *modelGroup {
	g := &modelGroup{reverse: c.one(2), aggregate: c.one(3)}
	g.recover = run.panics && c.one(2)
	n := c.pick(6)
	order := make([]int, n) // so that edges go either way
	for k := range n {
		at := c.pick(k + 1)
		copy(order[at+1:], order[at:k])
		order[at] = k
	}
	g.requires = make([][]int, n)
	for i := range n {
		for j := range i {
			if c.one(3) {
				g.requires[order[i]] = append(g.requires[order[i]], order[j])
			}
		}
	}
	if c.one(3) {
		g.open = true
		for range c.pick(5) {
			var requires []int
			for q := range n {
				if c.one(3) {
					requires = append(requires, q)
				}
			}
			g.late = append(g.late, requires)
			n++
		}
	}
	for range n {
		g.nodes = append(g.nodes, run.spec(c, depth))
	}
	each := func(odds int, value func() int64) []int64 {
		if !c.one(odds) {
			return nil
		}
		values := make([]int64, n)
		for k := range values {
			values[k] = value()
		}
		return values
	}
	if g.graces = each(4, func() int64 { return int64(c.pick(6)) - 1 }); g.graces == nil {
		g.grace = int64(c.pick(2) * c.pick(6))
	}
	if dispositions := each(3, func() int64 { return int64(c.pick(4)) }); dispositions != nil && !g.aggregate {
		for _, d := range dispositions {
			g.onError = append(g.onError, scheduler.Disposition(d))
		}
	}
	g.timeouts = each(4, func() int64 { return modelSpan(c, 2) })
	limits := 3
	if len(run.capacities) > 0 && c.one(2) {
		for range n {
			g.claims = append(g.claims, run.weights(c))
		}
		limits = 2
	}
	if c.one(limits) {
		g.limit = 1 + c.pick(3)
	}
	if g.limit > 0 || g.claims != nil {
		g.estimates = each(2, func() int64 { return int64(c.pick(5)) - 1 })
	}
	for _, done := range each(6, func() int64 { return int64(c.pick(2)) }) {
		g.completed = append(g.completed, done == 1)
	}
	for _, when := range each(4, func() int64 { return int64(c.pick(modelWhens)) }) {
		g.when = append(g.when, modelWhen(when))
	}
	if g.limit > 0 || g.claims != nil {
		g.priorities = each(2, func() int64 { return int64(c.pick(4)) - 1 })
	}
	return g
}

// differs reports whether the run of these choices differs from the model's.
func modelDiffers(c *choices) (differs bool) {
	defer func() { differs = differs || recover() != nil }()
	engine, model := randomModelRun(c).compare()
	return string(engine) != string(model)
}

// modelMust are what the generator must get to, each at least once in so many runs, and
// what the traces have of it.
var modelMust = []struct {
	what, seen string
	oneIn      int
}{
	{"a node is added", " adds ok", 100},
	{"a node is skipped", fmt.Sprintf("%d>%d ok", scheduler.StatePending, scheduler.StateSkipped), 40},
	{"a WithTimeout", " limit ", 40},
	{"a second attempt", " attempt 2 ", 100},
	{"a failure after which there is no attempt", "for good", 40},
	{"a Timeout after an attempt", "timeout after", 10000},
	{"one that waits for a claim beside one that has it", " uses  1/1", 400},
	{"a node that may claim something", "asked for claims of", 20},
	{"a deadlock", " deadlock", 4000},
	{"a second call of a Poll", " asks 2", 400},
	{"a panic that goes up", "0 panicked ", 400},
	{"a panic that is recovered", "panic ", 400},
	{"an All", " all @", 40},
	{"a First", " first @", 40},
	{"a task that is not needed", " stop not needed any more", 150},
}

// TestModel_random compares random runs of the engine with the model.
func TestModel_random(t *testing.T) {
	t.Parallel()
	if *modelChoices != "" {
		c, err := parseChoices(*modelChoices)
		require.NoError(t, err)
		checkModelRun(t, c)
		return
	}
	first, last := uint64(1), uint64(*modelCases)
	if *modelSeed != 0 {
		first, last = *modelSeed, *modelSeed
	}
	events := 0
	counts := make([]int, len(modelMust))
	for seed := first; seed <= last; seed++ {
		c := randomChoices(seed)
		engine, model := randomModelRun(c).compare()
		if string(engine) != string(model) {
			t.Logf("seed %d differs; replay: go test ./internal/proof -run '^TestModel_random$' -model.seed=%d", seed, seed)
			small := c.shrink(modelDiffers)
			t.Logf("smaller: go test ./internal/proof -run '^TestModel_random$' -model.choices=%s", small)
			checkModelRun(t, small)
		}
		events += strings.Count(string(engine), "\n")
		for i, must := range modelMust {
			counts[i] += strings.Count(string(engine), must.seen)
		}
	}
	for i, must := range modelMust {
		t.Logf("%s: %d", must.what, counts[i])
		if *modelSeed == 0 && *modelCases >= must.oneIn {
			require.Greater(t, counts[i], *modelCases/must.oneIn, "the generator must get to where this happens: %s", must.what)
		}
	}
	t.Logf("%d runs, %d events in the engine's traces, all as in the model's", last-first+1, events)
}

func checkModelRun(t *testing.T, c *choices) {
	t.Helper()
	run := randomModelRun(&choices{tape: append(c.tape, c.made...)})
	engine, model := run.compare()
	require.Equal(t, string(model), string(engine), "expected is the model's\n%s", run)
}
