package timeline

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// Measures of the picture, in pixels.
const (
	rowHeight  = 18
	labelWidth = 230
	chartWidth = 900
	axisHeight = 24
	margin     = 10
	labelRunes = 34 // of a name, before it is cut
)

const style = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .tick { stroke: #d1d9e0; } .axis { fill: #59636e; }
  .succeeded { fill: #8ab4f8; } .failed, .timed-out { fill: #d1242f; }
  .cancelled, .skipped { fill: #b0b7bf; } .running, .closing { fill: #d4a72c; }
  .ready { fill: #2da44e; }
  .wait { stroke: #818b98; stroke-dasharray: 2 2; }
  .chain { stroke: #1f2328; stroke-width: 1.5; } text.chain { stroke: none; font-weight: bold; }
  .link { stroke: #1f2328; stroke-width: 1.5; fill: none; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; } text { fill: #f0f6fc; } .axis { fill: #9198a1; } .tick { stroke: #3d444d; }
    .succeeded { fill: #1f6feb; } .chain, .link { stroke: #f0f6fc; } text.chain { stroke: none; }
  }
`

// WriteSVG writes spans as a self-contained SVG picture: a row for each span, from
// its start to its end, in the order given, coloured by the state in which it ended. A
// service has a band from when it was ready.
// If a [Report] has marked the spans, a dotted line before a span is the time for
// which it was ready and waited, and the spans of the Chain are framed and joined by
// a line. The colours follow the viewer's preference for light or dark. The error is
// that of w.
func WriteSVG(w io.Writer, spans []Span) error {
	if w == nil {
		return errNilWriter
	}
	b := bufio.NewWriter(w)
	p := newPicture(b, spans)
	height := axisHeight + rowHeight*len(spans) + margin
	fmt.Fprintf(b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" role=\"img\">\n<title>Timeline</title>\n<style>%s</style>\n",
		labelWidth+chartWidth+6*margin, height, style)
	p.axis(height)
	for row, s := range spans {
		p.row(row, s)
	}
	p.chain()
	b.WriteString("</svg>\n")
	return b.Flush()
}

type picture struct {
	b     *bufio.Writer
	spans []Span
	began time.Time
	total time.Duration
}

func newPicture(b *bufio.Writer, spans []Span) *picture {
	p := &picture{b: b, spans: spans}
	for i, s := range spans {
		if i == 0 || s.Start.Before(p.began) {
			p.began = s.Start
		}
	}
	for _, s := range spans {
		p.total = max(p.total, s.End.Sub(p.began))
	}
	return p
}

// x is where an instant is.
func (p *picture) x(at time.Time) float64 {
	if p.total == 0 {
		return labelWidth
	}
	return labelWidth + chartWidth*float64(at.Sub(p.began))/float64(p.total)
}

func top(row int) int { return axisHeight + rowHeight*row }

func (p *picture) axis(height int) {
	step := tick(p.total)
	for at := time.Duration(0); at >= 0 && at <= p.total; at += step { // the sum may overflow
		x := p.x(p.began.Add(at))
		fmt.Fprintf(p.b, "<path class=\"tick\" d=\"M%.1f %dV%d\"/><text class=\"axis\" x=\"%.1f\" y=\"14\">%v</text>\n",
			x, axisHeight-4, height-margin, x+2, at)
	}
}

// tick returns a round step that gives about ten of them.
func tick(total time.Duration) time.Duration {
	const most = 12
	for unit := time.Duration(1); unit < time.Minute; unit *= 10 {
		for _, step := range []time.Duration{unit, 2 * unit, 5 * unit} {
			if total <= most*step {
				return step
			}
		}
	}
	for _, minutes := range []time.Duration{2, 5, 15, 30, 60, 2 * 60, 6 * 60, 12 * 60} {
		if step := minutes * time.Minute; total <= most*step {
			return step
		}
	}
	day := 24 * time.Hour
	return day * max(1, total/(most*day))
}

func (p *picture) row(row int, s Span) {
	y, from, to := top(row), p.x(s.Start), p.x(s.End)
	class := strings.ReplaceAll(s.State.String(), " ", "-")
	label := ""
	if s.Chain {
		class += " chain"
		label = ` class="chain"`
	}
	fmt.Fprintf(p.b, "<g><title>%s</title>", escape(p.tip(s)))
	fmt.Fprintf(p.b, "<text%s x=\"%d\" y=\"%d\">%s</text>", label, margin, y+13, escape(cut(s.Path)))
	if !s.Ready.IsZero() && s.Ready.Before(s.Start) {
		fmt.Fprintf(p.b, "<path class=\"wait\" d=\"M%.1f %dH%.1f\"/>", p.x(s.Ready), y+rowHeight/2, from)
	}
	fmt.Fprintf(p.b, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>",
		class, from, y+2, max(to-from, 1), rowHeight-4)
	if s.isService() {
		fmt.Fprintf(p.b, "<path class=\"ready\" d=\"M%.1f %dH%.1fv4H%.1fz\"/>", p.x(s.ReadySince), y+rowHeight-6, to, p.x(s.ReadySince))
	}
	p.b.WriteString("</g>\n")
}

// tip is what the picture says of a span where one points at it.
func (p *picture) tip(s Span) string {
	tip := fmt.Sprintf("%s\n%v, from %v to %v\n%s", s.Path, short(s.Took()),
		short(s.Start.Sub(p.began)), short(s.End.Sub(p.began)), ended(s))
	if s.isService() {
		tip += fmt.Sprintf("\nready from %v", short(s.ReadySince.Sub(p.began)))
	}
	if s.Task != "" {
		tip += "\n" + s.Task
	}
	return tip
}

// chain draws a line from the end of each span of the chain to the start of the
// next one, from that of a service that runs on from when it was ready. Which is next
// is told by their starts.
func (p *picture) chain() {
	before := -1
	for row, s := range p.spans {
		if !s.Chain {
			continue
		}
		if before >= 0 {
			from := p.spans[before].End
			if s.Start.Before(from) {
				from = p.spans[before].freed()
			}
			fmt.Fprintf(p.b, "<path class=\"link\" d=\"M%.1f %dV%dH%.1f\"/>\n",
				p.x(from), top(before)+rowHeight-2, top(row)+rowHeight/2, p.x(s.Start))
		}
		before = row
	}
}

func cut(name string) string {
	if runes := []rune(name); len(runes) > labelRunes {
		return "…" + string(runes[len(runes)-labelRunes+1:]) // the end of a path says more
	}
	return name
}

// escape makes text fit for XML; what XML cannot have becomes U+FFFD.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}
