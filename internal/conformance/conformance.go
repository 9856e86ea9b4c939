// Package conformance performs recorded runs of the scheduler that this library
// re-creates, through the library's exported API, and compares everything that
// can be seen from outside. The records and FORMAT.md, which describes them, are
// in testdata/records. The library has all nine fixes that the records offer, so
// a run is compared with expect_fixed.
//
// How the words of the records map to ours:
//
//	TaskRunner, start, step, cancel()    NewTaskRunner, Start, Step, Cancel
//	cancel(grace)                        CancelAfter(grace)
//	call(wait, timeout)                  Run(ctx, timeout, wait)
//	run_to_completion(wait)              RunToCompletion(ctx, wait)
//	as_task(timeout)                     AsTask(timeout)
//	coroutine: next, throw, close        Task: Step, Throw, Close
//	yield n                              Rounds(n); without n Next
//	function                             Func
//	wrappertask                          Wrap; sub is Coroutine.Await
//	script                               a Task written by hand, and once more a Wrap:
//	                                     every scenario is performed both ways
//	error_wait_time                      Grace, GraceFor
//	aggregate_exceptions                 AggregateErrors
//	exit signal                          Close; inside a Wrap ErrClosed
//	IgnoredExit, AlreadyStarted,         ErrIgnoredClose, ErrStarted,
//	NotStarted, AlreadyCancelled         ErrNotStarted, ErrCancelled
//	Group[...]                           *ExceptionGroup
//	Timeout(id)                          *Timeout, which is Of that runner
//
// Where one is not the other:
//
//   - No timeout and no grace are 0 here. One of exactly 0 is 1 ns: all times in
//     the records are eighths of a second, and a deadline has passed when the
//     clock reads strictly more, so the two cannot be told apart. (CancelAfter(0)
//     is no such zero, but gets 1 ns as well: of two deadlines at the same time
//     the older stays.)
//   - A sleep there cannot be cut short. Our loop asks its clock to wait no longer
//     than up to the next deadline; the clock of the replay is a coarse one that
//     lets such a pause take the op's wait all the same. With wait null it
//     neither records a pause nor moves.
//   - progress is an argument of each drive there and an option of the runner here:
//     the option calls that of the op which drives.
//   - post does not exist here: it is a wrapper of the test around AsTask, and a
//     call after Run.
//   - An error of a group says which node failed (*TaskError), and further errors
//     may be joined to it: the main one is compared.
//   - The callback for a key's grace cannot fail here. One that does in the records
//     counts as no grace (fix 9).
//   - There, a coroutine that has ignored the exit signal stays suspended, and
//     whoever has it can drive it on. Here it is ended by force. What the driver
//     sees of the close, and all events up to there, are compared; the scenario
//     ends before the first op that would drive that coroutine on.
package conformance

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// shownAtMost is the number of differing scenarios that are shown in detail.
const shownAtMost = 10

// Run performs the records in a folder, in the order of the file names, and
// returns the counts. For each scenario that differs it calls differs with the
// scenario's name and, for the first few, what differs where. It fails if the
// folder has no records or one that cannot be read.
func Run(folder string, differs func(scenario, where string)) (Tally, error) {
	scenarios, err := readRecords(folder)
	if err != nil {
		return Tally{}, err
	}
	tally := Tally{leftOut: map[string]int{}}
	for _, s := range scenarios {
		tally.Read++
		if reason := s.leftOut(); reason != "" {
			tally.leftOut[reason]++
			continue
		}
		where := s.check()
		if where == "" {
			tally.Equal++
			continue
		}
		tally.Differ++
		if tally.Differ > shownAtMost {
			where = " differs"
		}
		differs(fmt.Sprintf("%s (%s)", s.ID, s.Note), where)
	}
	return tally, nil
}

// check performs a scenario and says what is not as recorded, or "".
func (s *scenario) check() (differs string) {
	defer func() {
		if v := recover(); v != nil { // the others are still worth a look
			differs = fmt.Sprintf("\n  panic: %v\n%s", v, debug.Stack())
		}
	}()
	if s.Kind == "dependencies" {
		return behind("\n", s.want().diff(s.answers()))
	}
	s = s.untilIgnoredClose()
	return cmp.Or(
		behind(", scripts as state machines\n", s.want().diff(s.play(false))),
		behind(", scripts as coroutines\n", s.want().diff(s.play(true))),
	)
}

// behind puts text, if there is any, behind a prefix.
func behind(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// untilIgnoredClose returns the scenario up to the first op that drives a
// coroutine on which has ignored its close: one made by hand itself, or the task
// of the root runner by way of another as_task than the one that was closed.
func (s *scenario) untilIgnoredClose() *scenario {
	want := s.want()
	results := want.results()
	made := map[string]string{} // by gen: the op that made it
	alive := map[string]bool{}  // by gen: there it goes on after the close
	for i, op := range s.Ops {
		if op.Op == "coroutine" || op.Op == "as_task" {
			made[op.Gen], alive[op.Gen] = op.Op, false
		}
		if alive[op.Gen] {
			part := &observation{Trace: want.before(i), part: true}
			return &scenario{ID: s.ID, Task: s.Task, Ops: s.Ops[:i], Expect: part}
		}
		if results[i] != "raise:IgnoredExit" {
			continue
		}
		for gen, by := range made {
			closed := gen == op.Gen
			alive[gen] = by == "as_task" && !closed || by == "coroutine" && closed && op.Op == "close"
		}
	}
	return s
}

// exception is a sort of scenario that is not performed.
type exception struct {
	name string
	is   func(*scenario) bool
}

// exceptions are all there are. Three features are none, for scenarios
// that have them can be performed:
//
//   - generator-unstarted, generator-finished: the driver throws into, or closes,
//     a coroutine before its first step or after its end. It never gets that; the
//     protocol of Task leaves it to whoever drives, here the driver.
//   - wrap-not-yield-from: a parent ignores its close, and only what then becomes
//     of it depends on the version of Heat.
var exceptions = []exception{
	// Errors of a second sort, which handlers for ordinary errors do not get.
	// Go has no such thing, so they are ordinary errors here. Groups alone
	// treat the two differently, and not even they if there is no grace,
	// nothing is collected, and nothing can come out of a close.
	{"base-error", func(s *scenario) bool {
		return s.has("base-error") && (s.any((*taskSpec).lenient) || s.any((*taskSpec).isGroup) && s.any((*taskSpec).failsWhenClosed))
	}},

	// The timeout of a member's own runner is a base error there. Here it is a
	// failure of that member like any other, which is deliberate.
	{"inner-timeout-in-group", func(s *scenario) bool {
		return s.has("inner-timeout-in-group") && s.any((*taskSpec).lenient)
	}},

	// A group that has ended cannot be run again. There, a second run does
	// nothing and succeeds, even after a failure; here it is an error.
	{"run-twice", (*scenario).runsTwice},
}

// any reports whether is holds for some task of the scenario.
func (s *scenario) any(is func(*taskSpec) bool) bool {
	if s.Task == nil {
		return false
	}
	found := false
	s.Task.all(func(spec *taskSpec) { found = found || is(spec) })
	return found
}

func (t *taskSpec) isGroup() bool { return t.Type == "group" }

// lenient is a group that goes on after a failure.
func (t *taskSpec) lenient() bool { return t.Aggregate || t.Grace != nil }

// failsWhenClosed is a script that does anything but end when it is closed.
func (t *taskSpec) failsWhenClosed() bool {
	return slices.ContainsFunc(t.OnClose, func(a actionSpec) bool { return a.Do != "propagate" && a.Do != "return" })
}

func (s *scenario) runsTwice() bool {
	runs := 0
	for _, op := range s.Ops {
		if op.Op == "coroutine" {
			runs++
		}
	}
	return runs > 1 && s.Task.Type == "group"
}

// leftOut gives the name of the exception that a scenario is, or "".
func (s *scenario) leftOut() string {
	for _, e := range exceptions {
		if e.is(s) {
			return e.name
		}
	}
	return ""
}

// Tally counts scenarios.
type Tally struct {
	Read, Equal, Differ int
	leftOut             map[string]int // by name of exception
}

// String returns the counts on one line, those left out by the reason why.
func (t Tally) String() string {
	sum := 0
	var parts []string
	for _, e := range exceptions {
		if n := t.leftOut[e.name]; n > 0 {
			sum += n
			parts = append(parts, fmt.Sprintf("%s: %d", e.name, n))
		}
	}
	return fmt.Sprintf("records: %d read, %d equal, %d differ, %d left out (%s)",
		t.Read, t.Equal, t.Differ, sum, strings.Join(parts, ", "))
}
