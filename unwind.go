package scheduler

// This file is about how a group ends when a panic or a Goexit comes out of the code
// of a node.

// exclusively runs code that may run members' code. It panics if that happens
// inside such code. Whichever way code ends, the engine can be entered again
// afterwards; a panic or a Goexit that comes out of it ends the group.
func (g *engine) exclusively(method string, code func()) {
	if g.busy {
		panic("scheduler: DependencyTaskGroup." + method + " of " + g.String() + " called during a step")
	}
	g.busy = true
	completed := false
	defer func() {
		if completed {
			g.leave()
			return
		}
		p := g.current
		v := recover() // nil: a Goexit goes up
		g.unwind()
		g.leave()
		if v != nil && p != noNode {
			v = g.goingUp(p, v)
		}
		if v != nil {
			panic(v)
		}
	}()
	code()
	completed = true
}

// leave lets the engine be entered again.
func (g *engine) leave() {
	g.busy = false
	if g.pool != nil && g.phase == phaseEnded {
		g.pool.leave()
	}
}

// closeRest closes the running members while a panic or a Goexit is on its way
// up. Further panics are only kept: the first one says what happened.
func (g *engine) closeRest() {
	completed := false
	defer func() {
		if !completed { // one of them called Goexit
			g.closeRest()
		}
	}()
	g.abortCurrent(nil) // the Observer, if it panicked at the end of the one before
	for _, do := range []func(){g.abortStarting, g.beginCloseAll, g.closeAll} {
		for g.nodes.members() > 0 {
			if _, err := recovered(func() (Yield, error) { do(); return Done, nil }, func() bool { return false }); err == nil {
				break
			} else {
				g.abortCurrent(err)
			}
		}
	}
	completed = true
}

// abortCurrent ends the member out of whose code a panic or a Goexit came, and
// the Observer, if it came out of that. err is the panic, if it goes no further.
func (g *engine) abortCurrent(err error) {
	g.dropWatcher()
	if p := g.current; p != noNode {
		g.current = noNode
		switch s := g.nodes.state(p); {
		case s.Ended(): // it was the Observer who was told of its end
		case s == StatePending: // it was When, or the Observer who was told of its start
		default:
			g.abort(p, err)
		}
	}
	g.holdings.release() // of a node that was starting
}

// abort ends a running node that left no answer.
func (g *engine) abort(p int32, err error) {
	if g.nodes.slot(p) != noSlot {
		g.vacate(p)
	}
	g.holdings.release()
	g.endWith(p, StateFailed, nil, join(ErrAborted, err), failure{aborts: true})
}

// abortStarting ends the node whose start came to nothing, by a panic in a function
// of GroupOptions or of an Observer. It has no task that could be closed, and the
// services that it requires are closed only after it.
func (g *engine) abortStarting() {
	for p := range int32(g.nodes.len()) {
		if g.nodes.state(p) == StateRunning && g.nodes.slot(p) == noSlot {
			g.abort(p, nil)
		}
	}
}

// goingUp returns what goes up in the place of a panic that came out of a node and has
// ended the group, with what can be asked of nobody once the panic is recovered.
func (g *engine) goingUp(p int32, v any) *PanicError {
	up, failed := panicIn(g.key(p), v), g.failures.beforePanic()
	if up.failed != nil {
		failed = join(failed, g.taskError(p, nil, up.failed))
	}
	up.failed = failed
	return up
}

// unwind ends the group while a panic or a Goexit is on its way up.
func (g *engine) unwind() {
	g.aborted = true
	// Each of these may panic too, and the next must happen all the same.
	defer func() {
		g.dropWatcher()
		told := false
		defer func() {
			if !told { // an Observer has panicked: the others are to hear of the end
				g.end(ErrAborted)
			}
		}()
		g.end(ErrAborted)
		told = true
	}()
	defer func() {
		g.dropWatcher()
		g.endNodes()
	}()
	defer func() {
		g.dropWatcher()
		g.closeRest()
	}()
	defer func() {
		if g.phase == phaseRunning && g.nodes.count(StatePending) > 0 {
			g.tellStopping(ErrAborted)
		}
	}()
	g.abortCurrent(nil)
}

// endNodes ends the nodes that have not started; no other is left.
func (g *engine) endNodes() {
	if g.phase != phaseDraining && g.phase != phaseEnded {
		g.cancelPending()
	}
}
