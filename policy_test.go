package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

var errSpace = errors.New("no space")

// lasting returns a task that parks for some seconds and then ends with err.
func lasting(seconds int, err error) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if e := co.Yield(scheduler.After(time.Duration(seconds) * time.Second)); e != nil {
			return e
		}
		return err
	})
}

// played runs a group under a simulated clock and returns what was recorded,
// and its error.
func played(
	t *testing.T, deps string, task func(string) scheduler.Task,
	opts *scheduler.GroupOptions[string], run *scheduler.RunnerOptions,
) (*scheduler.DependencyTaskGroup[string], string, error) {
	t.Helper()
	clock := schedulertest.NewClock(time.Time{}).Alone()
	recorder := schedulertest.NewRecorder(clock)
	if opts.Observer == nil {
		opts.Observer = recorder
	}
	group, err := scheduler.NewDependencyTaskGroup(graph(deps), task, opts)
	require.NoError(t, err)
	if run == nil {
		run = &scheduler.RunnerOptions{}
	}
	run.Clock = clock
	err = scheduler.Run(t.Context(), group, run)
	return group, recorder.String(), err
}

// outcomes writes them down, a line each.
func outcomes(group *scheduler.DependencyTaskGroup[string]) string {
	var lines []string
	for o := range group.Outcomes() {
		line := fmt.Sprintf("%s %s", o.Key, o.State)
		if o.Err != nil {
			line += fmt.Sprintf(": %v", o.Err)
		}
		if o.Because != "" {
			line += " because of " + o.Because
		}
		if o.Stopped {
			line += ", stopped"
		}
		if o.CutOff {
			line += ", cut off"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestGroup_OnError(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answer   scheduler.Disposition
		err      string
		outcomes string
	}{
		{"stops the group", scheduler.StopGroup, "1 task failed:\n- a: no space", "a failed: a: no space\nb cancelled\nc cancelled, stopped, cut off"},
		{"anything else stops it too", 77, "1 task failed:\n- a: no space", "a failed: a: no space\nb cancelled\nc cancelled, stopped, cut off"},
		{"skips dependents", scheduler.SkipDependents, "1 task failed:\n- a: no space", "a failed: a: no space\nb skipped: a: no space because of a"},
		{"ignores the error", scheduler.IgnoreError, "", "a failed: a: no space"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := ""
			group, _, err := played(t, "b:a c", func(k string) scheduler.Task {
				if k == "a" {
					return lasting(1, errSpace)
				}
				return lasting(2, nil)
			}, &scheduler.GroupOptions[string]{OnError: func(k string, err error) scheduler.Disposition {
				asked += fmt.Sprintf("%s:%v;", k, err)
				return tt.answer
			}}, nil)
			require.Equal(t, "a:no space;", asked, "asked once, with the task's own error")
			if tt.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tt.err)
				require.ErrorIs(t, err, errSpace)
			}
			require.Equal(t, tt.outcomes, outcomes(group))
			require.Len(t, group.Errors(), 1, "what is ignored is kept")
		})
	}
}

// A node of which the failure is ignored counts as done for what depends on it.
func TestGroup_OnError_ignored_lets_dependents_start(t *testing.T) {
	_, trace, err := played(t, "b:a", func(k string) scheduler.Task {
		if k == "a" {
			return lasting(0, errSpace)
		}
		return lasting(1, nil)
	}, &scheduler.GroupOptions[string]{
		OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError },
	}, nil)
	require.NoError(t, err)
	require.Equal(t, `0s 1 a: pending -> running
0s 2 a: running -> failed: no space
0s 2 b: pending -> running
1s 3 b: running -> succeeded
`, trace)
}

func TestGroup_policies_that_exclude_one_another(t *testing.T) {
	task := func(string) scheduler.Task { return lasting(0, nil) }
	for option, opts := range map[string]*scheduler.GroupOptions[string]{
		"GroupOptions.AggregateErrors": {
			AggregateErrors: true,
			OnError:         func(string, error) scheduler.Disposition { return scheduler.StopGroup },
		},
		"GroupOptions.Estimate": {Estimate: func(string) time.Duration { return 0 }},
		"GroupOptions.Limit":    {Limit: -1},
		"GroupOptions.SlowStep": {SlowStep: time.Second},
	} {
		_, err := scheduler.NewDependencyTaskGroup(graph("a"), task, opts)
		var wrong *scheduler.OptionError
		require.ErrorAs(t, err, &wrong, option)
		require.Equal(t, option, wrong.Option)
	}
}

// A task can ask to be skipped, with all that depends on it: no failure.
func TestGroup_ErrSkip(t *testing.T) {
	for _, aggregate := range []bool{false, true} {
		group, trace, err := played(t, "b:a c:b d", func(k string) scheduler.Task {
			if k == "a" {
				return lasting(1, fmt.Errorf("not wanted here: %w", scheduler.ErrSkip))
			}
			return lasting(2, nil)
		}, &scheduler.GroupOptions[string]{AggregateErrors: aggregate}, nil)
		require.NoError(t, err)
		require.Equal(t, `0s 1 a: pending -> running
0s 1 d: pending -> running
1s 2 a: running -> skipped: not wanted here: scheduler: skip
1s 2 b: pending -> skipped
1s 2 c: pending -> skipped
2s 3 d: running -> succeeded
`, trace)
		require.Equal(t, `a skipped: a: not wanted here: scheduler: skip because of a
b skipped: a: not wanted here: scheduler: skip because of a
c skipped: a: not wanted here: scheduler: skip because of a`, outcomes(group))
		require.Empty(t, group.Errors(), "nothing went wrong")
	}
}

// Each stopped node's outcome says whether it ended within its grace.
func TestGroup_Outcomes_of_a_stop(t *testing.T) {
	group, _, err := played(t, "fails early late never polite", func(k string) scheduler.Task {
		switch k {
		case "fails":
			return lasting(1, errSpace)
		case "early":
			return lasting(2, nil)
		case "late":
			return lasting(9, nil)
		case "polite": // fails, because it was asked to end
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
					return err
				}
				return errSpace
			})
		}
		return lasting(1, nil)
	}, &scheduler.GroupOptions[string]{ErrorWaitTime: 3 * time.Second, Limit: 3}, nil)
	require.EqualError(t, err, "fails: no space")
	require.Equal(t, `fails failed: fails: no space
early succeeded, stopped
late cancelled, stopped, cut off
never cancelled
polite cancelled`, outcomes(group))
}

// What a member ends with because of the notice is no failure of its own.
func TestGroup_notice_is_the_cause(t *testing.T) {
	var seen error
	group, _, err := played(t, "a b", func(k string) scheduler.Task {
		if k == "a" {
			return lasting(1, errSpace)
		}
		return &stopTask{answer: func(cause error) error { seen = cause; return fmt.Errorf("gave up: %w", cause) }}
	}, &scheduler.GroupOptions[string]{ErrorWaitTime: time.Minute}, nil)
	require.EqualError(t, err, "a: no space")
	require.EqualError(t, seen, "a: no space")
	require.Equal(t, "a failed: a: no space\nb cancelled: b: gave up: a: no space, stopped", outcomes(group))
	require.Len(t, group.Errors(), 2)
}

// stopTask waits until it is asked to stop.
type stopTask struct {
	event  scheduler.Event
	cause  error
	answer func(cause error) error
}

func (s *stopTask) Step(context.Context) (scheduler.Yield, error) {
	if s.cause == nil {
		return scheduler.On(&s.event), nil
	}
	if err := s.answer(s.cause); err != nil {
		return scheduler.Yield{}, err
	}
	return scheduler.Done, nil
}

func (s *stopTask) Stop(_ context.Context, cause error) {
	s.cause = cause
	s.event.Set()
}

func (s *stopTask) Close() error { return nil }

// Every kind of task that drives others hands the notice on.
func TestStop_is_forwarded(t *testing.T) {
	for name, wrap := range map[string]func(scheduler.Task) scheduler.Task{
		"as it is": func(task scheduler.Task) scheduler.Task { return task },
		"Wrap": func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		},
		"AsTask":   func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
		"All":      func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		"Sequence": func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
		"Finally":  func(task scheduler.Task) scheduler.Task { return scheduler.Finally(task, lasting(0, nil)) },
		"Retry": func(task scheduler.Task) scheduler.Task {
			return scheduler.Retry(constant(0), func(int, error) scheduler.Task { return task })
		},
	} {
		t.Run(name, func(t *testing.T) {
			told := false
			task := wrap(&stopTask{answer: func(error) error { told = true; return nil }})
			d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Grace: time.Minute})
			d.Step()
			require.True(t, d.Parked())
			d.Runner.Stop(errSpace)
			require.ErrorIs(t, d.RunToEnd(), errSpace)
			require.True(t, told)
			require.Zero(t, d.Clock.Now().Sub(schedulertest.NewClock(time.Time{}).Now()), "at once, without the grace")
		})
	}
}

// A second, harder stop shortens the first.
func TestStop_second_one_shortens(t *testing.T) {
	for name, harder := range map[string]func(d *schedulertest.Driver){
		"CancelAfter": func(d *schedulertest.Driver) { d.Runner.CancelAfter(time.Second) },
		"Cancel":      func(d *schedulertest.Driver) { require.NoError(t, d.Runner.Cancel()) },
		"Interrupt with ErrClosed, from anywhere": func(d *schedulertest.Driver) {
			done := make(chan struct{})
			go func() { d.Runner.Interrupt(scheduler.ErrClosed); close(done) }()
			<-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			closed := false
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				defer func() { closed = true }()
				return co.Yield(scheduler.After(time.Hour))
			})
			d := schedulertest.NewDriver(t, task, &scheduler.RunnerOptions{Grace: time.Minute})
			d.Step()
			d.Runner.Stop(errSpace)
			start := d.Clock.Now()
			harder(d)
			require.Error(t, d.RunToEnd())
			require.True(t, closed)
			require.Less(t, d.Clock.Now().Sub(start), 2*time.Second)
		})
	}
}

// Within the grace of a stopped run nothing new starts, at any depth.
func TestStop_of_a_run_starts_nothing_new_at_any_depth(t *testing.T) {
	var log []string
	leaf := func(name string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			log = append(log, name)
			return co.Yield(scheduler.After(10 * time.Second))
		})
	}
	inner, err := scheduler.NewDependencyTaskGroup(graph("y:x"), func(k string) scheduler.Task { return leaf("inner " + k) }, nil)
	require.NoError(t, err)
	outer, err := scheduler.NewDependencyTaskGroup(graph("b:a"), func(k string) scheduler.Task {
		if k == "a" {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(inner) })
		}
		return leaf("outer " + k)
	}, nil)
	require.NoError(t, err)
	d := schedulertest.NewDriver(t, outer, &scheduler.RunnerOptions{Grace: time.Minute})
	d.Step()
	d.Runner.Stop(errSpace)
	require.ErrorIs(t, d.RunToEnd(), errSpace)
	require.Equal(t, []string{"inner x"}, log)
	require.Equal(t, scheduler.StateSucceeded, inner.State("x"))
	require.Equal(t, scheduler.StateCancelled, inner.State("y"))
	require.Equal(t, scheduler.StateCancelled, outer.State("b"))
}

func TestGroup_Drain(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	group, err := scheduler.NewDependencyTaskGroup(graph("b:a c:b d"), func(string) scheduler.Task { return lasting(1, nil) }, nil)
	require.NoError(t, err)
	r := scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{Clock: clock})
	require.NoError(t, r.Start(t.Context(), 0))
	group.Drain()
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), scheduler.ErrDrained)
	require.Equal(t, scheduler.Snapshot[string]{Completed: []string{"a", "d"}}, group.Snapshot())
	require.Equal(t, 2, group.Count(scheduler.StatePending), "what is left stays pending")

	rest, err := scheduler.NewDependencyTaskGroup(graph("b:a c:b d"), func(string) scheduler.Task { return lasting(1, nil) },
		&scheduler.GroupOptions[string]{Completed: group.Snapshot().Resume()})
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), rest, &scheduler.RunnerOptions{Clock: clock}))
	require.False(t, rest.Started("a"))
	require.True(t, rest.Started("c"))

	rest.Drain() // ended: nothing happens
	finished, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task { return lasting(1, nil) }, nil)
	require.NoError(t, err)
	r = scheduler.NewTaskRunner(finished, &scheduler.RunnerOptions{Clock: clock})
	require.NoError(t, r.Start(t.Context(), 0))
	finished.Drain()
	require.NoError(t, r.RunToCompletion(t.Context(), 0), "nothing was left")
}

// A group that is drained between two steps, with nothing running, ends with
// the next one.
func TestGroup_Drain_when_nothing_runs(t *testing.T) {
	group, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task { return lasting(1, nil) },
		&scheduler.GroupOptions[string]{Budget: 1})
	require.NoError(t, err)
	group.Drain()
	require.ErrorIs(t, scheduler.Run(t.Context(), group, nil), scheduler.ErrDrained)
	require.False(t, group.Started("a"))
}

// slowObserver is warned.
type slowObserver struct {
	*schedulertest.Recorder
	slow []scheduler.SlowStep
}

func (o *slowObserver) ObserveSlowStep(s scheduler.SlowStep) { o.slow = append(o.slow, s) }

func TestGroup_SlowStep(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	observer := &slowObserver{Recorder: schedulertest.NewRecorder(clock)}
	group, err := scheduler.NewDependencyTaskGroup(graph("quick slow"), func(k string) scheduler.Task {
		steps := 0
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if steps++; steps > 2 {
				return scheduler.Done, nil
			}
			if k == "slow" {
				clock.Advance(2 * time.Second)
			} else {
				clock.Advance(time.Second)
			}
			return scheduler.Next, nil
		})
	}, &scheduler.GroupOptions[string]{Observer: observer, SlowStep: time.Second})
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Len(t, observer.slow, 2, "the first step and a later one")
	for _, s := range observer.slow {
		require.Equal(t, "slow", s.Path)
		require.Equal(t, 2*time.Second, s.Took)
		require.Contains(t, s.Task, "TestGroup_SlowStep")
	}
}

// An error from closing a member whose grace is over is a failure like any
// other: it is reported, and the others are asked for their grace again.
func TestGroup_error_of_a_close_after_the_grace(t *testing.T) {
	broken := errors.New("will not close")
	member := func(k string) scheduler.Task {
		if k == "a" {
			return &brokenTask{err: broken}
		}
		return lasting(9, nil)
	}
	t.Run("aggregating", func(t *testing.T) {
		group, err := scheduler.NewDependencyTaskGroup(graph("a"), member,
			&scheduler.GroupOptions[string]{AggregateErrors: true, ErrorWaitTime: time.Second})
		require.NoError(t, err)
		d := schedulertest.NewDriver(t, group, nil)
		d.Step()
		d.Runner.Interrupt(errSpace)
		var all *scheduler.ExceptionGroup
		require.ErrorAs(t, d.RunToEnd(), &all)
		require.Len(t, all.Errors, 2)
		require.Equal(t, errSpace, all.Errors[0])
		require.EqualError(t, all.Errors[1], "a: will not close")
	})
	t.Run("failing fast", func(t *testing.T) {
		var asked []string
		group, err := scheduler.NewDependencyTaskGroup(graph("a b"), member,
			&scheduler.GroupOptions[string]{ErrorWaitTimeFor: func(k string) time.Duration {
				asked = append(asked, k)
				return map[string]time.Duration{"a": time.Second, "b": time.Minute}[k]
			}})
		require.NoError(t, err)
		d := schedulertest.NewDriver(t, group, nil)
		d.Step()
		d.Runner.Interrupt(errSpace)
		require.Equal(t, errSpace, d.RunToEnd())
		require.Equal(t, []string{"a", "b", "b"}, asked)
		require.Equal(t, "a failed: a: will not close, stopped, cut off\nb succeeded, stopped", outcomes(group))
	})
}

// What is thrown into a group gives its members their grace once: a second error
// does not prolong it.
func TestGroup_grace_of_two_interrupts(t *testing.T) {
	for name, opts := range map[string]scheduler.GroupOptions[string]{
		"of all":     {ErrorWaitTime: 10 * time.Second},
		"of a node":  {ErrorWaitTimeFor: func(string) time.Duration { return 10 * time.Second }},
		"all errors": {ErrorWaitTime: 10 * time.Second, AggregateErrors: true},
	} {
		t.Run(name, func(t *testing.T) {
			group, err := scheduler.NewDependencyTaskGroup(graph("b:a"),
				func(string) scheduler.Task { return lasting(60, nil) }, &opts)
			require.NoError(t, err)
			d := schedulertest.NewDriver(t, group, nil)
			start := d.Clock.Now()
			d.Step()
			d.Runner.Interrupt(errSpace)
			d.Step()
			require.Equal(t, 10*time.Second, group.ExplainNode("a").Deadline.Sub(start))
			d.Clock.Advance(6 * time.Second)
			d.Runner.Interrupt(errOops)
			d.Step()
			require.Equal(t, 10*time.Second, group.ExplainNode("a").Deadline.Sub(start))
			require.ErrorIs(t, d.RunToEnd(), errOops)
			require.Equal(t, scheduler.StateCancelled, group.State("a"))
			require.Less(t, d.Clock.Now().Sub(start), 11*time.Second)
		})
	}
}

type brokenTask struct{ err error }

func (b *brokenTask) Step(context.Context) (scheduler.Yield, error) {
	return scheduler.After(time.Hour), nil
}

func (b *brokenTask) Close() error { return b.err }

// Progress is called for every resume, also if the runner has ended meanwhile,
// and its error then comes out.
func TestAsTask_Progress_after_the_end(t *testing.T) {
	calls := 0
	var fails error
	r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.Rounds(9)), &scheduler.RunnerOptions{
		Progress: func(context.Context) error { calls++; return fails },
	})
	for _, fails = range []error{nil, errSpace} {
		task := r.AsTask(0)
		y, err := task.Step(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, y.Rounds())
		require.NoError(t, r.Cancel())
		calls = 0
		y, err = task.Step(t.Context())
		require.Equal(t, fails, err)
		require.Equal(t, fails == nil, y == scheduler.Done)
		require.Equal(t, 1, calls)
		r = scheduler.NewTaskRunner(scheduler.Pause(scheduler.Rounds(9)), &scheduler.RunnerOptions{
			Progress: func(context.Context) error { calls++; return fails },
		})
	}
}

// A coroutine learns why it is to stop. What it fails with because of that is no
// failure of its own.
func TestCoroutine_StopCause(t *testing.T) {
	var before, after error
	group, _, err := played(t, "a b", func(k string) scheduler.Task {
		if k == "a" {
			return lasting(1, errSpace)
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			before = co.StopCause()
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			after = co.StopCause()
			return fmt.Errorf("gave up: %w", co.StopCause())
		})
	}, &scheduler.GroupOptions[string]{ErrorWaitTime: time.Minute}, nil)
	require.EqualError(t, err, "a: no space")
	require.NoError(t, before)
	require.EqualError(t, after, "a: no space")
	require.Equal(t, "a failed: a: no space\nb cancelled: b: gave up: a: no space, stopped", outcomes(group))
}

// Sequences may be left early.
func TestGroup_sequences_left_early(t *testing.T) {
	group, _, err := played(t, "a b c", func(k string) scheduler.Task {
		if k == "c" {
			return lasting(1, nil)
		}
		return lasting(1, errSpace)
	}, &scheduler.GroupOptions[string]{OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError }}, nil)
	require.NoError(t, err)
	for range group.Outcomes() {
		break
	}
	for o := range group.Outcomes() {
		if o.Key == "b" {
			break
		}
	}
	stopped, _, err := played(t, "a b c d", func(k string) scheduler.Task {
		return lasting(1, map[string]error{"a": errSpace}[k])
	}, &scheduler.GroupOptions[string]{}, nil)
	require.Error(t, err)
	for o := range stopped.Outcomes() {
		if o.Key == "b" {
			break
		}
	}
}

// A deadlock is no failure of a node, so it is in no Outcome.
func TestGroup_Outcomes_without_what_was_thrown_in(t *testing.T) {
	group, err := scheduler.NewDependencyTaskGroup(graph("a"), second, nil)
	require.NoError(t, err)
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	d.Runner.Interrupt(errSpace)
	require.Equal(t, errSpace, d.RunToEnd())
	require.Equal(t, "a cancelled, stopped, cut off", outcomes(group))
	require.Equal(t, []error{errSpace}, group.Errors())
}

// What a group tells of itself inside a member's first step, and about many.
func TestGroup_Explain_from_inside(t *testing.T) {
	var group *scheduler.DependencyTaskGroup[string]
	var inside string
	group, err := scheduler.NewDependencyTaskGroup(graph("a b c d e f g:a,b,c,d,e,f"), func(k string) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			for e := range group.Explain() {
				if e.Key == k && inside == "" {
					inside = e.String()
				}
			}
			return scheduler.Next, nil
		})
	}, nil)
	require.NoError(t, err)
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	require.Equal(t, "a: running since round 1", inside)
	for e := range group.Explain() {
		if e.Key == "g" {
			require.Equal(t, "g: pending since round 0, requires a, b, c, d, e and 1 more", e.String())
		} else {
			require.Equal(t, e.Key+": running since round 1", e.String())
		}
	}
	require.Zero(t, group.Count(scheduler.State(99)))
}

func TestGroup_SlowStep_negative(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{})
	_, err := scheduler.NewDependencyTaskGroup(graph("a"), second, &scheduler.GroupOptions[string]{
		Observer: &slowObserver{Recorder: schedulertest.NewRecorder(clock)}, SlowStep: -1,
	})
	require.EqualError(t, err, "scheduler: GroupOptions.SlowStep: negative duration -1ns")
}

// Polls that are closed together end side by side.
func TestPoll_closed_together(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func() scheduler.Task {
			return scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
				<-ctx.Done()
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				return false, nil
			})
		}
		r := scheduler.NewTaskRunner(scheduler.All(slow(), slow(), slow()), nil)
		require.NoError(t, r.Start(t.Context(), 0))
		start := time.Now()
		require.NoError(t, r.Cancel())
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestGroup_without_nodes_knows_no_key(t *testing.T) {
	group, err := scheduler.NewDependencyTaskGroup(scheduler.NewDependencies[string](), second, nil)
	require.NoError(t, err)
	require.Zero(t, group.State("a"))
	require.False(t, group.Started("a"))
	require.NoError(t, group.Err("a"))
}

// A member that goes on after its own Timeout fails with it, also if another
// failure ends it earlier than its grace would have.
func TestGroup_timeout_gone_on_after_is_not_lost(t *testing.T) {
	for _, grace := range []time.Duration{0, 2 * time.Second} {
		group, _, err := played(t, "slow fails", func(k string) scheduler.Task {
			if k == "fails" {
				return lasting(2, errSpace)
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_ = co.Yield(scheduler.After(time.Hour)) // the Timeout
				return co.Yield(scheduler.After(time.Hour))
			})
		}, &scheduler.GroupOptions[string]{
			Timeout: func(k string) time.Duration { return map[string]time.Duration{"slow": time.Second}[k] },
			ErrorWaitTimeFor: func() func(string) time.Duration {
				asked := 0
				return func(string) time.Duration {
					if asked++; asked == 1 {
						return time.Minute
					}
					return grace
				}
			}(),
		}, nil)
		require.EqualError(t, err, "fails: no space")
		var timeout *scheduler.Timeout
		require.ErrorAs(t, group.Err("slow"), &timeout)
		require.Len(t, group.Errors(), 2)
	}
}

// A run inside of a call waits by the same clock at the same time.
func TestRun_inside_of_a_call_shares_the_clock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		inner := scheduler.Blocking(func(ctx context.Context) error {
			return scheduler.Run(ctx, scheduler.Sequence(scheduler.Pause(scheduler.Next), lasting(1, nil),
				scheduler.Blocking(func(context.Context) error {
					time.Sleep(time.Second) //nolint:forbidigo // in a bubble
					return nil
				})), &scheduler.RunnerOptions{Timeout: time.Hour})
		})
		require.NoError(t, scheduler.Run(t.Context(), scheduler.All(inner, lasting(5, nil)), nil))
		require.Equal(t, 5*time.Second, time.Since(start))
	})
}

// What waits for claims can come from behind: it starts in the same round.
func TestClaims_served_from_behind(t *testing.T) {
	l, m := limiter(1), limiter(1)
	other, err := scheduler.NewDependencyTaskGroup(graph("x"), second, &scheduler.GroupOptions[string]{
		Claims: func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} },
	})
	require.NoError(t, err)
	holder := scheduler.NewTaskRunner(other, nil)
	require.NoError(t, holder.Start(t.Context(), 0))
	deps := scheduler.NewDependencies[int]()
	for i := range 130 {
		deps.Add(i)
	}
	var started []int
	group, err := scheduler.NewDependencyTaskGroup(deps, func(i int) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			started = append(started, i)
			if i == 128 {
				return holder.Cancel()
			}
			return nil
		})
	}, &scheduler.GroupOptions[int]{Claims: func(i int) []scheduler.Claim {
		switch i {
		case 5:
			return []scheduler.Claim{{Limiter: l, Weight: 1}}
		case 128:
			return []scheduler.Claim{{Limiter: m, Weight: 1}}
		}
		return nil
	}})
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	require.Equal(t, []int{127, 128, 5, 129}, started[126:])
	require.Equal(t, 1, group.Rounds())
}
