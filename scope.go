package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/steptask/scheduler/internal/claims"
)

// scope is the one value that a run puts into the context of its steps.
type scope struct {
	clock    timeSource
	ownClock bool            // it is not that of the scope around
	driver   fmt.Stringer    // what is being stepped on this goroutine; nil outside a step
	group    *engine         // the innermost group whose member is being stepped, or nil
	pool     *pool           // of the run; nil outside of one
	held     *claims.Holding // by a Claiming around, or in a call by its node

	outer  *scope // the one around it, or nil
	maker  maker  // asked for the notice and the limit of what it is stepping; nil: none
	shield bool   // no notice from further out gets in

	grace    time.Duration // of the nearest runner that has one
	abandon  time.Duration // after which calls are left behind; 0: never
	endCalls bool          // the contexts of calls end with the notice
}

// node returns the innermost group whose member is being stepped, and that member; nil if
// there is none, as in a call. s may be nil.
func (s *scope) node() (*engine, int32) {
	if s == nil || s.group == nil || s.group.current == noNode {
		return nil, noNode
	}
	return s.group, s.group.current
}

// heldAround returns the nearest that is held around the code that is being
// stepped, or nil. s may be nil.
func heldAround(s *scope) *claims.Holding {
	if s != nil && s.held != nil {
		return s.held
	}
	if g, p := s.node(); g != nil {
		return g.placeOf(p)
	}
	return nil
}

// maker is what made a scope. It answers for the task that it is stepping, on the
// driving goroutine, so a cached context is never out of date.
type maker interface {
	// noticeHere returns the notice that it gave to the task, or nil.
	noticeHere() *StopError

	// limitHere returns the instant, by the scope's clock, after which the task
	// is thrown into or closed, or never.
	limitHere() int64

	// thrownHere returns the error for which it is ending the task at this very
	// moment, such as a Timeout, or nil.
	thrownHere() error
}

// within returns a scope inside s, which may be nil, with nothing of its own.
func within(s *scope) scope {
	if s == nil {
		return scope{}
	}
	inner := *s
	inner.outer, inner.maker, inner.shield, inner.ownClock = s, nil, false, false
	return inner
}

// noticeOf returns the notice under which a task that begins in ctx begins, or
// nil: the innermost final one, else the innermost of all.
func noticeOf(ctx context.Context) *StopError {
	var first *StopError
	for s := scopeOf(ctx); s != nil && !s.shield; s = s.outer {
		if s.maker == nil {
			continue
		}
		if g, ok := s.maker.(*engine); ok && g.services.hidesNotices(g.current) {
			break // it will tell
		}
		n := s.maker.noticeHere()
		if n != nil && n.final {
			return n
		}
		if first == nil {
			first = n
		}
	}
	return first
}

// thrownOf returns the error for which a task that began in ctx is being closed at
// this moment: the innermost that a driver around it throws, or nil. A Shield does
// not keep it out.
func thrownOf(ctx context.Context) error {
	for s := scopeOf(ctx); s != nil; s = s.outer {
		if s.maker == nil {
			continue
		}
		if err := s.maker.thrownHere(); err != nil {
			return err
		}
	}
	return nil
}

// graceAfter returns the end of a grace that begins when a limit has passed.
func graceAfter(limit int64, grace time.Duration) int64 { return later(later(limit, 1), grace) }

func wallLimit(at int64) int64 {
	if at == never {
		return 0
	}
	return at + 1
}

// instantLimitOf returns the earliest limit around ctx as an instant of the clock of
// ctx, or never. Limits by another clock further out do not count.
func instantLimitOf(ctx context.Context) int64 {
	at := never
	for s := scopeOf(ctx); s != nil; s = s.outer {
		if s.maker != nil {
			at = min(at, s.maker.limitHere())
		}
		if s.ownClock {
			break
		}
	}
	return at
}

type scopeKey struct{}

// scopeContext is the context that holds it.
type scopeContext struct {
	context.Context
	scope scope
}

func (c *scopeContext) Value(key any) any {
	if key == (scopeKey{}) {
		return &c.scope
	}
	return c.Context.Value(key)
}

func (c *scopeContext) String() string { return fmt.Sprintf("%v.run", c.Context) }

// scopeOf returns the scope that ctx is in, or nil.
func scopeOf(ctx context.Context) *scope {
	if c, ok := ctx.(*scopeContext); ok {
		return &c.scope
	}
	s, _ := ctx.Value(scopeKey{}).(*scope)
	return s
}

// WithClock returns a context in which runners without a Clock, and tasks that are
// driven without a runner, take their time from clock; nil is the system's. It panics for
// a nil pointer as clock.
func WithClock(ctx context.Context, clock Clock) context.Context {
	mustHave(ctx, "WithClock")
	if isNilPointer(clock) {
		panic(fmt.Sprintf("scheduler: WithClock: nil %T", clock))
	}
	inner := &scopeContext{Context: ctx, scope: within(scopeOf(ctx))}
	inner.scope.clock, inner.scope.ownClock = clock, true
	return inner
}

// scopeCache keeps the context that was derived for one that steps were given,
// so that a loop which passes the same one again costs no allocation.
type scopeCache struct {
	outer context.Context
	inner *scopeContext
}

// derive returns the context made from ctx last time, or a new one with the
// scope from make.
func (c *scopeCache) derive(ctx context.Context, make func() scope) *scopeContext {
	if c.inner == nil || !same(ctx, c.outer) {
		c.outer, c.inner = ctx, &scopeContext{Context: ctx, scope: make()}
		if c.inner.scope.shield {
			c.inner.Context = context.WithoutCancel(ctx) // it goes on after that end
		}
	}
	return c.inner
}

// given returns the context that was given last, or nil.
func (c *scopeCache) given() context.Context { return c.outer }

// same compares contexts. Of those of a type that == panics for no two are the
// same. (To ask reflect for such types beforehand allocates, also for the struct
// that context.Background is.)
func same(a, b context.Context) (equal bool) {
	if pa, ok := a.(*scopeContext); ok {
		pb, ok := b.(*scopeContext)
		return ok && pa == pb
	}
	defer func() { _ = recover() }()
	return a == b
}

// clockOf returns the clock of the scope that ctx is in, or the system's.
func clockOf(ctx context.Context) timeSource {
	if s := scopeOf(ctx); s != nil && s.clock != nil {
		return s.clock
	}
	return newSystemClock()
}

// usesSystemClock reports whether clockOf returns the system's clock.
func usesSystemClock(ctx context.Context) bool {
	s := scopeOf(ctx)
	if s == nil || s.clock == nil {
		return true
	}
	_, ok := s.clock.(*systemClock)
	return ok
}
