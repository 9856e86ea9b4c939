// Package scaling shows what happens when steps compute for long, and what helps.
package scaling

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/benchmarks/internal/measure"
)

// Outcome is how a way fared.
type Outcome struct {
	Ratio float64       // wall time against the bare work on one processor
	Late  time.Duration // how late a task got its step at worst that wanted one every millisecond; 0: not measured
}

// Ways are the ways to drive steps that compute for span.
var Ways = []func(span time.Duration, reps int) Outcome{inSteps, blocking, runners, writtenDown}

// work is how long all steps of a measurement compute.
const work = 100 * time.Millisecond

// most steps are as many as one measurement has.
const most = 10_000

func steps(span time.Duration) int { return int(min(work/span, most)) }

// result is what was computed last: without it nothing would have to be.
var result atomic.Uint64

// spin computes so many turns.
func spin(turns int) {
	x := uint64(1)
	for range turns {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	result.Store(x)
}

// turnsFor returns how many turns take span: of some tries the most, the one
// that nobody disturbed.
func turnsFor(span time.Duration) int {
	const turns = 1_000_000
	best := time.Duration(1<<63 - 1)
	for range 10 {
		start := time.Now()
		spin(turns)
		best = min(best, time.Since(start))
	}
	return max(int(turns*span/best), 1)
}

// against measures drive beside a bare loop over the same work.
func against(span time.Duration, reps int, drive func(n, turns int) time.Duration) Outcome {
	n, turns := steps(span), turnsFor(span)
	var late []float64
	s := measure.Interleave(reps,
		measure.Work{Units: n, Parallel: true, Ready: func() func() {
			return func() { late = append(late, float64(drive(n, turns))) }
		}},
		measure.Work{Units: n, Parallel: true, Ready: func() func() {
			return func() {
				for range n {
					spin(turns)
				}
			}
		}})
	return Outcome{s[0].Ratio(s[1]), time.Duration(measure.Median(late))}
}

// punctual is a task that wants a step every millisecond, until stop. It notes
// how late it got one.
type punctual struct {
	late time.Duration
	next time.Time
	stop func() bool
}

func (p *punctual) Step(ctx context.Context) (scheduler.Yield, error) {
	now := scheduler.Now(ctx)
	if !p.next.IsZero() {
		p.late = max(p.late, now.Sub(p.next))
	}
	if p.stop() {
		return scheduler.Done, nil
	}
	p.next = now.Add(time.Millisecond)
	return scheduler.At(p.next), nil
}

func (p *punctual) Close() error { return nil }

// run runs the tasks with one beside them that is to be punctual. done is how
// many of them have ended.
func run(tasks []scheduler.Task, opts *scheduler.GroupOptions[int], done *int) time.Duration {
	p := &punctual{stop: func() bool { return *done == len(tasks) }}
	deps := scheduler.NewDependencies[int]()
	for i := range len(tasks) + 1 {
		deps.Add(i)
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(i int) scheduler.Task {
		if i == 0 {
			return p
		}
		return tasks[i-1]
	}, opts)
	if err == nil {
		err = scheduler.Run(context.Background(), group, nil)
	}
	if err != nil {
		panic(err)
	}
	return p.late
}

// computing is a task whose n steps compute: one of many that take turns.
type computing struct {
	left, turns int
	done        *int
}

func (c *computing) Step(context.Context) (scheduler.Yield, error) {
	spin(c.turns)
	if c.left--; c.left > 0 {
		return scheduler.Next, nil
	}
	*c.done++
	return scheduler.Done, nil
}

func (c *computing) Close() error { return nil }

// inSteps has the work in the steps of ten tasks.
func inSteps(span time.Duration, reps int) Outcome {
	return against(span, reps, func(n, turns int) time.Duration {
		tasks, done := make([]scheduler.Task, 10), new(int)
		for i := range tasks {
			tasks[i] = &computing{n / len(tasks), turns, done}
		}
		return run(tasks, nil, done)
	})
}

// blocking has each step of the work in a Blocking call, as many at a time as
// there are processors.
func blocking(span time.Duration, reps int) Outcome {
	return against(span, reps, func(n, turns int) time.Duration {
		tasks, done := make([]scheduler.Task, n), new(int)
		for i := range tasks {
			tasks[i] = scheduler.Fetch(
				func(context.Context) (struct{}, error) { spin(turns); return struct{}{}, nil },
				func(struct{}, error) error { *done++; return nil })
		}
		return run(tasks, &scheduler.GroupOptions[int]{Limit: 1 + runtime.GOMAXPROCS(0)}, done)
	})
}

// runners has the tasks dealt out to as many runners as there are processors.
func runners(span time.Duration, reps int) Outcome {
	return against(span, reps, func(n, turns int) time.Duration {
		var wg sync.WaitGroup
		late := make([]time.Duration, runtime.GOMAXPROCS(0))
		for i := range late {
			wg.Go(func() {
				tasks, done := make([]scheduler.Task, max(10/len(late), 1)), new(int)
				for j := range tasks {
					tasks[j] = &computing{max(n/len(late)/len(tasks), 1), turns, done}
				}
				late[i] = run(tasks, nil, done)
			})
		}
		wg.Wait()
		worst := time.Duration(0)
		for _, l := range late {
			worst = max(worst, l)
		}
		return worst
	})
}

// writtenDown writes a line to a file after each step and waits until it is on
// the disk, for a tenth of a second.
func writtenDown(span time.Duration, _ int) Outcome {
	file, err := os.CreateTemp("", "steps")
	if err != nil {
		panic(err)
	}
	defer func() {
		if err := errors.Join(file.Close(), os.Remove(file.Name())); err != nil {
			panic(err)
		}
	}()
	turns := turnsFor(span)
	start, n := time.Now(), 0
	for ; n < 10 || time.Since(start) < 100*time.Millisecond; n++ {
		spin(turns)
		if _, err = fmt.Fprintln(file, "step", n); err == nil {
			err = file.Sync()
		}
		if err != nil {
			panic(err)
		}
	}
	return Outcome{Ratio: float64(time.Since(start)) / float64(n) / float64(span)}
}
