package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// A node that has failed by itself owes that to no other, and one that Completed names
// has succeeded, whatever became of what it requires.
func TestOutcomes_of_failures_beside_one_another(t *testing.T) {
	group, _, err := played(t, "a b d:b c:a", func(k string) scheduler.Task {
		return lasting(map[string]int{"a": 1, "b": 2}[k], errBoom)
	}, &scheduler.GroupOptions[string]{Grace: time.Minute, Completed: func(k string) bool { return k == "c" }}, nil)
	require.ErrorIs(t, err, errBoom)
	require.NoError(t, group.Err("c"))
	require.Equal(t, "a failed: a: boom\nb failed: b: boom, stopped\nd cancelled because of a", outcomes(group))
}

// An error is the end of a task, whatever the Yield beside it says.
func TestTask_error_beside_a_Yield(t *testing.T) {
	t.Parallel()
	for _, y := range []scheduler.Yield{scheduler.Next, scheduler.Done, scheduler.After(time.Hour)} {
		for name, task := range map[string]*fakeTask{
			"Step":       {step: func(context.Context) (scheduler.Yield, error) { return y, errBoom }},
			"later Step": {yields: []scheduler.Yield{scheduler.Next}},
			"Throw":      {yields: []scheduler.Yield{scheduler.After(2 * time.Hour)}, throw: always(y, errBoom)},
		} {
			if name == "later Step" {
				task.step = func(context.Context) (scheduler.Yield, error) {
					if task.steps == 1 {
						return scheduler.Next, nil
					}
					return y, errBoom
				}
			}
			group := newGroup(t, "a", func(string) scheduler.Task { return task.task() }, &scheduler.GroupOptions[string]{
				Timeout: func(string) time.Duration { return time.Hour }, Grace: time.Hour,
			})
			clock := newClock()
			begin := clock.Now()
			require.EqualError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}), "a: boom", name)
			require.LessOrEqual(t, clock.Now().Sub(begin).Truncate(time.Millisecond), time.Hour)
			require.Zero(t, task.closes)
		}
	}
}

func TestGroup_OnError(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answer   scheduler.Disposition
		err      string
		outcomes string
	}{
		{"stops the group", scheduler.StopGroup, "1 task failed:\n- a: no space", "a failed: a: no space\nb cancelled because of a\nc cancelled because of a, stopped, cut off"},
		{"anything else stops it too", 77, "1 task failed:\n- a: no space", "a failed: a: no space\nb cancelled because of a\nc cancelled because of a, stopped, cut off"},
		{"skips dependents", scheduler.SkipDependents, "1 task failed:\n- a: no space", "a failed: a: no space\nb skipped: a: no space because of a"},
		{"ignores the error, and lets dependents start", scheduler.IgnoreError, "", "a failed: a: no space"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := ""
			group, trace, err := played(t, "b:a c", func(k string) scheduler.Task {
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
			require.Equal(t, tt.answer == scheduler.IgnoreError, strings.Contains(trace, "1s 2 b: pending -> running"))
			require.Len(t, group.Errors(), 1, "what is ignored is kept")
		})
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
		require.Equal(t, `a skipped: a: not wanted here: scheduler: skip
b skipped: a: not wanted here: scheduler: skip because of a
c skipped: a: not wanted here: scheduler: skip because of a`, outcomes(group))
		require.Empty(t, group.Errors(), "nothing went wrong")
	}
}

// The first failure is the result also if one that comes later has it as the cause of
// its notice: what failed inside is joined to it, and what else a task says that was
// told to end is only kept.
func TestGroup_first_failure_beside_the_notice_of_it(t *testing.T) {
	t.Parallel()
	obeys := func(besides error) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_ = co.Yield(scheduler.On(co.Stopping()))
			return errors.Join(co.StopCause(), besides)
		})
	}
	for name, tt := range map[string]struct {
		b    func() scheduler.Task
		want string
		errs int
	}{
		"a task": {func() scheduler.Task { return obeys(errOops) }, "a: no space", 2},
		"a group": {func() scheduler.Task {
			return newGroup(t, "x", func(string) scheduler.Task { return obeys(errOops) }, nil)
		}, "a: no space\nb: x: a: no space\noops", 2},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, "b a", func(k string) scheduler.Task {
				if k == "a" {
					return scheduler.Func(func(context.Context) error { return errSpace })
				}
				return tt.b()
			}, &scheduler.GroupOptions[string]{Grace: time.Minute})
			err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: newClock()})
			require.EqualError(t, err, tt.want)
			require.Equal(t, "a", asError[*scheduler.TaskError](t, err).Key)
			require.Len(t, g.Errors(), tt.errs)
			require.ErrorIs(t, errors.Join(g.Errors()...), errOops)
		})
	}
}

func TestGroup_fail_fast(t *testing.T) {
	run := part{steps: "next*9"}
	fails := part{steps: "next fail"}
	grace := scheduler.GroupOptions[string]{Grace: 2 * time.Second}
	tests := []groupPlay{
		{
			name: "without grace", deps: "a b c d:a", parts: map[string]part{"a": run, "b": fails, "c": run},
			rounds: []string{"a1, b1, c1", "a2, b2, a close, c close"},
			err:    "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed c=cancelled d=cancelled",
		},
		{
			name: "in the start pass", deps: "a b c", parts: map[string]part{"a": run, "b": {steps: "fail"}, "c": run},
			rounds: []string{"a1, b1, a close"},
			err:    "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed c=cancelled",
		},
		{
			name: "those after it in key order are not stepped", deps: "a b c",
			parts:  map[string]part{"a": fails, "b": fails, "c": run},
			rounds: []string{"a1, b1, c1", "a2, b close, c close"},
			err:    "a: oops a", errors: "a: oops a",
			states: "a=failed b=cancelled c=cancelled",
		},
		{
			name: "errors of Close are kept aside", deps: "a b c",
			parts:  map[string]part{"a": {steps: "next*3", close: "fail"}, "b": fails, "c": {steps: "next*3", close: "fail"}},
			rounds: []string{"a1, b1, c1", "a2, b2, a close, c close"},
			err:    "b: oops b", errors: "b: oops b; a: close a; c: close c",
			states: "a=cancelled b=failed c=cancelled",
		},
		{
			name: "grace", deps: "a b c d:a", parts: map[string]part{"a": run, "b": fails, "c": {steps: "next*3"}}, opts: grace,
			// It fails at second 1; a deadline has passed when the clock reads more.
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "a3, c3", "a4, c4", "a close"},
			err:    "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed c=succeeded d=cancelled",
		},
		{
			name: "notice in the grace", deps: "a b c d e", opts: grace,
			parts: map[string]part{
				"a": {steps: "next*8", stop: "ignore"}, "b": fails, "c": {steps: "next*7", stop: "cause"},
				"d": {steps: "next*8", stop: "done"}, "e": {steps: "next*7", stop: "fail"},
			},
			// The notice comes at once, also before a turn in the same round.
			rounds: []string{"a1, b1, c1, d1, e1", "a2, b2, a stop, c stop, d stop, e stop, c2, d2, e2", "a3", "a4", "a close"},
			err:    "b: oops b", errors: "b: oops b; c: b: oops b; e: oops e",
			states: "a=cancelled b=failed c=cancelled d=succeeded e=failed",
		},
		{
			name: "a second failure does not put the end off", deps: "a b c", opts: grace,
			parts:  map[string]part{"a": run, "b": fails, "c": {steps: "next next fail"}},
			rounds: []string{"a1, b1, c1", "a2, b2, c2", "a3, c3", "a4", "a close"},
			err:    "b: oops b", errors: "b: oops b; c: oops c",
			states: "a=cancelled b=failed c=failed",
		},
		{
			name: "a parked member is woken for its end", deps: "a b", opts: grace,
			parts:  map[string]part{"a": {steps: "after-1000"}, "b": fails},
			rounds: []string{"a1, b1", "b2", "", "", "a close"},
			err:    "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed",
		},
		{
			name: "grace for each node", deps: "a b c d e",
			parts: map[string]part{"a": run, "b": fails, "c": run, "d": run, "e": run},
			opts:  scheduler.GroupOptions[string]{GraceFor: byKey(map[string]time.Duration{"a": time.Second, "b": time.Hour, "c": 0, "d": 3 * time.Second, "e": -1})},
			rounds: []string{
				"a1, b1, c1, d1, e1", "a2, b2, c close, e close, d2",
				"a3, d3", "a close, d4", "d5", "d close",
			},
			err: "b: oops b", errors: "b: oops b",
			states: "a=cancelled b=failed c=cancelled d=cancelled e=cancelled",
		},
		{
			name: "zero Yield", deps: "a b c", parts: map[string]part{"a": run, "b": {steps: "nothing"}, "c": run},
			rounds: []string{"a1, b1, b close, a close"},
			err:    "b: " + scheduler.ErrNoYield.Error(), errors: "b: " + scheduler.ErrNoYield.Error(),
			states: "a=cancelled b=failed c=cancelled",
		},
		{
			name: "zero Yield later, fails to close", deps: "a b", parts: map[string]part{"a": run, "b": {steps: "next nothing", close: "fail"}},
			rounds: []string{"a1, b1", "a2, b2, b close, a close"},
			err:    "b: " + scheduler.ErrNoYield.Error() + "\nclose b", errors: "b: " + scheduler.ErrNoYield.Error() + "\nclose b",
			states: "a=cancelled b=failed",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

// The grace is asked again at each further failure, for those that run then.
func TestGroup_GraceFor_is_asked_again(t *testing.T) {
	run := part{steps: "next*9"}
	s := newStage(t, map[string]part{"a": run, "b": {steps: "next fail"}, "c": {steps: "next next fail"}, "d": run})
	failures := 0
	s.make("a b c d", &scheduler.GroupOptions[string]{GraceFor: func(k string) time.Duration {
		s.add("grace %s", k)
		if k == "d" && failures > 0 {
			return 0
		}
		failures++
		return time.Hour
	}})
	_, what, err := s.round()
	require.NoError(t, err)
	require.Equal(t, "a1, b1, c1, d1", what)
	failures = -3
	_, what, err = s.round()
	require.NoError(t, err)
	require.Equal(t, "a2, b2, grace a, grace c, grace d, c2, d2", what)
	failures = 1
	_, what, err = s.round()
	require.NoError(t, err)
	require.Equal(t, "a3, c3, grace a, grace d, d close", what)
	require.EqualError(t, s.group.Close(), "2 tasks failed:\n- b: oops b\n- c: oops c")
	require.Equal(t, "a close", s.take())
	s.ended()
}

func TestGroup_aggregate(t *testing.T) {
	aggregate := scheduler.GroupOptions[string]{AggregateErrors: true}
	fails := part{steps: "next fail"}
	tests := []groupPlay{
		{
			name: "one", deps: "a", parts: map[string]part{"a": {steps: "fail"}}, opts: aggregate,
			rounds: []string{"a1"}, err: "1 task failed:\n- a: oops a", errors: "a: oops a", states: "a=failed",
		},
		{
			name: "skips what depends on it and nothing else", deps: "b:a c:b e:d f:b,e", opts: aggregate,
			parts:  map[string]part{"a": {steps: "next*3"}, "b": fails, "d": {steps: "next*4"}, "e": {steps: "next*6"}},
			rounds: []string{"a1, d1", "a2, d2", "a3, d3", "a4, d4, b1", "b2, d5, e1", "e2", "e3", "e4", "e5", "e6", "e7"},
			err:    "1 task failed:\n- b: oops b", errors: "b: oops b",
			states: "a=succeeded b=failed c=skipped d=succeeded e=succeeded f=skipped",
		},
		{
			name: "all members have their turn", deps: "a b c d", opts: aggregate,
			parts:  map[string]part{"a": fails, "b": fails, "c": {steps: "next next"}, "d": fails},
			rounds: []string{"a1, b1, c1, d1", "a2, b2, c2, d2", "c3"},
			err:    "3 tasks failed:\n- a: oops a\n- b: oops b\n- d: oops d",
			errors: "a: oops a; b: oops b; d: oops d",
			states: "a=failed b=failed c=succeeded d=failed",
		},
		{
			name: "order of occurrence", deps: "a b", opts: aggregate,
			parts:  map[string]part{"a": {steps: "next next fail"}, "b": fails},
			rounds: []string{"a1, b1", "a2, b2", "a3"},
			err:    "2 tasks failed:\n- b: oops b\n- a: oops a", errors: "b: oops b; a: oops a",
			states: "a=failed b=failed",
		},
		{
			name: "reverse", deps: "b:a c:b d:c z", opts: scheduler.GroupOptions[string]{AggregateErrors: true, Reverse: true},
			parts:  map[string]part{"c": {steps: "fail"}},
			rounds: []string{"d1, c1, z1"},
			err:    "1 task failed:\n- c: oops c", errors: "c: oops c",
			states: "d=succeeded c=failed b=skipped a=skipped z=succeeded",
		},
		{
			name: "no grace after a failure", deps: "a b",
			opts:   scheduler.GroupOptions[string]{AggregateErrors: true, Grace: time.Second},
			parts:  map[string]part{"a": {steps: "fail"}, "b": {steps: "next*5", stop: "ignore"}},
			rounds: []string{"a1, b1", "b2", "b3", "b4", "b5", "b6"},
			err:    "1 task failed:\n- a: oops a", errors: "a: oops a",
			states: "a=failed b=succeeded",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

// A skipped node owes its fate to the first failure below it.
func TestGroup_Err(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "fail"}, "b": {steps: "next fail"}, "g": {steps: "next*4"}, "h": {steps: "next*3", close: "fail"}})
	s.make("c:a d:c e:d,b f:b g h", &scheduler.GroupOptions[string]{AggregateErrors: true})
	for range 2 {
		_, _, err := s.round()
		require.NoError(t, err)
	}
	require.Equal(t, "a=failed c=skipped d=skipped b=failed e=skipped f=skipped g=running h=running", s.states())
	require.EqualError(t, s.group.Close(), "2 tasks failed:\n- a: oops a\n- b: oops b")
	for k, want := range map[string]string{
		"a": "a: oops a", "b": "b: oops b", "c": "a: oops a", "d": "a: oops a", "e": "a: oops a", "f": "b: oops b",
		"g": "", "h": "h: close h", "unknown": "",
	} {
		if want == "" {
			require.NoError(t, s.group.Err(k), k)
		} else {
			require.EqualError(t, s.group.Err(k), want, k)
		}
	}
	e := asError[*scheduler.TaskError](t, s.group.Err("a"))
	require.Equal(t, "a", e.Key)
	require.Equal(t, "player a", e.Task)
}

// A chain of a million nodes that fails at its root: no recursion.
func TestGroup_long_chain_fails(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	for i := range n - 1 {
		deps.Add(i+1, i)
	}
	skipped := 0
	g := groupOver(t, deps, func(int) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return errOops })
	}, &scheduler.GroupOptions[int]{AggregateErrors: true, Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
		if tr.To == scheduler.StateSkipped {
			skipped++
		}
	})})
	err := scheduler.Run(t.Context(), g, nil)
	require.ErrorIs(t, err, errOops)
	all := asError[*scheduler.ExceptionGroup](t, err)
	require.Len(t, all.Errors, 1)
	require.Equal(t, n-1, skipped)
	require.Equal(t, n-1, g.Count(scheduler.StateSkipped))
	require.ErrorIs(t, g.Err(n-1), errOops)
}

// stackOf is panicOf, and the stack at the moment of recovering, where that of
// the panic is still to be seen if nobody recovered in between.
func stackOf(t *testing.T, fn func()) (value any, stack string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			value = recover()
			stack = string(debug.Stack())
		}()
		fn()
	}()
	<-done
	return value, stack
}

// disasters are the places where a panic, or a Goexit, can come from: what it
// takes to get there. "b" is the node concerned.
var disasters = []struct {
	name    string
	part    part // of b
	opts    func(disaster func()) scheduler.GroupOptions[string]
	task    bool // in the group's function
	act     func(s *stage)
	steps   int    // steps before act
	journal string // in act
	states  string // of b
	member  bool   // RecoverPanics makes an error of it
}{
	{name: "task", task: true, journal: "a1, a close", states: "failed", member: true},
	{name: "first Step", part: part{steps: "disaster"}, journal: "a1, b1, a close", states: "failed", member: true},
	{name: "Step", part: part{steps: "next disaster"}, steps: 1, journal: "a2, b2, a close, c close", states: "failed", member: true},
	{name: "Step after parking", part: part{steps: "rounds-2 disaster"}, steps: 2, journal: "a3, b2, a close, c close", states: "failed", member: true},
	{
		name: "Throw", part: part{steps: "next*5", throw: "disaster"}, steps: 1,
		opts: func(func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Timeout: byKey(map[string]time.Duration{"b": time.Nanosecond})}
		},
		journal: "a2, b throw, a close, c close", states: "failed", member: true,
	},
	{
		name: "Stop", part: part{steps: "next*5", stop: "disaster"}, steps: 1, act: func(s *stage) { s.group.Stop(s.ctx, errOther) },
		journal: "b stop, a close, c close", states: "failed", member: true,
	},
	{
		name: "Stop after a failure", part: part{steps: "next*5", stop: "disaster"}, steps: 1,
		opts: func(func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Grace: time.Hour}
		},
		act:     func(s *stage) { _, _ = s.group.Throw(s.ctx, errOther) },
		journal: "b stop, a close, c close", states: "failed", member: true,
	},
	{
		name: "Close", part: part{steps: "next*5", close: "disaster"}, steps: 1, act: func(s *stage) { _ = s.group.Close() },
		journal: "a close, b close, c close", states: "failed",
	},
	{
		name: "Close after a failure", part: part{steps: "next*5", close: "disaster"}, steps: 1,
		act:     func(s *stage) { _, _ = s.group.Throw(s.ctx, errOther) },
		journal: "a close, b close, c close", states: "failed",
	},
	{
		name: "Close after its Timeout", part: part{steps: "next*5", close: "disaster"}, steps: 1,
		opts: func(func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Timeout: byKey(map[string]time.Duration{"b": time.Nanosecond})}
		},
		journal: "a2, b close, a close, c close", states: "failed", member: true,
	},
	{
		name: "Timeout",
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Timeout: func(k string) time.Duration {
				if k == "b" {
					disaster()
				}
				return 0
			}}
		},
		journal: "a1, a close", states: "failed",
	},
	{
		name: "Context",
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{Context: func(ctx context.Context, k string) context.Context {
				if k == "b" {
					disaster()
				}
				return ctx
			}}
		},
		journal: "a1, a close", states: "failed",
	},
	{
		name: "GraceFor", part: part{steps: "next*5"}, steps: 1, act: func(s *stage) { _, _ = s.group.Throw(s.ctx, errOther) },
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{GraceFor: func(k string) time.Duration {
				if k == "b" {
					disaster()
				}
				return time.Hour
			}}
		},
		journal: "a close, b close, c close", states: "cancelled",
	},
	{
		// The member stepped just before is not the one that is concerned.
		name: "GraceFor after a Timeout", part: part{steps: "next*5", throw: "next"}, steps: 1,
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return scheduler.GroupOptions[string]{
				Timeout:  byKey(map[string]time.Duration{"b": time.Nanosecond}),
				GraceFor: func(string) time.Duration { disaster(); return 0 },
			}
		},
		journal: "a2, a close, b close, c close", states: "cancelled",
	},
	{
		name: "Observer at a start",
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateRunning)
		},
		journal: "a1, a close", states: "failed",
	},
	{
		name: "Observer at an end", part: part{steps: "next"}, steps: 1,
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateSucceeded)
		},
		journal: "a2, b2, a close, c close", states: "succeeded",
	},
	{
		name: "Observer at a failure", part: part{steps: "next fail"}, steps: 1,
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateFailed)
		},
		journal: "a2, b2, a close, c close", states: "failed",
	},
	{
		name: "Observer at a cancellation", part: part{steps: "next*4"}, steps: 1, act: func(s *stage) { _ = s.group.Close() },
		opts: func(disaster func()) scheduler.GroupOptions[string] {
			return observing(disaster, scheduler.StateCancelled)
		},
		journal: "a close, b close, c close", states: "cancelled",
	},
}

func observing(disaster func(), at scheduler.State) scheduler.GroupOptions[string] {
	return scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
		if tr.Key() == "b" && tr.To == at {
			disaster()
		}
	})}
}

// Whatever panics, or ends its goroutine: the stack goes up as it is, the others
// are closed in key order, and the group has ended.
func TestGroup_disasters(t *testing.T) {
	ways := []struct {
		name, word string
		disaster   func()
	}{
		{"panic", "panic", func() { panicForTest(errOops) }},
		{"Goexit", "goexit", runtime.Goexit},
	}
	for _, way := range ways {
		for _, test := range disasters {
			t.Run(test.name+" "+way.name, func(t *testing.T) {
				count := countGoroutines(t)
				swap := func(words string) string { return strings.ReplaceAll(words, "disaster", way.word) }
				run := part{steps: "next*8"}
				s := newStage(t, map[string]part{"a": run, "c": run, "b": {
					steps: swap(test.part.steps), throw: swap(test.part.throw), stop: swap(test.part.stop), close: swap(test.part.close),
				}})
				var opts scheduler.GroupOptions[string]
				if test.opts != nil {
					opts = test.opts(way.disaster)
				}
				g := newGroup(t, "a b c d:c w", func(k string) scheduler.Task {
					switch {
					case k == "b" && test.task:
						way.disaster()
					case k == "w":
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							return co.Yield(scheduler.On(new(scheduler.Event)))
						})
					}
					return s.task(k)
				}, &opts)
				s.group = g
				for range test.steps {
					_, _, err := s.round()
					require.NoError(t, err)
				}
				value, stack := stackOf(t, func() {
					if test.act != nil {
						test.act(s)
					} else {
						_, _ = g.Step(s.ctx)
					}
					t.Error("it returned")
				})
				if way.name == "panic" {
					require.Same(t, errOops, panickedWith(value))
					require.Contains(t, stack, "panicForTest", "the stack is still that of the panic")
				} else {
					require.Nil(t, value)
				}
				require.Equal(t, test.journal, s.take())
				require.Equal(t, test.states, g.State("b").String())
				require.Equal(t, scheduler.StateCancelled, g.State("d"))
				s.ended()
				count.want(0)
				if test.states == "failed" && !strings.HasPrefix(test.name, "Observer at a failure") {
					require.ErrorIs(t, g.Err("b"), scheduler.ErrAborted)
				}
			})
		}
	}
}

// One disaster after another, while the rest is being closed.
func TestGroup_disasters_in_a_row(t *testing.T) {
	s := newStage(t, map[string]part{
		"a": {steps: "next next", close: "panic"}, "b": {steps: "next panic"}, "c": {steps: "next next", close: "goexit"},
		"d": {steps: "next next", close: "panic"}, "e": {steps: "next next", close: "fail"},
	})
	s.make("a b c d e f:e", nil)
	_, _, err := s.round()
	require.NoError(t, err)
	returned, _ := onGoroutine(func() { _, _ = s.group.Step(s.ctx) })
	require.False(t, returned)
	require.Equal(t, "a2, b2, a close, c close, d close, e close", s.take())
	require.Equal(t, "a=failed b=failed c=failed d=failed e=cancelled f=cancelled", s.states())
	s.ended()

	// Also an Observer that panics at everything.
	s = newStage(t, map[string]part{"a": {steps: "next next"}, "b": {steps: "next panic"}, "c": {steps: "next next"}})
	armed := false
	s.make("a b c d:c e:d", &scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(scheduler.Record) {
		if armed {
			panic("Observer")
		}
	})})
	_, _, err = s.round()
	require.NoError(t, err)
	armed = true
	returned, _ = onGoroutine(func() { _, _ = s.group.Step(s.ctx) })
	require.False(t, returned)
	require.Equal(t, "a2, b2, a close, c close", s.take())
	require.Equal(t, "a=cancelled b=failed c=cancelled d=cancelled e=cancelled", s.states())
	s.ended()
}

func TestGroup_RecoverPanics(t *testing.T) {
	for _, test := range disasters {
		t.Run(test.name, func(t *testing.T) {
			swap := func(words string) string { return strings.ReplaceAll(words, "disaster", "panic") }
			s := newStage(t, map[string]part{"a": {steps: "next*5"}, "c": {steps: "next*5"}, "b": {
				steps: swap(test.part.steps), throw: swap(test.part.throw), stop: swap(test.part.stop), close: swap(test.part.close),
			}})
			var opts scheduler.GroupOptions[string]
			if test.opts != nil {
				opts = test.opts(func() { panicForTest(errOops) })
			}
			opts.RecoverPanics, opts.AggregateErrors = true, true
			g := newGroup(t, "a b c d:b", func(k string) scheduler.Task {
				if k == "b" && test.task {
					panicForTest(errOops)
				}
				return s.task(k)
			}, &opts)
			s.group = g
			value, _ := stackOf(t, func() {
				for range test.steps {
					_, _, _ = s.round()
				}
				if test.act != nil {
					test.act(s)
				}
				for range 20 {
					if y, err := g.Step(s.ctx); err != nil || y == scheduler.Done {
						break
					}
				}
			})
			if !test.member && !strings.HasPrefix(test.name, "Close") {
				require.Same(t, errOops, panickedWith(value), "what is no member's goes up")
				s.take()
				s.ended()
				return
			}
			require.Nil(t, value)
			s.take()
			s.ended()
			if test.member {
				require.Equal(t, scheduler.StateFailed.String(), strings.Replace(g.State("b").String(), "timed out", "failed", 1))
			}
			p := asError[*scheduler.PanicError](t, g.Err("b"))
			require.Same(t, errOops, p.Value)
			require.Contains(t, string(p.Stack), "panicForTest")
			require.ErrorIs(t, errors.Join(g.Errors()...), errOops)
			if test.member && test.act == nil {
				require.Equal(t, scheduler.StateSkipped, g.State("d"))
				require.Equal(t, scheduler.StateSucceeded, g.State("a"))
			}
		})
	}
	t.Run("fail fast", (&groupPlay{
		deps: "a b c", parts: map[string]part{"a": {steps: "next next"}, "b": {steps: "next panic"}, "c": {steps: "next next"}},
		opts:   scheduler.GroupOptions[string]{RecoverPanics: true},
		rounds: []string{"a1, b1, c1", "a2, b2, a close, c close"},
		err:    "b: panic: oops", errors: "b: panic: oops", states: "a=cancelled b=failed c=cancelled",
	}).run)
	t.Run("panics in Stop fail others, too", (&groupPlay{
		deps: "a b c d e", throws: map[int]error{2: errOther},
		parts: map[string]part{
			"a": {steps: "next*3", stop: "panic"}, "b": {steps: "next*3", stop: "panic"}, "c": {steps: "next*3"},
			"d": {steps: "next*3", stop: "ignore"}, "e": {steps: "next*3", stop: "panic"},
		},
		opts: scheduler.GroupOptions[string]{
			RecoverPanics: true,
			GraceFor:      byKey(map[string]time.Duration{"a": time.Hour, "b": time.Hour, "d": time.Hour, "e": time.Hour}),
		},
		rounds: []string{"a1, b1, c1, d1, e1", "a stop, b stop, c close, d stop, e stop", "d2", "d3", "d4"},
		err:    "other\na: panic: oops", errors: "other; a: panic: oops; b: panic: oops; e: panic: oops",
		states: "a=failed b=failed c=cancelled d=succeeded e=failed",
	}).run)
	t.Run("a PanicError stays what it is", func(t *testing.T) {
		g := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Wrap(func(*scheduler.Coroutine) error { panicForTest("inside"); return nil })
		}, &scheduler.GroupOptions[string]{RecoverPanics: true})
		err := scheduler.Run(t.Context(), g, nil)
		p := asError[*scheduler.PanicError](t, err)
		require.Equal(t, "inside", p.Value)
		require.Contains(t, string(p.Stack), "panicForTest")
	})
	t.Run("Goexit is not recovered", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "next next"}, "b": {steps: "goexit"}})
		s.make("a b", &scheduler.GroupOptions[string]{RecoverPanics: true})
		returned, panicked := onGoroutine(func() { _, _ = s.group.Step(s.ctx) })
		require.False(t, returned)
		require.Nil(t, panicked)
		require.Equal(t, "a1, b1, a close", s.take())
		s.ended()
	})
}

type when = func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict

// conditions are those of nodes by the first letter of the key: A is always
// started, F if something that it requires has failed, P passes, X is skipped; all
// others are as usual. What is asked is kept.
func conditions(asked *[]string) when {
	return func(k string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
		failed := false
		var of []string
		for r, s := range required {
			failed = failed || s == scheduler.StateFailed
			of = append(of, fmt.Sprintf("%s %s", r, s))
		}
		if asked != nil {
			*asked = append(*asked, k+"("+strings.Join(of, ", ")+")")
		}
		switch k[0] {
		case 'A':
			return scheduler.Start
		case 'F':
			if failed {
				return scheduler.Start
			}
			return scheduler.Skip
		case 'P':
			return scheduler.Pass
		case 'X':
			return scheduler.Skip
		}
		return scheduler.Usual
	}
}

// failing returns a task that takes a second, and fails for a key that ends with
// "bad".
func failing(k string) scheduler.Task {
	if strings.HasSuffix(k, "bad") {
		return lasting(1, errSpace)
	}
	return lasting(1, nil)
}

func TestWhen(t *testing.T) {
	const deps = "b:bad c:b Aclean:c Ffix:bad Fnot:Ffix Pq:b d:Pq e:Pq,b Xx f:Xx Pz h:Pz"
	var asked []string
	g, trace, err := played(t, deps, failing, &scheduler.GroupOptions[string]{
		AggregateErrors: true, When: conditions(&asked),
	}, nil)
	require.EqualError(t, err, "1 task failed:\n- bad: no space")
	require.Equal(t, "0s bad, 0s h, 1s Aclean, 1s Ffix, 1s d", starts(trace))
	require.Equal(t, []string{
		"bad()", "Xx()", "f(Xx skipped)", "Pz()", "h(Pz succeeded)", // in the first round
		"b(bad failed)", "c(b skipped)", "Aclean(c skipped)", "Ffix(bad failed)", "Pq(b skipped)", "d(Pq succeeded)",
		"e(b skipped, Pq succeeded)",
		"Fnot(Ffix succeeded)",
	}, asked)
	require.Equal(t, strings.TrimSpace(`
bad failed: bad: no space
b skipped: bad: no space because of bad
c skipped: bad: no space because of bad
Fnot skipped: Fnot: scheduler: skipped by its condition
e skipped: bad: no space because of bad
Xx skipped: Xx: scheduler: skipped by its condition
f skipped: Xx: scheduler: skipped by its condition because of Xx`), outcomes(g))
	require.ErrorIs(t, g.Err("Xx"), scheduler.ErrCondition)
	require.ErrorIs(t, g.Err("f"), scheduler.ErrSkip)
	require.Len(t, g.Errors(), 1, "a wish to be skipped is none")

	s := g.Snapshot()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Equal(t, `{"completed":["Aclean","Ffix","d","h"],"started":["bad"],"passed":["Pq","Pz"]}`, string(text))

	// The next run goes on where the first one failed: what passed is done.
	asked = nil
	second, trace, err := played(t, deps, second, &scheduler.GroupOptions[string]{
		AggregateErrors: true, When: conditions(&asked), Completed: s.Resume(),
	}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s bad, 1s b, 2s c, 2s e", starts(trace))
	require.Equal(t, []string{
		"bad()", "Xx()", "f(Xx skipped)", "b(bad succeeded)", "Fnot(Ffix succeeded)", "c(b succeeded)",
		"e(b succeeded, Pq succeeded)",
	}, asked)

	// A roll-back of both leaves out what passed or was skipped.
	both := second.Snapshot().After(s)
	require.Equal(t, scheduler.Snapshot[string]{
		Completed: []string{"bad", "b", "c", "Aclean", "Ffix", "d", "e", "h"}, Started: []string{}, Passed: []string{"Pq", "Pz"},
	}, both)
	_, trace, err = played(t, deps, nothing, &scheduler.GroupOptions[string]{Reverse: true, Completed: both.RollBack()}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s Aclean, 0s c, 0s Ffix, 0s d, 0s e, 0s b, 0s bad, 0s h", starts(trace))
}

// What the end of a node makes askable is asked about in the same round.
func TestWhen_in_one_round(t *testing.T) {
	g := newGroup(t, "b:a c:b", nothing, &scheduler.GroupOptions[string]{
		When: func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict { return scheduler.Usual },
	})
	y, err := g.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, scheduler.Done, y)
}

func TestWhen_in_reverse_with_a_limit_ignoring_errors(t *testing.T) {
	var asked []string
	g, trace, err := played(t, "bad:Pm Pm:c", failing, &scheduler.GroupOptions[string]{
		Reverse: true, Limit: 1, When: conditions(&asked),
		OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError },
	}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s bad, 1s c", starts(trace))
	require.Equal(t, "[bad() Pm(bad failed) c(Pm succeeded)]", fmt.Sprint(asked))
	require.Equal(t, scheduler.Snapshot[string]{
		Completed: []string{"c"}, Started: []string{"bad"}, Passed: []string{"Pm"}, Ignored: []string{"bad"},
	}, g.Snapshot())
}

// What is asked with the usual verdict runs as without When, but that skips come with
// the end of the last requirement.
func TestWhen_usual_changes_nothing(t *testing.T) {
	for seed := range 200 {
		deps := randomDeps(seed)
		run := func(when when) string {
			g, trace, err := played(t, deps, func(k string) scheduler.Task {
				var fails error
				if (seed+len(k)+int(k[0]))%5 == 0 {
					fails = errSpace
				}
				if (seed+int(k[0]))%11 == 0 {
					fails = scheduler.ErrSkip
				}
				return lasting(int(k[0]+byte(seed))%3, fails)
			}, &scheduler.GroupOptions[string]{
				AggregateErrors: true, When: when, Limit: seed % 4, Reverse: seed%2 == 0,
			}, nil)
			return fmt.Sprint(starts(trace), err, endings(g))
		}
		require.Equal(t, run(nil), run(func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			return scheduler.Usual
		}), "seed %d: %s", seed, deps)
	}
}

// endings writes the states down.
func endings(g *scheduler.DependencyTaskGroup[string]) string {
	var b strings.Builder
	for k, s := range g.All() {
		fmt.Fprintf(&b, " %s %s", k, s)
	}
	return b.String()
}

// A node that is lost for several failures is so for the earliest, whatever the order of
// the nodes.
func TestWhen_lost_for_the_earliest_failure(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}} {
		group := newGroup(t, "a b c done lost:a,b,c,done", func(k string) scheduler.Task {
			if k == "done" {
				return &fakeTask{}
			}
			return lasting(order[k[0]-'a'], fmt.Errorf("%s fails", k))
		}, &scheduler.GroupOptions[string]{AggregateErrors: true, When: conditions(nil)})
		require.Error(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: newClock()}))
		first := []string{"a", "b", "c"}[slices.Index(order, 1)]
		require.Equal(t, scheduler.StateSkipped, group.State("lost"))
		require.EqualError(t, group.Err("lost"), first+": "+first+" fails", order)
	}

	group := newGroup(t, "a b lost:a,b", func(k string) scheduler.Task {
		return lasting(map[string]int{"a": 1, "b": 2}[k], fmt.Errorf("%s fails", k))
	}, &scheduler.GroupOptions[string]{When: conditions(nil), OnError: func(k string, _ error) scheduler.Disposition {
		return map[string]scheduler.Disposition{"a": scheduler.IgnoreError, "b": scheduler.SkipDependents}[k]
	}})
	require.Error(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: newClock()}))
	require.EqualError(t, group.Err("lost"), "b: b fails", "that of a was ignored")
}

// After a stop nobody is asked, and while a group drains they are, but not started.
func TestWhen_after_the_end_of_the_starting(t *testing.T) {
	for name, end := range map[string]func(g *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner){
		"stop":   func(_ *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner) { r.Stop(errSpace) },
		"kill":   func(_ *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner) { r.Kill() },
		"throw":  func(_ *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner) { r.Interrupt(errSpace) },
		"cancel": func(_ *scheduler.DependencyTaskGroup[string], r *scheduler.TaskRunner) { _ = r.Cancel() },
		"drain":  func(g *scheduler.DependencyTaskGroup[string], _ *scheduler.TaskRunner) { g.Drain() },
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			clock := newClock()
			g := newGroup(t, "Pb:a Ac:Pb d:Ac", second, &scheduler.GroupOptions[string]{When: conditions(&asked)})
			r := startRunner(t, g, &scheduler.RunnerOptions{Clock: clock, Grace: time.Minute})
			end(g, r)
			_ = r.RunToCompletion(t.Context(), 0)
			err := r.Err()
			if name == "drain" {
				require.ErrorIs(t, err, scheduler.ErrDrained)
				require.Equal(t, "[a() Pb(a succeeded) Ac(Pb succeeded)]", fmt.Sprint(asked))
				require.Equal(t, " a succeeded Pb succeeded Ac pending d pending", endings(g))
				return
			}
			require.Error(t, err)
			require.Equal(t, "[a()]", fmt.Sprint(asked))
			require.Equal(t, 3, g.Count(scheduler.StateCancelled)-b2i(g.State("a") == scheduler.StateCancelled), "what was pending")
		})
	}
}

// While a group drains, a node that ends with its notice has ended for those that
// require it.
func TestWhen_while_a_group_drains_that_is_stopped_around(t *testing.T) {
	var asked []string
	inner := newGroup(t, "a b:a Ac:a d:b", func(string) scheduler.Task {
		return untilStopped(func(cause error) error { return cause })
	}, &scheduler.GroupOptions[string]{When: conditions(&asked)})
	outer := newGroup(t, "inner bad", func(k string) scheduler.Task {
		if k == "inner" {
			return inner
		}
		return lasting(1, errSpace)
	}, &scheduler.GroupOptions[string]{Grace: time.Minute})
	r := startRunner(t, outer, &scheduler.RunnerOptions{Clock: newClock()})
	inner.Drain()
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errSpace)
	require.Equal(t, "[a() b(a cancelled) Ac(a cancelled) d(b skipped)]", fmt.Sprint(asked))
	require.Equal(t, " a cancelled b skipped Ac pending d skipped", endings(inner))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A group inside is asked as it begins, unless it begins under the stop of the run.
func TestWhen_in_a_group_inside(t *testing.T) {
	var asked []string
	inside := func(string) scheduler.Task {
		return newGroup(t, "x Fy:x Az:x", func(k string) scheduler.Task {
			if k == "x" {
				return lasting(1, errSpace)
			}
			return lasting(1, nil)
		}, &scheduler.GroupOptions[string]{AggregateErrors: true, When: conditions(&asked)})
	}
	_, trace, err := played(t, "a", inside, &scheduler.GroupOptions[string]{AggregateErrors: true}, nil)
	require.ErrorIs(t, err, errSpace)
	require.Equal(t, "0s a, 0s a/x, 1s a/Fy, 1s a/Az", starts(trace))
	require.Equal(t, "[x() Fy(x failed) Az(x failed)]", fmt.Sprint(asked))

	asked = nil
	clock := newClock()
	r := startRunner(t, scheduler.Wrap(func(co *scheduler.Coroutine) error {
		_ = co.Yield(scheduler.On(co.Stopping()))
		return co.Await(inside(""))
	}), &scheduler.RunnerOptions{Clock: clock, Grace: time.Minute})
	r.Stop(errSpace)
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errSpace)
	require.Empty(t, asked)
}

// A panic of When is one of the run, and says of which node it was asked.
func TestWhen_panics(t *testing.T) {
	for _, at := range []string{"a", "b"} {
		for _, recovers := range []bool{false, true} {
			closed := &fakeTask{step: forever}
			g := newGroup(t, "slow a b:a c:b", func(k string) scheduler.Task {
				if k == "slow" {
					return closed.task()
				}
				return scheduler.Pause(scheduler.Next)
			}, &scheduler.GroupOptions[string]{
				RecoverPanics: recovers,
				When: func(k string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
					if k == at {
						panicForTest("in When")
					}
					return scheduler.Usual
				},
			})
			v := panicOf(t, func() { _ = scheduler.Run(t.Context(), g, nil) })
			require.ErrorContains(t, v.(error), "in When in "+at+" at ")
			require.Equal(t, scheduler.StateCancelled, g.State(at), "it had not started")
			require.Equal(t, scheduler.StateCancelled, g.State("c"))
			require.Zero(t, g.Count(scheduler.StateRunning)+g.Count(scheduler.StatePending))
		}
	}
}

// A node that has failed and has not ended yet is waited for.
func TestWhen_waits_for_the_end_of_a_failed_node(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var asked []string
		g := newGroup(t, "call Acleanup:call Fnext:call", func(k string) scheduler.Task {
			if k == "call" {
				return scheduler.Blocking(stubborn(5 * time.Second))
			}
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			When: func(k string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
				asked = append(asked, fmt.Sprint(time.Since(began), " ", k))
				return conditions(&asked)(k, required)
			},
			Timeout: func(k string) time.Duration { return time.Second * time.Duration(b2i(k == "call")) },
		})
		require.ErrorAs(t, scheduler.Run(t.Context(), g, nil), new(*scheduler.Timeout))
		require.Equal(t, []string{
			"0s call", "call()", "6.000000001s Acleanup", "Acleanup(call timed out)", "6.000000001s Fnext", "Fnext(call timed out)",
		}, asked)
		require.Equal(t, " call timed out Acleanup succeeded Fnext skipped", endings(g))
	})
}

func TestWhen_with_claims_and_estimates(t *testing.T) {
	var asked []string
	l := limiter(1)
	_, trace, err := played(t, "abad b Ac:abad,b Pd:b e:Pd", failing, &scheduler.GroupOptions[string]{
		When: conditions(&asked), Claims: func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} }, AggregateErrors: true,
		Estimate: func(k string) time.Duration { return time.Duration(len(k)) * time.Second },
	}, nil)
	require.ErrorIs(t, err, errSpace)
	require.Equal(t, "0s abad, 1s b, 2s Ac, 3s e", starts(trace))
	require.Equal(t, "[abad() b() Ac(abad failed, b succeeded) Pd(b succeeded) e(Pd succeeded)]", fmt.Sprint(asked))
	require.Zero(t, l.InUse()+l.Waiting())
}

// A snapshot at every step leads a run that goes on from it to the same end.
func TestWhen_snapshot_at_every_step(t *testing.T) {
	const deps = "b:bad Ac:b Fd:bad Pe:Ac f:Pe"
	rest := func(completed func(string) bool) string {
		_, trace, err := played(t, deps, failing, &scheduler.GroupOptions[string]{
			AggregateErrors: true, Completed: completed, When: conditions(nil),
		}, nil)
		require.ErrorIs(t, err, errSpace)
		return starts(trace)
	}
	seen := map[string]string{}
	for steps := 1; ; steps++ {
		group := newGroup(t, deps, failing, &scheduler.GroupOptions[string]{AggregateErrors: true, When: conditions(nil)})
		clock := newClock()
		r := startRunner(t, group, &scheduler.RunnerOptions{Clock: clock})
		for range steps - 1 {
			if at, ok := r.Due().Time(); ok {
				clock.Advance(at.Sub(clock.Now()))
			}
			_, _ = r.Step(t.Context())
		}
		text, err := json.Marshal(group.Snapshot())
		require.NoError(t, err)
		seen[string(text)] = rest(group.Snapshot().Resume())
		if r.Done() {
			break
		}
		require.NoError(t, r.Cancel())
	}
	require.Equal(t, map[string]string{
		`{"completed":[],"started":["bad"]}`:                              "0s bad, 1s Ac, 1s Fd, 2s f",
		`{"completed":[],"started":["bad","Ac","Fd"]}`:                    "0s bad, 1s Ac, 1s Fd, 2s f",
		`{"completed":["Ac","Fd"],"started":["bad","f"],"passed":["Pe"]}`: "0s bad, 1s f",
		`{"completed":["Ac","Fd","f"],"started":["bad"],"passed":["Pe"]}`: "0s bad",
	}, seen)
}

// An added node is asked of as the others are: at once, or, added between two steps,
// in the next one.
func TestWhen_of_added_nodes(t *testing.T) {
	var asked []string
	var group *scheduler.DependencyTaskGroup[string]
	clock := newClock()
	group = newGroup(t, "bad:a", func(k string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if k == "a" {
				require.NoError(t, group.Add("Pfree"))
				require.NoError(t, group.Add("late", "bad", "Pfree"))
				require.NoError(t, group.Add("Anow", "Pfree"))
				require.Equal(t, scheduler.StateSucceeded, group.State("Pfree"))
			}
			return co.Await(failing(k))
		})
	}, &scheduler.GroupOptions[string]{KeepOpen: true, AggregateErrors: true, When: func(
		k string, required iter.Seq2[string, scheduler.State],
	) scheduler.Verdict {
		require.Error(t, group.Add("from When"))
		return conditions(&asked)(k, required)
	}})
	r := startRunner(t, group, &scheduler.RunnerOptions{Clock: clock})
	require.Equal(t, "[a() Pfree() Anow(Pfree succeeded)]", fmt.Sprint(asked))
	require.Equal(t, " a running bad pending Pfree succeeded late pending Anow running", endings(group))
	r.Post(func() {
		require.NoError(t, group.Add("Xposted"))
		require.NoError(t, group.Add("Aafter", "Xposted"))
		require.Equal(t, scheduler.StatePending, group.State("Xposted"))
		group.CloseInput()
	})
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errSpace)
	require.Equal(t, "[a() Pfree() Anow(Pfree succeeded) Xposted() Aafter(Xposted skipped) "+
		"bad(a succeeded) late(bad failed, Pfree succeeded)]", fmt.Sprint(asked))
	require.Equal(t, " a succeeded bad failed Pfree succeeded late skipped Anow succeeded Xposted skipped Aafter succeeded", endings(group))
}

// A panic of When about a node that a member adds is one of that member, which is not
// called again.
func TestWhen_panics_in_Add(t *testing.T) {
	for _, recovers := range []bool{false, true} {
		var group *scheduler.DependencyTaskGroup[string]
		adder := &fakeTask{}
		adder.step = func(context.Context) (scheduler.Yield, error) {
			return scheduler.Done, group.Add("late")
		}
		panics := 1
		group = newGroup(t, "adds", func(string) scheduler.Task { return adder }, &scheduler.GroupOptions[string]{
			KeepOpen: true, RecoverPanics: recovers, AggregateErrors: true,
			When: func(k string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
				switch {
				case k == "adds":
					return scheduler.Start
				case panics > 0:
					panics--
					panic("boom")
				}
				return scheduler.Pass
			},
		})
		step := func() { _, _ = group.Step(t.Context()) }
		if !recovers {
			require.Panics(t, step)
			require.Zero(t, adder.closes)
			require.Equal(t, scheduler.StateFailed, group.State("adds"))
			continue
		}
		step()
		step()
		require.Zero(t, adder.closes)
		require.Equal(t, scheduler.StateFailed, group.State("adds"))
		require.Equal(t, scheduler.StateSucceeded, group.State("late"))
		_ = group.Close()
	}
}

// If the member that adds a node recovers the panic of When, When is asked again in
// the next round, which is due at once.
func TestWhen_panics_in_Add_that_recovers(t *testing.T) {
	var group *scheduler.DependencyTaskGroup[string]
	asked, started := 0, ""
	group = newGroup(t, "adds", func(k string) scheduler.Task {
		started += k + " "
		if k == "late" {
			return nothing(k)
		}
		return scheduler.Sequence(scheduler.Func(func(context.Context) error {
			require.Equal(t, "boom", panicOf(t, func() { _ = group.Add("late") }))
			return nil
		}), hours(k))
	}, &scheduler.GroupOptions[string]{
		KeepOpen: true,
		When: func(k string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			if k == "late" {
				if asked++; asked == 1 {
					panicForTest("boom")
				}
			}
			return scheduler.Usual
		},
	})
	require.Equal(t, 1, mustStep(t, t.Context(), group).Rounds(), "late is to be asked about")
	require.Equal(t, scheduler.StatePending, group.State("late"))
	require.Zero(t, mustStep(t, t.Context(), group).Rounds(), "only time is left to wait for")
	require.Equal(t, 2, asked)
	require.Equal(t, "adds late ", started)
	require.Equal(t, scheduler.StateSucceeded, group.State("late"))
	require.NoError(t, group.Close())
}

// What When is given may be left at the first that decides.
func TestWhen_stops_looking(t *testing.T) {
	looked := map[string]string{}
	group := newGroup(t, "c:a c:b", func(string) scheduler.Task { return lasting(0, nil) }, &scheduler.GroupOptions[string]{
		When: func(k string, required iter.Seq2[string, scheduler.State]) scheduler.Verdict {
			for q, state := range required {
				looked[k] += q + " " + state.String()
				break
			}
			return scheduler.Start
		},
	})
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	require.Equal(t, map[string]string{"c": "a succeeded"}, looked)
}

// A node whose Stop panics has failed, which may close others that were to be told next.
func TestGroup_RecoverPanics_of_a_Stop_that_closes_others(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, g scheduler.Task) error{
		"failure": func(t *testing.T, g scheduler.Task) error { return scheduler.Run(t.Context(), g, nil) },
		"stop": func(t *testing.T, g scheduler.Task) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			defer cancel()
			return scheduler.Run(ctx, g, &scheduler.RunnerOptions{Grace: time.Minute})
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			parked := func(context.Context) (scheduler.Yield, error) { return scheduler.After(time.Hour), nil }
			last := &fakeTask{step: parked}
			g := newGroup(t, "a b fails", func(k string) scheduler.Task {
				switch k {
				case "a":
					return (&fakeTask{step: parked, stop: func(context.Context, error) { panic(errBoom) }}).task()
				case "b":
					return last
				}
				return lasting(1, errOops)
			}, &scheduler.GroupOptions[string]{
				RecoverPanics: true,
				GraceFor:      byKey(map[string]time.Duration{"a": time.Minute, "fails": time.Minute}),
			})
			require.Error(t, stop(t, g))
			require.ErrorIs(t, g.Err("a"), errBoom)
			require.Equal(t, scheduler.StateFailed, g.State("a"))
			require.Equal(t, scheduler.StateCancelled, g.State("b"))
			require.Equal(t, 1, last.closes)
			require.Empty(t, last.causes)
		})
	}
}
