package proof_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// TestFaults_storm lets many goroutines set events and interrupt a runner while
// its group runs. Nothing is lost: every waiting task gets on, and every task
// ends.
func TestFaults_storm(t *testing.T) {
	t.Parallel()
	const nodes, rounds, goroutines = 32, 200, 8
	events := make([]scheduler.Event, nodes)
	waiting := make([]atomic.Bool, nodes)
	deps := scheduler.NewDependencies[int]()
	for k := range nodes {
		deps.Add(k)
		if k >= 8 {
			deps.Add(k, k-8)
		}
	}
	interrupted := 0
	group, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			for range rounds {
				waiting[k].Store(true)
				if err := co.Yield(scheduler.On(&events[k], &events[(k+1)%nodes])); err != nil {
					return err
				}
				waiting[k].Store(false)
				events[k].Reset()
			}
			return nil
		})
	}, nil)
	require.NoError(t, err)
	r := scheduler.NewTaskRunner(stormTask{group, &interrupted}, nil)
	require.NoError(t, r.Start(t.Context(), 0)) // an interrupt before that is its end

	var storm sync.WaitGroup
	var over atomic.Bool
	var sets atomic.Int64
	for g := range goroutines {
		storm.Go(func() {
			for i := g; i < 2000 || !over.Load(); i++ {
				events[i%nodes].Set()
				sets.Add(1)
				if i%64 == g {
					r.Interrupt(errStorm)
				}
				runtime.Gosched()
			}
		})
	}
	err = r.RunToCompletion(t.Context(), 0)
	over.Store(true)
	storm.Wait()
	require.NoError(t, err)
	require.Equal(t, nodes, group.Count(scheduler.StateSucceeded))
	for k := range nodes {
		require.False(t, waiting[k].Load())
	}
	t.Logf("%d sets, %d interrupts thrown in", sets.Load(), interrupted)
}

var errStorm = errors.New("storm")

// stormTask is a group that lets errors from outside pass over it.
type stormTask struct {
	*scheduler.DependencyTaskGroup[int]
	interrupted *int
}

func (s stormTask) Throw(context.Context, error) (scheduler.Yield, error) {
	*s.interrupted++
	return scheduler.Next, nil
}

// TestFaults_interrupts ends thousands of groups by an Interrupt that comes at
// some moment of their run, by several goroutines at once. Each ends with the
// error or before it came, and leaves nothing behind.
func TestFaults_interrupts(t *testing.T) {
	t.Parallel()
	runs := unlessReduced(1000, 300)
	ended := map[string]int{}
	for i := range runs {
		var live atomic.Int64
		deps := scheduler.NewDependencies[int]()
		deps.Add(0)
		deps.Add(1, 0)
		deps.Add(2, 0)
		var event scheduler.Event
		group, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
			if k == 2 {
				return scheduler.Blocking(func(ctx context.Context) error {
					live.Add(1)
					defer live.Add(-1)
					event.Set()
					<-ctx.Done()
					return nil
				})
			}
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				live.Add(1)
				defer live.Add(-1)
				for range i % 5 {
					if err := co.Yield(scheduler.Next); err != nil {
						return err
					}
				}
				if k == 1 {
					return co.Yield(scheduler.On(&event).Or(scheduler.Rounds(1000)))
				}
				return nil
			})
		}, nil)
		require.NoError(t, err)
		r := scheduler.NewTaskRunner(group, nil)
		var outside sync.WaitGroup
		for g := range 3 {
			outside.Go(func() {
				for range i % 7 * (g + 1) {
					runtime.Gosched()
				}
				if (i+g)%4 == 0 {
					r.Kill()
				} else {
					r.Interrupt(errStorm)
				}
			})
		}
		err = r.RunWith(t.Context(), 0, 0)
		outside.Wait()
		require.True(t, r.Done())
		require.Zero(t, live.Load(), "run %d", i)
		require.Zero(t, group.Count(scheduler.StateRunning))
		ended[fmt.Sprint(r.Err())]++
		require.True(t, err == nil || errors.Is(err, errStorm) || errors.Is(err, scheduler.ErrCancelled), "%v", err)
	}
	t.Logf("%v", ended)
}

// faultsRun is a run of a group with a bit of everything, whose context is
// cancelled at some moment.
type faultsRun struct {
	clock     *faultsClock
	cancel    context.CancelCauseFunc
	cancelled bool
	steps     int
	at        int // cancel in this step of a task; 0: never
	live      int
	started   []int
	group     *scheduler.DependencyTaskGroup[int]
}

// faultsClock jumps, and may end the context before or after a jump.
type faultsClock struct {
	run  *faultsRun
	now  time.Time
	jump int
	at   int // cancel at this jump; 0: never
	late bool
}

func (c *faultsClock) Now() time.Time { return c.now }

func (c *faultsClock) Wait(until time.Time, wake <-chan struct{}) {
	c.jump++
	if c.jump == c.at && !c.late {
		c.run.cancel(errFaults)
	}
	if until.IsZero() {
		<-wake
	} else {
		if until.After(c.now) {
			c.now = until
		}
		synctest.Wait() // calls that end now have ended
	}
	if c.jump == c.at && c.late {
		c.run.cancel(errFaults)
	}
}

var errFaults = errors.New("cancelled by the test")

// step counts the steps of all tasks.
func (f *faultsRun) step() {
	if f.steps++; f.steps == f.at {
		f.cancel(errFaults)
	}
}

func (f *faultsRun) task(k int) scheduler.Task {
	f.started = append(f.started, k)
	body := func(co *scheduler.Coroutine) error {
		f.live++
		defer func() { f.live-- }()
		for i := range 2 + k%2 {
			f.step()
			y := scheduler.After(time.Duration(1+k%3) * time.Second)
			if i%2 == 1 {
				y = scheduler.Rounds(1 + k%2)
			}
			if err := co.Yield(y); err != nil {
				return err
			}
		}
		if k%4 == 3 {
			_, err := scheduler.Call(co, func(context.Context) (int, error) { return k, nil })
			return err
		}
		f.step()
		return nil
	}
	if k%5 != 4 {
		return scheduler.Wrap(body)
	}
	deps := scheduler.NewDependencies[int]()
	deps.Add(101, 100)
	inner, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task {
		return scheduler.Sequence(scheduler.Wrap(body), scheduler.Pause(scheduler.Next))
	}, nil)
	if err != nil {
		panic(err) // of the test
	}
	return inner
}

func (f *faultsRun) run(t *testing.T, grace time.Duration) error {
	deps := scheduler.NewDependencies[int]()
	for k := range 8 {
		deps.Add(k)
		if k >= 2 {
			deps.Add(k, k-2)
		}
	}
	var err error
	f.group, err = scheduler.NewDependencyTaskGroup(deps, f.task, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	f.cancel = func(cause error) {
		f.cancelled = true
		cancel(cause)
	}
	f.clock.run = f
	return scheduler.Run(ctx, f.group, &scheduler.RunnerOptions{Clock: f.clock, Grace: grace, Wait: time.Second})
}

// TestFaults_cancelled ends the context of a run in each of its steps in turn,
// and before and after each wait of its clock, with and without grace. Whatever
// the moment, the result says so, what was started has ended, and nothing is
// left.
func TestFaults_cancelled(t *testing.T) {
	start := time.Unix(0, 0)
	var whole *faultsRun
	synctest.Test(t, func(t *testing.T) {
		whole = &faultsRun{clock: &faultsClock{now: start}}
		require.NoError(t, whole.run(t, 0))
	})
	require.Greater(t, whole.steps, 20)
	require.Greater(t, whole.clock.jump, 10)
	runs, cancelled := 0, 0
	check := func(f *faultsRun, grace time.Duration) {
		runs++
		synctest.Test(t, func(t *testing.T) {
			err := f.run(t, grace)
			ended := f.group.Count(scheduler.StateSucceeded) == f.group.Len()
			if f.cancelled {
				cancelled++
				require.ErrorIs(t, err, errFaults, "at step %d, jump %d, grace %v", f.at, f.clock.at, grace)
			} else { // a call was quicker this time, and made a wait needless
				require.NoError(t, err)
			}
			require.Zero(t, f.live, "at step %d, jump %d, grace %v", f.at, f.clock.at, grace)
			require.Zero(t, f.group.Count(scheduler.StateRunning))
			require.True(t, ended || f.group.Count(scheduler.StateCancelled) > 0)
			seen := map[int]bool{}
			for _, k := range f.started {
				require.False(t, seen[k], "started twice: %d", k)
				require.True(t, f.group.Started(k))
				seen[k] = true
			}
		})
	}
	for _, grace := range []time.Duration{0, time.Second, time.Hour} {
		// In the last step of all the run has ended before anybody can look.
		for at := 1; at < whole.steps; at++ {
			check(&faultsRun{at: at, clock: &faultsClock{now: start}}, grace)
		}
		for at := 1; at <= whole.clock.jump; at++ {
			for _, late := range []bool{false, true} {
				check(&faultsRun{clock: &faultsClock{now: start, at: at, late: late}}, grace)
			}
		}
	}
	t.Logf("%d runs", runs)
	require.Greater(t, cancelled, runs*9/10)
}
