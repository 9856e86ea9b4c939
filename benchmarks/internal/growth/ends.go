package growth

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// running is a group of n nodes that run.
func running(n int) *group { return started(newGroup(wide(n), forever, nil)) }

// closes is a task whose Close does something.
type closes struct{ close func() error }

func (c closes) Step(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil }
func (c closes) Close() error                                  { return c.close() }

// failed is the error of a group of n failures.
func failed(n int) *scheduler.ExceptionGroup {
	var all *scheduler.ExceptionGroup
	errors.As(scheduler.Run(context.Background(), newGroup(wide(n), fails, &options{AggregateErrors: true}), nil), &all)
	return all
}

func ends() []Row {
	return []Row{
		{Name: "n failures", Uses: "TaskError.Error TaskError.Unwrap", N: 1000, Ready: runs(wide, fails, func(int) *options { return &options{AggregateErrors: true} })},
		{Name: "n failures, graces that differ", Uses: "DependencyTaskGroup.Step", N: 1000, Ready: func(n int) func() {
			r := scheduler.NewTaskRunner(newGroup(wide(n), func(int) scheduler.Task {
				return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
					if scheduler.StopCause(ctx) != nil {
						return scheduler.Yield{}, errFails
					}
					return scheduler.After(time.Second), nil
				})
			}, &options{OnError: func(int, error) scheduler.Disposition { return scheduler.StopGroup }, GraceFor: func(int) time.Duration { return time.Minute }}),
				&scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})})
			check(r.Start(context.Background(), 0))
			return func() {
				r.Interrupt(errFails)
				_ = r.RunToCompletion(context.Background(), 0)
			}
		}},
		{Name: "one failure that skips n", Uses: "DependencyTaskGroup.Step", N: 10_000, Ready: runs(chain, fails, func(int) *options { return &options{AggregateErrors: true} })},
		{Name: "the error of n failures", Uses: "ExceptionGroup.Error ExceptionGroup.Split ExceptionGroup.Subgroup ExceptionGroup.Unwrap Causes", N: 1000, Ready: func(n int) func() {
			all := failed(n)
			return func() {
				_ = all.Error()
				_, _ = all.Split(func(err error) bool { return errors.Is(err, errFails) })
				_ = all.Subgroup(func(error) bool { return false })
				_ = all.Unwrap()
				scheduler.Causes(all)
			}
		}},
		{Name: "stop n running", Uses: "DependencyTaskGroup.Stop", N: 10_000, Ready: of(running, func(g *group, _ int) {
			g.Stop(context.Background(), errFails)
			check(g.Close())
		})},
		{Name: "close n running", Uses: "DependencyTaskGroup.Close DependencyTaskGroup.BeginClose", N: 10_000, Ready: of(running, func(g *group, _ int) {
			g.BeginClose()
			check(g.Close())
		})},
		{Name: "throw into n running", Uses: "DependencyTaskGroup.Throw", N: 10_000, Ready: of(running, func(g *group, _ int) { _, _ = g.Throw(context.Background(), errFails) })},
		{Name: "drain n pending", Uses: "DependencyTaskGroup.Drain", N: 10_000, Ready: func(n int) func() {
			g := started(newGroup(chain(n), forever, nil))
			return func() {
				g.Drain()
				check(g.Close())
			}
		}},
		{Name: "n whose Close panics", Uses: "DependencyTaskGroup.Close", N: 100, Ready: func(n int) func() {
			g := started(newGroup(wide(n), func(int) scheduler.Task {
				return closes{func() error { panic("of a Close") }}
			}, nil))
			return func() {
				defer func() { _ = recover() }()
				_ = g.Close()
			}
		}},
		{Name: "n that panic, and are recovered", Uses: "PanicError.Error PanicError.String PanicError.Unwrap", N: 100, Ready: runs(wide, func(int) scheduler.Task {
			return scheduler.Func(func(context.Context) error { panic(errFails) })
		}, func(int) *options { return &options{RecoverPanics: true, AggregateErrors: true} })},
		{Name: "n calls under way, closed", Uses: "Blocking DependencyTaskGroup.Close", N: 100, Ready: func(n int) func() {
			g := started(newGroup(wide(n), func(int) scheduler.Task {
				return scheduler.Blocking(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			}, nil))
			return func() { check(g.Close()) }
		}},
	}
}
