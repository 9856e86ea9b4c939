package timeline

import (
	"bufio"
	"encoding/json"
	"io"
	"slices"
	"time"
)

// WriteTrace writes spans in Chrome's trace event format, for Perfetto
// (ui.perfetto.dev) and chrome://tracing. Each group is a process, with as many
// threads as nodes of it ran at the same time. A service has the time after which it
// was ready among its arguments. Spans must be in the order of their
// starts. The error is that of w.
func WriteTrace(w io.Writer, spans []Span) error {
	if w == nil {
		return errNilWriter
	}
	b := bufio.NewWriter(w)
	b.WriteString(`{"displayTimeUnit":"ms","traceEvents":[`)
	groups := map[string]*lanes{}
	events := 0
	write := func(e traceEvent) {
		if events++; events > 1 {
			b.WriteString(",")
		}
		b.WriteString("\n")
		text, err := json.Marshal(e)
		if err != nil {
			panic(err) // not of strings, numbers and booleans
		}
		_, _ = b.Write(text) // Flush has the error
	}
	for _, s := range spans {
		g := groups[s.Group]
		if g == nil {
			g = &lanes{process: len(groups) + 1}
			groups[s.Group] = g
			write(traceEvent{Name: "process_name", Phase: "M", Process: g.process, Args: traceArgs{Name: s.Group}})
		}
		e := traceEvent{
			Name: s.Path, Category: s.State.String(), Phase: "X",
			Micros: micros(s.Start.Sub(spans[0].Start)), Took: micros(s.Took()),
			Process: g.process, Thread: g.place(s) + 1,
			Args: traceArgs{Task: s.Task, Notes: s.Notes.String(), Ended: ended(s), Chain: s.Chain},
		}
		if s.Chain {
			e.Color = "terrible"
		}
		if s.isService() {
			e.Args.ReadyAfter = s.ReadySince.Sub(s.Start).String()
		}
		if !s.Ready.IsZero() {
			e.Args.Waited = s.Start.Sub(s.Ready).String()
		}
		write(e)
	}
	b.WriteString("\n]}\n")
	return b.Flush()
}

// traceEvent is an event in Chrome's format: X is a span, M says something of a
// process.
type traceEvent struct {
	Name     string    `json:"name"`
	Category string    `json:"cat,omitempty"`
	Phase    string    `json:"ph"`
	Micros   float64   `json:"ts"`
	Took     float64   `json:"dur"`
	Process  int       `json:"pid"`
	Thread   int       `json:"tid"`
	Color    string    `json:"cname,omitempty"` // of a palette with such names
	Args     traceArgs `json:"args"`
}

type traceArgs struct {
	Name   string `json:"name,omitempty"`
	Task   string `json:"task,omitempty"`
	Notes  string `json:"notes,omitempty"`
	Ended  string `json:"ended,omitempty"`
	Waited string `json:"waited,omitempty"`

	ReadyAfter string `json:"readyAfter,omitempty"` // of a service
	Chain      bool   `json:"chain,omitempty"`
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// lanes are the threads of a process: spans in the same one do not overlap.
type lanes struct {
	process int
	free    []time.Time // by lane: when it is free
}

// place returns the first lane that is free for s, and takes it.
func (l *lanes) place(s Span) int {
	i := slices.IndexFunc(l.free, func(at time.Time) bool { return !at.After(s.Start) })
	if i < 0 {
		i = len(l.free)
		l.free = append(l.free, time.Time{})
	}
	l.free[i] = s.End
	return i
}
