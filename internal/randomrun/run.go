// Package randomrun makes random runs of groups in groups, for tests that a run
// with an Observer and the same run without it make the same steps at the same
// times, and so does one whose tasks are in wrappers that change nothing.
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
	events   []*scheduler.Event
	slow     []*slowTask // that were asked to close
	text     strings.Builder
	groups   int
	wrapping *Wrapping // nil: none are compared
}

// Wrapping is what the task of each node is put into. The zero Wrapping is none.
type Wrapping struct {
	Wrap func(scheduler.Task) scheduler.Task

	// Group says that it is a group. That is no wrapper for all: one whose only
	// node is skipped is done, it keeps the errors of a Close to itself, and it can
	// be thrown into though its node cannot. What a call returns may come a round later
	// out of it, in which another task of a First may win. So the runs have none of
	// that.
	Group bool
}

// Play makes the run that comes from a seed, with an Observer in the options of
// the outermost group and of some of those inside; nil is none. It returns all
// that the tasks did and how it ended, as text.
func Play(t schedulertest.TestingT, seed uint64, observer scheduler.Observer) string {
	return play(t, seed, observer, nil)
}

// PlayWrapped is Play with a wrapper around the task of each node. What errors say of
// wrappers is left out of the text, and rounds in which no task is stepped are not
// counted. The runs have no Budget, since a wrapper may be stepped for such a round.
func PlayWrapped(t schedulertest.TestingT, seed uint64, observer scheduler.Observer, wrapping Wrapping) string {
	return play(t, seed, observer, &wrapping)
}

func play(t schedulertest.TestingT, seed uint64, observer scheduler.Observer, wrapping *Wrapping) string {
	r := &run{
		rnd: rand.New(rand.NewPCG(seed, 0)), clock: schedulertest.NewClock(time.Time{}).Alone(), observer: observer,
		limiter: scheduler.NewLimiter(scheduler.LimiterOptions{Name: "limit", Capacity: 2}),
		events:  []*scheduler.Event{{}, {}}, wrapping: wrapping,
	}
	r.began = r.clock.Now()
	r.outside = r.group(0)
	d := schedulertest.NewDriver(t, r.outside, &scheduler.RunnerOptions{
		Clock: r.clock, Grace: time.Duration(r.rnd.IntN(3)) * time.Second,
	})
	for steps := 0; !d.Runner.Done() && steps < 1000; steps++ {
		if v := r.step(d); v != nil {
			r.note("panic: %v", panicText(v))
			break
		}
	}
	r.note("ended: %v", r.said(d.Runner.Err()))
	if r.wrapping == nil {
		r.note("rounds %d", r.outside.Rounds())
	}
	for k, s := range r.outside.All() {
		r.note("%v %v %v", k, s, r.said(r.outside.Err(k)))
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
			r.note("Cancel: %v", r.said(d.Runner.Cancel()))
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
	for _, t := range r.slow {
		t.look()
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
	if r.wrapping != nil {
		opts.Budget = 0
	}
	some := func() bool { return r.rnd.IntN(4) == 0 }
	if some() {
		opts.Grace = time.Second
	} else if some() {
		opts.GraceFor = func(k int) time.Duration { return time.Duration(k) * time.Second }
	}
	if some() && !r.isGroup() {
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
			r.note("%s: OnError %v %v", name, k, r.said(err))
			return scheduler.Disposition(k % 4)
		}
	}
	if some() {
		opts.Context = func(ctx context.Context, k int) context.Context { return context.WithValue(ctx, key{}, k) }
	}
	return opts
}

type key struct{}

// isGroup reports whether wrappers are groups.
func (r *run) isGroup() bool { return r.wrapping != nil && r.wrapping.Group }
