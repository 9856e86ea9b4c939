package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
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
// begins, and as it ends. A clock of WithClock is also read before the first step, to
// refuse one that is out of range.
func TestGroup_reads_the_clock(t *testing.T) {
	tests := []struct {
		name  string
		opts  scheduler.GroupOptions[string]
		reads int
	}{
		{"without need", scheduler.GroupOptions[string]{}, 1},
		{"with an Observer", scheduler.GroupOptions[string]{Observer: &watcher{}}, 1 + 1 + 5 + 1},
		// Once a round and once at each start.
		{"with limits", scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Hour }}, 1 + 4 + 3},
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
	e := kindWatcher{"e", scheduler.KindsOf(scheduler.SlowStep), &told}
	require.Equal(t, a, scheduler.Observers(nil, a), "a single one is that one itself")
	for _, test := range []struct {
		observer scheduler.Observer
		told     string
	}{
		{scheduler.Observers(b, nil, a), "b running, a running, b succeeded, a succeeded"},
		{scheduler.Observers(b, b), "b running, b succeeded"}, // each once
		{scheduler.Observers(e, a), "a running, e slow step, a succeeded"},
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

// What Observers are told while a group ends, and what becomes of the group if one
// of them panics then.

// An Observer that panics when it hears of the end of a group which ends by a panic
// does not keep that from the others.
func TestObserver_that_panics_at_the_end_of_a_panic(t *testing.T) {
	ends := 0
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { panic(errBoom) })
	}, &scheduler.GroupOptions[string]{Observer: scheduler.Observers(
		kindObserver{scheduler.GroupEnded, func() { panic(errPanic) }},
		kindObserver{scheduler.GroupEnded, func() { ends++ }},
	)})
	panicOf(t, func() { _, _ = group.Step(t.Context()) })
	require.Equal(t, 1, ends)
	require.ErrorIs(t, group.Err("a"), scheduler.ErrAborted)
	_, err := group.Step(t.Context())
	require.ErrorIs(t, err, scheduler.ErrEnded)
}

// A task that is closing when an Observer panics about a step of it is closed all
// the same, and has timed out.
func TestObserver_that_panics_about_a_closing_task(t *testing.T) {
	for name, answer := range map[string]struct {
		y      scheduler.Yield
		err    error
		closes int
	}{
		"ends":    {scheduler.Done, nil, 0},
		"fails":   {scheduler.Next, errOops, 0},
		"goes on": {scheduler.Next, nil, 1},
		"waits":   {scheduler.Ending(new(scheduler.Event)), nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked scheduler.Event
			task := &fakeTask{throw: always(scheduler.Ending(&asked), nil)}
			task.step = func(context.Context) (scheduler.Yield, error) {
				if task.steps == 1 {
					return scheduler.After(time.Hour), nil
				}
				return answer.y, answer.err
			}
			group := newGroup(t, "a", func(string) scheduler.Task { return task }, &scheduler.GroupOptions[string]{
				Timeout: func(string) time.Duration { return time.Second },
				Observer: kindObserver{scheduler.NodeStepped, func() {
					if task.steps == 2 {
						panic(errPanic)
					}
				}},
			})
			clock := newClock()
			ctx := scheduler.WithClock(t.Context(), clock)
			mustStep(t, ctx, group)
			clock.Advance(2 * time.Second)
			mustStep(t, ctx, group)
			asked.Set()
			panicOf(t, func() { _, _ = group.Step(ctx) })
			require.Equal(t, scheduler.StateTimedOut, group.State("a"))
			require.ErrorIs(t, group.Err("a"), context.DeadlineExceeded)
			if answer.err != nil {
				require.ErrorIs(t, group.Err("a"), answer.err)
			}
			require.Equal(t, answer.closes, task.closes)
		})
	}
}

// Nobody hears that a task is closing still which has ended since that was to be
// told.
func TestObserver_still_closing_no_more(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		told := 0
		group := newGroup(t, "slow deaf", func(k string) scheduler.Task {
			if k == "deaf" {
				return deafFor(1800*time.Millisecond, nil)
			}
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if time.Since(began) > 1500*time.Millisecond {
					sleep(time.Second) // while the time to tell it comes
				}
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			Timeout:         byKey(map[string]time.Duration{"deaf": time.Second}),
			Observer:        kindObserver{scheduler.NodeStillClosing, func() { told++ }},
		})
		r := startRunner(t, group, nil)
		sleep(1001 * time.Millisecond)
		mustStep(t, t.Context(), r)
		require.Equal(t, scheduler.StateClosing, group.State("deaf"))
		sleep(850 * time.Millisecond)
		mustStep(t, t.Context(), r)
		require.Equal(t, scheduler.StateTimedOut, group.State("deaf"))
		mustStep(t, t.Context(), r)
		require.Zero(t, told)
		_ = r.Cancel()
	})
}

// What a panic of the clock ends is told without asking the clock again.
func TestRecord_Now_after_a_panic_of_the_clock(t *testing.T) {
	t.Parallel()
	clock := &panickingClock{Clock: schedulertest.NewClock(time.Time{})}
	var kinds []scheduler.Kind
	var last time.Time
	watch := selective{scheduler.AllKinds, func(r scheduler.Record) { kinds, last = append(kinds, r.Kind), r.Now() }}
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			clock.broken = true
			return scheduler.After(time.Second), nil
		})
	}, &scheduler.GroupOptions[string]{Observer: watch})
	began := clock.Now()
	require.Panics(t, func() {
		_ = scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Clock: clock})
	})
	require.Equal(t, 1, clock.asked)
	require.Equal(t, scheduler.GroupEnded, kinds[len(kinds)-1])
	require.True(t, began.Equal(last))
}

// panickingClock panics once it is broken.
type panickingClock struct {
	scheduler.Clock
	broken bool
	asked  int
}

func (c *panickingClock) Now() time.Time {
	if c.broken {
		c.asked++
		panic("the clock is broken")
	}
	return c.Clock.Now()
}

// Many Observers are told apart in time that grows with their number, in the order
// in which they were given.
func TestObservers_of_very_many(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var told []int
	var all []scheduler.Observer
	for i := range n {
		all = append(all, &selective{scheduler.KindsOf(scheduler.GroupEnded), func(scheduler.Record) { told = append(told, i) }})
	}
	joined := scheduler.Observers(all...)
	group := newGroup(t, "a", func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[string]{Observer: scheduler.Observers(joined, all[3], joined)})
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	require.Len(t, told, n, "each once")
	require.IsIncreasing(t, told)
}

// kinds keeps everything that it is told, a line each.
type kinds struct{ lines []string }

func (o *kinds) Observe(r scheduler.Record) {
	line := strings.TrimSpace(r.Group().Path() + " " + r.Kind.String())
	if r.Node() >= 0 {
		line += " " + fmt.Sprint(r.Key())
	} else if r.Path() != r.Group().Path() {
		line += " at " + r.Path()
	}
	if r.Now().Before(r.Time()) {
		line += " before its round"
	}
	if r.Kind == scheduler.NodeChanged {
		line += " " + r.To.String()
	}
	if r.Took() != 0 {
		line += " " + r.Took().String()
	}
	if r.Err != nil {
		line += ": " + strings.ReplaceAll(r.Err.Error(), "\n", " ")
	}
	o.lines = append(o.lines, line)
}

func (o *kinds) take() string {
	lines := strings.Join(o.lines, "\n")
	o.lines = nil
	return lines
}

func TestKinds(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := scheduler.GroupBegun; k <= scheduler.RoundBegun; k++ {
		require.NotEqual(t, "unknown", k.String())
		require.False(t, seen[k.String()])
		seen[k.String()] = true
		require.Equal(t, k < scheduler.NodeStepped, scheduler.AllKinds.Has(k))
		require.True(t, scheduler.KindsOf(scheduler.GroupEnded, k).Has(k))
	}
	require.Equal(t, "unknown", scheduler.Kind(0).String())
	for k := scheduler.RoundBegun + 1; k < 200; k++ {
		require.Equal(t, "unknown", k.String())
	}
	require.False(t, scheduler.AllKinds.Has(0))
}

// What is told between two steps is told then, with the time of then.
func TestObserver_Drain_between_two_steps(t *testing.T) {
	t.Parallel()
	clock := newClock()
	begin := clock.Now()
	var log journal
	var group *scheduler.DependencyTaskGroup[string]
	o := kindsFunc{scheduler.KindsOf(scheduler.GroupDraining, scheduler.NodeChanged), func(r scheduler.Record) {
		log.add("%v %v", r.Kind, r.Time().Sub(begin))
	}}
	group = newGroup(t, "a", hours, &scheduler.GroupOptions[string]{Observer: o})
	r := startRunner(t, group, &scheduler.RunnerOptions{Clock: clock})
	require.Equal(t, "node changed 0s", log.take())
	clock.Advance(time.Minute)
	group.Drain()
	require.Equal(t, "group draining 1m0s", log.take())
	require.NoError(t, r.Cancel())

	o.told = func(r scheduler.Record) {
		if log.add("%v", r.Kind); r.To == scheduler.StateRunning {
			group.Drain()
			log.add("drained")
		}
	}
	log.take()
	group = newGroup(t, "a", func(string) scheduler.Task { return &fakeTask{} }, &scheduler.GroupOptions[string]{Observer: o})
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	require.Equal(t, "node changed, drained, node changed, group draining", log.take(), "not while it is told something else")
}

// A round that was asked for at a time is told with how late it is, and no other.
func TestObserver_RoundBegun(t *testing.T) {
	t.Parallel()
	for late, want := range map[time.Duration]string{0: "round begun 0s", 5 * time.Second: "round begun 5s"} {
		var log journal
		clock := newClock()
		group := newGroup(t, "a", func(string) scheduler.Task {
			return &fakeTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Rounds(2), scheduler.After(time.Minute)}}
		}, &scheduler.GroupOptions[string]{Observer: kindsFunc{scheduler.KindsOf(scheduler.RoundBegun), func(r scheduler.Record) {
			log.add("%v %v", r.Kind, r.Took())
		}}})
		r := startRunner(t, group, &scheduler.RunnerOptions{Clock: clock})
		for range 3 {
			clock.Advance(time.Second)
			mustStep(t, t.Context(), r)
		}
		require.Empty(t, log.take())
		clock.Advance(time.Minute + late)
		require.True(t, mustStep(t, t.Context(), r))
		require.Equal(t, want, log.take())
	}
}

// Without SlowStep no step is slow.
func TestObserver_of_steps_without_SlowStep(t *testing.T) {
	t.Parallel()
	for slow, want := range map[time.Duration]string{
		0: "node stepped", time.Second: "node stepped", time.Second - 1: "node stepped, slow step",
	} {
		var log journal
		clock := newClock()
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Func(func(context.Context) error { clock.Advance(time.Second); return nil })
		}, &scheduler.GroupOptions[string]{SlowStep: slow, Observer: kindsFunc{
			scheduler.KindsOf(scheduler.NodeStepped, scheduler.SlowStep),
			func(r scheduler.Record) { log.add("%v", r.Kind) },
		}})
		require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock}))
		require.Equal(t, want, log.take())
	}
}

// Only a runner by the system's clock tells that a node is still closing.
func TestObserver_NodeStillClosing_needs_a_runner_and_the_systems_clock(t *testing.T) {
	newDeaf := func(t *testing.T, log *journal) *scheduler.DependencyTaskGroup[string] {
		t.Helper()
		return newGroup(t, "a", func(string) scheduler.Task { return deafFor(9*time.Second, nil) }, &scheduler.GroupOptions[string]{
			Timeout: func(string) time.Duration { return time.Second },
			Observer: kindsFunc{scheduler.KindsOf(scheduler.NodeStillClosing), func(r scheduler.Record) {
				log.add("%v", r.Kind)
			}},
		})
	}
	inBubble(t, "by a runner", func(t *testing.T) {
		var log journal
		require.Error(t, scheduler.Run(t.Context(), newDeaf(t, &log), nil))
		require.NotEmpty(t, log.take())
	})
	inBubble(t, "by hand", func(t *testing.T) {
		var log journal
		group := newDeaf(t, &log)
		mustStep(t, t.Context(), group)
		sleep(2 * time.Second)
		mustStep(t, t.Context(), group)
		require.Equal(t, scheduler.StateClosing, group.State("a"))
		sleep(20 * time.Second)
		_, err := group.Step(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, log.take())
	})
	inBubble(t, "by another clock", func(t *testing.T) {
		var log journal
		clock := schedulertest.NewClock(time.Time{})
		r := startRunner(t, newDeaf(t, &log), &scheduler.RunnerOptions{Clock: clock})
		clock.Advance(2 * time.Second)
		mustStep(t, t.Context(), r)
		sleep(5 * time.Second)
		r.RunPosted()
		require.Empty(t, log.take())
		_ = r.Cancel()
	})
}

// Where nobody wants to know which nodes are still closing, no run is woken to tell it.
func TestObserver_NodeStillClosing_wakes_no_other_run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wakes atomic.Int32 // called on the goroutine of the call, when the run may have ended
		g := newGroup(t, "a", func(string) scheduler.Task { return deafFor(time.Minute, nil) }, &scheduler.GroupOptions[string]{
			Timeout:  func(string) time.Duration { return time.Second },
			Observer: kindsFunc{scheduler.KindsOf(scheduler.NodeChanged), func(scheduler.Record) {}},
		})
		require.Error(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Wake: func() { wakes.Add(1) }}))
		synctest.Wait()
		require.EqualValues(t, 1, wakes.Load(), "by the end of the call")
	})
}

// GroupStopping says why pending nodes are cancelled: after a panic that leaves none, or in a
// group that drains, there is nothing to say.
func TestObserver_GroupStopping_of_a_panic(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		nodes   string
		drained bool
		want    string
	}{
		{"a", false, ""},
		{"a", true, ""},
		{"a b:a", false, "a group stopping"},
		{"a b:a", true, ""},
	} {
		t.Run(fmt.Sprint(tt.nodes, tt.drained), func(t *testing.T) {
			var told []string
			g := newGroup(t, tt.nodes, func(string) scheduler.Task {
				steps := 0
				return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
					if steps++; steps > 1 {
						panic(errBoom)
					}
					return scheduler.Next, nil
				})
			}, &scheduler.GroupOptions[string]{Observer: kindWatcher{"a", scheduler.KindsOf(scheduler.GroupStopping), &told}})
			mustStep(t, t.Context(), g)
			if tt.drained {
				g.Drain()
			}
			require.Panics(t, func() { _, _ = g.Step(t.Context()) })
			require.Equal(t, tt.want, strings.Join(told, ", "))
		})
	}
}

// Nodes that a drained group has not started stay pending, even if an Observer panics when
// it is told of the end.
func TestObserver_that_panics_at_the_end_of_a_drained_group(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "a b:a", func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) }, &scheduler.GroupOptions[string]{
		Observer: kindsFunc{scheduler.KindsOf(scheduler.GroupEnded), func(scheduler.Record) { panic(errBoom) }},
	})
	mustStep(t, t.Context(), g)
	g.Drain()
	require.Panics(t, func() { _, _ = g.Step(t.Context()) })
	require.Equal(t, scheduler.StateSucceeded, g.State("a"))
	require.Equal(t, scheduler.StatePending, g.State("b"))
}

// A node that is ending already is not told again that it should.
func TestObserver_NodeStopping_of_a_closing_node(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		g := newGroup(t, "a b", func(string) scheduler.Task { return deafFor(time.Minute, nil) }, &scheduler.GroupOptions[string]{
			Timeout:         byKey(map[string]time.Duration{"a": time.Second}),
			Grace:           scheduler.NoGrace,
			AggregateErrors: true,
			Observer: kindsFunc{scheduler.KindsOf(scheduler.NodeStopping), func(r scheduler.Record) {
				told = append(told, fmt.Sprint(r.Key()))
			}},
		})
		require.Error(t, scheduler.Run(ctx, g, &scheduler.RunnerOptions{Grace: 2 * time.Minute}))
		require.Equal(t, []string{"b"}, told)
	})
}

// A service is told what is left of the grace of its group.
func TestObserver_NodeStopping_of_a_service(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		g := newGroup(t, "service job:service fails", func(k string) scheduler.Task {
			switch k {
			case "service":
				return servingFor(time.Second, func() {})
			case "fails":
				return lasting(5, errOops)
			}
			return deafFor(8*time.Second, nil)
		}, &scheduler.GroupOptions[string]{
			Grace: 10 * time.Second, EndCalls: true,
			Observer: kindsFunc{scheduler.KindsOf(scheduler.NodeStopping), func(r scheduler.Record) {
				told = append(told, fmt.Sprint(r.Key(), " ", r.Took()))
			}},
		})
		require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), errOops)
		require.Equal(t, []string{"job 10s", "service 7s"}, told)
	})
}

// A node of All has the name of its task while it runs, and its number otherwise.
func TestObserver_paths_of_All(t *testing.T) {
	o := &pathObserver{paths: map[string]bool{}}
	all := scheduler.All(
		&fakeTask{name: "first", yields: []scheduler.Yield{scheduler.Next}},
		&fakeTask{name: "second", step: func(context.Context) (scheduler.Yield, error) { return scheduler.Yield{}, errBoom }},
		&fakeTask{name: "third"},
	)
	outer := newGroup(t, "in", func(string) scheduler.Task { return all }, &scheduler.GroupOptions[string]{Observer: o})
	require.ErrorIs(t, scheduler.Run(t.Context(), outer, nil), errBoom)
	require.Equal(t, map[string]bool{"in/2 pending": true, "in/2 cancelled": true}, o.paths)
}

// pathObserver keeps the paths of the third node of a group inside.
type pathObserver struct{ paths map[string]bool }

func (o *pathObserver) Observe(r scheduler.Record) {
	if g := r.Group(); g.Len() == 3 {
		o.paths[g.NodePath(2)+" "+g.State(2).String()] = true
	}
}

// What each way to end a group tells, from its begin to its end.
func TestObserver_ends(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		deps string
		opts scheduler.GroupOptions[string]
		act  func(d *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string])
		want string
	}{
		{
			name: "success", deps: "b:a",
			want: `group begun
node changed a running
node changed a succeeded
node changed b running
node changed b succeeded
group ended 2h0m0s`,
		},
		{
			name: "completed beforehand", deps: "b:a c:b",
			opts: scheduler.GroupOptions[string]{Completed: func(k string) bool { return k != "c" }},
			want: `group begun
node changed a succeeded
node changed b succeeded
node changed c running
node changed c succeeded
group ended 1h0m0s`,
		},
		{
			name: "thrown into, with a grace", deps: "a b:a", opts: scheduler.GroupOptions[string]{Grace: time.Minute},
			act: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				d.Runner.Interrupt(errOops)
			},
			want: `group begun
node changed a running
group stopping: oops
node changed b cancelled
node stopping a 1m0s: oops
node changed a cancelled
group ended 1m0.000000001s: oops`,
		},
		{
			name: "stopped", deps: "a b:a",
			act: func(d *schedulertest.Driver, _ *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				d.Runner.Stop(errOops)
			},
			want: `group begun
node changed a running
group closing
node changed a cancelled
node changed b cancelled
group ended: scheduler: cancelled`,
		},
		{
			name: "drained", deps: "a b:a",
			act: func(d *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string]) {
				d.Step()
				g.Drain()
			},
			want: `group begun
node changed a running
group draining
node changed a succeeded
group ended 1h0m0s: scheduler: drained`,
		},
		{
			name: "drained before its begin", deps: "a",
			act: func(_ *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string]) { g.Drain() },
			want: `group begun
group draining
group ended: scheduler: drained`,
		},
		{
			name: "closed", deps: "a b:a",
			act: func(_ *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string]) {
				mustStep(t, t.Context(), g)
				require.NoError(t, g.Close())
			},
			want: `group begun
node changed a running
group closing
node changed a cancelled
node changed b cancelled
group ended: scheduler: cancelled`,
		},
		{
			name: "never begun", deps: "a",
			act: func(_ *schedulertest.Driver, g *scheduler.DependencyTaskGroup[string]) {
				require.NoError(t, g.Close())
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var told kinds
			test.opts.Observer = &told
			group := newGroup(t, test.deps, func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }, &test.opts)
			d := schedulertest.NewDriver(t, group, nil)
			if test.act != nil {
				test.act(d, group)
			}
			_ = d.RunToEnd()
			lines := told.take()
			if test.name == "closed" { // by hand, on the system's clock
				lines = lines[:strings.LastIndex(lines, " ended")] + " ended: scheduler: cancelled"
			}
			require.Equal(t, test.want, lines)
		})
	}
}

// A group passes on the notice of a failure around it, and hears of what it does.
func TestObserver_groups_inside(t *testing.T) {
	t.Parallel()
	var told kinds
	inner := func() scheduler.Task {
		return newGroup(t, "x y:x", func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Second)) },
			&scheduler.GroupOptions[string]{Observer: &told}) // once all the same
	}
	outer := newGroup(t, "a b", func(k string) scheduler.Task {
		if k == "a" {
			return scheduler.Named("wrapped", scheduler.Sequence(inner()))
		}
		return lasting(0, errOops)
	}, &scheduler.GroupOptions[string]{Observer: &told, Grace: time.Minute})
	require.ErrorIs(t, schedulertest.NewDriver(t, outer, nil).RunToEnd(), errOops)
	require.Equal(t, `group begun
node changed a running
a group begun
a node changed x running
node changed b running
node changed b failed: oops
group stopping: b: oops
node stopping a 1m0s: b: oops
a group noticed: b: oops
a node stopping x: b: oops
a node changed x succeeded
a node changed y running
a node changed y succeeded
a group ended 2s
node changed a succeeded
group ended 2s: b: oops`, told.take())
}

// groupWatcher has an Observer of its own for each group.
type groupWatcher struct {
	skip string // the name of a group that does not interest it
	all  []*oneGroup
}

type oneGroup struct {
	groupWatcher *groupWatcher
	kinds
	name string
}

func (w *groupWatcher) Observe(scheduler.Record) { panic("a GroupObserver is not told itself") }

func (w *groupWatcher) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if begun.Group().Name() == w.skip {
		return nil
	}
	one := &oneGroup{groupWatcher: w, name: begun.Group().Name()}
	w.all = append(w.all, one)
	return one
}

func (o *oneGroup) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	return o.groupWatcher.ObserveGroup(begun)
}

func TestGroupObserver(t *testing.T) {
	t.Parallel()
	run := func(skip string) (names []string) {
		w := &groupWatcher{skip: skip}
		leaf := func(string) scheduler.Task { return lasting(0, nil) }
		inside := func(name string, task func(string) scheduler.Task) scheduler.Task {
			return newGroup(t, "k", task, &scheduler.GroupOptions[string]{Name: name})
		}
		outer := newGroup(t, "a", func(string) scheduler.Task {
			return inside("middle", func(string) scheduler.Task { return inside("inner", leaf) })
		}, &scheduler.GroupOptions[string]{Name: "outer", Observer: w})
		require.NoError(t, schedulertest.NewDriver(t, outer, nil).RunToEnd())
		for _, one := range w.all {
			names = append(names, one.name)
			require.Equal(t, 3, len(one.lines), "start and end of the node, and of the group: %q", one.lines)
		}
		return names
	}
	require.Equal(t, []string{"outer", "middle", "inner"}, run(""))
	require.Equal(t, []string{"outer"}, run("middle"), "nobody is told of what is inside")
	require.Empty(t, run("outer"))
}

// contextGiver is a ContextObserver.
type contextGiver struct{ value string }

type givenKey struct{}

func (c contextGiver) Observe(scheduler.Record) {}

func (c contextGiver) Wants() scheduler.Kinds { return 0 }

func (c contextGiver) NodeContext(ctx context.Context, started scheduler.Record) context.Context {
	before, _ := ctx.Value(givenKey{}).(string)
	return context.WithValue(ctx, givenKey{}, fmt.Sprint(before, c.value, " of ", started.Key(), ", "))
}

func TestContextObserver(t *testing.T) {
	t.Parallel()
	var seen []string
	var innermost context.Context
	note := func(ctx context.Context) { seen = append(seen, fmt.Sprint(ctx.Value(givenKey{}))) }
	outer := newGroup(t, "a", func(string) scheduler.Task {
		return newGroup(t, "x", func(string) scheduler.Task {
			return scheduler.Func(func(ctx context.Context) error { note(ctx); return nil })
		}, &scheduler.GroupOptions[string]{Observer: scheduler.ObserverFunc(func(r scheduler.Record) { innermost = r.Context() })})
	}, &scheduler.GroupOptions[string]{
		Observer: scheduler.Observers(contextGiver{"one"}, contextGiver{"two"}),
		Context: func(ctx context.Context, k string) context.Context {
			note(ctx)
			return ctx
		},
	})
	require.NoError(t, schedulertest.NewDriver(t, outer, nil).RunToEnd())
	require.Equal(t, []string{"one of a, two of a, ", "one of a, two of a, one of x, two of x, "}, seen)
	require.Equal(t, "one of a, two of a, ", innermost.Value(givenKey{}), "a record has what the node around it gives")
}

func TestGroupView(t *testing.T) {
	t.Parallel()
	type key struct{ name string }
	var views []scheduler.GroupView
	deps := scheduler.NewDependencies[key]()
	deps.Add(key{"c"}, key{"a"}, key{"b"})
	group := groupOver(t, deps, func(k key) scheduler.Task {
		if k.name == "b" {
			return newGroup(t, "x", func(string) scheduler.Task { return lasting(0, errOops) }, nil)
		}
		return lasting(0, nil)
	}, &scheduler.GroupOptions[key]{
		Name: "site", Limit: 2, AggregateErrors: true, Estimate: func(k key) time.Duration { return time.Duration(k.name[0]) },
		Observer: &groupsSeen{&views},
	})
	require.Error(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
	require.Len(t, views, 2)
	v, inner := views[0], views[1]

	typed, ok := scheduler.Group[key](v)
	require.True(t, ok)
	require.Same(t, group, typed)
	_, ok = scheduler.Group[string](v)
	require.False(t, ok)
	_, ok = scheduler.Group[string](scheduler.GroupView{})
	require.False(t, ok)

	require.Equal(t, "site", v.Name())
	require.Equal(t, "site", v.String())
	require.Equal(t, 3, v.Len())
	require.Equal(t, 1, v.Count(scheduler.StateSucceeded))
	require.Equal(t, group.Rounds(), v.Rounds())
	var keys []any
	for p, k := range v.Keys() {
		require.Equal(t, k, v.Key(p))
		keys = append(keys, k)
	}
	require.Equal(t, []any{key{"a"}, key{"b"}, key{"c"}}, keys)
	for p := range v.Keys() {
		require.Zero(t, p)
		break
	}
	var edges []string
	for p, q := range v.Edges() {
		edges = append(edges, fmt.Sprint(v.Key(p), " needs ", v.Key(q)))
	}
	require.Equal(t, []string{"{c} needs {a}", "{c} needs {b}"}, edges)
	for range v.Edges() {
		break
	}
	require.Equal(t, []int{0, 1}, slices.Collect(v.Requires(2)))
	for range v.Requires(2) {
		break
	}
	require.Equal(t, scheduler.StateFailed, v.State(1))
	require.ErrorIs(t, v.Err(1), errOops)
	require.Equal(t, time.Duration('c'), v.Estimate(2))
	require.Zero(t, inner.Estimate(0))
	require.Contains(t, v.Explain(1), "failed")
	require.Equal(t, scheduler.GroupSettings{Limit: 2, AggregateErrors: true}, v.Settings())
	require.Equal(t, "{b}/x", inner.NodePath(0))
	require.Equal(t, "{b}", inner.Path())
	require.Empty(t, v.Path())
	around, node, ok := inner.Around()
	require.True(t, ok)
	require.Equal(t, v, around)
	require.Equal(t, 1, node)
	_, _, ok = v.Around()
	require.False(t, ok)
}

// Edges and Requires of a group that has grown have the nodes that were added.
func TestGroupView_of_added_nodes(t *testing.T) {
	t.Parallel()
	var views []scheduler.GroupView
	group := newGroup(t, "b:a", func(string) scheduler.Task { return lasting(0, nil) },
		&scheduler.GroupOptions[string]{KeepOpen: true, Observer: &groupsSeen{&views}})
	mustStep(t, t.Context(), group)
	require.NoError(t, group.Add("c", "a", "b"))
	v := views[0]
	var edges []string
	for p, q := range v.Edges() {
		edges = append(edges, fmt.Sprint(v.Key(p), " needs ", v.Key(q)))
	}
	require.Equal(t, []string{"b needs a", "c needs a", "c needs b"}, edges)
	require.Equal(t, []int{0, 1}, slices.Collect(v.Requires(2)))
	edges = nil
	for p, q := range v.Edges() {
		if edges = append(edges, fmt.Sprint(v.Key(p), " needs ", v.Key(q))); len(edges) == 2 {
			break
		}
	}
	require.Equal(t, []string{"b needs a", "c needs a"}, edges, "it can be left in the middle")
	group.CloseInput()
	require.NoError(t, schedulertest.NewDriver(t, group, nil).RunToEnd())
}

// groupsSeen keeps the views of groups, also of those inside.
type groupsSeen struct{ views *[]scheduler.GroupView }

func (g *groupsSeen) Wants() scheduler.Kinds { return scheduler.KindsOf(scheduler.GroupBegun) }

func (g *groupsSeen) Observe(r scheduler.Record) {
	*g.views = append(*g.views, r.Group())
	if r.Key() != nil || r.Task() != "" {
		panic("a record of a group has no node")
	}
}

// Post of a view is that of the outermost runner.
func TestGroupView_Post(t *testing.T) {
	t.Parallel()
	var views []scheduler.GroupView
	posted := 0
	group := newGroup(t, "a", func(string) scheduler.Task {
		return newGroup(t, "x", func(string) scheduler.Task {
			return scheduler.Func(func(context.Context) error {
				require.True(t, views[1].Post(func() { posted++ }))
				return nil
			})
		}, nil)
	}, &scheduler.GroupOptions[string]{Observer: &groupsSeen{&views}})
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	require.Equal(t, 1, posted)
	require.False(t, views[0].Post(func() { posted++ }), "the run has ended")

	views = nil
	alone := newGroup(t, "a", second, &scheduler.GroupOptions[string]{Observer: &groupsSeen{&views}})
	mustStep(t, t.Context(), alone)
	require.False(t, views[0].Post(func() {}), "there is no runner")
	require.NoError(t, alone.Close())
}

// Steps and rounds are measured for those who want it, and for nobody else.
func TestObserver_measures(t *testing.T) {
	t.Parallel()
	var told []string
	o := kindWatcher{"", scheduler.KindsOf(scheduler.NodeStepped, scheduler.RoundBegun), &told}
	clock := schedulertest.NewClock(time.Time{}).Alone()
	group := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)), scheduler.Func(func(context.Context) error {
			clock.Advance(time.Minute)
			return nil
		}))
	}, &scheduler.GroupOptions[string]{Observer: o})
	d := schedulertest.NewDriver(t, group, &scheduler.RunnerOptions{Clock: clock})
	d.Step()
	clock.Advance(3 * time.Second)
	d.Step()
	require.True(t, d.Runner.Done())
	require.Equal(t, []string{" node stepped", " round begun", " node stepped"}, told)
}

// panicking is an Observer that panics at the nth record.
type panicking struct {
	kinds
	at int
}

var errPanic = errors.New("panic of an observer")

func (o *panicking) Observe(r scheduler.Record) {
	o.kinds.Observe(r)
	if o.at--; o.at == 0 {
		panic(errPanic)
	}
}

// An Observer that panics ends the run wherever that is: all tasks are closed, it
// hears no more, the others hear how each group ends, and the panic goes up past
// RecoverPanics.
func TestObserver_that_panics_anywhere(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		bad, good := &panicking{at: n}, &kinds{}
		closed, running := 0, 0
		leaf := func(k string) scheduler.Task {
			steps := 0
			return &fakeTask{
				step: func(context.Context) (scheduler.Yield, error) {
					if steps++; steps == 1 {
						running++
						return scheduler.Next, nil
					}
					running--
					if k == "f" {
						return scheduler.Yield{}, errOops
					}
					return scheduler.Done, nil
				},
				close: func() error { running--; closed++; return nil },
			}
		}
		outer := newGroup(t, "a b f c:a", func(k string) scheduler.Task {
			if k == "b" {
				return newGroup(t, "x y:x", leaf, &scheduler.GroupOptions[string]{RecoverPanics: true})
			}
			return leaf(k)
		}, &scheduler.GroupOptions[string]{Observer: scheduler.Observers(bad, good), RecoverPanics: true})
		d := schedulertest.NewDriver(t, outer, nil)
		var panicked any
		func() {
			defer func() { panicked = recover() }()
			_ = d.RunToEnd()
		}()
		require.Zero(t, running, "at %d: a task is left", n)
		ends := 0
		for _, line := range good.lines {
			if strings.Contains(line, "group begun") {
				ends--
			}
			if strings.Contains(line, "group ended") {
				ends++
			}
		}
		require.True(t, ends == 0 || n <= 2 && ends == 1, "at %d: %q", n, good.lines)
		if panicked == nil {
			require.Positive(t, bad.at, "at %d: the panic is lost", n)
			require.Greater(t, n, 10)
			return
		}
		require.Len(t, bad.lines, n, "it hears no more")
		if err, ok := panicked.(error); ok {
			require.ErrorIs(t, err, errPanic)
		} else {
			require.Contains(t, fmt.Sprint(panicked), errPanic.Error())
		}
	}
}

// If an Observer panics about a step, the answer of that step counts all the same: a task
// that has ended is not touched again, and one that goes on is closed, once.
func TestObserver_that_panics_about_a_step(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		ends   int // with this step; 0: never
		err    error
		round  int // of the panic
		state  scheduler.State
		closes int
	}{
		{"done at once", 1, nil, 1, scheduler.StateSucceeded, 0},
		{"done later", 2, nil, 2, scheduler.StateSucceeded, 0},
		{"fails at once", 1, errBoom, 1, scheduler.StateFailed, 0},
		{"fails later", 2, errBoom, 2, scheduler.StateFailed, 0},
		{"begins", 0, nil, 1, scheduler.StateCancelled, 1},
		{"goes on", 0, nil, 2, scheduler.StateCancelled, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := limiter(1)
			f := &fakeTask{}
			f.step = func(context.Context) (scheduler.Yield, error) {
				switch {
				case f.steps != tt.ends:
					return scheduler.Next, nil
				case tt.err != nil:
					return scheduler.Yield{}, tt.err
				}
				return scheduler.Done, nil
			}
			group := newGroup(t, "a", func(string) scheduler.Task { return f.task() }, &scheduler.GroupOptions[string]{
				Claims: func(string) []scheduler.Claim { return unit(l) },
				Observer: kindsFunc{scheduler.KindsOf(scheduler.NodeStepped), func(r scheduler.Record) {
					if r.Round() == tt.round {
						panic(errPanic)
					}
				}},
			})
			for round := 1; round < tt.round; round++ {
				mustStep(t, t.Context(), group)
			}
			require.Equal(t, errPanic, panicOf(t, func() { _, _ = group.Step(t.Context()) }))
			require.Equal(t, tt.state, group.State("a"))
			require.Equal(t, tt.closes, f.closes)
			require.Zero(t, l.InUse())
			if tt.err != nil {
				require.ErrorIs(t, group.Err("a"), tt.err)
			} else {
				require.NoError(t, group.Err("a"))
			}
		})
	}
}

// A call that does not end when it is told to is named while it lasts.
func TestObserver_still_closing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		o := kindsFunc{scheduler.KindsOf(scheduler.NodeStillClosing), func(r scheduler.Record) {
			lines = append(lines, fmt.Sprint(r.Path(), " ", r.Took(), " ", r.Err))
		}}
		group := newGroup(t, "a", func(string) scheduler.Task {
			return newGroup(t, "deaf", func(string) scheduler.Task {
				return scheduler.Blocking(func(context.Context) error {
					sleep(10 * time.Second)
					return nil
				})
			}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Second }})
		}, &scheduler.GroupOptions[string]{Observer: o})
		require.ErrorIs(t, scheduler.Run(t.Context(), group, nil), context.DeadlineExceeded)
		require.Len(t, lines, 3)
		for i, took := range []string{"1s", "3s", "7s"} {
			require.Contains(t, lines[i], "a/deaf "+took)
			require.Contains(t, lines[i], "timed out after 1s")
		}
	})
}

// kindsFunc is told of some kinds.
type kindsFunc struct {
	kinds scheduler.Kinds
	told  func(scheduler.Record)
}

func (o kindsFunc) Wants() scheduler.Kinds     { return o.kinds }
func (o kindsFunc) Observe(r scheduler.Record) { o.told(r) }

// kindOfNil is an Observer of which nil pointers are given.
type kindOfNil struct{ observe func(*kindOfNil) }

func (o *kindOfNil) Observe(scheduler.Record) { o.observe(o) }

// silent is an Observer whose nil pointer observes nothing, and loud one whose nil pointer
// says what is wrong by itself.
type (
	silent struct{}
	loud   struct{}
)

func (*silent) Observe(scheduler.Record) {}
func (*loud) Observe(scheduler.Record)   { panic("use NewLoud") }

// A nil pointer is an Observer if it behaves as one. Otherwise the group says what it was
// given, whatever is around it.
func TestObserver_nil_pointer(t *testing.T) {
	for want, o := range map[string]scheduler.Observer{
		"": (*silent)(nil), "use NewLoud": (*loud)(nil), "scheduler: GroupOptions.Observer: nil *scheduler_test.kindOfNil": (*kindOfNil)(nil),
	} {
		for name, put := range holdersOf("itself", "All", "Wrap", "AsTask", "Subrun", "Finally", "wrapper") {
			inBubble(t, name, func(t *testing.T) {
				task := put(newGroup(t, "a", second, &scheduler.GroupOptions[string]{Observer: o}))
				if want == "" {
					require.NoError(t, scheduler.Run(t.Context(), task, nil))
					return
				}
				v := panicOf(t, func() { _ = scheduler.Run(t.Context(), task, nil) })
				require.Equal(t, want, panickedWith(v))
			})
		}
	}
}
