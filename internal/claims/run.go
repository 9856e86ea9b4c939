package claims

// Run is the askers that one goroutine serves: if all that could go on in it waits
// for claims, it is stuck.
type Run struct {
	// Guarded by books.
	waiting  []*Ticket // in line, or given and not taken; in no order
	holdings int
	stuck    bool
}

// Goes says that a run which was stuck does something again.
func (r *Run) Goes() {
	books.Lock()
	defer books.Unlock()
	r.stuck = false
}

// IsDead says that all that could go on in the run waits for claims, and reports
// whether it waits for ever. It does if none of its tickets can be served even
// if all runs that are not dead in that way end: so runs that wait for each other
// are found too, by the last of them that gets stuck.
//
// A run that holds nothing keeps nobody else from going on, and is not looked at:
// who locks it up is found by itself.
func (r *Run) IsDead() bool {
	books.Lock()
	defer books.Unlock()
	r.stuck = true
	if r.holdings == 0 || r.goesSoon() {
		return false
	}
	s := search{known: map[*Ticket]bool{}, dead: map[*Run]bool{}, goes: map[*Ticket]bool{}, seen: map[*Limiter]bool{}}
	s.addRun(r)
	return s.finds(r)
}

// goesSoon looks at a few of those that are first in line: in nearly all cases that
// is enough to see that the run is not dead.
func (r *Run) goesSoon() bool {
	const few = 8
	for i := range min(few, len(r.waiting)) {
		t := r.waiting[i]
		if t.state == given || t.beyond > 0 {
			return true
		}
		first := t.waits[0].line.first.ticket
		if first.asker.run == r && first.goesSoon() {
			return true
		}
	}
	return false
}

// goesSoon reports whether t is the first at each Limiter and has enough once runs
// that are not stuck have ended.
func (t *Ticket) goesSoon() bool {
	if t.asker.full {
		return false
	}
	for i := range t.waits {
		w := &t.waits[i]
		if w.prev != nil || w.line.inner != (amount{}) {
			return false
		}
		l := w.line.limiter
		need, busy := of(w.weight).less(w.line.lent()), l.busy
		for p := l.parts.first; need.less(l.room().less(busy)) != (amount{}); p = p.next {
			if p == nil {
				return false
			}
			if !p.value.holding.asker.run.stuck {
				busy.sub(p.value.own)
			}
		}
	}
	return true
}

// search is a search for runs that are dead.
type search struct {
	tickets []*Ticket
	known   map[*Ticket]bool
	seen    map[*Limiter]bool
	dead    map[*Run]bool    // stuck, and not found to go on
	goes    map[*Ticket]bool // will have been served
}

func (s *search) addRun(r *Run) {
	if !r.stuck || s.dead[r] {
		return
	}
	s.dead[r] = true
	for _, t := range r.waiting {
		s.add(t)
	}
}

func (s *search) add(t *Ticket) {
	if s.known[t] {
		return
	}
	s.known[t] = true
	s.tickets = append(s.tickets, t)
}

// finds reports whether r is dead. It collects all that has to do with it, takes
// all stuck runs for dead, and then finds those that go on, until no more do.
func (s *search) finds(r *Run) bool {
	for i := 0; i < len(s.tickets); i++ {
		t := s.tickets[i]
		s.addRun(t.asker.run)
		for _, c := range t.claims {
			if s.seen[c.Limiter] {
				continue
			}
			s.seen[c.Limiter] = true
			for n := range c.Limiter.lines() {
				for w := n.first; w != nil; w = w.next {
					s.add(w.ticket)
				}
			}
			for p := c.Limiter.parts.first; p != nil; p = p.next {
				s.addRun(p.value.holding.asker.run)
			}
		}
	}
	for s.dead[r] && s.round() {
	}
	return s.dead[r]
}

// round finds tickets that go if those do that are known to. It reports whether
// there was one.
func (s *search) round() bool {
	reached := map[*Ticket]int{}
	for l := range s.seen {
		var kept amount
		for p := l.parts.first; p != nil; p = p.next {
			if s.dead[p.value.holding.asker.run] {
				kept.add(p.value.own)
			}
		}
		s.reach(l.outside, l.room().less(kept), reached)
	}
	found := false
	for _, t := range s.tickets {
		if s.goes[t] || t.state == waiting && t.beyond == 0 && reached[t] < len(t.claims) {
			continue
		}
		s.goes[t], found = true, true
		if !t.asker.full {
			delete(s.dead, t.asker.run)
		}
	}
	return found
}

// reach counts for the tickets of a line, and of those inside, where they are
// reached with so much that comes free. It returns what those who are not known to
// go need of that.
func (s *search) reach(n *line, free amount, reached map[*Ticket]int) (need amount) {
	var ahead amount
	for _, inside := range n.lines {
		ahead.add(s.reach(inside, free, reached))
	}
	lent := n.lent()
	for w := n.first; w != nil; w = w.next {
		if s.goes[w.ticket] {
			continue
		}
		ahead.add(of(w.weight))
		if ahead.less(lent).less(free) == (amount{}) {
			reached[w.ticket]++
		}
	}
	if n.place == nil {
		return ahead
	}
	return ahead.less(n.place.spare(n.limiter))
}
