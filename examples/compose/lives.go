package main

import (
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

var errExited = errors.New("it has ended")

// lives is what is known of the processes of a service, one after the other.
type lives struct {
	service *Service
	count   int             // of processes that were started
	began   time.Time       // the last one
	down    bool            // it has ended, and another one will be started
	ended   scheduler.Event // set when the last one has ended
	err     error           // how, after that

	deaths int // in a row
	pause  time.Duration
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
	if l.pause = min(2*l.pause, longestPause); l.deaths == 1 {
		l.pause = firstPause
	}
	return scheduler.After(l.pause)
}

// completed succeeds when the service has ended well.
func (l *lives) completed() scheduler.Task {
	return scheduler.Wrap(func(co *scheduler.Coroutine) error {
		if err := co.Yield(scheduler.On(&l.ended)); err != nil {
			return err
		}
		if l.err != nil {
			return errors.New("it has not ended well")
		}
		return nil
	})
}
