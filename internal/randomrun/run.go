// Package randomrun makes random runs of groups in groups, for tests that a run
// with an Observer and the same run without it make the same steps at the same
// times.
package randomrun

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// run is a run under way.
type run struct {
	rnd      *rand.Rand // asked in the order of the steps
	clock    *schedulertest.Clock
	began    time.Time
	observer scheduler.Observer
	limiter  *scheduler.Limiter
	outside  *scheduler.DependencyTaskGroup[int]
	text     strings.Builder
	groups   int
}

// Play makes the run that comes from a seed, with an Observer in the options of
// the outermost group and of some of those inside; nil is none. It returns all
// that the tasks did and how it ended, as text.
func Play(t schedulertest.TestingT, seed uint64, observer scheduler.Observer) string {
	r := &run{
		rnd: rand.New(rand.NewPCG(seed, 0)), clock: schedulertest.NewClock(time.Time{}).Alone(), observer: observer,
		limiter: scheduler.NewLimiter(scheduler.LimiterOptions{Name: "limit", Capacity: 2}),
	}
	r.began = r.clock.Now()
	r.outside = r.group(0)
	d := schedulertest.NewDriver(t, r.outside, &scheduler.RunnerOptions{
		Clock: r.clock, Grace: time.Duration(r.rnd.IntN(3)) * time.Second,
	})
	for steps := 0; !d.Runner.Done() && steps < 1000; steps++ {
		if v := r.step(d); v != nil {
			r.note("panic: %v", v)
			break
		}
	}
	r.note("ended: %v, rounds %d", d.Runner.Err(), r.outside.Rounds())
	for k, s := range r.outside.All() {
		r.note("%v %v", k, s)
	}
	return r.text.String()
}

var errBoom = errors.New("boom")

// step makes one step, or does something from outside. It returns the value of a
// panic.
func (r *run) step(d *schedulertest.Driver) (panicked any) {
	defer func() { panicked = recover() }()
	switch r.rnd.IntN(60) {
	case 0:
		r.note("Stop")
		d.Runner.Stop(errBoom)
	case 1:
		r.note("Drain")
		r.outside.Drain()
	case 2:
		if d.Runner.Started() {
			r.note("Cancel: %v", d.Runner.Cancel())
			return nil
		}
	case 3:
		if d.Runner.Started() {
			r.note("Interrupt")
			d.Runner.Interrupt(errBoom)
		}
	case 4:
		r.note("Stop of the group")
		r.outside.Stop(scheduler.WithClock(context.Background(), r.clock), errBoom)
	default:
	}
	if d.Runner.Done() {
		return nil
	}
	d.Step()
	r.clock.Advance(time.Duration(r.rnd.IntN(3)) * time.Second / 2)
	return nil
}

func (r *run) note(format string, args ...any) {
	fmt.Fprintf(&r.text, "%v ", r.clock.Now().Sub(r.began))
	fmt.Fprintf(&r.text, format, args...)
	r.text.WriteByte('\n')
}

// group makes a group that is so far inside others.
func (r *run) group(depth int) *scheduler.DependencyTaskGroup[int] {
	r.groups++
	name := fmt.Sprint("group ", r.groups)
	deps := scheduler.NewDependencies[int]()
	for k := range r.rnd.IntN(7 - depth) {
		deps.Add(k)
		if k > 0 && r.rnd.IntN(2) == 0 {
			deps.Add(k, r.rnd.IntN(k))
		}
	}
	opts := r.options(name)
	if depth == 0 || r.rnd.IntN(3) == 0 {
		opts.Observer = r.observer
	}
	g, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task {
		return r.task(fmt.Sprint(name, " node ", k), depth)
	}, opts)
	if err != nil {
		panic(err)
	}
	return g
}

// options are random ones, so that each is there in some runs.
func (r *run) options(name string) *scheduler.GroupOptions[int] {
	opts := &scheduler.GroupOptions[int]{
		Name: name, Limit: r.rnd.IntN(4), Budget: r.rnd.IntN(3) * r.rnd.IntN(3),
		Reverse: r.rnd.IntN(4) == 0, AggregateErrors: r.rnd.IntN(2) == 0, RecoverPanics: r.rnd.IntN(2) == 0,
	}
	some := func() bool { return r.rnd.IntN(4) == 0 }
	if some() {
		opts.Grace = time.Second
	} else if some() {
		opts.GraceFor = func(k int) time.Duration { return time.Duration(k) * time.Second }
	}
	if some() {
		opts.Timeout = func(k int) time.Duration { return time.Duration(k-1) * time.Second }
	}
	if some() {
		opts.Completed = func(k int) bool { return k == 0 }
	}
	if some() {
		opts.Claims = func(k int) []scheduler.Claim { return []scheduler.Claim{{Limiter: r.limiter, Weight: 1 + k%2}} }
	}
	if !opts.AggregateErrors && some() {
		opts.OnError = func(k int, err error) scheduler.Disposition {
			r.note("%s: OnError %v %v", name, k, err)
			return scheduler.Disposition(k % 4)
		}
	}
	if some() {
		opts.Context = func(ctx context.Context, k int) context.Context { return context.WithValue(ctx, key{}, k) }
	}
	return opts
}

type key struct{}

// task makes a task, or a group, or one of them inside something else.
func (r *run) task(name string, depth int) scheduler.Task {
	if depth < 2 && r.rnd.IntN(4) == 0 {
		g := r.group(depth + 1)
		switch r.rnd.IntN(4) {
		case 0:
			return scheduler.NewTaskRunner(g, nil).AsTask(0)
		case 1:
			return scheduler.Wrap(func(co *scheduler.Coroutine) error { return co.Await(g) })
		case 2:
			return scheduler.Sequence(&task{r: r, name: name, left: 1}, g)
		}
		return g
	}
	t := &task{r: r, name: name, left: r.rnd.IntN(5), heeds: r.rnd.IntN(2) == 0}
	switch r.rnd.IntN(15) {
	case 0:
		t.err = errBoom
	case 1:
		t.err = scheduler.ErrSkip
	case 2:
		t.closeErr = errBoom
	case 3:
		t.panics = r.rnd.IntN(4) == 0
	case 4:
		return nil
	default:
	}
	return t
}

// task does nothing for some steps.
type task struct {
	r             *run
	name          string
	left          int
	heeds, panics bool
	err, closeErr error
}

func (t *task) String() string { return t.name }

func (t *task) Step(ctx context.Context) (scheduler.Yield, error) {
	t.r.note("%s: step, %v", t.name, ctx.Value(key{}))
	if t.left--; t.left >= 0 {
		if t.r.rnd.IntN(2) == 0 {
			return scheduler.Next, nil
		}
		return scheduler.After(time.Duration(t.r.rnd.IntN(4)) * time.Second), nil
	}
	if t.panics {
		panic("panic of " + t.name)
	}
	if t.err != nil {
		return scheduler.Yield{}, t.err
	}
	return scheduler.Done, nil
}

func (t *task) Stop(_ context.Context, cause error) {
	t.r.note("%s: stop, %v", t.name, cause)
	if t.heeds {
		t.left = 0
	}
}

func (t *task) Close() error {
	t.r.note("%s: close", t.name)
	return t.closeErr
}
