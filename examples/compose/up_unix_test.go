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
// processes there are. worker leaves one behind. Each has ten seconds to say that it was
// told, also on a busy machine.
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

// requireNoOrphans: none of the processes is left.
func requireNoOrphans(t *testing.T, dir string, count int) {
	t.Helper()
	list := pids(t, dir)
	require.Len(t, list, count)
	for _, pid := range list {
		soon(t, func() bool { return !runs(pid) }) // init may not have buried it yet
	}
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
	require.Eventually(t, is, time.Minute, 5*time.Millisecond)
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
	patient := shop + "    stop_grace_period: 10m\n" // of deaf
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(patient), 0o600))
	up := start(t, dir, "-f", "compose.yaml", "up")
	soon(t, func() bool { return read(dir, "story") == storyUp })
	require.NoError(t, up.cmd.Process.Signal(os.Interrupt))
	soon(t, func() bool { return read(dir, "story") == storyUp+"deaf told\n" })
	require.NoError(t, up.cmd.Process.Signal(os.Interrupt))
	require.Error(t, up.end())
	require.True(t, strings.HasSuffix(up.out.String(), "scheduler: cancelled\n"), up.out.String())
	require.Equal(t, storyUp+"deaf told\n", read(dir, "story"))
	requireNoOrphans(t, dir, 5)
}

// What a command leaves behind is killed, and holds nothing up.
func TestRunProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	process := func(ctx context.Context, script string) (*exec.Cmd, *strings.Builder) {
		cmd, out := exec.CommandContext(ctx, "sh", "-c", script), &strings.Builder{}
		cmd.Dir, cmd.Stdout = dir, out
		return cmd, out
	}
	running := 0
	cmd, out := process(t.Context(), `sleep 600 & echo $! >>pids; echo hello; exit 3`)
	require.EqualError(t, runProcess(t.Context(), cmd, func() { running++ }), "exit status 3")
	cmd, _ = process(t.Context(), `sleep 600 & echo $! >>pids`)
	require.NoError(t, runProcess(t.Context(), cmd, func() { running++ }))
	require.Equal(t, "hello\n", out.String())
	require.Equal(t, 2, running)
	requireNoOrphans(t, dir, 2)

	// It is killed when its context ends.
	ctx, cancel := context.WithCancel(t.Context())
	cmd, _ = process(ctx, `trap '' TERM; while :; do sleep 0.05; done`)
	require.EqualError(t, runProcess(ctx, cmd, cancel), "signal: killed")

	// One that cannot be started never runs.
	err := runProcess(t.Context(), exec.Command("no-such-program"), func() { running++ })
	require.ErrorIs(t, err, exec.ErrNotFound)
	require.Equal(t, 2, running)
}

func TestMain_refuses(t *testing.T) {
	t.Parallel()
	dir := shopIn(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cycle.yaml"), []byte("services: {a: {command: x, depends_on: [a]}}"), 0o600))
	for args, want := range map[string]string{
		"":                   "usage: compose ",
		"up down":            "usage: compose ",
		"-x up":              "flag provided but not defined: -x",
		"-f nowhere.yaml up": "nowhere.yaml: ",
		"-f cycle.yaml up":   "cycle.yaml: ",
	} {
		p := start(t, dir, strings.Fields(args)...)
		require.Error(t, p.end(), args)
		require.True(t, strings.HasPrefix(p.out.String(), want), p.out.String())
	}
	require.NoFileExists(t, filepath.Join(dir, "cycle.yaml.lock"))
}

// The file beside this program runs.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("compose.yaml")
	require.NoError(t, err)
	dir := t.TempDir()
	const dies = "sleep 2; exit 1" // a worker, which would be a failure: here it outlives the test
	require.Contains(t, string(text), dies)
	lasting := strings.Replace(string(text), dies, "exec sleep 600", 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(lasting), 0o600))
	up := start(t, dir, "-profile", "monitoring", "up")
	soon(t, func() bool { return exists(filepath.Join(dir, "db.ready")) })
	down := start(t, dir, "down")
	require.NoError(t, down.end())
	require.NoError(t, up.end(), up.out.String())
	require.Contains(t, up.out.String(), "db        | shutting down\n")
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
