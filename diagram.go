package scheduler

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file is about pictures of graphs.

// WriteDOT writes the graph in the language of Graphviz, with an arrow from each
// requirer to what it requires. Nodes and edges on a cycle are red. The error is that
// of w.
func (d *Dependencies[K]) WriteDOT(w io.Writer) error { return d.diagram().writeDOT(w) }

// WriteMermaid writes the graph as a Mermaid flowchart. Nodes on a cycle are in the
// class cycle, which is red, and its edges are thick. The error is that of w.
func (d *Dependencies[K]) WriteMermaid(w io.Writer) error { return d.diagram().writeMermaid(w) }

// WriteDOT writes the graph as [Dependencies.WriteDOT] does, with the state of each
// node as text and colour, and arrows in the same direction even in a reverse group.
func (g *DependencyTaskGroup[K]) WriteDOT(w io.Writer) error {
	return g.in("scheduler: DependencyTaskGroup.WriteDOT of nil").diagram().writeDOT(w)
}

// WriteMermaid writes the same as a Mermaid flowchart. The class of a node is its
// state, with "timedOut" in one word.
func (g *DependencyTaskGroup[K]) WriteMermaid(w io.Writer) error {
	g.must("scheduler: DependencyTaskGroup.WriteMermaid of nil")
	return g.engine.diagram().writeMermaid(w)
}

// diagram is a graph to be drawn. Names are only labels, since two keys may
// print alike: nodes are known by number.
type diagram struct {
	title    string // as DOT has it
	names    []string
	required func(node int32) []int32
	cycles   []int32 // as Graph.Cycles has it; nil: there are none
	states   []State // nil: nothing runs
}

func (d *Dependencies[K]) diagram() *diagram {
	g := d.graph(backwards)
	return &diagram{title: "dependencies", names: labels(d.keys()), required: g.Row, cycles: g.Cycles()}
}

func (g *engine) diagram() *diagram {
	d := &diagram{title: `"` + escapeDOT(g.String()) + `"`, required: g.graph.required}
	if g.opts.Reverse {
		d.required = g.graph.frees
	}
	for p := range int32(g.nodes.len()) {
		d.names = append(d.names, fmt.Sprint(g.key(p)))
		d.states = append(d.states, g.nodes.state(p))
	}
	return d
}

func labels[K any](keys []K) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = fmt.Sprint(k)
	}
	return names
}

// isCyclic reports whether the nodes are on a cycle, on the same one if there
// are several.
func (d *diagram) isCyclic(nodes ...int32) bool {
	for _, i := range nodes {
		if d.cycles == nil || d.cycles[i] == 0 || d.cycles[i] != d.cycles[nodes[0]] {
			return false
		}
	}
	return true
}

// paints are what the states look like, in either language.
var paints = [StateSkipped + 1]struct{ class, fill, stroke string }{
	StatePending:   {"pending", "#ffffff", "#8c959f"},
	StateRunning:   {"running", "#fff3b0", "#b08800"},
	StateReady:     {"ready", "#d6eaf8", "#2471a3"},
	StateClosing:   {"closing", "#ffe9d6", "#a0672c"},
	StateSucceeded: {"succeeded", "#c8e6c9", "#2e7d32"},
	StateFailed:    {"failed", "#ffcdd2", "#c62828"},
	StateTimedOut:  {"timedOut", "#ffe0b2", "#e65100"},
	StateCancelled: {"cancelled", "#e0e0e0", "#616161"},
	StateSkipped:   {"skipped", "#f5f5f5", "#9e9e9e"},
}

var errNilWriter = &OptionError{Option: "w", Reason: "nil Writer"}

func (d *diagram) writeDOT(w io.Writer) error {
	if w == nil {
		return errNilWriter
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "digraph %s {\n", d.title)
	for i, name := range d.names {
		fmt.Fprintf(b, "\tn%d [label=\"%s", i, escapeDOT(name))
		if d.states != nil {
			p := paints[d.states[i]]
			fmt.Fprintf(b, "\\n%s\", style=filled, fillcolor=\"%s\", color=\"%s\"]\n", d.states[i], p.fill, p.stroke)
			continue
		}
		b.WriteString(`"`)
		if d.isCyclic(int32(i)) {
			b.WriteString(", color=red")
		}
		b.WriteString("]\n")
	}
	for i := range d.names {
		for _, j := range d.required(int32(i)) {
			fmt.Fprintf(b, "\tn%d -> n%d", i, j)
			if d.isCyclic(int32(i), j) {
				b.WriteString(" [color=red]")
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("}\n")
	return b.Flush()
}

func (d *diagram) writeMermaid(w io.Writer) error {
	if w == nil {
		return errNilWriter
	}
	b := bufio.NewWriter(w)
	b.WriteString("flowchart TD\n")
	cyclic := false
	var drawn [len(paints)]bool
	for i, name := range d.names {
		fmt.Fprintf(b, "\tn%d[\"%s", i, escapeMermaid(name))
		switch {
		case d.states != nil:
			state := d.states[i]
			drawn[state] = true
			fmt.Fprintf(b, "<br>%s\"]:::%s\n", state, paints[state].class)
		case d.isCyclic(int32(i)):
			cyclic = true
			b.WriteString("\"]:::cycle\n")
		default:
			b.WriteString("\"]\n")
		}
	}
	for i := range d.names {
		for _, j := range d.required(int32(i)) {
			arrow := "-->"
			if d.isCyclic(int32(i), j) {
				arrow = "==>"
			}
			fmt.Fprintf(b, "\tn%d %s n%d\n", i, arrow, j)
		}
	}
	if cyclic {
		b.WriteString("\tclassDef cycle stroke:red\n")
	}
	for state, p := range paints {
		if drawn[state] {
			fmt.Fprintf(b, "\tclassDef %s fill:%s,stroke:%s,color:#000\n", p.class, p.fill, p.stroke)
		}
	}
	return b.Flush()
}

// escapeDOT makes a name fit for a quoted string of DOT, where a backslash
// would begin an escape, and an ampersand an entity.
func escapeDOT(name string) string { return dotEscapes.Replace(printable(name)) }

var dotEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `&`, `&amp;`)

// escapeMermaid makes a name fit for a quoted string of Mermaid, which knows
// entities and, in backquotes, Markdown.
func escapeMermaid(name string) string { return mermaidEscapes.Replace(printable(name)) }

var mermaidEscapes = strings.NewReplacer(
	`#`, `#35;`, `"`, `#34;`, `&`, `#38;`, `<`, `#60;`, `>`, `#62;`, "`", `#96;`, `\`, `#92;`,
)

// printable gives what is not printable, or not valid UTF-8, in s as a string
// literal of Go would: a label stays on one line and cannot break the syntax
// around it.
func printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if strconv.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteRune(r)
		} else {
			quoted := strconv.Quote(s[i : i+size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}
