// Command supervisor keeps eight services running, as systemd or a process manager
// does:
//
//	go run ./examples/supervisor
//
// They are made up, and die now and then. The first Ctrl-C ends them, the second one
// at once.
//
// What you learn: a service says when it is ready, and those that need it start
// ([scheduler.Ready]); it is started again while they go on ([scheduler.Retry]); in the
// end each is told to end when those that need it have ended, and has a grace of its
// own. [scheduler.GroupOptions.KeepOpen] keeps the run alive until it is stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/steptask/scheduler"
)

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: supervisor    keeps eight services running until Ctrl-C") }
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := supervise(os.Stdout, simulated(), signals); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// supervise keeps services up until a signal, and tells what happens.
func supervise(w io.Writer, services []Service, signals <-chan os.Signal) error {
	s, err := New(services, &story{w: w, began: time.Now()})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for _, end := range []func(){s.Stop, s.Kill} {
			select {
			case <-signals:
				end()
			case <-ended:
				return
			}
		}
	}()
	return s.Run()
}

// story is an Observer that prints a line for what happens to services.
type story struct {
	w     io.Writer
	began time.Time
}

func (s *story) Observe(r scheduler.Record) {
	what := ""
	switch r.Kind {
	case scheduler.NodeChanged:
		what = r.To.String()
		if r.Err != nil {
			what += ": " + r.Err.Error()
		}
	case scheduler.NodeRetrying:
		what = "died: " + r.Err.Error()
	case scheduler.NodeStopping:
		what = "told to end within " + r.Took().String()
	default:
		return
	}
	fmt.Fprintf(s.w, "%5.1fs %-9s %s\n", r.Time().Sub(s.began).Seconds(), r.Key(), what)
}

// simulated returns the services of a web shop.
func simulated() []Service {
	service := func(name string, needs ...string) Service {
		return Service{Name: name, Needs: needs, Serve: pretend, Grace: 5 * time.Second, Deaths: 5}
	}
	return []Service{
		service("database"),
		service("cache"),
		service("queue"),
		service("search", "database"),
		service("api", "database", "cache", "queue"),
		service("worker", "database", "queue"),
		service("mailer", "queue"),
		service("web", "api", "search"),
	}
}

// pretend boots, serves until it is told to end or dies, and takes a moment to end.
func pretend(ctx context.Context) error {
	moment := func(atMost time.Duration) <-chan time.Time { return time.After(rand.N(atMost)) }
	select {
	case <-moment(time.Second):
	case <-scheduler.Stopping(ctx):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	scheduler.Ready(ctx)
	select {
	case <-moment(time.Minute):
		return errors.New("exit status 1")
	case <-scheduler.Stopping(ctx):
	case <-ctx.Done():
	}
	select {
	case <-moment(time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
