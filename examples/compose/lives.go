package main

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
)

// The pause before a process is started again. It doubles with each time, until the
// process has run for a while.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Minute
	stable       = 10 * time.Second
)

var (
	errExited  = errors.New("it has ended")
	errNotWell = errors.New("it has not ended well")
)

// lives is what is known of the processes of a service, one after the other.
type lives struct {
	service *Service
	count   int             // of processes that were started
	began   time.Time       // the last one
	down    bool            // it has ended, and another one will be started
	deaths  int             // in a row
	ended   scheduler.Event // set when the last one has ended
	err     error           // how, after that
}

func (l *lives) begin() {
	l.count++
	l.began, l.down = time.Now(), false
}

func (l *lives) end(err error) {
	l.err = err
	l.ended.Set()
}

// age is how long the last process has run.
func (l *lives) age() time.Duration { return time.Since(l.began) }

// again decides what becomes of a service whose process has ended.
func (l *lives) again(_ int, err error) scheduler.Yield {
	l.down = true
	if l.age() >= stable {
		l.deaths = 0
	}
	r := l.service.Restart
	if l.deaths++; !r.OnFailure || r.Max > 0 && l.deaths > r.Max {
		return scheduler.Done
	}
	return scheduler.After(min(firstPause<<min(l.deaths-1, 30), longestPause))
}

// completed succeeds when the service has ended well.
func (l *lives) completed() scheduler.Task {
	return scheduler.Sequence(scheduler.Pause(scheduler.On(&l.ended)), scheduler.Func(func(context.Context) error {
		if l.err != nil {
			return errNotWell
		}
		return nil
	}))
}
