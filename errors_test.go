package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/steptask/scheduler"
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
	"scheduler: coroutine went on after close and was ended by force": scheduler.ErrIgnoredClose,
	"scheduler: step returned neither a yield nor an error":           scheduler.ErrNoYield,
	"scheduler: task panicked or ended its goroutine":                 scheduler.ErrAborted,
	"scheduler: call ended its goroutine with runtime.Goexit":         scheduler.ErrGoexit,
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
			t.Parallel()
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
			t.Parallel()
			before := c.group.Error()
			matching, rest := c.group.Split(c.match)
			require.Equal(t, c.matching, matching)
			require.Equal(t, c.rest, rest)
			require.Equal(t, c.matching, c.group.Subgroup(c.match))
			require.Equal(t, before, c.group.Error(), "the group stays as it is")
		})
	}
	t.Run("keeps the task's name", func(t *testing.T) {
		t.Parallel()
		matching, rest := group(&scheduler.TaskError{Key: 1, Task: "net", Err: group(boom, other)}).Split(identity(boom))
		for _, half := range []*scheduler.ExceptionGroup{matching, rest} {
			task := asError[*scheduler.TaskError](t, half)
			require.Equal(t, "net", task.Task)
		}
	})
}

// What is left of a coroutine's error when it was closed: all but ErrClosed and
// what only adds words to it.
func TestErrClosed_is_dropped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		returns func(closed error) error
		want    string // "" for none
	}{
		"nil":                       {func(error) error { return nil }, ""},
		"itself":                    {func(closed error) error { return closed }, ""},
		"with words":                {func(closed error) error { return fmt.Errorf("more: %w", closed) }, ""},
		"with a key":                {func(closed error) error { return &scheduler.TaskError{Key: 1, Err: closed} }, ""},
		"with words, twice":         {func(closed error) error { return fmt.Errorf("even %w", fmt.Errorf("more: %w", closed)) }, ""},
		"another error":             {func(error) error { return errBoom }, "boom"},
		"another error, with words": {func(error) error { return fmt.Errorf("more: %w", errBoom) }, "more: boom"},
		"joined":                    {func(closed error) error { return errors.Join(closed, errBoom) }, "boom"},
		"joined, the other way":     {func(closed error) error { return errors.Join(errBoom, closed) }, "boom"},
		"joined, several":           {func(closed error) error { return errors.Join(errBoom, closed, errOther) }, "boom\nother"},
		"joined, without it":        {func(error) error { return errors.Join(errBoom, errOther) }, "boom\nother"},
		"joined with itself":        {func(closed error) error { return errors.Join(closed, fmt.Errorf("more: %w", closed)) }, ""},
		"joined, with words": {
			func(closed error) error { return fmt.Errorf("more: %w", errors.Join(errBoom, closed)) },
			"more: boom\nscheduler: closed",
		},
		"two in one text": {func(closed error) error { return fmt.Errorf("%w and %w", errBoom, closed) }, "boom"},
		"in a group": {
			func(closed error) error {
				return &scheduler.ExceptionGroup{Errors: []error{&scheduler.TaskError{Key: 1, Err: closed}, errBoom}}
			},
			"boom",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				err := co.Yield(scheduler.Next)
				require.Equal(t, scheduler.ErrClosed, err)
				return c.returns(err)
			})
			mustStep(t, t.Context(), task)
			if err := task.Close(); c.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.want)
			}
		})
	}
}

// An error from closing a subtask is that error, and ErrClosed besides.
func TestErrClosed_besides_an_error_of_close(t *testing.T) {
	t.Parallel()
	var seen error
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		seen = co.Await(&fakeTask{step: forever, close: func() error { return errBoom }})
		return seen
	})
	mustStep(t, t.Context(), task)
	require.Equal(t, errBoom, task.Close())
	require.ErrorIs(t, seen, errBoom)
	require.ErrorIs(t, seen, scheduler.ErrClosed)
	require.EqualError(t, seen, "boom")
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
