package schedulertest

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// ExploreOptions are the options of [Explore].
type ExploreOptions struct {
	// Runs is the number of schedules. 0 means 1,000, or with For, as many as time
	// allows.
	Runs int

	// For is how long, in real time, schedules are tried. The current one is
	// completed, and one is tried in any case.
	For time.Duration

	// Seed is the seed of the first schedule; each further one has the next number.
	Seed uint64

	// Replay is a line that a failure has printed: that schedule alone is run.
	Replay string

	// Bubble is synctest.Wait if Explore is called in a bubble of testing/synctest,
	// which is recommended: the World then has the time of the bubble, so package
	// time and contexts with a deadline in the code under test are simulated as well,
	// and a call may wait for something other than the World.
	Bubble func()

	// Late lets requests take effect even some time after their caller has given up.
	// Hardly any engine is safe against that.
	Late bool
}

// Explore tries a scenario under many schedules. It fails t with the smallest
// schedule that it finds in which the scenario returns an error, or an invariant does
// not hold. It prints what happened, line by line, and a line that replays it.
//
//	synctest.Test(t, func(t *testing.T) {
//		schedulertest.Explore(t, &schedulertest.ExploreOptions{Bubble: synctest.Wait}, scenario)
//	})
//
// The scenario makes a fake of the systems that the code under test talks to, whose
// methods call [World.Do]; runs the code with [World.Run]; and states what must hold
// with [World.Always] and its result. From a seed, Explore chooses when each request
// takes effect and when its answer arrives; which requests fail, hang or ignore their
// context for a while; what goes first at one moment; and when the process is killed,
// asked to stop, interrupted, runs out of time or crashes. The same seed gives the
// same schedules, however goroutines are scheduled. The scenario is called anew for
// each schedule and must not keep anything from one to the next.
//
// One goroutine runs at a time, so data races are not found: use the race detector,
// and tests without a World, for those.
//
// Explore returns what there was to choose from, and logs it if t has a method Logf.
// If there was nothing to choose, all schedules are the same, and Explore fails t.
func Explore(t TestingT, opts *ExploreOptions, scenario func(w *World) error) Coverage {
	switch {
	case isNil(t):
		panic("schedulertest: Explore: nil TestingT")
	case scenario == nil:
		panic("schedulertest: Explore: nil function")
	}
	t.Helper()
	var o ExploreOptions
	if opts != nil {
		o = *opts
	}
	e := &explorer{o: &o, scenario: scenario, offered: newOffers(), stories: map[string]bool{}}
	if o.Replay != "" {
		e.replay(t)
	} else {
		e.search(t)
	}
	c := Coverage{Schedules: e.schedules, Stories: len(e.stories), Choices: e.offered.coverage()}
	if log, ok := t.(interface {
		Logf(format string, args ...any)
	}); ok {
		log.Logf("%v", c)
	}
	return c
}

// explorer is one Explore.
type explorer struct {
	o         *ExploreOptions
	scenario  func(w *World) error
	offered   *offers
	stories   map[string]bool
	schedules int
}

// runsDefault is the number of schedules.
const runsDefault = 1000

func (e *explorer) search(t TestingT) {
	t.Helper()
	start, runs := realNow(), e.o.Runs
	if runs <= 0 && e.o.For <= 0 {
		runs = runsDefault
	}
	for i := 0; runs <= 0 || i < runs; i++ {
		if i > 0 && e.o.For > 0 && realNow().Sub(start) >= e.o.For {
			break
		}
		w := e.play(e.o.Seed+uint64(i), nil)
		e.schedules++
		switch {
		case w.broken:
			t.Fatalf("%s", w.report())
			return
		case w.failure != nil:
			f := e.smallest(i, w)
			t.Errorf("schedule %d of %d fails; %d choices, shrunk to %d in %d runs\n%s",
				f.number+1, max(runs, f.number+1), f.choices, len(f.small.taken), f.tries, f.small.report())
			return
		}
	}
	if len(e.offered.list) == 0 && e.schedules > 0 {
		t.Errorf("schedulertest: Explore has explored nothing: the scenario runs no process by World.Run, and no request by World.Do")
	}
}

// finding is a schedule that fails, and the smallest that was made of it.
type finding struct {
	number, choices int
	small           *World
	tries           int
}

// How long it is looked for a failure that is easier to understand than the first one.
const (
	choicesFew   = 2
	furtherMost  = 300 // schedules
	findingsMost = 10
)

// smallest shrinks a schedule that fails. If the story is long even so, further
// schedules are tried: another one may fail in a simpler way.
func (e *explorer) smallest(number int, w *World) finding {
	best := e.find(number, w)
	found := 1
	for i := number + 1; i < number+furtherMost && found < findingsMost && best.isLong(); i++ {
		if w := e.play(e.o.Seed+uint64(i), nil); w.failure != nil && !w.broken {
			found++
			if f := e.find(i, w); f.size() < best.size() {
				best = f
			}
		}
	}
	return best
}

func (e *explorer) find(number int, w *World) finding {
	small, tries := e.shrink(w)
	return finding{number, len(w.taken), small, tries}
}

func (f finding) isLong() bool {
	return len(f.small.taken) > choicesFew || len(f.small.tell()) > tellMost
}

// size says how hard a finding is to understand.
func (f finding) size() int { return len(f.small.tell()) + 2*len(f.small.taken) }

func (e *explorer) replay(t TestingT) {
	t.Helper()
	line, err := parse(e.o.Replay)
	if err != nil {
		t.Fatalf("schedulertest: Explore: Replay: %v", err)
		return
	}
	e.schedules = 1
	if w := e.play(0, line); w.failure != nil {
		t.Errorf("%s", w.report())
	}
}

// play runs one schedule.
func (e *explorer) play(seed uint64, replay map[string]int) *World {
	w := newWorld(e.o, seed, replay, e.offered)
	over := make(chan struct{})
	go func() { // Goexit ends a schedule that has failed
		defer close(over)
		returned := false
		defer func() {
			if returned || w.failure != nil {
				return
			}
			if v := recover(); v != nil {
				w.failure = fmt.Errorf("the scenario panics: %v\n%s", v, debug.Stack())
			} else {
				w.failure = errors.New("the scenario has ended its goroutine, as FailNow does: it should return an error")
			}
		}()
		if err := e.scenario(w); err != nil {
			w.fail(err)
		}
		returned = true
	}()
	<-over
	w.end()
	e.stories[strings.Join(w.Story(), "\n")] = true
	return w
}

// end lets go of the calls that a process has left behind.
func (w *World) end() {
	if len(w.calls) == 0 || w.broken {
		return
	}
	w.fail(fmt.Errorf("calls are left behind:%s", w.list()))
	for _, c := range w.calls {
		c.process.die()
	}
	w.attend(func() bool { return len(w.calls) == 0 })
}

// shrink takes choices away, and makes them smaller, as long as the schedule fails.
func (e *explorer) shrink(w *World) (small *World, tries int) {
	try := func(cs []choice) bool {
		tries++
		m := make(map[string]int, len(cs))
		for _, c := range cs {
			m[c.key] = c.v
		}
		v := e.play(0, m)
		if v.failure == nil || len(v.taken) > len(w.taken) {
			return false
		}
		w = v // it took no more than this of what it was told
		return true
	}
	for size := len(w.taken); size > 0; {
		removed := false
		for i := 0; i < len(w.taken); {
			n := min(size, len(w.taken)-i)
			if try(slices.Delete(slices.Clone(w.taken), i, i+n)) {
				removed = true
			} else {
				i += n
			}
		}
		if !removed || size > 1 {
			size /= 2
		}
	}
	for i := 0; i < len(w.taken); i++ {
		for v := 1; i < len(w.taken) && v < w.taken[i].v; v++ {
			cs := slices.Clone(w.taken)
			cs[i].v = v
			if try(cs) {
				break
			}
		}
	}
	return w, tries
}

// report says what failed, and how.
func (w *World) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n", w.failure)
	for _, l := range w.tell() {
		fmt.Fprintf(&b, "%s\n", l)
	}
	fmt.Fprintf(&b, "replay: schedulertest.ExploreOptions{Replay: %q}", w.line())
	return b.String()
}
