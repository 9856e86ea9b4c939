//go:build unix

package progress_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/progress"
	"github.com/stretchr/testify/require"
)

// terminal is a real one, with a screen behind it.
type terminal struct {
	t    *testing.T
	tty  *os.File
	pty  *os.File
	s    *screen
	done chan struct{}
}

func newTerminal(t *testing.T, width, height int) *terminal {
	t.Helper()
	master, tty, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, pty.Setsize(tty, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}))
	term := &terminal{t: t, tty: tty, pty: master, s: newScreen(width, height), done: make(chan struct{})}
	go func() {
		defer close(term.done)
		_, _ = io.Copy(raw{term.s}, master) // ends with an error when the terminal is closed
	}()
	t.Cleanup(term.close)
	return term
}

func (term *terminal) close() {
	_ = term.tty.Close()
	<-term.done
	_ = term.pty.Close()
}

// raw writes to a screen what has been through the terminal's driver.
type raw struct{ s *screen }

func (r raw) Write(b []byte) (int, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.s.term.Write(b)
}

// until waits until the screen is as it should be, however long that takes.
func (term *terminal) until(what string, ok func(text string) bool) {
	term.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(time.Minute)
	for !ok(term.s.String()) {
		select {
		case <-tick.C:
		case <-timeout:
			term.t.Fatalf("waited in vain for %s; the screen shows\n%s", what, term.s)
		}
	}
}

// TestNew_on_a_terminal finds out by itself that it is one, and how large.
func TestNew_on_a_terminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	term := newTerminal(t, 50, 10)
	p := progress.New(term.tty, &progress.Options{Name: "create"})
	defer p.Close()
	end := new(scheduler.Event)
	deps := scheduler.NewDependencies[string]()
	for i := range 100 {
		deps.Add(fmt.Sprintf("node-%02d", i))
	}
	opts := &scheduler.GroupOptions[string]{Observer: p}
	group, err := scheduler.NewDependencyTaskGroup(deps, func(string) scheduler.Task { return scheduler.Pause(scheduler.On(end)) }, opts)
	require.NoError(t, err)
	done := make(chan error)
	go func() { done <- scheduler.Run(t.Context(), group, nil) }()

	term.until("the nodes", func(text string) bool {
		return strings.Contains(text, "\n node-04 ") && strings.Contains(text, "\n and 95 more running\ncreate  0 of 100  ")
	})
	require.NoError(t, pty.Setsize(term.tty, &pty.Winsize{Cols: 80, Rows: 24}))
	term.s.resize(80, 24)
	term.until("more of them", func(text string) bool {
		return strings.Contains(text, "\n node-09 ") && strings.Contains(text, "\ncreate [------------------------------]  0 of 100  ")
	})
	fmt.Fprintln(p, "a line of the program")
	end.Set()
	require.NoError(t, <-done)
	require.NoError(t, p.Close())
	term.until("the end", func(text string) bool {
		return strings.Contains(text, "a line of the program\ncreate [==============================]  100 of 100  ")
	})
}

// TestNew_elsewhere: what cannot move its cursor gets lines.
func TestNew_elsewhere(t *testing.T) {
	lines := func(w io.Writer) {
		p := progress.New(w, nil)
		p.Note("a", "line")
		require.NoError(t, p.Close())
	}
	t.Run("dumb terminal", func(t *testing.T) {
		t.Setenv("TERM", "dumb")
		term := newTerminal(t, 80, 24)
		lines(term.tty)
		term.until("the line", func(text string) bool { return text == "          a  line" })
	})
	t.Run("file", func(t *testing.T) {
		t.Setenv("TERM", "xterm")
		f, err := os.CreateTemp(t.TempDir(), "")
		require.NoError(t, err)
		lines(f)
		text, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		require.Equal(t, "          a  line\n", string(text))
		require.NoError(t, f.Close())
	})
}
