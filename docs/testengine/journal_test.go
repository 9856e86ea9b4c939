package testengine_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
	"github.com/steptask/scheduler/schedulertest"
)

// durably brings the site up, and goes on where an earlier process has ended.
func durably(ctx context.Context, path string, c cloud) error {
	j, err := journal.Open(path, &journal.Options{Synchronous: journal.Normal})
	if err != nil {
		return err
	}
	defer j.Close()
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	run, err := journal.NewGroup(j, "site", deps, func(n *journal.Node[string]) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := journal.Step(co, "create", func(ctx context.Context) (string, error) {
				return c.Create(ctx, n.Key())
			})
			return err
		})
	}, nil)
	if err != nil {
		return err
	}
	defer run.Close()
	return scheduler.Run(ctx, run, nil)
}

// A second process goes on where the first one was stopped.
func TestDurably(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{}).InBubble(synctest.Wait)
		c := &slowCloud{takes: time.Minute}
		path := filepath.Join(t.TempDir(), "site.db")
		ctx := scheduler.WithClock(t.Context(), clock)

		first, stop := context.WithTimeout(ctx, 90*time.Second) // while the server is created
		defer stop()
		require.ErrorIs(t, durably(first, path, c), context.DeadlineExceeded)
		require.NoError(t, durably(ctx, path, c))
		require.NoError(t, durably(ctx, path, c), "it has succeeded: nothing is left to do")

		require.Equal(t, []string{"create network", "create server", "create server"}, c.asked)
	})
}
