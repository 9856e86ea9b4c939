package state_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/stretchr/testify/require"
)

func open(t *testing.T, path string) *state.Store {
	t.Helper()
	s, err := state.Open(path)
	require.NoError(t, err)
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "a dir?#", "state.db")
	require.False(t, state.Exists(path))
	s := open(t, path)
	require.True(t, state.Exists(path))

	_, known, err := s.Stack(ctx)
	require.NoError(t, err)
	require.False(t, known)
	stack := state.Stack{Template: "t.yaml", Digest: "of all"}
	require.NoError(t, s.SetStack(ctx, stack))

	rec := state.Record{
		Name: "web", Type: "Local::Process", Status: state.Creating, Requires: []string{"port"},
		Properties: map[string]any{"command": []any{"a"}}, Data: map[string]any{"pid": int64(7), "load": 2.0}, Reason: "because",
	}
	require.NoError(t, s.Save(ctx, rec))
	rec.Status = state.Created
	require.NoError(t, s.Save(ctx, rec))
	require.NoError(t, s.Save(ctx, state.Record{Name: "gone"}))
	require.NoError(t, s.AddSignal(ctx, "gone", state.Signal{ID: "1"}))
	require.NoError(t, s.Delete(ctx, "gone"))
	require.NoError(t, s.Close())

	s = open(t, path)
	got, known, err := s.Stack(ctx)
	require.NoError(t, err)
	require.True(t, known)
	require.Equal(t, stack, got)
	records, err := s.Records(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]state.Record{"web": rec}, records)
	signals, err := s.Signals(ctx, "gone")
	require.NoError(t, err)
	require.Empty(t, signals)

	require.NoError(t, s.Remove())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestStore_signals: a signal that comes twice counts once.
func TestStore_signals(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer s.Close()
	ctx := t.Context()
	for _, sig := range []state.Signal{{ID: "2", Data: "x"}, {ID: "1"}, {ID: "2", Data: "y"}} {
		require.NoError(t, s.AddSignal(ctx, "h", sig))
	}
	got, err := s.Signals(ctx, "h")
	require.NoError(t, err)
	require.ElementsMatch(t, []state.Signal{{ID: "1"}, {ID: "2", Data: "y"}}, got)
}

func TestStore_Acquire(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	defer s.Close()
	require.NoError(t, s.Acquire(ctx))
	require.NoError(t, s.Acquire(ctx), "it is ours")
	require.NoError(t, s.Release(ctx))

	parent, err := process.Find(os.Getppid())
	require.NoError(t, err)
	require.NoError(t, s.SetOwner(ctx, process.ID{PID: parent.PID, Start: "an earlier process"}))
	require.NoError(t, s.Acquire(ctx), "the owner is gone")
	require.NoError(t, s.SetOwner(ctx, parent))
	var held *state.HeldError
	require.ErrorAs(t, s.Acquire(ctx), &held)
	require.Equal(t, parent, held.Owner)
}

func TestOpen_fails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	require.NoError(t, os.WriteFile(path, []byte("this is not a database, whatever its name says"), 0o644))
	_, err := state.Open(path)
	require.ErrorContains(t, err, path)
	_, err = state.Open(filepath.Join(path, "s.db"))
	require.Error(t, err)
}

// TestStore_full: the error says which file has no room, and what was kept for a
// deletion can be had.
func TestStore_full(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	defer s.Close()
	require.NoError(t, s.KeepReserve())
	require.NoError(t, s.KeepReserve(), "it is kept already")
	require.NoError(t, s.Limit())
	err := s.Save(t.Context(), state.Record{Name: "large", Reason: strings.Repeat("x", 100_000)})
	require.ErrorContains(t, err, "state in "+path+": database or disk is full")
	require.True(t, state.IsFull(err))
	require.True(t, state.GiveReserve(path))
	require.False(t, state.GiveReserve(path))
	require.False(t, state.IsFull(os.ErrNotExist))
}

// TestOpen_ours: the file can be read by its owner only, and is taken up again
// wherever a program was killed that made it.
func TestOpen_ours(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	s := open(t, path)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), suffix)
	}
	require.NoError(t, s.Close())
	require.NoError(t, open(t, path).Remove())
	require.NoFileExists(t, path)
}
