package coro

import "iter"

// Pool keeps the stacks of functions that have ended for others: to make a stack
// takes longer than all the rest of a short function. The zero Pool is empty and
// ready for use.
//
// What uses a pool, its Close included, must not overlap.
type Pool struct {
	idle   []*stack
	closed bool
}

// mostIdle bounds what a pool keeps, some 4 kB each.
const mostIdle = 64

// stack is a coroutine of iter.Pull that runs one function after the other.
type stack struct {
	pool  *Pool
	coro  *Coro // the next to run; nil while it is idle
	next  func() (struct{}, bool)
	yield func(struct{}) bool // nil before the first run
}

// take returns a stack that is not in use.
func (p *Pool) take() *stack {
	if last := len(p.idle) - 1; last >= 0 {
		s := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		return s
	}
	s := &stack{pool: p}
	s.next, _ = iter.Pull(s.run)
	return s
}

// run runs functions until the pool has no use for more. One that ends by
// runtime.Goexit takes the stack with it.
func (s *stack) run(yield func(struct{}) bool) {
	s.yield = yield
	for s.runOne(); s.pool.keep(s); s.runOne() {
		yield(struct{}{})
		if s.coro == nil {
			return // woken by Close
		}
	}
}

func (s *stack) runOne() {
	c := s.coro
	s.coro = nil // it may hold on to memory
	c.Switch = s.yield
	c.call()
}

// keep notes that s is idle, and reports whether it may be.
func (p *Pool) keep(s *stack) bool {
	if p.closed || len(p.idle) == mostIdle {
		return false
	}
	p.idle = append(p.idle, s)
	return true
}

// Close lets go of all that is idle, and of all else when its function ends.
func (p *Pool) Close() {
	p.closed = true
	for _, s := range p.idle {
		s.next()
	}
	p.idle = nil
}
