package proof_test

import (
	"fmt"
	"strconv"
)

// modelScript is a leaf on its way; the two sides have one each.
type modelScript struct {
	leaf  *modelLeaf
	world modelWorld
	id    int
	at    int
	cause error
	until int64 // it is deaf until then; 0: it was not asked to close
}

// modelWorld is what tasks see of a side.
type modelWorld interface {
	trace(id int, what, detail string)
	advance(by int64)
	touch(event int)
	panics(id int)
	addTo(group int)
	ready()
	note(text string)
	op(what modelWhat, n int)
	render(err error) string
}

// enter is a step of the leaf, or an error thrown into it.
func (s *modelScript) enter(thrown error) modelAct {
	if thrown != nil {
		s.world.trace(s.id, "throw", s.world.render(thrown))
	} else {
		s.world.trace(s.id, "step", "")
	}
	var act modelAct
	if s.at < len(s.leaf.acts) {
		act = s.leaf.acts[s.at]
	}
	s.at++
	s.world.advance(act.takes)
	if act.touch != 0 {
		s.world.touch(act.touch)
	}
	if act.adds != 0 {
		s.world.addTo(act.adds - 1)
	}
	if act.ready {
		s.world.ready()
	}
	if act.notes {
		s.world.note(fmt.Sprint("n", s.id, ".", s.at))
	}
	if act.capacity != 0 {
		s.world.op(modelCapacity, act.capacity-1)
	}
	switch {
	case act.order > 0:
		s.world.op(modelStopNode, act.order-1)
	case act.order < 0:
		s.world.op(modelSkipNode, -act.order-1)
	}
	return act
}

// modelPanic is what tasks panic with.
type modelPanic int

func (s *modelScript) failure(act modelAct) error {
	switch {
	case act.does == modelObeys && s.cause != nil:
		return s.cause
	case act.does == modelFails || act.does == modelObeys || act.does == modelFailsForGood || act.does == modelFailsFor:
		return modelErr("x" + strconv.Itoa(s.id))
	}
	return nil
}

func (s *modelScript) stop(cause error) {
	s.world.trace(s.id, "stop", s.world.render(cause))
	s.cause = cause
	if s.leaf.heeds > 0 {
		s.world.touch(s.leaf.heeds)
	}
	if s.leaf.stopFails {
		s.world.panics(s.id)
	}
}

// beginClose returns when the leaf can be closed.
func (s *modelScript) beginClose(now int64) (until int64) {
	s.world.trace(s.id, "begin close", "")
	if s.until == 0 {
		s.until = now + s.leaf.deaf
	}
	return s.until
}

func (s *modelScript) close() error {
	s.world.trace(s.id, "close", "")
	if s.leaf.breaks {
		s.world.panics(s.id)
	}
	if s.leaf.closeFails {
		return modelErr("c" + strconv.Itoa(s.id))
	}
	return nil
}
