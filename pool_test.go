package scheduler_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// stepper is a coroutine of so many steps.
func stepper(steps int, end func() error) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for range steps - 1 {
			if err := co.Yield(scheduler.Next); err != nil {
				return err
			}
		}
		return end()
	})
}

// However a run ends, nothing is left of its coroutines: not of those that had
// ended before, either.
func TestRun_leaves_no_coroutine(t *testing.T) {
	members := func(t *testing.T, end func() error) scheduler.Task {
		t.Helper()
		deps := scheduler.NewDependencies[int]()
		for i := range 20 {
			deps.Add(i)
		}
		g, err := scheduler.NewDependencyTaskGroup(deps, func(i int) scheduler.Task {
			if i == 19 {
				return stepper(30, end)
			}
			return stepper(i+1, func() error { return nil })
		}, nil)
		require.NoError(t, err)
		return g
	}
	succeed := func() error { return nil }
	tests := map[string]func(t *testing.T){
		"success": func(t *testing.T) { require.NoError(t, scheduler.Run(t.Context(), members(t, succeed), nil)) },
		"failure": func(t *testing.T) {
			require.ErrorIs(t, scheduler.Run(t.Context(), members(t, func() error { return errOops }), nil), errOops)
		},
		"panic": func(t *testing.T) {
			panicOf(t, func() {
				_ = scheduler.Run(t.Context(), members(t, func() error { panic(errOops) }), nil)
			})
		},
		"Goexit": func(t *testing.T) {
			task, exited := members(t, func() error { runtime.Goexit(); return nil }), make(chan struct{})
			go func() {
				defer close(exited)
				_ = scheduler.Run(context.Background(), task, nil)
			}()
			<-exited
		},
		"Cancel": func(t *testing.T) {
			r := startRunner(t, members(t, succeed), nil)
			for range 10 {
				mustStep(t, t.Context(), r)
			}
			require.NoError(t, r.Cancel())
		},
		"a group that is driven by hand": func(t *testing.T) {
			task := members(t, succeed)
			for {
				y := mustStep(t, t.Context(), task)
				if y == scheduler.Done {
					break
				}
			}
		},
		"a group that is closed by hand": func(t *testing.T) {
			task := members(t, succeed)
			for range 10 {
				mustStep(t, t.Context(), task)
			}
			require.NoError(t, task.Close())
		},
		"a new context with each step": func(t *testing.T) {
			r := scheduler.NewTaskRunner(members(t, succeed), nil)
			require.NoError(t, r.Start(context.WithoutCancel(t.Context()), 0))
			for !r.Done() {
				mustStep(t, context.WithValue(t.Context(), contextKey{}, 1), r)
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test(t)
			goleak.VerifyNone(t)
		})
	}
}

// A coroutine that begins when others have ended costs no goroutine.
func TestWrap_takes_over_what_others_leave(t *testing.T) {
	before := runtime.NumGoroutine()
	require.NoError(t, scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for range 100 {
			if err := co.Await(stepper(3, func() error { return nil })); err != nil {
				return err
			}
			require.LessOrEqual(t, runtime.NumGoroutine(), before+2)
		}
		return nil
	}), nil))
	goleak.VerifyNone(t)
}
