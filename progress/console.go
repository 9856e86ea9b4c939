package progress

import (
	"bytes"
	"fmt"
	"io"

	"github.com/vbauerster/mpb/v8/decor"
)

// console is how mpb gets to the terminal: it draws each frame over the one
// before, in one write, so that no moment shows half of one. Only mpb's goroutine
// uses it.
type console struct {
	bytes.Buffer  // the frame
	p             *Progress
	width, height int
	drawn         int // how many lines the last frame has
}

// Escape sequences of a terminal.
const (
	beginUpdate = "\x1b[?2026h" // show nothing until the end; those that know it not ignore it
	endUpdate   = "\x1b[?2026l"
	up          = "\x1b[%dA"
	eraseLine   = "\x1b[K" // from the cursor on
	eraseBelow  = "\x1b[J"
)

// IsTerminal is what mpb asks before it draws by itself.
func (c *console) IsTerminal() bool { return true }

// GetTermSize is asked before each frame.
func (c *console) GetTermSize() (width, height int, err error) {
	c.width, c.height = c.p.size()
	return c.width, c.height, nil
}

// Fill makes the frame: the console is the one bar that mpb has.
func (c *console) Fill(w io.Writer, _ decor.Statistics) error {
	return c.p.draw(w, c.width, c.height)
}

// Flush writes the frame, and above it the lines that have come meanwhile.
func (c *console) Flush(int) error {
	defer c.Reset()
	c.p.mu.Lock()
	lines := c.p.lines.take()
	c.p.mu.Unlock()
	_, err := c.p.w.Write(c.compose(lines))
	if err != nil { // mpb draws no more
		c.p.mu.Lock()
		c.p.lines.fail(err)
		c.p.mu.Unlock()
	}
	return err
}

func (c *console) compose(lines []byte) []byte {
	out := []byte(beginUpdate + "\r") // a key may have been echoed
	if c.drawn > 0 {
		// Where a terminal that has become narrower has wrapped these lines, a
		// piece of them stays. To go up further could erase what is not ours.
		out = fmt.Appendf(out, up, c.drawn)
	}
	if len(lines) > 0 { // they may be of any width
		out = append(append(out, eraseBelow...), lines...)
	}
	c.drawn = 0
	for line := range bytes.Lines(c.Bytes()) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		out = append(append(out, line...), eraseLine+"\n"...)
		c.drawn++
	}
	return append(out, eraseBelow+endUpdate...)
}
