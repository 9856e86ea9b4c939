// Command compose runs the services of a compose file as processes of this machine:
//
//	go run ./examples/compose -f examples/compose/compose.yaml up
//
// Ctrl-C ends them, and so does down, in place of up, from another terminal; a second
// Ctrl-C kills them. What the file says that has no meaning without containers, or is
// not supported, is refused with an error that names it.
//
// What you learn: a service is a node that says when it is ready ([scheduler.Ready]),
// and each further condition that others have is a node behind it: a health check, the
// end of a job. [scheduler.GroupOptions.When] decides what an optional dependency is.
// In the end each service is asked to end when nothing needs it any more, and
// [scheduler.GroupOptions.GraceFor] is its stop_grace_period: SIGTERM is the notice, and
// SIGKILL the end of the context.
//
// engine.go is all that has to be said to the scheduler about order, health, jobs and
// ends, in some 150 lines. Files are read by compose-go, the parser of docker compose;
// what is supported of them, and its defaults, are 110 lines of project.go. The command
// line with up and down takes 100, and processes take 35.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/gofrs/flock"

	"github.com/steptask/scheduler"
)

func main() {
	var profiles []string
	file := flag.String("f", "compose.yaml", "the compose `file`")
	flag.Func("profile", "run the services of this `profile` as well", func(name string) error {
		profiles = append(profiles, name)
		return nil
	})
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: compose [-f file] [-profile name]... up | down")
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	switch lock := flock.New(*file + ".lock"); strings.Join(flag.Args(), " ") {
	case "up":
		err = up(*file, profiles, lock)
	case "down":
		err = down(lock)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// up runs the services until they have ended. The first signal stops them, the second
// one kills them.
func up(file string, profiles []string, lock *flock.Flock) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // until this process ends
	project, err := load(context.Background(), file, profiles)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e, err := New(project, runProcess, scheduler.NewLogObserver(log))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if isFree, err := lock.TryLock(); !isFree {
		return errors.Join(errors.New("the services are up already"), err)
	}
	defer lock.Close()
	if err := os.WriteFile(lock.Path(), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	return runUntil(e, signals)
}

func runUntil(e *Engine, signals <-chan os.Signal) error {
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for _, end := range []func(){e.Stop, e.Kill} {
			select {
			case <-signals:
				end()
			case <-ended:
				return
			}
		}
	}()
	return e.Run()
}

// down asks the process that has the lock to end, and waits until it has.
func down(lock *flock.Flock) error {
	defer lock.Close()
	if isFree, err := lock.TryLock(); isFree || err != nil {
		return errors.Join(errors.New("the services are not up"), err)
	}
	text, err := os.ReadFile(lock.Path())
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", lock.Path(), err)
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Signal(syscall.SIGTERM)
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	return lock.Lock()
}

// output shows what a service writes, behind its name. A line that is written in parts
// is shown in parts.
type output string

func (service output) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		fmt.Printf("%-9s | %s\n", string(service), strings.TrimSuffix(line, "\n"))
	}
	return len(text), nil
}
