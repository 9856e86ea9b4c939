package proof_test

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/steptask/scheduler/internal/model"
)

type modelModel struct {
	modelTrace
	clock   model.Clock
	events  []model.Event
	runners []*model.Runner
	groups  []*model.Group
	specs   []*modelSpec
	late    lateNodes
	deaf    []modelDeaf

	calls []*modelModelCall // that have not returned

	limiters   []*model.Limiter
	capacities []int
}

func newModelModel(run *modelRun) *modelModel {
	m := &modelModel{events: make([]model.Event, run.events), capacities: run.capacities}
	m.clock.Now = modelStart
	for i, capacity := range run.capacities {
		l := &model.Limiter{Capacity: capacity}
		if run.intervals != nil {
			l.Interval = run.intervals[i]
		}
		m.limiters = append(m.limiters, l)
	}
	for i := range m.events {
		m.events[i].Clock = &m.clock
	}
	m.runners = append(m.runners, &model.Runner{Clock: &m.clock, Grace: run.grace})
	m.runners[0].Task = m.task(run.root)
	return m
}

func (m *modelModel) written() []byte { return m.b }

func (m *modelModel) now() int64 { return m.clock.Now }

func (m *modelModel) trace(id int, what, detail string) { m.add(id, what, detail, m.clock.Now) }

func (m *modelModel) deafUntil() (at int64) {
	for _, d := range m.deaf {
		if at == 0 || d.s.until < at {
			at = d.s.until
		}
	}
	for _, c := range m.calls {
		if at == 0 || c.until < at {
			at = c.until
		}
	}
	return at
}

// modelModelCall is a call that has not returned.
type modelModelCall struct {
	until    int64
	returned *model.Event
}

// call makes the next call of a Poll.
func (m *modelModel) call(spec *modelSpec, made *int) *model.Call {
	c := spec.poll.next(made)
	m.trace(spec.id, "asks", strconv.Itoa(*made))
	returned := &model.Event{Clock: &m.clock}
	call := &modelModelCall{m.clock.Now + c.takes, returned}
	m.calls = append(m.calls, call)
	wait := func() {
		m.calls = slices.DeleteFunc(m.calls, func(c *modelModelCall) bool { return c == call })
		returned.Set()
	}
	return &model.Call{Returned: returned, Wait: wait, Ready: c.ready, Err: c.err(spec.id)}
}

func (m *modelModel) advance(by int64) {
	m.clock.Now += by
	m.deaf = slices.DeleteFunc(m.deaf, func(d modelDeaf) bool {
		if m.clock.Now < d.s.until {
			return false
		}
		d.closed.Set()
		return true
	})
	m.calls = slices.DeleteFunc(m.calls, func(c *modelModelCall) bool {
		if m.clock.Now < c.until {
			return false
		}
		c.returned.Set()
		return true
	})
}

// modelDeaf is a leaf that was asked to close.
type modelDeaf struct {
	s      *modelScript
	closed *model.Event
}

func (m *modelModel) start(timeout int64) error { return m.runners[0].Start(timeout) }

func (m *modelModel) step() (bool, error) { return m.runners[0].Step() }

func (m *modelModel) done() bool { return m.runners[0].Done() }

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
		case *model.Notice:
			return m.render(err.Cause)
		case *model.Timeout:
			return modelTimeout(m.render, err.Notes)
		case *model.ExceptionGroup:
			return "group"
		case interface{ Unwrap() []error }:
			return "join"
		case *model.CallError:
			return m.render(err.Err)
		case *model.Panic:
			return fmt.Sprint("panic ", err.Value)
		case *model.Permanent:
			return "for good " + m.render(err.Err)
		case *model.RetryAfter:
			return "for now " + m.render(err.Err)
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
	case modelKill:
		r.Kill()
	case modelStop:
		r.Stop(modelErr("s" + strconv.Itoa(n)))
	case modelCancel:
		m.trace(0, "cancelled", m.render(r.CancelFromOutside()))
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
	case modelAdd:
		m.addTo(n)
	case modelCapacity:
		if len(m.limiters) > 0 {
			i := n % len(m.limiters)
			m.clock.SetCapacity(m.limiters[i], n/len(m.limiters)%(m.capacities[i]+1))
		}
	case modelStopNode, modelSkipNode:
		m.order(what, n)
	case modelCloseInput:
		if len(m.groups) > 0 {
			m.groups[n%len(m.groups)].CloseInput()
		}
	case modelPost:
		accepted := m.runners[0].Post(func() {
			m.trace(0, "posted", "")
			switch n % 3 {
			case 1:
				m.op(modelDrain, n)
			case 2:
				m.runners[0].Stop(modelErr("p"))
			}
		})
		m.trace(0, "post", strconv.FormatBool(accepted))
	case modelEarly:
	}
}

func (m *modelModel) ready() { m.clock.Ready() }

func (m *modelModel) note(text string) { m.clock.Note(text) }

// order tells a node to end.
func (m *modelModel) order(what modelWhat, n int) {
	if len(m.groups) == 0 {
		return
	}
	g, spec := m.groups[n%len(m.groups)], m.specs[n%len(m.groups)]
	if g.Len() == 0 {
		return
	}
	k, told := n/len(m.groups)%g.Len(), false
	if what == modelStopNode {
		told = g.StopNode(k, modelErr("o"+strconv.Itoa(n)))
	} else {
		told = g.SkipNode(k, modelErr("o"+strconv.Itoa(n)))
	}
	m.trace(spec.id, "order "+strconv.Itoa(k), strconv.FormatBool(told))
}

func (m *modelModel) made() int { return len(m.groups) }

// addTo adds the next node of a group, or closes its input after the last one.
func (m *modelModel) addTo(n int) {
	if len(m.groups) == 0 {
		return
	}
	i := n % len(m.groups)
	g, spec := m.groups[i], m.specs[i]
	_, requires, ok := m.late.next(i, spec.group)
	if !ok {
		g.CloseInput()
		return
	}
	err := g.Add(requires)
	if err == nil {
		m.late.added[i]++
	}
	m.trace(spec.id, "adds", m.render(err))
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
		for k := range g.Len() {
			m.b = append(m.b, ' ')
			m.b = strconv.AppendInt(m.b, int64(g.State(k)), 10)
			m.b = strconv.AppendBool(m.b, g.Started(k))
			m.b = append(m.b, modelNotes(m.render, g.Notes(k))...)
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
	case spec.shield != nil:
		return model.Shield(&m.clock, m.task(spec.shield))
	case spec.timed != nil:
		m.trace(spec.id, "limit", strconv.FormatInt(spec.timed.limit, 10))
		return model.WithTimeout(&m.clock, spec.timed.limit, m.task(spec.timed.task))
	case spec.retry != nil:
		return m.retry(spec)
	case spec.poll != nil:
		made := 0
		return model.Poll(&m.clock, spec.poll.every, func() *model.Call { return m.call(spec, &made) })
	case spec.claims != nil:
		return model.Claiming(&m.clock, m.claims(spec.claims.weights), m.task(spec.claims.task))
	case spec.first != nil:
		m.trace(spec.id, "first", "")
		return model.First(&m.clock, m.tasks(spec.first))
	case spec.all != nil:
		m.trace(spec.id, "all", "")
		return model.All(&m.clock, m.tasks(spec.all))
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
		task.Stop = func(n *model.Notice) { s.stop(n) }
	}
	if spec.leaf.deaf > 0 {
		closed := &model.Event{Clock: &m.clock}
		task.BeginClose = func() *model.Wait {
			if s.until == 0 {
				m.deaf = append(m.deaf, modelDeaf{s, closed})
			}
			s.beginClose(m.now())
			return &model.Wait{Ready: model.On(closed)}
		}
	}
	return task
}

func (m *modelModel) usage() (text string) {
	for _, l := range m.limiters {
		text += fmt.Sprintf(" %d/%d", m.clock.InUse(l), m.clock.Waiting(l))
	}
	return text
}

func (m *modelModel) restore() {
	for i, l := range m.limiters {
		m.clock.SetCapacity(l, m.capacities[i])
	}
}

func (m *modelModel) claims(weights []int) (claims []model.Claim) {
	for i, weight := range weights {
		if weight > 0 {
			claims = append(claims, model.Claim{Limiter: m.limiters[i], Weight: weight})
		}
	}
	return claims
}

func (m *modelModel) tasks(specs []*modelSpec) []model.Task {
	var tasks []model.Task
	for _, spec := range specs {
		tasks = append(tasks, m.task(spec))
	}
	return tasks
}

// retry makes a Retry whose attempts and pauses are those of a specification.
func (m *modelModel) retry(spec *modelSpec) model.Task {
	used := 0
	return model.Retry(&model.Retries{
		Clock: &m.clock,
		Pause: func() int64 { return spec.retry.next(&used) },
		Make: func(attempt int, last error) *model.Task {
			m.trace(spec.id, "attempt "+strconv.Itoa(attempt), m.render(last))
			if attempt > len(spec.retry.tasks) {
				return nil
			}
			task := m.task(spec.retry.tasks[attempt-1])
			return &task
		},
	})
}

func (m *modelModel) answer(s *modelScript, thrown error) (model.Yield, error) {
	act := s.enter(thrown)
	if act.does == modelPanics {
		panic(&model.Panic{Value: modelPanic(s.id)})
	}
	if err := s.failure(act); err != nil {
		switch act.does {
		case modelFailsForGood:
			err = &model.Permanent{Err: err}
		case modelFailsFor:
			err = &model.RetryAfter{Err: err, Pause: int64(act.n)}
		default:
		}
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
	case modelEnding:
		return model.Yield{Ready: on(), Ending: true}, nil
	case modelEnds, modelFails, modelObeys, modelFailsForGood, modelFailsFor, modelPanics:
	}
	return model.Yield{Done: true}, nil
}

func (m *modelModel) group(spec *modelSpec) model.Task {
	s := spec.group
	opts := model.Options{
		Clock: &m.clock, Requires: s.requires, Reverse: s.reverse, Aggregate: s.aggregate, Limit: s.limit, KeepOpen: s.open, Recover: s.recover,
		Task: func(k int) model.Task { return m.task(s.nodes[k]) },
		Observe: func(k int, from, to model.State, err error) {
			m.transition(spec.id, k, int(from), int(to), m.render(err))
		},
	}
	if s.grace != 0 {
		opts.Grace = func(int) int64 { return s.grace }
	}
	if s.graces != nil {
		opts.OwnGrace = true
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
	if s.claims != nil {
		opts.Claims = func(k int) []model.Claim {
			m.trace(spec.id, "asked for claims of "+strconv.Itoa(k), "")
			return m.claims(s.claims[k])
		}
	}
	if s.priorities != nil {
		opts.Priority = func(k int) int { return int(s.priorities[k]) }
	}
	if s.estimates != nil {
		opts.Estimate = func(k int) int64 { return s.estimates[k] }
	}
	if s.completed != nil {
		opts.Completed = func(k int) bool { return s.completed[k] }
	}
	if s.when != nil {
		opts.When = func(k int, required []model.State) model.Verdict {
			var states []int
			for _, state := range required {
				states = append(states, int(state))
			}
			m.trace(spec.id, "asked when of "+strconv.Itoa(k), fmt.Sprint(states))
			return model.Verdict(s.when[k].verdict(states))
		}
	}
	g := model.NewGroup(opts)
	m.groups, m.specs = append(m.groups, g), append(m.specs, spec)
	return g.Task()
}
