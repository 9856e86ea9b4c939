package scheduler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// grown is a group with KeepOpen whose tasks may add to it.
type grown struct {
	*scheduler.DependencyTaskGroup[string]
	journal
	clock *schedulertest.Clock
	began time.Time
	does  map[string]func(co *scheduler.Coroutine) error // by key; else it takes a second
}

func newGrown(t *testing.T, deps string, opts *scheduler.GroupOptions[string]) *grown {
	g := &grown{clock: newClock(), does: map[string]func(*scheduler.Coroutine) error{}}
	g.began = g.clock.Now()
	if opts == nil {
		opts = &scheduler.GroupOptions[string]{}
	}
	opts.KeepOpen = true
	g.DependencyTaskGroup = newGroup(t, deps, g.task, opts)
	return g
}

func (g *grown) task(k string) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		g.add("%v %s", g.clock.Now().Sub(g.began), k)
		if do := g.does[k]; do != nil {
			return do(co)
		}
		return co.Yield(scheduler.After(time.Second))
	})
}

// does one thing, and ends at once.
func once(do func()) func(*scheduler.Coroutine) error {
	return func(*scheduler.Coroutine) error { do(); return nil }
}

func (g *grown) run(t *testing.T) error {
	return scheduler.Run(t.Context(), g.DependencyTaskGroup, &scheduler.RunnerOptions{Clock: g.clock})
}

func (g *grown) Add(k string, required ...string) error {
	return g.DependencyTaskGroup.Add(k, required...)
}

func TestAdd_inside_steps(t *testing.T) {
	t.Parallel()
	g := newGrown(t, "b:a c", nil)
	g.does["a"] = once(func() {
		require.NoError(t, g.Add("x", "a", "c", "c"))
		require.NoError(t, g.Add("y", "x"))
		require.NoError(t, g.Add("z"))
		require.Equal(t, scheduler.StatePending, g.State("y"))
		require.Equal(t, 6, g.Len())
	})
	g.does["z"] = func(co *scheduler.Coroutine) error {
		for i := range 200 { // beyond a word of the sets, and a level of them
			require.NoError(t, g.Add(fmt.Sprint("n", i), "z"))
			g.does[fmt.Sprint("n", i)] = once(func() {})
		}
		return co.Yield(scheduler.After(time.Second))
	}
	g.does["y"] = once(func() {
		require.NoError(t, g.Add("last", "a"))
		g.CloseInput()
		require.ErrorIs(t, g.Add("more"), scheduler.ErrInputClosed)
	})
	require.NoError(t, g.run(t))
	require.Equal(t, 207, g.Count(scheduler.StateSucceeded))
	require.Regexp(t, "^0s a, 0s b, 0s c, 0s z, 1s x, 1s n0, 1s n1, 1s n2,.* 1s n199, 2s y, 2s last$",
		g.take())
}

// Between two steps, for nodes in every state.
func TestAdd_between_steps(t *testing.T) {
	t.Parallel()
	g := newGrown(t, "bad ok gone:bad", &scheduler.GroupOptions[string]{AggregateErrors: true})
	broken := errors.New("broken")
	g.does["bad"] = func(*scheduler.Coroutine) error { return broken }
	require.NoError(t, g.Add("early", "ok"), "before the first step")
	r := startRunner(t, g.DependencyTaskGroup, &scheduler.RunnerOptions{Clock: g.clock})
	idle := func() {
		for g.Count(scheduler.StateRunning)+g.Count(scheduler.StatePending) > 0 {
			if at, ok := r.Due().Time(); ok {
				g.clock.Advance(max(0, at.Sub(g.clock.Now())))
			}
			mustStep(t, t.Context(), r)
		}
	}
	idle()
	require.False(t, r.Due().Ready(), "it waits")
	_, timed := r.Due().Time()
	require.False(t, timed)
	require.Zero(t, r.Due().Rounds())
	require.NoError(t, g.Add("after bad", "ok", "bad"))
	require.Equal(t, scheduler.StateSkipped, g.State("after bad"), "at once")
	require.NoError(t, g.Add("after gone", "gone"))
	require.NoError(t, g.Add("after that", "after bad"))
	require.NoError(t, g.Add("late", "early"))
	require.True(t, r.Due().Ready())
	idle()
	require.Equal(t, scheduler.StateSkipped, g.State("after that"))
	require.Equal(t, scheduler.StateSucceeded, g.State("late"))
	g.CloseInput()
	require.True(t, r.Due().Ready())
	require.EqualError(t, r.RunToCompletion(t.Context(), 0), "1 task failed:\n- bad: broken")
	require.Equal(t, "bad failed: bad: broken\ngone skipped: bad: broken because of bad\nafter bad skipped: bad: broken because of bad\n"+
		"after gone skipped: bad: broken because of bad\nafter that skipped: bad: broken because of bad", outcomes(g.DependencyTaskGroup))
	require.ErrorIs(t, g.Add("never"), scheduler.ErrInputClosed)
}

// What cannot be added leaves the group as it is.
func TestAdd_refused(t *testing.T) {
	t.Parallel()
	var fromObserver, fromOnError, fromCompleted error
	var g *grown
	g = newGrown(t, "a b", &scheduler.GroupOptions[string]{
		OnError: func(string, error) scheduler.Disposition {
			fromOnError = g.Add("x", "a")
			return scheduler.IgnoreError
		},
		Observer: scheduler.ObserverFunc(func(r scheduler.Record) {
			if r.To == scheduler.StateFailed {
				fromObserver = g.Add("x", "a")
			}
		}),
		Completed: func(k string) bool {
			if k == "c" {
				fromCompleted = g.Add("x", "a")
			}
			return false
		},
	})
	g.does["a"] = func(*scheduler.Coroutine) error { return errors.New("broken") }
	g.does["b"] = once(func() {
		before := g.Len()
		for _, c := range []struct {
			err  error
			is   error
			text string
		}{
			{g.Add("a"), scheduler.ErrNodeExists, "scheduler: a not added: it is in the group already, and edges into it cannot be added; run a group inside it"},
			{g.Add("q", "a", "nobody"), scheduler.ErrNodeUnknown, "scheduler: q not added: it requires nobody, which is not in the group"},
			{g.Add("q", "q"), scheduler.ErrNodeUnknown, "scheduler: q not added: it requires q, which is not in the group"},
		} {
			require.ErrorIs(t, c.err, c.is)
			require.EqualError(t, c.err, c.text)
			require.Contains(t, []any{"a", "q"}, asError[*scheduler.AddError](t, c.err).Key)
		}
		require.Equal(t, before, g.Len())
		require.NoError(t, g.Add("c", "a", "b"))
		g.CloseInput()
		require.EqualError(t, g.Add("x"), "scheduler: x not added: CloseInput was called")
	})
	require.NoError(t, g.run(t))
	require.EqualError(t, fromObserver, "scheduler: x not added: Add was called by an Observer")
	require.EqualError(t, fromOnError, "scheduler: x not added: Add was called by a function of the group's options")
	require.EqualError(t, fromCompleted, "scheduler: x not added: Add was called by a function of the group's options")
	require.NotErrorIs(t, fromObserver, scheduler.ErrInputClosed)
	require.EqualError(t, g.Add("x"), "scheduler: x not added: CloseInput was called")
	require.Equal(t, scheduler.StateSucceeded, g.State("c"), "the failure of what it requires was ignored")

	fixed := newGroup(t, "a", second, nil)
	require.EqualError(t, fixed.Add("x"), "scheduler: x not added: the group is without KeepOpen")
	fixed.CloseInput()
	reverse := newGroup(t, "a", second, &scheduler.GroupOptions[string]{KeepOpen: true, Reverse: true})
	require.EqualError(t, reverse.Add("x"), "scheduler: x not added: the group goes in reverse")
	require.ErrorIs(t, reverse.Add("x"), scheduler.ErrInputClosed)
	var zero scheduler.DependencyTaskGroup[string]
	require.ErrorAs(t, zero.Add("x"), new(*scheduler.OptionError))
	zero.CloseInput()
	require.Zero(t, zero.Dependencies().Len())
	err := scheduler.Walk(t.Context(), graph("a"), func(context.Context, string) error { return nil }, &scheduler.GroupOptions[string]{KeepOpen: true})
	require.Equal(t, "GroupOptions.KeepOpen", asError[*scheduler.OptionError](t, err).Option)
}

// A key that cannot be compared panics, as with a map, and nothing has changed.
func TestAdd_panics_for_keys_that_cannot_be_compared(t *testing.T) {
	t.Parallel()
	g := groupOver(t, scheduler.NewDependencies[any](), func(any) scheduler.Task { return lasting(0, nil) },
		&scheduler.GroupOptions[any]{KeepOpen: true})
	require.NoError(t, g.Add(1))
	require.Panics(t, func() { _ = g.Add([]int{1}) })
	require.Panics(t, func() { _ = g.Add(2, 1, []int{1}) })
	require.NoError(t, g.Add(2, 1))
	require.Equal(t, 2, g.Len())
	g.CloseInput()
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
}

// A group that is open when it is stopped has not come to its end.
func TestKeepOpen_is_stopped(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	for _, c := range []struct {
		name string
		do   func(r *scheduler.TaskRunner, g *grown)
		want string // short text of the result
	}{
		{"Stop", func(r *scheduler.TaskRunner, _ *grown) { r.Stop(stop) }, "stop"},
		{"notice", func(_ *scheduler.TaskRunner, g *grown) {
			g.Stop(scheduler.WithClock(context.Background(), g.clock), stop)
		}, "stop"},
		{"notice, then CloseInput", func(_ *scheduler.TaskRunner, g *grown) {
			g.Stop(scheduler.WithClock(context.Background(), g.clock), stop)
			g.CloseInput()
		}, ""},
		{"Interrupt", func(r *scheduler.TaskRunner, _ *grown) { r.Interrupt(stop) }, "stop"},
		{"Kill", func(r *scheduler.TaskRunner, _ *grown) { r.Kill() }, scheduler.ErrCancelled.Error()},
		{"Cancel", func(r *scheduler.TaskRunner, _ *grown) { _ = r.Cancel() }, scheduler.ErrCancelled.Error()},
		{"Drain", func(_ *scheduler.TaskRunner, g *grown) { g.Drain() }, ""},
		{"Drain with a node left", func(_ *scheduler.TaskRunner, g *grown) { g.Drain(); _ = g.Add("left") }, scheduler.ErrDrained.Error()},
		{"CloseInput", func(_ *scheduler.TaskRunner, g *grown) { g.CloseInput() }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGrown(t, "a", nil)
			g.does["a"] = once(func() {})
			r := startRunner(t, g.DependencyTaskGroup, &scheduler.RunnerOptions{Clock: g.clock, Grace: time.Minute})
			require.False(t, r.Done())
			c.do(r, g)
			if c.name != "Cancel" {
				_ = r.RunToCompletion(t.Context(), 0)
			}
			require.True(t, r.Done())
			if c.want == "" {
				require.NoError(t, r.Err())
			} else {
				require.ErrorContains(t, r.Err(), c.want)
			}
			require.Equal(t, scheduler.StateSucceeded, g.State("a"))
			if c.name != "Drain with a node left" {
				require.ErrorIs(t, g.Add("late"), scheduler.ErrInputClosed)
			}
		})
	}
	t.Run("the runner's time limit", func(t *testing.T) {
		g := newGrown(t, "a", nil)
		err := scheduler.Run(t.Context(), g.DependencyTaskGroup, &scheduler.RunnerOptions{Clock: g.clock, Timeout: time.Minute, Grace: time.Second})
		require.ErrorAs(t, err, new(*scheduler.Timeout))
	})
	t.Run("a failure", func(t *testing.T) {
		g := newGrown(t, "a", nil)
		g.does["a"] = func(*scheduler.Coroutine) error { return stop }
		require.EqualError(t, g.run(t), "a: stop")
		require.EqualError(t, g.Add("late"), "scheduler: late not added: the group has ended")
	})
	t.Run("while others have their grace", func(t *testing.T) {
		g := newGrown(t, "a b", &scheduler.GroupOptions[string]{Grace: time.Minute})
		var late error
		g.does["a"] = func(*scheduler.Coroutine) error { return stop }
		g.does["b"] = func(co *scheduler.Coroutine) error {
			err := co.Yield(scheduler.After(time.Second))
			late = g.Add("late", "b")
			return err
		}
		g.does["a"] = func(co *scheduler.Coroutine) error { _ = co.Yield(scheduler.Next); return stop }
		require.EqualError(t, g.run(t), "a: stop")
		require.EqualError(t, late, "scheduler: late not added: the group was stopped")
	})
}

// What cannot be added because of a stop is no failure of the node that adds: the error
// wraps the notice, whatever is around the coroutine and whatever stopped the group.
func TestAdd_after_a_stop(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for how, stop := range map[string]func(r *scheduler.TaskRunner, cancel func(error)){
		"Stop":               func(r *scheduler.TaskRunner, _ func(error)) { r.Stop(cause) },
		"Interrupt":          func(r *scheduler.TaskRunner, _ func(error)) { r.Interrupt(cause) },
		"Kill":               func(r *scheduler.TaskRunner, _ func(error)) { r.Kill() },
		"end of the context": func(_ *scheduler.TaskRunner, cancel func(error)) { cancel(cause) },
		"failure":            func(*scheduler.TaskRunner, func(error)) {},
	} {
		for name, put := range holdersOf("itself", "renamed", "Sequence", "All", "AsTask", "Retry", "Finally") {
			t.Run(how+" "+name, func(t *testing.T) {
				var g *scheduler.DependencyTaskGroup[string]
				var late error
				g = newGroup(t, "a b", func(k string) scheduler.Task {
					if k == "b" {
						if how == "failure" {
							return lasting(1, cause)
						}
						return lasting(3600, nil)
					}
					return put(scheduler.Wrap(func(co *scheduler.Coroutine) error {
						_ = co.Yield(scheduler.On(co.Stopping()))
						late = g.Add("late")
						return fmt.Errorf("one more: %w", late)
					}))
				}, &scheduler.GroupOptions[string]{KeepOpen: true})
				clock := newClock()
				r := scheduler.NewTaskRunner(g, &scheduler.RunnerOptions{Clock: clock, Grace: time.Minute})
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				require.NoError(t, r.Start(ctx, 0))
				stop(r, cancel)
				err := r.RunToCompletion(ctx, 0)
				require.EqualError(t, late, "scheduler: late not added: the group was stopped")
				require.ErrorIs(t, late, scheduler.ErrInputClosed)
				require.True(t, scheduler.Interrupted(late))
				require.Equal(t, scheduler.StateCancelled, g.State("a"), "%v", g.Err("a"))
				if how != "Kill" {
					require.ErrorIs(t, late, cause)
					require.ErrorIs(t, err, cause)
				}
				require.NotContains(t, fmt.Sprint(err), "late")
			})
		}
	}
}

// Members that are closed at once cannot add any more, whoever closes them.
func TestAdd_in_Close(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"Close", "Timeout", "its own limit"} {
		t.Run(how, func(t *testing.T) {
			var g *scheduler.DependencyTaskGroup[string]
			var late error
			opts := &scheduler.GroupOptions[string]{KeepOpen: true, AggregateErrors: true}
			if how == "its own limit" {
				opts.Timeout = func(k string) time.Duration { return time.Second * time.Duration(2-len(k)) }
			}
			clock := newClock()
			g = newGroup(t, "a", func(k string) scheduler.Task {
				if k != "a" {
					return lasting(0, nil)
				}
				return (&fakeTask{step: forever, close: func() error {
					late = g.Add("bb", "a")
					if how == "its own limit" {
						g.CloseInput()
					}
					return nil
				}}).task()
			}, opts)
			r := startRunner(t, g, &scheduler.RunnerOptions{Clock: clock})
			switch how {
			case "Close":
				_ = r.Cancel()
			case "Timeout":
				r.Interrupt(&scheduler.Timeout{})
				_, _ = r.Step(t.Context())
			default:
				_ = r.RunToCompletion(t.Context(), time.Second)
				require.NoError(t, late, "the group goes on")
				require.Equal(t, scheduler.StateSkipped, g.State("bb"), "with what it requires")
				return
			}
			require.EqualError(t, late, "scheduler: bb not added: the group was stopped")
		})
	}
}

// A node that has failed and still has to end is lost, one whose failure was
// ignored is waited for.
func TestAdd_requires_a_node_that_is_closing(t *testing.T) {
	t.Parallel()
	for _, d := range []scheduler.Disposition{scheduler.SkipDependents, scheduler.IgnoreError} {
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(t, "a b", func(k string) scheduler.Task {
				if k == "a" {
					return scheduler.Blocking(stubborn(time.Minute))
				}
				return lasting(0, nil)
			}, &scheduler.GroupOptions[string]{
				KeepOpen: true, OnError: func(string, error) scheduler.Disposition { return d },
				Timeout: func(k string) time.Duration { return map[string]time.Duration{"a": time.Second}[k] },
			})
			r := startRunner(t, g, nil)
			for g.State("a") != scheduler.StateClosing {
				sleep(time.Second)
				mustStep(t, t.Context(), r)
			}
			require.NoError(t, g.Add("c", "b", "a"))
			g.CloseInput()
			if d == scheduler.SkipDependents {
				require.Equal(t, scheduler.StateSkipped, g.State("c"))
			} else {
				require.Equal(t, scheduler.StatePending, g.State("c"))
			}
			err := r.RunToCompletion(t.Context(), 0)
			if d == scheduler.SkipDependents {
				require.ErrorAs(t, err, new(*scheduler.Timeout))
				require.Equal(t, scheduler.StateSkipped, g.State("c"))
			} else {
				require.NoError(t, err)
				require.Equal(t, scheduler.StateSucceeded, g.State("c"))
			}
		})
	}
}

// Nodes that count as done keep their rules: they free what requires them once all
// that they require themselves is done, and never if that is lost.
// An added node is explained by what it still waits for.
func TestAdd_is_explained(t *testing.T) {
	g := newGroup(t, "done runs", func(k string) scheduler.Task {
		if k == "done" {
			return nothing(k)
		}
		return hours(k)
	}, &scheduler.GroupOptions[string]{KeepOpen: true})
	mustStep(t, t.Context(), g)
	require.NoError(t, g.Add("late", "done", "runs"))
	require.Equal(t, []string{"runs"}, g.ExplainNode("late").Requires)
	require.NoError(t, g.Close())
}

// A node that is closing and has not failed yet is waited for.
func TestAdd_requires_a_node_that_is_closing_by_an_order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "a", func(string) scheduler.Task { return deafFor(time.Minute, nil) },
			&scheduler.GroupOptions[string]{KeepOpen: true, AggregateErrors: true})
		mustStep(t, t.Context(), g)
		require.True(t, g.StopNode("a", errOops))
		mustStep(t, t.Context(), g)
		require.Equal(t, scheduler.StateClosing, g.State("a"))
		require.NoError(t, g.Add("late", "a"))
		require.Equal(t, scheduler.StatePending, g.State("late"))
		g.CloseInput()
		require.Error(t, scheduler.Run(t.Context(), g, nil))
		require.Equal(t, scheduler.StateSkipped, g.State("late"))
		require.Contains(t, outcomes(g), "because of a")
	})
}

// A node that is added when several that it requires have failed is lost for the failure
// that came first.
func TestAdd_requires_several_that_are_lost(t *testing.T) {
	for _, first := range []string{"a", "b", "c"} {
		t.Run(first, func(t *testing.T) {
			g := newGroup(t, "other a b c", func(k string) scheduler.Task {
				if k == first || k == "other" {
					return failsWith(errOops)
				}
				return scheduler.Sequence(scheduler.Pause(scheduler.Next), failsWith(errOther))
			}, &scheduler.GroupOptions[string]{KeepOpen: true, AggregateErrors: true})
			for range 2 {
				mustStep(t, t.Context(), g)
			}
			require.NoError(t, g.Add("late", "a", "b", "c"))
			require.Contains(t, outcomes(g), "late skipped: "+first+": oops because of "+first)
			require.NoError(t, g.Add("later", "late"))
			require.Contains(t, outcomes(g), "later skipped: "+first+": oops because of "+first)
			g.CloseInput()
			require.Error(t, scheduler.Run(t.Context(), g, nil))
		})
	}
}

// A drained group waits for no more nodes, and has not been cut short by the notice that
// it had before.
func TestKeepOpen_is_drained(t *testing.T) {
	t.Run("before it begins", func(t *testing.T) {
		g := newGroup(t, "a", hours, &scheduler.GroupOptions[string]{KeepOpen: true})
		var b bytes.Buffer
		_, err := g.WriteTo(&b)
		require.NoError(t, err)
		require.Contains(t, b.String(), "open for more nodes")
		g.Drain()
		b.Reset()
		_, err = g.WriteTo(&b)
		require.NoError(t, err)
		require.NotContains(t, b.String(), "open for more nodes")
		require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), scheduler.ErrDrained)
	})
	t.Run("after a notice", func(t *testing.T) {
		g := newGroup(t, "a", func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
			&scheduler.GroupOptions[string]{KeepOpen: true})
		mustStep(t, t.Context(), g)
		g.Stop(t.Context(), errOops)
		g.Drain()
		require.Equal(t, scheduler.Done, mustStep(t, t.Context(), g))
	})
}

func TestAdd_Completed(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{false, true} {
		done := func(k string) bool { return strings.HasPrefix(k, "done") }
		g := newGrown(t, "a", &scheduler.GroupOptions[string]{Completed: done, AggregateErrors: true})
		g.does["a"] = func(co *scheduler.Coroutine) error {
			require.NoError(t, g.Add("done1", "a"))
			require.Equal(t, scheduler.StateSucceeded, g.State("done1"))
			require.NoError(t, g.Add("done2", "done1"))
			require.NoError(t, g.Add("b", "done2"))
			require.NoError(t, g.Add("free"))
			_ = co.Yield(scheduler.After(time.Second))
			if fails {
				return errors.New("broken")
			}
			return nil
		}
		g.does["free"] = func(co *scheduler.Coroutine) error {
			_ = co.Yield(scheduler.After(2 * time.Second))
			require.NoError(t, g.Add("late", "done2"))
			g.CloseInput()
			return nil
		}
		err := g.run(t)
		require.False(t, g.Started("done1"))
		if fails {
			require.EqualError(t, err, "1 task failed:\n- a: broken")
			require.Equal(t, "a failed: a: broken\nb skipped: a: broken because of a\nlate skipped: a: broken because of a", outcomes(g.DependencyTaskGroup))
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "0s a, 0s free, 1s b, 2s late", g.take())
	}
}

// One that is added when what it requires has failed already frees nothing either.
func TestAdd_Completed_that_is_lost_already(t *testing.T) {
	t.Parallel()
	g := newGroup(t, "a", func(k string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			if k == "a" {
				return errSpace
			}
			return nil
		})
	}, &scheduler.GroupOptions[string]{
		KeepOpen: true, AggregateErrors: true, Completed: func(k string) bool { return k == "done" },
	})
	mustStep(t, t.Context(), g)
	require.Equal(t, scheduler.StateFailed, g.State("a"))
	require.NoError(t, g.Add("done", "a"))
	require.NoError(t, g.Add("b", "done"))
	require.Equal(t, scheduler.StateSucceeded, g.State("done"))
	require.Equal(t, scheduler.StateSkipped, g.State("b"))
	require.NoError(t, g.Add("c", "b"))
	g.CloseInput()
	_, err := g.Step(t.Context())
	require.EqualError(t, err, "1 task failed:\n- a: no space")
	require.Equal(t, "a failed: a: no space\nb skipped: a: no space because of a\nc skipped: a: no space because of a", outcomes(g))
}

// randomDeps returns the text of a graph of 8 nodes.
func randomDeps(seed int) string {
	random := rand.New(rand.NewPCG(uint64(seed), 7))
	var nodes []string
	for i := range 8 {
		var required []string
		for j := range i {
			if random.IntN(4) == 0 {
				required = append(required, string(rune('a'+j)))
			}
		}
		nodes = append(nodes, string(rune('a'+i))+":"+strings.Join(required, ","))
	}
	return strings.Join(nodes, " ")
}

// Added one by one before the first step, a graph runs as if it had been there.
func TestAdd_equals_fixed(t *testing.T) {
	t.Parallel()
	for seed := range 300 {
		deps := randomDeps(seed)
		task := func(k string) scheduler.Task {
			if (seed+int(k[0]))%7 == 0 {
				return lasting(1, errors.New("broken"))
			}
			return lasting(int(k[0]+byte(seed))%3, nil)
		}
		run := func(g *scheduler.DependencyTaskGroup[string], recorder *schedulertest.Recorder, clock *schedulertest.Clock) string {
			err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: clock})
			return fmt.Sprint(err, recorder.String(), outcomes(g), g.Dependencies())
		}
		options := func() (scheduler.GroupOptions[string], *schedulertest.Recorder, *schedulertest.Clock) {
			clock := newClock()
			recorder := schedulertest.NewRecorder(clock)
			return scheduler.GroupOptions[string]{AggregateErrors: seed%2 == 0, Limit: seed % 4, Budget: seed % 3, Observer: recorder}, recorder, clock
		}
		opts, recorder, clock := options()
		all := graph(deps)
		want := run(newGroup(t, deps, task, &opts), recorder, clock)

		opts, recorder, clock = options()
		opts.KeepOpen = true
		g := groupOver(t, scheduler.NewDependencies[string](), task, &opts)
		for k := range all.All() {
			var required []string
			for r := range all.Requires(k) {
				required = append(required, r)
			}
			require.NoError(t, g.Add(k, required...))
		}
		g.CloseInput()
		require.Equal(t, want, run(g, recorder, clock), "seed %d %s", seed, deps)
	}
}

// A stream of nodes takes memory for those that have not ended, and a few bytes for
// each that has, also if each one claims something else.
func TestAdd_keeps_little_of_a_node_that_has_ended(t *testing.T) {
	shared := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1000})
	for name, test := range map[string]struct {
		claims func(int) []scheduler.Claim
		most   float64
	}{
		"":            {nil, 80},
		"same claims": {func(int) []scheduler.Claim { return []scheduler.Claim{{Limiter: shared, Weight: 1}} }, 90},
		"claims of its own": {func(int) []scheduler.Claim {
			own := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
			return []scheduler.Claim{{Limiter: shared, Weight: 1}, {Limiter: own, Weight: 1}}
		}, 90},
	} {
		t.Run(name, func(t *testing.T) { requireLittleOfNodes(t, test.claims, test.most) })
	}
}

func requireLittleOfNodes(t *testing.T, claims func(int) []scheduler.Claim, most float64) {
	const live = 100
	g := groupOver(t, scheduler.NewDependencies[int](), func(int) scheduler.Task {
		return scheduler.Pause(scheduler.Rounds(live))
	}, &scheduler.GroupOptions[int]{KeepOpen: true, Claims: claims})
	require.NoError(t, g.Add(0))
	require.Less(t, bytesOfNode(t, func(k int) {
		require.NoError(t, g.Add(k+1, max(0, k-live))) // which may just run yet
		mustStep(t, t.Context(), g)
		require.LessOrEqual(t, g.Count(scheduler.StatePending)+g.Count(scheduler.StateRunning), 2*live+2)
	}), most)
	g.CloseInput()
}

// bytesOfNode returns how much each of very many nodes leaves behind, which add adds.
func bytesOfNode(t *testing.T, add func(k int)) float64 {
	const each = 10_000
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := 0.0
	for k := range 4 * each {
		if k == each {
			before = heap()
		}
		add(k)
	}
	perNode := (heap() - before) / (3 * each)
	t.Logf("%.0f bytes for each node", perNode)
	return perNode
}

// A service that has ended takes no more than another node, and one that was skipped or
// stopped no more than one that has failed.
func TestAdd_keeps_little_of_services_and_of_what_was_skipped(t *testing.T) {
	open := func(task func(int) scheduler.Task) *scheduler.DependencyTaskGroup[int] {
		return groupOver(t, scheduler.NewDependencies[int](), task,
			&scheduler.GroupOptions[int]{KeepOpen: true, AggregateErrors: true})
	}
	services := open(func(int) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			co.Ready()
			return co.Yield(scheduler.Next)
		})
	})
	require.NoError(t, services.Add(-1))
	require.Less(t, bytesOfNode(t, func(k int) {
		require.NoError(t, services.Add(k, k-1)) // which is ready, or has just ended
		mustStep(t, t.Context(), services)
		require.LessOrEqual(t, services.Count(scheduler.StateReady), 2)
	}), 80.0)

	for name, end := range map[string]func(g *scheduler.DependencyTaskGroup[int], k int) bool{
		"skipped": func(g *scheduler.DependencyTaskGroup[int], k int) bool { return g.SkipNode(k, nil) },
		"stopped": func(g *scheduler.DependencyTaskGroup[int], k int) bool { return g.StopNode(k, nil) },
	} {
		g := open(func(int) scheduler.Task { return scheduler.Pause(scheduler.On(&scheduler.Event{})) })
		ended := 0
		require.Less(t, bytesOfNode(t, func(k int) {
			require.NoError(t, g.Add(k))
			if k%2 == 0 { // else it runs
				require.True(t, end(g, k))
			}
			mustStep(t, t.Context(), g)
			if k%2 == 1 {
				require.True(t, end(g, k))
			}
			ended++
		}), 220.0, name)
		mustStep(t, t.Context(), g)
		require.Equal(t, ended, g.Count(scheduler.StateSkipped)+g.Count(scheduler.StateFailed))
		g.CloseInput()
	}
	require.NoError(t, services.Close())
}

// What nobody waits for any more is dropped while nodes come and go, and what somebody
// waits for is not.
func TestAdd_keeps_who_waits_for_claims(t *testing.T) {
	t.Parallel()
	gate := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
	other := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
	var open scheduler.Event
	var started []int
	g := groupOver(t, scheduler.NewDependencies[int](), func(k int) scheduler.Task {
		if k >= 1000 {
			return scheduler.Pause(scheduler.Next)
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if started = append(started, k); k < 2 {
				return co.Yield(scheduler.On(&open))
			}
			return nil
		})
	}, &scheduler.GroupOptions[int]{KeepOpen: true, Claims: func(k int) []scheduler.Claim {
		switch {
		case k >= 1000:
			return []scheduler.Claim{{Limiter: scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: k}), Weight: k}}
		case k%2 == 0:
			return []scheduler.Claim{{Limiter: gate, Weight: 1}}
		}
		return []scheduler.Claim{{Limiter: gate, Weight: 1}, {Limiter: other, Weight: 1}}
	}})
	for k := range 6 {
		require.NoError(t, g.Add(k))
	}
	for k := range 500 {
		require.NoError(t, g.Add(1000+k))
		mustStep(t, t.Context(), g)
	}
	require.Equal(t, []int{0}, started)
	require.Equal(t, []int{2, 1}, []int{gate.Waiting(), other.Waiting()})
	require.NoError(t, g.Add(6))
	require.Equal(t, 2, gate.Waiting(), "it waits among those that claim the same")
	open.Set()
	g.CloseInput()
	require.NoError(t, scheduler.Run(t.Context(), g, nil))
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6}, started)
	require.Equal(t, []int{0, 0, 0}, []int{gate.InUse(), gate.Waiting(), other.InUse()})
}

func TestDependencyTaskGroup_Dependencies(t *testing.T) {
	t.Parallel()
	g := newGrown(t, "b:a c:b,a", nil)
	require.NoError(t, g.Add("d", "c", "a"))
	require.Equal(t, "a\nb -> a\nc -> a, b\nd -> a, c", g.Dependencies().String())
	require.Empty(t, slices.Collect(g.Dependencies().Undeclared()))
	// Out of order, and in reverse.
	reverse := newGroup(t, "y:x z:y x:w a", second, &scheduler.GroupOptions[string]{Reverse: true})
	require.Equal(t, "z -> y\ny -> x\nx -> w\nw\na", reverse.Dependencies().String())
	again := groupOver(t, reverse.Dependencies(), second, &scheduler.GroupOptions[string]{Reverse: true})
	require.Equal(t, maps.Collect(reverse.All()), maps.Collect(again.All()))
	var order, orderAgain []string
	for k := range reverse.All() {
		order = append(order, k)
	}
	for k := range again.All() {
		orderAgain = append(orderAgain, k)
	}
	require.Equal(t, order, orderAgain)
}

// The graph of the beginning may be out of order, and is shared with other groups.
func TestAdd_leaves_the_given_Dependencies_alone(t *testing.T) {
	t.Parallel()
	deps := graph("y:x z:y x:w a")
	before := deps.String()
	first := groupOver(t, deps, second, &scheduler.GroupOptions[string]{KeepOpen: true})
	require.NoError(t, first.Add("q", "a", "z", "w"))
	require.NoError(t, first.Add("r", "q", "x"))
	other := groupOver(t, deps, second, nil)
	require.Equal(t, before, deps.String())
	require.Equal(t, 5, other.Len())
	require.Equal(t, "w\nx -> w\ny -> x\nz -> y\na\nq -> w, z, a\nr -> x, q", first.Dependencies().String())
	require.Equal(t, []string{"w", "z", "a"}, slices.Collect(first.WaitsFor("q")))
	var dot strings.Builder
	require.NoError(t, first.WriteDOT(&dot))
	require.Contains(t, dot.String(), "n5 -> n4")
	first.CloseInput()
	clock := newClock()
	require.NoError(t, scheduler.Run(t.Context(), first, &scheduler.RunnerOptions{Clock: clock}))
	require.NoError(t, scheduler.Run(t.Context(), other, &scheduler.RunnerOptions{Clock: clock}))
}

// An Observer hears of each node that is added, and at once of what becomes of it.
func TestAdd_is_told(t *testing.T) {
	t.Parallel()
	var told journal
	g := newGrown(t, "a bad", &scheduler.GroupOptions[string]{
		AggregateErrors: true, Limit: 1,
		Completed: func(k string) bool { return k == "done" },
		Estimate:  func(k string) time.Duration { return time.Duration(len(k)) * time.Second },
		Priority:  func(k string) int { return len(k) },
		Observer: scheduler.ObserverFunc(func(r scheduler.Record) {
			told.add("%s %v", r.Key(), r.To)
		}),
	})
	g.does["bad"] = func(*scheduler.Coroutine) error { return errors.New("broken") }
	g.does["a"] = once(func() {
		told.take()
		require.NoError(t, g.Add("done", "a"))
		require.NoError(t, g.Add("lost", "a", "bad"))
		require.NoError(t, g.Add("x"))
		require.NoError(t, g.Add("long"))
		require.Equal(t, "done succeeded, lost skipped", told.take())
		g.CloseInput()
		g.CloseInput()
	})
	require.EqualError(t, g.run(t), "1 task failed:\n- bad: broken")
	require.Equal(t, "a succeeded, x running, x succeeded, long running, long succeeded", told.take(),
		"in the order of Add, whatever their estimates and priorities are")
}

// The record of a node that is added comes first, and those that were added before the
// first step are there when the group begins.
func TestAdd_is_told_as_NodeAdded(t *testing.T) {
	t.Parallel()
	o := &addedObserver{}
	g := newGrown(t, "a", &scheduler.GroupOptions[string]{
		Observer: o, Completed: func(k string) bool { return k == "done" },
	})
	require.NoError(t, g.Add("before"))
	g.does["a"] = once(func() {
		require.NoError(t, g.Add("done"))
		require.NoError(t, g.Add("b", "done"))
		g.CloseInput()
	})
	require.NoError(t, g.run(t))
	require.Equal(t, "done is succeeded, of 3, b is pending, of 4", o.take())
}

// The options hold for nodes that are added as well.
func TestAdd_heeds_the_options(t *testing.T) {
	t.Parallel()
	l := limiter(1)
	g := newGrown(t, "a", &scheduler.GroupOptions[string]{
		Claims:  func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} },
		Timeout: func(k string) time.Duration { return map[string]time.Duration{"late": time.Second}[k] },
		OnError: func(string, error) scheduler.Disposition { return scheduler.SkipDependents },
		Context: func(ctx context.Context, k string) context.Context { return context.WithValue(ctx, ctxKey{}, k) },
	})
	g.does["a"] = once(func() {
		for _, k := range []string{"x", "late", "y"} {
			require.NoError(t, g.Add(k))
		}
		require.NoError(t, g.Add("after", "late", "y"))
		g.CloseInput()
	})
	g.does["x"] = func(co *scheduler.Coroutine) error {
		require.Equal(t, "x", co.Context().Value(ctxKey{}))
		return co.Yield(scheduler.After(time.Minute))
	}
	g.does["late"] = func(co *scheduler.Coroutine) error { return co.Yield(scheduler.After(time.Hour)) }
	require.ErrorAs(t, g.run(t), new(*scheduler.Timeout))
	require.Equal(t, "0s a, 0s x, 1m0s late, 1m1.000000001s y", g.take(), "one at a time")
	require.Equal(t, scheduler.StateSkipped, g.State("after"))
	require.Zero(t, l.InUse())
}

type ctxKey struct{}

// addedObserver keeps what it is told of nodes that are added.
type addedObserver struct{ journal }

func (o *addedObserver) Observe(r scheduler.Record) {
	if r.Kind == scheduler.NodeAdded {
		o.add("%v is %v, of %d", r.Key(), r.Group().State(r.Node()), r.Group().Len())
	}
}

// An Observer that panics about a node that is added ends the run, as it does about
// anything else.
func TestAdd_Observer_panics(t *testing.T) {
	t.Parallel()
	for _, recovers := range []bool{false, true} {
		calls := 0
		g := newGrown(t, "a b", &scheduler.GroupOptions[string]{RecoverPanics: recovers, Observer: panicsOnAdded{&calls}})
		g.does["b"] = once(func() { _ = g.Add("c") })
		panicked := panicOf(t, func() { _ = g.run(t) })
		require.ErrorContains(t, panicked.(error), "panic: no more in b at ")
		require.Equal(t, 1, calls, "it is not told again")
		require.Equal(t, scheduler.StateFailed, g.State("b"))
		require.ErrorIs(t, g.Add("d"), scheduler.ErrInputClosed)
	}
}

type panicsOnAdded struct{ calls *int }

func (o panicsOnAdded) Observe(r scheduler.Record) {
	if *o.calls > 0 || r.Kind == scheduler.NodeAdded {
		*o.calls++
		panic("no more")
	}
}

// around are the ways in which a group can be inside of something.
var around = holdersOf("itself", "Wrap", "AsTask", "Retry", "Subrun", "Sequence", "Finally", "wrapper", "plain wrapper", "Shield", "Named", "All")

// A group that grows does so wherever it is: nodes are added inside its steps, by a
// node of a group around, and by Post; and whatever ends the run ends it too.
func TestAdd_inside_of_everything(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	type ending struct {
		do    func(r *scheduler.TaskRunner, g *grown, cancel context.CancelCauseFunc)
		limit time.Duration
		want  error // nil: the group comes to its end
	}
	endings := map[string]ending{
		"CloseInput":  {func(r *scheduler.TaskRunner, g *grown, _ context.CancelCauseFunc) { r.Post(g.CloseInput) }, 0, nil},
		"Stop":        {func(r *scheduler.TaskRunner, _ *grown, _ context.CancelCauseFunc) { r.Post(func() { r.Stop(stop) }) }, 0, stop},
		"Interrupt":   {func(r *scheduler.TaskRunner, _ *grown, _ context.CancelCauseFunc) { r.Interrupt(stop) }, 0, stop},
		"Kill":        {func(r *scheduler.TaskRunner, _ *grown, _ context.CancelCauseFunc) { r.Kill() }, 0, scheduler.ErrCancelled},
		"the context": {func(_ *scheduler.TaskRunner, _ *grown, cancel context.CancelCauseFunc) { cancel(stop) }, 0, stop},
		"a Timeout":   {func(*scheduler.TaskRunner, *grown, context.CancelCauseFunc) {}, 6 * time.Second, context.DeadlineExceeded},
	}
	for name, wrap := range around {
		for how, end := range endings {
			inBubble(t, name+"/"+how, func(t *testing.T) {
				g := newGrown(t, "a", nil)
				g.does["a"] = func(co *scheduler.Coroutine) error {
					err := co.Yield(scheduler.After(time.Second))
					require.NoError(t, g.Add("b", "a"))
					return err
				}
				outer := newGroup(t, "inner beside", func(k string) scheduler.Task {
					if k == "inner" {
						return wrap(g.DependencyTaskGroup)
					}
					return scheduler.Sequence(lasting(3, nil), scheduler.Func(func(context.Context) error {
						require.Equal(t, scheduler.StateSucceeded, g.State("b"))
						return g.Add("c", "b") // from outside of the group
					}))
				}, nil)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				r := scheduler.NewTaskRunner(outer, &scheduler.RunnerOptions{Timeout: end.limit, Grace: time.Second})
				time.AfterFunc(4*time.Second+time.Millisecond, func() {
					r.Post(func() {
						require.Equal(t, scheduler.StateSucceeded, g.State("c"))
						require.NoError(t, g.Add("d", "a", "c"))
					})
				})
				time.AfterFunc(6*time.Second, func() {
					r.Post(func() { require.Equal(t, scheduler.StateSucceeded, g.State("d")) })
					end.do(r, g, cancel)
				})
				err := r.Run(ctx)
				if end.want == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, end.want)
				}
				require.ErrorIs(t, g.Add("late"), scheduler.ErrInputClosed)
				require.Equal(t, 4, g.Count(scheduler.StateSucceeded), "what has run is not lost")
			})
		}
	}
}

// A member that recovers what came out of its Add goes on as itself, and nobody is
// lost: When is asked again in the next round, and the Observer is told no more.
func TestAdd_recovered(t *testing.T) {
	t.Parallel()
	adds := func(t *testing.T, panics int, watch scheduler.Observer) (*scheduler.DependencyTaskGroup[string], func() error) {
		var group *scheduler.DependencyTaskGroup[string]
		var added scheduler.Event
		group = newGroup(t, "a", func(k string) scheduler.Task {
			if k != "a" {
				return scheduler.Func(func(context.Context) error { added.Set(); return nil })
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				func() {
					defer func() { require.Equal(t, "not now", recover()) }()
					_ = group.Add("b")
				}()
				co.Note("mine")
				require.Equal(t, "mine", group.ExplainNode("a").Notes.Text)
				require.NoError(t, group.Add("c"))
				group.CloseInput()
				return co.Yield(scheduler.On(&added))
			})
		}, &scheduler.GroupOptions[string]{
			KeepOpen: true, RecoverPanics: true, Observer: watch,
			When: func(k string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
				if k == "b" && panics > 0 {
					panics--
					panic("not now")
				}
				return scheduler.Usual
			},
		})
		return group, func() error {
			return scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: newClock()})
		}
	}
	t.Run("When, once", func(t *testing.T) {
		group, run := adds(t, 1, nil)
		require.NoError(t, run())
		require.Equal(t, scheduler.StateSucceeded, group.State("b"))
	})
	t.Run("When, again and again", func(t *testing.T) {
		group, run := adds(t, 9, nil)
		require.ErrorContains(t, run(), "a: panic: not now", "the second time it is not recovered")
		require.Equal(t, scheduler.StateCancelled, group.State("b"))
		require.Equal(t, scheduler.StateFailed, group.State("a"))
	})
	t.Run("Observer", func(t *testing.T) {
		told := 0
		group, run := adds(t, 0, selective{scheduler.KindsOf(scheduler.NodeAdded), func(scheduler.Record) {
			told++
			panic("not now")
		}})
		require.NoError(t, run())
		require.Equal(t, 1, told)
		require.Equal(t, scheduler.StateSucceeded, group.State("c"))
	})
}

// A node that is added while a service is ready starts at once, and the service is
// needed until it has ended.
func TestAdd_requires_a_service(t *testing.T) {
	for name, wrap := range around {
		t.Run(name, func(t *testing.T) {
			d := newServicePlay()
			var g *scheduler.DependencyTaskGroup[string]
			g = newGroup(t, "first:S", func(k string) scheduler.Task {
				if k != "first" {
					return d.mixed(k)
				}
				return scheduler.Sequence(d.job(k, 3, nil), scheduler.Func(func(context.Context) error {
					defer g.CloseInput()
					return errors.Join(g.Add("a", "S"), g.Add("b", "S"), g.Add("c", "a", "b"))
				}))
			}, &scheduler.GroupOptions[string]{KeepOpen: true, Grace: 5 * time.Second})
			outer := newGroup(t, "node", func(string) scheduler.Task { return wrap(g) }, &scheduler.GroupOptions[string]{Grace: 5 * time.Second})
			require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: d.clock}))
			require.Equal(t, "0s boot S, 1s S ready, 1s first, 4s first done, 4s a, 4s b, 7s a done, 7s b done, 7s c, 10s c done, "+
				"10s S told: not needed any more, 11s S ends: <nil>", d.String())
		})
	}
}

// A service that was asked to end is not ready for what is added: that waits for the
// end and is treated by it.
func TestAdd_requires_a_service_that_was_asked_to_end(t *testing.T) {
	enough := errors.New("enough")
	skips := func(string, error) scheduler.Disposition { return scheduler.SkipDependents }
	ignores := func(string, error) scheduler.Disposition { return scheduler.IgnoreError }
	usual := func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict { return scheduler.Usual }
	type play struct {
		opts scheduler.GroupOptions[string]
		ends error // of the service after its notice; nil: as if nothing were
		want string
	}
	for name, tt := range map[string]play{
		"ends well":            {ends: nil, want: "3s late, 6s late done; first succeeded, late succeeded, after succeeded"},
		"fails":                {ends: errSpace, want: "; first succeeded, late cancelled, after cancelled"},
		"fails, skips":         {scheduler.GroupOptions[string]{OnError: skips}, errSpace, "; first succeeded, late skipped, after skipped"},
		"fails, ignored":       {scheduler.GroupOptions[string]{OnError: ignores}, errSpace, "3s late, 6s late done; first succeeded, late succeeded, after succeeded"},
		"fails, When":          {scheduler.GroupOptions[string]{OnError: skips, When: usual}, errSpace, "; first succeeded, late skipped, after skipped"},
		"fails, When, ignored": {scheduler.GroupOptions[string]{OnError: ignores, When: usual}, errSpace, "3s late, 6s late done; first succeeded, late succeeded, after succeeded"},
	} {
		for order, give := range map[string]func(g *scheduler.DependencyTaskGroup[string]) bool{
			"StopNode": func(g *scheduler.DependencyTaskGroup[string]) bool { return g.StopNode("S", enough) },
			"SkipNode": func(g *scheduler.DependencyTaskGroup[string]) bool { return g.SkipNode("S", enough) },
		} {
			for _, told := range []bool{false, true} { // when the nodes are added
				t.Run(fmt.Sprint(name, " ", order, " told ", told), func(t *testing.T) {
					d := newServicePlay()
					opts := tt.opts
					opts.KeepOpen, opts.Grace = true, 5*time.Second
					g := newGroup(t, "first:S", func(k string) scheduler.Task {
						if k != "S" {
							return d.job(k, 3, nil)
						}
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							co.Ready()
							_ = co.Yield(scheduler.On(co.Stopping()))
							_ = co.Yield(scheduler.After(3 * time.Second))
							return tt.ends
						})
					}, &opts)
					r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
					require.Equal(t, scheduler.StateReady, g.State("S"))
					require.True(t, give(g))
					if told {
						mustStep(t, t.Context(), r)
					}
					require.NoError(t, g.Add("late", "S"))
					require.NoError(t, g.Add("after", "late"))
					mustStep(t, t.Context(), r)
					require.Equal(t, scheduler.StatePending, g.State("late"))
					for e := range g.Explain() {
						if e.Key == "late" {
							require.Equal(t, []string{"S"}, e.Requires)
						}
					}
					g.CloseInput()
					_ = r.RunToCompletion(t.Context(), 0)

					text := ""
					for _, line := range d.lines {
						if line[3:7] == "late" {
							text += ", " + line
						}
					}
					text = text[min(2, len(text)):]
					require.Equal(t, tt.want, fmt.Sprintf("%s; first %s, late %s, after %s",
						text, g.State("first"), g.State("late"), g.State("after")))
				})
			}
		}
	}
}

// A group that was told of a failure around it no longer waits for nodes: its services
// end. What is added all the same is counted, and waits for those that were told.
func TestAdd_requires_a_service_under_a_notice(t *testing.T) {
	d := newServicePlay()
	var g *scheduler.DependencyTaskGroup[string]
	add := func(k string, required ...string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return g.Add(k, required...) })
	}
	g = newGroup(t, "Sb:Sa j:Sb x:Sa", func(k string) scheduler.Task {
		switch k {
		case "x":
			return scheduler.Sequence(d.job(k, 4, nil), scheduler.Pause(scheduler.After(time.Second/2)), add("waits", "Sb"), add("starts", "Sa", "j"), add("Sc", "Sa", "x"), add("last", "Sc"))
		case "last":
			return scheduler.Sequence(d.job(k, 1, nil), add("none"))
		}
		return d.mixed(k)
	}, &scheduler.GroupOptions[string]{KeepOpen: true, Grace: 5 * time.Second})
	outer := newGroup(t, "inner bad", func(k string) scheduler.Task {
		if k == "inner" {
			return g
		}
		return lasting(4, errSpace)
	}, &scheduler.GroupOptions[string]{Grace: time.Minute})
	require.ErrorIs(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: d.clock}), errSpace)
	require.Equal(t, "0s boot Sa, 1s Sa ready, 1s boot Sb, 1s x, 2s Sb ready, 2s j, 5s j done, 5s x done, "+
		"5s Sb told: not needed any more, 5s starts, 5s boot Sc, 6s Sb ends: <nil>, 6s waits, 6s Sc ready, 6s last, "+
		"6s Sc told: bad: no space, 7s Sc ends: <nil>, 7s last done, 7s none, 8s starts done, 9s waits done, "+
		"9s Sa told: not needed any more, 10s Sa ends: <nil>, 10s none done", d.String())
	require.Equal(t, g.Len(), g.Count(scheduler.StateSucceeded))
}

// A node that is added and cancelled before When could be called for it costs no rounds.
func TestGroup_Add_and_stop_with_When(t *testing.T) {
	g := newGroup(t, "a", func(string) scheduler.Task {
		return &fakeTask{
			yields: []scheduler.Yield{scheduler.On(new(scheduler.Event))},
			stop:   func(context.Context, error) {},
		}
	}, &scheduler.GroupOptions[string]{KeepOpen: true, Grace: time.Minute, When: func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict {
		return scheduler.Usual
	}})
	ctx := scheduler.WithClock(t.Context(), newClock())
	mustStep(t, ctx, g)
	require.NoError(t, g.Add("late"))
	y, err := g.Throw(ctx, errOops)
	require.NoError(t, err)
	require.Zero(t, y.Rounds())
	require.Equal(t, scheduler.StateCancelled, g.State("late"))
	require.NoError(t, g.Close())
}

// addsWhenTold adds a node when it is told to end.
type addsWhenTold struct {
	scheduler.Task
	add func() error
	err error
}

func (s *addsWhenTold) Stop(ctx context.Context, cause error) {
	s.err = s.add()
	s.Task.(scheduler.Stopper).Stop(ctx, cause)
}

// A node may also be added while services are told to end: one that it requires is
// told once it has ended.
func TestAdd_requires_a_service_by_one_that_is_told(t *testing.T) {
	d := newServicePlay()
	var g *scheduler.DependencyTaskGroup[string]
	adds := &addsWhenTold{add: func() error { return g.Add("late", "S1") }}
	g = newGroup(t, "S1 S2", func(k string) scheduler.Task {
		if k == "S2" {
			adds.Task = d.service(k)
			return adds
		}
		return d.mixed(k)
	}, &scheduler.GroupOptions[string]{KeepOpen: true, Grace: 5 * time.Second})
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: d.clock})
	for range 2 {
		d.clock.Advance(time.Second)
		mustStep(t, t.Context(), r)
	}
	g.Stop(scheduler.WithClock(t.Context(), d.clock), errSpace) // it waits for no more nodes
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errSpace, "not all nodes were there")
	require.NoError(t, adds.err)
	require.Equal(t, "0s boot S1, 0s boot S2, 1s S1 ready, 1s S2 ready, 2s S2 told: not needed any more, 2s late, "+
		"3s S2 ends: <nil>, 5s late done, 5s S1 told: not needed any more, 6s S1 ends: <nil>", d.String())
	require.Equal(t, 3, g.Count(scheduler.StateSucceeded))
}

// The Observer of the documentation keeps up with a group that grows.
func TestSlowest_of_a_group_that_grows(t *testing.T) {
	g := newGroup(t, "a", func(string) scheduler.Task { return lasting(1, nil) }, &scheduler.GroupOptions[string]{KeepOpen: true, Observer: Slowest{}})
	mustStep(t, t.Context(), g)
	require.NoError(t, g.Add("b"))
	require.NoError(t, g.Add("c", "b"))
	mustStep(t, t.Context(), g)
	require.NoError(t, g.Close())
	require.Equal(t, scheduler.StateCancelled, g.State("b"))
}

// What is estimated of a node that is added can be asked for; without Estimate it is 0.
func TestAdd_Estimate(t *testing.T) {
	for name, tt := range map[string]struct {
		estimate func(string) time.Duration
		want     []time.Duration
	}{
		"Estimate": {func(k string) time.Duration { return time.Duration(len(k)) }, []time.Duration{1, 2, 3}},
		"none":     {nil, []time.Duration{0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []time.Duration
			g := newGroup(t, "a", func(string) scheduler.Task { return &fakeTask{} }, &scheduler.GroupOptions[string]{
				KeepOpen: true, Estimate: tt.estimate, Limit: 1,
				Observer: kindsFunc{scheduler.KindsOf(scheduler.GroupEnded), func(r scheduler.Record) {
					for p := range r.Group().Len() {
						got = append(got, r.Group().Estimate(p))
					}
				}},
			})
			require.NoError(t, g.Add("bb"))
			require.NoError(t, g.Add("ccc"))
			g.CloseInput()
			require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: newClock()}))
			require.Equal(t, tt.want, got)
		})
	}
}
