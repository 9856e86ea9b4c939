package scheduler

import (
	"context"
	"time"
)

// scoped returns the context for the task's steps. A runner inside another that
// has nothing to add needs none of its own.
func (r *TaskRunner) scoped(ctx context.Context) context.Context {
	if r.ctx.inner != nil && same(ctx, r.ctx.outer) {
		return r.ctx.inner
	}
	s := scopeOf(ctx)
	if s != nil && s.driver != nil && !r.scopes && !r.deadline.isSet() { // nor a notice: that comes with a deadline
		return ctx
	}
	return r.ctx.derive(ctx, func() scope {
		inner := within(s)
		inner.maker, inner.clock, inner.ownClock = r, r.clock, r.opts.Clock != nil
		if inner.driver == nil {
			inner.driver, inner.pool = r, &r.pool
		}
		if r.opts.Grace != 0 {
			inner.grace = r.grace()
		}
		if r.opts.Abandon > 0 {
			inner.abandon = r.opts.Abandon
		}
		inner.endCalls = inner.endCalls || r.opts.EndCalls
		return inner
	})
}

// noticeHere makes the runner a maker of scopes.
func (r *TaskRunner) noticeHere() *StopError { return r.ending.given() }

func (r *TaskRunner) limitHere() int64 {
	return r.deadline.end()
}

// callEndHere returns the instant at which the runner ends the contexts of calls at the
// latest. noticed says that its limit is a notice to them, after which they have the
// grace.
func (r *TaskRunner) callEndHere(noticed bool) int64 {
	if noticed {
		return r.deadline.endWith(r.grace())
	}
	return r.limitHere()
}

// stopOfRun returns the end of Run's context as it was given, and the grace that calls
// have after it; a zero time if it has none, or nobody calls Run. Any goroutine may ask.
func (r *TaskRunner) stopOfRun() (at time.Time, grace time.Duration) {
	loop := r.loop.Load()
	if loop == nil {
		return time.Time{}, 0
	}
	return loop.limit, r.grace()
}

func (r *TaskRunner) thrownHere() error { return r.ending.endsFor() }
