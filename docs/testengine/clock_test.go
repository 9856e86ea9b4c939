package testengine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// slowCloud is a fake for tests of one order: each call takes its time.
type slowCloud struct {
	takes time.Duration
	asked []string
}

func (c *slowCloud) call(ctx context.Context, what string) error {
	c.asked = append(c.asked, what) // before it waits: only the beginnings of calls are in order
	return schedulertest.Sleep(ctx, c.takes)
}

func (c *slowCloud) Create(ctx context.Context, name string) (string, error) {
	return "id of " + name, c.call(ctx, "create "+name)
}

func (c *slowCloud) Find(ctx context.Context, name string) ([]string, error) {
	return nil, c.call(ctx, "find "+name)
}

func (c *slowCloud) Delete(ctx context.Context, id string) error { return c.call(ctx, "delete "+id) }

func newEngine(c cloud) *engine {
	disk := map[string]record{}
	return &engine{cloud: c, disk: disk, save: func(name string, r record) { disk[name] = r }}
}

// In a bubble, with a clock that begins and answers calls in order.
func TestUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{}).InBubble(synctest.Wait)
		c := &slowCloud{takes: time.Minute}
		e := newEngine(c)
		task, err := e.up()
		require.NoError(t, err)
		clock.Alone(task) // if it waited for ever, the test would say for what

		require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: clock}))

		require.Equal(t, []string{"create network", "create server"}, c.asked)
		require.Equal(t, "id of server", e.disk["server"].ID)
		require.Equal(t, 2*time.Minute, clock.Elapsed())
	})
}

// A create that hangs ends at its limit.
func TestUp_timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{}).InBubble(synctest.Wait)
		e := newEngine(&slowCloud{takes: time.Hour})
		task, err := e.up()
		require.NoError(t, err)

		err = scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: clock})

		require.EqualError(t, err, "network: timed out after 10m0s")
		require.Equal(t, 10*time.Minute, clock.Elapsed())
		require.Equal(t, record{Begun: true}, e.disk["network"], "so that down finds what may be there")
	})
}

// With a grace, what was begun is completed after a stop, and nothing else begins.
func TestUp_grace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{}).InBubble(synctest.Wait)
		c := &slowCloud{takes: time.Minute}
		e := newEngine(c)
		task, err := e.up()
		require.NoError(t, err)
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()

		err = scheduler.Run(ctx, task, &scheduler.RunnerOptions{Clock: clock, Grace: 5 * time.Minute})

		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "id of network", e.disk["network"].ID)
		require.Equal(t, []string{"create network"}, c.asked)
		require.Equal(t, time.Minute, clock.Elapsed())
	})
}
