//go:build linux && (amd64 || arm64)

package journal_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

var crashed = layered(3, 3)

// taped runs the program once, through the layer that writes down all writes.
func taped(t *testing.T, opts *journal.Options) *journal.Tape {
	t.Helper()
	j, tape := journal.OpenTaped(t, filepath.Join(t.TempDir(), "journal.db"), opts)
	p := program{crashed, func(e effect) { tape.Effect(e.String()) }}
	require.NoError(t, up(t, j, "x", crashed, p.task, nil))
	require.NoError(t, j.Close())
	require.NoError(t, complete(crashed, happened(t, tape, tape.Len())))
	return tape
}

// happened returns the effects before operation n.
func happened(t *testing.T, tape *journal.Tape, n int) []effect {
	t.Helper()
	var effects []effect
	for _, text := range tape.Effects(n) {
		e, err := parseEffect(text)
		require.NoError(t, err)
		effects = append(effects, e)
	}
	return effects
}

// requireSound looks at files that were left behind, and if resumes is set runs the
// program on them to its end.
func requireSound(t *testing.T, dir string, before []effect, resumes bool) {
	t.Helper()
	path := filepath.Join(dir, "journal.db")
	f := read(t, path)
	require.NoError(t, f.causes(crashed, before))
	if !resumes {
		return
	}
	var mu sync.Mutex
	var after []effect
	p := program{crashed, func(e effect) {
		mu.Lock()
		defer mu.Unlock()
		after = append(after, e)
	}}
	j, err := journal.Open(path, &journal.Options{Synchronous: journal.Normal})
	require.NoError(t, err)
	require.NoError(t, up(t, j, "x", crashed, p.task, nil))
	require.NoError(t, j.Close())
	require.NoError(t, errors.Join(f.again(after), complete(crashed, append(before, after...))))
}

// resumeEach says at how many of the crashes the run is resumed: one in so many.
func resumeEach() int {
	if *long {
		return 1
	}
	return 20
}

// Killed before each write, and after the last: nothing is lost, nothing is done
// again that was recorded, and every effect's causes are on disk.
func TestCrash_killed_at_each_write(t *testing.T) {
	tape := taped(t, nil)
	for n := range tape.Len() + 1 {
		dir := t.TempDir()
		tape.Killed(t, n, dir)
		requireSound(t, dir, happened(t, tape, n), n%resumeEach() == 0)
	}
}

// Power is lost before each write: of what was not synchronized nothing is left, or
// some.
func TestCrash_power_lost_at_each_write(t *testing.T) {
	tape := taped(t, nil)
	chance := rand.New(rand.NewPCG(1, 2))
	for n := range tape.Len() + 1 {
		for _, lucky := range []float64{0, 0.5} {
			dir := t.TempDir()
			tape.PowerLost(t, n, dir, lucky, chance)
			requireSound(t, dir, happened(t, tape, n), n%resumeEach() == 0)
		}
	}
}

// A commit synchronizes once, however many records it has, and with Normal not at all: a
// link of a chain costs one wait for the disk.
func TestCrash_synchronizes_once_a_commit(t *testing.T) {
	for _, test := range []struct {
		deps *scheduler.Dependencies[string]
		opts journal.Options
		want int
	}{
		{chain(60), journal.Options{}, 61},
		{wide(60), journal.Options{}, 2},
		{chain(60), journal.Options{Synchronous: journal.Normal}, 0},
	} {
		j, tape := journal.OpenTaped(t, filepath.Join(t.TempDir(), "journal.db"), &test.opts)
		r, err := journal.NewGroup(j, "x", test.deps, noop, nil)
		require.NoError(t, err)
		before := tape.Syncs()
		require.NoError(t, scheduler.Run(t.Context(), r, nil))
		require.Equal(t, test.want, tape.Syncs()-before)
		require.NoError(t, j.Close())
	}
}

// With Normal the process may die, and a loss of power leaves a whole file, which
// may lack the last commits.
func TestCrash_normal(t *testing.T) {
	tape := taped(t, &journal.Options{Synchronous: journal.Normal})
	takenBack := false
	for n := 0; n <= tape.Len(); n += 3 {
		dir := t.TempDir()
		tape.Killed(t, n, dir)
		requireSound(t, dir, happened(t, tape, n), false)
		dir = t.TempDir()
		tape.PowerLost(t, n, dir, 0, nil)
		f := read(t, filepath.Join(dir, "journal.db"))
		takenBack = takenBack || f.causes(crashed, happened(t, tape, n)) != nil
	}
	require.True(t, takenBack, "the layer drops what was not synchronized")
}
