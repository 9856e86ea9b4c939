package resource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steptask/scheduler"
)

var errEnded = errors.New("ended")

type pollOptions struct {
	every, limit time.Duration
	until        *scheduler.Event // ends the polling with errEnded; may be nil
}

// poll asks until there is no error. Between two questions the task is parked,
// and costs nothing. A notice to stop ends it at once: nothing is lost by not
// waiting any longer.
func poll(co *scheduler.Coroutine, o pollOptions, ask func(ctx context.Context) error) error {
	deadline := scheduler.Now(co.Context()).Add(o.limit)
	wake := scheduler.On(co.Stopping()).Or(scheduler.At(deadline))
	if o.until != nil {
		wake = wake.Or(scheduler.On(o.until))
	}
	for {
		answer := done(co, ask)
		switch {
		case answer == nil:
			return nil
		case errors.Is(answer, scheduler.ErrClosed) || errors.Is(answer, errEnded):
			return answer
		case o.until != nil && o.until.IsSet():
			return errEnded
		case co.Stopping().IsSet():
			return fmt.Errorf("%w; last answer: %w", ErrStopped, answer)
		case !scheduler.Now(co.Context()).Before(deadline):
			return fmt.Errorf("no success within %v: %w", o.limit, answer)
		}
		if err := co.Yield(wake.Or(scheduler.After(max(o.every, time.Millisecond)))); err != nil {
			return err
		}
	}
}

// ErrStopped is in the error of a resource that gave up because the run is to
// end: it did not fail, it was cancelled.
var ErrStopped = errors.New("stopped while it was waiting")
