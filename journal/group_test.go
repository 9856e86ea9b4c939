package journal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/journal"
)

func TestSubgroup_goes_on_inside_its_node(t *testing.T) {
	j := openNew(t)
	var ran []string
	disks := scheduler.NewDependencies[int]()
	disks.Add(2, 1)
	disks.Add(3, 2)
	attempt := func(fails int) error {
		return up(t, j, "x", site(), func(n node) scheduler.Task {
			if n.Key() != "server" {
				return noop(n)
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				inner, err := journal.NewSubgroup(n, "disks", disks, func(d *journal.Node[int]) scheduler.Task {
					return scheduler.Wrap(func(co *scheduler.Coroutine) error {
						_, err := journal.Step(co, "make", func(context.Context) (int, error) {
							ran = append(ran, fmt.Sprintf("%s/%d.%d", n.Key(), d.Key(), d.Attempt()))
							return 0, nil
						})
						if err == nil && d.Key() == fails {
							err = errors.New("boom")
						}
						return errors.Join(err, d.SetResult(d.Key()*10))
					})
				}, nil)
				if err != nil {
					return err
				}
				if err := co.Await(inner); err != nil {
					return err
				}
				size, err := journal.Result[int](inner, 3)
				require.NoError(t, err)
				require.Equal(t, 30, size)
				return nil
			})
		}, nil)
	}
	require.EqualError(t, attempt(2), "server: 2: boom")
	require.NoError(t, attempt(0))
	require.Equal(t, []string{"server/1.1", "server/2.1", "server/3.1"}, ran, "the step of disk 2 was on record")
	require.Contains(t, history(t, j, "x"), "17 start server/disks/2 attempt 2")
}

func TestSubgroup_levels_deep(t *testing.T) {
	j := openNew(t)
	ran := map[string]int{}
	var level func(n node, depth int) scheduler.Task
	level = func(n node, depth int) scheduler.Task {
		if depth == 0 {
			return scheduler.Func(func(context.Context) error {
				ran[n.ID()]++
				return nil
			})
		}
		g, err := journal.NewSubgroup(n, "in", chain(2), func(n node) scheduler.Task { return level(n, depth-1) }, nil)
		require.NoError(t, err)
		return g
	}
	require.NoError(t, up(t, j, "x", chain(2), func(n node) scheduler.Task { return level(n, 3) }, nil))
	require.Len(t, ran, 16, "each has a key of its own")
	require.Contains(t, history(t, j, "x"), "6 start n00000/in/n00000/in/n00000 attempt 1")
	require.NoError(t, up(t, j, "x", chain(2), func(n node) scheduler.Task { return level(n, 3) }, nil))
	for _, n := range ran {
		require.Equal(t, 1, n)
	}
}

func TestSubgroup_in_a_retry_goes_on(t *testing.T) {
	j := openNew(t)
	ran, tries := map[string]int{}, 0
	require.NoError(t, up(t, j, "x", wide(1), func(n node) scheduler.Task {
		return scheduler.Retry(atOnce{}, func(int, error) scheduler.Task {
			tries++
			g, err := journal.NewSubgroup(n, "in", chain(3), does(func(n node) error {
				ran[n.Key()]++
				if n.Key() == "n00001" && tries < 3 {
					return errors.New("busy")
				}
				return nil
			}), nil)
			require.NoError(t, err)
			return g
		})
	}, nil))
	require.Equal(t, map[string]int{"n00000": 1, "n00001": 3, "n00002": 1}, ran)
}

func TestSubgroup_rolled_back(t *testing.T) {
	j := openNew(t)
	require.Error(t, up(t, j, "x", chain(3), func(n node) scheduler.Task {
		g, err := journal.NewSubgroup(n, "in", chain(3), does(func(in node) error {
			if n.Key() == "n00001" && in.Key() == "n00001" {
				return errors.New("boom")
			}
			return in.SetResult(n.Key() + "/" + in.Key())
		}), nil)
		require.NoError(t, err)
		return g
	}, nil))
	var undone []string
	r, err := journal.NewRollback(j, "x", chain(3), func(n node) scheduler.Task {
		g, err := journal.NewSubgroup(n, "in", chain(3), does(func(in node) error {
			made, err := journal.Result[string](in, in.Key())
			if err != nil {
				made = "half of " + n.Key() + "/" + in.Key()
			}
			undone = append(undone, made)
			return nil
		}), nil)
		require.NoError(t, err)
		return g
	}, nil)
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), r, nil))
	require.Equal(t, []string{
		"half of n00001/n00001", "n00001/n00000", "n00000/n00002", "n00000/n00001", "n00000/n00000",
	}, undone)
}

func TestSubgroup_two_at_once_of_one_name(t *testing.T) {
	j := openNew(t)
	err := up(t, j, "x", wide(1), func(n node) scheduler.Task {
		var both []scheduler.Task
		for range 2 {
			g, err := journal.NewSubgroup(n, "in", wide(2), func(node) scheduler.Task {
				return scheduler.Pause(scheduler.Rounds(3))
			}, nil)
			require.NoError(t, err)
			both = append(both, g)
		}
		return scheduler.All(both...)
	}, nil)
	require.ErrorIs(t, err, journal.ErrGroupRuns)
}

func TestSubgroup_misuse(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "x", wide(1), does(func(n node) error {
		_, err := journal.NewSubgroup(n, "in", wide(1), noop, &options{Recorded: func(journal.Record) {}})
		requireAs[*scheduler.OptionError](t, err)
		return nil
	}), nil))
}

// A graph that is not the one on file is refused with what differs.
func TestGraph_changed(t *testing.T) {
	other := func() *scheduler.Dependencies[string] {
		deps := scheduler.NewDependencies[string]()
		deps.Add("server", "network", "bucket")
		deps.Add("cdn", "bucket")
		return deps
	}
	j := openNew(t)
	require.Error(t, up(t, j, "x", site(), does(func(n node) error {
		if n.Key() == "volume" {
			return errors.New("boom")
		}
		return nil
	}), nil))

	_, err := journal.NewGroup(j, "x", other(), noop, nil)
	require.ErrorIs(t, err, journal.ErrGraphChanged)
	change := as[*journal.GraphError](t, err)
	require.Equal(t, &journal.GraphError{
		Run: "x", Gone: []string{"dns", "volume"}, Added: []string{"bucket", "cdn"},
		Changed: []string{"server no longer requires volume", "server now requires bucket"},
	}, change)
	require.EqualError(t, err, `journal: run "x": the graph has changed; gone: dns, volume; new: bucket, cdn; `+
		"server no longer requires volume, server now requires bucket")

	refused := errors.New("not this one")
	_, err = journal.NewGroup(j, "x", other(), noop, &options{TakeOver: func(*journal.GraphError) error { return refused }})
	require.ErrorIs(t, err, refused)

	var ran []string
	task := does(func(n node) error {
		ran = append(ran, n.Key())
		return nil
	})
	require.NoError(t, up(t, j, "x", other(), task, &options{TakeOver: func(c *journal.GraphError) error {
		require.Equal(t, change, c)
		return nil
	}}))
	require.Equal(t, []string{"bucket", "server", "cdn"}, ran, "the network was done")
	require.NoError(t, up(t, j, "x", other(), noop, nil), "it is the run's graph now")
	_, err = journal.NewGroup(j, "x", site(), noop, nil)
	require.ErrorIs(t, err, journal.ErrGraphChanged)
}

func TestGraph_in_another_order_is_the_same(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "x", site(), noop, nil))
	deps := scheduler.NewDependencies[string]()
	deps.Add("dns")
	deps.Add("volume")
	deps.Add("server", "volume", "network")
	deps.Add("dns", "server")
	require.NoError(t, up(t, j, "x", deps, noop, nil))
}

func TestGraph_of_a_subgroup_changed(t *testing.T) {
	j := openNew(t)
	attempt := func(size int, takeOver func(*journal.GraphError) error) error {
		return up(t, j, "x", wide(1), func(n node) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				g, err := journal.NewSubgroup(n, "in", chain(size), noop, &options{TakeOver: takeOver})
				if err != nil {
					return err
				}
				if err := co.Await(g); err != nil || n.Attempt() > 1 {
					return err
				}
				return errors.New("boom")
			})
		}, nil)
	}
	require.Error(t, attempt(2, nil))
	require.EqualError(t, attempt(3, nil), `n00000: journal: run "x", group n00000/in: the graph has changed; new: n00002`)
	require.NoError(t, attempt(3, func(*journal.GraphError) error { return nil }))
}

func TestGraph_many_changes_are_cut_off(t *testing.T) {
	j := openNew(t)
	require.NoError(t, up(t, j, "x", wide(1), noop, nil))
	_, err := journal.NewGroup(j, "x", wide(30), noop, nil)
	require.ErrorContains(t, err, "n00010 and 19 more")
}

func TestKeys(t *testing.T) {
	type place struct{ Row, Column int }
	j := openNew(t)
	deps := scheduler.NewDependencies[place]()
	deps.Add(place{2, 1}, place{1, 1})
	r, err := journal.NewGroup(j, "x", deps, func(n *journal.Node[place]) scheduler.Task {
		return scheduler.Func(func(context.Context) error { return n.SetResult(n.Key()) })
	}, nil)
	require.NoError(t, err)
	require.NoError(t, scheduler.Run(t.Context(), r, nil))
	got, err := journal.Result[place](r, place{2, 1})
	require.NoError(t, err)
	require.Equal(t, place{2, 1}, got)
	require.Contains(t, history(t, j, "x"), `2 start {"Row":1,"Column":1} attempt 1`)

	strange := scheduler.NewDependencies[string]()
	for _, k := range []string{"", "/", "a/b", "\x00", "\n\t", "~", "~/x", `"`, "ä", "🙂"} {
		strange.Add(k, "a")
	}
	ids := map[string]bool{}
	for range 2 {
		require.NoError(t, up(t, j, "strange", strange, does(func(n node) error {
			require.False(t, ids[n.ID()])
			ids[n.ID()] = true
			return nil
		}), nil))
	}
	require.Len(t, ids, 11)
}

func TestKeys_no_json(t *testing.T) {
	j := openNew(t)
	deps := scheduler.NewDependencies[chan int]()
	deps.Add(make(chan int))
	_, err := journal.NewGroup(j, "x", deps, func(*journal.Node[chan int]) scheduler.Task { return nil }, nil)
	requireAs[*journal.ValueError](t, err)

	twins := scheduler.NewDependencies[string]()
	twins.Add("a\xff")
	twins.Add("a\xfe")
	_, err = journal.NewGroup(j, "x", twins, noop, nil)
	require.ErrorContains(t, err, "another key is the same as JSON")
	requireNoRuns(t, j)
}
