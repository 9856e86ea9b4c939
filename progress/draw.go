package progress

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
	"github.com/steptask/scheduler"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// What a frame is made of, in columns.
const (
	barMax  = 40 // the widest bar
	barMin  = 10 // a narrower one says nothing
	textMax = 40 // what is beside it, so that it does not change its width with that
	rowBar  = 22 // the bar of one node
	nameMax = 30 // the widest name in a column
)

// draw writes the frame for a terminal of that size, without the end of its last
// line. It leaves the last column free: what a terminal does at its edge differs.
func (p *Progress) draw(w io.Writer, width, height int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	width = max(width-1, 1)
	now := p.now()
	frame := p.rows(now, height-5) // three lines more, one for the rest, and the cursor's
	if n := p.nodes.failures(); n > 0 {
		frame = append(frame, some(" failed: ", p.nodes.failed, n, width))
	}
	if n := p.nodes.counts[scheduler.StatePending]; n > 0 && !p.nodes.over {
		frame = append(frame, some(" waiting: ", p.nodes.firstWaiting(), n, width))
	}
	frame = append(frame, p.total(now, width))
	frame = frame[max(0, len(frame)-max(height-1, 1)):]
	for i, line := range frame {
		frame[i] = runewidth.Truncate(line, width, "…")
	}
	_, err := io.WriteString(w, strings.Join(frame, "\n"))
	return err
}

// rows has a line for each of the nodes that run for longest, and one that counts
// the others.
func (p *Progress) rows(now time.Time, most int) []string {
	most = max(0, min(most, p.opts.Rows))
	var shown []*node
	name := 0
	for e := p.nodes.running.Front(); e != nil && len(shown) < most; e = e.Next() {
		n := e.Value.(*node)
		shown = append(shown, n)
		name = max(name, runewidth.StringWidth(clean(n.name)))
	}
	name = min(name, nameMax)
	var rows []string
	for _, n := range shown {
		took := now.Sub(n.began)
		row := fmt.Sprintf(" %s  %6s", fit(clean(n.name), name), short(took))
		if n.estimate > 0 {
			row += "  " + bar(rowBar, int64(n.estimate), int64(took))
		}
		if n.note != "" {
			row += "  " + clean(n.note)
		}
		rows = append(rows, row)
	}
	if more := p.nodes.running.Len() - len(shown); more > 0 {
		rows = append(rows, fmt.Sprintf(" and %d more running", more))
	}
	return rows
}

// total is the line that tells of all.
func (p *Progress) total(now time.Time, width int) string {
	ns := &p.nodes
	name := runewidth.Truncate(clean(p.opts.Name), nameMax, "…")
	text := fmt.Sprintf("  %d of %d", ns.counts[scheduler.StateSucceeded], ns.all)
	if !ns.first.IsZero() {
		text += "  " + short(now.Sub(ns.first))
	}
	if left := ns.left(now); left > 0 {
		text += "  about " + short(left) + " left"
	}
	room := min(width-runewidth.StringWidth(name)-1-textMax, barMax)
	if room < barMin {
		return runewidth.Truncate(name, max(width-runewidth.StringWidth(text), 1), "…") + text
	}
	return name + " " + bar(room, int64(ns.all), int64(ns.ended())) + text
}

// some lists as many names as there is room for, and counts the others of n.
func some(title string, names []string, n, width int) string {
	text := title
	for i, name := range names {
		name = clean(name)
		if i > 0 {
			name = ", " + name
		}
		more := ""
		if rest := n - i - 1; rest > 0 {
			more = fmt.Sprintf(" and %d more", rest)
		}
		if i > 0 && runewidth.StringWidth(text+name+more) > width {
			return text + fmt.Sprintf(" and %d more", n-i)
		}
		text += name
	}
	if rest := n - len(names); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

// bar draws current of total in that many columns.
func bar(width int, total, current int64) string {
	var b bytes.Buffer
	current = min(current, total)
	_ = mpb.BarStyle().Build().Fill(&b, decor.Statistics{ // a Buffer takes everything
		AvailableWidth: width, Total: total, Current: current, Completed: current == total,
	})
	return b.String()
}

// fit makes a text that wide, for a column.
func fit(text string, width int) string {
	return runewidth.FillRight(runewidth.Truncate(text, width, "…"), width)
}

// clean takes out of a text what would move the cursor, begin another line, or do
// anything else to a terminal: control characters, also those that are a single
// byte (which is not UTF-8), and those that change the direction of text.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, text)
}

// cleanLines is clean for a text that may have several lines. Those after the first
// are indented, so that none is taken for one of the display's own.
func cleanLines(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.Join(lines, "\n          ")
}

// short writes a time for a person, with no more digits than it has time to show.
func short(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}
