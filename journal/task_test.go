package journal

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// swallower ends in answer to what is thrown into it.
type swallower struct{ scheduler.Task }

func (swallower) Throw(context.Context, error) (scheduler.Yield, error) { return scheduler.Done, nil }

// closed counts how often it was closed.
type closed struct {
	scheduler.Task
	times *int
}

func (c closed) Close() error {
	*c.times++
	return nil
}

// A group throws nothing into its members, since their limits are inside; but what
// drives one may.
func TestNodeTask_Throw(t *testing.T) {
	j, err := Open(filepath.Join(t.TempDir(), "journal.db"), nil)
	require.NoError(t, err)
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	r, err := NewGroup(j, "x", deps, func(*Node[string]) scheduler.Task { return nil }, nil)
	require.NoError(t, err)
	boom := errors.New("boom")
	begun := func(inner scheduler.Task) *nodeTask {
		task := &nodeTask{
			node: r.nodes["a"].own, make: func() scheduler.Task { return inner },
		}
		_, err := task.begin(t.Context())
		require.NoError(t, err)
		return task
	}

	waiting := &nodeTask{node: r.nodes["a"].own}
	_, err = waiting.Step(t.Context())
	require.NoError(t, err)
	_, err = waiting.Throw(t.Context(), boom)
	require.ErrorIs(t, err, boom)

	times := 0
	_, err = begun(closed{scheduler.Pause(scheduler.Next), &times}).Throw(t.Context(), boom)
	require.ErrorIs(t, err, boom)
	require.Equal(t, 1, times)

	y, err := begun(swallower{scheduler.Pause(scheduler.Next)}).Throw(t.Context(), boom)
	require.NoError(t, err)
	require.Equal(t, scheduler.Done, y)
	require.Equal(t, nodeEnded, r.nodes["a"].own.state)
	require.NoError(t, r.Close())
	require.NoError(t, j.Close())
}
