package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// A member that takes time to end is closing, and holds up nobody.

// deafFor returns a call that ignores its context for d.
func deafFor(d time.Duration, err error) scheduler.Task {
	return scheduler.Blocking(func(context.Context) error {
		time.Sleep(d) //nolint:forbidigo // in a bubble
		return err
	})
}

// noBackOff ends the attempts of a Retry with the first.
type noBackOff struct{}

func (noBackOff) NextBackOff() time.Duration { return -1 }

// held are ways in which a group may hold a task.
func held(task func() scheduler.Task) map[string]scheduler.Task {
	wrapped := func() scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task()) })
	}
	return map[string]scheduler.Task{
		"bare":              task(),
		"renamed":           renamed{task(), "x"},
		"Wrap":              wrapped(),
		"All":               scheduler.All(task()),
		"All in All":        scheduler.All(scheduler.All(task())),
		"AsTask":            scheduler.NewTaskRunner(task(), nil).AsTask(0),
		"Subrun":            scheduler.Subrun(scheduler.NewTaskRunner(task(), nil)),
		"Sequence":          scheduler.Sequence(task()),
		"All in a Wrap":     scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(scheduler.All(task())) }),
		"group in AsTask":   scheduler.NewTaskRunner(scheduler.All(wrapped()), nil).AsTask(0),
		"Retry":             scheduler.Retry(noBackOff{}, func(int, error) scheduler.Task { return task() }),
		"Finally":           scheduler.Finally(task(), scheduler.Func(func(context.Context) error { return nil })),
		"renamed in a Wrap": scheduler.Sequence(renamed{scheduler.All(task()), "x"}),
	}
}

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
			for name := range held(func() scheduler.Task { return deafFor(0, nil) }) {
				t.Run(fmt.Sprint(name, " ", disposition, " ", grace), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var worst time.Duration
						began := time.Now()
						asked, after := time.Duration(-1), time.Duration(-1)
						g, err := scheduler.NewDependencyTaskGroup(graph("sibling after:deaf"), func(k string) scheduler.Task {
							switch k {
							case "deaf":
								return held(func() scheduler.Task { return deafFor(2*time.Second, nil) })[name]
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
						require.NoError(t, err)
						err = scheduler.Run(t.Context(), g, nil)
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
				})
			}
		}
	}
}

// Calls that end at the same time, for whatever reason, end side by side.
func TestGroup_closing_side_by_side(t *testing.T) {
	const n, deaf, limit = 10, time.Second, 100 * time.Millisecond
	own := func(int) time.Duration { return limit }
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
	} {
		for name := range held(func() scheduler.Task { return deafFor(0, nil) }) {
			t.Run(reason+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					err := run(t.Context(), func(int) scheduler.Task {
						return held(func() scheduler.Task { return deafFor(deaf, nil) })[name]
					})
					require.Error(t, err)
					require.Equal(t, deaf, time.Since(began).Round(time.Millisecond))
				})
			})
		}
	}
}

// numbered returns a group of n tasks that are independent of one another.
func numbered(n int, task func(int) scheduler.Task, opts *scheduler.GroupOptions[int]) scheduler.Task {
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
	}
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
		g, err := scheduler.NewDependencyTaskGroup(graph("deaf next look"), func(k string) scheduler.Task {
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
		require.NoError(t, err)
		err = scheduler.Run(t.Context(), g, nil)
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
		g, err := scheduler.NewDependencyTaskGroup(graph("a b"), func(k string) scheduler.Task {
			if k == "a" {
				return deafFor(2*time.Second, nil)
			}
			return scheduler.Func(func(context.Context) error { at = time.Since(began); return nil })
		}, &scheduler.GroupOptions[string]{
			AggregateErrors: true,
			Claims:          func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: limiter, Weight: 1}} },
			Timeout:         func(string) time.Duration { return time.Second },
		})
		require.NoError(t, err)
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
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				began := time.Now()
				waits := 0
				g, err := scheduler.NewDependencyTaskGroup(graph("deaf fails deaf2"), func(k string) scheduler.Task {
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
				require.NoError(t, err)
				r := scheduler.NewTaskRunner(g, &scheduler.RunnerOptions{
					Progress: func(context.Context) error { waits++; return nil },
				})
				time.AfterFunc(1500*time.Millisecond, func() { do(t, r, cancel) })
				err = r.Run(ctx)
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
		g, err := scheduler.NewDependencyTaskGroup(graph("a b:a"), func(k string) scheduler.Task {
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
		require.NoError(t, err)
		err = scheduler.Run(t.Context(), g, nil)
		require.Len(t, asked, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "broken", asError[*scheduler.PanicError](t, err).Value)
		require.Len(t, g.Errors(), 1)
		require.Equal(t, scheduler.StateTimedOut, g.State("a"))
		require.Zero(t, closes)
	})
}
