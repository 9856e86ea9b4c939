package timeline

import (
	"cmp"
	"slices"
	"time"
)

// moment is an instant at which a span let others start: it was ready, or ended.
type moment struct {
	span int
	at   time.Time
}

// orLater returns the later one, of equal ones m. Either may have a span of -1.
func (m moment) orLater(n moment) moment {
	if m.span < 0 || n.span >= 0 && n.at.After(m.at) {
		return n
	}
	return m
}

// findChain goes back from the node that ended last: first along the services that
// ended in reverse, then from start to start.
func (r *Report[K]) findChain() {
	at := moment{span: -1}
	for i, s := range r.spans {
		if at.span < 0 || s.End.After(at.at) {
			at = moment{i, s.End}
		}
	}
	for alone := false; !alone && at.span >= 0 && r.told[at.span].span >= 0; {
		told := r.told[at.span]
		if r.down[at.span] > 0 {
			r.link(at, told.at, told.at, false)
		}
		at, alone = told, r.isAlone(at.span)
	}
	moments := r.moments()
	for at.span >= 0 {
		from, limited := r.letStart(at.span, &moments)
		r.link(at, r.spans[at.span].Start, r.ready[at.span], limited)
		at = from
	}
	slices.Reverse(r.Chain)
}

// link adds a link to the chain, which ends at a moment.
func (r *Report[K]) link(end moment, start, ready time.Time, limited bool) {
	r.Chain = append(r.Chain, Link[K]{
		Key: r.keys[end.span], Start: start.Sub(r.began()), End: end.at.Sub(r.began()),
		Ready: ready.Sub(r.began()), Limited: limited,
	})
}

// letStart returns what let a node start: of those that it requires the last one to be
// done, unless it was ready then and something else made room before it started; or a
// span of -1. Only spans that started earlier count, so that a chain of nodes that take
// no time comes to an end. It is called for nodes in the reverse order of their starts,
// with the same moments, from which it takes those that are too late for this node and
// so for all before it.
func (r *Report[K]) letStart(i int, moments *[]moment) (from moment, limited bool) {
	from.span = -1
	for _, j := range r.requires[i] {
		freed := r.spans[j].freed()
		if j < i && (from.span < 0 || cmp.Or(freed.Compare(from.at), cmp.Compare(j, from.span)) > 0) {
			from = moment{j, freed}
		}
	}
	start := r.spans[i].Start
	last := len(*moments) - 1
	for last >= 0 && ((*moments)[last].span >= i || (*moments)[last].at.After(start)) {
		last--
	}
	*moments = (*moments)[:last+1]
	if start.After(r.ready[i]) && last >= 0 {
		if room := (*moments)[last]; room.at.After(r.ready[i]) {
			return room, true
		}
	}
	return from, false
}

// moments returns those at which there was room for others, in the order of time, of
// equal ones the first span last. A service gives its place in a limit back when it is
// ready, and its claims at its end.
func (r *Report[K]) moments() []moment {
	var moments []moment
	for i, s := range r.spans {
		moments = append(moments, moment{i, s.End})
		if s.isService() && s.ReadySince.Before(s.End) {
			moments = append(moments, moment{i, s.ReadySince})
		}
	}
	slices.SortFunc(moments, func(a, b moment) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(b.span, a.span))
	})
	return moments
}
