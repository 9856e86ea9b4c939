package journal_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// services is a program of which the nodes with capitals are services.
type services struct {
	fails   string // keys of nodes
	quits   bool   // services end by themselves once they are ready
	notices bool   // they return the notice
	slow    bool   // their clean-up takes too long
	started []string

	canStart int // nodes, until those that fail do so
	ids      map[string][]string
}

// graphOf reads a graph such as "S U:S V:US".
func graphOf(text string) *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for node := range strings.FieldsSeq(text) {
		k, required, _ := strings.Cut(node, ":")
		deps.Add(k, strings.Split(required, "")...)
	}
	return deps
}

func (s *services) task(n node) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		s.started = append(s.started, n.Key())
		if s.ids == nil {
			s.ids = map[string][]string{}
		}
		s.ids[n.Key()] = append(s.ids[n.Key()], n.ID())
		if strings.Contains(s.fails, n.Key()) {
			for len(s.started) < s.canStart {
				if err := co.Yield(scheduler.Next); err != nil {
					return err
				}
			}
			return errors.New("boom")
		}
		if strings.ToUpper(n.Key()) != n.Key() {
			return nil
		}
		if err := n.SetResult(n.ID()); err != nil {
			return err
		}
		co.Ready()
		if s.quits {
			return nil
		}
		err := co.Yield(scheduler.On(co.Stopping()))
		if err == nil && s.notices {
			err = co.StopCause()
		}
		if err == nil && s.slow {
			err = co.Await(scheduler.WithTimeout(time.Millisecond, scheduler.Pause(scheduler.After(time.Hour))))
		}
		return err
	})
}

// countIn returns how many nodes do not require one that fails.
func (s *services) countIn(deps *scheduler.Dependencies[string]) int {
	if s.fails == "" {
		return deps.Len()
	}
	fails := strings.Split(s.fails, "")
	return deps.Len() - deps.From(fails...).Len() + len(fails)
}

// run runs the program, and returns what it has started.
func (s *services) run(t *testing.T, path, graph string, o options) []string {
	t.Helper()
	j := openFile(t, path)
	s.started = nil
	s.canStart = s.countIn(graphOf(graph))
	o.Group.Grace = scheduler.NoLimit
	o.TakeOver = func(*journal.GraphError) error { return nil }
	err := up(t, j, "x", graphOf(graph), s.task, &o)
	require.Equal(t, s.fails != "" || s.slow, err != nil, "%v", err)
	require.NoError(t, j.Close())
	return s.started
}

// A run that is continued starts a service again only if something is left that requires
// it, directly or not; one that nothing requires, only if something else is left.
func TestReady_again(t *testing.T) {
	redo := func(keys string) options {
		return options{Redo: func(n node) bool { return strings.Contains(keys, n.Key()) }}
	}
	for _, test := range []struct {
		name, graph, fails string
		first              services
		then               string // another graph
		options            options
		want               string
	}{
		{"its user is left", "S u:S", "u", services{}, "", options{}, "S u"},
		{"its user's user is left", "S u:S v:u", "v", services{}, "", options{}, "S v"},
		{"no user is left", "S u:S o", "o", services{}, "", options{}, "o"},
		{"it had ended too early", "S u:S v:u", "v", services{quits: true}, "", options{}, "S v"},
		{"it had returned the notice", "S u:S o", "o", services{notices: true}, "", options{}, "o"},
		{"it had returned the notice of a stop", "S u:S", "u", services{notices: true}, "", options{}, "S u"},
		{"nothing requires it", "S o", "o", services{}, "", options{}, "S o"},
		{"nothing requires it, nor is anything left", "S u:S", "", services{}, "S u:S", options{}, ""},
		{"only services are left", "S T:S U", "", services{}, "", options{}, ""},
		{"a service is its user", "S T:S u:T", "u", services{}, "", options{}, "S T u"},
		{"a service is its user, and has none", "S T:S u:T o", "o", services{}, "", options{}, "o"},
		{"a service is its user, and nothing requires that", "S T:S o", "o", services{}, "", options{}, "S o T"},
		{"it has failed itself", "S u:S", "S", services{}, "", options{}, "S u"},
		{"it has failed itself at its end", "S u:S", "", services{slow: true}, "", options{}, "S"},
		{"its user is made anew", "S u:S", "", services{}, "", redo("u"), "S u"},
		{"its user's user is made anew", "S u:S v:u", "", services{}, "", redo("v"), "S v"},
		{"it is made anew itself", "S u:S", "", services{}, "", redo("S"), "S"},
		{"its user is made anew, a service", "S T:S u:T", "", services{}, "", redo("T"), "S T"},
		{"another user is new", "S u:S", "", services{}, "S u:S v:S", options{}, "S v"},
		{"another user is new, behind one that is done", "S u:S", "", services{}, "S u:S v:u", options{}, "S v"},
		{"its user is gone", "S u:S o", "u", services{}, "S o", options{}, ""},
		{"its user counts as done", "S u:S o", "uo", services{}, "", options{
			Group: scheduler.GroupOptions[string]{Completed: func(k string) bool { return k == "u" }},
		}, "o"},
		{"it counts as done itself", "S u:S", "u", services{}, "", options{
			Group: scheduler.GroupOptions[string]{Completed: func(k string) bool { return k == "S" }},
		}, "u"},
		{"more may come that require it", "S u:S", "", services{}, "", options{
			Group: scheduler.GroupOptions[string]{KeepOpen: true},
		}, "S"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			s := test.first
			s.fails = test.fails
			o := options{}
			o.Group.AggregateErrors = test.fails == "uo"
			s.run(t, path, test.graph, o)
			s.fails, s.slow = "", false
			if test.then == "" {
				test.then = test.graph
			}
			if test.options.Group.KeepOpen {
				require.Equal(t, strings.Fields(test.want), s.runOpen(t, path, test.then))
				return
			}
			require.Equal(t, strings.Fields(test.want), append([]string{}, s.run(t, path, test.then, test.options)...))
			if test.options.Group.Completed == nil {
				require.Empty(t, s.run(t, path, test.then, options{}), "all is done")
			}
		})
	}
}

// runOpen is run of a group that could grow.
func (s *services) runOpen(t *testing.T, path, graph string) []string {
	t.Helper()
	j := openFile(t, path)
	s.started = nil
	r, err := journal.NewGroup(j, "x", graphOf(graph), s.task, &options{
		Group: scheduler.GroupOptions[string]{KeepOpen: true, Grace: scheduler.NoLimit},
	})
	require.NoError(t, err)
	r.CloseInput()
	require.NoError(t, scheduler.Run(t.Context(), r, nil))
	return s.started
}

// A service that has come to its end has cleaned up: if it is needed again, it begins a new
// life, with steps and a key of its own. One that was cut off goes on with its own.
func TestReady_again_with_another_key(t *testing.T) {
	for _, quits := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "journal.db")
		s := &services{fails: "u", quits: quits, notices: true}
		s.run(t, path, "S u:S", options{})
		s.fails = ""
		s.run(t, path, "S u:S", options{})
		require.Len(t, slices.Compact(s.ids["S"]), map[bool]int{true: 2, false: 1}[quits])
		require.Len(t, slices.Compact(s.ids["u"]), 1)
	}
}

// In a roll-back, and in a group inside a node, services are started again as in a run.
func TestReady_again_elsewhere(t *testing.T) {
	graph := "u S:u o" // backwards, u requires S
	undo := func(j *journal.Journal, s *services) []string {
		s.started = nil
		s.canStart = map[string]int{"": 0, "u": 3, "o": 3}[s.fails]
		r, err := journal.NewRollback(j, "x", graphOf(graph), s.task, &options{Group: scheduler.GroupOptions[string]{Grace: scheduler.NoLimit}})
		require.NoError(t, err)
		require.Equal(t, s.fails != "", scheduler.Run(t.Context(), r, nil) != nil)
		return s.started
	}
	for fails, want := range map[string]string{"u": "S u", "o": "o"} {
		j := openNew(t)
		require.NoError(t, up(t, j, "x", graphOf(graph), noop, nil))
		s := &services{fails: fails}
		undo(j, s)
		s.fails = ""
		require.Equal(t, strings.Fields(want), undo(j, s))
		require.Empty(t, undo(j, s))
	}

	for fails, want := range map[string]string{"v": "S v", "o": "o"} {
		j, s := openNew(t), &services{fails: fails, canStart: 4}
		outer := func(n node) scheduler.Task {
			g, err := journal.NewSubgroup(n, "in", graphOf("S u:S v:u o"), s.task, &options{Group: scheduler.GroupOptions[string]{Grace: scheduler.NoLimit}})
			require.NoError(t, err)
			return g
		}
		require.Error(t, up(t, j, "x", wide(1), outer, nil))
		s.started, s.fails = nil, ""
		require.NoError(t, up(t, j, "x", wide(1), outer, nil))
		require.Equal(t, strings.Fields(want), s.started)
	}
}

// The result that a service has when it is ready is there for those that require it, also
// after a crash.
func TestReady_result(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	addresses := []string{}
	fail := true
	task := func(n node) scheduler.Task {
		if n.Key() == "S" {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				address := []string{"", "first", "second"}[n.Attempt()]
				if err := errors.Join(n.SetResult(address)); err != nil {
					return err
				}
				co.Ready()
				if err := n.SetResult("later than ready"); err != nil {
					return err
				}
				return co.Yield(scheduler.On(co.Stopping()))
			})
		}
		return scheduler.Func(func(context.Context) error {
			address, err := journal.Result[string](n, "S")
			addresses = append(addresses, address)
			if fail && n.Key() == "v" {
				return errors.New("boom")
			}
			return err
		})
	}
	grace := &options{Group: scheduler.GroupOptions[string]{Grace: scheduler.NoLimit}}
	j := openFile(t, path)
	require.Error(t, up(t, j, "x", graphOf("S u:S v:uS"), task, grace))
	fail = false
	require.NoError(t, up(t, j, "x", graphOf("S u:S v:uS"), task, grace))
	require.Equal(t, []string{"first", "first", "second"}, addresses)
	r, err := journal.NewGroup(j, "x", graphOf("S u:S v:uS"), task, grace)
	require.NoError(t, err)
	address, err := journal.Result[string](r, "S")
	require.NoError(t, err)
	require.Equal(t, "later than ready", address, "that of its end")
	require.NoError(t, r.Close())
	require.Contains(t, history(t, j, "x"), `3 ready S attempt 1 "first"`)
}

// Whatever holds a run, its services are recorded, also beside a journal inside.
func TestReady_held(t *testing.T) {
	for how, hold := range held {
		t.Run(how, func(t *testing.T) {
			j := openNew(t)
			s := &services{fails: "u", canStart: 2}
			grace := &options{Group: scheduler.GroupOptions[string]{Grace: scheduler.NoLimit}}
			r, err := journal.NewGroup(j, "x", graphOf("S u:S"), s.task, grace)
			require.NoError(t, err)
			require.Error(t, scheduler.Run(t.Context(), hold(t, r), nil))
			require.Contains(t, strings.Join(history(t, j, "x"), "\n"), " ready S attempt 1 ")
			s.started, s.fails = nil, ""
			r, err = journal.NewGroup(j, "x", graphOf("S u:S"), s.task, grace)
			require.NoError(t, err)
			require.NoError(t, scheduler.Run(t.Context(), hold(t, r), nil))
			require.Equal(t, []string{"S", "u"}, s.started)
		})
	}
}
