package timeline

import (
	"slices"
	"time"
)

// findParts finds how long each node took. A service takes the time until it is ready,
// and, once nothing needs it any more, the time until its end. What is between counts
// for neither.
func (r *Report[K]) findParts() {
	n := len(r.spans)
	r.up, r.down, r.told = make([]time.Duration, n), make([]time.Duration, n), make([]moment, n)
	idle := moment{span: -1} // since when only services are left
	for i, s := range r.spans {
		r.up[i] = max(0, s.freed().Sub(s.Start)) // spans may say anything
		idle = idle.orLater(moment{i, s.freed()})
	}
	last := make([]moment, n) // of what requires it, directly or not, the last end
	for _, i := range slices.Backward(r.order()) {
		last[i], r.told[i] = moment{span: -1}, moment{span: -1}
		for _, j := range r.frees[i] {
			last[i] = last[i].orLater(moment{j, r.spans[j].End}).orLater(last[j])
		}
		if s := r.spans[i]; s.isService() {
			told := last[i]
			if told.span < 0 {
				told = idle
			}
			r.down[i], r.told[i] = s.endedBy(told)
		}
	}
}

// endedBy returns how long a service took to end after a moment from which on nothing
// needed it, and the moment, if it was not ready only then. If it ended before, it took
// no time.
func (s Span) endedBy(m moment) (took time.Duration, told moment) {
	switch {
	case m.at.After(s.End):
		return 0, moment{span: -1}
	case m.at.After(s.ReadySince):
		return s.End.Sub(m.at), m
	}
	return max(0, s.End.Sub(s.ReadySince)), moment{span: -1}
}

// order returns the spans in the order of the walk.
func (r *Report[K]) order() []int {
	var order []int
	walk := r.deps.All()
	if r.opts.Reverse {
		walk = r.deps.Backward()
	}
	for k := range walk {
		if i, ran := r.at[k]; ran {
			order = append(order, i)
		}
	}
	return order
}

// paths are the longest ones, by span. Services end in the reverse of the order in which
// they are up, each after all that require it, so a path leads up from node to node and
// then down along the services.
type paths struct {
	up, ended []time.Duration // to when it has freed others, and to when it and all that require it have ended
	onward    []time.Duration // from its start on
	downward  []time.Duration // from when all that require it have ended
}

// findLongest finds the longest path, and the slack of each node: by how much the
// longest path through it is shorter.
func (r *Report[K]) findLongest() {
	order := r.order()
	p := r.paths(order)
	for i := range r.spans {
		r.LongestTook = max(r.LongestTook, p.ended[i])
	}
	r.slack = make([]time.Duration, len(r.spans))
	for i, s := range r.spans {
		through := p.up[i] + p.onward[i] - r.up[i]
		if s.isService() {
			through = max(through, p.ended[i]+p.downward[i]-r.down[i])
		}
		r.slack[i] = r.LongestTook - through
	}
	r.Longest = r.pathOf(order, p)
}

func (r *Report[K]) paths(order []int) paths {
	n := len(r.spans)
	p := paths{make([]time.Duration, n), make([]time.Duration, n), make([]time.Duration, n), make([]time.Duration, n)}
	for _, i := range order {
		for _, j := range r.requires[i] {
			p.up[i] = max(p.up[i], p.up[j])
			p.downward[i] = max(p.downward[i], p.downward[j])
		}
		p.up[i] += r.up[i]
		p.downward[i] += r.down[i]
	}
	idle, last := r.alone(order, p)
	for _, i := range slices.Backward(order) {
		p.ended[i], p.onward[i] = p.up[i], p.downward[i]
		p.onward[i] = max(p.onward[i], last)
		if r.isAlone(i) {
			p.ended[i] = max(p.ended[i], idle)
		}
		for _, j := range r.frees[i] {
			p.ended[i] = max(p.ended[i], p.ended[j])
			p.onward[i] = max(p.onward[i], p.onward[j])
		}
		p.ended[i] += r.down[i]
		p.onward[i] += r.up[i]
	}
	return p
}

// alone returns the longest path to when only services are left, and from there on along
// services the first of which nothing requires.
func (r *Report[K]) alone(order []int, p paths) (idle, last time.Duration) {
	for _, i := range order {
		idle = max(idle, p.up[i])
		if r.isAlone(i) {
			last = max(last, p.downward[i])
		}
	}
	return idle, last
}

// isAlone reports whether the span is of a service that nothing requires. It runs until
// only services are left.
func (r *Report[K]) isAlone(i int) bool { return r.spans[i].isService() && len(r.frees[i]) == 0 }

// pathOf goes back along the longest path. Of several it takes the same one every
// time.
func (r *Report[K]) pathOf(order []int, p paths) []K {
	at := slices.IndexFunc(order, func(i int) bool { return p.up[i] == r.LongestTook })
	if at < 0 {
		at = slices.IndexFunc(order, func(i int) bool { return r.down[i] > 0 && p.ended[i] == r.LongestTook })
	}
	if at < 0 {
		return nil
	}
	path, top := r.pathDown(order[at], order, p)
	path = append(path, r.pathUp(top, p)...)
	slices.Reverse(path)
	return slices.Compact(path) // of a service that nothing needed
}

// pathDown goes back along the services that end one after the other, and returns the
// node at the top.
func (r *Report[K]) pathDown(at int, order []int, p paths) (path []K, top int) {
	for p.ended[at] != p.up[at] {
		if r.down[at] > 0 {
			path = append(path, r.keys[at])
		}
		before := p.ended[at] - r.down[at]
		if before == p.up[at] {
			break
		}
		from := slices.IndexFunc(r.frees[at], func(j int) bool { return p.ended[j] == before })
		if from >= 0 {
			at = r.frees[at][from]
			continue
		}
		at = order[slices.IndexFunc(order, func(i int) bool { return p.up[i] == before })]
		break
	}
	return path, at
}

// pathUp goes back along what each node requires.
func (r *Report[K]) pathUp(at int, p paths) (path []K) {
	for at >= 0 {
		path = append(path, r.keys[at])
		from := -1
		for _, j := range r.requires[at] {
			if p.up[j] == p.up[at]-r.up[at] && (from < 0 || j < from) {
				from = j
			}
		}
		at = from
	}
	return path
}
