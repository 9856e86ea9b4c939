package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what must happen. Nothing depends on
// how much of it is needed.
const patience = time.Minute

// program is a run of the program in a process of its own.
type program struct {
	t   *testing.T
	cmd *exec.Cmd
	out *output
	end chan struct{} // closed once it has ended
}

// start starts the program with its stacks in dir.
func start(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	return startWith(t, dir, nil, args...)
}

// startWith is start with more variables in the environment.
func startWith(t *testing.T, dir string, env []string, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &program{t: t, cmd: exec.Command(self, args...), out: newOutput(), end: make(chan struct{})}
	p.cmd.Dir = dir
	// The processes that it starts are known by this directory in their
	// environment.
	p.cmd.Env = append(os.Environ(), mainVariable+"="+dir, loopbackVariable+"="+loopbackOf(dir), "GORACE=exitcode=66")
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.end)
		p.cmd.Wait() //nolint:errcheck // the exit code is looked at
		p.out.finish()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(args, " "), p.out)
		}
	})
	return p
}

// loopbackOf returns an address of this machine that no other test has: the ports of a
// program that is killed stay free there until they are taken up again. All addresses
// that begin like this are the machine's own on Linux.
func loopbackOf(dir string) string {
	if runtime.GOOS != "linux" {
		return ""
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(dir)) // never fails
	sum := hash.Sum32()
	address := fmt.Sprintf("127.%d.%d.%d", 1+sum%250, sum>>8%256, 1+sum>>16%250)
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return "" // a container may have one address only
	}
	_ = l.Close() // for ports of the program's choice
	return address
}

// run runs the program to its end and returns its exit code and output.
func run(t *testing.T, dir string, args ...string) (code int, text string) {
	t.Helper()
	p := start(t, dir, args...)
	return p.wait(), p.out.String()
}

// until waits until the output has the text.
func (p *program) until(text string) {
	p.t.Helper()
	p.untilOutput("the output "+text, func(s string) bool { return strings.Contains(s, text) })
}

// untilOutput waits until the output is as it should be.
func (p *program) untilOutput(what string, ok func(string) bool) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		text, changed, finished := p.out.state()
		if ok(text) {
			return
		}
		if finished {
			p.t.Fatalf("the program ended without %s; it said:\n%s", what, text)
		}
		select {
		case <-changed:
		case <-deadline:
			p.t.Fatalf("waited in vain for %s; it says:\n%s", what, text)
		}
	}
}

// untilItsEnd waits until the program has ended, or says that the stack is up.
func (p *program) untilItsEnd() {
	p.t.Helper()
	p.untilOutput("its end", func(s string) bool {
		_, _, finished := p.out.state()
		return finished || strings.Contains(s, isUp)
	})
}

// wait waits for the end of the program and returns its exit code.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.end:
	case <-time.After(patience):
		p.t.Fatalf("the program does not end; it says:\n%s", p.out)
	}
	return p.cmd.ProcessState.ExitCode()
}

// interrupt is Ctrl-C.
func (p *program) interrupt() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(os.Interrupt))
}

// kill is kill -9.
func (p *program) kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-p.end
}

// output is what a program says. It is safe for concurrent use.
type output struct {
	mu       sync.Mutex
	text     bytes.Buffer
	changed  chan struct{}
	finished bool
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finished = true
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *output) state() (text string, changed <-chan struct{}, finished bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed, o.finished
}

func (o *output) String() string {
	text, _, _ := o.state()
	return text
}

// nothingIsLeft checks that there is no trace of the stacks in dir: no process
// and no file. What should have gone gets a little time: a process that was
// killed is there until its parent has looked.
func nothingIsLeft(t *testing.T, dir string) {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(dir, ".stack"))
	require.NoError(t, err)
	require.Empty(t, entries, "files")
	eventually(t, "processes to end", func() bool { return len(processesOf(t, dir)) == 0 })
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("waited in vain for", what)
		}
	}
}

// processesOf finds all processes that programs of this test have started: they
// have its directory in their environment. Only Linux tells; elsewhere there
// are none.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	if runtime.GOOS != "linux" {
		return nil
	}
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	var found []string
	for _, file := range environments {
		b, err := os.ReadFile(file)
		if err == nil && bytes.Contains(b, []byte(mainVariable+"="+dir+"\x00")) {
			found = append(found, filepath.Base(filepath.Dir(file)))
		}
	}
	return found
}

// write writes a template and returns its path.
func write(t *testing.T, dir, text string) string {
	t.Helper()
	file := filepath.Join(dir, "template.yaml")
	require.NoError(t, os.WriteFile(file, []byte("heat_template_version: wallaby\nresources:\n"+text), 0o644))
	return file
}

// testdata returns the absolute path of a file of testdata.
func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	require.NoError(t, err)
	return path
}
