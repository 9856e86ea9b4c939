package scheduler_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// around are the ways in which a group can be inside of something.
var around = map[string]func(task scheduler.Task) scheduler.Task{
	"itself": func(task scheduler.Task) scheduler.Task { return task },
	"Wrap": func(task scheduler.Task) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
	},
	"AsTask": func(task scheduler.Task) scheduler.Task { return scheduler.NewTaskRunner(task, nil).AsTask(0) },
	"Retry": func(task scheduler.Task) scheduler.Task {
		return scheduler.Retry(constant(0), func(int, error) scheduler.Task { return task })
	},
	"Subrun":   func(task scheduler.Task) scheduler.Task { return scheduler.Subrun(scheduler.NewTaskRunner(task, nil)) },
	"Sequence": func(task scheduler.Task) scheduler.Task { return scheduler.Sequence(task, lasting(0, nil)) },
	"Finally": func(task scheduler.Task) scheduler.Task {
		return scheduler.Finally(task, lasting(0, nil))
	},
	"a wrapper":       func(task scheduler.Task) scheduler.Task { return wrapping{task} },
	"a plain wrapper": func(task scheduler.Task) scheduler.Task { return struct{ scheduler.Task }{task} },
	"Shield":          scheduler.Shield,
	"Named":           func(task scheduler.Task) scheduler.Task { return scheduler.Named("named", task) },
	"a group": func(task scheduler.Task) scheduler.Task {
		deps := scheduler.NewDependencies[string]()
		deps.Add("around")
		g, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task { return task }, nil)
		if err != nil {
			panic(err)
		}
		return g
	},
}

// A group that grows does so wherever it is: nodes are added inside its steps, by a
// node of a group around, and by Post; and whatever ends the run ends it too.
func TestAdd_inside_of_everything(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	type ending struct {
		do    func(r *scheduler.TaskRunner, g *grown, cancel context.CancelCauseFunc)
		limit time.Duration
		want  error // nil: the group comes to its end
	}
	endings := map[string]ending{
		"CloseInput":  {func(r *scheduler.TaskRunner, g *grown, _ context.CancelCauseFunc) { r.Post(g.CloseInput) }, 0, nil},
		"Stop":        {func(r *scheduler.TaskRunner, _ *grown, _ context.CancelCauseFunc) { r.Post(func() { r.Stop(stop) }) }, 0, stop},
		"Interrupt":   {func(r *scheduler.TaskRunner, _ *grown, _ context.CancelCauseFunc) { r.Interrupt(stop) }, 0, stop},
		"Kill":        {func(r *scheduler.TaskRunner, _ *grown, _ context.CancelCauseFunc) { r.Kill() }, 0, scheduler.ErrCancelled},
		"the context": {func(_ *scheduler.TaskRunner, _ *grown, cancel context.CancelCauseFunc) { cancel(stop) }, 0, stop},
		"a Timeout":   {func(*scheduler.TaskRunner, *grown, context.CancelCauseFunc) {}, 6 * time.Second, context.DeadlineExceeded},
	}
	for name, wrap := range around {
		for how, end := range endings {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					g := newGrown(t, "a", nil)
					g.does["a"] = func(co *scheduler.Coroutine) error {
						err := co.Yield(scheduler.After(time.Second))
						require.NoError(t, g.Add("b", "a"))
						return err
					}
					outer := newGroup(t, "inner beside", func(k string) scheduler.Task {
						if k == "inner" {
							return wrap(g.DependencyTaskGroup)
						}
						return scheduler.Sequence(lasting(3, nil), scheduler.Func(func(context.Context) error {
							require.Equal(t, scheduler.StateSucceeded, g.State("b"))
							return g.Add("c", "b") // from outside of the group
						}))
					}, nil)
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					r := scheduler.NewTaskRunner(outer, &scheduler.RunnerOptions{Timeout: end.limit, Grace: time.Second})
					time.AfterFunc(4*time.Second+time.Millisecond, func() {
						r.Post(func() {
							require.Equal(t, scheduler.StateSucceeded, g.State("c"))
							require.NoError(t, g.Add("d", "a", "c"))
						})
					})
					time.AfterFunc(6*time.Second, func() {
						r.Post(func() { require.Equal(t, scheduler.StateSucceeded, g.State("d")) })
						end.do(r, g, cancel)
					})
					err := r.Run(ctx)
					if end.want == nil {
						require.NoError(t, err)
					} else {
						require.ErrorIs(t, err, end.want)
					}
					require.ErrorIs(t, g.Add("late"), scheduler.ErrInputClosed)
					require.Equal(t, 4, g.Count(scheduler.StateSucceeded), "what has run is not lost")
				})
			})
		}
	}
}

// A member that recovers what came out of its Add goes on as itself, and nobody is
// lost: When is asked again in the next round, and the Observer is told no more.
func TestAdd_recovered(t *testing.T) {
	t.Parallel()
	adds := func(t *testing.T, panics int, watch scheduler.Observer) (*scheduler.DependencyTaskGroup[string], func() error) {
		var group *scheduler.DependencyTaskGroup[string]
		var added scheduler.Event
		group = newGroup(t, "a", func(k string) scheduler.Task {
			if k != "a" {
				return scheduler.Func(func(context.Context) error { added.Set(); return nil })
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				func() {
					defer func() { require.Equal(t, "not now", recover()) }()
					_ = group.Add("b")
				}()
				co.Note("mine")
				require.Equal(t, "mine", group.ExplainNode("a").Notes.Text)
				require.NoError(t, group.Add("c"))
				group.CloseInput()
				return co.Yield(scheduler.On(&added))
			})
		}, &scheduler.GroupOptions[string]{
			KeepOpen: true, RecoverPanics: true, Observer: watch,
			When: func(k string, _ iter.Seq2[string, scheduler.State]) scheduler.Verdict {
				if k == "b" && panics > 0 {
					panics--
					panic("not now")
				}
				return scheduler.Usual
			},
		})
		return group, func() error {
			return scheduler.Run(t.Context(), group, &scheduler.RunnerOptions{Clock: newClock()})
		}
	}
	t.Run("When, once", func(t *testing.T) {
		group, run := adds(t, 1, nil)
		require.NoError(t, run())
		require.Equal(t, scheduler.StateSucceeded, group.State("b"))
	})
	t.Run("When, again and again", func(t *testing.T) {
		group, run := adds(t, 9, nil)
		require.ErrorContains(t, run(), "a: panic: not now", "the second time it is not recovered")
		require.Equal(t, scheduler.StateCancelled, group.State("b"))
		require.Equal(t, scheduler.StateFailed, group.State("a"))
	})
	t.Run("Observer", func(t *testing.T) {
		told := 0
		group, run := adds(t, 0, selective{scheduler.KindsOf(scheduler.NodeAdded), func(scheduler.Record) {
			told++
			panic("not now")
		}})
		require.NoError(t, run())
		require.Equal(t, 1, told)
		require.Equal(t, scheduler.StateSucceeded, group.State("c"))
	})
}
