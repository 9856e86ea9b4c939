package scheduler

import (
	"context"
	"sync/atomic"
	"time"
)

// RunnerOptions are the options of a [TaskRunner]. The zero value of each field
// means that it is off.
type RunnerOptions struct {
	// Name is what errors and logs call the runner; by default what
	// [TaskDescription] calls its task.
	Name string

	// Timeout is a time limit for the task, counted from its start. Start
	// takes another: the earlier one counts. A negative limit is over at once.
	Timeout time.Duration

	// Wait is the longest pause between rounds for the function [Run].
	Wait time.Duration

	// Grace is how long the task may go on after Stop, after the end of Run's
	// context, and after a timeout that it answered by going on. Without it
	// the task is closed at once.
	Grace time.Duration

	// Progress is called by Run, RunToCompletion and AsTask before each step
	// but the first that they make. Its error is thrown into the task in
	// place of the step.
	Progress func(ctx context.Context) error

	// Wake is called, from any goroutine, when the runner may have become due
	// earlier than Due last said. It must not block or call the runner: it
	// tells the loop that drives the runner to look again.
	Wake func()

	// Clock is where the runner and everything stepped below take their time
	// from. By default it is inherited, for the outermost runner the system's
	// monotonic clock.
	Clock Clock
}

// TaskRunner drives one task: it starts it, steps it when it is due, and ends
// it when its time is over or it is cancelled.
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
// same runner, or from two goroutines at once. Interrupt may be called from any
// goroutine.
//
// If the task panics, or calls runtime.Goexit, that goes up from Start or Step,
// and the runner has ended with [ErrAborted].
type TaskRunner struct {
	opts RunnerOptions
	task Task // nil once it has ended
	busy atomic.Bool

	started  bool // Start was called
	entered  bool // the task had its first step
	done     bool
	notice   bool // the task is to be told that it is stopped
	y        Yield
	rounds   uint64 // steps to be let pass before y is due by rounds
	deadline deadline
	closeBy  int64 // the end of the grace of Stop or CancelAfter, kept beside an earlier timeout
	cause    error // of Stop
	err      error

	clock timeSource
	ctx   scopeCache
	pool  pool // in use if this is the outermost

	waiter waiter        // for the event that the task waits for
	woken  atomic.Uint32 // last turn of waiter whose event was set
	thrown atomic.Pointer[error]
	kick   Event                 // set when the runner becomes due from outside
	loop   atomic.Pointer[alarm] // of the Run that drives it
}

// NewTaskRunner returns a runner for the task; nil options are the defaults.
// Nothing runs before Start. It panics with an [*OptionError] if task is nil or
// Wait or Grace is negative.
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
	}
	r.waiter.owner = r
	return r
}

func checkRunner(task Task, opts *RunnerOptions) error {
	if task == nil {
		return &OptionError{Option: "task", Reason: "nil Task"}
	}
	if err := checkDuration("RunnerOptions.Wait", opts.Wait); err != nil {
		return err
	}
	return checkDuration("RunnerOptions.Grace", opts.Grace)
}

// Run starts task and runs it to its end: the one call most programs need. It
// blocks until the task has ended and returns its error. While the task is
// parked it sleeps; between rounds it pauses for opts.Wait.
//
// When ctx ends the task is stopped: it gets notice if it is a [Stopper], and
// opts.Grace, and then is closed; the result is the cause, joined with what
// failed meanwhile. Called inside a step of another run it returns a
// [*NestedRunError] and the task is not started. Bad options are an
// [*OptionError].
func Run(ctx context.Context, task Task, opts *RunnerOptions) error {
	if opts == nil {
		opts = &RunnerOptions{}
	}
	if err := checkRunner(task, opts); err != nil {
		return err
	}
	return NewTaskRunner(task, opts).Run(ctx, 0, opts.Wait)
}

// Start runs the task's first step. timeout is its time limit from now on: 0
// is none, and a negative one is already over, so that the task fails before
// its first line. The result is the task's error if it fails at once,
// [ErrStarted] if the runner was started before, and [ErrCancelled] if it was
// cancelled before; then nothing has changed.
func (r *TaskRunner) Start(ctx context.Context, timeout time.Duration) error {
	r.enter("Start")
	defer r.leave()
	switch {
	case r.started:
		return ErrStarted
	case r.done:
		return ErrCancelled
	}
	r.begin(ctx, timeout)
	_, err := r.step(ctx)
	return err
}

// begin sets what counts from the start on.
func (r *TaskRunner) begin(ctx context.Context, timeout time.Duration) {
	if r.opts.Clock != nil {
		r.clock = r.opts.Clock
	} else {
		r.clock = clockOf(ctx)
	}
	r.started = true
	r.offerTimeout(r.opts.Timeout)
	r.offerTimeout(timeout)
}

func (r *TaskRunner) offerTimeout(limit time.Duration) {
	if limit != 0 {
		r.deadline.offer(later(instant(r.now()), limit), limit, throwTimeout)
	}
}

// Step gives the task a step if it is due, and reports whether it has ended;
// with an error if it ended with one. A call that comes too early does nothing.
// A runner that has ended answers true and nil. Before Start the result is
// [ErrNotStarted].
//
// When the task's time is over a [*Timeout] is thrown into it. It may end or
// fail in answer. If it goes on, it has its Grace, after which it is closed and
// Step returns the *Timeout. With no grace it is closed at once and Step returns
// true and the error of Close, if any: what a task swallows is not reported
// (recorded behaviour); Err has the *Timeout.
func (r *TaskRunner) Step(ctx context.Context) (done bool, err error) {
	r.enter("Step")
	defer r.leave()
	switch {
	case r.done:
		return true, nil
	case !r.started:
		return false, ErrNotStarted
	}
	return r.step(ctx)
}

// enter makes the runner busy, until leave.
func (r *TaskRunner) enter(method string) {
	if !r.busy.CompareAndSwap(false, true) {
		panic("scheduler: TaskRunner." + method + " of " + r.opts.Name + " called during a step")
	}
}

func (r *TaskRunner) leave() { r.busy.Store(false) }

// step is one attempt to step. What comes first wins: an error to throw, a
// deadline; only then it matters whether the task is parked.
func (r *TaskRunner) step(ctx context.Context) (bool, error) {
	if r.kick.set.Load() {
		r.kick.Reset() // before a look at what it stands for
	}
	ctx = r.scoped(ctx)
	settled := false
	defer func() {
		if !settled { // a panic or Goexit of the task goes up
			r.end(ErrAborted)
		}
	}()
	r.notify(ctx)
	var y Yield
	var err error
	switch {
	case r.thrown.Load() != nil:
		y, err = r.throw(ctx, *r.thrown.Swap(nil))
	case r.deadline.kind != noDeadline && instant(r.now()) > r.deadline.at:
		y, err = r.expire(ctx)
	case !r.due():
		settled = true
		return false, nil
	default:
		r.entered = true
		y, err = stepTask(ctx, r.task)
	}
	settled = true
	if err == nil && y.code&yieldDone == 0 {
		r.park(y)
		return false, nil
	}
	return true, r.finish(err)
}

// scoped returns the context for the task's steps. Only the outermost runner,
// and one with a clock of its own, has something to add.
func (r *TaskRunner) scoped(ctx context.Context) context.Context {
	if r.ctx.inner != nil && same(ctx, r.ctx.outer) {
		return r.ctx.inner
	}
	s := scopeOf(ctx)
	if s != nil && s.driver != nil && r.opts.Clock == nil {
		return ctx
	}
	return r.ctx.derive(ctx, func() scope {
		inner := scope{}
		if s != nil {
			inner = *s
		}
		if inner.driver == nil {
			inner.driver, inner.pool = r, &r.pool
		}
		inner.clock = r.clock
		return inner
	})
}

// notify tells the task, once, that it was stopped.
func (r *TaskRunner) notify(ctx context.Context) {
	if !r.notice {
		return
	}
	r.notice = false
	if s, ok := lookFor[Stopper](r.task); ok && r.entered {
		s.Stop(ending(ctx), r.cause)
	}
}

// throw throws err into the task, whether it is parked or not. A task that was
// never entered cannot handle it: no code of it runs.
func (r *TaskRunner) throw(ctx context.Context, err error) (Yield, error) {
	switch {
	case err == ErrClosed: //nolint:errorlint // That very one is the order to close.
		if !r.entered {
			return Yield{}, ErrCancelled
		}
		r.err = ErrCancelled
		return Done, r.task.Close()
	case !r.entered:
		return Yield{}, err
	}
	return throwInto(ctx, r.task, err)
}

// expire is the step of a task whose deadline has passed.
func (r *TaskRunner) expire(ctx context.Context) (Yield, error) {
	switch r.deadline.kind {
	case closeTimedOut:
		return Yield{}, join(r.err, r.task.Close())
	case closeCancel:
		if r.err != nil { // its Timeout, after which it had a grace
			return Yield{}, join(r.err, r.task.Close())
		}
		if r.cause == nil {
			r.err = ErrCancelled
		}
		return Done, r.task.Close()
	default:
		return r.timeOut(ctx)
	}
}

// timeOut throws a Timeout into the task, and gives it its grace.
func (r *TaskRunner) timeOut(ctx context.Context) (Yield, error) {
	t := &Timeout{
		Task: r.opts.Name, Limit: r.deadline.span,
		runner: r, at: r.deadline.at, grace: r.opts.Grace,
	}
	y, err := r.throw(ctx, t)
	if err != nil {
		return y, err
	}
	r.err = t // the task has swallowed it
	if y.code&yieldDone != 0 {
		return y, nil
	}
	if r.opts.Grace == 0 {
		return Done, r.task.Close()
	}
	at := min(later(instant(r.now()), r.opts.Grace), r.closeBy)
	r.deadline = deadline{at: at, span: r.opts.Grace, kind: closeTimedOut}
	return y, nil
}

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

// isWoken reports whether the event that the task waits for is set, or was.
func (r *TaskRunner) isWoken() bool {
	return r.y.event != nil && (r.y.event.IsSet() || r.woken.Load() == r.waiter.turn)
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
	if r.kick.set.Load() {
		// Perhaps by an event that the task waited for before this step: set
		// meanwhile, it would cut the pause before the next one short.
		r.kick.Reset()
		if r.notice || r.thrown.Load() != nil || r.isWoken() {
			r.kick.Set()
		}
	}
}

// wake makes the runner a waker: the event that its task waits for was set.
func (r *TaskRunner) wake(_ int32, turn uint32) {
	// Wakes may overtake one another: the latest turn counts.
	for {
		old := r.woken.Load()
		if int32(turn-old) <= 0 || r.woken.CompareAndSwap(old, turn) {
			break
		}
	}
	r.signal()
}

// signal tells whoever drives the runner that it has become due.
func (r *TaskRunner) signal() {
	r.kick.Set()
	if loop := r.loop.Load(); loop != nil {
		loop.signal()
	}
	if r.opts.Wake != nil {
		r.opts.Wake()
	}
}

// finish ends the runner with the error that came out of its task, and returns
// what the step returns. A runner that was stopped fails with the cause.
func (r *TaskRunner) finish(err error) error {
	if r.cause != nil {
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

// Due returns when the next Step is worth calling: [Next] for the next round,
// a time, or both; and an event that is set when the runner becomes due from
// outside. Ready tells whether it is due already. Times are absolute; deadlines
// of the runner and of its grace count. It is Done once the task has ended.
func (r *TaskRunner) Due() Yield {
	switch {
	case r.done:
		return Done
	case !r.started:
		return now
	}
	due := Yield{event: &r.kick, at: r.y.at, code: r.y.code&(yieldNext|yieldAt|yieldClaims) | yieldEvent}
	if r.rounds > 0 {
		due.code |= yieldNext // rounds are counted by steps
	}
	if r.deadline.kind != noDeadline {
		due.at = earlierOf(due.at, due.code&yieldAt, r.deadline.timer(), yieldAt)
		due.code |= yieldAt
	}
	if r.notice || r.thrown.Load() != nil || r.isWoken() {
		due.at = past
		due.code |= yieldAt
	}
	return due
}

// Run starts the task and runs it to its end, as RunToCompletion does but that
// the pause after the first step is zero (recorded behaviour). timeout is that
// of Start, and so are the errors of a runner that cannot be started. If ctx
// has ended already the result is its cause, and the task is not started.
func (r *TaskRunner) Run(ctx context.Context, timeout, wait time.Duration) error {
	if err := r.checkRun(ctx, wait); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return r.drive(ctx, 0, wait, func() (bool, error) {
		err := r.Start(ctx, timeout)
		return r.done, err
	})
}

// RunToCompletion runs a started task to its end and returns its error. It
// blocks, sleeping while the task is parked. Its first step comes at once; wait
// is the longest pause between rounds, cut short by a time or an event that the
// task waits for; 0 is no pause.
//
// When ctx ends the runner is stopped as by Stop with the cause of ctx; later
// steps get a context that has not ended. The errors of a call that runs
// nothing are [ErrNotStarted], [*OptionError] for a negative wait, and
// [*NestedRunError] inside a step of another run.
func (r *TaskRunner) RunToCompletion(ctx context.Context, wait time.Duration) error {
	if !r.started {
		return ErrNotStarted
	}
	if err := r.checkRun(ctx, wait); err != nil {
		return err
	}
	if ctx.Err() != nil {
		r.Stop(context.Cause(ctx))
		ctx = context.WithoutCancel(ctx)
	}
	return r.drive(ctx, wait, wait, func() (bool, error) { return r.Step(ctx) })
}

func (r *TaskRunner) checkRun(ctx context.Context, wait time.Duration) error {
	if s := scopeOf(ctx); s != nil && s.driver != nil {
		return &NestedRunError{Outer: s.driver.String(), Inner: r.opts.Name}
	}
	return checkDuration("wait", wait)
}

// drive is the loop of Run and RunToCompletion. It needs Step, Due, Stop,
// Interrupt, Wake and a Clock, so anyone can write another.
func (r *TaskRunner) drive(ctx context.Context, pause, wait time.Duration, first func() (bool, error)) error {
	loop := &alarm{wake: make(chan struct{}, 1)}
	defer loop.stop()
	r.loop.Store(loop)
	defer r.loop.Store(nil)
	defer signalAtEnd(ctx, loop.signal)()

	done, err := first()
	for ; !done && err == nil; pause = wait {
		until := r.until(ctx, pause)
		for over := false; !over; over = r.isOver(ctx, until) {
			if loop.set(r.clock, until) {
				<-loop.wake // here, since a switch makes each return after it slow
			}
		}
		if ctx.Err() != nil {
			r.Stop(context.Cause(ctx))
			ctx = context.WithoutCancel(ctx)
		}
		if r.opts.Progress != nil {
			if e := r.opts.Progress(r.scoped(ctx)); e != nil {
				r.Interrupt(e)
			}
		}
		done, err = r.Step(ctx)
	}
	return err
}

// signalAtEnd calls signal when ctx ends. What it returns ends that, and leaves
// no goroutine.
func signalAtEnd(ctx context.Context, signal func()) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	signalled := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		signal()
		close(signalled)
	})
	return func() {
		if !cancel() {
			<-signalled
		}
	}
}

// until returns when the pause ends unless something happens; past is for none.
func (r *TaskRunner) until(ctx context.Context, wait time.Duration) int64 {
	due := r.Due()
	if ctx.Err() != nil || due.Ready() { // the wake for it may still be on its way
		return past
	}
	at := never
	if due.code&yieldAt != 0 {
		at = due.at
	}
	if due.code&yieldNext != 0 {
		at = min(at, later(instantOf(r.clock), wait))
	}
	return at
}

// isOver reports whether a pause is: the wait may have been cut short by what
// the last step has seen to, or for no reason.
func (r *TaskRunner) isOver(ctx context.Context, until int64) bool {
	return until == past || ctx.Err() != nil || r.Due().Ready() ||
		until != never && instantOf(r.clock) >= until
}

// AsTask returns a task that drives the runner: it starts it, if nobody has,
// and steps it to its end, so that a task within a task has a deadline of its
// own. timeout is one more time limit, from the first step on; 0 is none. A
// runner that is started already is stepped at once (recorded behaviour).
//
// Closing the task cancels the runner; what is thrown into it is thrown into
// the runner's task, parked or not.
func (r *TaskRunner) AsTask(timeout time.Duration) Task {
	return &runnerTask{r: r, timeout: timeout}
}

type runnerTask struct {
	r       *TaskRunner
	timeout time.Duration
	begun   bool
}

func (t *runnerTask) Step(ctx context.Context) (Yield, error) {
	r := t.r
	if !t.begun {
		t.begun = true
		if !r.started {
			return t.answer(r.Start(ctx, t.timeout))
		}
		if !r.done {
			r.offerTimeout(t.timeout)
		}
	} else if r.opts.Progress != nil {
		if err := r.opts.Progress(ctx); err != nil {
			return t.Throw(ctx, err)
		}
	}
	_, err := r.Step(ctx)
	return t.answer(err)
}

// answer turns the outcome of a step of the runner into one of the task.
func (t *runnerTask) answer(err error) (Yield, error) {
	if err != nil {
		return Yield{}, err
	}
	return t.r.Due(), nil
}

func (t *runnerTask) Throw(ctx context.Context, err error) (Yield, error) {
	if t.r.done || !t.r.started {
		return Yield{}, err
	}
	t.r.thrown.Store(&err)
	_, err = t.r.Step(ctx)
	return t.answer(err)
}

func (t *runnerTask) Close() error {
	t.r.enter("Cancel")
	defer t.r.leave()
	if t.r.done {
		return nil
	}
	return t.r.cancel()
}

// BeginClose asks the runner's task to end.
func (t *runnerTask) BeginClose() *Event {
	if t.r.done || !t.r.entered {
		return nil
	}
	return beginClose(t.r.task)
}

// Stop hands the notice on. How long the task then has is up to the outer
// runner, who gave it.
func (t *runnerTask) Stop(ctx context.Context, cause error) {
	if s, ok := lookFor[Stopper](t.r.task); ok && t.r.entered {
		s.Stop(t.r.scoped(ctx), cause)
	}
}

func (t *runnerTask) String() string { return t.r.String() }

// Stop asks the task to end: with the next step it gets notice, if it is a
// [Stopper], nothing new starts at any depth, and when Grace is over it is
// closed. The runner then fails with cause, joined with what the task failed
// with meanwhile; nil stands for [ErrCancelled]. Of several causes the first
// counts. A runner that was not started is cancelled.
//
// Stop returns at once and runs no task's code. It is for the driving
// goroutine; from another one, end Run's context or use Interrupt.
func (r *TaskRunner) Stop(cause error) {
	switch {
	case r.done:
		return
	case !r.started:
		r.end(ErrCancelled)
		return
	}
	if r.cause == nil {
		if cause == nil {
			cause = ErrCancelled
		}
		r.cause, r.notice = cause, r.opts.Grace > 0
	}
	at := past // without grace, whatever the clock says
	if r.opts.Grace > 0 {
		at = later(instant(r.now()), r.opts.Grace)
	}
	r.offerCancel(at, r.opts.Grace)
}

// Cancel ends the runner now. A task that has started is closed; the result is
// the error of that, and the runner has ended all the same. A runner that was
// not started never can be. Cancel of an ended runner does nothing. It must not
// be called inside the task's own step: that panics.
func (r *TaskRunner) Cancel() error {
	r.enter("Cancel")
	defer r.leave()
	if r.done {
		return nil
	}
	defer r.kick.Set() // who drives it by AsTask may wait for that alone
	return r.cancel()
}

func (r *TaskRunner) cancel() error {
	task, entered := r.task, r.entered
	r.end(ErrCancelled) // whatever Close does (recorded behaviour)
	if !entered {
		return nil
	}
	err := task.Close()
	r.err = join(r.err, err)
	return err
}

// CancelAfter lets the task go on for grace, without notice: it is closed by
// the first step after that unless it has ended before. Step then returns true
// and the error of Close, if any. A deadline that is not later stays in force.
// A runner that was not started is cancelled at once. (Recorded behaviour; a
// grace with notice is that of [TaskRunner.Stop].)
func (r *TaskRunner) CancelAfter(grace time.Duration) {
	switch {
	case r.done:
		return
	case !r.started:
		r.end(ErrCancelled)
		return
	}
	r.offerCancel(later(instant(r.now()), grace), grace)
}

func (r *TaskRunner) offerCancel(at int64, grace time.Duration) {
	r.closeBy = min(r.closeBy, at)
	r.deadline.offer(at, grace, closeCancel)
	r.signal()
}

// Interrupt throws err into the task at the runner's next step, in place of the
// step, and wakes the loop that drives it. It may be called from any goroutine;
// of several errors before that step the last one wins. An ended runner ignores
// it. [ErrClosed] closes the task instead, as Cancel does, and a task that was
// not started fails with [ErrCancelled]: a hard end from outside, for who cannot
// wait for a grace. It panics if err is nil.
//
// A [DependencyTaskGroup] that is thrown into stops, and its members have its
// ErrorWaitTime, which a second Interrupt does not prolong.
func (r *TaskRunner) Interrupt(err error) {
	if err == nil {
		panic("scheduler: TaskRunner.Interrupt: nil error")
	}
	r.thrown.Store(&err)
	r.signal()
}

// Started reports whether the runner was started.
func (r *TaskRunner) Started() bool { return r.started }

// Done reports whether the runner has ended: its task is complete, failed,
// timed out or cancelled, or was cancelled before it was started. (It is no
// channel, as Done is elsewhere; the name is that of the original.)
func (r *TaskRunner) Done() bool { return r.done }

// Err returns how the runner ended: nil if its task is complete, or has not
// ended; what it failed with; the [*Timeout] also where the task swallowed it;
// [ErrCancelled], joined with the error of Close, if it was cancelled.
func (r *TaskRunner) Err() error {
	if !r.done {
		return nil
	}
	return r.err
}

// String returns the runner's name.
func (r *TaskRunner) String() string { return r.opts.Name }

func (r *TaskRunner) now() time.Time {
	if r.clock == nil { // before Start
		if r.clock = r.opts.Clock; r.clock == nil {
			return time.Now() //workflowcheck:ignore (see newSystemClock)
		}
	}
	return r.clock.Now()
}
