package temporal

import (
	"context"

	"go.temporal.io/sdk/workflow"

	"github.com/steptask/scheduler"
)

// Quiet returns an Observer that passes on to o everything except replayed events.
// Time stands still within a workflow task, so the step durations that o sees are
// zero. A nil o gives nil.
func Quiet(ctx workflow.Context, o scheduler.Observer) scheduler.Observer {
	mustHave(ctx, "Quiet")
	if o == nil {
		return nil
	}
	q := quiet{ctx: ctx, o: o}
	if c, ok := o.(scheduler.ContextObserver); ok {
		return quietContexts{quiet: q, contexts: c}
	}
	return q
}

// quiet is a GroupObserver and a SelectiveObserver whatever o is: to one that is
// not it does what a group would do.
type quiet struct {
	ctx workflow.Context
	o   scheduler.Observer
}

func (q quiet) Observe(r scheduler.Record) {
	if !workflow.IsReplaying(q.ctx) {
		q.o.Observe(r)
	}
}

// ObserveGroup passes the question on even if it is only replayed: what it
// returns is told the rest.
func (q quiet) ObserveGroup(begun scheduler.Record) scheduler.Observer {
	g, ok := q.o.(scheduler.GroupObserver)
	if !ok {
		if q.Wants().Has(scheduler.GroupBegun) {
			q.Observe(begun)
		}
		return Quiet(q.ctx, q.o)
	}
	if o := g.ObserveGroup(begun); o != nil {
		return Quiet(q.ctx, o)
	}
	return nil
}

func (q quiet) Wants() scheduler.Kinds {
	if s, ok := q.o.(scheduler.SelectiveObserver); ok {
		return s.Wants()
	}
	return scheduler.AllKinds
}

// quietContexts is that of a ContextObserver. Contexts are made on replay as well.
type quietContexts struct {
	quiet
	contexts scheduler.ContextObserver
}

func (q quietContexts) NodeContext(ctx context.Context, started scheduler.Record) context.Context {
	return q.contexts.NodeContext(ctx, started)
}

// Log returns an Observer that writes each transition to the workflow's log, which is
// silent on replay. Failures are warnings; everything else has level debug.
func Log(ctx workflow.Context) scheduler.Observer {
	mustHave(ctx, "Log")
	logger := workflow.GetLogger(ctx)
	return scheduler.ObserverFunc(func(t scheduler.Record) {
		fields := []any{"Node", t.Path(), "State", t.To.String(), "Round", t.Round()}
		switch t.To {
		case scheduler.StateFailed, scheduler.StateTimedOut:
			logger.Warn("Node failed", append(fields, "Error", t.Err)...)
		default:
			logger.Debug("Node", fields...)
		}
	})
}

func mustHave(ctx workflow.Context, of string) {
	if ctx == nil {
		panic("temporal: " + of + ": nil Context")
	}
}
