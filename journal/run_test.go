package journal_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

type (
	node    = *journal.Node[string]
	options = journal.GroupOptions[string]
)

// site is a graph of four nodes.
func site() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("dns", "server")
	return deps
}

// wide, chain and layered are graphs of n nodes.
func wide(n int) *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for i := range n {
		deps.Add(fmt.Sprintf("n%05d", i))
	}
	return deps
}

func chain(n int) *scheduler.Dependencies[string] {
	deps := wide(1)
	for i := range n - 1 {
		deps.Add(fmt.Sprintf("n%05d", i+1), fmt.Sprintf("n%05d", i))
	}
	return deps
}

func layered(layers, width int) *scheduler.Dependencies[string] {
	deps := wide(width)
	for l := 1; l < layers; l++ {
		for i := range width {
			deps.Add(fmt.Sprintf("n%05d", l*width+i),
				fmt.Sprintf("n%05d", (l-1)*width+i), fmt.Sprintf("n%05d", (l-1)*width+(i+1)%width))
		}
	}
	return deps
}

// noop does nothing.
func noop(node) scheduler.Task {
	return scheduler.Func(func(context.Context) error { return nil })
}

// does calls fn in the node's only step.
func does(fn func(n node) error) func(node) scheduler.Task {
	return func(n node) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return fn(n) })
	}
}

// atOnce is a backoff without a pause.
type atOnce struct{}

func (atOnce) NextBackOff() time.Duration { return 0 }

func openFile(t *testing.T, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

func openNew(t *testing.T) *journal.Journal {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "journal.db"))
}

// up runs the run of that name to its end.
func up(t *testing.T, j *journal.Journal, name string, deps *scheduler.Dependencies[string], task func(node) scheduler.Task, o *options) error {
	t.Helper()
	r, err := journal.NewGroup(j, name, deps, task, o)
	require.NoError(t, err)
	return scheduler.Run(t.Context(), r, nil)
}

// history returns the records of a run, in a line each.
func history(t *testing.T, j *journal.Journal, run string) []string {
	t.Helper()
	var lines []string
	for r, err := range j.Records(t.Context(), run) {
		require.NoError(t, err)
		lines = append(lines, line(r))
	}
	return lines
}

func line(r journal.Record) string {
	if r.Kind == journal.KindGroup || len(r.Data) == 0 {
		return r.String()
	}
	return r.String() + " " + string(r.Data)
}

func TestRun_records_starts_and_ends_in_order(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "site", site(), does(func(n node) error { return n.SetResult(n.Key() + "-1") }), nil))
	require.Equal(t, []string{
		"1 group",
		"2 start network attempt 1",
		"3 start volume attempt 1",
		`4 end network attempt 1 "network-1"`,
		`5 end volume attempt 1 "volume-1"`,
		"6 start server attempt 1",
		`7 end server attempt 1 "server-1"`,
		"8 start dns attempt 1",
		`9 end dns attempt 1 "dns-1"`,
		"10 finish",
	}, history(t, j, "site"))
}

func TestRun_goes_on_where_it_has_come_to(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	var ran []string
	attempts, ids := map[string][]int{}, map[string][]string{}
	task := func(fails string) func(node) scheduler.Task {
		return does(func(n node) error {
			ran = append(ran, n.Key())
			attempts[n.Key()] = append(attempts[n.Key()], n.Attempt())
			ids[n.Key()] = append(ids[n.Key()], n.ID())
			if n.Key() == "dns" {
				server, err := journal.Result[string](n, "server")
				require.NoError(t, err)
				require.Equal(t, "server-1", server)
			}
			if n.Key() == fails {
				return errors.New("boom")
			}
			return n.SetResult(n.Key() + "-1")
		})
	}
	for i, fails := range []string{"server", "dns", "dns", ""} {
		j, err := journal.Open(path, nil)
		require.NoError(t, err)
		err = up(t, j, "site", site(), task(fails), nil)
		require.Equal(t, fails == "", err == nil, "%v in process %d", err, i)
		require.NoError(t, j.Close())
	}
	require.Equal(t, []string{"network", "volume", "server", "server", "dns", "dns", "dns"}, ran)
	require.Equal(t, []int{1, 2}, attempts["server"])
	require.Equal(t, []int{1, 2, 3}, attempts["dns"])
	for _, same := range ids {
		require.Len(t, slices.Compact(same), 1, "an idempotency key stays the same")
		require.Len(t, same[0], 32)
	}
	require.NotEqual(t, ids["server"][0], ids["dns"][0])
}

func TestRun_runs_nothing_if_all_is_done(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "site", site(), noop, nil))
	require.NoError(t, up(t, j, "site", site(), func(node) scheduler.Task {
		t.Fatal("run again")
		return nil
	}, nil))
}

func TestRun_empty_graph(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "empty", scheduler.NewDependencies[string](), noop, nil))
	require.Equal(t, []string{"1 group", "2 finish"}, history(t, j, "empty"))
}

func TestRun_keys_of_a_name_used_again_are_new(t *testing.T) {
	j := openNew(t)
	var ids []string
	task := does(func(n node) error {
		ids = append(ids, n.ID())
		return nil
	})
	require.NoError(t, up(t, j, "x", wide(1), task, nil))
	require.NoError(t, j.Delete(t.Context(), "x"))
	require.NoError(t, up(t, j, "x", wide(1), task, nil))
	require.NotEqual(t, ids[0], ids[1])
}

func TestRun_takes_one_commit_a_round(t *testing.T) {
	for _, test := range []struct {
		name    string
		deps    *scheduler.Dependencies[string]
		commits int
	}{
		{"wide", wide(300), 2},
		{"chain", chain(20), 21},
		{"layered", layered(5, 20), 6},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := openNew(t)
			r, err := journal.NewGroup(j, "x", test.deps, noop, nil)
			require.NoError(t, err)
			require.NoError(t, scheduler.Run(t.Context(), r, nil))
			require.Equal(t, test.commits, journal.Commits(r))
			require.Equal(t, test.commits, r.Rounds(), "the first round waits for the first commit, the last one makes the last")
		})
	}
}

func TestRun_nothing_runs_before_its_start_is_on_disk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, other := openFile(t, path), openFile(t, path)
	require.NoError(t, up(t, j, "x", layered(3, 4), does(func(n node) error {
		lines := history(t, other, "x")
		require.True(t, slices.ContainsFunc(lines, func(line string) bool {
			return strings.Contains(line, "start "+n.Key())
		}))
		for required := range layered(3, 4).Requires(n.Key()) {
			require.True(t, slices.ContainsFunc(lines, func(line string) bool {
				return strings.Contains(line, "end "+required)
			}))
		}
		return nil
	}), nil))
}

func TestRun_many_runs_in_one_file_side_by_side(t *testing.T) {
	j := openNew(t)
	var runs []scheduler.Task
	for i := range 10 {
		r, err := journal.NewGroup(j, fmt.Sprint(i), layered(3, 5), does(func(n node) error { return n.SetResult(i) }), nil)
		require.NoError(t, err)
		runs = append(runs, r)
	}
	require.NoError(t, scheduler.Run(t.Context(), scheduler.All(runs...), nil))
	for i := range 10 {
		r, err := journal.NewGroup(j, fmt.Sprint(i), layered(3, 5), noop, nil)
		require.NoError(t, err)
		got, err := journal.Result[int](r, "n00014")
		require.NoError(t, err)
		require.Equal(t, i, got)
		require.NoError(t, r.Close())
	}
}

func TestRun_stopped_leaves_what_ran_to_the_next(t *testing.T) {
	j := openNew(t)
	ctx, stop := context.WithCancel(t.Context())
	r, err := journal.NewGroup(j, "x", site(), func(n node) scheduler.Task {
		if n.Key() == "volume" {
			stop()
			return scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
		}
		return noop(n)
	}, nil)
	require.NoError(t, err)
	require.ErrorIs(t, scheduler.Run(ctx, r, nil), context.Canceled)
	var ran []string
	require.NoError(t, up(t, j, "x", site(), does(func(n node) error {
		ran = append(ran, fmt.Sprint(n.Key(), n.Attempt()))
		return nil
	}), nil))
	require.Equal(t, []string{"volume2", "server1", "dns1"}, ran)
}

func TestRun_a_panic_lets_go_of_the_run(t *testing.T) {
	j := openNew(t)
	r, err := journal.NewGroup(j, "x", site(), does(func(n node) error {
		if n.Key() == "server" {
			panic("boom")
		}
		return nil
	}), nil)
	require.NoError(t, err)
	require.Panics(t, func() { _ = scheduler.Run(t.Context(), r, nil) })
	require.NoError(t, up(t, j, "x", site(), noop, nil))
}

func TestRun_nil_task(t *testing.T) {
	j := openNew(t)
	err := up(t, j, "x", wide(1), func(node) scheduler.Task { return nil }, nil)
	require.ErrorIs(t, err, scheduler.ErrNilTask)
}

// as returns the error of that type in err.
func as[T error](t *testing.T, err error) (e T) {
	t.Helper()
	require.ErrorAs(t, err, &e)
	return e
}

// requireAs is as for an error of which the type is enough.
func requireAs[T error](t *testing.T, err error) {
	t.Helper()
	var e T
	require.ErrorAs(t, err, &e)
}

// requireNoRuns looks that a run which was refused is not in the list.
func requireNoRuns(t *testing.T, j *journal.Journal) {
	t.Helper()
	require.Empty(t, list(t, j))
}
