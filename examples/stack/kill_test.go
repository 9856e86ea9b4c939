package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
)

// writesFile gets a byte for each write to the state.
const writesFile = "writes"

// killItself makes this process kill itself at its n-th write to the state of its
// stack, which is in two files, before that takes effect: what was done before it, is done, and all
// that is known of it is in the writes before.
func killItself(n string) {
	last, err := strconv.Atoi(n)
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	writes := 0
	sqlite.RegisterConnectionHook(func(conn sqlite.ExecQuerierContext, dsn string) error {
		if strings.Contains(dsn, "demo.db") || strings.Contains(dsn, "demo.journal") { // and not a database of the stack's
			conn.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 {
				mu.Lock()
				defer mu.Unlock()
				if writes++; writes == last {
					die()
				}
				if err := os.WriteFile(writesFile, make([]byte, writes), 0o600); err != nil {
					panic(err)
				}
				return 0
			})
		}
		return nil
	})
}

func die() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// upAndDown has a stack made and deleted, by a program that kills itself at its
// n-th write. It calls isUp once the stack is up.
func upAndDown(t *testing.T, dir string, n int, whenUp func()) *program {
	t.Helper()
	up := startWith(t, dir, []string{fmt.Sprint(killVariable, "=", n)}, "up", "-param", "services_warm_up=1ms")
	up.untilItsEnd()
	if strings.Contains(up.out.String(), isUp) {
		whenUp()
		up.interrupt()
	}
	up.wait()
	return up
}

// filesOf lists what there is in the stack's directory.
func filesOf(t *testing.T, dir string) (files []string) {
	t.Helper()
	root := filepath.Join(dir, ".stack", "demo")
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			files = append(files, strings.TrimPrefix(path, root))
		}
		return err
	}))
	return files
}

// TestKill_atEveryWrite kills the program at each write to its state, while
// it creates and while it deletes. Whichever it is, down deletes what is left; or
// else up goes on, makes nothing a second time, and can be taken down.
func TestKill_atEveryWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var files []string
	var created int
	upAndDown(t, dir, 0, func() {
		files = filesOf(t, dir)
		created = writesIn(t, dir)
	})
	nothingIsLeft(t, dir)
	writes := writesIn(t, dir)
	require.Greater(t, created, 14)
	require.Greater(t, writes, created+7)
	t.Logf("%d writes, %d of them until it is up", writes, created)
	every := killEvery
	if testing.Short() {
		every = 7
	}
	for n := 1; n <= writes; n += every {
		t.Run(fmt.Sprintf("down/%d", n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			upAndDown(t, dir, n, func() { require.Greater(t, n, writesIn(t, dir)) })
			code, text := run(t, dir, "down")
			require.Zero(t, code, text)
			nothingIsLeft(t, dir)
		})
		if n > created {
			continue // what is being deleted is not created again
		}
		t.Run(fmt.Sprintf("up/%d", n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			isCreated := false
			first := upAndDown(t, dir, n, func() { isCreated = true })
			if isCreated { // in fewer writes: one serves all that comes together
				code, text := run(t, dir, "down")
				require.Zero(t, code, text)
				nothingIsLeft(t, dir)
				return
			}
			second := start(t, dir, "up", "-param", "services_warm_up=1ms")
			second.until(isUp)
			for _, made := range createComplete.FindAllStringSubmatch(first.out.String(), -1) {
				require.NotRegexp(t, made[1]+` +\S+ +create complete`, second.out.String(), "made twice")
			}
			require.Equal(t, files, filesOf(t, dir))
			eventually(t, "the program and three services alone", func() bool { return len(processesOf(t, dir)) == 4 })
			second.interrupt()
			require.Zero(t, second.wait())
			nothingIsLeft(t, dir)
		})
	}
}

var createComplete = regexp.MustCompile(`(\S+) +\S+ +create complete`)

func writesIn(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, writesFile))
	require.NoError(t, err)
	return len(b)
}
