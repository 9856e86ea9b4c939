// Command compose runs the services of a compose file as processes of this machine:
//
//	go run ./examples/compose -f examples/compose/compose.yaml up
//
// Ctrl-C ends them, and so does down, in place of up, from another terminal; a second
// Ctrl-C kills them. The file is read by the parser that docker compose uses. What it
// says that has no meaning without containers, or is not supported, is refused with an
// error that names it.
//
// What you learn: a service is a node that says when it is ready ([scheduler.Ready]),
// and each further condition that others have is a node behind it: a health check, the
// end of a job. [scheduler.GroupOptions.When] decides what an optional dependency is.
// In the end each service is told to end when nothing needs it any more, and
// [scheduler.GroupOptions.GraceFor] is its stop_grace_period: SIGTERM is the notice, and
// SIGKILL the end of the context.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/steptask/scheduler"
)

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(args []string) error {
	var profiles []string
	flags := flag.NewFlagSet("compose", flag.ContinueOnError)
	file := flags.String("f", "compose.yaml", "the compose `file`")
	flags.Func("profile", "run the services of this `profile` as well", func(name string) error {
		profiles = append(profiles, name)
		return nil
	})
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: compose [flags] up | down\n\nup runs the services of a compose file as processes until Ctrl-C or down.\n\nflags:")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	switch lock := *file + ".lock"; strings.Join(flags.Args(), " ") {
	case "up":
		return up(*file, lock, profiles)
	case "down":
		return down(lock)
	}
	return errors.New("usage: compose [flags] up | down")
}

func up(file, lock string, profiles []string) (err error) {
	project, err := Load(context.Background(), file, profiles)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e, err := New(project, Options{
		Exec:     execute,
		Print:    func(service, line string) { fmt.Printf("%-9s | %s\n", service, line) },
		Observer: scheduler.NewLogObserver(log),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // until this process ends
	release, err := takeLock(lock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return runUntil(e, signals)
}

// oneSignal is how long after a signal another one counts as the same: of a key that
// bounces, or of a program that sends it to a process and to its group.
const oneSignal = 250 * time.Millisecond

// runUntil runs an engine. The first signal stops it, and the second one kills it.
func runUntil(e *Engine, signals <-chan os.Signal) error {
	ctx, kill := context.WithCancelCause(context.Background())
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		var last time.Time
		for end := e.Stop; ; {
			select {
			case <-signals:
				if time.Since(last) >= oneSignal {
					last = time.Now()
					end()
					end = func() { kill(errors.New("killed")) }
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		kill(nil)
		<-watching
	}()
	return e.Run(ctx)
}
