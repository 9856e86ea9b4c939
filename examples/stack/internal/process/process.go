// Package process starts programs in a way that survives the death of the
// starter at any moment, and finds, watches and ends them again.
//
// Between fork and the moment its pid is written down a new process is known to
// nobody: a starter killed just then would leave it behind. So the new process
// waits at a gate until it is told to go on, and ends by itself if its starter
// dies first; see [Gate].
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// ID identifies a process for as long as the machine is up: pids are used
// again, a pid together with a start time is not.
type ID struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
}

func (id ID) String() string { return fmt.Sprintf("%d@%s", id.PID, id.Start) }

// Self is the ID of this process.
func Self() (ID, error) { return Find(os.Getpid()) }

// Find returns the ID of the process that has the pid now.
func Find(pid int) (ID, error) {
	start, err := startTime(pid)
	return ID{pid, start}, err
}

// Alive reports whether the process runs: a zombie has ended.
func (id ID) Alive() bool {
	if id.PID <= 0 {
		return false
	}
	start, err := startTime(id.PID)
	return err == nil && start == id.Start
}

// Spec says what to start.
type Spec struct {
	Command []string
	Dir     string
	Env     []string   // added to the starter's own
	Log     *os.File   // takes the output
	Listen  []*os.File // sockets to hand over, as systemd does: from descriptor 3 on
}

// Process is a process that this program started.
type Process struct {
	ID   ID
	gate io.WriteCloser
	end  chan struct{} // closed once the process has ended
	err  error         // how; valid after end
}

// Adopted is a process that an earlier run of this program started. How it
// ends is not known.
func Adopted(id ID) *Process {
	end := make(chan struct{})
	close(end)
	return &Process{ID: id, end: end, err: errors.New("not known how")}
}

// gateArg is the first argument of this program when it waits at the gate.
const gateArg = "process-gate"

// Start starts what spec says, up to the gate. ended is called, on a goroutine
// of its own, when the process has ended.
func Start(spec Spec, ended func(error)) (*Process, error) {
	if len(spec.Command) == 0 {
		return nil, errors.New("no command")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	cmd := exec.Command(self, append([]string{gateArg, strconv.Itoa(len(spec.Listen))}, spec.Command...)...)
	cmd.Dir = spec.Dir
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.Stdout, cmd.Stderr = spec.Log, spec.Log
	cmd.ExtraFiles = append(append([]*os.File{}, spec.Listen...), read)
	cmd.SysProcAttr = groupOfItsOwn()
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	p := &Process{gate: write, end: make(chan struct{})}
	p.ID, err = Find(cmd.Process.Pid)
	go func() {
		p.err = cmd.Wait()
		close(p.end)
		ended(p.err)
	}()
	if err != nil {
		p.Abandon()
		return nil, fmt.Errorf("start time of process %d: %w", p.ID.PID, err)
	}
	return p, nil
}

// Go opens the gate: from here on the process runs the command.
func (p *Process) Go() error {
	_, err := p.gate.Write([]byte{1})
	return errors.Join(err, p.gate.Close())
}

// Abandon closes the gate for good: the process ends without having run the
// command. It returns when the process has ended.
func (p *Process) Abandon() {
	p.gate.Close() //nolint:errcheck // the process ends one way or the other
	<-p.end
}

// Wait waits until the process has ended, and returns how: nil, or an
// *exec.ExitError.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.end:
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// NeverLetGo is what a process says whose starter dies before it opens the gate.
const NeverLetGo = "the starter went away\n"

// Gate is the other side of [Start]: main calls it first of all. If this process
// is one that waits at the gate, Gate does not return.
func Gate() {
	if len(os.Args) < 4 || os.Args[1] != gateArg {
		return
	}
	if err := passGate(os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(127)
	}
	os.Exit(0)
}

func passGate(sockets string, command []string) error {
	n, err := strconv.Atoi(sockets)
	if err != nil {
		return err
	}
	gate := os.NewFile(uintptr(3+n), "gate")
	if _, err := io.ReadFull(gate, make([]byte, 1)); err != nil {
		return errors.New(strings.TrimSpace(NeverLetGo))
	}
	if err := gate.Close(); err != nil {
		return err
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	self, err := Self()
	if err != nil {
		return err
	}
	return replace(path, command, append(environment(n), self.mark()))
}

// environment is this process's own, with what tells of n sockets handed over:
// https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html.
func environment(n int) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LISTEN_") && !strings.HasPrefix(e, markVariable+"=") {
			env = append(env, e)
		}
	}
	if n > 0 {
		env = append(env, fmt.Sprintf("LISTEN_PID=%d", os.Getpid()), fmt.Sprintf("LISTEN_FDS=%d", n))
	}
	return env
}

// Interrupt asks the process alone to end, as Ctrl-C does. There is no error if
// it has ended.
func (id ID) Interrupt() error {
	p, err := os.FindProcess(id.PID)
	if err != nil || !id.Alive() {
		return nil
	}
	return p.Signal(syscall.SIGTERM)
}
