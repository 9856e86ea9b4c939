// Package claims hands out what is limited: who claims something of several
// Limiters gets all of it at once, or waits for it in line.
//
// # The line
//
// A [Ticket] asks for some of each of a few Limiters. At each of them it waits in
// a line, in the order of asking. It is reached there when what is free is enough
// for all before it and for itself; from then on what it needs is kept for it. A
// ticket that is reached everywhere is served: it is given what it claims, and its
// asker is told. Looking only at the first that is not reached, each ticket is
// looked at once at each of its Limiters, however many wait. Where something has
// changed at several Limiters, or in several lines, the ticket that has asked first
// is looked at first: so tickets are served, and borrow, in the order of asking.
//
// What somebody has got is a [Holding]. Tickets may ask from inside of one (its
// place): what the holding has is lent to them, and they go before those outside,
// who may be waiting for the holding itself. So each Limiter has a line for each
// place. Lines of places that have nothing to do with each other keep nothing for
// each other, or two holdings could wait for what is kept for both.
//
// One lock guards everything. It is held for a few comparisons, and no foreign
// code runs under it.
package claims

import "sync"

// ledger is what belongs to all Limiters together.
type ledger struct {
	sync.Mutex
	asked   int64     // tickets that have asked so far
	changed changes   // since tickets were served
	news    []*Ticket // whose askers are to be told
}

var books ledger

// change says that there may be more for those in line, if anybody is not reached.
func (b *ledger) change(l *Limiter) {
	if !l.blocked.Empty() {
		b.changed.add(l)
	}
}

// serve gives what there is to those in line, at each moment to the first for whom there
// is enough. To give something makes nothing free, so a ticket is reached before all that
// have asked later.
func (b *ledger) serve() {
	for n := b.changed.next(); n != nil; n = b.changed.next() {
		n.reach()
	}
}

// close serves those in line, lets go of the lock and tells the askers.
func (b *ledger) close() {
	b.serve()
	news := b.news
	b.news = nil
	b.Unlock()
	for _, t := range news {
		t.asker.notify(t)
	}
}
