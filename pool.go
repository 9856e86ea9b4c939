package scheduler

import (
	"context"

	"github.com/steptask/scheduler/internal/coro"
)

// pool is what the calls and coroutines of a run leave to one another. It belongs
// to the outermost runner or group, and is closed when that ends.
type pool struct {
	workers workers
	stacks  coro.Pool
	wakes   wakes
	late    lateCalls
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
