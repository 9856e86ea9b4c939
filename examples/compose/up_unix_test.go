//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shop has services that tell in the file "story" what they do, and in "pids" which
// processes there are. worker leaves one behind.
const shop = `
services:
  db:
    command:
      - sh
      - -c
      - |
        echo $$$$ >>pids; trap 'rm db.ready; echo db down >>story; exit 0' TERM
        sleep 0.2; echo db up >>story; touch db.ready
        while :; do sleep 0.05; done
    healthcheck: {test: [CMD, test, -e, db.ready], interval: 50ms, retries: 200}
  migrate:
    command: sh -c 'echo $$$$ >>pids; echo migrate $$SCHEMA >>story; sleep 0.1; echo migrated >>story'
    environment: {SCHEMA: shop}
    depends_on: {db: {condition: service_healthy}}
  worker:
    command:
      - sh
      - -c
      - |
        sleep 600 & echo $$! $$$$ >>pids; trap 'echo worker down >>story; exit 1' TERM
        echo worker up >>story
        while :; do sleep 0.05; done
    depends_on: {migrate: {condition: service_completed_successfully}}
    healthcheck: {test: [CMD, grep, -q, worker, story], interval: 50ms, retries: 200}
  deaf:
    command:
      - sh
      - -c
      - |
        echo $$$$ >>pids; trap 'echo deaf told >>story' TERM
        echo deaf up >>story
        while :; do sleep 0.05; done
    stop_grace_period: 300ms
    depends_on: {worker: {condition: service_healthy}}
`

// program is this program, running as another process.
type program struct {
	cmd *exec.Cmd
	out bytes.Buffer
	end func() error
}

func start(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), "BE_COMPOSE=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	require.NoError(t, p.cmd.Start())
	p.end = sync.OnceValue(p.cmd.Wait)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.end()
		for _, pid := range pids(t, dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return p
}

// shopIn writes the file of the shop to a folder, and returns that.
func shopIn(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(shop), 0o600))
	return dir
}

func read(dir, name string) string {
	text, _ := os.ReadFile(filepath.Join(dir, name))
	return string(text)
}

func pids(t *testing.T, dir string) (list []int) {
	t.Helper()
	for word := range strings.FieldsSeq(read(dir, "pids")) {
		pid, err := strconv.Atoi(word)
		require.NoError(t, err)
		list = append(list, pid)
	}
	return list
}

// requireNoOrphans: none of the processes is left, and no file.
func requireNoOrphans(t *testing.T, dir string, count int) {
	t.Helper()
	list := pids(t, dir)
	require.Len(t, list, count)
	for _, pid := range list {
		soon(t, func() bool { return !runs(pid) }) // init may not have buried it yet
	}
	require.Empty(t, read(dir, "compose.yaml.lock"))
}

// runs reports whether there is a process: a zombie has ended.
func runs(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !bytes.Contains(stat, []byte(") Z "))
}

func soon(t *testing.T, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 20*time.Second, 5*time.Millisecond)
}

const (
	storyUp   = "db up\nmigrate shop\nmigrated\nworker up\ndeaf up\n"
	storyDown = storyUp + "deaf told\nworker down\ndb down\n"
)

// down ends what up has started, from another process, in reverse.
func TestUp_and_down(t *testing.T) {
	t.Parallel()
	dir := shopIn(t)
	first := start(t, dir, "up")
	soon(t, func() bool { return read(dir, "story") == storyUp })

	second := start(t, dir, "up")
	require.Error(t, second.end())
	require.Equal(t, "the services are up already\n", second.out.String())

	down := start(t, dir, "down")
	require.NoError(t, down.end(), down.out.String())
	require.Equal(t, storyDown, read(dir, "story"))
	require.NoError(t, first.end(), first.out.String())
	requireNoOrphans(t, dir, 5)
	require.Contains(t, first.out.String(), `msg="node succeeded" group.name=services group.round=`)

	down = start(t, dir, "down")
	require.Error(t, down.end())
	require.Equal(t, "the services are not up\n", down.out.String())

	require.NoError(t, os.Remove(filepath.Join(dir, "story")))
	again := start(t, dir, "up")
	soon(t, func() bool { return strings.HasPrefix(read(dir, "story"), "db up\n") })
	require.NoError(t, again.cmd.Process.Signal(os.Interrupt))
	require.NoError(t, again.end(), again.out.String())
}

// A second Ctrl-C kills all processes.
func TestUp_killed(t *testing.T) {
	t.Parallel()
	dir := shopIn(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(strings.Replace(shop, "300ms", "10m", 1)), 0o600))
	up := start(t, dir, "-f", "compose.yaml", "up")
	soon(t, func() bool { return read(dir, "story") == storyUp })
	require.NoError(t, up.cmd.Process.Signal(os.Interrupt))
	soon(t, func() bool { return read(dir, "story") == storyUp+"deaf told\n" })
	tick := time.NewTicker(10 * time.Millisecond) // too early it is the same signal
	defer tick.Stop()
	ended := make(chan error, 1)
	go func() { ended <- up.end() }()
	for running := true; running; {
		select {
		case <-tick.C:
			_ = up.cmd.Process.Signal(os.Interrupt)
		case err := <-ended:
			require.Error(t, err)
			running = false
		case <-t.Context().Done():
			return
		}
	}
	require.True(t, strings.HasSuffix(up.out.String(), "killed\n"), up.out.String())
	require.Equal(t, storyUp+"deaf told\n", read(dir, "story"))
	requireNoOrphans(t, dir, 5)
}

// After up was killed, down says what it cannot do.
func TestDown_after_a_kill(t *testing.T) {
	t.Parallel()
	dir := shopIn(t)
	up := start(t, dir, "up")
	soon(t, func() bool { return read(dir, "story") == storyUp })
	require.NoError(t, up.cmd.Process.Kill())
	require.Error(t, up.end())
	down := start(t, dir, "down")
	require.Error(t, down.end())
	require.Equal(t, "the services are not up: the process that ran it is gone, and what it had started may be left\n", down.out.String())
}

// What a command prints is shown line by line, and what it leaves behind is killed.
func TestExecute(t *testing.T) {
	t.Parallel()
	var lines []string
	started := 0
	command := func(script string) Command {
		lines = nil
		return Command{
			Args: []string{"sh", "-c", script}, Env: []string{"WORD=hello"}, Dir: t.TempDir(),
			Started: func() { started++ }, Line: func(line string) { lines = append(lines, line) },
		}
	}
	require.EqualError(t, execute(t.Context(), command(`sleep 600 & echo "$WORD"; echo; printf end; echo >file; exit 3`)), "exit status 3")
	require.Equal(t, []string{"hello", "", "end"}, lines)
	require.Equal(t, 1, started)

	// It is killed when its context ends.
	ctx, cancel := context.WithCancel(t.Context())
	c := command(`trap '' TERM; echo up; while :; do sleep 0.05; done`)
	c.Line = func(string) { cancel() }
	require.EqualError(t, execute(ctx, c), "signal: killed")

	// One that cannot be started has not started.
	started = 0
	require.ErrorIs(t, execute(t.Context(), Command{Args: []string{"no-such-program"}, Started: func() { started++ }}), exec.ErrNotFound)
	require.Zero(t, started)

	// A line is as long as it likes.
	require.NoError(t, execute(t.Context(), command(`head -c 300000 /dev/zero | tr '\\0' x`)))
	require.Len(t, lines, 1)
	require.Len(t, lines[0], 300_000)
}

func TestCommand_refuses(t *testing.T) {
	dir := shopIn(t)
	t.Chdir(dir)
	for _, args := range [][]string{nil, {"up", "down"}, {"-x", "up"}, {"-f", "none.yaml", "up"}} {
		require.Error(t, command(args), args)
	}
	require.NoError(t, os.WriteFile("cycle.yaml", []byte("services: {a: {command: x, depends_on: [a]}}"), 0o600))
	require.ErrorContains(t, command([]string{"-f", "cycle.yaml", "up"}), "cycle.yaml: ")
	require.NoFileExists(t, "cycle.yaml.lock")
}

// The file beside this program runs.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("compose.yaml")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), text, 0o600))
	up := start(t, dir, "-profile", "monitoring", "up")
	soon(t, func() bool { return exists(filepath.Join(dir, "db.ready")) })
	down := start(t, dir, "down")
	require.NoError(t, down.end())
	require.NoError(t, up.end(), up.out.String())
	require.Contains(t, up.out.String(), "db        | shutting down\n")
	require.Empty(t, read(dir, "compose.yaml.lock"))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
