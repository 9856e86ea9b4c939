package timeline

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/steptask/scheduler"
)

var errNilWriter = &scheduler.OptionError{Option: "w", Reason: "nil Writer"}

// How many lines of each kind the text of a report has at most.
const (
	linksShown = 20
	slackShown = 10
)

// WriteTo writes the report for a person to read: the chain (of a long one the
// nodes that took longest), what a limit cost and what others would bring, and
// the other nodes that have the least slack. Control characters in keys become
// spaces. The error is that of w, or of a simulation.
func (r *Report[K]) WriteTo(w io.Writer) (int64, error) {
	r.must("WriteTo")
	if w == nil {
		return 0, errNilWriter
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d nodes in %v\n", plain(r.Name), len(r.spans), short(r.Took))
	if len(r.spans) > 0 {
		r.writeChain(&b)
		fmt.Fprintf(&b, "\nThe longest path takes %v: %s\n", short(r.LongestTook), names(r.Longest))
		if err := r.writeLimits(&b); err != nil {
			return 0, err
		}
		r.writeSlack(&b)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func (r *Report[K]) writeChain(b *strings.Builder) {
	shown := r.chainShown()
	fmt.Fprintf(b, "\nWhat made it as long as it was:\n")
	table := columns(b)
	row(table, "  at\ttook\twaited for room\tnode\n")
	for i, l := range r.Chain {
		if !shown[i] {
			continue
		}
		waited := ""
		if l.Limited {
			waited = short(l.Start - l.Ready).String()
		}
		row(table, "  %v\t%v\t%s\t%v\n", short(l.Start), short(l.End-l.Start), waited, plain(l.Key))
	}
	flush(table)
	if left := len(r.Chain) - len(shown); left > 0 {
		var took time.Duration
		for i, l := range r.Chain {
			if !shown[i] {
				took += l.End - l.Start
			}
		}
		fmt.Fprintf(b, "  and %d more between them, that took %v\n", left, short(took))
	}
}

// chainShown chooses the links that took longest.
func (r *Report[K]) chainShown() map[int]bool {
	order := make([]int, len(r.Chain))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(r.Chain[j].End-r.Chain[j].Start, r.Chain[i].End-r.Chain[i].Start)
	})
	shown := map[int]bool{}
	for _, i := range order[:min(len(order), linksShown)] {
		shown[i] = true
	}
	return shown
}

func (r *Report[K]) writeLimits(b *strings.Builder) error {
	fmt.Fprintf(b, "Something was ready and kept waiting for %v (%d %%).\n", short(r.Held), percent(r.Held, r.Took))
	fmt.Fprintf(b, "\nWith the same durations it would take:\n")
	table := columns(b)
	for limit := max(1, r.opts.Limit); ; limit *= 2 {
		took, err := r.Under(limit)
		if err != nil {
			return err
		}
		note := ""
		if limit == r.opts.Limit {
			note = "\tthe limit that it had"
		}
		row(table, "  limit %d\t%v%s\n", limit, short(took), note)
		if took <= r.LongestTook || limit >= len(r.spans) {
			break
		}
	}
	took, err := r.Under(0)
	if err != nil {
		return err
	}
	row(table, "  no limit\t%v\n", short(took))
	flush(table)
	return nil
}

func (r *Report[K]) writeSlack(b *strings.Builder) {
	longest := map[K]bool{}
	for _, k := range r.Longest {
		longest[k] = true
	}
	var others []int
	for i, k := range r.keys {
		if !longest[k] && r.up[i]+r.down[i] > 0 {
			others = append(others, i)
		}
	}
	if len(others) == 0 {
		return
	}
	slices.SortStableFunc(others, func(i, j int) int { return cmp.Compare(r.slack[i], r.slack[j]) })
	fmt.Fprintf(b, "\nWhat has the least slack beside that path:\n")
	table := columns(b)
	row(table, "  slack\ttook\tnode\n")
	for _, i := range others[:min(len(others), slackShown)] {
		row(table, "  %v\t%v\t%v\n", short(r.slack[i]), short(r.up[i]+r.down[i]), plain(r.keys[i]))
	}
	flush(table)
}

func columns(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

func row(table *tabwriter.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(table, format, args...)
}

// flush ends a table in a strings.Builder, which takes
// everything.
func flush(table *tabwriter.Writer) { _ = table.Flush() }

func percent(part, whole time.Duration) int {
	if whole <= 0 {
		return 0
	}
	return int(100 * float64(part) / float64(whole))
}

// names gives the nodes of a path, of a long one the ends.
func names[K any](path []K) string {
	var parts []string
	for i, k := range path {
		switch most := linksShown; {
		case len(path) <= most || i < most-2 || i == len(path)-1:
			parts = append(parts, plain(k))
		case i == most-2:
			parts = append(parts, fmt.Sprintf("(%d more)", len(path)-most+1))
		}
	}
	return strings.Join(parts, " > ")
}

// plain returns a key or a name with spaces in place of control characters, which
// would break a table or tell a terminal something.
func plain(name any) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, fmt.Sprint(name))
}

// short rounds a time to what a person looks at: four digits or so.
func short(d time.Duration) time.Duration {
	for unit := time.Second; unit > 1; unit /= 10 {
		if d.Abs() >= 100*unit {
			return d.Round(unit / 10)
		}
	}
	return d
}

// ended is what a picture or a trace says of how a node ended.
func ended(s Span) string {
	text := s.State.String()
	if s.State == scheduler.StateRunning {
		text = "still running"
	}
	if s.Err != nil {
		text += ": " + fmt.Sprint(s.Err) // its Error may panic
	}
	return text
}
