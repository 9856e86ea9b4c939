package scheduler_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// holders are the ways of holding a task that are tried with everything.
var holders = map[string]func(scheduler.Task) scheduler.Task{
	"bare":    func(task scheduler.Task) scheduler.Task { return task },
	"Named":   func(task scheduler.Task) scheduler.Task { return scheduler.Named("n", task) },
	"opaque":  func(task scheduler.Task) scheduler.Task { return opaque{task} },
	"Shield":  scheduler.Shield,
	"All":     func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
	"All All": func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.All(task)) },
	"AsTask":  func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
	"AsTask, limited": func(task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(task, nil).AsTask(2 * time.Second)
	},
	"AsTask, limited for long": func(task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(task, nil).AsTask(30 * time.Second)
	},
	"Subrun": func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) },
	"Subrun with a grace": func(task scheduler.Task) scheduler.Task {
		return scheduler.Subrun(scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Timeout: 30 * time.Second, Grace: time.Second}))
	},
	"Reserve":  func(task scheduler.Task) scheduler.Task { return scheduler.Reserve(time.Second, task) },
	"Sequence": func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
	"Finally": func(task scheduler.Task) scheduler.Task {
		return scheduler.Finally(task, scheduler.Pause(scheduler.After(time.Second)))
	},
	"Finally of a Reserve": func(task scheduler.Task) scheduler.Task {
		return scheduler.Finally(scheduler.Reserve(time.Second, task), scheduler.Pause(scheduler.Next))
	},
	"Retry": func(task scheduler.Task) scheduler.Task {
		return scheduler.Retry(constant(-1), func(int, error) scheduler.Task { return task })
	},
	"Claiming": func(task scheduler.Task) scheduler.Task {
		return scheduler.Claiming([]scheduler.Claim{{Limiter: limiter(1), Weight: 1}}, task)
	},
	"Wrap": func(task scheduler.Task) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
	},
	"run in a call": func(task scheduler.Task) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return scheduler.Run(ctx, task, nil) })
	},
	"run with a grace in a call": func(task scheduler.Task) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			return scheduler.Run(ctx, task, &scheduler.RunnerOptions{Grace: time.Second})
		})
	},
}

// What a node has failed with is in the result of the run, however the group that it
// is in is held, and in whichever way that ends.
func TestComposition_loses_no_failure(t *testing.T) {
	type groupOptions = scheduler.GroupOptions[string]
	const second = time.Second
	failsAfter := func(d time.Duration, err error) scheduler.Task {
		return scheduler.Sequence(scheduler.Pause(scheduler.After(d)), scheduler.Func(func(context.Context) error { return err }))
	}
	inner := map[string]groupOptions{
		"aggregating":  {AggregateErrors: true},
		"OnError":      {OnError: func(string, error) scheduler.Disposition { return scheduler.SkipDependents }},
		"in its grace": {GraceFor: func(string) time.Duration { return time.Hour }},
	}
	limit := func(d time.Duration) func(string) time.Duration {
		return byKey(map[string]time.Duration{"in": d})
	}
	for name, tt := range map[string]struct {
		outer *groupOptions // nil: there is no group around; else another node of it fails after 3 s
		opts  scheduler.RunnerOptions
		at    time.Duration // when do is called, unless 0
		do    func(r *scheduler.TaskRunner, cancel func(), g *scheduler.DependencyTaskGroup[string])
	}{
		"sibling":                {outer: &groupOptions{}},
		"sibling, EndCalls":      {outer: &groupOptions{EndCalls: true}},
		"sibling, aggregating":   {outer: &groupOptions{AggregateErrors: true}, opts: scheduler.RunnerOptions{Timeout: time.Minute}},
		"sibling, OnError":       {outer: &groupOptions{OnError: func(string, error) scheduler.Disposition { return scheduler.StopGroup }}},
		"limit of the node":      {outer: &groupOptions{Timeout: limit(2 * second)}},
		"limit within the grace": {outer: &groupOptions{Timeout: limit(5 * second)}},
		"limit of the run":       {opts: scheduler.RunnerOptions{Timeout: 2 * second}},
		"Kill":                   {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) { r.Kill() }},
		"Kill within the grace":  {outer: &groupOptions{}, at: 4 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) { r.Kill() }},
		"Stop": {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Post(func() { r.Stop(errOther) })
		}},
		"CancelAfter": {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Post(func() { r.CancelAfter(second) })
		}},
		"Interrupt": {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Interrupt(errOther)
		}},
		"Interrupt, group around": {outer: &groupOptions{}, at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Interrupt(errOther)
		}},
		"end of ctx":               {at: 2 * second, do: func(_ *scheduler.TaskRunner, cancel func(), _ *scheduler.DependencyTaskGroup[string]) { cancel() }},
		"end of ctx, group around": {outer: &groupOptions{}, at: 2 * second, do: func(_ *scheduler.TaskRunner, cancel func(), _ *scheduler.DependencyTaskGroup[string]) { cancel() }},
		"end of ctx in the grace":  {outer: &groupOptions{}, at: 4 * second, do: func(_ *scheduler.TaskRunner, cancel func(), _ *scheduler.DependencyTaskGroup[string]) { cancel() }},
		"Drain": {
			outer: &groupOptions{Limit: 1}, opts: scheduler.RunnerOptions{Timeout: time.Minute}, at: 2 * second,
			do: func(r *scheduler.TaskRunner, _ func(), g *scheduler.DependencyTaskGroup[string]) { r.Post(g.Drain) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			for as, hold := range holders {
				for kind, opts := range inner {
					for _, grace := range []time.Duration{0, 10 * second} {
						synctest.Test(t, func(t *testing.T) {
							held := hold(groupOf(t, "x y", func(k string) scheduler.Task {
								if k == "x" {
									return failsAfter(second, errSpace)
								}
								return scheduler.Pause(scheduler.After(time.Hour))
							}, &opts))
							task := held
							var g *scheduler.DependencyTaskGroup[string]
							if tt.outer != nil {
								g = groupOf(t, "in sibling", func(k string) scheduler.Task {
									if k == "in" {
										return held
									}
									return failsAfter(3*second, errBoom)
								}, tt.outer)
								task = g
							}
							runner := tt.opts
							runner.Grace = grace
							r := scheduler.NewTaskRunner(task, &runner)
							ctx, cancel := context.WithCancel(t.Context())
							defer cancel()
							if tt.do != nil {
								time.AfterFunc(tt.at, func() { tt.do(r, cancel, g) })
							}
							require.ErrorIs(t, r.Run(ctx), errSpace, "%s, %s, %v", as, kind, grace)
						})
					}
				}
			}
		})
	}
}
