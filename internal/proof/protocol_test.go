package proof_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

var (
	errRandomStop  = errors.New("stopped")
	errRandomThrow = errors.New("interrupted")
)

// TestTaskRunner_random drives random tasks, to which random things happen from
// outside, alone and nested in runners and groups: a task gets the same steps,
// at the same times, wherever it is, and is called only as the protocol says.
func TestTaskRunner_random(t *testing.T) {
	t.Parallel()
	nestings := map[string]func(r *scheduler.TaskRunner) *scheduler.TaskRunner{
		"in a runner": func(r *scheduler.TaskRunner) *scheduler.TaskRunner {
			return scheduler.NewTaskRunner(r.AsTask(0), nil)
		},
		"in a group": func(r *scheduler.TaskRunner) *scheduler.TaskRunner {
			return scheduler.NewTaskRunner(scheduler.All(r.AsTask(0)), nil)
		},
		"in a coroutine": func(r *scheduler.TaskRunner) *scheduler.TaskRunner {
			return scheduler.NewTaskRunner(scheduler.Wrap(func(co *scheduler.Coroutine) error {
				return co.Await(r.AsTask(0))
			}), nil)
		},
		"in a group in a runner in a group": func(r *scheduler.TaskRunner) *scheduler.TaskRunner {
			inner := scheduler.NewTaskRunner(scheduler.All(r.AsTask(0)), nil)
			return scheduler.NewTaskRunner(scheduler.All(inner.AsTask(0)), nil)
		},
	}
	for seed := range uint64(300) {
		alone := playRandom(t, seed, func(r *scheduler.TaskRunner) *scheduler.TaskRunner { return r })
		for name, nest := range nestings {
			require.Equal(t, alone, playRandom(t, seed, nest), "seed %d, %s", seed, name)
		}
	}
}

// playRandom makes the task of a seed and runs it, and returns what was seen.
func playRandom(t *testing.T, seed uint64, nest func(*scheduler.TaskRunner) *scheduler.TaskRunner) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	span := func(eighths int) time.Duration { return time.Duration(rng.IntN(eighths)) * time.Second / 8 }
	task := &randomTask{rng: rand.New(rand.NewPCG(seed, 2)), clock: &outsideClock{Clock: schedulertest.NewClock(time.Time{}).Alone()}, left: 2 + rng.IntN(8)}
	task.start = task.clock.Now()
	for range 1 + rng.IntN(3) {
		task.events = append(task.events, new(scheduler.Event))
	}
	opts := &scheduler.RunnerOptions{}
	if rng.IntN(2) == 0 {
		opts.Grace = span(40)
	}
	if rng.IntN(2) == 0 {
		opts.Timeout = time.Second/8 + span(80)
	}
	r := scheduler.NewTaskRunner(task, opts)
	at := task.start
	for range rng.IntN(5) {
		at = at.Add(time.Second/8 + span(20))
		do := task.events[rng.IntN(len(task.events))].Set
		switch rng.IntN(8) {
		case 0:
			do = func() { r.Stop(errRandomStop) }
		case 1:
			do = func() { r.Interrupt(errRandomThrow) }
		case 2:
			grace := span(40)
			do = func() { r.CancelAfter(grace) }
		}
		task.clock.todo = append(task.clock.todo, outside{at, do})
	}
	// So that it ends, whatever it waits for.
	task.clock.todo = append(task.clock.todo, outside{task.start.Add(time.Minute), func() { r.CancelAfter(0) }})

	ctx := scheduler.WithClock(t.Context(), task.clock)
	err := nest(r).RunWith(ctx, 0, time.Second/8+span(10))
	require.True(t, r.Done())
	require.True(t, task.ended, "seed %d", seed)
	task.note("result %t, %v", err == nil, r.Err())
	return task.log.String()
}

// outsideClock is a simulated clock on which things happen at their times.
type outsideClock struct {
	*schedulertest.Clock
	todo []outside // in order of time
}

type outside struct {
	at time.Time
	do func()
}

func (c *outsideClock) Wait(until time.Time, wake <-chan struct{}) {
	if len(c.todo) > 0 && (until.IsZero() || !c.todo[0].at.After(until)) {
		next := c.todo[0]
		c.todo = c.todo[1:]
		c.Advance(max(0, next.at.Sub(c.Now())))
		next.do()
		return
	}
	c.Clock.Wait(until, wake)
}

// randomTask does something else each time, and holds those who call it to the
// protocol.
type randomTask struct {
	rng    *rand.Rand
	clock  *outsideClock
	start  time.Time
	events []*scheduler.Event
	left   int
	log    strings.Builder

	started, ended bool
}

func (r *randomTask) note(format string, args ...any) {
	fmt.Fprintf(&r.log, "%v ", r.clock.Now().Sub(r.start))
	fmt.Fprintf(&r.log, format, args...)
	r.log.WriteByte('\n')
}

func (r *randomTask) mustRun(method string) {
	if r.ended || !r.started {
		panic(fmt.Sprintf("%s: started %t, ended %t", method, r.started, r.ended))
	}
}

func (r *randomTask) yield() scheduler.Yield {
	var y scheduler.Yield
	for y == (scheduler.Yield{}) || r.rng.IntN(3) == 0 {
		span := time.Duration(r.rng.IntN(40)) * time.Second / 8
		switch r.rng.IntN(6) {
		case 0:
			y = y.Or(scheduler.Next)
		case 1:
			y = y.Or(scheduler.Rounds(2 + r.rng.IntN(5)))
		case 2:
			y = y.Or(scheduler.After(span))
		case 3:
			y = y.Or(scheduler.At(r.start.Add(span)))
		case 4:
			y = y.Or(scheduler.On(r.events[r.rng.IntN(len(r.events))]))
		case 5:
			y = y.Or(scheduler.On(r.events...))
		}
	}
	return y
}

func (r *randomTask) Step(context.Context) (scheduler.Yield, error) {
	r.started = true
	r.mustRun("Step")
	if r.rng.IntN(2) == 0 {
		for _, e := range r.events {
			e.Reset()
		}
	}
	if r.rng.IntN(10) == 0 { // a step that takes long
		r.clock.Advance(time.Duration(r.rng.IntN(20)) * time.Second / 8)
	}
	if r.left--; r.left <= 0 {
		r.ended = true
		r.note("step = done")
		return scheduler.Done, nil
	}
	y := r.yield()
	r.note("step = %v", y)
	return y, nil
}

func (r *randomTask) Throw(_ context.Context, err error) (scheduler.Yield, error) {
	r.mustRun("Throw")
	if r.rng.IntN(4) == 0 {
		r.ended = true
		r.note("throw(%v) = it", err)
		return scheduler.Yield{}, err
	}
	y := r.yield()
	r.note("throw(%v) = %v", err, y)
	return y, nil
}

func (r *randomTask) Stop(_ context.Context, cause error) {
	r.mustRun("Stop")
	r.note("stop(%v)", cause)
}

func (r *randomTask) Close() error {
	r.mustRun("Close")
	r.ended = true
	r.note("close")
	return nil
}

func (r *randomTask) String() string { return "random" }
