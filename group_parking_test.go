package scheduler_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// A group that makes room for more members, after one began to wait for rounds,
// ends them like any other.
func TestGroup_makes_room_after_a_wait_for_rounds(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	for k := 2; k < 8; k++ {
		deps.Add(k, 1)
	}
	g, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
		if k == 0 {
			return scheduler.Pause(scheduler.Rounds(9))
		}
		return scheduler.Pause(scheduler.Next)
	}, nil)
	require.NoError(t, err)
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
		require.NoError(t, g.Close())
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

	t.Run("set before anybody waits", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "event"}})
		s.event("a").Set()
		s.make("a", nil)
		y, _, err := s.round()
		require.NoError(t, err)
		require.True(t, y.Ready())
		y, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, scheduler.Done, y)
		require.Equal(t, "a2", what)
	})
	t.Run("reset before the round", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "event"}})
		s.make("a", nil)
		_, _, err := s.round()
		require.NoError(t, err)
		s.event("a").Set()
		s.event("a").Reset()
		_, what, err := s.round()
		require.NoError(t, err)
		require.Equal(t, "a2", what, "who was woken gets its step all the same")
	})
	t.Run("of an earlier wait does not count", func(t *testing.T) {
		s := newStage(t, map[string]part{"a": {steps: "event|after-1 after-100 next"}})
		s.make("a", nil)
		_, _, err := s.round()
		require.NoError(t, err)
		_, what, err := s.round() // by time
		require.NoError(t, err)
		require.Equal(t, "a2", what)
		s.event("a").Set()
		_, what, err = s.round()
		require.NoError(t, err)
		require.Empty(t, what)
		require.NoError(t, s.group.Close())
	})
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
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
	}
	event := new(scheduler.Event)
	g, err := scheduler.NewDependencyTaskGroup(deps, func(i int) scheduler.Task {
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
	require.NoError(t, err)
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
			t.Run(fmt.Sprint(name, " depth=", depth), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					begin := time.Now()
					task := task()
					for range depth {
						task = scheduler.All(task)
					}
					require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Wait: time.Hour}))
					require.LessOrEqual(t, time.Since(begin), time.Second)
				})
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
