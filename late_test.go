package scheduler_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

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
		for as := range held(func() scheduler.Task { return deafFor(0, nil) }) {
			t.Run(name+" "+as, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := groupOf(t, "node", func(string) scheduler.Task {
						return held(func() scheduler.Task { return deafFor(10*second, errSpace) })[as]
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
		g := groupOf(t, names, func(k string) scheduler.Task {
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
			g := groupOf(t, "f e d c b a", func(string) scheduler.Task { return deafFor(10*time.Second, nil) }, nil)
			err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Timeout: time.Second})
			var late *scheduler.LateError
			require.ErrorAs(t, err, &late)
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
		return scheduler.Run(t.Context(), groupOf(t, names, func(k string) scheduler.Task { return nodes[k] },
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
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
		})
	}
	t.Run("by another clock", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			clock := schedulertest.NewClock(time.Time{})
			r := scheduler.NewTaskRunner(deafFor(5*second, nil), &scheduler.RunnerOptions{Clock: clock})
			time.AfterFunc(second, r.Kill)
			require.NotErrorAs(t, r.Run(t.Context()), new(*scheduler.LateError))
		})
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
