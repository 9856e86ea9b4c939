package temporal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
)

// Options are the options of [Drive]. The zero value of each field is a default
// that is given with it, or means that it is off.
type Options struct {
	// Name is what errors and logs call the run; by default what
	// [scheduler.TaskDescription] calls its task.
	Name string

	// Grace is how long the task may go on after the workflow was asked to
	// cancel. Without it the task is closed at once: its activities are still
	// asked to cancel, but nobody waits for them.
	Grace time.Duration

	// Limit is the largest number of activities and child workflows that are
	// pending at a time; what would exceed it waits in line. The default is
	// [DefaultLimit]; more than [MaxLimit] is an error, since the server would
	// never let the workflow go on.
	Limit int

	// Wait is the longest pause between rounds, for tasks that ask for the
	// next round. Each pause is a timer of the server's: two events. Without
	// it there is none.
	Wait time.Duration

	// Rounds is the number of rounds that may follow one another without a
	// pause before a timer of a millisecond ends the workflow task, which has a
	// time limit of its own (10 s unless changed). The default is
	// [DefaultRounds].
	Rounds int

	// Drain lets the task be drained when the server suggests to continue as
	// new: a group then starts nothing more, and what is left when the rest has
	// ended makes Drive return [scheduler.ErrDrained]. The task must have a
	// method Drain, as groups do.
	Drain bool

	// MaxHistory drains earlier than the server suggests: at this number of
	// events in the history.
	MaxHistory int
}

const (
	// DefaultLimit is the default of Options.Limit.
	DefaultLimit = 1000
	// MaxLimit is the largest Options.Limit. The server's own limit is 2,000
	// of each of activities and child workflows.
	MaxLimit = 2000
	// DefaultRounds is the default of Options.Rounds.
	DefaultRounds = 100
	// DefaultBudget is how many steps of members Walk makes without a look at
	// the deadlock detector, unless the group's options say otherwise.
	DefaultBudget = 100
)

// ErrNotDriven fails a task of this package that is stepped by anything else
// than [Drive].
var ErrNotDriven = errors.New("temporal: this task runs in a workflow only, under Drive")

// ErrDuplicate fails a task whose ID another task of the same run has, or had:
// IDs tell tasks apart on replay.
var ErrDuplicate = errors.New("temporal: ID used twice")

func (o *Options) check(task scheduler.Task) error {
	switch {
	case task == nil:
		return &scheduler.OptionError{Option: "task", Reason: "nil Task"}
	case o.Limit < 0 || o.Limit > MaxLimit:
		return &scheduler.OptionError{
			Option: "Options.Limit", Reason: fmt.Sprintf("%d is not between 0 and %d", o.Limit, MaxLimit),
		}
	case o.Grace < 0:
		return &scheduler.OptionError{Option: "Options.Grace", Reason: "negative duration " + o.Grace.String()}
	case o.Wait < 0:
		return &scheduler.OptionError{Option: "Options.Wait", Reason: "negative duration " + o.Wait.String()}
	case o.Rounds < 0 || o.MaxHistory < 0:
		return &scheduler.OptionError{Option: "Options.Rounds, MaxHistory", Reason: "negative number"}
	}
	if _, ok := task.(drainer); o.Drain && !ok {
		return &scheduler.OptionError{Option: "Options.Drain", Reason: "the task has no method Drain"}
	}
	return nil
}

// drainer is a group.
type drainer interface{ Drain() }

// Drive runs a task to its end inside a workflow and returns its error: what
// [scheduler.Run] is in a process. It blocks, in the workflow's own way, while
// the task is parked. What the task's nodes start are activities, child
// workflows, timers and signals, by the tasks of this package; the walk itself
// is replayed by the engine wherever the workflow comes to life again.
//
// The task must be deterministic as all workflow code: its time is
// [scheduler.Now], and [scheduler.Blocking], Fetch, Poll and scheduler.Call,
// which use goroutines, are for activities.
//
// When the workflow is asked to cancel, the task is stopped as by
// [scheduler.TaskRunner.Stop]: it gets notice and Options.Grace, and then is
// closed. The result is that of ctx.Err(), so that a workflow which returns it
// is closed as Canceled. Activities and timers outlive the request: their
// context is not ctx.
//
// The failure of a node comes back as an application error of type
// [NodeFailed], with the nodes' keys in its details ([FailedNodes]) and the
// ActivityError as its cause, whatever else failed beside it. A drained task's
// result is [scheduler.ErrDrained], or the error of the nodes that have failed
// besides. Options that are out of range are an
// [*scheduler.OptionError].
//
// Long rows of rounds do not set off the SDK's deadlock detector: Drive lets the
// SDK have its turn after each. A single round that takes a second does: give
// large groups a Budget.
//
// If the workflow is dropped from the worker's cache, which ends its goroutine,
// the task is closed and nothing of it is left. Close of a task must not call
// the engine: it does not know whether the workflow is alive.
func Drive(ctx workflow.Context, task scheduler.Task, opts Options) error {
	return drive(ctx, task, opts, nil)
}

// drive is Drive with signals that an earlier run of the workflow has received
// and not used.
func drive(ctx workflow.Context, task scheduler.Task, opts Options, unread *[]UnreadSignal) error {
	if err := opts.check(task); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	inner, release := workflow.NewDisconnectedContext(ctx)
	d := newDriver(inner, opts)
	d.unread = unread
	r := scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{Name: opts.Name, Grace: opts.Grace, Clock: d})
	// Also when the SDK ends this goroutine: nothing below calls the engine.
	defer func() { _ = r.Cancel() }()
	if err := workflow.SetQueryHandler(ctx, QueryExplain, func() (string, error) { return d.explain(task), nil }); err != nil {
		return err
	}
	err := d.run(ctx, r, task)
	d.cancelClosed()
	release()
	if d.stopped {
		if others := without(err, ctx.Err()); others != nil {
			workflow.GetLogger(ctx).Warn("Failed while the workflow was being cancelled", "Error", others)
		}
		return ctx.Err()
	}
	return failureOf(err)
}

// Context returns the context of the workflow in which Drive steps the task to
// which ctx belongs, or nil. Calls made with it must not block: the whole run
// would stand still.
func Context(ctx context.Context) workflow.Context {
	if d := driverOf(ctx); d != nil {
		return d.wf
	}
	return nil
}

// driver is one call of Drive. It is the context of the steps, and their clock.
type driver struct {
	context.Context
	wf   workflow.Context // which does not end when the workflow is cancelled
	opts Options

	ids     map[string]struct{}
	pending []*call // started and not ready, in order of start
	slots   int     // of Options.Limit, taken
	line    []*call // wait for a slot
	cancels []workflow.CancelFunc
	unread  *[]UnreadSignal // or nil

	timer       workflow.Future // the one timer, or nil
	timerAt     time.Time
	cancelTimer workflow.CancelFunc

	stopped  bool // the workflow was asked to cancel
	draining bool
}

func newDriver(ctx workflow.Context, opts Options) *driver {
	if opts.Limit == 0 {
		opts.Limit = DefaultLimit
	}
	if opts.Rounds == 0 {
		opts.Rounds = DefaultRounds
	}
	return &driver{Context: context.Background(), wf: ctx, opts: opts, ids: map[string]struct{}{}}
}

type driverKey struct{}

func driverOf(ctx context.Context) *driver {
	d, _ := ctx.Value(driverKey{}).(*driver)
	return d
}

// Value has what the workflow's context has.
func (d *driver) Value(key any) any {
	if key == (driverKey{}) {
		return d
	}
	return d.wf.Value(key)
}

func (d *driver) String() string { return "temporal.Drive" }

// Now is the workflow's time, which stands still within a workflow task.
func (d *driver) Now() time.Time { return workflow.Now(d.wf) }

// Wait is for loops that block: this one does not.
func (d *driver) Wait(time.Time, <-chan struct{}) {
	panic("temporal: a blocking run inside a workflow: use Drive")
}

// run is the loop.
func (d *driver) run(ctx workflow.Context, r *scheduler.TaskRunner, task scheduler.Task) error {
	err := r.Start(d, 0)
	for busy := 0; err == nil && !r.Done(); {
		d.cancelClosed()
		d.drain(ctx, task)
		busy = d.pause(ctx, r, busy)
		if ctx.Err() != nil && !d.stopped {
			d.stopped = true
			r.Stop(ctx.Err())
		}
		_, err = r.Step(d)
	}
	return err
}

// drain drains the task when the history has become long.
func (d *driver) drain(ctx workflow.Context, task scheduler.Task) {
	if !d.opts.Drain || d.draining || d.stopped {
		return
	}
	info := workflow.GetInfo(ctx)
	most := d.opts.MaxHistory
	if info.GetContinueAsNewSuggested() || most > 0 && info.GetCurrentHistoryLength() >= most {
		d.draining = true
		task.(drainer).Drain()
	}
}

// pause lets time pass until the runner is due, and returns the number of
// rounds that have come without a real pause.
func (d *driver) pause(ctx workflow.Context, r *scheduler.TaskRunner, busy int) int {
	d.poll()
	due := r.Due()
	until, timed := due.Time()
	next := due.Rounds() > 0
	if due.Ready() || next && d.opts.Wait == 0 || timed && !until.After(d.Now()) {
		if busy++; busy%d.opts.Rounds == 0 {
			d.nap()
		} else {
			d.breathe()
		}
		return busy
	}
	if at := d.Now().Add(d.opts.Wait); next && (!timed || at.Before(until)) {
		until, timed = at, true
	}
	if timed {
		d.setTimer(until)
	}
	d.await(func() bool {
		d.poll()
		return r.Due().Ready() || ctx.Err() != nil && !d.stopped || d.timer != nil && d.timer.IsReady()
	})
	if d.timer != nil && d.timer.IsReady() {
		d.timer = nil
	}
	return 0
}

// await blocks until the condition holds. Its error would be the end of d.wf,
// which nobody ends while the run goes on.
func (d *driver) await(condition func() bool) {
	if err := workflow.Await(d.wf, condition); err != nil {
		panic(err)
	}
}

// breathe gives the SDK its turn. That costs no event in the history: of two
// looks at the condition one fails, so the SDK goes around once, with a new
// term for the deadlock detector.
func (d *driver) breathe() {
	looked := false
	d.await(func() bool {
		defer func() { looked = true }()
		return looked
	})
}

// nap ends the workflow task, which has a time limit as a whole.
func (d *driver) nap() {
	if err := workflow.Sleep(d.wf, time.Millisecond); err != nil {
		panic(err)
	}
}

// setTimer sees to it that the run is woken at a time. There is one timer at
// most: each costs two events. One that is early is good enough.
func (d *driver) setTimer(at time.Time) {
	if d.timer != nil && !at.Before(d.timerAt) {
		return
	}
	if d.timer != nil {
		d.cancelTimer()
	}
	// The grid of the server's timers is a millisecond.
	wait := (at.Sub(d.Now()) + time.Millisecond - 1).Truncate(time.Millisecond)
	var ctx workflow.Context
	ctx, d.cancelTimer = workflow.WithCancel(d.wf)
	d.timer, d.timerAt = workflow.NewTimer(ctx, wait), at
}

// poll finds out what has become ready and wakes it. One look at each is faster
// than a Selector, or a coroutine for each, by the time that replay takes.
func (d *driver) poll() {
	kept := d.pending[:0]
	for _, c := range d.pending {
		switch {
		case c.isReady():
			c.event.Set()
			if c.limited {
				d.slots--
			}
		case !c.isOver(): // what was closed counts until it has ended
			kept = append(kept, c)
		}
	}
	clear(d.pending[len(kept):])
	d.pending = kept
	for len(d.line) > 0 && d.slots < d.opts.Limit {
		c := d.line[0]
		d.line[0] = nil
		d.line = d.line[1:]
		if !c.closed {
			d.slots++
			c.admitted = true
			c.event.Set()
		}
	}
}

// admit reports whether c may start. If not it is in line.
func (d *driver) admit(c *call) bool {
	switch {
	case c.admitted || !c.limited:
	case d.slots < d.opts.Limit && len(d.line) == 0:
		d.slots++
	default:
		if !c.inLine {
			c.inLine = true
			d.line = append(d.line, c)
		}
		return false
	}
	c.admitted = true
	return true
}

// use notes that an ID is in use.
func (d *driver) use(kind, id string) error {
	key := kind + "\x00" + id
	if _, ok := d.ids[key]; ok {
		return fmt.Errorf("%w: %s %q", ErrDuplicate, kind, id)
	}
	d.ids[key] = struct{}{}
	return nil
}

// cancelClosed cancels what belonged to tasks that were closed. Close itself
// cannot: it may be called when the workflow is not alive.
func (d *driver) cancelClosed() {
	for _, cancel := range d.cancels {
		cancel()
	}
	d.cancels = nil
}
