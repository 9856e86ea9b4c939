package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// renamed is a wrapper that has only a name of its own.
type renamed struct {
	scheduler.Task
	name string
}

func (r renamed) Unwrap() scheduler.Task { return r.Task }

func (r renamed) String() string { return r.name }

// BeginClose asks, whatever holds the calls, and the event is set when the last
// of them has returned.
func TestCloser(t *testing.T) {
	call := func(d time.Duration) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			<-ctx.Done()
			sleep(d)
			return nil
		})
	}
	around := map[string]func(task scheduler.Task) scheduler.Task{
		"bare":     func(task scheduler.Task) scheduler.Task { return task },
		"renamed":  func(task scheduler.Task) scheduler.Task { return renamed{task, "r"} },
		"Wrap":     func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
		"AsTask":   func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
		"All":      func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		"two":      func(task scheduler.Task) scheduler.Task { return scheduler.All(call(time.Second), task) },
		"Poll":     func(scheduler.Task) scheduler.Task { return pollFor(2 * time.Second) },
		"nested":   func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.Sequence(renamed{task, "r"})) },
		"parallel": func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.All(call(1), task), call(2)) },
	}
	for name, put := range around {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				task := put(call(2 * time.Second))
				mustStep(t, t.Context(), task)
				synctest.Wait()
				begin := time.Now()
				closer := task
				for range 2 { // wrapped once at most
					if u, ok := closer.(interface{ Unwrap() scheduler.Task }); ok {
						closer = u.Unwrap()
					}
				}
				e := closer.(scheduler.Closer).BeginClose()
				require.NotNil(t, e)
				require.Equal(t, begin, time.Now(), "it only asks")
				sleep(2*time.Second - 1)
				synctest.Wait()
				require.False(t, e.IsSet())
				sleep(1)
				synctest.Wait()
				require.True(t, e.IsSet())
				require.NoError(t, task.Close())
				require.Equal(t, 2*time.Second, time.Since(begin))
			})
		})
	}
}

func pollFor(d time.Duration) scheduler.Task {
	return scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
		<-ctx.Done()
		sleep(d)
		return true, nil
	})
}

// A group that has not begun, or has ended, has nothing to close. It can be asked
// at any time, also by an Observer that hears of its end.
func TestCloser_of_a_group_that_does_not_run(t *testing.T) {
	var group *scheduler.DependencyTaskGroup[string]
	asked := 0
	ask := func() {
		asked++
		require.Nil(t, group.BeginClose())
		require.NoError(t, group.Close())
	}
	group = newGroup(t, "a", hours, nil)
	ask()
	_, err := group.Step(t.Context())
	require.ErrorIs(t, err, scheduler.ErrEnded)

	group = newGroup(t, "a", func(string) scheduler.Task { return lasting0 }, &scheduler.GroupOptions[string]{
		Observer: kindObserver{scheduler.GroupEnded, ask},
	})
	require.Equal(t, scheduler.Done, mustStep(t, t.Context(), group))
	require.Equal(t, 2, asked)
	ask()
}

// closer is a task that says by itself what Close would wait for.
type closer struct {
	*fakeTask
	begin func() *scheduler.Event
}

func (c closer) BeginClose() *scheduler.Event { return c.begin() }

// A task that answers a Timeout by Ending is stepped for its answer, as often as it
// says Ending. One that goes on in place of that is asked to close.
func TestEnding_in_answer_to_a_Timeout(t *testing.T) {
	type answer struct {
		y   scheduler.Yield
		err error
	}
	var first, second scheduler.Event
	for name, test := range map[string]struct {
		answers []answer         // to the steps after the first
		begin   *scheduler.Event // what BeginClose says
		asked   int              // calls of BeginClose
		closes  int              // calls of Close, which fails with errOops
		fails   bool             // with errOops besides the Timeout
		waits   bool             // for second
	}{
		"ends":               {answers: []answer{{scheduler.Done, nil}}},
		"fails":              {answers: []answer{{scheduler.Next, errOops}}, fails: true},
		"ends later":         {answers: []answer{{scheduler.Ending(&second), nil}, {scheduler.Done, nil}}, waits: true},
		"fails later":        {answers: []answer{{scheduler.Ending(&second), nil}, {scheduler.Next, errOops}}, fails: true, waits: true},
		"goes on":            {answers: []answer{{scheduler.Next, nil}}, asked: 1, closes: 1, fails: true},
		"goes on, and waits": {answers: []answer{{scheduler.Next, nil}}, begin: &second, asked: 1, closes: 1, fails: true, waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			first.Reset()
			second.Reset()
			var told []string
			asked := 0
			task := &fakeTask{name: "slow", throw: always(scheduler.Ending(&first), nil), close: func() error { return errOops }}
			task.step = func(context.Context) (scheduler.Yield, error) {
				if task.steps == 1 {
					return scheduler.After(time.Hour), nil
				}
				a := test.answers[task.steps-2]
				return a.y, a.err
			}
			group := newGroup(t, "a", func(string) scheduler.Task {
				return closer{task, func() *scheduler.Event { asked++; return test.begin }}
			}, &scheduler.GroupOptions[string]{
				Timeout: func(string) time.Duration { return time.Second },
				Observer: kindsFunc{scheduler.KindsOf(scheduler.NodeStepped), func(r scheduler.Record) {
					told = append(told, r.Task())
				}},
			})
			clock := newClock()
			ctx := scheduler.WithClock(t.Context(), clock)
			mustStep(t, ctx, group)
			clock.Advance(2 * time.Second)
			mustStep(t, ctx, group)
			require.Equal(t, 1, task.steps)
			first.Set()
			if test.waits {
				for range 3 { // it is not stepped for nothing
					mustStep(t, ctx, group)
					require.Equal(t, scheduler.StateClosing, group.State("a"))
					require.Equal(t, 2, task.steps)
				}
				second.Set()
			}
			_, err := group.Step(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, test.fails, errors.Is(err, errOops))
			require.Equal(t, scheduler.StateTimedOut, group.State("a"))
			require.Equal(t, 1+len(test.answers), task.steps)
			require.Equal(t, []int{test.asked, test.closes}, []int{asked, task.closes})
			require.Equal(t, slices.Repeat([]string{"slow"}, task.steps), told[:task.steps], "closing or not")
		})
	}
}

// What a task fails with that ends after its grace is a failure like any other, and
// kept if its group is closed meanwhile.
func TestCloser_that_fails_after_its_grace(t *testing.T) {
	for _, closes := range []bool{false, true} {
		var never, closed scheduler.Event
		var failed []string
		deaf := closer{
			&fakeTask{yields: []scheduler.Yield{scheduler.On(&never)}, close: func() error { return errOops }},
			func() *scheduler.Event { return &closed },
		}
		group := newGroup(t, "deaf fails", func(k string) scheduler.Task {
			if k == "deaf" {
				return deaf
			}
			return scheduler.Func(func(context.Context) error { return errBoom })
		}, &scheduler.GroupOptions[string]{
			GraceFor: func(string) time.Duration { return time.Second },
			OnError: func(k string, err error) scheduler.Disposition {
				failed = append(failed, k)
				return scheduler.StopGroup
			},
		})
		clock := newClock()
		ctx := scheduler.WithClock(t.Context(), clock)
		mustStep(t, ctx, group)
		clock.Advance(2 * time.Second)
		mustStep(t, ctx, group)
		require.Equal(t, scheduler.StateClosing, group.State("deaf"))
		closed.Set()
		var err error
		want := []string{"fails"}
		if closes {
			err = group.Close()
		} else {
			_, err = group.Step(ctx)
			want = append(want, "deaf")
		}
		require.Equal(t, want, failed, "who is asked about: nothing is left to be decided in Close")
		require.ErrorIs(t, err, errBoom)
		require.ErrorIs(t, err, errOops)
		require.ErrorIs(t, group.Err("deaf"), errOops)
		require.Equal(t, scheduler.StateFailed, group.State("deaf"))
		require.Equal(t, 1, deaf.closes)
	}
}

// A task that has nothing to wait for says so.
func TestCloser_nothing_to_wait_for(t *testing.T) {
	for _, task := range []scheduler.Task{
		scheduler.Sequence(scheduler.Pause(scheduler.Next)),
		scheduler.All(scheduler.Pause(scheduler.Next), scheduler.Pause(scheduler.Next)),
		scheduler.NewTaskRunner(scheduler.Pause(scheduler.Next), nil).AsTask(0),
	} {
		mustStep(t, t.Context(), task)
		require.Nil(t, task.(scheduler.Closer).BeginClose())
		require.NoError(t, task.Close())
	}
}

// The task of a runner that was cancelled has been closed: it is not asked to end
// when the task that drives the runner is.
func TestCloser_of_a_runner_that_was_cancelled(t *testing.T) {
	for name, make := range map[string]func(r *scheduler.TaskRunner) scheduler.Task{
		"AsTask":  func(r *scheduler.TaskRunner) scheduler.Task { return r.AsTask(0) },
		"Subrun":  scheduler.Subrun,
		"wrapped": func(r *scheduler.TaskRunner) scheduler.Task { return renamed{r.AsTask(0), "renamed"} },
	} {
		t.Run(name, func(t *testing.T) {
			inside := &fakeTask{step: func(context.Context) (scheduler.Yield, error) { return scheduler.After(time.Hour), nil }}
			asked := 0
			r := scheduler.NewTaskRunner(closer{inside, func() *scheduler.Event { asked++; return nil }}, nil)
			group := newGroup(t, "drives", func(string) scheduler.Task { return make(r) }, nil)
			mustStep(t, t.Context(), group)
			require.NoError(t, r.Cancel())
			require.Equal(t, 1, inside.closes)
			before := asked
			require.NoError(t, group.Close())
			require.Equal(t, before, asked)
			require.Equal(t, 1, inside.closes)
			require.Equal(t, scheduler.StateCancelled, group.State("drives"))
		})
	}
}

func TestEnding(t *testing.T) {
	var e scheduler.Event
	require.False(t, scheduler.Ending(&e).Ready())
	e.Set()
	require.True(t, scheduler.Ending(&e).Ready())
	require.PanicsWithValue(t, "scheduler: Ending: nil event", func() { scheduler.Ending(nil) })
}

// slowCloser takes until closed is set to end, and cannot be thrown into.
type slowCloser struct {
	scheduler.Task
	closed *scheduler.Event
}

func (c slowCloser) BeginClose() *scheduler.Event { return c.closed }

// decorators put a task into something that can be thrown into, or not.
var decorators = map[string]func(task scheduler.Task) scheduler.Task{
	"bare":     func(task scheduler.Task) scheduler.Task { return task },
	"renamed":  func(task scheduler.Task) scheduler.Task { return renamed{task, "r"} },
	"Wrap":     func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task) },
	"Shield":   scheduler.Shield,
	"Claiming": func(task scheduler.Task) scheduler.Task { return scheduler.Claiming(nil, task) },
	"AsTask":   func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
}

// A task that takes time to end and cannot be thrown into holds up no step, whatever
// it is in: it is asked to close, and the error comes back when it is closed.
func TestCloser_without_Throw(t *testing.T) {
	for name, put := range decorators {
		for _, grace := range []time.Duration{0, time.Minute} {
			for _, how := range []string{"interrupted", "timed out", "killed meanwhile"} {
				t.Run(fmt.Sprint(name, " ", how, " ", grace), func(t *testing.T) {
					var closed scheduler.Event
					ready := false
					inner := &fakeTask{name: "slow", yields: []scheduler.Yield{scheduler.After(time.Hour)}, close: func() error {
						require.True(t, ready, "Close would wait")
						return errOops
					}}
					clock := newClock()
					r := scheduler.NewTaskRunner(put(slowCloser{inner, &closed}), &scheduler.RunnerOptions{
						Clock: clock, Timeout: time.Second, Grace: grace,
					})
					require.NoError(t, r.Start(t.Context(), 0))
					if how == "timed out" {
						clock.Advance(2 * time.Second)
					} else {
						r.Interrupt(errBoom)
					}
					for range 3 {
						done, err := r.Step(t.Context())
						require.False(t, done, "%v", err)
					}
					if how == "killed meanwhile" {
						r.Kill()
						done, err := r.Step(t.Context())
						require.False(t, done, "%v", err)
					}
					ready = true
					closed.Set()
					done, _ := r.Step(t.Context())
					require.True(t, done)
					want := errBoom
					if how == "timed out" {
						want = context.DeadlineExceeded
					}
					require.ErrorIs(t, r.Err(), want)
					require.ErrorIs(t, r.Err(), errOops)
					require.Equal(t, how == "killed meanwhile", errors.Is(r.Err(), scheduler.ErrCancelled))
					require.Equal(t, 1, inner.closes)
					require.Equal(t, 1, inner.steps)
				})
			}
		}
	}
}

// Such a task has failed when its limit has passed, whatever it is in and whatever
// grace there is: it cannot use one.
func TestCloser_without_Throw_fails_at_once(t *testing.T) {
	for name, put := range decorators {
		t.Run(name, func(t *testing.T) {
			var closed scheduler.Event
			inner := &fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, close: func() error { return errOops }}
			group := newGroup(t, "slow", func(string) scheduler.Task { return put(slowCloser{inner, &closed}) }, &scheduler.GroupOptions[string]{
				Timeout: func(string) time.Duration { return time.Second }, Grace: time.Minute,
			})
			clock := newClock()
			ctx := scheduler.WithClock(t.Context(), clock)
			mustStep(t, ctx, group)
			clock.Advance(2 * time.Second)
			mustStep(t, ctx, group)
			require.Equal(t, scheduler.StateClosing, group.State("slow"))
			require.ErrorIs(t, group.Err("slow"), context.DeadlineExceeded)
			clock.Advance(time.Hour)
			mustStep(t, ctx, group)
			require.Zero(t, inner.closes)
			closed.Set()
			_, err := group.Step(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, errOops)
			require.Len(t, scheduler.Causes(err), 2, "%v", err)
		})
	}
}

// A task that yields nothing has failed, and has the time that it takes to end.
func TestCloser_that_yields_nothing(t *testing.T) {
	for name, put := range decorators {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ", first), func(t *testing.T) {
				var closed scheduler.Event
				inner := &fakeTask{yields: []scheduler.Yield{scheduler.Next, {}}, close: func() error { return errOops }}
				if first {
					inner.yields = inner.yields[1:]
				}
				group := newGroup(t, "slow", func(string) scheduler.Task { return put(slowCloser{inner, &closed}) }, nil)
				for range 3 {
					mustStep(t, t.Context(), group)
				}
				require.Zero(t, inner.closes)
				closed.Set()
				_, err := group.Step(t.Context())
				require.ErrorIs(t, err, scheduler.ErrNoYield)
				require.ErrorIs(t, err, errOops)
				require.Equal(t, 1, inner.closes)
			})
		}
	}
}

// One that answers a Timeout with nothing has failed as well.
func TestCloser_that_answers_nothing(t *testing.T) {
	var closed scheduler.Event
	inner := &fakeTask{
		yields: []scheduler.Yield{scheduler.After(time.Hour)}, throw: always(scheduler.Yield{}, nil),
	}
	group := newGroup(t, "slow", func(string) scheduler.Task {
		return closer{inner, func() *scheduler.Event { return &closed }}
	}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Second }})
	clock := newClock()
	ctx := scheduler.WithClock(t.Context(), clock)
	mustStep(t, ctx, group)
	clock.Advance(2 * time.Second)
	mustStep(t, ctx, group)
	require.Equal(t, scheduler.StateClosing, group.State("slow"))
	closed.Set()
	_, err := group.Step(ctx)
	require.ErrorIs(t, err, scheduler.ErrNoYield)
	require.Equal(t, 1, inner.steps)
	require.Equal(t, 1, inner.closes)
}

// A task that is closed at the end of its grace, and has only its notice to say, is
// cancelled, whether its end takes time or not.
func TestCloser_that_says_its_notice_when_it_is_cut_off(t *testing.T) {
	for _, takesTime := range []bool{false, true} {
		var closed scheduler.Event
		inner := &fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}}
		var notice error
		inner.stop = func(_ context.Context, cause error) { notice = cause }
		inner.close = func() error { return notice }
		group := newGroup(t, "slow fails", func(k string) scheduler.Task {
			switch {
			case k == "fails":
				return scheduler.Func(func(context.Context) error { return errBoom })
			case takesTime:
				return closer{inner, func() *scheduler.Event { return &closed }}
			}
			return inner
		}, &scheduler.GroupOptions[string]{Grace: time.Second})
		clock := newClock()
		ctx := scheduler.WithClock(t.Context(), clock)
		mustStep(t, ctx, group)
		clock.Advance(2 * time.Second)
		if takesTime {
			mustStep(t, ctx, group)
			closed.Set()
		}
		_, err := group.Step(ctx)
		require.ErrorIs(t, err, errBoom)
		require.Equal(t, scheduler.StateCancelled, group.State("slow"))
		require.ErrorIs(t, group.Err("slow"), errBoom, "the cause of its notice")
	}
}
