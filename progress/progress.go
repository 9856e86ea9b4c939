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

// Mode is a way to show progress.
type Mode uint8

const (
	// Auto is Live on a terminal and Plain elsewhere.
	Auto Mode = iota
	// Live is a display that changes in place.
	Live
	// Plain writes a line for each event.
	Plain
)

// Options are the options of a [Progress]. The zero value of each field is its
// default. Functions are called on the driving goroutine.
type Options struct {
	// Name names the operation, such as "create". The default is "run".
	Name string

	// Mode is how progress is shown.
	Mode Mode

	// Rows is the largest number of running nodes with a row of their own; those that
	// have run longest are shown. The default is 10. There are never more than fit on
	// the terminal.
	Rows int

	// Estimate returns how long the node with that key will take, or 0. Estimates
	// give each running node a bar and improve the time left. It is called once for
	// each node, when its group begins. The default is
	// scheduler.GroupOptions.Estimate.
	Estimate func(key any) time.Duration

	// Line returns the line to write for a change of a node, without its line end, or
	// "" for none. By default every start and end has a line; in a live display, only
	// failures. Line's result is written unchanged, with its escape sequences.
	Line func(changed scheduler.Record) string

	// Clock is the run's clock. The default is the system's.
	Clock scheduler.Clock
}

// Progress shows the progress of the groups that have it as their
// scheduler.GroupOptions.Observer, and of the groups inside them. Any number of
// groups may share one, on any number of goroutines. It is made by [New] and ended by
// [Progress.Close]. What the program writes to it appears above the display. It is
// safe for concurrent use. A nil *Progress shows nothing, and nothing can be written
// to it.
//
// Nodes are shown by their paths. A group is shown from its first step on; after its
// end its nodes still count in the totals, but take no memory.
//
// Control characters in keys, errors and notes are shown as spaces, so that none of
// them can send escape sequences to the terminal.
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

// New returns a Progress that writes to w. nil options are the defaults. A live
// display is drawn from now on, by goroutines that end with Close. It panics if w is nil.
func New(w io.Writer, opts *Options) *Progress {
	if w == nil {
		panic("progress: New: nil Writer")
	}
	return newProgress(w, opts, sizeOf(w))
}

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

// Live reports whether the display is live.
func (p *Progress) Live() bool { return p != nil && p.live != nil }

// must panics for a Progress that New has not made.
func (p *Progress) must(method string) {
	if p == nil || p.size == nil {
		panic("progress: Progress." + method + ": nil or zero Progress; use New")
	}
}

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

// Note sets the text that is shown beside a running node. In a plain display, or if
// the node is not running, the text is written as a line. path is the node's
// scheduler.Record.Path; in an outermost group that is its key. If nodes of several
// groups have this path, the note is for the one that started last.
func (p *Progress) Note(path, text string) {
	if p == nil {
		return
	}
	p.must("Note")
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

// Write writes lines of the program above the display. A line is shown once it is
// complete, or at Close. Write returns before that; it waits only if the terminal
// falls far behind. Its error may be from an earlier write to the terminal. If p is
// plain or closed, Write writes to the underlying writer and returns its error.
func (p *Progress) Write(b []byte) (int, error) {
	p.must("Write")
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

// Close draws the display once more and ends it; no goroutine is left. Later writes
// go straight to the terminal. Close blocks until everything is written, and returns
// the first error of a write.
func (p *Progress) Close() error {
	if !p.Live() {
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
