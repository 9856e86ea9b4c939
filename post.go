package scheduler

import (
	"sync"
	"sync/atomic"
)

// Post has f called on the goroutine that drives the runner, between two steps. Any
// goroutine may call it, to ask a running group something, or to call
// [DependencyTaskGroup.Drain] or [TaskRunner.Stop]. f must not block.
//
// A call of f is not a step: Run calls f even during its pause. Without Run, f is
// called by the next Step, or by RunPosted. Functions are called in the order of
// Post, those posted before Start by Start, and those that are left when the runner
// ends then. If f panics, the task is closed and the panic propagates.
//
// Post returns false, and f is not called, if the runner has ended. Otherwise f is
// called unless a panic ends the run or the runner is no longer driven.
func (r *TaskRunner) Post(f func()) bool {
	r.must("Post")
	if f == nil {
		panic("scheduler: TaskRunner.Post to " + r.opts.Name + ": nil function")
	}
	if !r.posts.add(f) {
		return false
	}
	if outer := r.outer.Load(); outer != nil {
		outer.Post(r.RunPosted)
		return true
	}
	if loop := r.loop.Load(); loop != nil {
		loop.signal()
	}
	if r.opts.Wake != nil {
		r.opts.Wake()
	}
	return true
}

// RunPosted calls the posted functions. A loop of your own calls it when
// [RunnerOptions.Wake] has been called and no step is due. It panics inside a step.
func (r *TaskRunner) RunPosted() {
	r.must("RunPosted")
	if !r.posts.some.Load() {
		return
	}
	r.enter("RunPosted")
	r.leave() // a function may stop or cancel the runner
	completed := false
	defer func() {
		if !completed && !r.hasEnded() {
			r.abort()
		}
	}()
	for _, f := range r.posts.take() {
		f()
	}
	completed = true
}

// runLastPosted calls what is left of them at the end of the runner.
func (r *TaskRunner) runLastPosted() {
	if r.hasEnded() {
		r.leave() // they may call what does nothing to a runner that has ended
		for _, f := range r.posts.close() {
			f()
		}
	}
}

// posts are the functions that were posted and not called.
type posts struct {
	some   atomic.Bool
	mu     sync.Mutex
	fns    []func()
	closed bool
}

func (p *posts) add(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.fns = append(p.fns, f)
	p.some.Store(true)
	return true
}

func (p *posts) take() []func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	fns := p.fns
	p.fns = nil
	p.some.Store(false)
	return fns
}

// close refuses all further ones, and returns those that are left.
func (p *posts) close() []func() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return p.take()
}
