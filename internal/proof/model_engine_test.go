package proof_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// poll makes a Poll, or a PollCall.
func (e *modelEngine) poll(spec *modelSpec) scheduler.Task {
	made := 0
	call := func(context.Context) (bool, error) {
		c := spec.poll.next(&made)
		e.trace(spec.id, "asks", strconv.Itoa(made))
		e.clock.takes = c.takes
		return c.ready, c.err(spec.id)
	}
	every := time.Duration(spec.poll.every)
	if !spec.poll.value {
		return scheduler.Poll(every, call)
	}
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		asked, err := scheduler.PollCall(co, every, func(ctx context.Context) (int, bool, error) {
			ready, err := call(ctx)
			return made, ready, err
		})
		if err == nil && asked != made {
			return modelErr("another value")
		}
		return err
	})
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
			return fmt.Sprint(err.Key) + ":" + e.render(err.Err)
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
			e.b = append(e.b, modelNotes(e.render, model.Notes(notes))...)
		}
		for _, err := range g.Errors() {
			e.b = append(e.b, ' ')
			e.b = append(e.b, e.render(err)...)
		}
		e.b = append(e.b, '\n')
	}
}

func (e *modelEngine) task(spec *modelSpec) scheduler.Task {
	switch {
	case spec.group != nil:
		return e.group(spec)
	case spec.shield != nil:
		return scheduler.Shield(e.task(spec.shield))
	case spec.timed != nil:
		e.trace(spec.id, "limit", strconv.FormatInt(spec.timed.limit, 10))
		return scheduler.WithTimeout(time.Duration(spec.timed.limit), e.task(spec.timed.task))
	case spec.retry != nil:
		return e.retry(spec)
	case spec.poll != nil:
		return e.poll(spec)
	case spec.claims != nil:
		return scheduler.Claiming(e.claims(spec.claims.weights), e.task(spec.claims.task))
	case spec.first != nil:
		e.trace(spec.id, "first", "")
		return scheduler.First(e.tasks(spec.first)...)
	case spec.all != nil:
		e.trace(spec.id, "all", "")
		return scheduler.All(e.tasks(spec.all)...)
	case spec.runner != nil:
		r := spec.runner
		progressed := 0
		runner := scheduler.NewTaskRunner(e.task(r.task), &scheduler.RunnerOptions{
			Timeout: time.Duration(r.timeout), Grace: time.Duration(r.grace),
			Progress: func(context.Context) error {
				if progressed++; progressed == r.progressFails {
					return modelErr("p" + strconv.Itoa(spec.id))
				}
				return nil
			},
		})
		e.runners = append(e.runners, runner)
		return runner.AsTask(time.Duration(r.asTask))
	}
	leaf := modelEngineLeaf{e: e, s: modelScript{leaf: spec.leaf, world: e, id: spec.id}}
	task, script := leaf.task()
	if spec.leaf.deaf > 0 {
		return modelEngineCloser{task, &modelEngineDeaf{e: e, s: script}}
	}
	return task
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

func (e *modelEngine) claims(weights []int) (claims []scheduler.Claim) {
	for i, weight := range weights {
		if weight > 0 {
			claims = append(claims, scheduler.Claim{Limiter: e.limiters[i], Weight: weight})
		}
	}
	return claims
}

func (e *modelEngine) tasks(specs []*modelSpec) []scheduler.Task {
	var tasks []scheduler.Task
	for _, spec := range specs {
		tasks = append(tasks, e.task(spec))
	}
	return tasks
}

// retry makes a Retry whose attempts and pauses are those of a specification.
func (e *modelEngine) retry(spec *modelSpec) scheduler.Task {
	return scheduler.Retry(&modelPauses{retry: spec.retry}, func(attempt int, last error) scheduler.Task {
		e.trace(spec.id, "attempt "+strconv.Itoa(attempt), e.render(last))
		if attempt > len(spec.retry.tasks) {
			return nil
		}
		return e.task(spec.retry.tasks[attempt-1])
	})
}

// modelPauses are those of a Retry.
type modelPauses struct {
	retry *modelRetry
	used  int
}

func (p *modelPauses) NextBackOff() time.Duration { return time.Duration(p.retry.next(&p.used)) }

// task returns the leaf with the abilities that it has.
func (l modelEngineLeaf) task() (scheduler.Task, *modelScript) {
	spec := l.s.leaf
	leaf := &l
	switch {
	case spec.throws && spec.stops:
		return &modelEngineBoth{modelEngineStopper{leaf}}, &leaf.s
	case spec.throws:
		return &modelEngineThrower{leaf}, &leaf.s
	case spec.stops:
		return &modelEngineStopper{leaf}, &leaf.s
	}
	return leaf, &leaf.s
}

// modelEngineDeaf is how a leaf takes some time to end once it is asked to.
type modelEngineDeaf struct {
	e      *modelEngine
	s      *modelScript
	closed scheduler.Event
}

func (d *modelEngineDeaf) BeginClose() *scheduler.Event {
	if d.s.until == 0 {
		d.e.deaf = append(d.e.deaf, d)
	}
	d.s.beginClose(d.e.now())
	return &d.closed
}

// modelEngineCloser is a deaf leaf.
type modelEngineCloser struct {
	scheduler.Task
	*modelEngineDeaf
}

func (c modelEngineCloser) Unwrap() scheduler.Task { return c.Task }

func (e *modelEngine) group(spec *modelSpec) scheduler.Task {
	return e.groupOf(spec, modelDependencies(spec.group.requires))
}

// modelDependencies returns the graph, its nodes entered in their order.
func modelDependencies(requires [][]int) *scheduler.Dependencies[int] {
	deps := scheduler.NewDependencies[int]()
	for k := range requires {
		deps.Add(k)
	}
	for k, required := range requires {
		deps.Add(k, required...)
	}
	return deps
}

func (e *modelEngine) groupOf(spec *modelSpec, deps *scheduler.Dependencies[int]) *scheduler.DependencyTaskGroup[int] {
	s := spec.group
	opts := &scheduler.GroupOptions[int]{
		Reverse: s.reverse, AggregateErrors: s.aggregate, Grace: time.Duration(s.grace),
		Limit: s.limit, Budget: s.budget, KeepOpen: s.open, RecoverPanics: s.recover,
		Name: strconv.Itoa(spec.id), Observer: modelObserver{e, spec.id},
	}
	if s.graces != nil {
		opts.GraceFor = func(k int) time.Duration {
			e.trace(spec.id, "asked for grace of "+strconv.Itoa(k), "")
			return time.Duration(s.graces[k])
		}
	}
	if s.onError != nil {
		opts.OnError = func(k int, _ error) scheduler.Disposition { return s.onError[k] }
	}
	if s.timeouts != nil {
		opts.Timeout = func(k int) time.Duration { return time.Duration(s.timeouts[k]) }
	}
	if s.claims != nil {
		opts.Claims = func(k int) []scheduler.Claim {
			e.trace(spec.id, "asked for claims of "+strconv.Itoa(k), "")
			return e.claims(s.claims[k])
		}
	}
	if s.priorities != nil {
		opts.Priority = func(k int) int { return int(s.priorities[k]) }
	}
	if s.estimates != nil {
		opts.Estimate = func(k int) time.Duration { return time.Duration(s.estimates[k]) }
	}
	if s.completed != nil {
		opts.Completed = func(k int) bool { return s.completed[k] }
	}
	if s.when != nil {
		opts.When = func(k int, required iter.Seq2[int, scheduler.State]) scheduler.Verdict {
			var states []int
			for _, state := range required {
				states = append(states, int(state))
			}
			e.trace(spec.id, "asked when of "+strconv.Itoa(k), fmt.Sprint(states))
			return s.when[k].verdict(states)
		}
	}
	g, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task { return e.task(s.nodes[k]) }, opts)
	if err != nil {
		panic(err)
	}
	e.groups, e.specs = append(e.groups, g), append(e.specs, spec)
	return g
}

type modelObserver struct {
	e  *modelEngine
	id int
}

// ObserveGroup watches the group that it is made for, and not those inside.
func (o modelObserver) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if begun.Group().Name() != strconv.Itoa(o.id) {
		return nil
	}
	return o
}

func (o modelObserver) Observe(t scheduler.Record) {
	if t.Kind != scheduler.NodeChanged {
		return
	}
	o.e.transition(o.id, t.Key().(int), int(t.From), int(t.To), o.e.render(t.Err))
}

type modelEngineLeaf struct {
	e *modelEngine
	s modelScript
}

func (l *modelEngineLeaf) Step(ctx context.Context) (scheduler.Yield, error) {
	return l.answer(ctx, nil)
}

func (l *modelEngineLeaf) Close() error { return l.s.close() }

func (l *modelEngineLeaf) answer(ctx context.Context, thrown error) (scheduler.Yield, error) {
	l.e.ctx = ctx
	act := l.s.enter(thrown)
	if act.does == modelPanics {
		panic(modelPanic(l.s.id))
	}
	if err := l.s.failure(act); err != nil {
		switch act.does {
		case modelFailsForGood:
			err = scheduler.Permanent(err)
		case modelFailsFor:
			err = scheduler.RetryAfter(err, time.Duration(act.n))
		default:
		}
		return scheduler.Yield{}, err
	}
	switch act.does {
	case modelNext:
		return scheduler.Next, nil
	case modelRounds:
		return scheduler.Rounds(act.n), nil
	case modelAfter:
		return scheduler.After(time.Duration(act.n)), nil
	case modelEvent:
		return scheduler.On(&l.e.events[act.n%len(l.e.events)]), nil
	case modelEither:
		return scheduler.After(time.Duration(act.n)).Or(scheduler.Rounds(act.n)).
			Or(scheduler.On(&l.e.events[act.n%len(l.e.events)])), nil
	case modelNothing:
		return scheduler.Yield{}, nil
	case modelSkips:
		return scheduler.Yield{}, scheduler.ErrSkip
	case modelEnding:
		return scheduler.Ending(&l.e.events[act.n%len(l.e.events)]), nil
	case modelEnds, modelFails, modelObeys, modelFailsForGood, modelFailsFor, modelPanics:
	}
	return scheduler.Done, nil
}

type modelEngineThrower struct{ *modelEngineLeaf }

func (l *modelEngineThrower) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	return l.answer(ctx, err)
}

type modelEngineStopper struct{ *modelEngineLeaf }

func (l *modelEngineStopper) Stop(_ context.Context, cause error) { l.s.stop(cause) }

type modelEngineBoth struct{ modelEngineStopper }

func (l *modelEngineBoth) Throw(ctx context.Context, err error) (scheduler.Yield, error) {
	return l.answer(ctx, err)
}
