package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lock locks the file for this process, without waiting.
func lock(file *os.File) error { return lockAs(file, windows.LOCKFILE_EXCLUSIVE_LOCK) }

// isTaken reports whether another process has the lock. If none has, the file is locked,
// beside others who look, until it is closed.
func isTaken(file *os.File) (bool, error) {
	err := lockAs(file, 0)
	if errors.Is(err, errLocked) {
		return true, nil
	}
	return false, err
}

func lockAs(file *os.File, how uint32) error {
	flags := windows.LOCKFILE_FAIL_IMMEDIATELY | how
	err := windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return err
}

// remove closes a locked file. It stays, since others may have it open.
func remove(file *os.File) error { return file.Close() }
