package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/steptask/scheduler"
	"github.com/vbauerster/mpb/v8"
	"golang.org/x/term"
)

// Mode says how progress is shown.
type Mode uint8

const (
	// Auto is Live on a terminal, and Plain elsewhere.
	Auto Mode = iota
	// Live is a display that changes in place.
	Live
	// Plain is a line for everything that happens.
	Plain
)

// Options are the options of a [Progress]. The zero value of each field stands
// for its default. Functions are called on the driving goroutine.
type Options struct {
	// Name is what is going on, such as "create". By default it is "run".
	Name string

	// Mode says how it is shown.
	Mode Mode

	// Rows is the largest number of running nodes that have a row each: those
	// that run for longest. By default it is 10; it is never more than the
	// terminal has room for.
	Rows int

	// Estimate returns how long the node with that key will take, or 0. It
	// makes a bar for each running node, and the time left better. It is asked
	// once for each node, when its group begins. Without it the estimates are
	// those of scheduler.GroupOptions.Estimate.
	Estimate func(key any) time.Duration

	// Line returns the line that is written for a change of a node, without its
	// end; "" is none. By default there is one for all that starts and ends, and in
	// a live display for failures only. What Line returns is written as it is,
	// with the escape sequences that are in it.
	Line func(changed scheduler.Record) string

	// Clock is that of the run, by default the system's.
	Clock scheduler.Clock
}

// Progress shows how groups are doing that have it as their
// scheduler.GroupOptions.Observer, and the groups inside them. Any number of
// groups may share one, on different goroutines too. It is made by [New] and
// ended by [Progress.Close]. What the program writes to it comes above the
// display. It is safe for concurrent use.
//
// Nodes are called by their paths. A group is shown from its first step on; its
// nodes count among the others after its end, but take no memory.
//
// Control characters in keys, errors and notes, of which escape sequences are
// made, are shown as spaces.
type Progress struct {
	w    io.Writer
	opts Options
	size func() (width, height int)

	mu     sync.Mutex // guards all below
	nodes  nodes
	lines  lines
	live   *mpb.Progress // nil: plain
	bar    *mpb.Bar
	closed bool
}

// New returns a Progress on w. nil options are the defaults. A live display is
// drawn from now on, by goroutines that end with Close.
func New(w io.Writer, opts *Options) *Progress { return newProgress(w, opts, sizeOf(w)) }

func newProgress(w io.Writer, opts *Options, size func() (width, height int)) *Progress {
	p := &Progress{w: w, size: size}
	if opts != nil {
		p.opts = *opts
	}
	if p.opts.Name == "" {
		p.opts.Name = "run"
	}
	if p.opts.Rows <= 0 {
		p.opts.Rows = 10
	}
	p.nodes.init()
	p.lines.room.L = &p.mu
	if p.opts.Mode == Live || p.opts.Mode == Auto && isTerminal(w) {
		c := &console{p: p}
		p.live = mpb.New(mpb.WithConsoleWriter(c))
		// The bar is all that is drawn; it ends when it is aborted.
		p.bar, _ = p.live.Add(0, c, mpb.BarFillerTrim()) // fails after Wait only
	}
	return p
}

// Live reports whether it is a live display.
func (p *Progress) Live() bool { return p.live != nil }

// isTerminal reports whether w is a terminal that can move its cursor.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" && takesEscapes(f)
}

// sizeOf returns a function that returns the size of a terminal, as it is then.
func sizeOf(w io.Writer) func() (width, height int) {
	return func() (width, height int) {
		if f, ok := w.(*os.File); ok {
			if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
				return width, height
			}
		}
		return 80, 24
	}
}

// show shows a change of a node, for which Options.Line has returned text.
func (p *Progress) show(n *node, r scheduler.Record, text string) {
	p.nodes.change(n, r)
	if p.opts.Line == nil && (p.live == nil || isFailure(r.To)) {
		text = p.nodes.line(n, r)
	}
	if text != "" {
		p.put([]byte(text + "\n"))
	}
}

// Note says what a running node is doing, beside it in a live display and as a
// line in a plain one, or if it is not running. path is that of
// scheduler.Record: for a group that is not inside another the key. If nodes of
// several groups have that path, the note is for the one that started last.
func (p *Progress) Note(path, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.nodes.latest(path); n != nil && p.live != nil && !p.closed {
		n.note = text
		return
	}
	p.putNote(path, text)
}

func (p *Progress) putNote(path, text string) {
	p.put(fmt.Appendf(nil, "%8s  %s  %s\n", "", runewidth.FillRight(clean(path), p.nodes.width), cleanLines(text)))
}

// Write writes lines of the program above the display. A line is shown when its
// end has come, or with Close. It returns before that; only if the terminal falls
// far behind does it wait. Its error is one of an earlier write to the terminal.
// When p is plain or closed it is that of the writer below.
func (p *Progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.live != nil && !p.closed && p.lines.full() {
		p.lines.room.Wait()
	}
	if p.live == nil || p.closed {
		return p.w.Write(b)
	}
	return p.lines.add(b)
}

// put writes what is about nodes. It never waits for the display.
func (p *Progress) put(b []byte) {
	if p.live == nil || p.closed {
		_, _ = p.w.Write(b) // who cannot be told has nobody to tell it to
		return
	}
	p.lines.insert(b)
}

// Close ends the display: it is drawn once more and stays as it is, and no
// goroutine is left. What is written later goes to the terminal at once. Close
// blocks until all is written, and returns the first error of that.
func (p *Progress) Close() error {
	if p.live == nil {
		return nil
	}
	p.mu.Lock()
	p.nodes.over = true
	p.lines.finish()
	p.mu.Unlock()
	p.bar.Abort(false)
	p.live.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		p.lines.finish() // what was written since the last frame
		if rest := p.lines.take(); len(rest) > 0 {
			_, p.lines.err = p.w.Write(rest)
		}
	}
	return p.lines.err
}

// now is by the run's clock.
func (p *Progress) now() time.Time {
	if p.opts.Clock != nil {
		return p.opts.Clock.Now()
	}
	return time.Now()
}
