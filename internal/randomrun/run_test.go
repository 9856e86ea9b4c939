package randomrun_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/randomrun"
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
		": step", ": stop, boom", ": close", "OnError", "panic: panic of", "Stop\n", "Drain", "Cancel: ", "Interrupt",
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
