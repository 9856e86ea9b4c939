package proof_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
	"github.com/stretchr/testify/require"
)

var (
	limitsCases = flag.Int("limits.cases", 20_000, "random cases of TestLimits_random")
	limitsSeed  = flag.Uint64("limits.seed", 0, "replay one case of TestLimits_random")
)

// TestLimits_random runs random groups, nested to depth 3, with random limits,
// claims, failures and cancellations. It always ends, no capacity is ever
// exceeded, and nothing is left claimed.
func TestLimits_random(t *testing.T) {
	if *limitsSeed != 0 {
		newLimitsCase(t, *limitsSeed).run()
		return
	}
	cases := *limitsCases
	if testing.Short() {
		cases /= 4
	}
	var sum limitsSum
	for seed := range uint64(cases) {
		c := newLimitsCase(t, seed+1)
		c.run()
		sum.add(c)
	}
	t.Logf("%+v", sum)
	// The generator is worth nothing if it does not get to the interesting places.
	require.Positive(t, sum.Deadlocks)
	require.Positive(t, sum.Failed)
	require.Positive(t, sum.Cancelled)
	require.Greater(t, sum.Waited, cases/10)
}

type limitsSum struct {
	Leaves, Steps, Waited, Deadlocks, Failed, Cancelled int
}

func (s *limitsSum) add(c *limitsCase) {
	s.Leaves += c.leaves
	s.Steps += c.steps
	if c.waited {
		s.Waited++
	}
	var deadlock *scheduler.DeadlockError
	switch {
	case errors.As(c.err, &deadlock):
		s.Deadlocks++
	case errors.Is(c.err, errLimitsCancel):
		s.Cancelled++
	case c.err != nil:
		s.Failed++
	}
}

var (
	errLimitsLeaf   = errors.New("leaf failed")
	errLimitsCancel = errors.New("cancelled")
)

type limitsCase struct {
	t        *testing.T
	seed     uint64
	rng      *rand.Rand
	clock    *schedulertest.Clock
	limiters []*scheduler.Limiter
	capacity []int
	used     []int // by running leaves, counted apart from the Limiter's own books

	groups []*scheduler.DependencyTaskGroup[int]

	nested  bool // some node that runs a group claims something itself
	running int  // leaves
	leaves  int
	steps   int
	waited  bool
	err     error
}

func newLimitsCase(t *testing.T, seed uint64) *limitsCase {
	c := &limitsCase{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), clock: schedulertest.NewClock(time.Time{}).Alone()}
	for range 1 + c.rng.IntN(3) {
		c.capacity = append(c.capacity, 1+c.rng.IntN(3))
		c.limiters = append(c.limiters, scheduler.NewLimiter(scheduler.LimiterOptions{
			Name: fmt.Sprint("l", len(c.limiters)), Capacity: c.capacity[len(c.limiters)],
			Interval: time.Duration(c.rng.IntN(2)*c.rng.IntN(2)) * time.Second,
		}))
		c.used = append(c.used, 0)
	}
	return c
}

func (c *limitsCase) run() {
	defer func() {
		if v := recover(); v != nil {
			for _, g := range c.groups {
				_, _ = g.WriteTo(c.t.Output())
			}
			c.t.Fatalf("seed %d: %v\nreplay: go test ./internal/proof -run '^TestLimits_random$' -limits.seed=%d", c.seed, v, c.seed)
		}
	}()
	group := c.group(3)
	r := scheduler.NewTaskRunner(group, &scheduler.RunnerOptions{Clock: c.clock, Grace: time.Duration(c.rng.IntN(3)) * time.Second})
	stopAt := -1
	if c.rng.IntN(4) == 0 {
		stopAt = c.rng.IntN(20)
	}
	how := c.rng.IntN(3)
	ctx := context.Background()
	err := r.Start(ctx, 0)
	done := r.Done()
	wake := make(chan struct{}, 1)
	for step := 0; !done; step++ {
		c.check(step < 5000, "the run does not end")
		if step == stopAt {
			switch how {
			case 0:
				r.Stop(errLimitsCancel)
			case 1:
				c.check(r.Cancel() == nil, "cancel failed")
				err = errLimitsCancel
				done = true
				continue
			default:
				r.Interrupt(errLimitsCancel)
			}
		}
		due := r.Due()
		if at, ok := due.Time(); !due.Ready() && due.Rounds() == 0 {
			c.check(ok, "nothing would ever happen again")
			c.clock.Wait(at, wake)
		}
		done, err = r.Step(ctx)
		c.invariants()
	}
	c.err = err
	c.finish()
}

func (c *limitsCase) check(ok bool, what string) {
	if !ok {
		panic(what)
	}
}

func (c *limitsCase) invariants() {
	c.steps++
	for i, l := range c.limiters {
		c.check(c.used[i] <= c.capacity[i], "leaves exceed a capacity")
		c.check(l.InUse() <= c.capacity[i], "a capacity is exceeded")
		c.check(c.used[i] <= l.InUse(), "a leaf runs without its claim")
		c.waited = c.waited || l.Waiting() > 0
	}
}

func (c *limitsCase) finish() {
	c.check(c.running == 0, "a leaf still runs")
	for i, l := range c.limiters {
		c.check(c.used[i] == 0 && l.InUse() == 0, "something is left claimed")
		c.check(l.Waiting() == 0, "something is left in line")
	}
	var deadlock *scheduler.DeadlockError
	if errors.As(c.err, &deadlock) {
		c.check(c.nested, "a deadlock, though no node that only waits holds anything: "+c.err.Error())
		c.check(len(deadlock.Waits) > 0, "a deadlock of nobody")
	}
}

// group makes a random group with nodes that may run groups themselves.
func (c *limitsCase) group(depth int) scheduler.Task {
	n := 1 + c.rng.IntN(5)
	deps := scheduler.NewDependencies[int]()
	for k := range n {
		deps.Add(k)
		for q := range k {
			if c.rng.IntN(4) == 0 {
				deps.Add(k, q)
			}
		}
	}
	tasks := make([]scheduler.Task, n)
	claims := make([][]scheduler.Claim, n)
	for k := range n {
		inner := depth > 1 && c.rng.IntN(3) == 0
		if c.rng.IntN(2) == 0 {
			claims[k] = c.claims()
		}
		if inner {
			c.nested = c.nested || claims[k] != nil
			tasks[k] = c.wrapped(c.group(depth - 1))
		} else {
			tasks[k] = c.leaf(claims[k])
		}
	}
	opts := &scheduler.GroupOptions[int]{
		Name:            fmt.Sprint("depth", depth),
		Reverse:         c.rng.IntN(2) == 0,
		AggregateErrors: c.rng.IntN(2) == 0,
		Claims:          func(k int) []scheduler.Claim { return claims[k] },
		Budget:          c.rng.IntN(2) * c.rng.IntN(4),
		Limit:           c.rng.IntN(2) * (1 + c.rng.IntN(3)),
		Grace:           time.Duration(c.rng.IntN(2)) * time.Second,
	}
	if c.rng.IntN(2) == 0 {
		opts.Estimate = func(k int) time.Duration { return time.Duration((k*7)%5) * time.Second }
	}
	g, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task { return tasks[k] }, opts)
	require.NoError(c.t, err)
	c.groups = append(c.groups, g)
	return g
}

// wrapped drives a group by way of something else, as engines do.
func (c *limitsCase) wrapped(group scheduler.Task) scheduler.Task {
	switch c.rng.IntN(4) {
	case 3:
		claims := c.claims()
		c.nested = c.nested || claims != nil
		return scheduler.Claiming(claims, group)
	case 0:
		return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(group) })
	case 1:
		return scheduler.NewTaskRunner(group, nil).AsTask(0)
	}
	return group
}

func (c *limitsCase) claims() []scheduler.Claim {
	var claims []scheduler.Claim
	for i, l := range c.limiters {
		if c.rng.IntN(2) == 0 {
			claims = append(claims, scheduler.Claim{Limiter: l, Weight: 1 + c.rng.IntN(c.capacity[i])})
		}
	}
	return claims
}

// leaf is a task that notes what it uses.
func (c *limitsCase) leaf(claims []scheduler.Claim) scheduler.Task {
	c.leaves++
	l := &limitsLeaf{c: c, claims: claims, steps: c.rng.IntN(4), fails: c.rng.IntN(12) == 0}
	if c.rng.IntN(2) == 0 {
		l.park = scheduler.After(time.Duration(1+c.rng.IntN(3)) * time.Second)
	} else {
		l.park = scheduler.Rounds(1 + c.rng.IntN(3))
	}
	return l
}

type limitsLeaf struct {
	c       *limitsCase
	claims  []scheduler.Claim
	steps   int
	fails   bool
	park    scheduler.Yield
	started bool
}

func (l *limitsLeaf) use(sign int) {
	l.c.running += sign
	for _, claim := range l.claims {
		for i, limiter := range l.c.limiters {
			if limiter == claim.Limiter {
				l.c.used[i] += sign * claim.Weight
			}
		}
	}
}

func (l *limitsLeaf) Step(context.Context) (scheduler.Yield, error) {
	if !l.started {
		l.started = true
		l.use(1)
		l.c.invariants()
	}
	if l.steps == 0 {
		l.use(-1)
		if l.fails {
			return scheduler.Yield{}, errLimitsLeaf
		}
		return scheduler.Done, nil
	}
	l.steps--
	return l.park, nil
}

func (l *limitsLeaf) Close() error {
	l.use(-1)
	return nil
}
