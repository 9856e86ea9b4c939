package journal_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// What nodes say about themselves is heard in a journal as without one: by Observers, in
// Explain, and in the text of a Timeout.
func TestNotes(t *testing.T) {
	building := func(group func() *scheduler.DependencyTaskGroup[string]) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			co.Note("asked for it")
			require.Equal(t, "asked for it", group().ExplainNode("server").Notes.Text)
			_, err := scheduler.Call(co, func(ctx context.Context) (int, error) {
				scheduler.Note(ctx, "still building")
				<-ctx.Done()
				return 0, context.Cause(ctx)
			})
			return err
		})
	}
	var group *scheduler.DependencyTaskGroup[string]
	self := func() *scheduler.DependencyTaskGroup[string] { return group }
	deps := scheduler.NewDependencies[string]()
	deps.Add("server")

	run := func(t *testing.T, newTask func(t *testing.T, o scheduler.GroupOptions[string]) scheduler.Task) (told, text string) {
		synctest.Test(t, func(t *testing.T) {
			task := newTask(t, scheduler.GroupOptions[string]{
				Timeout: func(string) time.Duration { return time.Minute },
				Observer: listener{scheduler.KindsOf(scheduler.NodeNoted), func(r scheduler.Record) {
					told += fmt.Sprintf("%v: %v; ", r.Key(), r.Notes().Text)
				}},
			})
			err := scheduler.Run(t.Context(), task, nil)
			timeout := as[*scheduler.Timeout](t, err)
			require.Equal(t, "still building", timeout.Notes.Text)
			text = err.Error()
		})
		return told, text
	}
	plainTold, plainText := run(t, func(t *testing.T, o scheduler.GroupOptions[string]) scheduler.Task {
		var err error
		group, err = scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task { return building(self) }, &o)
		require.NoError(t, err)
		return group
	})
	require.Equal(t, "server: asked for it; server: still building; ", plainTold)
	told, text := run(t, func(t *testing.T, o scheduler.GroupOptions[string]) scheduler.Task {
		j := openNew(t)
		r, err := journal.NewGroup(j, "x", deps, func(node) scheduler.Task { return building(self) }, &options{Group: o})
		require.NoError(t, err)
		group = r.DependencyTaskGroup
		return r
	})
	require.Equal(t, plainTold, told)
	require.Equal(t, plainText, text)
}

// listener wants to be told of some kinds.
type listener struct {
	kinds   scheduler.Kinds
	observe func(scheduler.Record)
}

func (l listener) Wants() scheduler.Kinds     { return l.kinds }
func (l listener) Observe(r scheduler.Record) { l.observe(r) }

// With When a run comes to the same as without a journal, whatever the graph, the verdicts
// and the failures; continued after a failure too. What was passed by is no part of a
// roll-back.
func TestWhen(t *testing.T) {
	j := openNew(t)
	for seed := range uint64(150) {
		chance := rand.New(rand.NewPCG(seed, 1))
		deps := wide(6)
		nodes := slices.Collect(deps.Nodes())
		verdicts, fails := map[string]scheduler.Verdict{}, map[string]bool{}
		for i, k := range nodes {
			for _, q := range nodes[:i] {
				if chance.IntN(3) == 0 {
					deps.Add(k, q)
				}
			}
			fails[k] = chance.IntN(4) == 0
			verdicts[k] = []scheduler.Verdict{scheduler.Usual, scheduler.Usual, scheduler.Start, scheduler.Skip, scheduler.Pass}[chance.IntN(5)]
		}
		again := false
		work := func(k string) error {
			if fails[k] && !again {
				return errors.New("boom")
			}
			return nil
		}
		o := scheduler.GroupOptions[string]{
			AggregateErrors: true,
			When: func(k string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
				for _, state := range required {
					require.True(t, state.Ended())
				}
				return verdicts[k]
			},
		}
		plain, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
			return scheduler.Func(func(context.Context) error { return work(k) })
		}, &o)
		require.NoError(t, err)
		plainErr := scheduler.Run(t.Context(), plain, nil)

		name := fmt.Sprint(seed)
		started := map[string]int{}
		task := does(func(n node) error {
			started[n.Key()]++
			return work(n.Key())
		})
		r, err := journal.NewGroup(j, name, deps, task, &options{Group: o})
		require.NoError(t, err)
		err = scheduler.Run(t.Context(), r, nil)
		require.Equal(t, plainErr == nil, err == nil)
		require.Equal(t, maps.Collect(plain.All()), maps.Collect(r.All()), name)

		again = true
		r, err = journal.NewGroup(j, name, deps, task, &options{Group: o})
		require.NoError(t, err)
		before := maps.Clone(started)
		require.NoError(t, scheduler.Run(t.Context(), r, nil))
		for _, k := range nodes {
			if state := plain.State(k); state == scheduler.StateSucceeded {
				require.Equal(t, before[k], started[k], "it had succeeded")
			}
			if before[k] > 0 && fails[k] && r.State(k) == scheduler.StateSucceeded {
				require.Equal(t, 2, started[k], "it had failed")
			}
		}

		var deleted []string
		back, err := journal.NewRollback(j, name, deps, does(func(n node) error {
			deleted = append(deleted, n.Key())
			return nil
		}), nil)
		require.NoError(t, err)
		require.NoError(t, scheduler.Run(t.Context(), back, nil))
		require.ElementsMatch(t, slices.Collect(maps.Keys(started)), deleted)
		for i, k := range deleted {
			for later := range deps.From(k).All() {
				require.NotContains(t, deleted[i+1:], later, "what requires it is deleted before")
			}
		}
	}
}

// A part of what a node does can hold a Limiter, in a journal as without.
func TestClaiming(t *testing.T) {
	limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
	inUse := 0
	err := up(t, openNew(t), "x", wide(5), func(n node) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			call := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				inUse++
				require.Equal(t, 1, inUse)
				_, err := journal.Step(co, "create", func(context.Context) (string, error) { return n.ID(), nil })
				inUse--
				return err
			})
			if err := co.Await(scheduler.Claiming([]scheduler.Claim{{Limiter: limiter, Weight: 1}}, call)); err != nil {
				return err
			}
			return n.SetResult(n.ID())
		})
	}, nil)
	require.NoError(t, err)
	require.Zero(t, limiter.InUse())
}

// Of several tasks in a node the first wins; what the others have recorded stays so.
func TestFirst(t *testing.T) {
	j := openNew(t)
	var quick, slow atomic.Int64 // calls that may be made at one time
	attempt := func(fails bool) error {
		return up(t, j, "x", wide(1), func(node) scheduler.Task {
			try := func(name string, effects *atomic.Int64, after scheduler.Yield) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					if _, err := journal.Step(co, name, func(context.Context) (int64, error) { return effects.Add(1), nil }); err != nil {
						return err
					}
					if err := journal.Sync(co); err != nil {
						return err
					}
					return co.Yield(after)
				})
			}
			first := scheduler.First(try("quick", &quick, scheduler.Next), try("slow", &slow, scheduler.After(time.Hour)))
			return scheduler.Sequence(first, scheduler.Func(func(context.Context) error {
				if fails {
					return errors.New("boom")
				}
				return nil
			}))
		}, nil)
	}
	require.Error(t, attempt(true))
	require.NoError(t, attempt(false))
	require.EqualValues(t, 1, quick.Load())
	require.LessOrEqual(t, slow.Load(), int64(1))
}
