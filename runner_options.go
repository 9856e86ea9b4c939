package scheduler

import (
	"context"
	"fmt"
	"math"
	"time"
)

const (
	// NoLimit is a duration that never passes: a limit or a grace without end.
	NoLimit time.Duration = math.MaxInt64

	// NoGrace says that there is no grace, where 0 would inherit one.
	NoGrace time.Duration = math.MinInt64
)

// RunnerOptions are the options of a [TaskRunner]. A zero field is off.
type RunnerOptions struct {
	// Name is the runner's name in errors and logs, by default the [TaskDescription]
	// of its task. A [*Timeout] inside a node names the node if that is only the name
	// of a function or a combinator.
	Name string

	// Timeout is the time limit of the task from its start. Of two, this and that of
	// Start, the earlier counts.
	Timeout time.Duration

	// Wait is the longest pause between rounds.
	Wait time.Duration

	// Grace is how long the task may continue after Stop, after the end of Run's
	// context, and after a timeout that it has handled. Without it the task is closed
	// at once. Groups inside inherit it, and [NoGrace] as well.
	Grace time.Duration

	// EndCalls ends the contexts of calls inside with the notice of a stop, for calls
	// that look at nothing else. The grace is then how long they are waited for.
	EndCalls bool

	// Abandon is how long a call that has to end may continue before it is left
	// behind and fails with an [*AbandonedError]; 0 means for ever. It counts from
	// the notice, or, without one, from when the call is closed, and never cuts off a
	// grace, unless EndCalls has ended the call's context. It needs the system's
	// clock: otherwise the start fails with an [*OptionError].
	Abandon time.Duration

	// Watchdog reports steps that do not return. It needs the system's clock, and is
	// for the outermost runner: otherwise the start fails with an [*OptionError].
	Watchdog Watchdog

	// Progress is called by Run, RunWith, RunToCompletion and AsTask between two
	// steps, where it may call whatever the driver may. Its error is thrown into the
	// task instead of the next step.
	Progress func(ctx context.Context) error

	// Wake is called, from any goroutine, when the runner may be due earlier than Due
	// last said, or has something for RunPosted. It must not block or call the
	// runner, but make the loop that drives it look again. Who has ended a call may call
	// it just after the runner has ended.
	Wake func()

	// Clock is the time of the runner and of everything inside. By default it is
	// inherited, or the system's.
	Clock Clock
}

func checkRunner(task Task, opts *RunnerOptions) error {
	if isNil(task) {
		return &OptionError{Option: "task", Reason: describeNil(task)}
	}
	if opts.Clock != nil && isNilPointer(opts.Clock) {
		return &OptionError{Option: "RunnerOptions.Clock", Reason: fmt.Sprintf("nil %T", opts.Clock)}
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
