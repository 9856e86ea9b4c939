package scheduler_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// What has a nil where a task belongs begins none of those that it was given.
func TestCombinators_of_a_nil_task_begin_nothing(t *testing.T) {
	task := scheduler.Func(func(context.Context) error { t.Error("it has begun"); return nil })
	for want, broken := range map[string]scheduler.Task{
		"scheduler: nil task: number 1 of a Sequence":   scheduler.Sequence(task, nil),
		"scheduler: nil task: the task of a Finally":    scheduler.Finally(nil, task),
		"scheduler: nil task: the cleanup of a Finally": scheduler.Finally(task, nil),
	} {
		err := scheduler.Run(t.Context(), broken, nil)
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, scheduler.ErrNilTask)
	}
}

// A group that is driven by hand says what is wrong with what it was given, and a
// nil cause of a stop is no nil dereference later.
func TestGroup_misuse_by_hand(t *testing.T) {
	var none context.Context
	group := func() *scheduler.DependencyTaskGroup[string] {
		return groupOf(t, "a", func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) },
			&scheduler.GroupOptions[string]{Name: "web", Grace: time.Hour})
	}
	g := group()
	_, err := g.Step(none)
	require.EqualError(t, err, "scheduler: ctx: nil Context")
	_, err = g.Step(t.Context())
	require.NoError(t, err, "it was not used up by that")
	require.PanicsWithValue(t, "scheduler: DependencyTaskGroup.Throw into web: nil error", func() { _, _ = g.Throw(t.Context(), nil) })
	require.PanicsWithValue(t, "scheduler: DependencyTaskGroup.Throw into web: nil Context", func() { _, _ = g.Throw(none, errOops) })
	require.PanicsWithValue(t, "scheduler: DependencyTaskGroup.Stop of web: nil Context", func() { g.Stop(none, errOops) })
	g.Stop(t.Context(), nil)
	require.NoError(t, g.Close())
	require.EqualError(t, new(scheduler.StopError), "scheduler: cancelled")

	err = scheduler.Run(t.Context(), new(scheduler.DependencyTaskGroup[string]), nil)
	require.EqualError(t, err, "scheduler: DependencyTaskGroup: zero value; use NewDependencyTaskGroup")
}

func TestMisuse_of_a_nil_context(t *testing.T) {
	var none context.Context
	fn := func(context.Context, string) error { return nil }
	require.EqualError(t, scheduler.Walk(none, graph("a"), fn, nil), "scheduler: ctx: nil Context")
	for want, do := range map[string]func(){
		"scheduler: Now: nil Context":       func() { scheduler.Now(none) },
		"scheduler: StopCause: nil Context": func() { _ = scheduler.StopCause(none) },
		"scheduler: WithClock: nil Context": func() { scheduler.WithClock(none, newClock()) },
		"scheduler: Stopping: nil Context":  func() { scheduler.Stopping(none) },
	} {
		require.PanicsWithValue(t, want, do)
	}
}

// A task that was closed has been used.
func TestTasks_are_used_up_by_Close(t *testing.T) {
	event := scheduler.On(new(scheduler.Event))
	for name, task := range map[string]scheduler.Task{
		"Pause":   scheduler.Pause(event),
		"Named":   scheduler.Named("web", scheduler.Pause(event)),
		"Shield":  scheduler.Shield(scheduler.Pause(event)),
		"Subrun":  scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Pause(event), nil)),
		"Reserve": scheduler.Reserve(time.Second, scheduler.Pause(event)),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, startRunner(t, task, nil).Cancel())
			err := scheduler.Run(t.Context(), task, nil)
			require.ErrorIs(t, err, scheduler.ErrEnded)
			require.ErrorContains(t, err, "Pause(")
			require.False(t, errors.Is(err, scheduler.ErrCancelled))
		})
	}
}
