package claims

import (
	"cmp"
	"math"
	"slices"
)

// never is after all instants.
const never = math.MaxInt64

// Claim is some of a Limiter.
type Claim struct {
	Limiter *Limiter
	Weight  int // above 0
}

// Asker is on whose behalf tickets ask: a group, or a task.
type Asker struct {
	run    *Run
	notify func(*Ticket)

	// Guarded by books.
	full   bool
	given  []*Ticket // have got what they claim, and not taken it
	parked []*Ticket // were served while the asker was full
}

// NewAsker returns an asker that belongs to a run. notify is called, from any
// goroutine, when a ticket is served, or something else has changed for it.
func NewAsker(run *Run, notify func(*Ticket)) *Asker { return &Asker{run: run, notify: notify} }

// SetFull says that the asker can start nothing. Tickets that are served give that up:
// nothing is kept for them.
func (a *Asker) SetFull() {
	books.Lock()
	defer books.close()
	a.full = true
	given := slices.Clone(a.given)
	slices.SortFunc(given, byOrder)
	for _, t := range given {
		t.withdraw()
		t.park()
	}
}

// HasRoom says that the asker can start something again. Tickets that were not served
// before can be.
func (a *Asker) HasRoom() {
	books.Lock()
	defer books.Unlock()
	a.full = false
}

// SetRoom does so, and returns the tickets that have given up, in the order of that. They
// are to ask anew.
func (a *Asker) SetRoom() []*Ticket {
	books.Lock()
	defer books.Unlock()
	a.full = false
	parked := a.parked
	a.parked = nil
	return parked
}

type state uint8

const (
	idle    state = iota
	waiting       // in line
	given         // it has what it claims, and is to take it
)

// Ticket asks for a set of claims, again and again.
type Ticket struct {
	asker  *Asker
	place  *Holding
	claims []Claim // one for each Limiter
	Owner  any     // whose it is: for the asker

	// Guarded by books.
	state   state
	order   int64
	waits   []wait
	missing int // Limiters where it is not reached
	beyond  int // Limiters whose capacity it exceeds: then it is in no line
	asking  bool
	told    bool // a change of a capacity
	at      int  // among the run's tickets
	givenAt int  // among the asker's given ones
	holding *Holding
	behind  int // Limiters where it waits for its start behind others
}

// NewTicket returns a ticket for claims, made from inside of a place, which may be
// nil.
func NewTicket(asker *Asker, place *Holding, claims []Claim) *Ticket {
	t := &Ticket{asker: asker, place: place, claims: claims, waits: make([]wait, len(claims))}
	for i, c := range claims {
		w := &t.waits[i]
		w.ticket, w.limiter, w.weight, w.aside.value = t, c.Limiter, c.Weight, w
	}
	return t
}

// Claims returns what t asks for.
func (t *Ticket) Claims() []Claim { return t.claims }

func byOrder(a, b *Ticket) int { return cmp.Compare(a.order, b.order) }

// Ask puts t behind all others in line, and reports whether it is served at
// once. One that is in line already stays where it is.
func (t *Ticket) Ask() bool {
	books.Lock()
	defer books.close()
	if t.state == idle {
		t.enter()
		t.asking = true
		books.serve()
		t.asking = false
	}
	return t.state == given
}

func (t *Ticket) enter() {
	books.asked++
	t.order, t.state = books.asked, waiting
	t.at = len(t.asker.run.waiting)
	t.asker.run.waiting = append(t.asker.run.waiting, t)
	for _, c := range t.claims {
		c.Limiter.waiting++
	}
	t.link()
}

// exit is the end of being in line, or of being served.
func (t *Ticket) exit() {
	t.state = idle
	for _, c := range t.claims {
		c.Limiter.waiting--
	}
	r := t.asker.run
	last := len(r.waiting) - 1
	r.waiting[t.at] = r.waiting[last]
	r.waiting[t.at].at = t.at
	r.waiting = slices.Delete(r.waiting, last, last+1)
}

// exceeds reports whether the Limiter of one of t's waits has never enough for it,
// as its capacity is, and the holdings around cannot lend it all.
func (t *Ticket) exceeds(w *wait) bool {
	l := w.limiter
	if !l.bounded || w.weight <= l.capacity {
		return false
	}
	need := of(w.weight)
	for h := t.place; h != nil; h = h.place {
		if p := h.part(l); p != nil {
			need = need.less(p.own)
		}
	}
	return need != amount{}
}

func (t *Ticket) exceed(w *wait) {
	if t.beyond == 0 {
		t.unlink()
		t.stepAside()
	}
	w.out = true
	t.beyond++
}

func (t *Ticket) noMoreExceeds(w *wait) {
	w.out = false
	t.beyond--
}

// stepAside puts t among those that are in no line, and comeBack into its lines again.
func (t *Ticket) stepAside() {
	for i := range t.waits {
		t.waits[i].limiter.aside.add(&t.waits[i].aside)
	}
}

func (t *Ticket) comeBack() {
	t.forgetAside()
	t.link()
}

func (t *Ticket) forgetAside() {
	for i := range t.waits {
		t.waits[i].limiter.aside.remove(&t.waits[i].aside)
	}
}

// link puts t into its lines, unless it exceeds a capacity.
func (t *Ticket) link() {
	for i := range t.waits {
		if w := &t.waits[i]; t.exceeds(w) {
			t.exceed(w)
		}
	}
	if t.beyond > 0 {
		return
	}
	t.missing = len(t.waits)
	for i := range t.waits {
		w := &t.waits[i]
		w.limiter.lineAt(t.place).add(w)
		books.change(w.limiter)
	}
}

// behindIt returns the waits behind those of t.
func (t *Ticket) behindIt() []*wait {
	var behind []*wait
	for i := range t.waits {
		for w := t.waits[i].next; w != nil; w = w.next {
			behind = append(behind, w)
		}
	}
	return behind
}

// tellOnce has the asker told that something is new for t, if it was not yet.
func (t *Ticket) tellOnce() {
	if t.state == waiting && !t.told {
		t.told = true
		books.news = append(books.news, t)
	}
}

// unlink takes t out of its lines.
func (t *Ticket) unlink() {
	for i := range t.waits {
		if n := t.waits[i].line; n != nil {
			n.remove(&t.waits[i])
			books.change(n.limiter)
		}
	}
}

// give gives t what it claims, if it still can: what was kept may have been taken
// by those who do not have to respect it.
func (t *Ticket) give() {
	for i := range t.waits {
		t.waits[i].line.retreat()
	}
	if t.missing > 0 {
		return
	}
	t.unlink()
	if t.asker.full {
		t.exit()
		t.park()
		return
	}
	t.state = given
	t.holding = newHolding(t)
	t.givenAt = len(t.asker.given)
	t.asker.given = append(t.asker.given, t)
	for i := range t.holding.parts {
		if p := &t.holding.parts[i]; p.paces() {
			if p.limiter.paced.first != nil {
				t.behind++
			}
			p.limiter.paced.add(&p.paced)
		}
	}
	t.tellServed()
}

// tellServed has the asker told, if t is served but for the time of its start.
func (t *Ticket) tellServed() {
	if t.behind == 0 && !t.asking {
		books.news = append(books.news, t)
	}
}

func (t *Ticket) park() { t.asker.parked = append(t.asker.parked, t) }

// ungive takes t off the lists of those that are served.
func (t *Ticket) ungive() {
	t.exit()
	a := t.asker
	last := len(a.given) - 1
	a.given[t.givenAt] = a.given[last]
	a.given[t.givenAt].givenAt = t.givenAt
	a.given = slices.Delete(a.given, last, last+1)
	t.behind = 0
	for i := range t.holding.parts {
		p := &t.holding.parts[i]
		if !p.paces() {
			continue
		}
		c := &p.limiter.paced
		wasFirst := c.first == &p.paced
		c.remove(&p.paced)
		if wasFirst && c.first != nil {
			next := c.first.value.holding.ticket
			next.behind--
			next.tellServed()
		}
	}
}

// withdraw gives back what t was given.
func (t *Ticket) withdraw() {
	t.ungive()
	t.holding.giveBack()
	t.holding = nil
}

// Due returns when t can take what it was given, if it is now, an instant of the
// Limiters' time: past, or the instant from when on an interval lets it start, or
// never if others have to start before it, or t was given nothing.
func (t *Ticket) Due(now int64) int64 {
	books.Lock()
	defer books.Unlock()
	return t.due(now)
}

func (t *Ticket) due(now int64) int64 {
	if t.state != given || t.behind > 0 {
		return never
	}
	at := int64(past)
	for i := range t.holding.parts {
		if p := &t.holding.parts[i]; p.paces() {
			at = max(at, p.limiter.next)
		}
	}
	if at > now {
		return at
	}
	return past
}

// Take takes what t was given, for a node of its owner. If it is not due yet the
// instant is that of Due.
func (t *Ticket) Take(node int32, now int64) (*Holding, int64) {
	books.Lock()
	defer books.close()
	if at := t.due(now); at != past {
		return nil, at
	}
	h := t.holding
	t.ungive()
	for i := range h.parts {
		p := &h.parts[i]
		p.limiter.reserved.sub(p.own)
		if p.paces() {
			p.limiter.next = later(max(p.limiter.next, now), times(p.limiter.interval, p.own.number()))
		}
	}
	h.ticket, h.owner, h.node, t.holding = nil, t.Owner, node, nil
	return h, past
}

// Leave gives up the places in line of tickets, or what they were given and have
// not taken. Others get what is theirs then once all have left.
func Leave(tickets ...*Ticket) {
	books.Lock()
	defer books.close()
	for _, t := range tickets {
		t.leave()
	}
}

func (t *Ticket) leave() {
	switch t.state {
	case waiting:
		t.exit()
		if t.beyond == 0 {
			t.unlink()
			return
		}
		t.forgetAside()
		for i := range t.waits {
			t.waits[i].out = false
		}
		t.beyond = 0
	case given:
		t.withdraw()
	case idle:
	}
}
