package proof_test

import (
	"iter"
	"strconv"
	"time"

	"github.com/steptask/scheduler"
)

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
			e.trace(spec.id, "asked when of "+strconv.Itoa(k), modelStates(states))
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
