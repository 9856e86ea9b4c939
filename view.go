package scheduler

import (
	"iter"
	"time"
)

// GroupView is a group for code that does not know the type of its keys. Nodes are
// numbers: their places in key order, from 0 on. Methods panic if a number is out of
// range. Views of the same group are equal, and keep it in memory.
//
// All methods but Name, String and Post must be called on the driving goroutine: before
// Observe returns, in a function given to Post, or after the group has ended.
type GroupView struct{ g *engine }

// Group returns the group of a view if its keys are of type K.
func Group[K comparable](v GroupView) (g *DependencyTaskGroup[K], ok bool) {
	if v.g == nil {
		return nil, false
	}
	g, ok = v.g.shell.(*DependencyTaskGroup[K])
	return g, ok
}

// Name returns the group's name.
func (v GroupView) Name() string { return v.named("Name") }

// String returns the group's name.
func (v GroupView) String() string { return v.named("String") }

func (v GroupView) named(method string) string {
	v.must(method)
	return v.g.String()
}

// Around returns the group, and the node in it, that runs this one; ok is false for
// an outermost group.
func (v GroupView) Around() (outer GroupView, node int, ok bool) {
	v.must("Around")
	return GroupView{v.g.outer}, int(v.g.outerNode), v.g.outer != nil
}

// Path returns the path of the node that runs the group, or "" for an outermost group.
func (v GroupView) Path() string {
	v.must("Path")
	if v.g.outer == nil {
		return ""
	}
	return v.g.outer.pathOf(v.g.outerNode)
}

// Len returns the number of nodes.
func (v GroupView) Len() int { return v.in("Len").nodes.len() }

// Count returns how many nodes are in a state.
func (v GroupView) Count(s State) int { return v.in("Count").nodes.count(s) }

// Rounds returns the number of rounds so far, including the current one.
func (v GroupView) Rounds() int { return v.in("Rounds").round }

// Keys returns the keys of all nodes, in key order.
func (v GroupView) Keys() iter.Seq2[int, any] {
	v.must("Keys")
	return func(yield func(int, any) bool) {
		for p := range v.g.nodes.len() {
			if !yield(p, v.g.key(int32(p))) {
				return
			}
		}
	}
}

// Key returns the key of a node.
func (v GroupView) Key(node int) any { return v.in("Key").key(int32(node)) }

// NodePath returns the path of a node.
func (v GroupView) NodePath(node int) string { return v.in("NodePath").pathOf(int32(node)) }

// Edges returns each node with each node that it requires, in the walked direction.
func (v GroupView) Edges() iter.Seq2[int, int] {
	v.must("Edges")
	return func(yield func(int, int) bool) {
		for p := range int32(v.g.nodes.len()) {
			for _, q := range v.g.graph.frees(p) {
				if !yield(int(q), int(p)) {
					return
				}
			}
			if v.g.graph.wasAdded(p) {
				for _, q := range v.g.graph.required(p) {
					if !yield(int(p), int(q)) {
						return
					}
				}
			}
		}
	}
}

// Requires returns the nodes that a node requires directly, in the walked direction.
func (v GroupView) Requires(node int) iter.Seq[int] {
	v.must("Requires")
	return func(yield func(int) bool) {
		for _, q := range v.g.graph.required(int32(node)) {
			if !yield(int(q)) {
				return
			}
		}
	}
}

// State returns the state of a node.
func (v GroupView) State(node int) State { return v.in("State").nodes.state(int32(node)) }

// Err is [DependencyTaskGroup.Err] of a node.
func (v GroupView) Err(node int) error { return v.in("Err").errOf(int32(node)) }

// Notes returns what a node has said about itself.
func (v GroupView) Notes(node int) Notes { return v.in("Notes").notesOf(int32(node)) }

// Explain says in one line where a node stands and what it waits for.
func (v GroupView) Explain(node int) string {
	v.must("Explain")
	e := newExplainer(v.g, fewKeys).node(int32(node))
	return lineOf(&e)
}

// Estimate returns what [GroupOptions.Estimate] said about a node, or 0.
func (v GroupView) Estimate(node int) time.Duration {
	return v.in("Estimate").starter.estimateOf(int32(node))
}

// Settings returns the group's options.
func (v GroupView) Settings() GroupSettings {
	v.must("Settings")
	o := &v.g.opts
	return GroupSettings{
		Limit: o.Limit, Reverse: o.Reverse, AggregateErrors: o.AggregateErrors, HasClaims: o.Claims != nil,
		KeepOpen: o.KeepOpen,
	}
}

// GroupSettings are the [GroupOptions] that do not depend on the type of keys.
type GroupSettings struct {
	Limit           int
	Reverse         bool
	AggregateErrors bool
	HasClaims       bool // some nodes may wait for shared limits
	KeepOpen        bool // nodes may be added
}

// Post is [TaskRunner.Post] of the outermost runner. It returns false, and f is not
// called, if there is no runner or it has ended.
func (v GroupView) Post(f func()) bool {
	v.must("Post")
	r := v.g.runner.Load()
	return r != nil && r.Post(f)
}
