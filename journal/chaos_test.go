package journal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// hostile is a program with all that a node can have, which is ended in every way.
type hostile struct {
	t      *testing.T
	chance *rand.Rand
	deps   *scheduler.Dependencies[string]
	claim  *scheduler.Limiter

	mu    sync.Mutex
	done  map[string]int // effects of steps, by node and step
	keys  map[string]string
	fails bool
}

func (h *hostile) effect(what, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done[what]++
	if before := h.keys[what]; before != "" {
		require.Equal(h.t, before, key, "the key is the same in each attempt")
	}
	h.keys[what] = key
}

func (h *hostile) task(n node) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for _, record := range []string{"a#1", "a#2", "b#1#1"} {
			if _, err := journal.Step(co, record[:len(record)-2], func(context.Context) (string, error) {
				h.effect(n.Key()+" "+record, n.ID())
				return n.ID(), nil
			}); err != nil {
				return err
			}
		}
		inner, err := journal.NewSubgroup(n, "in side", chain(3), func(in node) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				v, err := journal.StepIn(ctx, "c", func(context.Context) (string, error) {
					h.effect(n.Key()+"/in side/"+in.Key()+" c#1", in.ID())
					return in.ID(), nil
				})
				if err != nil {
					return err
				}
				return in.SetResult(v)
			})
		}, &options{SyncEnds: len(n.Key())%2 == 0})
		if err != nil {
			return err
		}
		if err := co.Await(inner); err != nil {
			return err
		}
		h.mu.Lock()
		fails := h.fails && h.chance.IntN(12) == 0
		h.mu.Unlock()
		if fails {
			return errors.New("no such luck")
		}
		return n.SetResult(n.ID())
	})
}

// end ends a run in one of many ways, somewhere.
func (h *hostile) end(j *journal.Journal, r *journal.Run[string]) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	o := &scheduler.RunnerOptions{}
	if h.chance.IntN(2) == 0 {
		o.Grace = time.Duration(h.chance.IntN(5)) * time.Millisecond
	}
	steps := h.chance.IntN(60)
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	how := h.chance.IntN(8)
	if how == 0 {
		o.Timeout = time.Duration(1+h.chance.IntN(20)) * time.Millisecond
	}
	runner := scheduler.NewTaskRunner(r, o)
	if err := runner.Start(ctx, 0); err != nil {
		return err
	}
	for range steps {
		if runner.Done() {
			return nil
		}
		if _, err := runner.Step(ctx); err != nil {
			return err
		}
		time.Sleep(time.Duration(h.chance.IntN(300)) * time.Microsecond) //nolint:forbidigo // A disk has no other clock.
	}
	switch how {
	case 1:
		runner.Stop(errors.New("stop"))
	case 2:
		runner.Kill()
	case 3:
		r.Drain()
	case 4:
		cancel()
	case 5:
		err := r.Close() // behind the runner's back
		runner.Kill()
		return errors.Join(err, runner.RunToCompletion(ctx, 0))
	case 6:
		journal.LimitPages(j, 1)
	case 7:
		journal.QueryOnly(j, true)
	}
	return runner.RunToCompletion(ctx, 0)
}

// However often and in whichever way a run ends, the next one continues it: no effect that
// was recorded happens again, none is missing, and each has its own key.
func TestHostile(t *testing.T) {
	for seed := range uint64(hostileRuns()) {
		h := &hostile{
			t: t, chance: rand.New(rand.NewPCG(seed, 7)), deps: layered(3, 3), fails: true,
			done: map[string]int{}, keys: map[string]string{}, claim: scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 2}),
		}
		path := filepath.Join(t.TempDir(), "journal.db")
		open := func() (*journal.Journal, *journal.Run[string]) {
			j, err := journal.Open(path, &journal.Options{Synchronous: journal.Normal})
			require.NoError(t, err)
			o := &options{SyncEnds: seed%2 == 0}
			o.Group.Claims = func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: h.claim, Weight: 1}} }
			o.Group.AggregateErrors = seed%3 == 0
			r, err := journal.NewGroup(j, "x", h.deps, h.task, o)
			require.NoError(t, err)
			return j, r
		}
		for range 1 + h.chance.IntN(6) {
			recorded, before := recordedSteps(t, path), maps.Clone(h.done)
			j, r := open()
			ended := h.end(j, r)
			if err := r.Close(); ended == nil || !errors.Is(ended, journal.ErrFull) && !errors.Is(ended, journal.ErrReadOnly) {
				require.NoError(t, err, "seed %d", seed)
			}
			require.NoError(t, j.Close())
			require.Zero(t, h.claim.InUse())
			for _, what := range recorded {
				require.Equal(t, before[what], h.done[what], "seed %d: %s was on record", seed, what)
			}
		}
		h.fails = false
		j, r := open()
		require.NoError(t, scheduler.Run(t.Context(), r, nil), "seed %d", seed)
		require.Empty(t, r.Unused())
		require.NoError(t, j.Close())
		require.Len(t, h.done, 9*(3+3), "seed %d", seed)
		different := map[string]bool{}
		for _, key := range h.keys {
			different[key] = true
		}
		require.Len(t, different, 9*(1+3), "a key for each node")
	}
}

func hostileRuns() int {
	if *long {
		return 2000
	}
	return 40
}

// recordedSteps returns which effects are on record.
func recordedSteps(t *testing.T, path string) (recorded []string) {
	t.Helper()
	j, err := journal.Open(path, nil)
	require.NoError(t, err)
	for r, err := range j.Records(t.Context(), "x") {
		if err == nil && r.Kind == journal.KindStep {
			recorded = append(recorded, r.Node+" "+r.Step)
		}
	}
	require.NoError(t, j.Close())
	return recorded
}
