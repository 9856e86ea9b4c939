package scheduler

import (
	"context"
	"sync/atomic"

	"github.com/steptask/scheduler/internal/coro"
)

// pool is what the calls and coroutines of a run leave to one another. It belongs
// to the outermost runner or group, and is closed when that ends.
type pool struct {
	workers workers
	stacks  coro.Pool
	wakes   wakes
	late    lateCalls
	leaving leaving
	isOpen  bool // the run is counted in openRuns
}

// openRuns counts the runs of the process that have begun and whose last step has not
// returned.
var openRuns atomic.Int64

// open counts the run, whose wakes are signalled to the outermost runner or group.
func (p *pool) open(outermost interface{ signal() }) {
	p.wakes.owner = outermost
	p.isOpen = true
	openRuns.Add(1)
}

// leave ends that, once no code of the run's tasks is on the stack any more.
func (p *pool) leave() {
	if p.isOpen {
		p.isOpen = false
		openRuns.Add(-1)
	}
}

// poolOf returns the pool of the run that ctx is in, or nil.
func poolOf(ctx context.Context) *pool {
	if s := scopeOf(ctx); s != nil {
		return s.pool
	}
	return nil
}

// stacksOf returns the stacks for coroutines of the run that ctx is in, or nil.
func stacksOf(ctx context.Context) *coro.Pool {
	if p := poolOf(ctx); p != nil {
		return &p.stacks
	}
	return nil
}

// close ends what is idle, so that nothing outlives the run.
func (p *pool) close() { p.stacks.Close() }
