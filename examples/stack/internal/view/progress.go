package view

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/steptask/scheduler/examples/stack/internal/resource"
	"github.com/steptask/scheduler/progress"
)

// Progress shows an action while it is under way: on a terminal what it is doing,
// and a line for all that has ended; elsewhere a line for everything.
type Progress struct {
	W     io.Writer
	Mode  progress.Mode
	Clock scheduler.Clock // of the run; nil: the system's

	shown *progress.Progress // nil between two actions
}

// Begin begins the display of an action.
func (p *Progress) Begin(action string, items []engine.Item) {
	lines := newLines(action, items)
	p.shown = progress.New(p.W, &progress.Options{
		Name: action, Mode: p.Mode, Clock: p.Clock,
		Line: func(t scheduler.Record) string {
			line := lines.of(t)
			if t.To == scheduler.StateRunning && p.shown.Live() {
				return "" // it has a row
			}
			return line
		},
	})
	if !p.shown.Live() {
		fmt.Fprintf(p.shown, "%s %s\n", action, counted(len(items)))
	}
}

// ObserveGroup shows what happens in the group of the action.
func (p *Progress) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	return p.shown.ObserveGroup(begun)
}

// Observe does nothing: what ObserveGroup returns is told in its place.
func (p *Progress) Observe(scheduler.Record) {}

// Note shows the text beside the resource, or as a line.
func (p *Progress) Note(name, text string) {
	if p.shown == nil {
		fmt.Fprintf(Clean{p.W}, "%8s  %s  %s\n", "", name, text)
		return
	}
	p.shown.Note(name, text)
}

// End ends the display. All goroutines that drew it are gone then.
func (p *Progress) End() {
	p.shown.Close() //nolint:errcheck // as with fmt: there is nobody else to tell
	p.shown = nil
}

// lines makes lines of what happens.
type lines struct {
	action  string
	items   map[string]engine.Item
	width   int // of the longest name
	wide    int // of the longest type
	first   time.Time
	started map[string]time.Time
}

func newLines(action string, items []engine.Item) *lines {
	l := &lines{action: action, items: map[string]engine.Item{}, started: map[string]time.Time{}}
	for _, item := range items {
		l.items[item.Name] = item
		l.width, l.wide = max(l.width, len(item.Name)), max(l.wide, len(item.Type))
	}
	return l
}

// of returns the line for a transition; "" for none. Those of resources that
// are not part of the action, being done already, have none.
func (l *lines) of(t scheduler.Record) string {
	name, _ := t.Key().(string)
	item, part := l.items[name]
	if !part {
		return ""
	}
	now := t.Time()
	if l.first.IsZero() {
		l.first = now
	}
	var what string
	switch t.To {
	case scheduler.StateRunning:
		l.started[name] = now
		what = l.action + " ..."
	case scheduler.StateSucceeded:
		what = l.action + " complete" + l.took(name, now)
	case scheduler.StateFailed, scheduler.StateTimedOut:
		if errors.Is(t.Err, resource.ErrStopped) {
			what = l.action + " cancelled" + l.took(name, now)
			break
		}
		what = l.action + " failed" + l.took(name, now) // the report afterwards says why
	case scheduler.StateCancelled:
		if t.From == scheduler.StatePending {
			return "" // the report afterwards has those
		}
		what = l.action + " cancelled" + l.took(name, now)
	default:
		return ""
	}
	return fmt.Sprintf("%7.3fs  %-*s  %-*s  %s", now.Sub(l.first).Seconds(), l.width, name, l.wide, item.Type, what)
}

func (l *lines) took(name string, now time.Time) string {
	began, ok := l.started[name]
	if !ok {
		return ""
	}
	return fmt.Sprintf(" (%v)", now.Sub(began).Round(time.Millisecond))
}

func counted(resources int) string {
	if resources == 1 {
		return "1 resource"
	}
	return fmt.Sprintf("%d resources", resources)
}
