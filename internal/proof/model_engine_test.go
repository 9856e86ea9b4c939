package proof_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/model"
)

type modelEngine struct {
	modelTrace
	clock   modelEngineClock
	events  []scheduler.Event
	runners []*scheduler.TaskRunner
	groups  []*scheduler.DependencyTaskGroup[int]
	specs   []*modelSpec
	late    lateNodes
	deaf    []*modelEngineDeaf // that were asked to close
	ctx     context.Context    // of the step under way

	limiters   []*scheduler.Limiter
	capacities []int
}

// modelEngineClock makes the calls of Polls. They do what they do at once, and return when
// their time has come.
type modelEngineClock struct {
	t     int64
	takes int64 // of the last call
	calls []modelEngineCall
}

type modelEngineCall struct {
	until int64
	call  *scheduler.PendingCall
}

func (c *modelEngineClock) Call(call *scheduler.PendingCall) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		call.Run(call.Context())
	}()
	<-done
	c.calls = append(c.calls, modelEngineCall{c.t + c.takes, call})
}

func (c *modelEngineClock) Await(call *scheduler.PendingCall) {
	c.calls = slices.DeleteFunc(c.calls, func(of modelEngineCall) bool { return of.call == call })
	call.End()
}

func (c *modelEngineClock) Now() time.Time { return time.Unix(0, c.t) }

func (c *modelEngineClock) Wait(time.Time, <-chan struct{}) { panic("the test drives it") }

func newModelEngine(run *modelRun) *modelEngine {
	e := emptyModelEngine(run)
	e.runners = append(e.runners, nil)
	e.runners[0] = scheduler.NewTaskRunner(e.task(run.root), &scheduler.RunnerOptions{
		Name: "root", Clock: &e.clock, Grace: time.Duration(run.grace),
	})
	return e
}

// emptyModelEngine is one that has no runner yet.
func emptyModelEngine(run *modelRun) *modelEngine {
	e := &modelEngine{events: make([]scheduler.Event, run.events), capacities: run.capacities}
	e.clock.t = modelStart
	for i, capacity := range run.capacities {
		opts := scheduler.LimiterOptions{Capacity: capacity}
		if run.intervals != nil {
			opts.Interval = time.Duration(run.intervals[i])
		}
		e.limiters = append(e.limiters, scheduler.NewLimiter(opts))
	}
	return e
}

func (e *modelEngine) written() []byte { return e.b }

func (e *modelEngine) now() int64 { return e.clock.t }

func (e *modelEngine) trace(id int, what, detail string) { e.add(id, what, detail, e.clock.t) }

func (e *modelEngine) deafUntil() (at int64) {
	for _, d := range e.deaf {
		if at == 0 || d.s.until < at {
			at = d.s.until
		}
	}
	for _, c := range e.clock.calls {
		if at == 0 || c.until < at {
			at = c.until
		}
	}
	return at
}

func (e *modelEngine) advance(by int64) {
	e.clock.t += by
	e.deaf = slices.DeleteFunc(e.deaf, func(d *modelEngineDeaf) bool {
		if e.clock.t < d.s.until {
			return false
		}
		d.closed.Set()
		return true
	})
	e.clock.calls = slices.DeleteFunc(e.clock.calls, func(c modelEngineCall) bool {
		if e.clock.t < c.until {
			return false
		}
		c.call.End()
		return true
	})
}

func (e *modelEngine) touch(event int) {
	if event > 0 {
		e.events[event-1].Set()
	} else {
		e.events[-event-1].Reset()
	}
}

func (e *modelEngine) render(err error) string {
	return modelRendered(err, func(err error) string {
		switch err := err.(type) { //nolint:errorlint // One level at a time.
		case *scheduler.TaskError:
			return modelKey(err.Key) + ":" + e.render(err.Err)
		case *scheduler.ExceptionGroup:
			return "group"
		case *scheduler.Timeout:
			return modelTimeout(e.render, model.Notes(err.Notes))
		case *scheduler.StopError:
			return e.render(err.Cause)
		case modelErr:
			return string(err)
		case *scheduler.AddError:
			return e.render(err.Unwrap())
		case *scheduler.OptionError:
			return err.Reason
		case *scheduler.PanicError:
			return fmt.Sprint("panic ", err.Value)
		case *scheduler.DeadlockError:
			return "deadlock"
		case interface{ Unwrap() []error }:
			return "join"
		}
		switch err := err.(type) { //nolint:errorlint // One level at a time.
		case interface{ Permanent() bool }:
			return "for good " + e.render(errors.Unwrap(err.(error)))
		case interface{ RetryAfter() time.Duration }:
			return "for now " + e.render(errors.Unwrap(err.(error)))
		}
		if inner := errors.Unwrap(err); inner != nil {
			return e.render(inner)
		}
		switch {
		case errors.Is(err, scheduler.ErrNoYield):
			return "no yield"
		}
		return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "scheduler: "), "already ")
	})
}

func (e *modelEngine) start(timeout int64) error {
	return e.runners[0].Start(context.Background(), time.Duration(timeout))
}

func (e *modelEngine) step() (bool, error) { return e.runners[0].Step(context.Background()) }

func (e *modelEngine) done() bool { return e.runners[0].Done() }

func (e *modelEngine) due() (rounds bool, at int64, ready bool) {
	due := e.runners[0].Due()
	if t, ok := due.Time(); ok && !due.Ready() {
		at = t.UnixNano()
	}
	return due.Rounds() > 0, at, due.Ready()
}

func (e *modelEngine) op(what modelWhat, n int) {
	r := e.runners[n%len(e.runners)]
	switch what {
	case modelInterrupt:
		r.Interrupt(modelErr("i" + strconv.Itoa(n)))
	case modelKill:
		r.Kill()
	case modelStop:
		r.Stop(modelErr("s" + strconv.Itoa(n)))
	case modelCancel:
		e.trace(0, "cancelled", e.render(r.Cancel()))
	case modelCancelAfter:
		r.CancelAfter(time.Duration(n))
	case modelAdvance:
		e.advance(int64(n))
	case modelSet:
		if len(e.events) > 0 {
			e.events[n%len(e.events)].Set()
		}
	case modelReset:
		if len(e.events) > 0 {
			e.events[n%len(e.events)].Reset()
		}
	case modelDrain:
		if len(e.groups) > 0 {
			e.groups[n%len(e.groups)].Drain()
		}
	case modelAdd:
		e.addTo(n)
	case modelCapacity:
		if len(e.limiters) > 0 {
			i := n % len(e.limiters)
			e.limiters[i].SetCapacity(n / len(e.limiters) % (e.capacities[i] + 1))
		}
	case modelStopNode, modelSkipNode:
		e.order(what, n)
	case modelCloseInput:
		if len(e.groups) > 0 {
			e.groups[n%len(e.groups)].CloseInput()
		}
	case modelPost:
		accepted := e.runners[0].Post(func() {
			e.trace(0, "posted", "")
			switch n % 3 {
			case 1:
				e.op(modelDrain, n)
			case 2:
				e.runners[0].Stop(modelErr("p"))
			}
		})
		e.trace(0, "post", strconv.FormatBool(accepted))
	case modelEarly:
	}
}

func (e *modelEngine) ready() { scheduler.Ready(e.ctx) }

func (e *modelEngine) note(text string) { scheduler.Note(e.ctx, text) }

// order tells a node to end.
func (e *modelEngine) order(what modelWhat, n int) {
	if len(e.groups) == 0 {
		return
	}
	g, spec := e.groups[n%len(e.groups)], e.specs[n%len(e.groups)]
	if g.Len() == 0 {
		return
	}
	k, told := n/len(e.groups)%g.Len(), false
	if what == modelStopNode {
		told = g.StopNode(k, modelErr("o"+strconv.Itoa(n)))
	} else {
		told = g.SkipNode(k, modelErr("o"+strconv.Itoa(n)))
	}
	e.trace(spec.id, "order "+strconv.Itoa(k), strconv.FormatBool(told))
}

func (e *modelEngine) made() int { return len(e.groups) }

// addTo adds the next node of a group, or closes its input after the last one.
func (e *modelEngine) addTo(n int) {
	if len(e.groups) == 0 {
		return
	}
	i := n % len(e.groups)
	g, spec := e.groups[i], e.specs[i]
	k, requires, ok := e.late.next(i, spec.group)
	if !ok {
		g.CloseInput()
		return
	}
	err := g.Add(k, requires...)
	if err == nil {
		e.late.added[i]++
	}
	e.trace(spec.id, "adds", e.render(err))
}

func (e *modelEngine) finish() {
	for i, r := range e.runners {
		if r.Done() {
			e.trace(i, "err", e.render(r.Err()))
		} else {
			e.trace(i, "not done", "")
		}
	}
	for i, g := range e.groups {
		e.b = append(e.b, "group "...)
		e.b = strconv.AppendInt(e.b, int64(e.specs[i].id), 10)
		for k := range g.Len() {
			e.b = append(e.b, ' ')
			e.b = strconv.AppendInt(e.b, int64(g.State(k)), 10)
			e.b = strconv.AppendBool(e.b, g.Started(k))
			var notes scheduler.Notes
			if g.State(k) != scheduler.StateSucceeded { // else nothing is promised of them
				notes = g.ExplainNode(k).Notes
			}
			e.b = appendNotes(e.b, model.Notes(notes), e.render(notes.Last))
		}
		for _, err := range g.Errors() {
			e.b = append(e.b, ' ')
			e.b = append(e.b, e.render(err)...)
		}
		e.b = append(e.b, '\n')
	}
}

func (e *modelEngine) usage() (text string) {
	for _, l := range e.limiters {
		text += fmt.Sprintf(" %d/%d", l.InUse(), l.Waiting())
	}
	return text
}

func (e *modelEngine) restore() {
	for i, l := range e.limiters {
		l.SetCapacity(e.capacities[i])
	}
}
