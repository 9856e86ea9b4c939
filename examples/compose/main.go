// Command compose runs the services of a compose file as processes of this machine:
//
//	go run ./examples/compose -f examples/compose/compose.yaml up
//
// Ctrl-C ends them, and so does down, in place of up, from another terminal; a second
// Ctrl-C kills them. What a file says that has no meaning without containers, or is
// not supported, is refused with an error that names the service and the key.
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
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/steptask/scheduler"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := command(os.Stdout, os.Args[1:], signals); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(w io.Writer, args []string, signals <-chan os.Signal) error {
	var profiles []string
	flags := flag.NewFlagSet("compose", flag.ContinueOnError)
	flags.SetOutput(w)
	file := flags.String("f", "compose.yaml", "the compose `file`")
	abort := flags.Bool("abort-on-container-failure", false, "end all services when one of them fails")
	flags.Func("profile", "run the services of this `profile` as well", func(name string) error {
		profiles = append(profiles, name)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch strings.Join(flags.Args(), " ") {
	case "up":
		return up(&printer{w: w}, *file, profiles, *abort, signals)
	case "down":
		return down(*file, signals)
	}
	return errors.New("usage: compose [flags] up | down")
}

func lockOf(file string) string { return file + ".lock" }

func up(p *printer, file string, profiles []string, abort bool, signals <-chan os.Signal) (err error) {
	project, err := Load(file, profiles)
	if err != nil {
		return err
	}
	e, err := New(project, Options{Exec: execute, Print: p.line, Observer: p, AbortOnFailure: abort})
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	l, err := takeLock(lockOf(file))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	defer func() { err = errors.Join(err, l.release()) }()
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

func down(file string, signals <-chan os.Signal) error {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	go func() {
		select {
		case s := <-signals:
			stop(fmt.Errorf("%v", s))
		case <-ctx.Done():
		}
	}()
	if err := endHolder(ctx, lockOf(file)); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// printer shows what services print, and as an Observer what becomes of them.
type printer struct {
	mu sync.Mutex
	w  io.Writer
}

func (p *printer) line(service, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%-9s | %s\n", service, text)
}

func (p *printer) Observe(r scheduler.Record) {
	what := ""
	switch r.Kind {
	case scheduler.NodeChanged:
		what = r.To.String()
		if r.Err != nil {
			what += ": " + r.Err.Error()
		}
	case scheduler.NodeRetrying:
		what = "ended: " + r.Err.Error() + "; it is started again"
	case scheduler.NodeStopping:
		what = "told to end within " + r.Took().String()
	default:
		return
	}
	p.line("compose", fmt.Sprintf("%v %s", r.Key(), what))
}
