package scheduler_test

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

// This file has the smallest cases of what the model and the simulation found.

// An Observer may ask for anything, at a start as well.
func TestFound_explainAtStart(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	var g *scheduler.DependencyTaskGroup[int]
	var seen []scheduler.State
	g, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return scheduler.Pause(scheduler.Next) },
		&scheduler.GroupOptions[int]{Observer: scheduler.ObserverFunc(func(scheduler.Transition) {
			for e := range g.Explain() {
				seen = append(seen, e.State)
			}
			_, err := g.WriteTo(io.Discard)
			require.NoError(t, err)
		})})
	require.NoError(t, err)
	require.NoError(t, schedulertest.NewDriver(t, g, nil).RunToEnd())
	require.Equal(t, []scheduler.State{scheduler.StateRunning, scheduler.StateSucceeded}, seen)
}

// Who drives a runner by AsTask is woken when it is cancelled, also if all that
// it waits for is an event that never comes.
func TestFound_cancelWakesAsTask(t *testing.T) {
	t.Parallel()
	var never scheduler.Event
	inner := scheduler.NewTaskRunner(scheduler.Pause(scheduler.On(&never)), nil)
	outer := scheduler.NewTaskRunner(scheduler.All(inner.AsTask(0)), nil)
	require.NoError(t, outer.Start(t.Context(), 0))
	require.False(t, outer.Due().Ready())
	require.NoError(t, inner.Cancel())
	require.True(t, outer.Due().Ready(), "nobody would ever look again")
	done, err := outer.Step(t.Context())
	require.True(t, done)
	require.NoError(t, err)
}

// An event that a task waited for beside something else, and does not wait for
// any more, cuts no pause between rounds short.
func TestFound_eventOfEarlierWait(t *testing.T) {
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
func TestFound_ownEventOfEarlierWait(t *testing.T) {
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
	r := scheduler.NewTaskRunner(task, nil)
	require.NoError(t, r.Start(t.Context(), 0))
	done, err := r.Step(t.Context())
	require.False(t, done)
	require.NoError(t, err)
	require.False(t, r.Due().Ready())
}

// A group that makes room for more members, after one began to wait for rounds,
// ends them like any other.
func TestFound_roomAfterRounds(t *testing.T) {
	t.Parallel()
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	for k := 2; k < 8; k++ {
		deps.Add(k, 1)
	}
	g, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
		if k == 0 {
			return scheduler.Pause(scheduler.Rounds(9))
		}
		return scheduler.Pause(scheduler.Next)
	}, nil)
	require.NoError(t, err)
	require.NoError(t, schedulertest.NewDriver(t, g, nil).RunToEnd())
}

// A coroutine that answers the failed close of one subtask with another one is
// unwound also if that one panics, in its only step or when it is closed in turn.
func TestFound_panicInAnswerToFailedClose(t *testing.T) {
	for name, answer := range map[string]*fakeTask{
		"step":                 {step: func(context.Context) (scheduler.Yield, error) { panic(errOops) }},
		"close":                {close: func() error { panic(errOops) }},
		"close, then a Goexit": {close: func() error { panic(errOops) }},
	} {
		goexit := strings.HasSuffix(name, "Goexit")
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which fails if a coroutine is left
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
						_ = co.Await(&fakeTask{close: func() error { return errOops }})
						return co.Await(answer)
					}))
				})
				_, err := task.Step(t.Context())
				require.NoError(t, err)
				returned, panicked := onGoroutine(func() { _ = task.Close() })
				require.False(t, returned)
				if !goexit { // which takes the place of the panic
					require.Equal(t, errOops, panicked)
				}
				require.Equal(t, []string{"inner", "outer"}, unwound)
			})
		})
	}
}
