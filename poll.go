package scheduler

import (
	"context"
	"time"
)

// Poll returns a [Task] that calls ready at once and then at intervals of every,
// until it returns true or an error, which is the task's. ready is a call, as the
// function of [Blocking] is, and may block; the task is parked between two calls.
// After the notice of a stop Poll continues within the grace.
//
// The [Notes] of the node count the calls.
func Poll(every time.Duration, ready func(ctx context.Context) (bool, error)) Task {
	if ready == nil {
		panic("scheduler: Poll: nil function")
	}
	mustBePause("Poll", every)
	p := &poll{every: every, name: funcName(ready)}
	p.fetch = func() Task {
		return Fetch(ready, func(isReady bool, err error) error {
			p.isReady = isReady
			return err
		})
	}
	return p
}

// PollCall is [Poll] with a value: the one for which fn reported ready.
func PollCall[T any](
	co *Coroutine, every time.Duration, fn func(ctx context.Context) (value T, ready bool, err error),
) (T, error) {
	var value T
	mustHaveCoroutine(co, "PollCall")
	mustHaveFunc(fn == nil, "PollCall")
	mustBePause("PollCall", every)
	p := &poll{every: every, name: funcName(fn)}
	p.fetch = func() Task {
		return &call{body: &pollCall[T]{fn: fn, got: func(v T, ready bool) {
			if p.isReady = ready; ready {
				value = v
			}
		}}}
	}
	err := co.Await(p)
	return value, err
}

// mustBePause panics for a pause that is negative, and would be none.
func mustBePause(of string, every time.Duration) {
	if err := checkDuration(of, every); err != nil {
		panic(err)
	}
}

// pollCall is the functions of PollCall.
type pollCall[T any] struct {
	fn    func(ctx context.Context) (T, bool, error)
	got   func(value T, ready bool)
	value T
	ready bool
}

func (c *pollCall[T]) run(ctx context.Context) (err error) {
	c.value, c.ready, err = c.fn(ctx)
	return err
}

func (c *pollCall[T]) then(err error) error {
	c.got(c.value, c.ready && err == nil)
	return err
}

// lose leaves the value alone: the call may still be writing it.
func (c *pollCall[T]) lose(err error) error { return err }

func (c *pollCall[T]) String() string { return funcName(c.fn) }

// poll is a machine of its own, not a coroutine: there may be very many.
type poll struct {
	every   time.Duration
	name    string
	fetch   func() Task
	call    Task       // nil between two calls
	notice  *StopError // nil before
	isReady bool
	over    bool
	asked   int // and it was not ready
}

func (p *poll) Step(ctx context.Context) (Yield, error) {
	if p.over {
		return Yield{}, &namedError{p.name, ErrEnded}
	}
	if p.call != nil {
		y, err := stepTask(ctx, &p.call)
		return p.answer(ctx, y, err)
	}
	p.call = p.fetch()
	y, err := stepTask(ctx, &p.call)
	if p.notice != nil {
		p.tell(ctx)
	}
	return p.answer(ctx, y, err)
}

// answer turns the outcome of a step of the call into one of the task.
func (p *poll) answer(ctx context.Context, y Yield, err error) (Yield, error) {
	switch {
	case err != nil:
		p.over = true
		return Yield{}, err
	case y.code&yieldDone == 0:
		return y, nil
	case p.isReady:
		p.over = true
		if p.asked > 0 {
			changeNotes(ctx, func(n *Notes) { n.Asked = 0 })
		}
		return Done, nil
	}
	p.call = nil
	p.asked++
	changeNotes(ctx, func(n *Notes) { n.Asked = p.asked })
	return After(p.every), nil
}

// Throw ends the call that is under way; the error comes out when it has ended.
func (p *poll) Throw(ctx context.Context, err error) (Yield, error) {
	if p.call == nil {
		p.over = true
		return Yield{}, err
	}
	y, err := throwInto(ctx, &p.call, err)
	return p.answer(ctx, y, err)
}

func (p *poll) Close() error {
	p.over = true
	if p.call == nil {
		return nil
	}
	return p.call.Close()
}

// BeginClose asks the call that is under way to end.
func (p *poll) BeginClose() *Event {
	if p.call == nil {
		return nil
	}
	return beginClose(p.call)
}

// Stop gives notice to the call that is under way, and to those that follow.
func (p *poll) Stop(ctx context.Context, cause error) {
	if p.notice == nil {
		p.notice = asNotice(cause, false)
	}
	if p.call != nil {
		p.tell(ctx)
	}
}

func (p *poll) tell(ctx context.Context) {
	if s, ok := lookFor[Stopper](p.call); ok {
		s.Stop(ctx, p.notice)
	}
}

func (p *poll) String() string { return p.name }
