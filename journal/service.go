package journal

import (
	"iter"

	"github.com/steptask/scheduler"
)

// serviceState is what a group makes of a node that the file says is ready.
type serviceState uint8

const (
	noService     serviceState = iota
	serviceNeeded              // it starts again, even if it had ended
	serviceDone                // whether or not it had ended
)

// serving records which nodes of a group become ready. It observes that group alone, not
// those inside.
type serving[K comparable] struct {
	group *Group[K]
	begun bool
}

// ObserveGroup observes the first group that asks: its own.
func (s *serving[K]) ObserveGroup(scheduler.Record) scheduler.Observer {
	if s.begun {
		return nil
	}
	s.begun = true
	return s
}

// Observe records that a node is ready, before anything that requires it starts.
func (s *serving[K]) Observe(r scheduler.Record) {
	if r.To == scheduler.StateReady {
		k, _ := r.Key().(K)
		s.group.nodes[k].own.serve()
	}
}

// Wants is for changes of nodes.
func (*serving[K]) Wants() scheduler.Kinds { return scheduler.KindsOf(scheduler.NodeChanged) }

// settleServices decides which services on file start again: those that a node which is
// left to run requires, directly or not. One that no node requires starts again if anything
// but services is left. In a group that can grow they all do.
func (g *Group[K]) settleServices(deps *scheduler.Dependencies[K], opts *scheduler.GroupOptions[K], redo func(*Node[K]) bool) {
	if !g.findServices() {
		return
	}
	order, requires, requiredBy := deps.Backward(), deps.Requires, deps.RequiredBy
	if opts.Reverse {
		order, requires, requiredBy = deps.All(), deps.RequiredBy, deps.Requires
	}
	othersLeft := g.growth != nil
	for k := range order {
		othersLeft = othersLeft || g.nodes[k].service == noService && !opts.Completed(k)
	}
	needed := map[K]bool{}
	for k := range order { // what requires a node comes before it
		n := g.nodes[k]
		if n.service != noService && !opts.Completed(k) {
			needed[k] = needed[k] || g.growth != nil || othersLeft && isEmpty(requiredBy(k))
			if !needed[k] {
				n.service = serviceDone
				n.redo = redo != nil && redo(n)
				if n.own.state != nodeEnded {
					g.retired = append(g.retired, n.own)
				}
			}
		}
		if needed[k] || !opts.Completed(k) {
			for q := range requires(k) {
				needed[q] = true
			}
		}
	}
}

// findServices marks all services on file as needed, and reports whether there are any.
func (g *Group[K]) findServices() (any bool) {
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	for _, n := range g.nodes {
		if n.own.ready {
			n.service, any = serviceNeeded, true
		}
	}
	return any
}

func isEmpty[K any](keys iter.Seq[K]) bool {
	for range keys {
		return false
	}
	return true
}

// isDone reports whether the node does not have to run. The caller holds no lock: it is
// asked before the node's code runs.
func (n *Node[K]) isDone() bool {
	switch n.service {
	case serviceNeeded:
		return false
	case serviceDone:
		return !n.redo
	case noService:
	}
	return n.own.state == nodeEnded && !n.redo
}

// serve records that the node is ready, with the result that it has by then.
func (n *node) serve() {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	n.ready, n.result = true, n.set
	n.record(KindReady, "", n.result)
}

// retire records the success of a service that was ready, and that nothing needed any more
// when its process died.
func (n *node) retire() {
	n.log.mu.Lock()
	n.set = n.result
	n.log.mu.Unlock()
	n.end()
}

// isReady reports whether the node has become ready in this attempt.
func (n *node) isReady() bool {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	return n.ready
}
