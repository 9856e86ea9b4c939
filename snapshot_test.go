package scheduler_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

func TestSnapshot_at_every_step(t *testing.T) {
	const deps = "b:a c:a d:b,c e"
	all := func(completed func(string) bool) string {
		_, trace, err := played(t, deps, second, &scheduler.GroupOptions[string]{Completed: completed}, nil)
		require.NoError(t, err)
		return starts(trace)
	}
	require.Equal(t, "0s a, 0s e, 1s b, 1s c, 2s d", all(nil))

	// Killed after any number of steps, the rest runs in the order that it
	// would have had, and nothing runs twice that was completed.
	seen := map[string]bool{}
	for steps := 1; ; steps++ {
		group := newGroup(t, deps, second, nil)
		d := schedulertest.NewDriver(t, group, nil)
		for range steps {
			if d.Runner.Done() {
				break
			}
			if d.Parked() {
				at, _ := d.Runner.Due().Time()
				d.Clock.Advance(at.Sub(d.Clock.Now()))
			}
			d.Step()
		}
		text, err := json.Marshal(group.Snapshot())
		require.NoError(t, err)
		var snapshot scheduler.Snapshot[string]
		require.NoError(t, json.Unmarshal(text, &snapshot))
		seen[fmt.Sprintf("%s: %s", text, all(snapshot.Resume()))] = true
		if d.Runner.Done() {
			break
		}
	}
	require.Equal(t, map[string]bool{
		`{"completed":[],"started":["a","e"]}: 0s a, 0s e, 1s b, 1s c, 2s d`: true,
		`{"completed":["a","e"],"started":["b","c"]}: 0s b, 0s c, 1s d`:      true,
		`{"completed":["a","b","c","e"],"started":["d"]}: 0s d`:              true,
		`{"completed":["a","b","c","d","e"],"started":[]}: `:                 true,
	}, seen)
}

func TestSnapshot_RollBack_skips_what_was_never_started(t *testing.T) {
	group, _, err := played(t, "b:a c:b d:c e", func(k string) scheduler.Task {
		if k == "c" {
			return lasting(1, errSpace)
		}
		return lasting(1, nil)
	}, &scheduler.GroupOptions[string]{}, nil)
	require.Error(t, err)
	_, trace, err := played(t, "b:a c:b d:c e", second,
		&scheduler.GroupOptions[string]{Reverse: true, Completed: group.Snapshot().RollBack()}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s c, 0s e, 1s b, 2s a", starts(trace), "c was made in part; d never was")
}

// A run that goes on from an earlier one knows what that had begun.
func TestSnapshot_After(t *testing.T) {
	earlier := scheduler.Snapshot[string]{Completed: []string{"a"}, Started: []string{"b", "c"}}
	now := scheduler.Snapshot[string]{Completed: []string{"a", "b"}, Started: []string{"d"}}
	both := now.After(earlier)
	require.Equal(t, scheduler.Snapshot[string]{Completed: []string{"a", "b"}, Started: []string{"d", "c"}}, both)
	require.Equal(t, []string{"d"}, now.Started, "the original is unchanged")
	undo := both.RollBack()
	for _, k := range []string{"a", "b", "c", "d"} {
		require.False(t, undo(k))
	}
	require.True(t, undo("e"))
}

func TestSnapshot_during_a_run_by_an_observer(t *testing.T) {
	var group *scheduler.DependencyTaskGroup[string]
	var last scheduler.Snapshot[string]
	clock := schedulertest.NewClock(time.Time{}).Alone()
	group = newGroup(t, "b:a", second, &scheduler.GroupOptions[string]{
		Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
			last = group.Snapshot()
			if tr.To == scheduler.StateRunning {
				require.Contains(t, last.Started, tr.Key(), "a start is seen before anything of the task runs")
			}
		}),
	})
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, []string{"a", "b"}, last.Completed)
}
