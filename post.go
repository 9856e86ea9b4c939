package scheduler

import (
	"sync"
	"sync/atomic"
)

// Post has f called on the goroutine that drives the runner, between two steps,
// and returns at once. It may be called from any goroutine: it is how a question
// is asked of a running group, or [DependencyTaskGroup.Drain] and
// [TaskRunner.Stop] are called, from outside.
//
// A call of f is no step, no round, and no end of a pause: Run calls it inside
// its pause, and then goes on to wait. Without Run, f is called by the next Step,
// or by RunPosted. Functions are called in the order of Post; those that were
// posted before Start are called by Start, and those that are left when the
// runner ends are called then. f must not block. If it panics the task is closed
// and the panic goes up, as with one of the task.
//
// Post returns false, and f is not called, once the runner has ended. If it
// returns true f is called, unless a panic ends the run or nobody drives the
// runner any more. It panics if f is nil.
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

// RunPosted calls the functions that were posted. It is for a loop that drives
// the runner by Step and waits for long: [RunnerOptions.Wake] tells it when there
// is something to call. It panics inside a step.
func (r *TaskRunner) RunPosted() {
	r.must("RunPosted")
	if !r.posts.some.Load() {
		return
	}
	r.enter("RunPosted")
	r.leave() // a function may stop or cancel the runner
	completed := false
	defer func() {
		if !completed && !r.done {
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
	if r.done {
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
