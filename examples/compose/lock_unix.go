//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Errors of up and down.
var (
	errUp       = errors.New("is up already")
	errNotUp    = errors.New("is not up")
	errStranger = errors.New("is locked by a stranger")
)

// lock is a file that the process which runs a project has locked. The system knows
// which process that is, and takes the lock away when it ends, however it ends: a pid
// that is only written down may be somebody else's by now.
type lock struct{ file *os.File }

// takeLock takes the lock for this process, which must not have it already.
func takeLock(name string) (*lock, error) {
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		l := &lock{f}
		switch err := l.take(); {
		case errors.Is(err, os.ErrNotExist): // it was released, and removed, in between
			_ = f.Close()
		case err != nil:
			return nil, errors.Join(err, f.Close())
		default:
			return l, nil
		}
	}
}

func (l *lock) take() error {
	err := unix.FcntlFlock(l.file.Fd(), unix.F_SETLK, whole())
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return errUp
	}
	if err != nil {
		return err
	}
	mine, err := l.file.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Stat(l.file.Name()); err != nil || !os.SameFile(now, mine) {
		return os.ErrNotExist
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

// release says that nothing is left, and gives the lock back.
func (l *lock) release() error {
	return errors.Join(l.file.Truncate(0), os.Remove(l.file.Name()), l.file.Close())
}

// endHolder asks the process that has the lock to end, and waits until it has.
func endHolder(ctx context.Context, name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return errNotUp
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	holder, err := holderOf(f)
	switch pid := strings.TrimSpace(string(text)); {
	case err != nil:
		return err
	case holder == 0 && pid != "":
		return fmt.Errorf("%w: process %s, which ran it, is gone, and what it had started may be left", errNotUp, pid)
	case holder == 0:
		return errNotUp
	case pid != strconv.Itoa(holder):
		return fmt.Errorf("%w: %s by process %d, and %q is written in it", errStranger, name, holder, pid)
	}
	if err := syscall.Kill(holder, syscall.SIGTERM); err != nil {
		return fmt.Errorf("process %d: %w", holder, err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := holderOf(f); err != nil || now != holder {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("process %d has not ended: %w", holder, context.Cause(ctx))
		}
	}
}

// holderOf returns the process that has a file locked, or 0.
func holderOf(f *os.File) (int, error) {
	l := whole()
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, l); err != nil {
		return 0, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if l.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(l.Pid), nil
}

func whole() *unix.Flock_t { return &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart} }
