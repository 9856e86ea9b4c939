package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// randomWalk is a walk of calls that do all kinds of things.
type randomWalk struct {
	deps    *scheduler.Dependencies[int]
	kinds   []int // by node
	limiter *scheduler.Limiter
	timeout time.Duration

	mu      sync.Mutex
	ended   map[int]bool
	broken  error // the first thing that should not be
	running atomic.Int64
}

func newRandomWalk(rnd *rand.Rand, limiter *scheduler.Limiter, panics bool) *randomWalk {
	w := &randomWalk{deps: scheduler.NewDependencies[int](), limiter: limiter, ended: map[int]bool{}}
	n := 1 + rnd.IntN(60)
	for k := range n {
		w.deps.Add(k)
		for range rnd.IntN(3) {
			if k > 0 {
				w.deps.Add(k, rnd.IntN(k))
			}
		}
		kind := rnd.IntN(5)
		if rnd.IntN(20) == 0 {
			kind = 5 + rnd.IntN(2)
		}
		if panics && rnd.IntN(20) == 0 {
			kind = 7
		}
		w.kinds = append(w.kinds, kind)
	}
	if rnd.IntN(3) == 0 {
		w.timeout = time.Duration(rnd.IntN(20)) * time.Second
	}
	return w
}

func (w *randomWalk) call(ctx context.Context, k int) error {
	w.running.Add(1)
	defer w.running.Add(-1)
	w.mu.Lock()
	for required := range w.deps.Requires(k) {
		if !w.ended[required] && w.broken == nil {
			w.broken = fmt.Errorf("%d began before %d had ended", k, required)
		}
	}
	w.mu.Unlock()
	err := w.behave(ctx, k)
	if err == nil {
		w.mu.Lock()
		w.ended[k] = true
		w.mu.Unlock()
	}
	return err
}

func (w *randomWalk) behave(ctx context.Context, k int) error {
	switch w.kinds[k] {
	case 1:
		runtime.Gosched()
	case 2:
		sleep(time.Duration(k) * time.Second)
	case 3: // one that knows its context
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %d: %w", k, ctx.Err())
		case <-time.After(time.Duration(k) * time.Second):
		}
	case 4:
		sleep(time.Duration(k%3) * time.Second)
	case 5:
		return errOops
	case 6:
		runtime.Goexit()
	case 7:
		panic(errOther)
	}
	return nil
}

// run makes the walk and checks what can be said of every one.
func (w *randomWalk) run(ctx context.Context, rnd *rand.Rand) (err error) {
	opts := &scheduler.GroupOptions[int]{
		AggregateErrors: rnd.IntN(2) == 0,
		Limit:           rnd.IntN(3) * rnd.IntN(4),
		Budget:          rnd.IntN(2) * rnd.IntN(4),
		Claims: func(k int) []scheduler.Claim {
			if k%4 == 0 {
				return []scheduler.Claim{{Limiter: w.limiter, Weight: 1}}
			}
			return nil
		},
	}
	if w.timeout > 0 {
		opts.Timeout = func(int) time.Duration { return w.timeout }
	}
	defer func() {
		if v := recover(); v != nil {
			p, ok := v.(*scheduler.PanicError)
			if !ok || !errors.Is(p, errOther) {
				panic(v)
			}
			err = p
		}
		switch {
		case w.running.Load() != 0:
			w.broken = errors.New("a call was left behind")
		case err == nil && len(w.ended) != len(w.kinds):
			w.broken = errors.New("not all calls were made")
		case err != nil && len(w.ended) == len(w.kinds) && w.timeout == 0 && ctx.Err() == nil:
			w.broken = fmt.Errorf("all calls have succeeded, but: %w", err)
		}
	}()
	return scheduler.Walk(ctx, w.deps, w.call, opts)
}

// Whatever calls do, and however the context ends, a walk comes to its end: nothing
// waits for a goroutine that nobody sends for. (A bubble panics if all wait.) Others
// use the same Limiter meanwhile.
func TestWalk_random(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 60
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(uint64(seed), 1))
			limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1 + rnd.IntN(2)})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if rnd.IntN(3) == 0 {
				time.AfterFunc(time.Duration(rnd.IntN(30))*time.Second, cancel)
			}
			var wg sync.WaitGroup
			for range 3 {
				w, own := newRandomWalk(rnd, limiter, seed%4 == 0), rand.New(rand.NewPCG(rnd.Uint64(), 2))
				wg.Go(func() {
					_ = w.run(ctx, own)
					if w.broken != nil {
						t.Errorf("seed %d: %v", seed, w.broken)
					}
				})
			}
			wg.Wait()
			require.Zero(t, limiter.InUse())
		})
	}
}
