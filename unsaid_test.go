package scheduler_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// This file says what no test said before a mutant lived on it: see "Mutants" in
// docs/testing.md.

// claiming returns a group whose nodes have claims.
func claiming(t *testing.T, nodes string, claims map[string][]scheduler.Claim, task func(k string) scheduler.Task) *scheduler.DependencyTaskGroup[string] {
	t.Helper()
	group, err := scheduler.NewDependencyTaskGroup(graph(nodes), task, &scheduler.GroupOptions[string]{
		Name: nodes, Claims: func(k string) []scheduler.Claim { return claims[k] },
	})
	require.NoError(t, err)
	return group
}

func hours(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }

func TestNow_of_no_clock_is_the_systems(t *testing.T) {
	t.Parallel()
	before := time.Now()
	ctx := scheduler.WithClock(t.Context(), nil)
	require.False(t, scheduler.Now(ctx).Before(before))
	group := claiming(t, "a", nil, hours)
	_, err := group.Step(ctx)
	require.NoError(t, err)
	require.NoError(t, group.Close())
}

// Of two waits at once, a run's and that of a run in a call of its, neither takes
// the other's timer, also if it is not the first wait.
func TestSystemClock_waits_twice_at_once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var inner time.Duration
		err := scheduler.Run(t.Context(), scheduler.Sequence(
			scheduler.Pause(scheduler.After(time.Second)),
			scheduler.All(
				scheduler.Pause(scheduler.After(20*time.Second)),
				scheduler.Blocking(func(ctx context.Context) error {
					err := scheduler.Run(ctx, scheduler.Pause(scheduler.After(10*time.Second)), nil)
					inner = time.Since(began)
					return err
				}),
			),
		), nil)
		require.NoError(t, err)
		require.Equal(t, 11*time.Second, inner)
		require.Equal(t, 21*time.Second, time.Since(began))
	})
}

func TestTimes_at_the_ends_of_the_scale_are_kept(t *testing.T) {
	t.Parallel()
	for _, second := range []int64{9223372035, -9223372035} {
		at, ok := scheduler.At(time.Unix(second, 0)).Time()
		require.True(t, ok)
		require.Equal(t, second, at.Unix())
	}
	// A span backwards is not the beginning of all time.
	clock := schedulertest.NewClock(time.Time{})
	r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.After(-time.Second)), &scheduler.RunnerOptions{Clock: clock})
	require.NoError(t, r.Start(t.Context(), 0))
	at, ok := r.Due().Time()
	require.True(t, ok)
	require.Equal(t, -time.Second, at.Sub(clock.Now()))
}

// backOffs counts how often it is asked.
type backOffs struct {
	pause time.Duration
	asked int
}

func (b *backOffs) NextBackOff() time.Duration {
	b.asked++
	return b.pause
}

func TestRetry_details(t *testing.T) {
	t.Parallel()
	t.Run("each argument is needed", func(t *testing.T) {
		require.PanicsWithValue(t, "scheduler: Retry: nil argument", func() { scheduler.Retry(&backOffs{}, nil) })
		require.PanicsWithValue(t, "scheduler: Retry: nil argument", func() {
			scheduler.Retry(nil, func(int, error) scheduler.Task { return nil })
		})
	})
	t.Run("no pause is not the end", func(t *testing.T) {
		attempts := 0
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Retry(&backOffs{}, func(attempt int, _ error) scheduler.Task {
			attempts = attempt
			return scheduler.Func(func(context.Context) error {
				if attempt < 3 {
					return errOops
				}
				return nil
			})
		}), nil))
		require.Equal(t, 3, attempts)
	})
	t.Run("after notice nobody asks for a pause", func(t *testing.T) {
		b := &backOffs{pause: time.Hour}
		steps := 0
		r := scheduler.NewTaskRunner(scheduler.Retry(b, func(int, error) scheduler.Task {
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if steps++; steps == 2 {
					return scheduler.Yield{}, errOops
				}
				return scheduler.Next, nil
			})
		}), &scheduler.RunnerOptions{Grace: time.Hour})
		require.NoError(t, r.Start(t.Context(), 0))
		r.Stop(errOther)
		done, err := r.Step(t.Context())
		require.True(t, done)
		require.ErrorIs(t, err, errOops)
		require.Zero(t, b.asked)
	})
	t.Run("an error that was thrown in and handled is over", func(t *testing.T) {
		attempts := 0
		r := scheduler.NewTaskRunner(scheduler.Retry(&backOffs{}, func(attempt int, _ error) scheduler.Task {
			attempts = attempt
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_ = co.Yield(scheduler.Next) // it is handled here
				if attempt < 3 {
					return errOops
				}
				return nil
			})
		}), nil)
		require.NoError(t, r.Start(t.Context(), 0))
		r.Interrupt(errOther)
		require.NoError(t, r.RunToCompletion(t.Context(), 0))
		require.Equal(t, 3, attempts)
	})
}

// Only edges within a cycle are shown as such, not those that lead out of one.
func TestDependencies_diagrams_mark_the_edges_of_cycles(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	require.NoError(t, edgesOf("b<-a,a<-b,c<-a,d<-c,c<-d,x<-a").WriteDOT(&text))
	var marked []string
	for line := range strings.Lines(text.String()) {
		if strings.Contains(line, "->") && strings.Contains(line, "[") {
			marked = append(marked, strings.Fields(line)[0]+strings.Fields(line)[2])
		}
	}
	require.Len(t, marked, 4, text.String())
	text.Reset()
	require.NoError(t, edgesOf("\uFFFD<-a").WriteDOT(&text))
	require.Contains(t, text.String(), "\uFFFD", "it is valid, and printable")
}

// An event of several lets go of them when nobody waits for it any more.
func TestEvent_of_several_leaves_nothing_behind(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var a, b scheduler.Event
	const waits = 20_000
	steps := 0
	r := scheduler.NewTaskRunner(scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		steps++
		return scheduler.On(&a, &b).Or(scheduler.Next), nil
	}), nil)
	require.NoError(t, r.Start(t.Context(), 0))
	before := heap()
	for range waits {
		_, err := r.Step(t.Context())
		require.NoError(t, err)
	}
	require.Less(t, int64(heap())-int64(before), int64(waits*50), "bytes")
	require.NoError(t, r.Cancel())
	runtime.KeepAlive(&a)
	runtime.KeepAlive(&b)
}

func TestExplanation_details(t *testing.T) {
	t.Parallel()
	t.Run("the limit is the reason only if it is the last one", func(t *testing.T) {
		l := limiter(1)
		busy := claiming(t, "x", map[string][]scheduler.Claim{"x": {{Limiter: l, Weight: 1}}}, hours)
		_, err := busy.Step(t.Context())
		require.NoError(t, err)
		g, err := scheduler.NewDependencyTaskGroup(graph("claims1 a needs:a free"), hours, &scheduler.GroupOptions[string]{
			Limit: 1, Claims: claimIf(l),
		})
		require.NoError(t, err)
		_, err = g.Step(t.Context())
		require.NoError(t, err)
		limited := map[string]bool{}
		for e := range g.Explain() {
			limited[e.Key] = e.Limited
		}
		require.Equal(t, map[string]bool{"claims1": false, "a": false, "needs": false, "free": true}, limited)
		require.NoError(t, g.Close())
		require.NoError(t, busy.Close())
	})
	t.Run("an earlier wait for an event is over", func(t *testing.T) {
		var event scheduler.Event
		g := claiming(t, "a", nil, func(string) scheduler.Task {
			return scheduler.Sequence(scheduler.Pause(scheduler.On(&event)), scheduler.Pause(scheduler.After(time.Minute)))
		})
		_, err := g.Step(t.Context())
		require.NoError(t, err)
		event.Set()
		_, err = g.Step(t.Context())
		require.NoError(t, err)
		for e := range g.Explain() {
			require.NotContains(t, e.String(), "event")
			require.Contains(t, e.String(), "waits: at ")
		}
		require.NoError(t, g.Close())
	})
	t.Run("what has ended was not asked to", func(t *testing.T) {
		g := claiming(t, "a", nil, hours)
		_, err := g.Step(t.Context())
		require.NoError(t, err)
		_, err = g.Throw(t.Context(), errOops)
		require.ErrorIs(t, err, errOops)
		for e := range g.Explain() {
			require.True(t, e.Stopped)
			require.Equal(t, "a: cancelled since round 1", e.String())
		}
	})
}

// claimIf is claim for those nodes that have a weight behind their names.
func claimIf(l *scheduler.Limiter) func(k string) []scheduler.Claim {
	return func(k string) []scheduler.Claim {
		if strings.HasSuffix(k, "1") {
			return claim(l)(k)
		}
		return nil
	}
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

// A node inside of one that holds claims starts at once where those are enough,
// whatever else waits beside it.
func TestClaims_that_are_lent_whole_wait_for_nobody(t *testing.T) {
	t.Parallel()
	l := limiter(4)
	other := claiming(t, "other", map[string][]scheduler.Claim{"other": {{Limiter: l, Weight: 2}}}, hours)
	_, err := other.Step(t.Context())
	require.NoError(t, err)
	inner := claiming(t, "x y", map[string][]scheduler.Claim{
		"x": {{Limiter: l, Weight: 3}}, "y": {{Limiter: l, Weight: 2}},
	}, hours)
	box := claiming(t, "box", map[string][]scheduler.Claim{"box": {{Limiter: l, Weight: 2}}},
		func(string) scheduler.Task { return inner })
	_, err = box.Step(t.Context())
	require.NoError(t, err)
	require.False(t, inner.Started("x"), "one of its three is another's")
	require.True(t, inner.Started("y"))
	require.NoError(t, box.Close())
	require.NoError(t, other.Close())
}

// What a waiting node gets lent is not kept free for it a second time.
func TestClaims_that_are_lent_are_not_kept_free_besides(t *testing.T) {
	t.Parallel()
	l, m := limiter(6), limiter(1)
	other := claiming(t, "other", map[string][]scheduler.Claim{"other": {{Limiter: m, Weight: 1}}}, hours)
	_, err := other.Step(t.Context())
	require.NoError(t, err)
	inner := claiming(t, "x y", map[string][]scheduler.Claim{
		"x": {{Limiter: l, Weight: 4}, {Limiter: m, Weight: 1}}, "y": {{Limiter: l, Weight: 3}},
	}, hours)
	box := claiming(t, "box", map[string][]scheduler.Claim{"box": {{Limiter: l, Weight: 2}}},
		func(string) scheduler.Task { return inner })
	_, err = box.Step(t.Context())
	require.NoError(t, err)
	require.False(t, inner.Started("x"))
	require.True(t, inner.Started("y"), "x is kept two of four that are free, y needs one")
	require.NoError(t, box.Close())
	require.NoError(t, other.Close())
}

func TestGroup_Outcomes_of_timeouts(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{})
	ctx := scheduler.WithClock(t.Context(), clock)
	g, err := scheduler.NewDependencyTaskGroup(graph("a b c:a"), hours, &scheduler.GroupOptions[string]{
		AggregateErrors: true,
		Timeout: func(k string) time.Duration {
			return map[string]time.Duration{"a": time.Minute}[k]
		},
	})
	require.NoError(t, err)
	_, err = g.Step(ctx)
	require.NoError(t, err)
	for o := range g.Outcomes() {
		t.Errorf("%v has not ended", o.Key)
	}
	require.Zero(t, g.Count(scheduler.StateSkipped+1))
	clock.Advance(2 * time.Minute)
	_, err = g.Step(ctx)
	require.NoError(t, err)
	var outcomes []string
	for o := range g.Outcomes() {
		outcomes = append(outcomes, fmt.Sprint(o.Key, " ", o.State))
	}
	require.Equal(t, []string{"a timed out", "c skipped"}, outcomes)
	require.NoError(t, g.Close())
}

// The run that another one is refused in is the outermost, whatever clocks there
// are on the way.
func TestNestedRunError_names_the_outermost_run(t *testing.T) {
	t.Parallel()
	refused := func(ctx context.Context, nest func(scheduler.Task) *scheduler.TaskRunner) string {
		var nested *scheduler.NestedRunError
		err := nest(scheduler.Func(func(ctx context.Context) error {
			return scheduler.Run(ctx, scheduler.Pause(scheduler.Next), &scheduler.RunnerOptions{Name: "refused"})
		})).Run(ctx, 0, 0)
		require.ErrorAs(t, err, &nested)
		return nested.Outer
	}
	clock := schedulertest.NewClock(time.Time{})
	outer := func(task scheduler.Task) *scheduler.TaskRunner {
		return scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Name: "outer"})
	}
	require.Equal(t, "outer", refused(t.Context(), outer))
	require.Equal(t, "outer", refused(scheduler.WithClock(t.Context(), clock), outer))
	require.Equal(t, "outer", refused(t.Context(), func(task scheduler.Task) *scheduler.TaskRunner {
		inner := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Name: "inner", Clock: clock})
		return outer(inner.AsTask(0))
	}))
}

// A runner does not look up for an event that its task does not wait for any more.
func TestTaskRunner_forgets_an_event_of_an_earlier_wait(t *testing.T) {
	t.Parallel()
	var event scheduler.Event
	first := true
	r := scheduler.NewTaskRunner(scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		if first {
			first = false
			return scheduler.Next.Or(scheduler.On(&event)), nil
		}
		return scheduler.Next, nil
	}), nil)
	require.NoError(t, r.Start(t.Context(), 0))
	_, err := r.Step(t.Context())
	require.NoError(t, err)
	event.Set()
	require.False(t, r.Due().Ready())
	require.NoError(t, r.Cancel())
}

// earlyClock returns from every other Wait for no reason.
type earlyClock struct {
	*schedulertest.Clock
	waits int
}

func (c *earlyClock) Wait(until time.Time, wake <-chan struct{}) {
	if c.waits++; c.waits%2 == 0 {
		c.Clock.Wait(until, wake)
	}
}

// A Wait that ends early ends no pause.
func TestRun_goes_on_waiting_after_an_early_end(t *testing.T) {
	t.Parallel()
	clock := &earlyClock{Clock: schedulertest.NewClock(time.Time{})}
	began := clock.Now()
	err := scheduler.Run(t.Context(), scheduler.Pause(scheduler.Rounds(5)), &scheduler.RunnerOptions{Clock: clock, Wait: time.Second})
	require.NoError(t, err)
	require.Equal(t, 4*time.Second, clock.Now().Sub(began), "the first pause is none")
}

// A notice comes in the context of the run.
func TestStop_has_the_clock_of_the_run(t *testing.T) {
	t.Parallel()
	clock := schedulertest.NewClock(time.Time{})
	var noticed time.Time
	r := scheduler.NewTaskRunner(&noticedTask{stop: func(ctx context.Context) { noticed = scheduler.Now(ctx) }},
		&scheduler.RunnerOptions{Clock: clock, Grace: time.Hour})
	require.NoError(t, r.Start(t.Context(), 0))
	r.Stop(nil)
	_, err := r.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, clock.Now(), noticed)
	require.NoError(t, r.Cancel())
}

type noticedTask struct {
	scheduler.StepFunc
	stop func(ctx context.Context)
}

func (n *noticedTask) Step(context.Context) (scheduler.Yield, error) {
	return scheduler.After(time.Hour), nil
}
func (n *noticedTask) Stop(ctx context.Context, _ error) { n.stop(ctx) }

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
			var deadlock *scheduler.DeadlockError
			require.ErrorAs(t, err, &deadlock)
		})
	}
}

func TestWrap_details(t *testing.T) {
	t.Parallel()
	t.Run("no yield of one that is awaited is its failure", func(t *testing.T) {
		var awaited error
		err := scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
			awaited = co.Await(scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.Next); err != nil {
					return err
				}
				return co.Yield(scheduler.Yield{})
			}))
			return co.Yield(scheduler.Next)
		}), nil)
		require.NoError(t, err)
		require.ErrorIs(t, awaited, scheduler.ErrNoYield)
	})
	t.Run("notice before the first step", func(t *testing.T) {
		var cause error
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			cause = co.StopCause()
			return nil
		})
		task.(scheduler.Stopper).Stop(t.Context(), errOops)
		y, err := task.Step(t.Context())
		require.NoError(t, err)
		require.Equal(t, scheduler.Done, y)
		require.Equal(t, errOops, cause)
	})
}

func TestGroup_details(t *testing.T) {
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
		g, err := scheduler.NewDependencyTaskGroup(graph("a b"), func(k string) scheduler.Task {
			if k == "b" {
				return scheduler.Pause(scheduler.After(time.Hour))
			}
			return step(func(context.Context) (scheduler.Yield, error) {
				if slow {
					clock.Advance(time.Minute)
				}
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{ErrorWaitTimeFor: func(k string) time.Duration {
			return map[string]time.Duration{"a": time.Hour, "b": time.Second}[k]
		}})
		require.NoError(t, err)
		_, err = g.Step(ctx)
		require.NoError(t, err)
		_, err = g.Throw(ctx, errOops)
		require.NoError(t, err)
		slow = true
		_, err = g.Step(ctx)
		require.NoError(t, err)
		require.Equal(t, scheduler.StateCancelled, g.State("b"), "in the same round")
		require.NoError(t, g.Close())
	})
	t.Run("who had no notice does not end because of it", func(t *testing.T) {
		g, err := scheduler.NewDependencyTaskGroup(graph("a b"), func(k string) scheduler.Task {
			first := true
			return step(func(context.Context) (scheduler.Yield, error) {
				if k == "a" && !first {
					return scheduler.Yield{}, errOops
				}
				first = false
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{ErrorWaitTime: time.Hour})
		require.NoError(t, err)
		_, err = g.Step(t.Context())
		require.NoError(t, err)
		_, err = g.Throw(t.Context(), errOops)
		require.NoError(t, err)
		_, err = g.Step(t.Context())
		require.NoError(t, err)
		require.Equal(t, scheduler.StateFailed, g.State("a"))
		require.NoError(t, g.Close())
	})
	t.Run("a failure closes calls too, in the same step", func(t *testing.T) {
		ended := false
		_, err := scheduler.All(
			scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				ended = true
				return nil
			}),
			scheduler.Func(func(context.Context) error { return errOops }),
		).Step(t.Context())
		require.ErrorIs(t, err, errOops)
		require.True(t, ended)
	})
	t.Run("a context of a member's own ends with that of the step", func(t *testing.T) {
		type key struct{}
		var seen error
		g, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task {
			return step(func(ctx context.Context) (scheduler.Yield, error) {
				require.Equal(t, "a", ctx.Value(key{}))
				seen = ctx.Err()
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{Context: func(ctx context.Context, k string) context.Context {
			return context.WithValue(ctx, key{}, k)
		}})
		require.NoError(t, err)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		for _, ctx := range []context.Context{t.Context(), over, over, t.Context()} {
			_, err = g.Step(ctx)
			require.NoError(t, err)
			require.Equal(t, ctx.Err(), seen)
		}
		require.NoError(t, g.Close())
	})
	t.Run("of a limit and a grace that end together the limit stays", func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{})
		ctx := scheduler.WithClock(t.Context(), clock)
		g, err := scheduler.NewDependencyTaskGroup(graph("a"), hours, &scheduler.GroupOptions[string]{
			ErrorWaitTime: time.Minute, Timeout: func(string) time.Duration { return time.Minute },
		})
		require.NoError(t, err)
		_, err = g.Step(ctx)
		require.NoError(t, err)
		_, err = g.Throw(ctx, errOops)
		require.NoError(t, err)
		clock.Advance(time.Minute + 1)
		_, err = g.Step(ctx)
		require.ErrorIs(t, err, errOops)
		require.Equal(t, scheduler.StateTimedOut, g.State("a"))
	})
}

// Calls end side by side also when they are deep inside, beside something that
// ends at once.
func TestGroup_calls_deep_inside_are_closed_side_by_side(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside := func() scheduler.Task {
			return scheduler.All(scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				return nil
			}), hours(""))
		}
		g := scheduler.All(inside(), inside(), inside())
		_, err := g.Step(t.Context())
		require.NoError(t, err)
		began := time.Now()
		require.NoError(t, g.Close())
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestGroup_parking_details(t *testing.T) {
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
			g, err := scheduler.NewDependencyTaskGroup(graph("a b"), func(k string) scheduler.Task {
				if k == "a" {
					return counted(&a, func() { clock.Advance(time.Minute) }, scheduler.Next)
				}
				return counted(&b, nil, scheduler.Next)
			}, &scheduler.GroupOptions[string]{RecoverPanics: careful, Timeout: func(k string) time.Duration {
				return map[string]time.Duration{"b": 90 * time.Second}[k]
			}})
			require.NoError(t, err)
			for range 4 {
				require.NoError(t, err)
				_, err = g.Step(ctx)
			}
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
		_, err := g.Step(ctx)
		require.NoError(t, err)
		clock.Advance(time.Second)
		for range 3 {
			_, err = g.Step(ctx)
			require.NoError(t, err)
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
		g, err := scheduler.NewDependencyTaskGroup(graph("c a b"), func(k string) scheduler.Task {
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
				return &fakeThrower{
					fakeTask: fakeTask{step: func(context.Context) (scheduler.Yield, error) {
						steps++
						return scheduler.On(&left), nil
					}},
					throw: func(ctx context.Context, err error) (scheduler.Yield, error) {
						thrown++
						return goOn(ctx, err)
					},
				}
			}
			return &fakeThrower{fakeTask: fakeTask{step: func(context.Context) (scheduler.Yield, error) {
				return scheduler.On(&waited), nil
			}}, throw: goOn}
		}, &scheduler.GroupOptions[string]{ErrorWaitTime: time.Hour, Timeout: func(k string) time.Duration {
			return map[string]time.Duration{"b": time.Minute, "c": time.Second}[k]
		}})
		require.NoError(t, err)
		for range 2 {
			_, err = g.Step(ctx)
			require.NoError(t, err)
			clock.Advance(2 * time.Second)
		}
		late = true
		_, err = g.Step(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, thrown, "in the round in which its time ran out")
		for range 3 {
			_, err = g.Step(ctx)
			require.NoError(t, err)
			require.Equal(t, 1, steps)
		}
		require.NoError(t, g.Close())
	})
	t.Run("nor one that has its slot from another", func(t *testing.T) {
		var set scheduler.Event
		set.Set()
		steps := 0
		g, err := scheduler.NewDependencyTaskGroup(graph("a:c b:c"), func(k string) scheduler.Task {
			switch k {
			case "a": // gets notice right after its first step, when it is woken already
				return &fakeStopper{
					fakeTask: fakeTask{step: func(context.Context) (scheduler.Yield, error) { return scheduler.On(&set), nil }},
					stop:     func(context.Context, error) { panic(errOops) },
				}
			case "b":
				return counted(&steps, nil, scheduler.After(time.Hour))
			}
			return scheduler.Pause(scheduler.Next)
		}, &scheduler.GroupOptions[string]{RecoverPanics: true, AggregateErrors: true})
		require.NoError(t, err)
		_, err = g.Step(t.Context())
		require.NoError(t, err)
		g.Stop(t.Context(), errOops)
		for range 3 {
			_, err = g.Step(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, steps)
		}
		require.Equal(t, scheduler.StateFailed, g.State("a"))
		require.NoError(t, g.Close())
	})
	t.Run("the limit of one that has ended wakes nobody", func(t *testing.T) {
		var event scheduler.Event
		clock := schedulertest.NewClock(time.Time{})
		ctx := scheduler.WithClock(t.Context(), clock)
		steps := 0
		g, err := scheduler.NewDependencyTaskGroup(graph("b:a"), func(k string) scheduler.Task {
			if k == "a" {
				return scheduler.Pause(scheduler.After(time.Second))
			}
			return counted(&steps, nil, scheduler.On(&event))
		}, &scheduler.GroupOptions[string]{Timeout: func(k string) time.Duration {
			return map[string]time.Duration{"a": 10 * time.Second, "b": time.Hour}[k]
		}})
		require.NoError(t, err)
		for range 20 {
			_, err = g.Step(ctx)
			require.NoError(t, err)
			clock.Advance(time.Second)
		}
		require.Equal(t, 1, steps)
		require.NoError(t, g.Close())
	})
}

// Of two that wait for the same of several events, one may leave.
func TestEvent_of_several_is_left_by_one(t *testing.T) {
	t.Parallel()
	var a, b, never scheduler.Event
	both := scheduler.On(&a, &b)
	clock := schedulertest.NewClock(time.Time{})
	ctx := scheduler.WithClock(t.Context(), clock)
	g := claiming(t, "leaves stays", nil, func(k string) scheduler.Task {
		if k == "leaves" {
			return scheduler.Sequence(scheduler.Pause(both.Or(scheduler.After(time.Second))), scheduler.Pause(scheduler.On(&never)))
		}
		return scheduler.Pause(both)
	})
	_, err := g.Step(ctx)
	require.NoError(t, err)
	clock.Advance(time.Second)
	_, err = g.Step(ctx)
	require.NoError(t, err)
	b.Set()
	_, err = g.Step(ctx)
	require.NoError(t, err)
	require.Equal(t, scheduler.StateSucceeded, g.State("stays"))
	require.Equal(t, scheduler.StateRunning, g.State("leaves"))
	require.NoError(t, g.Close())
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
			_, err := g.Step(t.Context())
			require.NoError(t, err)
		}
	}
	require.Equal(t, scheduler.StatePending, own.State("behind"))
	require.NoError(t, other.Close())
	_, err := own.Step(t.Context())
	require.NoError(t, err)
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
	g, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
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
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
	require.Equal(t, want, got)
}

// A group that is full has no use for the time at which it could start more.
func TestGroup_full_does_not_wait_for_an_Interval(t *testing.T) {
	t.Parallel()
	l := scheduler.NewLimiter(scheduler.LimiterOptions{Interval: time.Second})
	clock := schedulertest.NewClock(time.Time{})
	g, err := scheduler.NewDependencyTaskGroup(graph("a b c"), func(k string) scheduler.Task {
		if k == "c" {
			return hours(k)
		}
		return scheduler.Func(func(context.Context) error { return nil })
	}, &scheduler.GroupOptions[string]{Limit: 1, Claims: func(k string) []scheduler.Claim {
		return map[string][]scheduler.Claim{"a": {{Limiter: l, Weight: 1}}, "b": {{Limiter: l, Weight: 1}}}[k]
	}})
	require.NoError(t, err)
	y, err := g.Step(scheduler.WithClock(t.Context(), clock))
	require.NoError(t, err)
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
		outer, err := scheduler.NewDependencyTaskGroup(graph(strings.Join(append([]string{"a b"}, more...), " ")), func(k string) scheduler.Task {
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
		}, &scheduler.GroupOptions[string]{Timeout: timeout, ErrorWaitTime: time.Minute, Budget: budget, Claims: func(k string) []scheduler.Claim {
			return map[string][]scheduler.Claim{
				"a": {{Limiter: l, Weight: 1}}, "b": {{Limiter: m, Weight: 1}},
				"first": {{Limiter: slow, Weight: 1}}, "later": {{Limiter: slow, Weight: 1}},
			}[k]
		}})
		require.NoError(t, err)
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
		var deadlock *scheduler.DeadlockError
		require.ErrorAs(t, run(t, 0, nil, 0, "first later"), &deadlock)
		require.Equal(t, scheduler.StateSucceeded, later)
	})
	t.Run("and so does what had no room in the budget", func(t *testing.T) {
		var deadlock *scheduler.DeadlockError
		require.ErrorAs(t, run(t, 0, nil, 3, "before later:before"), &deadlock)
		require.Equal(t, scheduler.StateSucceeded, later)
	})
	for name, limit := range map[string]time.Duration{"had a limit": time.Minute, "had a grace": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			var deadlock *scheduler.DeadlockError
			require.ErrorAs(t, run(t, 0, func(k string) time.Duration {
				return map[string]time.Duration{"limited": limit}[k]
			}, 0, "limited"), &deadlock)
		})
	}
}
