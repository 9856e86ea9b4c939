package model

// This file is about panics of tasks.

// Panic is a panic on its way up, or, where it is recovered, the error of a node.
type Panic struct {
	Value  any
	failed error // what nodes had failed with in the groups that it has ended
}

func (*Panic) Error() string { return "panic" }

// recovered calls code of a member. A panic of it is an error of the member, if the group
// recovers it, or goes up.
func (g *Group) recovered(n *node, code func() (Yield, error)) (y Yield, err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		p, ok := v.(*Panic)
		switch {
		case !ok: // a fault of the model
			panic(v)
		case !g.opts.Recover:
			g.panicked = n
			panic(v)
		}
		y, err = Yield{}, join(&Panic{Value: p.Value}, p.failed)
	}()
	return code()
}

// unwind ends the group while a panic goes up through it: all other members are closed.
func (g *Group) unwind() {
	v := recover()
	if v == nil {
		return
	}
	if p, ok := v.(*Panic); ok {
		n := g.panicked
		if n.isMember() {
			g.note(n, ErrAborted, failure{aborts: true})
			g.set(n, Failed, ErrAborted)
		}
		g.closeAll()
		failed := joined(g.failures, func(f failure) bool { return !f.aside && !f.thrown && !f.aborts })
		if p.failed != nil {
			failed = join(failed, &TaskError{Key: n.key, Err: p.failed})
		}
		v = &Panic{p.Value, failed}
	}
	panic(v)
}

// abort ends a runner while a panic goes up through it.
func (r *Runner) abort() {
	if v := recover(); v != nil {
		r.done, r.err, r.posted = true, ErrAborted, nil
		panic(v)
	}
}
