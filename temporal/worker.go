package temporal

import (
	"context"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
)

// WorkerOptions returns options for a worker that runs nodes: given ones with an
// interceptor that heartbeats for each activity while it runs, and with
// heartbeats that are not held back for longer than a second
// (MaxHeartbeatThrottleInterval), unless given otherwise. So an activity that does
// nothing about it is told of a cancellation within about a second, by its
// context, and is known to be lost when its worker is.
//
// An activity that hangs goes on to heartbeat: what ends it is its
// StartToCloseTimeout.
func WorkerOptions(o worker.Options) worker.Options {
	if o.MaxHeartbeatThrottleInterval == 0 {
		o.MaxHeartbeatThrottleInterval = time.Second
	}
	o.Interceptors = append(slices.Clip(o.Interceptors), &heartbeats{})
	return o
}

// heartbeats is the interceptor.
type heartbeats struct {
	interceptor.WorkerInterceptorBase
}

// InterceptActivity is asked for each activity.
func (h *heartbeats) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &heartbeating{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type heartbeating struct {
	interceptor.ActivityInboundInterceptorBase
}

// ExecuteActivity heartbeats beside the activity, and leaves no goroutine.
func (h *heartbeating) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	if info.IsLocalActivity || info.HeartbeatTimeout == 0 {
		return h.Next.ExecuteActivity(ctx, in)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		// The SDK holds most of them back. After a cancellation they go on: the
		// activity may be cleaning up.
		ticker := time.NewTicker(min(info.HeartbeatTimeout/3, time.Second))
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	defer func() {
		close(end)
		<-ended
	}()
	return h.Next.ExecuteActivity(ctx, in)
}
