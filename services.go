package scheduler

import (
	"slices"
	"sync"
	"time"
)

// services are the nodes that have said Ready.
type services struct {
	byNode  map[int32]*service // nil: there are none
	ended   []int32            // those of them that have ended since forgetEnded was called
	first   int32              // the node that said so in its first step, or noNode
	closing int                // how many of them are closing

	demand demand      // who needs them
	swept  sweepReason // what all of them were looked at for

	isOver   bool // nothing starts any more: a pending node counts as ended
	isClosed bool // the group is being closed: nobody looks at limits inside any more; guarded by mu

	notNeeded *StopError // made when first given
	final     *StopError // the notice of the group as services get it

	// What calls ask for. Guarded by mu:
	mu       sync.Mutex
	calls    []int32        // nodes of which a call has said Ready
	required map[int32]bool // by ready node: whether others require it
}

// service is what is known of one node.
type service struct {
	released  bool    // it was told to end, or is being closed: it hears of notices again
	unneeded  bool    // and that because nothing needs it
	closeLast bool    // it is to be closed, without notice, when its turn has come
	takenBack []int32 // the pending nodes that wait for its end, since it is closing
	stopBy    int64   // the end of the grace that a stop leaves it, if its turn comes before; or never

	grace time.Duration // of its own, from the notice on; 0: that of the group, until stopBy

	added []int32 // nodes that were added and require it, in key order; those that are not pending are dropped now and then
	drop  int     // at which length
}

// grant gives a service the grace of a stop, which ends it only when nothing needs it
// any more: one of its own counts from then on. Without one it is closed then.
func (s *service) grant(grace time.Duration, own bool, now int64) {
	switch {
	case grace <= 0:
		s.closeLast = true
	case own:
		s.closeLast, s.grace = false, grace
	default:
		s.stopBy = min(s.stopBy, later(now, grace))
	}
}

// require keeps that an added node requires the service.
func (s *service) require(p int32, isPending func(int32) bool) {
	if len(s.added) >= s.drop {
		s.drop = max(2*len(s.stillAdded(isPending)), 16)
	}
	s.added = append(s.added, p)
}

// stillAdded returns the added nodes that require the service and are pending.
func (s *service) stillAdded(isPending func(int32) bool) []int32 {
	s.added = slices.DeleteFunc(s.added, func(q int32) bool { return !isPending(q) })
	return s.added
}

// giveBack returns the nodes that wait for the end of the service, which do so no longer.
func (s *service) giveBack() []int32 {
	taken := s.takenBack
	s.takenBack = nil
	return taken
}

type sweepReason uint8

const (
	notSwept sweepReason = iota
	sweptIdle
	sweptEnding
)

func (s *services) init() { s.first = noNode }

// sayFirst keeps that a node has said so in its first step, and takeFirst takes that
// back and reports whether it had.
func (s *services) sayFirst(p int32) { s.first = p }

func (s *services) takeFirst(p int32) bool {
	said := s.first == p
	s.first = noNode
	return said
}

// sayByCall keeps, from any goroutine, that a call has said so for its node.
func (s *services) sayByCall(p int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, p)
}

// saidByCalls returns the nodes for which calls have said so, in key order. forgetCalls
// drops them, once they are ready or have to end.
func (s *services) saidByCalls() []int32 {
	s.mu.Lock()
	nodes := slices.Clone(s.calls)
	s.mu.Unlock()
	slices.Sort(nodes)
	return nodes
}

func (s *services) forgetCalls(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = slices.Delete(s.calls, 0, n)
}

// standing reports, to any goroutine, whether a node has said Ready, whether it is a
// service that others require: in a group that ends it ends after those, and whether the
// group is being closed. isRequired says that it is required of a node for which a call
// has just said Ready.
func (s *services) standing(p int32, isRequired func(p int32) bool) (ready, outlasts, isClosed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if outlasts, ready = s.required[p]; ready {
		return true, outlasts, s.isClosed
	}
	said := slices.Contains(s.calls, p)
	return said, said && isRequired(p), s.isClosed
}

// beginClose says that the group is being closed.
func (s *services) beginClose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isClosed = true
}

// add makes a node a service that some added nodes require, and perhaps others.
func (s *services) add(p int32, added []int32, others bool) {
	if s.byNode == nil {
		s.byNode = map[int32]*service{}
	}
	s.byNode[p] = &service{stopBy: never, added: added}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.required == nil {
		s.required = map[int32]bool{}
	}
	s.required[p] = others || len(added) > 0
}

// require keeps that an added node requires a service.
func (s *services) require(p, added int32, isPending func(int32) bool) {
	s.byNode[p].require(added, isPending)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.required[p] = true
}

// has reports whether a node has said Ready, and so has freed what requires it.
func (s *services) has(p int32) bool { return s.byNode != nil && s.byNode[p] != nil }

// of returns what is known of a service, or nil, and some reports whether there are any.
func (s *services) of(p int32) *service { return s.byNode[p] }
func (s *services) some() bool          { return len(s.byNode) > 0 }

// leave says that a node has ended. If it is a service, what is known of it is needed
// until the nodes that require it have been dealt with: forgetEnded drops that.
func (s *services) leave(p int32, wasClosing bool) {
	if !s.has(p) {
		return
	}
	s.ended = append(s.ended, p)
	if wasClosing {
		s.closing--
	}
}

func (s *services) forgetEnded() {
	if len(s.ended) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.ended {
		delete(s.byNode, p)
		delete(s.required, p)
	}
	s.ended = s.ended[:0]
}

// isUnneeded reports whether a node was told that nothing needs it.
func (s *services) isUnneeded(p int32) bool { return s.has(p) && s.byNode[p].unneeded }

// forget drops what was counted, because a node was added, or what counts as ended
// has changed.
func (s *services) forget() {
	s.demand.forget()
	s.swept = notSwept
}

// end says that nothing starts any more.
func (s *services) end() {
	if !s.isOver {
		s.isOver = true
		s.forget()
	}
}

// eachUnneeded calls end for each service that nothing needs and that was not told
// yet, or for all of them, the last one in key order first. Those that nothing requires
// are among them if the group ends, for a reason. It is done early if the end of one
// has changed what counts as ended.
func (s *services) eachUnneeded(why sweepReason, all bool, n int, of demanding, end func(p int32)) {
	if !s.demand.isCounted() {
		s.demand.count(n, of)
	}
	var found []int32
	if why > s.swept {
		s.swept = why
		s.demand.takeFreed() // which are among them
		for p := range s.byNode {
			if !s.demand.isNeeded(p) {
				found = append(found, p)
			}
		}
		slices.Sort(found)
	}
	for s.demand.isCounted() {
		if freed := s.demand.takeFreed(); len(freed) > 0 {
			found = append(found, freed...)
			slices.Sort(found)
		}
		if len(found) == 0 {
			return
		}
		last := len(found) - 1
		p := found[last]
		found = found[:last]
		counts := why != notSwept || !s.demand.isLeaf(p)
		if !counts || !of.isServing(p) {
			continue // it may have ended since it was freed, even rounds ago
		}
		if has := s.byNode[p]; all || !has.released {
			has.released = true
			end(p)
		}
	}
}

// closeLast has all services closed when nothing needs them any more.
func (s *services) closeLast() {
	s.end()
	for _, of := range s.byNode {
		of.closeLast = true
	}
	s.swept = notSwept
}

// release says that a node, if it is a service, was told to end.
func (s *services) release(p int32) {
	if s.has(p) {
		s.byNode[p].released = true
	}
}

// hidesNotices reports whether a node is a service that was not told to end, so that no
// notice is for it yet.
func (s *services) hidesNotices(p int32) bool { return s.has(p) && !s.byNode[p].released }

// notices returns those that a node was given as a service, or nil.
func (s *services) notices(p int32) (notNeeded, final *StopError) {
	if !s.has(p) {
		return nil, nil
	}
	if s.byNode[p].unneeded {
		notNeeded = s.notNeeded
	}
	return notNeeded, s.final
}

// beginClosing counts a service as closing until it leaves. A node that is none does not
// count.
func (s *services) beginClosing(p int32) (isService bool) {
	isService = s.has(p)
	if isService {
		s.closing++
	}
	return isService
}

// noNeed returns the notice of services that nothing needs.
func (s *services) noNeed() *StopError {
	if s.notNeeded == nil {
		s.notNeeded = &StopError{Cause: ErrNotNeeded, final: true}
	}
	return s.notNeeded
}

// finalOf returns the notice of the group as services get it: to each of them it is
// a stop of its own.
func (s *services) finalOf(n *StopError) *StopError {
	switch {
	case n.final:
		return n
	case s.final == nil: // and n stays the same until it is final
		s.final = &StopError{Cause: n.Cause, final: true, deadline: n.deadline}
	}
	return s.final
}
