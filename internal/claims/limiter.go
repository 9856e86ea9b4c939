package claims

import (
	"math"
	"slices"
	"time"

	"github.com/steptask/scheduler/internal/firstfit"
)

// past is before all instants.
const past = math.MinInt64

// Limiter is something of which there is only so much.
type Limiter struct {
	interval time.Duration

	// Guarded by books.
	bounded  bool
	capacity int
	most     int                   // the largest capacity so far
	busy     amount                // what holdings have
	reserved amount                // of that, what was given and not taken yet
	next     int64                 // with an interval: from which instant on there may be a start
	waiting  int                   // tickets
	outside  *line                 // of those who ask from no place
	inside   map[*Holding]*line    // of the others
	blocked  firstfit.Queue[*line] // lines that have somebody who is not reached, by the first such
	aside    chain[*wait]          // of tickets in no line, since they claim more than a capacity
	paced    chain[*part]          // with an interval: those that are served, but for that
	parts    chain[*part]          // what holdings have, in the order of their taking
	change   int                   // the place among the changes, from 1 on; 0: in none
	from     int64                 // there: of no ticket before that can anything be reached
}

// NewLimiter returns a Limiter with a capacity, if that is above 0, and an
// interval between two starts.
func NewLimiter(capacity int, interval time.Duration) *Limiter {
	l := &Limiter{interval: interval, next: past, capacity: capacity, bounded: capacity > 0, most: capacity}
	if !l.bounded {
		l.most = math.MaxInt
	}
	l.outside = &line{limiter: l}
	l.outside.entry.Value = l.outside
	return l
}

// InUse returns how much is in use.
func (l *Limiter) InUse() int {
	books.Lock()
	defer books.Unlock()
	return l.busy.less(l.reserved).number()
}

// Waiting returns how many tickets wait in line.
func (l *Limiter) Waiting() int {
	books.Lock()
	defer books.Unlock()
	return l.waiting
}

// Capacity returns the capacity, 0 if there never was one, and the largest that
// there was so far.
func (l *Limiter) Capacity() (now, most int) {
	books.Lock()
	defer books.Unlock()
	return l.capacity, l.most
}

// HasInterval reports whether there is a time between two starts.
func (l *Limiter) HasInterval() bool { return l.interval > 0 }

// SetCapacity changes the capacity. Who claims more than that leaves its line, and
// comes back to its place there when there is enough. All who wait for l are told:
// what they wait for may be something else now.
func (l *Limiter) SetCapacity(n int) {
	books.Lock()
	defer books.close()
	l.bounded, l.capacity, l.most = true, n, max(l.most, n)
	all := l.waits()
	var told []*wait
	for _, w := range all {
		if w.out || w.ticket.beyond == 0 { // others wait for another Limiter
			told = append(told, w)
		}
	}
	for _, w := range all {
		t := w.ticket
		if is := t.exceeds(w); is && !w.out {
			t.exceed(w)
		} else if !is && w.out {
			if t.noMoreExceeds(w); t.beyond == 0 {
				t.comeBack()
				told = append(told, t.behindIt()...)
			}
		}
	}
	books.change(l)
	books.serve()
	for _, w := range told {
		w.ticket.tellOnce()
	}
	for _, w := range told {
		w.ticket.told = false
	}
}

// waits returns those who claim some of l and have not got it, in the order of asking.
func (l *Limiter) waits() []*wait {
	var all []*wait
	for n := range l.lines() {
		for w := n.first; w != nil; w = w.next {
			all = append(all, w)
		}
	}
	for w := l.aside.first; w != nil; w = w.next {
		all = append(all, w.value)
	}
	slices.SortFunc(all, func(a, b *wait) int { return byOrder(a.ticket, b.ticket) })
	return all
}

// lines yields the lines of l, in no order.
func (l *Limiter) lines() func(yield func(*line) bool) {
	return func(yield func(*line) bool) {
		if !yield(l.outside) {
			return
		}
		for _, n := range l.inside {
			if !yield(n) {
				return
			}
		}
	}
}

// lineAt returns the line for a place, made if need be.
func (l *Limiter) lineAt(place *Holding) *line {
	if place == nil {
		return l.outside
	}
	if n := l.inside[place]; n != nil {
		return n
	}
	// Places that have nothing of l, and where nobody waits for it, need no line.
	around := place.place
	for around != nil && l.inside[around] == nil && around.part(l) == nil {
		around = around.place
	}
	n := &line{limiter: l, place: place, around: l.lineAt(around)}
	n.entry.Value = n
	if place.lines > 0 {
		n.adopt()
	}
	n.around.addLine(n)
	for h := place; h != nil; h = h.place {
		h.lines++
	}
	if l.inside == nil {
		l.inside = map[*Holding]*line{}
	}
	l.inside[place] = n
	return n
}

// drop forgets a line that nobody waits in, nor in one inside.
func (l *Limiter) drop(n *line) {
	for n.place != nil && n.first == nil && len(n.lines) == 0 {
		for h := n.place; h != nil; h = h.place {
			h.lines--
		}
		around := n.around
		around.removeLine(n)
		delete(l.inside, n.place)
		n = around
	}
}

// room returns how much there is of l if nobody has any.
func (l *Limiter) room() amount {
	if !l.bounded {
		return amount{hi: math.MaxUint64}
	}
	return of(l.capacity)
}

// free returns what nobody has. What is kept for some in line is part of it.
func (l *Limiter) free() amount { return l.room().less(l.busy) }

// reachable returns the line in which a ticket can be reached next: the first one, in the
// order of asking, for which there is enough. It returns nil if there is none.
func (l *Limiter) reachable() *line {
	if found := l.blocked.First(l.free().word()); found != nil {
		return found.Value
	}
	return nil
}
