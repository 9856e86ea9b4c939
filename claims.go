package scheduler

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steptask/scheduler/internal/claims"
	"github.com/steptask/scheduler/internal/minheap"
)

// claimQueue has the nodes of a group that wait for shared Limiters, and what
// running ones hold. Nodes that claim the same are a class, which has one place in
// line. While they wait nothing looks at them: a class whose turn it is comes by
// turn, one that has to wait for an Interval is found by its time.
type claimQueue struct {
	host  claimHost
	place *claims.Holding // the nearest that is held around the group
	run   *claims.Run     // shared by the outermost group and all inside; made when first needed
	asker *claims.Asker   // made when first needed

	sets    map[claimSet]*class
	unused  int                  // of the sets, those whose class nobody uses
	classOf []*class             // of pending nodes, by position; nil: not asked yet, or nothing is claimed
	asked   []*class             // all that have asked for something
	waiting int                  // classes with nodes that wait
	again   []*class             // are to ask again
	opened  []*class             // have a node among the ready ones
	timed   minheap.Heap[*class] // by the instant of the run's clock at which they can start
	full    bool                 // the group was, after the last start pass
	stuck   bool                 // the run was, after the last step

	starting *claims.Holding   // of the node that is starting
	held     []*claims.Holding // by slot

	hasTurns atomic.Bool
	mu       sync.Mutex
	turns    []*class // guarded by mu
}

// claimHost is the group of a claimQueue.
type claimHost interface {
	pathOf(p int32) string
	nodeAt(rank int32) int32
	wakeUp() // from any goroutine
	outerClaims() *claimQueue
}

// claimSet is a set of claims: one, and the class of those before it.
type claimSet struct {
	before *class
	claim  Claim
}

// class is the nodes of a group that claim the same.
type class struct {
	queue  *claimQueue
	claims []Claim
	users  int  // pending nodes, and classes that this one is before
	paced  bool // a claim is on a Limiter with an Interval
	ticket *claims.Ticket
	nodes  minheap.Heap[struct{}] // that wait, by rank
	open   bool                   // it is its turn: one of its nodes is among the ready ones
	timed  bool                   // it is among those that wait for a time
}

func (c *class) claimed() []Claim         { return c.claims }
func (c *class) pathOf(node int32) string { return c.queue.host.pathOf(node) }

// waits reports whether nodes wait for the turn of the class.
func (c *class) waits() bool { return c.nodes.Len() > 0 && !c.open }

// next returns the node that is the first to start of those that wait.
func (c *class) next() string {
	rank, _ := c.nodes.Min()
	return c.queue.host.pathOf(c.queue.host.nodeAt(int32(rank)))
}

// begin makes the queue ready for a group around which place is held, or nothing.
func (q *claimQueue) begin(host claimHost, place *claims.Holding) { q.host, q.place = host, place }

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

// turn says, from any goroutine, that there is something new for a ticket.
func (q *claimQueue) turn(t *claims.Ticket) {
	q.mu.Lock()
	q.turns = append(q.turns, t.Owner.(*class))
	q.mu.Unlock()
	q.hasTurns.Store(true)
	q.host.wakeUp()
}

// classFor returns the class of a node, of so many, with the claims that ask returns if
// it is the first time, or nil if it claims nothing.
func (q *claimQueue) classFor(p int32, nodes int, ask func(p int32) []Claim) (*class, error) {
	if c := q.known(p); c != nil {
		return c, nil
	}
	merged, err := mergeClaims("GroupOptions.Claims", ask(p))
	if err != nil {
		return nil, err
	}
	q.dropUnused()
	c := q.classWith(merged)
	if c == nil {
		return nil, nil
	}
	q.use(c)
	if int(p) >= len(q.classOf) {
		q.classOf = extended(q.classOf, nodes)
	}
	q.classOf[p] = c
	return c, nil
}

// classWith returns the class that has claims, or nil if there are none.
func (q *claimQueue) classWith(merged []Claim) (c *class) {
	if q.sets == nil {
		q.sets = map[claimSet]*class{}
	}
	for i, claim := range merged {
		set := claimSet{c, claim}
		if c = q.sets[set]; c == nil {
			c = &class{queue: q, claims: merged[:i+1]}
			q.sets[set] = c
			q.unused++
			q.use(set.before)
		}
	}
	return c
}

// forget says that a node is no longer pending, or starts.
func (q *claimQueue) forget(p int32) {
	if c := q.known(p); c != nil {
		q.leaveUnused(c)
		q.classOf[p] = nil
	}
}

// known returns the class of a pending node, or nil if it was not asked yet or claims
// nothing.
func (q *claimQueue) known(p int32) *class {
	if int(p) >= len(q.classOf) {
		return nil
	}
	return q.classOf[p]
}

func (q *claimQueue) use(c *class) {
	if c == nil {
		return
	}
	if c.users == 0 {
		q.unused--
	}
	c.users++
}

func (q *claimQueue) leaveUnused(c *class) {
	if c == nil {
		return
	}
	if c.users--; c.users == 0 {
		q.unused++
	}
}

// dropUnused drops the classes that nobody uses once they are many: nodes that start one
// after the other share one, and a stream of nodes with claims of their own leaves nothing
// behind.
func (q *claimQueue) dropUnused() {
	const few = 64
	if q.unused <= max(few, len(q.sets)/2) {
		return
	}
	q.asked = slices.DeleteFunc(q.asked, func(c *class) bool { return c.users == 0 })
	for set, c := range q.sets {
		if c.users == 0 {
			delete(q.sets, set)
			q.unused--
			q.leaveUnused(set.before)
		}
	}
}

// ticketOf returns the place in line of a pending node that waits for nothing but
// claims.
func (q *claimQueue) ticketOf(p int32) *claims.Ticket {
	if c := q.known(p); c != nil {
		return c.ticket
	}
	return nil
}

// take gets what a node of a class claims, to be held by that node, and reports
// whether it is to be started now. If not it waits in its class.
func (q *claimQueue) take(c *class, p, rank int32, clock timeSource) bool {
	if q.asker == nil {
		q.asker = claims.NewAsker(q.ofRun(), q.turn)
	}
	if c.ticket == nil {
		c.ticket = newTicket(q.asker, q.place, c, c.claims)
		c.paced = hasInterval(c.claims)
		q.asked = append(q.asked, c)
	}
	if c.open || c.nodes.Len() == 0 && c.ticket.Ask() {
		q.close(c)
		now, ahead := c.time(clock)
		h, at := c.ticket.Take(p, now)
		if h != nil {
			q.starting = h
			if c.nodes.Len() > 0 {
				q.again = append(q.again, c)
			}
			q.forget(p)
			return true
		}
		q.waitUntil(c, at, ahead)
	}
	if c.nodes.Len() == 0 {
		q.waiting++
	}
	c.nodes.Push(int64(rank), struct{}{})
	return false
}

// close takes back that it is the turn of a class.
func (q *claimQueue) close(c *class) {
	if c.open {
		c.open = false
		q.opened = slices.DeleteFunc(q.opened, func(d *class) bool { return d == c })
	}
}

// withdraw takes a node, by position and rank, out of those that wait for claims, or
// have their turn. Its class lets others go before it in line, if that was all.
func (q *claimQueue) withdraw(p, rank int32) {
	c := q.known(p)
	if c == nil {
		return
	}
	waited := c.nodes.Remove(func(at int64, _ struct{}) bool { return at == int64(rank) })
	if waited && c.nodes.Len() == 0 {
		q.waiting--
	}
	hadTurn := c.open && !waited
	if hadTurn {
		q.close(c)
	}
	switch {
	case c.nodes.Len() == 0 && !c.open:
		claims.Leave(c.ticket)
		q.forgetTime(c)
	case hadTurn:
		q.again = append(q.again, c)
	}
}

// time returns the time of Limiters, if that matters, and how far the run's clock
// is ahead of that.
func (c *class) time(clock timeSource) (now int64, ahead time.Duration) {
	if !c.paced {
		return never, 0
	}
	return limiterTime(clock)
}

// hasNews reports whether serve has anything to do, times left aside.
func (q *claimQueue) hasNews() bool {
	return q.full || len(q.again) > 0 || q.hasTurns.Load()
}

// hasTimes reports whether there is a class that waits for a time.
func (q *claimQueue) hasTimes() bool { return q.timed.Len() > 0 }

// serve gives each class whose turn it is to add, which puts the rank of its first
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
		if c.waits() && c.ticket.Ask() {
			q.open(c, clock, add)
		}
	}
	if q.hasTurns.Load() {
		for _, c := range q.takeTurns() {
			if c.waits() {
				q.open(c, clock, add)
			}
		}
	}
	q.serveTimed(clock, add)
}

func (q *claimQueue) takeTurns() []*class {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hasTurns.Store(false)
	turns := q.turns
	q.turns = nil
	return turns
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
	c.open = true
	q.opened = append(q.opened, c)
	if c.nodes.Len() == 0 {
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
// what is kept for those that wait.
func (q *claimQueue) setFull() {
	if q.full || q.waiting == 0 && len(q.opened) == 0 {
		return
	}
	q.full = true
	q.asker.SetFull()
	for _, c := range q.opened {
		c.open = false
	}
	q.opened = nil
	q.forgetTimes()
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
	if len(q.asked) > 0 {
		tickets := make([]*claims.Ticket, len(q.asked))
		for i, c := range q.asked {
			tickets[i] = c.ticket
		}
		claims.Leave(tickets...)
	}
	q.asked, q.again, q.opened, q.waiting, q.full = nil, nil, nil, 0, false
	q.forgetTimes()
}

// end lets go of everything. What running nodes hold was given back.
func (q *claimQueue) end() {
	q.held = nil
	q.leave()
}

// release gives back what the node holds that is starting, if it does not run on.
func (q *claimQueue) release() {
	if h := q.starting; h != nil {
		q.starting = nil
		h.Release()
	}
}

// occupy makes what the starting node holds that of a slot. There are so many slots.
func (q *claimQueue) occupy(slot int32, slots int) {
	if q.starting == nil {
		return
	}
	if int(slot) >= len(q.held) {
		q.held = extended(q.held, slots)
	}
	q.held[slot], q.starting = q.starting, nil
}

// vacate gives back what the member in a slot holds.
func (q *claimQueue) vacate(slot int32) {
	if h := q.holding(slot); h != nil {
		q.held[slot] = nil
		h.Release()
	}
}

// placeIn returns what the member in a slot holds, or the node that is starting,
// or else what is held around the group.
func (q *claimQueue) placeIn(slot int32) *claims.Holding {
	h := q.starting
	if slot != noSlot {
		h = q.holding(slot)
	}
	if h == nil {
		return q.place
	}
	return h
}

func (q *claimQueue) holding(slot int32) *claims.Holding {
	if int(slot) >= len(q.held) {
		return nil
	}
	return q.held[slot]
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
		if c.waits() {
			q.open(c, clock, add)
		}
	}
}

// placeOf returns what a running node holds, or else what is held around it.
func (g *engine) placeOf(p int32) *claims.Holding { return g.claims.placeIn(g.nodes.slot(p)) }

func (g *engine) nodeAt(rank int32) int32 { return g.starter.nodeAt(rank) }

func (g *engine) wakeUp() { g.parking.call() }

func (g *engine) outerClaims() *claimQueue {
	if g.outer == nil {
		return nil
	}
	return &g.outer.claims
}
