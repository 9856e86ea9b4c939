package temporal

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
)

// WorkerOptions returns the options for a worker that runs nodes. It adds to o an
// interceptor that sends heartbeats for each running activity, and unless o sets it,
// a MaxHeartbeatThrottleInterval of one second. An activity without heartbeats of its
// own then learns of a cancellation within about a second, through its context, and
// the server notices when its worker is lost.
//
// The details of an activity's own heartbeats are kept: until the activity records
// new ones, its latest details are sent again, or those of the previous attempt.
// Details with pointers, slices or maps are encoded by the SDK's default converter
// when they are recorded, so the activity may change them afterwards.
//
// An activity that hangs continues to send heartbeats; its StartToCloseTimeout ends
// it.
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

// InterceptActivity is called for each attempt of an activity.
func (h *heartbeats) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &heartbeating{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}}
}

// heartbeating is one attempt of an activity.
type heartbeating struct {
	interceptor.ActivityInboundInterceptorBase
	details heartbeatDetails
}

// Init puts the details into the way of what the activity records.
func (h *heartbeating) Init(out interceptor.ActivityOutboundInterceptor) error {
	h.details.Next = out
	return h.Next.Init(&h.details)
}

// ExecuteActivity sends heartbeats beside the activity, and leaves no goroutine.
func (h *heartbeating) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	if info.IsLocalActivity || info.HeartbeatTimeout == 0 {
		return h.Next.ExecuteActivity(ctx, in)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		// The SDK holds most of them back. After a cancellation they continue: the
		// activity may be cleaning up.
		ticker := time.NewTicker(min(info.HeartbeatTimeout/3, time.Second))
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				h.details.repeat(ctx)
			}
		}
	}()
	defer func() {
		close(end)
		<-ended
	}()
	return h.Next.ExecuteActivity(ctx, in)
}

// heartbeatDetails is what an attempt has recorded last. Each heartbeat replaces
// the details that the server has, so one without would erase them.
type heartbeatDetails struct {
	interceptor.ActivityOutboundInterceptorBase

	mu     sync.Mutex // also orders the heartbeats themselves
	fresh  bool       // recorded since the last repetition
	read   bool       // latest is what the activity has recorded, or the attempt before
	lost   bool       // what the activity has recorded could not be copied
	latest []any
}

// RecordHeartbeat is called by the activity.
func (h *heartbeatDetails) RecordHeartbeat(ctx context.Context, details ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Next.RecordHeartbeat(ctx, details...)
	h.fresh, h.read = true, true
	var err error
	h.latest, err = frozen(details)
	h.lost = err != nil
}

// repeat sends the latest details again, unless the activity has just sent them.
// It sends nothing if these are unknown: a missing heartbeat may be made up for,
// one without details erases them.
func (h *heartbeatDetails) repeat(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fresh || h.lost {
		h.fresh = false
		return
	}
	// A panic of the user's codec must not end the process.
	defer func() {
		if v := recover(); v != nil {
			activity.GetLogger(ctx).Warn("No heartbeat: encoding its details has panicked", "Panic", v)
		}
	}()
	if !h.read {
		var err error
		if h.latest, err = h.earlier(ctx); err != nil {
			activity.GetLogger(ctx).Warn("No heartbeat: the details of the earlier attempt cannot be read", "Error", err)
			return
		}
		h.read = true
	}
	h.Next.RecordHeartbeat(ctx, h.latest...)
}

// earlier returns the details that the attempt before has left, as they are.
func (h *heartbeatDetails) earlier(ctx context.Context) ([]any, error) {
	if !h.Next.HasHeartbeatDetails(ctx) {
		return nil, nil
	}
	for n := 8; ; n *= 2 { // there is no way to ask how many they are
		values := make([]converter.RawValue, n)
		targets := make([]any, n)
		for i := range values {
			targets[i] = &values[i]
		}
		if err := h.Next.GetHeartbeatDetails(ctx, targets...); err != nil {
			return nil, err
		}
		if values[n-1].Payload() != nil {
			continue
		}
		var details []any
		for _, v := range values {
			if v.Payload() != nil {
				details = append(details, v)
			}
		}
		return details, nil
	}
}

// frozen returns details that later changes by the activity do not reach.
func frozen(details []any) ([]any, error) {
	kept := slices.Clone(details)
	for i, d := range kept {
		if d == nil || isFlat(reflect.TypeOf(d)) {
			continue
		}
		payload, err := converter.GetDefaultDataConverter().ToPayload(d)
		if err != nil {
			return nil, err
		}
		kept[i] = converter.NewRawValue(payload)
	}
	return kept, nil
}

// isFlat reports whether the values of a type refer to nothing that can change.
func isFlat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return isFlat(t.Elem())
	case reflect.Struct:
		for field := range t.Fields() {
			if !isFlat(field.Type) {
				return false
			}
		}
		return true
	default:
		return t.Kind() <= reflect.Complex128 || t.Kind() == reflect.String
	}
}
