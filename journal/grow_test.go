package journal_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// found is a program whose node "list" finds further nodes.
type found struct {
	run   *journal.Run[string]
	add   func() error // in a step of list
	ran   []string
	fails string
}

func (f *found) open(t *testing.T, j *journal.Journal, o options) *journal.Run[string] {
	t.Helper()
	deps := scheduler.NewDependencies[string]()
	deps.Add("list")
	o.Group.KeepOpen = true
	var err error
	f.run, err = journal.NewGroup(j, "x", deps, f.task, &o)
	require.NoError(t, err)
	return f.run
}

func (f *found) task(n node) scheduler.Task {
	return scheduler.Func(func(context.Context) error {
		f.ran = append(f.ran, n.Key())
		if n.Key() == "list" && f.add != nil {
			if err := f.add(); err != nil {
				return err
			}
			f.run.CloseInput()
		}
		if n.Key() == f.fails {
			return errors.New("boom")
		}
		return n.SetResult(n.Key() + "!")
	})
}

func (f *found) addAll() error {
	return errors.Join(f.run.Add("a"), f.run.Add("b", "a", "list"), f.run.Add("c", "b"))
}

// Nodes that were added are on file before they start, and are there again when the run is
// continued, whether or not the program adds them again.
func TestAdd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	f := &found{fails: "b"}
	f.add = f.addAll
	j := openFile(t, path)
	require.ErrorContains(t, scheduler.Run(t.Context(), f.open(t, j, options{}), nil), "boom")
	require.Equal(t, []string{
		"1 group", "2 start list attempt 1", "3 add", "4 add", "5 add", `6 end list attempt 1 "list!"`,
		"7 start a attempt 1", `8 end a attempt 1 "a!"`, "9 start b attempt 1", "10 failure b attempt 1 boom", "11 finish",
	}, withoutData(history(t, j, "x"), "add", "finish"))

	// Without being added.
	f = &found{fails: "c"}
	r := f.open(t, openFile(t, path), options{})
	r.CloseInput()
	require.ErrorContains(t, scheduler.Run(t.Context(), r, nil), "boom")
	require.Equal(t, []string{"b", "c"}, f.ran)

	// Added again, with the same requirements or others.
	f = &found{}
	r = f.open(t, openFile(t, path), options{})
	require.NoError(t, errors.Join(r.Add("b", "list", "a"), r.Add("a")))
	require.ErrorIs(t, r.Add("a"), scheduler.ErrNodeExists)
	require.ErrorIs(t, r.Add("c", "a"), scheduler.ErrNodeExists)
	require.NoError(t, r.Add("d", "c"))
	r.CloseInput()
	require.NoError(t, scheduler.Run(t.Context(), r, nil))
	require.Equal(t, []string{"c", "d"}, f.ran)
	v, err := journal.Result[string](r, "a")
	require.NoError(t, err)
	require.Equal(t, "a!", v)

	// What is gone is made again.
	f = &found{}
	r = f.open(t, openFile(t, path), options{Redo: func(n node) bool { return n.Key() == "b" }})
	r.CloseInput()
	require.NoError(t, scheduler.Run(t.Context(), r, nil))
	require.Equal(t, []string{"b"}, f.ran)
}

// withoutData cuts the data off records of some kinds.
func withoutData(lines []string, kinds ...string) []string {
	for i, line := range lines {
		if words := strings.Fields(line); slices.Contains(kinds, words[1]) {
			lines[i] = words[0] + " " + words[1]
		}
	}
	return lines
}

// A roll-back is of all that was added; a group without KeepOpen has to have it, too.
func TestAdd_graph(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	f := &found{}
	f.add = f.addAll
	require.NoError(t, scheduler.Run(t.Context(), f.open(t, openFile(t, path), options{}), nil))
	j := openFile(t, path)
	base := scheduler.NewDependencies[string]()
	base.Add("list")
	for _, newRun := range []func(*journal.Journal, string, *scheduler.Dependencies[string], func(node) scheduler.Task, *options) (*journal.Run[string], error){
		journal.NewGroup[string], journal.NewRollback[string],
	} {
		_, err := newRun(j, "x", base, noop, nil)
		require.Equal(t, []string{"a", "b", "c"}, as[*journal.GraphError](t, err).Gone)
	}
	whole, err := journal.Dependencies[string](t.Context(), j, "x")
	require.NoError(t, err)
	require.Equal(t, []string{"list", "a", "b", "c"}, slices.Collect(whole.All()))
	require.Equal(t, []string{"a", "list"}, slices.Collect(whole.Requires("b")))
	require.NoError(t, up(t, j, "x", whole, noop, nil), "nothing is left to do")
	var deleted []string
	back, err := journal.NewRollback(j, "x", whole, does(func(n node) error {
		deleted = append(deleted, n.Key())
		return nil
	}), nil)
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), back, nil))
	require.Equal(t, []string{"c", "b", "list", "a"}, deleted)
}

func TestAdd_refused(t *testing.T) {
	j := openNew(t)
	closed, err := journal.NewGroup(j, "closed", wide(1), noop, nil)
	require.NoError(t, err)
	require.ErrorIs(t, closed.Add("a"), scheduler.ErrInputClosed)

	f := &found{}
	r := f.open(t, j, options{})
	require.ErrorIs(t, r.Add("a", "nobody"), scheduler.ErrNodeUnknown)
	require.ErrorIs(t, r.Add("list"), scheduler.ErrNodeExists)
	require.NoError(t, r.Add("a"), "it was not in the group")
	r.CloseInput()
	require.ErrorIs(t, r.Add("b"), scheduler.ErrInputClosed)
	require.NoError(t, scheduler.Run(t.Context(), r, nil))
	require.Len(t, history(t, j, "x"), 7)

	deps := scheduler.NewDependencies[float64]()
	floats, err := journal.NewGroup(j, "floats", deps, func(*journal.Node[float64]) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return nil })
	},
		&journal.GroupOptions[float64]{Group: scheduler.GroupOptions[float64]{KeepOpen: true}})
	require.NoError(t, err)
	requireAs[*journal.ValueError](t, floats.Add(math.Inf(1)))
	require.NoError(t, floats.Add(0))
	require.ErrorContains(t, floats.Add(math.Copysign(0, -1)), "it is in the group already", "0 and -0 are the same key")
	require.NoError(t, floats.Close())

	type key struct{ Shown, hidden string }
	twins, err := journal.NewGroup(j, "twins", scheduler.NewDependencies[key](), func(*journal.Node[key]) scheduler.Task { return nil },
		&journal.GroupOptions[key]{Group: scheduler.GroupOptions[key]{KeepOpen: true}})
	require.NoError(t, err)
	require.NoError(t, twins.Add(key{"a", "1"}))
	require.ErrorContains(t, twins.Add(key{"a", "2"}), "another key is the same as JSON")
	require.NoError(t, twins.Close())
}

// Nodes are added to a group inside a node as well.
func TestAdd_to_a_subgroup(t *testing.T) {
	j := openNew(t)
	var ran []string
	fail := true
	task := func(n node) scheduler.Task {
		o := &options{}
		o.Group.KeepOpen = true
		var inner *journal.Group[string]
		inner, err := journal.NewSubgroup(n, "in", wide(1), does(func(n node) error {
			ran = append(ran, n.Key())
			switch {
			case n.Key() == "n00000":
				defer inner.CloseInput()
				return inner.Add("more", "n00000")
			case fail:
				return errors.New("boom")
			}
			inner.CloseInput()
			return nil
		}), o)
		require.NoError(t, err)
		return inner
	}
	require.ErrorContains(t, up(t, j, "x", wide(1), task, nil), "boom")
	fail = false
	require.NoError(t, up(t, j, "x", wide(1), task, nil))
	require.Equal(t, []string{"n00000", "more", "more"}, ran)
}
