package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler/journal"
)

func TestRemove(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [dir]?")
	require.NoError(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "journal.db")
	names := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	strangers := []string{"journal.db.lock", "journal.db.mine.lock", "journal.db.0123456789abcdeg.lock", "journal.db2"}
	for _, name := range strangers {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, journal.Remove(path), "there is none")

	j, err := journal.Open(path, nil)
	require.NoError(t, err)
	r, err := journal.NewGroup(j, "x", wide(1), noop, nil)
	require.NoError(t, err)
	require.ErrorIs(t, journal.Remove(path), journal.ErrHeld)
	require.FileExists(t, path)
	require.NoError(t, r.Close())
	require.NoError(t, j.Close())
	// As a process that was killed leaves it.
	for _, suffix := range []string{"-wal", "-shm", ".0123456789abcdef.lock", ".fedcba9876543210.lock"} {
		require.NoError(t, os.WriteFile(path+suffix, nil, 0o600))
	}
	require.NoError(t, journal.Remove(path))
	require.ElementsMatch(t, strangers, names())
	require.NoError(t, journal.Remove(filepath.Join(dir, "no", "such")))
	require.Error(t, journal.Remove(filepath.Join(path+"2", "x")), "below a file")
}
