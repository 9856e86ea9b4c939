package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// lasts is a task that is deaf to the notice and notes when it begins.
func lasts(log *[]string, name string, d time.Duration) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		*log = append(*log, name)
		return co.Yield(scheduler.After(d))
	})
}

// nested puts a task into what may stand between a task and the run: a group, a
// coroutine, a runner, a wrapper.
func nested(task scheduler.Task) scheduler.Task {
	return scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
		return co.Await(scheduler.All(renamed{scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) }), "r"}))
	}), &scheduler.RunnerOptions{Timeout: 24 * time.Hour}))
}

// The notice of a run is a state: what begins under it begins nothing more,
// whatever is in between, and what was running has its grace.
func TestStop_of_a_run_is_a_state(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		second := 10 * time.Second
		group := func(name string) scheduler.Task {
			return newGroup(t, "y:x", func(k string) scheduler.Task { return lasts(&log, name+k, second) }, nil)
		}
		root := nested(scheduler.Finally(
			scheduler.Wrap(func(co *scheduler.Coroutine) error {
				err := co.Await(scheduler.Sequence(lasts(&log, "s1", second), lasts(&log, "s2", second)))
				log = append(log, fmt.Sprint("sequence: ", err))
				err = co.Await(nested(group("g")))
				log = append(log, fmt.Sprint("group: ", err))
				_, err = scheduler.Call(co, func(ctx context.Context) (int, error) {
					return 0, errors.Join(ctx.Err(), scheduler.StopCause(ctx))
				})
				log = append(log, fmt.Sprint("call: ", err))
				err = co.Await(scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
					require.True(t, co.Stopping().IsSet())
					require.Equal(t, scheduler.StopCause(co.Context()), co.StopCause())
					return errors.New("seen late")
				}), nil)))
				log = append(log, fmt.Sprint("late: ", err))
				err = co.Await(scheduler.Shield(nested(scheduler.Sequence(lasts(&log, "t1", second), group("t")))))
				log = append(log, fmt.Sprint("shielded: ", err))
				attempts := 0
				err = co.Await(scheduler.Retry(constant(0), func(int, error) scheduler.Task {
					attempts++
					return scheduler.Func(func(context.Context) error { return errOther })
				}))
				log = append(log, fmt.Sprint("retry: ", err, attempts))
				return errOther
			}),
			nested(scheduler.Sequence(group("c"), scheduler.Blocking(func(ctx context.Context) error {
				log = append(log, fmt.Sprint("cleanup call: ", scheduler.StopCause(ctx)))
				return nil
			}))),
		))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errOops) })
		err := scheduler.Run(ctx, root, &scheduler.RunnerOptions{Grace: time.Hour})
		require.ErrorIs(t, err, errOops)
		require.ErrorIs(t, err, errOther)
		require.Equal(t, []string{
			"s1", "sequence: oops", "group: oops", "call: oops", "late: seen late", "t1", "tx", "ty", "shielded: <nil>",
			"retry: other 1", "cx", "cy", "cleanup call: <nil>",
		}, log)
	})
}

// The failure of another node lets a Sequence and a group inside go on, and ends
// the attempts of a Retry.
func TestStop_by_a_failure_lets_go_on(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		s := time.Second
		inner := newGroup(t, "y:x", func(k string) scheduler.Task { return lasts(&log, k, s) }, nil)
		late := newGroup(t, "q:p", func(k string) scheduler.Task { return lasts(&log, k, s) }, nil)
		attempts := 0
		g := newGroup(t, "fails runs sequence retries", func(k string) scheduler.Task {
			switch k {
			case "fails":
				return scheduler.Sequence(scheduler.Pause(scheduler.After(s/2)), scheduler.Func(func(context.Context) error { return errOops }))
			case "runs":
				return nested(inner)
			case "retries":
				return scheduler.Retry(constant(0), func(int, error) scheduler.Task {
					attempts++
					return scheduler.Sequence(scheduler.Pause(scheduler.After(s)), scheduler.Func(func(context.Context) error { return errOther }))
				})
			}
			return nested(scheduler.Sequence(lasts(&log, "s1", s), lasts(&log, "s2", s), late))
		}, &scheduler.GroupOptions[string]{Grace: time.Hour})
		require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), errOops)
		require.ElementsMatch(t, []string{"s1", "x", "s2", "y", "p", "q"}, log)
		require.Equal(t, 1, attempts)
		for k, want := range map[string]scheduler.State{
			"runs": scheduler.StateSucceeded, "sequence": scheduler.StateSucceeded, "retries": scheduler.StateFailed,
		} {
			require.Equal(t, want, g.State(k), k)
		}
	})
}

// Where a group failed first and then the whole run is stopped, the second notice
// gets through.
func TestStop_of_a_run_after_a_failure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		inner := newGroup(t, "y:x", func(k string) scheduler.Task { return lasts(&log, k, 10*time.Second) }, nil)
		g := newGroup(t, "fails runs", func(k string) scheduler.Task {
			if k == "fails" {
				return scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)), scheduler.Func(func(context.Context) error { return errOops }))
			}
			return nested(inner)
		}, &scheduler.GroupOptions[string]{Grace: time.Hour})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(2*time.Second, func() { cancel(errOther) })
		err := scheduler.Run(ctx, g, &scheduler.RunnerOptions{Grace: time.Hour})
		require.ErrorIs(t, err, errOops)
		require.ErrorIs(t, err, errOther)
		require.Equal(t, []string{"x"}, log)
		require.Equal(t, scheduler.StateCancelled, inner.State("y"))
	})
}

// A task that returns the notice is cancelled, whether it takes notice or only
// looks for it; one that returns more has failed.
func TestStopError_of_a_member(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(notice error) error
		want   scheduler.State
	}{
		"as it is":             {func(n error) error { return n }, scheduler.StateCancelled},
		"wrapped":              {func(n error) error { return fmt.Errorf("gave up: %w", n) }, scheduler.StateCancelled},
		"beside a failure":     {func(n error) error { return errors.Join(n, errSpace) }, scheduler.StateFailed},
		"its cause alone":      {errors.Unwrap, scheduler.StateFailed},
		"an own deadline":      {func(error) error { return context.DeadlineExceeded }, scheduler.StateFailed},
		"a notice of its own":  {func(n error) error { return &scheduler.StopError{Cause: errors.Unwrap(n)} }, scheduler.StateFailed},
		"nothing: it finished": {func(error) error { return nil }, scheduler.StateSucceeded},
	} {
		for _, how := range []string{"StopCause of ctx", "Coroutine"} {
			inBubble(t, name+" "+how, func(t *testing.T) {
				g := newGroup(t, "fails it", func(k string) scheduler.Task {
					if k == "fails" {
						return scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)),
							scheduler.Func(func(context.Context) error { return context.DeadlineExceeded }))
					}
					if how == "Coroutine" {
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
								return err
							}
							return c.answer(co.StopCause())
						})
					}
					return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
						if n := scheduler.StopCause(ctx); n != nil {
							return scheduler.Done, c.answer(n)
						}
						return scheduler.After(time.Second), nil
					})
				}, &scheduler.GroupOptions[string]{Grace: time.Hour})
				require.Error(t, scheduler.Run(t.Context(), g, nil))
				require.Equal(t, c.want, g.State("it"))
				if c.want == scheduler.StateCancelled && name == "wrapped" {
					require.ErrorContains(t, g.Err("it"), "gave up")
				}
			})
		}
	}
}

// What is left of the grace is the limit behind a Shield.
func TestShield_has_what_is_left_of_the_grace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		err := scheduler.Run(ctx, scheduler.Shield(scheduler.Pause(scheduler.After(time.Hour))), &scheduler.RunnerOptions{Grace: time.Minute})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 61*time.Second+1, time.Since(begin))
	})
}

// Reserve closes a body that is deaf to the notice, so that its clean-up has time.
func TestReserve(t *testing.T) {
	for name, c := range map[string]struct {
		opts scheduler.RunnerOptions
		stop bool
		want error
		at   time.Duration
	}{
		"stop":          {scheduler.RunnerOptions{Grace: time.Minute}, true, context.Canceled, 46 * time.Second},
		"timeout":       {scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Minute}, false, context.DeadlineExceeded, 46 * time.Second},
		"ends in time":  {scheduler.RunnerOptions{Grace: time.Hour}, true, context.Canceled, 30 * time.Minute},
		"never stopped": {scheduler.RunnerOptions{}, false, nil, 30 * time.Minute},
	} {
		for _, held := range []func(scheduler.Task) scheduler.Task{nested, func(task scheduler.Task) scheduler.Task { return task }} {
			inBubble(t, name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.stop {
					time.AfterFunc(time.Second, cancel)
				}
				begin := time.Now()
				var at time.Duration
				cleaned := false
				body := scheduler.Wrap(func(co *scheduler.Coroutine) error {
					for range 2 {
						if err := co.Yield(scheduler.After(15 * time.Minute)); errors.Is(err, scheduler.ErrClosed) {
							return err
						}
					}
					return nil
				})
				task := scheduler.Finally(scheduler.Reserve(15*time.Second, body), scheduler.Wrap(func(co *scheduler.Coroutine) error {
					at = time.Since(begin)
					err := co.Yield(scheduler.After(14 * time.Second))
					cleaned = err == nil
					return err
				}))
				err := scheduler.Run(ctx, held(task), &c.opts)
				if c.want == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, c.want)
				}
				require.True(t, cleaned)
				require.Equal(t, c.at, at.Truncate(time.Second))
			})
		}
	}
}

// A body that begins when the run was stopped already is closed before the limits
// around it as well.
func TestReserve_begins_under_a_notice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		var at time.Duration
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			require.NoError(t, co.Yield(scheduler.After(10*time.Second)))
			err := co.Await(scheduler.Reserve(15*time.Second, scheduler.Pause(scheduler.After(time.Hour))))
			require.Equal(t, co.StopCause(), err)
			at = time.Since(begin)
			return err
		})
		require.ErrorIs(t, scheduler.Run(ctx, task, &scheduler.RunnerOptions{Grace: time.Minute}), context.Canceled)
		require.Equal(t, 46*time.Second, at.Truncate(time.Second))
	})
}

// An error that is thrown in, and that the body takes, ends nothing.
func TestReserve_of_a_body_that_goes_on(t *testing.T) {
	clock := newClock()
	body := &fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, throw: always(scheduler.After(time.Hour), nil)}
	r := startRunner(t, scheduler.Reserve(time.Minute, body), &scheduler.RunnerOptions{Clock: clock})
	r.Interrupt(errOops)
	require.False(t, mustStep(t, t.Context(), r))
	require.Equal(t, []error{errOops}, body.thrown)
	clock.Advance(time.Hour)
	require.True(t, mustStep(t, t.Context(), r))
	require.NoError(t, r.Err())
	require.Zero(t, body.closes)
}

// What the body answers to a Timeout is the answer.
func TestReserve_of_a_body_that_answers_a_Timeout(t *testing.T) {
	for name, tt := range map[string]struct {
		throw func(context.Context, error) (scheduler.Yield, error)
		want  string
	}{
		"with it":       {passOn, "a: timed out after 1m0s"},
		"with an error": {always(scheduler.Yield{}, errOops), "a: oops"},
		"with Done":     {always(scheduler.Done, nil), ""},
	} {
		for _, grace := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprint(name, " ", grace), func(t *testing.T) {
				body := &fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, throw: tt.throw}
				group := newGroup(t, "a", func(string) scheduler.Task { return scheduler.Reserve(time.Second, body) },
					&scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }, Grace: grace})
				clock := newClock()
				begin := clock.Now()
				err := scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: clock})
				if tt.want == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, tt.want)
				}
				require.Equal(t, time.Minute, clock.Now().Sub(begin).Truncate(time.Millisecond))
				require.Zero(t, body.closes)
			})
		}
	}
}

// timeoutCases are tasks that run into the limit of a minute of the node a, and what they
// return then. Each notes something before, and something else afterwards.
func timeoutCases(t *testing.T) map[string]struct {
	task scheduler.Task
	own  error
} {
	noted := func(ctx context.Context) { scheduler.Note(ctx, "asked again") }
	call := func(fn func(ctx context.Context) error) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			scheduler.Note(ctx, "asked")
			sleep(time.Minute + time.Second)
			noted(ctx)
			return fn(ctx)
		})
	}
	deaf := func(d time.Duration, err error) scheduler.Task {
		return call(func(context.Context) error { sleep(d); return err })
	}
	handles := func(pause time.Duration, answer func(timeout error) error) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			scheduler.Note(co.Context(), "asked")
			err := co.Yield(scheduler.After(time.Hour))
			noted(co.Context())
			if !errors.Is(err, scheduler.ErrClosed) {
				_ = co.Yield(scheduler.After(pause))
			}
			return answer(err)
		})
	}
	more := func(timeout error) error { return errors.Join(timeout, errSpace) }
	group := func(opts *scheduler.GroupOptions[string]) scheduler.Task {
		return newGroup(t, "x y z:x", func(k string) scheduler.Task {
			if k == "x" {
				return deaf(3*time.Second, errSpace)
			}
			return deaf(30*time.Minute, nil)
		}, opts)
	}
	return map[string]struct {
		task scheduler.Task
		own  error
	}{
		"deaf call":       {task: deaf(30*time.Minute, nil)},
		"late call":       {task: deaf(30*time.Minute, errSpace), own: errSpace},
		"call that obeys": {task: call(func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("words: %w", context.Cause(ctx)) })},
		"call that adds":  {task: call(func(ctx context.Context) error { <-ctx.Done(); return more(context.Cause(ctx)) }), own: errSpace},
		"cleans up":       {task: handles(5*time.Second, more), own: errSpace},
		"goes on":         {task: handles(time.Hour, func(error) error { return errSpace }), own: errSpace},
		"wraps it":        {task: handles(0, func(err error) error { return fmt.Errorf("words: %w", err) })},
		"group":           {task: group(nil), own: errSpace},
		"group, graced":   {task: group(&scheduler.GroupOptions[string]{Grace: time.Hour}), own: errSpace},
		"group of all":    {task: group(&scheduler.GroupOptions[string]{AggregateErrors: true}), own: errSpace},
	}
}

// timeoutPlay is a run in which the time limit of a task passes, and what ends the run then.
type timeoutPlay struct {
	node   time.Duration                            // the limit of the node
	hold   func(task scheduler.Task) scheduler.Task // what is in the node
	around func(g scheduler.Task) scheduler.Task    // its group, in a group around; nil: there is none
	grace  time.Duration
	end    func(r *scheduler.TaskRunner, cancel context.CancelCauseFunc)
	run    time.Duration // the grace of the runner
}

// play runs task in the node a. It returns the groups and the result of the run.
func (p *timeoutPlay) play(t *testing.T, task scheduler.Task) (inner, outer *scheduler.DependencyTaskGroup[string], err error) {
	opts := scheduler.GroupOptions[string]{Grace: p.grace, Timeout: byKey(map[string]time.Duration{"a": p.node})}
	inner = newGroup(t, "a", func(string) scheduler.Task { return p.hold(task) }, &opts)
	outer = inner
	if p.around != nil {
		outer = newGroup(t, "g", func(string) scheduler.Task { return p.around(inner) }, &scheduler.GroupOptions[string]{Grace: p.grace})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	r := scheduler.NewTaskRunner(outer, &scheduler.RunnerOptions{Grace: p.run})
	if p.end != nil {
		time.AfterFunc(time.Minute+2*time.Second, func() { p.end(r, cancel) })
	}
	err = r.Run(ctx)
	return inner, outer, err
}

// A time limit has one Timeout error, with the notes of when it was thrown. It stays the
// same until the node has ended, whatever holds the task, is around the node, or ends the
// run meanwhile. Neither it nor what the task adds to it is lost.
func TestTimeout_of_a_node_is_one_error(t *testing.T) {
	type stop = context.CancelCauseFunc
	hold := holdersOf("itself", "wrapper", "plain wrapper", "Named", "Wrap", "AsTask", "Subrun", "Retry", "Sequence",
		"Finally", "All", "First", "Shield", "Claiming", "WithTimeout", "Reserve")
	around := holdersOf("itself", "Retry")
	around["alone"] = nil
	for end, tt := range map[string]timeoutPlay{
		"nothing":                 {},
		"kill":                    {run: time.Minute, end: func(r *scheduler.TaskRunner, _ stop) { r.Kill() }},
		"stop":                    {run: time.Minute, end: func(r *scheduler.TaskRunner, _ stop) { r.Post(func() { r.Stop(errOops) }) }},
		"stop without a grace":    {end: func(r *scheduler.TaskRunner, _ stop) { r.Post(func() { r.Stop(errOops) }) }},
		"context":                 {run: time.Minute, end: func(_ *scheduler.TaskRunner, cancel stop) { cancel(errOops) }},
		"context without a grace": {end: func(_ *scheduler.TaskRunner, cancel stop) { cancel(errOops) }},
		"interrupt":               {run: time.Minute, end: func(r *scheduler.TaskRunner, _ stop) { r.Interrupt(errOops) }},
	} {
		for holder, hold := range hold {
			for _, limit := range []string{"of the node", "WithTimeout"} {
				inBubble(t, end+"/"+holder+"/"+limit, func(t *testing.T) {
					tt.node, tt.hold = time.Minute, hold
					if limit == "WithTimeout" {
						tt.node, tt.hold = 0, func(task scheduler.Task) scheduler.Task { return hold(scheduler.WithTimeout(time.Minute, task)) }
					}
					for place, around := range around {
						for _, grace := range []time.Duration{scheduler.NoGrace, 10 * time.Second} {
							tt.around, tt.grace = around, grace
							for name, c := range timeoutCases(t) {
								where := fmt.Sprint(name, " ", place, " ", grace)
								inner, outer, err := tt.play(t, c.task)
								thrown := asError[*scheduler.Timeout](t, inner.Err("a"))
								if strings.HasPrefix(name, "group") || tt.node > 0 && (holder == "All" || holder == "First") {
									require.Empty(t, thrown.Notes.Text, "the note is of a node of the group inside")
								} else {
									require.Equal(t, "asked", thrown.Notes.Text, where)
								}
								for _, said := range []error{err, errors.Join(inner.Errors()...), errors.Join(outer.Errors()...)} {
									require.Same(t, thrown, asError[*scheduler.Timeout](t, said), where)
									require.Equal(t, 1, strings.Count(said.Error(), "timed out after 1m0s"), "%s: %v", where, said)
									if c.own != nil {
										require.ErrorIs(t, said, c.own, where)
									}
								}
							}
						}
					}
				})
			}
		}
	}
}

// Limits by another clock further out say nothing to the body.
func TestReserve_under_a_clock_of_its_own(t *testing.T) {
	outer := newClock()
	inner := schedulertest.NewClock(outer.Now().AddDate(100, 0, 0))
	body := &fakeTask{step: forever}
	own := scheduler.NewTaskRunner(scheduler.Reserve(time.Second, body), &scheduler.RunnerOptions{Clock: inner})
	r := startRunner(t, scheduler.Subrun(own), &scheduler.RunnerOptions{Clock: outer, Grace: time.Minute})
	r.Stop(errOops)
	for range 3 {
		require.False(t, mustStep(t, t.Context(), r))
	}
	require.Len(t, body.causes, 1)
	require.Zero(t, body.closes)
	outer.Advance(2 * time.Minute)
	done, err := r.Step(t.Context())
	require.True(t, done)
	require.ErrorIs(t, err, errOops)
	require.Equal(t, 1, body.closes)
}

func TestNamed(t *testing.T) {
	task := scheduler.Named("volume", scheduler.Pause(scheduler.Next))
	require.Equal(t, "volume", scheduler.TaskDescription(task))
	require.NoError(t, scheduler.Run(t.Context(), task, nil))
}

func TestInterrupted(t *testing.T) {
	timeout := &scheduler.Timeout{}
	stop := &scheduler.StopError{Cause: errOops}
	for _, err := range []error{
		scheduler.ErrClosed, timeout, stop, fmt.Errorf("x: %w", stop), errors.Join(timeout, scheduler.ErrClosed),
	} {
		require.True(t, scheduler.Interrupted(err), "%v", err)
	}
	for _, err := range []error{nil, errOops, errors.Join(stop, errOops), context.Canceled, scheduler.ErrCancelled} {
		require.False(t, scheduler.Interrupted(err), "%v", err)
	}
	require.ErrorIs(t, scheduler.ErrClosed, context.Canceled)
}

// Attempts of a Retry end with the limit of its own node, and the last real error
// stays in the result.
func TestRetry_ends_with_its_limit(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			attempts := 0
			err := scheduler.Run(t.Context(), scheduler.Retry(constant(time.Second), func(int, error) scheduler.Task {
				attempts++
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					_ = co.Yield(scheduler.After(10 * time.Second)) // swallows
					return fmt.Errorf("attempt %d", attempts)
				})
			}), &scheduler.RunnerOptions{Timeout: 15 * time.Second, Grace: grace})
			require.Equal(t, 2, attempts)
			require.ErrorContains(t, err, "attempt 2")
		})
		synctest.Test(t, func(t *testing.T) {
			err := scheduler.Run(t.Context(), scheduler.Retry(constant(time.Second), func(attempt int, _ error) scheduler.Task {
				if attempt == 1 {
					return scheduler.Func(func(context.Context) error { return errSpace })
				}
				return scheduler.Pause(scheduler.After(time.Hour))
			}), &scheduler.RunnerOptions{Timeout: 15 * time.Second, Grace: grace})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, errSpace)
		})
	}
}

func TestRetry_of_the_same_task(t *testing.T) {
	calls := 0
	task := scheduler.Blocking(func(context.Context) error { calls++; return errSpace })
	err := scheduler.Run(t.Context(), scheduler.Retry(constant(0), func(int, error) scheduler.Task { return task }), nil)
	require.ErrorIs(t, err, scheduler.ErrStarted)
	require.ErrorIs(t, err, errSpace)
	require.Equal(t, 1, calls)
}

// A posted function runs inside the pause: it is no step, no round, and no end of
// the pause.
func TestTaskRunner_Post_is_no_step(t *testing.T) {
	for name, held := range map[string]func(scheduler.Task) (scheduler.Task, *scheduler.TaskRunner){
		"bare": func(task scheduler.Task) (scheduler.Task, *scheduler.TaskRunner) { return task, nil },
		"inside": func(task scheduler.Task) (scheduler.Task, *scheduler.TaskRunner) {
			inner := scheduler.NewTaskRunner(task, nil)
			return scheduler.All(scheduler.Sequence(scheduler.Subrun(inner))), inner
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			var steps []time.Duration
			begin := time.Now()
			task, r := held(scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				steps = append(steps, time.Since(begin))
				if len(steps) == 4 {
					return scheduler.Done, nil
				}
				return scheduler.Next, nil
			}))
			rounds := 0
			outer := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{
				Wait: time.Minute, Progress: func(context.Context) error { rounds++; return nil },
			})
			if r == nil {
				r = outer
			}
			var posted []time.Duration
			var order []int
			for i := range 2 {
				require.True(t, r.Post(func() { order = append(order, i) }), "before the start")
			}
			for i := range 100 {
				time.AfterFunc(time.Duration(i)*time.Second, func() {
					r.Post(func() { posted = append(posted, time.Since(begin)) })
				})
			}
			require.NoError(t, outer.Run(t.Context()))
			require.Equal(t, []int{0, 1}, order)
			require.Equal(t, []time.Duration{0, 0, time.Minute, 2 * time.Minute}, steps)
			require.Equal(t, 3, rounds)
			require.Len(t, posted, 100)
			for i, at := range posted {
				require.Equal(t, time.Duration(i)*time.Second, at)
			}
			require.False(t, r.Post(func() {}), "it has ended")
		})
	}
}

// What a posted function does takes effect at once.
func TestTaskRunner_Post_of_an_end(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(r *scheduler.TaskRunner, g *scheduler.DependencyTaskGroup[string])
		want error
	}{
		"Drain":  {func(_ *scheduler.TaskRunner, g *scheduler.DependencyTaskGroup[string]) { g.Drain() }, scheduler.ErrDrained},
		"Stop":   {func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { r.Stop(errOops) }, errOops},
		"Kill":   {func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { r.Kill() }, scheduler.ErrCancelled},
		"Cancel": {func(r *scheduler.TaskRunner, _ *scheduler.DependencyTaskGroup[string]) { _ = r.Cancel() }, scheduler.ErrCancelled},
	} {
		inBubble(t, name, func(t *testing.T) {
			g := newGroup(t, "b:a", func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) }, nil)
			r := scheduler.NewTaskRunner(g, nil)
			time.AfterFunc(time.Second, func() { r.Post(func() { c.do(r, g) }) })
			begin := time.Now()
			require.ErrorIs(t, r.Run(t.Context()), c.want)
			if name == "Drain" {
				require.Equal(t, time.Hour, time.Since(begin))
			} else {
				require.Equal(t, time.Second, time.Since(begin))
			}
		})
	}
}

// While the runner is closing posted functions run, and those left at the end too.
func TestTaskRunner_Post_while_closing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := scheduler.NewTaskRunner(scheduler.Blocking(stubborn(10*time.Second)), &scheduler.RunnerOptions{Timeout: time.Second})
		var at []time.Duration
		begin := time.Now()
		note := func() { at = append(at, time.Since(begin).Truncate(time.Second)) }
		for _, d := range []time.Duration{500 * time.Millisecond, 5 * time.Second} {
			time.AfterFunc(d, func() { require.True(t, r.Post(note)) })
		}
		require.ErrorIs(t, r.Run(t.Context()), context.DeadlineExceeded)
		require.Equal(t, []time.Duration{0, 5 * time.Second}, at)
	})
	r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.Next), nil)
	called := false
	task := scheduler.Func(func(context.Context) error { r.Post(func() { called = true }); return nil })
	r = scheduler.NewTaskRunner(task, nil)
	require.NoError(t, r.Run(t.Context()))
	require.True(t, called, "in the last step")
}

func TestTaskRunner_Post_panics(t *testing.T) {
	closed := false
	r := scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
		defer func() { closed = true }()
		return co.Yield(scheduler.On(new(scheduler.Event)))
	}), nil)
	go r.Post(func() { panic("posted") })
	require.PanicsWithValue(t, "posted", func() { _ = r.Run(t.Context()) })
	require.True(t, closed || !r.Started())

	task := &fakeTask{step: forever}
	r = scheduler.NewTaskRunner(task, nil)
	r.Post(func() { panic("before the start") })
	require.PanicsWithValue(t, "before the start", func() { _ = r.Start(t.Context(), 0) })
	require.Zero(t, task.closes, "no code of it has run")
	require.ErrorIs(t, r.Err(), scheduler.ErrAborted)

	r = startRunner(t, task, nil)
	r.Post(func() { panic("by hand") })
	require.PanicsWithValue(t, "by hand", r.RunPosted)
	require.Equal(t, 1, task.closes)
	require.ErrorIs(t, r.Err(), scheduler.ErrAborted)

	r = startRunner(t, task, nil)
	r.Post(func() { _ = r.Cancel(); panic("cancelled") })
	require.PanicsWithValue(t, "cancelled", r.RunPosted)
	require.Equal(t, 2, task.closes)
	require.Equal(t, scheduler.ErrCancelled, r.Err(), "it had ended before")

	r = scheduler.NewTaskRunner(scheduler.Func(func(context.Context) error {
		r.Post(func() { panic("last") })
		return errBoom
	}), nil)
	require.PanicsWithValue(t, "last", func() { _ = r.Run(t.Context()) })
	require.Equal(t, errBoom, r.Err(), "the task had ended before")
}

// An event that a member waited for before its step, and not since, cuts no pause short.
func TestRun_pauses_though_a_member_was_woken_before_its_step(t *testing.T) {
	t.Parallel()
	clock := newClock()
	begin := clock.Now()
	var e scheduler.Event
	var steps []time.Duration
	group := newGroup(t, "a b", func(k string) scheduler.Task {
		n := 0
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			switch n++; {
			case n == 4:
				return scheduler.Done, nil
			case k == "b":
				e.Reset()
				return scheduler.On(&e).Or(scheduler.Rounds(1)), nil
			}
			e.Set()
			steps = append(steps, clock.Now().Sub(begin))
			return scheduler.Next, nil
		})
	}, nil)
	outer := newGroup(t, "in", func(string) scheduler.Task { return group }, nil)
	require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Clock: clock, Wait: time.Minute}))
	require.Equal(t, []time.Duration{0, 0, time.Minute}, steps)
}

// An owner's loop is told by Wake, and calls RunPosted.
func TestTaskRunner_RunPosted(t *testing.T) {
	wakes := 0
	r := startRunner(t, scheduler.Pause(scheduler.Rounds(2)), &scheduler.RunnerOptions{Wake: func() { wakes++ }})
	calls := 0
	require.True(t, r.Post(func() { calls++ }))
	require.Equal(t, 1, wakes)
	require.False(t, r.Due().Ready())
	r.RunPosted()
	require.Equal(t, 1, calls)
	require.True(t, r.Post(func() { calls++ }))
	require.False(t, mustStep(t, t.Context(), r))
	require.Equal(t, 2, calls)
	require.NoError(t, r.Cancel())
	require.False(t, r.Post(func() { calls++ }))
	require.Equal(t, 2, calls)
}

// askingClock calls a function the first time that it is asked.
type askingClock struct {
	*schedulertest.Clock
	first func()
}

func (c *askingClock) Now() time.Time {
	if f := c.first; f != nil {
		c.first = nil
		f()
	}
	return c.Clock.Now()
}

// What was posted to a runner in the midst of its start is not left until its task
// becomes due.
func TestTaskRunner_Post_while_it_starts_inside_another(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var posted scheduler.Event
		clock := &askingClock{Clock: newClock()}
		inner := scheduler.NewTaskRunner(scheduler.Pause(scheduler.On(&posted)), &scheduler.RunnerOptions{Clock: clock})
		clock.first = func() { require.True(t, inner.Post(posted.Set)) }
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Subrun(inner), nil))
		require.True(t, posted.IsSet())
	})
}

// From many goroutines each function that was accepted is called once.
func TestTaskRunner_Post_from_many_goroutines(t *testing.T) {
	for range 50 {
		r := scheduler.NewTaskRunner(scheduler.Pause(scheduler.Rounds(20)), nil)
		var posting sync.WaitGroup
		called, accepted := 0, make(chan bool, 300)
		for range 3 {
			posting.Go(func() {
				for range 100 {
					accepted <- r.Post(func() { called++ })
				}
			})
		}
		require.NoError(t, r.Run(t.Context()))
		posting.Wait()
		close(accepted)
		want := 0
		for ok := range accepted {
			if ok {
				want++
			}
		}
		require.Equal(t, want, called)
	}
}

// endSeen is what a run of the table of ends looked like from inside.
type endSeen struct {
	noticed bool
	lasted  time.Duration // of the task, from the end on
	started bool          // a node that became ready after the end
	call    time.Duration // how long the context of a call lasted
}

// The table "How a run ends" of the package's documentation, row by row, with a
// grace of a minute.
func TestEnds_table(t *testing.T) {
	const grace, end = time.Minute, time.Second
	type run struct {
		r      *scheduler.TaskRunner
		g      *scheduler.DependencyTaskGroup[string]
		cancel context.CancelCauseFunc
	}
	post := func(do func(r run)) func(r run) {
		return func(r run) { time.AfterFunc(end, func() { r.r.Post(func() { do(r) }) }) }
	}
	after := func(do func(r run)) func(r run) {
		return func(r run) { time.AfterFunc(end, func() { do(r) }) }
	}
	for name, c := range map[string]struct {
		end    func(r run)
		opts   scheduler.RunnerOptions
		want   endSeen
		result []error
		left   int // pending nodes
	}{
		"Drain": {
			end: post(func(r run) { r.g.Drain() }), want: endSeen{lasted: time.Hour - end, call: -1},
			result: []error{scheduler.ErrDrained}, left: 1,
		},
		"Stop": {
			end: post(func(r run) { r.r.Stop(errOops) }), want: endSeen{noticed: true, lasted: grace, call: grace}, result: []error{errOops},
		},
		"end of the context": {
			end: after(func(r run) { r.cancel(errOops) }), want: endSeen{noticed: true, lasted: grace, call: grace}, result: []error{errOops},
		},
		"Timeout": {
			opts: scheduler.RunnerOptions{Timeout: end},
			want: endSeen{noticed: true, lasted: grace, call: grace}, result: []error{context.DeadlineExceeded},
		},
		"Interrupt": {
			end:  after(func(r run) { r.r.Interrupt(errOops) }),
			want: endSeen{noticed: true, lasted: grace, call: grace}, result: []error{errOops},
		},
		"Kill": {
			end: after(func(r run) { r.r.Kill() }), want: endSeen{}, result: []error{scheduler.ErrCancelled},
		},
		"Cancel": {
			end: post(func(r run) { _ = r.r.Cancel() }), want: endSeen{}, result: []error{scheduler.ErrCancelled},
		},
		"CancelAfter": {
			end:    post(func(r run) { r.r.CancelAfter(2 * grace) }),
			want:   endSeen{lasted: 2 * grace, started: true, call: 2 * grace},
			result: []error{scheduler.ErrCancelled},
		},
		"Kill in the grace of Stop": {
			end: func(r run) {
				post(func(r run) { r.r.Stop(errOops) })(r)
				time.AfterFunc(10*time.Second, r.r.Kill)
			},
			want: endSeen{noticed: true, lasted: 9 * time.Second, call: 9 * time.Second}, result: []error{errOops, scheduler.ErrCancelled},
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			begin := time.Now()
			var seen endSeen
			since := func() time.Duration { return (time.Since(begin) - end).Truncate(time.Second) }
			g := newGroup(t, "runs call later:soon", func(k string) scheduler.Task {
				switch k {
				case "call":
					return scheduler.Blocking(func(ctx context.Context) error {
						select {
						case <-ctx.Done():
							seen.call = since()
						case <-time.After(30 * time.Minute):
							seen.call = -1
						}
						return nil
					})
				case "soon":
					return scheduler.Pause(scheduler.After(3 * time.Second))
				case "later":
					seen.started = true
					return scheduler.Func(func(context.Context) error { return nil })
				}
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					defer func() { seen.lasted, seen.noticed = since(), co.Stopping().IsSet() }()
					return co.Yield(scheduler.After(time.Hour))
				})
			}, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			opts := c.opts
			opts.Grace = grace
			r := scheduler.NewTaskRunner(g, &opts)
			if c.end != nil {
				c.end(run{r, g, cancel})
			}
			err := r.Run(ctx)
			for _, want := range c.result {
				require.ErrorIs(t, err, want)
			}
			require.Equal(t, c.want, seen)
			require.Equal(t, c.left, g.Count(scheduler.StatePending))
			require.Zero(t, g.Count(scheduler.StateRunning))
		})
	}
}

// Whatever is in between, the same task ends in the same way.
func TestWrapping_changes_nothing(t *testing.T) {
	bare := func(task scheduler.Task) scheduler.Task { return task }
	around := holdersOf("renamed", "Named", "Subrun", "AsTask", "All", "Wrap")
	tasks := map[string]func(log func(string)) scheduler.Task{
		"coroutine": func(log func(string)) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				for {
					err := co.Yield(scheduler.After(5 * time.Second).Or(scheduler.On(co.Stopping())))
					log(fmt.Sprint("yield ", scheduler.Interrupted(err), " ", co.Stopping().IsSet()))
					if errors.Is(err, scheduler.ErrClosed) {
						return err
					}
					if err := co.Yield(scheduler.After(5 * time.Second)); errors.Is(err, scheduler.ErrClosed) {
						return err
					}
				}
			})
		},
		"calls": func(log func(string)) scheduler.Task {
			return scheduler.Sequence(scheduler.Blocking(func(ctx context.Context) error {
				select {
				case <-scheduler.Stopping(ctx):
					log("stopping")
				case <-ctx.Done():
				}
				<-ctx.Done()
				log("done")
				sleep(3 * time.Second)
				return nil
			}))
		},
		"retries": func(log func(string)) scheduler.Task {
			return scheduler.Retry(constant(time.Second), func(int, error) scheduler.Task {
				log("attempt")
				return scheduler.Sequence(scheduler.Pause(scheduler.After(4*time.Second)), scheduler.Func(func(context.Context) error { return errSpace }))
			})
		},
	}
	run := func(t *testing.T, task func(log func(string)) scheduler.Task, put func(scheduler.Task) scheduler.Task, end string, grace time.Duration) (log []string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			note := func(text string) {
				log = append(log, fmt.Sprint(time.Since(begin).Truncate(time.Millisecond), " ", text))
			}
			opts := &scheduler.RunnerOptions{Grace: grace}
			if end == "timeout" {
				opts.Timeout = 12 * time.Second
			}
			r := scheduler.NewTaskRunner(put(task(note)), opts)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			switch end {
			case "stop":
				time.AfterFunc(12*time.Second, cancel)
			case "kill":
				time.AfterFunc(12*time.Second, r.Kill)
			}
			err := r.Run(ctx)
			note(fmt.Sprint("end ", err != nil))
		})
		return log
	}
	for taskName, task := range tasks {
		for _, end := range []string{"timeout", "stop", "kill"} {
			for _, grace := range []time.Duration{0, 7 * time.Second} {
				want := run(t, task, bare, end, grace)
				for name, put := range around {
					if name == "All" && end == "timeout" {
						continue // a group makes a notice of it for its members
					}
					require.Equal(t, want, run(t, task, put, end, grace), "%s %s: %s, grace %v", taskName, name, end, grace)
				}
			}
		}
	}
}

// endHolders are the ways of holding a task that are tried with every end.
func endHolders() map[string]func(scheduler.Task) scheduler.Task {
	m := holdersOf("itself", "Named", "Shield", "All", "All in All", "AsTask", "Subrun", "Reserve", "Sequence", "Retry", "Claiming", "Wrap")
	m["opaque"] = func(task scheduler.Task) scheduler.Task { return opaque{task} }
	m["AsTask, limited"] = func(task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(task, nil).AsTask(2 * time.Second)
	}
	m["AsTask, limited for long"] = func(task scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(task, nil).AsTask(30 * time.Second)
	}
	m["Subrun with a grace"] = func(task scheduler.Task) scheduler.Task {
		return scheduler.Subrun(scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Timeout: 30 * time.Second, Grace: time.Second}))
	}
	m["Finally"] = func(task scheduler.Task) scheduler.Task {
		return scheduler.Finally(task, scheduler.Pause(scheduler.After(time.Second)))
	}
	m["Finally of a Reserve"] = func(task scheduler.Task) scheduler.Task {
		return scheduler.Finally(scheduler.Reserve(time.Second, task), scheduler.Pause(scheduler.Next))
	}
	m["run in a call"] = func(task scheduler.Task) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return scheduler.Run(ctx, task, nil) })
	}
	m["run with a grace in a call"] = func(task scheduler.Task) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			return scheduler.Run(ctx, task, &scheduler.RunnerOptions{Grace: time.Second})
		})
	}
	return m
}

// What a node has failed with, or a call when it was closed, is in the result of the run
// and in Errors of the group around, however the group that it is in is held, and in
// whichever way that ends.
func TestComposition_loses_no_failure(t *testing.T) {
	type groupOptions = scheduler.GroupOptions[string]
	const second = time.Second
	failsAfter := func(d time.Duration, err error) scheduler.Task {
		return scheduler.Sequence(scheduler.Pause(scheduler.After(d)), scheduler.Func(func(context.Context) error { return err }))
	}
	inner := map[string]groupOptions{
		"aggregating":  {AggregateErrors: true},
		"OnError":      {OnError: func(string, error) scheduler.Disposition { return scheduler.SkipDependents }},
		"in its grace": {GraceFor: func(string) time.Duration { return time.Hour }},
		"call":         {},
		"late call":    {},
	}
	calls := map[string]func(context.Context) error{
		"call": func(ctx context.Context) error { <-ctx.Done(); return errSpace },
		"late call": func(ctx context.Context) error {
			<-ctx.Done()
			sleep(time.Hour)
			return fmt.Errorf("pulling: %w", errSpace)
		},
	}
	limit := func(d time.Duration) func(string) time.Duration {
		return byKey(map[string]time.Duration{"in": d})
	}
	for name, tt := range map[string]struct {
		outer *groupOptions // nil: there is no group around; else another node of it fails after 3 s
		opts  scheduler.RunnerOptions
		at    time.Duration // when do is called, unless 0
		do    func(r *scheduler.TaskRunner, cancel func(), g *scheduler.DependencyTaskGroup[string])
	}{
		"sibling":                {outer: &groupOptions{}},
		"sibling, EndCalls":      {outer: &groupOptions{EndCalls: true}},
		"sibling, aggregating":   {outer: &groupOptions{AggregateErrors: true}, opts: scheduler.RunnerOptions{Timeout: time.Minute}},
		"sibling, OnError":       {outer: &groupOptions{OnError: func(string, error) scheduler.Disposition { return scheduler.StopGroup }}},
		"limit of the node":      {outer: &groupOptions{Timeout: limit(2 * second)}},
		"limit within the grace": {outer: &groupOptions{Timeout: limit(5 * second)}},
		"limit of the run":       {opts: scheduler.RunnerOptions{Timeout: 2 * second}},
		"Kill":                   {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) { r.Kill() }},
		"Kill within the grace":  {outer: &groupOptions{}, at: 4 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) { r.Kill() }},
		"Stop": {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Post(func() { r.Stop(errOther) })
		}},
		"CancelAfter": {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Post(func() { r.CancelAfter(second) })
		}},
		"Interrupt": {at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Interrupt(errOther)
		}},
		"Interrupt, group around": {outer: &groupOptions{}, at: 2 * second, do: func(r *scheduler.TaskRunner, _ func(), _ *scheduler.DependencyTaskGroup[string]) {
			r.Interrupt(errOther)
		}},
		"end of ctx":               {at: 2 * second, do: func(_ *scheduler.TaskRunner, cancel func(), _ *scheduler.DependencyTaskGroup[string]) { cancel() }},
		"end of ctx, group around": {outer: &groupOptions{}, at: 2 * second, do: func(_ *scheduler.TaskRunner, cancel func(), _ *scheduler.DependencyTaskGroup[string]) { cancel() }},
		"end of ctx in the grace":  {outer: &groupOptions{}, at: 4 * second, do: func(_ *scheduler.TaskRunner, cancel func(), _ *scheduler.DependencyTaskGroup[string]) { cancel() }},
		"Drain": {
			outer: &groupOptions{Limit: 1}, opts: scheduler.RunnerOptions{Timeout: time.Minute}, at: 2 * second,
			do: func(r *scheduler.TaskRunner, _ func(), g *scheduler.DependencyTaskGroup[string]) { r.Post(g.Drain) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			for as, hold := range endHolders() {
				for kind, opts := range inner {
					for _, grace := range []time.Duration{0, 10 * second} {
						synctest.Test(t, func(t *testing.T) {
							held := hold(newGroup(t, "x y", func(k string) scheduler.Task {
								switch {
								case k == "x" && calls[kind] != nil:
									return scheduler.Blocking(calls[kind])
								case k == "x":
									return failsAfter(second, errSpace)
								}
								return scheduler.Pause(scheduler.After(time.Hour))
							}, &opts))
							task := held
							var g *scheduler.DependencyTaskGroup[string]
							if tt.outer != nil {
								g = newGroup(t, "in sibling", func(k string) scheduler.Task {
									if k == "in" {
										return held
									}
									return failsAfter(3*second, errBoom)
								}, tt.outer)
								task = g
							}
							runner := tt.opts
							runner.Grace = grace
							r := scheduler.NewTaskRunner(task, &runner)
							ctx, cancel := context.WithCancel(t.Context())
							defer cancel()
							if tt.do != nil {
								time.AfterFunc(tt.at, func() { tt.do(r, cancel, g) })
							}
							require.ErrorIs(t, r.Run(ctx), errSpace, "%s, %s, %v", as, kind, grace)
							if g != nil {
								require.ErrorIs(t, errors.Join(g.Errors()...), errSpace, "%s, %s, %v", as, kind, grace)
							}
						})
					}
				}
			}
		})
	}
}

const (
	sweepEnd     = time.Second     // when it is ended
	sweepGrace   = 3 * time.Second // with a grace
	sweepDeaf    = 2 * time.Second // a deaf call goes on for
	sweepAbandon = 8 * time.Second
)

// sweepSeen is what a run of the sweep looked like from inside.
type sweepSeen struct {
	failed   bool // the clean-up of the member has failed
	panicked bool // or panicked
	deaf     bool // the call of the member was told to end, and went on
	finished bool // and returned
	returned time.Time
	stuck    atomic.Bool // the call of the member does not return; it is left behind
	started  bool        // a node that requires the member was started
	closed   bool        // a node beside it was closed
	gap      time.Duration
	release  chan struct{} // ends the call that does not return by itself
}

// sweepMembers are tasks that end in the ways in which a task can end.
var sweepMembers = map[string]func(s *sweepSeen) scheduler.Task{
	"answers": func(*sweepSeen) scheduler.Task {
		return cleaningUp(0, func(why error) error { return why })
	},
	"deaf call": func(s *sweepSeen) scheduler.Task { return scheduler.Blocking(s.deafCall) },
	"deaf Call in a Wrap": func(s *sweepSeen) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := scheduler.Call(co, func(ctx context.Context) (int, error) { return 0, s.deafCall(ctx) })
			return err
		})
	},
	"deaf Poll in a Wrap": func(s *sweepSeen) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			return co.Await(scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) { return true, s.deafCall(ctx) }))
		})
	},
	"stuck call": func(s *sweepSeen) scheduler.Task {
		return scheduler.Blocking(func(context.Context) error {
			s.stuck.Store(true)
			<-s.release
			return nil
		})
	},
	"cleans up": func(*sweepSeen) scheduler.Task {
		return cleaningUp(time.Second, func(why error) error { return why })
	},
	"fails in clean-up": func(s *sweepSeen) scheduler.Task {
		return cleaningUp(time.Second, func(error) error { s.failed = true; return errSpace })
	},
	"panics in clean-up": func(s *sweepSeen) scheduler.Task {
		return cleaningUp(time.Second, func(error) error { s.panicked = true; panic(errSpace) })
	},
}

// deafCall goes on for a while after its context has ended.
func (s *sweepSeen) deafCall(ctx context.Context) error {
	<-ctx.Done()
	s.deaf = true
	sleep(sweepDeaf)
	s.finished, s.returned = true, time.Now()
	return ctx.Err()
}

// cleaningUp returns a task that takes a while to clean up when it is to end, whatever
// for, and then ends as after says.
func cleaningUp(lasts time.Duration, after func(why error) error) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		why := co.Yield(scheduler.After(time.Hour).Or(scheduler.On(co.Stopping())))
		if why == nil {
			why = co.StopCause()
		}
		if lasts > 0 && !errors.Is(why, scheduler.ErrClosed) {
			_ = co.Yield(scheduler.After(lasts)) // it may be cut off in it
		}
		return after(why)
	})
}

// sweepHolders are ways of holding a task, besides those of every test.
func sweepHolders() map[string]func(scheduler.Task) scheduler.Task {
	m := endHolders()
	delete(m, "AsTask, limited") // it ends earlier
	maps.Copy(m, holdersOf("First", "WithTimeout", "renamed", "AsTask of an All"))
	m["All beside another"] = func(task scheduler.Task) scheduler.Task { return scheduler.All(task, hours("")) }
	m["First beside another"] = func(task scheduler.Task) scheduler.Task { return scheduler.First(task, hours("")) }
	m["Sequence before another"] = func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task, hours("")) }
	m["Finally of a clean-up"] = func(task scheduler.Task) scheduler.Task { return scheduler.Finally(lasting0, task) }
	m["All beside a failure"] = func(task scheduler.Task) scheduler.Task { return scheduler.All(task, failsBefore(sweepEnd)) }
	return m
}

// sweepRun is a run that is ended: a group whose node "in" holds the member, run as a
// part of a node, beside one that wants a step every 50 ms.
type sweepRun struct {
	r      *scheduler.TaskRunner
	g      *scheduler.DependencyTaskGroup[string]
	cancel context.CancelFunc
}

type sweepCase struct {
	runner scheduler.RunnerOptions
	limit  time.Duration         // of the node
	other  func() scheduler.Task // a node beside it
	end    func(s sweepRun)      // is called after a second
	skips  bool                  // a failure does not stop the group
	waits  bool                  // for calls, as the documentation says
	up     bool                  // a panic or a Goexit goes up
	want   error                 // is in the result
}

var sweepCases = map[string]sweepCase{
	"limit of the node":             {limit: sweepEnd, want: context.DeadlineExceeded},
	"limit of the node, aggregates": {limit: sweepEnd, skips: true, want: context.DeadlineExceeded},
	"limit of the run":              {runner: scheduler.RunnerOptions{Timeout: sweepEnd}, want: context.DeadlineExceeded},
	"Stop":                          {end: sweepStop, want: errOops},
	"Stop with EndCalls":            {runner: scheduler.RunnerOptions{EndCalls: true}, end: sweepStop, want: errOops},
	"Kill":                          {end: func(s sweepRun) { s.r.Kill() }, want: scheduler.ErrCancelled},
	"Kill in the grace": {
		end:  func(s sweepRun) { sweepStop(s); time.AfterFunc(time.Second/2, s.r.Kill) },
		want: errOops,
	},
	"Interrupt":            {end: func(s sweepRun) { s.r.Interrupt(errOops) }, want: errOops},
	"Cancel":               {end: func(s sweepRun) { s.r.Post(func() { _ = s.r.Cancel() }) }, waits: true, want: scheduler.ErrCancelled},
	"CancelAfter":          {end: func(s sweepRun) { s.r.Post(func() { s.r.CancelAfter(time.Second) }) }, want: scheduler.ErrCancelled},
	"end of the context":   {end: func(s sweepRun) { s.cancel() }, want: context.Canceled},
	"failure beside it":    {other: func() scheduler.Task { return lasting(1, errOther) }, want: errOther},
	"StopNode":             {end: sweepStopNode, want: errOops},
	"StopNode, aggregates": {skips: true, end: sweepStopNode, want: errOops},
	"Drain and Kill": {
		end:  func(s sweepRun) { s.r.Post(s.g.Drain); time.AfterFunc(time.Second, s.r.Kill) },
		want: scheduler.ErrCancelled,
	},
	"panic beside it": {other: func() scheduler.Task { return after(sweepEnd, func() { panic(errOther) }) }, want: errOther},
	"panic of a call beside it": {
		other: func() scheduler.Task { return blockingAfter(sweepEnd, func() { panic(errOther) }) },
		want:  errOther,
	},
	"Goexit of a call beside it": {
		other: func() scheduler.Task { return blockingAfter(sweepEnd, runtime.Goexit) },
		want:  scheduler.ErrGoexit,
	},
	"panic that goes up":  {other: func() scheduler.Task { return after(sweepEnd, func() { panic(errOther) }) }, up: true, waits: true},
	"Goexit that goes up": {other: func() scheduler.Task { return after(sweepEnd, runtime.Goexit) }, up: true, waits: true},
}

func sweepStop(s sweepRun) { s.r.Post(func() { s.r.Stop(errOops) }) }

func sweepStopNode(s sweepRun) { s.r.Post(func() { s.g.StopNode("in", errOops) }) }

func blockingAfter(d time.Duration, do func()) scheduler.Task {
	return scheduler.Blocking(func(context.Context) error { sleep(d); do(); return nil })
}

func failsBefore(d time.Duration) scheduler.Task {
	return scheduler.Sequence(scheduler.Pause(scheduler.After(d-100*time.Millisecond)), scheduler.Func(func(context.Context) error { return errBoom }))
}

func after(d time.Duration, do func()) scheduler.Task {
	return scheduler.Sequence(scheduler.Pause(scheduler.After(d)), scheduler.Func(func(context.Context) error { do(); return nil }))
}

// Whatever holds a task, whatever ends it and however it takes that: the end comes in
// time, holds nobody up, loses no failure, names calls that have not listened, leaves
// nothing behind, and is no success.
func TestEnds_of_everything_in_everything(t *testing.T) {
	all := sweepHolders()
	n := 0
	for _, how := range slices.Sorted(maps.Keys(sweepCases)) {
		for _, as := range slices.Sorted(maps.Keys(all)) {
			if as == "All beside a failure" && sweepCases[how].up {
				continue // which comes first
			}
			for _, kind := range slices.Sorted(maps.Keys(sweepMembers)) {
				for _, grace := range []time.Duration{0, sweepGrace} {
					if n++; testing.Short() && n%7 != 0 {
						continue
					}
					inBubble(t, fmt.Sprintf("%s/%s/%s/%v", how, as, kind, grace), func(t *testing.T) {
						s := &sweepSeen{release: make(chan struct{})}
						defer sleep(time.Minute) // until calls that were left behind have returned
						defer close(s.release)
						sweep(t, s, sweepCases[how], all[as](sweepMembers[kind](s)), grace, as)
					})
				}
			}
		}
	}
}

func sweep(t *testing.T, s *sweepSeen, c sweepCase, in scheduler.Task, grace time.Duration, as string) {
	t.Helper()
	begin, last := time.Now(), time.Now()
	limits := map[string]time.Duration{"in": c.limit}
	g := newGroup(t, "in other witness later:in", func(k string) scheduler.Task {
		switch k {
		case "in":
			return in
		case "other":
			if c.other != nil {
				return c.other()
			}
			return lasting0
		case "later":
			s.started = true
			return lasting0
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			defer func() { s.closed = true }()
			if err := co.Yield(scheduler.After(20 * time.Second).Or(scheduler.On(co.Stopping()))); err != nil {
				return err
			}
			return co.StopCause()
		})
	}, &scheduler.GroupOptions[string]{Timeout: byKey(limits), RecoverPanics: !c.up, AggregateErrors: c.skips})
	opts := c.runner
	opts.Grace, opts.Abandon = grace, sweepAbandon
	r := scheduler.NewTaskRunner(g, &opts)
	outer := newGroup(t, "run ticker", func(k string) scheduler.Task {
		if k == "run" {
			return scheduler.Subrun(r)
		}
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			s.gap, last = max(s.gap, time.Since(last)), time.Now()
			if r.Done() {
				return scheduler.Done, nil
			}
			return scheduler.After(50 * time.Millisecond), nil
		})
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if c.end != nil {
		time.AfterFunc(sweepEnd, func() { c.end(sweepRun{r, g, cancel}) })
	}
	var err error
	completed, v := onGoroutine(func() {
		err = scheduler.Run(ctx, outer, &scheduler.RunnerOptions{Grace: grace, Abandon: sweepAbandon})
	})
	took := time.Since(begin) - sweepEnd

	most := grace
	switch {
	case s.stuck.Load():
		most += sweepAbandon
	case s.deaf:
		most += sweepDeaf
	}
	if c.end != nil {
		most += time.Second // some end in two steps
	}
	if as == "run with a grace in a call" {
		most += time.Second
	}
	if c.skips {
		most = 20 * time.Second // the witness is not asked
	}
	require.LessOrEqual(t, took, most+100*time.Millisecond, "it has taken too long")
	require.True(t, s.closed, "the node beside it has not ended")
	require.False(t, s.started, "a node that requires it was started")
	if !c.waits && as != "opaque" {
		require.LessOrEqual(t, s.gap, 60*time.Millisecond, "somebody was held up")
	}
	if c.up {
		require.False(t, completed)
		return
	}
	require.True(t, completed, "%v", v)
	everything := errors.Join(err, errors.Join(g.Errors()...), errors.Join(outer.Errors()...))
	switch {
	case as == "All beside a failure":
		require.ErrorIs(t, everything, errBoom, "a failure was lost")
	case c.limit > 0 && (s.failed || s.panicked): // its answer to the Timeout
	default:
		require.ErrorIs(t, err, c.want, "the result does not say why it ended")
	}
	require.Error(t, err)
	if s.failed || s.panicked {
		require.ErrorIs(t, everything, errSpace, "a failure was lost")
	}
	if s.finished && !c.skips && time.Since(s.returned) < time.Second {
		require.ErrorAs(t, err, new(*scheduler.LateError), "a deaf call is not named")
	}
	if s.stuck.Load() && as != "run in a call" && as != "run with a grace in a call" {
		require.ErrorAs(t, err, new(*scheduler.AbandonedError), "a call that was left behind is not named")
	}
}

// What a task fails with when it is closed, or after a Timeout that it has handled, is
// joined with why it was ended, and takes the place of nothing.
func TestEnds_with_a_failure(t *testing.T) {
	fails := func() scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.After(time.Hour)); scheduler.Interrupted(err) && !errors.Is(err, scheduler.ErrClosed) {
				_ = co.Yield(scheduler.After(2 * time.Second))
			}
			return errSpace
		})
	}
	for name, tt := range map[string]struct {
		opts scheduler.RunnerOptions
		end  func(r *scheduler.TaskRunner)
		want string
	}{
		"CancelAfter":              {end: func(r *scheduler.TaskRunner) { r.Post(func() { r.CancelAfter(time.Second) }) }, want: "scheduler: cancelled\nno space"},
		"Cancel":                   {end: func(r *scheduler.TaskRunner) { r.Post(func() { _ = r.Cancel() }) }, want: "scheduler: cancelled\nno space"},
		"Kill":                     {end: func(r *scheduler.TaskRunner) { r.Kill() }, want: "scheduler: cancelled\nno space"},
		"Stop":                     {end: func(r *scheduler.TaskRunner) { r.Post(func() { r.Stop(errOops) }) }, want: "oops\nno space"},
		"Timeout":                  {opts: scheduler.RunnerOptions{Timeout: time.Second}, want: "task: timed out after 1s\nno space"},
		"Timeout, after the grace": {opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Second}, want: "task: timed out after 1s\nno space"},
		"Timeout, in the grace":    {opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Hour}, want: "task: timed out after 1s\nno space"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, hold := range []func(ctx context.Context, r *scheduler.TaskRunner) error{
				func(ctx context.Context, r *scheduler.TaskRunner) error { return r.Run(ctx) },
				func(ctx context.Context, r *scheduler.TaskRunner) error {
					return scheduler.Run(ctx, scheduler.Subrun(r), nil)
				},
			} {
				synctest.Test(t, func(t *testing.T) {
					opts := tt.opts
					opts.Name = "task"
					r := scheduler.NewTaskRunner(fails(), &opts)
					if tt.end != nil {
						time.AfterFunc(time.Second, func() { tt.end(r) })
					}
					require.EqualError(t, hold(t.Context(), r), tt.want)
					require.EqualError(t, r.Err(), tt.want)
				})
			}
		})
	}
}

// Of two notices the innermost counts, unless one further out is final: that of the run
// reaches what begins in a group that a failure has stopped, though what drives the group
// does not hand it on.
func TestStopCause_of_the_run_in_a_group_that_a_failure_has_stopped(t *testing.T) {
	var causes []error
	inner := newGroup(t, "a bad", func(k string) scheduler.Task {
		if k == "bad" {
			return scheduler.Func(func(context.Context) error { return errBoom })
		}
		return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
			causes = append(causes, scheduler.StopCause(ctx))
			return scheduler.Next, nil
		})
	}, &scheduler.GroupOptions[string]{Grace: time.Hour})
	r := startRunner(t, scheduler.StepFunc(inner.Step), &scheduler.RunnerOptions{Clock: newClock(), Grace: time.Hour})
	mustStep(t, t.Context(), r)
	r.Stop(errSpace)
	mustStep(t, t.Context(), r)
	require.Len(t, causes, 3)
	require.NoError(t, causes[0])
	require.ErrorIs(t, causes[1], errBoom)
	require.NotErrorIs(t, causes[1], errSpace)
	require.ErrorIs(t, causes[2], errSpace)
	require.NoError(t, r.Cancel())
	require.ErrorIs(t, inner.Close(), errBoom)
}

// A body that continues after a Timeout until it is closed has failed with that.
func TestReserve_of_a_body_that_continues_after_a_Timeout(t *testing.T) {
	clock := newClock()
	var got error
	body := &fakeTask{step: forever, throw: always(scheduler.Next, nil), close: func() error { return errSpace }}
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		got = co.Await(scheduler.Reserve(time.Second, body))
		return got
	})
	_ = scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: clock, Wait: time.Second, Timeout: time.Minute, Grace: 10 * time.Second})
	require.NotNil(t, asError[*scheduler.Timeout](t, got))
	require.ErrorIs(t, got, errSpace)
	require.NotErrorIs(t, got, scheduler.ErrCancelled)
}

// A call that is told when it is closed finds its context ended: it is not to begin what
// it would do in a grace. It does nothing but look, since there is not long to see
// anything in between.
func TestStopping_of_a_call_that_is_closed(t *testing.T) {
	for range 100 {
		looks, told := make(chan struct{}), make(chan error, 1)
		r := startRunner(t, scheduler.Blocking(func(ctx context.Context) error {
			stopping := scheduler.Stopping(ctx)
			close(looks)
			for n := 1; isOpen(stopping); n++ {
				if n%1000 == 0 {
					runtime.Gosched()
				}
			}
			told <- ctx.Err()
			return nil
		}), &scheduler.RunnerOptions{Abandon: time.Hour}) // which makes it longer
		<-looks
		r.Stop(errOops)
		require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errOops)
		require.Equal(t, context.Canceled, <-told)
	}
}

func isOpen(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return false
	default:
		return true
	}
}

// The cause of a stop may look at the context of a call that is closed for it.
func TestStop_with_a_cause_that_asks_the_context(t *testing.T) {
	for _, abandon := range []time.Duration{0, time.Hour} {
		begun := make(chan context.Context, 1)
		r := startRunner(t, scheduler.Blocking(func(ctx context.Context) error {
			begun <- ctx
			<-ctx.Done()
			return ctx.Err()
		}), &scheduler.RunnerOptions{Abandon: abandon})
		cause := &curiousError{ctx: <-begun}
		r.Stop(cause)
		require.ErrorIs(t, r.RunToCompletion(t.Context(), 0), errOops)
		require.Positive(t, cause.asked)
	}
}

// curiousError looks at a context when it is asked what it wraps.
type curiousError struct {
	ctx   context.Context
	asked int
}

func (e *curiousError) Error() string { return "curious" }

func (e *curiousError) Unwrap() error {
	e.asked++
	_, _, _ = e.ctx.Err(), scheduler.StopCause(e.ctx), scheduler.Stopping(e.ctx)
	return errOops
}
