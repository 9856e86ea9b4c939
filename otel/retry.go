package otel

import (
	"github.com/steptask/scheduler"
	"go.opentelemetry.io/otel/trace"
)

// Retry is scheduler.Retry with an event of the node's span for each attempt
// after the first, which says why it is made.
func Retry(backoff scheduler.BackOff, task func(attempt int, last error) scheduler.Task) scheduler.Task {
	if task == nil {
		return scheduler.Retry(backoff, nil) // panics
	}
	return scheduler.Retry(backoff, func(attempt int, last error) scheduler.Task {
		next := task(attempt, last)
		if attempt == 1 || next == nil {
			return next
		}
		return scheduler.Wrap(func(co *scheduler.Coroutine) error {
			ctx := co.Context()
			trace.SpanFromContext(ctx).AddEvent(retryEvent, trace.WithTimestamp(scheduler.Now(ctx)),
				trace.WithAttributes(attemptKey.Int(attempt), causeKey.String(last.Error())))
			return co.Await(next)
		})
	})
}
