package proof_test

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/steptask/scheduler"
)

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
	stopFails  bool // it panics when it is told to end
	closeFails bool
	breaks     bool  // it panics when it is closed
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
