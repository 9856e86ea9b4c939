package scheduler

import (
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"time"
)

// Explanation is the state of a node, and what the node waits for.
type Explanation[K comparable] struct {
	Key   K
	State State
	Since int   // the round of its last change of state; 0 is before the first
	Err   error // as [DependencyTaskGroup.Err] has it

	// Of a pending node:
	Requires []K         // what it requires and is not done, in key order
	Claims   []ClaimWait // what it waits for then, or, running, in Claiming
	Limited  bool        // it waits for the group's Limit

	// Of a running node:
	Until    Yield        // what it waits for: rounds, a time, an event
	Call     string       // the call whose end it waits for, as [TaskDescription] names it
	Deadline time.Time    // the end of its time or grace; zero: it has none
	Stopped  bool         // it was asked to end
	Inside   fmt.Stringer // the group that it runs, or nil
	Notes    Notes        // also of one that has ended without success

	more int // how many keys Requires lacks
}

// Explain yields the state of each node and what it waits for, in key order. It takes
// time in proportion to the graph.
func (g *DependencyTaskGroup[K]) Explain() iter.Seq[Explanation[K]] {
	g.must("scheduler: DependencyTaskGroup.Explain of nil")
	return func(yield func(Explanation[K]) bool) {
		for e := range newExplainer(&g.engine, math.MaxInt).all() {
			if !yield(withKeys[K](&e)) {
				return
			}
		}
	}
}

// ExplainNode is Explain for one node; for an unknown key the State is 0. It takes
// time in proportion to the node's requirements and the nodes that wait for claims.
func (g *DependencyTaskGroup[K]) ExplainNode(k K) Explanation[K] {
	g.must("scheduler: DependencyTaskGroup.ExplainNode of nil")
	p, ok := g.plan.find(k)
	if !ok {
		return Explanation[K]{Key: k}
	}
	e := newExplainer(&g.engine, math.MaxInt).node(p)
	return withKeys[K](&e)
}

// explanation is an Explanation whatever the type of keys.
type explanation = Explanation[any]

// withKeys returns e for keys of type K, which its keys are.
func withKeys[K comparable](e *explanation) Explanation[K] {
	typed := Explanation[K]{
		Key: e.Key.(K), State: e.State, Since: e.Since, Err: e.Err, Claims: e.Claims, Limited: e.Limited,
		Until: e.Until, Call: e.Call, Deadline: e.Deadline, Stopped: e.Stopped, Inside: e.Inside, Notes: e.Notes,
	}
	for _, k := range e.Requires {
		typed.Requires = append(typed.Requires, k.(K))
	}
	return typed
}

// explainer explains the nodes of a group, at one moment.
type explainer struct {
	group   *engine
	waiting *waits
	most    int // how many keys that a node requires it names; it counts the others
}

// fewKeys is how many keys a line names: one for a node that requires thousands costs no
// more.
const fewKeys = 5

func newExplainer(g *engine, most int) *explainer { return &explainer{g, newWaits(&g.claims), most} }

// all explains all nodes in key order.
func (x *explainer) all() iter.Seq[explanation] {
	return func(yield func(explanation) bool) {
		for p := range int32(x.group.nodes.len()) {
			if !yield(x.node(p)) {
				return
			}
		}
	}
}

// node explains a node.
func (x *explainer) node(p int32) explanation {
	g := x.group
	e := explanation{
		Key: g.key(p), State: g.nodes.state(p), Since: g.nodes.sinceRound(p), Stopped: g.nodes.has(p, wasStopped),
		Notes: g.notesOf(p),
	}
	switch e.State {
	case StatePending:
		x.pending(p, &e)
	case StateRunning, StateReady, StateClosing:
		x.member(p, &e)
	default:
		e.Err = g.errOf(p)
	}
	return e
}

// pending says what a pending node waits for.
func (x *explainer) pending(p int32, e *explanation) {
	g := x.group
	for q := range g.waitsFor(p) {
		if len(e.Requires) == x.most {
			e.more++
			continue
		}
		e.Requires = append(e.Requires, g.key(q))
	}
	if len(e.Requires) > 0 {
		return
	}
	if t := g.claims.ticketOf(p); t != nil {
		e.Claims = x.waiting.of(t, g.pathOf(p))
	}
	e.Limited = e.Claims == nil && g.isFull()
}

// member says what a running member waits for.
func (x *explainer) member(p int32, e *explanation) {
	g := x.group
	slot := g.nodes.slot(p)
	if slot == noSlot { // in its first step
		e.Until = Next
		return
	}
	if group, ok := lookFor[enclosed](g.taskOf(p)); ok {
		e.Inside = group.inside().shell.(fmt.Stringer)
	}
	if d := g.deadlines.of(slot); d.isSet() {
		e.Deadline = time.Unix(0, d.at)
	}
	e.Until = g.parking.until(slot, g.round)
	task := waitsIn(g.taskOf(p))
	if c, ok := task.(*call); ok && c.step != nil && c.isTold() {
		e.Until = e.Until.Or(On(&c.done))
	}
	if e.Until.code&yieldEvent == 0 {
		return
	}
	switch t := task.(type) {
	case *call:
		e.Call = TaskDescription(t)
	case *claiming:
		if t.isWaiting() {
			e.Claims = x.waiting.of(t.ticket, g.pathOf(p))
		}
	}
}

// enclosed is a group of any type of key.
type enclosed interface {
	Task
	fmt.Stringer
	inside() *engine
}

// String returns one line for a person. If Err has several, the others follow indented.
// Control characters become spaces.
func (e Explanation[K]) String() string {
	untyped := explanation{
		Key: e.Key, State: e.State, Since: e.Since, Err: e.Err, Claims: e.Claims, Limited: e.Limited,
		Until: e.Until, Call: e.Call, Deadline: e.Deadline, Stopped: e.Stopped, Inside: e.Inside, Notes: e.Notes,
	}
	for _, k := range e.Requires {
		untyped.Requires = append(untyped.Requires, k)
	}
	return lineOf(&untyped)
}

// lineOf is String whatever the type of keys.
func lineOf(e *explanation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %s since round %d", e.Key, e.State, e.Since)
	switch {
	case len(e.Requires) > 0:
		fmt.Fprintf(&b, ", requires %s", list(e.Requires, e.more))
	case len(e.Claims) > 0:
		for _, c := range e.Claims {
			fmt.Fprintf(&b, ", %s", strings.TrimPrefix(c.String(), c.Node+" "))
		}
	case e.Limited:
		b.WriteString(", waits for the group's limit")
	case e.Call != "":
		fmt.Fprintf(&b, ", waits: %s", untilCall(e))
	case (e.State == StateRunning || e.State == StateReady) && e.Until != Next:
		fmt.Fprintf(&b, ", waits: %s", e.Until)
	}
	if e.Stopped && (e.State == StateRunning || e.State == StateReady) {
		b.WriteString(", asked to end")
	}
	if !e.Deadline.IsZero() {
		fmt.Fprintf(&b, ", until %s", e.Deadline.UTC().Format(time.RFC3339Nano))
	}
	if said := e.Notes.String(); said != "" && !e.State.Ended() {
		fmt.Fprintf(&b, ", %s", said)
	}
	text := plain(b.String())
	if e.Err == nil {
		return text
	}
	lines := strings.Split(textOf(e.Err), "\n")
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return text + ", " + strings.Join(lines, "\n  ")
}

// untilCall says what a node waits for whose event is the end of a call.
func untilCall(e *explanation) string {
	rest := e.Until
	rest.code &^= yieldEvent
	if rest.event = nil; rest.code == 0 || e.State == StateClosing {
		return "call " + e.Call
	}
	return fmt.Sprintf("%s or call %s", rest, e.Call)
}

// list names a few keys and counts the others, of which there are more.
func list(keys []any, more int) string {
	var b strings.Builder
	for i, k := range keys {
		if i == fewKeys {
			more += len(keys) - fewKeys
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, k)
	}
	if more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// WriteTo writes a line of counts, and, for each node that has not succeeded, its
// state and what it waits for, as [Explanation.String] does.
func (g *DependencyTaskGroup[K]) WriteTo(w io.Writer) (int64, error) {
	return g.in("scheduler: DependencyTaskGroup.WriteTo of nil").writeTo(w)
}

func (g *engine) writeTo(w io.Writer) (int64, error) {
	if w == nil {
		return 0, errNilWriter
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: round %d", plain(g.String()), g.round)
	for s := StatePending; s <= StateSkipped; s++ {
		if n := g.nodes.count(s); n > 0 {
			fmt.Fprintf(&b, ", %d %s", n, s)
		}
	}
	if g.waitsForNodes() {
		b.WriteString(", open for more nodes")
	}
	b.WriteString("\n")
	for e := range newExplainer(g, fewKeys).all() {
		if e.State != StateSucceeded {
			fmt.Fprintf(&b, "  %s\n", lineOf(&e))
		}
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
