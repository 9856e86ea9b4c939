package scheduler

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// Note records what the node of ctx is doing, such as "volume is still building". The
// last note of a node is in its [Explanation], in the text of a [*Timeout], and in
// what Observers show. ctx is that of a step or a call; outside of a node, and after
// the call has returned, Note does nothing. It never blocks.
//
// Observers are told of each note in a step, and of the last note of a call between
// two steps. In the text, control characters become spaces, and it is cut off after
// 256 bytes.
func Note(ctx context.Context, text string) {
	mustHave(ctx, "Note")
	text = oneLine(text, noteMost)
	if g, p := nodeAround(ctx); g != nil {
		n := g.notesOf(p)
		n.Text = text
		g.noteInside(p, n, NodeNoted, nil)
		return
	}
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.note(text)
	}
}

// Note is [Note] with the context of the current step.
func (co *Coroutine) Note(text string) {
	co.check("Note")
	Note(co.top.ctx, text)
}

// Notes are what a node has said about itself: why it still runs. A field is zero
// until there is something to say, and again once that has succeeded.
type Notes struct {
	Text    string // the last one given to [Note]
	Asked   int    // how often the [Poll] under way has asked
	Attempt int    // the number of the last attempt of [Retry] that has failed
	Last    error  // what it failed with
}

// String returns one line, such as "volume is still building, attempt 7: 503 Service
// Unavailable", or "".
func (n Notes) String() string {
	var parts []string
	if n.Text != "" {
		parts = append(parts, n.Text)
	}
	if n.Asked > 0 {
		parts = append(parts, "asked "+times(n.Asked))
	}
	if n.Attempt > 0 {
		attempt := "attempt " + strconv.Itoa(n.Attempt)
		if n.Last != nil {
			attempt += ": " + oneLine(textOf(n.Last), lastMost)
		}
		parts = append(parts, attempt)
	}
	return strings.Join(parts, ", ")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func (n *Notes) isZero() bool { return n.Text == "" && n.Asked == 0 && n.Attempt == 0 }

// since returns what they say that before did not: nothing of an attempt that had
// failed by then. before may be nil.
func (n Notes) since(before *Notes) Notes {
	if before != nil && n.Attempt == before.Attempt && isSame(n.Last, before.Last) {
		n.Attempt, n.Last = 0, nil
	}
	return n
}

// How many bytes of a note, and of the error of an attempt, are shown.
const (
	noteMost = 256
	lastMost = 1024
)

// oneLine returns text without control characters, and of at most most bytes.
func oneLine(text string, most int) string {
	if len(text) > most {
		cut := most - len("…")
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…" // a copy, so that the long one is not kept
	}
	return plain(text)
}

// plain returns text with spaces in place of control characters: it is one line, and
// tells a terminal nothing.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// notes are what the members of a group have said about themselves.
type notes struct {
	byNode   map[int32]Notes // nil before the first
	starting int32           // the node that was the last to say something in its first step
	untold   []int32         // nodes with a note of a call that is to be told
	calls    callNotes
}

// set keeps the notes of a node. One that ends in its first step is forgotten when
// the next says something in its own, so that they do not add up.
func (n *notes) set(p int32, said Notes, inFirstStep bool, states *nodes) {
	if n.byNode == nil {
		n.byNode, n.starting = map[int32]Notes{}, noNode
	}
	if inFirstStep {
		if s := n.starting; s != noNode && states.state(s) == StateSucceeded {
			delete(n.byNode, s)
		}
		n.starting = p
	}
	if said.isZero() {
		delete(n.byNode, p)
		return
	}
	n.byNode[p] = said
}

// of returns the notes of a node.
func (n *notes) of(p int32) Notes { return n.byNode[p] }

// tellLater keeps that a note of a call is to be told, and takeUntold returns the nodes
// with such notes, in key order.
func (n *notes) tellLater(p int32) { n.untold = append(n.untold, p) }

func (n *notes) takeUntold() []int32 {
	untold := n.untold
	n.untold = nil
	slices.Sort(untold)
	return slices.Compact(untold)
}

// forget drops the notes of a node that has succeeded.
func (n *notes) forget(p int32) {
	if n.byNode != nil {
		delete(n.byNode, p)
	}
}

// callNotes are the calls that have noted something which the driving goroutine has
// not taken yet. Each has its last note.
type callNotes struct {
	some   atomic.Bool
	mu     sync.Mutex
	calls  []*call
	posted bool
}

// add adds a call, and reports whether nobody was asked to come for it yet.
func (n *callNotes) add(c *call) (first bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, c)
	n.some.Store(true)
	first = !n.posted
	n.posted = true
	return first
}

func (n *callNotes) take() []*call {
	if !n.some.Load() {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	calls := n.calls
	n.calls, n.posted = nil, false
	n.some.Store(false)
	return calls
}

// note keeps a note of the call, on any goroutine, and sees to it that it is told.
func (c *call) note(text string) {
	if c.node == noNode || c.done.IsSet() {
		return
	}
	g := c.group()
	if g == nil {
		return // of a walk of which nobody sees notes
	}
	if r := g.runner.Load(); c.told().keepNote(text) && g.notes.calls.add(c) && c.tellsNotes && r != nil {
		r.Post(g.tellPostedNotes)
	}
}

// keepNote keeps a note, and reports whether there was none.
func (e *callEnd) keepNote(text string) (first bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	first = !e.hasNote
	e.note, e.hasNote = text, true
	return first
}

func (e *callEnd) takeNote() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hasNote = false
	return e.note
}

// nodeAround returns the innermost group of which a member is being stepped in ctx,
// and that member; nil if there is none, as in a call.
func nodeAround(ctx context.Context) (*engine, int32) { return scopeOf(ctx).node() }

// notesAround returns the notes of that member.
func notesAround(ctx context.Context) Notes {
	g, p := nodeAround(ctx)
	if g == nil {
		return Notes{}
	}
	return g.notesOf(p)
}

// changeNotes changes those of that member, of which the Observers are not told.
func changeNotes(ctx context.Context, change func(n *Notes)) {
	if g, p := nodeAround(ctx); g != nil {
		n := g.notesOf(p)
		change(&n)
		g.setNotes(p, n)
	}
}

// notesOf returns the notes of a node, those of its calls among them.
func (g *engine) notesOf(p int32) Notes {
	g.takeNotes()
	return g.notes.of(p)
}

func (g *engine) setNotes(p int32, n Notes) {
	g.notes.set(p, n, g.nodes.slot(p) == noSlot, &g.nodes)
}

// takeNotes takes in what calls have noted.
func (g *engine) takeNotes() {
	for _, c := range g.notes.calls.take() {
		text := c.told().takeNote()
		if g.nodes.state(c.node).Ended() {
			continue
		}
		n := g.notes.of(c.node)
		n.Text = text
		g.setNotes(c.node, n)
		if g.watchers.want(NodeNoted) {
			g.notes.tellLater(c.node)
		}
	}
}

// tellNotes tells what calls have noted, in key order.
func (g *engine) tellNotes() {
	g.takeNotes()
	for _, p := range g.notes.takeUntold() {
		if !g.nodes.state(p).Ended() {
			g.watchers.tell(g.record(NodeNoted, p, nil), g.runningTaskOf(p), 0)
		}
	}
}

// tellPostedNotes is tellNotes between two steps of the run.
func (g *engine) tellPostedNotes() {
	if g.phase == phaseEnded {
		return
	}
	g.exclusively("Note", func() {
		g.readClock()
		g.tellNotes()
	})
}

// noteInside changes the notes of a member whose code is running, and tells of that.
func (g *engine) noteInside(p int32, n Notes, kind Kind, err error) {
	g.setNotes(p, n)
	g.tellInside(kind, p, err)
}

// tellInside tells what happens inside the code of a member.
func (g *engine) tellInside(kind Kind, p int32, err error) {
	if g.watchers.want(kind) {
		g.insideCode(func() { g.watchers.tell(g.record(kind, p, err), g.runningTaskOf(p), 0) })
	}
}

// insideCode tells something inside of code that may recover a panic of an Observer,
// which has to be known all the same.
func (g *engine) insideCode(tell func()) {
	told := false
	defer func() {
		if !told {
			g.dropWatcher()
		}
	}()
	tell()
	told = true
}

// runningTaskOf returns the task of a node, or nil while there is none.
func (g *engine) runningTaskOf(p int32) Task {
	if g.nodes.slot(p) == noSlot {
		return nil
	}
	return g.taskOf(p)
}
