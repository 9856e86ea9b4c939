package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lock locks the file for this alone, or with others, without waiting.
func lock(file *os.File, alone bool) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if alone {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return err
}

// remove closes a locked file. It stays, since others may have it open.
func remove(file *os.File) error { return file.Close() }
