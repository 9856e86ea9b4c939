// Package scheduler drives many long operations on one goroutine, one step at a
// time, in the order of their dependencies, and stops them cleanly.
//
// It is for engines that create, update and delete many real things: servers,
// volumes, networks, services. A [Task] is a resumable operation. A [TaskRunner]
// drives one, with a time limit, cancellation and grace. A
// [DependencyTaskGroup] is a task made of a task for each node of a graph of
// [Dependencies]; it walks the graph forwards to create and in reverse to
// delete. [Wrap] writes a task as a plain function that yields, and awaits
// other tasks. An [ExceptionGroup] keeps every failure.
//
//	deps := scheduler.NewDependencies[string]()
//	deps.Add("server", "network", "volume") // server requires both
//	group, err := scheduler.NewDependencyTaskGroup(deps, create, nil)
//	if err != nil {
//		return err // a cycle, shown as a path
//	}
//	return scheduler.Run(ctx, group, nil)
//
// # Model
//
// A step advances a task to its next yield point. What the step returns, a
// [Yield], says when the task wants the next one: in the next round, after some
// rounds, at a time, or on an [Event]. Until then the task is parked: it is not
// touched and costs nothing. A round is one step of whoever drives: each task
// that is due gets one step, in a promised order.
//
// Calls that block, such as those of a cloud's SDK, run beside the steps:
// [Blocking], [Fetch], [Call] and [Poll] give each its own goroutine and park
// the task until it returns.
//
// A task ends in one of three ways: it is done, it fails, or it is closed. Stop
// is a notice that it should end soon, grace is how long it may then go on, and
// Close ends it now. An error can be thrown into a task at the point where it
// yielded: a [*Timeout], or one from outside by [TaskRunner.Interrupt].
//
// # Guarantees
//
//   - All code of tasks, but for the functions given to Blocking, Fetch, Call
//     and Poll, runs on the goroutine that drives them, one step at a time: it
//     needs no locks.
//   - The order is promised: a run is a function of the graph, the tasks, the
//     clock and the order of events from outside.
//   - A task of a group starts only when all that it requires is done, and no
//     task is called again after its end.
//   - When a run returns, every task that it started has ended, and every
//     goroutine and coroutine that it started is gone.
//   - No failure is lost: each is kept, says which node it came from, and is
//     told apart from its victims.
//   - Waiting costs nothing: a round takes time in proportion to what is due, not
//     to what is parked.
//   - Claims that can never be met do not hang a run: once nothing else in the
//     outermost group can go on, it fails with a [*DeadlockError] that says which
//     node waits for what. Runs that lock each other are found as well, with the
//     exceptions that DeadlockError names.
//
// # Duties of the caller
//
//  1. Let a step return soon: while it runs nothing else does. What blocks goes
//     into Blocking or its kin; [GroupOptions.SlowStep] finds what does not.
//  2. Drive a runner from one goroutine at a time. From other goroutines only
//     [Event.Set], [TaskRunner.Interrupt], [TaskRunner.Kill], [TaskRunner.Post],
//     a [Limiter] and the end of a context are allowed. Misuse panics.
//  3. Call Step until it says done, or Cancel: a runner that is dropped halfway
//     leaves its coroutines and calls behind. Run and RunToCompletion see to
//     that by themselves.
//  4. Give tasks that need time to end a grace. Without it they are closed at
//     once.
//
// # What blocks, and what runs a task's code
//
//	                                    blocks          runs code of tasks   reads the clock
//	Run, TaskRunner.Run, RunToCompletion until the end   yes                  yes
//	TaskRunner.Start                    no (a)          yes                  if it has a Clock or a limit
//	TaskRunner.Step                     no (a)          yes                  if a time depends on it
//	TaskRunner.Cancel, Close of tasks   no (b)          Close                no
//	TaskRunner.Stop, CancelAfter        no              no                   yes
//	TaskRunner.Due, Interrupt, Kill     no              no                   no
//	TaskRunner.Post                     no              no                   no
//	Event.Set                           no              no                   no
//	NewDependencyTaskGroup              no              no (c)                  no
//	Coroutine.Yield, Await, Call        gives up the step
//
//	(a) as long as the tasks keep duty 1
//	(b) but for calls under Blocking and its kin, which are waited for
//	(c) but for Completed, Priority and Estimate of its options
//
// # How a run ends
//
//	                       from         notice     grace         what still starts   Run returns
//	DependencyTaskGroup.
//	  Drain                the driver   no         no end        nothing             ErrDrained, if something is left
//	TaskRunner.Stop(err)   the driver   yes        Grace         nothing (a)         err
//	end of Run's context   any          yes        Grace         nothing (a)         its cause
//	RunnerOptions.Timeout  the clock    to groups  Grace         nothing in groups   *Timeout
//	Interrupt(err)         any          no (b)     no            as the task likes   what the task makes of err
//	Kill                   any          no         no            nothing             ErrCancelled
//	Cancel                 the driver   no         no            nothing             (c) ErrCancelled from Err
//	CancelAfter(d)         the driver   no         d             everything          ErrCancelled
//
//	(a) unless [Shield] protects it; a clean-up of [Finally] is
//	(b) a group that is thrown into stops as for a failure: notice, and its own grace
//	(c) Cancel itself returns the error of Close
//
// The driver is the goroutine that drives the run; [TaskRunner.Post] gets there
// from any other. Whatever the row, what failed meanwhile is joined with the
// result, and a second end adds to the first: a Kill in the grace of a Stop returns
// both.
//
// Without a grace, and when it has passed, tasks are closed. The context of a call
// ([Blocking] and its kin) lasts until then; with [RunnerOptions.EndCalls] it ends
// with the notice. A call that ignores its context is waited for, and holds up
// nothing but the end.
//
// A [Snapshot] of a group that a run left unfinished has the nodes that succeeded
// as completed, and those that were closed or cancelled as neither: a resume starts
// them again. After Drain no node that had started is among them.
//
// # What a notice does
//
// A notice is a [*StopError]. It is a state: a task that begins after it finds it,
// by [StopCause] or [Coroutine.Stopping].
//
//	                                  the failure of another node   the stop of the run
//	a task that runs                  goes on within the grace      the same
//	its calls and polls               go on                         the same
//	Retry                             makes no new attempt          the same
//	Sequence                          goes on                       begins no other task, ends with the notice
//	a group inside that runs          goes on to its end            starts nothing more, passes the notice on
//	a group inside that is begun      as if it had been running     starts nothing, ends with the notice
//	what is behind a Shield           goes on                       the same
//
// A task that ends with the notice, returned as it is or wrapped, is cancelled. One
// that ends with another error as well has failed, and one that ends with nil has
// succeeded.
//
// # Conditions, services, single nodes
//
// A node starts when all that it requires is done. [GroupOptions.When] may decide
// otherwise once all of that has ended: start it all the same, skip it, or let it
// pass. A task that says [Ready] is a service: what requires it starts, and it is
// told to end when all of that has ended, in reverse order and within the grace of a
// stop. [DependencyTaskGroup.SkipNode] and StopNode end one node.
//
// # Writing your own loop
//
// [TaskRunner.Step] makes one step and returns; [TaskRunner.Due] says when the
// next one is worth making, and [RunnerOptions.Wake] tells when that has become
// earlier. So a run can be driven by a reconcile loop, a user interface, a
// durable workflow, or a test. [TaskRunner.RunToCompletion] is such a loop, on
// top of a [Clock].
//
// # Watching a run
//
// A group tells its [Observer] of every change of a node's state.
// [NewLogObserver] makes a log of that, package timeline records what ran when,
// and [Observers] joins several. Between two steps a group can be asked:
// [DependencyTaskGroup.WriteTo] says why it does not go on, and
// [DependencyTaskGroup.WriteMermaid] draws it.
//
// # From OpenStack Heat
//
// The behaviour comes from Heat's scheduler, which has driven the resources of
// clouds for a decade. It was recorded, and the package's tests replay the
// records; docs/heat.md lists what differs, and why. Its names, and ours:
//
//	TaskRunner(task)              NewTaskRunner
//	  start(timeout)              TaskRunner.Start
//	  step()                      TaskRunner.Step
//	  run_to_completion(wait)     TaskRunner.RunToCompletion
//	  runner(wait, timeout)       TaskRunner.RunWith
//	  cancel()                    TaskRunner.Cancel
//	  cancel(grace_period)        TaskRunner.CancelAfter; with notice: Stop
//	  started(), done()           TaskRunner.Started, Done
//	  as_task(timeout)            TaskRunner.AsTask
//	  progress_callback           RunnerOptions.Progress
//	Timeout, expired, trigger     Timeout, Timeout.Expired, Timeout.Trigger
//	TimedCancel, trigger          TimedCancel, TimedCancel.Trigger
//	DependencyTaskGroup           DependencyTaskGroup
//	  dependencies, task          arguments of NewDependencyTaskGroup
//	  reverse, name               GroupOptions.Reverse, Name
//	  error_wait_time             GroupOptions.Grace, GraceFor
//	  aggregate_exceptions        GroupOptions.AggregateErrors
//	  cancel_all(grace_period)    DependencyTaskGroup.Throw, Stop, Close
//	ExceptionGroup                ExceptionGroup
//	wrappertask, yield from       Wrap, Coroutine.Await
//	task_description              TaskDescription
//	yield, yield n                Next, Rounds(n)
//	Dependencies                  Dependencies
//	  required_by, requires       Dependencies.RequiredBy, Requires
//	  leaves, roots               Dependencies.Leaves, Roots
//	  deps[key]                   Dependencies.From
//	  translate                   Translate
//	  iter, reversed              Dependencies.All, Backward
package scheduler
