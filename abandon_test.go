package scheduler_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

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
		until := make(chan struct{})
		close(until)
		for name := range held(func() scheduler.Task { return stuck(until) }) {
			t.Run(reason+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					until := make(chan struct{})
					limiter := scheduler.NewLimiter(scheduler.LimiterOptions{Capacity: 1})
					g := newGroup(t, "node", func(string) scheduler.Task {
						return held(func() scheduler.Task { return stuck(until) })[name]
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
					var lost *scheduler.AbandonedError
					require.ErrorAs(t, err, &lost)
					require.Contains(t, lost.Path, "node")
					require.Contains(t, string(lost.Stack), "abandon_test.go")
					require.Contains(t, lost.Error(), "left behind")
					require.Zero(t, limiter.InUse())
					require.False(t, lost.Returned())
					close(until)
					synctest.Wait()
					require.True(t, lost.Returned())
				})
			})
		}
	}
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
		var lost *scheduler.AbandonedError
		require.ErrorAs(t, err, &lost)
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

// Many calls that are left behind at once cost one look at the goroutines.
func TestAbandon_of_many(t *testing.T) {
	const n = 1000
	until := make(chan struct{})
	began := time.Now()
	err := scheduler.Run(t.Context(), numbered(n, func(int) scheduler.Task { return stuck(until) }, &scheduler.GroupOptions[int]{
		AggregateErrors: true, Abandon: time.Millisecond,
	}), &scheduler.RunnerOptions{Timeout: 10 * time.Millisecond})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 30*time.Second)
	close(until)
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
		outer := groupOf(t, "a", func(string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				inner := groupOf(t, "x y:x", second, &scheduler.GroupOptions[string]{Claims: claims})
				// A run that knows nothing of the end of the call.
				inside <- scheduler.Run(context.WithoutCancel(ctx), scheduler.Sequence(scheduler.Pause(scheduler.After(time.Minute)), inner), nil)
				return nil
			})
		}, &scheduler.GroupOptions[string]{Claims: claims, Abandon: time.Second, Timeout: func(string) time.Duration { return time.Second }})
		err := scheduler.Run(t.Context(), outer, nil)
		require.IsType(t, (*scheduler.AbandonedError)(nil), asError[*scheduler.AbandonedError](t, err))
		require.Zero(t, l.InUse())
		require.NoError(t, scheduler.Run(t.Context(), groupOf(t, "b", second, &scheduler.GroupOptions[string]{Claims: claims}), nil))
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
		outer := groupOf(t, "a", func(string) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				inner := groupOf(t, "x y", func(string) scheduler.Task { return lasting(60, nil) }, &scheduler.GroupOptions[string]{Claims: claims})
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
