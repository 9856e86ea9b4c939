package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
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
		_, err := g.Step(t.Context())
		require.NoError(t, err)
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
		_, err := g.Step(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, holder.Close())
	_, err := g.Step(t.Context())
	require.NoError(t, err)
	require.True(t, g.Started("x"))
	require.False(t, g.Started("y"))
	require.Zero(t, m.InUse()+m.Waiting())
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
	require.True(t, g.Started("y"))
	require.Zero(t, l.InUse()+m.InUse())
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
				time.Sleep(time.Duration(i) * time.Second) //nolint:forbidigo // in a bubble
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
		_, err = large.Step(ctx)
		require.NoError(t, err)
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
	require.EqualError(t, err, "a: scheduler: GroupOptions.Claims: a Limiter that NewLimiter did not make")
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
	var deadlock *scheduler.DeadlockError
	require.ErrorAs(t, scheduler.Run(t.Context(), outer, alone()), &deadlock)
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
			_, err := other.Step(t.Context())
			require.NoError(t, err)
			both := func(l *scheduler.Limiter) []scheduler.Claim { return append(unit(l), unit(cloud)...) }
			outer := claiming(t, "a b", map[string][]scheduler.Claim{"a": unit(l1), "b": unit(l2)}, func(k string) scheduler.Task {
				if k == "a" {
					return box(t, both(l2))
				}
				return box(t, both(l1))
			})
			var deadlock *scheduler.DeadlockError
			require.ErrorAs(t, scheduler.Run(t.Context(), outer, alone()), &deadlock)
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
	t.Run("on two goroutines", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, m := limiter(1), limiter(1)
			errs := make(chan error, 2)
			for _, g := range []scheduler.Task{crossed(l, m), crossed(m, l)} {
				go func() { errs <- scheduler.Run(t.Context(), g, nil) }()
			}
			err := errors.Join(<-errs, <-errs)
			require.EqualError(t, err, "scheduler: waiting for claims that can never be had: "+
				"holds/x waits for 1 of volumes (capacity 1) held by other runs: 1")
			require.Zero(t, l.InUse()+m.InUse())
		})
	})
	t.Run("on one", func(t *testing.T) {
		l, m := limiter(1), limiter(1)
		a, b := crossed(l, m), crossed(m, l)
		err := scheduler.Run(t.Context(), scheduler.All(a, b), alone())
		var deadlock *scheduler.DeadlockError
		require.ErrorAs(t, err, &deadlock)
		require.Zero(t, l.InUse()+m.InUse())
	})
	t.Run("three, and one that only looks on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, m, n, two := limiter(1), limiter(1), limiter(1), limiter(2)
			errs := make(chan error, 4)
			looksOn := claiming(t, "a b", map[string][]scheduler.Claim{"a": {{Limiter: two, Weight: 2}}, "b": unit(two)}, hours)
			for _, g := range []scheduler.Task{crossed(l, m), crossed(m, n), crossed(n, l), looksOn} {
				go func() { errs <- scheduler.Run(t.Context(), g, nil) }()
			}
			failed := 0
			for range 4 {
				if err := <-errs; err != nil {
					var deadlock *scheduler.DeadlockError
					require.ErrorAs(t, err, &deadlock)
					failed++
				}
			}
			require.Equal(t, 1, failed)
		})
	})
}

// A run inside of a call is lent what the call's node holds.
func TestClaims_are_lent_through_a_call(t *testing.T) {
	nested := func(l *scheduler.Limiter, depth int) func(ctx context.Context) error {
		var run func(ctx context.Context, depth int) error
		run = func(ctx context.Context, depth int) error {
			g := claiming(t, "inside", map[string][]scheduler.Claim{"inside": unit(l)}, func(string) scheduler.Task {
				if depth == 0 {
					return scheduler.Pause(scheduler.Next)
				}
				return scheduler.Blocking(func(ctx context.Context) error { return run(ctx, depth-1) })
			})
			return scheduler.Run(ctx, g, nil)
		}
		return func(ctx context.Context) error { return run(ctx, depth) }
	}
	for name, task := range map[string]func(fn func(ctx context.Context) error) scheduler.Task{
		"Blocking": scheduler.Blocking,
		"Fetch": func(fn func(ctx context.Context) error) scheduler.Task {
			return scheduler.Fetch(func(ctx context.Context) (int, error) { return 0, fn(ctx) },
				func(_ int, err error) error { return err })
		},
		"in a coroutine": func(fn func(ctx context.Context) error) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_, err := scheduler.Call(co, func(ctx context.Context) (int, error) { return 0, fn(ctx) })
				return err
			})
		},
		"in a group without claims": func(fn func(ctx context.Context) error) scheduler.Task {
			return newGroup(t, "call", func(string) scheduler.Task { return scheduler.Blocking(fn) }, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := limiter(1)
				outer := claiming(t, "a", map[string][]scheduler.Claim{"a": unit(l)}, func(string) scheduler.Task {
					return task(nested(l, 2))
				})
				require.NoError(t, scheduler.Run(t.Context(), outer, nil))
				require.Zero(t, l.InUse())
			})
		})
	}
}

// An Observer, or another function of the options, that panics at a start leaves
// nothing claimed.
func TestClaims_after_a_panic_at_a_start(t *testing.T) {
	for name, opts := range map[string]scheduler.GroupOptions[string]{
		"Observer": {Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
			if tr.Key() == "p" {
				panic(name(tr))
			}
		})},
		"Timeout": {Timeout: func(k string) time.Duration {
			if k == "p" {
				panic(k)
			}
			return 0
		}},
		"Context": {Context: func(ctx context.Context, k string) context.Context {
			if k == "p" {
				panic(k)
			}
			return ctx
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := limiter(5)
			opts.Claims = units(l)
			g := newGroup(t, "other p", func(string) scheduler.Task { return scheduler.Pause(scheduler.Rounds(9)) }, &opts)
			require.Panics(t, func() { _ = scheduler.Run(t.Context(), g, nil) })
			require.Zero(t, l.InUse())
			require.Zero(t, l.Waiting())
		})
	}
}

func name(tr scheduler.Record) string { return tr.Path() }

// lockingKey is a key whose String asks a Limiter.
type lockingKey struct{ l *scheduler.Limiter }

func (k lockingKey) String() string { return fmt.Sprint("in use ", k.l.InUse()) }

// No code of keys runs under a lock.
func TestClaims_of_keys_that_ask_the_Limiter(t *testing.T) {
	l := limiter(1)
	deps := scheduler.NewDependencies[lockingKey]()
	deps.Add(lockingKey{l})
	deps.Add(lockingKey{limiter(1)})
	g, err := scheduler.NewDependencyTaskGroup(deps, func(lockingKey) scheduler.Task {
		return scheduler.Pause(scheduler.Rounds(9))
	}, &scheduler.GroupOptions[lockingKey]{Claims: func(lockingKey) []scheduler.Claim { return unit(l) }})
	require.NoError(t, err)
	_, err = g.Step(t.Context())
	require.NoError(t, err)
	var b strings.Builder
	_, err = g.WriteTo(&b)
	require.NoError(t, err)
	require.Contains(t, b.String(), "in use 0: pending since round 0, waits for 1 of volumes (capacity 1) held by in use 1: 1")
	require.NoError(t, g.Close())
}

// What holds a Limiter is told shortly, and of other runs only how much.
func TestGroup_Explain_of_many_holders(t *testing.T) {
	const n = 100
	l := limiter(n + 3)
	other := claiming(t, "secret", map[string][]scheduler.Claim{"secret": {{Limiter: l, Weight: 3}}}, hours)
	_, err := other.Step(t.Context())
	require.NoError(t, err)
	deps := scheduler.NewDependencies[int]()
	for i := range 2 * n {
		deps.Add(i)
	}
	g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return hours("") },
		&scheduler.GroupOptions[int]{Claims: func(int) []scheduler.Claim { return unit(l) }})
	require.NoError(t, err)
	_, err = g.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%d: pending since round 0, waits for 1 of volumes (capacity %d) "+
		"held by 0: 1, 1: 1, 2: 1, 3: 1, 4: 1, others of this run: 95, other runs: 3", n, n+3), g.ExplainNode(n).String())
	var b strings.Builder
	_, err = g.WriteTo(&b)
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
				deps := scheduler.NewDependencies[int]()
				for i := range n {
					deps.Add(i)
				}
				var task scheduler.Task
				task, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task {
					return scheduler.Pause(scheduler.Next)
				}, &scheduler.GroupOptions[int]{Limit: 100, Claims: func(int) []scheduler.Claim {
					return append(unit(common), unit(limiter(1))...)
				}})
				require.NoError(t, err)
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
