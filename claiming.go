package scheduler

import (
	"context"
	"slices"

	"github.com/steptask/scheduler/internal/claims"
)

// Claiming returns a [Task] that waits for claims, runs task while it holds them, and
// then releases them. It limits a part of what a node does, such as one request
// instead of the ten minutes of polling that follow. In a coroutine, give it to
// [Coroutine.Await].
//
// The claims wait in the same line as those of nodes, and are lent to what runs
// inside: see [Limiter]. Outside of a group no [DeadlockError] is found.
//
// A notice is passed on once task has started. An error thrown in, a timeout or Close
// ends the waiting, and task never starts. The claims are released when task has
// ended or its Close has returned. Invalid claims fail the task with an
// [*OptionError].
func Claiming(claims []Claim, task Task) Task {
	mustHaveTask(task, "Claiming")
	return &claiming{given: slices.Clone(claims), task: task}
}

type claiming struct {
	given []Claim
	task  Task
	phase claimingPhase

	group  *engine // around it, or nil, and its node there
	node   int32
	merged []Claim
	ticket *claims.Ticket
	served Event
	held   *claims.Holding
	notice *StopError // that came before task was started
	scope  scopeCache
}

type claimingPhase uint8

const (
	claimingFresh claimingPhase = iota
	claimingWaits
	claimingHolds // task has started
	claimingEnded
)

// Step waits for the claims, and then steps the task.
func (c *claiming) Step(ctx context.Context) (Yield, error) {
	switch c.phase {
	case claimingEnded:
		return Yield{}, &namedError{c.String(), ErrEnded}
	case claimingFresh:
		if err := c.ask(ctx); err != nil {
			return Yield{}, err
		}
	case claimingWaits, claimingHolds:
	}
	if c.phase == claimingHolds {
		return c.inside(ctx, stepTask)
	}
	c.served.Reset()
	clock := clockOf(ctx)
	now, ahead := limiterTime(clock)
	h, at := c.ticket.Take(c.node, now)
	switch {
	case h != nil:
		c.phase, c.held = claimingHolds, h
		return c.start(ctx)
	case at != never:
		return Yield{event: &c.served, at: later(at, ahead), code: yieldEvent | yieldAt}, nil
	}
	return Yield{event: &c.served, code: yieldEvent | yieldClaims}, nil
}

// ask puts the task into the line.
func (c *claiming) ask(ctx context.Context) (err error) {
	if c.merged, err = mergeClaims("Claiming", c.given); err != nil {
		c.phase = claimingEnded
		return err
	}
	if len(c.merged) == 0 {
		c.phase = claimingHolds
		return nil
	}
	s := scopeOf(ctx)
	run := new(claims.Run)
	if s != nil && s.group != nil {
		c.group, c.node = s.group, s.group.current
		run = c.group.claims.ofRun()
	}
	asker := claims.NewAsker(run, func(*claims.Ticket) { c.served.Set() })
	c.ticket = newTicket(asker, heldAround(s), c, c.merged)
	c.ticket.Ask()
	c.phase = claimingWaits
	return nil
}

// start gives the task its first step, and then the notice that came before.
func (c *claiming) start(ctx context.Context) (Yield, error) {
	y, err := c.inside(ctx, stepTask)
	if c.phase == claimingHolds && c.notice != nil {
		c.tell(ctx)
	}
	return y, err
}

// inside has a method of the task called with a context in which others know what
// is held. Whatever comes of it, once the task has ended that is given back.
func (c *claiming) inside(ctx context.Context, call func(context.Context, *Task) (Yield, error)) (Yield, error) {
	ended := true
	defer func() {
		if ended {
			c.end()
		}
	}()
	y, err := call(c.enter(ctx), &c.task)
	ended = err != nil || y.code&yieldDone != 0
	return y, err
}

func (c *claiming) enter(ctx context.Context) context.Context {
	if c.held == nil {
		return ctx
	}
	return c.scope.derive(ctx, func() scope {
		inner := within(scopeOf(ctx))
		inner.clock, inner.held = clockOf(ctx), c.held
		return inner
	})
}

// end gives back what is held.
func (c *claiming) end() {
	c.phase = claimingEnded
	if c.held != nil {
		c.held.Release()
		c.held = nil
	}
}

// leave ends the waiting.
func (c *claiming) leave() {
	c.phase = claimingEnded
	if c.ticket != nil {
		claims.Leave(c.ticket)
	}
}

// isWaiting reports whether it waits for its claims.
func (c *claiming) isWaiting() bool { return c.phase == claimingWaits }

// Throw ends the waiting, or throws into the task.
func (c *claiming) Throw(ctx context.Context, err error) (Yield, error) {
	if c.phase != claimingHolds {
		c.leave()
		return Yield{}, err
	}
	return c.inside(ctx, func(ctx context.Context, place *Task) (Yield, error) { return throwInto(ctx, place, err) })
}

// Stop hands the notice on, now or when the task has started.
func (c *claiming) Stop(ctx context.Context, cause error) {
	c.notice = c.notice.followedBy(asNotice(cause, false))
	if c.phase == claimingHolds {
		c.tell(ctx)
	}
}

func (c *claiming) tell(ctx context.Context) {
	if s, ok := lookFor[Stopper](c.task); ok {
		c.telling(func() { s.Stop(c.enter(ctx), c.notice) })
	}
}

// BeginClose asks the task to end.
func (c *claiming) BeginClose() (e *Event) {
	if c.phase == claimingHolds {
		c.telling(func() { e = beginClose(c.task) })
	}
	return e
}

// telling has the task told something. If it panics, it has ended.
func (c *claiming) telling(tell func()) {
	told := false
	defer func() {
		if !told {
			c.end()
		}
	}()
	tell()
	told = true
}

// Close ends the waiting, or closes the task.
func (c *claiming) Close() error {
	if c.phase != claimingHolds {
		c.leave()
		return nil
	}
	defer c.end()
	return c.task.Close()
}

func (c *claiming) String() string { return TaskDescription(c.task) }

// next returns the path of the node around, and pathOf does. Outside of any group
// nobody asks: the task is then the only one of its run that claims.
func (c *claiming) next() string { return c.pathOf(c.node) }

func (c *claiming) pathOf(node int32) string { return c.group.pathOf(node) }

func (c *claiming) claimed() []Claim { return c.merged }
