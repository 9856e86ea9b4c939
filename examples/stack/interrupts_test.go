package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestInterrupts has which interrupt ends which phase.
func TestInterrupts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		apart time.Duration
		ended [2]bool // the first phase and the second
	}{
		{0, [2]bool{true, false}},
		{oneInterrupt - 1, [2]bool{true, false}},
		{oneInterrupt + 1, [2]bool{true, true}},
		{10 * oneInterrupt, [2]bool{true, true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			i := &interrupts{make(chan os.Signal, 1)}
			var ended [2]bool
			_, end := i.phase(t.Context())
			i.signals <- os.Interrupt
			time.AfterFunc(c.apart, func() { i.signals <- os.Interrupt })
			time.Sleep(c.apart) //nolint:forbidigo // in a bubble
			synctest.Wait()
			ended[0] = end()
			_, end = i.phase(t.Context())
			synctest.Wait()
			ended[1] = end()
			require.Equal(t, c.ended, ended, c.apart)
		})
	}
}

// TestInterrupt_twice: two interrupts right behind each other end as one does. On a
// busy machine they may be seconds apart.
func TestInterrupt_twice(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]os.Signal{
		{os.Interrupt, os.Interrupt}, {os.Interrupt, syscall.SIGTERM}, {syscall.SIGHUP, os.Interrupt}, {syscall.SIGTERM, syscall.SIGHUP},
	} {
		for name, c := range map[string]struct {
			warmUp, until string
			code          int
		}{
			"creating": {"1h", "0 of 1 signals", exitInterrupted},
			"up":       {"1ms", isUp, 0},
		} {
			for _, apart := range []time.Duration{0, 2 * time.Millisecond, 20 * time.Millisecond} {
				t.Run(fmt.Sprint(pair, name, apart), func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					up := startWith(t, dir, []string{interruptVariable + "=3s"}, "up", "-grace", "0", "-param", "services_warm_up="+c.warmUp)
					up.until(c.until)
					require.NoError(t, up.cmd.Process.Signal(pair[0]))
					time.Sleep(apart) //nolint:forbidigo // of two processes: there is no other clock
					require.NoError(t, up.cmd.Process.Signal(pair[1]))
					require.Equal(t, c.code, up.wait(), up.out)
					require.Contains(t, up.out.String(), "Nothing is left behind.")
					require.NotContains(t, up.out.String(), "context canceled")
					nothingIsLeft(t, dir)
				})
			}
		}
	}
}

// TestInterrupt_hangUp: SIGHUP is like Ctrl-C, and nohup's choice stays.
func TestInterrupt_hangUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	up := start(t, dir, "up", "-template", write(t, dir, "  r: {type: Local::Process, properties: {command: [sleep, 3600]}}\n"))
	up.until(isUp)
	require.NoError(t, up.cmd.Process.Signal(syscall.SIGHUP))
	require.Zero(t, up.wait())
	require.Contains(t, up.out.String(), "Nothing is left behind.")
	nothingIsLeft(t, dir)
}

// TestInterrupt_early: an interrupt in the first moments leaves nothing.
func TestInterrupt_early(t *testing.T) {
	t.Parallel()
	for n := range 8 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			up := start(t, dir, "up", "-grace", "0", "-param", "services_warm_up=1h")
			eventually(t, "files", func() bool {
				files := 0
				_ = filepath.WalkDir(dir, func(string, os.DirEntry, error) error { files++; return nil })
				return files > n+1
			})
			up.interrupt()
			require.Equal(t, exitInterrupted, up.wait(), up.out)
			nothingIsLeft(t, dir)
		})
	}
}

// TestInterrupt_deletionNotBegun: an interrupt between the phases is one of the
// next phase, which tells what is left.
func TestInterrupt_deletionNotBegun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	up := startWith(t, dir, []string{interruptVariable + "=1ms"}, "up", "-grace", "8s", "-template", write(t, dir, `
  data: {type: Local::Directory, properties: {path: data}}
  slow: {type: OS::Heat::TestResource, depends_on: data, properties: {action_wait_secs: {create: 3600}}}
`))
	up.until("slow  OS::Heat::TestResource  create ...")
	// All but the first come in the middle of the grace; one of them does also if either
	// process is seconds late.
	for range 7 {
		up.interrupt()
		time.Sleep(time.Second) //nolint:forbidigo // of two processes: there is no other clock
	}
	require.Equal(t, exitInterrupted, up.wait())
	text := up.out.String()
	require.Contains(t, text, "Left behind:")
	require.Regexp(t, `data +Local::Directory +(CREATE_COMPLETE|DELETE_IN_PROGRESS)`, text)
	require.Contains(t, text, `Another "down" continues from here.`)
	require.NotContains(t, text, "context canceled")
	code, said := run(t, dir, "down")
	require.Zero(t, code, said)
	nothingIsLeft(t, dir)
}

// TestInterrupt_nobodyReads: when nobody reads any more what it says, up still
// deletes the stack.
func TestInterrupt_nobodyReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	file := write(t, dir, "  r: {type: Local::Process, properties: {command: [sleep, 3600]}}\n")
	up := exec.Command(self, "up", "-template", file)
	up.Dir = dir
	up.Env = append(os.Environ(), mainVariable+"="+dir)
	out, err := up.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, up.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), isUp) {
			break
		}
	}
	require.NoError(t, out.Close())
	require.NoError(t, up.Process.Signal(syscall.SIGHUP))
	require.NoError(t, up.Wait())
	nothingIsLeft(t, dir)
}

// TestWatch: a process that ends while the stack is up is noticed, once, and
// made again by the next up.
func TestWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, `
  ill: {type: Local::Process, properties: {command: [sh, -c, "echo no such luck; sleep 0.1; exit 7"]}}
  well: {type: Local::Process, properties: {command: [sleep, 3600]}}
  victim: {type: Local::Process, properties: {command: [sh, -c, "echo $$ > ../../pid; exec sleep 3600"]}}
`)
	up := start(t, dir, "up", "-template", file)
	up.until(isUp)
	up.until("ended: exit status 7; its last output: no such luck")
	require.Regexp(t, `ill +the process \d+ ended`, up.out.String())
	require.NoError(t, pidIn(t, dir).Signal(syscall.SIGKILL))
	up.until("ended: signal: killed")
	eventually(t, "the record", func() bool {
		_, text := run(t, dir, "status")
		return strings.Count(text, "CHECK_FAILED") == 2
	})
	require.Equal(t, 1, strings.Count(up.out.String(), "no such luck"))
	up.kill()

	up = start(t, dir, "up", "-template", file)
	up.until(isUp)
	require.Equal(t, 2, strings.Count(up.out.String(), "will be created again"), up.out)
	up.interrupt()
	require.Zero(t, up.wait())
	nothingIsLeft(t, dir)
}

// TestWatch_adopted: a process that an earlier up started is watched too.
func TestWatch_adopted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, `
  r: {type: Local::Process, properties: {command: [sh, -c, "while ! test -e ../../end; do sleep 0.05; done; echo bye"]}}
`)
	up := start(t, dir, "up", "-template", file)
	up.until(isUp)
	up.kill()
	up = start(t, dir, "up", "-template", file)
	up.until(isUp)
	put(t, dir, map[string]string{"end": ""})
	up.until("its last output: bye")
	up.interrupt()
	require.Zero(t, up.wait())
	nothingIsLeft(t, dir)
}
