//go:build unix

package main

import (
	"bufio"
	"context"
	"io"
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
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	write.Close() //nolint:errcheck // the command has its own
	if err != nil {
		return err
	}
	if c.Started != nil {
		c.Started()
	}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		eachLine(read, c.Line)
	}()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	err = supervise(ctx, cmd.Process.Pid, ended)
	kill(cmd.Process.Pid, syscall.SIGKILL)
	_ = read.SetReadDeadline(time.Now().Add(time.Second)) // something may have left the group and print on
	<-printed
	return err
}

// supervise sends signals to a process group until its first process has ended.
func supervise(ctx context.Context, group int, ended <-chan error) error {
	stopping, over := scheduler.Stopping(ctx), ctx.Done()
	for {
		select {
		case err := <-ended:
			return err
		case <-over:
			kill(group, syscall.SIGKILL)
			stopping, over = nil, nil
		case <-stopping:
			if stopping = nil; ctx.Err() == nil {
				kill(group, syscall.SIGTERM)
			}
		}
	}
}

// kill sends a signal to a process group. There may be nothing left of it.
func kill(group int, s syscall.Signal) { _ = syscall.Kill(-group, s) }

func eachLine(r io.Reader, line func(string)) {
	lines := bufio.NewReader(r)
	for {
		text, err := lines.ReadString('\n')
		if n := len(text); n > 0 && text[n-1] == '\n' {
			text = text[:n-1]
		}
		if line != nil && (err == nil || text != "") {
			line(text)
		}
		if err != nil {
			return
		}
	}
}
