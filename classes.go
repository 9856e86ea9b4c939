package scheduler

import (
	"slices"
	"time"

	"github.com/steptask/scheduler/internal/claims"
	"github.com/steptask/scheduler/internal/minheap"
)

// class is the nodes of a group that claim the same.
type class struct {
	queue  *claimQueue
	claims []Claim
	users  int  // pending nodes, and classes that this one is before
	paced  bool // a claim is on a Limiter with an Interval
	ticket *claims.Ticket
	nodes  minheap.Heap[struct{}] // that wait, by rank
	turn   int32                  // it is served, and the node of this rank among the ready ones; noNode: none
	timed  bool                   // it is among those that wait for a time
}

// claimSet is a set of claims: one, and the class of those before it.
type claimSet struct {
	before *class
	claim  Claim
}

func (c *class) claimed() []Claim         { return c.claims }
func (c *class) pathOf(node int32) string { return c.queue.host.pathOf(node) }

// next returns the node that is the first to start of those that wait.
func (c *class) next() string {
	rank, _ := c.nodes.Min()
	return c.queue.host.pathOf(c.queue.host.nodeAt(int32(rank)))
}

// waits reports whether nodes of the class wait, isOpen whether it is the turn of one, and
// isUnserved whether some wait and it is not.
func (c *class) waits() bool      { return c.nodes.Len() > 0 }
func (c *class) isOpen() bool     { return c.turn != noNode }
func (c *class) isUnserved() bool { return c.waits() && !c.isOpen() }

// remove takes the node of a rank out of those that wait, and reports whether it did.
func (c *class) remove(rank int32) bool {
	return c.nodes.Remove(func(at int64, _ struct{}) bool { return at == int64(rank) })
}

// time returns the time of Limiters, if that matters, and how far the run's clock
// is ahead of that.
func (c *class) time(clock timeSource) (now int64, ahead time.Duration) {
	if !c.paced {
		return never, 0
	}
	return limiterTime(clock)
}

// classes are the classes of the pending nodes of a group. Nodes with the same claims
// share one, also if they come one after the other.
type classes struct {
	bySet  map[claimSet]*class
	ofNode []*class // by position; nil: not asked yet, no longer pending, or nothing is claimed
	unused int      // of bySet, those that nobody uses
	asked  []*class // those with a place in line, in the order in which they got it
}

// find returns the class of a node, of so many, with the claims that ask returns if it is
// the first time, or nil if it claims nothing. Its nodes wait in a queue.
func (c *classes) find(p int32, nodes int, queue *claimQueue, ask func(p int32) []Claim) (*class, error) {
	if known := c.of(p); known != nil {
		return known, nil
	}
	merged, err := mergeClaims("GroupOptions.Claims", ask(p))
	if err != nil {
		return nil, err
	}
	c.dropUnused()
	found := c.with(merged, queue)
	if found == nil {
		return nil, nil
	}
	c.use(found)
	if int(p) >= len(c.ofNode) {
		c.ofNode = extended(c.ofNode, nodes)
	}
	c.ofNode[p] = found
	return found, nil
}

// with returns the class that has claims, or nil if there are none.
func (c *classes) with(merged []Claim, queue *claimQueue) (found *class) {
	if c.bySet == nil {
		c.bySet = map[claimSet]*class{}
	}
	for i, claim := range merged {
		set := claimSet{found, claim}
		if found = c.bySet[set]; found == nil {
			found = &class{queue: queue, claims: merged[:i+1], turn: noNode}
			c.bySet[set] = found
			c.unused++
			c.use(set.before)
		}
	}
	return found
}

// of returns the class of a pending node, or nil if it was not asked yet or claims
// nothing.
func (c *classes) of(p int32) *class {
	if int(p) >= len(c.ofNode) {
		return nil
	}
	return c.ofNode[p]
}

// forget says that a node is no longer pending, or starts.
func (c *classes) forget(p int32) {
	if known := c.of(p); known != nil {
		c.leaveUnused(known)
		c.ofNode[p] = nil
	}
}

func (c *classes) use(used *class) {
	if used == nil {
		return
	}
	if used.users == 0 {
		c.unused--
	}
	used.users++
}

func (c *classes) leaveUnused(left *class) {
	if left == nil {
		return
	}
	if left.users--; left.users == 0 {
		c.unused++
	}
}

// dropUnused drops the classes that nobody uses once they are many: nodes that start one
// after the other share one, and a stream of nodes with claims of their own leaves nothing
// behind.
func (c *classes) dropUnused() {
	const few = 64
	if c.unused <= max(few, len(c.bySet)/2) {
		return
	}
	c.asked = slices.DeleteFunc(c.asked, func(asked *class) bool { return asked.users == 0 })
	for set, dropped := range c.bySet {
		if dropped.users == 0 {
			delete(c.bySet, set)
			c.unused--
			c.leaveUnused(set.before)
		}
	}
}

// line gives a class its place in line.
func (c *classes) line(up *class, asker *claims.Asker, place *claims.Holding) {
	up.ticket = newTicket(asker, place, up, up.claims)
	up.paced = hasInterval(up.claims)
	c.asked = append(c.asked, up)
}

// leaveLine gives all places in line up.
func (c *classes) leaveLine() {
	if len(c.asked) == 0 {
		return
	}
	tickets := make([]*claims.Ticket, len(c.asked))
	for i, asked := range c.asked {
		tickets[i] = asked.ticket
	}
	claims.Leave(tickets...)
	c.asked = nil
}
