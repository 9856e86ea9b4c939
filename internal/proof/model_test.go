package proof_test

import (
	"fmt"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/model"
)

// This file runs the engine and the model side by side. A run is data (modelRun):
// either side builds its tasks from it, is driven the same way, and writes down
// what it sees. The two traces must be the same.

// modelOp is what happens from outside before a step.
type modelOp struct {
	step int
	what modelWhat
	n    int // of a runner, an event or a group; or seconds
}

type modelWhat int

const (
	modelInterrupt modelWhat = iota
	modelStop
	modelCancel
	modelCancelAfter
	modelSet
	modelReset
	modelAdvance
	modelKill
	modelEarly // an attempt to step that comes too early
	modelDrain
	modelPost // of what n says
	modelAdd
	modelCloseInput
	modelStopNode // the node of a group that n says
	modelSkipNode
	modelCapacity     // of a Limiter that n says
	modelWhats    int = iota
)

type modelRun struct {
	root           *modelSpec
	timeout, grace int64
	wait           int64
	events         int
	capacities     []int // of Limiters
	intervals      []int64
	ops            []modelOp
	specs          int
	services       bool // there may be some
	combinators    bool // likewise
	panics         bool // likewise
}

// modelErr is an error of a task or from outside.
type modelErr string

func (e modelErr) Error() string { return string(e) }

const modelStart = 1_000_000 // when the clock starts

// modelSide is a side as it is driven.
type modelSide interface {
	modelWorld
	start(timeout int64) error
	step() (bool, error)
	due() (rounds bool, at int64, ready bool)
	deafUntil() int64 // when the next one that is deaf is not any more; 0: there is none
	done() bool
	now() int64
	made() int // groups
	usage() string
	restore() // the capacities
	finish()
	written() []byte
}

// lateNodes gives the nodes of a run's groups that are added, one by one.
type lateNodes struct{ added []int } // by group

// next returns the next node of a group, and what it requires; nil and false if all
// were added.
func (l *lateNodes) next(group int, s *modelGroup) (k int, requires []int, ok bool) {
	l.added = append(l.added, make([]int, max(0, group+1-len(l.added)))...)
	i := l.added[group]
	if i == len(s.late) {
		return 0, nil, false
	}
	return len(s.requires) + i, s.late[i], true
}

// modelStepsMax is more than any run takes.
const modelStepsMax = 2000

// drive runs a side to its end: it steps the root, does what is to happen from
// outside, and lets the time pass that a loop would sleep.
func (run *modelRun) drive(s modelSide) []byte {
	panicked := func(v any) { s.trace(0, "panicked", fmt.Sprint(v)) }
	do := func(what modelWhat, n int) {
		_ = modelRecovered(panicked, func() error {
			s.op(what, n)
			return nil
		})
	}
	err := modelRecovered(panicked, func() error { return s.start(run.timeout) })
	s.trace(0, "started", s.render(err))
	for step := 1; !s.done(); step++ {
		if step > modelStepsMax {
			s.trace(0, "endless", "")
			break
		}
		early := false
		for _, op := range run.ops {
			if op.step == step {
				early = early || op.what == modelEarly
				do(op.what, op.n)
			}
		}
		if s.done() {
			break
		}
		rounds, at, ready := s.due()
		if until := s.deafUntil(); until != 0 && !ready && (at == 0 || until < at) {
			at = until
		}
		switch now := s.now(); {
		case ready || early:
		case rounds && (at == 0 || now+run.wait < at):
			s.advance(run.wait)
		case at > now:
			s.advance(at - now)
		case at == 0: // it would sleep for ever
			s.trace(0, "asleep", "")
			if step >= 100 { // the last resort
				do(modelCancel, 0)
				continue
			}
			for e := range run.events {
				s.touch(e + 1)
			}
			s.op(modelEarly, 0)
			for g := range s.made() {
				s.op(modelCloseInput, g)
			}
			s.restore()
			if _, _, ready := s.due(); !ready && step > 50 {
				s.op(modelInterrupt, 0)
			}
		}
		done := false
		err := modelRecovered(panicked, func() (err error) {
			done, err = s.step()
			return err
		})
		if len(run.capacities) > 0 {
			s.trace(0, "uses", s.usage())
		}
		if done || err != nil {
			s.trace(0, "ended", s.render(err))
		}
	}
	s.finish()
	return s.written()
}

// modelRecovered makes a step out of which a panic of a task may come.
func modelRecovered(panicked func(v any), step func() error) error {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case modelPanic:
			panicked(v)
		case *scheduler.PanicError:
			panicked(v.Value.(modelPanic))
		case *model.Panic:
			panicked(v.Value.(modelPanic))
		default:
			panic(v)
		}
	}()
	return step()
}

// compare runs both sides and returns their traces.
func (run *modelRun) compare() (engine, model []byte) {
	return run.drive(newModelEngine(run)), run.drive(newModelModel(run))
}

// String shows a run, for a person who has to find out.
func (run *modelRun) String() string {
	return fmt.Sprintf("timeout %d, grace %d, wait %d, capacities %v, intervals %v, ops %+v\n%s", run.timeout, run.grace, run.wait, run.capacities, run.intervals, run.ops, run.root.describe(""))
}
