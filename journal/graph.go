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
		slices.Sort(required)
		lines = append(lines, strings.Join(append([]string{elements[k]}, required...), "\t"))
	}
	slices.Sort(lines)
	return graph(strings.Join(lines, "\n")), elements, nil
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

// Dependencies returns the graph of a run: that which it was begun with, or the one that
// was taken over last. So a run can be rolled back by a program that has only the file. K
// is the type of the keys; if a key in the file is not a K, the error is a
// [*ValueError]. Nodes are in the order of their keys as JSON. Dependencies returns
// [ErrNoRun] if there is no run of that name. It reads the file: it is not for a step.
func Dependencies[K comparable](ctx context.Context, j *Journal, run string) (*scheduler.Dependencies[K], error) {
	var text graph // empty if the process died before it was on disk: nothing had started
	err := j.db.QueryRowContext(ctx, `SELECT coalesce((SELECT data FROM record
		WHERE run = run.id AND node = '' AND kind = ? ORDER BY seq DESC LIMIT 1), '') FROM run WHERE name = ?`,
		KindGroup, run).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %q", ErrNoRun, run)
	}
	if err != nil {
		return nil, j.fail(err)
	}
	deps := scheduler.NewDependencies[K]()
	for line := range strings.SplitSeq(string(text), "\n") {
		var keys []K
		for element := range strings.SplitSeq(line, "\t") {
			var k K
			if element == "" {
				continue // the graph is empty
			}
			if err := json.Unmarshal([]byte(element), &k); err != nil {
				return nil, &ValueError{Run: run, What: "key " + shown(element), Err: err}
			}
			keys = append(keys, k)
		}
		if len(keys) > 0 {
			deps.Add(keys[0], keys[1:]...)
		}
	}
	return deps, nil
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
