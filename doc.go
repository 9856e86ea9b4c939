// Package scheduler runs many long operations in the order of their dependencies, on
// one goroutine and one step at a time, and stops them cleanly.
//
// It is for engines that create, update and delete real resources: servers, volumes,
// networks, services. [Walk] calls a function for each node of a graph:
//
//	deps := scheduler.NewDependencies[string]()
//	deps.Add("server", "network", "volume") // server requires both
//	err := scheduler.Walk(ctx, deps, create, nil)
//
// For more than a call for each node there are tasks. A [Task] is a resumable
// operation. [Wrap] makes one of a function that yields where it waits, and awaits
// other tasks. A [DependencyTaskGroup] is a task that runs one task for each node of
// [Dependencies], forwards to create and in reverse to delete. [Run] drives a task to
// its end, and a [TaskRunner] lets a loop of your own drive it.
//
// # Where to look
//
//   - A graph: [Walk], [Dependencies], [DependenciesOf], [DependencyTaskGroup],
//     [GroupOptions].
//   - Tasks: [Wrap], [Coroutine], [Func], [StepFunc], [Task], [Yield], [Event].
//   - Calls that block: [Blocking], [Fetch], [Call], [Poll].
//   - Combinations: [Sequence], [All], [First], [Retry], [Finally], [WithTimeout],
//     [Subrun], [Shield], [Reserve], [Named].
//   - Running: [Run], [RunnerOptions], [Clock]. A loop of your own: [TaskRunner.Step],
//     [TaskRunner.Due], RunnerOptions.Wake.
//   - Limits: GroupOptions.Limit, [Limiter], [Claim], [Claiming].
//   - What starts, and when: GroupOptions.When, Priority and Estimate, [Ready] for
//     services, [ErrSkip], [DependencyTaskGroup.Add].
//   - Ends: [StopError], [Stopping], [StopCause], [Interrupted], [Timeout],
//     [TaskRunner.Kill], [DependencyTaskGroup.StopNode], [AbandonedError].
//   - Errors: [TaskError], [ExceptionGroup], [Causes], [CircularDependencyError],
//     [DeadlockError], [PanicError].
//   - Watching and asking: [Observer], [Record], [GroupView], [LogObserver], [Note],
//     [Explanation], [Outcome], [DependencyTaskGroup.WriteTo].
//   - Resuming, rolling back: [Snapshot].
//   - Testing: package schedulertest.
//
// # Model
//
// A step advances a task to its next yield point. Its result, a [Yield], says when the
// task wants the next step: in the next round, after some rounds, at a time, or on an
// [Event]. Until then the task is parked: it is not called and costs nothing. In a
// round, each task that is due gets one step, in a promised order. The driver is the
// goroutine that makes the steps.
//
// A call is a function given to Walk, Blocking, Fetch, Call or Poll, such as a request
// to a cloud. It runs on another goroutine and may block; its task is parked meanwhile.
//
// A task succeeds, fails, or is closed. Stop gives it a notice that it should end soon,
// grace is how long it may then continue, and Close ends it. An error can be thrown into
// a task where it has yielded: a [*Timeout], or one from outside with
// [TaskRunner.Interrupt].
//
// The path of a node is the keys that lead to it from the outermost group, with slashes
// between them: "site-a/server". Outside of a group it is "".
//
// A time limit of 0 is none, and a negative one has passed at once. nil options are the
// defaults.
//
// # Guarantees
//
//   - Task code runs on the driver, one step at a time, and needs no locks. Calls do.
//   - The order is promised: a run is a function of the graph, the tasks, the clock and
//     the order of events from outside.
//   - A node starts only when all that it requires is done, and no task is called again
//     after its end.
//   - When a run returns, every task that it started has ended, and every goroutine and
//     coroutine that it started is gone, except for calls that Abandon left behind.
//   - No failure is lost: each is kept and names its node.
//   - Waiting costs nothing: a round takes time in proportion to the tasks that are due.
//   - Claims that can never be met do not hang a run: it fails with a [*DeadlockError],
//     unless a call or an event might still end the wait.
//
// # Duties of the caller
//
//  1. A step must return soon, since nothing else runs meanwhile. Put blocking code into
//     calls. [GroupOptions.SlowStep] finds what you missed, and [RunnerOptions.Watchdog]
//     what never returns.
//  2. Drive a runner from one goroutine at a time. Other goroutines may use only
//     [Event.Set], [TaskRunner.Interrupt], [TaskRunner.Kill], [TaskRunner.Post], a
//     [Limiter], and end a context. A Step or Cancel beside another one panics, and so
//     do Stop and the methods of a group while Run sleeps; at other times these are a
//     data race.
//  3. Call Step until it says done, or Cancel: a runner that is dropped halfway leaves its
//     coroutines and calls behind. Run does this by itself.
//  4. Give a grace to tasks that need time to end.
//  5. Pass no nil where something is required, and nothing negative where that has no
//     meaning: functions that return no error panic with a sentence that says what is
//     wrong, many with an [*OptionError].
//
// # What blocks, and what runs task code
//
//	                                     blocks          runs code of tasks   reads the clock
//	Run, TaskRunner.Run, RunToCompletion until the end   yes                  yes
//	TaskRunner.Start                     no (a)          yes                  if it has a Clock or a limit
//	TaskRunner.Step                      no (a)          yes                  if a time depends on it
//	TaskRunner.Cancel, Close of tasks    no (b)          Close                no
//	TaskRunner.Stop, CancelAfter         no              no                   yes
//	TaskRunner.Due, Interrupt, Kill      no              no                   no
//	TaskRunner.Post, Event.Set           no              no                   no
//	NewDependencyTaskGroup               no              no (c)               no
//	Coroutine.Yield, Await, Call         gives up the step
//
//	(a) if the tasks keep duty 1
//	(b) except that it waits for calls
//	(c) except for Completed, Priority and Estimate of its options
//
// # How a run ends
//
//	                       from         notice     grace    what still starts   Run returns
//	DependencyTaskGroup.
//	  Drain                the driver   no         no end   nothing             ErrDrained, if something is left
//	TaskRunner.Stop(err)   the driver   yes        Grace    nothing (a)         err
//	end of Run's context   any          yes        Grace    nothing (a)         its cause
//	RunnerOptions.Timeout  the clock    to groups  Grace    nothing in groups   *Timeout
//	Interrupt(err)         any          no (b)     no       as the task likes   what the task makes of err
//	Kill                   any          no         no       nothing             ErrCancelled
//	Cancel                 the driver   no         no       nothing             (c) ErrCancelled from Err
//	CancelAfter(d)         the driver   no         d        everything          ErrCancelled
//
//	(a) unless [Shield] protects it; a clean-up of [Finally] is
//	(b) it stops a group as a failure does: with notice and the group's grace; if the
//	    group is closed within that, err is in its Errors only
//	(c) Cancel itself returns the error of Close
//
// In each row, failures are joined with the result, and a second end adds to the first:
// a Kill in the grace of a Stop returns both. Two first ends are not mentioned: a Drain of
// a group that is then closed, and an Interrupt after which the task has continued.
//
// Tasks without a grace, and those whose grace has passed, are closed. The context of a
// call lasts until then; with [RunnerOptions.EndCalls] it ends with the notice. An error
// that is thrown in ends it at once if no group is in between. A call that ignores its
// context only delays the end.
//
// # What a notice does
//
// A notice is a [*StopError]. It is a state: a task that begins later finds it with
// [StopCause] or [Coroutine.Stopping].
//
//	                              the failure of another node   the stop of the run
//	a running task                continues for the grace       the same
//	its calls and polls           continue                      the same
//	Retry                         makes no new attempt          the same
//	Sequence                      continues                     starts no other task, ends with the notice
//	a running group inside        continues to its end          starts nothing more, passes the notice on
//	a group inside that begins    as if it had been running     starts nothing, ends with the notice
//	a task behind a Shield        continues                     the same
//
// A task that returns the notice, possibly wrapped, is cancelled. If it returns another
// error, or joins one, it has failed. If it returns nil, it has succeeded.
//
// # From OpenStack Heat
//
// The behaviour is that of OpenStack Heat's scheduler, recorded and replayed by the
// package's tests. docs/heat.md has Heat's names beside these, and what differs.
package scheduler
