package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// put writes files of somebody else, and returns a check that they are as they
// were.
func put(t *testing.T, dir string, files map[string]string) (untouched func()) {
	t.Helper()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return func() {
		t.Helper()
		for name, want := range files {
			got, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Equal(t, want, string(got), name)
		}
	}
}

// TestStrangers_inTheWay: what has the name of something that the stack would
// make, or is beside it, is an error and stays as it is.
func TestStrangers_inTheWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ template, file, want string }{
		"file":          {`{type: Local::File, properties: {path: ../../x}}`, "x", "x exists, and does not belong to the stack"},
		"directory":     {`{type: Local::Directory, properties: {path: ../../x}}`, "x/y", "x exists, and does not belong to the stack"},
		"database":      {`{type: Local::SQLite, properties: {path: ../../x}}`, "x", "x exists, and does not belong to the stack"},
		"journal":       {`{type: Local::SQLite, properties: {path: ../../x}}`, "x-journal", "x-journal exists, and does not belong to the stack"},
		"write-ahead":   {`{type: Local::SQLite, properties: {path: ../../x}}`, "x-wal", "x-wal exists, and does not belong to the stack"},
		"shared memory": {`{type: Local::SQLite, properties: {path: ../../x}}`, "x-shm", "x-shm exists, and does not belong to the stack"},
		"log":           {`{type: Local::Process, properties: {command: [sleep, 3600], log: ../../x}}`, "x", "x exists, and does not belong to the stack"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			untouched := put(t, dir, map[string]string{c.file: "mine"})
			code, text := run(t, dir, "up", "-on-error", "rollback", "-template", write(t, dir, "  r: "+c.template+"\n"))
			require.Equal(t, exitFailed, code, text)
			require.Contains(t, text, c.want)
			nothingIsLeft(t, dir)
			untouched()
		})
	}
}

// TestStrangers_symlink: nothing is written through a link that has the name of
// an unfinished file.
func TestStrangers_symlink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	untouched := put(t, dir, map[string]string{"precious.txt": "mine"})
	link := filepath.Join(dir, "app.conf.unfinished")
	require.NoError(t, os.Symlink("precious.txt", link))
	up := start(t, dir, "up", "-template", write(t, dir, `
  r: {type: Local::File, properties: {path: ../../app.conf, content: from the stack}}
`))
	up.until(isUp)
	untouched()
	info, err := os.Lstat(filepath.Join(dir, "app.conf"))
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
	up.interrupt()
	require.Zero(t, up.wait())
	nothingIsLeft(t, dir)
	untouched()
	require.NoFileExists(t, filepath.Join(dir, "app.conf"))
	target, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, "precious.txt", target)
}

// TestStrangers_directory: a directory that was there before keeps all that is
// in it, and stays.
func TestStrangers_directory(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"in use":            {".gitignore": "bin/\n*.log\n", "demo/notes.txt": "mine"},
		"empty gitignore":   {".gitignore": ""},
		"somebody else's":   {"out.txt": "mine"},
		"foreign reserve":   {"demo.db-reserve2": "mine"},
		"like another file": {"demo.dbx": "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data := filepath.Join(dir, "data")
			untouched := put(t, data, files)
			up := start(t, dir, "up", "-dir", data, "-template", write(t, dir, `
  r: {type: Local::File, properties: {path: f, content: from the stack}}
`))
			up.until(isUp)
			untouched()
			up.interrupt()
			require.Zero(t, up.wait())
			untouched()
			entries, err := os.ReadDir(data)
			require.NoError(t, err)
			require.NotEmpty(t, entries)
			code, text := run(t, dir, "down", "-dir", data)
			require.Zero(t, code, text)
			untouched()
		})
	}
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		data := filepath.Join(dir, "data")
		require.NoError(t, os.MkdirAll(filepath.Join(data, "demo"), 0o755))
		code, text := run(t, dir, "up", "-dir", data, "-fail", "r", "-template", write(t, dir, "  r: {type: OS::Heat::None}\n"))
		require.Equal(t, exitFailed, code, text)
		code, text = run(t, dir, "down", "-dir", data)
		require.Zero(t, code, text)
		require.DirExists(t, filepath.Join(data, "demo"))
	})
}

// TestStrangers_state: a file that has the name of the state, but is something
// else, is not written to.
func TestStrangers_state(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "other.db")
	dir := t.TempDir()
	up := start(t, dir, "up", "-template", write(t, dir, "  r: {type: Local::SQLite, properties: {path: "+database+", schema: CREATE TABLE t (a)}}\n"))
	up.until(isUp)
	other, err := os.ReadFile(database)
	require.NoError(t, err)
	up.interrupt()
	up.wait()
	for name, text := range map[string]string{"text": "mine", "database": string(other)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			untouched := put(t, dir, map[string]string{"data/demo.db": text})
			for _, command := range []string{"up", "down", "status"} {
				code, said := run(t, dir, command, "-dir", "data")
				require.Equal(t, exitFailed, code, said)
				require.Contains(t, said, "data/demo.db: not the state of a stack")
				untouched()
			}
		})
	}
	for name, text := range map[string]string{"text for a journal": "mine", "database for a journal": string(other)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			untouched := put(t, dir, map[string]string{"data/demo.journal": text})
			for _, command := range []string{"up", "down", "status"} {
				code, said := run(t, dir, command, "-dir", "data")
				require.Equal(t, exitFailed, code, said)
				require.Contains(t, said, "data/demo.journal: the file is not a journal")
				untouched()
				require.NoFileExists(t, filepath.Join(dir, "data", "demo.db"))
			}
		})
	}
	t.Run("beside it", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		untouched := put(t, dir, map[string]string{"data/demo.db-journal": "mine"})
		code, said := run(t, dir, "up", "-dir", "data")
		require.Equal(t, exitFailed, code, said)
		require.Contains(t, said, "demo.db-journal exists, and does not belong to the stack")
		untouched()
	})
}

// TestStrangers_afterwards: what takes a name that the stack had only meant to
// use, when it was killed, is left alone by down and by up.
func TestStrangers_afterwards(t *testing.T) {
	t.Parallel()
	template := `
  f: {type: Local::File, properties: {path: ../../f, content: from the stack}}
  db: {type: Local::SQLite, properties: {path: ../../db, schema: CREATE TABLE t (a)}, depends_on: f}
  d: {type: Local::Directory, properties: {path: ../../d, purge: true}, depends_on: db}
`
	every := 1
	if testing.Short() {
		every = 4
	}
	for n := 1; n <= 14; n += every {
		for _, command := range []string{"down", "up"} {
			t.Run(fmt.Sprint(command, n), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				file := write(t, dir, template)
				first := startWith(t, dir, []string{fmt.Sprint(killVariable, "=", n)}, "up", "-template", file)
				first.untilItsEnd() // it may come up instead: one write may record several changes
				first.kill()
				mine := map[string]string{}
				for _, name := range []string{"f", "db", "d"} {
					if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
						mine[name] = "mine"
					}
				}
				if _, ok := mine["d"]; ok {
					delete(mine, "d")
					mine["d/mine"] = "mine"
				}
				untouched := put(t, dir, mine)
				args := []string{command}
				if command == "up" {
					args = append(args, "-template", file)
				}
				second := start(t, dir, args...)
				second.untilItsEnd()
				second.kill()
				untouched()
				code, text := run(t, dir, "down")
				require.Zero(t, code, text)
				untouched()
				nothingIsLeft(t, dir)
			})
		}
	}
}

// TestStrangers_inTheDirectory: what a process leaves in the stack's own directory is not the
// stack's, and is said to stay.
func TestStrangers_inTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, "up", "-template", write(t, dir, `
  p: {type: Local::Process, properties: {command: [sh, -c, "echo mine > left; exec sleep 100"]}}
`))
	p.until(isUp)
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, ".stack", "demo", "left"))
		return err == nil
	}, patience, 10*time.Millisecond)
	code, text := run(t, dir, "down")
	require.Zero(t, code, text)
	require.Zero(t, p.wait())
	require.Contains(t, p.out.String(), "Nothing of the stack is left behind. Files that it did not create stay in .stack/demo.")
	require.FileExists(t, filepath.Join(dir, ".stack", "demo", "left"))
}
