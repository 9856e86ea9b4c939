package journal

import (
	"context"

	"github.com/steptask/scheduler"
)

// GroupOptions are the options of a [Run] or a [Group].
type GroupOptions[K comparable] struct {
	// Group has the options of the group itself. Its Name is by default that of the run,
	// or the one given to NewSubgroup. Nodes named by its Completed are not
	// recorded. Its Timeout counts from when the node's code begins, not from when
	// its start is sent to the disk, and no longer once the node is ready; the grace
	// after it is Grace or GraceFor, never inherited. A call that goes on after it has
	// said Ready still has the limit as the Deadline of its context, but is not told to
	// end by it. Its Observer sees successes before they are on disk: see Recorded.
	Group scheduler.GroupOptions[K]

	// TakeOver is called if the run was begun with another graph. If it returns nil,
	// the run continues with the new graph: removed nodes are left as they are, and
	// new ones run. Otherwise the constructor returns its error, or without TakeOver
	// the [*GraphError].
	TakeOver func(change *GraphError) error

	// Redo is called, in key order, for each node that has succeeded, when the group
	// is made; services come after the others, in reverse. It returns true if what the node had made is gone, for example because
	// someone deleted it. The node then runs anew: its steps run again, and Node.ID
	// changes. Nodes that require it and have succeeded run again only if Redo
	// returns true for them; services that it requires start again.
	Redo func(n *Node[K]) bool

	// SyncEnds lets a node succeed only once its success is on disk, so that a crash
	// cannot take back a success that an Observer has seen. In a chain it costs a
	// second wait for the disk per node.
	SyncEnds bool

	// Recorded is called for each record of the run once it is on disk, in order and
	// on the driving goroutine. It must be quick. It belongs to a Run and includes
	// the records of the groups inside; NewSubgroup refuses it.
	Recorded func(r Record)
}

// Group is a group whose nodes are recorded: the group of a [Run], or one inside a
// node.
type Group[K comparable] struct {
	*scheduler.DependencyTaskGroup[K]

	log     *log
	nodes   map[K]*Node[K] // guarded by log.mu, if some are added
	changed bool           // the graph is not on file yet
	graph   graph          // if so
	path    string
	growth  *growth[K] // nil: none can be added
	retired []*node    // services that are done, though the file does not say so yet
}

// NewSubgroup makes a group inside a node. Its nodes are recorded in the node's run,
// under the path of the node and the name of the group. When a later attempt of the
// node makes the group again, it continues. Groups of the same name inside a node are
// the same group; while it runs, the nodes of a second one fail with [ErrGroupRuns].
//
// In a roll-back, NewSubgroup makes the roll-back of the group that had this name in
// this node.
//
// Errors are those of [NewGroup], apart from those of the run.
func NewSubgroup[L, K comparable](
	n *Node[K], name string, deps *scheduler.Dependencies[L], task func(n *Node[L]) scheduler.Task, opts *GroupOptions[L],
) (*Group[L], error) {
	if n == nil || n.own == nil {
		return nil, errNotMade
	}
	if opts != nil && opts.Recorded != nil {
		return nil, &scheduler.OptionError{Option: "GroupOptions.Recorded", Reason: "given for a group inside a node"}
	}
	part, err := element(name)
	if err != nil {
		return nil, err
	}
	n.own.log.mu.Lock()
	g := groupMaker[L]{log: n.own.log, name: name, path: join(n.own.base(), part), made: join(n.made.base(), part)}
	n.own.log.mu.Unlock()
	group := &Group[L]{}
	if err := g.make(group, deps, task, opts); err != nil {
		return nil, err
	}
	group.begin()
	return group, nil
}

// groupMaker makes a group of what was recorded.
type groupMaker[K comparable] struct {
	log  *log
	name string // that it was made with
	path string // of the group
	made string // of the group that it rolls back; otherwise the same
}

func (m groupMaker[K]) rollsBack() bool { return m.path != m.made }

// make makes a zero Group one.
func (m groupMaker[K]) make(
	g *Group[K], deps *scheduler.Dependencies[K], task func(*Node[K]) scheduler.Task, opts *GroupOptions[K],
) error {
	switch {
	case deps == nil:
		return &scheduler.OptionError{Option: "deps", Reason: "nil Dependencies"}
	case task == nil:
		return &scheduler.OptionError{Option: "task", Reason: "nil function"}
	case opts == nil:
		opts = &GroupOptions[K]{}
	}
	graph, elements, err := graphOf(m.log.name, deps)
	if err != nil {
		return err
	}
	g.log, g.path, g.graph = m.log, m.path, graph
	if g.changed, err = m.compare(graph, opts); err != nil {
		return err
	}
	if opts.Group.KeepOpen {
		if deps, elements, err = m.grow(g, deps, elements); err != nil {
			return err
		}
		g.growth.redo = opts.Redo
	}
	m.enter(g, deps, elements)
	if opts.Redo != nil {
		for k := range deps.All() {
			n := g.nodes[k]
			n.redo = n.own.state == nodeEnded && !n.own.ready && opts.Redo(n)
		}
	}
	inner := m.options(g, opts.Group)
	g.settleServices(deps, &inner, opts.Redo)
	g.DependencyTaskGroup, err = scheduler.NewDependencyTaskGroup(deps, func(k K) scheduler.Task {
		n := g.nodes[k]
		return &nodeTask{
			node: n.own, make: func() scheduler.Task { return g.limited(task(n), k, &opts.Group) }, syncEnd: opts.SyncEnds,
		}
	}, &inner)
	return err
}

// compare looks whether the graph is the one on file, and reports whether it has
// to be recorded.
func (m groupMaker[K]) compare(now graph, opts *GroupOptions[K]) (changed bool, err error) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	filed := m.log.graphs[m.path]
	known := filed != nil
	if !known && m.rollsBack() {
		filed = m.log.graphs[m.made]
	}
	if filed == nil || m.rollsBack() && filed.base == "" && filed.added == nil {
		return true, nil // it was never begun
	}
	if opts.Group.KeepOpen && now == filed.base {
		return !known, nil // and what was added is added again
	}
	before := filed.whole()
	change := now.difference(before)
	if change == nil {
		return !known || before != filed.base, nil
	}
	change.Run, change.Group = m.log.name, shown(m.made)
	if opts.TakeOver == nil {
		return false, change
	}
	return true, opts.TakeOver(change)
}

// enter finds what was recorded of each node.
func (m groupMaker[K]) enter(g *Group[K], deps *scheduler.Dependencies[K], elements map[K]string) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	nodes := make([]Node[K], len(elements))
	g.nodes = make(map[K]*Node[K], len(elements))
	for k := range deps.Nodes() {
		n := &nodes[0]
		nodes = nodes[1:]
		n.key, n.group = k, g
		n.own = m.log.node(join(m.path, elements[k]))
		n.made = n.own
		if m.rollsBack() {
			n.made = m.log.node(join(m.made, elements[k]))
		}
		g.nodes[k] = n
	}
}

// options returns the options of the group itself.
func (m groupMaker[K]) options(g *Group[K], o scheduler.GroupOptions[K]) scheduler.GroupOptions[K] {
	back, completed, values := m.rollsBack(), o.Completed, o.Context
	if o.Name == "" {
		o.Name = m.name
	}
	o.Reverse = o.Reverse != back
	o.Timeout = nil // see limited
	o.Observer = scheduler.Observers(&serving[K]{group: g}, o.Observer)
	o.Completed = func(k K) bool {
		n := g.nodes[k]
		return n.isDone() || back && n.made.state == nodeNew || completed != nil && completed(k)
	}
	o.Context = func(ctx context.Context, k K) context.Context {
		if values != nil {
			if ctx = values(ctx, k); ctx == nil {
				return nil // which the group refuses
			}
		}
		return context.WithValue(ctx, nodeKey{}, g.nodes[k].own)
	}
	return o
}

// begin records the graph, and that services are done which nothing needs any more, with
// what is recorded next.
func (g *Group[K]) begin() {
	if g.changed {
		g.log.mu.Lock()
		g.log.graphs[g.path] = &filedGraph{base: g.graph}
		g.log.w.add(Record{Kind: KindGroup, Data: []byte(g.graph), path: g.path})
		g.log.mu.Unlock()
	}
	for _, n := range g.retired {
		n.retire()
	}
	g.retired = nil
}

// Unused returns recorded steps that nodes which have succeeded since the group was
// made did not ask for, as paths and names such as "server: create#1", in key order.
// Their effects exist, but the code that made them has changed or took another path.
// Call Unused on the driving goroutine.
func (g *Group[K]) Unused() []string {
	if g == nil || g.log == nil {
		panic(errNoGroup)
	}
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	var unused []string
	for k := range g.All() {
		if n := g.nodes[k]; n.own.state == nodeEnded && n.own.ran {
			for _, step := range n.own.unused() {
				unused = append(unused, shown(n.own.path)+": "+step)
			}
		}
	}
	return unused
}
