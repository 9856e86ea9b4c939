package claims

import (
	"slices"

	"github.com/steptask/scheduler/internal/firstfit"
)

// line is the tickets that wait for a Limiter to have enough, of one place, in the
// order of asking.
type line struct {
	limiter *Limiter
	place   *Holding // nil: outside of all
	around  *line    // that of the place around
	lines   []*line  // those of places inside, in no order
	at      int      // among the lines of around

	first, last *wait
	next        *wait  // the first that is not reached
	reached     amount // what those before it claim
	own         amount // what all in this line claim
	inner       amount // what those in lines inside need
	need        amount // what this line needs of what is free, as part of around.inner
	entry       firstfit.Entry[*line]
}

// wait is the place of a ticket in a line.
type wait struct {
	ticket     *Ticket
	limiter    *Limiter
	line       *line // nil: in none
	weight     int
	prev, next *wait
	reached    bool
	out        bool        // the weight exceeds the capacity
	aside      link[*wait] // among those of tickets of which a weight does
}

// lent returns what the place, and those around it, can lend.
func (n *line) lent() amount {
	var sum amount
	for h := n.place; h != nil; h = h.place {
		sum.add(h.spare(n.limiter))
	}
	return sum
}

// fits reports whether what is free, or lent, is enough for so much in this line
// beside what those in the lines inside need.
func (n *line) fits(much amount) bool {
	return n.lacks(much).less(n.limiter.free()) == amount{}
}

// lacks returns how much has to be free for that.
func (n *line) lacks(much amount) amount { return much.plus(n.inner).less(n.lent()) }

// refresh makes what others know of the line right again, after a change of what
// is in it or of what is lent.
func (n *line) refresh() {
	l := n.limiter
	if n.entry.Has() {
		l.blocked.Remove(&n.entry)
	}
	if n.next != nil {
		l.blocked.Add(&n.entry, n.next.ticket.order, n.lacks(n.reached.plus(of(n.next.weight))).word())
	}
	if n.around == nil {
		return
	}
	need := n.own.plus(n.inner).less(n.place.spare(l))
	if need != n.need {
		n.around.inner.sub(n.need)
		n.around.inner.add(need)
		n.need = need
		n.around.refresh()
	}
}

// refreshInside does so for the line and all inside of it.
func (n *line) refreshInside() {
	for _, inside := range n.lines {
		inside.refreshInside()
	}
	n.refresh()
}

// adopt takes over the lines of the line around that are inside of n's place.
func (n *line) adopt() {
	for _, other := range slices.Clone(n.around.lines) {
		if !other.place.isIn(n.place) {
			continue
		}
		n.around.removeLine(other)
		n.around.inner.sub(other.need)
		other.around = n
		n.addLine(other)
		n.inner.add(other.need)
	}
	n.refresh()
}

func (n *line) addLine(inside *line) {
	inside.at = len(n.lines)
	n.lines = append(n.lines, inside)
}

func (n *line) removeLine(inside *line) {
	last := len(n.lines) - 1
	n.lines[inside.at] = n.lines[last]
	n.lines[inside.at].at = inside.at
	n.lines = slices.Delete(n.lines, last, last+1)
}

// add puts a wait where its ticket belongs by the order of asking: behind all, but
// for one that comes back.
func (n *line) add(w *wait) {
	before := n.last
	for before != nil && before.ticket.order > w.ticket.order {
		before = before.prev
	}
	w.line, w.prev = n, before
	if before == nil {
		w.next, n.first = n.first, w
	} else {
		w.next, before.next = before.next, w
	}
	if w.next == nil {
		n.last = w
	} else {
		w.next.prev = w
	}
	n.own.add(of(w.weight))
	for later := w.next; later != nil && later.reached; later = later.next {
		n.unreach(later)
	}
	if before == nil || before.reached {
		n.next = w
	}
	n.refresh()
}

// remove takes a wait out.
func (n *line) remove(w *wait) {
	if w.prev == nil {
		n.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		n.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	n.own.sub(of(w.weight))
	switch {
	case w.reached:
		n.reached.sub(of(w.weight))
	case n.next == w:
		n.next = w.next
	}
	w.prev, w.next, w.line, w.reached = nil, nil, nil, false
	n.refresh()
	n.limiter.drop(n)
}

// reach reaches the next one.
func (n *line) reach() {
	w := n.next
	w.reached = true
	n.reached.add(of(w.weight))
	n.next = w.next
	n.refresh()
	if w.ticket.missing--; w.ticket.missing == 0 {
		w.ticket.give()
	}
}

// unreach takes that back. The caller sees to n.next, if w is not before it.
func (n *line) unreach(w *wait) {
	w.reached = false
	n.reached.sub(of(w.weight))
	w.ticket.missing++
}

// retreat takes it back from the last ones, as long as they are too many: those
// who did not have to respect this line may have taken what was kept for it.
func (n *line) retreat() {
	if n.fits(n.reached) {
		return
	}
	for n.reached != (amount{}) && !n.fits(n.reached) {
		w := n.last
		if n.next != nil {
			w = n.next.prev
		}
		n.unreach(w)
		n.next = w
	}
	n.refresh()
}
