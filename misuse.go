package scheduler

// must panics for a nil group, with the name of the method.
func (g *DependencyTaskGroup[K]) must(method string) {
	if g == nil {
		panicNilGroup(method)
	}
}

// in returns the engine of the group, for a method.
func (g *DependencyTaskGroup[K]) in(method string) *engine {
	g.must(method)
	return &g.engine
}

// must panics for a zero view, with the name of the method.
func (v GroupView) must(method string) {
	if v.g == nil {
		panic("scheduler: GroupView." + method + ": zero GroupView, which is of no group")
	}
}

// in returns the engine of the group, for a method.
func (v GroupView) in(method string) *engine {
	v.must(method)
	return v.g
}

// panicNilGroup panics for a method of a nil group. Inlined it would be compiled for
// each method and type of key.
//
//go:noinline
func panicNilGroup(method string) { panicNil("DependencyTaskGroup." + method) }

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
