package journal_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// A service lets what requires it start once it is ready, in a journal as without, and is
// started again when the run is continued.
func TestReady(t *testing.T) {
	j := openNew(t)
	deps := scheduler.NewDependencies[string]()
	deps.Add("use", "tunnel")
	var did []string
	attempt := func(fails bool) error {
		return up(t, j, "x", deps, func(n node) scheduler.Task {
			if n.Key() == "use" {
				return scheduler.Func(func(context.Context) error {
					did = append(did, "use")
					if fails {
						return errors.New("boom")
					}
					return nil
				})
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				did = append(did, "open")
				co.Ready()
				if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
					return err
				}
				did = append(did, "close")
				return nil
			})
		}, &journal.GroupOptions[string]{Group: scheduler.GroupOptions[string]{Grace: scheduler.NoLimit}})
	}
	require.ErrorContains(t, attempt(true), "boom")
	require.NoError(t, attempt(false))
	require.Equal(t, []string{"open", "use", "close", "open", "use", "close"}, did)
	require.NoError(t, attempt(false))
	require.Len(t, did, 6, "all is done")
}
