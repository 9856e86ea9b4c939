package randomrun_test

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/randomrun"
	"github.com/steptask/scheduler/schedulertest"
)

// What a run does comes from its seed, and the runs have what can happen in them.
func TestPlay(t *testing.T) {
	t.Parallel()
	all := ""
	for seed := range uint64(300) {
		text := randomrun.Play(t, seed, nil)
		require.Equal(t, text, randomrun.Play(t, seed, nil), "seed %d", seed)
		all += text
	}
	for _, what := range []string{
		": step", ": stop, boom", ": close", ": throw, timed out", ": begin close", "waits: false", ": called, boom, scheduler: closed", "OnError", "panic: panic of", "Stop\n", ": attempt 2, timed out after 2s", ": attempt 2, boom", "Drain", "Cancel: ", "Interrupt",
		"group 3 node", "timed out", "succeeded", "failed", "cancelled", "skipped", scheduler.ErrDrained.Error(),
	} {
		require.True(t, strings.Contains(all, what), what)
	}
}

// An Observer of everything changes nothing.
func TestPlay_observed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		require.Equal(t, randomrun.Play(t, seed, nil), randomrun.Play(t, seed, everything{}), "seed %d", seed)
	}
}

type everything struct{}

func (everything) Wants() scheduler.Kinds {
	return scheduler.AllKinds | scheduler.KindsOf(scheduler.NodeStepped, scheduler.RoundBegun)
}

func (everything) Observe(r scheduler.Record) { _, _, _ = r.Path(), r.Task(), r.Now() }

// renamed adds nothing but a name.
type renamed struct{ scheduler.Task }

func (r renamed) Unwrap() scheduler.Task { return r.Task }
func (r renamed) String() string         { return "renamed" }

// ofOne returns a group of a task.
func ofOne(task scheduler.Task) scheduler.Task {
	deps := scheduler.NewDependencies[randomrun.WrapperKey]()
	deps.Add(randomrun.WrapperKey{})
	g, err := scheduler.NewDependencyTaskGroup(deps, func(randomrun.WrapperKey) scheduler.Task { return task }, nil)
	if err != nil {
		panic(err)
	}
	return g
}

type noBackOff struct{}

func (noBackOff) NextBackOff() time.Duration { return -1 }

// Wrapping the task of each node in something that adds nothing gives the same run,
// with an Observer and without.
func TestPlayWrapped(t *testing.T) {
	t.Parallel()
	nothing := scheduler.Func(func(context.Context) error { return nil })
	for name, wrapping := range map[string]randomrun.Wrapping{
		"renamed": {Wrap: func(task scheduler.Task) scheduler.Task { return renamed{task} }},
		"Named":   {Wrap: func(task scheduler.Task) scheduler.Task { return scheduler.Named("named", task) }},
		"recorded": {Wrap: func(task scheduler.Task) scheduler.Task {
			return schedulertest.NewRecorder(schedulertest.NewClock(time.Time{})).Task("recorded", task)
		}},
		"AsTask": {Wrap: func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) }},
		"Subrun": {Wrap: func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) }},
		"Wrap": {Wrap: func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		}},
		"Sequence": {Wrap: func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) }},
		"Finally":  {Wrap: func(task scheduler.Task) scheduler.Task { return scheduler.Finally(task, nothing) }},
		"Retry": {Wrap: func(task scheduler.Task) scheduler.Task {
			return scheduler.Retry(noBackOff{}, func(int, error) scheduler.Task { return task })
		}},
		"WithTimeout of 0": {Wrap: func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(0, task) }},
		"WithTimeout":      {Wrap: func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Hour, task) }},
		"Claiming":         {Wrap: func(task scheduler.Task) scheduler.Task { return scheduler.Claiming(nil, task) }},
		"group of one":     {Group: true, Wrap: ofOne},
		"many": {Wrap: func(task scheduler.Task) scheduler.Task {
			return renamed{scheduler.Sequence(scheduler.Named("named", scheduler.Subrun(scheduler.NewTaskRunner(renamed{task}, nil))))}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(*seeds) {
				bare := randomrun.PlayWrapped(t, seed, nil, randomrun.Wrapping{Group: wrapping.Group})
				require.Equal(t, bare, randomrun.PlayWrapped(t, seed, nil, wrapping), "seed %d", seed)
				require.Equal(t, bare, randomrun.PlayWrapped(t, seed, everything{}, wrapping), "seed %d, observed", seed)
			}
		})
	}
}

var seeds = flag.Int("seeds", 500, "random runs for each wrapper")
