package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

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
				for range depth {
					inner := task
					task = scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(inner) })
				}
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
				for range depth {
					inner := task
					task = scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(inner) })
				}
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
	t.Run("Wrap of nil", func(t *testing.T) {
		require.Equal(t, "scheduler: Wrap: nil function", panicOf(t, func() { scheduler.Wrap(nil) }))
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
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
		})
	}
	t.Run("panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_, err := scheduler.Call(co, func(context.Context) (int, error) { panic(errOops) })
				return err
			})
			p := panicOf(t, func() { _ = scheduler.Run(t.Context(), task, nil) })
			require.ErrorIs(t, p.(*scheduler.PanicError), errOops)
		})
	})
	t.Run("value of a call that is closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
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
	})
	t.Run("nil function", func(t *testing.T) {
		task := scheduler.Wrap(func(co *scheduler.Coroutine) error {
			_, err := scheduler.Call[int](co, nil)
			return err
		})
		p := panicOf(t, func() { _, _ = task.Step(t.Context()) }).(*scheduler.PanicError)
		require.Equal(t, "scheduler: Call: nil function", p.Value)
	})
}
