package scheduler

import (
	"sync"
	"time"
)

// Watchdog reports a step that does not return, while it still runs. Each step that
// begins or ends is a sign of life. When none has come for After while a step is
// under way, Report is called, once for each such silence. It costs about a
// microsecond for each step.
//
// Report runs on a goroutine of its own, and the end of the step waits for it. It may
// do what any goroutine may, such as [TaskRunner.Kill], and must not wait for the
// run. If it panics, the process ends.
type Watchdog struct {
	After  time.Duration
	Report func(StuckStep)
}

// StuckStep is a step that has not returned.
type StuckStep struct {
	Path string        // of its node
	For  time.Duration // since the last sign of life

	// Stack is where the driving goroutine stands, as formatted by runtime.Stack, or
	// nil. It does not show the inside of a function given to [Wrap].
	Stack []byte
}

// check returns an OptionError for what cannot be.
func (w Watchdog) check() error {
	switch {
	case w.After == 0 && w.Report == nil:
		return nil
	case w.After <= 0:
		return &OptionError{Option: "RunnerOptions.Watchdog", Reason: "After is " + w.After.String() + "; it must be positive"}
	case w.Report == nil:
		return &OptionError{Option: "RunnerOptions.Watchdog", Reason: "nil Report"}
	}
	return nil
}

var (
	errWatchdogClock = &OptionError{Option: "RunnerOptions.Watchdog", Reason: errAbandonClock.Reason}
	errWatchdogInner = &OptionError{Option: "RunnerOptions.Watchdog", Reason: "is for the outermost runner; this one is inside another run"}
)

// watch is the watchdog of a run.
type watch struct {
	Watchdog

	mu        sync.Mutex
	quiet     *sync.Cond // the timer is not set, and there is no report
	timer     *time.Timer
	isSet     bool // the timer
	reporting bool
	steps     bool // a step is under way
	told      bool // since the last sign of life
	last      time.Time
	path      string
	goroutine int64
}

func newWatch(w Watchdog) *watch {
	d := &watch{Watchdog: w}
	d.quiet = sync.NewCond(&d.mu)
	return d
}

// begin says that a step of the run begins, on the goroutine that calls it.
func (d *watch) begin() {
	id := goroutineID()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.goroutine, d.steps = id, true
	d.live("")
}

// at says that the step of a node begins. What it returns says that it has ended.
func (d *watch) at(path string) (ended func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	around := d.path
	d.live(path)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.live(around)
	}
}

// live is a sign of life. The caller holds d.mu.
func (d *watch) live(path string) {
	d.path, d.last, d.told = path, time.Now(), false //workflowcheck:ignore (a watchdog needs the system's clock, which a workflow does not have)
	if !d.isSet && !d.reporting {
		d.set(d.After)
	}
}

// set sets the timer. The caller holds d.mu.
func (d *watch) set(after time.Duration) {
	d.isSet = true
	if d.timer == nil {
		d.timer = time.AfterFunc(after, d.look) //workflowcheck:ignore (as above)
	} else {
		d.timer.Reset(after)
	}
}

// end says that the step of the run has ended, and waits for a report.
func (d *watch) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps = false
	if d.timer.Stop() {
		d.isSet = false
	}
	for d.isSet || d.reporting {
		d.quiet.Wait()
	}
}

// look reports the step under way, if it is time. It runs on the timer's goroutine.
func (d *watch) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isSet = false
	switch waited := time.Since(d.last); {
	case !d.steps || d.told:
	case waited < d.After:
		d.set(d.After - waited)
	default:
		d.told, d.reporting = true, true
		d.report(StuckStep{Path: d.path, For: waited}, d.goroutine, d.last)
		d.reporting = false
		if d.steps { // perhaps it went on meanwhile
			d.set(d.After)
		}
	}
	d.quiet.Broadcast()
}

// report calls Report without the lock. since is when the goroutine began what it does.
func (d *watch) report(s StuckStep, goroutine int64, since time.Time) {
	d.mu.Unlock()
	defer d.mu.Lock()
	s.Stack = stacks.of([]int64{goroutine}, since)[goroutine]
	d.Report(s)
}

// watchdog returns that of the run, or nil.
func (g *engine) watchdog() *watch {
	if r := g.runner.Load(); r != nil {
		return r.watch
	}
	return nil
}

// watchedPath returns the path of a node, whose text is made once.
func (g *engine) watchedPath(p int32) string {
	path, ok := g.paths[p]
	if !ok {
		path = g.pathOf(p)
		if g.paths == nil {
			g.paths = map[int32]string{}
		}
		g.paths[p] = path
	}
	return path
}
