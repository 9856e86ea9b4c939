package inspect

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/steptask/scheduler"
)

// What is in this file is what the JSON endpoints answer; doc.go explains it.

// summary is a run in the list of runs.
type summary struct {
	ID         int            `json:"id"`
	Name       string         `json:"name"`
	Path       string         `json:"path,omitempty"`
	Parent     int            `json:"parent,omitempty"`
	ParentNode *int           `json:"parentNode,omitempty"`
	Reverse    bool           `json:"reverse,omitempty"`
	Status     string         `json:"status"`
	Cause      *failure       `json:"cause,omitempty"`
	Error      *failure       `json:"error,omitempty"`
	Began      float64        `json:"began"`
	Ended      float64        `json:"ended,omitempty"`
	Now        float64        `json:"now"`
	Last       float64        `json:"last"`
	Live       bool           `json:"live"`
	Nodes      int            `json:"nodes"`
	Counts     map[string]int `json:"counts"`
	SlowSteps  int            `json:"slowSteps,omitempty"`
	Slow       []slowStep     `json:"slow,omitempty"`
	Version    uint64         `json:"version"`
}

// summary describes a run. The page then tells of its next change.
func (r *run) summary() summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = false
	now, live := r.nowLocked()
	s := summary{
		ID: r.id, Name: cut(r.name, nameMax), Path: r.path, Reverse: r.reverse, Status: r.status, Cause: r.cause, Error: r.err,
		Began: ms(r.began), Ended: ms(r.ended), Now: ms(now), Last: ms(r.last), Live: live,
		Nodes: len(r.nodes), Counts: map[string]int{}, SlowSteps: r.slowCount, Slow: r.slow, Version: r.updates.version,
	}
	if r.status == "" {
		if s.Status = r.phase; s.Status == "" {
			s.Status = scheduler.StateRunning.String()
		}
	}
	if r.parent != nil {
		s.Parent, s.ParentNode = r.parent.id, &r.parentNode
	}
	for state, n := range r.counts {
		if n > 0 {
			s.Counts[scheduler.State(state).String()] = n
		}
	}
	return s
}

// runList is the list of runs, or what has changed of it.
type runList struct {
	Runs  []summary `json:"runs"`
	Gone  []int     `json:"gone,omitempty"`
	Again bool      `json:"again,omitempty"`
}

// nodeBrief is what the list of nodes has of a node.
type nodeBrief struct {
	node           int32
	state          scheduler.State
	completed      bool
	started, ended int64
	ready          int64 // when a service became ready
	since          int64 // of a state that is not shown by the others
	until          int64
	attempt        int
	err, note      string
}

// briefLocked returns it as it is now.
func (r *run) briefLocked(i int32) nodeBrief {
	n := &r.nodes[i]
	b := nodeBrief{node: i, state: n.state, completed: r.graph.completed[i], started: r.started(n), ended: r.endedAt(n), ready: r.readyAt(n)}
	if n.err != nil && n.state != scheduler.StateSkipped { // which says the same of all
		b.err = n.err.Text
	}
	if n.moment != 0 && !n.state.Ended() && n.state != scheduler.StateRunning {
		b.since = r.moments[n.moment-1].at
	}
	if m := n.more; m != nil && !n.state.Ended() {
		b.note, b.attempt, b.until = m.note, m.attempt, m.until
	}
	return b
}

// append appends the fields that change, as JSON without the braces.
func (b *nodeBrief) append(to []byte) []byte {
	to = append(to, `"state":"`...)
	to = append(to, b.state.String()...)
	to = append(to, '"')
	for _, t := range [...]struct {
		name string
		at   int64
	}{{`,"started":`, b.started}, {`,"ended":`, b.ended}, {`,"ready":`, b.ready}, {`,"since":`, b.since}, {`,"until":`, b.until}} {
		if t.at != 0 {
			to = append(to, t.name...)
			to = appendMS(to, t.at)
		}
	}
	if b.attempt > 1 {
		to = append(to, `,"attempt":`...)
		to = strconv.AppendInt(to, int64(b.attempt), 10)
	}
	if b.note != "" {
		to = append(to, `,"note":`...)
		to = appendJSON(to, cut(b.note, summaryMax))
	}
	if b.err != "" {
		to = append(to, `,"error":`...)
		to = appendJSON(to, b.err)
	}
	return to
}

// briefs sends nodes from one on, separated by commas, for as long as they fit
// into a piece, and returns the next one.
func (r *run) briefs(s *sender, from int) (next int) {
	var some [briefsMost]nodeBrief
	r.mu.Lock()
	g := r.graph
	n := min(g.len()-from, len(some))
	for i := range n {
		some[i] = r.briefLocked(int32(from + i))
	}
	r.mu.Unlock()
	for i := range n {
		if i > 0 {
			s.text(",")
		}
		s.buf = g.appendNode(s.buf, &some[i])
		if len(s.buf) >= pieceMost {
			n = i + 1
			break
		}
	}
	return from + n
}

const briefsMost = 200

// appendNode appends a node with what does not change of it.
func (g *graph) appendNode(to []byte, b *nodeBrief) []byte {
	to = append(to, `{"name":`...)
	to = append(to, g.name(b.node)...)
	to = append(to, `,"layer":`...)
	to = strconv.AppendInt(to, int64(g.layer[b.node]), 10)
	if requires := g.requires(b.node); len(requires) > 0 {
		to = append(to, `,"requires":`...)
		for i, q := range requires {
			to = append(to, "[,"[min(i, 1)])
			to = strconv.AppendInt(to, int64(q), 10)
		}
		to = append(to, ']')
	}
	if b.completed {
		to = append(to, `,"completed":true`...)
	}
	to = append(to, ',')
	return append(b.append(to), '}')
}

// nodePage is all that is known of a node.
type nodePage struct {
	Run         int             `json:"run"`
	Node        int32           `json:"node"`
	Name        json.RawMessage `json:"name"`
	State       string          `json:"state"`
	Completed   bool            `json:"completed,omitempty"`
	Layer       int32           `json:"layer"`
	History     []historyJSON   `json:"history"`
	Error       *failure        `json:"error,omitempty"`
	Note        string          `json:"note,omitempty"`
	Attempt     int             `json:"attempt,omitempty"`
	LastError   *failure        `json:"lastError,omitempty"`
	Notice      *failure        `json:"notice,omitempty"`
	Abandoned   *failure        `json:"abandoned,omitempty"`
	Until       float64         `json:"until,omitempty"`
	Trace       string          `json:"trace,omitempty"`
	Requires    []int32         `json:"requires"`
	RequiredBy  []int32         `json:"requiredBy"`
	WaitsFor    []int32         `json:"waitsFor"`
	More        int             `json:"more,omitempty"`
	Inside      []int           `json:"inside,omitempty"`
	Explanation *explanation    `json:"explanation,omitempty"`
	Busy        bool            `json:"busy,omitempty"`
}

type historyJSON struct {
	State string  `json:"state"`
	At    float64 `json:"at"`
	Round int32   `json:"round"`
}

// neighboursMost is how many nodes each list of a node's page has.
const neighboursMost = 1000

// describe returns all that is known of a node, without the explanation.
// hasEnded says that there is nothing to explain.
func (r *run) describe(node int32) (p nodePage, hasEnded bool) {
	r.mu.Lock()
	g := r.graph
	n := r.nodes[node]
	p = nodePage{
		Run: r.id, Node: node, Name: g.name(node), State: n.state.String(), Completed: g.completed[node],
		Layer: g.layer[node], History: r.historyLocked(&n), Error: n.err,
	}
	if m := n.more; m != nil {
		p.Note, p.Attempt, p.LastError, p.Notice = m.note, m.attempt, m.retried, m.notice
		p.Abandoned, p.Until, p.Trace = m.abandoned, ms(m.until), m.trace
	}
	hasEnded = r.status != "" || n.state.Ended()
	r.mu.Unlock()

	p.Requires = p.some(g.requires(node))
	p.RequiredBy = p.some(g.requiredBy(node))
	p.WaitsFor = []int32{}
	if n.state == scheduler.StatePending && !hasEnded {
		p.WaitsFor = p.some(r.unfinished(g.requires(node)))
	}
	p.Inside = r.page.inside(r, int(node))
	return p, hasEnded
}

// some returns the first few of a list, and counts the others.
func (p *nodePage) some(nodes []int32) []int32 {
	if len(nodes) > neighboursMost {
		p.More += len(nodes) - neighboursMost
		nodes = nodes[:neighboursMost]
	}
	return append([]int32{}, nodes...)
}

// unfinished returns those of some nodes that have not ended, and are no ready services,
// for which nobody waits.
func (r *run) unfinished(nodes []int32) (left []int32) {
	for from := 0; from < len(nodes); from += lookMost {
		r.mu.Lock()
		for _, q := range nodes[from:min(from+lookMost, len(nodes))] {
			if state := r.nodes[q].state; !state.Ended() && state != scheduler.StateReady {
				left = append(left, q)
			}
		}
		r.mu.Unlock()
	}
	return left
}

// historyLocked returns when a node came to which state.
func (r *run) historyLocked(n *node) []historyJSON {
	history := []historyJSON{}
	for i := n.moment; i != 0; i = r.moments[i-1].before {
		m := &r.moments[i-1]
		history = append(history, historyJSON{State: m.state.String(), At: ms(m.at), Round: m.round})
	}
	slices.Reverse(history)
	return history
}

// inside returns the runs of the groups that a node runs or ran.
func (p *Page) inside(r *run, node int) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(r.inside[node])
}
