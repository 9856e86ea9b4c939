package scheduler_test

import (
	"errors"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// ordered runs a group of "b:a c:b d e:d" of jobs of three seconds, and gives an
// order after a second.
func ordered(t *testing.T, opts *scheduler.GroupOptions[string], task func(*servicePlay, string) scheduler.Task,
	order func(g *scheduler.DependencyTaskGroup[string]),
) (text, ends string, g *scheduler.DependencyTaskGroup[string], err error) {
	t.Helper()
	d := newServicePlay()
	g = newGroup(t, "b:a c:b d e:d", func(k string) scheduler.Task { return task(d, k) }, opts)
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
	d.clock.Advance(time.Second)
	r.Post(func() { order(g) })
	err = r.RunToCompletion(t.Context(), 0)
	return d.String(), endings(g), g, err
}

func threeSeconds(d *servicePlay, k string) scheduler.Task { return d.job(k, 3, nil) }

// obedient ends with its notice a second after it.
func obedient(d *servicePlay, k string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		d.add("%s", k)
		err := co.Yield(scheduler.After(3 * time.Second).Or(scheduler.On(co.Stopping())))
		if err == nil && co.Stopping().IsSet() {
			d.add("%s told: %v", k, co.StopCause())
			if err = co.Yield(scheduler.After(time.Second)); err == nil {
				err = co.StopCause()
			}
		}
		d.add("%s: %v", k, err)
		return err
	})
}

func TestSkipNode(t *testing.T) {
	off := errors.New("switched off")
	aggregate := func() *scheduler.GroupOptions[string] { return &scheduler.GroupOptions[string]{AggregateErrors: true} }

	text, ends, g, err := ordered(t, aggregate(), threeSeconds, func(g *scheduler.DependencyTaskGroup[string]) {
		require.True(t, g.SkipNode("b", off))
		require.False(t, g.SkipNode("b", off), "it was told already")
		require.False(t, g.SkipNode("nobody", off))
		require.Equal(t, scheduler.StatePending, g.State("b"), "until the next step")
	})
	require.NoError(t, err)
	require.Equal(t, "0s a, 0s d, 3s a done, 3s d done, 3s e, 6s e done", text)
	require.Equal(t, " a succeeded b skipped c skipped d succeeded e succeeded", ends)
	require.ErrorIs(t, g.Err("c"), off)
	require.Equal(t, "b skipped: b: switched off\nc skipped: b: switched off because of b", outcomes(g))
	require.Empty(t, g.Errors())

	// One that runs is closed, or has its grace.
	text, ends, g, err = ordered(t, aggregate(), threeSeconds, func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.SkipNode("a", nil)) })
	require.NoError(t, err)
	require.Equal(t, "0s a, 0s d, 1s a: scheduler: closed, 3s d done, 3s e, 6s e done", text)
	require.Equal(t, " a skipped b skipped c skipped d succeeded e succeeded", ends)
	require.ErrorIs(t, g.Err("a"), scheduler.ErrSkip)

	graced := aggregate()
	graced.Grace = 5 * time.Second
	text, ends, _, err = ordered(t, graced, obedient, func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.SkipNode("a", off)) })
	require.NoError(t, err)
	require.Equal(t, "0s a, 0s d, 1s a told: switched off, 2s a: switched off, 3s d: <nil>, 3s e, 6s e: <nil>", text)
	require.Equal(t, " a skipped b skipped c skipped d succeeded e succeeded", ends)

	// One that finishes in its grace has succeeded, and one that fails has failed.
	_, ends, _, err = ordered(t, graced, threeSeconds, func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.SkipNode("a", off)) })
	require.NoError(t, err)
	require.Equal(t, " a succeeded b succeeded c succeeded d succeeded e succeeded", ends)
	_, ends, _, err = ordered(t, graced, func(d *servicePlay, k string) scheduler.Task {
		if k == "a" {
			return d.job(k, 3, errSpace)
		}
		return d.job(k, 3, nil)
	}, func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.SkipNode("a", off)) })
	require.ErrorIs(t, err, errSpace)
	require.Equal(t, " a failed b skipped c skipped d succeeded e succeeded", ends)
}

func TestStopNode(t *testing.T) {
	enough := errors.New("enough")
	for _, when := range []bool{false, true} {
		opts := func(what scheduler.Disposition) *scheduler.GroupOptions[string] {
			o := &scheduler.GroupOptions[string]{
				Grace: 5 * time.Second, OnError: func(string, error) scheduler.Disposition { return what },
			}
			if when {
				o.When = conditions(nil)
			}
			return o
		}
		stop := func(k string) func(g *scheduler.DependencyTaskGroup[string]) {
			return func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.StopNode(k, enough)) }
		}
		text, ends, g, err := ordered(t, opts(scheduler.SkipDependents), obedient, stop("b"))
		require.ErrorIs(t, err, enough)
		require.Equal(t, "0s a, 0s d, 3s a: <nil>, 3s d: <nil>, 3s e, 6s e: <nil>", text)
		require.Equal(t, " a succeeded b failed c skipped d succeeded e succeeded", ends)
		require.False(t, g.Started("b"))
		require.Equal(t, "b failed: b: enough\nc skipped: b: enough because of b", outcomes(g))

		text, ends, g, err = ordered(t, opts(scheduler.SkipDependents), obedient, stop("a"))
		require.ErrorIs(t, err, enough)
		require.Equal(t, "0s a, 0s d, 1s a told: enough, 2s a: enough, 3s d: <nil>, 3s e, 6s e: <nil>", text)
		require.Equal(t, " a failed b skipped c skipped d succeeded e succeeded", ends)
		require.Equal(t, "a", asError[*scheduler.TaskError](t, g.Err("a")).Key)

		_, ends, _, err = ordered(t, opts(scheduler.IgnoreError), obedient, stop("a"))
		require.NoError(t, err)
		require.Equal(t, " a failed b succeeded c succeeded d succeeded e succeeded", ends)

		_, ends, _, err = ordered(t, opts(scheduler.StopGroup), obedient, stop("b"))
		require.ErrorIs(t, err, enough)
		require.Equal(t, " a cancelled b failed c cancelled d cancelled e cancelled", ends)
	}

	// A nil cause is ErrCancelled, and one that ignores it is closed.
	text, ends, _, err := ordered(t, &scheduler.GroupOptions[string]{AggregateErrors: true, Grace: time.Second}, threeSeconds,
		func(g *scheduler.DependencyTaskGroup[string]) { require.True(t, g.StopNode("a", nil)) })
	require.ErrorIs(t, err, scheduler.ErrCancelled)
	require.Equal(t, "0s a, 0s d, 2s a: scheduler: closed, 3s d done, 3s e, 6s e done", text)
	require.Equal(t, " a failed b skipped c skipped d succeeded e succeeded", ends)
}

// An order inside a step, of a node that would start in the same round, comes in
// time; also for one that waits for claims, and before the first step.
func TestStopNode_in_a_step(t *testing.T) {
	for _, claims := range []bool{false, true} {
		for _, first := range []bool{false, true} {
			var g *scheduler.DependencyTaskGroup[string]
			opts := &scheduler.GroupOptions[string]{AggregateErrors: true}
			l := limiter(1)
			if claims {
				opts.Claims = func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} }
			}
			started := ""
			g = newGroup(t, "a b c d", func(k string) scheduler.Task {
				started += k
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					if k == "a" && !first {
						require.True(t, g.StopNode("b", nil))
						require.True(t, g.SkipNode("c", nil))
						require.True(t, g.StopNode("a", nil), "itself")
					}
					return co.Yield(scheduler.Next)
				})
			}, opts)
			if first {
				require.True(t, g.StopNode("b", nil))
				require.True(t, g.SkipNode("c", nil))
			}
			err := scheduler.Run(t.Context(), g, alone())
			require.ErrorIs(t, err, scheduler.ErrCancelled)
			require.Equal(t, "ad", started)
			require.Equal(t, scheduler.StateFailed, g.State("b"))
			require.Equal(t, scheduler.StateSkipped, g.State("c"))
			require.Equal(t, first, g.State("a") == scheduler.StateSucceeded)
			require.False(t, g.StopNode("d", nil), "it has ended")
			require.Zero(t, l.InUse()+l.Waiting())
		}
	}
}

// A node that waits in line for a claim leaves it when it is told to end: those behind
// it are served, and nothing of it is kept.
func TestStopNode_in_line_for_claims(t *testing.T) {
	l := limiter(1)
	started := ""
	g := newGroup(t, "a b c", func(k string) scheduler.Task {
		started += k
		return scheduler.Pause(scheduler.After(time.Hour))
	}, &scheduler.GroupOptions[string]{AggregateErrors: true, Claims: func(k string) []scheduler.Claim {
		if k == "b" { // in a line of its own
			return []scheduler.Claim{{Limiter: l, Weight: 1}, {Limiter: limiter(9), Weight: 1}}
		}
		return []scheduler.Claim{{Limiter: l, Weight: 1}}
	}})
	driver := schedulertest.NewDriver(t, g, nil)
	driver.Step()
	require.Equal(t, "a", started)
	require.Equal(t, 2, l.Waiting())
	require.True(t, g.StopNode("b", nil))
	require.Equal(t, 1, l.Waiting(), "c")
	require.ErrorIs(t, driver.RunToEnd(), scheduler.ErrCancelled)
	require.Equal(t, "ac", started)
	require.Equal(t, scheduler.StateFailed, g.State("b"))
	require.Zero(t, l.InUse()+l.Waiting())
}

// A node whose turn in line has come, and which has not started yet for the budget,
// gives the turn up: to the next in line that claims the same, or to nobody.
func TestStopNode_whose_turn_in_line_has_come(t *testing.T) {
	for _, tc := range []struct{ nodes, started, behind string }{
		{nodes: "a b c", started: "ac", behind: "c"},
		{nodes: "a b", started: "a"},
	} {
		l := limiter(1)
		started := ""
		g := newGroup(t, tc.nodes, func(k string) scheduler.Task {
			started += k
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[string]{AggregateErrors: true, Budget: 1, Claims: units(l)})
		mustStep(t, t.Context(), g) // a starts
		mustStep(t, t.Context(), g) // the others ask
		require.Equal(t, 1, l.Waiting(), "all that claim the same, in one place")
		mustStep(t, t.Context(), g) // a ends, which uses the budget up
		require.Equal(t, scheduler.StateSucceeded, g.State("a"))
		require.Equal(t, "a", started)
		require.True(t, g.StopNode("b", nil))
		require.Equal(t, len(tc.behind), l.Waiting())

		var err error
		for range 9 {
			if _, err = g.Step(t.Context()); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, scheduler.ErrCancelled)
		require.Equal(t, tc.started, started)
		require.Equal(t, scheduler.StateFailed, g.State("b"))
		require.Zero(t, l.InUse()+l.Waiting())
	}
}

// What an order has asked to end ends as it says, also if the group is closed
// meanwhile.
func TestStopNode_and_then_the_end_of_the_run(t *testing.T) {
	enough := errors.New("enough")
	for _, skips := range []bool{false, true} {
		d := newServicePlay()
		g := newGroup(t, "a", func(k string) scheduler.Task { return d.job(k, 3, nil) }, &scheduler.GroupOptions[string]{Grace: time.Minute})
		r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
		if skips {
			require.True(t, g.SkipNode("a", enough))
		} else {
			require.True(t, g.StopNode("a", enough))
		}
		_, err := r.Step(t.Context())
		require.NoError(t, err)
		_ = r.Cancel()
		require.ErrorIs(t, g.Err("a"), enough)
		require.Equal(t, skips, g.State("a") == scheduler.StateSkipped)
		require.Equal(t, !skips, g.State("a") == scheduler.StateFailed)
	}
}
