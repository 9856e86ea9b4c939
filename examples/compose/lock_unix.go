//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	errUp    = errors.New("the services are up already")
	errNotUp = errors.New("the services are not up")
)

// takeLock locks a file for this process, until it calls release or ends. The system
// knows which process that is: a pid that is only written down may be somebody else's
// by now. The file is not empty until everything has ended.
func takeLock(name string) (release func() error, err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, whole())
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = errUp
	}
	if err == nil {
		_, err = f.WriteString("up\n")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { return errors.Join(f.Truncate(0), f.Close()) }, nil
}

// down asks the process that has the lock to end, and waits until it has.
func down(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return errNotUp
	}
	if err != nil {
		return err
	}
	defer f.Close()
	holder, err := holderOf(f)
	if err != nil {
		return err
	}
	if holder == 0 {
		if info, err := f.Stat(); err != nil || info.Size() > 0 {
			return fmt.Errorf("%w: the process that ran it is gone, and what it had started may be left", errNotUp)
		}
		return errNotUp
	}
	if err := syscall.Kill(holder, syscall.SIGTERM); err != nil {
		return fmt.Errorf("process %d: %w", holder, err)
	}
	for now := holder; now == holder && err == nil; now, err = holderOf(f) {
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // nobody waits for it but the user
	}
	return err
}

// holderOf returns the process that has a file locked, or 0.
func holderOf(f *os.File) (int, error) {
	l := whole()
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, l); err != nil || l.Type == unix.F_UNLCK {
		return 0, err
	}
	return int(l.Pid), nil
}

func whole() *unix.Flock_t { return &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart} }
