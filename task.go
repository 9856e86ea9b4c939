package scheduler

import "context"

// Task is a resumable unit of work. Its driver calls Step repeatedly, on one
// goroutine, and attends to other tasks between two steps. Most tasks are written as
// ordinary Go, with [Func], [StepFunc], [Blocking] or [Wrap].
//
// The first Step starts a task. A started task ends exactly once: when Step or Throw
// returns [Done] or an error, or when Close is called. After that it is not called
// again. A task that never started is not closed.
//
// A task is used once: make it where it starts, as the function given to a group or
// to [Retry] does. Tasks of this package, except Func, fail with [ErrEnded] when they
// are stepped after their end, or by a second driver. A nil pointer or
// function counts as nil, except in what a group's function returns: its methods are
// called.
type Task interface {
	// Step advances the task to its next yield point and reports when to call Step
	// again. It must not block. ctx is valid during this step only.
	Step(ctx context.Context) (Yield, error)

	// Close ends a task that has started and not ended. When it returns, no goroutine
	// and no call of the task is left.
	Close() error
}

// Thrower is a [Task] that can handle an error raised where it yielded: a [*Timeout],
// or one given to [TaskRunner.Interrupt]. Throw may return that error or another one,
// return [Done], or handle the error and continue by yielding, after a Timeout for
// its grace at most. An error thrown into another task closes the task and is its
// result.
type Thrower interface {
	Task
	Throw(ctx context.Context, err error) (Yield, error)
}

// Stopper is a [Task] that can be asked to end soon. Stop is called on the driving
// goroutine and must not block. The task continues to be stepped until it ends, or is
// closed when its grace has passed.
type Stopper interface {
	Task
	Stop(ctx context.Context, cause error)
}

// Func is a [Task] that calls a function in its only step. The function must not
// block: use [Blocking] for one that does.
type Func func(ctx context.Context) error

// Step calls f.
func (f Func) Step(ctx context.Context) (Yield, error) {
	if f == nil {
		return Yield{}, &OptionError{Option: "Func", Reason: "nil function"}
	}
	if err := f(ctx); err != nil {
		return Yield{}, err
	}
	return Done, nil
}

// Close does nothing.
func (f Func) Close() error { return nil }

// String returns the function's name.
func (f Func) String() string { return funcName(f) }

// StepFunc is a [Task] that calls a function in each step. The function keeps its
// state in captured variables.
type StepFunc func(ctx context.Context) (Yield, error)

// Step calls f.
func (f StepFunc) Step(ctx context.Context) (Yield, error) {
	if f == nil {
		return Yield{}, &OptionError{Option: "StepFunc", Reason: "nil function"}
	}
	return f(ctx)
}

// Close does nothing.
func (f StepFunc) Close() error { return nil }

// String returns the function's name.
func (f StepFunc) String() string { return funcName(f) }

// Pause returns a [Task] that yields y once and is then done.
func Pause(y Yield) Task { return &pause{y: y} }

type pause struct {
	y     Yield
	steps int
}

func (p *pause) Step(context.Context) (Yield, error) {
	p.steps++
	switch p.steps {
	case 1:
		return p.y, nil
	case 2:
		return Done, nil
	}
	return Yield{}, &namedError{p.String(), ErrEnded}
}

func (p *pause) Close() error {
	p.steps = 2 // it can be used once
	return nil
}

func (p *pause) String() string { return "Pause(" + p.y.String() + ")" }

// stepTask steps the task in a place and holds it to the protocol.
func stepTask(ctx context.Context, place *Task) (Yield, error) {
	y, err := (*place).Step(ctx)
	if y.code == 0 && err == nil {
		return failTask(place, ErrNoYield)
	}
	return y, err
}

// throwInto throws err into the task in a place. By default nothing is swallowed: a
// task without Throw is closed and err comes back.
func throwInto(ctx context.Context, place *Task, err error) (Yield, error) {
	thrower, ok := lookFor[Thrower](*place)
	if !ok {
		return failTask(place, err)
	}
	y, e := thrower.Throw(ctx, err)
	if y.code == 0 && e == nil {
		return failTask(place, ErrNoYield)
	}
	return y, e
}

// failTask closes a task that has failed with err. If that would have to wait, one
// that closes it later takes its place.
func failTask(place *Task, err error) (Yield, error) {
	task := *place
	e := beginClose(task)
	if e == nil {
		return Yield{}, join(err, task.Close())
	}
	*place = &failedTask{task, err, e}
	y := Ending(e)
	y.code |= yieldFailed
	return y, nil
}

// failedTask stands in the place of a task that has failed, until its Close does not
// wait.
type failedTask struct {
	Task
	err   error
	waits *Event
}

func (t *failedTask) Step(context.Context) (Yield, error) {
	if t.waits = endPart(t.Task, t.waits); t.waits != nil {
		return Ending(t.waits), nil
	}
	return Yield{}, t.Close()
}

func (t *failedTask) Close() error       { return join(t.err, t.Task.Close()) }
func (t *failedTask) BeginClose() *Event { return beginClose(t.Task) }
func (t *failedTask) String() string     { return TaskDescription(t.Task) }
