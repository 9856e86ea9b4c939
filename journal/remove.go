package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Remove removes the journal at path and the files beside it that belong to it. It
// returns nil if there is none. No process may have the file open; if a run is open,
// the error is a [*FileError] that wraps [ErrHeld], and nothing is removed.
//
// The file at path is removed last, so after a crash Remove can be called again.
func Remove(path string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	locks, err := locksOf(path)
	if err != nil {
		return fileError(path, err)
	}
	err = func() error {
		for _, file := range []string{path + "-journal", path + "-shm", path + "-wal", path} {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}()
	return fileError(path, errors.Join(err, releaseAll(locks)))
}

// locksOf takes the locks of all runs that were ever open and whose process has died.
func locksOf(path string) (locks []*fileLock, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	for _, entry := range entries {
		run, ours := strings.CutPrefix(entry.Name(), filepath.Base(path)+".")
		run, isLock := strings.CutSuffix(run, ".lock")
		if !ours || !isLock || len(run) != lockDigits || strings.Trim(run, "0123456789abcdef") != "" {
			continue
		}
		lock, err := acquire(filepath.Join(filepath.Dir(path), entry.Name()))
		if errors.Is(err, errLocked) {
			err = ErrHeld
		}
		if err != nil {
			return nil, errors.Join(err, releaseAll(locks))
		}
		locks = append(locks, lock)
	}
	return locks, nil
}

func releaseAll(locks []*fileLock) (err error) {
	for _, lock := range locks {
		err = errors.Join(err, lock.release())
	}
	return err
}
