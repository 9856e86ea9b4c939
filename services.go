package scheduler

import (
	"slices"
	"sync"
	"time"
)

// services are the nodes that have said Ready.
type services struct {
	of      map[int32]*service // nil: there are none
	first   int32              // the node that said so in its first step, or noNode
	inside  map[int32]bool     // the nodes in whose groups there are some
	closing int                // how many of them are closing

	// Made when it first matters, and anew after what counts as ended has changed.
	open   []int32 // by node: how many of those that require it have not ended, or have such
	leaves []bool  // by node: nothing requires it
	freed  []int32 // of which open has become 0, and were not looked at since

	swept    sweepReason // what all of them were looked at for
	isOver   bool        // nothing starts any more: a pending node counts as ended
	saidSelf bool        // the group itself has told the one around that it is ready

	notNeeded *StopError // made when first given
	final     *StopError // the notice of the group as services get it

	mu    sync.Mutex
	calls []int32 // guarded by mu: nodes of which a call has said Ready
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

// require keeps that an added node requires the service.
func (s *service) require(p int32, isPending func(int32) bool) {
	if len(s.added) >= s.drop {
		s.added = slices.DeleteFunc(s.added, func(q int32) bool { return !isPending(q) })
		s.drop = max(2*len(s.added), 16)
	}
	s.added = append(s.added, p)
}

type sweepReason uint8

const (
	notSwept sweepReason = iota
	sweptIdle
	sweptEnding
)

func (s *services) init() { s.first = noNode }

// has reports whether a node has said Ready, and so has freed what requires it.
func (s *services) has(p int32) bool { return s.of != nil && s.of[p] != nil }

// isUnneeded reports whether a node was told that nothing needs it.
func (s *services) isUnneeded(p int32) bool { return s.has(p) && s.of[p].unneeded }

// forget drops what was counted, because a node was added, or what counts as ended
// has changed.
func (s *services) forget() { s.open, s.freed, s.swept = nil, nil, notSwept }

// end says that nothing starts any more.
func (s *services) end() {
	if !s.isOver {
		s.isOver = true
		s.forget()
	}
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
	case s.final == nil || s.final.Cause != n.Cause: //nolint:errorlint // That very one.
		s.final = &StopError{Cause: n.Cause, final: true, deadline: n.deadline}
	}
	return s.final
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
