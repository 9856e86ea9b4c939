package scheduler_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// Without a grace of its own a group has that of the nearest runner that has one.
func TestGroup_Grace_is_inherited(t *testing.T) {
	const s = time.Second
	type around struct{ outer, inner, group time.Duration }
	for _, test := range []struct {
		name string
		around
		want time.Duration // how long slow runs on after the failure, of 60 s
	}{
		{"nobody has one", around{}, 0},
		{"the runner has one", around{inner: 10 * s}, 10 * s},
		{"the outer runner has one", around{outer: 20 * s}, 20 * s},
		{"both have one", around{outer: 20 * s, inner: 10 * s}, 10 * s},
		{"the group's own counts", around{outer: 20 * s, inner: 10 * s, group: 5 * s}, 5 * s},
		{"the group wants none", around{outer: 20 * s, inner: 10 * s, group: scheduler.NoGrace}, 0},
		{"the runner wants none", around{outer: 20 * s, inner: scheduler.NoGrace}, 0},
		{"without end", around{outer: scheduler.NoLimit}, 60 * s},
		{"the group's own without end", around{inner: s, group: scheduler.NoLimit}, 60 * s},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := schedulertest.NewClock(time.Time{})
			began := clock.Now()
			group := newGroup(t, "bad slow", func(k string) scheduler.Task {
				if k == "bad" {
					return lasting(1, errBoom)
				}
				return scheduler.Pause(scheduler.After(61 * s))
			}, &scheduler.GroupOptions[string]{Grace: test.group})
			nested := scheduler.Sequence(scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Sequence(group), &scheduler.RunnerOptions{Grace: test.inner})))
			err := scheduler.Run(t.Context(), nested, &scheduler.RunnerOptions{Clock: clock, Grace: test.outer})
			require.ErrorIs(t, err, errBoom)
			require.Equal(t, test.want, clock.Now().Sub(began).Truncate(time.Millisecond)-s)
		})
	}
}

// Options that make no sense are errors of the call that took them; that of a
// clock is one of the first step.
func TestGroup_Grace_and_Abandon_out_of_range(t *testing.T) {
	for option, opts := range map[string]*scheduler.GroupOptions[string]{
		"GroupOptions.Grace":   {Grace: -1},
		"GroupOptions.Abandon": {Abandon: -1},
	} {
		_, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) }, opts)
		var e *scheduler.OptionError
		require.ErrorAs(t, err, &e)
		require.Equal(t, option, e.Option)
	}
	g := newGroup(t, "a", func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[string]{Abandon: time.Second, Grace: scheduler.NoGrace})
	_, err := g.Step(scheduler.WithClock(context.Background(), schedulertest.NewClock(time.Time{})))
	var e *scheduler.OptionError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "GroupOptions.Abandon", e.Option)
	require.Equal(t, scheduler.StatePending, g.State("a"))
}
