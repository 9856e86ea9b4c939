package scheduler_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

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
	deps := scheduler.NewDependencies[int]()
	for i := range n {
		deps.Add(i)
	}
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
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := run(t)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				text := err.Error()
				require.Less(t, len(text), 4000)
				require.Contains(t, text, "more")
				for _, i := range []int{0, 1, n / 2, n - 1} {
					require.ErrorIs(t, err, numberedError(i))
				}
				require.GreaterOrEqual(t, len(scheduler.Causes(err)), n)
			})
		})
	}
}

// What cannot be compared is joined like anything else, and what is there already is
// not repeated.
func TestJoined_errors_of_each_kind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := scheduler.Run(t.Context(), groupOf(t, "a b c d", func(k string) scheduler.Task {
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
