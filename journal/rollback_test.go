package journal_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// halfUp makes network and volume, and half of the server.
func halfUp(t *testing.T, j *journal.Journal) {
	t.Helper()
	require.Error(t, up(t, j, "site", site(), func(n node) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			id, err := journal.Step(co, "create", func(context.Context) (string, error) { return n.Key() + "-1", nil })
			if err == nil && n.Key() == "server" {
				err = errors.New("quota")
			}
			return errors.Join(err, n.SetResult(id))
		})
	}, nil))
}

func TestNewRollback_undoes_what_was_started_in_reverse(t *testing.T) {
	j := openNew(t)
	halfUp(t, j)
	var order []string
	down := func(fails string) error {
		r, err := journal.NewRollback(j, "site", site(), does(func(n node) error {
			id, err := journal.Result[string](n, n.Key())
			if errors.Is(err, journal.ErrNoResult) { // it was not finished
				id, err = journal.StepResult[string](n, n.Key(), "create")
			}
			if err == nil && n.Key() == fails {
				err = errors.New("in use")
			}
			if err == nil {
				order = append(order, id)
			}
			return err
		}), nil)
		require.NoError(t, err)
		return scheduler.Run(t.Context(), r, nil)
	}
	require.EqualError(t, down("network"), "network: in use")
	require.NoError(t, down(""), "it goes on where the first came to")
	require.Equal(t, []string{"server-1", "network-1", "volume-1"}, order)
	for run, err := range j.Runs(t.Context()) {
		require.NoError(t, err)
		require.True(t, run.Rollback)
		require.Equal(t, journal.RunSucceeded, run.State)
	}

	_, err := journal.NewGroup(j, "site", site(), noop, nil)
	require.ErrorIs(t, err, journal.ErrRollingBack)
	require.NoError(t, j.Delete(t.Context(), "site"))
	_, err = journal.NewRollback(j, "site", site(), noop, nil)
	require.ErrorIs(t, err, journal.ErrNoRun)
	require.NoError(t, up(t, j, "site", site(), noop, nil), "a new run of that name")
}

func TestNewRollback_has_keys_attempts_and_steps_of_its_own(t *testing.T) {
	j := openNew(t)
	ids, deleted := map[string]string{}, 0
	require.NoError(t, up(t, j, "x", wide(1), func(n node) scheduler.Task {
		ids["up"] = n.ID()
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := journal.Step(co, "call", func(context.Context) (int, error) { return 1, nil })
			return err
		})
	}, nil))
	for attempt := range 2 {
		r, err := journal.NewRollback(j, "x", wide(1), func(n node) scheduler.Task {
			ids["down"] = n.ID()
			require.Equal(t, attempt+1, n.Attempt())
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				v, err := journal.Step(co, "call", func(context.Context) (int, error) {
					deleted++
					return 2, nil
				})
				require.NoError(t, err)
				require.Equal(t, 2, v)
				made, err := journal.StepResult[int](n, n.Key(), "call")
				require.NoError(t, err)
				require.Equal(t, 1, made)
				if attempt == 0 {
					return errors.New("boom")
				}
				return nil
			})
		}, nil)
		require.NoError(t, err)
		require.Equal(t, attempt == 0, scheduler.Run(t.Context(), r, nil) != nil)
	}
	require.Equal(t, 1, deleted)
	require.NotEqual(t, ids["up"], ids["down"])
}

func TestNewRollback_of_another_graph_is_refused(t *testing.T) {
	j := openNew(t)
	halfUp(t, j)
	_, err := journal.NewRollback(j, "site", wide(1), noop, nil)
	require.ErrorIs(t, err, journal.ErrGraphChanged)
	require.False(t, list(t, j)[0].Rollback, "refused, so the run may go on")
	require.NoError(t, up(t, j, "site", site(), noop, nil))
}
