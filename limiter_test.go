package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

func TestGroup_Limit(t *testing.T) {
	_, trace, err := played(t, "a b c d:a e", second, &scheduler.GroupOptions[string]{Limit: 2}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s a, 0s b, 1s c, 1s d, 2s e", starts(trace), "key order stays")
}

// A member that is complete after its first step makes room in the same round.
func TestGroup_Limit_of_one_step_tasks(t *testing.T) {
	group, _, err := played(t, "a b c d", func(string) scheduler.Task { return lasting0 },
		&scheduler.GroupOptions[string]{Limit: 1}, nil)
	require.NoError(t, err)
	require.Equal(t, 1, group.Rounds())
}

// With a limit of 1 at every level nested groups still go on.
func TestGroup_Limit_nested(t *testing.T) {
	var nest func(depth int) scheduler.Task
	leaves := 0
	nest = func(depth int) scheduler.Task {
		group := newGroup(t, "a b", func(string) scheduler.Task {
			if depth == 1 {
				leaves++
				return lasting(1, nil)
			}
			return nest(depth - 1)
		}, &scheduler.GroupOptions[string]{Limit: 1})
		return group
	}
	d := schedulertest.NewDriver(t, nest(4), nil)
	require.NoError(t, d.RunToEnd())
	require.Equal(t, 16, leaves)
	require.Equal(t, 16*time.Second, d.Clock.Now().Sub(schedulertest.NewClock(time.Time{}).Now()))
}

func TestClaims(t *testing.T) {
	for _, tt := range []struct {
		name, deps string
		capacity   int
		starts     string
	}{
		{"two at a time", "a1 b1 c1 d0", 2, "0s a1, 0s b1, 0s d0, 1s c1"},
		{"weights", "a2 b2 c1", 3, "0s a2, 1s b2, 1s c1"},
		{"a heavy one is not overtaken for ever", "a1 b1 c1 h3 l1:a1 m1:l1 n1:m1", 3, "0s a1, 0s b1, 0s c1, 1s h3, 2s l1, 3s m1, 4s n1"},
		{"no claim, no wait", "a1 b0 c0", 1, "0s a1, 0s b0, 0s c0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := limiter(tt.capacity)
			_, trace, err := played(t, tt.deps, second, &scheduler.GroupOptions[string]{Claims: claim(l)}, nil)
			require.NoError(t, err)
			require.Equal(t, tt.starts, starts(trace))
			require.Zero(t, l.InUse())
			require.Zero(t, l.Waiting())
		})
	}
}

// Claims on several Limiters are had all at once or not at all.
func TestClaims_on_several(t *testing.T) {
	disks, nets := limiter(1), limiter(1)
	_, trace, err := played(t, "disk both net", second, &scheduler.GroupOptions[string]{
		Claims: func(k string) []scheduler.Claim {
			d, n := scheduler.Claim{Limiter: disks, Weight: 1}, scheduler.Claim{Limiter: nets, Weight: 1}
			return map[string][]scheduler.Claim{"disk": {d}, "net": {n}, "both": {d, n}}[k]
		},
	}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s disk, 1s both, 2s net", starts(trace), "what the earlier one waits for is kept for it")
}

// Two claims of one node on one Limiter add up.
func TestClaims_add_up(t *testing.T) {
	l := limiter(3)
	_, trace, err := played(t, "a b", second, &scheduler.GroupOptions[string]{
		Claims: func(string) []scheduler.Claim {
			return []scheduler.Claim{{Limiter: l, Weight: 1}, {Limiter: l, Weight: 1}}
		},
	}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s a, 1s b", starts(trace))
}

func TestClaims_that_can_never_be_met(t *testing.T) {
	for want, claims := range map[string][]scheduler.Claim{
		"a: scheduler: GroupOptions.Claims: nil Limiter":                                {{Weight: 1}},
		"a: scheduler: GroupOptions.Claims: weight 0 of volumes is below 1":             {{Limiter: limiter(1)}},
		"a: scheduler: GroupOptions.Claims: weight 3 of volumes exceeds its capacity 2": {{Limiter: limiter(2), Weight: 3}},
	} {
		group, trace, err := played(t, "a", second, &scheduler.GroupOptions[string]{
			Claims: func(string) []scheduler.Claim { return claims },
		}, nil)
		require.EqualError(t, err, want)
		require.ErrorAs(t, err, new(*scheduler.OptionError))
		require.Empty(t, starts(trace))
		require.False(t, group.Started("a"))
	}
}

// However many Limiters are claimed, claims on one of them are taken as their sum.
func TestClaims_add_up_to_more_than_the_capacity(t *testing.T) {
	l := limiter(2)
	for others := range 20 {
		var claims []scheduler.Claim
		for range others {
			claims = append(claims, scheduler.Claim{Limiter: limiter(1), Weight: 1})
		}
		claims = append(claims, scheduler.Claim{Limiter: l, Weight: 2}, scheduler.Claim{Limiter: l, Weight: 1})
		group := newGroup(t, "a", second, &scheduler.GroupOptions[string]{
			Claims: func(string) []scheduler.Claim { return claims },
		})
		require.EqualError(t, scheduler.Run(t.Context(), group, nil),
			"a: scheduler: GroupOptions.Claims: weight 3 of volumes exceeds its capacity 2")
		require.Zero(t, l.InUse())
	}
}

func TestNewLimiter_panics(t *testing.T) {
	for _, opts := range []scheduler.LimiterOptions{{}, {Capacity: -1}, {Interval: -1}, {Capacity: 1, Interval: -1}} {
		require.Panics(t, func() { scheduler.NewLimiter(opts) }, "%+v", opts)
	}
	require.Equal(t, "limiter", scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1}).String())
}

func TestLimiter_Interval(t *testing.T) {
	l := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "api", Interval: 2 * time.Second})
	_, trace, err := played(t, "a1 b2 c1 d0", func(string) scheduler.Task { return lasting(0, nil) },
		&scheduler.GroupOptions[string]{Claims: claim(l)}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s a1, 0s d0, 2s b2, 6s c1", starts(trace), "a start that claims 2 counts twice")

	both := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "api", Capacity: 1, Interval: time.Second})
	_, trace, err = played(t, "a1 b1 c1", func(string) scheduler.Task { return lasting(3, nil) },
		&scheduler.GroupOptions[string]{Claims: claim(both)}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s a1, 3s b1, 6s c1", starts(trace))
}

// A node that runs a group lends it what it holds, so neither it nor those in
// line for it keep the inner nodes waiting.
func TestClaims_are_lent(t *testing.T) {
	l := limiter(1)
	clock := schedulertest.NewClock(time.Time{}).Alone()
	recorder := schedulertest.NewRecorder(clock)
	outer := newGroup(t, "a1 b1", func(k string) scheduler.Task {
		if k != "a1" {
			return lasting(1, nil)
		}
		inner := newGroup(t, "x1 y1", second,
			&scheduler.GroupOptions[string]{Claims: claim(l), Observer: recorder})
		return inner
	}, &scheduler.GroupOptions[string]{Claims: claim(l), Observer: recorder})
	require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, "0s a1, 0s a1/x1, 1s a1/y1, 2s b1", starts(recorder.String()))
}

// Where waiting can never end, the group fails and says who waits for what.
func TestClaims_deadlock(t *testing.T) {
	l := limiter(2)
	clock := schedulertest.NewClock(time.Time{}).Alone()
	outer := newGroup(t, "a1 b1 c1", func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(time.Second)); err != nil {
				return err
			}
			inner := newGroup(t, "x2", second, &scheduler.GroupOptions[string]{Claims: claim(l)})
			return co.Await(inner)
		})
	}, &scheduler.GroupOptions[string]{Claims: claim(l)})
	err := scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: clock})
	require.EqualError(t, err, "scheduler: waiting for claims that can never be met: "+
		"a1/x2 waits for 2 of volumes (capacity 2) held by a1: 1, b1: 1; "+
		"b1/x2 waits for 2 of volumes (capacity 2) held by a1: 1, b1: 1; "+
		"c1 waits for 1 of volumes (capacity 2) held by a1: 1, b1: 1")
	deadlock := asError[*scheduler.DeadlockError](t, err)
	require.Len(t, deadlock.Waits, 3)
	require.Zero(t, l.InUse())
	require.Zero(t, l.Waiting())
	require.Equal(t, scheduler.StateCancelled, outer.State("a1"))
}

// As long as another run holds something of it there is hope, and no error.
func TestClaims_wait_for_other_runs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(1)
		start := time.Now()
		var ends sync.Map
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				sleep(time.Duration(i) * time.Millisecond)
				group, err := scheduler.NewDependencyTaskGroup(graph("a1"), func(string) scheduler.Task {
					return lasting(1, nil)
				}, &scheduler.GroupOptions[string]{Claims: claim(l)})
				if err == nil {
					err = scheduler.Run(t.Context(), group, nil)
				}
				ends.Store(i, fmt.Sprint(time.Since(start).Truncate(time.Second), " ", err))
			})
		}
		sleep(10 * time.Millisecond)
		require.Equal(t, 1, l.InUse())
		require.Equal(t, 2, l.Waiting())
		wg.Wait()
		for i := range 3 {
			end, _ := ends.Load(i)
			require.Equal(t, fmt.Sprintf("%ds <nil>", i+1), end)
		}
	})
}

// A Limiter is safe for use by many runs at once: capacity is never exceeded
// and everybody gets a turn.
func TestLimiter_many_goroutines(t *testing.T) {
	l := limiter(3)
	var mu sync.Mutex
	running, most := 0, 0
	var wg sync.WaitGroup
	errs := make(chan error, 20)
	for range 20 {
		wg.Go(func() {
			deps := numbers(50)
			group, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task {
				return scheduler.Blocking(func(context.Context) error {
					mu.Lock()
					running++
					most = max(most, running)
					mu.Unlock()
					mu.Lock()
					running--
					mu.Unlock()
					return nil
				})
			}, &scheduler.GroupOptions[int]{Claims: func(int) []scheduler.Claim {
				return []scheduler.Claim{{Limiter: l, Weight: 1}}
			}})
			if err == nil {
				err = scheduler.Run(t.Context(), group, nil)
			}
			errs <- err
		})
	}
	wg.Wait()
	for range 20 {
		require.NoError(t, <-errs)
	}
	require.LessOrEqual(t, most, 3)
	require.Zero(t, l.InUse())
	require.Zero(t, l.Waiting())
}

// A group that is stopped, or closed, gives back what it holds and its places
// in line.
func TestClaims_of_a_stopped_group(t *testing.T) {
	for name, end := range map[string]func(d *schedulertest.Driver){
		"Cancel": func(d *schedulertest.Driver) { require.NoError(t, d.Runner.Cancel()) },
		"Interrupt": func(d *schedulertest.Driver) {
			d.Runner.Interrupt(errSpace)
			require.ErrorIs(t, d.RunToEnd(), errSpace)
		},
		"Stop": func(d *schedulertest.Driver) { d.Runner.Stop(errSpace); require.ErrorIs(t, d.RunToEnd(), errSpace) },
	} {
		t.Run(name, func(t *testing.T) {
			l := limiter(1)
			group := newGroup(t, "a1 b1", second, &scheduler.GroupOptions[string]{Claims: claim(l)})
			d := schedulertest.NewDriver(t, group, nil)
			d.Step()
			require.Equal(t, 1, l.InUse())
			require.Equal(t, 1, l.Waiting())
			end(d)
			require.Zero(t, l.InUse())
			require.Zero(t, l.Waiting())
		})
	}
}

// What a node holds is given back when it has really ended, not before.
func TestClaims_are_held_until_Close_has_returned(t *testing.T) {
	l := limiter(1)
	during := 0
	group := newGroup(t, "a1", func(string) scheduler.Task {
		return &fakeTask{step: forever, close: func() error { during = l.InUse(); return nil }}
	}, &scheduler.GroupOptions[string]{Claims: claim(l)})
	d := schedulertest.NewDriver(t, group, nil)
	d.Step()
	require.NoError(t, d.Runner.Cancel())
	require.Equal(t, 1, during)
	require.Zero(t, l.InUse())
}

// A group that is full keeps its place in line, but nothing is kept for it: what
// runs in it may need that.
func TestClaims_of_a_full_group(t *testing.T) {
	l := limiter(1)
	clock := schedulertest.NewClock(time.Time{}).Alone()
	outer := newGroup(t, "a1 b0 c1", func(k string) scheduler.Task {
		if k != "b0" {
			return lasting(1, nil)
		}
		inner := newGroup(t, "x1", second, &scheduler.GroupOptions[string]{Claims: claim(l)})
		return scheduler.Sequence(lasting(2, nil), inner)
	}, &scheduler.GroupOptions[string]{Claims: claim(l), Limit: 2})
	require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: clock}))
}

func TestGroup_Estimate(t *testing.T) {
	// b and the long tail behind it begin before the short ones.
	estimate := func(k string) time.Duration {
		return map[string]time.Duration{"a": 2, "b": 1, "c": 1, "tail": 9, "negative": -5}[k] * time.Second
	}
	const deps = "a b c tail:b negative"
	_, trace, err := played(t, deps, second, &scheduler.GroupOptions[string]{Limit: 1, Estimate: estimate}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s b, 1s tail, 2s a, 3s c, 4s negative", starts(trace))

	_, trace, err = played(t, deps, second, &scheduler.GroupOptions[string]{Limit: 1}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s a, 1s b, 2s c, 3s tail, 4s negative", starts(trace), "without Estimate the key order stays")

	_, trace, err = played(t, deps, second, &scheduler.GroupOptions[string]{
		Claims:   func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: limiterOfOne, Weight: 1}} },
		Estimate: estimate,
	}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s b, 1s tail, 2s a, 3s c, 4s negative", starts(trace), "the same with claims")

	_, trace, err = played(t, deps, second, &scheduler.GroupOptions[string]{Limit: 1, Estimate: estimate, Reverse: true}, nil)
	require.NoError(t, err)
	require.Equal(t, "0s tail, 1s a, 2s c, 3s b, 4s negative", starts(trace), "along the walked direction")
}

func TestGroup_Priority(t *testing.T) {
	claimsOne := func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: limiterOfOne, Weight: 1}} }
	for _, c := range []struct {
		name, deps string
		opts       scheduler.GroupOptions[string]
		priority   map[string]int
		want       string
	}{
		{"the highest first, 0 if not given", "a b c d", scheduler.GroupOptions[string]{}, map[string]int{"b": -1, "c": 1, "d": 2}, "0s d, 1s c, 2s a, 3s b"},
		{"equals in key order", "a b c", scheduler.GroupOptions[string]{}, map[string]int{"a": 5, "b": 5, "c": 5}, "0s a, 1s b, 2s c"},
		{"what an urgent node requires is urgent", "a b c urgent:c", scheduler.GroupOptions[string]{}, map[string]int{"a": 1, "b": 2, "urgent": 3}, "0s c, 1s urgent, 2s b, 3s a"},
		{"what requires an urgent node is not", "a b:a c", scheduler.GroupOptions[string]{}, map[string]int{"a": 3, "c": 1}, "0s a, 1s c, 2s b"},
		{"with claims", "a b c urgent:c", scheduler.GroupOptions[string]{Claims: claimsOne}, map[string]int{"a": 1, "b": 2, "urgent": 3}, "0s c, 1s urgent, 2s b, 3s a"},
		{"along the walked direction", "a b c urgent:c", scheduler.GroupOptions[string]{Reverse: true}, map[string]int{"c": 9, "b": 1}, "0s urgent, 1s c, 2s b, 3s a"},
		{"before the longest path", "a b c tail:b", scheduler.GroupOptions[string]{
			Estimate: func(k string) time.Duration { return time.Duration(len(k)) * time.Second },
		}, map[string]int{"c": 1}, "0s c, 1s b, 2s tail, 3s a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := c.opts
			if opts.Claims == nil {
				opts.Limit = 1
			}
			opts.Priority = func(k string) int { return c.priority[k] }
			_, trace, err := played(t, c.deps, second, &opts, nil)
			require.NoError(t, err)
			require.Equal(t, c.want, starts(trace))
		})
	}
}

var limiterOfOne = limiter(1)

// Claims is asked once for each node, when all that it requires is done.
func TestGroup_Claims_is_asked_once(t *testing.T) {
	l := limiter(1)
	var asked []string
	_, _, err := played(t, "a1 b1 c1:a1", second, &scheduler.GroupOptions[string]{Claims: func(k string) []scheduler.Claim {
		asked = append(asked, k)
		return claim(l)(k)
	}}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a1", "b1", "c1"}, asked)
}

func TestDeadlockError_is_one_of_an_aggregating_group(t *testing.T) {
	l := limiter(1)
	clock := schedulertest.NewClock(time.Time{}).Alone()
	claims := func(k string) []scheduler.Claim {
		if k == "fails" {
			return nil
		}
		return []scheduler.Claim{{Limiter: l, Weight: 1}}
	}
	other := limiter(1)
	// a holds l and wants other inside; b the other way round.
	outer := newGroup(t, "fails a b", func(k string) scheduler.Task {
		if k == "fails" {
			return scheduler.Func(func(context.Context) error { return errSpace })
		}
		wants := map[string]*scheduler.Limiter{"a": other, "b": l}[k]
		inner := newGroup(t, "x", second, &scheduler.GroupOptions[string]{
			Claims: func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: wants, Weight: 1}} },
		})
		return scheduler.Sequence(lasting(1, nil), inner)
	}, &scheduler.GroupOptions[string]{AggregateErrors: true, Claims: func(k string) []scheduler.Claim {
		if k == "b" {
			return []scheduler.Claim{{Limiter: other, Weight: 1}}
		}
		return claims(k)
	}})
	err := scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: clock})
	group := asError[*scheduler.ExceptionGroup](t, err)
	require.Len(t, group.Errors, 2)
	require.ErrorIs(t, group.Errors[0], errSpace)
	deadlock := asError[*scheduler.DeadlockError](t, group.Errors[1])
	require.Len(t, deadlock.Waits, 2)
}

// Another run that holds some of a Limiter is hope only if what it has is enough.
func TestClaims_deadlock_beside_another_run(t *testing.T) {
	for name, tt := range map[string]struct {
		capacity int
		dead     bool
		ends     time.Duration
	}{
		"nothing that others have would help": {3, true, time.Second},
		"what another has would help":         {4, false, 11 * time.Second},
	} {
		inBubble(t, name, func(t *testing.T) {
			l := limiter(tt.capacity)
			var wg sync.WaitGroup
			wg.Go(func() { // another run holds one for ten seconds
				group, err := scheduler.NewDependencyTaskGroup(graph("x1"), func(string) scheduler.Task {
					return lasting(10, nil)
				}, &scheduler.GroupOptions[string]{Claims: claim(l)})
				if err == nil {
					err = scheduler.Run(t.Context(), group, nil)
				}
				if err != nil {
					t.Error(err)
				}
			})
			sleep(time.Second)
			start := time.Now()
			outer := newGroup(t, "a1 b1", func(string) scheduler.Task {
				inner := newGroup(t, "y3", second, &scheduler.GroupOptions[string]{Claims: claim(l)})
				return scheduler.Sequence(lasting(1, nil), inner)
			}, &scheduler.GroupOptions[string]{Claims: claim(l)})
			err := scheduler.Run(t.Context(), outer, nil)
			var deadlock *scheduler.DeadlockError
			require.Equal(t, tt.dead, errors.As(err, &deadlock), "%v", err)
			require.Equal(t, tt.ends, time.Since(start))
			wg.Wait()
			require.Zero(t, l.InUse())
		})
	}
}

// What waits for claims can come from behind: it starts in the same round.
func TestClaims_served_from_behind(t *testing.T) {
	l, m := limiter(1), limiter(1)
	other := newGroup(t, "x", second, &scheduler.GroupOptions[string]{
		Claims: func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} },
	})
	holder := startRunner(t, other, nil)
	deps := numbers(130)
	var started []int
	group := groupOver(t, deps, func(i int) scheduler.Task {
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
	require.NoError(t, scheduler.Run(t.Context(), group, nil))
	require.Equal(t, []int{127, 128, 5, 129}, started[126:])
	require.Equal(t, 1, group.Rounds())
}

func TestClaimWait_String(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a waits for 1 of volumes",
		scheduler.ClaimWait{Node: "a", Weight: 1, Limiter: "volumes"}.String())
	require.Equal(t, "a waits for 1 of volumes (capacity 2) held by b, c",
		scheduler.ClaimWait{Node: "a", Weight: 1, Limiter: "volumes", Capacity: 2, Holders: []string{"b", "c"}}.String())
}

// Who came first has an Interval's next start, whichever run is stepped first.
func TestLimiter_Interval_goes_by_the_order_of_coming(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{})
	ctx := scheduler.WithClock(t.Context(), clock)
	l := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "starts", Interval: 10 * time.Second})
	groups := map[string]*scheduler.DependencyTaskGroup[string]{}
	for name, weight := range map[string]int{"first": 1, "second": 2, "third": 1} {
		groups[name] = claiming(t, name, map[string][]scheduler.Claim{name: {{Limiter: l, Weight: weight}}}, hours)
	}
	started := func(name string) bool {
		_, err := groups[name].Step(ctx)
		require.NoError(t, err)
		return groups[name].Started(name)
	}
	require.True(t, started("first"))
	require.False(t, started("second"))
	require.False(t, started("third"))
	clock.Advance(10 * time.Second)
	require.False(t, started("third"), "it is the turn of the second")
	require.True(t, started("second"))
	clock.Advance(19 * time.Second)
	require.False(t, started("third"), "a weight of 2 takes two intervals")
	clock.Advance(time.Second)
	require.True(t, started("third"))
	for _, g := range groups {
		require.NoError(t, g.Close())
	}
}

// Nodes inside of one that holds claims wait for nobody outside, and among
// themselves in the order of asking.
func TestClaims_that_are_lent_wait_for_nobody_outside(t *testing.T) {
	t.Parallel()
	l := limiter(4)
	other := claiming(t, "other", map[string][]scheduler.Claim{"other": {{Limiter: l, Weight: 1}}}, hours)
	behind := claiming(t, "behind", map[string][]scheduler.Claim{"behind": {{Limiter: l, Weight: 1}}}, hours)
	inner := claiming(t, "w x y", map[string][]scheduler.Claim{
		"w": {{Limiter: l, Weight: 1}}, "x": {{Limiter: l, Weight: 4}}, "y": {{Limiter: l, Weight: 1}},
	}, hours)
	box := claiming(t, "box", map[string][]scheduler.Claim{"box": {{Limiter: l, Weight: 2}}},
		func(string) scheduler.Task { return inner })
	for _, g := range []*scheduler.DependencyTaskGroup[string]{other, box, behind} {
		mustStep(t, t.Context(), g)
	}
	require.False(t, behind.Started("behind"), "x, inside, needs what is free before it")
	require.True(t, inner.Started("w"), "what it needs is lent")
	require.False(t, inner.Started("x"), "one of its four is another's")
	require.False(t, inner.Started("y"), "it is behind x")
	require.NoError(t, other.Close())
	require.NoError(t, box.Close())
	mustStep(t, t.Context(), behind)
	require.True(t, behind.Started("behind"))
	require.NoError(t, behind.Close())
	require.Zero(t, l.InUse())
}

// What a waiting node gets lent is not kept free for it a second time.
func TestClaims_that_are_lent_are_not_kept_free_besides(t *testing.T) {
	t.Parallel()
	l, m := limiter(6), limiter(1)
	other := claiming(t, "other", map[string][]scheduler.Claim{"other": {{Limiter: m, Weight: 1}}}, hours)
	mustStep(t, t.Context(), other)
	inner := claiming(t, "x y", map[string][]scheduler.Claim{
		"x": {{Limiter: l, Weight: 4}, {Limiter: m, Weight: 1}}, "y": {{Limiter: l, Weight: 2}},
	}, hours)
	box := claiming(t, "box", map[string][]scheduler.Claim{"box": {{Limiter: l, Weight: 2}}},
		func(string) scheduler.Task { return inner })
	mustStep(t, t.Context(), box)
	require.False(t, inner.Started("x"))
	require.True(t, inner.Started("y"), "x is lent two and kept two of four that are free")
	require.NoError(t, box.Close())
	require.NoError(t, other.Close())
}

// What waits for claims alone does so also through a task that collects its
// yields from the zero Yield on.
func TestClaims_deadlock_seen_through_a_task_of_one_s_own(t *testing.T) {
	t.Parallel()
	for name, through := range map[string]func(y scheduler.Yield) scheduler.Yield{
		"zero before": func(y scheduler.Yield) scheduler.Yield { return scheduler.Yield{}.Or(y) },
		"zero behind": func(y scheduler.Yield) scheduler.Yield { return y.Or(scheduler.Yield{}) },
		"twice":       func(y scheduler.Yield) scheduler.Yield { return y.Or(y) },
	} {
		t.Run(name, func(t *testing.T) {
			l, m := limiter(1), limiter(1)
			box := func(inside *scheduler.Limiter) scheduler.Task {
				inner := claiming(t, "x", map[string][]scheduler.Claim{"x": {{Limiter: inside, Weight: 1}}}, hours)
				first := true
				return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
					if first { // so that both hold something when they ask for more
						first = false
						return scheduler.Next, nil
					}
					y, err := inner.Step(ctx)
					return through(y), err
				})
			}
			outer := claiming(t, "a b", map[string][]scheduler.Claim{
				"a": {{Limiter: l, Weight: 1}}, "b": {{Limiter: m, Weight: 1}},
			}, func(k string) scheduler.Task {
				if k == "a" {
					return box(m)
				}
				return box(l)
			})
			err := scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{}).Alone()})
			require.ErrorAs(t, err, new(*scheduler.DeadlockError))
		})
	}
}

// Who waits behind a node of another run, which waits for one that runs there, is
// not locked.
func TestClaims_wait_behind_another_run(t *testing.T) {
	t.Parallel()
	l, m := limiter(1), limiter(1)
	other := claiming(t, "holds waits", map[string][]scheduler.Claim{
		"holds": {{Limiter: m, Weight: 1}}, "waits": {{Limiter: l, Weight: 1}, {Limiter: m, Weight: 1}},
	}, hours)
	own := claiming(t, "behind", map[string][]scheduler.Claim{"behind": {{Limiter: l, Weight: 1}}}, hours)
	for range 2 {
		for _, g := range []*scheduler.DependencyTaskGroup[string]{other, own} {
			mustStep(t, t.Context(), g)
		}
	}
	require.Equal(t, scheduler.StatePending, own.State("behind"))
	require.NoError(t, other.Close())
	mustStep(t, t.Context(), own)
	require.Equal(t, scheduler.StateRunning, own.State("behind"))
	require.NoError(t, own.Close())
}

// Nodes that claim the same start in key order, in whatever order they came.
func TestClaims_start_in_key_order(t *testing.T) {
	t.Parallel()
	const n = 21
	l := limiter(1)
	deps := scheduler.NewDependencies[string]()
	deps.Add("holder")
	for i := range n {
		deps.Add(fmt.Sprintf("n%02d", i), fmt.Sprintf("gate%d", i*8%n)) // ends in that order
	}
	var want, got []string
	for k := range deps.All() {
		if k[0] == 'n' {
			want = append(want, k)
		}
	}
	g := groupOver(t, deps, func(k string) scheduler.Task {
		var i int
		switch {
		case k == "holder":
			return scheduler.Pause(scheduler.Rounds(n + 2))
		case k[0] == 'g':
			_, _ = fmt.Sscanf(k, "gate%d", &i)
			return scheduler.Pause(scheduler.Rounds(i + 1))
		}
		return scheduler.Func(func(context.Context) error {
			got = append(got, k)
			return nil
		})
	}, &scheduler.GroupOptions[string]{Claims: func(k string) []scheduler.Claim {
		if k[0] == 'g' {
			return nil
		}
		return []scheduler.Claim{{Limiter: l, Weight: 1}}
	}})
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
	require.Equal(t, want, got)
}

// A group that is full has no use for the time at which it could start more.
func TestGroup_full_does_not_wait_for_an_Interval(t *testing.T) {
	t.Parallel()
	l := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Second})
	clock := schedulertest.NewClock(time.Time{})
	g := newGroup(t, "a b c", func(k string) scheduler.Task {
		if k == "c" {
			return hours(k)
		}
		return scheduler.Func(func(context.Context) error { return nil })
	}, &scheduler.GroupOptions[string]{Limit: 1, Claims: byKey(map[string][]scheduler.Claim{"a": {{Limiter: l, Weight: 1}}, "b": {{Limiter: l, Weight: 1}}})})
	y := mustStep(t, scheduler.WithClock(t.Context(), clock), g)
	at, ok := y.Time()
	require.True(t, ok)
	require.Equal(t, time.Hour, at.Sub(clock.Now()))
	require.NoError(t, g.Close())
}

// What has a limit of its own is not locked, and what had one does not hide that
// others are.
func TestClaims_deadlock_and_limits(t *testing.T) {
	t.Parallel()
	later := scheduler.StateFailed
	run := func(t *testing.T, limit time.Duration, timeout func(k string) time.Duration, budget int, more ...string) error {
		l, m := limiter(1), limiter(1)
		slow := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Minute})
		box := func(inside *scheduler.Limiter) scheduler.Task {
			inner := claiming(t, "x", map[string][]scheduler.Claim{"x": {{Limiter: inside, Weight: 1}}}, hours)
			return scheduler.Sequence(scheduler.Pause(scheduler.Rounds(3)),
				scheduler.NewTaskRunner(inner, &scheduler.RunnerOptions{Timeout: limit}).AsTask(0))
		}
		outer := newGroup(t, strings.Join(append([]string{"a b"}, more...), " "), func(k string) scheduler.Task {
			switch k {
			case "limited": // goes on after its Timeout, if it has one, and ends in its grace
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					_ = co.Yield(scheduler.After(time.Second))
					return co.Yield(scheduler.Next)
				})
			case "a":
				return box(m)
			case "before":
				return scheduler.Pause(scheduler.Rounds(3))
			case "first", "later":
				return scheduler.Func(func(context.Context) error { return nil })
			}
			return box(l)
		}, &scheduler.GroupOptions[string]{Timeout: timeout, Grace: time.Minute, Budget: budget, Claims: byKey(map[string][]scheduler.Claim{
			"a": {{Limiter: l, Weight: 1}}, "b": {{Limiter: m, Weight: 1}},
			"first": {{Limiter: slow, Weight: 1}}, "later": {{Limiter: slow, Weight: 1}},
		})})
		defer func() { later = outer.State("later") }()
		return scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{}).Alone()})
	}
	t.Run("has a limit", func(t *testing.T) {
		require.ErrorIs(t, run(t, time.Minute, nil, 0), context.DeadlineExceeded)
	})
	t.Run("has a limit of the group's", func(t *testing.T) {
		require.ErrorIs(t, run(t, 0, func(string) time.Duration { return time.Minute }, 0), context.DeadlineExceeded)
	})
	t.Run("what only waits for time starts before", func(t *testing.T) {
		require.ErrorAs(t, run(t, 0, nil, 0, "first later"), new(*scheduler.DeadlockError))
		require.Equal(t, scheduler.StateSucceeded, later)
	})
	t.Run("and so does what had no room in the budget", func(t *testing.T) {
		require.ErrorAs(t, run(t, 0, nil, 3, "before later:before"), new(*scheduler.DeadlockError))
		require.Equal(t, scheduler.StateSucceeded, later)
	})
	for name, limit := range map[string]time.Duration{"had a limit": time.Minute, "had a grace": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			require.ErrorAs(t, run(t, 0, byKey(map[string]time.Duration{"limited": limit}), 0, "limited"), new(*scheduler.DeadlockError))
		})
	}
}

// A service goes on for ever, wherever it is, so its times do not hide that all else
// waits for claims that can never be met. The limit of a runner does: it will end them.
// In the middle of a round, where a step has stopped for its Budget, nothing is dead yet: the
// service gives back what it holds in the same round.
func TestDeadlockError_is_not_found_in_the_middle_of_a_round(t *testing.T) {
	t.Parallel()
	for budget := range 4 {
		l := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
		group := newGroup(t, "first service waits", func(k string) scheduler.Task {
			f := &fakeTask{}
			f.step = func(ctx context.Context) (scheduler.Yield, error) {
				switch {
				case f.steps == 2 || k == "waits":
					return scheduler.Done, nil
				case k == "service":
					scheduler.Ready(ctx)
				}
				return scheduler.Next, nil
			}
			return f.task()
		}, &scheduler.GroupOptions[string]{
			Budget: budget,
			Claims: func(k string) []scheduler.Claim {
				if k == "first" {
					return nil
				}
				return []scheduler.Claim{{Limiter: l, Weight: 1}}
			},
		})
		require.NoError(t, scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: newClock()}), "Budget %d", budget)
		require.Equal(t, 3, group.Count(scheduler.StateSucceeded))
	}
}

func TestDeadlockError_beside_a_service_in_a_group_inside(t *testing.T) {
	yields := map[string]scheduler.Yield{
		"After": scheduler.After(time.Second), "Next": scheduler.Next, "Rounds": scheduler.Rounds(3),
		"On": scheduler.On(new(scheduler.Event)),
	}
	puts := holdersOf("itself", "All", "Sequence", "Subrun")
	puts["limit"] = func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Minute, task) }
	for hold, put := range puts {
		for name, y := range yields {
			inBubble(t, hold+"/"+name, func(t *testing.T) {
				first, second := limiter(1), limiter(1)
				inner := newGroup(t, "service wait x:service,wait", func(k string) scheduler.Task {
					switch k {
					case "x":
						return lasting0
					case "wait":
						return lasting(1, nil)
					}
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						for co.Ready(); ; {
							if err := co.Yield(y); err != nil {
								return err
							}
							if name != "After" {
								sleep(10 * time.Millisecond)
							}
						}
					})
				}, &scheduler.GroupOptions[string]{Claims: byKey(map[string][]scheduler.Claim{"x": {{Limiter: second, Weight: 1}}})})
				outer := newGroup(t, "a b", func(k string) scheduler.Task {
					if k == "a" {
						return put(inner)
					}
					return scheduler.Claiming([]scheduler.Claim{{Limiter: first, Weight: 1}}, lasting0)
				}, &scheduler.GroupOptions[string]{Claims: byKey(map[string][]scheduler.Claim{
					"a": {{Limiter: first, Weight: 1}}, "b": {{Limiter: second, Weight: 1}},
				})})
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				err := scheduler.Run(ctx, outer, nil)
				if hold == "limit" {
					require.Equal(t, time.Minute, time.Since(begin).Round(time.Second))
					require.ErrorAs(t, err, new(*scheduler.Timeout))
					return
				}
				require.ErrorAs(t, err, new(*scheduler.DeadlockError))
				require.Less(t, time.Since(begin), 3*time.Second)
			})
		}
	}
}

// An event that is set when nobody waits for it any more does not hide a deadlock.
func TestDeadlockError_beside_an_event_of_a_wait_that_is_over(t *testing.T) {
	for hold, put := range holdersOf("itself", "All", "Sequence", "Subrun", "Retry", "renamed") {
		inBubble(t, hold, func(t *testing.T) {
			l := limiter(1)
			group := newGroup(t, "service x:service", func(k string) scheduler.Task {
				if k == "x" {
					return lasting0
				}
				return scheduler.WithTimeout(time.Second, scheduler.Wrap(func(co *scheduler.Coroutine) error {
					var e scheduler.Event
					err := co.Yield(scheduler.On(&e)) // until the Timeout is thrown
					co.Ready()
					e.Set()
					return errors.Join(err, co.Yield(scheduler.On(new(scheduler.Event))))
				}))
			}, &scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} }})
			begin := time.Now()
			err := scheduler.Run(t.Context(), put(group), &scheduler.RunnerOptions{Grace: time.Minute})
			require.ErrorAs(t, err, new(*scheduler.DeadlockError))
			require.Equal(t, time.Second, time.Since(begin).Round(time.Millisecond))
		})
	}
}
