package scheduler

import (
	"context"
	"math"
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
