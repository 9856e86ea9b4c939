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

// A task that has ended, in whichever way, has been used, and says so with its name.
func TestTasks_are_used_once(t *testing.T) {
	fn := func(context.Context) error { return nil }
	ready := func(context.Context) (bool, error) { return true, nil }
	body := func(*scheduler.Coroutine) error { return nil }
	event := func() scheduler.Task { return scheduler.Pause(scheduler.On(new(scheduler.Event))) }
	subrun := func() *scheduler.TaskRunner {
		return scheduler.NewTaskRunner(event(), &scheduler.RunnerOptions{Name: "used"})
	}
	for name, tt := range map[string]struct {
		make func() scheduler.Task
		says string
	}{
		"Pause":    {event, "Pause("},
		"Blocking": {func() scheduler.Task { return scheduler.Blocking(fn) }, "used_once.func"},
		"Fetch": {func() scheduler.Task {
			return scheduler.Fetch(ready, func(bool, error) error { return nil })
		}, "used_once.func"},
		"Poll":     {func() scheduler.Task { return scheduler.Poll(time.Second, ready) }, "used_once.func"},
		"Wrap":     {func() scheduler.Task { return scheduler.Wrap(body) }, "used_once.func"},
		"Sequence": {func() scheduler.Task { return scheduler.Sequence(event()) }, "Sequence"},
		"Finally":  {func() scheduler.Task { return scheduler.Finally(event(), event()) }, "Finally"},
		"Retry": {func() scheduler.Task {
			return scheduler.Retry(constant(0), func(int, error) scheduler.Task { return event() })
		}, "Retry"},
		"All":      {func() scheduler.Task { return scheduler.All(event()) }, "All"},
		"group":    {func() scheduler.Task { return groupOf(t, "a", hours, &scheduler.GroupOptions[string]{Name: "used"}) }, "used"},
		"Claiming": {func() scheduler.Task { return scheduler.Claiming(nil, event()) }, "Pause("},
		"Named":    {func() scheduler.Task { return scheduler.Named("web", event()) }, "Pause("},
		"Shield":   {func() scheduler.Task { return scheduler.Shield(event()) }, "Pause("},
		"Reserve":  {func() scheduler.Task { return scheduler.Reserve(time.Second, event()) }, "Pause("},
		"Subrun":   {func() scheduler.Task { return scheduler.Subrun(subrun()) }, "used"},
	} {
		for how, end := range map[string]func(scheduler.Task){
			"Close before its first step": func(task scheduler.Task) { require.NoError(t, task.Close()) },
			"Throw before its first step": func(task scheduler.Task) {
				if thrower, ok := task.(scheduler.Thrower); ok {
					_, err := thrower.Throw(t.Context(), errOops)
					require.Equal(t, errOops, err)
				} else {
					require.NoError(t, task.Close())
				}
			},
			"Close": func(task scheduler.Task) { require.NoError(t, startRunner(t, task, nil).Cancel()) },
			"Throw": func(task scheduler.Task) {
				r := startRunner(t, task, nil)
				r.Interrupt(errOops)
				_, _ = r.Step(t.Context())
				_ = r.Cancel() // a clean-up has yielded once more
			},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				task := tt.make()
				end(task)
				err := scheduler.Run(t.Context(), task, nil)
				require.ErrorIs(t, err, scheduler.ErrEnded)
				require.ErrorContains(t, err, tt.says)
				require.False(t, errors.Is(err, scheduler.ErrCancelled))
			})
		}
	}
	t.Run("Subrun of a runner that somebody else drives", func(t *testing.T) {
		r := startRunner(t, event(), nil)
		require.NoError(t, scheduler.Subrun(r).Close())
		require.False(t, r.Done())
		require.NoError(t, r.Cancel())
	})
}
