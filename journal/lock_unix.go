//go:build unix

package journal

import (
	"errors"
	"os"
	"syscall"
)

// lock locks the file for this alone, or with others, without waiting.
func lock(file *os.File, alone bool) error {
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	for {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errLocked
		default:
			return err
		}
	}
}

// remove removes a locked file, and then closes it.
func remove(file *os.File) error {
	return errors.Join(os.Remove(file.Name()), file.Close())
}
