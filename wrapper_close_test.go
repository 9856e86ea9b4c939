package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// A coroutine that answers the failed close of one subtask with another one is
// unwound also if that one panics, in its only step or when it is closed in turn.
func TestWrap_panic_in_the_answer_to_a_failed_close(t *testing.T) {
	for name, answer := range map[string]*fakeTask{
		"step":                 {step: func(context.Context) (scheduler.Yield, error) { panic(errOops) }},
		"close":                {step: forever, close: func() error { panic(errOops) }},
		"close, then a Goexit": {step: forever, close: func() error { panic(errOops) }},
	} {
		goexit := strings.HasSuffix(name, "Goexit")
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which fails if a coroutine is left
				var unwound []string
				awaiting := func(name string, then func(co *scheduler.Coroutine) error) scheduler.Task {
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						defer func() { unwound = append(unwound, name) }()
						return then(co)
					})
				}
				task := awaiting("outer", func(co *scheduler.Coroutine) error {
					return co.Await(awaiting("inner", func(co *scheduler.Coroutine) error {
						defer func() {
							if goexit {
								runtime.Goexit()
							}
						}()
						_ = co.Await(&fakeTask{step: forever, close: func() error { return errOops }})
						return co.Await(answer)
					}))
				})
				mustStep(t, t.Context(), task)
				returned, panicked := onGoroutine(func() { _ = task.Close() })
				require.False(t, returned)
				if !goexit { // which takes the place of the panic
					require.Equal(t, errOops, panicked)
				}
				require.Equal(t, []string{"inner", "outer"}, unwound)
			})
		})
	}
}

func TestWrap_Close_returns(t *testing.T) {
	joined := errors.Join(errOops, errOther)
	tests := []struct {
		name string
		err  error // what the function returns when it is closed
		want error // exactly
		is   []error
	}{
		{name: "nil", err: nil, want: nil},
		{name: "ErrClosed", err: scheduler.ErrClosed, want: nil},
		{name: "words around ErrClosed", err: fmt.Errorf("create: %w", scheduler.ErrClosed), want: nil},
		{name: "many words", err: fmt.Errorf("a: %w", fmt.Errorf("b: %w", scheduler.ErrClosed)), want: nil},
		{name: "only ErrClosed joined", err: errors.Join(scheduler.ErrClosed, scheduler.ErrClosed), want: nil},
		{name: "own error", err: errOops, want: errOops},
		{name: "joined errors", err: joined, want: joined},
		{name: "ErrClosed joined with an error", err: errors.Join(scheduler.ErrClosed, errOops), want: errOops},
		{name: "error joined with ErrClosed", err: errors.Join(errOops, scheduler.ErrClosed), want: errOops},
		{
			name: "two errors joined with ErrClosed", err: errors.Join(errOops, scheduler.ErrClosed, errOther),
			is: []error{errOops, errOther},
		},
		{
			name: "joined deep down", err: errors.Join(scheduler.ErrClosed, errors.Join(errOops, errors.Join(scheduler.ErrClosed, errOther))),
			is: []error{errOops, errOther},
		},
		{name: "two in one format", err: fmt.Errorf("%w while %w", errOops, scheduler.ErrClosed), want: errOops},
		{name: "words around words joined", err: errors.Join(errOops, fmt.Errorf("x: %w", scheduler.ErrClosed)), want: errOops},
		{
			name: "an error that wraps nothing", err: &scheduler.OptionError{Option: "a", Reason: "b"},
			want: &scheduler.OptionError{Option: "a", Reason: "b"},
		},
		{name: "a node's", err: &scheduler.TaskError{Key: 1, Err: scheduler.ErrClosed}, want: nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			count := countGoroutines(t)
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.Next); err != scheduler.ErrClosed { //nolint:errorlint // That very one is promised.
					return fmt.Errorf("not closed: %v", err) //nolint:errorlint // Hidden from Is.
				}
				return test.err
			})
			mustStep(t, t.Context(), task)
			err := task.Close()
			count.want(0)
			if test.is == nil {
				require.Equal(t, test.want, err)
				return
			}
			for _, is := range test.is {
				require.ErrorIs(t, err, is)
			}
			require.NotErrorIs(t, err, scheduler.ErrClosed)
		})
	}
}

// An error from closing the subtask comes back from Await as that error, which
// is ErrClosed besides.
func TestWrap_Close_with_a_failing_subtask(t *testing.T) {
	tests := []struct {
		name   string
		answer func(co *scheduler.Coroutine, err error) error
		want   []error
		not    []error
	}{
		{"passed on", func(_ *scheduler.Coroutine, err error) error { return err }, []error{errOops}, []error{scheduler.ErrClosed}},
		{
			"with words", func(_ *scheduler.Coroutine, err error) error { return fmt.Errorf("delete: %w", err) },
			[]error{errOops},
			nil,
		},
		{"swallowed", func(*scheduler.Coroutine, error) error { return nil }, nil, nil},
		{"another", func(*scheduler.Coroutine, error) error { return errOther }, []error{errOther}, []error{errOops}},
		{
			"goes on", func(co *scheduler.Coroutine, _ error) error { return co.Yield(scheduler.Next) },
			[]error{scheduler.ErrIgnoredClose, errOops},
			nil,
		},
		{
			"subtask that ends at once", func(co *scheduler.Coroutine, err error) error {
				return co.Await(scheduler.Func(func(context.Context) error { return nil }))
			}, nil, nil,
		},
		{
			"subtask that fails at once", func(co *scheduler.Coroutine, err error) error {
				return co.Await(scheduler.Func(func(context.Context) error { return errOther }))
			},
			[]error{errOther},
			nil,
		},
		{
			"subtask that goes on", func(co *scheduler.Coroutine, err error) error {
				return co.Await(scheduler.Pause(scheduler.Next))
			},
			[]error{scheduler.ErrIgnoredClose, errOops},
			nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			count := countGoroutines(t)
			var came error
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				came = co.Await(&fakeTask{step: forever, close: func() error { return errOops }})
				return test.answer(co, came)
			})
			mustStep(t, t.Context(), task)
			err := task.Close()
			require.ErrorIs(t, came, errOops)
			require.ErrorIs(t, came, scheduler.ErrClosed)
			require.EqualError(t, came, "oops")
			if test.want == nil {
				require.NoError(t, err)
			}
			for _, want := range test.want {
				require.ErrorIs(t, err, want)
			}
			for _, not := range test.not {
				require.NotErrorIs(t, err, not)
			}
			count.want(0)
		})
	}
}

func TestWrap_Close_ignored(t *testing.T) {
	tests := []struct {
		name string
		fn   func(co *scheduler.Coroutine, j *journal) error
		log  string
	}{
		{"yields once more", func(co *scheduler.Coroutine, j *journal) error {
			j.add("%v", co.Yield(scheduler.Next))
			j.add("%v", co.Yield(scheduler.Next))
			return nil
		}, "closed, deferred"},
		{"yields for ever", func(co *scheduler.Coroutine, _ *journal) error {
			for {
				_ = co.Yield(scheduler.Next)
			}
		}, "deferred"},
		{"awaits", func(co *scheduler.Coroutine, j *journal) error {
			j.add("%v", co.Yield(scheduler.Next))
			return co.Await(&fakeTask{step: func(context.Context) (scheduler.Yield, error) {
				j.add("stepped")
				return scheduler.Next, nil
			}})
		}, "closed, deferred"},
		{"awaits a Wrap", func(co *scheduler.Coroutine, j *journal) error {
			j.add("%v", co.Yield(scheduler.Next))
			return co.Await(scheduler.Wrap(func(*scheduler.Coroutine) error { j.add("stepped"); return nil }))
		}, "closed, deferred"},
		{"recovers panics in a loop", func(co *scheduler.Coroutine, _ *journal) error {
			for {
				func() {
					defer func() { _ = recover() }()
					_ = co.Yield(scheduler.Next)
				}()
			}
		}, "deferred"},
		{"yields in a deferred call", func(co *scheduler.Coroutine, j *journal) error {
			defer func() { _ = co.Yield(scheduler.Next) }()
			j.add("%v", co.Yield(scheduler.Next))
			return nil
		}, "closed, deferred"},
	}
	for _, test := range tests {
		for _, depth := range []int{0, 1, 3} {
			t.Run(fmt.Sprint(test.name, " depth=", depth), func(t *testing.T) {
				count := countGoroutines(t)
				var j journal
				var came []error
				task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
					defer j.add("deferred")
					return test.fn(co, &j)
				})
				for range depth {
					inner := task
					task = scheduler.Wrap(func(co *scheduler.Coroutine) error {
						err := co.Await(inner)
						came = append(came, err)
						return err
					})
				}
				mustStep(t, t.Context(), task)
				count.want(depth + 1)
				require.ErrorIs(t, task.Close(), scheduler.ErrIgnoredClose)
				require.Len(t, came, depth)
				for _, err := range came {
					require.ErrorIs(t, err, scheduler.ErrIgnoredClose)
					require.ErrorIs(t, err, scheduler.ErrClosed)
				}
				require.True(t, strings.HasSuffix(j.take(), test.log))
				count.want(0)
				require.NoError(t, task.Close())
			})
		}
	}
}

func TestWrap_panics(t *testing.T) {
	// Where the panic happens: what leads to it, after a first step.
	tests := []struct {
		name string
		fn   func(co *scheduler.Coroutine) error
		act  func(ctx context.Context, task scheduler.Task)
	}{
		{
			"in the second step", func(co *scheduler.Coroutine) error {
				_ = co.Yield(scheduler.Next)
				panicForTest(errOops)
				return nil
			},
			func(ctx context.Context, task scheduler.Task) { _, _ = task.Step(ctx) },
		},
		{
			"when thrown into", func(co *scheduler.Coroutine) error {
				if co.Yield(scheduler.Next) != nil {
					panicForTest(errOops)
				}
				return nil
			},
			func(ctx context.Context, task scheduler.Task) { _, _ = throwIn(ctx, task, errOther) },
		},
		{
			"when closed", func(co *scheduler.Coroutine) error {
				if co.Yield(scheduler.Next) != nil {
					panicForTest(errOops)
				}
				return nil
			},
			func(_ context.Context, task scheduler.Task) { _ = task.Close() },
		},
		{
			"when unwound by force", func(co *scheduler.Coroutine) error {
				defer panicForTest(errOops)
				for {
					_ = co.Yield(scheduler.Next)
				}
			},
			func(_ context.Context, task scheduler.Task) { _ = task.Close() },
		},
	}
	for _, test := range tests {
		for _, depth := range []int{0, 1, 3} {
			t.Run(fmt.Sprint(test.name, " depth=", depth), func(t *testing.T) {
				count := countGoroutines(t)
				var came []error
				task := scheduler.Wrap(test.fn)
				for range depth {
					inner := task
					task = scheduler.Wrap(func(co *scheduler.Coroutine) error {
						err := co.Await(inner)
						came = append(came, err)
						return err
					})
				}
				mustStep(t, t.Context(), task)
				p, ok := panicOf(t, func() { test.act(t.Context(), task) }).(*scheduler.PanicError)
				require.True(t, ok)
				require.Same(t, errOops, p.Value)
				require.ErrorIs(t, p, errOops)
				require.Contains(t, string(p.Stack), "panicForTest", "the stack is that of the function")
				require.Len(t, came, depth)
				for _, err := range came {
					require.Equal(t, scheduler.ErrClosed, err, "who awaits it is closed")
				}
				count.want(0)
				_, err := task.Step(t.Context())
				require.ErrorIs(t, err, scheduler.ErrEnded)
				require.NoError(t, task.Close())
			})
		}
	}
	t.Run("in the first step", func(t *testing.T) {
		count := countGoroutines(t)
		task := scheduler.Wrap(func(*scheduler.Coroutine) error { panicForTest("text"); return nil })
		p := panicOf(t, func() { _, _ = task.Step(t.Context()) }).(*scheduler.PanicError)
		require.Equal(t, "text", p.Value)
		require.NoError(t, p.Unwrap())
		count.want(0)
	})
}

// A panic of a subtask that is no Wrap goes up as it is: its stack is that of
// the driving goroutine. Whoever awaits it is closed.
func TestWrap_panic_of_a_subtask(t *testing.T) {
	step := func(context.Context) (scheduler.Yield, error) { panic(errOops) }
	next := func(context.Context) (scheduler.Yield, error) { return scheduler.Next, nil }
	tests := []struct {
		name  string
		child scheduler.Task
		act   func(ctx context.Context, task scheduler.Task)
	}{
		{"in its first step", &fakeTask{step: step}, nil},
		{
			"in a later step",
			&fakeTask{step: func() func(context.Context) (scheduler.Yield, error) {
				steps := 0
				return func(ctx context.Context) (scheduler.Yield, error) {
					if steps++; steps > 1 {
						return step(ctx)
					}
					return next(ctx)
				}
			}()},
			func(ctx context.Context, task scheduler.Task) { _, _ = task.Step(ctx) },
		},
		{
			"in Throw",
			&fakeTask{step: forever, throw: func(ctx context.Context, _ error) (scheduler.Yield, error) { return step(ctx) }},
			func(ctx context.Context, task scheduler.Task) { _, _ = throwIn(ctx, task, errOther) },
		},
		{
			"in Close",
			&fakeTask{step: forever, close: func() error { panic(errOops) }},
			func(_ context.Context, task scheduler.Task) { _ = task.Close() },
		},
		{
			"in Stop",
			&fakeTask{step: forever, stop: func(context.Context, error) { panic(errOops) }},
			func(ctx context.Context, task scheduler.Task) { task.(scheduler.Stopper).Stop(ctx, errOther) },
		},
	}
	for _, test := range tests {
		for _, depth := range []int{1, 3} {
			t.Run(fmt.Sprint(test.name, " depth=", depth), func(t *testing.T) {
				count := countGoroutines(t)
				var came []error
				task := test.child
				for range depth {
					inner := task
					task = scheduler.Wrap(func(co *scheduler.Coroutine) error {
						err := co.Await(inner)
						came = append(came, err)
						return err
					})
				}
				p := panicOf(t, func() {
					mustStep(t, t.Context(), task)
					test.act(t.Context(), task)
				})
				require.Same(t, errOops, p)
				require.Equal(t, slices.Repeat([]error{scheduler.ErrClosed}, depth), came)
				count.want(0)
			})
		}
	}
}

// t.FailNow and runtime.Goexit end the driving goroutine, as they would have
// without Wrap, and leave nothing behind.
func TestWrap_Goexit(t *testing.T) {
	exits := map[string]func(){
		"Goexit": runtime.Goexit,
		"FailNow": func() {
			(&testing.T{}).FailNow()
		},
	}
	for name, exit := range exits {
		for _, at := range []string{"first step", "step", "throw", "close"} {
			for _, depth := range []int{0, 1, 3} {
				t.Run(fmt.Sprint(name, " in ", at, " depth=", depth), func(t *testing.T) {
					count := countGoroutines(t)
					var came []error
					deferred := false
					task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
						defer func() { deferred = true }()
						if at != "first step" {
							_ = co.Yield(scheduler.Next)
						}
						exit()
						return nil
					})
					for range depth {
						inner := task
						task = scheduler.Wrap(func(co *scheduler.Coroutine) error {
							err := co.Await(inner)
							came = append(came, err)
							return err
						})
					}
					if at != "first step" {
						mustStep(t, t.Context(), task)
					}
					returned, panicked := onGoroutine(func() {
						switch at {
						case "throw":
							_, _ = throwIn(t.Context(), task, errOops)
						case "close":
							_ = task.Close()
						default:
							_, _ = task.Step(t.Context())
						}
					})
					require.False(t, returned)
					require.Nil(t, panicked)
					require.True(t, deferred)
					require.Equal(t, slices.Repeat([]error{scheduler.ErrClosed}, depth), append([]error{}, came...))
					count.want(0)
					_, err := task.Step(t.Context())
					require.ErrorIs(t, err, scheduler.ErrEnded)
				})
			}
		}
	}
}

func TestCoroutine_Stopping(t *testing.T) {
	t.Run("is one event at every depth", func(t *testing.T) {
		var events []*scheduler.Event
		task := chain(3, func(co *scheduler.Coroutine, _ int, await func() error) error {
			events = append(events, co.Stopping())
			return await()
		})
		mustStep(t, t.Context(), task)
		require.Len(t, events, 3)
		for _, e := range events {
			require.Same(t, events[0], e)
			require.False(t, e.IsSet())
		}
		task.(scheduler.Stopper).Stop(t.Context(), errOops)
		require.True(t, events[0].IsSet())
		require.NoError(t, task.Close())
	})
	t.Run("stays set for who asks later", func(t *testing.T) {
		stopped := false
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_ = co.Yield(scheduler.Next)
			stopped = co.Stopping().IsSet()
			return nil
		})
		mustStep(t, t.Context(), task)
		task.(scheduler.Stopper).Stop(t.Context(), errOops)
		mustStep(t, t.Context(), task)
		require.True(t, stopped)
	})
	t.Run("hands the notice to the subtask", func(t *testing.T) {
		var j journal
		child := &fakeTask{step: forever, stop: func(_ context.Context, cause error) { j.add("stop %v", cause) }}
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			return co.Await(scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(child) }))
		})
		mustStep(t, t.Context(), task)
		task.(scheduler.Stopper).Stop(t.Context(), errOops)
		require.Equal(t, "stop oops", j.take())
		require.NoError(t, task.Close())
	})
	t.Run("wakes who waits for it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				return co.Yield(scheduler.On(co.Stopping()).Or(scheduler.After(time.Hour)))
			})
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errOops)
			defer cancel()
			err := scheduler.Run(ctx, task, &scheduler.RunnerOptions{Grace: time.Hour})
			require.Equal(t, errOops, err)
			require.Equal(t, time.Minute, time.Since(begin))
		})
	})
}

// A coroutine learns why it is to stop. What it fails with because of that is no
// failure of its own.
func TestCoroutine_StopCause(t *testing.T) {
	var before, after error
	group, _, err := played(t, "a b", func(k string) scheduler.Task {
		if k == "a" {
			return lasting(1, errSpace)
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			before = co.StopCause()
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			after = co.StopCause()
			return fmt.Errorf("gave up: %w", co.StopCause())
		})
	}, &scheduler.GroupOptions[string]{Grace: time.Minute}, nil)
	require.EqualError(t, err, "a: no space")
	require.NoError(t, before)
	require.EqualError(t, after, "a: no space")
	require.Equal(t, "a failed: a: no space\nb cancelled: b: gave up: a: no space because of a, stopped", outcomes(group))
}
