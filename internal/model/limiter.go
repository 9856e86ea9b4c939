package model

import "slices"

// Limiter is something of which there is only so much.
type Limiter struct {
	Capacity int
	Interval int64 // between two starts, times the weight of the first; 0 is none

	next int64 // when there may be a start
}

// Claim is some of a Limiter.
type Claim struct {
	Limiter *Limiter
	Weight  int
}

// stake is what somebody claims: it waits in line for that, or has it.
type stake struct {
	inside *stake // the nearest that is had around it, which lends
	claims []Claim
	has    bool
	turn   int  // when it was served, in the order of that
	begun  bool // what it is for has started

	outside bool // of all groups: nobody there looks for deadlocks
	loans   map[*stake]map[*Limiter]int
	tell    func() // that there is something new for it

	// Of the place of a group: whether nothing can start there, and what it does then.
	isFull  func() bool
	giveWay func()
}

// cannotStart reports whether a stake is that of a group in which nothing can start.
func (s *stake) cannotStart() bool { return !s.begun && s.isFull != nil && s.isFull() }

// of is what a stake claims of a Limiter.
func (s *stake) of(l *Limiter) int {
	for _, c := range s.claims {
		if c.Limiter == l {
			return c.Weight
		}
	}
	return 0
}

// own is what a stake has of a Limiter itself, and not by loans.
func (s *stake) own(l *Limiter) int {
	if !s.has {
		return 0
	}
	own := s.of(l)
	for _, lent := range s.loans {
		own -= lent[l]
	}
	return own
}

// line is all stakes of a run, in the order of asking.
type line struct {
	stakes []*stake
	served int
	hopes  bool // what is had outside of all groups counts as free
}

func (q *line) free(l *Limiter) int {
	free := l.Capacity
	for _, s := range q.stakes {
		if !q.hopes || !s.outside {
			free -= s.own(l)
		}
	}
	return max(free, 0)
}

// spare is what a stake can lend, and lent what it and all around it can.
func (q *line) spare(s *stake, l *Limiter) int {
	if !s.has {
		return 0
	}
	spare := s.of(l)
	for _, t := range q.stakes {
		spare -= t.loans[s][l]
	}
	return spare
}

func (q *line) lent(s *stake, l *Limiter) (sum int) {
	for ; s != nil; s = s.inside {
		sum += q.spare(s, l)
	}
	return sum
}

// exceeds reports whether a capacity is never enough for a stake, with all that those
// around it have.
func (s *stake) exceeds(l *Limiter) bool {
	need := s.of(l)
	for around := s.inside; around != nil; around = around.inside {
		need -= around.own(l)
	}
	return need > 0 && s.of(l) > l.Capacity
}

func (s *stake) exceedsAny() bool {
	return slices.ContainsFunc(s.claims, func(c Claim) bool { return s.exceeds(c.Limiter) })
}

// isInLine reports whether what a stake claims is kept for it. Nothing is for one that
// exceeds a capacity.
func (s *stake) isInLine() bool { return !s.has && !s.exceedsAny() }

// needInside is what those in line need of a Limiter that wait inside of a stake, or of
// those inside it: they go before those outside.
func (q *line) needInside(s *stake, l *Limiter) (sum int) {
	for _, in := range q.stakes {
		if in.inside == s && in.has {
			sum += max(q.wantedInside(in, l)-q.spare(in, l), 0)
		}
	}
	return sum
}

func (q *line) wantedInside(s *stake, l *Limiter) int {
	sum := q.needInside(s, l)
	for _, t := range q.stakes {
		if t.inside == s && t.isInLine() {
			sum += t.of(l)
		}
	}
	return sum
}

// fits reports whether a stake can be served: there is enough for it, and for all
// before it.
func (q *line) fits(s *stake) bool {
	return s.isInLine() && each(s.claims, func(c Claim) bool {
		need := q.needInside(s.inside, c.Limiter)
		for _, t := range q.stakes {
			if t.inside == s.inside && t.isInLine() {
				need += t.of(c.Limiter)
			}
			if t == s {
				break
			}
		}
		return need-q.lent(s.inside, c.Limiter) <= q.free(c.Limiter)
	})
}

// serve gives what there is to those in line.
func (q *line) serve() {
	for {
		i := slices.IndexFunc(q.stakes, q.fits)
		if i < 0 {
			return
		}
		if s := q.stakes[i]; s.cannotStart() {
			q.stakes = except(q.stakes, s)
			s.giveWay()
		} else {
			q.give(s)
			if q.isFirst(s) {
				s.tell()
			}
		}
	}
}

// makeWay has those give up what they were served in whose group nothing can start.
func (q *line) makeWay() {
	q.tellNext(func() {
		for _, s := range q.stakes {
			if s.has && s.cannotStart() {
				s.has = false
				q.stakes = except(q.stakes, s)
				s.giveWay()
			}
		}
	})
	q.serve()
}

// give gives a stake what it claims, of what those around it have as far as they can
// lend.
func (q *line) give(s *stake) {
	s.loans = map[*stake]map[*Limiter]int{}
	for _, c := range s.claims {
		need := c.Weight
		for around := s.inside; around != nil; around = around.inside {
			if s.loans[around] == nil {
				s.loans[around] = map[*Limiter]int{}
			}
			much := min(need, q.spare(around, c.Limiter))
			s.loans[around][c.Limiter] = much
			need -= much
		}
	}
	q.served++
	s.has, s.turn = true, q.served
}

// waitsAt reports whether a stake is served, and has to keep the interval of a Limiter
// before what it is for can start. What is lent is no new start.
func (s *stake) waitsAt(l *Limiter) bool { return l.Interval > 0 && !s.begun && s.own(l) > 0 }

// isFirst reports whether a stake that is served is the next to start everywhere where
// there is an interval.
func (q *line) isFirst(s *stake) bool {
	return each(s.claims, func(c Claim) bool {
		return !s.waitsAt(c.Limiter) || each(q.stakes, func(t *stake) bool { return !t.waitsAt(c.Limiter) || t.turn >= s.turn })
	})
}

// startsAt is when what a stake is for can start, as far as intervals go.
func (s *stake) startsAt() (at int64) {
	for _, c := range s.claims {
		if s.waitsAt(c.Limiter) {
			at = max(at, c.Limiter.next)
		}
	}
	return at
}

// begin has what a stake is for start.
func (q *line) begin(s *stake, now int64) {
	q.tellNext(func() {
		for _, c := range s.claims {
			if l := c.Limiter; s.waitsAt(l) {
				l.next = max(l.next, now) + l.Interval*int64(s.own(l))
			}
		}
		s.begun = true
	})
}

// tellNext does something after which others may be the next to start, and tells those.
func (q *line) tellNext(do func()) {
	behind := only(q.stakes, func(s *stake) bool { return s.has && !q.isFirst(s) })
	do()
	for _, s := range behind {
		if s.has && q.isFirst(s) {
			s.tell()
		}
	}
}

// ask puts a stake behind all others.
func (q *line) ask(s *stake) {
	q.stakes = append(q.stakes, s)
	q.serve()
}

// leave gives up stakes, and what they have.
func (q *line) leave(left ...*stake) {
	q.tellNext(func() {
		for _, s := range left {
			q.stakes = except(q.stakes, s)
			s.has = false
		}
	})
	q.serve()
}

// isDead reports whether nobody who waits is ever served, if nobody in a group goes on who
// does not wait. For one who waits for a higher capacity there is hope.
func (q *line) isDead() bool {
	later := line{stakes: q.stakes, hopes: true}
	for {
		i := slices.IndexFunc(later.stakes, func(s *stake) bool { return s.cannotStart() && later.fits(s) })
		if i < 0 {
			break
		}
		later.stakes = except(later.stakes, later.stakes[i]) // it gives way
	}
	return slices.ContainsFunc(q.stakes, func(s *stake) bool { return s.has && !s.outside }) &&
		each(q.stakes, func(s *stake) bool {
			return s.begun || s.cannotStart() || !s.has && !s.exceedsAny() && !later.fits(s)
		})
}

// SetCapacity changes how much there is of a Limiter.
func (c *Clock) SetCapacity(l *Limiter, n int) {
	var waiting, back []*stake
	for _, s := range c.line.stakes {
		if !s.has && s.of(l) > 0 && (s.exceeds(l) || !s.exceedsAny()) {
			waiting = append(waiting, s)
			if s.exceeds(l) {
				back = append(back, s)
			}
		}
	}
	l.Capacity = n
	// For those behind one that is in line again there is less.
	for _, s := range back {
		if !s.isInLine() {
			continue
		}
		at := slices.Index(c.line.stakes, s)
		for _, t := range c.line.stakes[at+1:] {
			if t.isInLine() && t.inside == s.inside && slices.ContainsFunc(t.claims, func(c Claim) bool { return s.of(c.Limiter) > 0 }) {
				waiting = append(waiting, t)
			}
		}
	}
	c.line.serve()
	for _, s := range waiting {
		if !s.has && slices.Contains(c.line.stakes, s) {
			s.tell()
		}
	}
}

// InUse is how much of a Limiter those have who have started, and Waiting how many have
// not.
func (c *Clock) InUse(l *Limiter) (sum int) {
	for _, s := range c.line.stakes {
		if s.begun {
			sum += s.own(l)
		}
	}
	return sum
}

// Waiting is how many wait for some of a Limiter, and have not started.
func (c *Clock) Waiting(l *Limiter) (count int) {
	for _, s := range c.line.stakes {
		if !s.begun && s.of(l) > 0 {
			count++
		}
	}
	return count
}
