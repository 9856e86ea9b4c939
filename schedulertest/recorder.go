package schedulertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/steptask/scheduler"
)

// Recorder writes down a run, a line for each event, for a test to compare with the
// expected text. As a scheduler.Observer, of any number of groups, it records state
// changes, notes and attempts of nodes, and abandoned calls:
//
//	2s 1 web/disk: note: volume is still building
//	2s 1 web/disk: attempt 1: busy
//	3s 2 web/disk: running -> failed: no space
//
// with the time since the recorder was made, the round of the node's group, and the
// node's path. For tasks given to [Recorder.Task] it records each call of the task
// and its result:
//
//	3s disk.step = after 2s
//
// A line break in an error is written as "; ". A Recorder must be used on the
// goroutine that drives the run.
type Recorder struct {
	clock scheduler.Clock
	start time.Time
	lines []string
}

var _ scheduler.SelectiveObserver = (*Recorder)(nil)

// NewRecorder returns an empty recorder. clock is the run's clock.
func NewRecorder(clock scheduler.Clock) *Recorder {
	if isNil(clock) {
		panic("schedulertest: NewRecorder: nil Clock")
	}
	return &Recorder{clock: clock, start: clock.Now()}
}

// Wants returns the kinds that Observe records.
func (r *Recorder) Wants() scheduler.Kinds {
	return scheduler.KindsOf(scheduler.NodeChanged, scheduler.NodeNoted, scheduler.NodeRetrying, scheduler.NodeAbandoned)
}

// Observe records a change of a node's state, a note or attempt of a node, or an
// abandoned call.
func (r *Recorder) Observe(t scheduler.Record) {
	r.must("Observe")
	text := fmt.Sprintf("%v %d %s: ", t.Time().Sub(r.start), t.Round(), t.Path())
	switch t.Kind {
	case scheduler.NodeNoted:
		text += "note: " + t.Notes().Text
	case scheduler.NodeRetrying:
		text += fmt.Sprintf("attempt %d", t.Notes().Attempt)
	case scheduler.NodeAbandoned:
		text += "abandoned"
	default:
		text += fmt.Sprintf("%v -> %v", t.From, t.To)
	}
	if t.Err != nil {
		text += ": " + oneLine(t.Err)
	}
	r.lines = append(r.lines, text)
}

// Task returns a task that behaves like task and records it under the given name. It
// is a scheduler.Thrower or scheduler.Stopper if task is one, or wraps one (Unwrap),
// and forwards BeginClose, so the run is the same as with task itself.
func (r *Recorder) Task(name string, task scheduler.Task) scheduler.Task {
	r.must("Task")
	if isNil(task) {
		panic("schedulertest: Recorder.Task: nil Task")
	}
	t := recorded{recorder: r, name: name, task: task}
	stopper, stops := lookFor[scheduler.Stopper](task)
	thrower, throws := lookFor[scheduler.Thrower](task)
	switch {
	case stops && throws:
		return &struct {
			recorded
			recordedStopper
			recordedThrower
		}{t, recordedStopper{&t, stopper}, recordedThrower{&t, thrower}}
	case stops:
		return &struct {
			recorded
			recordedStopper
		}{t, recordedStopper{&t, stopper}}
	case throws:
		return &struct {
			recorded
			recordedThrower
		}{t, recordedThrower{&t, thrower}}
	}
	return &t
}

// lookFor returns the task, or the first one inside it by Unwrap, that is a T, as
// drivers do.
func lookFor[T scheduler.Task](task scheduler.Task) (t T, ok bool) {
	for {
		if t, ok = task.(T); ok {
			return t, true
		}
		w, wraps := task.(interface{ Unwrap() scheduler.Task })
		if !wraps {
			return t, false
		}
		task = w.Unwrap()
	}
}

// Lines returns the lines recorded so far.
func (r *Recorder) Lines() []string {
	r.must("Lines")
	return slices.Clone(r.lines)
}

// must panics for a recorder that NewRecorder has not made.
func (r *Recorder) must(method string) {
	if r == nil || r.clock == nil {
		panic("schedulertest: Recorder." + method + ": nil or zero Recorder; use NewRecorder")
	}
}

// String returns the lines, each ended by a line break.
func (r *Recorder) String() string {
	r.must("String")
	var b strings.Builder
	for _, line := range r.lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// Reset removes all lines. Times still count from when the recorder was made.
func (r *Recorder) Reset() {
	r.must("Reset")
	r.lines = nil
}

func (r *Recorder) record(name, call string, answer any) {
	r.lines = append(r.lines, fmt.Sprintf("%v %s.%s = %v", r.clock.Now().Sub(r.start), name, call, answer))
}

func oneLine(err error) string { return strings.ReplaceAll(fmt.Sprint(err), "\n", "; ") }

// recorded is a task that is recorded. It is a Closer whether its task is one or not:
// one that is not does not wait.
type recorded struct {
	recorder *Recorder
	name     string
	task     scheduler.Task
}

var _ scheduler.Closer = (*recorded)(nil)

func (t *recorded) Step(ctx context.Context) (scheduler.Yield, error) {
	return t.answered("step", func() (scheduler.Yield, error) { return t.task.Step(ctx) })
}

func (t *recorded) BeginClose() *scheduler.Event {
	closer, ok := lookFor[scheduler.Closer](t.task)
	if !ok {
		return nil
	}
	e := closer.BeginClose()
	answer := "waits"
	if e == nil {
		answer = "ended"
	}
	t.recorder.record(t.name, "beginClose", answer)
	return e
}

func (t *recorded) Close() error {
	_, err := t.answered("close", func() (scheduler.Yield, error) { return scheduler.Done, t.task.Close() })
	return err
}

// Unwrap returns the task that is recorded.
func (t *recorded) Unwrap() scheduler.Task { return t.task }

func (t *recorded) String() string { return scheduler.TaskDescription(t.task) }

// answered records a call with its answer; a panic or Goexit as none.
func (t *recorded) answered(name string, call func() (scheduler.Yield, error)) (y scheduler.Yield, err error) {
	var answer any = "panic"
	defer func() { t.recorder.record(t.name, name, answer) }()
	y, err = call()
	if answer = y; err != nil {
		answer = oneLine(err)
	}
	return y, err
}

// recordedStopper and recordedThrower are what tasks with these abilities have
// besides: a driver treats them differently.
type recordedStopper struct {
	of      *recorded
	stopper scheduler.Stopper
}

func (t *recordedStopper) Stop(ctx context.Context, cause error) {
	t.of.recorder.record(t.of.name, "stop("+oneLine(cause)+")", "ok")
	t.stopper.Stop(ctx, cause)
}

type recordedThrower struct {
	of      *recorded
	thrower scheduler.Thrower
}

func (t *recordedThrower) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	call := "throw(" + oneLine(err) + ")"
	return t.of.answered(call, func() (scheduler.Yield, error) { return t.thrower.Throw(ctx, err) })
}
