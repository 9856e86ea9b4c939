package claims

// Holding is what somebody has got of Limiters.
type Holding struct {
	asker  *Asker
	place  *Holding // the one that it was asked for inside of
	ticket *Ticket  // that it was given to, until it is taken
	owner  any      // of the ticket, and its node: who has it
	node   int32
	parts  []part
	lines  int // of all Limiters, that are here or inside
}

// isIn reports whether h was asked for inside of place, at any depth.
func (h *Holding) isIn(place *Holding) bool {
	for h = h.place; h != nil; h = h.place {
		if h == place {
			return true
		}
	}
	return false
}

// part is what a holding has of one Limiter: some of the Limiter's own, and some
// lent by holdings around.
type part struct {
	holding *Holding
	limiter *Limiter
	held    link[*part] // among the Limiter's parts
	paced   link[*part] // among those that wait for its interval
	weight  amount
	own     amount // of the weight, what is not lent to it
	lent    amount // to holdings inside
	loans   []loan
}

type loan struct {
	from   *part
	amount amount
}

// part returns what h has of l, or nil.
func (h *Holding) part(l *Limiter) *part {
	for i := range h.parts {
		if h.parts[i].limiter == l {
			return &h.parts[i]
		}
	}
	return nil
}

// spare returns what h can still lend of l.
func (h *Holding) spare(l *Limiter) amount {
	if p := h.part(l); p != nil {
		return p.weight.less(p.lent)
	}
	return amount{}
}

// newHolding takes what t claims, from the holdings around as far as they can lend.
func newHolding(t *Ticket) *Holding {
	h := &Holding{asker: t.asker, place: t.place, ticket: t, parts: make([]part, len(t.claims))}
	for i, c := range t.claims {
		p := &h.parts[i]
		p.holding, p.limiter, p.weight, p.own = h, c.Limiter, of(c.Weight), of(c.Weight)
		p.held.value, p.paced.value = p, p
		p.borrow()
		l := c.Limiter
		l.busy.add(p.own)
		l.reserved.add(p.own)
		l.parts.add(&p.held)
	}
	h.asker.run.holdings++
	return h
}

func (p *part) borrow() {
	for h := p.holding.place; h != nil; h = h.place {
		from := h.part(p.limiter)
		if from == nil {
			continue
		}
		much := from.weight.less(from.lent)
		if p.own.less(much) == (amount{}) {
			much = p.own
		}
		if much == (amount{}) {
			continue
		}
		p.own.sub(much)
		from.lent.add(much)
		p.loans = append(p.loans, loan{from, much})
		from.refresh()
	}
}

// refresh tells the lines inside of p's holding that it can lend less, or more.
func (p *part) refresh() {
	if n := p.limiter.inside[p.holding]; n != nil {
		n.refreshInside()
	}
}

// paces reports whether the Limiter's interval counts for p: what is lent is no
// new start.
func (p *part) paces() bool { return p.limiter.interval > 0 && p.own != (amount{}) }

// giveBack undoes newHolding.
func (h *Holding) giveBack() {
	for i := range h.parts {
		p := &h.parts[i]
		l := p.limiter
		l.busy.sub(p.own)
		if h.ticket != nil {
			l.reserved.sub(p.own)
		}
		l.parts.remove(&p.held)
		for _, loan := range p.loans {
			loan.from.lent.sub(loan.amount)
			loan.from.refresh()
		}
		p.weight, p.own, p.loans = amount{}, amount{}, nil
		p.refresh()
		books.change(l)
	}
	h.asker.run.holdings--
}

// Release gives everything back.
func (h *Holding) Release() {
	books.Lock()
	defer books.close()
	h.giveBack()
}
