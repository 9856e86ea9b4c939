package library

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// manual is a clock that is moved by hand.
type manual struct{ now time.Time }

func (c *manual) Now() time.Time { return c.now }

func (c *manual) Wait(until time.Time, _ <-chan struct{}) { c.now = until }

// Rounds steps n running tasks that want every round. A unit is a step.
func Rounds(n, rounds int, opts *scheduler.GroupOptions[int]) measure.Work {
	w := graph.Wide(n)
	group := newGroup(Dependencies(w, w.Numbers()), Steps[int](-1), opts)
	return stepping(context.Background(), group, n*rounds, rounds, nil)
}

// TimeLimit is options with a time limit for each node.
func TimeLimit(span time.Duration) *scheduler.GroupOptions[int] {
	return &scheduler.GroupOptions[int]{Timeout: func(int) time.Duration { return span }}
}

// stepping steps a group some rounds, after two that do not count.
func stepping(ctx context.Context, group scheduler.Task, units, rounds int, before func()) measure.Work {
	step := func(n int) {
		for range n {
			if before != nil {
				before()
			}
			if y, err := group.Step(ctx); err != nil || y == scheduler.Done {
				panic(fmt.Sprint("library: the group ended: ", err))
			}
		}
	}
	step(2)
	return measure.Work{
		Units: units,
		Ready: func() func() { return func() { step(rounds) } },
		Close: func() {
			if err := group.Close(); err != nil {
				panic(err)
			}
		},
	}
}

// Parking is what a task waits for.
type Parking string

// The three things to wait for.
const (
	Timers Parking = "timers"
	Turns  Parking = "rounds"
	Events Parking = "events"
)

const (
	tick = time.Microsecond
	far  = 1000 * time.Hour
)

// Parked steps a group of n members of which the same few are due in each round,
// or in each second one if they wait for rounds. All others wait for something
// far away. A unit is a round.
func Parked(how Parking, n, due, rounds int) measure.Work {
	clock := &manual{now: time.Unix(1e9, 0)}
	ctx := scheduler.WithClock(context.Background(), clock)
	events := make([]scheduler.Event, n)
	isDue := func(i int) bool { return due > 0 && i%(n/due) == 0 }
	task := func(i int) scheduler.Task {
		var y scheduler.Yield
		switch {
		case how == Events:
			y = scheduler.On(&events[i])
		case how == Turns && isDue(i):
			y = scheduler.Rounds(2)
		case how == Turns:
			y = scheduler.Rounds(1 << 30)
		case isDue(i):
			y = scheduler.After(tick)
		default:
			y = scheduler.After(far)
		}
		return &waiting{y: y, event: &events[i]}
	}
	w := graph.Wide(n)
	group := newGroup(Dependencies(w, w.Numbers()), task, nil)
	before := func() {
		clock.now = clock.now.Add(tick)
		if how == Events && due > 0 {
			for i := 0; i < n; i += n / due {
				events[i].Set()
			}
		}
	}
	return stepping(ctx, group, rounds, rounds, before)
}

// waiting yields the same again and again.
type waiting struct {
	y     scheduler.Yield
	event *scheduler.Event
}

func (w *waiting) Step(context.Context) (scheduler.Yield, error) {
	w.event.Reset()
	return w.y, nil
}

func (w *waiting) Close() error { return nil }

// ParkedOthers steps a group of n members of which ten are due in each round,
// each time ten others: their memory is cold. A unit is a round.
func ParkedOthers(how Parking, n, rounds int) measure.Work {
	clock := &manual{now: time.Unix(1e9, 0)}
	ctx := scheduler.WithClock(context.Background(), clock)
	period := n / 10
	turns := rand.New(rand.NewPCG(9, 10)).Perm(n)
	task := func(i int) scheduler.Task {
		first := turns[i]/10 + 2
		if how == Turns {
			return &waitingOther{scheduler.Rounds(first), scheduler.Rounds(period)}
		}
		return &waitingOther{scheduler.After(time.Duration(first) * tick), scheduler.After(time.Duration(period) * tick)}
	}
	w := graph.Wide(n)
	group := newGroup(Dependencies(w, w.Numbers()), task, nil)
	return stepping(ctx, group, rounds, rounds, func() { clock.now = clock.now.Add(tick) })
}

// waitingOther yields one thing first and then another, again and again.
type waitingOther struct{ first, then scheduler.Yield }

func (w *waitingOther) Step(context.Context) (scheduler.Yield, error) {
	y := w.first
	w.first = w.then
	return y, nil
}

func (w *waitingOther) Close() error { return nil }
