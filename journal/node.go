package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/steptask/scheduler"
)

// Node is a node of a recorded group, as passed to its code: it has the key, the
// attempt and access to results. Its methods may be called from any goroutine.
type Node[K comparable] struct {
	key   K
	own   *node
	made  *node // what a roll-back undoes; otherwise the same as own
	group *Group[K]
	redo  bool // it has succeeded, and is to run anew

	service serviceState
}

// Key returns the node's key.
func (n *Node[K]) Key() K {
	n.must("Key")
	return n.key
}

// must panics for a node that is none of a group.
func (n *Node[K]) must(method string) {
	if n == nil || n.own == nil {
		panic("scheduler: journal: Node." + method + ": nil or zero Node; the group makes it")
	}
}

// Attempt returns the number of times that the node has been started in this run,
// from 1. Starts are recorded before code runs, so an earlier attempt may have been
// cut off before its first line.
func (n *Node[K]) Attempt() int {
	n.must("Attempt")
	n.own.log.mu.Lock()
	defer n.own.log.mu.Unlock()
	return n.own.attempt
}

// ID returns the node's idempotency key: 32 hexadecimal digits, the same in each
// attempt, and different from those of all other nodes and runs. A node has another
// ID in a roll-back, after GroupOptions.Redo, and if it is a service that has ended
// and is needed again. Pass the ID to an API that can recognize a repeated request,
// with the name of the step if the node makes several requests.
func (n *Node[K]) ID() string {
	n.must("ID")
	n.own.log.mu.Lock()
	sum := sha256.Sum256([]byte(n.own.log.nonce + "/" + n.own.base()))
	n.own.log.mu.Unlock()
	return hex.EncodeToString(sum[:16])
}

// SetResult sets the result that is recorded, as JSON, when the node succeeds or
// becomes ready ([scheduler.Ready]). The last call wins. If v cannot be marshaled, SetResult returns a [*ValueError] and
// changes nothing.
func (n *Node[K]) SetResult(v any) error {
	if n == nil || n.own == nil {
		return errNotMade
	}
	data, err := json.Marshal(v)
	if err != nil {
		return &ValueError{Run: n.own.log.name, What: "result of " + shown(n.own.path), Err: err}
	}
	n.own.log.mu.Lock()
	defer n.own.log.mu.Unlock()
	n.own.set = data
	return nil
}

// Rewind makes later steps count from the first occurrence of each name again, as in
// a new attempt. Call it where a task inside the node is made anew, such as in the
// function given to [scheduler.Retry]: steps that an earlier try has recorded then do
// not run again.
func (n *Node[K]) Rewind() {
	n.must("Rewind")
	n.own.log.mu.Lock()
	defer n.own.log.mu.Unlock()
	n.own.asked = maps.Clone(n.own.before)
}

type nodeState uint8

const (
	nodeNew nodeState = iota
	nodeStarted
	nodeEnded
)

// node is a node as the file has it, whatever the type of its key. It is guarded
// by log.mu.
type node struct {
	log     *log
	path    string
	state   nodeState
	ran     bool // in this process
	ready   bool // or was, when it ended or its process died
	attempt int
	set     []byte // the result, until it is recorded
	result  []byte
	steps   map[string][]byte // by name and occurrence
	asked   map[string]int    // occurrences in this attempt
	lives   int               // how often it has succeeded and was then run anew
	before  map[string]int    // occurrences that belong to earlier lives
	last    *batch            // of the last record in this process
	active  *nodeTask         // what runs it
}

type nodeKey struct{}

// nodeOf returns the node whose code ctx belongs to.
func nodeOf(ctx context.Context) (*node, error) {
	n, _ := ctx.Value(nodeKey{}).(*node)
	if n == nil {
		return nil, ErrNoNode
	}
	return n, nil
}

// start records an attempt. No code of the node may run before the batch is on
// disk.
func (n *node) start() *batch {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	n.ran = true
	n.begin(n.attempt + 1)
	return n.record(KindStart, "", nil)
}

// begin makes it a node whose attempt of that number has started. The caller holds
// log.mu.
func (n *node) begin(attempt int) {
	if n.state == nodeEnded {
		n.lives++
		n.before = map[string]int{}
		for step := range n.steps {
			name, times := nameOf(step)
			n.before[name] = max(n.before[name], times)
		}
	}
	n.state, n.ready, n.attempt = nodeStarted, false, attempt
	n.asked, n.set, n.result = maps.Clone(n.before), nil, nil
}

// base is what groups inside the node, and its idempotency key, are known by: its path,
// and which life this is, from the second one on. The caller holds log.mu.
func (n *node) base() string {
	if n.lives == 0 {
		return n.path
	}
	return join(n.path, fmt.Sprintf("[%d]", n.lives+1))
}

// end records the node's success. Nobody needs to wait for that: what follows from it
// has its own start in the same batch, or in a later one.
func (n *node) end() *batch {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	n.state, n.result = nodeEnded, n.set
	n.record(KindEnd, "", n.result)
	return n.last
}

// fail records an error, for readers of the history.
func (n *node) fail(err error) {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	n.ready = false
	n.record(KindFailure, "", []byte(fmt.Sprint(err)))
}

// record adds a record of the node. The caller holds log.mu.
func (n *node) record(kind Kind, step string, data []byte) *batch {
	n.last = n.log.w.add(Record{Kind: kind, Attempt: n.attempt, Step: step, Data: data, path: n.path})
	return n.last
}

// ask returns the name of the next step, with its occurrence, and what was recorded
// for it; otherwise the batch that has to be on disk before it.
func (n *node) ask(name string) (step string, data []byte, before *batch) {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	if n.asked == nil {
		n.asked = map[string]int{}
	}
	n.asked[name]++
	step = occurrence(name, n.asked[name])
	if data, ok := n.steps[step]; ok {
		return step, data, nil
	}
	return step, nil, n.last
}

func occurrence(name string, n int) string { return name + "#" + strconv.Itoa(n) }

// nameOf is the other way round.
func nameOf(step string) (name string, n int) {
	i := strings.LastIndexByte(step, '#')
	if i < 0 {
		return step, 0
	}
	n, _ = strconv.Atoi(step[i+1:])
	return step[:i], n
}

// did records what a step returned.
func (n *node) did(step string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return n.valueError(step, err)
	}
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	if n.record(KindStep, step, data) == endedBatch {
		return scheduler.ErrEnded
	}
	n.remember(step, data)
	return nil
}

// remember keeps the result of a step. The caller holds log.mu.
func (n *node) remember(step string, data []byte) {
	if n.steps == nil {
		n.steps = map[string][]byte{}
	}
	n.steps[step] = data
}

// unused returns the steps on record that the last attempt has not asked for, in
// order of their names.
func (n *node) unused() []string {
	var unused []string
	for step := range n.steps {
		if name, times := nameOf(step); times > n.asked[name] {
			unused = append(unused, step)
		}
	}
	slices.Sort(unused)
	return unused
}

func (n *node) valueError(step string, err error) error {
	return &ValueError{Run: n.log.name, What: fmt.Sprintf("step %s of %s", step, shown(n.path)), Err: err}
}
