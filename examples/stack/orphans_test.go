package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/process"
	"github.com/stretchr/testify/require"
)

// TestOrphans: a process is gone when all that it has started is: whatever has
// become of the process itself, and by whichever way it is deleted.
func TestOrphans(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"leader ends when asked":       `(trap "" TERM; exec sh -c 'echo $$ > ../../pid; exec sleep 297') & exec sleep 298`,
		"leader is gone by itself":     `(trap "" TERM; exec sh -c 'echo $$ > ../../pid; exec sleep 297') & sleep 0.2`,
		"in a group of its own":        `setsid sh -c 'trap "" TERM; echo $$ > ../../pid; exec sleep 297' & exec sleep 298`,
		"without its environment":      `(trap "" TERM; exec env -i sh -c 'echo $$ > ../../pid; exec sleep 297') & exec sleep 298`,
		"without leader, environment":  `(trap "" TERM; exec env -i sh -c 'echo $$ > ../../pid; exec sleep 297') & sleep 0.2`,
		"starts another one meanwhile": `trap 'sleep 297 & echo $! > ../../pid' TERM; echo $$ > ../../pid; while true; do sleep 0.05; done`,
	} {
		for _, way := range []string{"Ctrl-C", "killed, down", "killed, up, Ctrl-C"} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				file := write(t, dir, `
  app: {type: Local::Process, properties: {command: [sh, -c, `+strconv.Quote(command)+`], stop_grace: 0.3}}
`)
				up := start(t, dir, "up", "-template", file)
				up.until(isUp)
				first := pidIn(t, dir)
				if strings.Contains(command, "sleep 0.2") {
					up.until("ended")
				}
				switch way {
				case "Ctrl-C":
					up.interrupt()
					require.Zero(t, up.wait())
				case "killed, down":
					up.kill()
					code, text := run(t, dir, "down")
					require.Zero(t, code, text)
				case "killed, up, Ctrl-C":
					up.kill()
					up = start(t, dir, "up", "-template", file)
					up.until(isUp)
					up.interrupt()
					require.Zero(t, up.wait())
				}
				require.False(t, first.Alive())
				nothingIsLeft(t, dir)
			})
		}
	}
}

// pidIn returns the process that has written its pid into the stack's directory.
func pidIn(t *testing.T, dir string) (id process.ID) {
	t.Helper()
	file := filepath.Join(dir, "pid")
	eventually(t, "a process to say its pid", func() bool {
		text, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return false
		}
		id, err = process.Find(pid)
		return err == nil
	})
	require.NoError(t, os.Remove(file))
	return id
}

// TestOrphans_whileStarting kills up in its first moments. Down, or up again,
// leaves nothing of that.
func TestOrphans_whileStarting(t *testing.T) {
	t.Parallel()
	for n := range 12 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			up := start(t, dir, "up", "-param", "services_warm_up=1ms")
			// As soon as there is the first, second, ... file of it.
			eventually(t, "files", func() bool {
				files := 0
				_ = filepath.WalkDir(dir, func(string, os.DirEntry, error) error { files++; return nil })
				return files > n
			})
			up.kill()
			code, text := run(t, dir, "down")
			require.Zero(t, code, text)
			nothingIsLeft(t, dir)
		})
	}
}

// TestCleanUp has what a program that was killed at once may have made.
func TestCleanUp(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"nothing":        nil,
		"empty":          {".gitignore": ""},
		"half":           {".gitignore": "# This directory"},
		"ignored":        {".gitignore": "# This directory was made by stack, and goes with the last of the stacks.\n*\n"},
		"an empty state": {".gitignore": "", "demo.db": ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, ".stack"), 0o755))
			put(t, filepath.Join(dir, ".stack"), files)
			code, text := run(t, dir, "down")
			require.Zero(t, code, text)
			nothingIsLeft(t, dir)
		})
	}
}
