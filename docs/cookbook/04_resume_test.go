package main

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
	"github.com/steptask/scheduler/journal"
)

// A run through the journal is on the page as one without it is: its nodes, what they do,
// and why one waits; also when it is resumed.
func TestInspect_of_a_recorded_run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(filepath.Join(t.TempDir(), "journal.db"), nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, j.Close()) }()
		deps := scheduler.NewDependencies[string]()
		deps.Add("server", "network", "volume")
		page := inspect.New(nil)
		begin := func() *scheduler.TaskRunner {
			r, err := journal.NewGroup(j, "site", deps, func(n *journal.Node[string]) scheduler.Task {
				if n.Key() == "network" {
					return scheduler.Func(func(context.Context) error { return nil })
				}
				return scheduler.Pause(scheduler.After(time.Minute))
			}, &journal.GroupOptions[string]{Group: scheduler.GroupOptions[string]{Name: "site", Observer: page}})
			require.NoError(t, err)
			return scheduler.NewTaskRunner(r, nil)
		}
		type node struct {
			Name, State string
			Explanation struct{ Text string }
		}
		shows := func(path, name, state, why string) {
			t.Helper()
			n := ask[node](t, page, path)
			require.Equal(t, name, n.Name)
			require.Equal(t, state, n.State)
			require.Contains(t, n.Explanation.Text, why)
		}

		// Killed while the volume is made.
		first, ended := begin(), make(chan error)
		go func() { ended <- first.Run(context.Background()) }()
		time.Sleep(30 * time.Second) //nolint:forbidigo // in a bubble
		require.Equal(t, map[string]int{"succeeded": 1, "running": 1, "pending": 1},
			ask[shownRun](t, page, "/run?id=1").Run.Counts)
		shows("/node?id=1&node=0", "network", "succeeded", "")
		shows("/node?id=1&node=1", "volume", "running", "volume: running since round ")
		shows("/node?id=1&node=2", "server", "pending", "server: pending")
		first.Kill()
		require.ErrorIs(t, <-ended, scheduler.ErrCancelled)
		require.Equal(t, "cancelled", ask[shownRun](t, page, "/run?id=1").Run.Status)

		// The next run is another one on the page, with what was recorded.
		second := begin()
		go func() { ended <- second.Run(context.Background()) }()
		time.Sleep(30 * time.Second) //nolint:forbidigo // in a bubble
		require.Equal(t, map[string]int{"succeeded": 1, "running": 1, "pending": 1},
			ask[shownRun](t, page, "/run?id=2").Run.Counts)
		require.NoError(t, <-ended)
		shown := ask[shownRun](t, page, "/run?id=2").Run
		require.Equal(t, "site", shown.Name)
		require.Equal(t, "succeeded", shown.Status)
		require.Equal(t, map[string]int{"succeeded": 3}, shown.Counts)
	})
}
