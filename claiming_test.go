package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

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
func compositions(t *testing.T) map[string]func(task scheduler.Task) scheduler.Task {
	t.Helper()
	group := func(task scheduler.Task) scheduler.Task {
		return newGroup(t, "node", func(string) scheduler.Task { return task }, nil)
	}
	return map[string]func(task scheduler.Task) scheduler.Task{
		"bare":             func(task scheduler.Task) scheduler.Task { return task },
		"group":            group,
		"group in a group": func(task scheduler.Task) scheduler.Task { return group(group(task)) },
		"Wrap": func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		},
		"AsTask": func(task scheduler.Task) scheduler.Task {
			return scheduler.NewTaskRunner(task, nil).AsTask(0)
		},
		"Sequence": func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
		"All":      func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		"Finally": func(task scheduler.Task) scheduler.Task {
			return scheduler.Finally(task, scheduler.Func(func(context.Context) error { return nil }))
		},
		"Retry": func(task scheduler.Task) scheduler.Task {
			return scheduler.Retry(constant(0), func(attempt int, _ error) scheduler.Task {
				if attempt > 1 {
					return nil
				}
				return task
			})
		},
		"Named":  func(task scheduler.Task) scheduler.Task { return scheduler.Named("name", task) },
		"Shield": scheduler.Shield,
		"Subrun": func(task scheduler.Task) scheduler.Task {
			return scheduler.Subrun(scheduler.NewTaskRunner(task, nil))
		},
		"a Claiming of something else": func(task scheduler.Task) scheduler.Task {
			return scheduler.Claiming(unit(limiter(1)), task)
		},
	}
}

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
	for around, compose := range compositions(t) {
		for how, end := range ends {
			for _, waits := range []bool{true, false} {
				t.Run(fmt.Sprint(around, "/", how, "/waits ", waits), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						l := limiter(1)
						holder := claiming(t, "holder", map[string][]scheduler.Claim{"holder": unit(l)}, hours)
						if waits {
							_, err := holder.Step(t.Context())
							require.NoError(t, err)
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

// In all these places it gets its turn by event, and its task runs to its end.
func TestClaiming_gets_its_turn(t *testing.T) {
	for around, compose := range compositions(t) {
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
	require.EqualError(t, scheduler.Run(t.Context(), g, alone()), "scheduler: waiting for claims that can never be had: "+
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
		var wrong *scheduler.OptionError
		require.ErrorAs(t, err, &wrong)
		require.False(t, part.started)
		_, err = task.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrEnded)
	}
	require.PanicsWithValue(t, "scheduler: Claiming: nil Task", func() { scheduler.Claiming(nil, nil) })
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
	r := scheduler.NewTaskRunner(scheduler.Claiming(unit(l), part.task()), nil)
	require.NoError(t, r.Start(t.Context(), 0))
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
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
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
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble
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
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble
		l.SetCapacity(2)
		require.NoError(t, <-done)
	})
	synctest.Test(t, func(t *testing.T) {
		l := limiter(3)
		other := claiming(t, "other", map[string][]scheduler.Claim{"other": unit(l)}, hours)
		_, err := other.Step(t.Context())
		require.NoError(t, err)
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
		var deadlock *scheduler.DeadlockError
		require.True(t, errors.As(<-done, &deadlock))
		require.NoError(t, other.Close())
	})
}

// A notice that stops the run comes after one of another node's failure.
func TestClaiming_hands_on_the_notice_of_the_run(t *testing.T) {
	for name, put := range map[string]func(task scheduler.Task) scheduler.Task{
		"bare":     func(task scheduler.Task) scheduler.Task { return task },
		"Claiming": func(task scheduler.Task) scheduler.Task { return scheduler.Claiming(nil, task) },
	} {
		t.Run(name, func(t *testing.T) {
			inner := newGroup(t, "a b:a", func(string) scheduler.Task { return scheduler.Pause(scheduler.Rounds(2)) }, nil)
			deps := scheduler.NewDependencies[string]()
			deps.Add("inner")
			deps.Add("fails")
			group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
				if k == "inner" {
					return put(inner)
				}
				return scheduler.Func(func(context.Context) error { return errBoom })
			}, &scheduler.GroupOptions[string]{Grace: time.Hour})
			require.NoError(t, err)
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
