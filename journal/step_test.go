package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

// steps is a way to run steps inside a node.
type steps struct {
	name string
	task func(fn func(step func(name string, fn func() (string, error)) (string, error)) error) scheduler.Task
}

// Both ways: in a coroutine, and in a call.
var bothSteps = []steps{
	{"Step", func(fn func(func(string, func() (string, error)) (string, error)) error) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			return fn(func(name string, fn func() (string, error)) (string, error) {
				return journal.Step(co, name, func(context.Context) (string, error) { return fn() })
			})
		})
	}},
	{"StepIn", func(fn func(func(string, func() (string, error)) (string, error)) error) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			return fn(func(name string, fn func() (string, error)) (string, error) {
				return journal.StepIn(ctx, name, func(context.Context) (string, error) { return fn() })
			})
		})
	}},
}

func TestStep_that_is_on_record_is_not_run_again(t *testing.T) {
	for _, way := range bothSteps {
		t.Run(way.name, func(t *testing.T) {
			j := openNew(t)
			calls := map[string]int{}
			attempt := func(fails bool) error {
				return up(t, j, "x", wide(1), func(n node) scheduler.Task {
					return way.task(func(step func(string, func() (string, error)) (string, error)) error {
						id, err := step("create", func() (string, error) {
							calls["create"]++
							return "id-" + n.ID(), nil
						})
						if err != nil {
							return err
						}
						if id != "id-"+n.ID() {
							return fmt.Errorf("create returned %q", id)
						}
						_, err = step("attach", func() (string, error) {
							calls["attach"]++
							if fails {
								return "", errors.New("boom")
							}
							return "", nil
						})
						return err
					})
				}, nil)
			}
			require.EqualError(t, attempt(true), "n00000: boom")
			require.NoError(t, attempt(false))
			require.Equal(t, map[string]int{"create": 1, "attach": 2}, calls, "only successes are recorded")
		})
	}
}

func TestStep_waits_for_the_steps_before(t *testing.T) {
	for _, way := range bothSteps {
		t.Run(way.name, func(t *testing.T) {
			j := openNew(t)
			require.NoError(t, up(t, j, "x", wide(3), func(n node) scheduler.Task {
				return way.task(func(step func(string, func() (string, error)) (string, error)) error {
					for i := range 5 {
						if _, err := step(fmt.Sprint("s", i), func() (string, error) {
							onFile := history(t, j, "x")
							for before := range i {
								require.Contains(t, strings.Join(onFile, "\n"), fmt.Sprintf("step %s attempt 1 step s%d#1", n.Key(), before))
							}
							return "", nil
						}); err != nil {
							return err
						}
					}
					return nil
				})
			}, nil))
		})
	}
}

func TestStep_of_one_name_are_told_apart_by_occurrence(t *testing.T) {
	for _, way := range bothSteps {
		t.Run(way.name, func(t *testing.T) {
			j := openNew(t)
			var did, got []string
			attempt := func(rounds int, fails error) error {
				return up(t, j, "x", wide(1), func(node) scheduler.Task {
					return way.task(func(step func(string, func() (string, error)) (string, error)) error {
						got = nil
						for i := range rounds {
							v, err := step("page", func() (string, error) {
								did = append(did, fmt.Sprint(i))
								return fmt.Sprint(i), nil
							})
							if err != nil {
								return err
							}
							got = append(got, v)
						}
						return fails
					})
				}, nil)
			}
			require.Error(t, attempt(2, errors.New("boom")))
			require.NoError(t, attempt(4, nil))
			require.Equal(t, []string{"0", "1", "2", "3"}, did)
			require.Equal(t, did, got)
		})
	}
}

func TestNode_Rewind_lets_a_retry_keep_what_was_done(t *testing.T) {
	for _, rewinds := range []bool{true, false} {
		j := openNew(t)
		created, tries := 0, 0
		require.NoError(t, up(t, j, "x", wide(1), func(n node) scheduler.Task {
			return scheduler.Retry(atOnce{}, func(int, error) scheduler.Task {
				if rewinds {
					n.Rewind()
				}
				return scheduler.Wrap(func(co *scheduler.Coroutine) error {
					if _, err := journal.Step(co, "create", func(context.Context) (int, error) {
						created++
						return 0, nil
					}); err != nil {
						return err
					}
					if tries++; tries < 3 {
						return errors.New("busy")
					}
					return nil
				})
			})
		}, nil))
		require.Equal(t, map[bool]int{true: 1, false: 3}[rewinds], created)
	}
}

func TestStep_side_by_side_in_one_node(t *testing.T) {
	j := openNew(t)
	var mu sync.Mutex
	calls := map[string]int{}
	attempt := func(fails error) error {
		return up(t, j, "x", wide(1), func(node) scheduler.Task {
			var all []scheduler.Task
			for i := range 5 {
				name := fmt.Sprint("part", i)
				part := func(context.Context) (string, error) {
					mu.Lock()
					defer mu.Unlock()
					calls[name]++
					return name, nil
				}
				all = append(all, scheduler.Wrap(func(co *scheduler.Coroutine) error {
					_, err := journal.Step(co, name, part)
					return err
				}), scheduler.Blocking(func(ctx context.Context) error {
					v, err := journal.StepIn(ctx, name+" in", part)
					if err == nil && v != name {
						err = errors.New("another's value")
					}
					return err
				}))
			}
			return scheduler.Sequence(scheduler.All(all...), scheduler.Func(func(context.Context) error { return fails }))
		}, nil)
	}
	require.Error(t, attempt(errors.New("boom")))
	require.NoError(t, attempt(nil))
	for name, n := range calls {
		require.Equal(t, 2, n, name)
	}
}

func TestStep_values_are_typed(t *testing.T) {
	type machine struct {
		ID    string
		Disks []int
	}
	j := openNew(t)
	want := machine{"a", []int{1, 2}}
	attempt := func(fails error) error {
		return up(t, j, "x", wide(1), func(n node) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				got, err := journal.Step(co, "make", func(context.Context) (machine, error) { return want, nil })
				require.NoError(t, err)
				require.Equal(t, want, got)
				p, err := journal.Step(co, "none", func(context.Context) (*machine, error) { return nil, nil })
				require.NoError(t, err)
				require.Nil(t, p)
				if fails == nil {
					require.Equal(t, 2, n.Attempt())
					n.Rewind()
					_, err := journal.Step(co, "make", func(context.Context) (int, error) { return 0, nil })
					value := as[*journal.ValueError](t, err)
					require.Equal(t, "step make#1 of n00000", value.What)
				}
				return fails
			})
		}, nil)
	}
	require.Error(t, attempt(errors.New("boom")))
	require.NoError(t, attempt(nil))
}

func TestStep_no_json(t *testing.T) {
	for _, way := range []func() scheduler.Task{
		func() scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				_, err := journal.Step(co, "make", func(context.Context) (chan int, error) { return nil, nil })
				return err
			})
		},
		func() scheduler.Task {
			return scheduler.Blocking(func(ctx context.Context) error {
				_, err := journal.StepIn(ctx, "make", func(context.Context) (float64, error) { return math.NaN(), nil })
				return err
			})
		},
	} {
		err := up(t, openNew(t), "x", wide(1), func(node) scheduler.Task { return way() }, nil)
		value := as[*journal.ValueError](t, err)
		require.Equal(t, "step make#1 of n00000", value.What)
		require.Contains(t, err.Error(), `n00000: journal: run "x": step make#1 of n00000: json: unsupported`)
	}
}

func TestStep_outside_a_node(t *testing.T) {
	require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.Wrap(func(co *scheduler.Coroutine) error {
		_, err := journal.Step(co, "x", func(context.Context) (int, error) { return 0, nil })
		return err
	}), nil), journal.ErrNoNode)
	_, err := journal.StepIn(t.Context(), "x", func(context.Context) (int, error) { return 0, nil })
	require.ErrorIs(t, err, journal.ErrNoNode)
}

// What an effect has returned is not lost if the task is closed meanwhile.
func TestStep_that_ends_while_its_task_is_closed_is_recorded(t *testing.T) {
	for _, way := range bothSteps {
		t.Run(way.name, func(t *testing.T) {
			j := openNew(t)
			ctx, stop := context.WithCancel(t.Context())
			calls := 0
			attempt := func(ctx context.Context) error {
				r, err := journal.NewGroup(j, "x", wide(1), func(node) scheduler.Task {
					return way.task(func(step func(string, func() (string, error)) (string, error)) error {
						_, err := step("create", func() (string, error) {
							calls++
							stop()
							return "", nil
						})
						return err
					})
				}, nil)
				require.NoError(t, err)
				return scheduler.Run(ctx, r, nil)
			}
			require.ErrorIs(t, attempt(ctx), context.Canceled)
			require.NoError(t, attempt(t.Context()))
			require.Equal(t, 1, calls)
		})
	}
}

func TestGroup_Unused_says_which_steps_nobody_asked_for(t *testing.T) {
	j := openNew(t)
	attempt := func(names ...string) []string {
		r, err := journal.NewGroup(j, "x", wide(1), func(n node) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				for _, name := range names {
					if _, err := journal.Step(co, name, func(context.Context) (int, error) { return 0, nil }); err != nil {
						return err
					}
				}
				if n.Attempt() == 1 {
					return errors.New("boom")
				}
				return nil
			})
		}, nil)
		require.NoError(t, err)
		require.Equal(t, len(names) > 2, scheduler.Run(t.Context(), r, nil) != nil)
		return r.Unused()
	}
	require.Empty(t, attempt("a", "b", "b", "c"))
	require.Equal(t, []string{"n00000: b#2", "n00000: c#1"}, attempt("a", "b"))
	require.Empty(t, attempt("a"), "nothing has run")
}

// A call that its run has left behind does nothing more that nobody would know of.
func TestStepIn_left_behind(t *testing.T) {
	j := openNew(t)
	left := make(chan context.Context, 1)
	require.NoError(t, up(t, j, "x", wide(1), func(node) scheduler.Task {
		return scheduler.Blocking(func(ctx context.Context) error {
			left <- ctx
			return nil
		})
	}, nil))
	ctx := <-left
	_, err := journal.StepIn(ctx, "late", func(context.Context) (int, error) {
		t.Error("it has an effect")
		return 0, nil
	})
	require.ErrorIs(t, err, scheduler.ErrEnded)
}
