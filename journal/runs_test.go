package journal_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

func list(t *testing.T, j *journal.Journal) []journal.RunInfo {
	t.Helper()
	var runs []journal.RunInfo
	for run, err := range j.Runs(t.Context()) {
		require.NoError(t, err)
		runs = append(runs, run)
	}
	return runs
}

func names(runs []journal.RunInfo) (names []string) {
	for _, run := range runs {
		names = append(names, run.Name)
	}
	return names
}

func TestJournal_Runs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, other := openFile(t, path), openFile(t, path)
	now := time.UnixMilli(1000)
	journal.SetClock(j, func() time.Time { return now })
	require.Empty(t, list(t, j))

	require.NoError(t, up(t, j, "good", site(), noop, nil))
	require.Error(t, up(t, j, "bad", wide(1), does(func(node) error { return errors.New("boom") }), nil))
	r, err := journal.NewGroup(j, "open", wide(3), noop, nil)
	require.NoError(t, err)
	left, err := journal.NewGroup(j, "left", wide(3), noop, nil)
	require.NoError(t, err)
	require.NoError(t, left.Close())

	for _, runs := range [][]journal.RunInfo{list(t, j), list(t, other)} {
		owner := runs[0].Owner
		require.Contains(t, owner, "process ")
		require.Equal(t, []journal.RunInfo{
			{Name: "good", State: journal.RunSucceeded, Owner: owner, Nodes: 4, Begun: now, Ended: now},
			{Name: "bad", State: journal.RunFailed, Owner: owner, Nodes: 1, Begun: now, Ended: now, Err: "n00000: boom"},
			{Name: "open", State: journal.RunUnfinished, Owner: owner, Nodes: 3, Begun: now, Open: true},
			{Name: "left", State: journal.RunUnfinished, Owner: owner, Nodes: 3, Begun: now},
		}, runs)
	}
	require.NoError(t, r.Close())
	require.Equal(t, "succeeded", journal.RunSucceeded.String())
	require.Equal(t, "unknown", journal.RunState(0).String())
	require.Equal(t, "unknown", journal.Kind(77).String())

	for _, err := range j.Runs(t.Context()) {
		require.NoError(t, err)
		break
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range j.Runs(ended) {
		require.ErrorIs(t, err, context.Canceled)
	}
}

// A list that is looked through slowly does not hold a run up.
func TestJournal_Runs_while_a_run_goes_on(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "a", wide(1), noop, nil))
	for _, err := range j.Runs(t.Context()) {
		require.NoError(t, err)
		require.NoError(t, up(t, j, "b", wide(1), noop, nil))
		for _, err := range j.Records(t.Context(), "a") {
			require.NoError(t, err)
			require.NoError(t, up(t, j, "c", wide(1), noop, nil))
			break
		}
	}
	require.Equal(t, []string{"a", "b", "c"}, names(list(t, j)))
}

func TestJournal_Records_of_no_run(t *testing.T) {
	for _, err := range openNew(t).Records(t.Context(), "x") {
		require.ErrorIs(t, err, journal.ErrNoRun)
		require.EqualError(t, err, `journal: no such run: "x"`)
	}
}

func TestJournal_Delete(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "a", wide(10), noop, nil))
	require.NoError(t, up(t, j, "b", wide(10), noop, nil))
	before := history(t, j, "b")
	require.NoError(t, j.Delete(t.Context(), "a"))
	require.ErrorIs(t, j.Delete(t.Context(), "a"), journal.ErrNoRun)
	require.Equal(t, []string{"b"}, names(list(t, j)))
	require.Equal(t, before, history(t, j, "b"))
	require.NoError(t, up(t, j, "b", wide(10), noop, nil))
}

func TestJournal_Prune(t *testing.T) {
	j := openNew(t)
	now := time.UnixMilli(0)
	journal.SetClock(j, func() time.Time { return now })
	at := func(hour int) { now = time.UnixMilli(0).Add(time.Duration(hour) * time.Hour) }
	at(1)
	require.NoError(t, up(t, j, "old", wide(1), noop, nil))
	require.Error(t, up(t, j, "failed", wide(1), does(func(node) error { return errors.New("boom") }), nil))
	open, err := journal.NewGroup(j, "open", wide(1), noop, nil)
	require.NoError(t, err)
	at(5)
	require.NoError(t, up(t, j, "new", wide(1), noop, nil))

	at(6)
	n, err := j.Prune(t.Context(), 2*time.Hour)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, []string{"failed", "open", "new"}, names(list(t, j)))
	at(2)
	n, err = j.Prune(t.Context(), -time.Hour)
	require.NoError(t, err)
	require.Zero(t, n, "by this clock it has not ended yet")
	at(6)
	n, err = j.Prune(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, open.Close())
}

// Order is that of the records: a clock that is set back changes nothing.
func TestRun_clock_set_back(t *testing.T) {
	j := openNew(t)
	hours := 100
	journal.SetClock(j, func() time.Time {
		hours--
		return time.UnixMilli(0).Add(time.Duration(hours) * time.Hour)
	})
	var ran []string
	for fails := range 3 {
		err := up(t, j, "x", chain(3), does(func(n node) error {
			ran = append(ran, n.Key())
			if n.Key() == []string{"n00001", "n00002", ""}[fails] {
				return errors.New("boom")
			}
			return nil
		}), nil)
		require.Equal(t, fails < 2, err != nil)
	}
	require.Equal(t, []string{"n00000", "n00001", "n00001", "n00002", "n00002"}, ran)
	require.Len(t, history(t, j, "x"), 14)
	run := list(t, j)[0]
	require.True(t, run.Ended.Before(run.Begun), "what the clock said")
}

// Recorded hears of each record once it is on disk, in order.
func TestGroupOptions_Recorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, other := openFile(t, path), openFile(t, path)
	var heard []string
	require.NoError(t, up(t, j, "x", site(), func(n node) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := journal.Step(co, "make", func(context.Context) (int, error) { return 7, nil })
			return err
		})
	}, &options{Recorded: func(r journal.Record) {
		heard = append(heard, r.String())
		require.Subset(t, history(t, other, "x"), []string{line(r)})
	}}))
	var want []string
	for r, err := range j.Records(t.Context(), "x") {
		require.NoError(t, err)
		want = append(want, r.String())
	}
	require.Equal(t, want, heard)
}
