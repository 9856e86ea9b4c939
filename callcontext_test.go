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
	"github.com/steptask/scheduler/schedulertest"
)

// seen is what a call has seen of the end of its context.
type seen struct {
	err, cause error
	derived    [][2]error // the same of contexts that were made from it
	stop       error      // StopCause
	noticed    bool       // the channel of Stopping was closed
	at         time.Time
}

// watch waits for the end of ctx and of contexts that are made from it in all ways,
// some before the end and one after it.
func watch(ctx context.Context) seen {
	a, cancelA := context.WithCancel(ctx)
	defer cancelA()
	b, cancelB := context.WithTimeout(context.WithValue(ctx, contextKey{}, 1), 1000*time.Hour)
	defer cancelB()
	c, cancelC := context.WithCancelCause(a)
	defer cancelC(errOther)
	<-ctx.Done()
	d, cancelD := context.WithCancel(ctx)
	defer cancelD()
	s := seen{err: ctx.Err(), cause: context.Cause(ctx), stop: scheduler.StopCause(ctx), at: time.Now()}
	for _, child := range []context.Context{a, b, c, d} {
		<-child.Done()
		s.derived = append(s.derived, [2]error{child.Err(), context.Cause(child)})
	}
	select {
	case <-scheduler.Stopping(ctx):
		s.noticed = true
	default:
	}
	return s
}

// check compares what was seen.
func (s seen) check(t *testing.T, wantErr error, wantCause func(err error) bool) {
	t.Helper()
	require.Equal(t, wantErr, s.err)
	require.True(t, wantCause(s.cause), "cause: %v", s.cause)
	require.Len(t, s.derived, 4)
	for _, d := range s.derived {
		require.Equal(t, [2]error{s.err, s.cause}, d)
	}
}

func isTimeout(err error) bool {
	_, ok := err.(*scheduler.Timeout) //nolint:errorlint // That very type.
	return ok
}

// isStop returns a check for the notice of a stop with a cause.
func isStop(cause error) func(error) bool {
	return func(err error) bool {
		stop, ok := err.(*scheduler.StopError) //nolint:errorlint // That very type.
		return ok && errors.Is(stop.Cause, cause)
	}
}

func is(want error) func(error) bool {
	return func(err error) bool { return err == want } //nolint:errorlint // That very one.
}

// The deadline of a call that begins within the grace of a stop is the end of that
// grace, whatever is between the call and the runner.
func TestCallContext_deadline_after_a_stop(t *testing.T) {
	for name, in := range map[string]func(task scheduler.Task) scheduler.Task{
		"bare":     func(task scheduler.Task) scheduler.Task { return task },
		"in All":   func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		"in a Run": func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) },
	} {
		inBubble(t, name, func(t *testing.T) {
			begin := time.Now()
			var at time.Time
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			require.ErrorIs(t, scheduler.Run(ctx, in(scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.After(5 * time.Second)); err != nil {
					return err
				}
				return co.Await(scheduler.Blocking(func(ctx context.Context) error {
					at, _ = ctx.Deadline()
					return nil
				}))
			})), &scheduler.RunnerOptions{Grace: 10 * time.Second, Timeout: time.Hour}), context.Canceled)
			require.Equal(t, 11*time.Second, at.Sub(begin).Truncate(time.Millisecond))
		})
	}
}

// A call that begins in the grace after a time limit has until the end of that grace, and
// no other one after it.
func TestCallContext_deadline_in_the_grace_after_a_Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at time.Time
		_ = scheduler.Run(t.Context(), scheduler.All(scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			return co.Await(scheduler.Blocking(func(ctx context.Context) error {
				at, _ = ctx.Deadline()
				return nil
			}))
		})), &scheduler.RunnerOptions{Timeout: time.Second, Grace: 10 * time.Second})
		require.Equal(t, 11*time.Second, at.Sub(begin).Truncate(time.Millisecond))
	})
}

// A call that nothing around it limits needs nothing but its task.
func TestBlocking_begins_without_allocating(t *testing.T) {
	const n = 100
	tasks := make([]scheduler.Task, n+1)
	for i := range tasks {
		tasks[i] = scheduler.Blocking(func(context.Context) error { return nil })
	}
	next, allocs := 0, 0.0
	mustStep(t, t.Context(), newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Func(func(ctx context.Context) error {
			allocs = testing.AllocsPerRun(n, func() {
				_, err := tasks[next].Step(ctx)
				require.NoError(t, err)
				next++
			})
			return nil
		})
	}, nil))
	require.Zero(t, allocs)
	for _, task := range tasks {
		require.NoError(t, task.Close())
	}
}

func TestBlocking_end_of_the_context(t *testing.T) {
	const second = time.Second
	for _, tt := range []struct {
		name  string
		opts  scheduler.RunnerOptions
		run   func(t *testing.T, r *scheduler.TaskRunner)
		err   error
		cause func(error) bool
		after time.Duration
	}{
		{
			name: "Timeout", opts: scheduler.RunnerOptions{Timeout: second},
			err: context.DeadlineExceeded, cause: isTimeout, after: second + 1,
		},
		{
			name: "Timeout with a grace", opts: scheduler.RunnerOptions{Timeout: second, Grace: time.Minute},
			err: context.DeadlineExceeded, cause: isTimeout, after: second + 1,
		},
		{
			name: "Interrupt", run: func(t *testing.T, r *scheduler.TaskRunner) {
				t.Helper()
				time.AfterFunc(second, func() { r.Interrupt(errOops) })
				_ = r.Run(t.Context())
			},
			err: context.Canceled, cause: is(errOops), after: second,
		},
		{
			name: "Interrupt with a deadline of somebody else's", run: func(t *testing.T, r *scheduler.TaskRunner) {
				t.Helper()
				time.AfterFunc(second, func() { r.Interrupt(fmt.Errorf("a lease: %w", context.DeadlineExceeded)) })
				_ = r.Run(t.Context())
			},
			err: context.Canceled, cause: func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }, after: second,
		},
		{
			name: "Kill", run: func(t *testing.T, r *scheduler.TaskRunner) {
				t.Helper()
				time.AfterFunc(second, r.Kill)
				_ = r.Run(t.Context())
			},
			err: context.Canceled, cause: is(scheduler.ErrClosed), after: second,
		},
		{
			name: "cancelled", run: runCancelled(second),
			err: context.Canceled, cause: isStop(context.Canceled), after: second,
		},
		{
			name: "cancelled, with a grace", opts: scheduler.RunnerOptions{Grace: time.Minute}, run: runCancelled(second),
			err: context.Canceled, cause: isStop(context.Canceled), after: second + time.Minute + 1,
		},
		{
			name: "cancelled, EndCalls", opts: scheduler.RunnerOptions{Grace: time.Minute, EndCalls: true}, run: runCancelled(second),
			err: context.Canceled, cause: isStop(context.Canceled), after: second,
		},
		{
			name: "deadline", run: runLimited(second),
			err: context.DeadlineExceeded, cause: isStop(context.DeadlineExceeded), after: second,
		},
		{
			name: "deadline, with a grace", opts: scheduler.RunnerOptions{Grace: time.Minute}, run: runLimited(second),
			err: context.DeadlineExceeded, cause: isStop(context.DeadlineExceeded), after: second + time.Minute + 1,
		},
		{
			name: "deadline, EndCalls", opts: scheduler.RunnerOptions{Grace: time.Minute, EndCalls: true}, run: runLimited(second),
			err: context.DeadlineExceeded, cause: isStop(context.DeadlineExceeded), after: second,
		},
		{
			name: "Stop with a deadline of somebody else's", opts: scheduler.RunnerOptions{Grace: time.Minute, EndCalls: true},
			run: func(t *testing.T, r *scheduler.TaskRunner) {
				t.Helper()
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(second, func() { cancel(context.DeadlineExceeded) })
				_ = r.Run(ctx)
			},
			err: context.Canceled, cause: isStop(context.DeadlineExceeded), after: second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				var s seen
				begin := time.Now()
				r := scheduler.NewTaskRunner(call(func(ctx context.Context) error {
					s = watch(ctx)
					return nil
				}), &tt.opts)
				if tt.run != nil {
					tt.run(t, r)
				} else {
					_ = r.Run(t.Context())
				}
				s.check(t, tt.err, tt.cause)
				require.Equal(t, tt.after, s.at.Sub(begin))
				stop, stopped := s.cause.(*scheduler.StopError) //nolint:errorlint // That very type.
				require.Equal(t, stopped, s.noticed)
				if stopped {
					require.Same(t, stop, s.stop, "one notice")
				} else {
					require.NoError(t, s.stop)
				}
			})
		})
	}
}

// runCancelled runs with a context that is cancelled after d.
func runCancelled(d time.Duration) func(t *testing.T, r *scheduler.TaskRunner) {
	return func(t *testing.T, r *scheduler.TaskRunner) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(d, cancel)
		_ = r.Run(ctx)
	}
}

// runLimited runs with a context whose deadline passes after d.
func runLimited(d time.Duration) func(t *testing.T, r *scheduler.TaskRunner) {
	return func(t *testing.T, r *scheduler.TaskRunner) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		_ = r.Run(ctx)
	}
}

// Who asks for nothing before the end finds the same after it.
func TestBlocking_end_of_a_context_that_was_asked_for_nothing(t *testing.T) {
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		var s seen
		_ = scheduler.Run(t.Context(), call(func(ctx context.Context) error {
			sleep(time.Hour)
			s = watch(ctx)
			return nil
		}), &scheduler.RunnerOptions{Timeout: time.Second, Grace: scheduler.NoLimit})
		s.check(t, context.DeadlineExceeded, isTimeout)
	})
}

func TestBlocking_deadline(t *testing.T) {
	const minute = time.Minute
	for _, tt := range []struct {
		name              string
		ctx, outer, inner time.Duration // limits; 0: none
		clock             bool          // simulated
		want              time.Duration
	}{
		{name: "none"},
		{name: "of the context", ctx: minute, want: minute},
		{name: "of the runner", inner: minute, want: minute + 1},
		{name: "of the runner around", outer: minute, want: minute + 1},
		{name: "of both runners", outer: minute, inner: 2 * minute, want: minute + 1},
		{name: "of both runners, the inner one first", outer: 3 * minute, inner: 2 * minute, want: 2*minute + 1},
		{name: "of the runner, before that of the context", ctx: 2 * minute, inner: minute, want: minute + 1},
		{name: "of all", ctx: minute, outer: 3 * minute, inner: 2 * minute, want: minute},
		{name: "of a simulated clock", clock: true, outer: 3 * minute, inner: 2 * minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				ctx := t.Context()
				if tt.ctx > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.ctx)
					defer cancel()
				}
				begin, called := time.Now(), false
				task := call(func(ctx context.Context) error {
					called = true
					at, ok := ctx.Deadline()
					require.Equal(t, tt.want != 0, ok)
					if ok {
						require.Equal(t, tt.want, at.Sub(begin))
					}
					child, cancel := context.WithTimeout(ctx, 10*minute)
					defer cancel()
					if childAt, _ := child.Deadline(); ok {
						require.Equal(t, at, childAt)
					}
					return nil
				})
				task = scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Timeout: tt.inner}).AsTask(0)
				opts := &scheduler.RunnerOptions{Timeout: tt.outer}
				if tt.clock {
					opts.Clock = schedulertest.NewClock(time.Time{})
				}
				r := scheduler.NewTaskRunner(task, opts) // by hand: a simulated clock does not wait for the call
				require.NoError(t, r.Start(ctx, 0))
				for !r.Done() {
					synctest.Wait()
					mustStep(t, ctx, r)
				}
				require.True(t, called)
			})
		})
	}
}

// within steps a task with a deadline of its own.
type within struct {
	scheduler.Task
	limit time.Duration
}

func (w within) Unwrap() scheduler.Task { return w.Task }

func (w within) Step(ctx context.Context) (scheduler.Yield, error) {
	ctx, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	return w.Task.Step(ctx)
}

// The grace after the deadline of Run's context follows no other deadline.
func TestBlocking_deadline_of_a_step(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{
		time.Minute: time.Minute, 2 * time.Minute: 3*time.Minute + 1, time.Hour: 3*time.Minute + 1,
	} {
		inBubble(t, limit.String(), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			begin := time.Now()
			var left time.Duration
			call := scheduler.Blocking(func(ctx context.Context) error {
				at, ok := ctx.Deadline()
				require.True(t, ok)
				left = at.Sub(begin)
				return nil
			})
			require.NoError(t, scheduler.Run(ctx, within{call, limit}, &scheduler.RunnerOptions{Grace: time.Minute}))
			require.Equal(t, want, left)
		})
	}
}

// A limit whose end nobody knows beforehand does not hide the others.
func TestBlocking_deadline_beside_one_that_is_unknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var left time.Duration
		inner := newGroup(t, "call", func(string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				at, ok := ctx.Deadline()
				require.True(t, ok)
				left = at.Sub(begin)
				return nil
			})
		}, nil)
		outer := newGroup(t, "node", func(string) scheduler.Task { return inner }, &scheduler.GroupOptions[string]{
			Timeout:  func(string) time.Duration { return time.Minute },
			GraceFor: func(string) time.Duration { return time.Minute }, // it is asked for only then
		})
		require.NoError(t, scheduler.Run(t.Context(), outer, &scheduler.RunnerOptions{Timeout: time.Hour}))
		require.Equal(t, time.Hour+1, left)
	})
}

// In a group that is closed for its Timeout a call learns of that as of a stop.
func TestBlocking_cause_in_a_group_whose_time_is_over(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause, stop, err error
		inner := newGroup(t, "call", func(string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				cause, stop, err = context.Cause(ctx), scheduler.StopCause(ctx), ctx.Err()
				return nil
			})
		}, nil)
		outer := newGroup(t, "node", func(string) scheduler.Task { return inner },
			&scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }})
		require.Error(t, scheduler.Run(t.Context(), outer, nil))
		require.IsType(t, (*scheduler.StopError)(nil), cause)
		require.Equal(t, stop, cause)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, "node", asError[*scheduler.Timeout](t, cause).Task)
	})
}

// A call that is closed because another node has timed out hears of the stop of its
// group, not of a Timeout of its own.
func TestBlocking_cause_beside_a_node_whose_time_is_over(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		g := newGroup(t, "late call", func(k string) scheduler.Task {
			if k == "late" {
				return hours(k)
			}
			return scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				cause = context.Cause(ctx)
				return nil
			})
		}, &scheduler.GroupOptions[string]{Timeout: byKey(map[string]time.Duration{"late": time.Minute})})
		require.EqualError(t, scheduler.Run(t.Context(), g, nil), "late: timed out after 1m0s")
		require.IsType(t, (*scheduler.StopError)(nil), cause)
		require.Equal(t, "late", asError[*scheduler.TaskError](t, cause).Key)
	})
}

// An error that wraps several keeps its words, even if one of them is the end of the
// context.
func TestBlocking_keeps_the_words_of_an_error_that_wraps_several(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := scheduler.Run(t.Context(), scheduler.Blocking(func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("pulling failed: %w (after %w)", errOops, ctx.Err())
		}), &scheduler.RunnerOptions{Timeout: time.Second})
		require.ErrorIs(t, err, errOops)
		require.ErrorContains(t, err, "pulling failed: "+errOops.Error()+" (after context deadline exceeded)")
	})
}

// A call that begins in the context of a step that has ended is of no node.
func TestBlocking_with_a_context_kept_after_the_step_has_no_path(t *testing.T) {
	keep := func(ctx context.Context, t *testing.T, opts *scheduler.GroupOptions[string]) context.Context {
		t.Helper()
		var kept context.Context
		mustStep(t, ctx, newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
				kept = ctx
				return scheduler.Next, nil
			})
		}, opts))
		return kept
	}
	t.Run("Caller", func(t *testing.T) {
		clock := newLastFirst()
		ctx := keep(scheduler.WithClock(t.Context(), clock), t, nil)
		call := scheduler.Blocking(func(context.Context) error { return nil })
		mustStep(t, ctx, call)
		require.Equal(t, []string{""}, clock.paths)
		require.NoError(t, call.Close())
	})
	inBubble(t, "Abandon", func(t *testing.T) {
		ctx := keep(t.Context(), t, &scheduler.GroupOptions[string]{Abandon: time.Second})
		call := scheduler.Blocking(stubborn(time.Minute))
		mustStep(t, ctx, call)
		require.Empty(t, asError[*scheduler.AbandonedError](t, call.Close()).Path)
		sleep(time.Hour)
	})
}

// After an error was thrown in, what a call says of the end of its context adds nothing,
// even if there was a notice before.
func TestBlocking_Throw_after_a_notice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := scheduler.Blocking(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		mustStep(t, t.Context(), task)
		task.(scheduler.Stopper).Stop(t.Context(), errOther)
		_, err := throwIn(t.Context(), task, errOops)
		require.NoError(t, err)
		synctest.Wait()
		_, err = task.Step(t.Context())
		require.Equal(t, errOops, err)
	})
}

// What a call returns once its context has ended, and what becomes of it.
func TestBlocking_results(t *testing.T) {
	text := func(ctx context.Context) error { return fmt.Errorf("pulling s0: %w", ctx.Err()) }
	mixed := func(ctx context.Context) error { return errors.Join(ctx.Err(), errOops) }
	for _, tt := range []struct {
		name string
		opts scheduler.RunnerOptions
		fn   func(ctx context.Context) error
		want string
		is   []error
		not  []error
	}{
		{
			name: "Timeout, nil", opts: scheduler.RunnerOptions{Timeout: 1},
			fn:   func(context.Context) error { return nil },
			want: "call: timed out after 1ns", is: []error{context.DeadlineExceeded},
		},
		{
			name: "Timeout, Err", opts: scheduler.RunnerOptions{Timeout: 1}, fn: context.Context.Err,
			want: "call: timed out after 1ns",
		},
		{
			name: "Timeout, Cause", opts: scheduler.RunnerOptions{Timeout: 1}, fn: context.Cause,
			want: "call: timed out after 1ns",
		},
		{
			name: "Timeout, with words", opts: scheduler.RunnerOptions{Timeout: 1}, fn: text,
			want: "call: timed out after 1ns\npulling s0: context deadline exceeded",
		},
		{
			name: "Timeout, own error", opts: scheduler.RunnerOptions{Timeout: 1}, fn: func(context.Context) error { return errOops },
			want: "call: timed out after 1ns\noops", is: []error{errOops, context.DeadlineExceeded},
		},
		{
			name: "Timeout, own error beside Err", opts: scheduler.RunnerOptions{Timeout: 1}, fn: mixed,
			want: "call: timed out after 1ns\noops", is: []error{errOops},
		},
		{
			name: "Timeout, two errors of its own", opts: scheduler.RunnerOptions{Timeout: 1},
			fn:   func(context.Context) error { return errors.Join(errOops, errOther) },
			want: "call: timed out after 1ns\noops\nother", is: []error{errOops, errOther},
		},
		{
			name: "Timeout with a grace, own error", opts: scheduler.RunnerOptions{Timeout: 1, Grace: 1},
			fn:   func(context.Context) error { return errOops },
			want: "call: timed out after 1ns\noops",
		},
		{
			name: "notice, nil", opts: scheduler.RunnerOptions{Grace: 1, EndCalls: true},
			fn:   func(context.Context) error { return nil },
			want: "stopped",
		},
		{
			name: "notice, Err", opts: scheduler.RunnerOptions{Grace: 1, EndCalls: true}, fn: context.Context.Err,
			want: "stopped",
		},
		{
			name: "notice, StopCause", opts: scheduler.RunnerOptions{Grace: 1, EndCalls: true}, fn: scheduler.StopCause,
			want: "stopped", not: []error{context.Canceled},
		},
		{
			name: "notice, own error", opts: scheduler.RunnerOptions{Grace: 1, EndCalls: true},
			fn:   func(context.Context) error { return errOops },
			want: "stopped\noops", is: []error{errOops},
		},
		{
			name: "notice, a deadline of its own", opts: scheduler.RunnerOptions{Grace: 1, EndCalls: true},
			fn:   func(context.Context) error { return context.DeadlineExceeded },
			want: "stopped\ncontext deadline exceeded", is: []error{context.DeadlineExceeded},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(errors.New("stopped")) })
				tt.opts.Name = "call"
				err := scheduler.Run(ctx, call(func(ctx context.Context) error {
					<-ctx.Done()
					return tt.fn(ctx)
				}), &tt.opts)
				require.EqualError(t, err, tt.want)
				for _, target := range tt.is {
					require.ErrorIs(t, err, target)
				}
				for _, target := range tt.not {
					require.NotErrorIs(t, err, target)
				}
			})
		})
	}
}

// A Timeout stands whatever then makes of it; another error thrown in does not.
func TestFetch_then_cannot_swallow_a_Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetch := func(then error) scheduler.Task {
			return scheduler.Fetch(func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, nil
			}, func(int, error) error { return then })
		}
		err := scheduler.Run(t.Context(), fetch(nil), &scheduler.RunnerOptions{Name: "x", Timeout: time.Second})
		require.EqualError(t, err, "x: timed out after 1s")
		err = scheduler.Run(t.Context(), fetch(errOops), &scheduler.RunnerOptions{Name: "x", Timeout: time.Second})
		require.EqualError(t, err, "x: timed out after 1s\noops")

		r := scheduler.NewTaskRunner(fetch(nil), nil)
		time.AfterFunc(time.Second, func() { r.Interrupt(errOops) })
		require.NoError(t, r.Run(t.Context()))
	})
}

// A call that was never begun does nothing at its end.
func TestBlocking_never_begun(t *testing.T) {
	task := scheduler.Blocking(func(context.Context) error { panic("called") })
	require.Nil(t, task.(scheduler.Closer).BeginClose())
	require.NoError(t, task.Close())
	require.Nil(t, task.(scheduler.Closer).BeginClose())
	_, err := throwIn(t.Context(), task, errOops)
	require.Equal(t, errOops, err)
}

// What a node has claimed is lent to a run inside its call, at any depth.
func TestRun_inside_a_call_has_the_claims_of_the_node(t *testing.T) {
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Name: "api", Capacity: 1})
		claiming := func(task func() scheduler.Task) scheduler.Task {
			deps := scheduler.NewDependencies[string]()
			deps.Add("a")
			g := groupOver(t, deps, func(string) scheduler.Task { return task() },
				&scheduler.GroupOptions[string]{Claims: func(string) []scheduler.Claim {
					return []scheduler.Claim{{Limiter: limiter, Weight: 1}}
				}})
			return g
		}
		depth := 0
		var nested func() scheduler.Task
		nested = func() scheduler.Task {
			return call(func(ctx context.Context) error {
				require.Equal(t, 1, limiter.InUse())
				if depth++; depth == 4 {
					return nil
				}
				return scheduler.Run(ctx, claiming(nested), nil)
			})
		}
		require.NoError(t, scheduler.Run(t.Context(), claiming(nested), nil))
		require.Equal(t, 4, depth)
		depth = 0
		require.NoError(t, scheduler.Run(t.Context(), claiming(func() scheduler.Task { return scheduler.All(nested()) }), nil))
		require.Equal(t, 4, depth, "in a group without claims")
		require.Zero(t, limiter.InUse())
	})
}

// A run inside a call ends with the call's context, and says why.
func TestRun_inside_a_call_ends_with_it(t *testing.T) {
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		var inner error
		err := scheduler.Run(t.Context(), call(func(ctx context.Context) error {
			inner = scheduler.Run(ctx, call(stubborn(time.Second)), nil)
			return inner
		}), &scheduler.RunnerOptions{Name: "outer", Timeout: time.Minute})
		require.ErrorIs(t, inner, context.DeadlineExceeded)
		require.ErrorAs(t, inner, new(*scheduler.Timeout))
		late := asError[*scheduler.LateError](t, err)
		require.EqualError(t, late.Err, "outer: timed out after 1m0s")
		require.Len(t, late.Calls, 1, "the inner one is none of its own")
		require.NotErrorAs(t, inner, &late)
	})
}

func TestPoll_notice_and_end(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []bool
		polls := 0
		task := scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
			polls++
			told = append(told, scheduler.StopCause(ctx) != nil)
			return polls == 4, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		err := scheduler.Run(ctx, task, &scheduler.RunnerOptions{Grace: time.Minute})
		require.Equal(t, context.Canceled, err)
		require.Equal(t, []bool{false, false, true, true}, told, "polls continue, and those that begin later know")
		_, err = task.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrEnded)
		require.EqualError(t, err, "scheduler: already ended: "+scheduler.TaskDescription(task))
		require.Equal(t, 4, polls)

		// Driven by hand, too.
		polls, told = 0, nil
		task = scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
			told = append(told, errors.Is(scheduler.StopCause(ctx), errOops))
			return false, nil
		})
		for i := range 3 {
			if i == 1 {
				task.(scheduler.Stopper).Stop(t.Context(), errOops)
			}
			mustStep(t, t.Context(), task)
			synctest.Wait()
			mustStep(t, t.Context(), task)
		}
		require.Equal(t, []bool{false, true, true}, told)
		require.NoError(t, task.Close())
	})
}

// The notice reaches a call of Poll that has already begun.
func TestPoll_notice_in_a_call(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var told time.Duration
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := scheduler.Run(ctx, scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
			select {
			case <-scheduler.Stopping(ctx):
			case <-ctx.Done():
			}
			told = time.Since(began)
			return true, ctx.Err()
		}), &scheduler.RunnerOptions{Grace: time.Hour})
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, time.Minute, told)
	})
}

func TestPoll_after_a_Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := scheduler.Run(t.Context(), scheduler.Poll(time.Second, func(ctx context.Context) (bool, error) {
			<-ctx.Done()
			return true, nil // too late
		}), &scheduler.RunnerOptions{Name: "volume", Timeout: time.Minute, Grace: time.Minute})
		require.EqualError(t, err, "volume: timed out after 1m0s")
	})
}

// A call that says Ready makes the node of its own group ready: the limit of the node
// around that group stays.
func TestReady_in_a_call_of_a_group_inside_a_limited_node(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var before, after time.Time
		inner := newGroup(t, "web", func(string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				before, _ = ctx.Deadline()
				scheduler.Ready(ctx)
				after, _ = ctx.Deadline()
				return nil
			})
		}, nil)
		outer := newGroup(t, "node", func(string) scheduler.Task { return inner }, &scheduler.GroupOptions[string]{
			Timeout: func(string) time.Duration { return time.Minute },
		})
		require.NoError(t, scheduler.Run(t.Context(), outer, nil))
		require.Equal(t, began.Add(time.Minute+1), before)
		require.Equal(t, before, after)
	})
}

// A call that is begun with the context of a step of another group, which is over, has
// the limits around that group.
func TestBlocking_in_the_context_of_a_group_that_is_not_stepped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var kept context.Context
		var at time.Time
		inner := newGroup(t, "x", func(string) scheduler.Task {
			return scheduler.Func(func(ctx context.Context) error {
				kept = ctx
				return nil
			})
		}, nil)
		call := scheduler.Blocking(func(ctx context.Context) error {
			at, _ = ctx.Deadline()
			return nil
		})
		outer := newGroup(t, "node", func(string) scheduler.Task {
			return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
				if kept == nil {
					mustStep(t, ctx, inner)
				}
				return call.Step(kept)
			})
		}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }})
		require.NoError(t, scheduler.Run(t.Context(), outer, nil))
		require.Equal(t, began.Add(time.Minute+1), at)
	})
}

// The contexts of calls in groups: what limits a node, and what ends it.
func TestBlocking_context_in_a_group(t *testing.T) {
	type options = scheduler.GroupOptions[string]
	const second, minute = time.Second, time.Minute
	isFailure := func(err error) bool {
		stop, ok := err.(*scheduler.StopError) //nolint:errorlint // That very type.
		var e *scheduler.TaskError
		return ok && errors.As(stop.Cause, &e) && e.Key == "fails"
	}
	limit := func(d time.Duration) func(string) time.Duration {
		return func(k string) time.Duration {
			if k == "call" {
				return d
			}
			return 0
		}
	}
	for _, tt := range []struct {
		name     string
		opts     options
		runner   scheduler.RunnerOptions
		fails    error // of the other node, after a second
		err      error
		cause    func(error) bool
		after    time.Duration
		deadline time.Duration
		state    scheduler.State
	}{
		{
			name: "failure of another node", fails: errOops,
			err: context.Canceled, cause: isFailure, after: second, state: scheduler.StateCancelled,
		},
		{
			name: "failure of another node, with a grace", fails: errOops, opts: options{Grace: minute},
			err: context.Canceled, cause: isFailure, after: second + minute + 1, state: scheduler.StateCancelled,
		},
		{
			name: "failure of another node, EndCalls", fails: errOops, opts: options{Grace: minute, EndCalls: true},
			err: context.Canceled, cause: isFailure, after: second, state: scheduler.StateCancelled,
		},
		{
			name: "timeout of another node, EndCalls", fails: &scheduler.Timeout{Task: "x"}, opts: options{Grace: minute, EndCalls: true},
			err: context.Canceled, cause: isFailure, after: second, state: scheduler.StateCancelled,
		},
		{
			name: "own timeout", opts: options{Timeout: limit(minute)},
			err: context.DeadlineExceeded, cause: isTimeout, after: minute + 1, deadline: minute + 1, state: scheduler.StateTimedOut,
		},
		{
			name: "own timeout, with a grace", opts: options{Timeout: limit(minute), Grace: second},
			err: context.DeadlineExceeded, cause: isTimeout, after: minute + 1, deadline: minute + 1, state: scheduler.StateTimedOut,
		},
		{
			name: "timeout of the run", runner: scheduler.RunnerOptions{Timeout: minute},
			err: context.DeadlineExceeded, cause: func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
			after: minute + 1, deadline: minute + 1, state: scheduler.StateCancelled,
		},
		{
			name: "timeout of the run, with a grace", runner: scheduler.RunnerOptions{Timeout: minute, Grace: second},
			err: context.DeadlineExceeded, cause: func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
			after: minute + second + 2, deadline: minute + second + 2, state: scheduler.StateCancelled,
		},
		{
			name: "own timeout, after that of the run", runner: scheduler.RunnerOptions{Timeout: minute},
			opts: options{Timeout: limit(2 * minute)},
			err:  context.DeadlineExceeded, cause: func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
			after: minute + 1, deadline: minute + 1, state: scheduler.StateCancelled,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				var s seen
				var deadline time.Duration
				begin := time.Now()
				g := newGroup(t, "call fails", func(k string) scheduler.Task {
					if k == "fails" {
						if tt.fails == nil {
							return scheduler.Func(func(context.Context) error { return nil })
						}
						return scheduler.Blocking(func(context.Context) error { sleep(second); return tt.fails })
					}
					return call(func(ctx context.Context) error {
						if at, ok := ctx.Deadline(); ok {
							deadline = at.Sub(begin)
						}
						s = watch(ctx)
						return fmt.Errorf("pulling s0: %w", ctx.Err())
					})
				}, &tt.opts)
				result := scheduler.Run(t.Context(), g, &tt.runner)
				s.check(t, tt.err, tt.cause)
				require.Equal(t, tt.after, s.at.Sub(begin))
				require.Equal(t, tt.deadline, deadline)
				require.Error(t, result)
				require.Equal(t, tt.state, g.State("call"))
				// What it returned is not lost.
				require.ErrorContains(t, g.Err("call"), "pulling s0: "+tt.err.Error())
				require.ErrorContains(t, errors.Join(g.Errors()...), "pulling s0: "+tt.err.Error())
			})
		})
	}
}

// After a Timeout a late ErrSkip skips nothing.
func TestBlocking_ErrSkip_after_a_Timeout(t *testing.T) {
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		for _, grace := range []time.Duration{0, time.Minute} {
			g := newGroup(t, "a", func(string) scheduler.Task {
				return call(func(ctx context.Context) error {
					<-ctx.Done()
					return scheduler.ErrSkip
				})
			}, &scheduler.GroupOptions[string]{Grace: grace, Timeout: func(string) time.Duration { return time.Second }})
			require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), context.DeadlineExceeded)
			require.Equal(t, scheduler.StateTimedOut, g.State("a"))
		}
	})
}

// askingError joins nothing, and looks at a context for its text.
type askingError struct{ ctx context.Context }

func (e askingError) Error() string   { return "asked: " + e.ctx.Err().Error() }
func (e askingError) Unwrap() []error { return []error{errOther} }

// What a call returns after the notice of a group counts.
func TestBlocking_results_after_the_notice_of_a_group(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fn    func(ctx context.Context) error
		ends  bool
		state scheduler.State
		text  string
	}{
		{"nil", func(context.Context) error { return nil }, false, scheduler.StateSucceeded, ""},
		{"the notice", scheduler.StopCause, false, scheduler.StateCancelled, "fails: oops"},
		{"own error", func(context.Context) error { return errOther }, false, scheduler.StateFailed, "other"},
		{"nil, EndCalls", func(context.Context) error { return nil }, true, scheduler.StateSucceeded, ""},
		{"Err, EndCalls", context.Context.Err, true, scheduler.StateCancelled, "context canceled"},
		{
			"Err with words, EndCalls", func(ctx context.Context) error { return fmt.Errorf("GET /: %w", ctx.Err()) },
			true, scheduler.StateCancelled, "GET /: context canceled",
		},
		{"own error, EndCalls", func(context.Context) error { return errOther }, true, scheduler.StateFailed, "other"},
		{
			"own deadline, EndCalls", func(context.Context) error { return context.DeadlineExceeded },
			true, scheduler.StateFailed, "context deadline exceeded",
		},
		{
			"own error beside Err, EndCalls", func(ctx context.Context) error { return errors.Join(ctx.Err(), errOther) },
			true, scheduler.StateFailed, "other",
		},
		{
			"Err and its cause with words, EndCalls", func(ctx context.Context) error {
				return fmt.Errorf("GET /: %w", errors.Join(ctx.Err(), context.Cause(ctx)))
			},
			true, scheduler.StateCancelled, "GET /: context canceled\nfails: oops",
		},
		{
			"an error that asks the context, EndCalls", func(ctx context.Context) error { return askingError{ctx} },
			true, scheduler.StateFailed, "asked: context canceled",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				g := newGroup(t, "call fails", func(k string) scheduler.Task {
					if k == "fails" {
						return scheduler.Blocking(func(context.Context) error { sleep(time.Second); return errOops })
					}
					return call(func(ctx context.Context) error {
						<-scheduler.Stopping(ctx)
						return tt.fn(ctx)
					})
				}, &scheduler.GroupOptions[string]{Grace: time.Minute, EndCalls: tt.ends})
				require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), errOops)
				require.Equal(t, tt.state, g.State("call"))
				if tt.text == "" {
					require.NoError(t, g.Err("call"))
				} else {
					require.EqualError(t, g.Err("call"), "call: "+tt.text)
				}
			})
		})
	}
}

// A Poll that is closed between two calls has nothing to end.
func TestPoll_closed_between_calls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := scheduler.Poll(time.Minute, func(context.Context) (bool, error) { return false, nil })
		mustStep(t, t.Context(), task)
		synctest.Wait()
		mustStep(t, t.Context(), task)
		require.Nil(t, task.(scheduler.Closer).BeginClose())
		require.NoError(t, task.Close())
		_, err := task.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrEnded)
	})
}

// A call has the limit of a node if it begins in a step of that node. With a context that
// was kept after such a step it has none.
func TestBlocking_with_a_context_kept_after_the_step(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limited []bool
		begin := func(ctx context.Context) {
			mustStep(t, ctx, scheduler.Blocking(func(ctx context.Context) error {
				_, ok := ctx.Deadline()
				limited = append(limited, ok)
				return nil
			}))
			synctest.Wait()
		}
		var kept context.Context
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.StepFunc(func(ctx context.Context) (scheduler.Yield, error) {
				kept = ctx
				begin(ctx)
				return scheduler.Next, nil
			})
		}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Hour }})
		mustStep(t, t.Context(), group)
		begin(kept)
		require.Equal(t, []bool{true, false}, limited)
		require.NoError(t, group.Close())
	})
}

// opaque is a decorator that knows Step and Close alone, and has no Unwrap.
type opaque struct{ task scheduler.Task }

func (o opaque) Step(ctx context.Context) (scheduler.Yield, error) { return o.task.Step(ctx) }
func (o opaque) Close() error                                      { return o.task.Close() }

// asking is one that hands the beginning of the end on besides.
type asking struct{ opaque }

func (a asking) BeginClose() *scheduler.Event { return a.task.(scheduler.Closer).BeginClose() }

// A decorator may hide Throw: then the call inside is closed when an error is thrown in.
// The cause of its context is that error all the same.
func TestBlocking_context_behind_a_decorator(t *testing.T) {
	deadline := func(t *testing.T, err, cause error) {
		t.Helper()
		require.Equal(t, context.DeadlineExceeded, err)
		require.IsType(t, (*scheduler.Timeout)(nil), cause)
	}
	group := func(task scheduler.Task, opts *scheduler.GroupOptions[string]) scheduler.Task {
		g := newGroup(t, "a", func(string) scheduler.Task { return task }, opts)
		return g
	}
	limit := func(string) time.Duration { return time.Second }
	for name, tt := range map[string]struct {
		put  func(task scheduler.Task) scheduler.Task
		opts scheduler.RunnerOptions
		do   func(r *scheduler.TaskRunner)
		want func(t *testing.T, err, cause error)
	}{
		"limit of the runner": {opts: scheduler.RunnerOptions{Timeout: time.Second}, want: deadline},
		"limit of the runner, with a grace": {
			opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Second}, want: deadline,
		},
		"limit of the node": {
			put: func(task scheduler.Task) scheduler.Task {
				return group(task, &scheduler.GroupOptions[string]{Timeout: limit})
			},
			want: deadline,
		},
		"limit of the node around a group": {
			put: func(task scheduler.Task) scheduler.Task {
				return group(opaque{group(task, nil)}, &scheduler.GroupOptions[string]{Timeout: limit})
			},
			want: deadline,
		},
		"limit of an inner runner": {
			put: func(task scheduler.Task) scheduler.Task {
				return scheduler.All(scheduler.NewTaskRunner(scheduler.Sequence(task), nil).AsTask(time.Second))
			},
			want: deadline,
		},
		"limit of the node, within the grace of a failure inside": {
			put: func(task scheduler.Task) scheduler.Task {
				return group(scheduler.All(task, lasting(0, errOops)), &scheduler.GroupOptions[string]{Timeout: limit, Grace: scheduler.NoGrace})
			},
			opts: scheduler.RunnerOptions{Grace: time.Minute},
			want: deadline,
		},
		"end of the grace after the limit": {
			put: func(task scheduler.Task) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					return errors.Join(co.Yield(scheduler.On(new(scheduler.Event))), co.Await(task))
				})
			},
			opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Second}, want: deadline,
		},
		"error thrown in": {
			do: func(r *scheduler.TaskRunner) { r.Interrupt(errOops) },
			want: func(t *testing.T, err, cause error) {
				t.Helper()
				require.Equal(t, context.Canceled, err)
				require.Equal(t, errOops, cause)
			},
		},
		"kill in the grace after the limit": {
			put: func(task scheduler.Task) scheduler.Task {
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					return errors.Join(co.Yield(scheduler.On(new(scheduler.Event))), co.Await(task))
				})
			},
			opts: scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Hour},
			do:   func(r *scheduler.TaskRunner) { r.Kill() },
			want: func(t *testing.T, err, cause error) {
				t.Helper()
				require.Equal(t, context.Canceled, err)
				require.ErrorIs(t, cause, scheduler.ErrClosed)
			},
		},
		"a stop": {
			do: func(r *scheduler.TaskRunner) { r.Post(func() { r.Stop(errOops) }) },
			want: func(t *testing.T, err, cause error) {
				t.Helper()
				require.Equal(t, context.Canceled, err)
				require.IsType(t, (*scheduler.StopError)(nil), cause)
				require.ErrorIs(t, cause, errOops)
			},
		},
	} {
		for as, decorate := range map[string]func(scheduler.Task) scheduler.Task{
			"opaque": func(task scheduler.Task) scheduler.Task { return opaque{task} },
			"asking": func(task scheduler.Task) scheduler.Task { return asking{opaque{task}} },
		} {
			inBubble(t, name+"/"+as, func(t *testing.T) {
				var err, cause, after error
				task := decorate(scheduler.Blocking(func(ctx context.Context) error {
					inner, cancel := context.WithCancel(ctx)
					defer cancel()
					<-inner.Done()
					err, cause, after = ctx.Err(), context.Cause(ctx), inner.Err()
					return nil
				}))
				if tt.put != nil {
					task = tt.put(task)
				}
				r := scheduler.NewTaskRunner(task, &tt.opts)
				if tt.do != nil {
					time.AfterFunc(2*time.Second, func() { tt.do(r) })
				}
				require.Error(t, r.Run(t.Context()))
				tt.want(t, err, cause)
				require.Equal(t, err, after)
			})
		}
	}
}

// What is behind a Shield has the time that the limits leave it, not what is left
// until the end of Run's context.
func TestShield_has_no_deadline_of_the_run(t *testing.T) {
	ask := func(got *time.Duration) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			*got = 0
			if at, ok := ctx.Deadline(); ok {
				*got = time.Until(at)
			}
			return ctx.Err()
		})
	}
	for name, tt := range map[string]struct {
		task func(got *time.Duration) scheduler.Task
		opts scheduler.RunnerOptions
		want time.Duration
	}{
		"without a shield": {task: ask, want: time.Minute},
		"shield":           {task: func(got *time.Duration) scheduler.Task { return scheduler.Shield(ask(got)) }},
		"clean-up, before the end": {task: func(got *time.Duration) scheduler.Task {
			return scheduler.Finally(lasting(1, nil), scheduler.Sequence(ask(got)))
		}},
		"clean-up, after the end": {
			task: func(got *time.Duration) scheduler.Task {
				return scheduler.Finally(untilStopped(func(cause error) error { return cause }), ask(got))
			},
			opts: scheduler.RunnerOptions{Grace: time.Hour}, want: time.Hour + 1,
		},
		"limit of the runner": {
			task: func(got *time.Duration) scheduler.Task { return scheduler.Shield(scheduler.All(ask(got))) },
			opts: scheduler.RunnerOptions{Timeout: time.Hour}, want: time.Hour + 1,
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			got := time.Duration(-1)
			_ = scheduler.Run(ctx, tt.task(&got), &tt.opts)
			require.Equal(t, tt.want, got)
		})
	}
	t.Run("nor its end", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		task := scheduler.Shield(scheduler.Func(func(ctx context.Context) error { cancel(); return ctx.Err() }))
		mustStep(t, ctx, task)
	})
}

// The deadline of a call is what will really end it: not the limit of a node around it
// that has become ready, be it its own or one further out, and that of a node which
// could not become ready. A service ends after what requires it, whatever limits there
// are further out.
func TestCall_deadline_behind_Ready(t *testing.T) {
	const second = time.Second
	all := func(task scheduler.Task) scheduler.Task { return scheduler.All(task) }
	limited := func(d time.Duration) func(scheduler.Task) scheduler.Task {
		return func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(d, task) }
	}
	for name, tt := range map[string]struct {
		node, run time.Duration
		hold      []func(scheduler.Task) scheduler.Task // innermost first
		ordered   bool                                  // the node is asked to end before
		alone     bool                                  // no node requires it
		around    func(scheduler.Task) scheduler.Task   // of the group; nil: nothing
		deaf      time.Duration                         // the node that requires it takes so long to end
		deadline  time.Duration                         // of the run's context
		ends      bool                                  // calls end with the notice
		before    time.Duration
		after     time.Duration // 0: none
		ended     time.Duration // if not as after says
	}{
		"its own node": {node: 5 * second, before: 5 * second},
		"its own node, in a limited run": {
			node: 5 * second, run: 9 * second, before: 5 * second, ended: 9 * second,
		},
		"limited run, needed for longer":      {run: 9 * second, deaf: 2 * second, before: 9 * second, ended: 11 * second},
		"limited run, needed by no node":      {run: 9 * second, alone: true, before: 9 * second, after: 9 * second},
		"limited context, needed for longer":  {deadline: 9 * second, deaf: 2 * second, before: 9 * second, ended: 11 * second},
		"limited context, needed by no node":  {deadline: 9 * second, alone: true, before: 9 * second, after: 9 * second},
		"limited context, with EndCalls":      {deadline: 9 * second, deaf: 2 * second, ends: true, before: 9 * second, ended: 11 * second},
		"limited context, EndCalls and alone": {deadline: 9 * second, alone: true, ends: true, before: 9 * second, after: 9 * second},
		"in All": {
			node: 5 * second, hold: []func(scheduler.Task) scheduler.Task{all}, before: 5 * second,
		},
		"in All in All, limited run": {
			node: 5 * second, run: 9 * second, hold: []func(scheduler.Task) scheduler.Task{all, all}, before: 5 * second, ended: 9 * second,
		},
		"in All in All, limited run, needed for longer": {
			run: 9 * second, hold: []func(scheduler.Task) scheduler.Task{all, all}, deaf: second, before: 9 * second, ended: 10 * second,
		},
		"a limit inside stays, limited run": {
			run: 9 * second, hold: []func(scheduler.Task) scheduler.Task{limited(7 * second)}, before: 7 * second, after: 7 * second,
		},
		"a limit in All in All stays, limited run": {
			run: 9 * second, hold: []func(scheduler.Task) scheduler.Task{all, limited(7 * second), all}, before: 7 * second, after: 7 * second,
		},
		"a limit inside stays": {
			node: 5 * second, hold: []func(scheduler.Task) scheduler.Task{limited(7 * second), all}, before: 5 * second, after: 7 * second,
		},
		"a limit between stays": {
			node: 5 * second, hold: []func(scheduler.Task) scheduler.Task{all, limited(4 * second)}, before: 4 * second, after: 4 * second,
		},
		"a limit inside stays, group in All": {
			run: 9 * second, hold: []func(scheduler.Task) scheduler.Task{limited(7 * second)}, around: all, before: 7 * second, after: 7 * second,
		},
		"one that has to end": {node: 5 * second, ordered: true, before: 5 * second, after: 5 * second},
	} {
		inBubble(t, name, func(t *testing.T) {
			begin := time.Now()
			left := func(ctx context.Context) time.Duration {
				at, ok := ctx.Deadline()
				if !ok {
					return 0
				}
				return at.Sub(begin).Round(time.Millisecond)
			}
			var before, after, ended time.Duration
			task := scheduler.Blocking(func(ctx context.Context) error {
				before = left(ctx)
				sleep(2 * second)
				scheduler.Ready(ctx)
				sleep(second)
				after = left(ctx)
				<-ctx.Done()
				ended = time.Since(begin).Round(time.Millisecond)
				return ctx.Err()
			})
			for _, hold := range tt.hold {
				task = hold(task)
			}
			grace := scheduler.NoGrace
			if tt.ordered {
				grace = time.Hour
			}
			nodes := "a b:a"
			if tt.alone {
				nodes = "a b"
			}
			g := newGroup(t, nodes, func(k string) scheduler.Task {
				if k == "a" {
					return task
				}
				if tt.deaf != 0 {
					return scheduler.Blocking(func(ctx context.Context) error {
						<-ctx.Done()
						sleep(tt.deaf)
						return nil
					})
				}
				return lasting(20, nil)
			}, &scheduler.GroupOptions[string]{
				Timeout: byKey(map[string]time.Duration{"a": tt.node}), Grace: grace, EndCalls: tt.ends,
			})
			whole := scheduler.Task(g)
			if tt.around != nil {
				whole = tt.around(g)
			}
			r := scheduler.NewTaskRunner(whole, &scheduler.RunnerOptions{Timeout: tt.run, Grace: scheduler.NoGrace})
			if tt.ordered {
				time.AfterFunc(second, func() { r.Post(func() { g.StopNode("a", errOops) }) })
			}
			ctx := t.Context()
			if tt.deadline != 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.deadline)
				defer cancel()
			}
			require.Equal(t, tt.after+tt.ended != 0, r.Run(ctx) != nil)
			require.Equal(t, tt.before, before)
			require.Equal(t, tt.after, after)
			switch {
			case tt.ended != 0:
				require.Equal(t, tt.ended, ended)
			case after != 0 && !tt.ordered: // then it has its grace
				require.Equal(t, after, ended)
			}
		})
	}
}

// A service that no node requires gets its notice at once, so the context of a call that
// ends with the notice ends at the limit, and not a grace later.
func TestCall_deadline_of_a_service_with_EndCalls(t *testing.T) {
	const limit, grace = 5 * time.Second, time.Minute
	for _, own := range []time.Duration{0, time.Hour} {
		for _, ofRun := range []bool{false, true} {
			inBubble(t, fmt.Sprint(own, " of the run:", ofRun), func(t *testing.T) {
				begin := time.Now()
				var deadline, ended time.Duration
				inner := newGroup(t, "service other", func(k string) scheduler.Task {
					return scheduler.Blocking(func(ctx context.Context) error {
						if k == "service" {
							scheduler.Ready(ctx)
							sleep(time.Second)
							at, ok := ctx.Deadline()
							require.True(t, ok)
							deadline = at.Sub(begin)
							<-ctx.Done()
							ended = time.Since(begin)
							return nil
						}
						<-ctx.Done()
						sleep(time.Second)
						return nil
					})
				}, &scheduler.GroupOptions[string]{Timeout: byKey(map[string]time.Duration{"service": own})})
				opts := scheduler.GroupOptions[string]{Grace: grace, EndCalls: true}
				ctx := t.Context()
				if ofRun {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, limit)
					defer cancel()
				} else {
					opts.Timeout = func(string) time.Duration { return limit }
				}
				_ = scheduler.Run(ctx, newGroup(t, "node", func(string) scheduler.Task { return inner }, &opts), &scheduler.RunnerOptions{Grace: grace})
				require.Equal(t, limit, deadline.Truncate(time.Millisecond))
				require.Equal(t, deadline, ended)
			})
		}
	}
}

// withoutGroup are ways to put a call into a task that make no group of it.
var withoutGroup = holdersOf("itself", "renamed", "Sequence", "Finally", "AsTask", "Subrun", "Retry")

// The deadline of a call's context is the very instant at which the context ends, where
// a limit is what ends it: with the grace after limits that are a notice at first.
func TestBlocking_deadline_is_the_end(t *testing.T) {
	const limit, grace = 5 * time.Second, time.Minute
	type runner = scheduler.RunnerOptions
	type group = scheduler.GroupOptions[string]
	node := func(string) time.Duration { return limit }
	for _, tt := range []struct {
		name    string
		ctx     bool   // Run's context has the limit
		runner  runner // of the run
		group   *group // of a group around; nil: there is none
		inner   *group // of a group in its node
		shield  bool   // around that
		hidden  bool   // a Shield is around the call itself
		around  bool   // one is around everything
		limited bool   // WithTimeout around the innermost
		want    time.Duration
		ended   time.Duration // if that is not the end; -1: it never ends
	}{
		{name: "context", ctx: true, want: limit},
		{name: "context, grace", ctx: true, runner: runner{Grace: grace}, want: limit + grace + 1},
		{name: "context, grace, group", ctx: true, runner: runner{Grace: grace}, group: &group{}, want: limit + grace + 1},
		{name: "context, group without a grace", ctx: true, runner: runner{Grace: grace}, group: &group{Grace: scheduler.NoGrace}, want: limit + grace + 1},
		{name: "context, grace of the group alone", ctx: true, group: &group{Grace: grace}, want: limit},
		{name: "context, NoGrace", ctx: true, runner: runner{Grace: scheduler.NoGrace}, group: &group{Grace: grace}, want: limit},
		{name: "context, NoLimit", ctx: true, runner: runner{Grace: scheduler.NoLimit}, group: &group{}, ended: -1},
		{name: "context, EndCalls", ctx: true, runner: runner{Grace: grace, EndCalls: true}, group: &group{}, want: limit},
		{name: "context, EndCalls of the group", ctx: true, runner: runner{Grace: grace}, group: &group{EndCalls: true}, want: limit},
		{name: "timeout of the run", runner: runner{Timeout: limit, Grace: grace}, want: limit + 1},
		{name: "timeout of the run, group", runner: runner{Timeout: limit, Grace: grace}, group: &group{}, want: limit + grace + 2},
		{name: "timeout of the run, group with another grace", runner: runner{Timeout: limit, Grace: grace}, group: &group{Grace: time.Second}, want: limit + grace + 2},
		{name: "timeout of the run, group with GraceFor", runner: runner{Timeout: limit, Grace: grace}, group: &group{GraceFor: node}, want: limit + grace + 2},
		{name: "timeout of the run, groups", runner: runner{Timeout: limit, Grace: grace}, group: &group{}, inner: &group{}, want: limit + grace + 2},
		{name: "timeout of the run, groups, EndCalls", runner: runner{Timeout: limit, Grace: grace}, group: &group{}, inner: &group{EndCalls: true}, want: limit + 1},
		{name: "timeout of the run, NoGrace", runner: runner{Timeout: limit, Grace: scheduler.NoGrace}, group: &group{Grace: grace}, want: limit + 1},
		{name: "timeout of the node", group: &group{Timeout: node, Grace: grace}, want: limit + 1},
		{name: "timeout of the node around a group", group: &group{Timeout: node, Grace: grace}, inner: &group{}, want: limit + grace + 2},
		{name: "timeout of the node around a group, inherited grace", runner: runner{Grace: grace}, group: &group{Timeout: node}, inner: &group{}, want: limit + grace + 2},
		{name: "timeout of the node around a group, EndCalls", group: &group{Timeout: node, Grace: grace, EndCalls: true}, inner: &group{}, want: limit + 1},
		{name: "timeout of the node around a group, no grace", group: &group{Timeout: node}, inner: &group{Grace: grace}, want: limit + 1},
		{name: "timeout of the node around a group, GraceFor", group: &group{Timeout: node, GraceFor: func(string) time.Duration { return grace }}, inner: &group{}, ended: limit + grace + 2},
		{name: "timeout of the run, EndCalls behind a Shield", runner: runner{Timeout: limit, Grace: grace}, group: &group{}, inner: &group{EndCalls: true}, shield: true, want: limit + grace + 2},
		{name: "timeout of the node, EndCalls behind a Shield", group: &group{Timeout: node, Grace: grace}, inner: &group{EndCalls: true}, shield: true, want: limit + grace + 2, ended: limit + 1},
		{name: "timeout of both nodes, EndCalls behind a Shield", group: &group{Timeout: node, Grace: grace}, inner: &group{EndCalls: true, Timeout: func(string) time.Duration { return 2 * grace }}, shield: true, want: limit + grace + 2, ended: limit + 1},
		{name: "timeout of both nodes, EndCalls, call behind a Shield", group: &group{Timeout: node, Grace: grace}, inner: &group{EndCalls: true, Timeout: func(string) time.Duration { return 2 * grace }}, hidden: true, want: limit + grace + 2},
		{name: "timeout of both nodes, EndCalls, call behind a Shield, another around", group: &group{Timeout: node, Grace: grace}, inner: &group{EndCalls: true, Timeout: func(string) time.Duration { return 2 * grace }}, hidden: true, around: true, want: limit + grace + 2},
		{name: "timeout of both nodes, EndCalls", group: &group{Timeout: node, Grace: grace, EndCalls: true}, inner: &group{Timeout: func(string) time.Duration { return 2 * grace }}, want: limit + 1},
		{name: "timeout of the inner node", group: &group{Grace: grace}, inner: &group{Timeout: node}, want: limit + 1},
		{name: "timeout of both nodes", group: &group{Timeout: node, Grace: grace}, inner: &group{Timeout: func(string) time.Duration { return 2 * grace }}, want: limit + grace + 2},
		{name: "WithTimeout", group: &group{Grace: grace}, limited: true, want: limit + 1},
		{name: "WithTimeout around a group", group: &group{Grace: grace}, inner: &group{}, limited: true, want: limit + grace + 2},
		{name: "context before the timeout", ctx: true, runner: runner{Timeout: limit + time.Second, Grace: grace}, group: &group{}, want: limit + grace + 1},
	} {
		for as, put := range withoutGroup {
			inBubble(t, tt.name+"/"+as, func(t *testing.T) {
				var want, ended, after time.Duration
				var err, cause error
				begin := time.Now()
				task := put(scheduler.Blocking(func(ctx context.Context) error {
					if at, ok := ctx.Deadline(); ok {
						want = at.Sub(begin)
					}
					stop := context.AfterFunc(ctx, func() { after = time.Since(begin) })
					defer stop()
					select {
					case <-ctx.Done():
						ended, err, cause = time.Since(begin), ctx.Err(), context.Cause(ctx)
						synctest.Wait()
					case <-time.After(time.Hour):
						ended = -1
					}
					return nil
				}))
				if tt.hidden {
					task = scheduler.Shield(task)
				}
				if tt.inner != nil {
					leaf := task
					task = put(newGroup(t, "b", func(string) scheduler.Task { return leaf }, tt.inner))
				}
				if tt.shield {
					task = scheduler.Shield(task)
				}
				if tt.limited {
					task = scheduler.WithTimeout(limit, task)
				}
				if tt.group != nil {
					inside := task
					task = put(newGroup(t, "a", func(string) scheduler.Task { return inside }, tt.group))
				}
				if tt.around {
					task = scheduler.Shield(task)
				}
				ctx := t.Context()
				if tt.ctx {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, limit)
					defer cancel()
				}
				_ = scheduler.Run(ctx, task, &tt.runner)
				require.Equal(t, tt.want, want)
				if tt.ended == 0 {
					tt.ended = tt.want
				}
				require.Equal(t, tt.ended, ended)
				if ended < 0 {
					return
				}
				require.Equal(t, ended, after, "of AfterFunc")
				require.Equal(t, context.DeadlineExceeded, err)
				require.ErrorIs(t, cause, context.DeadlineExceeded)
			})
		}
	}
}

// In the grace a call has time for a last request, with a limit of its own.
func TestBlocking_limits_inside_the_grace(t *testing.T) {
	for name, tt := range map[string]struct {
		ctx    time.Duration
		runner scheduler.RunnerOptions
		node   time.Duration
	}{
		"context":             {ctx: 5 * time.Second, runner: scheduler.RunnerOptions{Grace: time.Minute}},
		"timeout of the run":  {runner: scheduler.RunnerOptions{Timeout: 5 * time.Second, Grace: time.Minute}},
		"timeout of the node": {runner: scheduler.RunnerOptions{Grace: time.Minute}, node: 5 * time.Second},
	} {
		for as, put := range withoutGroup {
			inBubble(t, name+"/"+as, func(t *testing.T) {
				var took time.Duration
				var inner, outer error
				inside := newGroup(t, "b", func(string) scheduler.Task {
					return put(scheduler.Blocking(func(ctx context.Context) error {
						<-scheduler.Stopping(ctx)
						noticed := time.Now()
						last, cancel := context.WithTimeout(ctx, 3*time.Second)
						defer cancel()
						<-last.Done()
						took, inner, outer = time.Since(noticed), last.Err(), ctx.Err()
						return nil
					}))
				}, nil)
				g := newGroup(t, "a", func(string) scheduler.Task { return put(inside) },
					&scheduler.GroupOptions[string]{Timeout: byKey(map[string]time.Duration{"a": tt.node})})
				ctx := t.Context()
				if tt.ctx > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.ctx)
					defer cancel()
				}
				_ = scheduler.Run(ctx, g, &tt.runner)
				require.Equal(t, 3*time.Second, took)
				require.Equal(t, context.DeadlineExceeded, inner)
				require.NoError(t, outer)
			})
		}
	}
}

// A group that is stepped without a runner has no grace of one: the deadline of a call is
// that of the context that it was stepped with.
func TestBlocking_deadline_without_a_runner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		want, _ := ctx.Deadline()
		var got time.Time
		g := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				got, _ = ctx.Deadline()
				return nil
			})
		}, &scheduler.GroupOptions[string]{Grace: time.Hour})
		_ = mustStep(t, ctx, g)
		synctest.Wait()
		require.Equal(t, want, got)
		require.NoError(t, g.Close())
	})
}

// A group that is closed ends its services last. Until then no limit ends the call of
// one, also none inside of it, and its deadline is none of those. In a group that goes on
// after a failure the limit inside counts.
func TestCall_deadline_of_a_service_that_is_closed_last(t *testing.T) {
	const limit = 10 * time.Second
	inner := func(task scheduler.Task, opts *scheduler.RunnerOptions) *scheduler.TaskRunner {
		return scheduler.NewTaskRunner(task, opts)
	}
	ends := map[string]func(r *scheduler.TaskRunner, cancel func()){
		"Kill":    func(r *scheduler.TaskRunner, _ func()) { r.Kill() },
		"Stop":    func(r *scheduler.TaskRunner, _ func()) { r.Post(func() { r.Stop(errOops) }) },
		"context": func(_ *scheduler.TaskRunner, cancel func()) { cancel() },
		"Timeout": func(*scheduler.TaskRunner, func()) {},
		"failure": func(*scheduler.TaskRunner, func()) {},
	}
	for part, put := range map[string]func(scheduler.Task) scheduler.Task{
		"WithTimeout": func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(limit, task) },
		"Subrun": func(task scheduler.Task) scheduler.Task {
			return scheduler.Subrun(inner(task, &scheduler.RunnerOptions{Timeout: limit}))
		},
		"AsTask": func(task scheduler.Task) scheduler.Task { return inner(task, nil).AsTask(limit) },
		"Wrap": func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(scheduler.WithTimeout(limit, task)) })
		},
		"a group inside": func(task scheduler.Task) scheduler.Task {
			group := newGroup(t, "x", func(string) scheduler.Task { return task }, &scheduler.GroupOptions[string]{
				Timeout: func(string) time.Duration { return limit },
			})
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				co.Ready()
				return co.Await(group)
			})
		},
	} {
		for end, do := range ends {
			inBubble(t, part+", "+end, func(t *testing.T) {
				start := time.Now()
				var deadlines []time.Duration // before the end and after it; 0: none
				var ended time.Duration
				ask := func(ctx context.Context) {
					at, ok := ctx.Deadline()
					if !ok {
						at = start
					}
					deadlines = append(deadlines, at.Sub(start).Truncate(time.Second))
				}
				call := scheduler.Blocking(func(ctx context.Context) error {
					if part != "a group inside" {
						scheduler.Ready(ctx)
					}
					sleep(time.Second / 2)
					ask(ctx)
					sleep(time.Second)
					ask(ctx)
					<-ctx.Done()
					ended = time.Since(start)
					return ctx.Err()
				})
				group := newGroup(t, "deaf:service other", func(k string) scheduler.Task {
					switch {
					case k == "service":
						return put(call)
					case k == "deaf":
						return scheduler.Blocking(func(context.Context) error { sleep(time.Minute); return nil })
					case end == "failure":
						return lasting(1, errOops)
					}
					return scheduler.Pause(scheduler.On(new(scheduler.Event)))
				}, nil)
				opts := &scheduler.RunnerOptions{Wait: time.Second}
				if end == "Timeout" {
					opts.Timeout = time.Second
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r := scheduler.NewTaskRunner(group, opts)
				time.AfterFunc(time.Second, func() { do(r, cancel) })
				require.Error(t, r.Run(ctx))
				if end == "failure" {
					require.Equal(t, []time.Duration{limit, limit}, deadlines)
					require.Equal(t, limit, ended.Truncate(time.Second))
					return
				}
				require.Equal(t, []time.Duration{limit, 0}, deadlines)
				require.Equal(t, time.Minute, ended.Truncate(time.Second))
			})
		}
	}
}

// A deadline that has passed stays, also when the group is closed.
func TestCall_deadline_that_has_passed_stays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var ended, deadline time.Duration
		group := newGroup(t, "web:service", func(k string) scheduler.Task {
			if k == "web" {
				return hours(k)
			}
			return scheduler.WithTimeout(2*time.Second, scheduler.Blocking(func(ctx context.Context) error {
				scheduler.Ready(ctx)
				<-ctx.Done()
				ended = time.Since(start).Truncate(time.Second)
				sleep(10 * time.Second) // the run is killed meanwhile
				if at, ok := ctx.Deadline(); ok {
					deadline = at.Sub(start).Truncate(time.Second)
				}
				return ctx.Err()
			}))
		}, &scheduler.GroupOptions[string]{AggregateErrors: true})
		r := scheduler.NewTaskRunner(group, nil)
		time.AfterFunc(5*time.Second, r.Kill)
		require.Error(t, r.Run(t.Context()))
		require.Equal(t, 2*time.Second, ended)
		require.Equal(t, 2*time.Second, deadline)
	})
}
