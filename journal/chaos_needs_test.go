package journal_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// needy is a program with services, conditions and a node that finds others, in a group
// with a Limit, which is ended in every way.
type needy struct {
	hostile

	run *journal.Run[string]
	up  map[string]bool // services that are ready now

	without []string // nodes that ran without the service that they require
}

var needyGraph = graphOf("S T:S a:S b:aT W l:S c:bl d:c")

func (h *needy) task(n node) scheduler.Task {
	k := n.Key()
	if k == "S" || k == "T" || k == "W" {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return h.serve(co, n) })
	}
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		requires := map[string]string{"a": "S", "b": "T", "l": "S"}[k]
		for _, step := range []string{"1", "2"} {
			if _, err := journal.Step(co, step, func(ctx context.Context) (bool, error) {
				h.effect(k+" "+step+"#1", n.ID())
				h.mu.Lock()
				defer h.mu.Unlock()
				if requires != "" && !h.up[requires] && ctx.Err() == nil {
					h.without = append(h.without, k)
				}
				return true, nil
			}); err != nil {
				return err
			}
		}
		if requires != "" {
			address, err := journal.Result[string](n, requires)
			require.NoError(h.t, err)
			require.Equal(h.t, requires, address)
		}
		if k == "l" {
			if err := errors.Join(h.run.Add("x", "l", "S"), h.run.Add("y", "x")); err != nil {
				return err
			}
			h.run.CloseInput()
		}
		co.Note("all but done")
		if h.fails && h.chance.IntN(8) == 0 {
			return errors.New("no such luck")
		}
		return nil
	})
}

// serve is a service, with a step before it is ready.
func (h *needy) serve(co *scheduler.Coroutine, n node) error {
	if _, err := journal.Step(co, "open", func(context.Context) (bool, error) {
		h.effect(n.Key()+" "+n.ID()+" open#1", n.ID())
		return true, nil
	}); err != nil {
		return err
	}
	if err := n.SetResult(n.Key()); err != nil {
		return err
	}
	if notice := co.StopCause(); notice != nil {
		return notice // it could not become ready any more, and has not succeeded
	}
	h.mu.Lock()
	h.up[n.Key()] = true
	h.mu.Unlock()
	co.Ready()
	err := co.Yield(scheduler.On(co.Stopping()))
	h.mu.Lock()
	h.up[n.Key()] = false
	h.mu.Unlock()
	return err
}

// As TestHostile, with what nodes may need: nothing uses a service that is not up, no step
// is run twice in one life of a node, and in the end everything is done and rolled back.
func TestHostile_needs(t *testing.T) {
	for seed := range uint64(hostileRuns()) {
		h := &needy{hostile: hostile{
			t: t, chance: rand.New(rand.NewPCG(seed, 8)), fails: true,
			done: map[string]int{}, keys: map[string]string{},
		}}
		path := filepath.Join(t.TempDir(), "journal.db")
		open := func() (*journal.Journal, *journal.Run[string]) {
			h.up = map[string]bool{}
			j, err := journal.Open(path, &journal.Options{Synchronous: journal.Normal})
			require.NoError(t, err)
			o := &options{SyncEnds: seed%2 == 0}
			o.Group.KeepOpen, o.Group.Grace, o.Group.Limit = true, scheduler.NoLimit, int(seed%3)
			if seed%4 == 0 {
				o.Group.Grace = 0
			}
			r, err := journal.NewGroup(j, "x", needyGraph, h.task, o)
			require.NoError(t, err)
			h.run = r
			if done, err := journal.Dependencies[string](t.Context(), j, "x"); err == nil && done.Contains("y") {
				r.CloseInput() // l has ended, or does nothing new
			}
			return j, r
		}
		for range 1 + h.chance.IntN(6) {
			j, r := open()
			ended := h.end(j, r)
			if err := r.Close(); ended == nil || !errors.Is(ended, journal.ErrFull) && !errors.Is(ended, journal.ErrReadOnly) {
				require.NoError(t, err, "seed %d", seed)
			}
			require.NoError(t, j.Close())
		}
		h.fails = false
		j, r := open()
		require.NoError(t, scheduler.Run(t.Context(), r, nil), "seed %d", seed)
		require.NoError(t, j.Close())
		require.Empty(t, h.without, "seed %d", seed)
		for _, k := range []string{"a", "b", "c", "d", "l", "x", "y"} {
			require.Positive(t, h.done[k+" 1#1"], "seed %d: %s", seed, k)
			require.Positive(t, h.done[k+" 2#1"], "seed %d: %s", seed, k)
		}

		j = openFile(t, path)
		whole, err := journal.Dependencies[string](t.Context(), j, "x")
		require.NoError(t, err)
		var undone []string
		back, err := journal.NewRollback(j, "x", whole, does(func(n node) error {
			undone = append(undone, n.Key())
			return nil
		}), nil)
		require.NoError(t, err)
		require.NoError(t, scheduler.Run(t.Context(), back, nil))
		require.Len(t, undone, 10, "seed %d", seed)
	}
}
