package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// ignoreFile says that nothing in the directory is for version control. Where
// it is, the directory is the stacks' own and goes with the last of them: one
// that was there before is not given one.
const (
	ignoreFile = ".gitignore"
	ignoreText = "# This directory was made by stack, and goes with the last of the stacks.\n*\n"
	defaultDir = ".stack"
)

// makeDir makes the directory of the states, unless it is there.
func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ignoreFile), []byte(ignoreText), 0o644)
}

// CleanUp removes the directory of the states if it is the stacks' own and
// nothing is in it any more. A program that was killed while it started may have
// made no more of it than that.
func CleanUp(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	isDefault := filepath.Base(dir) == defaultDir
	ignore := filepath.Join(dir, ignoreFile)
	switch {
	case err != nil:
		return err
	case len(entries) == 0 && isDefault:
		return remove(dir)
	case len(entries) != 1 || entries[0].Name() != ignoreFile:
		return nil
	}
	text, err := os.ReadFile(ignore)
	if errors.Is(err, os.ErrNotExist) { // another process cleans up as well
		return remove(dir)
	}
	isOurs := string(text) == ignoreText || isDefault && strings.HasPrefix(ignoreText, string(text))
	if err != nil || !isOurs {
		return err
	}
	return errors.Join(remove(ignore), remove(dir))
}

// remove removes a file or an empty directory, unless another process was faster,
// be it to remove it or to put something in it.
func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

// makeRoot makes the directory of the stack's own files, unless it is there, and
// keeps some room for a deletion.
func (e *Engine) makeRoot(ctx context.Context) error {
	if e.store == nil {
		return nil
	}
	if err := e.store.KeepReserve(); err != nil {
		return err
	}
	if _, err := os.Lstat(e.root()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := e.store.OwnDirectory(ctx, e.opts.Name); err != nil {
		return err
	}
	return os.Mkdir(e.root(), 0o755)
}

// removeRoot removes the directory of the stack's own files if it was made for
// the stack, unless something else is in it.
func (e *Engine) removeRoot(ctx context.Context) error {
	owns, err := e.store.OwnsDirectory(ctx, e.opts.Name)
	if err != nil || !owns {
		return err
	}
	if e.hasStrangers() {
		return nil
	}
	return remove(e.root())
}

// hasStrangers reports whether something is in the directory of the stack's own files.
// After a deletion that is none of the stack's.
func (e *Engine) hasStrangers() bool {
	if e.store == nil {
		return false
	}
	entries, _ := os.ReadDir(e.root())
	return len(entries) > 0
}
