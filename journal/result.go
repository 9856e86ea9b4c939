package journal

import (
	"encoding/json"
	"fmt"

	"github.com/steptask/scheduler"
)

// Results is a source of results: a [Node], for its group, a [Group] or a [Run].
type Results[K comparable] interface {
	recorded(key K) (*node, error)
}

func (n *Node[K]) recorded(key K) (*node, error) {
	if n == nil || n.own == nil {
		return nil, errNotMade
	}
	return n.group.recorded(key)
}

func (g *Group[K]) recorded(key K) (*node, error) {
	if g == nil || g.log == nil {
		return nil, errNoGroup
	}
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	if n := g.nodes[key]; n != nil {
		return n.made, nil
	}
	return nil, nil
}

// Result returns the result of a node that has succeeded or become ready, in this
// process or an earlier one: the value given to [Node.SetResult], unmarshaled anew in each call. In
// a roll-back it is the result that the node had when it went forward.
//
// A node can rely on the results of the nodes that it requires. If the key is not in
// the group, or its node has no result, the error is [ErrNoResult]; if the result has
// another type, it is a [*ValueError]. Result may be called from any goroutine.
func Result[T any, K comparable](from Results[K], key K) (T, error) {
	return read[T](from, key, "", func(n *node) ([]byte, bool) {
		return n.result, (n.state == nodeEnded || n.ready) && n.result != nil
	})
}

// StepResult returns the value recorded by the first step of that name in a node,
// whether or not the node has succeeded. If the node was run anew because of
// GroupOptions.Redo, only steps since then count. A roll-back needs it to undo a node
// that was partly created. Errors are those of [Result].
func StepResult[T any, K comparable](from Results[K], key K, name string) (T, error) {
	return read[T](from, key, "step "+name+" of ", func(n *node) ([]byte, bool) {
		data, ok := n.steps[occurrence(name, n.before[name]+1)]
		return data, ok
	})
}

func read[T any, K comparable](from Results[K], key K, what string, data func(*node) ([]byte, bool)) (v T, err error) {
	if from == nil {
		return v, &scheduler.OptionError{Option: "from", Reason: "nil Results"}
	}
	n, err := from.recorded(key)
	switch {
	case err != nil:
		return v, err
	case n == nil:
		return v, fmt.Errorf("%w: %s%v: no such node", ErrNoResult, what, key)
	}
	n.log.mu.Lock()
	text, ok := data(n)
	n.log.mu.Unlock()
	if !ok {
		return v, fmt.Errorf("%w: %s%v", ErrNoResult, what, key)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		if what == "" {
			what = "result of "
		}
		return v, &ValueError{Run: n.log.name, What: what + shown(n.path), Err: err}
	}
	return v, nil
}
