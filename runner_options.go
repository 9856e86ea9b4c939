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
	// Name is the runner's name in errors and logs, by default the [TaskDescription] of
	// its task. A [*Timeout] inside a node names the node instead if the task has only
	// the name of a function or a combinator.
	Name string

	// Timeout is the time limit of the task from its start. Of two, this and that of
	// Start, the earlier counts. A negative limit has passed at once.
	Timeout time.Duration

	// Wait is the longest pause between rounds in Run, and in RunWith and
	// RunToCompletion if their own is 0.
	Wait time.Duration

	// Grace is how long the task may continue after Stop, after the end of Run's
	// context, and after a timeout that it has handled. Without it the task is closed
	// at once. Groups inside inherit it, and [NoGrace] as well.
	Grace time.Duration

	// EndCalls ends the contexts of calls inside with the notice of a stop, for calls
	// that look at nothing else. The grace is then how long they are waited for.
	EndCalls bool

	// Abandon is how long a call inside that has to end may continue before it is left
	// behind and fails with an [*AbandonedError]. It counts from the notice, or,
	// without one, from when the call is closed, and never cuts off a grace, unless
	// EndCalls has ended the call's context. 0 means never. It needs the system's
	// clock: otherwise the start fails with an [*OptionError].
	Abandon time.Duration

	// Watchdog reports steps that do not return. It needs the system's clock, and is
	// for the outermost runner: otherwise the start fails with an [*OptionError].
	Watchdog Watchdog

	// Progress is called by Run, RunWith, RunToCompletion and AsTask before each of
	// their steps except the first. Its error is thrown into the task instead of the
	// step. It is called between two steps: it may call whatever the driver may, of the
	// runner and of groups inside.
	Progress func(ctx context.Context) error

	// Wake is called, from any goroutine, when the runner may be due earlier than Due
	// last said, or has something for RunPosted. It must not block or call the runner,
	// but make the loop that drives it look again.
	Wake func()

	// Clock is the time of the runner and of everything inside. By default it is
	// inherited, and that of the outermost runner is the system's.
	Clock Clock
}

func checkRunner(task Task, opts *RunnerOptions) error {
	if isNil(task) {
		return &OptionError{Option: "task", Reason: describeNil(task)}
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
