package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// LateError is the error of a run that ended late, because calls had ignored the end
// of their contexts for a second or more by the system's clock. [Run],
// [TaskRunner.Run] and [Walk] put it around their error. A run that succeeds has
// none, and Err of the runner is without it.
type LateError struct {
	Err error // what the run ended with

	// Calls are the calls that ended late: the first five, in the order in which they
	// ended, and of those of one moment by Path. More is the number of the others.
	Calls []LateCall
	More  int
}

// LateCall is a call that returned late.
type LateCall struct {
	Path string        // of its node
	Task string        // what [TaskDescription] calls the call
	Late time.Duration // since its context had ended
}

// Error returns the text of Err, and a line with the calls.
func (e *LateError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\nlate: ", e.Err)
	for i, c := range e.Calls {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.String())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, ", and %d more", e.More)
	}
	return b.String()
}

// String says which call it is, and how late.
func (c LateCall) String() string {
	at := ""
	if c.Path != "" {
		at = c.Path + ": "
	}
	return fmt.Sprintf("%scall %s returned %v after its context had ended", at, c.Task, c.Late.Round(lateStep))
}

// Unwrap returns Err.
func (e *LateError) Unwrap() error { return e.Err }

const (
	lateAfter = time.Second
	lateStep  = time.Second / 10
	lateNamed = 5
)

// lateCalls are the calls of a run that returned late, of those whose time overlaps
// with that of the last one.
type lateCalls struct {
	calls    []LateCall
	ends     []int64 // of calls
	more     int
	returned int64 // the last one
}

// note keeps that a call has returned late.
func (l *lateCalls) note(c LateCall, returned int64) {
	if began := returned - int64(c.Late); l.returned < began {
		*l = lateCalls{} // of another end than this one
	}
	l.returned = max(l.returned, returned)
	at := len(l.calls)
	for at > 0 && l.ends[at-1] == returned && c.Path < l.calls[at-1].Path {
		at-- // which of them is noted first may be chance
	}
	l.calls, l.ends = slices.Insert(l.calls, at, c), slices.Insert(l.ends, at, returned)
	if len(l.calls) > lateNamed {
		l.calls, l.ends = l.calls[:lateNamed], l.ends[:lateNamed]
		l.more++
	}
}

// with returns the error of a run that has ended at an instant, with the calls that
// this has waited for.
func (l *lateCalls) with(err error, ended int64) error {
	if ended-l.returned >= int64(lateAfter) {
		return err
	}
	return &LateError{Err: err, Calls: l.calls, More: l.more}
}

// late returns the error of a run that has ended with the calls that this has waited
// for. In a call that has been told to end it is that call that is late, and the run
// around it says so.
func (r *TaskRunner) late(ctx context.Context, err error) error {
	if err == nil || r.pool.late.calls == nil {
		return err
	}
	if c, ok := ctx.Value(callKey{}).(*call); ok && (*callContext)(c).Err() != nil {
		return err
	}
	return r.pool.late.with(err, instantOf(r.clock))
}

// ends notes when the context ends, if the time is that of the process. The caller
// holds e.mu.
func (e *callEnd) ends() {
	if clock := clockOf(e.call.step); isSystemClock(clock) {
		e.endedAt = instantOf(clock)
	}
}

// returns notes how long after the end of its context the function has returned. It
// runs on the goroutine of the call.
func (e *callEnd) returns() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.endedAt != 0 {
		e.returnedAt = instantOf(clockOf(e.call.step))
	}
}

// noteLate keeps that the call has returned late, if it has. It runs on the driving
// goroutine, since it asks for keys and names.
func (c *call) noteLate(e *callEnd) {
	late := time.Duration(e.returnedAt - e.endedAt) // less than 0 if it has returned before
	p := poolOf(c.step)
	if late < lateAfter || p == nil {
		return
	}
	noted := LateCall{Task: TaskDescription(c), Late: late}
	if c.node != noNode {
		noted.Path = scopeOf(c.step).group.pathOf(c.node)
	}
	p.late.note(noted, e.returnedAt)
}
