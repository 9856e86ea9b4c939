package growth

import (
	"context"
	"io"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// each runs n of a kind of task side by side.
func each(task func(i int) scheduler.Task) func(n int) func() {
	return func(n int) func() {
		all := make([]scheduler.Task, n)
		for i := range all {
			all[i] = task(i)
		}
		return func() { run(scheduler.All(all...)) }
	}
}

// inside runs a task in n of a kind.
func inside(wrap func(task scheduler.Task) scheduler.Task) func(n int) func() {
	return func(n int) func() {
		task := once(0)
		for range n {
			task = wrap(task)
		}
		return func() { run(task) }
	}
}

// callingClock makes calls as a run does under another clock.
type callingClock struct{ *schedulertest.Clock }

func (callingClock) Call(c *scheduler.PendingCall) {
	_, _, _ = c.Path(), c.String(), c.WillWait()
	go func() {
		defer c.End()
		c.Run(c.Context())
	}()
}

// Await leaves the waiting to the call.
func (callingClock) Await(*scheduler.PendingCall) {}

type noPause struct{}

func (noPause) NextBackOff() time.Duration { return 0 }

func tasks() []Row {
	nothingCalled := func(context.Context) error { return nil }
	return []Row{
		{Name: "n steps of a task", Uses: "Run TaskRunner.Run", N: 10_000, Ready: func(n int) func() {
			left := n
			return func() {
				run(scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
					if left--; left <= 0 {
						return scheduler.Done, nil
					}
					return scheduler.Next, nil
				}))
			}
		}},
		{Name: "n tasks side by side", Uses: "All Func.Step Func.Close Func.String StepFunc.Step StepFunc.Close StepFunc.String", N: 10_000, Ready: each(nothing)},
		{Name: "n pauses of rounds", Uses: "Pause Rounds", N: 1000, Ready: each(func(i int) scheduler.Task { return scheduler.Pause(scheduler.Rounds(i % 100)) })},
		{Name: "n pauses of a time", Uses: "Pause After At", N: 1000, Ready: each(func(i int) scheduler.Task {
			return scheduler.Pause(scheduler.After(time.Duration(i%1000) * time.Second))
		})},
		{Name: "n calls", Uses: "Blocking", N: 1000, Ready: each(func(int) scheduler.Task { return scheduler.Blocking(nothingCalled) })},
		{Name: "n calls made by a clock", Uses: "Blocking PendingCall.Context PendingCall.End PendingCall.Path PendingCall.Run PendingCall.String PendingCall.WillWait", N: 1000, Ready: func(n int) func() {
			all := make([]scheduler.Task, n)
			for i := range all {
				all[i] = scheduler.Blocking(nothingCalled)
			}
			opts := &scheduler.RunnerOptions{Clock: callingClock{schedulertest.NewClock(time.Time{})}}
			return func() { check(scheduler.Run(context.Background(), scheduler.All(all...), opts)) }
		}},
		{Name: "n calls with a result", Uses: "Fetch", N: 1000, Ready: each(func(int) scheduler.Task {
			return scheduler.Fetch(func(context.Context) (int, error) { return 0, nil }, func(_ int, err error) error { return err })
		})},
		{Name: "n coroutines of two calls", Uses: "Wrap Call Coroutine.Yield Coroutine.Context Coroutine.StopCause Coroutine.Stopping StopCause Stopping", N: 100, Ready: each(func(int) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_ = co.Context()
				_ = co.StopCause()
				co.Stopping()
				if err := co.Yield(scheduler.Next); err != nil {
					return err
				}
				_, err := scheduler.Call(co, func(ctx context.Context) (int, error) {
					scheduler.Stopping(ctx)
					return 0, scheduler.StopCause(ctx)
				})
				return err
			})
		})},
		{Name: "n polls, three times each", Uses: "Poll", N: 1000, Ready: each(func(int) scheduler.Task {
			asked := 0
			return scheduler.Poll(time.Nanosecond, func(context.Context) (bool, error) { asked++; return asked == 3, nil })
		})},
		{Name: "n polls with a value, three times each", Uses: "PollCall Note Coroutine.Note", N: 1000, Ready: each(func(int) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Note("polling")
				asked := 0
				_, err := scheduler.PollCall(co, time.Nanosecond, func(ctx context.Context) (int, bool, error) {
					asked++
					scheduler.Note(ctx, "asked")
					return asked, asked == 3, nil
				})
				return err
			})
		})},
		{Name: "the first of n tasks", Uses: "First", N: 10_000, Ready: func(n int) func() {
			all := make([]scheduler.Task, n)
			for i := range all {
				all[i] = scheduler.Pause(scheduler.Rounds(n - i + 1))
			}
			return func() { run(scheduler.First(all...)) }
		}},
		{Name: "n tasks one after the other", Uses: "Sequence Coroutine.Await", N: 10_000, Ready: func(n int) func() {
			all := make([]scheduler.Task, n)
			for i := range all {
				all[i] = once(i)
			}
			return func() { run(scheduler.Sequence(all...)) }
		}},
		{Name: "n attempts", Uses: "Retry Interrupted", N: 10_000, Ready: func(n int) func() {
			return func() {
				run(scheduler.Retry(noPause{}, func(attempt int, last error) scheduler.Task {
					if attempt > n {
						return nothing(0)
					}
					scheduler.Interrupted(last)
					return fails(0)
				}))
			}
		}},
		{Name: "n attempts that say more", Uses: "RetryCall Permanent RetryAfter BackOffFunc.NextBackOff Notes.String", N: 1000, Ready: func(n int) func() {
			again := scheduler.BackOffFunc(func(int, error) scheduler.Yield { return scheduler.Next })
			return func() {
				tries := 0
				run(scheduler.Wrap(func(co *scheduler.Coroutine) error {
					_ = again.NextBackOff()
					_ = scheduler.Notes{Text: "retrying", Attempt: tries}.String()
					_, err := scheduler.RetryCall(co, again, func(context.Context) (int, error) {
						if tries++; tries <= n {
							return 0, scheduler.RetryAfter(io.EOF, 0)
						}
						return 0, nil
					})
					_ = scheduler.Permanent(err)
					return err
				}))
			}
		}},
		{Name: "WithTimeout, n deep", Uses: "WithTimeout", N: 10, Depth: true, Ready: inside(func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Hour, task) })},
		{Name: "Finally, n deep", Uses: "Finally", N: 10, Depth: true, Ready: inside(func(task scheduler.Task) scheduler.Task { return scheduler.Finally(task, nothing(0)) })},
		{Name: "Wrap, n deep", Uses: "Wrap Coroutine.Await", N: 10, Depth: true, Ready: inside(func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		})},
		{Name: "Named, Shield and Reserve, n deep", Uses: "Named Shield Reserve TaskDescription", N: 10, Depth: true, Ready: inside(func(task scheduler.Task) scheduler.Task {
			return scheduler.Named("name", scheduler.Shield(scheduler.Reserve(time.Second, task)))
		})},
		{Name: "runners, n deep", Uses: "NewTaskRunner TaskRunner.AsTask Subrun", N: 10, Depth: true, Ready: inside(func(task scheduler.Task) scheduler.Task {
			return scheduler.Subrun(scheduler.NewTaskRunner(scheduler.NewTaskRunner(task, nil).AsTask(0), nil))
		})},
		{Name: "n runners, a step each by hand", Uses: "NewTaskRunner TaskRunner.Start TaskRunner.Step TaskRunner.Due TaskRunner.Started TaskRunner.Done TaskRunner.Err TaskRunner.String " +
			"TaskRunner.RunToCompletion TaskRunner.RunWith TaskRunner.Cancel TaskRunner.CancelAfter TaskRunner.Stop TaskRunner.Kill TaskRunner.Interrupt " +
			"NewTimeout Timeout.Expired Timeout.Is Timeout.Of Timeout.Timeout Timeout.Trigger Timeout.Unwrap NewTimedCancel TimedCancel.Expired TimedCancel.Trigger", N: 1000, Ready: func(n int) func() {
			return func() {
				for i := range n {
					runnerByHand(i)
				}
			}
		}},
		{Name: "n functions posted to a run", Uses: "TaskRunner.Post TaskRunner.RunPosted", N: 10_000, Ready: func(n int) func() {
			r := scheduler.NewTaskRunner(forever(0), nil)
			check(r.Start(context.Background(), 0))
			return func() {
				for range n {
					r.Post(func() {})
				}
				r.RunPosted()
				check(r.Cancel())
			}
		}},
		{Name: "an event that n wait for", Uses: "Event.Set Event.IsSet Event.Reset On", N: 10_000, Ready: func(n int) func() {
			var e scheduler.Event
			g := started(newGroup(wide(n), func(int) scheduler.Task { return scheduler.Pause(scheduler.On(&e)) }, nil))
			return func() {
				e.Set()
				e.IsSet()
				started(g)
				e.Reset()
			}
		}},
		{Name: "a task that waits for n events", Uses: "On Yield.Or Ending", N: 10_000, Ready: func(n int) func() {
			events := make([]*scheduler.Event, n)
			for i := range events {
				events[i] = new(scheduler.Event)
			}
			return func() {
				g := started(newGroup(wide(1), func(int) scheduler.Task {
					return scheduler.Pause(scheduler.On(events...).Or(scheduler.After(time.Hour)))
				}, nil))
				events[n/2].Set()
				started(g)
				scheduler.Ending(events[0])
			}
		}},
	}
}

// runnerByHand does with a runner all that there is to be done.
func runnerByHand(i int) {
	ctx := context.Background()
	clock := schedulertest.NewClock(time.Time{})
	r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.Rounds(3)), &scheduler.RunnerOptions{Clock: clock})
	_ = r.Start(ctx, time.Hour)
	_, _ = r.Step(ctx)
	r.Due()
	r.Started()
	_ = r.String()
	t := scheduler.NewTimeout(r, time.Hour)
	t.Expired()
	t.Of(r)
	t.Timeout()
	t.Is(errFails)
	c := scheduler.NewTimedCancel(r, time.Hour)
	c.Expired()
	switch i % 7 {
	case 0:
		_ = r.RunToCompletion(ctx, 0)
	case 1:
		r.Stop(errFails)
	case 2:
		r.Kill()
	case 3:
		r.Interrupt(errFails)
	case 4:
		r.CancelAfter(time.Second)
	case 5:
		task := forever(0)
		_, _ = task.Step(ctx)
		_ = t.Trigger(ctx, task)
		_ = t.Unwrap()
		task = forever(0)
		_, _ = task.Step(ctx)
		_ = c.Trigger(ctx, task)
	}
	_, _ = r.Step(ctx)
	_ = r.Cancel()
	r.Done()
	_ = r.Err()
	_ = scheduler.NewTaskRunner(nothing(0), nil).RunWith(ctx, 0, 0)
}
