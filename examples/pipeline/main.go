// Command pipeline runs the jobs of a file, as a continuous integration system does:
//
//	go run ./examples/pipeline [file]
//
// What you learn: a condition decides whether a job runs ([scheduler.GroupOptions.When]),
// a matrix is a group that grows while it runs, a job holds a runner for its command
// and not while it waits for its approval ([scheduler.Claiming]), and clean-up runs
// whatever happened, after Ctrl-C too ([scheduler.Finally], [scheduler.Reserve]).
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/steptask/scheduler/progress"
)

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: pipeline [file]    runs the jobs of a file") }
	flag.Parse()
	file := "examples/pipeline/pipeline.yaml"
	if flag.NArg() > 0 {
		file = flag.Arg(0)
	}
	if err := runFile(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runFile(file string) error {
	p, err := Load(file)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	display := progress.New(os.Stdout, &progress.Options{Name: "pipeline"})
	e := &Engine{
		Exec:     Shell,
		Print:    func(job, line string) { fmt.Fprintf(display, "%s | %s\n", job, line) },
		Observer: display,
		Grace:    20 * time.Second,
	}
	return errors.Join(e.Run(ctx, p), display.Close())
}

// Shell runs a command by sh. When ctx ends the command is interrupted, and after five
// seconds killed.
func Shell(ctx context.Context, command string, env []string, line func(string)) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	out := &lines{each: line}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	if len(out.rest) > 0 {
		line(string(out.rest))
	}
	return err
}

// lines is an io.Writer that divides what is written into lines.
type lines struct {
	each func(string)
	rest []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		l.each(string(line))
		l.rest = rest
	}
}
