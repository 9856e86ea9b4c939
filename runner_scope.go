package scheduler

import "context"

// scoped returns the context for the task's steps. A runner inside another that
// has nothing to add needs none of its own.
func (r *TaskRunner) scoped(ctx context.Context) context.Context {
	if r.ctx.inner != nil && same(ctx, r.ctx.outer) {
		return r.ctx.inner
	}
	s := scopeOf(ctx)
	if s != nil && s.driver != nil && !r.scopes && r.deadline.kind == noDeadline && r.notice == nil {
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
func (r *TaskRunner) noticeHere() *StopError { return r.notice }

func (r *TaskRunner) limitHere() int64 {
	if r.deadline.kind == noDeadline {
		return never
	}
	return r.deadline.at
}

func (r *TaskRunner) thrownHere() error { return r.throwing }
