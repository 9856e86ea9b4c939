package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
)

// awaited puts a task into so many coroutines, each of which awaits the one inside, and
// keeps what Await returns, the innermost first.
func awaited(task scheduler.Task, depth int, came *[]error) scheduler.Task {
	for range depth {
		inner := task
		task = scheduler.Wrap(func(co *scheduler.Coroutine) error {
			err := co.Await(inner)
			*came = append(*came, err)
			return err
		})
	}
	return task
}

func TestWrap_yields(t *testing.T) {
	event := new(scheduler.Event)
	at := time.Unix(1700000000, 0)
	tests := []scheduler.Yield{
		scheduler.Next,
		scheduler.Rounds(1),
		scheduler.Rounds(3),
		scheduler.After(time.Second),
		scheduler.After(0),
		scheduler.At(at),
		scheduler.On(event),
		scheduler.On(event).Or(scheduler.After(time.Minute)).Or(scheduler.Rounds(5)),
	}
	for _, y := range tests {
		for depth := range 3 {
			t.Run(fmt.Sprint(y, " depth=", depth), func(t *testing.T) {
				resumed := false
				task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
					err := co.Yield(y)
					resumed = true
					return err
				})
				task = awaited(task, depth, new([]error))
				got := mustStep(t, t.Context(), task)
				require.Equal(t, y, got, "a Yield comes out as it is")
				require.False(t, resumed)
				got = mustStep(t, t.Context(), task)
				require.Equal(t, scheduler.Done, got)
				require.True(t, resumed)
			})
		}
	}
}

func TestWrap_ends(t *testing.T) {
	for yields := range 3 {
		for _, want := range []error{nil, errOops, scheduler.ErrClosed} {
			t.Run(fmt.Sprint(want, " after ", yields), func(t *testing.T) {
				count := countGoroutines(t)
				task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
					for range yields {
						if err := co.Yield(scheduler.Next); err != nil {
							return err
						}
					}
					return want
				})
				count.want(0)
				for range yields {
					y := mustStep(t, t.Context(), task)
					require.Equal(t, scheduler.Next, y)
					count.want(1)
				}
				y, err := task.Step(t.Context())
				require.Equal(t, want, err)
				if want == nil {
					require.Equal(t, scheduler.Done, y)
				}
				count.want(0)

				_, err = task.Step(t.Context())
				require.ErrorIs(t, err, scheduler.ErrEnded)
				_, err = throwIn(t.Context(), task, errOther)
				require.Equal(t, errOther, err, "nothing is left to handle it")
				require.NoError(t, task.Close(), "nothing is left to be closed")
			})
		}
	}
}

func TestWrap_runs_nothing_before_the_first_step(t *testing.T) {
	count := countGoroutines(t)
	task := scheduler.Wrap(func(*scheduler.Coroutine) error { panic("ran") })
	_, err := throwIn(t.Context(), task, errOops)
	require.Equal(t, errOops, err)
	require.NoError(t, task.Close())
	count.want(0)
}

func TestCoroutine_Await(t *testing.T) {
	pause := func(y scheduler.Yield) func(j *journal) scheduler.Task {
		return func(*journal) scheduler.Task { return scheduler.Pause(y) }
	}
	tests := []struct {
		name  string
		child func(j *journal) scheduler.Task
		steps []string // what each step yields
		err   error    // what Await returns
	}{
		{"Func", func(*journal) scheduler.Task {
			return scheduler.Func(func(context.Context) error { return nil })
		}, []string{"done"}, nil},
		{"failing Func", func(*journal) scheduler.Task {
			return scheduler.Func(func(context.Context) error { return errOops })
		}, []string{"done"}, errOops},
		{"StepFunc", func(*journal) scheduler.Task {
			n := 0
			return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if n++; n < 3 {
					return scheduler.Rounds(n), nil
				}
				return scheduler.Done, nil
			})
		}, []string{"next", "2 rounds", "done"}, nil},
		{"Pause", pause(scheduler.Next), []string{"next", "done"}, nil},
		{"Pause for rounds", pause(scheduler.Rounds(7)), []string{"7 rounds", "done"}, nil},
		{"Wrap", func(*journal) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				return errors.Join(co.Yield(scheduler.Rounds(2)), co.Yield(scheduler.Next))
			})
		}, []string{"2 rounds", "next", "done"}, nil},
		{"Wrap that ends at once", func(*journal) scheduler.Task {
			return scheduler.Wrap(func(*scheduler.Coroutine) error { return nil })
		}, []string{"done"}, nil},
		{"failing Wrap", func(*journal) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				return errors.Join(co.Yield(scheduler.Next), errOops)
			})
		}, []string{"next", "done"}, errOops},
		{"runner", func(*journal) scheduler.Task {
			return scheduler.NewTaskRunner(scheduler.Pause(scheduler.Next), nil).AsTask(0)
		}, []string{"next or event", "done"}, nil},
		{"group", func(*journal) scheduler.Task {
			return scheduler.All(scheduler.Pause(scheduler.Next), scheduler.Pause(scheduler.Next))
		}, []string{"next or event", "done"}, nil},
		{"failing group", func(*journal) scheduler.Task {
			return scheduler.All(scheduler.Func(func(context.Context) error { return errOops }))
		}, []string{"done"}, errOops},
		{"nil", func(*journal) scheduler.Task { return nil }, []string{"done"}, scheduler.ErrNilTask},
		{"one that yields nothing", func(j *journal) scheduler.Task {
			return &fakeTask{
				step:  func(context.Context) (scheduler.Yield, error) { return scheduler.Yield{}, nil },
				close: func() error { j.add("closed"); return nil },
			}
		}, []string{"done"}, scheduler.ErrNoYield},
		{"Wrap that yields nothing", func(j *journal) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				err := co.Yield(scheduler.Yield{})
				if errors.Is(err, scheduler.ErrClosed) {
					j.add("closed")
				}
				return err
			})
		}, []string{"done"}, scheduler.ErrNoYield},
	}
	for _, test := range tests {
		for depth := range 3 {
			t.Run(fmt.Sprint(test.name, " depth=", depth), func(t *testing.T) {
				var j journal
				var got error
				task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
					j.add("begin")
					got = co.Await(test.child(&j))
					j.add("end")
					return nil
				})
				task = awaited(task, depth, new([]error))
				for i, want := range test.steps {
					y := mustStep(t, t.Context(), task)
					require.Equal(t, want, y.String(), "step %d", i)
				}
				require.ErrorIs(t, got, test.err)
				if errors.Is(test.err, scheduler.ErrNoYield) {
					require.Equal(t, "begin, closed, end", j.take())
				} else {
					require.Equal(t, "begin, end", j.take())
				}
			})
		}
	}
}

// The same child task can stand behind another, and the function goes on in
// the step in which the child before has ended.
func TestCoroutine_Await_one_after_another(t *testing.T) {
	var j journal
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		for i := range 3 {
			j.add("await %d", i)
			if err := co.Await(scheduler.Pause(scheduler.Next)); err != nil {
				return err
			}
		}
		j.add("end")
		return nil
	})
	for _, want := range []string{"await 0", "await 1", "await 2", "end"} {
		mustStep(t, t.Context(), task)
		require.Equal(t, want, j.take())
	}
}

func TestCoroutine_Await_of_one_in_use(t *testing.T) {
	tests := []struct {
		name  string
		want  error
		child func(t *testing.T) scheduler.Task
	}{
		{"suspended", scheduler.ErrStarted, func(t *testing.T) scheduler.Task {
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Yield(scheduler.Next) })
			mustStep(t, t.Context(), task)
			t.Cleanup(func() { require.NoError(t, task.Close()) })
			return task
		}},
		{"ended", scheduler.ErrEnded, func(t *testing.T) scheduler.Task {
			task := scheduler.Wrap(func(*scheduler.Coroutine) error { return nil })
			mustStep(t, t.Context(), task)
			return task
		}},
		{"closed", scheduler.ErrEnded, func(t *testing.T) scheduler.Task {
			task := scheduler.Wrap(func(*scheduler.Coroutine) error { return nil })
			require.NoError(t, task.Close())
			return task
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			child := test.child(t)
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(child) })
			_, err := task.Step(t.Context())
			require.ErrorIs(t, err, test.want)
			require.ErrorContains(t, err, "scheduler_test.Test")
		})
	}
	t.Run("itself", func(t *testing.T) {
		var task scheduler.Task
		task = scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(task) })
		_, err := task.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrStarted)
	})
	t.Run("one that awaits it", func(t *testing.T) {
		var outer scheduler.Task
		inner := scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(outer) })
		outer = scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(inner) })
		_, err := outer.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrStarted)
	})
	t.Run("one that another chain drives", func(t *testing.T) {
		inner := scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Yield(scheduler.Next) })
		outer := scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(inner) })
		mustStep(t, t.Context(), outer)
		_, err := inner.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrEnded)
		_, err = throwIn(t.Context(), inner, errOops)
		require.Equal(t, errOops, err)
		require.NoError(t, inner.Close())
		y := mustStep(t, t.Context(), outer)
		require.Equal(t, scheduler.Done, y)
	})
}

func TestWrap_Throw(t *testing.T) {
	// Each answers an error that comes out of Yield or Await.
	type answer func(co *scheduler.Coroutine, err error) error
	passOn := func(_ *scheduler.Coroutine, err error) error { return err }
	end := func(*scheduler.Coroutine, error) error { return nil }
	fail := func(*scheduler.Coroutine, error) error { return errOther }
	goOn := func(co *scheduler.Coroutine, _ error) error { return co.Yield(scheduler.Rounds(5)) }
	await := func(co *scheduler.Coroutine, _ error) error { return co.Await(scheduler.Pause(scheduler.Rounds(6))) }
	tests := []struct {
		name         string
		inner, outer answer
		yield        string
		err          error
		log          string
	}{
		{"passed on", passOn, passOn, "", errOops, "inner: oops, outer: oops"},
		{"inner ends", end, passOn, "done", nil, "inner: oops, outer: <nil>"},
		{"outer ends", passOn, end, "done", nil, "inner: oops, outer: oops"},
		{"inner fails", fail, passOn, "", errOther, "inner: oops, outer: other"},
		{"outer fails", passOn, fail, "", errOther, "inner: oops, outer: oops"},
		{"inner goes on", goOn, passOn, "5 rounds", nil, "inner: oops"},
		{"outer goes on", passOn, goOn, "5 rounds", nil, "inner: oops, outer: oops"},
		{"inner awaits", await, passOn, "6 rounds", nil, "inner: oops"},
		{"outer awaits", passOn, await, "6 rounds", nil, "inner: oops, outer: oops"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			count := countGoroutines(t)
			var j journal
			inner := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				err := co.Yield(scheduler.Next)
				j.add("inner: %v", err)
				return test.inner(co, err)
			})
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				err := co.Await(inner)
				j.add("outer: %v", err)
				return test.outer(co, err)
			})
			mustStep(t, t.Context(), task)
			count.want(2)
			y, err := throwIn(t.Context(), task, errOops)
			require.ErrorIs(t, err, test.err)
			require.Equal(t, test.log, j.take())
			if test.err == nil {
				require.Equal(t, test.yield, y.String())
			}
			if test.err == nil && y != scheduler.Done {
				require.NoError(t, task.Close())
			}
			count.want(0)
		})
	}
}

func TestWrap_Throw_into_another_kind_of_subtask(t *testing.T) {
	tests := []struct {
		name  string
		child func(j *journal) scheduler.Task
		yield string
		err   error // what Await returns, if it does
		log   string
	}{
		{"no Thrower", func(j *journal) scheduler.Task {
			return (&fakeTask{step: forever, close: func() error { j.add("closed"); return nil }}).task()
		}, "", errOops, "closed"},
		{"no Thrower, fails to close", func(j *journal) scheduler.Task {
			return (&fakeTask{step: forever, close: func() error { j.add("closed"); return errOther }}).task()
		}, "", errOther, "closed"},
		{"swallows", func(j *journal) scheduler.Task {
			return &fakeTask{step: forever, throw: func(_ context.Context, err error) (scheduler.Yield, error) {
				j.add("thrown %v", err)
				return scheduler.Rounds(9), nil
			}}
		}, "9 rounds", nil, "thrown oops"},
		{"ends", func(*journal) scheduler.Task {
			return &fakeTask{step: forever, throw: func(context.Context, error) (scheduler.Yield, error) { return scheduler.Done, nil }}
		}, "", nil, ""},
		{"fails", func(*journal) scheduler.Task {
			return &fakeTask{step: forever, throw: func(context.Context, error) (scheduler.Yield, error) { return scheduler.Yield{}, errOther }}
		}, "", errOther, ""},
		{"yields nothing", func(j *journal) scheduler.Task {
			return &fakeTask{
				step:  forever,
				close: func() error { j.add("closed"); return nil },
				throw: func(context.Context, error) (scheduler.Yield, error) { return scheduler.Yield{}, nil },
			}
		}, "", scheduler.ErrNoYield, "closed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var j journal
			awaited, returned := error(nil), false
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				awaited = co.Await(test.child(&j))
				returned = true
				return nil
			})
			mustStep(t, t.Context(), task)
			y, err := throwIn(t.Context(), task, errOops)
			require.NoError(t, err)
			require.Equal(t, test.log, j.take())
			if test.yield != "" {
				require.Equal(t, test.yield, y.String())
				require.False(t, returned)
				require.NoError(t, task.Close())
				return
			}
			require.Equal(t, scheduler.Done, y)
			require.True(t, returned)
			require.ErrorIs(t, awaited, test.err)
			if test.name == "no Thrower, fails to close" {
				require.ErrorIs(t, awaited, errOops, "neither error is lost")
			}
		})
	}
}

// chain is a Wrap in a Wrap in a Wrap, level 0 the innermost.
func chain(depth int, level func(co *scheduler.Coroutine, level int, await func() error) error) scheduler.Task {
	var task scheduler.Task
	for i := range depth {
		inner := task
		task = scheduler.Wrap(func(co *scheduler.Coroutine) error {
			return level(co, i, func() error {
				if inner == nil {
					return co.Yield(scheduler.Next)
				}
				return co.Await(inner)
			})
		})
	}
	return task
}

func TestWrap_deep(t *testing.T) {
	for _, depth := range []int{1, 2, 8, 1000} {
		t.Run(fmt.Sprint("depth=", depth), func(t *testing.T) {
			inOrder := make([]int, depth) // innermost first
			for i := range inOrder {
				inOrder[i] = i
			}
			var seen []int
			var errs []error
			pass := func(_ *scheduler.Coroutine, level int, await func() error) error {
				err := await()
				seen, errs = append(seen, level), append(errs, err)
				return err
			}
			t.Run("end", func(t *testing.T) {
				seen, errs = nil, nil
				count := countGoroutines(t)
				task := chain(depth, pass)
				mustStep(t, t.Context(), task)
				count.want(depth)
				y := mustStep(t, t.Context(), task)
				require.Equal(t, scheduler.Done, y)
				require.Equal(t, inOrder, seen)
				count.want(0)
			})
			t.Run("throw", func(t *testing.T) {
				seen, errs = nil, nil
				count := countGoroutines(t)
				task := chain(depth, pass)
				mustStep(t, t.Context(), task)
				_, err := throwIn(t.Context(), task, errOops)
				require.Equal(t, errOops, err)
				require.Equal(t, inOrder, seen, "innermost first, then outwards")
				count.want(0)
			})
			t.Run("close", func(t *testing.T) {
				seen, errs = nil, nil
				count := countGoroutines(t)
				task := chain(depth, pass)
				mustStep(t, t.Context(), task)
				require.NoError(t, task.Close())
				require.Equal(t, inOrder, seen, "innermost first, then outwards")
				for _, err := range errs {
					require.Equal(t, scheduler.ErrClosed, err)
				}
				count.want(0)
				require.NoError(t, task.Close(), "nothing is left to be closed")
			})
			t.Run("each level swallows one throw", func(t *testing.T) {
				seen, errs = nil, nil
				count := countGoroutines(t)
				task := chain(depth, func(co *scheduler.Coroutine, level int, await func() error) error {
					err := await()
					seen = append(seen, level)
					if errors.Is(err, errOops) {
						err = co.Yield(scheduler.Next)
					}
					return err
				})
				mustStep(t, t.Context(), task)
				for i := range depth {
					seen = nil
					_, err := throwIn(t.Context(), task, errOops)
					require.NoError(t, err)
					require.Equal(t, []int{i}, seen)
					if depth < 1000 {
						count.want(depth - i)
					}
				}
				y := mustStep(t, t.Context(), task)
				require.Equal(t, scheduler.Done, y)
				count.want(0)
			})
			t.Run("the innermost panics", func(t *testing.T) {
				seen, errs = nil, nil
				count := countGoroutines(t)
				task := chain(depth, func(_ *scheduler.Coroutine, level int, await func() error) error {
					err := await()
					if level == 0 {
						panic(errOops)
					}
					seen, errs = append(seen, level), append(errs, err)
					return err
				})
				mustStep(t, t.Context(), task)
				p := panicOf(t, func() { _, _ = task.Step(t.Context()) })
				require.ErrorIs(t, p.(error), errOops)
				require.Equal(t, inOrder[1:], append([]int{}, seen...))
				for _, err := range errs {
					require.Equal(t, scheduler.ErrClosed, err, "the others are closed")
				}
				count.want(0)
			})
		})
	}
}

// The depth costs no steps of the functions in between.
func TestWrap_step_goes_to_the_innermost(t *testing.T) {
	entered := make([]int, 20)
	task := chain(20, func(co *scheduler.Coroutine, level int, await func() error) error {
		entered[level]++
		for range 100 * (20 - level) / 20 { // the innermost yields most often
			if level > 0 {
				break
			}
			if err := co.Yield(scheduler.Next); err != nil {
				return err
			}
		}
		return await()
	})
	steps := 0
	for y := scheduler.Next; y != scheduler.Done; steps++ {
		y = mustStep(t, t.Context(), task)
	}
	require.Equal(t, 102, steps)
	require.Equal(t, slices.Repeat([]int{1}, 20), entered)
}

func TestCoroutine_misuse(t *testing.T) {
	methods := map[string]func(co *scheduler.Coroutine){
		"Yield":    func(co *scheduler.Coroutine) { _ = co.Yield(scheduler.Next) },
		"Await":    func(co *scheduler.Coroutine) { _ = co.Await(scheduler.Pause(scheduler.Next)) },
		"Context":  func(co *scheduler.Coroutine) { _ = co.Context() },
		"Stopping": func(co *scheduler.Coroutine) { _ = co.Stopping() },
	}
	for name, method := range methods {
		text := "scheduler: Coroutine." + name + " called outside its function"
		t.Run(name+" between steps", func(t *testing.T) {
			var inside *scheduler.Coroutine
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				inside = co
				return co.Yield(scheduler.Next)
			})
			mustStep(t, t.Context(), task)
			require.Equal(t, text, panicOf(t, func() { method(inside) }))
			y := mustStep(t, t.Context(), task)
			require.Equal(t, scheduler.Done, y, "it is not harmed")
			require.Equal(t, text, panicOf(t, func() { method(inside) }), "after the end")
		})
		t.Run(name+" in the function that it awaits", func(t *testing.T) {
			task := scheduler.Wrap(func(outer *scheduler.Coroutine) error {
				return outer.Await(scheduler.Wrap(func(*scheduler.Coroutine) error {
					method(outer)
					return nil
				}))
			})
			p := panicOf(t, func() { _, _ = task.Step(t.Context()) }).(*scheduler.PanicError)
			require.Equal(t, text, p.Value)
		})
	}
	t.Run("Yield of Done", func(t *testing.T) {
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Yield(scheduler.Done) })
		p := panicOf(t, func() { _, _ = task.Step(t.Context()) }).(*scheduler.PanicError)
		require.Equal(t, "scheduler: Coroutine.Yield: Done; return from the function instead", p.Value)
	})
	t.Run("zero Yield", func(t *testing.T) {
		var came error
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			came = co.Yield(scheduler.Yield{})
			return came
		})
		err := scheduler.Run(t.Context(), task, nil)
		require.Equal(t, scheduler.ErrNoYield, err)
		require.Equal(t, scheduler.ErrClosed, came)
	})
}

func TestCoroutine_Context(t *testing.T) {
	type key struct{}
	var seen []any
	look := func(co *scheduler.Coroutine) { seen = append(seen, co.Context().Value(key{})) }
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		look(co)
		err := co.Await(scheduler.Wrap(func(co *scheduler.Coroutine) error {
			look(co)
			err := co.Yield(scheduler.Next)
			look(co)
			return errors.Join(err, co.Await(scheduler.Func(func(ctx context.Context) error {
				seen = append(seen, ctx.Value(key{}))
				return nil
			})))
		}))
		look(co)
		_ = co.Yield(scheduler.Next)
		look(co)
		return err
	})
	step := func(n int) context.Context { return context.WithValue(t.Context(), key{}, n) }
	mustStep(t, step(1), task)
	mustStep(t, step(2), task)
	_, err := throwIn(step(3), task, errOops)
	require.NoError(t, err)
	require.Equal(t, []any{1, 1, 2, 2, 2, 3}, seen)
}

// A goroutine that is locked to its thread may drive a Wrap if it is so for all
// of its steps.
func TestWrap_locked_thread(t *testing.T) {
	var errs []error
	returned, panicked := onGoroutine(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		pass := func(_ *scheduler.Coroutine, _ int, await func() error) error { return await() }
		errs = append(errs, scheduler.Run(context.Background(), chain(3, pass), nil))
		task := chain(3, pass)
		_, err := task.Step(context.Background())
		errs = append(errs, err, task.Close())
	})
	require.True(t, returned)
	require.Nil(t, panicked)
	require.Equal(t, []error{nil, nil, nil}, errs)
}

func TestWrap_String(t *testing.T) {
	task := scheduler.Wrap(waitForNothing)
	require.Equal(t, "scheduler_test.waitForNothing", scheduler.TaskDescription(task))
	require.NoError(t, scheduler.Run(t.Context(), task, nil))
	require.Equal(t, "scheduler_test.waitForNothing", scheduler.TaskDescription(task), "also after its end")

	g := newGroup(t, "a", func(string) scheduler.Task { return scheduler.Wrap(failAtOnce) }, nil)
	err := scheduler.Run(t.Context(), g, nil)
	require.Equal(t, &scheduler.TaskError{Key: "a", Task: "scheduler_test.failAtOnce", Err: errOops}, err)
}

func waitForNothing(*scheduler.Coroutine) error { return nil }

func failAtOnce(*scheduler.Coroutine) error { return errOops }

func TestWrap_step_allocates_nothing(t *testing.T) {
	task := chain(3, func(co *scheduler.Coroutine, level int, await func() error) error {
		for level == 0 {
			if err := co.Yield(scheduler.Next); err != nil {
				return err
			}
		}
		return await()
	})
	ctx := t.Context()
	mustStep(t, ctx, task)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = task.Step(ctx) }))
	require.NoError(t, task.Close())
}

func TestWrap_zero_Yield_and_early_notice(t *testing.T) {
	t.Parallel()
	t.Run("no yield of one that is awaited is its failure", func(t *testing.T) {
		var awaited error
		err := scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
			awaited = co.Await(scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.Next); err != nil {
					return err
				}
				return co.Yield(scheduler.Yield{})
			}))
			return co.Yield(scheduler.Next)
		}), nil)
		require.NoError(t, err)
		require.ErrorIs(t, awaited, scheduler.ErrNoYield)
	})
	t.Run("notice before the first step", func(t *testing.T) {
		var cause error
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			cause = co.StopCause()
			return nil
		})
		task.(scheduler.Stopper).Stop(t.Context(), errOops)
		y := mustStep(t, t.Context(), task)
		require.Equal(t, scheduler.Done, y)
		require.Equal(t, &scheduler.StopError{Cause: errOops}, cause)
	})
}

func TestCall(t *testing.T) {
	tests := []struct {
		name  string
		fn    func(ctx context.Context) (string, error)
		value string
		err   error
	}{
		{"value", func(context.Context) (string, error) { return "id", nil }, "id", nil},
		{"error", func(context.Context) (string, error) { return "", errOops }, "", errOops},
		{"value beside an error", func(context.Context) (string, error) { return "id", errOops }, "id", errOops},
		{"Goexit", func(context.Context) (string, error) { runtime.Goexit(); return "id", nil }, "", scheduler.ErrGoexit},
	}
	for _, test := range tests {
		inBubble(t, test.name, func(t *testing.T) {
			var value string
			var came error
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				value, came = scheduler.Call(co, test.fn)
				return nil
			})
			require.NoError(t, scheduler.Run(t.Context(), task, nil))
			require.Equal(t, test.value, value)
			require.Equal(t, test.err, came)
		})
	}
	inBubble(t, "value of a call that is closed", func(t *testing.T) {
		var value string
		var came error
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			value, came = scheduler.Call(co, func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "half created", context.Cause(ctx)
			})
			return came
		})
		mustStep(t, t.Context(), task)
		require.NoError(t, task.Close())
		require.Equal(t, "half created", value)
		require.ErrorIs(t, came, scheduler.ErrClosed)
	})
}

// A coroutine that answers the failed close of one subtask with another one is
// unwound also if that one panics, in its only step or when it is closed in turn.
func TestWrap_panic_in_the_answer_to_a_failed_close(t *testing.T) {
	for name, answer := range map[string]*fakeTask{
		"step":                 {step: func(context.Context) (scheduler.Yield, error) { panic(errOops) }},
		"close":                {step: forever, close: func() error { panic(errOops) }},
		"close, then a Goexit": {step: forever, close: func() error { panic(errOops) }},
	} {
		goexit := strings.HasSuffix(name, "Goexit")
		inBubble(t, name, func(t *testing.T) { // which fails if a coroutine is left
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
	}
}

// What is left of a coroutine's error when it was closed: all but ErrClosed and
// what only adds words to it.
func TestWrap_Close_returns(t *testing.T) {
	closed, more := scheduler.ErrClosed, fmt.Errorf("more: %w", errOops)
	joined := errors.Join(errOops, errOther)
	option := &scheduler.OptionError{Option: "a", Reason: "b"}
	within := fmt.Errorf("more: %w", errors.Join(errOops, closed))
	for name, test := range map[string]struct{ returned, want error }{
		"nil":                               {nil, nil},
		"ErrClosed":                         {closed, nil},
		"with words":                        {fmt.Errorf("create: %w", closed), nil},
		"with many words":                   {fmt.Errorf("a: %w", fmt.Errorf("b: %w", closed)), nil},
		"with a key":                        {&scheduler.TaskError{Key: 1, Err: closed}, nil},
		"joined with itself":                {errors.Join(closed, fmt.Errorf("x: %w", closed)), nil},
		"another error":                     {errOops, errOops},
		"another error, with words":         {more, more},
		"another error, which wraps none":   {option, option},
		"joined errors without it":          {joined, joined},
		"joined with an error":              {errors.Join(closed, errOops), errOops},
		"joined, the other way":             {errors.Join(errOops, closed), errOops},
		"joined, with words of its own":     {errors.Join(errOops, fmt.Errorf("x: %w", closed)), errOops},
		"joined with several":               {errors.Join(errOops, closed, errOther), joined},
		"joined deep down":                  {errors.Join(closed, errors.Join(errOops, errors.Join(closed, errOther))), joined},
		"joined, and words around both":     {within, within},
		"two in one text":                   {fmt.Errorf("%w while %w", errOops, closed), errOops},
		"a node's, in a group with another": {&scheduler.ExceptionGroup{Errors: []error{&scheduler.TaskError{Key: 1, Err: closed}, errOops}}, errOops},
	} {
		t.Run(name, func(t *testing.T) {
			count := countGoroutines(t)
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				if err := co.Yield(scheduler.Next); err != closed { //nolint:errorlint // That very one is promised.
					return fmt.Errorf("not closed: %v", err) //nolint:errorlint // Hidden from Is.
				}
				return test.returned
			})
			mustStep(t, t.Context(), task)
			err := task.Close()
			count.want(0)
			if test.returned == test.want { //nolint:errorlint // As it is.
				require.Equal(t, test.want, err)
			}
			require.Equal(t, fmt.Sprint(test.want), fmt.Sprint(err))
			for _, e := range []error{closed, errOops, errOther} {
				require.Equal(t, errors.Is(test.want, e), errors.Is(err, e), e)
			}
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
				task = awaited(task, depth, &came)
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
				task = awaited(task, depth, &came)
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
				child := test.child.(*fakeTask)
				closed := child.closes
				task := awaited(child, depth, &came)
				p := panicOf(t, func() {
					mustStep(t, t.Context(), task)
					test.act(t.Context(), task)
				})
				require.Same(t, errOops, p)
				require.Equal(t, slices.Repeat([]error{scheduler.ErrClosed}, depth), came)
				require.Equal(t, test.name == "in Close", child.closes > closed)
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
					task = awaited(task, depth, &came)
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
	inBubble(t, "wakes who waits for it", func(t *testing.T) {
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

// A coroutine may answer the failed close of a subtask with another one. What that runs
// is over before it begins, and a group in it starts nothing.
func TestWrap_group_begun_after_the_close(t *testing.T) {
	started := false
	inner := newGroup(t, "a", func(string) scheduler.Task {
		return scheduler.Func(func(context.Context) error { started = true; return nil })
	}, nil)
	bad := &fakeTask{yields: []scheduler.Yield{scheduler.Next, scheduler.Next}, close: func() error { return errBoom }}
	task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Await(bad); !errors.Is(err, errBoom) {
			return err
		}
		return co.Await(inner)
	})
	r := startRunner(t, task, nil)
	require.NoError(t, r.Cancel())
	require.False(t, started)
}

// What a coroutine begins after its notice finds that in its context, whoever has given
// it, in a step or in the answer to an error.
func TestWrap_subtask_begun_after_the_notice(t *testing.T) {
	for name, goOn := range map[string]func(task scheduler.Task) (scheduler.Yield, error){
		"step":  func(task scheduler.Task) (scheduler.Yield, error) { return task.Step(t.Context()) },
		"throw": func(task scheduler.Task) (scheduler.Yield, error) { return throwIn(t.Context(), task, errBoom) },
	} {
		t.Run(name, func(t *testing.T) {
			var before, after error
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				look := func(cause *error) error {
					return co.Await(scheduler.Func(func(ctx context.Context) error {
						*cause = scheduler.StopCause(ctx)
						return nil
					}))
				}
				_ = look(&before)
				_ = co.Yield(scheduler.Next)
				return look(&after)
			})
			mustStep(t, t.Context(), task)
			task.(scheduler.Stopper).Stop(t.Context(), errSpace)
			y, err := goOn(task)
			require.NoError(t, err)
			require.Equal(t, scheduler.Done, y)
			require.NoError(t, before)
			require.ErrorIs(t, after, errSpace)
		})
	}
}

// What has not begun, or has ended, has nothing that could be asked to end.
func TestWrap_BeginClose_of_nothing(t *testing.T) {
	task := scheduler.Wrap(func(*scheduler.Coroutine) error { return nil })
	require.Nil(t, task.(scheduler.Closer).BeginClose())
	mustStep(t, t.Context(), task)
	require.Nil(t, task.(scheduler.Closer).BeginClose())
}
