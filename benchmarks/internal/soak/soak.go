// Package soak makes, runs and cancels random groups for as long as one likes,
// and looks whether anything is left of them.
package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// Run soaks for about so long. It says on w how much is live ten times on the
// way, and returns an error if that grows.
func Run(ctx context.Context, long time.Duration, w io.Writer) error {
	const parts = 10
	seed := rand.Uint64()
	log := log.New(w, "", 0)
	log.Printf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	start := time.Now()
	goroutines := runtime.NumGoroutine()
	first := uint64(0)
	groups := 0
	for part := 1; part <= parts; part++ {
		for ; time.Since(start) < long*time.Duration(part)/parts && ctx.Err() == nil; groups++ {
			if err := Group(ctx, rnd); err != nil {
				return fmt.Errorf("seed %d, group %d: %w", seed, groups, err)
			}
		}
		heap, now := measure.Heap(), runtime.NumGoroutine()
		log.Printf("%8v %8d groups %10d bytes live %4d goroutines", time.Since(start).Round(time.Second), groups, heap, now)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case now > goroutines:
			return fmt.Errorf("%d goroutines, %d at the beginning", now, goroutines)
		case first == 0:
			first = heap
		case heap > first+first/4+1<<20:
			return fmt.Errorf("%d bytes are live, %d were early on", heap, first)
		}
	}
	return nil
}

// errTask is what tasks fail with.
var errTask = errors.New("a task failed")

// Group makes a random group and runs it to some end. The error says that it
// ended otherwise than it may.
func Group(ctx context.Context, rnd *rand.Rand) error {
	g := graph.Shapes[rnd.IntN(len(graph.Shapes))].Make(1 + rnd.IntN(1000))
	deps := scheduler.NewDependencies[int]()
	for i := range g.N {
		deps.Add(i)
	}
	for e, required := range g.Required {
		deps.Add(int(g.Requirer[e]), int(required))
	}
	event := new(scheduler.Event)
	group, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return task(rnd, event) }, options(rnd))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+rnd.IntN(20))*time.Millisecond)
	defer cancel()
	set := time.AfterFunc(time.Duration(rnd.IntN(5))*time.Millisecond, event.Set)
	defer set.Stop()
	if rnd.IntN(4) == 0 { // stepped by hand, and closed at some point
		for range rnd.IntN(20) {
			if y, err := group.Step(ctx); err != nil || y == scheduler.Done {
				return allowed(err)
			}
		}
		return allowed(group.Close())
	}
	opts := &scheduler.RunnerOptions{Grace: time.Duration(rnd.IntN(3)) * time.Millisecond}
	if rnd.IntN(4) == 0 {
		opts.Timeout = time.Duration(1+rnd.IntN(10)) * time.Millisecond
	}
	return allowed(scheduler.Run(ctx, group, opts))
}

func allowed(err error) error {
	if err == nil || errors.Is(err, errTask) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func options(rnd *rand.Rand) *scheduler.GroupOptions[int] {
	opts := &scheduler.GroupOptions[int]{
		Reverse:         rnd.IntN(2) == 0,
		AggregateErrors: rnd.IntN(2) == 0,
	}
	if rnd.IntN(2) == 0 {
		opts.Limit = 1 + rnd.IntN(50)
	}
	if rnd.IntN(2) == 0 {
		opts.Grace = time.Duration(rnd.IntN(3)) * time.Millisecond
	}
	if rnd.IntN(2) == 0 {
		opts.Timeout = func(int) time.Duration { return time.Duration(rnd.IntN(5)) * time.Millisecond }
	}
	return opts
}

// task makes one of the kinds of tasks there are.
func task(rnd *rand.Rand, event *scheduler.Event) scheduler.Task {
	fails := func() error {
		if rnd.IntN(200) == 0 {
			return errTask
		}
		return nil
	}
	switch rnd.IntN(7) {
	case 0:
		return scheduler.Pause(scheduler.After(time.Duration(rnd.IntN(1000)) * time.Microsecond))
	case 1:
		return scheduler.Pause(scheduler.Rounds(rnd.IntN(5)))
	case 2:
		return scheduler.Pause(scheduler.On(event).Or(scheduler.After(time.Millisecond)))
	case 3:
		span := time.Duration(rnd.IntN(500)) * time.Microsecond
		return scheduler.Blocking(func(ctx context.Context) error {
			timer := time.NewTimer(span)
			defer timer.Stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-timer.C:
				return nil
			}
		})
	case 4:
		inner := scheduler.Pause(scheduler.Next)
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Await(inner); err != nil {
				return err
			}
			return co.Yield(scheduler.Next)
		})
	}
	return scheduler.Func(func(context.Context) error { return fails() })
}
