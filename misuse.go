package scheduler

import "strings"

// must panics for a nil group, with the sentence of the method, and for a call from
// another goroutine than that of the driver, where that can be told. To put the sentence
// together here would be code in each method for each type of key.
func (g *DependencyTaskGroup[K]) must(sentence string) {
	if g == nil {
		panic(sentence)
	}
	g.engine.awake(sentence)
}

// in returns the engine of the group, for a method. It does what must does, and is as
// small: one that is not inlined is more code for each type of key.
func (g *DependencyTaskGroup[K]) in(sentence string) *engine {
	if g == nil {
		panic(sentence)
	}
	return g.engine.awake(sentence)
}

// awake panics for a call from another goroutine, with the sentence for nil, and
// returns g.
func (g *engine) awake(sentence string) *engine {
	if g.isAsleep() {
		g.panicAsleep(strings.TrimSuffix(sentence, " of nil"))
	}
	return g
}

// isAsleep reports whether the goroutine that drives the group sleeps in Run, so that who
// asks is another one. By a Clock of somebody else's it may be that one, in Wait.
func (g *engine) isAsleep() bool {
	r := g.runner.Load()
	return r != nil && r.busy.Load() == sleeping && g.phase != phaseEnded && isSystemClock(g.clock)
}

func (g *engine) panicAsleep(called string) {
	panic(called + " of " + g.String() + " called while Run drives it; use TaskRunner.Post")
}

// must panics for a zero view, with the name of the method.
func (v GroupView) must(method string) {
	if v.g == nil {
		panic("scheduler: GroupView." + method + ": zero GroupView, which is of no group")
	}
}

// in returns the engine of the group, for a method, and panics as that of a group does.
func (v GroupView) in(method string) *engine {
	v.must(method)
	if v.g.isAsleep() {
		v.g.panicAsleep("scheduler: GroupView." + method)
	}
	return v.g
}

// panicNil panics for a method that is called on nil.
func panicNil(method string) {
	panic("scheduler: " + method + " of nil")
}

// in returns the engine of the record's group, for a method.
func (r Record) in(method string) *engine {
	if r.group == nil {
		panic("scheduler: Record." + method + ": zero Record, which is of no group")
	}
	return r.group
}
