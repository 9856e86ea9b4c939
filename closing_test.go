package scheduler_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// renamed is a wrapper that has only a name of its own.
type renamed struct {
	scheduler.Task
	name string
}

func (r renamed) Unwrap() scheduler.Task { return r.Task }

func (r renamed) String() string { return r.name }

// BeginClose asks, whatever holds the calls, and the event is set when the last
// of them has returned.
func TestCloser(t *testing.T) {
	call := func(d time.Duration) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			<-ctx.Done()
			sleep(d)
			return nil
		})
	}
	around := map[string]func(task scheduler.Task) scheduler.Task{
		"bare":     func(task scheduler.Task) scheduler.Task { return task },
		"renamed":  func(task scheduler.Task) scheduler.Task { return renamed{task, "r"} },
		"Wrap":     func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
		"AsTask":   func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
		"All":      func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		"two":      func(task scheduler.Task) scheduler.Task { return scheduler.All(call(time.Second), task) },
		"Poll":     func(scheduler.Task) scheduler.Task { return pollFor(2 * time.Second) },
		"nested":   func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.Sequence(renamed{task, "r"})) },
		"parallel": func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.All(call(1), task), call(2)) },
	}
	for name, put := range around {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				task := put(call(2 * time.Second))
				mustStep(t, t.Context(), task)
				synctest.Wait()
				begin := time.Now()
				closer := task
				for range 2 { // wrapped once at most
					if u, ok := closer.(interface{ Unwrap() scheduler.Task }); ok {
						closer = u.Unwrap()
					}
				}
				e := closer.(scheduler.Closer).BeginClose()
				require.NotNil(t, e)
				require.Equal(t, begin, time.Now(), "it only asks")
				sleep(2*time.Second - 1)
				synctest.Wait()
				require.False(t, e.IsSet())
				sleep(1)
				synctest.Wait()
				require.True(t, e.IsSet())
				require.NoError(t, task.Close())
				require.Equal(t, 2*time.Second, time.Since(begin))
			})
		})
	}
}

func pollFor(d time.Duration) scheduler.Task {
	return scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
		<-ctx.Done()
		sleep(d)
		return true, nil
	})
}

// A task that has nothing to wait for says so.
func TestCloser_nothing_to_wait_for(t *testing.T) {
	for _, task := range []scheduler.Task{
		scheduler.Sequence(scheduler.Pause(scheduler.Next)),
		scheduler.All(scheduler.Pause(scheduler.Next), scheduler.Pause(scheduler.Next)),
		scheduler.NewTaskRunner(scheduler.Pause(scheduler.Next), nil).AsTask(0),
	} {
		mustStep(t, t.Context(), task)
		require.Nil(t, task.(scheduler.Closer).BeginClose())
		require.NoError(t, task.Close())
	}
}

func TestEnding(t *testing.T) {
	var e scheduler.Event
	require.False(t, scheduler.Ending(&e).Ready())
	e.Set()
	require.True(t, scheduler.Ending(&e).Ready())
	require.PanicsWithValue(t, "scheduler: On: nil event", func() { scheduler.Ending(nil) })
}
