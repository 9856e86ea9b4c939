package progress

import (
	"container/list"
	"time"

	"github.com/steptask/scheduler"
)

// group is the Observer of one group.
type group struct {
	p       *Progress
	nodes   []*node       // by number; nil: it was completed beforehand, or has ended
	waiting int           // no node before this one waits
	place   *list.Element // among the groups
}

// ObserveGroup shows the nodes of a group that begins, except those that were
// completed beforehand. Groups call it.
func (p *Progress) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	if p == nil {
		return nil
	}
	p.must("ObserveGroup")
	view := begun.Group()
	g := &group{p: p, nodes: make([]*node, view.Len())}
	for i := range g.nodes {
		if view.State(i) == scheduler.StatePending {
			g.nodes[i] = p.newNode(view, i)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes.begin(g)
	return g
}

func (p *Progress) newNode(view scheduler.GroupView, i int) *node {
	return &node{name: view.NodePath(i), state: scheduler.StatePending, estimate: p.estimate(view, i, view.Key(i))}
}

// Observe does nothing: the group reports to the Observer that ObserveGroup returns.
func (p *Progress) Observe(scheduler.Record) {}

// estimate returns how long a node will take, and 0 if nobody knows.
func (p *Progress) estimate(view scheduler.GroupView, i int, key any) time.Duration {
	if p.opts.Estimate != nil {
		return max(p.opts.Estimate(key), 0)
	}
	return max(view.Estimate(i), 0)
}

// ObserveGroup shows a group inside this one.
func (g *group) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	return g.p.ObserveGroup(begun)
}

// Wants asks for new nodes, changes of nodes, what they say, and the end.
func (g *group) Wants() scheduler.Kinds {
	return scheduler.KindsOf(scheduler.NodeAdded, scheduler.NodeChanged, scheduler.NodeNoted, scheduler.NodeRetrying,
		scheduler.GroupEnded)
}

// Observe shows a change of a node, what it says, or one that was added, or forgets
// the group when it has ended.
func (g *group) Observe(r scheduler.Record) {
	switch r.Kind {
	case scheduler.NodeAdded:
		g.add(r)
	case scheduler.GroupEnded:
		g.p.mu.Lock()
		defer g.p.mu.Unlock()
		g.p.nodes.end(g)
	case scheduler.NodeNoted, scheduler.NodeRetrying:
		g.note(r)
	default:
		g.change(r)
	}
}

// note shows what a node says about itself, beside it in a live display and as a line
// in a plain one, once until it says something else.
func (g *group) note(r scheduler.Record) {
	text := r.Notes().String()
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	n := g.nodes[r.Node()]
	if n == nil || n.note == text {
		return
	}
	n.note = text
	if g.p.live == nil && g.p.opts.Line == nil {
		g.p.putNote(n.name, text)
	}
}

// add shows a node that was added, unless it counts as completed.
func (g *group) add(r scheduler.Record) {
	var n *node
	if r.Group().State(r.Node()) != scheduler.StateSucceeded {
		n = g.p.newNode(r.Group(), r.Node())
	}
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	g.nodes = append(g.nodes, n)
	if n != nil {
		g.p.nodes.add(n)
	}
}

func (g *group) change(r scheduler.Record) {
	n := g.nodes[r.Node()]
	if n == nil {
		return // it did not run: it was completed beforehand
	}
	text := ""
	if g.p.opts.Line != nil {
		text = g.p.opts.Line(r) // without the lock: it may write
	}
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	if r.To.Ended() {
		g.nodes[r.Node()] = nil
	}
	g.p.show(n, r, text)
}

// appendWaiting appends the names of nodes that wait, as long as there is room.
func (g *group) appendWaiting(names []string) []string {
	for i := g.waiting; i < len(g.nodes) && len(names) < namesMax; i++ {
		if n := g.nodes[i]; n != nil && n.state == scheduler.StatePending {
			names = append(names, n.name)
		} else if i == g.waiting {
			g.waiting++
		}
	}
	return names
}
