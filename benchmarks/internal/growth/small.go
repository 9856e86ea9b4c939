package growth

import (
	"context"
	"errors"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/schedulertest"
)

// small are those of which each call costs the same: n calls.
func small() []Row {
	times := func(uses string, op func()) Row {
		return Row{Name: "n calls of what has no size: " + firstOf(uses), Uses: uses, N: 10_000, Ready: func(n int) func() {
			return func() {
				for range n {
					op()
				}
			}
		}}
	}
	var event scheduler.Event
	at := time.Unix(1e9, 0)
	y := scheduler.At(at)
	ctx := scheduler.WithClock(context.Background(), schedulertest.NewClock(at))
	late := &scheduler.LateError{Err: scheduler.ErrCancelled, Calls: []scheduler.LateCall{{Task: "call", Late: time.Second}}}
	abandoned := &scheduler.AbandonedError{Task: "call", After: time.Second}
	nested := &scheduler.NestedRunError{Outer: "outer", Inner: "inner"}
	option := &scheduler.OptionError{Option: "option", Reason: "reason"}
	added := newGroup(wide(1), nothing, nil).Add(0)
	stop := &scheduler.StopError{Cause: errFails}
	return []Row{
		times("After At Rounds On Yield.Or Yield.Ready Yield.Rounds Yield.Time Yield.In Yield.String", func() {
			z := y.Or(scheduler.After(time.Second)).Or(scheduler.Rounds(3)).Or(scheduler.On(&event))
			z.Ready()
			z.Rounds()
			_, _ = z.Time()
			_, _ = z.In(at)
			_ = y.String()
		}),
		times("Now WithClock", func() {
			scheduler.Now(ctx)
			scheduler.WithClock(ctx, schedulertest.NewClock(at))
		}),
		times("KindsOf Kinds.Has Kind.String", func() {
			_ = scheduler.KindsOf(scheduler.GroupBegun, scheduler.GroupEnded).Has(scheduler.GroupBegun)
			_ = scheduler.GroupBegun.String()
		}),
		times("State.String State.Ended", func() {
			_ = scheduler.StateRunning.String()
			_ = scheduler.StateRunning.Ended()
		}),
		times("AddError.Error AddError.Is AddError.Unwrap", func() {
			_, _, _ = added.Error(), errors.Unwrap(added), errors.Is(added, scheduler.ErrInputClosed)
		}),
		times("AbandonedError.Error AbandonedError.Returned LateCall.String LateError.Error LateError.Unwrap NestedRunError.Error OptionError.Error StopError.Error StopError.Unwrap", func() {
			_, _, _ = nested.Error(), option.Error(), stop.Error()
			_ = errors.Unwrap(stop)
			_, _ = abandoned.Error(), abandoned.Returned()
			_, _ = late.Error(), late.Unwrap()
		}),
	}
}

func firstOf(uses string) string {
	for i, r := range uses {
		if r == ' ' {
			return uses[:i]
		}
	}
	return uses
}
