package scheduler_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

func TestEvent_is_latched(t *testing.T) {
	t.Parallel()
	var e scheduler.Event
	require.False(t, e.IsSet(), "the zero Event is not set")
	e.Set()
	e.Set()
	require.True(t, e.IsSet())
	e.Reset()
	require.False(t, e.IsSet())
	e.Reset()
	e.Set()
	require.True(t, e.IsSet())
}

// What a task that waits for events sees of them. Each action is followed by an
// attempt to step; want has the number of steps after it.
func TestEvent_wakes(t *testing.T) {
	t.Parallel()
	type events = [3]*scheduler.Event
	set := func(i int) func(events) { return func(e events) { e[i].Set() } }
	reset := func(i int) func(events) { return func(e events) { e[i].Reset() } }
	both := func(fs ...func(events)) func(events) {
		return func(e events) {
			for _, f := range fs {
				f(e)
			}
		}
	}
	nothing := func(events) {}
	on := func(is ...int) func(events) scheduler.Yield {
		return func(e events) scheduler.Yield {
			of := make([]*scheduler.Event, len(is))
			for j, i := range is {
				of[j] = e[i]
			}
			return scheduler.On(of...)
		}
	}
	next := func(events) scheduler.Yield { return scheduler.Next }
	for name, c := range map[string]struct {
		before  func(events)
		yields  []func(events) scheduler.Yield
		actions []func(events)
		want    []int
	}{
		"set while it waits":                    {nothing, []func(events) scheduler.Yield{on(0)}, []func(events){nothing, set(0)}, []int{1, 2}},
		"set before it waits":                   {set(0), []func(events) scheduler.Yield{on(0)}, []func(events){nothing}, []int{2}},
		"set and reset before it waits":         {both(set(0), reset(0)), []func(events) scheduler.Yield{on(0)}, []func(events){nothing, set(0)}, []int{1, 2}},
		"set and reset before its step":         {nothing, []func(events) scheduler.Yield{on(0)}, []func(events){both(set(0), reset(0))}, []int{2}},
		"set many times is one step":            {nothing, []func(events) scheduler.Yield{on(0), on(1)}, []func(events){both(set(0), set(0), set(0)), nothing}, []int{2, 2}},
		"still set the next time":               {nothing, []func(events) scheduler.Yield{on(0), on(0), on(0)}, []func(events){set(0), nothing, nothing}, []int{2, 3, 4}},
		"reset and waited for again":            {nothing, []func(events) scheduler.Yield{on(0), on(0)}, []func(events){set(0), reset(0), nothing, set(0)}, []int{2, 3, 3, 3}},
		"another one":                           {nothing, []func(events) scheduler.Yield{on(0)}, []func(events){set(1), set(0)}, []int{1, 2}},
		"one that it has waited for":            {nothing, []func(events) scheduler.Yield{on(0), on(1)}, []func(events){set(0), both(reset(0), set(0)), set(1)}, []int{2, 2, 3}},
		"one that it had left":                  {nothing, []func(events) scheduler.Yield{on(0), next, on(1)}, []func(events){set(0), nothing, both(reset(0), set(0)), set(1)}, []int{2, 3, 3, 4}},
		"first of several":                      {nothing, []func(events) scheduler.Yield{on(0, 1, 2)}, []func(events){nothing, set(0)}, []int{1, 2}},
		"last of several":                       {nothing, []func(events) scheduler.Yield{on(0, 1, 2)}, []func(events){nothing, set(2)}, []int{1, 2}},
		"several of several are one step":       {nothing, []func(events) scheduler.Yield{on(0, 1), on(2)}, []func(events){both(set(1), set(0)), nothing, set(2)}, []int{2, 2, 3}},
		"one of several set before":             {set(1), []func(events) scheduler.Yield{on(0, 1)}, []func(events){nothing}, []int{2}},
		"one of several set and reset":          {nothing, []func(events) scheduler.Yield{on(0, 1)}, []func(events){both(set(1), reset(1))}, []int{2}},
		"of several, the others do not linger":  {nothing, []func(events) scheduler.Yield{on(0, 1), on(2)}, []func(events){set(0), set(1), set(2)}, []int{2, 2, 3}},
		"the same twice":                        {nothing, []func(events) scheduler.Yield{on(0, 0), on(1)}, []func(events){set(0), nothing, set(1)}, []int{2, 2, 3}},
		"of some made of several, the inner":    {nothing, []func(events) scheduler.Yield{func(e events) scheduler.Yield { return on(0, 1)(e).Or(on(2)(e)) }}, []func(events){nothing, set(1)}, []int{1, 2}},
		"of some made of several, the outer":    {nothing, []func(events) scheduler.Yield{func(e events) scheduler.Yield { return on(0, 1)(e).Or(on(2)(e)) }, on(0)}, []func(events){nothing, set(2), set(1), set(0)}, []int{1, 2, 2, 3}},
		"together with rounds, which are first": {nothing, []func(events) scheduler.Yield{func(e events) scheduler.Yield { return on(0)(e).Or(scheduler.Rounds(2)) }, on(1)}, []func(events){nothing, nothing, set(0), set(1)}, []int{1, 2, 2, 3}},
		"together with rounds, before them":     {nothing, []func(events) scheduler.Yield{func(e events) scheduler.Yield { return on(0)(e).Or(scheduler.Rounds(9)) }, on(1)}, []func(events){nothing, set(0), nothing}, []int{1, 2, 2}},
	} {
		for _, inGroup := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/group=%t", name, inGroup), func(t *testing.T) {
				t.Parallel()
				e := events{new(scheduler.Event), new(scheduler.Event), new(scheduler.Event)}
				task := &fakeTask{}
				for _, y := range c.yields {
					task.yields = append(task.yields, y(e))
				}
				root := scheduler.Task(task)
				if inGroup { // which then parks it
					root = scheduler.All(&fakeTask{step: forever}, task)
				}
				c.before(e)
				d := schedulertest.NewDriver(t, root, nil)
				d.Step()
				for i, act := range c.actions {
					act(e)
					if !d.Runner.Done() {
						d.Step()
					}
					require.Equal(t, c.want[i], task.steps, "after action %d", i)
				}
			})
		}
	}
}

// Waiters leave an event's list from its front, middle and end, by themselves
// and one after the other; those that stay are woken all the same.
func TestEvent_list_of_waiters_stays_intact(t *testing.T) {
	t.Parallel()
	const n = 7
	for leavers := range 1 << n {
		var e, other scheduler.Event
		tasks := make([]scheduler.Task, n)
		members := make([]*fakeTask, n)
		for i := range tasks {
			y := scheduler.On(&e)
			if leavers&(1<<i) != 0 {
				y = y.Or(scheduler.After(time.Duration(1 + (i*3)%n)))
			}
			members[i] = &fakeTask{yields: []scheduler.Yield{y, scheduler.On(&other)}}
			tasks[i] = members[i]
		}
		d := schedulertest.NewDriver(t, scheduler.All(tasks...), nil)
		d.Step()
		for range n {
			d.Clock.Advance(1)
			d.Step()
		}
		for i, m := range members {
			require.Equal(t, 1+leavers>>i&1, m.steps, "%b: member %d", leavers, i)
		}
		e.Set()
		d.Step()
		for i, m := range members {
			require.Equal(t, 2, m.steps, "%b: member %d", leavers, i)
		}
		other.Set()
		require.True(t, d.Step())
		require.NoError(t, d.Err())
	}
}

func TestEvent_set_by_many_goroutines_at_once(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var e scheduler.Event
		tasks := make([]scheduler.Task, 20)
		for i := range tasks {
			tasks[i] = scheduler.Pause(scheduler.On(&e))
		}
		var setters sync.WaitGroup
		for range 50 {
			setters.Go(func() {
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				e.Set()
			})
		}
		start := time.Now()
		require.NoError(t, scheduler.Run(t.Context(), scheduler.All(tasks...), nil))
		require.Equal(t, time.Second, time.Since(start))
		setters.Wait()
	})
}

// No wake is lost: producers on other goroutines add to a count and set an
// event, the task resets the event and then takes what there is. A lost wake
// would leave something untaken, and the run asleep for ever.
func TestEvent_loses_no_wake(t *testing.T) {
	t.Parallel()
	const producers, each = 4, 2000
	for name, c := range map[string]struct {
		wait  func(events []*scheduler.Event) scheduler.Yield
		wrap  func(task scheduler.Task) scheduler.Task
		every bool // the producers share the first event
	}{
		"one event": {
			wait:  func(e []*scheduler.Event) scheduler.Yield { return scheduler.On(e[0]) },
			every: true,
		},
		"one event, in a group": {
			wait:  func(e []*scheduler.Event) scheduler.Yield { return scheduler.On(e[0]) },
			wrap:  func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
			every: true,
		},
		"an event each": {
			wait: func(e []*scheduler.Event) scheduler.Yield { return scheduler.On(e...) },
		},
		"an event each, by Or, in a runner in a group": {
			wait: func(e []*scheduler.Event) scheduler.Yield {
				return scheduler.On(e[0]).Or(scheduler.On(e[1], e[2])).Or(scheduler.On(e[3]))
			},
			wrap: func(task scheduler.Task) scheduler.Task {
				return scheduler.All(scheduler.NewTaskRunner(scheduler.All(task), nil).AsTask(0))
			},
		},
		"the same combination again and again": {
			wait: func() func(e []*scheduler.Event) scheduler.Yield {
				var made scheduler.Yield
				return func(e []*scheduler.Event) scheduler.Yield {
					if made == (scheduler.Yield{}) {
						made = scheduler.On(e...)
					}
					return made
				}
			}(),
			wrap: func(task scheduler.Task) scheduler.Task { return scheduler.All(task) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var produced atomic.Int64
			events := make([]*scheduler.Event, producers)
			for i := range events {
				events[i] = new(scheduler.Event)
			}
			var done sync.WaitGroup
			taken := int64(0)
			task := scheduler.Task(scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				for _, e := range events {
					e.Reset() // before a look at what it stands for
				}
				if taken += produced.Swap(0); taken == producers*each {
					return scheduler.Done, nil
				}
				return c.wait(events), nil
			}))
			if c.wrap != nil {
				task = c.wrap(task)
			}
			for i := range producers {
				done.Go(func() {
					e := events[i]
					if c.every {
						e = events[0]
					}
					for range each {
						produced.Add(1)
						e.Set()
					}
				})
			}
			require.NoError(t, scheduler.Run(context.Background(), task, nil))
			done.Wait()
		})
	}
}

// An event that a task waited for beside something else, and does not wait for
// any more, cuts no pause between rounds short.
func TestEvent_of_an_earlier_wait_cuts_no_pause_short(t *testing.T) {
	t.Parallel()
	var event scheduler.Event
	steps := 0
	waits := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		switch steps++; steps {
		case 1:
			return scheduler.Next.Or(scheduler.On(&event)), nil
		case 2:
			return scheduler.Next, nil
		}
		return scheduler.Done, nil
	})
	first := true
	sets := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		if first {
			first = false
			return scheduler.Next, nil
		}
		event.Set()
		return scheduler.Done, nil
	})
	clock := schedulertest.NewClock(time.Time{}).Alone()
	began := clock.Now()
	require.NoError(t, scheduler.Run(t.Context(), scheduler.All(waits, sets), &scheduler.RunnerOptions{Clock: clock, Wait: time.Second}))
	require.Equal(t, time.Second, clock.Now().Sub(began), "two pauses: none, and a whole one")
}

// The same for a task without a group, which sets the event in its own step.
func TestEvent_of_an_earlier_wait_that_the_task_sets_itself(t *testing.T) {
	t.Parallel()
	var event scheduler.Event
	steps := 0
	task := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		switch steps++; steps {
		case 1:
			return scheduler.Next.Or(scheduler.On(&event)), nil
		case 2:
			event.Set()
			return scheduler.Next, nil
		}
		return scheduler.Done, nil
	})
	r := startRunner(t, task, nil)
	done, err := r.Step(t.Context())
	require.False(t, done)
	require.NoError(t, err)
	require.False(t, r.Due().Ready())
}

// An event of several lets go of them when nobody waits for it any more.
func TestEvent_of_several_leaves_nothing_behind(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var a, b scheduler.Event
	const waits = 20_000
	steps := 0
	r := scheduler.NewTaskRunner(scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		steps++
		return scheduler.On(&a, &b).Or(scheduler.Next), nil
	}), nil)
	require.NoError(t, r.Start(t.Context(), 0))
	before := heap()
	for range waits {
		mustStep(t, t.Context(), r)
	}
	require.Less(t, int64(heap())-int64(before), int64(waits*50), "bytes")
	require.NoError(t, r.Cancel())
	runtime.KeepAlive(&a)
	runtime.KeepAlive(&b)
}

// A runner does not look up for an event that its task does not wait for any more.
func TestTaskRunner_forgets_an_event_of_an_earlier_wait(t *testing.T) {
	t.Parallel()
	var event scheduler.Event
	first := true
	r := scheduler.NewTaskRunner(scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		if first {
			first = false
			return scheduler.Next.Or(scheduler.On(&event)), nil
		}
		return scheduler.Next, nil
	}), nil)
	require.NoError(t, r.Start(t.Context(), 0))
	mustStep(t, t.Context(), r)
	event.Set()
	require.False(t, r.Due().Ready())
	require.NoError(t, r.Cancel())
}

// Of two that wait for the same of several events, one may leave.
func TestEvent_of_several_is_left_by_one(t *testing.T) {
	t.Parallel()
	var a, b, never scheduler.Event
	both := scheduler.On(&a, &b)
	clock := schedulertest.NewClock(time.Time{})
	ctx := scheduler.WithClock(t.Context(), clock)
	g := claiming(t, "leaves stays", nil, func(k string) scheduler.Task {
		if k == "leaves" {
			return scheduler.Sequence(scheduler.Pause(both.Or(scheduler.After(time.Second))), scheduler.Pause(scheduler.On(&never)))
		}
		return scheduler.Pause(both)
	})
	mustStep(t, ctx, g)
	clock.Advance(time.Second)
	mustStep(t, ctx, g)
	b.Set()
	mustStep(t, ctx, g)
	require.Equal(t, scheduler.StateSucceeded, g.State("stays"))
	require.Equal(t, scheduler.StateRunning, g.State("leaves"))
	require.NoError(t, g.Close())
}

// All that wait for an event are due in the same round, in key order, from
// whichever goroutine it is set, and whatever groups and runners they are in.
func TestEvent_Set_is_seen_in_one_round(t *testing.T) {
	const waiters = 19
	shapes := map[string]func(wait func(i int) scheduler.Task, busy scheduler.Task) scheduler.Task{
		"one group": func(wait func(i int) scheduler.Task, busy scheduler.Task) scheduler.Task {
			tasks := []scheduler.Task{busy}
			for i := range waiters {
				tasks = append(tasks, wait(i))
			}
			return scheduler.All(tasks...)
		},
		"groups in a group": func(wait func(i int) scheduler.Task, busy scheduler.Task) scheduler.Task {
			tasks := []scheduler.Task{busy}
			for i := range waiters {
				switch i % 3 {
				case 0:
					tasks = append(tasks, wait(i))
				case 1:
					tasks = append(tasks, scheduler.All(scheduler.All(wait(i))))
				default:
					tasks = append(tasks, scheduler.Sequence(scheduler.Subrun(scheduler.NewTaskRunner(scheduler.All(wait(i)), nil))))
				}
			}
			return scheduler.All(tasks...)
		},
	}
	for name, shape := range shapes {
		for _, several := range []bool{false, true} {
			t.Run(fmt.Sprint(name, several), func(t *testing.T) {
				for range 300 {
					event, never := new(scheduler.Event), new(scheduler.Event)
					var order, rounds []int
					round, woken := 0, 0
					wait := func(i int) scheduler.Task {
						return scheduler.Wrap(func(co *scheduler.Coroutine) error {
							y := scheduler.On(event)
							if several && i%2 == 0 {
								y = scheduler.On(never, event)
							}
							if err := co.Yield(y); err != nil {
								return err
							}
							order, rounds, woken = append(order, i), append(rounds, round), woken+1
							return nil
						})
					}
					busy := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
						if round++; round == 1 {
							go event.Set()
						}
						runtime.Gosched()
						if woken == waiters {
							return scheduler.Done, nil
						}
						return scheduler.Next, nil
					})
					require.NoError(t, scheduler.Run(t.Context(), shape(wait, busy), nil))
					require.True(t, slices.IsSorted(order), "%v in rounds %v", order, rounds)
					require.Len(t, slices.Compact(rounds), 1)
				}
			})
		}
	}
}

// A group that is driven without a runner is no different.
func TestEvent_Set_of_a_bare_group(t *testing.T) {
	event := new(scheduler.Event)
	g := scheduler.All(
		scheduler.All(scheduler.Pause(scheduler.On(event))), scheduler.Pause(scheduler.On(event)),
		scheduler.Func(func(context.Context) error { event.Set(); return nil }),
	)
	y, err := g.Step(t.Context())
	require.NoError(t, err)
	require.True(t, y.Ready())
	y, err = g.Step(t.Context())
	require.NoError(t, err)
	require.Equal(t, scheduler.Done, y)
}

// Events of several runs.
func TestEvent_Set_wakes_several_runs(t *testing.T) {
	event := new(scheduler.Event)
	runners := make([]*scheduler.TaskRunner, 5)
	for i := range runners {
		runners[i] = scheduler.NewTaskRunner(scheduler.All(scheduler.Pause(scheduler.On(event)), scheduler.Pause(scheduler.On(event))), nil)
		require.NoError(t, runners[i].Start(t.Context(), 0))
		require.False(t, runners[i].Due().Ready())
	}
	event.Set()
	for _, r := range runners {
		require.True(t, r.Due().Ready())
		done, err := r.Step(t.Context())
		require.True(t, done)
		require.NoError(t, err)
	}
}
