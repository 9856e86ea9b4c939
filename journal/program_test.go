package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// program is a run with effects, to be crashed: each node has an effect outside of
// steps, then two steps, a and b, and a result. Every other node is a coroutine, the
// rest are calls.
type program struct {
	deps   *scheduler.Dependencies[string]
	effect func(e effect)
}

// effect is what a step has done outside.
type effect struct {
	node, step, attempt, key string
}

// bare is the step of effects that are in none.
const bare = "bare"

func (e effect) String() string { return strings.Join([]string{e.node, e.step, e.attempt, e.key}, " ") }

func parseEffect(text string) (effect, error) {
	part := strings.Split(text, " ")
	if len(part) != 4 {
		return effect{}, fmt.Errorf("torn line %q", text)
	}
	return effect{part[0], part[1], part[2], part[3]}, nil
}

func (p program) task(n node) scheduler.Task {
	do := func(step string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) {
			p.effect(effect{n.Key(), step, fmt.Sprint(n.Attempt()), n.ID()})
			return n.ID() + step, nil
		}
	}
	p.effect(effect{n.Key(), bare, fmt.Sprint(n.Attempt()), n.ID()})
	if n.Key()[len(n.Key())-1]%2 == 0 {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			a, err := journal.Step(co, "a", do("a"))
			if err != nil {
				return err
			}
			b, err := journal.Step(co, "b", do("b"))
			return errors.Join(err, p.check(n, a, b))
		})
	}
	return scheduler.Blocking(func(ctx context.Context) error {
		a, err := journal.StepIn(ctx, "a", do("a"))
		if err != nil {
			return err
		}
		b, err := journal.StepIn(ctx, "b", do("b"))
		return errors.Join(err, p.check(n, a, b))
	})
}

// check looks that steps and results are those of the node and its requirements.
func (p program) check(n node, a, b string) error {
	if a != n.ID()+"a" || b != n.ID()+"b" {
		return fmt.Errorf("steps of %s returned %q and %q", n.Key(), a, b)
	}
	for required := range p.deps.Requires(n.Key()) {
		if _, err := journal.Result[string](n, required); err != nil {
			return err
		}
	}
	return n.SetResult(n.ID())
}

// onFile is what a file has of a run.
type onFile struct {
	started map[string]bool // by node and attempt
	done    map[string]bool // by node and step; "end" for the node
}

// read reads a file as another program does.
func read(t *testing.T, path string) onFile {
	t.Helper()
	f := onFile{map[string]bool{}, map[string]bool{}}
	j, err := journal.Open(path, nil)
	require.NoError(t, err)
	for r, err := range j.Records(t.Context(), "x") {
		if errors.Is(err, journal.ErrNoRun) {
			break
		}
		require.NoError(t, err)
		switch r.Kind {
		case journal.KindStart:
			f.started[fmt.Sprintf("%s %d", r.Node, r.Attempt)] = true
		case journal.KindStep:
			f.done[r.Node+" "+strings.TrimSuffix(r.Step, "#1")] = true
		case journal.KindEnd:
			f.done[r.Node+" end"] = true
		case journal.KindGroup, journal.KindFailure, journal.KindFinish, journal.KindAdd, journal.KindReady:
		}
	}
	require.NoError(t, j.Close())
	return f
}

// causes says what has to be on file, since effects have happened that follow from
// it, and is not. A test that only compares what is recorded with what is done
// again would not notice: the process may be lucky for long.
func (f onFile) causes(deps *scheduler.Dependencies[string], effects []effect) error {
	var missing []error
	need := func(there bool, e effect, cause string) {
		if !there {
			missing = append(missing, fmt.Errorf("%v, and not on file: %s", e, cause))
		}
	}
	for _, e := range effects {
		need(f.started[e.node+" "+e.attempt], e, "its start")
		if e.step == "b" {
			need(f.done[e.node+" a"], e, "step a")
		}
		for required := range deps.Requires(e.node) {
			need(f.done[required+" end"], e, "the end of "+required)
		}
	}
	return errors.Join(missing...)
}

// again says which effects were recorded before they happened.
func (f onFile) again(effects []effect) error {
	var twice []error
	for _, e := range effects {
		if f.done[e.node+" "+e.step] || f.done[e.node+" end"] {
			twice = append(twice, fmt.Errorf("done again after it was recorded: %v", e))
		}
	}
	return errors.Join(twice...)
}

// complete says what is lost, if these are all effects of a run that has ended.
func complete(deps *scheduler.Dependencies[string], effects []effect) error {
	keys, all := map[string]string{}, map[string]bool{}
	for _, e := range effects {
		if key, ok := keys[e.node]; ok && key != e.key {
			return fmt.Errorf("another key: %v", e)
		}
		keys[e.node], all[e.node+" "+e.step] = e.key, true
	}
	if len(all) != 3*deps.Len() {
		return fmt.Errorf("lost: %d effects of %d", len(all), 3*deps.Len())
	}
	return nil
}
