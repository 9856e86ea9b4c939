package progress_test

import (
	"bytes"
	"strings"
	"sync"

	"github.com/charmbracelet/x/vt"
)

// screen is a terminal. It is safe for concurrent use.
type screen struct {
	mu     sync.Mutex
	term   *vt.Emulator
	width  int
	height int
	after  func(written, shown string) // called after each write, or nil
}

func newScreen(width, height int) *screen {
	s := &screen{term: vt.NewEmulator(width, height), width: width, height: height}
	s.term.Scrollback().SetMaxLines(1_000_000)
	return s
}

// Write writes as a terminal's driver does, which begins lines at their begin.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.term.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	if s.after != nil {
		s.after(string(b), s.text())
	}
	return len(b), nil
}

func (s *screen) resize(width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.width, s.height = width, height
	s.term.Resize(width, height)
}

func (s *screen) size() (width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.width, s.height
}

// String returns what is on the screen.
func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text()
}

func (s *screen) text() string { return trim(s.term.String()) }

// trim cuts blanks from the ends of lines and empty lines from the end.
func trim(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimRight(line, " \r\n"))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// all returns what has been scrolled off the screen, and what is on it.
func (s *screen) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for y := range s.term.ScrollbackLen() {
		for x := range s.width {
			if c := s.term.ScrollbackCellAt(x, y); c != nil {
				b.WriteString(c.Content)
			}
		}
		b.WriteByte('\n')
	}
	return trim(b.String() + s.term.String())
}
