package proof_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/steptask/scheduler"
)

// callDelay is how long a call takes at least, each another time: none ends in the
// middle of the step that has begun it, or has told it to end, nor together with
// another. Which comes first would be up to chance. The square is for those that begin
// at other times, so that two sums of delays are different, too.
func (s *simulation) callDelay() time.Duration {
	s.blocking++
	n := time.Duration(s.blocking)
	return time.Millisecond + n*time.Microsecond + n*n
}

// blockingTask is a call that ends after some time, when it is told to, or when its
// context ends, or that is deaf to either for some time more; what it does is settled
// beforehand, as it runs on its own.
func (s *simulation) blockingTask(at simPlace) scheduler.Task {
	span, obeys, deaf, ends := s.span(), s.c.one(2), s.span()*time.Duration(s.c.pick(2)), s.c.pick(8)
	delay, err := s.callDelay(), s.err("call")
	never := s.hasAbandon && s.c.one(8)
	call := &simCall{s: s, at: at}
	s.calls = append(s.calls, call)
	return scheduler.Blocking(func(ctx context.Context) error {
		call.begin(ctx)
		defer call.end()
		if never {
			<-s.release
			return nil
		}
		stopping := scheduler.Stopping(ctx)
		if !obeys {
			stopping = nil
		}
		timer := time.NewTimer(span + delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			call.hasTime(ctx)
			return call.returns(simCallEnds(ends, err))
		case <-stopping:
			call.hasTime(ctx)
		case <-ctx.Done():
			call.ended(ctx)
		}
		time.Sleep(deaf + delay) //nolint:forbidigo // in a bubble
		if deaf == 0 {
			return nil
		}
		return call.returns(simCallEnds(ends, err))
	})
}

// simCall is what is seen of a call, from its goroutine.
type simCall struct {
	s  *simulation
	at simPlace

	mu      sync.Mutex
	live    bool
	limit   time.Time // of the run's context, when it began; zero: none
	failed  error
	context context.Context
}

func (c *simCall) begin(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live, c.context = true, ctx
	c.limit, _ = c.s.deadline()
	if limit, ok := c.s.deadline(); ok && !c.at.shielded {
		at, ok := ctx.Deadline()
		c.s.require(ok && !at.After(limit), "a call does not have the deadline of its run's context")
	}
}

func (c *simCall) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = false
}

func (c *simCall) returns(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
	return err
}

// hasTime is what holds of a context before its end: its deadline has not passed. That
// of the run's context is left out, after which the simulation stops the run itself. A
// step that takes long delays the end: what counts is when the last whole step began. A
// limit that is seen late because of one brings its grace later by as much.
func (c *simCall) hasTime(ctx context.Context) {
	stepped := time.Unix(0, c.s.stepped.Load())
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil {
		late := time.Duration(c.s.delayed.Load())
		c.s.require(!c.limit.IsZero() && at.Equal(c.limit) || !stepped.After(at.Add(late)),
			"a context has not ended in a step %v after its deadline", stepped.Sub(at))
	}
}

// ended is what holds of a context that has ended.
func (c *simCall) ended(ctx context.Context) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	<-inner.Done()
	err, cause := ctx.Err(), context.Cause(ctx)
	c.s.require(err == context.Canceled || err == context.DeadlineExceeded, "a context ended with %v", err)
	c.s.require(cause != nil && cause == context.Cause(inner) && err == inner.Err(), //nolint:errorlint // Those very ones.
		"a context ended with %v and %v, one in it with %v and %v", err, cause, inner.Err(), context.Cause(inner))
}

// finish looks for what the call has failed with, and whether it was left behind as
// one may be.
func (c *simCall) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live {
		c.s.abandoned++
		c.s.require(c.s.hasAbandon && c.context.Err() != nil, "a call was left behind")
	} else if c.failed != nil && c.at.passes && !c.at.group.panicked(c.at.node) {
		kept := errors.Join(c.at.group.g.Errors()...)
		isLeft := errors.As(kept, new(*scheduler.AbandonedError)) // then what it returned later was dropped
		c.s.require(isLeft || errors.Is(kept, c.failed), "group %d: what a call has failed with is lost: %v", c.at.group.id, c.failed)
	}
}

// runInCall is a run on the goroutine of a call, of tasks that are settled
// beforehand. What they claim is lent to them, to one after the other: that of others may
// come at the instant of an order to end.
func (s *simulation) runInCall() scheduler.Task {
	spans, delay, claims := [2]time.Duration{s.span(), s.span()}, s.callDelay(), s.claims()
	fails := s.c.one(4)
	err := s.err("in a run in a call")
	return scheduler.Claiming(claims, scheduler.Blocking(func(ctx context.Context) error {
		time.Sleep(delay) //nolint:forbidigo // in a bubble
		deps := scheduler.NewDependencies[int]()
		deps.Add(0)
		deps.Add(1)
		if len(claims) > 0 {
			deps.Add(1, 0)
		}
		task := func(k int) scheduler.Task {
			return scheduler.Wrap(func(co *scheduler.Coroutine) error {
				s.inCalls.Add(1)
				defer s.inCalls.Add(-1)
				if thrown := co.Yield(scheduler.After(spans[k])); thrown != nil || k == 0 || !fails {
					return thrown
				}
				return err
			})
		}
		g, err := scheduler.NewDependencyTaskGroup(deps, task, &scheduler.GroupOptions[int]{
			Claims: func(int) []scheduler.Claim { return claims },
		})
		if err != nil {
			return err
		}
		defer time.Sleep(delay) //nolint:forbidigo // in a bubble
		return scheduler.Run(ctx, g, &scheduler.RunnerOptions{Grace: spans[0]})
	}))
}

// walkInCall is a walk on the goroutine of a call, of calls that are settled beforehand. One
// may fail, and one may be deaf.
func (s *simulation) walkInCall(at simPlace) scheduler.Task {
	var spans, deaf [3]time.Duration
	for k := range spans {
		spans[k], deaf[k] = s.span()+s.callDelay(), s.span()*time.Duration(s.c.pick(2))+s.callDelay()
	}
	fails, serves := s.c.pick(6), s.c.one(4)
	err, delay, claims := s.err("in a walk in a call"), s.callDelay(), s.claims()
	opts := &scheduler.GroupOptions[int]{AggregateErrors: s.c.one(3), Limit: s.c.pick(3)}
	if s.c.one(2) {
		opts.Claims = func(int) []scheduler.Claim { return claims }
	} else {
		claims = nil
	}
	deps := scheduler.NewDependencies[int]()
	deps.Add(0)
	deps.Add(1)
	deps.Add(2, s.c.pick(2))
	call := &simCall{s: s, at: at}
	s.calls = append(s.calls, call)
	return scheduler.Claiming(claims, scheduler.Blocking(func(ctx context.Context) error {
		call.begin(ctx)
		defer call.end()
		time.Sleep(delay) //nolint:forbidigo // in a bubble
		walked := scheduler.Walk(ctx, deps, func(ctx context.Context, k int) error {
			s.inCalls.Add(1)
			defer s.inCalls.Add(-1)
			timer := time.NewTimer(spans[k])
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				time.Sleep(deaf[k]) //nolint:forbidigo // in a bubble
				return nil
			}
			if k == fails {
				return err
			}
			if serves && k == 0 {
				scheduler.Ready(ctx)
				<-ctx.Done()
			}
			return nil
		}, opts)
		time.Sleep(delay) //nolint:forbidigo // in a bubble
		if errors.Is(walked, err) {
			_ = call.returns(err) // a part of it
		}
		return walked
	}))
}
