package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

func TestRun_is_open_once(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, other := openFile(t, path), openFile(t, path)
	r, err := journal.NewGroup(j, "x", wide(1), noop, nil)
	require.NoError(t, err)
	_, err = journal.NewGroup(other, "x", wide(1), noop, nil)
	require.ErrorIs(t, err, journal.ErrHeld)
	held := as[*journal.HeldError](t, err)
	require.Contains(t, held.Owner, fmt.Sprintf("process %d ", os.Getpid()))
	require.Contains(t, err.Error(), `journal: run "x" is open in process `)
	require.ErrorIs(t, other.Delete(t.Context(), "x"), journal.ErrHeld)

	require.NoError(t, r.Close())
	require.NoError(t, r.Close(), "once more")
	_, err = r.Step(t.Context())
	require.ErrorIs(t, err, scheduler.ErrEnded)
	require.NoError(t, up(t, other, "x", wide(1), noop, nil))
}

func TestRun_through_another_name_of_the_file_is_the_same(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "journal.db"), filepath.Join(dir, "link.db")
	j := openFile(t, path)
	require.NoError(t, os.Symlink(path, link))
	r, err := journal.NewGroup(j, "x", wide(1), noop, nil)
	require.NoError(t, err)
	_, err = journal.NewGroup(openFile(t, link), "x", wide(1), noop, nil)
	require.ErrorIs(t, err, journal.ErrHeld)
	require.NoError(t, r.Close())
}

func TestRun_leaves_no_lock_behind(t *testing.T) {
	dir := t.TempDir()
	j := openFile(t, filepath.Join(dir, "journal.db"))
	require.NoError(t, up(t, j, "x", wide(1), noop, nil))
	locks, err := filepath.Glob(filepath.Join(dir, "*.lock"))
	require.NoError(t, err)
	require.Empty(t, locks)
}

// A lock that does not hold, as on some network file systems: the epoch fences the
// older one off.
func TestRun_that_was_taken_over_writes_nothing_more(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openFile(t, path)
	a, err := journal.NewGroup(j, "x", wide(2), noop, nil)
	require.NoError(t, err)
	require.NoError(t, os.Remove(journal.LockPath(j, "x")))
	b, err := journal.NewGroup(j, "x", wide(2), noop, nil)
	require.NoError(t, err)
	err = scheduler.Run(t.Context(), a, nil)
	require.ErrorIs(t, err, journal.ErrFenced)
	require.ErrorContains(t, err, `run "x": another process has taken the run over`)
	require.NoError(t, scheduler.Run(t.Context(), b, nil))
	require.Len(t, history(t, j, "x"), 6)
}

// Such as one whose context had ended before it was run.
func TestRun_that_never_began_is_closed_with_its_journal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(path, nil)
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := journal.NewGroup(j, "x", wide(1), noop, nil)
	require.NoError(t, err)
	require.ErrorIs(t, scheduler.Run(ended, r, nil), context.Canceled)
	require.NoError(t, j.Close())
	_, err = r.Step(t.Context())
	require.ErrorContains(t, err, "already closed")
	require.NoError(t, r.Close())
	require.NoError(t, up(t, openFile(t, path), "x", wide(1), noop, nil))
}

func TestJournal_Close_with_a_run_that_goes_on(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "x", wide(1), does(func(node) error {
		require.ErrorIs(t, j.Close(), journal.ErrOpenRuns)
		return nil
	}), nil))
}

func TestNewGroup_misuse(t *testing.T) {
	j := openNew(t)
	isOption := func(err error) {
		t.Helper()
		requireAs[*scheduler.OptionError](t, err)
	}
	_, err := journal.NewGroup(j, "", wide(1), noop, nil)
	isOption(err)
	_, err = journal.NewGroup[string](j, "x", nil, noop, nil)
	isOption(err)
	_, err = journal.NewGroup[string](j, "x", wide(1), nil, nil)
	isOption(err)
	_, err = journal.NewGroup(j, "x", wide(1), noop, &options{Group: scheduler.GroupOptions[string]{Limit: -1}})
	isOption(err)
	_, err = journal.NewGroup[string](nil, "x", wide(1), noop, nil)
	isOption(err)
	_, err = journal.NewSubgroup[string, string](nil, "x", wide(1), noop, nil)
	isOption(err)
	require.Panics(t, func() {
		_, _ = journal.NewGroup(j, "x", wide(1), noop, &options{Group: scheduler.GroupOptions[string]{
			Completed: func(string) bool { panic("boom") },
		}})
	})
	cycle := wide(1)
	cycle.Add("n00000", "n00000")
	_, err = journal.NewGroup(j, "x", cycle, noop, nil)
	requireAs[*scheduler.CircularDependencyError[string]](t, err)
	requireNoRuns(t, j)
}
