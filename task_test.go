package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

func TestYield(t *testing.T) {
	t.Parallel()
	var event scheduler.Event
	set := setEvent()
	noon := time.Date(2001, 2, 3, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		yield  scheduler.Yield
		text   string
		rounds int
		time   time.Time
		ready  bool
	}{
		"zero":                 {yield: scheduler.Yield{}, text: "no yield"},
		"done":                 {yield: scheduler.Done, text: "done"},
		"next":                 {yield: scheduler.Next, text: "next", rounds: 1},
		"rounds":               {yield: scheduler.Rounds(3), text: "3 rounds", rounds: 3},
		"one round":            {yield: scheduler.Rounds(1), text: "next", rounds: 1},
		"no rounds":            {yield: scheduler.Rounds(0), text: "next", rounds: 1},
		"negative rounds":      {yield: scheduler.Rounds(-5), text: "next", rounds: 1},
		"most rounds":          {yield: scheduler.Rounds(math.MaxInt), text: "2147483647 rounds", rounds: math.MaxInt32},
		"after":                {yield: scheduler.After(90 * time.Second), text: "after 1m30s"},
		"at":                   {yield: scheduler.At(noon), text: "at 2001-02-03T12:00:00Z", time: noon},
		"at a time long past":  {yield: scheduler.At(time.Time{}), text: "now", time: time.Unix(0, math.MinInt64), ready: true},
		"at a time far ahead":  {yield: scheduler.At(noon.AddDate(1000, 0, 0)), text: "at 2262-04-11T23:47:16.854775807Z", time: time.Unix(0, math.MaxInt64)},
		"event":                {yield: scheduler.On(&event), text: "event"},
		"event that is set":    {yield: scheduler.On(set), text: "event", ready: true},
		"several events":       {yield: scheduler.On(&event, &event), text: "event"},
		"one of several set":   {yield: scheduler.On(&event, set), text: "event", ready: true},
		"done or next":         {yield: scheduler.Done.Or(scheduler.Next), text: "done"},
		"next or done":         {yield: scheduler.Next.Or(scheduler.Done), text: "done"},
		"zero or next":         {yield: scheduler.Yield{}.Or(scheduler.Next), text: "next", rounds: 1},
		"rounds or zero":       {yield: scheduler.Rounds(2).Or(scheduler.Yield{}), text: "2 rounds", rounds: 2},
		"rounds or rounds":     {yield: scheduler.Rounds(7).Or(scheduler.Rounds(4)), text: "4 rounds", rounds: 4},
		"fewer or more rounds": {yield: scheduler.Rounds(4).Or(scheduler.Rounds(7)), text: "4 rounds", rounds: 4},
		"rounds or next":       {yield: scheduler.Rounds(7).Or(scheduler.Next), text: "next", rounds: 1},
		"next or rounds":       {yield: scheduler.Next.Or(scheduler.Rounds(7)), text: "next", rounds: 1},
		"after or after":       {yield: scheduler.After(time.Hour).Or(scheduler.After(time.Minute)), text: "after 1m0s"},
		"at or at":             {yield: scheduler.At(noon).Or(scheduler.At(noon.Add(1))), text: "at 2001-02-03T12:00:00Z", time: noon},
		"at or rounds":         {yield: scheduler.At(noon).Or(scheduler.Rounds(2)), text: "2 rounds or at 2001-02-03T12:00:00Z", time: noon, rounds: 2},
		"event or after":       {yield: scheduler.On(&event).Or(scheduler.After(1)), text: "after 1ns or event"},
		"event or nothing":     {yield: scheduler.On(set).Or(scheduler.Yield{}), text: "event", ready: true},
		"event or set event":   {yield: scheduler.On(&event).Or(scheduler.On(set)), text: "event", ready: true},
		"event or itself":      {yield: scheduler.On(&event).Or(scheduler.On(&event)), text: "event"},
		"everything": {
			yield: scheduler.Rounds(2).Or(scheduler.After(1)).Or(scheduler.At(noon)).Or(scheduler.On(&event)),
			text:  "2 rounds or after 1ns or at 2001-02-03T12:00:00Z or event", rounds: 2, time: noon,
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.text, c.yield.String())
			require.Equal(t, c.rounds, c.yield.Rounds())
			at, timed := c.yield.Time()
			require.Equal(t, !c.time.IsZero(), timed)
			require.True(t, at.Equal(c.time), at)
			require.Equal(t, c.ready, c.yield.Ready())
		})
	}
}

func TestYield_In(t *testing.T) {
	t.Parallel()
	var event, set scheduler.Event
	set.Set()
	noon := time.Date(2001, 2, 3, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		yield scheduler.Yield
		wait  time.Duration
		never bool
	}{
		"at":               {yield: scheduler.At(noon.Add(time.Minute)), wait: time.Minute},
		"at a past time":   {yield: scheduler.At(noon.Add(-time.Minute))},
		"at the end":       {yield: scheduler.At(noon.AddDate(1000, 0, 0)), wait: time.Unix(0, math.MaxInt64).Sub(noon)},
		"after":            {yield: scheduler.After(time.Minute), wait: time.Minute},
		"after before at":  {yield: scheduler.At(noon.Add(time.Hour)).Or(scheduler.After(time.Minute)), wait: time.Minute},
		"at before after":  {yield: scheduler.At(noon.Add(time.Minute)).Or(scheduler.After(time.Hour)), wait: time.Minute},
		"at before event":  {yield: scheduler.At(noon.Add(time.Minute)).Or(scheduler.On(&event)), wait: time.Minute},
		"set event":        {yield: scheduler.At(noon.Add(time.Minute)).Or(scheduler.On(&set))},
		"event":            {yield: scheduler.On(&event), never: true},
		"next":             {yield: scheduler.Next},
		"rounds before at": {yield: scheduler.Rounds(3).Or(scheduler.At(noon.Add(time.Minute)))},
		"done":             {yield: scheduler.Done},
		"nothing":          {never: true},
	} {
		t.Run(name, func(t *testing.T) {
			wait, ok := c.yield.In(noon)
			require.Equal(t, c.wait, wait)
			require.Equal(t, !c.never, ok)
		})
	}
}

func TestYield_is_comparable(t *testing.T) {
	t.Parallel()
	var a, b scheduler.Event
	noon := time.Date(2001, 2, 3, 12, 0, 0, 0, time.UTC)
	all := []func() scheduler.Yield{
		func() scheduler.Yield { return scheduler.Yield{} },
		func() scheduler.Yield { return scheduler.Done },
		func() scheduler.Yield { return scheduler.Next },
		func() scheduler.Yield { return scheduler.Rounds(2) },
		func() scheduler.Yield { return scheduler.Rounds(3) },
		func() scheduler.Yield { return scheduler.After(0) },
		func() scheduler.Yield { return scheduler.After(1) },
		func() scheduler.Yield { return scheduler.At(noon) },
		func() scheduler.Yield { return scheduler.At(time.Unix(0, 0)) },
		func() scheduler.Yield { return scheduler.On(&a) },
		func() scheduler.Yield { return scheduler.On(&b) },
		func() scheduler.Yield { return scheduler.On(&a).Or(scheduler.After(1)) },
		func() scheduler.Yield { return scheduler.Rounds(2).Or(scheduler.At(noon)) },
	}
	for i, y := range all {
		for j, z := range all {
			require.Equal(t, i == j, y() == z(), "%v == %v", y(), z())
		}
	}
	require.Equal(t, scheduler.At(noon), scheduler.At(noon.In(time.FixedZone("", 3600))), "a zone makes no difference")
	require.LessOrEqual(t, unsafe.Sizeof(scheduler.Yield{}), uintptr(32), "more would leave the registers")
}

// Or is associative and commutative where it can be seen, with the zero Yield as
// its unit.
func TestYield_Or_is_the_earliest(t *testing.T) {
	t.Parallel()
	var event scheduler.Event
	noon := time.Date(2001, 2, 3, 12, 0, 0, 0, time.UTC)
	all := []scheduler.Yield{
		{},
		scheduler.Done, scheduler.Next, scheduler.Rounds(2), scheduler.Rounds(9), scheduler.After(-1), scheduler.After(5),
		scheduler.At(noon), scheduler.At(noon.Add(1)), scheduler.At(time.Time{}), scheduler.On(&event),
	}
	for _, a := range all {
		require.Equal(t, a, a.Or(scheduler.Yield{}))
		require.Equal(t, a, scheduler.Yield{}.Or(a))
		require.Equal(t, a, a.Or(a))
		for _, b := range all {
			require.Equal(t, a.Or(b), b.Or(a))
			for _, c := range all {
				require.Equal(t, a.Or(b).Or(c), a.Or(b.Or(c)))
			}
		}
	}
}

func TestYield_far_times(t *testing.T) {
	t.Parallel()
	for _, y := range []scheduler.Yield{
		scheduler.After(math.MaxInt64),
		scheduler.At(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)),
	} {
		task := &fakeTask{yields: []scheduler.Yield{y.Or(scheduler.Rounds(2))}}
		d := schedulertest.NewDriver(t, task, nil)
		d.Step()
		at, timed := d.Runner.Due().Time()
		require.True(t, timed)
		require.Equal(t, 2262, at.UTC().Year(), "the end of the scale, not an overflow")
		d.Step()
		require.True(t, d.Step())
	}
	d := schedulertest.NewDriver(t, &fakeTask{yields: []scheduler.Yield{scheduler.After(math.MinInt64)}}, nil)
	d.Step()
	require.False(t, d.Parked())
	require.True(t, d.Step())
}

func TestFunc(t *testing.T) {
	t.Parallel()
	for _, want := range []error{nil, errBoom} {
		calls := 0
		task := scheduler.Func(func(ctx context.Context) error {
			calls++
			require.NotNil(t, ctx)
			return want
		})
		require.Equal(t, want, scheduler.Run(t.Context(), task, nil))
		require.Equal(t, 1, calls)
		require.NoError(t, task.Close())
	}
}

func TestStepFunc(t *testing.T) {
	t.Parallel()
	steps := 0
	task := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		if steps++; steps == 3 {
			return scheduler.Yield{}, errBoom
		}
		return scheduler.Next, nil
	})
	require.Equal(t, errBoom, scheduler.Run(t.Context(), task, nil))
	require.Equal(t, 3, steps)
	require.NoError(t, task.Close())
	require.Contains(t, task.String(), "TestStepFunc.func1")
}

func TestPause(t *testing.T) {
	t.Parallel()
	clock := newClock()
	task := scheduler.Pause(scheduler.After(time.Hour))
	require.Equal(t, "Pause(after 1h0m0s)", scheduler.TaskDescription(task))
	require.NoError(t, scheduler.Run(t.Context(), task, &scheduler.RunnerOptions{Clock: clock}))
	require.Equal(t, []time.Duration{time.Hour}, clock.Pauses())

	d := schedulertest.NewDriver(t, scheduler.Pause(scheduler.Next), nil)
	d.Step()
	require.NoError(t, d.Runner.Cancel())
}

func plainFunction(context.Context) error { return nil }

func genericFunction[T any](context.Context) error { return nil }

type described struct{}

func (described) value(context.Context) error    { return nil }
func (*described) pointer(context.Context) error { return nil }

type named struct{ described }

func (named) String() string { return "a name" }

func TestTaskDescription(t *testing.T) {
	t.Parallel()
	closure := func(context.Context) error { return nil }
	for _, c := range []struct {
		task any
		want string
	}{
		{nil, "nil"},
		{plainFunction, "scheduler_test.plainFunction"},
		{scheduler.Func(plainFunction), "scheduler_test.plainFunction"},
		{scheduler.Func(nil), "nil"},
		{closure, "scheduler_test.TestTaskDescription.func1"},
		{described{}.value, "scheduler_test.described.value"},
		{(&described{}).pointer, "scheduler_test.described.pointer"},
		{described.value, "scheduler_test.described.value"},
		{(*described).pointer, "scheduler_test.described.pointer"},
		{genericFunction[int], "scheduler_test.genericFunction"},
		{named{}, "a name"},
		{&named{}, "a name"},
		{described{}, "scheduler_test.described"},
		{&described{}, "scheduler_test.described"},
		{struct{}{}, "struct {}"},
		{strings.ToUpper, "strings.ToUpper"},
		{scheduler.Wrap(func(*scheduler.Coroutine) error { return nil }), "scheduler_test.TestTaskDescription.func2"},
		{scheduler.NewTaskRunner(named{}.task(), nil), "scheduler_test.described.value"},
		{scheduler.NewTaskRunner(named{}.task(), &scheduler.RunnerOptions{Name: "other"}).AsTask(0), "other"},
	} {
		require.Equal(t, c.want, scheduler.TaskDescription(c.task))
	}
}

func (n named) task() scheduler.Task { return scheduler.Func(n.value) }

func TestTimes_at_the_ends_of_the_scale_are_kept(t *testing.T) {
	t.Parallel()
	for _, second := range []int64{9223372035, -9223372035} {
		at, ok := scheduler.At(time.Unix(second, 0)).Time()
		require.True(t, ok)
		require.Equal(t, second, at.Unix())
	}
	// A span backwards is not the beginning of all time.
	clock := schedulertest.NewClock(time.Time{})
	r := startRunner(t, scheduler.Pause(scheduler.After(-time.Second)), &scheduler.RunnerOptions{Clock: clock})
	at, ok := r.Due().Time()
	require.True(t, ok)
	require.Equal(t, -time.Second, at.Sub(clock.Now()))
}

// To set an event for a task that waits for it, and to step that, costs no memory.
func TestEvent_Set_allocates_nothing(t *testing.T) {
	var e scheduler.Event
	r := startRunner(t, scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		e.Reset()
		return scheduler.On(&e), nil
	}), &scheduler.RunnerOptions{Clock: newClock()})
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		e.Set()
		_, _ = r.Step(ctx)
	}))
	_ = r.Cancel()
}

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
				sleep(time.Second)
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

// The same for a task without a group, whose event is set in its own step, or after it.
func TestEvent_of_an_earlier_wait_makes_no_runner_due(t *testing.T) {
	t.Parallel()
	for _, itself := range []bool{false, true} {
		var event scheduler.Event
		task := &fakeTask{}
		task.step = func(context.Context) (scheduler.Yield, error) {
			if task.steps == 1 {
				return scheduler.Next.Or(scheduler.On(&event)), nil
			}
			if itself {
				event.Set()
			}
			return scheduler.Next, nil
		}
		r := startRunner(t, task, nil)
		require.False(t, mustStep(t, t.Context(), r))
		event.Set()
		require.False(t, r.Due().Ready())
		require.NoError(t, r.Cancel())
	}
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
	r := startRunner(t, scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		steps++
		return scheduler.On(&a, &b).Or(scheduler.Next), nil
	}), nil)
	before := heap()
	for range waits {
		mustStep(t, t.Context(), r)
	}
	require.Less(t, int64(heap())-int64(before), int64(waits*50), "bytes")
	require.NoError(t, r.Cancel())
	runtime.KeepAlive(&a)
	runtime.KeepAlive(&b)
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
		require.True(t, mustStep(t, t.Context(), r))
	}
}

// lingering returns a group of two nodes, of which b alone has a grace and wants
// every round.
func lingering(t *testing.T, a, b scheduler.Task) *scheduler.DependencyTaskGroup[string] {
	t.Helper()
	return newGroup(t, "a b", byKey(map[string]scheduler.Task{"a": a, "b": b}), &scheduler.GroupOptions[string]{
		GraceFor: byKey(map[string]time.Duration{"b": time.Minute}),
	})
}

// A member that was woken and is closed before its turn leaves nothing behind that
// would cut short the pause before the next round.
func TestTaskRunner_Due_after_a_woken_member_was_closed(t *testing.T) {
	t.Parallel()
	insides := holdersOf("itself", "All", "AsTask", "plain wrapper", "Sequence", "Wrap")
	insides["in a group"] = func(task scheduler.Task) scheduler.Task { return lingering(t, task, &fakeTask{}) }
	arounds := holdersOf("itself", "AsTask", "Sequence")
	for inside, wrap := range insides {
		for around, wrapAll := range arounds {
			t.Run("a "+inside+", all "+around, func(t *testing.T) {
				event := new(scheduler.Event)
				b := &fakeTask{
					step: func(context.Context) (scheduler.Yield, error) {
						event.Set()
						return scheduler.Next, nil
					},
					stop: func(context.Context, error) {},
				}
				group := lingering(t, wrap(scheduler.Pause(scheduler.On(event))), b)
				r := startRunner(t, wrapAll(group), &scheduler.RunnerOptions{Clock: newClock()})
				require.True(t, r.Due().Ready(), "a was woken")

				r.Interrupt(errors.New("broken"))
				require.True(t, r.Due().Ready())
				mustStep(t, t.Context(), r)
				require.Equal(t, scheduler.StateCancelled, group.State("a"))
				require.Equal(t, scheduler.StateRunning, group.State("b"))
				require.Equal(t, 1, r.Due().Rounds())
				require.False(t, r.Due().Ready(), "a is not there any more")
				require.NoError(t, r.Cancel())
			})
		}
	}
}

// What else the group was called for is not forgotten with the wakes of its members.
func TestTaskRunner_Due_after_a_woken_member_was_closed_and_the_group_called(t *testing.T) {
	t.Parallel()
	event := new(scheduler.Event)
	group := lingering(t, scheduler.Pause(scheduler.On(event)), &fakeTask{step: forever, stop: func(context.Context, error) {}})
	r := startRunner(t, group, &scheduler.RunnerOptions{Clock: newClock()})
	event.Set()
	group.Drain()
	r.Interrupt(errors.New("broken"))
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateCancelled, group.State("a"))
	require.True(t, r.Due().Ready())
	require.NoError(t, r.Cancel())
}

// A woken member that continues within its grace has its step at once.
func TestTaskRunner_Due_after_a_woken_member_was_told(t *testing.T) {
	t.Parallel()
	event := new(scheduler.Event)
	group := lingering(t, &fakeTask{}, &fakeTask{yields: []scheduler.Yield{scheduler.On(event)}, stop: func(context.Context, error) {}})
	r := startRunner(t, group, &scheduler.RunnerOptions{Clock: newClock()})
	event.Set()
	r.Interrupt(errSpace)
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateRunning, group.State("b"))
	require.True(t, r.Due().Ready())
	_, err := r.Step(t.Context())
	require.ErrorIs(t, err, errSpace)
}

// A group inside that is called does not cut short the pause before a round in which
// it has its turn anyway: here since its grace has passed in its own step.
func TestTaskRunner_Due_of_a_group_inside_whose_turn_has_come(t *testing.T) {
	t.Parallel()
	clock := newClock()
	inner := newGroup(t, "x", func(string) scheduler.Task {
		steps := 0
		return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if steps++; steps == 2 {
				clock.Advance(time.Hour)
				return scheduler.On(new(scheduler.Event)), nil
			}
			return scheduler.Next, nil
		})
	}, nil)
	outer := newGroup(t, "a b", byKey(map[string]scheduler.Task{
		"a": inner,
		"b": scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) { return scheduler.Yield{}, errSpace }),
	}), &scheduler.GroupOptions[string]{Grace: time.Minute})
	r := startRunner(t, outer, &scheduler.RunnerOptions{Clock: clock})
	mustStep(t, t.Context(), r)
	require.Equal(t, scheduler.StateRunning, outer.State("a"), "closed in the next round")

	inner.Drain()
	require.Equal(t, 1, r.Due().Rounds())
	require.False(t, r.Due().Ready())
	r.CancelAfter(time.Minute)
	require.True(t, r.Due().Ready(), "a call of the runner itself counts")
	require.NoError(t, r.Cancel())
}

// A group that is stepped by hand is not due either for wakes of members that were
// closed since, at whatever depth.
func TestDependencyTaskGroup_Step_by_hand_after_a_woken_member_was_closed(t *testing.T) {
	t.Parallel()
	insides := holdersOf("itself", "AsTask")
	insides["in a group"] = func(task scheduler.Task) scheduler.Task { return lingering(t, task, &fakeTask{}) }
	insides["in a group in All"] = func(task scheduler.Task) scheduler.Task { return scheduler.All(lingering(t, task, &fakeTask{})) }
	for name, wrap := range insides {
		t.Run(name, func(t *testing.T) {
			ctx := scheduler.WithClock(t.Context(), newClock())
			event, fails := new(scheduler.Event), false
			b := &fakeTask{
				step: func(context.Context) (scheduler.Yield, error) {
					event.Set()
					return scheduler.Next, nil
				},
				stop: func(context.Context, error) {},
			}
			c := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
				if fails {
					return scheduler.Yield{}, errSpace
				}
				return scheduler.Next, nil
			})
			deaf := &fakeTask{step: forever, stop: func(context.Context, error) {}}
			newOf := func(last scheduler.Task) *scheduler.DependencyTaskGroup[string] {
				return newGroup(t, "a b c", byKey(map[string]scheduler.Task{
					"a": wrap(scheduler.Pause(scheduler.On(event))), "b": b, "c": last,
				}), &scheduler.GroupOptions[string]{GraceFor: byKey(map[string]time.Duration{"b": time.Minute})})
			}
			requireDue := func(y scheduler.Yield, err error, ready bool) {
				t.Helper()
				require.NoError(t, err)
				require.Equal(t, 1, y.Rounds())
				require.Equal(t, ready, y.Ready())
			}

			group := newOf(deaf)
			y, err := group.Step(ctx)
			requireDue(y, err, true)
			y, err = group.Throw(ctx, errBoom)
			require.Equal(t, scheduler.StateCancelled, group.State("a"))
			requireDue(y, err, false)
			require.NoError(t, group.Close())

			// The step in which it is woken closes it as well.
			event.Reset()
			group = newOf(c)
			fails = true
			y, err = group.Step(ctx)
			require.Equal(t, scheduler.StateCancelled, group.State("a"))
			requireDue(y, err, false)
			require.ErrorIs(t, group.Close(), errSpace)

			// What it is called for otherwise counts.
			event.Reset()
			group = newOf(deaf)
			y, err = group.Step(ctx)
			requireDue(y, err, true)
			group.Drain()
			y, err = group.Throw(ctx, errBoom)
			requireDue(y, err, true)
			require.NoError(t, group.Close())
		})
	}
}

// blocks returns a task that yields once and whose second step takes d.
func blocks(d time.Duration) scheduler.Task {
	first := true
	return scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
		if first {
			first = false
			return scheduler.Next, nil
		}
		sleep(d)
		return scheduler.Done, nil
	})
}

// A step that does not return is reported while it runs, once, with its node, however
// the task is held.
func TestWatchdog(t *testing.T) {
	for as, hold := range held {
		inBubble(t, as, func(t *testing.T) {
			var stuck []scheduler.StuckStep
			began := time.Now()
			g := newGroup(t, "fine web", func(k string) scheduler.Task {
				if k == "fine" {
					return scheduler.Pause(scheduler.After(time.Minute))
				}
				return hold(blocks(10 * time.Second))
			}, nil)
			err := scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
				After: 2 * time.Second,
				Report: func(s scheduler.StuckStep) {
					require.Equal(t, 2*time.Second, time.Since(began))
					stuck = append(stuck, s)
				},
			}})
			require.NoError(t, err)
			require.Len(t, stuck, 1)
			require.Regexp(t, "^web", stuck[0].Path)
			require.Equal(t, 2*time.Second, stuck[0].For)
			require.Equal(t, time.Minute, time.Since(began))
			if as == "itself" || as == "All" { // a coroutine has a goroutine of its own
				require.Contains(t, string(stuck[0].Stack), "task_test.go")
			}
		})
	}
}

// Each step of a node is a sign of life, and each that does not return is reported.
func TestWatchdog_signs_of_life(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var paths []string
		g := newGroup(t, "a b c d", func(k string) scheduler.Task {
			return blocks(map[string]time.Duration{"a": 3, "b": 1, "c": 1, "d": 4}[k] * time.Second)
		}, nil)
		r := scheduler.NewTaskRunner(g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
			After: 2 * time.Second, Report: func(s scheduler.StuckStep) { paths = append(paths, s.Path) },
		}})
		require.NoError(t, r.Run(t.Context()))
		require.Equal(t, []string{"a", "d"}, paths)
	})
	inBubble(t, "no step, no report", func(t *testing.T) {
		require.NoError(t, scheduler.Run(t.Context(), scheduler.Pause(scheduler.After(time.Hour)), &scheduler.RunnerOptions{
			Watchdog: scheduler.Watchdog{After: time.Second, Report: func(scheduler.StuckStep) { t.Error("reported") }},
		}))
	})
	inBubble(t, "After that, and not earlier or later", func(t *testing.T) {
		var stuck []scheduler.StuckStep
		began := time.Now()
		g := newGroup(t, "a b", func(k string) scheduler.Task {
			return blocks(map[string]time.Duration{"a": time.Second, "b": time.Minute}[k])
		}, nil)
		require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
			After: 3 * time.Second, Report: func(s scheduler.StuckStep) {
				stuck = append(stuck, s)
				require.Equal(t, 4*time.Second, time.Since(began))
			},
		}}))
		require.Len(t, stuck, 1)
		require.Equal(t, 3*time.Second, stuck[0].For)
	})
	inBubble(t, "one report after the other", func(t *testing.T) {
		var reports []string
		g := newGroup(t, "a b", func(k string) scheduler.Task {
			return blocks(map[string]time.Duration{"a": 3 * time.Second, "b": 30 * time.Second}[k])
		}, nil)
		require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
			After: time.Second, Report: func(s scheduler.StuckStep) {
				reports = append(reports, s.Path+" begins")
				sleep(10 * time.Second)
				reports = append(reports, s.Path+" ends")
			},
		}}))
		require.Equal(t, []string{"a begins", "a ends", "b begins", "b ends"}, reports)
	})
	inBubble(t, "the end waits for a report and no longer", func(t *testing.T) {
		began := time.Now()
		g := newGroup(t, "a b", func(string) scheduler.Task { return blocks(3 * time.Second) }, nil)
		require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
			After: 2 * time.Second, Report: func(scheduler.StuckStep) { sleep(10 * time.Second) },
		}}))
		require.Equal(t, 12*time.Second, time.Since(began))
	})
	inBubble(t, "outside of a group", func(t *testing.T) {
		var stuck []scheduler.StuckStep
		require.NoError(t, scheduler.Run(t.Context(), blocks(time.Minute), &scheduler.RunnerOptions{
			Watchdog: scheduler.Watchdog{After: time.Second, Report: func(s scheduler.StuckStep) { stuck = append(stuck, s) }},
		}))
		require.Len(t, stuck, 1)
		require.Empty(t, stuck[0].Path)
	})
	inBubble(t, "RecoverPanics", func(t *testing.T) {
		var paths []string
		g := newGroup(t, "a b", func(k string) scheduler.Task {
			if k == "b" {
				return blocks(3 * time.Second)
			}
			return scheduler.Func(func(context.Context) error { panic("no") })
		}, &scheduler.GroupOptions[string]{RecoverPanics: true, OnError: func(string, error) scheduler.Disposition { return scheduler.IgnoreError }})
		_ = scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
			After: 2 * time.Second, Report: func(s scheduler.StuckStep) { paths = append(paths, s.Path) },
		}})
		require.Equal(t, []string{"b"}, paths)
	})
}

// The end of a step waits for the report of it, which may take longer, and which may
// end the run.
func TestWatchdog_is_waited_for(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		reports := 0
		var r *scheduler.TaskRunner
		r = scheduler.NewTaskRunner(scheduler.Sequence(blocks(3*time.Second), hours("")), &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
			After: 2 * time.Second, Report: func(scheduler.StuckStep) {
				sleep(5 * time.Second)
				reports++
				r.Kill()
			},
		}})
		require.ErrorIs(t, r.Run(t.Context()), scheduler.ErrCancelled)
		require.Equal(t, 1, reports)
		require.Equal(t, 7*time.Second, time.Since(began))
	})
	inBubble(t, "while others go on", func(t *testing.T) {
		var paths []string
		g := newGroup(t, "a b", func(string) scheduler.Task { return blocks(8 * time.Second) }, nil)
		require.NoError(t, scheduler.Run(t.Context(), g, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
			After: 2 * time.Second, Report: func(s scheduler.StuckStep) {
				sleep(7 * time.Second) // until a step of the next node
				paths = append(paths, s.Path)
			},
		}}))
		require.Equal(t, []string{"a", "b"}, paths)
	})
}

func TestWatchdog_misuse(t *testing.T) {
	report := func(scheduler.StuckStep) {}
	on := scheduler.Watchdog{After: 1, Report: report}
	task := func() scheduler.Task { return scheduler.Pause(scheduler.Next) }
	clock := newClock()
	for want, err := range map[string]error{
		"After is 0s; it must be positive":                            scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{Report: report}}),
		"After is -1ns; it must be positive":                          scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{After: -1}}),
		"nil Report":                                                  scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{After: 1}}),
		"needs the system's clock, but the run has another":           scheduler.Run(t.Context(), task(), &scheduler.RunnerOptions{Watchdog: on, Clock: clock}),
		"needs the system's clock, but the run has another ":          scheduler.Run(scheduler.WithClock(t.Context(), clock), task(), &scheduler.RunnerOptions{Watchdog: on}),
		"is for the outermost runner; this one is inside another run": scheduler.Run(t.Context(), scheduler.Subrun(scheduler.NewTaskRunner(task(), &scheduler.RunnerOptions{Watchdog: on})), nil),
	} {
		e := asError[*scheduler.OptionError](t, err)
		require.Equal(t, "RunnerOptions.Watchdog", e.Option)
		require.Equal(t, want[:len(e.Reason)], e.Reason)
	}
}

func ExampleWatchdog() {
	deps := scheduler.NewDependencies[string]()
	deps.Add("web", "db")
	reported := make(chan struct{})
	group, _ := scheduler.NewDependencyTaskGroup(deps, func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			if name == "web" {
				<-reported // blocks the step, where it should use Blocking
			}
			return nil
		})
	}, nil)
	err := scheduler.Run(context.Background(), group, &scheduler.RunnerOptions{Watchdog: scheduler.Watchdog{
		After: 300 * time.Millisecond,
		Report: func(s scheduler.StuckStep) {
			fmt.Println("a step of", s.Path, "does not return")
			close(reported)
		},
	}})
	fmt.Println(err)
	// Output:
	// a step of web does not return
	// <nil>
}
