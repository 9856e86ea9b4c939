package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/steptask/scheduler"
)

// graph is the graph of a group as the file has it: a line for each node, with
// its path element and those of what it requires, sorted and with tabs between
// them. Compact JSON has neither tabs nor line ends.
type graph string

// filedGraph is a graph as the file has it, with the nodes that were added.
type filedGraph struct {
	base  graph
	added []string          // lines, in order
	lines map[string]string // of the added nodes, by path element
}

// add adds the line of a node.
func (f *filedGraph) add(line string) {
	if f.lines == nil {
		f.lines = map[string]string{}
	}
	element, _, _ := strings.Cut(line, "\t")
	f.added = append(f.added, line)
	f.lines[element] = line
}

// whole returns the graph with what was added.
func (f *filedGraph) whole() graph {
	if len(f.added) == 0 {
		return f.base
	}
	lines := slices.Clone(f.added)
	if f.base != "" {
		lines = append(lines, strings.Split(string(f.base), "\n")...)
	}
	slices.Sort(lines)
	return graph(strings.Join(lines, "\n"))
}

// graphOf returns the graph, and the path element of each key.
func graphOf[K comparable](run string, deps *scheduler.Dependencies[K]) (graph, map[K]string, error) {
	elements := make(map[K]string, deps.Len())
	seen := make(map[string]bool, deps.Len())
	for k := range deps.Nodes() {
		text, err := element(k)
		if err == nil && seen[text] {
			err = errTwins
		}
		if err != nil {
			return "", nil, &ValueError{Run: run, What: fmt.Sprintf("key %v", k), Err: err}
		}
		elements[k], seen[text] = text, true
	}
	lines := make([]string, 0, len(elements))
	for k := range deps.Nodes() {
		var required []string
		for q := range deps.Requires(k) {
			required = append(required, elements[q])
		}
		lines = append(lines, lineOf(elements[k], required))
	}
	slices.Sort(lines)
	return graph(strings.Join(lines, "\n")), elements, nil
}

// lineOf returns the line of a node. It sorts required.
func lineOf(element string, required []string) string {
	slices.Sort(required)
	return strings.Join(append([]string{element}, slices.Compact(required)...), "\t")
}

// nodes returns what each node requires.
func (g graph) nodes() map[string][]string {
	nodes := map[string][]string{}
	for line := range strings.SplitSeq(string(g), "\n") {
		if node, required, _ := strings.Cut(line, "\t"); node != "" {
			nodes[node] = nil
			if required != "" {
				nodes[node] = strings.Split(required, "\t")
			}
		}
	}
	return nodes
}

// Dependencies returns the graph of a run: the one it was begun with or that was
// taken over last, with the nodes added since. With it a program that has only the
// file can roll the run back. K is the type of the keys; if a key in the file is not
// a K, the error is a [*ValueError]. Nodes are in the order of their keys as JSON,
// followed by the added ones in the order of their adding. If there is no run of that
// name, the error is [ErrNoRun]. Dependencies reads the file, so do not call it in a
// step.
func Dependencies[K comparable](ctx context.Context, j *Journal, run string) (*scheduler.Dependencies[K], error) {
	if err := j.check(ctx); err != nil {
		return nil, err
	}
	filed, err := j.graph(ctx, run)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %q", ErrNoRun, run)
	}
	if err != nil {
		return nil, j.fail(err)
	}
	deps := scheduler.NewDependencies[K]()
	if filed.base != "" {
		filed.added = append(strings.Split(string(filed.base), "\n"), filed.added...)
	}
	return deps, addTo(deps, run, filed.added)
}

// graph reads the graph of a run. It is empty if the process died before it was on disk:
// then nothing had started.
func (j *Journal) graph(ctx context.Context, run string) (filed filedGraph, err error) {
	var id int64
	if err := j.db.QueryRowContext(ctx, `SELECT id FROM run WHERE name = ?`, run).Scan(&id); err != nil {
		return filed, err
	}
	rows, err := j.db.QueryContext(ctx, `SELECT kind, data FROM record WHERE run = ? AND node = '' AND kind IN (?, ?) ORDER BY seq`,
		id, KindGroup, KindAdd)
	if err != nil {
		return filed, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind Kind
		var text string
		if err := rows.Scan(&kind, &text); err != nil {
			return filed, err
		}
		if kind == KindGroup {
			filed = filedGraph{base: graph(text)}
		} else {
			filed.add(text)
		}
	}
	return filed, rows.Err()
}

// addTo adds nodes of a file to deps.
func addTo[K comparable](deps *scheduler.Dependencies[K], run string, lines []string) error {
	for _, line := range lines {
		var keys []K
		for element := range strings.SplitSeq(line, "\t") {
			var k K
			if err := json.Unmarshal([]byte(element), &k); err != nil {
				return &ValueError{Run: run, What: "key " + shown(element), Err: err}
			}
			keys = append(keys, k)
		}
		deps.Add(keys[0], keys[1:]...)
	}
	return nil
}

// difference says how g differs from the graph before; nil if it does not.
func (g graph) difference(before graph) *GraphError {
	if g == before {
		return nil
	}
	e := &GraphError{}
	old, now := before.nodes(), g.nodes()
	for node := range old {
		if _, ok := now[node]; !ok {
			e.Gone = append(e.Gone, shown(node))
		}
	}
	for node, required := range now {
		were, ok := old[node]
		if !ok {
			e.Added = append(e.Added, shown(node))
			continue
		}
		for _, r := range were {
			if !slices.Contains(required, r) {
				e.Changed = append(e.Changed, shown(node)+" no longer requires "+shown(r))
			}
		}
		for _, r := range required {
			if !slices.Contains(were, r) {
				e.Changed = append(e.Changed, shown(node)+" now requires "+shown(r))
			}
		}
	}
	slices.Sort(e.Gone)
	slices.Sort(e.Added)
	slices.Sort(e.Changed)
	return e
}
