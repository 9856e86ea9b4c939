package schedulertest

import (
	"context"
	"time"

	"github.com/steptask/scheduler"
)

// Driver steps one task by hand, under a simulated clock. Between two steps a test
// can look at what the task has done, advance the clock, or stop, cancel or interrupt
// the runner. Make it with [NewDriver].
type Driver struct {
	Runner *scheduler.TaskRunner
	Clock  *Clock

	t    TestingT
	ctx  context.Context
	wait time.Duration
	wake chan struct{}
}

// NewDriver returns a driver for task, which is not started yet. opts are the
// runner's options; nil means the defaults. If they have no Clock, or one that is not
// a [*Clock], the driver makes one with [NewClock]. At the end of the test a task
// that has not ended is closed; an error of Close fails the test.
func NewDriver(t TestingT, task scheduler.Task, opts *scheduler.RunnerOptions) *Driver {
	if isNil(t) {
		panic("schedulertest: NewDriver: nil TestingT")
	}
	t.Helper()
	var o scheduler.RunnerOptions
	if opts != nil {
		o = *opts
	}
	clock, ok := o.Clock.(*Clock)
	if !ok {
		clock = NewClock(time.Time{})
		o.Clock = clock
	}
	d := &Driver{Clock: clock, t: t, ctx: context.Background(), wait: o.Wait, wake: make(chan struct{}, 1)}
	wake := o.Wake
	o.Wake = func() {
		select {
		case d.wake <- struct{}{}:
		default:
		}
		if wake != nil {
			wake()
		}
	}
	d.Runner = scheduler.NewTaskRunner(task, &o)
	clock.drive(1)
	t.Cleanup(func() {
		defer clock.drive(-1)
		if err := d.Runner.Cancel(); err != nil {
			t.Errorf("schedulertest: closing %v at the end of the test: %v", d.Runner, err)
		}
	})
	return d
}

// must panics for a driver that NewDriver has not made.
func (d *Driver) must(method string) {
	if d == nil || d.t == nil {
		panic("schedulertest: Driver." + method + ": nil or zero Driver; use NewDriver")
	}
}

// WithContext passes ctx to later steps, and returns the driver. The driver does not
// watch the end of ctx.
func (d *Driver) WithContext(ctx context.Context) *Driver {
	d.must("WithContext")
	if ctx == nil {
		panic("schedulertest: Driver.WithContext: nil Context")
	}
	d.ctx = ctx
	return d
}

// Step starts the task, or makes one attempt to step it, and reports whether it has
// ended; [Driver.Err] returns its error. A task that is not due is not called, as in
// any run, but the attempt counts as a round. A step after the end fails the test.
func (d *Driver) Step() (ended bool) {
	d.must("Step")
	d.t.Helper()
	if d.Runner.Done() {
		d.t.Fatalf("schedulertest: step of %v, which has ended", d.Runner)
	}
	if !d.Runner.Started() {
		_ = d.Runner.Start(d.ctx, 0) // Err has it
		return d.Runner.Done()
	}
	d.Clock.Settle()
	ended, _ = d.Runner.Step(d.ctx) // Err has it
	return ended
}

// stepsMax is the number of steps after which a task counts as one that never
// gets there. Tests take far fewer, and it is reached in about a second. (A
// variable only for the tests of this package.)
var stepsMax = 1_000_000

// StepUntil steps the task until cond holds; it checks cond before the first step as
// well. Before each step but the task's first it advances the clock to when the step
// is due, as scheduler.Run would; a round takes the runner's Wait. The test fails if
// the task ends without cond, or takes a million steps.
func (d *Driver) StepUntil(cond func() bool) {
	d.must("StepUntil")
	if cond == nil {
		panic("schedulertest: Driver.StepUntil: nil function")
	}
	d.t.Helper()
	for range stepsMax {
		if cond() {
			return
		}
		if d.next() && !cond() {
			d.t.Fatalf("schedulertest: %v ended before what StepUntil waited for, with error %v", d.Runner, d.Err())
		}
	}
	d.t.Fatalf("schedulertest: StepUntil of %v: not there after %d steps", d.Runner, stepsMax)
}

// RunToEnd steps the task, as StepUntil does, until it has ended, and returns its
// error. The test fails if that takes a million steps.
func (d *Driver) RunToEnd() error {
	d.must("RunToEnd")
	d.t.Helper()
	for range stepsMax {
		if d.Runner.Done() {
			return d.Err()
		}
		d.next()
	}
	d.t.Fatalf("schedulertest: RunToEnd of %v: no end after %d steps", d.Runner, stepsMax)
	return nil
}

// next waits until the task is due, or the next round is, and steps it.
func (d *Driver) next() (ended bool) {
	d.t.Helper()
	if d.Runner.Started() && !d.Runner.Done() {
		d.pause()
	}
	return d.Step()
}

func (d *Driver) pause() {
	due := d.Runner.Due()
	until, _ := due.Time()
	switch next := d.Clock.Now().Add(d.wait); {
	case due.Ready():
		return
	case due.Rounds() > 0 && (until.IsZero() || next.Before(until)):
		until = next
	}
	for {
		d.Clock.Wait(until, d.wake)
		// A wake may be left from something that the last step has seen to.
		if d.Runner.Due().Ready() || !until.IsZero() && !d.Clock.Now().Before(until) {
			return
		}
	}
}

// Err returns the error with which the task ended: see [scheduler.TaskRunner.Err].
func (d *Driver) Err() error {
	d.must("Err")
	return d.Runner.Err()
}

// Parked reports whether the task has started, has not ended, and is not due.
func (d *Driver) Parked() bool {
	d.must("Parked")
	due := d.Runner.Due()
	if due == scheduler.Done || due.Ready() || due.Rounds() > 0 {
		return false
	}
	at, timed := due.Time()
	return !timed || at.After(d.Clock.Now())
}
