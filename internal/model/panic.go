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
		g.closeRest()
		failed := joined(g.failures, func(f failure) bool { return !f.aside && !f.thrown && !f.aborts })
		if p.failed != nil {
			failed = join(failed, &TaskError{Key: n.key, Err: p.failed})
		}
		v = &Panic{p.Value, failed}
	}
	panic(v)
}

// closeRest closes the members while a panic goes up. Further ones are kept with the node.
func (g *Group) closeRest() {
	for {
		p := caught(g.closeAll)
		if p == nil {
			return
		}
		n := g.panicked
		err := join(ErrAborted, join(&Panic{Value: p.Value}, p.failed))
		g.note(n, err, failure{aborts: true})
		g.set(n, Failed, err)
	}
}

// caught returns the panic that comes out of code, or nil.
func caught(code func()) (p *Panic) {
	defer func() {
		if v := recover(); v != nil {
			p = v.(*Panic)
		}
	}()
	code()
	return nil
}

// closeTask closes the task of a member.
func (g *Group) closeTask(n *node) error {
	if n.broken != nil {
		return n.broken
	}
	_, err := g.recovered(n, func() (Yield, error) { return Yield{}, n.task.Close() })
	return err
}

// askTask asks the task of a member to end. A panic of that is the error of its close.
func (g *Group) askTask(n *node, ask func() *Wait) (w *Wait) {
	if n.broken != nil {
		return nil
	}
	_, n.broken = g.recovered(n, func() (Yield, error) {
		w = ask()
		return Yield{}, nil
	})
	return w
}

// abort ends a runner while a panic goes up through it.
func (r *Runner) abort() {
	if v := recover(); v != nil {
		r.done, r.err, r.posted = true, ErrAborted, nil
		panic(v)
	}
}
