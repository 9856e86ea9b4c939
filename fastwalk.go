package scheduler

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/steptask/scheduler/internal/bitset"
	"github.com/steptask/scheduler/internal/digraph"
)

// fastWalk is a Walk while all goes well. As long as functions return nil there is nothing
// to decide, so it has no group and makes no steps. The goroutine on which a function has
// returned marks the node as done, and makes the next call that is possible.
//
// When a call fails or says that it is [Ready], or the context ends, no further call is
// made, not even after one that has ended the context itself. A group is made for the
// rest: what has succeeded is completed in it, and its first round takes over the calls
// under way, as if it had begun them.
//
// No call waits for another, though each may block for ever: as long as a call could be
// made, a goroutine is on its way to make it.
type fastWalk struct {
	graph *digraph.Graph
	task  func(p int32) Task // makes the call of a node
	limit int                // of calls under way at the same time; 0: none
	ctx   fastContext

	mu      sync.Mutex // guards what follows
	news    sync.Cond  // for the goroutine of Walk: it is over, or another goroutine is wanted
	over    bool       // no further call is made
	coming  bool       // a goroutine is on its way, or the goroutine of Walk will start one
	sends   bool       // goroutines that make calls start the next one themselves
	left    int        // nodes that have not succeeded
	running int
	nodes   []fastNode
	ready   bitset.Set // nodes that wait for no other and whose calls are not under way

	taken int // how many of nodes the group has been asked for
}

// fastNode is where a node stands.
type fastNode struct {
	call  *call // under way, or nil
	waits int32 // for so many others, or hasSucceeded
}

const hasSucceeded = -1

// canBeFast reports whether a walk in ctx can be: Run would not refuse it, and it has the
// system's clock and holds nothing.
func canBeFast(ctx context.Context) bool {
	s := scopeOf(ctx)
	return (s == nil || s.driver == nil && s.held == nil) && usesSystemClock(ctx) && ctx.Err() == nil && !isInStep()
}

// newFastWalk returns a walk whose calls are made by task.
func newFastWalk(graph *digraph.Graph, limit int, task func(p int32) Task) *fastWalk {
	n := graph.Len()
	f := &fastWalk{
		graph: graph, task: task, limit: limit,
		over: n == 0, left: n, nodes: make([]fastNode, n), ready: bitset.New(n),
	}
	f.ctx.walk = f
	f.news.L = &f.mu
	for p, waits := range graph.Degree {
		f.nodes[p].waits = waits
		if waits == 0 {
			f.ready.Add(int32(p))
		}
	}
	return f
}

// run makes calls until all have succeeded, or none is made any more. It reports whether
// all have; otherwise some may be under way.
func (f *fastWalk) run(ctx context.Context) (succeeded bool) {
	f.ctx.Context = ctx
	defer signalAtEnd(ctx, f.stop)()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.coming = !f.over; f.coming { // ctx may have ended meanwhile
		go f.work()
	}
	for !f.over {
		f.news.Wait()
		// Calls that do nothing are over by now. So that those cost no goroutine more,
		// the first one is sent for from here.
		f.coming = f.hasNext()
		if f.coming {
			f.sends = true
			go f.work()
		}
	}
	return f.left == 0
}

// stop ends the making of calls. Any goroutine may call it.
func (f *fastWalk) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopLocked()
}

func (f *fastWalk) stopLocked() {
	f.over = true
	f.news.Signal()
}

// work makes calls, on a goroutine that was on its way.
func (f *fastWalk) work() {
	f.mu.Lock()
	f.coming = false
	c := f.next()
	f.unlockAndSend()
	defer func() {
		if c != nil { // its function has not returned
			f.stop()
			panicked, err := caught(recover())
			c.leave(err, panicked, nil)
		}
	}()
	for c != nil {
		c = f.ends(c, c.body.run((*callContext)(c)))
	}
}

// ends counts a call whose function has returned, and returns the next one for the
// goroutine, or nil. What has failed, or returns when it is over, is left to the group.
func (f *fastWalk) ends(c *call, err error) (next *call) {
	mustStop := err != nil || f.ctx.Err() != nil // whose signal may be on its way
	f.mu.Lock()
	if mustStop {
		f.stopLocked()
	}
	if f.over {
		f.mu.Unlock()
		c.leave(err, false, nil)
		return nil
	}
	p := c.node
	f.nodes[p] = fastNode{waits: hasSucceeded}
	f.running--
	for _, q := range f.graph.Row(p) {
		n := &f.nodes[q]
		if n.waits--; n.waits == 0 {
			f.ready.Add(q)
		}
	}
	if f.left--; f.left == 0 {
		f.stopLocked()
	}
	next = f.next()
	f.unlockAndSend()
	return next
}

// next begins a call for the goroutine, or returns nil. The caller holds f.mu.
func (f *fastWalk) next() *call {
	if !f.hasNext() {
		return nil
	}
	p := f.ready.Next(0)
	f.ready.Remove(p)
	c := f.task(p).(*call)
	c.beginAhead(&f.ctx, p)
	f.nodes[p].call = c
	f.running++
	return c
}

// hasNext reports whether there is a call that can be made now.
func (f *fastWalk) hasNext() bool {
	return !f.over && !f.ready.Empty() && (f.limit == 0 || f.running < f.limit)
}

// unlockAndSend unlocks f.mu, and sees to it that a goroutine comes if there is a call
// for it.
func (f *fastWalk) unlockAndSend() {
	wanted := !f.coming && f.hasNext()
	f.coming = f.coming || wanted
	send := wanted && f.sends
	if wanted && !send {
		f.news.Signal()
	}
	f.mu.Unlock()
	if send {
		go f.work()
	}
}

// handOver has a group that has not begun go on with the walk. Its first round takes over
// the calls under way, and begins those for which a goroutine was on its way at best: which
// calls are made does not hang on its speed.
func (f *fastWalk) handOver(g *engine) {
	for p := range f.nodes {
		if f.nodes[p].waits == hasSucceeded {
			g.completeAhead(int32(p))
		}
	}
	room := len(f.nodes)
	if f.limit > 0 {
		room = f.limit - f.running
	}
	for p := f.ready.Next(0); p >= 0; p = f.ready.Next(p + 1) {
		if room--; room >= 0 {
			f.ready.Remove(p)
		} else {
			g.starter.remove(p)
		}
	}
}

// nextTaken returns the call of the next node, in key order, that starts in that round. It
// is nil if that is to be begun.
func (f *fastWalk) nextTaken() *call {
	for f.taken < len(f.nodes) {
		n := &f.nodes[f.taken]
		if f.taken++; n.waits == 0 && !f.ready.Has(int32(f.taken-1)) {
			return n.call
		}
	}
	return nil
}

// handOverRest follows the first round. The group is told which calls have said Ready, and
// may begin others.
func (f *fastWalk) handOverRest(g *engine) {
	f.ctx.scope.Store(&g.scope.inner.scope) // from here on calls tell it themselves
	for p := range f.nodes {
		if c := f.nodes[p].call; c != nil && c.saidReady() {
			g.readyByCall(int32(p))
		}
	}
	for p := f.ready.Next(0); p >= 0; p = f.ready.Next(p + 1) {
		g.starter.add(p)
	}
	f.nodes = nil
}

// fastContext is the context that calls begin in. It has the scope of a group's members
// once there is a group.
type fastContext struct {
	context.Context
	walk  *fastWalk
	scope atomic.Pointer[scope]
}

func (c *fastContext) Value(key any) any {
	if key == (scopeKey{}) {
		if s := c.scope.Load(); s != nil {
			return s
		}
	}
	return c.Context.Value(key)
}
