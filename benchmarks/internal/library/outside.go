package library

import (
	"context"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/graph"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// RoundTrips wakes a task by an event, n times, each time waiting for its answer
// by a channel. The run has a context that can be cancelled and an armed timer.
func RoundTrips(n int) measure.Work {
	return measure.Work{Units: n, Parallel: true, Ready: func() func() {
		there, back := new(scheduler.Event), make(chan struct{})
		left := n
		begun := false
		answer := scheduler.StepFunc(func(context.Context) (scheduler.Yield, error) {
			if begun {
				there.Reset()
				back <- struct{}{}
				left--
			}
			begun = true
			if left == 0 {
				return scheduler.Done, nil
			}
			return scheduler.On(there).Or(scheduler.After(time.Hour)), nil
		})
		return func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			ended := make(chan error)
			go func() { ended <- scheduler.Run(ctx, answer, nil) }()
			for range n {
				there.Set()
				<-back
			}
			if err := <-ended; err != nil {
				panic(err)
			}
		}
	}}
}

// BlockingCalls makes n calls of fn, so many at a time.
func BlockingCalls(n, limit int, fn func(ctx context.Context) error) measure.Work {
	w := graph.Wide(n)
	deps := Dependencies(w, w.Numbers())
	return measure.Work{Units: n, Parallel: true, Ready: func() func() {
		group := newGroup(deps, Calls[int](fn), &scheduler.GroupOptions[int]{Limit: limit})
		return func() { run(group) }
	}}
}
