package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// If the file is removed or replaced during a run, its records would go where nobody can
// read them: the run fails.
func TestRun_file_gone(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"removed":            os.Remove,
		"the log is removed": func(path string) error { return os.Remove(path + "-wal") },
		"the directory is moved": func(path string) error {
			return os.Rename(filepath.Dir(path), filepath.Dir(path)+" moved")
		},
		"the directory is removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"replaced": func(path string) error {
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.Remove(path)
			}
			if err != nil {
				return err
			}
			return os.WriteFile(path, text, 0o600)
		},
		"the log is replaced": func(path string) error {
			if err := os.Remove(path + "-wal"); err != nil {
				return err
			}
			return os.WriteFile(path+"-wal", nil, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "dir")
			require.NoError(t, os.Mkdir(dir, 0o700))
			path := filepath.Join(dir, "journal.db")
			j, err := journal.Open(path, nil)
			require.NoError(t, err)
			var ran []string
			err = up(t, j, "x", chain(5), does(func(n node) error {
				ran = append(ran, n.Key())
				if n.Key() == "n00001" {
					require.NoError(t, harm(path))
				}
				return nil
			}), nil)
			require.ErrorIs(t, err, journal.ErrGone)
			require.ErrorContains(t, err, path+": the file was removed or replaced while it was open")
			require.Equal(t, []string{"n00000", "n00001"}, ran)
			_, err = journal.NewGroup(j, "y", wide(1), noop, nil)
			require.Error(t, err)
			require.NoError(t, j.Close())
		})
	}
}

// Removed before anything was recorded.
func TestNewGroup_file_gone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openFile(t, path)
	require.NoError(t, up(t, j, "x", wide(1), noop, nil))
	require.NoError(t, os.Remove(path))
	_, err := journal.NewGroup(j, "y", wide(1), noop, nil)
	require.ErrorIs(t, err, journal.ErrGone)
}

// What a removed journal has left beside it is not taken for a part of the next one.
func TestOpen_after_a_removed_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openFile(t, path)
	require.NoError(t, up(t, j, "x", wide(1), noop, nil))
	left, err := os.ReadFile(path + "-wal")
	require.NoError(t, err)
	require.NotEmpty(t, left)
	other := filepath.Join(t.TempDir(), "journal.db")
	require.NoError(t, os.WriteFile(other+"-wal", left, 0o600))
	k := openFile(t, other)
	requireNoRuns(t, k)
	require.NoError(t, up(t, k, "x", wide(1), noop, nil))
	require.Len(t, history(t, k, "x"), 4)
}

// Two runs of one name in one process, and one inside a node of the other.
func TestRun_inside_a_node(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "x", wide(1), func(node) scheduler.Task {
		_, err := journal.NewGroup(j, "x", wide(1), noop, nil)
		require.ErrorIs(t, err, journal.ErrHeld)
		inner, err := journal.NewGroup(j, "y", chain(3), noop, nil)
		require.NoError(t, err)
		return inner
	}, nil))
	require.Len(t, history(t, j, "y"), 8)
	require.Len(t, history(t, j, "x"), 4)
}
