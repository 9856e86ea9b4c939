package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// oneInterrupt is how long after an interrupt another one counts as the same:
// a key that bounces, or a shell and a user who end the program both. (A variable only
// for the tests.)
var oneInterrupt = 250 * time.Millisecond

// interrupts takes Ctrl-C, SIGTERM and SIGHUP for the phases of a command.
type interrupts struct{ signals chan os.Signal }

func catchInterrupts() *interrupts {
	i := &interrupts{make(chan os.Signal, 1)}
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(i.signals, syscall.SIGHUP)
	}
	// When nobody reads any more what the program says, it still has to finish.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return i
}

// phase returns a context that the next interrupt ends. Each phase of a command
// has one of its own: an interrupt ends the phase that is under way, or the next
// one if it comes between two. end says whether the phase was interrupted; it
// waits until further interrupts are no longer the same one.
func (i *interrupts) phase(ctx context.Context) (_ context.Context, end func() bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	watching := make(chan struct{})
	interrupted := false
	go func() {
		defer close(watching)
		select {
		case sig := <-i.signals:
			interrupted = true
			cancel(fmt.Errorf("%w: %v", errInterrupted, sig))
			i.swallow()
		case <-ctx.Done():
		}
	}()
	return ctx, func() bool {
		cancel(nil)
		<-watching
		return interrupted
	}
}

// swallow drops the interrupts that are the same as the last one.
func (i *interrupts) swallow() {
	same := time.NewTimer(oneInterrupt)
	defer same.Stop()
	for {
		select {
		case <-i.signals:
		case <-same.C:
			select {
			case <-i.signals: // it had come before this goroutine had its turn
			default:
			}
			return
		}
	}
}
