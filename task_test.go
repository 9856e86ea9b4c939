package scheduler_test

import (
	"context"
	"math"
	"strings"
	"testing"
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
			t.Parallel()
			require.Equal(t, c.text, c.yield.String())
			require.Equal(t, c.rounds, c.yield.Rounds())
			at, timed := c.yield.Time()
			require.Equal(t, !c.time.IsZero(), timed)
			require.True(t, at.Equal(c.time), at)
			require.Equal(t, c.ready, c.yield.Ready())
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

func TestOn_panics(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "scheduler: On: no event", func() { scheduler.On() })
	require.PanicsWithValue(t, "scheduler: On: nil event", func() { scheduler.On(nil) })
	require.PanicsWithValue(t, "scheduler: On: nil event", func() { scheduler.On(new(scheduler.Event), nil) })
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

func TestAll(t *testing.T) {
	t.Parallel()
	t.Run("side by side", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		rec := schedulertest.NewRecorder(clock)
		tasks := []scheduler.Task{
			rec.Task("a", scheduler.Pause(scheduler.After(2*time.Second))),
			rec.Task("b", scheduler.Pause(scheduler.After(time.Second))),
		}
		all := scheduler.All(tasks...)
		clear(tasks) // it has a copy of its own
		require.Equal(t, "All", scheduler.TaskDescription(all))
		require.NoError(t, scheduler.Run(t.Context(), all, &scheduler.RunnerOptions{Clock: clock}))
		require.Equal(t, "0s a.step = after 2s\n0s b.step = after 1s\n1s b.step = done\n2s a.step = done\n", rec.String())
	})
	t.Run("first failure closes the others", func(t *testing.T) {
		t.Parallel()
		other := &fakeTask{step: forever}
		err := scheduler.Run(t.Context(), scheduler.All(other, scheduler.Func(func(context.Context) error { return errBoom })), nil)
		task := asError[*scheduler.TaskError](t, err)
		require.Equal(t, 1, task.Key)
		require.Equal(t, 1, other.closes)
	})
	t.Run("of a nil task", func(t *testing.T) {
		t.Parallel()
		require.ErrorIs(t, scheduler.Run(t.Context(), scheduler.All(nil), nil), scheduler.ErrNilTask)
	})
	t.Run("of none", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, scheduler.Run(t.Context(), scheduler.All(), nil))
	})
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

// A task that has ended says so, by name, when it is used again.
func TestTask_is_used_once(t *testing.T) {
	group, err := scheduler.NewDependencyTaskGroup(graph("a"), func(string) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[string]{Name: "group"})
	require.NoError(t, err)
	for name, task := range map[string]scheduler.Task{
		"Pause(next)":    scheduler.Pause(scheduler.Next),
		"scheduler_test": scheduler.Poll(0, func(context.Context) (bool, error) { return true, nil }),
		"scheduler.":     scheduler.Sequence(scheduler.Pause(scheduler.Next)),
		"group":          group,
		"inner":          scheduler.Subrun(scheduler.NewTaskRunner(scheduler.Pause(scheduler.Next), &scheduler.RunnerOptions{Name: "inner"})),
		"named":          scheduler.Named("named", scheduler.Pause(scheduler.Next)),
		"Retry":          scheduler.Retry(constant(0), func(int, error) scheduler.Task { return scheduler.Pause(scheduler.Next) }),
		"Shield":         scheduler.Shield(scheduler.Pause(scheduler.Next)),
	} {
		require.NoError(t, scheduler.Run(t.Context(), task, nil), name)
		_, err := task.Step(t.Context())
		require.ErrorIs(t, err, scheduler.ErrEnded, name)
	}
}
