// Package view shows how the resources of a stack are doing: while it works, on
// a terminal or in lines, and as a timeline afterwards. Both are observers of
// the scheduler.
package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
)

// All shows the same in several views.
type All []engine.View

// Begin begins all of them.
func (a All) Begin(action string, items []engine.Item) {
	for _, v := range a {
		v.Begin(action, items)
	}
}

// ObserveGroup tells all of them that a group begins, and joins what they return.
func (a All) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	var all []scheduler.Observer
	for _, v := range a {
		if g, ok := v.(scheduler.GroupObserver); ok {
			all = append(all, g.ObserveGroup(begun))
		} else {
			all = append(all, v)
		}
	}
	return scheduler.Observers(all...)
}

// Observe does nothing: what ObserveGroup returns is told in its place.
func (a All) Observe(scheduler.Record) {}

// Note tells all of them.
func (a All) Note(name, text string) {
	for _, v := range a {
		v.Note(name, text)
	}
}

// End ends all of them.
func (a All) End() {
	for _, v := range a {
		v.End()
	}
}

// Timeline keeps when everything began and ended, and draws it in the end.
type Timeline struct {
	action string
	items  map[string]engine.Item
	spans  []*span
	open   map[string]*span
}

type span struct {
	action, name string
	from, to     time.Time
	state        scheduler.State
}

// Begin begins another action on the same line of time.
func (t *Timeline) Begin(action string, items []engine.Item) {
	t.action, t.items, t.open = action, map[string]engine.Item{}, map[string]*span{}
	for _, item := range items {
		t.items[item.Name] = item
	}
}

// Wants asks for changes of nodes alone.
func (t *Timeline) Wants() scheduler.Kinds { return scheduler.KindsOf(scheduler.NodeChanged) }

// Observe keeps the time.
func (t *Timeline) Observe(tr scheduler.Record) {
	name, _ := tr.Key().(string)
	if _, part := t.items[name]; !part {
		return
	}
	switch {
	case tr.To == scheduler.StateRunning:
		s := &span{action: t.action, name: name, from: tr.Time(), to: tr.Time()}
		t.spans = append(t.spans, s)
		t.open[name] = s
	case !tr.To.Ended():
	case t.open[name] != nil:
		t.open[name].to, t.open[name].state = tr.Time(), tr.To
		delete(t.open, name)
	case tr.To == scheduler.StateSucceeded || tr.To == scheduler.StateFailed:
		t.spans = append(t.spans, &span{t.action, name, tr.Time(), tr.Time(), tr.To})
	}
}

// Note has nothing to do.
func (t *Timeline) Note(string, string) {}

// End has nothing to do.
func (t *Timeline) End() {}

// chartWidth is how many columns the whole time is spread over.
const chartWidth = 60

// Write draws the timeline, one row for each operation.
func (t *Timeline) Write(w io.Writer) {
	if len(t.spans) == 0 {
		return
	}
	first := slices.MinFunc(t.spans, func(a, b *span) int { return a.from.Compare(b.from) }).from
	last := slices.MaxFunc(t.spans, func(a, b *span) int { return a.to.Compare(b.to) }).to
	total, width := last.Sub(first), 0
	for _, s := range t.spans {
		width = max(width, len(s.name))
	}
	column := func(at time.Time) int {
		if total == 0 {
			return 0
		}
		return int(at.Sub(first) * chartWidth / total)
	}
	fmt.Fprintf(w, "\n%-*s  0s%*s\n", width+8, "timeline", chartWidth-2, total.Round(time.Millisecond))
	for _, s := range t.spans {
		from, to := column(s.from), column(s.to)
		bar := strings.Repeat(" ", from) + strings.Repeat(s.mark(), max(to-from, 1))
		fmt.Fprintf(w, "%-*s  %-6s  %s%*s %v - %v%s\n", width, s.name, s.action, bar, max(0, chartWidth+1-max(to, from+1)), "",
			s.from.Sub(first).Round(time.Millisecond), s.to.Sub(first).Round(time.Millisecond), s.ending())
	}
}

func (s *span) mark() string {
	switch {
	case s.state == scheduler.StateFailed || s.state == scheduler.StateTimedOut:
		return "x"
	case s.state != scheduler.StateSucceeded:
		return "~"
	case s.action == "create":
		return "█"
	}
	return "░"
}

func (s *span) ending() string {
	if s.state == scheduler.StateSucceeded {
		return ""
	}
	return ", " + s.state.String()
}
