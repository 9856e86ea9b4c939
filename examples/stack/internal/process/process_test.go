package process_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/stretchr/testify/require"
)

// started starts a command up to its gate. ended gets how it ended.
func started(t *testing.T, log *os.File, command ...string) (p *process.Process, ended chan error) {
	t.Helper()
	ended = make(chan error, 1)
	p, err := process.Start(process.Spec{Command: command, Env: []string{"WORD=hello"}, Log: log}, func(err error) { ended <- err })
	require.NoError(t, err)
	return p, ended
}

func logFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func TestStart(t *testing.T) {
	t.Parallel()
	log := logFile(t)
	p, ended := started(t, log, "sh", "-c", `echo "$WORD from $$"; exit 3`)
	require.True(t, p.ID.Alive())
	b, err := os.ReadFile(log.Name())
	require.NoError(t, err)
	require.Empty(t, b, "it waits at the gate")

	require.NoError(t, p.Go())
	require.EqualError(t, <-ended, "exit status 3")
	require.EqualError(t, p.Wait(t.Context()), "exit status 3")
	require.False(t, p.ID.Alive())
	b, err = os.ReadFile(log.Name())
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("hello from %d\n", p.ID.PID), string(b), "the gate and the command are one process")
}

func TestStart_abandoned(t *testing.T) {
	t.Parallel()
	p, ended := started(t, nil, "sh", "-c", "exit 0")
	p.Abandon()
	require.EqualError(t, <-ended, "exit status 127", "it never ran the command")
	require.False(t, p.ID.Alive())
}

// TestStart_starterDies: a starter that is killed before it opens the gate
// leaves no process behind.
func TestStart_starterDies(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	starter := exec.Command(self, starterArg)
	out, err := starter.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, starter.Start())
	var id process.ID
	require.NoError(t, json.NewDecoder(bufio.NewReader(out)).Decode(&id))
	require.True(t, id.Alive())
	require.NoError(t, starter.Process.Kill())
	require.Error(t, starter.Wait())
	for range waiting(t) {
		if !id.Alive() {
			break
		}
	}
}

const starterArg = "starter"

// startAndStay is a starter that does not open the gate.
func startAndStay() {
	p, err := process.Start(process.Spec{Command: []string{"sleep", "3600"}}, func(error) {})
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(p.ID); err != nil {
		panic(err)
	}
	<-make(chan int)
}

// waiting yields again and again, for a minute.
func waiting(t *testing.T) func(yield func() bool) {
	t.Helper()
	return func(yield func() bool) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		deadline := time.After(time.Minute)
		for yield() {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatal("waited in vain")
			}
		}
	}
}

// TestStart_listen hands a socket over as systemd does.
func TestStart_listen(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	defer f.Close()
	log := logFile(t)
	ended := make(chan error, 1)
	p, err := process.Start(process.Spec{
		Command: []string{"sh", "-c", `test "$LISTEN_PID" = $$ && echo "$LISTEN_FDS" && test -e /dev/fd/3`},
		Log:     log, Listen: []*os.File{f},
	}, func(err error) { ended <- err })
	require.NoError(t, err)
	require.NoError(t, p.Go())
	require.NoError(t, <-ended)
	b, err := os.ReadFile(log.Name())
	require.NoError(t, err)
	require.Equal(t, "1\n", string(b))
}

// TestSignal reaches the process and what it has started.
func TestSignal(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	p, ended := started(t, write, "sh", "-c", "sleep 3600 & echo ready; wait")
	require.NoError(t, write.Close())
	require.NoError(t, p.Go())
	line, err := bufio.NewReader(read).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	require.NoError(t, p.ID.Signal(syscall.SIGTERM))
	require.Error(t, <-ended)
	_, err = io.ReadAll(read) // ends when the last of them has ended
	require.NoError(t, err)
	require.NoError(t, p.ID.Signal(syscall.SIGTERM), "it has ended")
}

func TestID_Alive(t *testing.T) {
	t.Parallel()
	self, err := process.Self()
	require.NoError(t, err)
	require.True(t, self.Alive())
	require.False(t, process.ID{PID: self.PID, Start: "another"}.Alive(), "the pid is used again")
	require.False(t, process.ID{}.Alive())
	require.False(t, process.ID{PID: -1}.Alive())

	// A zombie: it has ended, and nobody has looked.
	cmd := exec.Command("true")
	require.NoError(t, cmd.Start())
	for range waiting(t) {
		if _, err := process.Find(cmd.Process.Pid); err != nil {
			break
		}
	}
	require.NoError(t, cmd.Wait())
}

func TestStart_fails(t *testing.T) {
	t.Parallel()
	_, err := process.Start(process.Spec{}, nil)
	require.EqualError(t, err, "no command")
	_, err = process.Start(process.Spec{Command: []string{"true"}, Dir: "/no/such/directory"}, nil)
	require.Error(t, err)
}
