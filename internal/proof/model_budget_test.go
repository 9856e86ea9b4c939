package proof_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestModel_budget gives the outermost group of random runs a Budget. The engine makes more
// steps then, and otherwise the model's run, which knows of no Budget: the same in the same
// order, at the same times and in the same rounds. Nothing happens from outside, which would
// come in the middle of a round; nor do steps with groups inside set events, take time or
// change a capacity, of which those hear as soon as they are stepped. (About one in 100,000
// runs differs all the same, by a notice that a group inside hears of so.)
func TestModel_budget(t *testing.T) {
	t.Parallel()
	cases, compared, longer := unlessReduced(8000, 800), 0, 0
	for seed := range uint64(cases) {
		run := randomModelRun(randomChoices(seed + 1))
		run.ops, run.timeout = nil, 0
		if run.root.group == nil {
			continue
		}
		if slices.ContainsFunc(run.root.group.nodes, (*modelSpec).hasGroup) {
			run.root.silence()
		}
		model := run.drive(newModelModel(run))
		if bytes.Contains(model, []byte(" asleep ")) || bytes.Contains(model, []byte(" order ")) {
			continue // somebody from outside wakes it, or something is done at the end of a step
		}
		plain := &steppedEngine{modelEngine: newModelEngine(run)}
		run.drive(plain)
		run.root.group.budget = 1 + int(seed%3)
		budgeted := &steppedEngine{modelEngine: newModelEngine(run)}
		engine := run.drive(budgeted)
		require.Equal(t, string(byRounds(model)), string(byRounds(engine)), "seed %d, expected is the model's\n%s", seed, run)
		compared++
		if budgeted.steps > plain.steps {
			longer++
		}
	}
	t.Logf("%d runs, of which %d took more steps", compared, longer)
	require.Greater(t, compared, cases/6)
	require.Greater(t, longer, cases/40)
}

// inside returns what a task consists of.
func (spec *modelSpec) inside() []*modelSpec {
	switch {
	case spec.group != nil:
		return spec.group.nodes
	case spec.runner != nil:
		return []*modelSpec{spec.runner.task}
	case spec.shield != nil:
		return []*modelSpec{spec.shield}
	case spec.timed != nil:
		return []*modelSpec{spec.timed.task}
	case spec.claims != nil:
		return []*modelSpec{spec.claims.task}
	case spec.retry != nil:
		return spec.retry.tasks
	}
	return append(slices.Clip(spec.first), spec.all...)
}

// hasGroup reports whether there is a group in a task, or something that is one.
func (spec *modelSpec) hasGroup() bool {
	return spec.group != nil || spec.first != nil || spec.all != nil || slices.ContainsFunc(spec.inside(), (*modelSpec).hasGroup)
}

// silence has the leaves in a task do nothing that others hear of.
func (spec *modelSpec) silence() {
	if spec.leaf != nil {
		spec.leaf.heeds = 0
		for i := range spec.leaf.acts {
			act := &spec.leaf.acts[i]
			act.touch, act.takes, act.capacity = 0, 0, 0
		}
	}
	for _, in := range spec.inside() {
		in.silence()
	}
}

// steppedEngine counts its steps.
type steppedEngine struct {
	*modelEngine
	steps int
}

func (e *steppedEngine) step() (bool, error) {
	e.steps++
	return e.modelEngine.step()
}

// byRounds returns a trace without what is written down after a step, and without calls of
// GraceFor, which is asked again in each step in which a node fails.
func byRounds(trace []byte) []byte {
	var rest []byte
	for line := range bytes.Lines(trace) {
		what := string(line)
		isOfStep := strings.HasPrefix(what, "0 uses ") || strings.HasPrefix(what, "0 started ") || strings.HasPrefix(what, "0 ended ")
		if !isOfStep && !strings.Contains(what, " asked for grace of ") {
			rest = append(rest, line...)
		}
	}
	return rest
}
