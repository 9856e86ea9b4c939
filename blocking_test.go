package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// asCall makes the kinds of task that a blocking call can be part of.
var asCall = map[string]func(fn func(ctx context.Context) error) scheduler.Task{
	"Blocking": scheduler.Blocking,
	"Fetch": func(fn func(ctx context.Context) error) scheduler.Task {
		return scheduler.Fetch(
			func(ctx context.Context) (int, error) { return 1, fn(ctx) },
			func(_ int, err error) error { return err },
		)
	},
	"Call": func(fn func(ctx context.Context) error) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := scheduler.Call(co, func(ctx context.Context) (int, error) { return 1, fn(ctx) })
			return err
		})
	},
	"Await": func(fn func(ctx context.Context) error) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(scheduler.Blocking(fn)) })
	},
	"AsTask": func(fn func(ctx context.Context) error) scheduler.Task {
		return scheduler.NewTaskRunner(scheduler.Blocking(fn), nil).AsTask(0)
	},
}

// bubble runs a subtest for each of asCall in a bubble.
func bubble(t *testing.T, test func(t *testing.T, call func(fn func(ctx context.Context) error) scheduler.Task)) {
	t.Helper()
	for name, call := range asCall {
		inBubble(t, name, func(t *testing.T) { test(t, call) })
	}
}

func TestBlocking_outcomes(t *testing.T) {
	tests := []struct {
		name string
		fn   func(ctx context.Context) error
		want error
	}{
		{"nil", func(context.Context) error { return nil }, nil},
		{"error", func(context.Context) error { return errOops }, errOops},
		{"later", func(context.Context) error { sleep(time.Hour); return errOops }, errOops},
		{"Canceled of its own", func(context.Context) error { return context.Canceled }, context.Canceled},
		{"Goexit", func(context.Context) error { runtime.Goexit(); return nil }, scheduler.ErrGoexit},
		{"FailNow", func(context.Context) error { new(testing.T).FailNow(); return nil }, scheduler.ErrGoexit},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				require.Equal(t, test.want, scheduler.Run(t.Context(), call(test.fn), nil))
			})
		})
	}
}

func TestBlocking_panics(t *testing.T) {
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		for _, value := range []any{errOops, "text"} {
			task := call(func(context.Context) error { panicForTest(value); return nil })
			p, ok := panicOf(t, func() { _ = scheduler.Run(t.Context(), task, nil) }).(*scheduler.PanicError)
			require.True(t, ok)
			require.Equal(t, value, p.Value)
			require.Contains(t, string(p.Stack), "panicForTest")
		}
		// Also one that panics when it is closed.
		task := call(func(ctx context.Context) error { <-ctx.Done(); panic(errOops) })
		mustStep(t, t.Context(), task)
		require.ErrorIs(t, panicOf(t, func() { _ = task.Close() }).(error), errOops)
	})
}

// The task is parked on an event, and the run wakes the moment the call is over.
func TestBlocking_parks(t *testing.T) {
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		task := call(func(context.Context) error { sleep(time.Second); return nil })
		for range 3 { // early steps are harmless
			y := mustStep(t, t.Context(), task)
			require.Equal(t, "event", y.String())
			require.False(t, y.Ready())
		}
		sleep(time.Second)
		synctest.Wait()
		y := mustStep(t, t.Context(), task)
		require.Equal(t, scheduler.Done, y)

		begin, steps := time.Now(), 0
		counted := &fakeTask{step: forever}
		inner := call(func(context.Context) error { sleep(time.Minute); return nil })
		counted.step = func(ctx context.Context) (scheduler.Yield, error) { steps++; return inner.Step(ctx) }
		require.NoError(t, scheduler.Run(t.Context(), counted, &scheduler.RunnerOptions{Wait: time.Hour}))
		require.Equal(t, time.Minute, time.Since(begin))
		require.Equal(t, 2, steps, "nothing polls")
	})
}

func TestBlocking_Close(t *testing.T) {
	tests := []struct {
		name string
		fn   func(ctx context.Context) error // what it returns once ctx has ended
		want error
		is   []error
		text string
	}{
		{name: "nil", fn: func(context.Context) error { return nil }},
		{name: "Err", fn: func(ctx context.Context) error { return ctx.Err() }},
		{name: "Cause", fn: context.Cause},
		{
			name: "words around Err", fn: func(ctx context.Context) error { return fmt.Errorf("GET /: %w", ctx.Err()) },
			text: "GET /: context canceled",
		},
		{name: "words around Cause", fn: func(ctx context.Context) error { return fmt.Errorf("x: %w", context.Cause(ctx)) }},
		{name: "own error", fn: func(context.Context) error { return errOops }, want: errOops},
		{
			name: "own error joined with Err", fn: func(ctx context.Context) error { return errors.Join(ctx.Err(), errOops) },
			want: errOops,
		},
		{
			name: "own errors joined with both", fn: func(ctx context.Context) error {
				return errors.Join(ctx.Err(), errOops, context.Cause(ctx), errOther)
			},
			is: []error{errOops, errOther},
		},
		{name: "Goexit", fn: func(context.Context) error { runtime.Goexit(); return nil }, want: scheduler.ErrGoexit},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				begin, returned := time.Now(), false
				var cause error
				task := call(func(ctx context.Context) error {
					<-ctx.Done()
					sleep(3 * time.Second)
					cause = context.Cause(ctx)
					returned = true
					return test.fn(ctx)
				})
				mustStep(t, t.Context(), task)
				sleep(time.Second)
				err := task.Close()
				require.True(t, returned, "Close waits for the call")
				require.Equal(t, 4*time.Second, time.Since(begin))
				require.Equal(t, scheduler.ErrClosed, cause)
				require.NotErrorIs(t, err, scheduler.ErrClosed)
				if test.text != "" {
					require.EqualError(t, err, test.text)
					return
				}
				for _, is := range test.is {
					require.ErrorIs(t, err, is)
				}
				if test.is == nil {
					require.Equal(t, test.want, err)
				}
				require.NotErrorIs(t, err, context.Canceled)
			})
		})
	}
}

// A call that has returned before it is closed is not lost either.
func TestBlocking_Close_of_one_that_has_returned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := scheduler.Blocking(func(context.Context) error { return errOops })
		mustStep(t, t.Context(), task)
		synctest.Wait()
		require.Equal(t, errOops, task.Close())
	})
}

func TestBlocking_Throw(t *testing.T) {
	tests := []struct {
		name string
		fn   func(ctx context.Context) error
		is   []error
	}{
		{"nil", func(context.Context) error { return nil }, []error{errOops}},
		{"Err", func(ctx context.Context) error { return ctx.Err() }, []error{errOops}},
		{"Cause", context.Cause, []error{errOops}},
		{"own error", func(context.Context) error { return errOther }, []error{errOops, errOther}},
		{
			"own error joined with Err", func(ctx context.Context) error { return errors.Join(errOther, ctx.Err()) },
			[]error{errOops, errOther},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				begin := time.Now()
				var cause error
				task := call(func(ctx context.Context) error {
					<-ctx.Done()
					cause = context.Cause(ctx)
					sleep(3 * time.Second)
					return test.fn(ctx)
				})
				r := scheduler.NewTaskRunner(task, nil)
				time.AfterFunc(time.Second, func() { r.Interrupt(errOops) })
				err := r.RunWith(t.Context(), 0, 0)
				require.Equal(t, 4*time.Second, time.Since(begin), "it is waited for, without a block")
				require.Equal(t, errOops, cause)
				for _, is := range test.is {
					require.ErrorIs(t, err, is)
				}
				if len(test.is) == 1 {
					require.Equal(t, errOops, err)
				}
				require.NotErrorIs(t, err, context.Canceled)
			})
		})
	}
}

func TestBlocking_Throw_does_not_block(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := scheduler.Blocking(stubborn(time.Second))
		mustStep(t, t.Context(), task)
		begin := time.Now()
		y, err := throwIn(t.Context(), task, errOops)
		require.NoError(t, err)
		require.Equal(t, "event", y.String())
		y, err = throwIn(t.Context(), task, errOther) // once more
		require.NoError(t, err)
		require.Equal(t, "event", y.String())
		require.Equal(t, begin, time.Now())
		sleep(time.Second)
		synctest.Wait()
		_, err = task.Step(t.Context())
		require.Equal(t, errOther, err, "the last one counts")
	})
}

func TestBlocking_timeouts(t *testing.T) {
	const limit = 10 * time.Second
	tests := []struct {
		name  string
		grace time.Duration
		fn    func(ctx context.Context) error
		took  time.Duration
		err   []error // joined with the Timeout
	}{
		{"no grace", 0, stubborn(0), limit + 1, nil},
		{"no grace, stubborn", 0, stubborn(3 * time.Second), limit + 3*time.Second + 1, nil},
		{"grace", time.Minute, stubborn(0), limit + 1, nil},
		{"grace, stubborn", time.Minute, stubborn(3 * time.Second), limit + 3*time.Second + 1, nil},
		// Cut off: Close has to wait all the same.
		{"grace, too stubborn", time.Second, stubborn(30 * time.Second), limit + 30*time.Second + 1, nil},
		{"own error", time.Minute, func(ctx context.Context) error { <-ctx.Done(); return errOops }, limit + 1, []error{errOops}},
		{"own error without grace", 0, func(ctx context.Context) error { <-ctx.Done(); return errOops }, limit + 1, []error{errOops}},
		{"own error when cut off", time.Second, func(ctx context.Context) error {
			<-ctx.Done()
			sleep(30 * time.Second)
			return errOops
		}, limit + 30*time.Second + 1, []error{errOops}},
	}
	for _, test := range tests {
		check := func(t *testing.T, begin time.Time, cause, err error) {
			t.Helper()
			require.Equal(t, test.took, time.Since(begin))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, cause, context.DeadlineExceeded, "the cause is the Timeout")
			timeout := asError[*scheduler.Timeout](t, err)
			require.Equal(t, limit, timeout.Limit)
			for _, is := range test.err {
				require.ErrorIs(t, err, is)
			}
			require.NotErrorIs(t, err, context.Canceled)
		}
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
				var cause error
				fn := func(ctx context.Context) error {
					err := test.fn(ctx)
					cause = context.Cause(ctx)
					return err
				}
				begin := time.Now()
				err := scheduler.Run(t.Context(), call(fn), &scheduler.RunnerOptions{Timeout: limit, Grace: test.grace})
				check(t, begin, cause, err)

				begin, cause = time.Now(), nil
				deps := scheduler.NewDependencies[string]()
				deps.Add("a")
				g := groupOver(t, deps,
					func(string) scheduler.Task { return call(fn) },
					&scheduler.GroupOptions[string]{
						Timeout: func(string) time.Duration { return limit },
						Grace:   test.grace,
					})
				err = scheduler.Run(t.Context(), g, nil)
				check(t, begin, cause, err)
				require.Equal(t, scheduler.StateTimedOut, g.State("a"))
			})
		})
	}
}

func TestBlocking_context(t *testing.T) {
	type key struct{}
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		// It has the values of the step's context and not its end.
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		ctx, cancelTimeout := context.WithTimeout(ctx, time.Minute)
		defer cancelTimeout()
		deadline, _ := ctx.Deadline()
		ended := false
		task := call(func(ctx context.Context) error {
			require.Equal(t, "value", ctx.Value(key{}))
			require.NoError(t, ctx.Err())
			require.NoError(t, context.Cause(ctx))
			at, _ := ctx.Deadline()
			require.Equal(t, deadline, at, "that of the step's context")
			require.NotEmpty(t, fmt.Sprint(ctx))

			cancel(errOops)
			select {
			case <-ctx.Done():
				ended = true
			case <-time.After(time.Hour):
			}
			require.Equal(t, "value", ctx.Value(key{}), "with Done made")
			require.NoError(t, ctx.Err())
			return context.Cause(ctx)
		})
		mustStep(t, ctx, task)
		sleep(2 * time.Hour)
		synctest.Wait()
		mustStep(t, ctx, task)
		require.False(t, ended)
	})
}

// Contexts made from that of a call end with it, whichever way they are made.
func TestBlocking_derived_contexts(t *testing.T) {
	type key struct{}
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		var causes []error
		after := false
		task := call(func(ctx context.Context) error {
			context.AfterFunc(ctx, func() { after = true })
			stopped := context.AfterFunc(ctx, func() { t.Error("was stopped") })
			require.True(t, stopped())
			withCancel, cancel := context.WithCancel(ctx)
			defer cancel()
			withTimeout, cancelTimeout := context.WithTimeout(context.WithValue(ctx, key{}, 1), time.Hour)
			defer cancelTimeout()
			own, cancelOwn := context.WithCancelCause(ctx)
			cancelOwn(errOther)
			<-own.Done()
			require.Equal(t, errOther, context.Cause(own))
			require.NoError(t, ctx.Err(), "the end of a derived one is not that of the call's")
			for _, c := range []context.Context{withCancel, withTimeout, ctx} {
				<-c.Done()
				require.Equal(t, context.Canceled, c.Err())
				causes = append(causes, context.Cause(c))
			}
			never := context.WithoutCancel(ctx)
			require.NoError(t, never.Err())
			return nil
		})
		mustStep(t, t.Context(), task)
		synctest.Wait()
		require.NoError(t, task.Close())
		require.Equal(t, []error{scheduler.ErrClosed, scheduler.ErrClosed, scheduler.ErrClosed}, causes)
		synctest.Wait()
		require.True(t, after)
	})
}

func TestStopping(t *testing.T) {
	t.Run("of another context is nil", func(t *testing.T) {
		require.Nil(t, scheduler.Stopping(t.Context()))
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Func(func(ctx context.Context) error {
			require.Nil(t, scheduler.Stopping(ctx))
			return nil
		}), nil))
	})
	t.Run("is closed by the stop of the run", func(t *testing.T) {
		bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
			begin := time.Now()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Minute, func() { cancel(errOops) })
			cleanedUp := false
			err := scheduler.Run(ctx, call(func(ctx context.Context) error {
				early := scheduler.Stopping(ctx)
				derived, cancelDerived := context.WithCancel(ctx)
				defer cancelDerived()
				require.Equal(t, early, scheduler.Stopping(derived))
				select {
				case <-early:
				case <-ctx.Done():
					return errors.New("cancelled in place of a notice")
				}
				<-scheduler.Stopping(ctx) // asked again
				require.ErrorIs(t, scheduler.StopCause(ctx), errOops)
				sleep(time.Second)
				require.NoError(t, ctx.Err(), "the notice is not the end")
				cleanedUp = true
				return nil
			}), &scheduler.RunnerOptions{Grace: time.Hour})
			require.Equal(t, errOops, err)
			require.True(t, cleanedUp)
			require.Equal(t, time.Minute+time.Second, time.Since(begin))
		})
	})
	inBubble(t, "asked only after the notice", func(t *testing.T) {
		task := scheduler.Blocking(func(ctx context.Context) error {
			sleep(time.Second)
			<-scheduler.Stopping(ctx)
			return nil
		})
		mustStep(t, t.Context(), task)
		task.(scheduler.Stopper).Stop(t.Context(), errOops)
		task.(scheduler.Stopper).Stop(t.Context(), errOther)
		sleep(2 * time.Second)
		synctest.Wait()
		y := mustStep(t, t.Context(), task)
		require.Equal(t, scheduler.Done, y)
	})
	t.Run("in the grace of a group", func(t *testing.T) {
		bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
			begin := time.Now()
			deps := scheduler.NewDependencies[string]()
			deps.Add("call")
			deps.Add("fails")
			ended := false
			g := groupOver(t, deps, func(k string) scheduler.Task {
				if k == "fails" {
					return scheduler.Blocking(func(context.Context) error { sleep(time.Second); return errOops })
				}
				return call(func(ctx context.Context) error {
					<-scheduler.Stopping(ctx)
					sleep(time.Second)
					ended = true
					return ctx.Err()
				})
			}, &scheduler.GroupOptions[string]{Grace: time.Minute})
			require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), errOops)
			require.True(t, ended)
			require.Equal(t, 2*time.Second, time.Since(begin))
			require.Equal(t, scheduler.StateSucceeded, g.State("call"))
		})
	})
}

// Whatever the end, then is called once, with the value.
func TestFetch_then(t *testing.T) {
	wait := func(ctx context.Context) (string, error) {
		<-ctx.Done()
		sleep(time.Second)
		return "half", errOther
	}
	closed := func(t *testing.T, task scheduler.Task) error {
		mustStep(t, t.Context(), task)
		return task.Close()
	}
	run := func(opts scheduler.RunnerOptions) func(*testing.T, scheduler.Task) error {
		return func(t *testing.T, task scheduler.Task) error { return scheduler.Run(t.Context(), task, &opts) }
	}
	tests := []struct {
		name  string
		fn    func(ctx context.Context) (string, error)
		drive func(t *testing.T, task scheduler.Task) error
		value string
		is    []error // what then is given
	}{
		{"return", func(context.Context) (string, error) { return "id", nil }, run(scheduler.RunnerOptions{}), "id", nil},
		{"error", func(context.Context) (string, error) { return "id", errOops }, run(scheduler.RunnerOptions{}), "id", []error{errOops}},
		{
			"Goexit", func(context.Context) (string, error) { runtime.Goexit(); return "id", nil },
			run(scheduler.RunnerOptions{}), "",
			[]error{scheduler.ErrGoexit},
		},
		{"close", wait, closed, "half", []error{scheduler.ErrClosed, errOther}},
		{"close of one that has returned", func(context.Context) (string, error) { return "id", nil }, closed, "id", []error{scheduler.ErrClosed}},
		{"throw", wait, func(t *testing.T, task scheduler.Task) error {
			r := scheduler.NewTaskRunner(task, nil)
			time.AfterFunc(time.Second, func() { r.Interrupt(errOops) })
			return r.RunWith(t.Context(), 0, 0)
		}, "half", []error{errOops, errOther}},
		{"throw and close", wait, func(t *testing.T, task scheduler.Task) error {
			mustStep(t, t.Context(), task)
			_, err := throwIn(t.Context(), task, errOops)
			require.NoError(t, err)
			return task.Close()
		}, "half", []error{scheduler.ErrClosed, errOther}},
		{"kill", wait, func(t *testing.T, task scheduler.Task) error {
			r := scheduler.NewTaskRunner(task, nil)
			time.AfterFunc(time.Second, r.Kill)
			return r.Run(t.Context())
		}, "half", []error{scheduler.ErrClosed, errOther}},
		{"timeout", wait, run(scheduler.RunnerOptions{Timeout: time.Second}), "half", []error{context.DeadlineExceeded, errOther}},
		{
			"timeout with grace", wait, run(scheduler.RunnerOptions{Timeout: time.Second, Grace: time.Minute}), "half",
			[]error{context.DeadlineExceeded, errOther},
		},
		{
			"timeout with too little grace", wait, run(scheduler.RunnerOptions{Timeout: time.Second, Grace: 1}), "half",
			[]error{scheduler.ErrClosed, errOther},
		},
	}
	for _, test := range tests {
		for _, swallow := range []bool{false, true} {
			inBubble(t, fmt.Sprint(test.name, " swallow=", swallow), func(t *testing.T) {
				calls := 0
				task := scheduler.Fetch(test.fn, func(value string, err error) error {
					calls++
					require.Equal(t, test.value, value)
					for _, is := range test.is {
						require.ErrorIs(t, err, is)
					}
					if test.is == nil {
						require.NoError(t, err)
					}
					if swallow {
						return nil
					}
					return err
				})
				err := test.drive(t, task)
				// After its end nothing is called again.
				require.NoError(t, task.Close())
				require.Nil(t, task.(scheduler.Closer).BeginClose())
				_, late := throwIn(t.Context(), task, errOther)
				require.Equal(t, errOther, late)
				require.Equal(t, 1, calls)
				switch {
				case strings.HasPrefix(test.name, "timeout with too"):
					require.ErrorIs(t, err, context.DeadlineExceeded)
				case swallow && strings.HasPrefix(test.name, "timeout"):
					require.ErrorIs(t, err, context.DeadlineExceeded, "Run says so all the same")
				case swallow && test.name == "kill":
					require.ErrorIs(t, err, scheduler.ErrCancelled)
				case swallow:
					require.NoError(t, err, "what then returns is the task's error")
				default:
					for _, is := range test.is {
						if is != scheduler.ErrClosed { //nolint:errorlint // A sentinel of the table.
							require.ErrorIs(t, err, is)
						}
					}
				}
			})
		}
	}
	inBubble(t, "not after a panic", func(t *testing.T) {
		task := scheduler.Fetch(
			func(context.Context) (int, error) { panic(errOops) },
			func(int, error) error { t.Error("then was called"); return nil },
		)
		require.ErrorIs(t, panicOf(t, func() { _ = scheduler.Run(t.Context(), task, nil) }).(error), errOops)
	})
	inBubble(t, "panics", func(t *testing.T) {
		task := scheduler.Fetch(
			func(context.Context) (int, error) { return 1, nil },
			func(int, error) error { panic(errOops) },
		)
		require.Same(t, errOops, panicOf(t, func() { _ = scheduler.Run(t.Context(), task, nil) }))
	})
	inBubble(t, "runs on the driving goroutine", func(t *testing.T) {
		created := map[int]int{} // without a lock: the race detector looks
		var tasks []scheduler.Task
		for i := range 50 {
			tasks = append(tasks, scheduler.Fetch(
				func(context.Context) (int, error) { return i * i, nil },
				func(v int, err error) error { created[i] = v; return err },
			))
		}
		require.NoError(t, scheduler.Run(t.Context(), scheduler.All(tasks...), nil))
		require.Len(t, created, 50)
	})
}

func TestBlocking_nested_run(t *testing.T) {
	nested := func(ctx context.Context) error {
		return scheduler.Run(ctx, scheduler.Pause(scheduler.After(time.Minute)), &scheduler.RunnerOptions{Name: "inner"})
	}
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		begin := time.Now()
		require.NoError(t, scheduler.Run(t.Context(), call(nested), nil))
		require.Equal(t, time.Minute, time.Since(begin))

		// A call within a call, and its end.
		inner := error(nil)
		task := call(func(ctx context.Context) error {
			outer := scheduler.Stopping(ctx)
			inner = scheduler.Run(ctx, scheduler.Blocking(func(ctx context.Context) error {
				require.NotEqual(t, outer, scheduler.Stopping(ctx))
				<-ctx.Done()
				return nil
			}), nil)
			return nil
		})
		mustStep(t, t.Context(), task)
		require.NoError(t, task.Close())
		require.ErrorIs(t, inner, scheduler.ErrClosed, "the inner run ends with its context")
	})
}

func TestBlocking_has_the_clock_of_the_run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := schedulertest.NewClock(time.Unix(1000, 0))
		ctx := scheduler.WithClock(t.Context(), clock)
		for name, call := range asCall {
			var inside, nested time.Time
			task := call(func(ctx context.Context) error {
				inside = scheduler.Now(ctx)
				return scheduler.Run(ctx, scheduler.Func(func(ctx context.Context) error {
					nested = scheduler.Now(ctx)
					return nil
				}), nil)
			})
			mustStep(t, ctx, task)
			synctest.Wait()
			y, err := task.Step(ctx)
			require.NoError(t, err, name)
			require.Equal(t, scheduler.Done, y)
			require.Equal(t, clock.Now(), inside, name)
			require.Equal(t, clock.Now(), nested, name)
		}
	})
}

func TestBlocking_String(t *testing.T) {
	fetch := scheduler.Fetch(fetchNothing, func(int, error) error { return nil })
	require.Equal(t, "scheduler_test.blockNothing", scheduler.TaskDescription(scheduler.Blocking(blockNothing)))
	require.Equal(t, "scheduler_test.fetchNothing", scheduler.TaskDescription(fetch))
}

func blockNothing(context.Context) error { return nil }

func fetchNothing(context.Context) (int, error) { return 0, nil }

// manyCalls returns a group of n calls that are independent of one another.
func manyCalls(t *testing.T, n, limit int, fn func(ctx context.Context, i int) error) scheduler.Task {
	t.Helper()
	deps := numbers(n)
	g := groupOver(t, deps, func(i int) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error { return fn(ctx, i) })
	}, &scheduler.GroupOptions[int]{Limit: limit, AggregateErrors: true})
	return g
}

// All calls of a run are made at once: each waits until the last has begun.
func TestBlocking_calls_do_not_wait_for_one_another(t *testing.T) {
	const n = 1000
	var begun sync.WaitGroup
	begun.Add(n)
	require.NoError(t, scheduler.Run(t.Context(), manyCalls(t, n, 0, func(context.Context, int) error {
		begun.Done()
		begun.Wait()
		return nil
	}), nil))
}

// Nor does it matter how a call ends, or how many there are at a time.
func TestBlocking_calls_of_all_ends(t *testing.T) {
	const n = 3000
	for _, limit := range []int{0, 1, 7} {
		var made atomic.Int64
		err := scheduler.Run(t.Context(), manyCalls(t, n, limit, func(_ context.Context, i int) error {
			made.Add(1)
			switch i % 3 {
			case 0:
				runtime.Goexit()
			case 1:
				return errOops
			}
			return nil
		}), nil)
		require.EqualValues(t, n, made.Load())
		all := asError[*scheduler.ExceptionGroup](t, err)
		require.Len(t, all.Errors, 2*n/3)
		for i, err := range all.Errors {
			e := asError[*scheduler.TaskError](t, err)
			if want := scheduler.ErrGoexit; e.Key.(int)%3 == 0 {
				require.ErrorIs(t, err, want, i)
			} else {
				require.ErrorIs(t, err, errOops, i)
			}
		}
		goleak.VerifyNone(t)
	}
}

// A panic of one call closes the others, and leaves no goroutine.
func TestBlocking_panic_beside_other_calls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		p := panicOf(t, func() {
			_ = scheduler.Run(t.Context(), manyCalls(t, 100, 0, func(ctx context.Context, i int) error {
				if i == 50 {
					panic(errOops)
				}
				<-ctx.Done()
				ended.Add(1)
				return nil
			}), nil)
		})
		require.ErrorIs(t, p.(error), errOops)
		require.EqualValues(t, 99, ended.Load())
	})
}

// A call is no step; it may use its context to step another task by hand.
func TestBlocking_stepped_by_hand_inside_a_call(t *testing.T) {
	bubble(t, func(t *testing.T, call func(func(context.Context) error) scheduler.Task) {
		err := scheduler.Run(t.Context(), call(func(ctx context.Context) error {
			ends, closed := call(func(context.Context) error { return errOops }), call(stubborn(time.Second))
			mustStep(t, ctx, ends)
			mustStep(t, ctx, closed)
			sleep(time.Second)
			_ = closed.Close()
			_, err := ends.Step(ctx)
			return err
		}), nil)
		require.ErrorIs(t, err, errOops)
	})
}

// A coroutine whose call is ended by a Timeout without grace gets the step in which it
// learns of that, and is closed only if it does not end in it.
func TestBlocking_in_a_coroutine_whose_time_is_over(t *testing.T) {
	type way func(task scheduler.Task) (scheduler.Task, *scheduler.RunnerOptions)
	for name, limited := range map[string]way{
		"of a runner": func(task scheduler.Task) (scheduler.Task, *scheduler.RunnerOptions) {
			return scheduler.Named("a", task), &scheduler.RunnerOptions{Timeout: time.Second}
		},
		"of a node": func(task scheduler.Task) (scheduler.Task, *scheduler.RunnerOptions) {
			return newGroup(t, "a", func(string) scheduler.Task { return task },
				&scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Second }}), nil
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			var ofCall, ofYield error
			task, opts := limited(scheduler.Wrap(func(co *scheduler.Coroutine) error {
				ofCall = co.Await(scheduler.Blocking(func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				}))
				ofYield = co.Yield(scheduler.Next)
				return nil
			}))
			require.EqualError(t, scheduler.Run(t.Context(), task, opts), "a: timed out after 1s")
			_ = asError[*scheduler.Timeout](t, ofCall)
			require.Equal(t, scheduler.ErrClosed, ofYield)
		})
	}
}

// A call that is closed with its group, and only says that its context has ended, is
// cancelled: it adds nothing to why the group has failed.
func TestBlocking_closed_with_its_group(t *testing.T) {
	for name, fn := range map[string]func(ctx context.Context) error{
		"error": func(ctx context.Context) error { return ctx.Err() },
		"cause": context.Cause,
		"words": func(ctx context.Context) error { return fmt.Errorf("pulling: %w", ctx.Err()) },
	} {
		inBubble(t, name, func(t *testing.T) {
			g := newGroup(t, "call fails", func(k string) scheduler.Task {
				if k == "fails" {
					return failsWith(errOops)
				}
				return scheduler.Blocking(func(ctx context.Context) error {
					<-ctx.Done()
					return fn(ctx)
				})
			}, nil)
			require.EqualError(t, scheduler.Run(t.Context(), g, nil), "fails: "+errOops.Error())
			require.Equal(t, scheduler.StateCancelled, g.State("call"))
		})
	}
}

// stepper is a coroutine of so many steps.
func stepper(steps int, end func() error) scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for range steps - 1 {
			if err := co.Yield(scheduler.Next); err != nil {
				return err
			}
		}
		return end()
	})
}

// However a run ends, nothing is left of its coroutines: not of those that had
// ended before, either.
func TestRun_leaves_no_coroutine(t *testing.T) {
	members := func(t *testing.T, end func() error) scheduler.Task {
		t.Helper()
		deps := numbers(20)
		g := groupOver(t, deps, func(i int) scheduler.Task {
			if i == 19 {
				return stepper(30, end)
			}
			return stepper(i+1, func() error { return nil })
		}, nil)
		return g
	}
	succeed := func() error { return nil }
	tests := map[string]func(t *testing.T){
		"success": func(t *testing.T) { require.NoError(t, scheduler.Run(t.Context(), members(t, succeed), nil)) },
		"failure": func(t *testing.T) {
			require.ErrorIs(t, scheduler.Run(t.Context(), members(t, func() error { return errOops }), nil), errOops)
		},
		"panic": func(t *testing.T) {
			panicOf(t, func() {
				_ = scheduler.Run(t.Context(), members(t, func() error { panic(errOops) }), nil)
			})
		},
		"Goexit": func(t *testing.T) {
			task, exited := members(t, func() error { runtime.Goexit(); return nil }), make(chan struct{})
			go func() {
				defer close(exited)
				_ = scheduler.Run(context.Background(), task, nil)
			}()
			<-exited
		},
		"Cancel": func(t *testing.T) {
			r := startRunner(t, members(t, succeed), nil)
			for range 10 {
				mustStep(t, t.Context(), r)
			}
			require.NoError(t, r.Cancel())
		},
		"a group that is driven by hand": func(t *testing.T) {
			task := members(t, succeed)
			for {
				y := mustStep(t, t.Context(), task)
				if y == scheduler.Done {
					break
				}
			}
		},
		"a group that is closed by hand": func(t *testing.T) {
			task := members(t, succeed)
			for range 10 {
				mustStep(t, t.Context(), task)
			}
			require.NoError(t, task.Close())
		},
		"a new context with each step": func(t *testing.T) {
			r := scheduler.NewTaskRunner(members(t, succeed), nil)
			require.NoError(t, r.Start(context.WithoutCancel(t.Context()), 0))
			for !r.Done() {
				mustStep(t, context.WithValue(t.Context(), contextKey{}, 1), r)
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test(t)
			goleak.VerifyNone(t)
		})
	}
}

// A runner and a group that are kept after the end, for what they can be asked, keep no
// call.
func TestRun_keeps_no_call(t *testing.T) {
	var calls []weak.Pointer[[1 << 10]byte]
	g := newGroup(t, "a b", func(string) scheduler.Task {
		big := new([1 << 10]byte)
		calls = append(calls, weak.Make(big))
		return scheduler.Blocking(func(context.Context) error { big[0]++; return nil })
	}, nil)
	r := scheduler.NewTaskRunner(g, nil)
	require.NoError(t, r.Run(t.Context()))
	require.Len(t, calls, 2)
	for _, c := range calls {
		require.Eventually(t, func() bool {
			runtime.GC() // the goroutine of the call may be ending still
			return c.Value() == nil
		}, time.Minute, time.Millisecond)
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(g)
}

// A coroutine that begins when others have ended costs no goroutine.
func TestWrap_takes_over_what_others_leave(t *testing.T) {
	before := runtime.NumGoroutine()
	require.NoError(t, scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for range 100 {
			if err := co.Await(stepper(3, func() error { return nil })); err != nil {
				return err
			}
			require.LessOrEqual(t, runtime.NumGoroutine(), before+2)
		}
		return nil
	}), nil))
	goleak.VerifyNone(t)
}
