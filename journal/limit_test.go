package journal_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// A node holds its place in Limit, and its claims, while its start is on the way to the
// disk. With room for one node, that keeps nothing waiting for ever.
func TestRun_limit_of_one(t *testing.T) {
	only := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
	var run *journal.Run[string]
	running, most := 0, 0
	work := func(co *scheduler.Coroutine) error {
		running++
		most = max(most, running)
		defer func() { running-- }()
		for _, step := range []string{"a", "b"} {
			if _, err := journal.Step(co, step, func(context.Context) (bool, error) { return true, nil }); err != nil {
				return err
			}
		}
		return journal.Sync(co)
	}
	plain := func(node) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return work(co) })
	}
	for _, test := range []struct {
		name  string
		graph string
		task  func(n node) scheduler.Task
		o     options
	}{
		{"side by side", "a b c d", plain, options{}},
		{"ends on disk", "a b:a c d:bc", plain, options{SyncEnds: true}},
		{"a claim besides", "a b:a c d:bc", plain, options{Group: scheduler.GroupOptions[string]{
			Claims: func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: only, Weight: 1}} },
		}}},
		{"growth", "l a b:a", func(n node) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := work(co); err != nil {
					return err
				}
				switch n.Key() {
				case "l":
					return run.Add("x", "l", "b")
				case "x":
					return run.Add("y")
				case "y":
					run.CloseInput()
				}
				return nil
			})
		}, options{Group: scheduler.GroupOptions[string]{KeepOpen: true}}},
		{"a service", "S u:S v:u w", func(n node) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := work(co); err != nil || n.Key() != "S" {
					return err
				}
				co.Ready()
				return co.Yield(scheduler.On(co.Stopping()))
			})
		}, options{Group: scheduler.GroupOptions[string]{Grace: scheduler.NoLimit}}},
		{"a group inside, of one", "a b", func(n node) scheduler.Task {
			inner, err := journal.NewSubgroup(n, "in", graphOf("a b c:a"), plain, &options{Group: scheduler.GroupOptions[string]{Limit: 1}})
			require.NoError(t, err)
			return inner
		}, options{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			running, most = 0, 0
			test.o.Group.Limit = 1
			j := openFile(t, filepath.Join(t.TempDir(), "journal.db"))
			var err error
			run, err = journal.NewGroup(j, "x", graphOf(test.graph), test.task, &test.o)
			require.NoError(t, err)
			require.NoError(t, scheduler.Run(t.Context(), run, nil))
			require.Equal(t, 1, most)
			require.Zero(t, only.InUse())
		})
	}
}
