//go:build unix

package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/steptask/scheduler"
)

// execute runs a command in a process group of its own, so that a Ctrl-C in a terminal
// does not reach it, and a signal reaches all that it has started. It sends SIGTERM
// when the command is to end, and SIGKILL when ctx ends. What the command leaves behind
// is killed.
func execute(ctx context.Context, c Command) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = write, write
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signal := func(s syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, s) }
	cmd.Cancel = func() error { return signal(syscall.SIGKILL) }
	err = cmd.Start()
	write.Close() //nolint:errcheck // the command has its own
	if err != nil {
		return err
	}
	c.Started()
	ended, printed := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-scheduler.Stopping(ctx):
			if ctx.Err() == nil {
				_ = signal(syscall.SIGTERM)
			}
		case <-ended:
		}
	}()
	go func() {
		defer close(printed)
		lines := bufio.NewScanner(read)
		lines.Buffer(nil, 1<<30) // at a longer line it would stop, and the command hang
		for lines.Scan() {
			c.Line(lines.Text())
		}
	}()
	err = cmd.Wait()
	close(ended)
	_ = signal(syscall.SIGKILL)
	_ = read.SetReadDeadline(time.Now().Add(time.Second)) // something may have left the group and print on
	<-printed
	return err
}
