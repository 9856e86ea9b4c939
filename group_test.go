package scheduler_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestGroup_order(t *testing.T) {
	two := part{steps: "next next"}
	diamond := "b:a c:a d:b,c"
	twos := map[string]part{"a": two, "b": two, "c": two, "d": two}
	reverse := scheduler.GroupOptions[string]{Reverse: true}
	tests := []groupPlay{
		{name: "none", rounds: []string{""}},
		{name: "ties by entry", deps: "z y x", rounds: []string{"z1, y1, x1"}},
		{name: "ties by entry, reverse", deps: "z y x", opts: reverse, rounds: []string{"z1, y1, x1"}},
		{name: "a chain of one-step tasks takes one round", deps: "b:a c:b d:c", rounds: []string{"a1, b1, c1, d1"}},
		{name: "listed downwards", deps: "d:c c:b b:a", rounds: []string{"a1, b1, c1, d1"}},
		{name: "reverse", deps: "b:a c:b d:c", opts: reverse, rounds: []string{"d1, c1, b1, a1"}},
		{name: "reverse, listed downwards", deps: "d:c c:b b:a", opts: reverse, rounds: []string{"d1, c1, b1, a1"}},
		{
			name: "what starts has its second step in the next round", deps: diamond, parts: twos,
			rounds: []string{"a1", "a2", "a3, b1, c1", "b2, c2", "b3, c3, d1", "d2", "d3"},
		},
		{
			name: "reverse, from the top", deps: diamond, parts: twos, opts: reverse,
			rounds: []string{"d1", "d2", "d3, b1, c1", "b2, c2", "b3, c3, a1", "a2", "a3"},
		},
		{
			name: "freed in the start pass, started in it", deps: "b:a c:b z", parts: map[string]part{"c": two, "z": two},
			rounds: []string{"a1, b1, c1, z1", "c2, z2", "c3, z3"},
		},
		{
			name: "key order, not that of starting", deps: "b c:a",
			parts:  map[string]part{"a": {steps: "next*3"}, "b": {steps: "next*6"}, "c": {steps: "next next"}},
			rounds: []string{"b1, a1", "b2, a2", "b3, a3", "b4, a4, c1", "b5, c2", "b6, c3", "b7"},
		},
		{
			name: "reverse key order is not the order read backwards", deps: "c:a d:b", opts: reverse,
			rounds: []string{"c1, a1, d1, b1"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

func TestGroup_Completed(t *testing.T) {
	done := func(keys string) func(string) bool {
		return func(k string) bool { return slices.Contains(strings.Fields(keys), k) }
	}
	const deps = "b:a c:a d:b,c e:d"
	tests := []groupPlay{
		{
			name: "resume", deps: deps, opts: scheduler.GroupOptions[string]{Completed: done("a b")},
			rounds: []string{"c1, d1, e1"}, states: "a=succeeded b=succeeded c=succeeded d=succeeded e=succeeded",
		},
		{name: "all", deps: deps, opts: scheduler.GroupOptions[string]{Completed: done("a b c d e")}, rounds: []string{""}},
		{
			name: "one that requires what is not", deps: deps, opts: scheduler.GroupOptions[string]{Completed: done("d")},
			parts:  map[string]part{"a": {steps: "next"}},
			rounds: []string{"a1", "a2, b1, c1, e1"},
		},
		{
			name: "is never skipped, what comes after it is", deps: deps, opts: scheduler.GroupOptions[string]{Completed: done("d"), AggregateErrors: true},
			parts:  map[string]part{"a": {steps: "next fail"}, "e": {steps: "next*3"}},
			rounds: []string{"a1", "a2"},
			err:    "1 task failed:\n- a: oops a", errors: "a: oops a",
			states: "a=failed b=skipped c=skipped d=succeeded e=skipped",
		},
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
	t.Run("is asked once for each, in key order", func(t *testing.T) {
		s := newStage(t, nil)
		s.make("c:b b:a", &scheduler.GroupOptions[string]{Completed: func(k string) bool { s.add("%s?", k); return false }})
		require.Equal(t, "a?, b?, c?", s.take())
		_, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, "a1, b1, c1", what)
	})
	t.Run("roll-back", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "next"}, "b": {steps: "next next"}, "c": {steps: "next fail"}})
		s.make(deps, nil)
		var err error
		for err == nil {
			_, _, err = s.round()
		}
		created := s.group
		require.Equal(t, "a=succeeded b=cancelled c=failed d=cancelled e=cancelled", s.states())
		s.parts = nil
		var started []string
		s.make(deps, &scheduler.GroupOptions[string]{
			Reverse:   true,
			Completed: func(k string) bool { return !created.Started(k) },
		})
		_, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, "b1, c1, a1", what, "what was half created is deleted too")
		for k := range s.group.All() {
			if s.group.Started(k) {
				started = append(started, k)
			}
		}
		require.Equal(t, []string{"b", "c", "a"}, started)
		require.False(t, s.group.Started("unknown"))
	})
}

// A budget cuts a round into pieces and changes nothing else.
func TestGroup_Budget(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		deps, parts := randomPlay(random, []string{"next", "next", "next", "rounds-2", "rounds-3", "fail"})
		run := func(budget int) (trace, result, states string, rounds int) {
			s := newStage(t, parts)
			opts := &scheduler.GroupOptions[string]{
				AggregateErrors: seed%2 == 0, Reverse: seed%3 == 0, Budget: budget,
				Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
					if tr.From == scheduler.StateRunning {
						return
					}
					_ = tr.Round()
				}),
			}
			s.make(deps, opts)
			var all []string
			for steps := 0; ; steps++ {
				require.Less(t, steps, 1000, "seed %d", seed)
				y, err := s.group.Step(s.ctx)
				now := s.lines
				s.lines = nil
				steps := 0
				for _, line := range now {
					if !strings.HasSuffix(line, "close") {
						steps++
					}
				}
				if budget > 0 {
					require.LessOrEqual(t, steps, budget, "seed %d", seed)
				}
				for _, line := range now {
					all = append(all, fmt.Sprint(s.group.Rounds(), " ", line))
				}
				if err != nil || y == scheduler.Done {
					return strings.Join(all, "\n"), fmt.Sprint(err), s.states(), s.group.Rounds()
				}
				if y.Ready() {
					require.Equal(t, budget, steps, "seed %d: only what was cut short goes on at once", seed)
				}
			}
		}
		trace, result, states, rounds := run(0)
		for _, budget := range []int{1, 2, 3, 7, 1000} {
			cutTrace, cutResult, cutStates, cutRounds := run(budget)
			require.Equal(t, trace, cutTrace, "seed %d, budget %d, %s", seed, budget, deps)
			require.Equal(t, result, cutResult, "seed %d, budget %d", seed, budget)
			require.Equal(t, states, cutStates, "seed %d, budget %d", seed, budget)
			require.Equal(t, rounds, cutRounds, "seed %d, budget %d", seed, budget)
		}
	}
}

// Services are told at the end of a round that nothing needs them, wherever the budget
// cuts it, in a group that stops as in any other.
func TestGroup_Budget_services(t *testing.T) {
	t.Parallel()
	for _, stops := range []bool{false, true} {
		run := func(budget int) []string {
			var log journal
			group := newGroup(t, "S user:S bad other", func(k string) scheduler.Task {
				f := &fakeTask{stop: func(context.Context, error) { log.add("%s told", k) }}
				f.step = func(ctx context.Context) (scheduler.Yield, error) {
					log.add("%s %d", k, f.steps)
					switch {
					case k == "S" && f.steps == 1:
						scheduler.Ready(ctx)
					case k == "bad" && f.steps == 2 && stops:
						return scheduler.Yield{}, errBoom
					case k == "user" && f.steps == 3, f.steps == 5:
						return scheduler.Done, nil
					}
					return scheduler.Next, nil
				}
				return f.task()
			}, &scheduler.GroupOptions[string]{Grace: time.Hour, Budget: budget})
			err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: newClock()})
			require.Equal(t, stops, err != nil)
			return log.lines
		}
		want := run(0)
		require.Contains(t, strings.Join(want, ", "), "user 3, ")
		require.Contains(t, strings.Join(want, ", "), "other 3, S told, S 4")
		for budget := 1; budget < 6; budget++ {
			require.Equal(t, want, run(budget), "budget %d", budget)
		}
	}
}

// A group that is cut short inside another one, or a runner, goes on at once.
func TestGroup_Budget_nested(t *testing.T) {
	parts := map[string]part{}
	for i := range 10 {
		parts[fmt.Sprint(i)] = part{steps: "next"}
	}
	s := newStage(t, parts)
	s.make("0 1 2 3 4 5 6 7 8 9", &scheduler.GroupOptions[string]{Budget: 3})
	outer := scheduler.All(scheduler.NewTaskRunner(s.group, nil).AsTask(0))
	begin := s.clock.Now()
	require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: s.clock, Wait: time.Second}))
	require.Equal(t, 2, s.group.Rounds())
	require.Equal(t, time.Second, s.clock.Now().Sub(begin), "one pause, between the two rounds")
}

func TestGroup_Context(t *testing.T) {
	type key struct{}
	var j journal
	look := func(ctx context.Context, what string) {
		require.NotEmpty(t, fmt.Sprint(ctx))
		j.add("%s %v", what, ctx.Value(key{}))
	}
	asked := 0
	member := func(k string) scheduler.Task {
		return &fakeTask{
			step: func(ctx context.Context) (scheduler.Yield, error) {
				look(ctx, k+" step")
				return scheduler.Next, ctx.Err()
			},
			throw: func(ctx context.Context, _ error) (scheduler.Yield, error) {
				look(ctx, k+" throw")
				return scheduler.Next, nil
			},
			stop: func(ctx context.Context, _ error) { look(ctx, k+" stop") },
		}
	}
	inner := func(k string) scheduler.Task {
		g := newGroup(t, "x", func(x string) scheduler.Task { return member(k + "/" + x) },
			&scheduler.GroupOptions[string]{Context: func(ctx context.Context, x string) context.Context {
				return context.WithValue(ctx, key{}, fmt.Sprint(ctx.Value(key{}), "/", x))
			}})
		return g
	}
	clock := schedulertest.NewClock(time.Unix(1, 0))
	g := newGroup(t, "a b c", func(k string) scheduler.Task {
		if k == "b" {
			return inner(k)
		}
		return member(k)
	}, &scheduler.GroupOptions[string]{
		Grace:   time.Hour,
		Timeout: byKey(map[string]time.Duration{"a": time.Second}),
		Context: func(ctx context.Context, k string) context.Context {
			asked++
			ctx, cancel := context.WithCancel(context.WithValue(ctx, key{}, "v"+k))
			cancel() // its end does not count
			return ctx
		},
	})
	ctx := scheduler.WithClock(t.Context(), clock)
	for range 2 {
		mustStep(t, ctx, g)
		require.Equal(t, "a step va, b/x step vb/x, c step vc", j.take())
	}
	// Another context for the step: its end is seen, the values stay.
	mustStep(t, context.WithValue(ctx, key{}, "step"), g)
	require.Equal(t, "a step va, b/x step vb/x, c step vc", j.take())
	clock.Advance(2 * time.Second)
	mustStep(t, ctx, g)
	require.Equal(t, "a throw va, b/x step vb/x, c step vc", j.take())
	_, err := g.Throw(ctx, errOops)
	require.NoError(t, err)
	require.Equal(t, "a stop va, b/x stop vb/x, c stop vc", j.take())
	require.Equal(t, 3, asked)
	require.EqualError(t, g.Close(), "1 task closed:\n- a: timed out after 1s")
}

func TestGroup_nil_task(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "next next"}})
	g := newGroup(t, "a b", func(k string) scheduler.Task {
		if k == "b" {
			return nil
		}
		return s.task(k)
	}, nil)
	_, err := g.Step(s.ctx)
	require.ErrorIs(t, err, scheduler.ErrNilTask)
	require.Equal(t, &scheduler.TaskError{Key: "b", Err: scheduler.ErrNilTask}, err)
	require.Equal(t, "a1, a close", s.take())
	require.Equal(t, scheduler.StateFailed, g.State("b"))
}

func TestNewDependencyTaskGroup_errors(t *testing.T) {
	type options = scheduler.GroupOptions[string]
	task := func(string) scheduler.Task { return nil }
	grace := func(string) time.Duration { return 0 }
	tests := []struct {
		name   string
		deps   *scheduler.Dependencies[string]
		task   func(string) scheduler.Task
		opts   *options
		option string
	}{
		{"nil deps", nil, task, nil, "deps"},
		{"nil task", graph("a"), nil, nil, "task"},
		{"negative Budget", graph("a"), task, &options{Budget: -1}, "GroupOptions.Budget"},
		{"negative Grace", graph("a"), task, &options{Grace: -1}, "GroupOptions.Grace"},
		{"Priority alone", graph("a"), task, &options{Priority: func(string) int { return 0 }}, "GroupOptions.Priority"},
		{"Grace twice", graph("a"), task, &options{Grace: 1, GraceFor: grace}, "GroupOptions.Grace"},
		{"OnError beside AggregateErrors", graph("a"), task, &options{
			AggregateErrors: true, OnError: func(string, error) scheduler.Disposition { return scheduler.StopGroup },
		}, "GroupOptions.AggregateErrors"},
		{"Estimate alone", graph("a"), task, &options{Estimate: grace}, "GroupOptions.Estimate"},
		{"negative Limit", graph("a"), task, &options{Limit: -1}, "GroupOptions.Limit"},
		{"negative Abandon", graph("a"), task, &options{Abandon: -1}, "GroupOptions.Abandon"},
		{"negative SlowStep", graph("a"), task, &options{SlowStep: -1}, "GroupOptions.SlowStep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g, err := scheduler.NewDependencyTaskGroup(test.deps, test.task, test.opts)
			require.Nil(t, g)
			e := asError[*scheduler.OptionError](t, err)
			require.Equal(t, test.option, e.Option)
			require.NotEmpty(t, e.Reason)
			require.Contains(t, err.Error(), "scheduler: "+test.option+": ")
		})
	}
	for _, deps := range []string{"a:a", "a:b b:a", "x b:a c:b a:c y:a"} {
		for _, reverse := range []bool{false, true} {
			t.Run(fmt.Sprint("cycle ", deps, " reverse=", reverse), func(t *testing.T) {
				g, err := scheduler.NewDependencyTaskGroup(graph(deps), task, &options{Reverse: reverse})
				require.Nil(t, g)
				require.ErrorAs(t, err, new(*scheduler.CircularDependencyError[string]))
			})
		}
	}
}

// What is added to the graph later does not show in the group.
func TestGroup_keeps_its_view_of_the_graph(t *testing.T) {
	s := newStage(t, nil)
	deps := graph("b:a")
	g := groupOver(t, deps, s.task, nil)
	deps.Add("a", "c")
	deps.Add("c", "b")
	require.Equal(t, 2, g.Len())
	mustStep(t, s.ctx, g)
	require.Equal(t, "a1, b1", s.take())
}

// Members on every level of nested groups wait for events that other goroutines
// set; nobody polls.
func TestGroup_nested(t *testing.T) {
	for depth := range 6 {
		inBubble(t, fmt.Sprint("depth=", depth), func(t *testing.T) {
			begin := time.Now()
			var wg sync.WaitGroup
			leaves, steps := 0, 0
			var order []string
			var makeTask func(depth int, path string) scheduler.Task
			makeTask = func(depth int, path string) scheduler.Task {
				if depth == 0 {
					leaves++
					event := new(scheduler.Event)
					d := time.Duration(leaves) * time.Second
					wg.Go(func() {
						sleep(d)
						event.Set()
					})
					return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
						steps++
						if !event.IsSet() {
							return scheduler.On(event), nil
						}
						order = append(order, path)
						return scheduler.Done, nil
					})
				}
				g := newGroup(t, "a b c:a d:b,c", func(k string) scheduler.Task {
					return makeTask(depth-1, path+k)
				}, nil)
				return g
			}
			require.NoError(t, scheduler.Run(t.Context(), makeTask(depth, ""), &scheduler.RunnerOptions{Wait: time.Hour}))
			wg.Wait()
			want := 1
			for range depth {
				want *= 4
			}
			require.Equal(t, want, leaves)
			require.Equal(t, 2*leaves, steps)
			require.Len(t, order, leaves)
			require.Positive(t, time.Since(begin))
		})
	}
}

func TestGroup_queries(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "next next"}, "b": {steps: "next*4"}, "d": {steps: "next fail"}})
	s.make("c:a,b d e:d f:e,c", &scheduler.GroupOptions[string]{AggregateErrors: true, Name: "G"})
	g := s.group
	waits := func(k string) string { return strings.Join(slices.Collect(g.WaitsFor(k)), "") }
	running := func() string { return strings.Join(slices.Collect(g.Running()), "") }
	counts := func() (counts [10]int) {
		for state := range counts {
			counts[state] = g.Count(scheduler.State(state))
		}
		return counts
	}
	require.Equal(t, "G", g.String())
	require.Equal(t, 6, g.Len())
	require.Equal(t, [10]int{1: 6}, counts())
	require.Zero(t, g.Count(99))
	require.Equal(t, "ab", waits("c"))
	require.Equal(t, "ce", waits("f"))
	require.Empty(t, waits("a"))
	require.Empty(t, waits("unknown"))
	require.Empty(t, running())
	require.Zero(t, g.State("unknown"))
	require.Equal(t, "unknown", g.State("unknown").String())
	require.Zero(t, g.Rounds())
	require.Empty(t, g.Errors())

	for range 3 {
		_, _, err := s.round()
		require.NoError(t, err)
	}
	require.Equal(t, 3, g.Rounds())
	require.Equal(t, "a=succeeded b=running c=pending d=failed e=skipped f=skipped", s.states())
	require.Equal(t, [10]int{1: 1, 2: 1, 5: 1, 6: 1, 9: 2}, counts())
	require.Equal(t, "b", running())
	require.Equal(t, "b", waits("c"), "what is done is left out")
	require.Empty(t, waits("f"), "it waits for nothing any more")
	for k, started := range map[string]bool{"a": true, "b": true, "c": false, "d": true, "e": false, "f": false} {
		require.Equal(t, started, g.Started(k), k)
	}
	for k := range g.All() { // breaking off is fine
		require.Equal(t, "a", k)
		break
	}
	for range g.Running() {
		break
	}
	for range g.WaitsFor("c") {
		break
	}
	for {
		if _, _, err := s.round(); err != nil {
			break
		}
	}
	require.Equal(t, "a=succeeded b=succeeded c=succeeded d=failed e=skipped f=skipped", s.states())
	require.True(t, g.Started("c"))
	s.ended()
}

// Members may ask in the middle of a round.
func TestGroup_queries_inside_steps(t *testing.T) {
	var j journal
	var g *scheduler.DependencyTaskGroup[string]
	g = newGroup(t, "b:a c:a", func(k string) scheduler.Task {
		look := func() {
			var states []string
			for _, state := range g.All() {
				states = append(states, state.String()[:1])
			}
			j.add("%s in %d: %s, %v running, c waits for %v", k, g.Rounds(), strings.Join(states, ""),
				slices.Collect(g.Running()), slices.Collect(g.WaitsFor("c")))
		}
		look()
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			look()
			err := co.Yield(scheduler.Next)
			look()
			return err
		})
	}, nil)
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
	require.Equal(t, []string{
		"a in 1: rpp, [a] running, c waits for [a]",
		"a in 1: rpp, [a] running, c waits for [a]",
		"a in 2: rpp, [a] running, c waits for [a]",
		"b in 2: srp, [b] running, c waits for []",
		"b in 2: srp, [b] running, c waits for []",
		"c in 2: srr, [b c] running, c waits for []",
		"c in 2: srr, [b c] running, c waits for []",
		"b in 3: srr, [b c] running, c waits for []",
		"c in 3: ssr, [c] running, c waits for []",
	}, j.lines)
}

func TestGroup_many_nodes(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 20_000
	}
	graphs := map[string]func(deps *scheduler.Dependencies[int], i int){
		"no edges": func(deps *scheduler.Dependencies[int], i int) { deps.Add(i) },
		"chain":    func(deps *scheduler.Dependencies[int], i int) { deps.Add(i, max(i-1, 0)) },
		"fan-out":  func(deps *scheduler.Dependencies[int], i int) { deps.Add(i, 0) },
		"fan-in":   func(deps *scheduler.Dependencies[int], i int) { deps.Add(0, i) },
		"layers":   func(deps *scheduler.Dependencies[int], i int) { deps.Add(i, i%100, max(i-100, 0), max(i-101, 0)) },
	}
	for name, add := range graphs {
		t.Run(name, func(t *testing.T) {
			deps := scheduler.NewDependencies[int]()
			deps.Add(0)
			for i := 1; i < n; i++ {
				if name == "layers" && i < 100 {
					deps.Add(i)
					continue
				}
				add(deps, i)
			}
			for _, reverse := range []bool{false, true} {
				ran := 0
				g := groupOver(t, deps, func(int) scheduler.Task {
					return scheduler.Func(func(context.Context) error { ran++; return nil })
				}, &scheduler.GroupOptions[int]{Reverse: reverse})
				require.NoError(t, scheduler.Run(t.Context(), g, nil))
				require.Equal(t, n, ran)
				require.Equal(t, n, g.Count(scheduler.StateSucceeded))
			}
		})
	}
}

// A group can be run once.
func TestGroup_second_run(t *testing.T) {
	s := newStage(t, nil)
	s.make("a", nil)
	require.NoError(t, scheduler.Run(t.Context(), s.group, nil))
	require.ErrorIs(t, scheduler.Run(t.Context(), s.group, nil), scheduler.ErrEnded)
	require.Equal(t, "a1", s.take())
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

func TestGroup_without_nodes_knows_no_key(t *testing.T) {
	group := groupOver(t, scheduler.NewDependencies[string](), second, nil)
	require.Zero(t, group.State("a"))
	require.False(t, group.Started("a"))
	require.NoError(t, group.Err("a"))
}

// A group that makes room for more members, after one began to wait for rounds,
// ends them like any other.
func TestGroup_makes_room_after_a_wait_for_rounds(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	for k := 2; k < 8; k++ {
		deps.Add(k, 1)
	}
	g := groupOver(t, deps, func(k int) scheduler.Task {
		if k == 0 {
			return scheduler.Pause(scheduler.Rounds(9))
		}
		return scheduler.Pause(scheduler.Next)
	}, nil)
	require.NoError(t, schedulertest.NewDriver(t, g, nil).RunToEnd())
}

func TestGroup_parking_forgets_earlier_waits(t *testing.T) {
	t.Parallel()
	// counted yields what is next in line, and is counted.
	counted := func(steps *int, act func(), yields ...scheduler.Yield) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if act != nil {
				act()
			}
			*steps++
			return yields[min(*steps, len(yields))-1], nil
		})
	}
	t.Run("limits are looked at with the time at which the round began", func(t *testing.T) {
		for _, careful := range []bool{false, true} {
			clock := schedulertest.NewClock(time.Time{})
			ctx := scheduler.WithClock(t.Context(), clock)
			a, b := 0, 0
			g := newGroup(t, "a b", func(k string) scheduler.Task {
				if k == "a" {
					return counted(&a, func() { clock.Advance(time.Minute) }, scheduler.Next)
				}
				return counted(&b, nil, scheduler.Next)
			}, &scheduler.GroupOptions[string]{RecoverPanics: careful, Timeout: byKey(map[string]time.Duration{"b": 90 * time.Second})})
			for range 3 {
				mustStep(t, ctx, g)
			}
			_, err := g.Step(ctx)
			require.Equal(t, 3, b, "also in the round in which the time ran out")
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
	})
	t.Run("a set of an event that was left meanwhile wakes nobody", func(t *testing.T) {
		var left, waited scheduler.Event
		clock := schedulertest.NewClock(time.Time{})
		ctx := scheduler.WithClock(t.Context(), clock)
		a, b := 0, 0
		g := claiming(t, "a b", nil, func(k string) scheduler.Task {
			if k == "a" {
				return counted(&a, func() {
					if a == 1 {
						left.Set()
					}
				}, scheduler.After(time.Second), scheduler.After(time.Hour))
			}
			return counted(&b, nil, scheduler.On(&left).Or(scheduler.After(time.Second)), scheduler.On(&waited))
		})
		mustStep(t, ctx, g)
		clock.Advance(time.Second)
		for range 3 {
			mustStep(t, ctx, g)
			require.Equal(t, 2, b)
		}
		require.NoError(t, g.Close())
	})
	t.Run("nor does one that was put into the inbox before", func(t *testing.T) {
		// The grace of c makes a's step be followed by a look at the limits.
		var left, waited scheduler.Event
		clock := schedulertest.NewClock(time.Time{})
		ctx := scheduler.WithClock(t.Context(), clock)
		goOn := func(context.Context, error) (scheduler.Yield, error) { return scheduler.On(&waited), nil }
		late, steps, thrown := false, 0, 0
		g := newGroup(t, "c a b", func(k string) scheduler.Task {
			switch k {
			case "a":
				return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
					if late {
						late = false
						left.Set()
						clock.Advance(time.Minute)
					}
					return scheduler.Next, nil
				})
			case "b":
				return &fakeTask{
					step: func(context.Context) (scheduler.Yield, error) {
						steps++
						return scheduler.On(&left), nil
					},
					throw: func(ctx context.Context, err error) (scheduler.Yield, error) {
						thrown++
						return goOn(ctx, err)
					},
				}
			}
			return &fakeTask{step: func(context.Context) (scheduler.Yield, error) {
				return scheduler.On(&waited), nil
			}, throw: goOn}
		}, &scheduler.GroupOptions[string]{Grace: time.Hour, Timeout: byKey(map[string]time.Duration{"b": time.Minute, "c": time.Second})})
		for range 2 {
			mustStep(t, ctx, g)
			clock.Advance(2 * time.Second)
		}
		late = true
		mustStep(t, ctx, g)
		require.Equal(t, 1, thrown, "in the round in which its time ran out")
		for range 3 {
			mustStep(t, ctx, g)
			require.Equal(t, 1, steps)
		}
		require.EqualError(t, g.Close(), "2 tasks closed:\n- c: timed out after 1s\n- b: timed out after 1m0s")
	})
	t.Run("nor one that has its slot from another", func(t *testing.T) {
		var set scheduler.Event
		set.Set()
		steps := 0
		g := newGroup(t, "a:c b:c", func(k string) scheduler.Task {
			switch k {
			case "a": // gets notice right after its first step, when it is woken already
				return &fakeTask{
					step: func(context.Context) (scheduler.Yield, error) { return scheduler.On(&set), nil },
					stop: func(context.Context, error) { panic(errOops) },
				}
			case "b":
				return counted(&steps, nil, scheduler.After(time.Hour))
			}
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[string]{RecoverPanics: true, AggregateErrors: true})
		mustStep(t, t.Context(), g)
		g.Stop(t.Context(), errOops)
		for range 3 {
			mustStep(t, t.Context(), g)
			require.Equal(t, 1, steps)
		}
		require.Equal(t, scheduler.StateFailed, g.State("a"))
		require.EqualError(t, g.Close(), "1 task failed:\n- a: panic: oops")
	})
	t.Run("the limit of one that has ended wakes nobody", func(t *testing.T) {
		var event scheduler.Event
		clock := schedulertest.NewClock(time.Time{})
		ctx := scheduler.WithClock(t.Context(), clock)
		steps := 0
		g := newGroup(t, "b:a", func(k string) scheduler.Task {
			if k == "a" {
				return scheduler.Pause(scheduler.After(time.Second))
			}
			return counted(&steps, nil, scheduler.On(&event))
		}, &scheduler.GroupOptions[string]{Timeout: byKey(map[string]time.Duration{"a": 10 * time.Second, "b": time.Hour})})
		for range 20 {
			mustStep(t, ctx, g)
			clock.Advance(time.Second)
		}
		require.Equal(t, 1, steps)
		require.NoError(t, g.Close())
	})
}

// randomPlay is a graph and parts for its nodes.
func randomPlay(random *rand.Rand, words []string) (deps string, parts map[string]part) {
	n := 1 + random.IntN(12)
	parts = map[string]part{}
	var lines []string
	for i := range n {
		k := fmt.Sprint("n", i)
		var steps []string
		for range random.IntN(5) {
			steps = append(steps, words[random.IntN(len(words))])
		}
		parts[k] = part{steps: strings.Join(steps, " ")}
		var required []string
		for j := range i {
			if random.IntN(4) == 0 {
				required = append(required, fmt.Sprint("n", j))
			}
		}
		lines = append(lines, strings.TrimSuffix(k+":"+strings.Join(required, ","), ":"))
	}
	random.Shuffle(n, func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return strings.Join(lines, " "), parts
}

// What a parked member asks for is what the group asks for, and until then the
// member is not touched.
func TestGroup_parking(t *testing.T) {
	at := func(s *stage, seconds int) scheduler.Yield {
		return scheduler.At(time.Unix(1_000_000, 0).Add(time.Duration(seconds) * time.Second))
	}
	second := func(y scheduler.Yield) int {
		at, ok := y.Time()
		if !ok {
			return -1
		}
		return int(at.Unix() - 1_000_000)
	}
	tests := []struct {
		name   string
		parts  map[string]part
		rounds []string // what happens in each, a second after the other
		asks   []string // of the yields: n for the next round, the second
	}{
		{
			"rounds",
			map[string]part{"a": {steps: "rounds-3 rounds-2"}},
			[]string{"a1", "", "", "a2", "", "a3"},
			[]string{"n", "n", "n", "n", "n", ""},
		},
		{"time", map[string]part{"a": {steps: "after-3 after-1"}}, []string{"a1", "", "", "a2", "a3"}, []string{"3", "3", "3", "4", ""}},
		{
			"earliest time",
			map[string]part{"a": {steps: "after-3"}, "b": {steps: "after-2"}, "c": {steps: "after-4"}},
			[]string{"a1, b1, c1", "", "b2", "a2", "c2"},
			[]string{"2", "2", "3", "4", ""},
		},
		{
			"next and time",
			map[string]part{"a": {steps: "after-3"}, "b": {steps: "next*3"}},
			[]string{"a1, b1", "b2", "b3", "a2, b4"},
			[]string{"n3", "n3", "n3", ""},
		},
		{"rounds or time", map[string]part{"a": {steps: "rounds-2|after-5 rounds-5|after-2"}}, []string{"a1", "", "a2", "", "a3"}, []string{"n5", "n5", "n4", "n4", ""}},
		{
			"rounds put off",
			map[string]part{"a": {steps: "rounds-3|after-1 rounds-4"}, "b": {steps: "rounds-3|after-1 after-3"}, "c": {steps: "rounds-9|after-1 rounds-2"}},
			[]string{"a1, b1, c1", "a2, b2, c2", "", "c3", "b3", "a3"},
			[]string{"n1", "n4", "n4", "n4", "n", ""},
		},
		{
			"rounds given up",
			map[string]part{"a": {steps: "rounds-9|after-1"}, "b": {steps: "rounds-3|after-1 after-8"}},
			[]string{"a1, b1", "a2, b2", "", "", "", "", "", "", "", "b3"},
			[]string{"n1", "9", "9", "9", "9", "9", "9", "9", "9", ""},
		},
		{
			"times put off",
			map[string]part{"a": {steps: "rounds-2|after-5 after-9"}, "b": {steps: "after-5"}},
			[]string{"a1, b1", "", "a2", "", "", "b2", "", "", "", "", "", "a3"},
			[]string{"n5", "n5", "5", "5", "5", "11", "11", "11", "11", "11", "11", ""},
		},
		{
			"times brought forward",
			map[string]part{"a": {steps: "rounds-2|after-9 after-2"}, "b": {steps: "after-10"}},
			[]string{"a1, b1", "", "a2", "", "a3", "", "", "", "", "", "b2"},
			[]string{"n9", "n9", "4", "4", "10", "10", "10", "10", "10", "10", ""},
		},
		{
			"times given up",
			map[string]part{"a": {steps: "rounds-2|after-5 rounds-9"}, "b": {steps: "after-5"}},
			[]string{"a1, b1", "", "a2", "", "", "b2", "", "", "", "", "", "a3"},
			[]string{"n5", "n5", "n5", "n5", "n5", "n", "n", "n", "n", "n", "n", ""},
		},
		{
			"later and later",
			map[string]part{"a": {steps: "after-1|after-9 after-2 after-3 after-4 next after-1"}},
			[]string{"a1", "a2", "", "a3", "", "", "a4", "", "", "", "a5", "a6", "a7"},
			[]string{"1", "3", "3", "6", "6", "6", "10", "10", "10", "10", "n", "12", ""},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, test.parts)
			deps := "a b c"
			if len(test.parts) < 3 {
				deps = "a b"[:2*len(test.parts)-1]
			}
			s.make(deps, nil)
			var rounds, asks []string
			for y := scheduler.Next; y != scheduler.Done && len(rounds) < 30; {
				var what string
				var err error
				y, what, err = s.round()
				require.NoError(t, err)
				ask := ""
				if y.Rounds() > 0 {
					require.Equal(t, 1, y.Rounds(), "the next one, never a number")
					ask = "n"
				}
				if at := second(y); at >= 0 {
					ask += strconv.Itoa(at)
				}
				rounds, asks = append(rounds, what), append(asks, ask)
			}
			require.Equal(t, test.rounds, rounds)
			require.Equal(t, test.asks, asks)
		})
	}
	t.Run("a time in the past", func(t *testing.T) {
		steps := 0
		s := newStage(t, nil)
		g := newGroup(t, "a", func(string) scheduler.Task {
			return &fakeTask{step: func(context.Context) (scheduler.Yield, error) {
				if steps++; steps == 3 {
					return scheduler.Done, nil
				}
				return at(s, -100), nil
			}}
		}, nil)
		require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: s.clock}))
		require.Equal(t, 3, steps)
	})
	t.Run("the limit of a parked member", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "event"}})
		s.make("a", &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return 5 * time.Second }})
		y, _, err := s.round()
		require.NoError(t, err)
		require.Equal(t, 0, y.Rounds())
		due, ok := y.Time()
		require.True(t, ok)
		require.Equal(t, 5*time.Second+1, due.Sub(time.Unix(1_000_000, 0)), "when it has passed")
		require.NoError(t, s.group.Close())
	})
}

func TestGroup_events(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "event event"}, "b": {steps: "event|rounds-3"}, "c": {steps: "after-3"}})
	s.make("a b c", nil)
	step := func(want, asks string) scheduler.Yield {
		t.Helper()
		y, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, want, what)
		return y
	}
	y := step("a1, b1, c1", "")
	require.False(t, y.Ready())
	s.event("a").Set()
	require.True(t, y.Ready(), "the event of the yield is set")
	s.event("a").Set()
	step("a2", "") // still set: due again
	y = step("a3", "")
	require.False(t, y.Ready())
	s.event("b").Set()
	require.True(t, y.Ready())
	y = step("b2, c2", "")
	require.Equal(t, scheduler.Done, y)
	s.event("a").Set() // nobody waits any more
	s.ended()

	t.Run("set in a step of the same round", func(t *testing.T) {
		s := newStage(t, map[string]part{"z": {steps: "event next"}, "b": {steps: "event next"}})
		g := newGroup(t, "z a b", func(k string) scheduler.Task {
			if k != "a" {
				return s.task(k)
			}
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if s.group.Rounds() == 1 {
					return scheduler.Next, nil
				}
				s.add("set")
				s.event("z").Set()
				s.event("b").Set()
				return scheduler.Done, nil
			})
		}, nil)
		s.group = g
		for _, want := range []string{"z1, b1", "set", "z2, b2", "z3, b3"} {
			_, what, err := s.round()
			require.NoError(t, err)
			require.Equal(t, want, what, "it is for the next round, before and after in key order alike")
		}
		s.ended()
	})
}

// A million parked members cost nothing; that they are not stepped is seen here
// with fewer.
func TestGroup_does_not_touch_the_parked(t *testing.T) {
	const n = 10_000
	steps := make([]int, n)
	deps := numbers(n)
	event := new(scheduler.Event)
	g := groupOver(t, deps, func(i int) scheduler.Task {
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if steps[i]++; i == 0 && steps[0] < 100 {
				return scheduler.Next, nil
			}
			if steps[i] > 1 {
				return scheduler.Done, nil
			}
			switch i % 3 {
			case 0:
				return scheduler.On(event), nil
			case 1:
				return scheduler.After(time.Hour), nil
			}
			return scheduler.Rounds(1000), nil
		})
	}, nil)
	clock := schedulertest.NewClock(time.Unix(0, 0))
	ctx := scheduler.WithClock(t.Context(), clock)
	for range 100 {
		mustStep(t, ctx, g)
	}
	require.Equal(t, 100, steps[0])
	require.Equal(t, slices.Repeat([]int{1}, n-1), steps[1:])
	event.Set()
	clock.Advance(time.Hour)
	mustStep(t, ctx, g)
	require.Equal(t, n/3, g.Count(scheduler.StateRunning))
	for range 899 {
		mustStep(t, ctx, g)
	}
	y := mustStep(t, ctx, g)
	require.Equal(t, scheduler.Done, y)
}

// A time or an event that comes earlier than the next round cuts the pause
// before it short, also from deep inside.
func TestGroup_Next_or_something_earlier(t *testing.T) {
	event := func() *scheduler.Event {
		e := new(scheduler.Event)
		time.AfterFunc(time.Second, e.Set)
		return e
	}
	tests := map[string]func() scheduler.Task{
		"event": func() scheduler.Task { return scheduler.Pause(scheduler.Next.Or(scheduler.On(event()))) },
		"time":  func() scheduler.Task { return scheduler.Pause(scheduler.Next.Or(scheduler.After(time.Second))) },
		"of another member": func() scheduler.Task {
			var e scheduler.Event
			time.AfterFunc(time.Second, e.Set)
			return scheduler.All(
				scheduler.Pause(scheduler.On(&e)),
				scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
					if e.IsSet() {
						return scheduler.Done, nil
					}
					return scheduler.Next, nil
				}),
			)
		},
	}
	for name, task := range tests {
		for depth := range 4 {
			inBubble(t, fmt.Sprint(name, " depth=", depth), func(t *testing.T) {
				begin := time.Now()
				task := task()
				for range depth {
					task = scheduler.All(task)
				}
				require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Wait: time.Hour}))
				require.LessOrEqual(t, time.Since(begin), time.Second)
			})
		}
	}
}

// Times that a member has put off, or brought forward, are right also after a
// jump of the clock over several of them.
func TestGroup_parking_and_a_jump_of_the_clock(t *testing.T) {
	s := newStage(t, map[string]part{"a": {steps: "rounds-2|after-5 after-9"}, "b": {steps: "after-4"}, "c": {steps: "rounds-2|after-9 after-5"}, "d": {steps: "rounds-2|after-30"}})
	s.make("a b c d", nil)
	for _, want := range []string{"a1, b1, c1, d1", "", "a2, c2, d2"} { // a: at 11, c: at 7
		_, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, want, what)
	}
	jump := func(to int64, want string) scheduler.Yield {
		t.Helper()
		s.clock.Advance(time.Unix(1_000_000+to, 0).Sub(s.clock.Now()))
		y := mustStep(t, s.ctx, s.group)
		require.Equal(t, want, s.take())
		return y
	}
	at := func(y scheduler.Yield) int64 {
		at, ok := y.Time()
		require.True(t, ok)
		return at.Unix() - 1_000_000
	}
	require.Equal(t, int64(7), at(jump(6, "b2")))
	require.Equal(t, int64(11), at(jump(10, "c3")))
	require.Equal(t, scheduler.Done, jump(20, "a3"))

	s = newStage(t, map[string]part{"a": {steps: "rounds-2|after-9"}, "b": {steps: "rounds-2*3"}})
	s.make("a b", nil)
	mustStep(t, s.ctx, s.group)
	for range 2 {
		y := mustStep(t, s.ctx, s.group)
		_, timed := y.Time()
		require.Equal(t, s.group.Count(scheduler.StateRunning) == 2, timed, "the time of one that has ended is gone")
	}
	require.NoError(t, s.group.Close())
}
