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

// A Journal that was not opened or is closed, and a nil context, are refused with a
// sentence: nothing hangs, and no lock is left behind.
func TestJournal_misuse(t *testing.T) {
	closed := openNew(t)
	require.NoError(t, closed.Close())
	var none context.Context
	for want, c := range map[string]struct {
		j   *journal.Journal
		ctx context.Context
	}{
		"scheduler: journal: nil Journal":            {nil, t.Context()},
		"scheduler: journal: zero Journal; use Open": {new(journal.Journal), t.Context()},
		"already closed":                             {closed, t.Context()},
		"scheduler: ctx: nil Context":                {openNew(t), none},
	} {
		for name, do := range map[string]func(j *journal.Journal) error{
			"Delete": func(j *journal.Journal) error { return j.Delete(c.ctx, "x") },
			"Prune": func(j *journal.Journal) error {
				_, err := j.Prune(c.ctx, time.Hour)
				return err
			},
			"Runs": func(j *journal.Journal) (err error) {
				for _, err = range j.Runs(c.ctx) {
				}
				return err
			},
			"Records": func(j *journal.Journal) (err error) {
				for _, err = range j.Records(c.ctx, "x") {
				}
				return err
			},
			"Dependencies": func(j *journal.Journal) error {
				_, err := journal.Dependencies[string](c.ctx, j, "x")
				return err
			},
			"NewGroup": func(j *journal.Journal) error {
				_, err := journal.NewGroup(j, "x", wide(1), noop, nil)
				return err
			},
		} {
			if c.ctx == nil && name == "NewGroup" {
				continue // it takes none
			}
			require.ErrorContains(t, do(c.j), want, name)
		}
	}
	require.EqualError(t, (*journal.Journal)(nil).Close(), "scheduler: journal: nil Journal")
	require.EqualError(t, new(journal.Journal).Close(), "scheduler: journal: zero Journal; use Open")
	_, err := journal.Open(filepath.Join(t.TempDir(), "x.db"), &journal.Options{Synchronous: 9})
	require.EqualError(t, err, "scheduler: Options.Synchronous: unknown value 9")
}

// What is nil inside a run is refused where it is given, with the name of the node.
func TestRun_misuse(t *testing.T) {
	var none context.Context
	number := func(context.Context) (int, error) { return 1, nil }
	for name, c := range map[string]struct {
		want string
		code func(co *scheduler.Coroutine) error
	}{
		"Step without a function": {"fn: nil function", func(co *scheduler.Coroutine) error {
			_, err := journal.Step[int](co, "step", nil)
			return err
		}},
		"StepIn without a function": {"fn: nil function", func(co *scheduler.Coroutine) error {
			_, err := scheduler.Call(co, func(ctx context.Context) (int, error) { return journal.StepIn[int](ctx, "step", nil) })
			return err
		}},
		"StepIn without a context": {"ctx: nil Context", func(*scheduler.Coroutine) error {
			_, err := journal.StepIn(none, "step", number)
			return err
		}},
		"Result of nothing": {"from: nil Results", func(*scheduler.Coroutine) error {
			_, err := journal.Result[int, string](nil, "n00000")
			return err
		}},
	} {
		err := up(t, openNew(t), "x", wide(1), func(node) scheduler.Task { return scheduler.Wrap(c.code) }, nil)
		require.EqualError(t, err, "n00000: scheduler: "+c.want, name)
	}
	_, err := new(journal.Run[string]).Step(t.Context())
	require.EqualError(t, err, "scheduler: Run: nil or zero value; use NewGroup")
	_, err = new(journal.Run[string]).Throw(t.Context(), errors.New("oops"))
	require.EqualError(t, err, "scheduler: Run: nil or zero value; use NewGroup")
	require.NoError(t, new(journal.Run[string]).Close())

	err = up(t, openNew(t), "x", wide(1), noop, &options{Group: scheduler.GroupOptions[string]{
		Context: func(context.Context, string) context.Context { return nil },
	}})
	require.EqualError(t, err, "n00000: scheduler: GroupOptions.Context: returned a nil Context")
}

// An error whose methods panic is an error like any other, and is on record.
func TestRun_error_that_panics(t *testing.T) {
	j := openNew(t)
	err := up(t, j, "x", wide(1), does(func(node) error { return panicky{} }), nil)
	require.ErrorIs(t, err, panicky{})
	require.Contains(t, history(t, j, "x"), "3 failure n00000 attempt 1 %!v(PANIC=Error method: in Error)")
	err = up(t, openNew(t), "y", wide(2), func(n node) scheduler.Task {
		if n.Key() == "n00001" {
			return scheduler.Pause(scheduler.Rounds(3))
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			co.Ready()
			return panicky{}
		})
	}, nil)
	require.ErrorIs(t, err, panicky{})
}

type panicky struct{}

func (panicky) Error() string { panic("in Error") }
func (panicky) As(any) bool   { panic("in As") }

// A group without a name of its own has that of the run, or of the group inside.
func TestRun_name(t *testing.T) {
	hangs := func(node) scheduler.Task { return scheduler.Pause(scheduler.On(new(scheduler.Event))) }
	for want, o := range map[string]*options{"deploy": nil, "own": {Group: scheduler.GroupOptions[string]{Name: "own"}}} {
		r, err := journal.NewGroup(openNew(t), "deploy", wide(1), hangs, o)
		require.NoError(t, err)
		require.Equal(t, want, r.String())
		require.EqualError(t, scheduler.Run(t.Context(), r, &scheduler.RunnerOptions{Timeout: time.Nanosecond}), want+": timed out after 1ns")
	}
	err := up(t, openNew(t), "deploy", wide(1), func(n node) scheduler.Task {
		g, err := journal.NewSubgroup(n, "inner", wide(1), hangs, nil)
		require.NoError(t, err)
		require.Equal(t, "inner", g.String())
		return scheduler.WithTimeout(time.Nanosecond, g)
	}, nil)
	require.EqualError(t, err, "n00000: inner: timed out after 1ns")
}

// A Node, Group or Run that was not made by the package says what makes it.
func TestNode_misuse(t *testing.T) {
	_, err := journal.Result[int, string](new(journal.Node[string]), "n00000")
	require.EqualError(t, err, "scheduler: node: nil or zero Node; the group makes it")
	require.EqualError(t, (*journal.Node[string])(nil).SetResult(1), "scheduler: node: nil or zero Node; the group makes it")
	_, err = journal.NewSubgroup(new(journal.Node[string]), "inner", wide(1), noop, nil)
	require.EqualError(t, err, "scheduler: node: nil or zero Node; the group makes it")
	_, err = journal.StepResult[int, string](new(journal.Run[string]), "n00000", "step")
	require.EqualError(t, err, "scheduler: group: nil or zero Group; use NewGroup or NewSubgroup")
	require.PanicsWithValue(t, "scheduler: DependencyTaskGroup.Drain of nil", new(journal.Run[string]).Drain)
}
