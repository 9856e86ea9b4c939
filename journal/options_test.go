package journal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// The time limit of a node does not count while its start is on its way to the disk.
func TestRun_timeout_counts_from_the_begin(t *testing.T) {
	j := openNew(t)
	const limit = 20 * time.Millisecond
	r, err := journal.NewGroup(j, "x", wide(1), noop, &options{Group: scheduler.GroupOptions[string]{
		Timeout: func(string) time.Duration { return limit },
	}})
	require.NoError(t, err)
	release, start := journal.HoldWrites(j), time.Now()
	slowDisk := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		if time.Since(start) < 2*limit {
			return scheduler.After(limit), nil
		}
		release()
		return scheduler.Done, nil
	})
	require.NoError(t, scheduler.Run(t.Context(), scheduler.All(r, slowDisk), nil))
}

// After its own limit a node has the group's grace, or its own, to clean up.
func TestRun_grace_after_a_timeout(t *testing.T) {
	for _, o := range []scheduler.GroupOptions[string]{
		{Grace: time.Minute},
		{GraceFor: func(string) time.Duration { return time.Minute }},
	} {
		synctest.Test(t, func(t *testing.T) {
			o.Timeout = func(k string) time.Duration {
				if k == "n00000" {
					return 0 // none
				}
				return time.Second
			}
			cleaned := false
			start := time.Now()
			err := up(t, openNew(t), "x", chain(2), func(n node) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					if n.Key() == "n00000" {
						return co.Yield(scheduler.After(time.Hour))
					}
					err := co.Yield(scheduler.After(time.Hour))
					if e := co.Yield(scheduler.After(30 * time.Second)); e != nil {
						return e
					}
					cleaned = true
					return err
				})
			}, &options{Group: o})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.True(t, cleaned)
			require.Less(t, time.Since(start), time.Hour+32*time.Second)
		})
	}
}

func TestRun_policies(t *testing.T) {
	boom := errors.New("boom")
	for name, o := range map[string]scheduler.GroupOptions[string]{
		"stop":      {},
		"aggregate": {AggregateErrors: true},
		"ignore":    {OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError }},
		"recover":   {RecoverPanics: true},
		"budget":    {Budget: 2, AggregateErrors: true},
		"limit":     {Limit: 2, AggregateErrors: true},
		"reverse":   {Reverse: true, AggregateErrors: true},
	} {
		t.Run(name, func(t *testing.T) {
			j := openNew(t)
			starts := map[string]int{}
			attempt := func(fails bool) error {
				return up(t, j, "x", layered(3, 3), does(func(n node) error {
					starts[n.Key()]++
					switch {
					case fails && n.Key() == "n00004" && o.RecoverPanics:
						panic(boom)
					case fails && n.Key() == "n00004":
						return boom
					}
					return nil
				}), &options{Group: o})
			}
			err := attempt(true)
			require.Equal(t, o.OnError == nil, errors.Is(err, boom))
			require.NoError(t, attempt(false))
			require.Equal(t, 2, starts["n00004"])
			for key, n := range starts {
				require.True(t, key == "n00004" || n == 1, "%s was run %d times", key, n)
			}
			require.Len(t, starts, 9)
		})
	}
}

// A skipped node is no failure, and is run by a later process.
func TestRun_skip(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "x", chain(3), does(func(n node) error {
		if n.Key() == "n00001" {
			return scheduler.ErrSkip
		}
		return nil
	}), nil))
	var ran []string
	require.NoError(t, up(t, j, "x", chain(3), does(func(n node) error {
		ran = append(ran, n.Key())
		return nil
	}), nil))
	require.Equal(t, []string{"n00001", "n00002"}, ran)
}

// The group can be asked and drained as ever.
func TestRun_drained(t *testing.T) {
	j := openNew(t)
	var r *journal.Run[string]
	r, err := journal.NewGroup(j, "x", chain(3), does(func(n node) error {
		if n.Key() == "n00001" {
			r.Drain()
		}
		return nil
	}), &options{Group: scheduler.GroupOptions[string]{Name: "site"}})
	require.NoError(t, err)
	require.Equal(t, "site", r.String())
	require.ErrorIs(t, scheduler.Run(t.Context(), r, nil), scheduler.ErrDrained)
	require.Equal(t, []string{"n00000", "n00001"}, r.Snapshot().Completed)
	require.NoError(t, up(t, j, "x", chain(3), noop, nil))
}

// Observers, contexts and what they are told are those of the group.
func TestRun_observed(t *testing.T) {
	type value struct{}
	j := openNew(t)
	var told []string
	require.NoError(t, up(t, j, "x", chain(2), func(n node) scheduler.Task {
		return scheduler.Func(func(ctx context.Context) error {
			require.Equal(t, "of "+n.Key(), ctx.Value(value{}))
			return nil
		})
	}, &options{Group: scheduler.GroupOptions[string]{
		Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
			told = append(told, fmt.Sprint(tr.Path(), " ", tr.To))
		}),
		Context:   func(ctx context.Context, k string) context.Context { return context.WithValue(ctx, value{}, "of "+k) },
		Completed: func(string) bool { return false },
	}}))
	require.Equal(t, []string{"n00000 running", "n00000 succeeded", "n00001 running", "n00001 succeeded"}, told)
}

// A group inside a node is seen as one.
func TestRun_explained(t *testing.T) {
	j := openNew(t)
	r, err := journal.NewGroup(j, "x", wide(1), func(n node) scheduler.Task {
		g, err := journal.NewSubgroup(n, "in", wide(1), func(node) scheduler.Task {
			return scheduler.Pause(scheduler.After(time.Hour))
		}, nil)
		require.NoError(t, err)
		return g
	}, nil)
	require.NoError(t, err)
	runner := scheduler.NewTaskRunner(r, nil)
	require.NoError(t, runner.Start(t.Context(), 0))
	e := r.ExplainNode("n00000")
	for start := time.Now(); e.Inside == nil && time.Since(start) < time.Minute; { // until the start is on disk
		_, err := runner.Step(t.Context())
		require.NoError(t, err)
		e = r.ExplainNode("n00000")
	}
	require.NotNil(t, e.Inside)
	require.NoError(t, runner.Cancel())
}
