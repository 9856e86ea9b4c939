package journal_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// machines is a cloud in which each node makes a machine, in a step.
type machines struct {
	made []string
	ids  []string
	fail string
}

func (m *machines) make(n node) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		name, err := journal.Step(co, "create", func(context.Context) (string, error) {
			name := fmt.Sprint(n.Key(), len(m.made))
			m.made = append(m.made, name)
			m.ids = append(m.ids, n.ID())
			return name, nil
		})
		if err != nil {
			return err
		}
		if m.fail == n.Key() {
			return errors.New("boom")
		}
		return n.SetResult(name)
	})
}

func (m *machines) redo(keys ...string) *options {
	return &options{Redo: func(n node) bool { return slices.Contains(keys, n.Key()) }}
}

// What is gone is made again: with its steps and another idempotency key. What requires it
// stays, and so does the rest.
func TestRedo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	m := &machines{}
	attempt := func(o *options) error {
		j := openFile(t, path)
		return up(t, j, "x", chain(3), m.make, o)
	}
	result := func(key string) string {
		r, err := journal.NewGroup(openFile(t, path), "x", chain(3), m.make, nil)
		require.NoError(t, err)
		defer r.Close()
		v, err := journal.Result[string](r, key)
		require.NoError(t, err)
		step, err := journal.StepResult[string](r, key, "create")
		require.NoError(t, err)
		require.Equal(t, v, step)
		return v
	}
	require.NoError(t, attempt(m.redo("n00000")), "nothing has succeeded yet")
	require.NoError(t, attempt(m.redo()))
	require.Equal(t, []string{"n000000", "n000011", "n000022"}, m.made)

	require.NoError(t, attempt(m.redo("n00000", "n00002")))
	require.Equal(t, []string{"n000000", "n000011", "n000022", "n000003", "n000024"}, m.made)
	require.Equal(t, "n000003", result("n00000"))
	require.Equal(t, "n000011", result("n00001"))
	require.Equal(t, "n000024", result("n00002"))

	// An attempt that fails goes on in the same life; the next one is another life.
	m.fail = "n00001"
	require.Error(t, attempt(m.redo("n00001")))
	require.Error(t, attempt(m.redo("n00001")), "it has not succeeded: it runs anyway")
	m.fail = ""
	require.NoError(t, attempt(nil))
	require.Equal(t, "n000015", result("n00001"))
	require.NoError(t, attempt(m.redo("n00001")))
	require.Equal(t, "n000016", result("n00001"))
	require.Len(t, m.made, 7)
	slices.Sort(m.ids)
	require.Len(t, slices.Compact(m.ids), 7, "each has a key of its own")

	// A roll-back deletes what was made last.
	j := openFile(t, path)
	var deleted []string
	back, err := journal.NewRollback(j, "x", chain(3), does(func(n node) error {
		name, err := journal.Result[string](n, n.Key())
		deleted = append(deleted, name)
		return err
	}), nil)
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), back, nil))
	require.Equal(t, []string{"n000024", "n000016", "n000003"}, deleted)
}

// A group inside a node that is run anew is a new one, for a roll-back too.
func TestRedo_of_a_node_with_a_group_inside(t *testing.T) {
	j := openNew(t)
	var did []string
	task := func(n node) scheduler.Task {
		inner, err := journal.NewSubgroup(n, "parts", wide(2), func(n node) scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				did = append(did, n.Key())
				return nil
			})
		}, nil)
		require.NoError(t, err)
		return inner
	}
	again := &options{Redo: func(node) bool { return true }}
	require.NoError(t, up(t, j, "x", wide(1), task, nil))
	require.NoError(t, up(t, j, "x", wide(1), task, nil))
	require.Equal(t, []string{"n00000", "n00001"}, did)
	require.NoError(t, up(t, j, "x", wide(1), task, again))
	require.Equal(t, []string{"n00000", "n00001", "n00000", "n00001"}, did)
	require.Contains(t, history(t, j, "x"), "15 end n00000/[2]/parts/n00000 attempt 1")
	back, err := journal.NewRollback(j, "x", wide(1), task, nil)
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), back, nil))
	require.Len(t, did, 6)
}

// A result that a failed attempt has set is not that of a later one.
func TestNode_SetResult_of_a_failed_attempt(t *testing.T) {
	j := openNew(t)
	task := func(n node) scheduler.Task {
		attempts := 0
		return scheduler.Retry(atOnce{}, func(int, error) scheduler.Task {
			inner, err := journal.NewSubgroup(n, "parts", wide(1), does(func(n node) error {
				if attempts++; attempts == 1 {
					require.NoError(t, n.SetResult("half"))
					return errors.New("boom")
				}
				return nil
			}), nil)
			require.NoError(t, err)
			return scheduler.Sequence(inner, scheduler.Func(func(context.Context) error {
				_, err := journal.Result[string](inner, "n00000")
				require.ErrorIs(t, err, journal.ErrNoResult)
				return nil
			}))
		})
	}
	require.NoError(t, up(t, j, "x", wide(1), task, nil))
}

// With SyncEnds nobody hears of a success that is not on disk, or starts because of it.
func TestSyncEnds(t *testing.T) {
	j := openNew(t)
	onFile := map[string]bool{}
	seen := 0
	o := &options{SyncEnds: true, Recorded: func(r journal.Record) {
		if r.Kind == journal.KindEnd {
			onFile[r.Node] = true
		}
	}}
	o.Group.Observer = scheduler.ObserverFunc(func(r scheduler.Record) {
		if r.Kind == scheduler.NodeChanged && r.To == scheduler.StateSucceeded {
			seen++
			require.True(t, onFile[r.Key().(string)])
		}
	})
	require.NoError(t, up(t, j, "x", layered(4, 5), noop, o))
	require.Equal(t, 20, seen)
}

// A node that waits for its end on disk has ended: whatever comes then changes nothing.
func TestSyncEnds_noticed_meanwhile(t *testing.T) {
	for name, end := range map[string]func(*scheduler.TaskRunner){
		"stop":  func(r *scheduler.TaskRunner) { r.Stop(errors.New("enough")) },
		"kill":  func(r *scheduler.TaskRunner) { r.Kill() },
		"drain": func(*scheduler.TaskRunner) {},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			j := openFile(t, path)
			ran := 0
			var release func()
			r, err := journal.NewGroup(j, "x", chain(2), does(func(node) error {
				ran++
				release = journal.HoldWrites(j)
				return nil
			}), &options{SyncEnds: true})
			require.NoError(t, err)
			runner := scheduler.NewTaskRunner(r, &scheduler.RunnerOptions{Grace: scheduler.NoLimit})
			require.NoError(t, runner.Start(t.Context(), 0))
			for ran == 0 {
				_, err := runner.Step(t.Context())
				require.NoError(t, err)
			}
			end(runner)
			if name == "drain" {
				r.Drain()
			}
			time.AfterFunc(10*time.Millisecond, release) // killed, the run waits for it
			_, err = runner.Step(t.Context())
			if err == nil {
				err = runner.RunToCompletion(t.Context(), 0)
			}
			require.Error(t, err)
			require.NoError(t, up(t, openFile(t, path), "x", chain(2), does(func(node) error { ran++; return nil }), nil))
			require.Equal(t, 2, ran, "it is not run again")
		})
	}
}

func TestSyncEnds_disk_full(t *testing.T) {
	j := openNew(t)
	large := does(func(n node) error {
		journal.LimitPages(j, 1)
		return n.SetResult(make([]byte, 1<<20))
	})
	r, err := journal.NewGroup(j, "x", wide(1), large, &options{SyncEnds: true})
	require.NoError(t, err)
	require.ErrorIs(t, scheduler.Run(t.Context(), r, nil), journal.ErrFull)
	require.NotEqual(t, scheduler.StateSucceeded, r.State("n00000"))
	journal.LimitPages(j, 1<<20)
	require.NoError(t, up(t, j, "x", wide(1), noop, nil))
}

// Sync waits for what was recorded, and for nothing else.
func TestSync(t *testing.T) {
	require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.Wrap(journal.Sync), nil), journal.ErrNoNode)
	j := openNew(t)
	var onFile []string
	task := func(node) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := journal.Sync(co); err != nil {
				return err
			}
			for _, step := range []string{"a", "b"} {
				if _, err := journal.Step(co, step, func(context.Context) (int, error) { return 1, nil }); err != nil {
					return err
				}
				if err := journal.Sync(co); err != nil {
					return err
				}
				require.Contains(t, onFile, step+"#1")
			}
			return nil
		})
	}
	o := &options{Recorded: func(r journal.Record) { onFile = append(onFile, r.Step) }}
	require.NoError(t, up(t, j, "x", wide(3), task, o))
}

func TestDependencies(t *testing.T) {
	j := openNew(t)
	_, err := journal.Dependencies[string](t.Context(), j, "x")
	require.ErrorIs(t, err, journal.ErrNoRun)
	require.NoError(t, up(t, j, "x", site(), noop, nil))
	deps, err := journal.Dependencies[string](t.Context(), j, "x")
	require.NoError(t, err)
	require.Equal(t, []string{"network", "volume", "server", "dns"}, slices.Collect(deps.All()))
	require.Equal(t, []string{"network", "volume"}, slices.Collect(deps.Requires("server")))
	require.NoError(t, up(t, j, "x", deps, noop, nil), "the graph is the same")
	_, err = journal.Dependencies[int](t.Context(), j, "x")
	require.ErrorContains(t, err, `run "x": key dns: `)

	other := site()
	other.Add("mail", "dns")
	require.NoError(t, up(t, j, "x", other, noop, &options{TakeOver: func(*journal.GraphError) error { return nil }}))
	deps, err = journal.Dependencies[string](t.Context(), j, "x")
	require.NoError(t, err)
	require.Equal(t, 5, deps.Len())

	require.NoError(t, up(t, j, "empty", wide(0), noop, nil))
	deps, err = journal.Dependencies[string](t.Context(), j, "empty")
	require.NoError(t, err)
	require.Zero(t, deps.Len())
	// The process dies before the graph is on disk.
	r, err := journal.NewGroup(j, "begun", site(), noop, nil)
	require.NoError(t, err)
	release := journal.HoldWrites(j)
	deps, err = journal.Dependencies[string](t.Context(), j, "begun")
	release()
	require.NoError(t, err)
	require.Zero(t, deps.Len())
	require.NoError(t, r.Close())
	_, err = journal.Dependencies[string](t.Context(), closedJournal(t), "x")
	requireAs[*journal.FileError](t, err)
}

func closedJournal(t *testing.T) *journal.Journal {
	t.Helper()
	j, err := journal.Open(filepath.Join(t.TempDir(), "closed.db"), nil)
	require.NoError(t, err)
	require.NoError(t, j.Close())
	return j
}
