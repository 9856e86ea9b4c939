package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// An uncaught panic prints the place in the user's code and the path of keys.
func TestPanicError_says_where(t *testing.T) {
	breaks := func() { panic("broken") }
	for name, task := range map[string]func() scheduler.Task{
		"Wrap": func() scheduler.Task {
			return scheduler.Wrap(func(*scheduler.Coroutine) error { breaks(); return nil })
		},
		"Blocking": func() scheduler.Task {
			return scheduler.Blocking(func(context.Context) error { breaks(); return nil })
		},
		"Func": func() scheduler.Task { return scheduler.Func(func(context.Context) error { breaks(); return nil }) },
		"Await": func() scheduler.Task {
			return scheduler.Sequence(scheduler.Func(func(context.Context) error { breaks(); return nil }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inner := groupOf(t, "b", func(string) scheduler.Task { return task() }, nil)
			outer := groupOf(t, "a", func(string) scheduler.Task { return scheduler.Sequence(inner) }, nil)
			v := panicOf(t, func() { _ = scheduler.Run(t.Context(), outer, nil) })
			var p *scheduler.PanicError
			require.ErrorAs(t, v.(error), &p)
			require.Equal(t, "broken", p.Value)
			require.Equal(t, "a/b", p.Path)
			require.Regexp(t, `^panic: broken in a/b at scheduler_test\.TestPanicError_says_where\.func1 \(misuse_test\.go:\d+\)$`, p.Error())
		})
	}
	t.Run("of one without a stack", func(t *testing.T) {
		group := groupOf(t, "a", func(string) scheduler.Task {
			return scheduler.Func(func(context.Context) error { panic(&scheduler.PanicError{Value: "no"}) })
		}, nil)
		v := panicOf(t, func() { _ = scheduler.Run(t.Context(), group, nil) })
		require.EqualError(t, v.(error), "panic: no in a")
	})
	t.Run("of a division", func(t *testing.T) {
		zero := 0
		v := panicOf(t, func() {
			_ = scheduler.Run(t.Context(), scheduler.Wrap(func(*scheduler.Coroutine) error { return fmt.Errorf("%d", 1/zero) }), nil)
		})
		require.Regexp(t, `^panic: runtime error: integer divide by zero at scheduler_test\..* \(misuse_test\.go:\d+\)$`, v.(error).Error())
	})
}

func TestCauses(t *testing.T) {
	require.Empty(t, scheduler.Causes(nil))
	require.Equal(t, []error{errOops}, scheduler.Causes(errOops))
	err := scheduler.Run(t.Context(), groupOf(t, "a b", func(k string) scheduler.Task {
		if k == "a" {
			return scheduler.Func(func(context.Context) error { return errors.Join(errSpace, errOther) })
		}
		return scheduler.All(scheduler.Func(func(context.Context) error { return errOops }))
	}, &scheduler.GroupOptions[string]{AggregateErrors: true}), nil)
	require.Equal(t, []error{errSpace, errOther, errOops}, scheduler.Causes(err))
}

func TestExceptionGroup_is_cut_off(t *testing.T) {
	var g scheduler.ExceptionGroup
	for i := range 100_000 {
		g.Errors = append(g.Errors, fmt.Errorf("error %d", i))
	}
	lines := strings.Split(g.Error(), "\n")
	require.Equal(t, "100000 tasks failed:", lines[0])
	require.Equal(t, "- error 19", lines[20])
	require.Equal(t, []string{"- and 99980 more"}, lines[21:])
}

// What is nil, or a zero value, gets a sentence.
func TestMisuse_of_nil_and_zero(t *testing.T) {
	task := func() scheduler.Task { return scheduler.Pause(scheduler.Next) }
	var none context.Context
	started := scheduler.NewTaskRunner(task(), nil)
	require.NoError(t, started.Start(t.Context(), 0))
	for want, err := range map[string]error{
		"scheduler: ctx: nil Context ":                                    scheduler.Run(none, task(), nil),
		"scheduler: ctx: nil Context":                                     scheduler.NewTaskRunner(task(), nil).Start(none, 0),
		"scheduler: ctx: nil Context  ":                                   started.RunToCompletion(none, 0),
		"scheduler: Func: nil function":                                   scheduler.Run(t.Context(), scheduler.Func(nil), nil),
		"scheduler: StepFunc: nil function":                               scheduler.Run(t.Context(), scheduler.StepFunc(nil), nil),
		"scheduler: TaskRunner: zero value; use NewTaskRunner":            new(scheduler.TaskRunner).Run(t.Context()),
		"scheduler: task: nil Task":                                       scheduler.Run(t.Context(), nil, nil),
		"scheduler: RunnerOptions.Abandon: negative duration -1ns":        scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Abandon: -1}),
		"scheduler: RunnerOptions.Abandon: needs the system's clock, and": scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Abandon: 1, Clock: schedulertest.NewClock(time.Time{})}),
	} {
		require.ErrorContains(t, err, strings.TrimSpace(want))
		var option *scheduler.OptionError
		require.ErrorAs(t, err, &option)
	}
	_, err := started.Step(none)
	require.EqualError(t, err, "scheduler: ctx: nil Context")
	require.NoError(t, started.Cancel())
	require.PanicsWithValue(t, "scheduler: NewTimeout: nil TaskRunner", func() { _ = scheduler.NewTimeout(nil, 0) })
	require.PanicsWithValue(t, "scheduler: NewTimedCancel: nil TaskRunner", func() { scheduler.NewTimedCancel(nil, 0) })
}

// A run inside a step is found whatever context it has, but for a coroutine, which
// has a stack of its own.
func TestRun_inside_a_step_with_another_context(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, fn func(context.Context) error) error{
		"Func": func(t *testing.T, fn func(context.Context) error) error {
			t.Helper()
			return scheduler.Run(t.Context(), scheduler.Func(fn), nil)
		},
		"in a group": func(t *testing.T, fn func(context.Context) error) error {
			t.Helper()
			return scheduler.Run(t.Context(), scheduler.All(scheduler.All(scheduler.Func(fn))), nil)
		},
		"in a group without a runner": func(t *testing.T, fn func(context.Context) error) error {
			t.Helper()
			_, err := scheduler.All(scheduler.Func(fn)).Step(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ran := false
			err := run(t, func(context.Context) error {
				return scheduler.Run(context.Background(), scheduler.Func(func(context.Context) error { ran = true; return nil }),
					&scheduler.RunnerOptions{Name: "inner"})
			})
			var nested *scheduler.NestedRunError
			require.ErrorAs(t, err, &nested)
			require.Equal(t, "inner", nested.Inner)
			require.False(t, ran)
		})
	}
	t.Run("inside a call it may", func(t *testing.T) {
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Blocking(func(context.Context) error {
			return scheduler.Run(context.Background(), scheduler.Pause(scheduler.Next), nil)
		}), nil))
	})
}

// Times beyond the scale are its ends, and no wait for centuries.
func TestTimes_saturate(t *testing.T) {
	for name, y := range map[string]scheduler.Yield{
		"After of a zero time": scheduler.After(time.Until(time.Time{})),
		"After(MinInt64)":      scheduler.After(math.MinInt64),
		"At(1700)":             scheduler.At(time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)),
		"At(1)":                scheduler.At(time.Time{}),
		"Next or After":        scheduler.Next.Or(scheduler.After(math.MinInt64)),
	} {
		for _, put := range []func(scheduler.Task) scheduler.Task{
			func(task scheduler.Task) scheduler.Task { return task },
			func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
			func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) },
		} {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				require.NoError(t, scheduler.Run(t.Context(), put(scheduler.Pause(y)), nil), name)
				require.Equal(t, begin, time.Now(), name)
			})
		}
	}
	t.Run("a runner that is stopped in its own step", func(t *testing.T) {
		var inner *scheduler.TaskRunner
		inner = scheduler.NewTaskRunner(scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			inner.Stop(errOops)
			return scheduler.On(new(scheduler.Event)), nil
		}), nil)
		require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.All(inner.AsTask(0)), nil), errOops)
	})
	t.Run("far ahead, on a simulated clock", func(t *testing.T) {
		for _, y := range []scheduler.Yield{
			scheduler.After(290 * 365 * 24 * time.Hour), scheduler.After(scheduler.NoLimit), scheduler.At(time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)),
		} {
			for _, task := range []scheduler.Task{scheduler.Pause(y), scheduler.All(scheduler.Pause(y))} {
				require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{
					Clock: schedulertest.NewClock(time.Time{}), Timeout: scheduler.NoLimit, Grace: scheduler.NoLimit,
				}))
			}
		}
	})
	t.Run("a clock beyond it", func(t *testing.T) {
		for _, year := range []int{1000, 1600, 2300} {
			clock := schedulertest.NewClock(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
			err := scheduler.Run(t.Context(), scheduler.Pause(scheduler.Next), &scheduler.RunnerOptions{Clock: clock})
			require.EqualError(t, err, fmt.Sprintf("scheduler: RunnerOptions.Clock: shows %04d-01-01, which is not from 1678 to 2262", year))
		}
	})
}
