package proof_test

import (
	"slices"
	"strconv"

	"github.com/steptask/scheduler/internal/model"
)

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

func (m *modelModel) tasks(specs []*modelSpec) []model.Task {
	var tasks []model.Task
	for _, spec := range specs {
		tasks = append(tasks, m.task(spec))
	}
	return tasks
}

func (m *modelModel) claims(weights []int) (claims []model.Claim) {
	for i, weight := range weights {
		if weight > 0 {
			claims = append(claims, model.Claim{Limiter: m.limiters[i], Weight: weight})
		}
	}
	return claims
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

// modelDeaf is a leaf that was asked to close.
type modelDeaf struct {
	s      *modelScript
	closed *model.Event
}

func (m *modelModel) panics(id int) { panic(&model.Panic{Value: modelPanic(id)}) }

func (m *modelModel) answer(s *modelScript, thrown error) (model.Yield, error) {
	act := s.enter(thrown)
	if act.does == modelPanics {
		m.panics(s.id)
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
			m.trace(spec.id, "asked when of "+strconv.Itoa(k), modelStates(states))
			return model.Verdict(s.when[k].verdict(states))
		}
	}
	g := model.NewGroup(opts)
	m.groups, m.specs = append(m.groups, g), append(m.specs, spec)
	return g.Task()
}
