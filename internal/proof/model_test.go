package proof_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/model"
	"github.com/stretchr/testify/require"
)

// This file runs the engine and the model side by side. A run is data (modelRun):
// either side builds its tasks from it, is driven the same way, and writes down
// what it sees. The two traces must be the same.

// modelAct is what a leaf does when it is entered.
type modelAct struct {
	does  modelDoes
	n     int   // rounds, seconds, or the number of an event
	takes int64 // how long the step takes
	touch int   // an event that is set (1, 2, ...) or reset (-1, -2, ...)
}

type modelDoes int

const (
	modelEnds modelDoes = iota
	modelNext
	modelFails
	modelRounds
	modelAfter
	modelEvent
	modelEither  // after n seconds, n rounds, or on an event
	modelNothing // no yield
	modelSkips
	modelObeys     // fails with the cause of its notice
	modelKinds int = iota
)

// modelLeaf is a task that follows a script: one act each time it is entered, and
// after the last it ends.
type modelLeaf struct {
	acts       []modelAct
	throws     bool // an error thrown in enters it
	stops      bool // it takes notice
	closeFails bool
}

type modelGroup struct {
	requires           [][]int
	nodes              []*modelSpec
	reverse, aggregate bool
	grace              int64
	graces             []int64
	onError            []scheduler.Disposition
	timeouts           []int64
	limit              int
	estimates          []int64
	completed          []bool
	budget             int
}

type modelRunner struct {
	task                   *modelSpec
	timeout, asTask, grace int64
	progressFails          int
}

// modelSpec is one of these.
type modelSpec struct {
	id     int
	leaf   *modelLeaf
	group  *modelGroup
	runner *modelRunner
}

// modelOp is what happens from outside before a step.
type modelOp struct {
	step int
	what modelWhat
	n    int // of a runner, an event or a group; or seconds
}

type modelWhat int

const (
	modelInterrupt modelWhat = iota
	modelStop
	modelCancel
	modelCancelAfter
	modelSet
	modelReset
	modelAdvance
	modelInterruptClosed
	modelEarly // an attempt to step that comes too early
	modelDrain
	modelWhats int = iota
)

type modelRun struct {
	root           *modelSpec
	timeout, grace int64
	wait           int64
	events         int
	ops            []modelOp
	specs          int
}

// modelErr is an error of a task or from outside.
type modelErr string

func (e modelErr) Error() string { return string(e) }

const modelStart = 1_000_000 // when the clock starts

// modelTrace is what one side writes down.
type modelTrace struct{ b []byte }

func (t *modelTrace) add(id int, what, detail string, now int64) {
	t.b = strconv.AppendInt(t.b, int64(id), 10)
	t.b = append(t.b, ' ')
	t.b = append(t.b, what...)
	if detail != "" {
		t.b = append(t.b, ' ')
		t.b = append(t.b, detail...)
	}
	t.b = append(t.b, " @"...)
	t.b = strconv.AppendInt(t.b, now-modelStart, 10)
	t.b = append(t.b, '\n')
}

// modelScript is a leaf on its way; the two sides have one each.
type modelScript struct {
	leaf  *modelLeaf
	world modelWorld
	id    int
	at    int
	cause error
}

// modelWorld is what tasks see of a side.
type modelWorld interface {
	trace(id int, what, detail string)
	advance(by int64)
	touch(event int)
	render(err error) string
}

// enter is a step of the leaf, or an error thrown into it.
func (s *modelScript) enter(thrown error) modelAct {
	if thrown != nil {
		s.world.trace(s.id, "throw", s.world.render(thrown))
	} else {
		s.world.trace(s.id, "step", "")
	}
	var act modelAct
	if s.at < len(s.leaf.acts) {
		act = s.leaf.acts[s.at]
	}
	s.at++
	s.world.advance(act.takes)
	if act.touch != 0 {
		s.world.touch(act.touch)
	}
	return act
}

func (s *modelScript) failure(act modelAct) error {
	switch {
	case act.does == modelObeys && s.cause != nil:
		return s.cause
	case act.does == modelFails || act.does == modelObeys:
		return modelErr("x" + strconv.Itoa(s.id))
	}
	return nil
}

func (s *modelScript) stop(cause error) {
	s.world.trace(s.id, "stop", s.world.render(cause))
	s.cause = cause
}

func (s *modelScript) close() error {
	s.world.trace(s.id, "close", "")
	if s.leaf.closeFails {
		return modelErr("c" + strconv.Itoa(s.id))
	}
	return nil
}

// modelRendered writes an error down; leaves of other kinds are up to one.
func modelRendered(err error, one func(error) string) string {
	if err == nil {
		return "ok"
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var parts []string
		for _, e := range joined.Unwrap() {
			parts = append(parts, modelRendered(e, one))
		}
		return one(err) + "{" + strings.Join(parts, " ") + "}"
	}
	return one(err)
}

// modelSide is a side as it is driven.
type modelSide interface {
	modelWorld
	start(timeout int64) error
	step() (bool, error)
	due() (rounds bool, at int64, ready bool)
	op(what modelWhat, n int)
	done() bool
	now() int64
	finish()
	written() []byte
}

// modelStepsMax is more than any run takes.
const modelStepsMax = 2000

// drive runs a side to its end: it steps the root, does what is to happen from
// outside, and lets the time pass that a loop would sleep.
func (run *modelRun) drive(s modelSide) []byte {
	err := s.start(run.timeout)
	s.trace(0, "started", s.render(err))
	for step := 1; !s.done(); step++ {
		if step > modelStepsMax {
			s.trace(0, "endless", "")
			break
		}
		early := false
		for _, op := range run.ops {
			if op.step == step {
				early = early || op.what == modelEarly
				s.op(op.what, op.n)
			}
		}
		if s.done() {
			break
		}
		rounds, at, ready := s.due()
		switch now := s.now(); {
		case ready || early:
		case rounds && (at == 0 || now+run.wait < at):
			s.advance(run.wait)
		case at > now:
			s.advance(at - now)
		case at == 0: // it would sleep for ever
			s.trace(0, "asleep", "")
			if step >= 100 { // the last resort
				s.op(modelCancel, 0)
				continue
			}
			for e := range run.events {
				s.touch(e + 1)
			}
			s.op(modelEarly, 0)
			if _, _, ready := s.due(); !ready && step > 50 {
				s.op(modelInterrupt, 0)
			}
		}
		done, err := s.step()
		if done || err != nil {
			s.trace(0, "ended", s.render(err))
		}
	}
	s.finish()
	return s.written()
}

////////// The engine's side

type modelEngine struct {
	modelTrace
	clock   modelEngineClock
	events  []scheduler.Event
	runners []*scheduler.TaskRunner
	groups  []*scheduler.DependencyTaskGroup[int]
	ids     []int
}

type modelEngineClock struct{ t int64 }

func (c *modelEngineClock) Now() time.Time                  { return time.Unix(0, c.t) }
func (c *modelEngineClock) Wait(time.Time, <-chan struct{}) { panic("the test drives it") }

func newModelEngine(run *modelRun) *modelEngine {
	e := &modelEngine{events: make([]scheduler.Event, run.events)}
	e.clock.t = modelStart
	e.runners = append(e.runners, nil)
	e.runners[0] = scheduler.NewTaskRunner(e.task(run.root), &scheduler.RunnerOptions{
		Name: "root", Clock: &e.clock, Grace: time.Duration(run.grace),
	})
	return e
}

func (e *modelEngine) written() []byte { return e.b }
func (e *modelEngine) now() int64      { return e.clock.t }

func (e *modelEngine) trace(id int, what, detail string) { e.add(id, what, detail, e.clock.t) }

func (e *modelEngine) advance(by int64) { e.clock.t += by }

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
			return "timeout"
		case modelErr:
			return string(err)
		case interface{ Unwrap() []error }:
			return "join"
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
func (e *modelEngine) done() bool          { return e.runners[0].Done() }

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
	case modelInterruptClosed:
		r.Interrupt(scheduler.ErrClosed)
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
	case modelEarly:
	}
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
		e.b = strconv.AppendInt(e.b, int64(e.ids[i]), 10)
		for k := range g.Len() {
			e.b = append(e.b, ' ')
			e.b = strconv.AppendInt(e.b, int64(g.State(k)), 10)
			e.b = strconv.AppendBool(e.b, g.Started(k))
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
	switch {
	case spec.leaf.throws && spec.leaf.stops:
		return &modelEngineBoth{modelEngineStopper{leaf}}
	case spec.leaf.throws:
		return &modelEngineThrower{leaf}
	case spec.leaf.stops:
		return &modelEngineStopper{leaf}
	}
	return &leaf
}

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
		Reverse: s.reverse, AggregateErrors: s.aggregate, ErrorWaitTime: time.Duration(s.grace),
		Limit: s.limit, Budget: s.budget,
		Observer: modelObserver{e, spec.id},
	}
	if s.graces != nil {
		opts.ErrorWaitTimeFor = func(k int) time.Duration {
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
	if s.estimates != nil && s.limit > 0 {
		opts.Estimate = func(k int) time.Duration { return time.Duration(s.estimates[k]) }
	}
	if s.completed != nil {
		opts.Completed = func(k int) bool { return s.completed[k] }
	}
	g, err := scheduler.NewDependencyTaskGroup(deps, func(k int) scheduler.Task { return e.task(s.nodes[k]) }, opts)
	if err != nil {
		panic(err)
	}
	e.groups, e.ids = append(e.groups, g), append(e.ids, spec.id)
	return g
}

type modelObserver struct {
	e  *modelEngine
	id int
}

func (o modelObserver) Observe(t scheduler.Transition) {
	o.e.transition(o.id, t.Key().(int), int(t.From), int(t.To), o.e.render(t.Err))
}

// transition writes a change of state down.
func (t *modelTrace) transition(id, k, from, to int, err string) {
	t.b = strconv.AppendInt(append(t.b, "group "...), int64(id), 10)
	t.b = strconv.AppendInt(append(t.b, " node "...), int64(k), 10)
	t.b = append(t.b, ' ', byte('0'+from), '>', byte('0'+to), ' ')
	t.b = append(append(t.b, err...), '\n')
}

type modelEngineLeaf struct {
	e *modelEngine
	s modelScript
}

func (l *modelEngineLeaf) Step(context.Context) (scheduler.Yield, error) { return l.answer(nil) }
func (l *modelEngineLeaf) Close() error                                  { return l.s.close() }

func (l *modelEngineLeaf) answer(thrown error) (scheduler.Yield, error) {
	act := l.s.enter(thrown)
	if err := l.s.failure(act); err != nil {
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
	case modelEnds, modelFails, modelObeys:
	}
	return scheduler.Done, nil
}

type modelEngineThrower struct{ modelEngineLeaf }

func (l *modelEngineThrower) Throw(_ context.Context, err error) (scheduler.Yield, error) {
	return l.answer(err)
}

type modelEngineStopper struct{ modelEngineLeaf }

func (l *modelEngineStopper) Stop(_ context.Context, cause error) { l.s.stop(cause) }

type modelEngineBoth struct{ modelEngineStopper }

func (l *modelEngineBoth) Throw(_ context.Context, err error) (scheduler.Yield, error) {
	return l.answer(err)
}

////////// The model's side

type modelModel struct {
	modelTrace
	clock   model.Clock
	events  []model.Event
	runners []*model.Runner
	groups  []*model.Group
	specs   []*modelSpec
}

func newModelModel(run *modelRun) *modelModel {
	m := &modelModel{events: make([]model.Event, run.events)}
	m.clock.Now = modelStart
	m.runners = append(m.runners, &model.Runner{Clock: &m.clock, Grace: run.grace})
	m.runners[0].Task = m.task(run.root)
	return m
}

func (m *modelModel) written() []byte                   { return m.b }
func (m *modelModel) now() int64                        { return m.clock.Now }
func (m *modelModel) trace(id int, what, detail string) { m.add(id, what, detail, m.clock.Now) }
func (m *modelModel) advance(by int64)                  { m.clock.Now += by }
func (m *modelModel) start(timeout int64) error         { return m.runners[0].Start(timeout) }
func (m *modelModel) step() (bool, error)               { return m.runners[0].Step() }
func (m *modelModel) done() bool                        { return m.runners[0].Done() }

func (m *modelModel) touch(event int) {
	if event > 0 {
		m.events[event-1].Set()
	} else {
		m.events[-event-1].Reset()
	}
}

func (m *modelModel) render(err error) string {
	return modelRendered(err, func(err error) string {
		switch err := err.(type) { //nolint:errorlint // One level at a time.
		case *model.TaskError:
			return fmt.Sprint(err.Key) + ":" + m.render(err.Err)
		case *model.ExceptionGroup:
			return "group"
		case interface{ Unwrap() []error }:
			return "join"
		}
		return err.Error()
	})
}

func (m *modelModel) due() (rounds bool, at int64, ready bool) {
	due := m.runners[0].Due()
	return due.Rounds > 0, due.At, due.Ready != nil && due.Ready() || due.At != 0 && due.At <= model.Past+1
}

func (m *modelModel) op(what modelWhat, n int) {
	r := m.runners[n%len(m.runners)]
	switch what {
	case modelInterrupt:
		r.Interrupt(modelErr("i" + strconv.Itoa(n)))
	case modelInterruptClosed:
		r.Interrupt(model.ErrClosed)
	case modelStop:
		r.Stop(modelErr("s" + strconv.Itoa(n)))
	case modelCancel:
		m.trace(0, "cancelled", m.render(r.Cancel()))
	case modelCancelAfter:
		r.CancelAfter(int64(n))
	case modelAdvance:
		m.advance(int64(n))
	case modelSet:
		if len(m.events) > 0 {
			m.events[n%len(m.events)].Set()
		}
	case modelReset:
		if len(m.events) > 0 {
			m.events[n%len(m.events)].Reset()
		}
	case modelDrain:
		if len(m.groups) > 0 {
			m.groups[n%len(m.groups)].Drain()
		}
	case modelEarly:
	}
}

func (m *modelModel) finish() {
	for i, r := range m.runners {
		if r.Done() {
			m.trace(i, "err", m.render(r.Err()))
		} else {
			m.trace(i, "not done", "")
		}
	}
	for i, g := range m.groups {
		m.b = append(m.b, "group "...)
		m.b = strconv.AppendInt(m.b, int64(m.specs[i].id), 10)
		for k := range m.specs[i].group.nodes {
			m.b = append(m.b, ' ')
			m.b = strconv.AppendInt(m.b, int64(g.State(k)), 10)
			m.b = strconv.AppendBool(m.b, g.Started(k))
		}
		for _, err := range g.Errors() {
			m.b = append(m.b, ' ')
			m.b = append(m.b, m.render(err)...)
		}
		m.b = append(m.b, '\n')
	}
}

func (m *modelModel) task(spec *modelSpec) model.Task {
	switch {
	case spec.group != nil:
		return m.group(spec)
	case spec.runner != nil:
		r := spec.runner
		progressed := 0
		runner := &model.Runner{
			Clock: &m.clock, Task: m.task(r.task), Timeout: r.timeout, Grace: r.grace,
			Progress: func() error {
				if progressed++; progressed == r.progressFails {
					return modelErr("p" + strconv.Itoa(spec.id))
				}
				return nil
			},
		}
		m.runners = append(m.runners, runner)
		return runner.AsTask(r.asTask)
	}
	s := &modelScript{leaf: spec.leaf, world: m, id: spec.id}
	task := model.Task{
		Step:  func() (model.Yield, error) { return m.answer(s, nil) },
		Close: s.close,
	}
	if spec.leaf.throws {
		task.Throw = func(err error) (model.Yield, error) { return m.answer(s, err) }
	}
	if spec.leaf.stops {
		task.Stop = func(cause error, _ bool) { s.stop(cause) }
	}
	return task
}

func (m *modelModel) answer(s *modelScript, thrown error) (model.Yield, error) {
	act := s.enter(thrown)
	if err := s.failure(act); err != nil {
		return model.Yield{}, err
	}
	rounds := max(act.n, 1)
	at := m.clock.Now + int64(act.n)
	on := func() func() bool { return model.On(&m.events[act.n%len(m.events)]) }
	switch act.does {
	case modelNext:
		return model.Yield{Rounds: 1}, nil
	case modelRounds:
		return model.Yield{Rounds: rounds}, nil
	case modelAfter:
		return model.Yield{At: at}, nil
	case modelEvent:
		return model.Yield{Ready: on()}, nil
	case modelEither:
		return model.Yield{At: at, Rounds: rounds, Ready: on()}, nil
	case modelNothing:
		return model.Yield{}, nil
	case modelSkips:
		return model.Yield{}, model.ErrSkip
	case modelEnds, modelFails, modelObeys:
	}
	return model.Yield{Done: true}, nil
}

func (m *modelModel) group(spec *modelSpec) model.Task {
	s := spec.group
	opts := model.Options{
		Clock: &m.clock, Requires: s.requires, Reverse: s.reverse, Aggregate: s.aggregate, Limit: s.limit,
		Task: func(k int) model.Task { return m.task(s.nodes[k]) },
		Observe: func(k int, from, to model.State, err error) {
			m.transition(spec.id, k, int(from), int(to), m.render(err))
		},
	}
	if s.grace != 0 {
		opts.Grace = func(int) int64 { return s.grace }
	}
	if s.graces != nil {
		opts.Grace = func(k int) int64 {
			m.trace(spec.id, "asked for grace of "+strconv.Itoa(k), "")
			return s.graces[k]
		}
	}
	if s.onError != nil {
		opts.OnError = func(k int, _ error) model.Disposition { return model.Disposition(s.onError[k]) }
	}
	if s.timeouts != nil {
		opts.Timeout = func(k int) int64 { return s.timeouts[k] }
	}
	if s.estimates != nil && s.limit > 0 {
		opts.Estimate = func(k int) int64 { return s.estimates[k] }
	}
	if s.completed != nil {
		opts.Completed = func(k int) bool { return s.completed[k] }
	}
	g := model.NewGroup(opts)
	m.groups, m.specs = append(m.groups, g), append(m.specs, spec)
	return g.Task()
}

////////// Random runs

var (
	modelCases   = flag.Int("model.cases", unlessReduced(20_000, 2000), "random runs of TestModel_random")
	modelSeed    = flag.Uint64("model.seed", 0, "replay one random run of TestModel_random")
	modelChoices = flag.String("model.choices", "", "replay the run of TestModel_random with these choices")
)

// randomModelRun makes a run with everything that the model knows.
func randomModelRun(c *choices) *modelRun {
	run := &modelRun{events: 1 + c.pick(2), wait: int64(c.pick(3))}
	run.root = run.spec(c, 3)
	run.timeout = modelSpan(c, 3)
	run.grace = int64(c.pick(3) * c.pick(5))
	for range c.pick(4) {
		run.ops = append(run.ops, modelOp{step: 1 + c.pick(12), what: modelWhat(c.pick(modelWhats)), n: c.pick(6)})
	}
	return run
}

// modelSpan is a time limit: usually none, seldom a negative one.
func modelSpan(c *choices, n int) int64 {
	if !c.one(n) {
		return 0
	}
	return int64(c.pick(12)) - 1
}

func (run *modelRun) spec(c *choices, depth int) *modelSpec {
	run.specs++
	spec := &modelSpec{id: run.specs}
	kinds := 1
	if depth > 0 {
		kinds = 4
	}
	switch kind := c.pick(kinds); {
	case kind == 1 || kind == 2 || depth == 3 && kind == 0:
		spec.group = run.groupSpec(c, depth-1)
	case kind == 3:
		spec.runner = &modelRunner{
			task: run.spec(c, depth-1), timeout: modelSpan(c, 3), asTask: modelSpan(c, 3),
			grace: int64(c.pick(3) * c.pick(5)), progressFails: c.pick(2) * c.pick(6),
		}
	default:
		spec.leaf = run.leafSpec(c)
	}
	return spec
}

func (run *modelRun) leafSpec(c *choices) *modelLeaf {
	leaf := &modelLeaf{throws: c.one(2), stops: c.one(2), closeFails: c.one(8)}
	for range c.pick(5) {
		act := modelAct{does: modelDoes(c.pick(modelKinds)), n: c.pick(5)}
		if c.one(6) {
			act.takes = int64(c.pick(4))
		}
		if c.one(5) {
			act.touch = c.pick(2*run.events) - run.events
			if act.touch >= 0 {
				act.touch++
			}
		}
		leaf.acts = append(leaf.acts, act)
	}
	return leaf
}

func (run *modelRun) groupSpec(c *choices, depth int) *modelGroup {
	g := &modelGroup{reverse: c.one(2), aggregate: c.one(3)}
	n := c.pick(6)
	order := make([]int, n) // so that edges go either way
	for k := range n {
		at := c.pick(k + 1)
		copy(order[at+1:], order[at:k])
		order[at] = k
	}
	g.requires = make([][]int, n)
	for i := range n {
		for j := range i {
			if c.one(3) {
				g.requires[order[i]] = append(g.requires[order[i]], order[j])
			}
		}
	}
	for range n {
		g.nodes = append(g.nodes, run.spec(c, depth))
	}
	each := func(odds int, value func() int64) []int64 {
		if !c.one(odds) {
			return nil
		}
		values := make([]int64, n)
		for k := range values {
			values[k] = value()
		}
		return values
	}
	if g.graces = each(4, func() int64 { return int64(c.pick(6)) - 1 }); g.graces == nil {
		g.grace = int64(c.pick(2) * c.pick(6))
	}
	if dispositions := each(3, func() int64 { return int64(c.pick(4)) }); dispositions != nil && !g.aggregate {
		for _, d := range dispositions {
			g.onError = append(g.onError, scheduler.Disposition(d))
		}
	}
	g.timeouts = each(4, func() int64 { return modelSpan(c, 2) })
	if c.one(3) {
		g.limit = 1 + c.pick(3)
		g.estimates = each(2, func() int64 { return int64(c.pick(5)) - 1 })
	}
	for _, done := range each(6, func() int64 { return int64(c.pick(2)) }) {
		g.completed = append(g.completed, done == 1)
	}
	return g
}

// compare runs both sides and returns their traces.
func (run *modelRun) compare() (engine, model []byte) {
	return run.drive(newModelEngine(run)), run.drive(newModelModel(run))
}

// differs reports whether the run of these choices differs from the model's.
func modelDiffers(c *choices) (differs bool) {
	defer func() { differs = differs || recover() != nil }()
	engine, model := randomModelRun(c).compare()
	return string(engine) != string(model)
}

// TestModel_random compares random runs of the engine with the model.
func TestModel_random(t *testing.T) {
	t.Parallel()
	if *modelChoices != "" {
		c, err := parseChoices(*modelChoices)
		require.NoError(t, err)
		checkModelRun(t, c)
		return
	}
	first, last := uint64(1), uint64(*modelCases)
	if *modelSeed != 0 {
		first, last = *modelSeed, *modelSeed
	}
	events := 0
	for seed := first; seed <= last; seed++ {
		c := randomChoices(seed)
		engine, model := randomModelRun(c).compare()
		if string(engine) != string(model) {
			t.Logf("seed %d differs; replay: go test -run '^TestModel_random$' -model.seed=%d ./internal/proof", seed, seed)
			small := c.shrink(modelDiffers)
			t.Logf("smaller: go test -run '^TestModel_random$' -model.choices=%s ./internal/proof", small)
			checkModelRun(t, small)
		}
		events += strings.Count(string(engine), "\n")
	}
	t.Logf("%d runs, %d events in the engine's traces, all as in the model's", last-first+1, events)
}

func checkModelRun(t *testing.T, c *choices) {
	t.Helper()
	run := randomModelRun(&choices{tape: append(c.tape, c.made...)})
	engine, model := run.compare()
	require.Equal(t, string(model), string(engine), "expected is the model's\n%s", run)
}

// String shows a run, for a person who has to find out.
func (run *modelRun) String() string {
	return fmt.Sprintf("timeout %d, grace %d, wait %d, ops %+v\n%s", run.timeout, run.grace, run.wait, run.ops, run.root.describe(""))
}

func (s *modelSpec) describe(indent string) string {
	switch {
	case s.group != nil:
		g := *s.group
		g.nodes = nil
		text := fmt.Sprintf("%s%d: group %+v\n", indent, s.id, g)
		for _, n := range s.group.nodes {
			text += n.describe(indent + "  ")
		}
		return text
	case s.runner != nil:
		r := *s.runner
		r.task = nil
		return fmt.Sprintf("%s%d: runner %+v\n%s", indent, s.id, r, s.runner.task.describe(indent+"  "))
	}
	return fmt.Sprintf("%s%d: leaf %+v\n", indent, s.id, *s.leaf)
}
