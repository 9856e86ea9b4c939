package claims_test

import "slices"

// plain is a model of a few Limiters without any bookkeeping: everything is worked
// out anew each time it is asked.
type plain struct {
	capacity []int
	people   []*person
}

// person stands for a ticket, and for what it has got.
type person struct {
	name     int
	run      int
	inside   *person // from whose holding it asks, or nil
	weights  []int   // by Limiter; 0: no claim
	order    int     // of asking
	waits    bool
	has      bool
	borrowed map[*person][]int // by lender and Limiter
}

// own returns what p has of a Limiter's own.
func (p *person) own(l int) int {
	if !p.has {
		return 0
	}
	own := p.weights[l]
	for _, loans := range p.borrowed {
		own -= loans[l]
	}
	return own
}

func (m *plain) free(l int) int {
	free := m.capacity[l]
	for _, p := range m.people {
		free -= p.own(l)
	}
	return max(free, 0)
}

// spare returns what p can lend.
func (m *plain) spare(p *person, l int) int {
	if !p.has {
		return 0
	}
	spare := p.weights[l]
	for _, q := range m.people {
		if q.has && q.borrowed[p] != nil {
			spare -= q.borrowed[p][l]
		}
	}
	return spare
}

// lent returns what there is to be lent at a place.
func (m *plain) lent(place *person, l int) int {
	sum := 0
	for ; place != nil; place = place.inside {
		sum += m.spare(place, l)
	}
	return sum
}

func (m *plain) exceeds(p *person) bool {
	for l, weight := range p.weights {
		need := weight
		for place := p.inside; place != nil; place = place.inside {
			need -= place.own(l)
		}
		if need > 0 && weight > m.capacity[l] {
			return true
		}
	}
	return false
}

// inLine reports whether p waits, and something is kept for it if there is enough.
func (m *plain) inLine(p *person) bool { return p.waits && !m.exceeds(p) }

// need returns what those who wait inside of a place need of what is free.
func (m *plain) need(place *person, l int) int {
	return max(m.wanted(place, l)-m.spare(place, l), 0)
}

func (m *plain) wanted(place *person, l int) int {
	sum := m.inner(place, l)
	for _, p := range m.people {
		if p.inside == place && m.inLine(p) {
			sum += p.weights[l]
		}
	}
	return sum
}

// inner returns what those who wait in places inside of a place need.
func (m *plain) inner(place *person, l int) int {
	sum := 0
	for _, p := range m.people {
		if p.inside == place && p.has {
			sum += m.need(p, l)
		}
	}
	return sum
}

// fits reports whether p is to be served.
func (m *plain) fits(p *person) bool {
	if !m.inLine(p) {
		return false
	}
	for l, weight := range p.weights {
		if weight == 0 {
			continue
		}
		need := weight + m.inner(p.inside, l)
		for _, q := range m.people {
			if q.inside == p.inside && q.order < p.order && m.inLine(q) {
				need += q.weights[l]
			}
		}
		if need-m.lent(p.inside, l) > m.free(l) {
			return false
		}
	}
	return true
}

// give gives p what it claims.
func (m *plain) give(p *person) {
	p.borrowed = map[*person][]int{}
	for l, need := range p.weights {
		for from := p.inside; from != nil; from = from.inside {
			much := min(need, m.spare(from, l))
			if p.borrowed[from] == nil {
				p.borrowed[from] = make([]int, len(p.weights))
			}
			p.borrowed[from][l] += much
			need -= much
		}
	}
	p.waits, p.has = false, true
}

// forget takes p out.
func (m *plain) forget(p *person) {
	m.people = slices.DeleteFunc(m.people, func(q *person) bool { return q == p })
}

// hasInside reports whether somebody waits, or has something, inside of p.
func (m *plain) hasInside(p *person) bool {
	return slices.ContainsFunc(m.people, func(q *person) bool { return q.inside == p })
}

// dead finds the runs of those that are stuck which can never go on, whatever the
// others do: it lets the others end, and those that can be served, until there is
// none left that can.
func (m *plain) dead(stuck []bool) []bool {
	alive := make([]bool, len(stuck))
	for run := range stuck {
		alive[run] = !stuck[run]
	}
	gone := map[*person]bool{}
	left := func(p *person) bool { return !gone[p] && (!p.has || !alive[p.run]) }
	for changed := true; changed; {
		changed = false
		later := &plain{capacity: m.capacity}
		for _, p := range m.people {
			if p.waits && m.exceeds(p) && !alive[p.run] {
				alive[p.run], changed = true, true // it waits for more capacity
			}
		}
		for _, p := range m.people {
			if left(p) {
				later.people = append(later.people, p)
			}
		}
		for _, p := range later.people {
			if p.waits && m.fitsIn(later, p) {
				gone[p], alive[p.run], changed = true, true, true
				break
			}
		}
	}
	dead := make([]bool, len(stuck))
	for run := range stuck {
		dead[run] = !alive[run]
	}
	return dead
}

// fitsIn is fits with the people of later, and with what was lent before.
func (m *plain) fitsIn(later *plain, p *person) bool {
	if !m.inLine(p) {
		return false
	}
	for l, weight := range p.weights {
		if weight == 0 {
			continue
		}
		free := m.capacity[l]
		for _, q := range later.people {
			free -= q.own(l)
		}
		need := weight + m.innerIn(later, p.inside, l)
		for _, q := range later.people {
			if q.inside == p.inside && q.order < p.order && m.inLine(q) {
				need += q.weights[l]
			}
		}
		if need-m.lent(p.inside, l) > max(free, 0) {
			return false
		}
	}
	return true
}

func (m *plain) innerIn(later *plain, place *person, l int) int {
	sum := 0
	for _, p := range m.people {
		if p.inside != place || !p.has {
			continue
		}
		wanted := m.innerIn(later, p, l)
		for _, q := range later.people {
			if q.inside == p && m.inLine(q) {
				wanted += q.weights[l]
			}
		}
		sum += max(wanted-m.spare(p, l), 0)
	}
	return sum
}
