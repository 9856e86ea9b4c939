package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func site() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network", "volume")
	deps.Add("dns", "server")
	return deps
}

func TestReconcile_returns_when_it_wants_to_be_called_again(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{})
	var log []string
	c := &Controller{
		Store: &Store{}, Deps: site(), Clock: clock, Enqueue: func(string) {},
		Create: func(_, node string) scheduler.Task {
			log = append(log, node)
			return scheduler.Pause(scheduler.After(3 * time.Second))
		},
	}
	for _, want := range []struct {
		result  Result
		created []string
	}{
		{Result{RequeueAfter: 3 * time.Second}, []string{"network", "volume"}},
		{Result{RequeueAfter: 3 * time.Second}, []string{"network", "volume", "server"}},
		{Result{RequeueAfter: 3 * time.Second}, []string{"network", "volume", "server", "dns"}},
		{Result{Done: true}, []string{"network", "volume", "server", "dns"}},
	} {
		result, err := c.Reconcile(t.Context(), "site")
		require.NoError(t, err)
		require.Equal(t, want.result, result)
		require.Equal(t, want.created, log)
		clock.Advance(result.RequeueAfter)
	}
}

// A call that comes too early, as any controller must stand, does nothing.
func TestReconcile_may_be_called_at_any_time(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{})
	steps := 0
	c := &Controller{
		Store: &Store{}, Deps: site(), Clock: clock, Enqueue: func(string) {},
		Create: func(string, string) scheduler.Task {
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				steps++
				return scheduler.After(time.Hour), nil
			})
		},
	}
	for range 10 {
		_, err := c.Reconcile(t.Context(), "site")
		require.NoError(t, err)
		clock.Advance(time.Minute)
	}
	require.Equal(t, 2, steps)
	require.NoError(t, c.Close())
}

// Only the completed nodes are kept from one process to the next.
func TestReconcile_goes_on_in_another_process(t *testing.T) {
	store := &Store{}
	process := func(fail string) (log []string, err error) {
		clock := schedulertest.NewClock(time.Time{})
		c := &Controller{
			Store: store, Deps: site(), Clock: clock, Enqueue: func(string) {},
			Create: func(_, node string) scheduler.Task {
				log = append(log, node)
				return scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)), scheduler.Func(func(context.Context) error {
					if node == fail {
						return errors.New("no space")
					}
					return nil
				}))
			},
		}
		for {
			result, err := c.Reconcile(t.Context(), "site")
			if err != nil || result.Done {
				return log, err
			}
			clock.Advance(result.RequeueAfter)
		}
	}
	log, err := process("server")
	require.EqualError(t, err, "server: no space")
	require.Equal(t, []string{"network", "volume", "server"}, log)
	log, err = process("")
	require.NoError(t, err)
	require.Equal(t, []string{"server", "dns"}, log)
}

// A call that returns wakes the controller; nobody polls.
func TestReconcile_is_woken_by_an_event(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := make(chan string, 100)
		start := time.Now()
		c := &Controller{
			Store: &Store{}, Deps: site(), Enqueue: func(object string) { queue <- object },
			Create: func(string, string) scheduler.Task {
				return scheduler.Blocking(func(context.Context) error {
					time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
					return nil
				})
			},
		}
		calls := 0
		queue <- "site"
		for object := range queue {
			calls++
			result, err := c.Reconcile(t.Context(), object)
			require.NoError(t, err)
			if result.Done {
				break
			}
			require.Zero(t, result.RequeueAfter)
			if result.Requeue {
				queue <- object
			}
		}
		require.Equal(t, 3*time.Minute, time.Since(start), "three levels, side by side")
		require.Less(t, calls, 20)
	})
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { require.NoError(t, run()) })
}
