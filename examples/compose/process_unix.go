//go:build unix

package main

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
	"time"

	"github.com/steptask/scheduler"
)

// runProcess is an Exec. The command has a process group of its own: a Ctrl-C in the
// terminal does not reach it, and a signal reaches all that it has started. SIGTERM asks
// it to end, SIGKILL ends it and what it leaves behind.
func runProcess(ctx context.Context, cmd *exec.Cmd, running func()) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signal := func(s syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, s) }
	cmd.Cancel = func() error { return signal(syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for the output of what it leaves behind
	if err := cmd.Start(); err != nil {
		return err
	}
	running()
	ended := make(chan struct{})
	go func() {
		select {
		case <-scheduler.Stopping(ctx):
			if ctx.Err() == nil { // or it is being killed
				_ = signal(syscall.SIGTERM)
			}
		case <-ended:
		}
	}()
	err := cmd.Wait()
	close(ended)
	_ = signal(syscall.SIGKILL)
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // the command itself has ended well
	}
	return err
}
