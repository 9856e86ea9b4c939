package scheduler

import (
	"context"
	"sync/atomic"
	"time"
)

// TaskRunner drives one task: it starts it, steps it when it is due, and ends it when
// its time has passed or it is cancelled.
//
//	           Start            Step                      Cancel
//	new        first step       ErrNotStarted             ended, ErrCancelled from Start
//	started    ErrStarted       a step if it is due       closed, ended
//	ended      ErrStarted (*)   true, nothing happens     nothing happens
//
//	(*) ErrCancelled if it was cancelled before it was started
//
// It is for one goroutine at a time, its driver, except for Interrupt, Kill and Post.
// Methods that run the task's code panic if they overlap: a Step inside a step of the
// same runner, or a Step or Cancel while another goroutine drives it.
//
// A step never waits for a task to end: a task with a call that has not returned is
// asked to end, and the runner is due again when it can be closed without waiting.
// Only Cancel, the Close of a task, and a panic on its way up wait. A panic or
// runtime.Goexit of the task propagates from Start or Step, and the runner has ended
// with [ErrAborted].
type TaskRunner struct {
	opts RunnerOptions
	lent time.Duration // the grace that what is around it has, if it has that too; not inherited
	task Task          // nil once it has ended
	busy atomic.Int32  // a busyness

	started bool // Start was called
	entered bool // the task had its first step
	inside  bool // code of the task is running
	isNamed bool // by its options
	scopes  bool // it has something to say to what is inside, apart from limits

	wait     taskWait       // what the task waits for
	deadline runnerDeadline // until when it may go on
	ending   runnerEnding   // what it was told about its end; the outcome

	clock timeSource
	ctx   scopeCache
	pool  pool   // in use if this is the outermost
	watch *watch // nil: there is no Watchdog

	wakes  *wakes // of the run; nil before the start
	before *Notes // of the node around it when it was started, with an attempt; or nil
	thrown atomic.Pointer[error]
	event  Event       // set when the runner becomes due from outside
	called atomic.Bool // by a method of the runner, and not by an event
	killed atomic.Bool
	loop   atomic.Pointer[alarm] // of the Run that drives it
	posts  posts
	outer  atomic.Pointer[TaskRunner] // the outermost, if this one is inside it
}

// NewTaskRunner returns a runner for task. It panics with an [*OptionError] if task
// is nil or an option is invalid.
func NewTaskRunner(task Task, opts *RunnerOptions) *TaskRunner {
	r := &TaskRunner{task: task}
	r.deadline.init()
	if opts != nil {
		r.opts = *opts
	}
	if err := checkRunner(task, &r.opts); err != nil {
		panic(err)
	}
	if r.opts.Name == "" {
		r.opts.Name = TaskDescription(task)
	} else {
		r.isNamed = true
	}
	r.wait.init(r)
	return r
}

// must panics for nil, with the name of the method.
func (r *TaskRunner) must(method string) {
	if r == nil {
		panic("scheduler: TaskRunner." + method + ": nil TaskRunner")
	}
}

var errZeroRunner = &OptionError{Option: "TaskRunner", Reason: "zero value; use NewTaskRunner"}

var errAbandonClock = &OptionError{Option: "RunnerOptions.Abandon", Reason: "needs the system's clock, but the run has another"}

// grace is how long the task may continue.
func (r *TaskRunner) grace() time.Duration {
	if r.opts.Grace == 0 {
		return r.lent
	}
	return max(r.opts.Grace, 0)
}

// Start runs the task's first step. timeout is its time limit from now. The end of
// ctx stops nothing: a loop that calls Step has to call Stop or Cancel then. Start
// returns the task's error if it fails in its first step, and, without any change,
// [ErrStarted] if the runner was started before and [ErrCancelled] if it was
// cancelled before.
func (r *TaskRunner) Start(ctx context.Context, timeout time.Duration) error {
	r.must("Start")
	r.RunPosted()
	r.enter("Start")
	defer r.leave()
	switch {
	case r.started:
		return &namedError{r.opts.Name, ErrStarted}
	case r.hasEnded():
		return &namedError{r.opts.Name, ErrCancelled}
	}
	if err := r.begin(ctx, timeout); err != nil {
		return err
	}
	_, err := r.step(ctx)
	r.runLastPosted()
	return err
}

// begin sets what counts from the start on.
func (r *TaskRunner) begin(ctx context.Context, timeout time.Duration) error {
	if err := checkContext(ctx); err != nil {
		return err
	}
	if r.task == nil {
		return errZeroRunner
	}
	clock, err := clockOf(ctx), checkClockOf(ctx)
	if r.opts.Clock != nil {
		clock, err = r.opts.Clock, checkClock("RunnerOptions.Clock", r.opts.Clock)
	}
	if err != nil {
		return err
	}
	if _, ok := clock.(*systemClock); !ok && r.opts.Abandon > 0 {
		return errAbandonClock
	}
	if r.opts.Watchdog.After > 0 {
		s := scopeOf(ctx)
		switch {
		case !isSystemClock(clock):
			return errWatchdogClock
		case s != nil && s.driver != nil:
			return errWatchdogInner
		}
		r.watch = newWatch(r.opts.Watchdog)
	}
	r.clock = clock
	r.started = true
	r.wakes = &r.pool.wakes
	if s := scopeOf(ctx); s != nil {
		if s.pool != nil {
			r.wakes = &s.pool.wakes
		}
		if outer, ok := s.driver.(*TaskRunner); ok { // another: r has made no scope yet
			r.outer.Store(outer)
			if r.posts.some.Load() { // posted just before
				outer.Post(r.RunPosted)
			}
		}
	}
	if r.wakes == &r.pool.wakes {
		r.pool.open(r)
	}
	o := &r.opts
	if n := notesAround(ctx); n.Attempt > 0 {
		before := n // apart, so that most runners allocate nothing here
		r.before = &before
	}
	r.scopes = o.Clock != nil || o.Grace != 0 || o.Abandon > 0 || o.EndCalls
	r.offerTimeout(r.opts.Timeout)
	r.offerTimeout(timeout)
	return nil
}

func (r *TaskRunner) offerTimeout(limit time.Duration) {
	if limit != 0 {
		r.deadline.limit(instant(r.now()), limit)
	}
}

// Step steps the task if it is due, and reports whether it has ended, with its error.
// A call that comes too early does nothing. A runner that has ended returns true and
// nil. Before Start the result is [ErrNotStarted].
//
// When the task's time has passed, a [*Timeout] is thrown into it. If it continues,
// it has its Grace; then it is closed, and Step returns the Timeout. Without a grace
// it is closed at once, and Step returns the error of Close: the Timeout is in Err,
// and in the result of Run.
func (r *TaskRunner) Step(ctx context.Context) (done bool, err error) {
	r.must("Step")
	r.RunPosted()
	r.enter("Step")
	defer r.leave()
	switch {
	case r.hasEnded():
		return true, nil
	case r.task == nil:
		return false, errZeroRunner
	case !r.started:
		return false, &namedError{r.opts.Name, ErrNotStarted}
	case ctx == nil:
		return false, checkContext(ctx)
	}
	done, err = r.step(ctx)
	r.runLastPosted()
	return done, err
}

// What a runner can be busy with.
const (
	idle int32 = iota
	stepping
	sleeping // in a pause of Run
)

// enter makes the runner busy, until leave.
func (r *TaskRunner) enter(method string) {
	if r.busy.CompareAndSwap(idle, stepping) {
		return
	}
	why := " called during a step"
	if r.busy.Load() == sleeping {
		why = " called while Run drives it"
	}
	panic("scheduler: TaskRunner." + method + " of " + r.opts.Name + why)
}

func (r *TaskRunner) leave() {
	if r.hasEnded() {
		r.pool.leave()
	}
	r.busy.Store(idle)
}

// step is one attempt to step. What comes first wins: an order to end, an error
// to throw, a deadline; only then it matters whether the task is parked.
func (r *TaskRunner) step(ctx context.Context) (bool, error) {
	if r.event.set.Load() {
		r.called.Swap(false)
		r.event.Reset() // before a look at what it stands for
	}
	r.deliver()
	ctx = r.scoped(ctx)
	if r.watch != nil {
		r.watch.begin()
		defer r.watch.end()
	}
	settled := false
	defer func() {
		if !settled { // a panic or Goexit goes up
			r.abort()
		}
	}()
	y, due, err := r.stepIfDue(ctx)
	settled = true
	switch {
	case !due:
		return false, nil
	case err == nil && y.code&yieldDone == 0:
		r.park(y)
		return false, nil
	}
	err = r.ending.finish(err)
	r.forget()
	return true, err
}

// stepIfDue runs the code of the task for which it is time, and reports whether it was.
func (r *TaskRunner) stepIfDue(ctx context.Context) (y Yield, due bool, err error) {
	if !r.ending.isInForce() {
		return r.stepEnding(ctx)
	}
	if r.ending.isUntold() {
		r.tell(ctx)
	}
	switch {
	case r.killed.Load():
		r.ending.kill(r.takeThrown())
		y, err = r.beginClose()
	case r.thrown.Load() != nil:
		y, err = r.throw(ctx, *r.thrown.Swap(nil))
	case r.deadline.isSet() && r.deadline.hasPassed(instant(r.now())):
		y, err = r.expire(ctx)
	case !r.due():
		return Yield{}, false, nil
	default:
		r.entered, r.inside = true, true
		y, err = stepTask(ctx, &r.task)
		r.inside = false
	}
	return y, true, err
}

// abort ends the runner because of a panic or a Goexit. If that did not come out
// of the task, the task is closed.
func (r *TaskRunner) abort() {
	task := r.task
	r.ending.end(ErrAborted)
	r.forget()
	r.posts.close() // and forget them
	if r.entered && !r.inside {
		_ = task.Close() // The panic is on its way up already.
	}
}

// forget lets go of the task, which has ended or is being closed.
func (r *TaskRunner) forget() {
	r.wait.end()
	r.task = nil
	r.ctx = scopeCache{}
	r.pool.close()
}

// Started reports whether the runner was started.
func (r *TaskRunner) Started() bool {
	r.must("Started")
	return r.started
}

// Done reports whether the runner has ended. Unlike context.Context.Done, it returns
// a bool.
func (r *TaskRunner) Done() bool {
	r.must("Done")
	return r.hasEnded()
}

func (r *TaskRunner) hasEnded() bool { return r.ending.isOver() }

// Err returns the runner's outcome: nil if its task has succeeded or not ended; the
// error that it failed with; a [*Timeout] even if the task has handled it;
// [ErrCancelled], joined with what ended it before and the error of Close, if it was
// cancelled.
func (r *TaskRunner) Err() error {
	r.must("Err")
	return r.ending.result()
}

// String returns the runner's name.
func (r *TaskRunner) String() string {
	r.must("String")
	return r.opts.Name
}

func (r *TaskRunner) now() time.Time {
	if r.clock == nil { // before Start
		if r.clock = r.opts.Clock; r.clock == nil {
			return time.Now() //workflowcheck:ignore (see newSystemClock)
		}
	}
	return r.clock.Now()
}
