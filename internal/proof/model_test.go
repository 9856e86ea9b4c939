package proof_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/internal/model"
)

// This file runs the engine and the model side by side. A run is data (modelRun):
// either side builds its tasks from it, is driven the same way, and writes down
// what it sees. The two traces must be the same.

// modelAct is what a leaf does when it is entered.
type modelAct struct {
	does     modelDoes
	n        int   // rounds, seconds, or the number of an event
	takes    int64 // how long the step takes
	touch    int   // an event that is set (1, 2, ...) or reset (-1, -2, ...)
	adds     int   // a group (1, 2, ...) to which its next node is added
	ready    bool  // it says that it is a service
	notes    bool  // it notes something
	capacity int   // a Limiter (1, 2, ...) has from now on n
	order    int   // a node (1, 2, ...) is told to end, that of a group (-1, -2, ...) to be skipped
}

type modelDoes int

const (
	modelEnds modelDoes = iota
	modelNext
	modelFails
	modelRounds
	modelAfter
	modelEvent
	modelEither  // after n seconds, n rounds, or on an event
	modelNothing // no yield
	modelSkips
	modelObeys                  // fails with the cause of its notice
	modelEnding                 // says that it ends already, on an event
	modelFailsForGood           // it is no use to try again
	modelFailsFor               // n seconds
	modelKinds        int       = iota
	modelPanics       modelDoes = modelDoes(modelKinds)
)

// modelPlainKinds are those without failures that matter to a Retry alone.
const modelPlainKinds = int(modelFailsForGood)

// modelLeaf is a task that follows a script: one act each time it is entered, and
// after the last it ends.
type modelLeaf struct {
	acts       []modelAct
	throws     bool // an error thrown in enters it
	stops      bool // it takes notice
	heeds      int  // and sets an event (1, 2, ...) then
	closeFails bool
	deaf       int64 // it takes so long to end once it is asked to; 0: it is not asked
}

type modelGroup struct {
	requires           [][]int
	late               [][]int // what the nodes after those require, which are added one by one
	open               bool    // it is KeepOpen
	nodes              []*modelSpec
	reverse, aggregate bool
	grace              int64
	graces             []int64
	onError            []scheduler.Disposition
	timeouts           []int64
	limit              int
	claims             [][]int // by node and Limiter
	priorities         []int64
	estimates          []int64
	completed          []bool
	when               []modelWhen
	budget             int
	recover            bool
}

// modelWhen is a condition of a node.
type modelWhen int

const (
	whenUsual modelWhen = iota
	whenAlways
	whenNever
	whenPassed
	whenFailed     // start if something that it requires has not succeeded
	modelWhens int = iota
)

// verdict is what the condition says, given the states of what a node requires.
func (w modelWhen) verdict(states []int) scheduler.Verdict {
	switch w {
	case whenAlways:
		return scheduler.Start
	case whenNever:
		return scheduler.Skip
	case whenPassed:
		return scheduler.Pass
	case whenFailed:
		if slices.ContainsFunc(states, func(s int) bool { return s != int(scheduler.StateSucceeded) }) {
			return scheduler.Start
		}
		return scheduler.Skip
	case whenUsual:
	}
	return scheduler.Usual
}

type modelRunner struct {
	task                   *modelSpec
	timeout, asTask, grace int64
	progressFails          int
}

// modelSpec is one of these.
type modelSpec struct {
	id     int
	leaf   *modelLeaf
	group  *modelGroup
	runner *modelRunner
	shield *modelSpec // behind a Shield
	retry  *modelRetry
	timed  *modelTimed
	first  []*modelSpec // a First of these, if it is not nil
	all    []*modelSpec // likewise
	claims *modelClaiming
	poll   *modelPoll
}

// modelPoll is a Poll, or a PollCall, and how its calls end; those after the last are
// ready after a second.
type modelPoll struct {
	every int64
	calls []modelCall
	value bool // it is a PollCall
}

// modelCall is one that takes some seconds.
type modelCall struct {
	takes        int64
	ready, fails bool
}

// next returns the next call.
func (p *modelPoll) next(made *int) modelCall {
	*made++
	if *made > len(p.calls) {
		return modelCall{takes: 1, ready: true}
	}
	return p.calls[*made-1]
}

// err is what a call has failed with.
func (c modelCall) err(id int) error {
	if c.fails {
		return modelErr("q" + strconv.Itoa(id))
	}
	return nil
}

// modelClaiming is a Claiming.
type modelClaiming struct {
	weights []int // by Limiter; 0: no claim
	task    *modelSpec
}

// modelTimed is a task in a WithTimeout.
type modelTimed struct {
	task  *modelSpec
	limit int64
}

// modelRetry is a Retry: its attempts, and the pauses between them, after which it
// gives up.
type modelRetry struct {
	tasks  []*modelSpec
	pauses []int64
}

// next returns the pause after some attempts.
func (r *modelRetry) next(used *int) int64 {
	if *used >= len(r.pauses) {
		return -1
	}
	*used++
	return r.pauses[*used-1]
}

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

// modelTrace is what one side writes down.
type modelTrace struct{ b []byte }

func (t *modelTrace) add(id int, what, detail string, now int64) {
	t.b = strconv.AppendInt(t.b, int64(id), 10)
	t.b = append(t.b, ' ')
	t.b = append(t.b, what...)
	if detail != "" {
		t.b = append(t.b, ' ')
		t.b = append(t.b, detail...)
	}
	t.b = append(t.b, " @"...)
	t.b = strconv.AppendInt(t.b, now-modelStart, 10)
	t.b = append(t.b, '\n')
}

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
	if s.leaf.closeFails {
		return modelErr("c" + strconv.Itoa(s.id))
	}
	return nil
}

// modelRendered writes an error down; leaves of other kinds are up to one.
func modelRendered(err error, one func(error) string) string {
	if err == nil {
		return "ok"
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var parts []string
		for _, e := range joined.Unwrap() {
			parts = append(parts, modelRendered(e, one))
		}
		return one(err) + "{" + strings.Join(parts, " ") + "}"
	}
	return one(err)
}

// modelTimeout writes down a Timeout, with what its node had said.
func modelTimeout(render func(error) string, n model.Notes) string {
	if n == (model.Notes{}) {
		return "timeout"
	}
	return "timeout after " + modelNotes(render, n)
}

// modelNotes writes down what a node has said.
func modelNotes(render func(error) string, n model.Notes) string {
	return fmt.Sprintf("[%s %d %d %s]", n.Text, n.Asked, n.Attempt, render(n.Last))
}

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
				s.op(op.what, op.n)
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
				s.op(modelCancel, 0)
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

// transition writes a change of state down.
func (t *modelTrace) transition(id, k, from, to int, err string) {
	t.b = strconv.AppendInt(append(t.b, "group "...), int64(id), 10)
	t.b = strconv.AppendInt(append(t.b, " node "...), int64(k), 10)
	t.b = append(t.b, ' ', byte('0'+from), '>', byte('0'+to), ' ')
	t.b = append(append(t.b, err...), '\n')
}

// compare runs both sides and returns their traces.
func (run *modelRun) compare() (engine, model []byte) {
	return run.drive(newModelEngine(run)), run.drive(newModelModel(run))
}

// String shows a run, for a person who has to find out.
func (run *modelRun) String() string {
	return fmt.Sprintf("timeout %d, grace %d, wait %d, capacities %v, intervals %v, ops %+v\n%s", run.timeout, run.grace, run.wait, run.capacities, run.intervals, run.ops, run.root.describe(""))
}

func (s *modelSpec) describe(indent string) string {
	switch {
	case s.group != nil:
		g := *s.group
		g.nodes = nil
		text := fmt.Sprintf("%s%d: group %+v\n", indent, s.id, g)
		for _, n := range s.group.nodes {
			text += n.describe(indent + "  ")
		}
		return text
	case s.poll != nil:
		return fmt.Sprintf("%s%d: poll %+v\n", indent, s.id, *s.poll)
	case s.claims != nil:
		return fmt.Sprintf("%s%d: claims %v\n%s", indent, s.id, s.claims.weights, s.claims.task.describe(indent+"  "))
	case s.shield != nil:
		return fmt.Sprintf("%s%d: shield\n%s", indent, s.id, s.shield.describe(indent+"  "))
	case s.timed != nil:
		return fmt.Sprintf("%s%d: limit %d\n%s", indent, s.id, s.timed.limit, s.timed.task.describe(indent+"  "))
	case s.retry != nil:
		text := fmt.Sprintf("%s%d: retry, pauses %v\n", indent, s.id, s.retry.pauses)
		for _, task := range s.retry.tasks {
			text += task.describe(indent + "  ")
		}
		return text
	case s.first != nil || s.all != nil:
		text := fmt.Sprintf("%s%d: first %t\n", indent, s.id, s.first != nil)
		for _, task := range slices.Concat(s.first, s.all) {
			text += task.describe(indent + "  ")
		}
		return text
	case s.runner != nil:
		r := *s.runner
		r.task = nil
		return fmt.Sprintf("%s%d: runner %+v\n%s", indent, s.id, r, s.runner.task.describe(indent+"  "))
	}
	return fmt.Sprintf("%s%d: leaf %+v\n", indent, s.id, *s.leaf)
}
