package journal_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

func TestResult_by_key_and_type(t *testing.T) {
	type address struct{ Host string }
	j := openNew(t)
	check := func(from journal.Results[string]) {
		a, err := journal.Result[address](from, "network")
		require.NoError(t, err)
		require.Equal(t, address{"10.0.0.1"}, a)
		_, err = journal.Result[int](from, "network")
		value := as[*journal.ValueError](t, err)
		require.Equal(t, "result of network", value.What)
		_, err = journal.Result[address](from, "volume")
		require.ErrorIs(t, err, journal.ErrNoResult, "it has set none")
		_, err = journal.Result[address](from, "nowhere")
		require.ErrorIs(t, err, journal.ErrNoResult)
		require.EqualError(t, err, "journal: no result: nowhere: no such node")
	}
	task := does(func(n node) error {
		switch n.Key() {
		case "network":
			require.NoError(t, n.SetResult(1))
			return n.SetResult(address{"10.0.0.1"})
		case "server":
			check(n)
			_, err := journal.Result[address](n, "dns")
			require.ErrorIs(t, err, journal.ErrNoResult, "it has not run")
		}
		return nil
	})
	require.NoError(t, up(t, j, "x", site(), task, nil))

	again, err := journal.NewGroup(j, "x", site(), task, nil)
	require.NoError(t, err)
	check(again)
	require.NoError(t, again.Close())
}

func TestResult_from_the_goroutine_of_a_call(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "x", chain(5), func(n node) scheduler.Task {
		return scheduler.Blocking(func(context.Context) error {
			sum := 1
			for required := range chain(5).Requires(n.Key()) {
				v, err := journal.Result[int](n, required)
				if err != nil {
					return err
				}
				sum += v
			}
			if n.Key() == "n00004" && sum != 5 {
				return errors.New("wrong sum")
			}
			return n.SetResult(sum)
		})
	}, nil))
}

// A result that was changed after SetResult, or after Result, is the same for all.
func TestResult_is_a_copy(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "x", chain(2), does(func(n node) error {
		if n.Key() == "n00000" {
			v := []int{1, 2}
			err := n.SetResult(v)
			v[0] = 7
			return err
		}
		for range 2 {
			got, err := journal.Result[[]int](n, "n00000")
			require.NoError(t, err)
			require.Equal(t, []int{1, 2}, got)
			got[1] = 7
		}
		return nil
	}), nil))
}

func TestNode_SetResult_no_json(t *testing.T) {
	err := up(t, openNew(t), "x", wide(1), does(func(n node) error {
		require.NoError(t, n.SetResult(1))
		return n.SetResult(math.Inf(1))
	}), nil)
	value := as[*journal.ValueError](t, err)
	require.Equal(t, "result of n00000", value.What)
}

func TestResult_of_ten_megabytes(t *testing.T) {
	j := openNew(t)
	big := strings.Repeat("x", 10<<20)
	require.NoError(t, up(t, j, "x", chain(2), does(func(n node) error {
		if n.Key() == "n00000" {
			return n.SetResult(big)
		}
		got, err := journal.Result[string](n, "n00000")
		require.True(t, got == big)
		return err
	}), nil))
	r, err := journal.NewGroup(j, "x", chain(2), noop, nil)
	require.NoError(t, err)
	got, err := journal.Result[string](r, "n00000")
	require.NoError(t, err)
	require.True(t, got == big)
	require.NoError(t, r.Close())
}
