package state_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/examples/stack/internal/state"
	"github.com/steptask/scheduler/journal"
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

	require.NoError(t, s.SetUnwell(ctx, "web", "because"))
	require.NoError(t, s.AddSignal(ctx, "web", state.Signal{ID: "1"}))
	require.NoError(t, s.OwnDirectory(ctx, "dir"))
	require.NoError(t, s.Close())

	s = open(t, path)
	unwell, err := s.Unwell(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"web": "because"}, unwell)
	require.NoError(t, s.ForgetUnwell(ctx))
	unwell, err = s.Unwell(ctx)
	require.NoError(t, err)
	require.Empty(t, unwell)
	signals, err := s.Signals(ctx, "web")
	require.NoError(t, err)
	require.Len(t, signals, 1)
	owns, err := s.OwnsDirectory(ctx, "dir")
	require.NoError(t, err)
	require.True(t, owns)

	require.NoError(t, s.Remove())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestStore_Run: what the journal says of each resource.
func TestStore_Run(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer s.Close()
	run, err := s.Run(ctx)
	require.NoError(t, err)
	require.Equal(t, state.Run{}, run)

	deps := scheduler.NewDependencies[string]()
	deps.Add("web", "port")
	for _, name := range []string{"half", "none", "sick", "site/page"} {
		deps.Add(name)
	}
	known := func(data state.Values) state.Known {
		return state.Known{Type: "T", Properties: state.Values{"n": int64(1), "f": 2.0, "list": []any{"<&>"}}, Data: data}
	}
	task := func(n *journal.Node[string]) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if n.Key() == "none" {
				return errors.New("before anything was made")
			}
			for _, data := range []state.Values{{"path": "x", "pid": nil}, {"pid": int64(7)}} {
				if _, err := journal.Step(co, "s", func(context.Context) (state.Known, error) { return known(data), nil }); err != nil {
					return err
				}
			}
			if n.Key() == "half" {
				return errors.New("no such luck")
			}
			return n.SetResult(known(state.Values{"more": "y"}))
		})
	}
	o := &journal.GroupOptions[string]{}
	o.Group.AggregateErrors = true
	up, err := journal.NewGroup(s.Journal(), "source", deps, task, o)
	require.NoError(t, err)
	require.Error(t, scheduler.Run(ctx, up, nil))
	require.NoError(t, s.SetUnwell(ctx, "sick", "it coughs"))

	record := func(name string, status state.Status, data state.Values) state.Record {
		return state.Record{Name: name, Known: known(data), Status: status, Complete: status == state.Created}
	}
	all := state.Values{"path": "x", "pid": int64(7), "more": "y"}
	half := record("half", state.CreateFailed, state.Values{"path": "x", "pid": int64(7)})
	half.Reason = "no such luck"
	sick := record("sick", state.CheckFailed, all)
	sick.Reason, sick.Complete = "it coughs", true
	run, err = s.Run(ctx)
	require.NoError(t, err)
	require.Equal(t, state.Run{Name: "source", Records: map[string]state.Record{
		"web": record("web", state.Created, all), "port": record("port", state.Created, all), "half": half, "sick": sick,
		"site/page": record("site/page", state.Created, all),
	}}, run)

	down, err := journal.NewRollback(s.Journal(), "source", deps, func(n *journal.Node[string]) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			if n.Key() == "half" {
				return errors.New("stuck")
			}
			return nil
		})
	}, o)
	require.NoError(t, err)
	require.Error(t, scheduler.Run(ctx, down, nil))
	run, err = s.Run(ctx)
	require.NoError(t, err)
	half.Status, half.Reason = state.DeleteFailed, "stuck"
	require.Equal(t, state.Run{Name: "source", Records: map[string]state.Record{"half": half}, Deleting: true}, run)
}

// TestOpen_journalAlone: if somebody has removed the small file, the journal still has
// what there is. One that is somebody else's stays as it is.
func TestOpen_journalAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	deps := scheduler.NewDependencies[string]()
	deps.Add("web")
	run, err := journal.NewGroup(s.Journal(), "source", deps, func(*journal.Node[string]) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return nil })
	}, nil)
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), run, nil))
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(path))
	require.True(t, state.Exists(path))
	s = open(t, path)
	found, err := s.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "source", found.Name)
	require.NoError(t, s.Remove())
	require.False(t, state.Exists(path))

	other := filepath.Join(filepath.Dir(path), "s.journal")
	require.NoError(t, os.WriteFile(other, []byte("mine"), 0o600))
	_, err = state.Open(path)
	require.ErrorIs(t, err, journal.ErrNotJournal)
	text, err := os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
	require.NoFileExists(t, path)
}

// TestOpen_older: the state of an older version is refused with what to do, unless it is
// empty.
func TestOpen_older(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	require.NoError(t, open(t, path).Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE resource (name TEXT)`)
	require.NoError(t, err)
	require.NoError(t, open(t, path).Close())
	_, err = db.Exec(`INSERT INTO resource VALUES ('web')`)
	require.NoError(t, err)
	_, err = state.Open(path)
	require.ErrorContains(t, err, "state in "+path+": written by an older version")
	require.ErrorContains(t, err, `Delete the stack with "down" of that version`)
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

// TestStore_KeepReserve: what was kept for a deletion can be had.
func TestStore_KeepReserve(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	defer s.Close()
	require.NoError(t, s.KeepReserve())
	require.NoError(t, s.KeepReserve(), "it is kept already")
	require.True(t, state.GiveReserve(path))
	require.False(t, state.GiveReserve(path))
	require.False(t, state.IsFull(os.ErrNotExist))
	require.True(t, state.IsFull(&journal.FileError{Err: journal.ErrFull}))
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
