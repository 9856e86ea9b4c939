package proof_test

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/steptask/scheduler"
)

// simDeed is what a call of a walk does.
type simDeed int

const (
	simReturns     simDeed = iota // after its time, whatever happens
	simHeeds                      // the end of its context, with that as its error
	simHears                      // that it has to end, and succeeds
	simFails                      // after its time
	simFailsLate                  // some time after it has to end
	simSkips                      // itself, after its time
	simPanics                     // after its time
	simExits                      // its goroutine, after its time
	simServes                     // from its time on, until it is stopped
	simServesBadly                // fails instead, some time later
	simWalks                      // a graph of its own
	simRuns                       // a group of its own
	simStays                      // for a minute
	simDeeds
)

func (w *simWalk) call(ctx context.Context, k int) (err error) {
	c := w.begin(ctx, k)
	returned := false
	defer func() { w.ends(ctx, c, err, returned) }()
	err = w.do(ctx, c)
	returned = true
	return err
}

func (w *simWalk) ends(ctx context.Context, c *simWalkCall, err error, returned bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.over, c.ended, c.err = true, time.Since(w.began), err
	c.told = ctx.Err() != nil || scheduler.StopCause(ctx) != nil
	c.timedOut = w.timeout > 0 && c.ended > c.began+w.timeout
	if !returned {
		c.err = scheduler.ErrGoexit
		if c.gone = w.deeds[c.node] == simPanics; c.gone {
			c.err = w.errs[c.node]
		}
	}
	w.notes = append(w.notes, fmt.Sprintf("%015d %d ends: %v; context %v by %v, told %v",
		c.ended, c.node, c.err, ctx.Err(), context.Cause(ctx), scheduler.StopCause(ctx)))
}

// do does what the call of a node does.
func (w *simWalk) do(ctx context.Context, c *simWalkCall) error {
	k := c.node
	switch w.deeds[k] {
	case simHeeds:
		if w.sleeps(ctx, k) {
			return fmt.Errorf("%d has heeded: %w", k, context.Cause(ctx))
		}
	case simHears:
		w.sleeps(ctx, k)
	case simFailsLate:
		if w.sleeps(ctx, k) {
			return w.errs[k]
		}
	case simServes, simServesBadly:
		if w.sleeps(ctx, k) {
			return scheduler.StopCause(ctx)
		}
		return w.serves(ctx, c)
	case simWalks:
		return scheduler.Walk(ctx, w.inside(), func(context.Context, string) error {
			time.Sleep(1 << (18 + k)) //nolint:forbidigo // in a bubble
			return nil
		}, nil)
	case simRuns:
		g, err := scheduler.NewDependencyTaskGroup(w.inside(), func(string) scheduler.Task {
			return scheduler.Pause(scheduler.After(1 << (18 + k)))
		}, nil)
		if err != nil {
			return err
		}
		return scheduler.Run(ctx, g, &scheduler.RunnerOptions{Grace: time.Hour})
	case simStays:
		time.Sleep(time.Minute + w.deaf[k]) //nolint:forbidigo // in a bubble
	case simReturns, simFails, simSkips, simPanics, simExits, simDeeds:
		time.Sleep(w.takes[k]) //nolint:forbidigo // in a bubble
		return w.deeds[k].end(w.errs[k])
	}
	return nil
}

// end is how a call ends that pays no attention to anything.
func (d simDeed) end(err error) error {
	if d == simPanics {
		panic(err)
	}
	if d == simExits {
		runtime.Goexit()
	}
	return map[simDeed]error{simFails: err, simSkips: fmt.Errorf("skipped: %w", scheduler.ErrSkip)}[d]
}

func (w *simWalk) inside() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	deps.Add("a")
	deps.Add("b", "a")
	return deps
}

// sleeps sleeps for the time of a call, or until it has to end and then some more. It
// reports whether it had to end.
func (w *simWalk) sleeps(ctx context.Context, k int) (told bool) {
	timer := time.NewTimer(w.takes[k])
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-scheduler.Stopping(ctx):
	case <-ctx.Done():
	}
	time.Sleep(w.deaf[k]) //nolint:forbidigo // in a bubble
	return ctx.Err() != nil
}

func (w *simWalk) serves(ctx context.Context, c *simWalkCall) error {
	w.mu.Lock()
	c.ready, c.readyAt = true, time.Since(w.began)
	w.notes = append(w.notes, fmt.Sprintf("%015d %d is ready", c.readyAt, c.node))
	w.mu.Unlock()
	scheduler.Ready(ctx)
	if w.deeds[c.node] == simServesBadly {
		time.Sleep(w.deaf[c.node]) //nolint:forbidigo // in a bubble
		return w.errs[c.node]
	}
	select {
	case <-scheduler.Stopping(ctx):
	case <-ctx.Done():
	}
	time.Sleep(w.deaf[c.node]) //nolint:forbidigo // in a bubble
	return scheduler.StopCause(ctx)
}
