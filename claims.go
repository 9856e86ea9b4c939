package scheduler

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steptask/scheduler/internal/claims"
	"github.com/steptask/scheduler/internal/minheap"
)

// claimQueue has the nodes of a group that wait for shared Limiters. Nodes that claim
// the same are a class, which has one place in line. While they wait nothing looks at
// them: a class that is served comes by notify, one that has to wait for an Interval is
// found by its time.
type claimQueue struct {
	host  claimHost
	run   *claims.Run   // shared by the outermost group and all inside; made when first needed
	asker *claims.Asker // made when first needed

	classes classes
	waiting int                  // classes with nodes that wait
	again   []*class             // are to ask again
	opened  []*class             // have a node among the ready ones
	timed   minheap.Heap[*class] // by the instant of the run's clock at which they can start
	full    bool                 // the group was, after the last start pass
	stuck   bool                 // the run was, after the last step

	isNotified atomic.Bool
	mu         sync.Mutex
	notified   []*class // guarded by mu
}

// claimHost is the group of a claimQueue.
type claimHost interface {
	pathOf(p int32) string
	nodeAt(rank int32) int32
	wakeUp() // from any goroutine
	outerClaims() *claimQueue
}

// begin makes the queue ready for a group.
func (q *claimQueue) begin(host claimHost) { q.host = host }

// ofRun returns what is shared by the outermost group and all inside.
func (q *claimQueue) ofRun() *claims.Run {
	if q.run == nil {
		if outer := q.host.outerClaims(); outer != nil {
			q.run = outer.ofRun()
		} else {
			q.run = new(claims.Run)
		}
	}
	return q.run
}

// notify says, from any goroutine, that a ticket is served, or has other news.
func (q *claimQueue) notify(t *claims.Ticket) {
	q.mu.Lock()
	q.notified = append(q.notified, t.Owner.(*class))
	q.mu.Unlock()
	q.isNotified.Store(true)
	q.host.wakeUp()
}

// classFor returns the class of a node, of so many, with the claims that ask returns if
// it is the first time, or nil if it claims nothing.
func (q *claimQueue) classFor(p int32, nodes int, ask func(p int32) []Claim) (*class, error) {
	return q.classes.find(p, nodes, q, ask)
}

// forget says that a node is no longer pending.
func (q *claimQueue) forget(p int32) { q.classes.forget(p) }

// ticketOf returns the place in line of a pending node that waits for nothing but
// claims, or nil.
func (q *claimQueue) ticketOf(p int32) *claims.Ticket {
	if c := q.classes.of(p); c != nil {
		return c.ticket
	}
	return nil
}

// take returns what a node of a class claims, to be held by that node, which is to be
// started now. If it cannot have that yet, the result is nil, and it waits in its class.
// place is the nearest that is held around the group, or nil.
func (q *claimQueue) take(c *class, p, rank int32, place *claims.Holding, clock timeSource) *claims.Holding {
	if q.asker == nil {
		q.asker = claims.NewAsker(q.ofRun(), q.notify)
	}
	if c.ticket == nil {
		q.classes.line(c, q.asker, place)
	}
	if c.isOpen() || !c.waits() && c.ticket.Ask() {
		q.close(c)
		now, ahead := c.time(clock)
		h, at := c.ticket.Take(p, now)
		if h != nil {
			if c.waits() {
				q.again = append(q.again, c)
			}
			q.forget(p)
			return h
		}
		q.waitUntil(c, at, ahead)
	}
	q.wait(c, rank)
	return nil
}

// wait has a node wait in its class.
func (q *claimQueue) wait(c *class, rank int32) {
	if !c.waits() {
		q.waiting++
	}
	c.nodes.Push(int64(rank), struct{}{})
}

// close ends the turn of a class.
func (q *claimQueue) close(c *class) {
	if c.isOpen() {
		c.turn = noNode
		q.opened = slices.DeleteFunc(q.opened, func(d *class) bool { return d == c })
	}
}

// withdraw takes a node, by position and rank, out of those that wait for claims, or
// are served. Its class lets others go before it in line, if that was all.
func (q *claimQueue) withdraw(p, rank int32) {
	c := q.classes.of(p)
	if c == nil {
		return
	}
	hadTurn := c.turn == rank
	if hadTurn {
		q.close(c)
	} else if c.remove(rank) && !c.waits() {
		q.waiting--
	}
	switch {
	case !c.waits() && !c.isOpen():
		claims.Leave(c.ticket)
		q.forgetTime(c)
	case hadTurn:
		q.again = append(q.again, c)
	}
}

// hasNews reports whether serve has anything to do, times left aside.
func (q *claimQueue) hasNews() bool {
	return q.full || len(q.again) > 0 || q.isNotified.Load()
}

// hasTimes reports whether there is a class that waits for a time.
func (q *claimQueue) hasTimes() bool { return q.timed.Len() > 0 }

// serve gives each class that is served to add, which puts the rank of its first
// node among the ready ones. The group has room.
func (q *claimQueue) serve(clock timeSource, add func(rank int32)) {
	if q.full {
		q.full = false
		for _, t := range q.asker.SetRoom() {
			q.again = append(q.again, t.Owner.(*class))
		}
	}
	again := q.again
	q.again = nil
	for _, c := range again {
		if c.isUnserved() && c.ticket.Ask() {
			q.open(c, clock, add)
		}
	}
	if q.isNotified.Load() {
		for _, c := range q.takeNotified() {
			if c.isUnserved() {
				q.open(c, clock, add)
			}
		}
	}
	q.serveTimed(clock, add)
}

func (q *claimQueue) takeNotified() []*class {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.isNotified.Store(false)
	notified := q.notified
	q.notified = nil
	return notified
}

// open makes the first node of a class ready, if nothing but a time, which is then
// waited for, is in the way.
func (q *claimQueue) open(c *class, clock timeSource, add func(rank int32)) {
	now, ahead := c.time(clock)
	if at := c.ticket.Due(now); at != past {
		q.waitUntil(c, at, ahead)
		return
	}
	rank, _ := c.nodes.Pop()
	add(int32(rank))
	c.turn = int32(rank)
	q.opened = append(q.opened, c)
	if !c.waits() {
		q.waiting--
	}
}

// nextTime returns when an Interval lets a node start, or never.
func (q *claimQueue) nextTime() int64 {
	if q.timed.Len() == 0 {
		return never
	}
	at, _ := q.timed.Min()
	return at
}

// setFull says that the group is full after a start pass: what runs in it may need
// what is kept for those that wait. A node whose turn it was stays ready, and asks again
// when it can start: to ask for all of them each time that there is room would cost the
// square of their number.
func (q *claimQueue) setFull() {
	if q.full || q.waiting == 0 && len(q.opened) == 0 {
		return
	}
	q.full = true
	q.asker.SetFull()
	for _, c := range q.opened {
		c.turn = noNode
	}
	q.opened = nil
	q.forgetTimes()
}

// hasRoom says that it is not full any more.
func (q *claimQueue) hasRoom() {
	if q.full {
		q.asker.HasRoom()
	}
}

// forgetTime has a class wait for a time no more.
func (q *claimQueue) forgetTime(c *class) {
	if c.timed {
		c.timed = false
		q.timed.Remove(func(_ int64, timed *class) bool { return timed == c })
	}
}

func (q *claimQueue) forgetTimes() {
	for q.timed.Len() > 0 {
		_, c := q.timed.Pop()
		c.timed = false
	}
}

// leave gives all places in line up: nothing more starts.
func (q *claimQueue) leave() {
	q.classes.leaveLine()
	q.again, q.opened, q.waiting, q.full = nil, nil, 0, false
	q.forgetTimes()
}

// isStuck reports whether the run, in which nothing can go on but by claims, waits
// for ever.
func (q *claimQueue) isStuck() bool {
	q.stuck = true
	return q.ofRun().IsDead()
}

// goOn says that the run does something again.
func (q *claimQueue) goOn() {
	if q.stuck {
		q.stuck = false
		q.run.Goes()
	}
}

// waitUntil has a class served when the run's clock reads at, an instant of the
// Limiters' time, which the clock is ahead of.
func (q *claimQueue) waitUntil(c *class, at int64, ahead time.Duration) {
	if at != never && !c.timed {
		c.timed = true
		q.timed.Push(later(at, ahead), c)
	}
}

// serveTimed opens the classes whose time has come.
func (q *claimQueue) serveTimed(clock timeSource, add func(rank int32)) {
	if q.timed.Len() == 0 {
		return
	}
	now := instantOf(clock)
	for c, ok := q.timed.PopUpTo(now); ok; c, ok = q.timed.PopUpTo(now) {
		c.timed = false
		if c.isUnserved() {
			q.open(c, clock, add)
		}
	}
}

// someWait reports whether a node waits for claims.
func (q *claimQueue) someWait() bool { return q.waiting > 0 }

// placeOf returns what a running node holds, or else what is held around it.
func (g *engine) placeOf(p int32) *claims.Holding {
	return cmp.Or(g.holdings.of(g.nodes.slot(p)), g.place)
}

func (g *engine) nodeAt(rank int32) int32 { return g.starter.nodeAt(rank) }

func (g *engine) wakeUp() { g.parking.call() }

func (g *engine) outerClaims() *claimQueue {
	if g.outer == nil {
		return nil
	}
	return &g.outer.claims
}
