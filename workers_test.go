package scheduler_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// manyCalls returns a group of n calls that are independent of one another.
func manyCalls(t *testing.T, n, limit int, fn func(ctx context.Context, i int) error) scheduler.Task {
	t.Helper()
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
	}
	g, err := scheduler.NewDependencyTaskGroup(deps, func(i int) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return fn(ctx, i) })
	}, &scheduler.GroupOptions[int]{Limit: limit, AggregateErrors: true})
	require.NoError(t, err)
	return g
}

// All calls of a run are made at once: each waits until the last has begun.
func TestBlocking_calls_do_not_wait_for_one_another(t *testing.T) {
	const n = 1000
	var begun sync.WaitGroup
	begun.Add(n)
	require.NoError(t, scheduler.Run(t.Context(), manyCalls(t, n, 0, func(context.Context, int) error {
		begun.Done()
		begun.Wait()
		return nil
	}), nil))
}

// Nor does it matter how a call ends, or how many there are at a time.
func TestBlocking_calls_of_all_ends(t *testing.T) {
	const n = 3000
	for _, limit := range []int{0, 1, 7} {
		var made atomic.Int64
		err := scheduler.Run(t.Context(), manyCalls(t, n, limit, func(_ context.Context, i int) error {
			made.Add(1)
			switch i % 3 {
			case 0:
				runtime.Goexit()
			case 1:
				return errOops
			}
			return nil
		}), nil)
		require.EqualValues(t, n, made.Load())
		all := asError[*scheduler.ExceptionGroup](t, err)
		require.Len(t, all.Errors, 2*n/3)
		for i, err := range all.Errors {
			e := asError[*scheduler.TaskError](t, err)
			if want := scheduler.ErrGoexit; e.Key.(int)%3 == 0 {
				require.ErrorIs(t, err, want, i)
			} else {
				require.ErrorIs(t, err, errOops, i)
			}
		}
		goleak.VerifyNone(t)
	}
}

// A panic of one call closes the others, and leaves no goroutine.
func TestBlocking_panic_beside_other_calls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		p := panicOf(t, func() {
			_ = scheduler.Run(t.Context(), manyCalls(t, 100, 0, func(ctx context.Context, i int) error {
				if i == 50 {
					panic(errOops)
				}
				<-ctx.Done()
				ended.Add(1)
				return nil
			}), nil)
		})
		require.ErrorIs(t, p.(error), errOops)
		require.EqualValues(t, 99, ended.Load())
	})
}

// Calls that are driven without a run are made as well.
func TestBlocking_without_a_run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := scheduler.Blocking(func(context.Context) error { return errOops })
		mustStep(t, t.Context(), task)
		synctest.Wait()
		_, err := task.Step(t.Context())
		require.Equal(t, errOops, err)
	})
}
