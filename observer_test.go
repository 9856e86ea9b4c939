package scheduler_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

func TestState(t *testing.T) {
	tests := []struct {
		state scheduler.State
		text  string
		ended bool
	}{
		{0, "unknown", false},
		{scheduler.StatePending, "pending", false},
		{scheduler.StateRunning, "running", false},
		{scheduler.StateReady, "ready", false},
		{scheduler.StateClosing, "closing", false},
		{scheduler.StateSucceeded, "succeeded", true},
		{scheduler.StateFailed, "failed", true},
		{scheduler.StateTimedOut, "timed out", true},
		{scheduler.StateCancelled, "cancelled", true},
		{scheduler.StateSkipped, "skipped", true},
	}
	for i, test := range tests {
		require.Equal(t, scheduler.State(i), test.state, "none is left out")
		require.Equal(t, test.text, test.state.String())
		require.Equal(t, test.ended, test.state.Ended())
	}
	require.Equal(t, "unknown", scheduler.State(len(tests)).String())
	require.Equal(t, "unknown", scheduler.State(255).String())
}

// watcher notes transitions.
type watcher struct{ journal }

func (w *watcher) Observe(t scheduler.Record) {
	if t.Kind != scheduler.NodeChanged {
		return
	}
	line := fmt.Sprintf("%v %v", t.Key(), t.To)
	if t.Err != nil {
		line += " (" + t.Err.Error() + ")"
	}
	w.add("%s", line)
}

// Every change of state is told, those of nodes that never start too, and each
// node's changes make a way from pending to where it stands.
func TestObserver_transitions(t *testing.T) {
	run := part{steps: "next*5"}
	tests := []struct {
		name   string
		deps   string
		parts  map[string]part
		opts   scheduler.GroupOptions[string]
		act    func(s *stage, round int) // in place of the step, if it does something
		rounds []string
	}{
		{
			name: "success", deps: "b:a c", parts: map[string]part{"a": {steps: "next"}},
			rounds: []string{"a running, c running, c succeeded", "a succeeded, b running, b succeeded"},
		},
		{
			name: "fail fast", deps: "a b c:a d:c", parts: map[string]part{"a": {steps: "next*3", close: "fail"}, "b": {steps: "next fail"}},
			rounds: []string{
				"a running, b running",
				"b failed (oops b), c cancelled, d cancelled, a cancelled (close a)",
			},
		},
		{
			name: "grace", deps: "a b c e", opts: scheduler.GroupOptions[string]{Grace: time.Second},
			parts: map[string]part{"a": run, "b": {steps: "next fail"}, "c": {steps: "next*3"}, "e": {steps: "next*3", stop: "cause"}},
			rounds: []string{
				"a running, b running, c running, e running",
				"b failed (oops b), e cancelled (b: oops b)",
				"", "a cancelled, c cancelled",
			},
		},
		{
			name: "skipped, in key order", deps: "c:b b:a d:a e z:e", opts: scheduler.GroupOptions[string]{AggregateErrors: true},
			parts: map[string]part{"a": {steps: "fail"}},
			rounds: []string{
				"a running, a failed (oops a), b skipped, c skipped, d skipped, e running, e succeeded, z running, z succeeded",
			},
		},
		{
			name: "timed out", deps: "a b:a c", parts: map[string]part{"a": run, "c": run},
			opts: scheduler.GroupOptions[string]{
				AggregateErrors: true,
				Timeout:         byKey(map[string]time.Duration{"a": time.Second}),
			},
			rounds: []string{
				"a running, c running", "", "a timed out (a: timed out after 1s), b skipped", "", "", "c succeeded",
			},
		},
		{
			name: "over before its start", deps: "a b:a", opts: scheduler.GroupOptions[string]{
				Timeout: func(string) time.Duration { return -1 },
			},
			rounds: []string{"a running, a timed out (a: timed out before it started), b cancelled"},
		},
		{
			name: "completed ones first", deps: "b:a c:b", opts: scheduler.GroupOptions[string]{
				Completed: func(k string) bool { return k != "c" },
			},
			rounds: []string{"a succeeded, b succeeded, c running, c succeeded"},
		},
		{
			name: "Close", deps: "a b:a", parts: map[string]part{"a": run},
			act: func(s *stage, round int) {
				if round == 2 {
					require.NoError(s, s.group.Close())
				}
			},
			rounds: []string{"a running", "a cancelled, b cancelled"},
		},
		{
			name: "Throw", deps: "a b:a", parts: map[string]part{"a": run},
			act: func(s *stage, round int) {
				if round == 2 {
					_, err := s.group.Throw(s.ctx, errOops)
					require.Equal(s, errOops, err)
				}
			},
			rounds: []string{"a running", "b cancelled, a cancelled"},
		},
		{
			name: "panic", deps: "a b c:a", parts: map[string]part{"a": run, "b": {steps: "next panic"}},
			act: func(s *stage, round int) {
				if round == 2 {
					panicOf(s.T, func() { _, _ = s.group.Step(s.ctx) })
				}
			},
			rounds: []string{"a running, b running", "b failed (" + scheduler.ErrAborted.Error() + "), a cancelled, c cancelled"},
		},
		{
			name: "nil task", deps: "a", opts: scheduler.GroupOptions[string]{
				Context: func(ctx context.Context, _ string) context.Context { return ctx },
			},
			parts: map[string]part{"a": {steps: "nothing"}}, rounds: []string{"a running, a failed (" + scheduler.ErrNoYield.Error() + ")"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, test.parts)
			var w watcher
			states := map[any]scheduler.State{}
			test.opts.Observer = scheduler.ObserverFunc(func(tr scheduler.Record) {
				if tr.Key() != nil && states[tr.Key()] == 0 {
					states[tr.Key()] = scheduler.StatePending
				}
				require.Equal(t, states[tr.Key()], tr.From)
				require.NotEqual(t, tr.From, tr.To)
				states[tr.Key()] = tr.To
				require.Equal(t, tr.To, s.group.State(tr.Key().(string)), "the group has it already")
				w.Observe(tr)
			})
			s.make(test.deps, &test.opts)
			var rounds []string
			for i := range test.rounds {
				if test.act != nil {
					test.act(s, i+1)
				}
				if test.act == nil || len(w.lines) == 0 {
					_, _, _ = s.round()
				}
				rounds = append(rounds, w.take())
			}
			require.Equal(t, test.rounds, rounds)
			s.take()
			s.ended()
			for k, state := range s.group.All() {
				if states[k] != 0 {
					require.Equal(t, state, states[k])
				}
			}
		})
	}
}

func TestRecord_of_a_change(t *testing.T) {
	clock := schedulertest.NewClock(time.Unix(500, 0))
	var j journal
	note := scheduler.ObserverFunc(func(tr scheduler.Record) {
		j.add("%d@%d %s: %s %v %q", tr.Round(), tr.Time().Unix(), tr.Group().Name(), tr.Path(), tr.To, tr.Task())
	})
	member := func(k string) scheduler.Task {
		steps := 0
		return &fakeTask{name: "task of " + k, step: func(context.Context) (scheduler.Yield, error) {
			clock.Advance(time.Second)
			if steps++; steps == 2 {
				return scheduler.Done, nil
			}
			return scheduler.Next, nil
		}}
	}
	group := func(name, deps string, task func(k string) scheduler.Task) *scheduler.DependencyTaskGroup[string] {
		opts := &scheduler.GroupOptions[string]{Name: name}
		if name == "outer" {
			opts.Observer = note // the groups inside are found
		}
		return newGroup(t, deps, task, opts)
	}
	outer := group("outer", "x y", func(k string) scheduler.Task {
		if k == "y" {
			return member(k)
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			return co.Await(group("middle", "m", func(string) scheduler.Task {
				inner := group("", "a b:a", member)
				return scheduler.NewTaskRunner(inner, nil).AsTask(0)
			}))
		})
	})
	ctx := scheduler.WithClock(t.Context(), clock)
	var rounds []string
	for y := scheduler.Next; y != scheduler.Done; {
		y = mustStep(t, ctx, outer)
		rounds = append(rounds, strings.Join(j.lines, "\n"))
		j.lines = nil
		clock.Advance(10 * time.Second)
	}
	require.Equal(t, []string{
		`1@500 outer: x running ""
1@500 middle: x/m running ""
1@500 DependencyTaskGroup: x/m/a running ""
1@500 outer: y running ""`,
		`2@512 DependencyTaskGroup: x/m/a succeeded "task of a"
2@512 DependencyTaskGroup: x/m/b running ""
2@512 outer: y succeeded "task of y"`,
		`3@525 DependencyTaskGroup: x/m/b succeeded "task of b"
3@525 middle: x/m succeeded "DependencyTaskGroup"
3@525 outer: x succeeded "scheduler_test.TestRecord_of_a_change.func4.1"`,
	}, rounds)
}

// Time costs something only where somebody wants it: once a round, as the group
// begins, and as it ends.
func TestGroup_reads_the_clock(t *testing.T) {
	tests := []struct {
		name  string
		opts  scheduler.GroupOptions[string]
		reads int
	}{
		{"without need", scheduler.GroupOptions[string]{}, 0},
		{"with an Observer", scheduler.GroupOptions[string]{Observer: &watcher{}}, 1 + 5 + 1},
		// Once a round and once at each start.
		{"with limits", scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Hour }}, 4 + 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clock := &countedClock{Clock: schedulertest.NewClock(time.Time{})}
			run := part{steps: "next*4"}
			s := newStage(t, map[string]part{"a": run, "b": run, "c": run})
			s.make("a b c", &test.opts)
			ctx := scheduler.WithClock(t.Context(), clock)
			for y := scheduler.Next; y != scheduler.Done; {
				y = mustStep(t, ctx, s.group)
			}
			require.Equal(t, 5, s.group.Rounds())
			require.Equal(t, test.reads, clock.reads)
		})
	}
}

// An Observer may ask for a Snapshot, stop the run and drain the group, whatever
// it is told of: a start, an end, a failure, a skip.
func TestObserver_may_end_the_run(t *testing.T) {
	task := func(k string) scheduler.Task {
		if k == "c" {
			return lasting(1, errSpace)
		}
		return lasting(1, nil)
	}
	var group *scheduler.DependencyTaskGroup[string]
	var runner *scheduler.TaskRunner
	// play calls act at the nth change, and returns how the run ended and how
	// many nodes started after that.
	play := func(n int, act func()) (changes, late int, err error) {
		group = newGroup(t, "b:a d:c e", task, &scheduler.GroupOptions[string]{
			AggregateErrors: true, Limit: 2,
			Observer: scheduler.ObserverFunc(func(change scheduler.Record) {
				if changes++; changes > n && change.To == scheduler.StateRunning {
					late++
				}
				require.Len(t, group.Snapshot().Completed, group.Count(scheduler.StateSucceeded))
				if changes == n {
					act()
				}
			}),
		})
		runner = scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{Clock: newClock()})
		err = runner.RunWith(t.Context(), 0, 0)
		require.Zero(t, group.Count(scheduler.StateRunning))
		return changes, late, err
	}
	all, _, err := play(0, nil)
	require.ErrorIs(t, err, errSpace)
	require.Equal(t, 9, all)
	for n := 1; n <= all; n++ {
		_, late, err := play(n, func() { group.Drain() })
		require.Zero(t, late, "nothing starts after Drain, at %d", n)
		if group.State("c") == scheduler.StatePending {
			require.ErrorIs(t, err, scheduler.ErrDrained, "at %d", n)
		}
		_, _, err = play(n, func() { runner.Stop(errOops) })
		if n < all {
			require.ErrorIs(t, err, errOops, "at %d", n)
		}
	}
}

// An Observer looks in, but does not act.
func TestObserver_that_drives_panics(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	for name, call := range map[string]func(g *scheduler.DependencyTaskGroup[int]){
		"Step":  func(g *scheduler.DependencyTaskGroup[int]) { _, _ = g.Step(t.Context()) },
		"Throw": func(g *scheduler.DependencyTaskGroup[int]) { _, _ = g.Throw(t.Context(), errOops) },
		"Close": func(g *scheduler.DependencyTaskGroup[int]) { _ = g.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			var g *scheduler.DependencyTaskGroup[int]
			g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return scheduler.Pause(scheduler.Next) },
				&scheduler.GroupOptions[int]{Name: "G", Observer: scheduler.ObserverFunc(func(scheduler.Record) { call(g) })})
			require.NoError(t, err)
			require.Equal(t, "scheduler: DependencyTaskGroup."+name+" of G called during a step",
				panicOf(t, func() { _, _ = g.Step(t.Context()) }))
		})
	}
}

// kindWatcher notes the kinds that it wants.
type kindWatcher struct {
	name  string
	kinds scheduler.Kinds
	told  *[]string
}

func (w kindWatcher) Wants() scheduler.Kinds { return w.kinds }

func (w kindWatcher) Observe(r scheduler.Record) {
	what := r.Kind.String()
	if r.Kind == scheduler.NodeChanged {
		what = r.To.String()
	}
	*w.told = append(*w.told, w.name+" "+what)
}

func TestObservers(t *testing.T) {
	t.Parallel()
	require.Nil(t, scheduler.Observers())
	require.Nil(t, scheduler.Observers(nil, nil))
	var told []string
	changes := scheduler.KindsOf(scheduler.NodeChanged)
	a, b := kindWatcher{"a", changes, &told}, kindWatcher{"b", changes, &told}
	c, d := kindWatcher{"c", changes | scheduler.KindsOf(scheduler.SlowStep), &told}, kindWatcher{"d", scheduler.AllKinds, &told}
	require.Equal(t, a, scheduler.Observers(nil, a), "a single one is that one itself")
	for _, test := range []struct {
		observer scheduler.Observer
		told     string
	}{
		{scheduler.Observers(b, nil, a), "b running, a running, b succeeded, a succeeded"},
		{scheduler.Observers(b, b), "b running, b succeeded"}, // each once
		{scheduler.Observers(a, d, c), "d group begun, a running, d running, c running, d slow step, c slow step, " +
			"a succeeded, d succeeded, c succeeded, d group ended"},
		{scheduler.Observers(scheduler.Observers(a, c), b), "a running, c running, b running, c slow step, a succeeded, c succeeded, b succeeded"},
	} {
		told = nil
		clock := schedulertest.NewClock(time.Time{}).Alone()
		group := newGroup(t, "k", func(string) scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				clock.Advance(2 * time.Second)
				return nil
			})
		}, &scheduler.GroupOptions[string]{Observer: test.observer, SlowStep: time.Second})
		require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
		require.Equal(t, test.told, strings.Join(told, ", "))
	}
	told = nil
	joined := scheduler.Observers(a, c)
	joined.Observe(scheduler.Record{Kind: scheduler.NodeChanged, To: scheduler.StateRunning})
	joined.Observe(scheduler.Record{Kind: scheduler.SlowStep})
	require.Equal(t, []string{"a running", "c running", "c slow step"}, told, "called by hand it tells them what they want")
}

func TestGroup_SlowStep(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	observer := &slowObserver{}
	group := newGroup(t, "quick slow", func(k string) scheduler.Task {
		steps := 0
		return &fakeTask{name: "task " + k, step: func(context.Context) (scheduler.Yield, error) {
			if steps++; steps > 2 {
				return scheduler.Done, nil
			}
			if k == "slow" {
				clock.Advance(2 * time.Second)
			} else {
				clock.Advance(time.Second)
			}
			return scheduler.Next, nil
		}}
	}, &scheduler.GroupOptions[string]{Observer: observer, SlowStep: time.Second})
	require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, []string{"slow task slow 2s", "slow task slow 2s"}, observer.slow, "the first step and a later one")
}

func TestGroup_SlowStep_negative(t *testing.T) {
	_, err := scheduler.NewDependencyTaskGroup(graph("a"), second, &scheduler.GroupOptions[string]{
		Observer: &slowObserver{}, SlowStep: -1,
	})
	require.EqualError(t, err, "scheduler: GroupOptions.SlowStep: negative duration -1ns")
}
