package scheduler_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

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

// What a member ends with because of the notice is no failure of its own.
func TestGroup_notice_is_the_cause(t *testing.T) {
	var seen error
	group, _, err := played(t, "a b", func(k string) scheduler.Task {
		if k == "a" {
			return lasting(1, errSpace)
		}
		return untilStopped(func(cause error) error { seen = cause; return fmt.Errorf("gave up: %w", cause) })
	}, &scheduler.GroupOptions[string]{ErrorWaitTime: time.Minute}, nil)
	require.EqualError(t, err, "a: no space")
	require.EqualError(t, seen, "a: no space")
	require.Equal(t, "a failed: a: no space\nb cancelled: b: gave up: a: no space, stopped", outcomes(group))
	require.Len(t, group.Errors(), 2)
}

func TestGroup_fail_fast(t *testing.T) {
	run := part{steps: "next*9"}
	fails := part{steps: "next fail"}
	grace := scheduler.GroupOptions[string]{ErrorWaitTime: 2 * time.Second}
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
			opts: scheduler.GroupOptions[string]{ErrorWaitTimeFor: func(k string) time.Duration {
				return map[string]time.Duration{"a": time.Second, "b": time.Hour, "c": 0, "d": 3 * time.Second, "e": -1}[k]
			}},
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
func TestGroup_ErrorWaitTimeFor_is_asked_again(t *testing.T) {
	run := part{steps: "next*9"}
	s := newStage(t, map[string]part{"a": run, "b": {steps: "next fail"}, "c": {steps: "next next fail"}, "d": run})
	failures := 0
	s.make("a b c d", &scheduler.GroupOptions[string]{ErrorWaitTimeFor: func(k string) time.Duration {
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
	require.NoError(t, s.group.Close())
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
			opts:   scheduler.GroupOptions[string]{AggregateErrors: true, ErrorWaitTime: time.Second},
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
	require.NoError(t, s.group.Close())
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
	var e *scheduler.TaskError
	require.ErrorAs(t, s.group.Err("a"), &e)
	require.Equal(t, "a", e.Key)
	require.Equal(t, "player a", e.Task)
}

// A chain of a million nodes that fails at its root: no recursion.
func TestGroup_long_chain_fails(t *testing.T) {
	const n = 1_000_000
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	for i := range n - 1 {
		deps.Add(i+1, i)
	}
	skipped := 0
	g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return errOops })
	}, &scheduler.GroupOptions[int]{AggregateErrors: true, Observer: scheduler.ObserverFunc(func(tr scheduler.Transition) {
		if tr.To == scheduler.StateSkipped {
			skipped++
		}
	})})
	require.NoError(t, err)
	err = scheduler.Run(t.Context(), g, nil)
	require.ErrorIs(t, err, errOops)
	var all *scheduler.ExceptionGroup
	require.ErrorAs(t, err, &all)
	require.Len(t, all.Errors, 1)
	require.Equal(t, n-1, skipped)
	require.Equal(t, n-1, g.Count(scheduler.StateSkipped))
	require.ErrorIs(t, g.Err(n-1), errOops)
}
