package scheduler_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// What is nil where something belongs panics with a sentence that names the function.
func TestMisuse_panics_with_a_sentence(t *testing.T) {
	var (
		none   *scheduler.TaskRunner
		deps   *scheduler.Dependencies[string]
		limit  *scheduler.Limiter
		co     *scheduler.Coroutine
		ctx    = t.Context()
		task   = func() scheduler.Task { return scheduler.Pause(scheduler.Next) }
		number = func(context.Context) (int, error) { return 0, nil }
	)
	for want, do := range map[string]func(){
		"scheduler: TaskRunner.AsTask: nil TaskRunner":          func() { none.AsTask(0) },
		"scheduler: TaskRunner.Run: nil TaskRunner":             func() { _ = none.Run(ctx) },
		"scheduler: TaskRunner.RunWith: nil TaskRunner":         func() { _ = none.RunWith(ctx, 0, 0) },
		"scheduler: TaskRunner.RunToCompletion: nil TaskRunner": func() { _ = none.RunToCompletion(ctx, 0) },
		"scheduler: TaskRunner.Start: nil TaskRunner":           func() { _ = none.Start(ctx, 0) },
		"scheduler: TaskRunner.Step: nil TaskRunner":            func() { _, _ = none.Step(ctx) },
		"scheduler: TaskRunner.Stop: nil TaskRunner":            func() { none.Stop(errOops) },
		"scheduler: TaskRunner.Kill: nil TaskRunner":            func() { none.Kill() },
		"scheduler: TaskRunner.Cancel: nil TaskRunner":          func() { _ = none.Cancel() },
		"scheduler: TaskRunner.CancelAfter: nil TaskRunner":     func() { none.CancelAfter(0) },
		"scheduler: TaskRunner.Interrupt: nil TaskRunner":       func() { none.Interrupt(errOops) },
		"scheduler: TaskRunner.Post: nil TaskRunner":            func() { none.Post(func() {}) },
		"scheduler: TaskRunner.RunPosted: nil TaskRunner":       func() { none.RunPosted() },
		"scheduler: TaskRunner.Due: nil TaskRunner":             func() { none.Due() },
		"scheduler: TaskRunner.Started: nil TaskRunner":         func() { none.Started() },
		"scheduler: TaskRunner.Done: nil TaskRunner":            func() { none.Done() },
		"scheduler: TaskRunner.Err: nil TaskRunner":             func() { _ = none.Err() },
		"scheduler: TaskRunner.String: nil TaskRunner":          func() { _ = none.String() },
		"scheduler: Subrun: nil TaskRunner":                     func() { scheduler.Subrun(none) },

		"scheduler: nil Dependencies; use NewDependencies":     func() { deps.Add("a") },
		"scheduler: nil Dependencies; use NewDependencies ":    func() { deps.Len() },
		"scheduler: nil Dependencies; use NewDependencies  ":   func() { _ = deps.String() },
		"scheduler: nil Dependencies; use NewDependencies   ":  func() { scheduler.Translate(deps, func(k string) string { return k }) },
		"scheduler: nil Dependencies; use NewDependencies    ": func() { _ = deps.WriteDOT(io.Discard) },
		"scheduler: Dependencies.Subset: nil function":         func() { graph("a").Subset(nil) },
		"scheduler: Translate: nil function":                   func() { scheduler.Translate[string, int](graph("a"), nil) },

		"scheduler: Limiter.SetCapacity: a Limiter that NewLimiter did not make": func() { new(scheduler.Limiter).SetCapacity(1) },
		"scheduler: Limiter.InUse: a Limiter that NewLimiter did not make":       func() { new(scheduler.Limiter).InUse() },
		"scheduler: Limiter.Waiting: a Limiter that NewLimiter did not make":     func() { limit.Waiting() },

		"scheduler: Call: nil Coroutine":                             func() { _, _ = scheduler.Call(nil, number) },
		"scheduler: Coroutine.Yield called outside its function":     func() { _ = co.Yield(scheduler.Next) },
		"scheduler: Coroutine.Await called outside its function":     func() { _ = co.Await(task()) },
		"scheduler: Coroutine.Context called outside its function":   func() { co.Context() },
		"scheduler: Coroutine.Stopping called outside its function":  func() { co.Stopping() },
		"scheduler: Coroutine.StopCause called outside its function": func() { _ = co.StopCause() },
		"scheduler: Coroutine.Context called outside its function ":  func() { new(scheduler.Coroutine).Context() },
		"scheduler: ObserverFunc: nil function":                      func() { scheduler.ObserverFunc(nil).Observe(scheduler.Record{}) },
		"scheduler: Ending: nil event":                               func() { scheduler.Ending(nil) },
		"scheduler: On: nil event":                                   func() { scheduler.On(nil) },
		"scheduler: On: no event":                                    func() { scheduler.On() },
		"scheduler: Reserve: nil Task":                               func() { scheduler.Reserve(time.Second, nil) },
		"scheduler: Shield: nil Task":                                func() { scheduler.Shield(nil) },
		"scheduler: Named: nil Task for web":                         func() { scheduler.Named("web", nil) },
		"scheduler: Claiming: nil Task":                              func() { scheduler.Claiming(nil, nil) },
		"scheduler: Blocking: nil function":                          func() { scheduler.Blocking(nil) },
		"scheduler: Wrap: nil function":                              func() { scheduler.Wrap(nil) },
		"scheduler: Poll: nil function":                              func() { scheduler.Poll(time.Second, nil) },
		"scheduler: Fetch: nil function":                             func() { scheduler.Fetch[int](nil, nil) },
		"scheduler: Timeout.Trigger: nil Task":                       func() { _ = new(scheduler.Timeout).Trigger(ctx, nil) },
		"scheduler: TimedCancel.Trigger: nil Task":                   func() { _ = new(scheduler.TimedCancel).Trigger(ctx, nil) },
		"scheduler: ExceptionGroup.Split: nil function":              func() { _, _ = new(scheduler.ExceptionGroup).Split(nil) },
		"scheduler: TaskRunner.Post to Pause(next): nil function":    func() { scheduler.NewTaskRunner(task(), nil).Post(nil) },
		"scheduler: TaskRunner.Interrupt of Pause(next): nil error":  func() { scheduler.NewTaskRunner(task(), nil).Interrupt(nil) },
	} {
		for want[len(want)-1] == ' ' {
			want = want[:len(want)-1]
		}
		require.PanicsWithValue(t, want, do)
	}
	v := panicOf(t, func() {
		_ = scheduler.Run(ctx, scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := scheduler.Call[int](co, nil)
			return err
		}), nil)
	})
	require.ErrorContains(t, v.(error), "scheduler: Call: nil function")
}

// What has an error to return says it by that.
func TestMisuse_is_an_OptionError(t *testing.T) {
	var typed *fakeTask
	var group *scheduler.DependencyTaskGroup[string]
	var zero scheduler.TaskRunner
	var deps *scheduler.Dependencies[string]
	ctx := t.Context()
	fn := func(context.Context, string) error { return nil }
	made := groupOf(t, "a", hours, nil)
	write := func(n int64, err error) error { require.Zero(t, n); return err }
	step := func(_ bool, err error) error { return err }
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"typed nil":               {scheduler.Run(ctx, typed, nil), "scheduler: task: nil *scheduler_test.fakeTask as Task"},
		"nil group":               {scheduler.Run(ctx, group, nil), "scheduler: task: nil *scheduler.DependencyTaskGroup[string] as Task"},
		"zero runner, Start":      {zero.Start(ctx, 0), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, Step":       {step(zero.Step(ctx)), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, Run":        {zero.Run(ctx), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, completion": {zero.RunToCompletion(ctx, 0), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, AsTask":     {scheduler.Run(ctx, zero.AsTask(0), nil), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, Subrun":     {scheduler.Run(ctx, scheduler.Subrun(&zero), nil), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"WriteTo":                 {write(made.WriteTo(nil)), "scheduler: w: nil Writer"},
		"WriteDOT":                {made.WriteDOT(nil), "scheduler: w: nil Writer"},
		"WriteMermaid":            {made.WriteMermaid(nil), "scheduler: w: nil Writer"},
		"WriteDOT of a graph":     {graph("a").WriteDOT(nil), "scheduler: w: nil Writer"},
		"WriteMermaid of a graph": {graph("a").WriteMermaid(nil), "scheduler: w: nil Writer"},
		"Walk, nil graph":         {scheduler.Walk(ctx, deps, fn, nil), "scheduler: deps: nil Dependencies"},
		"Walk, nil function":      {scheduler.Walk(ctx, graph("a"), nil, nil), "scheduler: fn: nil function"},
	} {
		require.EqualError(t, tt.err, tt.want, name)
		require.ErrorAs(t, tt.err, new(*scheduler.OptionError), name)
	}
	require.Equal(t, "nil *scheduler_test.fakeTask", scheduler.TaskDescription(typed))
	require.NotPanics(t, func() { _ = (&scheduler.ExceptionGroup{Errors: []error{nil}}).Error() })
	yes, no := (*scheduler.ExceptionGroup)(nil).Split(func(error) bool { return true })
	require.Nil(t, yes)
	require.Nil(t, no)
}

// A zero group is one without nodes that was never made: it can be asked, and not run.
func TestGroup_zero_value(t *testing.T) {
	var g scheduler.DependencyTaskGroup[string]
	require.Zero(t, g.State("a"))
	require.False(t, g.Started("a"))
	require.NoError(t, g.Err("a"))
	require.Zero(t, g.Len()+g.Count(scheduler.StatePending)+g.Rounds())
	require.Empty(t, g.Errors())
	require.Empty(t, g.Snapshot().Completed)
	require.Equal(t, scheduler.Explanation[string]{Key: "a"}, g.ExplainNode("a"))
	for range g.All() {
		t.Error("a node")
	}
	for range g.Running() {
		t.Error("a node")
	}
	for range g.WaitsFor("a") {
		t.Error("a node")
	}
	require.NoError(t, errors.Join(g.WriteDOT(io.Discard), g.WriteMermaid(io.Discard), g.Close()))
}
