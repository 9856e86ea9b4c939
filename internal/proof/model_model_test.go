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
			return strconv.Itoa(err.Key) + ":" + m.render(err.Err)
		case *model.Notice:
			return m.render(err.Cause)
		case *model.Timeout:
			return modelTimeout(m.render, err.Notes)
		case *model.ExceptionGroup:
			return "group"
		case interface{ Unwrap() []error }:
			return "join"
		case *model.ClosedError:
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
			notes := g.Notes(k)
			m.b = appendNotes(m.b, notes, m.render(notes.Last))
		}
		for _, err := range g.Errors() {
			m.b = append(m.b, ' ')
			m.b = append(m.b, m.render(err)...)
		}
		m.b = append(m.b, '\n')
	}
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
