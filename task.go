package scheduler

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Task is a resumable unit of work. Its driver calls Step repeatedly, on one goroutine,
// and attends to other tasks between two steps. Most tasks are written as ordinary Go,
// with [Func], [StepFunc], [Blocking] or [Wrap].
//
// The first Step starts a task. A started task ends exactly once: when Step or Throw
// returns [Done] or an error, or when Close is called. After that it is not called
// again. A task that never started is not closed.
//
// A task is used once, because it holds its own progress: make it where it starts, as
// the function given to a group or to [Retry] does. Tasks of this package, except Func,
// fail with [ErrEnded] when they are stepped again after their end, or by a second
// driver.
//
// A nil pointer is not a task, even if its type has the methods: whatever takes a task
// as an argument refuses it, as it does nil. Only a group does not look for it in what
// its function returns, since that would cost every node.
type Task interface {
	// Step advances the task to its next yield point and reports when to call
	// Step again. It must not block, since nothing else on its goroutine
	// continues until it returns. ctx is valid during this step only.
	Step(ctx context.Context) (Yield, error)

	// Close ends a task that has started and not ended. When it returns, no
	// goroutine and no call of the task is left.
	Close() error
}

// Thrower is a [Task] that can handle an error raised where it yielded: a [*Timeout],
// or an error passed to [TaskRunner.Interrupt]. Throw may return that error or another
// one, return [Done], or handle the error and continue by yielding, after a Timeout for
// its grace at most. An error thrown into a task without Throw closes the task and is
// its result.
type Thrower interface {
	Task
	Throw(ctx context.Context, err error) (Yield, error)
}

// Stopper is a [Task] that can be asked to end soon. Stop is called on the driving
// goroutine and must not block. It only asks: the task continues to be stepped until it
// ends, or until its grace has passed and it is closed.
type Stopper interface {
	Task
	Stop(ctx context.Context, cause error)
}

// Yield is the result of a step: the task is [Done], or wants its next step in a later
// round, at a time or after an [Event]. [Yield.Or] combines two into the earlier one. A
// zero Yield with a nil error fails the task with [ErrNoYield]. Yields are comparable
// with ==.
type Yield struct {
	// Four words and four fields: more would not stay in registers, which
	// makes every step several times slower.
	event *Event
	at    int64 // instant, with yieldAt
	after int64 // nanoseconds from the step on, with yieldAfter
	code  uint64
}

// code is a set of these, with the number of rounds above yieldShift.
const (
	yieldDone uint64 = 1 << iota
	yieldNext
	yieldRounds
	yieldAfter
	yieldAt
	yieldEvent
	yieldClaims // besides yieldEvent: all that it waits for is claims on Limiters
	yieldServes // besides yieldClaims: its times and rounds are those of services, which go on for ever
	yieldEnding // besides yieldEvent: it is ending already
	yieldFailed // besides yieldEnding: it has failed, whatever grace it has

	yieldShift = 10
)

var (
	// Done says that the task is complete.
	Done = Yield{code: yieldDone}

	// Next asks for a step in the next round.
	Next = Yield{code: yieldNext}
)

// Rounds asks for a step in the n-th round from now. Rounds(n) for n <= 1 is [Next].
func Rounds(n int) Yield {
	if n <= 1 {
		return Next
	}
	return Yield{code: yieldRounds | uint64(min(n, math.MaxInt32))<<yieldShift}
}

// After asks for a step once d has passed since the end of this one, by the run's
// clock.
func After(d time.Duration) Yield {
	return Yield{after: int64(d), code: yieldAfter}
}

// At asks for a step at the time t of the run's clock (see [Now]); at once if that is
// past.
func At(t time.Time) Yield {
	return Yield{at: instant(t), code: yieldAt}
}

// On asks for a step as soon as one of the events is set, at once if one is set
// already. It panics without an event.
func On(events ...*Event) Yield {
	if len(events) == 0 {
		panic("scheduler: On: no event")
	}
	for _, e := range events {
		if e == nil {
			panic("scheduler: On: nil event")
		}
	}
	if len(events) == 1 {
		return Yield{event: events[0], code: yieldEvent}
	}
	return Yield{event: anyOf(slices.Clone(events)), code: yieldEvent}
}

// Or returns a Yield that is due when y or z is, whichever is earlier. With
// [Done] it is Done.
func (y Yield) Or(z Yield) Yield {
	if (y.code|z.code)&yieldDone != 0 {
		return Done
	}
	r := Yield{code: (y.code | z.code) & (1<<yieldShift - 1)}
	if y.code != 0 && z.code != 0 {
		r.code &^= (yieldClaims | yieldServes | yieldEnding | yieldFailed) &^ (y.code & z.code)
	}
	if r.code&yieldNext != 0 {
		r.code &^= yieldRounds
	} else if r.code&yieldRounds != 0 {
		r.code |= earlier(y.rounds(), z.rounds()) << yieldShift
	}
	r.at = earlierOf(y.at, y.code&yieldAt, z.at, z.code&yieldAt)
	r.after = earlierOf(y.after, y.code&yieldAfter, z.after, z.code&yieldAfter)
	switch {
	case y.event == nil || y.event == z.event:
		r.event = z.event
	case z.event == nil:
		r.event = y.event
	default:
		r.event = anyOf([]*Event{y.event, z.event})
	}
	return r
}

// earlier returns the smaller of two numbers of rounds, 0 being none.
func earlier(m, n uint64) uint64 {
	if m == 0 || n != 0 && n < m {
		return n
	}
	return m
}

// earlierOf returns the smaller of those that are present.
func earlierOf(a int64, hasA uint64, b int64, hasB uint64) int64 {
	switch {
	case hasA == 0:
		return b
	case hasB == 0:
		return a
	}
	return min(a, b)
}

// rounds is Rounds without the conversions.
func (y Yield) rounds() uint64 {
	if y.code&yieldNext != 0 {
		return 1
	}
	return y.code >> yieldShift
}

// Rounds returns the number of rounds that y asks for, 1 for [Next], and 0 if
// it does not wait for rounds.
func (y Yield) Rounds() int { return int(y.rounds()) }

// Time returns the time that y waits for, and whether there is one. A Yield made by
// After has none: [TaskRunner.Due] returns the time that its driver made of it.
func (y Yield) Time() (time.Time, bool) {
	if y.code&yieldAt == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, y.at), true
}

// Ready reports whether y is due without consulting the clock: because its event is
// set, or because its time is long past.
func (y Yield) Ready() bool {
	return y.event != nil && y.event.IsSet() || y.code&yieldAt != 0 && y.at == past
}

// In returns how long after now y is due by its time, for a loop that waits by itself: 0
// if that has passed, or if y is Ready, Done or waits for rounds. It returns false if
// only an event makes y due. now is a time of the run's clock.
func (y Yield) In(now time.Time) (wait time.Duration, ok bool) {
	switch {
	case y.Ready(), y.code&yieldDone != 0, y.rounds() > 0:
		return 0, true
	case y.code&(yieldAt|yieldAfter) == 0:
		return 0, false
	}
	at := int64(time.Unix(0, y.at).Sub(now))
	return time.Duration(max(0, earlierOf(at, y.code&yieldAt, y.after, y.code&yieldAfter))), true
}

// String describes what y waits for.
func (y Yield) String() string {
	var parts []string
	add := func(has uint64, text string) {
		if y.code&has != 0 {
			parts = append(parts, text)
		}
	}
	add(yieldDone, "done")
	add(yieldNext, "next")
	add(yieldRounds, fmt.Sprintf("%d rounds", y.rounds()))
	add(yieldAfter, "after "+time.Duration(y.after).String())
	if y.at == past {
		add(yieldAt, "now")
	} else {
		add(yieldAt, "at "+time.Unix(0, y.at).UTC().Format(time.RFC3339Nano))
	}
	add(yieldEvent, "event")
	if len(parts) == 0 {
		return "no yield"
	}
	return strings.Join(parts, " or ")
}

// now is a Yield that is due whatever the clock says.
var now = Yield{at: past, code: yieldAt}

// absolute returns y with the time given by After made one of the clock.
func (y Yield) absolute(clock timeSource) Yield {
	if y.code&yieldAfter != 0 {
		at := later(instantOf(clock), time.Duration(y.after))
		y.at = earlierOf(y.at, y.code&yieldAt, at, yieldAt)
		y.code = y.code&^yieldAfter | yieldAt
		y.after = 0
	}
	if y.at == never {
		y.at = never - 1 // the end of the scale is a time, if a late one
	}
	return y
}

// Func is a [Task] that calls a function in its only step. The function must not block:
// use [Blocking] for one that does.
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

// Close does nothing: a Func ends in its first step.
func (f Func) Close() error { return nil }

// String returns the function's name.
func (f Func) String() string { return funcName(f) }

// StepFunc is a [Task] that calls a function in each step. The function keeps its state
// in captured variables; there is nothing to close.
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

// TaskDescription returns the name of a task in logs and errors: the result of its
// String method, the name of its function, or its type.
func TaskDescription(task any) string {
	if task == nil {
		return "nil"
	}
	if isNilPointer(task) {
		return "nil " + reflect.TypeOf(task).String()
	}
	if s, ok := task.(fmt.Stringer); ok {
		return s.String()
	}
	if reflect.TypeOf(task).Kind() == reflect.Func {
		return funcName(task)
	}
	return strings.TrimPrefix(reflect.TypeOf(task).String(), "*")
}

// isNil reports whether a task is nil, or a nil pointer in the guise of one. What takes a
// task as an argument refuses both.
func isNil(task Task) bool { return task == nil || isNilPointer(task) }

// errNil returns the error for a task that is nil, with the type of a nil pointer.
func errNil(task Task) error {
	if task == nil {
		return ErrNilTask
	}
	return &namedError{TaskDescription(task), ErrNilTask}
}

// mustHaveTask panics for a task that is nil.
func mustHaveTask(task Task, of string) {
	if isNil(task) {
		panic("scheduler: " + of + ": " + describeNil(task))
	}
}

// describeNil says which task is nil.
func describeNil(task Task) string {
	if task == nil {
		return "nil Task"
	}
	return TaskDescription(task) + " as Task"
}

// isNilPointer reports whether a value that is not nil is a pointer that is.
func isNilPointer(v any) bool {
	p := reflect.ValueOf(v)
	return p.Kind() == reflect.Pointer && p.IsNil()
}

// funcName returns a function's name without the path of its package.
func funcName(fn any) string {
	v := reflect.ValueOf(fn)
	if v.IsNil() {
		return "nil"
	}
	name := runtime.FuncForPC(v.Pointer()).Name() // "" if there is none
	name = name[strings.LastIndexByte(name, '/')+1:]
	name = strings.TrimSuffix(name, "-fm") // a method value
	if !strings.ContainsAny(name, "()[") {
		return name // most functions
	}
	return plainName.Replace(name)
}

// plainName takes out of a function's name how Go writes receivers and type
// parameters.
var plainName = strings.NewReplacer("(*", "", ")", "", "[...]", "")
