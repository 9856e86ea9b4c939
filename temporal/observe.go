package temporal

import (
	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
)

// Quiet returns an Observer that is told what o is told, but for what happened
// before and is only replayed. Time stands still within a workflow task, so the
// durations of steps that it sees are zero.
func Quiet(ctx workflow.Context, o scheduler.Observer) scheduler.Observer {
	q := quiet{ctx: ctx, o: o}
	if slow, ok := o.(scheduler.SlowStepObserver); ok {
		return quietSlow{quiet: q, slow: slow}
	}
	return q
}

type quiet struct {
	ctx workflow.Context
	o   scheduler.Observer
}

func (q quiet) Observe(t scheduler.Transition) {
	if !workflow.IsReplaying(q.ctx) {
		q.o.Observe(t)
	}
}

type quietSlow struct {
	quiet
	slow scheduler.SlowStepObserver
}

func (q quietSlow) ObserveSlowStep(s scheduler.SlowStep) {
	if !workflow.IsReplaying(q.ctx) {
		q.slow.ObserveSlowStep(s)
	}
}

// Log returns an Observer that writes each transition to the workflow's log,
// which is silent on replay: failures as warnings, the rest for debugging.
func Log(ctx workflow.Context) scheduler.Observer {
	logger := workflow.GetLogger(ctx)
	return scheduler.ObserverFunc(func(t scheduler.Transition) {
		fields := []any{"Node", t.Path(), "State", t.To.String(), "Round", t.Round()}
		switch t.To {
		case scheduler.StateFailed, scheduler.StateTimedOut:
			logger.Warn("Node failed", append(fields, "Error", t.Err)...)
		default:
			logger.Debug("Node", fields...)
		}
	})
}
