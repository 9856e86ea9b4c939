package resource

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/steptask/scheduler/examples/stack/internal/state"
)

// Host is what the resources of a stack share: the things that live as long as
// this program does, not in the journal. Only tasks of the run use it.
type Host struct {
	Root     string                  // where relative paths start
	Store    *state.Store            // nil in a simulation
	Recorder Recorder                // writes to the journal, or to memory
	Note     func(name, text string) // tells the user what a resource is doing; may be nil

	ports     map[int]net.Listener
	processes map[process.ID]*running
	handles   map[string]*handle
}

// running is a process that this program started.
type running struct {
	*process.Process
	ended *scheduler.Event
}

// Close gives up ports and wait condition handles. Processes go on.
func (h *Host) Close() error {
	var err error
	for _, l := range h.ports {
		err = errors.Join(err, l.Close())
	}
	for _, wait := range h.handles {
		err = errors.Join(err, wait.close())
	}
	h.ports, h.handles = nil, nil
	return err
}

// hold reserves a port of this machine.
func (h *Host) hold(port int) error {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return err
	}
	h.keep(l)
	return nil
}

// keep takes a port that is held open.
func (h *Host) keep(l net.Listener) {
	if h.ports == nil {
		h.ports = map[int]net.Listener{}
	}
	h.ports[portOf(l)] = l
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// release gives a port back, if it is held.
func (h *Host) release(port int) error {
	l := h.ports[port]
	if l == nil {
		return nil
	}
	delete(h.ports, port)
	return l.Close()
}

// hand takes a reserved port out of the reservation as a socket that a process
// can inherit: at no moment can anybody else have it.
func (h *Host) hand(port int) (*os.File, error) {
	if h.ports[port] == nil {
		// Reserved by an earlier run of this program, which is gone.
		if err := h.hold(port); err != nil {
			return nil, fmt.Errorf("the reserved port is taken: %w", err)
		}
	}
	f, err := h.ports[port].(*net.TCPListener).File()
	return f, errors.Join(err, h.release(port))
}

// Loopback is the address of this machine that its ports are of. (A variable only for
// the tests.)
var Loopback = "127.0.0.1"

func loopback(port int) string { return net.JoinHostPort(Loopback, strconv.Itoa(port)) }
