package model

// Call is a function on a goroutine of its own, which returns at its own time whatever it
// is told.
type Call struct {
	Returned *Event
	Wait     func() // until it has returned
	Ready    bool
	Err      error
}

// ClosedError is an error of a Close that is none of closing: what a call failed with that
// was closed, or a Timeout from before. As what a node has failed with, it is not
// forgotten.
type ClosedError struct{ Err error }

func (e *ClosedError) Error() string { return e.Err.Error() }

// Unwrap returns that error.
func (e *ClosedError) Unwrap() error { return e.Err }

// Poll makes one call after the other, with pauses, until one is ready or fails.
func Poll(clock *Clock, every int64, call func() *Call) Task {
	p := &poll{clock: clock, every: every, next: call}
	return Task{Step: p.step, Throw: p.throw, Stop: func(*Notice) {}, Close: p.close, BeginClose: p.beginClose}
}

type poll struct {
	clock  *Clock
	every  int64
	next   func() *Call
	call   *Call // under way; nil in a pause
	thrown error
	asked  int
}

func (p *poll) step() (Yield, error) {
	if p.call == nil {
		p.call = p.next()
		return Yield{Ready: On(p.call.Returned)}, nil
	}
	if !p.call.Returned.set {
		return p.waiting(), nil
	}
	if err := join(p.thrown, p.call.Err); err != nil {
		return Yield{}, err
	}
	ready := p.call.Ready
	p.call = nil
	if ready {
		if p.asked > 0 {
			p.note(0)
		}
		return Yield{Done: true}, nil
	}
	p.asked++
	p.note(p.asked)
	return Yield{At: p.clock.Now + p.every}, nil
}

func (p *poll) note(asked int) {
	if n := p.clock.notes(); n != nil {
		n.Asked = asked
	}
}

// waiting is for the end of the call.
func (p *poll) waiting() Yield {
	return Yield{Ready: On(p.call.Returned), Ending: p.thrown != nil}
}

// throw ends the call. The error comes out once it has returned.
func (p *poll) throw(err error) (Yield, error) {
	if p.call == nil {
		return Yield{}, err
	}
	p.thrown = err
	return p.waiting(), nil
}

// close waits for the call. A Timeout without a grace is its outcome, since there is no
// step to answer that in.
func (p *poll) close() (err error) {
	if p.call == nil {
		return nil
	}
	p.call.Wait()
	if t, ok := p.thrown.(*Timeout); ok && t.Grace == 0 { //nolint:errorlint // That very one.
		err = t
	}
	if p.call.Err != nil {
		err = join(err, &ClosedError{p.call.Err})
	}
	return err
}

// beginClose is the same whether the call has returned or not, which is up to chance.
func (p *poll) beginClose() *Wait {
	if p.call == nil {
		return nil
	}
	return &Wait{Ready: On(p.call.Returned)}
}
