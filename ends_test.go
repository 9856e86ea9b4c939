package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

const (
	sweepEnd     = time.Second     // when it is ended
	sweepGrace   = 3 * time.Second // with a grace
	sweepDeaf    = 2 * time.Second // a deaf call goes on for
	sweepAbandon = 8 * time.Second
)

// sweepSeen is what a run of the sweep looked like from inside.
type sweepSeen struct {
	failed   bool // the clean-up of the member has failed
	panicked bool // or panicked
	deaf     bool // the call of the member was told to end, and went on
	finished bool // and returned
	returned time.Time
	stuck    bool // the call of the member does not return
	started  bool // a node that requires the member was started
	closed   bool // a node beside it was closed
	gap      time.Duration
	release  chan struct{} // ends the call that does not return by itself
}

// sweepMembers are tasks that end in the ways in which a task can end.
var sweepMembers = map[string]func(s *sweepSeen) scheduler.Task{
	"answers": func(*sweepSeen) scheduler.Task {
		return cleaningUp(0, func(why error) error { return why })
	},
	"deaf call": func(s *sweepSeen) scheduler.Task { return scheduler.Blocking(s.deafCall) },
	"deaf Call in a Wrap": func(s *sweepSeen) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := scheduler.Call(co, func(ctx context.Context) (int, error) { return 0, s.deafCall(ctx) })
			return err
		})
	},
	"deaf Poll in a Wrap": func(s *sweepSeen) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			return co.Await(scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) { return true, s.deafCall(ctx) }))
		})
	},
	"stuck call": func(s *sweepSeen) scheduler.Task {
		return scheduler.Blocking(func(context.Context) error {
			s.stuck = true
			<-s.release
			return nil
		})
	},
	"cleans up": func(*sweepSeen) scheduler.Task {
		return cleaningUp(time.Second, func(why error) error { return why })
	},
	"fails in clean-up": func(s *sweepSeen) scheduler.Task {
		return cleaningUp(time.Second, func(error) error { s.failed = true; return errSpace })
	},
	"panics in clean-up": func(s *sweepSeen) scheduler.Task {
		return cleaningUp(time.Second, func(error) error { s.panicked = true; panic(errSpace) })
	},
}

// deafCall goes on for a while after its context has ended.
func (s *sweepSeen) deafCall(ctx context.Context) error {
	<-ctx.Done()
	s.deaf = true
	sleep(sweepDeaf)
	s.finished, s.returned = true, time.Now()
	return ctx.Err()
}

// cleaningUp returns a task that takes a while to clean up when it is to end, whatever
// for, and then ends as after says.
func cleaningUp(lasts time.Duration, after func(why error) error) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		why := co.Yield(scheduler.After(time.Hour).Or(scheduler.On(co.Stopping())))
		if why == nil {
			why = co.StopCause()
		}
		if lasts > 0 && !errors.Is(why, scheduler.ErrClosed) {
			_ = co.Yield(scheduler.After(lasts)) // it may be cut off in it
		}
		return after(why)
	})
}

// sweepHolders are ways of holding a task, besides those of every test.
var sweepHolders = map[string]func(scheduler.Task) scheduler.Task{
	"First":                   func(task scheduler.Task) scheduler.Task { return scheduler.First(task) },
	"WithTimeout":             func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Hour, task) },
	"renamed":                 func(task scheduler.Task) scheduler.Task { return renamed{task, "r"} },
	"All beside another":      func(task scheduler.Task) scheduler.Task { return scheduler.All(task, hours("")) },
	"First beside another":    func(task scheduler.Task) scheduler.Task { return scheduler.First(task, hours("")) },
	"Sequence before another": func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task, hours("")) },
	"Finally of a clean-up":   func(task scheduler.Task) scheduler.Task { return scheduler.Finally(lasting0, task) },
	"All in a Wrap in AsTask": func(task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(scheduler.Sequence(scheduler.All(task)), nil).AsTask(0)
	},
	"All beside a failure": func(task scheduler.Task) scheduler.Task { return scheduler.All(task, failsBefore(sweepEnd)) },
}

// sweepRun is a run that is ended: a group whose node "in" holds the member, run as a
// part of a node, beside one that wants a step every 50 ms.
type sweepRun struct {
	r      *scheduler.TaskRunner
	g      *scheduler.DependencyTaskGroup[string]
	cancel context.CancelFunc
}

type sweepCase struct {
	runner scheduler.RunnerOptions
	limit  time.Duration         // of the node
	other  func() scheduler.Task // a node beside it
	end    func(s sweepRun)      // is called after a second
	skips  bool                  // a failure does not stop the group
	waits  bool                  // for calls, as the documentation says
	up     bool                  // a panic or a Goexit goes up
	want   error                 // is in the result
}

var sweepCases = map[string]sweepCase{
	"limit of the node":             {limit: sweepEnd, want: context.DeadlineExceeded},
	"limit of the node, aggregates": {limit: sweepEnd, skips: true, want: context.DeadlineExceeded},
	"limit of the run":              {runner: scheduler.RunnerOptions{Timeout: sweepEnd}, want: context.DeadlineExceeded},
	"Stop":                          {end: sweepStop, want: errOops},
	"Stop with EndCalls":            {runner: scheduler.RunnerOptions{EndCalls: true}, end: sweepStop, want: errOops},
	"Kill":                          {end: func(s sweepRun) { s.r.Kill() }, want: scheduler.ErrCancelled},
	"Kill in the grace": {
		end:  func(s sweepRun) { sweepStop(s); time.AfterFunc(time.Second/2, s.r.Kill) },
		want: errOops,
	},
	"Interrupt":            {end: func(s sweepRun) { s.r.Interrupt(errOops) }, want: errOops},
	"Cancel":               {end: func(s sweepRun) { s.r.Post(func() { _ = s.r.Cancel() }) }, waits: true, want: scheduler.ErrCancelled},
	"CancelAfter":          {end: func(s sweepRun) { s.r.Post(func() { s.r.CancelAfter(time.Second) }) }, want: scheduler.ErrCancelled},
	"end of the context":   {end: func(s sweepRun) { s.cancel() }, want: context.Canceled},
	"failure beside it":    {other: func() scheduler.Task { return lasting(1, errOther) }, want: errOther},
	"StopNode":             {end: sweepStopNode, want: errOops},
	"StopNode, aggregates": {skips: true, end: sweepStopNode, want: errOops},
	"Drain and Kill": {
		end:  func(s sweepRun) { s.r.Post(s.g.Drain); time.AfterFunc(time.Second, s.r.Kill) },
		want: scheduler.ErrCancelled,
	},
	"panic beside it": {other: func() scheduler.Task { return after(sweepEnd, func() { panic(errOther) }) }, want: errOther},
	"panic of a call beside it": {
		other: func() scheduler.Task { return blockingAfter(sweepEnd, func() { panic(errOther) }) },
		want:  errOther,
	},
	"Goexit of a call beside it": {
		other: func() scheduler.Task { return blockingAfter(sweepEnd, runtime.Goexit) },
		want:  scheduler.ErrGoexit,
	},
	"panic that goes up":  {other: func() scheduler.Task { return after(sweepEnd, func() { panic(errOther) }) }, up: true, waits: true},
	"Goexit that goes up": {other: func() scheduler.Task { return after(sweepEnd, runtime.Goexit) }, up: true, waits: true},
}

func sweepStop(s sweepRun) { s.r.Post(func() { s.r.Stop(errOops) }) }

func sweepStopNode(s sweepRun) { s.r.Post(func() { s.g.StopNode("in", errOops) }) }

func blockingAfter(d time.Duration, do func()) scheduler.Task {
	return scheduler.Blocking(func(context.Context) error { sleep(d); do(); return nil })
}

func failsBefore(d time.Duration) scheduler.Task {
	return scheduler.Sequence(scheduler.Pause(scheduler.After(d-100*time.Millisecond)), scheduler.Func(func(context.Context) error { return errBoom }))
}

func after(d time.Duration, do func()) scheduler.Task {
	return scheduler.Sequence(scheduler.Pause(scheduler.After(d)), scheduler.Func(func(context.Context) error { do(); return nil }))
}

// Whatever holds a task, whatever ends it and however it takes that: the end comes in
// time, holds nobody up, loses no failure, names calls that have not listened, leaves
// nothing behind, and is no success.
func TestEnds_of_everything_in_everything(t *testing.T) {
	all := maps.Clone(holders)
	maps.Copy(all, sweepHolders)
	delete(all, "AsTask, limited") // it ends earlier
	n := 0
	for _, how := range slices.Sorted(maps.Keys(sweepCases)) {
		for _, as := range slices.Sorted(maps.Keys(all)) {
			if as == "All beside a failure" && sweepCases[how].up {
				continue // which comes first
			}
			for _, kind := range slices.Sorted(maps.Keys(sweepMembers)) {
				for _, grace := range []time.Duration{0, sweepGrace} {
					if n++; testing.Short() && n%7 != 0 {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%v", how, as, kind, grace), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							s := &sweepSeen{release: make(chan struct{})}
							defer sleep(time.Minute) // until calls that were left behind have returned
							defer close(s.release)
							sweep(t, s, sweepCases[how], all[as](sweepMembers[kind](s)), grace, as)
						})
					})
				}
			}
		}
	}
}

func sweep(t *testing.T, s *sweepSeen, c sweepCase, in scheduler.Task, grace time.Duration, as string) {
	t.Helper()
	begin, last := time.Now(), time.Now()
	limits := map[string]time.Duration{"in": c.limit}
	g := groupOf(t, "in other witness later:in", func(k string) scheduler.Task {
		switch k {
		case "in":
			return in
		case "other":
			if c.other != nil {
				return c.other()
			}
			return lasting0
		case "later":
			s.started = true
			return lasting0
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			defer func() { s.closed = true }()
			if err := co.Yield(scheduler.After(20 * time.Second).Or(scheduler.On(co.Stopping()))); err != nil {
				return err
			}
			return co.StopCause()
		})
	}, &scheduler.GroupOptions[string]{Timeout: byKey(limits), RecoverPanics: !c.up, AggregateErrors: c.skips})
	opts := c.runner
	opts.Grace, opts.Abandon = grace, sweepAbandon
	r := scheduler.NewTaskRunner(g, &opts)
	outer := groupOf(t, "run ticker", func(k string) scheduler.Task {
		if k == "run" {
			return scheduler.Subrun(r)
		}
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			s.gap, last = max(s.gap, time.Since(last)), time.Now()
			if r.Done() {
				return scheduler.Done, nil
			}
			return scheduler.After(50 * time.Millisecond), nil
		})
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if c.end != nil {
		time.AfterFunc(sweepEnd, func() { c.end(sweepRun{r, g, cancel}) })
	}
	var err error
	completed, v := onGoroutine(func() {
		err = scheduler.Run(ctx, outer, &scheduler.RunnerOptions{Grace: grace, Abandon: sweepAbandon})
	})
	took := time.Since(begin) - sweepEnd

	most := grace
	switch {
	case s.stuck:
		most += sweepAbandon
	case s.deaf:
		most += sweepDeaf
	}
	if c.end != nil {
		most += time.Second // some end in two steps
	}
	if as == "run with a grace in a call" {
		most += time.Second
	}
	if c.skips {
		most = 20 * time.Second // the witness is not asked
	}
	require.LessOrEqual(t, took, most+100*time.Millisecond, "it has taken too long")
	require.True(t, s.closed, "the node beside it has not ended")
	require.False(t, s.started, "a node that requires it was started")
	if !c.waits && as != "opaque" {
		require.LessOrEqual(t, s.gap, 60*time.Millisecond, "somebody was held up")
	}
	if c.up {
		require.False(t, completed)
		return
	}
	require.True(t, completed, "%v", v)
	everything := errors.Join(err, errors.Join(g.Errors()...), errors.Join(outer.Errors()...))
	switch {
	case as == "All beside a failure":
		require.ErrorIs(t, everything, errBoom, "a failure was lost")
	case c.limit > 0 && (s.failed || s.panicked): // its answer to the Timeout
	default:
		require.ErrorIs(t, err, c.want, "the result does not say why it ended")
	}
	require.Error(t, err)
	if s.failed || s.panicked {
		require.ErrorIs(t, everything, errSpace, "a failure was lost")
	}
	if s.finished && !c.skips && time.Since(s.returned) < time.Second {
		require.ErrorAs(t, err, new(*scheduler.LateError), "a deaf call is not named")
	}
	if s.stuck && as != "run in a call" && as != "run with a grace in a call" {
		require.ErrorAs(t, err, new(*scheduler.AbandonedError), "a call that was left behind is not named")
	}
}

// What a task fails with when it is closed, or after a Timeout that it has handled, is
// joined with why it was ended, and takes the place of nothing.
func TestEnds_with_a_failure(t *testing.T) {
	fails := func() scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(time.Hour)); scheduler.Interrupted(err) && !errors.Is(err, scheduler.ErrClosed) {
				_ = co.Yield(scheduler.After(2 * time.Second))
			}
			return errSpace
		})
	}
	for name, tt := range map[string]struct {
		opts scheduler.RunnerOptions
		end  func(r *scheduler.TaskRunner)
		want string
	}{
		"CancelAfter":              {end: func(r *scheduler.TaskRunner) { r.Post(func() { r.CancelAfter(time.Second) }) }, want: "scheduler: cancelled\nno space"},
		"Cancel":                   {end: func(r *scheduler.TaskRunner) { r.Post(func() { _ = r.Cancel() }) }, want: "scheduler: cancelled\nno space"},
		"Kill":                     {end: func(r *scheduler.TaskRunner) { r.Kill() }, want: "scheduler: cancelled\nno space"},
		"Stop":                     {end: func(r *scheduler.TaskRunner) { r.Post(func() { r.Stop(errOops) }) }, want: "oops\nno space"},
		"Timeout":                  {opts: scheduler.RunnerOptions{Timeout: time.Second}, want: "task: timed out after 1s\nno space"},
		"Timeout, after the grace": {opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Second}, want: "task: timed out after 1s\nno space"},
		"Timeout, in the grace":    {opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Hour}, want: "task: timed out after 1s\nno space"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, hold := range []func(ctx context.Context, r *scheduler.TaskRunner) error{
				func(ctx context.Context, r *scheduler.TaskRunner) error { return r.Run(ctx) },
				func(ctx context.Context, r *scheduler.TaskRunner) error {
					return scheduler.Run(ctx, scheduler.Subrun(r), nil)
				},
			} {
				synctest.Test(t, func(t *testing.T) {
					opts := tt.opts
					opts.Name = "task"
					r := scheduler.NewTaskRunner(fails(), &opts)
					if tt.end != nil {
						time.AfterFunc(time.Second, func() { tt.end(r) })
					}
					require.EqualError(t, hold(t.Context(), r), tt.want)
					require.EqualError(t, r.Err(), tt.want)
				})
			}
		})
	}
}
