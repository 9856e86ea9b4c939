package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func quiet(string, ...any) {}

// Recipe 4: every run is killed, at each moment, and all are there in the end, each
// created once.
func TestUp_killed_at_any_time(t *testing.T) {
	for at := range 40 {
		synctest.Test(t, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "site.db")
			cloud := newCloud()
			ctx, kill := context.WithTimeout(t.Context(), time.Duration(at)*250*time.Millisecond)
			defer kill()
			if up(ctx, cloud, file, quiet) != nil {
				require.NoError(t, up(t.Context(), cloud, file, quiet))
			}
			require.Len(t, cloud.things, site().Len())
			for name, n := range cloud.made {
				require.Equal(t, 1, n, name)
			}
		})
	}
}

// Recipe 4, by hand: it prints what the page says.
func TestResumeByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		recipe{4, resumeByHand}.show(t.Context(), &out)
		requireGolden(t, "04_byhand.txt", out.Bytes())
	})
}

// Recipe 4, by hand: what is not on file was not begun.
func TestUpByHand_stores_a_start_before_anything_is_created(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := filepath.Join(t.TempDir(), "site.json")
		ctx, kill := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer kill()
		cloud := newCloud()
		require.ErrorIs(t, upByHand(ctx, cloud, state, func(format string, args ...any) {
			s, err := load(state)
			require.NoError(t, err)
			require.Contains(t, s.Started, args[0])
		}), context.DeadlineExceeded)
		require.Empty(t, cloud.things)
	})
}

// Recipe 4, by hand: without a record nothing more starts.
func TestUpByHand_stops_if_it_cannot_store(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "gone")
		cloud := newCloud()
		err := upByHand(t.Context(), cloud, filepath.Join(dir, "site.json"), quiet)
		require.ErrorIs(t, err, os.ErrNotExist)
		require.Empty(t, cloud.things)
	})
}

// Recipe 7: whose time was over can be told.
func TestDeadlineAroundPart_is_told_from_that_of_the_whole(t *testing.T) {
	for _, test := range []struct {
		part, whole time.Duration
		wantPart    bool
		want        string
	}{
		{time.Second, time.Minute, true, "part: timed out after 1s"},
		{time.Minute, time.Second, false, "whole: timed out after 1s"},
	} {
		part := scheduler.NewTaskRunner(scheduler.Pause(scheduler.After(time.Hour)), &scheduler.RunnerOptions{Name: "part"})
		whole := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			err := co.Await(part.AsTask(test.part))
			timeout, ok := errors.AsType[*scheduler.Timeout](err)
			require.True(t, ok)
			require.Equal(t, test.wantPart, timeout.Of(part))
			return err
		})
		err := scheduler.Run(t.Context(), whole, &scheduler.RunnerOptions{
			Name: "whole", Timeout: test.whole, Clock: schedulertest.NewClock(time.Time{}).Alone(),
		})
		require.EqualError(t, err, test.want)
	}
}

// Recipe 8: a coroutine that is parked for long need not miss the notice, and a
// second Ctrl-C ends what does not end by itself.
func TestCleanUpUnderGrace_second_interrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		noticed := time.Duration(0)
		runner := scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(time.Hour).Or(scheduler.On(co.Stopping()))); err != nil {
				return err
			}
			noticed = time.Since(start)
			return co.Yield(scheduler.After(time.Hour))
		}), &scheduler.RunnerOptions{Grace: time.Minute})
		ctx, interrupt := context.WithTimeout(t.Context(), time.Second)
		defer interrupt()
		time.AfterFunc(3*time.Second, func() { runner.Kill() })

		require.ErrorIs(t, runner.Run(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Second, noticed)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

// Recipe 9: whenever newer versions are submitted during an update, the last one
// is reached.
func TestUpdater_reaches_the_last_version(t *testing.T) {
	for at := range 6 {
		synctest.Test(t, func(t *testing.T) {
			u := &updater{cloud: newCloud(), say: quiet, has: map[string]int{}}
			u.submit(1)
			time.AfterFunc(time.Duration(at)*time.Second, func() { u.submit(2) })
			time.AfterFunc(time.Duration(at)*time.Second+time.Millisecond, func() { u.submit(3) })
			require.NoError(t, u.run(t.Context()))
			for name := range site().Nodes() {
				require.Equal(t, 3, u.has[name], "%s, submitted after %d s", name, at)
			}
		})
	}
}

// Recipe 10: a step that comes too early does nothing, and close leaves nothing
// behind.
func TestController_may_be_called_too_early(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		created := 0
		c := &controller{cloud: newCloud(), enqueue: func() {}, say: func(format string, _ ...any) {
			if format == "create %s" {
				created++
			}
		}}
		for range 10 {
			done, _, err := c.reconcile(t.Context())
			require.NoError(t, err)
			require.False(t, done)
		}
		require.Equal(t, 3, created)
		require.NoError(t, c.close())
	})
}

// All recipes: Ctrl-C at any time ends them, with everything that they started.
func TestRecipes_interrupted(t *testing.T) {
	for _, r := range recipes {
		for at := range 12 {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithTimeout(t.Context(), time.Duration(at)*time.Second+time.Millisecond)
				defer interrupt()
				start := time.Now()
				if err := r.run(ctx, newCloud(), quiet); ctx.Err() != nil {
					require.Error(t, err, "recipe %d after %d s", r.number, at)
					require.Less(t, time.Since(start), time.Duration(at+10)*time.Second, "recipe %d after %d s", r.number, at)
				}
			})
		}
	}
}

// Recipe 12: a run inside a task is refused.
func TestNestedGroups_no_run_inside_a_run(t *testing.T) {
	err := scheduler.Run(t.Context(), scheduler.Func(func(ctx context.Context) error {
		return scheduler.Run(ctx, scheduler.All(), nil)
	}), nil)
	_, ok := errors.AsType[*scheduler.NestedRunError](err)
	require.True(t, ok, "%v", err)
}
