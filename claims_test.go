package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// unit is a claim of one of a Limiter.
func unit(l *scheduler.Limiter) []scheduler.Claim {
	return []scheduler.Claim{{Limiter: l, Weight: 1}}
}

// units is a Claims function with one of a Limiter for each node.
func units(l *scheduler.Limiter) func(string) []scheduler.Claim {
	return func(string) []scheduler.Claim { return unit(l) }
}

// alone are the options of a run that nothing outside will wake.
func alone() *scheduler.RunnerOptions {
	return &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{}).Alone()}
}

func nothing(string) scheduler.Task {
	return scheduler.Func(func(context.Context) error { return nil })
}

// Groups take turns at a Limiter, each in its key order, however many nodes they
// have. (b asks as soon as a has started, before x does.)
func TestClaims_groups_take_turns(t *testing.T) {
	l := limiter(1)
	clock := schedulertest.NewClock(time.Time{}).Alone()
	recorder := schedulertest.NewRecorder(clock)
	outer := newGroup(t, "many few", func(k string) scheduler.Task {
		nodes := map[string]string{"many": "a b c d", "few": "x y"}[k]
		return newGroup(t, nodes, second, &scheduler.GroupOptions[string]{Claims: units(l), Observer: recorder})
	}, nil)
	require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, "0s many/a, 1s many/b, 2s few/x, 3s many/c, 4s few/y, 5s many/d", starts(recorder.String()))
}

// A group that is full when its turn comes lets the next one have it, and asks
// again when it has room.
func TestClaims_of_a_full_group_are_not_kept(t *testing.T) {
	l := limiter(1)
	holder := claiming(t, "holder", map[string][]scheduler.Claim{"holder": unit(l)}, hours)
	full := newGroup(t, "wants1 a", func(k string) scheduler.Task {
		if k == "a" {
			return scheduler.Pause(scheduler.Rounds(2))
		}
		return hours(k)
	}, &scheduler.GroupOptions[string]{Limit: 1, Claims: claimIf(l)})
	next := claiming(t, "next", map[string][]scheduler.Claim{"next": unit(l)}, hours)
	step := func(g *scheduler.DependencyTaskGroup[string]) {
		mustStep(t, t.Context(), g)
	}
	step(holder)
	step(full)
	step(next)
	require.Equal(t, 2, l.Waiting())
	require.NoError(t, holder.Close())
	step(next)
	require.True(t, next.Started("next"))
	require.Zero(t, l.Waiting())
	step(full)
	step(full)
	require.Equal(t, scheduler.StateSucceeded, full.State("a"))
	require.Equal(t, 1, l.Waiting())
	require.NoError(t, next.Close())
	step(full)
	require.True(t, full.Started("wants1"))
	require.NoError(t, full.Close())
	require.Zero(t, l.InUse())
}

// Of two turns at once a group with room for one node gives one up.
func TestClaims_two_turns_with_room_for_one(t *testing.T) {
	l, m := limiter(1), limiter(1)
	both := map[string][]scheduler.Claim{"holder": append(unit(l), unit(m)...)}
	holder := claiming(t, "holder", both, hours)
	g := newGroup(t, "x y", func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[string]{Limit: 1, Claims: func(k string) []scheduler.Claim {
			return map[string][]scheduler.Claim{"x": unit(l), "y": unit(m)}[k]
		}})
	for _, g := range []*scheduler.DependencyTaskGroup[string]{holder, g} {
		mustStep(t, t.Context(), g)
	}
	require.NoError(t, holder.Close())
	mustStep(t, t.Context(), g)
	require.True(t, g.Started("x"))
	require.False(t, g.Started("y"))
	require.Zero(t, m.InUse()+m.Waiting())
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
	require.True(t, g.Started("y"))
	require.Zero(t, l.InUse()+m.InUse())
}

// A service that ends makes no room in a full group, which still lets the next one in
// line go first.
func TestClaims_of_a_full_group_whose_service_ends(t *testing.T) {
	l := limiter(1)
	var ends scheduler.Event
	full := newGroup(t, "service wants busy", func(k string) scheduler.Task {
		if k != "service" {
			return hours(k)
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			co.Ready()
			return co.Yield(scheduler.On(&ends))
		})
	}, &scheduler.GroupOptions[string]{Limit: 1, Claims: byKey(map[string][]scheduler.Claim{"service": unit(l), "wants": unit(l)})})
	next := claiming(t, "next", map[string][]scheduler.Claim{"next": unit(l)}, hours)
	mustStep(t, t.Context(), full)
	mustStep(t, t.Context(), next)
	ends.Set()
	mustStep(t, t.Context(), full)
	require.Equal(t, scheduler.StateSucceeded, full.State("service"))
	mustStep(t, t.Context(), next)
	require.True(t, next.Started("next"))
	require.NoError(t, full.Close())
	require.NoError(t, next.Close())
	require.Zero(t, l.InUse()+l.Waiting())
}

// A node that lost its turn to a more urgent one, and is skipped then, leaves alone that
// another one with the same claims has its turn.
func TestClaims_turn_beside_a_skipped_node(t *testing.T) {
	l := limiter(1)
	holder := claiming(t, "holder", map[string][]scheduler.Claim{"holder": unit(l)}, hours)
	next := claiming(t, "next", map[string][]scheduler.Claim{"next": unit(l)}, hours)
	wants := map[string][]scheduler.Claim{"urgent": unit(l), "skipped": unit(l), "last": unit(l)}
	var g *scheduler.DependencyTaskGroup[string]
	g = newGroup(t, "first frees:first urgent:frees skips:frees skipped last", func(k string) scheduler.Task {
		switch k {
		case "first":
			return scheduler.Pause(scheduler.Next)
		case "skips":
			return scheduler.Func(func(ctx context.Context) error {
				mustStep(t, ctx, next)
				require.True(t, g.SkipNode("skipped", nil))
				return nil
			})
		case "last":
			return hours(k)
		}
		return nothing(k)
	}, &scheduler.GroupOptions[string]{Claims: byKey(wants)})
	mustStep(t, t.Context(), holder)
	mustStep(t, t.Context(), g)
	require.NoError(t, holder.Close())
	mustStep(t, t.Context(), g)
	require.True(t, g.Started("urgent"))
	require.Equal(t, scheduler.StateSkipped, g.State("skipped"))
	require.True(t, g.Started("last"))
	require.NoError(t, g.Close())
	require.NoError(t, next.Close())
}

// A start that an Interval puts off is put off further by a group that is full.
func TestClaims_of_an_Interval_in_a_full_group(t *testing.T) {
	rate := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Hour})
	clock := schedulertest.NewClock(time.Time{}).Alone()
	began := clock.Now()
	g := newGroup(t, "t1 u1 a", func(k string) scheduler.Task {
		if k == "a" {
			return scheduler.Pause(scheduler.After(2 * time.Hour))
		}
		return nothing(k)
	}, &scheduler.GroupOptions[string]{Limit: 1, Claims: claimIf(rate)})
	require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, 2*time.Hour, clock.Now().Sub(began))
	require.Zero(t, rate.Waiting())
}

// An interval that passes while another node starts is over in the same round.
func TestClaims_of_an_Interval_that_passes_in_a_round(t *testing.T) {
	rate := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Hour})
	clock := newClock()
	g := newGroup(t, "t1 u1 a", func(k string) scheduler.Task {
		if k == "a" {
			clock.Advance(time.Hour)
		}
		return nothing(k)
	}, &scheduler.GroupOptions[string]{Claims: claimIf(rate)})
	require.Equal(t, scheduler.Done, mustStep(t, scheduler.WithClock(t.Context(), clock), g))
	require.True(t, g.Started("u1"))
}

// Nobody waits for the start of a node that was skipped meanwhile.
func TestClaims_of_an_Interval_of_a_skipped_node(t *testing.T) {
	for name, limit := range map[string]int{"in a step of a full group": 1, "between two steps": 0} {
		t.Run(name, func(t *testing.T) {
			meanwhile := limit > 0
			rate := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Hour})
			ctx := scheduler.WithClock(t.Context(), newClock())
			var g *scheduler.DependencyTaskGroup[string]
			g = newGroup(t, "t1 u1 a", func(k string) scheduler.Task {
				if k == "a" {
					return &fakeTask{step: func(context.Context) (scheduler.Yield, error) {
						if meanwhile {
							require.True(t, g.SkipNode("u1", nil))
						}
						return scheduler.On(new(scheduler.Event)), nil
					}}
				}
				return nothing(k)
			}, &scheduler.GroupOptions[string]{Limit: limit, Claims: claimIf(rate)})
			y := mustStep(t, ctx, g)
			require.Equal(t, scheduler.StateRunning, g.State("a"))
			if !meanwhile {
				require.True(t, g.SkipNode("u1", nil))
				y = mustStep(t, ctx, g)
			}
			_, timed := y.Time()
			require.False(t, timed)
			require.Equal(t, scheduler.StateSkipped, g.State("u1"))
			require.Zero(t, rate.Waiting())
			require.NoError(t, g.Close())
		})
	}
}

// A node that is skipped in the very pass in which its turn has come, or that of
// another one with the same claims, changes nothing for the others: the next of them
// has the turn, or else the next in line.
func TestClaims_of_nodes_that_are_skipped_when_their_turn_has_come(t *testing.T) {
	for skipped, started := range map[string]string{
		"": "x", "x": "y", "y": "x", "x y": "z", "y x": "z", "z": "x", "x z": "y",
	} {
		t.Run(skipped, func(t *testing.T) {
			l, m := limiter(1), limiter(1)
			var g *scheduler.DependencyTaskGroup[string]
			g = newGroup(t, "holder skipper:holder x y z", func(k string) scheduler.Task {
				if k != "skipper" {
					return scheduler.Pause(scheduler.Next)
				}
				return scheduler.Func(func(context.Context) error {
					for k := range strings.FieldsSeq(skipped) {
						require.True(t, g.SkipNode(k, nil))
					}
					return nil
				})
			}, &scheduler.GroupOptions[string]{Claims: byKey(map[string][]scheduler.Claim{
				"holder": unit(l), "x": unit(l), "y": unit(l), "z": append(unit(l), unit(m)...),
			})})
			for range 2 {
				mustStep(t, t.Context(), g)
			}
			for _, k := range []string{"x", "y", "z"} {
				require.Equal(t, k == started, g.Started(k), k)
			}
			require.NoError(t, scheduler.Run(t.Context(), g, alone()))
			for _, k := range []string{"x", "y", "z"} {
				require.Equal(t, !strings.Contains(skipped, k), g.Started(k), k)
			}
			require.Zero(t, l.InUse()+l.Waiting()+m.InUse()+m.Waiting())
		})
	}
}

// What waits for something else than claims keeps nobody waiting for ever: here an open
// group waits for nodes, and there a service that was asked to end takes its time.
func TestClaims_held_by_what_will_end(t *testing.T) {
	t.Run("an open group", func(t *testing.T) {
		l := limiter(1)
		inner := newGroup(t, "", hours, &scheduler.GroupOptions[string]{KeepOpen: true})
		g := newGroup(t, "open waits", func(k string) scheduler.Task {
			if k == "open" {
				return inner
			}
			return nothing(k)
		}, &scheduler.GroupOptions[string]{Claims: units(l)})
		for range 3 {
			mustStep(t, t.Context(), g)
		}
		inner.CloseInput()
		require.NoError(t, scheduler.Run(t.Context(), g, alone()))
	})
	t.Run("a service", func(t *testing.T) {
		l := limiter(1)
		var service scheduler.Event
		g := newGroup(t, "service waits busy", func(k string) scheduler.Task {
			switch k {
			case "waits":
				return scheduler.Claiming(unit(l), nothing(k))
			case "busy":
				return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Yield(scheduler.On(co.Stopping())) })
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Ready()
				return errors.Join(co.Yield(scheduler.On(co.Stopping())), co.Yield(scheduler.On(&service)))
			})
		}, &scheduler.GroupOptions[string]{Claims: byKey(map[string][]scheduler.Claim{"service": unit(l)})})
		r := startRunner(t, g, &scheduler.RunnerOptions{Clock: newClock(), Grace: time.Hour})
		r.Stop(errOops)
		for range 3 {
			mustStep(t, t.Context(), r)
			require.Equal(t, 1, l.Waiting())
		}
		require.Equal(t, scheduler.StateSucceeded, g.State("busy"))
		service.Set()
		_ = r.RunToCompletion(t.Context(), 0)
		require.Equal(t, scheduler.StateSucceeded, g.State("waits"))
	})
}

// A service that waits for claims itself is part of a deadlock.
func TestClaims_deadlock_of_a_service(t *testing.T) {
	l, m := limiter(1), limiter(1)
	claims := map[string][]scheduler.Claim{"service": unit(l), "node": unit(m)}
	g := newGroup(t, "service node", func(k string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			other := "service"
			if k == other {
				co.Ready()
				other = "node"
			}
			return errors.Join(co.Yield(scheduler.Next), co.Await(scheduler.Claiming(claims[other], nothing(k))))
		})
	}, &scheduler.GroupOptions[string]{Claims: byKey(claims)})
	err := scheduler.Run(t.Context(), g, alone())
	require.Len(t, asError[*scheduler.DeadlockError](t, err).Waits, 2)
}

// Nodes that a drain keeps from starting do not hide a deadlock.
func TestClaims_deadlock_in_a_drained_group(t *testing.T) {
	l, m := limiter(1), limiter(1)
	nested := func(outer, inner *scheduler.Limiter) scheduler.Task {
		return scheduler.Claiming(unit(outer), scheduler.Sequence(
			scheduler.Pause(scheduler.Next), scheduler.Claiming(unit(inner), nothing("")),
		))
	}
	g := newGroup(t, "locks ends pending", func(k string) scheduler.Task {
		if k == "locks" {
			return scheduler.All(nested(l, m), nested(m, l))
		}
		return scheduler.Pause(scheduler.Rounds(2))
	}, &scheduler.GroupOptions[string]{Limit: 2})
	r := scheduler.NewTaskRunner(g, alone())
	require.NoError(t, r.Start(t.Context(), 0))
	g.Drain()
	err := r.RunToCompletion(t.Context(), 0)
	require.Len(t, asError[*scheduler.DeadlockError](t, err).Waits, 2)
}

// An event that a node has set for nobody in its last step does not hide a deadlock.
func TestClaims_deadlock_after_a_Set(t *testing.T) {
	l, m := limiter(1), limiter(1)
	var e scheduler.Event
	claims := map[string][]scheduler.Claim{"sets": unit(l), "waits": unit(m)}
	g := newGroup(t, "sets waits", func(k string) scheduler.Task {
		other := map[string]string{"sets": "waits", "waits": "sets"}[k]
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.On(&e).Or(scheduler.Next)); err != nil || k == "waits" {
				return errors.Join(err, co.Await(scheduler.Claiming(claims[other], nothing(k))))
			}
			if err := co.Yield(scheduler.On(&e).Or(scheduler.Next)); err != nil {
				return err
			}
			e.Set()
			return co.Await(scheduler.Claiming(claims[other], nothing(k)))
		})
		return scheduler.NewTaskRunner(task, nil).AsTask(0)
	}, &scheduler.GroupOptions[string]{Claims: byKey(claims)})
	err := scheduler.Run(t.Context(), g, alone())
	require.Len(t, asError[*scheduler.DeadlockError](t, err).Waits, 2)
}

// Nodes that were skipped while they waited, or had their turn, neither hide that those
// left wait for ever nor count as waiting themselves.
func TestClaims_deadlock_after_nodes_were_skipped(t *testing.T) {
	for skipped, waiting := range map[string]string{
		"": "b c", "x": "b c", "x y": "b c", "y x": "b c", "b": "c", "c": "b", "x b": "c", "b c": "", "x b c": "", "x y b c": "",
	} {
		t.Run(skipped, func(t *testing.T) {
			l, m := limiter(1), limiter(1)
			var g *scheduler.DependencyTaskGroup[string]
			g = newGroup(t, "service busy holder skipper:holder x y b c", func(k string) scheduler.Task {
				switch k {
				case "service":
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						co.Ready()
						return co.Yield(scheduler.On(new(scheduler.Event)))
					})
				case "busy":
					return scheduler.Pause(scheduler.After(time.Second))
				case "skipper":
					return scheduler.Func(func(context.Context) error {
						for k := range strings.FieldsSeq(skipped) {
							require.True(t, g.SkipNode(k, nil))
						}
						return nil
					})
				}
				return scheduler.Pause(scheduler.Next)
			}, &scheduler.GroupOptions[string]{KeepOpen: true, Claims: byKey(map[string][]scheduler.Claim{
				"service": unit(m), "holder": unit(l), "x": unit(l), "y": unit(l), "b": unit(m), "c": unit(m),
			})})
			clock := newClock()
			ctx := scheduler.WithClock(t.Context(), clock)
			var err error
			for range 20 {
				if _, err = g.Step(ctx); err != nil {
					break
				}
				clock.Advance(time.Second)
			}
			require.Equal(t, scheduler.StateSucceeded, g.State("busy"))
			if waiting == "" {
				require.NoError(t, err)
				require.Equal(t, scheduler.StateReady, g.State("service"))
				g.CloseInput()
				mustStep(t, ctx, g)
				require.Equal(t, scheduler.StateSucceeded, g.State("service"))
				return
			}
			first, _, _ := strings.Cut(waiting, " ")
			deadlock := asError[*scheduler.DeadlockError](t, err)
			require.Len(t, deadlock.Waits, 1)
			require.Equal(t, first, deadlock.Waits[0].Node)
		})
	}
}

// A turn that comes while a later node with the same claims is looked at is not that
// node's.
func TestClaims_of_a_turn_that_comes_while_another_node_asks(t *testing.T) {
	l := limiter(1)
	holder := claiming(t, "holder", map[string][]scheduler.Claim{"holder": unit(l)}, hours)
	mustStep(t, t.Context(), holder)
	g := newGroup(t, "x y", hours, &scheduler.GroupOptions[string]{Claims: func(k string) []scheduler.Claim {
		if k == "y" {
			require.NoError(t, holder.Close())
		}
		return unit(l)
	}})
	for range 2 {
		mustStep(t, t.Context(), g)
		require.False(t, g.Started("y"))
	}
	require.True(t, g.Started("x"))
	require.NoError(t, g.Close())
}

// Nobody asks in place of a node that was skipped while its group was full.
func TestClaims_of_a_node_that_is_skipped_in_a_full_group(t *testing.T) {
	l := limiter(1)
	holder := claiming(t, "holder", map[string][]scheduler.Claim{"holder": unit(l)}, hours)
	mustStep(t, t.Context(), holder)
	g := newGroup(t, "x y z", func(string) scheduler.Task { return scheduler.Pause(scheduler.Rounds(2)) },
		&scheduler.GroupOptions[string]{Limit: 1, Claims: byKey(map[string][]scheduler.Claim{"x": unit(l), "y": unit(l)})})
	mustStep(t, t.Context(), g)
	require.Equal(t, 1, l.Waiting())
	require.NoError(t, holder.Close())
	for !g.Started("x") {
		mustStep(t, t.Context(), g)
	}
	require.True(t, g.SkipNode("y", nil))
	require.NoError(t, scheduler.Run(t.Context(), g, alone()))
	require.Equal(t, scheduler.StateSkipped, g.State("y"))
	require.Zero(t, l.InUse()+l.Waiting())
}

// A node may claim very many Limiters, some of them twice.
func TestClaims_on_very_many(t *testing.T) {
	var all []scheduler.Claim
	var limiters []*scheduler.Limiter
	for range 20 {
		l := limiter(2)
		limiters = append(limiters, l)
		all = append(all, unit(l)...)
	}
	all = append(all, all...)
	g := newGroup(t, "a b", func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			for _, l := range limiters {
				require.Equal(t, 2, l.InUse())
			}
			return nil
		})
	}, &scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim { return all }})
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
}

// What a node has claimed of an Interval is lent as what it has of a capacity is.
func TestClaims_of_an_Interval_are_lent(t *testing.T) {
	for name, tt := range map[string]struct {
		holds, wants int
		nodes        string
		took         time.Duration
	}{
		"all of it":       {1, 1, "a", 0},
		"one by one":      {1, 1, "a b:a c:b", 0},
		"two at a time":   {1, 1, "a b", time.Hour}, // b is a start of its own
		"a part of it":    {2, 3, "a", 2 * time.Hour},
		"more than wants": {3, 1, "a b c", 0},
	} {
		t.Run(name, func(t *testing.T) {
			rate := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Hour})
			clock := schedulertest.NewClock(time.Time{})
			began := clock.Now()
			outer := newGroup(t, "box", func(string) scheduler.Task {
				return newGroup(t, tt.nodes, func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
					&scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim {
						return []scheduler.Claim{{Limiter: rate, Weight: tt.wants}}
					}})
			}, &scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim {
				return []scheduler.Claim{{Limiter: rate, Weight: tt.holds}}
			}})
			require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: clock}))
			require.Equal(t, tt.took, clock.Now().Sub(began))
		})
	}
}

// Runs by the system's clock keep an Interval between them.
func TestLimiter_Interval_of_several_runs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Minute})
		began := time.Now()
		var mu sync.Mutex
		var started []time.Duration
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				sleep(time.Duration(i) * time.Second)
				g := newGroup(t, "a b", func(string) scheduler.Task {
					return scheduler.Func(func(context.Context) error {
						mu.Lock()
						defer mu.Unlock()
						started = append(started, time.Since(began))
						return nil
					})
				}, &scheduler.GroupOptions[string]{Claims: units(rate)})
				if err := scheduler.Run(t.Context(), g, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i, at := range started {
			require.Equal(t, time.Duration(i)*time.Minute, at)
		}
		require.Len(t, started, 10)
	})
}

// Weights are added up without running over.
func TestClaims_of_large_weights(t *testing.T) {
	l := limiter(2)
	err := scheduler.Run(t.Context(), claiming(t, "a", map[string][]scheduler.Claim{
		"a": {{Limiter: l, Weight: math.MaxInt}, {Limiter: l, Weight: math.MaxInt}},
	}, nothing), nil)
	require.EqualError(t, err, fmt.Sprintf("a: scheduler: GroupOptions.Claims: weight %d of volumes exceeds its capacity 2", math.MaxInt))

	rate := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Hour})
	large := claiming(t, "a b", map[string][]scheduler.Claim{
		"a": {{Limiter: rate, Weight: math.MaxInt}}, "b": {{Limiter: rate, Weight: 1}},
	}, nothing)
	ctx := scheduler.WithClock(t.Context(), schedulertest.NewClock(time.Time{}))
	for range 2 {
		mustStep(t, ctx, large)
	}
	require.Equal(t, scheduler.StateSucceeded, large.State("a"))
	require.Equal(t, scheduler.StatePending, large.State("b"), "for ever")
	require.NoError(t, large.Close())

	huge := limiter(math.MaxInt)
	var most int
	g := claiming(t, "a b", map[string][]scheduler.Claim{
		"a": {{Limiter: huge, Weight: math.MaxInt}}, "b": {{Limiter: huge, Weight: math.MaxInt}},
	}, func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { most = max(most, huge.InUse()); return nil })
	})
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
	require.Equal(t, math.MaxInt, most)
	require.Zero(t, huge.InUse())
}

// A Limiter that NewLimiter did not make is an error, not a nil dereference.
func TestClaims_of_a_zero_Limiter(t *testing.T) {
	err := scheduler.Run(t.Context(), claiming(t, "a", map[string][]scheduler.Claim{"a": unit(new(scheduler.Limiter))}, nothing), nil)
	require.EqualError(t, err, "a: scheduler: GroupOptions.Claims: zero Limiter; use NewLimiter")
}

// box is a task that pauses for a round and then runs a group of one node with a
// claim.
func box(t *testing.T, claims []scheduler.Claim) scheduler.Task {
	t.Helper()
	inner := claiming(t, "x", map[string][]scheduler.Claim{"x": claims}, nothing)
	return scheduler.Sequence(scheduler.Pause(scheduler.Next), inner)
}

// A node that fits keeps nobody from finding a deadlock if its group is full of
// nodes that are in it.
func TestClaims_deadlock_behind_a_full_group(t *testing.T) {
	l1, l2, l3 := limiter(1), limiter(1), limiter(1)
	a := newGroup(t, "a2 a1", func(k string) scheduler.Task {
		if k == "a1" {
			return box(t, unit(l2))
		}
		return nothing(k)
	}, &scheduler.GroupOptions[string]{Limit: 1, Claims: func(k string) []scheduler.Claim {
		return map[string][]scheduler.Claim{"a1": unit(l3), "a2": unit(l1)}[k]
	}})
	outer := claiming(t, "H A B", map[string][]scheduler.Claim{"H": unit(l1), "B": unit(l2)}, func(k string) scheduler.Task {
		switch k {
		case "H":
			return scheduler.Pause(scheduler.After(time.Second))
		case "A":
			return a
		}
		return box(t, unit(l3))
	})
	require.ErrorAs(t, scheduler.Run(t.Context(), outer, alone()), new(*scheduler.DeadlockError))
	require.Zero(t, l1.InUse()+l2.InUse()+l3.InUse())
}

// Only who holds what is waited for is hope: not one of a hundred, nor one whose
// leaving would not be enough.
func TestClaims_deadlock_hidden_by_another_run(t *testing.T) {
	for name, tt := range map[string]struct{ capacity, holds int }{
		"there is enough of that one":   {100, 1},
		"it would be one of two things": {1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, l1, l2 := limiter(tt.capacity), limiter(1), limiter(1)
			other := claiming(t, "long", map[string][]scheduler.Claim{"long": {{Limiter: cloud, Weight: tt.holds}}}, hours)
			mustStep(t, t.Context(), other)
			both := func(l *scheduler.Limiter) []scheduler.Claim { return append(unit(l), unit(cloud)...) }
			outer := claiming(t, "a b", map[string][]scheduler.Claim{"a": unit(l1), "b": unit(l2)}, func(k string) scheduler.Task {
				if k == "a" {
					return box(t, both(l2))
				}
				return box(t, both(l1))
			})
			require.ErrorAs(t, scheduler.Run(t.Context(), outer, alone()), new(*scheduler.DeadlockError))
			require.NoError(t, other.Close())
		})
	}
}

// Runs that hold what the other one wants are found by the last to wait. The other
// one then goes on.
func TestClaims_deadlock_of_two_runs(t *testing.T) {
	crossed := func(l, m *scheduler.Limiter) *scheduler.DependencyTaskGroup[string] {
		return claiming(t, "holds", map[string][]scheduler.Claim{"holds": unit(l)}, func(string) scheduler.Task {
			return scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)), box(t, unit(m)))
		})
	}
	inBubble(t, "on two goroutines", func(t *testing.T) {
		l, m := limiter(1), limiter(1)
		errs := make(chan error, 2)
		for _, g := range []scheduler.Task{crossed(l, m), crossed(m, l)} {
			go func() { errs <- scheduler.Run(t.Context(), g, nil) }()
		}
		err := errors.Join(<-errs, <-errs)
		require.EqualError(t, err, "scheduler: waiting for claims that can never be met: "+
			"holds/x waits for 1 of volumes (capacity 1) held by other runs: 1")
		require.Zero(t, l.InUse()+m.InUse())
	})
	t.Run("on one", func(t *testing.T) {
		l, m := limiter(1), limiter(1)
		a, b := crossed(l, m), crossed(m, l)
		err := scheduler.Run(t.Context(), scheduler.All(a, b), alone())
		require.ErrorAs(t, err, new(*scheduler.DeadlockError))
		require.Zero(t, l.InUse()+m.InUse())
	})
	inBubble(t, "three, and one that only looks on", func(t *testing.T) {
		l, m, n, two := limiter(1), limiter(1), limiter(1), limiter(2)
		errs := make(chan error, 4)
		looksOn := claiming(t, "a b", map[string][]scheduler.Claim{"a": {{Limiter: two, Weight: 2}}, "b": unit(two)}, hours)
		for _, g := range []scheduler.Task{crossed(l, m), crossed(m, n), crossed(n, l), looksOn} {
			go func() { errs <- scheduler.Run(t.Context(), g, nil) }()
		}
		failed := 0
		for range 4 {
			if err := <-errs; err != nil {
				require.ErrorAs(t, err, new(*scheduler.DeadlockError))
				failed++
			}
		}
		require.Equal(t, 1, failed)
	})
}

// lockingKey is a key whose String asks a Limiter.
type lockingKey struct{ l *scheduler.Limiter }

func (k lockingKey) String() string { return fmt.Sprint("in use ", k.l.InUse()) }

// No code of keys runs under a lock.
func TestClaims_of_keys_that_ask_the_Limiter(t *testing.T) {
	l := limiter(1)
	deps := scheduler.NewDependencies[lockingKey]()
	deps.Add(lockingKey{l})
	deps.Add(lockingKey{limiter(1)})
	g := groupOver(t, deps, func(lockingKey) scheduler.Task {
		return scheduler.Pause(scheduler.Rounds(9))
	}, &scheduler.GroupOptions[lockingKey]{Claims: func(lockingKey) []scheduler.Claim { return unit(l) }})
	mustStep(t, t.Context(), g)
	var b strings.Builder
	_, err := g.WriteTo(&b)
	require.NoError(t, err)
	require.Contains(t, b.String(), "in use 0: pending since round 0, waits for 1 of volumes (capacity 1) held by in use 1: 1")
	require.NoError(t, g.Close())
}

// What holds a Limiter is told shortly, and of other runs only how much.
func TestGroup_Explain_of_many_holders(t *testing.T) {
	const n = 100
	l := limiter(n + 3)
	other := claiming(t, "secret", map[string][]scheduler.Claim{"secret": {{Limiter: l, Weight: 3}}}, hours)
	mustStep(t, t.Context(), other)
	deps := numbers(2 * n)
	g := groupOver(t, deps, func(int) scheduler.Task { return hours("") },
		&scheduler.GroupOptions[int]{Claims: func(int) []scheduler.Claim { return unit(l) }})
	mustStep(t, t.Context(), g)
	require.Equal(t, fmt.Sprintf("%d: pending since round 0, waits for 1 of volumes (capacity %d) "+
		"held by 0: 1, 1: 1, 2: 1, 3: 1, 4: 1, others of this run: 95, other runs: 3", n, n+3), g.ExplainNode(n).String())
	var b strings.Builder
	_, err := g.WriteTo(&b)
	require.NoError(t, err)
	require.Less(t, b.Len(), 2*n*200)
	require.NoError(t, g.Close())
	require.NoError(t, other.Close())
}

// The text of a deadlock names the first few.
func TestDeadlockError_of_many(t *testing.T) {
	e := &scheduler.DeadlockError{}
	for i := range 12 {
		e.Waits = append(e.Waits, scheduler.ClaimWait{Node: fmt.Sprint("n", i), Limiter: "l", Weight: 1})
	}
	require.True(t, strings.HasSuffix(e.Error(), "; n9 waits for 1 of l; and 2 more"), e.Error())
}

// Twenty thousand nodes that each claim a Limiter of their own beside a common one
// are a matter of a second, within a node that holds something as well: when each
// turn looked at all that wait they took a minute. (benchmarks/internal/growth counts
// what they cost.)
func TestClaims_of_many(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n = 2000
	}
	for name, opts := range map[string]scheduler.LimiterOptions{
		"Capacity": {Capacity: 10}, "Interval": {Interval: time.Second},
	} {
		for _, nested := range []bool{false, true} {
			t.Run(fmt.Sprint(name, nested), func(t *testing.T) {
				common := scheduler.NewLimiter(opts)
				deps := numbers(n)
				var task scheduler.Task
				task = groupOver(t, deps, func(int) scheduler.Task {
					return scheduler.Pause(scheduler.Next)
				}, &scheduler.GroupOptions[int]{Limit: 100, Claims: func(int) []scheduler.Claim {
					return append(unit(common), unit(limiter(1))...)
				}})
				if inner := task; nested {
					task = claiming(t, "box", map[string][]scheduler.Claim{"box": unit(limiter(1))},
						func(string) scheduler.Task { return inner })
				}
				require.NoError(t, scheduler.Run(t.Context(), task, alone()))
				require.Zero(t, common.InUse()+common.Waiting())
			})
		}
	}
}

// diary notes what happens, with the seconds since the beginning.
type diary struct {
	clock *schedulertest.Clock
	began time.Time
	lines []string
}

func newDiary() *diary {
	clock := schedulertest.NewClock(time.Time{}).Alone()
	return &diary{clock: clock, began: clock.Now()}
}

func (d *diary) note(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf("%ds ", int(d.clock.Now().Sub(d.began).Seconds()))+fmt.Sprintf(format, args...))
}

func (d *diary) String() string { return strings.Join(d.lines, ", ") }

// part is a task of some seconds that notes its beginning and its end.
func (d *diary) part(name string, seconds int) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		d.note("%s begins", name)
		err := co.Yield(scheduler.After(time.Duration(seconds) * time.Second))
		if err != nil {
			d.note("%s ends: %v", name, err)
		} else {
			d.note("%s ends", name)
		}
		return err
	})
}

func (d *diary) run(t *testing.T, task scheduler.Task, opts *scheduler.RunnerOptions) error {
	t.Helper()
	if opts == nil {
		opts = &scheduler.RunnerOptions{}
	}
	opts.Clock = d.clock
	return scheduler.Run(t.Context(), task, opts)
}

// The claim is held for the part, not for what comes before and after it.
func TestClaiming(t *testing.T) {
	l := limiter(1)
	d := newDiary()
	g := newGroup(t, "a b", func(k string) scheduler.Task {
		return scheduler.Sequence(
			scheduler.Claiming(unit(l), d.part(k, 1)),
			d.part("polls "+k, 10))
	}, nil)
	require.NoError(t, d.run(t, g, nil))
	require.Equal(t, "0s a begins, 1s a ends, 1s polls a begins, 1s b begins, 2s b ends, 2s polls b begins, 11s polls a ends, 12s polls b ends", d.String())
	require.Zero(t, l.InUse())
}

// compositions are ways to have a Claiming in a run.
var compositions = holdersOf("itself", "All", "All in All", "Wrap", "AsTask", "Sequence", "Finally", "Retry", "Named", "Shield", "Subrun", "Claiming")

// Whatever is around it, and however it ends, in line or with what it claims:
// nothing is left claimed or in line, and what never was started is not closed.
func TestClaiming_ends(t *testing.T) {
	ends := map[string]struct {
		opts scheduler.RunnerOptions
		end  func(r *scheduler.TaskRunner, cancel context.CancelFunc)
	}{
		"Timeout": {scheduler.RunnerOptions{Timeout: 2 * time.Second}, func(*scheduler.TaskRunner, context.CancelFunc) {}},
		"Timeout with grace": {
			scheduler.RunnerOptions{Timeout: 2 * time.Second, Grace: time.Second},
			func(*scheduler.TaskRunner, context.CancelFunc) {},
		},
		"Stop":            {scheduler.RunnerOptions{}, func(r *scheduler.TaskRunner, _ context.CancelFunc) { r.Stop(errSpace) }},
		"Stop with grace": {scheduler.RunnerOptions{Grace: time.Second}, func(r *scheduler.TaskRunner, _ context.CancelFunc) { r.Stop(errSpace) }},
		"Interrupt":       {scheduler.RunnerOptions{}, func(r *scheduler.TaskRunner, _ context.CancelFunc) { r.Interrupt(errSpace) }},
		"Kill":            {scheduler.RunnerOptions{}, func(r *scheduler.TaskRunner, _ context.CancelFunc) { r.Kill() }},
		"cancelled":       {scheduler.RunnerOptions{}, func(_ *scheduler.TaskRunner, cancel context.CancelFunc) { cancel() }},
	}
	for around, compose := range compositions {
		for how, end := range ends {
			for _, waits := range []bool{true, false} {
				inBubble(t, fmt.Sprint(around, "/", how, "/waits ", waits), func(t *testing.T) {
					l := limiter(1)
					holder := claiming(t, "holder", map[string][]scheduler.Claim{"holder": unit(l)}, hours)
					if waits {
						mustStep(t, t.Context(), holder)
					}
					part := &fakePart{}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					opts := end.opts
					r := scheduler.NewTaskRunner(compose(scheduler.Claiming(unit(l), part)), &opts)
					require.NoError(t, r.Start(ctx, 0))
					if waits {
						require.Equal(t, 1, l.Waiting())
					} else {
						require.Equal(t, 1, l.InUse())
					}
					end.end(r, cancel)
					_ = r.RunToCompletion(ctx, 0)
					require.Error(t, r.Err())
					require.Equal(t, !waits, part.started)
					require.Equal(t, !waits, part.ended)
					require.Zero(t, l.Waiting())
					if waits {
						require.NoError(t, holder.Close())
					}
					require.Zero(t, l.InUse())
				})
			}
		}
	}
}

// fakePart steps for ever and notes its end.
type fakePart struct{ started, ended bool }

func (f *fakePart) Step(context.Context) (scheduler.Yield, error) {
	f.started = true
	return scheduler.After(time.Second), nil
}

func (f *fakePart) Throw(_ context.Context, err error) (scheduler.Yield, error) {
	f.ended = true
	return scheduler.Yield{}, err
}

func (f *fakePart) Close() error {
	f.ended = true
	return nil
}

// Without a run and without a group it claims as well.
func TestClaiming_stepped_by_hand(t *testing.T) {
	l := limiter(1)
	task := scheduler.Claiming(unit(l), hours(""))
	mustStep(t, t.Context(), task)
	require.Equal(t, 1, l.InUse())
	require.NoError(t, task.Close())
	require.Zero(t, l.InUse())
}

// A notice that comes while it waits is for the task once it has started, unless that
// has ended with its first step.
func TestClaiming_notice_before_the_start(t *testing.T) {
	for name, yields := range map[string][]scheduler.Yield{"continues": {scheduler.Next}, "ends": nil} {
		t.Run(name, func(t *testing.T) {
			l := limiter(1)
			holder := scheduler.Claiming(unit(l), hours(""))
			mustStep(t, t.Context(), holder)
			var told []error
			inside := &fakeTask{yields: yields, stop: func(_ context.Context, cause error) { told = append(told, cause) }}
			task := scheduler.Claiming(unit(l), inside.task())
			mustStep(t, t.Context(), task)
			task.(scheduler.Stopper).Stop(t.Context(), errOops)
			task.(scheduler.Stopper).Stop(t.Context(), errOther)
			require.NoError(t, holder.Close())
			mustStep(t, t.Context(), task)
			if name == "ends" {
				require.Empty(t, told)
				return
			}
			require.Len(t, told, 1)
			require.ErrorIs(t, told[0], errOops, "the first one counts")
			require.NoError(t, task.Close())
		})
	}
}

// In all these places it gets its turn by event, and its task runs to its end.
func TestClaiming_gets_its_turn(t *testing.T) {
	for around, compose := range compositions {
		t.Run(around, func(t *testing.T) {
			l := limiter(1)
			d := newDiary()
			first := scheduler.Claiming(unit(l), d.part("first", 3))
			second := compose(scheduler.Claiming(unit(l), d.part("second", 1)))
			require.NoError(t, d.run(t, scheduler.All(first, second), nil))
			require.Equal(t, "0s first begins, 3s first ends, 3s second begins, 4s second ends", d.String())
			require.Zero(t, l.InUse())
		})
	}
}

// It waits in one line with nodes; what is held around is lent to it, and what it
// holds to the nodes and calls inside.
func TestClaiming_in_line_with_nodes(t *testing.T) {
	l := limiter(2)
	d := newDiary()
	outer := newGroup(t, "holds2 part heavy2 last1", func(k string) scheduler.Task {
		if k == "part" {
			return scheduler.Claiming(unit(l), d.part(k, 1))
		}
		return d.part(k, 1)
	}, &scheduler.GroupOptions[string]{Claims: func(k string) []scheduler.Claim {
		if k == "part" {
			return nil
		}
		return claim(l)(k)
	}})
	require.NoError(t, d.run(t, outer, nil))
	require.Equal(t, "0s holds2 begins, 1s holds2 ends, 1s part begins, 2s part ends, 2s heavy2 begins, 3s heavy2 ends, 3s last1 begins, 4s last1 ends", d.String())
}

func TestClaiming_lends_and_is_lent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(1)
		runs := 0
		inside := func(string) scheduler.Task {
			return scheduler.Claiming(unit(l), scheduler.Blocking(func(ctx context.Context) error {
				runs++
				return scheduler.Run(ctx, claiming(t, "deep", map[string][]scheduler.Claim{"deep": unit(l)}, nothing), nil)
			}))
		}
		inner := func() scheduler.Task {
			return newGroup(t, "a b", inside, &scheduler.GroupOptions[string]{Claims: units(l)})
		}
		outer := newGroup(t, "node", func(string) scheduler.Task {
			return scheduler.Claiming(unit(l), scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(inner()) }))
		}, &scheduler.GroupOptions[string]{Claims: units(l)})
		require.NoError(t, scheduler.Run(t.Context(), outer, nil))
		require.Equal(t, 2, runs)
		require.Zero(t, l.InUse())
	})
}

// Parts that lock each other are found like nodes that do.
func TestClaiming_deadlock(t *testing.T) {
	l, m := limiter(1), limiter(1)
	both := func(first, then *scheduler.Limiter) scheduler.Task {
		return scheduler.Claiming(unit(first), scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.Next); err != nil {
				return err
			}
			return co.Await(scheduler.Claiming(unit(then), scheduler.Pause(scheduler.Next)))
		}))
	}
	g := newGroup(t, "a b", func(k string) scheduler.Task {
		if k == "a" {
			return both(l, m)
		}
		return both(m, l)
	}, nil)
	require.EqualError(t, scheduler.Run(t.Context(), g, alone()), "scheduler: waiting for claims that can never be met: "+
		"a waits for 1 of volumes (capacity 1) held by b: 1; b waits for 1 of volumes (capacity 1) held by a: 1")
	require.Zero(t, l.InUse()+m.InUse())
}

// The notice of a stop that comes while it waits is handed on: the part can still
// be done within the grace.
func TestClaiming_notice(t *testing.T) {
	l := limiter(1)
	d := newDiary()
	g := newGroup(t, "fails holds waits", func(k string) scheduler.Task {
		switch k {
		case "fails":
			return scheduler.Sequence(d.part(k, 1), scheduler.Func(func(context.Context) error { return errSpace }))
		case "holds":
			return scheduler.Claiming(unit(l), d.part(k, 2))
		}
		return scheduler.Claiming(unit(l), scheduler.Wrap(func(co *scheduler.Coroutine) error {
			d.note("waits begins")
			for !co.Stopping().IsSet() {
				if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
					return err
				}
			}
			d.note("stopped")
			return co.StopCause()
		}))
	}, &scheduler.GroupOptions[string]{Grace: time.Minute})
	require.ErrorIs(t, d.run(t, g, nil), errSpace)
	require.Equal(t, "0s fails begins, 0s holds begins, 1s fails ends, 2s holds ends, 2s waits begins, 2s stopped", d.String())
	require.Equal(t, scheduler.StateCancelled, g.State("waits"))
}

func TestClaiming_of_bad_claims(t *testing.T) {
	for want, claims := range map[string][]scheduler.Claim{
		"scheduler: Claiming: nil Limiter":                                {{Weight: 1}},
		"scheduler: Claiming: weight 0 of volumes is below 1":             {{Limiter: limiter(1)}},
		"scheduler: Claiming: weight 3 of volumes exceeds its capacity 2": {{Limiter: limiter(2), Weight: 3}},
	} {
		part := &fakePart{}
		task := scheduler.Claiming(claims, part)
		err := scheduler.Run(t.Context(), task, nil)
		require.EqualError(t, err, want)
		require.ErrorAs(t, err, new(*scheduler.OptionError))
		require.False(t, part.started)
		_, err = task.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrEnded)
	}
}

// Without claims it is the task.
func TestClaiming_of_nothing(t *testing.T) {
	task := scheduler.Claiming(nil, scheduler.Pause(scheduler.Next))
	require.NoError(t, scheduler.Run(t.Context(), task, nil))
	require.Equal(t, "Pause(next)", fmt.Sprint(task))
}

// A panic, or a Goexit, of the part gives back what is held.
func TestClaiming_after_a_panic(t *testing.T) {
	l := limiter(1)
	task := scheduler.Claiming(unit(l), scheduler.Func(func(context.Context) error { panic("out of luck") }))
	require.Panics(t, func() { _ = scheduler.Run(t.Context(), task, nil) })
	require.Zero(t, l.InUse())

	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = scheduler.Run(context.Background(), scheduler.Claiming(unit(l), scheduler.Func(func(context.Context) error {
			runtime.Goexit()
			return nil
		})), nil)
	}()
	<-exited
	require.Zero(t, l.InUse())
}

// What is held is given back when Close has returned, and not before.
func TestClaiming_is_held_until_Close_has_returned(t *testing.T) {
	l := limiter(1)
	during := 0
	part := &fakeTask{step: forever, close: func() error { during = l.InUse(); return nil }}
	r := startRunner(t, scheduler.Claiming(unit(l), part.task()), nil)
	require.NoError(t, r.Cancel())
	require.Equal(t, 1, during)
	require.Zero(t, l.InUse())
}

// An Interval keeps the starts of parts apart.
func TestClaiming_Interval(t *testing.T) {
	rate := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: 2 * time.Second})
	d := newDiary()
	var parts []scheduler.Task
	for i := range 3 {
		parts = append(parts, scheduler.Claiming(unit(rate), d.part(fmt.Sprint(i), 0)))
	}
	require.NoError(t, d.run(t, scheduler.All(parts...), nil))
	require.Equal(t, "0s 0 begins, 0s 0 ends, 2s 1 begins, 2s 1 ends, 4s 2 begins, 4s 2 ends", d.String())
}

// A Limiter is paused and opened again from any goroutine. What waits for that is
// not locked.
func TestLimiter_SetCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(2)
		var running, most atomic.Int32
		g := newGroup(t, "a b c d e f", func(string) scheduler.Task {
			return scheduler.Blocking(func(context.Context) error {
				most.Store(max(most.Load(), running.Add(1)))
				sleep(time.Second)
				running.Add(-1)
				return nil
			})
		}, &scheduler.GroupOptions[string]{Claims: units(l)})
		began := time.Now()
		done := make(chan error)
		go func() { done <- scheduler.Run(t.Context(), g, nil) }()
		synctest.Wait()
		require.EqualValues(t, 2, running.Load())
		l.SetCapacity(0)
		sleep(time.Hour)
		require.Zero(t, running.Load())
		require.Equal(t, 1, l.Waiting(), "one place for nodes that claim the same")
		l.SetCapacity(1)
		synctest.Wait()
		require.EqualValues(t, 1, running.Load())
		l.SetCapacity(math.MaxInt)
		synctest.Wait()
		require.EqualValues(t, 4, running.Load())
		require.NoError(t, <-done)
		require.Equal(t, time.Hour+time.Second, time.Since(began))
		require.EqualValues(t, 4, most.Load())
	})
	require.PanicsWithError(t, "scheduler: Limiter.SetCapacity: negative number -1", func() { limiter(1).SetCapacity(-1) })
}

// Nodes keep their order in line when a capacity changes twice between two steps.
func TestLimiter_SetCapacity_twice_between_two_steps(t *testing.T) {
	l, m := limiter(1), limiter(1)
	holder := claiming(t, "holder", map[string][]scheduler.Claim{"holder": unit(l)}, hours)
	g := newGroup(t, "first x last:first y", func(k string) scheduler.Task {
		if k == "first" {
			return scheduler.Pause(scheduler.Next)
		}
		return hours(k)
	}, &scheduler.GroupOptions[string]{Claims: byKey(map[string][]scheduler.Claim{
		"x": unit(l), "y": unit(l), "last": append(unit(l), unit(m)...),
	})})
	started := func() (keys []string) {
		for _, k := range []string{"x", "y", "last"} {
			if g.Started(k) {
				keys = append(keys, k)
			}
		}
		return keys
	}
	mustStep(t, t.Context(), holder)
	mustStep(t, t.Context(), g)
	require.Empty(t, started())
	l.SetCapacity(1)
	l.SetCapacity(2)
	mustStep(t, t.Context(), g)
	require.Equal(t, []string{"x"}, started())
	require.NoError(t, holder.Close())
	mustStep(t, t.Context(), g)
	require.Equal(t, []string{"x", "y"}, started())
	require.NoError(t, g.Close())
}

// A claim above a lowered capacity waits, and lets others pass. When there is
// enough again it has its old place in line.
func TestLimiter_SetCapacity_below_a_claim(t *testing.T) {
	l := limiter(3)
	d := newDiary()
	set := func(n int) scheduler.Task {
		return scheduler.Func(func(context.Context) error { l.SetCapacity(n); return nil })
	}
	later := func(seconds int, task scheduler.Task) scheduler.Task {
		return scheduler.Sequence(scheduler.Pause(scheduler.After(time.Duration(seconds)*time.Second)), task)
	}
	part := func(name string, weight, seconds int) scheduler.Task {
		return scheduler.Claiming([]scheduler.Claim{{Limiter: l, Weight: weight}}, d.part(name, seconds))
	}
	require.NoError(t, d.run(t, scheduler.All(
		part("first", 3, 2),
		part("heavy", 3, 1),
		part("light", 1, 1),
		later(1, set(1)),
		later(4, part("behind", 1, 2)),
		later(4, part("last", 1, 4)),
		later(5, set(3)),
	), nil))
	require.Equal(t, "0s first begins, 2s first ends, 2s light begins, 3s light ends, 4s behind begins, "+
		"6s behind ends, 6s heavy begins, 7s heavy ends, 7s last begins, 11s last ends", d.String())
	require.Zero(t, l.InUse())
}

// A node that claims more than the capacities of two Limiters waits for both.
func TestLimiter_SetCapacity_of_two(t *testing.T) {
	l, m := limiter(1), limiter(1)
	l.SetCapacity(0)
	g := newGroup(t, "a", nothing, &scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim {
		return append(unit(l), unit(m)...)
	}})
	mustStep(t, t.Context(), g)
	require.Len(t, g.ExplainNode("a").Claims, 1)
	m.SetCapacity(0)
	require.Len(t, g.ExplainNode("a").Claims, 2)
	l.SetCapacity(1)
	require.Len(t, g.ExplainNode("a").Claims, 1)
	m.SetCapacity(1)
	require.Equal(t, scheduler.Done, mustStep(t, t.Context(), g))
}

// A group that waits for more capacity is not locked; one that is locked beside
// such a change finds it out.
func TestLimiter_SetCapacity_and_deadlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(2)
		crossed := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Sequence(scheduler.Pause(scheduler.Next), claiming(t, "x", map[string][]scheduler.Claim{
				"x": {{Limiter: l, Weight: 2}},
			}, nothing))
		}, &scheduler.GroupOptions[string]{Claims: units(l)})
		l.SetCapacity(1)
		done := make(chan error)
		go func() { done <- scheduler.Run(t.Context(), crossed, nil) }()
		synctest.Wait()
		sleep(time.Hour)
		l.SetCapacity(2)
		require.NoError(t, <-done)
	})
	synctest.Test(t, func(t *testing.T) {
		l := limiter(3)
		other := claiming(t, "other", map[string][]scheduler.Claim{"other": unit(l)}, hours)
		mustStep(t, t.Context(), other)
		crossed := newGroup(t, "a b", func(string) scheduler.Task {
			return scheduler.Sequence(scheduler.Pause(scheduler.Next), claiming(t, "x", map[string][]scheduler.Claim{
				"x": {{Limiter: l, Weight: 2}},
			}, nothing))
		}, &scheduler.GroupOptions[string]{Claims: units(l)})
		done := make(chan error, 1)
		go func() { done <- scheduler.Run(t.Context(), crossed, nil) }()
		synctest.Wait()
		require.Empty(t, done, "the other one may leave")
		l.SetCapacity(2)
		require.ErrorAs(t, <-done, new(*scheduler.DeadlockError))
		require.NoError(t, other.Close())
	})
}

// A notice that stops the run comes after one of another node's failure.
func TestClaiming_hands_on_the_notice_of_the_run(t *testing.T) {
	for name, put := range holdersOf("itself", "Claiming") {
		t.Run(name, func(t *testing.T) {
			inner := newGroup(t, "a b:a", func(string) scheduler.Task { return scheduler.Pause(scheduler.Rounds(2)) }, nil)
			deps := scheduler.NewDependencies[string]()
			deps.Add("inner")
			deps.Add("fails")
			group := groupOver(t, deps, func(k string) scheduler.Task {
				if k == "inner" {
					return put(inner)
				}
				return scheduler.Func(func(context.Context) error { return errBoom })
			}, &scheduler.GroupOptions[string]{Grace: time.Hour})
			r := startRunner(t, group, &scheduler.RunnerOptions{Grace: time.Hour})
			r.Stop(errOther)
			for !r.Done() {
				_, _ = r.Step(t.Context())
			}
			require.Equal(t, scheduler.StateSucceeded, inner.State("a"))
			require.Equal(t, scheduler.StateCancelled, inner.State("b"), "nothing starts after the stop of the run")
			require.ErrorIs(t, r.Err(), errOther)
			require.ErrorIs(t, r.Err(), errBoom)
		})
	}
}
