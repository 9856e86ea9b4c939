package scheduler_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

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
	}, &scheduler.GroupOptions[string]{Grace: 3 * time.Second, Limit: 3}, nil)
	require.EqualError(t, err, "fails: no space")
	require.Equal(t, `fails failed: fails: no space
early succeeded because of fails, stopped
late cancelled because of fails, stopped, cut off
never cancelled because of fails
polite cancelled because of fails`, outcomes(group))
}

func TestGroup_Drain(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	group := newGroup(t, "b:a c:b d", second, nil)
	r := startRunner(t, group, &scheduler.RunnerOptions{Clock: clock})
	group.Drain()
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), scheduler.ErrDrained)
	require.Equal(t, scheduler.Snapshot[string]{Completed: []string{"a", "d"}, Started: []string{}}, group.Snapshot())
	require.Equal(t, 2, group.Count(scheduler.StatePending), "what is left stays pending")

	rest := newGroup(t, "b:a c:b d", second,
		&scheduler.GroupOptions[string]{Completed: group.Snapshot().Resume()})
	require.NoError(t, scheduler.Run(t.Context(), rest, &scheduler.RunnerOptions{Clock: clock}))
	require.False(t, rest.Started("a"))
	require.True(t, rest.Started("c"))

	rest.Drain() // ended: nothing happens
	finished := newGroup(t, "a", second, nil)
	r = startRunner(t, finished, &scheduler.RunnerOptions{Clock: clock})
	finished.Drain()
	require.NoError(t, r.RunToCompletion(t.Context(), 0), "nothing was left")
}

// What ends a group that drains adds to it: the result says of both, unless the group is
// closed. Where the end does not reach it, because of a Shield or because a group around
// lets it continue, it drains to its end.
func TestGroup_Drain_and_another_end(t *testing.T) {
	type group = scheduler.GroupOptions[string]
	type stop = context.CancelCauseFunc
	const pending, cancelled = scheduler.StatePending, scheduler.StateCancelled
	holders := holdersOf("itself", "renamed", "Wrap", "AsTask", "Sequence", "Finally", "Subrun", "Retry", "Shield", "All", "All in All", "WithTimeout", "Claiming")
	for _, holder := range []string{"itself", "Retry", "Shield", "Wrap"} {
		put := holders[holder]
		holders["group around "+holder] = func(task scheduler.Task) scheduler.Task {
			return newGroup(t, "g after:g", func(k string) scheduler.Task {
				if k == "g" {
					return put(task)
				}
				return lasting(1, nil)
			}, nil)
		}
	}
	for name, tt := range map[string]struct {
		fails  error // that of a
		opts   group
		run    scheduler.RunnerOptions
		end    func(r *scheduler.TaskRunner, cancel stop)
		want   []error
		left   scheduler.State // of d
		shield bool            // one keeps the end from the group
		inside string          // what a group around does: it continues, is closed or is told
	}{
		"nothing": {want: []error{scheduler.ErrDrained}, left: pending},
		"failure": {fails: errSpace, want: []error{errSpace, scheduler.ErrDrained}, left: cancelled},
		"failure that skips": {
			fails: errSpace, opts: group{AggregateErrors: true}, want: []error{errSpace, scheduler.ErrDrained}, left: pending,
		},
		"failure that stops": {
			fails: errSpace, opts: group{OnError: func(string, error) scheduler.Disposition { return scheduler.StopGroup }},
			want: []error{errSpace, scheduler.ErrDrained}, left: cancelled,
		},
		"failure and stop": {
			fails: errSpace, end: func(r *scheduler.TaskRunner, _ stop) { r.Stop(errOops) },
			want: []error{errOops, errSpace, scheduler.ErrDrained}, left: cancelled,
		},
		"stop":    {end: func(r *scheduler.TaskRunner, _ stop) { r.Stop(errOops) }, want: []error{errOops, scheduler.ErrDrained}, left: cancelled, shield: true},
		"context": {end: func(_ *scheduler.TaskRunner, cancel stop) { cancel(errOops) }, want: []error{errOops, scheduler.ErrDrained}, left: cancelled, shield: true},
		"stop without a grace": {
			run: scheduler.RunnerOptions{Grace: scheduler.NoGrace}, end: func(r *scheduler.TaskRunner, _ stop) { r.Stop(errOops) },
			want: []error{errOops}, left: pending,
		},
		"interrupt": {end: func(r *scheduler.TaskRunner, _ stop) { r.Interrupt(errOops) }, want: []error{errOops, scheduler.ErrDrained}, left: cancelled, inside: "continues"},
		"timeout": {
			run:  scheduler.RunnerOptions{Timeout: time.Second / 2},
			want: []error{context.DeadlineExceeded, scheduler.ErrDrained}, left: cancelled, inside: "is told",
		},
		"timeout without a grace": {
			run:  scheduler.RunnerOptions{Timeout: time.Second / 2, Grace: scheduler.NoGrace},
			want: []error{context.DeadlineExceeded, scheduler.ErrDrained}, left: cancelled, inside: "is closed",
		},
		"kill": {end: func(r *scheduler.TaskRunner, _ stop) { r.Kill() }, want: []error{scheduler.ErrCancelled}, left: pending},
		"kill in the grace of a stop": {
			end:  func(r *scheduler.TaskRunner, _ stop) { r.Stop(errOops); r.Kill() },
			want: []error{scheduler.ErrCancelled, errOops}, left: cancelled, shield: true,
		},
	} {
		for holder, put := range holders {
			t.Run(name+" in "+holder, func(t *testing.T) {
				g := newGroup(t, "a b:a c d:c", func(k string) scheduler.Task {
					if k == "c" {
						return lasting(2, nil)
					}
					return lasting(1, tt.fails)
				}, &tt.opts)
				tt.run.Clock, tt.run.Grace = newClock(), cmp.Or(tt.run.Grace, time.Minute)
				r := startRunner(t, put(g), &tt.run)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				r.Post(func() { // between two steps
					g.Drain()
					if tt.end != nil {
						tt.end(r, cancel)
					}
				})
				_ = r.RunToCompletion(ctx, 0)
				hasShield, isInside := strings.HasSuffix(holder, "Shield"), strings.HasPrefix(holder, "group around") || strings.HasPrefix(holder, "All")
				drained, left := slices.Contains(tt.want, scheduler.ErrDrained), tt.left
				switch {
				case hasShield && tt.shield || isInside && (tt.inside == "continues" || tt.inside == "is told" && hasShield):
					left = pending
				case isInside && tt.inside == "is closed":
					drained, left = false, pending
				}
				for _, want := range tt.want {
					require.Equal(t, want != scheduler.ErrDrained || drained, errors.Is(r.Err(), want), "%v: %v", want, r.Err()) //nolint:errorlint // The very one.
				}
				require.Equal(t, drained, errors.Is(r.Err(), scheduler.ErrDrained), "%v", r.Err())
				require.Equal(t, left, g.State("d"))
			})
		}
	}
}

// A group that is drained between two steps, with nothing running, ends with
// the next one.
func TestGroup_Drain_when_nothing_runs(t *testing.T) {
	group := newGroup(t, "a", second,
		&scheduler.GroupOptions[string]{Budget: 1})
	group.Drain()
	require.ErrorIs(t, scheduler.Run(t.Context(), group, nil), scheduler.ErrDrained)
	require.False(t, group.Started("a"))
}

// An error from closing a member whose grace is over is a failure like any
// other: it is reported, and the others are asked for their grace again.
func TestGroup_error_of_a_close_after_the_grace(t *testing.T) {
	broken := errors.New("will not close")
	member := func(k string) scheduler.Task {
		if k == "a" {
			return (&fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, close: func() error { return broken }}).task()
		}
		return lasting(9, nil)
	}
	t.Run("aggregating", func(t *testing.T) {
		group := newGroup(t, "a", member,
			&scheduler.GroupOptions[string]{AggregateErrors: true, Grace: time.Second})
		d := schedulertest.NewDriver(t, group, nil)
		d.Step()
		d.Runner.Interrupt(errSpace)
		all := asError[*scheduler.ExceptionGroup](t, d.RunToEnd())
		require.Len(t, all.Errors, 2)
		require.Equal(t, errSpace, all.Errors[0])
		require.EqualError(t, all.Errors[1], "a: will not close")
	})
	t.Run("failing fast", func(t *testing.T) {
		var asked []string
		group := newGroup(t, "a b", member,
			&scheduler.GroupOptions[string]{GraceFor: func(k string) time.Duration {
				asked = append(asked, k)
				return map[string]time.Duration{"a": time.Second, "b": time.Minute}[k]
			}})
		d := schedulertest.NewDriver(t, group, nil)
		d.Step()
		d.Runner.Interrupt(errSpace)
		require.EqualError(t, d.RunToEnd(), "no space\na: will not close")
		require.Equal(t, []string{"a", "b", "b"}, asked)
		require.Equal(t, "a failed: a: will not close, stopped, cut off\nb succeeded, stopped", outcomes(group))
	})
}

// What is thrown into a group gives its members their grace once: a second error
// does not prolong it.
func TestGroup_grace_of_two_interrupts(t *testing.T) {
	for name, opts := range map[string]scheduler.GroupOptions[string]{
		"of all":     {Grace: 10 * time.Second},
		"of a node":  {GraceFor: func(string) time.Duration { return 10 * time.Second }},
		"all errors": {Grace: 10 * time.Second, AggregateErrors: true},
	} {
		t.Run(name, func(t *testing.T) {
			group := newGroup(t, "b:a",
				func(string) scheduler.Task { return lasting(60, nil) }, &opts)
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

// A deadlock is no failure of a node, so it is in no Outcome.
func TestGroup_Outcomes_without_what_was_thrown_in(t *testing.T) {
	group := newGroup(t, "a", second, nil)
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	d.Runner.Interrupt(errSpace)
	require.Equal(t, errSpace, d.RunToEnd())
	require.Equal(t, "a cancelled, stopped, cut off", outcomes(group))
	require.Equal(t, []error{errSpace}, group.Errors())
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
			Timeout: byKey(map[string]time.Duration{"slow": time.Second}),
			GraceFor: func() func(string) time.Duration {
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
		require.ErrorAs(t, group.Err("slow"), new(*scheduler.Timeout))
		require.Len(t, group.Errors(), 2)
	}
}

func TestGroup_Outcomes_of_timeouts(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{})
	ctx := scheduler.WithClock(t.Context(), clock)
	g := newGroup(t, "a b c:a", hours, &scheduler.GroupOptions[string]{
		AggregateErrors: true,
		Timeout:         byKey(map[string]time.Duration{"a": time.Minute}),
	})
	mustStep(t, ctx, g)
	for o := range g.Outcomes() {
		t.Errorf("%v has not ended", o.Key)
	}
	require.Zero(t, g.Count(scheduler.StateSkipped+1))
	clock.Advance(2 * time.Minute)
	mustStep(t, ctx, g)
	var outcomes []string
	for o := range g.Outcomes() {
		outcomes = append(outcomes, fmt.Sprint(o.Key, " ", o.State))
	}
	require.Equal(t, []string{"a timed out", "c skipped"}, outcomes)
	require.EqualError(t, g.Close(), "1 task failed:\n- a: timed out after 1m0s")
}

func TestGroup_ends_of_members(t *testing.T) {
	t.Parallel()
	step := func(step func(ctx context.Context) (scheduler.Yield, error)) scheduler.Task {
		return scheduler.StepFunc(step)
	}
	t.Run("an error beside a yield is an error", func(t *testing.T) {
		first := true
		err := scheduler.Run(t.Context(), scheduler.All(step(func(context.Context) (scheduler.Yield, error) {
			if first {
				first = false
				return scheduler.Next, nil
			}
			return scheduler.Next, errOops
		})), nil)
		require.ErrorIs(t, err, errOops)
	})
	t.Run("a grace runs out in the step of another that wants the next round", func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{})
		ctx := scheduler.WithClock(t.Context(), clock)
		slow := false
		g := newGroup(t, "a b", func(k string) scheduler.Task {
			if k == "b" {
				return scheduler.Pause(scheduler.After(time.Hour))
			}
			return step(func(context.Context) (scheduler.Yield, error) {
				if slow {
					clock.Advance(time.Minute)
				}
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{GraceFor: byKey(map[string]time.Duration{"a": time.Hour, "b": time.Second})})
		mustStep(t, ctx, g)
		_, err := g.Throw(ctx, errOops)
		require.NoError(t, err)
		slow = true
		mustStep(t, ctx, g)
		require.Equal(t, scheduler.StateCancelled, g.State("b"), "in the same round")
		require.NoError(t, g.Close())
	})
	t.Run("who had no notice does not end because of it", func(t *testing.T) {
		g := newGroup(t, "a b", func(k string) scheduler.Task {
			first := true
			return step(func(context.Context) (scheduler.Yield, error) {
				if k == "a" && !first {
					return scheduler.Yield{}, errOops
				}
				first = false
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{Grace: time.Hour})
		mustStep(t, t.Context(), g)
		_, err := g.Throw(t.Context(), errOops)
		require.NoError(t, err)
		mustStep(t, t.Context(), g)
		require.Equal(t, scheduler.StateFailed, g.State("a"))
		require.EqualError(t, g.Close(), "1 task failed:\n- a: oops")
	})
	t.Run("a failure closes calls too, and the step waits for none", func(t *testing.T) {
		ended := false
		go1 := make(chan struct{})
		all := scheduler.All(
			scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				<-go1
				ended = true
				return nil
			}),
			scheduler.Func(func(context.Context) error { return errOops }),
		)
		mustStep(t, t.Context(), all)
		close(go1)
		require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.Sequence(all), nil), errOops)
		require.True(t, ended)
	})
	t.Run("a context of a member's own ends with that of the step", func(t *testing.T) {
		type key struct{}
		var seen error
		g := newGroup(t, "a", func(string) scheduler.Task {
			return step(func(ctx context.Context) (scheduler.Yield, error) {
				require.Equal(t, "a", ctx.Value(key{}))
				seen = ctx.Err()
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{Context: func(ctx context.Context, k string) context.Context {
			return context.WithValue(ctx, key{}, k)
		}})
		over, cancel := context.WithCancel(t.Context())
		cancel()
		for _, ctx := range []context.Context{t.Context(), over, over, t.Context()} {
			mustStep(t, ctx, g)
			require.Equal(t, ctx.Err(), seen)
		}
		require.NoError(t, g.Close())
	})
	t.Run("of a limit and a grace that end together the limit stays", func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{})
		ctx := scheduler.WithClock(t.Context(), clock)
		g := newGroup(t, "a", hours, &scheduler.GroupOptions[string]{
			Grace: time.Minute, Timeout: func(string) time.Duration { return time.Minute },
		})
		mustStep(t, ctx, g)
		_, err := g.Throw(ctx, errOops)
		require.NoError(t, err)
		clock.Advance(time.Minute + 1)
		_, err = g.Step(ctx)
		require.ErrorIs(t, err, errOops)
		require.Equal(t, scheduler.StateTimedOut, g.State("a"))
	})
}

func TestGroup_throw(t *testing.T) {
	run := part{steps: "next*9", throw: "next"}
	stops := part{steps: "next*9", stop: "ignore"}
	parts := map[string]part{"a": run, "b": stops}
	tests := []groupPlay{
		{
			name: "without grace", deps: "a b c:b", parts: parts, throws: map[int]error{2: errOops},
			rounds: []string{"a1, b1", "a close, b close"},
			err:    "oops", errors: "oops", states: "a=cancelled b=cancelled c=cancelled",
		},
		{
			name: "with grace", deps: "a b c:b", parts: parts, throws: map[int]error{2: errOops},
			opts:   scheduler.GroupOptions[string]{Grace: 2 * time.Second},
			rounds: []string{"a1, b1", "b stop", "a2, b2", "a3, b3", "a close, b close"},
			err:    "oops", errors: "oops", states: "a=cancelled b=cancelled c=cancelled",
		},
		{
			name: "the last one wins", deps: "a b", parts: parts, throws: map[int]error{2: errOops, 3: errOther},
			opts:   scheduler.GroupOptions[string]{Grace: 2 * time.Second},
			rounds: []string{"a1, b1", "b stop", "", "a2, b2", "a close, b close"},
			err:    "other", errors: "oops; other", states: "a=cancelled b=cancelled",
		},
		{
			name: "comes before an earlier failure", deps: "a b", throws: map[int]error{3: errOops},
			parts:  map[string]part{"a": run, "b": {steps: "next fail"}},
			opts:   scheduler.GroupOptions[string]{Grace: 2 * time.Second},
			rounds: []string{"a1, b1", "a2, b2", "", "a3", "a close"},
			err:    "oops\nb: oops b", errors: "b: oops b; oops", states: "a=cancelled b=failed",
		},
		{
			name: "comes before a later failure", deps: "a b", throws: map[int]error{2: errOops},
			parts:  map[string]part{"a": run, "b": {steps: "next fail"}},
			opts:   scheduler.GroupOptions[string]{Grace: 2 * time.Second},
			rounds: []string{"a1, b1", "", "a2, b2", "a3", "a close"},
			err:    "oops\nb: oops b", errors: "oops; b: oops b", states: "a=cancelled b=failed",
		},
		{
			name: "also if all end well", deps: "a b", throws: map[int]error{2: errOops},
			parts:  map[string]part{"a": {steps: "next next"}, "b": {steps: "next"}},
			opts:   scheduler.GroupOptions[string]{Grace: time.Minute},
			rounds: []string{"a1, b1", "", "a2, b2", "a3"},
			err:    "oops", errors: "oops", states: "a=succeeded b=succeeded",
		},
		{
			name: "aggregate", deps: "a b c d:c", throws: map[int]error{3: errOops},
			parts:  map[string]part{"a": run, "b": {steps: "next fail"}, "c": {steps: "next*3"}},
			opts:   scheduler.GroupOptions[string]{AggregateErrors: true, Grace: 2 * time.Second},
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "", "a3, c3", "a4, c4", "a close"},
			err:    "2 tasks failed:\n- b: oops b\n- oops", errors: "b: oops b; oops",
			states: "a=cancelled b=failed c=succeeded d=cancelled",
		},
		{
			name: "errors of Close", deps: "a b", throws: map[int]error{2: errOops},
			parts:  map[string]part{"a": {steps: "next next", close: "fail"}, "b": {steps: "next next", close: "fail"}},
			rounds: []string{"a1, b1", "a close, b close"},
			err:    "oops", errors: "oops; a: close a; b: close b", states: "a=cancelled b=cancelled",
		},
		{
			name: "what wraps a Timeout is an ordinary error", deps: "a b",
			throws: map[int]error{2: fmt.Errorf("words: %w", &scheduler.Timeout{Task: "x", Limit: 1})},
			parts:  parts,
			opts:   scheduler.GroupOptions[string]{Grace: time.Second},
			rounds: []string{"a1, b1", "b stop", "a2, b2", "a close, b close"},
			err:    "words: x: timed out after 1ns", errors: "words: x: timed out after 1ns",
		},
		{
			name: "a Timeout closes all at once, whatever the grace of the group", deps: "a b c:b",
			throws: map[int]error{2: &scheduler.Timeout{Task: "x", Limit: 1}},
			parts:  map[string]part{"a": run, "b": {steps: "next*3", close: "fail", stop: "ignore"}},
			opts:   scheduler.GroupOptions[string]{Grace: time.Hour},
			rounds: []string{"a1, b1", "a close, b close"},
			err:    "x: timed out after 1ns", errors: "x: timed out after 1ns; b: close b",
			states: "a=cancelled b=cancelled c=cancelled",
		},
		{
			name: "a Timeout comes first, then what was thrown in before", deps: "a b c", throws: map[int]error{3: errOops, 4: &scheduler.Timeout{Task: "x", Limit: 1}},
			parts:  map[string]part{"a": run, "b": {steps: "next fail"}, "c": run},
			opts:   scheduler.GroupOptions[string]{Grace: time.Hour},
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "", "a close, c close"},
			err:    "x: timed out after 1ns\noops\nb: oops b", errors: "b: oops b; oops; x: timed out after 1ns",
		},
		{
			name: "a Timeout outranks all when aggregating", deps: "a b c", throws: map[int]error{3: &scheduler.Timeout{Task: "x", Limit: 1}},
			parts:  map[string]part{"a": run, "b": {steps: "next fail"}, "c": run},
			opts:   scheduler.GroupOptions[string]{AggregateErrors: true},
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "a close, c close"},
			err:    "x: timed out after 1ns\n1 task failed:\n- b: oops b", errors: "b: oops b; x: timed out after 1ns",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
	t.Run("before the first step", func(t *testing.T) {
		s := newStage(t, nil)
		s.make("a b:a", nil)
		_, err := s.group.Throw(s.ctx, errOops)
		require.Equal(t, errOops, err)
		require.Empty(t, s.take())
		_, err = s.group.Step(s.ctx)
		require.ErrorIs(t, err, scheduler.ErrEnded)
	})
}

// The Timeout of a runner around a group gives the members the runner's grace.
func TestGroup_timeout_of_the_runner(t *testing.T) {
	stops := part{steps: "after-1*10", stop: "ignore"}
	tests := []struct {
		name  string
		parts map[string]part
		grace time.Duration
		want  string
		ok    bool
		took  time.Duration
		state string
	}{
		{
			"no grace",
			map[string]part{"a": stops},
			0, "a1, a2, a3, a4, a close", false, 3500*time.Millisecond + 1,
			"a=cancelled b=cancelled",
		},
		{
			"too short",
			map[string]part{"a": stops},
			2 * time.Second, "a1, a2, a3, a4, a stop, a5, a6, a close", false,
			5500*time.Millisecond + 2, "a=cancelled b=cancelled",
		},
		{
			"ends in it",
			map[string]part{"a": {steps: stops.steps, stop: "done"}},
			2 * time.Second, "a1, a2, a3, a4, a stop, a5", false,
			4 * time.Second, "a=succeeded b=cancelled",
		},
		{
			"ends in it with the cause",
			map[string]part{"a": {steps: stops.steps, stop: "cause"}},
			2 * time.Second,
			"a1, a2, a3, a4, a stop, a5", false, 4 * time.Second, "a=cancelled b=cancelled",
		},
		{
			"fails in it",
			map[string]part{"a": {steps: stops.steps, stop: "fail"}},
			2 * time.Second, "a1, a2, a3, a4, a stop, a5", false,
			4 * time.Second, "a=failed b=cancelled",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, test.parts)
			s.make("b:a", nil)
			begin := s.clock.Now()
			err := scheduler.Run(t.Context(), s.group, &scheduler.RunnerOptions{
				Name: "x", Timeout: 3500 * time.Millisecond, Grace: test.grace, Clock: s.clock,
			})
			require.Equal(t, test.want, s.take())
			require.ErrorIs(t, err, context.DeadlineExceeded)
			text := "x: timed out after 3.5s"
			if test.name == "fails in it" {
				text += "\na: oops a"
			}
			require.EqualError(t, err, text)
			require.Equal(t, test.took, s.clock.Now().Sub(begin))
			require.Equal(t, test.state, s.states())
			s.ended()
		})
	}
	t.Run("all end in the grace and nothing is left", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: stops.steps, stop: "done"}})
		s.make("a", nil)
		r := scheduler.NewTaskRunner(s.group, &scheduler.RunnerOptions{Grace: time.Minute, Clock: s.clock})
		require.NoError(t, r.RunWith(t.Context(), 3500*time.Millisecond, 0), "what a task swallows is not reported")
		require.ErrorIs(t, r.Err(), context.DeadlineExceeded)
		require.Equal(t, "a=succeeded", s.states())
	})
}

func TestGroup_Timeout_of_a_node(t *testing.T) {
	limit := func(d time.Duration) func(string) time.Duration {
		return byKey(map[string]time.Duration{"a": d})
	}
	run := "next*12"
	const text = "a: timed out after 1s"
	tests := []groupPlay{
		{
			name: "no Thrower", deps: "a b c:a", parts: map[string]part{"a": {steps: run}, "b": {steps: run}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1, b1", "a2, b2", "a close, b close"},
			err:    text, errors: text, states: "a=timed out b=cancelled c=cancelled",
		},
		{
			name: "fails to close", deps: "a b", parts: map[string]part{"a": {steps: run, close: "fail"}, "b": {steps: run}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1, b1", "a2, b2", "a close, b close"},
			err:    text + "\nclose a", errors: text + "\nclose a", states: "a=timed out b=cancelled",
		},
		{
			name: "passed on", deps: "a b", parts: map[string]part{"a": {steps: run, throw: "cause"}, "b": {steps: run}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1, b1", "a2, b2", "a throw, b close"},
			err:    text, errors: text, states: "a=timed out b=cancelled",
		},
		{
			name: "swallowed by ending", deps: "a b:a", parts: map[string]part{"a": {steps: run, throw: "done"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "a2", "a throw, b1"}, states: "a=succeeded b=succeeded",
		},
		{
			name: "another error", deps: "a", parts: map[string]part{"a": {steps: run, throw: "fail"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "a2", "a throw"}, states: "a=failed", err: "a: oops a", errors: "a: oops a",
		},
		{
			name: "goes on without grace", deps: "a b", parts: map[string]part{"a": {steps: run, throw: "next"}, "b": {steps: run}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1, b1", "a2, b2", "a throw, a close, b close"},
			err:    text, errors: text, states: "a=timed out b=cancelled",
		},
		{
			name: "goes on with grace", deps: "a b", parts: map[string]part{"a": {steps: run, throw: "next"}, "b": {steps: "next*4"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second), Grace: 2 * time.Second},
			rounds: []string{"a1, b1", "a2, b2", "a throw, b3", "a3, b4", "a4, b5", "a close"},
			err:    text, errors: text, states: "a=timed out b=succeeded",
		},
		{
			name: "goes on with grace of its own, and ends", deps: "a b:a", parts: map[string]part{"a": {steps: "next*4", throw: "next"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second), GraceFor: byKey(map[string]time.Duration{"a": time.Hour})},
			rounds: []string{"a1", "a2", "a throw", "a3", "a4", "a5, b1"}, states: "a=succeeded b=succeeded",
		},
		{
			name: "answered with nothing", deps: "a", parts: map[string]part{"a": {steps: run, throw: "nothing"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "a2", "a throw, a close"}, states: "a=failed",
			err: "a: " + scheduler.ErrNoYield.Error(), errors: "a: " + scheduler.ErrNoYield.Error(),
		},
		{
			name: "negative: over before its first line", deps: "a b:a c", parts: map[string]part{"a": {steps: run, throw: "done"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(-1), AggregateErrors: true},
			rounds: []string{"c1"}, states: "a=timed out b=skipped c=succeeded",
			err: "1 task failed:\n- a: timed out before it started", errors: "a: timed out before it started",
		},
		{
			name: "an ordinary failure when aggregating", deps: "a b c:a", parts: map[string]part{"a": {steps: run}, "b": {steps: "next*4"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second), AggregateErrors: true},
			rounds: []string{"a1, b1", "a2, b2", "a close, b3", "b4", "b5"},
			err:    "1 task failed:\n- " + text, errors: text, states: "a=timed out b=succeeded c=skipped",
		},
		{
			name: "parked", deps: "a", parts: map[string]part{"a": {steps: "after-100", throw: "cause"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "", "a throw"}, states: "a=timed out", err: text, errors: text,
		},
		{
			name: "parked for rounds", deps: "a", parts: map[string]part{"a": {steps: "rounds-100", throw: "cause"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "", "a throw"}, states: "a=timed out", err: text, errors: text,
		},
		{
			name: "parked for an event", deps: "a", parts: map[string]part{"a": {steps: "event", throw: "cause"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(time.Second)},
			rounds: []string{"a1", "", "a throw"}, states: "a=timed out", err: text, errors: text,
		},
		{
			name: "in time", deps: "a", parts: map[string]part{"a": {steps: "next*3"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(3 * time.Second)},
			rounds: []string{"a1", "a2", "a3", "a4"}, states: "a=succeeded",
		},
		{
			name: "of one that has ended", deps: "a b", parts: map[string]part{"a": {steps: "next"}, "b": {steps: "rounds-2 rounds-4"}},
			opts:   scheduler.GroupOptions[string]{Timeout: limit(3 * time.Second)},
			rounds: []string{"a1, b1", "a2", "b2", "", "", "", "b3"}, states: "a=succeeded b=succeeded",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

// The end of a step's context is the member's business alone.
func TestGroup_ignores_the_end_of_its_context(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "next next"}})
	s.make("a", nil)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	for _, want := range []string{"a1", "a2", "a3"} {
		mustStep(t, ctx, s.group)
		require.Equal(t, want, s.take())
	}
	s.ended()
}

// TaskRunner.Stop, and the end of Run's context: nothing new starts at any
// depth, and what is left unfinished fails with the cause.
func TestGroup_stopped_by_its_runner(t *testing.T) {
	nested := func(s *stage, depth int) scheduler.Task {
		task := scheduler.Task(s.group)
		for range depth {
			inner := task
			g, err := scheduler.NewDependencyTaskGroup(graph("y:x"), func(k string) scheduler.Task {
				if k == "y" {
					return scheduler.Func(func(context.Context) error { s.add("y"); return nil })
				}
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					return co.Await(scheduler.NewTaskRunner(inner, nil).AsTask(0))
				})
			}, nil)
			require.NoError(s, err)
			task = g
		}
		return task
	}
	tests := []struct {
		name   string
		part   part // of a
		stops  []string
		states string
		errors string
	}{
		{"goes on until it is closed", part{steps: "after-1*7", stop: "ignore"}, []string{"a1", "a stop, a2", "a3, a close"}, "a=cancelled b=cancelled", ""},
		{"ends", part{steps: "after-1*5", stop: "done"}, []string{"a1", "a stop, a2"}, "a=succeeded b=cancelled", ""},
		{"ends with the cause", part{steps: "after-1*5", stop: "cause"}, []string{"a1", "a stop, a2"}, "a=cancelled b=cancelled", "a: oops"},
		{"fails", part{steps: "after-1*5", stop: "fail"}, []string{"a1", "a stop, a2"}, "a=failed b=cancelled", "a: oops a"},
	}
	for _, test := range tests {
		for depth := range 4 {
			t.Run(fmt.Sprint(test.name, " depth=", depth), func(t *testing.T) {
				s := newStage(t, map[string]part{"a": test.part})
				s.make("b:a", nil)
				r := startRunner(t, nested(s, depth), &scheduler.RunnerOptions{Clock: s.clock, Grace: 2 * time.Second})
				r.Stop(errOops)
				var err error
				for done := false; !done; {
					s.clock.Advance(time.Second)
					done, err = r.Step(t.Context())
				}
				require.Equal(t, strings.Join(test.stops, ", "), s.take(), "neither b nor y")
				require.ErrorIs(t, err, errOops)
				if test.errors == "a: oops a" {
					require.ErrorContains(t, err, "oops a", "what failed meanwhile is joined")
				} else {
					require.EqualError(t, err, "oops")
				}
				require.Equal(t, test.states, s.states())
				require.Equal(t, test.errors, texts(s.group.Errors()))
				s.ended()
			})
		}
	}
	t.Run("nothing was left to start", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "next next", stop: "done"}})
		s.make("a", nil)
		r := startRunner(t, s.group, &scheduler.RunnerOptions{Clock: s.clock, Grace: time.Minute})
		r.Stop(errOops)
		require.Equal(t, errOops, r.RunToCompletion(t.Context(), 0))
		require.Equal(t, "a=succeeded", s.states())
		require.Empty(t, s.group.Errors())
	})
	t.Run("without grace", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "next next", stop: "ignore"}})
		s.make("b:a", nil)
		r := startRunner(t, s.group, &scheduler.RunnerOptions{Clock: s.clock})
		r.Stop(errOops)
		require.Equal(t, errOops, r.RunToCompletion(t.Context(), 0))
		require.Equal(t, "a1, a close", s.take())
		require.Equal(t, "a=cancelled b=cancelled", s.states())
	})
	t.Run("aggregate", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "fail"}, "b": {steps: "next*3", stop: "done"}})
		s.make("a b c:b", &scheduler.GroupOptions[string]{AggregateErrors: true})
		r := startRunner(t, s.group, &scheduler.RunnerOptions{Clock: s.clock, Grace: time.Minute})
		r.Stop(errOops)
		err := r.RunToCompletion(t.Context(), 0)
		require.ErrorIs(t, err, errOops)
		var all *scheduler.ExceptionGroup
		require.ErrorAs(t, err, &all, "what failed before is not lost")
		require.Equal(t, "a=failed b=succeeded c=cancelled", s.states())
	})
}

// In the grace of an outer group an inner one goes on starting, and its members
// have notice, those that start in the grace too.
func TestGroup_stopped_by_an_outer_group(t *testing.T) {
	outer := func(s *stage) *scheduler.DependencyTaskGroup[string] {
		g := newGroup(t, "inner fails", func(k string) scheduler.Task {
			if k == "inner" {
				return s.group
			}
			s.parts["f"] = part{steps: "next fail"}
			return s.task("f")
		}, &scheduler.GroupOptions[string]{Grace: 3 * time.Second})
		return g
	}
	play := func(s *stage, g *scheduler.DependencyTaskGroup[string]) (rounds []string, err error) {
		for y := scheduler.Next; y != scheduler.Done && err == nil; {
			y, err = g.Step(s.ctx)
			s.clock.Advance(time.Second)
			rounds = append(rounds, s.take())
		}
		return rounds, err
	}
	t.Run("goes on starting", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "next*3", stop: "ignore"}, "b": {steps: "next*7", stop: "ignore"}})
		s.make("b:a", nil)
		g := outer(s)
		rounds, err := play(s, g)
		require.EqualError(t, err, "fails: oops f")
		require.Equal(t, []string{"a1, f1", "a2, f2, a stop", "a3", "a4, b1, b stop", "b2", "b close"}, rounds)
		require.Equal(t, "a=succeeded b=cancelled", s.states())
		require.Equal(t, scheduler.StateCancelled, g.State("inner"))
		s.ended()
	})
	t.Run("a member that ends with the cause fails it", func(t *testing.T) {
		// Else what depends on that member would never start, nor end.
		s := newStage(t, map[string]part{"a": {steps: "next*4", stop: "cause"}})
		s.make("b:a", nil)
		g := outer(s)
		rounds, err := play(s, g)
		require.EqualError(t, err, "fails: oops f")
		require.Equal(t, []string{"a1, f1", "a2, f2, a stop", "a3"}, rounds)
		require.Equal(t, "a=failed b=cancelled", s.states())
		require.Equal(t, scheduler.StateCancelled, g.State("inner"), "it ended because it was asked to")
		s.ended()
	})
	t.Run("all of it in time", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "next*3"}})
		s.make("b:a", nil)
		g := outer(s)
		_, err := play(s, g)
		require.EqualError(t, err, "fails: oops f")
		require.Equal(t, "a=succeeded b=succeeded", s.states())
		require.Equal(t, scheduler.StateSucceeded, g.State("inner"))
	})
}

func TestGroup_Close(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "next next", close: "fail"}, "b": {steps: "after-9"}, "c": {steps: "event", close: "fail"}})
	s.make("c a b d:a", nil)
	_, _, err := s.round()
	require.NoError(t, err)
	require.NoError(t, s.group.Close(), "errors are kept aside")
	require.Equal(t, "c close, a close, b close", s.take())
	require.Equal(t, "c: close c; a: close a", texts(s.group.Errors()))
	require.Equal(t, "c=cancelled a=cancelled b=cancelled d=cancelled", s.states())
	s.ended()
}

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

// Abandon under a clock that is not the system's is an error of the first step.
func TestGroup_Abandon_with_another_clock(t *testing.T) {
	g := newGroup(t, "a", second, &scheduler.GroupOptions[string]{Abandon: time.Second, Grace: scheduler.NoGrace})
	_, err := g.Step(scheduler.WithClock(context.Background(), schedulertest.NewClock(time.Time{})))
	require.Equal(t, "GroupOptions.Abandon", asError[*scheduler.OptionError](t, err).Option)
	require.Equal(t, scheduler.StatePending, g.State("a"))
}

// forms hold a task in ways that change nothing of a service.
func forms() map[string]func(scheduler.Task) scheduler.Task {
	forms := holdersOf("All", "All in All", "Wrap", "AsTask", "Subrun", "Retry", "Sequence behind another", "Finally", "WithTimeout", "Named", "wrapper", "Claiming")
	forms["All of two"] = func(task scheduler.Task) scheduler.Task { return scheduler.All(lasting0, task) }
	forms["deep"] = func(task scheduler.Task) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			return co.Await(scheduler.All(wrapping{scheduler.WithTimeout(time.Hour, scheduler.Sequence(task))}))
		})
	}
	return forms
}

// formCase is how a run goes: from second 2.5 on, or by what its tasks do.
type formCase struct {
	end           func(r *scheduler.TaskRunner, inner *scheduler.DependencyTaskGroup[string], cancel context.CancelCauseFunc)
	opts          scheduler.GroupOptions[string] // of the group that has the service
	outer         scheduler.GroupOptions[string]
	run           scheduler.RunnerOptions
	serviceFails  error
	jobFails      error
	servesForever bool
}

func formCases() map[string]formCase {
	enough := errors.New("enough")
	type group = *scheduler.DependencyTaskGroup[string]
	type cancel = context.CancelCauseFunc
	opts := func(o scheduler.GroupOptions[string]) scheduler.GroupOptions[string] { return o }
	graced := scheduler.GroupOptions[string]{Grace: 20 * time.Second}
	timeout := func(key string, d time.Duration) func(string) time.Duration {
		return func(k string) time.Duration {
			if k == key {
				return d
			}
			return 0
		}
	}
	run := scheduler.RunnerOptions{Grace: 30 * time.Second}
	cases := map[string]formCase{
		"to the end":            {opts: graced},
		"to the end, no grace":  {},
		"with a limit":          {opts: opts(scheduler.GroupOptions[string]{Limit: 1, Grace: 20 * time.Second})},
		"stop":                  {run: run, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Stop(enough) }},
		"stop without a grace":  {end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Stop(enough) }},
		"kill":                  {run: run, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Kill() }},
		"context":               {run: run, end: func(_ *scheduler.TaskRunner, _ group, c cancel) { c(enough) }},
		"context without grace": {end: func(_ *scheduler.TaskRunner, _ group, c cancel) { c(enough) }},
		"interrupt":             {run: run, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Interrupt(enough) }},
		"cancel":                {run: run, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { _ = r.Cancel() }},
		"drain":                 {opts: graced, end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.Drain() }},
		"stop the service":      {opts: graced, end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.StopNode("S", enough) }},
		"cut the service off":   {end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.StopNode("S", enough) }},
		"skip the service":      {opts: graced, end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.SkipNode("S", nil) }},
		"stop the user":         {opts: graced, end: func(_ *scheduler.TaskRunner, g group, _ cancel) { g.StopNode("use", enough) }},
		"time until it is ready": {opts: opts(scheduler.GroupOptions[string]{
			Timeout: timeout("S", 500*time.Millisecond), AggregateErrors: true,
		})},
		"time after it is ready": {opts: opts(scheduler.GroupOptions[string]{Timeout: timeout("S", 1500*time.Millisecond), Grace: 20 * time.Second})},
		"time of the group":      {outer: opts(scheduler.GroupOptions[string]{Timeout: timeout("g", 2500*time.Millisecond)})},
		"time of the group with a grace": {
			opts: graced, outer: opts(scheduler.GroupOptions[string]{Timeout: timeout("g", 2500*time.Millisecond), Grace: 20 * time.Second}),
		},
		"the user fails":                  {jobFails: errSpace},
		"the user fails with a grace":     {opts: graced, jobFails: errSpace},
		"the service fails":               {serviceFails: errSpace},
		"the service fails with a grace":  {opts: graced, serviceFails: errSpace},
		"the service fails, aggregated":   {opts: opts(scheduler.GroupOptions[string]{AggregateErrors: true}), serviceFails: errSpace},
		"it lives until it is not needed": {opts: graced, servesForever: true},
		"it lives until the stop is over": {run: run, servesForever: true, end: func(r *scheduler.TaskRunner, _ group, _ cancel) { r.Stop(enough) }},
	}
	return cases
}

// play runs the case and says what happened. It holds the service, and the group that has
// the service, in some form.
func (c formCase) play(t *testing.T, service, group func(scheduler.Task) scheduler.Task, around bool) (string, error) {
	d := newServicePlay()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	opts, outerOpts, run := c.opts, c.outer, c.run
	inner := newGroup(t, "use:S late:use", func(k string) scheduler.Task {
		switch {
		case k == "S" && c.servesForever:
			return service(scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Ready()
				err := co.Yield(scheduler.After(1000 * time.Hour))
				d.add("S ends: %v", err)
				return err
			}))
		case k == "S" && c.serviceFails != nil:
			return service(scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Ready()
				err := co.Yield(scheduler.After(2 * time.Second))
				d.add("S ends: %v", err)
				return errors.Join(err, c.serviceFails)
			}))
		case k == "S":
			return service(d.service("S"))
		case k == "use":
			return d.job(k, 3, c.jobFails)
		}
		return d.job(k, 1, nil)
	}, &opts)
	var task scheduler.Task = inner
	if around {
		outer := newGroup(t, "g other after:g", func(k string) scheduler.Task {
			if k == "g" {
				return group(inner)
			}
			return d.job(k, 1, nil)
		}, &outerOpts)
		task = outer
	}
	run.Clock = d.clock
	r := startRunner(t, task, &run)
	var err error
	for i, acted := 0, c.end == nil; !r.Done(); i++ {
		require.Less(t, i, 1000, "%s", d)
		due := r.Due()
		at, timed := due.Time()
		timed = timed && due.Rounds() == 0
		switch when := d.start.Add(2500 * time.Millisecond); {
		case !acted && due.Rounds() == 0 && (!timed || at.After(when)):
			d.clock.Advance(when.Sub(d.clock.Now()))
			acted = true
			c.end(r, inner, cancel)
		case timed:
			d.clock.Advance(max(0, at.Sub(d.clock.Now())))
		}
		if !r.Done() {
			_, err = r.Step(ctx)
		}
	}
	if e := r.Err(); e != nil {
		err = e
	}
	return fmt.Sprintf("%s;%s; %d", d, endings(inner), d.clock.Now().Sub(d.start)/time.Millisecond), err
}

// kind says what an error is.
func kind(err error) string {
	var timeout *scheduler.Timeout
	return fmt.Sprint(err == nil, errors.Is(err, errSpace), errors.Is(err, scheduler.ErrCancelled), errors.As(err, &timeout))
}

// Whatever holds a service, alone or in a group that something holds, the run is the same.
func TestReady_in_any_form(t *testing.T) {
	asItIs := holders["itself"]
	for name, c := range formCases() {
		t.Run(name, func(t *testing.T) {
			for _, around := range []bool{false, true} {
				want, wantErr := c.play(t, asItIs, asItIs, around)
				t.Log(around, want, wantErr)
				for form, holds := range forms() {
					got, err := c.play(t, holds, asItIs, around)
					if got != want || kind(err) != kind(wantErr) {
						t.Errorf("%v service in %s:\n%s %v", around, form, got, err)
					}
					if !around || c.outer.Grace > 0 && slices.Contains([]string{"All", "All of two", "deep"}, form) {
						continue // All is a group: within the grace of its Timeout a group inside goes on to its end
					}
					got, err = c.play(t, asItIs, holds, around)
					if got != want || kind(err) != kind(wantErr) {
						t.Errorf("%v group in %s:\n%s %v", around, form, got, err)
					}
				}
			}
		})
	}
}

// groupOfItsOwn is a task that runs a group which only it can ask, and closes it with all
// that failed in it.
type groupOfItsOwn struct {
	*scheduler.DependencyTaskGroup[string]
}

func (g groupOfItsOwn) Close() error {
	_ = g.DependencyTaskGroup.Close()
	return errors.Join(g.Errors()...)
}

// What a task says of the nodes of its own group when it is closed is in the result: nobody
// else can ask that group.
func TestGroup_Close_that_tells_of_a_group_of_its_own(t *testing.T) {
	g := newGroup(t, "fails closed", func(k string) scheduler.Task {
		if k == "fails" {
			return lasting(1, errOops)
		}
		return struct{ scheduler.Task }{groupOfItsOwn{newGroup(t, "inner", func(string) scheduler.Task {
			return &fakeTask{step: forever, close: func() error { return errSpace }}
		}, nil)}}
	}, nil)
	err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: newClock(), Wait: time.Second})
	require.ErrorIs(t, err, errOops)
	require.ErrorIs(t, err, errSpace)
}

// A task of All that only gives back why it is closed adds nothing to the result.
func TestAll_of_a_task_that_gives_its_notice_back(t *testing.T) {
	for name, cause := range map[string]func(ctx context.Context) error{"cause": context.Cause, "Err": context.Context.Err} {
		inBubble(t, name, func(t *testing.T) {
			task := scheduler.All(scheduler.Named("fails", lasting(1, errOops)), scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				return cause(ctx)
			}))
			require.EqualError(t, scheduler.Run(t.Context(), task, nil), "fails: oops")
		})
	}
}
