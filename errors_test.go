package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

var sentinels = map[string]error{
	"scheduler: already started":     scheduler.ErrStarted,
	"scheduler: not started":         scheduler.ErrNotStarted,
	"scheduler: cancelled":           scheduler.ErrCancelled,
	"scheduler: already ended":       scheduler.ErrEnded,
	"scheduler: closed":              scheduler.ErrClosed,
	"scheduler: nil task":            scheduler.ErrNilTask,
	"scheduler: circular dependency": scheduler.ErrCircularDependency,
	"scheduler: coroutine yielded while being closed, and was ended by force":     scheduler.ErrIgnoredClose,
	"scheduler: step returned no Yield and no error; return Done to end the task": scheduler.ErrNoYield,
	"scheduler: task panicked or ended its goroutine":                             scheduler.ErrAborted,
	"scheduler: call ended its goroutine with runtime.Goexit":                     scheduler.ErrGoexit,
	"scheduler: skip":    scheduler.ErrSkip,
	"scheduler: drained": scheduler.ErrDrained,
}

func TestErrors_sentinels(t *testing.T) {
	t.Parallel()
	for text, err := range sentinels {
		require.EqualError(t, err, text)
		wrapped := &scheduler.ExceptionGroup{Errors: []error{errBoom, &scheduler.TaskError{Key: 1, Err: err}}}
		for _, other := range sentinels {
			require.Equal(t, err == other, errors.Is(err, other))     //nolint:errorlint // Identity is what is compared with.
			require.Equal(t, err == other, errors.Is(wrapped, other)) //nolint:errorlint // As above.
		}
	}
}

// What is and As find in each error type, and what it says.
func TestErrors_types(t *testing.T) {
	t.Parallel()
	timeout := scheduler.NewTimeout(scheduler.NewTaskRunner(&fakeTask{}, nil), time.Second)
	for name, c := range map[string]struct {
		err  error
		text string
		is   []error
		as   []any
	}{
		"Timeout": {
			timeout, "fake: timed out after 1s",
			[]error{context.DeadlineExceeded, timeout},
			[]any{new(*scheduler.Timeout)},
		},
		"TaskError": {
			&scheduler.TaskError{Key: "disk", Task: "create", Err: timeout}, "disk: fake: timed out after 1s",
			[]error{context.DeadlineExceeded, timeout},
			[]any{new(*scheduler.TaskError), new(*scheduler.Timeout)},
		},
		"ExceptionGroup": {
			&scheduler.ExceptionGroup{Errors: []error{errBoom, &scheduler.TaskError{Key: 7, Err: timeout}}},
			"2 tasks failed:\n- boom\n- 7: fake: timed out after 1s",
			[]error{errBoom, timeout, context.DeadlineExceeded},
			[]any{new(*scheduler.ExceptionGroup), new(*scheduler.TaskError), new(*scheduler.Timeout)},
		},
		"ExceptionGroup of one": {
			&scheduler.ExceptionGroup{Errors: []error{errBoom}}, "1 task failed:\n- boom",
			[]error{errBoom},
			[]any{new(*scheduler.ExceptionGroup)},
		},
		"ExceptionGroup of none": {
			&scheduler.ExceptionGroup{}, "0 tasks failed:", nil, []any{new(*scheduler.ExceptionGroup)},
		},
		"nested ExceptionGroup": {
			&scheduler.ExceptionGroup{Errors: []error{
				&scheduler.TaskError{Key: "net", Err: &scheduler.ExceptionGroup{Errors: []error{errBoom, errOther}}}, io.EOF,
			}},
			"2 tasks failed:\n- net: 2 tasks failed:\n  - boom\n  - other\n- EOF",
			[]error{errBoom, errOther, io.EOF},
			[]any{new(*scheduler.ExceptionGroup), new(*scheduler.TaskError)},
		},
		"PanicError": {
			&scheduler.PanicError{Value: "no", Stack: []byte("where")}, "panic: no",
			nil,
			[]any{new(*scheduler.PanicError)},
		},
		"PanicError of an error": {
			&scheduler.PanicError{Value: errBoom}, "panic: boom",
			[]error{errBoom},
			[]any{new(*scheduler.PanicError)},
		},
		"OptionError": {
			&scheduler.OptionError{Option: "task", Reason: "nil Task"}, "scheduler: task: nil Task",
			nil,
			[]any{new(*scheduler.OptionError)},
		},
		"NestedRunError": {
			&scheduler.NestedRunError{Outer: "outer", Inner: "inner"}, "scheduler: blocking run of inner inside a step of outer",
			nil,
			[]any{new(*scheduler.NestedRunError)},
		},
		"CircularDependencyError": {
			&scheduler.CircularDependencyError[string]{Path: []string{"a", "b", "a"}}, "scheduler: circular dependency: a -> b -> a",
			[]error{scheduler.ErrCircularDependency},
			[]any{new(*scheduler.CircularDependencyError[string])},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.EqualError(t, c.err, c.text)
			for _, err := range []error{c.err, fmt.Errorf("more: %w", c.err), errors.Join(io.ErrNoProgress, c.err)} {
				for _, target := range []error{timeout, context.DeadlineExceeded, context.Canceled, errBoom, errOther, io.EOF, scheduler.ErrCircularDependency} {
					expected := false
					for _, is := range c.is {
						expected = expected || target == is //nolint:errorlint // Identity is what is compared with.
					}
					require.Equal(t, expected, errors.Is(err, target), "Is %v", target)
				}
				for _, target := range []any{
					new(*scheduler.Timeout), new(*scheduler.TaskError), new(*scheduler.ExceptionGroup), new(*scheduler.PanicError),
					new(*scheduler.OptionError), new(*scheduler.NestedRunError), new(*scheduler.CircularDependencyError[string]),
					new(*scheduler.CircularDependencyError[int]),
				} {
					expected := false
					for _, as := range c.as {
						expected = expected || fmt.Sprintf("%T", as) == fmt.Sprintf("%T", target)
					}
					require.Equal(t, expected, errors.As(err, target), "As %T", target)
				}
			}
		})
	}
	require.Equal(t, "panic: no\n\nwhere", (&scheduler.PanicError{Value: "no", Stack: []byte("where")}).String())
	// Two cycles of different types of key are told apart by As only.
	require.ErrorIs(t, &scheduler.CircularDependencyError[int]{Path: []int{1, 1}}, scheduler.ErrCircularDependency)
}

// The key is put before a text unless it is there already, as that of this very node and
// not of one of the same key inside.
// A task of All whose description is empty has its number.
func TestTaskError_Error_of_a_task_without_a_name(t *testing.T) {
	fails := scheduler.Named("", scheduler.Func(func(context.Context) error { return errOops }))
	require.EqualError(t, scheduler.Run(t.Context(), scheduler.All(lasting0, fails), nil), "1: oops")
}

func TestTaskError_Error(t *testing.T) {
	timeout := &scheduler.Timeout{Task: "a", Limit: time.Second}
	inner := &scheduler.TaskError{Key: "a", Err: errOops}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errOops, "a: oops"},
		{errors.New("a: oops"), "a: oops"},
		{errors.New("b: oops"), "a: b: oops"},
		{timeout, "a: timed out after 1s"},
		{errors.Join(timeout, errOops), "a: timed out after 1s\noops"},
		{errors.Join(timeout, inner), "a: timed out after 1s\na: oops"},
		{inner, "a: a: oops"},
		{errors.Join(inner, errOther), "a: a: oops\n" + errOther.Error()},
		{fmt.Errorf("a: again: %w", inner), "a: a: again: a: oops"},
		{noBranches{}, "a: nothing"},
	} {
		require.EqualError(t, &scheduler.TaskError{Key: "a", Err: tt.err}, tt.want)
	}
}

// noBranches joins no errors.
type noBranches struct{}

func (noBranches) Error() string   { return "a: nothing" }
func (noBranches) Unwrap() []error { return nil }

func TestExceptionGroup_Split(t *testing.T) {
	t.Parallel()
	fail := func(key string, err error) error { return &scheduler.TaskError{Key: key, Err: err} }
	group := func(errs ...error) *scheduler.ExceptionGroup { return &scheduler.ExceptionGroup{Errors: errs} }
	// Predicates of the kinds that users write.
	identity := func(targets ...error) func(error) bool {
		return func(err error) bool {
			return slices.Contains(targets, err)
		}
	}
	is := func(target error) func(error) bool {
		return func(err error) bool { return errors.Is(err, target) }
	}
	key := func(keys string) func(error) bool {
		return func(err error) bool {
			var task *scheduler.TaskError
			return errors.As(err, &task) && strings.Contains(keys, fmt.Sprint(task.Key))
		}
	}
	not := func(match func(error) bool) func(error) bool {
		return func(err error) bool { return !match(err) }
	}
	nothing := func(error) bool { return false }

	boom, other := fail("a", errBoom), fail("b", errOther)
	inner := fail("n", group(boom, other))
	deep := fail("m", fail("n", group(other, inner)))
	for name, c := range map[string]struct {
		group          *scheduler.ExceptionGroup
		match          func(error) bool
		matching, rest *scheduler.ExceptionGroup
	}{
		"empty":                      {group(), nothing, nil, nil},
		"nothing":                    {group(boom, other), nothing, nil, group(boom, other)},
		"everything":                 {group(boom, other), not(nothing), group(boom, other), nil},
		"flat":                       {group(boom, other, io.EOF), is(errOther), group(other), group(boom, io.EOF)},
		"in order":                   {group(other, boom, other), is(errOther), group(other, other), group(boom)},
		"by key":                     {group(boom, other), key("b"), group(other), group(boom)},
		"all but a key":              {group(boom, other), not(key("b")), group(boom), group(other)},
		"nested, matches as a whole": {group(inner, io.EOF), is(errBoom), group(inner), group(io.EOF)},
		"nested, divided": {
			group(inner, io.EOF), identity(boom),
			group(fail("n", group(boom))), group(fail("n", group(other)), io.EOF),
		},
		"nested, by key": {
			group(inner, io.EOF), key("b"),
			group(fail("n", group(other))), group(fail("n", group(boom)), io.EOF),
		},
		"nested, all of it matches":     {group(inner, io.EOF), key("ab"), group(inner), group(io.EOF)},
		"nested, nothing of it matches": {group(inner), key("x"), nil, group(inner)},
		"nested, without a key": {
			group(group(boom, other)), identity(other),
			group(group(other)), group(group(boom)),
		},
		"nested, without a key, all of it": {group(group(boom, other)), identity(boom, other), group(group(boom, other)), nil},
		"nested, empty":                    {group(group()), key("x"), nil, group(group())},
		"nested twice": {
			group(deep), key("a"),
			group(fail("m", fail("n", group(fail("n", group(boom)))))),
			group(fail("m", fail("n", group(other, fail("n", group(other)))))),
		},
		"what is wrapped otherwise stays whole": {
			group(fmt.Errorf("more: %w", group(boom, other))), identity(boom),
			nil, group(fmt.Errorf("more: %w", group(boom, other))),
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.group.Error()
			matching, rest := c.group.Split(c.match)
			require.Equal(t, c.matching, matching)
			require.Equal(t, c.rest, rest)
			require.Equal(t, c.matching, c.group.Subgroup(c.match))
			require.Equal(t, before, c.group.Error(), "the group stays as it is")
		})
	}
	t.Run("keeps the task's name", func(t *testing.T) {
		matching, rest := group(&scheduler.TaskError{Key: 1, Task: "net", Err: group(boom, other)}).Split(identity(boom))
		for _, half := range []*scheduler.ExceptionGroup{matching, rest} {
			task := asError[*scheduler.TaskError](t, half)
			require.Equal(t, "net", task.Task)
		}
	})
}

// Joining adds nothing that an error says already.
func TestErrors_are_joined_once(t *testing.T) {
	t.Parallel()
	more := fmt.Errorf("more: %w", errBoom)
	for _, c := range []struct{ cause, closing, want error }{
		{errBoom, errBoom, errBoom},
		{errBoom, more, more},
		{more, errBoom, more},
		{errBoom, nil, errBoom},
		{errBoom, errOther, errors.Join(errBoom, errOther)},
	} {
		r := startRunner(t, &fakeTask{step: forever, close: func() error { return c.closing }}, nil)
		r.Stop(c.cause)
		_, err := r.Step(t.Context())
		require.Equal(t, c.want, err)
	}
}

// What a group had as failures when it was closed is divided like any other group
// of errors.
func TestExceptionGroup_Split_of_a_closed_group(t *testing.T) {
	group := newGroup(t, "boom other runs", func(k string) scheduler.Task {
		if k == "runs" {
			return hours(k)
		}
		return scheduler.Func(func(context.Context) error {
			return map[string]error{"boom": errBoom, "other": errOther}[k]
		})
	}, &scheduler.GroupOptions[string]{AggregateErrors: true})
	mustStep(t, t.Context(), group)
	all := &scheduler.ExceptionGroup{Errors: []error{group.Close()}}
	boom, rest := all.Split(func(err error) bool {
		e, ok := err.(*scheduler.TaskError) //nolint:errorlint // One level at a time.
		return ok && e.Key == "boom"
	})
	require.ErrorIs(t, boom, errBoom)
	require.NotErrorIs(t, boom, errOther)
	require.ErrorIs(t, rest, errOther)
	require.NotErrorIs(t, rest, errBoom)
}

// numberedError is a failure that errors.As finds.
type numberedError int

func (e numberedError) Error() string { return fmt.Sprintf("error %d", int(e)) }

// pullError only adds words to the end of a call's context.
type pullError struct {
	numberedError
	of error
}

func (e pullError) Error() string        { return fmt.Sprintf("pulling %d: %v", int(e.numberedError), e.of) }
func (e pullError) Unwrap() error        { return e.of }
func (e pullError) Is(target error) bool { return target == error(e.numberedError) }

// manyErrors is an error that cannot be compared.
type manyErrors []int

func (e manyErrors) Error() string { return fmt.Sprintf("errors %v", []int(e)) }

// However many errors a result joins, its text stays short, and each is found in it.
func TestJoined_errors_are_cut_off(t *testing.T) {
	const n = 5_000
	failsAtEnd := func(i int) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			<-ctx.Done()
			return numberedError(i)
		})
	}
	deps := numbers(n)
	for name, run := range map[string]func(t *testing.T) error{
		"calls that fail when they are closed": func(t *testing.T) error {
			t.Helper()
			return scheduler.Run(t.Context(), numbered(n, failsAtEnd, nil), &scheduler.RunnerOptions{Timeout: time.Second})
		},
		"the same, at the end of the context": func(t *testing.T) error {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return scheduler.Run(ctx, numbered(n, failsAtEnd, nil), nil)
		},
		"calls with a limit of their own": func(t *testing.T) error {
			t.Helper()
			return scheduler.Run(t.Context(), numbered(n, failsAtEnd, &scheduler.GroupOptions[int]{
				Timeout: func(int) time.Duration { return time.Second },
			}), nil)
		},
		"the same, each for itself": func(t *testing.T) error {
			t.Helper()
			return scheduler.Run(t.Context(), numbered(n, failsAtEnd, &scheduler.GroupOptions[int]{
				Timeout: func(int) time.Duration { return time.Second },
				OnError: func(int, error) scheduler.Disposition { return scheduler.SkipDependents },
			}), nil)
		},
		"a Walk": func(t *testing.T) error {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return scheduler.Walk(ctx, deps, func(ctx context.Context, i int) error {
				<-ctx.Done()
				return pullError{numberedError(i), ctx.Err()}
			}, nil)
		},
		"a group in a group": func(t *testing.T) error {
			t.Helper()
			return scheduler.Run(t.Context(), scheduler.All(numbered(n, failsAtEnd, nil)), &scheduler.RunnerOptions{Timeout: time.Second})
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			err := run(t)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			text := err.Error()
			require.Less(t, len(text), 4000)
			require.Equal(t, n, strings.Count(text, "error ")+strings.Count(text, "pulling ")+numberOfMore(t, text), text)
			for _, i := range []int{0, 1, n / 2, n - 1} {
				require.ErrorIs(t, err, numberedError(i))
			}
			require.GreaterOrEqual(t, len(scheduler.Causes(err)), n)
		})
	}
}

// numberOfMore returns how many errors a text counts in place of having them.
func numberOfMore(t *testing.T, text string) (n int) {
	t.Helper()
	_, err := fmt.Sscanf(text[strings.LastIndex(text, "and ")+1:], "nd %d more", &n)
	require.NoError(t, err, text)
	return n
}

// What cannot be compared is joined like anything else, and what is there already is
// not repeated.
func TestJoined_errors_of_each_kind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := scheduler.Run(t.Context(), newGroup(t, "a b c d", func(k string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				if k < "c" {
					return manyErrors{1}
				}
				return errOops
			})
		}, nil), &scheduler.RunnerOptions{Name: "run", Timeout: time.Second})
		lines := strings.Split(err.Error(), "\n")
		require.Equal(t, "run: timed out after 1s", lines[0])
		require.ElementsMatch(t, []string{"a: errors [1]", "b: errors [1]", "c: oops", "d: oops"}, lines[1:])
	})
}

// What nodes of a group inside have failed with is not lost with a panic that comes
// out of another one and that RecoverPanics recovers further out.
func TestRecoverPanics_keeps_what_failed_before_in_a_group_inside(t *testing.T) {
	failing := func() scheduler.Task {
		return newGroup(t, "a b", func(k string) scheduler.Task {
			if k == "a" {
				return scheduler.Func(func(context.Context) error { return errBoom })
			}
			b := new(fakeTask)
			b.step = func(context.Context) (scheduler.Yield, error) {
				if b.steps == 2 {
					panicForTest("oops")
				}
				return scheduler.Next, nil
			}
			return b.task()
		}, &scheduler.GroupOptions[string]{
			OnError: func(string, error) scheduler.Disposition { return scheduler.SkipDependents },
		})
	}
	for name, c := range map[string]struct {
		wrap func(task scheduler.Task) scheduler.Task
		text string
	}{
		"alone":   {func(task scheduler.Task) scheduler.Task { return task }, "in: panic: oops\na: boom"},
		"wrapped": {func(task scheduler.Task) scheduler.Task { return struct{ scheduler.Task }{task} }, "in: panic: oops\na: boom"},
		"coroutine": {func(task scheduler.Task) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		}, "in: panic: oops\na: boom"},
		"deeper": {func(task scheduler.Task) scheduler.Task {
			return newGroup(t, "mid", func(string) scheduler.Task { return task }, nil)
		}, "in: panic: oops\nmid: a: boom"},
	} {
		t.Run(name, func(t *testing.T) {
			outer := newGroup(t, "in", func(string) scheduler.Task { return c.wrap(failing()) },
				&scheduler.GroupOptions[string]{RecoverPanics: true})
			err := scheduler.Run(t.Context(), outer, nil)
			require.EqualError(t, err, c.text)
			require.ErrorIs(t, err, errBoom)
			p := asError[*scheduler.PanicError](t, err)
			require.Equal(t, "oops", p.Value)
		})
	}
}

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
			inner := newGroup(t, "b", func(string) scheduler.Task { return task() }, nil)
			outer := newGroup(t, "a", func(string) scheduler.Task { return scheduler.Sequence(inner) }, nil)
			v := panicOf(t, func() { _ = scheduler.Run(t.Context(), outer, nil) })
			p := asError[*scheduler.PanicError](t, v.(error))
			require.Equal(t, "broken", p.Value)
			require.Equal(t, "a/b", p.Path)
			require.Regexp(t, `^panic: broken in a/b at scheduler_test\.TestPanicError_says_where\.func1 \(errors_test\.go:\d+\)$`, p.Error())
		})
	}
	t.Run("of one without a stack", func(t *testing.T) {
		group := newGroup(t, "a", func(string) scheduler.Task {
			return scheduler.Func(func(context.Context) error { panic(&scheduler.PanicError{Value: "no"}) })
		}, nil)
		v := panicOf(t, func() { _ = scheduler.Run(t.Context(), group, nil) })
		require.EqualError(t, v.(error), "panic: no in a")
	})
	t.Run("of one that was recovered and goes on", func(t *testing.T) {
		v := panicOf(t, func() {
			_ = scheduler.Run(t.Context(), scheduler.Wrap(func(*scheduler.Coroutine) error {
				defer func() { panic(recover()) }()
				breaks()
				return nil
			}), nil)
		})
		require.Regexp(t, `^panic: broken.* at scheduler_test\.TestPanicError_says_where\.func1 \(errors_test\.go:\d+\)$`, v.(error).Error())
	})
	t.Run("of a division", func(t *testing.T) {
		zero := 0
		v := panicOf(t, func() {
			_ = scheduler.Run(t.Context(), scheduler.Wrap(func(*scheduler.Coroutine) error { return fmt.Errorf("%d", 1/zero) }), nil)
		})
		require.Regexp(t, `^panic: runtime error: integer divide by zero at scheduler_test\..* \(errors_test\.go:\d+\)$`, v.(error).Error())
	})
}

func TestCauses(t *testing.T) {
	require.Empty(t, scheduler.Causes(nil))
	require.Equal(t, []error{errOops}, scheduler.Causes(errOops))
	err := scheduler.Run(t.Context(), newGroup(t, "a b", func(k string) scheduler.Task {
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
	started := startRunner(t, task(), nil)
	ofNode := func(task scheduler.Task) error {
		return scheduler.Run(t.Context(), newGroup(t, "a", func(string) scheduler.Task { return task }, nil), nil)
	}
	for want, err := range map[string]error{
		"scheduler: ctx: nil Context ":                                    scheduler.Run(none, task(), nil),
		"scheduler: ctx: nil Context":                                     scheduler.NewTaskRunner(task(), nil).Start(none, 0),
		"scheduler: ctx: nil Context  ":                                   started.RunToCompletion(none, 0),
		"scheduler: Func: nil function":                                   ofNode(scheduler.Func(nil)),
		"scheduler: StepFunc: nil function":                               ofNode(scheduler.StepFunc(nil)),
		"scheduler: TaskRunner: zero value; use NewTaskRunner":            new(scheduler.TaskRunner).Run(t.Context()),
		"scheduler: task: nil Task":                                       scheduler.Run(t.Context(), nil, nil),
		"scheduler: RunnerOptions.Abandon: negative duration -1ns":        scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Abandon: -1}),
		"scheduler: RunnerOptions.Abandon: needs the system's clock, but": scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Abandon: 1, Clock: schedulertest.NewClock(time.Time{})}),
	} {
		require.ErrorContains(t, err, strings.TrimSpace(want))
		require.ErrorAs(t, err, new(*scheduler.OptionError))
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
			nested := asError[*scheduler.NestedRunError](t, err)
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
		for _, put := range holdersOf("itself", "All", "Subrun") {
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
			want := fmt.Sprintf("shows %04d-01-01; the year must be from 1678 to 2262", year)
			require.EqualError(t, err, "scheduler: RunnerOptions.Clock: "+want)

			// One of the context is looked at by the outermost runner.
			ctx := scheduler.WithClock(t.Context(), clock)
			for _, put := range holdersOf("itself", "All", "Subrun") {
				require.EqualError(t, scheduler.Run(ctx, put(lasting(1, nil)), nil), "scheduler: WithClock: "+want)
			}

			// Without a runner, by the outermost group.
			for name, put := range holdersOf("itself", "All", "wrapper", "plain wrapper", "Wrap", "Sequence", "Named") {
				task := put(newGroup(t, "a", hours, nil))
				_, err := task.Step(ctx)
				require.ErrorContains(t, err, "scheduler: WithClock: "+want, name)
				require.NoError(t, task.Close(), name)
			}
		}
	})
}

// What is nil where something belongs panics with a sentence that names the function.
func TestMisuse_panics_with_a_sentence(t *testing.T) {
	var (
		none   *scheduler.TaskRunner
		deps   *scheduler.Dependencies[string]
		limit  *scheduler.Limiter
		co     *scheduler.Coroutine
		ctx    = t.Context()
		task   = func() scheduler.Task { return scheduler.Pause(scheduler.Next) }
		number = func(context.Context) (int, error) { return 0, nil }
	)
	for want, do := range map[string]func(){
		"scheduler: TaskRunner.AsTask: nil TaskRunner":          func() { none.AsTask(0) },
		"scheduler: TaskRunner.Run: nil TaskRunner":             func() { _ = none.Run(ctx) },
		"scheduler: TaskRunner.RunWith: nil TaskRunner":         func() { _ = none.RunWith(ctx, 0, 0) },
		"scheduler: TaskRunner.RunToCompletion: nil TaskRunner": func() { _ = none.RunToCompletion(ctx, 0) },
		"scheduler: TaskRunner.Start: nil TaskRunner":           func() { _ = none.Start(ctx, 0) },
		"scheduler: TaskRunner.Step: nil TaskRunner":            func() { _, _ = none.Step(ctx) },
		"scheduler: TaskRunner.Stop: nil TaskRunner":            func() { none.Stop(errOops) },
		"scheduler: TaskRunner.Kill: nil TaskRunner":            func() { none.Kill() },
		"scheduler: TaskRunner.Cancel: nil TaskRunner":          func() { _ = none.Cancel() },
		"scheduler: TaskRunner.CancelAfter: nil TaskRunner":     func() { none.CancelAfter(0) },
		"scheduler: TaskRunner.Interrupt: nil TaskRunner":       func() { none.Interrupt(errOops) },
		"scheduler: TaskRunner.Post: nil TaskRunner":            func() { none.Post(func() {}) },
		"scheduler: TaskRunner.RunPosted: nil TaskRunner":       func() { none.RunPosted() },
		"scheduler: TaskRunner.Due: nil TaskRunner":             func() { none.Due() },
		"scheduler: TaskRunner.Started: nil TaskRunner":         func() { none.Started() },
		"scheduler: TaskRunner.Done: nil TaskRunner":            func() { none.Done() },
		"scheduler: TaskRunner.Err: nil TaskRunner":             func() { _ = none.Err() },
		"scheduler: TaskRunner.String: nil TaskRunner":          func() { _ = none.String() },
		"scheduler: Subrun: nil TaskRunner":                     func() { scheduler.Subrun(none) },

		"scheduler: nil Dependencies; use NewDependencies":     func() { deps.Add("a") },
		"scheduler: nil Dependencies; use NewDependencies ":    func() { deps.Len() },
		"scheduler: nil Dependencies; use NewDependencies  ":   func() { _ = deps.String() },
		"scheduler: nil Dependencies; use NewDependencies   ":  func() { scheduler.Translate(deps, func(k string) string { return k }) },
		"scheduler: nil Dependencies; use NewDependencies    ": func() { _ = deps.WriteDOT(io.Discard) },
		"scheduler: Dependencies.Subset: nil function":         func() { graph("a").Subset(nil) },
		"scheduler: Translate: nil function":                   func() { scheduler.Translate[string, int](graph("a"), nil) },

		"scheduler: Limiter.SetCapacity: zero Limiter; use NewLimiter": func() { new(scheduler.Limiter).SetCapacity(1) },
		"scheduler: Limiter.InUse: zero Limiter; use NewLimiter":       func() { new(scheduler.Limiter).InUse() },
		"scheduler: Limiter.Waiting: zero Limiter; use NewLimiter":     func() { limit.Waiting() },

		"scheduler: TimedCancel.Expired of nil": func() { (*scheduler.TimedCancel)(nil).Expired() },
		"scheduler: WithClock: nil *scheduler_test.brokenClock": func() {
			scheduler.WithClock(ctx, (*brokenClock)(nil))
		},

		"scheduler: Call: nil Coroutine": func() { _, _ = scheduler.Call(nil, number) },
		"scheduler: PollCall: nil Coroutine": func() {
			_, _ = scheduler.PollCall(nil, 0, func(context.Context) (int, bool, error) { return 0, true, nil })
		},
		"scheduler: RetryCall: nil Coroutine":                        func() { _, _ = scheduler.RetryCall(nil, constant(0), number) },
		"scheduler: Coroutine.Yield called outside its function":     func() { _ = co.Yield(scheduler.Next) },
		"scheduler: Coroutine.Await called outside its function":     func() { _ = co.Await(task()) },
		"scheduler: Coroutine.Context called outside its function":   func() { co.Context() },
		"scheduler: Coroutine.Stopping called outside its function":  func() { co.Stopping() },
		"scheduler: Coroutine.StopCause called outside its function": func() { _ = co.StopCause() },
		"scheduler: Coroutine.Context called outside its function ":  func() { new(scheduler.Coroutine).Context() },
		"scheduler: ObserverFunc: nil function":                      func() { scheduler.ObserverFunc(nil).Observe(scheduler.Record{}) },
		"scheduler: Ending: nil event":                               func() { scheduler.Ending(nil) },
		"scheduler: On: nil event":                                   func() { scheduler.On(nil) },
		"scheduler: On: no event":                                    func() { scheduler.On() },
		"scheduler: Reserve: nil Task":                               func() { scheduler.Reserve(time.Second, nil) },
		"scheduler: Shield: nil Task":                                func() { scheduler.Shield(nil) },
		"scheduler: Named: nil Task for web":                         func() { scheduler.Named("web", nil) },
		"scheduler: Claiming: nil Task":                              func() { scheduler.Claiming(nil, nil) },
		"scheduler: Blocking: nil function":                          func() { scheduler.Blocking(nil) },
		"scheduler: Wrap: nil function":                              func() { scheduler.Wrap(nil) },
		"scheduler: Poll: nil function":                              func() { scheduler.Poll(time.Second, nil) },
		"scheduler: Fetch: nil function":                             func() { scheduler.Fetch(nil, func(int, error) error { return nil }) },
		"scheduler: Fetch: nil function ":                            func() { scheduler.Fetch(number, nil) },
		"scheduler: On: nil event ":                                  func() { scheduler.On(new(scheduler.Event), nil) },
		"scheduler: Retry: nil function":                             func() { scheduler.Retry(constant(0), nil) },
		"scheduler: Retry: nil BackOff":                              func() { scheduler.Retry(nil, func(int, error) scheduler.Task { return nil }) },
		"scheduler: Retry: nil BackOff ":                             func() { scheduler.Retry(scheduler.BackOffFunc(nil), func(int, error) scheduler.Task { return nil }) },
		"scheduler: WithTimeout: nil Task":                           func() { scheduler.WithTimeout(0, nil) },
		"scheduler: Timeout.Trigger: nil Task":                       func() { _ = new(scheduler.Timeout).Trigger(ctx, nil) },
		"scheduler: TimedCancel.Trigger: nil Task":                   func() { _ = new(scheduler.TimedCancel).Trigger(ctx, nil) },
		"scheduler: ExceptionGroup.Split: nil function":              func() { _, _ = new(scheduler.ExceptionGroup).Split(nil) },
		"scheduler: TaskRunner.Post to Pause(next): nil function":    func() { scheduler.NewTaskRunner(task(), nil).Post(nil) },
		"scheduler: TaskRunner.Interrupt of Pause(next): nil error":  func() { scheduler.NewTaskRunner(task(), nil).Interrupt(nil) },
	} {
		for want[len(want)-1] == ' ' {
			want = want[:len(want)-1]
		}
		require.PanicsWithValue(t, want, do)
	}
	for want, call := range map[string]func(co *scheduler.Coroutine) (int, error){
		"scheduler: Call: nil function":      func(co *scheduler.Coroutine) (int, error) { return scheduler.Call[int](co, nil) },
		"scheduler: PollCall: nil function":  func(co *scheduler.Coroutine) (int, error) { return scheduler.PollCall[int](co, 0, nil) },
		"scheduler: RetryCall: nil BackOff":  func(co *scheduler.Coroutine) (int, error) { return scheduler.RetryCall(co, nil, number) },
		"scheduler: RetryCall: nil function": func(co *scheduler.Coroutine) (int, error) { return scheduler.RetryCall[int](co, constant(0), nil) },
	} {
		v := panicOf(t, func() {
			_ = scheduler.Run(ctx, scheduler.Wrap(func(co *scheduler.Coroutine) error { _, err := call(co); return err }), nil)
		})
		require.Equal(t, want, panickedWith(v))
	}
}

// What has an error to return says it by that.
func TestMisuse_is_an_OptionError(t *testing.T) {
	var typed *fakeTask
	var group *scheduler.DependencyTaskGroup[string]
	var zero scheduler.TaskRunner
	var deps *scheduler.Dependencies[string]
	ctx := t.Context()
	fn := func(context.Context, string) error { return nil }
	made := newGroup(t, "a", hours, nil)
	write := func(n int64, err error) error { require.Zero(t, n); return err }
	step := func(_ bool, err error) error { return err }
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"typed nil clock": {
			scheduler.Run(ctx, made, &scheduler.RunnerOptions{Clock: (*brokenClock)(nil)}),
			"scheduler: RunnerOptions.Clock: nil *scheduler_test.brokenClock",
		},
		"typed nil":               {scheduler.Run(ctx, typed, nil), "scheduler: task: nil *scheduler_test.fakeTask as Task"},
		"nil group":               {scheduler.Run(ctx, group, nil), "scheduler: task: nil *scheduler.DependencyTaskGroup[string] as Task"},
		"zero runner, Start":      {zero.Start(ctx, 0), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, Step":       {step(zero.Step(ctx)), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, Run":        {zero.Run(ctx), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, completion": {zero.RunToCompletion(ctx, 0), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, AsTask":     {scheduler.Run(ctx, zero.AsTask(0), nil), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"zero runner, Subrun":     {scheduler.Run(ctx, scheduler.Subrun(&zero), nil), "scheduler: TaskRunner: zero value; use NewTaskRunner"},
		"WriteTo":                 {write(made.WriteTo(nil)), "scheduler: w: nil Writer"},
		"WriteDOT":                {made.WriteDOT(nil), "scheduler: w: nil Writer"},
		"WriteMermaid":            {made.WriteMermaid(nil), "scheduler: w: nil Writer"},
		"WriteDOT of a graph":     {graph("a").WriteDOT(nil), "scheduler: w: nil Writer"},
		"WriteMermaid of a graph": {graph("a").WriteMermaid(nil), "scheduler: w: nil Writer"},
		"Walk, nil graph":         {scheduler.Walk(ctx, deps, fn, nil), "scheduler: deps: nil Dependencies"},
		"Walk, nil function":      {scheduler.Walk(ctx, graph("a"), nil, nil), "scheduler: fn: nil function"},
	} {
		require.EqualError(t, tt.err, tt.want, name)
		require.ErrorAs(t, tt.err, new(*scheduler.OptionError), name)
	}
	require.Equal(t, "nil *scheduler_test.fakeTask", scheduler.TaskDescription(typed))
	require.NotPanics(t, func() { _ = (&scheduler.ExceptionGroup{Errors: []error{nil}}).Error() })
	yes, no := (*scheduler.ExceptionGroup)(nil).Split(func(error) bool { return true })
	require.Nil(t, yes)
	require.Nil(t, no)
}

// A zero group is one without nodes that was never made: it can be asked, and not run.
func TestGroup_zero_value(t *testing.T) {
	var g scheduler.DependencyTaskGroup[string]
	require.Zero(t, g.State("a"))
	require.False(t, g.Started("a"))
	require.NoError(t, g.Err("a"))
	require.Zero(t, g.Len()+g.Count(scheduler.StatePending)+g.Rounds())
	require.Empty(t, g.Errors())
	require.Empty(t, g.Snapshot().Completed)
	require.Equal(t, scheduler.Explanation[string]{Key: "a"}, g.ExplainNode("a"))
	for range g.All() {
		t.Error("a node")
	}
	for range g.Running() {
		t.Error("a node")
	}
	for range g.WaitsFor("a") {
		t.Error("a node")
	}
	require.NoError(t, errors.Join(g.WriteDOT(io.Discard), g.WriteMermaid(io.Discard), g.Close()))
}

// What has a nil where a task belongs begins none of those that it was given.
func TestCombinators_of_a_nil_task_begin_nothing(t *testing.T) {
	task := scheduler.Func(func(context.Context) error { t.Error("it has begun"); return nil })
	for want, broken := range map[string]scheduler.Task{
		"scheduler: nil task: number 0 of a Sequence":   scheduler.Sequence(nil, task),
		"scheduler: nil task: number 1 of a Sequence":   scheduler.Sequence(task, nil),
		"scheduler: nil task: number 0 of a First":      scheduler.First(nil, task),
		"scheduler: nil task: number 1 of a First":      scheduler.First(task, nil),
		"scheduler: nil task: the task of a Finally":    scheduler.Finally(nil, task),
		"scheduler: nil task: the cleanup of a Finally": scheduler.Finally(task, nil),
	} {
		err := scheduler.Run(t.Context(), broken, nil)
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, scheduler.ErrNilTask)
	}
}

// A nil *ExceptionGroup in the guise of an error, as a function makes it that returns a
// Subgroup, is an error without parts, and breaks nothing.
func TestExceptionGroup_nil_as_error(t *testing.T) {
	fatal := func(error) bool { return false }
	err := scheduler.Run(t.Context(), newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			return (&scheduler.ExceptionGroup{Errors: []error{errOops}}).Subgroup(fatal)
		})
	}, nil), nil)
	require.EqualError(t, err, "a: 0 tasks failed")
	require.NotErrorIs(t, err, errOops)
	require.Len(t, scheduler.Causes(err), 1)
}

// panicky is an error one of whose methods panics, as those of a nil pointer do that is
// returned as an error by mistake.
type panicky struct{ in string }

func (e panicky) call(method string) {
	if e.in == method {
		panic("in " + method)
	}
}

func (e panicky) Error() string { e.call("Error"); return "panicky" }
func (e panicky) Unwrap() error { e.call("Unwrap"); return nil }
func (e panicky) Is(error) bool { e.call("Is"); return false }
func (e panicky) As(any) bool   { e.call("As"); return false }

// several is a panicky error that joins others.
type several struct{ panicky }

func (e several) Unwrap() []error { e.call("Unwrap"); return nil }

// An error whose methods panic is an error like any other: it names its node, and ends
// nothing else.
func TestErrors_that_panic(t *testing.T) {
	broken := map[string]error{
		"nil Timeout": (*scheduler.Timeout)(nil), "nil TaskError": (*scheduler.TaskError)(nil), "nil StopError": (*scheduler.StopError)(nil),
		"nil PanicError": (*scheduler.PanicError)(nil), "nil AddError": (*scheduler.AddError)(nil), "nil LateError": (*scheduler.LateError)(nil),
		"several": several{panicky{"Unwrap"}},
	}
	for _, method := range []string{"Error", "Unwrap", "Is", "As"} {
		broken[method] = panicky{method}
	}
	returns := func(err error) scheduler.Task { return scheduler.Func(func(context.Context) error { return err }) }
	call := func(what func(ctx context.Context) error) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			<-ctx.Done()
			return what(ctx)
		})
	}
	for name, err := range broken {
		for how, run := range map[string]func(t *testing.T) error{
			"node": func(t *testing.T) error {
				g := newGroup(t, "a b:a c", func(string) scheduler.Task { return returns(err) }, &scheduler.GroupOptions[string]{AggregateErrors: true})
				result := scheduler.Run(t.Context(), g, nil)
				require.Equal(t, scheduler.StateSkipped, g.State("b"))
				var b strings.Builder
				_, failed := g.WriteTo(&b)
				require.NoError(t, failed)
				require.Len(t, scheduler.Causes(result), 2)
				require.Nil(t, asError[*scheduler.ExceptionGroup](t, result).Subgroup(func(error) bool { return false }))
				return asError[*scheduler.ExceptionGroup](t, result).Errors[1]
			},
			"Walk": func(t *testing.T) error {
				return scheduler.Walk(t.Context(), graph("c b"), func(ctx context.Context, k string) error {
					if k == "b" { // the second to fail
						<-ctx.Done()
					}
					return err
				}, nil)
			},
			"Retry": func(t *testing.T) error {
				return scheduler.Run(t.Context(), newGroup(t, "c", func(string) scheduler.Task {
					return scheduler.Retry(constant(-1), func(int, error) scheduler.Task { return returns(err) })
				}, nil), nil)
			},
			"closed": func(t *testing.T) error {
				g := newGroup(t, "fails c", func(k string) scheduler.Task {
					if k == "fails" {
						return lasting(1, errOops)
					}
					return call(func(context.Context) error { return err })
				}, nil)
				require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), errOops)
				return g.Err("c")
			},
			"joined after a Timeout": func(t *testing.T) error {
				return scheduler.Run(t.Context(), newGroup(t, "c", func(string) scheduler.Task {
					return call(func(ctx context.Context) error { return errors.Join(ctx.Err(), err) })
				}, &scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Second }}), nil)
			},
			"thrown": func(t *testing.T) error {
				g := newGroup(t, "c", hours, nil)
				r := scheduler.NewTaskRunner(g, nil)
				time.AfterFunc(time.Second, func() { r.Interrupt(err) })
				require.Error(t, r.Run(t.Context()))
				return &scheduler.TaskError{Key: "c", Err: g.Errors()[0]}
			},
			"cause": func(t *testing.T) error {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(err) })
				g := newGroup(t, "c", func(string) scheduler.Task { return call(context.Cause) }, nil)
				require.Error(t, scheduler.Run(ctx, g, &scheduler.RunnerOptions{Grace: time.Second, EndCalls: true}))
				require.Equal(t, scheduler.StateCancelled, g.State("c"))
				return g.Err("c")
			},
		} {
			inBubble(t, name+"/"+how, func(t *testing.T) {
				got := run(t)
				require.Equal(t, "c", asError[*scheduler.TaskError](t, got).Key)
				require.NotPanics(t, func() { _ = fmt.Sprint(got) })
			})
		}
	}
}

// A panic of a function of the options is one of the node that it was asked about.
func TestGroup_options_that_panic(t *testing.T) {
	for name, set := range map[string]func(o *scheduler.GroupOptions[string], of func(k string)){
		"Timeout": func(o *scheduler.GroupOptions[string], of func(k string)) {
			o.Timeout = func(k string) time.Duration { of(k); return 0 }
		},
		"Claims": func(o *scheduler.GroupOptions[string], of func(k string)) {
			o.Claims = func(k string) []scheduler.Claim { of(k); return nil }
		},
		"Context": func(o *scheduler.GroupOptions[string], of func(k string)) {
			o.Context = func(ctx context.Context, k string) context.Context { of(k); return ctx }
		},
		"OnError": func(o *scheduler.GroupOptions[string], of func(k string)) {
			o.OnError = func(k string, _ error) scheduler.Disposition { of(k); return scheduler.StopGroup }
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			var opts scheduler.GroupOptions[string]
			closed := false
			set(&opts, func(k string) {
				if k == "b" {
					panicForTest(errOops)
				}
			})
			g := newGroup(t, "a b c", func(k string) scheduler.Task {
				if k == "b" {
					return lasting(0, errSpace)
				}
				return (&fakeTask{step: forever, close: func() error { closed = true; return nil }}).task()
			}, &opts)
			p := asError[*scheduler.PanicError](t, panicOf(t, func() { _ = scheduler.Run(t.Context(), g, nil) }).(error))
			require.Equal(t, "b", p.Path)
			require.Equal(t, errOops, p.Value)
			require.True(t, closed)
			require.Zero(t, g.Count(scheduler.StateRunning))
		})
	}
}

// GraceFor is asked about nodes that run: all are closed, and the panic names the one
// that was asked about.
func TestGraceFor_panics(t *testing.T) {
	for name, c := range map[string]struct {
		opts scheduler.GroupOptions[string]
		end  func(g *scheduler.DependencyTaskGroup[string])
		task func(scheduler.Task) scheduler.Task
	}{
		"as the group stops":       {end: func(g *scheduler.DependencyTaskGroup[string]) { g.StopNode("a", nil) }},
		"as the node is to end":    {end: func(g *scheduler.DependencyTaskGroup[string]) { g.StopNode("b", nil) }},
		"at the node's time limit": {opts: scheduler.GroupOptions[string]{Timeout: byKey(map[string]time.Duration{"b": time.Second})}},
		"for a task in its step":   {task: func(task scheduler.Task) scheduler.Task { return scheduler.WithTimeout(time.Hour, task) }},
	} {
		inBubble(t, name, func(t *testing.T) {
			closed := 0
			c.opts.GraceFor = func(k string) time.Duration {
				if k == "b" {
					panicForTest(errOops)
				}
				return 0
			}
			g := newGroup(t, "a b c", func(string) scheduler.Task {
				task := (&fakeTask{step: forever, close: func() error { closed++; return nil }}).task()
				if c.task != nil {
					return c.task(task)
				}
				return task
			}, &c.opts)
			outer := newGroup(t, "g", func(string) scheduler.Task { return g }, nil)
			opts := &scheduler.RunnerOptions{Wait: time.Second, Progress: func(context.Context) error {
				if c.end != nil {
					c.end(g)
				}
				return nil
			}}
			p := asError[*scheduler.PanicError](t, panicOf(t, func() { _ = scheduler.Run(t.Context(), outer, opts) }).(error))
			require.Equal(t, "g/b", p.Path)
			require.Equal(t, errOops, p.Value)
			require.Regexp(t, `^panic: oops in g/b at scheduler_test\.panicForTest`, p.Error())
			require.Zero(t, g.Count(scheduler.StateRunning))
			require.NotZero(t, closed)
		})
	}
}

// A nil context is refused where it comes from.
func TestGroup_Context_returns_nil(t *testing.T) {
	g := newGroup(t, "a b", func(string) scheduler.Task { return lasting0 }, &scheduler.GroupOptions[string]{
		AggregateErrors: true,
		Context: func(ctx context.Context, k string) context.Context {
			if k == "a" {
				return nil
			}
			return ctx
		},
	})
	require.EqualError(t, scheduler.Run(t.Context(), g, nil), "1 task failed:\n- a: scheduler: GroupOptions.Context: returned a nil Context")
	require.Equal(t, scheduler.StateSucceeded, g.State("b"))
}

// The name of a task that panics is an error's text like that of fmt, and ends nothing.
func TestTaskDescription_panics(t *testing.T) {
	task := nameless{scheduler.Func(func(context.Context) error { return errOops })}
	require.Equal(t, "%!v(PANIC=String method: in String)", scheduler.TaskDescription(task))
	g := newGroup(t, "a", func(string) scheduler.Task { return task }, nil)
	require.EqualError(t, scheduler.Run(t.Context(), g, nil), "a: oops")
}

type nameless struct{ scheduler.Task }

func (nameless) String() string { panic("in String") }

// A panic is a failure, whatever it was called with: no wish to be skipped, and no answer
// to a notice.
func TestRecoverPanics_of_what_is_no_failure(t *testing.T) {
	for name, what := range map[string]func(ctx context.Context) error{
		"ErrSkip":   func(context.Context) error { return scheduler.ErrSkip },
		"notice":    scheduler.StopCause,
		"ErrClosed": func(context.Context) error { return scheduler.ErrClosed },
	} {
		inBubble(t, name, func(t *testing.T) {
			g := newGroup(t, "fails c", func(k string) scheduler.Task {
				if k == "fails" {
					return lasting(1, errOops)
				}
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					_ = co.Yield(scheduler.After(2 * time.Second))
					panic(what(co.Context()))
				})
			}, &scheduler.GroupOptions[string]{RecoverPanics: true, Grace: time.Minute})
			require.ErrorIs(t, scheduler.Run(t.Context(), g, nil), errOops)
			require.Equal(t, scheduler.StateFailed, g.State("c"))
			require.ErrorAs(t, g.Err("c"), new(*scheduler.PanicError))
			require.False(t, scheduler.Interrupted(g.Err("c")))
		})
	}
}

// A nil pointer or function is refused like nil by whatever takes a task, and nothing of it
// is called.
func TestNil_pointer_or_function_is_no_task(t *testing.T) {
	for name, none := range map[string]scheduler.Task{
		"nil *scheduler_test.fakeTask": (*fakeTask)(nil),
		"nil scheduler.Func":           scheduler.Func(nil),
		"nil scheduler.StepFunc":       scheduler.StepFunc(nil),
	} {
		t.Run(name, func(t *testing.T) { testNoTask(t, name, none) })
	}
}

func testNoTask(t *testing.T, name string, none scheduler.Task) {
	t.Helper()
	task := func() scheduler.Task {
		return scheduler.Func(func(context.Context) error { t.Error("it has begun"); return nil })
	}
	for want, broken := range map[string]scheduler.Task{
		"scheduler: nil task: " + name + ": number 1 of a Sequence":   scheduler.Sequence(task(), none),
		"scheduler: nil task: " + name + ": the task of a Finally":    scheduler.Finally(none, task()),
		"scheduler: nil task: " + name + ": the cleanup of a Finally": scheduler.Finally(task(), none),
		"scheduler: nil task: " + name + ": number 1 of a First":      scheduler.First(task(), none),
		"scheduler: nil task: " + name + ": number 1 of an All":       scheduler.All(task(), none),
		"scheduler: nil task: " + name:                                scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(none) }),
		"scheduler: nil task: " + name + "\nno space": scheduler.Retry(constant(0), func(attempt int, _ error) scheduler.Task {
			if attempt == 1 {
				return scheduler.Func(func(context.Context) error { return errSpace })
			}
			return none
		}),
	} {
		err := scheduler.Run(t.Context(), broken, nil)
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, scheduler.ErrNilTask)
	}
	for want, do := range map[string]func(){
		"scheduler: WithTimeout: " + name + " as Task":         func() { scheduler.WithTimeout(0, none) },
		"scheduler: Shield: " + name + " as Task":              func() { scheduler.Shield(none) },
		"scheduler: Named: " + name + " as Task for web":       func() { scheduler.Named("web", none) },
		"scheduler: Reserve: " + name + " as Task":             func() { scheduler.Reserve(0, none) },
		"scheduler: Claiming: " + name + " as Task":            func() { scheduler.Claiming(nil, none) },
		"scheduler: Timeout.Trigger: " + name + " as Task":     func() { _ = new(scheduler.Timeout).Trigger(t.Context(), none) },
		"scheduler: TimedCancel.Trigger: " + name + " as Task": func() { _ = new(scheduler.TimedCancel).Trigger(t.Context(), none) },
	} {
		require.PanicsWithValue(t, want, do)
	}
	require.EqualError(t, scheduler.Run(t.Context(), none, nil), "scheduler: task: "+name+" as Task")
}

// A negative pause between polls would be none at all: it is refused where it is given.
func TestPoll_refuses_a_negative_pause(t *testing.T) {
	ready := func(context.Context) (bool, error) { return true, nil }
	option := asError[*scheduler.OptionError](t, panicOf(t, func() { scheduler.Poll(-1, ready) }).(error))
	require.EqualError(t, option, "scheduler: Poll: negative duration -1ns")
	v := panicOf(t, func() {
		_ = scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := scheduler.PollCall(co, -time.Second, func(context.Context) (int, bool, error) { return 0, true, nil })
			return err
		}), nil)
	})
	require.ErrorAs(t, v.(error), &option)
	require.EqualError(t, option, "scheduler: PollCall: negative duration -1s")
}

// A group that is driven by hand says what is wrong with what it was given, and a
// nil cause of a stop is no nil dereference later.
func TestGroup_misuse_by_hand(t *testing.T) {
	var none context.Context
	group := func() *scheduler.DependencyTaskGroup[string] {
		return newGroup(t, "a", func(string) scheduler.Task { return scheduler.Pause(scheduler.After(time.Hour)) },
			&scheduler.GroupOptions[string]{Name: "web", Grace: time.Hour})
	}
	g := group()
	_, err := g.Step(none)
	require.EqualError(t, err, "scheduler: ctx: nil Context")
	_, err = g.Step(t.Context())
	require.NoError(t, err, "it was not used up by that")
	require.PanicsWithValue(t, "scheduler: DependencyTaskGroup.Throw into web: nil error", func() { _, _ = g.Throw(t.Context(), nil) })
	require.PanicsWithValue(t, "scheduler: DependencyTaskGroup.Throw into web: nil Context", func() { _, _ = g.Throw(none, errOops) })
	require.PanicsWithValue(t, "scheduler: DependencyTaskGroup.Stop of web: nil Context", func() { g.Stop(none, errOops) })
	g.Stop(t.Context(), nil)
	require.NoError(t, g.Close())
	require.EqualError(t, new(scheduler.StopError), "scheduler: cancelled")

	err = scheduler.Run(t.Context(), new(scheduler.DependencyTaskGroup[string]), nil)
	require.EqualError(t, err, "scheduler: DependencyTaskGroup: zero value; use NewDependencyTaskGroup")
}

func TestMisuse_of_a_nil_context(t *testing.T) {
	var none context.Context
	fn := func(context.Context, string) error { return nil }
	require.EqualError(t, scheduler.Walk(none, graph("a"), fn, nil), "scheduler: ctx: nil Context")
	_, err := scheduler.First(nothing("a")).Step(none)
	require.EqualError(t, err, "scheduler: ctx: nil Context")
	for want, do := range map[string]func(){
		"scheduler: Now: nil Context":       func() { scheduler.Now(none) },
		"scheduler: StopCause: nil Context": func() { _ = scheduler.StopCause(none) },
		"scheduler: WithClock: nil Context": func() { scheduler.WithClock(none, newClock()) },
		"scheduler: Stopping: nil Context":  func() { scheduler.Stopping(none) },
		"scheduler: Note: nil Context":      func() { scheduler.Note(none, "") },
	} {
		require.PanicsWithValue(t, want, do)
	}
}

// A task that has ended, in whichever way, has been used, and says so with its name.
func TestTasks_are_used_once(t *testing.T) {
	fn := func(context.Context) error { return nil }
	ready := func(context.Context) (bool, error) { return true, nil }
	body := func(*scheduler.Coroutine) error { return nil }
	var ends scheduler.Event
	event := func() scheduler.Task { return scheduler.Pause(scheduler.On(&ends)) }
	subrun := func() *scheduler.TaskRunner {
		return scheduler.NewTaskRunner(event(), &scheduler.RunnerOptions{Name: "used"})
	}
	for name, tt := range map[string]struct {
		make func() scheduler.Task
		says string
	}{
		"Pause":    {event, "Pause("},
		"Blocking": {func() scheduler.Task { return scheduler.Blocking(fn) }, "used_once.func"},
		"Fetch": {func() scheduler.Task {
			return scheduler.Fetch(ready, func(bool, error) error { return nil })
		}, "used_once.func"},
		"Poll":     {func() scheduler.Task { return scheduler.Poll(time.Second, ready) }, "used_once.func"},
		"Wrap":     {func() scheduler.Task { return scheduler.Wrap(body) }, "used_once.func"},
		"Sequence": {func() scheduler.Task { return scheduler.Sequence(event()) }, "Sequence"},
		"Finally":  {func() scheduler.Task { return scheduler.Finally(event(), event()) }, "Finally"},
		"Retry": {func() scheduler.Task {
			return scheduler.Retry(constant(0), func(int, error) scheduler.Task { return event() })
		}, "Retry"},
		"All":   {func() scheduler.Task { return scheduler.All(event()) }, "All"},
		"First": {func() scheduler.Task { return scheduler.First(event()) }, "First"},
		"group": {func() scheduler.Task {
			return newGroup(t, "a", func(string) scheduler.Task { return event() }, &scheduler.GroupOptions[string]{Name: "used"})
		}, "used"},
		"Claiming": {func() scheduler.Task { return scheduler.Claiming(nil, event()) }, "Pause("},
		"Named":    {func() scheduler.Task { return scheduler.Named("web", event()) }, "Pause("},
		"Shield":   {func() scheduler.Task { return scheduler.Shield(event()) }, "Pause("},
		"Reserve":  {func() scheduler.Task { return scheduler.Reserve(time.Second, event()) }, "Pause("},
		"Subrun":   {func() scheduler.Task { return scheduler.Subrun(subrun()) }, "used"},
	} {
		for how, end := range map[string]func(scheduler.Task){
			"its own end": func(task scheduler.Task) {
				ends.Set()
				require.NoError(t, scheduler.Run(t.Context(), task, nil))
				ends.Reset()
			},
			"Close before its first step": func(task scheduler.Task) { require.NoError(t, task.Close()) },
			"Throw before its first step": func(task scheduler.Task) {
				if thrower, ok := task.(scheduler.Thrower); ok {
					_, err := thrower.Throw(t.Context(), errOops)
					require.Equal(t, errOops, err)
				} else {
					require.NoError(t, task.Close())
				}
			},
			"Close": func(task scheduler.Task) { require.NoError(t, startRunner(t, task, nil).Cancel()) },
			"Throw": func(task scheduler.Task) {
				r := startRunner(t, task, nil)
				r.Interrupt(errOops)
				_, _ = r.Step(t.Context())
				_ = r.Cancel() // a clean-up has yielded once more
			},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				task := tt.make()
				end(task)
				err := scheduler.Run(t.Context(), task, nil)
				require.ErrorIs(t, err, scheduler.ErrEnded)
				require.ErrorContains(t, err, tt.says)
				require.False(t, errors.Is(err, scheduler.ErrCancelled))
			})
		}
	}
	t.Run("Subrun of a runner that somebody else drives", func(t *testing.T) {
		r := startRunner(t, event(), nil)
		require.NoError(t, scheduler.Subrun(r).Close())
		require.False(t, r.Done())
		require.NoError(t, r.Cancel())
	})
}

// callbackRun is a run in which a callback misuses what drives it.
type callbackRun struct {
	r *scheduler.TaskRunner
	g *scheduler.DependencyTaskGroup[string]
}

// misuses are what no code of a run may do while it is being stepped.
var misuses = map[string]func(s callbackRun) error{
	"Run": func(callbackRun) error {
		return scheduler.Run(context.Background(), scheduler.Pause(scheduler.Next), nil)
	},
	"Walk": func(callbackRun) error {
		return scheduler.Walk(context.Background(), graph("a"), func(context.Context, string) error { return nil }, nil)
	},
	"its runner's Run":    func(s callbackRun) error { return s.r.Run(context.Background()) },
	"its runner's Start":  func(s callbackRun) error { return s.r.Start(context.Background(), 0) },
	"its runner's Step":   func(s callbackRun) error { _, err := s.r.Step(context.Background()); return err },
	"its runner's Cancel": func(s callbackRun) error { return s.r.Cancel() },
	"its group's Step":    func(s callbackRun) error { _, err := s.g.Step(context.Background()); return err },
	"its group's Throw":   func(s callbackRun) error { _, err := s.g.Throw(context.Background(), errOops); return err },
	"its group's Stop":    func(s callbackRun) error { s.g.Stop(context.Background(), errOops); return nil },
	"its group's Close":   func(s callbackRun) error { return s.g.Close() },
}

// callbacks are where the code of a run is called: they set what is called in the
// options or the task of the node "a".
var callbacks = map[string]func(o *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) (task scheduler.Task){
	"task": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return called(do)
	},
	"coroutine": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return scheduler.Wrap(func(*scheduler.Coroutine) error { do(); return nil })
	},
	"Close": func(_ *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		r.Timeout = time.Second
		return (&fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, close: func() error { do(); return nil }}).task()
	},
	"clean-up of a coroutine": func(_ *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		r.Timeout = time.Second
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			defer do()
			return co.Yield(scheduler.After(time.Hour))
		})
	},
	"Throw": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Timeout = func(string) time.Duration { return time.Second }
		return (&fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, throw: func(ctx context.Context, err error) (scheduler.Yield, error) {
			do()
			return passOn(ctx, err)
		}}).task()
	},
	"Stop": func(o *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		r.Timeout, r.Grace = time.Second, time.Second
		return (&fakeTask{yields: []scheduler.Yield{scheduler.After(time.Hour)}, stop: func(context.Context, error) { do() }}).task()
	},
	"then of a Fetch": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return scheduler.Fetch(func(context.Context) (int, error) { return 0, nil }, func(int, error) error { do(); return nil })
	},
	"BackOff": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return scheduler.Retry(scheduler.BackOffFunc(func(int, error) scheduler.Yield { do(); return scheduler.Done }),
			func(int, error) scheduler.Task { return lasting(0, errSpace) })
	},
	"attempt": func(_ *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		return scheduler.Retry(constant(-1), func(int, error) scheduler.Task { do(); return lasting0 })
	},
	"Progress": func(_ *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		r.Progress = func(context.Context) error { do(); return nil }
		return lasting(1, nil)
	},
	"Clock": func(_ *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		stepped := false
		r.Clock = &calledClock{schedulertest.NewClock(time.Time{}), func() {
			if stepped {
				do()
			}
		}}
		return scheduler.Sequence(called(func() { stepped = true }), scheduler.Pause(scheduler.After(time.Second)))
	},
	"Wake": func(_ *scheduler.GroupOptions[string], r *scheduler.RunnerOptions, do func()) scheduler.Task {
		r.Wake = do
		e := new(scheduler.Event)
		return scheduler.All(scheduler.Pause(scheduler.On(e)), called(e.Set))
	},
	"Observer": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Observer = scheduler.ObserverFunc(func(r scheduler.Record) {
			if r.Kind == scheduler.NodeChanged {
				do()
			}
		})
		return lasting0
	},
	"When": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.When = func(string, iter.Seq2[string, scheduler.State]) scheduler.Verdict { do(); return scheduler.Usual }
		return lasting0
	},
	"Timeout": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Timeout = func(string) time.Duration { do(); return 0 }
		return lasting0
	},
	"Context": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Context = func(ctx context.Context, _ string) context.Context { do(); return ctx }
		return lasting0
	},
	"Claims": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.Claims = func(string) []scheduler.Claim { do(); return nil }
		return lasting0
	},
	"OnError": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.OnError = func(string, error) scheduler.Disposition { do(); return scheduler.StopGroup }
		return lasting(0, errSpace)
	},
	"GraceFor": func(o *scheduler.GroupOptions[string], _ *scheduler.RunnerOptions, do func()) scheduler.Task {
		o.GraceFor = func(string) time.Duration { do(); return 0 }
		o.Timeout = func(string) time.Duration { return time.Second }
		return lasting(2, nil)
	},
}

// ownStack is what runs as a coroutine: another run with another context is not found
// there. Progress is called between two steps, where all of it is allowed.
var ownStack = map[string]bool{"coroutine": true, "clean-up of a coroutine": true, "BackOff": true, "attempt": true}

// calledClock calls a function whenever it is read.
type calledClock struct {
	*schedulertest.Clock
	do func()
}

func (c *calledClock) Now() time.Time {
	c.do()
	return c.Clock.Now()
}

func called(do func()) scheduler.Task {
	return scheduler.Func(func(context.Context) error { do(); return nil })
}

// Code of a run that drives what it is a part of, or runs another, gets an error or a
// panic with a sentence, wherever it is called, and the run ends.
func TestMisuse_inside_callbacks(t *testing.T) {
	isRun := map[string]bool{"Run": true, "Walk": true}
	for where, set := range callbacks {
		onStack := ownStack[where]
		for what, misuse := range misuses {
			inBubble(t, where+"/"+what, func(t *testing.T) {
				var s callbackRun
				var opts scheduler.GroupOptions[string]
				var runner scheduler.RunnerOptions
				done, answer := false, error(nil)
				task := set(&opts, &runner, func() {
					if done || s.r == nil {
						return
					}
					done = true
					defer func() {
						if v := recover(); v != nil {
							answer = asSentence(t, v)
							panic(v)
						}
					}()
					answer = misuse(s)
				})
				opts.Name = "G"
				s.g = newGroup(t, "a", func(string) scheduler.Task { return task }, &opts)
				s.r = scheduler.NewTaskRunner(s.g, &runner)
				onGoroutine(func() { _ = s.r.Run(t.Context()) })
				require.True(t, done, "it was not called")
				require.True(t, s.r.Done(), "the run has not ended")
				if where == "Progress" || onStack && isRun[what] {
					return
				}
				require.Error(t, answer, "it was let through")
				require.Contains(t, answer.Error(), "scheduler: ")
				if method, ok := strings.CutPrefix(what, "its group's "); ok {
					require.EqualError(t, answer, "scheduler: DependencyTaskGroup."+method+" of G called during a step")
				}
			})
		}
	}
	for i := range reflect.TypeFor[scheduler.GroupOptions[string]]().NumField() {
		field := reflect.TypeFor[scheduler.GroupOptions[string]]().Field(i)
		switch field.Name {
		case "Completed", "Estimate": // see TestMisuse_inside_Add
		case "Priority": // called by NewDependencyTaskGroup only, before there is a run
		default:
			_, ok := callbacks[field.Name]
			require.True(t, ok || field.Type.Kind() != reflect.Func, "no misuse inside %s is tried", field.Name)
		}
	}
}

// The same in what Add calls.
func TestMisuse_inside_Add(t *testing.T) {
	for where, set := range map[string]func(o *scheduler.GroupOptions[string], do func(k string)){
		"Completed": func(o *scheduler.GroupOptions[string], do func(k string)) {
			o.Completed = func(k string) bool { do(k); return false }
		},
		"Estimate": func(o *scheduler.GroupOptions[string], do func(k string)) {
			o.Limit, o.Estimate = 1, func(k string) time.Duration { do(k); return 0 }
		},
	} {
		misuses := maps.Clone(misuses)
		misuses["its group's Add"] = func(s callbackRun) error { return s.g.Add("c") }
		for what, misuse := range misuses {
			inBubble(t, where+"/"+what, func(t *testing.T) {
				var s callbackRun
				var answer error
				opts := scheduler.GroupOptions[string]{KeepOpen: true}
				set(&opts, func(k string) {
					if k != "b" {
						return
					}
					defer func() {
						if v := recover(); v != nil {
							answer = asSentence(t, v)
							panic(v)
						}
					}()
					answer = misuse(s)
				})
				s.g = newGroup(t, "a", func(k string) scheduler.Task {
					return called(func() {
						if k == "a" {
							require.NoError(t, s.g.Add("b"))
							s.g.CloseInput()
						}
					})
				}, &opts)
				s.r = scheduler.NewTaskRunner(s.g, nil)
				onGoroutine(func() { _ = s.r.Run(t.Context()) })
				require.True(t, s.r.Done(), "the run has not ended")
				require.Error(t, answer, "it was let through")
				require.Contains(t, answer.Error(), "scheduler: ")
			})
		}
	}
}

// asSentence returns the text that code panicked with.
func asSentence(t *testing.T, v any) error {
	t.Helper()
	switch v := v.(type) {
	case string:
		return errors.New(v)
	case error:
		return v
	}
	require.Fail(t, "a panic without a sentence")
	return nil
}

// What is for the driving goroutine panics on another one while Run sleeps on it, and
// the run goes on. What is for any goroutine does not.
func TestMisuse_from_another_goroutine(t *testing.T) {
	for name, do := range map[string]func(r *scheduler.TaskRunner){
		"Start":           func(r *scheduler.TaskRunner) { _ = r.Start(t.Context(), 0) },
		"Step":            func(r *scheduler.TaskRunner) { _, _ = r.Step(t.Context()) },
		"RunWith":         func(r *scheduler.TaskRunner) { _ = r.RunWith(context.Background(), 0, 0) },
		"RunToCompletion": func(r *scheduler.TaskRunner) { _ = r.RunToCompletion(context.Background(), 0) },
		"Cancel":          func(r *scheduler.TaskRunner) { _ = r.Cancel() },
		"Stop":            func(r *scheduler.TaskRunner) { r.Stop(errOops) },
		"CancelAfter":     func(r *scheduler.TaskRunner) { r.CancelAfter(0) },
		"Close":           func(r *scheduler.TaskRunner) { _ = r.AsTask(0).Close() },
	} {
		inBubble(t, name, func(t *testing.T) {
			r := scheduler.NewTaskRunner(lasting(10, nil), &scheduler.RunnerOptions{Name: "web"})
			time.AfterFunc(time.Second, func() {
				require.Contains(t, asSentence(t, panicOf(t, func() { do(r) })).Error(), "of web called while Run drives it")
			})
			require.NoError(t, r.Run(t.Context()))
		})
	}
}

// So do the methods of a group, but those that any goroutine may call.
func TestMisuse_of_a_group_from_another_goroutine(t *testing.T) {
	type group = *scheduler.DependencyTaskGroup[string]
	methods := map[string]func(g group){
		"Step":         func(g group) { _, _ = g.Step(t.Context()) },
		"Throw":        func(g group) { _, _ = g.Throw(t.Context(), errOops) },
		"Stop":         func(g group) { g.Stop(t.Context(), errOops) },
		"Close":        func(g group) { _ = g.Close() },
		"BeginClose":   func(g group) { g.BeginClose() },
		"Drain":        func(g group) { g.Drain() },
		"Add":          func(g group) { _ = g.Add("b") },
		"CloseInput":   func(g group) { g.CloseInput() },
		"StopNode":     func(g group) { g.StopNode("a", nil) },
		"SkipNode":     func(g group) { g.SkipNode("a", nil) },
		"Len":          func(g group) { g.Len() },
		"State":        func(g group) { g.State("a") },
		"Started":      func(g group) { g.Started("a") },
		"Count":        func(g group) { g.Count(scheduler.StateRunning) },
		"All":          func(g group) { g.All() },
		"Running":      func(g group) { g.Running() },
		"WaitsFor":     func(g group) { g.WaitsFor("a") },
		"Errors":       func(g group) { g.Errors() },
		"Err":          func(g group) { _ = g.Err("a") },
		"Rounds":       func(g group) { g.Rounds() },
		"Outcomes":     func(g group) { g.Outcomes() },
		"Explain":      func(g group) { g.Explain() },
		"ExplainNode":  func(g group) { g.ExplainNode("a") },
		"Snapshot":     func(g group) { g.Snapshot() },
		"Dependencies": func(g group) { g.Dependencies() },
		"WriteTo":      func(g group) { _, _ = g.WriteTo(io.Discard) },
		"WriteDOT":     func(g group) { _ = g.WriteDOT(io.Discard) },
		"WriteMermaid": func(g group) { _ = g.WriteMermaid(io.Discard) },
	}
	for i := range reflect.TypeFor[group]().NumMethod() {
		if name := reflect.TypeFor[group]().Method(i).Name; name != "String" {
			require.Contains(t, methods, name)
		}
	}
	for name, do := range methods {
		inBubble(t, name, func(t *testing.T) {
			var view scheduler.GroupView
			g := newGroup(t, "a", func(string) scheduler.Task { return lasting(10, nil) }, &scheduler.GroupOptions[string]{
				Name: "web", KeepOpen: name == "Add" || name == "CloseInput",
				Observer: scheduler.ObserverFunc(func(r scheduler.Record) { view = r.Group() }),
			})
			do := func() { do(g) }
			r := scheduler.NewTaskRunner(g, nil)
			time.AfterFunc(time.Second, func() {
				require.Equal(t, "scheduler: DependencyTaskGroup."+name+" of web called while Run drives it; use TaskRunner.Post", panicOf(t, do))
				require.Equal(t, "scheduler: GroupView.Rounds of web called while Run drives it; use TaskRunner.Post", panicOf(t, func() { view.Rounds() }))
				require.Equal(t, "web web web", fmt.Sprintf("%v %v %s", g, view, view.Name()))
				require.True(t, view.Post(g.CloseInput))
			})
			require.NoError(t, r.Run(t.Context()))
			require.NotPanics(t, func() { g.Count(scheduler.StateSucceeded) })
		})
	}
}

// A group that has ended does not change any more: any goroutine may ask it, also while the
// run around it sleeps.
func TestMisuse_of_a_group_that_has_ended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "a", second, nil)
		time.AfterFunc(5*time.Second, func() { require.Equal(t, scheduler.StateSucceeded, g.State("a")) })
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Sequence(g, lasting(10, nil)), nil))
	})
}

// A Clock may ask a group in Wait, which is called by the goroutine that drives it.
func TestGroup_asked_by_the_Clock(t *testing.T) {
	g := newGroup(t, "a", hours, nil)
	clock := curiousClock{newClock(), func() { require.Equal(t, scheduler.StateRunning, g.State("a")) }}
	require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Clock: clock}))
}

// A second Run of a runner, by what Run calls between two steps, is refused and leaves
// the first one its wake-ups.
func TestMisuse_Run_between_two_steps(t *testing.T) {
	for _, where := range []string{"Progress", "Post"} {
		inBubble(t, where, func(t *testing.T) {
			var r *scheduler.TaskRunner
			var said []error
			again := func() { said = append(said, r.Run(t.Context())) }
			e := new(scheduler.Event)
			task := scheduler.Sequence(scheduler.Pause(scheduler.After(time.Second)), scheduler.Pause(scheduler.On(e)))
			opts := &scheduler.RunnerOptions{}
			if where == "Progress" {
				opts.Progress = func(context.Context) error { again(); return nil }
			}
			r = scheduler.NewTaskRunner(task, opts)
			time.AfterFunc(2*time.Second, func() {
				if where == "Post" {
					r.Post(again)
				}
			})
			time.AfterFunc(time.Minute, e.Set)
			require.NoError(t, r.Run(t.Context()))
			require.NotEmpty(t, said)
			for _, err := range said {
				require.ErrorIs(t, err, scheduler.ErrStarted)
			}
		})
	}
}
