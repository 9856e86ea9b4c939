package scheduler

// must panics for a nil group, with the sentence of the method. To put the sentence
// together here would be code in each method for each type of key.
func (g *DependencyTaskGroup[K]) must(sentence string) {
	if g == nil {
		panic(sentence)
	}
}

// in returns the engine of the group, for a method.
func (g *DependencyTaskGroup[K]) in(sentence string) *engine {
	g.must(sentence)
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
