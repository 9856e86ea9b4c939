package schedulertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/steptask/scheduler"
)

// World is the environment of one schedule of [Explore]: simulated time, the running
// calls, and the choices for them. One of its goroutines runs at a time: the
// scenario, a process or a call. So fakes need no locks.
//
// Its methods are for the scenario and the code that it runs. Explore makes it.
type World struct {
	callSet
	choices

	start   time.Time
	now     time.Time // outside of a bubble
	late    bool
	process *process // the one that runs, or nil
	events  []event  // still to come
	moves   int
	crashes int
	broken  bool // a goroutine does not return
	story   []line
	always  []invariant
	failure error
}

// event is something from outside that is still to come.
type event struct {
	at    time.Time
	label string
	fn    func()
}

type invariant struct {
	name  string
	holds func() error
}

// process is a run of the code under test, from its start to its end or its crash.
type process struct {
	world     *World
	task      scheduler.Task // nil of Process
	main      *simCall
	cancel    context.CancelCauseFunc
	end       [4]func() // what can be done to it from outside; nil of what cannot
	dead      bool      // it has crashed, and only unwinds
	disturbed bool      // and is to learn of it before anything else happens
	err       error
}

// What can come between any two things that happen.
const (
	crashes = iota
	kills
	stops
	interrupts
)

// foreverIs is how long in the time of a bubble nothing has to happen before a process
// counts as one that waits for ever.
const foreverIs = 24 * time.Hour

// crashesMost is the number of crashes in one schedule.
const crashesMost = 3

// movesMost is the number of moves after which a schedule counts as one without end.
const movesMost = 20_000

func newWorld(o *ExploreOptions, seed uint64, replay map[string]int, offered *offers) *World {
	w := &World{choices: newChoices(seed, replay, offered), late: o.Late}
	w.now = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	w.callSet = newCallSet(w.Now)
	w.settle = o.Bubble
	w.start = w.Now()
	return w
}

// must panics for a World that Explore has not made.
func (w *World) must(method string) {
	if w == nil || w.clock == nil {
		panic("schedulertest: World." + method + ": nil or zero World; Explore makes it")
	}
}

func mustHaveFunc(has bool, method string) {
	if !has {
		panic("schedulertest: World." + method + ": nil function")
	}
}

// Now returns the simulated time.
func (w *World) Now() time.Time {
	w.must("Now")
	if w.settle != nil {
		return time.Now().Round(0)
	}
	return w.now
}

// Run runs a task as one process does, from its start to its end, and returns its
// error. The schedule chooses a time limit, a grace, and when the process is killed,
// asked to stop, interrupted, or crashes. After a crash Run returns [ErrCrashed], and
// everything that was only in memory is lost; the scenario continues from the saved
// state, in another process.
//
// It blocks until all calls of the process have ended. Call it on the goroutine of
// the scenario; inside a call or a task use [scheduler.Run] with its context.
func (w *World) Run(name string, task scheduler.Task) error {
	w.must("Run")
	if isNil(task) {
		panic("schedulertest: World.Run: nil Task")
	}
	limit := []time.Duration{0, 2 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute}[w.Choose(name+": time limit", 5, 0.2)]
	grace := []time.Duration{0, 10 * time.Second, time.Second}[w.Choose(name+": grace", 3, 0.5)]
	r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Name: name, Timeout: limit, Grace: grace})
	begins := name + " begins"
	if limit != 0 {
		begins += fmt.Sprintf(", with time limit %v", limit)
	}
	if grace != 0 {
		begins += fmt.Sprintf(", with grace %v", grace)
	}
	w.Say("%s", begins)
	p := &process{world: w, task: task}
	p.end[kills] = r.Kill
	p.end[stops] = func() { r.Post(func() { r.Stop(errStop) }) }
	p.end[interrupts] = func() { r.Interrupt(errInterrupt) }
	return w.run(p, name, r.Run)
}

// Process runs fn as Run runs a task, for an engine that calls [scheduler.Run]
// itself. fn must use ctx, or one made from it, and leave the clock as given. The
// schedule chooses when ctx ends, like the context of a program that gets a signal,
// or when the process crashes.
func (w *World) Process(name string, fn func(ctx context.Context) error) error {
	w.must("Process")
	mustHaveFunc(fn != nil, "Process")
	w.Say("%s begins", name)
	return w.run(&process{world: w}, name, fn)
}

var (
	errStop      = errors.New("asked to stop")
	errInterrupt = errors.New("interrupted")
)

func (w *World) run(p *process, name string, fn func(ctx context.Context) error) error {
	if w.process != nil {
		panic("schedulertest: World.Run inside a process of the World: use scheduler.Run there, with its context")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	p.cancel = cancel
	if p.end[stops] == nil {
		p.end[stops] = func() { cancel(errStop) }
	}
	p.main = &simCall{set: &w.callSet, name: name, process: p, state: begun, resume: make(chan struct{}, 1)}
	p.main.fn = func() { p.do(ctx, fn) }
	w.process = p
	w.mu.Lock()
	w.calls = append(w.calls, p.main)
	w.mu.Unlock()
	w.attend(func() bool { return p.main.answered && (!p.dead || len(w.calls) == 0) })
	w.process = nil
	if w.failure != nil {
		runtime.Goexit()
	}
	if p.dead {
		p.err = ErrCrashed
	}
	w.Say("%s ends: %s", name, textOf(p.err))
	return p.err
}

// do is what the goroutine of the process does.
func (p *process) do(ctx context.Context, fn func(ctx context.Context) error) {
	returned := false
	defer func() {
		if returned || p.dead {
			return
		}
		if v := recover(); v != nil {
			p.world.fail(fmt.Errorf("%s panics: %v\n%s", p.main.name, v, debug.Stack()))
		} else {
			p.world.fail(fmt.Errorf("%s has ended its goroutine", p.main.name))
		}
	}()
	p.err = fn(p.main.context(ctx))
	returned = true
}

// attend lets what is under way go on, one thing after the other, until over holds or
// nothing is left. With nil it is no failure if nothing is left.
func (w *World) attend(over func() bool) {
	for !w.broken {
		if w.failure != nil && w.process != nil {
			w.process.die()
		}
		w.mu.Lock()
		isOver := over != nil && over()
		w.mu.Unlock()
		if isOver {
			return
		}
		if w.moves++; w.moves > movesMost {
			w.fail(fmt.Errorf("no end after %d moves%s", movesMost, w.list()))
			if w.moves > 2*movesMost {
				w.broken = true
			}
		}
		switch c, begins := w.pick(); {
		case c != nil:
			w.let(c, begins)
		case w.answer():
		case !w.pass():
			if over == nil {
				return
			}
			p := w.process
			if p == nil || p.dead { // it does not even unwind
				w.fail(fmt.Errorf("calls do not end%s", w.list()))
				w.broken = true
				break
			}
			w.fail(fmt.Errorf("%s waits for ever%s%s", p.main, w.list(), p.explain()))
		}
	}
}

// pick returns the call that is to go on, if one can, and marks it as busy.
func (w *World) pick() (c *simCall, begins bool) {
	w.mu.Lock()
	now := w.Now()
	var due []*simCall
	for _, c := range w.calls {
		if c.isDue(now) {
			due = append(due, c)
		}
	}
	w.mu.Unlock()
	if len(due) == 0 {
		return nil, false
	}
	c = due[0]
	if p := w.process; p != nil && p.disturbed && slices.Contains(due, p.main) {
		c, p.disturbed = p.main, false
	} else if len(due) > 1 && w.failure == nil && (p == nil || !p.dead) {
		c = due[w.Choose("before "+c.label(), min(len(due), 4), 0.3)]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	begins = c.state == begun
	c.state = busy
	return c, begins
}

// let lets a call go on until it rests.
func (w *World) let(c *simCall, begins bool) {
	c.begin(begins)
	if !w.rest(c, watchdog) && w.settle == nil {
		w.broken = true
		w.failure = errors.New(c.complaint(false))
		return
	}
	w.check()
}

// pass lets time pass up to what happens next, and reports whether there is anything.
func (w *World) pass() bool {
	w.mu.Lock()
	now := w.Now()
	at, isCall := w.wakes()
	stuck, changed := w.busy(), w.nextChange()
	w.mu.Unlock()
	first := -1
	for i, e := range w.events {
		if !isCall && first < 0 || e.at.Before(at) {
			first, at = i, e.at
		}
	}
	isBounded := isCall || first >= 0
	switch {
	case !isBounded && (w.settle == nil || w.process == nil && stuck == nil):
		return false
	case w.settle == nil:
		w.now = at
	case !isBounded:
		// Something that the World does not know of may be about to happen.
		t := time.NewTimer(foreverIs)
		by := w.block(nil, changed, t.C)
		t.Stop()
		w.settle()
		return by != byRing
	case at.After(now):
		t := time.NewTimer(at.Sub(now))
		w.block(nil, changed, t.C)
		t.Stop()
		w.settle()
		if w.Now().Before(at) {
			return true
		}
	}
	if first >= 0 {
		e := w.events[first]
		w.events = slices.Delete(w.events, first, first+1)
		w.Say("%s", e.label)
		e.fn()
		w.check()
	}
	return true
}

// point is a moment at which something may come from outside.
func (p *process) point(label string, probability float64) {
	w := p.world
	if p.dead || w.failure != nil {
		return
	}
	ways := []int{crashes, stops}
	if p.end[kills] != nil {
		ways = []int{crashes, kills, stops, interrupts}
	}
	v := w.choose("when "+label, "end", len(ways)+1, probability)
	if v == 0 || ways[v-1] == crashes && w.crashes >= crashesMost {
		return
	}
	p.disturbed = true
	switch ways[v-1] {
	case crashes:
		w.Say("** crash")
		w.crashes++
		p.die()
		return
	case kills:
		w.Say("** killed")
	case stops:
		w.Say("** asked to stop")
	case interrupts:
		w.Say("** interrupted")
	}
	p.end[ways[v-1]]()
}

// explain says what the task of the process waits for, if it is a group.
func (p *process) explain() string {
	var b strings.Builder
	if g, ok := p.task.(io.WriterTo); ok {
		b.WriteString("\n")
		_, _ = g.WriteTo(&b) // never fails
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// die makes the process one that only unwinds.
func (p *process) die() {
	p.dead = true
	p.cancel(ErrCrashed)
}

// Save is how a process writes state that outlives it. A process that has crashed
// writes nothing any more, and a crash may come right after write. So store
// everything that the next process needs with Save, and only with Save.
func (w *World) Save(label string, write func()) {
	w.must("Save")
	mustHaveFunc(write != nil, "Save")
	p := w.process
	if p != nil && p.dead || w.failure != nil {
		return
	}
	write()
	if p != nil {
		p.point(label+" is saved", 0.06)
	}
}

// Later schedules an event from outside, such as an Event that is set or a change in
// the world, at some later time that the schedule chooses. fn runs between two steps
// and must not block. It runs even if the process that was running has ended.
func (w *World) Later(label string, fn func()) {
	w.must("Later")
	mustHaveFunc(fn != nil, "Later")
	w.events = append(w.events, event{w.Now().Add(w.delay(label)), label, fn})
}

// Always adds an invariant. It is checked after each effect and each step of a
// process or call, and must not block. The schedule fails as soon as it returns an
// error.
func (w *World) Always(name string, holds func() error) {
	w.must("Always")
	mustHaveFunc(holds != nil, "Always")
	w.always = append(w.always, invariant{name, holds})
	w.check()
}

// check asks for the invariants, except while a process that has crashed unwinds.
func (w *World) check() {
	for _, a := range w.always {
		if w.failure != nil || w.process != nil && w.process.dead {
			return // nothing happens any more
		}
		if err := a.holds(); err != nil {
			w.fail(fmt.Errorf("%s: %w", a.name, err))
		}
	}
}

// fail fails the schedule; the first failure counts.
func (w *World) fail(err error) {
	if w.failure == nil {
		w.failure = err
	}
}

// Calm ends the faults: from now on everything takes its normal course. Check
// liveness after it, and allow more time than the slowest operation of a fake takes.
func (w *World) Calm() {
	w.must("Calm")
	w.calm = true
}

// Settle lets everything happen that is still pending, such as requests whose caller
// has given up, and events of [World.Later]. It is for the scenario, between two
// processes.
func (w *World) Settle() {
	w.must("Settle")
	w.attend(nil)
	if w.failure != nil {
		runtime.Goexit()
	}
}
