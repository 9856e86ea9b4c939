//go:build unix

package process

import (
	"errors"
	"syscall"
)

// groupOfItsOwn keeps the terminal's Ctrl-C away from the new process, and makes
// all that it starts known by one number.
func groupOfItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func signal(pid int, sig syscall.Signal) error {
	err := syscall.Kill(pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// replace makes this process the command: same pid, same start time.
func replace(path string, command, env []string) error {
	return syscall.Exec(path, command, env)
}
