package scheduler

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

const (
	// NoLimit is a duration that never passes: a limit or a grace without end.
	NoLimit time.Duration = math.MaxInt64

	// NoGrace says that there is no grace, where leaving the option out would
	// mean that it is inherited.
	NoGrace time.Duration = math.MinInt64
)

// RunnerOptions are the options of a [TaskRunner]. A zero field is off.
type RunnerOptions struct {
	// Name is the runner's name in errors and logs. The default is the
	// [TaskDescription] of its task. A [*Timeout] inside a node has the node's key
	// instead if the task is only known by the name of a function or of a combinator,
	// such as Retry.
	Name string

	// Timeout is the time limit of the task from its start. If Start is given another
	// one, the earlier counts. A negative limit has passed at once.
	Timeout time.Duration

	// Wait is the longest pause between rounds in Run, and in RunWith and
	// RunToCompletion if their own is 0.
	Wait time.Duration

	// Grace is how long the task may continue after Stop, after the end of Run's
	// context, and after a timeout that it has handled. Without it the task is closed
	// at once. Groups inside inherit it, unless they have a grace of their own; they
	// inherit [NoGrace] as well.
	Grace time.Duration

	// EndCalls ends the contexts of calls inside ([Blocking] and its kin) with the
	// notice of a stop, and not only when the grace has passed: for calls that look
	// at nothing but their context. The grace is then how long they are waited for.
	EndCalls bool

	// Abandon is how long a call inside that has to end may continue before it is
	// left behind. It counts from the notice, or, without one, from when the call is
	// closed. A call with a grace is not left behind within it, unless EndCalls has
	// ended its context. The call then fails with an [*AbandonedError], and the
	// claims of its node are released; its goroutine is the only thing that a run can
	// leave behind. 0 means never. With another clock than the system's, the start
	// fails with an [*OptionError].
	Abandon time.Duration

	// Watchdog reports steps that do not return. It is off by default, needs the
	// system's clock, and is for the outermost runner: otherwise the start fails
	// with an [*OptionError].
	Watchdog Watchdog

	// Progress is called by Run, RunWith, RunToCompletion and AsTask before each of
	// their steps except the first. Its error is thrown into the task instead of the
	// step.
	Progress func(ctx context.Context) error

	// Wake is called, from any goroutine, when the runner may have become due earlier
	// than Due last said, or has something for RunPosted. It must not block or call
	// the runner, but make the loop that drives the runner look again.
	Wake func()

	// Clock is the time of the runner and of everything inside. By default it is
	// inherited; the outermost runner has the system's monotonic clock.
	Clock Clock
}

// TaskRunner drives one task: it starts it, steps it when it is due, and ends
// it when its time has passed or it is cancelled.
//
//	           Start            Step                      Cancel
//	new        first step       ErrNotStarted             ended, ErrCancelled from Start
//	started    ErrStarted       a step if it is due       closed, ended
//	ended      ErrStarted (*)   true, nothing happens     nothing happens
//
//	(*) ErrCancelled if it was cancelled before it was started
//
// A TaskRunner is for one goroutine at a time, the one that drives it. Methods
// that run the task's code panic if they overlap: a Step inside a step of the
// same runner, a Step from two goroutines at once, or a Cancel while Run on
// another goroutine drives it. Interrupt, Kill and
// Post may be called from any goroutine.
//
// A step never waits for a task to end. A task that takes time to end, because
// it has a call that has not returned, is asked to end and then closing: the
// runner becomes due when the task can be closed without waiting. Only Cancel, the
// Close of a task, and a panic on its way up wait.
//
// If the task panics, or calls runtime.Goexit, that goes up from Start or Step,
// and the runner has ended with [ErrAborted].
type TaskRunner struct {
	opts RunnerOptions
	lent time.Duration // the grace that what is around it has, if it has that too; not inherited
	task Task          // nil once it has ended
	busy atomic.Int32  // a busyness

	started  bool // Start was called
	entered  bool // the task had its first step
	inside   bool // code of the task is running
	done     bool
	isKilled bool // Kill was seen before the task had ended
	isNamed  bool // by its options
	scopes   bool // it has something to say to what is inside, apart from limits
	phase    endPhase

	y        Yield
	rounds   uint64 // steps to be let pass before y is due by rounds
	deadline deadline
	closeBy  int64      // the end of the grace of Stop or CancelAfter, kept beside an earlier timeout
	cause    error      // of Stop
	notice   *StopError // of Stop, if it gave a grace
	untold   bool       // the task has not got the notice yet
	cutWith  error      // what it fails with if the task is closed after CancelAfter; nil: ErrCancelled
	throwing error      // what it is throwing into the task, or closes it for
	failed   error      // with what the runner fails once the task is closed, beside the error of Close
	err      error      // what Err returns; before the end the Timeout that the task swallowed

	clock timeSource
	ctx   scopeCache
	pool  pool   // in use if this is the outermost
	watch *watch // nil: there is no Watchdog

	waiter waiter // for the event that the task waits for
	woken  uint32 // last turn of waiter whose event was set
	wakes  *wakes // of the run; nil before the start
	before *Notes // of the node around it when it was started, with an attempt; or nil
	thrown atomic.Pointer[error]
	killed atomic.Bool
	kick   Event                 // set when the runner becomes due from outside
	called atomic.Bool           // by a method of the runner, and not by an event
	loop   atomic.Pointer[alarm] // of the Run that drives it
	posts  posts
	outer  atomic.Pointer[TaskRunner] // the outermost, if this one is inside it
}

// NewTaskRunner returns a runner for task. nil options are the defaults. Nothing runs
// before Start. It panics with an [*OptionError] if task is nil or an option is
// invalid.
func NewTaskRunner(task Task, opts *RunnerOptions) *TaskRunner {
	r := &TaskRunner{task: task, closeBy: never}
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
	r.waiter.owner = r
	return r
}

// must panics for nil, with the name of the method.
func (r *TaskRunner) must(method string) {
	if r == nil {
		panic("scheduler: TaskRunner." + method + ": nil TaskRunner")
	}
}

func checkRunner(task Task, opts *RunnerOptions) error {
	if task == nil {
		return &OptionError{Option: "task", Reason: "nil Task"}
	}
	if isNilPointer(task) {
		return &OptionError{Option: "task", Reason: TaskDescription(task) + " as Task"}
	}
	if err := checkDuration("RunnerOptions.Wait", opts.Wait); err != nil {
		return err
	}
	if err := checkDuration("RunnerOptions.Abandon", opts.Abandon); err != nil {
		return err
	}
	if opts.Abandon > 0 && opts.Clock != nil {
		return errAbandonClock
	}
	if err := opts.Watchdog.check(); err != nil {
		return err
	}
	if opts.Watchdog.After > 0 && opts.Clock != nil {
		return errWatchdogClock
	}
	if opts.Grace == NoGrace {
		return nil
	}
	return checkDuration("RunnerOptions.Grace", opts.Grace)
}

var errZeroRunner = &OptionError{Option: "TaskRunner", Reason: "zero value; use NewTaskRunner"}

var errAbandonClock = &OptionError{Option: "RunnerOptions.Abandon", Reason: "needs the system's clock, and the run has another"}

// grace is how long the task may continue.
func (r *TaskRunner) grace() time.Duration {
	if r.opts.Grace == 0 {
		return r.lent
	}
	return max(r.opts.Grace, 0)
}

// Start runs the task's first step. timeout is its time limit from now: 0 means none,
// and a negative limit has passed at once, so that the task fails without running.
// Start returns the task's error if it fails in its first step, [ErrStarted] if the
// runner was started before, and [ErrCancelled] if it was cancelled before; nothing
// has changed then.
func (r *TaskRunner) Start(ctx context.Context, timeout time.Duration) error {
	r.must("Start")
	r.RunPosted()
	r.enter("Start")
	defer r.leave()
	switch {
	case r.started:
		return &namedError{r.opts.Name, ErrStarted}
	case r.done:
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
	clock := clockOf(ctx)
	if r.opts.Clock != nil {
		clock = r.opts.Clock
		if t := clock.Now(); !isSeen(t) {
			return &OptionError{Option: "RunnerOptions.Clock", Reason: "shows " + t.UTC().Format(time.DateOnly) + ", which is not from 1678 to 2262"}
		}
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
	r.wakes.owner = r
	if s := scopeOf(ctx); s != nil {
		if s.pool != nil {
			r.wakes = &s.pool.wakes
		}
		if outer, ok := s.driver.(*TaskRunner); ok && outer != r {
			r.outer.Store(outer)
			if r.posts.some.Load() { // posted just before
				outer.Post(r.RunPosted)
			}
		}
	}
	o := &r.opts
	if n := notesAround(ctx); n.Attempt > 0 {
		r.before = &n
	}
	r.scopes = o.Clock != nil || o.Grace != 0 || o.Abandon > 0 || o.EndCalls
	r.offerTimeout(r.opts.Timeout)
	r.offerTimeout(timeout)
	return nil
}

func (r *TaskRunner) offerTimeout(limit time.Duration) {
	if limit != 0 {
		r.deadline.offer(later(instant(r.now()), limit), limit, throwTimeout)
	}
}

// Step steps the task if it is due, and reports whether it has ended, with its error.
// A call that comes too early does nothing. A runner that has ended returns true and
// nil. Before Start the result is [ErrNotStarted]. Step does not block.
//
// When the task's time has passed, a [*Timeout] is thrown into it. The task may end
// or fail. If it continues, it has its Grace; then it is closed, and Step returns the
// *Timeout. Without a grace it is closed at once, and Step returns true and the error
// of Close: it does not report a timeout that the task has handled. Err does, and so
// does [TaskRunner.Run].
func (r *TaskRunner) Step(ctx context.Context) (done bool, err error) {
	r.must("Step")
	r.RunPosted()
	r.enter("Step")
	defer r.leave()
	switch {
	case r.done:
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

func (r *TaskRunner) leave() { r.busy.Store(idle) }

// step is one attempt to step. What comes first wins: an order to end, an error
// to throw, a deadline; only then it matters whether the task is parked.
func (r *TaskRunner) step(ctx context.Context) (bool, error) {
	if r.kick.set.Load() {
		r.called.Swap(false)
		r.kick.Reset() // before a look at what it stands for
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
	y, due, err := r.turn(ctx)
	settled = true
	switch {
	case !due:
		return false, nil
	case err == nil && y.code&yieldDone == 0:
		r.park(y)
		return false, nil
	}
	return true, r.finish(err)
}

// turn runs the code of the task for which it is time, and reports whether it was.
func (r *TaskRunner) turn(ctx context.Context) (y Yield, due bool, err error) {
	if r.phase != inForce {
		return r.endingTurn(ctx)
	}
	if r.untold {
		r.tell(ctx)
	}
	switch {
	case r.killed.Load():
		r.isKilled = true
		y, err = r.beginClose(r.err)
	case r.thrown.Load() != nil:
		y, err = r.throw(ctx, *r.thrown.Swap(nil))
	case r.deadline.kind != noDeadline && instant(r.now()) > r.deadline.at:
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
	r.end(ErrAborted)
	r.posts.close() // and forget them
	if task != nil && r.entered && !r.inside {
		_ = task.Close() // The panic is on its way up already.
	}
}

// scoped returns the context for the task's steps. A runner inside another that
// has nothing to add needs none of its own.
func (r *TaskRunner) scoped(ctx context.Context) context.Context {
	if r.ctx.inner != nil && same(ctx, r.ctx.outer) {
		return r.ctx.inner
	}
	s := scopeOf(ctx)
	if s != nil && s.driver != nil && !r.scopes && r.deadline.kind == noDeadline && r.notice == nil {
		return ctx
	}
	return r.ctx.derive(ctx, func() scope {
		inner := within(s)
		inner.maker, inner.clock, inner.ownClock = r, r.clock, r.opts.Clock != nil
		if inner.driver == nil {
			inner.driver, inner.pool = r, &r.pool
		}
		if r.opts.Grace != 0 {
			inner.grace = r.grace()
		}
		if r.opts.Abandon > 0 {
			inner.abandon = r.opts.Abandon
		}
		inner.endCalls = inner.endCalls || r.opts.EndCalls
		return inner
	})
}

// noticeHere makes the runner a maker of scopes.
func (r *TaskRunner) noticeHere() *StopError { return r.notice }

func (r *TaskRunner) limitHere() int64 {
	if r.deadline.kind == noDeadline {
		return never
	}
	return r.deadline.at
}

func (r *TaskRunner) thrownHere() error { return r.throwing }

// due reports whether the task is to be stepped, and counts the round.
func (r *TaskRunner) due() bool {
	y := &r.y
	if y.code&yieldNext != 0 || !r.entered {
		return true
	}
	if r.rounds > 0 {
		if r.rounds--; r.rounds == 0 {
			return true
		}
	}
	return r.isWoken() || y.code&yieldAt != 0 && (y.at == past || instant(r.now()) >= y.at)
}

// isWoken reports whether the event that the task waits for was set.
func (r *TaskRunner) isWoken() bool { return r.y.event != nil && r.woken == r.waiter.turn }

// isCalled reports whether something from outside makes the task due.
func (r *TaskRunner) isCalled() bool {
	if r.phase == inForce && (r.untold || r.killed.Load() || r.thrown.Load() != nil) {
		return true
	}
	return r.isWoken()
}

// park notes when the task wants its next step.
func (r *TaskRunner) park(y Yield) {
	r.y = y.absolute(r.clock)
	r.rounds = y.rounds()
	switch {
	case y.event != nil:
		r.waiter.wait(y.event)
	case r.waiter.event != nil:
		r.waiter.leave()
	}
	r.deliver()
	if r.kick.set.Load() {
		// Perhaps by an event that the task waited for before this step: set
		// meanwhile, it would cut the pause before the next one short.
		r.kick.Reset()
		if r.isCalled() {
			r.kick.Set()
		}
	}
}

// run makes the runner a waker.
func (r *TaskRunner) run() *wakes { return r.wakes }

// wake keeps that the event of the task was set, unless it waits for something else
// by now.
func (r *TaskRunner) wake(_ int32, turn uint32) *Event {
	if turn != r.waiter.turn {
		return nil
	}
	r.woken = turn
	if r.opts.Wake != nil && r.wakes != &r.pool.wakes { // the outermost has called it
		r.opts.Wake()
	}
	return &r.kick
}

// deliver takes in the wakes of the run, between two steps of the outermost runner.
func (r *TaskRunner) deliver() {
	if w := &r.pool.wakes; r.wakes == w && w.some.Load() {
		w.deliver()
	}
}

// dropWakes takes the kick back if it was only for wakes that make nothing due which
// is waited for: those of a member whose turn comes in the next round anyway.
func (r *TaskRunner) dropWakes() {
	if !r.kick.set.Load() || r.called.Load() {
		return
	}
	r.kick.Reset()
	if r.isCalled() || r.called.Load() || r.wakes == &r.pool.wakes && r.pool.wakes.some.Load() {
		r.kick.Set()
	}
}

// call makes the runner due from outside. It may be called from any goroutine, once
// what it is for can be seen.
func (r *TaskRunner) call() {
	r.called.Store(true)
	r.signal()
}

// signal tells the loop that drives the runner that it has become due.
func (r *TaskRunner) signal() {
	r.kick.Set()
	w := r.pool.workers.walker
	if loop := r.loop.Load(); loop != nil && (w == nil || w.ending.Load() == 0) {
		loop.signal()
	}
	if r.opts.Wake != nil {
		r.opts.Wake()
	}
}

// finish ends the runner with the error that came out of its task, and returns
// what the step returns. A runner that was stopped fails with the cause, and not
// with the notice that it made of it.
func (r *TaskRunner) finish(err error) error {
	if r.notice != nil {
		err = drop(err, r.notice)
	}
	switch {
	case r.isKilled:
		err = join(join(ErrCancelled, r.cause), err)
	case r.cause != nil:
		err = join(r.cause, err)
	}
	r.end(join(r.err, err)) // Err remembers also what is not reported
	return err
}

// end forgets the task.
func (r *TaskRunner) end(err error) {
	r.done, r.err = true, err
	r.waiter.leave()
	r.task = nil
	r.y = Done
	r.ctx = scopeCache{}
	r.pool.close()
}

// Due returns when to call Step next: in the next round, at a time, or when an event
// is set. The event is also set when something from outside makes the runner due.
// Times are absolute, and include the runner's time limit and grace. Due is Done once
// the task has ended.
func (r *TaskRunner) Due() Yield {
	r.must("Due")
	switch {
	case r.done:
		return Done
	case !r.started:
		return now
	}
	r.deliver()
	r.dropWakes()
	due := Yield{event: &r.kick, at: r.y.at, code: r.y.code&(yieldNext|yieldAt|yieldClaims|yieldEnding|yieldFailed) | yieldEvent}
	if r.rounds > 0 {
		due.code |= yieldNext // rounds are counted by steps
	}
	if r.phase == inForce && r.deadline.kind != noDeadline {
		due.at = earlierOf(due.at, due.code&yieldAt, r.deadline.timer(), yieldAt)
		due.code |= yieldAt
	}
	if r.isCalled() {
		due.at = past
		due.code |= yieldAt
	}
	return due
}

// Started reports whether the runner was started.
func (r *TaskRunner) Started() bool {
	r.must("Started")
	return r.started
}

// Done reports whether the runner has ended: its task has succeeded, failed, timed
// out or been cancelled, or the runner was cancelled before its start. Unlike
// [context.Context.Done], it returns a bool.
func (r *TaskRunner) Done() bool {
	r.must("Done")
	return r.done
}

// Err returns the runner's outcome: nil if its task has succeeded or not ended; the
// error that it failed with; a [*Timeout] even if the task has handled it;
// [ErrCancelled], joined with the error of Close, if it was cancelled.
func (r *TaskRunner) Err() error {
	r.must("Err")
	if !r.done {
		return nil
	}
	return r.err
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
