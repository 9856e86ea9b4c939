package journal_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// filled returns the path of a file with a run that has succeeded.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, up(t, j, "x", wide(200), does(func(n node) error { return n.SetResult(n.ID()) }), nil))
	require.NoError(t, j.Close())
	return path
}

// requireRefused opens a file that cannot be used, and looks that it stays as it is.
func requireRefused(t *testing.T, path string, want error) {
	t.Helper()
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = journal.Open(path, nil)
	require.ErrorIs(t, err, want)
	file := as[*journal.FileError](t, err)
	require.Equal(t, path, file.Path)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after))
}

func sqlExec(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
}

func TestOpen_what_is_no_journal(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"text":   []byte("once upon a time there was a file, and it was no database at all"),
		"zeros":  make([]byte, 10000),
		"header": []byte("SQLite format 3\x00 no, it is not one, it only begins like one, and goes on with text"),
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		requireRefused(t, path, journal.ErrNotJournal)
	}

	other := filepath.Join(dir, "other")
	sqlExec(t, other, `CREATE TABLE customer (id INTEGER)`)
	requireRefused(t, other, journal.ErrNotJournal)
	sqlExec(t, other, `DROP TABLE customer`, `PRAGMA user_version = 1`)
	requireRefused(t, other, journal.ErrNotJournal)

	for _, path := range []string{dir, os.DevNull} {
		_, err := journal.Open(path, nil)
		require.ErrorIs(t, err, journal.ErrNotJournal)
		require.ErrorContains(t, err, "not a regular file")
	}
	_, err := journal.Open("", nil)
	require.EqualError(t, err, `journal "": empty path`)
	_, err = journal.Open(filepath.Join(dir, "no", "such"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestOpen_newer_schema(t *testing.T) {
	path := filled(t)
	sqlExec(t, path, `PRAGMA user_version = 99`)
	_, err := journal.Open(path, nil)
	require.ErrorIs(t, err, journal.ErrNewer)
	require.ErrorContains(t, err, "schema 99, this one knows 2")
}

// A file of the first schema, with a run whose process died.
func TestOpen_older_schema_is_migrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	text, err := os.ReadFile(filepath.Join("testdata", "schema1.sql"))
	require.NoError(t, err)
	sqlExec(t, path, string(text))

	j := openFile(t, path)
	for run, err := range j.Runs(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, journal.RunInfo{
			Name: "site", State: journal.RunUnfinished, Owner: "process 7 (app) on host", Begun: time.UnixMilli(1700000000000),
		}, run)
	}
	var ran []string
	require.NoError(t, up(t, j, "site", site(), does(func(n node) error {
		ran = append(ran, fmt.Sprint(n.Key(), n.Attempt()))
		if n.Key() == "server" {
			network, err := journal.Result[string](n, "network")
			require.NoError(t, err)
			require.Equal(t, "network-1", network)
		}
		return nil
	}), nil))
	require.Equal(t, []string{"volume2", "server1", "dns1"}, ran)
}

func TestOpen_by_many_at_once(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	var all sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		all.Go(func() {
			j, err := journal.Open(path, nil)
			if err == nil {
				err = j.Close()
			}
			errs[i] = err
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestOpen_strange_names(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a b", "100%", "what?", "#1", "a&b=c", ":memory:", "ä🙂", "file:x"} {
		path := filepath.Join(dir, name)
		j, err := journal.Open(path, nil)
		require.NoError(t, err)
		require.NoError(t, up(t, j, "x", wide(1), noop, nil))
		require.NoError(t, j.Close())
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Positive(t, info.Size(), name)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "results may be secrets")
	}
}

// Damage is found where it is, and before anything is run.
func TestNewGroup_damaged_file(t *testing.T) {
	damage := map[string]func(t *testing.T, path string){
		"a page of garbage": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			require.NoError(t, err)
			_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), 4096*4)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		},
		"a bit of a result": func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			at := bytes.LastIndex(text, []byte(`"n00150"`))
			require.Positive(t, at)
			text[at+3] ^= 1
			require.NoError(t, os.WriteFile(path, text, 0o600))
		},
		"a record that is gone": func(t *testing.T, path string) { sqlExec(t, path, `DELETE FROM record WHERE seq = 17`) },
		"a record of another type": func(t *testing.T, path string) {
			sqlExec(t, path, `UPDATE record SET attempt = 'many' WHERE seq = 17`)
		},
		"a file that is cut off": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 4096*6)) },
	}
	for name, harm := range damage {
		t.Run(name, func(t *testing.T) {
			path := filled(t)
			harm(t, path)
			j, err := journal.Open(path, nil)
			if err == nil {
				_, err = journal.NewGroup(j, "x", wide(200), func(node) scheduler.Task {
					t.Fatal("it runs")
					return nil
				}, nil)
				for _, e := range j.Records(t.Context(), "x") {
					if e != nil {
						require.ErrorIs(t, e, journal.ErrCorrupt)
					}
				}
				require.NoError(t, j.Close())
			}
			require.ErrorIs(t, err, journal.ErrCorrupt)
			require.ErrorContains(t, err, path)
		})
	}
}

// A full disk stops the run; what was recorded counts in the next one.
func TestRun_disk_full(t *testing.T) {
	j := openNew(t)
	journal.LimitPages(j, 12)
	ran := 0
	task := does(func(n node) error {
		ran++
		return n.SetResult(make([]byte, 100))
	})
	err := up(t, j, "x", chain(500), task, nil)
	require.ErrorIs(t, err, journal.ErrFull)
	requireAs[*journal.FileError](t, err)
	require.Less(t, ran, 500)

	journal.LimitPages(j, 1e6)
	before := ran
	require.NoError(t, up(t, j, "x", chain(500), task, nil))
	require.LessOrEqual(t, ran, 501, "at most the one whose end could not be written is run again")
	require.Greater(t, ran, before)
}

// Running nodes have their grace when the disk is full, and nothing new starts.
func TestRun_disk_full_while_others_run(t *testing.T) {
	for _, aggregate := range []bool{false, true} {
		j := openNew(t)
		deps := chain(200)
		deps.Add("slow")
		var order []string
		err := up(t, j, "x", deps, func(n node) scheduler.Task {
			if n.Key() == "n00005" {
				journal.LimitPages(j, 1)
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if n.Key() == "slow" {
					err := co.Yield(scheduler.On(co.Stopping()))
					order = append(order, "noticed")
					return err
				}
				order = append(order, n.Key())
				if n.Key() == "n00005" {
					return n.SetResult(make([]byte, 5000)) // more than what is left of a page
				}
				return nil
			})
		}, &options{Group: scheduler.GroupOptions[string]{Grace: time.Minute, AggregateErrors: aggregate}})
		require.ErrorIs(t, err, journal.ErrFull)
		require.Equal(t, []string{"n00000", "n00001", "n00002", "n00003", "n00004", "n00005", "noticed"}, order)
	}
}

// What cannot be written cannot be opened.
func TestOpen_read_only(t *testing.T) {
	path := filled(t)
	require.NoError(t, os.Chmod(path, 0o400))
	require.NoError(t, os.Chmod(filepath.Dir(path), 0o500))
	asNobody(t, path, func() { requireRefused(t, path, journal.ErrReadOnly) })
}

// A file whose directory cannot be written could not be locked.
func TestNewGroup_read_only_directory(t *testing.T) {
	path := filled(t)
	j := openFile(t, path)
	journal.QueryOnly(j, true)
	_, err := journal.NewGroup(j, "x", wide(200), noop, nil)
	require.ErrorIs(t, err, journal.ErrReadOnly)
	journal.QueryOnly(j, false)
	require.NoError(t, up(t, j, "x", wide(200), noop, nil))
}

func TestJournal_closed(t *testing.T) {
	j, err := journal.Open(filepath.Join(t.TempDir(), "journal.db"), nil)
	require.NoError(t, err)
	require.NoError(t, j.Close())
	require.NoError(t, j.Close())
	_, err = journal.NewGroup(j, "x", wide(1), noop, nil)
	require.ErrorContains(t, err, "already closed")
	for _, err := range j.Runs(t.Context()) {
		require.Error(t, err)
	}
	require.Error(t, j.Delete(t.Context(), "x"))
}

// Another process may write for long; a commit waits for it.
func TestRun_waits_while_another_writes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openFile(t, path)
	r, err := journal.NewGroup(j, "x", wide(2), noop, nil)
	require.NoError(t, err)
	db, err := sql.Open("sqlite", path+"?_txlock=immediate")
	require.NoError(t, err)
	tx, err := db.Begin()
	require.NoError(t, err)
	done := make(chan error)
	go func() { done <- scheduler.Run(context.Background(), r, nil) }()
	select {
	case err := <-done:
		t.Fatal("it did not wait", err)
	case <-time.After(50 * time.Millisecond):
	}
	require.NoError(t, tx.Rollback())
	require.NoError(t, <-done)
	require.NoError(t, db.Close())
}
