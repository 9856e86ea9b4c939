package conformance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/steptask/scheduler"
)

// replay is one run of a driven scenario: FORMAT.md, section 4. It is the
// driver, the clock, and the recorder of the trace.
type replay struct {
	scriptsWrapped bool // scripts play as coroutines, else as state machines

	now   time.Time
	pause *seconds // what a sleep of the scheduler takes; nil: it does not sleep
	first bool     // the next sleep is the first one of a call
	seen  observation
	muted map[string]bool // ids of tasks that are being ended by force: nothing is recorded
	over  bool            // the scenario is; what it leaves is being cleaned up

	root     *taskSpec
	rootTask *groupTask // the one object of a root that is a group
	gens     map[string]*driven
	driving  *progressSpec // the progress callback of the op that drives the root runner

	runners    map[string]*scheduler.TaskRunner // by id
	progressed map[string]int                   // calls of the progress callback by id of runner
	rounds     map[string]int                   // yields by id of group
}

// rootID is the id of the root runner.
const rootID = "@"

// recordsStart is when the clock of every scenario starts.
var recordsStart = time.Unix(0, 0)

// play performs the ops of a scenario and returns what was seen.
func (s *scenario) play(scriptsWrapped bool) *observation {
	p := &replay{
		scriptsWrapped: scriptsWrapped,
		now:            recordsStart,
		root:           s.Task,
		muted:          map[string]bool{},
		gens:           map[string]*driven{},
		runners:        map[string]*scheduler.TaskRunner{},
		progressed:     map[string]int{},
		rounds:         map[string]int{},
	}
	if err := p.makeRoot(); err != nil {
		p.result(-1, "raise:"+p.name(err))
		return p.finish()
	}
	defer p.cleanUp()
	for i, op := range s.Ops {
		result, err := p.perform(op)
		if err != nil {
			result = "raise:" + p.name(err)
		}
		if op.Op != "advance" {
			p.result(i, result)
		}
	}
	return p.finish()
}

// makeRoot makes the root task and the runner around it.
func (p *replay) makeRoot() error {
	var task scheduler.Task
	if p.root.Type == "group" {
		p.rootTask = &groupTask{replay: p, spec: p.root}
		if err := p.rootTask.build(); err != nil {
			return err
		}
		task = p.rootTask
	} else {
		task = p.make(p.root)
	}
	p.runners[rootID] = scheduler.NewTaskRunner(task, &scheduler.RunnerOptions{
		Name:     rootID,
		Progress: func(context.Context) error { return p.progress(rootID, p.driving) },
		Clock:    p,
	})
	return nil
}

// perform does what the table of section 4 says.
func (p *replay) perform(op opSpec) (result string, err error) {
	ctx := context.Background()
	runner := p.runners[rootID]
	p.driving, p.pause, p.first = op.Progress, op.Wait, op.Op == "call"
	switch op.Op {
	case "advance":
		p.advance(op.Seconds)
		return "", nil
	case "start":
		return "ok", runner.Start(ctx, op.Timeout.limit())
	case "step":
		done, err := runner.Step(ctx)
		return fmt.Sprint(done), err
	case "cancel":
		if op.Grace == nil {
			return "ok", runner.Cancel()
		}
		runner.CancelAfter(op.Grace.limit())
		return "ok", nil
	case "call":
		err := runner.RunWith(ctx, op.Timeout.limit(), p.wait())
		if err == nil {
			err = p.posted(rootID, op.Post)
		}
		return "ok", err
	case "run":
		return "ok", runner.RunToCompletion(ctx, p.wait())
	case "as_task":
		task := p.post(rootID, op.Post, runner.AsTask(op.Timeout.limit()))
		p.gens[op.Gen] = &driven{task: task, progress: op.Progress}
		return "ok", nil
	case "coroutine":
		task := scheduler.Task(p.rootTask)
		if p.rootTask == nil {
			task = p.make(p.root)
		}
		p.gens[op.Gen] = &driven{task: task}
		return "ok", nil
	}
	gen := p.gens[op.Gen]
	p.driving = gen.progress
	ctx = scheduler.WithClock(ctx, p)
	switch op.Op {
	case "next":
		return gen.next(ctx)
	case "throw":
		return gen.throw(ctx, &recordedError{op.Err})
	case "close":
		return "ok", gen.close()
	case "drain":
		return p.drain(ctx, gen)
	}
	panic("no op: " + op.Op)
}

func (p *replay) drain(ctx context.Context, gen *driven) (string, error) {
	for {
		result, err := gen.next(ctx)
		if err != nil || result != "yield" {
			return result, err
		}
		if p.pause != nil {
			p.sleep(*p.pause)
		}
	}
}

// driven is a coroutine that the driver drives by hand. It keeps to the protocol
// of Task, which leaves out the requests that do not reach a coroutine in the
// records either: a task is closed, or thrown into, only between its first step
// and its end, and stepped only up to there.
type driven struct {
	task      scheduler.Task
	progress  *progressSpec
	suspended bool
	finished  bool
}

func (d *driven) next(ctx context.Context) (string, error) {
	if d.finished {
		return "return", nil
	}
	return d.after(d.task.Step(ctx))
}

func (d *driven) throw(ctx context.Context, err error) (string, error) {
	if !d.suspended {
		d.finished = true
		return "", err
	}
	return d.after(d.task.(scheduler.Thrower).Throw(ctx, err))
}

func (d *driven) close() error {
	suspended := d.suspended
	d.suspended, d.finished = false, true
	if !suspended {
		return nil
	}
	return d.task.Close()
}

func (d *driven) after(y scheduler.Yield, err error) (string, error) {
	d.suspended = err == nil && y != scheduler.Done
	d.finished = !d.suspended
	if d.finished {
		return "return", err
	}
	return "yield", nil
}

// record adds an event to the trace: section 5.
func (p *replay) record(name string, fields ...any) {
	if id, ok := fields[0].(string); p.over || ok && p.muted[id] {
		return
	}
	event := append([]any{p.time(), name}, fields...)
	p.seen.Trace = append(p.seen.Trace, newJSONLine(event))
}

// result records the end of an op, with the flags of the root runner.
func (p *replay) result(op int, result string) {
	p.seen.Outcome = result
	p.record("res", op, result, p.state())
}

func (p *replay) state() string {
	state := ""
	if runner := p.runners[rootID]; runner != nil {
		if runner.Started() {
			state += "s"
		}
		if runner.Done() {
			state += "d"
		}
	}
	return state
}

// finish fills in the rest of what was seen: section 6.
func (p *replay) finish() *observation {
	state := p.state()
	p.seen.Started = strings.Contains(state, "s")
	p.seen.Done = strings.Contains(state, "d")
	p.seen.Rounds = p.rounds
	p.seen.End = p.time()
	return &p.seen
}

// cleanUp ends what the driver leaves suspended. The records leave open what
// becomes of it; here nothing may be left behind.
func (p *replay) cleanUp() {
	p.over = true
	for _, gen := range p.gens {
		_ = gen.close() // not part of the scenario any more
	}
	_ = p.runners[rootID].Cancel()
}

// Now and Wait make a replay the clock of its runners.
func (p *replay) Now() time.Time { return p.now }

// Wait is a sleep of Heat's scheduler. Nothing cuts that short: a request for a
// pause takes what the op says, as it may with a coarse clock, also if it is
// shorter or none at all because of a deadline. A request for no pause without
// such a reason, as for the first one of a call, is a sleep of zero.
func (p *replay) Wait(until time.Time, _ <-chan struct{}) {
	first := p.first
	p.first = false
	switch {
	case until.IsZero():
		panic("a wait without end: nothing in a scenario would ever end it")
	case p.pause == nil:
	case until.After(p.now) || !first && p.overdue():
		p.sleep(*p.pause)
	default:
		p.sleep(0)
	}
}

// overdue reports whether a deadline has passed during the last step.
func (p *replay) overdue() bool {
	at, timed := p.runners[rootID].Due().Time()
	return timed && !at.After(p.now)
}

// wait is the op's wait as an argument.
func (p *replay) wait() time.Duration {
	if p.pause == nil {
		return 0
	}
	return p.pause.duration()
}

func (p *replay) sleep(s seconds) {
	p.record("sleep", s)
	p.advance(s)
}

func (p *replay) advance(s seconds) { p.now = p.now.Add(s.duration()) }

func (p *replay) time() seconds { return seconds(p.now.Sub(recordsStart).Seconds()) }
