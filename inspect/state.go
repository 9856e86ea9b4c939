package inspect

import (
	"slices"

	"github.com/steptask/scheduler"
)

// What is in this file is what the JSON endpoints answer; doc.go explains it.

// summary is a run in the list of runs.
type summary struct {
	ID        int            `json:"id"`
	Name      string         `json:"name"`
	Path      string         `json:"path,omitempty"`
	Parent    int            `json:"parent,omitempty"`
	Reverse   bool           `json:"reverse,omitempty"`
	Status    string         `json:"status"`
	Error     *failure       `json:"error,omitempty"`
	Began     float64        `json:"began"`
	Ended     float64        `json:"ended,omitempty"`
	Now       float64        `json:"now"`
	Live      bool           `json:"live"`
	Nodes     int            `json:"nodes"`
	Counts    map[string]int `json:"counts"`
	SlowSteps int            `json:"slowSteps,omitempty"`
	Slow      []slowStep     `json:"slow,omitempty"`
	Version   int            `json:"version"`
}

// summaryLocked describes a run. The page's mutex is held.
func (r *run) summaryLocked() summary {
	now, live := r.nowLocked()
	s := summary{
		ID: r.id, Name: r.name, Path: r.path, Reverse: r.reverse,
		Status: r.status, Error: r.err, Began: ms(r.began), Ended: ms(r.ended), Now: ms(now), Live: live,
		Nodes: len(r.graph.names), Counts: map[string]int{}, SlowSteps: r.slowCount, Slow: r.slow, Version: len(r.log),
	}
	if s.Status == "" {
		s.Status = scheduler.StateRunning.String()
	}
	if r.parent != nil {
		s.Parent = r.parent.id
	}
	for state := scheduler.StatePending; state <= scheduler.StateSkipped; state++ {
		if n := r.counts[state]; n > 0 {
			s.Counts[state.String()] = n
		}
	}
	return s
}

// runList is the list of runs, or what has changed of it.
type runList struct {
	Runs []summary `json:"runs"`
	Gone []int     `json:"gone,omitempty"`
}

// list returns the runs that have changed after serial, in the order of their
// starts, the ids of all, and the serial number of the last change.
func (p *Page) list(after uint64) (changed []summary, all []int, serial uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed = []summary{}
	for _, r := range p.runs {
		all = append(all, r.id)
		if r.serial > after {
			changed = append(changed, r.summaryLocked())
		}
	}
	return changed, all, p.serial
}

// snapshot is a run at a moment.
type snapshot struct {
	summary summary
	log     []change
}

func (r *run) snapshot() snapshot {
	r.page.mu.Lock()
	defer r.page.mu.Unlock()
	return snapshot{summary: r.summaryLocked(), log: slices.Clip(r.log)}
}

// nodeState is where a node stands.
type nodeState struct {
	state          scheduler.State
	started, ended int64 // 0: it has not
	round          int32
	err            *failure
}

// states returns where each node stands after the log.
func (s snapshot) states(g *graph) []nodeState {
	states := make([]nodeState, len(g.names))
	for i := range states {
		states[i].state = scheduler.StatePending
		if g.completed[i] {
			states[i].state = scheduler.StateSucceeded
		}
	}
	for _, c := range s.log {
		states[c.node].apply(c)
	}
	return states
}

func (r *run) states() []nodeState { return r.snapshot().states(r.graph) }

// apply makes a change.
func (n *nodeState) apply(c change) {
	n.state, n.round, n.err = c.state, c.round, c.err
	switch {
	case c.state == scheduler.StateRunning:
		n.started = c.at
	case c.state.Ended():
		n.ended = c.at
	}
}

// wholeRun is all that the page shows of a run, but for the nodes' own pages.
type wholeRun struct {
	Run      summary    `json:"run"`
	Nodes    []nodeJSON `json:"nodes"`
	Forecast forecast   `json:"forecast"`
}

type nodeJSON struct {
	Name      string  `json:"name"`
	Layer     int32   `json:"layer"`
	Requires  []int32 `json:"requires,omitempty"`
	State     string  `json:"state"`
	Completed bool    `json:"completed,omitempty"`
	Started   float64 `json:"started,omitempty"`
	Ended     float64 `json:"ended,omitempty"`
	Error     string  `json:"error,omitempty"`
}

// whole returns all of a run.
func (r *run) whole() wholeRun {
	s, g := r.snapshot(), r.graph
	states := s.states(g)
	w := wholeRun{Run: s.summary, Nodes: make([]nodeJSON, len(states)), Forecast: newForecast(g, states, s.summary)}
	for i, n := range states {
		w.Nodes[i] = nodeJSON{
			Name: g.names[i], Layer: g.layer[i], Requires: g.requires[i], Completed: g.completed[i],
			State: n.state.String(), Started: ms(n.started), Ended: ms(n.ended), Error: n.err.text(),
		}
	}
	return w
}

func (f *failure) text() string {
	if f == nil {
		return ""
	}
	return f.Text
}

// changes are the changes of a run's nodes from one version to another.
type changes struct {
	Run      int          `json:"run"`
	Version  int          `json:"version"`
	Changes  []changeJSON `json:"changes"`
	Forecast forecast     `json:"forecast"`
}

type changeJSON struct {
	Node  int32   `json:"node"`
	State string  `json:"state"`
	At    float64 `json:"at"`
	Error string  `json:"error,omitempty"`
}

// since returns what has changed after a version of the run.
func (s snapshot) since(version int) []changeJSON {
	list := make([]changeJSON, 0, len(s.log)-version)
	for _, c := range s.log[version:] {
		list = append(list, changeJSON{Node: c.node, State: c.state.String(), At: ms(c.at), Error: c.err.text()})
	}
	return list
}

// nodePage is all that is known of a node.
type nodePage struct {
	Run         int           `json:"run"`
	Node        int32         `json:"node"`
	Name        string        `json:"name"`
	State       string        `json:"state"`
	Completed   bool          `json:"completed,omitempty"`
	Layer       int32         `json:"layer"`
	History     []historyJSON `json:"history"`
	Error       *failure      `json:"error,omitempty"`
	Requires    []int32       `json:"requires"`
	RequiredBy  []int32       `json:"requiredBy"`
	WaitsFor    []int32       `json:"waitsFor"`
	Explanation *explanation  `json:"explanation,omitempty"`
	Busy        bool          `json:"busy,omitempty"`
}

type historyJSON struct {
	State string  `json:"state"`
	At    float64 `json:"at"`
	Round int32   `json:"round"`
}

// page returns all that is known of a node, without the explanation.
func (s snapshot) page(g *graph, node int32) nodePage {
	states := s.states(g)
	n := states[node]
	p := nodePage{
		Run: s.summary.ID, Node: node, Name: g.names[node], State: n.state.String(), Completed: g.completed[node],
		Layer: g.layer[node], History: []historyJSON{}, Error: n.err,
		Requires: append([]int32{}, g.requires[node]...), RequiredBy: append([]int32{}, g.requiredBy(node)...),
		WaitsFor: []int32{},
	}
	for _, c := range s.log {
		if c.node == node {
			p.History = append(p.History, historyJSON{State: c.state.String(), At: ms(c.at), Round: c.round})
		}
	}
	for _, q := range g.requires[node] {
		if n.state == scheduler.StatePending && !states[q].state.Ended() {
			p.WaitsFor = append(p.WaitsFor, q)
		}
	}
	return p
}
