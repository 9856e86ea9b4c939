//go:build unix

package journal

import (
	"errors"
	"os"
	"syscall"
)

// lock locks the file for this process, without waiting. A lock of flock would not do: a
// process that is being started has the open files of this one until it has become the other
// program, and so it would have the lock, should this process be killed just then.
func lock(file *os.File) error {
	err := fcntl(file, syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK})
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return errLocked
	}
	return err
}

// isTaken reports whether another process has the lock.
func isTaken(file *os.File) (bool, error) {
	state := syscall.Flock_t{Type: syscall.F_WRLCK}
	err := fcntl(file, syscall.F_GETLK, &state)
	return state.Type != syscall.F_UNLCK, err
}

func fcntl(file *os.File, command int, state *syscall.Flock_t) error {
	for {
		err := syscall.FcntlFlock(file.Fd(), command, state)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// remove removes a locked file, and then closes it.
func remove(file *os.File) error {
	return errors.Join(os.Remove(file.Name()), file.Close())
}
