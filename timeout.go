package scheduler

import (
	"context"
	"fmt"
	"time"
)

// Timeout is the error that is thrown into a task whose time limit has passed. Unless
// the task handles it, it is the task's error. It matches [context.DeadlineExceeded].
// It does not change after it was thrown.
type Timeout struct {
	Task  string        // the node, or the name of the runner
	Limit time.Duration // the time it was given
	Notes Notes         // what its node had said when it was thrown, without attempts of a Retry around the runner

	runner *TaskRunner // nil: a member of a group
	at     int64
	grace  time.Duration // what a task that goes on after it has left
}

// NewTimeout returns a timeout that expires when limit has passed from now by the
// runner's clock. It is for code that drives tasks by itself.
func NewTimeout(r *TaskRunner, limit time.Duration) *Timeout {
	if r == nil {
		panic("scheduler: NewTimeout: nil TaskRunner")
	}
	return &Timeout{Task: r.String(), Limit: limit, runner: r, at: later(instant(r.now()), limit)}
}

// asTimeout returns the Timeout that an error is: that very one, and none that it wraps.
func asTimeout(err error) (t *Timeout, ok bool) {
	t, _ = err.(*Timeout) //nolint:errorlint // See above.
	return t, t != nil
}

// Error returns what timed out, after how long, and the notes of its node.
func (t *Timeout) Error() string {
	if t.Limit < 0 {
		return t.Task + ": timed out before it started"
	}
	text := fmt.Sprintf("%s: timed out after %v", t.Task, t.Limit)
	if said := t.Notes.String(); said != "" {
		text += ": " + said
	}
	return text
}

// Unwrap returns what the last attempt of a [Retry] had failed with before, or nil.
func (t *Timeout) Unwrap() error { return t.Notes.Last }

// Timeout returns true: the convention of package net.
func (t *Timeout) Timeout() bool { return true }

// Is reports whether target is [context.DeadlineExceeded].
func (t *Timeout) Is(target error) bool { return target == context.DeadlineExceeded }

// Of reports whether it is the time limit of r that has passed.
func (t *Timeout) Of(r *TaskRunner) bool { return r != nil && t.runner == r }

// Expired reports whether the runner's clock reads strictly more than the limit.
func (t *Timeout) Expired() bool { return t.runner != nil && instant(t.runner.now()) > t.at }

// Trigger throws t into a task that has started and not ended. If the task yields, it
// is closed, and t is not reported. Trigger returns the error of the task or of its
// Close.
func (t *Timeout) Trigger(ctx context.Context, task Task) error {
	mustHaveTask(task, "Timeout.Trigger")
	y, err := throwInto(ctx, &task, t)
	if err != nil || y.code&yieldDone != 0 {
		return err
	}
	return task.Close()
}

// TimedCancel is a cancellation that takes effect when its grace has passed; see
// [TaskRunner.CancelAfter].
type TimedCancel struct {
	Grace time.Duration

	runner *TaskRunner
	at     int64
}

// NewTimedCancel returns a cancellation that is due when grace has passed from now by
// the runner's clock. It is for code that drives tasks by itself.
func NewTimedCancel(r *TaskRunner, grace time.Duration) *TimedCancel {
	if r == nil {
		panic("scheduler: NewTimedCancel: nil TaskRunner")
	}
	return &TimedCancel{Grace: grace, runner: r, at: later(instant(r.now()), grace)}
}

// Expired reports whether the grace has passed, as Timeout.Expired does.
func (c *TimedCancel) Expired() bool {
	if c == nil {
		panicNil("TimedCancel.Expired")
	}
	return c.runner != nil && instant(c.runner.now()) > c.at
}

// Trigger closes a task that has started and not ended.
func (c *TimedCancel) Trigger(_ context.Context, task Task) error {
	mustHaveTask(task, "TimedCancel.Trigger")
	return task.Close()
}

// deadline is a time after which a task does not go on as before, and what
// happens then. The zero deadline is none. It has passed when the clock reads
// strictly more than its time.
type deadline struct {
	at   int64
	span time.Duration // from when it was set
	kind deadlineKind
}

type deadlineKind uint8

const (
	noDeadline    deadlineKind = iota
	throwTimeout               // throw a Timeout into the task
	closeTimedOut              // it went on after its Timeout: close it, fail with the Timeout
	closeCancel                // close it
)

// offer sets d, unless there is one already that is not later: deadlines only
// ever come nearer, and of two at the same time the older stays, whatever
// their kinds (recorded behaviour).
func (d *deadline) offer(at int64, span time.Duration, kind deadlineKind) {
	if d.kind == noDeadline || at < d.at {
		*d = deadline{at: at, span: span, kind: kind}
	}
}

// isSet reports whether there is one, and hasPassed whether that has passed at an instant.
func (d *deadline) isSet() bool              { return d.kind != noDeadline }
func (d *deadline) hasPassed(now int64) bool { return now > d.at }

// isLimit reports whether it is a limit of the task's own, and not the end of a grace.
func (d *deadline) isLimit() bool { return d.kind == throwTimeout }

// end returns the instant after which the task is thrown into or closed, or never.
func (d *deadline) end() int64 {
	if d.kind == noDeadline {
		return never
	}
	return d.at
}

// runnerDeadline is until when the task of a runner may go on: its limit, then the grace
// after it, or an earlier grace.
type runnerDeadline struct {
	deadline
	graceEnd int64 // of Stop or CancelAfter, kept beside an earlier limit
}

func (d *runnerDeadline) init() { d.graceEnd = never }

// limit offers a limit from an instant on.
func (d *runnerDeadline) limit(from int64, limit time.Duration) {
	d.offer(later(from, limit), limit, throwTimeout)
}

// cancel offers the end of a grace that Stop or CancelAfter gives.
func (d *runnerDeadline) cancel(at int64, grace time.Duration) {
	d.graceEnd = min(d.graceEnd, at)
	d.offer(at, grace, closeCancel)
}

// grant puts a grace from an instant on in the place of the limit, which has passed.
func (d *runnerDeadline) grant(from int64, grace time.Duration) {
	d.deadline = deadline{at: min(later(from, grace), d.graceEnd), span: grace, kind: closeTimedOut}
}

// endWith returns end, or, for a limit, that of the grace that follows it.
func (d *runnerDeadline) endWith(grace time.Duration) int64 {
	if d.isLimit() && grace > 0 {
		return min(graceAfter(d.at, grace), d.graceEnd)
	}
	return d.end()
}

// timer is when to look at the deadline again: when it has passed.
func (d *deadline) timer() int64 { return later(d.at, 1) }
