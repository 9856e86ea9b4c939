package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// held are ways to hold a run.
var held = map[string]func(t *testing.T, r scheduler.Task) scheduler.Task{
	"alone": func(_ *testing.T, r scheduler.Task) scheduler.Task { return r },
	"in a group": func(t *testing.T, r scheduler.Task) scheduler.Task {
		return inGroup(t, r)
	},
	"in a group in a group": func(t *testing.T, r scheduler.Task) scheduler.Task {
		return inGroup(t, inGroup(t, r))
	},
	"in Wrap": func(_ *testing.T, r scheduler.Task) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(r) })
	},
	"in Subrun": func(_ *testing.T, r scheduler.Task) scheduler.Task {
		return scheduler.Subrun(scheduler.NewTaskRunner(r, nil))
	},
	"in AsTask": func(_ *testing.T, r scheduler.Task) scheduler.Task {
		return scheduler.NewTaskRunner(r, nil).AsTask(0)
	},
	"in Sequence": func(_ *testing.T, r scheduler.Task) scheduler.Task { return scheduler.Sequence(r) },
	"in All":      func(_ *testing.T, r scheduler.Task) scheduler.Task { return scheduler.All(r) },
	"in Finally": func(_ *testing.T, r scheduler.Task) scheduler.Task {
		return scheduler.Finally(r, scheduler.Pause(scheduler.Next))
	},
	"in a wrapper": func(_ *testing.T, r scheduler.Task) scheduler.Task { return wrapper{r} },
}

type wrapper struct{ scheduler.Task }

func (w wrapper) Unwrap() scheduler.Task { return w.Task }

func inGroup(t *testing.T, task scheduler.Task) scheduler.Task {
	t.Helper()
	g, err := scheduler.NewDependencyTaskGroup(wide(1), func(string) scheduler.Task { return task }, nil)
	require.NoError(t, err)
	return g
}

// deaf is a call that ends d after it was told to.
func deaf(d time.Duration) scheduler.Task {
	return scheduler.Blocking(func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(d) //nolint:forbidigo // in a bubble
		return ctx.Err()
	})
}

// However a run is held and ended, calls that take long to end do so side by side,
// what has succeeded is on file, and the run can be opened again.
func TestRun_held_and_ended(t *testing.T) {
	ends := map[string]func(t *testing.T, task scheduler.Task) error{
		"context": func(t *testing.T, task scheduler.Task) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return scheduler.Run(ctx, task, nil)
		},
		"timeout": func(t *testing.T, task scheduler.Task) error {
			return scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Timeout: time.Second})
		},
		"kill": func(t *testing.T, task scheduler.Task) error {
			r := scheduler.NewTaskRunner(task, nil)
			time.AfterFunc(time.Second, r.Kill)
			return r.Run(t.Context())
		},
		"interrupt": func(t *testing.T, task scheduler.Task) error {
			r := scheduler.NewTaskRunner(task, nil)
			time.AfterFunc(time.Second, func() { r.Interrupt(errors.New("enough")) })
			return r.Run(t.Context())
		},
	}
	for how, hold := range held {
		for by, end := range ends {
			t.Run(how+" "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					j := openNew(t)
					r, err := journal.NewGroup(j, "x", wide(50), func(n node) scheduler.Task {
						if n.Key() == "n00007" {
							return noop(n)
						}
						if n.Key() > "n00030" {
							return wrapper{deaf(5 * time.Second)}
						}
						return deaf(5 * time.Second)
					}, nil)
					require.NoError(t, err)
					start := time.Now()
					require.Error(t, end(t, hold(t, r)))
					require.Less(t, time.Since(start), 7*time.Second)
					ran := 0
					require.NoError(t, up(t, j, "x", wide(50), does(func(n node) error {
						ran++
						require.Equal(t, 2, n.Attempt())
						return nil
					}), nil))
					require.Equal(t, 49, ran)
				})
			})
		}
	}
}

func TestRun_held_to_its_end(t *testing.T) {
	for how, hold := range held {
		t.Run(how, func(t *testing.T) {
			j := openNew(t)
			r, err := journal.NewGroup(j, "x", layered(3, 5), noop, nil)
			require.NoError(t, err)
			require.NoError(t, scheduler.Run(t.Context(), hold(t, r), nil))
			require.NoError(t, up(t, j, "x", layered(3, 5), func(node) scheduler.Task { panic("run again") }, nil))
		})
	}
}

// A run that is stopped gives notice to its nodes, which have their grace, and what
// they come to in it is recorded.
func TestRun_stopped_with_grace(t *testing.T) {
	for how, hold := range held {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := openNew(t)
				r, err := journal.NewGroup(j, "x", chain(2), func(n node) scheduler.Task {
					return wrapper{scheduler.Wrap(func(co *scheduler.Coroutine) error {
						if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
							return err
						}
						return n.SetResult("finished under grace")
					})}
				}, nil)
				require.NoError(t, err)
				runner := scheduler.NewTaskRunner(hold(t, r), &scheduler.RunnerOptions{Grace: time.Minute})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				require.Error(t, runner.Run(ctx))
				require.Contains(t, strings.Join(history(t, j, "x"), "\n"), `end n00000 attempt 1 "finished under grace"`)
				require.NotContains(t, strings.Join(history(t, j, "x"), "\n"), "start n00001")
			})
		})
	}
}

// Wrapping changes nothing: what nodes see is what they see without a journal.
func TestRun_nodes_see_what_they_see_without(t *testing.T) {
	tasks := map[string]func(log func(string, ...any)) scheduler.Task{
		"coroutine that handles its Timeout": func(log func(string, ...any)) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				err := co.Yield(scheduler.After(time.Hour))
				log("%v", err)
				return errors.Join(errors.New("cleaned up"), err)
			})
		},
		"call": func(log func(string, ...any)) scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				<-ctx.Done()
				log("%v, %T", ctx.Err(), context.Cause(ctx))
				return ctx.Err()
			})
		},
		"task that knows nothing": func(func(string, ...any)) scheduler.Task {
			return scheduler.Pause(scheduler.After(time.Hour))
		},
	}
	limits := scheduler.GroupOptions[string]{Timeout: func(string) time.Duration { return time.Minute }}
	for name, task := range tasks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var with, without []string
				keep := func(lines *[]string) func(string, ...any) {
					return func(format string, args ...any) { *lines = append(*lines, fmt.Sprintf(format, args...)) }
				}
				g, err := scheduler.NewDependencyTaskGroup(wide(1), func(string) scheduler.Task { return task(keep(&without)) }, &limits)
				require.NoError(t, err)
				errWithout := scheduler.Run(t.Context(), g, nil)
				var r *journal.Run[string]
				r, err = journal.NewGroup(openNew(t), "x", wide(1), func(node) scheduler.Task { return task(keep(&with)) }, &options{Group: limits})
				require.NoError(t, err)
				errWith := scheduler.Run(t.Context(), r, nil)
				require.Equal(t, without, with)
				require.EqualError(t, errWith, errWithout.Error())
				require.Equal(t, scheduler.StateTimedOut, r.State("n00000"))
			})
		})
	}
}

// A call that does not return is left behind, and the run is let go all the same.
func TestRun_leaves_a_call_behind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openNew(t)
		r, err := journal.NewGroup(j, "x", wide(1), func(node) scheduler.Task { return deaf(time.Hour) },
			&options{Group: scheduler.GroupOptions[string]{Abandon: time.Second}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, scheduler.Run(ctx, r, nil), context.DeadlineExceeded)
		require.Less(t, time.Since(start), time.Minute)
		require.NoError(t, up(t, j, "x", wide(1), noop, nil))
		time.Sleep(2 * time.Hour) //nolint:forbidigo // in a bubble
	})
}

// What runs beside the journal is not held up by it.
func TestRun_steps_do_not_wait_for_the_disk(t *testing.T) {
	j := openNew(t)
	r, err := journal.NewGroup(j, "x", wide(3), noop, nil)
	require.NoError(t, err)
	release := journal.HoldWrites(j)
	steps := 0
	beside := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		if steps++; steps == 1000 {
			release()
			return scheduler.Done, nil
		}
		require.Equal(t, 3, len(slices.Collect(r.Running())))
		return scheduler.Next, nil
	})
	require.NoError(t, scheduler.Run(t.Context(), scheduler.All(r, beside), nil))
	require.Equal(t, 1000, steps)
}

// However fast the disk is, all that waited for one commit go on in one round, in
// key order.
func TestRun_order(t *testing.T) {
	deps := layered(4, 60)
	want := slices.Collect(deps.All())
	j := openNew(t)
	for i := range 30 {
		var ran []string
		beside := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if len(ran) == len(want) {
				return scheduler.Done, nil
			}
			return scheduler.Next, nil // so that rounds and commits meet at all times
		})
		r, err := journal.NewGroup(j, fmt.Sprint(i), deps, does(func(n node) error {
			ran = append(ran, n.Key())
			return nil
		}), nil)
		require.NoError(t, err)
		require.NoError(t, scheduler.Run(t.Context(), scheduler.All(r, beside), nil))
		require.Equal(t, want, ran)
	}
}

// A notice that comes while a node waits for its start is there when it begins.
func TestRun_noticed_while_a_start_is_on_its_way(t *testing.T) {
	j := openNew(t)
	r, err := journal.NewGroup(j, "x", chain(2), func(node) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Yield(scheduler.On(co.Stopping())); err != nil {
				return err
			}
			return co.StopCause()
		})
	}, nil)
	require.NoError(t, err)
	release := journal.HoldWrites(j)
	runner := scheduler.NewTaskRunner(r, &scheduler.RunnerOptions{Grace: time.Minute})
	require.NoError(t, runner.Start(t.Context(), 0))
	cause := errors.New("enough")
	runner.Stop(cause)
	_, err = runner.Step(t.Context())
	require.NoError(t, err)
	release()
	require.ErrorIs(t, runner.RunToCompletion(t.Context(), 0), cause)
	require.Equal(t, scheduler.StateCancelled, r.State("n00000"))
	require.Equal(t, scheduler.StateCancelled, r.State("n00001"))
}
