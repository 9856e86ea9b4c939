package temporal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
)

// Options are the options of [Drive]. The zero value of each field is its default.
type Options struct {
	// Name is the run's name in errors and logs. The default is the task's
	// [scheduler.TaskDescription].
	Name string

	// Grace is how long the task may continue after the workflow was asked to cancel.
	// Without it the task is closed at once: its activities are still asked to
	// cancel, but Drive does not wait for them.
	Grace time.Duration

	// Limit is the largest number of activities and child workflows that are pending
	// at the same time; further ones wait in FIFO order. The default is
	// [DefaultLimit]. More than [MaxLimit] is an error, since the server would reject
	// the workflow task again and again.
	Limit int

	// Wait is the longest pause between rounds, for tasks that ask for the next
	// round. Each pause is a timer at the server, which costs two events. By default
	// there is no pause.
	Wait time.Duration

	// Rounds is the number of consecutive rounds without a pause, after which a timer
	// of a millisecond ends the workflow task, whose time is limited (10 s by
	// default). The default is [DefaultRounds].
	Rounds int

	// Drain drains the task when the server suggests that the workflow continue as
	// new: a group then starts no more nodes, and Drive returns
	// [scheduler.ErrDrained] once the running ones have ended, if any node is left.
	// The task must have a method Drain, as groups do.
	Drain bool

	// MaxHistory is the number of events in the history at which the task is drained,
	// if the server has not suggested it before.
	MaxHistory int
}

const (
	// DefaultLimit is the default of Options.Limit.
	DefaultLimit = 1000
	// MaxLimit is the largest Options.Limit. The server accepts 2,000 pending
	// activities and as many child workflows.
	MaxLimit = 2000
	// DefaultRounds is the default of Options.Rounds.
	DefaultRounds = 100
	// DefaultBudget is the default of GroupOptions.Budget in Walk: the number of
	// steps of nodes before the SDK's deadlock detector is satisfied.
	DefaultBudget = 100
)

// ErrNotDriven fails a task of this package that is stepped by anything other than
// [Drive].
var ErrNotDriven = errors.New("temporal: this task runs in a workflow only, under Drive")

// ErrDuplicate fails a task whose ID was used before in the same run. IDs identify
// tasks on replay.
var ErrDuplicate = errors.New("temporal: ID used twice")

var errNilContext = &scheduler.OptionError{Option: "ctx", Reason: "nil Context"}

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

// Drive runs a task to its end inside a workflow and returns its error, as
// [scheduler.Run] does in a process. It blocks the workflow's coroutine while the
// task is parked. The task starts activities, child workflows, timers and signals
// with the tasks of this package; if the workflow is loaded by another worker,
// Temporal replays the walk.
//
// The task must be deterministic, like all workflow code. It reads time from
// [scheduler.Now]. [scheduler.Blocking], Fetch, Poll and [scheduler.Call] make calls on
// goroutines, which a replay could not repeat: the run panics and names the call. They
// are for activities.
//
// If the workflow is asked to cancel, the task is stopped as by
// [scheduler.TaskRunner.Stop]: it is asked to end, has [Options.Grace], and is then
// closed. The result is that of ctx.Err(), so a workflow that returns it is closed as
// Canceled. Activities and timers may outlive the request, because their context is
// not ctx.
//
// If nodes fail, the error is an application error of type [NodeFailed], with the
// keys of the nodes in its details ([FailedNodes]) and the ActivityError as its
// cause. The result of a drained task is [scheduler.ErrDrained], or the error of the
// nodes that failed before. Options out of range are a [*scheduler.OptionError].
//
// Many rounds in a row do not trip the SDK's deadlock detector, because Drive yields
// to the SDK after each. A single round of more than a second does, so set a Budget
// for large groups.
//
// If the workflow is evicted from the worker's cache, which ends its goroutine, the
// task is closed and nothing of it is left. Close of a task must not call the SDK,
// since it cannot know whether the workflow is still loaded.
func Drive(ctx workflow.Context, task scheduler.Task, opts Options) error {
	return drive(ctx, task, opts, nil)
}

// drive is Drive with signals that an earlier run of the workflow has received
// and not used.
func drive(ctx workflow.Context, task scheduler.Task, opts Options, unread *[]UnreadSignal) error {
	if ctx == nil {
		return errNilContext
	}
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

// Context returns the context of the workflow in which Drive steps the task that ctx
// belongs to, or nil outside Drive. Calls made with it must not block, since the
// whole run would stop.
func Context(ctx context.Context) workflow.Context {
	if ctx == nil {
		panic("temporal: Context: nil Context")
	}
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

// Call makes the driver a scheduler.Caller, so that no call is made on a goroutine.
func (d *driver) Call(c *scheduler.PendingCall) {
	panic(fmt.Sprintf("temporal: the call %s of node %q inside a workflow: make it an Activity", c, c.Path()))
}

// Await is for calls that Call has made.
func (d *driver) Await(*scheduler.PendingCall) {}

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
