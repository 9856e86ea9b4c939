//go:build linux && (amd64 || arm64)

package journal_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// serving is a run of a service, tunnel, that has two steps once it is not needed, of a
// node that requires it, and of one that requires that node, of two steps each.
type serving struct {
	effect func(text string)
}

func (s serving) deps() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("first", "tunnel")
	deps.Add("second", "first")
	return deps
}

func (s serving) task(n node) scheduler.Task {
	if n.Key() == "tunnel" {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			s.effect(fmt.Sprintf("open %d", n.Attempt()))
			co.Ready()
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			err := s.steps(co, n, "save", "leave")
			s.effect(fmt.Sprintf("close %d", n.Attempt()))
			return err
		})
	}
	return scheduler.Wrap(func(co *scheduler.Coroutine) error { return s.steps(co, n, "a", "b") })
}

// steps does steps, each of which begins once the one before is on disk.
func (s serving) steps(co *scheduler.Coroutine, n node, names ...string) error {
	for _, name := range names {
		if _, err := journal.Step(co, name, func(context.Context) (bool, error) {
			s.effect(n.Key() + " " + name)
			return true, nil
		}); err != nil {
			return err
		}
	}
	return nil
}

var servingOptions = &options{Group: scheduler.GroupOptions[string]{Grace: scheduler.NoLimit}}

// A run with a service is killed before each write, and after the last: the service starts
// again if something is left that requires it, directly or not, before that, and ends after
// all of them. Otherwise it does not start again, even if it had not ended itself. A
// roll-back ends it for good.
func TestCrash_of_a_service_killed_at_each_write(t *testing.T) {
	j, tape := journal.OpenTaped(t, filepath.Join(t.TempDir(), "journal.db"), nil)
	s := serving{tape.Effect}
	require.NoError(t, up(t, j, "x", s.deps(), s.task, servingOptions))
	require.NoError(t, j.Close())
	require.Equal(t, []string{"open 1", "first a", "first b", "second a", "second b", "tunnel save", "tunnel leave", "close 1"}, tape.Effects(tape.Len()))
	halfDone, ending, ended := 0, 0, 0
	for n := range tape.Len() + 1 {
		dir := t.TempDir()
		tape.Killed(t, n, dir)
		path := filepath.Join(dir, "journal.db")
		f := read(t, path)
		switch {
		case f.done["tunnel end"]:
			ended++
		case f.done["second end"]:
			ending++
		case f.done["second a"] && !f.done["second b"]:
			halfDone++
		}
		requireServes(t, path, f)
	}
	require.Positive(t, halfDone, "killed between two steps of a node that uses the service")
	require.Positive(t, ending, "killed when only the service had not ended")
	require.Positive(t, ended, "killed after the end")

	for n := range tape.Len() + 1 {
		dir := t.TempDir()
		tape.Killed(t, n, dir)
		requireRolledBack(t, filepath.Join(dir, "journal.db"))
	}
}

// requireServes resumes the run, and looks at what it does.
func requireServes(t *testing.T, path string, f onFile) {
	t.Helper()
	var did []string
	s := serving{func(text string) { did = append(did, text) }}
	j := openFile(t, path)
	require.NoError(t, up(t, j, "x", s.deps(), s.task, servingOptions))
	var want []string
	for _, step := range []string{"first a", "first b", "second a", "second b", "tunnel save", "tunnel leave"} {
		if !f.done[step] {
			want = append(want, step)
		}
	}
	if f.done["second end"] {
		require.Empty(t, did)
		require.NoError(t, j.Close())
		require.True(t, read(t, path).done["tunnel end"])
		return
	}
	attempt := 1
	for f.started[fmt.Sprintf("tunnel %d", attempt)] {
		attempt++
	}
	want = append([]string{fmt.Sprintf("open %d", attempt)}, append(want, fmt.Sprintf("close %d", attempt))...)
	require.Equal(t, want, did)
	require.NoError(t, up(t, j, "x", s.deps(), s.task, servingOptions))
	require.Equal(t, want, did, "all is done")
}

// requireRolledBack rolls the run back, and looks that the service is undone last and
// only if it was started.
func requireRolledBack(t *testing.T, path string) {
	t.Helper()
	f := read(t, path)
	if len(f.started) == 0 {
		return
	}
	var want, undone []string
	for _, k := range []string{"second", "first", "tunnel"} {
		if f.started[k+" 1"] {
			want = append(want, k)
		}
	}
	j := openFile(t, path)
	undo := func() error {
		r, err := journal.NewRollback(j, "x", serving{}.deps(), does(func(n node) error {
			undone = append(undone, n.Key())
			return nil
		}), servingOptions)
		require.NoError(t, err)
		return scheduler.Run(t.Context(), r, nil)
	}
	require.NoError(t, undo())
	require.Equal(t, want, undone)
	require.NoError(t, undo())
	require.Equal(t, want, undone, "once")
	_, err := journal.NewGroup(j, "x", serving{}.deps(), noop, servingOptions)
	require.ErrorIs(t, err, journal.ErrRollingBack, "the service is not started again")
}
