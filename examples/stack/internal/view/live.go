package view

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/engine"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Live shows on a terminal what is under way, each with a spinner and what it
// is waiting for, and below it how much is done. What has ended moves up and
// stays there as a line.
type Live struct {
	W io.Writer

	lines    *lines
	progress *mpb.Progress
	total    *mpb.Bar
	rows     map[string]*row
	done     int
}

// row is a resource that is under way. Its note is read by the goroutine that
// draws.
type row struct {
	bar  *mpb.Bar
	note atomic.Pointer[string]
}

// totalPriority puts the total below all rows.
const totalPriority = 1 << 30

// Begin starts the display.
func (l *Live) Begin(action string, items []engine.Item) {
	l.lines, l.rows, l.done = newLines(action, items), map[string]*row{}, 0
	l.progress = mpb.New(mpb.WithOutput(l.W), mpb.WithWidth(40), mpb.WithAutoRefresh())
	l.total = l.progress.New(int64(len(items)), mpb.BarStyle().Rbound("]").Lbound("["),
		mpb.BarPriority(totalPriority),
		mpb.PrependDecorators(decor.Name(action+" "), decor.CountersNoUnit("%d of %d ")),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)),
	)
}

// Observe moves the rows.
func (l *Live) Observe(t scheduler.Transition) {
	name, _ := t.Key().(string)
	line := l.lines.of(t)
	if t.To == scheduler.StateRunning && line != "" {
		l.rows[name] = l.newRow(l.lines.items[name])
		return
	}
	if r := l.rows[name]; r != nil {
		r.bar.Abort(true)
		delete(l.rows, name)
	}
	if line != "" {
		io.WriteString(l.progress, line)
	}
	if t.To == scheduler.StateSucceeded && line != "" {
		l.done++
		l.total.SetCurrent(int64(l.done))
	}
}

func (l *Live) newRow(item engine.Item) *row {
	r := &row{}
	text := fmt.Sprintf(" %-*s  %-*s  ", l.lines.width, item.Name, l.lines.wide, item.Type)
	r.bar = l.progress.New(1, mpb.SpinnerStyle().PositionLeft(),
		mpb.BarWidth(2),
		mpb.BarRemoveOnComplete(),
		mpb.AppendDecorators(
			decor.Name(text),
			decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 4}),
			decor.Any(func(decor.Statistics) string {
				if note := r.note.Load(); note != nil {
					return "  " + *note
				}
				return ""
			}),
		),
	)
	return r
}

// Note shows the text beside the resource.
func (l *Live) Note(name, text string) {
	text = strings.ReplaceAll(text, "\n", " ")
	if r := l.rows[name]; r != nil {
		r.note.Store(&text)
		return
	}
	fmt.Fprintf(l.W, "%s: %s\n", name, text)
}

// End ends the display. All goroutines that drew it are gone then.
func (l *Live) End() {
	for _, r := range l.rows {
		r.bar.Abort(true)
	}
	l.total.Abort(false)
	l.progress.Wait()
}
