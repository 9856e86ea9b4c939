package scheduler_test

import (
	"context"
	"testing"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

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
			var p *scheduler.PanicError
			require.ErrorAs(t, err, &p)
			require.Equal(t, "oops", p.Value)
		})
	}
}
