package resource

import (
	"context"
	"time"

	"github.com/steptask/scheduler"
)

// What tests look at from outside.
var (
	ErrEnded     = errEnded
	ReadSignal   = readSignal
	RandomString = randomString
	Succeeded    = succeeded
)

// Poll is poll.
func Poll(co *scheduler.Coroutine, every, limit time.Duration, until *scheduler.Event, ask func(context.Context) error) error {
	return poll(co, pollOptions{every: every, limit: limit, until: until}, ask)
}
