package proof_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// walkCase is a walk of calls that take their time, and of which some fail. No two end
// at the same instant.
type walkCase struct {
	needs  [][]int // by node, of lower ones
	takes  []time.Duration
	fails  []bool
	deaf   []bool // it does not look at its context
	cancel time.Duration
	limit  int
}

func newWalkCase(seed uint64) *walkCase {
	rnd := rand.New(rand.NewPCG(seed, 7))
	w := &walkCase{needs: make([][]int, 1+rnd.IntN(12)), limit: rnd.IntN(2) * rnd.IntN(4)}
	for k := range w.needs {
		for q := range k {
			if rnd.IntN(3) == 0 {
				w.needs[k] = append(w.needs[k], q)
			}
		}
		w.takes = append(w.takes, time.Duration(rnd.IntN(5))*time.Second+time.Duration(1<<k)*time.Microsecond)
		w.fails = append(w.fails, rnd.IntN(12) == 0)
		w.deaf = append(w.deaf, rnd.IntN(3) == 0)
	}
	if rnd.IntN(3) == 0 {
		w.cancel = time.Duration(rnd.IntN(12))*time.Second + time.Millisecond*100
	}
	return w
}

// walkLog is what the calls of a walk have seen.
type walkLog struct {
	mu    sync.Mutex
	began time.Time
	text  []string
}

func (w *walkCase) call(log *walkLog) func(ctx context.Context, k int) error {
	note := func(what string, k int) {
		log.mu.Lock()
		defer log.mu.Unlock()
		log.text = append(log.text, fmt.Sprintf("%v %s %d", time.Since(log.began), what, k))
	}
	return func(ctx context.Context, k int) error {
		note("begins", k)
		defer note("ends", k)
		done := ctx.Done()
		if w.deaf[k] {
			done = nil
		}
		select {
		case <-done:
			return ctx.Err()
		case <-time.After(w.takes[k]):
		}
		if w.fails[k] {
			return fmt.Errorf("node %d: %w", k, errWalk)
		}
		return nil
	}
}

var errWalk = errors.New("failed")

// plain is the walk as one writes it by hand: a goroutine for each node, which waits
// on the channels of those that it needs.
func (w *walkCase) plain(ctx context.Context, call func(ctx context.Context, k int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make([]chan struct{}, len(w.needs))
	for k := range done {
		done[k] = make(chan struct{})
	}
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for k, needs := range w.needs {
		wg.Go(func() {
			for _, q := range needs {
				select {
				case <-done[q]:
				case <-ctx.Done():
					return
				}
			}
			if ctx.Err() != nil {
				return
			}
			if err := call(ctx, k); err == nil {
				close(done[k])
			} else if ctx.Err() == nil {
				once.Do(func() {
					first = err
					cancel(err)
				})
			}
		})
	}
	wg.Wait()
	if first == nil {
		return context.Cause(ctx) // even if all calls that it hit have succeeded
	}
	return first
}

// TestWalk_plain compares Walk with a goroutine for each node and channels: the same
// calls begin and end at the same times, with failures, with contexts that end, and
// with calls that are deaf to that. With a Limit no more are under way, and each call
// is made that can be.
func TestWalk_plain(t *testing.T) {
	failed, cancelled := 0, 0
	for seed := range uint64(unlessReduced(3000, 300)) {
		w := newWalkCase(seed)
		play := func(walk func(ctx context.Context, call func(context.Context, int) error) error) (text []string, err error) {
			synctest.Test(t, func(t *testing.T) {
				log := &walkLog{began: time.Now()}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if w.cancel > 0 {
					time.AfterFunc(w.cancel, cancel)
				}
				err = walk(ctx, w.call(log))
				text = log.text
			})
			slices.Sort(text) // of what happens at the same instant
			return text, err
		}
		deps := scheduler.NewDependencies[int]()
		for k, needs := range w.needs {
			deps.Add(k, needs...)
		}
		want, wantErr := play(w.plain)
		got, err := play(func(ctx context.Context, call func(context.Context, int) error) error {
			return scheduler.Walk(ctx, deps, call, nil)
		})
		require.Equal(t, want, got, "seed %d", seed)
		require.Equal(t, wantErr == nil, err == nil, "seed %d: %v, %v", seed, wantErr, err)
		if wantErr != nil {
			require.ErrorContains(t, err, wantErr.Error(), "seed %d", seed)
			require.True(t, errors.Is(err, errWalk) || !errors.Is(wantErr, errWalk), "seed %d", seed)
		}
		switch {
		case errors.Is(wantErr, errWalk):
			failed++
		case err != nil:
			cancelled++
		}
		if w.limit > 0 {
			w.checkLimit(t, seed, deps, play, err)
		}
	}
	require.Greater(t, failed, 50)
	require.Greater(t, cancelled, 10)
}

// checkLimit makes the walk with a Limit.
func (w *walkCase) checkLimit(
	t *testing.T, seed uint64, deps *scheduler.Dependencies[int],
	play func(func(context.Context, func(context.Context, int) error) error) ([]string, error), unlimited error,
) {
	t.Helper()
	running, most, calls := 0, 0, 0
	var mu sync.Mutex
	_, err := play(func(ctx context.Context, call func(context.Context, int) error) error {
		return scheduler.Walk(ctx, deps, func(ctx context.Context, k int) error {
			mu.Lock()
			running++
			calls++
			most = max(most, running)
			mu.Unlock()
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				running--
			}()
			return call(ctx, k)
		}, &scheduler.GroupOptions[int]{Limit: w.limit})
	})
	require.LessOrEqual(t, most, w.limit, "seed %d", seed)
	if err == nil {
		require.NoError(t, unlimited, "seed %d", seed)
		require.Equal(t, len(w.needs), calls, "seed %d", seed)
	}
}
