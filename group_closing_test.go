package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// A member that takes time to end is closing, and holds up nobody.

// deafFor returns a call that ignores its context for d.
func deafFor(d time.Duration, err error) scheduler.Task {
	return scheduler.Blocking(func(context.Context) error {
		sleep(d)
		return err
	})
}

// held are ways in which a group may hold a task that takes time to end.
var held = holdersOf("itself", "renamed", "Wrap", "All", "All in All", "AsTask", "Subrun", "Sequence", "All in a Wrap", "AsTask of an All", "Retry",
	"Finally", "renamed All in a Wrap")

// stepping returns a task that wants a step every 50 ms, for n steps, and notes
// the longest time between two.
func stepping(n int, worst *time.Duration) scheduler.Task {
	last := time.Now()
	return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		*worst = max(*worst, time.Since(last))
		last = time.Now()
		if n--; n == 0 {
			return scheduler.Done, nil
		}
		return scheduler.After(50 * time.Millisecond), nil
	})
}

func TestGroup_closing_holds_nobody_up(t *testing.T) {
	const limit = 100 * time.Millisecond
	for _, grace := range []time.Duration{0, limit} {
		for _, disposition := range []scheduler.Disposition{scheduler.SkipDependents, scheduler.IgnoreError, scheduler.StopGroup} {
			for name, hold := range held {
				inBubble(t, fmt.Sprint(name, " ", disposition, " ", grace), func(t *testing.T) {
					var worst time.Duration
					began := time.Now()
					asked, after := time.Duration(-1), time.Duration(-1)
					g := newGroup(t, "sibling after:deaf", func(k string) scheduler.Task {
						switch k {
						case "deaf":
							return hold(deafFor(2*time.Second, nil))
						case "after":
							return scheduler.Func(func(context.Context) error { after = time.Since(began); return nil })
						}
						return stepping(60, &worst)
					}, &scheduler.GroupOptions[string]{
						GraceFor: byKey(map[string]time.Duration{"sibling": time.Hour, "deaf": grace}),
						Timeout:  byKey(map[string]time.Duration{"deaf": limit}),
						OnError: func(_ string, err error) scheduler.Disposition {
							asked = time.Since(began)
							require.ErrorIs(t, err, context.DeadlineExceeded)
							return disposition
						},
					})
					err := scheduler.Run(t.Context(), g, nil)
					require.LessOrEqual(t, worst, 51*time.Millisecond)
					require.Equal(t, limit+grace, asked.Round(time.Millisecond), "known at once")
					require.Equal(t, scheduler.StateTimedOut, g.State("deaf"))
					require.Equal(t, 2950*time.Millisecond, time.Since(began).Round(time.Millisecond))
					if disposition == scheduler.IgnoreError {
						require.NoError(t, err)
						require.Equal(t, 2*time.Second, after, "not before it has ended")
						return
					}
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.Negative(t, after)
				})
			}
		}
	}
}

// Calls that end at the same time, for whatever reason, end side by side, whatever makes
// them and whatever holds them.
func TestGroup_closing_side_by_side(t *testing.T) {
	const n, deaf, limit = 10, time.Second, 100 * time.Millisecond
	own := func(int) time.Duration { return limit }
	calls := []func(fn func(context.Context) error) scheduler.Task{
		scheduler.Blocking, asCall["Fetch"], asCall["Call"], func(fn func(context.Context) error) scheduler.Task {
			return scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) { return true, fn(ctx) })
		},
	}
	for reason, run := range map[string]func(ctx context.Context, task func(int) scheduler.Task) error{
		"own limits": func(ctx context.Context, task func(int) scheduler.Task) error {
			return scheduler.Run(ctx, numbered(n, task, &scheduler.GroupOptions[int]{Timeout: own}), nil)
		},
		"own limits, aggregating": func(ctx context.Context, task func(int) scheduler.Task) error {
			return scheduler.Run(ctx, numbered(n, task, &scheduler.GroupOptions[int]{Timeout: own, AggregateErrors: true}), nil)
		},
		"limits of runners": func(ctx context.Context, task func(int) scheduler.Task) error {
			return scheduler.Run(ctx, numbered(n, func(i int) scheduler.Task {
				return scheduler.Subrun(scheduler.NewTaskRunner(task(i), &scheduler.RunnerOptions{Timeout: limit}))
			}, &scheduler.GroupOptions[int]{AggregateErrors: true}), nil)
		},
		"limit of the run": func(ctx context.Context, task func(int) scheduler.Task) error {
			return scheduler.Run(ctx, numbered(n, task, nil), &scheduler.RunnerOptions{Timeout: limit})
		},
		"end of the context": func(ctx context.Context, task func(int) scheduler.Task) error {
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			return scheduler.Run(ctx, numbered(n, task, nil), nil)
		},
		"end of a common grace": func(ctx context.Context, task func(int) scheduler.Task) error {
			ctx, cancel := context.WithTimeout(ctx, limit/2)
			defer cancel()
			return scheduler.Run(ctx, numbered(n, task, nil), &scheduler.RunnerOptions{Grace: limit / 2})
		},
		"a failure": func(ctx context.Context, task func(int) scheduler.Task) error {
			return scheduler.Run(ctx, numbered(n+1, func(i int) scheduler.Task {
				if i == n {
					return scheduler.Sequence(scheduler.Pause(scheduler.After(limit)),
						scheduler.Func(func(context.Context) error { return errBoom }))
				}
				return task(i)
			}, nil), nil)
		},
		"Kill": func(ctx context.Context, task func(int) scheduler.Task) error {
			r := scheduler.NewTaskRunner(numbered(n, task, nil), nil)
			time.AfterFunc(limit, r.Kill)
			return r.Run(ctx)
		},
		"Close": func(ctx context.Context, task func(int) scheduler.Task) error {
			g := numbered(n, task, nil)
			_, err := g.Step(ctx)
			return errors.Join(err, g.Close(), errOops)
		},
		"a panic": func(ctx context.Context, task func(int) scheduler.Task) error {
			return panicOf(t, func() {
				_ = scheduler.Run(ctx, numbered(n+1, func(i int) scheduler.Task {
					if i == n {
						return after(limit, func() { panic(errBoom) })
					}
					return task(i)
				}, nil), nil)
			}).(error)
		},
	} {
		for name, hold := range held {
			inBubble(t, reason+" "+name, func(t *testing.T) {
				began := time.Now()
				err := run(t.Context(), func(i int) scheduler.Task {
					return hold(calls[i%len(calls)](func(context.Context) error { sleep(deaf); return nil }))
				})
				require.Error(t, err)
				require.Equal(t, deaf, time.Since(began).Round(time.Millisecond))
			})
		}
	}
}

// numbered returns a group of n tasks that are independent of one another.
func numbered(n int, task func(int) scheduler.Task, opts *scheduler.GroupOptions[int]) scheduler.Task {
	deps := numbers(n)
	g, err := scheduler.NewDependencyTaskGroup(deps, task, opts)
	if err != nil {
		panic(err)
	}
	return g
}

// A closing member keeps its place in the Limit and what it claims, is seen as
// what it is, and is told nothing more.
func TestGroup_closing_member(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
		var changes []string
		began := time.Now()
		var at time.Duration
		var g *scheduler.DependencyTaskGroup[string]
		g = newGroup(t, "deaf next look", func(k string) scheduler.Task {
			switch k {
			case "deaf":
				return renamed{deafFor(2*time.Second, errOops), "call"}
			case "next":
				return scheduler.Func(func(context.Context) error { at = time.Since(began); return nil })
			}
			return scheduler.Sequence(scheduler.Pause(scheduler.After(1500*time.Millisecond)), scheduler.Func(func(context.Context) error {
				require.Equal(t, scheduler.StateClosing, g.State("deaf"))
				require.Equal(t, 1, g.Count(scheduler.StateClosing))
				require.Equal(t, 1, limiter.InUse())
				require.Equal(t, []string{"deaf", "look"}, g.Snapshot().Started)
				e := g.ExplainNode("deaf")
				require.Equal(t, scheduler.StateClosing, e.State)
				require.ErrorIs(t, g.Err("deaf"), context.DeadlineExceeded)
				g.Drain()
				return nil
			}))
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			Limit:           2,
			Claims: func(k string) []scheduler.Claim {
				if k == "look" {
					return nil
				}
				return []scheduler.Claim{{Limiter: limiter, Weight: 1}}
			},
			Timeout: byKey(map[string]time.Duration{"deaf": time.Second}),
			Observer: scheduler.ObserverFunc(func(tr scheduler.Record) {
				if tr.Key() == "deaf" {
					changes = append(changes, fmt.Sprintf("%v %s: %v", time.Since(began).Round(time.Millisecond), tr.To, tr.Err))
				}
			}),
		})
		err := scheduler.Run(t.Context(), g, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errOops, "what it returned later is not lost")
		require.Equal(t, []string{
			"0s running: <nil>",
			"1s closing: deaf: timed out after 1s",
			"2s timed out: deaf: timed out after 1s\noops",
		}, changes)
		require.Zero(t, at, "drained")
		require.Zero(t, limiter.InUse())
	})
}

// Without a drain what waits for its claim starts when it has ended.
func TestGroup_closing_keeps_claims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
		began := time.Now()
		var at time.Duration
		g := newGroup(t, "a b", func(k string) scheduler.Task {
			if k == "a" {
				return deafFor(2*time.Second, nil)
			}
			return scheduler.Func(func(context.Context) error { at = time.Since(began); return nil })
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			Claims:          func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: limiter, Weight: 1}} },
			Timeout:         func(string) time.Duration { return time.Second },
		})
		require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), context.DeadlineExceeded)
		require.Equal(t, 2*time.Second, at)
	})
}

// A second failure, a stop, a kill and a panic find members that are closing.
func TestGroup_closing_and_more(t *testing.T) {
	type act func(t *testing.T, r *scheduler.TaskRunner, cancel func())
	for name, do := range map[string]act{
		"nothing":   func(*testing.T, *scheduler.TaskRunner, func()) {},
		"cancel":    func(_ *testing.T, _ *scheduler.TaskRunner, cancel func()) { cancel() },
		"Kill":      func(_ *testing.T, r *scheduler.TaskRunner, _ func()) { r.Kill() },
		"Interrupt": func(_ *testing.T, r *scheduler.TaskRunner, _ func()) { r.Interrupt(errOther) },
		"all three": func(_ *testing.T, r *scheduler.TaskRunner, cancel func()) { r.Interrupt(errOther); cancel(); r.Kill() },
	} {
		inBubble(t, name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			began := time.Now()
			waits := 0
			g := newGroup(t, "deaf fails deaf2", func(k string) scheduler.Task {
				if k == "fails" {
					return scheduler.Sequence(scheduler.Pause(scheduler.After(1200*time.Millisecond)),
						scheduler.Func(func(context.Context) error { return errBoom }))
				}
				return deafFor(3*time.Second, errOops)
			}, &scheduler.GroupOptions[string]{Timeout: byKey(map[string]time.Duration{"deaf": time.Second}), OnError: func(k string, _ error) scheduler.Disposition {
				if k == "deaf" {
					return scheduler.SkipDependents
				}
				return scheduler.StopGroup
			}})
			r := scheduler.NewTaskRunner(g, &scheduler.RunnerOptions{
				Progress: func(context.Context) error { waits++; return nil },
			})
			time.AfterFunc(1500*time.Millisecond, func() { do(t, r, cancel) })
			err := r.Run(ctx)
			require.Error(t, err)
			require.Equal(t, 3*time.Second, time.Since(began))
			require.Less(t, waits, 20, "it does not spin")
			kept := errors.Join(g.Errors()...)
			for _, want := range []error{errBoom, errOops, context.DeadlineExceeded} {
				require.ErrorIs(t, kept, want)
			}
			require.Equal(t, scheduler.StateTimedOut, g.State("deaf"))
			require.Equal(t, scheduler.StateFailed, g.State("fails"))
			require.Equal(t, scheduler.StateCancelled, g.State("deaf2"))
		})
	}
}

// What a member panics with whose answer to a Timeout is awaited is that answer: the
// group is asked once what becomes of it, and the Timeout is kept.
func TestGroup_closing_member_panics_in_its_answer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		event := new(scheduler.Event)
		steps, closes := 0, 0
		task := &fakeTask{
			step: func(context.Context) (scheduler.Yield, error) {
				if steps++; steps > 1 {
					panic("broken")
				}
				return scheduler.On(event), nil
			},
			throw: func(context.Context, error) (scheduler.Yield, error) {
				time.AfterFunc(time.Second, event.Set)
				return scheduler.Ending(event), nil
			},
			close: func() error { closes++; return nil },
		}
		var asked []error
		g := newGroup(t, "a b:a", func(k string) scheduler.Task {
			if k == "a" {
				return task
			}
			return scheduler.Func(func(context.Context) error { return nil })
		}, &scheduler.GroupOptions[string]{
			RecoverPanics: true,
			Timeout:       byKey(map[string]time.Duration{"a": time.Second}),
			OnError: func(_ string, err error) scheduler.Disposition {
				asked = append(asked, err)
				return scheduler.SkipDependents
			},
		})
		err := scheduler.Run(t.Context(), g, nil)
		require.Len(t, asked, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "broken", asError[*scheduler.PanicError](t, err).Value)
		require.Len(t, g.Errors(), 1)
		require.Equal(t, scheduler.StateTimedOut, g.State("a"))
		require.Zero(t, closes)
	})
}

// Nothing that a group had, or heard of, is lost when things go wrong.

// A panic of whatever is asked at a start gives back what the node, and all
// others, hold.
func TestGroup_panic_at_a_start_gives_claims_back(t *testing.T) {
	at := func(k string, do func()) {
		if k == "b" {
			do()
		}
	}
	var first func()
	for name, set := range map[string]func(o *scheduler.GroupOptions[string], do func()){
		"Observer": func(o *scheduler.GroupOptions[string], do func()) {
			o.Observer = scheduler.ObserverFunc(func(tr scheduler.Record) { at(tr.Key().(string), do) })
		},
		"Timeout": func(o *scheduler.GroupOptions[string], do func()) {
			o.Timeout = func(k string) time.Duration { at(k, do); return 0 }
		},
		"Context": func(o *scheduler.GroupOptions[string], do func()) {
			o.Context = func(ctx context.Context, k string) context.Context { at(k, do); return ctx }
		},
		"first step": func(_ *scheduler.GroupOptions[string], do func()) { first = do },
		"Claims": func(o *scheduler.GroupOptions[string], do func()) {
			claims := o.Claims
			o.Claims = func(k string) []scheduler.Claim { at(k, do); return claims(k) }
		},
	} {
		for how, do := range map[string]func(){"panic": func() { panic("asked") }, "Goexit": runtime.Goexit} {
			t.Run(name+" "+how, func(t *testing.T) {
				limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 5})
				opts := &scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim {
					return []scheduler.Claim{{Limiter: limiter, Weight: 1}}
				}}
				first = func() {}
				set(opts, do)
				g := newGroup(t, "a b c", func(k string) scheduler.Task {
					return scheduler.Sequence(scheduler.Func(func(context.Context) error { at(k, first); return nil }),
						scheduler.Pause(scheduler.Rounds(9)))
				}, opts)
				returned, _ := onGoroutine(func() { _ = scheduler.Run(t.Context(), g, nil) })
				require.False(t, returned)
				require.Zero(t, limiter.InUse()+limiter.Waiting())
				require.Zero(t, g.Count(scheduler.StateRunning)+g.Count(scheduler.StatePending))
			})
		}
	}
}

// A failure beside a wish to be skipped is a failure, however the two are put
// together; a reason for the wish is not.
func TestGroup_ErrSkip_beside_a_failure(t *testing.T) {
	for _, test := range []struct {
		err   error
		state scheduler.State
	}{
		{scheduler.ErrSkip, scheduler.StateSkipped},
		{fmt.Errorf("not wanted: %w", scheduler.ErrSkip), scheduler.StateSkipped},
		{errors.Join(scheduler.ErrSkip, fmt.Errorf("not here: %w", scheduler.ErrSkip)), scheduler.StateSkipped},
		{errors.Join(scheduler.ErrSkip, errBoom), scheduler.StateFailed},
		{errors.Join(errBoom, fmt.Errorf("not wanted: %w", scheduler.ErrSkip)), scheduler.StateFailed},
		{fmt.Errorf("cleaning up: %w", errors.Join(scheduler.ErrSkip, errBoom)), scheduler.StateFailed},
		{&scheduler.ExceptionGroup{Errors: []error{scheduler.ErrSkip, errBoom}}, scheduler.StateFailed},
	} {
		fails := scheduler.Func(func(context.Context) error { return test.err })
		for name, hold := range holdersOf("itself", "renamed", "Sequence", "AsTask", "All in All") {
			g := newGroup(t, "b:a", func(string) scheduler.Task { return hold(fails) }, nil)
			err := scheduler.Run(t.Context(), g, nil)
			switch {
			case test.state == scheduler.StateFailed:
				require.ErrorIs(t, err, errBoom, "%v, %s", test.err, name)
				require.ErrorIs(t, errors.Join(g.Errors()...), errBoom)
				require.Equal(t, test.state, g.State("a"))
			case name != "All in All": // which succeeds if all that did not was skipped
				require.NoError(t, err, "%v, %s", test.err, name)
				require.Equal(t, test.state, g.State("a"))
			}
		}
	}
	cleaned := scheduler.Finally(
		scheduler.Func(func(context.Context) error { return scheduler.ErrSkip }),
		scheduler.Func(func(context.Context) error { return errBoom }))
	require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.All(cleaned), nil), errBoom)
}

// A drained group of which something is left never succeeds, whatever its
// members made of a notice.
func TestGroup_drained_under_a_notice(t *testing.T) {
	heeds := func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			return co.StopCause()
		})
	}
	inner := newGroup(t, "n:m", heeds, nil)
	outer := newGroup(t, "bad inner", func(k string) scheduler.Task {
		if k == "bad" {
			return lasting(1, errBoom)
		}
		return inner
	}, &scheduler.GroupOptions[string]{Grace: time.Minute})
	r := startRunner(t, outer, &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})})
	inner.Drain()
	require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errBoom)
	require.ErrorIs(t, outer.Err("inner"), scheduler.ErrDrained)
	require.Equal(t, scheduler.StatePending, inner.State("n"))
	require.Equal(t, scheduler.StateCancelled, inner.State("m"))
}

// A time limit with a grace is a stop of the node: no group inside starts anything.
func TestGroup_inside_after_a_time_limit(t *testing.T) {
	around := holdersOf("itself", "All", "Sequence", "Subrun", "Wrap")
	around["groups"] = nested
	for name, hold := range around {
		t.Run(name, func(t *testing.T) {
			inner := newGroup(t, "b:a", func(string) scheduler.Task {
				return &fakeTask{
					yields: []scheduler.Yield{scheduler.After(2 * time.Second)},
					throw: func(context.Context, error) (scheduler.Yield, error) {
						return scheduler.After(2 * time.Second), nil
					},
				}
			}, nil)
			require.ErrorAs(t, scheduler.Run(t.Context(), nested(hold(inner)), &scheduler.RunnerOptions{
				Clock: schedulertest.NewClock(time.Time{}), Timeout: time.Second, Grace: time.Minute,
			}), new(*scheduler.Timeout))
			require.Equal(t, scheduler.StateSucceeded, inner.State("a"))
			require.Equal(t, scheduler.StateCancelled, inner.State("b"))
		})
	}
}

// A grace ends when it was said to, also if the node's own limit comes before
// that, or another failure in between.
func TestGroup_grace_is_not_prolonged(t *testing.T) {
	const second = time.Second
	for _, test := range []struct {
		name         string
		limit, grace time.Duration
		closed       time.Duration // after the start; something fails after 1 s
	}{
		{"limit before the end of the grace", 9 * second, 10 * second, 11 * second},
		{"limit long before the end of the grace", 2 * second, 10 * second, 11 * second},
		{"limit before the failure", second / 2, 10 * second, 10*second + second/2},
		{"limit after the grace", 60 * second, 10 * second, 11 * second},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := schedulertest.NewClock(time.Time{})
			began := clock.Now()
			var closed time.Duration
			hour := scheduler.After(time.Hour)
			g := newGroup(t, "bad slow", func(k string) scheduler.Task {
				if k == "bad" {
					return lasting(1, errBoom)
				}
				return &fakeTask{
					yields: []scheduler.Yield{hour, hour},
					throw:  func(context.Context, error) (scheduler.Yield, error) { return hour, nil },
					close:  func() error { closed = clock.Now().Sub(began); return nil },
				}
			}, &scheduler.GroupOptions[string]{Grace: test.grace, Timeout: func(k string) time.Duration {
				if k == "slow" {
					return test.limit
				}
				return 0
			}})
			require.ErrorIs(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: clock}), errBoom)
			require.Equal(t, test.closed, closed.Truncate(time.Millisecond))
		})
	}
}

// Each step asks for graces once, however many fail in it.
func TestGroup_graces_are_asked_for_once_in_a_step(t *testing.T) {
	const n = 100
	deps := numbers(n)
	asked := 0
	g := groupOver(t, deps, func(int) scheduler.Task {
		return &fakeTask{step: func() func(context.Context) (scheduler.Yield, error) {
			steps := 0
			return func(context.Context) (scheduler.Yield, error) {
				if steps++; steps == 2 {
					return scheduler.Yield{}, errBoom
				}
				return scheduler.Next, nil
			}
		}()}
	}, &scheduler.GroupOptions[int]{GraceFor: func(int) time.Duration { asked++; return time.Hour }})
	require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), errBoom)
	require.Len(t, g.Errors(), n)
	require.Equal(t, n-1, asked)
}

// A panic goes up as it is, and the others that it causes are kept: none of them
// nests in it.
func TestGroup_panics_of_all_closes(t *testing.T) {
	const n = 200
	deps := numbers(n)
	g := groupOver(t, deps, func(i int) scheduler.Task {
		return &fakeTask{
			step:  func(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil },
			close: func() error { panic(i) },
		}
	}, nil)
	mustStep(t, t.Context(), g)
	var depth int
	func() {
		defer func() {
			require.Equal(t, 0, panickedWith(recover()))
			stack := make([]byte, 1<<20)
			depth = len(stack[:runtime.Stack(stack, false)])
		}()
		_ = g.Close()
	}()
	require.Less(t, depth, 10_000, "no panic inside of a panic inside of a panic")
	require.Len(t, g.Errors(), n)
	require.Equal(t, n, g.Count(scheduler.StateFailed))
	p := asError[*scheduler.PanicError](t, g.Err(n-1))
	require.Equal(t, n-1, p.Value)
}

// A node that Completed names frees what requires it when all that it requires
// itself is done, and is waited for until then.
func TestGroup_Completed_in_a_chain(t *testing.T) {
	var order []string
	g := newGroup(t, "b:a c:b d:c", func(k string) scheduler.Task {
		order = append(order, k)
		return scheduler.Pause(scheduler.Rounds(2))
	}, &scheduler.GroupOptions[string]{Completed: func(k string) bool { return k == "b" || k == "c" }})
	mustStep(t, t.Context(), g)
	require.Equal(t, []string{"a"}, order)
	require.Equal(t, []string{"c"}, slices.Collect(g.WaitsFor("d")))
	require.NoError(t, scheduler.Run(t.Context(), scheduler.Sequence(g), nil))
	require.Equal(t, []string{"a", "d"}, order)
}

// An empty list of a Snapshot is a list, also in JSON.
func TestSnapshot_of_nothing(t *testing.T) {
	g := newGroup(t, "a", func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) }, nil)
	for _, s := range []scheduler.Snapshot[string]{g.Snapshot(), g.Snapshot().After(scheduler.Snapshot[string]{})} {
		text, err := json.Marshal(s)
		require.NoError(t, err)
		require.JSONEq(t, `{"completed":[],"started":[]}`, string(text))
	}
}

// Drain that left something is in the result, also beside failures.
func TestGroup_drained_beside_a_failure(t *testing.T) {
	var g *scheduler.DependencyTaskGroup[string]
	g = newGroup(t, "bad slow later:slow", func(k string) scheduler.Task {
		if k == "slow" {
			return lasting(2, nil)
		}
		return scheduler.Func(func(context.Context) error {
			g.Drain()
			return errBoom
		})
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: schedulertest.NewClock(time.Time{})})
	require.ErrorIs(t, err, errBoom)
	require.ErrorIs(t, err, scheduler.ErrDrained)
	require.Equal(t, scheduler.StatePending, g.State("later"))
}

// An Observer that panics when it is told of a step leaves no task open, and loses
// no answer.
func TestGroup_panic_of_an_observer_about_a_step(t *testing.T) {
	for _, kind := range []scheduler.Kind{scheduler.NodeStepped, scheduler.SlowStep} {
		for _, recovers := range []bool{false, true} {
			for step := range 3 {
				for name, last := range map[string]struct {
					ends bool
					err  error
				}{"goes on": {}, "fails": {true, errOops}, "succeeds": {true, nil}} {
					t.Run(fmt.Sprintf("%v, recovers %v, step %d, %s", kind, recovers, step, name), func(t *testing.T) {
						clock := schedulertest.NewClock(time.Time{})
						steps, told, ended := 0, 0, false
						limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
						g := newGroup(t, "a", func(string) scheduler.Task {
							return scheduler.Wrap(func(co *scheduler.Coroutine) error {
								defer func() { ended = true }()
								for ; ; steps++ {
									clock.Advance(time.Minute)
									if steps == step && last.ends {
										return last.err
									}
									if err := co.Yield(scheduler.Next); err != nil {
										return err
									}
								}
							})
						}, &scheduler.GroupOptions[string]{
							SlowStep: time.Second, RecoverPanics: recovers,
							Claims: func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: limiter, Weight: 1}} },
							Observer: kindObserver{kind, func() {
								if told++; told == step+1 {
									panic("observer")
								}
							}},
						})
						require.Panics(t, func() {
							_ = scheduler.Run(t.Context(), scheduler.All(g), &scheduler.RunnerOptions{Clock: clock})
						})
						require.True(t, ended)
						require.Zero(t, limiter.InUse())
						switch {
						case last.err != nil:
							require.ErrorIs(t, g.Err("a"), errOops)
							require.ErrorIs(t, errors.Join(g.Errors()...), errOops)
						case last.ends:
							require.Equal(t, scheduler.StateSucceeded, g.State("a"))
						}
					})
				}
			}
		}
	}
}

// kindObserver calls a function for records of one kind.
type kindObserver struct {
	kind scheduler.Kind
	f    func()
}

func (o kindObserver) Observe(scheduler.Record) { o.f() }
func (o kindObserver) Wants() scheduler.Kinds   { return scheduler.KindsOf(o.kind) }

// What a drained group has left pending stays so, even if a panic ends the group.
func TestGroup_drained_that_panics(t *testing.T) {
	var told kinds
	group := newGroup(t, "a b:a", func(string) scheduler.Task {
		return &fakeTask{
			step:  func(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil },
			close: func() error { panic(errOops) },
		}
	}, &scheduler.GroupOptions[string]{Observer: &told})
	ctx := scheduler.WithClock(t.Context(), newClock())
	mustStep(t, ctx, group)
	group.Drain()
	panicOf(t, func() { _ = group.Close() })
	require.Equal(t, scheduler.StatePending, group.State("b"))
	require.NotContains(t, told.take(), "node changed b")
}

// The list of what a closed group ends with tells those that failed from those whose
// calls only returned an error when they were closed: these nodes are cancelled.
func TestGroup_Close_counts_closed_apart(t *testing.T) {
	t.Parallel()
	closed := scheduler.Blocking
	failed := func(func(context.Context) error) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return errOops })
	}
	type task = func(func(context.Context) error) scheduler.Task
	tests := []struct {
		name  string
		tasks map[string]task
		want  string
	}{
		{"one closed", map[string]task{"a": closed}, "1 task closed:\n- a: half made"},
		{"two closed", map[string]task{"a": closed, "b": closed}, "2 tasks closed:\n- a: half made\n- b: half made"},
		{"one of each", map[string]task{"a": closed, "b": failed}, "1 task failed, 1 closed:\n- b: oops\n- a: half made"},
		{
			"two of each",
			map[string]task{"a": closed, "b": failed, "c": failed, "d": closed},
			"2 tasks failed, 2 closed:\n- b: oops\n- c: oops\n- a: half made\n- d: half made",
		},
		{"one failed", map[string]task{"a": failed}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			nodes := map[string][]string{}
			for k := range test.tasks {
				nodes[k] = nil
			}
			group, err := scheduler.NewDependencyTaskGroup(scheduler.DependenciesOf(nodes), func(k string) scheduler.Task {
				return test.tasks[k](func(ctx context.Context) error {
					<-ctx.Done()
					return errors.New("half made")
				})
			}, &scheduler.GroupOptions[string]{AggregateErrors: true})
			require.NoError(t, err)
			r := scheduler.NewTaskRunner(group, nil)
			if err := r.Start(t.Context(), 0); test.want == "" {
				require.EqualError(t, err, "1 task failed:\n- a: oops")
				return
			}
			require.NoError(t, r.Cancel())
			require.EqualError(t, r.Err(), "scheduler: cancelled\n"+test.want)
			require.Equal(t, scheduler.StateCancelled, group.State("a"))
		})
	}
}

// A group with services is closed in parts, none of which waits.

// servingFor returns a call that is ready at once and takes d to end.
func servingFor(d time.Duration, ends func()) scheduler.Task {
	return scheduler.Blocking(func(ctx context.Context) error {
		scheduler.Ready(ctx)
		<-ctx.Done()
		sleep(d)
		ends()
		return nil
	})
}

// zeroAfter forwards to a task, and yields nothing after some time.
type zeroAfter struct {
	scheduler.Task
	at time.Time
}

func (z *zeroAfter) Unwrap() scheduler.Task { return z.Task }

func (z *zeroAfter) Step(ctx context.Context) (scheduler.Yield, error) {
	if !time.Now().Before(z.at) {
		return scheduler.Yield{}, nil
	}
	y, err := z.Task.Step(ctx)
	return y.Or(scheduler.At(z.at)), err
}

// The services of a group that is closed end one after the other, each when what needs
// it has ended, and that holds up nobody, however deep the group is.
func TestGroup_services_of_a_closed_group(t *testing.T) {
	const after, takes = 500 * time.Millisecond, time.Second
	inside := maps.Clone(held)
	inside["in a group in a group"] = func(task scheduler.Task) scheduler.Task {
		return newGroup(t, "in", func(string) scheduler.Task {
			return newGroup(t, "more", func(string) scheduler.Task { return task }, nil)
		}, nil)
	}
	ways := []string{"StopNode", "limit", "end of a grace", "failure of another", "limit of a runner", "no yield", "no yield inside"}
	for name, in := range inside {
		for _, way := range ways {
			inBubble(t, fmt.Sprint(way, " ", name), func(t *testing.T) {
				var worst time.Duration
				var ended []string
				began := time.Now()
				note := func(k string) func() {
					return func() { ended = append(ended, fmt.Sprint(k, " ", time.Since(began).Round(10*time.Millisecond))) }
				}
				group := func() scheduler.Task {
					return newGroup(t, "R S:R J:S", func(k string) scheduler.Task {
						if k != "J" {
							return servingFor(takes, note(k))
						}
						return scheduler.Blocking(func(ctx context.Context) error {
							<-ctx.Done()
							sleep(takes)
							note(k)()
							return nil
						})
					}, nil)
				}
				first := after
				opts := &scheduler.GroupOptions[string]{AggregateErrors: true}
				switch way {
				case "limit":
					opts.Timeout = byKey(map[string]time.Duration{"node": after})
				case "end of a grace":
					const grace = 200 * time.Millisecond
					opts.Timeout = byKey(map[string]time.Duration{"node": after})
					opts.GraceFor = byKey(map[string]time.Duration{"node": grace})
					first += grace
				case "failure of another":
					opts = &scheduler.GroupOptions[string]{GraceFor: byKey(map[string]time.Duration{"sibling": time.Hour})}
				}
				g := newGroup(t, "node sibling fails", func(k string) scheduler.Task {
					switch {
					case k == "fails":
						return scheduler.Sequence(scheduler.Pause(scheduler.After(after)), failsWith(errSpace))
					case k != "node":
						return stepping(100, &worst)
					}
					switch way {
					case "limit of a runner":
						return scheduler.Subrun(scheduler.NewTaskRunner(in(group()), &scheduler.RunnerOptions{Timeout: after}))
					case "no yield":
						return &zeroAfter{in(group()), began.Add(after)}
					case "no yield inside":
						return in(scheduler.Sequence(&zeroAfter{group(), began.Add(after)}))
					}
					return in(group())
				}, opts)
				r := scheduler.NewTaskRunner(g, nil)
				if way == "StopNode" {
					time.AfterFunc(after, func() { r.Post(func() { g.StopNode("node", errOops) }) })
				}
				require.Error(t, r.Run(t.Context()))
				require.Less(t, worst, 60*time.Millisecond)
				at := func(k string, n time.Duration) string { return fmt.Sprint(k, " ", first+n*takes) }
				require.Equal(t, []string{at("J", 1), at("S", 2), at("R", 3)}, ended)
			})
		}
	}
}

// Once the services that were needed have been asked to end, each member still ends as
// soon as it can, and gives back what it holds.
func TestGroup_closed_in_parts_gives_back_early(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = time.Second
		l := limiter(1)
		inner := newGroup(t, "S J:S K", func(k string) scheduler.Task {
			switch k {
			case "S":
				return servingFor(takes, func() {})
			case "J":
				return deafFor(2*takes, nil)
			}
			return deafFor(10*takes, nil)
		}, &scheduler.GroupOptions[string]{Claims: byKey(map[string][]scheduler.Claim{"S": unit(l)})})
		r := scheduler.NewTaskRunner(newGroup(t, "in", func(string) scheduler.Task { return inner }, nil), nil)
		time.AfterFunc(takes, r.Kill)
		used := make(chan int, 2)
		for _, at := range []time.Duration{5 * takes / 2, 7 * takes / 2} { // S has ended after 3
			time.AfterFunc(at, func() { used <- l.InUse() })
		}
		began := time.Now()
		require.Error(t, r.Run(t.Context()))
		require.Equal(t, 10*takes, time.Since(began))
		require.Equal(t, []int{1, 0}, []int{<-used, <-used})
	})
}

// failsWith returns a task that fails.
func failsWith(err error) scheduler.Task {
	return scheduler.Func(func(context.Context) error { return err })
}

// What needs a service is closed before that is asked to end, also if it takes no time;
// a kill of the run, which nobody else is in, does so as well.
func TestGroup_services_of_a_closed_group_come_last(t *testing.T) {
	for _, way := range []string{"StopNode", "Kill", "Close"} {
		inBubble(t, way, func(t *testing.T) {
			var said []string
			say := func(what string) { said = append(said, what) }
			inner := newGroup(t, "S J:S", func(k string) scheduler.Task {
				if k == "S" {
					return scheduler.Blocking(func(ctx context.Context) error {
						scheduler.Ready(ctx)
						<-ctx.Done()
						say("S is told")
						sleep(time.Second)
						return nil
					})
				}
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					defer say("J has cleaned up")
					return co.Yield(scheduler.On(new(scheduler.Event)))
				})
			}, nil)
			var worst time.Duration
			g := newGroup(t, "node sibling", func(k string) scheduler.Task {
				if k == "node" {
					return inner
				}
				return stepping(30, &worst)
			}, &scheduler.GroupOptions[string]{AggregateErrors: true})
			r := scheduler.NewTaskRunner(g, nil)
			time.AfterFunc(100*time.Millisecond, func() {
				switch way {
				case "StopNode":
					r.Post(func() { g.StopNode("node", errOops) })
				case "Kill":
					r.Kill()
				case "Close":
					r.Post(func() { _ = g.Close() })
				}
			})
			require.Error(t, r.Run(t.Context()))
			require.Equal(t, []string{"J has cleaned up", "S is told"}, said)
			require.Less(t, worst, 60*time.Millisecond)
		})
	}
}

// A panic, or a Goexit, out of a part ends all around it.
func TestGroup_panic_while_it_is_closed_in_parts(t *testing.T) {
	ends := map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit}
	for name, end := range ends {
		for _, recovers := range []bool{false, true} {
			inBubble(t, fmt.Sprint(name, " recovered ", recovers), func(t *testing.T) {
				var said []string
				inner := newGroup(t, "S J:S", func(k string) scheduler.Task {
					if k == "S" {
						return servingFor(time.Second, func() { said = append(said, "S") })
					}
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						defer end()
						return co.Yield(scheduler.On(new(scheduler.Event)))
					})
				}, nil)
				g := newGroup(t, "node", func(string) scheduler.Task {
					return scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
						defer func() { said = append(said, "around") }()
						return co.Await(inner)
					}), nil))
				}, &scheduler.GroupOptions[string]{RecoverPanics: recovers, AggregateErrors: true})
				r := scheduler.NewTaskRunner(g, nil)
				time.AfterFunc(100*time.Millisecond, func() { r.Post(func() { g.StopNode("node", errOops) }) })
				var err error
				var panicked any
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					defer func() { panicked = recover() }()
					err = r.Run(t.Context())
				}()
				<-ended
				require.Equal(t, []string{"S", "around"}, said)
				require.Equal(t, scheduler.StateFailed, inner.State("J"))
				require.Equal(t, scheduler.StateCancelled, inner.State("S"))
				switch {
				case name == "Goexit":
					require.Nil(t, panicked)
					require.ErrorIs(t, g.Err("node"), scheduler.ErrAborted)
				case recovers:
					require.Nil(t, panicked)
					require.ErrorIs(t, err, errOops)
					require.Equal(t, "J", asError[*scheduler.PanicError](t, err).Path)
				default:
					require.Equal(t, "node/J", panicked.(*scheduler.PanicError).Path)
					require.ErrorIs(t, g.Err("node"), scheduler.ErrAborted)
				}
			})
		}
	}
}

// asked is a task out of whose BeginClose, or Stop, comes a panic.
type asked struct {
	scheduler.Task
	stops bool
}

func (a asked) Unwrap() scheduler.Task { return a.Task }

func (a asked) BeginClose() *scheduler.Event {
	if !a.stops {
		panic("asked to end")
	}
	return nil
}

func (a asked) Stop(context.Context, error) {
	if a.stops {
		panic("told to stop")
	}
}

// A task that panics when it is asked to end has ended: what is around it ends, and what
// it claims is given back.
func TestGroup_panic_of_one_that_is_asked_to_end(t *testing.T) {
	for _, stops := range []bool{false, true} {
		for _, recovers := range []bool{false, true} {
			t.Run(fmt.Sprint("stop ", stops, " recovered ", recovers), func(t *testing.T) {
				var said []string
				l := limiter(1)
				grace := time.Duration(0)
				if stops {
					grace = time.Minute
				}
				g := newGroup(t, "node fails", func(k string) scheduler.Task {
					if k == "fails" {
						return failsWith(errSpace)
					}
					return scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
						defer func() { said = append(said, "around") }()
						return co.Await(scheduler.Claiming(unit(l), asked{scheduler.Pause(scheduler.On(new(scheduler.Event))), stops}))
					}), nil))
				}, &scheduler.GroupOptions[string]{RecoverPanics: recovers, Grace: grace})
				run := func() error { return scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: newClock()}) }
				if recovers {
					require.ErrorIs(t, run(), errSpace)
					require.Len(t, g.Errors(), 2)
					_ = asError[*scheduler.PanicError](t, g.Errors()[1])
				} else {
					require.Panics(t, func() { _ = run() })
				}
				require.Equal(t, []string{"around"}, said)
				require.Zero(t, l.InUse())
			})
		}
	}
}

// partly is a group inside a task that answers by itself what comes after the first part.
type partly struct {
	scheduler.Task
	asked bool
	then  func(inside scheduler.Task) *scheduler.Event
}

func (p *partly) BeginClose() *scheduler.Event {
	if p.asked {
		return p.then(p.Task)
	}
	p.asked = true
	return p.Task.(scheduler.Closer).BeginClose()
}

// What a member says when it is asked for its next part is its own: an event that is set
// already ends it at once, and a panic is its failure and no longer its wait.
func TestGroup_member_that_answers_its_next_part(t *testing.T) {
	for name, then := range map[string]func(scheduler.Task) *scheduler.Event{
		"event that is set": func(scheduler.Task) *scheduler.Event {
			e := new(scheduler.Event)
			e.Set()
			return e
		},
		"panic": func(inside scheduler.Task) *scheduler.Event {
			defer panic("asked once more")
			_ = inside.Close()
			return nil
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			const takes = time.Second
			began := time.Now()
			var ended []string
			note := func(k string) func() {
				return func() { ended = append(ended, fmt.Sprint(k, " ", time.Since(began).Round(10*time.Millisecond))) }
			}
			served := newGroup(t, "S J:S", func(k string) scheduler.Task {
				if k == "S" {
					return servingFor(takes, note("S"))
				}
				return deafFor(takes, nil)
			}, nil)
			inner := newGroup(t, "R K:R node", func(k string) scheduler.Task {
				switch k {
				case "R":
					return servingFor(takes, note("R"))
				case "K":
					return deafFor(3*takes, nil)
				}
				return &partly{Task: served, then: then}
			}, &scheduler.GroupOptions[string]{RecoverPanics: true})
			r := scheduler.NewTaskRunner(newGroup(t, "in", func(string) scheduler.Task { return inner }, nil), nil)
			time.AfterFunc(100*time.Millisecond, r.Kill)
			require.Error(t, r.Run(t.Context()))
			if name == "panic" {
				require.Len(t, inner.Errors(), 1)
				require.Equal(t, "asked once more", asError[*scheduler.PanicError](t, inner.Err("node")).Value)
			} else {
				require.Empty(t, inner.Errors())
			}
			require.Equal(t, scheduler.StateCancelled, inner.State("node"))
			require.Equal(t, []string{"S 2s", "R 4s"}, ended)
		})
	}
}

// A member that has panicked when it was asked to end is not asked again when the next
// part of its group is ended.
func TestGroup_member_that_panics_is_asked_once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		inner := newGroup(t, "S J:S node", func(k string) scheduler.Task {
			switch k {
			case "S":
				return servingFor(time.Second, func() {})
			case "J":
				return deafFor(time.Second, nil)
			}
			return closer{fakeTask: &fakeTask{yields: []scheduler.Yield{scheduler.On(new(scheduler.Event))}}, begin: func() *scheduler.Event {
				asked++
				panic("asked to end")
			}}
		}, &scheduler.GroupOptions[string]{RecoverPanics: true})
		r := scheduler.NewTaskRunner(newGroup(t, "in", func(string) scheduler.Task { return inner }, nil), nil)
		time.AfterFunc(100*time.Millisecond, r.Kill)
		require.Error(t, r.Run(t.Context()))
		require.Equal(t, 1, asked)
		require.Equal(t, "asked to end", asError[*scheduler.PanicError](t, inner.Err("node")).Value)
	})
}

// serving returns a group of a service and of a node that requires it and takes until
// closed is set to be closed, both running.
func serving(t *testing.T, closed *scheduler.Event) *scheduler.DependencyTaskGroup[string] {
	return newGroup(t, "S a:S", func(k string) scheduler.Task {
		if k == "S" {
			return readyTask(1)
		}
		return slowCloser{scheduler.Pause(scheduler.After(time.Hour)), closed}
	}, nil)
}

// Who asks again, before a part can be ended, waits for the same.
func TestGroup_BeginClose_again(t *testing.T) {
	t.Parallel()
	var closed scheduler.Event
	g := serving(t, &closed)
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: newClock()})
	require.Equal(t, scheduler.StateRunning, g.State("a"))
	e := g.BeginClose()
	require.Same(t, e, g.BeginClose())
	require.False(t, e.IsSet())
	closed.Set()
	require.True(t, r.Due().Ready())
	require.True(t, e.IsSet())
	require.Nil(t, g.BeginClose())
	require.NoError(t, g.Close())
}

// Who asks a run inside to end that is closing its group in parts already goes on with
// these.
func TestAsTask_BeginClose_in_parts(t *testing.T) {
	t.Parallel()
	var closed scheduler.Event
	g := serving(t, &closed)
	clock := newClock()
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: clock})
	task := r.AsTask(0).(scheduler.Closer)
	_, err := task.Step(t.Context())
	require.NoError(t, err)
	r.CancelAfter(time.Second)
	clock.Advance(2 * time.Second)
	_, err = task.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, scheduler.StateClosing, g.State("a"))
	e := task.BeginClose()
	require.False(t, e.IsSet())
	closed.Set()
	require.True(t, r.Due().Ready())
	require.True(t, e.IsSet())
	require.Nil(t, task.BeginClose())
	require.NoError(t, task.Close())
	require.Equal(t, scheduler.StateCancelled, g.State("a"))
}

// The first BeginClose ends nothing, even where a part could be ended already: that of a run
// or a group inside, which is ending part by part.
func TestBeginClose_ends_no_part_at_first(t *testing.T) {
	t.Parallel()
	t.Run("AsTask", func(t *testing.T) {
		t.Parallel()
		var closed scheduler.Event
		g := serving(t, &closed)
		clock := newClock()
		r := startRunner(t, g, &scheduler.RunnerOptions{Clock: clock})
		task := r.AsTask(0).(scheduler.Closer)
		mustStep(t, t.Context(), task)
		r.CancelAfter(time.Second)
		clock.Advance(2 * time.Second)
		mustStep(t, t.Context(), task)
		closed.Set()
		require.True(t, r.Due().Ready())
		require.True(t, task.BeginClose().IsSet())
		require.Equal(t, scheduler.StateClosing, g.State("a"))
		require.Nil(t, task.BeginClose())
		require.Equal(t, scheduler.StateCancelled, g.State("a"))
		require.NoError(t, task.Close())
	})
	t.Run("group", func(t *testing.T) {
		t.Parallel()
		var closed scheduler.Event
		inner := serving(t, &closed)
		outer := newGroup(t, "node fails", func(k string) scheduler.Task {
			if k == "fails" {
				return lasting(1, errOops)
			}
			return inner
		}, nil)
		clock := newClock()
		r := startRunner(t, outer, &scheduler.RunnerOptions{Clock: clock})
		clock.Advance(time.Second)
		mustStep(t, t.Context(), r)
		require.Equal(t, scheduler.StateClosing, outer.State("node"))
		require.Equal(t, scheduler.StateClosing, inner.State("a"))
		closed.Set()
		require.True(t, r.Due().Ready())
		require.NotNil(t, outer.BeginClose())
		require.Equal(t, scheduler.StateClosing, inner.State("a"))
		require.True(t, r.Due().Ready())
		require.Nil(t, outer.BeginClose())
		require.Equal(t, scheduler.StateCancelled, inner.State("a"))
		require.NoError(t, r.Cancel())
		require.ErrorIs(t, r.Err(), errOops)
	})
}

// endsItsGroup answers a Timeout by asking its group to end.
type endsItsGroup struct {
	*scheduler.DependencyTaskGroup[string]
	asked int
}

func (e *endsItsGroup) Throw(context.Context, error) (scheduler.Yield, error) {
	return scheduler.Ending(e.DependencyTaskGroup.BeginClose()), nil
}

func (e *endsItsGroup) BeginClose() *scheduler.Event {
	e.asked++
	return e.DependencyTaskGroup.BeginClose()
}

// A task that has yet to answer a Timeout is asked to end with its group.
func TestGroup_BeginClose_of_one_that_has_yet_to_answer(t *testing.T) {
	t.Parallel()
	var closed scheduler.Event
	task := &endsItsGroup{DependencyTaskGroup: serving(t, &closed)}
	outer := newGroup(t, "node other", func(k string) scheduler.Task {
		if k == "node" {
			return task
		}
		return hours(k)
	}, &scheduler.GroupOptions[string]{
		Timeout: byKey(map[string]time.Duration{"node": time.Second}), AggregateErrors: true,
	})
	clock := newClock()
	ctx := scheduler.WithClock(t.Context(), clock)
	mustStep(t, ctx, outer)
	clock.Advance(2 * time.Second)
	mustStep(t, ctx, outer)
	require.Equal(t, scheduler.StateClosing, outer.State("node"))
	require.Zero(t, task.asked)
	require.NotNil(t, outer.BeginClose())
	require.Equal(t, 1, task.asked)
	closed.Set()
	require.ErrorIs(t, outer.Close(), context.DeadlineExceeded)
}
