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
	aside    amount                // of that, what was given and not taken yet
	next     int64                 // with an interval: from which instant on there may be a start
	waiting  int                   // tickets
	outside  *line                 // of those who ask from no place
	inside   map[*Holding]*line    // of the others
	blocked  firstfit.Queue[*line] // lines that have somebody who is not reached, by the first such
	beyond   map[*Ticket]struct{}  // who claims more than the capacity
	paced    chain[*part]          // with an interval: who has its turn, but for that
	parts    chain[*part]          // what holdings have, in the order of their taking
	changed  bool
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
	return l.busy.less(l.aside).number()
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
	var told []*Ticket
	for _, t := range l.tickets() {
		told = append(told, t)
		_, was := l.beyond[t]
		if is := t.exceeds(l); is && !was {
			t.unlink()
			t.exceed(l)
		} else if was && !is {
			delete(l.beyond, t)
			if t.beyond--; t.beyond == 0 {
				t.link()
				told = append(told, t.behindIt()...)
			}
		}
	}
	books.change(l)
	books.settle()
	seen := map[*Ticket]bool{}
	for _, t := range told {
		if t.state == waiting && !seen[t] {
			seen[t] = true
			books.turns = append(books.turns, t)
		}
	}
}

// tickets returns those who wait for l to have enough, in the order of asking.
func (l *Limiter) tickets() []*Ticket {
	var all []*Ticket
	for n := range l.lines() {
		for w := n.first; w != nil; w = w.next {
			all = append(all, w.ticket)
		}
	}
	for t := range l.beyond {
		all = append(all, t)
	}
	slices.SortFunc(all, byOrder)
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
	n := l.inside[place]
	if n == nil {
		if l.inside == nil {
			l.inside = map[*Holding]*line{}
		}
		n = &line{limiter: l, place: place, around: l.lineAt(place.place), at: -1}
		n.entry.Value = n
		n.around.addLine(n)
		l.inside[place] = n
	}
	return n
}

// drop forgets a line that nobody waits in, nor in one inside.
func (l *Limiter) drop(n *line) {
	for n.place != nil && n.first == nil && len(n.lines) == 0 {
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

// advance reaches all who can be reached: at each moment the earliest of those who
// are the next in their lines.
func (l *Limiter) advance() {
	for {
		found := l.blocked.First(l.free().word())
		if found == nil {
			return
		}
		found.Value.reach()
	}
}
