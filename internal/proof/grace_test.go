package proof_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steptask/scheduler"
	"github.com/stretchr/testify/require"
)

// graceRun is a run of tasks in anything that can be around them, of which each comes
// to its end by itself if it is let.
type graceRun struct {
	rnd *rand.Rand

	began, ended, closed int
	stopped              bool
	late                 int // that began after the stop
}

// leaf is a task or a call that takes some seconds.
func (g *graceRun) leaf() scheduler.Task {
	steps, span := 1+g.rnd.IntN(4), time.Duration(1+g.rnd.IntN(4))*time.Second
	begin := func() {
		g.began++
		if g.stopped {
			g.late++
		}
	}
	end := func(err error) error {
		if err != nil {
			g.closed++
		}
		g.ended++
		return err
	}
	switch g.rnd.IntN(3) {
	case 0:
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			begin()
			for range steps {
				if err := co.Yield(scheduler.After(span)); err != nil {
					return end(err)
				}
			}
			return end(nil)
		})
	case 1:
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			begin()
			for range steps { // further calls are made after the notice too
				_, err := scheduler.Call(co, func(ctx context.Context) (int, error) {
					select {
					case <-ctx.Done():
						return 0, context.Cause(ctx)
					case <-time.After(span):
						return 0, nil
					}
				})
				if err != nil {
					return end(err)
				}
			}
			return end(nil)
		})
	}
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		begin()
		return end(co.Await(scheduler.Poll(span, func(ctx context.Context) (bool, error) {
			steps--
			return steps <= 0, ctx.Err()
		})))
	})
}

// task makes a task with others in it.
func (g *graceRun) task(depth int) scheduler.Task {
	if depth == 0 {
		return g.leaf()
	}
	switch g.rnd.IntN(14) {
	case 11, 12: // a group that is begun after the stop starts nothing
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			if err := co.Await(g.leaf()); err != nil {
				return err
			}
			return co.Await(g.group(depth - 1))
		})
	case 0, 1, 2:
		return g.group(depth - 1)
	case 3:
		return scheduler.NewTaskRunner(g.task(depth-1), nil).AsTask(0)
	case 4:
		return scheduler.Subrun(scheduler.NewTaskRunner(g.task(depth-1), nil))
	case 5:
		return scheduler.Sequence(g.task(depth-1), g.task(depth-1))
	case 6:
		return scheduler.Named("named", simWrapper{g.task(depth - 1)})
	case 7:
		return scheduler.Claiming(nil, g.task(depth-1))
	case 8:
		return scheduler.Retry(simNoBackOff{}, func(int, error) scheduler.Task { return g.task(depth - 1) })
	case 9:
		return scheduler.All(g.task(depth-1), g.task(depth-1))
	case 10:
		return scheduler.Reserve(time.Second, g.task(depth-1))
	}
	return g.leaf()
}

type simNoBackOff struct{}

func (simNoBackOff) NextBackOff() time.Duration { return -1 }

func (g *graceRun) group(depth int) scheduler.Task {
	deps := scheduler.NewDependencies[int]()
	for k := range 1 + g.rnd.IntN(4) {
		deps.Add(k)
		if k > 0 && g.rnd.IntN(2) == 0 {
			deps.Add(k, g.rnd.IntN(k))
		}
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(int) scheduler.Task { return g.task(depth) },
		&scheduler.GroupOptions[int]{Limit: g.rnd.IntN(2) * 2, AggregateErrors: g.rnd.IntN(3) == 0})
	if err != nil {
		panic(err) // of the test
	}
	return group
}

// TestGrace stops random runs, and lets another node fail, with a grace that is longer
// than anything in them. What runs comes to its end by itself, whatever it is in: it
// is not closed, and the calls that it makes are not cut off. After the stop of the
// run nothing begins.
func TestGrace(t *testing.T) {
	began := 0
	for seed := range uint64(unlessReduced(3000, 300)) {
		for _, isStop := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				g := &graceRun{rnd: rand.New(rand.NewPCG(seed, 9))}
				at := time.Duration(1+g.rnd.IntN(20)) * time.Second / 2
				deps := scheduler.NewDependencies[string]()
				deps.Add("work")
				deps.Add("fails")
				group, err := scheduler.NewDependencyTaskGroup(deps, func(k string) scheduler.Task {
					if k == "work" {
						return g.task(4)
					}
					return scheduler.Sequence(scheduler.Pause(scheduler.After(at)), scheduler.Func(func(context.Context) error {
						if isStop {
							return nil
						}
						return errGrace
					}))
				}, nil)
				require.NoError(t, err)
				r := scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{Grace: time.Hour})
				if isStop {
					time.AfterFunc(at, func() {
						r.Post(func() {
							g.stopped = true
							r.Stop(errGrace)
						})
					})
				}
				err = r.Run(t.Context())
				require.True(t, err == nil || errors.Is(err, errGrace), "seed %d: %v", seed, err)
				require.Equal(t, []int{g.began, 0, 0}, []int{g.ended, g.closed, g.late}, "seed %d: ended, closed, late", seed)
				began += g.began
			})
		}
	}
	t.Logf("%d tasks, all came to their end", began)
}

var errGrace = errors.New("stopped in the test of graces")
