package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

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
	around := holdersOf("itself", "renamed", "Sequence", "AsTask", "All")
	around["two"] = func(task scheduler.Task) scheduler.Task { return scheduler.All(call(time.Second), task) }
	around["Poll"] = func(scheduler.Task) scheduler.Task { return pollFor(2 * time.Second) }
	around["nested"] = func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.Sequence(renamed{task, "r"})) }
	around["parallel"] = func(task scheduler.Task) scheduler.Task { return scheduler.All(scheduler.All(call(1), task), call(2)) }
	for name, put := range around {
		inBubble(t, name, func(t *testing.T) {
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

// A task that answers a Timeout without grace with something new is closed, whatever that
// waits for: only what is ending already is waited for.
func TestTimeout_answered_with_a_group(t *testing.T) {
	held, other := limiter(1), limiter(1)
	holder := claiming(t, "holder", map[string][]scheduler.Claim{"holder": unit(held)}, hours)
	mustStep(t, t.Context(), holder)
	serving := func() scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			co.Ready()
			return co.Yield(scheduler.On(new(scheduler.Event)))
		})
	}
	for name, group := range map[string]func() *scheduler.DependencyTaskGroup[string]{
		"that waits for claims": func() *scheduler.DependencyTaskGroup[string] {
			return claiming(t, "x", map[string][]scheduler.Claim{"x": unit(held)}, hours)
		},
		"that waits for nodes": func() *scheduler.DependencyTaskGroup[string] {
			return newGroup(t, "", hours, &scheduler.GroupOptions[string]{KeepOpen: true})
		},
		"that has a service and a claim": func() *scheduler.DependencyTaskGroup[string] {
			return newGroup(t, "s x:s", func(k string) scheduler.Task {
				if k == "s" {
					return serving()
				}
				return hours(k)
			}, &scheduler.GroupOptions[string]{Claims: byKey(map[string][]scheduler.Claim{"s": unit(other)})})
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			began := clock.Now()
			inner := group()
			g := newGroup(t, "a", func(string) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					_ = co.Yield(scheduler.On(new(scheduler.Event)))
					return co.Await(inner)
				})
			}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }})
			err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: clock})
			require.EqualError(t, err, "a: timed out after 1m0s")
			require.Equal(t, time.Minute+1, clock.Now().Sub(began))
			require.Zero(t, held.Waiting()+other.InUse())
		})
	}
	require.NoError(t, holder.Close())
}

// A group that is ending within a grace, behind a Shield, is not ending for a Timeout that
// has none: its node is closed.
func TestTimeout_of_a_group_in_its_grace_behind_a_Shield(t *testing.T) {
	clock := newClock()
	began := clock.Now()
	g := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			inner := newGroup(t, "s x:s fails", func(k string) scheduler.Task {
				switch k {
				case "s":
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						co.Ready()
						return co.Yield(scheduler.On(new(scheduler.Event)))
					})
				case "x":
					return hours(k)
				}
				return scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)), failsWith(errOops))
			}, &scheduler.GroupOptions[string]{Grace: time.Hour})
			return co.Await(deaf{inner})
		})
	}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }})
	err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: clock})
	_ = asError[*scheduler.Timeout](t, err)
	require.Equal(t, time.Minute+1, clock.Now().Sub(began))
}

// deaf does not hear of errors that are thrown into it: it steps on.
type deaf struct{ scheduler.Task }

func (d deaf) Throw(ctx context.Context, _ error) (scheduler.Yield, error) { return d.Step(ctx) }

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
		"fails while ending": {answers: []answer{{scheduler.Ending(&second), errOops}}, fails: true},
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

// The limit of a runner does not make one due that is ending already.
func TestEnding_behind_a_runner_with_a_limit(t *testing.T) {
	t.Parallel()
	var first, second scheduler.Event
	clock := newClock()
	task := &fakeTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Ending(&second)}, throw: always(scheduler.Ending(&first), nil)}
	g := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Timeout: time.Minute}).AsTask(0)
	}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Second }})
	ctx := scheduler.WithClock(t.Context(), clock)
	mustStep(t, ctx, g)
	clock.Advance(2 * time.Second)
	for _, event := range []*scheduler.Event{&first, &second} {
		y := mustStep(t, ctx, g)
		require.Equal(t, scheduler.StateClosing, g.State("a"))
		_, timed := y.Time()
		require.False(t, timed)
		event.Set()
	}
	_, err := g.Step(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, 3, task.steps)
	require.Len(t, task.thrown, 1)
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

// slowCloser takes until closed is set to end, and cannot be thrown into.
type slowCloser struct {
	scheduler.Task
	closed *scheduler.Event
}

func (c slowCloser) BeginClose() *scheduler.Event { return c.closed }

// decorators put a task into something that can be thrown into, or not.
var decorators = holdersOf("itself", "renamed", "Sequence", "Shield", "Claiming", "AsTask")

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
					r := startRunner(t, put(slowCloser{inner, &closed}), &scheduler.RunnerOptions{
						Clock: clock, Timeout: time.Second, Grace: grace,
					})
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

// The error of a run that had to wait for a call says which, however the call is held
// and in whichever way the run ends.
func TestLate_call_is_named(t *testing.T) {
	const second = time.Second
	for name, tt := range map[string]struct {
		opts scheduler.RunnerOptions
		end  func(r *scheduler.TaskRunner, cancel func())
		want error
		late time.Duration
	}{
		"limit":          {opts: scheduler.RunnerOptions{Timeout: second}, want: context.DeadlineExceeded, late: 9 * second},
		"limit, grace":   {opts: scheduler.RunnerOptions{Timeout: second, Grace: 2 * second}, want: context.DeadlineExceeded, late: 7 * second},
		"Kill":           {end: func(r *scheduler.TaskRunner, _ func()) { r.Kill() }, want: scheduler.ErrCancelled, late: 9 * second},
		"end of ctx":     {end: func(_ *scheduler.TaskRunner, cancel func()) { cancel() }, want: context.Canceled, late: 9 * second},
		"Interrupt":      {end: func(r *scheduler.TaskRunner, _ func()) { r.Interrupt(errOops) }, want: errOops, late: 9 * second},
		"after a grace":  {opts: scheduler.RunnerOptions{Grace: 4 * second}, end: func(_ *scheduler.TaskRunner, cancel func()) { cancel() }, want: context.Canceled, late: 5 * second},
		"with EndCalls":  {opts: scheduler.RunnerOptions{Grace: 4 * second, EndCalls: true}, end: func(_ *scheduler.TaskRunner, cancel func()) { cancel() }, want: context.Canceled, late: 9 * second},
		"within a grace": {opts: scheduler.RunnerOptions{Grace: 20 * second}, end: func(_ *scheduler.TaskRunner, cancel func()) { cancel() }, want: context.Canceled},
	} {
		for as, hold := range held {
			inBubble(t, name+" "+as, func(t *testing.T) {
				g := newGroup(t, "node", func(string) scheduler.Task {
					return hold(deafFor(10*second, errSpace))
				}, nil)
				r := scheduler.NewTaskRunner(g, &tt.opts)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.end != nil {
					time.AfterFunc(second, func() { tt.end(r, cancel) })
				}
				err := r.Run(ctx)
				require.ErrorIs(t, err, tt.want)
				require.ErrorIs(t, err, errSpace)
				var late *scheduler.LateError
				if tt.late == 0 {
					require.NotErrorAs(t, err, &late)
					return
				}
				require.ErrorAs(t, err, &late)
				require.Len(t, late.Calls, 1)
				require.Zero(t, late.More)
				require.Regexp(t, "^node", late.Calls[0].Path)
				require.Contains(t, late.Calls[0].Task, "deafFor")
				require.InDelta(t, tt.late, late.Calls[0].Late, float64(time.Millisecond))
				require.Equal(t, late.Err, r.Err(), "the runner itself keeps its error as it is")
			})
		}
	}
}

// A few are named, in the order in which they ended, and the others are counted; what
// the error is otherwise stays.
func TestLate_calls_are_cut_off(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names string
		for i := range 100 {
			names += fmt.Sprintf("n%02d ", i)
		}
		g := newGroup(t, names, func(k string) scheduler.Task {
			var i int
			_, _ = fmt.Sscanf(k, "n%d", &i)
			return deafFor(time.Duration(10+i)*time.Second, nil)
		}, &scheduler.GroupOptions[string]{Name: "all"})
		err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Name: "all", Timeout: time.Second})
		call := "call scheduler_test.TestLate_calls_are_cut_off.func1.1.deafFor.1"
		require.EqualError(t, err, "all: timed out after 1s\nlate: "+
			"n00: "+call+" returned 9s after its context had ended, "+
			"n01: "+call+" returned 10s after its context had ended, "+
			"n02: "+call+" returned 11s after its context had ended, "+
			"n03: "+call+" returned 12s after its context had ended, "+
			"n04: "+call+" returned 13s after its context had ended, and 95 more")
		require.True(t, scheduler.Interrupted(err))
		require.Len(t, scheduler.Causes(err), 1)
		require.IsType(t, (*scheduler.Timeout)(nil), scheduler.Causes(err)[0])
	})
}

// Of calls that end at the same moment it is not chance which is named first.
func TestLate_calls_of_one_moment(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(t, "f e d c b a", func(string) scheduler.Task { return deafFor(10*time.Second, nil) }, nil)
			err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Timeout: time.Second})
			late := asError[*scheduler.LateError](t, err)
			require.Equal(t, 1, late.More)
			var paths string
			for _, c := range late.Calls {
				paths += c.Path
			}
			require.Equal(t, "abcde", paths)
		})
	}
}

// Only calls that the end has waited for are named, and only beside an error.
func TestLate_call_that_did_not_hold_up_the_end(t *testing.T) {
	const second = time.Second
	skip := func(string, error) scheduler.Disposition { return scheduler.SkipDependents }
	limits := byKey(map[string]time.Duration{"deaf": second, "again": 20 * second})
	run := func(t *testing.T, nodes map[string]scheduler.Task, onError func(string, error) scheduler.Disposition) error {
		t.Helper()
		var names string
		for _, k := range []string{"deaf", "again", "fails", "works"} {
			if nodes[k] != nil {
				names += k + " "
			}
		}
		return scheduler.Run(t.Context(), newGroup(t, names, func(k string) scheduler.Task { return nodes[k] },
			&scheduler.GroupOptions[string]{Timeout: limits, OnError: onError}), nil)
	}
	ignore := func(string, error) scheduler.Disposition { return scheduler.IgnoreError }
	for name, tt := range map[string]struct {
		nodes   func() map[string]scheduler.Task
		onError func(string, error) scheduler.Disposition
		late    string
	}{
		"the run ends long after it": {nodes: func() map[string]scheduler.Task {
			return map[string]scheduler.Task{"deaf": deafFor(5*second, nil), "fails": lasting(60, errOops)}
		}, onError: skip},
		"the run ends a second after it": {nodes: func() map[string]scheduler.Task {
			return map[string]scheduler.Task{"deaf": deafFor(5*second, nil), "fails": lasting(6, errOops)}
		}, onError: skip},
		"the run ends within a second after it": {nodes: func() map[string]scheduler.Task {
			return map[string]scheduler.Task{"deaf": deafFor(5*second+1, nil), "fails": lasting(6, errOops)}
		}, onError: skip, late: "deaf"},
		"the run succeeds": {nodes: func() map[string]scheduler.Task {
			return map[string]scheduler.Task{"deaf": deafFor(5*second, nil), "works": lasting(1, nil)}
		}, onError: ignore},
		"less than a second": {nodes: func() map[string]scheduler.Task {
			return map[string]scheduler.Task{"deaf": deafFor(second+second/2, nil)}
		}},
		"another one held it up": {nodes: func() map[string]scheduler.Task {
			return map[string]scheduler.Task{"deaf": deafFor(5*second, nil), "again": deafFor(30*second, nil)}
		}, onError: skip, late: "again"},
		"both": {nodes: func() map[string]scheduler.Task {
			return map[string]scheduler.Task{"deaf": deafFor(25*second, nil), "again": deafFor(30*second, nil)}
		}, onError: skip, late: "deaf again"},
	} {
		inBubble(t, name, func(t *testing.T) {
			err := run(t, tt.nodes(), tt.onError)
			var late *scheduler.LateError
			if tt.late == "" {
				require.NotErrorAs(t, err, &late)
				return
			}
			require.ErrorAs(t, err, &late)
			var paths string
			for _, c := range late.Calls {
				paths += " " + c.Path
			}
			require.Equal(t, " "+tt.late, paths)
		})
	}
	inBubble(t, "by another clock", func(t *testing.T) {
		clock := schedulertest.NewClock(time.Time{})
		r := scheduler.NewTaskRunner(deafFor(5*second, nil), &scheduler.RunnerOptions{Clock: clock})
		time.AfterFunc(second, r.Kill)
		require.NotErrorAs(t, r.Run(t.Context()), new(*scheduler.LateError))
	})
}

// The end of a run waits for calls one after the other where a service ends once what
// needs it has ended: each is named.
func TestLate_calls_one_after_the_other(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deafService := func() scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				scheduler.Ready(ctx)
				<-ctx.Done()
				sleep(2 * time.Second)
				return nil
			})
		}
		g := newGroup(t, "db app:db web:app", func(string) scheduler.Task { return deafService() }, nil)
		err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Timeout: time.Second})
		late := asError[*scheduler.LateError](t, err)
		var paths []string
		for _, c := range late.Calls {
			paths = append(paths, c.Path)
		}
		require.Equal(t, []string{"web", "app", "db"}, paths)
	})
}

// A run inside a call names its own late calls, unless the call itself has to end: then
// the run around it does.
func TestLate_call_of_a_run_inside_a_call(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late *scheduler.LateError
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Blocking(func(ctx context.Context) error {
			err := scheduler.Run(ctx, deafFor(3*time.Second, nil), &scheduler.RunnerOptions{Timeout: time.Second})
			require.ErrorAs(t, err, &late)
			return nil
		}), nil))
	})
}

// A call outside of a group has no path, and a group without a runner says nothing.
func TestLate_call_outside_of_a_group(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := scheduler.Run(t.Context(), deafFor(3*time.Second, nil), &scheduler.RunnerOptions{Name: "web", Timeout: time.Second})
		require.EqualError(t, err, "web: timed out after 1s\n"+
			"late: call scheduler_test.TestLate_call_outside_of_a_group.func1.deafFor.1 returned 2s after its context had ended")
	})
	synctest.Test(t, func(t *testing.T) {
		task := deafFor(3*time.Second, nil)
		mustStep(t, t.Context(), task)
		require.NoError(t, task.Close())
	})
}

func ExampleLateError() {
	err := &scheduler.LateError{
		Err:   &scheduler.Timeout{Task: "deploy", Limit: time.Minute},
		Calls: []scheduler.LateCall{{Path: "web/db", Task: "main.create", Late: 2 * time.Second}},
	}
	fmt.Println(err)
	// Output:
	// deploy: timed out after 1m0s
	// late: web/db: call main.create returned 2s after its context had ended
}

// stuck returns a call that returns only when the test lets it.
func stuck(until <-chan struct{}) scheduler.Task {
	return scheduler.Blocking(func(context.Context) error {
		<-until
		return errOops
	})
}

// A call that does not return is left behind by name, in time, whatever holds it and
// whatever has ended it.
func TestAbandon(t *testing.T) {
	const after = 5 * time.Second
	for reason, test := range map[string]struct {
		opts scheduler.RunnerOptions
		node time.Duration
		end  func(r *scheduler.TaskRunner, cancel func())
		took time.Duration // since the end after 1 s
		want error
	}{
		"timeout":                 {opts: scheduler.RunnerOptions{Timeout: time.Second}, took: after, want: context.DeadlineExceeded},
		"timeout, grace":          {opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: 2 * time.Second}, took: after, want: context.DeadlineExceeded},
		"timeout of the node":     {node: time.Second, took: after, want: context.DeadlineExceeded},
		"end of the context":      {end: func(_ *scheduler.TaskRunner, cancel func()) { cancel() }, took: after, want: context.Canceled},
		"the same, grace":         {opts: scheduler.RunnerOptions{Grace: 2 * time.Second}, end: func(_ *scheduler.TaskRunner, cancel func()) { cancel() }, took: after, want: context.Canceled},
		"the same, a long grace":  {opts: scheduler.RunnerOptions{Grace: 9 * time.Second}, end: func(_ *scheduler.TaskRunner, cancel func()) { cancel() }, took: 9 * time.Second, want: context.Canceled},
		"the same, with EndCalls": {opts: scheduler.RunnerOptions{Grace: 9 * time.Second, EndCalls: true}, end: func(_ *scheduler.TaskRunner, cancel func()) { cancel() }, took: after, want: context.Canceled},
		"Kill":                    {end: func(r *scheduler.TaskRunner, _ func()) { r.Kill() }, took: after, want: scheduler.ErrCancelled},
	} {
		for name, hold := range held {
			inBubble(t, reason+" "+name, func(t *testing.T) {
				until := make(chan struct{})
				limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
				g := newGroup(t, "node", func(string) scheduler.Task {
					return hold(stuck(until))
				}, &scheduler.GroupOptions[string]{
					Timeout: byKey(map[string]time.Duration{"node": test.node}),
					Claims:  func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: limiter, Weight: 1}} },
				})
				test.opts.Abandon = after
				r := scheduler.NewTaskRunner(scheduler.Sequence(g), &test.opts)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.end != nil {
					time.AfterFunc(time.Second, func() { test.end(r, cancel) })
				}
				began := time.Now()
				err := r.Run(ctx)
				require.Equal(t, time.Second+test.took, time.Since(began).Round(time.Millisecond))
				require.ErrorIs(t, err, test.want)
				require.ErrorIs(t, errors.Join(g.Errors()...), g.Err("node"))
				lost := asError[*scheduler.AbandonedError](t, err)
				require.Contains(t, lost.Path, "node")
				require.Contains(t, string(lost.Stack), "closing_test.go")
				require.Contains(t, lost.Error(), "left behind")
				require.Zero(t, limiter.InUse())
				require.False(t, lost.Returned())
				close(until)
				synctest.Wait()
				require.True(t, lost.Returned())
			})
		}
	}
}

// The text of an AbandonedError has the path of the node, if there is one.
func TestAbandonedError_Error(t *testing.T) {
	e := &scheduler.AbandonedError{Task: "f", After: time.Second}
	require.EqualError(t, e, "call f has not returned after 1s and was left behind; its claims were given back")
	e.Path = "a/b"
	require.EqualError(t, e, "a/b: call f has not returned after 1s and was left behind; its claims were given back")
}

// The clock of a group is that of its first step.
func TestAbandon_of_a_group_that_has_begun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "a", hours, &scheduler.GroupOptions[string]{Abandon: time.Second})
		mustStep(t, t.Context(), g)
		mustStep(t, scheduler.WithClock(t.Context(), newClock()), g)
		require.Equal(t, scheduler.StateRunning, g.State("a"))
		require.NoError(t, g.Close())
	})
}

// What is thrown into a call and is no Timeout ends its context like any error, and has it
// left behind only when it is closed.
func TestAbandon_of_a_call_that_is_interrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		r := startRunner(t, scheduler.Blocking(func(ctx context.Context) error {
			<-ctx.Done()
			sleep(time.Hour)
			cause = context.Cause(ctx)
			return nil
		}), &scheduler.RunnerOptions{Abandon: time.Second})
		r.Interrupt(errOops)
		require.Equal(t, errOops, r.RunToCompletion(t.Context(), 0))
		require.Equal(t, errOops, cause)
	})
}

// A call that returns in time is none of that, and neither is one without Abandon.
func TestAbandon_in_time(t *testing.T) {
	for _, abandon := range []time.Duration{0, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			err := scheduler.Run(t.Context(), scheduler.Sequence(deafFor(3*time.Second, errOops)),
				&scheduler.RunnerOptions{Timeout: time.Second, Abandon: abandon})
			require.ErrorIs(t, err, errOops)
			var lost *scheduler.AbandonedError
			require.NotErrorAs(t, err, &lost)
			require.Equal(t, 3*time.Second, time.Since(began))
		})
	}
}

// Fetch gets the zero value and the error, once; a Walk ends without the call.
// A runner inside another may be the one that leaves calls behind, and inherits it.
func TestAbandon_of_a_runner_inside(t *testing.T) {
	for name, opts := range map[string][2]scheduler.RunnerOptions{
		"its own":       {{}, {Abandon: time.Second}},
		"that around":   {{Abandon: time.Second}, {EndCalls: true}},
		"the innermost": {{Abandon: time.Minute}, {Abandon: time.Second}},
	} {
		inBubble(t, name, func(t *testing.T) {
			outer, inner := opts[0], opts[1]
			outer.Timeout = time.Second
			begin := time.Now()
			err := scheduler.Run(t.Context(), scheduler.Sequence(scheduler.Subrun(
				scheduler.NewTaskRunner(deafFor(time.Hour, nil), &inner))), &outer)
			require.ErrorAs(t, err, new(*scheduler.AbandonedError))
			require.Equal(t, 2*time.Second, time.Since(begin).Truncate(time.Millisecond))
			sleep(time.Hour) // until it has returned
		})
	}
}

func TestAbandon_of_a_Fetch_and_a_Walk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := make(chan struct{})
		var got []any
		err := scheduler.Run(t.Context(), scheduler.Fetch(func(context.Context) (int, error) {
			<-until
			return 7, nil
		}, func(value int, err error) error {
			got = append(got, value, err)
			return err
		}), &scheduler.RunnerOptions{Timeout: time.Second, Abandon: time.Second})
		lost := asError[*scheduler.AbandonedError](t, err)
		require.Len(t, got, 2)
		require.Equal(t, 0, got[0])
		require.ErrorAs(t, got[1].(error), &lost)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err = scheduler.Walk(ctx, graph("a b"), func(ctx context.Context, k string) error {
			if k == "a" {
				<-until
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}, &scheduler.GroupOptions[string]{Abandon: time.Second})
		require.Equal(t, 2*time.Second, time.Since(began))
		require.ErrorAs(t, err, &lost)
		require.Equal(t, "a", lost.Path)
		close(until)
		synctest.Wait()
		require.True(t, lost.Returned())
	})
}

// Thousands of calls that are left behind at once are left behind in time, and share
// looks at the stacks.
func TestAbandon_of_many(t *testing.T) {
	const n = 2000
	for name, run := range map[string]func(ctx context.Context, until <-chan struct{}) error{
		"group": func(ctx context.Context, until <-chan struct{}) error {
			return scheduler.Run(ctx, numbered(n, func(int) scheduler.Task { return stuck(until) }, nil),
				&scheduler.RunnerOptions{Abandon: time.Second})
		},
		"timeouts in a group": func(ctx context.Context, until <-chan struct{}) error {
			return scheduler.Run(ctx, numbered(n, func(int) scheduler.Task { return stuck(until) }, &scheduler.GroupOptions[int]{
				AggregateErrors: true, Abandon: time.Second, Timeout: func(int) time.Duration { return time.Second },
			}), nil)
		},
		"groups in a group": func(ctx context.Context, until <-chan struct{}) error {
			return scheduler.Run(ctx, numbered(10, func(int) scheduler.Task {
				return numbered(n/10, func(int) scheduler.Task { return scheduler.Sequence(stuck(until)) }, nil)
			}, nil), &scheduler.RunnerOptions{Abandon: time.Second})
		},
		"All": func(ctx context.Context, until <-chan struct{}) error {
			var all []scheduler.Task
			for range n {
				all = append(all, stuck(until))
			}
			return scheduler.Run(ctx, scheduler.All(all...), &scheduler.RunnerOptions{Abandon: time.Second})
		},
		"Walk": func(ctx context.Context, until <-chan struct{}) error {
			deps := numbers(n)
			return scheduler.Walk(ctx, deps, func(context.Context, int) error {
				<-until
				return errOops
			}, &scheduler.GroupOptions[int]{Abandon: time.Second})
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			until := make(chan struct{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			err := run(ctx, until)
			took := time.Since(began)
			close(until) // before anything is asserted: they would all be leaks
			synctest.Wait()
			require.Equal(t, 2*time.Second, took.Truncate(time.Millisecond))
			lost := asError[*scheduler.AbandonedError](t, err)
			require.Contains(t, string(lost.Stack), "closing_test.go")
			require.True(t, lost.Returned())
		})
	}
}

// However long their stacks are, all are seen.
func TestAbandon_of_deep_calls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := make(chan struct{})
		err := scheduler.Run(t.Context(), numbered(30, func(int) scheduler.Task {
			return scheduler.Blocking(func(context.Context) error { return stuckDeep(200, until) })
		}, &scheduler.GroupOptions[int]{
			AggregateErrors: true, Abandon: time.Second, Timeout: func(int) time.Duration { return time.Second },
		}), nil)
		close(until)
		synctest.Wait()
		all := asError[*scheduler.ExceptionGroup](t, err)
		require.Len(t, all.Errors, 30)
		for _, err := range all.Errors {
			lost := asError[*scheduler.AbandonedError](t, err)
			require.Contains(t, string(lost.Stack), "stuckDeep")
		}
	})
}

//go:noinline
func stuckDeep(depth int, until <-chan struct{}) error {
	if depth > 0 {
		return stuckDeep(depth-1, until)
	}
	<-until
	return nil
}

// A closing member that says, when it is asked again, that it will not wait, is closed
// without a wait.
func TestGroup_BeginClose_of_one_that_waits_no_more(t *testing.T) {
	var waits scheduler.Event
	asked := 0
	task := closer{
		&fakeTask{
			yields: []scheduler.Yield{scheduler.After(time.Hour)},
			throw:  func(context.Context, error) (scheduler.Yield, error) { return scheduler.After(time.Hour), nil },
			close:  func() error { return errOops },
		},
		func() *scheduler.Event {
			if asked++; asked == 1 {
				return &waits
			}
			return nil
		},
	}
	clock := schedulertest.NewClock(time.Time{})
	g := numbered(1, func(int) scheduler.Task { return task }, &scheduler.GroupOptions[int]{
		Timeout: func(int) time.Duration { return time.Second },
	}).(*scheduler.DependencyTaskGroup[int])
	r := startRunner(t, g, &scheduler.RunnerOptions{Clock: clock})
	clock.Advance(2 * time.Second)
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateClosing, g.State(0))
	if e := g.BeginClose(); e != nil { // its part can be ended at once
		require.True(t, e.IsSet())
		require.Nil(t, g.BeginClose())
	}
	require.NoError(t, r.Cancel())
	require.ErrorIs(t, g.Err(0), errOops)
	require.ErrorIs(t, g.Err(0), context.DeadlineExceeded)
	require.Equal(t, 2, asked)
}

// A goroutine of a Walk makes one call after the other: where it stood in an earlier one
// is not where a call stands, however short ago it was looked at.
func TestAbandon_shows_the_stack_of_the_call(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := make(chan struct{})
		deps := scheduler.NewDependencies[int]()
		deps.Add(0)    // is left behind after 6 ms, when 1 runs
		deps.Add(2, 1) // mostly begins on the goroutine of 1
		err := scheduler.Walk(t.Context(), deps, func(_ context.Context, k int) error {
			if k == 1 {
				sleep(10 * time.Millisecond)
				return nil
			}
			if k == 2 {
				leftBehindSecond(until)
			}
			<-until
			return nil
		}, &scheduler.GroupOptions[int]{
			AggregateErrors: true, Grace: scheduler.NoGrace, Abandon: time.Millisecond,
			Timeout: func(k int) time.Duration { return []time.Duration{5 * time.Millisecond, 0, 5 * time.Millisecond}[k] },
		})
		close(until)
		synctest.Wait()
		all := asError[*scheduler.ExceptionGroup](t, err)
		require.Len(t, all.Errors, 2)
		lost := asError[*scheduler.AbandonedError](t, all.Errors[1])
		require.Equal(t, "2", lost.Path)
		require.Contains(t, string(lost.Stack), "leftBehindSecond")
	})
}

//go:noinline
func leftBehindSecond(until <-chan struct{}) { <-until }

// The error of a call that was left behind and has returned keeps nothing of the run.
func TestAbandon_error_keeps_no_call(t *testing.T) {
	until := make(chan struct{})
	var kept weak.Pointer[[1 << 10]byte]
	lost := func() (lost *scheduler.AbandonedError) {
		big := new([1 << 10]byte)
		kept = weak.Make(big)
		var r *scheduler.TaskRunner
		r = scheduler.NewTaskRunner(scheduler.Blocking(func(context.Context) error {
			r.Kill()
			<-until
			big[0]++
			return nil
		}), &scheduler.RunnerOptions{Abandon: time.Millisecond})
		err := r.Run(t.Context())
		require.ErrorAs(t, err, &lost)
		return lost
	}()
	require.False(t, lost.Returned())
	close(until)
	require.Eventually(t, func() bool {
		runtime.GC()
		return lost.Returned() && kept.Value() == nil
	}, time.Minute, time.Millisecond)
	runtime.KeepAlive(lost)
}

// Abandon under another clock is an error of the start.
func TestAbandon_with_another_clock(t *testing.T) {
	clock := schedulertest.NewClock(time.Time{})
	var e *scheduler.OptionError
	err := scheduler.Run(scheduler.WithClock(t.Context(), clock), scheduler.Pause(scheduler.Next), &scheduler.RunnerOptions{Abandon: 1})
	require.ErrorAs(t, err, &e)
	require.Equal(t, "RunnerOptions.Abandon", e.Option)
}

// A run inside a call that is left behind has what it borrowed until then, and nothing
// more of it after.
func TestAbandon_of_a_call_that_lends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(1)
		claims := func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} }
		inside := make(chan error, 1)
		outer := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				inner := newGroup(t, "x y:x", second, &scheduler.GroupOptions[string]{Claims: claims})
				// A run that knows nothing of the end of the call.
				inside <- scheduler.Run(context.WithoutCancel(ctx), scheduler.Sequence(scheduler.Pause(scheduler.After(time.Minute)), inner), nil)
				return nil
			})
		}, &scheduler.GroupOptions[string]{Claims: claims, Abandon: time.Second, Timeout: func(string) time.Duration { return time.Second }})
		err := scheduler.Run(t.Context(), outer, nil)
		require.IsType(t, (*scheduler.AbandonedError)(nil), asError[*scheduler.AbandonedError](t, err))
		require.Zero(t, l.InUse())
		require.NoError(t, scheduler.Run(t.Context(), newGroup(t, "b", second, &scheduler.GroupOptions[string]{Claims: claims}), nil))
		require.NoError(t, <-inside)
		require.Zero(t, l.InUse())
		require.Zero(t, l.Waiting())
	})
}

// What its nodes hold at that moment is theirs until they end, and nobody counts it.
func TestAbandon_of_a_call_that_has_lent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(1)
		claims := func(string) []scheduler.Claim { return []scheduler.Claim{{Limiter: l, Weight: 1}} }
		inside := make(chan error, 1)
		outer := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				inner := newGroup(t, "x y", func(string) scheduler.Task { return lasting(60, nil) }, &scheduler.GroupOptions[string]{Claims: claims})
				inside <- scheduler.Run(context.WithoutCancel(ctx), inner, nil)
				return nil
			})
		}, &scheduler.GroupOptions[string]{Claims: claims, Abandon: time.Second, Timeout: func(string) time.Duration { return time.Second }})
		require.Error(t, scheduler.Run(t.Context(), outer, nil))
		synctest.Wait()
		require.Equal(t, 1, l.InUse(), "of y, which was in line; x is not counted")
		require.NoError(t, <-inside)
		require.Zero(t, l.InUse())
		require.Zero(t, l.Waiting())
	})
}
