//go:build unix

package process

import (
	"errors"
	"syscall"
)

// groupOfItsOwn keeps the terminal's Ctrl-C away from the new process, and lets
// one signal reach all that it starts.
func groupOfItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func signalGroup(pid int, sig syscall.Signal) error {
	err := syscall.Kill(-pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// replace makes this process the command: same pid, same start time.
func replace(path string, command, env []string) error {
	return syscall.Exec(path, command, env)
}
